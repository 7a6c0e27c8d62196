/* PUBLISH, both ways: the packet that speed depends on has a file of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <tern/error.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/fields.h"
#include "codec/props.h"
#include "codec/topic.h"
#include "codec/topic_scan.h"
#include "codec/wire.h"

/* A topic that is there: refused where it is no topic name. */
static void check_topic(tern__cursor *cursor, const tern__view *topic)
{
    int rc = tern__topic_check((const char *)topic->data, topic->len);
    if (rc == TERN_E_UTF8) /* [MQTT5-3.3.2-1] [MQTT5-1.5.4-1] */
        tern__cursor_fail(cursor, TERN__REASON_MALFORMED, topic->data,
                          "the topic is not well-formed UTF-8 [1.5.4]");
    else if (rc != 0) /* [MQTT5-3.3.2-2] */
        tern__cursor_fail(cursor, TERN__REASON_TOPIC, topic->data,
                          "a topic name with a wildcard [3.3.2.1]");
}

static void set_flags(tern__publish_packet *publish, unsigned header)
{
    publish->qos = header >> 1 & 3;
    publish->dup = (header >> 3 & 1) != 0;
    publish->retain = (header & 1) != 0;
}

/* Any PUBLISH, field by field. */
static TERN__COLD int decode_any(const uint8_t *data, const tern__frame *frame, int version,
                                 tern__sender sender, tern__publish_packet *publish,
                                 tern__props *props, tern__fault *fault)
{
    tern__cursor cursor;
    tern__cursor_init(&cursor, data, frame->len, fault);
    cursor.at += frame->head_len;
    set_flags(publish, frame->header);
    publish->topic = tern__cursor_binary(&cursor);
    if (publish->topic.len != 0) check_topic(&cursor, &publish->topic);
    publish->packet_id = 0;
    if (publish->qos != 0) publish->packet_id = tern__cursor_packet_id(&cursor);
    *props = (tern__props){.data = NULL, .len = 0, .present = 0};
    if (version != TERN__V311) tern__cursor_props(&cursor, TERN__PUBLISH, sender, props);
    /* An empty topic needs an alias to stand for it. [MQTT5-4.7.3-1] */
    if (publish->topic.len == 0 && !tern__props_has(props, TERN__PROP_TOPIC_ALIAS))
        tern__cursor_fail(&cursor, TERN__REASON_PROTOCOL, data + frame->head_len,
                          "no topic and no topic alias [3.3.2.1]");
    publish->payload = (tern__view){cursor.at, tern__cursor_left(&cursor)};
    return cursor.error;
}

/* The common PUBLISH: a plain ASCII topic and no properties. False where it is anything else, a
 * fault included: then nothing is said about it. */
static inline bool decode_plain(const uint8_t *data, const tern__frame *frame, bool v5,
                                tern__publish_packet *publish)
{
    const uint8_t *at = data + frame->head_len;
    size_t left = frame->len - frame->head_len;
    unsigned header = frame->header;
    if (left < 2) return false;
    size_t topic_len = tern__load_u16(at);
    size_t id_len = (header & 6) != 0 ? 2 : 0;
    size_t fields = 2 + topic_len + id_len + v5;
    if (left < fields || topic_len == 0 || tern__topic_marks(at + 2, topic_len) != 0) return false;
    const uint8_t *payload = at + fields;
    if (v5 && payload[-1] != 0) return false; /* the length of the properties */
    publish->packet_id = id_len != 0 ? tern__load_u16(at + 2 + topic_len) : 0;
    if (id_len != 0 && publish->packet_id == 0) return false;
    set_flags(publish, header);
    publish->topic = (tern__view){at + 2, topic_len};
    publish->payload = (tern__view){payload, left - fields};
    return true;
}

int tern__decode_publish(const uint8_t *data, const tern__frame *frame, int version,
                         tern__sender sender, tern__publish_packet *publish, tern__props *props,
                         tern__fault *fault)
{
    if (!decode_plain(data, frame, version != TERN__V311, publish))
        return decode_any(data, frame, version, sender, publish, props, fault);
    *props = (tern__props){.data = NULL, .len = 0, .present = 0};
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

void tern__publish_measure(const tern__publish_packet *publish, const tern__props *props,
                           int version, tern__publish_layout *layout)
{
    *layout = (tern__publish_layout){.len = 0, .id_offset = 0};
    size_t props_len = props != NULL ? props->len : 0;
    /* Each part is checked by itself first: their sum cannot wrap around then. */
    if (publish->topic.len > UINT16_MAX || publish->payload.len > TERN__VARINT_MAX ||
        props_len > TERN__VARINT_MAX)
        return;
    size_t remaining =
        2 + publish->topic.len + publish->payload.len + (publish->qos != 0 ? 2u : 0u);
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
    *out++ =
        (uint8_t)(TERN__PUBLISH << 4 | publish->dup << 3 | publish->qos << 1 | publish->retain);
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
