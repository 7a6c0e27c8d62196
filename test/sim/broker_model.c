/* The broker model: MQTT 3.1.1 and 5 as the specification tells a server.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sim/broker_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

void broker_append(broker_bytes *bytes, const void *data, size_t len)
{
    if (bytes->len + len > bytes->cap) {
        bytes->cap = (bytes->len + len) * 2;
        bytes->data = realloc(bytes->data, bytes->cap);
        if (bytes->data == NULL) abort();
    }
    if (len != 0) memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

void broker_drop_front(broker_bytes *bytes, size_t len)
{
    memmove(bytes->data, bytes->data + len, bytes->len - len);
    bytes->len -= len;
}

/* A reader that goes bad instead of beyond the end. */
typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} reader;

static uint32_t read_number(reader *r, unsigned bytes)
{
    uint32_t value = 0;
    if ((size_t)(r->end - r->at) < bytes) {
        r->bad = true;
        r->at = r->end;
        return 0;
    }
    while (bytes-- != 0) value = value << 8 | *r->at++;
    return value;
}

static uint32_t read_varint(reader *r)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint32_t byte = read_number(r, 1);
        value |= (byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    r->bad = true;
    return 0;
}

static reader read_part(reader *r, size_t len)
{
    reader part = {r->at, r->at, false};
    if ((size_t)(r->end - r->at) < len) {
        r->bad = true;
        return part;
    }
    part.end = r->at += len;
    return part;
}

static reader read_string(reader *r)
{
    return read_part(r, read_number(r, 2));
}

static void copy_string(const reader *part, char *to, size_t size)
{
    snprintf(to, size, "%.*s", (int)(part->end - part->at), (const char *)part->at);
}

/* ---- state ---- */

typedef enum parcel_state { QUEUED, SENT, RELEASED } parcel_state;

/* A message for a client. */
typedef struct parcel {
    broker_key key;
    uint8_t qos;
    uint16_t id;
    parcel_state state;
    bool repeated; /* to go out again on this connection */
} parcel;

typedef struct session {
    bool exists;
    bool subscribed;
    uint8_t granted;
    uint32_t expiry; /* seconds; 0 ends with the connection */
    uint16_t last_id;
    uint64_t rec_clock;
    parcel *parcels;
    size_t count;
    size_t cap;
    broker_key held[BROKER_IDS];   /* QoS 2 between PUBLISH and PUBREL; index 0: none */
    uint16_t id_of[BROKER_IDS];    /* the packet id that a message came with in this session, by its index */
    uint64_t rec_at[BROKER_IDS];   /* when its last PUBREC went out */
} session;

/* One connection; all zero when it starts. */
typedef struct link {
    bool open;
    bool connected;
    bool closing;
    bool present;      /* the session was */
    bool first_sent;   /* a first transmission of QoS 1 or 2 came on this connection */
    bool published;    /* any PUBLISH came on this connection */
    int version;
    uint16_t receive_maximum; /* the client's */
    uint16_t announced;       /* ours */
    uint32_t announced_size;
    uint32_t unanswered;      /* QoS 1 and 2 of the client without PUBACK, PUBCOMP or refusal, on this connection */
    bool counts[BROKER_IDS];  /* such an id counts in it */
    uint32_t last_dup;        /* index of the last redelivered message */
    uint64_t last_release;    /* rec_at of the last PUBREL that was owed from before */
    uint16_t acks[BROKER_IDS]; /* ids in the order in which they went out and want PUBACK or PUBREC: a ring */
    uint8_t ack_qos[BROKER_IDS];
    uint32_t ack_head;
    uint32_t ack_tail;
} link;

typedef struct peer {
    link link;
    session session;
    broker_bytes in;
    broker_bytes out;
} peer;

struct broker_model {
    sim_random *random;
    broker_watch watch;
    broker_mood mood;
    bool mute;
    peer peers[BROKER_CLIENTS];
    uint32_t serving;
};

broker_model *broker_new(sim_random *random, const broker_watch *watch)
{
    broker_model *b = calloc(1, sizeof *b);
    if (b == NULL) abort();
    b->random = random;
    b->watch = *watch;
    return b;
}

void broker_free(broker_model *b)
{
    for (int i = 0; i < BROKER_CLIENTS; i++) {
        free(b->peers[i].in.data);
        free(b->peers[i].out.data);
        free(b->peers[i].session.parcels);
    }
    free(b);
}

