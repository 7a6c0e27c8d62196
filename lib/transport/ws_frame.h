/* WebSocket frames: headers to bytes and back, masking, and the rules that a server's frames must
 * keep. Pure functions (RFC 6455 sections 5 and 7.4).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_WS_FRAME_H
#define TERN_TRANSPORT_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TERN__WS_HEADER_MAX = 14,
    TERN__WS_MASK_LEN = 4,
    TERN__WS_CONTROL_MAX = 125 /* payload of a control frame */
};

typedef enum tern__ws_opcode {
    TERN__WS_CONTINUATION = 0,
    TERN__WS_TEXT = 1,
    TERN__WS_BINARY = 2,
    TERN__WS_CLOSE = 8,
    TERN__WS_PING = 9,
    TERN__WS_PONG = 10
} tern__ws_opcode;

/* Codes of a close frame that we send. */
enum {
    TERN__WS_NORMAL = 1000,
    TERN__WS_PROTOCOL_ERROR = 1002,
    TERN__WS_UNACCEPTABLE = 1003,
    TERN__WS_BAD_DATA = 1007,
    TERN__WS_TOO_LARGE = 1009
};

typedef struct tern__ws_header {
    bool fin;
    bool masked;
    uint8_t reserved; /* the three bits, 0..7 */
    uint8_t opcode;
    uint8_t mask[TERN__WS_MASK_LEN]; /* where masked */
    uint64_t len;                    /* of the payload */
} tern__ws_header;

static inline bool tern__ws_is_control(unsigned opcode)
{
    return (opcode & 8) != 0;
}

/* Writes the header in the shortest form; returns its length. */
size_t tern__ws_encode(const tern__ws_header *header, uint8_t out[TERN__WS_HEADER_MAX]);
/* 0 with *used bytes; TERN_E_AGAIN: the header is longer than len; TERN_E_MALFORMED with a static
 * sentence: its length is not in the shortest form, or has its top bit set. */
int tern__ws_decode(const uint8_t *data, size_t len, tern__ws_header *header, size_t *used,
                    const char **why);
/* Masks or unmasks len bytes into out (which may be in), the first of them being number `phase` of
 * the payload. */
void tern__ws_mask(uint8_t *out, const uint8_t *in, size_t len,
                   const uint8_t mask[TERN__WS_MASK_LEN], size_t phase);

/* What a server's frame does wrong: the code of the close frame and a static sentence; code 0 where
 * it is in order. `in_message` says that a fragmented message waits for its rest; frame_max is the
 * largest payload taken. */
typedef struct tern__ws_fault {
    uint16_t code;
    const char *why;
} tern__ws_fault;
tern__ws_fault tern__ws_check(const tern__ws_header *header, bool in_message, uint64_t frame_max);
/* The same of the payload of a close frame. */
tern__ws_fault tern__ws_check_close(const uint8_t *payload, size_t len);
/* What a close code means ("going away"); "" for those that mean nothing by themselves. */
const char *tern__ws_close_text(unsigned code);

#endif
