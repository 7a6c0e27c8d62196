/* A connection through a SOCKS5 proxy as a filter (RFC 1928, RFC 1929).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_SOCKS5_H
#define TERN_TRANSPORT_SOCKS5_H

#include "transport/proxy.h"
#include "transport/stream.h"

/* Takes over `below` (only when it answers 0), a stream to the proxy; once open, it is one to host
 * and port. proxy and host (a name or address without brackets; names are the proxy's to resolve)
 * are borrowed for the call. 0, TERN_E_NOMEM, TERN_E_INVALID (a text that SOCKS5 cannot say: empty,
 * or of more than 255 bytes). */
int tern__socks5_new(tern__stream **stream, tern__stream *below, const tern__proxy *proxy,
                     const char *host, uint16_t port);

#endif
