/* Mailboxes: what waits for a client's callbacks, put in by the loop, taken by a dispatcher.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/attempt.h"
#include "client/mailbox.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "client/client.h"
#include "client/deliver.h"
#include "client/loop.h"
#include "engine/message.h"

int tern__mailbox_init(tern__mailbox *mailbox, tern_client *client, tern__dispatcher *dispatcher)
{
    memset(mailbox, 0, sizeof *mailbox);
    mailbox->client = client;
    mailbox->dispatcher = dispatcher;
    tern__list_init(&mailbox->ready_link);
    tern__list_init(&mailbox->blocks);
    tern__list_init(&mailbox->events);
    tern__list_init(&mailbox->bare.link);
    tern__list_init(&mailbox->tokens);
    tern__list_init(&mailbox->receivers);
    return tern__router_init(&mailbox->router);
}

static void note_peak(tern__mailbox *mailbox, size_t bytes)
{
    if (bytes > atomic_load_explicit(&mailbox->inbound_peak, memory_order_relaxed))
        atomic_store_explicit(&mailbox->inbound_peak, bytes, memory_order_relaxed);
}

/* What waits for callbacks counts against the inbound bound, outcomes too: what comes in makes them. [C10] */
static void hold_bytes(tern__mailbox *mailbox, size_t bytes)
{
    note_peak(mailbox, atomic_fetch_add(&mailbox->inbound_bytes, bytes) + bytes);
}

static void release_bytes(tern__mailbox *mailbox, size_t bytes)
{
    atomic_fetch_sub(&mailbox->inbound_bytes, bytes);
    if (atomic_load(&mailbox->client->reading_paused)) tern__client_schedule(mailbox->client, true);
}

static void release_block(tern__mailbox *mailbox, tern__block *block)
{
    size_t bytes = tern__block_held(block);
    tern__block_unref(block);
    release_bytes(mailbox, bytes);
}

void tern__mailbox_deinit(tern__mailbox *mailbox)
{
    tern__list *link;
    while ((link = tern__list_shift(&mailbox->blocks)) != NULL)
        tern__block_unref(TERN__CONTAINER(link, tern__block, link));
    tern__list_remove(&mailbox->bare.link);
    while ((link = tern__list_shift(&mailbox->events)) != NULL)
        tern__event_free(TERN__CONTAINER(link, tern_event, link));
    assert(tern__list_empty(&mailbox->tokens) && "a token keeps its client until its callback ran");
    tern__free(mailbox->ranges);
    tern__free(mailbox->spare);
    tern__router_deinit(&mailbox->router);
}

static void lock(tern__mailbox *mailbox)
{
    tern__mutex_lock(&mailbox->dispatcher->lock);
}

static void unlock(tern__mailbox *mailbox)
{
    tern__mutex_unlock(&mailbox->dispatcher->lock);
}

static void make_ready_locked(tern__mailbox *mailbox)
{
    if (!tern__list_empty(&mailbox->ready_link)) return;
    tern__list_append(&mailbox->dispatcher->ready, &mailbox->ready_link);
    tern__dispatcher_notify_locked(mailbox->dispatcher);
}

/* Takes the tokens that wait for a message, to be ended without the lock. */
static void take_receivers_locked(tern__mailbox *mailbox, tern__list *receivers)
{
    tern__list_init(receivers);
    if (tern__list_empty(&mailbox->receivers)) return;
    tern__list_splice(receivers, &mailbox->receivers);
    mailbox->ending++;
}

static void end_receivers(tern__mailbox *mailbox, tern__list *receivers, int error, const char *text)
{
    if (tern__list_empty(receivers)) return; /* the client may be gone already */
    tern__list *link;
    while ((link = tern__list_shift(receivers)) != NULL)
        tern__token_finish_error(TERN__CONTAINER(link, tern_token, link), error, text);
    lock(mailbox);
    mailbox->ending--;
    if (mailbox->closing) make_ready_locked(mailbox);
    unlock(mailbox);
}

void tern__mailbox_push_block(tern__mailbox *mailbox, tern__block *block)
{
    hold_bytes(mailbox, tern__block_held(block));
    tern__list receivers;
    lock(mailbox);
    tern__list_append(&mailbox->blocks, &block->link);
    mailbox->blocks_pushed++;
    take_receivers_locked(mailbox, &receivers); /* there are none where it has a handler */
    if (mailbox->handles) make_ready_locked(mailbox);
    unlock(mailbox);
    end_receivers(mailbox, &receivers, 0, NULL);
}

