/* A growable byte buffer that is appended to at its end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"

void tern__buf_init(tern__buf *buf)
{
    memset(buf, 0, sizeof *buf);
}

void tern__buf_deinit(tern__buf *buf)
{
    tern__free(buf->data);
    tern__buf_init(buf);
}

int tern__buf_reserve(tern__buf *buf, size_t more)
{
    if (more <= buf->cap - buf->len) return 0;
    if (more > SIZE_MAX / 2 - buf->len) return TERN_E_NOMEM;
    size_t cap = buf->cap != 0 ? buf->cap : 64;
    while (cap - buf->len < more) cap *= 2;
    uint8_t *data = tern__realloc(buf->data, cap);
    if (data == NULL) return TERN_E_NOMEM;
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int tern__buf_append(tern__buf *buf, const void *data, size_t len)
{
    int rc = tern__buf_reserve(buf, len);
    if (rc != 0) return rc;
    if (len != 0) memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

void tern__buf_consume(tern__buf *buf, size_t n)
{
    assert(n <= buf->len && "only what is in the buffer can be consumed");
    if (n != buf->len) memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
}
