/* The real peers serve what they say: certificates, mosquitto's listeners, proxies, nginx and
 * s_server, asked by openssl, curl and mosquitto_pub, so that a failing test of the library accuses
 * the library. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/net.h"
#include "support/peers.h"

enum { OUTPUT = 65536, ANSWERS = 512 };

static const char *certificates;
static peer *broker;
static char output[OUTPUT];

static const char *in_certificates(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", certificates, name);
    return path;
}

static const char *number(unsigned value)
{
    static char texts[8][16];
    static unsigned next;
    char *text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "%u", value);
    return text;
}

static const char *at(uint16_t port)
{
    static char texts[4][32];
    static unsigned next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "127.0.0.1:%u", port);
    return text;
}

static void check_output(const char *text)
{
    if (strstr(output, text) == NULL) fail_msg("\"%s\" is not in:\n%s", text, output);
}

static void check_log(const peer *p, const char *text)
{
    if (!peer_logged(p, text)) fail_msg("\"%s\" is not in the log of %s", text, p->name);
}

static int set_up(void **state)
{
    (void)state;
    certificates = peer_certificates();
    if (certificates == NULL) return -1;
    if (peer_is_installed("mosquitto")) broker = peer_mosquitto(certificates);
    return 0;
}

/* ---- certificates ---- */

/* What openssl verify says, for a server with this name and these options; "" where nothing is
 * wrong. */
static void check_verdict(const char *name, const char *host, const char *const *options,
                          const char *verdict)
{
    const char *arguments[16] = {"openssl",          "verify",
                                 "-CAfile",          in_certificates("root.pem"),
                                 "-untrusted",       in_certificates(name),
                                 "-verify_hostname", host,
                                 "-purpose",         "sslserver"};
    size_t n = 10;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        arguments[n++] = options[i];
    arguments[n] = in_certificates(name);
    const int status = peer_run(arguments, NULL, output, OUTPUT);
    assert_int_equal(status == 0, verdict[0] == '\0');
    check_output(verdict[0] == '\0' ? ": OK" : verdict);
}

