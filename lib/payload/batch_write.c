/* Writing a batch's JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "payload/batch.h"

static int append_text(tern__buf *out, const char *text)
{
    return tern__buf_append(out, text, strlen(text));
}

/* What JSON does not take as it is (RFC 8259 section 7). */
static int append_escaped(tern__buf *out, unsigned char c)
{
    char text[8];
    switch (c) {
    case '"': return append_text(out, "\\\"");
    case '\\': return append_text(out, "\\\\");
    case '\n': return append_text(out, "\\n");
    case '\r': return append_text(out, "\\r");
    case '\t': return append_text(out, "\\t");
    default: snprintf(text, sizeof text, "\\u%04x", c); return append_text(out, text);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* A string of UTF-8, in quotes; runs that need nothing go as they are. */
static int append_string(tern__buf *out, const unsigned char *data, size_t len)
{
    int rc = append_text(out, "\"");
    for (size_t at = 0; at < len && rc == 0;) {
        size_t end = at;
        while (end < len && is_plain(data[end])) end++;
        rc = tern__buf_append(out, data + at, end - at);
        if (rc == 0 && end < len) rc = append_escaped(out, data[end++]);
        at = end;
    }
    return rc == 0 ? append_text(out, "\"") : rc;
}

static int append_base64(tern__buf *out, const void *data, size_t len)
{
    int rc = append_text(out, "\"");
    if (rc == 0) rc = tern__buf_reserve(out, TERN__BASE64_SIZE(len));
    if (rc != 0) return rc;
    tern__base64_encode(data, len, (char *)out->data + out->len);
    out->len += TERN__BASE64_SIZE(len) - 1;
    return append_text(out, "\", \"encoding\": \"base64\"");
}

int tern__batch_write(tern__buf *out, const char *topic, const void *payload, size_t len, unsigned qos, uint64_t wall_us)
{
    char tail[80];
    size_t start = out->len;
    snprintf(tail, sizeof tail, ", \"qos\": %u, \"timestamp\": %" PRIu64 ".%06" PRIu64 "}", qos, wall_us / 1000000, wall_us % 1000000);
    int rc = append_text(out, "{\"topic\": ");
    if (rc == 0) rc = append_string(out, (const unsigned char *)topic, strlen(topic));
    if (rc == 0) rc = append_text(out, ", \"payload\": ");
    if (rc == 0) rc = len == 0 || tern__utf8_valid(payload, len) ? append_string(out, payload, len) : append_base64(out, payload, len);
    if (rc == 0) rc = append_text(out, tail);
    if (rc != 0) out->len = start;
    return rc;
}
