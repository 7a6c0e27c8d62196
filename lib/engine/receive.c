/* Receiving: whole packets out of the bytes that came, one handler a packet type.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/decode.h"
#include "codec/props.h"
#include "codec/reason.h"
#include "engine/blocks.h"
#include "engine/machine.h"

enum { MOST_ACK_BYTES = 1 << 20 };

/* ---- PUBLISH ---- */

static int no_memory(tern__engine *e)
{
    return tern__engine_fail(e, TERN_E_NOMEM, 0x83, 0, "out of memory");
}

static int broken(tern__engine *e, uint8_t reason, const char *rule)
{
    return tern__engine_fail(e, TERN_E_PROTOCOL, reason, 0, rule);
}

/* The topic that an alias stands for; a topic that comes along is kept for it. */
static int resolve_alias(tern__engine *e, const tern__publish_packet *publish, const tern__props *props, tern__record *record)
{
    uint32_t alias = tern__props_number(props, TERN__PROP_TOPIC_ALIAS, 0);
    if (alias > e->config.topic_alias_maximum) /* [MQTT5-3.1.2-26] [MQTT5-3.1.2-27] [MQTT5-3.3.2-11] */
        return broken(e, 0x94, "a topic alias over our maximum [MQTT5-3.3.2-11]");
    tern__aliases *aliases = &e->receiver.aliases;
    if (aliases->topics == NULL)
        aliases->topics = tern__calloc((size_t)e->config.topic_alias_maximum + 1, sizeof *aliases->topics);
    if (aliases->topics == NULL) return no_memory(e);
    struct tern__alias *known = &aliases->topics[alias];
    if (publish->topic.len != 0) {
        char *copy = tern__memdup(publish->topic.data, publish->topic.len);
        if (copy == NULL) return no_memory(e);
        tern__free(known->topic);
        *known = (struct tern__alias){.topic = copy, .len = publish->topic.len};
        return 0;
    }
    if (known->topic == NULL) return broken(e, 0x82, "an alias that stands for no topic yet [MQTT5-3.3.2-8]");
    if (known->filling != e->receiver.filling) { /* once a block: few bytes of a server must not become many here [C10] */
        uint8_t *topic = tern__block_extra(e->receiver.block, known->len);
        if (topic == NULL) return no_memory(e);
        memcpy(topic, known->topic, known->len + 1);
        known->shared = topic;
        known->filling = e->receiver.filling;
    }
    record->topic = known->shared;
    record->topic_len = (uint16_t)known->len;
    record->flags |= TERN__RECORD_ALIASED;
    return 0;
}

/* Notes that the message is to be acknowledged. Where it cannot be delivered, its id is not held either: it comes again. */
static int owe(tern__engine *e, const tern__publish_packet *publish, tern__record *record, bool *repeat)
{
    tern__acks *acks = &e->acks;
    *repeat = publish->qos == 2 && tern__acks_is_held(acks, publish->packet_id); /* [MQTT5-4.3.3-10] */
    /* In a session that may be new to us, what is no repeat for the server is none for us. (Where the first transmission was
     * lost as well, the two cannot be told apart: then it counts as the repeat that it is in the session we remember.) */
    if (e->session.doubtful && !publish->dup) *repeat = false;
    if (publish->qos == 2 && !*repeat && tern__acks_hold(acks, publish->packet_id) != 0) return no_memory(e);
    record->ack_seq = tern__acks_owe(e, publish->packet_id, publish->qos, *repeat, e->receiver.now);
    int rc = record->ack_seq != 0 ? 0 : no_memory(e);
    if (rc == 0 && e->stats.unacked_inbound > UINT16_MAX) /* also without a Receive Maximum what we remember is bounded [C10] */
        rc = broken(e, 0x93, "more messages to be acknowledged than there are packet ids [2.2.1]");
    if (rc == 0 && *repeat) return tern__acks_flush(e) != 0 ? no_memory(e) : 0; /* the same message: it counts once */
    if (rc == 0 && ++acks->open > e->config.receive_maximum && tern__engine_version(e) == TERN__V5) /* [MQTT5-3.3.4-9] */
        rc = broken(e, 0x93, "more unacknowledged messages than our Receive Maximum [MQTT5-3.3.4-9]");
    if (rc != 0 && publish->qos == 2 && !*repeat) (void)tern__acks_let_go(acks, publish->packet_id);
    return rc;
}

