/* Publishing over an engine: bytes of each QoS, outcomes, the window, packet ids and the server's
 * limits. SPDX-License-Identifier: Apache-2.0 */
#include <tern/subscription.h>

#include "engine/script.h"

#include <stdlib.h>
#include <string.h>
#include <tern/subscription.h>

static void test_qos0_is_sent_when_its_last_byte_went_out(void **state) /* [MQTT5-2.2.1-2] */
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        tern__completion done;
        script_ready(&s, version);
        assert_int_equal(script_publish(&s, 0, "a", "hi", &done), 0);
        const size_t whole = version == TERN__V5 ? 8 : 7;
        script_drain(&s, whole - 1);
        assert_null(tern__engine_next_completion(s.engine));
        script_expect(&s, version == TERN__V5 ? "30 06 00 01 'a' 00 'hi'" : "30 05 00 01 'a' 'hi'");
        script_outcome(&s, &done, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1);
        script_free(&s);
    }
}

static void test_qos1_ends_by_its_puback(void **state) /* [MQTT5-4.3.2-1] [MQTT5-4.3.2-2] */
{
    (void)state;
    script s;
    tern__completion yes;
    tern__completion no;
    script_ready(&s, TERN__V5);
    assert_int_equal(script_publish(&s, 1, "a", "hi", &yes), 0);
    assert_int_equal(script_publish(&s, 1, "a", "ho", &no), 0);
    script_expect(&s, "32 08 00 01 'a' 00 01 00 'hi' 32 08 00 01 'a' 00 02 00 'ho'");
    assert_int_equal(script_recv(&s, "40 03 00 02 87"), 0);
    script_outcome(&s, &no, TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, 0x87);
    assert_int_equal(script_recv(&s, "40 02 00 01"), 0);
    script_outcome(&s, &yes, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    script_expect(&s, "");
    script_free(&s);
}

static void test_qos2_goes_through_its_four_steps(
    void **state) /* [MQTT5-4.3.3-1] [MQTT5-4.3.3-4] */
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        tern__completion done;
        script_ready(&s, version);
        assert_int_equal(script_publish(&s, 2, "a", "hi", &done), 0);
        script_expect(&s, version == TERN__V5 ? "34 08 00 01 'a' 00 01 00 'hi'"
                                              : "34 07 00 01 'a' 00 01 'hi'");
        assert_int_equal(script_recv(&s, "50 02 00 01"), 0);
        assert_null(tern__engine_next_completion(s.engine));
        script_expect(&s, "62 02 00 01");
        assert_int_equal(script_recv(&s, "70 02 00 01"), 0);
        script_ended(&s, &done);
        assert_int_equal(done.outcome, TERN_OUTCOME_DELIVERED);
        script_free(&s);
    }
}

static void test_qos2_refused_at_pubrec_sends_no_pubrel(void **state) /* [MQTT5-4.3.3-4] */
{
    (void)state;
    script s;
    tern__completion done;
    script_ready(&s, TERN__V5);
    assert_int_equal(script_publish(&s, 2, "a", "", &done), 0);
    script_expect(&s, "34 06 00 01 'a' 00 01 00");
    assert_int_equal(script_recv(&s, "50 03 00 01 97"), 0);
    script_outcome(&s, &done, TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, 0x97);
    script_expect(&s, "");
    script_free(&s);
}

/* How many PUBLISH packets lie in s->out, which is emptied. */
static size_t count_publishes(script *s)
{
    size_t count = 0;
    size_t at = 0;
    script_drain(s, SIZE_MAX);
    while (at < s->out.len) {
        size_t n = script_packet_len(s->out.data + at, s->out.len - at, NULL);
        assert_true(n > 0);
        count += s->out.data[at] >> 4 == TERN__PUBLISH;
        at += n;
    }
    tern__buf_clear(&s->out);
    return count;
}

static void test_the_servers_receive_maximum_bounds_what_is_open(void **state) /* [MQTT5-3.3.4-7] */
{
    (void)state;
    static const char *const connacks[] = {"20 06 00 00 03 21 00 01", "20 06 00 00 03 21 00 02",
                                           "20 06 00 00 03 21 00 0a"};
    static const size_t maxima[] = {1, 2, 10};
    for (size_t i = 0; i < 3; i++) {
        script s;
        script_init(&s, TERN__V5);
        script_start(&s);
        script_online(&s, connacks[i]);
        for (int n = 0; n < 25; n++)
            assert_int_equal(script_publish(&s, 1, "a", "x", NULL), 0);
        assert_int_equal(count_publishes(&s), maxima[i]);
        assert_int_equal(script_recv(&s, "40 02 00 01"), 0);
        assert_int_equal(count_publishes(&s), 1);
        script_free(&s);
    }
}

/* A full window holds back QoS 0 too, since newer never overtakes older; control packets it does
 * not. [C8] [MQTT5-3.3.4-8] */
static void test_a_full_window_holds_newer_messages_but_no_control_packet(void **state)
{
    (void)state;
    script s;
    tern__completion later;
    tern__completion subscribed = {0};
    tern_subscription *wish = NULL;
    script_init(&s, TERN__V5);
    s.config.inflight_maximum = 1;
    script_start(&s);
    script_online(&s, NULL);
    assert_int_equal(script_publish(&s, 2, "a", "1", NULL), 0);
    assert_int_equal(script_publish(&s, 1, "a", "2", NULL), 0);
    assert_int_equal(script_publish(&s, 0, "a", "3", &later), 0);
    script_expect(&s, "34 07 00 01 'a' 00 01 00 '1'");
    tern__list_init(&subscribed.link);
    assert_int_equal(tern_subscription_new(&wish), 0);
    assert_int_equal(tern_subscription_add(wish, "t", TERN_QOS_1), 0);
    assert_int_equal(tern__engine_subscribe(s.engine, wish, &subscribed, s.now), 0);
    script_expect(&s, "82 07 00 02 00 00 01 't' 01");
    assert_int_equal(script_recv(&s, "50 02 00 01"), 0);
    script_expect(&s, "62 02 00 01");
    assert_int_equal(script_recv(&s, "70 02 00 01"), 0);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(s.out.len, 9 + 7);
    assert_int_equal(s.out.data[0], 0x32);
    assert_int_equal(s.out.data[9], 0x30);
    script_ended(&s, &later);
    tern_subscription_free(wish);
    script_free(&s);
}

