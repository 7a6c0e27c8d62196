/* Meta messages: what is one and what is not, and a memory of hints that is bounded in number and time.
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

#include "payload/meta.h"

enum { SECOND = 1000000 };

static void what_is_written_is_read(void **state)
{
    (void)state;
    char text[TERN__META_TEXT];
    tern__meta read;
    tern__meta meta = {true, true, 9007199254740991, 9007199254740991, 0xFFFFFFFF, 9007199254740991};
    size_t len = tern__meta_write(&meta, text);
    assert_int_equal(len, strlen(text));
    assert_true(tern__meta_read(text, len, &read));
    assert_true(read.compressed && read.sized);
    assert_int_equal(read.original_size, meta.original_size);
    assert_int_equal(read.compressed_size, meta.compressed_size);
    assert_int_equal(read.crc32, meta.crc32);
    assert_int_equal(read.seq, meta.seq);
    meta = (tern__meta){.compressed = false, .original_size = 3, .seq = 1};
    len = tern__meta_write(&meta, text);
    assert_string_equal(text, "{\"compressed\": false, \"original_size\": 3, \"seq\": 1}");
    assert_true(tern__meta_read(text, len, &read));
    assert_false(read.compressed);
}

static void only_meta_messages_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_meta;
        bool compressed;
        bool sized;
    } rows[] = {
        {"{\"compressed\": true}", true, true, false}, /* the document's */
        {"{\"compressed\": false}", true, false, false},
        {" \r\n\t{\"compressed\":true}\n", true, true, false},
        {"{\"compressed\":true,\"original_size\":5,\"compressed_size\":4,\"crc32\":7,\"seq\":1}", true, true, true},
        {"{\"compressed\":true,\"original_size\":\"5\",\"compressed_size\":4,\"crc32\":7}", true, true, false},
        {"{\"compressed\":true,\"original_size\":-5,\"compressed_size\":4,\"crc32\":7}", true, true, false},
        {"{\"compressed\":true,\"original_size\":1.5,\"compressed_size\":4,\"crc32\":7}", true, true, false},
        {"{\"compressed\":true,\"original_size\":1e300,\"compressed_size\":4,\"crc32\":7}", true, true, false},
        {"{\"compressed\":true,\"original_size\":5,\"compressed_size\":4,\"crc32\":4294967296}", true, true, false},
        {"{\"compressed\":true,\"extra\":[{\"compressed\":false}]}", true, true, false},
        {"{\"compressed\":1}", false, false, false},
        {"{\"compressed\":\"true\"}", false, false, false},
        {"{\"compressed\":null}", false, false, false},
        {"{\"Compressed\":true}", false, false, false},
        {"{\"a\":{\"compressed\":true}}", false, false, false},
        {"[{\"compressed\":true}]", false, false, false},
        {"{\"compressed\":true", false, false, false},
        {"{}", false, false, false},
        {"true", false, false, false},
        {"", false, false, false},
        {"   ", false, false, false},
        {"{", false, false, false},
        {"23.5", false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__meta meta;
        bool is_meta = tern__meta_read(rows[i].text, strlen(rows[i].text), &meta);
        if (is_meta != rows[i].is_meta || meta.compressed != rows[i].compressed || meta.sized != rows[i].sized)
            fail_msg("%s", rows[i].text);
    }
}

/* Ten megabytes of JSON are not looked at, deep nesting neither. */
static void large_ones_are_none(void **state)
{
    (void)state;
    enum { LARGE = 10 << 20 };
    tern__meta meta;
    char *text = malloc(LARGE);
    assert_non_null(text);
    memset(text, '[', LARGE);
    memcpy(text, "{\"compressed\":", 14);
    assert_false(tern__meta_read(text, LARGE, &meta));
    assert_false(tern__meta_read(text, 4000, &meta));
    memset(text + 14, ' ', LARGE - 14);
    memcpy(text + LARGE - 5, "true}", 5);
    assert_false(tern__meta_read(text, LARGE, &meta));
    free(text);
}

static void hints_are_few_and_fresh(void **state)
{
    (void)state;
    enum { MANY = 3000, KEPT = 1024 };
    tern__hints hints;
    tern__meta meta = {.compressed = true};
    tern__meta found;
    char topic[32];
    assert_int_equal(tern__hints_init(&hints), 0);
    assert_false(tern__hints_take(&hints, NULL, "a", 1, 0, &found, 1));
    for (int i = 0; i < MANY; i++) {
        int len = snprintf(topic, sizeof topic, "t/%d", i);
        meta.seq = (uint64_t)i;
        tern__hints_put(&hints, NULL, topic, (size_t)len, &meta, (uint64_t)i);
    }
    assert_in_range(hints.count, KEPT - 1, KEPT);
    assert_false(tern__hints_take(&hints, NULL, "t/0", 3, 0, &found, MANY));
    assert_true(tern__hints_take(&hints, NULL, "t/2999", 6, 0, &found, MANY));
    assert_int_equal(found.seq, 2999);
    assert_false(tern__hints_take(&hints, NULL, "t/2999", 6, 0, &found, MANY)); /* once */
    meta.seq = 1;
    tern__hints_put(&hints, NULL, "t/2998", 6, &meta, MANY);
    meta.seq = 2;
    tern__hints_put(&hints, NULL, "t/2998", 6, &meta, MANY); /* the newest counts */
    assert_true(tern__hints_take(&hints, NULL, "t/2998", 6, 0, &found, MANY));
    assert_int_equal(found.seq, 2);
    assert_false(tern__hints_take(&hints, NULL, "t/2998", 6, 0, &found, MANY));
    assert_false(tern__hints_take(&hints, NULL, "t/2997", 6, 0, &found, MANY + 61 * (uint64_t)SECOND)); /* too old */
    tern__hints_deinit(&hints);
}

/* Two publishers' metas may come before both payloads, two clients hear the same metas, and each payload finds its own. */
static void each_payload_finds_its_own(void **state)
{
    (void)state;
    static const int clients[2] = {0};
    tern__hints hints;
    tern__meta found;
    tern__meta packed = {.compressed = true, .sized = true, .original_size = 900, .compressed_size = 90, .seq = 1};
    tern__meta plain = {.compressed = false, .sized = true, .original_size = 50, .seq = 2};
    assert_true(tern__meta_fits(&packed, 90) && !tern__meta_fits(&packed, 900) && tern__meta_fits(&plain, 50));
    assert_int_equal(tern__hints_init(&hints), 0);
    for (int i = 0; i < 2; i++) {
        tern__hints_put(&hints, &clients[i], "t", 1, &packed, 1);
        tern__hints_put(&hints, &clients[i], "t", 1, &plain, 1);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(tern__hints_take(&hints, &clients[i], "t", 1, 90, &found, 2));
        assert_int_equal(found.seq, 1);
        assert_true(tern__hints_take(&hints, &clients[i], "t", 1, 77, &found, 2)); /* fits none: the newest */
        assert_int_equal(found.seq, 2);
        assert_false(tern__hints_take(&hints, &clients[i], "t", 1, 90, &found, 2));
    }
    assert_int_equal(hints.count, 0);
    tern__hints_deinit(&hints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(only_meta_messages_are_taken),
        cmocka_unit_test(large_ones_are_none),
        cmocka_unit_test(hints_are_few_and_fresh),
        cmocka_unit_test(each_payload_finds_its_own),
    };
#ifndef TERN_WITH_CJSON
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
