/* Requests and wishes under stress: bytes with every property, codes, servers that shrink, and
 * requests that cross. [C21] [C7] SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>
#include <tern/subscription.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static tern_subscription *wish_of(const char *const filters[], uint32_t flags)
{
    tern_subscription *wish = NULL;
    assert_int_equal(tern_subscription_new(&wish), 0);
    for (int i = 0; filters[i] != NULL; i++)
        assert_int_equal(tern_subscription_add(wish, filters[i], flags), 0);
    return wish;
}

static void ready(tern__completion *completion)
{
    memset(completion, 0, sizeof *completion);
    tern__list_init(&completion->link);
}

/* ---- bytes ---- */

static void test_identifiers_and_user_properties(
    void **state) /* [MQTT5-3.8.2.1.2] [MQTT5-3.10.2.1.2] */
{
    (void)state;
    static const struct {
        uint32_t identifier;
        const char *subscribe;
    } rows[] = {
        {1, "82 16 00 01 0f 0b 01 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 00 00 01 'a' 02"},
        {127, "82 16 00 01 0f 0b 7f 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 00 00 01 'a' 02"},
        {128, "82 17 00 01 10 0b 80 01 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 00 00 01 'a' 02"},
        {268435455,
         "82 19 00 01 12 0b ff ff ff 7f 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 00 00 01 'a' 02"},
        {0, "82 14 00 01 0d 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 00 00 01 'a' 02"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int version = TERN__V311; version <= TERN__V5; version++) {
            script s;
            const char *const filters[] = {"a", NULL};
            tern_subscription *wish = wish_of(filters, TERN_QOS_2);
            assert_int_equal(tern_subscription_set_identifier(wish, rows[i].identifier), 0);
            assert_int_equal(tern_subscription_add_user_property(wish, "k", "v"), 0);
            assert_int_equal(tern_subscription_add_user_property(wish, "k", ""), 0);
            script_ready(&s, version);
            assert_int_equal(tern__engine_subscribe(s.engine, wish, NULL, s.now), 0);
            script_expect(&s, version == TERN__V5 ? rows[i].subscribe : "82 06 00 01 00 01 'a' 02");
            assert_int_equal(tern__engine_unsubscribe(s.engine, wish, NULL, s.now), 0);
            script_expect(&s,
                          version == TERN__V5
                              ? "a2 13 00 02 0d 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 00 00 01 'a'"
                              : "a2 05 00 02 00 01 'a'");
            tern_subscription_free(wish);
            script_free(&s);
        }
    }
}

/* Every legal combination is one byte of the wire; 3.1.1 has but the QoS. [MQTT5-3.8.3-5]
 * [MQTT311-3.8.3-4] */
static void test_every_combination_of_options(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags < 0x30; flags++) {
        if ((flags & 3) == 3) continue;
        for (int version = TERN__V311; version <= TERN__V5; version++) {
            script s;
            char hex[48];
            script_ready(&s, version);
            script_subscribe(&s, "a", flags, NULL);
            (void)snprintf(hex, sizeof hex,
                           version == TERN__V5 ? "82 07 00 01 00 00 01 'a' %02x"
                                               : "82 06 00 01 00 01 'a' %02x",
                           version == TERN__V5 ? flags : flags & 3);
            script_expect(&s, hex);
            script_free(&s);
        }
    }
}

/* ---- answers ---- */

/* Sections 3.9.3 and 3.11.3; 3.1.1's four. */
static bool is_code(int version, bool unsubscribe, int code)
{
    static const uint8_t suback[] = {0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2};
    static const uint8_t unsuback[] = {0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91};
    if (version == TERN__V311) return code <= 2 || code == 0x80;
    return unsubscribe ? memchr(unsuback, code, sizeof unsuback) != NULL
                       : memchr(suback, code, sizeof suback) != NULL;
}

/* All 256 codes in the second place of three. [MQTT5-3.8.4-7] [MQTT5-3.9.3-1] [MQTT5-3.9.3-2]
 * [MQTT5-3.11.3-1] [MQTT5-3.11.3-2] [MQTT5-3.10.4-5] [MQTT311-3.9.3-1] [MQTT311-3.9.3-2] */
