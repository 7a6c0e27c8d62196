/* A byte stream to a peer: a chain of filters, each with a small table of functions. All of it belongs to the loop's
 * thread; nothing blocks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_STREAM_H
#define TERN_TRANSPORT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "platform/poller.h"

typedef struct tern__stream tern__stream;

/* Functions of a filter; those left NULL pass the call to `next`. */
typedef struct tern__stream_ops {
    const char *name; /* "tcp", "tls": the step in error texts */
    /* Reads up to len bytes. 0 with *n > 0; TERN_E_AGAIN: nothing there; TERN_E_CONNECTION_LOST: the peer ended the
     * stream (os_error 0) or it broke (os_error says). */
    int (*read)(tern__stream *stream, void *data, size_t len, size_t *n);
    /* Writes some of the pieces in one call. 0 with *n > 0 (maybe less than all); TERN_E_AGAIN: no room;
     * TERN_E_CONNECTION_LOST. Never raises SIGPIPE. */
    int (*write)(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n);
    /* Says which readiness the user waits for; a filter may need another one below. */
    int (*watch)(tern__stream *stream, bool read, bool write);
    /* Sets whose `ready` is called when the stream may go on. */
    void (*set_source)(tern__stream *stream, tern__source *source);
    /* Nothing more will be written: what is under way still goes out, and then the peer sees the end. Reading goes on, up to
     * the peer's end: closing with unread bytes would make TCP throw away what is under way. 0 or TERN_E_CONNECTION_LOST. */
    int (*finish)(tern__stream *stream);
    /* Closes and frees the filter and all below it. */
    void (*close)(tern__stream *stream);
} tern__stream_ops;

struct tern__stream {
    const tern__stream_ops *ops;
    tern__stream *next; /* the filter below; NULL at the socket */
    int os_error;       /* errno of the last failure here, 0 where there was none */
};

int tern__stream_read(tern__stream *stream, void *data, size_t len, size_t *n);
int tern__stream_write(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n);
int tern__stream_watch(tern__stream *stream, bool read, bool write);
void tern__stream_set_source(tern__stream *stream, tern__source *source);
int tern__stream_finish(tern__stream *stream);
void tern__stream_close(tern__stream *stream); /* NULL does nothing */
int tern__stream_os_error(const tern__stream *stream); /* the first one in the chain, from the top */

#endif
