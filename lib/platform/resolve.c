/* Name resolution on helper threads. A query is one host name being looked up; all lookups of that
 * name hang on it, so that a thousand clients of one dead name occupy one thread. Queries and
 * threads belong to a crew, which outlives the resolver while getaddrinfo() is stuck.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/resolve.h"

#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/list.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "platform/wake.h"

enum { WORKERS = 16, MAX_ADDRESSES = 32 };
static const uint64_t IDLE_US =
    10u * 1000u * 1000u; /* a thread without work ends after this time */

enum query_state {
    QUERY_QUEUED,  /* in crew->queued; next: RUNNING */
    QUERY_RUNNING, /* a thread has it, in no list; next: DONE */
    QUERY_DONE     /* in crew->done until it is told */
};

typedef struct query {
    tern__list link;    /* in crew->queued or crew->done */
    tern__list open;    /* loop's thread: in resolver->open, for others who ask for the same name */
    tern__list lookups; /* loop's thread: who wants the answer */
    enum query_state state;
    tern__address *addresses; /* set by the thread before DONE */
    size_t count;
    char why[320];
    char host[]; /* constant */
} query;

enum worker_state {
    WORKER_NONE, /* no thread; next: BUSY */
    WORKER_BUSY, /* looks something up, or is about to look for work; next: IDLE, NONE */
    WORKER_IDLE  /* waits on crew->work; next: BUSY, NONE */
};

typedef struct crew crew;
typedef struct worker {
    crew *crew;
    tern__thread thread;
    enum worker_state state;
} worker;

/* All under the lock, but for what is constant. */
struct crew {
    tern__mutex lock;
    tern__cond work; /* something is queued, or closed */
    unsigned refs;   /* the resolver and each thread */
    bool closed;     /* the resolver is gone, and `wake` with it */
    tern__wake wake; /* constant until closed */
    tern__list queued;
    tern__list done;
    unsigned queued_count;
    worker workers[WORKERS];
};

struct tern__resolver {
    tern__poller *poller;
    tern__source source;
    crew *crew;
    tern__list open; /* queries whose answer was not told yet */
};

struct tern__lookup {
    tern__list link; /* in query->lookups */
    query *query;
    uint16_t port;
    tern__lookup_callback callback;
    void *user_data;
};

/* ---- the crew ---- */

static crew *crew_new(void)
{
    crew *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    if (tern__mutex_init(&made->lock) != 0) {
        tern__free(made);
        return NULL;
    }
    if (tern__cond_init(&made->work) != 0) {
        tern__mutex_deinit(&made->lock);
        tern__free(made);
        return NULL;
    }
    made->refs = 1;
    made->wake = (tern__wake){-1, -1};
    tern__list_init(&made->queued);
    tern__list_init(&made->done);
    for (int i = 0; i < WORKERS; i++)
        made->workers[i].crew = made;
    return made;
}

static void crew_unref(crew *self)
{
    tern__mutex_lock(&self->lock);
    bool last = --self->refs == 0;
    tern__mutex_unlock(&self->lock);
    if (!last) return;
    tern__cond_deinit(&self->work);
    tern__mutex_deinit(&self->lock);
    tern__free(self);
}

static void query_free(query *self)
{
    tern__free(self->addresses);
    tern__free(self);
}

/* ---- looking up ---- */

static size_t count_addresses(const struct addrinfo *found)
{
    size_t count = 0;
    for (; found != NULL && count < MAX_ADDRESSES; found = found->ai_next)
        count++;
    return count;
}

/* Takes over what was found; an answer without a usable address leaves count 0. */
static void keep_addresses(query *self, const struct addrinfo *found)
{
    self->addresses = tern__calloc(count_addresses(found), sizeof *self->addresses);
    if (self->addresses == NULL) {
        snprintf(self->why, sizeof self->why, "%s: out of memory", self->host);
        return;
    }
    for (; found != NULL && self->count < MAX_ADDRESSES; found = found->ai_next) {
        if (found->ai_addrlen > sizeof self->addresses->storage) continue;
        if (found->ai_family != AF_INET && found->ai_family != AF_INET6) continue;
        tern__address *address = &self->addresses[self->count++];
        memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
        address->len = found->ai_addrlen;
    }
    if (self->count == 0)
        snprintf(self->why, sizeof self->why, "%s: the name has no IP address", self->host);
}

/* Asks the system; blocks unless flags has AI_NUMERICHOST. Returns getaddrinfo's code. */
static int ask(query *self, int flags)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(self->host, NULL, &hints, &found);
    if (code == 0) {
        keep_addresses(self, found);
        freeaddrinfo(found);
    } else {
        snprintf(self->why, sizeof self->why, "%.253s: %s", self->host, gai_strerror(code));
    }
    return code;
}

