/* What TLS agrees on, and who is told: version, application protocol, resumed sessions, the key log; of attempts that
 * worked and of those that failed later.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/net.h"
#include "support/peers.h"

enum { PATIENCE = NET_PATIENCE_MS };

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

static tern_tls_options *trusting(void)
{
    char path[200];
    tern_tls_options *tls;
    snprintf(path, sizeof path, "%s/root.pem", certificates);
    assert_int_equal(tern_tls_options_new(&tls), 0);
    assert_int_equal(tern_tls_options_add_ca_file(tls, path), 0);
    return tls;
}

/* A client that is configured, and what it tells. */
typedef struct session {
    tern_client *client;
    watch seen;
} session;

static session s;

/* Takes the TLS options. */
static void start(const char *url, tern_tls_options *tls, uint32_t timeout_ms)
{
    tern_connection_options *options;
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_tls(options, tls), 0);
    assert_int_equal(tern_connection_options_set_connect_timeout(options, timeout_ms), 0);
    assert_int_equal(tern_connection_options_set_retry_limit(options, 1, 10000), 0);
    assert_int_equal(tern_client_new(&s.client, NULL), 0);
    watch_init(&s.seen, s.client);
    assert_int_equal(tern_client_configure(s.client, options), 0);
    tern_connection_options_free(options);
    tern_tls_options_free(tls);
}

static void finish(void)
{
    tern_client_free(s.client);
    watch_deinit(&s.seen);
}

/* The n-th connection, from 1: connects, and disconnects. */
static watch_record connect_once(uint64_t n)
{
    tern_token *token;
    if (tern_client_connect_wait(s.client, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(s.client));
    /* TLS 1.3 sends its tickets after the handshake: what follows CONNACK comes behind them. */
    assert_int_equal(tern_client_subscribe_wait(s.client, "t", TERN_QOS_0, PATIENCE), 0);
    assert_true(watch_wait(&s.seen, TERN_EVENT_CONNECTED, n, PATIENCE));
    assert_int_equal(tern_client_disconnect(s.client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    return watch_nth(&s.seen, TERN_EVENT_CONNECTED, n);
}

static void check_resumption(const char *url, const char *version, int wanted)
{
    tern_tls_options *tls = trusting();
    assert_int_equal(tern_tls_options_set_resumption(tls, wanted), 0);
    start(url, tls, PATIENCE);
    for (uint64_t n = 1; n <= 3; n++) {
        const bool resumed = wanted && n > 1;
        const watch_record record = connect_once(n);
        assert_string_equal(record.tls_version, version);
        assert_int_equal(record.tls_resumed, resumed);
        /* A resumed session of TLS 1.2 may still know the certificate; it was not shown again. */
        if (!resumed) assert_int_equal(record.certificates, 2);
        if (!resumed) assert_non_null(strstr(record.certificate_names, "localhost"));
    }
    finish();
}

/* The second connection resumes the first one's session, unless that is not wanted. */
static void sessions_are_resumed(void **state)
{
    (void)state;
    char url[80];
    for (int wanted = 1; wanted >= 0; wanted--) {
        snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", mosquitto->ports[PEER_TLS]);
        check_resumption(url, "TLSv1.3", wanted);
    }
    if (!peer_is_installed("nginx")) return;
    peer *nginx = peer_nginx(certificates, mosquitto->ports[PEER_WS], "ssl_protocols TLSv1.2;");
    assert_non_null(nginx);
    for (int wanted = 1; wanted >= 0; wanted--) {
        snprintf(url, sizeof url, "wss://127.0.0.1:%u/mqtt", nginx->port);
        check_resumption(url, "TLSv1.2", wanted);
    }
    peer_stop(nginx);
}

/* Whoever answers is no MQTT server: the attempt fails after TLS, and what TLS agreed on is told all the same. */
static void a_failure_after_tls_tells_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *wanted; /* by the client; NULL nothing */
        const char *agreed;
        const char *version; /* that the server is held to */
        const char *told;
    } rows[] = {{"mqtt", "mqtt", "-tls1_3", "TLSv1.3"},
                {"x-amzn-mqtt-ca,mqtt", "mqtt", "-tls1_2", "TLSv1.2"},
                {NULL, "", "-tls1_3", "TLSv1.3"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char url[80];
        const char *const options[] = {"-alpn", "mqtt", rows[i].version, NULL};
        peer *server = peer_s_server(certificates, "good", options);
        assert_non_null(server);
        tern_tls_options *tls = trusting();
        if (rows[i].wanted != NULL) assert_int_equal(tern_tls_options_set_alpn(tls, rows[i].wanted), 0);
        snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", server->port);
        start(url, tls, 1000);
        assert_int_not_equal(tern_client_connect_wait(s.client, PATIENCE), 0);
        assert_true(watch_wait(&s.seen, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
        const watch_record record = watch_nth(&s.seen, TERN_EVENT_CONNECT_FAILED, 1);
        assert_int_equal(record.step, TERN_STEP_MQTT);
        assert_string_equal(record.tls_version, rows[i].told);
        assert_string_equal(record.tls_protocol, rows[i].agreed);
        assert_int_equal(record.certificates, 2);
        assert_non_null(strstr(record.certificate_names, "localhost"));
        const watch_record stopped = watch_last(&s.seen, TERN_EVENT_STOPPED);
        assert_string_equal(stopped.tls_version, ""); /* told once */
        finish();
        peer_stop(server);
    }
}

/* The debugger's file has the secrets of both sides, and nobody else may read it; a warning says that it is written. */
static void the_key_log_is_its_owners(void **state)
{
    (void)state;
    char path[200];
    char text[8192];
    char url[80];
    struct stat status;
    snprintf(path, sizeof path, "%s/keys.log", certificates);
    tern_tls_options *tls = trusting();
    assert_int_equal(tern_tls_options_set_key_log_file(tls, path), 0);
    snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", mosquitto->ports[PEER_TLS]);
    start(url, tls, PATIENCE);
    (void)connect_once(1);
    (void)connect_once(2);
    finish();
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *first = strstr(text, "CLIENT_TRAFFIC_SECRET_0 ");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "CLIENT_TRAFFIC_SECRET_0 ")); /* of both connections */
    assert_non_null(strstr(text, "SERVER_TRAFFIC_SECRET_0 "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(a_failure_after_tls_tells_of_it),
        cmocka_unit_test(the_key_log_is_its_owners),
    };
    if (!peer_is_installed("mosquitto") || !peer_is_installed("openssl")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
