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
    STEP = 16 << 10,
    DONE = 1 /* the member's end, and nothing behind it */
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

void tern__gzip_rest(tern__gzip *gzip)
{
    if (gzip->result.cap > KEEP_BYTES) tern__buf_deinit(&gzip->result);
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
    tern__gzip_rest(gzip);
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

size_t tern__gzip_bound(size_t len, const tern__gzip_limits *limits)
{
    size_t by_ratio = len > SIZE_MAX / limits->max_ratio ? SIZE_MAX : len * limits->max_ratio;
    if (by_ratio < FREE_BYTES) by_ratio = FREE_BYTES;
    return by_ratio < limits->max_bytes ? by_ratio : limits->max_bytes;
}

/* Room for more, never beyond the bound: old and new memory together are no more than twice that. */
static int make_room(tern__buf *result, size_t most)
{
    size_t cap = result->cap > most / 2 ? most : 2 * result->cap;
    if (cap < STEP) cap = most < STEP ? most : STEP;
    uint8_t *data = tern__realloc(result->data, cap);
    if (data == NULL) return TERN_E_NOMEM;
    result->data = data;
    result->cap = cap;
    return 0;
}

/* Runs zlib once, into the result's room, or into one byte beyond the bound that must stay empty. */
static int read_some(tern__gzip *gzip, size_t most)
{
    tern__buf *result = &gzip->result;
    Bytef beyond;
    size_t end = result->cap < most ? result->cap : most;
    bool is_full = result->len == most;
    gzip->in.next_out = is_full ? &beyond : result->data + result->len;
    gzip->in.avail_out = is_full ? 1 : (uInt)(end - result->len);
    size_t room = gzip->in.avail_out;
    int status = inflate(&gzip->in, Z_NO_FLUSH);
    size_t made = room - gzip->in.avail_out;
    if (is_full && made != 0) return TERN_E_TOO_LARGE;
    result->len += made;
    if (status == Z_STREAM_END) return gzip->in.avail_in == 0 ? DONE : TERN_E_MALFORMED;
    if (status == Z_MEM_ERROR) return TERN_E_NOMEM;
    if (status != Z_OK && status != Z_BUF_ERROR) return TERN_E_MALFORMED;
    bool is_cut = gzip->in.avail_in == 0 && gzip->in.avail_out != 0;
    return is_cut ? TERN_E_MALFORMED : 0;
}

int tern__gzip_inflate(tern__gzip *gzip, const void *data, size_t len, const tern__gzip_limits *limits, tern__buf **out)
{
    *out = &gzip->result;
    tern__gzip_rest(gzip);
    if (len > UINT32_MAX) return TERN_E_TOO_LARGE;
    size_t most = tern__gzip_bound(len, limits);
    int rc = start_reading(gzip);
    gzip->in.next_in = (Bytef *)(uintptr_t)data;
    gzip->in.avail_in = (uInt)len;
    while (rc == 0) {
        if (gzip->result.len == gzip->result.cap && gzip->result.len < most) rc = make_room(&gzip->result, most);
        if (rc == 0) rc = read_some(gzip, most);
    }
    return rc == DONE ? 0 : rc;
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

void tern__gzip_rest(tern__gzip *gzip)
{
    (void)gzip;
}

size_t tern__gzip_bound(size_t len, const tern__gzip_limits *limits)
{
    (void)len;
    return limits->max_bytes;
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