/* The next query for a thread, NULL where the thread shall end. */
static query *take_work_locked(crew *self, worker *me)
{
    uint64_t deadline = tern__clock_us() + IDLE_US;
    bool in_time = true;
    while (!self->closed && tern__list_empty(&self->queued) && in_time) {
        me->state = WORKER_IDLE;
        in_time = tern__cond_wait_until(&self->work, &self->lock, deadline);
    }
    if (self->closed) return NULL;
    me->state = WORKER_BUSY;
    tern__list *node = tern__list_shift(&self->queued);
    if (node == NULL) return NULL;
    self->queued_count--;
    query *taken = TERN__CONTAINER(node, query, link);
    taken->state = QUERY_RUNNING;
    return taken;
}

static void hand_in_locked(crew *self, query *answered)
{
    answered->state = QUERY_DONE;
    if (self->closed) {
        query_free(answered);
        return;
    }
    tern__list_append(&self->done, &answered->link);
    tern__wake_signal(&self->wake);
}

static void work(void *argument)
{
    worker *me = argument;
    crew *self = me->crew;
    query *next;
    tern__mutex_lock(&self->lock);
    while ((next = take_work_locked(self, me)) != NULL) {
        tern__mutex_unlock(&self->lock);
        (void)ask(next, 0);
        tern__mutex_lock(&self->lock);
        hand_in_locked(self, next);
    }
    if (!self->closed) { /* else the resolver's end joins or detaches the thread */
        tern__thread_detach(&me->thread);
        me->state = WORKER_NONE;
    }
    tern__mutex_unlock(&self->lock);
    crew_unref(self);
}

/* One more thread, unless idle ones suffice for what is queued. Fails only where no thread at all
 * could do the work. */
static int staff_locked(crew *self)
{
    unsigned idle = 0;
    unsigned alive = 0;
    worker *vacant = NULL;
    for (int i = 0; i < WORKERS; i++) {
        worker *it = &self->workers[i];
        idle += it->state == WORKER_IDLE;
        alive += it->state != WORKER_NONE;
        if (it->state == WORKER_NONE) vacant = it;
    }
    if (idle >= self->queued_count || vacant == NULL) return 0;
    vacant->state = WORKER_BUSY;
    self->refs++;
    int rc = tern__thread_start(&vacant->thread, "tern-resolve", work, vacant);
    if (rc == 0) return 0;
    vacant->state = WORKER_NONE;
    self->refs--;
    return alive != 0 ? 0 : rc;
}

/* ---- answering ---- */

static void set_port(tern__address *address, uint16_t port)
{
    if (address->storage.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)&address->storage)->sin_port = htons(port);
    }
}

static void drop_lookups(query *self)
{
    tern__list *node;
    while ((node = tern__list_shift(&self->lookups)) != NULL)
        tern__free(TERN__CONTAINER(node, tern__lookup, link));
}

/* Tells all who wait for the query, then frees it. A callback may cancel other lookups and free the
 * resolver. */
static void tell(const crew *self, query *answered)
{
    tern__list *node;
    while (!self->closed && (node = tern__list_shift(&answered->lookups)) != NULL) {
        tern__lookup *lookup = TERN__CONTAINER(node, tern__lookup, link);
        tern__lookup_callback callback = lookup->callback;
        void *user_data = lookup->user_data;
        for (size_t i = 0; i < answered->count; i++)
            set_port(&answered->addresses[i], lookup->port);
        tern__free(lookup);
        callback(user_data, answered->addresses, answered->count,
                 answered->count != 0 ? NULL : answered->why);
    }
    drop_lookups(answered);
    query_free(answered);
}

static void on_answers(tern__source *source, unsigned events, uint64_t now)
{
    tern__resolver *resolver = TERN__CONTAINER(source, tern__resolver, source);
    crew *self = resolver->crew; /* what stays when a callback frees the resolver */
    (void)events;
    (void)now;
    tern__wake_clear(&self->wake);
    tern__mutex_lock(&self->lock);
    self->refs++;
    while (!self->closed && !tern__list_empty(&self->done)) {
        query *answered = TERN__CONTAINER(tern__list_shift(&self->done), query, link);
        tern__list_remove(&answered->open);
        tern__mutex_unlock(&self->lock);
        tell(self, answered);
        tern__mutex_lock(&self->lock);
    }
    tern__mutex_unlock(&self->lock);
    crew_unref(self);
}

/* ---- the resolver ---- */

