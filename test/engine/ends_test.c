/* How connections and clients end: our DISCONNECT in every state, each of the server's, and the
 * outcomes of what is left. [C1] [C2] [C12] SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- ours ---- */

/* Whatever the transport had taken when it was asked for: what was begun is finished, DISCONNECT is
 * last, and what was not begun waits for another connection. [MQTT5-3.14.4-1] [MQTT311-3.14.4-2] */
static void test_disconnect_at_every_byte(void **state)
{
    (void)state;
    static const char *const whole =
        "30 08 00 01 'a' 00 'one1' 30 08 00 01 'a' 00 'two2' 30 08 00 01 'a' 00 'thr3'";
    uint8_t bytes[64];
    const size_t len = script_parse(whole, bytes, sizeof bytes);
    for (size_t taken = 0; taken <= len; taken++) {
        script s;
        tern__completion done[3];
        script_ready(&s, TERN__V5);
        assert_int_equal(script_publish(&s, 0, "a", "one1", &done[0]), 0);
        assert_int_equal(script_publish(&s, 0, "a", "two2", &done[1]), 0);
        assert_int_equal(script_publish(&s, 0, "a", "thr3", &done[2]), 0);
        script_drain(&s, taken);
        tern__engine_disconnect(s.engine, 0, false, s.now);
        assert_int_equal(script_publish(&s, 0, "a", "late", NULL), 0);
        script_drain(&s, SIZE_MAX);
        assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
        assert_true(s.out.len >= taken + 2 && (s.out.len - 2) % 10 == 0);
        assert_memory_equal(s.out.data + s.out.len - 2, "\xe0\0", 2);
        assert_memory_equal(s.out.data, bytes, s.out.len - 2);
        const size_t sent = (s.out.len - 2) / 10;
        tern__buf_clear(&s.out);
        for (size_t i = 0; i < sent; i++)
            script_outcome(&s, &done[i], TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1);
        assert_null(tern__engine_next_completion(s.engine));
        script_offline(&s);
        assert_int_equal(tern__engine_open_count(s.engine), 4 - sent);
        script_online(&s,
                      NULL); /* closing is the owner's decision: the log is whole, and in order */
        script_drain(&s, SIZE_MAX);
        assert_int_equal(s.out.len, 10 * (4 - sent));
        assert_memory_equal(s.out.data, bytes + 10 * sent, 10 * (3 - sent));
        tern__buf_clear(&s.out);
        for (size_t i = sent; i < 3; i++)
            script_outcome(&s, &done[i], TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1);
        script_free(&s);
    }
}

/* Neither a full window nor a large backlog holds it back. [MQTT5-3.3.4-8] */
static void test_disconnect_overtakes_the_backlog(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 06 00 00 03 21 00 01");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    script_expect(&s, "32 06 00 01 'a' 00 01 00");
    tern__engine_disconnect(s.engine, 0, true, s.now);
    script_expect(&s, "e0 07 00 05 11 00 00 00 00");
    assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
    script_free(&s);
}

/* What comes in behind our DISCONNECT may still end messages, but nothing more goes out. */
static void test_nothing_goes_out_behind_disconnect(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        const bool v5 = version == TERN__V5;
        script s;
        tern__completion one;
        tern__completion two;
        script_ready(&s, version);
        assert_int_equal(script_publish(&s, 1, "a", "", &one), 0);
        assert_int_equal(script_publish(&s, 2, "a", "", &two), 0);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        tern__engine_disconnect(s.engine, 0, false, s.now);
        script_expect(&s, "e0 00");
        tern__engine_disconnect(s.engine, 4, true, s.now); /* again: it was said */
        script_subscribe(&s, "f", TERN_QOS_0, NULL);
        (void)script_recv(&s, v5 ? "40 02 00 01 50 02 00 02 62 02 00 09 32 06 00 01 'b' 00 01 00"
                                 : "40 02 00 01 50 02 00 02 62 02 00 09 32 05 00 01 'b' 00 01");
        (void)script_event(&s);
        (void)script_delivered(&s);
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        s.now += 1000 * (uint64_t)SCRIPT_SECOND;
        tern__engine_tick(s.engine, s.now);
        script_expect(&s, "");
        assert_int_equal(script_recv(&s, "41 02 00 01"), TERN_E_MALFORMED);
        assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
        assert_int_equal(s.event.reason, -1); /* there is no second DISCONNECT to carry it */
        script_expect(&s, "");
        script_outcome(&s, &one, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        script_offline(&s);
        script_online(&s, v5 ? "20 03 01 00 00" : "20 02 01 00");
        script_expect(&s, v5 ? "62 02 00 02 82 07 00 03 00 00 01 'f' 00"
                             : "62 02 00 02 82 06 00 03 00 01 'f' 00");
        assert_int_equal(script_recv(&s, "70 02 00 02"), 0);
        script_ended(&s, &two);
        script_free(&s);
    }
}

