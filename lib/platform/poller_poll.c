/* The poller by poll(), for any POSIX system.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <tern/error.h>
#include <time.h>

#include "base/alloc.h"
#include "platform/clock.h"
#include "platform/poller_ops.h"

/* A descriptor's row; source is NULL where it is not watched. */
typedef struct watched {
    tern__source *source;
    size_t slot; /* its place in fds */
} watched;

typedef struct poll_poller {
    tern__poller base;
    struct pollfd *fds; /* what is watched, without gaps */
    size_t count;
    size_t cap;
    watched *rows; /* indexed by descriptor */
    size_t row_count;
} poll_poller;

static short to_poll(unsigned interest)
{
    return (short)(((interest & TERN__READY_READ) != 0 ? POLLIN : 0) |
                   ((interest & TERN__READY_WRITE) != 0 ? POLLOUT : 0));
}

static unsigned from_poll(short events)
{
    return ((events & POLLIN) != 0 ? (unsigned)TERN__READY_READ : 0u) |
           ((events & POLLOUT) != 0 ? (unsigned)TERN__READY_WRITE : 0u) |
           ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? (unsigned)TERN__READY_ERROR : 0u);
}

static watched *row_of(const poll_poller *self, int fd)
{
    return fd >= 0 && (size_t)fd < self->row_count ? &self->rows[fd] : NULL;
}

static int add(tern__poller *poller, int fd, unsigned interest, tern__source *source)
{
    poll_poller *self = (poll_poller *)poller;
    const watched *known = row_of(self, fd);
    if (fd < 0 || (known != NULL && known->source != NULL)) return TERN_E_SYSTEM;
    if (self->count == self->cap) {
        size_t cap = self->cap != 0 ? self->cap * 2 : 16;
        struct pollfd *fds = tern__realloc(self->fds, cap * sizeof *fds);
        if (fds == NULL) return TERN_E_NOMEM;
        self->fds = fds;
        self->cap = cap;
    }
    void *rows = self->rows;
    int rc = tern__poller_grow(&rows, &self->row_count, sizeof(watched), fd);
    self->rows = rows;
    if (rc != 0) return rc;
    self->rows[fd] = (watched){source, self->count};
    self->fds[self->count++] = (struct pollfd){fd, to_poll(interest), 0};
    return 0;
}

static int modify(tern__poller *poller, int fd, unsigned interest, tern__source *source)
{
    poll_poller *self = (poll_poller *)poller;
    watched *row = row_of(self, fd);
    if (row == NULL || row->source == NULL) return TERN_E_SYSTEM;
    row->source = source;
    self->fds[row->slot].events = to_poll(interest);
    return 0;
}

static void remove_fd(tern__poller *poller, int fd)
{
    poll_poller *self = (poll_poller *)poller;
    watched *row = row_of(self, fd);
    if (row == NULL || row->source == NULL) return;
    row->source = NULL;
    const struct pollfd *last = &self->fds[--self->count];
    if (row->slot == self->count) return;
    self->fds[row->slot] = *last;
    self->rows[last->fd].slot = row->slot;
}

/* The number of ready descriptors, or -1 with errno. */
static int collect(poll_poller *self, int64_t timeout_us)
{
#ifdef __APPLE__
    int64_t ms = timeout_us / 1000 + (timeout_us % 1000 != 0);
    return poll(self->fds, (nfds_t)self->count,
                timeout_us < 0 ? -1
                : ms > INT_MAX ? INT_MAX
                               : (int)ms);
#else
    struct timespec wait = {(time_t)(timeout_us / 1000000), (long)(timeout_us % 1000000) * 1000};
    return ppoll(self->fds, (nfds_t)self->count, timeout_us < 0 ? NULL : &wait, NULL);
#endif
}

static int wait_events(tern__poller *poller, int64_t timeout_us, unsigned *woken)
{
    poll_poller *self = (poll_poller *)poller;
    *woken = 0;
    int n = collect(self, timeout_us);
    if (n < 0) return errno == EINTR ? 0 : TERN_E_SYSTEM;
    uint64_t now = n > 0 ? tern__clock_us() : 0;
    /* From the end: removing moves the last one, which had its turn and has no events left, into
     * the gap. */
    for (size_t i = self->count; i-- > 0;) {
        if (i >= self->count || self->fds[i].revents == 0) continue;
        short events = self->fds[i].revents;
        self->fds[i].revents = 0;
        tern__source *source = self->rows[self->fds[i].fd].source;
        ++*woken;
        source->ready(source, from_poll(events), now);
    }
    return 0;
}

static void free_poller(tern__poller *poller)
{
    poll_poller *self = (poll_poller *)poller;
    tern__free(self->fds);
    tern__free(self->rows);
    tern__free(self);
}

int tern__poller_poll_new(tern__poller **poller)
{
    static const tern__poller_ops ops = {free_poller, add, modify, remove_fd, wait_events};
    poll_poller *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->base.ops = &ops;
    *poller = &self->base;
    return 0;
}
