/* The fault filter: a stream that misbehaves as a network may, from a seed. It fits anywhere in a
 * chain. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_FAULT_H
#define TERN_TEST_SUPPORT_FAULT_H

#include <stdint.h>

#include "transport/stream.h"

/* What goes wrong. FAULT_NONE is a plan without any fault; set what differs. */
typedef struct fault_plan {
    uint32_t seed;
    size_t read_max;              /* a read gives 1..read_max bytes; 0 = no limit */
    size_t write_max;             /* a write takes 1..write_max bytes; 0 = no limit */
    unsigned read_again_percent;  /* how often a read answers TERN_E_AGAIN though there are bytes;
                                     below 100 */
    unsigned write_again_percent; /* how often a write does though there is room; below 100 */
    uint64_t reset_after_read; /* the connection breaks once so many bytes were read; UINT64_MAX =
                                  never */
    uint64_t reset_after_written; /* the same for written bytes */
    uint64_t silent_after_read; /* once so many bytes were read nothing comes any more, not even the
                                   end */
} fault_plan;

#define FAULT_NONE                                                                                 \
    {                                                                                              \
        .seed = 1, .reset_after_read = UINT64_MAX, .reset_after_written = UINT64_MAX,              \
        .silent_after_read = UINT64_MAX                                                            \
    }

/* Takes over `below`; NULL where there is no memory, `below` being the caller's still. A broken
 * connection tells its source at the next round of the poller; read and write answer
 * TERN_E_CONNECTION_LOST with ECONNRESET from then on. */
tern__stream *fault_stream_new(tern__stream *below, const fault_plan *plan);

/* The bytes that passed so far. */
uint64_t fault_stream_bytes_read(const tern__stream *stream);
uint64_t fault_stream_bytes_written(const tern__stream *stream);

#endif
