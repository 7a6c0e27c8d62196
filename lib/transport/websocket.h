/* WebSocket as a filter: the upgrade, then a byte stream in binary frames (RFC 6455, MQTT 5 section
 * 6).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_WEBSOCKET_H
#define TERN_TRANSPORT_WEBSOCKET_H

#include "transport/stream.h"

/* A header that is added to the upgrade request. */
typedef struct tern__websocket_header {
    const char *name;
    const char *value;
} tern__websocket_header;

/* All of it is borrowed for the call of tern__websocket_new(). */
typedef struct tern__websocket_config {
    const char *host; /* name or address without brackets, for the Host header and texts */
    uint16_t port;    /* left out of the Host header where it is the scheme's own: 80, or 443 */
    bool tls;         /* which of the two: the filter below is TLS */
    const char *path; /* with query; NULL: /mqtt */
    const tern__websocket_header *headers;
    size_t header_count;
    uint64_t frame_max; /* the largest payload of a frame that is taken; 0: no limit, since payload
                           is passed on as it comes and never kept */
} tern__websocket_config;

/* What is wrong with a header or a path, a static sentence; NULL where nothing is. Headers that the
 * upgrade or the framing of HTTP sets itself are refused. */
const char *tern__websocket_header_wrong(const char *name, const char *value);
const char *tern__websocket_path_wrong(const char *path);

/* Takes over `below` (only when it answers 0), which is open by the time of the first
 * tern__stream_open(). 0; TERN_E_NOMEM; TERN_E_INVALID where the functions above find something
 * wrong; TERN_E_SYSTEM where the system has no random bytes.
 *
 * A write makes one frame of up to 64 KiB. While it has no room below, writing answers TERN_E_AGAIN; the
 * same bytes are offered first again, and told to be written when the frame is out as a whole. */
int tern__websocket_new(tern__stream **stream, tern__stream *below,
                        const tern__websocket_config *config);

#endif
