/* Properties of MQTT 5: one table with id, type, packets and whether it may repeat; reading and
 * writing. SPDX-License-Identifier: Apache-2.0 */
#include "codec/props.h"

#include <assert.h>
#include <string.h>
#include <tern/error.h>

#include "codec/encode.h"
#include "codec/topic.h"
#include "codec/wire.h"

enum prop_type {
    PROP_NONE,
    PROP_BYTE,
    PROP_U16,
    PROP_U32,
    PROP_VARINT,
    PROP_TEXT,
    PROP_BINARY,
    PROP_PAIR
};

#define WILL TERN__BY_BOTH(TERN__PROPS_WILL)
#define CONNECT TERN__BY_BOTH(TERN__CONNECT)
#define CONNACK TERN__BY_BOTH(TERN__CONNACK)
#define PUBLISH TERN__BY_BOTH(TERN__PUBLISH)
#define PUBLISH_TO_CLIENT TERN__BY_SERVER(TERN__PUBLISH)
#define SUBSCRIBE TERN__BY_BOTH(TERN__SUBSCRIBE)
#define DISCONNECT TERN__BY_BOTH(TERN__DISCONNECT)
#define DISCONNECT_OF_CLIENT TERN__BY_CLIENT(TERN__DISCONNECT)
#define DISCONNECT_OF_SERVER TERN__BY_SERVER(TERN__DISCONNECT)
#define AUTH TERN__BY_BOTH(TERN__AUTH)
#define ACKS                                                                                       \
    (TERN__BY_BOTH(TERN__PUBACK) | TERN__BY_BOTH(TERN__PUBREC) | TERN__BY_BOTH(TERN__PUBREL) |     \
     TERN__BY_BOTH(TERN__PUBCOMP) | TERN__BY_BOTH(TERN__SUBACK) | TERN__BY_BOTH(TERN__UNSUBACK))
#define ALL                                                                                        \
    (WILL | CONNECT | CONNACK | PUBLISH | ACKS | SUBSCRIBE | TERN__BY_BOTH(TERN__UNSUBSCRIBE) |    \
     DISCONNECT | AUTH)

/* The table of MQTT 5 section 2.2.2.2: X(id, type, packets, packets where it may repeat, least,
 * most). */
#define PROPERTIES(X)                                                                              \
    X(TERN__PROP_PAYLOAD_FORMAT, BYTE, PUBLISH | WILL, 0, 0, 1)                                    \
    X(TERN__PROP_MESSAGE_EXPIRY, U32, PUBLISH | WILL, 0, 0, UINT32_MAX)                            \
    X(TERN__PROP_CONTENT_TYPE, TEXT, PUBLISH | WILL, 0, 0, 0)                                      \
    X(TERN__PROP_RESPONSE_TOPIC, TEXT, PUBLISH | WILL, 0, 0, 0)                                    \
    X(TERN__PROP_CORRELATION_DATA, BINARY, PUBLISH | WILL, 0, 0, 0)                                \
    X(TERN__PROP_SUBSCRIPTION_ID, VARINT, PUBLISH_TO_CLIENT | SUBSCRIBE, PUBLISH, 1,               \
      TERN__VARINT_MAX)                                                                            \
    X(TERN__PROP_SESSION_EXPIRY, U32, CONNECT | CONNACK | DISCONNECT_OF_CLIENT, 0, 0, UINT32_MAX)  \
    X(TERN__PROP_ASSIGNED_CLIENT_ID, TEXT, CONNACK, 0, 0, 0)                                       \
    X(TERN__PROP_SERVER_KEEP_ALIVE, U16, CONNACK, 0, 0, UINT16_MAX)                                \
    X(TERN__PROP_AUTH_METHOD, TEXT, CONNECT | CONNACK | AUTH, 0, 0, 0)                             \
    X(TERN__PROP_AUTH_DATA, BINARY, CONNECT | CONNACK | AUTH, 0, 0, 0)                             \
    X(TERN__PROP_REQUEST_PROBLEM_INFO, BYTE, CONNECT, 0, 0, 1)                                     \
    X(TERN__PROP_WILL_DELAY, U32, WILL, 0, 0, UINT32_MAX)                                          \
    X(TERN__PROP_REQUEST_RESPONSE_INFO, BYTE, CONNECT, 0, 0, 1)                                    \
    X(TERN__PROP_RESPONSE_INFO, TEXT, CONNACK, 0, 0, 0)                                            \
    X(TERN__PROP_SERVER_REFERENCE, TEXT, CONNACK | DISCONNECT_OF_SERVER, 0, 0, 0)                  \
    X(TERN__PROP_REASON_STRING, TEXT, CONNACK | ACKS | DISCONNECT | AUTH, 0, 0, 0)                 \
    X(TERN__PROP_RECEIVE_MAXIMUM, U16, CONNECT | CONNACK, 0, 1, UINT16_MAX)                        \
    X(TERN__PROP_TOPIC_ALIAS_MAXIMUM, U16, CONNECT | CONNACK, 0, 0, UINT16_MAX)                    \
    X(TERN__PROP_TOPIC_ALIAS, U16, PUBLISH, 0, 1, UINT16_MAX)                                      \
    X(TERN__PROP_MAXIMUM_QOS, BYTE, CONNACK, 0, 0, 1)                                              \
    X(TERN__PROP_RETAIN_AVAILABLE, BYTE, CONNACK, 0, 0, 1)                                         \
    X(TERN__PROP_USER_PROPERTY, PAIR, ALL, ALL, 0, 0)                                              \
    X(TERN__PROP_MAXIMUM_PACKET_SIZE, U32, CONNECT | CONNACK, 0, 1, UINT32_MAX)                    \
    X(TERN__PROP_WILDCARD_AVAILABLE, BYTE, CONNACK, 0, 0, 1)                                       \
    X(TERN__PROP_SUBSCRIPTION_ID_AVAILABLE, BYTE, CONNACK, 0, 0, 1)                                \
    X(TERN__PROP_SHARED_AVAILABLE, BYTE, CONNACK, 0, 0, 1)

