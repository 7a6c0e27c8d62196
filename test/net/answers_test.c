/* What a server says at CONNACK, read by events and tokens; and calls that shorten or join a wait.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/buf.h"
#include "codec/props.h"
#include "net/watch.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

typedef struct rig {
    mock_broker *broker;
    tern_connection_options *options;
    tern_client *client;
} rig;

static void rig_init(rig *r)
{
    r->broker = mock_broker_new();
    assert_non_null(r->broker);
    assert_int_equal(tern_connection_options_new(&r->options), 0);
    assert_int_equal(tern_connection_options_add_server(r->options, mock_broker_url(r->broker)), 0);
    assert_int_equal(tern_client_new(&r->client, NULL), 0);
}

static void rig_free(rig *r)
{
    tern_client_free(r->client);
    tern_connection_options_free(r->options);
    mock_broker_free(r->broker);
}

static void set_connack(rig *r, const tern__buf *props, int refuse)
{
    mock_rules rules = {.refuse = refuse, .connack_props_len = props->len};
    assert_true(props->len <= sizeof rules.connack_props);
    if (props->len != 0) memcpy(rules.connack_props, props->data, props->len);
    mock_broker_set_rules(r->broker, &rules);
}

/* What the CONNECTED event told. */
typedef struct told {
    int64_t limits[TERN_LIMIT_SHARED_SUBSCRIPTION + 1];
    int64_t beyond;
    char response_info[64];
    atomic_uint connected; /* events that were told to the end */
} told;

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    told *t = user_data;
    (void)client;
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECTING) {
        t->beyond = tern_event_limit(event, TERN_LIMIT_MAXIMUM_QOS);
        return;
    }
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECTED) return;
    for (int limit = 1; limit <= TERN_LIMIT_SHARED_SUBSCRIPTION; limit++)
        t->limits[limit] = tern_event_limit(event, (tern_limit)limit);
    const char *info = tern_event_response_information(event);
    strncpy(t->response_info, info != NULL ? info : "(none)", sizeof t->response_info - 1);
    atomic_fetch_add(&t->connected, 1);
}

static bool was_told(void *argument)
{
    told *t = argument;
    return atomic_load(&t->connected) != 0;
}

/* The event is told where callbacks run, so that connecting may be over before. */
static void connect_and_leave(rig *r, told *t)
{
    atomic_store(&t->connected, 0);
    tern_token *token;
    assert_int_equal(tern_client_configure(r->client, r->options), 0);
    assert_int_equal(tern_client_connect_wait(r->client, PATIENCE), 0);
    assert_true(net_wait_until(was_told, t, PATIENCE));
    assert_int_equal(tern_client_disconnect(r->client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
}

static void check_limits(const told *t, const int64_t want[11])
{
    for (int limit = 1; limit <= TERN_LIMIT_SHARED_SUBSCRIPTION; limit++) {
        if (t->limits[limit] != want[limit])
            fail_msg("%s is %lld", tern_limit_name((tern_limit)limit), (long long)t->limits[limit]);
    }
    assert_int_equal(t->beyond, -1);
}

/* [MQTT5-3.2.2-21] and section 3.2.2.3: what the server said, and what it stands for where it said nothing. */
static void limits_are_told(void **state)
{
    (void)state;
    rig r;
    told t = {.beyond = 0};
    rig_init(&r);
    assert_int_equal(tern_client_set_event_handler(r.client, on_event, &t), 0);
    assert_int_equal(tern_connection_options_set_request_response_information(r.options, 1), 0);
    tern__buf props;
    tern__buf_init(&props);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_SERVER_KEEP_ALIVE, 33), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_SESSION_EXPIRY, 44), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_RECEIVE_MAXIMUM, 55), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_MAXIMUM_PACKET_SIZE, 6666), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_TOPIC_ALIAS_MAXIMUM, 77), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_MAXIMUM_QOS, 1), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_RETAIN_AVAILABLE, 0), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_WILDCARD_AVAILABLE, 0), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_SUBSCRIPTION_ID_AVAILABLE, 0), 0);
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_SHARED_AVAILABLE, 0), 0);
    assert_int_equal(tern__props_add_text(&props, TERN__PROP_RESPONSE_INFO, "answers/7", 9), 0);
    set_connack(&r, &props, 0);
    connect_and_leave(&r, &t);
    check_limits(&t, (const int64_t[11]){0, 33, 44, 55, 6666, 77, 1, 0, 0, 0, 0});
    assert_string_equal(t.response_info, "answers/7");
    /* Another server says nothing: nothing of the first is left. */
    tern__buf_deinit(&props);
    tern__buf_init(&props);
    set_connack(&r, &props, 0);
    connect_and_leave(&r, &t);
    check_limits(&t, (const int64_t[11]){0, 60, 3600, 1000, UINT32_MAX, 0, 2, 1, 1, 1, 1});
    assert_string_equal(t.response_info, "(none)");
    rig_free(&r);
}

