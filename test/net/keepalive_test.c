/* Keep alive: pings where it is quiet, and peers that are there no more. [C11] [C16]
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/props.h"
#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, BIG = 16 << 20 };

static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};

static rig r;

static void rig_with(tern_version version, uint16_t seconds)
{
    rig_init(&r, version);
    assert_int_equal(tern_connection_options_set_keep_alive(r.options, seconds), 0);
}

static mock_rules server_keep_alive(uint16_t seconds)
{
    return (mock_rules){.connack_props = {TERN__PROP_SERVER_KEEP_ALIVE, (uint8_t)(seconds >> 8),
                                          (uint8_t)seconds},
                        .connack_props_len = 3};
}

/* Several keep alives pass: a client of its own is pinged so often that they must have. */
static void let_time_pass(void)
{
    mock_broker *clock = mock_broker_new();
    tern_client *client = NULL;
    tern_connection_options *options = NULL;
    assert_non_null(clock);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, mock_broker_url(clock)), 0);
    assert_int_equal(tern_connection_options_set_keep_alive(options, 1), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_configure(client, options), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_true(mock_broker_wait(clock, TERN__PINGREQ, 2, PATIENCE));
    tern_client_free(client);
    tern_connection_options_free(options);
    mock_broker_free(clock);
}

/* [MQTT5-3.1.2-20] */
static void a_quiet_link_is_pinged(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        uint64_t pings = 0;
        rig_with(versions[v], 1);
        rig_start(&r);
        assert_int_equal(mock_broker_last_connect(r.broker).keep_alive, 1);
        assert_true(mock_broker_wait(r.broker, TERN__PINGREQ, 3, PATIENCE));
        assert_int_equal(tern_client_stat(r.client, "pings_sent", &pings), 0);
        assert_in_range(pings, 3, 4);
        assert_int_equal(watch_count(&r.watch, TERN_EVENT_DISCONNECTED), 0);
        assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 1);
        rig_free(&r);
    }
}

/* The peer answers nothing: that is told as what it is, and what was under way is not lost. */
static void a_silent_peer_is_found(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_with(versions[v], 1);
        rig_start(&r);
        rig_rules(&r, (mock_rules){.silent = true});
        tern_token *token = rig_publish(&r, "t", "x", TERN_QOS_1);
        assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
        watch_record told = watch_last(&r.watch, TERN_EVENT_DISCONNECTED);
        assert_int_equal(told.error, TERN_E_KEEPALIVE);
        assert_int_equal(told.step, TERN_STEP_SESSION);
        assert_true(told.retry_delay >= 0);
        assert_true(mock_broker_wait(r.broker, TERN__PINGREQ, 1, PATIENCE));
        rig_rules(&r, (mock_rules){0});
        rig_expect_outcome(token, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_free(&r);
    }
}

/* A peer that no more than keeps the socket open; and one of which only the ping's answer is
 * missing, while others of its packets keep coming: that one is alive. */
static void whoever_sends_is_alive(void **state)
{
    (void)state;
    rig_with(TERN_VERSION_5, 1);
    rig_start(&r);
    rig_rules(&r, (mock_rules){.no_ping_response = true});
    for (uint64_t i = 1; i <= 4; i++) { /* a message for each ping, in its stead */
        assert_true(mock_broker_wait(r.broker, TERN__PINGREQ, i, PATIENCE));
        rig_send_publish(&r, "t", "x", 0, 0, false);
        rig_expect_received(&r, "t=x/0");
    }
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_DISCONNECTED), 0);
    assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_DISCONNECTED).error, TERN_E_KEEPALIVE);
    rig_free(&r);
}

/* What the server says counts, on that connection. [MQTT5-3.1.2-21] [MQTT5-3.2.2-21] */
static void the_servers_keep_alive_counts(void **state)
{
    (void)state;
    rig_with(TERN_VERSION_5, 600);
    rig_rules(&r, server_keep_alive(1));
    rig_start(&r);
    assert_true(mock_broker_wait(r.broker, TERN__PINGREQ, 2, PATIENCE));
    rig_rules(&r, (mock_rules){.no_ping_response = true});
    assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_DISCONNECTED).error, TERN_E_KEEPALIVE);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
    assert_int_equal(mock_broker_last_connect(r.broker).keep_alive, 600); /* its own again */
    uint64_t pings = mock_broker_count(r.broker, TERN__PINGREQ);
    let_time_pass();
    assert_int_equal(mock_broker_count(r.broker, TERN__PINGREQ), pings);
    rig_free(&r);
}

