/* The retry budget of a loop.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/budget.h"

#include <string.h>

#include "base/alloc.h"

enum {
    CONCURRENT = 64,
    PER_SECOND = 100,
    SERVERS_MAX = 4096, /* no more are watched: a limit of memory, not of attempts */
    DOUBLINGS = 10      /* successes until there is no limit any more */
};

struct tern__budget_server {
    tern__list link; /* in a bucket; alone once it is open again, while attempts run */
    unsigned running;
    unsigned successes; /* since the last failure */
    uint64_t tokens_us; /* what may start now, in microseconds of the rate: at most a second's */
    uint64_t filled_at;
    uint32_t waiting; /* counts those that were sent away: spreads when they come back */
    char url[];
};

void tern__budget_init(tern__budget *budget)
{
    atomic_init(&budget->concurrent, CONCURRENT);
    atomic_init(&budget->per_second, PER_SECOND);
    budget->count = 0;
    for (size_t i = 0; i < TERN__BUDGET_BUCKETS; i++) tern__list_init(&budget->servers[i]);
}

void tern__budget_deinit(tern__budget *budget)
{
    for (size_t i = 0; i < TERN__BUDGET_BUCKETS; i++) {
        tern__list *link;
        while ((link = tern__list_shift(&budget->servers[i])) != NULL)
            tern__free(TERN__CONTAINER(link, tern__budget_server, link));
    }
}

static tern__list *bucket_of(tern__budget *budget, const char *url)
{
    uint32_t hash = 2166136261u;
    for (const unsigned char *at = (const unsigned char *)url; *at != 0; at++) hash = (hash ^ *at) * 16777619u;
    return &budget->servers[(hash ^ hash >> 16) % TERN__BUDGET_BUCKETS];
}

static tern__budget_server *find(tern__budget *budget, const char *url)
{
    tern__list *bucket = bucket_of(budget, url);
    for (tern__list *link = bucket->next; link != bucket; link = link->next) {
        tern__budget_server *server = TERN__CONTAINER(link, tern__budget_server, link);
        if (strcmp(server->url, url) == 0) return server;
    }
    return NULL;
}

/* Without memory, or with very many servers, it is not limited. */
static void watch_server(tern__budget *budget, const char *url, uint64_t now)
{
    if (budget->count >= SERVERS_MAX) return;
    size_t len = strlen(url);
    tern__budget_server *server = tern__calloc(1, sizeof *server + len + 1);
    if (server == NULL) return;
    tern__list_init(&server->link);
    memcpy(server->url, url, len + 1);
    server->tokens_us = 1000000; /* a client alone never feels it */
    server->filled_at = now;
    tern__list_append(bucket_of(budget, url), &server->link);
    budget->count++;
}

/* Nothing speaks against the server any more; it is freed with its last attempt. */
static void open_server(tern__budget *budget, tern__budget_server *server)
{
    tern__list_remove(&server->link);
    budget->count--;
}

static bool is_open(const tern__budget_server *server)
{
    return tern__list_empty(&server->link);
}

/* Microseconds of the rate that one attempt takes. */
static uint64_t price(const tern__budget_server *server, unsigned per_second)
{
    uint64_t us = 1000000 / per_second;
    us >>= server->successes;
    return us != 0 ? us : 1;
}

static void refill(tern__budget_server *server, uint64_t now)
{
    uint64_t passed = now > server->filled_at ? now - server->filled_at : 0;
    server->tokens_us = server->tokens_us + passed < 1000000 ? server->tokens_us + passed : 1000000;
    server->filled_at = now;
}

bool tern__budget_take(tern__budget *budget, const char *url, uint64_t now, tern__budget_server **held, uint64_t *again)
{
    enum { SPREAD = 97, STEP_US = 2000, LEAST_US = 10000 };
    unsigned concurrent = atomic_load_explicit(&budget->concurrent, memory_order_relaxed);
    unsigned per_second = atomic_load_explicit(&budget->per_second, memory_order_relaxed);
    *held = NULL;
    tern__budget_server *server = budget->count != 0 ? find(budget, url) : NULL;
    if (server == NULL) return true;
    refill(server, now);
    uint64_t cost = per_second != 0 ? price(server, per_second) : 0;
    bool busy = concurrent != 0 && server->running >= (uint64_t)concurrent << server->successes;
    if (busy || server->tokens_us < cost) {
        *again = now + LEAST_US + server->waiting++ % SPREAD * STEP_US; /* not all at the same time */
        return false;
    }
    server->tokens_us -= cost;
    server->running++;
    *held = server;
    return true;
}

void tern__budget_give(tern__budget *budget, const char *url, tern__budget_server *held, tern__budget_end end, uint64_t now)
{
    if (held != NULL) held->running--;
    tern__budget_server *server = held != NULL && is_open(held) ? NULL : held;
    if (server == NULL && budget->count != 0) server = find(budget, url);
    if (end == TERN__BUDGET_FAILED && server != NULL) server->successes = 0;
    if (end == TERN__BUDGET_FAILED && server == NULL) watch_server(budget, url, now);
    if (end == TERN__BUDGET_ALIVE && server != NULL && ++server->successes >= DOUBLINGS) {
        open_server(budget, server);
        if (server != held && server->running == 0) tern__free(server);
    }
    if (held != NULL && is_open(held) && held->running == 0) tern__free(held);
}
