/* Ends: our DISCONNECT, the server's, and what becomes of everything that is left. [C1] [C12]
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdlib.h>
#include <string.h>
#include <tern/error.h>
#include <tern/subscription.h>

/* Behind what was begun, and nothing after it. [MQTT5-3.14.4-1] [MQTT5-3.14.4-2] */
static void a_disconnect_goes_behind_what_was_begun(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        script s;
        script_ready(&s, version);
        assert_int_equal(script_publish(&s, 0, "a", "first", NULL), 0);
        script_drain(&s, 3);
        tern__buf_clear(&s.out);
        tern__engine_disconnect(s.engine, 0, false, s.now);
        assert_int_equal(script_publish(&s, 0, "a", "never", NULL), 0);
        script_expect(&s, version == TERN__V5 ? "01 'a' 00 'first' E0 00" : "01 'a' 'first' E0 00");
        assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
        script_free(&s);
    }
}

/* [MQTT5-3.14.2-1] the reason, and the session's end where it was asked for */
static void reasons_and_expiry_go_along(void **state)
{
    (void)state;
    static const struct {
        int version;
        uint32_t expiry;
        int reason;
        bool expire;
        const char *hex;
    } rows[] = {
        {TERN__V5, 100, 0, false, "E0 00"},
        {TERN__V5, 100, 4, false, "E0 01 04"},
        {TERN__V5, 100, 0, true, "E0 07 00 05 11 00 00 00 00"},
        {TERN__V5, 0, 0, true, "E0 00"}, /* it ends anyway */
        {TERN__V311, 0, 0, true, "E0 00"},
        {TERN__V311, 0, 4, false, ""}, /* without DISCONNECT the will is published */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        script_init(&s, rows[i].version);
        s.connect.session_expiry = rows[i].expiry;
        script_start(&s);
        script_online(&s, NULL);
        tern__engine_disconnect(s.engine, rows[i].reason, rows[i].expire, s.now);
        script_expect(&s, rows[i].hex);
        assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
        script_free(&s);
    }
}

static void offline_there_is_nobody_to_tell(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    tern__engine_disconnect(s.engine, 0, false, s.now);
    assert_int_equal(script_event(&s), TERN__EVENT_CLOSABLE);
    script_free(&s);
}

/* [MQTT5-3.14.4-3] reason, reason string without control characters, and reference */
static void the_servers_disconnect_is_told_in_full(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    assert_int_not_equal(script_recv(&s, "E0 10 9C 0E 1F 00 04 'a' 0A 'bc' 1C 00 04 'host'"), 0);
    assert_int_equal(script_event(&s), TERN__EVENT_DISCONNECTED);
    assert_int_equal(s.event.error, TERN_E_DISCONNECTED);
    assert_int_equal(s.event.reason, 0x9C);
    assert_null(strchr(s.event.text, '\n'));
    assert_int_equal(strlen(s.event.text), 4);
    assert_string_equal(s.event.reference, "host");
    script_expect(&s, "");
    script_free(&s);
    script_ready(&s, TERN__V5);
    assert_int_not_equal(script_recv(&s, "E0 00"), 0); /* 0x00 in its shortest form */
    assert_int_equal(script_event(&s), TERN__EVENT_DISCONNECTED);
    assert_int_equal(s.event.reason, 0);
    script_free(&s);
}

/* Each message by what it went through; requests end too, once. */
static void whatever_is_left_gets_its_outcome(void **state)
{
    (void)state;
    script s;
    tern__completion sent, cut, released, waiting, wish = {.error = -1000};
    tern_subscription *subscription;
    script_ready(&s, TERN__V5);
    assert_int_equal(script_publish(&s, 1, "a", "1", &sent), 0);
    assert_int_equal(script_publish(&s, 2, "a", "2", &released), 0);
    script_drain(&s, SIZE_MAX);
    assert_int_equal(script_recv(&s, "50 02 00 02"), 0);
    assert_int_equal(tern_subscription_new(&subscription), 0);
    assert_int_equal(tern_subscription_add(subscription, "a", TERN_QOS_0), 0);
    assert_int_equal(tern__engine_subscribe(s.engine, subscription, &wish, s.now), 0);
    tern_subscription_free(subscription);
    script_drain(&s, SIZE_MAX);
    tern__buf_clear(&s.out);
    assert_int_equal(script_publish(&s, 0, "a", "3", &cut), 0);
    script_drain(&s, 4);
    assert_int_equal(script_publish(&s, 1, "a", "4", &waiting), 0);
    assert_int_equal(tern__engine_open_count(s.engine), 5 - 1); /* the last one was not taken over yet */
    script_offline(&s);
    (void)tern__engine_sync_locked(s.engine);
    script_outcome(&s, &cut, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CONNECTION_LOST, -1);
    assert_int_equal(tern__engine_abandon(s.engine), 0);
    script_outcome(&s, &sent, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED, -1);
    script_outcome(&s, &released, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED, -1);
    script_outcome(&s, &waiting, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED, -1);
    script_ended(&s, &wish);
    assert_int_equal(wish.error, TERN_E_CLOSED);
    assert_null(tern__engine_next_completion(s.engine));
    assert_int_equal(tern__engine_open_count(s.engine), 0);
    assert_int_equal(tern__engine_abandon(s.engine), 0); /* again: nothing is told twice */
    assert_null(tern__engine_next_completion(s.engine));
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disconnect_goes_behind_what_was_begun),
        cmocka_unit_test(reasons_and_expiry_go_along),
        cmocka_unit_test(offline_there_is_nobody_to_tell),
        cmocka_unit_test(the_servers_disconnect_is_told_in_full),
        cmocka_unit_test(whatever_is_left_gets_its_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
