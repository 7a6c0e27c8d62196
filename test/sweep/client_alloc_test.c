/* Every allocation of a client's life fails once, in whatever thread: an error or a reconnect, no message without its outcome,
 * and the next call works. Leaks are for the lane with AddressSanitizer to find. [C19]
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

#include "lives.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MESSAGES = 6 };

static void publish_some(tern_client *client, life *l, tern_token *tokens[MESSAGES])
{
    for (uint32_t i = 0; i < MESSAGES; i++) {
        TRY(tern_client_publish(client, "up", "plain", 5, i % 3, NULL));
        l->accepted++;
        TRY(tern_client_publish_token(client, "up", "token", 5, i % 3, &tokens[i]));
    }
}

static void live_once(mock_broker *broker, life *l)
{
    tern_client *client = NULL;
    tern_client_options *options = NULL;
    tern_token *tokens[2][MESSAGES] = {{NULL}};
    TRY(tern_client_options_new(&options));
    TRY(tern_client_options_set_client_id(options, "life"));
    TRY(tern_client_new(&client, options));
    tern_client_options_free(options);
    TRY(tern_client_set_delivery_handler(client, life_on_delivery, l));
    TRY(tern_client_set_filter_handler(client, "down/#", life_on_message, l));
    TRY(tern_client_set_message_handler(client, life_on_message, l));
    TRY(life_configure(client, mock_broker_url(broker)));
    publish_some(client, l, tokens[0]);
    (void)tern_client_connect_wait(client, PATIENCE);
    (void)tern_client_connect(client, NULL); /* where the first one had no memory */
    int rc = tern_client_subscribe_wait(client, "down/+", TERN_QOS_1, PATIENCE);
    if (rc != 0) TRY(tern_client_subscribe_wait(client, "down/+", TERN_QOS_1, PATIENCE));
    TRY(tern_client_flush_wait(client, PATIENCE));
    mock_broker_publish(broker, "down/a", "hello", 5, 1);
    mock_broker_cut(broker);
    publish_some(client, l, tokens[1]);
    TRY(tern_client_flush_wait(client, PATIENCE));
    TRY(tern_client_publish_wait(client, "up", "last", 4, TERN_QOS_2, PATIENCE));
    tern_client_free(client);
    for (int i = 0; i < 2 * MESSAGES; i++) {
        tern_token *token = tokens[i / MESSAGES][i % MESSAGES];
        assert_int_equal(tern_token_done(token), 1);
        assert_int_not_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT);
        tern_token_unref(token);
    }
    assert_int_equal(atomic_load(&l->told), l->accepted);
}

/* ---- with a layer above ---- */

static int on_outgoing(tern_client *client, tern_outgoing *outgoing, void *user_data)
{
    tern_message *before = NULL;
    tern_message *copy = NULL;
    (void)client;
    (void)user_data;
    int rc = tern_message_new(&before, "up/meta", "m", 1, TERN_QOS_1);
    if (rc == 0) rc = tern_outgoing_precede(outgoing, before);
    if (rc == 0) rc = tern_message_keep(tern_outgoing_message(outgoing), &copy);
    if (rc == 0) rc = tern_message_add_user_property(copy, "k", "v");
    if (rc == 0) return tern_outgoing_replace(outgoing, copy);
    tern_message_unref(copy);
    return rc;
}

static void on_incoming(tern_client *client, tern_incoming *incoming, void *user_data)
{
    tern_message *copy = NULL;
    (void)client;
    (void)user_data;
    if (tern_message_keep(tern_incoming_message(incoming), &copy) == 0) (void)tern_incoming_replace(incoming, copy);
}

static void on_timer(tern_client *client, int due, void *user_data)
{
    (void)client;
    (void)due;
    atomic_fetch_add(&((life *)user_data)->received, 1);
}

static bool heard_all(void *argument)
{
    return atomic_load(&((life *)argument)->received) >= 2;
}

static void layered_once(mock_broker *broker, life *l)
{
    tern_client *client = NULL;
    tern_client_options *options = NULL;
    tern_transform *transform = NULL;
    tern_message *unit[2] = {NULL, NULL};
    tern_token *token = NULL;
    TRY(tern_transform_new(&transform, on_outgoing, on_incoming, NULL, NULL));
    TRY(tern_client_options_new(&options));
    TRY(tern_client_options_add_transform(options, transform));
    tern_transform_unref(transform);
    TRY(tern_client_new(&client, options));
    tern_client_options_free(options);
    TRY(tern_client_set_delivery_handler(client, life_on_delivery, l));
    TRY(tern_client_set_message_handler(client, life_on_message, l));
    TRY(life_configure(client, mock_broker_url(broker)));
    TRY(tern_client_set_timer(client, 1, on_timer, l, NULL));
    for (uint32_t qos = 0; qos < 3; qos++) {
        TRY(tern_client_publish(client, "up", "plain", 5, qos, NULL));
        l->accepted++;
    }
    for (size_t i = 0; i < 2; i++) TRY(tern_message_new(&unit[i], "up", "u", 1, TERN_QOS_1));
    TRY(tern_client_publish_unit(client, (const tern_message *const *)unit, 2, NULL, NULL));
    l->accepted += 2;
    TRY(tern_client_publish_unit(client, (const tern_message *const *)unit, 2, NULL, &token));
    for (size_t i = 0; i < 2; i++) tern_message_unref(unit[i]);
    (void)tern_client_connect_wait(client, PATIENCE);
    (void)tern_client_connect(client, NULL);
    int rc = tern_client_subscribe_wait(client, "down/+", TERN_QOS_1, PATIENCE);
    if (rc != 0) TRY(tern_client_subscribe_wait(client, "down/+", TERN_QOS_1, PATIENCE));
    mock_broker_publish(broker, "down/a", "hello", 5, 1);
    assert_true(net_wait_until(heard_all, l, PATIENCE)); /* the message and the timer */
    TRY(tern_client_flush_wait(client, PATIENCE));
    tern_client_free(client);
    assert_int_equal(tern_token_done(token), 1);
    tern_token_unref(token);
    assert_int_equal(atomic_load(&l->told), l->accepted);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    sweep_lives(live_once);
}

static void units_transforms_and_timers_too(void **state)
{
    (void)state;
    sweep_lives(layered_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once),
                                       cmocka_unit_test(units_transforms_and_timers_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
