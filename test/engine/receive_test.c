/* Receiving: delivery, acknowledgements in order, ids that are held, aliases, and our own limits. [C9]
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <string.h>
#include <tern/error.h>
#include <tern/message.h>

#include "engine/message.h"

/* [MQTT5-4.3.2-3] [MQTT5-4.3.2-4] [MQTT5-4.3.3-8] [MQTT5-4.3.3-11] */
static void each_qos_is_delivered_and_answered(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        bool v5 = version == TERN__V5;
        script s;
        script_ready(&s, version);
        assert_int_equal(script_recv(&s, v5 ? "30 05 00 01 'a' 00 'x'" : "30 04 00 01 'a' 'x'"), 0);
        assert_int_equal(script_recv(&s, v5 ? "33 07 00 01 'b' 00 07 00 'y'" : "33 06 00 01 'b' 00 07 'y'"), 0);
        assert_int_equal(script_recv(&s, v5 ? "3C 07 00 01 'c' 00 08 00 'z'" : "3C 06 00 01 'c' 00 08 'z'"), 0);
        assert_string_equal(script_delivered(&s), "a=x/0;b=y/1r;c=z/2d;");
        script_expect(&s, ""); /* nothing before the application is done with it */
        tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
        script_expect(&s, "40 02 00 07 50 02 00 08");
        assert_int_equal(script_recv(&s, "62 02 00 08"), 0);
        script_expect(&s, "70 02 00 08");
        script_free(&s);
    }
}

/* [MQTT5-4.6.0-2] [MQTT5-4.6.0-3] each ack when all before it are given */
static void manual_acks_go_out_in_the_order_of_arrival(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.config.manual_ack = true;
    script_start(&s);
    script_online(&s, NULL);
    assert_int_equal(script_recv(&s, "32 06 00 01 'a' 00 01 00 34 06 00 01 'b' 00 02 00 32 06 00 01 'c' 00 03 00"), 0);
    assert_string_equal(script_delivered(&s), "a=/1;b=/2;c=/1;");
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 3), 0);
    script_expect(&s, "");
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 1), 0);
    script_expect(&s, "40 02 00 01");
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 1), TERN_E_STATE);
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 3), TERN_E_STATE);
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 4), TERN_E_STATE);
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 2), 0);
    script_expect(&s, "50 02 00 02 40 02 00 03");
    /* An ack belongs to its connection. */
    assert_int_equal(script_recv(&s, "32 06 00 01 'd' 00 04 00"), 0);
    (void)script_delivered(&s);
    uint64_t old = s.epoch;
    script_offline(&s);
    script_online(&s, "20 03 01 00 00");
    assert_int_equal(tern__engine_ack_one(s.engine, old, 4), TERN_E_STALE);
    script_expect(&s, "");
    script_free(&s);
}

/* [MQTT5-4.3.3-10] [MQTT5-4.3.3-12] over connections of one session, and not beyond it */
static void qos2_is_delivered_once_until_its_pubrel(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V311);
    assert_int_equal(script_recv(&s, "34 06 00 01 'a' 00 05 'x'"), 0);
    assert_string_equal(script_delivered(&s), "a=x/2;");
    tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
    script_expect(&s, "50 02 00 05");
    assert_int_equal(script_recv(&s, "3C 06 00 01 'a' 00 05 'x'"), 0);
    assert_string_equal(script_delivered(&s), "");
    script_expect(&s, "50 02 00 05");
    script_offline(&s);
    script_online(&s, "20 02 01 00");
    assert_int_equal(script_recv(&s, "3C 06 00 01 'a' 00 05 'x'"), 0);
    assert_string_equal(script_delivered(&s), "");
    script_expect(&s, "50 02 00 05");
    assert_int_equal(script_recv(&s, "62 02 00 05"), 0);
    script_expect(&s, "70 02 00 05");
    assert_int_equal(script_recv(&s, "34 06 00 01 'a' 00 05 'y'"), 0);
    assert_string_equal(script_delivered(&s), "a=y/2;");
    script_offline(&s);
    script_online(&s, "20 02 00 00"); /* another session: the id is free */
    assert_int_equal(script_recv(&s, "34 06 00 01 'a' 00 05 'z'"), 0);
    assert_string_equal(script_delivered(&s), "a=z/2;");
    script_free(&s);
}

