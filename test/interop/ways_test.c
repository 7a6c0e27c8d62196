/* Every way to a broker: TLS, mutual TLS, pre-shared keys, WebSocket and proxies, against Debian's mosquitto, tinyproxy and microsocks.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
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
#include "support/broker.h"
#include "support/net.h"

/* mosquitto 2.0 sends 4 KiB each 100 ms over WebSocket. */
enum { PATIENCE = NET_PATIENCE_MS, BIG = 300000, SLOW = 5000 };

/* Listeners of the one broker, and the proxies before it. */
enum { PLAIN, TLS, MUTUAL, PSK, WS, WSS, HTTP, HTTP_AUTH, SOCKS, SOCKS_AUTH, PORTS };

typedef struct world {
    char folder[96];
    broker broker;
    uint16_t ports[PORTS];
    pid_t proxies[PORTS]; /* 0 where the program is not installed */
} world;

static world w;

/* ---- the world ---- */

static uint16_t free_port(void)
{
    uint16_t port;
    int listener = net_listen("127.0.0.1", &port);
    assert_true(listener >= 0);
    close(listener);
    return port;
}

static void write_file(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", w.folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static bool start_broker(void)
{
    char listeners[2048];
    char certificates[400];
    snprintf(certificates, sizeof certificates, "cafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile %s/server.key\n", w.folder, w.folder,
             w.folder);
    snprintf(listeners, sizeof listeners,
             "allow_anonymous true\nlistener %u 127.0.0.1\n%slistener %u 127.0.0.1\n%srequire_certificate true\n"
             "listener %u 127.0.0.1\npsk_hint tern\npsk_file %s/psk\nlistener %u\nsocket_domain ipv4\nprotocol websockets\n"
             "listener %u\nsocket_domain ipv4\nprotocol websockets\n%s",
             w.ports[TLS], certificates, w.ports[MUTUAL], certificates, w.ports[PSK], w.folder, w.ports[WS], w.ports[WSS], certificates);
    if (!broker_new(&w.broker, listeners)) return false;
    w.ports[PLAIN] = w.broker.port;
    for (int i = TLS; i <= WSS; i++) assert_true(net_wait_listening("127.0.0.1", w.ports[i], PATIENCE));
    return true;
}

static void start_proxy(int which, char *const arguments[])
{
    w.proxies[which] = net_spawn(arguments, NULL);
    if (w.proxies[which] == 0) return;
    assert_true(net_wait_listening("127.0.0.1", w.ports[which], PATIENCE));
}

static void start_tinyproxy(int which, const char *more)
{
    char name[32];
    char text[300];
    char path[200];
    snprintf(name, sizeof name, "tinyproxy.%d", which);
    snprintf(text, sizeof text, "Port %u\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\n%s", w.ports[which], more);
    write_file(name, text);
    snprintf(path, sizeof path, "%s/%s", w.folder, name);
    start_proxy(which, (char *[]){"tinyproxy", "-d", "-c", path, NULL});
}

static void start_proxies(void)
{
    char port[8];
    char other[8];
    snprintf(port, sizeof port, "%u", w.ports[SOCKS]);
    snprintf(other, sizeof other, "%u", w.ports[SOCKS_AUTH]);
    start_tinyproxy(HTTP, "");
    start_tinyproxy(HTTP_AUTH, "BasicAuth me sesame\n");
    start_proxy(SOCKS, (char *[]){"microsocks", "-i", "127.0.0.1", "-p", port, NULL});
    start_proxy(SOCKS_AUTH, (char *[]){"microsocks", "-i", "127.0.0.1", "-p", other, "-u", "me", "-P", "sesame", NULL});
}

static int set_up(void **state)
{
    char command[400];
    (void)state;
    if (!net_temp_dir(w.folder, sizeof w.folder)) return -1;
    snprintf(command, sizeof command, "%s %s", TERN_TEST_CERTIFICATES, w.folder);
    if (system(command) != 0) return -1;
    for (int i = 0; i < PORTS; i++) w.ports[i] = free_port();
    if (!start_broker()) return -1;
    start_proxies();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < PORTS; i++)
        if (w.proxies[i] > 0) (void)net_stop(w.proxies[i], SIGTERM, PATIENCE);
    broker_free(&w.broker);
    net_remove_dir(w.folder);
    return 0;
}

