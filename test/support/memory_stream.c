/* A stream out of memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/memory_stream.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

static int memory_read(tern__stream *stream, void *data, size_t len, size_t *n)
{
    memory_stream *self = (memory_stream *)stream;
    *n = 0;
    self->reads++;
    if (self->repeats && self->taken == self->input_len) self->taken = 0;
    size_t left = self->input_len - self->taken;
    if (left == 0) return self->end != 0 ? self->end : TERN_E_AGAIN;
    *n = len < self->step ? len : self->step;
    if (*n > left) *n = left;
    memcpy(data, self->input + self->taken, *n);
    self->taken += *n;
    return 0;
}

static int memory_write(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    memory_stream *self = (memory_stream *)stream;
    *n = 0;
    if (self->is_full) return TERN_E_AGAIN;
    for (size_t i = 0; i < count && *n == 0; i++) {
        size_t len = iov[i].len < self->step ? iov[i].len : self->step;
        if (self->breaks && self->room == 0) return TERN_E_CONNECTION_LOST;
        if (self->breaks && self->room < len) len = self->room;
        if (tern__buf_append(&self->output, iov[i].data, len) != 0) return TERN_E_AGAIN;
        *n = len;
        self->room -= self->breaks ? len : 0;
    }
    return 0;
}

static int memory_watch(tern__stream *stream, bool read, bool write)
{
    (void)read;
    (void)write;
    return ((memory_stream *)stream)->watch_rc;
}

static void memory_set_source(tern__stream *stream, tern__source *source)
{
    (void)stream; /* nothing is ever ready by itself */
    (void)source;
}

static int memory_finish(tern__stream *stream)
{
    ((memory_stream *)stream)->finished = true;
    return 0;
}

static bool memory_explain(const tern__stream *stream, tern__stream_failure *failure)
{
    const memory_stream *self = (const memory_stream *)stream;
    if (self->why == NULL) return false;
    failure->error = self->end;
    snprintf(failure->text, sizeof failure->text, "%s", self->why);
    return true;
}

static void memory_close(tern__stream *stream)
{
    (void)stream; /* the caller's */
}

void memory_stream_init(memory_stream *stream, size_t step)
{
    static const tern__stream_ops ops = {.name = "memory",
                                         .read = memory_read,
                                         .write = memory_write,
                                         .watch = memory_watch,
                                         .set_source = memory_set_source,
                                         .finish = memory_finish,
                                         .explain = memory_explain,
                                         .close = memory_close};
    memset(stream, 0, sizeof *stream);
    stream->base.ops = &ops;
    stream->step = step;
    tern__buf_init(&stream->output);
}

void memory_stream_put(memory_stream *stream, const void *data, size_t len, int end)
{
    stream->input = data;
    stream->input_len = len;
    stream->taken = 0;
    stream->end = end;
}

void memory_stream_deinit(memory_stream *stream)
{
    tern__buf_deinit(&stream->output);
}
