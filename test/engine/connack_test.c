/* CONNACK: every code of both versions, what it must not say, and what must not come before it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static tern__view view(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

/* ---- CONNECT ---- */

/* [MQTT5-3.1.3-1] [MQTT5-3.1.2-16] [MQTT5-3.1.2-18] [MQTT311-3.1.2-19] [MQTT311-3.1.2-20] [MQTT311-3.1.2-21]
 * [MQTT311-3.1.2-22] */
static void test_credentials(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *user;
        const char *password;
        const char *bytes;
    } rows[] = {
        {TERN__V311, "us", NULL, "10 11 00 04 'MQTT' 04 80 00 00 00 01 'c' 00 02 'us'"},
        {TERN__V311, "us", "pw", "10 15 00 04 'MQTT' 04 c0 00 00 00 01 'c' 00 02 'us' 00 02 'pw'"},
        {TERN__V311, "", "", "10 11 00 04 'MQTT' 04 c0 00 00 00 01 'c' 00 00 00 00"},
        {TERN__V5, NULL, "pw",
         "10 1c 00 04 'MQTT' 05 40 00 00 0a 11 00 00 0e 10 27 00 10 00 00 00 01 'c' 00 02 'pw'"},
        {TERN__V5, "us", "pw",
         "10 20 00 04 'MQTT' 05 c0 00 00 0a 11 00 00 0e 10 27 00 10 00 00 00 01 'c' 00 02 'us' 00 "
         "02 'pw'"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        script_init(&s, rows[i].version);
        s.connect.has_user_name = rows[i].user != NULL;
        s.connect.has_password = rows[i].password != NULL;
        if (rows[i].user != NULL) s.connect.user_name = view(rows[i].user);
        if (rows[i].password != NULL) s.connect.password = view(rows[i].password);
        script_start(&s);
        script_open(&s);
        script_expect(&s, rows[i].bytes);
        script_free(&s);
    }
}

/* [MQTT5-3.1.2-11] [MQTT5-3.1.2-13] [MQTT311-3.1.2-9] */
static void test_flags_of_a_will(void **state)
{
    (void)state;
    for (uint8_t qos = 0; qos <= 2; qos++) {
        for (int retain = 0; retain <= 1; retain++) {
            script s;
            script_init(&s, TERN__V311);
            s.connect.will = (tern__will){
                .present = true, .retain = retain != 0, .qos = qos, .topic = view("w")};
            script_start(&s);
            script_open(&s);
            script_drain(&s, SIZE_MAX);
            assert_int_equal(s.out.data[9], 4 | qos << 3 | retain << 5);
            tern__buf_clear(&s.out);
            script_free(&s);
        }
    }
}

/* ---- how the session begins ---- */

/* Whether CONNECT asks for a clean start, and its session expiry (0 where it names none). */
static bool asks_clean(script *s, uint32_t *expiry)
{
    script_open(s);
    script_drain(s, SIZE_MAX);
    const uint8_t *connect = s->out.data;
    const bool clean = (connect[9] & 2) != 0;
    *expiry = 0;
    if (s->connect.version == TERN__V5 && connect[13] == 0x11)
        *expiry = (uint32_t)connect[14] << 24 | (uint32_t)connect[15] << 16 |
                  (uint32_t)connect[16] << 8 | connect[17];
    tern__buf_clear(&s->out);
    return clean;
}

