/* Which servers are trusted: every kind of certificate against every source of trust, revocation
 * lists and stapled answers, shown by mosquitto, nginx and openssl s_server.
 * SPDX-License-Identifier: Apache-2.0 */
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

enum { PATIENCE = NET_PATIENCE_MS };

/* X509_V_ERR_*, as they are on every version of OpenSSL. */
enum {
    NOT_YET = 9,
    EXPIRED = 10,
    LIST_EXPIRED = 12,
    SELF_SIGNED = 18,
    NO_ISSUER = 20,
    REVOKED = 23,
    PURPOSE = 26,
    NAME = 62,
    ADDRESS = 64
};

static const char *certificates;
static peer *shown;

static const char *const names[] = {"good",        "expired",  "early",    "other_name",
                                    "common_name", "address",  "wild",     "wild_deep",
                                    "wild_part",   "wild_top", "nul_name", "purpose",
                                    "self_signed", "wrong_ca", "broken",   "revoked"};

enum { NAMES = sizeof names / sizeof names[0] };

static const char *in_certificates(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", certificates, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    certificates = peer_certificates();
    if (certificates == NULL) return -1;
    shown = peer_mosquitto_showing(certificates, names, NAMES);
    return shown != NULL ? 0 : -1;
}

static uint16_t port_showing(const char *name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(names[i], name) == 0) return shown->ports[i];
    fail_msg("nobody shows %s", name);
    return 0;
}

/* ---- sources of trust ---- */

typedef enum source { FROM_FILE, FROM_DIRECTORY, FROM_MEMORY, FROM_SYSTEM, SOURCES } source;

static void add_from_memory(tern_tls_options *tls)
{
    char text[8192];
    FILE *file = fopen(in_certificates("root.pem"), "r");
    assert_non_null(file);
    const size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_int_equal(tern_tls_options_add_ca(tls, text, len), 0);
}

/* The system's authorities are where OpenSSL's two variables say, set while no client runs. */
static void trust_system(const char *authority)
{
    assert_int_equal(setenv("SSL_CERT_FILE", authority, 1), 0);
    assert_int_equal(setenv("SSL_CERT_DIR", "/nowhere", 1), 0);
}

static tern_tls_options *trusting(source from)
{
    tern_tls_options *tls;
    assert_int_equal(tern_tls_options_new(&tls), 0);
    trust_system(from == FROM_SYSTEM ? in_certificates("root.pem") : "/nowhere");
    if (from == FROM_FILE)
        assert_int_equal(tern_tls_options_add_ca_file(tls, in_certificates("root.pem")), 0);
    if (from == FROM_DIRECTORY)
        assert_int_equal(tern_tls_options_add_ca_directory(tls, in_certificates("trust")), 0);
    if (from == FROM_MEMORY) add_from_memory(tls);
    return tls;
}

/* ---- connecting ---- */

/* Takes the TLS options. The last record of the attempt: CONNECTED or CONNECT_FAILED. */
static watch_record attempt(const char *scheme, uint16_t port, tern_tls_options *tls)
{
    char url[80];
    static watch seen;
    tern_client *client;
    tern_connection_options *options;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u/mqtt", scheme, port);
    if (scheme[0] == 'm') *strrchr(url, '/') = '\0';
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_tls(options, tls), 0);
    assert_int_equal(tern_connection_options_set_retry_limit(options, 1, 10000), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    const int rc = tern_client_connect_wait(client, PATIENCE);
    tern_connection_options_free(options);
    tern_tls_options_free(tls);
    const tern_event_kind kind = rc == 0 ? TERN_EVENT_CONNECTED : TERN_EVENT_CONNECT_FAILED;
    assert_true(watch_wait(&seen, kind, 1, PATIENCE));
    tern_client_free(client);
    const watch_record record = watch_nth(&seen, kind, 1);
    watch_deinit(&seen);
    return record;
}

static void check_connects(const char *scheme, uint16_t port, tern_tls_options *tls)
{
    const watch_record record = attempt(scheme, port, tls);
    if (record.kind != TERN_EVENT_CONNECTED) fail_msg("%s", record.text);
}

static void check_refused(const char *scheme, uint16_t port, tern_tls_options *tls, int verdict,
                          const char *text)
{
    const watch_record record = attempt(scheme, port, tls);
    if (record.kind != TERN_EVENT_CONNECT_FAILED)
        fail_msg("connected, not refused because of: %s", text);
    if (strstr(record.text, text) == NULL) fail_msg("\"%s\" is not in \"%s\"", text, record.text);
    assert_int_equal(record.error, TERN_E_TLS);
    assert_int_equal(record.step, TERN_STEP_TLS);
    assert_int_equal(record.verify_result, verdict);
    assert_string_not_equal(record.hint, "");
}

