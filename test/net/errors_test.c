/* Bad input: each gets an error of its own that names step, peer and cause, and nothing is lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, SHORT = 300 };

static void expect_text(tern_client *client, const char *part)
{
    const char *text = tern_client_error_text(client);
    if (strstr(text, part) == NULL) fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void bad_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int error;
        const char *part;
    } rows[] = {
        {"gopher://localhost", TERN_E_URL, "scheme"},    {"localhost", TERN_E_URL, "mqtt://"},
        {"mqtt://localhost:70000", TERN_E_URL, "port"},  {"mqtt://localhost:x", TERN_E_URL, "port"},
        {"mqtt://", TERN_E_URL, "host"},                 {"mqttx://localhost", TERN_E_URL, "mqttx"},
        {"unix://", TERN_E_URL, "path"},                 {"mqtt://local host", TERN_E_URL, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern_client *client = NULL;
        assert_int_equal(tern_client_open_wait(&client, rows[i].url, SHORT), rows[i].error);
        expect_text(client, rows[i].part);
        tern_client_free(client);
    }
}

static void a_host_that_does_not_resolve(void **state)
{
    (void)state;
    tern_client *client = NULL;
    assert_int_equal(tern_client_open_wait(&client, "mqtt://no-such-host.invalid", 5000), TERN_E_RESOLVE);
    expect_text(client, "no-such-host.invalid");
    expect_text(client, "resolve");
    tern_client_free(client);
}

static void a_refused_connection(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    char peer[32];
    int held = net_refusing_port(&port);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    snprintf(peer, sizeof peer, "127.0.0.1:%u", port);
    tern_client *client = NULL;
    assert_int_equal(tern_client_open_wait(&client, url, SHORT), TERN_E_CONNECT);
    expect_text(client, peer);
    expect_text(client, "refused");
    /* What was published meanwhile has its outcome at the end. [C1] [C2] */
    tern_token *token = NULL;
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &token), 0);
    tern_client_free(client);
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT);
    assert_int_equal(tern_token_cause(token), TERN_CAUSE_CLOSED);
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_CLOSED); /* a token outlives its client */
    tern_token_unref(token);
    close(held);
}

/* A wait that ends by its deadline says so, and not what failed long before. */
static void a_deadline_is_told(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    tern_client *client = NULL;
    tern_message *message = NULL;
    int listener = net_listen("127.0.0.1", &port);
    assert_true(listener >= 0);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_client_open_wait(&client, url, SHORT), TERN_E_TIMEOUT); /* connects, but nobody answers */
    expect_text(client, " ms passed");
    expect_text(client, "not connected");
    assert_int_equal(tern_client_publish(client, "a/#", "x", 1, 0, NULL), TERN_E_TOPIC);
    assert_int_equal(tern_client_publish_wait(client, "a", "x", 1, TERN_QOS_1, 20), TERN_E_TIMEOUT);
    expect_text(client, " ms passed");
    assert_int_equal(tern_client_receive_wait(client, &message, 30), TERN_E_TIMEOUT);
    expect_text(client, " ms passed");
    tern_client_free(client);
    close(listener);
}

/* What went wrong with the connection says more than the deadline of who waits for it; once. */
static void the_cause_of_waiting_is_told(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    tern_client *client = NULL;
    int held = net_refusing_port(&port);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_client_open_wait(&client, url, SHORT), TERN_E_CONNECT);
    assert_int_equal(tern_client_publish_wait(client, "a", "x", 1, TERN_QOS_1, 20), TERN_E_TIMEOUT);
    expect_text(client, "refused");
    assert_int_equal(tern_client_publish(client, "a/#", "x", 1, 0, NULL), TERN_E_TOPIC);
    expect_text(client, "a/#");
    tern_token *token = NULL;
    assert_int_equal(tern_client_disconnect(client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    close(held);
    int listener = net_listen_at("127.0.0.1", port);
    assert_true(listener >= 0);
    assert_int_equal(tern_client_connect_wait(client, SHORT), TERN_E_TIMEOUT); /* neither the topic nor the refusal */
    expect_text(client, " ms passed");
    tern_client_free(client);
    close(listener);
}

/* A peer that answers the first connection with `bytes` (none: says nothing), and the event that follows. */
typedef struct seen {
    atomic_int error; /* set last */
    char text[400];
} seen;

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    seen *s = user_data;
    (void)client;
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECT_FAILED || atomic_load(&s->error) != 0) return;
    snprintf(s->text, sizeof s->text, "%s", tern_event_text(event));
    atomic_store(&s->error, tern_event_error(event));
}

