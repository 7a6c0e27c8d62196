/* Compression through a client: what goes out compressed and how it says so, what comes back, and what is delivered raw.
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

#include "codec/props.h"
#include "net/rig.h"
#include "support/net.h"

/* Metas are JSON, for which a build without cJSON has no means. */
#ifdef TERN_WITH_CJSON
enum { METAS = true };
#else
enum { METAS = false };
#endif

enum { PATIENCE = NET_PATIENCE_MS, LONG = 1000 };

static rig r;
static tern_compression *c;
static char text[LONG + 1];
static const uint8_t gzipped_hello[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0};

static void prepare(tern_version version)
{
    for (size_t i = 0; i < LONG; i++) text[i] = "{\"temperature\": 23.5} "[i % 22];
    rig_init(&r, version);
    assert_int_equal(tern_compression_new(&c), 0);
}

static void start(void)
{
    assert_int_equal(tern_client_options_set_compression(r.fixed, c), 0);
    rig_start(&r);
    assert_int_equal(tern_client_subscribe_wait(r.client, "#", TERN_QOS_1, PATIENCE), 0);
}

static void finish(void)
{
    rig_free(&r);
    tern_compression_unref(c);
}

static uint64_t stat_of(const char *name)
{
    uint64_t value = 99;
    assert_int_equal(tern_compression_stat(c, name, &value), 0);
    return value;
}

static void publish(const char *topic, size_t len, uint32_t flags)
{
    if (tern_client_publish_wait(r.client, topic, text, len, flags, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(r.client));
}

/* What arrives next is the first `len` bytes of the text, by way of `result`. */
static void expect_back(const char *topic, size_t len, tern_compression_result result)
{
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(r.client, &message, PATIENCE), 0);
    assert_string_equal(tern_message_topic(message), topic);
    assert_int_equal(tern_compression_result_of(message), result);
    assert_int_equal(tern_message_payload_length(message), len);
    if (len != 0) assert_memory_equal(tern_message_payload(message), text, len);
    assert_int_equal(tern_message_user_property_count(message), 0); /* they would be untrue now */
    tern_message_unref(message);
}

static bool went_gzipped(size_t index)
{
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, index + 1, PATIENCE));
    tern__view payload = rig_packet(&r, TERN__PUBLISH, index).u.publish.payload;
    return payload.len > 3 && memcmp(payload.data, "\x1f\x8b\x08", 3) == 0;
}

static const char *user_property(size_t index, const char *name)
{
    static char value[64];
    tern__packet packet = rig_packet(&r, TERN__PUBLISH, index);
    tern__view rest = {packet.props.data, packet.props.len};
    tern__prop prop;
    while (tern__props_next(&rest, &prop))
        if (prop.id == TERN__PROP_USER_PROPERTY && view_is(prop.name, name)) {
            snprintf(value, sizeof value, "%.*s", (int)prop.text.len, (const char *)prop.text.data);
            return value;
        }
    return NULL;
}

/* The property form: larger than the threshold and worth it, or asked for; on 3.1.1 the member speaks for itself. */
static void payloads_are_compressed_on_their_way(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_5, TERN_VERSION_311};
    for (size_t i = 0; i < 2; i++) {
        prepare(versions[i]);
        assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
        assert_int_equal(tern_compression_add_filter(c, "raw/#", TERN_ENCODING_NONE), 0);
        assert_int_equal(tern_compression_add_filter(c, "raw/not", TERN_ENCODING_GZIP), 0);
        start();
        publish("a", LONG, TERN_QOS_1);
        expect_back("a", LONG, TERN_COMPRESSION_INFLATED);
        publish("a", 100, TERN_QOS_1); /* not larger than the threshold */
        expect_back("a", 100, TERN_COMPRESSION_RAW);
        publish("raw/a", LONG, TERN_QOS_1);
        expect_back("raw/a", LONG, TERN_COMPRESSION_RAW);
        publish("raw/not", LONG, TERN_QOS_0);
        expect_back("raw/not", LONG, TERN_COMPRESSION_INFLATED);
        publish("a", LONG, TERN_QOS_1 | TERN_UNCOMPRESSED);
        expect_back("a", LONG, TERN_COMPRESSION_RAW);
        publish("raw/a", LONG, TERN_QOS_1 | TERN_COMPRESS);
        expect_back("raw/a", LONG, TERN_COMPRESSION_INFLATED);
        publish("a", 0, TERN_QOS_1 | TERN_COMPRESS);
        expect_back("a", 0, TERN_COMPRESSION_RAW);
        static const bool gzipped[] = {true, false, false, true, false, true, false};
        for (size_t n = 0; n < 7; n++) {
            assert_int_equal(went_gzipped(n), gzipped[n]);
            bool told = user_property(n, "content-encoding") != NULL;
            assert_int_equal(told, gzipped[n] && versions[i] == TERN_VERSION_5);
        }
        if (versions[i] == TERN_VERSION_5) assert_string_equal(user_property(0, "content-length"), "1000");
        assert_int_equal(stat_of("messages_compressed"), 3);
        assert_int_equal(stat_of("messages_inflated"), 3);
        assert_int_equal(stat_of("messages_raw"), 2);
        assert_int_equal(stat_of("bytes_before"), 3 * LONG);
        assert_true(stat_of("bytes_after") < LONG);
        finish();
    }
}

