/* Writing PUBLISH: inline, since it is most of what publishing costs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_PUBLISH_H
#define TERN_CODEC_PUBLISH_H

#include <assert.h>

#include "base/compiler.h"
#include "codec/encode.h"
#include "codec/wire.h"

/* Where in the packet things lie that are patched at sending. */
typedef struct tern__publish_layout {
    size_t len;         /* bytes of the whole packet; 0 where too large */
    size_t remaining;   /* of them, behind the fixed header */
    uint32_t id_offset; /* of the packet id's two bytes; 0 for QoS 0 */
} tern__publish_layout;

static inline uint8_t *tern__store_varint(uint8_t *out, size_t value)
{
    if (value >= 128) return out + tern__varint_write((uint32_t)value, out);
    *out = (uint8_t)value;
    return out + 1;
}

/* Measures a PUBLISH; on 3.1.1 the properties are ignored. */
static TERN__INLINED void tern__publish_measure(const tern__publish_packet *publish, const tern__props *props, int version,
                                         tern__publish_layout *layout)
{
    *layout = (tern__publish_layout){0};
    size_t v5 = version != TERN__V311; /* and so the byte that says "no properties" */
    size_t topic_len = publish->topic.len;
    size_t payload_len = publish->payload.len;
    size_t props_len = v5 ? props->len : 0;
    /* Each part is checked by itself first: their sum cannot wrap around then. */
    if (topic_len > UINT16_MAX || (payload_len | props_len) > TERN__VARINT_MAX) return;
    size_t id_len = publish->qos != 0 ? 2 : 0;
    size_t remaining = 2 + topic_len + payload_len + id_len + v5;
    if (props_len != 0) remaining += tern__varint_size(props_len) - 1 + props_len;
    size_t fixed = 1 + tern__varint_size(remaining);
    if (remaining > TERN__VARINT_MAX) return;
    layout->len = fixed + remaining;
    layout->remaining = remaining;
    if (id_len != 0) layout->id_offset = (uint32_t)(fixed + 2 + topic_len);
}

/* Writes layout->len bytes at out. */
static TERN__INLINED void tern__publish_write(const tern__publish_packet *publish, const tern__props *props, int version,
                                       const tern__publish_layout *layout, uint8_t *out)
{
    const uint8_t *end = out + layout->len;
    *out++ = (uint8_t)(TERN__PUBLISH << 4 | publish->dup << 3 | publish->qos << 1 | publish->retain);
    out = tern__store_varint(out, layout->remaining);
    out = tern__store_u16(out, (uint32_t)publish->topic.len);
    out = tern__store_short(out, publish->topic.data, publish->topic.len);
    if (layout->id_offset != 0) out = tern__store_u16(out, publish->packet_id); /* [MQTT5-2.2.1-2] */
    if (version != TERN__V311) {
        out = tern__store_varint(out, props->len); /* [MQTT5-2.2.2-1] */
        if (props->len != 0) out = tern__store_bytes(out, props->data, props->len);
    }
    out = tern__store_short(out, publish->payload.data, publish->payload.len);
    assert(out == end && "measured by tern__publish_measure()");
    (void)end;
}

#endif
