/* What a server must not send: the link ends with the right reason code, nothing of that packet is delivered, and the text says
 * where and why. [C17]
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <string.h>
#include <tern/error.h>

/* What is open when the bytes come. */
typedef enum setting {
    IDLE,        /* connected, and that is all */
    QOS1_OPEN,   /* our PUBLISH of QoS 1 with id 1 awaits its PUBACK */
    QOS2_OPEN,   /* our PUBLISH of QoS 2 with id 1 awaits its PUBREC */
    RELEASE_OPEN /* our PUBREL with id 1 awaits its PUBCOMP */
} setting;

typedef struct row {
    int version; /* 0: both */
    setting open;
    const char *hex;
    int reason; /* in MQTT 5's DISCONNECT */
    const char *rule;
} row;

static const row rows[] = {
    /* Packets that only clients send, or that do not exist. [MQTT5-2.1.2] */
    {0, IDLE, "10 0C 00 04 'MQTT' 04 02 00 3C 00 00", 0x82, "CONNECT"},
    {0, IDLE, "82 06 00 01 00 01 'a' 00", 0x82, "SUBSCRIBE"},
    {0, IDLE, "A2 05 00 01 00 01 'a'", 0x82, "UNSUBSCRIBE"},
    {0, IDLE, "C0 00", 0x82, "PINGREQ"},
    {TERN__V311, IDLE, "E0 00", 0x82, "DISCONNECT, which only clients send in 3.1.1"},
    {TERN__V311, IDLE, "F0 00", 0x81, "AUTH does not exist in 3.1.1"},
    {0, IDLE, "00 00", 0x81, "packet type 0 is reserved"},
    {TERN__V311, IDLE, "20 02 00 00", 0x82, "a second CONNACK"},
    {TERN__V5, IDLE, "20 03 00 00 00", 0x82, "a second CONNACK [MQTT5-3.2.0-2]"},
    {TERN__V5, IDLE, "F0 02 00 00", 0x82, "AUTH that nobody began [MQTT5-4.12.0-6]"},
    /* Fixed headers. [MQTT5-2.1.3-1] [MQTT5-1.5.5-1] */
    {0, QOS1_OPEN, "41 02 00 01", 0x81, "flags of PUBACK"},
    {0, IDLE, "60 02 00 01", 0x81, "flags of PUBREL"},
    {0, IDLE, "D1 00", 0x81, "flags of PINGRESP"},
    {0, IDLE, "D0 80 00", 0x81, "a length that is not the shortest"},
    {0, IDLE, "30 80 80 80 80 01", 0x81, "a length of five bytes"},
    {0, IDLE, "D0 01 00", 0x81, "PINGRESP with a body"},
    /* PUBLISH. [MQTT5-3.3.1-2] [MQTT5-3.3.1-4] [MQTT5-3.3.2-1] [MQTT5-3.3.2-2] [MQTT5-2.2.1-3] [MQTT5-2.2.1-4] */
    {0, IDLE, "36 05 00 01 'a' 00 01", 0x81, "QoS 3"},
    {0, IDLE, "38 04 00 01 'a' 'x'", 0x81, "DUP of QoS 0"},
    {0, IDLE, "32 06 00 01 'a' 00 00 00", 0x82, "packet id 0"},
    {0, IDLE, "30 01 00", 0x81, "a topic's length that is cut"},
    {0, IDLE, "30 04 00 09 'ab'", 0x81, "a topic that is cut"},
    {0, IDLE, "32 04 00 01 'a' 00", 0x81, "a packet id that is cut"},
    {0, IDLE, "30 05 00 02 'a+' 00", 0x90, "a wildcard in a topic"},
    {0, IDLE, "30 04 00 01 '#' 00", 0x90, "a wildcard in a topic"},
    {0, IDLE, "30 05 00 02 'a' 00 00", 0x81, "NUL in a topic [MQTT5-1.5.4-2]"},
    {0, IDLE, "30 04 00 01 FF 00", 0x81, "a topic that is not UTF-8 [MQTT5-1.5.4-1]"},
    {0, IDLE, "30 06 00 03 ED A0 80 00", 0x81, "a surrogate [MQTT5-1.5.4-1]"},
    {0, IDLE, "30 05 00 02 C0 80 00", 0x81, "an overlong form"},
    {TERN__V311, IDLE, "30 03 00 00 'x'", 0x82, "an empty topic [MQTT311-4.7.3-1]"},
    {TERN__V5, IDLE, "30 04 00 00 00 'x'", 0x82, "an empty topic without alias"},
    {TERN__V5, IDLE, "30 03 00 01 'a'", 0x81, "no length of properties"},
    {TERN__V5, IDLE, "30 05 00 01 'a' 05 01", 0x81, "properties beyond the packet"},
    {TERN__V5, IDLE, "30 06 00 01 'a' 02 01 02", 0x82, "a payload format that does not exist"},
    {TERN__V5, IDLE, "30 08 00 01 'a' 04 01 00 01 00", 0x82, "a property twice"},
    {TERN__V5, IDLE, "30 06 00 01 'a' 02 24 01", 0x81, "a property of CONNACK"},
    {TERN__V5, IDLE, "30 06 00 01 'a' 02 7F 00", 0x81, "a property that does not exist"},
    {TERN__V5, IDLE, "30 06 00 01 'a' 02 0B 00", 0x82, "subscription identifier 0 [MQTT5-3.3.4-6]"},
    {TERN__V5, IDLE, "30 07 00 01 'a' 03 23 00 01", 0x94, "an alias, though we take none [MQTT5-3.1.2-27]"},
    {TERN__V5, IDLE, "30 08 00 01 'a' 04 08 00 01 '#'", 0x82, "a response topic with a wildcard [MQTT5-3.3.2-14]"},
    {TERN__V5, IDLE, "30 09 00 01 'a' 05 26 00 00 00 01", 0x81, "a user property that is cut"},
    /* Acknowledgements. [MQTT5-2.2.1-5] [MQTT5-4.3.3] */
    {0, QOS1_OPEN, "40 01 00", 0x81, "PUBACK that is cut"},
    {0, QOS1_OPEN, "40 02 00 00", 0x82, "PUBACK of id 0"},
    {TERN__V5, QOS1_OPEN, "40 03 00 01 01", 0x82, "a reason that PUBACK does not have"},
    {TERN__V5, QOS1_OPEN, "40 04 00 01 00 05", 0x81, "properties that are cut"},
    {TERN__V5, QOS1_OPEN, "40 06 00 01 00 02 24 01", 0x81, "a property that PUBACK does not have"},
    {TERN__V5, QOS1_OPEN, "40 05 00 01 00 00 00", 0x81, "bytes behind the end"},
    {TERN__V311, QOS1_OPEN, "40 03 00 01 00", 0x81, "a reason in 3.1.1"},
    {0, QOS1_OPEN, "50 02 00 01", 0x82, "PUBREC for QoS 1"},
    {0, QOS1_OPEN, "70 02 00 01", 0x82, "PUBCOMP for QoS 1"},
    {0, QOS2_OPEN, "40 02 00 01", 0x82, "PUBACK for QoS 2"},
    {0, QOS2_OPEN, "70 02 00 01", 0x82, "PUBCOMP before PUBREC"},
    {0, RELEASE_OPEN, "40 02 00 01", 0x82, "PUBACK for a release"},
    {0, QOS1_OPEN, "90 04 00 01 00 00", 0x82, "SUBACK for a PUBLISH"},
    {TERN__V5, QOS1_OPEN, "B0 04 00 01 00 00", 0x82, "UNSUBACK for a PUBLISH"},
    /* SUBACK, DISCONNECT. */
    {0, IDLE, "90 01 00", 0x81, "SUBACK that is cut"},
    {0, IDLE, "90 02 00 01", 0x81, "SUBACK without codes"},
    {TERN__V311, IDLE, "90 03 00 01 03", 0x82, "a code that SUBACK does not have [MQTT311-3.9.3-2]"},
    {TERN__V5, IDLE, "E0 01 04", 0x82, "a reason that a server must not give"},
    {TERN__V5, IDLE, "E0 05 8B 03 1F 00 05", 0x81, "properties that are cut"},
    {TERN__V5, IDLE, "E0 07 8B 05 11 00 00 00 01", 0x82, "a session expiry of the server's [MQTT5-3.14.2-2]"},
};

