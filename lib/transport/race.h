/* The race for a socket: a name is resolved, and its addresses compete (RFC 8305). Runs on the loop's thread through the
 * poller; names are resolved on a helper thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_RACE_H
#define TERN_TRANSPORT_RACE_H

#include <stdint.h>

#include "platform/poller.h"
#include "platform/resolve.h"
#include "platform/socket.h"
#include "transport/stream.h"
#include "transport/uri.h"

typedef struct tern__race tern__race;

/* Where to. The texts are borrowed for the start, `socket` until the race has ended. */
typedef struct tern__race_goal {
    enum tern__scheme scheme;
    const char *host; /* TCP: name or address; unix: the path */
    uint16_t port;
    const tern__socket_options *socket; /* NULL: the defaults */
} tern__race_goal;

/* The race ended: `stream` is open and the receiver's, `peer` its address in words; or it is NULL, with the failure
 * (TERN_E_RESOLVE, TERN_E_CONNECT, TERN_E_NOMEM, TERN_E_SYSTEM). The race is freed by itself right after the callback.
 * Called on the loop's thread, never from within tern__race_start(). */
typedef void (*tern__race_callback)(void *user_data, tern__stream *stream, const char *peer,
                                    const tern__stream_failure *failure);

/* Starts a race. Several addresses are tried one after the other, the next one also when the present one has not answered
 * for 250 ms, while the earlier ones go on: the first to open wins. 0, TERN_E_NOMEM, TERN_E_SYSTEM. */
int tern__race_start(tern__race **race, const tern__race_goal *goal, tern__poller *poller, tern__resolver *resolver,
                     tern__race_callback callback, void *user_data, uint64_t now);
/* Timers of the race: when it wants tern__race_tick(); UINT64_MAX = never. */
uint64_t tern__race_deadline(const tern__race *race);
void tern__race_tick(tern__race *race, uint64_t now);
/* Which step it is in, with the peer in words, for a timeout's text. */
tern_step tern__race_step(const tern__race *race, char *peer, size_t size);
/* Gives the race up; the callback is not called. NULL does nothing. */
void tern__race_cancel(tern__race *race);

#endif
