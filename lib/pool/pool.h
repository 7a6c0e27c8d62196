/* The pool from inside: what its files share.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_POOL_POOL_H
#define TERN_POOL_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/client.h>
#include <tern/pool.h>

#include "platform/thread.h"

enum { TERN__POOL_SLOTS = 4096 };

/* A pool's id of a message: its member above, the member's own id below; so ids of one member stay neighbours. */
enum { TERN__POOL_ID_BITS = 48 };
#define TERN__POOL_ID_MASK ((UINT64_C(1) << TERN__POOL_ID_BITS) - 1)

static inline uint64_t tern__pool_id(size_t member, uint64_t id)
{
    return (uint64_t)member << TERN__POOL_ID_BITS | (id & TERN__POOL_ID_MASK);
}

struct tern_pool_options {
    size_t members;
    tern_pool_policy policy;
    char *prefix; /* NULL none */
    tern_loop *loop; /* borrowed */
    uint32_t unhealthy_ms;
    bool move_early;
};

/* One of the connections. */
typedef struct tern__member {
    struct tern_pool *pool;
    size_t index;
    tern_client *client;
    atomic_uint_least64_t down_since; /* clock; while it has no connection */
    atomic_uint_least64_t last_id;    /* of its messages that the pool published, a lower bound */
    /* Under the pool's lock. */
    bool connected;
    int stopped; /* why it does not connect any more; 0 it does */
    char stopped_text[200];
} tern__member;

/* Topics with the same hash. Messages of one topic go to one member as long as any is without an outcome there. */
typedef struct tern__slot_of_topics {
    atomic_uint_least64_t state; /* publishers that are at it << 16 | its member */
    atomic_uint_least64_t last;  /* the pool's id of the last message published through it; 0 none */
} tern__slot_of_topics;

struct tern_pool {
    /* Constant. */
    size_t count;
    tern_pool_policy policy;
    uint64_t unhealthy_us;
    bool move_early;
    tern_loop *loop;
    tern__member *members;
    tern__slot_of_topics *slots; /* BY_TOPIC; else NULL */
    atomic_size_t turn;          /* ROUND_ROBIN, LEAST_OUTSTANDING: where to begin */
    tern__mutex lock;
    tern__cond changed; /* connected, stopped */
    /* Under the lock. */
    bool closed;
    tern_pool_event_callback on_event;
    void *event_data;
    tern_pool_delivery_callback on_delivery;
    void *delivery_data;
    int error; /* the last one that a call met */
    char error_text[400];
};

/* Notes the error of a call with its text, and returns it. */
int tern__pool_fail(tern_pool *pool, int error, const char *text);
/* The same with the member's own text. */
int tern__pool_fail_of(tern_pool *pool, size_t member, int error);

/* choose.c: the member for a topic. A choice by topic is held until it is given back with the id that was published, 0
 * where nothing was: meanwhile the topic does not move. */
typedef struct tern__choice {
    size_t member;
    tern__slot_of_topics *slot; /* NULL: not by topic */
} tern__choice;
tern__choice tern__pool_choose(tern_pool *pool, const char *topic);
void tern__pool_chosen(tern_pool *pool, const tern__choice *choice, uint64_t id);
/* The member that a filter belongs to. */
size_t tern__pool_home(const tern_pool *pool, const char *text);

#endif
