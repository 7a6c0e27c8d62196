/* Bounds-checked reading of wire forms, with a sticky error; and the sets of packets that the
 * codec's tables speak in. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_WIRE_H
#define TERN_CODEC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "codec/packet.h"

enum { TERN__VARINT_MAX = 268435455 };

/* MQTT 5 reason codes that answer bad input. */
enum {
    TERN__REASON_MALFORMED = 0x81,
    TERN__REASON_PROTOCOL = 0x82,
    TERN__REASON_VERSION = 0x84,
    TERN__REASON_FILTER = 0x8F,
    TERN__REASON_TOPIC = 0x90,
    TERN__REASON_ALIAS = 0x94,
    TERN__REASON_TOO_LARGE = 0x95
};

/* A set of packets by sender: bits 0..15 are packet types sent by a client (0 = a will), 16..31 by
 * a server. */
#define TERN__BY_CLIENT(type) (UINT32_C(1) << (type))
#define TERN__BY_SERVER(type) (UINT32_C(1) << ((type) + 16))
#define TERN__BY_BOTH(type) (TERN__BY_CLIENT(type) | TERN__BY_SERVER(type))

static inline bool tern__set_has(uint32_t set, int type, tern__sender sender)
{
    return (set >> (type + (sender == TERN__FROM_SERVER ? 16 : 0)) & 1) != 0;
}

/* Reads from `at` towards `end`. After the first failure `error` is set, nothing is left to read,
 * and every further read gives 0 or an empty view; so callers may check once, behind several reads.
 */
typedef struct tern__cursor {
    const uint8_t *start; /* offsets of faults count from here */
    const uint8_t *at;
    const uint8_t *end;
    int error;
    tern__fault *fault; /* never NULL */
} tern__cursor;

static inline void tern__cursor_init(tern__cursor *cursor, const uint8_t *data, size_t len,
                                     tern__fault *fault)
{
    const uint8_t *end = len != 0 ? data + len : data; /* data may be NULL where there is nothing */
    *cursor = (tern__cursor){.start = data, .at = data, .end = end, .fault = fault};
}

static inline size_t tern__cursor_left(const tern__cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* Fills in a fault and gives the error that belongs to its reason. */
int tern__fault_set(tern__fault *fault, uint8_t reason, size_t offset, const char *rule);
/* Records the first fault, at the position given (NULL: the present one). */
void tern__cursor_fail(tern__cursor *cursor, uint8_t reason, const uint8_t *where,
                       const char *rule);

uint8_t tern__cursor_u8(tern__cursor *cursor);
uint16_t tern__cursor_u16(tern__cursor *cursor);
uint32_t tern__cursor_u32(tern__cursor *cursor);
uint32_t tern__cursor_varint(tern__cursor *cursor);
/* `len` bytes as they are. */
tern__view tern__cursor_bytes(tern__cursor *cursor, size_t len);
/* Two bytes of length, then that many; text is checked to be UTF-8. [MQTT5-1.5.4-1] [MQTT5-1.5.4-2]
 */
tern__view tern__cursor_binary(tern__cursor *cursor);
tern__view tern__cursor_text(tern__cursor *cursor);

/* Bytes of a variable byte integer; 0 beyond 268,435,455. [MQTT5-1.5.5-1] */
static inline size_t tern__varint_size(size_t value)
{
    return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : value <= TERN__VARINT_MAX ? 4 : 0;
}

static inline uint16_t tern__load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint8_t *tern__store_u16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
    return p + 2;
}

static inline uint8_t *tern__store_u32(uint8_t *p, uint32_t value)
{
    return tern__store_u16(tern__store_u16(p, value >> 16), value & 0xFFFF);
}

/* Copies what is mostly short: 8 to 32 bytes in two halves that may overlap, without a call. Also nothing from NULL. */
static inline uint8_t *tern__store_short(uint8_t *p, const uint8_t *from, size_t len)
{
    uint64_t first, last;
    if (len - 8 <= 8) {
        memcpy(&first, from, 8);
        memcpy(&last, from + len - 8, 8);
        memcpy(p, &first, 8);
        memcpy(p + len - 8, &last, 8);
    } else if (len - 16 <= 16) {
        memcpy(p, from, 16); /* fixed lengths: no calls */
        memcpy(p + len - 16, from + len - 16, 16);
    } else if (len != 0) {
        memcpy(p, from, len);
    }
    return p + len;
}

/* Copies, also nothing from NULL. */
static inline uint8_t *tern__store_bytes(uint8_t *p, const void *data, size_t len)
{
    if (len != 0) memcpy(p, data, len);
    return p + len;
}

#endif
