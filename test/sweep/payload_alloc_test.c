/* Every allocation of a client with compression, of a batch and of a pool fails once, in whatever thread: an error or a reconnect,
 * no message without its outcome, and none lost on its way. Leaks are for the lane with AddressSanitizer to find. [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lives.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, LONG = 1000, COLLECTED = 7, MEMBERS = 2 };

/* ---- compression ---- */

static char text[LONG]; /* its first byte tells the QoS */
static atomic_uint arrived;
static atomic_uint wrong;

static void prepare_text(char first)
{
    for (size_t i = 0; i < LONG; i++) text[i] = "{\"temperature\": 23.5} "[i % 22];
    text[0] = first;
}

/* What cannot be inflated for want of memory comes as it is, and says so. */
static void on_payload(tern_client *client, const tern_message *message, void *user_data)
{
    static const char rest[] = "\"temperature\": 23.5} ";
    const char *payload = tern_message_payload(message);
    size_t len = tern_message_payload_length(message);
    (void)client;
    (void)user_data;
    if (tern_compression_result_of(message) == TERN_COMPRESSION_NO_MEMORY) {
        bool raw = len > 2 && memcmp(payload, "\x1f\x8b", 2) == 0;
        atomic_fetch_or(raw ? &arrived : &wrong, raw ? 1u << tern_message_qos(message) : 1);
        return;
    }
    bool whole = len == LONG && payload[0] >= '0' && payload[0] <= '2' && memcmp(payload + 1, rest, sizeof rest - 1) == 0;
    atomic_fetch_or(whole ? &arrived : &wrong, whole ? 1u << (payload[0] - '0') : 1);
}

static bool has_come_back(void *argument)
{
    return (atomic_load(&arrived) & *(unsigned *)argument) == *(unsigned *)argument;
}

static void compressed_once(mock_broker *broker, life *l, tern_compression_form form)
{
    static unsigned acknowledged = 1u << 1 | 1u << 2; /* QoS 0 may be lost with a connection */
    tern_compression *c = NULL;
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    tern_token *token = NULL;
    atomic_store(&arrived, 0);
    atomic_store(&wrong, 0);
    TRY(tern_compression_new(&c));
    TRY(tern_compression_set_default(c, TERN_ENCODING_GZIP));
    TRY(tern_compression_add_filter(c, "plain/#", TERN_ENCODING_NONE));
    TRY(tern_compression_set_form(c, form));
    TRY(tern_client_options_new(&options));
    TRY(tern_client_options_set_compression(options, c));
    TRY(tern_client_new(&client, options));
    tern_client_options_free(options);
    TRY(tern_client_set_delivery_handler(client, life_on_delivery, l));
    TRY(tern_client_set_message_handler(client, on_payload, l));
    TRY(life_configure(client, mock_broker_url(broker)));
    (void)tern_client_connect_wait(client, PATIENCE);
    (void)tern_client_connect(client, NULL); /* where the first one had no memory */
    TRY(tern_compression_subscribe(c, client, "up", TERN_QOS_2, &token));
    int rc = tern_token_wait(token, PATIENCE);
    tern_token_unref(token);
    if (rc == TERN_E_NOMEM) {
        TRY(tern_compression_subscribe(c, client, "up", TERN_QOS_2, &token));
        rc = tern_token_wait(token, PATIENCE);
        tern_token_unref(token);
    }
    assert_int_equal(rc, 0);
    for (uint32_t qos = 0; qos < 3; qos++) {
        prepare_text((char)('0' + qos));
        TRY(tern_client_publish(client, "up", text, LONG, qos, NULL));
        l->accepted++;
    }
    TRY(tern_client_flush_wait(client, PATIENCE));
    assert_true(net_wait_until(has_come_back, &acknowledged, PATIENCE));
    tern_client_free(client);
    tern_compression_unref(c);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(atomic_load(&l->told), l->accepted);
}

static void with_properties(mock_broker *broker, life *l)
{
    compressed_once(broker, l, TERN_COMPRESSION_PROPERTY);
}

static void with_metas(mock_broker *broker, life *l)
{
    compressed_once(broker, l, TERN_COMPRESSION_META_TOPIC);
}

static void compressed_clients_live_on(void **state)
{
    tern_compression *c = NULL;
    (void)state;
    if (tern_compression_new(&c) == TERN_E_UNSUPPORTED) skip();
    bool has_metas = tern_compression_set_form(c, TERN_COMPRESSION_META_TOPIC) == 0;
    tern_compression_unref(c);
    sweep_lives(with_properties);
    if (has_metas) sweep_lives(with_metas);
}

/* ---- batches ---- */

static atomic_uint outcomes[COLLECTED + 1];
static atomic_uint delivered[COLLECTED + 1];

static void on_batch_delivery(tern_batch *batch, uint64_t first_id, uint64_t last_id, tern_outcome outcome, tern_cause cause,
                              int reason_code, void *user_data)
{
    (void)batch;
    (void)cause;
    (void)reason_code;
    for (uint64_t id = first_id; id <= last_id; id++) {
        assert_in_range(id, 1, COLLECTED);
        atomic_fetch_add(&outcomes[id], 1);
        if (outcome == TERN_OUTCOME_DELIVERED) atomic_fetch_add(&delivered[id], 1);
        atomic_fetch_add(&((life *)user_data)->told, 1);
    }
}

