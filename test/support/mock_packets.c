/* The mock broker: sessions, routing, and what each packet does.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/mock_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/props.h"
#include "codec/topic.h"

/* ---- sending ---- */

void mock_send_raw(mock_peer *peer, const void *data, size_t len)
{
    mock__append(&peer->out, data, len);
}

void mock_send(mock_peer *peer, const tern__packet *packet)
{
    size_t size = tern__encode_size(packet, peer->version);
    uint8_t *data = malloc(size);
    if (data == NULL) abort();
    tern__encode(packet, peer->version, data);
    mock__append(&peer->out, data, size);
    free(data);
}

void mock_hang_up(mock_peer *peer)
{
    peer->hang_up = true;
}

int mock_version(const mock_peer *peer)
{
    return peer->version;
}

static void send_ack(mock_peer *peer, uint8_t type, uint16_t id, uint8_t reason)
{
    tern__packet packet = {.type = type, .u.ack = {id, reason}};
    mock_send(peer, &packet);
}

static void send_parcel(mock_peer *peer, parcel *p, bool dup)
{
    if (p->released) {
        send_ack(peer, TERN__PUBREL, p->id, 0);
        return;
    }
    if (p->id == 0 && p->qos != 0) {
        if (++peer->session->last_id == 0) peer->session->last_id = 1;
        p->id = peer->session->last_id;
    }
    tern__packet packet = {.type = TERN__PUBLISH};
    packet.u.publish = (tern__publish_packet){
        .dup = dup, .qos = p->qos, .packet_id = p->id, .topic = {(const uint8_t *)p->topic, strlen(p->topic)},
        .payload = {p->payload, p->len}};
    mock_send(peer, &packet);
}

/* ---- sessions ---- */

static void parcel_free(parcel *p)
{
    free(p->topic);
    free(p);
}

void mock__session_clear(session *s)
{
    while (s->wishes != NULL) {
        wish *w = s->wishes;
        s->wishes = w->next;
        free(w);
    }
    while (s->parcels != NULL) {
        parcel *p = s->parcels;
        s->parcels = p->next;
        parcel_free(p);
    }
    memset(s->held, 0, sizeof s->held);
}

static session *session_of(mock_broker *broker, const char *client_id, bool *present)
{
    session *s = broker->sessions;
    while (s != NULL && strcmp(s->client_id, client_id) != 0) s = s->next;
    *present = s != NULL;
    if (s != NULL) return s;
    s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    snprintf(s->client_id, sizeof s->client_id, "%s", client_id);
    s->next = broker->sessions;
    broker->sessions = s;
    return s;
}

static mock_peer *peer_of(const mock_broker *broker, const session *s)
{
    for (size_t i = 0; i < broker->peer_count; i++)
        if (broker->peers[i]->session == s) return broker->peers[i];
    return NULL;
}

static void deliver_locked(mock_broker *broker, session *s, const char *topic, const void *payload, size_t len, uint8_t qos)
{
    parcel *p = calloc(1, sizeof *p + len);
    if (p == NULL) abort();
    p->qos = qos;
    p->topic = strdup(topic);
    p->len = len;
    if (len != 0) memcpy(p->payload, payload, len);
    mock_peer *peer = peer_of(broker, s);
    if (peer != NULL) send_parcel(peer, p, false);
    if (qos == 0) {
        parcel_free(p);
        return;
    }
    parcel **end = &s->parcels;
    while (*end != NULL) end = &(*end)->next;
    *end = p;
}

void mock__route_locked(mock_broker *broker, const char *topic, const void *payload, size_t len, uint8_t qos)
{
    for (session *s = broker->sessions; s != NULL; s = s->next) {
        int best = -1;
        for (wish *w = s->wishes; w != NULL; w = w->next)
            if (tern__filter_match(w->filter, strlen(w->filter), topic, strlen(topic)) && w->qos > best) best = w->qos;
        if (best >= 0) deliver_locked(broker, s, topic, payload, len, qos < best ? qos : (uint8_t)best);
    }
}

/* ---- packets ---- */

static void copy_view(char *to, size_t size, tern__view from)
{
    snprintf(to, size, "%.*s", (int)from.len, from.len != 0 ? (const char *)from.data : "");
}

static void note_connect(mock_broker *broker, const tern__packet *packet, int version)
{
    const tern__connect_packet *connect = &packet->u.connect;
    mock_connect *last = &broker->last_connect;
    memset(last, 0, sizeof *last);
    last->version = version;
    last->clean_start = connect->clean_start;
    last->keep_alive = connect->keep_alive;
    last->session_expiry = tern__props_number(&packet->props, TERN__PROP_SESSION_EXPIRY, 0);
    copy_view(last->client_id, sizeof last->client_id, connect->client_id);
    if (connect->has_user_name) copy_view(last->user_name, sizeof last->user_name, connect->user_name);
    if (connect->will.present) copy_view(last->will_topic, sizeof last->will_topic, connect->will.topic);
}