/* What is compressed already, or says how it is encoded, stays; what had properties keeps them, and its will about 3.1.1. */
static void some_payloads_are_left_alone(void **state)
{
    (void)state;
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
    assert_int_equal(tern_compression_set_minimal_gain(c, 99), 0);
    start();
    publish("a", LONG, TERN_QOS_1); /* does not save 99 % */
    assert_false(went_gzipped(0));
    char jpeg[LONG] = "\xff\xd8\xff\xe0";
    assert_int_equal(tern_client_publish_wait(r.client, "a", jpeg, sizeof jpeg, TERN_QOS_1, PATIENCE), 0);
    assert_false(went_gzipped(1));
    tern_message *one = rig_message("a", text, TERN_QOS_1);
    assert_int_equal(tern_message_add_user_property(one, "content-encoding", "br"), 0);
    rig_expect_outcome(rig_publish_message(&r, one), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_string_equal(user_property(2, "content-encoding"), "br");
    finish();

    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
    start();
    one = rig_message("a", text, TERN_QOS_1);
    assert_int_equal(tern_message_set_content_type(one, "application/json"), 0);
    assert_int_equal(tern_message_set_payload_format(one, 1), 0);
    rig_expect_outcome(rig_publish_message(&r, one), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_true(went_gzipped(0));
    tern__packet packet = rig_packet(&r, TERN__PUBLISH, 0);
    assert_int_equal(tern__props_number(&packet.props, TERN__PROP_PAYLOAD_FORMAT, 9), 0); /* gzip is no UTF-8 [MQTT5-3.3.2-4] */
    assert_true(tern__props_has(&packet.props, TERN__PROP_CONTENT_TYPE));
    expect_back("a", LONG, TERN_COMPRESSION_INFLATED);
    finish();
}

/* What a receiver with the same limits would not inflate goes as it is: beyond the ratio, or beyond the size. */
static void what_would_not_come_back_stays_raw(void **state)
{
    (void)state;
    static const char zeros[100000];
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
    start();
    assert_int_equal(tern_client_publish_wait(r.client, "a", zeros, sizeof zeros, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(r.client, "a", zeros, 60000, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(rig_packet(&r, TERN__PUBLISH, 0).u.publish.payload.len, sizeof zeros);
    assert_in_range(rig_packet(&r, TERN__PUBLISH, 1).u.publish.payload.len, 20, 200);
    assert_int_equal(stat_of("messages_compressed"), 1);
    assert_int_equal(stat_of("messages_raw"), 1);
    finish();

    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
    assert_int_equal(tern_compression_set_limits(c, LONG - 1, 200), 0);
    start();
    publish("a", LONG, TERN_QOS_1);
    publish("a", LONG - 1, TERN_QOS_1);
    assert_int_equal(rig_packet(&r, TERN__PUBLISH, 0).u.publish.payload.len, LONG);
    expect_back("a", LONG, TERN_COMPRESSION_RAW);
    expect_back("a", LONG - 1, TERN_COMPRESSION_INFLATED);
    finish();
}

/* ---- what is received ---- */

static void send_payload(const void *payload, size_t len, const char *encoding)
{
    tern__buf props = {0};
    if (encoding != NULL)
        assert_int_equal(tern__props_add_pair(&props, "content-encoding", 16, encoding, strlen(encoding)), 0);
    tern__packet packet = {.type = TERN__PUBLISH, .props = {props.data, props.len, 0}};
    packet.u.publish.topic = view_of("in");
    packet.u.publish.payload = (tern__view){payload, len};
    rig_send(&r, &packet);
    tern__buf_deinit(&props);
}

static void expect_in(const char *payload, size_t len, tern_compression_result result)
{
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(r.client, &message, PATIENCE), 0);
    assert_int_equal(tern_compression_result_of(message), result);
    assert_int_equal(tern_message_payload_length(message), len);
    assert_memory_equal(tern_message_payload(message), payload, len);
    tern_message_unref(message);
}

/* The bytes are the proof: what is broken, too large, or no gzip comes raw, with its flag. */
static void what_fails_is_delivered_raw(void **state)
{
    (void)state;
    const char *gz = (const char *)gzipped_hello;
    const size_t len = sizeof gzipped_hello;
    char broken[sizeof gzipped_hello];
    memcpy(broken, gz, len);
    broken[len - 6] ^= 1; /* of the checksum */
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_limits(c, 5, 1), 0);
    start();
    send_payload(gz, len, "gzip");
    expect_in("hello", 5, TERN_COMPRESSION_INFLATED);
    send_payload(gz, len, NULL);
    expect_in("hello", 5, TERN_COMPRESSION_INFLATED);
    send_payload(gz, len, "br");
    expect_in(gz, len, TERN_COMPRESSION_RAW);
    send_payload(broken, len, "gzip");
    expect_in(broken, len, TERN_COMPRESSION_DAMAGED);
    send_payload(gz, len - 1, NULL);
    expect_in(gz, len - 1, TERN_COMPRESSION_DAMAGED);
    send_payload("hello", 5, "gzip");
    expect_in("hello", 5, TERN_COMPRESSION_MISMATCH);
    send_payload("hello", 5, NULL);
    expect_in("hello", 5, TERN_COMPRESSION_RAW);
    assert_int_equal(stat_of("messages_inflated"), 2);
    assert_int_equal(stat_of("messages_damaged"), 2);
    assert_int_equal(stat_of("messages_mismatched"), 1);
    finish();

    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_limits(c, 4, 1), 0);
    assert_int_equal(tern_compression_set_decompression(c, TERN_DECOMPRESSION_HINTED), 0);
    start();
    send_payload(gz, len, "gzip");
    expect_in(gz, len, TERN_COMPRESSION_TOO_LARGE);
    send_payload(gz, len, NULL); /* nobody said so */
    expect_in(gz, len, TERN_COMPRESSION_RAW);
    assert_int_equal(stat_of("messages_too_large"), 1);
    finish();

    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_decompression(c, TERN_DECOMPRESSION_OFF), 0);
    start();
    send_payload(gz, len, "gzip");
    expect_in(gz, len, TERN_COMPRESSION_RAW);
    finish();
}

/* ---- meta topics ---- */

static void start_meta(void)
{
    assert_int_equal(tern_compression_set_form(c, TERN_COMPRESSION_META_TOPIC), 0);
    assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
    assert_int_equal(tern_compression_add_filter(c, "raw", TERN_ENCODING_NONE), 0);
    start();
}

/* The meta goes right before its payload, with its QoS and RETAIN, and the application sees none of it. */
static void metas_go_before_their_payloads(void **state)
{
    (void)state;
    if (!METAS) skip();
    char want[300];
    prepare(TERN_VERSION_311);
    start_meta();
    publish("a", LONG, TERN_QOS_1 | TERN_RETAIN);
    publish("a", 5, TERN_QOS_0);
    publish("raw", LONG, TERN_QOS_1);
    publish("a", 0, TERN_QOS_1 | TERN_RETAIN);
    expect_back("a", LONG, TERN_COMPRESSION_INFLATED);
    expect_back("a", 5, TERN_COMPRESSION_RAW);
    expect_back("raw", LONG, TERN_COMPRESSION_RAW);
    expect_back("a", 0, TERN_COMPRESSION_RAW);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, 7, PATIENCE));
    tern__publish_packet meta = rig_packet(&r, TERN__PUBLISH, 0).u.publish;
    tern__publish_packet payload = rig_packet(&r, TERN__PUBLISH, 1).u.publish;
    assert_true(view_is(meta.topic, "a/meta"));
    assert_true(view_is(payload.topic, "a"));
    assert_true(meta.retain && meta.qos == 1 && payload.retain && payload.qos == 1);
    int n = snprintf(want, sizeof want, "{\"compressed\": true, \"encoding\": \"gzip\", \"original_size\": 1000, \"compressed_size\": %zu, ",
                     payload.payload.len);
    assert_memory_equal(meta.payload.data, want, (size_t)n);
    rig_expect_message(&r, 2, "a/meta={\"compressed\": false, \"original_size\": 5, \"seq\": 2}/0");
    rig_expect_message(&r, 5, "a/meta=/1r"); /* a retained message is cleared as a whole */
    rig_expect_message(&r, 6, "a=/1r");
    assert_int_equal(stat_of("metas_received"), 3);
    finish();
}

