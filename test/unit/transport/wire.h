/* A stream over one end of a socket pair, with faults in between, and a scripted peer at the other
 * end: what tests of filters stand on. Include it after cmocka.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_UNIT_TRANSPORT_WIRE_H
#define TERN_TEST_UNIT_TRANSPORT_WIRE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tern/error.h>
#include <unistd.h>

#include "base/list.h"
#include "platform/clock.h"
#include "platform/poller.h"
#include "support/fault.h"
#include "support/net.h"
#include "transport/socket_stream.h"
#include "transport/stream.h"

typedef struct wire wire;
struct wire {
    tern__poller *poller;
    tern__stream *stream; /* the top of the chain */
    int peer;             /* never blocks; -1 once it hung up */
    tern__source source;  /* the stream's user, who counts */
    unsigned ready;       /* calls since it was zeroed */
    unsigned events;      /* of the last one */
    bool closes;          /* the user closes the stream when it is called */
    uint8_t *heard;       /* what came to the peer */
    size_t heard_len;
    size_t heard_cap;
    bool heard_end;
    uint8_t *words; /* what the peer still has to say */
    size_t words_len;
    /* How the peer reads and writes, as recv() and send() do it; NULL: with those. */
    ssize_t (*take)(wire *w, void *data, size_t size);
    ssize_t (*give)(wire *w, const void *data, size_t len);
    void *peer_tls;          /* theirs */
    bool deaf;               /* the peer does not read */
    void (*answer)(wire *w); /* what the peer does when it heard more; NULL nothing */
    const void *script;      /* the answer's */
    unsigned step;           /* the answer's */
    uint64_t deadline;       /* of the test's waits */
};

static inline void wire_on_ready(tern__source *source, unsigned events, uint64_t now)
{
    wire *w = TERN__CONTAINER(source, wire, source);
    (void)now;
    w->ready++;
    w->events = events;
    if (!w->closes) return;
    tern__stream_close(w->stream);
    w->stream = NULL;
}

/* plan may be NULL: no faults. */
static inline void wire_set_up(wire *w, const fault_plan *plan)
{
    int ends[2];
    memset(w, 0, sizeof *w);
    w->source.ready = wire_on_ready;
    assert_int_equal(tern__poller_new(&w->poller, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    w->peer = ends[1];
    assert_int_equal(tern__socket_stream_new(&w->stream, TERN__SCHEME_UNIX, ends[0], w->poller), 0);
    if (plan != NULL) {
        w->stream = fault_stream_new(w->stream, plan);
        assert_non_null(w->stream);
    }
    w->deadline = tern__clock_us() + (uint64_t)NET_PATIENCE_MS * 1000;
}

/* After the test's filter was put on top. */
static inline void wire_set_source(wire *w)
{
    tern__stream_set_source(w->stream, &w->source);
}

static inline void wire_hang_up(wire *w)
{
    if (w->peer >= 0) close(w->peer);
    w->peer = -1;
}

static inline void wire_tear_down(wire *w)
{
    tern__stream_close(w->stream);
    wire_hang_up(w);
    tern__poller_free(w->poller);
    free(w->heard);
    free(w->words);
}

/* The peer says this, as fast as there is room. */
static inline void wire_say(wire *w, const void *data, size_t len)
{
    w->words = realloc(w->words, w->words_len + len + 1);
    assert_non_null(w->words);
    memcpy(w->words + w->words_len, data, len);
    w->words_len += len;
}

static inline void wire_say_text(wire *w, const char *text)
{
    wire_say(w, text, strlen(text));
}

static inline void wire_speak(wire *w)
{
    if (w->words_len == 0 || w->peer < 0) return;
    ssize_t n = w->give != NULL ? w->give(w, w->words, w->words_len) : send(w->peer, w->words, w->words_len, MSG_NOSIGNAL);
    if (n <= 0) return;
    w->words_len -= (size_t)n;
    memmove(w->words, w->words + n, w->words_len);
}

static inline void wire_listen(wire *w)
{
    uint8_t data[65536];
    ssize_t n;
    if (w->peer < 0 || w->deaf) return;
    while ((n = w->take != NULL ? w->take(w, data, sizeof data) : recv(w->peer, data, sizeof data, 0)) > 0) {
        if (w->heard_len + (size_t)n + 1 > w->heard_cap) {
            w->heard_cap = 2 * (w->heard_len + (size_t)n + 1);
            w->heard = realloc(w->heard, w->heard_cap);
            assert_non_null(w->heard);
        }
        memcpy(w->heard + w->heard_len, data, (size_t)n);
        w->heard_len += (size_t)n;
        w->heard[w->heard_len] = '\0';
        if (w->answer != NULL) w->answer(w);
    }
    if (n == 0) w->heard_end = true;
}

/* One round: the peer hears and speaks, the poller looks. Fails the test after its time. */
static inline void wire_turn(wire *w)
{
    unsigned woken;
    wire_listen(w);
    wire_speak(w);
    assert_int_equal(tern__poller_wait(w->poller, 0, &woken), 0);
    assert_true(tern__clock_us() < w->deadline);
}

/* Opens the top filter: 0, or its failure. */
static inline int wire_open(wire *w, tern__stream_failure *failure)
{
    int rc;
    memset(failure, 0, sizeof *failure);
    while ((rc = tern__stream_open(w->stream, failure)) == TERN_E_AGAIN) {
        /* It is to be called again when the stream is ready, and not before. */
        for (w->ready = 0; w->ready == 0;)
            wire_turn(w);
    }
    return rc;
}

/* Reads until `len` bytes came or the stream ended; *rc is what the last read answered. */
static inline size_t wire_read(wire *w, void *data, size_t len, int *rc)
{
    size_t got = 0;
    *rc = 0;
    while (got < len) {
        size_t n = 0;
        *rc = tern__stream_read(w->stream, (uint8_t *)data + got, len - got, &n);
        got += n;
        if (*rc != 0 && *rc != TERN_E_AGAIN) break;
        if (*rc == 0) continue;
        assert_int_equal(tern__stream_watch(w->stream, true, false), 0);
        wire_turn(w);
    }
    return got;
}

/* Writes all of it, in pieces of up to `piece` bytes. */
static inline int wire_write(wire *w, const void *data, size_t len, size_t piece)
{
    size_t done = 0;
    while (done < len) {
        size_t n = 0;
        size_t first = len - done < piece ? len - done : piece;
        size_t second = len - done - first < piece ? len - done - first : piece;
        uint8_t *at = (uint8_t *)(uintptr_t)data + done;
        tern__iov pieces[2] = {{at, first}, {at + first, second}};
        int rc = tern__stream_write(w->stream, pieces, 2, &n);
        if (rc != 0 && rc != TERN_E_AGAIN) return rc;
        assert_true(rc == 0 ? n > 0 : n == 0);
        done += n;
        if (rc == 0) continue;
        assert_int_equal(tern__stream_watch(w->stream, true, true), 0);
        wire_turn(w);
    }
    return 0;
}

/* Turns until the peer heard so many bytes. */
static inline void wire_hear(wire *w, size_t len)
{
    while (w->heard_len < len)
        wire_turn(w);
}

static inline void check_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

#endif
