/* PUBLISH, both ways: the packet that speed depends on has a file of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <tern/error.h>

#include "codec/connect.h"
#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/props.h"
#include "codec/topic.h"
#include "codec/topic_scan.h"
#include "codec/wire.h"

/* A topic with marks: refused, unless it is good text beyond ASCII. */
static TERN__COLD int judge_topic(const tern__view *topic, size_t offset, tern__fault *fault)
{
    int rc = tern__topic_check((const char *)topic->data, topic->len);
    if (rc == TERN_E_UTF8) /* [MQTT5-3.3.2-1] [MQTT5-1.5.4-1] */
        return tern__fault_set(fault, TERN__REASON_MALFORMED, offset,
                               "the topic is not well-formed UTF-8 [1.5.4]");
    if (rc != 0) /* [MQTT5-3.3.2-2] */
        return tern__fault_set(fault, TERN__REASON_TOPIC, offset,
                               "a topic name with a wildcard [3.3.2.1]");
    return 0;
}

/* An empty topic needs an alias to stand for it. [MQTT5-4.7.3-1] */
static int judge_alias(size_t offset, const tern__props *props, tern__fault *fault)
{
    if (tern__props_has(props, TERN__PROP_TOPIC_ALIAS)) return 0;
    return tern__fault_set(fault, TERN__REASON_PROTOCOL, offset,
                           "no topic and no topic alias [3.3.2.1]");
}

/* Takes the properties from the front of what decoding took for the payload. */
static int take_props(const uint8_t *data, tern__sender sender, tern__publish_packet *publish,
                      tern__props *props, tern__fault *fault)
{
    tern__cursor cursor;
    const uint8_t *from = publish->payload.data;
    tern__cursor_init(&cursor, from, publish->payload.len, fault);
    cursor.start = data;
    tern__cursor_props(&cursor, TERN__PUBLISH, sender, props);
    publish->payload = (tern__view){cursor.at, tern__cursor_left(&cursor)};
    return cursor.error;
}

/* The rest of a PUBLISH with properties or an empty topic. */
static __attribute__((noinline)) int finish(const uint8_t *data, int version, tern__sender sender,
                                            tern__publish_packet *publish, tern__props *props,
                                            tern__fault *fault)
{
    int rc = version != TERN__V311 ? take_props(data, sender, publish, props, fault) : 0;
    if (rc == 0 && publish->topic.len == 0)
        rc = judge_alias((size_t)(publish->topic.data - data), props, fault);
    return rc;
}

static TERN__COLD int too_short(const tern__frame *frame, tern__fault *fault)
{
    return tern__fault_set(fault, TERN__REASON_MALFORMED, frame->len,
                           "PUBLISH is too short for its fields [3.3]");
}

static TERN__COLD int no_packet_id(size_t offset, tern__fault *fault)
{
    return tern__fault_set(fault, TERN__REASON_PROTOCOL, offset, "packet id 0 [2.2.1]");
}

int tern__decode_publish(const uint8_t *data, const tern__frame *frame, int version,
                         tern__sender sender, tern__publish_packet *publish, tern__props *props,
                         tern__fault *fault)
{
    const uint8_t *at = data + frame->head_len;
    const uint8_t *end = data + frame->len;
    unsigned flags = frame->header;
    bool v5 = version != TERN__V311;
    *props = (tern__props){.data = NULL, .len = 0, .present = 0};
    if (end - at < 2) return too_short(frame, fault);
    size_t topic_len = tern__load_u16(at);
    at += 2;
    if ((size_t)(end - at) < topic_len + ((flags & 6) != 0 ? 2u : 0u) + v5)
        return too_short(frame, fault);
    publish->topic = (tern__view){at, topic_len};
    publish->qos = flags >> 1 & 3;
    publish->dup = (flags >> 3 & 1) != 0;
    publish->retain = (flags & 1) != 0;
    publish->packet_id = 0;
    if (topic_len != 0 && tern__topic_marks(at, topic_len) != 0) {
        int rc = judge_topic(&publish->topic, (size_t)(at - data), fault);
        if (rc != 0) return rc;
    }
    at += topic_len;
    if ((flags & 6) != 0) {
        publish->packet_id = tern__load_u16(at);
        if (publish->packet_id == 0) return no_packet_id((size_t)(at - data), fault);
        at += 2;
    }
    publish->payload = (tern__view){at, (size_t)(end - at)};
    if (topic_len == 0 || (v5 && *at != 0))
        return finish(data, version, sender, publish, props, fault);
    if (v5) publish->payload = (tern__view){at + 1, (size_t)(end - at) - 1};
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

/* What is behind the fixed header, from the length of the whole. */
static size_t remaining_of(size_t len)
{
    size_t head = len <= 2 + 127 ? 2 : len <= 3 + 16383 ? 3 : len <= 4 + 2097151 ? 4 : 5;
    return len - head;
}

static inline uint8_t *store_varint(uint8_t *out, size_t value)
{
    if (value >= 128) return out + tern__varint_write((uint32_t)value, out);
    *out = (uint8_t)value;
    return out + 1;
}

void tern__publish_write(const tern__publish_packet *publish, const tern__props *props, int version,
                         const tern__publish_layout *layout, uint8_t *out)
{
    const uint8_t *end = out + layout->len;
    *out++ = (uint8_t)(TERN__PUBLISH << 4 | publish->dup << 3 | publish->qos << 1 | publish->retain);
    out = store_varint(out, remaining_of(layout->len));
    out = tern__store_u16(out, (uint32_t)publish->topic.len);
    out = tern__store_bytes(out, publish->topic.data, publish->topic.len);
    if (publish->qos != 0) out = tern__store_u16(out, publish->packet_id); /* [MQTT5-2.2.1-2] */
    if (version != TERN__V311) {
        size_t props_len = props != NULL ? props->len : 0;
        out = store_varint(out, props_len); /* [MQTT5-2.2.2-1] */
        if (props_len != 0) out = tern__store_bytes(out, props->data, props_len);
    }
    out = tern__store_bytes(out, publish->payload.data, publish->payload.len);
    assert(out == end && "measured by tern__publish_measure()");
    (void)end;
}
