/* Keep alive on virtual time: pings on silence in either direction, and the verdict on a dead peer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SECOND ((uint64_t)SCRIPT_SECOND)

static const uint16_t intervals[] = {1, 2, 3, 60, 65535};

static void online(script *s, int version, uint16_t keep_alive, const char *connack)
{
    script_init(s, version);
    s->connect.keep_alive = keep_alive;
    script_start(s);
    script_online(s, connack);
}

/* Goes to the next deadline, not beyond `end`. False: there is none before it. */
static bool step(script *s, uint64_t end)
{
    const uint64_t deadline = tern__engine_deadline(s->engine);
    if (deadline > end) {
        s->now = end;
        return false;
    }
    assert_true(deadline > s->now);
    s->now = deadline;
    tern__engine_tick(s->engine, s->now);
    assert_true(tern__engine_deadline(s->engine) > s->now); /* no deadline spins */
    return true;
}

/* How many PINGREQs come out now, and nothing else. */
static int pings(script *s)
{
    script_drain(s, SIZE_MAX);
    const int count = (int)s->out.len / 2;
    for (size_t i = 0; i < s->out.len; i += 2)
        assert_memory_equal(s->out.data + i, "\xc0\0", 2);
    tern__buf_clear(&s->out);
    return count;
}

/* An idle client: no gap between two packets of ours is longer than the keep alive. */
static void test_an_idle_client_pings_in_time(
    void **state) /* [MQTT5-3.1.2-20] [MQTT311-3.1.2-23] */
{
    (void)state;
    for (size_t i = 0; i < COUNT(intervals); i++) {
        script s;
        online(&s, i % 2 == 0 ? TERN__V5 : TERN__V311, intervals[i], NULL);
        const uint64_t end = s.now + 10 * intervals[i] * SECOND;
        uint64_t last = s.now;
        int count = 0;
        while (step(&s, end)) {
            assert_int_equal(pings(&s), 1);
            assert_true(s.now - last <= intervals[i] * SECOND);
            last = s.now;
            count++;
            s.now += SECOND / 50;
            assert_int_equal(script_recv(&s, "d0 00"), 0);
        }
        assert_true(s.now - last <= intervals[i] * SECOND);
        assert_in_range(count, 9, 14); /* in time, and not much more often than that */
        assert_int_equal(script_event(&s), 0);
        script_free(&s);
    }
}

/* Messages that come in are no sign of life of ours: we ping all the same. */
static void test_a_client_that_only_receives_pings(void **state) /* [MQTT5-3.1.2-20] */
{
    (void)state;
    for (size_t i = 0; i < COUNT(intervals); i++) {
        script s;
        online(&s, TERN__V5, intervals[i], NULL);
        const uint64_t interval = intervals[i] * SECOND;
        uint64_t last = s.now;
        for (int n = 0; n < 100; n++) {
            const uint64_t next = s.now + interval / 10;
            while (step(&s, next)) {
                assert_int_equal(pings(&s), 1);
                assert_true(s.now - last <= interval);
                last = s.now;
                assert_int_equal(script_recv(&s, "d0 00"), 0);
            }
            assert_int_equal(script_recv(&s, "30 04 00 01 'a' 00"), 0);
            (void)script_delivered(&s);
        }
        assert_true(s.now - last <= interval);
        script_free(&s);
    }
}

/* Whoever sends all the time must still learn that nobody answers. */
static void test_a_client_that_only_sends_pings_after_inbound_silence(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(intervals); i++) {
        script s;
        online(&s, TERN__V5, intervals[i], NULL);
        const uint64_t interval = intervals[i] * SECOND;
        const uint64_t start = s.now;
        uint64_t pinged = 0;
        while (script_event(&s) != TERN__EVENT_FAILED) {
            assert_true(s.now <= start + interval + 6 * SECOND);
            const uint64_t next = s.now + interval / 10;
            const uint64_t before = tern__engine_stats_of(s.engine)->pings_sent;
            while (step(&s, next) && tern__engine_connected(s.engine))
                if (pinged == 0 && tern__engine_stats_of(s.engine)->pings_sent > before)
                    pinged = s.now;
            if (!tern__engine_connected(s.engine)) continue;
            assert_int_equal(script_publish(&s, 0, "a", "", NULL), 0);
            script_drain(&s, SIZE_MAX);
            tern__buf_clear(&s.out);
        }
        assert_int_equal(s.event.error, TERN_E_KEEPALIVE);
        assert_in_range(pinged, start + 1, start + interval);
        assert_int_equal(s.now, pinged + 5 * SECOND);
        script_free(&s);
    }
}