static void test_every_code_in_its_place(void **state)
{
    (void)state;
    const char *const filters[] = {"a", "b", "c", NULL};
    for (int kind = 0; kind < 3; kind++) { /* 3.1.1's UNSUBACK has no codes */
        const int version = kind == 0 ? TERN__V311 : TERN__V5;
        for (int code = 0; code < 256; code++) {
            script s;
            tern__completion done;
            char hex[48];
            char codes[16];
            const bool unsubscribe = kind == 2;
            tern_subscription *wish = wish_of(filters, TERN_QOS_1);
            ready(&done);
            script_ready(&s, version);
            assert_int_equal(unsubscribe ? tern__engine_unsubscribe(s.engine, wish, &done, s.now)
                                         : tern__engine_subscribe(s.engine, wish, &done, s.now),
                             0);
            tern_subscription_free(wish);
            script_drain(&s, SIZE_MAX);
            tern__buf_clear(&s.out);
            (void)snprintf(hex, sizeof hex, "%s %s 00 01 %s 00 %02x 00", unsubscribe ? "b0" : "90",
                           version == TERN__V5 ? "06" : "05", version == TERN__V5 ? "00" : "",
                           (unsigned)code);
            (void)snprintf(codes, sizeof codes, "00 %02x 00", (unsigned)code);
            if (is_code(version, unsubscribe, code)) {
                assert_int_equal(script_recv(&s, hex), 0);
                script_answered(&s, &done, 0, codes);
            } else {
                script_refuses(&s, hex, TERN_E_PROTOCOL, 0x82);
                assert_null(tern__engine_next_completion(s.engine));
            }
            script_free(&s);
        }
    }
}

/* Any number of codes but the right one. [MQTT5-3.8.4-6] [MQTT5-3.11.3-1] [MQTT311-3.8.4-5] */
static void test_a_wrong_number_of_codes(void **state)
{
    (void)state;
    static const char zeros[] = " 00 00 00 00 00 00 00 00 00 00";
    const char *const filters[] = {"a", "b", "c", NULL};
    for (int kind = 0; kind < 3; kind++) {
        for (unsigned count = 1; count <= 10; count++) {
            if (count == 3) continue;
            script s;
            tern__completion done;
            char hex[64];
            const int version = kind == 0 ? TERN__V311 : TERN__V5;
            tern_subscription *wish = wish_of(filters, TERN_QOS_1);
            ready(&done);
            script_ready(&s, version);
            assert_int_equal(kind == 2 ? tern__engine_unsubscribe(s.engine, wish, &done, s.now)
                                       : tern__engine_subscribe(s.engine, wish, &done, s.now),
                             0);
            tern_subscription_free(wish);
            script_drain(&s, SIZE_MAX);
            tern__buf_clear(&s.out);
            (void)snprintf(hex, sizeof hex, "%s %02x 00 01 %s%.*s", kind == 2 ? "b0" : "90",
                           2 + count + (version == TERN__V5), version == TERN__V5 ? "00" : "",
                           (int)count * 3, zeros);
            script_refuses(&s, hex, TERN_E_PROTOCOL, 0x82);
            assert_null(tern__engine_next_completion(
                s.engine)); /* it waits for the next connection [C21] */
            script_offline(&s);
            assert_int_equal(tern__engine_abandon(s.engine), 0);
            script_answered(&s, &done, TERN_E_CLOSED, "");
            script_free(&s);
        }
    }
}

/* An answer ends the request with its id, in whatever order answers come. [MQTT5-2.2.1-6]
 * [MQTT311-2.3.1-7] */
static void test_answers_out_of_order(void **state)
{
    (void)state;
    script s;
    tern__completion done[3];
    script_ready(&s, TERN__V5);
    script_subscribe(&s, "a", TERN_QOS_0, &done[0]);
    script_subscribe(&s, "b", TERN_QOS_0, &done[1]);
    script_unsubscribe(&s, "c", &done[2]);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "b0 04 00 03 00 11"), 0);
    script_answered(&s, &done[2], 0, "11");
    assert_int_equal(script_recv(&s, "90 04 00 02 00 00 90 04 00 02 00 00"),
                     0); /* the second one finds no request */
    script_answered(&s, &done[1], 0, "00");
    assert_null(tern__engine_next_completion(s.engine));
    assert_int_equal(script_recv(&s, "90 04 00 01 00 80"), 0);
    script_answered(&s, &done[0], 0, "80");
    assert_int_equal(tern__engine_open_count(s.engine), 0);
    script_free(&s);
}

