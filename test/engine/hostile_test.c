/* Servers and clocks that do what no one expects: memory stays bounded, and nothing goes round wrongly.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "codec/props.h"
#include "engine/machine.h"

/* A PUBLISH of QoS 1 or 2 to "a" without payload. */
static int inbound(script *s, uint8_t qos, uint16_t id)
{
    const bool v5 = s->connect.version == TERN__V5;
    const uint8_t packet[] = {(uint8_t)(0x30 | qos << 1), v5 ? 6 : 5, 0, 1, 'a', (uint8_t)(id >> 8), (uint8_t)id, 0};
    return script_recv_bytes(s, packet, v5 ? sizeof packet : sizeof packet - 1);
}

/* A server that asks for acknowledgements and reads none: the link ends before they fill the memory. [C10] [C17] */
static void acks_that_nobody_takes(void **state)
{
    const int version = *(const int *)*state;
    enum { MOST = 10000000 };
    static const uint8_t pubrel[] = {0x62, 2, 0, 7};
    script s;
    script_ready(&s, version);
    int rc = 0;
    uint32_t sent = 0;
    for (; rc == 0 && sent < MOST; sent++) rc = script_recv_bytes(&s, pubrel, sizeof pubrel);
    assert_int_equal(rc, TERN_E_PROTOCOL);
    assert_true(sent > 3 * UINT16_MAX); /* what may be owed at once goes */
    assert_true(sent * 4 < 2 << 20);
    assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
    assert_int_equal(s.event.error, TERN_E_PROTOCOL);
    assert_int_equal(s.event.reason, version == TERN__V5 ? 0x97 : -1);
    script_offline(&s);
    script_online(&s, NULL); /* and the count starts over */
    assert_int_equal(script_recv_bytes(&s, pubrel, sizeof pubrel), 0);
    script_free(&s);
}

/* One that does read may ask for any number of them. */
static void acks_that_are_taken(void **state)
{
    const int version = *(const int *)*state;
    static const uint8_t pubrel[] = {0x62, 2, 0, 7};
    script s;
    script_ready(&s, version);
    for (uint32_t i = 0; i < 400000; i++) {
        assert_int_equal(script_recv_bytes(&s, pubrel, sizeof pubrel), 0);
        if (i % 1000 != 0) continue;
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
    }
    script_free(&s);
}

/* Where 3.1.1 has no Receive Maximum, ids bound what may be unacknowledged. [C10] */
static void more_messages_than_ids(void **state)
{
    const int version = *(const int *)*state;
    script s;
    script_init(&s, version);
    s.config.manual_ack = true;
    script_start(&s);
    script_online(&s, NULL);
    for (uint32_t id = 1; id <= UINT16_MAX; id++) {
        assert_int_equal(inbound(&s, 1 + id % 2, (uint16_t)id), 0);
        (void)script_event(&s);
    }
    assert_int_equal(tern__engine_stats_of(s.engine)->unacked_inbound, UINT16_MAX);
    (void)script_delivered(&s);
    assert_int_equal(inbound(&s, 1, 2), TERN_E_PROTOCOL);
    assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
    assert_string_equal(script_delivered(&s), "");
    script_free(&s);
}

/* After 4,294,967,295 messages on one connection the places of acknowledgements go round. [C9] */
static void ack_places_go_round(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    s.engine->acks.head = s.engine->acks.tail = UINT32_MAX - 1;
    for (uint16_t id = 1; id <= 4; id++) {
        assert_int_equal(inbound(&s, 1, id), 0);
        (void)script_event(&s);
        assert_int_not_equal(s.last_seq, 0);
    }
    assert_int_equal(tern__engine_stats_of(s.engine)->unacked_inbound, 4);
    const uint64_t epoch = tern__engine_epoch(s.engine);
    assert_int_equal(tern__engine_ack_one(s.engine, epoch, 0), TERN_E_STATE); /* it stands for no message */
    tern__engine_ack_through(s.engine, epoch, UINT32_MAX);
    script_expect(&s, "40 02 00 01 40 02 00 02");
    assert_int_equal(tern__engine_ack_one(s.engine, epoch, 1), 0);
    script_expect(&s, "40 02 00 03");
    assert_int_equal(tern__engine_ack_one(s.engine, epoch, 2), 0);
    script_expect(&s, "40 02 00 04");
    assert_int_equal(tern__engine_stats_of(s.engine)->unacked_inbound, 0);
    assert_int_equal(tern__engine_stats_of(s.engine)->oldest_unacked_us, 0);
    script_free(&s);
}

