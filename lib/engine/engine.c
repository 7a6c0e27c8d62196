/* The engine: its life, its ends, and what it tells. The parts are in files of their own, see machine.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/props.h"
#include "codec/reason.h"
#include "engine/blocks.h"
#include "engine/machine.h"

/* ---- life ---- */

int tern__engine_new(tern__engine **engine, const tern__engine_config *config)
{
    *engine = NULL;
    tern__engine *e = tern__calloc(1, sizeof *e);
    if (e == NULL) return TERN_E_NOMEM;
    e->config = *config;
    e->client_id = tern__strdup(config->client_id);
    if (e->client_id == NULL) {
        tern__free(e);
        return TERN_E_NOMEM;
    }
    e->config.client_id = e->client_id;
    e->config.pool = tern__block_pool_ref(config->pool);
    tern__outbox_init(&e->outbox, config->outbox_bytes, config->outbox_messages, config->policy);
    tern__list_init(&e->outcomes.completions);
    tern__list_init(&e->requests.waiting);
    tern__list_init(&e->requests.wishes);
    tern__list_init(&e->blocks);
    e->limits.version = TERN__V5;
    e->retry_at = UINT64_MAX;
    e->acks.head = e->acks.tail = 1;
    *engine = e;
    return 0;
}

void tern__engine_free(tern__engine *e)
{
    if (e == NULL) return;
    tern__list *link;
    while ((link = tern__list_shift(&e->blocks)) != NULL) tern__block_unref(TERN__CONTAINER(link, tern__block, link));
    tern__output_reset(e);
    tern__receiver_reset(e);
    tern__requests_deinit(e);
    tern__outbox_deinit(&e->outbox);
    tern__buf_deinit(&e->output.control);
    tern__buf_deinit(&e->output.flying);
    tern__free(e->output.segments);
    tern__free(e->inflight.slots);
    tern__free(e->outcomes.ranges);
    tern__free(e->acks.ring);
    tern__free(e->acks.held);
    tern__free(e->end);
    tern__free(e->client_id);
    tern__free(e->assigned_id);
    tern__free(e->response_info);
    tern__block_pool_unref(e->config.pool);
    tern__free(e);
}

tern__outbox *tern__engine_outbox(tern__engine *e)
{
    return &e->outbox;
}

bool tern__engine_sync_locked(tern__engine *e)
{
    return tern__outbox_sync_locked(&e->outbox);
}

void tern__engine_closed(tern__engine *e, uint64_t now)
{
    if (e->phase == TERN__PHASE_CLOSED) return;
    bool was_open = e->session.exists;
    e->phase = TERN__PHASE_CLOSED;
    e->redeliver = 0;
    e->held = false;
    e->retry_at = UINT64_MAX;
    tern__output_reset(e);
    tern__requests_lost(e);
    tern__receiver_reset(e);
    e->acks.head = e->acks.tail = 1;
    e->stats.unacked_inbound = 0;
    e->stats.oldest_unacked_us = 0;
    if (was_open) e->session.left_at = now;
}

/* ---- ends of a connection ---- */

/* Text of the peer's, cut to its place and without control characters. */
static void copy_text(char *to, size_t size, const tern__packet *packet, int id)
{
    tern__prop prop;
    to[0] = '\0';
    if (!tern__props_has(&packet->props, id) || !tern__props_find(&packet->props, id, &prop)) return;
    snprintf(to, size, "%.*s", (int)(prop.text.len < size ? prop.text.len : size - 1), (const char *)prop.text.data);
    tern__log_clean(to);
}

/* The first end counts. The event's texts need memory; without it the rest is told. */
static tern__engine_event *begin_end(tern__engine *e, tern__engine_event_kind kind, int error, int reason)
{
    e->dead = true;
    e->phase = TERN__PHASE_ENDING;
    e->end_due = true;
    e->end_kind = kind;
    e->end_error = error;
    e->end_reason = reason;
    tern__free(e->end);
    e->end = tern__calloc(1, sizeof *e->end);
    return e->end;
}

static int send_disconnect(tern__engine *e, uint8_t reason, bool expire)
{
    tern__packet packet = {.type = TERN__DISCONNECT, .u.reason.reason = reason};
    uint8_t zero_expiry[5] = {TERN__PROP_SESSION_EXPIRY, 0, 0, 0, 0};
    if (expire) packet.props = (tern__props){zero_expiry, sizeof zero_expiry, 0};
    int rc = tern__output_packet(e, &packet);
    if (rc != TERN_E_TOO_LARGE || !expire) return rc;
    packet.props = (tern__props){NULL, 0, 0}; /* to a server that takes no more, leaving is what matters */
    return tern__output_packet(e, &packet);
}

