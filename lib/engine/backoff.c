/* Backoff: how long to wait before the next attempt.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/backoff.h"

#include <string.h>

void tern__backoff_init(tern__backoff *backoff, uint32_t base_ms, uint32_t maximum_ms, tern_jitter jitter,
                        uint32_t attempts, uint32_t stable_ms, uint64_t seed)
{
    memset(backoff, 0, sizeof *backoff);
    backoff->base_ms = base_ms;
    backoff->maximum_ms = maximum_ms;
    backoff->jitter = jitter;
    backoff->attempts = attempts;
    backoff->stable_ms = stable_ms;
    backoff->seed = seed;
    backoff->started = 1;
}

void tern__backoff_reset(tern__backoff *backoff)
{
    backoff->made = 0;
    backoff->started = 1; /* the application's own */
    backoff->last_ms = 0;
    backoff->connected_at = 0;
}

void tern__backoff_connected(tern__backoff *backoff, uint64_t now)
{
    backoff->connected_at = now;
}

void tern__backoff_lost(tern__backoff *backoff, uint64_t now)
{
    uint64_t since = backoff->connected_at;
    backoff->connected_at = 0;
    if (since != 0 && now - since >= (uint64_t)backoff->stable_ms * 1000) tern__backoff_reset(backoff);
    backoff->started = 0;
}

/* SplitMix64: small, and good enough to spread waits. */
static uint64_t next_random(tern__backoff *backoff)
{
    uint64_t z = backoff->seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint32_t between(tern__backoff *backoff, uint64_t low, uint64_t high)
{
    if (high > UINT32_MAX) high = UINT32_MAX;
    if (low > high) low = high;
    return (uint32_t)(low + next_random(backoff) % (high - low + 1));
}

bool tern__backoff_next(tern__backoff *backoff, uint32_t *delay_ms)
{
    enum { LAST_DOUBLING = 32 }; /* more than any maximum, and no overflow */
    if (backoff->attempts != 0 && backoff->started >= backoff->attempts) return false;
    backoff->started++;
    unsigned doublings = backoff->made < LAST_DOUBLING ? backoff->made : LAST_DOUBLING;
    uint64_t delay = (uint64_t)backoff->base_ms << doublings;
    if (delay > backoff->maximum_ms) delay = backoff->maximum_ms; /* before the jitter: a herd never re-forms [C18] */
    backoff->made++;
    switch (backoff->jitter) {
    case TERN_JITTER_NONE: break;
    case TERN_JITTER_FULL: delay = between(backoff, 0, delay); break;
    case TERN_JITTER_DECORRELATED: {
        uint64_t high = (uint64_t)(backoff->last_ms > backoff->base_ms ? backoff->last_ms : backoff->base_ms) * 3;
        if (high > backoff->maximum_ms) high = backoff->maximum_ms;
        delay = between(backoff, backoff->base_ms < high / 3 ? backoff->base_ms : high / 3, high);
        break;
    }
    case TERN_JITTER_PROPORTIONAL: delay = between(backoff, delay - delay / 4, delay + delay / 4); break;
    }
    backoff->last_ms = (uint32_t)delay;
    *delay_ms = (uint32_t)delay;
    return true;
}
