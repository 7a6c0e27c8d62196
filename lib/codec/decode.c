/* Decoding: a whole packet's bytes to views, with every rule of the specification checked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/decode.h"

#include <string.h>
#include <tern/error.h>

#include "codec/fields.h"
#include "codec/props.h"
#include "codec/reason.h"
#include "codec/topic.h"
#include "codec/wire.h"

/* What every decoding function needs to know of its packet besides the bytes. */
typedef struct context {
    const tern__frame *frame;
    int version;
    tern__sender sender;
} context;

void tern__cursor_props(tern__cursor *cursor, int where, tern__sender sender, tern__props *props)
{
    size_t len = tern__cursor_varint(cursor);
    tern__view block = tern__cursor_bytes(cursor, len);
    if (cursor->error != 0) return;
    int rc = tern__props_check(block.data, block.len, where, sender, props, cursor->fault);
    if (rc == 0) return;
    cursor->fault->offset += (size_t)(block.data - cursor->start);
    cursor->error = rc;
    cursor->at = cursor->end;
}

uint16_t tern__cursor_packet_id(tern__cursor *cursor)
{
    const uint8_t *where = cursor->at;
    uint16_t id = tern__cursor_u16(cursor);
    if (id == 0) /* [MQTT5-2.2.1-3] [MQTT311-2.3.1-1] */
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, where, "packet id 0 [2.2.1]");
    return id;
}

static uint8_t read_reason(tern__cursor *cursor, const context *ctx)
{
    const uint8_t *where = cursor->at;
    uint8_t reason = tern__cursor_u8(cursor);
    if (!tern__reason_legal(reason, ctx->frame->header >> 4, ctx->sender))
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, where,
                          "reason code not allowed here [2.4]");
    return reason;
}

static void read_packet_props(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    if (ctx->version == TERN__V5)
        tern__cursor_props(cursor, ctx->frame->header >> 4, ctx->sender, &packet->props);
}

static void decode_connack(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    const uint8_t *first = cursor->at;
    uint8_t flags = tern__cursor_u8(cursor);
    if (flags > 1) /* [MQTT5-3.2.2-1] */
        tern__cursor_fail(cursor, TERN__REASON_MALFORMED, first,
                          "reserved CONNACK flags are set [3.2.2.1]");
    packet->u.connack.session_present = flags != 0;
    bool old_form = ctx->version == TERN__V311 || tern__cursor_left(cursor) == 1;
    if (!old_form) {
        packet->u.connack.reason = read_reason(cursor, ctx);
        read_packet_props(cursor, ctx, packet);
    } else {
        uint8_t code = tern__cursor_u8(cursor);
        /* A server that knows no MQTT 5 refuses it in its own words; such a form never accepts. */
        bool v5 = ctx->version == TERN__V5;
        if (v5 && code == 0)
            tern__cursor_fail(cursor, TERN__REASON_MALFORMED, NULL,
                              "CONNACK without property length [3.2.2.3]");
        if (code > 5)
            tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first + 1,
                              "reserved CONNACK return code [3.2.2.3]");
        packet->u.connack.reason = v5 ? tern__reason_from_connack311(code) : code;
    }
    if (flags != 0 && packet->u.connack.reason != 0) /* [MQTT5-3.2.2-6] [MQTT311-3.2.2-4] */
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first,
                          "session present in a refusal [3.2.2.1.1]");
}

static void decode_publish(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    cursor->error = tern__decode_publish(cursor->start, ctx->frame, ctx->version, ctx->sender,
                                         &packet->u.publish, &packet->props, cursor->fault);
    cursor->at = cursor->end; /* what is left is the payload */
}

/* Two bytes are a success, three a reason, four and more have properties. */
static void decode_ack(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    packet->u.ack.packet_id = tern__cursor_packet_id(cursor);
    if (ctx->version == TERN__V311) return;
    if (tern__cursor_left(cursor) != 0) packet->u.ack.reason = read_reason(cursor, ctx);
    if (tern__cursor_left(cursor) != 0) read_packet_props(cursor, ctx, packet);
}