static void open_setting(script *s, setting open)
{
    if (open == IDLE) return;
    assert_int_equal(script_publish(s, open == QOS1_OPEN ? 1 : 2, "t", "x", NULL), 0);
    script_drain(s, SIZE_MAX);
    if (open == RELEASE_OPEN) assert_int_equal(script_recv(s, "50 02 00 01"), 0);
    script_drain(s, SIZE_MAX);
    tern__buf_clear(&s->out);
}

static void judge(const row *r, int version)
{
    script s;
    script_ready(&s, version);
    open_setting(&s, r->open);
    int rc = script_recv(&s, r->hex);
    tern__engine_event_kind kind = script_event(&s);
    if (rc == 0 || kind != TERN__EVENT_FAILED) fail_msg("MQTT %d: %s (%s) was taken", version, r->hex, r->rule);
    if (strstr(s.event.text, "offset") == NULL) fail_msg("%s (%s): \"%s\" does not say where", r->hex, r->rule, s.event.text);
    assert_string_equal(script_delivered(&s), "");
    script_drain(&s, SIZE_MAX);
    if (version == TERN__V5) { /* [MQTT5-4.13.1-1] */
        if (s.event.reason != r->reason)
            fail_msg("%s (%s): reason 0x%02x instead of 0x%02x (%s)", r->hex, r->rule, (unsigned)s.event.reason,
                     (unsigned)r->reason, s.event.text);
        const uint8_t goodbye[] = {0xE0, 1, (uint8_t)r->reason};
        assert_int_equal(s.out.len, sizeof goodbye);
        assert_memory_equal(s.out.data, goodbye, sizeof goodbye);
    } else {
        if (s.event.reason != -1) fail_msg("%s: 3.1.1 says no reason", r->hex);
        assert_int_equal(s.out.len, 0); /* it just closes */
    }
    /* Nothing more is taken, and nothing is lost: the messages are there at the next connection. */
    assert_int_not_equal(script_recv(&s, "D0 00"), 0);
    script_offline(&s);
    script_online(&s, version == TERN__V5 ? "20 03 01 00 00" : "20 02 01 00");
    script_drain(&s, SIZE_MAX);
    static const uint8_t again[] = {0, 0x3A, 0x3C, 0x62};
    if (r->open != IDLE) assert_int_equal(s.out.data[0], again[r->open]);
    tern__buf_clear(&s.out);
    script_free(&s);
}

