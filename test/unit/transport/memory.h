/* The library's allocations, watched: they can run out, and what is given back must hold no secret.
 * For programs that are linked with --wrap of tern__malloc, tern__calloc, tern__realloc and
 * tern__free. Include it after cmocka.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_UNIT_TRANSPORT_MEMORY_H
#define TERN_TEST_UNIT_TRANSPORT_MEMORY_H

#include <malloc.h>
#include <stdbool.h>
#include <string.h>

static long allocations_left = -1; /* how many still succeed; -1 all */
static const char *secrets[3];     /* texts that no freed block may hold */
static unsigned leaked_secrets;    /* blocks that did */

void *__real_tern__malloc(size_t size);
void *__real_tern__calloc(size_t count, size_t size);
void *__real_tern__realloc(void *memory, size_t size);
void __real_tern__free(void *memory);
void *__wrap_tern__malloc(size_t size);
void *__wrap_tern__calloc(size_t count, size_t size);
void *__wrap_tern__realloc(void *memory, size_t size);
void __wrap_tern__free(void *memory);

static bool memory_is_short(void)
{
    if (allocations_left == 0) return true;
    if (allocations_left > 0) allocations_left--;
    return false;
}

static void look_for_secrets(void *memory)
{
    for (size_t i = 0; memory != NULL && i < sizeof secrets / sizeof secrets[0]; i++)
        if (secrets[i] != NULL &&
            memmem(memory, malloc_usable_size(memory), secrets[i], strlen(secrets[i])) != NULL)
            leaked_secrets++;
}

void *__wrap_tern__malloc(size_t size)
{
    return memory_is_short() ? NULL : __real_tern__malloc(size);
}

void *__wrap_tern__calloc(size_t count, size_t size)
{
    return memory_is_short() ? NULL : __real_tern__calloc(count, size);
}

/* A block that grows may move, and leave its bytes behind. */
void *__wrap_tern__realloc(void *memory, size_t size)
{
    if (memory_is_short()) return NULL;
    look_for_secrets(memory);
    return __real_tern__realloc(memory, size);
}

void __wrap_tern__free(void *memory)
{
    look_for_secrets(memory);
    __real_tern__free(memory);
}

#endif
