/* Reconnecting on purpose: what is under way ends, nothing is lost, and the next attempt comes at once. [C1] [C8]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, LOAD = 3000, ROUNDS = 12 };

static rig r;

static atomic_uint mute; /* a packet type that the broker does not answer */

/* With user data only on the first connection. */
static bool withhold(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    (void)broker;
    (void)peer;
    if (user_data != NULL && packet->type == TERN__DISCONNECT) atomic_store(&mute, 0);
    return packet->type == atomic_load(&mute);
}

static uint64_t stat_of(const char *name)
{
    uint64_t value = 0;
    assert_int_equal(tern_client_stat(r.client, name, &value), 0);
    return value;
}

static void answer(uint8_t type, uint16_t id)
{
    tern__packet packet = {.type = type, .u.ack.packet_id = id};
    rig_send(&r, &packet);
}

/* A message at each stage of its way: its answer comes late, and only then the connection ends. */
static void what_is_under_way_ends_first(void **state)
{
    (void)state;
    static const struct row {
        tern_version version;
        uint32_t qos;
        uint8_t muted;
        uint8_t answer;
    } rows[] = {
        {TERN_VERSION_5, TERN_QOS_1, TERN__PUBLISH, TERN__PUBACK}, {TERN_VERSION_311, TERN_QOS_1, TERN__PUBLISH, TERN__PUBACK},
        {TERN_VERSION_5, TERN_QOS_2, TERN__PUBLISH, TERN__PUBREC}, {TERN_VERSION_311, TERN_QOS_2, TERN__PUBLISH, TERN__PUBREC},
        {TERN_VERSION_5, TERN_QOS_2, TERN__PUBREL, TERN__PUBCOMP}, {TERN_VERSION_311, TERN_QOS_2, TERN__PUBREL, TERN__PUBCOMP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_init(&r, rows[i].version);
        rig_script(&r, withhold, NULL);
        atomic_store(&mute, rows[i].muted);
        rig_start(&r);
        tern_token *first = rig_publish(&r, "t", "a", rows[i].qos);
        assert_true(mock_broker_wait(r.broker, rows[i].muted, 1, PATIENCE));
        tern_token *anew = NULL;
        assert_int_equal(tern_client_reconnect(r.client, PATIENCE, &anew), 0);
        rig_barrier(&r); /* requests go on, behind it */
        tern_token *second = rig_publish(&r, "t", "b", rows[i].qos);
        rig_barrier(&r); /* what would be sent would have been sent by now */
        assert_int_equal(rig_packets(&r, TERN__PUBLISH), 1);
        assert_int_equal(rig_packets(&r, TERN__DISCONNECT), 0);
        uint16_t id = rig_packet(&r, TERN__PUBLISH, 0).u.publish.packet_id;
        atomic_store(&mute, 0);
        answer(rows[i].answer, id);
        rig_expect_outcome(first, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        assert_int_equal(tern_token_wait(anew, PATIENCE), 0);
        tern_token_unref(anew);
        rig_expect_outcome(second, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        assert_true(rig_position(&r, TERN__DISCONNECT, 0) < rig_position(&r, TERN__CONNECT, 1));
        assert_true(rig_position(&r, TERN__CONNECT, 1) < rig_position(&r, TERN__PUBLISH, 1));
        assert_false(rig_packet(&r, TERN__PUBLISH, 1).u.publish.dup);
        assert_int_equal(rig_packet(&r, TERN__DISCONNECT, 0).props.len, 0); /* the session's expiry stays as it is */
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
        watch_record ended = watch_last(&r.watch, TERN_EVENT_DISCONNECTED);
        assert_int_equal(ended.error, 0);
        assert_int_equal(ended.retry_delay, 0);
        assert_non_null(strstr(ended.text, "to connect again as asked"));
        assert_int_equal(stat_of("connect_failures"), 0);
        rig_free(&r);
    }
}

/* Time is over before the answer: the session goes on with it. [C6] */
static void what_takes_too_long_goes_on_in_the_session(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    rig_script(&r, withhold, &r);
    atomic_store(&mute, TERN__PUBLISH);
    rig_start(&r);
    tern_token *first = rig_publish(&r, "t", "a", TERN_QOS_2);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 1, PATIENCE));
    assert_int_equal(tern_client_reconnect(r.client, 1, NULL), 0);
    rig_expect_outcome(first, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_true(rig_packet(&r, TERN__PUBLISH, 1).u.publish.dup || rig_packets(&r, TERN__PUBLISH) == 2);
    assert_int_equal(mock_broker_messages(r.broker), 1);
    rig_free(&r);
}

/* A session that ends with its connection: subscriptions are made again, and what waits goes out. */
static void a_clean_session_is_made_anew(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_5, TERN_VERSION_311};
    for (size_t i = 0; i < 2; i++) {
        rig_init(&r, versions[i]);
        assert_int_equal(tern_connection_options_set_session(r.options, TERN_SESSION_CLEAN, 0), 0);
        rig_start(&r);
        assert_int_equal(tern_client_subscribe_wait(r.client, "in/#", TERN_QOS_1, PATIENCE), 0);
        tern_token *one = NULL;
        assert_int_equal(tern_client_reconnect(r.client, PATIENCE, &one), 0);
        rig_expect_outcome(rig_publish(&r, "in/1", "x", TERN_QOS_1), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        assert_int_equal(tern_token_wait(one, PATIENCE), 0);
        tern_token_unref(one);
        rig_expect_received(&r, "in/1=x/1");
        assert_int_equal(rig_packets(&r, TERN__SUBSCRIBE), 2);
        assert_int_equal(rig_packets(&r, TERN__CONNECT), 2);
        rig_free(&r);
    }
}

/* A message that is not acknowledged yet is under way, too. [C9] */
static void received_messages_are_acknowledged_first(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_311);
    assert_int_equal(tern_client_options_set_ack(r.fixed, TERN_ACK_MANUAL), 0);
    rig_start(&r);
    assert_int_equal(tern_client_subscribe_wait(r.client, "in", TERN_QOS_1, PATIENCE), 0);
    mock_broker_publish(r.broker, "in", "x", 1, 1);
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(r.client, &message, PATIENCE), 0);
    tern_token *anew = NULL;
    assert_int_equal(tern_client_reconnect(r.client, PATIENCE, &anew), 0);
    rig_barrier(&r);
    assert_int_equal(rig_packets(&r, TERN__DISCONNECT), 0);
    assert_int_equal(tern_client_ack(r.client, message), 0);
    assert_int_equal(tern_token_wait(anew, PATIENCE), 0);
    assert_true(rig_position(&r, TERN__PUBACK, 0) < rig_position(&r, TERN__DISCONNECT, 0));
    tern_token_unref(anew);
    tern_message_unref(message);
    rig_free(&r);
}

