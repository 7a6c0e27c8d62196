/* The router against the plain matcher: every topic finds exactly the handlers of the filters that match it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/router.h"
#include "codec/topic.h"

static void noop(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    (void)user_data;
}

static size_t matches(tern__router *router, const char *topic, tern__match *match)
{
    tern__mutex_lock(&router->lock);
    tern__router_match_locked(router, topic, strlen(topic), 0, match);
    tern__mutex_unlock(&router->lock);
    return match->count;
}

/* [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] [MQTT5-4.7.2-1] [MQTT5-4.7.3-4] */
static void matches_by_the_book(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        const char *topic;
        int hit;
    } rows[] = {
        {"#", "a", 1},          {"#", "a/b/c", 1},       {"#", "$SYS/x", 0},      {"+/x", "$SYS/x", 0},
        {"$SYS/#", "$SYS/x", 1}, {"$SYS/+", "$SYS/x", 1}, {"a/#", "a", 1},         {"a/#", "a/b", 1},
        {"a/#", "ab", 0},       {"a/+", "a/b", 1},       {"a/+", "a", 0},         {"a/+", "a/b/c", 0},
        {"a/+", "a/", 1},       {"+", "a", 1},           {"+", "/a", 0},          {"+/+", "/a", 1},
        {"/+", "/a", 1},        {"a//b", "a//b", 1},     {"a/+/b", "a//b", 1},    {"a/b", "a/b/", 0},
        {"A", "a", 0},          {"a/b", "a/b", 1},       {"+/b/#", "a/b", 1},     {"+/b/#", "a/b/c/d", 1},
        {"$share/g/a/#", "a/b", 1}, {"$share/g/#", "$SYS/x", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__router router;
        tern__match match;
        assert_int_equal(tern__router_init(&router), 0);
        assert_int_equal(tern__router_set(&router, rows[i].filter, noop, NULL), 0);
        if (matches(&router, rows[i].topic, &match) != (size_t)rows[i].hit)
            fail_msg("%s against %s: %zu", rows[i].filter, rows[i].topic, match.count);
        tern__router_deinit(&router);
    }
}

static unsigned roll(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % n;
}

static void make_text(char *text, unsigned *seed, bool filter)
{
    static const char *const levels[] = {"a", "b", "", "cc", "$x", "+"};
    unsigned depth = 1 + roll(seed, 5);
    text[0] = '\0';
    for (unsigned i = 0; i < depth; i++) {
        if (i != 0) strcat(text, "/");
        if (filter && i + 1 == depth && roll(seed, 3) == 0) {
            strcat(text, "#");
        } else {
            strcat(text, levels[roll(seed, filter ? 6 : 5)]);
        }
    }
    if (text[0] == '\0') strcpy(text, "a");
}

static void agrees_with_the_plain_matcher(void **state)
{
    (void)state;
    enum { FILTERS = 200, TOPICS = 3000 };
    static char filters[FILTERS][64];
    unsigned seed = 42;
    tern__router router;
    assert_int_equal(tern__router_init(&router), 0);
    size_t distinct = 0;
    while (distinct < FILTERS) {
        make_text(filters[distinct], &seed, true);
        bool seen = false;
        for (size_t i = 0; i < distinct; i++) seen = seen || strcmp(filters[i], filters[distinct]) == 0;
        if (seen) continue;
        assert_int_equal(tern__router_set(&router, filters[distinct], noop, NULL), 0);
        distinct++;
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < TOPICS; i++) {
            char topic[64];
            make_text(topic, &seed, false);
            size_t expected = 0;
            for (size_t f = (size_t)round * (FILTERS / 2); f < FILTERS; f++)
                expected += tern__filter_match(filters[f], strlen(filters[f]), topic, strlen(topic));
            tern__match match;
            assert_int_equal(matches(&router, topic, &match), expected);
        }
        for (size_t f = 0; f < FILTERS / 2 && round == 0; f++)
            assert_int_equal(tern__router_set(&router, filters[f], NULL, NULL), 0);
    }
    tern__router_deinit(&router);
}

static void replacing_and_removing(void **state)
{
    (void)state;
    tern__router router;
    tern__match match;
    int first = 1;
    int second = 2;
    assert_int_equal(tern__router_init(&router), 0);
    assert_int_equal(tern__router_set(&router, "a", NULL, NULL), TERN_E_NOT_FOUND);
    assert_int_equal(tern__router_set(&router, "a", noop, &first), 0);
    assert_int_equal(matches(&router, "a", &match), 1);
    tern__handler *old = match.handlers[0];
    assert_int_equal(tern__router_set(&router, "a", noop, &second), 0);
    assert_true(atomic_load(&old->removed)); /* whoever still holds it does not call it */
    assert_int_equal(matches(&router, "a", &match), 1);
    assert_ptr_equal(match.handlers[0]->user_data, &second);
    tern__router_reap(&router);
    assert_int_equal(tern__router_set(&router, "a", NULL, NULL), 0);
    assert_int_equal(matches(&router, "a", &match), 0);
    assert_false(tern__router_handles(&router));
    tern__router_deinit(&router);
}

