/* Peers that stop in the middle: proxies, TLS and WebSocket servers that fall silent at each step,
 * and connections that are cut without TLS's goodbye. The attempt's deadline holds, its error names
 * the step, and no password is told. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/net.h"
#include "support/peers.h"
#include "support/rogue.h"

enum { PATIENCE = NET_PATIENCE_MS, STEPS = 8 };

static const char CANARY[] = "sesame-canary";
static const char CANARY_IN_BASIC[] =
    "bWU6c2VzYW1lLWNhbmFyeQ=="; /* base64 of "me:" and the canary */

/* ---- a client that has one attempt ---- */

/* One after the other, so that one will do. */
static watch seen;

typedef struct way {
    const char *server; /* URL; the rogue's port is added where there is no proxy */
    const char *proxy;  /* URL without a port, or NULL */
    const char *ca;     /* NULL for none */
} way;

static void set_trust(tern_connection_options *options, const char *ca)
{
    tern_tls_options *tls;
    assert_int_equal(tern_tls_options_new(&tls), 0);
    assert_int_equal(tern_tls_options_add_ca_file(tls, ca), 0);
    assert_int_equal(tern_connection_options_set_tls(options, tls), 0);
    tern_tls_options_free(tls);
}

static tern_client *client_for(const way *w, uint16_t port, uint32_t deadline)
{
    char url[100];
    tern_client *client;
    tern_connection_options *options;
    assert_int_equal(tern_connection_options_new(&options), 0);
    snprintf(url, sizeof url, "%s:%u", w->proxy != NULL ? w->proxy : w->server, port);
    assert_int_equal(
        tern_connection_options_add_server(options, w->proxy != NULL ? w->server : url), 0);
    if (w->proxy != NULL) assert_int_equal(tern_connection_options_set_proxy(options, url), 0);
    if (w->ca != NULL) set_trust(options, w->ca);
    assert_int_equal(tern_connection_options_set_connect_timeout(options, deadline), 0);
    assert_int_equal(tern_connection_options_set_version(options, TERN_VERSION_5), 0);
    assert_int_equal(tern_connection_options_set_retry_limit(options, 1, 10000), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    return client;
}

static void check_tells_no_secret(tern_client *client)
{
    for (size_t i = 0; i < seen.count; i++) {
        assert_null(strstr(seen.records[i].text, CANARY));
        assert_null(strstr(seen.records[i].text, CANARY_IN_BASIC));
        assert_null(strstr(seen.records[i].hint, CANARY));
    }
    assert_null(strstr(tern_client_error_text(client), CANARY));
}

/* Of an attempt that must fail. */
static watch_record attempt(const way *w, uint16_t port, uint32_t deadline)
{
    tern_client *client = client_for(w, port, deadline);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(watch_wait(&seen, TERN_EVENT_STOPPED, 1, PATIENCE));
    const watch_record record = watch_nth(&seen, TERN_EVENT_CONNECT_FAILED, 1);
    assert_int_equal(watch_count(&seen, TERN_EVENT_CONNECTED), 0);
    check_tells_no_secret(client);
    tern_client_free(client);
    watch_deinit(&seen);
    return record;
}

/* ---- falling silent ---- */

/* A server that is silent after its steps. */
typedef struct silence {
    const way *way;
    tern_step step; /* where the client waits then */
    size_t count;
    rogue_step steps[STEPS];
} silence;

/* Whether the attempt timed out where the server stalled. */
static bool stalls_there(const silence *row, uint32_t deadline)
{
    rogue *r = rogue_new("127.0.0.1", row->steps, row->count);
    assert_non_null(r);
    const watch_record record = attempt(row->way, rogue_port(r), deadline);
    assert_int_equal(record.error, TERN_E_TIMEOUT);
    if (strstr(record.text, tern_step_name(record.step)) == NULL) fail_msg("%s", record.text);
    const bool there = record.step == row->step && rogue_reached(r, 1, row->count);
    if (!there) print_message("%u ms: %s\n", deadline, record.text);
    rogue_free(r);
    return there;
}

/* A busy machine may not get as far as that by the first deadline. */
static void check_silences(const silence *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!stalls_there(&rows[i], 200) && !stalls_there(&rows[i], 5000)) fail_msg("row %zu", i);
}

