/* Output: control packets and runs of the outbox, staged in the order in which they go out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/decode.h"
#include "codec/props.h"
#include "codec/publish.h"
#include "engine/machine.h"

enum { STAGE_BYTES = 256 << 10, SEGMENTS_MAX = 64 };

/* ---- control packets ---- */

uint8_t *tern__output_control(tern__engine *e, size_t len)
{
    tern__buf *control = &e->output.control;
    if (tern__buf_reserve(control, len) != 0) return NULL;
    uint8_t *at = control->data + control->len;
    control->len += len;
    e->stats.packets_sent++;
    return at;
}

int tern__output_packet(tern__engine *e, const tern__packet *packet)
{
    int version = tern__engine_version(e);
    size_t size = tern__encode_size(packet, version);
    if (size == 0 || size > e->limits.maximum_packet_size) return TERN_E_TOO_LARGE; /* [MQTT5-3.2.2-15] */
    uint8_t *at = tern__output_control(e, size);
    if (at == NULL) return TERN_E_NOMEM;
    tern__encode(packet, version, at);
    return 0;
}

int tern__output_ack(tern__engine *e, uint8_t type, uint16_t packet_id, uint8_t reason)
{
    if (e->phase == TERN__PHASE_ENDING) return 0; /* behind our DISCONNECT nothing goes [MQTT5-3.14.4-1] [MQTT311-3.14.4-2] */
    uint8_t bytes[5];
    size_t len = tern__ack_write(type, packet_id, reason, tern__engine_version(e), bytes);
    if (len > e->limits.maximum_packet_size) /* the flow can go on without the reason [MQTT5-3.2.2-15] */
        len = tern__ack_write(type, packet_id, 0, tern__engine_version(e), bytes);
    uint8_t *at = tern__output_control(e, len);
    if (at == NULL) return TERN_E_NOMEM;
    memcpy(at, bytes, len);
    e->output.acks += len;
    return 0;
}

/* ---- segments ---- */

static tern__segment *segment_at(tern__output *output, uint32_t index)
{
    return &output->segments[(output->first + index) & (output->cap - 1)];
}

static tern__segment *last_segment(tern__output *output)
{
    return output->count != 0 ? segment_at(output, output->count - 1) : NULL;
}

/* A new segment at the end; NULL where memory ran out, or there are enough. */
static tern__segment *add_segment(tern__output *output)
{
    if (output->count == SEGMENTS_MAX) return NULL;
    if (output->count == output->cap) {
        uint32_t cap = output->cap != 0 ? output->cap * 2 : 2;
        tern__segment *segments = tern__malloc(cap * sizeof *segments);
        if (segments == NULL) return NULL;
        for (uint32_t i = 0; i < output->count; i++) segments[i] = *segment_at(output, i);
        tern__free(output->segments);
        output->segments = segments;
        output->cap = cap;
        output->first = 0;
    }
    tern__segment *segment = segment_at(output, output->count++);
    memset(segment, 0, sizeof *segment);
    return segment;
}

static void stage_control(tern__engine *e)
{
    tern__output *output = &e->output;
    if (output->control.len == 0 || output->flying.len != 0) return;
    tern__segment *segment = add_segment(output);
    if (segment == NULL) return; /* it waits: the bytes are safe where they are */
    tern__buf empty = output->flying;
    output->flying = output->control;
    output->control = empty;
    segment->len = output->flying.len;
    output->staged += segment->len;
    output->acks = 0;
    if (e->keepalive.place == TERN__PING_GATHERED) e->keepalive.place = TERN__PING_STAGED;
}

/* ---- messages ---- */

/* Which limit of the server a message goes beyond; CAUSE_NONE where it keeps to all. [MQTT5-3.2.2-11] [MQTT5-3.2.2-14]
 * [MQTT5-3.2.2-15] */
static tern_cause beyond(const tern__engine *e, const tern__entry *entry)
{
    if (entry->qos > e->limits.maximum_qos) return TERN_CAUSE_UNSUPPORTED;
    if (entry->retain && !e->limits.retain_available) return TERN_CAUSE_UNSUPPORTED;
    if (entry->len > e->limits.maximum_packet_size) return TERN_CAUSE_TOO_LARGE;
    return TERN_CAUSE_NONE;
}

