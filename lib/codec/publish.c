/* PUBLISH, both ways: the packet that speed depends on has a file of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <tern/error.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/props.h"
#include "codec/topic.h"
#include "codec/wire.h"

/* A topic that tern__topic_check() refused. An empty one is judged later, by its alias. */
static int refuse_topic(int why, size_t offset, tern__fault *fault)
{
    if (why == TERN_E_UTF8) /* [MQTT5-3.3.2-1] [MQTT5-1.5.4-1] */
        return tern__fault_set(fault, TERN__REASON_MALFORMED, offset, "the topic is not well-formed UTF-8 [1.5.4]");
    return tern__fault_set(fault, TERN__REASON_TOPIC, offset,
                           "a topic name with a wildcard [3.3.2.1]"); /* [MQTT5-3.3.2-2] */
}

/* The property block of a PUBLISH at *at: its length, and its content where there is some. */
static int read_props(const uint8_t *data, const uint8_t **at, const uint8_t *end, tern__sender sender,
                      tern__props *props, tern__fault *fault)
{
    tern__cursor cursor;
    tern__cursor_init(&cursor, data, (size_t)(end - data), fault);
    cursor.at = *at;
    size_t len = tern__cursor_varint(&cursor);
    tern__view block = tern__cursor_bytes(&cursor, len);
    if (cursor.error != 0) return cursor.error;
    *at = cursor.at;
    int rc = tern__props_check(block.data, block.len, TERN__PUBLISH, sender, props, fault);
    if (rc != 0) fault->offset += (size_t)(block.data - data);
    return rc;
}

static int too_short(const tern__frame *frame, tern__fault *fault)
{
    return tern__fault_set(fault, TERN__REASON_MALFORMED, frame->len, "PUBLISH is too short for its fields [3.3]");
}

int tern__decode_publish(const uint8_t *data, const tern__frame *frame, int version, tern__sender sender,
                         tern__publish_packet *publish, tern__props *props, tern__fault *fault)
{
    const uint8_t *at = data + frame->head_len;
    const uint8_t *end = data + frame->len;
    uint8_t qos = frame->header >> 1 & 3;
    bool v5 = version != TERN__V311;
    *props = (tern__props){.data = NULL, .len = 0, .present = 0};
    if (end - at < 2) return too_short(frame, fault);
    size_t topic_len = tern__load_u16(at);
    at += 2;
    if ((size_t)(end - at) < topic_len + (qos != 0 ? 2u : 0u) + v5) return too_short(frame, fault);
    int rc = topic_len != 0 ? tern__topic_check((const char *)at, topic_len) : 0;
    if (rc != 0) return refuse_topic(rc, (size_t)(at - data), fault);
    publish->topic = (tern__view){at, topic_len};
    at += topic_len;
    publish->packet_id = 0;
    if (qos != 0) {
        publish->packet_id = tern__load_u16(at);
        if (publish->packet_id == 0)
            return tern__fault_set(fault, TERN__REASON_PROTOCOL, (size_t)(at - data), "packet id 0 [2.2.1]");
        at += 2;
    }
    if (v5 && *at == 0) {
        at++;
    } else if (v5) {
        rc = read_props(data, &at, end, sender, props, fault);
        if (rc != 0) return rc;
    }
    if (topic_len == 0 && !tern__props_has(props, TERN__PROP_TOPIC_ALIAS)) /* [MQTT5-4.7.3-1] */
        return tern__fault_set(fault, TERN__REASON_PROTOCOL, frame->head_len, "no topic and no topic alias [3.3.2.1]");
    publish->qos = qos;
    publish->dup = (frame->header & 8) != 0;
    publish->retain = (frame->header & 1) != 0;
    publish->payload = (tern__view){at, (size_t)(end - at)};
    return 0;
}

size_t tern__varint_size(uint32_t value)
{
    if (value < 128) return 1;
    if (value < 16384) return 2;
    if (value < 2097152) return 3;
    return value <= TERN__VARINT_MAX ? 4 : 0;
}

size_t tern__varint_write(uint32_t value, uint8_t *out)
{
    if (value > TERN__VARINT_MAX) return 0;
    size_t len = 0;
    while (value >= 128) {
        out[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

void tern__publish_measure(const tern__publish_packet *publish, const tern__props *props, int version,
                           tern__publish_layout *layout)
{
    *layout = (tern__publish_layout){.len = 0, .id_offset = 0};
    size_t props_len = props != NULL ? props->len : 0;
    /* Each part is checked by itself first: their sum cannot wrap around then. */
    if (publish->topic.len > UINT16_MAX || publish->payload.len > TERN__VARINT_MAX || props_len > TERN__VARINT_MAX)
        return;
    size_t remaining = 2 + publish->topic.len + publish->payload.len + (publish->qos != 0 ? 2u : 0u);
    if (version != TERN__V311) remaining += tern__varint_size((uint32_t)props_len) + props_len;
    if (remaining > TERN__VARINT_MAX) return;
    size_t head = 1 + tern__varint_size((uint32_t)remaining);
    layout->len = head + remaining;
    if (publish->qos != 0) layout->id_offset = (uint32_t)(head + 2 + publish->topic.len);
}

void tern__publish_write(const tern__publish_packet *publish, const tern__props *props, int version,
                         const tern__publish_layout *layout, uint8_t *out)
{
    const uint8_t *start = out;
    size_t props_len = props != NULL && version != TERN__V311 ? props->len : 0;
    size_t rest = 2 + publish->topic.len + publish->payload.len + (publish->qos != 0 ? 2u : 0u);
    if (version != TERN__V311) rest += tern__varint_size((uint32_t)props_len) + props_len;
    *out++ = (uint8_t)(TERN__PUBLISH << 4 | publish->dup << 3 | publish->qos << 1 | publish->retain);
    out += tern__varint_write((uint32_t)rest, out);
    out = tern__store_u16(out, (uint32_t)publish->topic.len);
    out = tern__store_bytes(out, publish->topic.data, publish->topic.len);
    if (publish->qos != 0) out = tern__store_u16(out, publish->packet_id); /* [MQTT5-2.2.1-2] */
    if (version != TERN__V311) {
        out += tern__varint_write((uint32_t)props_len, out); /* [MQTT5-2.2.2-1] */
        if (props_len != 0) out = tern__store_bytes(out, props->data, props_len);
    }
    out = tern__store_bytes(out, publish->payload.data, publish->payload.len);
    assert((size_t)(out - start) == layout->len && "measured by tern__publish_measure()");
    (void)start;
    (void)layout;
}
