/* A batch's JSON: what is written is read, by us and by others; and what is wrong with others' is named.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <tern/batch.h>
#include <tern/message.h>

#include "base/buf.h"
#include "payload/batch.h"
#include "support/failing.h"

enum { ITEMS = 64 };

/* What was read. */
typedef struct item {
    char topic[80];
    char *payload;
    size_t len;
    int qos;
    double timestamp;
} item;

static item items[ITEMS];
static size_t count;

static void on_item(const tern_message *message, double timestamp, void *user_data)
{
    (void)user_data;
    item *it = &items[count++];
    snprintf(it->topic, sizeof it->topic, "%s", tern_message_topic(message));
    it->len = tern_message_payload_length(message);
    it->payload = malloc(it->len + 1);
    memcpy(it->payload, tern_message_payload(message), it->len + 1);
    it->qos = tern_message_qos(message);
    it->timestamp = timestamp;
}

static void forget(void)
{
    while (count != 0) free(items[--count].payload);
}

static int unpack(const void *json, size_t len, uint32_t flags, char *text, size_t size)
{
    tern_message *message;
    forget();
    assert_int_equal(tern_message_new(&message, "batch/messages", json, len, 0), 0);
    int rc = tern_batch_unpack(message, flags, on_item, NULL, text, size);
    tern_message_unref(message);
    return rc;
}

/* Every byte, and every pair of bytes that matters, in text and not. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "value_1", "\"quoted\\\"", "line\r\n\ttab", "\x01\x1f\x7f", "grün 漢字 😀", "\\u0000", "\xEF\xB7\x90", "</script>"};
    tern__buf json = {0};
    char wrong[200];
    uint8_t all[256];
    for (size_t i = 0; i < 256; i++) all[i] = (uint8_t)i;
    assert_int_equal(tern__buf_append(&json, "[", 1), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(tern__batch_write(&json, "a/\"topic\"", texts[i], strlen(texts[i]), (unsigned)i % 3, 1700000000123456 + i), 0);
        assert_int_equal(tern__buf_append(&json, ", ", 2), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tern__batch_write(&json, "b", all + i, 256 - i, 0, 0), 0);
        assert_int_equal(tern__buf_append(&json, i < 3 ? ", " : "]", i < 3 ? 2 : 1), 0);
    }
    if (unpack(json.data, json.len, 0, wrong, sizeof wrong) != 0) fail_msg("%s", wrong);
    assert_int_equal(count, sizeof texts / sizeof texts[0] + 4);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_string_equal(items[i].topic, "a/\"topic\"");
        assert_int_equal(items[i].len, strlen(texts[i]));
        assert_string_equal(items[i].payload, texts[i]);
        assert_int_equal(items[i].qos, i % 3);
        assert_true(items[i].timestamp > 1700000000.1234 && items[i].timestamp < 1700000000.1236);
    }
    for (size_t i = 0; i < 4; i++) {
        const item *it = &items[sizeof texts / sizeof texts[0] + i];
        assert_int_equal(it->len, 256 - i);
        assert_memory_equal(it->payload, all + i, 256 - i);
    }
    tern__buf_deinit(&json);
    forget();
}

static void the_form_is_the_documents(void **state)
{
    (void)state;
    tern__buf json = {0};
    assert_int_equal(tern__batch_write(&json, "sensor/1", "value_1", 7, 1, 1700000000000042), 0);
    assert_int_equal(tern__batch_write(&json, "b", "\xff", 1, 0, 0), 0);
    static const char want[] = "{\"topic\": \"sensor/1\", \"payload\": \"value_1\", \"qos\": 1, \"timestamp\": 1700000000.000042}"
                               "{\"topic\": \"b\", \"payload\": \"/w==\", \"encoding\": \"base64\", \"qos\": 0, \"timestamp\": 0.000000}";
    assert_int_equal(json.len, sizeof want - 1);
    assert_memory_equal(json.data, want, json.len);
    tern__buf_deinit(&json);
}

/* NULs as others escape them, and texts that only look so. */
static void escaped_nuls_are_read(void **state)
{
    (void)state;
    char wrong[200];
    static const char json[] = "[{\"topic\":\"t\",\"payload\":\"a\\u0000b\\\\u0000\\u0000\",\"qos\":0,\"timestamp\":1}]";
    if (unpack(json, sizeof json - 1, 0, wrong, sizeof wrong) != 0) fail_msg("%s", wrong);
    assert_int_equal(items[0].len, 10);
    assert_memory_equal(items[0].payload, "a\0b\\u0000\0", 10);
    static const char bad[] = "[{\"topic\":\"t\\u0000\",\"payload\":\"a\"}]";
    assert_int_equal(unpack(bad, sizeof bad - 1, 0, wrong, sizeof wrong), TERN_E_MALFORMED);
    assert_string_equal(wrong, "item 0: \"topic\" has a NUL character");
    forget();
}