static bool was_seen(void *argument)
{
    return atomic_load(&((seen *)argument)->error) != 0;
}

static void answer_with(const void *bytes, size_t len, bool hang_up, int error, const char *part)
{
    uint16_t port;
    char url[64];
    seen s = {0};
    tern_client *client = NULL;
    tern_connection_options *options = NULL;
    int listener = net_listen("127.0.0.1", &port);
    assert_true(listener >= 0);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_version(options, TERN_VERSION_5), 0);
    assert_int_equal(tern_connection_options_set_connect_timeout(options, hang_up || len != 0 ? PATIENCE : SHORT), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_set_event_handler(client, on_event, &s), 0);
    assert_int_equal(tern_client_configure(client, options), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    int peer = net_accept(listener, PATIENCE);
    assert_true(peer >= 0);
    uint8_t head[2];
    assert_int_equal(net_read(peer, head, sizeof head, PATIENCE), sizeof head);
    assert_int_equal(head[0], 0x10); /* [MQTT5-3.1.0-1] */
    if (len != 0) assert_true(net_write(peer, bytes, len));
    if (hang_up) close(peer);
    assert_true(net_wait_until(was_seen, &s, PATIENCE));
    assert_int_equal(atomic_load(&s.error), error);
    if (strcasestr(s.text, part) == NULL) fail_msg("no \"%s\" in \"%s\"", part, s.text);
    if (!hang_up) close(peer);
    close(listener);
    tern_client_free(client);
    tern_connection_options_free(options);
}

static void peers_that_are_no_brokers(void **state) /* [C17] */
{
    (void)state;
    static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static const uint8_t huge[] = {0x30, 0xFF, 0xFF, 0xFF, 0x7F};
    static const uint8_t connack_then_huge[] = {0x20, 0xFF, 0xFF, 0xFF, 0x7F};
    answer_with(NULL, 0, false, TERN_E_TIMEOUT, "CONNACK");
    answer_with(NULL, 0, true, TERN_E_CONNECTION_LOST, "reset"); /* it had not read all */
    answer_with(http, sizeof http - 1, false, TERN_E_MALFORMED, "offset");
    answer_with(huge, sizeof huge, false, TERN_E_MALFORMED, "offset");
    answer_with(connack_then_huge, sizeof connack_then_huge, false, TERN_E_MALFORMED, "offset");
}

