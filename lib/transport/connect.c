/* One attempt to connect: the name is resolved, then its addresses race (RFC 8305), and the first
 * socket to open becomes the stream. SPDX-License-Identifier: Apache-2.0 */
#include "transport/connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/list.h"
#include "platform/clock.h"
#include "platform/os_error.h"
#include "platform/socket.h"
#include "transport/socket_stream.h"

/* RFC 8305 section 5. Also how often a tick is asked for while the name is being resolved: the
 * answer comes without the owner's knowledge, whose timer must not be set for later than the first
 * racer's turn ends. */
static const uint64_t STAGGER_US = 250u * 1000u;

/* An address and the socket that is connecting to it. */
typedef struct racer {
    tern__source source;
    tern__connect *attempt;
    int fd; /* -1 before its start and after its failure */
    tern__address address;
} racer;

struct tern__connect {
    enum tern__scheme scheme;
    tern__poller *poller;
    tern__connect_callback callback;
    void *user_data;
    tern__lookup *lookup; /* NULL unless the name is being resolved */
    racer *racers;        /* NULL until the addresses are known */
    size_t count;
    size_t started;   /* racers[0..started) were started, in this order */
    size_t running;   /* of them, how many have an open socket */
    uint64_t next_at; /* when a tick is wanted; never set to an earlier time once the owner may know
                         it */
    size_t last_failed; /* the racer that failed last */
    int last_os_error;  /* its errno, 0 while none failed */
    char host[];        /* "host:port" or the path, for texts */
};

/* ---- ends ---- */

static void free_attempt(tern__connect *attempt)
{
    tern__lookup_cancel(attempt->lookup);
    for (size_t i = 0; i < attempt->started; i++) {
        if (attempt->racers[i].fd < 0) continue;
        tern__poller_remove(attempt->poller, attempt->racers[i].fd);
        tern__socket_close(attempt->racers[i].fd);
    }
    tern__free(attempt->racers);
    tern__free(attempt);
}

static void finish(tern__connect *attempt, tern__stream *stream,
                   const tern__connect_failure *failure)
{
    tern__connect_callback callback = attempt->callback;
    void *user_data = attempt->user_data;
    free_attempt(attempt);
    callback(user_data, stream, failure);
}

static int error_of(int os_error)
{
    switch (os_error) {
    case ENOMEM:
        return TERN_E_NOMEM;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return TERN_E_SYSTEM;
    default:
        return TERN_E_CONNECT;
    }
}

static void fail_without_address(tern__connect *attempt, int error, tern_step step, const char *why)
{
    tern__connect_failure failure = {.error = error, .step = step};
    snprintf(failure.text, sizeof failure.text, "%s", why);
    finish(attempt, NULL, &failure);
}

/* All addresses failed: the last failure speaks for them. */
static void fail_race(tern__connect *attempt)
{
    const int os_error = attempt->last_os_error;
    tern__connect_failure failure = {error_of(os_error), TERN_STEP_CONNECT, os_error, ""};
    char peer[112];
    char cause[88];
    char others[48] = "";
    tern__address_text(&attempt->racers[attempt->last_failed].address, peer, sizeof peer);
    tern__os_error_text(os_error, cause, sizeof cause);
    if (attempt->count > 1)
        snprintf(others, sizeof others, " (the last of %zu addresses)", attempt->count);
    snprintf(failure.text, sizeof failure.text, "%s: %s%s", peer, cause, others);
    finish(attempt, NULL, &failure);
}

/* ---- the race ---- */

static void win(tern__connect *attempt, int fd)
{
    tern__stream *stream;
    if (tern__socket_stream_new(&stream, attempt->scheme, fd, attempt->poller) != 0) {
        tern__socket_close(fd);
        fail_without_address(attempt, TERN_E_NOMEM, TERN_STEP_CONNECT, "out of memory");
        return;
    }
    finish(attempt, stream, NULL);
}

static void note_failure(tern__connect *attempt, const racer *failed, int os_error)
{
    attempt->last_failed = (size_t)(failed - attempt->racers);
    attempt->last_os_error = os_error;
}

/* Closes the racer's socket, or leaves it open for the winner. */
static int retire(tern__connect *attempt, racer *self)
{
    int fd = self->fd;
    tern__poller_remove(attempt->poller, fd);
    self->fd = -1;
    attempt->running--;
    return fd;
}

/* Starts the next racer, and on where one fails at once. May end and free the attempt. */
static void start_next(tern__connect *attempt, uint64_t now)
{
    while (attempt->started < attempt->count) {
        racer *next = &attempt->racers[attempt->started++];
        int os_error = tern__socket_connect(&next->address, &next->fd);
        if (os_error == 0) {
            int fd = next->fd;
            next->fd = -1;
            win(attempt, fd);
            return;
        }
        if (os_error == EINPROGRESS) {
            int rc = tern__poller_add(attempt->poller, next->fd, TERN__READY_WRITE, &next->source);
            if (rc == 0) {
                attempt->running++;
                attempt->next_at =
                    attempt->started < attempt->count ? now + STAGGER_US : UINT64_MAX;
                return;
            }
            tern__socket_close(next->fd);
            next->fd = -1;
            os_error = rc == TERN_E_NOMEM ? ENOMEM : ENOBUFS;
        }
        note_failure(attempt, next, os_error);
    }
    attempt->next_at = UINT64_MAX;
    if (attempt->running == 0) fail_race(attempt);
}