/* Why the server must not be sent this message now; CAUSE_NONE where it may. */
static tern_cause obstacle(const tern__engine *e, const tern__entry *entry, uint64_t now)
{
    if (entry->expires_us != 0 && now >= entry->expires_us && !entry->left && !entry->bound) return TERN_CAUSE_EXPIRED;
    if (entry->has_props && !entry->lose && e->limits.version != TERN__V5) return TERN_CAUSE_UNSUPPORTED;
    return beyond(e, entry);
}

/* Whether the bytes can go out as they are. */
static bool fits(const tern__engine *e, const tern__entry *entry)
{
    return entry->form == e->limits.version && entry->expires_us == 0;
}

/* The interval that is left goes on the wire, at least a second. It never grows: the publisher's look at the clock may be newer
 * than ours, and rounding up would make 0 of UINT32_MAX. */
static int left_props(const tern__entry *entry, const tern__props *props, uint64_t now, tern__buf *out)
{
    int rc = tern__buf_append(out, props->data, props->len);
    if (rc != 0 || entry->expires_us == 0) return rc;
    uint64_t left = now < entry->expires_us ? (entry->expires_us - now + 999999) / 1000000 : 1;
    uint32_t whole = tern__props_number(props, TERN__PROP_MESSAGE_EXPIRY, 1);
    if (left > whole) left = whole != 0 ? whole : 1;
    tern__props_remove(out, TERN__PROP_MESSAGE_EXPIRY);
    return tern__props_add_number(out, TERN__PROP_MESSAGE_EXPIRY, (uint32_t)left);
}

/* Composes an entry in the form of this connection. NULL with *cause NONE: memory ran out. */
static uint8_t *compose(tern__engine *e, const tern__chunk *chunk, const tern__entry *entry, uint16_t packet_id, bool dup,
                        uint64_t now, size_t *len, tern_cause *cause)
{
    *cause = TERN_CAUSE_NONE;
    const uint8_t *bytes = chunk->bytes + entry->offset;
    tern__frame frame;
    tern__fault fault;
    tern__publish_packet publish;
    tern__props props;
    int version = entry->form;
    int rc = tern__frame_peek(bytes, entry->len, UINT32_MAX, version, TERN__FROM_CLIENT, &frame, &fault);
    if (rc == 0) rc = tern__decode_publish(bytes, &frame, version, TERN__FROM_CLIENT, &publish, &props, &fault);
    assert(rc == 0 && "what we encoded ourselves decodes");
    if (rc != 0) return NULL;
    publish.packet_id = packet_id;
    publish.dup = dup;
    tern__buf fresh = {0};
    tern__publish_layout layout;
    uint8_t *made = NULL;
    if (left_props(entry, &props, now, &fresh) == 0) {
        tern__props left = {fresh.data, fresh.len, 0};
        tern__publish_measure(&publish, &left, e->limits.version, &layout);
        if (layout.len == 0 || layout.len > e->limits.maximum_packet_size) {
            *cause = TERN_CAUSE_TOO_LARGE;
        } else {
            made = tern__malloc(layout.len);
            if (made != NULL) tern__publish_write(&publish, &left, e->limits.version, &layout, made);
            *len = layout.len;
        }
    }
    tern__buf_deinit(&fresh);
    return made;
}

static void patch(tern__chunk *chunk, const tern__entry *entry, uint16_t packet_id, bool dup)
{
    uint8_t *packet = chunk->bytes + entry->offset;
    uint8_t *topic = packet + 1;
    packet[0] = (uint8_t)((packet[0] & ~8) | (dup ? 8 : 0));
    while ((*topic++ & 0x80) != 0) /* the remaining length ends with the first byte below 0x80 */
        ;
    uint8_t *id = topic + 2 + tern__load_u16(topic);
    (void)tern__store_u16(id, packet_id);
}

/* The segment that takes the entry at `index` in its chunk's bytes: the last one where it ends there, else a new and empty
 * one. NULL: memory ran out, or the output is full. */
static tern__segment *run_segment(tern__output *output, tern__chunk *chunk, uint32_t index, bool plain)
{
    const tern__entry *entry = tern__chunk_entry(chunk, index);
    tern__segment *last = last_segment(output);
    if (last != NULL && last->chunk == chunk && last->scratch == NULL && last->plain == plain &&
        last->index + last->count == index && last->offset + last->len == entry->offset)
        return last;
    tern__segment *segment = add_segment(output);
    if (segment != NULL)
        *segment = (tern__segment){.chunk = chunk, .index = index, .offset = entry->offset, .plain = plain};
    return segment;
}

