/* Feeds: what a client has to tell as bytes, in order; acknowledgements by number; memory that runs out.
 * SPDX-License-Identifier: Apache-2.0 */
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

#include "codec/props.h"
#include "net/rig.h"
#include "support/failing.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, TEXT = 8192 };

static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};

static rig r;
static tern_feed *feed;
static char told[TEXT]; /* what was read since the last expect, in words */
static uint64_t last_number;
static char events[512];

/* ---- reading, as a binding does: from bytes alone ---- */

static uint32_t u32_at(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t u64_at(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    size_t length = strlen(told);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(told + length, sizeof told - length, format, arguments);
    va_end(arguments);
}

static void say_properties(const uint8_t *at, size_t length)
{
    for (const uint8_t *end = at + length; at < end;) {
        uint32_t size = u32_at(at + 1);
        bool number = size == 4 && at[0] < 0x03;
        if (number || at[0] == 0x0b) say(" %02x=%u", at[0], u32_at(at + 5));
        else say(" %02x=%.*s", at[0], (int)size, (const char *)at + 5);
        at += 5 + size;
    }
}

static void say_record(const uint8_t *record, const uint8_t *data)
{
    uint32_t what = u32_at(record);
    uint32_t a = u32_at(record + 32);
    uint32_t b = u32_at(record + 36);
    const char *bytes = data != NULL ? (const char *)data + u64_at(record + 24) : "";
    switch (what & 255) {
    case TERN_FEED_MESSAGE:
        assert_int_equal(bytes[a], 0);
        assert_int_equal(bytes[a + 1 + b], 0);
        say("message %u %s=%s/%u%s%s", u32_at(record + 4), bytes, bytes + a + 1, what >> 8 & 3, what & 0x400 ? "r" : "",
            what & 0x800 ? "d" : "");
        say_properties((const uint8_t *)bytes + a + b + 2, u32_at(record + 40));
        say("\n");
        if (u64_at(record + 8) != 0) last_number = u64_at(record + 8);
        assert_int_equal(u64_at(record + 8) != 0, (what >> 8 & 3) != 0);
        break;
    case TERN_FEED_DELIVERY:
        for (uint64_t id = u64_at(record + 8); id <= u64_at(record + 16); id++)
            say("delivery %u %s %s %d\n", (unsigned)id, tern_outcome_name((tern_outcome)a),
                tern_cause_name((tern_cause)u32_at(record + 4)), (int)b);
        break;
    case TERN_FEED_EVENT: say("event %s %d\n", tern_event_kind_name((tern_event_kind)a), (int)b); break;
    case TERN_FEED_TOKEN: say("token %u %d\n", (unsigned)u64_at(record + 8), (int)b); break;
    case TERN_FEED_LOG: say("log %u %s\n", u32_at(record + 4), bytes); break;
    default: fail_msg("an unknown record: %u", what);
    }
}

static int read_once(uint32_t timeout_ms)
{
    const void *records;
    const void *data;
    size_t count;
    size_t length;
    int rc = tern_feed_read(feed, timeout_ms, &records, &count, &data, &length);
    for (size_t i = 0; i < count; i++) say_record((const uint8_t *)records + i * TERN_FEED_RECORD_SIZE, data);
    return rc;
}

static bool is_told(void *text)
{
    (void)read_once(10);
    return strstr(told, text) != NULL;
}

/* Reads until this was told. */
static void await(const char *text)
{
    if (!net_wait_until(is_told, (void *)(uintptr_t)text, PATIENCE)) fail_msg("\"%s\" is not in: %s", text, told);
}

/* The same; then all is forgotten. */
static void expect(const char *text)
{
    await(text);
    told[0] = '\0';
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    (void)client;
    snprintf(user_data, sizeof events, "%s", tern_event_text(event));
}

static void start(tern_version version)
{
    tern_token *token;
    told[0] = '\0';
    rig_init(&r, version);
    assert_int_equal(tern_feed_new(&feed), 0);
    assert_int_equal(tern_client_options_set_dispatch(r.fixed, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_options_set_ack(r.fixed, TERN_ACK_MANUAL), 0);
    rig_client(&r);
    assert_int_equal(tern_feed_attach(feed, r.client), 0);
    assert_int_equal(tern_feed_set_event_callback(feed, on_event, events), 0);
    assert_int_equal(tern_client_connect(r.client, &token), 0);
    assert_int_equal(tern_feed_watch(feed, token, 7), 0);
    await("event CONNECTED 0\n");
    expect("token 7 0\n");
    tern_token_unref(token);
}

static void stop(void)
{
    rig_free(&r);
    tern_feed_free(feed);
}

/* ---- what is told ---- */

/* Messages with their handlers' numbers and properties, nothing acknowledged before it is said. [C9] */
static void messages_are_packed(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        start(versions[v]);
        assert_int_equal(tern_feed_set_filter(feed, "a/+", 5), 0);
        assert_int_equal(tern_feed_set_filter(feed, "a/#", 70000), 0);
        rig_send_publish(&r, "a/b", "one", 1, 11, false);
        rig_send_publish(&r, "c", "", 0, 0, false);
        rig_send_publish(&r, "c", "two", 2, 12, true);
        rig_send_publish(&r, "c", "three", 1, 13, false);
        await("three/1");
        assert_true(strstr(told, "message 5 a/b=one/1\n") != NULL && strstr(told, "message 70000 a/b=one/1\n") != NULL);
        assert_non_null(strstr(told, "message 0 c=/0\nmessage 0 c=two/2d\nmessage 0 c=three/1\n"));
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__PUBACK) + rig_packets(&r, TERN__PUBREC), 0);
        assert_int_equal(tern_client_ack_number(r.client, last_number - 1, 1), 0);
        assert_true(mock_broker_wait(r.broker, TERN__PUBREC, 1, PATIENCE));
        assert_int_equal(tern_client_ack_number(r.client, last_number - 2, 1), 0); /* earlier than what was said */
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__PUBACK), 1);
        assert_int_equal(tern_client_ack_number(r.client, last_number, 0), 0);
        assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 2, PATIENCE));
        assert_int_equal(tern_feed_set_filter(feed, "a/+", 0), 0);
        assert_int_equal(tern_feed_set_filter(feed, "a/+", 0), TERN_E_NOT_FOUND);
        stop();
    }
}

