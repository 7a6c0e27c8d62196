/* Every way to a broker: TLS, mutual TLS, pre-shared keys, WebSocket and proxies, against Debian's mosquitto, tinyproxy and microsocks.
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
#include "support/net.h"
#include "support/peers.h"

/* mosquitto 2.0 sends 4 KiB each 100 ms over WebSocket. */
enum { PATIENCE = NET_PATIENCE_MS, BIG = 300000, SLOW = 5000 };

/* The ways to the one broker: its own listeners, and the proxies before it. */
enum { HTTP, HTTP_AUTH, SOCKS, SOCKS_AUTH, PROXIES };

static const char *certificates;
static peer *mosquitto;
static peer *proxy_peers[PROXIES];

static int set_up(void **state)
{
    (void)state;
    certificates = peer_certificates();
    if (certificates == NULL) return -1;
    mosquitto = peer_mosquitto(certificates);
    proxy_peers[HTTP] = peer_tinyproxy(NULL);
    proxy_peers[HTTP_AUTH] = peer_tinyproxy("me:sesame");
    proxy_peers[SOCKS] = peer_microsocks(NULL);
    proxy_peers[SOCKS_AUTH] = peer_microsocks("me:sesame");
    return mosquitto != NULL ? 0 : -1;
}

/* ---- a connection ---- */

static const char *in_certificates(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", certificates, name);
    return path;
}

static tern_tls_options *trusting(const char *authority)
{
    tern_tls_options *tls;
    assert_int_equal(tern_tls_options_new(&tls), 0);
    if (authority != NULL) assert_int_equal(tern_tls_options_add_ca_file(tls, in_certificates(authority)), 0);
    return tls;
}

/* Takes the TLS options. */
static tern_connection_options *options_at(const char *scheme, uint16_t port, tern_tls_options *tls)
{
    char url[100];
    tern_connection_options *options;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u", scheme, port);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 20, 200, TERN_JITTER_PROPORTIONAL), 0);
    if (tls != NULL) assert_int_equal(tern_connection_options_set_tls(options, tls), 0);
    tern_tls_options_free(tls);
    return options;
}

static tern_connection_options *options_for(const char *scheme, int which, tern_tls_options *tls)
{
    return options_at(scheme, mosquitto->ports[which], tls);
}

static void set_proxy(tern_connection_options *options, const char *scheme, const char *login, int which)
{
    char url[100];
    snprintf(url, sizeof url, "%s://%s127.0.0.1:%u", scheme, login, proxy_peers[which]->port);
    assert_int_equal(tern_connection_options_set_proxy(options, url), 0);
}

/* A client on a loop with the poller whose turn it is. */
static tern_client *new_client(void)
{
    static unsigned turn;
    tern_loop *loop;
    tern_client *client;
    tern_client_options *fixed;
    assert_int_equal(tern_loop_new(&loop, 1, turn++ % 2 == 0 ? TERN_POLLER_EPOLL : TERN_POLLER_POLL), 0);
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_loop(fixed, loop), 0);
    assert_int_equal(tern_client_new(&client, fixed), 0);
    tern_client_options_free(fixed);
    tern_loop_free(loop);
    return client;
}

/* Bytes in which a shifted or lost one is seen. */
static void fill(uint8_t *data, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
}

static void send_and_take(tern_client *client, size_t len, uint32_t qos)
{
    static uint8_t sent[BIG];
    tern_message *message = NULL;
    fill(sent, len, (uint32_t)len + qos);
    assert_int_equal(tern_client_publish_wait(client, "way", sent, len, qos, PATIENCE), 0);
    assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), 0);
    assert_int_equal(tern_message_payload_length(message), len);
    if (len != 0) assert_memory_equal(tern_message_payload(message), sent, len);
    tern_message_unref(message);
}

