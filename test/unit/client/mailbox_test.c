/* Mailboxes: what waits for a client's callbacks, in which order it comes, and what is held
 * meanwhile. The client is dispatched by hand and never connects, so that its loop leaves the
 * mailbox to the test.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/client.h>
#include <tern/message.h>
#include <tern/options.h>
#include <tern/token.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/client.h"
#include "engine/blocks.h"
#include "support/failing.h"

enum { PATIENCE = 20000, BLOCK = 512 };

/* A client, a pool of its own, and what its callbacks were told, as text. */
typedef struct rig {
    tern_client *client;
    tern__block_pool *pool;
    char told[2000];
    size_t told_len;
    uint32_t last_seq;
    unsigned refill; /* ranges that the delivery handler still pushes */
    bool inside;     /* a callback runs */
} rig;

static void tell(rig *r, const char *text)
{
    const int n = snprintf(r->told + r->told_len, sizeof r->told - r->told_len, "%s;", text);
    assert_true(n > 0 && (size_t)n < sizeof r->told - r->told_len);
    r->told_len += (size_t)n;
}

static void enter(rig *r)
{
    assert_false(r->inside); /* they never overlap [C9] */
    r->inside = true;
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    rig *r = user_data;
    char text[64];
    enter(r);
    assert_ptr_equal(client, r->client);
    (void)snprintf(text, sizeof text, "%s=%s", tern_message_topic(message),
                   tern_message_text(message));
    tell(r, text);
    r->inside = false;
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    rig *r = user_data;
    enter(r);
    assert_ptr_equal(client, r->client);
    tell(r, tern_event_kind_name(tern_event_get_kind(event)));
    r->inside = false;
}

static void push_range(rig *r, uint64_t first, uint64_t last, tern_outcome outcome)
{
    const tern__range range = {first, last, outcome, TERN_CAUSE_NONE, -1};
    assert_int_equal(tern__mailbox_push_range(&r->client->mailbox, &range), 0);
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    rig *r = user_data;
    char text[64];
    enter(r);
    assert_ptr_equal(client, r->client);
    const uint64_t last = tern_delivery_last_id(delivery);
    (void)snprintf(text, sizeof text, "%u-%u", (unsigned)tern_delivery_first_id(delivery),
                   (unsigned)last);
    tell(r, text);
    if (r->refill != 0) {
        r->refill--;
        push_range(r, last + 1, last + 1, TERN_OUTCOME_SENT);
    }
    r->inside = false;
}

static void on_token(tern_token *token, void *user_data)
{
    (void)token;
    rig *r = user_data;
    enter(r);
    tell(r, "token");
    r->inside = false;
}

static void rig_init(rig *r)
{
    tern_client_options *options = NULL;
    memset(r, 0, sizeof *r);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_new(&r->client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern__block_pool_new(&r->pool, BLOCK), 0);
    assert_int_equal(tern_client_set_event_handler(r->client, on_event, r), 0);
    assert_int_equal(tern_client_set_delivery_handler(r->client, on_delivery, r), 0);
}

static void rig_free(rig *r)
{
    tern_client_free(r->client);
    tern__block_pool_unref(r->pool);
}

/* Runs what is due. */
static void run(rig *r)
{
    while (tern_client_dispatch(r->client, 0) == 0)
        continue;
}

static void expect(rig *r, const char *told)
{
    assert_string_equal(r->told, told);
    r->told_len = 0;
    r->told[0] = '\0';
}

/* A message at the end of a block, laid out as on the wire. */
static void add(rig *r, tern__block *block, const char *topic, const char *payload, uint8_t qos)
{
    uint8_t *at = block->data + block->len;
    const size_t topic_len = strlen(topic);
    const size_t len = strlen(payload);
    assert_true(block->len + 4 + topic_len + len <= block->cap);
    memcpy(at + 4, topic, topic_len);
    memcpy(at + 4 + topic_len, payload, len);
    tern__record *record = tern__block_record(block);
    assert_non_null(record);
    *record = (tern__record){.topic = at + 4,
                             .topic_len = (uint16_t)topic_len,
                             .payload = at + 4 + topic_len,
                             .payload_len = (uint32_t)len,
                             .qos = qos,
                             .block = block};
    if (qos != 0) record->ack_seq = ++r->last_seq;
    block->len += 4 + topic_len + len;
    block->epoch = 7;
}

