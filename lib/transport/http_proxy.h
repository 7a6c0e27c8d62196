/* A tunnel through an HTTP proxy as a filter: CONNECT (RFC 9110 section 9.3.6).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_HTTP_PROXY_H
#define TERN_TRANSPORT_HTTP_PROXY_H

#include "transport/proxy.h"
#include "transport/stream.h"

/* Takes over `below` (only when it answers 0), a stream to the proxy; once open, it is one to host
 * and port. proxy and host (a name or address without brackets, which the proxy resolves) are
 * borrowed for the call. 0, TERN_E_NOMEM, TERN_E_INVALID (a host that HTTP cannot say, or a user
 * name with ':'). */
int tern__http_proxy_new(tern__stream **stream, tern__stream *below, const tern__proxy *proxy,
                         const char *host, uint16_t port);

#endif