/* The whole request. */
#define HEAD                                                                                       \
    {                                                                                              \
        ROGUE_HEAR_TEXT, "\r\n\r\n", 0                                                             \
    }

#define HTTP_PROXY "http://me:sesame-canary@127.0.0.1"
static const way http_plain = {"mqtt://broker.test", HTTP_PROXY, NULL};
static const way http_tls = {"mqtts://broker.test", HTTP_PROXY, NULL};
static const way http_ws = {"ws://broker.test/mqtt", HTTP_PROXY, NULL};

static void an_http_proxy_stalls_at_each_step(void **state)
{
    (void)state;
    static const char yes[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    static const silence rows[] = {
        {&http_plain, TERN_STEP_PROXY, 0, {{0}}},
        {&http_plain, TERN_STEP_PROXY, 1, {HEAD}},
        {&http_plain, TERN_STEP_PROXY, 2, {HEAD, {ROGUE_SAY, yes, 1}}},
        {&http_plain, TERN_STEP_PROXY, 2, {HEAD, {ROGUE_SAY, yes, 12}}},
        {&http_plain, TERN_STEP_PROXY, 2, {HEAD, {ROGUE_SAY, yes, sizeof yes - 2}}},
        {&http_plain, TERN_STEP_PROXY, 2, {HEAD, {ROGUE_SAY, "HTTP/1.1 100 Continue\r\n\r\n", 0}}},
        {&http_plain, TERN_STEP_MQTT, 2, {HEAD, {ROGUE_SAY, yes, 0}}},
        {&http_tls, TERN_STEP_TLS, 2, {HEAD, {ROGUE_SAY, yes, 0}}},
        {&http_tls,
         TERN_STEP_TLS,
         4,
         {HEAD, {ROGUE_SAY, yes, 0}, {ROGUE_HEAR, NULL, 100}, {ROGUE_SAY, "\x16\x03\x03", 3}}},
        {&http_ws, TERN_STEP_WEBSOCKET, 3, {HEAD, {ROGUE_SAY, yes, 0}, HEAD}},
    };
    check_silences(rows, sizeof rows / sizeof rows[0]);
}

#define SOCKS_PROXY "socks5://127.0.0.1"
static const way socks_open = {"mqtt://broker.test", SOCKS_PROXY, NULL};
static const way socks_login = {"mqtt://broker.test", "socks5://me:sesame-canary@127.0.0.1", NULL};
static const way socks_tls = {"mqtts://broker.test", SOCKS_PROXY, NULL};

/* What the client says (RFC 1928, RFC 1929): the methods, its name and password, where it wants to
 * go. */
#define METHODS(count)                                                                             \
    {                                                                                              \
        ROGUE_HEAR, NULL, 2 + (count)                                                              \
    }
#define LOGIN                                                                                      \
    {                                                                                              \
        ROGUE_HEAR, NULL, 3 + sizeof "me" - 1 + sizeof CANARY - 1                                  \
    }
#define DESTINATION                                                                                \
    {                                                                                              \
        ROGUE_HEAR, NULL, 7 + sizeof "broker.test" - 1                                             \
    }

static void a_socks_proxy_stalls_at_each_step(void **state)
{
    (void)state;
    static const char granted[] = "\x05\x00\x00\x01\x7f\x00\x00\x01\x04\xd2";
    static const silence rows[] = {
        {&socks_open, TERN_STEP_PROXY, 0, {{0}}},
        {&socks_open, TERN_STEP_PROXY, 1, {METHODS(1)}},
        {&socks_open, TERN_STEP_PROXY, 2, {METHODS(1), {ROGUE_SAY, "\x05", 1}}},
        {&socks_open, TERN_STEP_PROXY, 3, {METHODS(1), {ROGUE_SAY, "\x05\x00", 2}, DESTINATION}},
        {&socks_open,
         TERN_STEP_PROXY,
         4,
         {METHODS(1), {ROGUE_SAY, "\x05\x00", 2}, DESTINATION, {ROGUE_SAY, granted, 1}}},
        {&socks_open,
         TERN_STEP_PROXY,
         4,
         {METHODS(1), {ROGUE_SAY, "\x05\x00", 2}, DESTINATION, {ROGUE_SAY, granted, 9}}},
        {&socks_open,
         TERN_STEP_MQTT,
         4,
         {METHODS(1), {ROGUE_SAY, "\x05\x00", 2}, DESTINATION, {ROGUE_SAY, granted, 10}}},
        {&socks_tls,
         TERN_STEP_TLS,
         4,
         {METHODS(1), {ROGUE_SAY, "\x05\x00", 2}, DESTINATION, {ROGUE_SAY, granted, 10}}},
        {&socks_login, TERN_STEP_PROXY, 3, {METHODS(2), {ROGUE_SAY, "\x05\x02", 2}, LOGIN}},
        {&socks_login,
         TERN_STEP_PROXY,
         4,
         {METHODS(2), {ROGUE_SAY, "\x05\x02", 2}, LOGIN, {ROGUE_SAY, "\x01", 1}}},
        {&socks_login,
         TERN_STEP_PROXY,
         5,
         {METHODS(2), {ROGUE_SAY, "\x05\x02", 2}, LOGIN, {ROGUE_SAY, "\x01\x00", 2}, DESTINATION}},
    };
    check_silences(rows, sizeof rows / sizeof rows[0]);
}

static const way plain = {"mqtt://127.0.0.1", NULL, NULL};
static const way tls = {"mqtts://127.0.0.1", NULL, NULL};
static const way websocket = {"ws://127.0.0.1", NULL, NULL};
static const way secure_websocket = {"wss://127.0.0.1", NULL, NULL};

static void servers_stall_at_each_step(void **state)
{
    (void)state;
    static const char upgrade[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %ACCEPT%\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    static const silence rows[] = {
        {&plain, TERN_STEP_MQTT, 0, {{0}}},
        {&plain, TERN_STEP_MQTT, 2, {{ROGUE_HEAR, NULL, 12}, {ROGUE_SAY, "\x20\x03\x00", 3}}},
        {&tls, TERN_STEP_TLS, 0, {{0}}},
        {&tls, TERN_STEP_TLS, 2, {{ROGUE_HEAR, NULL, 100}, {ROGUE_SAY, "\x16", 1}}},
        {&tls,
         TERN_STEP_TLS,
         2,
         {{ROGUE_HEAR, NULL, 100}, {ROGUE_SAY, "\x16\x03\x03\x00\x7a\x02", 6}}},
        {&secure_websocket, TERN_STEP_TLS, 0, {{0}}},
        {&websocket, TERN_STEP_WEBSOCKET, 1, {HEAD}},
        {&websocket, TERN_STEP_WEBSOCKET, 2, {HEAD, {ROGUE_SAY, upgrade, 20}}},
        {&websocket, TERN_STEP_WEBSOCKET, 2, {HEAD, {ROGUE_SAY, upgrade, 90}}},
        {&websocket, TERN_STEP_MQTT, 2, {HEAD, {ROGUE_UPGRADE, upgrade, 0}}},
        {&websocket,
         TERN_STEP_MQTT,
         4,
         {HEAD, {ROGUE_UPGRADE, upgrade, 0}, {ROGUE_HEAR, NULL, 12}, {ROGUE_SAY, "\x82", 1}}},
        {&websocket,
         TERN_STEP_MQTT,
         4,
         {HEAD,
          {ROGUE_UPGRADE, upgrade, 0},
          {ROGUE_HEAR, NULL, 12},
          {ROGUE_SAY, "\x82\x05\x20\x03", 4}}},
    };
    check_silences(rows, sizeof rows / sizeof rows[0]);
}

/* ---- cuts ---- */

static const char *certificates;

/* The first attempt is not cut, and tells how many bytes of the server come before the client is
 * connected. */
static uint64_t bytes_until_connected(const way *w, rogue_relay *relay)
{
    tern_client *client = client_for(w, rogue_relay_port(relay), PATIENCE);
    if (tern_client_connect_wait(client, PATIENCE) != 0)
        fail_msg("%s", tern_client_error_text(client));
    const uint64_t passed = rogue_relay_passed(relay);
    tern_client_free(client);
    watch_deinit(&seen);
    return passed;
}

/* Wherever the server's end falls in handshake and CONNACK, it is a failure of that step.
 * Signatures differ in length by a few bytes: those are left out. */
static void a_cut_handshake_is_a_failure(void **state)
{
    (void)state;
    char ca[160];
    peer *broker = peer_mosquitto(certificates);
    assert_non_null(broker);
    snprintf(ca, sizeof ca, "%s/root.pem", certificates);
    const way w = {"mqtts://127.0.0.1", NULL, ca};
    rogue_relay *relay = rogue_relay_new(broker->ports[PEER_TLS], ROGUE_UNLIMITED);
    const uint64_t all = bytes_until_connected(&w, relay) - 8;
    assert_true(all > 600);
    for (uint64_t limit = 0; limit < all; limit += limit < 16 || limit + 16 > all ? 1 : 23) {
        rogue_relay_limit(relay, (int64_t)limit);
        const watch_record record = attempt(&w, rogue_relay_port(relay), PATIENCE);
        if (record.step != TERN_STEP_TLS && record.step != TERN_STEP_MQTT)
            fail_msg("%s", record.text);
        if (record.error != TERN_E_TLS && record.error != TERN_E_CONNECTION_LOST)
            fail_msg("%s", record.text);
        assert_string_not_equal(record.hint, "");
    }
    rogue_relay_free(relay);
    peer_stop(broker);
}

/* In the middle of a record that holds the middle of a message: no message, no clean end, and
 * connected anew. */
static void a_cut_record_is_a_lost_connection(void **state)
{
    (void)state;
    enum { BIG = 100000 };
    static char payload[BIG];
    char ca[160];
    uint64_t received = 1;
    peer *broker = peer_mosquitto(certificates);
    assert_non_null(broker);
    snprintf(ca, sizeof ca, "%s/root.pem", certificates);
    const way w = {"mqtts://127.0.0.1", NULL, ca};
    rogue_relay *relay = rogue_relay_new(broker->ports[PEER_TLS], ROGUE_UNLIMITED);
    tern_client *client = client_for(&w, rogue_relay_port(relay), PATIENCE);
    if (tern_client_connect_wait(client, PATIENCE) != 0)
        fail_msg("%s", tern_client_error_text(client));
    assert_int_equal(tern_client_subscribe_wait(client, "big", TERN_QOS_0, PATIENCE), 0);
    rogue_relay_limit(relay, 20000);
    assert_int_equal(tern_client_publish(client, "big", payload, sizeof payload, TERN_QOS_0, NULL),
                     0);
    assert_true(watch_wait(&seen, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
    const watch_record record = watch_nth(&seen, TERN_EVENT_DISCONNECTED, 1);
    if (record.error == 0) fail_msg("a clean end: %s", record.text);
    if (strstr(record.text, "close_notify") == NULL) fail_msg("%s", record.text);
    assert_int_equal(tern_client_stat(client, "messages_received", &received), 0);
    assert_int_equal(received, 0);
    tern_client_free(client);
    watch_deinit(&seen);
    rogue_relay_free(relay);
    peer_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_http_proxy_stalls_at_each_step),
        cmocka_unit_test(a_socks_proxy_stalls_at_each_step),
        cmocka_unit_test(servers_stall_at_each_step),
        cmocka_unit_test(a_cut_handshake_is_a_failure),
        cmocka_unit_test(a_cut_record_is_a_lost_connection),
    };
    if (!peer_is_installed("mosquitto") || !peer_is_installed("openssl")) return 77;
    certificates = peer_certificates();
    if (certificates == NULL) return 1;
    return peers_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