static void extend(tern__output *output, tern__segment *segment, uint32_t count, size_t len)
{
    segment->count += count;
    segment->len += len;
    segment->chunk->staged += count;
    output->staged += len;
}

/* Puts an entry's bytes at the end of the output. False: memory ran out, or the output is full; nothing happened. */
static bool stage_bytes(tern__engine *e, tern__chunk *chunk, uint32_t index, uint8_t *scratch, size_t len)
{
    tern__output *output = &e->output;
    tern__segment *segment = scratch == NULL ? run_segment(output, chunk, index, false) : add_segment(output);
    if (segment == NULL) return false;
    if (scratch != NULL) *segment = (tern__segment){.chunk = chunk, .scratch = scratch, .index = index};
    extend(output, segment, 1, len);
    return true;
}

typedef enum staging { STAGED, SKIPPED, STUCK } staging;

/* Stages one entry that has its packet id. */
static staging stage_entry(tern__engine *e, tern__chunk *chunk, uint32_t index, uint16_t packet_id, bool dup, uint64_t now,
                           tern_cause *cause)
{
    tern__entry *entry = tern__chunk_entry(chunk, index);
    *cause = TERN_CAUSE_NONE;
    if (entry->qos != 0) patch(chunk, entry, packet_id, dup);
    if (fits(e, entry)) return stage_bytes(e, chunk, index, NULL, entry->len) ? STAGED : STUCK;
    size_t len = 0;
    if (entry->qos == 0) packet_id = 0;
    uint8_t *scratch = compose(e, chunk, entry, packet_id, dup, now, &len, cause);
    if (scratch == NULL) return *cause != TERN_CAUSE_NONE ? SKIPPED : STUCK;
    if (stage_bytes(e, chunk, index, scratch, len)) return STAGED;
    tern__free(scratch);
    return STUCK;
}

/* The plain messages from the log's cursor to the end of their chunk at once: what a burst consists of. False: the one at the
 * cursor is none, or nothing can be staged now. */
static bool stage_run(tern__engine *e, tern__chunk *chunk, uint32_t index)
{
    const tern__entry *first = tern__chunk_entry(chunk, index);
    if (index < chunk->plain_from || e->draining || !fits(e, first) || chunk->cap > e->limits.maximum_packet_size) return false;
    tern__segment *segment = run_segment(&e->output, chunk, index, true);
    if (segment == NULL) return false;
    uint32_t count = chunk->taken - index;
    extend(&e->output, segment, count, chunk->taken_len - first->offset);
    e->stats.messages_sent += count;
    e->stats.packets_sent += count;
    tern__outbox_advance(&e->outbox, count);
    return true;
}

/* Ends a unit of which a message must not be sent. False: all of them may. */
static bool skip_unit(tern__engine *e, tern__chunk *chunk, uint32_t first, uint64_t now)
{
    enum { GROWTH = 2 /* bytes at most that the form of 5 has more */ };
    uint32_t count = tern__unit_count(chunk, first);
    tern_cause cause = TERN_CAUSE_NONE;
    for (uint32_t i = first; i < first + count && cause == TERN_CAUSE_NONE; i++) {
        const tern__entry *entry = tern__chunk_entry(chunk, i);
        cause = obstacle(e, entry, now);
        bool grows = entry->form < e->limits.version;
        if (cause == TERN_CAUSE_NONE && grows && entry->len + GROWTH > e->limits.maximum_packet_size)
            cause = TERN_CAUSE_TOO_LARGE;
    }
    if (cause == TERN_CAUSE_NONE) return false;
    tern__outbox_advance(&e->outbox, count);
    tern__unit_tell_unsent(e, chunk, first, count, cause);
    return true;
}

