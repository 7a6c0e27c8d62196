/* The bottom of every chain: a connected socket, TCP or Unix.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_SOCKET_STREAM_H
#define TERN_TRANSPORT_SOCKET_STREAM_H

#include "transport/stream.h"
#include "transport/uri.h"

/* Takes over fd, which the poller must not watch yet; the poller is borrowed. 0 or TERN_E_NOMEM (fd
 * remains the caller's). Closing it from within its source's ready call is allowed. */
int tern__socket_stream_new(tern__stream **stream, enum tern__scheme scheme, int fd,
                            tern__poller *poller);

#endif
