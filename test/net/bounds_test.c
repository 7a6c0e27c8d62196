/* Bounds: what is held of either direction has a limit, and what happens there is told. [C3] [C10]
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
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

static uint64_t stat(tern_client *client, const char *name)
{
    uint64_t value = 0;
    assert_int_equal(tern_client_stat(client, name, &value), 0);
    return value;
}

static tern_client *make_client(mock_broker *broker, size_t max_bytes, size_t max_messages, tern_outbox_policy policy,
                                uint32_t block_ms)
{
    tern_client *client = NULL;
    tern_client_options *options = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_outbox_limits(options, max_bytes, max_messages), 0);
    assert_int_equal(tern_client_options_set_outbox_policy(options, policy, block_ms), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    if (broker != NULL) assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    return client;
}

/* Resident bytes of this process. */
static size_t resident(void)
{
    unsigned long size = 0;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &pages), 2);
    fclose(file);
    return pages * 4096;
}

/* The limit holds at the header, before memory is taken for it, with a limit that would allow it and with one that does not. */
static void a_header_of_256_mb_takes_no_memory(void **state)
{
    (void)state;
    static const uint8_t header[] = {0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, 'a', 0};
    for (int allowed = 0; allowed <= 1; allowed++) {
        mock_broker *broker = mock_broker_new();
        tern_client_options *options = NULL;
        tern_client *client = NULL;
        watch w;
        assert_int_equal(tern_client_options_new(&options), 0);
        assert_int_equal(tern_client_options_set_maximum_packet_size(options, allowed ? 268435460 : 1 << 20), 0);
        assert_int_equal(tern_client_new(&client, options), 0);
        tern_client_options_free(options);
        watch_init(&w, client);
        assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
        assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
        size_t before = resident();
        mock_broker_send_raw(broker, header, sizeof header);
        if (!allowed) {
            assert_true(watch_wait(&w, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
            assert_int_equal(watch_last(&w, TERN_EVENT_DISCONNECTED).reason, 0x95);
        } else { /* it waits for the rest; the connection lives, since a publish still goes through */
            assert_int_equal(tern_client_publish_wait(client, "a", "x", 1, TERN_QOS_0, PATIENCE), 0);
            assert_true(mock_broker_wait(broker, TERN__PUBLISH, 1, PATIENCE));
        }
        assert_true(resident() < before + (8u << 20));
        tern_client_free(client);
        watch_deinit(&w);
        mock_broker_free(broker);
    }
}

static void hold(tern_client *client, const tern_message *message, void *user_data)
{
    pthread_mutex_t *gate = user_data;
    (void)client;
    (void)message;
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
}

static bool ack_by_turns(mock_broker *broker, mock_peer *peer, const tern__packet *packet, void *user_data)
{
    unsigned *count = user_data;
    (void)broker;
    if (packet->type != TERN__PUBLISH) return false;
    tern__packet ack = {.type = TERN__PUBACK};
    ack.u.ack.packet_id = packet->u.publish.packet_id;
    ack.u.ack.reason = ++*count % 2 == 0 ? 0x10 : 0; /* "no matching subscribers" */
    mock_send(peer, &ack);
    return true;
}

typedef struct tally {
    pthread_mutex_t gate;
    uint64_t told;
} tally;

static void count_outcomes(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    tally *t = user_data;
    (void)client;
    pthread_mutex_lock(&t->gate);
    t->told += tern_delivery_count(delivery);
    pthread_mutex_unlock(&t->gate);
}

/* Outcomes that wait for a slow handler count against the inbound bound, where each differs from the last: then nothing more
 * is read, the outbox fills, and publishing is told. */
static void outcomes_that_wait_are_bounded(void **state)
{
    (void)state;
    enum { LIMIT = 20000, MANY = 100000 };
    unsigned acks = 0;
    tally t = {.gate = PTHREAD_MUTEX_INITIALIZER};
    mock_broker *broker = mock_broker_new();
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    mock_broker_set_script(broker, ack_by_turns, &acks);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_inbound_limit(options, LIMIT), 0);
    assert_int_equal(tern_client_options_set_outbox_limits(options, 1 << 20, 100), 0);
    assert_int_equal(tern_client_options_set_outbox_policy(options, TERN_OUTBOX_BLOCK, 1000), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_client_set_delivery_handler(client, count_outcomes, &t), 0);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    pthread_mutex_lock(&t.gate);
    uint64_t published = 0;
    int rc = 0;
    while (published < MANY && (rc = tern_client_publish(client, "up", "x", 1, TERN_QOS_1, NULL)) == 0) published++;
    assert_int_equal(rc, TERN_E_TIMEOUT);
    assert_true(stat(client, "inbound_bytes") <= LIMIT + 65536);
    pthread_mutex_unlock(&t.gate);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    assert_int_equal(t.told, published); /* [C1] */
    assert_int_equal(stat(client, "inbound_bytes"), 0);
    assert_int_equal(stat(client, "outcomes_delivered"), published);
    tern_client_free(client);
    mock_broker_free(broker);
}

/* Who does not take what it receives waits in vain for an acknowledgement behind it, and is told why. [C11] */
static void a_wait_while_nothing_is_read_says_why(void **state)
{
    (void)state;
    mock_broker *broker = mock_broker_new();
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    watch w;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_inbound_limit(options, 1), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    watch_init(&w, client);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "down", 0, PATIENCE), 0);
    while (watch_count(&w, TERN_EVENT_PAUSED) == 0) mock_broker_publish(broker, "down", "x", 1, 0);
    assert_int_equal(tern_client_publish_wait(client, "up", "x", 1, TERN_QOS_1, 50), TERN_E_TIMEOUT);
    assert_non_null(strstr(tern_client_error_text(client), "received messages wait to be taken"));
    tern_client_free(client);
    watch_deinit(&w);
    mock_broker_free(broker);
}