static int on_publish(tern__engine *e, const uint8_t *data, const tern__frame *frame)
{
    tern__publish_packet publish;
    tern__props props;
    tern__fault fault;
    int rc = tern__decode_publish(data, frame, tern__engine_version(e), TERN__FROM_SERVER, &publish, &props, &fault);
    if (rc != 0) return tern__engine_fail(e, rc, fault.reason, fault.offset, fault.rule);
    tern__block *block = e->receiver.block;
    tern__record *record = tern__block_record(block);
    if (record == NULL) return no_memory(e);
    *record = (tern__record){
        .topic = publish.topic.data,
        .payload = publish.payload.data,
        .payload_len = (uint32_t)publish.payload.len,
        .topic_len = (uint16_t)publish.topic.len,
        .qos = publish.qos,
        .flags = (uint8_t)((publish.retain ? TERN__RECORD_RETAIN : 0) | (publish.dup ? TERN__RECORD_DUP : 0)),
        .props = props.data,
        .props_len = (uint32_t)props.len,
        .props_present = props.present,
        .block = block,
    };
    bool repeat = false;
    if (tern__props_has(&props, TERN__PROP_TOPIC_ALIAS)) rc = resolve_alias(e, &publish, &props, record);
    if (rc == 0 && publish.qos != 0) rc = owe(e, &publish, record, &repeat);
    if (rc != 0 || repeat) block->count--;
    if (rc == 0 && !repeat) e->stats.messages_received++;
    return rc;
}

/* ---- answers to what we sent ---- */

static tern__slot *find_publish(tern__engine *e, uint16_t packet_id, int qos)
{
    tern__slot *slot = tern__inflight_find(&e->inflight, packet_id);
    if (slot == NULL || slot->kind != TERN__SLOT_PUBLISH) return NULL;
    return tern__chunk_entry(slot->of.chunk, slot->index)->qos == qos ? slot : NULL;
}

/* Whether the id stands for something else than a PUBLISH of this QoS: its ack is of the wrong kind then. [MQTT5-3.3.4-1] */
static bool wrong_kind(tern__engine *e, uint16_t packet_id, int qos)
{
    return tern__inflight_find(&e->inflight, packet_id) != NULL && find_publish(e, packet_id, qos) == NULL;
}

/* The server's words go to whoever waits for the message; without memory for them the reason code has to do. */
static void keep_reason_string(tern__completion *completion, const tern__packet *packet)
{
    tern__prop prop;
    if (completion == NULL || !tern__props_has(&packet->props, TERN__PROP_REASON_STRING)) return;
    if (completion->reason_string != NULL) return; /* PUBREC's, which goes with the code */
    if (tern__props_find(&packet->props, TERN__PROP_REASON_STRING, &prop))
        completion->reason_string = tern__memdup(prop.text.data, prop.text.len);
}

/* The message of a slot ends; the slot is free again. */
static void finish(tern__engine *e, tern__slot *slot, int reason, const tern__packet *packet)
{
    tern__chunk *chunk = slot->of.chunk;
    uint32_t index = slot->index;
    keep_reason_string(tern__chunk_entry(chunk, index)->completion, packet);
    if (e->redeliver == slot->packet_id) e->redeliver = slot->next;
    tern__inflight_close(&e->inflight, slot);
    tern__outcome_tell(e, chunk, index, reason < 0x80 ? TERN_OUTCOME_DELIVERED : TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, reason);
}

static void more_quota(tern__engine *e)
{
    if (e->quota < (int32_t)e->limits.send_maximum) e->quota++;
}

static int on_puback(tern__engine *e, const tern__packet *packet)
{
    const tern__ack_packet *ack = &packet->u.ack;
    tern__slot *slot = find_publish(e, ack->packet_id, 1);
    if (slot == NULL && wrong_kind(e, ack->packet_id, 1))
        return broken(e, 0x82, "PUBACK for what is no QoS 1 message [MQTT5-3.3.4-1]");
    if (slot == NULL) return 0; /* of an id that is not open: nothing to end */
    finish(e, slot, ack->reason, packet);
    more_quota(e);
    return 0;
}

static int send_pubrel(tern__engine *e, uint16_t packet_id, uint8_t reason)
{
    return tern__output_ack(e, TERN__PUBREL, packet_id, reason) != 0 ? no_memory(e) : 0;
}

