/* The client: what its threads share, what is the loop's alone, and what never changes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_CLIENT_H
#define TERN_CLIENT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/client.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "client/command.h"
#include "client/mailbox.h"
#include "client/options.h"
#include "client/timer.h"
#include "client/trace.h"
#include "engine/backoff.h"
#include "engine/engine.h"
#include "platform/fork.h"
#include "platform/poller.h"
#include "platform/thread.h"
#include "transport/connect.h"

/* Where a client's connection stands. */
typedef enum tern__link_state {
    TERN__LINK_IDLE,      /* not told to connect, or stopped; next ASKING, OPENING */
    TERN__LINK_WAITING,   /* until retry_at; next ASKING, OPENING, IDLE */
    TERN__LINK_ASKING,    /* the application is asked about the attempt; next OPENING, WAITING, IDLE */
    TERN__LINK_OPENING,   /* a transport attempt runs; next GREETING, WAITING, IDLE */
    TERN__LINK_GREETING,  /* CONNECT is out; next UP, WAITING, IDLE */
    TERN__LINK_UP,        /* next LEAVING, WAITING, IDLE */
    TERN__LINK_LEAVING,   /* DISCONNECT goes out, the peer's end is awaited; next IDLE, WAITING */
    TERN__LINK_CLOSED     /* for good */
} tern__link_state;

/* The loop's half: only the network thread touches it. */
typedef struct tern__link {
    tern__link_state state;
    tern_connection_options *options; /* those in use; NULL before the first attempt */
    size_t server;                    /* index into options->servers */
    size_t tried;                     /* servers tried since the last wait */
    int version;                      /* of this attempt */
    bool falling_back;                /* this attempt tries 3.1.1 because 5 failed */
    uint32_t attempt;                 /* since the last stable connection, from 1 */
    tern__backoff backoff;
    const tern_attempt *asking; /* ASKING: the question; only compared */
    tern_connection_options *own; /* of this attempt alone, by the attempt handler, until it ended or CONNACK came; NULL none */
    char *own_hint; /* the attempt handler's, for refused credentials; NULL none */
    tern__connect *connecting;
    tern__stream *stream;
    tern__source source; /* the stream's readiness */
    char *own_server;           /* display URL of the last attempt's own server; NULL: that of `options` */
    tern__proxy proxy;          /* of the environment, for this attempt */
    char peer[112];      /* the socket's other end in words; "" before it is open */
    struct tern__budget_server *budget; /* what the attempt holds of the loop's budget; NULL nothing */
    bool budgeted;       /* the attempt's end is to be told to the budget */
    tern__tls_info *tls; /* what TLS knew of an attempt that failed, until its event takes it; NULL nothing */
    uint64_t started_at; /* of the attempt */
    bool write_blocked;  /* the socket took less than it was given */
    tern__trace sent;    /* where the log stands, at level TRACE */
    tern__trace received;
    bool paused;         /* reading is paused */
    size_t last_block;   /* capacity of the block that was handed over last */
    bool closable;       /* the engine's last bytes are in the output: flush and close */
    bool finished;       /* LEAVING: all was written, the peer's end is awaited and what it says dropped */
    bool quieting;       /* UP: no message is begun, and a reconnect follows when all is quiet, or at quiet_until */
    bool again;          /* LEAVING: to connect again at once */
    uint64_t quiet_until;
    uint64_t deadline;   /* of the attempt or of leaving; UINT64_MAX none */
    uint64_t retry_at;   /* WAITING */
    bool closing;        /* tern_client_close() was called */
    bool draining;       /* closing waits for the outbox */
    uint64_t close_deadline;
    tern_token *close_token;
    tern_token *disconnect_token;
    tern__list connects; /* tokens of connect, not ended */
    tern__list flushes;  /* tokens of flush, in order of their ids */
    tern__range range;   /* could not be handed over for lack of memory */
    bool range_held;
    uint64_t range_retry_at; /* while range_held */
    uint64_t acked;      /* the mailbox's ack that the engine was told */
    uint64_t timer_at;   /* when the first of the client's timers is due, as of the last look; UINT64_MAX none */
    tern__heap_node timer;
} tern__link;

/* Counters of the client itself; the engine has its own. Under the client's lock. */
typedef struct tern__client_counters {
    uint64_t published_bytes;
    uint64_t rejected; /* publishes with good arguments that were not accepted */
    uint64_t connects;
    uint64_t connect_failures;
    uint64_t disconnects;
    tern__engine_stats engine; /* as of the last sync */
} tern__client_counters;

/* A note of an error, in a ring, so that a text handed out stays readable for a while. */
typedef struct tern__error_note {
    char text[400];
} tern__error_note;
enum { TERN__NOTES = 4 };

