/* Names and addresses that lead nowhere: a name server that never answers, an IPv6 black hole
 * beside a living IPv4 address, and nothing but holes. In namespaces of its own; skipped, with the
 * reason, where the machine forbids them. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/names.h"
#include "support/net.h"
#include "support/peers.h"
#include "support/rogue.h"

enum { PATIENCE = NET_PATIENCE_MS, GRACE = 2000 };

static watch seen;

static tern_client *client_for(const char *host, uint16_t port, uint32_t deadline)
{
    char url[80];
    tern_client *client;
    tern_connection_options *options;
    snprintf(url, sizeof url, "mqtt://%s:%u", host, port);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_connect_timeout(options, deadline), 0);
    assert_int_equal(tern_connection_options_set_retry_limit(options, 1, 10000), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    return client;
}

static void check_times_out(tern_client *client, tern_step step)
{
    assert_true(watch_wait(&seen, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
    const watch_record record = watch_nth(&seen, TERN_EVENT_CONNECT_FAILED, 1);
    if (record.error != TERN_E_TIMEOUT || record.step != step)
        fail_msg("%d: %s", (int)record.step, record.text);
    assert_non_null(strstr(record.text, tern_step_name(step)));
    tern_client_free(client);
    watch_deinit(&seen);
}

/* The system's resolver waits longer than this test may, and holds up neither the deadline nor who
 * leaves. */
static void a_name_server_that_never_answers(void **state)
{
    (void)state;
    const int server = names_silence();
    assert_true(server >= 0);
    tern_client *client = client_for("broker.test", 1883, 500);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(names_were_asked(server));
    check_times_out(client, TERN_STEP_RESOLVE);
    client = client_for("broker.test", 1883, PATIENCE);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_int_equal(tern_client_close_wait(client, GRACE), 0);
    tern_client_free(client);
    watch_deinit(&seen);
    close(server);
}

static void ipv4_is_taken_where_ipv6_is_a_hole(void **state)
{
    (void)state;
    rogue_hole hole;
    peer *broker = peer_is_installed("mosquitto") ? peer_mosquitto_showing(NULL, NULL, 0) : NULL;
    if (broker == NULL) skip();
    if (!rogue_hole_open(&hole, "::1", broker->port)) skip();
    /* The kernel gives an address up after two minutes: this deadline is met only by who does not
     * wait for that. */
    tern_client *client = client_for("both.test", broker->port, PATIENCE);
    if (tern_client_connect_wait(client, PATIENCE) != 0)
        fail_msg("%s", tern_client_error_text(client));
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    tern_client_free(client);
    watch_deinit(&seen);
    rogue_hole_close(&hole);
    peer_stop(broker);
}

static void nothing_but_holes(void **state)
{
    (void)state;
    rogue_hole six;
    rogue_hole four;
    if (!rogue_hole_open(&six, "::1", 0)) skip();
    assert_true(rogue_hole_open(&four, "127.0.0.1", six.port));
    tern_client *client = client_for("both.test", six.port, 1500);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    check_times_out(client, TERN_STEP_CONNECT);
    rogue_hole_close(&four);
    rogue_hole_close(&six);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_server_that_never_answers),
        cmocka_unit_test(ipv4_is_taken_where_ipv6_is_a_hole),
        cmocka_unit_test(nothing_but_holes),
    };
    (void)count;
    if (!names_are_private(arguments, "127.0.0.1 localhost both.test\n::1 both.test\n")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
