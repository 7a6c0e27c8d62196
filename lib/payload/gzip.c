/* gzip members in memory, by zlib.
 * SPDX-License-Identifier: Apache-2.0 */
#include "payload/gzip.h"

#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"

#ifdef TERN_WITH_ZLIB

#include <zlib.h>

enum {
    GZIP_WRAPPER = 15 + 16, /* the largest window, and a gzip header and trailer */
    MEMORY = 8,
    UNKNOWN_SYSTEM = 255,
    FREE_BYTES = 64 << 10, /* what a member may become whatever its size */
    KEEP_BYTES = 1 << 20,  /* of a result's memory, for the next one */
    STEP = 16 << 10
};

struct tern__gzip {
    int level;
    bool writes; /* `out` is set up */
    bool reads;  /* `in` is */
    z_stream out;
    z_stream in;
    gz_header header;
    tern__buf result;
};

static void *allocate(void *unused, unsigned count, unsigned size)
{
    (void)unused;
    return tern__calloc(count, size);
}

static void release(void *unused, void *memory)
{
    (void)unused;
    tern__free(memory);
}

tern__gzip *tern__gzip_new(int level)
{
    tern__gzip *gzip = tern__calloc(1, sizeof *gzip);
    if (gzip == NULL) return NULL;
    gzip->level = level;
    gzip->header.os = UNKNOWN_SYSTEM;
    tern__buf_init(&gzip->result);
    gzip->out.zalloc = gzip->in.zalloc = allocate;
    gzip->out.zfree = gzip->in.zfree = release;
    return gzip;
}

void tern__gzip_free(tern__gzip *gzip)
{
    if (gzip == NULL) return;
    if (gzip->writes) (void)deflateEnd(&gzip->out);
    if (gzip->reads) (void)inflateEnd(&gzip->in);
    tern__buf_deinit(&gzip->result);
    tern__free(gzip);
}

/* An empty result, which does not hold much memory for longer than one message. */
static void start_result(tern__gzip *gzip)
{
    if (gzip->result.cap > KEEP_BYTES) {
        tern__buf_deinit(&gzip->result);
        tern__buf_init(&gzip->result);
    }
    tern__buf_clear(&gzip->result);
}

static int start_writing(tern__gzip *gzip)
{
    int rc = gzip->writes ? deflateReset(&gzip->out)
                          : deflateInit2(&gzip->out, gzip->level, Z_DEFLATED, GZIP_WRAPPER, MEMORY, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) return TERN_E_NOMEM;
    gzip->writes = true;
    return deflateSetHeader(&gzip->out, &gzip->header) == Z_OK ? 0 : TERN_E_NOMEM;
}

int tern__gzip_deflate(tern__gzip *gzip, const void *data, size_t len, size_t most, tern__buf **out)
{
    *out = &gzip->result;
    start_result(gzip);
    if (len > UINT32_MAX || most > UINT32_MAX) return TERN_E_TOO_LARGE;
    int rc = start_writing(gzip);
    if (rc == 0) rc = tern__buf_reserve(&gzip->result, most + 1);
    if (rc != 0) return rc;
    gzip->out.next_in = (Bytef *)(uintptr_t)data;
    gzip->out.avail_in = (uInt)len;
    gzip->out.next_out = gzip->result.data;
    gzip->out.avail_out = (uInt)most;
    if (deflate(&gzip->out, Z_FINISH) != Z_STREAM_END) return TERN_E_TOO_LARGE;
    gzip->result.len = most - gzip->out.avail_out;
    return 0;
}

static int start_reading(tern__gzip *gzip)
{
    int rc = gzip->reads ? inflateReset(&gzip->in) : inflateInit2(&gzip->in, GZIP_WRAPPER);
    if (rc != Z_OK) return TERN_E_NOMEM;
    gzip->reads = true;
    return 0;
}

/* What a member of so many bytes may become at most. */
static size_t bound(size_t len, const tern__gzip_limits *limits)
{
    size_t by_ratio = len > SIZE_MAX / limits->max_ratio ? SIZE_MAX : len * limits->max_ratio;
    if (by_ratio < FREE_BYTES) by_ratio = FREE_BYTES;
    return by_ratio < limits->max_bytes ? by_ratio : limits->max_bytes;
}

/* Room for more, up to one byte beyond the bound: what takes that byte is too large. */
static int make_room(tern__buf *result, size_t most)
{
    if (result->len > most) return TERN_E_TOO_LARGE;
    size_t more = result->len < STEP ? STEP : result->len;
    if (more > most + 1 - result->len) more = most + 1 - result->len;
    return tern__buf_reserve(result, more);
}

int tern__gzip_inflate(tern__gzip *gzip, const void *data, size_t len, const tern__gzip_limits *limits, tern__buf **out)
{
    *out = &gzip->result;
    start_result(gzip);
    if (len > UINT32_MAX) return TERN_E_TOO_LARGE;
    int rc = start_reading(gzip);
    size_t most = bound(len, limits);
    z_stream *in = &gzip->in;
    tern__buf *result = &gzip->result;
    in->next_in = (Bytef *)(uintptr_t)data;
    in->avail_in = (uInt)len;
    while (rc == 0) {
        rc = make_room(result, most);
        if (rc != 0) break;
        size_t room = result->cap - result->len;
        if (room > most + 1 - result->len) room = most + 1 - result->len;
        in->next_out = result->data + result->len;
        in->avail_out = (uInt)room;
        int end = inflate(in, Z_NO_FLUSH);
        result->len += room - in->avail_out;
        if (result->len > most) return TERN_E_TOO_LARGE;
        if (end == Z_STREAM_END) return in->avail_in == 0 ? 0 : TERN_E_MALFORMED;
        if (end == Z_MEM_ERROR) return TERN_E_NOMEM;
        if (end != Z_OK && end != Z_BUF_ERROR) return TERN_E_MALFORMED;
        if (in->avail_in == 0 && in->avail_out != 0) return TERN_E_MALFORMED; /* cut */
    }
    return rc;
}

uint32_t tern__gzip_crc32(const void *data, size_t len)
{
    return (uint32_t)crc32_z(0, data, len);
}

#else

tern__gzip *tern__gzip_new(int level)
{
    (void)level;
    return NULL;
}

void tern__gzip_free(tern__gzip *gzip)
{
    (void)gzip;
}

int tern__gzip_deflate(tern__gzip *gzip, const void *data, size_t len, size_t most, tern__buf **out)
{
    (void)gzip, (void)data, (void)len, (void)most, (void)out;
    return TERN_E_UNSUPPORTED;
}

int tern__gzip_inflate(tern__gzip *gzip, const void *data, size_t len, const tern__gzip_limits *limits, tern__buf **out)
{
    (void)gzip, (void)data, (void)len, (void)limits, (void)out;
    return TERN_E_UNSUPPORTED;
}

uint32_t tern__gzip_crc32(const void *data, size_t len)
{
    (void)data, (void)len;
    return 0;
}

#endif

static bool begins_with(const void *data, size_t len, const char *magic, size_t magic_len)
{
    return len >= magic_len && memcmp(data, magic, magic_len) == 0;
}

bool tern__gzip_begins(const void *data, size_t len)
{
    return begins_with(data, len, "\x1f\x8b\x08", 3);
}

bool tern__gzip_is_pointless(const void *data, size_t len)
{
    return begins_with(data, len, "\x1f\x8b", 2) || begins_with(data, len, "\x28\xb5\x2f\xfd", 4) ||
           begins_with(data, len, "\xff\xd8\xff", 3) || begins_with(data, len, "\x89PNG\r\n\x1a\n", 8);
}
