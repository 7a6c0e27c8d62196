/* HTTP/1.1 as far as a tunnel or an upgrade needs it: heads of answers are parsed strictly, heads
 * of requests written. Knows no stream.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_HTTP1_H
#define TERN_TRANSPORT_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/view.h"

enum { TERN__HTTP1_HEAD_MAX = 8192, TERN__HTTP1_HEADERS_MAX = 100 };

/* Places in the head's bytes. */
typedef struct tern__http1_header {
    uint16_t name;
    uint16_t name_len;
    uint16_t value;
    uint16_t value_len;
} tern__http1_header;

/* The head of an answer, whole or on its way. */
typedef struct tern__http1_head {
    int minor;         /* of the version: 0 or 1 */
    int status;        /* 100..599; 0 until the status line is there */
    tern__view reason; /* the phrase of the status line, maybe empty; points into bytes */
    size_t count;      /* headers[0..count) are known */
    size_t len;        /* bytes[0..len) came so far */
    size_t line;       /* where the line under way begins */
    bool foreign;      /* it does not begin as HTTP does: bytes tell what it may be */
    const char *why;   /* what is wrong with it, static; NULL while nothing is */
    tern__http1_header headers[TERN__HTTP1_HEADERS_MAX];
    uint8_t bytes[TERN__HTTP1_HEAD_MAX];
} tern__http1_head;

void tern__http1_head_init(tern__http1_head *head);
/* Takes more of the answer: 0: the head is whole, *used bytes belong to it; TERN_E_AGAIN: all were
 * used; TERN_E_MALFORMED: head->why says what is wrong. Not to be called after 0 or
 * TERN_E_MALFORMED. (RFC 9112 sections 2.2, 4, 5) */
int tern__http1_feed(tern__http1_head *head, const void *data, size_t len, size_t *used);

/* How many headers have this name (matched without case); *value is the first one's. */
size_t tern__http1_get(const tern__http1_head *head, const char *name, tern__view *value);
/* Whether a header of this name lists the token (both matched without case). */
bool tern__http1_lists(const tern__http1_head *head, const char *name, const char *token);
/* Whether a header of this name lists an element that begins with the word ("Basic realm=x"). */
bool tern__http1_offers(const tern__http1_head *head, const char *name, const char *word);
/* Whether the value is this text, without regard to case. */
bool tern__http1_is(tern__view value, const char *text);

/* What is wrong with a header to be sent, a static sentence; NULL where nothing is. */
const char *tern__http1_header_wrong(tern__view name, tern__view value);
/* The same of a request's target (a path with query, or host:port). */
const char *tern__http1_target_wrong(const char *target);
/* Appends a request's first line, a header, and the empty line to buf: 0, TERN_E_NOMEM, or
 * TERN_E_INVALID where the functions above find something wrong (nothing was appended then). */
int tern__http1_start(tern__buf *buf, const char *method, const char *target);
int tern__http1_header_add(tern__buf *buf, const char *name, tern__view value);
int tern__http1_end(tern__buf *buf);

/* Writes "name", "name:port" or "[address]:port" for a Host header or a tunnel's target; the port
 * is left out where it is 0. A zone is left out: it means nothing elsewhere (RFC 6874). */
void tern__http1_authority(const char *host, uint16_t port, char *text, size_t size);

#endif