static void test_sending_puts_the_ping_off(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 60, NULL);
    for (int i = 0; i < 100; i++) {
        script_wait(&s, 30 * SECOND);
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
        script_drain(&s, SIZE_MAX);
        const uint8_t ack[] = {0x40, 2, s.out.data[5], s.out.data[6]};
        assert_int_equal(s.out.len, 8);
        tern__buf_clear(&s.out);
        assert_int_equal(script_recv_bytes(&s, ack, sizeof ack), 0);
    }
    assert_int_equal(tern__engine_stats_of(s.engine)->pings_sent, 0);
    script_free(&s);
}

/* ---- what the server says about it ---- */

static void test_the_servers_keep_alive_counts(void **state) /* [MQTT5-3.1.2-21] [MQTT5-3.2.2-21] */
{
    (void)state;
    for (size_t i = 0; i < COUNT(intervals); i++) {
        script s;
        char connack[40];
        (void)snprintf(connack, sizeof connack, "20 06 00 00 03 13 %04x", (unsigned)intervals[i]);
        online(&s, TERN__V5, 300, connack);
        assert_int_equal(tern__engine_limits(s.engine)->keep_alive, intervals[i]);
        const uint64_t start = s.now;
        assert_true(step(&s, UINT64_MAX - 1));
        assert_int_equal(pings(&s), 1);
        assert_true(s.now - start <= intervals[i] * SECOND);
        assert_true(s.now - start >= intervals[i] * SECOND / 2);
        script_offline(&s);
        script_open(&s); /* the next connection asks for our own again */
        script_drain(&s, SIZE_MAX);
        assert_int_equal(s.out.data[10] << 8 | s.out.data[11], 300);
        tern__buf_clear(&s.out);
        script_free(&s);
    }
}

static void test_none_at_all(void **state) /* [MQTT5-3.1.2-21] */
{
    (void)state;
    static const struct {
        uint16_t ours;
        const char *connack;
    } rows[] = {{0, NULL}, {60, "20 06 00 00 03 13 00 00"}, {0, "20 06 00 00 03 13 00 00"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        online(&s, TERN__V5, rows[i].ours, rows[i].connack);
        assert_true(tern__engine_deadline(s.engine) == UINT64_MAX);
        s.now += 1000000 * SECOND;
        tern__engine_tick(s.engine, s.now);
        assert_int_equal(pings(&s), 0);
        assert_int_equal(script_event(&s), 0);
        script_free(&s);
    }
    script s; /* and on where only the server wants it */
    online(&s, TERN__V5, 0, "20 06 00 00 03 13 00 0a");
    script_wait(&s, 10 * SECOND);
    assert_int_equal(pings(&s), 1);
    script_free(&s);
}

/* ---- the verdict ---- */

/* How a dead peer ends: no DISCONNECT, since nobody would read it, and nothing more is received. */
static void expect_dead(script *s)
{
    assert_int_equal(script_event(s), TERN__EVENT_FAILED);
    assert_int_equal(s->event.error, TERN_E_KEEPALIVE);
    assert_int_equal(s->event.reason, -1);
    assert_true(s->event.text[0] != '\0');
    assert_int_equal(script_recv(s, "d0 00"), TERN_E_STATE);
    assert_true(tern__engine_deadline(s->engine) == UINT64_MAX);
}

static void test_a_silent_peer_is_dead_one_ping_timeout_later(
    void **state) /* [C16] [MQTT5-3.12.4-1] [MQTT311-3.12.4-1] */
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        online(&s, version, 60, NULL);
        assert_true(step(&s, UINT64_MAX - 1));
        assert_int_equal(pings(&s), 1);
        const uint64_t pinged = s.now;
        s.now = pinged + 5 * SECOND - 1;
        tern__engine_tick(s.engine, s.now);
        assert_int_equal(script_event(&s), 0);
        s.now++;
        tern__engine_tick(s.engine, s.now);
        expect_dead(&s);
        script_expect(&s, "");
        script_free(&s);
    }
}

