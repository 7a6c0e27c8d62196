/** @file
 * Loops: the network thread, for programs with many clients. One client alone needs none of this.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_LOOP_H
#define TERN_LOOP_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** How a loop waits for its sockets. */
typedef enum tern_poller {
    TERN_POLLER_DEFAULT = 0, /**< the best of the system */
    TERN_POLLER_EPOLL = 1,   /**< epoll (Linux) */
    TERN_POLLER_POLL = 2     /**< poll(), any POSIX system */
} tern_poller;

/** Starts a loop: one network thread and `dispatchers` callback threads (1..64). Each client is
 * bound to one of them for life, in turn. The loop is the caller's: tern_loop_free(). Errors:
 * TERN_E_INVALID (also a number out of range), TERN_E_UNSUPPORTED (the system lacks the poller),
 * TERN_E_NOMEM, TERN_E_SYSTEM (no thread or descriptor is left). Thread: any. Blocks: no. */
TERN_API int tern_loop_new(tern_loop **loop, unsigned dispatchers, tern_poller poller);
/** Sets how fast the loop's clients together come back to a server that failed: so many attempts at a time
 * (default 64; 0 = any number), and so many started a second (default 100; 0 = any number). A server that nothing is
 * known against is not limited, and each success doubles both until there is no limit any more; servers do
 * not limit each other. Errors: TERN_E_INVALID (also more than 1,000,000). Thread: any. Blocks: no. */
TERN_API int tern_loop_set_retry_budget(tern_loop *loop, uint32_t concurrent, uint32_t per_second);
/** Gives the caller's reference back; the threads end with the last reference, of which each client
 * holds one until it is freed. NULL does nothing. Thread: any, callbacks included. Blocks: while
 * the threads end, where this was the last reference; from a callback: no. */
TERN_API void tern_loop_free(tern_loop *loop);

TERN_END_DECLS

#endif