static void on_connect(mock_peer *peer, const tern__packet *packet, int version)
{
    mock_broker *broker = peer->broker;
    const mock_rules *rules = &broker->rules;
    note_connect(broker, packet, version);
    if ((rules->hang_up_on_v5 || rules->only_v311) && version == TERN__V5) {
        if (rules->only_v311) mock_send_raw(peer, "\x20\x02\x00\x01", 4);
        peer->hang_up = true;
        return;
    }
    int refuse = version == TERN__V311 && rules->refuse >= 0x80 ? 1 : rules->refuse;
    tern__packet answer = {.type = TERN__CONNACK, .u.connack.reason = (uint8_t)refuse};
    char id[64];
    copy_view(id, sizeof id, packet->u.connect.client_id);
    tern__buf props = {0};
    if (id[0] == '\0') {
        snprintf(id, sizeof id, "auto-%llu", (unsigned long long)broker->counts[TERN__CONNECT]);
        if (version == TERN__V5) tern__props_add_text(&props, TERN__PROP_ASSIGNED_CLIENT_ID, id, strlen(id));
    }
    if (version == TERN__V5) tern__buf_append(&props, rules->connack_props, rules->connack_props_len);
    if (rules->refuse != 0) {
        answer.props = (tern__props){props.data, props.len, 0};
        mock_send(peer, &answer);
        peer->hang_up = true;
        tern__buf_deinit(&props);
        return;
    }
    bool present;
    session *s = session_of(broker, id, &present);
    mock_peer *other = peer_of(broker, s);
    if (other != NULL) { /* [MQTT5-3.1.4-3] */
        tern__packet goodbye = {.type = TERN__DISCONNECT, .u.reason.reason = 0x8E};
        if (other->version == TERN__V5) mock_send(other, &goodbye);
        other->session = NULL;
        other->hang_up = true;
    }
    present = present && !packet->u.connect.clean_start && !rules->forget;
    if (!present) mock__session_clear(s);
    s->ends = version == TERN__V5 ? broker->last_connect.session_expiry == 0 : packet->u.connect.clean_start;
    peer->session = s;
    answer.u.connack.session_present = present;
    answer.props = (tern__props){props.data, props.len, 0};
    mock_send(peer, &answer);
    tern__buf_deinit(&props);
    for (parcel *p = s->parcels; p != NULL; p = p->next) send_parcel(peer, p, p->id != 0);
    if (rules->hang_up_after_connack) peer->hang_up = true;
}

static void keep_message(mock_broker *broker, const tern__publish_packet *publish)
{
    size_t size = publish->topic.len + publish->payload.len + 8;
    char *text = malloc(size);
    broker->messages = realloc(broker->messages, (broker->message_count + 1) * sizeof *broker->messages);
    if (text == NULL || broker->messages == NULL) abort();
    snprintf(text, size, "%.*s=%.*s/%u%s%s", (int)publish->topic.len, (const char *)publish->topic.data,
             (int)publish->payload.len, publish->payload.len != 0 ? (const char *)publish->payload.data : "",
             publish->qos, publish->dup ? "d" : "", publish->retain ? "r" : "");
    broker->messages[broker->message_count++] = text;
}

static void on_publish(mock_peer *peer, const tern__packet *packet)
{
    const tern__publish_packet *publish = &packet->u.publish;
    mock_broker *broker = peer->broker;
    bool repeat = publish->qos == 2 && peer->session->held[publish->packet_id];
    if (!repeat) {
        keep_message(broker, publish);
        char topic[256];
        copy_view(topic, sizeof topic, publish->topic);
        if (broker->rules.puback < 0x80)
            mock__route_locked(broker, topic, publish->payload.data, publish->payload.len, publish->qos);
    }
    if (publish->qos == 2 && broker->rules.puback < 0x80) peer->session->held[publish->packet_id] = true;
    if (publish->qos == 0 || broker->rules.no_acks) return;
    send_ack(peer, publish->qos == 1 ? TERN__PUBACK : TERN__PUBREC, publish->packet_id, broker->rules.puback);
}

static void add_wish(session *s, tern__view filter, uint8_t qos)
{
    const uint8_t *data = filter.data;
    size_t len = filter.len;
    if (len > 7 && memcmp(data, "$share/", 7) == 0) {
        const uint8_t *slash = memchr(data + 7, '/', len - 7);
        len -= (size_t)(slash + 1 - data);
        data = slash + 1;
    }
    wish *w = calloc(1, sizeof *w + len + 1);
    if (w == NULL) abort();
    memcpy(w->filter, data, len);
    w->qos = qos;
    w->next = s->wishes;
    s->wishes = w;
}

