/* A small world for sweeps: an engine, a broker model, and a link that can be cut after any byte.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sweep/world.h"

#include <stdio.h>
#include <string.h>
#include <tern/subscription.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "engine/message.h"

int world_init(world *w, int version)
{
    memset(w, 0, sizeof *w);
    w->version = version;
    w->now = 1000000;
    w->cut_out = w->cut_in = SIZE_MAX;
    w->last_first_copy = -1;
    int rc = tern__block_pool_new(&w->pool, 4096);
    if (rc != 0) return rc;
    tern__engine_config config = {
        .client_id = "world",
        .outbox_bytes = 1 << 20,
        .inflight_maximum = 4,
        .receive_maximum = UINT16_MAX,
        .maximum_packet_size = 1 << 20,
        .pool = w->pool,
    };
    /* 3.1.1 keeps its session only where a persistent one is asked for. */
    w->session_mode = version == TERN__V5 ? TERN_SESSION_PROCESS : TERN_SESSION_PERSISTENT;
    rc = tern__engine_new(&w->engine, &config);
    if (rc != 0) {
        tern__block_pool_unref(w->pool);
        w->pool = NULL;
    }
    return rc;
}

void world_deinit(world *w)
{
    tern__engine_free(w->engine);
    tern__block_pool_unref(w->pool);
}

static int publish(world *w, int index)
{
    char text[8];
    int len = snprintf(text, sizeof text, "%d", index);
    tern__submission submission = {
        .publish.qos = (uint8_t)(index % 3),
        .publish.topic = {(const uint8_t *)"t", 1},
        .publish.payload = {(const uint8_t *)text, (size_t)len},
    };
    uint64_t id;
    return tern__outbox_append_locked(tern__engine_outbox(w->engine), &submission, &id);
}

int world_submit(world *w, unsigned *accepted)
{
    for (*accepted = 0; *accepted < WORLD_MESSAGES; (*accepted)++) {
        int rc = publish(w, (int)*accepted);
        if (rc != 0) return rc;
    }
    tern_subscription *wish;
    int rc = tern_subscription_new(&wish);
    if (rc != 0) return rc;
    rc = tern_subscription_add(wish, "in", TERN_QOS_2);
    if (rc == 0) rc = tern__engine_subscribe(w->engine, wish, NULL, w->now);
    tern_subscription_free(wish);
    return rc;
}

/* ---- the broker, from the specification ---- */

static void broker_send(world *w, const tern__packet *packet)
{
    size_t size = tern__encode_size(packet, w->version);
    if (size == 0 || w->out_len + size > sizeof w->out) return;
    tern__encode(packet, w->version, w->out + w->out_len);
    w->out_len += size;
}

static void broker_ack(world *w, uint8_t type, uint16_t id)
{
    tern__packet packet = {.type = type};
    packet.u.ack.packet_id = id;
    broker_send(w, &packet);
}

/* One message of each QoS for the client; a resumed session gets those that are open once more. */
static void broker_publish(world *w, int qos, bool dup)
{
    tern__packet packet = {.type = TERN__PUBLISH};
    packet.u.publish = (tern__publish_packet){
        .dup = dup, .qos = (uint8_t)qos, .packet_id = (uint16_t)(qos * 10), .topic = {(const uint8_t *)"in", 2}};
    broker_send(w, &packet);
}

static void on_connect(world *w, const tern__packet *packet)
{
    bool present = w->session_kept && !packet->u.connect.clean_start && !w->broker_forgets;
    if (!present) {
        memset(w->held, 0, sizeof w->held);
        memset(w->inbound_open, 0, sizeof w->inbound_open);
        memset(w->inbound_released, 0, sizeof w->inbound_released);
        w->subscribed = false;
    }
    w->session_kept = true;
    tern__packet answer = {.type = TERN__CONNACK};
    answer.u.connack.session_present = present;
    broker_send(w, &answer);
    for (int qos = 1; qos <= 2 && present; qos++) {
        if (w->inbound_open[qos] && !w->inbound_released[qos]) broker_publish(w, qos, true);
        if (w->inbound_released[qos]) broker_ack(w, TERN__PUBREL, (uint16_t)(qos * 10));
    }
}

static void on_subscribe(world *w, const tern__packet *packet)
{
    static const uint8_t code = 2;
    tern__packet answer = {.type = TERN__SUBACK};
    answer.u.suback = (tern__suback_packet){packet->u.subscribe.packet_id, {&code, 1}};
    broker_send(w, &answer);
    w->subscribed = true;
    if (w->subscribes++ != 0) return; /* the messages come once */
    for (int qos = 0; qos <= 2; qos++) {
        w->inbound_open[qos] = qos != 0;
        broker_publish(w, qos, false);
    }
}

static void on_publish(world *w, const tern__publish_packet *publish)
{
    int index = publish->payload.data[0] - '0';
    bool repeat = publish->qos == 2 && w->held[publish->packet_id];
    if (!repeat && w->copies[index]++ == 0) {
        if (index < w->last_first_copy) w->order_errors++;
        w->last_first_copy = index;
    }
    if (publish->qos == 2) w->held[publish->packet_id] = true;
    if (publish->qos != 0) broker_ack(w, publish->qos == 1 ? TERN__PUBACK : TERN__PUBREC, publish->packet_id);
}

