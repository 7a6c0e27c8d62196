/* The attempt handler: what it may change, hold up and stop, and that its secrets go no further.
 * SPDX-License-Identifier: Apache-2.0 */
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
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

/* What the handler does at each attempt, and what it saw. */
typedef struct asked {
    const char *user;
    const char *password; /* with the number of the attempt behind it */
    const char *url;      /* NULL: as it is */
    unsigned postpone;    /* so many times */
    unsigned stop_at;     /* the number of the attempt; 0 never */
    bool no_server;
    atomic_uint calls;
    atomic_uint last_number;
    char server[64];
    atomic_bool hold; /* does not return while set */
    atomic_bool inside;
} asked;

typedef struct rig {
    mock_broker *broker;
    tern_client *client;
    watch watch;
    asked asked;
} rig;

static bool is_open(void *argument)
{
    return !atomic_load(&((asked *)argument)->hold);
}

static bool is_inside(void *argument)
{
    return atomic_load(&((asked *)argument)->inside);
}

static void on_attempt(tern_client *client, tern_attempt *attempt, void *user_data)
{
    asked *a = user_data;
    char secret[64];
    (void)client;
    unsigned call = atomic_fetch_add(&a->calls, 1) + 1;
    atomic_store(&a->last_number, tern_attempt_number(attempt));
    snprintf(a->server, sizeof a->server, "%s", tern_attempt_server(attempt));
    atomic_store(&a->inside, true);
    (void)net_wait_until(is_open, a, PATIENCE);
    tern_connection_options *options = tern_attempt_options(attempt);
    snprintf(secret, sizeof secret, "%s%u", a->password != NULL ? a->password : "", tern_attempt_number(attempt));
    if (a->user != NULL) (void)tern_connection_options_set_credentials(options, a->user, secret, strlen(secret));
    if (a->url != NULL || a->no_server) (void)tern_connection_options_clear_servers(options);
    if (a->url != NULL) (void)tern_connection_options_add_server(options, a->url);
    if (call <= a->postpone) (void)tern_attempt_postpone(attempt, 5);
    if (a->stop_at != 0 && call >= a->stop_at) (void)tern_attempt_stop(attempt, "on battery");
}

static void configure(rig *r, const char *url)
{
    tern_connection_options *options;
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_credentials(options, "base", "base", 4), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(options, 10, 50, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_configure(r->client, options), 0);
    tern_connection_options_free(options);
}

static void rig_init(rig *r, tern_dispatch dispatch)
{
    tern_client_options *options;
    memset(r, 0, sizeof *r);
    r->broker = mock_broker_new();
    assert_non_null(r->broker);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, dispatch), 0);
    assert_int_equal(tern_client_new(&r->client, options), 0);
    tern_client_options_free(options);
    watch_init(&r->watch, r->client);
    assert_int_equal(tern_client_set_attempt_handler(r->client, on_attempt, &r->asked), 0);
    configure(r, mock_broker_url(r->broker));
}

static void rig_free(rig *r)
{
    tern_client_free(r->client);
    mock_broker_free(r->broker);
    watch_deinit(&r->watch);
}

/* Each attempt asks anew: tokens that expire. */
static void each_attempt_has_its_own_credentials(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.user = "token";
    r.asked.password = "secret";
    mock_broker_set_rules(r.broker, &(mock_rules){.refuse = 0x88});
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 3, PATIENCE));
    mock_broker_set_rules(r.broker, &(mock_rules){0});
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_string_equal(mock_broker_last_connect(r.broker).user_name, "token");
    assert_int_equal(atomic_load(&r.asked.last_number), watch_count(&r.watch, TERN_EVENT_CONNECTING));
    assert_non_null(strstr(r.asked.server, "mqtt://127.0.0.1"));
    rig_free(&r);
}

