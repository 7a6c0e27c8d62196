/* Batches through a client: when they go out, that nothing is lost on the way, and that each message has one outcome.
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
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MOST = 5000, THREADS = 4, EACH = 1000 };

static rig r;
static tern_batch *batch;

/* ---- outcomes by id ---- */

static atomic_uint told[MOST + 1];
static atomic_uint told_total;
static atomic_uint outcomes[MOST + 1];
static atomic_uint causes[MOST + 1];

static void on_delivery(tern_batch *from, uint64_t first_id, uint64_t last_id, tern_outcome outcome, tern_cause cause,
                        int reason_code, void *user_data)
{
    (void)from;
    (void)reason_code;
    (void)user_data;
    for (uint64_t id = first_id; id <= last_id; id++) {
        atomic_fetch_add(&told[id], 1);
        atomic_store(&outcomes[id], (unsigned)outcome);
        atomic_store(&causes[id], (unsigned)cause);
        atomic_fetch_add(&told_total, 1);
    }
}

static bool has_told(void *argument)
{
    return atomic_load(&told_total) >= *(unsigned *)argument;
}

static void expect_told(unsigned count, tern_outcome outcome, tern_cause cause)
{
    assert_true(net_wait_until(has_told, &count, PATIENCE));
    for (unsigned id = 1; id <= count; id++) {
        assert_int_equal(atomic_load(&told[id]), 1); /* [C1] */
        assert_int_equal(atomic_load(&outcomes[id]), outcome);
        assert_int_equal(atomic_load(&causes[id]), cause);
    }
}

static void prepare(tern_version version)
{
    memset(told, 0, sizeof told);
    atomic_store(&told_total, 0);
    rig_init(&r, version);
}

static void make_batch(void)
{
    assert_int_equal(tern_batch_new(&batch, r.client), 0);
    assert_int_equal(tern_batch_set_delivery_handler(batch, on_delivery, NULL), 0);
}

static void start(void)
{
    prepare(TERN_VERSION_5);
    rig_start(&r);
    make_batch();
}

static void finish(void)
{
    tern_batch_free(batch);
    rig_free(&r);
}

static void add(unsigned n)
{
    char topic[32];
    char payload[32];
    uint64_t id = 0;
    snprintf(topic, sizeof topic, "sensor/%u", n);
    snprintf(payload, sizeof payload, "value_%u", n);
    assert_int_equal(tern_batch_add(batch, topic, payload, strlen(payload), n % 3, &id), 0);
    assert_int_equal(id, n);
}

/* ---- what the broker got ---- */

static unsigned next_value;
static unsigned items;

static void on_item(const tern_message *message, double timestamp, void *user_data)
{
    char want[32];
    (void)timestamp;
    (void)user_data;
    snprintf(want, sizeof want, "value_%u", ++next_value);
    assert_string_equal(tern_message_text(message), want);
    items++;
}

/* Batch `index` that went out first has so many messages, which go on with the counting. */
static void expect_batch(size_t index, unsigned count)
{
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, index + 1, PATIENCE));
    tern__publish_packet sent = rig_packet(&r, TERN__PUBLISH, index).u.publish;
    tern_message *message;
    char text[200];
    if (index == 0) next_value = 0;
    items = 0;
    assert_true(view_is(sent.topic, "batch/messages"));
    assert_int_equal(sent.qos, 1);
    assert_int_equal(tern_message_new(&message, "t", sent.payload.data, sent.payload.len, 0), 0);
    if (tern_batch_unpack(message, 0, on_item, NULL, text, sizeof text) != 0) fail_msg("%s", text);
    tern_message_unref(message);
    assert_int_equal(items, count);
}

/* ---- tests ---- */

/* At ten messages, at so many bytes, by flush, and at the end. */
static void a_batch_goes_when_it_is_full(void **state)
{
    (void)state;
    start();
    for (unsigned n = 1; n <= 25; n++) add(n);
    expect_batch(0, 10);
    expect_batch(1, 10);
    assert_int_equal(tern_batch_count(batch), 5);
    assert_int_equal(tern_batch_flush(batch), 0);
    expect_batch(2, 5);
    assert_int_equal(tern_batch_flush(batch), 0); /* nothing to flush */
    add(26);
    assert_int_equal(tern_batch_close(batch), 0);
    expect_batch(3, 1);
    expect_told(26, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    assert_int_equal(tern_batch_add(batch, "t", "x", 1, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_batch_close(batch), TERN_E_CLOSED);
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), 4);
    finish();

    start();
    assert_int_equal(tern_batch_set_limits(batch, 1000, 300), 0); /* three of some 90 bytes */
    for (unsigned n = 1; n <= 7; n++) add(n);
    expect_batch(0, 3);
    expect_batch(1, 3);
    char large[500];
    memset(large, 'x', sizeof large);
    assert_int_equal(tern_batch_add(batch, "large", large, sizeof large, 0, NULL), 0); /* goes alone */
    expect_batch(2, 1);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 4, PATIENCE));
    expect_told(8, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    finish();
}