enum { OPERATIONS = 200000, DEPTH = 700 };

/* Acknowledges in an order that is not the order of sending, so that free ids lie between busy
 * ones. */
static void test_an_open_packet_id_is_never_used_again(void **state) /* [MQTT5-2.2.1-3] */
{
    (void)state;
    script s;
    bool *open = calloc(65536, sizeof *open);
    uint16_t ids[DEPTH];
    uint32_t random = 12345;
    assert_non_null(open);
    script_ready(&s, TERN__V311);
    for (int i = 0; i < OPERATIONS; i++) {
        const size_t slot =
            i < DEPTH ? (size_t)i : (random = random * 1664525u + 1013904223u) % DEPTH;
        if (i >= DEPTH) {
            const uint8_t ack[] = {0x40, 2, (uint8_t)(ids[slot] >> 8), (uint8_t)ids[slot]};
            assert_int_equal(script_recv_bytes(&s, ack, sizeof ack), 0);
            open[ids[slot]] = false;
        }
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
        script_drain(&s, SIZE_MAX);
        assert_int_equal(s.out.len, 7);
        ids[slot] = (uint16_t)(s.out.data[5] << 8 | s.out.data[6]);
        assert_true(ids[slot] != 0 && !open[ids[slot]]);
        open[ids[slot]] = true;
        tern__buf_clear(&s.out);
    }
    script_free(&s);
    free(open);
}

static void test_all_65535_ids_can_be_open_and_no_more(void **state) /* [MQTT5-2.2.1-3] */
{
    (void)state;
    script s;
    script_ready(&s, TERN__V311);
    for (int i = 0; i < 65540; i++)
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
    assert_int_equal(count_publishes(&s), 65535);
    assert_int_equal(script_recv(&s, "40 02 12 34"), 0);
    script_expect(&s, "32 05 00 01 'a' 12 34");
    script_free(&s);
}

/* [C2] [MQTT5-3.2.2-15] */
static void test_the_servers_maximum_packet_size_is_kept_to_the_byte(void **state)
{
    (void)state;
    script s;
    tern__completion fits;
    tern__completion over;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 08 00 00 05 27 00 00 00 0a");
    assert_int_equal(script_publish(&s, 0, "a", "over5", &over), 0);
    assert_int_equal(script_publish(&s, 0, "a", "fit4", &fits), 0);
    script_expect(&s, "30 08 00 01 'a' 00 'fit4'");
    script_outcome(&s, &over, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_TOO_LARGE, -1);
    script_outcome(&s, &fits, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, -1);
    script_free(&s);
}

static void test_a_qos_beyond_the_servers_is_not_sent(void **state) /* [C2] [MQTT5-3.2.2-11] */
{
    (void)state;
    script s;
    tern__completion low;
    tern__completion high;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 05 00 00 02 24 01");
    assert_int_equal(script_publish(&s, 2, "a", "", &high), 0);
    assert_int_equal(script_publish(&s, 1, "a", "", &low), 0);
    script_expect(&s, "32 06 00 01 'a' 00 01 00");
    script_outcome(&s, &high, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_UNSUPPORTED, -1);
    script_free(&s);
}

/* [MQTT5-3.4.2-2] the server's words come with the outcome */
static void test_the_servers_words_come_along(void **state)
{
    (void)state;
    script s;
    tern__completion once;
    tern__completion twice;
    script_ready(&s, TERN__V5);
    assert_int_equal(script_publish(&s, 1, "a", "", &once), 0);
    assert_int_equal(script_publish(&s, 2, "a", "", &twice), 0);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_recv(&s, "40 0A 00 01 87 06 1F 00 03 'why'"), 0);
    script_outcome(&s, &once, TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, 0x87);
    assert_string_equal(once.reason_string, "why");
    assert_int_equal(script_recv(&s, "50 09 00 02 97 05 1F 00 02 'no'"), 0);
    script_outcome(&s, &twice, TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, 0x97);
    assert_string_equal(twice.reason_string, "no");
    free(once.reason_string);
    free(twice.reason_string);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_servers_words_come_along),
        cmocka_unit_test(test_qos0_is_sent_when_its_last_byte_went_out),
        cmocka_unit_test(test_qos1_ends_by_its_puback),
        cmocka_unit_test(test_qos2_goes_through_its_four_steps),
        cmocka_unit_test(test_qos2_refused_at_pubrec_sends_no_pubrel),
        cmocka_unit_test(test_the_servers_receive_maximum_bounds_what_is_open),
        cmocka_unit_test(test_a_full_window_holds_newer_messages_but_no_control_packet),
        cmocka_unit_test(test_an_open_packet_id_is_never_used_again),
        cmocka_unit_test(test_all_65535_ids_can_be_open_and_no_more),
        cmocka_unit_test(test_the_servers_maximum_packet_size_is_kept_to_the_byte),
        cmocka_unit_test(test_a_qos_beyond_the_servers_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
