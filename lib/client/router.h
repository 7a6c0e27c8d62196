/* The router: a trie of topic filters that finds the handlers of a topic.
 *
 * Writers and the one reader (whoever dispatches the client's messages) hold `lock`. The reader copies what it found and
 * lets the lock go before it calls; a handler that is removed meanwhile is marked, and freed when the reader comes back.
 * Nodes without handlers go at once: programs that wait for replies use a topic once.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_ROUTER_H
#define TERN_CLIENT_ROUTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <tern/event.h>

#include "base/list.h"
#include "platform/thread.h"

typedef struct tern__route_node tern__route_node;

/* A filter's handler. */
typedef struct tern__handler {
    tern__list retired; /* in the router's list once it was removed */
    atomic_bool removed;
    tern_message_callback callback;
    void *user_data;
} tern__handler;

typedef struct tern__router {
    tern__mutex lock;
    tern__route_node *root; /* NULL while there is no handler */
    size_t count;           /* filters with a handler */
    atomic_uint generation; /* counts changes: what was found before may be used while it stands */
    tern_message_callback general; /* takes what no filter takes; NULL none */
    void *general_data;
    tern__list retired;
    bool reading; /* the reader may hold handlers: what is removed is retired */
} tern__router;

int tern__router_init(tern__router *router);
void tern__router_deinit(tern__router *router);
/* Sets, replaces or (callback NULL) removes the handler of a legal filter. TERN_E_NOMEM, TERN_E_NOT_FOUND. */
int tern__router_set(tern__router *router, const char *filter, tern_message_callback callback,
                     void *user_data);
/* Sets or (callback NULL) removes the handler of what no filter takes. */
void tern__router_set_general(tern__router *router, tern_message_callback callback, void *user_data);
/* Whether there is any handler. */
bool tern__router_handles(tern__router *router);

/* What a topic matched: the first handlers in place, the count of all. */
enum { TERN__MATCH_MAX = 16 };
typedef struct tern__match {
    tern__handler *handlers[TERN__MATCH_MAX];
    size_t count; /* may exceed TERN__MATCH_MAX: then `skip` finds the rest */
} tern__match;

/* Finds the handlers of a topic, leaving out the first `skip`; the lock is held. They are good until tern__router_reap().
 * [MQTT5-4.7.2-1] [MQTT5-4.7.3-4] */
void tern__router_match_locked(tern__router *router, const char *topic, size_t len, size_t skip,
                               tern__match *match);
/* Frees what was removed; called by the reader while it holds no handler. */
void tern__router_reap(tern__router *router);

#endif
