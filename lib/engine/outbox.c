/* The outbox: one ordered log of first transmissions.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/outbox.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "codec/publish.h"
#include "engine/chunk.h"

enum { FIRST_CHUNK = 2 << 10, LARGEST_CHUNK = 64 << 10 };

void tern__outbox_init(tern__outbox *outbox, size_t max_bytes, size_t max_count, tern_outbox_policy policy)
{
    memset(outbox, 0, sizeof *outbox);
    tern__list_init(&outbox->fresh);
    tern__list_init(&outbox->chunks);
    tern__list_init(&outbox->sparse);
    outbox->earliest = UINT64_MAX;
    outbox->next_id = 1;
    outbox->max_bytes = max_bytes;
    outbox->max_count = max_count;
    outbox->policy = policy;
    outbox->next_cap = FIRST_CHUNK;
    outbox->form = outbox->wanted_form = TERN__V5;
}

static void free_chunks(tern__list *list)
{
    tern__list *link;
    while ((link = tern__list_shift(list)) != NULL) tern__free(TERN__CONTAINER(link, tern__chunk, link));
}

void tern__outbox_deinit(tern__outbox *outbox)
{
    free_chunks(&outbox->chunks);
    free_chunks(&outbox->fresh);
}

/* ---- the producer's half ---- */

tern__chunk *tern__chunk_new(size_t cap)
{
    cap = (cap + 7) & ~(size_t)7;
    if (cap > UINT32_MAX) return NULL;
    tern__chunk *chunk = tern__malloc(sizeof *chunk + cap);
    if (chunk == NULL) return NULL;
    memset(chunk, 0, sizeof *chunk);
    tern__list_init(&chunk->link);
    tern__list_init(&chunk->sparse);
    chunk->earliest = UINT64_MAX;
    chunk->cap = (uint32_t)cap;
    return chunk;
}

/* A new tail with room for `need` bytes, a record included. */
static TERN__COLD tern__chunk *roll_locked(tern__outbox *outbox, size_t need)
{
    tern__chunk *chunk = tern__chunk_new(need > outbox->next_cap ? need : outbox->next_cap);
    if (chunk == NULL) return NULL;
    if (outbox->next_cap < LARGEST_CHUNK) outbox->next_cap *= 2;
    chunk->first_id = outbox->next_id;
    tern__list_append(&outbox->fresh, &chunk->link);
    outbox->tail = chunk;
    outbox->room = chunk->cap;
    return chunk;
}

static inline bool is_beyond(const tern__outbox *outbox, size_t cost, size_t count)
{
    return cost > outbox->max_bytes - outbox->bytes || outbox->bytes > outbox->max_bytes ||
           (outbox->max_count != 0 && outbox->count + count > outbox->max_count);
}

/* What does not fit: 0 where it is taken nevertheless, TERN__OUTBOX_OVER where the engine must make room for it,
 * TERN_E_OUTBOX_FULL. Policies that drop let the bound be passed by a message, or by some, until the engine has looked. */
static TERN__COLD int judge_locked(tern__outbox *outbox, size_t cost, size_t count)
{
    enum { SHARE = 8, SOME = 64 };
    if (outbox->count == 0) return 0;
    if (outbox->policy != TERN_OUTBOX_DROP_OLDEST && outbox->policy != TERN_OUTBOX_DROP_NEWEST) return TERN_E_OUTBOX_FULL;
    size_t bytes = outbox->max_bytes / SHARE;
    size_t some = outbox->max_count / SHARE > SOME ? outbox->max_count / SHARE : SOME;
    bool within = outbox->bytes <= outbox->max_bytes && (outbox->max_count == 0 || outbox->count <= outbox->max_count);
    bool near = outbox->bytes + cost <= outbox->max_bytes + bytes &&
                (outbox->max_count == 0 || outbox->count + count <= outbox->max_count + some);
    return within || near || outbox->let_in ? TERN__OUTBOX_OVER : TERN_E_OUTBOX_FULL;
}

