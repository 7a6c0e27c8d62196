/* Allocations of a client's life over TLS, and over WebSocket and TLS, fail once each, in whatever thread: an error or another
 * attempt, no message without its outcome. Leaks are for the lane with AddressSanitizer to find. [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "allocations.h"
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

typedef struct life {
    const char *scheme;
    uint16_t port;
    atomic_int told; /* outcomes by the delivery handler */
    int accepted;
} life;

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    atomic_fetch_add(&((life *)user_data)->told, (int)tern_delivery_count(delivery));
}

/* Calls until it works: one failure is all there is. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        int tried_ = (call);                                                                       \
        if (tried_ == TERN_E_NOMEM) tried_ = (call);                                               \
        if (tried_ != 0) fail_msg("%s: %s", #call, tern_strerror(tried_));                         \
    } while (0)

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

static int configure(tern_client *client, const life *l)
{
    char url[100];
    tern_connection_options *options = NULL;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u", l->scheme, l->port);
    int rc = tern_connection_options_new(&options);
    if (rc == 0) rc = tern_connection_options_add_server(options, url);
    if (rc == 0) rc = tern_connection_options_add_header(options, "X-Trial", "1");
    if (rc == 0) rc = tern_connection_options_set_retry_delay(options, 1, 2, TERN_JITTER_NONE);
    if (rc == 0) rc = set_tls(options);
    if (rc == 0) rc = tern_client_configure(client, options);
    tern_connection_options_free(options);
    return rc;
}

static void publish_some(tern_client *client, life *l)
{
    for (uint32_t qos = 0; qos < MESSAGES; qos++) {
        TRY(tern_client_publish(client, "life/up", "plain", 5, qos, NULL));
        l->accepted++;
    }
}

/* Connects, talks, connects anew with a ticket, talks, and closes. */
static void live_once(life *l)
{
    tern_client *client = NULL;
    tern_token *token = NULL;
    TRY(tern_client_new(&client, NULL));
    TRY(tern_client_set_delivery_handler(client, on_delivery, l));
    TRY(configure(client, l));
    publish_some(client, l);
    (void)tern_client_connect_wait(client, PATIENCE);
    (void)tern_client_connect(client, NULL); /* where the first one had no memory */
    int rc = tern_client_subscribe_wait(client, "life/none", TERN_QOS_1, PATIENCE);
    if (rc != 0) TRY(tern_client_subscribe_wait(client, "life/none", TERN_QOS_1, PATIENCE));
    TRY(tern_client_flush_wait(client, PATIENCE));
    if (tern_client_reconnect(client, 0, &token) == 0) (void)tern_token_wait(token, PATIENCE);
    tern_token_unref(token);
    publish_some(client, l);
    TRY(tern_client_flush_wait(client, PATIENCE));
    tern_client_free(client);
    assert_int_equal(atomic_load(&l->told), l->accepted);
}

/* TERN_SWEEP_EVERY=1 has each one fail; it takes some minutes, since mosquitto's WebSocket is slow. */
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
        life l = {.scheme = scheme, .port = port};
        allocations_arm(n);
        live_once(&l);
        failed = allocations_disarm();
        assert_true(n < 10000);
    }
    assert_true(n > 50); /* it was a whole life */
}

static void over_tls(void **state)
{
    (void)state;
    sweep("mqtts", mosquitto->ports[PEER_TLS], step_of(3));
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