/* ---- a connection ---- */

static const char *in_folder(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", w.folder, name);
    return path;
}

static tern_tls_options *trusting(const char *authority)
{
    tern_tls_options *tls;
    assert_int_equal(tern_tls_options_new(&tls), 0);
    if (authority != NULL) assert_int_equal(tern_tls_options_add_ca_file(tls, in_folder(authority)), 0);
    return tls;
}

/* Takes the TLS options. */
static tern_connection_options *options_for(const char *scheme, int which, tern_tls_options *tls)
{
    char url[100];
    tern_connection_options *options;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u", scheme, w.ports[which]);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 20, 200, TERN_JITTER_PROPORTIONAL), 0);
    if (tls != NULL) assert_int_equal(tern_connection_options_set_tls(options, tls), 0);
    tern_tls_options_free(tls);
    return options;
}

static void set_proxy(tern_connection_options *options, const char *scheme, const char *login, int which)
{
    char url[100];
    snprintf(url, sizeof url, "%s://%s127.0.0.1:%u", scheme, login, w.ports[which]);
    assert_int_equal(tern_connection_options_set_proxy(options, url), 0);
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
    tern_client *client;
    assert_int_equal(tern_client_new(&client, NULL), 0);
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
static void is_refused(tern_connection_options *options, int error, tern_step step, const char *text, bool stops, int http, int32_t verdict)
{
    watch seen;
    tern_client *client;
    assert_int_equal(tern_client_new(&client, NULL), 0);
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
    assert_int_equal(failed.verify_result, verdict);
    assert_string_not_equal(failed.hint, "");
    tern_client_free(client);
    watch_deinit(&seen);
}

/* ---- tests ---- */

static void tls(void **state)
{
    (void)state;
    round_trips(options_for("mqtts", TLS, trusting("ca.pem")), BIG);
    tern_tls_options *newest = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_minimum_version(newest, TERN_TLS_1_3), 0);
    assert_int_equal(tern_tls_options_set_resumption(newest, 0), 0);
    round_trips(options_for("ssl", TLS, newest), BIG);
}

static void mutual_tls(void **state)
{
    (void)state;
    tern_tls_options *plain = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(plain, in_folder("client.pem"), in_folder("client.key")), 0);
    round_trips(options_for("tls", MUTUAL, plain), BIG);
    tern_tls_options *encrypted = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(encrypted, in_folder("client.pem"), in_folder("client.enc.key")), 0);
    assert_int_equal(tern_tls_options_set_key_password(encrypted, "sesame"), 0);
    round_trips(options_for("mqtts", MUTUAL, encrypted), BIG);
}

static void pre_shared_keys(void **state)
{
    (void)state;
    static const uint8_t key[] = {0xC0, 0xFF, 0xEE, 0x01};
    tern_tls_options *psk = trusting(NULL);
    assert_int_equal(tern_tls_options_set_psk(psk, "device", key, sizeof key), 0);
    round_trips(options_for("mqtts", PSK, psk), BIG);
}

static void websocket(void **state)
{
    (void)state;
    round_trips(options_for("ws", WS, NULL), SLOW);
    round_trips(options_for("wss", WSS, trusting("ca.pem")), SLOW);
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
        if (w.proxies[rows[i].which] == 0) continue;
        tern_connection_options *plain = options_for("mqtt", PLAIN, NULL);
        tern_connection_options *secure = options_for("mqtts", TLS, trusting("ca.pem"));
        tern_connection_options *both = options_for("wss", WSS, trusting("ca.pem"));
        set_proxy(plain, rows[i].scheme, rows[i].login, rows[i].which);
        set_proxy(secure, rows[i].scheme, rows[i].login, rows[i].which);
        set_proxy(both, rows[i].scheme, rows[i].login, rows[i].which);
        round_trips(plain, BIG);
        round_trips(secure, BIG);
        round_trips(both, SLOW);
    }
}

