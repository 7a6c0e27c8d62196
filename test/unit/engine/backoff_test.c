/* Delays between attempts: clamped first, then spread. [C18]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "engine/backoff.h"

enum { SECOND = 1000000 };

static void doubling_ends_at_the_maximum(void **state)
{
    (void)state;
    static const uint32_t want[] = {100, 200, 400, 800, 1000, 1000};
    tern__backoff b;
    tern__backoff_init(&b, 100, 1000, TERN_JITTER_NONE, 0, 0, 1);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        uint32_t delay = 0;
        assert_true(tern__backoff_next(&b, &delay));
        assert_int_equal(delay, want[i]);
    }
    for (int i = 0; i < 200; i++) { /* 2^n does not overflow */
        uint32_t delay = 0;
        assert_true(tern__backoff_next(&b, &delay));
        assert_int_equal(delay, 1000);
    }
}

/* The range of each mode at the maximum, met on both sides and never left. */
static void the_spread_stays_at_the_maximum(void **state)
{
    (void)state;
    static const struct {
        tern_jitter jitter;
        uint32_t low;
        uint32_t high;
    } rows[] = {{TERN_JITTER_PROPORTIONAL, 750, 1250}, {TERN_JITTER_FULL, 0, 1000}, {TERN_JITTER_DECORRELATED, 100, 1000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__backoff b;
        tern__backoff_init(&b, 100, 1000, rows[i].jitter, 0, 0, 42);
        uint32_t low = UINT32_MAX;
        uint32_t high = 0;
        for (int n = 0; n < 10000; n++) {
            uint32_t delay = 0;
            assert_true(tern__backoff_next(&b, &delay));
            if (n < 10) continue;
            assert_in_range(delay, rows[i].low, rows[i].high);
            if (delay < low) low = delay;
            if (delay > high) high = delay;
        }
        uint32_t tenth = (rows[i].high - rows[i].low) / 10;
        assert_true(low < rows[i].low + tenth && high > rows[i].high - tenth);
    }
}

/* Already at the first wait, and also where the maximum leaves no room above the base. */
static void clients_do_not_wait_together(void **state)
{
    (void)state;
    enum { CLIENTS = 100 };
    static const tern_jitter jitters[] = {TERN_JITTER_PROPORTIONAL, TERN_JITTER_FULL, TERN_JITTER_DECORRELATED};
    for (size_t row = 0; row < 6; row++) {
        uint32_t first[CLIENTS];
        unsigned alike = 0;
        for (uint64_t i = 0; i < CLIENTS; i++) {
            tern__backoff b;
            tern__backoff_init(&b, 1000, row < 3 ? 60000 : 1000, jitters[row % 3], 0, 0, i); /* even seeds that are close */
            assert_true(tern__backoff_next(&b, &first[i]));
            for (uint64_t j = 0; j < i; j++) alike += first[i] == first[j];
        }
        assert_true(alike < 50); /* of 4,950 pairs some 10 meet by chance */
    }
}

/* The delays start over only after the link stayed up for the set time. */
static void a_short_connection_is_no_success(void **state)
{
    (void)state;
    tern__backoff b;
    uint32_t delay = 0;
    tern__backoff_init(&b, 100, 10000, TERN_JITTER_NONE, 0, 5000, 1);
    for (uint32_t i = 0; i < 3; i++) {
        tern__backoff_connected(&b, 10 * SECOND);
        tern__backoff_lost(&b, 15 * SECOND - 1);
        assert_true(tern__backoff_next(&b, &delay));
        assert_int_equal(delay, 100u << i);
    }
    tern__backoff_connected(&b, 10 * SECOND);
    tern__backoff_lost(&b, 15 * SECOND);
    assert_true(tern__backoff_next(&b, &delay));
    assert_int_equal(delay, 100);
}

static void attempts_run_out(void **state)
{
    (void)state;
    tern__backoff b;
    uint32_t delay = 0;
    tern__backoff_init(&b, 1, 1, TERN_JITTER_NONE, 3, 1000, 1);
    assert_true(tern__backoff_next(&b, &delay)); /* the first attempt was made without a delay */
    assert_true(tern__backoff_next(&b, &delay));
    assert_false(tern__backoff_next(&b, &delay));
    tern__backoff_reset(&b);
    assert_true(tern__backoff_next(&b, &delay));
    tern__backoff_init(&b, 1, 1, TERN_JITTER_NONE, 1, 1000, 1);
    assert_false(tern__backoff_next(&b, &delay));
    for (int stable = 0; stable <= 1; stable++) { /* after a connection they all count anew */
        tern__backoff_connected(&b, 10 * SECOND);
        tern__backoff_lost(&b, stable ? 20 * SECOND : 10 * SECOND);
        assert_true(tern__backoff_next(&b, &delay));
        assert_false(tern__backoff_next(&b, &delay));
    }
}

/* Each delay of each mode, 200 doublings long, lies where its rule puts it; the rule is worked out here in exact arithmetic. */
static void every_delay_keeps_to_its_rule(void **state)
{
    (void)state;
    static const uint32_t bases[] = {1, 7, 1000, 60000, 4000000000u};
    static const uint32_t maxima[] = {1, 1000, 30000, 3600000, UINT32_MAX};
    for (size_t i = 0; i < 25; i++) {
        const uint64_t base = bases[i / 5];
        const uint64_t maximum = maxima[i % 5];
        for (int jitter = TERN_JITTER_PROPORTIONAL; jitter <= TERN_JITTER_DECORRELATED; jitter++) {
            tern__backoff b;
            uint64_t doubled = base < maximum ? base : maximum;
            uint64_t last = 0;
            tern__backoff_init(&b, bases[i / 5], maxima[i % 5], (tern_jitter)jitter, 0, 0, i);
            for (int n = 1; n <= 200; n++) {
                uint32_t delay = 0;
                assert_true(tern__backoff_next(&b, &delay));
                uint64_t low = doubled;
                uint64_t high = doubled;
                if (jitter == TERN_JITTER_PROPORTIONAL) {
                    low = doubled - doubled / 4;
                    high = doubled + doubled / 4;
                } else if (jitter == TERN_JITTER_FULL) {
                    low = 0;
                } else if (jitter == TERN_JITTER_DECORRELATED) {
                    high = (last > base ? last : base) * 3;
                    if (high > maximum) high = maximum;
                    low = base < high / 3 ? base : high / 3;
                }
                assert_true(delay >= low && delay <= high);
                last = delay;
                doubled = doubled * 2 < maximum ? doubled * 2 : maximum;
            }
        }
    }
}

/* The same seed gives the same delays: a run can be repeated. */
static void a_seed_decides(void **state)
{
    (void)state;
    for (int jitter = TERN_JITTER_PROPORTIONAL; jitter <= TERN_JITTER_DECORRELATED; jitter++) {
        tern__backoff one;
        tern__backoff two;
        tern__backoff_init(&one, 100, 60000, (tern_jitter)jitter, 0, 0, 77);
        tern__backoff_init(&two, 100, 60000, (tern_jitter)jitter, 0, 0, 77);
        for (int n = 0; n < 50; n++) {
            uint32_t first = 0;
            uint32_t second = 0;
            assert_true(tern__backoff_next(&one, &first) && tern__backoff_next(&two, &second));
            assert_int_equal(first, second);
        }
    }
}

/* The largest values that the options take. */
static void extremes_do_not_overflow(void **state)
{
    (void)state;
    for (int jitter = TERN_JITTER_PROPORTIONAL; jitter <= TERN_JITTER_DECORRELATED; jitter++) {
        tern__backoff b;
        tern__backoff_init(&b, UINT32_MAX, UINT32_MAX, (tern_jitter)jitter, 0, UINT32_MAX, UINT64_MAX);
        for (int i = 0; i < 100; i++) {
            uint32_t delay = 0;
            assert_true(tern__backoff_next(&b, &delay));
            if (jitter == TERN_JITTER_PROPORTIONAL) assert_true(delay >= UINT32_MAX - UINT32_MAX / 4 - 1);
            if (jitter == TERN_JITTER_DECORRELATED) assert_true(delay >= UINT32_MAX / 3);
            if (jitter == TERN_JITTER_NONE) assert_int_equal(delay, UINT32_MAX);
        }
        tern__backoff_init(&b, 0, 0, (tern_jitter)jitter, 0, 0, 0);
        for (int i = 0; i < 100; i++) {
            uint32_t delay = 1;
            assert_true(tern__backoff_next(&b, &delay));
            assert_int_equal(delay, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubling_ends_at_the_maximum),    cmocka_unit_test(the_spread_stays_at_the_maximum),
        cmocka_unit_test(clients_do_not_wait_together),    cmocka_unit_test(a_short_connection_is_no_success),
        cmocka_unit_test(every_delay_keeps_to_its_rule),   cmocka_unit_test(a_seed_decides),
        cmocka_unit_test(attempts_run_out),                cmocka_unit_test(extremes_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
