/* Decoding PUBLISH: the packet that speed depends on has a file of its own. Writing it is in publish.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <tern/error.h>

#include "codec/decode.h"
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
