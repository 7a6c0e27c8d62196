/* The server's side of WebSocket for the sink: as recv() and send() on a socket, payload in and out.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BENCH_SINK_WS_H
#define TERN_BENCH_SINK_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct sink_ws sink_ws;

/* NULL: without memory. */
sink_ws *sink_ws_new(void);
void sink_ws_free(sink_ws *ws);
/* Payload of binary messages, the upgrade answered before: its bytes; 0 the end; -1 with errno, EAGAIN also where what came holds
 * no payload. */
ssize_t sink_ws_take(sink_ws *ws, int fd, uint8_t *data, size_t length);
/* Sends data as payload: the bytes taken, or -1 with errno. What was not taken must be what is given next: its frame may have begun. */
ssize_t sink_ws_give(sink_ws *ws, int fd, const uint8_t *data, size_t length);
/* A pong waits for room in the socket. */
bool sink_ws_has_pong(const sink_ws *ws);
/* Sends the pong if no frame is under way; false where the connection is broken. */
bool sink_ws_flush(sink_ws *ws, int fd);
/* The client closed the WebSocket, or broke its rules: nothing comes any more. */
bool sink_ws_ended(const sink_ws *ws);
/* Sends the close frame, if no other frame is under way and the socket has room. */
void sink_ws_close(sink_ws *ws, int fd);

#endif
