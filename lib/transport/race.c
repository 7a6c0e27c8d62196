/* The race for a socket: the name is resolved, then its addresses compete (RFC 8305), and the first
 * to open becomes the stream.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/race.h"

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
    tern__race *race;
    int fd; /* -1 before its start and after its failure */
    tern__address address;
} racer;

struct tern__race {
    enum tern__scheme scheme;
    const tern__socket_options *socket;
    tern__poller *poller;
    tern__race_callback callback;
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

static void free_race(tern__race *race)
{
    tern__lookup_cancel(race->lookup);
    for (size_t i = 0; i < race->started; i++) {
        if (race->racers[i].fd < 0) continue;
        tern__poller_remove(race->poller, race->racers[i].fd);
        tern__socket_close(race->racers[i].fd);
    }
    tern__free(race->racers);
    tern__free(race);
}

static void finish(tern__race *race, tern__stream *stream, const char *peer,
                   const tern__stream_failure *failure)
{
    tern__race_callback callback = race->callback;
    void *user_data = race->user_data;
    free_race(race);
    callback(user_data, stream, peer, failure);
}

/* What to do about it. */
static const char *hint_of(int os_error)
{
    switch (os_error) {
    case ECONNREFUSED: return "nothing listens there: check the port, and whether the server runs";
    case ETIMEDOUT: return "no answer: check the address, and whether a firewall is between";
    case EHOSTUNREACH:
    case ENETUNREACH: return "no way leads there: check the network, and the address";
    case ENOENT: return "no such socket file: check the path, and whether the server runs";
    case EACCES:
    case EPERM: return "the system forbids it: check the socket file's permissions, or firewall rules";
    case EMFILE:
    case ENFILE: return "raise the limit of open files (ulimit -n)";
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENODEV: return "check the address or interface that the connection is bound to";
    default: return "";
    }
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

static void fail_without_address(tern__race *race, int error, tern_step step, const char *why)
{
    tern__stream_failure failure = {.error = error, .step = step};
    snprintf(failure.text, sizeof failure.text, "%s", why);
    if (step == TERN_STEP_RESOLVE)
        snprintf(failure.hint, sizeof failure.hint,
                 "check the spelling of the host name, and the name server");
    finish(race, NULL, NULL, &failure);
}

/* All addresses failed: the last failure speaks for them. */
static void fail_race(tern__race *race)
{
    const int os_error = race->last_os_error;
    tern__stream_failure failure = {
        .error = error_of(os_error), .step = TERN_STEP_CONNECT, .os_error = os_error};
    char peer[112];
    char cause[88];
    char others[48] = "";
    tern__address_text(&race->racers[race->last_failed].address, peer, sizeof peer);
    tern__os_error_text(os_error, cause, sizeof cause);
    if (race->count > 1)
        snprintf(others, sizeof others, " (the last of %zu addresses)", race->count);
    snprintf(failure.text, sizeof failure.text, "%s: %s%s", peer, cause, others);
    snprintf(failure.hint, sizeof failure.hint, "%s", hint_of(os_error));
    finish(race, NULL, NULL, &failure);
}

/* ---- the race ---- */

static void win(tern__race *race, const tern__address *address, int fd)
{
    char peer[112];
    tern__stream *stream;
    tern__address_text(address, peer, sizeof peer);
    if (tern__socket_stream_new(&stream, race->scheme, fd, race->poller) != 0) {
        tern__socket_close(fd);
        fail_without_address(race, TERN_E_NOMEM, TERN_STEP_CONNECT, "out of memory");
        return;
    }
    finish(race, stream, peer, NULL);
}

static void note_failure(tern__race *race, const racer *failed, int os_error)
{
    race->last_failed = (size_t)(failed - race->racers);
    race->last_os_error = os_error;
}

/* Closes the racer's socket, or leaves it open for the winner. */
static int retire(tern__race *race, racer *self)
{
    int fd = self->fd;
    tern__poller_remove(race->poller, fd);
    self->fd = -1;
    race->running--;
    return fd;
}

/* Starts the next racer, and on where one fails at once. May end and free the race. */
static void start_next(tern__race *race, uint64_t now)
{
    while (race->started < race->count) {
        racer *next = &race->racers[race->started++];
        int os_error = tern__socket_connect(&next->address, race->socket, &next->fd);
        if (os_error == 0) {
            int fd = next->fd;
            next->fd = -1;
            win(race, &next->address, fd);
            return;
        }
        if (os_error == EINPROGRESS) {
            int rc = tern__poller_add(race->poller, next->fd, TERN__READY_WRITE, &next->source);
            if (rc == 0) {
                race->running++;
                race->next_at =
                    race->started < race->count ? now + STAGGER_US : UINT64_MAX;
                return;
            }
            tern__socket_close(next->fd);
            next->fd = -1;
            os_error = rc == TERN_E_NOMEM ? ENOMEM : ENOBUFS;
        }
        note_failure(race, next, os_error);
    }
    race->next_at = UINT64_MAX;
    if (race->running == 0) fail_race(race);
}

static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    racer *self = TERN__CONTAINER(source, racer, source);
    tern__race *race = self->race;
    (void)events; /* writable or failed: the socket knows which */
    int os_error = tern__socket_connect_result(self->fd);
    if (os_error == EINPROGRESS || os_error == EALREADY) return;
    int fd = retire(race, self);
    if (os_error == 0) {
        win(race, &self->address, fd);
        return;
    }
    tern__socket_close(fd);
    note_failure(race, self, os_error);
    start_next(race, now);
}

/* The first of each family in turn (RFC 8305 section 4), the system's order within a family. */
static void interleave(tern__race *race, const tern__address *addresses)
{
    size_t next[2] = {0, 0}; /* where to look for the next of the first family, and of another */
    const int first = addresses[0].storage.ss_family;
    for (size_t placed = 0; placed < race->count; placed++) {
        size_t turn = placed % 2;
        for (int tries = 0; tries < 2; tries++, turn = 1 - turn) {
            size_t *at = &next[turn];
            while (*at < race->count &&
                   (addresses[*at].storage.ss_family == first) != (turn == 0))
                ++*at;
            if (*at < race->count) break;
        }
        race->racers[placed].address = addresses[next[turn]++];
    }
}

/* 0 or TERN_E_NOMEM. */
static int set_racers(tern__race *race, const tern__address *addresses, size_t count)
{
    race->racers = tern__calloc(count, sizeof *race->racers);
    if (race->racers == NULL) return TERN_E_NOMEM;
    race->count = count;
    interleave(race, addresses);
    for (size_t i = 0; i < count; i++) {
        race->racers[i].source.ready = on_ready;
        race->racers[i].race = race;
        race->racers[i].fd = -1;
    }
    return 0;
}

/* ---- steps ---- */

static void on_resolved(void *user_data, const tern__address *addresses, size_t count,
                        const char *why)
{
    tern__race *race = user_data;
    race->lookup = NULL;
    if (count == 0) {
        fail_without_address(race, TERN_E_RESOLVE, TERN_STEP_RESOLVE, why);
    } else if (set_racers(race, addresses, count) != 0) {
        fail_without_address(race, TERN_E_NOMEM, TERN_STEP_CONNECT, "out of memory");
    } else {
        start_next(race, tern__clock_us());
    }
}

/* What a Unix socket's path gives; one that is too long fails in the tick, as every other failure.
 */
static int use_path(tern__race *race, const char *path)
{
    tern__address address;
    race->next_at = 0; /* at once, but not from within the start */
    if (tern__address_unix(path, &address) != 0) return 0;
    return set_racers(race, &address, 1);
}

int tern__race_start(tern__race **race, const tern__race_goal *goal, tern__poller *poller,
                     tern__resolver *resolver, tern__race_callback callback, void *user_data,
                     uint64_t now)
{
    const size_t size = strlen(goal->host) + sizeof "[]:65535";
    *race = NULL;
    tern__race *self = tern__calloc(1, sizeof *self + size);
    if (self == NULL) return TERN_E_NOMEM;
    self->scheme = goal->scheme;
    self->socket = goal->socket;
    self->poller = poller;
    self->callback = callback;
    self->user_data = user_data;
    self->next_at = now + STAGGER_US;
    int rc;
    if (goal->scheme == TERN__SCHEME_UNIX) {
        snprintf(self->host, size, "%s", goal->host);
        rc = use_path(self, goal->host);
    } else {
        bool ipv6 = strchr(goal->host, ':') != NULL;
        snprintf(self->host, size, "%s%s%s:%u", ipv6 ? "[" : "", goal->host, ipv6 ? "]" : "",
                 (unsigned)goal->port);
        rc = tern__lookup_start(&self->lookup, resolver, goal->host, goal->port, on_resolved, self);
    }
    if (rc != 0) {
        free_race(self);
        return rc;
    }
    *race = self;
    return 0;
}

uint64_t tern__race_deadline(const tern__race *race)
{
    return race->next_at;
}

void tern__race_tick(tern__race *race, uint64_t now)
{
    if (now < race->next_at) return;
    if (race->lookup != NULL) {
        race->next_at = now + STAGGER_US;
        return;
    }
    if (race->racers != NULL) {
        start_next(race, now);
        return;
    }
    tern__stream_failure failure = {
        .error = TERN_E_CONNECT, .step = TERN_STEP_CONNECT, .os_error = ENAMETOOLONG};
    snprintf(failure.text, sizeof failure.text, "%.200s: the path is too long for a socket",
             race->host);
    finish(race, NULL, NULL, &failure);
}

tern_step tern__race_step(const tern__race *race, char *peer, size_t size)
{
    if (race->started != 0) {
        tern__address_text(&race->racers[race->started - 1].address, peer, size);
    } else {
        snprintf(peer, size, "%s", race->host);
    }
    return race->lookup != NULL ? TERN_STEP_RESOLVE : TERN_STEP_CONNECT;
}

void tern__race_cancel(tern__race *race)
{
    if (race != NULL) free_race(race);
}
