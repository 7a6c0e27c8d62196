/* Blocks that are read into: taken from a pool, given back from any thread, ended by NULs where texts end.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "engine/blocks.h"
#include "engine/inbound.h"

static void small_blocks_come_back_from_the_pool(void **state)
{
    (void)state;
    tern__block_pool *pool;
    assert_int_equal(tern__block_pool_new(&pool, 1000), 0);
    tern__block *first = tern__block_take(pool, 1);
    assert_non_null(first);
    assert_true(first->cap >= 1000);
    first->len = 10;
    assert_non_null(tern__block_record(first));
    tern__block_unref(first);
    tern__block *second = tern__block_take(pool, 1000);
    assert_ptr_equal(second, first);
    assert_int_equal(second->len, 0);
    assert_int_equal(second->count, 0);
    tern__block *large = tern__block_take(pool, 5000);
    assert_true(large->cap >= 5000);
    tern__block_unref(large);
    tern__block_pool_unref(pool);
    second->data[second->cap] = 0; /* a block that is out keeps its pool, and has a byte for the last NUL */
    tern__block_unref(second);
    tern__block_unref(NULL);
}

/* The topic moves one byte down, so that there is room for its NUL; nothing around it changes. */
static void finishing_ends_texts(void **state)
{
    (void)state;
    tern__block_pool *pool;
    assert_int_equal(tern__block_pool_new(&pool, 256), 0);
    tern__block *block = tern__block_take(pool, 100);
    static const char bytes[] = "\x30\x08\x00\x03" "a/b" "one" "\x30\x06\x00\x01" "c" "two";
    memcpy(block->data, bytes, sizeof bytes - 1);
    block->len = sizeof bytes - 1;
    tern__record *record = tern__block_record(block);
    *record = (tern__record){.topic = block->data + 4, .topic_len = 3, .payload = block->data + 7, .payload_len = 3,
                             .block = block};
    record = tern__block_record(block);
    *record = (tern__record){.topic = block->data + 14, .topic_len = 1, .payload = block->data + 15, .payload_len = 3,
                             .block = block};
    tern__block_finish(block);
    assert_string_equal((const char *)block->records[0].topic, "a/b");
    assert_string_equal((const char *)block->records[0].payload, "one");
    assert_string_equal((const char *)block->records[1].topic, "c");
    assert_string_equal((const char *)block->records[1].payload, "two");
    tern__block_unref(block);
    tern__block_pool_unref(pool);
}

static void a_block_holds_many_records(void **state)
{
    (void)state;
    enum { RECORDS = 5000 };
    tern__block_pool *pool;
    assert_int_equal(tern__block_pool_new(&pool, 64), 0);
    tern__block *block = tern__block_take(pool, 1);
    for (uint32_t i = 0; i < RECORDS; i++) {
        tern__record *record = tern__block_record(block);
        assert_non_null(record);
        *record = (tern__record){.payload_len = i};
    }
    assert_int_equal(block->count, RECORDS);
    for (uint32_t i = 0; i < RECORDS; i++) assert_int_equal(block->records[i].payload_len, i);
    block->count = 0; /* what they point at is not there */
    tern__block_unref(block);
    tern__block_pool_unref(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks_come_back_from_the_pool),
        cmocka_unit_test(finishing_ends_texts),
        cmocka_unit_test(a_block_holds_many_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
