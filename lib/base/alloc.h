/* The only place where libtern takes memory from the system; tests wrap malloc at link time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_ALLOC_H
#define TERN_BASE_ALLOC_H

#include <stddef.h>

/* Each returns NULL when memory is exhausted; tern__free(NULL) does nothing. */
void *tern__malloc(size_t size);
void *tern__calloc(size_t count, size_t size);
void *tern__realloc(void *memory, size_t size);
void tern__free(void *memory);

/* Copies of `text` (NUL-terminated) and of `size` bytes; the copy has a NUL after its last byte. */
char *tern__strdup(const char *text);
void *tern__memdup(const void *data, size_t size);

/* Overwrites a secret in a way the compiler keeps. */
void tern__cleanse(void *memory, size_t size);

#endif