void broker_set_mood(broker_model *b, const broker_mood *mood)
{
    b->mood = *mood;
}

void broker_calm(broker_model *b, bool mute)
{
    broker_mood calm = {
        .receive_maximum = b->mood.receive_maximum,
        .maximum_packet_size = b->mood.maximum_packet_size,
    };
    b->mood = calm;
    b->mute = mute;
}

broker_bytes *broker_output(broker_model *b, uint32_t client)
{
    return &b->peers[client].out;
}

bool broker_closing(const broker_model *b, uint32_t client)
{
    return b->peers[client].link.closing;
}

static void breach(broker_model *b, const char *clause, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, "client %u: %s", b->serving, what);
    b->watch.breach(b->watch.data, clause, text);
}

static void session_clear(session *s)
{
    free(s->parcels);
    memset(s, 0, sizeof *s);
}

/* ---- sending ---- */

static void send_bytes(peer *p, const void *data, size_t len)
{
    if (p->link.open) broker_append(&p->out, data, len);
}

static void send_ack(peer *p, unsigned type, uint16_t id, uint8_t reason)
{
    uint8_t packet[5] = {(uint8_t)(type << 4 | (type == 6 ? 2 : 0)), 2, (uint8_t)(id >> 8), (uint8_t)id, reason};
    bool with_reason = reason != 0 && p->link.version == 5;
    if (with_reason) packet[1] = 3;
    send_bytes(p, packet, with_reason ? 5 : 4);
}

static uint32_t waiting_acks(const peer *p)
{
    uint32_t waiting = 0;
    for (size_t i = 0; i < p->session.count; i++)
        if (p->session.parcels[i].state != QUEUED && !p->session.parcels[i].repeated) waiting++;
    return waiting;
}

static void send_publish(broker_model *b, peer *p, parcel *message, bool dup)
{
    char payload[48];
    static const char topic[] = "to/all";
    int payload_len = snprintf(payload, sizeof payload, "%u:%u:%u", message->key.publisher, message->key.index,
                               message->key.qos);
    uint8_t packet[96];
    size_t len = 2;
    packet[0] = (uint8_t)(0x30 | (dup ? 8 : 0) | message->qos << 1);
    packet[len++] = 0;
    packet[len++] = sizeof topic - 1;
    memcpy(packet + len, topic, sizeof topic - 1);
    len += sizeof topic - 1;
    if (message->qos != 0) {
        packet[len++] = (uint8_t)(message->id >> 8);
        packet[len++] = (uint8_t)message->id;
        p->link.acks[p->link.ack_tail % BROKER_IDS] = message->id;
        p->link.ack_qos[p->link.ack_tail++ % BROKER_IDS] = message->qos;
    }
    if (p->link.version == 5) packet[len++] = 0;
    memcpy(packet + len, payload, (size_t)payload_len);
    len += (size_t)payload_len;
    packet[1] = (uint8_t)(len - 2);
    send_bytes(p, packet, len);
    (void)b;
}

static bool id_in_use(const session *s, uint16_t id)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->parcels[i].state != QUEUED && s->parcels[i].id == id) return true;
    return false;
}

/* Sends what waits for a client, as far as its Receive Maximum lets: repeats first, in order. [MQTT5-4.4.0-1] */
static void feed(broker_model *b, uint32_t client)
{
    peer *p = &b->peers[client];
    session *s = &p->session;
    if (!p->link.connected || p->link.closing) return;
    for (size_t i = 0; i < s->count; i++) {
        parcel *message = &s->parcels[i];
        if (message->state == QUEUED && waiting_acks(p) >= p->link.receive_maximum) return;
        if (message->repeated) {
            message->repeated = false;
            if (message->state == RELEASED) send_ack(p, 6, message->id, 0);
            if (message->state == SENT) send_publish(b, p, message, true);
        } else if (message->state == QUEUED) {
            do {
                if (++s->last_id == 0) s->last_id = 1;
            } while (id_in_use(s, s->last_id));
            message->id = s->last_id;
            message->state = SENT;
            b->watch.routed(b->watch.data, client, message->key, message->qos);
            send_publish(b, p, message, false);
        }
    }
}