/* Publishes "t" = "p" that expires `seconds` after a moment that lies `ahead` us before or behind the engine's. */
static void publish_expiring(script *s, uint32_t seconds, int64_t ahead)
{
    tern__buf props = {0};
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, seconds), 0);
    tern__submission submission = {
        .publish = {.topic = {(const uint8_t *)"t", 1}, .payload = {(const uint8_t *)"p", 1}},
        .props = {props.data, props.len, UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY},
        .expires_us = (uint64_t)((int64_t)s->now + ahead) + (uint64_t)seconds * SCRIPT_SECOND,
    };
    uint64_t id;
    assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(s->engine), &submission, &id), 0);
    tern__buf_deinit(&props);
}

/* The publisher looked at the clock after the loop did, and the clock may stand still: the interval on the wire is never longer
 * than it was, and the longest does not become none. [MQTT5-3.3.2-6] */
static void expiry_never_grows(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    publish_expiring(&s, UINT32_MAX, 1);
    script_expect(&s, "30 0A 00 01 't' 05 02 FF FF FF FF 'p'");
    publish_expiring(&s, UINT32_MAX, 0);
    script_expect(&s, "30 0A 00 01 't' 05 02 FF FF FF FF 'p'");
    publish_expiring(&s, 10, 1);
    script_expect(&s, "30 0A 00 01 't' 05 02 00 00 00 0A 'p'");
    publish_expiring(&s, 10, 3600 * (int64_t)SCRIPT_SECOND); /* the clock was set back an hour */
    script_expect(&s, "30 0A 00 01 't' 05 02 00 00 00 0A 'p'");
    publish_expiring(&s, 10, -1);
    script_expect(&s, "30 0A 00 01 't' 05 02 00 00 00 0A 'p'");
    publish_expiring(&s, 10, -1 * (int64_t)SCRIPT_SECOND);
    script_expect(&s, "30 0A 00 01 't' 05 02 00 00 00 09 'p'");
    publish_expiring(&s, 0, 0); /* at once: it never goes out */
    script_expect(&s, "");
    tern__range range;
    while (tern__engine_next_range(s.engine, &range)) continue;
    assert_int_equal(range.outcome, TERN_OUTCOME_NOT_SENT);
    assert_int_equal(range.cause, TERN_CAUSE_EXPIRED);
    script_free(&s);
}

/* Where every packet id is in use, nothing is tried again and again: an answer brings the id. */
static void no_id_is_waited_for(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V311);
    s.connect.keep_alive = 0;
    script_subscribe(&s, "f", 0, NULL); /* takes one, and is not answered */
    for (uint32_t i = 0; i < UINT16_MAX; i++) assert_int_equal(script_publish(&s, 1, "t", "p", NULL), 0);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.engine->inflight.used, UINT16_MAX);
    assert_int_equal(tern__engine_open_count(s.engine), UINT16_MAX + 1);
    assert_true(tern__engine_deadline(s.engine) == UINT64_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "90 03 00 01 00"), 0);
    script_expect(&s, "32 06 00 01 't' 00 01 'p'");
    script_free(&s);
}

/* The next block of messages; the test gives it back. */
static tern__block *next_block(script *s)
{
    tern__engine_event event;
    assert_true(tern__engine_next_event(s->engine, &event));
    assert_int_equal(event.kind, TERN__EVENT_MESSAGES);
    return event.block;
}

