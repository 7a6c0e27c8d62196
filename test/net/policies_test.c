/* Outbox policies through the public API: what is dropped is told, the bound holds while publishers rush, and the newest
 * or oldest arrive; drain rate, limits and the oldest open message.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, THREADS = 3, EACH = 4000 };

static rig r;

/* What the delivery handler was told. */
static atomic_uint told[2][THREADS * EACH + 1]; /* by id: all, and dropped */
static atomic_uint told_total;

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    (void)user_data;
    bool dropped = tern_delivery_outcome(delivery) == TERN_OUTCOME_NOT_SENT;
    if (dropped) assert_int_equal(tern_delivery_cause(delivery), TERN_CAUSE_DROPPED);
    for (uint64_t id = tern_delivery_first_id(delivery); id <= tern_delivery_last_id(delivery); id++) {
        atomic_fetch_add(&told[0][id], 1);
        if (dropped) atomic_fetch_add(&told[1][id], 1);
        atomic_fetch_add(&told_total, 1);
    }
}

static void start(tern_outbox_policy policy, size_t bytes, size_t messages)
{
    memset(told, 0, sizeof told);
    atomic_store(&told_total, 0);
    rig_init(&r, TERN_VERSION_5);
    assert_int_equal(tern_client_options_set_outbox_limits(r.fixed, bytes, messages), 0);
    assert_int_equal(tern_client_options_set_outbox_policy(r.fixed, policy, 0), 0);
    rig_client(&r);
    assert_int_equal(tern_client_set_delivery_handler(r.client, on_delivery, NULL), 0);
}

static uint64_t stat_of(const char *name)
{
    uint64_t value = 0;
    assert_int_equal(tern_client_stat(r.client, name, &value), 0);
    return value;
}

static bool has_told(void *argument)
{
    return atomic_load(&told_total) >= *(unsigned *)argument;
}

static void wait_told(unsigned count)
{
    assert_true(net_wait_until(has_told, &count, PATIENCE));
}

/* Published while offline, from nowhere: what stays arrives in order, what does not is told while still offline. */
static void offline_messages_are_dropped(void **state)
{
    (void)state;
    static const tern_outbox_policy policies[] = {TERN_OUTBOX_DROP_OLDEST, TERN_OUTBOX_DROP_NEWEST};
    for (size_t i = 0; i < 2; i++) {
        char text[16];
        char want[24];
        start(policies[i], SIZE_MAX, 5);
        for (int n = 1; n <= 300; n++) {
            snprintf(text, sizeof text, "%d", n);
            assert_int_equal(tern_client_publish(r.client, "t", text, strlen(text), TERN_QOS_1, NULL), 0);
        }
        wait_told(295);
        int first = i == 0 ? 296 : 1;
        for (int id = 1; id <= 300; id++)
            assert_int_equal(atomic_load(&told[1][id]), id < first || id >= first + 5);
        assert_int_equal(stat_of("messages_dropped"), 295);
        rig_connect(&r);
        wait_told(300);
        for (int n = 0; n < 5; n++) {
            snprintf(want, sizeof want, "t=%d/1", first + n);
            rig_expect_message(&r, (size_t)n, want);
        }
        rig_free(&r);
    }
}

/* A token hears of it, too. */
static void a_dropped_token_ends(void **state)
{
    (void)state;
    start(TERN_OUTBOX_DROP_NEWEST, SIZE_MAX, 1);
    tern_token *kept = rig_publish(&r, "t", "1", TERN_QOS_1);
    rig_expect_outcome(rig_publish(&r, "t", "2", TERN_QOS_1), TERN_OUTCOME_NOT_SENT, TERN_CAUSE_DROPPED, TERN_E_OUTBOX_FULL);
    rig_connect(&r);
    rig_expect_outcome(kept, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    rig_free(&r);
}

static atomic_uint refused;

static void *rush(void *argument)
{
    char payload[200];
    memset(payload, 'x', sizeof payload);
    for (int n = 0; n < EACH; n++) {
        if (tern_client_publish(r.client, "t", payload, (size_t)(n % 200), (uint32_t)n % 2, NULL) != 0)
            atomic_fetch_add(&refused, 1);
    }
    return argument;
}

/* Threads that publish as fast as they can beyond a small bound, while the connection comes and goes: nothing is refused, memory stays
 * bounded, and each message has one outcome. [C1] [C10] */
static void rushing_publishers_stay_bounded(void **state)
{
    (void)state;
    static const tern_outbox_policy policies[] = {TERN_OUTBOX_DROP_OLDEST, TERN_OUTBOX_DROP_NEWEST};
    enum { BOUND = 20000 };
    for (size_t i = 0; i < 2; i++) {
        pthread_t threads[THREADS];
        start(policies[i], BOUND, 0);
        mock_broker_set_script(r.broker, NULL, NULL); /* nobody looks at so many */
        atomic_store(&refused, 0);
        assert_int_equal(tern_client_connect(r.client, NULL), 0);
        for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_create(&threads[t], NULL, rush, NULL), 0);
        for (int n = 0; n < 5; n++) mock_broker_cut(r.broker);
        for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
        assert_int_equal(atomic_load(&refused), 0);
        assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
        wait_told(THREADS * EACH);
        for (int id = 1; id <= THREADS * EACH; id++) assert_int_equal(atomic_load(&told[0][id]), 1);
        assert_in_range(stat_of("outbox_bytes_peak"), 1, BOUND + BOUND / 8 + THREADS * 300);
        rig_free(&r);
    }
}

