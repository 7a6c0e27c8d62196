/* How bytes get to the server: the part of the connection options that knows no MQTT.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_TRANSPORT_OPTIONS_H
#define TERN_CLIENT_TRANSPORT_OPTIONS_H

#include <stdbool.h>
#include <tern/tls.h>

#include "transport/connect.h"

enum { TERN__HTTPS_PROXY, TERN__ALL_PROXY, TERN__NO_PROXY, TERN__PROXY_VARIABLES };

/* All zero are the defaults. */
typedef struct tern__transport_options {
    tern__socket_options socket;
    char *proxy_url;            /* NULL: none was set */
    tern__proxy proxy;          /* of proxy_url */
    bool proxy_from_environment;
    char *environment[TERN__PROXY_VARIABLES]; /* as of the call; each may be NULL */
    tern__websocket_header *headers; /* texts are theirs */
    size_t header_count;
    tern__tls_context *tls;     /* shared by all copies; NULL where no server needed it yet */
} tern__transport_options;

/* Makes the context with TLS's defaults, where there is none: 0, TERN_E_NOMEM, TERN_E_SYSTEM, TERN_E_UNSUPPORTED. */
int tern__transport_options_need_tls(tern__transport_options *options);
void tern__transport_options_deinit(tern__transport_options *options); /* cleanses what may be secret */
/* A deep copy: 0 or TERN_E_NOMEM, with nothing to deinit. */
int tern__transport_options_copy(tern__transport_options *to, const tern__transport_options *from);

#endif
