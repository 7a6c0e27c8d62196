/* Connecting: the bytes of CONNECT, and what CONNACK changes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "codec/props.h"

static tern__view view(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

/* CONNECT as these options make it. */
static void expect_connect(script *s, const char *hex)
{
    assert_int_equal(tern__engine_opened(s->engine, &s->connect, s->now), 0);
    script_expect(s, hex);
}

/* [MQTT5-3.1.2-1] [MQTT5-3.1.3-1] [MQTT5-3.1.3-3] [MQTT311-3.1.2-1] [MQTT311-3.1.2-3] [MQTT311-3.1.2-11] [MQTT311-3.1.2-13]
 * [MQTT311-3.1.2-15] [MQTT311-3.1.2-18] [MQTT311-3.1.3-3] */
static void the_plainest_connect(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V311);
    s.config.client_id = "";
    s.connect.session = TERN_SESSION_CLEAN;
    s.connect.keep_alive = 60;
    script_start(&s);
    expect_connect(&s, "10 0C 00 04 'MQTT' 04 02 00 3C 00 00");
    script_free(&s);
    script_init(&s, TERN__V5);
    s.config.client_id = "me";
    s.config.maximum_packet_size = 0x01020304;
    s.config.receive_maximum = 65535;
    s.connect.keep_alive = 0;
    s.connect.session = TERN_SESSION_CLEAN;
    script_start(&s);
    expect_connect(&s, "10 14 00 04 'MQTT' 05 02 00 00 05 27 01 02 03 04 00 02 'me'");
    script_free(&s);
}

/* Everything that CONNECT can hold, in the order of the specification.
 * [MQTT5-3.1.2-9] [MQTT5-3.1.2-12] [MQTT5-3.1.2-17] [MQTT5-3.1.2-19] [MQTT5-3.1.3-1] [MQTT5-3.1.3-10] */
static void the_fullest_connect(void **state)
{
    (void)state;
    script s;
    tern__buf will = {0};
    tern__buf user = {0};
    script_init(&s, TERN__V5);
    s.config.client_id = "me";
    s.config.receive_maximum = 16;
    s.config.topic_alias_maximum = 3;
    s.config.maximum_packet_size = 256;
    s.connect.keep_alive = 7;
    s.connect.session = TERN_SESSION_PERSISTENT;
    s.connect.session_expiry = 0x0A0B0C0D;
    s.connect.has_user_name = s.connect.has_password = true;
    s.connect.user_name = view("u");
    s.connect.password = view("pw");
    s.connect.request_problem_info = false;
    s.connect.request_response_info = true;
    assert_int_equal(tern__props_add_pair(&user, "k", 1, "v", 1), 0);
    s.connect.user_properties = (tern__view){user.data, user.len};
    assert_int_equal(tern__props_add_number(&will, TERN__PROP_WILL_DELAY, 5), 0);
    assert_int_equal(tern__props_add_number(&will, TERN__PROP_PAYLOAD_FORMAT, 1), 0);
    assert_int_equal(tern__props_add_number(&will, TERN__PROP_MESSAGE_EXPIRY, 9), 0);
    assert_int_equal(tern__props_add_text(&will, TERN__PROP_CONTENT_TYPE, "t", 1), 0);
    assert_int_equal(tern__props_add_text(&will, TERN__PROP_RESPONSE_TOPIC, "r", 1), 0);
    assert_int_equal(tern__props_add_text(&will, TERN__PROP_CORRELATION_DATA, "c", 1), 0);
    assert_int_equal(tern__props_add_pair(&will, "a", 1, "b", 1), 0);
    s.connect.will = (tern__will){.present = true, .retain = true, .qos = 2, .topic = view("w"), .payload = view("gone"),
                                  .props = {will.data, will.len, 0}};
    script_start(&s);
    expect_connect(&s, "10 5A 00 04 'MQTT' 05 F4 00 07"
                       "1B 11 0A 0B 0C 0D 21 00 10 27 00 00 01 00 22 00 03 17 00 19 01 26 00 01 'k' 00 01 'v'"
                       "00 02 'me'"
                       "1F 18 00 00 00 05 01 01 02 00 00 00 09 03 00 01 't' 08 00 01 'r' 09 00 01 'c' 26 00 01 'a' 00 01 'b'"
                       "00 01 'w' 00 04 'gone' 00 01 'u' 00 02 'pw'");
    tern__buf_deinit(&will);
    tern__buf_deinit(&user);
    script_free(&s);
}

/* [MQTT311-3.1.2-9] and none of the properties */
static void a_will_and_credentials_in_3_1_1(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V311);
    s.config.client_id = "me";
    s.connect.keep_alive = 0xFFFF;
    s.connect.session = TERN_SESSION_PERSISTENT;
    s.connect.has_user_name = s.connect.has_password = true;
    s.connect.user_name = view("u");
    s.connect.password = view("");
    s.connect.will = (tern__will){.present = true, .qos = 1, .topic = view("w"), .payload = view("")};
    script_start(&s);
    expect_connect(&s, "10 18 00 04 'MQTT' 04 CC FF FF 00 02 'me' 00 01 'w' 00 00 00 01 'u' 00 00");
    script_free(&s);
}