enum { PROP_COUNT = TERN__PROP_SHARED_AVAILABLE + 1 };

typedef struct prop_row {
    uint8_t type; /* PROP_NONE where there is no such property */
    uint32_t packets;
    uint32_t repeats;
    uint32_t least;
    uint32_t most;
} prop_row;

static const prop_row rows[PROP_COUNT] = {
#define PROP_ROW(id, type, packets, repeats, least, most)                                          \
    [id] = {PROP_##type, packets, repeats, least, most},
    PROPERTIES(PROP_ROW)
#undef PROP_ROW
};

/* Reads the value that follows a property's id. */
static void read_value(tern__cursor *cursor, tern__prop *prop)
{
    switch (rows[prop->id].type) {
    case PROP_BYTE:
        prop->number = tern__cursor_u8(cursor);
        break;
    case PROP_U16:
        prop->number = tern__cursor_u16(cursor);
        break;
    case PROP_U32:
        prop->number = tern__cursor_u32(cursor);
        break;
    case PROP_VARINT:
        prop->number = tern__cursor_varint(cursor);
        break;
    case PROP_BINARY:
        prop->text = tern__cursor_binary(cursor);
        break;
    case PROP_PAIR:
        prop->name = tern__cursor_text(cursor); /* [MQTT5-1.5.7-1] */
        prop->text = tern__cursor_text(cursor);
        break;
    default:
        prop->text = tern__cursor_text(cursor);
        break;
    }
}

/* Is a property with that id allowed here, and again? Fails the cursor if not. */
static bool check_id(tern__cursor *cursor, uint8_t id, const uint8_t *first, int where,
                     tern__sender sender, uint64_t present)
{
    const prop_row *row = &rows[id < PROP_COUNT ? id : 0];
    tern__sender other = sender == TERN__FROM_CLIENT ? TERN__FROM_SERVER : TERN__FROM_CLIENT;
    if (row->type == PROP_NONE)
        tern__cursor_fail(cursor, TERN__REASON_MALFORMED, first, "unknown property [2.2.2.2]");
    else if (tern__set_has(row->packets, where, sender) && (present >> id & 1) == 0)
        return true;
    else if (tern__set_has(row->packets, where, sender) &&
             tern__set_has(row->repeats, where, sender))
        return true;
    else if (tern__set_has(row->packets, where, sender))
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first,
                          "a property is there more than once [2.2.2.2]");
    else if (tern__set_has(row->packets, where, other)) /* [MQTT5-3.14.2-2] [MQTT5-3.3.4-6] */
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first,
                          "this side may not send this property [2.2.2.2]");
    else
        tern__cursor_fail(cursor, TERN__REASON_MALFORMED, first,
                          "property not allowed in this packet [2.2.2.2]");
    return false;
}

static bool is_number(uint8_t type)
{
    return type == PROP_BYTE || type == PROP_U16 || type == PROP_U32 || type == PROP_VARINT;
}

static void check_value(tern__cursor *cursor, const tern__prop *prop, const uint8_t *first)
{
    const prop_row *row = &rows[prop->id];
    if (cursor->error != 0) return;
    if (is_number(row->type) && (prop->number < row->least || prop->number > row->most)) {
        bool alias = prop->id == TERN__PROP_TOPIC_ALIAS; /* [MQTT5-3.3.2-8] */
        tern__cursor_fail(cursor, alias ? TERN__REASON_ALIAS : TERN__REASON_PROTOCOL, first,
                          alias ? "topic alias 0 [3.3.2.3.4]"
                                : "a property's value is out of range [2.2.2.2]");
    }
    if (prop->id == TERN__PROP_RESPONSE_TOPIC && /* [MQTT5-3.3.2-14] */
        tern__topic_check((const char *)prop->text.data, prop->text.len) != 0)
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first,
                          "a response topic is no topic name [3.3.2.3.5]");
}