/* What a meta said is no more than a hint; what is no meta message is delivered; who wants to sees them all. */
static void metas_are_hints(void **state)
{
    (void)state;
    if (!METAS) skip();
    prepare(TERN_VERSION_5);
    start_meta();
    static const struct {
        const char *meta;
        tern_compression_result result;
    } rows[] = {
        {"{\"compressed\": true}", TERN_COMPRESSION_MISMATCH},
        {"{\"compressed\": false}", TERN_COMPRESSION_RAW},
    };
    for (size_t i = 0; i < 2; i++) {
        rig_send_publish(&r, "in/meta", rows[i].meta, 0, 0, false);
        rig_send_publish(&r, "in", "hello", 0, 0, false);
        expect_in("hello", 5, rows[i].result);
        rig_send_publish(&r, "in", "hello", 0, 0, false); /* it counted once */
        expect_in("hello", 5, TERN_COMPRESSION_RAW);
    }
    rig_send_publish(&r, "in/meta", "{\"compressed\": false}", 0, 0, false);
    send_payload(gzipped_hello, sizeof gzipped_hello, NULL); /* somebody's own gzip file */
    expect_in((const char *)gzipped_hello, sizeof gzipped_hello, TERN_COMPRESSION_RAW);
    rig_send_publish(&r, "in/meta", "{\"compressed\": \"no\"}", 0, 0, false);
    rig_expect_received(&r, "in/meta={\"compressed\": \"no\"}/0");
    rig_send_publish(&r, "meta", "{\"compressed\": true}", 0, 0, false);
    rig_expect_received(&r, "meta={\"compressed\": true}/0");
    finish();

    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_deliver_meta(c, 1), 0);
    start_meta();
    rig_send_publish(&r, "in/meta", "{\"compressed\": true}", 0, 0, false);
    rig_expect_received(&r, "in/meta={\"compressed\": true}/0");
    finish();
}

