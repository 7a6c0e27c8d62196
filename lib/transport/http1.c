/* HTTP/1.1 heads. Lines end with CR LF and nothing else, names are tokens, and lines are not
 * folded: what two readers may understand in two ways is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/http1.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <tern/error.h>

static const char MAGIC[] = "HTTP/1.";
enum { MAGIC_LEN = sizeof MAGIC - 1, STATUS_LINE_MIN = MAGIC_LEN + 5 /* "1 200" */ };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_token(uint8_t c)
{
    uint8_t lower = (uint8_t)(c | 0x20);
    return is_digit(c) || (lower >= 'a' && lower <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* HTAB, visible ASCII with the space, and bytes beyond ASCII, which mean nothing to us. */
static bool is_text(uint8_t c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

static bool all_text(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_text(data[i])) return false;
    return true;
}

static bool all_token(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_token(data[i])) return false;
    return len != 0;
}

/* Without the spaces and tabs around it. */
static tern__view trim(tern__view text)
{
    while (text.len != 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len != 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* ---- reading ---- */

void tern__http1_head_init(tern__http1_head *head)
{
    head->minor = 0;
    head->status = 0;
    head->reason = (tern__view){NULL, 0};
    head->count = 0;
    head->len = 0;
    head->line = 0;
    head->foreign = false;
    head->why = NULL;
}

static int refuse(tern__http1_head *head, const char *why)
{
    head->why = why;
    return TERN_E_MALFORMED;
}

/* "HTTP/1.1 200 OK". The space after the code is left out by some where no reason follows. */
static int take_status_line(tern__http1_head *head, const uint8_t *line, size_t len)
{
    const uint8_t *code = line + MAGIC_LEN + 2;
    if (len < STATUS_LINE_MIN || (line[MAGIC_LEN] != '0' && line[MAGIC_LEN] != '1') ||
        line[MAGIC_LEN + 1] != ' ')
        return refuse(head, "the status line is not one of HTTP/1.1");
    if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) ||
        (len > STATUS_LINE_MIN && code[3] != ' '))
        return refuse(head, "the status is not a number of three digits");
    int status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    if (status < 100 || status > 599) return refuse(head, "the status is not within 100 and 599");
    size_t skip = len > STATUS_LINE_MIN ? STATUS_LINE_MIN + 1 : STATUS_LINE_MIN;
    if (!all_text(line + skip, len - skip))
        return refuse(head, "a control character in the status line");
    head->minor = line[MAGIC_LEN] - '0';
    head->status = status;
    head->reason = trim((tern__view){line + skip, len - skip});
    return TERN_E_AGAIN;
}

static int take_header(tern__http1_head *head, const uint8_t *line, size_t len)
{
    if (line[0] == ' ' || line[0] == '\t')
        return refuse(head, "a header that goes on in a second line");
    if (head->count == TERN__HTTP1_HEADERS_MAX) return refuse(head, "more than 100 headers");
    const uint8_t *colon = memchr(line, ':', len);
    if (colon == NULL) return refuse(head, "a header without a colon");
    size_t name_len = (size_t)(colon - line);
    if (!all_token(line, name_len)) return refuse(head, "a header's name that is no token");
    tern__view value = {colon + 1, len - name_len - 1};
    if (!all_text(value.data, value.len))
        return refuse(head, "a control character in a header's value");
    value = trim(value);
    tern__http1_header *header = &head->headers[head->count++];
    header->name = (uint16_t)head->line;
    header->name_len = (uint16_t)name_len;
    header->value = (uint16_t)(value.data - head->bytes);
    header->value_len = (uint16_t)value.len;
    return TERN_E_AGAIN;
}

/* The line under way has its CR LF. */
static int take_line(tern__http1_head *head)
{
    const uint8_t *line = head->bytes + head->line;
    size_t len = head->len - head->line - 2;
    int rc = TERN_E_AGAIN;
    if (head->line == 0) {
        rc = take_status_line(head, line, len);
    } else if (len == 0) {
        rc = 0;
    } else {
        rc = take_header(head, line, len);
    }
    head->line = head->len;
    return rc;
}

static int take_byte(tern__http1_head *head, uint8_t byte)
{
    uint8_t before = head->len != 0 ? head->bytes[head->len - 1] : 0;
    if (head->len == TERN__HTTP1_HEAD_MAX) return refuse(head, "the head is longer than 8 KiB");
    head->bytes[head->len++] = byte;
    if (head->len <= MAGIC_LEN && byte != (uint8_t)MAGIC[head->len - 1]) {
        head->foreign = true;
        return refuse(head, "it does not begin with HTTP/1.");
    }
    if (before == '\r' && byte != '\n') return refuse(head, "a CR without its LF");
    if (byte == '\n') return before == '\r' ? take_line(head) : refuse(head, "a LF without its CR");
    if (byte == '\0') return refuse(head, "a NUL byte");
    return TERN_E_AGAIN;
}

int tern__http1_feed(tern__http1_head *head, const void *data, size_t len, size_t *used)
{
    const uint8_t *bytes = data;
    int rc = TERN_E_AGAIN;
    size_t at = 0;
    while (at < len && rc == TERN_E_AGAIN)
        rc = take_byte(head, bytes[at++]);
    *used = at;
    return rc;
}

/* ---- asking ---- */

static tern__view name_of(const tern__http1_head *head, size_t i)
{
    return (tern__view){head->bytes + head->headers[i].name, head->headers[i].name_len};
}

static tern__view value_of(const tern__http1_head *head, size_t i)
{
    return (tern__view){head->bytes + head->headers[i].value, head->headers[i].value_len};
}

bool tern__http1_is(tern__view value, const char *text)
{
    return value.len == strlen(text) &&
           (value.len == 0 || strncasecmp((const char *)value.data, text, value.len) == 0);
}

size_t tern__http1_get(const tern__http1_head *head, const char *name, tern__view *value)
{
    size_t found = 0;
    *value = (tern__view){NULL, 0};
    for (size_t i = 0; i < head->count; i++) {
        if (!tern__http1_is(name_of(head, i), name)) continue;
        if (found++ == 0) *value = value_of(head, i);
    }
    return found;
}

/* The first word of the text. */
static tern__view first_word(tern__view text)
{
    size_t len = 0;
    while (len < text.len && text.data[len] != ' ' && text.data[len] != '\t')
        len++;
    return (tern__view){text.data, len};
}

/* Whether an element of the list is the word, or begins with it. */
static bool value_lists(tern__view value, const char *word, bool begins)
{
    while (value.len != 0) {
        const uint8_t *comma = memchr(value.data, ',', value.len);
        size_t len = comma != NULL ? (size_t)(comma - value.data) : value.len;
        tern__view element = trim((tern__view){value.data, len});
        if (tern__http1_is(begins ? first_word(element) : element, word)) return true;
        size_t step = comma != NULL ? len + 1 : len;
        value.data += step;
        value.len -= step;
    }
    return false;
}

static bool any_lists(const tern__http1_head *head, const char *name, const char *word, bool begins)
{
    for (size_t i = 0; i < head->count; i++)
        if (tern__http1_is(name_of(head, i), name) && value_lists(value_of(head, i), word, begins))
            return true;
    return false;
}

bool tern__http1_lists(const tern__http1_head *head, const char *name, const char *token)
{
    return any_lists(head, name, token, false);
}

bool tern__http1_offers(const tern__http1_head *head, const char *name, const char *word)
{
    return any_lists(head, name, word, true);
}

/* ---- writing ---- */

const char *tern__http1_header_wrong(tern__view name, tern__view value)
{
    if (name.len == 0) return "a header without a name";
    if (!all_token(name.data, name.len))
        return "a header's name holds a character that HTTP does not allow there";
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '\r' || value.data[i] == '\n')
            return "a header's value holds a line end";
        if (value.data[i] == '\0') return "a header's value holds a NUL byte";
    }
    return all_text(value.data, value.len) ? NULL : "a header's value holds a control character";
}

