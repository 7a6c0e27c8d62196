/* gzip members in memory (RFC 1952): made the same way each time, and read without trusting what they say of themselves.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PAYLOAD_GZIP_H
#define TERN_PAYLOAD_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Working memory of zlib, some 270 KB for writing and 40 KB for reading, made when first needed and used again. */
typedef struct tern__gzip tern__gzip;

tern__gzip *tern__gzip_new(int level); /* NULL where memory ran out */
void tern__gzip_free(tern__gzip *gzip);

/* Gives a large result's memory back, before the state waits for the next message. */
void tern__gzip_rest(tern__gzip *gzip);

/* Whether the bytes begin as a gzip member does. */
bool tern__gzip_begins(const void *data, size_t len);
/* Whether they begin as what compressing again does not make smaller: gzip, zstd, JPEG, PNG. */
bool tern__gzip_is_pointless(const void *data, size_t len);

/* Compresses to at most `most` bytes: 0, TERN_E_TOO_LARGE (it takes more), TERN_E_NOMEM. The result is gzip's until it is
 * used again. The same data gives the same bytes: no time, no name, no system in the header. */
int tern__gzip_deflate(tern__gzip *gzip, const void *data, size_t len, size_t most, tern__buf **out);

/* Bounds of what a member may become. */
typedef struct tern__gzip_limits {
    size_t max_bytes;
    uint32_t max_ratio; /* times its size, beyond 64 KiB */
} tern__gzip_limits;

/* What a member of so many bytes may become at most. */
size_t tern__gzip_bound(size_t len, const tern__gzip_limits *limits);

/* Inflates exactly one member: 0, TERN_E_MALFORMED (broken, cut, something behind it, checksum), TERN_E_TOO_LARGE (a limit),
 * TERN_E_NOMEM. Never holds more than twice the limit. The result is gzip's until it is used again. */
int tern__gzip_inflate(tern__gzip *gzip, const void *data, size_t len, const tern__gzip_limits *limits, tern__buf **out);

/* CRC-32 of zlib and gzip. */
uint32_t tern__gzip_crc32(const void *data, size_t len);

#endif