/* ---- wishes ---- */

/* Grants what is asked for with ids first..last, one filter each. */
static void grant(script *s, unsigned first, unsigned last)
{
    const bool v5 = s->connect.version == TERN__V5;
    for (unsigned id = first; id <= last; id++) {
        const uint8_t suback[] = {0x90, v5 ? 4 : 3, (uint8_t)(id >> 8), (uint8_t)id, 0, 0};
        assert_int_equal(script_recv_bytes(s, suback, v5 ? 6 : 5), 0);
    }
}

/* Asked for again with other options: the later ones are renewed, once, at the place of the later.
 */
static void test_the_later_options_are_renewed(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V311);
    script_subscribe(&s, "a", TERN_QOS_0, NULL);
    script_subscribe(&s, "b", TERN_QOS_0, NULL);
    script_subscribe(&s, "a", TERN_QOS_2, NULL);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    grant(&s, 1, 3);
    script_offline(&s);
    script_online(&s, NULL);
    script_expect(&s, "82 0a 00 04 00 01 'b' 00 00 01 'a' 02");
    script_free(&s);
}

/* Of several filters the refused ones are gone for good. [C21] */
static void test_only_what_was_granted_is_renewed(void **state)
{
    (void)state;
    const char *const filters[] = {"a", "bb", "c", "dd", "e", NULL};
    script s;
    tern_subscription *wish = wish_of(filters, TERN_QOS_1);
    script_ready(&s, TERN__V5);
    assert_int_equal(tern__engine_subscribe(s.engine, wish, NULL, s.now), 0);
    tern_subscription_free(wish);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "90 08 00 01 00 87 01 80 00 9e"), 0);
    for (int i = 0; i < 3; i++) {
        script_offline(&s);
        script_online(&s, NULL);
        char hex[64];
        (void)snprintf(hex, sizeof hex, "82 0d 00 %02x 00 00 02 'bb' 11 00 02 'dd' 11",
                       2 + (unsigned)i);
        script_expect(&s, hex);
    }
    /* Refused where it was granted before: that filter is gone too. */
    assert_int_equal(script_recv(&s, "90 05 00 04 00 01 87"), 0);
    script_offline(&s);
    script_online(&s, NULL);
    script_expect(&s, "82 08 00 05 00 00 02 'bb' 11");
    script_free(&s);
}

/* A session that is there is not asked again, however often the link breaks; a lost one is, before
 * anything else. [C7] */