static void route(broker_model *b, broker_key key, uint8_t qos)
{
    for (uint32_t i = 0; i < BROKER_CLIENTS; i++) {
        peer *p = &b->peers[i];
        session *s = &p->session;
        if (!s->exists || !s->subscribed) continue;
        parcel message = {.key = key, .qos = qos < s->granted ? qos : s->granted};
        if (message.qos == 0) {
            if (!p->link.connected || p->link.closing) continue; /* QoS 0 is not kept */
            b->watch.routed(b->watch.data, i, key, 0);
            send_publish(b, p, &message, false);
            continue;
        }
        if (s->count == s->cap) {
            s->cap = s->cap != 0 ? s->cap * 2 : 16;
            s->parcels = realloc(s->parcels, s->cap * sizeof *s->parcels);
            if (s->parcels == NULL) abort();
        }
        s->parcels[s->count++] = message;
        feed(b, i);
    }
}

/* ---- what clients send ---- */

/* Walks properties; those asked for come out. False: there is one that the model does not know. */
static bool read_props(reader *r, uint32_t *expiry, uint32_t *receive_maximum)
{
    static const uint8_t width[43] = {[1] = 1, [2] = 4, [17] = 4, [19] = 2, [23] = 1, [24] = 4, [25] = 1, [33] = 2,
                                      [34] = 2, [35] = 2, [36] = 1, [37] = 1, [39] = 4, [40] = 1, [41] = 1, [42] = 1};
    reader props = read_part(r, read_varint(r));
    while (props.at != props.end && !props.bad) {
        uint32_t id = read_number(&props, 1);
        if (id < 43 && width[id] != 0) {
            uint32_t value = read_number(&props, width[id]);
            if (id == 17 && expiry != NULL) *expiry = value;
            if (id == 33 && receive_maximum != NULL) *receive_maximum = value;
        } else if (id == 11) {
            (void)read_varint(&props);
        } else if (id == 38) {
            (void)read_string(&props);
            (void)read_string(&props);
        } else {
            (void)read_string(&props);
        }
    }
    return !props.bad;
}

static void connack(broker_model *b, peer *p, bool present, uint8_t reason)
{
    uint8_t packet[16] = {0x20, 2, present, reason};
    size_t len = 4;
    if (p->link.version == 5) {
        uint8_t *props_len = &packet[len++];
        if (reason == 0 && b->mood.receive_maximum != 0) {
            packet[len++] = 33;
            packet[len++] = (uint8_t)(b->mood.receive_maximum >> 8);
            packet[len++] = (uint8_t)b->mood.receive_maximum;
        }
        if (reason == 0 && b->mood.maximum_packet_size != 0) {
            packet[len++] = 39;
            for (int shift = 24; shift >= 0; shift -= 8) packet[len++] = (uint8_t)(b->mood.maximum_packet_size >> shift);
        }
        *props_len = (uint8_t)(len - 5);
        packet[1] = (uint8_t)(len - 2);
    }
    send_bytes(p, packet, len);
}

static void on_connect(broker_model *b, uint32_t client, reader *r)
{
    peer *p = &b->peers[client];
    reader name = read_string(r);
    uint32_t level = read_number(r, 1);
    uint32_t flags = read_number(r, 1);
    (void)read_number(r, 2);
    uint32_t expiry = 0;
    uint32_t receive_maximum = UINT16_MAX;
    if (p->link.connected) breach(b, "MQTT5-3.1.0-2", "a second CONNECT");
    if (name.end - name.at != 4 || memcmp(name.at, "MQTT", 4) != 0 || (int)level != p->link.version)
        breach(b, "MQTT5-3.1.2-1", "protocol name or version");
    if ((flags & 1) != 0) breach(b, "MQTT5-3.1.2-3", "the reserved flag of CONNECT");
    if (p->link.version == 5 && !read_props(r, &expiry, &receive_maximum)) r->bad = true;
    reader id = read_string(r);
    char text[32];
    copy_string(&id, text, sizeof text);
    char expected[16];
    snprintf(expected, sizeof expected, "c%u", client);
    if (r->bad || strcmp(text, expected) != 0) breach(b, "MQTT5-3.1.3-2", "the client identifier");
    bool clean = (flags & 2) != 0;
    if (p->link.version == 4) expiry = clean ? 0 : UINT32_MAX;
    if (sim_chance(b->random, b->mood.refuse_connect)) {
        connack(b, p, false, p->link.version == 5 ? 0x88 : 3); /* server unavailable: it heals */
        p->link.closing = true;
        return;
    }
    if (clean) session_clear(&p->session);
    p->link.present = p->session.exists;
    p->session.exists = true;
    p->session.expiry = expiry;
    p->link.connected = true;
    p->link.receive_maximum = (uint16_t)receive_maximum;
    p->link.announced = p->link.version == 5 && b->mood.receive_maximum != 0 ? b->mood.receive_maximum : UINT16_MAX;
    p->link.announced_size = p->link.version == 5 && b->mood.maximum_packet_size != 0 ? b->mood.maximum_packet_size : UINT32_MAX;
    connack(b, p, p->link.present, 0);
    b->watch.connected(b->watch.data, client, p->link.present);
    for (size_t i = 0; i < p->session.count; i++) p->session.parcels[i].repeated = p->session.parcels[i].state != QUEUED;
    feed(b, client);
}

