/* Threads, mutexes and condition variables on a monotonic clock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_THREAD_H
#define TERN_PLATFORM_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tern__mutex {
    pthread_mutex_t native;
} tern__mutex;
typedef struct tern__cond {
    pthread_cond_t native;
} tern__cond;
typedef struct tern__thread {
    pthread_t native;
} tern__thread;

int tern__mutex_init(tern__mutex *mutex); /* 0 or TERN_E_SYSTEM */
void tern__mutex_deinit(tern__mutex *mutex);
static inline void tern__mutex_lock(tern__mutex *mutex)
{
    pthread_mutex_lock(&mutex->native);
}
static inline void tern__mutex_unlock(tern__mutex *mutex)
{
    pthread_mutex_unlock(&mutex->native);
}

int tern__cond_init(tern__cond *cond); /* 0 or TERN_E_SYSTEM */
void tern__cond_deinit(tern__cond *cond);
void tern__cond_wait(tern__cond *cond, tern__mutex *mutex);
/* False when deadline_us (of tern__clock_us()) passed; UINT64_MAX waits for ever. */
bool tern__cond_wait_until(tern__cond *cond, tern__mutex *mutex, uint64_t deadline_us);
void tern__cond_signal(tern__cond *cond);
void tern__cond_broadcast(tern__cond *cond);

/* All signals but those of faults (SIGSEGV and the like) are blocked in the new thread. name has at most 15 bytes.
 * 0, TERN_E_NOMEM or TERN_E_SYSTEM. */
int tern__thread_start(tern__thread *thread, const char *name, void (*run)(void *), void *argument);
void tern__thread_join(tern__thread *thread);
void tern__thread_detach(tern__thread *thread);
bool tern__thread_is_self(const tern__thread *thread);
/* A value that differs between threads that live at the same time. */
uintptr_t tern__thread_self(void);

#endif
