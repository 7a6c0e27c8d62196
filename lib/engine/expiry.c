/* Expiry: messages that wait too long end in time, also where nothing can be sent.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/machine.h"

/* How long after one look the next may come: many messages that expire one after the other cost few looks. */
enum { PATIENCE_US = 100000 };

/* Ends what expired in the chunk, which may go with it. Its next expiry is noted. */
static void expire_in(tern__engine *e, tern__chunk *chunk, uint64_t now)
{
    uint32_t taken = chunk->taken;
    uint32_t live = chunk->live;
    chunk->earliest = UINT64_MAX;
    for (uint32_t i = chunk->first_live; i < taken && live != 0; i++) {
        tern__entry *entry = tern__chunk_entry(chunk, i);
        if (entry->state == TERN__ENTRY_DONE) continue;
        live--; /* with the last one the chunk may go */
        bool unsent = entry->state == TERN__ENTRY_WAITING || entry->state == TERN__ENTRY_STAGED;
        if (!unsent || entry->expires_us == 0 || entry->left || entry->bound) continue;
        if (entry->expires_us <= now && entry->state == TERN__ENTRY_WAITING) {
            uint32_t first = tern__unit_first(chunk, i);
            uint32_t count = tern__unit_count(chunk, first);
            live -= first + count - 1 - i; /* of a unit; those before this one were counted */
            tern__unit_tell_unsent(e, chunk, first, count, TERN_CAUSE_EXPIRED);
            i = first + count - 1;
        } else if (entry->expires_us < chunk->earliest) {
            chunk->earliest = entry->expires_us;
        }
    }
}

void tern__expiry_run(tern__engine *e, uint64_t now)
{
    tern__outbox *outbox = &e->outbox;
    if (now < outbox->earliest) return;
    uint64_t earliest = UINT64_MAX;
    tern__list *link = outbox->chunks.next;
    while (link != &outbox->chunks) {
        tern__chunk *chunk = TERN__CONTAINER(link, tern__chunk, link);
        tern__list *previous = link->prev;
        if (chunk->earliest <= now) expire_in(e, chunk, now);
        bool gone = previous->next != link;
        if (!gone && chunk->earliest < earliest) earliest = chunk->earliest;
        link = gone ? previous->next : link->next;
    }
    if (earliest < now + PATIENCE_US) earliest = now + PATIENCE_US;
    outbox->earliest = earliest;
}
