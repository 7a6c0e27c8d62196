/* Topic aliases of the server's, and packets at our own limits.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void online(script *s, uint16_t maximum)
{
    script_init(s, TERN__V5);
    s->config.topic_alias_maximum = maximum;
    script_start(s);
    script_online(s, NULL);
}

/* Every alias that we offered, set and then used, the last ones first. [MQTT5-3.3.2-10] */
static void test_every_alias_up_to_our_maximum(void **state)
{
    (void)state;
    script s;
    char want[32];
    online(&s, 65535);
    for (unsigned alias = 1; alias <= 65535; alias++) {
        uint8_t packet[] = {0x30,          11, 0, 5, 0, 0, 0, 0, 0, 3, 0x23, (uint8_t)(alias >> 8),
                            (uint8_t)alias};
        char topic[8];
        (void)snprintf(topic, sizeof topic, "%05u", alias);
        memcpy(packet + 4, topic, 5);
        assert_int_equal(script_recv_bytes(&s, packet, sizeof packet), 0);
        if (alias % 1000 == 0) (void)script_delivered(&s);
    }
    (void)script_delivered(&s);
    for (unsigned alias = 65535; alias >= 1; alias--) {
        const uint8_t packet[] = {0x30, 6, 0, 0, 3, 0x23, (uint8_t)(alias >> 8), (uint8_t)alias};
        assert_int_equal(script_recv_bytes(&s, packet, sizeof packet), 0);
        if (alias % 97 != 0 && alias != 1 && alias != 65535) continue;
        const char *all = script_delivered(&s);
        (void)snprintf(want, sizeof want, "%05u=/0;", alias);
        assert_true(strlen(all) >= strlen(want));
        assert_string_equal(all + strlen(all) - strlen(want), want);
    }
    script_free(&s);
}

/* One above our maximum, with and without a topic. [MQTT5-3.1.2-26] [MQTT5-3.1.2-27]
 * [MQTT5-3.3.2-8] [MQTT5-3.3.2-11] */
static void test_aliases_that_we_did_not_offer(void **state)
{
    (void)state;
    static const uint16_t maxima[] = {0, 1, 2, 1000, 65534};
    for (size_t i = 0; i < COUNT(maxima); i++) {
        for (int with_topic = 0; with_topic <= 1; with_topic++) {
            for (int zero = 0; zero <= 1; zero++) {
                script s;
                char hex[64];
                online(&s, maxima[i]);
                (void)snprintf(hex, sizeof hex, "32 %s 00 01 03 23 %04x",
                               with_topic ? "09 00 01 'a'" : "08 00 00",
                               zero ? 0u : maxima[i] + 1u);
                script_refuses(&s, hex, TERN_E_PROTOCOL, 0x94);
                script_free(&s);
            }
        }
    }
}

static void test_an_alias_without_meaning(void **state) /* [V5-U-13] */
{
    (void)state;
    script s;
    online(&s, 5);
    assert_int_equal(script_recv(&s, "30 07 00 01 'a' 03 23 00 01"), 0);
    (void)script_delivered(&s);
    script_refuses(&s, "34 08 00 00 00 01 03 23 00 02", TERN_E_PROTOCOL, 0x82);
    script_offline(&s);
    script_online(&s, NULL); /* aliases live one connection only [MQTT5-3.3.2-7] */
    script_refuses(&s, "30 06 00 00 03 23 00 01", TERN_E_PROTOCOL, 0x82);
    script_free(&s);
}

/* A packet that is refused for something else sets no alias, and a repeat of QoS 2 does. */
static void test_aliases_with_qos(void **state)
{
    (void)state;
    script s;
    online(&s, 5);
    assert_int_equal(script_recv(&s, "34 0a 00 01 'a' 00 01 03 23 00 01 '1'"), 0);
    assert_int_equal(script_recv(&s, "3c 0a 00 01 'b' 00 01 03 23 00 01 '1'"),
                     0); /* the same message, b stands for 1 now */
    assert_int_equal(script_recv(&s, "32 09 00 00 00 02 03 23 00 01 '2'"), 0);
    assert_string_equal(script_delivered(&s), "a=1/2;b=2/1;");
    tern__engine_ack_through(s.engine, s.epoch, s.last_seq);
    script_expect(&s, "50 02 00 01 50 02 00 01 40 02 00 02");
    script_free(&s);
}

