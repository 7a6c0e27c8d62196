/* A byte stream to a peer: a chain of filters, each with a small table of functions. All of it belongs to the loop's
 * thread; nothing blocks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_STREAM_H
#define TERN_TRANSPORT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tern/event.h>

#include "base/view.h"
#include "platform/poller.h"

typedef struct tern__stream tern__stream;

/* Why a filter did not open. */
typedef struct tern__stream_failure {
    int error;          /* TERN_E_TLS, TERN_E_PROXY, ... */
    tern_step step;     /* the filter's step */
    int os_error;       /* errno, 0 where there was none */
    int http_status;    /* of a proxy or a WebSocket server that answered no; 0 none */
    long verify_result; /* X509_V_ERR_*: what is wrong with the certificate; 0 nothing */
    bool fatal;         /* waiting does not heal it (a refused certificate) [C18] */
    char text[256];     /* peer or part, and cause, in words */
    char hint[200];     /* what to do about it; "" where nothing is known */
} tern__stream_failure;

/* Functions of a filter; those left NULL pass the call to `next`. */
typedef struct tern__stream_ops {
    const char *name; /* "tcp", "tls": the step in error texts */
    /* Goes on with the filter's own opening handshake; all filters below are open. 0: it is open, and is not called again.
     * TERN_E_AGAIN: it has told the filter below what to watch for; to be called again when the stream is ready. Else it
     * failed, and has said why; the stream is good for closing alone. NULL: nothing to do. */
    int (*open)(tern__stream *stream, tern__stream_failure *failure);
    /* Reads up to len bytes. 0 with *n > 0; TERN_E_AGAIN: nothing there; TERN_E_CONNECTION_LOST: the peer ended the
     * stream (os_error 0) or it broke (os_error says). */
    int (*read)(tern__stream *stream, void *data, size_t len, size_t *n);
    /* Writes some of the pieces in one call. 0 with *n > 0 (maybe less than all); TERN_E_AGAIN: no room;
     * TERN_E_CONNECTION_LOST. Never raises SIGPIPE. */
    int (*write)(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n);
    /* Whether read() would give bytes that the filter holds already: the socket's readiness does not tell of those. */
    bool (*pending)(const tern__stream *stream);
    /* Says which readiness the user waits for; a filter may need another one below. */
    int (*watch)(tern__stream *stream, bool read, bool write);
    /* Sets whose `ready` is called when the stream may go on. */
    void (*set_source)(tern__stream *stream, tern__source *source);
    /* Nothing more will be written: what is under way still goes out, and then the peer sees the end. Reading goes on, up to
     * the peer's end: closing with unread bytes would make TCP throw away what is under way. 0 or TERN_E_CONNECTION_LOST. */
    int (*finish)(tern__stream *stream);
    /* Why the open stream ended, once read() or write() said that it did: fills *failure (zeroed before) and answers true;
     * false where the filter knows no more than that error. */
    bool (*explain)(const tern__stream *stream, tern__stream_failure *failure);
    /* Closes and frees the filter and all below it. */
    void (*close)(tern__stream *stream);
} tern__stream_ops;

struct tern__stream {
    const tern__stream_ops *ops;
    tern__stream *next; /* the filter below; NULL at the socket */
    int os_error;       /* errno of the last failure here, 0 where there was none */
};

/* Opens the top filter (not those below it); as its `open` says, 0 where there is nothing to do. */
int tern__stream_open(tern__stream *stream, tern__stream_failure *failure);
/* Whether any filter of the chain holds bytes to read. */
bool tern__stream_pending(const tern__stream *stream);
int tern__stream_read(tern__stream *stream, void *data, size_t len, size_t *n);
int tern__stream_write(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n);
int tern__stream_watch(tern__stream *stream, bool read, bool write);
void tern__stream_set_source(tern__stream *stream, tern__source *source);
int tern__stream_finish(tern__stream *stream);
void tern__stream_close(tern__stream *stream); /* NULL does nothing */
/* The first filter from the top that knows why the stream ended; false: none does, and *failure is zeroed. */
bool tern__stream_explain(const tern__stream *stream, tern__stream_failure *failure);
int tern__stream_os_error(const tern__stream *stream); /* the first one in the chain, from the top */

#endif
