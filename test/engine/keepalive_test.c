/* Keep alive on virtual time: pings on silence in either direction, and the verdict over a dead peer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <tern/error.h>

static void start(script *s, int version, uint16_t seconds, uint32_t ping_timeout_ms)
{
    script_init(s, version);
    s->connect.keep_alive = seconds;
    s->connect.ping_timeout_ms = ping_timeout_ms;
    script_start(s);
    script_online(s, NULL);
}

/* Lets time go to the engine's next deadline, which must come within `us`. */
static void next_deadline(script *s, uint64_t us)
{
    uint64_t deadline = tern__engine_deadline(s->engine);
    assert_true(deadline > s->now && deadline <= s->now + us);
    s->now = deadline;
    tern__engine_tick(s->engine, s->now);
}

/* The gap between two packets of ours never exceeds the keep alive, whatever it is.
 * [MQTT5-3.1.2-20] [MQTT311-3.1.2-23] */
static void the_gap_is_kept(void **state)
{
    (void)state;
    static const uint16_t rows[] = {1, 2, 3, 10, 60, 3600, 65535};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        start(&s, TERN__V5, rows[i], 1000);
        uint64_t gap = (uint64_t)rows[i] * SCRIPT_SECOND;
        uint64_t last = s.now;
        for (int ping = 0; ping < 20; ping++) {
            while (s.out.len == 0) {
                next_deadline(&s, gap);
                script_drain(&s, SIZE_MAX);
            }
            assert_true(s.now - last <= gap);
            last = s.now;
            script_expect(&s, "C0 00");
            s.now += SCRIPT_SECOND / 10;
            assert_int_equal(script_recv(&s, "D0 00"), 0);
        }
        assert_int_equal(script_event(&s), 0);
        script_free(&s);
    }
}

static void none_is_none(void **state)
{
    (void)state;
    script s;
    start(&s, TERN__V5, 0, 1000);
    assert_int_equal(tern__engine_deadline(s.engine), UINT64_MAX);
    s.now += 100000 * (uint64_t)SCRIPT_SECOND;
    tern__engine_tick(s.engine, s.now);
    script_expect(&s, "");
    assert_int_equal(script_event(&s), 0);
    script_free(&s);
}

/* [MQTT5-3.2.2-21] */
static void the_servers_value_counts(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.connect.keep_alive = 600;
    s.connect.ping_timeout_ms = 1000;
    script_start(&s);
    script_online(&s, "20 06 00 00 03 13 00 04");
    next_deadline(&s, 4 * SCRIPT_SECOND);
    script_expect(&s, "C0 00");
    script_offline(&s);
    script_online(&s, "20 06 00 00 03 13 00 00"); /* 0 is none here too */
    assert_int_equal(tern__engine_deadline(s.engine), UINT64_MAX);
    script_free(&s);
}

/* We publish all the time, so nothing asks for a ping but the peer's silence: it is asked, and given up in time. */
static void silence_of_the_peer_is_found_while_we_send(void **state)
{
    (void)state;
    script s;
    start(&s, TERN__V311, 10, 2000);
    uint64_t start_at = s.now;
    bool pinged = false;
    while (script_event(&s) != TERN__EVENT_FAILED) {
        s.now += SCRIPT_SECOND;
        assert_true(s.now <= start_at + 14 * (uint64_t)SCRIPT_SECOND);
        if (s.now >= tern__engine_deadline(s.engine)) tern__engine_tick(s.engine, s.now);
        assert_int_equal(script_publish(&s, 0, "a", "x", NULL), 0);
        script_drain(&s, SIZE_MAX);
        if (s.out.len == 8) pinged = true; /* PINGREQ before the PUBLISH of 6 */
        tern__buf_clear(&s.out);
    }
    assert_true(pinged);
    assert_int_equal(s.event.error, TERN_E_KEEPALIVE);
    script_free(&s);
}

/* Nothing of what we write is taken: the peer is found dead all the same. */
static void a_stuck_write_hides_nothing(void **state)
{
    (void)state;
    script s;
    start(&s, TERN__V5, 10, 2000);
    assert_int_equal(script_publish(&s, 1, "a", "x", NULL), 0);
    (void)tern__engine_sync_locked(s.engine);
    tern__iov iov[4];
    size_t count;
    uint64_t end = s.now + 13 * (uint64_t)SCRIPT_SECOND;
    while (script_event(&s) != TERN__EVENT_FAILED) {
        assert_true(s.now <= end);
        next_deadline(&s, 13 * (uint64_t)SCRIPT_SECOND);
        assert_int_equal(tern__engine_output(s.engine, s.now, iov, 4, &count), 0); /* and none is sent */
    }
    assert_int_equal(s.event.error, TERN_E_KEEPALIVE);
    script_free(&s);
}

/* Whatever the peer sends proves that it lives: an answer to the ping is not needed then. */
static void any_byte_is_a_sign_of_life(void **state)
{
    (void)state;
    script s;
    start(&s, TERN__V311, 10, 2000);
    for (int i = 0; i < 50; i++) {
        next_deadline(&s, 10 * SCRIPT_SECOND);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        s.now += SCRIPT_SECOND;
        assert_int_equal(script_recv(&s, "30 04 00 01 'a' 'x'"), 0);
        (void)script_delivered(&s);
    }
    assert_int_equal(script_event(&s), 0);
    script_free(&s);
}

/* While the owner does not read, silence proves nothing; pings still go out. [C11] */
static void a_pause_suspends_the_verdict(void **state)
{
    (void)state;
    script s;
    start(&s, TERN__V5, 10, 2000);
    tern__engine_set_reading_paused(s.engine, true, s.now);
    unsigned pings = 0;
    for (uint64_t end = s.now + 100 * (uint64_t)SCRIPT_SECOND; s.now < end;) {
        next_deadline(&s, 10 * SCRIPT_SECOND);
        script_drain(&s, SIZE_MAX);
        pings += s.out.len == 2;
        tern__buf_clear(&s.out);
        assert_int_equal(script_event(&s), 0);
    }
    assert_true(pings >= 9);
    tern__engine_set_reading_paused(s.engine, false, s.now); /* silence counts from here */
    uint64_t resumed = s.now;
    while (script_event(&s) != TERN__EVENT_FAILED) {
        next_deadline(&s, 12 * SCRIPT_SECOND);
        script_drain(&s, SIZE_MAX);
    }
    assert_true(s.now >= resumed + 2 * SCRIPT_SECOND);
    assert_true(s.now <= resumed + 12 * SCRIPT_SECOND);
    script_free(&s);
}

/* [MQTT5-3.1.2-20] a full window holds back no ping */
static void a_full_window_delays_no_ping(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.connect.keep_alive = 10;
    s.connect.ping_timeout_ms = 5000;
    script_start(&s);
    script_online(&s, "20 06 00 00 03 21 00 01");
    for (int i = 0; i < 3; i++) assert_int_equal(script_publish(&s, 1, "a", "x", NULL), 0);
    script_expect(&s, "32 07 00 01 'a' 00 01 00 'x'");
    next_deadline(&s, 10 * SCRIPT_SECOND);
    script_expect(&s, "C0 00");
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gap_is_kept),
        cmocka_unit_test(none_is_none),
        cmocka_unit_test(the_servers_value_counts),
        cmocka_unit_test(silence_of_the_peer_is_found_while_we_send),
        cmocka_unit_test(a_stuck_write_hides_nothing),
        cmocka_unit_test(any_byte_is_a_sign_of_life),
        cmocka_unit_test(a_pause_suspends_the_verdict),
        cmocka_unit_test(a_full_window_delays_no_ping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
