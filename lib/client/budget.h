/* The retry budget: how fast the clients of a loop come back to a server that failed.
 *
 * A server that nothing is known against is not limited. After a failure its clients share a few attempts at a time and a
 * rate; each success doubles the rate, until there is no limit any more. Only the loop's thread comes here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_BUDGET_H
#define TERN_CLIENT_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum { TERN__BUDGET_BUCKETS = 64 };

typedef struct tern__budget_server tern__budget_server;

typedef struct tern__budget {
    atomic_uint concurrent; /* attempts at a time; 0 any number */
    atomic_uint per_second; /* attempts started; 0 any number */
    /* The loop's. */
    tern__list servers[TERN__BUDGET_BUCKETS]; /* that failed, by a hash of their URLs */
    size_t count;
} tern__budget;

typedef enum tern__budget_end {
    TERN__BUDGET_ALIVE,    /* the server answered */
    TERN__BUDGET_FAILED,   /* it did not, or said that it cannot now */
    TERN__BUDGET_ABANDONED /* nobody knows */
} tern__budget_end;

void tern__budget_init(tern__budget *budget);
void tern__budget_deinit(tern__budget *budget);

/* Whether an attempt may start now; *held (NULL where nothing limits it) goes to tern__budget_give() with its end. False: not
 * before *again, then it is to be asked once more. */
bool tern__budget_take(tern__budget *budget, const char *server, uint64_t now, tern__budget_server **held, uint64_t *again);
void tern__budget_give(tern__budget *budget, const char *server, tern__budget_server *held, tern__budget_end end, uint64_t now);

#endif