static tern__block *take(rig *r)
{
    tern__block *block = tern__block_take(r->pool, BLOCK);
    assert_non_null(block);
    return block;
}

static void push(rig *r, const char *topic, const char *payload)
{
    tern__block *block = take(r);
    add(r, block, topic, payload, 1);
    tern__mailbox_push_block(&r->client->mailbox, block);
}

static void push_event(rig *r, tern_event_kind kind)
{
    tern_event *event = tern__event_new(kind);
    assert_non_null(event);
    tern__mailbox_push_event(&r->client->mailbox, event);
}

/* A token that has ended, with a callback. */
static void push_token(rig *r)
{
    tern_token *token = NULL;
    assert_int_equal(tern__token_new(r->client, &token), 0);
    assert_int_equal(tern_token_set_callback(token, on_token, r), 0);
    tern__token_finish_error(token, 0, NULL);
    tern_token_unref(token);
}

static uint64_t held(rig *r)
{
    uint64_t value = 0;
    assert_int_equal(tern_client_stat(r->client, "inbound_bytes", &value), 0);
    return value;
}

/* ---- order ---- */

/* Messages in wire order, and an event where it happened among them. [C9] */
static void events_keep_their_place_among_messages(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, &r), 0);
    push(&r, "a", "1");
    push_event(&r, TERN_EVENT_DISCONNECTED);
    push(&r, "a", "2");
    push(&r, "a", "3");
    push_event(&r, TERN_EVENT_CONNECTING);
    push_event(&r, TERN_EVENT_CONNECTED);
    push(&r, "a", "4");
    run(&r);
    expect(&r, "a=1;DISCONNECTED;a=2;a=3;CONNECTING;CONNECTED;a=4;");
    rig_free(&r);
}

/* Without a handler messages wait to be received, and events do not wait for them. */
static void events_do_not_wait_for_who_never_comes(void **state)
{
    (void)state;
    rig r;
    tern_message *message = NULL;
    rig_init(&r);
    push(&r, "a", "1");
    push_event(&r, TERN_EVENT_DISCONNECTED);
    run(&r);
    expect(&r, "DISCONNECTED;");
    assert_int_equal(tern_client_receive(r.client, &message), 0);
    assert_string_equal(tern_message_text(message), "1");
    tern_message_unref(message);
    assert_int_equal(tern_client_receive(r.client, &message), TERN_E_AGAIN);
    assert_null(message);
    rig_free(&r);
}

/* Whatever comes without end, the rest has its turn: outcomes that make outcomes, and messages. */
static void nothing_starves(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, &r), 0);
    r.refill = 40;
    push_range(&r, 1, 1, TERN_OUTCOME_SENT);
    push_token(&r);
    for (int i = 0; i < 5; i++)
        push(&r, "a", "x");
    push_token(&r);
    run(&r);
    const char *third = strstr(r.told, "3-3;");
    assert_non_null(third);
    assert_non_null(strstr(r.told, "41-41;")); /* all of them came */
    const char *second_token = strstr(strstr(r.told, "token;") + 1, "token;");
    assert_true(second_token != NULL && second_token < third);
    assert_true(strstr(r.told, "a=x;") < third);
    rig_free(&r);
}

/* A token that tells the end of messages comes after their outcomes. */
static void outcomes_come_before_the_token_that_waits_for_them(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    push_range(&r, 1, 3, TERN_OUTCOME_SENT);
    push_range(&r, 4, 4, TERN_OUTCOME_REFUSED);
    push_token(&r);
    run(&r);
    expect(&r, "1-3;4-4;token;");
    rig_free(&r);
}

/* ---- outcomes ---- */

static void neighbours_with_one_outcome_are_one_range(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    push_range(&r, 1, 3, TERN_OUTCOME_SENT);
    push_range(&r, 4, 9, TERN_OUTCOME_SENT);
    const uint64_t one = held(&r);
    push_range(&r, 11, 11, TERN_OUTCOME_SENT);      /* a gap */
    push_range(&r, 12, 12, TERN_OUTCOME_DELIVERED); /* another outcome */
    push_range(&r, 10, 10, TERN_OUTCOME_SENT);      /* late */
    assert_true(one > 0 &&
                held(&r) == 4 * one); /* what waits counts against the inbound bound [C10] */
    run(&r);
    expect(&r, "1-9;11-11;12-12;10-10;");
    assert_true(held(&r) == 0);
    rig_free(&r);
}