static void properties_are_packed(void **state)
{
    (void)state;
    tern__buf props = {0};
    int rc = tern__props_add_number(&props, TERN__PROP_PAYLOAD_FORMAT, 1);
    rc |= tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, 4000000000u);
    rc |= tern__props_add_text(&props, TERN__PROP_CONTENT_TYPE, "text/x", 6);
    rc |= tern__props_add_text(&props, TERN__PROP_RESPONSE_TOPIC, "re", 2);
    rc |= tern__props_add_text(&props, TERN__PROP_CORRELATION_DATA, "id", 2);
    rc |= tern__props_add_pair(&props, "k", 1, "one", 3);
    rc |= tern__props_add_number(&props, TERN__PROP_SUBSCRIPTION_ID, 300);
    rc |= tern__props_add_pair(&props, "k", 1, "", 0);
    assert_int_equal(rc, 0);
    tern__packet packet = {.type = TERN__PUBLISH, .props = {props.data, props.len, 0}};
    packet.u.publish = (tern__publish_packet){.topic = view_of("p"), .payload = view_of("x")};
    start(TERN_VERSION_5);
    rig_send(&r, &packet);
    expect("message 0 p=x/0 01=1 02=4000000000 03=text/x 08=re 09=id 0b=300 26=k 26=one 26=k 26=\n");
    tern__buf_deinit(&props);
    stop();
}

/* Outcomes, tokens, events and their details, all by the same way. [C1] */
static void the_rest_is_told(void **state)
{
    (void)state;
    tern_token *token;
    start(TERN_VERSION_5);
    assert_non_null(strstr(events, "connected"));
    assert_int_equal(tern_client_publish(r.client, "t", "1", 1, TERN_QOS_1, NULL), 0);
    expect("delivery 1 DELIVERED none 0\n");
    assert_int_equal(tern_client_subscribe(r.client, "t", TERN_QOS_1, &token), 0);
    assert_int_equal(tern_feed_watch(feed, token, UINT32_MAX), 0);
    assert_int_equal(tern_feed_watch(feed, token, 1), TERN_E_STATE);
    expect("token 4294967295 0\n");
    tern_token_unref(token);
    mock_broker_cut(r.broker);
    await("event DISCONNECTED -21\n");
    expect("event CONNECTED 0\n");
    assert_int_equal(tern_client_close(r.client, 0, 0, &token), 0);
    assert_int_equal(tern_feed_watch(feed, token, 9), 0);
    expect("token 9 0\n");
    assert_int_equal(read_once(PATIENCE), TERN_E_CLOSED);
    tern_token_unref(token);
    stop();
}

