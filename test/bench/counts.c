/* A preloaded counter of allocations and mutex locks, which a program's end prints on standard error.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

/* glibc's own entry points: those of dlsym() would allocate while they are looked up. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

typedef int lock_function(pthread_mutex_t *mutex);

static atomic_ulong allocations;
static atomic_ulong locks;
static _Atomic(lock_function *) real_lock;
static _Atomic(lock_function *) real_trylock;

static void count(atomic_ulong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count(&allocations);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(&allocations);
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    count(&allocations);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count(&allocations);
    return __libc_memalign(alignment, size);
}

static lock_function *find(_Atomic(lock_function *) *known, const char *name)
{
    lock_function *function = atomic_load_explicit(known, memory_order_relaxed);
    if (function == NULL) {
        *(void **)&function = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(known, function, memory_order_relaxed);
    }
    return function;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    count(&locks);
    return find(&real_lock, "pthread_mutex_lock")(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    count(&locks);
    return find(&real_trylock, "pthread_mutex_trylock")(mutex);
}

__attribute__((destructor)) static void report(void)
{
    fprintf(stderr, "allocations %lu locks %lu\n", atomic_load(&allocations), atomic_load(&locks));
}