const char *tern__http1_target_wrong(const char *target)
{
    if (*target == '\0') return "the path is empty";
    for (const char *at = target; *at != '\0'; at++) {
        if (*at == '\r' || *at == '\n') return "the path holds a line end";
        if (*at == ' ') return "the path holds a space; write it as %20";
        if ((unsigned char)*at < 0x20 || *at == 0x7F) return "the path holds a control character";
        if ((unsigned char)*at >= 0x80)
            return "the path holds a character beyond ASCII; write its UTF-8 bytes as %XX";
        if (*at == '#') return "the path holds a fragment ('#'), which is not for the server";
    }
    return NULL;
}

static int append_all(tern__buf *buf, const tern__view *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    int rc = tern__buf_reserve(buf, len);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = tern__buf_append(buf, parts[i].data, parts[i].len);
    return rc;
}

static tern__view view_of(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

int tern__http1_start(tern__buf *buf, const char *method, const char *target)
{
    if (tern__http1_target_wrong(target) != NULL) return TERN_E_INVALID;
    const tern__view parts[] = {view_of(method), view_of(" "), view_of(target),
                                view_of(" HTTP/1.1\r\n")};
    return append_all(buf, parts, sizeof parts / sizeof parts[0]);
}

int tern__http1_header_add(tern__buf *buf, const char *name, tern__view value)
{
    if (tern__http1_header_wrong(view_of(name), value) != NULL) return TERN_E_INVALID;
    const tern__view parts[] = {view_of(name), view_of(": "), value, view_of("\r\n")};
    return append_all(buf, parts, sizeof parts / sizeof parts[0]);
}

int tern__http1_end(tern__buf *buf)
{
    return tern__buf_append(buf, "\r\n", 2);
}

void tern__http1_authority(const char *host, uint16_t port, char *text, size_t size)
{
    bool ipv6 = strchr(host, ':') != NULL;
    int len = (int)(ipv6 ? strcspn(host, "%") : strlen(host));
    int n = snprintf(text, size, ipv6 ? "[%.*s]" : "%.*s", len, host);
    if (port != 0 && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ":%u", (unsigned)port);
}
