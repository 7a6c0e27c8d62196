/* Allocations that fail when a test says so: see failing.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/failing.h"

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *__real_tern__malloc(size_t size);
void *__real_tern__calloc(size_t count, size_t size);
void *__real_tern__realloc(void *memory, size_t size);
void __real_tern__free(void *memory);
char *__real_tern__strdup(const char *text);
void *__real_tern__memdup(const void *data, size_t size);
void *__wrap_tern__malloc(size_t size);
void *__wrap_tern__calloc(size_t count, size_t size);
void *__wrap_tern__realloc(void *memory, size_t size);
void __wrap_tern__free(void *memory);
char *__wrap_tern__strdup(const char *text);
void *__wrap_tern__memdup(const void *data, size_t size);

static _Thread_local bool armed;
static _Thread_local bool failed;
static _Thread_local long left;
static _Thread_local const char *watched;
static _Thread_local unsigned seen;

static bool fails(void)
{
    if (!armed || left-- != 0) return false;
    armed = false;
    failed = true;
    return true;
}

void failing_arm(long after)
{
    armed = true;
    failed = false;
    left = after;
}

bool failing_disarm(void)
{
    armed = false;
    return failed;
}

unsigned failing_watch(const char *secret)
{
    const unsigned count = seen;
    watched = secret;
    seen = 0;
    return count;
}

static void look(const void *memory)
{
    if (watched == NULL || memory == NULL) return;
    const size_t size = malloc_usable_size((void *)(uintptr_t)memory);
    if (memmem(memory, size, watched, strlen(watched)) != NULL) seen++;
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

void __wrap_tern__free(void *memory)
{
    look(memory);
    __real_tern__free(memory);
}

char *__wrap_tern__strdup(const char *text)
{
    return fails() ? NULL : __real_tern__strdup(text);
}

void *__wrap_tern__memdup(const void *data, size_t size)
{
    return fails() ? NULL : __real_tern__memdup(data, size);
}
