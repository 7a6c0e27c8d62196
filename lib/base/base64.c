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
