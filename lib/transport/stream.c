/* The chain of filters: each call goes to the first filter from the top that takes it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/stream.h"

#include <assert.h>
#include <string.h>

int tern__stream_open(tern__stream *stream, tern__stream_failure *failure)
{
    return stream->ops->open != NULL ? stream->ops->open(stream, failure) : 0;
}

bool tern__stream_pending(const tern__stream *stream)
{
    for (; stream != NULL; stream = stream->next)
        if (stream->ops->pending != NULL && stream->ops->pending(stream)) return true;
    return false;
}

int tern__stream_read(tern__stream *stream, void *data, size_t len, size_t *n)
{
    assert(len != 0 && "reading nothing looks like the peer's end");
    while (stream->ops->read == NULL)
        stream = stream->next;
    return stream->ops->read(stream, data, len, n);
}

int tern__stream_write(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    while (stream->ops->write == NULL)
        stream = stream->next;
    return stream->ops->write(stream, iov, count, n);
}

int tern__stream_watch(tern__stream *stream, bool read, bool write)
{
    while (stream->ops->watch == NULL)
        stream = stream->next;
    return stream->ops->watch(stream, read, write);
}

void tern__stream_set_source(tern__stream *stream, tern__source *source)
{
    while (stream->ops->set_source == NULL)
        stream = stream->next;
    stream->ops->set_source(stream, source);
}

int tern__stream_finish(tern__stream *stream)
{
    while (stream->ops->finish == NULL)
        stream = stream->next;
    return stream->ops->finish(stream);
}

void tern__stream_close(tern__stream *stream)
{
    while (stream != NULL && stream->ops->close == NULL)
        stream = stream->next;
    if (stream != NULL) stream->ops->close(stream);
}

bool tern__stream_explain(const tern__stream *stream, tern__stream_failure *failure)
{
    memset(failure, 0, sizeof *failure);
    for (; stream != NULL; stream = stream->next)
        if (stream->ops->explain != NULL && stream->ops->explain(stream, failure)) return true;
    return false;
}

int tern__stream_os_error(const tern__stream *stream)
{
    while (stream != NULL && stream->os_error == 0)
        stream = stream->next;
    return stream != NULL ? stream->os_error : 0;
}