/* Every reason that a client may give, and those that it may not. [MQTT5-3.14.2-1] [V5-U-18] */
static void test_reasons_of_ours(void **state)
{
    (void)state;
    static const uint8_t legal[] = {0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93,
                                    0x94, 0x95, 0x96, 0x97, 0x98, 0x99};
    for (size_t i = 0; i < COUNT(legal); i++) {
        script s;
        char hex[16];
        script_ready(&s, TERN__V5);
        tern__engine_disconnect(s.engine, legal[i], false, s.now);
        (void)snprintf(hex, sizeof hex, "e0 01 %02x", legal[i]);
        script_expect(&s, hex);
        script_free(&s);
    }
}

/* The expiry goes along where there is one to end, be it the server's. [V5-U-11] */
static void test_when_the_expiry_goes_along(void **state)
{
    (void)state;
    static const struct {
        uint32_t ours;
        const char *connack;
        const char *bytes;
    } rows[] = {
        {3600, "20 03 00 00 00", "e0 07 00 05 11 00 00 00 00"},
        {UINT32_MAX, "20 03 00 00 00", "e0 07 00 05 11 00 00 00 00"},
        {3600, "20 08 00 00 05 11 00 00 00 0a", "e0 07 00 05 11 00 00 00 00"},
        {0, "20 03 00 00 00", "e0 00"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        script_init(&s, TERN__V5);
        s.connect.session_expiry = rows[i].ours;
        script_start(&s);
        script_online(&s, rows[i].connack);
        tern__engine_disconnect(s.engine, 0, true, s.now);
        script_expect(&s, rows[i].bytes);
        script_free(&s);
    }
}

static void test_disconnect_before_connack_and_offline(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        tern__completion done;
        script_init(&s, version);
        script_start(&s);
        assert_int_equal(script_publish(&s, 0, "a", "", &done), 0);
        tern__engine_disconnect(s.engine, 0, true, s.now); /* offline */
        assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
        script_expect(&s, "");
        script_open(&s);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        tern__engine_disconnect(s.engine, 0, true, s.now); /* CONNECT is out, and not answered */
        assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
        assert_int_equal(tern__engine_open_count(s.engine), 1);
        script_offline(&s);
        assert_int_equal(tern__engine_abandon(s.engine), 0);
        script_outcome(&s, &done, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED, -1);
        script_free(&s);
    }
}

/* ---- the server's ---- */

/* Section 3.14.2.1, what a server may say. */
static bool servers_reason(int code)
{
    static const uint8_t codes[] = {0,    0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d,
                                    0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
                                    0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2};
    return memchr(codes, code, sizeof codes) != NULL;
}

/* All 256 codes: told as they are, the state kept, nothing answered. [MQTT5-3.14.2-1]
 * [MQTT5-4.13.2-1] [MQTT5-3.1.4-3] */