/* The token of a connect that was refused has the server's code and words. */
static void a_refused_connect_says_why(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    tern__buf props;
    tern_token *token;
    tern__buf_init(&props);
    assert_int_equal(tern__props_add_text(&props, TERN__PROP_REASON_STRING, "no such tenant", 14), 0);
    set_connack(&r, &props, 0x87);
    tern__buf_deinit(&props);
    assert_int_equal(tern_client_configure(r.client, r.options), 0);
    assert_int_equal(tern_client_connect(r.client, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_REFUSED);
    assert_int_equal(tern_token_reason_count(token), 1);
    assert_int_equal(tern_token_reason_code(token, 0), 0x87);
    assert_string_equal(tern_token_reason_string(token), "no such tenant");
    assert_non_null(strstr(tern_token_error_text(token), "no such tenant"));
    tern_token_unref(token);
    rig_free(&r);
}

/* Bytes that no server starts with. */
static bool answer_out_of_turn(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    (void)broker;
    (void)user_data;
    if (packet->type == TERN__CONNECT) mock_send_raw(peer, "\xd0\0", 2);
    return packet->type == TERN__CONNECT;
}

/* A code that we sent ourselves is none of the server's: the token of the connect has none. */
static void a_code_of_ours_is_not_the_servers(void **state)
{
    (void)state;
    rig r;
    tern_token *token;
    rig_init(&r);
    mock_broker_set_script(r.broker, answer_out_of_turn, NULL);
    assert_int_equal(tern_connection_options_set_version(r.options, TERN_VERSION_5), 0);
    assert_int_equal(tern_connection_options_set_retry_limit(r.options, 1, 0), 0);
    assert_int_equal(tern_client_configure(r.client, r.options), 0);
    assert_int_equal(tern_client_connect(r.client, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_PROTOCOL);
    assert_non_null(strstr(tern_token_error_text(token), "CONNACK"));
    assert_int_equal(tern_token_reason_count(token), 0);
    assert_int_equal(tern_token_reason_code(token, 0), -1);
    tern_token_unref(token);
    rig_free(&r);
}

/* The wait for the next attempt ends at once when the application says so. [C18] */
static void retry_ends_the_wait(void **state)
{
    (void)state;
    rig r;
    watch w;
    rig_init(&r);
    watch_init(&w, r.client);
    assert_int_equal(tern_client_retry(r.client), 0); /* nothing to end: nothing happens */
    const uint32_t hour = 3600000;
    assert_int_equal(tern_connection_options_set_retry_delay(r.options, hour, hour, TERN_JITTER_NONE), 0);
    mock_broker_listen(r.broker, false);
    assert_int_equal(tern_client_configure(r.client, r.options), 0);
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    for (uint64_t attempt = 1; attempt <= 3; attempt++) {
        assert_true(watch_wait(&w, TERN_EVENT_CONNECT_FAILED, attempt, PATIENCE));
        if (attempt == 3) mock_broker_listen(r.broker, true);
        assert_int_equal(tern_client_retry(r.client), 0);
    }
    assert_true(watch_wait(&w, TERN_EVENT_CONNECTED, 1, PATIENCE));
    assert_int_equal(watch_count(&w, TERN_EVENT_CONNECTING), 4);
    assert_int_equal(tern_client_retry(r.client), 0); /* connected: the link stays */
    assert_int_equal(tern_client_publish_wait(r.client, "t", "x", 1, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(watch_count(&w, TERN_EVENT_DISCONNECTED), 0);
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0);
    assert_int_equal(tern_client_retry(r.client), TERN_E_CLOSED);
    assert_int_equal(tern_client_retry(NULL), TERN_E_INVALID);
    rig_free(&r);
    watch_deinit(&w);
}

/* A callback that holds on until it is let go. */
typedef struct gate {
    atomic_bool inside;
    atomic_bool open;
} gate;

static bool is_set(void *flag)
{
    return atomic_load((atomic_bool *)flag);
}

static void hold(tern_client *client, const tern_event *event, void *user_data)
{
    gate *g = user_data;
    (void)client;
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECTED) return;
    atomic_store(&g->inside, true);
    (void)net_wait_until(is_set, &g->open, PATIENCE);
}

/* Closing that did not end in time can be waited for once more. [C12] */
static void closing_can_be_waited_for_again(void **state)
{
    (void)state;
    rig r;
    gate g = {false, false};
    tern_token *token;
    rig_init(&r);
    assert_int_equal(tern_client_set_event_handler(r.client, hold, &g), 0);
    assert_int_equal(tern_client_configure(r.client, r.options), 0);
    assert_int_equal(tern_client_connect(r.client, NULL), 0);
    assert_true(net_wait_until(is_set, &g.inside, PATIENCE));
    assert_int_equal(tern_client_close_wait(r.client, 1), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_close_wait(r.client, 1), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_close(r.client, 0, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_close(r.client, 0, 0, &token), 0);
    assert_int_equal(tern_token_done(token), 0);
    atomic_store(&g.open, true);
    int rc = tern_client_close_wait(r.client, PATIENCE);
    assert_true(rc == 0 || rc == TERN_E_CLOSED); /* the latter where it has ended by now */
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), TERN_E_CLOSED);
    tern_token_unref(token);
    rig_free(&r);
}

/* Looking at a token is not a failure of the client. */
static void looking_changes_no_last_error(void **state)
{
    (void)state;
    rig r;
    tern_token *token;
    rig_init(&r);
    assert_int_equal(tern_client_publish_token(r.client, "t", "x", 1, TERN_QOS_1, &token), 0);
    assert_int_equal(tern_client_publish(r.client, "a/#", "x", 1, 0, NULL), TERN_E_TOPIC);
    assert_int_equal(tern_token_wait(token, 0), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_copy_error_text(r.client, NULL, 0), TERN_E_TOPIC);
    tern_token_unref(token);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(a_refused_connect_says_why),
        cmocka_unit_test(a_code_of_ours_is_not_the_servers),
        cmocka_unit_test(retry_ends_the_wait),
        cmocka_unit_test(closing_can_be_waited_for_again),
        cmocka_unit_test(looking_changes_no_last_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