/* Handlers come and go in any order, many at one level so that their hashes collide; nothing is left of what has gone. */
static void coming_and_going(void **state)
{
    (void)state;
    enum { FILTERS = 300, STEPS = 20000, TOPICS = 20 };
    static char filters[FILTERS][64];
    bool there[FILTERS] = {false};
    unsigned seed = 7;
    tern__router router;
    tern__match match;
    assert_int_equal(tern__router_init(&router), 0);
    for (int i = 0; i < FILTERS; i++) snprintf(filters[i], sizeof filters[i], "%sx%d%s", i % 3 == 0 ? "+/" : "", i, i % 2 == 0 ? "/#" : "");
    for (int step = 0; step < STEPS; step++) {
        unsigned f = roll(&seed, FILTERS);
        int rc = tern__router_set(&router, filters[f], there[f] ? NULL : noop, NULL);
        assert_int_equal(rc, 0);
        there[f] = !there[f];
        if (step % 100 != 0) continue;
        for (int i = 0; i < TOPICS; i++) {
            char topic[64];
            snprintf(topic, sizeof topic, "%sx%u", roll(&seed, 2) == 0 ? "y/" : "", roll(&seed, FILTERS));
            size_t expected = 0;
            for (size_t k = 0; k < FILTERS; k++)
                expected += there[k] && tern__filter_match(filters[k], strlen(filters[k]), topic, strlen(topic));
            assert_int_equal(matches(&router, topic, &match), expected);
            tern__router_reap(&router);
        }
    }
    for (int i = 0; i < FILTERS; i++) {
        assert_int_equal(tern__router_set(&router, filters[i], NULL, NULL), there[i] ? 0 : TERN_E_NOT_FOUND);
    }
    assert_null(router.root);
    assert_true(tern__list_empty(&router.retired)); /* nobody was reading: freed at once */
    tern__router_deinit(&router);
}

/* More handlers than a match holds are found in steps. */
static void many_handlers_of_one_topic(void **state)
{
    (void)state;
    tern__router router;
    assert_int_equal(tern__router_init(&router), 0);
    /* 2^5 filters of five levels, each level "a" or "+", match the one topic. */
    for (unsigned bits = 0; bits < 32; bits++) {
        char filter[16] = "";
        for (int level = 0; level < 5; level++) {
            if (level != 0) strcat(filter, "/");
            strcat(filter, (bits >> level & 1) != 0 ? "+" : "a");
        }
        assert_int_equal(tern__router_set(&router, filter, noop, NULL), 0);
    }
    tern__match match;
    size_t found = 0;
    tern__mutex_lock(&router.lock);
    for (size_t skip = 0; skip < 32; skip += TERN__MATCH_MAX) {
        tern__router_match_locked(&router, "a/a/a/a/a", 9, skip, &match);
        assert_int_equal(match.count, 32 - skip);
        found += match.count < TERN__MATCH_MAX ? match.count : TERN__MATCH_MAX;
    }
    tern__mutex_unlock(&router.lock);
    assert_int_equal(found, 32);
    tern__router_deinit(&router);
}

/* A topic of 65,535 levels neither recurses nor takes long (CVE-2019-11779). */
static void deep_topics(void **state)
{
    (void)state;
    enum { LEN = 65535 };
    char *text = malloc(LEN + 1);
    assert_non_null(text);
    memset(text, '/', LEN);
    text[LEN] = '\0';
    tern__router router;
    tern__match match;
    assert_int_equal(tern__router_init(&router), 0);
    assert_int_equal(tern__router_set(&router, text, noop, NULL), 0);
    assert_int_equal(tern__router_set(&router, "+/#", noop, NULL), 0);
    assert_int_equal(matches(&router, text, &match), 2);
    text[LEN - 1] = 'x';
    assert_int_equal(matches(&router, text, &match), 1);
    tern__router_deinit(&router);
    free(text);
}

static void callback_of_removal(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    (void)user_data;
}

/* Filters that come and go leave nothing behind, and do not disturb those that stay. */
static void removed_filters_leave_no_nodes(void **state)
{
    (void)state;
    enum { FILTERS = 2000 };
    tern__router router;
    tern__match match;
    char filter[64];
    assert_int_equal(tern__router_init(&router), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FILTERS; i++) {
            snprintf(filter, sizeof filter, i % 3 == 0 ? "r/%d" : i % 3 == 1 ? "r/%d/+/x" : "r/%d/#", i);
            assert_int_equal(tern__router_set(&router, filter, callback_of_removal, NULL), 0);
        }
        for (int k = 0; k < FILTERS; k++) {
            int i = (k * 7919) % FILTERS;
            snprintf(filter, sizeof filter, i % 3 == 0 ? "r/%d" : i % 3 == 1 ? "r/%d/+/x" : "r/%d/#", i);
            assert_int_equal(tern__router_set(&router, filter, NULL, NULL), 0);
            assert_int_equal(tern__router_set(&router, filter, NULL, NULL), TERN_E_NOT_FOUND);
            int other = ((k + 1) * 7919) % FILTERS; /* one that is still there is still found */
            if (k + 1 == FILTERS) continue;
            snprintf(filter, sizeof filter, other % 3 == 0 ? "r/%d" : "r/%d/y/x", other);
            tern__router_match_locked(&router, filter, strlen(filter), 0, &match);
            assert_int_equal(match.count, 1);
        }
        assert_null(router.root);
        tern__router_reap(&router);
    }
    tern__router_deinit(&router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_filters_leave_no_nodes),
        cmocka_unit_test(matches_by_the_book),       cmocka_unit_test(agrees_with_the_plain_matcher),
        cmocka_unit_test(replacing_and_removing),    cmocka_unit_test(many_handlers_of_one_topic),
        cmocka_unit_test(deep_topics),               cmocka_unit_test(coming_and_going),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
