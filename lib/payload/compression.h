/* Compression from inside: settings, counters, and working memory that is used again.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PAYLOAD_COMPRESSION_H
#define TERN_PAYLOAD_COMPRESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/compress.h>
#include <tern/transform.h>

#include "payload/gzip.h"
#include "payload/meta.h"
#include "platform/thread.h"

enum { TERN__GZIP_IDLE = 4 /* states that are kept for the next message */ };

typedef struct tern__compression_rule {
    char *filter;
    tern_encoding encoding;
} tern__compression_rule;

/* Counters; the names are in compression.c. */
enum {
    TERN__COMPRESSED,
    TERN__LEFT_RAW,
    TERN__BYTES_BEFORE,
    TERN__BYTES_AFTER,
    TERN__INFLATED,
    TERN__DAMAGED,
    TERN__TOO_LARGE,
    TERN__MISMATCHED,
    TERN__METAS,
    TERN__COMPRESSION_COUNTERS
};

struct tern_compression {
    atomic_uint refs;
    /* Constant once `sealed`. */
    bool sealed;
    tern_encoding fallback;
    tern__compression_rule *rules;
    size_t rule_count;
    size_t threshold;
    int level;
    int minimal_gain;
    tern_compression_form form;
    tern_decompression decompression;
    tern__gzip_limits limits;
    bool deliver_meta;
    /* Shared. */
    atomic_uint_least64_t counters[TERN__COMPRESSION_COUNTERS];
    atomic_uint_least64_t seq;
    tern__hints hints;
    tern__mutex lock;
    tern__gzip *idle[TERN__GZIP_IDLE]; /* under the lock */
    size_t idle_count;
};

/* A state for the caller alone, to be given back; NULL where memory ran out. */
tern__gzip *tern__compression_take(tern_compression *compression);
void tern__compression_give(tern_compression *compression, tern__gzip *gzip);
static inline void tern__compression_count(tern_compression *compression, int counter, uint64_t more)
{
    atomic_fetch_add_explicit(&compression->counters[counter], more, memory_order_relaxed);
}

/* outgoing.c, incoming.c: the transform's two halves; user_data is the compression. */
int tern__compression_outgoing(tern_client *client, tern_outgoing *outgoing, void *user_data);
void tern__compression_incoming(tern_client *client, tern_incoming *incoming, void *user_data);

#endif