void tern__outbox_let_in_locked(tern__outbox *outbox, bool let)
{
    outbox->let_in = let;
}

/* All in one look. */
static inline bool is_plain(const tern__submission *submission)
{
    const tern__publish_packet *publish = &submission->publish;
    return (publish->qos | publish->retain | submission->silent | (uintptr_t)submission->completion |
            submission->expires_us | submission->props.len) == 0;
}

static void note_special(tern__chunk *chunk, tern__entry *entry, const tern__submission *submission)
{
    chunk->special = chunk->count;
    entry->retain = submission->publish.retain;
    entry->has_props = submission->props.len != 0;
    entry->lose = submission->lose_properties;
    entry->silent = submission->silent;
    if (submission->expires_us != 0 && submission->expires_us < chunk->earliest) chunk->earliest = submission->expires_us;
    if (submission->completion != NULL) submission->completion->id = chunk->first_id + chunk->count - 1;
}

/* While 3.1.1 is spoken too, another server may be able to carry properties: the form of 5 keeps them. */
static inline int form_of(const tern__outbox *outbox, const tern__props *props)
{
    return props->len != 0 ? TERN__V5 : outbox->form;
}

/* Writes a message that was let in. Built three times: what is constant of a bare message costs nothing there. */
static TERN__INLINED int put(tern__outbox *outbox, const tern__submission *submission, const tern__publish_packet *publish,
                             const tern__props *props, const tern__publish_layout *layout, bool bare, uint64_t *id)
{
    size_t cost = layout->len + sizeof(tern__entry);
    tern__chunk *chunk = outbox->tail;
    if (cost > outbox->room) {
        chunk = roll_locked(outbox, cost);
        if (chunk == NULL) return TERN_E_NOMEM;
    }
    int form = form_of(outbox, props);
    uint32_t offset = chunk->len;
    tern__entry *entry = tern__chunk_entry(chunk, chunk->count);
    *entry = (tern__entry){
        .completion = bare ? NULL : submission->completion,
        .expires_us = bare ? 0 : submission->expires_us,
        .offset = offset,
        .len = (uint32_t)layout->len,
        .qos = publish->qos,
        .form = (uint8_t)form,
    };
    tern__publish_write(publish, props, form, layout, chunk->bytes + offset);
    chunk->len = offset + (uint32_t)layout->len;
    chunk->count++;
    if (bare && publish->qos != 0) chunk->special = chunk->count;
    if (!bare && !is_plain(submission)) note_special(chunk, entry, submission);
    outbox->room -= cost;
    outbox->bytes += cost;
    outbox->count++;
    outbox->unsynced += layout->len;
    *id = outbox->next_id++;
    return 0;
}

static TERN__INLINED int append(tern__outbox *outbox, const tern__submission *submission, const tern__publish_packet *publish,
                                const tern__props *props, bool bare, uint64_t *id)
{
    tern__publish_layout layout;
    tern__publish_measure(publish, props, form_of(outbox, props), &layout);
    if (layout.len == 0) return TERN_E_TOO_LARGE;
    int over = 0;
    size_t cost = layout.len + sizeof(tern__entry);
    if (is_beyond(outbox, cost, 1)) {
        over = judge_locked(outbox, cost, 1);
        if (over < 0) return over;
    }
    int rc = put(outbox, submission, publish, props, &layout, bare, id);
    return rc != 0 ? rc : over;
}

int tern__outbox_append_locked(tern__outbox *outbox, const tern__submission *submission, uint64_t *id)
{
    if (!submission->bare) return append(outbox, submission, &submission->publish, &submission->props, false, id);
    const tern__props none = {0};
    tern__publish_packet publish = {.topic = submission->publish.topic, .payload = submission->publish.payload};
    if (submission->publish.qos == 0) return append(outbox, submission, &publish, &none, true, id);
    publish.qos = submission->publish.qos;
    return append(outbox, submission, &publish, &none, true, id);
}

