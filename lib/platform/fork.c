/* The fork mark: the only mutable state of a process that the library keeps.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/fork.h"

#include <pthread.h>
#include <stdatomic.h>

/* 0 until the handler is in place, then one more in each generation of children. */
atomic_uint tern__fork_mark;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Runs in the child, whose only thread it is. */
static void count_fork(void)
{
    atomic_fetch_add_explicit(&tern__fork_mark, 1, memory_order_relaxed);
}

/* Where the system has no memory for the handler the generation stays 1: forks go unnoticed, all
 * else works. */
static void begin(void)
{
    pthread_atfork(NULL, NULL, count_fork);
    atomic_store_explicit(&tern__fork_mark, 1, memory_order_release);
}

unsigned tern__fork_begin(void)
{
    pthread_once(&once, begin);
    return atomic_load_explicit(&tern__fork_mark, memory_order_acquire);
}