/* The next message of the log. False: nothing more can be staged now. */
static bool stage_next(tern__engine *e, uint64_t now)
{
    tern__chunk *chunk;
    uint32_t index;
    tern__entry *entry = tern__outbox_next(&e->outbox, &chunk, &index);
    if (entry == NULL || (entry->qos != 0 && e->quota <= 0)) return false; /* [MQTT5-4.9.0-2]; order is kept [C8] */
    if (stage_run(e, chunk, index)) return true;
    bool heads = entry->unit && !entry->bound && !entry->left;
    if (heads && skip_unit(e, chunk, index, now)) return true;
    tern_cause cause = obstacle(e, entry, now);
    tern__slot *slot = NULL;
    if (cause == TERN_CAUSE_NONE) {
        if (entry->qos != 0) {
            slot = tern__inflight_open(&e->inflight, TERN__SLOT_PUBLISH, &e->inflight.publishes);
            if (slot == NULL) return false;
            slot->of.chunk = chunk;
            slot->index = index;
        }
        staging how = stage_entry(e, chunk, index, slot != NULL ? slot->packet_id : 0, false, now, &cause);
        if (how != STAGED && slot != NULL) tern__inflight_close(&e->inflight, slot);
        if (how == STUCK) return false;
        if (how == STAGED) {
            entry->state = TERN__ENTRY_STAGED;
            entry->begun = 0;
            entry->packet_id = slot != NULL ? slot->packet_id : 0;
            if (slot != NULL) e->quota--;
            if (heads) tern__unit_begin(chunk, index);
            e->stats.messages_sent++;
            e->stats.packets_sent++;
        }
    }
    tern__outbox_advance(&e->outbox, 1);
    if (cause != TERN_CAUSE_NONE) tern__outcome_tell_unsent(e, chunk, index, cause);
    return true;
}

/* Redelivers what the last connection left unanswered, with DUP and its old id. [MQTT5-4.4.0-1] [MQTT5-3.3.1-1] [C6] */
static bool stage_redelivery(tern__engine *e, uint64_t now)
{
    while (e->redeliver != 0 && e->quota > 0) {
        tern__slot *slot = tern__inflight_find(&e->inflight, e->redeliver);
        tern_cause cause = beyond(e, tern__chunk_entry(slot->of.chunk, slot->index));
        staging how = SKIPPED;
        if (cause == TERN_CAUSE_NONE) how = stage_entry(e, slot->of.chunk, slot->index, slot->packet_id, true, now, &cause);
        if (how == STUCK) return false;
        e->redeliver = slot->next;
        if (how == SKIPPED) continue; /* the server takes none like it any more: it stays unanswered */
        e->quota--;
        e->stats.messages_sent++;
        e->stats.packets_sent++;
        e->stats.redelivered++;
    }
    return e->redeliver == 0;
}

/* Whether the log's next message may be begun: while messages are held, the rest of a unit alone. */
static bool may_begin(tern__engine *e)
{
    tern__chunk *chunk;
    uint32_t index;
    if (!e->held) return true;
    const tern__entry *entry = tern__outbox_next(&e->outbox, &chunk, &index);
    return entry != NULL && entry->bound;
}

/* Whether there is something to be sent that could be sent now, were there memory for it. */
static bool is_stuck(tern__engine *e)
{
    tern__chunk *chunk;
    uint32_t index;
    if (e->output.count != 0) return false; /* what goes out first makes room */
    if (e->output.control.len != 0) return true;
    if (e->requests.stalled && e->inflight.used < UINT16_MAX) return true; /* else an answer brings the id that it waits for */
    if (e->redeliver != 0) return e->quota > 0;
    if (!may_begin(e)) return false;
    const tern__entry *entry = tern__outbox_next(&e->outbox, &chunk, &index);
    if (entry == NULL || entry->qos == 0) return entry != NULL;
    return e->quota > 0 && e->inflight.used < UINT16_MAX; /* here too an answer brings the id */
}

/* The next message of a backlog, where its time has come. False: it has not, or nothing can be staged now. */
static bool stage_drained(tern__engine *e, uint64_t now)
{
    tern__chunk *chunk;
    uint32_t index;
    if (tern__outbox_next(&e->outbox, &chunk, &index) == NULL) {
        e->draining = false; /* that was all of it */
        return false;
    }
    uint64_t sent = e->stats.messages_sent;
    if (now < e->drain_at || !stage_next(e, now)) return false;
    if (e->stats.messages_sent == sent) return true; /* it ended without going out */
    bool behind = e->drain_at + e->config.drain_interval_us <= now;
    e->drain_at = (behind ? now : e->drain_at) + e->config.drain_interval_us;
    return true;
}