/* Connections one after the other, and what each asks for. */
static void test_who_starts_clean_and_when(void **state) /* [MQTT5-3.1.2-4] [MQTT311-3.1.2-6] */
{
    (void)state;
    static const struct {
        int version;
        tern_session mode;
        bool first;
        bool again;
        uint32_t expiry;
    } rows[] = {
        {TERN__V5, TERN_SESSION_PROCESS, true, false, 3600},
        {TERN__V5, TERN_SESSION_CLEAN, true, true, 0},
        {TERN__V5, TERN_SESSION_PERSISTENT, false, false, 3600},
        {TERN__V311, TERN_SESSION_PROCESS, true, true, 0},
        {TERN__V311, TERN_SESSION_CLEAN, true, true, 0},
        {TERN__V311, TERN_SESSION_PERSISTENT, false, false, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        uint32_t expiry;
        script_init(&s, rows[i].version);
        s.connect.session = rows[i].mode;
        script_start(&s);
        const bool v5 = rows[i].version == TERN__V5;
        /* An attempt that came to nothing, or was refused, began no session. */
        assert_int_equal(asks_clean(&s, &expiry), rows[i].first);
        script_offline(&s);
        assert_int_equal(asks_clean(&s, &expiry), rows[i].first);
        assert_int_equal(script_recv(&s, v5 ? "20 03 00 88 00" : "20 02 00 03"), TERN_E_REFUSED);
        script_offline(&s);
        for (int n = 0; n < 3; n++) {
            assert_int_equal(asks_clean(&s, &expiry), n == 0 ? rows[i].first : rows[i].again);
            assert_int_equal(expiry, rows[i].expiry);
            assert_int_equal(script_recv(&s, v5 ? "20 03 00 00 00" : "20 02 00 00"), 0);
            script_offline(&s);
            s.now += SCRIPT_SECOND;
        }
        script_free(&s);
    }
}

/* The server's expiry overrides ours, and runs while there is no connection. [V5-U-16]
 * [MQTT5-3.1.2-23] */
static void test_a_session_that_expired_is_not_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *connack;
        uint64_t away_s;
        bool clean;
    } rows[] = {
        {"20 08 00 00 05 11 00 00 00 0a", 9, false},
        {"20 08 00 00 05 11 00 00 00 0a", 11, true},
        {"20 08 00 00 05 11 ff ff ff ff", 1u << 30, false},
        {"20 03 00 00 00", 3599, false},
        {"20 03 00 00 00", 3601, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        uint32_t expiry;
        script_init(&s, TERN__V5);
        s.connect.session = TERN_SESSION_PROCESS;
        script_start(&s);
        script_online(&s, rows[i].connack);
        s.now += 100000 * (uint64_t)SCRIPT_SECOND; /* connected: no time runs [MQTT5-4.1.0-1] */
        script_offline(&s);
        s.now += rows[i].away_s * SCRIPT_SECOND;
        assert_int_equal(asks_clean(&s, &expiry), rows[i].clean);
        assert_int_equal(expiry, 3600);
        script_free(&s);
    }
}

static void test_nothing_goes_out_before_connack(
    void **state) /* [MQTT5-3.1.2-30] [MQTT5-3.1.4-6] */
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        uint32_t expiry;
        tern__completion asked;
        script_init(&s, version);
        script_start(&s);
        script_subscribe(&s, "f", TERN_QOS_1, &asked);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(script_publish(&s, (uint8_t)(i % 3), "a", "", NULL), 0);
        (void)asks_clean(&s, &expiry);
        script_expect(&s, "");
        script_subscribe(&s, "g", TERN_QOS_1, NULL);
        assert_int_equal(script_publish(&s, 0, "a", "", NULL), 0);
        script_expect(&s, "");
        assert_int_equal(script_recv(&s, version == TERN__V5 ? "20 03 00 87 00" : "20 02 00 05"),
                         TERN_E_REFUSED);
        script_expect(&s, ""); /* and nothing counts as sent */
        assert_null(tern__engine_next_completion(s.engine));
        assert_int_equal(tern__engine_settled_id(s.engine), 0);
        assert_int_equal(tern__engine_open_count(s.engine), 1003);
        script_free(&s);
    }
}

/* ---- CONNACK says yes ---- */

static void test_an_id_of_our_own_stays(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 09 00 00 06 12 00 03 'srv'");
    assert_string_equal(tern__engine_client_id(s.engine), "c");
    script_free(&s);
}

static void test_no_assigned_id_after_an_empty_one(
    void **state) /* [MQTT5-3.1.3-7] [MQTT5-3.2.2-16] */
{
    (void)state;
    script s;
    uint32_t expiry;
    script_init(&s, TERN__V5);
    s.config.client_id = "";
    script_start(&s);
    (void)asks_clean(&s, &expiry);
    script_refuses(&s, "20 03 00 00 00", TERN_E_PROTOCOL, 0x82);
    script_free(&s);
    script_init(&s, TERN__V311); /* in 3.1.1 the server keeps it to itself [MQTT311-3.1.3-6] */
    s.config.client_id = "";
    s.connect.session = TERN_SESSION_CLEAN;
    script_start(&s);
    script_open(&s);
    script_expect(&s, "10 0c 00 04 'MQTT' 04 02 00 00 00 00");
    assert_int_equal(script_recv(&s, "20 02 00 00"), 0);
    assert_int_equal(script_event(&s), TERN__EVENT_CONNECTED);
    script_free(&s);
}

static void test_a_method_that_we_never_named(void **state) /* [MQTT5-4.12.0-6] */
{
    (void)state;
    static const char *const connacks[] = {"20 07 00 00 04 15 00 01 'm'",
                                           "20 0b 00 00 08 15 00 01 'm' 16 00 01 'd'"};
    for (size_t i = 0; i < COUNT(connacks); i++) {
        script s;
        uint32_t expiry;
        script_init(&s, TERN__V5);
        script_start(&s);
        (void)asks_clean(&s, &expiry);
        script_refuses(&s, connacks[i], TERN_E_PROTOCOL, 0x82);
        script_free(&s);
    }
}

/* What is of no use to us does no harm: response information that was not asked for, a reference, a
 * reason. */
