/* Reconnecting: when, to whom, in which version, and when not any more. [C18]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, CODES = 8 };

typedef struct rig {
    mock_broker *broker;
    tern_connection_options *options;
    tern_client *client;
    watch watch;
} rig;

static void rig_init(rig *r)
{
    memset(r, 0, sizeof *r);
    r->broker = mock_broker_new();
    assert_non_null(r->broker);
    assert_int_equal(tern_connection_options_new(&r->options), 0);
    assert_int_equal(tern_connection_options_add_server(r->options, mock_broker_url(r->broker)), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(r->options, 10, 50, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_new(&r->client, NULL), 0);
    watch_init(&r->watch, r->client);
}

static void rig_connect(rig *r)
{
    assert_int_equal(tern_client_configure(r->client, r->options), 0);
    assert_int_equal(tern_client_connect(r->client, NULL), 0);
}

static void rig_free(rig *r)
{
    tern_client_free(r->client);
    tern_connection_options_free(r->options);
    mock_broker_free(r->broker);
    watch_deinit(&r->watch);
}

/* The link breaks; what was published meanwhile goes out in order when it is back. [C8] */
static void a_cut_link_comes_back(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    mock_broker_listen(r.broker, false);
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_DISCONNECTED).error, TERN_E_CONNECTION_LOST);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 3, PATIENCE));
    for (int i = 0; i < 10; i++) {
        char text[8];
        int len = snprintf(text, sizeof text, "%d", i);
        assert_int_equal(tern_client_publish(r.client, "t", text, (size_t)len, TERN_QOS_1, NULL), 0);
    }
    mock_broker_listen(r.broker, true);
    assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
    for (size_t i = 0; i < 10; i++) {
        char text[32];
        char want[32];
        snprintf(want, sizeof want, "t=%zu/1", i);
        assert_true(mock_broker_message(r.broker, i, text, sizeof text));
        assert_string_equal(text, want);
    }
    assert_int_equal(mock_broker_messages(r.broker), 10);
    rig_free(&r);
}

/* What no waiting heals stops at once, with an event, and keeps the queue. */
static void refusals_that_do_not_heal_stop(void **state)
{
    (void)state;
    static const int v5[CODES] = {0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9D};
    static const int v311[CODES] = {1, 2, 4, 5};
    for (int version = 4; version <= 5; version++) {
        for (int i = 0; i < CODES; i++) {
            int code = version == 5 ? v5[i] : v311[i];
            if (code == 0) break;
            rig r;
            rig_init(&r);
            mock_rules rules = {.refuse = code};
            mock_broker_set_rules(r.broker, &rules);
            tern_connection_options_set_version(r.options, version == 5 ? TERN_VERSION_5 : TERN_VERSION_311);
            rig_connect(&r);
            assert_int_equal(tern_client_publish(r.client, "t", "kept", 4, TERN_QOS_1, NULL), 0);
            assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
            assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECT_FAILED).error, TERN_E_REFUSED);
            assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECT_FAILED).retry_delay, -1);
            assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 1);
            uint64_t queued = 0;
            assert_int_equal(tern_client_stat(r.client, "outbox_messages", &queued), 0);
            assert_int_equal(queued, 1);
            /* The cause is mended, and connecting goes on with the queue. */
            mock_broker_set_rules(r.broker, &(mock_rules){0});
            assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
            assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
            assert_int_equal(mock_broker_messages(r.broker), 1);
            rig_free(&r);
        }
    }
}

/* Others are tried again, and all of them where the application says so. */
static void refusals_that_heal_are_tried_again(void **state)
{
    (void)state;
    for (int told = 0; told <= 1; told++) {
        rig r;
        rig_init(&r);
        mock_rules rules = {.refuse = told ? 0x86 : 0x88};
        mock_broker_set_rules(r.broker, &rules);
        if (told) assert_int_equal(tern_connection_options_set_retry_refused(r.options, 1), 0);
        rig_connect(&r);
        assert_true(mock_broker_wait(r.broker, TERN__CONNECT, 3, PATIENCE));
        mock_broker_set_rules(r.broker, &(mock_rules){0});
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
        assert_int_equal(watch_count(&r.watch, TERN_EVENT_STOPPED), 0);
        rig_free(&r);
    }
}

