/* Streams over a socket. A short read tells that the socket is drained: the poller is
 * level-triggered, so nobody needs a second read to hear EAGAIN. SPDX-License-Identifier:
 * Apache-2.0 */
#include "transport/socket_stream.h"

#include <assert.h>
#include <errno.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/list.h"
#include "platform/socket.h"

enum { MAX_PIECES = 64 };

typedef struct socket_stream {
    tern__stream base;
    int fd;
    bool watched; /* the poller knows fd */
    tern__poller *poller;
    tern__source source; /* the poller's */
    tern__source *user;  /* whom source tells; NULL until set */
} socket_stream;

static int fail(tern__stream *stream, int os_error)
{
    if (os_error == EAGAIN) return TERN_E_AGAIN;
    stream->os_error = os_error;
    return TERN_E_CONNECTION_LOST;
}

static int read_some(tern__stream *stream, void *data, size_t len, size_t *n)
{
    int os_error = tern__socket_read(((socket_stream *)stream)->fd, data, len, n);
    if (os_error != 0) return fail(stream, os_error);
    return *n != 0 ? 0 : TERN_E_CONNECTION_LOST;
}

static int write_some(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    if (count > MAX_PIECES) count = MAX_PIECES;
    int os_error = tern__socket_write(((socket_stream *)stream)->fd, iov, count, n);
    return os_error == 0 ? 0 : fail(stream, os_error);
}

static int watch(tern__stream *stream, bool read, bool write)
{
    socket_stream *self = (socket_stream *)stream;
    unsigned interest =
        (read ? (unsigned)TERN__READY_READ : 0u) | (write ? (unsigned)TERN__READY_WRITE : 0u);
    if (self->watched) return tern__poller_modify(self->poller, self->fd, interest, &self->source);
    int rc = tern__poller_add(self->poller, self->fd, interest, &self->source);
    self->watched = rc == 0;
    return rc;
}

static void set_source(tern__stream *stream, tern__source *source)
{
    ((socket_stream *)stream)->user = source;
}

static int finish(tern__stream *stream)
{
    int os_error = tern__socket_finish(((socket_stream *)stream)->fd);
    return os_error == 0 ? 0 : fail(stream, os_error);
}

static void close_socket(tern__stream *stream)
{
    socket_stream *self = (socket_stream *)stream;
    if (self->watched) tern__poller_remove(self->poller, self->fd);
    tern__socket_close(self->fd);
    tern__free(self);
}

/* The user may close the stream meanwhile: nothing of it is touched afterwards. */
static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    socket_stream *self = TERN__CONTAINER(source, socket_stream, source);
    assert(self->user != NULL && "a watched stream has a source");
    self->user->ready(self->user, events, now);
}

int tern__socket_stream_new(tern__stream **stream, enum tern__scheme scheme, int fd,
                            tern__poller *poller)
{
    static const tern__stream_ops tcp = {
        .name = "tcp", .read = read_some, .write = write_some, .watch = watch,
        .set_source = set_source, .finish = finish, .close = close_socket};
    static const tern__stream_ops local = {
        .name = "unix", .read = read_some, .write = write_some, .watch = watch,
        .set_source = set_source, .finish = finish, .close = close_socket};
    *stream = NULL;
    socket_stream *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->base.ops = scheme == TERN__SCHEME_UNIX ? &local : &tcp;
    self->fd = fd;
    self->poller = poller;
    self->source.ready = on_ready;
    *stream = &self->base;
    return 0;
}