/* Where nobody asks they are counted elsewhere, and nothing is held. */
static void outcomes_that_nobody_asks_for_cost_nothing(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    assert_int_equal(tern_client_set_delivery_handler(r.client, NULL, NULL), 0);
    push_range(&r, 1, 1000, TERN_OUTCOME_SENT);
    assert_true(held(&r) == 0);
    assert_int_equal(tern_client_set_delivery_handler(r.client, on_delivery, &r), 0);
    run(&r);
    expect(&r, "");
    rig_free(&r);
}

static void a_range_without_memory_is_not_taken(void **state) /* [C19] */
{
    (void)state;
    rig r;
    rig_init(&r);
    const tern__range first = {1, 1, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1};
    failing_arm(0);
    assert_int_equal(tern__mailbox_push_range(&r.client->mailbox, &first), TERN_E_NOMEM);
    assert_true(failing_disarm());
    assert_true(held(&r) == 0);
    run(&r);
    expect(&r, "");
    push_range(&r, 1, 1, TERN_OUTCOME_SENT);
    failing_arm(0);
    const tern__range next = {2, 2, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1};
    assert_int_equal(tern__mailbox_push_range(&r.client->mailbox, &next),
                     0); /* joining needs none */
    (void)failing_disarm();
    run(&r);
    expect(&r, "1-2;");
    rig_free(&r);
}

/* ---- messages ---- */

static uint64_t acked(rig *r)
{
    return atomic_load(&r->client->mailbox.ack);
}

/* Nobody takes it: an event tells, it is counted, and it is acknowledged all the same.
 * [MQTT5-4.5.0-2] [MQTT311-4.5.0-2] */
static void what_nobody_takes_is_told_and_acknowledged(void **state)
{
    (void)state;
    rig r;
    uint64_t value = 0;
    rig_init(&r);
    assert_int_equal(tern_client_set_filter_handler(r.client, "b/#", on_message, &r), 0);
    tern__block *block = take(&r);
    add(&r, block, "b", "1", 1);
    add(&r, block, "a", "2", 2);
    tern__mailbox_push_block(&r.client->mailbox, block);
    assert_true(acked(&r) == 0); /* not before its callback returned [C9] */
    run(&r);
    expect(&r, "b=1;UNHANDLED;");
    assert_true(acked(&r) == (UINT64_C(7) << 32 | 2));
    assert_int_equal(tern_client_stat(r.client, "messages_unhandled", &value), 0);
    assert_true(value == 1);
    /* Without an event handler it is counted alone. */
    assert_int_equal(tern_client_set_event_handler(r.client, NULL, NULL), 0);
    push(&r, "a", "3");
    run(&r);
    expect(&r, "");
    assert_true(acked(&r) == (UINT64_C(7) << 32 | 3));
    assert_int_equal(tern_client_stat(r.client, "messages_unhandled", &value), 0);
    assert_true(value == 2);
    rig_free(&r);
}

/* Received by hand: in order, one by one, each acknowledged by being handed over; what is left goes
 * to a handler. */
static void receiving_by_hand(void **state)
{
    (void)state;
    rig r;
    tern_message *first = NULL;
    tern_message *second = NULL;
    rig_init(&r);
    tern__block *block = take(&r);
    add(&r, block, "a", "1", 1);
    add(&r, block, "a", "2", 0);
    add(&r, block, "a", "3", 1);
    tern__mailbox_push_block(&r.client->mailbox, block);
    assert_true(held(&r) >= BLOCK);
    assert_int_equal(tern_client_receive(r.client, &first), 0);
    assert_true(acked(&r) == (UINT64_C(7) << 32 | 1));
    assert_int_equal(tern_client_receive(r.client, &second), 0);
    assert_true(acked(&r) == (UINT64_C(7) << 32 | 1)); /* QoS 0 needs none */
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, &r), 0);
    tern_message *none = first;
    assert_int_equal(tern_client_receive(r.client, &none), TERN_E_STATE);
    assert_null(none);
    run(&r);
    expect(&r, "a=3;");
    assert_true(held(&r) == 0);
    assert_true(acked(&r) == (UINT64_C(7) << 32 | 2));
    assert_string_equal(tern_message_text(first), "1"); /* their own, though the block is gone */
    assert_string_equal(tern_message_text(second), "2");
    tern_message_unref(first);
    tern_message_unref(second);
    rig_free(&r);
}

