/* The fault filter.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <tern/error.h>

#include "base/list.h"

enum { PIECES = 64 };

typedef struct fault_stream {
    tern__stream base;
    fault_plan plan;
    uint32_t random;
    uint64_t read;
    uint64_t written;
    bool withheld; /* a read answered "again" though there may be bytes, in the filter below maybe, of which no poller knows */
    tern__source source; /* what the filter below tells */
    tern__source *user;
} fault_stream;

static uint32_t draw(fault_stream *self, uint32_t below)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 17;
    self->random ^= self->random << 5;
    return self->random % below;
}

static bool is_broken(const fault_stream *self)
{
    return self->read >= self->plan.reset_after_read ||
           self->written >= self->plan.reset_after_written;
}

static bool is_silent(const fault_stream *self)
{
    return self->read >= self->plan.silent_after_read;
}

static int reset(fault_stream *self)
{
    self->base.os_error = ECONNRESET;
    return TERN_E_CONNECTION_LOST;
}

/* How many of len bytes pass in one call. */
static size_t portion(fault_stream *self, size_t len, size_t most, uint64_t left)
{
    if (most != 0 && len != 0) {
        size_t drawn = 1 + draw(self, (uint32_t)most);
        if (len > drawn) len = drawn;
    }
    return len > left ? (size_t)left : len;
}

static int fault_read(tern__stream *stream, void *data, size_t len, size_t *n)
{
    fault_stream *self = (fault_stream *)stream;
    *n = 0;
    if (is_broken(self)) return reset(self);
    if (is_silent(self)) return TERN_E_AGAIN;
    self->withheld = draw(self, 100) < self->plan.read_again_percent;
    if (self->withheld) return TERN_E_AGAIN;
    uint64_t left = self->plan.reset_after_read - self->read;
    if (self->plan.silent_after_read - self->read < left)
        left = self->plan.silent_after_read - self->read;
    int rc =
        tern__stream_read(stream->next, data, portion(self, len, self->plan.read_max, left), n);
    if (rc == 0) self->read += *n;
    return rc;
}

static size_t total(const tern__iov *iov, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += iov[i].len;
    return sum;
}

/* The pieces that make up the first `len` bytes; returns their number. */
static size_t cut(const tern__iov *iov, size_t count, size_t len, tern__iov *pieces)
{
    size_t used = 0;
    for (; used < count && used < PIECES && len != 0; used++) {
        pieces[used] = iov[used];
        if (pieces[used].len > len) pieces[used].len = len;
        len -= pieces[used].len;
    }
    return used;
}

static int fault_write(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    fault_stream *self = (fault_stream *)stream;
    tern__iov pieces[PIECES];
    *n = 0;
    if (is_broken(self)) return reset(self);
    if (draw(self, 100) < self->plan.write_again_percent) return TERN_E_AGAIN;
    uint64_t left = self->plan.reset_after_written - self->written;
    size_t len = portion(self, total(iov, count), self->plan.write_max, left);
    int rc = tern__stream_write(stream->next, pieces, cut(iov, count, len, pieces), n);
    if (rc == 0) self->written += *n;
    return rc;
}

static int fault_watch(tern__stream *stream, bool read, bool write)
{
    const fault_stream *self = (const fault_stream *)stream;
    /* A socket has room nearly always: that makes a break heard, and what was withheld read. */
    if (is_broken(self)) return tern__stream_watch(stream->next, true, true);
    return tern__stream_watch(stream->next, read && !is_silent(self), write || (read && self->withheld));
}

static void fault_set_source(tern__stream *stream, tern__source *source)
{
    fault_stream *self = (fault_stream *)stream;
    self->user = source;
    tern__stream_set_source(stream->next, &self->source);
}

static int fault_finish(tern__stream *stream)
{
    if (is_broken((const fault_stream *)stream)) return TERN_E_CONNECTION_LOST;
    return tern__stream_finish(stream->next);
}

static void fault_close(tern__stream *stream)
{
    tern__stream_close(stream->next);
    free(stream);
}

static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    fault_stream *self = TERN__CONTAINER(source, fault_stream, source);
    if (self->withheld) events |= TERN__READY_READ;
    self->withheld = false;
    if (is_broken(self)) events = TERN__READY_READ | TERN__READY_WRITE | TERN__READY_ERROR;
    self->user->ready(self->user, events, now);
}

tern__stream *fault_stream_new(tern__stream *below, const fault_plan *plan)
{
    static const tern__stream_ops ops = {
        .name = "fault", .read = fault_read, .write = fault_write, .watch = fault_watch,
        .set_source = fault_set_source, .finish = fault_finish, .close = fault_close};
    fault_stream *self = calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    self->base.ops = &ops;
    self->base.next = below;
    self->plan = *plan;
    self->random = plan->seed != 0 ? plan->seed : 1;
    self->source.ready = on_ready;
    return &self->base;
}

uint64_t fault_stream_bytes_read(const tern__stream *stream)
{
    return ((const fault_stream *)stream)->read;
}

uint64_t fault_stream_bytes_written(const tern__stream *stream)
{
    return ((const fault_stream *)stream)->written;
}
