/* Publishing: checks at the wall, one copy into the outbox, and a wake-up where the loop wants one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "client/client.h"
#include "client/loop.h"
#include "codec/props.h"
#include "codec/topic.h"
#include "engine/message.h"
#include "engine/outbox.h"
#include "platform/clock.h"

enum { URGENT_BYTES = 64 << 10 /* a dozing loop is woken when as much waits */ };
static const uint32_t PUBLISH_FLAGS = 3 | TERN_RETAIN | TERN_LOSE_PROPERTIES | TERN_COMPRESS | TERN_UNCOMPRESSED;

/* A topic that is not one, in words that fit the last error. */
static TERN__COLD int bad_topic(tern_client *client, const char *topic, int rc)
{
    return tern__client_fail(client, rc, "publish: topic \"%.100s\": %s", topic,
                             rc == TERN_E_TOPIC ? "a topic name has at least one character and no + or #"
                             : rc == TERN_E_TOO_LARGE ? "a topic has at most 65,535 bytes"
                                                      : tern_strerror(rc));
}

/* Waits for room in the outbox; the lock is held. */
static int wait_for_room_locked(tern_client *client, uint64_t deadline, bool callback)
{
    if (callback && tern__client_stalls(client)) return TERN_E_WOULD_DEADLOCK;
    client->room_waiters++;
    tern__loop_wake(client->loop, true);
    bool in_time = tern__cond_wait_until(&client->room, &client->lock, deadline);
    client->room_waiters--;
    return in_time ? 0 : TERN_E_TIMEOUT;
}

static int append_locked(tern_client *client, const tern__submission *submissions, size_t count, uint64_t *id)
{
    if (count == 1) return tern__outbox_append_locked(client->outbox, submissions, id);
    return tern__outbox_append_unit_locked(client->outbox, submissions, count, id);
}

static int append_blocking_locked(tern_client *client, const tern__submission *submissions, size_t count, uint64_t *id)
{
    uint32_t timeout = client->options.block_timeout_ms;
    uint64_t deadline = timeout != 0 ? tern__clock_us() + (uint64_t)timeout * 1000 : UINT64_MAX;
    bool callback = tern__dispatcher_is_self(client->mailbox.dispatcher);
    for (;;) {
        int rc = wait_for_room_locked(client, deadline, callback);
        if (client->closing) return TERN_E_CLOSED;
        int again = append_locked(client, submissions, count, id);
        if (again != TERN_E_OUTBOX_FULL) return again;
        if (rc != 0) return rc;
    }
}

/* Policies that drop: the loop looks after the outbox, which takes no more than that, and then the message is taken. */
static int append_after_look_locked(tern_client *client, const tern__submission *submissions, size_t count, uint64_t *id)
{
    uint64_t seen = client->syncs;
    client->room_waiters++;
    tern__client_schedule(client, true);
    while (client->syncs == seen && !client->closing) (void)tern__cond_wait_until(&client->room, &client->lock, UINT64_MAX);
    client->room_waiters--;
    if (client->closing) return TERN_E_CLOSED;
    tern__outbox_let_in_locked(client->outbox, true);
    int rc = append_locked(client, submissions, count, id);
    tern__outbox_let_in_locked(client->outbox, false);
    return rc;
}

/* What an append that did not simply work comes to. */
static TERN__COLD int settle_locked(tern_client *client, int rc, const tern__submission *submissions, size_t count, uint64_t *id)
{
    tern_outbox_policy policy = client->options.policy;
    if (rc == TERN_E_OUTBOX_FULL && policy == TERN_OUTBOX_BLOCK) return append_blocking_locked(client, submissions, count, id);
    bool drops = policy == TERN_OUTBOX_DROP_OLDEST || policy == TERN_OUTBOX_DROP_NEWEST;
    if (rc == TERN_E_OUTBOX_FULL && drops) rc = append_after_look_locked(client, submissions, count, id);
    if (rc != TERN__OUTBOX_OVER) return rc;
    tern__client_schedule(client, true); /* also while offline: it has something to drop */
    return 0;
}

/* The arguments were good, and yet it is not accepted. */
static TERN__COLD int refuse_saying(tern_client *client, int rc, const char *why)
{
    tern__mutex_lock(&client->lock);
    client->counters.rejected++;
    tern__mutex_unlock(&client->lock);
    return tern__client_fail(client, rc, "publish: %s", why);
}

static TERN__COLD int refuse(tern_client *client, int rc)
{
    return refuse_saying(client, rc, tern_strerror(rc));
}

