/* Policies that drop: which messages go, which stay, and that each has its outcome.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "engine/machine.h"

enum { MANY = 4000 };

typedef struct fates {
    tern_outcome outcome[MANY + 1]; /* by id; PENDING none yet */
    tern_cause cause[MANY + 1];
} fates;

static fates f;

static void start(script *s, tern_outbox_policy policy, size_t bytes, size_t messages)
{
    script_init(s, TERN__V311);
    s->config.policy = policy;
    s->config.outbox_bytes = bytes;
    s->config.outbox_messages = messages;
    script_start(s);
    memset(&f, 0, sizeof f);
}

static void look(script *s)
{
    tern__range range;
    (void)tern__engine_sync_locked(s->engine);
    tern__engine_shed(s->engine);
    (void)tern__engine_sync_locked(s->engine);
    while (tern__engine_next_range(s->engine, &range)) {
        for (uint64_t id = range.first; id <= range.last; id++) {
            assert_int_equal(f.outcome[id], TERN_OUTCOME_PENDING); /* [C1] */
            f.outcome[id] = range.outcome;
            f.cause[id] = range.cause;
        }
    }
}

static int publish(script *s, uint8_t qos, size_t len)
{
    static char payload[4096];
    memset(payload, 'x', sizeof payload);
    payload[len] = '\0';
    return script_publish(s, qos, "t", payload, NULL);
}

static void expect_dropped(uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++) {
        assert_int_equal(f.outcome[id], TERN_OUTCOME_NOT_SENT);
        assert_int_equal(f.cause[id], TERN_CAUSE_DROPPED);
    }
}

static void expect_pending(uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++) assert_int_equal(f.outcome[id], TERN_OUTCOME_PENDING);
}

/* Whatever the batches in which they are taken over: the newest, or the oldest, stay. */
static void as_many_as_the_bound_says_stay(void **state)
{
    (void)state;
    static const size_t batches[] = {1, 3, 10, 60};
    for (size_t i = 0; i < 4; i++) {
        script s;
        start(&s, TERN_OUTBOX_DROP_OLDEST, SIZE_MAX, 10);
        for (unsigned n = 1; n <= 500; n++) {
            assert_true(publish(&s, n % 2 == 0, 5) >= 0);
            if (n % batches[i] == 0) look(&s);
        }
        look(&s);
        expect_dropped(1, 490);
        expect_pending(491, 500);
        assert_int_equal(tern__outbox_count_locked(tern__engine_outbox(s.engine)), 10);
        script_free(&s);
        start(&s, TERN_OUTBOX_DROP_NEWEST, SIZE_MAX, 10);
        for (unsigned n = 1; n <= 500; n++) {
            assert_true(publish(&s, n % 2 == 0, 5) >= 0);
            if (n % batches[i] == 0) look(&s);
        }
        look(&s);
        expect_pending(1, 10);
        expect_dropped(11, 500);
        assert_int_equal(tern__engine_stats_of(s.engine)->dropped, 490);
        script_free(&s);
    }
}

/* By bytes: what is too much for what is left goes, and a smaller one behind it may stay. */
static void bytes_are_counted_one_by_one(void **state)
{
    (void)state;
    script s;
    size_t each = 100 + 6 + sizeof(tern__entry); /* "30 68 00 01 't' 00" and the payload: until it is connected 5 is its form */
    start(&s, TERN_OUTBOX_DROP_NEWEST, 3 * each, 0);
    assert_int_equal(publish(&s, 0, 100), 0);
    assert_int_equal(publish(&s, 0, 100), 0);
    assert_int_equal(publish(&s, 0, 101), TERN__OUTBOX_OVER);
    assert_int_equal(publish(&s, 0, 10), TERN__OUTBOX_OVER);
    look(&s);
    expect_pending(1, 2);
    expect_dropped(3, 3);
    expect_pending(4, 4);
    script_online(&s, NULL);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.out.len, 2 * 105 + 15);
    s.out.len = 0;
    look(&s);
    assert_int_equal(f.outcome[4], TERN_OUTCOME_SENT);
    script_free(&s);

    start(&s, TERN_OUTBOX_DROP_OLDEST, 3 * each, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(publish(&s, 0, 100), 0);
    assert_int_equal(publish(&s, 0, 101), TERN__OUTBOX_OVER);
    look(&s);
    expect_dropped(1, 2);
    expect_pending(3, 4);
    /* Larger than the whole bound: everything goes for it, and then it is alone. */
    assert_int_equal(publish(&s, 0, 4000), TERN__OUTBOX_OVER);
    look(&s);
    expect_dropped(3, 4);
    expect_pending(5, 5);
    assert_int_equal(publish(&s, 0, 1), TERN_E_OUTBOX_FULL); /* until the engine has looked once more */
    tern__outbox_let_in_locked(tern__engine_outbox(s.engine), true);
    assert_int_equal(publish(&s, 0, 1), TERN__OUTBOX_OVER);
    tern__outbox_let_in_locked(tern__engine_outbox(s.engine), false);
    look(&s);
    expect_dropped(5, 5);
    expect_pending(6, 6);
    script_free(&s);
}

