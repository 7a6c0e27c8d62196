/* Encoding: packets to bytes. The caller measures, finds room, and writes; nothing allocates.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/encode.h"

#include <assert.h>

#include "codec/decode.h"
#include "codec/publish.h"
#include "codec/wire.h"

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

/* One function a packet type says what is written; run without an `out` it measures. So size and
 * bytes cannot differ. */
typedef struct writer {
    uint8_t *out; /* NULL while measuring */
    size_t len;   /* bytes so far */
    bool bad;     /* something does not fit its length field, or is not of this version */
    int version;
} writer;

static void put_bytes(writer *w, const void *data, size_t len)
{
    if (w->out != NULL) (void)tern__store_bytes(w->out + w->len, data, len);
    w->len += len;
}

static void put_u8(writer *w, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    put_bytes(w, &byte, 1);
}

static void put_u16(writer *w, uint32_t value)
{
    uint8_t wire[2];
    (void)tern__store_u16(wire, value);
    put_bytes(w, wire, sizeof wire);
}

static void put_varint(writer *w, size_t value)
{
    uint8_t wire[4];
    size_t len = value <= TERN__VARINT_MAX ? tern__varint_write((uint32_t)value, wire) : 0;
    if (len == 0) w->bad = true;
    put_bytes(w, wire, len);
}

/* Bytes behind their length. */
static void put_counted(writer *w, const tern__view *view)
{
    if (view->len > UINT16_MAX) w->bad = true;
    put_u16(w, (uint32_t)view->len);
    put_bytes(w, view->data, view->len);
}

static void put_props(writer *w, const tern__props *props)
{
    if (w->version == TERN__V311) return;
    put_varint(w, props->len); /* [MQTT5-2.2.2-1] */
    put_bytes(w, props->data, props->len);
}

static void put_connect(writer *w, const tern__packet *packet)
{
    const tern__connect_packet *connect = &packet->u.connect;
    const tern__will *will = &connect->will;
    static const uint8_t name[] = {0, 4, 'M', 'Q', 'T', 'T'}; /* [MQTT5-3.1.2-1] */
    put_bytes(w, name, sizeof name);
    put_u8(w, (unsigned)w->version);
    unsigned flags = (unsigned)connect->clean_start << 1 | (unsigned)connect->has_password << 6 |
                     (unsigned)connect->has_user_name << 7;
    if (will->present) flags |= 4u | (unsigned)will->qos << 3 | (unsigned)will->retain << 5;
    put_u8(w, flags);
    put_u16(w, connect->keep_alive);
    put_props(w, &packet->props);
    put_counted(w, &connect->client_id); /* [MQTT5-3.1.3-1] */
    if (will->present) {
        put_props(w, &will->props);
        put_counted(w, &will->topic);
        put_counted(w, &will->payload);
    }
    if (connect->has_user_name) put_counted(w, &connect->user_name);
    if (connect->has_password) put_counted(w, &connect->password);
}

static void put_connack(writer *w, const tern__packet *packet)
{
    put_u8(w, packet->u.connack.session_present);
    put_u8(w, packet->u.connack.reason);
    put_props(w, &packet->props);
}

/* Short forms: no reason and no properties, or a reason alone. */
static void put_reason_short(writer *w, uint8_t reason, const tern__props *props)
{
    if (w->version == TERN__V311) return;
    if (reason == 0 && props->len == 0) return;
    put_u8(w, reason);
    if (props->len != 0) put_props(w, props);
}

static void put_ack(writer *w, const tern__packet *packet)
{
    put_u16(w, packet->u.ack.packet_id);
    put_reason_short(w, packet->u.ack.reason, &packet->props);
}

static void put_subscribe(writer *w, const tern__packet *packet)
{
    tern__view rest = packet->u.subscribe.filters;
    put_u16(w, packet->u.subscribe.packet_id);
    put_props(w, &packet->props);
    if (w->version != TERN__V311) {
        put_bytes(w, rest.data, rest.len);
        return;
    }
    /* 3.1.1 knows the QoS alone; other options are left out. [MQTT311-3.8.3-4] */
    tern__view filter;
    uint8_t options;
    while (tern__filters_next(&rest, true, &filter, &options)) {
        put_counted(w, &filter);
        put_u8(w, options & 3u);
    }
}