/* Tells the loop, where it would not look by itself: while offline the log waits for the connection (but what expires needs a
 * timer), and under load the client waits for its turn already. */
static inline void tell_loop(tern_client *client, bool expires, size_t waiting)
{
    if (!atomic_load_explicit(&client->connected, memory_order_acquire) && !expires) return;
    bool urgent = waiting >= URGENT_BYTES;
    bool in_line = atomic_load(&client->scheduled) && atomic_load(&client->loop->sleep) != TERN__ASLEEP;
    if (urgent || !in_line) tern__client_schedule(client, urgent);
}

/* Everything was checked: into the outbox with it. *id stays as it is where that fails. */
static inline int submit(tern_client *client, const tern__submission *submission, uint64_t *id)
{
    size_t waiting = 0;
    int rc = TERN_E_CLOSED;
    tern__mutex_lock(&client->lock);
    if (!client->closing) {
        rc = tern__outbox_append_locked(client->outbox, submission, id);
        if (rc != 0) rc = settle_locked(client, rc, submission, 1, id);
        if (rc == 0) client->counters.published_bytes += submission->publish.payload.len;
        waiting = tern__outbox_unsynced_bytes_locked(client->outbox);
    }
    tern__mutex_unlock(&client->lock);
    if (rc != 0) return refuse(client, rc);
    tell_loop(client, submission->expires_us != 0, waiting);
    return 0;
}

/* Says what is wrong with the arguments of a publish. */
static TERN__COLD int bad_arguments(tern_client *client, const char *topic, uint32_t flags)
{
    const char *trouble = topic == NULL         ? "no topic"
                          : (flags & 3) == 3    ? "QoS 3 does not exist"
                          : (flags & ~PUBLISH_FLAGS) != 0 ? "unknown flags"
                                                : "a length without a payload";
    return tern__client_fail(client, TERN_E_INVALID, "publish: %s", trouble);
}

static inline int prepare(tern_client *client, tern__submission *submission, const char *topic,
                          const void *payload, size_t payload_length, uint32_t flags)
{
    uint32_t qos = flags & 3;
    if (topic == NULL || qos == 3 || (flags & ~PUBLISH_FLAGS) != 0 ||
        (payload == NULL && payload_length != 0))
        return bad_arguments(client, topic, flags);
    size_t topic_length = strlen(topic);
    int rc = tern__topic_check(topic, topic_length); /* [MQTT5-3.3.2-1] [MQTT5-3.3.2-2] */
    if (rc != 0) return bad_topic(client, topic, rc);
    /* Member by member: cheaper than clearing the whole first. */
    submission->publish.dup = false;
    submission->publish.retain = (flags & TERN_RETAIN) != 0;
    submission->publish.qos = (uint8_t)qos;
    submission->publish.packet_id = 0;
    submission->publish.topic = (tern__view){(const uint8_t *)topic, topic_length};
    submission->publish.payload = (tern__view){payload, payload_length};
    submission->props = (tern__props){NULL, 0, 0};
    submission->lose_properties = (flags & TERN_LOSE_PROPERTIES) != 0;
    submission->silent = false;
    submission->bare = (flags & TERN_RETAIN) == 0;
    submission->expires_us = 0;
    submission->completion = NULL;
    return 0;
}

/* The message that a plain publish is about, for transforms. */
typedef struct plain_message {
    tern_message message;
    tern__record record;
} plain_message;

static const tern_message *view_plain(plain_message *plain, const tern__submission *submission)
{
    const tern__publish_packet *publish = &submission->publish;
    plain->record = (tern__record){
        .topic = (uint8_t *)(uintptr_t)publish->topic.data,
        .topic_len = (uint16_t)publish->topic.len,
        .payload = publish->payload.data != NULL ? (uint8_t *)(uintptr_t)publish->payload.data : (uint8_t *)(uintptr_t)"",
        .payload_len = (uint32_t)publish->payload.len,
        .qos = publish->qos,
        .flags = publish->retain ? TERN__RECORD_RETAIN : 0,
    };
    plain->message = (tern_message){.record = &plain->record};
    return &plain->message;
}

static int publish_transformed(tern_client *client, const tern_message *message, uint32_t flags, uint64_t *id,
                               tern_token **token);

/* A plain publish of a client with transforms. */
static TERN__COLD int transform_plain(tern_client *client, tern__submission *submission, uint32_t flags, uint64_t *id,
                                      tern_token **token)
{
    plain_message plain;
    enum { PAYLOAD_MAX = 268435455 };
    if (submission->publish.payload.len > PAYLOAD_MAX) return refuse(client, TERN_E_TOO_LARGE);
    return publish_transformed(client, view_plain(&plain, submission), flags, id, token);
}

