/* The attempt handler: what it may change, hold up and stop, and that its secrets go no further.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
    bool postpone_empty;  /* without a server */
    unsigned stop_at;     /* the number of the attempt; 0 never */
    bool no_server;
    tern_version version; /* AUTO: as it is */
    bool waits;           /* for a publish, which cannot end before the handler does */
    atomic_int waited;    /* what that answered */
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

static int wait_for_publish(tern_client *client)
{
    tern_token *token = NULL;
    int rc = tern_client_publish(client, "t", "x", 1, TERN_QOS_1, NULL);
    if (rc == 0) rc = tern_client_flush(client, &token);
    if (rc == 0) rc = tern_token_wait(token, PATIENCE);
    tern_token_unref(token);
    return rc;
}

static void on_attempt(tern_client *client, tern_attempt *attempt, void *user_data)
{
    asked *a = user_data;
    char secret[64];
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
    if (a->version != TERN_VERSION_AUTO) (void)tern_connection_options_set_version(options, a->version);
    if (a->waits) atomic_store(&a->waited, wait_for_publish(client));
    if (call <= a->postpone && a->postpone_empty) (void)tern_connection_options_clear_servers(options);
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
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_string_equal(watch_last(&r.watch, TERN_EVENT_CONNECTED).server, url);
    mock_broker_cut(r.broker);
    assert_true(watch_wait(&r.watch, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
    assert_string_equal(watch_last(&r.watch, TERN_EVENT_DISCONNECTED).server, url);
    rig_free(&r);
}

static void it_may_postpone(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.postpone = 3;
    r.asked.url = mock_broker_url(r.broker); /* it had cleared the servers and was not done: that is no matter when it postpones */
    r.asked.postpone_empty = true;
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_int_equal(atomic_load(&r.asked.calls), 4);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE)); /* the token may end before it is told */
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

/* A version that the handler sets is not fallen back from, so a server that refuses it is not asked again at once. [C18] */
static void its_version_is_not_fallen_back_from(void **state)
{
    (void)state;
    rig r;
    rig_init(&r, TERN_DISPATCH_THREAD);
    r.asked.version = TERN_VERSION_5;
    mock_broker_set_rules(r.broker, &(mock_rules){.hang_up_on_v5 = true});
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 2, PATIENCE));
    watch_record second = watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, 2);
    bool delayed = watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, 1).retry_delay > 0 || second.retry_delay > 0;
    for (uint64_t i = 3; !delayed && i < 8; i++) { /* full jitter may draw 0 */
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, i, PATIENCE));
        delayed = watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, i).retry_delay > 0;
    }
    assert_true(delayed);
    mock_broker_set_rules(r.broker, &(mock_rules){.only_v311 = true});
    assert_true(watch_wait(&r.watch, TERN_EVENT_STOPPED, 1, PATIENCE));
    assert_int_equal(watch_last(&r.watch, TERN_EVENT_STOPPED).reason, 0x84);
    rig_free(&r);
}

/* What worked with a server of the handler's own says nothing about the one of the list. */
static void the_version_of_its_server_is_not_the_lists(void **state)
{
    (void)state;
    rig r;
    tern_token *token;
    rig_init(&r, TERN_DISPATCH_THREAD);
    mock_broker *old = mock_broker_new();
    assert_non_null(old);
    mock_broker_set_rules(old, &(mock_rules){.only_v311 = true});
    r.asked.url = mock_broker_url(old);
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_int_equal(mock_broker_last_connect(old).version, 4);
    assert_int_equal(tern_client_disconnect(r.client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    r.asked.url = NULL;
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_int_equal(mock_broker_last_connect(r.broker).version, 5);
    rig_free(&r);
    mock_broker_free(old);
}

/* What it waits for comes after the attempt, which waits for it: told at once. [C11] */
static void waiting_in_it_would_deadlock(void **state)
{
    (void)state;
    for (int manual = 0; manual < 2; manual++) {
        rig r;
        rig_init(&r, manual ? TERN_DISPATCH_MANUAL : TERN_DISPATCH_THREAD);
        r.asked.waits = true;
        assert_int_equal(tern_client_connect(r.client, NULL), 0);
        while (manual && !tern_client_connected(r.client)) assert_int_equal(tern_client_dispatch(r.client, 100), 0);
        if (!manual) assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 1, PATIENCE));
        assert_int_equal(atomic_load(&r.asked.waited), TERN_E_WOULD_DEADLOCK);
        rig_free(&r);
    }
}

typedef struct waiter {
    rig *rig;
    atomic_int waited; /* what the wait in an event's callback answered; 1: not yet */
} waiter;

static void wait_when_lost(tern_client *client, const tern_event *event, void *user_data)
{
    waiter *w = user_data;
    if (tern_event_get_kind(event) == TERN_EVENT_DISCONNECTED) atomic_store(&w->waited, wait_for_publish(client));
}

static bool has_waited(void *argument)
{
    return atomic_load(&((waiter *)argument)->waited) != 1;
}

/* The same in any other callback, from the moment that the handler is to be asked. [C11] */
static void waiting_while_it_is_to_be_asked_would_deadlock(void **state)
{
    (void)state;
    rig r;
    waiter w = {.rig = &r};
    atomic_init(&w.waited, 1);
    rig_init(&r, TERN_DISPATCH_THREAD);
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    assert_int_equal(tern_client_set_event_handler(r.client, wait_when_lost, &w), 0);
    mock_broker_cut(r.broker);
    assert_true(net_wait_until(has_waited, &w, PATIENCE));
    assert_int_equal(atomic_load(&w.waited), TERN_E_WOULD_DEADLOCK);
    assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0); /* it was sent all the same */
    rig_free(&r);
}

/* A variable that is no proxy's URL: the step is the proxy's, and the text says which variables. */
static void a_bad_variable_is_a_failure_of_the_proxy(void **state)
{
    (void)state;
    rig r;
    tern_connection_options *options;
    rig_init(&r, TERN_DISPATCH_THREAD);
    assert_int_equal(tern_client_set_attempt_handler(r.client, NULL, NULL), 0);
    assert_int_equal(setenv("https_proxy", "ftp://me:sesame@proxy", 1), 0);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, mock_broker_url(r.broker)), 0);
    assert_int_equal(tern_connection_options_set_environment_proxy(options, 1), 0);
    assert_int_equal(unsetenv("https_proxy"), 0);
    assert_int_equal(tern_client_configure(r.client, options), 0);
    tern_connection_options_free(options);
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECT_FAILED, 1, PATIENCE));
    watch_record failed = watch_nth(&r.watch, TERN_EVENT_CONNECT_FAILED, 1);
    assert_int_equal(failed.step, TERN_STEP_PROXY);
    assert_non_null(strstr(failed.text, "HTTPS_PROXY"));
    assert_null(strstr(failed.text, "sesame"));
    rig_free(&r);
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
        cmocka_unit_test(its_version_is_not_fallen_back_from),
        cmocka_unit_test(the_version_of_its_server_is_not_the_lists),
        cmocka_unit_test(a_bad_variable_is_a_failure_of_the_proxy),
        cmocka_unit_test(waiting_in_it_would_deadlock),
        cmocka_unit_test(waiting_while_it_is_to_be_asked_would_deadlock),
        cmocka_unit_test(in_manual_mode_dispatching_asks),
        cmocka_unit_test(nothing_is_read_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