/* Reading pauses at the inbound limit; pings go on, nothing is lost, and it goes on when there is room. */
static void received_bytes_are_bounded(void **state)
{
    (void)state;
    enum { LIMIT = 100000, PAYLOAD = 5000, MESSAGES = 200 };
    static char payload[PAYLOAD];
    mock_broker *broker = mock_broker_new();
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    tern_client *client = NULL;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    watch w;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_inbound_limit(options, LIMIT), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, mock_broker_url(broker)), 0);
    assert_int_equal(tern_connection_options_set_keep_alive(connection, 1), 0);
    assert_int_equal(tern_client_configure(client, connection), 0);
    tern_connection_options_free(connection);
    assert_int_equal(tern_client_set_message_handler(client, hold, &gate), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "down", TERN_QOS_1, PATIENCE), 0);
    watch_init(&w, client);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < MESSAGES; i++) mock_broker_publish(broker, "down", payload, sizeof payload, 1);
    uint64_t pings = mock_broker_count(broker, TERN__PINGREQ);
    assert_true(mock_broker_wait(broker, TERN__PINGREQ, pings + 2, PATIENCE));
    assert_int_equal(tern_client_connected(client), 1);
    assert_true(stat(client, "inbound_bytes") <= LIMIT + 3 * 65536);
    assert_true(stat(client, "inbound_bytes_peak") <= LIMIT + 3 * 65536);
    pthread_mutex_unlock(&gate);
    assert_true(mock_broker_wait(broker, TERN__PUBACK, MESSAGES, PATIENCE));
    assert_true(watch_wait(&w, TERN_EVENT_RESUMED, 1, PATIENCE));
    assert_true(watch_count(&w, TERN_EVENT_PAUSED) >= 1);
    assert_int_equal(mock_broker_count(broker, MOCK_ENDED), 0);
    tern_client_free(client);
    watch_deinit(&w);
    mock_broker_free(broker);
}

/* Reject: the call says so, and the message was never accepted. */
static void a_full_outbox_rejects(void **state)
{
    (void)state;
    static char payload[1000];
    tern_client *client = make_client(NULL, 10000, 0, TERN_OUTBOX_REJECT, 0);
    uint64_t id = 0;
    unsigned accepted = 0;
    while (tern_client_publish(client, "a", payload, sizeof payload, TERN_QOS_1, &id) == 0) accepted++;
    assert_in_range(accepted, 8, 10);
    assert_int_equal(tern_client_publish(client, "a", payload, sizeof payload, TERN_QOS_1, &id), TERN_E_OUTBOX_FULL);
    assert_int_equal(id, 0);
    assert_non_null(strstr(tern_client_error_text(client), "full"));
    assert_int_equal(stat(client, "messages_published"), accepted);
    assert_int_equal(stat(client, "messages_rejected"), 2);
    assert_true(stat(client, "outbox_bytes") <= 10000);
    tern_client_free(client);
    client = make_client(NULL, 1 << 20, 3, TERN_OUTBOX_REJECT, 0); /* by count */
    for (int i = 0; i < 3; i++) assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_0, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_0, NULL), TERN_E_OUTBOX_FULL);
    tern_client_free(client);
    /* An empty outbox takes a message that is larger than its bound. */
    client = make_client(NULL, 100, 0, TERN_OUTBOX_BLOCK, 0);
    assert_int_equal(tern_client_publish(client, "a", payload, sizeof payload, TERN_QOS_1, NULL), 0);
    tern_client_free(client);
}

