/* Timers: called once, where callbacks run, whatever happens.
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MANY = 200 };

static rig r;

/* What a timer was told, and its place in the order of all. */
typedef struct heard {
    atomic_uint due;
    atomic_uint not_due;
    atomic_uint place;
} heard;

static atomic_uint order;

static void on_timer(tern_client *client, int due, void *user_data)
{
    heard *h = user_data;
    assert_ptr_equal(client, r.client);
    assert_int_equal(tern_client_in_callback(client), 1);
    atomic_store(&h->place, atomic_fetch_add(&order, 1) + 1);
    atomic_fetch_add(due != 0 ? &h->due : &h->not_due, 1);
}

static unsigned total(heard *h)
{
    return atomic_load(&h->due) + atomic_load(&h->not_due);
}

static bool is_heard(void *argument)
{
    return total(argument) != 0;
}

static void start(void)
{
    rig_init(&r, TERN_VERSION_5);
    atomic_store(&order, 0);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Not before their time, and in the order of their times, connected or not; the same time: in the order of setting. */
static void timers_are_due_in_order(void **state)
{
    (void)state;
    static const uint32_t delays[] = {60, 20, 40, 20, 0, 20};
    enum { COUNT = sizeof delays / sizeof delays[0] };
    for (int connected = 0; connected < 2; connected++) {
        start();
        rig_client(&r);
        if (connected) rig_connect(&r);
        heard h[COUNT] = {0};
        uint64_t earliest[COUNT];
        uint64_t latest[COUNT];
        uint64_t last = 0;
        for (size_t i = 0; i < COUNT; i++) {
            uint64_t id = 0;
            earliest[i] = now_us() + delays[i] * 1000;
            assert_int_equal(tern_client_set_timer(r.client, delays[i], on_timer, &h[i], &id), 0);
            latest[i] = now_us() + delays[i] * 1000;
            assert_true(id > last);
            last = id;
        }
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(net_wait_until(is_heard, &h[i], PATIENCE));
            assert_int_equal(atomic_load(&h[i].due), 1);
            assert_true(now_us() >= earliest[i]);
        }
        for (size_t i = 0; i < COUNT; i++)
            for (size_t k = 0; k < COUNT; k++) {
                bool before = latest[i] < earliest[k] || (i < k && delays[i] == delays[k]);
                if (before) assert_true(atomic_load(&h[i].place) < atomic_load(&h[k].place));
            }
        assert_int_equal(tern_client_cancel_timer(r.client, last), TERN_E_NOT_FOUND);
        rig_free(&r);
    }
}

/* A timer that was cancelled, and one that the client's end finds, are told so, once. */
static void each_is_told_once(void **state)
{
    (void)state;
    start();
    rig_client(&r);
    heard cancelled = {0};
    heard closed = {0};
    heard freed = {0};
    uint64_t id = 0;
    assert_int_equal(tern_client_set_timer(r.client, 3600000, on_timer, &cancelled, &id), 0);
    assert_int_equal(tern_client_set_timer(r.client, UINT32_MAX, on_timer, &closed, NULL), 0);
    assert_int_equal(tern_client_cancel_timer(r.client, id), 0);
    assert_int_equal(tern_client_cancel_timer(r.client, id), TERN_E_NOT_FOUND);
    assert_true(net_wait_until(is_heard, &cancelled, PATIENCE));
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0);
    assert_int_equal(atomic_load(&cancelled.not_due), 1);
    assert_int_equal(atomic_load(&closed.not_due), 1);
    assert_int_equal(atomic_load(&cancelled.due) + atomic_load(&closed.due), 0);
    assert_int_equal(tern_client_set_timer(r.client, 1, on_timer, &freed, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_set_timer(r.client, 1, NULL, NULL, NULL), TERN_E_INVALID);
    rig_free(&r);
    assert_int_equal(total(&freed), 0);

    start();
    rig_client(&r);
    assert_int_equal(tern_client_set_timer(r.client, 3600000, on_timer, &freed, NULL), 0);
    rig_free(&r); /* freeing closes */
    assert_int_equal(atomic_load(&freed.not_due), 1);
}