static void test_every_reason_of_the_servers(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        script s;
        tern__completion done;
        char hex[64];
        script_ready(&s, TERN__V5);
        assert_int_equal(script_publish(&s, 1, "a", "", &done), 0);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        (void)snprintf(hex, sizeof hex, "e0 12 %02x 10 1f 00 03 'w' 07 'y' 1c 00 07 'b:1 c:2'",
                       (unsigned)code);
        if (servers_reason(code)) {
            assert_int_equal(script_recv(&s, hex), TERN_E_DISCONNECTED);
            assert_int_equal(script_event(&s), TERN__EVENT_DISCONNECTED);
            assert_int_equal(s.event.error, TERN_E_DISCONNECTED);
            assert_int_equal(s.event.reason, code);
            assert_int_equal(strlen(s.event.text), 3);
            assert_true(s.event.text[0] == 'w' && s.event.text[1] != 7 && s.event.text[2] == 'y');
            assert_string_equal(s.event.reference, "b:1 c:2");
            script_expect(&s, "");
            assert_int_equal(script_recv(&s, "40 02 00 01"), TERN_E_STATE);
        } else {
            script_refuses(&s, hex, TERN_E_PROTOCOL, 0x82);
        }
        assert_false(tern__engine_connected(s.engine));
        assert_null(tern__engine_next_completion(s.engine));
        script_offline(&s);
        script_online(&s, "20 03 01 00 00");
        script_expect(&s, "3a 06 00 01 'a' 00 01 00");
        script_free(&s);
    }
}

/* Texts longer than there is room for are cut, not lost. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    uint8_t packet[2100] = {0xe0, 0, 0, 0x98, 0, 0, 0x1f, 1000 >> 8, 1000 & 255};
    script s;
    memset(packet + 9, 'r', 1000);
    packet[1009] = 0x1c;
    packet[1010] = 1000 >> 8;
    packet[1011] = 1000 & 255;
    memset(packet + 1012, 's', 1000);
    const unsigned props = 2006;
    packet[4] = (uint8_t)(0x80 | (props & 127));
    packet[5] = (uint8_t)(props >> 7);
    packet[1] = (uint8_t)(0x80 | ((props + 3) & 127));
    packet[2] = (uint8_t)((props + 3) >> 7);
    script_ready(&s, TERN__V5);
    assert_int_equal(script_recv_bytes(&s, packet, 6 + props), TERN_E_DISCONNECTED);
    assert_int_equal(script_event(&s), TERN__EVENT_DISCONNECTED);
    assert_in_range(strlen(s.event.text), 200, 255);
    assert_in_range(strlen(s.event.reference), 200, 255);
    assert_int_equal(strspn(s.event.text, "r"), strlen(s.event.text));
    assert_int_equal(strspn(s.event.reference, "s"), strlen(s.event.reference));
    script_free(&s);
}

/* ---- what is left ---- */

/* One message and one request in each state that there is, ended at each point where the transport
 * can stop. */
static void test_outcomes_by_how_far_it_came(void **state)
{
    (void)state;
    static const struct {
        uint8_t qos;
        size_t taken; /* bytes that went out, of 7 to 9 */
        const char *answer;
        tern_outcome outcome;
        tern_cause cause;
    } rows[] = {
        {0, 0, "", TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED},
        {0, 1, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CONNECTION_LOST},
        {0, 6, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CONNECTION_LOST},
        {0, 7, "", TERN_OUTCOME_SENT, TERN_CAUSE_NONE},
        {1, 0, "", TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED},
        {1, 1, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED},
        {1, 8, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED},
        {1, 9, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED},
        {1, 9, "40 03 00 01 97", TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE},
        {2, 0, "", TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED},
        {2, 1, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED},
        {2, 9, "", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED},
        {2, 9, "50 02 00 01", TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED},
        {2, 9, "50 02 00 01 70 02 00 01", TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int asked = 0; asked <= 1; asked++) { /* told to a completion, or as a range */
            script s;
            tern__completion done;
            tern__range range;
            script_ready(&s, TERN__V5);
            assert_int_equal(script_publish(&s, rows[i].qos, "a", "x", asked ? &done : NULL), 0);
            script_drain(&s, rows[i].taken);
            assert_int_equal(s.out.len, rows[i].taken);
            tern__buf_clear(&s.out);
            assert_int_equal(script_recv(&s, rows[i].answer), 0);
            script_offline(&s);
            assert_int_equal(tern__engine_abandon(s.engine), 0);
            if (asked) {
                script_ended(&s, &done);
                assert_int_equal(done.outcome, rows[i].outcome);
                assert_int_equal(done.cause, rows[i].cause);
            } else {
                assert_true(tern__engine_next_range(s.engine, &range));
                assert_true(range.first == 1 && range.last == 1);
                assert_int_equal(range.outcome, rows[i].outcome);
                assert_int_equal(range.cause, rows[i].cause);
            }
            assert_false(tern__engine_next_range(s.engine, &range));
            assert_null(tern__engine_next_completion(s.engine));
            assert_int_equal(tern__engine_open_count(s.engine), 0);
            assert_int_equal(tern__engine_settled_id(s.engine), 1);
            script_free(&s);
        }
    }
}