static void test_renewed_only_when_the_session_is_lost(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_ready(&s, TERN__V5);
    script_subscribe(&s, "a", TERN_QOS_1, &done);
    script_expect(&s, "82 07 00 01 00 00 01 'a' 01");
    assert_int_equal(script_recv(&s, "90 04 00 01 00 01"), 0);
    script_answered(&s, &done, 0, "01");
    for (int i = 0; i < 5; i++) {
        script_offline(&s);
        script_online(&s, "20 03 01 00 00");
        script_expect(&s, "");
    }
    script_offline(&s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(script_publish(&s, 1, "t", "", NULL), 0);
    script_online(&s, NULL);
    script_expect(&s, "82 07 00 02 00 00 01 'a' 11 32 06 00 01 't' 00 03 00 32 06 00 01 't' 00 04 "
                      "00 32 06 00 01 't' 00 05 00");
    script_offline(&s); /* the renewal was not answered: it is made again, session or not */
    script_online(&s, "20 03 01 00 00");
    script_drain(&s, SIZE_MAX);
    assert_true(s.out.len > 9);
    assert_int_equal(s.out.data[0], 0x82);
    assert_memory_equal(s.out.data + 4, "\0\0\1a\x11", 5);
    tern__buf_clear(&s.out);
    assert_null(tern__engine_next_completion(s.engine)); /* its asker has the answer already */
    script_free(&s);
}

/* A renewal never exceeds what the server takes, in whatever pieces the filters were asked for.
 * [MQTT5-3.2.2-15] */
static void renewed_in_pieces(unsigned per_request, unsigned maximum)
{
    enum { FILTERS = 60 };
    script s;
    char connack[48];
    unsigned found = 0;
    script_ready(&s, TERN__V5);
    for (unsigned i = 0; i < FILTERS; i += per_request) {
        tern_subscription *wish = NULL;
        assert_int_equal(tern_subscription_new(&wish), 0);
        for (unsigned n = i; n < i + per_request; n++) {
            char filter[24];
            (void)snprintf(filter, sizeof filter, "filter/%03u", n);
            assert_int_equal(tern_subscription_add(wish, filter, TERN_QOS_1), 0);
        }
        assert_int_equal(tern__engine_subscribe(s.engine, wish, NULL, s.now), 0);
        tern_subscription_free(wish);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        uint8_t suback[5 + FILTERS] = {0x90, (uint8_t)(3 + per_request), 0,
                                       (uint8_t)(1 + i / per_request), 0};
        assert_int_equal(script_recv_bytes(&s, suback, 5 + per_request), 0);
    }
    script_offline(&s);
    (void)snprintf(connack, sizeof connack, "20 08 00 00 05 27 %08x", maximum);
    script_online(&s, connack);
    script_drain(&s, SIZE_MAX);
    for (size_t at = 0; at < s.out.len;) {
        size_t head = 0;
        const size_t len = script_packet_len(s.out.data + at, s.out.len - at, &head);
        assert_true(len != 0 && len <= maximum);
        assert_int_equal(s.out.data[at], 0x82);
        for (size_t filter = at + head + 3; filter < at + len;
             filter += 13) { /* in order, none twice */
            char name[24];
            (void)snprintf(name, sizeof name, "filter/%03u", found++);
            assert_memory_equal(s.out.data + filter + 2, name, 10);
        }
        at += len;
    }
    assert_int_equal(found, FILTERS);
    tern__buf_clear(&s.out);
    script_free(&s);
}

static void test_renewals_fit_a_smaller_server(void **state)
{
    (void)state;
    static const unsigned maxima[] = {18, 31, 44, 100, 1000, 100000};
    static const unsigned sizes[] = {1, 3, 20, 60};
    for (size_t i = 0; i < COUNT(maxima); i++)
        for (size_t n = 0; n < COUNT(sizes); n++)
            renewed_in_pieces(sizes[n], maxima[i]);
}

/* ---- requests that cross ---- */

/* Given up before it was sent: both go out in their order, and nothing is renewed afterwards. */
static void test_given_up_while_it_waits(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        const bool v5 = version == TERN__V5;
        script s;
        tern__completion asked;
        tern__completion given_up;
        script_init(&s, version);
        script_start(&s);
        script_subscribe(&s, "a", TERN_QOS_1, &asked);
        script_unsubscribe(&s, "a", &given_up);
        script_online(&s, NULL);
        script_expect(&s, v5 ? "82 07 00 01 00 00 01 'a' 01 a2 06 00 02 00 00 01 'a'"
                             : "82 06 00 01 00 01 'a' 01 a2 05 00 02 00 01 'a'");
        script_offline(&s); /* neither was answered: again, in the same order */
        script_online(&s, v5 ? "20 03 01 00 00" : "20 02 01 00");
        script_expect(&s, v5 ? "82 07 00 03 00 00 01 'a' 01 a2 06 00 04 00 00 01 'a'"
                             : "82 06 00 03 00 01 'a' 01 a2 05 00 04 00 01 'a'");
        assert_int_equal(script_recv(&s, v5 ? "90 04 00 03 00 01 b0 04 00 04 00 00"
                                            : "90 03 00 03 01 b0 02 00 04"),
                         0);
        script_answered(&s, &asked, 0, "01");
        script_answered(&s, &given_up, 0, v5 ? "00" : "");
        script_offline(&s);
        script_online(&s, NULL);
        script_expect(&s, "");
        script_free(&s);
    }
}

/* The session is lost before the UNSUBACK: whatever order the packets take, the filter is gone at
 * the end. */