/* After the interval, though nobody adds or flushes; each bundle has its own. */
static void a_batch_goes_after_its_interval(void **state)
{
    (void)state;
    start();
    assert_int_equal(tern_batch_set_interval(batch, 30), 0);
    add(1);
    add(2);
    expect_batch(0, 2);
    add(3);
    expect_batch(1, 1);
    expect_told(3, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    finish();

    start(); /* 0: never by itself */
    assert_int_equal(tern_batch_set_interval(batch, 0), 0);
    add(1);
    rig_barrier(&r);
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), 0);
    finish(); /* freeing flushes: nothing is left behind */
}

/* Collected offline, cut on the way, a session lost: all arrive, in order. */
static void nothing_is_lost_on_the_way(void **state)
{
    (void)state;
    prepare(TERN_VERSION_311);
    rig_client(&r);
    make_batch();
    for (unsigned n = 1; n <= 30; n++) add(n);
    rig_rules(&r, (mock_rules){.no_acks = true});
    rig_connect(&r);
    for (unsigned n = 31; n <= 60; n++) add(n);
    expect_batch(0, 10);
    rig_rules(&r, (mock_rules){0});
    rig_cut(&r);
    for (unsigned n = 61; n <= 100; n++) add(n);
    expect_told(100, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    finish();
}

/* A batch that is too large for the server goes in halves, until one message alone is. */
static void what_is_too_large_is_split(void **state)
{
    (void)state;
    static const uint8_t props[] = {0x27, 0, 0, 1, 0x2c}; /* Maximum Packet Size 300 */
    prepare(TERN_VERSION_5);
    mock_rules rules = {.connack_props_len = sizeof props};
    memcpy(rules.connack_props, props, sizeof props);
    rig_rules(&r, rules);
    rig_client(&r);
    make_batch();
    for (unsigned n = 1; n <= 10; n++) add(n); /* nobody knows the limit yet */
    char large[400];
    memset(large, 'x', sizeof large);
    rig_connect(&r);
    expect_told(10, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    assert_in_range(rig_packets(&r, TERN__PUBLISH), 4, 8);
    for (unsigned n = 11; n <= 20; n++) add(n); /* by now it does */
    assert_int_equal(tern_batch_flush(batch), 0);
    expect_told(20, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    assert_int_equal(tern_batch_add(batch, "large", large, sizeof large, 0, NULL), 0);
    unsigned all = 21;
    assert_true(net_wait_until(has_told, &all, PATIENCE));
    assert_int_equal(atomic_load(&outcomes[21]), TERN_OUTCOME_NOT_SENT);
    assert_int_equal(atomic_load(&causes[21]), TERN_CAUSE_TOO_LARGE);
    unsigned values = 0;
    next_value = 0;
    for (size_t i = 0; i < rig_packets(&r, TERN__PUBLISH); i++) { /* in order, all of them */
        tern__publish_packet sent = rig_packet(&r, TERN__PUBLISH, i).u.publish;
        tern_message *message;
        items = 0;
        assert_int_equal(tern_message_new(&message, "t", sent.payload.data, sent.payload.len, 0), 0);
        assert_int_equal(tern_batch_unpack(message, 0, on_item, NULL, NULL, 0), 0);
        tern_message_unref(message);
        values += items;
    }
    assert_int_equal(values, 20);
    finish();
}

/* A full outbox holds batches back, up to a bound, and lets them go when there is room. */
static void a_full_outbox_holds_them_back(void **state)
{
    (void)state;
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_client_options_set_outbox_limits(r.fixed, SIZE_MAX, 2), 0);
    rig_client(&r);
    make_batch();
    assert_int_equal(tern_batch_set_limits(batch, 1, 1000), 0);
    assert_int_equal(tern_batch_set_waiting_limit(batch, 500), 0);
    unsigned n = 0;
    int rc = 0;
    while (rc == 0 && n < 100) {
        char payload[32];
        snprintf(payload, sizeof payload, "value_%u", n + 1);
        rc = tern_batch_add(batch, "t", payload, strlen(payload), 0, NULL);
        if (rc == 0) n++;
    }
    assert_int_equal(rc, TERN_E_OUTBOX_FULL);
    assert_in_range(n, 4, 12);
    assert_int_equal(tern_batch_count(batch), n - 2);
    rig_connect(&r);
    expect_told(n, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    for (unsigned i = 0; i < n; i++) expect_batch(i, 1);
    finish();
}

/* The client closes first: what is collected, and what waits, is told so. */
static void a_closed_client_is_told(void **state)
{
    (void)state;
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_client_options_set_outbox_limits(r.fixed, SIZE_MAX, 1), 0);
    rig_client(&r);
    make_batch();
    for (unsigned n = 1; n <= 35; n++) add(n); /* one batch accepted, two wait, five messages are collected */
    tern_token *closed;
    assert_int_equal(tern_client_close(r.client, 1, 50, &closed), 0);
    assert_int_equal(tern_token_wait(closed, PATIENCE), 0);
    tern_token_unref(closed);
    expect_told(35, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED);
    uint64_t id = 1;
    assert_int_equal(tern_batch_add(batch, "t", "x", 1, 0, &id), 0); /* accepted, and told when it is tried */
    assert_int_equal(tern_batch_flush(batch), 0);
    expect_told(36, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED);
    finish();
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    uint64_t id = 7;
    start();
    assert_int_equal(tern_batch_new(NULL, r.client), TERN_E_INVALID);
    assert_int_equal(tern_batch_set_topic(batch, "a/#"), TERN_E_TOPIC);
    assert_int_equal(tern_batch_set_topic(batch, "my/batches"), 0);
    assert_int_equal(tern_batch_set_flags(batch, 3), TERN_E_INVALID);
    assert_int_equal(tern_batch_set_limits(batch, 0, 1), TERN_E_INVALID);
    assert_int_equal(tern_batch_set_limits(batch, 1, 0), TERN_E_INVALID);
    assert_int_equal(tern_batch_set_waiting_limit(batch, 0), TERN_E_INVALID);
    assert_int_equal(tern_batch_add(batch, "a/+", "x", 1, 0, &id), TERN_E_TOPIC);
    assert_int_equal(id, 0);
    assert_int_equal(tern_batch_add(batch, "a", NULL, 1, 0, &id), TERN_E_INVALID);
    assert_int_equal(tern_batch_add(batch, "a", "x", 1, 3, &id), TERN_E_INVALID);
    assert_int_equal(tern_batch_add(batch, "a", "x", 1, TERN_RETAIN, &id), TERN_E_INVALID);
    assert_int_equal(tern_batch_add(batch, "\xff", "x", 1, 0, &id), TERN_E_UTF8);
    assert_int_equal(tern_batch_add(NULL, "a", "x", 1, 0, &id), TERN_E_INVALID);
    assert_int_equal(tern_batch_add(batch, "a", "x", 1, 0, &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(tern_batch_set_topic(batch, "other"), TERN_E_STATE);
    assert_int_equal(tern_batch_set_interval(batch, 1), TERN_E_STATE);
    assert_int_equal(tern_batch_count(NULL), 0);
    tern_batch_free(NULL);
    assert_int_equal(tern_batch_flush(batch), 0);
    expect_told(1, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    assert_true(view_is(rig_packet(&r, TERN__PUBLISH, 0).u.publish.topic, "my/batches"));
    finish();
}

/* ---- threads ---- */

static void *rush(void *argument)
{
    for (unsigned n = 0; n < EACH; n++) {
        int rc;
        do rc = tern_batch_add(batch, "t", "some payload", 12, 1, NULL);
        while (rc == TERN_E_OUTBOX_FULL);
        if (rc != 0) return argument;
        if (n % 97 == 0) (void)tern_batch_flush(batch);
    }
    return NULL;
}

/* Many threads, timers and cuts at once: each message is told once, and all arrive. */
static void threads_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    void *failed;
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_client_options_set_outbox_limits(r.fixed, SIZE_MAX, 20), 0);
    rig_start(&r);
    make_batch();
    assert_int_equal(tern_batch_set_interval(batch, 1), 0);
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, rush, &r), 0);
    for (int i = 0; i < 5; i++) rig_cut(&r);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(tern_batch_close(batch), 0);
    expect_told(THREADS * EACH, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_goes_when_it_is_full), cmocka_unit_test(a_batch_goes_after_its_interval),
        cmocka_unit_test(nothing_is_lost_on_the_way),   cmocka_unit_test(what_is_too_large_is_split),
        cmocka_unit_test(a_full_outbox_holds_them_back), cmocka_unit_test(a_closed_client_is_told),
        cmocka_unit_test(wrong_arguments_are_refused),  cmocka_unit_test(threads_lose_nothing),
    };
#ifndef TERN_WITH_CJSON
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
