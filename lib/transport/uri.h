/* Server URLs: scheme://[user[:password]@]host[:port][/path[?query]].
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_URI_H
#define TERN_TRANSPORT_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tern__scheme { TERN__SCHEME_TCP = 1, TERN__SCHEME_UNIX = 2 };

/* A parsed URL. Every text is NUL-terminated and lies in one allocation, freed by tern__uri_deinit(), which cleanses the
 * password. */
typedef struct tern__uri {
    enum tern__scheme scheme;
    bool tls;       /* TLS above the socket */
    bool websocket; /* WebSocket above that */
    char *host;     /* TCP: name or address without brackets; unix: the path */
    uint16_t port;  /* TCP */
    char *user;     /* NULL where absent; percent-decoded */
    char *password; /* NULL where absent; percent-decoded */
    char *target;   /* WebSocket: path and query as they are asked for, "/mqtt" where the URL has none; else NULL. The query may
                       be a signature: no text tells it */
    char *display;  /* the URL without user, password and query, for events and errors: mqtt://host:1883 */
    void *memory;
    size_t memory_size;
} tern__uri;

/* 0; TERN_E_URL or TERN_E_UNSUPPORTED (a scheme that exists but is not in this build) with a
 * sentence in why (position from 1, and the reason; never the password); TERN_E_NOMEM. Schemes are matched without case:
 * mqtt and tcp (port 1883), mqtts, ssl and tls (8883), ws (80), wss (443), unix. */
int tern__uri_parse(const char *text, tern__uri *uri, char *why, size_t why_size);
void tern__uri_deinit(tern__uri *uri);

#endif
