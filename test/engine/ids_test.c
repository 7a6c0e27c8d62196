/* Packet ids and the window under a model broker: messages of QoS 1 and 2, requests and refusals in
 * random order. SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What the broker holds open: for each id the type that it awaits from us, or has to answer. */
typedef struct broker {
    uint8_t open[65536]; /* PUBLISH of QoS 1: 1, QoS 2: 2, its PUBREL: 3, SUBSCRIBE: 4, UNSUBSCRIBE:
                          * 5; 0 free; 6 the PUBREC is out and the PUBREL not in */
    uint16_t ids[65536]; /* the open ones */
    uint32_t count;
    uint32_t window; /* of those, PUBLISHes without an end */
    uint32_t peak;
    uint64_t opened; /* packets that opened an id */
    uint32_t random;
    bool v5;
} broker;

static uint32_t next_random(broker *b)
{
    b->random = b->random * 1664525u + 1013904223u;
    return b->random >> 8;
}

static void open_id(broker *b, uint16_t id, uint8_t kind)
{
    assert_int_not_equal(id, 0);
    if (b->open[id] != 0) fail_msg("id %u was open", id); /* [MQTT5-2.2.1-3] [MQTT311-2.3.1-2] */
    b->open[id] = kind;
    b->ids[b->count++] = id;
    b->opened++;
    if (kind <= 2) b->window++;
    if (b->window > b->peak) b->peak = b->window;
}

/* Takes in what the client sent. */
static void read_output(script *s, broker *b)
{
    script_drain(s, SIZE_MAX);
    for (size_t at = 0; at < s->out.len;) {
        size_t head = 0;
        const uint8_t *packet = s->out.data + at;
        const size_t len = script_packet_len(packet, s->out.len - at, &head);
        assert_true(len != 0);
        const int type = packet[0] >> 4;
        const size_t id_at = type == 3 ? head + 3 : head; /* all topics have one letter */
        const uint16_t id = (uint16_t)(packet[id_at] << 8 | packet[id_at + 1]);
        if (type == 3) open_id(b, id, (uint8_t)(packet[0] >> 1 & 3));
        if (type == 8) open_id(b, id, 4);
        if (type == 10) open_id(b, id, 5);
        if (type == 6) {
            assert_int_equal(b->open[id], 6);
            b->open[id] = 3;
        }
        at += len;
    }
    tern__buf_clear(&s->out);
}

/* Answers an open packet, chosen at random; some messages are refused. [MQTT5-4.3.3-4] */
static void answer(script *s, broker *b)
{
    static const uint8_t types[] = {0, 0x40, 0x50, 0x70, 0x90, 0xb0};
    const uint32_t slot = next_random(b) % b->count;
    const uint16_t id = b->ids[slot];
    const uint8_t kind = b->open[id];
    if (kind == 6) return;
    const bool refuse = b->v5 && kind <= 2 && next_random(b) % 8 == 0;
    uint8_t packet[6] = {types[kind], 2, (uint8_t)(id >> 8), (uint8_t)id};
    if (refuse) {
        packet[1] = 3;
        packet[4] = 0x97;
    }
    if (kind == 4 || (kind == 5 && b->v5)) packet[1] = b->v5 ? 4 : 3; /* and a code of 0 */
    if (kind == 2 && !refuse) {
        b->open[id] = 6;
    } else {
        if (kind <= 3) b->window--;
        b->open[id] = 0;
        b->ids[slot] = b->ids[--b->count];
    }
    assert_int_equal(script_recv_bytes(s, packet, 2u + packet[1]), 0);
}

static void submit(script *s, uint32_t what)
{
    if (what % 16 == 0)
        script_subscribe(s, "f", TERN_QOS_1, NULL);
    else if (what % 16 == 1)
        script_unsubscribe(s, "f", NULL);
    else
        assert_int_equal(script_publish(s, (uint8_t)(1 + what % 2), "a", "", NULL), 0);
}

static void online(script *s, int version, uint16_t window)
{
    char connack[] = "20 06 00 00 03 21 00 00";
    static const char digits[] = "0123456789abcdef";
    connack[18] = digits[window >> 12];
    connack[19] = digits[window >> 8 & 15];
    connack[21] = digits[window >> 4 & 15];
    connack[22] = digits[window & 15];
    script_init(s, version);
    if (version == TERN__V311) s->config.inflight_maximum = window;
    script_start(s);
    script_online(s, version == TERN__V5 ? connack : NULL);
}

/* Windows of each size, ours or the server's: kept to the message, used to the full, and given back
 * by every kind of end. [MQTT5-3.3.4-7] [MQTT5-4.9.0-2] */
static void run(int version, uint16_t window, uint32_t operations, uint32_t backlog)
{
    script s;
    broker *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->random = window;
    b->v5 = version == TERN__V5;
    online(&s, version, window);
    for (uint32_t submitted = 0; b->opened < operations;) {
        for (; submitted - b->opened < backlog && submitted < operations; submitted++)
            submit(&s, next_random(b));
        read_output(&s, b);
        assert_true(b->window <= window);
        for (uint32_t n = next_random(b) % (1 + b->count); n > 0 && b->count > 0; n--)
            answer(&s, b);
        if (b->count != 0) answer(&s, b);
    }
    read_output(&s, b);
    while (b->count != 0) {
        answer(&s, b);
        read_output(&s, b);
    }
    assert_int_equal(b->opened, operations);
    if (window < backlog) assert_int_equal(b->peak, window);
    assert_int_equal(tern__engine_open_count(s.engine), 0);
    assert_int_equal(tern__engine_settled_id(s.engine),
                     tern__outbox_last_id_locked(tern__engine_outbox(s.engine)));
    free(b);
    script_free(&s);
}

