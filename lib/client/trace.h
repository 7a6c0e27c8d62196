/* Log records of every packet, at level TRACE: what went over the wire, without payloads and secrets.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_TRACE_H
#define TERN_CLIENT_TRACE_H

#include <stdint.h>

#include "base/log.h"
#include "base/view.h"

/* Where one direction of a connection stands in its stream of packets. All zero is a new connection. */
typedef struct tern__trace {
    uint8_t head[8]; /* of the packet that comes: header, length, and what follows as far as it fits */
    uint8_t have;    /* bytes of it */
    uint32_t skip;   /* bytes of the present packet that are still to come */
} tern__trace;

/* Bytes that were sent ("sent") or received ("received"), cut anywhere. */
void tern__trace_bytes(tern__trace *trace, const tern__log *log, const char *verb, const uint8_t *data, size_t len);
/* The first n bytes of these pieces. */
void tern__trace_pieces(tern__trace *trace, const tern__log *log, const char *verb, const tern__iov *pieces, size_t n);

#endif