static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    racer *self = TERN__CONTAINER(source, racer, source);
    tern__connect *attempt = self->attempt;
    (void)events; /* writable or failed: the socket knows which */
    int os_error = tern__socket_connect_result(self->fd);
    if (os_error == EINPROGRESS || os_error == EALREADY) return;
    int fd = retire(attempt, self);
    if (os_error == 0) {
        win(attempt, fd);
        return;
    }
    tern__socket_close(fd);
    note_failure(attempt, self, os_error);
    start_next(attempt, now);
}

/* The first of each family in turn (RFC 8305 section 4), the system's order within a family. */
static void interleave(tern__connect *attempt, const tern__address *addresses)
{
    size_t next[2] = {0, 0}; /* where to look for the next of the first family, and of another */
    const int first = addresses[0].storage.ss_family;
    for (size_t placed = 0; placed < attempt->count; placed++) {
        size_t turn = placed % 2;
        for (int tries = 0; tries < 2; tries++, turn = 1 - turn) {
            size_t *at = &next[turn];
            while (*at < attempt->count &&
                   (addresses[*at].storage.ss_family == first) != (turn == 0))
                ++*at;
            if (*at < attempt->count) break;
        }
        attempt->racers[placed].address = addresses[next[turn]++];
    }
}

/* 0 or TERN_E_NOMEM. */
static int set_racers(tern__connect *attempt, const tern__address *addresses, size_t count)
{
    attempt->racers = tern__calloc(count, sizeof *attempt->racers);
    if (attempt->racers == NULL) return TERN_E_NOMEM;
    attempt->count = count;
    interleave(attempt, addresses);
    for (size_t i = 0; i < count; i++) {
        attempt->racers[i].source.ready = on_ready;
        attempt->racers[i].attempt = attempt;
        attempt->racers[i].fd = -1;
    }
    return 0;
}

/* ---- steps ---- */

static void on_resolved(void *user_data, const tern__address *addresses, size_t count,
                        const char *why)
{
    tern__connect *attempt = user_data;
    attempt->lookup = NULL;
    if (count == 0) {
        fail_without_address(attempt, TERN_E_RESOLVE, TERN_STEP_RESOLVE, why);
    } else if (set_racers(attempt, addresses, count) != 0) {
        fail_without_address(attempt, TERN_E_NOMEM, TERN_STEP_CONNECT, "out of memory");
    } else {
        start_next(attempt, tern__clock_us());
    }
}

/* What a Unix socket's path gives; one that is too long fails in the tick, as every other failure.
 */
static int use_path(tern__connect *attempt, const char *path)
{
    tern__address address;
    attempt->next_at = 0; /* at once, but not from within the start */
    if (tern__address_unix(path, &address) != 0) return 0;
    return set_racers(attempt, &address, 1);
}

int tern__connect_start(tern__connect **attempt, const tern__uri *uri, tern__poller *poller,
                        tern__resolver *resolver, tern__connect_callback callback, void *user_data,
                        uint64_t now)
{
    const size_t size = strlen(uri->host) + sizeof "[]:65535";
    *attempt = NULL;
    tern__connect *self = tern__calloc(1, sizeof *self + size);
    if (self == NULL) return TERN_E_NOMEM;
    self->scheme = uri->scheme;
    self->poller = poller;
    self->callback = callback;
    self->user_data = user_data;
    self->next_at = now + STAGGER_US;
    int rc;
    if (uri->scheme == TERN__SCHEME_UNIX) {
        snprintf(self->host, size, "%s", uri->host);
        rc = use_path(self, uri->host);
    } else {
        bool ipv6 = strchr(uri->host, ':') != NULL;
        snprintf(self->host, size, "%s%s%s:%u", ipv6 ? "[" : "", uri->host, ipv6 ? "]" : "",
                 (unsigned)uri->port);
        rc = tern__lookup_start(&self->lookup, resolver, uri->host, uri->port, on_resolved, self);
    }
    if (rc != 0) {
        free_attempt(self);
        return rc;
    }
    *attempt = self;
    return 0;
}

uint64_t tern__connect_deadline(const tern__connect *attempt)
{
    return attempt->next_at;
}

void tern__connect_tick(tern__connect *attempt, uint64_t now)
{
    if (now < attempt->next_at) return;
    if (attempt->lookup != NULL) {
        attempt->next_at = now + STAGGER_US;
        return;
    }
    if (attempt->racers != NULL) {
        start_next(attempt, now);
        return;
    }
    tern__connect_failure failure = {TERN_E_CONNECT, TERN_STEP_CONNECT, ENAMETOOLONG, ""};
    snprintf(failure.text, sizeof failure.text, "%.200s: the path is too long for a socket",
             attempt->host);
    finish(attempt, NULL, &failure);
}

tern_step tern__connect_step(const tern__connect *attempt, char *peer, size_t size)
{
    if (attempt->started != 0) {
        tern__address_text(&attempt->racers[attempt->started - 1].address, peer, size);
    } else {
        snprintf(peer, size, "%s", attempt->host);
    }
    return attempt->lookup != NULL ? TERN_STEP_RESOLVE : TERN_STEP_CONNECT;
}

void tern__connect_cancel(tern__connect *attempt)
{
    if (attempt != NULL) free_attempt(attempt);
}
