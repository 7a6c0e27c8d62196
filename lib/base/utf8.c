/* UTF-8 as MQTT wants it: well-formed, no surrogates, no U+0000.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the sequence that starts at p with `left` bytes to go; 0 where it is ill-formed. */
static size_t sequence(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    size_t len = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (len == 0 || len > left) return 0;
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    if (lead == 0xE0) low = 0xA0;  /* overlong */
    if (lead == 0xED) high = 0x9F; /* surrogates */
    if (lead == 0xF0) low = 0x90;  /* overlong */
    if (lead == 0xF4) high = 0x8F; /* beyond U+10FFFF */
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return len;
}

bool tern__utf8_valid(const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        while (len - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            /* A byte that is 0 or has its top bit set ends the fast lane. */
            if (((word | (word - 0x0101010101010101u)) & 0x8080808080808080u) != 0) break;
            i += sizeof word;
        }
        if (i == len) break;
        if (p[i] == 0) return false;
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        size_t step = sequence(p + i, len - i);
        if (step == 0) return false;
        i += step;
    }
    return true;
}
