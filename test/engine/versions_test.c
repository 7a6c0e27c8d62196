/* Connections of both versions in one client's life: messages encoded for one are sent on the other, sessions are resumed and
 * lost between, and each message still has one outcome. [C1] [C5] [C6] [C8]
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/decode.h"
#include "codec/framer.h"
#include "codec/props.h"

enum { SEEDS = 600, CONNECTIONS = 8, ROUNDS = 6, MOST = 1000, IDS = 65536 };

typedef struct message {
    uint8_t qos;
    bool props;
    bool lose;
    bool expires;
    bool answered; /* PUBREC went to it: it may never be published again */
    unsigned copies; /* without DUP, in this session of the broker's */
    unsigned outcomes;
} message;

typedef struct run {
    script s;
    unsigned random;
    bool ending; /* everything is answered */
    message messages[MOST];
    uint32_t count;
    uint32_t newest; /* that was sent for the first time */
    uint32_t of_id[IDS]; /* the message that a packet id stands for */
    tern__buf wire;
    tern__buf answers;
} run;

static unsigned below(run *r, unsigned n)
{
    r->random = r->random * 1664525u + 1013904223u;
    return (r->random >> 8) % n;
}

static void publish(run *r)
{
    if (r->count + 1 == MOST) return;
    message *m = &r->messages[++r->count];
    *m = (message){.qos = (uint8_t)below(r, 3), .props = below(r, 3) == 0, .expires = below(r, 4) == 0};
    m->lose = below(r, 2) == 0;
    tern__buf props = {0};
    char payload[80] = "";
    int len = snprintf(payload, sizeof payload, "%u", r->count);
    len += 1 + (int)below(r, 60); /* the NUL ends the number */
    uint64_t present = 0;
    if (m->props) {
        assert_int_equal(tern__props_add_pair(&props, "k", 1, "v", 1), 0);
        present |= UINT64_C(1) << TERN__PROP_USER_PROPERTY;
    }
    if (m->expires) {
        assert_int_equal(tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, 100000), 0);
        present |= UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY;
    }
    tern__submission submission = {
        .publish = {.qos = m->qos, .topic = {(const uint8_t *)"t", 1}, .payload = {(const uint8_t *)payload, (size_t)len}},
        .props = {props.data, props.len, present},
        .lose_properties = m->lose,
        .expires_us = m->expires ? r->s.now + UINT64_C(100000) * SCRIPT_SECOND : 0,
    };
    uint64_t id;
    assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(r->s.engine), &submission, &id), 0);
    assert_int_equal(id, r->count);
    tern__buf_deinit(&props);
}

static void answer(run *r, uint8_t header, uint16_t id)
{
    const uint8_t packet[] = {header, 2, (uint8_t)(id >> 8), (uint8_t)id};
    assert_int_equal(tern__buf_append(&r->answers, packet, sizeof packet), 0);
}

static void on_publish(run *r, const tern__packet *packet, int version)
{
    const tern__publish_packet *p = &packet->u.publish;
    const uint32_t number = (uint32_t)strtoul((const char *)p->payload.data, NULL, 10);
    assert_true(number >= 1 && number <= r->count);
    message *m = &r->messages[number];
    assert_int_equal(p->qos, m->qos);
    assert_false(m->answered); /* [MQTT5-4.3.3-6] */
    const bool whole = version == TERN__V5;
    assert_int_equal(tern__props_has(&packet->props, TERN__PROP_USER_PROPERTY), whole && m->props);
    assert_int_equal(tern__props_has(&packet->props, TERN__PROP_MESSAGE_EXPIRY), whole && m->expires);
    if (!p->dup) {
        assert_int_equal(m->copies, 0); /* in one session the first copy goes out once */
        m->copies++;
        assert_true(whole || m->lose || !(m->props || m->expires));
        assert_true(number > r->newest); /* [C8] */
        r->newest = number;
    }
    if (p->qos == 0) return;
    r->of_id[p->packet_id] = number;
    if (!r->ending && below(r, 3) == 0) return; /* not answered on this connection */
    answer(r, p->qos == 1 ? 0x40 : 0x50, p->packet_id);
    m->answered = p->qos == 2;
}