int tern__outbox_append_unit_locked(tern__outbox *outbox, const tern__submission *submissions, size_t count, uint64_t *id)
{
    tern__publish_layout layouts[TERN__UNIT_MAX];
    size_t need = 0;
    assert(count >= 1 && count <= TERN__UNIT_MAX && "checked at the wall");
    for (size_t i = 0; i < count; i++) {
        const tern__submission *one = &submissions[i];
        tern__publish_measure(&one->publish, &one->props, form_of(outbox, &one->props), &layouts[i]);
        if (layouts[i].len == 0) return TERN_E_TOO_LARGE;
        need += layouts[i].len + sizeof(tern__entry);
    }
    int over = is_beyond(outbox, need, count) ? judge_locked(outbox, need, count) : 0;
    if (over < 0) return over;
    if (need > outbox->room && roll_locked(outbox, need) == NULL) return TERN_E_NOMEM; /* one chunk holds them all */
    for (size_t i = 0; i < count; i++) {
        const tern__submission *one = &submissions[i];
        int rc = put(outbox, one, &one->publish, &one->props, &layouts[i], false, id);
        assert(rc == 0 && "there is room");
        (void)rc;
        tern__chunk *chunk = outbox->tail;
        chunk->special = chunk->count; /* also one that looks plain is looked at */
        tern__chunk_entry(chunk, chunk->count - 1)->unit = i + 1 < count;
    }
    return over;
}

size_t tern__outbox_unsynced_bytes_locked(const tern__outbox *outbox)
{
    return outbox->unsynced;
}

size_t tern__outbox_bytes_locked(const tern__outbox *outbox)
{
    return outbox->bytes;
}

size_t tern__outbox_count_locked(const tern__outbox *outbox)
{
    return outbox->count;
}

size_t tern__outbox_bytes_peak_locked(const tern__outbox *outbox)
{
    return outbox->bytes > outbox->bytes_peak ? outbox->bytes : outbox->bytes_peak;
}

size_t tern__outbox_count_peak_locked(const tern__outbox *outbox)
{
    return outbox->count > outbox->count_peak ? outbox->count : outbox->count_peak;
}

uint64_t tern__outbox_last_id_locked(const tern__outbox *outbox)
{
    return outbox->next_id - 1;
}

/* ---- where the halves meet ---- */

static tern__chunk *last_chunk(tern__outbox *outbox)
{
    return tern__list_empty(&outbox->chunks) ? NULL : TERN__CONTAINER(outbox->chunks.prev, tern__chunk, link);
}

static tern__chunk *following(tern__outbox *outbox, tern__chunk *chunk)
{
    return chunk->link.next == &outbox->chunks ? NULL : TERN__CONTAINER(chunk->link.next, tern__chunk, link);
}

static void drop_chunk(tern__outbox *outbox, tern__chunk *chunk)
{
    if (outbox->cursor == chunk) {
        outbox->cursor = following(outbox, chunk);
        outbox->cursor_index = 0;
    }
    tern__list_remove(&chunk->link);
    tern__list_remove(&chunk->sparse);
    tern__free(chunk);
}

/* What a chunk holds should be in use by half at least: a late acknowledgement pins no more than its message. [C10] */
static void note_sparse(tern__outbox *outbox, tern__chunk *chunk)
{
    size_t used = chunk->live_bytes + chunk->live * sizeof(tern__entry);
    if (chunk->sealed && chunk->live != 0 && chunk->cap > FIRST_CHUNK && used * 2 < chunk->cap &&
        tern__list_empty(&chunk->sparse))
        tern__list_append(&outbox->sparse, &chunk->sparse);
}

