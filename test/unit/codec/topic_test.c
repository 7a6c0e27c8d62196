/* Topic names and filters: legality at every length and position, and matching.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/codec/packets.h"

#include "base/utf8.h"
#include "codec/topic.h"

static int check_exact(const char *text, size_t len, int (*check)(const char *, size_t))
{
    uint8_t *copy = exact_copy(text, len);
    int rc = check((const char *)copy, len);
    free(copy);
    return rc;
}

/* The fast lane sees each bad byte at each place of each length. [MQTT5-3.3.2-2] [MQTT5-4.7.0-1]
 * [MQTT5-4.7.3-2] */
static void every_byte_at_every_place(void **state)
{
    (void)state;
    char text[48];
    for (size_t len = 1; len <= 40; len++)
        for (size_t place = 0; place < len; place++)
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'x', len);
                text[place] = (char)byte;
                int expected = byte == 0 || byte >= 0x80    ? TERN_E_UTF8
                               : byte == '+' || byte == '#' ? TERN_E_TOPIC
                                                            : 0;
                assert_int_equal(check_exact(text, len, tern__topic_check), expected);
            }
}

static void unicode_topics(void **state)
{
    (void)state;
    static const char *const good[] = {"\xC3\xA4",
                                       "a/\xE2\x82\xAC/long enough for words",
                                       "\xF0\x9F\x90\xA6",
                                       "/",
                                       "\xEF\xBB\xBF/bom",
                                       "$SYS/x",
                                       " ",
                                       "a//b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check_exact(good[i], strlen(good[i]), tern__topic_check), 0);
    assert_int_equal(check_exact("\xC3\xA4/+", 4, tern__topic_check), TERN_E_TOPIC);
    assert_int_equal(check_exact("\xED\xA0\x80/aaaaaaaa", 12, tern__topic_check), TERN_E_UTF8);
    assert_int_equal(check_exact("aaaaaaaa\xC3", 9, tern__topic_check), TERN_E_UTF8);
}

/* [MQTT5-4.7.3-1] [MQTT5-4.7.3-3] [MQTT311-4.7.3-1] [MQTT311-4.7.3-3] */
static void limits(void **state)
{
    (void)state;
    char *text = malloc(65536);
    assert_non_null(text);
    memset(text, 'a', 65536);
    assert_int_equal(tern__topic_check(text, 65535), 0);
    assert_int_equal(tern__topic_check(text, 65536), TERN_E_TOO_LARGE);
    assert_int_equal(tern__filter_check(text, 65535), 0);
    assert_int_equal(tern__filter_check(text, 65536), TERN_E_TOO_LARGE);
    assert_int_equal(tern__topic_check("", 0), TERN_E_TOPIC);
    assert_int_equal(tern__filter_check("", 0), TERN_E_FILTER);
    free(text);
}

/* [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] [MQTT5-4.8.2-1] [MQTT5-4.8.2-2] [MQTT311-4.7.1-2] [MQTT311-4.7.1-3] */
static void filters(void **state)
{
    (void)state;
    static const char *const good[] = {"#",          "+",          "/",          "a",      "a/#",
                                       "+/+/#",      "/+",         "+/",         "a/+/b",  "//",
                                       "$share/g/a", "$share/g/#", "$share/g//", "$share", "$SYS/#",
                                       "$shared/x",  "\xC3\xA4/+"};
    static const char *const bad[] = {"a#",          "#a",         "a/#/b",    "##",
                                      "+a",          "a+",         "a/+b/c",   "#/",
                                      "++",          "$share/",    "$share/g", "$share/g/",
                                      "$share//a",   "$share/+/a", "$share/#", "$share/a#/b",
                                      "$share/g/a#", "a/b#",       "/#/"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check_exact(good[i], strlen(good[i]), tern__filter_check), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(check_exact(bad[i], strlen(bad[i]), tern__filter_check), TERN_E_FILTER);
    assert_int_equal(check_exact("a\0b", 3, tern__filter_check), TERN_E_UTF8);
    size_t rest = 0;
    assert_true(tern__filter_shared("$share/group/a/b", 16, &rest));
    assert_int_equal(rest, 13);
    assert_false(tern__filter_shared("$share/group", 12, NULL));
    assert_false(tern__filter_shared("share/group/a", 13, NULL));
}

static bool match(const char *filter, const char *topic)
{
    uint8_t *f = exact_copy(filter, strlen(filter));
    uint8_t *t = exact_copy(topic, strlen(topic));
    bool answer =
        tern__filter_match((const char *)f, strlen(filter), (const char *)t, strlen(topic));
    free(f);
    free(t);
    return answer;
}

/* Section 4.7's own examples, and its edges. [MQTT5-4.7.2-1] [MQTT5-4.7.3-4]
 * [MQTT311-4.7.2-1] [MQTT311-4.7.3-4] */
static void matching(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        const char *topic;
        bool matches;
    } table[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player12", false},
        {"sport/#", "sport", true},
        {"#", "a/b/c", true},
        {"#", "/", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/monitor", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"$SYS/#", "$SYS/monitor", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a/b", "a/b/", false},
        {"a/+/#", "a/b", true},
        {"a/+/#", "a", false},
        {"+/#", "a", true},
        {"a//b", "a//b", true},
        {"a/+/b", "a//b", true},
        {"+", "", true},
        {"a/#", "a/", true},
        {"a/#", "b", false},
        {"/#", "", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (match(table[i].filter, table[i].topic) != table[i].matches)
            print_error("%s on %s\n", table[i].filter, table[i].topic);
        assert_int_equal(match(table[i].filter, table[i].topic), table[i].matches);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(unicode_topics),
        cmocka_unit_test(limits),
        cmocka_unit_test(filters),
        cmocka_unit_test(matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