static int on_pubrec(tern__engine *e, const tern__packet *packet)
{
    const tern__ack_packet *ack = &packet->u.ack;
    tern__slot *slot = tern__inflight_find(&e->inflight, ack->packet_id);
    if (slot != NULL && slot->kind == TERN__SLOT_RELEASE) return send_pubrel(e, ack->packet_id, 0); /* again, as asked */
    if (slot != NULL && wrong_kind(e, ack->packet_id, 2))
        return broken(e, 0x82, "PUBREC for what is no QoS 2 message [MQTT5-3.3.4-1]");
    if (slot == NULL) return ack->reason < 0x80 ? send_pubrel(e, ack->packet_id, 0x92) : 0;
    if (ack->reason >= 0x80) {
        finish(e, slot, ack->reason, packet);
        more_quota(e);
        return 0;
    }
    int rc = send_pubrel(e, ack->packet_id, 0); /* in the order of the PUBRECs [MQTT5-4.6.0-4] */
    if (rc != 0) return rc;
    tern__entry *entry = tern__chunk_entry(slot->of.chunk, slot->index);
    if (e->redeliver == slot->packet_id) e->redeliver = slot->next;
    tern__inflight_to_releases(&e->inflight, slot);
    slot->reason = ack->reason; /* 0x10, that nobody subscribes, is said here alone */
    keep_reason_string(entry->completion, packet);
    entry->state = TERN__ENTRY_RELEASED; /* never PUBLISH again [MQTT5-4.3.3-6] */
    tern__outbox_release_bytes(&e->outbox, slot->of.chunk, entry);
    return 0;
}

static int on_pubcomp(tern__engine *e, const tern__packet *packet)
{
    const tern__ack_packet *ack = &packet->u.ack;
    tern__slot *slot = tern__inflight_find(&e->inflight, ack->packet_id);
    if (slot == NULL) return 0;
    if (slot->kind != TERN__SLOT_RELEASE) return broken(e, 0x82, "PUBCOMP before PUBREC [MQTT5-4.3.3]");
    finish(e, slot, slot->reason, packet); /* its own is 0, or 0x92 after one that got lost */
    more_quota(e);
    return 0;
}

static int on_pubrel(tern__engine *e, const tern__packet *packet)
{
    uint16_t id = packet->u.ack.packet_id;
    if (e->phase == TERN__PHASE_ENDING) return 0; /* it comes again, since it is not answered */
    bool held = tern__acks_let_go(&e->acks, id);
    if (held && e->acks.open != 0) e->acks.open--;
    uint8_t reason = held ? 0 : 0x92; /* [MQTT5-4.3.3-11] */
    return tern__output_ack(e, TERN__PUBCOMP, id, reason) != 0 ? no_memory(e) : 0;
}

static int on_suback(tern__engine *e, const tern__packet *packet)
{
    tern__slot *slot = tern__inflight_find(&e->inflight, packet->u.suback.packet_id);
    bool unsubscribe = packet->type == TERN__UNSUBACK;
    if (slot == NULL) return 0;
    if (slot->kind != TERN__SLOT_REQUEST || slot->of.request->unsubscribe != unsubscribe)
        return broken(e, 0x82, "an answer to what was not asked [MQTT5-2.2.1-6]");
    bool counted = !unsubscribe || tern__engine_version(e) == TERN__V5;
    if (counted && packet->u.suback.codes.len != slot->of.request->count) /* [MQTT5-3.8.4-6] [MQTT5-3.11.3-1] */
        return broken(e, 0x82, "not one code for each filter [MQTT5-3.8.4-6]");
    tern__requests_answered(e, slot, packet);
    return 0;
}

static int on_pingresp(tern__engine *e, const tern__packet *packet)
{
    (void)e; /* that it came is all it says, and any byte says that */
    (void)packet;
    return 0;
}

static int on_disconnect(tern__engine *e, const tern__packet *packet)
{
    return tern__engine_end(e, TERN__EVENT_DISCONNECTED, TERN_E_DISCONNECTED, packet->u.reason.reason, packet);
}

static int on_auth(tern__engine *e, const tern__packet *packet)
{
    (void)packet;
    return broken(e, 0x82, "AUTH without an authentication method of ours [MQTT5-4.12.0-6]");
}

static int on_second_connack(tern__engine *e, const tern__packet *packet)
{
    (void)packet;
    return broken(e, 0x82, "a second CONNACK [MQTT5-3.2.0-2]");
}

typedef int (*handler)(tern__engine *e, const tern__packet *packet);

static const handler handlers[16] = {
    [TERN__CONNACK] = on_second_connack, [TERN__PUBACK] = on_puback,     [TERN__PUBREC] = on_pubrec,
    [TERN__PUBREL] = on_pubrel,          [TERN__PUBCOMP] = on_pubcomp,   [TERN__SUBACK] = on_suback,
    [TERN__UNSUBACK] = on_suback,        [TERN__PINGRESP] = on_pingresp, [TERN__DISCONNECT] = on_disconnect,
    [TERN__AUTH] = on_auth,
};