static bool read_key(const reader *payload, broker_key *key)
{
    char text[64];
    unsigned publisher, index, qos;
    copy_string(payload, text, sizeof text);
    if (sscanf(text, "%u:%u:%u", &publisher, &index, &qos) != 3) return false;
    *key = (broker_key){publisher, index, (uint8_t)qos};
    return true;
}

static uint16_t read_id(broker_model *b, reader *r)
{
    uint16_t id = (uint16_t)read_number(r, 2);
    if (r->bad || id == 0 || id >= BROKER_IDS) breach(b, "MQTT5-2.2.1-3", "packet id 0, or more than a simulation uses");
    return id < BROKER_IDS ? id : 0;
}

/* The id counts against our Receive Maximum until its handshake is over. [MQTT5-3.3.4-7] */
static void count_id(broker_model *b, peer *p, uint16_t id)
{
    if (p->link.counts[id]) return;
    p->link.counts[id] = true;
    if (++p->link.unanswered > p->link.announced) breach(b, "MQTT5-3.3.4-9", "more PUBLISH than our Receive Maximum");
}

static void uncount_id(peer *p, uint16_t id)
{
    if (p->link.counts[id]) p->link.unanswered--;
    p->link.counts[id] = false;
}

/* What DUP says must fit what the session knows. [C6] */
static void police_dup(broker_model *b, peer *p, const broker_key *key, uint16_t id, bool dup)
{
    session *s = &p->session;
    uint16_t *known = &s->id_of[key->index % BROKER_IDS];
    if (!dup) {
        p->link.first_sent = true;
        *known = id;
        return;
    }
    if (!p->link.present) breach(b, "C6", "DUP without a resumed session");
    if (p->link.first_sent) breach(b, "C6", "a redelivery behind a first transmission");
    if (key->index <= p->link.last_dup) breach(b, "C6", "redelivery out of order");
    if (*known != 0 && *known != id) breach(b, "C6", "redelivery with another packet id");
    p->link.last_dup = key->index;
    *known = id;
}

static void on_publish(broker_model *b, uint32_t client, unsigned header, reader *r)
{
    peer *p = &b->peers[client];
    session *s = &p->session;
    uint8_t qos = header >> 1 & 3;
    bool dup = (header & 8) != 0;
    broker_key key;
    (void)read_string(r);
    uint16_t id = qos != 0 ? read_id(b, r) : 0;
    if (p->link.version == 5 && !read_props(r, NULL, NULL)) r->bad = true;
    if (r->bad || !read_key(r, &key) || key.qos != qos || qos == 3 || (qos == 0 && dup) || (qos != 0 && id == 0)) {
        breach(b, "MQTT5-3.3.1", "a PUBLISH that nobody published");
        return;
    }
    p->link.published = true;
    if (qos == 0) {
        b->watch.arrived(b->watch.data, client, key, false, true, false);
        route(b, key, 0);
        return;
    }
    bool repeat = qos == 2 && s->held[id].index != 0;
    if (repeat && s->held[id].index != key.index) breach(b, "MQTT5-2.2.1-3", "a packet id that is in use");
    if (repeat && !dup) breach(b, "MQTT5-4.3.3-4", "PUBLISH again without DUP");
    police_dup(b, p, &key, id, dup);
    count_id(b, p, id);
    bool refuse = !repeat && sim_chance(b->random, b->mood.refuse_publish) && p->link.version == 5;
    b->watch.arrived(b->watch.data, client, key, dup, !repeat, refuse);
    if (refuse) {
        uncount_id(p, id);
        b->watch.answered(b->watch.data, client, key, true);
        send_ack(p, qos == 1 ? 4 : 5, id, 0x97);
        return;
    }
    if (!repeat) route(b, key, qos);
    if (qos == 1) {
        uncount_id(p, id);
        b->watch.answered(b->watch.data, client, key, false);
        send_ack(p, 4, id, 0);
        return;
    }
    s->held[id] = key;
    s->rec_at[id] = ++s->rec_clock;
    send_ack(p, 5, id, 0);
}