/* Beyond an eighth, or 64 messages, or one of any size, the publisher is told to wait. */
static void the_bound_is_passed_by_little(void **state)
{
    (void)state;
    script s;
    start(&s, TERN_OUTBOX_DROP_OLDEST, SIZE_MAX, 10);
    int taken = 0;
    while (publish(&s, 0, 1) >= 0) taken++;
    assert_int_equal(taken, 10 + 64);
    look(&s);
    expect_dropped(1, 64);
    script_free(&s);
    start(&s, TERN_OUTBOX_DROP_OLDEST, 80000, 0);
    while (publish(&s, 0, 100) >= 0) {}
    assert_in_range(tern__outbox_bytes_locked(tern__engine_outbox(s.engine)), 89000, 90000);
    script_free(&s);
    start(&s, TERN_OUTBOX_REJECT, SIZE_MAX, 10);
    for (int i = 0; i < 10; i++) assert_int_equal(publish(&s, 0, 1), 0);
    assert_int_equal(publish(&s, 0, 1), TERN_E_OUTBOX_FULL);
    look(&s);
    expect_pending(1, 10);
    script_free(&s);
}

/* What is in flight, or was in a session that is lost, stays: NOT_SENT would be untrue. [C2] */
static void what_was_out_stays(void **state)
{
    (void)state;
    script s;
    start(&s, TERN_OUTBOX_DROP_OLDEST, SIZE_MAX, 4);
    script_online(&s, NULL);
    for (int i = 0; i < 3; i++) assert_int_equal(publish(&s, 1, 1), 0);
    script_drain(&s, SIZE_MAX);
    s.out.len = 0;
    for (int i = 0; i < 3; i++) assert_true(publish(&s, 1, 1) >= 0);
    look(&s);
    expect_pending(1, 3);
    expect_dropped(4, 5);
    expect_pending(6, 6);
    script_offline(&s);
    script_online(&s, NULL); /* a new session: 1 to 3 go out again */
    script_offline(&s);
    for (int i = 0; i < 5; i++) assert_true(publish(&s, 0, 1) >= 0);
    look(&s);
    expect_pending(1, 3);
    expect_dropped(6, 10);
    expect_pending(11, 11);
    script_free(&s);
}

/* A unit goes as a whole, also where half of it would be enough. */
static void units_go_as_a_whole(void **state)
{
    (void)state;
    for (int newest = 0; newest < 2; newest++) {
        script s;
        start(&s, newest ? TERN_OUTBOX_DROP_NEWEST : TERN_OUTBOX_DROP_OLDEST, SIZE_MAX, 5);
        for (int i = 0; i < 3; i++) {
            tern__submission parts[2] = {
                {.publish = {.topic = {(const uint8_t *)"t", 1}, .payload = {(const uint8_t *)"a", 1}}},
                {.publish = {.qos = 1, .topic = {(const uint8_t *)"t", 1}, .payload = {(const uint8_t *)"b", 1}}},
            };
            uint64_t id;
            assert_true(tern__outbox_append_unit_locked(tern__engine_outbox(s.engine), parts, 2, &id) >= 0);
        }
        assert_true(publish(&s, 0, 1) >= 0);
        look(&s);
        if (newest) {
            expect_pending(1, 4);
            expect_dropped(5, 6);
            expect_pending(7, 7);
        } else {
            expect_dropped(1, 2);
            expect_pending(3, 7);
        }
        script_free(&s);
    }
}

/* Plain and other messages, holes between them, cuts and both policies: each has one outcome, and what goes out is in order. */
static void random_traffic_ends_once(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        script s;
        srand(seed);
        start(&s, seed % 2 ? TERN_OUTBOX_DROP_OLDEST : TERN_OUTBOX_DROP_NEWEST, 200 + (size_t)rand() % 3000, (size_t)rand() % 20);
        uint64_t accepted = 0;
        bool online = false;
        uint64_t last = 0;
        while (accepted < MANY - 8) {
            int n = rand() % 8;
            for (int i = 0; i < n; i++) {
                char text[200];
                int len = snprintf(text, sizeof text, "%08u", (unsigned)accepted + 1);
                int dots = rand() % 150;
                memset(text + len, '.', (size_t)dots);
                text[len + dots] = '\0';
                if (script_publish(&s, rand() % 4 == 0, "t", text, NULL) >= 0) accepted++;
            }
            look(&s);
            if (rand() % 16 == 0) {
                if (online) script_offline(&s);
                else script_online(&s, NULL);
                online = !online;
            }
            if (!online || rand() % 4 != 0) continue;
            script_drain(&s, SIZE_MAX);
            for (size_t at = 0; at < s.out.len;) {
                size_t head;
                size_t len = script_packet_len(s.out.data + at, s.out.len - at, &head);
                const uint8_t *packet = s.out.data + at;
                bool acked = (packet[0] & 6) != 0;
                char digits[9] = "";
                memcpy(digits, packet + head + 3 + (acked ? 2 : 0), 8);
                unsigned number = (unsigned)strtoul(digits, NULL, 10);
                if (acked) { /* answered at once; may be a repeat of a lost session's */
                    uint8_t ack[4] = {0x40, 2, packet[head + 3], packet[head + 4]};
                    assert_int_equal(script_recv_bytes(&s, ack, sizeof ack), 0);
                }
                assert_true(number > last);
                last = number;
                at += len;
            }
            s.out.len = 0;
        }
        script_offline(&s);
        look(&s);
        assert_int_equal(tern__engine_abandon(s.engine), 0);
        look(&s);
        for (uint64_t id = 1; id <= accepted; id++) assert_int_not_equal(f.outcome[id], TERN_OUTCOME_PENDING);
        script_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_the_bound_says_stay), cmocka_unit_test(bytes_are_counted_one_by_one),
        cmocka_unit_test(the_bound_is_passed_by_little),  cmocka_unit_test(what_was_out_stays),
        cmocka_unit_test(units_go_as_a_whole),            cmocka_unit_test(random_traffic_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
