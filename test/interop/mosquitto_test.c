/* A client, through its public headers, against Debian's mosquitto. [MQTT311-7.0.0-2]
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
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

#include "support/broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

static broker b;

static tern_client *make(const char *id, const char *url, tern_version version, tern_dispatch dispatch, tern_ack ack)
{
    tern_client *client = NULL;
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_client_id(options, id), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, dispatch), 0);
    assert_int_equal(tern_client_options_set_ack(options, ack), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, url), 0);
    assert_int_equal(tern_connection_options_set_version(connection, version), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 20, 200, TERN_JITTER_PROPORTIONAL), 0);
    assert_int_equal(tern_client_configure(client, connection), 0);
    tern_client_options_free(options);
    tern_connection_options_free(connection);
    return client;
}

static tern_client *open_client(const char *id, tern_version version)
{
    tern_client *client = make(id, b.url, version, TERN_DISPATCH_THREAD, TERN_ACK_AUTO);
    if (tern_client_connect_wait(client, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(client));
    return client;
}

static void shut(tern_client *client)
{
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    tern_client_free(client);
}

static uint64_t stat_of(tern_client *client, const char *name)
{
    uint64_t value = 0;
    assert_int_equal(tern_client_stat(client, name, &value), 0);
    return value;
}

static void every_qos_and_version(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t v = 0; v < 2; v++) {
        tern_client *client = open_client("qos", versions[v]);
        assert_int_equal(tern_client_subscribe_wait(client, "qos/#", TERN_QOS_2, PATIENCE), 0);
        for (uint32_t qos = 0; qos <= 2; qos++) {
            tern_message *message = NULL;
            assert_int_equal(tern_client_publish_wait(client, "qos/x", "payload", 7, qos, PATIENCE), 0);
            assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), 0);
            assert_string_equal(tern_message_topic(message), "qos/x");
            assert_string_equal(tern_message_text(message), "payload");
            assert_int_equal(tern_message_qos(message), qos);
            tern_message_unref(message);
        }
        shut(client);
    }
}

typedef struct tally {
    int next[3];      /* the number expected next, by QoS */
    atomic_int count;
    atomic_int disorder;
} tally;

static void on_numbered(tern_client *client, const tern_message *message, void *user_data)
{
    tally *t = user_data;
    (void)client;
    int qos = tern_message_qos(message);
    if (atoi(tern_message_text(message)) != t->next[qos]++) atomic_fetch_add(&t->disorder, 1);
    atomic_fetch_add(&t->count, 1);
}

static bool reached(void *argument)
{
    tally *t = argument;
    return atomic_load(&t->count) >= 30000;
}

static void ten_thousand_of_each_in_order(void **state) /* [C5] [C8] */
{
    (void)state;
    tally t = {0};
    tern_client *client = open_client("many", TERN_VERSION_5);
    assert_int_equal(tern_client_set_filter_handler(client, "many/+", on_numbered, &t), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "many/+", TERN_QOS_2, PATIENCE), 0);
    for (int i = 0; i < 10000; i++) {
        char text[16];
        size_t length = (size_t)snprintf(text, sizeof text, "%d", i);
        for (uint32_t qos = 0; qos <= 2; qos++)
            assert_int_equal(tern_client_publish(client, "many/x", text, length, qos, NULL), 0);
    }
    assert_int_equal(tern_client_flush_wait(client, 4 * PATIENCE), 0);
    assert_true(net_wait_until(reached, &t, 4 * PATIENCE));
    assert_int_equal(atomic_load(&t.disorder), 0);
    assert_int_equal(stat_of(client, "outcomes_delivered"), 20000);
    assert_int_equal(stat_of(client, "outcomes_sent"), 10000);
    assert_int_equal(stat_of(client, "outbox_messages"), 0);
    shut(client);
    assert_int_equal(atomic_load(&t.count), 30000);
}