static void test_given_up_and_then_the_session_is_lost(void **state)
{
    (void)state;
    script s;
    tern__completion given_up;
    script_ready(&s, TERN__V311);
    script_subscribe(&s, "a", TERN_QOS_1, NULL);
    script_subscribe(&s, "b", TERN_QOS_1, NULL);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    grant(&s, 1, 2);
    script_unsubscribe(&s, "a", &given_up);
    script_expect(&s, "a2 05 00 03 00 01 'a'");
    script_offline(&s);
    script_online(&s, NULL);
    script_expect(&s, "82 0a 00 04 00 01 'a' 01 00 01 'b' 01 a2 05 00 05 00 01 'a'");
    assert_int_equal(script_recv(&s, "90 04 00 04 01 01 b0 02 00 05"), 0);
    script_answered(&s, &given_up, 0, "");
    script_offline(&s);
    script_online(&s, NULL);
    script_expect(&s, "82 06 00 06 00 01 'b' 01");
    script_free(&s);
}

/* A wish that waits outlives any number of connections, refused and broken ones. [C21] */
static void test_a_wish_waits_through_everything(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_subscribe(&s, "a", TERN_QOS_1, &done);
    for (unsigned i = 1; i <= 5; i++) {
        char hex[48];
        script_open(&s);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        assert_int_equal(script_recv(&s, "20 03 00 88 00"), TERN_E_REFUSED);
        assert_int_equal(script_event(&s), TERN__EVENT_REFUSED);
        script_offline(&s);
        script_online(&s, NULL);
        (void)snprintf(hex, sizeof hex, "82 07 00 %02x 00 00 01 'a' 01", i);
        script_expect(&s, hex);
        assert_null(tern__engine_next_completion(s.engine));
        assert_int_equal(tern__engine_open_count(s.engine), 1);
        script_offline(&s);
    }
    script_online(&s, "20 03 01 00 00");
    script_expect(&s, "82 07 00 06 00 00 01 'a' 01");
    assert_int_equal(script_recv(&s, "90 04 00 05 00 01"), 0); /* the answer to an older packet */
    assert_null(tern__engine_next_completion(s.engine));
    assert_int_equal(script_recv(&s, "90 04 00 06 00 01"), 0);
    script_answered(&s, &done, 0, "01");
    script_free(&s);
}

/* Ids of requests and messages come from one pool; where all are taken a request waits for the next
 * free one. [MQTT5-2.2.1-3] */
static void test_a_request_waits_for_an_id(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    script_ready(&s, TERN__V311);
    for (int i = 0; i < 65535; i++)
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.out.len, 65535 * 7);
    tern__buf_clear(&s.out);
    script_subscribe(&s, "f", TERN_QOS_1, &done);
    script_expect(&s, "");
    script_offline(&s);
    script_open(&s);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "20"), 0); /* it does not go out before CONNACK either */
    script_expect(&s, "");
    assert_int_equal(script_recv(&s, "02 01 00"), 0);
    assert_int_equal(script_event(&s), TERN__EVENT_CONNECTED);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.out.len, 65535 * 7); /* the messages once more, which hold all ids still */
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "40 02 01 00"), 0);
    script_expect(&s, "82 06 01 00 00 01 'f' 01");
    assert_int_equal(script_recv(&s, "90 03 01 00 01"), 0);
    script_answered(&s, &done, 0, "01");
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identifiers_and_user_properties),
        cmocka_unit_test(test_every_combination_of_options),
        cmocka_unit_test(test_every_code_in_its_place),
        cmocka_unit_test(test_a_wrong_number_of_codes),
        cmocka_unit_test(test_answers_out_of_order),
        cmocka_unit_test(test_the_later_options_are_renewed),
        cmocka_unit_test(test_only_what_was_granted_is_renewed),
        cmocka_unit_test(test_renewed_only_when_the_session_is_lost),
        cmocka_unit_test(test_renewals_fit_a_smaller_server),
        cmocka_unit_test(test_given_up_while_it_waits),
        cmocka_unit_test(test_given_up_and_then_the_session_is_lost),
        cmocka_unit_test(test_a_wish_waits_through_everything),
        cmocka_unit_test(test_a_request_waits_for_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
