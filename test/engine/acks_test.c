/* Acknowledging what came in: order under any order of the application's, quotas, repeats and
 * connections. [C9] SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void online(script *s, int version, uint16_t receive_maximum, bool manual)
{
    script_init(s, version);
    s->config.receive_maximum = receive_maximum;
    s->config.manual_ack = manual;
    script_start(s);
    script_online(s, NULL);
}

/* A PUBLISH to "a" with an empty payload. */
static int publish(script *s, uint8_t qos, uint16_t id, bool dup)
{
    const bool v5 = s->connect.version == TERN__V5;
    const uint8_t packet[] = {(uint8_t)(0x30 | (dup ? 8 : 0) | qos << 1),
                              v5 ? 6 : 5,
                              0,
                              1,
                              'a',
                              (uint8_t)(id >> 8),
                              (uint8_t)id,
                              0};
    return script_recv_bytes(s, packet, v5 ? sizeof packet : sizeof packet - 1);
}

static int send_ack(script *s, uint8_t header, uint16_t id)
{
    const uint8_t packet[] = {header, 2, (uint8_t)(id >> 8), (uint8_t)id};
    return script_recv_bytes(s, packet, sizeof packet);
}

/* Takes n acks off the output; the ids must be first, first + 1, ... of QoS 1 and 2 in turn. */
static uint32_t expect_in_order(script *s, uint32_t first)
{
    script_drain(s, SIZE_MAX);
    assert_int_equal(s->out.len % 4, 0);
    const uint32_t n = (uint32_t)s->out.len / 4;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t id = first + i;
        const uint8_t want[] = {id % 2 == 1 ? 0x40 : 0x50, 2, (uint8_t)(id >> 8), (uint8_t)id};
        assert_memory_equal(s->out.data + 4 * i, want, sizeof want);
    }
    tern__buf_clear(&s->out);
    return n;
}

/* However the application goes about it, acks leave in the order of arrival, each as soon as it
 * can. [MQTT5-4.6.0-2] [MQTT5-4.6.0-3] [MQTT311-4.6.0-2] [MQTT311-4.6.0-3] */
static void test_acks_in_any_order_leave_in_order(void **state)
{
    (void)state;
    enum { MESSAGES = 500 };
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        uint32_t order[MESSAGES];
        bool done[MESSAGES + 2] = {false};
        uint32_t random = 7;
        uint32_t sent = 0;
        online(&s, version, 65535, true);
        for (uint32_t i = 0; i < MESSAGES; i++) { /* odd ids of QoS 1, even ones of QoS 2 */
            assert_int_equal(publish(&s, i % 2 == 0 ? 1 : 2, (uint16_t)(i + 1), false), 0);
            order[i] = i + 1;
        }
        (void)script_delivered(&s);
        for (uint32_t i = MESSAGES - 1; i > 0; i--) {
            random = random * 1664525u + 1013904223u;
            const uint32_t other = (random >> 8) % (i + 1);
            const uint32_t seq = order[i];
            order[i] = order[other];
            order[other] = seq;
        }
        for (uint32_t i = 0; i < MESSAGES; i++) {
            assert_int_equal(tern__engine_stats_of(s.engine)->unacked_inbound, MESSAGES - sent);
            assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, order[i]), 0);
            assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, order[i]), TERN_E_STATE);
            done[order[i]] = true;
            sent += expect_in_order(&s, sent + 1);
            assert_false(done[sent + 1]); /* nothing that could go stays */
            assert_true(sent == 0 || done[sent]);
        }
        assert_int_equal(sent, MESSAGES);
        assert_int_equal(tern__engine_stats_of(s.engine)->oldest_unacked_us, 0);
        script_free(&s);
    }
}

static void test_acks_up_to_a_point(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 65535, false);
    for (uint16_t i = 1; i <= 10; i++)
        assert_int_equal(publish(&s, i % 2 == 1 ? 1 : 2, i, false), 0);
    (void)script_delivered(&s);
    assert_int_equal(s.last_seq, 10);
    tern__engine_ack_through(s.engine, s.epoch, 3);
    assert_int_equal(expect_in_order(&s, 1), 3);
    tern__engine_ack_through(s.engine, s.epoch, 3); /* again, or of what is not there: nothing */
    tern__engine_ack_through(s.engine, s.epoch, 2);
    tern__engine_ack_through(s.engine, s.epoch, 11);
    tern__engine_ack_through(s.engine, s.epoch - 1, 5);
    script_expect(&s, "");
    tern__engine_ack_through(s.engine, s.epoch, 10);
    assert_int_equal(expect_in_order(&s, 4), 7);
    script_free(&s);
}

