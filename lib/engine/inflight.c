/* Packet ids: which are in use, and for what. The table grows with what is open, never beyond 65,536 slots.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/machine.h"

enum { FIRST_SLOTS = 8, SLOTS_MAX = 65536 };

static tern__slot *slot_of(tern__inflight *inflight, uint16_t packet_id)
{
    return &inflight->slots[packet_id & inflight->mask];
}

tern__slot *tern__inflight_find(tern__inflight *inflight, uint16_t packet_id)
{
    if (inflight->slots == NULL) return NULL;
    tern__slot *slot = slot_of(inflight, packet_id);
    return slot->kind != TERN__SLOT_FREE && slot->packet_id == packet_id ? slot : NULL;
}

/* Twice the slots: those in use keep their ids, and no two of them meet. */
static bool grow(tern__inflight *inflight)
{
    uint32_t old = inflight->slots != NULL ? inflight->mask + 1 : 0;
    uint32_t size = old != 0 ? old * 2 : FIRST_SLOTS;
    if (size > SLOTS_MAX) return false;
    tern__slot *slots = tern__calloc(size, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < old; i++) {
        const tern__slot *slot = &inflight->slots[i];
        if (slot->kind != TERN__SLOT_FREE) slots[slot->packet_id & (size - 1)] = *slot;
    }
    tern__free(inflight->slots);
    inflight->slots = slots;
    inflight->mask = size - 1;
    return true;
}

static void link_last(tern__inflight *inflight, tern__order *order, tern__slot *slot)
{
    slot->next = 0;
    slot->prev = order->last;
    if (order->last != 0) {
        slot_of(inflight, order->last)->next = slot->packet_id;
    } else {
        order->first = slot->packet_id;
    }
    order->last = slot->packet_id;
    order->count++;
}

static void unlink_slot(tern__inflight *inflight, tern__order *order, tern__slot *slot)
{
    if (slot->prev != 0) {
        slot_of(inflight, slot->prev)->next = slot->next;
    } else {
        order->first = slot->next;
    }
    if (slot->next != 0) {
        slot_of(inflight, slot->next)->prev = slot->prev;
    } else {
        order->last = slot->prev;
    }
    order->count--;
}

tern__slot *tern__inflight_open(tern__inflight *inflight, tern__slot_kind kind, tern__order *order)
{
    /* Half of the slots stay free while the table can grow, so that a free one is near. */
    bool tight = inflight->slots == NULL || inflight->used * 2 > inflight->mask;
    if (tight && !grow(inflight) && (inflight->slots == NULL || inflight->used >= inflight->mask)) return NULL;
    uint16_t id = inflight->last_id;
    tern__slot *slot;
    do { /* ids go round; one that is in use, or whose place is taken by another, is passed over [MQTT5-2.2.1-3] */
        id++;
        if (id == 0) id = 1;
        slot = slot_of(inflight, id);
    } while (slot->kind != TERN__SLOT_FREE);
    inflight->last_id = id;
    inflight->used++;
    *slot = (tern__slot){.packet_id = id, .kind = (uint8_t)kind};
    if (order != NULL) link_last(inflight, order, slot);
    return slot;
}

void tern__inflight_close(tern__inflight *inflight, tern__slot *slot)
{
    if (slot->kind == TERN__SLOT_PUBLISH) unlink_slot(inflight, &inflight->publishes, slot);
    if (slot->kind == TERN__SLOT_RELEASE) unlink_slot(inflight, &inflight->releases, slot);
    slot->kind = TERN__SLOT_FREE;
    inflight->used--;
}

void tern__inflight_to_releases(tern__inflight *inflight, tern__slot *slot)
{
    assert(slot->kind == TERN__SLOT_PUBLISH && "only a PUBLISH is answered by PUBREC");
    unlink_slot(inflight, &inflight->publishes, slot);
    slot->kind = TERN__SLOT_RELEASE;
    link_last(inflight, &inflight->releases, slot);
}
