/* Fuzzing meta messages: what is read is written and read again as the same, and what is remembered is found.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "payload/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const tern__meta *meta)
{
    char text[TERN__META_TEXT];
    tern__meta again;
    size_t len = tern__meta_write(meta, text);
    assert(len < sizeof text && strlen(text) == len);
    bool is_meta = tern__meta_read(text, len, &again);
    assert(is_meta && again.compressed == meta->compressed);
    assert(again.original_size == meta->original_size && again.seq == meta->seq);
    if (!meta->compressed) return;
    assert(again.sized && again.compressed_size == meta->compressed_size && again.crc32 == meta->crc32);
}

/* The bytes as a topic, with no regard to what topics look like. */
static void remember(const uint8_t *data, size_t size, const tern__meta *meta)
{
    enum { NOW = 5, LATER = 120 * 1000000 };
    tern__hints hints;
    tern__meta found;
    if (tern__hints_init(&hints) != 0) return;
    tern__hints_put(&hints, NULL, (const char *)data, size, meta, NOW);
    tern__hints_put(&hints, NULL, (const char *)data, size / 2, meta, NOW);
    bool known = tern__hints_take(&hints, NULL, (const char *)data, size, size, &found, NOW);
    assert(known && found.seq == meta->seq && found.compressed == meta->compressed);
    (void)tern__hints_take(&hints, NULL, (const char *)data, size / 2, 0, &found, LATER);
    assert(hints.count == 0 && "one was taken, the other was too old");
    tern__hints_deinit(&hints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tern__meta meta;
    if (!tern__meta_read(data, size, &meta)) return 0;
    read_again(&meta);
    remember(data, size, &meta);
    return 0;
}