/* A drain goes on with timers: what sends at intervals may send its last. */
static void timers_run_while_draining(void **state)
{
    (void)state;
    start();
    rig_rules(&r, (mock_rules){.no_acks = true});
    rig_start(&r);
    heard h = {0};
    tern_token *token = rig_publish(&r, "t", "x", TERN_QOS_1);
    tern_token *close = NULL;
    assert_int_equal(tern_client_set_timer(r.client, 100, on_timer, &h, NULL), 0);
    assert_int_equal(tern_client_close(r.client, 1, 60000, &close), 0);
    assert_true(net_wait_until(is_heard, &h, PATIENCE));
    assert_int_equal(atomic_load(&h.due), 1);
    assert_false(tern_token_done(close));
    mock_broker_cut(r.broker);
    rig_rules(&r, (mock_rules){0});
    assert_int_equal(tern_token_wait(close, PATIENCE), 0);
    rig_expect_outcome(token, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    tern_token_unref(close);
    rig_free(&r);
}

typedef struct chain {
    heard h;
    unsigned left;
} chain;

static void on_link(tern_client *client, int due, void *user_data)
{
    chain *c = user_data;
    if (due != 0 && --c->left != 0) {
        assert_int_equal(tern_client_set_timer(client, 1, on_link, c, NULL), 0);
        return;
    }
    on_timer(client, due, &c->h);
}

/* Callbacks may set the next timer; in manual mode they run in dispatch, and the descriptor tells. */
static void a_timer_sets_the_next_in_manual_mode(void **state)
{
    (void)state;
    start();
    assert_int_equal(tern_client_options_set_dispatch(r.fixed, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_new(&r.client, r.fixed), 0);
    chain c = {.left = 20};
    int fd = -1;
    assert_int_equal(tern_client_dispatch_fd(r.client, &fd), 0);
    assert_int_equal(tern_client_set_timer(r.client, 1, on_link, &c, NULL), 0);
    while (total(&c.h) == 0) {
        struct pollfd waits = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&waits, 1, PATIENCE), 1);
        assert_int_equal(tern_client_dispatch(r.client, 0), 0);
    }
    assert_int_equal(atomic_load(&c.h.due), 1);
    tern_client_free(r.client);
    r.client = NULL; /* nothing watched it */
    rig_free(&r);
}

typedef struct worker {
    pthread_t thread;
    heard h[MANY];
    unsigned refused;
} worker;

static void *set_and_cancel(void *argument)
{
    worker *w = argument;
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t id = 0;
        if (tern_client_set_timer(r.client, i % 3, on_timer, &w->h[i], &id) != 0) {
            w->refused++;
            continue;
        }
        if (i % 2 == 0) (void)tern_client_cancel_timer(r.client, id);
    }
    return NULL;
}

/* Many threads, and the client closed in the midst of it: each accepted timer is told exactly once. */
static void threads_and_a_close_lose_none(void **state)
{
    (void)state;
    static worker workers[3];
    start();
    rig_start(&r);
    for (size_t i = 0; i < 3; i++) {
        workers[i] = (worker){0};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, set_and_cancel, &workers[i]), 0);
    }
    assert_true(net_wait_until(is_heard, &workers[0].h[0], PATIENCE));
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(workers[i].thread, NULL);
        unsigned told = 0;
        for (unsigned n = 0; n < MANY; n++) {
            assert_in_range(total(&workers[i].h[n]), 0, 1);
            told += total(&workers[i].h[n]);
        }
        assert_int_equal(told + workers[i].refused, MANY);
    }
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_are_due_in_order),   cmocka_unit_test(each_is_told_once),
        cmocka_unit_test(timers_run_while_draining), cmocka_unit_test(a_timer_sets_the_next_in_manual_mode),
        cmocka_unit_test(threads_and_a_close_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