/* The message still waits. [C19] */
static void receiving_without_memory(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    push(&r, "a", "1");
    bool failed = true;
    for (long n = 0; failed; n++) {
        tern_message *message = (tern_message *)&failed;
        failing_arm(n);
        const int rc = tern_client_receive(r.client, &message);
        failed = failing_disarm();
        assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
        assert_true(acked(&r) == (failed ? 0 : (UINT64_C(7) << 32 | 1)));
        if (failed)
            assert_null(message);
        else
            assert_string_equal(tern_message_text(message), "1");
        tern_message_unref(failed ? NULL : message);
    }
    rig_free(&r);
}

/* A peak is the most that was held, not what is held. [C10] */
static void the_peak_stays(void **state)
{
    (void)state;
    rig r;
    uint64_t peak = 0;
    rig_init(&r);
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, &r), 0);
    push(&r, "a", "1");
    push(&r, "a", "2");
    const uint64_t two = held(&r);
    run(&r);
    push(&r, "a", "3");
    run(&r);
    assert_true(held(&r) == 0);
    assert_int_equal(tern_client_stat(r.client, "inbound_bytes_peak", &peak), 0);
    assert_true(peak == two);
    rig_free(&r);
}

/* ---- waiting for a message ---- */

static tern_token *receiver(rig *r)
{
    tern_token *token = NULL;
    assert_int_equal(tern_client_receive_token(r->client, &token), 0);
    return token;
}

static void receivers_end_with_a_message(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    tern_token *one = receiver(&r);
    tern_token *two = receiver(&r);
    assert_int_equal(tern_token_done(one), 0);
    push(&r, "a", "1");
    assert_int_equal(tern_token_error(one), 0);
    assert_int_equal(tern_token_error(two), 0); /* whoever comes first has it */
    tern_token *three = receiver(&r);
    assert_int_equal(tern_token_done(three), 1); /* it is there already */
    tern_token_unref(one);
    tern_token_unref(two);
    tern_token_unref(three);
    rig_free(&r);
}

static void receivers_end_with_a_handler(void **state)
{
    (void)state;
    rig r;
    tern_token *none = NULL;
    rig_init(&r);
    tern_token *token = receiver(&r);
    assert_int_equal(tern_client_set_filter_handler(r.client, "b", on_message, &r), 0);
    assert_int_equal(tern_token_error(token), TERN_E_STATE);
    assert_int_equal(tern_client_receive_token(r.client, &none), TERN_E_STATE);
    assert_null(none);
    tern_token_unref(token);
    assert_int_equal(tern_client_set_filter_handler(r.client, "b", NULL, NULL), 0);
    token = receiver(&r); /* none any more */
    assert_int_equal(tern_token_done(token), 0);
    tern_token_unref(token);
    rig_free(&r);
}

static void receivers_end_with_the_client(void **state)
{
    (void)state;
    rig r;
    tern_token *closed = NULL;
    tern_message *message = NULL;
    rig_init(&r);
    tern_token *token = receiver(&r);
    assert_int_equal(tern_token_set_callback(token, on_token, &r), 0);
    assert_int_equal(tern_client_close(r.client, 0, 0, &closed), 0);
    while (tern_client_dispatch(r.client, PATIENCE) == 0)
        continue;
    assert_int_equal(tern_token_error(closed), 0);
    assert_int_equal(tern_token_error(token), TERN_E_CLOSED);
    expect(&r, "token;"); /* once, before the end */
    assert_int_equal(tern_client_receive(r.client, &message), TERN_E_CLOSED);
    assert_int_equal(tern_client_dispatch(r.client, 0), TERN_E_CLOSED);
    tern_token_unref(token);
    tern_token_unref(closed);
    rig_free(&r);
}

/* Who gives up waiting again and again leaves nothing behind. [C10] */
static void receivers_that_nobody_holds_go(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    const unsigned before = atomic_load(&r.client->refs);
    for (int i = 0; i < 1000; i++)
        tern_token_unref(receiver(&r));
    assert_true(atomic_load(&r.client->refs) <= before + 2);
    rig_free(&r);
}

/* ---- the end ---- */