#define GOOD "{\"topic\":\"g\",\"payload\":\"good\",\"qos\":1,\"timestamp\":1.5}"

/* Each kind of trouble has its own words; the good ones around it come where that is asked for. */
static void trouble_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *item;
        const char *text;
    } rows[] = {
        {"1", "item 1 is no object"},
        {"null", "item 1 is no object"},
        {"[" GOOD "]", "item 1 is no object"}, /* a nested batch */
        {"{}", "item 1: \"topic\" is missing"},
        {"{\"topic\":\"t\"}", "item 1: \"payload\" is missing"},
        {"{\"payload\":\"p\"}", "item 1: \"topic\" is missing"},
        {"{\"topic\":7,\"payload\":\"p\"}", "item 1: \"topic\" is no string"},
        {"{\"topic\":\"t\",\"payload\":{\"a\":1}}", "item 1: \"payload\" is no string"},
        {"{\"topic\":\"t\",\"payload\":null}", "item 1: \"payload\" is no string"},
        {"{\"topic\":\"\",\"payload\":\"p\"}", "item 1: \"topic\" is no topic name"},
        {"{\"topic\":\"a/#\",\"payload\":\"p\"}", "item 1: \"topic\" is no topic name"},
        {"{\"topic\":\"a/+/b\",\"payload\":\"p\"}", "item 1: \"topic\" is no topic name"},
        {"{\"topic\":\"t\",\"payload\":\"p\",\"qos\":3}", "item 1: \"qos\" is not 0, 1 or 2"},
        {"{\"topic\":\"t\",\"payload\":\"p\",\"qos\":0.5}", "item 1: \"qos\" is not 0, 1 or 2"},
        {"{\"topic\":\"t\",\"payload\":\"p\",\"qos\":\"1\"}", "item 1: \"qos\" is no number"},
        {"{\"topic\":\"t\",\"payload\":\"p\",\"timestamp\":\"now\"}", "item 1: \"timestamp\" is no number"},
        {"{\"topic\":\"t\",\"payload\":\"p\",\"encoding\":\"hex\"}", "item 1: \"encoding\" is none that is known"},
        {"{\"topic\":\"t\",\"payload\":\"p\",\"encoding\":1}", "item 1: \"encoding\" is no string"},
        {"{\"topic\":\"t\",\"payload\":\"a!==\",\"encoding\":\"base64\"}", "item 1: \"payload\" is no base64"},
        {"{\"topic\":\"t\",\"payload\":\"abc\",\"encoding\":\"base64\"}", "item 1: \"payload\" is no base64"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char json[400];
        char wrong[200] = "";
        int len = snprintf(json, sizeof json, "[" GOOD ",%s," GOOD "]", rows[i].item);
        assert_int_equal(unpack(json, (size_t)len, 0, wrong, sizeof wrong), TERN_E_MALFORMED);
        assert_string_equal(wrong, rows[i].text);
        assert_int_equal(count, 0);
        assert_int_equal(unpack(json, (size_t)len, TERN_BATCH_SKIP_BAD, wrong, sizeof wrong), TERN_E_MALFORMED);
        assert_string_equal(wrong, rows[i].text);
        assert_int_equal(count, 2);
        assert_string_equal(items[1].payload, "good");
        assert_int_equal(unpack(json, (size_t)len, 0, NULL, 0), TERN_E_MALFORMED);
    }
    forget();
}

