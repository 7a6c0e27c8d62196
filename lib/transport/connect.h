/* Connecting: from a URL to an open stream, one attempt. Runs on the loop's thread through the poller; names are
 * resolved on a helper thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_CONNECT_H
#define TERN_TRANSPORT_CONNECT_H

#include <stdint.h>
#include <tern/event.h>

#include "platform/poller.h"
#include "platform/resolve.h"
#include "transport/stream.h"
#include "transport/uri.h"

typedef struct tern__connect tern__connect;

/* Why an attempt failed. */
typedef struct tern__connect_failure {
    int error;      /* TERN_E_RESOLVE, TERN_E_CONNECT, TERN_E_NOMEM, TERN_E_SYSTEM */
    tern_step step; /* which step it was in */
    int os_error;
    char text[256]; /* peer and cause: "127.0.0.1:1883: Connection refused"; of several addresses, the last with the count */
} tern__connect_failure;

/* The attempt ended: `stream` is open and the receiver's, or NULL with the failure. The attempt is freed by itself right
 * after the callback. Called on the loop's thread, never from within tern__connect_start(). */
typedef void (*tern__connect_callback)(void *user_data, tern__stream *stream,
                                       const tern__connect_failure *failure);

/* Starts an attempt; uri is borrowed for the call. Several addresses are tried one after the other, the next one also
 * when the present one has not answered for 250 ms, while the earlier ones go on (RFC 8305): the first to open wins.
 * 0, TERN_E_NOMEM, TERN_E_SYSTEM. */
int tern__connect_start(tern__connect **attempt, const tern__uri *uri, tern__poller *poller,
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