/* We asked for no reason strings and user properties: then only some packets may have them. */
static bool unwanted_problem(const tern__engine *e, const tern__packet *packet)
{
    uint64_t problem = UINT64_C(1) << TERN__PROP_REASON_STRING | UINT64_C(1) << TERN__PROP_USER_PROPERTY;
    return !e->session.problem_info && packet->type != TERN__DISCONNECT &&
           (packet->props.present & problem) != 0;
}

/* A server that knows 3.1.1 alone refuses a version 5 CONNECT in its own form: four bytes, no properties. */
static bool is_old_refusal(const tern__engine *e, const uint8_t *data, const tern__frame *frame)
{
    return e->phase == TERN__PHASE_GREETING && tern__engine_version(e) == TERN__V5 && frame->header >> 4 == TERN__CONNACK &&
           frame->len == 4 && data[2] == 0 && data[3] != 0 && data[3] < 6;
}

static int refused_by_old_server(tern__engine *e, uint8_t code)
{
    const tern__packet nothing_more = {.type = TERN__CONNACK};
    return tern__engine_end(e, TERN__EVENT_REFUSED, TERN_E_REFUSED, tern__reason_from_connack311(code), &nothing_more);
}

static int on_packet(tern__engine *e, const uint8_t *data, const tern__frame *frame)
{
    int type = frame->header >> 4;
    e->stats.packets_received++;
    if (e->phase == TERN__PHASE_GREETING && type != TERN__CONNACK) /* [MQTT5-3.2.0-1] [MQTT311-3.2.0-1] */
        return broken(e, 0x82, "the first packet is no CONNACK [MQTT5-3.2.0-1]");
    if (type == TERN__PUBLISH) return on_publish(e, data, frame);
    if (is_old_refusal(e, data, frame)) return refused_by_old_server(e, data[3]);
    tern__packet packet;
    tern__fault fault;
    int rc = tern__decode(data, frame, tern__engine_version(e), TERN__FROM_SERVER, &packet, NULL, &fault);
    if (rc != 0) return tern__engine_fail(e, rc, fault.reason, fault.offset, fault.rule);
    if (e->phase == TERN__PHASE_GREETING) return tern__session_connack(e, &packet, e->receiver.now);
    if (unwanted_problem(e, &packet)) /* [MQTT5-3.1.2-29] */
        return broken(e, 0x82, "problem information that was not asked for [MQTT5-3.1.2-29]");
    assert(handlers[type] != NULL && "framing lets no other type through");
    return handlers[type](e, &packet);
}

/* ---- blocks ---- */

void tern__receiver_reset(tern__engine *e)
{
    tern__block_unref(e->receiver.block);
    e->receiver.block = NULL;
    e->receiver.at = 0;
    for (size_t i = 0; e->receiver.aliases.topics != NULL && i <= e->config.topic_alias_maximum; i++)
        tern__free(e->receiver.aliases.topics[i].topic);
    tern__free(e->receiver.aliases.topics); /* aliases live one connection only [MQTT5-3.3.2-7] */
    e->receiver.aliases.topics = NULL;
}

static void set_block(tern__receiver *r, tern__block *block)
{
    r->block = block;
    r->at = 0;
    r->filling++;
}

/* A block with room for `need` bytes in all that holds what is not decoded yet. */
static int move_rest(tern__engine *e, size_t need)
{
    tern__receiver *r = &e->receiver;
    size_t rest = r->block != NULL ? r->block->len - r->at : 0;
    tern__block *fresh = tern__block_take(e->config.pool, need > rest ? need : rest + 1);
    if (fresh == NULL) return TERN_E_NOMEM;
    if (rest != 0) memcpy(fresh->data, r->block->data + r->at, rest);
    fresh->len = rest;
    tern__block_unref(r->block);
    set_block(r, fresh);
    return 0;
}

/* A packet is larger than its block. Memory grows with the bytes that came, but not beyond the packet: what holds it while it is
 * moved is less than twice as large. [C10] */
static size_t larger(const tern__engine *e)
{
    const tern__block *block = e->receiver.block;
    size_t twice = block->cap * 2;
    tern__frame frame;
    tern__fault fault;
    int rc = tern__frame_peek(block->data, block->len, e->config.maximum_packet_size, tern__engine_version(e), TERN__FROM_SERVER,
                              &frame, &fault);
    return rc == 0 && frame.len > block->cap && frame.len < twice ? frame.len : twice;
}

int tern__engine_recv_space(tern__engine *e, uint8_t **data, size_t *room)
{
    tern__receiver *r = &e->receiver;
    if (r->block == NULL) {
        int rc = move_rest(e, 1);
        if (rc != 0) return rc;
    } else if (r->block->len == r->block->cap) {
        int rc = move_rest(e, r->at != 0 ? r->block->cap : larger(e));
        if (rc != 0) return rc;
    }
    *data = r->block->data + r->block->len;
    *room = r->block->cap - r->block->len;
    return 0;
}

