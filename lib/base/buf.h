/* A growable byte buffer that is appended to at its end.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_BUF_H
#define TERN_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

/* data holds cap bytes of which len are in use; data is NULL exactly while cap is 0. */
typedef struct tern__buf {
    uint8_t *data;
    size_t len;
    size_t cap;
} tern__buf;

void tern__buf_init(tern__buf *buf);
void tern__buf_deinit(tern__buf *buf);
/* Room for `more` further bytes: 0, or TERN_E_NOMEM with the buffer as it was. Grows by doubling. */
int tern__buf_reserve(tern__buf *buf, size_t more);
/* Appends; 0 or TERN_E_NOMEM with the buffer as it was. */
int tern__buf_append(tern__buf *buf, const void *data, size_t len);
/* Removes the first n bytes (moves the rest down). */
void tern__buf_consume(tern__buf *buf, size_t n);
static inline void tern__buf_clear(tern__buf *buf)
{
    buf->len = 0;
}

#endif
