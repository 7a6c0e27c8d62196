/* Inbound blocks from the engine's side: taking, filling and shrinking them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_BLOCKS_H
#define TERN_ENGINE_BLOCKS_H

#include "engine/inbound.h"

tern__block_pool *tern__block_pool_ref(tern__block_pool *pool);
/* A block of the pool's size, or of its own where cap is larger; NULL where memory ran out. */
tern__block *tern__block_take(tern__block_pool *pool, size_t cap);
/* A block of exactly that size. */
tern__block *tern__block_exact(tern__block_pool *pool, size_t cap);
/* One more record; NULL where memory ran out. Earlier ones may move. */
tern__record *tern__block_record(tern__block *block);
/* Memory for len bytes and a NUL that lives as long as the block. */
uint8_t *tern__block_extra(tern__block *block, size_t len);

#endif