static bool throw_out(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    (void)broker;
    if (packet->type != TERN__PUBLISH) return false;
    tern__packet goodbye = {.type = TERN__DISCONNECT, .u.reason.reason = *(const uint8_t *)user_data};
    mock_send(peer, &goodbye);
    mock_hang_up(peer);
    return true;
}

/* A session that was taken over stays with who took it; other reasons of DISCONNECT reconnect. */
static void a_session_taken_over_stops(void **state)
{
    (void)state;
    static const struct {
        uint8_t reason;
        bool stops;
    } rows[] = {{0x8E, true}, {0x8B, false}, {0x98, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r;
        uint8_t reason = rows[i].reason;
        rig_init(&r);
        mock_broker_set_script(r.broker, throw_out, &reason);
        rig_connect(&r);
        assert_int_equal(tern_client_publish(r.client, "t", "x", 1, TERN_QOS_0, NULL), 0);
        assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
        watch_record last = watch_last(&r.watch, TERN_EVENT_DISCONNECTED);
        assert_int_equal(last.reason, reason);
        assert_int_equal(last.error, TERN_E_DISCONNECTED);
        assert_int_equal(last.retry_delay < 0, rows[i].stops);
        if (rows[i].stops) {
            assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
            assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 1);
        } else {
            assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
        }
        rig_free(&r);
    }
}

static void attempts_are_counted_and_limited(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_broker_listen(r.broker, false);
    assert_int_equal(tern_connection_options_set_retry_limit(r.options, 4, 10000), 0);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_CONNECT_FAILED), 4);
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECT_FAILED).attempt, 4);
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECT_FAILED).error, TERN_E_CONNECT);
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECT_FAILED).retry_delay, -1);
    rig_free(&r);
}

/* A server that accepts and closes at once is waited for as any other: the delay grows. */
static void accepting_and_closing_is_not_success(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_rules rules = {.hang_up_after_connack = true};
    mock_broker_set_rules(r.broker, &rules);
    assert_int_equal(tern_connection_options_set_retry_delay(r.options, 20, 10000, TERN_JITTER_NONE), 0);
    rig_connect(&r);
    for (uint64_t n = 1; n <= 4; n++) {
        assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, n, PATIENCE));
        assert_int_equal(watch_nth(&r.watch, TERN_EVENT_DISCONNECTED, n).retry_delay, 20 << (n - 1));
    }
    rig_free(&r);
}

/* Delays: the clamp comes first, then the jitter, so that a herd does not form at the maximum. */
static void the_delay_is_spread_at_the_maximum(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_broker_listen(r.broker, false);
    assert_int_equal(tern_connection_options_set_retry_delay(r.options, 20, 40, TERN_JITTER_PROPORTIONAL), 0);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 20, PATIENCE));
    int64_t lowest = INT64_MAX;
    int64_t highest = 0;
    for (uint64_t n = 4; n <= 20; n++) {
        int64_t delay = watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, n).retry_delay;
        if (delay < lowest) lowest = delay;
        if (delay > highest) highest = delay;
    }
    assert_in_range(lowest, 30, 50);
    assert_in_range(highest, 30, 50);
    assert_int_not_equal(lowest, highest); /* 17 draws of 21 values: equal once in 21 to the 16th */
    rig_free(&r);
}

static void the_next_server_takes_over(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_broker *other = mock_broker_new();
    assert_non_null(other);
    assert_int_equal(tern_connection_options_add_server(r.options, mock_broker_url(other)), 0);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_int_equal(mock_broker_count(other, MOCK_ACCEPTED), 0);
    mock_broker_listen(r.broker, false);
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
    assert_int_equal(mock_broker_count(other, TERN__CONNECT), 1);
    assert_non_null(strstr(watch_last(&r.watch, TERN_EVENT_CONNECTED).server, mock_broker_url(other) + 7));
    rig_free(&r);
    mock_broker_free(other);
}

static bool refuse_v311(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    static const uint8_t connack[] = {0x20, 2, 0, 1}; /* unacceptable protocol version */
    (void)broker;
    (void)user_data;
    if (packet->type != TERN__CONNECT || mock_version(peer) != TERN__V311) return false;
    mock_send_raw(peer, connack, sizeof connack);
    mock_hang_up(peer);
    return true;
}

