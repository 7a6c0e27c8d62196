/* The retry budget on a clock of the test's own: who may start when, and when it is over.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/budget.h"
#include "support/failing.h"

enum { SECOND = 1000000, MANY = 1000 };

static tern__budget budget;
static uint64_t now;

static void start(unsigned concurrent, unsigned per_second)
{
    tern__budget_init(&budget);
    atomic_store(&budget.concurrent, concurrent);
    atomic_store(&budget.per_second, per_second);
    now = 5 * SECOND;
}

/* One attempt: whether it may start, and then how it ended at once. */
static bool attempt(const char *server, tern__budget_end end)
{
    tern__budget_server *held;
    uint64_t again = 0;
    if (!tern__budget_take(&budget, server, now, &held, &again)) {
        assert_true(again > now && again <= now + SECOND);
        return false;
    }
    tern__budget_give(&budget, server, held, end, now);
    return true;
}

/* Any number while nothing failed; then a second's worth, and the rate. Other servers feel nothing. */
static void failures_share_a_rate(void **state)
{
    (void)state;
    start(0, 50);
    for (int i = 0; i < MANY; i++) assert_true(attempt("a", TERN__BUDGET_ALIVE));
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    int started = 0;
    while (attempt("a", TERN__BUDGET_FAILED)) started++;
    assert_int_equal(started, 50);
    for (int tenth = 0; tenth < 50; tenth++) {
        now += SECOND / 10;
        for (int i = 0; i < MANY; i++) started += attempt("a", TERN__BUDGET_FAILED);
        assert_true(attempt("b", TERN__BUDGET_ALIVE));
    }
    assert_int_equal(started, 50 + 5 * 50);
    tern__budget_deinit(&budget);
}

/* Each success doubles the rate; after ten there is no limit. A failure in between starts over. */
static void successes_open_it(void **state)
{
    (void)state;
    start(0, 10);
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    while (attempt("a", TERN__BUDGET_FAILED)) {}
    for (int i = 0; i < 9; i++) {
        now += SECOND / 10;
        assert_true(attempt("a", TERN__BUDGET_ALIVE));
    }
    assert_int_equal(budget.count, 1);
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    while (attempt("a", TERN__BUDGET_FAILED)) {} /* what was saved up at the higher rate */
    for (int i = 0; i < 10; i++) {
        now += SECOND / 10;
        assert_true(attempt("a", TERN__BUDGET_ALIVE));
    }
    assert_int_equal(budget.count, 0);
    for (int i = 0; i < MANY; i++) assert_true(attempt("a", TERN__BUDGET_ALIVE));
    tern__budget_deinit(&budget);
}

/* So many at a time; what was given up counts for nothing, and what runs while the server opens is let go in the end. */
static void attempts_at_a_time_are_bounded(void **state)
{
    (void)state;
    tern__budget_server *held[3];
    uint64_t again;
    start(2, 0);
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    assert_true(tern__budget_take(&budget, "a", now, &held[0], &again));
    assert_true(tern__budget_take(&budget, "a", now, &held[1], &again));
    assert_false(tern__budget_take(&budget, "a", now, &held[2], &again));
    tern__budget_give(&budget, "a", held[0], TERN__BUDGET_ABANDONED, now);
    assert_true(tern__budget_take(&budget, "a", now, &held[0], &again));
    for (int i = 0; i < 10; i++) tern__budget_give(&budget, "a", NULL, TERN__BUDGET_ALIVE, now); /* begun before it failed */
    assert_int_equal(budget.count, 0);
    assert_true(tern__budget_take(&budget, "a", now, &held[2], &again));
    assert_null(held[2]);
    tern__budget_give(&budget, "a", held[0], TERN__BUDGET_ALIVE, now);
    tern__budget_give(&budget, "a", held[1], TERN__BUDGET_FAILED, now); /* it failed again */
    assert_int_equal(budget.count, 1);
    tern__budget_deinit(&budget);
}

/* Those who were sent away do not come back together. */
static void waiting_is_spread(void **state)
{
    (void)state;
    uint64_t seen[50];
    start(0, 1);
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    for (int i = 0; i < 50; i++) {
        tern__budget_server *held;
        assert_false(tern__budget_take(&budget, "a", now, &held, &seen[i]));
        for (int k = 0; k < i; k++) assert_int_not_equal(seen[i], seen[k]);
    }
    tern__budget_deinit(&budget);
}

/* Thousands of servers are not watched for ever, and without memory nothing is limited. [C19] */
static void memory_is_bounded(void **state)
{
    (void)state;
    char name[32];
    start(1, 1);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "mqtt://%d:1883", i);
        assert_true(attempt(name, TERN__BUDGET_FAILED));
    }
    assert_int_equal(budget.count, 4096);
    tern__budget_deinit(&budget);
    start(1, 1);
    failing_arm(0);
    assert_true(attempt("a", TERN__BUDGET_FAILED));
    assert_true(failing_disarm());
    assert_int_equal(budget.count, 0);
    for (int i = 0; i < 3; i++) assert_true(attempt("a", TERN__BUDGET_ALIVE));
    tern__budget_deinit(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_share_a_rate), cmocka_unit_test(successes_open_it),
        cmocka_unit_test(attempts_at_a_time_are_bounded), cmocka_unit_test(waiting_is_spread),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
