/* Inbound blocks: bytes read from the peer, decoded as a whole into message records that point into them, and handed
 * over block by block.
 *
 * Life: the pool gives a block to an engine; the owner's thread reads into it; the engine decodes it; a block with
 * messages is handed over in an event, and whoever holds it gives it back with tern__block_unref() from any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_INBOUND_H
#define TERN_ENGINE_INBOUND_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "codec/packet.h"

typedef struct tern__block tern__block;
typedef struct tern__block_pool tern__block_pool;

/* A received message: views into its block. Topic and payload are NUL-terminated once tern__block_finish() ran. */
typedef struct tern__record {
    const uint8_t *topic;
    const uint8_t *payload;
    uint32_t payload_len;
    uint16_t topic_len;
    uint8_t qos;
    uint8_t flags;            /* TERN__RECORD_* */
    const uint8_t *props;     /* checked, wire form */
    uint32_t props_len;
    uint32_t ack_seq;         /* QoS 1, 2: place in the order of acknowledgement, from 1 in each connection */
    uint64_t props_present;
    tern__block *block;       /* where the views point */
} tern__record;

enum { TERN__RECORD_RETAIN = 1, TERN__RECORD_DUP = 2, TERN__RECORD_ALIASED = 4 };

struct tern__block {
    tern__list link;          /* owner's queue, or the pool's list */
    atomic_uint refs;
    tern__block_pool *pool;
    size_t cap;               /* bytes at data; one more byte is always there for a NUL */
    size_t len;               /* bytes read into it */
    uint8_t *data;
    tern__record *records;
    uint32_t count;
    uint32_t records_cap;
    uint64_t epoch;           /* of the connection it came on, see tern__engine_epoch() */
    tern__list extra;         /* memory that records need beyond data: topics of aliases */
    size_t extra_bytes;       /* of it */
    struct tern__block *next_free;
};

/* A pool's blocks are of block_size bytes; larger packets get blocks of their own. Reference counted: blocks that are
 * still out keep it. Taking is for one thread, giving back for any. */
int tern__block_pool_new(tern__block_pool **pool, size_t block_size);
void tern__block_pool_unref(tern__block_pool *pool);

/* Memory that its messages take, for the inbound bound. [C10] */
static inline size_t tern__block_held(const tern__block *block)
{
    return block->cap + block->count * sizeof(tern__record) + block->extra_bytes;
}

void tern__block_unref(tern__block *block); /* any thread; NULL does nothing */

/* Puts the NULs behind topics and payloads. Called once, by the first reader, when the block was handed over. */
void tern__block_finish(tern__block *block);

#endif