/* Eight bytes with an alias stand for 64 KiB of topic: a block of them takes that once, and says what it takes. [C10] */
static void an_alias_is_expanded_once_a_block(void **state)
{
    (void)state;
    enum { TOPIC = 60000, MESSAGES = 400 };
    static const uint8_t by_alias[] = {0x30, 6, 0, 0, 3, 35, 0, 1};
    script s;
    script_init(&s, TERN__V5);
    s.config.topic_alias_maximum = 2;
    script_start(&s);
    script_online(&s, NULL);
    tern__buf all = {0};
    const uint8_t head[] = {0x30, 0xE6, 0xD4, 3, TOPIC >> 8, TOPIC & 0xFF};
    const uint8_t tail[] = {3, 35, 0, 1};
    assert_int_equal(tern__buf_append(&all, head, sizeof head), 0);
    for (int i = 0; i < TOPIC; i++) assert_int_equal(tern__buf_append(&all, i == 0 ? "T" : "t", 1), 0);
    assert_int_equal(tern__buf_append(&all, tail, sizeof tail), 0);
    assert_int_equal(script_recv_bytes(&s, all.data, all.len), 0);
    tern__block_unref(next_block(&s));
    tern__buf_clear(&all);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MESSAGES; i++) assert_int_equal(tern__buf_append(&all, by_alias, sizeof by_alias), 0);
        assert_int_equal(script_recv_bytes(&s, all.data, all.len), 0);
        tern__block *block = next_block(&s);
        assert_int_equal(block->count, MESSAGES);
        assert_true(block->extra_bytes > TOPIC && block->extra_bytes < 2 * TOPIC);
        assert_true(tern__block_held(block) >= block->cap + block->extra_bytes + MESSAGES * sizeof(tern__record));
        tern__block_finish(block);
        for (uint32_t i = 0; i < MESSAGES; i++) {
            assert_int_equal(block->records[i].topic_len, TOPIC);
            assert_int_equal(block->records[i].topic[0], 'T');
            assert_int_equal(block->records[i].topic[TOPIC], 0);
        }
        tern__block_unref(block);
        tern__buf_clear(&all);
    }
    /* The alias is given to another topic between two messages of one block. */
    assert_int_equal(script_recv(&s, "30 06 00 00 03 23 00 02"), TERN_E_PROTOCOL);
    script_offline(&s);
    script_online(&s, NULL);
    assert_int_equal(script_recv(&s, "30 07 00 01 'a' 03 23 00 01  30 06 00 00 03 23 00 01  30 07 00 01 'b' 03 23 00 01 "
                                     "30 06 00 00 03 23 00 01  30 07 00 00 03 23 00 01 'x'"), 0);
    (void)script_event(&s);
    assert_string_equal(script_delivered(&s), "a=/0;a=/0;b=/0;b=/0;b=x/0;");
    tern__buf_deinit(&all);
    script_free(&s);
}

/* A large packet that comes in pieces: the block grows to the packet, not beyond; with the one that it grew from it is less
 * than twice as large. [C10] */
static void a_block_grows_to_its_packet(void **state)
{
    const int version = *(const int *)*state;
    static const size_t pieces[] = {1, 7, 4096, 1 << 20};
    enum { PAYLOAD = 600000 };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        script s;
        script_ready(&s, version);
        tern__packet packet = {.type = TERN__PUBLISH};
        tern__buf payload = {0};
        tern__buf wire = {0};
        assert_int_equal(tern__buf_reserve(&payload, PAYLOAD), 0);
        memset(payload.data, 'p', PAYLOAD);
        packet.u.publish.topic = (tern__view){(const uint8_t *)"a", 1};
        packet.u.publish.payload = (tern__view){payload.data, PAYLOAD};
        size_t len = tern__encode_size(&packet, version);
        assert_int_equal(tern__buf_reserve(&wire, len), 0);
        tern__encode(&packet, version, wire.data);
        for (int round = 0; round < 2; round++) {
            for (size_t at = 0; at < len; at += pieces[i])
                assert_int_equal(script_recv_bytes(&s, wire.data + at, len - at < pieces[i] ? len - at : pieces[i]), 0);
            tern__block *block = next_block(&s);
            assert_int_equal(block->count, 1);
            assert_int_equal(block->records[0].payload_len, PAYLOAD);
            assert_int_equal(block->records[0].payload[PAYLOAD - 1], 'p');
            assert_int_equal(block->cap, len);
            tern__block_finish(block);
            tern__block_unref(block);
        }
        tern__buf_deinit(&payload);
        tern__buf_deinit(&wire);
        script_free(&s);
    }
}

