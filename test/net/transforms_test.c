/* Transforms and units: what they make of messages on their way out and in, and who is told.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

static rig r;

/* A transform that writes its letter behind every payload, and does as topics tell it. */
typedef struct letter {
    char own;
    atomic_uint released;
    atomic_uint flags; /* of the last message that went out */
} letter;

static tern_message *lettered(const tern_message *message, char own)
{
    char text[64];
    tern_message *copy = NULL;
    assert_int_equal(tern_message_keep(message, &copy), 0);
    int len = snprintf(text, sizeof text, "%.*s%c", (int)tern_message_payload_length(message),
                       (const char *)tern_message_payload(message), own);
    assert_int_equal(tern_message_set_payload(copy, text, (size_t)len), 0);
    return copy;
}

static int on_outgoing(tern_client *client, tern_outgoing *outgoing, void *user_data)
{
    letter *l = user_data;
    const tern_message *message = tern_outgoing_message(outgoing);
    const char *topic = tern_message_topic(message);
    (void)client;
    atomic_store(&l->flags, tern_outgoing_flags(outgoing));
    if (strcmp(topic, "pass") == 0) return 0;
    if (strcmp(topic, "refuse") == 0) {
        assert_int_equal(tern_outgoing_explain(outgoing, "this topic\nis refused"), 0);
        return TERN_E_UNSUPPORTED;
    }
    if (strcmp(topic, "refuse/silently") == 0) return TERN_E_TOO_LARGE;
    if (strcmp(topic, "pair") == 0 && l->own == 'a') {
        tern_message *before = NULL;
        assert_int_equal(tern_message_new(&before, "pair/meta", "m", 1, TERN_QOS_1), 0);
        assert_int_equal(tern_outgoing_precede(outgoing, before), 0);
    }
    return tern_outgoing_replace(outgoing, lettered(message, l->own));
}

static void on_incoming(tern_client *client, tern_incoming *incoming, void *user_data)
{
    letter *l = user_data;
    const tern_message *message = tern_incoming_message(incoming);
    const char *topic = tern_message_topic(message);
    (void)client;
    if (strcmp(topic, "in/mark") == 0)
        assert_int_equal(tern_incoming_set_mark(incoming, tern_message_mark(message) * 10 + (uint32_t)(l->own - 'a' + 1)), 0);
    if (strcmp(topic, "in/pass") == 0 || strcmp(topic, "in/mark") == 0) return;
    if (strcmp(topic, "in/drop") == 0) {
        assert_int_equal(tern_incoming_drop(incoming), 0);
        return;
    }
    tern_message *copy = lettered(message, l->own);
    if (strcmp(topic, "in/move") == 0) assert_int_equal(tern_message_set_topic(copy, "moved"), 0);
    assert_int_equal(tern_message_set_mark(copy, tern_message_mark(message) * 10 + (uint32_t)(l->own - 'a' + 1)), 0);
    assert_int_equal(tern_incoming_replace(incoming, copy), 0);
}

static void on_release(void *user_data)
{
    atomic_fetch_add(&((letter *)user_data)->released, 1);
}

static letter a, b;

static void start(tern_version version)
{
    rig_init(&r, version);
    a = (letter){.own = 'a'};
    b = (letter){.own = 'b'};
    letter *both[] = {&a, &b};
    for (size_t i = 0; i < 2; i++) {
        tern_transform *transform = NULL;
        assert_int_equal(tern_transform_new(&transform, on_outgoing, on_incoming, on_release, both[i]), 0);
        assert_int_equal(tern_client_options_add_transform(r.fixed, transform), 0);
        tern_transform_unref(transform);
    }
    rig_start(&r);
}

