/* Allocations of a client's life over TLS, and over WebSocket and TLS, fail once each, in whatever thread: an error or another
 * attempt, no message without its outcome, what comes in comes. Leaks are for the lane with AddressSanitizer to find. [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lives.h"
#include "support/net.h"
#include "support/peers.h"

enum { PATIENCE = NET_PATIENCE_MS, MESSAGES = 3 };

static const char *certificates;
static peer *mosquitto;

static int set_up(void **state)
{
    (void)state;
    certificates = peer_certificates();
    if (certificates == NULL) return -1;
    mosquitto = peer_mosquitto(certificates);
    return mosquitto != NULL ? 0 : -1;
}

/* A life, and where it is. */
typedef struct way {
    life life;
    const char *scheme;
    uint16_t port;
    atomic_uint arrived; /* QoS of the messages that came back: a bit each, of the first and the second time */
    atomic_uint connected;
    atomic_uint resumed; /* TLS sessions */
} way;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    way *w = user_data;
    const char *text = tern_message_text(message);
    life_on_message(client, message, &w->life);
    assert_true(text[0] == '0' || text[0] == '1');
    atomic_fetch_or(&w->arrived, 1u << ((text[0] - '0') * MESSAGES + (int)tern_message_qos(message)));
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    way *w = user_data;
    (void)client;
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECTED) return;
    atomic_fetch_add(&w->connected, 1);
    if (tern_event_tls_resumed(event)) atomic_fetch_add(&w->resumed, 1);
}

static int set_tls(tern_connection_options *options)
{
    char path[200];
    tern_tls_options *tls = NULL;
    snprintf(path, sizeof path, "%s/root.pem", certificates);
    int rc = tern_tls_options_new(&tls);
    if (rc == 0) rc = tern_tls_options_add_ca_file(tls, path);
    if (rc == 0) rc = tern_tls_options_set_alpn(tls, "mqtt");
    if (rc == 0) rc = tern_connection_options_set_tls(options, tls);
    tern_tls_options_free(tls);
    return rc;
}

static int configure(tern_client *client, const way *w)
{
    char url[100];
    tern_connection_options *options = NULL;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u", w->scheme, w->port);
    int rc = tern_connection_options_new(&options);
    if (rc == 0) rc = tern_connection_options_add_server(options, url);
    if (rc == 0) rc = tern_connection_options_add_header(options, "X-Trial", "1");
    if (rc == 0) rc = tern_connection_options_set_retry_delay(options, 1, 2, TERN_JITTER_NONE);
    if (rc == 0) rc = set_tls(options);
    if (rc == 0) rc = tern_client_configure(client, options);
    tern_connection_options_free(options);
    return rc;
}

static void publish_some(tern_client *client, way *w, const char *text)
{
    for (uint32_t qos = 0; qos < MESSAGES; qos++) {
        TRY(tern_client_publish(client, "life/up", text, 1, qos, NULL));
        w->life.accepted++;
    }
}

/* All but those of QoS 0, which may be lost with a connection. */
static bool has_arrived(void *argument)
{
    static const unsigned all = (1u << 1 | 1u << 2) << MESSAGES;
    return (atomic_load(&((way *)argument)->arrived) & all) == all;
}

/* Connects, talks with itself, connects anew with a ticket, talks, and closes. */
static void live_once(way *w)
{
    tern_client *client = NULL;
    tern_token *token = NULL;
    TRY(tern_client_new(&client, NULL));
    TRY(tern_client_set_delivery_handler(client, life_on_delivery, &w->life));
    TRY(tern_client_set_message_handler(client, on_message, w));
    TRY(tern_client_set_event_handler(client, on_event, w));
    TRY(configure(client, w));
    (void)tern_client_connect_wait(client, PATIENCE);
    (void)tern_client_connect(client, NULL); /* where the first one had no memory */
    int rc = tern_client_subscribe_wait(client, "life/up", TERN_QOS_2, PATIENCE);
    if (rc != 0) TRY(tern_client_subscribe_wait(client, "life/up", TERN_QOS_2, PATIENCE));
    publish_some(client, w, "0");
    TRY(tern_client_flush_wait(client, PATIENCE));
    if (tern_client_reconnect(client, 0, &token) == 0) (void)tern_token_wait(token, PATIENCE);
    tern_token_unref(token);
    publish_some(client, w, "1");
    TRY(tern_client_flush_wait(client, PATIENCE));
    assert_true(net_wait_until(has_arrived, w, PATIENCE));
    tern_client_free(client);
    assert_int_equal(atomic_load(&w->life.told), w->life.accepted);
}

/* TERN_SWEEP_EVERY sets which allocations fail: each one by 1, which is the default but for WebSocket, where mosquitto is slow. */
static long step_of(long usual)
{
    const char *text = getenv("TERN_SWEEP_EVERY");
    long step = text != NULL ? strtol(text, NULL, 10) : usual;
    return step > 0 ? step : usual;
}

static void sweep(const char *scheme, uint16_t port, long step)
{
    bool failed = true;
    long n = 0;
    for (; failed; n += step) {
        way w = {.scheme = scheme, .port = port};
        allocations_arm(n);
        live_once(&w);
        failed = allocations_disarm();
        assert_true(n < 10000);
        if (failed) continue;
        /* And of the last life, in which nothing failed, all is known. */
        assert_true(n > 50);
        assert_int_equal(atomic_load(&w.connected), 2);
        assert_int_equal(atomic_load(&w.resumed), 1);
        assert_int_equal(atomic_load(&w.arrived), (1u << 2 * MESSAGES) - 1);
    }
}

static void over_tls(void **state)
{
    (void)state;
    sweep("mqtts", mosquitto->ports[PEER_TLS], step_of(1));
}

static void over_websocket_and_tls(void **state)
{
    (void)state;
    sweep("wss", mosquitto->ports[PEER_WSS], step_of(11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(over_tls), cmocka_unit_test(over_websocket_and_tls)};
    if (!peer_is_installed("mosquitto")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