/* Ten thousand of each kind: every id is told once. [C1] */
static void test_every_id_is_told_once(void **state)
{
    (void)state;
    enum { MESSAGES = 30000 };
    script s;
    tern__range range;
    static uint8_t told[MESSAGES + 1];
    memset(told, 0, sizeof told);
    script_ready(&s, TERN__V5);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(script_publish(&s, (uint8_t)(i % 3), "a", "x", NULL), 0);
    script_drain(&s, 100000);
    tern__buf_clear(&s.out);
    script_offline(&s);
    assert_int_equal(tern__engine_abandon(s.engine), 0);
    unsigned counts[6] = {0};
    while (tern__engine_next_range(s.engine, &range)) {
        assert_true(range.first >= 1 && range.first <= range.last && range.last <= MESSAGES);
        for (uint64_t id = range.first; id <= range.last; id++) {
            told[id]++;
            counts[range.outcome]++;
        }
    }
    for (int id = 1; id <= MESSAGES; id++)
        assert_int_equal(told[id], 1);
    assert_true(counts[TERN_OUTCOME_SENT] > 0 && counts[TERN_OUTCOME_NOT_SENT] > 0 &&
                counts[TERN_OUTCOME_UNKNOWN] > 0);
    for (int outcome = 1; outcome < 6; outcome++)
        assert_int_equal(tern__engine_stats_of(s.engine)->outcomes[outcome], counts[outcome]);
    assert_int_equal(tern__engine_settled_id(s.engine), MESSAGES);
    script_free(&s);
}

static void test_requests_end_with_the_client(void **state)
{
    (void)state;
    script s;
    tern__completion sent;
    tern__completion waiting;
    tern__completion given_up;
    tern__completion answered;
    script_ready(&s, TERN__V5);
    script_subscribe(&s, "a", TERN_QOS_0, &sent);
    script_subscribe(&s, "b", TERN_QOS_0, &answered);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "90 04 00 02 00 87"), 0);
    script_offline(&s);
    script_subscribe(&s, "c", TERN_QOS_0, &waiting);
    script_unsubscribe(&s, "a", &given_up);
    assert_int_equal(tern__engine_open_count(s.engine), 3);
    assert_int_equal(tern__engine_abandon(s.engine), 0);
    script_answered(&s, &answered, 0, "87"); /* that one had its answer */
    script_answered(&s, &sent, TERN_E_CLOSED, "");
    script_answered(&s, &waiting, TERN_E_CLOSED, "");
    script_answered(&s, &given_up, TERN_E_CLOSED, "");
    assert_null(tern__engine_next_completion(s.engine));
    assert_int_equal(tern__engine_open_count(s.engine), 0);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disconnect_at_every_byte),
        cmocka_unit_test(test_disconnect_overtakes_the_backlog),
        cmocka_unit_test(test_nothing_goes_out_behind_disconnect),
        cmocka_unit_test(test_reasons_of_ours),
        cmocka_unit_test(test_when_the_expiry_goes_along),
        cmocka_unit_test(test_disconnect_before_connack_and_offline),
        cmocka_unit_test(test_every_reason_of_the_servers),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_outcomes_by_how_far_it_came),
        cmocka_unit_test(test_every_id_is_told_once),
        cmocka_unit_test(test_requests_end_with_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
