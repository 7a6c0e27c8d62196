/* The upgrade from HTTP to WebSocket: the request, and what a server may answer (RFC 6455 section
 * 4). Knows no stream.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_WS_UPGRADE_H
#define TERN_TRANSPORT_WS_UPGRADE_H

#include "transport/http1.h"
#include "transport/websocket.h"

enum {
    TERN__WS_KEY_SIZE = 25,   /* a key in Base64, with its NUL */
    TERN__WS_ACCEPT_SIZE = 29 /* what the server answers to it, with its NUL */
};

/* An upper bound of the request's bytes. */
size_t tern__ws_request_room(const tern__websocket_config *config);
/* Appends the request with a fresh key: 0, or as tern__websocket_new(). */
int tern__ws_request(const tern__websocket_config *config, tern__buf *request,
                     char accept[TERN__WS_ACCEPT_SIZE]);
/* What the server must answer to a key. */
void tern__ws_accept_of(const char *key, char accept[TERN__WS_ACCEPT_SIZE]);
/* Judges the head of an answer: 0, or TERN_E_WEBSOCKET with the failure filled in, but for the text
 * of an answer of another status than 101, which is left "". */
int tern__ws_judge(const tern__http1_head *head, const char *accept, const char *peer,
                   tern__stream_failure *failure);

#endif