int tern__props_check(const uint8_t *data, size_t len, int where, tern__sender sender,
                      tern__props *props, tern__fault *fault)
{
    tern__cursor cursor;
    tern__cursor_init(&cursor, data, len, fault);
    uint64_t present = 0;
    while (tern__cursor_left(&cursor) != 0) {
        const uint8_t *first = cursor.at;
        tern__prop prop = {.id = tern__cursor_u8(&cursor)};
        if (!check_id(&cursor, prop.id, first, where, sender, present)) break;
        read_value(&cursor, &prop);
        check_value(&cursor, &prop, first);
        present |= UINT64_C(1) << prop.id;
    }
    *props = (tern__props){.data = data, .len = len, .present = present};
    if (cursor.error == 0 && tern__props_has(props, TERN__PROP_AUTH_DATA) &&
        !tern__props_has(props, TERN__PROP_AUTH_METHOD))
        tern__cursor_fail(&cursor, TERN__REASON_PROTOCOL, data,
                          "authentication data without a method [3.1.2.11.10]");
    return cursor.error;
}

bool tern__props_next(tern__view *rest, tern__prop *prop)
{
    if (rest->len == 0) return false;
    tern__fault fault;
    tern__cursor cursor;
    tern__cursor_init(&cursor, rest->data, rest->len, &fault);
    *prop = (tern__prop){.id = tern__cursor_u8(&cursor)};
    assert(prop->id < PROP_COUNT && rows[prop->id].type != PROP_NONE && "the block was checked");
    read_value(&cursor, prop);
    assert(cursor.error == 0 && "the block was checked");
    *rest = (tern__view){cursor.at, tern__cursor_left(&cursor)};
    return true;
}

bool tern__props_find(const tern__props *props, int id, tern__prop *prop)
{
    tern__view rest = {props->data, props->len};
    if (!tern__props_has(props, id)) return false;
    while (tern__props_next(&rest, prop))
        if (prop->id == id) return true;
    return false;
}

uint32_t tern__props_number(const tern__props *props, int id, uint32_t fallback)
{
    tern__prop prop;
    return tern__props_find(props, id, &prop) ? prop.number : fallback;
}

int tern__props_add_number(tern__buf *buf, int id, uint32_t value)
{
    assert(id > 0 && id < PROP_COUNT && is_number(rows[id].type) &&
           "the property's value is a number");
    uint8_t wire[5] = {(uint8_t)id};
    size_t len = 1;
    switch (rows[id].type) {
    case PROP_BYTE:
        wire[len++] = (uint8_t)value;
        break;
    case PROP_U16:
        len = (size_t)(tern__store_u16(wire + 1, value) - wire);
        break;
    case PROP_U32:
        len = (size_t)(tern__store_u32(wire + 1, value) - wire);
        break;
    default:
        len += tern__varint_write(value, wire + 1);
        break;
    }
    return tern__buf_append(buf, wire, len);
}

static void put_counted(tern__buf *buf, const void *data, size_t len)
{
    uint8_t *out = tern__store_u16(buf->data + buf->len, (uint32_t)len);
    buf->len = (size_t)(tern__store_bytes(out, data, len) - buf->data);
}

int tern__props_add_text(tern__buf *buf, int id, const void *data, size_t len)
{
    assert(id > 0 && id < PROP_COUNT &&
           (rows[id].type == PROP_TEXT || rows[id].type == PROP_BINARY) &&
           "the property's value is text or binary");
    assert(len <= UINT16_MAX && "the length has two bytes; callers check at the wall");
    int rc = tern__buf_reserve(buf, 3 + len);
    if (rc != 0) return rc;
    buf->data[buf->len++] = (uint8_t)id;
    put_counted(buf, data, len);
    return 0;
}

int tern__props_add_pair(tern__buf *buf, const void *name, size_t name_len, const void *value,
                         size_t value_len)
{
    assert(name_len <= UINT16_MAX && value_len <= UINT16_MAX &&
           "lengths have two bytes; callers check at the wall");
    int rc = tern__buf_reserve(buf, 5 + name_len + value_len);
    if (rc != 0) return rc;
    buf->data[buf->len++] = TERN__PROP_USER_PROPERTY;
    put_counted(buf, name, name_len);
    put_counted(buf, value, value_len);
    return 0;
}

void tern__props_remove(tern__buf *buf, int id)
{
    tern__view rest = {buf->data, buf->len};
    size_t kept = 0;
    tern__prop prop;
    for (;;) {
        const uint8_t *from = rest.data;
        if (!tern__props_next(&rest, &prop)) break;
        if (prop.id == id) continue;
        size_t len = (size_t)(rest.data - from);
        memmove(buf->data + kept, from, len);
        kept += len;
    }
    buf->len = kept;
}
