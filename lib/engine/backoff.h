/* Backoff: how long to wait before the next attempt.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_BACKOFF_H
#define TERN_ENGINE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>
#include <tern/options.h>

/* The random source is each backoff's own, so that clients that start together do not wait together. */
typedef struct tern__backoff {
    uint32_t base_ms;
    uint32_t maximum_ms;
    tern_jitter jitter;
    uint32_t attempts;  /* in a row; 0 = no limit */
    uint32_t stable_ms; /* a connection that lasts this long starts the delays over */
    uint32_t made;      /* delays given since the last stable connection */
    uint32_t started;   /* attempts since the last connection */
    uint32_t last_ms;   /* the last one, for decorrelated jitter */
    uint64_t connected_at; /* 0: not connected */
    uint64_t seed;
} tern__backoff;

void tern__backoff_init(tern__backoff *backoff, uint32_t base_ms, uint32_t maximum_ms, tern_jitter jitter,
                        uint32_t attempts, uint32_t stable_ms, uint64_t seed);
/* Starts over: the application asked to connect. */
void tern__backoff_reset(tern__backoff *backoff);
void tern__backoff_connected(tern__backoff *backoff, uint64_t now);
void tern__backoff_lost(tern__backoff *backoff, uint64_t now);
/* The next delay: base * 2^n, clamped to the maximum first, then spread. False: no attempts are left. */
bool tern__backoff_next(tern__backoff *backoff, uint32_t *delay_ms);

#endif