/* Called while waiting for the next attempt, and while one is under way: the new one starts at once, with the new options. */
static void a_wait_or_an_attempt_ends_at_once(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        rig_init(&r, TERN_VERSION_311);
        assert_int_equal(tern_connection_options_set_retry_delay(r.options, 3600000, 3600000, TERN_JITTER_NONE), 0);
        assert_int_equal(tern_connection_options_set_connect_timeout(r.options, 3600000), 0);
        if (open) rig_rules(&r, (mock_rules){.silent = true});
        if (!open) mock_broker_listen(r.broker, false);
        rig_client(&r);
        assert_int_equal(tern_client_connect(r.client, NULL), 0);
        if (open) assert_true(mock_broker_wait(r.broker, TERN__CONNECT, 1, PATIENCE)); /* left unanswered */
        if (!open) assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
        mock_broker_listen(r.broker, true);
        rig_rules(&r, (mock_rules){0});
        assert_int_equal(tern_connection_options_set_credentials(r.options, "new", "x", 1), 0);
        assert_int_equal(tern_client_configure(r.client, r.options), 0);
        tern_token *one = NULL;
        assert_int_equal(tern_client_reconnect(r.client, 0, &one), 0);
        assert_int_equal(tern_token_wait(one, PATIENCE), 0);
        tern_token_unref(one);
        assert_string_equal(mock_broker_last_connect(r.broker).user_name, "new");
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
        watch_record failed = watch_last(&r.watch, TERN_EVENT_CONNECT_FAILED);
        assert_int_equal(failed.error, open ? TERN_E_CANCELLED : TERN_E_CONNECT);
        assert_int_equal(stat_of("connect_failures"), open ? 0 : 1);
        rig_free(&r);
    }
}

/* Two calls are one reconnect, for which the earlier deadline holds. */
static void two_calls_are_one_reconnect(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    rig_script(&r, withhold, NULL);
    atomic_store(&mute, TERN__PUBLISH);
    rig_start(&r);
    tern_token *message = rig_publish(&r, "t", "a", TERN_QOS_1);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 1, PATIENCE));
    tern_token *one = NULL;
    tern_token *two = NULL;
    assert_int_equal(tern_client_reconnect(r.client, 3600000, &one), 0);
    assert_int_equal(tern_client_reconnect(r.client, 0, &two), 0);
    assert_int_equal(tern_token_wait(one, PATIENCE), 0);
    assert_int_equal(tern_token_wait(two, PATIENCE), 0);
    tern_token_unref(one);
    tern_token_unref(two);
    assert_int_equal(rig_packets(&r, TERN__CONNECT), 2);
    atomic_store(&mute, 0);
    answer(TERN__PUBACK, rig_packet(&r, TERN__PUBLISH, 0).u.publish.packet_id);
    rig_expect_outcome(message, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    rig_free(&r);
}

