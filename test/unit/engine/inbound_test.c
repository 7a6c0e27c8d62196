/* Blocks that are read into: taken from a pool, given back from any thread, ended by NULs where texts end.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
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

/* A packet that fills its block to the last byte: the NUL behind it has its own. A topic that an alias stood for stays. */
static void a_full_block_has_room_for_its_last_nul(void **state)
{
    (void)state;
    tern__block_pool *pool;
    assert_int_equal(tern__block_pool_new(&pool, 16), 0);
    static const size_t sizes[] = {16, 100000};
    for (size_t i = 0; i < 2; i++) {
        tern__block *block = tern__block_take(pool, sizes[i]);
        assert_int_equal(block->cap, sizes[i]);
        memset(block->data, 'p', sizes[i]);
        memcpy(block->data, "\x30\x0e\0\1t", 5);
        block->len = sizes[i];
        uint8_t *topic = tern__block_extra(block, 3);
        assert_non_null(topic);
        memcpy(topic, "abc", 4);
        tern__record *record = tern__block_record(block);
        *record = (tern__record){.topic = block->data + 4, .topic_len = 1, .payload = block->data + 5,
                                 .payload_len = (uint32_t)sizes[i] - 5, .block = block};
        record = tern__block_record(block);
        *record = (tern__record){.topic = topic, .topic_len = 3, .payload = block->data + sizes[i],
                                 .flags = TERN__RECORD_ALIASED, .block = block};
        tern__block_finish(block);
        assert_int_equal(strlen((const char *)block->records[0].payload), sizes[i] - 5);
        assert_string_equal((const char *)block->records[0].topic, "t");
        assert_ptr_equal(block->records[1].topic, topic);
        assert_string_equal((const char *)topic, "abc");
        assert_string_equal((const char *)block->records[1].payload, "");
        tern__block_unref(block); /* and its extra memory with it */
    }
    tern__block_pool_unref(pool);
}

static void a_block_goes_back_with_its_last_reference(void **state)
{
    (void)state;
    tern__block_pool *pool;
    assert_int_equal(tern__block_pool_new(&pool, 100), 0);
    tern__block *block = tern__block_take(pool, 50);
    atomic_fetch_add(&block->refs, 2);
    block->data[0] = 1;
    tern__block_unref(block);
    tern__block_unref(block);
    tern__block *other = tern__block_take(pool, 50); /* it is still out */
    assert_ptr_not_equal(other, block);
    tern__block_unref(block);
    tern__block *again = tern__block_take(pool, 50);
    assert_ptr_equal(again, block);
    tern__block *exact = tern__block_exact(pool, 7);
    assert_int_equal(exact->cap, 7);
    tern__block_unref(exact);
    tern__block_unref(again);
    tern__block_unref(other);
    tern__block_pool_unref(pool);
}

enum { ROUNDS = 20000, SHELF = 64, GIVERS = 3 };

/* What the taker lays out and the givers take away: each place is a block or NULL. */
typedef struct shelf {
    _Atomic(tern__block *) places[SHELF];
    atomic_bool done;
} shelf;

static bool give_back(shelf *s)
{
    bool found = false;
    for (size_t i = 0; i < SHELF; i++) {
        tern__block *block = atomic_exchange(&s->places[i], NULL);
        if (block == NULL) continue;
        found = true;
        tern__block_unref(block);
    }
    return found;
}

static void *giver(void *data)
{
    shelf *s = data;
    while (!atomic_load(&s->done))
        if (!give_back(s)) sched_yield();
    return NULL;
}

/* One takes, several give back: no block is handed out twice, and none is lost (the leak checker sees to that). */
static void blocks_come_back_from_other_threads(void **state)
{
    (void)state;
    static shelf s;
    tern__block_pool *pool;
    pthread_t threads[GIVERS];
    assert_int_equal(tern__block_pool_new(&pool, 64), 0);
    for (size_t i = 0; i < GIVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, giver, &s), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        tern__block *block = tern__block_take(pool, i % 8 == 0 ? 100 : 64);
        assert_int_equal(atomic_load(&block->refs), 1);
        assert_int_equal(block->count, 0);
        assert_non_null(tern__block_record(block));
        memset(block->data, (int)i, 64);
        block = atomic_exchange(&s.places[i % SHELF], block);
        tern__block_unref(block);
    }
    atomic_store(&s.done, true);
    for (size_t i = 0; i < GIVERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)give_back(&s);
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
        cmocka_unit_test(a_full_block_has_room_for_its_last_nul),
        cmocka_unit_test(a_block_goes_back_with_its_last_reference),
        cmocka_unit_test(blocks_come_back_from_other_threads),
        cmocka_unit_test(a_block_holds_many_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
