/* Base64 with padding.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

void tern__base64_encode(const void *data, size_t len, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = data;
    for (size_t at = 0; at < len; at += 3) {
        size_t have = len - at < 3 ? len - at : 3;
        uint32_t group = (uint32_t)in[at] << 16;
        if (have > 1) group |= (uint32_t)in[at + 1] << 8;
        if (have > 2) group |= in[at + 2];
        *text++ = digits[group >> 18];
        *text++ = digits[group >> 12 & 63];
        *text++ = have > 1 ? digits[group >> 6 & 63] : '=';
        *text++ = have > 2 ? digits[group & 63] : '=';
    }
    *text = '\0';
}

/* The value of a digit; -1 where it is none. */
static int value_of(char digit)
{
    if (digit >= 'A' && digit <= 'Z') return digit - 'A';
    if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9') return digit - '0' + 52;
    if (digit == '+') return 62;
    return digit == '/' ? 63 : -1;
}

bool tern__base64_decode(const char *text, size_t len, uint8_t *data, size_t *count, size_t *bad)
{
    size_t padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=') padding++;
    *count = 0;
    uint32_t group = 0;
    for (size_t at = 0; at < len - padding; at++) {
        int value = value_of(text[at]);
        *bad = at;
        if (value < 0) return false;
        group = group << 6 | (uint32_t)value;
        if (at % 4 == 0 || *count == TERN__BASE64_BYTES(len)) continue;
        data[(*count)++] = (uint8_t)(group >> (6 - at % 4 * 2));
    }
    *bad = len;
    if (len % 4 != 0) return false;
    *bad = len - padding;
    return padding == 0 || (group & (padding == 1 ? 3u : 15u)) == 0; /* bits that stand for nothing are 0 */
}
