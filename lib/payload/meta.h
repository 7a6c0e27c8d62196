/* Meta messages: what `<topic>/meta` says of the payload that follows on `<topic>`, and a bounded memory of what was said.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PAYLOAD_META_H
#define TERN_PAYLOAD_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "platform/thread.h"

enum { TERN__META_TEXT = 256 };

typedef struct tern__meta {
    bool compressed;
    bool sized; /* the members below were there */
    uint64_t original_size;
    uint64_t compressed_size;
    uint32_t crc32; /* of the original */
    uint64_t seq;
} tern__meta;

/* JSON for a payload; returns its length. */
size_t tern__meta_write(const tern__meta *meta, char text[TERN__META_TEXT]);
/* Whether the bytes are a meta message: a JSON object whose "compressed" is true or false. Members of a wrong kind, and all
 * that it does not know, play no part. */
bool tern__meta_read(const void *data, size_t len, tern__meta *meta);

/* What was said of topics and not used yet: the newest so many, for so long. Any thread. */
typedef struct tern__hints {
    tern__mutex lock;
    tern__list list; /* oldest first */
    size_t count;
} tern__hints;

int tern__hints_init(tern__hints *hints);
void tern__hints_deinit(tern__hints *hints);
/* Keeps what was said of a topic, in place of what was before. Without memory nothing is kept: a hint is no more than that. */
void tern__hints_put(tern__hints *hints, const char *topic, size_t len, const tern__meta *meta, uint64_t now);
/* Takes what was said of a topic; false where nothing was, or too long ago. */
bool tern__hints_take(tern__hints *hints, const char *topic, size_t len, tern__meta *meta, uint64_t now);

#endif