/* A block in which little was used is handed over in a small copy: what waits long should not hold much. */
static tern__block *shrunk(tern__engine *e, tern__block *block)
{
    if (block->len * 8 > block->cap) return NULL;
    tern__block *small = tern__block_exact(e->config.pool, block->len);
    if (small == NULL) return NULL;
    memcpy(small->data, block->data, block->len);
    small->len = block->len;
    tern__record *records = small->records;
    small->records = block->records;
    small->records_cap = block->records_cap;
    small->count = block->count;
    block->records = records;
    block->records_cap = 0;
    block->count = 0;
    tern__list_splice(&small->extra, &block->extra);
    small->extra_bytes = block->extra_bytes;
    for (uint32_t i = 0; i < small->count; i++) {
        tern__record *record = &small->records[i];
        record->block = small;
        if ((record->flags & TERN__RECORD_ALIASED) == 0) record->topic = small->data + (record->topic - block->data);
        record->payload = small->data + (record->payload - block->data);
        if (record->props != NULL) record->props = small->data + (record->props - block->data);
    }
    return small;
}

/* Hands the block over, where it has messages; what is not decoded moves to another one first. */
static int hand_over(tern__engine *e)
{
    tern__receiver *r = &e->receiver;
    tern__block *block = r->block;
    if (block->count == 0) {
        if (r->at == block->len) {
            tern__block_unref(block);
            set_block(r, NULL);
        }
        return 0;
    }
    size_t rest = e->dead ? 0 : block->len - r->at;
    tern__block *keep = NULL;
    int rc = 0;
    if (rest != 0) {
        keep = tern__block_take(e->config.pool, rest + 1);
        if (keep == NULL) rc = no_memory(e); /* the link ends; what was decoded is delivered all the same */
    }
    if (keep != NULL) {
        memcpy(keep->data, block->data + r->at, rest);
        keep->len = rest;
    }
    block->len = r->at;
    block->epoch = e->epoch;
    tern__block *small = shrunk(e, block);
    if (small != NULL) {
        small->epoch = e->epoch;
        tern__block_unref(block);
        block = small;
    }
    tern__list_append(&e->blocks, &block->link);
    set_block(r, keep);
    return rc;
}

int tern__engine_received(tern__engine *e, size_t n, uint64_t now)
{
    tern__receiver *r = &e->receiver;
    if (e->dead || e->phase == TERN__PHASE_CLOSED) return TERN_E_STATE;
    assert(r->block != NULL && n <= r->block->cap - r->block->len && "the bytes are where recv_space said");
    r->block->len += n;
    r->now = now;
    tern__keepalive_received(&e->keepalive, now);
    e->stats.bytes_received += n;
    int rc = 0;
    while (rc == 0 && r->at < r->block->len) {
        tern__frame frame;
        tern__fault fault;
        const uint8_t *data = r->block->data + r->at;
        size_t left = r->block->len - r->at;
        rc = tern__frame_peek(data, left, e->config.maximum_packet_size, tern__engine_version(e), TERN__FROM_SERVER,
                              &frame, &fault);
        if (rc == TERN_E_AGAIN || (rc == 0 && frame.len > left)) {
            rc = 0;
            break;
        }
        rc = rc != 0 ? tern__engine_fail(e, rc, fault.reason, fault.offset, fault.rule) : on_packet(e, data, &frame);
        /* All ids of both sides at once need less. A server that asks for acks and takes none must not fill our memory. [C10] */
        if (rc == 0 && e->output.acks > MOST_ACK_BYTES)
            rc = broken(e, 0x97, "the server takes none of the acknowledgements that it asks for");
        if (rc == 0) r->at += frame.len;
    }
    if (!tern__list_empty(&e->outbox.sparse)) tern__compaction_run(e);
    int handed = hand_over(e);
    return rc != 0 ? rc : handed;
}

int tern__engine_recv(tern__engine *e, const void *data, size_t len, uint64_t now)
{
    const uint8_t *bytes = data;
    while (len != 0) {
        uint8_t *space;
        size_t room;
        int rc = tern__engine_recv_space(e, &space, &room);
        if (rc != 0) return rc;
        size_t n = len < room ? len : room;
        memcpy(space, bytes, n);
        rc = tern__engine_received(e, n, now);
        if (rc != 0) return rc;
        bytes += n;
        len -= n;
    }
    return 0;
}