static void test_an_ack_belongs_to_its_connection(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V311, 65535, true);
    assert_int_equal(publish(&s, 1, 1, false), 0);
    (void)script_delivered(&s);
    const uint64_t old = s.epoch;
    script_offline(&s);
    assert_int_equal(tern__engine_ack_one(s.engine, old, 1), TERN_E_STALE);
    script_online(&s, "20 02 01 00");
    assert_int_equal(publish(&s, 1, 1, true),
                     0); /* the same message again: its own ack_seq, its own epoch */
    assert_string_equal(script_delivered(&s), "a=/1d;");
    assert_true(s.epoch != old);
    assert_int_equal(tern__engine_ack_one(s.engine, old, 1), TERN_E_STALE);
    tern__engine_ack_through(s.engine, old, 1);
    script_expect(&s, "");
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 1), 0);
    script_expect(&s, "40 02 00 01");
    tern__engine_disconnect(s.engine, 0, false, s.now);
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 1),
                     TERN_E_STALE); /* behind DISCONNECT nothing goes */
    script_expect(&s, "e0 00");
    script_free(&s);
}

/* After its PUBACK an id is free: the same id is another message, whatever its DUP says.
 * [MQTT5-4.3.2-5] [MQTT311-4.3.2-2] */
static void test_after_its_puback_an_id_is_new(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 1, false);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(publish(&s, 1, 9, i % 2 == 1), 0);
        assert_string_equal(script_delivered(&s), i % 2 == 1 ? "a=/1d;" : "a=/1;");
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        script_expect(&s, "40 02 00 09");
    }
    script_free(&s);
}

/* A repeat of QoS 2 is no other message: it is answered, not delivered, and takes no more of our
 * quota, however often it comes. [MQTT5-4.3.3-10] [MQTT5-2.2.1-4] [MQTT311-4.3.3-2] */
static void test_repeats_of_qos2_are_answered_and_cost_nothing(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 2, false);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(publish(&s, 2, 5, false), 0);
        assert_string_equal(script_delivered(&s), "a=/2;");
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        script_expect(&s, "50 02 00 05");
        for (int i = 0; i < 100; i++) {
            assert_int_equal(publish(&s, 2, 5, i % 2 == 0), 0);
            assert_string_equal(script_delivered(&s), "");
            script_expect(&s, "50 02 00 05");
        }
        assert_int_equal(publish(&s, 1, 6, false), 0); /* the other place is free */
        assert_string_equal(script_delivered(&s), "a=/1;");
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        script_expect(&s, "40 02 00 06");
        assert_int_equal(send_ack(&s, 0x62, 5), 0);
        script_expect(&s, "70 02 00 05");
    }
    script_free(&s);
}

/* A repeat before the first one is acknowledged: both PUBRECs, in their turn. */
static void test_a_repeat_of_what_is_not_acknowledged_yet(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 65535, true);
    assert_int_equal(publish(&s, 2, 5, false), 0);
    assert_int_equal(publish(&s, 2, 5, true), 0);
    assert_int_equal(publish(&s, 1, 6, false), 0);
    assert_string_equal(script_delivered(&s), "a=/2;a=/1;");
    script_expect(&s, "");
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 1), 0);
    script_expect(&s, "50 02 00 05 50 02 00 05");
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, s.last_seq), 0);
    script_expect(&s, "40 02 00 06");
    script_free(&s);
}

/* Repeats that nobody can answer yet take room: there is an end to that. [C10] */
static void test_repeats_without_end(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        int rc = 0;
        uint32_t count = 0;
        online(&s, version, 10, true);
        assert_int_equal(publish(&s, 2, 5, false), 0);
        while (rc == 0 && count < 100000) {
            rc = publish(&s, 2, 5, true);
            count++;
        }
        assert_int_equal(rc, TERN_E_PROTOCOL);
        assert_in_range(count, 60000, 70000);
        assert_string_equal(script_delivered(&s), "a=/2;");
        script_expect(&s, version == TERN__V5 ? "e0 01 93" : "");
        script_free(&s);
    }
}