int tern__engine_fail(tern__engine *e, int error, uint8_t reason, size_t offset, const char *rule)
{
    if (e->dead) return error;
    bool tell = e->limits.version == TERN__V5 && error != TERN_E_KEEPALIVE; /* [MQTT5-4.13.1-1] */
    if (e->phase == TERN__PHASE_ENDING) tell = false; /* it was told goodbye already [MQTT5-3.14.4-1] */
    if (!tern__reason_legal(reason, TERN__DISCONNECT, TERN__FROM_CLIENT)) reason = 0x82;
    if (tell) (void)send_disconnect(e, reason, false); /* where memory ran out the link closes without it */
    tern__engine_event *end = begin_end(e, TERN__EVENT_FAILED, error, tell ? reason : -1);
    if (end != NULL && (error == TERN_E_MALFORMED || error == TERN_E_PROTOCOL)) {
        snprintf(end->text, sizeof end->text, "offset %zu: %s", offset, rule);
    } else if (end != NULL) {
        snprintf(end->text, sizeof end->text, "%s", rule);
    }
    return error;
}

int tern__engine_end(tern__engine *e, tern__engine_event_kind kind, int error, int reason, const tern__packet *packet)
{
    if (e->dead) return error;
    tern__engine_event *end = begin_end(e, kind, error, reason);
    if (end != NULL) {
        end->refused_version = kind == TERN__EVENT_REFUSED && reason == 0x84;
        copy_text(end->text, sizeof end->text, packet, TERN__PROP_REASON_STRING);
        copy_text(end->reference, sizeof end->reference, packet, TERN__PROP_SERVER_REFERENCE);
    }
    return error;
}

void tern__engine_disconnect(tern__engine *e, int reason, bool expire_session, uint64_t now)
{
    (void)now;
    e->closable_due = true;
    if (e->phase != TERN__PHASE_OPEN) return;
    e->phase = TERN__PHASE_ENDING;
    bool v5 = e->limits.version == TERN__V5;
    bool expire = expire_session && v5 && e->limits.session_expiry != 0;
    if (!v5 && reason != 0) return; /* 3.1.1 has but one DISCONNECT; closing without it publishes the will */
    (void)send_disconnect(e, (uint8_t)reason, expire); /* without memory the link closes without it */
}

void tern__engine_hold(tern__engine *e)
{
    if (e->phase == TERN__PHASE_OPEN) e->held = true;
}

bool tern__engine_is_quiet(const tern__engine *e)
{
    tern__chunk *chunk;
    uint32_t index;
    const tern__entry *next = tern__outbox_next((tern__outbox *)(uintptr_t)&e->outbox, &chunk, &index);
    bool in_unit = next != NULL && next->bound; /* the rest of a unit goes out with its first */
    bool written = e->output.count == 0 && e->output.control.len == 0;
    bool answered = e->inflight.used == 0 && e->redeliver == 0 && !e->requests.stalled;
    return written && answered && !in_unit && e->acks.head == e->acks.tail && e->acks.open == 0;
}

/* Every message that is left gets its last outcome; chunks go with their last entries. */
static void abandon_messages(tern__engine *e)
{
    tern__list *link = e->outbox.chunks.next;
    while (link != &e->outbox.chunks) {
        tern__chunk *chunk = TERN__CONTAINER(link, tern__chunk, link);
        link = link->next;
        uint32_t taken = chunk->taken;
        uint32_t live = chunk->live;
        for (uint32_t i = 0; i < taken && live != 0; i++) {
            tern__entry *entry = tern__chunk_entry(chunk, i);
            if (entry->state == TERN__ENTRY_DONE) continue;
            live--; /* with the last one the chunk may go */
            if (entry->state == TERN__ENTRY_UNTOLD) continue;
            if (entry->state == TERN__ENTRY_WAITING) {
                tern__outcome_tell_unsent(e, chunk, i, TERN_CAUSE_CLOSED);
            } else {
                tern__outcome_tell(e, chunk, i, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED, -1);
            }
        }
    }
}

int tern__engine_abandon(tern__engine *e)
{
    tern__requests_lost(e);
    tern__free(e->inflight.slots);
    memset(&e->inflight, 0, sizeof e->inflight);
    abandon_messages(e);
    tern__requests_abandon(e, TERN_E_CLOSED);
    return e->outbox.untold != 0 ? TERN_E_NOMEM : 0;
}

/* ---- requests ---- */

static int request(tern__engine *e, const tern_subscription *subscription, bool unsubscribe, tern__completion *completion)
{
    int rc = tern__requests_add(e, subscription, unsubscribe, completion);
    if (rc != 0 || e->phase != TERN__PHASE_OPEN) return rc;
    if (tern__requests_send(e) != 0) (void)tern__engine_fail(e, TERN_E_NOMEM, 0x83, 0, "out of memory");
    return 0;
}

int tern__engine_subscribe(tern__engine *e, const tern_subscription *subscription, tern__completion *completion, uint64_t now)
{
    (void)now;
    return request(e, subscription, false, completion);
}

int tern__engine_unsubscribe(tern__engine *e, const tern_subscription *subscription, tern__completion *completion, uint64_t now)
{
    (void)now;
    return request(e, subscription, true, completion);
}