static void properties_go_through(void **state)
{
    (void)state;
    tern_client *client = open_client("properties", TERN_VERSION_5);
    tern_message *sent = NULL;
    tern_message *got = NULL;
    const char *name;
    const char *value;
    size_t length;
    size_t value_length;
    uint32_t seconds = 0;
    assert_int_equal(tern_client_subscribe_wait(client, "p", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_message_new(&sent, "p", "{}", 2, TERN_QOS_1), 0);
    assert_int_equal(tern_message_set_content_type(sent, "application/json"), 0);
    assert_int_equal(tern_message_set_response_topic(sent, "reply/here"), 0);
    assert_int_equal(tern_message_set_correlation_data(sent, "\0\1\2", 3), 0);
    assert_int_equal(tern_message_set_expiry(sent, 100), 0);
    assert_int_equal(tern_message_add_user_property(sent, "key", "value"), 0);
    assert_int_equal(tern_client_publish_message_wait(client, sent, NULL, PATIENCE), 0);
    assert_int_equal(tern_client_receive_wait(client, &got, PATIENCE), 0);
    assert_memory_equal(tern_message_content_type(got, &length), "application/json", 16);
    assert_memory_equal(tern_message_response_topic(got, &length), "reply/here", 10);
    assert_memory_equal(tern_message_correlation_data(got, &length), "\0\1\2", 3);
    assert_int_equal(tern_message_expiry(got, &seconds), 1);
    assert_in_range(seconds, 1, 100);
    assert_int_equal(tern_message_user_property(got, 0, &name, &length, &value, &value_length), 0);
    assert_memory_equal(value, "value", 5);
    tern_message_unref(sent);
    tern_message_unref(got);
    shut(client);
}

static void a_will_is_published(void **state)
{
    (void)state;
    tern_client *watcher = open_client("watcher", TERN_VERSION_5);
    assert_int_equal(tern_client_subscribe_wait(watcher, "will/#", TERN_QOS_1, PATIENCE), 0);
    tern_message *will = NULL;
    tern_message *got = NULL;
    tern_connection_options *connection = NULL;
    assert_int_equal(tern_message_new(&will, "will/x", "gone", 4, TERN_QOS_1), 0);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, b.url), 0);
    assert_int_equal(tern_connection_options_set_will(connection, will, 0), 0);
    tern_client *client = NULL;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_configure(client, connection), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    char id[64];
    assert_int_equal(tern_client_id(client, id, sizeof id), 0);
    assert_true(strlen(id) > 0); /* the server's */
    assert_int_equal(tern_client_disconnect(client, 0x04, NULL), 0);
    assert_int_equal(tern_client_receive_wait(watcher, &got, PATIENCE), 0);
    assert_string_equal(tern_message_text(got), "gone");
    tern_message_unref(got);
    tern_message_unref(will);
    tern_connection_options_free(connection);
    tern_client_free(client);
    shut(watcher);
}

static void the_backlog_drains_after_a_restart(void **state) /* [C1] [C5] [C7] */
{
    (void)state;
    tally t = {0};
    tern_client *sender = open_client("sender", TERN_VERSION_AUTO);
    tern_client *taker = open_client("taker", TERN_VERSION_AUTO);
    assert_int_equal(tern_client_set_message_handler(taker, on_numbered, &t), 0);
    assert_int_equal(tern_client_subscribe_wait(taker, "backlog", TERN_QOS_1, PATIENCE), 0);
    broker_stop(&b);
    for (int i = 0; i < 500; i++) {
        char text[16];
        size_t length = (size_t)snprintf(text, sizeof text, "%d", i);
        assert_int_equal(tern_client_publish(sender, "backlog", text, length, TERN_QOS_1, NULL), 0);
    }
    tern_message *first = NULL;
    assert_int_equal(tern_client_receive(taker, &first), TERN_E_STATE); /* it has a handler */
    assert_true(broker_start(&b));
    /* The subscriber must be there before the backlog is, or the broker has nobody to give it to. */
    assert_int_equal(tern_client_flush_wait(sender, PATIENCE), 0);
    assert_int_equal(stat_of(sender, "outcomes_delivered"), 500);
    assert_true(stat_of(sender, "connects") >= 2);
    assert_int_equal(tern_client_subscribe_wait(taker, "backlog", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(sender, "backlog", "500", 3, TERN_QOS_1, PATIENCE), 0);
    shut(sender);
    shut(taker);
}

static void on_counted(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    ++*(int *)user_data;
}

static void manual_dispatch_with_a_descriptor(void **state)
{
    (void)state;
    int count = 0;
    int fd = -1;
    tern_client *client = make("manual", b.url, TERN_VERSION_5, TERN_DISPATCH_MANUAL, TERN_ACK_AUTO);
    assert_int_equal(tern_client_dispatch_fd(client, &fd), 0);
    assert_int_equal(tern_client_set_message_handler(client, on_counted, &count), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0); /* the network goes on without dispatching */
    assert_int_equal(tern_client_subscribe_wait(client, "manual", TERN_QOS_1, PATIENCE), 0);
    for (int i = 0; i < 100; i++) assert_int_equal(tern_client_publish(client, "manual", "x", 1, TERN_QOS_1, NULL), 0);
    while (count < 100) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, PATIENCE), 1);
        (void)tern_client_dispatch(client, 0);
    }
    assert_int_equal(tern_client_flush_wait(client, PATIENCE), 0);
    shut(client);
}