int tern_client_publish(tern_client *client, const char *topic, const void *payload,
                        size_t payload_length, uint32_t flags, uint64_t *id)
{
    uint64_t unwanted;
    if (id == NULL) id = &unwanted;
    *id = 0;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__submission submission;
    rc = prepare(client, &submission, topic, payload, payload_length, flags);
    if (rc != 0) return rc;
    if (client->options.transforms.count != 0) return transform_plain(client, &submission, flags, id, NULL);
    return submit(client, &submission, id);
}

int tern_client_publish_many(tern_client *client, const char *const *topics, const void *const *payloads,
                             const size_t *payload_lengths, size_t count, uint32_t flags, uint64_t *ids, size_t *accepted)
{
    if (accepted != NULL) *accepted = 0;
    int rc = tern__client_check(client);
    if (rc == 0 && (accepted == NULL || (count != 0 && (topics == NULL || payloads == NULL || payload_lengths == NULL))))
        rc = TERN_E_INVALID;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = tern_client_publish(client, topics[i], payloads[i], payload_lengths[i], flags, ids != NULL ? &ids[i] : NULL);
        if (rc == 0) *accepted = i + 1;
    }
    return rc;
}

/* Submits with a token, where the caller wants one. */
static int submit_with_token(tern_client *client, tern__submission *submission, uint64_t *id,
                             tern_token **token)
{
    uint64_t unwanted;
    if (id == NULL) id = &unwanted;
    if (token == NULL) return submit(client, submission, id);
    tern_token *made;
    int rc = tern__token_new(client, &made);
    if (rc != 0) return refuse(client, rc);
    submission->completion = &made->completion;
    submission->bare = false;
    rc = submit(client, submission, id);
    if (rc != 0) {
        tern_token_unref(made);
        tern_token_unref(made);
        return rc;
    }
    *token = made;
    return 0;
}

int tern_client_publish_token(tern_client *client, const char *topic, const void *payload,
                              size_t payload_length, uint32_t flags, tern_token **token)
{
    if (token == NULL) return TERN_E_INVALID;
    *token = NULL;
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    tern__submission submission;
    rc = prepare(client, &submission, topic, payload, payload_length, flags);
    if (rc != 0) return rc;
    if (client->options.transforms.count != 0) return transform_plain(client, &submission, flags, NULL, token);
    return submit_with_token(client, &submission, NULL, token);
}

/* What a received message has that only a server may send. */
static const uint64_t servers_props = UINT64_C(1) << TERN__PROP_TOPIC_ALIAS |
                                      UINT64_C(1) << TERN__PROP_SUBSCRIPTION_ID;

/* What publishing a message comes to. `stripped` holds its properties where they are not the message's own; it is to be
 * deinitialized. 0 or TERN_E_NOMEM. */
static int prepare_message(tern__submission *submission, tern__buf *stripped, const tern_message *message)
{
    const tern__record *record = message->record;
    *submission = (tern__submission){
        .publish.qos = record->qos,
        .publish.retain = (record->flags & TERN__RECORD_RETAIN) != 0,
        .publish.topic = {record->topic, record->topic_len},
        .publish.payload = {record->payload, record->payload_len},
        .props = {record->props, record->props_len, record->props_present},
        .lose_properties = message->own != NULL && message->own->lose_properties,
    };
    tern__buf_init(stripped);
    if ((record->props_present & servers_props) != 0) { /* [MQTT5-3.3.4-6] */
        int rc = tern__buf_append(stripped, record->props, record->props_len);
        if (rc != 0) return rc;
        tern__props_remove(stripped, TERN__PROP_TOPIC_ALIAS);
        tern__props_remove(stripped, TERN__PROP_SUBSCRIPTION_ID);
        submission->props = (tern__props){stripped->data, stripped->len, record->props_present & ~servers_props};
    }
    if (tern__props_has(&submission->props, TERN__PROP_MESSAGE_EXPIRY)) {
        uint64_t seconds = tern__props_number(&submission->props, TERN__PROP_MESSAGE_EXPIRY, 0);
        submission->expires_us = tern__clock_us() + seconds * 1000000;
    }
    return 0;
}

