/* Timers: callbacks of the application at a time, where its callbacks run.
 *
 * A timer is a token that the loop ends when its time has come; its callback calls the application's. So it is told exactly
 * once whatever happens, as tokens are, and needs no memory for it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_TIMER_H
#define TERN_CLIENT_TIMER_H

#include <tern/client.h>

#include "base/list.h"

/* A client's timers that are not due yet; under its lock. */
typedef struct tern__timers {
    tern__list pending; /* by time */
    uint64_t last_id;
} tern__timers;

void tern__timers_init(tern__timers *timers);
/* When the first is due; UINT64_MAX none. */
uint64_t tern__timers_next_locked(const tern__timers *timers);
/* Ends those that are due, on the loop's thread. */
void tern__timers_run(tern_client *client, uint64_t now);
/* Ends the rest, as the client does; there are no new ones by now. */
void tern__timers_end(tern_client *client);

#endif