typedef _Atomic(tern_message *) kept_message;

static void on_keep(tern_client *client, const tern_message *message, void *user_data)
{
    tern_message *copy = NULL;
    (void)client;
    assert_int_equal(tern_message_keep(message, &copy), 0);
    atomic_store((kept_message *)user_data, copy);
}

static bool is_kept(void *argument)
{
    return atomic_load((kept_message *)argument) != NULL;
}

static void manual_acknowledgement(void **state) /* [C9] */
{
    (void)state;
    kept_message kept = NULL;
    tern_client *client = make("acks", b.url, TERN_VERSION_5, TERN_DISPATCH_THREAD, TERN_ACK_MANUAL);
    assert_int_equal(tern_client_set_message_handler(client, on_keep, &kept), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "acks", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "acks", "x", 1, TERN_QOS_1, PATIENCE), 0);
    assert_true(net_wait_until(is_kept, &kept, PATIENCE));
    assert_int_equal(stat_of(client, "unacknowledged_received"), 1);
    assert_int_equal(tern_client_ack(client, kept), 0);
    tern_token *token = NULL;
    assert_int_equal(tern_client_disconnect(client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    assert_int_equal(tern_client_ack(client, kept), TERN_E_STALE);
    tern_message_unref(kept);
    shut(client);
}

static void a_unix_socket(void **state)
{
    (void)state;
    tern_client *client = NULL;
    if (tern_client_open_wait(&client, b.unix_url, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(client));
    assert_int_equal(tern_client_publish_wait(client, "unix", "x", 1, TERN_QOS_2, PATIENCE), 0);
    shut(client);
}

static void a_large_payload(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20 };
    char *payload = malloc(SIZE);
    assert_non_null(payload);
    for (size_t i = 0; i < SIZE; i++) payload[i] = (char)(i * 31 >> 3);
    tern_message *got = NULL;
    tern_client *client = open_client("large", TERN_VERSION_5);
    assert_int_equal(tern_client_subscribe_wait(client, "large", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "large", payload, SIZE, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_receive_wait(client, &got, PATIENCE), 0);
    assert_int_equal(tern_message_payload_length(got), SIZE);
    assert_memory_equal(tern_message_payload(got), payload, SIZE);
    tern_message_unref(got);
    free(payload);
    shut(client);
}

static void refused_credentials_stop_at_once(void **state) /* [C18] [C20] */
{
    (void)state;
    broker strict;
    assert_true(broker_new(&strict, "allow_anonymous false"));
    tern_client *client = NULL;
    assert_int_equal(tern_client_open_wait(&client, strict.url, PATIENCE), TERN_E_REFUSED);
    assert_non_null(strstr(tern_client_error_text(client), "Not authorized"));
    assert_int_equal(stat_of(client, "connect_failures"), 1);
    tern_client_free(client);
    broker_free(&strict);
}

static int set_up(void **state)
{
    (void)state;
    return broker_new(&b, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    broker_free(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_qos_and_version),
        cmocka_unit_test(ten_thousand_of_each_in_order),
        cmocka_unit_test(properties_go_through),
        cmocka_unit_test(a_will_is_published),
        cmocka_unit_test(manual_dispatch_with_a_descriptor),
        cmocka_unit_test(manual_acknowledgement),
        cmocka_unit_test(a_unix_socket),
        cmocka_unit_test(a_large_payload),
        cmocka_unit_test(refused_credentials_stop_at_once),
        cmocka_unit_test(the_backlog_drains_after_a_restart),
    };
    broker probe;
    if (!broker_new(&probe, NULL)) {
        printf("skipped: mosquitto is not installed, or does not start\n");
        return 77;
    }
    broker_free(&probe);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