static void test_any_byte_is_a_sign_of_life(void **state)
{
    (void)state;
    static const char *const bytes[] = {"d0 00", "30", "30 04 00 01 'a' 00", "40 02 00 07"};
    for (size_t i = 0; i < COUNT(bytes); i++) {
        script s;
        online(&s, TERN__V5, 60, NULL);
        assert_true(step(&s, UINT64_MAX - 1));
        assert_int_equal(pings(&s), 1);
        s.now += 5 * SECOND - 1;
        assert_int_equal(script_recv(&s, bytes[i]), 0);
        s.now += 1;
        tern__engine_tick(s.engine, s.now);
        assert_int_equal(script_event(&s), 0);
        assert_true(tern__engine_deadline(s.engine) > s.now + 40 * SECOND);
        script_free(&s);
    }
}

/* The machine slept: nothing is decided before the ping that finds out had its time. [C16] */
static void test_a_late_tick_asks_before_it_judges(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 60, NULL);
    s.now += 1000 * SECOND;
    tern__engine_tick(s.engine, s.now);
    assert_int_equal(script_event(&s), 0);
    assert_int_equal(pings(&s), 1);
    s.now += 5 * SECOND;
    tern__engine_tick(s.engine, s.now);
    expect_dead(&s);
    script_free(&s);
}

static void test_a_pingresp_nobody_asked_for_is_harmless(void **state) /* [MQTT5-3.12.4-1] */
{
    (void)state;
    script s;
    online(&s, TERN__V5, 60, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(script_recv(&s, "d0 00"), 0);
    assert_int_equal(script_event(&s), 0);
    script_wait(&s, 60 * SECOND);
    assert_int_equal(pings(&s), 1);
    script_free(&s);
}

/* The transport takes nothing: the ping cannot even leave, and the peer is found dead all the same.
 */
static void test_a_stuck_write_is_found(void **state) /* [C16] */
{
    (void)state;
    script s;
    online(&s, TERN__V5, 60, NULL);
    const uint64_t start = s.now;
    assert_int_equal(script_publish(&s, 0, "a", "stuck", NULL), 0);
    script_drain(&s, 3);
    while (step(&s, start + 66 * SECOND) && tern__engine_connected(s.engine))
        script_drain(&s, 0);
    expect_dead(&s);
    assert_true(s.now <= start + 65 * SECOND);
    tern__buf_clear(&s.out);
    script_free(&s);
}

/* A large message on a slow link: as long as bytes move, the ping behind them proves nothing. Its
 * time runs from when it went out. */
static void test_a_slow_write_is_no_silence(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    static char payload[SIZE + 1];
    memset(payload, 'x', SIZE);
    script s;
    online(&s, TERN__V5, 10, NULL);
    assert_int_equal(script_publish(&s, 0, "a", payload, NULL), 0);
    for (size_t gone = 0; gone < SIZE; gone += 2000) { /* 100 seconds */
        script_drain(&s, 2000);
        const uint64_t next = s.now + SECOND;
        while (step(&s, next))
            assert_int_equal(script_event(&s), 0);
    }
    assert_true(tern__engine_connected(s.engine));
    tern__buf_clear(&s.out);
    script_drain(&s, SIZE_MAX); /* the rest, and the ping */
    assert_memory_equal(s.out.data + s.out.len - 2, "\xc0\0", 2);
    tern__buf_clear(&s.out);
    const uint64_t pinged = s.now;
    assert_false(step(&s, pinged + 5 * SECOND - 1));
    assert_true(step(&s, pinged + 5 * SECOND));
    expect_dead(&s);
    script_free(&s);
}

/* A slow link that stops for good: the verdict comes one ping timeout after the last byte that
 * went. */
static void test_a_slow_write_that_stops_is_found(void **state)
{
    (void)state;
    static char payload[50001];
    memset(payload, 'x', sizeof payload - 1);
    script s;
    online(&s, TERN__V5, 10, NULL);
    assert_int_equal(script_publish(&s, 0, "a", payload, NULL), 0);
    for (int i = 0; i < 20; i++) {
        script_drain(&s, 1000);
        const uint64_t next = s.now + SECOND;
        while (step(&s, next))
            assert_int_equal(script_event(&s), 0);
    }
    const uint64_t last = s.now - SECOND;
    while (tern__engine_connected(s.engine))
        assert_true(step(&s, last + 5 * SECOND));
    expect_dead(&s);
    tern__buf_clear(&s.out);
    script_free(&s);
}

/* The owner does not read: silence proves nothing, yet pings go out, and the verdict is as strict
 * as before once it reads again. */
static void test_no_verdict_while_reading_is_paused(void **state) /* [C11] */
{
    (void)state;
    script s;
    online(&s, TERN__V5, 10, NULL);
    tern__engine_set_reading_paused(s.engine, true, s.now);
    uint64_t last = s.now;
    const uint64_t end = s.now + 1000 * SECOND;
    int count = 0;
    while (step(&s, end)) {
        count += pings(&s);
        assert_int_equal(script_event(&s), 0);
        assert_true(s.now - last <= 10 * SECOND);
        last = s.now;
    }
    assert_in_range(count, 99, 140);
    tern__engine_set_reading_paused(s.engine, false, s.now);
    const uint64_t resumed = s.now;
    s.now += 5 * SECOND - 1;
    tern__engine_tick(s.engine, s.now);
    assert_int_equal(script_event(&s), 0);
    s.now++;
    tern__engine_tick(s.engine, s.now);
    expect_dead(&s);
    assert_int_equal(s.now, resumed + 5 * SECOND);
    script_free(&s);
}

static void test_reading_again_in_time_saves_the_link(void **state) /* [C11] */
{
    (void)state;
    script s;
    online(&s, TERN__V5, 10, NULL);
    assert_true(step(&s, UINT64_MAX - 1));
    assert_int_equal(pings(&s), 1);
    tern__engine_set_reading_paused(s.engine, true, s.now);
    script_wait(&s, 100 * SECOND);
    tern__engine_set_reading_paused(s.engine, false, s.now);
    assert_int_equal(script_recv(&s, "d0 00 d0 00"), 0); /* what lay there meanwhile */
    assert_int_equal(script_event(&s), 0);
    (void)pings(&s);
    script_wait(&s, 12 * SECOND); /* a ping within 7.5 s, and 5 s for its answer */
    assert_int_equal(script_event(&s), 0);
    script_free(&s);
}

/* ---- around it ---- */

/* A full window and a full outbox hold no ping back. [MQTT5-3.3.4-8] [MQTT5-4.9.0-3] */
static void test_a_full_window_delays_no_ping(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 60, "20 06 00 00 03 21 00 01");
    for (int i = 0; i < 10; i++)
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    script_expect(&s, "32 06 00 01 'a' 00 01 00");
    script_wait(&s, 60 * SECOND);
    script_expect(&s, "c0 00");
    script_free(&s);
}