/* Off, by the application or by the server: no pings at all. */
static void zero_turns_it_off(void **state)
{
    (void)state;
    for (size_t way = 0; way < 3; way++) {
        bool server = way == 2;
        rig_with(server ? TERN_VERSION_5 : versions[way], server ? 1 : 0);
        if (server) rig_rules(&r, server_keep_alive(0));
        rig_start(&r);
        assert_int_equal(mock_broker_last_connect(r.broker).keep_alive, server);
        let_time_pass();
        assert_int_equal(mock_broker_count(r.broker, TERN__PINGREQ), 0);
        assert_int_equal(tern_client_connected(r.client), 1);
        rig_free(&r);
    }
}

/* The peer reads no more: our own bytes are stuck, and so would be a ping. */
static void a_peer_that_stops_reading_is_found(void **state)
{
    (void)state;
    char *big = calloc(1, BIG);
    assert_non_null(big);
    for (size_t v = 0; v < 2; v++) {
        tern_token *token = NULL;
        rig_with(versions[v], 1);
        rig_start(&r);
        rig_rules(&r, (mock_rules){.deaf = true});
        assert_int_equal(tern_client_publish_token(r.client, "t", big, BIG, TERN_QOS_1, &token), 0);
        assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
        assert_int_equal(watch_last(&r.watch, TERN_EVENT_DISCONNECTED).error, TERN_E_KEEPALIVE);
        /* The rest is not about speed: a slow machine takes its time for so many bytes. */
        assert_int_equal(tern_connection_options_set_keep_alive(r.options, 60), 0);
        assert_int_equal(tern_client_configure(r.client, r.options), 0);
        rig_rules(&r, (mock_rules){0});
        rig_expect_outcome(token, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_free(&r);
    }
    free(big);
}

/* ---- a client that does not read ---- */

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
} gate;

static void wait_at(tern_client *client, const tern_message *message, void *user_data)
{
    gate *g = user_data;
    (void)client;
    (void)message;
    pthread_mutex_lock(&g->lock);
    while (!g->open) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* While a callback holds reading up, pings go out, and the peer, whose answers are not read, is not
 * given up. [C10] [C11] */
static void a_client_that_does_not_read_still_pings(void **state)
{
    (void)state;
    static uint8_t payload[4096];
    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    rig_with(TERN_VERSION_5, 1);
    assert_int_equal(tern_client_options_set_inbound_limit(r.fixed, 1000), 0);
    rig_client(&r);
    assert_int_equal(tern_client_set_message_handler(r.client, wait_at, &g), 0);
    rig_connect(&r);
    assert_int_equal(tern_client_subscribe_wait(r.client, "t", TERN_QOS_0, PATIENCE), 0);
    for (int i = 0; i < 200; i++) mock_broker_publish(r.broker, "t", payload, sizeof payload, 0);
    assert_true(mock_broker_wait(r.broker, TERN__PINGREQ, 4, PATIENCE));
    assert_int_equal(tern_client_connected(r.client), 1);
    assert_int_equal(mock_broker_count(r.broker, MOCK_ENDED), 0);
    pthread_mutex_lock(&g.lock);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);
    assert_true(watch_wait(&r.watch, TERN_EVENT_RESUMED, 1, PATIENCE));
    assert_true(watch_count(&r.watch, TERN_EVENT_PAUSED) >= 1);
    rig_barrier(&r);
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_DISCONNECTED), 0);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_link_is_pinged),
        cmocka_unit_test(a_silent_peer_is_found),
        cmocka_unit_test(whoever_sends_is_alive),
        cmocka_unit_test(the_servers_keep_alive_counts),
        cmocka_unit_test(zero_turns_it_off),
        cmocka_unit_test(a_peer_that_stops_reading_is_found),
        cmocka_unit_test(a_client_that_does_not_read_still_pings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