/* Closing does not leave a publisher waiting. */
static void *rush_until_closed(void *argument)
{
    while (tern_client_publish(r.client, "t", "x", 1, TERN_QOS_1, NULL) == 0) {}
    return argument;
}

static void closing_ends_the_rush(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned some = 100;
    start(TERN_OUTBOX_DROP_OLDEST, SIZE_MAX, 2);
    assert_int_equal(tern_client_set_delivery_handler(r.client, NULL, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, rush_until_closed, NULL), 0);
    while (stat_of("messages_dropped") < some) {}
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0);
    pthread_join(thread, NULL);
    rig_free(&r);
}

/* The backlog comes one by one: at each message there is the time since the one before. */
static void a_backlog_drains_slowly(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_311);
    assert_int_equal(tern_client_options_set_drain_rate(r.fixed, 20, 1000), 0);
    rig_client(&r);
    for (int n = 0; n < 5; n++) assert_int_equal(tern_client_publish(r.client, "t", "x", 1, (uint32_t)n % 2, NULL), 0);
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    rig_connect(&r);
    assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(ms >= 4 * 50); /* four intervals of 50 ms: never sooner */
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 5, PATIENCE));
    rig_free(&r);
    tern_client_options *options;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_drain_rate(NULL, 1, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_drain_rate(options, 1, 0), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_drain_rate(options, 1000001, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_drain_rate(options, 0, 0), 0);
    assert_int_equal(tern_client_options_set_filters_per_subscribe(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_outbox_policy(options, (tern_outbox_policy)4, 0), TERN_E_INVALID);
    tern_client_options_free(options);
}

static bool all_settled(void *argument)
{
    uint64_t id = 0;
    assert_int_equal(tern_client_oldest_open(r.client, &id), 0);
    return id == *(uint64_t *)argument;
}

/* The oldest open message is never ahead of the truth, and gets there; limits are those of the last CONNACK. */
static void the_oldest_open_message_is_told(void **state)
{
    (void)state;
    uint64_t id = 9;
    int64_t value = 0;
    rig_init(&r, TERN_VERSION_5);
    static const uint8_t props[] = {0x27, 0, 0, 4, 0, 0x24, 1};
    mock_rules rules = {.no_acks = true, .connack_props_len = sizeof props};
    memcpy(rules.connack_props, props, sizeof props);
    rig_rules(&r, rules);
    rig_client(&r);
    assert_int_equal(tern_client_limit(r.client, TERN_LIMIT_MAXIMUM_QOS, &value), TERN_E_NOT_CONNECTED);
    assert_int_equal(value, -1);
    assert_int_equal(tern_client_oldest_open(r.client, &id), 0);
    assert_int_equal(id, 1);
    rig_connect(&r);
    assert_int_equal(tern_client_limit(r.client, TERN_LIMIT_MAXIMUM_PACKET_SIZE, &value), 0);
    assert_int_equal(value, 1024);
    assert_int_equal(tern_client_limit(r.client, TERN_LIMIT_MAXIMUM_QOS, &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(tern_client_limit(r.client, (tern_limit)99, &value), 0);
    assert_int_equal(value, -1);
    assert_int_equal(tern_client_limit(r.client, TERN_LIMIT_RETAIN, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_oldest_open(r.client, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish(r.client, "t", "1", 1, TERN_QOS_0, NULL), 0);
    assert_int_equal(tern_client_publish(r.client, "t", "2", 1, TERN_QOS_1, NULL), 0);
    rig_expect_outcome(rig_publish(&r, "t", "3", TERN_QOS_0), TERN_OUTCOME_SENT, TERN_CAUSE_NONE, 0);
    uint64_t second = 2;
    assert_true(net_wait_until(all_settled, &second, PATIENCE));
    rules.no_acks = false;
    rig_rules(&r, rules);
    rig_cut(&r);
    uint64_t last = 4;
    assert_true(net_wait_until(all_settled, &last, PATIENCE));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offline_messages_are_dropped),    cmocka_unit_test(a_dropped_token_ends),
        cmocka_unit_test(rushing_publishers_stay_bounded), cmocka_unit_test(closing_ends_the_rush),
        cmocka_unit_test(a_backlog_drains_slowly),         cmocka_unit_test(the_oldest_open_message_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