static void every_certificate_is_wrong_in_its_way(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *host;
        const char *verdict;
    } rows[] = {
        {"good.pem", "localhost", ""},
        {"expired.pem", "localhost", "error 10 at 0 depth"},
        {"early.pem", "localhost", "error 9 at 0 depth"},
        {"other_name.pem", "localhost", "error 62 at 0 depth"},
        {"other_name.pem", "elsewhere.test", ""},
        {"common_name.pem", "localhost",
         ""}, /* openssl takes the common name, the library does not */
        {"address.pem", "localhost", "error 62"},
        {"wild.pem", "a.example.test", ""},
        {"wild.pem", "example.test", "error 62"},
        {"wild.pem", "a.b.example.test", "error 62"},
        {"wild_deep.pem", "a.b.example.test", ""},
        {"wild_part.pem", "a1.example.test", ""},
        {"wild_top.pem", "example.test", "error 62"},
        {"nul_name.pem", "localhost", "error 62"},
        {"purpose.pem", "localhost", "error 26"},
        {"self_signed.pem", "localhost", "error 18"},
        {"wrong_ca.pem", "localhost", "error 20"},
        {"broken.pem", "localhost", "error 20"},
        {"revoked.pem", "localhost", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_verdict(rows[i].name, rows[i].host, NULL, rows[i].verdict);
}

static void lists_and_answers_know_what_is_revoked(void **state)
{
    (void)state;
    const char *const new_list[] = {"-crl_check_all", "-CRLfile", in_certificates("crl.pem"), NULL};
    check_verdict("good.pem", "localhost", new_list, "");
    check_verdict("revoked.pem", "localhost", new_list, "error 23 at 0 depth");
    const char *const old_list[] = {"-crl_check", "-CRLfile", in_certificates("crl_old.pem"), NULL};
    check_verdict("good.pem", "localhost", old_list, "error 12 at 0 depth");
    static const struct {
        const char *answer;
        const char *name;
        const char *verdict;
    } rows[] = {{"ocsp_good.der", "good.pem", "good.pem: good"},
                {"ocsp_revoked.der", "revoked.pem", "revoked.pem: revoked"}};
    for (size_t i = 0; i < 2; i++) {
        const char *const arguments[] = {"openssl", "ocsp",
                                         "-respin", in_certificates(rows[i].answer),
                                         "-issuer", in_certificates("intermediate.pem"),
                                         "-CAfile", in_certificates("root.pem"),
                                         "-cert",   in_certificates(rows[i].name),
                                         NULL};
        assert_int_equal(peer_run(arguments, NULL, output, OUTPUT), 0);
        check_output("Response verify OK");
        check_output(rows[i].verdict);
    }
}

static void the_client_key_opens_with_its_password_only(void **state)
{
    (void)state;
    char source[200];
    snprintf(source, sizeof source, "file:%s", in_certificates("client_password"));
    const char *const right[] = {"openssl", "pkey", "-in",    in_certificates("client_enc.key"),
                                 "-passin", source, "-noout", NULL};
    const char *const wrong[] = {
        "openssl", "pkey",       "-in",    in_certificates("client_enc.key"),
        "-passin", "pass:sesam", "-noout", NULL};
    assert_int_equal(peer_run(right, NULL, output, OUTPUT), 0);
    assert_int_not_equal(peer_run(wrong, NULL, output, OUTPUT), 0);
}

/* ---- mosquitto ---- */

/* mosquitto_pub's status for a listener and more options. */
static int publish(uint16_t port, const char *const *options)
{
    const char *arguments[32] = {
        "mosquitto_pub", "-h", "127.0.0.1", "-p", number(port), "-t", "t", "-m", "m", "-q", "1"};
    size_t n = 11;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        arguments[n++] = options[i];
    return peer_run(arguments, NULL, output, OUTPUT);
}

static int publish_as(const char *client)
{
    const char *const options[] = {
        "--cafile", in_certificates("root.pem"),   "--cert", in_certificates(client),
        "--key",    in_certificates("client.key"), NULL};
    return publish(broker->ports[PEER_MUTUAL], options);
}

static bool can_publish(void)
{
    return broker != NULL && peer_is_installed("mosquitto_pub");
}

static void mosquitto_speaks_tls(void **state)
{
    (void)state;
    if (!can_publish()) skip();
    const char *const trusting[] = {"--cafile", in_certificates("root.pem"), NULL};
    const char *const mistaken[] = {"--cafile", in_certificates("wrong.pem"), NULL};
    assert_int_equal(publish(broker->ports[PEER_PLAIN], NULL), 0);
    assert_int_equal(publish(broker->ports[PEER_TLS], trusting), 0);
    assert_int_not_equal(publish(broker->ports[PEER_TLS], mistaken), 0);
    check_log(broker, "alert unknown ca");
    assert_int_not_equal(publish(broker->ports[PEER_PLAIN], trusting), 0);
}

static void mutual_tls_wants_a_certificate(void **state)
{
    (void)state;
    if (!can_publish()) skip();
    const char *const nameless[] = {"--cafile", in_certificates("root.pem"), NULL};
    assert_int_equal(publish_as("client.pem"), 0);
    assert_int_not_equal(publish(broker->ports[PEER_MUTUAL], nameless), 0);
    check_log(broker, "peer did not return a certificate");
    assert_int_not_equal(publish_as("client_expired.pem"), 0);
    assert_int_not_equal(publish_as("client_wrong.pem"), 0);
    assert_int_not_equal(publish_as("client_revoked.pem"), 0);
}

static void shared_keys_are_compared(void **state)
{
    (void)state;
    if (!can_publish()) skip();
    const char *const right[] = {"--psk-identity", "device", "--psk", "c0ffee0123456789", NULL};
    const char *const wrong[] = {"--psk-identity", "device", "--psk", "c0ffee0123456788", NULL};
    peer *mosquitto = peer_mosquitto_psk(certificates);
    assert_non_null(mosquitto);
    assert_int_equal(publish(mosquitto->port, right), 0);
    assert_int_not_equal(publish(mosquitto->port, wrong), 0);
    peer_stop(mosquitto);
}

static void tls_is_served_over_ipv6(void **state)
{
    (void)state;
    char where[32];
    if (broker == NULL || broker->ports[PEER_TLS_IPV6] == 0) skip();
    snprintf(where, sizeof where, "[::1]:%u", broker->ports[PEER_TLS_IPV6]);
    const char *const arguments[] = {"openssl",    "s_client", "-connect",
                                     where,        "-CAfile",  in_certificates("root.pem"),
                                     "-verify_ip", "::1",      "-verify_return_error",
                                     "-brief",     NULL};
    assert_int_equal(peer_run(arguments, NULL, output, OUTPUT), 0);
    check_output("Verification: OK");
}

/* What curl gets for an upgrade to WebSocket: the answer's head. */
static int upgrade(const char *scheme, uint16_t port)
{
    char url[64];
    snprintf(url, sizeof url, "%s://%s/mqtt", scheme, at(port));
    const char *const arguments[] = {"curl",       "-sS",
                                     "-i",         "--noproxy",
                                     "*",          "--http1.1",
                                     "--max-time", "1",
                                     "--cacert",   in_certificates("root.pem"),
                                     "-H",         "Upgrade: websocket",
                                     "-H",         "Connection: Upgrade",
                                     "-H",         "Sec-WebSocket-Version: 13",
                                     "-H",         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                                     "-H",         "Sec-WebSocket-Protocol: mqtt",
                                     url,          NULL};
    return peer_run(arguments, NULL, output, OUTPUT);
}

/* An upgraded connection does not end by itself: curl's time runs out, with the answer printed. */
static void check_upgrade(const char *scheme, uint16_t port)
{
    (void)upgrade(scheme, port);
    check_output("101 Switching Protocols");
    check_output("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void websocket_is_upgraded_to(void **state)
{
    (void)state;
    if (broker == NULL || !peer_is_installed("curl")) skip();
    check_upgrade("http", broker->ports[PEER_WS]);
    check_upgrade("https", broker->ports[PEER_WSS]);
}

/* s_client's status for a server that is verified by the root. */
static int look_at(uint16_t port, const char *const *options)
{
    const char *arguments[32] = {"openssl",
                                 "s_client",
                                 "-connect",
                                 at(port),
                                 "-CAfile",
                                 in_certificates("root.pem"),
                                 "-verify_return_error"};
    size_t n = 7;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        arguments[n++] = options[i];
    return peer_run(arguments, NULL, output, OUTPUT);
}

static void each_listener_shows_its_certificate(void **state)
{
    (void)state;
    static const char *const names[] = {"good",   "expired",     "early",
                                        "broken", "self_signed", "wrong_ca"};
    static const char *const verdicts[] = {
        "Verify return code: 0", "num=10", "num=9", "num=20", "num=18", "num=20"};
    if (!peer_is_installed("mosquitto")) skip();
    peer *p = peer_mosquitto_showing(certificates, names, 6);
    assert_non_null(p);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(look_at(p->ports[i], NULL) == 0, i == 0);
        check_output(verdicts[i]);
    }
    peer_stop(p);
    assert_int_equal(net_connect("127.0.0.1", p->ports[0]), -1);
}

/* ---- proxies and fronts ---- */

/* curl asks the broker's WebSocket listener for a page through a proxy: 0 and HTTP status 400 or
 * the like where the way is open. */
static int through(const char *proxy)
{
    char url[64];
    snprintf(url, sizeof url, "http://%s/", at(broker->ports[PEER_WS]));
    const char *const arguments[] = {"curl",    "-sS",           "-v",         "--noproxy",
                                     "",        "--proxytunnel", "--max-time", "5",
                                     "--proxy", proxy,           url,          NULL};
    return peer_run(arguments, NULL, output, OUTPUT);
}

static const char *proxy_url(const char *scheme, const char *login, const peer *p)
{
    static char url[80];
    snprintf(url, sizeof url, "%s://%s%s", scheme, login, at(p->port));
    return url;
}

static void tinyproxy_asks_for_a_login(void **state)
{
    (void)state;
    if (broker == NULL || !peer_is_installed("tinyproxy") || !peer_is_installed("curl")) skip();
    const peer *anyone = peer_tinyproxy(NULL);
    const peer *known = peer_tinyproxy("me:sesame");
    assert_non_null(anyone);
    assert_non_null(known);
    (void)through(proxy_url("http", "", anyone));
    check_output("200 Connection established");
    (void)through(proxy_url("http", "me:sesame@", known));
    check_output("200 Connection established");
    assert_int_not_equal(through(proxy_url("http", "", known)), 0);
    check_output("HTTP/1.0 407");
    /* not 407: tinyproxy tells a wrong login from none */
    assert_int_not_equal(through(proxy_url("http", "me:sesam@", known)), 0);
    check_output("HTTP/1.0 401");
}

static void microsocks_asks_for_a_login(void **state)
{
    (void)state;
    if (broker == NULL || !peer_is_installed("microsocks") || !peer_is_installed("curl")) skip();
    const peer *anyone = peer_microsocks(NULL);
    const peer *known = peer_microsocks("me:sesame");
    assert_non_null(anyone);
    assert_non_null(known);
    assert_int_not_equal(through(proxy_url("socks5h", "", anyone)), 97);
    assert_int_not_equal(through(proxy_url("socks5h", "me:sesame@", known)), 97);
    /* 97: the proxy's handshake failed */
    assert_int_equal(through(proxy_url("socks5h", "me:sesam@", known)), 97);
    assert_int_equal(through(proxy_url("socks5h", "", known)), 97);
}

static void nginx_ends_tls_and_staples(void **state)
{
    (void)state;
    char more[400];
    if (broker == NULL || !peer_is_installed("nginx") || !peer_is_installed("curl")) skip();
    snprintf(more, sizeof more, "ssl_protocols TLSv1.2;\nssl_stapling on;\nssl_stapling_file %s;",
             in_certificates("ocsp_good.der"));
    const peer *p = peer_nginx(certificates, broker->ports[PEER_WS], more);
    assert_non_null(p);
    check_upgrade("https", p->port);
    const char *const asking[] = {"-status", NULL};
    const char *const newer[] = {"-tls1_3", NULL};
    assert_int_equal(look_at(p->port, asking), 0);
    check_output("OCSP Response Status: successful");
    check_output("Cert Status: good");
    check_output("Protocol  : TLSv1.2");
    assert_int_not_equal(look_at(p->port, newer), 0);
}

static void s_server_takes_options(void **state)
{
    (void)state;
    const char *const options[] = {"-alpn",
                                   "mqtt,x-amzn-mqtt-ca",
                                   "-tls1_2",
                                   "-status_file",
                                   in_certificates("ocsp_revoked.der"),
                                   NULL};
    const char *const asking[] = {"-alpn", "x-amzn-mqtt-ca", "-status", NULL};
    const char *const newer[] = {"-tls1_3", NULL};
    peer *p = peer_s_server(certificates, "revoked", options);
    assert_non_null(p);
    assert_int_equal(look_at(p->port, asking), 0);
    check_output("ALPN protocol: x-amzn-mqtt-ca");
    check_output("Cert Status: revoked");
    assert_int_not_equal(look_at(p->port, newer), 0);
    peer_stop(p);
    peer *alone = peer_s_server(certificates, "broken", NULL);
    assert_non_null(alone);
    assert_int_not_equal(look_at(alone->port, NULL), 0);
    check_output("num=20");
    peer_stop(alone);
}

/* ---- the helper itself ---- */

static void programs_end_as_they_end(void **state)
{
    (void)state;
    const char *const speaks[] = {"sh", "-c", "cat; echo err >&2; exit 3", NULL};
    const char *const nobody[] = {"/nowhere/program", NULL};
    const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
    assert_int_equal(peer_run(speaks, "in ", output, OUTPUT), 3);
    assert_string_equal(output, "in err\n");
    assert_int_equal(peer_run(speaks, "in ", output, 3), 3);
    assert_string_equal(output, "in");
    assert_int_equal(peer_run(nobody, NULL, output, OUTPUT), 127);
    assert_int_equal(peer_run(killed, NULL, output, OUTPUT), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_certificate_is_wrong_in_its_way),
        cmocka_unit_test(lists_and_answers_know_what_is_revoked),
        cmocka_unit_test(the_client_key_opens_with_its_password_only),
        cmocka_unit_test(mosquitto_speaks_tls),
        cmocka_unit_test(mutual_tls_wants_a_certificate),
        cmocka_unit_test(shared_keys_are_compared),
        cmocka_unit_test(tls_is_served_over_ipv6),
        cmocka_unit_test(websocket_is_upgraded_to),
        cmocka_unit_test(each_listener_shows_its_certificate),
        cmocka_unit_test(tinyproxy_asks_for_a_login),
        cmocka_unit_test(microsocks_asks_for_a_login),
        cmocka_unit_test(nginx_ends_tls_and_staples),
        cmocka_unit_test(s_server_takes_options),
        cmocka_unit_test(programs_end_as_they_end),
    };
    if (!peer_is_installed("openssl")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
