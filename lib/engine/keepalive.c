/* Keepalive: pings on silence in either direction, and the verdict that the peer is dead.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/machine.h"

void tern__keepalive_start(tern__keepalive *k, uint16_t seconds, uint64_t timeout_us, uint64_t now)
{
    k->interval_us = (uint64_t)seconds * 1000000;
    k->timeout_us = timeout_us;
    k->last_sent = k->last_received = now;
    k->pinged_at = 0;
    k->place = TERN__PING_OUT;
    k->asks = false;
}

/* A margin makes up for the time between the decision and the byte: the gap never exceeds the keep alive.
 * [MQTT5-3.1.2-20] [MQTT311-3.1.2-23] */
static uint64_t sending_due(const tern__keepalive *k)
{
    enum { LARGEST_MARGIN_US = 2000000 };
    uint64_t margin = k->interval_us / 4 < LARGEST_MARGIN_US ? k->interval_us / 4 : LARGEST_MARGIN_US;
    return k->last_sent + k->interval_us - margin;
}

/* Our own silence is broken however silent the peer is, also where nobody reads; the peer's is asked about once. */
uint64_t tern__keepalive_deadline(const tern__keepalive *k)
{
    if (k->interval_us == 0) return UINT64_MAX;
    uint64_t deadline = UINT64_MAX;
    if (k->place == TERN__PING_OUT) deadline = sending_due(k); /* else one is on its way already */
    uint64_t other = k->last_received + k->interval_us;
    if (k->pinged_at != 0) other = k->paused ? UINT64_MAX : k->pinged_at + k->timeout_us;
    return other < deadline ? other : deadline;
}

bool tern__keepalive_tick(tern__keepalive *k, uint64_t now, bool *ping)
{
    *ping = false;
    if (k->interval_us == 0) return false;
    if (k->pinged_at != 0 && !k->paused && now >= k->pinged_at + k->timeout_us) return true;
    if (now < tern__keepalive_deadline(k)) return false;
    *ping = k->place == TERN__PING_OUT;
    if (*ping) k->asks = false;
    if (k->pinged_at == 0) {
        k->pinged_at = now;
        k->asks = true;
    }
    return false;
}

void tern__keepalive_sent(tern__keepalive *k, uint64_t now)
{
    k->last_sent = now;
    if (k->place != TERN__PING_OUT && k->asks && k->pinged_at != 0) k->pinged_at = now;
}

void tern__keepalive_received(tern__keepalive *k, uint64_t now)
{
    k->last_received = now;
    k->pinged_at = 0; /* whoever sends is alive */
}
