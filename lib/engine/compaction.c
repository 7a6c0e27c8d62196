/* Compaction: chunks of which little is still needed are replaced by small ones. A late acknowledgement then pins its own
 * message, not its neighbours' room. [C10]
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "engine/machine.h"

/* So many records that are DONE go along between live ones: fewer than a chunk of its own would cost. */
enum { GAP = 4 };

static bool is_live(tern__chunk *chunk, uint32_t index)
{
    return tern__chunk_entry(chunk, index)->state != TERN__ENTRY_DONE;
}

/* The end of the group of entries that starts with the live one at `first`. */
static uint32_t group_end(tern__chunk *chunk, uint32_t first)
{
    uint32_t end = first + 1;
    for (uint32_t i = end; i < chunk->taken && i - end < GAP; i++)
        if (is_live(chunk, i)) end = i + 1;
    return end;
}

static tern__chunk *copy_group(tern__chunk *from, uint32_t first, uint32_t end)
{
    size_t bytes = 0;
    for (uint32_t i = first; i < end; i++) {
        const tern__entry *entry = tern__chunk_entry(from, i);
        if (is_live(from, i) && !entry->freed) bytes += entry->len;
    }
    tern__chunk *to = tern__chunk_new(bytes + (end - first) * sizeof(tern__entry));
    if (to == NULL) return NULL;
    to->first_id = from->first_id + first;
    to->count = to->taken = to->special = to->plain_from = end - first;
    to->earliest = from->earliest;
    to->sealed = true;
    for (uint32_t i = first; i < end; i++) {
        const tern__entry *entry = tern__chunk_entry(from, i);
        tern__entry *copy = tern__chunk_entry(to, i - first);
        *copy = *entry;
        if (!is_live(from, i)) continue;
        to->live++;
        if (entry->freed) continue;
        memcpy(to->bytes + to->len, from->bytes + entry->offset, entry->len);
        copy->offset = to->len;
        to->len += entry->len;
    }
    tern__chunk_entry(to, end - 1 - first)->unit = 0; /* the rest of its unit, if any, is over */
    to->live_bytes = to->taken_len = to->len;
    return to;
}

/* The live entries in chunks of their own; false where memory ran out. */
static bool copy_live(tern__chunk *from, tern__list *fresh)
{
    for (uint32_t i = from->first_live; i < from->taken; i++) {
        if (!is_live(from, i)) continue;
        uint32_t end = group_end(from, i);
        tern__chunk *group = copy_group(from, i, end);
        if (group == NULL) return false;
        tern__list_append(fresh, &group->link);
        i = end - 1;
    }
    return true;
}

/* Those in flight are known by their packet ids. */
static void move_slots(tern__engine *e, tern__chunk *to)
{
    for (uint32_t i = 0; i < to->taken; i++) {
        const tern__entry *entry = tern__chunk_entry(to, i);
        if (entry->state != TERN__ENTRY_SENT && entry->state != TERN__ENTRY_RELEASED) continue;
        tern__slot *slot = tern__inflight_find(&e->inflight, entry->packet_id);
        if (slot == NULL) continue; /* given up already: the table of a closing engine is empty */
        slot->of.chunk = to;
        slot->index = i;
    }
}

/* False where memory ran out: the chunk stays as it is. */
static bool compact(tern__engine *e, tern__chunk *chunk)
{
    tern__list fresh;
    tern__list_init(&fresh);
    bool copied = copy_live(chunk, &fresh);
    if (copied) {
        for (tern__list *link = fresh.next; link != &fresh; link = link->next)
            move_slots(e, TERN__CONTAINER(link, tern__chunk, link));
        tern__outbox_replace(&e->outbox, chunk, &fresh);
    }
    tern__list *link;
    while ((link = tern__list_shift(&fresh)) != NULL) tern__free(TERN__CONTAINER(link, tern__chunk, link));
    return copied;
}

void tern__compaction_run(tern__engine *e)
{
    tern__list later;
    tern__list_init(&later);
    tern__list *link;
    while ((link = tern__list_shift(&e->outbox.sparse)) != NULL) {
        tern__chunk *chunk = TERN__CONTAINER(link, tern__chunk, sparse);
        /* What the output points at stays put until it is out; without memory the next end tries again. */
        if (chunk->staged != 0) tern__list_append(&later, link);
        else if (!compact(e, chunk)) break;
    }
    tern__list_splice(&e->outbox.sparse, &later);
}
