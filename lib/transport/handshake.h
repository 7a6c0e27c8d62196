/* What the opening handshakes of filters share: words for a stream that ended before its time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_HANDSHAKE_H
#define TERN_TRANSPORT_HANDSHAKE_H

#include "transport/stream.h"

/* Where a handshake is, for texts. */
typedef struct tern__handshake_place {
    const char *peer;  /* host and port */
    const char *who;   /* "the proxy" */
    const char *doing; /* "the WebSocket upgrade" */
    bool answered;     /* the first bytes of an answer came */
} tern__handshake_place;

/* A read or write below answered rc, which is neither 0 nor TERN_E_AGAIN: fills the text, and what
 * else is known. The caller has set error, step and the hint for an answer that never came. */
void tern__handshake_lost(const tern__handshake_place *place, const tern__stream *below, int rc,
                          tern__stream_failure *failure);

/* Sets what `below` watches for while a handshake waits: TERN_E_AGAIN, or why that failed. */
int tern__handshake_wait(tern__stream *below, bool read);

#endif
