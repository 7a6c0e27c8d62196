/* Percent-encoding of text in topics, user names and tokens.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cloud/percent.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

static bool is_unreserved(char c)
{
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || c == '-' || c == '.' || c == '_' || c == '~';
}

int tern__percent_encode(tern__buf *out, const char *text, size_t len, const char *keep)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t before = out->len;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = is_unreserved(text[i]) || (c != '\0' && strchr(keep, text[i]) != NULL);
        const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        int rc = plain ? tern__buf_append(out, &text[i], 1) : tern__buf_append(out, escape, sizeof escape);
        if (rc == 0) continue;
        out->len = before;
        return rc;
    }
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes in place; the new length, or SIZE_MAX where an escape is broken. */
static size_t decode(char *text, size_t len)
{
    size_t to = 0;
    for (size_t from = 0; from < len; from++) {
        if (text[from] != '%') {
            text[to++] = text[from];
            continue;
        }
        int high = from + 2 < len ? hex_value(text[from + 1]) : -1;
        int low = from + 2 < len ? hex_value(text[from + 2]) : -1;
        if (high < 0 || low < 0) return SIZE_MAX;
        text[to++] = (char)(high << 4 | low);
        from += 2;
    }
    return to;
}

int tern__percent_decode(tern__buf *out, const char *text, size_t len)
{
    int rc = tern__buf_append(out, text, len);
    if (rc != 0 || len == 0) return rc;
    char *copy = (char *)out->data + out->len - len;
    size_t left = decode(copy, len);
    if (left != SIZE_MAX && tern__utf8_valid(copy, left)) {
        out->len -= len - left;
    } else {
        memcpy(copy, text, len); /* it was decoded in part */
    }
    return 0;
}