static void acks_of_an_earlier_connection_are_stale(void **state)
{
    (void)state;
    start(TERN_VERSION_5);
    rig_send_publish(&r, "t", "x", 1, 3, false);
    expect("message 0 t=x/1\n");
    mock_broker_cut(r.broker);
    expect("event CONNECTED 0\n");
    assert_int_equal(tern_client_ack_number(r.client, last_number, 1), TERN_E_STALE);
    assert_int_equal(tern_client_ack_number(r.client, last_number, 0), TERN_E_STALE);
    assert_int_equal(tern_client_ack_number(r.client, 0, 1), 0);
    assert_int_equal(tern_client_ack_number(NULL, last_number, 1), TERN_E_INVALID);
    stop();
}

static void log_records_wait_to_be_read(void **state)
{
    (void)state;
    enum { MANY = 300, LONG = 1000 };
    char text[LONG];
    rig_init(&r, TERN_VERSION_5);
    assert_int_equal(tern_feed_new(&feed), 0);
    told[0] = '\0';
    assert_int_equal(tern_client_options_set_dispatch(r.fixed, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_options_set_log(r.fixed, TERN_LOG_INFO, tern_feed_log, feed), 0);
    rig_client(&r);
    assert_int_equal(tern_feed_attach(feed, r.client), 0);
    assert_int_equal(tern_client_connect_wait(r.client, PATIENCE), 0);
    expect("log 3 ");
    memset(text, 'x', sizeof text);
    text[LONG - 1] = '\0';
    for (int i = 0; i < MANY; i++) tern_feed_log(TERN_LOG_ERROR, text, feed);
    const void *records;
    const void *data;
    size_t count;
    size_t length;
    assert_int_equal(tern_feed_read(feed, 0, &records, &count, &data, &length), 0);
    assert_in_range(count, 200, MANY - 1);
    assert_true(length <= 257 << 10);
    assert_int_equal(u64_at((const uint8_t *)records + 8), MANY - count); /* so many are lost */
    stop();
}

/* ---- many at once ---- */

static void many_are_published_in_one_call(void **state)
{
    (void)state;
    const char *topics[] = {"a", "b", "#", "d"};
    const void *payloads[] = {"1", "", "3", "4"};
    const size_t lengths[] = {1, 0, 1, 1};
    uint64_t ids[4] = {0};
    size_t accepted = 9;
    start(TERN_VERSION_5);
    assert_int_equal(tern_client_publish_many(r.client, topics, payloads, lengths, 4, TERN_QOS_1, ids, &accepted), TERN_E_TOPIC);
    assert_int_equal(accepted, 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
    topics[2] = "c";
    assert_int_equal(tern_client_publish_many(r.client, topics + 2, payloads + 2, lengths + 2, 2, TERN_QOS_1, NULL, &accepted), 0);
    assert_int_equal(accepted, 2);
    expect("delivery 4 DELIVERED none 0\n");
    rig_expect_message(&r, 0, "a=1/1");
    rig_expect_message(&r, 1, "b=/1");
    rig_expect_message(&r, 2, "c=3/1");
    rig_expect_message(&r, 3, "d=4/1");
    assert_int_equal(tern_client_publish_many(r.client, NULL, NULL, NULL, 0, 0, NULL, &accepted), 0);
    assert_int_equal(accepted, 0);
    assert_int_equal(tern_client_publish_many(r.client, NULL, payloads, lengths, 1, 0, NULL, &accepted), TERN_E_INVALID);
    assert_int_equal(tern_client_publish_many(r.client, topics, payloads, lengths, 1, 0, NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_feed_publish(feed, "e", "5", 1, TERN_QOS_1), 5);
    expect("delivery 5 DELIVERED none 0\n");
    rig_expect_message(&r, 4, "e=5/1");
    assert_int_equal(tern_feed_publish(feed, "+", "", 0, 0), TERN_E_TOPIC);
    assert_int_equal(tern_feed_publish(NULL, "e", "", 0, 0), TERN_E_INVALID);
    assert_int_equal(tern_client_publish_many(NULL, topics, payloads, lengths, 1, 0, NULL, &accepted), TERN_E_INVALID);
    stop();
}

/* ---- what can be wrong ---- */

static void misuse_is_told(void **state)
{
    (void)state;
    const void *bytes;
    size_t count;
    rig_init(&r, TERN_VERSION_5);
    rig_client(&r);
    assert_int_equal(tern_feed_new(NULL), TERN_E_INVALID);
    assert_int_equal(tern_feed_new(&feed), 0);
    assert_int_equal(tern_feed_read(feed, 0, &bytes, &count, &bytes, &count), TERN_E_STATE);
    assert_int_equal(tern_feed_set_filter(feed, "a", 1), TERN_E_STATE);
    assert_int_equal(tern_feed_publish(feed, "a", "", 0, 0), TERN_E_STATE);
    assert_int_equal(tern_feed_attach(feed, r.client), TERN_E_STATE); /* it has dispatcher threads */
    assert_int_equal(tern_feed_attach(NULL, r.client), TERN_E_INVALID);
    assert_int_equal(tern_feed_attach(feed, NULL), TERN_E_INVALID);
    assert_int_equal(tern_feed_read(NULL, 0, &bytes, &count, &bytes, &count), TERN_E_INVALID);
    assert_int_equal(tern_feed_read(feed, 0, NULL, &count, &bytes, &count), TERN_E_INVALID);
    tern_feed_log(TERN_LOG_INFO, "x", NULL);
    tern_feed_log(TERN_LOG_INFO, NULL, feed);
    stop();
    start(TERN_VERSION_5);
    assert_int_equal(tern_feed_attach(feed, r.client), TERN_E_STATE);
    assert_int_equal(tern_feed_set_filter(feed, "a", UINT32_MAX), TERN_E_INVALID);
    assert_int_equal(tern_feed_set_filter(feed, "a/#/b", 1), TERN_E_FILTER);
    assert_int_equal(tern_feed_watch(feed, NULL, 1), TERN_E_INVALID);
    assert_int_equal(read_once(0), TERN_E_TIMEOUT);
    stop();
}

static bool is_all_told(void *unused)
{
    (void)unused;
    (void)read_once(10);
    return strstr(told, "m=big/1") != NULL && strstr(told, "m=bigger/1") != NULL;
}

/* Memory that runs out while a message is packed: it is not acknowledged by those behind it, and comes again. [C9] */
static void what_memory_left_out_comes_again(void **state)
{
    (void)state;
    enum { TRIES = 60 };
    bool failed = true;
    for (long after = 0; failed && after < TRIES; after++) {
        start(TERN_VERSION_5);
        assert_int_equal(tern_client_subscribe_wait(r.client, "m", TERN_QOS_1, PATIENCE), 0);
        assert_int_equal(tern_client_publish(r.client, "m", "big", 3, TERN_QOS_1, NULL), 0);
        assert_int_equal(tern_client_publish(r.client, "m", "bigger", 6, TERN_QOS_1, NULL), 0);
        assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 2, PATIENCE));
        failing_arm(after);
        for (int i = 0; i < 3; i++) (void)read_once(20);
        failed = failing_disarm();
        if (!net_wait_until(is_all_told, NULL, PATIENCE)) fail_msg("after %ld: %s", after, told);
        assert_int_equal(tern_client_ack_number(r.client, last_number, 1), 0);
        stop();
    }
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_packed),
        cmocka_unit_test(properties_are_packed),
        cmocka_unit_test(the_rest_is_told),
        cmocka_unit_test(acks_of_an_earlier_connection_are_stale),
        cmocka_unit_test(log_records_wait_to_be_read),
        cmocka_unit_test(many_are_published_in_one_call),
        cmocka_unit_test(misuse_is_told),
        cmocka_unit_test(what_memory_left_out_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
