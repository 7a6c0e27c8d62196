/* Threads, condition variables, and the clock that they wait by.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>

#include "platform/clock.h"
#include "platform/thread.h"

static const uint64_t SECOND = 1000000;

static void the_clock_goes_forward(void **state)
{
    (void)state;
    uint64_t last = tern__clock_us();
    assert_true(last != 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t now = tern__clock_us();
        assert_true(now >= last);
        last = now;
    }
}

typedef struct shared {
    tern__mutex lock;
    tern__cond changed;
    int value;
    uintptr_t self;
    int blocked_interrupt;
    int blocked_fault;
} shared;

static void init(shared *it)
{
    *it = (shared){.value = 0};
    assert_int_equal(tern__mutex_init(&it->lock), 0);
    assert_int_equal(tern__cond_init(&it->changed), 0);
}

static void deinit(shared *it)
{
    tern__cond_deinit(&it->changed);
    tern__mutex_deinit(&it->lock);
}

static void a_wait_ends_at_its_deadline_not_before(void **state)
{
    (void)state;
    shared it;
    init(&it);
    uint64_t deadline = tern__clock_us() + 20000;
    tern__mutex_lock(&it.lock);
    while (tern__cond_wait_until(&it.changed, &it.lock, deadline))
        continue;
    assert_true(tern__clock_us() >= deadline);
    assert_true(tern__clock_us() < deadline + 2 * SECOND);
    assert_false(tern__cond_wait_until(&it.changed, &it.lock, 1)); /* long past */
    tern__mutex_unlock(&it.lock);
    deinit(&it);
}

static void set_value(void *argument)
{
    shared *it = argument;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    tern__mutex_lock(&it->lock);
    it->value = 7;
    it->self = tern__thread_self();
    it->blocked_interrupt = sigismember(&blocked, SIGINT);
    it->blocked_fault = sigismember(&blocked, SIGSEGV);
    tern__cond_broadcast(&it->changed);
    tern__mutex_unlock(&it->lock);
}

/* With a deadline and without one. */
static void a_signal_ends_a_wait(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        shared it;
        tern__thread thread;
        init(&it);
        uint64_t deadline = forever != 0 ? UINT64_MAX : tern__clock_us() + 20 * SECOND;
        tern__mutex_lock(&it.lock);
        assert_int_equal(tern__thread_start(&thread, "fifteen-bytes-x", set_value, &it), 0);
        while (it.value == 0 && tern__cond_wait_until(&it.changed, &it.lock, deadline))
            continue;
        assert_int_equal(it.value, 7);
        tern__mutex_unlock(&it.lock);
        assert_false(tern__thread_is_self(&thread));
        tern__thread_join(&thread);
        assert_true(it.self != tern__thread_self());
        deinit(&it);
    }
}

/* [C20]: the application's signals stay with its own threads, and its mask as it was. */
static void a_new_thread_takes_no_signals(void **state)
{
    (void)state;
    shared it;
    tern__thread thread;
    sigset_t before;
    sigset_t after;
    init(&it);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(tern__thread_start(&thread, "signals", set_value, &it), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    tern__thread_join(&thread);
    assert_int_equal(it.blocked_interrupt, 1);
    assert_int_equal(it.blocked_fault, 0);
    for (int i = 1; i < 32; i++)
        assert_int_equal(sigismember(&before, i), sigismember(&after, i));
    deinit(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_goes_forward),
        cmocka_unit_test(a_wait_ends_at_its_deadline_not_before),
        cmocka_unit_test(a_signal_ends_a_wait),
        cmocka_unit_test(a_new_thread_takes_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