/* Clean Start and expiry over the life of a client, by ARCHITECTURE's defaults. [C7] */
static bool asks_clean(script *s, uint32_t *expiry)
{
    assert_int_equal(tern__engine_opened(s->engine, &s->connect, s->now), 0);
    script_drain(s, SIZE_MAX);
    bool v5 = s->connect.version == TERN__V5;
    bool clean = (s->out.data[9] & 2) != 0;
    *expiry = v5 && s->out.data[13] == 0x11
                  ? (uint32_t)(s->out.data[14] << 24 | s->out.data[15] << 16 | s->out.data[16] << 8 | s->out.data[17])
                  : 0;
    tern__buf_clear(&s->out);
    return clean;
}

static void accept_session(script *s, bool present)
{
    const char *v5 = present ? "20 03 01 00 00" : "20 03 00 00 00";
    const char *v311 = present ? "20 02 01 00" : "20 02 00 00";
    assert_int_equal(script_recv(s, s->connect.version == TERN__V5 ? v5 : v311), 0);
    assert_int_equal(script_event(s), TERN__EVENT_CONNECTED);
}

static void clean_start_follows_the_session_option(void **state)
{
    (void)state;
    static const struct {
        int version;
        tern_session session;
        bool first;
        bool later;
        uint32_t expiry;
    } rows[] = {
        {TERN__V5, TERN_SESSION_PROCESS, true, false, 3600},     {TERN__V5, TERN_SESSION_CLEAN, true, true, 0},
        {TERN__V5, TERN_SESSION_PERSISTENT, false, false, 3600}, {TERN__V311, TERN_SESSION_PROCESS, true, true, 0},
        {TERN__V311, TERN_SESSION_CLEAN, true, true, 0},         {TERN__V311, TERN_SESSION_PERSISTENT, false, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        uint32_t expiry;
        script_init(&s, rows[i].version);
        s.connect.session = rows[i].session;
        s.connect.session_expiry = 3600;
        script_start(&s);
        assert_int_equal(asks_clean(&s, &expiry), rows[i].first);
        assert_int_equal(expiry, rows[i].expiry);
        accept_session(&s, false);
        script_offline(&s);
        assert_int_equal(asks_clean(&s, &expiry), rows[i].later);
        assert_int_equal(expiry, rows[i].expiry);
        script_free(&s);
    }
}

/* What the server keeps less long is not asked for when that is over. */
static void an_expired_session_is_not_asked_for(void **state)
{
    (void)state;
    script s;
    uint32_t expiry;
    script_init(&s, TERN__V5);
    s.connect.session = TERN_SESSION_PROCESS;
    s.connect.session_expiry = 3600;
    script_start(&s);
    script_online(&s, "20 08 00 00 05 11 00 00 00 0A"); /* the server says 10 s */
    script_offline(&s);
    s.now += 9 * SCRIPT_SECOND;
    assert_false(asks_clean(&s, &expiry));
    accept_session(&s, true);
    script_offline(&s);
    s.now += 3601 * (uint64_t)SCRIPT_SECOND;
    assert_true(asks_clean(&s, &expiry));
    script_free(&s);
}

/* [MQTT5-3.1.3-7] [MQTT5-3.2.2-16] the server's id is ours from then on */
static void an_assigned_id_is_kept(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.config.client_id = "";
    s.connect.session = TERN_SESSION_PROCESS;
    script_start(&s);
    script_online(&s, "20 09 00 00 06 12 00 03 'abc'");
    assert_string_equal(tern__engine_client_id(s.engine), "abc");
    script_offline(&s);
    assert_int_equal(tern__engine_opened(s.engine, &s.connect, s.now), 0);
    script_drain(&s, SIZE_MAX);
    assert_memory_equal(s.out.data + s.out.len - 5, "\0\3abc", 5);
    tern__buf_clear(&s.out);
    script_free(&s);
}

/* [MQTT5-3.2.2-11] [MQTT5-3.2.2-14] [MQTT5-3.2.2-15] [MQTT5-3.2.2-17] [MQTT5-3.2.2-21] [MQTT5-3.3.4-7] */
static void every_limit_is_taken(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.config.inflight_maximum = 100;
    script_start(&s);
    script_online(&s, "20 20 00 00 1D 11 00 00 00 0A 21 00 05 24 01 25 00 27 00 00 01 00 22 00 07 28 00 29 00 2A 00 13 00 1E");
    const tern__limits *limits = tern__engine_limits(s.engine);
    assert_int_equal(limits->version, TERN__V5);
    assert_int_equal(limits->session_expiry, 10);
    assert_int_equal(limits->send_maximum, 5);
    assert_int_equal(limits->maximum_qos, 1);
    assert_false(limits->retain_available);
    assert_int_equal(limits->maximum_packet_size, 256);
    assert_int_equal(limits->topic_alias_maximum, 7);
    assert_false(limits->wildcard_available);
    assert_false(limits->subscription_id_available);
    assert_false(limits->shared_available);
    assert_int_equal(limits->keep_alive, 30);
    script_offline(&s);
    script_online(&s, NULL); /* and forgotten at the next connection */
    assert_int_equal(limits->send_maximum, 100);
    assert_int_equal(limits->maximum_qos, 2);
    assert_true(limits->retain_available && limits->wildcard_available);
    assert_int_equal(limits->maximum_packet_size, UINT32_MAX);
    script_free(&s);
}

/* Opens and answers CONNECT: the event that follows. */
static tern__engine_event_kind answer(script *s, int version, const char *hex)
{
    script_init(s, version);
    s->connect.session = TERN_SESSION_CLEAN;
    script_start(s);
    assert_int_equal(tern__engine_opened(s->engine, &s->connect, s->now), 0);
    script_drain(s, SIZE_MAX);
    tern__buf_clear(&s->out);
    (void)script_recv(s, hex);
    return script_event(s);
}

/* Every refusal of both versions, with the reason as MQTT 5 counts them. */
static void every_refusal_is_told(void **state)
{
    (void)state;
    static const uint8_t v5[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A,
                                 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F};
    static const uint8_t v311[][2] = {{1, 0x84}, {2, 0x85}, {3, 0x88}, {4, 0x86}, {5, 0x87}};
    script s;
    char hex[40];
    for (size_t i = 0; i < sizeof v5; i++) {
        snprintf(hex, sizeof hex, "20 08 00 %02X 05 1F 00 02 'no'", v5[i]);
        assert_int_equal(answer(&s, TERN__V5, hex), TERN__EVENT_REFUSED);
        assert_int_equal(s.event.reason, v5[i]);
        assert_string_equal(s.event.text, "no");
        assert_int_equal(s.event.refused_version, v5[i] == 0x84);
        script_expect(&s, ""); /* and nothing is said to it any more [MQTT5-3.2.2-7] */
        script_free(&s);
    }
    for (size_t i = 0; i < sizeof v311 / sizeof v311[0]; i++) {
        snprintf(hex, sizeof hex, "20 02 00 %02X", v311[i][0]);
        for (int version = TERN__V311; version <= TERN__V5; version++) { /* an old server answers 5 in its own form */
            assert_int_equal(answer(&s, version, hex), TERN__EVENT_REFUSED);
            assert_int_equal(s.event.reason, v311[i][1]);
            assert_int_equal(s.event.refused_version, v311[i][0] == 1);
            script_free(&s);
        }
    }
}

/* [MQTT5-3.2.0-1] [MQTT5-3.2.0-2] [MQTT5-3.2.2-1] [MQTT5-3.2.2-2] [MQTT5-3.2.2-4] [MQTT5-3.2.2-6] */
static void a_bad_connack_ends_the_link(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *hex;
        int reason;
    } rows[] = {
        {TERN__V5, "D0 00", 0x82},                /* not a CONNACK */
        {TERN__V5, "30 03 00 01 'a'", 0x82},
        {TERN__V5, "20 03 02 00 00", 0x81},       /* reserved flags */
        {TERN__V5, "20 03 01 00 00", 0x82},       /* a session after a clean start */
        {TERN__V5, "20 03 01 87 00", 0x82},       /* a session in a refusal */
        {TERN__V5, "20 03 00 01 00", 0x82},       /* no such reason */
        {TERN__V5, "20 06 00 00 03 21 00 00", 0x82}, /* receive maximum 0 */
        {TERN__V5, "20 08 00 00 05 27 00 00 00 00", 0x82},
        {TERN__V5, "20 05 00 00 02 24 02", 0x82}, /* maximum QoS 2 is not said */
        {TERN__V5, "20 05 00 00 02 0B 01", 0x81}, /* a property of others [2.2.2.2] */
        {TERN__V5, "20 07 00 00 04 25 01 25 01", 0x82}, /* twice */
        {TERN__V5, "20 04 00 00 05 25", 0x81},    /* cut */
        {TERN__V5, "20 03 00 00 00 20 03 00 00 00", 0x82}, /* two of them */
        {TERN__V311, "20 02 01 00", -1},
        {TERN__V311, "20 02 00 06", -1},
        {TERN__V311, "20 03 00 00 00", -1},
        {TERN__V311, "90 03 00 01 00", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        tern__engine_event_kind kind = answer(&s, rows[i].version, rows[i].hex);
        if (kind != TERN__EVENT_FAILED) fail_msg("%s was taken", rows[i].hex);
        if (s.event.reason != rows[i].reason) fail_msg("%s: reason 0x%02x", rows[i].hex, (unsigned)s.event.reason);
        assert_string_not_equal(s.event.text, "");
        script_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plainest_connect),
        cmocka_unit_test(the_fullest_connect),
        cmocka_unit_test(a_will_and_credentials_in_3_1_1),
        cmocka_unit_test(clean_start_follows_the_session_option),
        cmocka_unit_test(an_expired_session_is_not_asked_for),
        cmocka_unit_test(an_assigned_id_is_kept),
        cmocka_unit_test(every_limit_is_taken),
        cmocka_unit_test(every_refusal_is_told),
        cmocka_unit_test(a_bad_connack_ends_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