/* PUBRELs that were owed from an earlier connection come in the order of their PUBRECs. [C6] [MQTT5-4.6.0-4] */
static void on_pubrel(broker_model *b, uint32_t client, uint16_t id)
{
    peer *p = &b->peers[client];
    session *s = &p->session;
    if (s->held[id].index == 0) {
        send_ack(p, 7, id, p->link.version == 5 ? 0x92 : 0);
        return;
    }
    if (s->rec_at[id] < p->link.last_release) breach(b, "C6", "PUBREL out of the order of the PUBRECs");
    p->link.last_release = s->rec_at[id];
    broker_key key = s->held[id];
    s->held[id].index = 0;
    uncount_id(p, id);
    b->watch.answered(b->watch.data, client, key, false);
    send_ack(p, 7, id, 0);
}

/* PUBACKs come in the order of what they acknowledge, and so do PUBRECs. [C9] [MQTT5-4.6.0-2] [MQTT5-4.6.0-3] */
static void police_ack(broker_model *b, peer *p, unsigned type, uint16_t id)
{
    uint8_t qos = type == 4 ? 1 : 2;
    for (uint32_t i = p->link.ack_head; i != p->link.ack_tail; i++) {
        uint32_t at = i % BROKER_IDS;
        if (p->link.ack_qos[at] != qos) continue;
        if (p->link.acks[at] != id) breach(b, "C9", "acknowledgements out of order");
        p->link.ack_qos[at] = 0;
        while (p->link.ack_head != p->link.ack_tail && p->link.ack_qos[p->link.ack_head % BROKER_IDS] == 0) p->link.ack_head++;
        return;
    }
    breach(b, "C9", "an acknowledgement of what was not sent");
}

static void on_answer(broker_model *b, uint32_t client, unsigned type, uint16_t id, uint8_t reason)
{
    peer *p = &b->peers[client];
    session *s = &p->session;
    if (type != 7) police_ack(b, p, type, id);
    for (size_t i = 0; i < s->count; i++) {
        parcel *message = &s->parcels[i];
        if (message->id != id || message->state == QUEUED) continue;
        if (type == 4 && message->qos != 1) breach(b, "MQTT5-4.3.3", "PUBACK for QoS 2");
        if (type == 5 && message->qos != 2) breach(b, "MQTT5-4.3.2", "PUBREC for QoS 1");
        if (type == 7 && message->state != RELEASED) breach(b, "MQTT5-4.3.3", "PUBCOMP before PUBREL");
        if (type == 5 && reason < 0x80) {
            message->state = RELEASED;
            send_ack(p, 6, id, 0);
            return;
        }
        memmove(message, message + 1, (s->count - i - 1) * sizeof *message);
        s->count--;
        feed(b, client);
        return;
    }
    if (type == 5 && reason < 0x80) send_ack(p, 6, id, p->link.version == 5 ? 0x92 : 0);
}

static void on_subscribe(broker_model *b, uint32_t client, reader *r)
{
    peer *p = &b->peers[client];
    uint16_t id = (uint16_t)read_number(r, 2);
    uint8_t codes[16];
    size_t count = 0;
    bool routed = false;
    bool granted = false;
    if (p->link.version == 5 && !read_props(r, NULL, NULL)) r->bad = true;
    while (r->at != r->end && !r->bad && count < sizeof codes) {
        reader filter = read_string(r);
        uint32_t options = read_number(r, 1);
        bool refuse = sim_chance(b->random, b->mood.refuse_subscribe);
        codes[count++] = (uint8_t)(refuse ? (p->link.version == 5 ? 0x87 : 0x80) : options & 3);
        if (filter.end - filter.at != 4 || memcmp(filter.at, "to/#", 4) != 0) continue; /* nothing is published there */
        p->session.granted = options & 3;
        routed = true;
        granted = !refuse;
    }
    if (r->at != r->end || r->bad || id == 0 || count == 0) breach(b, "MQTT5-3.8", "a malformed SUBSCRIBE");
    p->session.subscribed = p->session.subscribed || granted;
    uint8_t head[5] = {0x90, (uint8_t)(count + (p->link.version == 5 ? 3 : 2)), (uint8_t)(id >> 8), (uint8_t)id, 0};
    send_bytes(p, head, p->link.version == 5 ? 5 : 4);
    send_bytes(p, codes, count);
    b->watch.filters(b->watch.data, client, (uint32_t)count);
    if (routed) b->watch.subscribed(b->watch.data, client, granted);
}