static bool hang_up(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    (void)broker;
    (void)packet;
    (void)user_data;
    mock_hang_up(peer);
    return true;
}

/* Version auto: 5, then 3.1.1 where the server does not speak 5, and that is remembered. */
static void an_old_server_is_spoken_to_in_3_1_1(void **state)
{
    (void)state;
    static const mock_rules rows[] = {{.only_v311 = true}, {.hang_up_on_v5 = true}, {.refuse = 0x84}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r;
        rig_init(&r);
        mock_broker_set_rules(r.broker, &rows[i]);
        rig_connect(&r);
        if (rows[i].refuse != 0) { /* the same broker refuses 3.1.1 too, and that is final */
            assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
            assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 2);
            assert_int_equal(mock_broker_last_connect(r.broker).version, 4);
            rig_free(&r);
            continue;
        }
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
        assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 2);
        assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).version, TERN_VERSION_311);
        mock_broker_cut(r.broker);
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
        assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 3); /* no attempt with 5 in between */
        rig_free(&r);
    }
}

/* A server that is remembered as an old one, and is replaced by one that speaks 5 alone, is asked again. */
static void an_old_server_that_was_upgraded_is_found_out(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_broker_set_rules(r.broker, &(mock_rules){.only_v311 = true});
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).version, TERN_VERSION_311);
    mock_broker_set_script(r.broker, refuse_v311, NULL);
    mock_broker_set_rules(r.broker, &(mock_rules){0});
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).version, TERN_VERSION_5);
    assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 4);
    /* One that refuses both is given up, after one attempt with each. */
    mock_broker_set_script(r.broker, NULL, NULL);
    mock_broker_set_rules(r.broker, &(mock_rules){.refuse = 0x84});
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 6);
    rig_free(&r);
}

/* A password without a user name is of MQTT 5 alone: there is nothing to fall back to. [MQTT311-3.1.2-22] */
static void a_password_alone_does_not_fall_back(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_broker_set_rules(r.broker, &(mock_rules){.only_v311 = true});
    assert_int_equal(tern_connection_options_set_credentials(r.options, NULL, "secret", 6), 0);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_STOPPED).reason, 0x84);
    assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 1);
    rig_free(&r);
}

/* Falling back is another try of the same server: the second one has its turn before any delay. */
static void falling_back_takes_nobodys_turn(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_broker *other = mock_broker_new();
    assert_int_equal(tern_connection_options_add_server(r.options, mock_broker_url(other)), 0);
    mock_broker_set_script(r.broker, hang_up, NULL);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_CONNECT_FAILED), 2); /* with 5, and with 3.1.1 */
    for (uint64_t n = 1; n <= 2; n++) assert_int_equal(watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, n).retry_delay, 0);
    rig_free(&r);
    mock_broker_free(other);
}

/* Attempts are counted from the last connection that lasted. With a limit of one there is still one after its end. */
static void the_end_of_a_stable_connection_is_no_failed_attempt(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    assert_int_equal(tern_connection_options_set_retry_limit(r.options, 1, 0), 0); /* all connections count as stable */
    rig_connect(&r);
    for (uint64_t n = 1; n <= 3; n++) {
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, n, PATIENCE));
        assert_int_equal(watch_nth(&r.watch, TERN_EVENT_CONNECTED, n).attempt, 1);
        if (n == 3) mock_broker_listen(r.broker, false);
        mock_broker_cut(r.broker);
    }
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_CONNECT_FAILED), 1);
    rig_free(&r);
}

/* A server that has spoken 5 and closes once without an answer is no old server. */
static void a_known_server_is_not_degraded(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    mock_rules rules = {.hang_up_on_v5 = true};
    mock_broker_set_rules(r.broker, &rules);
    mock_broker_cut(r.broker);
    assert_true(mock_broker_wait(r.broker, TERN__CONNECT, 4, PATIENCE));
    assert_int_equal(mock_broker_last_connect(r.broker).version, 5);
    mock_broker_set_rules(r.broker, &(mock_rules){0});
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
    rig_free(&r);
}