/* Who stops wins, and where nothing is connecting there is nothing to connect anew. */
static void stopping_wins(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    rig_script(&r, withhold, NULL);
    atomic_store(&mute, TERN__PUBLISH);
    assert_int_equal(tern_client_reconnect(NULL, 0, NULL), TERN_E_INVALID);
    tern_client *never = NULL;
    assert_int_equal(tern_client_new(&never, NULL), 0);
    assert_int_equal(tern_client_reconnect(never, 0, NULL), TERN_E_NOT_CONNECTED);
    tern_client_free(never);
    rig_client(&r);
    tern_token *one = (tern_token *)&r;
    assert_int_equal(tern_client_reconnect(r.client, 0, &one), TERN_E_STATE);
    assert_null(one);
    rig_connect(&r);
    tern_token *message = rig_publish(&r, "t", "a", TERN_QOS_1);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 1, PATIENCE));
    assert_int_equal(tern_client_reconnect(r.client, PATIENCE, &one), 0);
    tern_token *left = NULL;
    assert_int_equal(tern_client_disconnect(r.client, 0, &left), 0);
    assert_int_equal(tern_token_wait(left, PATIENCE), 0);
    tern_token_unref(left);
    assert_int_equal(tern_token_wait(one, PATIENCE), TERN_E_CANCELLED);
    tern_token_unref(one);
    assert_int_equal(rig_packets(&r, TERN__CONNECT), 1);
    assert_int_equal(tern_client_reconnect(r.client, 0, NULL), TERN_E_STATE);
    rig_connect(&r);
    assert_int_equal(tern_client_reconnect(r.client, PATIENCE, &one), 0);
    assert_int_equal(tern_client_close(r.client, 0, 0, &left), 0);
    assert_int_equal(tern_token_wait(left, PATIENCE), 0);
    tern_token_unref(left);
    int rc = tern_token_wait(one, PATIENCE); /* the redelivery is not answered: it waits for that, and is closed */
    assert_true(rc == TERN_E_CANCELLED || rc == TERN_E_CLOSED);
    tern_token_unref(one);
    assert_int_equal(tern_client_reconnect(r.client, 0, NULL), TERN_E_CLOSED);
    rig_expect_outcome(message, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED, TERN_E_CLOSED);
    rig_free(&r);
}

/* Closing that drains goes through a reconnect that is under way. [C12] */
static void draining_goes_through_it(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_311);
    rig_script(&r, withhold, NULL);
    atomic_store(&mute, TERN__PUBLISH);
    rig_start(&r);
    tern_token *first = rig_publish(&r, "t", "a", TERN_QOS_1);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 1, PATIENCE));
    assert_int_equal(tern_client_reconnect(r.client, PATIENCE, NULL), 0);
    tern_token *second = rig_publish(&r, "t", "b", TERN_QOS_1);
    tern_token *closed = NULL;
    assert_int_equal(tern_client_close(r.client, 1, PATIENCE, &closed), 0);
    atomic_store(&mute, 0);
    answer(TERN__PUBACK, rig_packet(&r, TERN__PUBLISH, 0).u.publish.packet_id);
    rig_expect_outcome(first, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    rig_expect_outcome(second, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_int_equal(tern_token_wait(closed, PATIENCE), 0);
    tern_token_unref(closed);
    rig_free(&r);
}

/* Load while it happens again and again: every message arrives once, in order. [C5] [C8] */
static void nothing_is_lost_under_load(void **state)
{
    (void)state;
    static const struct row {
        tern_version version;
        tern_session session;
    } rows[] = {{TERN_VERSION_5, TERN_SESSION_PROCESS}, {TERN_VERSION_311, TERN_SESSION_CLEAN}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_init(&r, rows[i].version);
        assert_int_equal(tern_connection_options_set_session(r.options, rows[i].session, 3600), 0);
        mock_broker_set_script(r.broker, NULL, NULL);
        assert_int_equal(tern_client_new(&r.client, r.fixed), 0);
        watch_init(&r.watch, r.client);
        assert_int_equal(tern_client_configure(r.client, r.options), 0);
        rig_connect(&r);
        for (unsigned n = 0; n < LOAD; n++) {
            char text[16];
            int len = snprintf(text, sizeof text, "%u", n);
            uint32_t flags = n % 2 == 0 ? TERN_QOS_2 : TERN_QOS_1;
            assert_int_equal(tern_client_publish(r.client, "t", text, (size_t)len, flags, NULL), 0);
            if (n % (LOAD / ROUNDS) == 0) assert_int_equal(tern_client_reconnect(r.client, PATIENCE, NULL), 0);
        }
        assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
        assert_int_equal(mock_broker_messages(r.broker), LOAD);
        for (unsigned n = 0; n < LOAD; n++) {
            char text[32];
            snprintf(text, sizeof text, "t=%u/%u", n, n % 2 == 0 ? 2u : 1u);
            rig_expect_message(&r, n, text);
        }
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_under_way_ends_first),
        cmocka_unit_test(what_takes_too_long_goes_on_in_the_session),
        cmocka_unit_test(a_clean_session_is_made_anew),
        cmocka_unit_test(received_messages_are_acknowledged_first),
        cmocka_unit_test(a_wait_or_an_attempt_ends_at_once),
        cmocka_unit_test(two_calls_are_one_reconnect),
        cmocka_unit_test(stopping_wins),
        cmocka_unit_test(draining_goes_through_it),
        cmocka_unit_test(nothing_is_lost_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