/* Messages that wait keep the topic that their alias stood for when they came. */
static void test_a_new_meaning_changes_no_old_message(void **state)
{
    (void)state;
    script s;
    online(&s, 1);
    assert_int_equal(script_recv(&s, "30 08 00 01 'a' 03 23 00 01 '1' 30 07 00 00 03 23 00 01 '2'"
                                     "30 0a 00 03 'bcd' 03 23 00 01 '3' 30 07 00 00 03 23 00 01 '4'"
                                     "30 08 00 01 'e' 03 23 00 01 '5' 30 07 00 00 03 23 00 01 '6'"),
                     0);
    assert_string_equal(script_delivered(&s), "a=1/0;a=2/0;bcd=3/0;bcd=4/0;e=5/0;e=6/0;");
    script_free(&s);
}

/* ---- sizes ---- */

/* A QoS 0 PUBLISH of exactly this many bytes, its header made by hand. */
static size_t make_publish(uint8_t *out, size_t total)
{
    size_t head = total <= 129 ? 2 : total <= 16386 ? 3 : 4;
    size_t left = total - head;
    size_t at = 0;
    out[at++] = 0x30;
    for (size_t value = left; at < head; value /= 128, at++)
        out[at] = (uint8_t)(value % 128 | (at + 1 < head ? 128u : 0u));
    memset(out + at, 'p', left);
    memcpy(out + at, "\0\1a\0", 4);
    return total;
}

/* To the byte, around each length of the header. [MQTT5-3.1.2-24] [MQTT5-1.5.5-1] [C10] */
static void test_our_maximum_is_kept_to_the_byte(void **state)
{
    (void)state;
    static const uint32_t maxima[] = {6,     128,   129,   130,   131,   4096,
                                      16385, 16386, 16387, 16388, 100000};
    static uint8_t packet[100008];
    for (size_t i = 0; i < COUNT(maxima); i++) {
        script s;
        script_init(&s, TERN__V5);
        s.config.maximum_packet_size = maxima[i];
        script_start(&s);
        script_online(&s, NULL);
        size_t len = make_publish(packet, maxima[i]);
        if (len == 130 || len == 16387) len = 0; /* no header makes a packet of that length */
        if (len != 0) {
            assert_int_equal(script_recv_bytes(&s, packet, len), 0);
            assert_int_equal(strncmp(script_delivered(&s), "a=", 2), 0);
        }
        len = make_publish(packet,
                           maxima[i] == 129 || maxima[i] == 16386 ? maxima[i] + 2 : maxima[i] + 1);
        size_t head = 1;
        while ((packet[head++] & 0x80) != 0)
            ;
        assert_int_equal(script_recv_bytes(&s, packet, head - 1), 0); /* not known yet */
        assert_int_not_equal(script_recv_bytes(&s, packet + head - 1, 1), 0);
        assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
        assert_int_equal(s.event.reason, 0x95);
        script_expect(&s, "e0 01 95");
        script_free(&s);
    }
}

/* What is announced is not what is allocated: room is made as bytes come. [C10] */
static void test_memory_follows_the_bytes_that_came(void **state)
{
    (void)state;
    enum { ANNOUNCED = 1 << 20, STEP = 1000 };
    static uint8_t packet[ANNOUNCED];
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, NULL);
    assert_int_equal(make_publish(packet, ANNOUNCED), ANNOUNCED);
    for (size_t at = 0; at < ANNOUNCED;) {
        uint8_t *data;
        size_t room;
        assert_int_equal(tern__engine_recv_space(s.engine, &data, &room), 0);
        assert_true(room > 0 && room <= (at < 8192 ? 8192 : 2 * at));
        size_t n = room < STEP ? room : STEP;
        if (n > ANNOUNCED - at) n = ANNOUNCED - at;
        memcpy(data, packet + at, n);
        assert_int_equal(tern__engine_received(s.engine, n, s.now), 0);
        at += n;
    }
    const char *all = script_delivered(&s);
    assert_int_equal(strlen(all),
                     2 + ANNOUNCED - 8 +
                         3); /* the header of 4 bytes, the topic's 3, the properties' 1 */
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alias_up_to_our_maximum),
        cmocka_unit_test(test_aliases_that_we_did_not_offer),
        cmocka_unit_test(test_an_alias_without_meaning),
        cmocka_unit_test(test_aliases_with_qos),
        cmocka_unit_test(test_a_new_meaning_changes_no_old_message),
        cmocka_unit_test(test_our_maximum_is_kept_to_the_byte),
        cmocka_unit_test(test_memory_follows_the_bytes_that_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
