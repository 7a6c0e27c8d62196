/* Framing: finds packet boundaries in a byte stream that may be cut anywhere.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_FRAMER_H
#define TERN_CODEC_FRAMER_H

#include <stddef.h>
#include <stdint.h>

#include "codec/packet.h"

typedef struct tern__frame {
    uint8_t header;   /* first byte: type and flags */
    uint8_t head_len; /* bytes of the fixed header: 2..5 */
    size_t len;       /* bytes of the whole packet, fixed header included */
} tern__frame;

/* Looks at the packet that starts at data, of which `avail` bytes are there.
 * 0: `frame` is filled in (the body may still be incomplete: compare frame->len with avail).
 * TERN_E_AGAIN: the fixed header is incomplete.
 * TERN_E_MALFORMED: a bad header (`fault` says why): type 0, illegal flags for the type, illegal type for the sender or
 * version, Remaining Length not in shortest form or over four bytes, or a packet over `max` bytes in all (reason 0x95).
 * Never looks at more than five bytes. [MQTT5-1.5.5-1] [MQTT5-2.1.3-1] */
int tern__frame_peek(const uint8_t *data, size_t avail, uint32_t max, int version, tern__sender sender,
                     tern__frame *frame, tern__fault *fault);

#endif
