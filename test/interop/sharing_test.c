/* One set of TLS options, hence one context with its tickets, used by clients on several loops at the same time, while the client's
 * certificate is exchanged. ThreadSanitizer looks on in its lane.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
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

#include "net/watch.h"
#include "support/net.h"
#include "support/peers.h"

enum { PATIENCE = NET_PATIENCE_MS, LOOPS = 2, CLIENTS = 6, ROUNDS = 5 };

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

/* Writes a line (or none) and a file of the certificates' folder to a new name in one step, as those who exchange certificates do. */
static void put(const char *from, const char *line, const char *to)
{
    char source[200];
    char target[200];
    char fresh[220];
    char text[16384];
    snprintf(source, sizeof source, "%s/%s", certificates, from);
    snprintf(target, sizeof target, "%s/%s", certificates, to);
    snprintf(fresh, sizeof fresh, "%s.new", target);
    FILE *in = fopen(source, "rb");
    FILE *out = fopen(fresh, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t n = fread(text, 1, sizeof text, in);
    assert_true(n > 0 && n < sizeof text);
    assert_true(fputs(line, out) >= 0);
    assert_int_equal(fwrite(text, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(rename(fresh, target), 0);
}

static tern_connection_options *shared_options(void)
{
    char url[100];
    char authority[200];
    char certificate[200];
    char key[200];
    tern_tls_options *tls;
    tern_connection_options *options;
    snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", mosquitto->ports[PEER_MUTUAL]);
    snprintf(authority, sizeof authority, "%s/root.pem", certificates);
    snprintf(certificate, sizeof certificate, "%s/rotated.pem", certificates);
    snprintf(key, sizeof key, "%s/rotated.key", certificates);
    assert_int_equal(tern_tls_options_new(&tls), 0);
    assert_int_equal(tern_tls_options_add_ca_file(tls, authority), 0);
    assert_int_equal(tern_tls_options_set_certificate_file(tls, certificate, key), 0);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 20, 200, TERN_JITTER_PROPORTIONAL), 0);
    assert_int_equal(tern_connection_options_set_retry_refused(options, 1), 0);
    assert_int_equal(tern_connection_options_set_tls(options, tls), 0);
    tern_tls_options_free(tls);
    return options;
}

static tern_client *new_client(tern_loop *loop, tern_connection_options *options, watch *seen)
{
    tern_client *client;
    tern_client_options *fixed;
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_loop(fixed, loop), 0);
    assert_int_equal(tern_client_new(&client, fixed), 0);
    tern_client_options_free(fixed);
    watch_init(seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    return client;
}

/* All at once, so that the loops meet in the context. */
static void all_connect_anew(tern_client *const *clients)
{
    tern_token *tokens[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(tern_client_reconnect(clients[i], 0, &tokens[i]), 0);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(tern_token_wait(tokens[i], PATIENCE), 0);
        tern_token_unref(tokens[i]);
    }
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(tern_client_publish_wait(clients[i], "shared", "x", 1, TERN_QOS_1, PATIENCE), 0);
}

/* A set of clients of one set of options, on loops of their own. */
typedef struct crowd {
    tern_loop *loops[LOOPS];
    tern_client *clients[CLIENTS];
    watch seen[CLIENTS];
} crowd;

static void crowd_init(crowd *c)
{
    put("client.pem", "", "rotated.pem");
    put("client.key", "", "rotated.key");
    tern_connection_options *options = shared_options();
    for (int i = 0; i < LOOPS; i++) assert_int_equal(tern_loop_new(&c->loops[i], 1, TERN_POLLER_DEFAULT), 0);
    for (int i = 0; i < CLIENTS; i++) c->clients[i] = new_client(c->loops[i % LOOPS], options, &c->seen[i]);
    tern_connection_options_free(options);
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(tern_client_connect(c->clients[i], NULL), 0);
    for (int i = 0; i < CLIENTS; i++) assert_true(watch_wait(&c->seen[i], TERN_EVENT_CONNECTED, 1, PATIENCE));
}

static void crowd_deinit(crowd *c)
{
    for (int i = 0; i < CLIENTS; i++) {
        tern_client_free(c->clients[i]);
        watch_deinit(&c->seen[i]);
    }
    for (int i = 0; i < LOOPS; i++) tern_loop_free(c->loops[i]);
}

/* While no file changes, clients of all loops resume what one of them was given, each time. */
static void tickets_are_shared(void **state)
{
    (void)state;
    static crowd c;
    crowd_init(&c);
    for (unsigned round = 0; round < ROUNDS; round++) {
        all_connect_anew(c.clients);
        for (int i = 0; i < CLIENTS; i++) {
            assert_true(watch_wait(&c.seen[i], TERN_EVENT_CONNECTED, round + 2, PATIENCE));
            assert_int_equal(watch_nth(&c.seen[i], TERN_EVENT_CONNECTED, round + 2).tls_resumed, 1);
        }
    }
    crowd_deinit(&c);
}

/* The same certificate as another file, again and again, until it is told to stop. */
static void *exchange_files(void *stop)
{
    for (unsigned i = 0; !atomic_load((atomic_bool *)stop); i++) put("client.pem", i % 2 == 0 ? "renewed\n" : "", "rotated.pem");
    return NULL;
}

/* While they shake hands. */
static void files_change_at_any_time(void **state)
{
    (void)state;
    static crowd c;
    atomic_bool stop = false;
    pthread_t exchanger;
    crowd_init(&c);
    assert_int_equal(pthread_create(&exchanger, NULL, exchange_files, &stop), 0);
    for (int round = 0; round < ROUNDS; round++) all_connect_anew(c.clients);
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(exchanger, NULL), 0);
    crowd_deinit(&c);
}

/* A certificate that the server refuses is what each shows next: no ticket of the good one stands in for it. The good one heals it. */
static void the_certificate_of_now_is_shown(void **state)
{
    (void)state;
    static crowd c;
    uint64_t before[CLIENTS];
    crowd_init(&c);
    all_connect_anew(c.clients);
    put("client_revoked.pem", "", "rotated.pem");
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(tern_client_reconnect(c.clients[i], 0, NULL), 0);
    for (int i = 0; i < CLIENTS; i++) assert_true(watch_wait(&c.seen[i], TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
    for (int i = 0; i < CLIENTS; i++) before[i] = watch_count(&c.seen[i], TERN_EVENT_CONNECTED);
    put("client.pem", "", "rotated.pem");
    for (int i = 0; i < CLIENTS; i++) {
        watch_record refused = watch_nth(&c.seen[i], TERN_EVENT_CONNECT_FAILED, 1);
        if (strstr(refused.text, "revoked") == NULL) fail_msg("%s", refused.text);
        assert_int_equal(refused.step, TERN_STEP_TLS);
        assert_int_equal(before[i], 2);
        assert_true(watch_wait(&c.seen[i], TERN_EVENT_CONNECTED, 3, PATIENCE));
    }
    crowd_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_are_shared),
        cmocka_unit_test(files_change_at_any_time),
        cmocka_unit_test(the_certificate_of_now_is_shown),
    };
    if (!peer_is_installed("mosquitto")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
