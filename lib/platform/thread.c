/* Threads, mutexes and condition variables over pthreads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <tern/error.h>
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/alloc.h"
#include "platform/clock.h"

int tern__mutex_init(tern__mutex *mutex)
{
    return pthread_mutex_init(&mutex->native, NULL) == 0 ? 0 : TERN_E_SYSTEM;
}

void tern__mutex_deinit(tern__mutex *mutex)
{
    pthread_mutex_destroy(&mutex->native);
}

int tern__cond_init(tern__cond *cond)
{
#ifdef __APPLE__
    return pthread_cond_init(&cond->native, NULL) == 0 ? 0 : TERN_E_SYSTEM;
#else
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return TERN_E_SYSTEM;
    int error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) error = pthread_cond_init(&cond->native, &attributes);
    pthread_condattr_destroy(&attributes);
    return error == 0 ? 0 : TERN_E_SYSTEM;
#endif
}

void tern__cond_deinit(tern__cond *cond)
{
    pthread_cond_destroy(&cond->native);
}

void tern__cond_wait(tern__cond *cond, tern__mutex *mutex)
{
    pthread_cond_wait(&cond->native, &mutex->native);
}

bool tern__cond_wait_until(tern__cond *cond, tern__mutex *mutex, uint64_t deadline_us)
{
    if (deadline_us == UINT64_MAX) {
        tern__cond_wait(cond, mutex);
        return true;
    }
#ifdef __APPLE__
    uint64_t now = tern__clock_us();
    if (now >= deadline_us) return false;
    uint64_t left = deadline_us - now;
    struct timespec wait = {(time_t)(left / 1000000u), (long)(left % 1000000u) * 1000};
    return pthread_cond_timedwait_relative_np(&cond->native, &mutex->native, &wait) != ETIMEDOUT;
#else
    struct timespec until = {(time_t)(deadline_us / 1000000u),
                             (long)(deadline_us % 1000000u) * 1000};
    return pthread_cond_timedwait(&cond->native, &mutex->native, &until) != ETIMEDOUT;
#endif
}

void tern__cond_signal(tern__cond *cond)
{
    pthread_cond_signal(&cond->native);
}

void tern__cond_broadcast(tern__cond *cond)
{
    pthread_cond_broadcast(&cond->native);
}

/* ---- threads ---- */

/* What a new thread needs to know; the thread frees it. */
typedef struct start_order {
    void (*run)(void *);
    void *argument;
    char name[16];
} start_order;

static void set_name(const char *name)
{
#if defined(__linux__)
    prctl(PR_SET_NAME, name, 0, 0, 0);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#else
    (void)name;
#endif
}

static void *run_thread(void *given)
{
    start_order order = *(start_order *)given;
    tern__free(given);
    set_name(order.name);
    order.run(order.argument);
    return NULL;
}

/* The application's signals are for its own threads; a fault, though, must find its handler where
 * it happens. */
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

int tern__thread_start(tern__thread *thread, const char *name, void (*run)(void *), void *argument)
{
    start_order *order = tern__calloc(1, sizeof *order);
    if (order == NULL) return TERN_E_NOMEM;
    order->run = run;
    order->argument = argument;
    strncpy(order->name, name, sizeof order->name - 1);
    sigset_t before;
    block_signals(&before);
    int error = pthread_create(&thread->native, NULL, run_thread, order);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return 0;
    tern__free(order);
    return TERN_E_SYSTEM;
}

void tern__thread_join(tern__thread *thread)
{
    pthread_join(thread->native, NULL);
}

void tern__thread_detach(tern__thread *thread)
{
    pthread_detach(thread->native);
}

bool tern__thread_is_self(const tern__thread *thread)
{
    return pthread_equal(thread->native, pthread_self()) != 0;
}

uintptr_t tern__thread_self(void)
{
    return (uintptr_t)pthread_self();
}