static void test_windows_of_the_servers(void **state)
{
    (void)state;
    run(TERN__V5, 1, 5000, 50);
    run(TERN__V5, 2, 5000, 50);
    run(TERN__V5, 10, 20000, 100);
    run(TERN__V5, 65535, 200000, 3000);
}

static void test_windows_of_ours(void **state)
{
    (void)state;
    run(TERN__V311, 1, 5000, 50);
    run(TERN__V311, 10, 20000, 100);
    run(TERN__V311, 65535, 200000, 3000);
}

/* The smaller of the two counts. */
static void test_the_smaller_window_counts(void **state)
{
    (void)state;
    static const struct {
        uint16_t ours;
        const char *connack;
        uint16_t window;
    } rows[] = {{5, "20 06 00 00 03 21 00 09", 5},
                {9, "20 06 00 00 03 21 00 05", 5},
                {7, "20 03 00 00 00", 7},
                {65535, "20 03 00 00 00", 65535}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        script_init(&s, TERN__V5);
        s.config.inflight_maximum = rows[i].ours;
        script_start(&s);
        script_online(&s, rows[i].connack);
        assert_int_equal(tern__engine_limits(s.engine)->send_maximum, rows[i].window);
        for (int n = 0; n < 20; n++)
            assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
        script_drain(&s, SIZE_MAX);
        assert_int_equal(s.out.len, 8u * (rows[i].window < 20 ? rows[i].window : 20u));
        tern__buf_clear(&s.out);
        script_free(&s);
    }
}

/* Redelivery keeps to the new connection's window too, PUBRELs never wait for it. [MQTT5-4.9.0-2]
 * [MQTT5-3.3.4-8] [C6] */
static void test_redelivery_keeps_to_a_smaller_window(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    for (int n = 0; n < 4; n++)
        assert_int_equal(script_publish(&s, 2, "a", "", NULL), 0);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(script_recv(&s, "50 02 00 02"), 0);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    script_offline(&s);
    script_online(&s, "20 06 01 00 03 21 00 02");
    script_expect(
        &s, "62 02 00 02 3c 06 00 01 'a' 00 01 00"); /* the PUBREL stands for the other place */
    assert_int_equal(script_recv(&s, "50 02 00 01"), 0);
    script_expect(&s, "62 02 00 01"); /* PUBREC gives nothing back */
    assert_int_equal(script_recv(&s, "70 02 00 02"), 0);
    script_expect(&s, "3c 06 00 01 'a' 00 03 00");
    assert_int_equal(script_recv(&s, "50 03 00 03 97"), 0); /* a refusal does */
    script_expect(&s, "3c 06 00 01 'a' 00 04 00");
    script_free(&s);
}

/* What an answer of the wrong id or an old one gives back: nothing. [MQTT5-2.2.1-5] [V5-U-19] */
static void test_stray_acks_widen_no_window(void **state)
{
    (void)state;
    script s;
    online(&s, TERN__V5, 1);
    assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    script_expect(&s, "32 06 00 01 'a' 00 01 00");
    assert_int_equal(script_recv(&s, "40 02 00 02 40 02 ff ff 70 02 00 05 40 03 00 09 97"), 0);
    script_expect(&s, "");
    assert_int_equal(script_recv(&s, "40 02 00 01 40 02 00 01 40 02 00 01"),
                     0); /* once is enough */
    script_expect(&s, "32 06 00 01 'a' 00 02 00");
    assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    script_expect(&s, "");
    script_free(&s);
}

/* PUBREC twice: PUBREL twice, one message. [V5-U-20] */
static void test_a_repeated_pubrec(void **state)
{
    (void)state;
    script s;
    tern__completion done;
    online(&s, TERN__V5, 1);
    assert_int_equal(script_publish(&s, 2, "a", "", &done), 0);
    assert_int_equal(script_publish(&s, 2, "a", "", NULL), 0);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "50 02 00 01 50 02 00 01"), 0);
    script_expect(&s, "62 02 00 01 62 02 00 01");
    assert_int_equal(script_recv(&s, "70 02 00 01"), 0);
    script_outcome(&s, &done, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    script_expect(&s, "34 06 00 01 'a' 00 02 00");
    assert_int_equal(script_recv(&s, "70 02 00 01"), 0);
    script_expect(&s, "");
    script_free(&s);
}

/* With nothing lost nothing is sent again, however long it takes. [MQTT5-4.4.0-1] [C6] */
static void test_no_redelivery_by_time(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V311);
    s.connect.keep_alive = 60;
    script_start(&s);
    script_online(&s, NULL);
    assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    assert_int_equal(script_publish(&s, 2, "a", "", NULL), 0);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "50 02 00 02"), 0);
    script_expect(&s, "62 02 00 02");
    for (int minute = 0; minute < 24 * 60; minute++) {
        script_wait(&s, 58 * (uint64_t)SCRIPT_SECOND);
        script_expect(&s, "c0 00");
        assert_int_equal(script_recv(&s, "d0 00"), 0);
    }
    assert_int_equal(tern__engine_stats_of(s.engine)->redelivered, 0);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_of_the_servers),
        cmocka_unit_test(test_windows_of_ours),
        cmocka_unit_test(test_the_smaller_window_counts),
        cmocka_unit_test(test_redelivery_keeps_to_a_smaller_window),
        cmocka_unit_test(test_stray_acks_widen_no_window),
        cmocka_unit_test(test_a_repeated_pubrec),
        cmocka_unit_test(test_no_redelivery_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