/* A CONNECT whose CONNACK was lost may have begun a new session: then an id without DUP is a new message. [C9] */
static void a_doubtful_session_loses_no_message(void **state)
{
    (void)state;
    for (int dup = 0; dup <= 1; dup++) {
        script s;
        script_ready(&s, TERN__V5);
        assert_int_equal(script_recv(&s, "34 07 00 01 'a' 00 05 00 'x'"), 0);
        assert_string_equal(script_delivered(&s), "a=x/2;");
        script_offline(&s);
        assert_int_equal(tern__engine_opened(s.engine, &s.connect, s.now), 0);
        script_drain(&s, SIZE_MAX);
        script_offline(&s);
        script_online(&s, "20 03 01 00 00");
        assert_int_equal(script_recv(&s, dup ? "3C 07 00 01 'a' 00 05 00 'n'" : "34 07 00 01 'a' 00 05 00 'n'"), 0);
        assert_string_equal(script_delivered(&s), dup ? "" : "a=n/2;");
        script_free(&s);
    }
}

/* [MQTT5-4.3.3-11] */
static void a_pubrel_of_an_unknown_id_is_answered(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    assert_int_equal(script_recv(&s, "62 02 00 09"), 0);
    script_expect(&s, "70 03 00 09 92");
    script_free(&s);
    script_ready(&s, TERN__V311);
    assert_int_equal(script_recv(&s, "62 02 00 09"), 0);
    script_expect(&s, "70 02 00 09");
    script_free(&s);
}

/* [MQTT5-3.3.4-8] [MQTT5-3.3.4-9] */
static void more_than_our_receive_maximum_ends_the_link(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.config.receive_maximum = 2;
    s.config.manual_ack = true;
    script_start(&s);
    script_online(&s, NULL);
    assert_int_equal(script_recv(&s, "32 06 00 01 'a' 00 01 00 34 06 00 01 'b' 00 02 00"), 0);
    (void)script_delivered(&s);
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 1), 0); /* makes room for one */
    assert_int_equal(tern__engine_ack_one(s.engine, s.epoch, 2), 0); /* PUBREC does not: PUBREL is to come */
    script_expect(&s, "40 02 00 01 50 02 00 02");
    assert_int_equal(script_recv(&s, "32 06 00 01 'c' 00 03 00"), 0);
    assert_string_equal(script_delivered(&s), "c=/1;");
    assert_int_not_equal(script_recv(&s, "32 06 00 01 'd' 00 04 00"), 0);
    assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
    assert_int_equal(s.event.reason, 0x93);
    assert_string_equal(script_delivered(&s), "");
    script_expect(&s, "E0 01 93");
    script_free(&s);
}

/* [MQTT5-3.3.2-7] [MQTT5-3.3.2-8] [MQTT5-3.3.2-11] [MQTT5-3.3.2-12] */
static void aliases_stand_for_topics_of_one_connection(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.config.topic_alias_maximum = 2;
    script_start(&s);
    script_online(&s, NULL);
    assert_int_equal(script_recv(&s, "30 0A 00 03 'a/b' 03 23 00 02 'x'"), 0);
    assert_int_equal(script_recv(&s, "30 07 00 00 03 23 00 02 'y'"), 0);
    assert_int_equal(script_recv(&s, "30 08 00 01 'c' 03 23 00 02 'z'"), 0); /* another topic for it */
    assert_int_equal(script_recv(&s, "30 07 00 00 03 23 00 02 'w' 30 07 00 00 03 23 00 02 'v'"), 0);
    assert_string_equal(script_delivered(&s), "a/b=x/0;a/b=y/0;c=z/0;c=w/0;c=v/0;");
    script_offline(&s);
    script_online(&s, NULL);
    assert_int_not_equal(script_recv(&s, "30 07 00 00 03 23 00 02 'y'"), 0); /* forgotten */
    assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
    assert_int_equal(s.event.reason, 0x82);
    script_free(&s);
    static const struct {
        const char *hex;
        int reason;
    } bad[] = {
        {"30 08 00 01 'a' 03 23 00 03 'x'", 0x94},
        {"30 08 00 01 'a' 03 23 00 00 'x'", 0x94},
        {"30 07 00 00 03 23 00 01 'x'", 0x82},
        {"30 04 00 00 00 'x'", 0x82},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        script_init(&s, TERN__V5);
        s.config.topic_alias_maximum = 2;
        script_start(&s);
        script_online(&s, NULL);
        assert_int_not_equal(script_recv(&s, bad[i].hex), 0);
        assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
        assert_int_equal(s.event.reason, bad[i].reason);
        script_free(&s);
    }
}

/* [MQTT5-3.1.2-24] [C10] refused at its header: not one byte of its body was needed */
static void a_packet_over_our_maximum_is_refused_at_its_header(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        script_init(&s, version);
        s.config.maximum_packet_size = 100;
        script_start(&s);
        script_online(&s, NULL);
        assert_int_equal(script_recv(&s, "30 62 00 01 'a'"), 0); /* 100 in all may be */
        script_offline(&s);
        script_online(&s, NULL);
        assert_int_not_equal(script_recv(&s, "30 63"), 0);
        assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
        assert_int_equal(s.event.reason, version == TERN__V5 ? 0x95 : -1);
        script_free(&s);
        script_init(&s, version);
        s.config.maximum_packet_size = 1 << 20;
        script_start(&s);
        script_online(&s, NULL);
        assert_int_not_equal(script_recv(&s, "30 FF FF FF 7F"), 0); /* 256 MB are announced */
        assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
        script_free(&s);
    }
}

