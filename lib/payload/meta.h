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
    bool sized; /* the sizes and the checksum were there; where it is not compressed, the original size */
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

/* Whether it may be about a payload of so many bytes: it gives a size, and that one. */
bool tern__meta_fits(const tern__meta *meta, size_t len);

/* What clients were told of topics and have not used yet: the newest so many, for so long. Any thread. */
typedef struct tern__hints {
    tern__mutex lock;
    tern__list list; /* oldest first */
    size_t count;
} tern__hints;

int tern__hints_init(tern__hints *hints);
void tern__hints_deinit(tern__hints *hints);
/* Keeps what a client was told of a topic. Metas with sizes stand beside each other, since those of several publishers may
 * come before their payloads do; one without takes the place of its like. `client` is compared, never used. Without memory
 * nothing is kept: a hint is no more than that. */
void tern__hints_put(tern__hints *hints, const void *client, const char *topic, size_t len, const tern__meta *meta, uint64_t now);
/* Takes what was said of a payload of so many bytes: the oldest hint that fits it, else the newest; false where there is none,
 * or a too old one. */
bool tern__hints_take(tern__hints *hints, const void *client, const char *topic, size_t len, size_t payload_len,
                      tern__meta *meta, uint64_t now);

#endif