/* What waits when the client closes is told first; behind the last callback there is none. [C12] */
static void the_end_comes_last(void **state)
{
    (void)state;
    rig r;
    tern_token *closed = NULL;
    tern_token *late = NULL;
    rig_init(&r);
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, &r), 0);
    push(&r, "a", "1");
    push_range(&r, 1, 2, TERN_OUTCOME_SENT);
    push_token(&r);
    push_event(&r, TERN_EVENT_RESUMED);
    assert_int_equal(tern__token_new(r.client, &late), 0);
    assert_int_equal(tern_client_close(r.client, 0, 0, &closed), 0);
    assert_int_equal(tern_token_set_callback(closed, on_token, &r), 0);
    while (tern_client_dispatch(r.client, PATIENCE) == 0)
        continue;
    assert_string_equal(r.told + r.told_len - 6, "token;"); /* that of the close */
    static const char *const parts[] = {"a=1;", "1-2;", "RESUMED;"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_non_null(strstr(r.told, parts[i]));
    assert_non_null(strstr(strstr(r.told, "token;") + 1, "token;"));
    const size_t before = r.told_len;
    assert_false(tern__mailbox_push_token(&r.client->mailbox, late)); /* it is still ours, twice */
    assert_int_equal(tern_token_set_callback(closed, on_token, &r), TERN_E_STATE);
    assert_int_equal(tern_client_dispatch(r.client, 0), TERN_E_CLOSED);
    assert_int_equal(r.told_len, before);
    tern_token_unref(late);
    tern_token_unref(late);
    tern_token_unref(closed);
    rig_free(&r);
}

/* ---- threads ---- */

enum { THREADS = 3, MESSAGES = 600 };

typedef struct takers {
    rig r;
    atomic_uint taken[MESSAGES];
    atomic_uint count;
} takers;

static void *take_on(void *argument)
{
    takers *t = argument;
    int last = -1;
    while (atomic_load(&t->count) < MESSAGES) {
        tern_message *message = NULL;
        const int rc = tern_client_receive(t->r.client, &message);
        if (rc == TERN_E_AGAIN) {
            tern_token *token = NULL;
            if (tern_client_receive_token(t->r.client, &token) != 0) return t;
            if (atomic_load(&t->count) < MESSAGES) (void)tern_token_wait(token, 10);
            tern_token_unref(token);
            continue;
        }
        if (rc != 0) return t;
        const int number = atoi(tern_message_text(message));
        tern_message_unref(message);
        if (number <= last) return t; /* each sees them in order */
        last = number;
        atomic_fetch_add(&t->taken[number], 1);
        atomic_fetch_add(&t->count, 1);
    }
    return NULL;
}

/* Several threads receive while the loop puts in: each message has one taker. [C20] */
static void many_take(void **state)
{
    (void)state;
    takers *t = calloc(1, sizeof *t);
    assert_non_null(t);
    pthread_t threads[THREADS];
    rig_init(&t->r);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_on, t), 0);
    for (int i = 0; i < MESSAGES;) {
        tern__block *block = take(&t->r);
        for (int n = 0; n < 7 && i < MESSAGES; n++, i++) {
            char text[16];
            (void)snprintf(text, sizeof text, "%d", i);
            add(&t->r, block, "a", text, 1);
        }
        tern__mailbox_push_block(&t->r.client->mailbox, block);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(atomic_load(&t->taken[i]), 1);
    assert_true(held(&t->r) == 0);
    rig_free(&t->r);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_keep_their_place_among_messages),
        cmocka_unit_test(events_do_not_wait_for_who_never_comes),
        cmocka_unit_test(nothing_starves),
        cmocka_unit_test(outcomes_come_before_the_token_that_waits_for_them),
        cmocka_unit_test(neighbours_with_one_outcome_are_one_range),
        cmocka_unit_test(outcomes_that_nobody_asks_for_cost_nothing),
        cmocka_unit_test(a_range_without_memory_is_not_taken),
        cmocka_unit_test(what_nobody_takes_is_told_and_acknowledged),
        cmocka_unit_test(receiving_by_hand),
        cmocka_unit_test(receiving_without_memory),
        cmocka_unit_test(the_peak_stays),
        cmocka_unit_test(receivers_end_with_a_message),
        cmocka_unit_test(receivers_end_with_a_handler),
        cmocka_unit_test(receivers_end_with_the_client),
        cmocka_unit_test(receivers_that_nobody_holds_go),
        cmocka_unit_test(the_end_comes_last),
        cmocka_unit_test(many_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
