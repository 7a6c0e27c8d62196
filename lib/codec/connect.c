/* Decoding of CONNECT, which says itself what version it is of.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "codec/fields.h"
#include "codec/props.h"
#include "codec/topic.h"

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80
};

/* The protocol's name and version; 0 where this is no MQTT that we know. */
static int read_version(tern__cursor *cursor, int expected)
{
    const uint8_t *first = cursor->at;
    tern__view name = tern__cursor_text(cursor);
    const uint8_t *where = cursor->at;
    int version = tern__cursor_u8(cursor);
    if (cursor->error != 0) return 0;
    bool named =
        name.len == 4 && memcmp(name.data, "MQTT", 4) == 0; /* [MQTT5-3.1.2-1] [MQTT311-3.1.2-1] */
    if (named && (version == TERN__V311 || version == TERN__V5) &&
        (expected == 0 || expected == version))
        return version;
    tern__cursor_fail(cursor, TERN__REASON_VERSION, named ? where : first,
                      "unsupported protocol name or version [3.1.2.2]"); /* [MQTT5-3.1.2-2] */
    return 0;
}

static void check_flags(tern__cursor *cursor, uint8_t flags, int version, const uint8_t *where)
{
    const char *rule = NULL;
    if ((flags & FLAG_RESERVED) != 0)
        rule = "the reserved connect flag is set [3.1.2.3]"; /* [MQTT5-3.1.2-3] */
    if ((flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
        rule = "will QoS 3 [3.1.2.6]"; /* [MQTT5-3.1.2-12] */
    if ((flags & FLAG_WILL) == 0 && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0)
        rule =
            "will QoS or retain without a will [3.1.2.6]"; /* [MQTT5-3.1.2-11] [MQTT5-3.1.2-13] */
    if (version == TERN__V311 && (flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USER_NAME) == 0)
        rule = "a password without a user name [3.1.2.9]"; /* [MQTT311-3.1.2-22] */
    if (rule != NULL) tern__cursor_fail(cursor, TERN__REASON_MALFORMED, where, rule);
}

static void read_will(tern__cursor *cursor, uint8_t flags, int version, tern__will *will)
{
    will->present = true;
    will->retain = (flags & FLAG_WILL_RETAIN) != 0;
    will->qos = flags >> 3 & 3;
    if (version == TERN__V5)
        tern__cursor_props(cursor, TERN__PROPS_WILL, TERN__FROM_CLIENT, &will->props);
    will->topic = tern__cursor_text(cursor);
    if (cursor->error == 0 &&
        tern__topic_check((const char *)will->topic.data, will->topic.len) != 0)
        tern__cursor_fail(cursor, TERN__REASON_TOPIC, will->topic.data,
                          "the will's topic is no topic name [3.1.3.3]");
    will->payload = tern__cursor_binary(cursor);
}

void tern__decode_connect(tern__cursor *cursor, int version, tern__packet *packet, int *version_out)
{
    tern__connect_packet *connect = &packet->u.connect;
    version = read_version(cursor, version);
    if (cursor->error == 0 && version_out != NULL) *version_out = version;
    const uint8_t *where = cursor->at;
    uint8_t flags = tern__cursor_u8(cursor);
    check_flags(cursor, flags, version, where);
    connect->clean_start = (flags & FLAG_CLEAN) != 0;
    connect->keep_alive = tern__cursor_u16(cursor);
    if (version == TERN__V5)
        tern__cursor_props(cursor, TERN__CONNECT, TERN__FROM_CLIENT, &packet->props);
    connect->client_id = tern__cursor_text(cursor); /* [MQTT5-3.1.3-1] [MQTT5-3.1.3-3] */
    if ((flags & FLAG_WILL) != 0) read_will(cursor, flags, version, &connect->will);
    connect->has_user_name = (flags & FLAG_USER_NAME) != 0;
    if (connect->has_user_name) connect->user_name = tern__cursor_text(cursor);
    connect->has_password = (flags & FLAG_PASSWORD) != 0;
    if (connect->has_password) connect->password = tern__cursor_binary(cursor);
}
