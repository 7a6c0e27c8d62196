/* Outcomes: how messages ended, told to completions or gathered into ranges. Nothing is ever lost for want of memory: an entry
 * that could not be told stays in the outbox with its outcome until it can.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "engine/machine.h"

static bool grow(tern__outcomes *outcomes)
{
    uint32_t cap = outcomes->cap != 0 ? outcomes->cap * 2 : 4;
    tern__range *ranges = tern__malloc(cap * sizeof *ranges);
    if (ranges == NULL) return false;
    for (uint32_t i = 0; i < outcomes->count; i++)
        ranges[i] = outcomes->ranges[(outcomes->first + i) & (outcomes->cap - 1)];
    tern__free(outcomes->ranges);
    outcomes->ranges = ranges;
    outcomes->cap = cap;
    outcomes->first = 0;
    return true;
}

/* The messages id..end ended alike. */
static bool add_range(tern__outcomes *outcomes, uint64_t id, uint64_t end, tern_outcome outcome, tern_cause cause,
                      int reason)
{
    if (outcomes->count != 0) {
        tern__range *last = &outcomes->ranges[(outcomes->first + outcomes->count - 1) & (outcomes->cap - 1)];
        if (last->last + 1 == id && last->outcome == outcome && last->cause == cause && last->reason == reason) {
            last->last = end;
            return true;
        }
    }
    if (outcomes->count == outcomes->cap && !grow(outcomes)) return false;
    outcomes->ranges[(outcomes->first + outcomes->count++) & (outcomes->cap - 1)] =
        (tern__range){id, end, outcome, cause, reason};
    return true;
}

/* An untold entry keeps its outcome in the place of its expiry. */
static uint64_t pack(tern_outcome outcome, tern_cause cause, int reason)
{
    return (uint64_t)outcome | (uint64_t)cause << 8 | (uint64_t)(uint16_t)(reason + 1) << 16;
}

void tern__outcome_tell(tern__engine *e, tern__chunk *chunk, uint32_t index, tern_outcome outcome, tern_cause cause,
                        int reason)
{
    tern__entry *entry = tern__chunk_entry(chunk, index);
    tern__completion *completion = entry->completion;
    e->stats.outcomes[outcome]++;
    if (completion != NULL) {
        completion->outcome = outcome;
        completion->cause = cause;
        completion->reason = reason;
        tern__list_append(&e->outcomes.completions, &completion->link);
    } else if (!entry->silent && !add_range(&e->outcomes, chunk->first_id + index, chunk->first_id + index, outcome, cause, reason)) {
        entry->state = TERN__ENTRY_UNTOLD;
        entry->expires_us = pack(outcome, cause, reason);
        e->outbox.untold++;
        return;
    }
    tern__outbox_done(&e->outbox, chunk, index);
}

void tern__outcome_tell_unsent(tern__engine *e, tern__chunk *chunk, uint32_t index, tern_cause cause)
{
    bool left = tern__chunk_entry(chunk, index)->left;
    tern_cause doubt = cause == TERN_CAUSE_CLOSED ? TERN_CAUSE_CLOSED : TERN_CAUSE_SESSION_LOST;
    tern__outcome_tell(e, chunk, index, left ? TERN_OUTCOME_UNKNOWN : TERN_OUTCOME_NOT_SENT, left ? doubt : cause, -1);
}

bool tern__outcome_tell_sent(tern__engine *e, tern__chunk *chunk, uint32_t index, uint32_t count, size_t bytes)
{
    uint64_t first = chunk->first_id + index;
    if (!add_range(&e->outcomes, first, first + count - 1, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1)) return false;
    e->stats.outcomes[TERN_OUTCOME_SENT] += count;
    tern__outbox_done_run(&e->outbox, chunk, index, count, bytes);
    return true;
}

/* Tells what could not be told before. */
static void tell_untold(tern__engine *e)
{
    tern__outbox *outbox = &e->outbox;
    tern__list *link = outbox->chunks.next;
    while (link != &outbox->chunks && outbox->untold != 0) {
        tern__chunk *chunk = TERN__CONTAINER(link, tern__chunk, link);
        link = link->next; /* the chunk may go */
        uint32_t taken = chunk->taken;
        for (uint32_t i = 0; i < taken; i++) {
            tern__entry *entry = tern__chunk_entry(chunk, i);
            if (entry->state != TERN__ENTRY_UNTOLD) continue;
            uint64_t packed = entry->expires_us;
            if (!add_range(&e->outcomes, chunk->first_id + i, chunk->first_id + i, (tern_outcome)(packed & 0xFF),
                           (tern_cause)(packed >> 8 & 0xFF), (int)(packed >> 16) - 1))
                return;
            outbox->untold--;
            bool last = chunk->live == 1;
            tern__outbox_done(outbox, chunk, i);
            if (last) break;
        }
    }
}

tern__completion *tern__engine_next_completion(tern__engine *e)
{
    tern__list *link = tern__list_shift(&e->outcomes.completions);
    return link != NULL ? TERN__CONTAINER(link, tern__completion, link) : NULL;
}

bool tern__engine_next_range(tern__engine *e, tern__range *range)
{
    tern__outcomes *outcomes = &e->outcomes;
    if (outcomes->count == 0 && e->outbox.untold != 0) tell_untold(e);
    if (outcomes->count == 0) return false;
    *range = outcomes->ranges[outcomes->first];
    outcomes->first = (outcomes->first + 1) & (outcomes->cap - 1);
    outcomes->count--;
    return true;
}