/* ---- tests ---- */

typedef struct row {
    const char *name;
    const char *host; /* that the certificate must be for; NULL for the URL's 127.0.0.1 */
    int verdict;      /* 0: it connects */
    const char *text;
} row;

static const row rows[] = {
    {"good", NULL, 0, ""},
    {"good", "localhost", 0, ""},
    {"good", "::1", 0, ""},
    {"good", "LOCALHOST", 0, ""},
    {"good", "127.0.0.2", ADDRESS, ", but for localhost, 127.0.0.1, ::1"},
    {"good", "elsewhere.test", NAME, ", but for localhost, 127.0.0.1, ::1"},
    {"expired", NULL, EXPIRED,
     "(CN=localhost) has expired: it was valid until Jan  1 00:00:00 2021 GMT"},
    {"early", NULL, NOT_YET,
     "(CN=localhost) is not yet valid: it is from Jan  1 00:00:00 2090 GMT"},
    {"other_name", NULL, ADDRESS, ", but for elsewhere.test"},
    {"other_name", "localhost", NAME, ", but for elsewhere.test"},
    {"other_name", "elsewhere.test", 0, ""},
    {"other_name", "elsewhere.test.evil.test", NAME, ", but for elsewhere.test"},
    {"common_name", "localhost", NAME, "names no host: a common name alone does not count"},
    {"address", NULL, 0, ""},
    {"address", "localhost", NAME, ", but for 127.0.0.1, ::1"},
    {"wild", "a.example.test", 0, ""},
    {"wild", "example.test", NAME, ", but for *.example.test"},
    {"wild", "a.b.example.test", NAME, ", but for *.example.test"},
    {"wild_deep", "a.b.example.test", 0, ""},
    {"wild_deep", "b.example.test", NAME, ", but for *.b.example.test"},
    {"wild_part", "a1.example.test", NAME, ", but for a*.example.test"},
    {"wild_top", "example.test", NAME, ", but for *.test"},
    {"nul_name", "localhost", NAME, "but for localhost?elsewhere.test"},
    {"purpose", NULL, PURPOSE, "(CN=server purpose): unsuitable certificate purpose"},
    {"self_signed", NULL, SELF_SIGNED, "(CN=localhost): self-signed certificate"},
    {"wrong_ca", NULL, NO_ISSUER, "(CN=localhost): unable to get local issuer certificate"},
    {"broken", NULL, NO_ISSUER, "(CN=localhost): unable to get local issuer certificate"},
    {"revoked", NULL, 0, ""}, /* nobody asked for lists */
};

static void check_row(const row *r, source from)
{
    tern_tls_options *tls = trusting(from);
    if (r->host != NULL) assert_int_equal(tern_tls_options_set_verified_name(tls, r->host), 0);
    if (r->verdict == 0)
        check_connects("mqtts", port_showing(r->name), tls);
    else
        check_refused("mqtts", port_showing(r->name), tls, r->verdict, r->text);
}

static void every_certificate_from_every_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int from = FROM_FILE; from < SOURCES; from++)
            check_row(&rows[i], (source)from);
}

/* A certificate of the system's authority does not do where another one is given. */
static void what_is_given_replaces_the_system(void **state)
{
    (void)state;
    tern_tls_options *tls = trusting(FROM_SYSTEM);
    assert_int_equal(tern_tls_options_add_ca_file(tls, in_certificates("wrong.pem")), 0);
    check_refused("mqtts", port_showing("good"), tls, NO_ISSUER,
                  "server's chain (CN=Test intermediate): unable to get local issuer certificate");
    tls = trusting(FROM_SYSTEM);
    assert_int_equal(tern_tls_options_add_ca_file(tls, in_certificates("wrong.pem")), 0);
    check_connects("mqtts", port_showing("wrong_ca"), tls);
}

static void what_is_missing_in_the_chain_can_be_given(void **state)
{
    (void)state;
    tern_tls_options *tls = trusting(FROM_FILE);
    assert_int_equal(tern_tls_options_add_ca_file(tls, in_certificates("intermediate.pem")), 0);
    check_connects("mqtts", port_showing("broken"), tls);
    tls = trusting(FROM_SYSTEM);
    assert_int_equal(tern_tls_options_add_ca_file(tls, in_certificates("self_signed.pem")), 0);
    check_connects("mqtts", port_showing("self_signed"), tls);
}