static void stage(tern__engine *e, uint64_t now)
{
    enum { RETRY_US = 10000 };
    tern__output *output = &e->output;
    if (e->requests.stalled && e->phase == TERN__PHASE_OPEN && tern__requests_send(e) != 0)
        (void)tern__engine_fail(e, TERN_E_NOMEM, 0x83, 0, "out of memory");
    stage_control(e);
    e->retry_at = e->output.control.len != 0 && output->count == 0 ? now + RETRY_US : UINT64_MAX;
    if (e->phase != TERN__PHASE_OPEN) return;
    if (stage_redelivery(e, now))
        while (output->staged < STAGE_BYTES && may_begin(e) && (e->draining ? stage_drained(e, now) : stage_next(e, now)))
            ;
    if (e->draining && now < e->drain_at) {
        if (e->drain_at < e->retry_at) e->retry_at = e->drain_at;
    } else if (is_stuck(e)) {
        e->retry_at = now + RETRY_US;
    }
    uint64_t inflight = e->inflight.publishes.count + e->inflight.releases.count;
    e->stats.inflight = inflight;
    if (inflight > e->stats.inflight_peak) e->stats.inflight_peak = inflight;
}

/* ---- the surface ---- */

static const uint8_t *segment_bytes(const tern__output *output, const tern__segment *segment)
{
    if (segment->scratch != NULL) return segment->scratch;
    return (segment->chunk != NULL ? segment->chunk->bytes : output->flying.data) + segment->offset;
}

int tern__engine_output(tern__engine *e, uint64_t now, tern__iov *iov, size_t max, size_t *count)
{
    tern__output *output = &e->output;
    *count = 0;
    if (e->phase == TERN__PHASE_CLOSED) return 0;
    stage(e, now);
    size_t skip = output->sent;
    for (uint32_t i = 0; i < output->count && *count < max; i++) {
        const tern__segment *segment = segment_at(output, i);
        iov[(*count)++] = (tern__iov){(void *)(uintptr_t)(segment_bytes(output, segment) + skip), segment->len - skip};
        skip = 0;
    }
    return 0;
}

bool tern__engine_wants_output(tern__engine *e)
{
    if (e->phase == TERN__PHASE_CLOSED) return false;
    return e->output.count != 0 || e->output.control.len != 0;
}

/* CONNECT has the password in it. */
static void wipe(tern__buf *buf)
{
    if (buf->len != 0) tern__cleanse(buf->data, buf->len);
    tern__buf_clear(buf);
}

/* An entry's last byte went out. One that was redelivered may have been answered meanwhile: then nothing happens. */
static void entry_sent(tern__engine *e, tern__chunk *chunk, uint32_t index)
{
    tern__entry *entry = tern__chunk_entry(chunk, index);
    if (entry->state == TERN__ENTRY_STAGED && entry->qos != 0) entry->state = TERN__ENTRY_SENT;
    if (entry->state == TERN__ENTRY_STAGED) tern__outcome_tell(e, chunk, index, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1);
    tern__outbox_unstage(&e->outbox, chunk, 1); /* last: the chunk may go with it */
}

/* Plain messages at the start of a run are out: all at once, or one by one where memory for that ran out. */
static void plain_sent(tern__engine *e, tern__segment *segment, uint32_t count, size_t len)
{
    tern__chunk *chunk = segment->chunk;
    uint32_t index = segment->index;
    segment->index += count;
    segment->count -= count;
    if (tern__outcome_tell_sent(e, chunk, index, count, len)) {
        tern__outbox_unstage(&e->outbox, chunk, count); /* last: the chunk may go with it */
        return;
    }
    for (uint32_t i = index; i < index + count; i++) {
        tern__chunk_entry(chunk, i)->state = TERN__ENTRY_STAGED;
        entry_sent(e, chunk, i);
    }
}