/* Thousands of requests that wait for their answers do not make each further one slower. [C21] */
static void thousands_of_requests(void **state)
{
    const int version = *(const int *)*state;
    script s;
    script_ready(&s, version);
    for (uint32_t i = 0; i < UINT16_MAX + 1000; i++) {
        script_subscribe(&s, "f", 0, NULL);
        if (i % 1000 == 0) script_drain(&s, SIZE_MAX);
    }
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.engine->inflight.used, UINT16_MAX);
    assert_int_equal(tern__engine_open_count(s.engine), UINT16_MAX + 1000);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, version == TERN__V5 ? "90 04 00 07 00 00" : "90 03 00 07 00"), 0);
    script_expect(&s, version == TERN__V5 ? "82 07 00 07 00 00 01 'f' 00" : "82 06 00 07 00 01 'f' 00");
    script_offline(&s); /* none is lost with the connection, and their order is kept */
    script_online(&s, NULL);
    assert_int_equal(tern__engine_open_count(s.engine), UINT16_MAX + 1000); /* the granted one is asked for again */
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.engine->inflight.used, UINT16_MAX);
    script_free(&s);
}

/* A CONNECT that no packet can hold is refused before anything is copied, whatever part of it is too large. */
static void connect_too_large(void **state)
{
    (void)state;
    static const uint8_t byte = 0; /* nothing is read behind it */
    enum { PACKET_MAX = 268435455 };
    const size_t sizes[] = {PACKET_MAX - 16, PACKET_MAX, (size_t)PACKET_MAX + 1, UINT32_MAX, SIZE_MAX - 1000};
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tern__connect_config config = s.connect;
        config.user_properties = (tern__view){&byte, sizes[i]};
        assert_int_equal(tern__engine_opened(s.engine, &config, s.now), TERN_E_TOO_LARGE);
        tern__engine_closed(s.engine, s.now);
        config = s.connect;
        config.will.present = true;
        config.will.props.len = sizes[i];
        assert_int_equal(tern__engine_opened(s.engine, &config, s.now), TERN_E_TOO_LARGE);
        tern__engine_closed(s.engine, s.now);
        config = s.connect;
        config.has_user_name = true;
        config.user_name = (tern__view){&byte, sizes[i]};
        assert_int_equal(tern__engine_opened(s.engine, &config, s.now), TERN_E_TOO_LARGE);
        tern__engine_closed(s.engine, s.now);
    }
    script_online(&s, NULL); /* and the next one that fits goes out */
    script_free(&s);
}

int main(void)
{
    static int v311 = TERN__V311;
    static int v5 = TERN__V5;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(acks_that_nobody_takes, &v311),
        cmocka_unit_test_prestate(acks_that_nobody_takes, &v5),
        cmocka_unit_test_prestate(acks_that_are_taken, &v311),
        cmocka_unit_test_prestate(acks_that_are_taken, &v5),
        cmocka_unit_test_prestate(more_messages_than_ids, &v311),
        cmocka_unit_test_prestate(more_messages_than_ids, &v5),
        cmocka_unit_test(ack_places_go_round),
        cmocka_unit_test(expiry_never_grows),
        cmocka_unit_test(no_id_is_waited_for),
        cmocka_unit_test(an_alias_is_expanded_once_a_block),
        cmocka_unit_test_prestate(a_block_grows_to_its_packet, &v311),
        cmocka_unit_test_prestate(a_block_grows_to_its_packet, &v5),
        cmocka_unit_test_prestate(thousands_of_requests, &v311),
        cmocka_unit_test_prestate(thousands_of_requests, &v5),
        cmocka_unit_test(connect_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