static void disconnect(peer *p)
{
    static const uint8_t busy[] = {0xE0, 1, 0x89};
    if (p->link.version == 5) send_bytes(p, busy, sizeof busy);
    p->link.closing = true;
}

static void on_packet(broker_model *b, uint32_t client, unsigned header, reader *r)
{
    static const uint8_t flags[16] = {[6] = 2, [8] = 2, [10] = 2};
    peer *p = &b->peers[client];
    unsigned type = header >> 4;
    if (type != 1 && !p->link.connected) breach(b, "MQTT5-3.1.0-1", "a packet before CONNECT");
    if (type != 3 && (header & 15) != flags[type]) breach(b, "MQTT5-2.1.3-1", "reserved flags");
    if (p->link.connected && sim_chance(b->random, b->mood.disconnect)) {
        disconnect(p);
        return;
    }
    if (p->link.connected && sim_chance(b->random, b->mood.hang_up)) {
        p->link.closing = true;
        p->out.len = 0;
        return;
    }
    if (b->mute && type == 3 && (header & 6) != 0) return;
    switch (type) {
    case 1: on_connect(b, client, r); break;
    case 3: on_publish(b, client, header, r); break;
    case 4:
    case 5:
    case 7: {
        uint16_t id = read_id(b, r);
        on_answer(b, client, type, id, r->at != r->end ? *r->at : 0);
        break;
    }
    case 6: on_pubrel(b, client, read_id(b, r)); break;
    case 8: on_subscribe(b, client, r); break;
    case 12: send_bytes(p, "\xD0\x00", 2); break;
    case 14: p->link.closing = true; break;
    default: breach(b, "MQTT5-2.1.2", "a packet that a client must not send"); break;
    }
}

/* ---- transports ---- */

void broker_accept(broker_model *b, uint32_t client, int version)
{
    peer *p = &b->peers[client];
    memset(&p->link, 0, sizeof p->link);
    p->in.len = p->out.len = 0;
    p->link.open = true;
    p->link.version = version;
}

bool broker_receive(broker_model *b, uint32_t client, const uint8_t *data, size_t len)
{
    peer *p = &b->peers[client];
    b->serving = client;
    if (p->link.closing) return false;
    broker_append(&p->in, data, len);
    while (p->in.len >= 2 && !p->link.closing) {
        reader head = {p->in.data + 1, p->in.data + p->in.len, false};
        uint32_t remaining = read_varint(&head);
        if (head.bad || (size_t)(head.end - head.at) < remaining) break;
        size_t total = (size_t)(head.at - p->in.data) + remaining;
        if (total > p->link.announced_size && p->link.connected) breach(b, "MQTT5-3.2.2-15", "a packet over our maximum size");
        reader body = {head.at, head.at + remaining, false};
        on_packet(b, client, p->in.data[0], &body);
        broker_drop_front(&p->in, total);
    }
    return !p->link.closing;
}

void broker_gone(broker_model *b, uint32_t client)
{
    peer *p = &b->peers[client];
    p->link.open = p->link.connected = false;
    p->in.len = p->out.len = 0;
    if (p->session.exists && p->session.expiry == 0) session_clear(&p->session);
}

void broker_restart(broker_model *b, bool forget)
{
    for (uint32_t i = 0; i < BROKER_CLIENTS; i++) {
        broker_gone(b, i);
        if (forget) session_clear(&b->peers[i].session);
    }
}

bool broker_subscribed(const broker_model *b, uint32_t client)
{
    return b->peers[client].session.subscribed;
}

size_t broker_backlog(const broker_model *b, uint32_t client)
{
    return b->peers[client].link.connected ? b->peers[client].session.count : 0;
}
