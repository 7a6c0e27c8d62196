/* The loop: the network thread, and the one place where engine, bytes and time meet.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_LOOP_H
#define TERN_CLIENT_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/loop.h>

#include "base/heap.h"
#include "base/list.h"
#include "client/budget.h"
#include "client/dispatch.h"
#include "engine/engine.h"
#include "platform/poller.h"
#include "platform/resolve.h"
#include "platform/thread.h"
#include "platform/wake.h"
#include "transport/stream.h"

/* Whether the loop's thread wants to be woken. */
enum tern__sleep {
    TERN__AWAKE = 0, /* it runs, and looks for work before it sleeps; next ASLEEP, DOZING */
    TERN__ASLEEP,    /* any work wakes it; next AWAKE */
    TERN__DOZING     /* it looks by itself within 100 us: only urgent work wakes it; next AWAKE */
};

struct tern_loop {
    atomic_uint refs; /* the handle's, and one a client until it is freed */
    /* Constant. */
    unsigned generation; /* of the process that made it */
    tern__poller *poller;
    tern__resolver *resolver;
    tern__block_pool *pool;
    tern__wake wake;
    tern__thread thread;
    tern__dispatcher *dispatchers;
    unsigned dispatcher_count;
    atomic_uint next_dispatcher;
    /* Shared without lock. */
    atomic_int sleep;   /* enum tern__sleep */
    atomic_bool urgent; /* urgent work came since the loop last looked */
    atomic_uint_least64_t wakeups; /* signals that it took */
    atomic_bool orphaned; /* stopped from one of its own threads: it frees itself */
    /* Under the lock. */
    tern__mutex lock;
    tern__list ready; /* clients with work */
    bool stopping;
    /* The loop's own. */
    tern__source wake_source;
    tern__heap timers;
    tern__budget budget; /* of attempts */
    tern__list again;  /* clients that have more to do in the next round */
    uint64_t slept_at; /* when it last went to sleep */
    size_t found;      /* bytes of publishes found waiting in this round */
    bool pushed;       /* an application thread brought work in this round */
    unsigned streak;   /* rounds in a row in which work came thick and fast */
};

/* Gives a client to the loop; urgent work wakes it also where it dozes. Any thread. */
void tern__client_schedule(tern_client *client, bool urgent);
/* Wakes the loop. Any thread. */
void tern__loop_wake(tern_loop *loop, bool urgent);

/* As tern_loop_new(), of any number of dispatchers: the loop of a lone client in manual mode has none. */
int tern__loop_new(tern_loop **loop, unsigned dispatchers, tern_poller poller);
tern_loop *tern__loop_ref(tern_loop *loop);
/* Whether it is another process's: its threads do not run here. [C15] */
bool tern__loop_forked(const tern_loop *loop);
/* The dispatcher for a new client. */
tern__dispatcher *tern__loop_dispatcher(tern_loop *loop);

/* ---- for the link, on the loop's thread ---- */

/* The transport is open: CONNECT goes out on it. */
void tern__loop_open(tern_client *client, tern__stream *stream, const tern__connect_config *config,
                     uint64_t now);
/* Tries once to write what is in the output; errors play no part any more. */
void tern__loop_flush(tern_client *client, uint64_t now);
/* All is in the transport: it carries that to the peer, whose end is awaited. False: it cannot. */
bool tern__loop_finish(tern_client *client, uint64_t now);
/* Drops the transport, where there is one; the engine is told. */
void tern__loop_hang_up(tern_client *client, uint64_t now);
/* Gives every message and request its last outcome. False: memory ran out, to be tried again. */
bool tern__loop_abandon(tern_client *client, uint64_t now);

#endif
