/* The library's allocations, one of which fails: see allocations.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "allocations.h"

#include <stdatomic.h>
#include <stddef.h>

void *__real_tern__malloc(size_t size);
void *__real_tern__calloc(size_t count, size_t size);
void *__real_tern__realloc(void *memory, size_t size);
char *__real_tern__strdup(const char *text);
void *__real_tern__memdup(const void *data, size_t size);
void *__wrap_tern__malloc(size_t size);
void *__wrap_tern__calloc(size_t count, size_t size);
void *__wrap_tern__realloc(void *memory, size_t size);
char *__wrap_tern__strdup(const char *text);
void *__wrap_tern__memdup(const void *data, size_t size);

static atomic_long until_failure; /* allocations that still succeed; below 0: all do */
static atomic_bool armed;

static _Thread_local bool exempt;

void allocations_exempt_thread(void)
{
    exempt = true;
}

void allocations_arm(long after)
{
    atomic_store(&until_failure, after);
    atomic_store(&armed, true);
}

bool allocations_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&until_failure) < 0;
}

static bool fails(void)
{
    return !exempt && atomic_load(&armed) && atomic_fetch_sub(&until_failure, 1) == 0;
}

void *__wrap_tern__malloc(size_t size)
{
    return fails() ? NULL : __real_tern__malloc(size);
}

void *__wrap_tern__calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_tern__calloc(count, size);
}

void *__wrap_tern__realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_tern__realloc(memory, size);
}

char *__wrap_tern__strdup(const char *text)
{
    return fails() ? NULL : __real_tern__strdup(text);
}

void *__wrap_tern__memdup(const void *data, size_t size)
{
    return fails() ? NULL : __real_tern__memdup(data, size);
}
