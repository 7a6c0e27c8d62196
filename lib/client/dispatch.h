/* Dispatching: how what the loop has for a client gets to the client's callbacks.
 *
 * A client has a mailbox, bound to one dispatcher: a thread of the loop, or, in manual mode, whoever calls
 * tern_client_dispatch(). The loop puts in; the dispatcher takes one unit at a time (a block of messages, an event, a batch
 * of outcomes, a token) and runs it without any lock. So callbacks of a client never overlap.
 * Lock order: client's lock, then token's, then dispatcher's.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_DISPATCH_H
#define TERN_CLIENT_DISPATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "platform/thread.h"
#include "platform/wake.h"

typedef struct tern__dispatcher {
    tern__mutex lock;
    tern__cond work;
    tern__thread thread; /* valid while `threaded` */
    bool threaded;
    tern__wake wake;     /* manual mode: readable while there is work */
    atomic_uintptr_t runner; /* the thread that runs callbacks now, 0 none */
    /* Under the lock. */
    tern__list ready; /* mailboxes with work */
    bool stopping;
    bool signalled; /* manual mode: wake is readable */
} tern__dispatcher;

int tern__dispatcher_init(tern__dispatcher *dispatcher, bool threaded);
void tern__dispatcher_stop(tern__dispatcher *dispatcher); /* waits for its thread */
void tern__dispatcher_deinit(tern__dispatcher *dispatcher);
/* Whether the calling thread runs callbacks of this dispatcher. */
bool tern__dispatcher_is_self(tern__dispatcher *dispatcher);

struct tern__mailbox;

/* There is work in a mailbox; the lock is held. */
void tern__dispatcher_notify_locked(tern__dispatcher *dispatcher);
/* Manual mode: runs what is due, waiting for the first until the deadline. */
int tern__dispatcher_run_manual(tern__dispatcher *dispatcher, struct tern__mailbox *mailbox, uint64_t deadline);

#endif
