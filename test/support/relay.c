/* A relay between clients and a server that cuts what the server says after so many bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net.h"
#include "support/rogue.h"

enum { PAIRS = 64 };

typedef struct pair {
    int client;   /* -1 once both are closed */
    int server;   /* -1 once it was cut */
    int64_t left; /* bytes of the server that still pass; negative: all */
} pair;

struct rogue_relay {
    uint16_t port;
    uint16_t server;
    int listener;
    int stop[2]; /* a pipe: its end of writing is closed to stop the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    int64_t limit;
    pair pairs[PAIRS];
    unsigned used;
    unsigned cuts;
    uint64_t passed;
};

static void close_one(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_pair(pair *p)
{
    close_one(&p->client);
    close_one(&p->server);
}

/* The server is left; the client gets a FIN, and may go on speaking to nobody. */
static void cut(rogue_relay *r, pair *p)
{
    shutdown(p->client, SHUT_WR);
    close_one(&p->server);
    r->cuts++;
}

static void pass_down(rogue_relay *r, pair *p)
{
    char data[16384];
    size_t room = sizeof data;
    if (p->left >= 0 && (size_t)p->left < room) room = (size_t)p->left;
    const ssize_t n = recv(p->server, data, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || !net_write(p->client, data, (size_t)n)) {
        close_pair(p);
        return;
    }
    r->passed += (uint64_t)n;
    if (p->left > 0) p->left -= n;
    if (p->left == 0) cut(r, p);
}

/* After a cut what the client says is heard, so that its socket is not reset. */
static void pass_up(pair *p)
{
    char data[16384];
    const ssize_t n = recv(p->client, data, sizeof data, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        close_pair(p);
        return;
    }
    if (p->server >= 0 && !net_write(p->server, data, (size_t)n)) close_pair(p);
}

/* The place of a pair that is over is taken again. NULL where all are in use. */
static pair *place_for_pair(rogue_relay *r)
{
    for (unsigned i = 0; i < r->used; i++)
        if (r->pairs[i].client < 0) return &r->pairs[i];
    return r->used < PAIRS ? &r->pairs[r->used++] : NULL;
}

static void take_client(rogue_relay *r)
{
    const int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = net_connect("127.0.0.1", r->server);
    pair *p = server >= 0 ? place_for_pair(r) : NULL;
    if (p == NULL) {
        if (server >= 0) close(server);
        close(client);
        return;
    }
    *p = (pair){client, server, r->limit};
    if (p->left == 0) cut(r, p);
}

static void fill_polled(rogue_relay *r, struct pollfd *polled)
{
    for (unsigned i = 0; i < r->used; i++) {
        polled[2 * i] = (struct pollfd){r->pairs[i].client, POLLIN, 0};
        polled[2 * i + 1] = (struct pollfd){r->pairs[i].server, POLLIN, 0};
    }
    polled[2 * r->used] = (struct pollfd){r->listener, POLLIN, 0};
    polled[2 * r->used + 1] = (struct pollfd){r->stop[0], POLLIN, 0};
}

static void serve(rogue_relay *r, const struct pollfd *polled, unsigned used)
{
    pthread_mutex_lock(&r->lock);
    for (unsigned i = 0; i < used; i++) {
        pair *p = &r->pairs[i];
        if (polled[2 * i].revents != 0 && p->client >= 0) pass_up(p);
        if (polled[2 * i + 1].revents != 0 && p->server >= 0) pass_down(r, p);
    }
    if (polled[2 * used].revents != 0) take_client(r);
    pthread_mutex_unlock(&r->lock);
}

static void *run(void *argument)
{
    rogue_relay *r = argument;
    struct pollfd polled[2 * PAIRS + 2];
    for (;;) {
        pthread_mutex_lock(&r->lock);
        const unsigned used = r->used;
        fill_polled(r, polled);
        pthread_mutex_unlock(&r->lock);
        if (poll(polled, 2 * used + 2, -1) < 0) continue;
        if (polled[2 * used + 1].revents != 0) return NULL;
        serve(r, polled, used);
    }
}

rogue_relay *rogue_relay_new(uint16_t server, int64_t limit)
{
    rogue_relay *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->server = server;
    r->limit = limit;
    r->listener = net_listen("127.0.0.1", &r->port);
    if (r->listener >= 0 && pipe2(r->stop, O_CLOEXEC) == 0) {
        pthread_mutex_init(&r->lock, NULL);
        if (pthread_create(&r->thread, NULL, run, r) == 0) return r;
        close(r->stop[0]);
        close(r->stop[1]);
    }
    if (r->listener >= 0) close(r->listener);
    free(r);
    return NULL;
}

void rogue_relay_free(rogue_relay *r)
{
    if (r == NULL) return;
    close(r->stop[1]);
    pthread_join(r->thread, NULL);
    close(r->stop[0]);
    close(r->listener);
    for (unsigned i = 0; i < r->used; i++)
        close_pair(&r->pairs[i]);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint16_t rogue_relay_port(const rogue_relay *r)
{
    return r->port;
}

void rogue_relay_limit(rogue_relay *r, int64_t limit)
{
    pthread_mutex_lock(&r->lock);
    r->limit = limit;
    for (unsigned i = 0; i < r->used; i++) {
        pair *p = &r->pairs[i];
        if (p->server < 0) continue;
        p->left = limit;
        if (limit == 0) cut(r, p);
    }
    pthread_mutex_unlock(&r->lock);
}

uint64_t rogue_relay_passed(rogue_relay *r)
{
    pthread_mutex_lock(&r->lock);
    const uint64_t n = r->passed;
    pthread_mutex_unlock(&r->lock);
    return n;
}

typedef struct cuts {
    rogue_relay *r;
    unsigned wanted;
} cuts;

static bool was_cut(void *argument)
{
    const cuts *c = argument;
    pthread_mutex_lock(&c->r->lock);
    const unsigned n = c->r->cuts;
    pthread_mutex_unlock(&c->r->lock);
    return n >= c->wanted;
}

bool rogue_relay_wait_cut(rogue_relay *r, unsigned connections)
{
    cuts c = {r, connections};
    return net_wait_until(was_cut, &c, NET_PATIENCE_MS);
}
