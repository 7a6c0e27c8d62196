/* Fuzzing the inflater: whatever the bytes, a result keeps to its limits, and what is damaged is never taken for whole.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "payload/gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FREE_BYTES = 64 << 10 };

static void inflate_any(tern__gzip *gzip, const uint8_t *data, size_t size, const tern__gzip_limits *limits)
{
    tern__buf *out = NULL;
    int rc = tern__gzip_inflate(gzip, data, size, limits, &out);
    assert(rc == 0 || rc == TERN_E_MALFORMED || rc == TERN_E_TOO_LARGE || rc == TERN_E_NOMEM);
    size_t by_ratio = size * limits->max_ratio > FREE_BYTES ? size * limits->max_ratio : FREE_BYTES;
    assert(out->cap <= limits->max_bytes && "its memory keeps to the limit, whatever comes");
    if (rc == 0) assert(tern__gzip_begins(data, size) && out->len <= limits->max_bytes && out->len <= by_ratio);
}

/* A member of the same bytes comes back as they were, within limits that just hold them; with one bit less it does not. */
static void round_trip(tern__gzip *gzip, tern__gzip *reader, const uint8_t *data, size_t size)
{
    tern__buf *member = NULL;
    tern__buf *out = NULL;
    tern__gzip_limits limits = {size != 0 ? size : 1, 1100};
    if (tern__gzip_deflate(gzip, data, size, size + 64, &member) != 0) abort(); /* deflate adds 5 bytes a block at most */
    int rc = tern__gzip_inflate(reader, member->data, member->len, &limits, &out);
    assert(rc == 0 && out->len == size && (size == 0 || memcmp(out->data, data, size) == 0));
    rc = tern__gzip_inflate(reader, member->data, member->len - 1, &limits, &out);
    assert(rc == TERN_E_MALFORMED && "a member that is cut is damaged");
    if (size < 2) return;
    limits.max_bytes = size - 1;
    rc = tern__gzip_inflate(reader, member->data, member->len, &limits, &out);
    assert(rc == TERN_E_TOO_LARGE && "one byte more than the limit is too much");
    limits.max_bytes = size;
    member->data[data[0] % member->len] ^= (uint8_t)(1u << (data[1] & 7));
    rc = tern__gzip_inflate(reader, member->data, member->len, &limits, &out);
    /* Some bits of the header (time, system, "text") say nothing of the content. */
    assert(rc != 0 || (out->len == size && memcmp(out->data, data, size) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tern__gzip_limits limits[] = {{1, 1}, {100, 200}, {4096, 1}, {1 << 20, 200}};
    tern__gzip *gzip = tern__gzip_new(6);
    tern__gzip *reader = tern__gzip_new(6);
    if (gzip != NULL && reader != NULL) { /* a build without zlib has none */
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
            inflate_any(reader, data, size, &limits[i]);
            if (size != 0) inflate_any(reader, data + 1, size - 1, &limits[i]);
        }
        round_trip(gzip, reader, data, size);
    }
    tern__gzip_free(gzip);
    tern__gzip_free(reader);
    return 0;
}
