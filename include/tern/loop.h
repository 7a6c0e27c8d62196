/* Loops: the network thread, for programs with many clients. One client alone needs none of this.
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

/** Starts a loop: one network thread and `dispatchers` callback threads (1..64; each client is bound to one).
 * Errors: TERN_E_INVALID, TERN_E_UNSUPPORTED (poller), TERN_E_NOMEM, TERN_E_SYSTEM (threads, descriptors).
 * Thread: any. Blocks: no. */
TERN_API int tern_loop_new(tern_loop **loop, unsigned dispatchers, tern_poller poller);
/** Gives the caller's reference back; the threads end when the last client of the loop is freed. NULL does
 * nothing. Thread: any, callbacks included. Blocks: while the threads end, unless called from a callback. */
TERN_API void tern_loop_free(tern_loop *loop);

TERN_END_DECLS

#endif
