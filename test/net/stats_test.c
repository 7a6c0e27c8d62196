/* Statistics after a known traffic, and log records without secrets. [C20]
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

static uint64_t stat(tern_client *client, const char *name)
{
    uint64_t value = 0;
    if (tern_client_stat(client, name, &value) != 0) fail_msg("no statistic \"%s\"", name);
    return value;
}

typedef struct expected {
    tern_client *client;
    const char *name;
    uint64_t value;
} expected;

static bool has_value(void *argument)
{
    expected *e = argument;
    return stat(e->client, e->name) == e->value;
}

/* The loop's numbers are those of its last look: soon they are these. */
static void expect(tern_client *client, const char *name, uint64_t value)
{
    expected e = {client, name, value};
    if (!net_wait_until(has_value, &e, PATIENCE))
        fail_msg("%s is %llu, not %llu", name, (unsigned long long)stat(client, name), (unsigned long long)value);
}

static void numbers_tell_what_happened(void **state)
{
    (void)state;
    mock_broker *broker = mock_broker_new();
    tern_client *client = NULL;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    for (size_t i = 0; i < tern_stat_count(); i++) assert_true(stat(client, tern_stat_name(i)) < 1000);
    assert_null(tern_stat_name(tern_stat_count()));
    uint64_t value = 7;
    assert_int_equal(tern_client_stat(client, "no such thing", &value), TERN_E_NOT_FOUND);
    assert_int_equal(value, 0);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    for (uint32_t i = 0; i < 30; i++) assert_int_equal(tern_client_publish(client, "t", "12345", 5, i % 3, NULL), 0);
    expect(client, "outbox_messages", 30);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_flush_wait(client, PATIENCE), 0);
    expect(client, "messages_published", 30);
    expect(client, "payload_bytes_published", 150);
    expect(client, "outcomes_delivered", 20);
    expect(client, "outcomes_sent", 10);
    expect(client, "messages_sent", 30);
    expect(client, "outbox_messages", 0);
    expect(client, "outbox_bytes", 0);
    expect(client, "outbox_messages_peak", 30);
    expect(client, "inflight", 0);
    expect(client, "connected", 1);
    expect(client, "connects", 1);
    expect(client, "packets_sent", 1 + 30 + 10);     /* CONNECT, PUBLISH, PUBREL */
    expect(client, "packets_received", 1 + 20 + 10); /* CONNACK, PUBACK or PUBREC, PUBCOMP */
    mock_broker_set_rules(broker, &(mock_rules){.puback = 0x97});
    assert_int_equal(tern_client_publish_wait(client, "t", "x", 1, TERN_QOS_1, PATIENCE), TERN_E_REFUSED);
    expect(client, "outcomes_refused", 1);
    mock_broker_cut(broker);
    expect(client, "disconnects", 1);
    tern_client_free(client);
    mock_broker_free(broker);
}

/* ---- log ---- */

typedef struct lines {
    pthread_mutex_t lock;
    char *text;
    size_t len;
    unsigned count;
    tern_log_level loudest;
} lines;

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    lines *l = user_data;
    pthread_mutex_lock(&l->lock);
    size_t len = strlen(text);
    l->text = realloc(l->text, l->len + len + 2);
    assert_non_null(l->text);
    memcpy(l->text + l->len, text, len + 1);
    l->len += len;
    l->count++;
    if (level > l->loudest) l->loudest = level;
    pthread_mutex_unlock(&l->lock);
}

static void log_session(tern_log_level level, lines *l)
{
    static const char secret[] = "hunter2-secret", token[] = "url-secret", payload[] = "payload-secret";
    char url[128];
    mock_broker *broker = mock_broker_new();
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    tern_client *client = NULL;
    tern_message *will = NULL;
    memset(l, 0, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_log(options, level, on_log, l), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    for (int round = 0; round < 2; round++) { /* credentials of the URL, then of the options; the first are refused */
        mock_rules rules = {.refuse = round == 0 ? 0x86 : 0};
        mock_broker_set_rules(broker, &rules);
        snprintf(url, sizeof url, "mqtt://alice:%s@127.0.0.1:%u", token, mock_broker_port(broker));
        assert_int_equal(tern_connection_options_new(&connection), 0);
        assert_int_equal(tern_connection_options_add_server(connection, url), 0);
        if (round == 1)
            assert_int_equal(tern_connection_options_set_credentials(connection, "bob", secret, sizeof secret - 1), 0);
        assert_int_equal(tern_message_new(&will, "will", payload, sizeof payload - 1, TERN_QOS_1), 0);
        assert_int_equal(tern_connection_options_set_will(connection, will, 0), 0);
        tern_message_unref(will);
        assert_int_equal(tern_client_configure(client, connection), 0);
        tern_connection_options_free(connection);
        int rc = tern_client_connect_wait(client, PATIENCE);
        assert_int_equal(rc, round == 0 ? TERN_E_REFUSED : 0);
        assert_null(strstr(tern_client_error_text(client), token));
    }
    assert_int_equal(tern_client_subscribe_wait(client, "t", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "t", payload, sizeof payload - 1, TERN_QOS_1, PATIENCE), 0);
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), 0);
    tern_message_unref(message);
    tern_client_free(client);
    mock_broker_free(broker);
    if (l->text != NULL) {
        assert_null(strstr(l->text, secret));
        assert_null(strstr(l->text, token));
        assert_null(strstr(l->text, payload));
    }
}

/* Level TRACE tells each packet, however the bytes are cut; DEBUG each step; ERROR what is for good. */
static void each_level_has_its_records(void **state)
{
    (void)state;
    static const char *const traced[] = {"sent CONNECT, ", "received CONNACK, ", "sent SUBSCRIBE of packet id 1, ",
                                         "received SUBACK of packet id 1, ", "sent PUBLISH at QoS 1, ",
                                         "received PUBLISH at QoS 1, ", "sent PUBACK of packet id ",
                                         "received PUBACK of packet id ", "sent DISCONNECT, "};
    lines l;
    log_session(TERN_LOG_TRACE, &l);
    for (size_t i = 0; i < sizeof traced / sizeof traced[0]; i++)
        if (strstr(l.text, traced[i]) == NULL) fail_msg("no \"%s\" in: %s", traced[i], l.text);
    free(l.text);
    log_session(TERN_LOG_DEBUG, &l);
    assert_non_null(strstr(l.text, ": CONNECT with MQTT"));
    assert_null(strstr(l.text, "sent PUBLISH"));
    free(l.text);
    log_session(TERN_LOG_ERROR, &l); /* the refused credentials stopped it */
    assert_non_null(strstr(l.text, "stopped connecting"));
    free(l.text);
}

static void no_secret_is_logged(void **state)
{
    (void)state;
    lines l;
    unsigned last = 0;
    for (int level = TERN_LOG_NONE; level <= TERN_LOG_TRACE; level++) {
        log_session((tern_log_level)level, &l);
        assert_true((int)l.loudest <= level);
        assert_true(l.count >= last || level < TERN_LOG_INFO);
        if (level >= TERN_LOG_INFO) assert_true(l.count > 0);
        last = l.count;
        free(l.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_tell_what_happened),
        cmocka_unit_test(no_secret_is_logged),
        cmocka_unit_test(each_level_has_its_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
