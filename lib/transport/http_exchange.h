/* One HTTP request and the head of its answer, over a stream: what an upgrade and a tunnel begin
 * with.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_HTTP_EXCHANGE_H
#define TERN_TRANSPORT_HTTP_EXCHANGE_H

#include "transport/http1.h"
#include "transport/stream.h"

enum { TERN__HTTP_REST_MAX = 4096 };

typedef struct tern__http_exchange {
    tern__buf request; /* cleansed once it is sent: it may hold credentials */
    size_t sent;
    unsigned interim; /* answers of class 1xx that were passed over */
    tern__http1_head head;
    /* What came with the head: rest[rest_at..rest_len) is the first of what follows it. */
    size_t rest_at;
    size_t rest_len;
    uint8_t rest[TERN__HTTP_REST_MAX];
} tern__http_exchange;

/* Makes an exchange whose request has room for `room` bytes, so that no copy of a credential is
 * left behind by growing; NULL where memory is short. */
tern__http_exchange *tern__http_exchange_new(size_t room);
void tern__http_exchange_free(tern__http_exchange *exchange); /* NULL does nothing */

/* Goes on. 0: head is whole; answers 100, 102 and 103 were passed over. TERN_E_AGAIN: `below` is
 * watched for what is wanted next. TERN_E_MALFORMED: head.why says. Else what `below` answered; the
 * peer's end is TERN_E_CONNECTION_LOST. */
int tern__http_exchange_go(tern__http_exchange *exchange, tern__stream *below);

/* Copies up to len bytes of the rest; returns their number. */
size_t tern__http_exchange_take(tern__http_exchange *exchange, void *data, size_t len);
static inline bool tern__http_exchange_has_rest(const tern__http_exchange *exchange)
{
    return exchange != NULL && exchange->rest_at < exchange->rest_len;
}

/* Fills the text and the HTTP status of a failure: an answer that says no, with its reason and the
 * first line of its body, as far as that is there without waiting and is no page of HTML. `what` is
 * what was answered: "the proxy answers CONNECT". */
void tern__http_exchange_refused(tern__http_exchange *exchange, tern__stream *below,
                                 const char *peer, const char *what, tern__stream_failure *failure);

/* Fills the text of a failure that go() answered, and what else is known of it. The caller has set
 * error, step and the hint for an answer that never came. `peer` is host and port, `who` "the
 * proxy", `doing` "the WebSocket upgrade". */
void tern__http_exchange_failed(const tern__http_exchange *exchange, const tern__stream *below,
                                int rc, const char *peer, const char *who, const char *doing,
                                tern__stream_failure *failure);

#endif