int tern__resolver_new(tern__resolver **resolver, tern__poller *poller)
{
    *resolver = NULL;
    tern__resolver *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->poller = poller;
    self->source.ready = on_answers;
    tern__list_init(&self->open);
    self->crew = crew_new();
    int rc = self->crew != NULL ? tern__wake_init(&self->crew->wake) : TERN_E_NOMEM;
    if (rc == 0)
        rc = tern__poller_add(poller, self->crew->wake.read_fd, TERN__READY_READ, &self->source);
    if (rc != 0) {
        if (self->crew != NULL) {
            tern__wake_deinit(&self->crew->wake);
            crew_unref(self->crew);
        }
        tern__free(self);
        return rc;
    }
    *resolver = self;
    return 0;
}

/* Frees all queries but those that a thread has, which frees them itself once it sees `closed`. */
static void drop_queries_locked(tern__resolver *resolver)
{
    tern__list *node;
    while ((node = tern__list_shift(&resolver->open)) != NULL) {
        query *left = TERN__CONTAINER(node, query, open);
        drop_lookups(left);
        if (left->state == QUERY_RUNNING) continue;
        tern__list_remove(&left->link);
        query_free(left);
    }
}

/* Joins the idle threads, which end at once; those inside getaddrinfo() are left to themselves. */
static void dismiss(tern__resolver *resolver)
{
    crew *self = resolver->crew;
    tern__thread idle[WORKERS];
    unsigned count = 0;
    tern__mutex_lock(&self->lock);
    self->closed = true;
    drop_queries_locked(resolver);
    tern__cond_broadcast(&self->work);
    for (int i = 0; i < WORKERS; i++) {
        worker *it = &self->workers[i];
        if (it->state == WORKER_IDLE) idle[count++] = it->thread;
        if (it->state == WORKER_BUSY) tern__thread_detach(&it->thread);
    }
    tern__mutex_unlock(&self->lock);
    while (count > 0)
        tern__thread_join(&idle[--count]);
}

void tern__resolver_free(tern__resolver *resolver)
{
    if (resolver == NULL) return;
    crew *self = resolver->crew;
    dismiss(resolver);
    tern__poller_remove(resolver->poller, self->wake.read_fd);
    tern__wake_deinit(&self->wake);
    crew_unref(self);
    tern__free(resolver);
}

/* ---- lookups ---- */

static query *find_open(const tern__resolver *resolver, const char *host)
{
    for (tern__list *node = resolver->open.next; node != &resolver->open; node = node->next) {
        query *candidate = TERN__CONTAINER(node, query, open);
        if (strcmp(candidate->host, host) == 0) return candidate;
    }
    return NULL;
}

/* A new query, answered already where host is numeric, else queued for a thread. */
static int query_start(query **started, tern__resolver *resolver, const char *host)
{
    crew *self = resolver->crew;
    size_t len = strlen(host);
    query *made = tern__calloc(1, sizeof *made + len + 1);
    if (made == NULL) return TERN_E_NOMEM;
    memcpy(made->host, host, len + 1);
    tern__list_init(&made->link);
    tern__list_init(&made->open);
    tern__list_init(&made->lookups);
    int rc = 0;
    bool numeric = ask(made, AI_NUMERICHOST) == 0;
    tern__mutex_lock(&self->lock);
    if (numeric) {
        hand_in_locked(self, made);
    } else {
        made->state = QUERY_QUEUED;
        tern__list_append(&self->queued, &made->link);
        self->queued_count++;
        rc = staff_locked(self);
        if (rc == 0) tern__cond_signal(&self->work);
    }
    if (rc != 0) {
        tern__list_remove(&made->link);
        self->queued_count--;
    }
    tern__mutex_unlock(&self->lock);
    if (rc != 0) {
        query_free(made);
        return rc;
    }
    tern__list_append(&resolver->open, &made->open);
    *started = made;
    return 0;
}

int tern__lookup_start(tern__lookup **lookup, tern__resolver *resolver, const char *host,
                       uint16_t port, tern__lookup_callback callback, void *user_data)
{
    *lookup = NULL;
    tern__lookup *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    query *asked = find_open(resolver, host);
    int rc = asked != NULL ? 0 : query_start(&asked, resolver, host);
    if (rc != 0) {
        tern__free(self);
        return rc;
    }
    *self =
        (tern__lookup){.query = asked, .port = port, .callback = callback, .user_data = user_data};
    tern__list_append(&asked->lookups, &self->link);
    *lookup = self;
    return 0;
}

void tern__lookup_cancel(tern__lookup *lookup)
{
    if (lookup == NULL) return;
    /* A query that nobody waits for any more goes on: its answer is dropped, or serves who asks for
     * the name next. */
    tern__list_remove(&lookup->link);
    tern__free(lookup);
}
