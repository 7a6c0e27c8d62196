/* Requests: subscribing, unsubscribing, handlers, receiving and acknowledging.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "client/client.h"
#include "client/loop.h"
#include "codec/topic.h"
#include "engine/message.h"
#include "engine/subscription.h"

static const char *filter_text(int rc)
{
    switch (rc) {
    case TERN_E_FILTER:
        return "not a topic filter: # stands alone or after the last /, + fills a whole level, $share/group/filter "
               "names a group and a filter";
    case TERN_E_TOO_LARGE: return "a topic filter has at most 65,535 bytes";
    default: return tern_strerror(rc);
    }
}

static int copy_subscription(const tern_subscription *from, tern_subscription **to)
{
    int rc = tern_subscription_new(to);
    if (rc != 0) return rc;
    (*to)->count = from->count;
    (*to)->identifier = from->identifier;
    rc = tern__buf_append(&(*to)->filters, from->filters.data, from->filters.len);
    if (rc == 0)
        rc = tern__buf_append(&(*to)->user_properties, from->user_properties.data, from->user_properties.len);
    if (rc == 0) return 0;
    tern_subscription_free(*to);
    *to = NULL;
    return rc;
}

/* Sends the request off; takes the subscription. */
static int request(tern_client *client, tern__command_kind kind, tern_subscription *subscription,
                   tern_token **token)
{
    tern__command *command = tern__command_new(kind);
    if (command == NULL) {
        tern_subscription_free(subscription);
        return TERN_E_NOMEM;
    }
    command->subscription = subscription;
    int rc = token != NULL ? tern__token_new(client, &command->token) : 0;
    tern_token *made = command->token;
    if (rc == 0) rc = tern__client_command(client, command);
    if (rc == 0) {
        if (token != NULL) *token = made;
        return 0;
    }
    tern_token_unref(made);
    tern_token_unref(made);
    tern__command_free(command);
    return rc;
}

static int request_all(tern_client *client, tern__command_kind kind, const tern_subscription *subscription,
                       tern_token **token)
{
    const char *verb = kind == TERN__COMMAND_SUBSCRIBE ? "subscribe" : "unsubscribe";
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc == 0 && subscription == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    if (subscription->count == 0) /* [MQTT5-3.8.3-2] [MQTT5-3.10.3-2] */
        return tern__client_fail(client, TERN_E_INVALID, "%s: no filter was added", verb);
    tern_subscription *copy = NULL;
    rc = copy_subscription(subscription, &copy);
    if (rc == 0) rc = request(client, kind, copy, token);
    return rc == 0 ? 0 : tern__client_fail(client, rc, "%s: %s", verb, tern_strerror(rc));
}

static int request_one(tern_client *client, tern__command_kind kind, const char *filter, uint32_t flags,
                       tern_token **token)
{
    const char *verb = kind == TERN__COMMAND_SUBSCRIBE ? "subscribe" : "unsubscribe";
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    if (filter == NULL) return tern__client_fail(client, TERN_E_INVALID, "%s: no filter", verb);
    tern_subscription *subscription = NULL;
    rc = tern_subscription_new(&subscription);
    if (rc == 0) rc = tern_subscription_add(subscription, filter, flags);
    if (rc != 0) {
        tern_subscription_free(subscription);
        return tern__client_fail(client, rc, "%s \"%.100s\": %s", verb, filter,
                                 rc == TERN_E_INVALID ? "QoS 3 or flags that do not exist or do not fit"
                                                      : filter_text(rc));
    }
    rc = request(client, kind, subscription, token);
    return rc == 0 ? 0 : tern__client_fail(client, rc, "%s: %s", verb, tern_strerror(rc));
}

int tern_client_subscribe(tern_client *client, const char *filter, uint32_t flags, tern_token **token)
{
    return request_one(client, TERN__COMMAND_SUBSCRIBE, filter, flags, token);
}

int tern_client_subscribe_all(tern_client *client, const tern_subscription *subscription,
                              tern_token **token)
{
    return request_all(client, TERN__COMMAND_SUBSCRIBE, subscription, token);
}

int tern_client_unsubscribe(tern_client *client, const char *filter, tern_token **token)
{
    return request_one(client, TERN__COMMAND_UNSUBSCRIBE, filter, 0, token);
}

int tern_client_unsubscribe_all(tern_client *client, const tern_subscription *subscription,
                                tern_token **token)
{
    return request_all(client, TERN__COMMAND_UNSUBSCRIBE, subscription, token);
}

/* ---- handlers ---- */

/* 0, or why no handler can be set. */
static int check_open(tern_client *client)
{
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__mutex_lock(&client->lock);
    if (client->closing) rc = TERN_E_CLOSED;
    tern__mutex_unlock(&client->lock);
    return rc;
}

