/* WebSocket frames.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/ws_frame.h"

#include <string.h>
#include <tern/error.h>

#include "base/utf8.h"

enum {
    FIN = 0x80,
    MASKED = 0x80,
    LENGTH_16 = 126, /* two bytes follow */
    LENGTH_64 = 127  /* eight bytes follow */
};

static void put_number(uint8_t *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
}

static uint64_t get_number(const uint8_t *in, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | in[i];
    return number;
}

size_t tern__ws_encode(const tern__ws_header *header, uint8_t out[TERN__WS_HEADER_MAX])
{
    size_t extra = header->len < LENGTH_16 ? 0 : header->len <= UINT16_MAX ? 2 : 8;
    unsigned short_len = extra == 0   ? (unsigned)header->len
                         : extra == 2 ? (unsigned)LENGTH_16
                                      : (unsigned)LENGTH_64;
    size_t at = 2;
    out[0] =
        (uint8_t)((header->fin ? FIN : 0) | (header->reserved & 7) << 4 | (header->opcode & 15));
    out[1] = (uint8_t)((header->masked ? MASKED : 0) | (int)short_len);
    put_number(out + at, header->len, extra);
    at += extra;
    if (!header->masked) return at;
    memcpy(out + at, header->mask, TERN__WS_MASK_LEN);
    return at + TERN__WS_MASK_LEN;
}

int tern__ws_decode(const uint8_t *data, size_t len, tern__ws_header *header, size_t *used,
                    const char **why)
{
    *used = 0;
    if (len < 2) return TERN_E_AGAIN;
    unsigned short_len = data[1] & 127u;
    size_t extra = short_len < LENGTH_16 ? 0 : short_len == LENGTH_16 ? 2 : 8;
    header->fin = (data[0] & FIN) != 0;
    header->reserved = data[0] >> 4 & 7;
    header->opcode = data[0] & 15;
    header->masked = (data[1] & MASKED) != 0;
    size_t need = 2 + extra + (header->masked ? (size_t)TERN__WS_MASK_LEN : 0);
    if (len < need) return TERN_E_AGAIN;
    header->len = extra == 0 ? short_len : get_number(data + 2, extra);
    if (header->masked) memcpy(header->mask, data + 2 + extra, TERN__WS_MASK_LEN);
    if (extra == 8 && header->len >> 63 != 0) {
        *why = "a length of 64 bits whose top bit is set";
        return TERN_E_MALFORMED;
    }
    if ((extra == 2 && header->len < LENGTH_16) || (extra == 8 && header->len <= UINT16_MAX)) {
        *why = "a length that is not in its shortest form";
        return TERN_E_MALFORMED;
    }
    *used = need;
    return 0;
}

void tern__ws_mask(uint8_t *out, const uint8_t *in, size_t len,
                   const uint8_t mask[TERN__WS_MASK_LEN], size_t phase)
{
    uint8_t turned[8];
    uint64_t key;
    for (size_t i = 0; i < sizeof turned; i++)
        turned[i] = mask[(phase + i) % TERN__WS_MASK_LEN];
    memcpy(&key, turned, sizeof key);
    size_t at = 0;
    for (; len - at >= sizeof key; at += sizeof key) {
        uint64_t word;
        memcpy(&word, in + at, sizeof word);
        word ^= key;
        memcpy(out + at, &word, sizeof word);
    }
    for (; at < len; at++)
        out[at] = in[at] ^ turned[at % sizeof turned];
}

/* ---- what a server may send ---- */

static tern__ws_fault fault(uint16_t code, const char *why)
{
    return (tern__ws_fault){code, why};
}

static tern__ws_fault check_control(const tern__ws_header *header)
{
    if (header->opcode > TERN__WS_PONG)
        return fault(TERN__WS_PROTOCOL_ERROR, "a control frame of a reserved opcode");
    if (!header->fin) return fault(TERN__WS_PROTOCOL_ERROR, "a fragmented control frame");
    if (header->len > TERN__WS_CONTROL_MAX)
        return fault(TERN__WS_PROTOCOL_ERROR, "a control frame of more than 125 bytes");
    return fault(0, NULL);
}

tern__ws_fault tern__ws_check(const tern__ws_header *header, bool in_message, uint64_t frame_max)
{
    if (header->reserved != 0)
        return fault(TERN__WS_PROTOCOL_ERROR,
                     "a reserved bit is set though no extension was agreed on");
    if (header->masked) return fault(TERN__WS_PROTOCOL_ERROR, "a masked frame");
    if (tern__ws_is_control(header->opcode)) return check_control(header);
    if (header->opcode > TERN__WS_BINARY)
        return fault(TERN__WS_PROTOCOL_ERROR, "a data frame of a reserved opcode");
    if (header->opcode == TERN__WS_CONTINUATION && !in_message)
        return fault(TERN__WS_PROTOCOL_ERROR, "a continuation of no message");
    if (header->opcode != TERN__WS_CONTINUATION && in_message)
        return fault(TERN__WS_PROTOCOL_ERROR, "a new message before the end of a fragmented one");
    if (header->opcode == TERN__WS_TEXT) /* [MQTT5-6.0.0-1] */
        return fault(TERN__WS_UNACCEPTABLE, "a text frame, where only binary ones are allowed");
    if (header->len > frame_max) return fault(TERN__WS_TOO_LARGE, "a frame larger than the limit");
    return fault(0, NULL);
}

/* RFC 6455 section 7.4 and the registry that it opened. */
static bool may_be_sent(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* U+0000 is a character here, unlike in MQTT. */
static bool is_utf8(const uint8_t *text, size_t len)
{
    while (len != 0) {
        const uint8_t *zero = memchr(text, 0, len);
        size_t part = zero != NULL ? (size_t)(zero - text) : len;
        if (!tern__utf8_valid(text, part)) return false;
        if (zero == NULL) return true;
        text += part + 1;
        len -= part + 1;
    }
    return true;
}

tern__ws_fault tern__ws_check_close(const uint8_t *payload, size_t len)
{
    if (len == 0) return fault(0, NULL);
    if (len == 1) return fault(TERN__WS_PROTOCOL_ERROR, "a close frame with half a code");
    if (!may_be_sent((unsigned)get_number(payload, 2)))
        return fault(TERN__WS_PROTOCOL_ERROR, "a close frame with a code that must not be sent");
    if (!is_utf8(payload + 2, len - 2))
        return fault(TERN__WS_BAD_DATA, "a close frame whose reason is not UTF-8");
    return fault(0, NULL);
}

const char *tern__ws_close_text(unsigned code)
{
    static const char *const texts[] = {
        "normal closure",
        "going away",
        "protocol error",
        "unacceptable data",
        "",
        "",
        "",
        "inconsistent data",
        "policy violation",
        "message too big",
        "extension missing",
        "internal error",
        "service restart",
        "try again later",
        "bad gateway",
    };
    unsigned at = code - 1000;
    return code >= 1000 && at < sizeof texts / sizeof texts[0] ? texts[at] : "";
}