static void check_options(tern__cursor *cursor, const context *ctx, const tern__view *filter)
{
    const uint8_t *where = cursor->at;
    uint8_t options = tern__cursor_u8(cursor);
    uint8_t reserved = ctx->version == TERN__V311 ? 0xFC : 0xC0;
    if ((options & reserved) != 0) /* [MQTT5-3.8.3-5] [MQTT311-3.8.3-4] */
        tern__cursor_fail(cursor, TERN__REASON_MALFORMED, where,
                          "reserved subscription options are set [3.8.3.1]");
    if ((options & 3) == 3)
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, where, "maximum QoS 3 [3.8.3.1]");
    if ((options >> 4 & 3) == 3)
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, where, "retain handling 3 [3.8.3.1]");
    if ((options & 4) != 0 && tern__filter_shared((const char *)filter->data, filter->len, NULL))
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, where,
                          "no local on a shared subscription [3.8.3.1]"); /* [MQTT5-3.8.3-4] */
}

/* The list of SUBSCRIBE and UNSUBSCRIBE: to the end of the packet, at least one filter. */
static void decode_filters(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    tern__subscribe_packet *subscribe = &packet->u.subscribe;
    bool with_options = packet->type == TERN__SUBSCRIBE;
    subscribe->packet_id = tern__cursor_packet_id(cursor);
    read_packet_props(cursor, ctx, packet);
    subscribe->filters = (tern__view){cursor->at, tern__cursor_left(cursor)};
    if (tern__cursor_left(cursor) == 0) /* [MQTT5-3.8.3-2] [MQTT5-3.10.3-2] */
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, NULL, "no topic filter [3.8.3]");
    while (tern__cursor_left(cursor) != 0) {
        tern__view filter = tern__cursor_text(cursor);
        if (cursor->error == 0 && tern__filter_check((const char *)filter.data, filter.len) != 0)
            tern__cursor_fail(cursor, TERN__REASON_FILTER, filter.data, "not a topic filter [4.7]");
        if (with_options && cursor->error == 0) check_options(cursor, ctx, &filter);
        subscribe->count++;
    }
}

static bool code_legal(uint8_t code, const context *ctx)
{
    if (ctx->version == TERN__V5)
        return tern__reason_legal(code, ctx->frame->header >> 4, ctx->sender);
    return code <= 2 || code == 0x80; /* [MQTT311-3.9.3-2] */
}

static void decode_suback(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    tern__suback_packet *suback = &packet->u.suback;
    suback->packet_id = tern__cursor_packet_id(cursor);
    read_packet_props(cursor, ctx, packet);
    if (packet->type == TERN__UNSUBACK && ctx->version == TERN__V311) return;
    const uint8_t *first = cursor->at;
    suback->codes = tern__cursor_bytes(cursor, tern__cursor_left(cursor));
    if (suback->codes.len == 0)
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first, "no reason code [3.9.3]");
    for (size_t i = 0; i < suback->codes.len && cursor->error == 0; i++)
        if (!code_legal(first[i], ctx)) /* [MQTT5-3.8.4-7] */
            tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, first + i,
                              "reason code not allowed here [3.9.3]");
}

/* PINGREQ, PINGRESP: what is behind the header is refused by the caller as trailing. */
static void decode_empty(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    (void)cursor;
    (void)ctx;
    (void)packet;
}

static void decode_disconnect(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    if (ctx->version == TERN__V311) return;
    if (tern__cursor_left(cursor) != 0) packet->u.reason.reason = read_reason(cursor, ctx);
    if (tern__cursor_left(cursor) != 0) read_packet_props(cursor, ctx, packet);
}