/* Two publishers on one topic: both metas come before both payloads, and one of another message says nothing of this. */
static void metas_that_cross_find_their_payloads(void **state)
{
    (void)state;
    if (!METAS) skip();
    char meta[200];
    const char *gz = (const char *)gzipped_hello;
    const size_t len = sizeof gzipped_hello;
    (void)snprintf(meta, sizeof meta, "{\"compressed\": true, \"original_size\": 5, \"compressed_size\": %zu, \"crc32\": 907060870}", len);
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_decompression(c, TERN_DECOMPRESSION_HINTED), 0);
    start_meta();
    rig_send_publish(&r, "in/meta", meta, 0, 0, false);
    rig_send_publish(&r, "in/meta", "{\"compressed\": false, \"original_size\": 3}", 0, 0, false);
    send_payload(gz, len, NULL);
    expect_in("hello", 5, TERN_COMPRESSION_INFLATED);
    rig_send_publish(&r, "in", "raw", 0, 0, false);
    expect_in("raw", 3, TERN_COMPRESSION_RAW);
    rig_send_publish(&r, "in/meta", "{\"compressed\": false, \"original_size\": 3}", 0, 0, false);
    send_payload(gz, len, "gzip"); /* the property knows better than a meta */
    expect_in("hello", 5, TERN_COMPRESSION_INFLATED);
    finish();

    prepare(TERN_VERSION_5);
    start_meta();
    rig_send_publish(&r, "in/meta", "{\"compressed\": false, \"original_size\": 3}", 0, 0, false);
    send_payload(gz, len, NULL); /* what that meta was about got lost */
    expect_in("hello", 5, TERN_COMPRESSION_INFLATED);
    finish();
}