static void test_what_is_passed_over_in_an_acceptance(void **state) /* [MQTT5-3.1.2-28] */
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(
        &s,
        "20 19 00 00 16 1a 00 01 'i' 1c 00 01 's' 1f 00 01 'r' 26 00 01 'k' 00 01 'v' 12 00 00");
    assert_int_equal(tern__engine_limits(s.engine)->send_maximum, 65535);
    assert_string_equal(tern__engine_client_id(s.engine), "c");
    script_free(&s);
}

/* A session that nobody asked for, or that we know nothing of: no data is exchanged. */
static void test_session_present_where_none_can_be(
    void **state) /* [MQTT5-3.2.2-2] [MQTT311-3.2.2-1] [MQTT5-3.2.2-4] */
{
    (void)state;
    static const struct {
        int version;
        tern_session mode;
    } rows[] = {{TERN__V5, TERN_SESSION_CLEAN},
                {TERN__V5, TERN_SESSION_PROCESS},
                {TERN__V311, TERN_SESSION_CLEAN},
                {TERN__V311, TERN_SESSION_PROCESS}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        script s;
        uint32_t expiry;
        script_init(&s, rows[i].version);
        s.connect.session = rows[i].mode;
        script_start(&s);
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
        assert_true(asks_clean(&s, &expiry));
        script_refuses(&s, rows[i].version == TERN__V5 ? "20 03 01 00 00" : "20 02 01 00",
                       TERN_E_PROTOCOL, 0x82);
        assert_false(tern__engine_connected(s.engine));
        assert_int_equal(tern__engine_open_count(s.engine), 1);
        script_free(&s);
    }
}

/* ---- CONNACK says no ---- */

/* Section 3.2.2.2. */
static bool is_refusal(int code)
{
    static const uint8_t codes[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
                                    0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95,
                                    0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f};
    return memchr(codes, code, sizeof codes) != NULL;
}

static void test_every_code_of_connack(
    void **state) /* [MQTT5-3.2.2-7] [MQTT5-3.2.2-8] [MQTT5-4.13.2-1] */
{
    (void)state;
    for (int code = 1; code < 256; code++) {
        script s;
        uint32_t expiry;
        char hex[64];
        script_init(&s, TERN__V5);
        script_start(&s);
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
        (void)asks_clean(&s, &expiry);
        (void)snprintf(hex, sizeof hex, "20 0e 00 %02x 0b 1f 00 02 'no' 1c 00 03 0a 'to'",
                       (unsigned)code);
        if (is_refusal(code)) {
            assert_int_equal(script_recv(&s, hex), TERN_E_REFUSED);
            assert_int_equal(script_event(&s), TERN__EVENT_REFUSED);
            assert_int_equal(s.event.error, TERN_E_REFUSED);
            assert_int_equal(s.event.reason, code);
            assert_int_equal(s.event.refused_version, code == 0x84);
            assert_string_equal(s.event.text, "no");
            assert_null(
                strchr(s.event.reference, '\n')); /* a control character is nothing to print */
            assert_non_null(strstr(s.event.reference, "to"));
            script_expect(&s, "");
            assert_int_equal(script_recv(&s, "20 03 00 00 00"), TERN_E_STATE); /* it is over */
        } else {
            script_refuses(&s, hex, TERN_E_PROTOCOL, 0x82);
        }
        assert_false(tern__engine_connected(s.engine));
        script_free(&s);
    }
}

/* Codes 1 to 5; those above are reserved. [MQTT311-3.2.2-5] [MQTT311-3.1.2-2] [MQTT311-3.1.3-8] */
static void test_every_return_code_of_311(void **state)
{
    (void)state;
    static const uint8_t nearest[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};
    for (int code = 1; code < 256; code++) {
        script s;
        uint32_t expiry;
        char hex[16];
        script_init(&s, TERN__V311);
        script_start(&s);
        (void)asks_clean(&s, &expiry);
        (void)snprintf(hex, sizeof hex, "20 02 00 %02x", (unsigned)code);
        if (code <= 5) {
            assert_int_equal(script_recv(&s, hex), TERN_E_REFUSED);
            assert_int_equal(script_event(&s), TERN__EVENT_REFUSED);
            assert_int_equal(s.event.reason, nearest[code]);
            assert_int_equal(s.event.refused_version, code == 1);
            script_expect(&s, "");
        } else {
            script_refuses(&s, hex, TERN_E_PROTOCOL, 0x82);
        }
        script_free(&s);
    }
}