int tern_client_set_filter_handler(tern_client *client, const char *filter,
                                   tern_message_callback callback, void *user_data)
{
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    if (filter == NULL) return tern__client_fail(client, TERN_E_INVALID, "filter handler: no filter");
    rc = tern__filter_check(filter, strlen(filter));
    if (rc != 0)
        return tern__client_fail(client, rc, "filter handler \"%.100s\": %s", filter, filter_text(rc));
    rc = check_open(client);
    if (rc == 0) rc = tern__router_set(&client->mailbox.router, filter, callback, user_data);
    if (rc == 0) tern__mailbox_handlers_changed(&client->mailbox);
    return rc;
}

int tern_client_set_message_handler(tern_client *client, tern_message_callback callback,
                                    void *user_data)
{
    int rc = check_open(client);
    if (rc != 0) return rc;
    tern__router_set_general(&client->mailbox.router, callback, user_data);
    tern__mailbox_handlers_changed(&client->mailbox);
    return 0;
}

int tern_client_set_delivery_handler(tern_client *client, tern_delivery_callback callback,
                                     void *user_data)
{
    int rc = check_open(client);
    if (rc != 0) return rc;
    tern__mailbox_set_delivery(&client->mailbox, callback, user_data);
    return 0;
}

int tern_client_set_event_handler(tern_client *client, tern_event_callback callback, void *user_data)
{
    int rc = check_open(client);
    if (rc != 0) return rc;
    tern__mailbox_set_event(&client->mailbox, callback, user_data);
    return 0;
}

int tern_client_set_attempt_handler(tern_client *client, tern_attempt_callback callback, void *user_data)
{
    int rc = check_open(client);
    if (rc != 0) return rc;
    tern__mailbox_set_attempt(&client->mailbox, callback, user_data);
    return 0;
}

/* ---- receiving ---- */

/* What the transforms make of a message that was taken; NULL where they drop it. */
static tern_message *led_in(tern_client *client, tern_message *message)
{
    tern_incoming incoming;
    tern__transforms_in(&client->options.transforms, client, message, &incoming);
    if (incoming.dropped) {
        if (client->options.ack == TERN_ACK_MANUAL) (void)tern_client_ack(client, message);
        tern_message_unref(incoming.own);
    }
    if (!incoming.dropped && incoming.own == NULL) return message;
    tern_message_unref(message);
    return incoming.dropped ? NULL : incoming.own;
}

int tern_client_receive(tern_client *client, tern_message **message)
{
    if (message != NULL) *message = NULL;
    int rc = tern__client_check(client);
    if (rc == 0 && message == NULL) rc = TERN_E_INVALID;
    while (rc == 0 && *message == NULL) {
        rc = tern__mailbox_receive(&client->mailbox, message);
        if (rc == 0 && client->options.transforms.count != 0) *message = led_in(client, *message);
    }
    return rc;
}

int tern_client_receive_token(tern_client *client, tern_token **token)
{
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc == 0 && token == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    tern_token *made;
    rc = tern__token_new(client, &made);
    if (rc != 0) return rc;
    rc = tern__mailbox_add_receiver(&client->mailbox, made);
    if (rc != 0) {
        tern_token_unref(made);
        tern_token_unref(made);
        return rc;
    }
    *token = made;
    return 0;
}

/* Manual mode: for the loop. With `through` all before it, too. */
static int acknowledge(tern_client *client, uint64_t epoch, uint32_t seq, bool through)
{
    int rc = 0;
    if (client->options.ack != TERN_ACK_MANUAL)
        return tern__client_fail(client, TERN_E_STATE, "ack: the client acknowledges by itself");
    uint64_t now = atomic_load(&client->epoch);
    tern__mutex_lock(&client->lock);
    if (client->closing) {
        rc = TERN_E_CLOSED; /* also where that has ended the message's connection */
    } else if (epoch == 0 || epoch != (uint32_t)now) {
        rc = TERN_E_STALE;
    } else if (through) {
        tern__mailbox_acknowledge_further(&client->mailbox, now, seq);
    } else {
        tern__manual_ack ack = {now, seq};
        rc = tern__buf_append(&client->acks, &ack, sizeof ack);
    }
    tern__mutex_unlock(&client->lock);
    if (rc == TERN_E_STALE)
        return tern__client_fail(client, rc, "ack: the message's connection is gone");
    if (rc == 0) tern__client_schedule(client, false);
    return rc;
}

int tern_client_ack(tern_client *client, const tern_message *message)
{
    int rc = tern__client_check(client);
    if (rc == 0 && message == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    const tern__record *record = message->record;
    return record->qos == 0 ? 0 : acknowledge(client, (uint32_t)message->epoch, record->ack_seq, false);
}

int tern_client_ack_number(tern_client *client, uint64_t number, int through)
{
    int rc = tern__client_check(client);
    if (rc != 0 || number == 0) return rc;
    return acknowledge(client, number >> 32, (uint32_t)number, through != 0);
}