static bool has_told_all(void *argument)
{
    return atomic_load(&((life *)argument)->told) >= COLLECTED;
}

/* Some of its batches are collected before the server says that it takes no packet as large as they are. */
static void batched_once(mock_broker *broker, life *l)
{
    static const mock_rules small = {.connack_props = {0x27, 0, 0, 0, 250}, .connack_props_len = 5};
    tern_client *client = NULL;
    tern_batch *batch = NULL;
    uint64_t id = 0;
    mock_broker_set_rules(broker, &small);
    memset(outcomes, 0, sizeof outcomes);
    memset(delivered, 0, sizeof delivered);
    TRY(tern_client_new(&client, NULL));
    TRY(life_configure(client, mock_broker_url(broker)));
    TRY(tern_batch_new(&batch, client));
    TRY(tern_batch_set_topic(batch, "up"));
    TRY(tern_batch_set_limits(batch, 3, 65536));
    TRY(tern_batch_set_delivery_handler(batch, on_batch_delivery, l));
    for (unsigned n = 1; n < COLLECTED; n++) {
        TRY(tern_batch_add(batch, "sensor", "a payload", 9, TERN_QOS_1, &id));
        assert_int_equal(id, n);
    }
    (void)tern_client_connect_wait(client, PATIENCE);
    (void)tern_client_connect(client, NULL);
    TRY(tern_batch_add(batch, "sensor", "the last one", 12, TERN_QOS_1, &id));
    TRY(tern_batch_close(batch));
    assert_true(net_wait_until(has_told_all, l, PATIENCE));
    TRY(tern_client_flush_wait(client, PATIENCE));
    tern_batch_free(batch);
    tern_client_free(client);
    for (unsigned n = 1; n <= COLLECTED; n++) {
        assert_int_equal(atomic_load(&outcomes[n]), 1);
        assert_int_equal(atomic_load(&delivered[n]), 1);
    }
}

static void batches_lose_nothing(void **state)
{
    (void)state;
    sweep_lives(batched_once);
}

/* ---- pools ---- */

static void on_pool_delivery(tern_pool *pool, uint64_t first_id, uint64_t last_id, tern_outcome outcome, tern_cause cause,
                             int reason_code, void *user_data)
{
    (void)pool;
    (void)outcome;
    (void)cause;
    (void)reason_code;
    atomic_fetch_add(&((life *)user_data)->told, (int)(last_id - first_id + 1));
}

static bool has_received(void *argument)
{
    return atomic_load(&((life *)argument)->received) != 0;
}

/* Connecting may have failed at some member. */
static void start_pool(tern_pool *pool)
{
    TRY(tern_pool_start(pool));
    if (tern_pool_wait_connected(pool, MEMBERS, PATIENCE) == 0) return;
    TRY(tern_pool_start(pool));
    TRY(tern_pool_wait_connected(pool, MEMBERS, PATIENCE));
}

static void pooled_once(mock_broker *broker, life *l)
{
    static const char *const topics[] = {"a", "b", "c", "d"};
    tern_pool_options *options = NULL;
    tern_connection_options *connection = NULL;
    tern_pool *pool = NULL;
    tern_token *token = NULL;
    TRY(tern_pool_options_new(&options));
    TRY(tern_pool_options_set_members(options, MEMBERS));
    TRY(tern_pool_options_set_client_id_prefix(options, "p"));
    TRY(life_connection_options(&connection, mock_broker_url(broker)));
    TRY(tern_pool_new(&pool, options, NULL, connection));
    tern_connection_options_free(connection);
    tern_pool_options_free(options);
    TRY(tern_pool_set_delivery_handler(pool, on_pool_delivery, l));
    TRY(tern_pool_set_filter_handler(pool, "down/#", life_on_message, l));
    start_pool(pool);
    int rc = tern_pool_subscribe_wait(pool, "down/a", TERN_QOS_1, NULL, PATIENCE);
    if (rc != 0) TRY(tern_pool_subscribe_wait(pool, "down/a", TERN_QOS_1, NULL, PATIENCE));
    rc = tern_pool_subscribe_wait(pool, "down/b", TERN_QOS_1, "group", PATIENCE);
    if (rc != 0) TRY(tern_pool_subscribe_wait(pool, "down/b", TERN_QOS_1, "group", PATIENCE));
    mock_broker_publish(broker, "down/a", "hello", 5, 1);
    for (uint32_t i = 0; i < 4; i++) {
        TRY(tern_pool_publish(pool, topics[i], "text", 4, i % 3, NULL));
        l->accepted++;
    }
    TRY(tern_pool_publish_token(pool, "e", "text", 4, TERN_QOS_1, &token));
    TRY(tern_pool_publish_wait(pool, "f", "text", 4, TERN_QOS_2, PATIENCE));
    TRY(tern_pool_flush_wait(pool, PATIENCE));
    assert_true(net_wait_until(has_received, l, PATIENCE));
    TRY(tern_pool_unsubscribe(pool, "down/b", "group"));
    tern_pool_free(pool);
    assert_int_equal(tern_token_done(token), 1);
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_DELIVERED);
    tern_token_unref(token);
    assert_int_equal(atomic_load(&l->told), l->accepted);
}

static void pools_live_on(void **state)
{
    (void)state;
    sweep_lives(pooled_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_clients_live_on),
        cmocka_unit_test(batches_lose_nothing),
        cmocka_unit_test(pools_live_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
