/* Inbound blocks and the pool that they come from.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/blocks.h"

#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"

/* Blocks come back from any thread onto a stack; the one taker takes the whole stack at a time, so that nothing is ever popped
 * under another's hands. */
struct tern__block_pool {
    atomic_uint refs; /* the owner's, and one a block that is out */
    size_t block_size;
    _Atomic(tern__block *) returned;
    tern__block *free; /* the taker's */
    unsigned free_count;
};

/* Memory that a record needs beyond its block: the topic that an alias stood for. */
typedef struct extra {
    tern__list link;
} extra;

static void pool_unref(tern__block_pool *pool);

int tern__block_pool_new(tern__block_pool **pool, size_t block_size)
{
    *pool = NULL;
    tern__block_pool *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    atomic_init(&made->refs, 1);
    made->block_size = block_size;
    *pool = made;
    return 0;
}

static void block_free(tern__block *block)
{
    tern__free(block->records);
    tern__free(block->data);
    tern__free(block);
}

static void free_list(tern__block *block)
{
    while (block != NULL) {
        tern__block *next = block->next_free;
        block_free(block);
        block = next;
    }
}

static void pool_unref(tern__block_pool *pool)
{
    if (atomic_fetch_sub(&pool->refs, 1) != 1) return;
    free_list(atomic_exchange(&pool->returned, NULL));
    free_list(pool->free);
    tern__free(pool);
}

void tern__block_pool_unref(tern__block_pool *pool)
{
    if (pool != NULL) pool_unref(pool);
}

tern__block_pool *tern__block_pool_ref(tern__block_pool *pool)
{
    atomic_fetch_add(&pool->refs, 1);
    return pool;
}

static tern__block *block_new(size_t cap)
{
    tern__block *block = tern__calloc(1, sizeof *block);
    if (block == NULL) return NULL;
    block->data = tern__malloc(cap + 1); /* one more for a NUL */
    if (block->data == NULL) {
        tern__free(block);
        return NULL;
    }
    block->cap = cap;
    return block;
}

tern__block *tern__block_take(tern__block_pool *pool, size_t cap)
{
    tern__block *block = NULL;
    if (cap <= pool->block_size) {
        if (pool->free == NULL) pool->free = atomic_exchange(&pool->returned, NULL);
        block = pool->free;
        cap = pool->block_size;
    }
    if (block != NULL) {
        pool->free = block->next_free;
    } else {
        block = block_new(cap);
        if (block == NULL) return NULL;
    }
    tern__list_init(&block->link);
    tern__list_init(&block->extra);
    atomic_init(&block->refs, 1);
    block->pool = tern__block_pool_ref(pool);
    block->len = 0;
    block->count = 0;
    block->extra_bytes = 0;
    block->next_free = NULL;
    return block;
}

tern__block *tern__block_exact(tern__block_pool *pool, size_t cap)
{
    tern__block *block = block_new(cap);
    if (block == NULL) return NULL;
    tern__list_init(&block->link);
    tern__list_init(&block->extra);
    atomic_init(&block->refs, 1);
    block->pool = tern__block_pool_ref(pool);
    return block;
}

void tern__block_unref(tern__block *block)
{
    if (block == NULL || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1) return;
    tern__block_pool *pool = block->pool;
    tern__list *link;
    while ((link = tern__list_shift(&block->extra)) != NULL) tern__free(TERN__CONTAINER(link, extra, link));
    if (block->cap != pool->block_size) {
        block_free(block);
    } else {
        tern__block *head = atomic_load(&pool->returned);
        do {
            block->next_free = head;
        } while (!atomic_compare_exchange_weak(&pool->returned, &head, block));
    }
    pool_unref(pool);
}

uint8_t *tern__block_extra(tern__block *block, size_t len)
{
    extra *made = tern__malloc(sizeof *made + len + 1);
    if (made == NULL) return NULL;
    tern__list_append(&block->extra, &made->link);
    block->extra_bytes += sizeof *made + len + 1;
    return (uint8_t *)(made + 1);
}

tern__record *tern__block_record(tern__block *block)
{
    if (block->count == block->records_cap) {
        uint32_t cap = block->records_cap != 0 ? block->records_cap * 2 : 8;
        tern__record *records = tern__realloc(block->records, cap * sizeof *records);
        if (records == NULL) return NULL;
        block->records = records;
        block->records_cap = cap;
    }
    return &block->records[block->count++];
}

void tern__block_finish(tern__block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        tern__record *record = &block->records[i];
        ((uint8_t *)(uintptr_t)record->payload)[record->payload_len] = 0;
        if ((record->flags & TERN__RECORD_ALIASED) != 0) continue;
        uint8_t *topic = (uint8_t *)(uintptr_t)record->topic - 1; /* over the low byte of its length */
        memmove(topic, record->topic, record->topic_len);
        topic[record->topic_len] = 0;
        record->topic = topic;
    }
}