static void on_packet(world *w, const tern__packet *packet)
{
    uint16_t id = packet->u.ack.packet_id;
    switch (packet->type) {
    case TERN__CONNECT: on_connect(w, packet); break;
    case TERN__SUBSCRIBE: on_subscribe(w, packet); break;
    case TERN__PUBLISH: on_publish(w, &packet->u.publish); break;
    case TERN__PUBREL:
        w->held[id] = false;
        broker_ack(w, TERN__PUBCOMP, id);
        break;
    case TERN__PUBACK: w->inbound_open[1] = false; break;
    case TERN__PUBREC:
        w->inbound_released[2] = true;
        broker_ack(w, TERN__PUBREL, id);
        break;
    case TERN__PUBCOMP: w->inbound_open[2] = w->inbound_released[2] = false; break;
    default: break;
    }
}

static void broker_read(world *w)
{
    for (;;) {
        tern__frame frame;
        tern__fault fault;
        tern__packet packet;
        int rc = tern__frame_peek(w->in, w->in_len, UINT32_MAX, w->version, TERN__FROM_CLIENT, &frame, &fault);
        if (rc != 0 || frame.len > w->in_len) return;
        if (tern__decode(w->in, &frame, w->version, TERN__FROM_CLIENT, &packet, NULL, &fault) != 0) {
            w->order_errors += 1000; /* the client never sends what is illegal */
            return;
        }
        on_packet(w, &packet);
        memmove(w->in, w->in + frame.len, w->in_len - frame.len);
        w->in_len -= frame.len;
    }
}

/* ---- the client's owner ---- */

static void take_messages(world *w, tern__block *block)
{
    tern__block_finish(block);
    for (uint32_t i = 0; i < block->count; i++) {
        const tern__record *record = &block->records[i];
        w->received[record->qos]++;
        if (record->qos != 0) tern__engine_ack_through(w->engine, block->epoch, record->ack_seq);
    }
    tern__block_unref(block);
}

static void pump(world *w)
{
    tern__engine_event event;
    while (tern__engine_next_event(w->engine, &event)) {
        if (event.kind == TERN__EVENT_MESSAGES) take_messages(w, event.block);
        if (event.kind == TERN__EVENT_CONNECTED) w->connected = true;
        if (event.kind == TERN__EVENT_FAILED || event.kind == TERN__EVENT_REFUSED) {
            w->failures++;
            w->cut = true;
        }
    }
    tern__range range;
    while (tern__engine_next_range(w->engine, &range)) {
        for (uint64_t id = range.first; id <= range.last; id++) {
            w->outcomes[id - 1]++;
            w->outcome[id - 1] = range.outcome;
            w->cause[id - 1] = range.cause;
        }
    }
    (void)tern__engine_sync_locked(w->engine);
}

void world_connect(world *w)
{
    tern__connect_config config = {
        .version = w->version,
        .session = w->session_mode,
        .session_expiry = 3600,
        .keep_alive = 60,
        .ping_timeout_ms = 10000,
        .request_problem_info = true,
    };
    w->in_len = w->out_len = 0;
    w->cut = w->connected = false;
    w->online = true;
    w->now += 1000000;
    if (tern__engine_opened(w->engine, &config, w->now) != 0) w->cut = true;
}

static size_t carry_out(world *w)
{
    tern__iov iov[8];
    size_t count = 0;
    if (tern__engine_output(w->engine, w->now, iov, 8, &count) != 0 || count == 0) return 0;
    size_t n = iov[0].len;
    if (n > 3 && w->cut_out == SIZE_MAX) n = n / 2 + 1; /* partial writes are the rule here */
    if (n > w->cut_out) n = w->cut_out;
    memcpy(w->in + w->in_len, iov[0].data, n);
    w->in_len += n;
    tern__engine_sent(w->engine, n, w->now);
    w->carried_out += n;
    if (w->cut_out != SIZE_MAX) w->cut_out -= n;
    if (w->cut_out == 0) w->cut = true;
    return n;
}

static size_t carry_in(world *w)
{
    size_t n = w->out_len < w->cut_in ? w->out_len : w->cut_in;
    if (n == 0) return 0;
    int rc = tern__engine_recv(w->engine, w->out, n, w->now);
    memmove(w->out, w->out + n, w->out_len - n);
    w->out_len -= n;
    w->carried_in += n;
    if (w->cut_in != SIZE_MAX) w->cut_in -= n;
    if (rc != 0 || w->cut_in == 0) w->cut = true;
    return n;
}

void world_run(world *w)
{
    size_t moved = 1;
    while (moved != 0 && !w->cut) {
        moved = carry_out(w);
        broker_read(w);
        if (!w->cut) moved += carry_in(w);
        pump(w);
    }
}

void world_disconnect(world *w)
{
    tern__engine_closed(w->engine, w->now);
    w->online = false;
    pump(w);
}

void world_close(world *w)
{
    if (w->online) world_disconnect(w);
    for (int tries = 0; tries < 3; tries++) {
        (void)tern__engine_sync_locked(w->engine);
        int rc = tern__engine_abandon(w->engine);
        pump(w);
        if (rc == 0) return;
    }
}
