/* Overflow: under the policies that drop, what the outbox took beyond its bound goes here.
 *
 * Publishers cannot drop what the engine has taken over, so they take the message and the engine drops, right after the sync that
 * showed the excess. Messages that are in flight, or were once, stay: their end is not NOT_SENT.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/machine.h"

bool tern__engine_overflows(const tern__engine *e)
{
    const struct tern__outbox *outbox = &e->outbox;
    if (outbox->policy != TERN_OUTBOX_DROP_OLDEST && outbox->policy != TERN_OUTBOX_DROP_NEWEST) return false;
    return outbox->held_bytes > outbox->max_bytes || (outbox->max_count != 0 && outbox->held_count > outbox->max_count);
}

/* A unit, or a message alone, and what it holds. */
typedef struct piece {
    uint32_t first;
    uint32_t count;
    size_t bytes;
} piece;

static piece piece_at(tern__chunk *chunk, uint32_t index)
{
    piece it = {index, tern__unit_count(chunk, index), 0};
    for (uint32_t i = 0; i < it.count; i++) it.bytes += tern__chunk_entry(chunk, index + i)->len + sizeof(tern__entry);
    return it;
}

/* The chunk may be gone afterwards. */
static void drop(tern__engine *e, tern__chunk *chunk, const piece *it)
{
    uint32_t end = it->first + it->count;
    if (chunk->hole < end) chunk->hole = end;
    if (chunk->plain_from < end) chunk->plain_from = end;
    e->stats.dropped += it->count;
    e->outbox.held_bytes -= it->bytes;
    e->outbox.held_count -= it->count;
    tern__unit_tell_unsent(e, chunk, it->first, it->count, TERN_CAUSE_DROPPED);
}

/* The chunk that comes behind `chunk`, NULL at the end. */
static tern__chunk *next_chunk(const struct tern__outbox *outbox, const tern__chunk *chunk)
{
    return chunk->link.next == &outbox->chunks ? NULL : TERN__CONTAINER(chunk->link.next, tern__chunk, link);
}

/* What was never sent, and is not about to be. */
static bool may_drop(const tern__entry *entry)
{
    return entry->state == TERN__ENTRY_WAITING && !entry->left && !entry->bound;
}

/* Drops from the cursor on until the rest fits, or is one alone. */
static void drop_oldest(tern__engine *e)
{
    tern__chunk *chunk;
    uint32_t index;
    if (tern__outbox_next(&e->outbox, &chunk, &index) == NULL) return;
    while (chunk != NULL) {
        tern__chunk *next = next_chunk(&e->outbox, chunk);
        uint32_t taken = chunk->taken;
        uint32_t live = chunk->live; /* with the last one the chunk may go */
        while (index < taken && live != 0) {
            bool droppable = may_drop(tern__chunk_entry(chunk, index));
            piece it = piece_at(chunk, index);
            index += it.count;
            if (!droppable) continue;
            if (!tern__engine_overflows(e) || e->outbox.open == it.count) return;
            live -= it.count;
            drop(e, chunk, &it);
        }
        chunk = next;
        index = 0;
    }
}

/* The first message that waits and that the bound was not asked about; NULL where there is none. What is before the cursor is on
 * its way already. */
static tern__chunk *first_unjudged(tern__engine *e, uint32_t *index)
{
    struct tern__outbox *outbox = &e->outbox;
    tern__chunk *cursor;
    if (tern__outbox_next(outbox, &cursor, index) == NULL) return NULL;
    if (cursor->first_id + *index > outbox->judged_id) return cursor;
    tern__chunk *found = NULL;
    for (tern__list *link = outbox->chunks.prev; link != &outbox->chunks; link = link->prev) {
        tern__chunk *chunk = TERN__CONTAINER(link, tern__chunk, link);
        if (chunk->first_id + chunk->taken <= outbox->judged_id + 1) break;
        found = chunk;
    }
    if (found != NULL) *index = found->first_id > outbox->judged_id ? 0 : (uint32_t)(outbox->judged_id + 1 - found->first_id);
    return found;
}

/* What those hold that may be dropped. */
static piece measure(const struct tern__outbox *outbox, tern__chunk *chunk, uint32_t index)
{
    piece sum = {0, 0, 0};
    for (; chunk != NULL; chunk = next_chunk(outbox, chunk), index = 0)
        for (; index < chunk->taken; index++) {
            const tern__entry *entry = tern__chunk_entry(chunk, index);
            if (!may_drop(entry)) continue;
            sum.count++;
            sum.bytes += entry->len + sizeof *entry;
        }
    return sum;
}

/* Of the new ones, in order, each that does not fit beside what is there and those before it. */
static void drop_newest(tern__engine *e)
{
    struct tern__outbox *outbox = &e->outbox;
    uint32_t index = 0;
    tern__chunk *chunk = first_unjudged(e, &index);
    piece fresh = measure(outbox, chunk, index);
    size_t bytes = outbox->held_bytes - fresh.bytes;
    size_t count = outbox->held_count - fresh.count;
    while (chunk != NULL) {
        tern__chunk *next = next_chunk(outbox, chunk);
        uint32_t taken = chunk->taken;
        uint32_t live = chunk->live; /* with the last one the chunk may go */
        while (index < taken && live != 0) {
            bool droppable = may_drop(tern__chunk_entry(chunk, index));
            piece it = piece_at(chunk, index);
            index += it.count;
            if (!droppable) continue;
            bool fits = count == 0 || (bytes + it.bytes <= outbox->max_bytes &&
                                       (outbox->max_count == 0 || count + it.count <= outbox->max_count));
            if (fits) {
                bytes += it.bytes;
                count += it.count;
                continue;
            }
            live -= it.count;
            drop(e, chunk, &it);
        }
        chunk = next;
        index = 0;
    }
}

bool tern__engine_shed(tern__engine *e)
{
    uint64_t before = e->stats.dropped;
    if (!tern__engine_overflows(e)) return false;
    if (e->outbox.policy == TERN_OUTBOX_DROP_OLDEST) {
        drop_oldest(e);
    } else {
        drop_newest(e);
    }
    e->outbox.judged_id = e->outbox.taken_id;
    return e->stats.dropped != before;
}