/* Takes the options: what is published comes back, of every QoS and in several sizes, also after a new connection. */
static void round_trips(tern_connection_options *options, size_t largest)
{
    const size_t sizes[] = {10, largest, 0, 4000};
    const size_t count = largest == SLOW ? 2 : 4;
    tern_client *client = new_client();
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    for (int round = 0; round < 2; round++) {
        tern_token *token;
        if (tern_client_connect_wait(client, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(client));
        assert_int_equal(tern_client_subscribe_wait(client, "way", TERN_QOS_2, PATIENCE), 0);
        for (size_t i = 0; i < count; i++)
            for (uint32_t qos = 0; qos <= 2; qos++) send_and_take(client, sizes[i], qos);
        assert_int_equal(tern_client_disconnect(client, 0, &token), 0);
        assert_int_equal(tern_token_wait(token, PATIENCE), 0);
        tern_token_unref(token);
    }
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    tern_client_free(client);
}

/* Takes the options: connecting stops, or at least fails, with this error, and says so. */
static void is_refused(tern_connection_options *options, int error, tern_step step, const char *text, bool stops, int http)
{
    watch seen;
    tern_client *client = new_client();
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(watch_wait(&seen, stops ? TERN_EVENT_STOPPED : TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
    watch_record failed = watch_last(&seen, stops ? TERN_EVENT_STOPPED : TERN_EVENT_CONNECT_FAILED);
    if (strstr(failed.text, text) == NULL) fail_msg("\"%s\" is not in \"%s\"", text, failed.text);
    assert_null(strstr(failed.text, "sesame"));
    assert_int_equal(failed.error, error);
    assert_int_equal(failed.step, step);
    assert_int_equal(failed.http_status, http);
    if (failed.hint[0] == '\0') fail_msg("no hint for \"%s\"", failed.text);
    tern_client_free(client);
    watch_deinit(&seen);
}

/* ---- tests ---- */

static void tls(void **state)
{
    (void)state;
    round_trips(options_for("mqtts", PEER_TLS, trusting("root.pem")), BIG);
    tern_tls_options *newest = trusting("root.pem");
    assert_int_equal(tern_tls_options_set_minimum_version(newest, TERN_TLS_1_3), 0);
    assert_int_equal(tern_tls_options_set_resumption(newest, 0), 0);
    round_trips(options_for("ssl", PEER_TLS, newest), BIG);
}

static void mutual_tls(void **state)
{
    (void)state;
    tern_tls_options *plain = trusting("root.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(plain, in_certificates("client.pem"), in_certificates("client.key")), 0);
    round_trips(options_for("tls", PEER_MUTUAL, plain), BIG);
    tern_tls_options *encrypted = trusting("root.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(encrypted, in_certificates("client.pem"), in_certificates("client_enc.key")), 0);
    assert_int_equal(tern_tls_options_set_key_password(encrypted, "sesame"), 0);
    round_trips(options_for("mqtts", PEER_MUTUAL, encrypted), BIG);
}

static void pre_shared_keys(void **state)
{
    (void)state;
    static const uint8_t key[] = {0xC0, 0xFF, 0xEE, 0x01, 0x23, 0x45, 0x67, 0x89};
    tern_tls_options *psk = trusting(NULL);
    peer *sharing = peer_mosquitto_psk(certificates);
    assert_non_null(sharing);
    assert_int_equal(tern_tls_options_set_psk(psk, "device", key, sizeof key), 0);
    round_trips(options_at("mqtts", sharing->port, psk), BIG);
    peer_stop(sharing);
}

static void websocket(void **state)
{
    (void)state;
    round_trips(options_for("ws", PEER_WS, NULL), SLOW);
    round_trips(options_for("wss", PEER_WSS, trusting("root.pem")), SLOW);
}

/* A way through each proxy, for each kind of stream. */
static void proxies(void **state)
{
    (void)state;
    static const struct {
        const char *scheme;
        const char *login;
        int which;
    } rows[] = {{"http", "", HTTP}, {"http", "me:sesame@", HTTP_AUTH}, {"socks5", "", SOCKS}, {"socks5", "me:sesame@", SOCKS_AUTH}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (proxy_peers[rows[i].which] == NULL) continue;
        tern_connection_options *plain = options_for("mqtt", PEER_PLAIN, NULL);
        tern_connection_options *secure = options_for("mqtts", PEER_TLS, trusting("root.pem"));
        tern_connection_options *both = options_for("wss", PEER_WSS, trusting("root.pem"));
        set_proxy(plain, rows[i].scheme, rows[i].login, rows[i].which);
        set_proxy(secure, rows[i].scheme, rows[i].login, rows[i].which);
        set_proxy(both, rows[i].scheme, rows[i].login, rows[i].which);
        round_trips(plain, BIG);
        round_trips(secure, BIG);
        round_trips(both, SLOW);
    }
}

/* What is wrong with our own files and keys, and with a server that does not speak TLS; certificates are trust_test's. */
static void refusals_of_tls(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *password;
        const char *text;
    } rows[] = {
        {"client_enc.key", NULL, "client_enc.key: the key is encrypted"},
        {"client_enc.key", "sesam", "the key's password is wrong"},
        {"other.key", NULL, "key values mismatch"},
        {"nowhere.key", NULL, "nowhere.key: No such file"},
        {"client.pem", NULL, "client.pem: there is no key in it that OpenSSL knows"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern_tls_options *tls = trusting("root.pem");
        assert_int_equal(tern_tls_options_set_certificate_file(tls, in_certificates("client.pem"), in_certificates(rows[i].key)), 0);
        if (rows[i].password != NULL) assert_int_equal(tern_tls_options_set_key_password(tls, rows[i].password), 0);
        is_refused(options_for("mqtts", PEER_MUTUAL, tls), TERN_E_TLS, TERN_STEP_TLS, rows[i].text, true, 0);
    }
    is_refused(options_for("mqtts", PEER_MUTUAL, trusting("root.pem")), TERN_E_TLS, TERN_STEP_TLS, "alert 116", true, 0);
    is_refused(options_for("mqtts", PEER_TLS, trusting("nowhere.pem")), TERN_E_TLS, TERN_STEP_TLS, "nowhere.pem: No such file", true, 0);
    is_refused(options_for("mqtts", PEER_PLAIN, trusting("root.pem")), TERN_E_TLS, TERN_STEP_TLS, "during the handshake", false, 0);
}

static void refusals_of_proxies(void **state)
{
    (void)state;
    if (proxy_peers[HTTP_AUTH] == NULL || proxy_peers[SOCKS_AUTH] == NULL) skip();
    tern_connection_options *http = options_for("mqtt", PEER_PLAIN, NULL);
    tern_connection_options *socks = options_for("mqtt", PEER_PLAIN, NULL);
    set_proxy(http, "http", "me:sesame2@", HTTP_AUTH);
    set_proxy(socks, "socks5", "me:sesame2@", SOCKS_AUTH);
    is_refused(http, TERN_E_PROXY, TERN_STEP_PROXY, "40", false, 401);
    is_refused(socks, TERN_E_PROXY, TERN_STEP_PROXY, "user name", false, 0);
}

static void copy_file(const char *from, const char *to)
{
    char text[8192];
    char partial[220];
    FILE *in = fopen(from, "r");
    assert_non_null(in);
    const size_t len = fread(text, 1, sizeof text, in);
    fclose(in);
    snprintf(partial, sizeof partial, "%s.new", to);
    FILE *out = fopen(partial, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(rename(partial, to), 0);
}

/* Certificates are read again at each connection: the authority comes after the first attempt failed. */
static void a_file_that_changes_is_read_again(void **state)
{
    (void)state;
    watch seen;
    copy_file(in_certificates("wrong.pem"), in_certificates("rotating.pem"));
    tern_connection_options *options = options_for("mqtts", PEER_TLS, trusting("rotating.pem"));
    assert_int_equal(tern_connection_options_set_retry_refused(options, 1), 0);
    tern_client *client = new_client();
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(watch_wait(&seen, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
    copy_file(in_certificates("root.pem"), in_certificates("rotating.pem"));
    assert_true(watch_wait(&seen, TERN_EVENT_CONNECTED, 1, PATIENCE));
    tern_client_free(client);
    watch_deinit(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls),
        cmocka_unit_test(mutual_tls),
        cmocka_unit_test(pre_shared_keys),
        cmocka_unit_test(websocket),
        cmocka_unit_test(proxies),
        cmocka_unit_test(refusals_of_tls),
        cmocka_unit_test(refusals_of_proxies),
        cmocka_unit_test(a_file_that_changes_is_read_again),
    };
    if (!peer_is_installed("mosquitto") || !peer_is_installed("openssl")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