/* Topics that cannot have a meta topic are refused with the reason, and so are filters. */
static void impossible_meta_topics_are_refused(void **state)
{
    (void)state;
    if (!METAS) skip();
    static char longest[65536];
    prepare(TERN_VERSION_5);
    start_meta();
    memset(longest, 't', 65535);
    static const struct {
        const char *topic;
        const char *why;
    } rows[] = {{"a/meta", "publish: the topic ends in /meta"}, {"$internal", "publish: topics that begin with $"}, {longest, "publish: the topic is too long"}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tern_client_publish(r.client, rows[i].topic, "x", 1, 0, NULL), TERN_E_TOPIC);
        assert_non_null(strstr(tern_client_error_text(r.client), rows[i].why));
    }
    static const char *const bad[] = {"$share/g/a", "a/meta", "$share/g/#"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(tern_compression_subscribe(c, r.client, bad[i], TERN_QOS_1, NULL), TERN_E_FILTER);
    tern_token *token = NULL;
    assert_int_equal(tern_compression_subscribe(c, r.client, "a/+", TERN_QOS_1, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    assert_int_equal(tern_token_reason_count(token), 2);
    tern_token_unref(token);
    assert_int_equal(rig_packet(&r, TERN__SUBSCRIBE, 1).u.subscribe.count, 2);
    assert_int_equal(tern_compression_subscribe(c, r.client, "b/#", TERN_QOS_1, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    assert_int_equal(tern_token_reason_count(token), 1); /* it has its metas already */
    tern_token_unref(token);
    assert_int_equal(tern_compression_unsubscribe(c, r.client, "a/+", &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    assert_int_equal(rig_packet(&r, TERN__UNSUBSCRIBE, 0).u.subscribe.count, 2);
    finish();
}

/* ---- settings and threads ---- */

static void settings_are_checked_and_sealed(void **state)
{
    (void)state;
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_level(c, 0), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_level(c, 10), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_minimal_gain(c, 100), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_default(c, (tern_encoding)2), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_form(c, (tern_compression_form)2), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_decompression(c, (tern_decompression)3), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_limits(c, 0, 1), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_limits(c, 1, 0), TERN_E_INVALID);
    assert_int_equal(tern_compression_add_filter(c, "a/#/b", TERN_ENCODING_GZIP), TERN_E_FILTER);
    assert_int_equal(tern_compression_add_filter(c, NULL, TERN_ENCODING_GZIP), TERN_E_INVALID);
    assert_int_equal(tern_compression_set_threshold(NULL, 1), TERN_E_INVALID);
    start();
    assert_int_equal(tern_compression_set_threshold(c, 1), TERN_E_STATE);
    assert_int_equal(tern_compression_add_filter(c, "a", TERN_ENCODING_GZIP), TERN_E_STATE);
    uint64_t value;
    assert_int_equal(tern_compression_stat(c, "no such", &value), TERN_E_NOT_FOUND);
    for (size_t i = 0; i < tern_compression_stat_count(); i++)
        assert_int_equal(tern_compression_stat(c, tern_compression_stat_name(i), &value), 0);
    assert_null(tern_compression_stat_name(tern_compression_stat_count()));
    assert_string_equal(tern_compression_result_name(TERN_COMPRESSION_TOO_LARGE), "too large");
    assert_string_equal(tern_compression_result_name((tern_compression_result)77), "?");
    finish();
}

enum { THREADS = 4, EACH = 200 };
static atomic_uint good;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)user_data;
    size_t len = tern_message_payload_length(message);
    if (tern_compression_result_of(message) == TERN_COMPRESSION_INFLATED && memcmp(tern_message_payload(message), text, len) == 0)
        atomic_fetch_add(&good, 1);
}

static void *publish_many(void *argument)
{
    for (size_t i = 0; i < EACH; i++)
        if (tern_client_publish(r.client, "a", text, 200 + i, TERN_QOS_1, NULL) != 0) return argument;
    return NULL;
}

static bool all_good(void *argument)
{
    (void)argument;
    return atomic_load(&good) == THREADS * EACH;
}

/* More threads than idle states, of one compression. */
static void threads_share_a_compression(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    void *failed;
    prepare(TERN_VERSION_5);
    assert_int_equal(tern_compression_set_default(c, TERN_ENCODING_GZIP), 0);
    start();
    atomic_store(&good, 0);
    assert_int_equal(tern_client_set_message_handler(r.client, on_message, NULL), 0);
    for (uintptr_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, publish_many, &r), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(net_wait_until(all_good, NULL, PATIENCE));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_are_compressed_on_their_way), cmocka_unit_test(some_payloads_are_left_alone),
        cmocka_unit_test(what_fails_is_delivered_raw),          cmocka_unit_test(metas_go_before_their_payloads),
        cmocka_unit_test(what_would_not_come_back_stays_raw),   cmocka_unit_test(metas_that_cross_find_their_payloads),
        cmocka_unit_test(metas_are_hints),                      cmocka_unit_test(impossible_meta_topics_are_refused),
        cmocka_unit_test(settings_are_checked_and_sealed),      cmocka_unit_test(threads_share_a_compression),
    };
    if (tern_compression_new(&c) == TERN_E_UNSUPPORTED) return 77;
    tern_compression_unref(c);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