void tern__mailbox_push_event(tern__mailbox *mailbox, tern_event *event)
{
    lock(mailbox);
    event->blocks_before = mailbox->blocks_pushed;
    tern__list_append(&mailbox->events, &event->link);
    make_ready_locked(mailbox);
    unlock(mailbox);
}

void tern__mailbox_push_bare_event(tern__mailbox *mailbox, const tern__bare_event *event)
{
    lock(mailbox);
    tern__list_remove(&mailbox->bare.link); /* what waits is out of date */
    mailbox->bare = *event;
    mailbox->bare.blocks_before = mailbox->blocks_pushed;
    tern__list_init(&mailbox->bare.link);
    tern__list_append(&mailbox->events, &mailbox->bare.link);
    make_ready_locked(mailbox);
    unlock(mailbox);
}

bool tern__mailbox_push_token(tern__mailbox *mailbox, tern_token *token)
{
    lock(mailbox);
    bool open = !mailbox->closed;
    if (open) {
        tern__list_append(&mailbox->tokens, &token->link);
        mailbox->token_count++;
        make_ready_locked(mailbox);
    }
    unlock(mailbox);
    return open;
}

/* Whether `next` continues `last`, with the same outcome. */
static bool continues(const tern__range *last, const tern__range *next)
{
    return last->last + 1 == next->first && last->outcome == next->outcome &&
           last->cause == next->cause && last->reason == next->reason;
}

static int add_range_locked(tern__mailbox *mailbox, const tern__range *range)
{
    if (mailbox->range_count != 0 && continues(&mailbox->ranges[mailbox->range_count - 1], range)) {
        mailbox->ranges[mailbox->range_count - 1].last = range->last;
        return 0;
    }
    if (mailbox->range_count == mailbox->range_cap) {
        size_t cap = mailbox->range_cap != 0 ? mailbox->range_cap * 2 : 4;
        tern__range *ranges = tern__realloc(mailbox->ranges, cap * sizeof *ranges);
        if (ranges == NULL) return TERN_E_NOMEM;
        mailbox->ranges = ranges;
        mailbox->range_cap = cap;
    }
    mailbox->ranges[mailbox->range_count++] = *range;
    hold_bytes(mailbox, sizeof *range);
    return 0;
}

int tern__mailbox_push_range(tern__mailbox *mailbox, const tern__range *range)
{
    int rc = 0;
    lock(mailbox);
    if (mailbox->on_delivery != NULL) {
        rc = add_range_locked(mailbox, range);
        if (rc == 0) make_ready_locked(mailbox);
    }
    unlock(mailbox);
    return rc;
}

void tern__mailbox_push_closed(tern__mailbox *mailbox, tern_token *close_token)
{
    tern__list receivers;
    lock(mailbox);
    mailbox->closing = true;
    mailbox->close_token = close_token;
    take_receivers_locked(mailbox, &receivers);
    make_ready_locked(mailbox);
    unlock(mailbox);
    end_receivers(mailbox, &receivers, TERN_E_CLOSED, NULL);
}

void tern__mailbox_handlers_changed(tern__mailbox *mailbox)
{
    bool handles = tern__router_handles(&mailbox->router);
    tern__list receivers;
    tern__list_init(&receivers);
    lock(mailbox);
    mailbox->handles = handles;
    if (handles) take_receivers_locked(mailbox, &receivers);
    if (handles && !tern__list_empty(&mailbox->blocks)) make_ready_locked(mailbox);
    unlock(mailbox);
    end_receivers(mailbox, &receivers, TERN_E_STATE, "the client got a message handler");
}

void tern__mailbox_set_delivery(tern__mailbox *mailbox, tern_delivery_callback callback, void *user_data)
{
    lock(mailbox);
    mailbox->on_delivery = callback;
    mailbox->delivery_data = user_data;
    unlock(mailbox);
}

void tern__mailbox_set_event(tern__mailbox *mailbox, tern_event_callback callback, void *user_data)
{
    lock(mailbox);
    mailbox->on_event = callback;
    mailbox->event_data = user_data;
    unlock(mailbox);
}

void tern__mailbox_set_attempt(tern__mailbox *mailbox, tern_attempt_callback callback, void *user_data)
{
    lock(mailbox);
    mailbox->on_attempt = callback;
    mailbox->attempt_data = user_data;
    unlock(mailbox);
}

bool tern__mailbox_asks(tern__mailbox *mailbox)
{
    lock(mailbox);
    bool asks = mailbox->on_attempt != NULL;
    unlock(mailbox);
    return asks;
}