static int submit_message(tern_client *client, const tern_message *message, uint64_t *id, tern_token **token)
{
    tern__submission submission;
    tern__buf stripped;
    int rc = prepare_message(&submission, &stripped, message);
    rc = rc == 0 ? submit_with_token(client, &submission, id, token) : refuse(client, rc);
    tern__buf_deinit(&stripped);
    return rc;
}

/* All of them or none, under one lock. */
static int submit_all(tern_client *client, tern__submission *submissions, size_t count, uint64_t *id)
{
    size_t waiting = 0;
    bool expires = false;
    int rc = TERN_E_CLOSED;
    tern__mutex_lock(&client->lock);
    if (!client->closing) {
        rc = append_locked(client, submissions, count, id);
        if (rc != 0) rc = settle_locked(client, rc, submissions, count, id);
        for (size_t i = 0; i < count && rc == 0; i++) client->counters.published_bytes += submissions[i].publish.payload.len;
        waiting = tern__outbox_unsynced_bytes_locked(client->outbox);
    }
    tern__mutex_unlock(&client->lock);
    if (rc != 0) return refuse(client, rc);
    for (size_t i = 0; i < count; i++) expires = expires || submissions[i].expires_us != 0;
    tell_loop(client, expires, waiting);
    return 0;
}

static int submit_unit(tern_client *client, const tern_message *const *messages, size_t count, bool silent, uint64_t *id,
                       tern_token **token)
{
    tern__submission submissions[TERN__UNIT_MAX];
    tern__buf stripped[TERN__UNIT_MAX];
    tern_token *made = NULL;
    uint64_t unwanted;
    int rc = 0;
    size_t prepared = 0;
    for (; prepared < count && rc == 0; prepared++) {
        rc = prepare_message(&submissions[prepared], &stripped[prepared], messages[prepared]);
        submissions[prepared].silent = prepared + 1 < count && (silent || token != NULL);
    }
    if (rc == 0 && token != NULL) rc = tern__token_new(client, &made);
    if (rc != 0) (void)refuse(client, rc);
    if (made != NULL) submissions[count - 1].completion = &made->completion;
    if (rc == 0) rc = submit_all(client, submissions, count, id != NULL ? id : &unwanted);
    if (rc == 0 && token != NULL) *token = made;
    if (rc != 0 && made != NULL) {
        tern_token_unref(made);
        tern_token_unref(made);
    }
    while (prepared-- > 0) tern__buf_deinit(&stripped[prepared]);
    return rc;
}

/* What tern_client_publish() would be given. */
static uint32_t flags_of(const tern_message *message)
{
    uint32_t flags = message->record->qos;
    if ((message->record->flags & TERN__RECORD_RETAIN) != 0) flags |= TERN_RETAIN;
    if (message->own != NULL && message->own->lose_properties) flags |= TERN_LOSE_PROPERTIES;
    return message->own != NULL ? flags | message->own->hints : flags;
}

static int publish_transformed(tern_client *client, const tern_message *message, uint32_t flags, uint64_t *id,
                               tern_token **token)
{
    tern_outgoing outgoing;
    int rc = tern__transforms_out(&client->options.transforms, client, message, flags, &outgoing);
    if (rc != 0) {
        rc = refuse_saying(client, rc, outgoing.text);
    } else if (outgoing.before_count == 0) {
        rc = submit_message(client, outgoing.message, id, token);
    } else {
        const tern_message *unit[TERN__UNIT_MAX];
        size_t count = outgoing.before_count;
        for (size_t i = 0; i < count; i++) unit[i] = outgoing.before[i];
        unit[count++] = outgoing.message;
        rc = submit_unit(client, unit, count, true, id, token);
    }
    tern__outgoing_deinit(&outgoing);
    return rc;
}

int tern_client_publish_message(tern_client *client, const tern_message *message, uint64_t *id,
                                tern_token **token)
{
    if (id != NULL) *id = 0;
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc == 0 && message == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    if (client->options.transforms.count != 0)
        return publish_transformed(client, message, flags_of(message), id, token);
    return submit_message(client, message, id, token);
}

int tern_client_publish_unit(tern_client *client, const tern_message *const *messages, size_t count, uint64_t *id,
                             tern_token **token)
{
    if (id != NULL) *id = 0;
    if (token != NULL) *token = NULL;
    int rc = tern__client_check(client);
    if (rc == 0 && (messages == NULL || count == 0 || count > TERN__UNIT_MAX)) rc = TERN_E_INVALID;
    for (size_t i = 0; i < count && rc == 0; i++)
        if (messages[i] == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    if (count == 1) return submit_message(client, messages[0], id, token);
    return submit_unit(client, messages, count, false, id, token);
}
