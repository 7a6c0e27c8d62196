/* The poller by epoll. Interest is remembered per descriptor, so that saying the same again costs
 * no system call. SPDX-License-Identifier: Apache-2.0 */
#include <tern/error.h>

#include "platform/poller_ops.h"

#ifdef __linux__

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "platform/clock.h"

enum { EVENTS = 128 };

/* A descriptor's row; source is NULL where it is not watched. */
typedef struct watched {
    tern__source *source;
    uint32_t generation; /* counts the adds, so that an event of an earlier owner of the number is
                            told apart */
    uint32_t interest;
} watched;

typedef struct epoll_poller {
    tern__poller base;
    int fd;
    bool no_pwait2; /* the kernel or a sandbox refused epoll_pwait2 */
    watched *rows;  /* indexed by descriptor */
    size_t row_count;
} epoll_poller;

static uint32_t to_epoll(unsigned interest)
{
    return ((interest & TERN__READY_READ) != 0 ? (uint32_t)EPOLLIN : 0u) |
           ((interest & TERN__READY_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0u);
}

static unsigned from_epoll(uint32_t events)
{
    return ((events & EPOLLIN) != 0 ? (unsigned)TERN__READY_READ : 0u) |
           ((events & EPOLLOUT) != 0 ? (unsigned)TERN__READY_WRITE : 0u) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? (unsigned)TERN__READY_ERROR : 0u);
}

static watched *row_of(const epoll_poller *self, int fd)
{
    return fd >= 0 && (size_t)fd < self->row_count ? &self->rows[fd] : NULL;
}

static int control(const epoll_poller *self, int operation, int fd, const watched *row)
{
    struct epoll_event event = {
        .events = to_epoll(row->interest),
        .data.u64 = (uint64_t)row->generation << 32 | (uint32_t)fd,
    };
    if (epoll_ctl(self->fd, operation, fd, &event) == 0) return 0;
    return errno == ENOMEM ? TERN_E_NOMEM : TERN_E_SYSTEM;
}

static int add(tern__poller *poller, int fd, unsigned interest, tern__source *source)
{
    epoll_poller *self = (epoll_poller *)poller;
    const watched *known = row_of(self, fd);
    if (fd < 0 || (known != NULL && known->source != NULL)) return TERN_E_SYSTEM;
    void *rows = self->rows;
    int rc = tern__poller_grow(&rows, &self->row_count, sizeof(watched), fd);
    self->rows = rows;
    if (rc != 0) return rc;
    watched *row = row_of(self, fd);
    row->generation++;
    row->interest = interest;
    rc = control(self, EPOLL_CTL_ADD, fd, row);
    row->source = rc == 0 ? source : NULL;
    return rc;
}

static int modify(tern__poller *poller, int fd, unsigned interest, tern__source *source)
{
    epoll_poller *self = (epoll_poller *)poller;
    watched *row = row_of(self, fd);
    if (row == NULL || row->source == NULL) return TERN_E_SYSTEM;
    row->source = source;
    if (row->interest == interest) return 0;
    uint32_t before = row->interest;
    row->interest = interest;
    int rc = control(self, EPOLL_CTL_MOD, fd, row);
    if (rc != 0) row->interest = before;
    return rc;
}

static void remove_fd(tern__poller *poller, int fd)
{
    epoll_poller *self = (epoll_poller *)poller;
    watched *row = row_of(self, fd);
    if (row == NULL || row->source == NULL) return;
    row->source = NULL;
    (void)control(self, EPOLL_CTL_DEL, fd, row);
}

static int round_up_to_ms(int64_t timeout_us)
{
    int64_t ms = timeout_us / 1000 + (timeout_us % 1000 != 0);
    return timeout_us < 0 ? -1 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Up to EVENTS events, or -1 with errno. */
static int collect(epoll_poller *self, struct epoll_event *events, int64_t timeout_us)
{
#ifdef SYS_epoll_pwait2
    if (timeout_us > 0 && !self->no_pwait2) {
        /* The kernel's own layout: 64-bit on 32-bit machines too. */
        struct {
            int64_t seconds;
            int64_t nanoseconds;
        } wait = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
        long n = syscall(SYS_epoll_pwait2, self->fd, events, EVENTS, &wait, NULL, (size_t)0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)n;
        self->no_pwait2 = true;
    }
#endif
    return epoll_wait(self->fd, events, EVENTS, round_up_to_ms(timeout_us));
}

static int wait_events(tern__poller *poller, int64_t timeout_us, unsigned *woken)
{
    epoll_poller *self = (epoll_poller *)poller;
    struct epoll_event events[EVENTS];
    *woken = 0;
    int n = collect(self, events, timeout_us);
    if (n < 0) return errno == EINTR ? 0 : TERN_E_SYSTEM;
    uint64_t now = n > 0 ? tern__clock_us() : 0;
    for (int i = 0; i < n; i++) {
        const watched *row = row_of(self, (int)(uint32_t)events[i].data.u64);
        if (row == NULL || row->source == NULL || row->generation != events[i].data.u64 >> 32)
            continue;
        ++*woken;
        row->source->ready(row->source, from_epoll(events[i].events), now);
    }
    return 0;
}

static void free_poller(tern__poller *poller)
{
    epoll_poller *self = (epoll_poller *)poller;
    close(self->fd);
    tern__free(self->rows);
    tern__free(self);
}

int tern__poller_epoll_new(tern__poller **poller)
{
    static const tern__poller_ops ops = {free_poller, add, modify, remove_fd, wait_events};
    epoll_poller *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->base.ops = &ops;
    self->fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->fd < 0) {
        int rc = errno == ENOSYS ? TERN_E_UNSUPPORTED : TERN_E_SYSTEM;
        tern__free(self);
        return rc;
    }
    *poller = &self->base;
    return 0;
}

#else

int tern__poller_epoll_new(tern__poller **poller)
{
    *poller = NULL;
    return TERN_E_UNSUPPORTED;
}

#endif