void tern__mailbox_acknowledge(tern__mailbox *mailbox, uint64_t epoch, uint32_t seq)
{
    atomic_store_explicit(&mailbox->ack, epoch << 32 | seq, memory_order_release);
}

void tern__mailbox_acknowledge_further(tern__mailbox *mailbox, uint64_t epoch, uint32_t seq)
{
    uint64_t last = atomic_load_explicit(&mailbox->ack, memory_order_relaxed);
    bool later = (uint32_t)(last >> 32) != (uint32_t)epoch || (int32_t)(seq - (uint32_t)last) > 0;
    if (later) tern__mailbox_acknowledge(mailbox, epoch, seq);
}

int tern__mailbox_add_receiver(tern__mailbox *mailbox, tern_token *token)
{
    tern__list abandoned;
    tern__list_init(&abandoned);
    lock(mailbox);
    bool there = !tern__list_empty(&mailbox->blocks);
    int rc = mailbox->handles ? TERN_E_STATE : mailbox->closing && !there ? TERN_E_CLOSED : 0;
    tern__token_pick_abandoned(&mailbox->receivers, &abandoned);
    if (rc == 0 && !there) tern__list_append(&mailbox->receivers, &token->link);
    unlock(mailbox);
    tern__token_drop(&abandoned);
    if (rc == 0 && there) tern__token_finish(token, NULL);
    return rc;
}

static void ready_head_locked(tern__mailbox *mailbox, tern__block *block)
{
    if (!mailbox->head_ready) tern__block_finish(block);
    mailbox->head_ready = true;
}

/* The first block leaves the list. */
static void drop_head_locked(tern__mailbox *mailbox, tern__block *block)
{
    tern__list_remove(&block->link);
    mailbox->cursor = 0;
    mailbox->head_ready = false;
}

int tern__mailbox_receive(tern__mailbox *mailbox, tern_message **message)
{
    tern__block *done = NULL;
    tern__record record = {0};
    uint64_t epoch = 0;
    lock(mailbox);
    bool there = !tern__list_empty(&mailbox->blocks);
    int rc = mailbox->handles ? TERN_E_STATE : there ? 0 : mailbox->closing ? TERN_E_CLOSED : TERN_E_AGAIN;
    if (rc == 0) {
        tern__block *block = TERN__CONTAINER(mailbox->blocks.next, tern__block, link);
        ready_head_locked(mailbox, block);
        record = block->records[mailbox->cursor];
        epoch = block->epoch;
        tern_message borrowed = {.record = &record, .epoch = epoch};
        rc = tern_message_keep(&borrowed, message);
        if (rc == 0 && ++mailbox->cursor == block->count) {
            drop_head_locked(mailbox, block);
            mailbox->blocks_done++;
            done = block;
        }
        if (rc == 0 && record.qos != 0 && mailbox->client->options.ack == TERN_ACK_AUTO)
            tern__mailbox_acknowledge(mailbox, epoch, record.ack_seq);
    }
    unlock(mailbox);
    if (done != NULL) release_block(mailbox, done);
    if (rc == 0 && record.qos != 0) tern__client_schedule(mailbox->client, false);
    return rc;
}

/* ---- the dispatcher's side ---- */

typedef enum unit { UNIT_NONE, UNIT_EVENT, UNIT_BLOCK, UNIT_RANGES, UNIT_TOKEN, UNIT_CLOSED } unit;

static bool event_due_locked(const tern__mailbox *mailbox)
{
    if (tern__list_empty(&mailbox->events)) return false;
    tern__list *first = mailbox->events.next;
    bool bare = first == &mailbox->bare.link;
    uint64_t before = bare ? mailbox->bare.blocks_before : TERN__CONTAINER(first, tern_event, link)->blocks_before;
    return !mailbox->handles || before <= mailbox->blocks_done;
}

/* Blocks take turns with the rest, and tokens with batches of ranges, so that none starves another. A token that ended comes
 * after the outcomes that were there before it. */
static unit next_unit_locked(const tern__mailbox *mailbox)
{
    bool block = mailbox->handles && !tern__list_empty(&mailbox->blocks);
    if (event_due_locked(mailbox)) return UNIT_EVENT;
    if (block && !mailbox->block_last) return UNIT_BLOCK;
    if (mailbox->tokens_due != 0) return UNIT_TOKEN;
    if (mailbox->range_count != 0) return UNIT_RANGES;
    if (!tern__list_empty(&mailbox->tokens)) return UNIT_TOKEN;
    if (block) return UNIT_BLOCK;
    return mailbox->closing && mailbox->ending == 0 && !mailbox->closed ? UNIT_CLOSED : UNIT_NONE;
}