/* The engine learns what the chunk holds by now. */
static void take_over(tern__outbox *outbox, tern__chunk *chunk)
{
    uint32_t more = chunk->count - chunk->taken;
    chunk->taken = chunk->count;
    chunk->live += more;
    chunk->live_bytes += chunk->len - chunk->taken_len;
    chunk->taken_len = chunk->len;
    chunk->plain_from = chunk->special > chunk->hole ? chunk->special : chunk->hole;
    if (chunk->earliest < outbox->earliest) outbox->earliest = chunk->earliest;
    chunk->sealed = chunk != outbox->tail;
    outbox->open += more;
    if (more != 0) outbox->taken_id = chunk->first_id + chunk->count - 1;
    note_sparse(outbox, chunk);
    if (more != 0 && outbox->cursor == NULL) {
        outbox->cursor = chunk;
        outbox->cursor_index = chunk->taken - more;
    }
}

/* An empty tail starts over, or goes where the client is idle. */
static void reuse_tail(tern__outbox *outbox)
{
    tern__chunk *tail = outbox->tail;
    if (tail == NULL || tail->live != 0 || tail->taken != tail->count || tail->staged != 0) return;
    if (outbox->trim) {
        outbox->tail = NULL;
        outbox->room = 0;
        drop_chunk(outbox, tail);
        outbox->next_cap = FIRST_CHUNK;
        return;
    }
    if (outbox->cursor == tail) outbox->cursor = NULL;
    tail->first_id = outbox->next_id;
    tail->len = tail->count = tail->special = tail->taken = tail->taken_len = tail->plain_from = tail->first_live = tail->hole = 0;
    tail->earliest = UINT64_MAX;
    outbox->room = tail->cap;
}

bool tern__outbox_sync_locked(tern__outbox *outbox)
{
    if (outbox->form != outbox->wanted_form) {
        outbox->form = outbox->wanted_form;
        outbox->room = 0; /* a chunk's plain entries are of one form */
    }
    if (outbox->unsynced != 0 || !tern__list_empty(&outbox->fresh)) {
        tern__chunk *last = last_chunk(outbox);
        if (last != NULL && !last->sealed) {
            take_over(outbox, last);
            if (last->sealed && last->live == 0 && last->staged == 0) drop_chunk(outbox, last);
        }
        tern__list *link;
        while ((link = tern__list_shift(&outbox->fresh)) != NULL) {
            tern__list_append(&outbox->chunks, link);
            take_over(outbox, TERN__CONTAINER(link, tern__chunk, link));
        }
        outbox->unsynced = 0;
    }
    reuse_tail(outbox);
    outbox->trim = false;
    bool freed = outbox->freed_bytes != 0 || outbox->freed_count != 0;
    if (freed) {
        outbox->bytes_peak = tern__outbox_bytes_peak_locked(outbox); /* only here it falls */
        outbox->count_peak = tern__outbox_count_peak_locked(outbox);
        outbox->bytes -= outbox->freed_bytes;
        outbox->count -= outbox->freed_count;
        outbox->freed_bytes = outbox->freed_count = 0;
    }
    outbox->held_bytes = outbox->bytes;
    outbox->held_count = outbox->count;
    if (!is_beyond(outbox, 0, 0)) outbox->judged_id = outbox->taken_id;
    return freed;
}

/* ---- the engine's half ---- */

/* Moves the cursor to the next entry that waits. */
static void settle_cursor(tern__outbox *outbox)
{
    while (outbox->cursor != NULL) {
        tern__chunk *chunk = outbox->cursor;
        for (; outbox->cursor_index < chunk->taken; outbox->cursor_index++)
            if (tern__chunk_entry(chunk, outbox->cursor_index)->state == TERN__ENTRY_WAITING) return;
        outbox->cursor = following(outbox, chunk);
        outbox->cursor_index = 0;
    }
}

tern__entry *tern__outbox_next(tern__outbox *outbox, tern__chunk **chunk, uint32_t *index)
{
    settle_cursor(outbox);
    if (outbox->cursor == NULL) return NULL;
    *chunk = outbox->cursor;
    *index = outbox->cursor_index;
    return tern__chunk_entry(*chunk, *index);
}