struct tern_client {
    atomic_uint refs;
    /* Constant. */
    unsigned generation; /* of the process that made it */
    tern_client_options options; /* client_id is its own; loop is kept by reference until released */
    tern__log log;
    tern_loop *loop;
    tern__engine *engine;
    tern__outbox *outbox; /* the engine's, for publishers */
    tern__dispatcher *own_dispatcher; /* manual mode */
    /* Shared, under the lock. */
    tern__mutex lock;
    tern__cond room;        /* the outbox has room again */
    unsigned room_waiters;
    uint64_t syncs;         /* of the loop with publishers, all that is to be dropped dropped */
    bool tells_oldest;      /* somebody asks for `oldest` */
    uint64_t oldest;        /* no id below it is without an outcome; as of the last sync */
    bool has_limits;        /* there was a CONNACK */
    tern__limits limits;    /* as of the last one */
    tern__list commands;
    tern__timers timers;
    tern_connection_options *pending; /* replaces the link's at the next attempt */
    bool configured;
    bool connecting;   /* told to connect, and not stopped since */
    bool closing;      /* tern_client_close() was called: no further commands */
    bool closed;       /* nobody can join closing any more */
    bool quiet;        /* closed, and no callback runs any more */
    bool released;     /* tern_client_free() let go of the loop */
    bool free_when_quiet;
    tern__cond quiet_cond;
    tern_token *callback_waiter; /* the token that a callback of the client's dispatcher waits for */
    tern__command close_command; /* so that closing needs no memory */
    tern__buf acks;        /* manual mode: tern__manual_ack records for the loop */
    tern__client_counters counters;
    tern__error_note *notes; /* ring of TERN__NOTES, allocated at the first error */
    atomic_uint last_note;   /* count of notes written; the newest is at (last_note - 1) % TERN__NOTES */
    int last_error;
    bool link_failed; /* the newest note tells of the connection that is wanted: it says more than a deadline */
    char *assigned_id;       /* by the server, NULL where none */
    /* Shared without lock. */
    atomic_bool connected;
    atomic_bool scheduled; /* in the loop's ready list, or about to be */
    atomic_bool reading_paused;
    atomic_bool asking;    /* the attempt handler is asked, or about to be */
    atomic_uint_least64_t epoch;
    tern__list closers; /* tokens of who joined closing, under the lock */
    tern__list ready_link; /* in the loop's ready list, under the loop's lock */
    bool detached;         /* closed: never again in the ready list; under the loop's lock */
    tern__link link;       /* the loop's */
    tern__mailbox mailbox;
};

/* A manual acknowledgement on its way to the loop. */
typedef struct tern__manual_ack {
    uint64_t epoch;
    uint32_t seq;
} tern__manual_ack;

/* Whether the client is another process's. Asked before any lock is taken: a thread that the child of a fork does not have may
 * hold it for ever. [C15] */
static inline bool tern__client_forked(const tern_client *client)
{
    return client->generation != tern__fork_generation();
}

/* 0, TERN_E_INVALID or TERN_E_FORKED: asked first in every public call. */
static inline int tern__client_check(const tern_client *client)
{
    if (client == NULL) return TERN_E_INVALID;
    return tern__client_forked(client) ? TERN_E_FORKED : 0;
}

tern_client *tern__client_ref(tern_client *client);
void tern__client_unref(tern_client *client);

/* Notes an error with its text and returns it; for failed calls and failed connections. */
int tern__client_fail(tern_client *client, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed connection, which also tells later waits why they wait. */
void tern__client_link_failed(tern_client *client, int error, const char *text);
/* Notes a wait that ended with TERN_E_TIMEOUT or TERN_E_WOULD_DEADLOCK, unless it is known what it waited for; returns error. */
int tern__client_wait_failed(tern_client *client, int error, uint32_t timeout_ms);
/* The calling thread will wait for a token: the loop is woken first. True where the thread runs a callback of the client's
 * dispatcher: then the token is nudged when reading pauses, and tern__client_done_waiting() must follow. */
bool tern__client_about_to_wait(tern_client *client, tern_token *token);
void tern__client_done_waiting(tern_client *client);
bool tern__client_paused(tern_client *client);
/* What a callback of its dispatcher waits for cannot come before that callback returned: reading is paused until messages are
 * taken, or the attempt handler is to be asked. [C11] */
bool tern__client_stalls(tern_client *client);
/* It stalls from now on: who waits in a callback looks again. */
void tern__client_nudge(tern_client *client);
/* Hands a command to the loop. TERN_E_CLOSED: the client is closing, the command is still the caller's. */
int tern__client_command(tern_client *client, tern__command *command);

/* From the dispatcher: the last unit has run. */
void tern__client_quiet(tern_client *client, tern_token *close_token);

#endif