static void each_refusal_of_connack(void **state) /* [C18] */
{
    (void)state;
    static const struct {
        uint8_t code;
        const char *part;
    } rows[] = {
        {0x80, "Unspecified"}, {0x84, "version"}, {0x85, "identifier"}, {0x86, "password"}, {0x87, "Not authorized"},
        {0x88, "unavailable"}, {0x89, "busy"},    {0x8A, "Banned"},     {0x8C, "method"},   {0x97, "Quota"},
        {0x9C, "another"},     {0x9D, "moved"},   {0x9F, "rate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t connack[] = {0x20, 3, 0, rows[i].code, 0};
        answer_with(connack, sizeof connack, false, TERN_E_REFUSED, rows[i].part);
    }
}

static void topics_filters_and_flags(void **state)
{
    (void)state;
    tern_client *client = NULL;
    char *large = malloc(65537);
    assert_non_null(large);
    memset(large, 'a', 65536);
    large[65536] = '\0';
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a/+", "x", 1, 0, NULL), TERN_E_TOPIC); /* [MQTT5-3.3.2-2] */
    assert_int_equal(tern_client_publish(client, "#", "x", 1, 0, NULL), TERN_E_TOPIC);
    assert_int_equal(tern_client_publish(client, "", "x", 1, 0, NULL), TERN_E_TOPIC); /* [MQTT5-4.7.3-1] */
    assert_int_equal(tern_client_publish(client, "\xC3\x28", "x", 1, 0, NULL), TERN_E_UTF8);
    assert_int_equal(tern_client_publish(client, "\xED\xA0\x80", "x", 1, 0, NULL), TERN_E_UTF8);
    assert_int_equal(tern_client_publish(client, large, "x", 1, 0, NULL), TERN_E_TOO_LARGE); /* CVE-2025-10543 */
    assert_int_equal(tern_client_publish(client, NULL, "x", 1, 0, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish(client, "a", NULL, 1, 0, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, 3, NULL), TERN_E_INVALID);
    expect_text(client, "QoS 3");
    assert_int_equal(tern_client_subscribe(client, "a/#/b", 0, NULL), TERN_E_FILTER); /* [MQTT5-4.7.1-1] */
    expect_text(client, "a/#/b");
    assert_int_equal(tern_client_subscribe(client, "a+", 0, NULL), TERN_E_FILTER);
    assert_int_equal(tern_client_subscribe(client, "$share//a", 0, NULL), TERN_E_FILTER);
    assert_int_equal(tern_client_subscribe(client, "a", 3, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_subscribe(client, "a", TERN_RETAIN, NULL), TERN_E_INVALID);
    tern_subscription *none = NULL;
    assert_int_equal(tern_subscription_new(&none), 0);
    assert_int_equal(tern_client_subscribe_all(client, none, NULL), TERN_E_INVALID); /* [MQTT5-3.8.3-2] [MQTT311-3.8.3-3] */
    assert_int_equal(tern_client_unsubscribe_all(client, none, NULL), TERN_E_INVALID); /* [MQTT5-3.10.3-2] [MQTT311-3.10.3-2] */
    tern_subscription_free(none);
    assert_int_equal(tern_client_unsubscribe(client, "\xED\xA0\x80", NULL), TERN_E_UTF8); /* [MQTT311-3.10.3-1] */
    large[65535] = '\0';
    assert_int_equal(tern_client_publish(client, large, "x", 1, 0, NULL), 0);
    free(large);
    tern_client_free(client);
}

static void calls_in_the_wrong_state(void **state)
{
    (void)state;
    tern_client *client = NULL;
    tern_message *message = NULL;
    uint64_t value;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_connect(client, NULL), TERN_E_NOT_CONNECTED);
    assert_int_equal(tern_client_receive(client, &message), TERN_E_AGAIN);
    assert_int_equal(tern_client_dispatch(client, 0), TERN_E_STATE);
    assert_int_equal(tern_client_stat(client, "no such thing", &value), TERN_E_NOT_FOUND);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_subscribe(client, "a", 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_connect(client, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_close(client, 1, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), TERN_E_CLOSED);
    tern_client_free(client);
    tern_client_free(NULL);
    assert_int_equal(tern_client_publish(NULL, "a", "x", 1, 0, NULL), TERN_E_INVALID);
    assert_non_null(tern_client_error_text(NULL));
}

static void a_full_outbox(void **state) /* [C3] [C10] */
{
    (void)state;
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    uint64_t held;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_outbox_limits(options, 1 << 20, 10), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    for (int i = 0; i < 10; i++) assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), TERN_E_OUTBOX_FULL);
    assert_int_equal(tern_client_stat(client, "outbox_messages", &held), 0);
    assert_int_equal(held, 10);
    tern_client_free(client);
    assert_int_equal(tern_client_options_set_outbox_policy(options, TERN_OUTBOX_BLOCK, 50), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    for (int i = 0; i < 10; i++) assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), TERN_E_TIMEOUT);
    tern_client_free(client);
    tern_client_options_free(options);
}

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    (void)level;
    if (strstr(text, "canary") != NULL) atomic_store((atomic_int *)user_data, 1);
}

static void secrets_stay_secret(void **state) /* [C20] */
{
    (void)state;
    atomic_int leaked = 0;
    uint16_t port;
    char url[96];
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    int held = net_refusing_port(&port);
    snprintf(url, sizeof url, "mqtt://user:canary-secret@127.0.0.1:%u", port);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_log(options, TERN_LOG_TRACE, on_log, &leaked), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    assert_int_equal(tern_client_configure_url(client, url), 0);
    assert_int_equal(tern_client_connect_wait(client, SHORT), TERN_E_CONNECT);
    assert_null(strstr(tern_client_error_text(client), "canary"));
    assert_int_equal(atomic_load(&leaked), 0);
    tern_client_free(client);
    tern_client_options_free(options);
    close(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(a_host_that_does_not_resolve),
        cmocka_unit_test(a_refused_connection),
        cmocka_unit_test(a_deadline_is_told),
        cmocka_unit_test(the_cause_of_waiting_is_told),
        cmocka_unit_test(peers_that_are_no_brokers),
        cmocka_unit_test(each_refusal_of_connack),
        cmocka_unit_test(topics_filters_and_flags),
        cmocka_unit_test(calls_in_the_wrong_state),
        cmocka_unit_test(a_full_outbox),
        cmocka_unit_test(secrets_stay_secret),
    };
    signal(SIGPIPE, SIG_IGN); /* the test's own writes to a peer that is gone; the library raises none */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
