/* Connecting: from a URL to an open stream, one attempt: the race for a socket, then the proxy, TLS and WebSocket, each a
 * filter that opens on top of the one before. Runs on the loop's thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_CONNECT_H
#define TERN_TRANSPORT_CONNECT_H

#include <stdint.h>
#include <tern/event.h>

#include "platform/poller.h"
#include "platform/resolve.h"
#include "platform/socket.h"
#include "transport/http_proxy.h"
#include "transport/stream.h"
#include "transport/tls.h"
#include "transport/uri.h"
#include "transport/websocket.h"

typedef struct tern__connect tern__connect;

/* What an attempt needs; all of it stays as it is until the attempt has ended. */
typedef struct tern__connect_plan {
    const tern__uri *uri;
    const tern__socket_options *socket; /* NULL: the defaults */
    const tern__proxy *proxy;           /* NULL: none; never used for Unix sockets */
    tern__tls_context *tls;             /* where the URL says TLS */
    const tern__websocket_header *headers; /* where it says WebSocket */
    size_t header_count;
} tern__connect_plan;

/* The attempt ended: `stream` is open and the receiver's, or NULL with the failure, and with what TLS knew by then (`tls`, the
 * receiver's to free, NULL where it had no part). The attempt is freed by itself right after the callback. Called on the loop's thread, never from within
 * tern__connect_start(). */
typedef void (*tern__connect_callback)(void *user_data, tern__stream *stream, const char *peer,
                                       const tern__stream_failure *failure, tern__tls_info *tls);

/* Starts an attempt: 0, TERN_E_NOMEM, TERN_E_SYSTEM. */
int tern__connect_start(tern__connect **attempt, const tern__connect_plan *plan, tern__poller *poller,
                        tern__resolver *resolver, tern__connect_callback callback, void *user_data,
                        uint64_t now);
/* Timers of the attempt: when it wants tern__connect_tick(); UINT64_MAX = never. */
uint64_t tern__connect_deadline(const tern__connect *attempt);
void tern__connect_tick(tern__connect *attempt, uint64_t now);
/* Which step it is in, with the peer in words, for a timeout's text. */
tern_step tern__connect_step(const tern__connect *attempt, char *peer, size_t size);
/* Gives the attempt up; the callback is not called. NULL does nothing. */
void tern__connect_cancel(tern__connect *attempt);

#endif