void tern__outbox_advance(tern__outbox *outbox, uint32_t count)
{
    outbox->cursor_index += count;
}

void tern__outbox_rewind(tern__outbox *outbox, tern__chunk *chunk, uint32_t index)
{
    uint64_t id = chunk->first_id + index;
    if (outbox->cursor != NULL && outbox->cursor->first_id + outbox->cursor_index <= id) return;
    outbox->cursor = chunk;
    outbox->cursor_index = index;
}

void tern__outbox_release_bytes(tern__outbox *outbox, tern__chunk *chunk, tern__entry *entry)
{
    if (entry->freed) return;
    entry->freed = 1;
    outbox->freed_bytes += entry->len;
    chunk->live_bytes -= entry->len;
    note_sparse(outbox, chunk);
}

void tern__outbox_unstage(tern__outbox *outbox, tern__chunk *chunk, uint32_t count)
{
    chunk->staged -= count;
    if (chunk->live == 0 && chunk->sealed && chunk->staged == 0) drop_chunk(outbox, chunk);
}

void tern__outbox_done(tern__outbox *outbox, tern__chunk *chunk, uint32_t index)
{
    tern__entry *entry = tern__chunk_entry(chunk, index);
    assert(entry->state != TERN__ENTRY_DONE && "an entry ends once");
    entry->state = TERN__ENTRY_DONE;
    uint32_t bytes = entry->freed ? 0 : entry->len;
    outbox->freed_bytes += bytes + sizeof *entry;
    outbox->freed_count++;
    outbox->open--;
    chunk->live--;
    chunk->live_bytes -= bytes;
    if (chunk->live == 0 && chunk->sealed && chunk->staged == 0) {
        drop_chunk(outbox, chunk);
    } else {
        note_sparse(outbox, chunk);
    }
}

void tern__outbox_done_run(tern__outbox *outbox, tern__chunk *chunk, uint32_t index, uint32_t count, size_t bytes)
{
    assert(chunk->staged >= count && "the output still points at them");
    for (uint32_t i = 0; i < count; i++) tern__chunk_entry(chunk, index + i)->state = TERN__ENTRY_DONE;
    outbox->freed_bytes += bytes + count * sizeof(tern__entry);
    outbox->freed_count += count;
    outbox->open -= count;
    chunk->live -= count;
    chunk->live_bytes -= (uint32_t)bytes;
    note_sparse(outbox, chunk);
}

void tern__outbox_replace(tern__outbox *outbox, tern__chunk *chunk, tern__list *fresh)
{
    bool at_cursor = outbox->cursor == chunk;
    uint64_t cursor_id = chunk->first_id + outbox->cursor_index;
    for (tern__list *link = fresh->next; at_cursor && link != fresh; link = link->next) {
        tern__chunk *part = TERN__CONTAINER(link, tern__chunk, link);
        if (part->first_id + part->taken <= cursor_id) continue;
        outbox->cursor = part;
        outbox->cursor_index = cursor_id > part->first_id ? (uint32_t)(cursor_id - part->first_id) : 0;
        at_cursor = false;
    }
    tern__list_splice(&chunk->link, fresh); /* before it */
    drop_chunk(outbox, chunk);
}

uint64_t tern__outbox_settled(tern__outbox *outbox)
{
    for (tern__list *link = outbox->chunks.next; link != &outbox->chunks; link = link->next) {
        tern__chunk *chunk = TERN__CONTAINER(link, tern__chunk, link);
        while (chunk->first_live < chunk->taken &&
               tern__chunk_entry(chunk, chunk->first_live)->state == TERN__ENTRY_DONE)
            chunk->first_live++;
        if (chunk->first_live < chunk->taken) return chunk->first_id + chunk->first_live - 1;
    }
    return outbox->taken_id;
}