static void put_unsubscribe(writer *w, const tern__packet *packet)
{
    put_u16(w, packet->u.subscribe.packet_id);
    put_props(w, &packet->props);
    put_bytes(w, packet->u.subscribe.filters.data, packet->u.subscribe.filters.len);
}

static void put_suback(writer *w, const tern__packet *packet)
{
    put_u16(w, packet->u.suback.packet_id);
    put_props(w, &packet->props);
    if (packet->type == TERN__UNSUBACK && w->version == TERN__V311) return;
    put_bytes(w, packet->u.suback.codes.data, packet->u.suback.codes.len);
}

static void put_empty(writer *w, const tern__packet *packet)
{
    (void)w;
    (void)packet;
}

static void put_disconnect(writer *w, const tern__packet *packet)
{
    put_reason_short(w, packet->u.reason.reason, &packet->props);
}

/* AUTH has no form with a reason alone. */
static void put_auth(writer *w, const tern__packet *packet)
{
    if (w->version == TERN__V311) w->bad = true;
    if (packet->u.reason.reason == 0 && packet->props.len == 0) return;
    put_u8(w, packet->u.reason.reason);
    put_props(w, &packet->props);
}

typedef struct encoder {
    void (*put)(writer *w, const tern__packet *packet);
    uint8_t flags; /* [MQTT5-2.1.3-1] */
} encoder;

/* PUBLISH has functions of its own. */
static const encoder encoders[16] = {
    [TERN__CONNECT] = {put_connect, 0},
    [TERN__CONNACK] = {put_connack, 0},
    [TERN__PUBACK] = {put_ack, 0},
    [TERN__PUBREC] = {put_ack, 0},
    [TERN__PUBREL] = {put_ack, 2},
    [TERN__PUBCOMP] = {put_ack, 0},
    [TERN__SUBSCRIBE] = {put_subscribe, 2},
    [TERN__SUBACK] = {put_suback, 0},
    [TERN__UNSUBSCRIBE] = {put_unsubscribe, 2},
    [TERN__UNSUBACK] = {put_suback, 0},
    [TERN__PINGREQ] = {put_empty, 0},
    [TERN__PINGRESP] = {put_empty, 0},
    [TERN__DISCONNECT] = {put_disconnect, 0},
    [TERN__AUTH] = {put_auth, 0},
};

/* Bytes behind the fixed header; false where there is no such packet. */
static bool measure(const tern__packet *packet, int version, size_t *remaining)
{
    writer w = {.version = version};
    if (packet->type > TERN__AUTH || encoders[packet->type].put == NULL) return false;
    encoders[packet->type].put(&w, packet);
    *remaining = w.len;
    return !w.bad && w.len <= TERN__VARINT_MAX;
}

size_t tern__encode_size(const tern__packet *packet, int version)
{
    if (version != TERN__V311 && version != TERN__V5) return 0;
    if (packet->type == TERN__PUBLISH) {
        tern__publish_layout layout;
        tern__publish_measure(&packet->u.publish, &packet->props, version, &layout);
        return layout.len;
    }
    size_t remaining;
    if (!measure(packet, version, &remaining)) return 0;
    return 1 + tern__varint_size(remaining) + remaining;
}

void tern__encode(const tern__packet *packet, int version, uint8_t *out)
{
    if (packet->type == TERN__PUBLISH) {
        tern__publish_layout layout;
        tern__publish_measure(&packet->u.publish, &packet->props, version, &layout);
        tern__publish_write(&packet->u.publish, &packet->props, version, &layout, out);
        return;
    }
    size_t remaining = 0;
    bool possible = measure(packet, version, &remaining);
    assert(possible && "tern__encode_size() said that it can be encoded");
    if (!possible) return;
    *out++ = (uint8_t)(packet->type << 4 | encoders[packet->type].flags);
    out += tern__varint_write((uint32_t)remaining, out);
    writer w = {.out = out, .version = version};
    encoders[packet->type].put(&w, packet);
}

size_t tern__ack_write(uint8_t type, uint16_t packet_id, uint8_t reason, int version,
                       uint8_t out[5])
{
    bool with_reason = reason != 0 && version != TERN__V311;
    out[0] = (uint8_t)(type << 4 | (type == TERN__PUBREL ? 2 : 0)); /* [MQTT5-3.6.1-1] */
    out[1] = with_reason ? 3 : 2;
    (void)tern__store_u16(out + 2, packet_id);
    if (!with_reason) return 4;
    out[4] = reason;
    return 5;
}