static void what_is_no_array_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } rows[] = {
        {"", "no JSON at byte 0"},
        {"x", "no JSON at byte 0"},
        {"[" GOOD, NULL},
        {"[" GOOD ",", NULL},
        {GOOD, "no JSON array at byte 0"},
        {"\"text\"", "no JSON array at byte 0"},
        {"[] []", "something follows the array at byte 3"},
        {"[\"\\ud800\"]", NULL}, /* half a surrogate pair: no text */
        {"[{\"topic\":\"t\",\"payload\":\"\\udc00x\"}]", NULL},
    };
    char wrong[200];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(unpack(rows[i].json, strlen(rows[i].json), 0, wrong, sizeof wrong), TERN_E_MALFORMED);
        if (rows[i].text != NULL) assert_string_equal(wrong, rows[i].text);
    }
    assert_int_equal(unpack("[{\"topic\":\"t\",\"payload\":\"a\0b\"}]", 31, 0, wrong, sizeof wrong), TERN_E_MALFORMED);
    assert_string_equal(wrong, "a NUL byte, which no JSON has, at byte 26");
    assert_int_equal(unpack("[]", 2, 0, wrong, sizeof wrong), 0);
    assert_int_equal(unpack(" [ ] \n", 6, 0, wrong, sizeof wrong), 0);
    assert_int_equal(unpack("[{\"topic\":\"t\",\"payload\":\"\"}]", 28, 0, wrong, sizeof wrong), 0); /* the least that there must be */
    assert_int_equal(count, 1);
    forget();
}

/* Ten megabytes of brackets, and of nothing much: an answer, and soon. */
static void large_ones_end(void **state)
{
    (void)state;
    enum { LARGE = 10 << 20 };
    char wrong[200];
    char *json = malloc(LARGE);
    assert_non_null(json);
    memset(json, '[', LARGE);
    assert_int_equal(unpack(json, LARGE, 0, wrong, sizeof wrong), TERN_E_MALFORMED);
    memset(json, ' ', LARGE);
    assert_int_equal(unpack(json, LARGE, 0, wrong, sizeof wrong), TERN_E_MALFORMED);
    json[0] = '[';
    json[LARGE - 1] = ']';
    assert_int_equal(unpack(json, LARGE, 0, wrong, sizeof wrong), 0);
    memset(json, 'x', LARGE);
    memcpy(json, "[{\"topic\":\"t\",\"payload\":\"", 25);
    memcpy(json + LARGE - 3, "\"}]", 3);
    assert_int_equal(unpack(json, LARGE, 0, wrong, sizeof wrong), 0);
    assert_int_equal(items[0].len, LARGE - 25 - 3);
    free(json);
    forget();
}

/* [C19] */
static void memory_may_run_out(void **state)
{
    (void)state;
    static const char json[] = "[{\"topic\":\"t\",\"payload\":\"/w==\",\"encoding\":\"base64\"},{\"topic\":\"t\",\"payload\":\"a\\u0000\"}]";
    int rc = TERN_E_NOMEM;
    for (long n = 0; rc != 0; n++) {
        tern_message *message;
        forget();
        assert_int_equal(tern_message_new(&message, "t", json, sizeof json - 1, 0), 0);
        failing_arm(n);
        rc = tern_batch_unpack(message, 0, on_item, NULL, NULL, 0);
        (void)failing_disarm();
        if (rc != 0) assert_int_equal(rc, TERN_E_NOMEM);
        tern_message_unref(message);
    }
    assert_int_equal(count, 2);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(the_form_is_the_documents),
        cmocka_unit_test(escaped_nuls_are_read),   cmocka_unit_test(trouble_is_named),
        cmocka_unit_test(what_is_no_array_is_named), cmocka_unit_test(large_ones_end),
        cmocka_unit_test(memory_may_run_out),
    };
#ifndef TERN_WITH_CJSON
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