/* ---- our quota ---- */

/* One more than we said, of each kind, at each size of the window. [MQTT5-3.3.4-9] */
static void test_one_too_many(void **state)
{
    (void)state;
    static const uint16_t maxima[] = {1, 2, 10, 1000};
    for (size_t i = 0; i < COUNT(maxima); i++) {
        for (uint8_t qos = 1; qos <= 2; qos++) {
            script s;
            online(&s, TERN__V5, maxima[i], false);
            for (uint16_t id = 1; id <= maxima[i]; id++)
                assert_int_equal(publish(&s, qos, id, false), 0);
            (void)script_delivered(&s);
            assert_int_equal(script_recv(&s, "30 04 00 01 'q' 00"),
                             0); /* QoS 0 has no part in it */
            assert_string_equal(script_delivered(&s), "q=/0;");
            script_refuses(&s, qos == 1 ? "32 06 00 01 'x' ff ff 00" : "34 06 00 01 'x' ff ff 00",
                           TERN_E_PROTOCOL, 0x93);
            script_free(&s);
        }
    }
}

/* Where the quota comes back: with PUBACK; with PUBCOMP, not with PUBREC. */
static void test_what_gives_the_quota_back(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 1, false);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(publish(&s, (uint8_t)(1 + i % 2), 7, false), 0);
        (void)script_delivered(&s);
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        if (i % 2 == 1) assert_int_equal(send_ack(&s, 0x62, 7), 0);
        script_expect(&s, i % 2 == 1 ? "50 02 00 07 70 02 00 07" : "40 02 00 07");
    }
    assert_int_equal(send_ack(&s, 0x62, 7), 0); /* a PUBREL of nothing gives nothing back */
    script_expect(&s, "70 03 00 07 92");
    assert_int_equal(publish(&s, 2, 7, false), 0);
    (void)script_delivered(&s);
    tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
    script_expect(&s, "50 02 00 07");
    script_refuses(&s, "32 06 00 01 'x' 00 08 00", TERN_E_PROTOCOL, 0x93);
    script_free(&s);
}

/* Each connection starts with the whole quota, whatever an earlier one left open. [MQTT5-4.9.0-1]
 */
static void test_a_connection_starts_with_the_whole_quota(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 2, false);
    assert_int_equal(publish(&s, 2, 1, false), 0);
    assert_int_equal(publish(&s, 2, 2, false), 0);
    (void)script_delivered(&s);
    tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
    script_expect(&s, "50 02 00 01 50 02 00 02");
    for (int i = 0; i < 5; i++) {
        script_offline(&s);
        script_online(&s, "20 03 01 00 00");
        assert_int_equal(publish(&s, 2, 1, true), 0); /* unanswered for the broker */
        assert_int_equal(publish(&s, 2, 2, true), 0);
        assert_string_equal(script_delivered(&s), "");
        script_expect(&s, "50 02 00 01 50 02 00 02");
    }
    assert_int_equal(send_ack(&s, 0x62, 1), 0);
    assert_int_equal(send_ack(&s, 0x62, 2), 0);
    script_expect(&s, "70 02 00 01 70 02 00 02");
    assert_int_equal(publish(&s, 1, 3, false), 0);
    assert_int_equal(publish(&s, 1, 4, false), 0);
    assert_string_equal(script_delivered(&s), "a=/1;a=/1;");
    script_free(&s);
}

/* 3.1.1 has no such rule. */
static void test_no_quota_in_311(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V311, 1, false);
    for (uint16_t id = 1; id <= 5000; id++)
        assert_int_equal(publish(&s, (uint8_t)(1 + id % 2), id, false), 0);
    (void)script_delivered(&s);
    assert_int_equal(script_event(&s), 0);
    script_free(&s);
}

/* ---- PUBREL ---- */