/* An old server that was replaced by one that speaks 5 alone is spoken to in 5 again. */
static bool only_v5(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    (void)broker;
    (void)user_data;
    if (packet->type != TERN__CONNECT || mock_version(peer) == 5) return false;
    mock_send_raw(peer, "\x20\x02\x00\x01", 4);
    mock_hang_up(peer);
    return true;
}

static void an_upgraded_server_is_spoken_to_in_5(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_rules rules = {.only_v311 = true};
    mock_broker_set_rules(r.broker, &rules);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).version, TERN_VERSION_311);
    mock_broker_set_rules(r.broker, &(mock_rules){0});
    mock_broker_set_script(r.broker, only_v5, NULL);
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).version, TERN_VERSION_5);
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_STOPPED), 0);
    rig_free(&r);
}

/* New options count from the next attempt on. */
static void options_are_replaced_between_attempts(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    mock_rules rules = {.refuse = 0x86};
    mock_broker_set_rules(r.broker, &rules);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    mock_broker_set_rules(r.broker, &(mock_rules){0});
    assert_int_equal(tern_connection_options_set_credentials(r.options, "alice", "secret", 6), 0);
    assert_int_equal(tern_client_configure(r.client, r.options), 0);
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_string_equal(mock_broker_last_connect(r.broker).user_name, "alice");
    rig_free(&r);
}

/* Session defaults: clean the first time in a process, resumed afterwards, with an hour of patience. [C7] */
static void the_session_is_resumed(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    mock_connect first = mock_broker_last_connect(r.broker);
    assert_true(first.clean_start);
    assert_int_equal(first.session_expiry, 3600);
    assert_string_equal(first.client_id, "");
    assert_int_equal(tern_client_subscribe_wait(r.client, "t", TERN_QOS_1, PATIENCE), 0);
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
    mock_connect second = mock_broker_last_connect(r.broker);
    assert_false(second.clean_start);
    assert_string_not_equal(second.client_id, ""); /* the one that the server had assigned */
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).session_present, 1);
    assert_int_equal(mock_broker_count(r.broker, TERN__SUBSCRIBE), 1);
    /* The broker forgets: the wish is made again. */
    mock_rules rules = {.forget = true};
    mock_broker_set_rules(r.broker, &rules);
    mock_broker_cut(r.broker);
    assert_true(mock_broker_wait(r.broker, TERN__SUBSCRIBE, 2, PATIENCE));
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 3, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).session_present, 0);
    rig_free(&r);
}

/* Disconnecting stops it; nothing comes back until told. */
static void a_disconnect_is_no_failure(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    rig_connect(&r);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    tern_token *token = NULL;
    assert_int_equal(tern_client_disconnect(r.client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    assert_true(mock_broker_wait(r.broker, TERN__DISCONNECT, 1, PATIENCE));
    assert_true(mock_broker_wait_exactly(r.broker, MOCK_OPEN, 0, PATIENCE));
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(tern_client_connected(r.client), 0);
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 2);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_link_comes_back),
        cmocka_unit_test(refusals_that_do_not_heal_stop),
        cmocka_unit_test(refusals_that_heal_are_tried_again),
        cmocka_unit_test(a_session_taken_over_stops),
        cmocka_unit_test(attempts_are_counted_and_limited),
        cmocka_unit_test(accepting_and_closing_is_not_success),
        cmocka_unit_test(the_delay_is_spread_at_the_maximum),
        cmocka_unit_test(the_next_server_takes_over),
        cmocka_unit_test(an_old_server_is_spoken_to_in_3_1_1),
        cmocka_unit_test(an_old_server_that_was_upgraded_is_found_out),
        cmocka_unit_test(a_password_alone_does_not_fall_back),
        cmocka_unit_test(falling_back_takes_nobodys_turn),
        cmocka_unit_test(the_end_of_a_stable_connection_is_no_failed_attempt),
        cmocka_unit_test(a_known_server_is_not_degraded),
        cmocka_unit_test(an_upgraded_server_is_spoken_to_in_5),
        cmocka_unit_test(options_are_replaced_between_attempts),
        cmocka_unit_test(the_session_is_resumed),
        cmocka_unit_test(a_disconnect_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