static void revocation_lists_are_looked_up(void **state)
{
    (void)state;
    for (int from = FROM_FILE; from < SOURCES; from++) {
        tern_tls_options *tls = trusting((source)from);
        assert_int_equal(tern_tls_options_add_crl_file(tls, in_certificates("crl.pem")), 0);
        check_connects("mqtts", port_showing("good"), tls);
        tls = trusting((source)from);
        assert_int_equal(tern_tls_options_add_crl_file(tls, in_certificates("crl.pem")), 0);
        check_refused("mqtts", port_showing("revoked"), tls, REVOKED, "certificate revoked");
        tls = trusting((source)from);
        assert_int_equal(tern_tls_options_add_crl_file(tls, in_certificates("crl_old.pem")), 0);
        check_refused("mqtts", port_showing("good"), tls, LIST_EXPIRED, "CRL has expired");
    }
}

static tern_tls_options *wanting_staple(void)
{
    tern_tls_options *tls = trusting(FROM_FILE);
    assert_int_equal(tern_tls_options_set_ocsp_stapling(tls, 1), 0);
    return tls;
}

/* The server ends TLS elsewhere, and is a WebSocket server behind it. */
static void nginx_staples_that_it_is_good(void **state)
{
    (void)state;
    char more[256];
    if (!peer_is_installed("nginx")) skip();
    peer *broker = peer_mosquitto(certificates);
    snprintf(more, sizeof more, "ssl_stapling on;\nssl_stapling_file %s;",
             in_certificates("ocsp_good.der"));
    assert_non_null(broker);
    peer *front = peer_nginx(certificates, broker->ports[PEER_WS], more);
    peer *plain = peer_nginx(certificates, broker->ports[PEER_WS], NULL);
    assert_true(front != NULL && plain != NULL);
    check_connects("wss", front->port, wanting_staple());
    check_connects("wss", plain->port, trusting(FROM_FILE));
    check_refused("wss", plain->port, wanting_staple(), 0, "the server staples no OCSP answer");
    peer_stop(front);
    peer_stop(plain);
    peer_stop(broker);
}

static void a_stapled_answer_must_say_good(void **state)
{
    (void)state;
    const char *const revoked[] = {"-status_file", in_certificates("ocsp_revoked.der"), NULL};
    const char *const of_another[] = {"-status_file", in_certificates("ocsp_good.der"), NULL};
    peer *p = peer_s_server(certificates, "revoked", revoked);
    assert_non_null(p);
    check_refused("mqtts", p->port, wanting_staple(), 0, "says that the certificate is revoked");
    peer_stop(p);
    p = peer_s_server(certificates, "revoked", of_another); /* good is another certificate */
    assert_non_null(p);
    check_refused("mqtts", p->port, wanting_staple(), 0, "stapled OCSP answer is ");
    peer_stop(p);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    const char *const old[] = {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0", NULL};
    const char *const middle[] = {"-tls1_2", NULL};
    peer *p = peer_s_server(certificates, "good", old);
    assert_non_null(p);
    check_refused("mqtts", p->port, trusting(FROM_FILE), 0, "alert 70");
    peer_stop(p);
    p = peer_s_server(certificates, "good", middle);
    assert_non_null(p);
    tern_tls_options *newest = trusting(FROM_FILE);
    assert_int_equal(tern_tls_options_set_minimum_version(newest, TERN_TLS_1_3), 0);
    check_refused("mqtts", p->port, newest, 0, "alert 70");
    peer_stop(p);
}

/* Who is not welcome hears why: TLS 1.3 tells after the client's handshake is done. */
static void clients_without_a_good_certificate_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *certificate;
        const char *text;
    } clients[] = {{NULL, "alert 116"},
                   {"client_expired.pem", "alert 45"},
                   {"client_wrong.pem", "alert 48"},
                   {"client_revoked.pem", "alert 44"}};
    peer *broker = peer_mosquitto(certificates);
    assert_non_null(broker);
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        tern_tls_options *tls = trusting(FROM_FILE);
        if (clients[i].certificate != NULL)
            assert_int_equal(
                tern_tls_options_set_certificate_file(tls, in_certificates(clients[i].certificate),
                                                      in_certificates("client.key")),
                0);
        check_refused("mqtts", broker->ports[PEER_MUTUAL], tls, 0, clients[i].text);
    }
    peer_stop(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_certificate_from_every_source),
        cmocka_unit_test(what_is_given_replaces_the_system),
        cmocka_unit_test(what_is_missing_in_the_chain_can_be_given),
        cmocka_unit_test(revocation_lists_are_looked_up),
        cmocka_unit_test(nginx_staples_that_it_is_good),
        cmocka_unit_test(a_stapled_answer_must_say_good),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(clients_without_a_good_certificate_are_told),
    };
    if (!peer_is_installed("mosquitto") || !peer_is_installed("openssl")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