static void test_every_form_of_pubrel(void **state) /* [MQTT5-4.3.3-11] [V5-U-17] [V5-U-19] */
{
    (void)state;
    static const struct {
        int version;
        const char *pubrel;
        const char *known;
        const char *unknown;
    } rows[] = {
        {TERN__V311, "62 02 00 05", "70 02 00 05", "70 02 00 05"},
        {TERN__V5, "62 02 00 05", "70 02 00 05", "70 03 00 05 92"},
        {TERN__V5, "62 03 00 05 00", "70 02 00 05", "70 03 00 05 92"},
        {TERN__V5, "62 04 00 05 00 00", "70 02 00 05", "70 03 00 05 92"},
        {TERN__V5, "62 03 00 05 92", "70 02 00 05", "70 03 00 05 92"},
        {TERN__V5, "62 10 00 05 00 0c 1f 00 02 'rs' 26 00 01 'k' 00 01 'v'", "70 02 00 05",
         "70 03 00 05 92"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        online(&s, rows[i].version, 65535, false);
        assert_int_equal(script_recv(&s, rows[i].pubrel), 0);
        script_expect(&s, rows[i].unknown);
        assert_int_equal(publish(&s, 2, 5, false), 0);
        (void)script_delivered(&s);
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        script_expect(&s, "50 02 00 05");
        assert_int_equal(script_recv(&s, rows[i].pubrel), 0);
        script_expect(&s, rows[i].known);
        assert_int_equal(script_recv(&s, rows[i].pubrel), 0); /* a repeat: it is unknown now */
        script_expect(&s, rows[i].unknown);
        assert_int_equal(publish(&s, 2, 5, true), 0); /* and the id free [MQTT5-4.3.3-12] */
        assert_string_equal(script_delivered(&s), "a=/2d;");
        script_free(&s);
    }
}

/* Every id there is, held and let go. */
static void test_all_ids_can_be_held(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 65535, false);
    for (uint32_t id = 1; id <= 65535; id++)
        assert_int_equal(publish(&s, 2, (uint16_t)id, false), 0);
    (void)script_delivered(&s);
    tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.out.len, 4 * 65535);
    tern__buf_clear(&s.out);
    assert_int_equal(publish(&s, 2, 65535, false), 0);
    assert_int_equal(publish(&s, 2, 1, true), 0);
    assert_string_equal(script_delivered(&s), "");
    script_expect(&s, "50 02 ff ff 50 02 00 01");
    for (uint32_t id = 65535; id >= 1; id--)
        assert_int_equal(send_ack(&s, 0x62, (uint16_t)id), 0);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.out.len, 4 * 65535);
    assert_memory_equal(s.out.data, "\x70\x02\xff\xff", 4);
    tern__buf_clear(&s.out);
    script_free(&s);
}

/* The statistic follows the oldest that is left, also where there always is one. */
static void test_the_age_of_the_oldest_is_true(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V311);
    s.config.manual_ack = true;
    script_start(&s);
    script_online(&s, NULL);
    uint64_t came[4];
    for (uint32_t i = 1; i <= 3; i++) {
        s.now += SCRIPT_SECOND;
        came[i] = s.now;
        char hex[40];
        snprintf(hex, sizeof hex, "32 05 00 01 'a' 00 %02X", i);
        assert_int_equal(script_recv(&s, hex), 0);
    }
    (void)script_delivered(&s);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(tern__engine_stats_of(s.engine)->oldest_unacked_us, came[i]);
        assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, i), 0);
    }
    assert_int_equal(tern__engine_stats_of(s.engine)->oldest_unacked_us, 0);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_age_of_the_oldest_is_true),
        cmocka_unit_test(test_acks_in_any_order_leave_in_order),
        cmocka_unit_test(test_acks_up_to_a_point),
        cmocka_unit_test(test_an_ack_belongs_to_its_connection),
        cmocka_unit_test(test_after_its_puback_an_id_is_new),
        cmocka_unit_test(test_repeats_of_qos2_are_answered_and_cost_nothing),
        cmocka_unit_test(test_a_repeat_of_what_is_not_acknowledged_yet),
        cmocka_unit_test(test_repeats_without_end),
        cmocka_unit_test(test_one_too_many),
        cmocka_unit_test(test_what_gives_the_quota_back),
        cmocka_unit_test(test_a_connection_starts_with_the_whole_quota),
        cmocka_unit_test(test_no_quota_in_311),
        cmocka_unit_test(test_every_form_of_pubrel),
        cmocka_unit_test(test_all_ids_can_be_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