/* A packet larger than the blocks that are read into, and small ones around it. */
static void large_and_small_share_the_stream(void **state)
{
    (void)state;
    enum { PAYLOAD = 20000 };
    script s;
    script_ready(&s, TERN__V311);
    uint8_t head[] = {0x30, 0xA3, 0x9C, 0x01, 0, 1, 'L'}; /* PAYLOAD + 3 */
    assert_int_equal(0x23 + 0x1C * 128 + 16384, PAYLOAD + 3);
    assert_int_equal(script_recv(&s, "30 04 00 01 'a' '1'"), 0);
    assert_int_equal(script_recv_bytes(&s, head, sizeof head), 0);
    uint8_t chunk[1000];
    memset(chunk, 'p', sizeof chunk);
    for (int i = 0; i < PAYLOAD / 1000; i++) assert_int_equal(script_recv_bytes(&s, chunk, sizeof chunk), 0);
    assert_int_equal(script_recv(&s, "30 04 00 01 'a' '2'"), 0);
    const char *delivered = script_delivered(&s);
    assert_int_equal(strlen(delivered), 6 + 5 + PAYLOAD + 6);
    assert_memory_equal(delivered, "a=1/0;L=pp", 10);
    assert_string_equal(delivered + 6 + 2 + PAYLOAD, "/0;a=2/0;");
    script_free(&s);
}

/* The next block of messages, as its receiver has it. */
static tern__block *next_block(script *s)
{
    tern__engine_event event;
    assert_true(tern__engine_next_event(s->engine, &event));
    assert_int_equal(event.kind, TERN__EVENT_MESSAGES);
    tern__block_finish(event.block);
    return event.block;
}

/* Little is handed over in a small copy, much as it was read: all that a message has comes along, and stays when the next
 * bytes are read. [C10] */
static void everything_of_a_message_stays(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++) {
        script s;
        char hex[2000] = "30 0d 00 01 'a' 08 23 00 01 03 00 02 'ct' 'p' 32 0e 00 00 00 07 08 23 00 01 08 00 02 'r1' 'q'";
        script_init(&s, TERN__V5);
        s.config.topic_alias_maximum = 1;
        script_start(&s);
        script_online(&s, NULL);
        for (int i = 0; large == 1 && i < 50; i++) strcat(hex, " 30 0e 00 01 'b' 00 '0123456789'");
        assert_int_equal(script_recv(&s, hex), 0);
        tern__block *block = next_block(&s);
        assert_true(large == 1 ? block->cap >= 4096 : block->cap < 100);
        assert_int_equal(block->count, large == 1 ? 52 : 2);
        assert_true(tern__engine_stats_of(s.engine)->messages_received == block->count);
        assert_int_equal(script_recv(&s, "30 0d 00 01 'x' 08 23 00 01 03 00 02 'xx' 'x'"), 0);
        const tern_message first = {.record = &block->records[0], .epoch = block->epoch};
        const tern_message second = {.record = &block->records[1], .epoch = block->epoch};
        assert_ptr_equal(first.record->block, block);
        assert_string_equal(tern_message_topic(&first), "a");
        assert_string_equal(tern_message_text(&first), "p");
        size_t len = 0;
        assert_memory_equal(tern_message_content_type(&first, &len), "ct", 2);
        assert_int_equal(len, 2);
        assert_string_equal(tern_message_topic(&second), "a"); /* of its alias */
        assert_string_equal(tern_message_text(&second), "q");
        assert_memory_equal(tern_message_response_topic(&second, &len), "r1", 2);
        assert_int_equal(len, 2);
        tern__block_unref(block);
        script_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_qos_is_delivered_and_answered),
        cmocka_unit_test(manual_acks_go_out_in_the_order_of_arrival),
        cmocka_unit_test(qos2_is_delivered_once_until_its_pubrel),
        cmocka_unit_test(a_doubtful_session_loses_no_message),
        cmocka_unit_test(a_pubrel_of_an_unknown_id_is_answered),
        cmocka_unit_test(more_than_our_receive_maximum_ends_the_link),
        cmocka_unit_test(aliases_stand_for_topics_of_one_connection),
        cmocka_unit_test(a_packet_over_our_maximum_is_refused_at_its_header),
        cmocka_unit_test(large_and_small_share_the_stream),
        cmocka_unit_test(everything_of_a_message_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
