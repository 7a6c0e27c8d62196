/* Delivering a block of received messages to the handlers of their topics.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/deliver.h"

#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "client/loop.h"
#include "engine/message.h"
#include "platform/clock.h"

enum { PLAN = 64, ACK_INTERVAL_US = 200 };

/* Who takes the next messages of a block, found under one lock. Neighbours with the same topic share a match. */
typedef struct plan {
    unsigned generation; /* of the router: a change makes the plan stale */
    uint32_t first;      /* record that index[0] is about */
    uint32_t count;
    tern_message_callback general;
    void *general_data;
    uint8_t index[PLAN]; /* into matches */
    tern__match matches[PLAN];
} plan;

static bool same_topic(const tern__record *a, const tern__record *b)
{
    return a->topic_len == b->topic_len && memcmp(a->topic, b->topic, a->topic_len) == 0;
}

static void make_plan(plan *p, tern__router *router, const tern__block *block, uint32_t first)
{
    uint32_t matched = 0;
    p->first = first;
    p->count = block->count - first < PLAN ? block->count - first : PLAN;
    tern__mutex_lock(&router->lock);
    p->generation = atomic_load_explicit(&router->generation, memory_order_relaxed);
    p->general = router->general;
    p->general_data = router->general_data;
    for (uint32_t i = 0; i < p->count; i++) {
        const tern__record *record = &block->records[first + i];
        if (i == 0 || !same_topic(record, record - 1))
            tern__router_match_locked(router, (const char *)record->topic, record->topic_len, 0,
                                      &p->matches[matched++]);
        p->index[i] = (uint8_t)(matched - 1);
    }
    tern__mutex_unlock(&router->lock);
}

/* Calls a match's handlers; returns how many were called. */
static size_t call_match(tern__mailbox *mailbox, const tern__match *match, const tern_message *message)
{
    size_t called = 0;
    size_t here = match->count < TERN__MATCH_MAX ? match->count : TERN__MATCH_MAX;
    for (size_t i = 0; i < here; i++) {
        tern__handler *handler = match->handlers[i];
        if (atomic_load_explicit(&handler->removed, memory_order_acquire)) continue;
        handler->callback(mailbox->client, message, handler->user_data);
        called++;
    }
    return called;
}

/* The handlers beyond the first TERN__MATCH_MAX. */
static size_t call_rest(tern__mailbox *mailbox, const tern_message *message)
{
    size_t called = 0;
    tern__match match;
    for (size_t skip = TERN__MATCH_MAX;; skip += TERN__MATCH_MAX) {
        tern__mutex_lock(&mailbox->router.lock);
        tern__router_match_locked(&mailbox->router, (const char *)message->record->topic,
                                  message->record->topic_len, skip, &match);
        tern__mutex_unlock(&mailbox->router.lock);
        called += call_match(mailbox, &match, message);
        if (match.count <= TERN__MATCH_MAX) return called;
    }
}

static void tell_unhandled(tern__mailbox *mailbox, const tern_message *message)
{
    atomic_fetch_add_explicit(&mailbox->unhandled, 1, memory_order_relaxed);
    tern__mutex_lock(&mailbox->dispatcher->lock);
    tern_event_callback callback = mailbox->on_event;
    void *data = mailbox->event_data;
    tern__mutex_unlock(&mailbox->dispatcher->lock);
    if (callback == NULL) return;
    char text[300];
    snprintf(text, sizeof text, "no handler takes a message on \"%.200s\"", tern_message_topic(message));
    tern__log_clean(text);
    tern_event event = {.kind = TERN_EVENT_UNHANDLED, .reason = -1, .retry_delay_ms = -1, .text = text};
    callback(mailbox->client, &event, data);
}

static void deliver_to(tern__mailbox *mailbox, const plan *p, const tern__match *match, const tern_message *message)
{
    size_t called = call_match(mailbox, match, message);
    if (match->count > TERN__MATCH_MAX) called += call_rest(mailbox, message);
    if (called != 0) return;
    if (p->general != NULL) {
        p->general(mailbox->client, message, p->general_data);
    } else {
        tell_unhandled(mailbox, message);
    }
}

/* A transform gave it another topic. */
static void deliver_elsewhere(tern__mailbox *mailbox, const plan *p, const tern_message *message)
{
    tern__match match;
    tern__mutex_lock(&mailbox->router.lock);
    tern__router_match_locked(&mailbox->router, (const char *)message->record->topic, message->record->topic_len, 0, &match);
    tern__mutex_unlock(&mailbox->router.lock);
    deliver_to(mailbox, p, &match, message);
}

static void deliver_transformed(tern__mailbox *mailbox, const plan *p, const tern__match *match, tern_message *message)
{
    tern_client *client = mailbox->client;
    tern_incoming incoming;
    message->mark = 0; /* of the one before */
    tern__transforms_in(&client->options.transforms, client, message, &incoming);
    if (incoming.dropped) {
        if (client->options.ack == TERN_ACK_MANUAL) (void)tern_client_ack(client, message);
    } else if (same_topic(incoming.message->record, message->record)) {
        deliver_to(mailbox, p, match, incoming.message);
    } else {
        deliver_elsewhere(mailbox, p, incoming.message);
    }
    tern_message_unref(incoming.own);
}

void tern__deliver_block(tern__mailbox *mailbox, tern__block *block, uint32_t first)
{
    tern_client *client = mailbox->client;
    bool automatic = client->options.ack == TERN_ACK_AUTO;
    uint64_t told = 0;
    plan p; /* large: only what tells that it is empty is set */
    p.first = p.count = p.generation = 0;
    tern_message message = {.epoch = block->epoch};
    for (uint32_t i = first; i < block->count; i++) {
        bool stale = p.generation !=
                     atomic_load_explicit(&mailbox->router.generation, memory_order_acquire);
        if (i >= p.first + p.count || stale) {
            tern__router_reap(&mailbox->router);
            make_plan(&p, &mailbox->router, block, i);
        }
        message.record = &block->records[i];
        const tern__match *match = &p.matches[p.index[i - p.first]];
        if (client->options.transforms.count == 0) deliver_to(mailbox, &p, match, &message);
        else deliver_transformed(mailbox, &p, match, &message);
        if (message.record->qos == 0 || !automatic) continue;
        tern__mailbox_acknowledge(mailbox, block->epoch, message.record->ack_seq);
        uint64_t now = tern__clock_us();
        if (now - told < ACK_INTERVAL_US) continue;
        tern__client_schedule(client, false);
        told = now;
    }
    tern__router_reap(&mailbox->router);
    if (told != 0) tern__client_schedule(client, false);
}