static void drop_wish(session *s, tern__view filter)
{
    for (wish **at = &s->wishes; *at != NULL;) {
        wish *w = *at;
        if (strlen(w->filter) == filter.len && memcmp(w->filter, filter.data, filter.len) == 0) {
            *at = w->next;
            free(w);
        } else {
            at = &w->next;
        }
    }
}

static void on_subscribe(mock_peer *peer, const tern__packet *packet, bool unsubscribe)
{
    const mock_rules *rules = &peer->broker->rules;
    tern__view rest = packet->u.subscribe.filters;
    tern__view filter;
    uint8_t options;
    bytes codes = {0};
    if (rules->no_suback) return;
    while (tern__filters_next(&rest, !unsubscribe, &filter, &options)) {
        uint8_t code = unsubscribe ? 0 : rules->suback != 0 ? rules->suback : options & 3;
        mock__append(&codes, &code, 1);
        drop_wish(peer->session, filter);
        if (!unsubscribe && code < 0x80) add_wish(peer->session, filter, code);
    }
    tern__packet answer = {.type = unsubscribe ? TERN__UNSUBACK : TERN__SUBACK};
    answer.u.suback = (tern__suback_packet){packet->u.subscribe.packet_id, {codes.data, codes.len}};
    mock_send(peer, &answer);
    free(codes.data);
}

static void on_answer(mock_peer *peer, const tern__packet *packet)
{
    uint16_t id = packet->u.ack.packet_id;
    parcel **at = &peer->session->parcels;
    while (*at != NULL && (*at)->id != id) at = &(*at)->next;
    parcel *p = *at;
    if (packet->type == TERN__PUBREC && packet->u.ack.reason < 0x80) {
        if (p != NULL) p->released = true;
        if (!peer->broker->rules.no_acks) send_ack(peer, TERN__PUBREL, id, 0);
        return;
    }
    if (p == NULL) return;
    *at = p->next;
    parcel_free(p);
}

static void on_packet(mock_peer *peer, const tern__packet *packet, int version)
{
    mock_broker *broker = peer->broker;
    if (packet->type == TERN__CONNECT) peer->version = version;
    if (broker->script != NULL && broker->script(broker, peer, packet, broker->script_data)) return;
    if (broker->rules.silent) return;
    if (packet->type != TERN__CONNECT && peer->session == NULL) {
        peer->hang_up = true;
        return;
    }
    switch (packet->type) {
    case TERN__CONNECT: on_connect(peer, packet, version); break;
    case TERN__PUBLISH: on_publish(peer, packet); break;
    case TERN__PUBREL:
        peer->session->held[packet->u.ack.packet_id] = false;
        if (!broker->rules.no_acks) send_ack(peer, TERN__PUBCOMP, packet->u.ack.packet_id, 0);
        break;
    case TERN__PUBACK:
    case TERN__PUBREC:
    case TERN__PUBCOMP: on_answer(peer, packet); break;
    case TERN__SUBSCRIBE: on_subscribe(peer, packet, false); break;
    case TERN__UNSUBSCRIBE: on_subscribe(peer, packet, true); break;
    case TERN__PINGREQ:
        if (!broker->rules.no_ping_response) mock_send_raw(peer, "\xD0\x00", 2);
        break;
    default: peer->hang_up = true; break;
    }
}

bool mock__take_packets(mock_peer *peer)
{
    size_t at = 0;
    while (!peer->hang_up) {
        tern__frame frame;
        tern__fault fault;
        tern__packet packet;
        const uint8_t *data = peer->in.data + at;
        int version = peer->version;
        int rc = peer->in.len == at ? TERN_E_AGAIN
                                    : tern__frame_peek(data, peer->in.len - at, UINT32_MAX,
                                                       version != 0 ? version : TERN__V5, TERN__FROM_CLIENT, &frame, &fault);
        if (rc == TERN_E_AGAIN || (rc == 0 && frame.len > peer->in.len - at)) break;
        if (rc == 0) rc = tern__decode(data, &frame, version, TERN__FROM_CLIENT, &packet, &version, &fault);
        if (rc != 0) {
            fprintf(stderr, "mock broker: from a client: offset %zu: %s\n", fault.offset, fault.rule);
            return false;
        }
        mock__count_locked(peer->broker, packet.type, 1);
        on_packet(peer, &packet, version);
        at += frame.len;
    }
    if (at != 0) memmove(peer->in.data, peer->in.data + at, peer->in.len - at);
    peer->in.len -= at;
    return true;
}
