/* A stream out of memory: what is read was put in before, what is written is kept. For fuzzing,
 * where a socket would cost too much, and for what a socket does not do. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_MEMORY_STREAM_H
#define TERN_TEST_SUPPORT_MEMORY_STREAM_H

#include "base/buf.h"
#include "transport/stream.h"

typedef struct memory_stream {
    tern__stream base;
    const uint8_t *input; /* borrowed */
    size_t input_len;
    size_t taken;    /* of the input */
    unsigned reads;  /* calls */
    size_t step;     /* a read gives, and a write takes, up to so many bytes */
    int end;         /* what reads answer after the input; 0: TERN_E_AGAIN */
    bool repeats;    /* the input begins anew instead */
    bool is_full;    /* writes answer TERN_E_AGAIN */
    bool breaks;     /* writes take `room` bytes more, and answer TERN_E_CONNECTION_LOST then */
    size_t room;
    int watch_rc;    /* what watching answers */
    const char *why; /* what it explains its end with; NULL: nothing */
    bool finished;   /* tern__stream_finish() came */
    tern__buf output;
} memory_stream;

/* Lies in the caller's memory, and is deinitialized after the chain was closed. */
void memory_stream_init(memory_stream *stream, size_t step);
void memory_stream_put(memory_stream *stream, const void *data, size_t len, int end);
void memory_stream_deinit(memory_stream *stream);

#endif
