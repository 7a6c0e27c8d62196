/* SHA-1 (FIPS 180-4) of a whole message.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/sha1.h"

#include <string.h>

enum { BLOCK = 64, LENGTH_BYTES = 8 };

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void expand(const uint8_t *block, uint32_t schedule[80])
{
    for (size_t t = 0; t < 16; t++, block += 4)
        schedule[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 |
                      (uint32_t)block[2] << 8 | block[3];
    for (size_t t = 16; t < 80; t++)
        schedule[t] =
            rotate(schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16], 1);
}

/* The function and constant of round t, section 4.1.1 and 4.2.1. */
static uint32_t mix(size_t t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20) return ((b & c) ^ (~b & d)) + 0x5A827999u;
    if (t < 40) return (b ^ c ^ d) + 0x6ED9EBA1u;
    if (t < 60) return ((b & c) ^ (b & d) ^ (c & d)) + 0x8F1BBCDCu;
    return (b ^ c ^ d) + 0xCA62C1D6u;
}

static void digest_block(uint32_t hash[5], const uint8_t *block)
{
    uint32_t schedule[80];
    uint32_t a = hash[0];
    uint32_t b = hash[1];
    uint32_t c = hash[2];
    uint32_t d = hash[3];
    uint32_t e = hash[4];
    expand(block, schedule);
    for (size_t t = 0; t < 80; t++) {
        uint32_t next = rotate(a, 5) + mix(t, b, c, d) + e + schedule[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

void tern__sha1(const void *data, size_t len, uint8_t digest[TERN__SHA1_LEN])
{
    uint32_t hash[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
    const uint8_t *at = data;
    uint8_t last[2 * BLOCK] = {0};
    size_t left = len;
    for (; left >= BLOCK; at += BLOCK, left -= BLOCK)
        digest_block(hash, at);
    if (left != 0) memcpy(last, at, left);
    last[left] = 0x80;
    size_t padded = left + 1 + LENGTH_BYTES <= BLOCK ? BLOCK : 2 * BLOCK;
    uint64_t bits = (uint64_t)len * 8;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        last[padded - 1 - i] = (uint8_t)(bits >> (8 * i));
    for (size_t done = 0; done < padded; done += BLOCK)
        digest_block(hash, last + done);
    for (size_t i = 0; i < TERN__SHA1_LEN; i++)
        digest[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}
