/* One HTTP request and the head of its answer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/http_exchange.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/log.h"
#include "transport/handshake.h"

enum { INTERIM_MAX = 8, REASON_MAX = 50, QUOTE_MAX = 80 };

tern__http_exchange *tern__http_exchange_new(size_t room)
{
    tern__http_exchange *self = tern__malloc(sizeof *self);
    if (self == NULL) return NULL;
    tern__buf_init(&self->request);
    self->sent = 0;
    self->interim = 0;
    self->rest_at = self->rest_len = 0;
    tern__http1_head_init(&self->head);
    if (tern__buf_reserve(&self->request, room) == 0) return self;
    tern__free(self);
    return NULL;
}

static void forget_request(tern__http_exchange *self)
{
    if (self->request.cap != 0) tern__cleanse(self->request.data, self->request.cap);
    tern__buf_deinit(&self->request);
}

void tern__http_exchange_free(tern__http_exchange *exchange)
{
    if (exchange == NULL) return;
    forget_request(exchange);
    tern__free(exchange);
}

static int send_request(tern__http_exchange *self, tern__stream *below)
{
    while (self->sent < self->request.len) {
        size_t n = 0;
        tern__iov piece = {self->request.data + self->sent, self->request.len - self->sent};
        int rc = tern__stream_write(below, &piece, 1, &n);
        if (rc != 0) return rc;
        self->sent += n;
    }
    forget_request(self);
    self->sent = 0;
    return 0;
}

/* Answers before the answer: any but 101, which is one itself. */
static bool is_interim(int status)
{
    return status == 100 || status == 102 || status == 103;
}

/* Feeds what is in `rest` to the head. */
static int parse(tern__http_exchange *self)
{
    int rc = TERN_E_AGAIN;
    while (self->rest_at < self->rest_len && rc == TERN_E_AGAIN) {
        size_t used;
        rc = tern__http1_feed(&self->head, self->rest + self->rest_at,
                              self->rest_len - self->rest_at, &used);
        self->rest_at += used;
        if (rc != 0 || !is_interim(self->head.status)) continue;
        if (++self->interim > INTERIM_MAX) {
            self->head.why = "one preliminary answer after the other";
            return TERN_E_MALFORMED;
        }
        tern__http1_head_init(&self->head);
        rc = TERN_E_AGAIN;
    }
    return rc;
}

int tern__http_exchange_go(tern__http_exchange *exchange, tern__stream *below)
{
    int rc = exchange->request.len != 0 ? send_request(exchange, below) : 0;
    if (rc == TERN_E_AGAIN) return tern__handshake_wait(below, false);
    while (rc == 0) {
        size_t n = 0;
        rc = tern__stream_read(below, exchange->rest, sizeof exchange->rest, &n);
        if (rc != 0) break;
        exchange->rest_at = 0;
        exchange->rest_len = n;
        rc = parse(exchange);
        if (rc != TERN_E_AGAIN) return rc;
        rc = 0;
    }
    return rc == TERN_E_AGAIN ? tern__handshake_wait(below, true) : rc;
}

size_t tern__http_exchange_take(tern__http_exchange *exchange, void *data, size_t len)
{
    size_t n = exchange->rest_len - exchange->rest_at;
    if (n > len) n = len;
    memcpy(data, exchange->rest + exchange->rest_at, n);
    exchange->rest_at += n;
    return n;
}

/* ---- words ---- */

/* Reads on while there is something without waiting. */
static void read_body(tern__http_exchange *self, tern__stream *below)
{
    self->rest_len -= self->rest_at;
    memmove(self->rest, self->rest + self->rest_at, self->rest_len);
    self->rest_at = 0;
    while (self->rest_len < sizeof self->rest) {
        size_t n = 0;
        if (tern__stream_read(below, self->rest + self->rest_len,
                              sizeof self->rest - self->rest_len, &n) != 0)
            return;
        self->rest_len += n;
    }
}

/* Where the body's own first byte is: the size of a first chunk stands before it. */
static const uint8_t *body_of(const tern__http_exchange *self, const uint8_t *end)
{
    const uint8_t *at = self->rest + self->rest_at;
    if (tern__http1_lists(&self->head, "Transfer-Encoding", "chunked")) {
        const uint8_t *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        at = line != NULL ? line + 1 : end;
    }
    while (at < end && (*at == '\r' || *at == '\n' || *at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* The body's first line; "" where there is none to show. */
static void quote(tern__http_exchange *self, tern__stream *below, char *text, size_t size)
{
    text[0] = '\0';
    read_body(self, below);
    const uint8_t *end = self->rest + self->rest_len;
    const uint8_t *at = body_of(self, end);
    size_t len = 0;
    while (at + len < end && at[len] != '\r' && at[len] != '\n' && at[len] != '\0' &&
           len < QUOTE_MAX)
        len++;
    if (len != 0 && *at != '<') snprintf(text, size, ": \"%.*s\"", (int)len, (const char *)at);
}

void tern__http_exchange_refused(tern__http_exchange *exchange, tern__stream *below,
                                 const char *peer, const char *what, tern__stream_failure *failure)
{
    const tern__http1_head *head = &exchange->head;
    char reason[REASON_MAX + 2] = "";
    char body[QUOTE_MAX + 8];
    char *text = failure->text;
    const size_t size = sizeof failure->text;
    if (head->reason.len != 0)
        snprintf(reason, sizeof reason, " %.*s", (int)head->reason.len,
                 (const char *)head->reason.data);
    quote(exchange, below, body, sizeof body);
    int n = snprintf(text, size, "%.60s: %.100s with HTTP %d", peer, what, head->status);
    n += snprintf(text + n, size - (size_t)n, "%s", reason);
    if ((size_t)n < size) snprintf(text + n, size - (size_t)n, "%s", body);
    tern__log_clean(text);
    failure->http_status = head->status;
}

/* What speaks there instead of HTTP, by its first bytes; NULL where nobody knows. */
static const char *guess(const tern__http1_head *head)
{
    switch (head->bytes[0]) {
    case 0x15:
    case 0x16:
        return "it answers in TLS: use the scheme with TLS, or the port without it";
    case 0x05:
        return "it answers as a SOCKS5 proxy does: write socks5://";
    case 'S':
        return "it may be an SSH server: check the port";
    default:
        return NULL;
    }
}

static void describe_bad_answer(const tern__http1_head *head, const char *peer, const char *who,
                                const char *doing, tern__stream_failure *failure)
{
    const char *better = head->foreign ? guess(head) : NULL;
    snprintf(failure->text, sizeof failure->text, "%.100s: %s answered %s with %s: %s", peer, who,
             doing, head->foreign ? "something that is not HTTP" : "bad HTTP", head->why);
    if (better != NULL || !head->foreign)
        snprintf(failure->hint, sizeof failure->hint, "%s",
                 better != NULL ? better : "check that host and port are those of an HTTP server");
}

void tern__http_exchange_failed(const tern__http_exchange *exchange, const tern__stream *below,
                                int rc, const char *peer, const char *who, const char *doing,
                                tern__stream_failure *failure)
{
    if (rc == TERN_E_MALFORMED) {
        describe_bad_answer(&exchange->head, peer, who, doing, failure);
        return;
    }
    const tern__handshake_place place = {peer, who, doing, exchange->head.len != 0};
    tern__handshake_lost(&place, below, rc, failure);
}
