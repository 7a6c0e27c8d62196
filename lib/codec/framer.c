/* Framing: finds packet boundaries in a byte stream that may be cut anywhere.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/framer.h"

#include <tern/error.h>

#include "codec/wire.h"

/* Flag nibbles that a type may have, one bit each. A PUBLISH never has QoS 3, nor DUP with QoS 0.
 * [MQTT5-2.1.3-1] [MQTT311-2.2.2-1] [MQTT5-3.3.1-2] [MQTT5-3.3.1-4] */
static const uint16_t legal_flags[16] = {
    [TERN__CONNECT] = 1,          [TERN__CONNACK] = 1,
    [TERN__PUBLISH] = 0x3C3F,     [TERN__PUBACK] = 1,
    [TERN__PUBREC] = 1,           [TERN__PUBREL] = 1 << 2, /* [MQTT5-3.6.1-1] */
    [TERN__PUBCOMP] = 1,          [TERN__SUBSCRIBE] = 1 << 2, /* [MQTT5-3.8.1-1] */
    [TERN__SUBACK] = 1,           [TERN__UNSUBSCRIBE] = 1 << 2, /* [MQTT5-3.10.1-1] */
    [TERN__UNSUBACK] = 1,         [TERN__PINGREQ] = 1,
    [TERN__PINGRESP] = 1,         [TERN__DISCONNECT] = 1,
    [TERN__AUTH] = 1,
};

#define BOTH_WAYS                                                                                  \
    (TERN__BY_BOTH(TERN__PUBLISH) | TERN__BY_BOTH(TERN__PUBACK) | TERN__BY_BOTH(TERN__PUBREC) |    \
     TERN__BY_BOTH(TERN__PUBREL) | TERN__BY_BOTH(TERN__PUBCOMP))
#define ONE_WAY                                                                                    \
    (TERN__BY_CLIENT(TERN__CONNECT) | TERN__BY_CLIENT(TERN__SUBSCRIBE) |                           \
     TERN__BY_CLIENT(TERN__UNSUBSCRIBE) | TERN__BY_CLIENT(TERN__PINGREQ) |                         \
     TERN__BY_CLIENT(TERN__DISCONNECT) | TERN__BY_SERVER(TERN__CONNACK) |                          \
     TERN__BY_SERVER(TERN__SUBACK) | TERN__BY_SERVER(TERN__UNSUBACK) |                             \
     TERN__BY_SERVER(TERN__PINGRESP))

static const uint32_t types_v311 = BOTH_WAYS | ONE_WAY;
static const uint32_t types_v5 =
    BOTH_WAYS | ONE_WAY | TERN__BY_SERVER(TERN__DISCONNECT) | TERN__BY_BOTH(TERN__AUTH);

static TERN__COLD int refuse(tern__fault *fault, uint8_t reason, size_t offset, const char *rule)
{
    (void)tern__fault_set(fault, reason, offset, rule);
    return TERN_E_MALFORMED;
}

static TERN__COLD int bad_header(uint8_t header, int version, tern__fault *fault)
{
    int type = header >> 4;
    if (type == 0)
        return refuse(fault, TERN__REASON_MALFORMED, 0, "packet type 0 is reserved [2.1.2]");
    if (type == TERN__AUTH && version == TERN__V311)
        return refuse(fault, TERN__REASON_MALFORMED, 0,
                      "packet type 15 is reserved in 3.1.1 [2.2.1]");
    if ((legal_flags[type] >> (header & 15) & 1) == 0)
        return refuse(fault, TERN__REASON_MALFORMED, 0,
                      "illegal flags in the fixed header [2.1.3]");
    return refuse(fault, TERN__REASON_PROTOCOL, 0,
                  "the peer may not send packets of this type [2.1.2]");
}

static inline int check_size(const tern__frame *frame, uint32_t max, tern__fault *fault)
{
    if (frame->len <= max) return 0;
    return refuse(
        fault, TERN__REASON_TOO_LARGE, 1,
        "the packet is larger than the maximum packet size [3.1.2.11.4]"); /* [MQTT5-3.1.2-24] */
}

/* A remaining length of two bytes and more; kept apart from the common single byte. */
static __attribute__((noinline)) int long_length(const uint8_t *data, size_t avail, uint32_t max,
                                                 tern__frame *frame, tern__fault *fault)
{
    size_t value = 0;
    for (unsigned i = 1; i <= 4; i++) {
        if (i == avail) return TERN_E_AGAIN;
        value |= (size_t)(data[i] & 0x7F) << (7 * (i - 1));
        if (data[i] >= 0x80) continue;
        if (data[i] == 0 && i > 1)
            return refuse(
                fault, TERN__REASON_MALFORMED, 1,
                "the remaining length is not in its shortest form [1.5.5]"); /* [MQTT5-1.5.5-1] */
        frame->head_len = (uint8_t)(1 + i);
        frame->len = 1 + i + value;
        return check_size(frame, max, fault);
    }
    return refuse(fault, TERN__REASON_MALFORMED, 1,
                  "the remaining length has more than four bytes [2.1.4]");
}

int tern__frame_peek(const uint8_t *data, size_t avail, uint32_t max, int version,
                     tern__sender sender, tern__frame *frame, tern__fault *fault)
{
    if (avail == 0) return TERN_E_AGAIN;
    uint8_t header = data[0];
    uint32_t types = version == TERN__V311 ? types_v311 : types_v5;
    if ((legal_flags[header >> 4] >> (header & 15) & 1) == 0 ||
        !tern__set_has(types, header >> 4, sender))
        return bad_header(header, version, fault);
    frame->header = header;
    if (avail < 2 || data[1] >= 0x80) return long_length(data, avail, max, frame, fault);
    frame->head_len = 2;
    frame->len = 2 + (size_t)data[1];
    return check_size(frame, max, fault);
}