static void refusals_of_tls(void **state)
{
    (void)state;
    tern_tls_options *elsewhere = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_verified_name(elsewhere, "elsewhere.example"), 0);
    tern_tls_options *nameless = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(nameless, in_folder("client.pem"), in_folder("client.enc.key")), 0);
    tern_tls_options *wrong = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(wrong, in_folder("client.pem"), in_folder("client.enc.key")), 0);
    assert_int_equal(tern_tls_options_set_key_password(wrong, "sesam"), 0);
    tern_tls_options *strange = trusting("ca.pem");
    assert_int_equal(tern_tls_options_set_certificate_file(strange, in_folder("client.pem"), in_folder("other.key")), 0);
    is_refused(options_for("mqtts", TLS, trusting("other.pem")), TERN_E_TLS, TERN_STEP_TLS, "certificate", true, 0, 19);
    is_refused(options_for("mqtts", TLS, trusting(NULL)), TERN_E_TLS, TERN_STEP_TLS, "certificate", true, 0, 19);
    is_refused(options_for("mqtts", TLS, elsewhere), TERN_E_TLS, TERN_STEP_TLS, "for localhost, 127.0.0.1", true, 0, 62);
    is_refused(options_for("mqtts", MUTUAL, trusting("ca.pem")), TERN_E_TLS, TERN_STEP_TLS, "alert 116", true, 0, 0);
    is_refused(options_for("mqtts", TLS, trusting("nowhere.pem")), TERN_E_TLS, TERN_STEP_TLS, "nowhere.pem: No such file", true, 0, 0);
    is_refused(options_for("mqtts", TLS, nameless), TERN_E_TLS, TERN_STEP_TLS, "client.enc.key: the key is encrypted", true, 0, 0);
    is_refused(options_for("mqtts", TLS, wrong), TERN_E_TLS, TERN_STEP_TLS, "the key's password is wrong", true, 0, 0);
    is_refused(options_for("mqtts", TLS, strange), TERN_E_TLS, TERN_STEP_TLS, "key values mismatch", true, 0, 0);
    is_refused(options_for("mqtts", PLAIN, trusting("ca.pem")), TERN_E_TLS, TERN_STEP_TLS, "during the handshake", false, 0, 0);
}

static void refusals_of_proxies(void **state)
{
    (void)state;
    if (w.proxies[HTTP_AUTH] == 0 || w.proxies[SOCKS_AUTH] == 0) skip();
    tern_connection_options *http = options_for("mqtt", PLAIN, NULL);
    tern_connection_options *socks = options_for("mqtt", PLAIN, NULL);
    set_proxy(http, "http", "me:sesame2@", HTTP_AUTH);
    set_proxy(socks, "socks5", "me:sesame2@", SOCKS_AUTH);
    is_refused(http, TERN_E_PROXY, TERN_STEP_PROXY, "40", false, 401, 0);
    is_refused(socks, TERN_E_PROXY, TERN_STEP_PROXY, "user name", false, 0, 0);
}

/* Certificates are read again at each connection: the authority comes after the first attempt failed. */
static void a_file_that_changes_is_read_again(void **state)
{
    (void)state;
    char command[600];
    watch seen;
    tern_client *client;
    snprintf(command, sizeof command, "cp %s/other.pem %s/rotating.pem", w.folder, w.folder);
    assert_int_equal(system(command), 0);
    tern_connection_options *options = options_for("mqtts", TLS, trusting("rotating.pem"));
    assert_int_equal(tern_connection_options_set_retry_refused(options, 1), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(watch_wait(&seen, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
    snprintf(command, sizeof command, "cp %s/ca.pem %s/rotating.new && mv %s/rotating.new %s/rotating.pem", w.folder, w.folder, w.folder,
             w.folder);
    assert_int_equal(system(command), 0);
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
    if (access("/usr/sbin/mosquitto", X_OK) != 0) return 77;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