/* Before CONNACK, and after the end, there is nothing to keep alive: those times are the owner's.
 */
static void test_only_an_open_connection_is_kept_alive(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.connect.keep_alive = 1;
    script_start(&s);
    assert_true(tern__engine_deadline(s.engine) == UINT64_MAX);
    script_open(&s);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    s.now += 100 * SECOND;
    tern__engine_tick(s.engine, s.now);
    script_expect(&s, "");
    assert_int_equal(script_recv(&s, "20 03 00 00 00"), 0);
    assert_int_equal(script_event(&s), TERN__EVENT_CONNECTED);
    assert_true(tern__engine_deadline(s.engine) > s.now); /* the wait for CONNACK is no silence */
    script_offline(&s);
    assert_true(tern__engine_deadline(s.engine) == UINT64_MAX);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_idle_client_pings_in_time),
        cmocka_unit_test(test_a_client_that_only_receives_pings),
        cmocka_unit_test(test_a_client_that_only_sends_pings_after_inbound_silence),
        cmocka_unit_test(test_sending_puts_the_ping_off),
        cmocka_unit_test(test_the_servers_keep_alive_counts),
        cmocka_unit_test(test_none_at_all),
        cmocka_unit_test(test_a_silent_peer_is_dead_one_ping_timeout_later),
        cmocka_unit_test(test_any_byte_is_a_sign_of_life),
        cmocka_unit_test(test_a_late_tick_asks_before_it_judges),
        cmocka_unit_test(test_a_pingresp_nobody_asked_for_is_harmless),
        cmocka_unit_test(test_a_stuck_write_is_found),
        cmocka_unit_test(test_a_slow_write_is_no_silence),
        cmocka_unit_test(test_a_slow_write_that_stops_is_found),
        cmocka_unit_test(test_no_verdict_while_reading_is_paused),
        cmocka_unit_test(test_reading_again_in_time_saves_the_link),
        cmocka_unit_test(test_a_full_window_delays_no_ping),
        cmocka_unit_test(test_only_an_open_connection_is_kept_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
