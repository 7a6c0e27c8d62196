/* Many clients on one loop come back to a server that failed: a few at a time, while another server is not kept waiting; and all of
 * them, once it answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, CLIENTS = 40 };

static tern_client *clients[CLIENTS];

static void connect_to(tern_client **client, tern_loop *loop, const char *url)
{
    tern_client_options *fixed;
    tern_connection_options *options;
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_loop(fixed, loop), 0);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_version(options, TERN_VERSION_5), 0);
    assert_int_equal(tern_connection_options_set_connect_timeout(options, 100), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 1, 5, TERN_JITTER_NONE), 0);
    assert_int_equal(tern_client_new(client, fixed), 0);
    assert_int_equal(tern_client_configure(*client, options), 0);
    assert_int_equal(tern_client_connect(*client, NULL), 0);
    tern_client_options_free(fixed);
    tern_connection_options_free(options);
}

static bool all_connected(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < CLIENTS; i++)
        if (tern_client_connected(clients[i]) != 1) return false;
    return true;
}

static bool is_connected(void *argument)
{
    return tern_client_connected(argument) == 1;
}

static bool few_are_open(void *argument)
{
    return mock_broker_count(argument, MOCK_OPEN) <= 2;
}

static void a_failed_server_is_not_hammered(void **state)
{
    (void)state;
    tern_loop *loop;
    tern_client *other;
    mock_broker *silent = mock_broker_new();
    mock_broker *good = mock_broker_new();
    mock_broker_set_rules(silent, &(mock_rules){.silent = true});
    assert_int_equal(tern_loop_new(&loop, 1, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(tern_loop_set_retry_budget(NULL, 1, 1), TERN_E_INVALID);
    assert_int_equal(tern_loop_set_retry_budget(loop, 1000001, 1), TERN_E_INVALID);
    assert_int_equal(tern_loop_set_retry_budget(loop, 2, 0), 0);
    for (size_t i = 0; i < CLIENTS; i++) connect_to(&clients[i], loop, mock_broker_url(silent));
    /* The first attempts go as they come; when they have failed there are two at a time. */
    assert_true(mock_broker_wait(silent, MOCK_ACCEPTED, CLIENTS, PATIENCE));
    assert_true(mock_broker_wait(silent, MOCK_ACCEPTED, CLIENTS + 4, PATIENCE));
    for (uint64_t more = 5; more < 12; more++) {
        assert_true(mock_broker_wait(silent, MOCK_ACCEPTED, CLIENTS + more, PATIENCE));
        assert_true(net_wait_until(few_are_open, silent, PATIENCE)); /* without a budget they all come again and again */
    }
    connect_to(&other, loop, mock_broker_url(good));
    assert_true(net_wait_until(is_connected, other, PATIENCE));
    mock_broker_set_rules(silent, &(mock_rules){0});
    assert_true(net_wait_until(all_connected, NULL, PATIENCE));
    for (size_t i = 0; i < CLIENTS; i++) tern_client_free(clients[i]);
    tern_client_free(other);
    tern_loop_free(loop);
    mock_broker_free(silent);
    mock_broker_free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_failed_server_is_not_hammered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