/* Takes the whole packets off what came out. */
static void take_packets(run *r, int version)
{
    size_t at = 0;
    if (r->s.out.len != 0) assert_int_equal(tern__buf_append(&r->wire, r->s.out.data, r->s.out.len), 0);
    tern__buf_clear(&r->s.out);
    while (at < r->wire.len) {
        tern__frame frame;
        tern__fault fault;
        tern__packet packet;
        int rc = tern__frame_peek(r->wire.data + at, r->wire.len - at, UINT32_MAX, version, TERN__FROM_CLIENT, &frame, &fault);
        if (rc != 0 || frame.len > r->wire.len - at) break;
        assert_int_equal(tern__decode(r->wire.data + at, &frame, version, TERN__FROM_CLIENT, &packet, NULL, &fault), 0);
        if (packet.type == TERN__PUBLISH) on_publish(r, &packet, version);
        if (packet.type == TERN__PUBREL) {
            assert_true(r->messages[r->of_id[packet.u.ack.packet_id]].answered);
            if (r->ending || below(r, 3) != 0) answer(r, 0x70, packet.u.ack.packet_id);
        }
        at += frame.len;
    }
    if (at != 0) memmove(r->wire.data, r->wire.data + at, r->wire.len - at);
    r->wire.len -= at;
}

static void take_outcomes(run *r)
{
    tern__range range;
    while (tern__engine_next_range(r->s.engine, &range))
        for (uint64_t id = range.first; id <= range.last; id++) {
            assert_true(id <= r->count);
            r->messages[id].outcomes++;
        }
}

static void connect(run *r, int version, bool present)
{
    r->s.connect.version = version;
    const char *no = version == TERN__V5 ? "20 03 00 00 00" : "20 02 00 00";
    const char *yes = version == TERN__V5 ? "20 03 01 00 00" : "20 02 01 00";
    tern__buf_clear(&r->wire);
    tern__buf_clear(&r->answers);
    if (!present) r->newest = 0;
    for (uint32_t i = 1; !present && i <= r->count; i++) {
        r->messages[i].copies = 0;
        r->messages[i].answered = false;
    }
    script_online(&r->s, present ? yes : no);
    take_outcomes(r);
}

static void exchange(run *r, size_t limit)
{
    script_drain(&r->s, limit);
    take_packets(r, r->s.connect.version);
    if (r->answers.len != 0) assert_int_equal(script_recv_bytes(&r->s, r->answers.data, r->answers.len), 0);
    tern__buf_clear(&r->answers);
    take_outcomes(r);
}

static void one_life(run *r)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        for (unsigned n = below(r, 30); n != 0; n--) publish(r);
        connect(r, below(r, 2) == 0 ? TERN__V5 : TERN__V311, i != 0 && below(r, 3) != 0);
        for (unsigned k = below(r, ROUNDS); k != 0; k--) {
            for (unsigned n = below(r, 20); n != 0; n--) publish(r);
            exchange(r, below(r, 4) == 0 ? SIZE_MAX : below(r, 2000));
        }
        script_offline(&r->s);
        take_outcomes(r);
    }
    r->ending = true; /* from a new session on */
    connect(r, below(r, 2) == 0 ? TERN__V5 : TERN__V311, false);
    for (unsigned k = 0; tern__engine_open_count(r->s.engine) != 0; k++) {
        assert_true(k < 3 * MOST);
        exchange(r, SIZE_MAX);
    }
    script_offline(&r->s);
    take_outcomes(r);
    for (uint32_t i = 1; i <= r->count; i++) assert_int_equal(r->messages[i].outcomes, 1);
}

static void versions_come_and_go(void **state)
{
    (void)state;
    run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        memset(r, 0, sizeof *r);
        r->random = seed * 7919u;
        script_init(&r->s, TERN__V5);
        r->s.config.inflight_maximum = (uint16_t)(1 + below(r, 50));
        script_start(&r->s);
        one_life(r);
        tern__buf_deinit(&r->wire);
        tern__buf_deinit(&r->answers);
        script_free(&r->s);
    }
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(versions_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
