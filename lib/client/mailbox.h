/* Mailboxes: what waits for a client's callbacks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_MAILBOX_H
#define TERN_CLIENT_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/attempt.h>
#include <tern/client.h>

#include "base/list.h"
#include "client/dispatch.h"
#include "client/event.h"
#include "client/router.h"
#include "client/token.h"
#include "engine/engine.h"

/* Whether there is a connection, told where memory ran out for an event: it needs none. The newest is in
 * `events` while it waits. */
typedef struct tern__bare_event {
    tern__list link;
    uint64_t blocks_before;
    tern_event_kind kind; /* CONNECTED, DISCONNECTED or STOPPED */
    int error;
    int version; /* of CONNECTED */
    tern__limits limits;
} tern__bare_event;

/* A client's mailbox. Members are under the dispatcher's lock unless they say otherwise. */
typedef struct tern__mailbox tern__mailbox;
struct tern__mailbox {
    tern_client *client;         /* constant */
    tern__dispatcher *dispatcher; /* constant until the client is released */
    tern__list ready_link;
    tern__list blocks;   /* messages; the first may be read in part */
    bool head_ready;     /* the first block's texts are terminated */
    uint32_t cursor;     /* records of the first block that are done (read by receive) */
    uint64_t blocks_pushed;
    uint64_t blocks_done;
    tern__list events;
    tern__bare_event bare; /* one of them, at times */
    tern__list tokens;   /* ended, with a callback to run */
    size_t token_count;
    size_t tokens_due;   /* the first ones, which ended before the last batch of ranges was taken: no batch overtakes them */
    tern__list receivers; /* tokens that wait for a message */
    tern__range *ranges;
    size_t range_count;
    size_t range_cap;
    tern__range *spare; /* the other array of ranges, while the first is read */
    size_t spare_cap;
    bool block_last;    /* the last unit was a block: others go first */
    bool closing;       /* the last unit, CLOSED, is due when all else is done */
    unsigned ending;    /* tokens that left `receivers` and may still come to `tokens`: CLOSED waits for them */
    bool closed;
    tern_token *close_token; /* ends with it; may be NULL */
    bool handles;       /* there is a message handler: blocks go to it, else they wait for receive */
    tern_delivery_callback on_delivery;
    void *delivery_data;
    tern_event_callback on_event;
    void *event_data;
    tern_attempt_callback on_attempt;
    void *attempt_data;
    tern__router router; /* its own lock */
    /* Shared without lock. */
    atomic_size_t inbound_bytes; /* blocks held, and the ranges */
    atomic_size_t inbound_peak;
    atomic_uint_least64_t ack;   /* automatic mode: epoch << 32 | last ack_seq whose callbacks returned */
    atomic_uint_least64_t unhandled; /* messages that nobody took */
};

int tern__mailbox_init(tern__mailbox *mailbox, tern_client *client, tern__dispatcher *dispatcher);
void tern__mailbox_deinit(tern__mailbox *mailbox);

/* The loop's side. Each takes over what it is given. */
void tern__mailbox_push_block(tern__mailbox *mailbox, tern__block *block);
void tern__mailbox_push_event(tern__mailbox *mailbox, tern_event *event);
void tern__mailbox_push_bare_event(tern__mailbox *mailbox, const tern__bare_event *event);
/* False: the last unit has run, no callback may run any more; the token is still the caller's. */
bool tern__mailbox_push_token(tern__mailbox *mailbox, tern_token *token);
/* TERN_E_NOMEM: not taken. Where no delivery handler is set the range is only counted, by the engine. */
int tern__mailbox_push_range(tern__mailbox *mailbox, const tern__range *range);
/* All has been pushed: when it was run, tern__client_quiet() is called. */
void tern__mailbox_push_closed(tern__mailbox *mailbox, tern_token *close_token);

/* The application's side. */
/* The router's handlers changed: messages that wait may have found a taker. */
void tern__mailbox_handlers_changed(tern__mailbox *mailbox);
void tern__mailbox_set_delivery(tern__mailbox *mailbox, tern_delivery_callback callback, void *user_data);
void tern__mailbox_set_event(tern__mailbox *mailbox, tern_event_callback callback, void *user_data);
void tern__mailbox_set_attempt(tern__mailbox *mailbox, tern_attempt_callback callback, void *user_data);
/* Whether there is a handler to be asked before an attempt; any thread. */
bool tern__mailbox_asks(tern__mailbox *mailbox);
int tern__mailbox_receive(tern__mailbox *mailbox, tern_message **message);
/* Takes the library's reference of the token, unless it fails. */
int tern__mailbox_add_receiver(tern__mailbox *mailbox, tern_token *token);
/* Automatic mode: the callbacks of this message have returned. */
void tern__mailbox_acknowledge(tern__mailbox *mailbox, uint64_t epoch, uint32_t seq);
/* The same, unless that or a later one of the epoch is acknowledged already; one thread at a time. */
void tern__mailbox_acknowledge_further(tern__mailbox *mailbox, uint64_t epoch, uint32_t seq);

/* The dispatcher's side: runs one unit of a mailbox that was in its ready list. The lock is held at entry and return, and
 * free in between; a mailbox with more work is ready again. The mailbox may be gone afterwards. */
void tern__mailbox_run_unit_locked(tern__mailbox *mailbox);

#endif