/* The client's own options are as they were once the handler is gone. */
static void what_it_set_is_of_one_attempt(void **state)
{
    (void)state;
    rig r;
    tern_token *token;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.user = "token";
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_string_equal(mock_broker_last_connect(r.broker).user_name, "token");
    assert_int_equal(tern_client_disconnect(r.client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    assert_int_equal(tern_client_set_attempt_handler(r.client, NULL, NULL), 0);
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_string_equal(mock_broker_last_connect(r.broker).user_name, "base");
    rig_free(&r);
}

static void it_may_name_another_server(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    char url[64];
    snprintf(url, sizeof url, "%s", mock_broker_url(r.broker));
    configure(&r, "mqtt://name.invalid:1");
    r.asked.url = url;
    if (tern_client_connect_wait(r.client, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(r.client));
    assert_string_equal(watch_last(&r.watch, TERN_EVENT_CONNECTING).server, url);
    rig_free(&r);
}

static void it_may_postpone(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.postpone = 3;
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_int_equal(atomic_load(&r.asked.calls), 4);
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_CONNECTING), 1);
    assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 1);
    rig_free(&r);
}

static void it_may_stop(void **state)
{
    (void)state;
    rig r;
    tern_token *token;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.stop_at = 1;
    assert_int_equal(tern_client_connect(r.client, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_CANCELLED);
    assert_non_null(strstr(tern_token_error_text(token), "on battery"));
    tern_token_unref(token);
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(mock_broker_count(r.broker, TERN__CONNECT), 0);
    r.asked.stop_at = 0;
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    rig_free(&r);
}

static void options_that_cannot_work_stop(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.no_server = true;
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), TERN_E_INVALID);
    assert_non_null(strstr(tern_client_error_text(r.client), "left no server"));
    rig_free(&r);
}

/* Refusals that a new password may heal do not stop a client that is asked for one. [C18] */
static void bad_credentials_are_asked_for_again(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.user = "token";
    mock_broker_set_rules(r.broker, &(mock_rules){.refuse = 0x86});
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 2, PATIENCE));
    mock_broker_set_rules(r.broker, &(mock_rules){0});
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_int_equal(watch_count(&r.watch, TERN_EVENT_STOPPED), 0);
    rig_free(&r);
}

/* The client may be told anything while the handler thinks. [C11] [C12] */
static void a_slow_answer_holds_nothing_up(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        rig r;
        tern_token *token;
        rig_init(&r, TERN_DISPATCH_THREAD);
        atomic_store(&r.asked.hold, true);
        assert_int_equal(tern_client_connect(r.client, NULL), 0);
        assert_true(net_wait_until(is_inside, &r.asked, PATIENCE));
        assert_int_equal(tern_client_publish(r.client, "t", "x", 1, TERN_QOS_1, NULL), 0);
        if (how == 0) {
            assert_int_equal(tern_client_disconnect(r.client, 0, &token), 0);
            assert_int_equal(tern_token_wait(token, PATIENCE), 0);
            tern_token_unref(token);
        } else if (how == 1) {
            assert_int_equal(tern_client_close_wait(r.client, 50), TERN_E_TIMEOUT);
        } else {
            assert_int_equal(tern_client_close(r.client, 1, PATIENCE, NULL), 0);
        }
        atomic_store(&r.asked.hold, false);
        if (how == 0) {
            assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
            assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
        }
        if (how == 2) { /* it drains, through the attempt that was asked about */
            assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0);
            assert_int_equal(mock_broker_messages(r.broker), 1);
        }
        rig_free(&r);
    }
}

static void in_manual_mode_dispatching_asks(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_MANUAL);
    r.asked.user = "token";
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    while (!tern_client_connected(r.client)) assert_int_equal(tern_client_dispatch(r.client, 100), 0);
    assert_string_equal(mock_broker_last_connect(r.broker).user_name, "token");
    rig_free(&r);
}

static void nothing_is_read_from_nothing(void **state)
{
    (void)state;
    assert_null(tern_attempt_options(NULL));
    assert_int_equal(tern_attempt_number(NULL), 0);
    assert_string_equal(tern_attempt_server(NULL), "");
    assert_int_equal(tern_attempt_postpone(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_attempt_stop(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_set_attempt_handler(NULL, on_attempt, NULL), TERN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attempt_has_its_own_credentials),
        cmocka_unit_test(what_it_set_is_of_one_attempt),
        cmocka_unit_test(it_may_name_another_server),
        cmocka_unit_test(it_may_postpone),
        cmocka_unit_test(it_may_stop),
        cmocka_unit_test(options_that_cannot_work_stop),
        cmocka_unit_test(bad_credentials_are_asked_for_again),
        cmocka_unit_test(a_slow_answer_holds_nothing_up),
        cmocka_unit_test(in_manual_mode_dispatching_asks),
        cmocka_unit_test(nothing_is_read_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