static void every_breach_ends_the_link(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].version != TERN__V5) judge(&rows[i], TERN__V311);
        if (rows[i].version != TERN__V311) judge(&rows[i], TERN__V5);
    }
}

/* What came whole before the bad packet is delivered, in the same read too. */
static void what_came_before_is_delivered(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    assert_int_not_equal(script_recv(&s, "30 05 00 01 'a' 00 'x' 36 05 00 01 'a' 00 01 30 05 00 01 'b' 00 'y'"), 0);
    assert_string_equal(script_delivered(&s), "a=x/0;");
    script_free(&s);
}

/* Not asked for: reason strings and user properties. [MQTT5-3.1.2-29] */
static void unwanted_problem_information_ends_the_link(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.connect.request_problem_info = false;
    script_start(&s);
    script_online(&s, NULL);
    open_setting(&s, QOS1_OPEN);
    assert_int_not_equal(script_recv(&s, "40 08 00 01 00 04 1F 00 01 'x'"), 0);
    assert_int_equal(script_event(&s), TERN__EVENT_FAILED);
    assert_int_equal(s.event.reason, 0x82);
    script_free(&s);
}

/* An ack of an id that is not open is a broker's slip that harms nobody. */
static void acks_of_nothing_are_ignored(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    assert_int_equal(script_recv(&s, "40 02 00 07 70 02 00 07 90 04 00 07 00 00 B0 04 00 07 00 00"), 0);
    script_expect(&s, "");
    assert_int_equal(script_recv(&s, "50 02 00 07"), 0); /* [MQTT5-4.3.3] that one wants to be released */
    script_expect(&s, "62 03 00 07 92");
    assert_int_equal(script_event(&s), 0);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_breach_ends_the_link),
        cmocka_unit_test(what_came_before_is_delivered),
        cmocka_unit_test(unwanted_problem_information_ends_the_link),
        cmocka_unit_test(acks_of_nothing_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