/* A server that knows 3.1.1 alone says so in its own form; it never accepts in it. */
static void test_a_311_answer_to_a_version_5_connect(void **state) /* [MQTT5-3.1.2-2] */
{
    (void)state;
    static const uint8_t nearest[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};
    for (int code = 0; code <= 6; code++) {
        script s;
        uint32_t expiry;
        char hex[16];
        script_init(&s, TERN__V5);
        script_start(&s);
        (void)asks_clean(&s, &expiry);
        (void)snprintf(hex, sizeof hex, "20 02 00 %02x", (unsigned)code);
        if (code == 0) {
            script_refuses(&s, hex, TERN_E_MALFORMED, 0x81);
        } else if (code == 6) {
            script_refuses(&s, hex, TERN_E_PROTOCOL, 0x82);
        } else {
            assert_int_equal(script_recv(&s, hex), TERN_E_REFUSED);
            assert_int_equal(script_event(&s), TERN__EVENT_REFUSED);
            assert_int_equal(s.event.reason, nearest[code]);
            assert_int_equal(s.event.refused_version, code == 1);
            script_expect(&s, ""); /* it could not read a DISCONNECT of version 5 */
        }
        script_free(&s);
    }
}

/* ---- out of turn ---- */

static void test_any_other_packet_first(
    void **state) /* [MQTT5-3.2.0-1] [MQTT311-3.2.0-1] [MQTT5-3.14.0-1] */
{
    (void)state;
    static const char *const v5[] = {"30 06 00 01 'a' 00 'hi'",
                                     "32 08 00 01 'a' 00 01 00 'hi'",
                                     "40 02 00 01",
                                     "50 02 00 01",
                                     "62 02 00 01",
                                     "70 02 00 01",
                                     "90 04 00 01 00 00",
                                     "b0 04 00 01 00 00",
                                     "d0 00",
                                     "e0 00",
                                     "e0 01 8b",
                                     "f0 00",
                                     "f0 08 18 06 15 00 03 'abc'"};
    static const char *const v311[] = {"30 05 00 01 'a' 'hi'",
                                       "32 07 00 01 'a' 00 01 'hi'",
                                       "40 02 00 01",
                                       "50 02 00 01",
                                       "62 02 00 01",
                                       "70 02 00 01",
                                       "90 03 00 01 00",
                                       "b0 02 00 01",
                                       "d0 00"};
    for (size_t i = 0; i < COUNT(v5) + COUNT(v311); i++) {
        script s;
        uint32_t expiry;
        const bool five = i < COUNT(v5);
        script_init(&s, five ? TERN__V5 : TERN__V311);
        script_start(&s);
        assert_int_equal(script_publish(&s, 1, "a", "", NULL), 0);
        (void)asks_clean(&s, &expiry);
        script_refuses(&s, five ? v5[i] : v311[i - COUNT(v5)], TERN_E_PROTOCOL, 0x82);
        assert_int_equal(tern__engine_open_count(s.engine), 1);
        script_free(&s);
    }
}

static void test_a_second_connack(void **state) /* [MQTT5-3.2.0-2] */
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        tern__completion done;
        script_ready(&s, version);
        assert_int_equal(script_publish(&s, 1, "a", "", &done), 0);
        script_expect(&s,
                      version == TERN__V5 ? "32 06 00 01 'a' 00 01 00" : "32 05 00 01 'a' 00 01");
        script_refuses(&s, version == TERN__V5 ? "20 06 00 00 03 21 00 01" : "20 02 00 00",
                       TERN_E_PROTOCOL, 0x82);
        assert_int_equal(tern__engine_limits(s.engine)->send_maximum,
                         65535); /* the state is what it was */
        assert_null(tern__engine_next_completion(s.engine));
        script_offline(&s);
        script_online(&s, version == TERN__V5 ? "20 03 01 00 00" : "20 02 01 00");
        script_expect(&s,
                      version == TERN__V5 ? "3a 06 00 01 'a' 00 01 00" : "3a 05 00 01 'a' 00 01");
        assert_int_equal(script_recv(&s, "40 02 00 01"), 0);
        script_outcome(&s, &done, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        script_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_flags_of_a_will),
        cmocka_unit_test(test_who_starts_clean_and_when),
        cmocka_unit_test(test_a_session_that_expired_is_not_asked_for),
        cmocka_unit_test(test_nothing_goes_out_before_connack),
        cmocka_unit_test(test_an_id_of_our_own_stays),
        cmocka_unit_test(test_no_assigned_id_after_an_empty_one),
        cmocka_unit_test(test_a_method_that_we_never_named),
        cmocka_unit_test(test_what_is_passed_over_in_an_acceptance),
        cmocka_unit_test(test_session_present_where_none_can_be),
        cmocka_unit_test(test_every_code_of_connack),
        cmocka_unit_test(test_every_return_code_of_311),
        cmocka_unit_test(test_a_311_answer_to_a_version_5_connect),
        cmocka_unit_test(test_any_other_packet_first),
        cmocka_unit_test(test_a_second_connack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