static void run_attempt_locked(tern__mailbox *mailbox, tern_event *event)
{
    tern_attempt_callback callback = mailbox->on_attempt;
    void *data = mailbox->attempt_data;
    tern_attempt *attempt = event->question;
    event->question = NULL;
    unlock(mailbox);
    tern__event_free(event);
    if (callback != NULL) callback(mailbox->client, attempt, data);
    tern__attempt_answer(mailbox->client, attempt);
    lock(mailbox);
}

static void run_bare_event_locked(tern__mailbox *mailbox)
{
    tern_event event;
    tern_event_callback callback = mailbox->on_event;
    void *data = mailbox->event_data;
    tern__event_init(&event, mailbox->bare.kind);
    event.error = mailbox->bare.error;
    tern__event_set_limits(&event, mailbox->bare.version, &mailbox->bare.limits);
    unlock(mailbox);
    if (callback != NULL) callback(mailbox->client, &event, data);
    lock(mailbox);
}

static void run_event_locked(tern__mailbox *mailbox)
{
    tern__list *first = tern__list_shift(&mailbox->events);
    if (first == &mailbox->bare.link) {
        run_bare_event_locked(mailbox);
        return;
    }
    tern_event *event = TERN__CONTAINER(first, tern_event, link);
    if (event->question != NULL) {
        run_attempt_locked(mailbox, event);
        return;
    }
    tern_event_callback callback = mailbox->on_event;
    void *data = mailbox->event_data;
    unlock(mailbox);
    if (callback != NULL) callback(mailbox->client, event, data);
    tern__event_free(event);
    lock(mailbox);
}

static void run_block_locked(tern__mailbox *mailbox)
{
    tern__block *block = TERN__CONTAINER(mailbox->blocks.next, tern__block, link);
    uint32_t first = mailbox->cursor;
    ready_head_locked(mailbox, block);
    drop_head_locked(mailbox, block);
    unlock(mailbox);
    tern__deliver_block(mailbox, block, first);
    release_block(mailbox, block);
    lock(mailbox);
    mailbox->blocks_done++;
}

static void run_ranges_locked(tern__mailbox *mailbox)
{
    tern__range *ranges = mailbox->ranges;
    size_t count = mailbox->range_count;
    size_t cap = mailbox->range_cap;
    mailbox->ranges = mailbox->spare;
    mailbox->range_cap = mailbox->spare_cap;
    mailbox->range_count = 0;
    mailbox->spare = NULL;
    mailbox->spare_cap = 0;
    mailbox->tokens_due = mailbox->token_count;
    tern_delivery_callback callback = mailbox->on_delivery;
    void *data = mailbox->delivery_data;
    unlock(mailbox);
    for (size_t i = 0; i < count && callback != NULL; i++) {
        tern_delivery delivery = {.range = ranges[i]};
        callback(mailbox->client, &delivery, data);
    }
    release_bytes(mailbox, count * sizeof *ranges);
    lock(mailbox);
    mailbox->spare = ranges;
    mailbox->spare_cap = cap;
}

static void run_token_locked(tern__mailbox *mailbox)
{
    tern_token *token = TERN__CONTAINER(tern__list_shift(&mailbox->tokens), tern_token, link);
    mailbox->token_count--;
    if (mailbox->tokens_due != 0) mailbox->tokens_due--;
    unlock(mailbox);
    tern__token_run(token);
    lock(mailbox);
}

/* The client may be gone when this returns. */
static void run_closed_locked(tern__mailbox *mailbox)
{
    tern__dispatcher *dispatcher = mailbox->dispatcher;
    mailbox->closed = true;
    tern__mutex_unlock(&dispatcher->lock);
    tern__client_quiet(mailbox->client, mailbox->close_token);
    tern__mutex_lock(&dispatcher->lock);
}

void tern__mailbox_run_unit_locked(tern__mailbox *mailbox)
{
    unit next = next_unit_locked(mailbox);
    mailbox->block_last = next == UNIT_BLOCK;
    switch (next) {
    case UNIT_EVENT: run_event_locked(mailbox); break;
    case UNIT_BLOCK: run_block_locked(mailbox); break;
    case UNIT_RANGES: run_ranges_locked(mailbox); break;
    case UNIT_TOKEN: run_token_locked(mailbox); break;
    case UNIT_CLOSED: run_closed_locked(mailbox); return;
    case UNIT_NONE: return;
    }
    if (next_unit_locked(mailbox) != UNIT_NONE) make_ready_locked(mailbox);
}
