/* Acknowledging what was received: in the order of arrival, each when the application is done with it. [C9]
 *
 * A QoS 2 id is held from its PUBLISH to its PUBREL, over connections of one session: a repeat is not delivered again but
 * answered at once, since the application has the message already.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "engine/machine.h"

enum { FIRST_RING = 16, ID_BYTES = 8192 };

static bool grow(tern__acks *acks)
{
    uint32_t cap = acks->cap != 0 ? acks->cap * 2 : FIRST_RING;
    tern__owed *ring = tern__malloc(cap * sizeof *ring);
    if (ring == NULL) return false;
    for (uint32_t seq = acks->head; seq != acks->tail; seq++) ring[seq & (cap - 1)] = acks->ring[seq & (acks->cap - 1)];
    tern__free(acks->ring);
    acks->ring = ring;
    acks->cap = cap;
    return true;
}

static bool add(tern__acks *acks, tern__owed owed)
{
    if (acks->tail - acks->head == acks->cap && !grow(acks)) return false;
    acks->ring[acks->tail++ & (acks->cap - 1)] = owed;
    return true;
}

uint32_t tern__acks_owe(tern__engine *e, uint16_t packet_id, uint8_t qos, bool ready, uint64_t now)
{
    tern__acks *acks = &e->acks;
    bool first = acks->head == acks->tail;
    /* A connection that lives long goes round. The place 0, which stands for no message, is passed over as one of QoS 0. */
    if (acks->tail == 0 && !add(acks, (tern__owed){.at = now, .ready = true})) return 0;
    if (!add(acks, (tern__owed){now, packet_id, qos, ready})) return 0;
    if (first) e->stats.oldest_unacked_us = now;
    e->stats.unacked_inbound++;
    return acks->tail - 1;
}

/* PUBACKs and PUBRECs go out in the order of the PUBLISHes. [MQTT5-4.6.0-2] [MQTT5-4.6.0-3] */
int tern__acks_flush(tern__engine *e)
{
    tern__acks *acks = &e->acks;
    while (acks->head != acks->tail) {
        const tern__owed *owed = &acks->ring[acks->head & (acks->cap - 1)];
        if (!owed->ready) break;
        if (owed->qos == 0) {
            acks->head++;
            continue;
        }
        int rc = tern__output_ack(e, owed->qos == 1 ? TERN__PUBACK : TERN__PUBREC, owed->packet_id, 0);
        if (rc != 0) return rc;
        if (owed->qos == 1 && acks->open != 0) acks->open--;
        acks->head++;
        e->stats.unacked_inbound--;
    }
    e->stats.oldest_unacked_us = acks->head != acks->tail ? acks->ring[acks->head & (acks->cap - 1)].at : 0;
    return 0;
}

static void flush_or_fail(tern__engine *e)
{
    if (tern__acks_flush(e) != 0) (void)tern__engine_fail(e, TERN_E_NOMEM, 0x83, 0, "out of memory");
}

void tern__engine_ack_through(tern__engine *e, uint64_t epoch, uint32_t seq)
{
    tern__acks *acks = &e->acks;
    if (epoch != e->epoch || e->phase != TERN__PHASE_OPEN || seq - acks->head >= acks->tail - acks->head) return;
    for (uint32_t at = acks->head; at != seq + 1; at++) acks->ring[at & (acks->cap - 1)].ready = true;
    flush_or_fail(e);
}

int tern__engine_ack_one(tern__engine *e, uint64_t epoch, uint32_t seq)
{
    tern__acks *acks = &e->acks;
    if (epoch != e->epoch || e->phase != TERN__PHASE_OPEN) return TERN_E_STALE;
    if (seq - acks->head >= acks->tail - acks->head) return TERN_E_STATE;
    tern__owed *owed = &acks->ring[seq & (acks->cap - 1)];
    if (owed->ready) return TERN_E_STATE;
    owed->ready = true;
    flush_or_fail(e);
    return 0;
}

bool tern__acks_is_held(const tern__acks *acks, uint16_t packet_id)
{
    return acks->held != NULL && (acks->held[packet_id >> 3] >> (packet_id & 7) & 1) != 0;
}

int tern__acks_hold(tern__acks *acks, uint16_t packet_id)
{
    if (acks->held == NULL) acks->held = tern__calloc(1, ID_BYTES);
    if (acks->held == NULL) return TERN_E_NOMEM;
    acks->held[packet_id >> 3] |= (uint8_t)(1u << (packet_id & 7));
    return 0;
}

bool tern__acks_let_go(tern__acks *acks, uint16_t packet_id)
{
    if (!tern__acks_is_held(acks, packet_id)) return false;
    acks->held[packet_id >> 3] &= (uint8_t)~(1u << (packet_id & 7));
    return true;
}