typedef struct publisher {
    tern_client *client;
    int rc;
} publisher;

static void *publish_once(void *argument)
{
    publisher *p = argument;
    p->rc = tern_client_publish(p->client, "a", "x", 1, TERN_QOS_1, NULL);
    return NULL;
}

/* Block: up to a deadline; until there is room; until the client closes. */
static void a_full_outbox_blocks(void **state)
{
    (void)state;
    tern_client *client = make_client(NULL, 1 << 20, 1, TERN_OUTBOX_BLOCK, 50);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), TERN_E_TIMEOUT);
    tern_client_free(client);

    mock_broker *broker = mock_broker_new();
    client = make_client(broker, 1 << 20, 5, TERN_OUTBOX_BLOCK, 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    for (int i = 0; i < 500; i++) assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    assert_int_equal(tern_client_flush_wait(client, PATIENCE), 0);
    assert_true(stat(client, "outbox_messages_peak") <= 5);
    tern_client_free(client);
    mock_broker_free(broker);

    client = make_client(NULL, 1 << 20, 1, TERN_OUTBOX_BLOCK, 0); /* for ever */
    publisher p = {.client = client};
    pthread_t thread;
    tern_token *token = NULL;
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    pthread_create(&thread, NULL, publish_once, &p);
    assert_int_equal(tern_client_close(client, 0, 0, &token), 0);
    pthread_join(thread, NULL);
    assert_int_equal(p.rc, TERN_E_CLOSED);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    tern_client_free(client);
}

/* [MQTT5-3.2.2-15] what the server cannot take is told, and what follows goes out. */
static void a_message_over_the_servers_maximum_is_not_sent(void **state)
{
    (void)state;
    static char payload[200];
    mock_broker *broker = mock_broker_new();
    mock_rules rules = {.connack_props = {0x27, 0, 0, 0, 100}, .connack_props_len = 5};
    mock_broker_set_rules(broker, &rules);
    tern_client *client = make_client(broker, 1 << 20, 0, TERN_OUTBOX_REJECT, 0);
    tern_token *large = NULL;
    tern_token *small = NULL;
    assert_int_equal(tern_client_publish_token(client, "a", payload, sizeof payload, TERN_QOS_1, &large), 0);
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &small), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_token_wait(large, PATIENCE), TERN_E_TOO_LARGE);
    assert_int_equal(tern_token_outcome(large), TERN_OUTCOME_NOT_SENT);
    assert_int_equal(tern_token_cause(large), TERN_CAUSE_TOO_LARGE);
    assert_int_equal(tern_token_wait(small, PATIENCE), 0);
    assert_int_equal(mock_broker_messages(broker), 1);
    tern_token_unref(large);
    tern_token_unref(small);
    tern_client_free(client);
    mock_broker_free(broker);
}

/* Told in time, though nobody ever connected. [C1] */
static void a_message_that_expires_offline_is_told(void **state)
{
    (void)state;
    tern_client *client = make_client(NULL, 1 << 20, 0, TERN_OUTBOX_REJECT, 0);
    tern_message *message = NULL;
    tern_token *token = NULL;
    assert_int_equal(tern_message_new(&message, "a", "x", 1, TERN_QOS_1), 0);
    assert_int_equal(tern_message_set_expiry(message, 1), 0);
    assert_int_equal(tern_client_publish_message(client, message, NULL, &token), 0);
    tern_message_unref(message);
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_EXPIRED);
    assert_int_equal(tern_token_done(token), 1);
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT);
    assert_int_equal(tern_token_cause(token), TERN_CAUSE_EXPIRED);
    tern_token_unref(token);
    tern_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_of_256_mb_takes_no_memory),
        cmocka_unit_test(received_bytes_are_bounded),
        cmocka_unit_test(outcomes_that_wait_are_bounded),
        cmocka_unit_test(a_wait_while_nothing_is_read_says_why),
        cmocka_unit_test(a_full_outbox_rejects),
        cmocka_unit_test(a_full_outbox_blocks),
        cmocka_unit_test(a_message_over_the_servers_maximum_is_not_sent),
        cmocka_unit_test(a_message_that_expires_offline_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
