/* A stream out of memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/memory_stream.h"

#include <string.h>
#include <tern/error.h>

static int memory_read(tern__stream *stream, void *data, size_t len, size_t *n)
{
    memory_stream *self = (memory_stream *)stream;
    *n = 0;
    if (self->input_len == 0) return self->ends ? TERN_E_CONNECTION_LOST : TERN_E_AGAIN;
    *n = len < self->step ? len : self->step;
    if (*n > self->input_len) *n = self->input_len;
    memcpy(data, self->input, *n);
    self->input += *n;
    self->input_len -= *n;
    return 0;
}

static int memory_write(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    memory_stream *self = (memory_stream *)stream;
    *n = 0;
    for (size_t i = 0; i < count && *n == 0; i++) {
        size_t len = iov[i].len < self->step ? iov[i].len : self->step;
        if (tern__buf_append(&self->output, iov[i].data, len) != 0) return TERN_E_AGAIN;
        *n = len;
    }
    return 0;
}

static int memory_watch(tern__stream *stream, bool read, bool write)
{
    (void)stream;
    (void)read;
    (void)write;
    return 0;
}

static void memory_set_source(tern__stream *stream, tern__source *source)
{
    ((memory_stream *)stream)->source = source;
}

static int memory_finish(tern__stream *stream)
{
    ((memory_stream *)stream)->finished = true;
    return 0;
}

static void memory_close(tern__stream *stream)
{
    (void)stream; /* the caller's */
}

void memory_stream_init(memory_stream *stream, size_t step)
{
    static const tern__stream_ops ops = {
        .name = "memory", .read = memory_read, .write = memory_write, .watch = memory_watch,
        .set_source = memory_set_source, .finish = memory_finish, .close = memory_close};
    memset(stream, 0, sizeof *stream);
    stream->base.ops = &ops;
    stream->step = step;
    tern__buf_init(&stream->output);
}

void memory_stream_put(memory_stream *stream, const void *data, size_t len, bool ends)
{
    stream->input = data;
    stream->input_len = len;
    stream->ends = ends;
}

void memory_stream_deinit(memory_stream *stream)
{
    tern__buf_deinit(&stream->output);
}
