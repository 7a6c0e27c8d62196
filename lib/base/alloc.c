/* The only place where libtern takes memory from the system.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *tern__malloc(size_t size)
{
    return malloc(size != 0 ? size : 1);
}

void *tern__calloc(size_t count, size_t size)
{
    return calloc(count != 0 ? count : 1, size != 0 ? size : 1);
}

void *tern__realloc(void *memory, size_t size)
{
    return realloc(memory, size != 0 ? size : 1);
}

void tern__free(void *memory)
{
    free(memory);
}

void *tern__memdup(const void *data, size_t size)
{
    if (size == SIZE_MAX) return NULL;
    char *copy = tern__malloc(size + 1);
    if (copy == NULL) return NULL;
    if (size != 0) memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *tern__strdup(const char *text)
{
    return tern__memdup(text, strlen(text));
}

void tern__cleanse(void *memory, size_t size)
{
    volatile unsigned char *bytes = memory;
    while (size-- != 0) *bytes++ = 0;
}