/* Walks a run of plain packets that is out in parts. Returns the bytes of the whole ones. */
static size_t plain_run_sent(tern__engine *e, tern__segment *segment, size_t sent)
{
    size_t done = 0;
    uint32_t count = 0;
    while (count < segment->count) {
        tern__entry *entry = tern__chunk_entry(segment->chunk, segment->index + count);
        if (done + entry->len > sent) {
            if (sent > done) { /* it is no plain one any more: it may have arrived */
                entry->state = TERN__ENTRY_STAGED;
                entry->begun = 1;
            }
            break;
        }
        done += entry->len;
        count++;
    }
    if (count != 0) plain_sent(e, segment, count, done);
    return done;
}

/* Walks a run of packets up to `sent` bytes of it; whole ones leave the segment. Returns the bytes of those. */
static size_t run_sent(tern__engine *e, tern__segment *segment, size_t sent)
{
    if (segment->plain && sent < segment->len) return plain_run_sent(e, segment, sent);
    if (segment->plain) {
        plain_sent(e, segment, segment->count, segment->len);
        return sent;
    }
    size_t done = 0;
    while (segment->count != 0) {
        tern__entry *entry = tern__chunk_entry(segment->chunk, segment->index);
        size_t len = segment->scratch != NULL ? segment->len : entry->len;
        if (done + len > sent) {
            if (sent > done) entry->begun = 1;
            break;
        }
        done += len;
        segment->count--;
        entry_sent(e, segment->chunk, segment->index++);
    }
    return done;
}

void tern__engine_sent(tern__engine *e, size_t n, uint64_t now)
{
    tern__output *output = &e->output;
    if (n != 0) tern__keepalive_sent(&e->keepalive, now);
    e->stats.bytes_sent += n;
    size_t left = output->sent + n;
    while (output->count != 0) {
        tern__segment *segment = segment_at(output, 0);
        bool whole = left >= segment->len;
        size_t len = segment->len;
        if (segment->chunk != NULL) {
            size_t done = run_sent(e, segment, whole ? len : left);
            if (!whole) {
                segment->offset += done;
                segment->len -= done;
                output->staged -= done;
                left -= done;
            }
        } else if (whole) {
            if (e->phase == TERN__PHASE_GREETING) wipe(&output->flying);
            tern__buf_clear(&output->flying);
            if (e->keepalive.place == TERN__PING_STAGED) e->keepalive.place = TERN__PING_OUT;
        }
        if (!whole) break;
        tern__free(segment->scratch);
        output->first = (output->first + 1) & (output->cap - 1);
        output->count--;
        output->staged -= len;
        left -= len;
    }
    output->sent = output->count != 0 ? left : 0;
    if (!tern__list_empty(&e->outbox.sparse)) tern__compaction_run(e);
}

/* An entry that did not go out whole goes back; a packet that was begun may have arrived. */
static void entry_lost(tern__engine *e, tern__chunk *chunk, uint32_t index)
{
    tern__entry *entry = tern__chunk_entry(chunk, index);
    if (entry->state == TERN__ENTRY_WAITING) { /* a plain one */
        tern__outbox_rewind(&e->outbox, chunk, index);
        return;
    }
    if (entry->state != TERN__ENTRY_STAGED) return; /* a redelivery: it is as it was */
    if (entry->begun && entry->qos != 0) {
        entry->state = TERN__ENTRY_SENT;
    } else if (entry->begun) {
        tern__outcome_tell(e, chunk, index, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CONNECTION_LOST, -1);
    } else {
        if (entry->qos != 0) tern__inflight_close(&e->inflight, tern__inflight_find(&e->inflight, entry->packet_id));
        entry->state = TERN__ENTRY_WAITING;
        entry->packet_id = 0;
        if (entry->unit) tern__unit_return(chunk, index);
        tern__outbox_rewind(&e->outbox, chunk, index);
    }
}

static void segment_lost(tern__engine *e, tern__segment *segment)
{
    while (segment->count != 0) {
        segment->count--;
        entry_lost(e, segment->chunk, segment->index++);
        tern__outbox_unstage(&e->outbox, segment->chunk, 1);
    }
}

void tern__output_reset(tern__engine *e)
{
    tern__output *output = &e->output;
    for (uint32_t i = 0; i < output->count; i++) {
        tern__segment *segment = segment_at(output, i);
        if (segment->chunk != NULL && segment->count != 0) segment_lost(e, segment);
        tern__free(segment->scratch);
    }
    output->count = output->first = 0;
    output->sent = output->staged = output->acks = 0;
    wipe(&output->control);
    wipe(&output->flying);
}