/* An empty AUTH says success; any other names its method. */
static void decode_auth(tern__cursor *cursor, const context *ctx, tern__packet *packet)
{
    if (tern__cursor_left(cursor) == 0) return;
    packet->u.reason.reason = read_reason(cursor, ctx);
    read_packet_props(cursor, ctx, packet);
    if (!tern__props_has(&packet->props, TERN__PROP_AUTH_METHOD))
        tern__cursor_fail(cursor, TERN__REASON_PROTOCOL, NULL,
                          "AUTH without a method [3.15.2.2.2]");
}

/* The common ack: two bytes of packet id that say success. False where it is anything else, a fault included. */
static inline bool decode_short_ack(const uint8_t *data, const tern__frame *frame, int version, tern__packet *packet)
{
    const unsigned acks = 1u << TERN__PUBACK | 1u << TERN__PUBREC | 1u << TERN__PUBREL | 1u << TERN__PUBCOMP;
    if (frame->len != 4 || (acks >> (frame->header >> 4) & 1) == 0 || version == 0) return false;
    packet->u.ack.packet_id = tern__load_u16(data + 2);
    return packet->u.ack.packet_id != 0;
}

typedef void decode_function(tern__cursor *cursor, const context *ctx, tern__packet *packet);

static decode_function *const decoders[16] = {
    [TERN__CONNACK] = decode_connack,
    [TERN__PUBLISH] = decode_publish,
    [TERN__PUBACK] = decode_ack,
    [TERN__PUBREC] = decode_ack,
    [TERN__PUBREL] = decode_ack,
    [TERN__PUBCOMP] = decode_ack,
    [TERN__SUBSCRIBE] = decode_filters,
    [TERN__SUBACK] = decode_suback,
    [TERN__UNSUBSCRIBE] = decode_filters,
    [TERN__UNSUBACK] = decode_suback,
    [TERN__PINGREQ] = decode_empty,
    [TERN__PINGRESP] = decode_empty,
    [TERN__DISCONNECT] = decode_disconnect,
    [TERN__AUTH] = decode_auth,
};

int tern__decode(const uint8_t *data, const tern__frame *frame, int version, tern__sender sender,
                 tern__packet *packet, int *version_out, tern__fault *fault)
{
    memset(packet, 0, sizeof *packet);
    packet->type = frame->header >> 4;
    if (decode_short_ack(data, frame, version, packet)) return 0;
    tern__cursor cursor;
    tern__cursor_init(&cursor, data, frame->len, fault);
    cursor.at += frame->head_len;
    context ctx = {frame, version, sender};
    if (packet->type == TERN__CONNECT)
        tern__decode_connect(&cursor, version, packet, version_out);
    else if (version == 0)
        tern__cursor_fail(&cursor, TERN__REASON_PROTOCOL, data,
                          "the first packet is CONNECT [3.1]"); /* [MQTT5-3.1.0-1] */
    else if (decoders[packet->type] != NULL)
        decoders[packet->type](&cursor, &ctx, packet);
    else
        tern__cursor_fail(&cursor, TERN__REASON_MALFORMED, data,
                          "packet type 0 is reserved [2.1.2]");
    if (tern__cursor_left(&cursor) != 0)
        tern__cursor_fail(&cursor, TERN__REASON_MALFORMED, NULL,
                          "bytes behind the last field [2.1.4]");
    return cursor.error;
}

bool tern__filters_next(tern__view *rest, bool with_options, tern__view *filter, uint8_t *options)
{
    tern__fault fault;
    tern__cursor cursor;
    if (rest->len == 0) return false;
    tern__cursor_init(&cursor, rest->data, rest->len, &fault);
    *filter = tern__cursor_binary(&cursor);
    uint8_t byte = with_options ? tern__cursor_u8(&cursor) : 0;
    if (cursor.error != 0) return false;
    if (options != NULL) *options = byte;
    *rest = (tern__view){cursor.at, tern__cursor_left(&cursor)};
    return true;
}
