/* Looking for what makes text more than a plain topic name: the fast lane of checking topics.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_TOPIC_SCAN_H
#define TERN_CODEC_TOPIC_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TERN__EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Nonzero where one of eight bytes is NUL, '+', '#' or beyond ASCII. '+' and '#' differ in bit 3
 * alone. A borrow can mark a harmless byte only above one that is marked rightly, so the answer as
 * a whole is exact. */
static inline uint64_t tern__marks(uint64_t word)
{
    uint64_t wildcards = (word | TERN__EACH_BYTE(0x08)) ^ TERN__EACH_BYTE('+');
    return (word | (word - TERN__EACH_BYTE(1)) | (wildcards - TERN__EACH_BYTE(1))) &
           TERN__EACH_BYTE(0x80);
}

static inline uint64_t tern__load8(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint64_t tern__load4(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* tern__marks() of 1 to 7 bytes, some of them looked at twice. */
static inline uint64_t tern__short_marks(const uint8_t *p, size_t len)
{
    if (len >= 4) return tern__marks(tern__load4(p) | tern__load4(p + len - 4) << 32);
    uint64_t first = p[0];
    uint64_t middle = p[len / 2];
    uint64_t last = p[len - 1];
    return tern__marks(first | middle << 8 | last << 16 | TERN__EACH_BYTE('a') << 24);
}

/* Zero where the text is plain: ASCII without NUL and wildcards. len is not 0. */
static inline uint64_t tern__topic_marks(const uint8_t *p, size_t len)
{
    if (len < 8) return tern__short_marks(p, len);
    uint64_t found = tern__marks(tern__load8(p)) | tern__marks(tern__load8(p + len - 8));
    for (size_t i = 8; i + 8 < len; i += 8)
        found |= tern__marks(tern__load8(p + i));
    return found;
}

#endif