/* ---- time ---- */

/* Gives back what an idle engine does not need. */
static void trim(tern__engine *e)
{
    e->outbox.trim = true;
    if (e->output.count == 0) {
        tern__free(e->output.segments);
        e->output.segments = NULL;
        e->output.cap = e->output.first = 0;
        if (e->output.flying.len == 0) tern__buf_deinit(&e->output.flying);
    }
    if (e->outcomes.count == 0) {
        tern__free(e->outcomes.ranges);
        e->outcomes.ranges = NULL;
        e->outcomes.cap = e->outcomes.first = 0;
    }
    if (e->acks.head == e->acks.tail) {
        tern__free(e->acks.ring);
        e->acks.ring = NULL;
        e->acks.cap = 0;
    }
}

void tern__engine_tick(tern__engine *e, uint64_t now)
{
    enum { RETRY_US = 10000 };
    tern__expiry_run(e, now);
    if (now >= e->retry_at) e->retry_at = UINT64_MAX; /* the owner asks for output now */
    if (now >= e->untold_at) e->untold_at = now + RETRY_US; /* and for outcomes */
    if (e->phase != TERN__PHASE_OPEN) return;
    bool ping;
    if (tern__keepalive_tick(&e->keepalive, now, &ping)) {
        (void)tern__engine_fail(e, TERN_E_KEEPALIVE, 0x8D, 0, "the server stopped answering: no byte since PINGREQ was due");
        return;
    }
    if (!ping) return;
    trim(e);
    tern__packet packet = {.type = TERN__PINGREQ};
    e->stats.pings_sent++;
    e->keepalive.place = TERN__PING_GATHERED;
    if (tern__output_packet(e, &packet) != 0) (void)tern__engine_fail(e, TERN_E_NOMEM, 0x83, 0, "out of memory");
}

uint64_t tern__engine_deadline(const tern__engine *e)
{
    uint64_t deadline = e->phase == TERN__PHASE_OPEN ? tern__keepalive_deadline(&e->keepalive) : UINT64_MAX;
    if (e->retry_at < deadline) deadline = e->retry_at;
    if (e->outbox.untold != 0 && e->untold_at < deadline) deadline = e->untold_at;
    return e->outbox.earliest < deadline ? e->outbox.earliest : deadline;
}

void tern__engine_set_reading_paused(tern__engine *e, bool paused, uint64_t now)
{
    e->keepalive.paused = paused;
    if (!paused && e->keepalive.pinged_at != 0) e->keepalive.pinged_at = now; /* silence counts from now on */
}

/* ---- what is told ---- */

static void fill_end(tern__engine *e, tern__engine_event *event)
{
    memset(event, 0, sizeof *event);
    if (e->end != NULL) *event = *e->end;
    event->kind = e->end_kind;
    event->error = e->end_error;
    event->reason = e->end_reason;
    tern__free(e->end);
    e->end = NULL;
    e->end_due = false;
}

bool tern__engine_next_event(tern__engine *e, tern__engine_event *event)
{
    if (e->connected_due) {
        e->connected_due = false;
        memset(event, 0, offsetof(tern__engine_event, text) + 1);
        event->kind = TERN__EVENT_CONNECTED;
        event->reason = 0;
        return true;
    }
    tern__list *link = tern__list_shift(&e->blocks);
    if (link != NULL) {
        event->kind = TERN__EVENT_MESSAGES;
        event->block = TERN__CONTAINER(link, tern__block, link);
        return true;
    }
    if (e->end_due) {
        fill_end(e, event);
        return true;
    }
    if (!e->closable_due) return false;
    e->closable_due = false;
    memset(event, 0, sizeof *event);
    event->kind = TERN__EVENT_CLOSABLE;
    event->reason = -1;
    return true;
}

bool tern__engine_connected(const tern__engine *e)
{
    return e->phase == TERN__PHASE_OPEN;
}

uint64_t tern__engine_epoch(const tern__engine *e)
{
    return e->epoch;
}

const tern__limits *tern__engine_limits(const tern__engine *e)
{
    return &e->limits;
}

const char *tern__engine_client_id(const tern__engine *e)
{
    return e->client_id[0] == '\0' && e->assigned_id != NULL ? e->assigned_id : e->client_id;
}

const char *tern__engine_response_info(const tern__engine *e)
{
    return e->response_info;
}

uint64_t tern__engine_settled_id(const tern__engine *e)
{
    return tern__outbox_settled((struct tern__outbox *)(uintptr_t)&e->outbox); /* moves its hints */
}

uint64_t tern__engine_open_count(const tern__engine *e)
{
    uint64_t open = e->outbox.open;
    for (const tern__list *link = e->requests.waiting.next; link != &e->requests.waiting; link = link->next) open++;
    return open;
}

const tern__engine_stats *tern__engine_stats_of(const tern__engine *e)
{
    return &e->stats;
}