/* Out in the order of adding, in the other way round; prepared and plain messages, with tokens and without. */
static void messages_pass_in_order(void **state)
{
    (void)state;
    start(TERN_VERSION_5);
    uint64_t id = 0;
    assert_int_equal(tern_client_publish(r.client, "t", "x", 1, TERN_QOS_1 | TERN_COMPRESS, &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(atomic_load(&a.flags), TERN_QOS_1 | TERN_COMPRESS);
    rig_expect_outcome(rig_publish(&r, "t", "y", TERN_QOS_1 | TERN_RETAIN), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_int_equal(atomic_load(&b.flags), TERN_QOS_1 | TERN_RETAIN);
    tern_message *one = rig_message("t", "z", TERN_QOS_1 | TERN_UNCOMPRESSED | TERN_LOSE_PROPERTIES);
    assert_int_equal(tern_message_add_user_property(one, "k", "v"), 0);
    rig_expect_outcome(rig_publish_message(&r, one), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_int_equal(atomic_load(&a.flags), TERN_QOS_1 | TERN_UNCOMPRESSED | TERN_LOSE_PROPERTIES);
    rig_expect_outcome(rig_publish(&r, "pass", "raw", TERN_QOS_1), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    rig_expect_message(&r, 0, "t=xab/1");
    rig_expect_message(&r, 1, "t=yab/1r");
    rig_expect_message(&r, 2, "t=zab/1");
    rig_expect_message(&r, 3, "pass=raw/1");
    assert_true(rig_packet(&r, TERN__PUBLISH, 2).props.len != 0);
    assert_int_equal(tern_client_subscribe_wait(r.client, "in/#", TERN_QOS_1, PATIENCE), 0);
    rig_send_publish(&r, "in/x", "1", 0, 0, false);
    rig_send_publish(&r, "in/drop", "2", 1, 9, false);
    rig_send_publish(&r, "in/move", "3", 1, 10, false);
    rig_send_publish(&r, "in/pass", "4", 0, 0, false);
    tern_message *got = NULL;
    assert_int_equal(tern_client_receive_wait(r.client, &got, PATIENCE), 0);
    assert_string_equal(tern_message_text(got), "1ba");
    assert_int_equal(tern_message_mark(got), 21);
    tern_message_unref(got);
    rig_expect_received(&r, "moved=3ba/1");
    rig_expect_received(&r, "in/pass=4/0");
    assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 2, PATIENCE)); /* what was dropped is acknowledged [C9] */
    assert_int_equal(atomic_load(&a.released) + atomic_load(&b.released), 0);
    rig_free(&r);
    assert_int_equal(atomic_load(&a.released), 1);
    assert_int_equal(atomic_load(&b.released), 1);
}

/* A mark needs no copy of the message, and stays with it alone; where messages are received, and where handlers see them. */
static uint32_t marks[3];
static atomic_int marked;

static void note_mark(tern_client *client, const tern_message *message, void *user_data)
{
    tern_message *copy = NULL;
    (void)client;
    (void)user_data;
    assert_int_equal(tern_message_keep(message, &copy), 0);
    marks[atomic_load(&marked)] = tern_message_mark(copy);
    atomic_fetch_add(&marked, 1);
    tern_message_unref(copy);
}

static bool has_marks(void *argument)
{
    (void)argument;
    return atomic_load(&marked) == 3;
}

static void marks_stay_with_their_messages(void **state)
{
    (void)state;
    for (int handled = 0; handled < 2; handled++) {
        start(TERN_VERSION_5);
        atomic_store(&marked, 0);
        if (handled) assert_int_equal(tern_client_set_message_handler(r.client, note_mark, NULL), 0);
        assert_int_equal(tern_client_subscribe_wait(r.client, "in/#", TERN_QOS_1, PATIENCE), 0);
        rig_send_publish(&r, "in/mark", "1", 0, 0, false);
        rig_send_publish(&r, "in/pass", "2", 0, 0, false);
        rig_send_publish(&r, "in/x", "3", 0, 0, false);
        for (int i = 0; i < 3 && !handled; i++) {
            tern_message *got = NULL;
            assert_int_equal(tern_client_receive_wait(r.client, &got, PATIENCE), 0);
            note_mark(r.client, got, NULL);
            tern_message_unref(got);
        }
        assert_true(net_wait_until(has_marks, NULL, PATIENCE));
        static const uint32_t want[] = {21, 0, 21};
        assert_memory_equal(marks, want, sizeof want);
        rig_free(&r);
    }
}

/* What a transform refuses is not accepted, and the client says why. [C1] */
static void a_refusal_has_its_reason(void **state)
{
    (void)state;
    start(TERN_VERSION_5);
    uint64_t id = 7;
    uint64_t rejected = 0;
    assert_int_equal(tern_client_publish(r.client, "refuse", "x", 1, 0, &id), TERN_E_UNSUPPORTED);
    assert_int_equal(id, 0);
    assert_string_equal(tern_client_error_text(r.client), "publish: this topic?is refused");
    tern_token *token = NULL;
    assert_int_equal(tern_client_publish_token(r.client, "refuse/silently", "x", 1, 0, &token), TERN_E_TOO_LARGE);
    assert_null(token);
    assert_non_null(strstr(tern_client_error_text(r.client), "a transform refused: too large"));
    assert_int_equal(tern_client_stat(r.client, "messages_rejected", &rejected), 0);
    assert_int_equal(rejected, 2);
    assert_int_equal(tern_client_publish(r.client, "t", "x", 1, 0, &id), 0);
    assert_int_equal(id, 1);
    rig_free(&r);
}

typedef struct ids {
    pthread_mutex_t lock;
    uint64_t sum;
    uint64_t count;
} ids;

static ids told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    ids *all = user_data;
    (void)client;
    pthread_mutex_lock(&all->lock);
    for (uint64_t id = tern_delivery_first_id(delivery); id <= tern_delivery_last_id(delivery); id++) {
        all->sum += id;
        all->count++;
    }
    pthread_mutex_unlock(&all->lock);
}

/* A message that a transform puts before another goes right before it, and has no outcome of its own for anybody; those of
 * a unit of the application's have, unless a token is asked for. */
static void companions_are_silent(void **state)
{
    (void)state;
    start(TERN_VERSION_311);
    uint64_t id = 0;
    told.sum = told.count = 0;
    assert_int_equal(tern_client_set_delivery_handler(r.client, on_delivery, &told), 0);
    assert_int_equal(tern_client_publish(r.client, "pair", "x", 1, TERN_QOS_1, &id), 0);
    assert_int_equal(id, 2);
    rig_expect_outcome(rig_publish(&r, "pair", "y", TERN_QOS_0), TERN_OUTCOME_SENT, TERN_CAUSE_NONE, 0);
    tern_message *unit[] = {rig_message("u", "1", TERN_QOS_1), rig_message("u", "2", TERN_QOS_0)};
    assert_int_equal(tern_client_publish_unit(r.client, (const tern_message *const *)unit, 2, &id, NULL), 0);
    assert_int_equal(id, 6);
    tern_token *token = NULL;
    assert_int_equal(tern_client_publish_unit(r.client, (const tern_message *const *)unit, 2, &id, &token), 0);
    assert_int_equal(tern_token_message_id(token), 8);
    rig_expect_outcome(token, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, 0);
    assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0); /* no callback runs any more */
    assert_int_equal(told.count, 3);
    assert_int_equal(told.sum, 2 + 5 + 6);
    rig_expect_message(&r, 0, "pair/meta=mb/1"); /* the transforms that follow see it too */
    rig_expect_message(&r, 1, "pair=xab/1");
    rig_expect_message(&r, 2, "pair/meta=mb/1"); /* the transforms that follow see it too */
    rig_expect_message(&r, 3, "pair=yab/0");
    rig_expect_message(&r, 4, "u=1/1");
    rig_expect_message(&r, 5, "u=2/0");
    for (size_t i = 0; i < 2; i++) tern_message_unref(unit[i]);
    rig_free(&r);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    start(TERN_VERSION_5);
    uint64_t id = 1;
    tern_message *one = rig_message("u", "1", TERN_QOS_1);
    const tern_message *none[2] = {one, NULL};
    const tern_message *many[17];
    for (size_t i = 0; i < 17; i++) many[i] = one;
    assert_int_equal(tern_client_publish_unit(r.client, none, 2, &id, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish_unit(r.client, NULL, 1, &id, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish_unit(r.client, many, 0, &id, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish_unit(r.client, many, 17, &id, NULL), TERN_E_INVALID);
    assert_int_equal(id, 0);
    assert_int_equal(tern_client_publish_unit(r.client, many, 16, &id, NULL), 0);
    assert_int_equal(id, 16);
    assert_int_equal(tern_client_publish_unit(r.client, many, 1, &id, NULL), 0);
    tern_message_unref(one);
    tern_transform *transform = NULL;
    assert_int_equal(tern_transform_new(NULL, NULL, NULL, NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_transform_new(&transform, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(tern_client_options_add_transform(NULL, transform), TERN_E_INVALID);
    assert_int_equal(tern_client_options_add_transform(r.fixed, NULL), TERN_E_INVALID);
    for (int i = 2; i < 8; i++) assert_int_equal(tern_client_options_add_transform(r.fixed, transform), 0);
    assert_int_equal(tern_client_options_add_transform(r.fixed, transform), TERN_E_TOO_LARGE);
    tern_transform_unref(transform);
    assert_null(tern_outgoing_message(NULL));
    assert_null(tern_incoming_message(NULL));
    assert_int_equal(tern_outgoing_replace(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_outgoing_precede(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_outgoing_explain(NULL, "x"), TERN_E_INVALID);
    assert_int_equal(tern_incoming_replace(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_incoming_drop(NULL), TERN_E_INVALID);
    assert_int_equal(tern_incoming_set_mark(NULL, 1), TERN_E_INVALID);
    rig_free(&r);
}

static atomic_uint taken;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)user_data;
    assert_string_equal(tern_message_topic(message), "moved");
    atomic_fetch_add(&taken, 1);
}

static bool was_taken(void *argument)
{
    (void)argument;
    return atomic_load(&taken) == 1;
}

/* A topic that a transform gives decides who takes the message; in manual mode what it drops is acknowledged all the same. */
static void handlers_see_what_came_of_it(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    a = (letter){.own = 'a'};
    tern_transform *transform = NULL;
    assert_int_equal(tern_transform_new(&transform, on_outgoing, on_incoming, on_release, &a), 0);
    assert_int_equal(tern_client_options_add_transform(r.fixed, transform), 0);
    tern_transform_unref(transform);
    assert_int_equal(tern_client_options_set_ack(r.fixed, TERN_ACK_MANUAL), 0);
    rig_start(&r);
    atomic_store(&taken, 0);
    assert_int_equal(tern_client_set_filter_handler(r.client, "moved", on_message, NULL), 0);
    assert_int_equal(tern_client_subscribe_wait(r.client, "in/#", TERN_QOS_1, PATIENCE), 0);
    rig_send_publish(&r, "in/drop", "2", 1, 9, false);
    rig_send_publish(&r, "in/move", "3", 0, 0, false);
    assert_true(net_wait_until(was_taken, NULL, PATIENCE));
    assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 1, PATIENCE));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_pass_in_order),   cmocka_unit_test(a_refusal_has_its_reason),
        cmocka_unit_test(marks_stay_with_their_messages),
        cmocka_unit_test(companions_are_silent),    cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(handlers_see_what_came_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
