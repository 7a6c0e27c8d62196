/* Servers that follow a script, and addresses that never answer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/rogue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net.h"

enum { CONNECTIONS = 64, HEARD = 65536 };

typedef struct connection {
    int fd; /* -1 once it was closed */
    size_t step;
    size_t said;      /* bytes of the step's words */
    size_t mark;      /* where in `heard` the step began to listen */
    size_t len;       /* of what was heard */
    char words[4096]; /* of ROGUE_UPGRADE, made for this connection */
    char heard[HEARD + 1];
} connection;

struct rogue {
    const rogue_step *steps;
    size_t count;
    uint16_t port;
    int listener;
    int stop[2]; /* a pipe: its end of writing is closed to stop the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    connection *connections[CONNECTIONS];
    unsigned used;
};

/* ---- the upgrade's answer ---- */

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t state[5], const uint8_t *block)
{
    uint32_t w[80];
    uint32_t v[5];
    for (unsigned i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 |
               block[3];
    for (unsigned i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, state, sizeof v);
    for (unsigned i = 0; i < 80; i++) {
        const uint32_t choose = (v[1] & v[2]) | (~v[1] & v[3]);
        const uint32_t parity = v[1] ^ v[2] ^ v[3];
        const uint32_t majority = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]);
        const uint32_t mixed = i < 20   ? choose + 0x5A827999
                               : i < 40 ? parity + 0x6ED9EBA1
                               : i < 60 ? majority + 0x8F1BBCDC
                                        : parity + 0xCA62C1D6;
        const uint32_t next = rotate(v[0], 5) + mixed + v[4] + w[i];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (unsigned i = 0; i < 5; i++)
        state[i] += v[i];
}

/* Of up to 119 bytes: two blocks. (RFC 3174) */
static void sha1(const char *text, size_t len, uint8_t digest[20])
{
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t blocks[128] = {0};
    const size_t total = len < 56 ? 64 : 128;
    memcpy(blocks, text, len);
    blocks[len] = 0x80;
    blocks[total - 2] = (uint8_t)(len * 8 >> 8);
    blocks[total - 1] = (uint8_t)(len * 8);
    for (size_t at = 0; at < total; at += 64)
        sha1_block(state, blocks + at);
    for (unsigned i = 0; i < 20; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void rogue_accept_of(const char *key, char accept[29])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[120];
    uint8_t digest[21] = {0};
    snprintf(text, sizeof text, "%.60s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(text, strlen(text), digest);
    for (unsigned i = 0; i < 28; i++) {
        const unsigned bit = 6 * i;
        const unsigned pair =
            (unsigned)digest[bit / 8] << 8 | (bit / 8 < 20 ? digest[bit / 8 + 1] : 0);
        accept[i] = digits[pair >> (10 - bit % 8) & 63];
    }
    accept[27] = '=';
    accept[28] = '\0';
}

/* The answer's text with %ACCEPT% filled in for the key that was heard. */
static void make_upgrade(connection *c, const char *text)
{
    static const char mark[] = "Sec-WebSocket-Key:";
    static const char hole[] = "%ACCEPT%";
    char key[64] = "";
    char accept[29];
    const char *at = strcasestr(c->heard, mark);
    const char *gap = strstr(text, hole);
    if (at != NULL) (void)sscanf(at + sizeof mark - 1, " %60[^\r\n ]", key);
    rogue_accept_of(key, accept);
    if (gap == NULL) {
        snprintf(c->words, sizeof c->words, "%s", text);
        return;
    }
    snprintf(c->words, sizeof c->words, "%.*s%s%s", (int)(gap - text), text, accept,
             gap + sizeof hole - 1);
}

size_t rogue_frame(uint8_t *out, unsigned first_byte, const void *payload, size_t len)
{
    size_t n = 0;
    const unsigned width = len < 126 ? 0 : len < 65536 ? 2 : 8;
    out[n++] = (uint8_t)first_byte;
    out[n++] = (uint8_t)(width == 0 ? len : width == 2 ? 126 : 127);
    for (unsigned i = width; i-- > 0;)
        out[n++] = (uint8_t)((uint64_t)len >> (8 * i));
    if (len != 0) memcpy(out + n, payload, len);
    return n + len;
}

/* ---- a connection and its script ---- */

static void hang_up(connection *c, bool with_reset)
{
    if (with_reset)
        net_reset(c->fd);
    else
        close(c->fd);
    c->fd = -1;
}

/* Whether all of it went out. */
static bool say(connection *c, const char *words, size_t len)
{
    while (c->said < len) {
        const ssize_t n = send(c->fd, words + c->said, len - c->said, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) hang_up(c, false);
        if (n < 0) return false;
        c->said += (size_t)n;
    }
    c->said = 0;
    return true;
}

static bool heard_text(connection *c, const char *text)
{
    const char *at = strstr(c->heard + c->mark, text);
    if (at == NULL) return false;
    c->mark = (size_t)(at - c->heard) + strlen(text);
    return true;
}

static bool heard_bytes(connection *c, size_t len)
{
    if (c->len - c->mark < len) return false;
    c->mark += len;
    return true;
}

/* Whether the step was done, and the next one's turn has come. */
static bool take_step(connection *c, const rogue_step *step)
{
    switch (step->verb) {
    case ROGUE_HEAR:
        return heard_bytes(c, step->len);
    case ROGUE_HEAR_TEXT:
        return heard_text(c, step->data);
    case ROGUE_SAY:
        return say(c, step->data, step->len != 0 ? step->len : strlen(step->data));
    case ROGUE_UPGRADE:
        if (c->said == 0) make_upgrade(c, step->data);
        return say(c, c->words, strlen(c->words));
    case ROGUE_END:
    case ROGUE_RESET:
        hang_up(c, step->verb == ROGUE_RESET);
        return true;
    }
    return false;
}

static void run_script(const rogue *r, connection *c)
{
    while (c->fd >= 0 && c->step < r->count && take_step(c, &r->steps[c->step]))
        c->step++;
}

/* What does not fit is heard and forgotten. */
static void hear(connection *c)
{
    char rest[4096];
    const bool full = c->len == HEARD;
    const ssize_t n = recv(c->fd, full ? rest : c->heard + c->len,
                           full ? sizeof rest : HEARD - c->len, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) hang_up(c, false);
    if (n > 0 && !full) c->len += (size_t)n;
    c->heard[c->len] = '\0';
}

/* ---- the thread ---- */

static void take_connection(rogue *r)
{
    const int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    connection *c = r->used < CONNECTIONS ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        close(fd);
        return;
    }
    c->fd = fd;
    r->connections[r->used++] = c;
    run_script(r, c);
}

/* Connections that still speak also want room; entry i is connection i, then come listener and
 * pipe. */
static void fill_polled(rogue *r, struct pollfd *polled)
{
    for (unsigned i = 0; i < r->used; i++) {
        const connection *c = r->connections[i];
        polled[i] = (struct pollfd){c->fd, (short)(c->said != 0 ? POLLIN | POLLOUT : POLLIN), 0};
    }
    polled[r->used] = (struct pollfd){r->listener, POLLIN, 0};
    polled[r->used + 1] = (struct pollfd){r->stop[0], POLLIN, 0};
}

static void serve(rogue *r, const struct pollfd *polled, unsigned used)
{
    pthread_mutex_lock(&r->lock);
    for (unsigned i = 0; i < used; i++) {
        connection *c = r->connections[i];
        if (c->fd < 0 || polled[i].revents == 0) continue;
        if ((polled[i].revents & ~POLLOUT) != 0) hear(c);
        run_script(r, c);
    }
    if (polled[used].revents != 0) take_connection(r);
    pthread_mutex_unlock(&r->lock);
}

static void *run(void *argument)
{
    rogue *r = argument;
    struct pollfd polled[CONNECTIONS + 2];
    for (;;) {
        const unsigned used = r->used; /* only this thread changes it */
        fill_polled(r, polled);
        if (poll(polled, used + 2, -1) < 0) continue;
        if (polled[used + 1].revents != 0) return NULL;
        serve(r, polled, used);
    }
}

rogue *rogue_new(const char *address, const rogue_step *steps, size_t count)
{
    rogue *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->steps = steps;
    r->count = count;
    r->listener = net_listen(address, &r->port);
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

void rogue_free(rogue *r)
{
    if (r == NULL) return;
    close(r->stop[1]);
    pthread_join(r->thread, NULL);
    close(r->stop[0]);
    close(r->listener);
    for (unsigned i = 0; i < r->used; i++) {
        if (r->connections[i]->fd >= 0) close(r->connections[i]->fd);
        free(r->connections[i]);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint16_t rogue_port(const rogue *r)
{
    return r->port;
}

typedef struct progress {
    rogue *r;
    unsigned connections;
    size_t steps;
} progress;

static bool has_come_so_far(void *argument)
{
    const progress *p = argument;
    unsigned n = 0;
    pthread_mutex_lock(&p->r->lock);
    for (unsigned i = 0; i < p->r->used; i++)
        if (p->r->connections[i]->step >= p->steps) n++;
    pthread_mutex_unlock(&p->r->lock);
    return n >= p->connections;
}

bool rogue_wait(rogue *r, unsigned connections, size_t steps)
{
    progress p = {r, connections, steps};
    return net_wait_until(has_come_so_far, &p, NET_PATIENCE_MS);
}

bool rogue_reached(rogue *r, unsigned connections, size_t steps)
{
    progress p = {r, connections, steps};
    return has_come_so_far(&p);
}

unsigned rogue_connections(rogue *r)
{
    pthread_mutex_lock(&r->lock);
    const unsigned n = r->used;
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t rogue_heard(rogue *r, unsigned which, void *data, size_t size)
{
    size_t len = 0;
    pthread_mutex_lock(&r->lock);
    if (which < r->used) {
        len = r->connections[which]->len;
        memcpy(data, r->connections[which]->heard, len < size ? len : size);
    }
    pthread_mutex_unlock(&r->lock);
    return len;
}

/* ---- an address that never answers ---- */

/* Linux answers connections up to one more than the backlog; what comes then waits for ever. */
static int start_connecting(const char *address, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    const bool is_ipv6 = inet_pton(AF_INET6, address, &in6.sin6_addr) == 1;
    if (!is_ipv6) inet_pton(AF_INET, address, &in.sin_addr);
    const int fd =
        socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr *to = is_ipv6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    if (fd >= 0) (void)connect(fd, to, is_ipv6 ? sizeof in6 : sizeof in);
    return fd;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof storage;
    getsockname(fd, (struct sockaddr *)&storage, &len);
    return ntohs(storage.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&storage)->sin6_port
                                               : ((struct sockaddr_in *)&storage)->sin_port);
}

static bool is_full(rogue_hole *hole, const char *address)
{
    while (hole->count < ROGUE_HOLE_SOCKETS) {
        const int fd = start_connecting(address, hole->port);
        struct pollfd one = {fd, POLLOUT, 0};
        if (fd < 0) return false;
        hole->sockets[hole->count++] = fd;
        /* On loopback an answer comes before connect() returns, so that this is no guess. */
        if (poll(&one, 1, 100) == 0) return true;
    }
    return false;
}

bool rogue_hole_open(rogue_hole *hole, const char *address, uint16_t port)
{
    memset(hole, 0, sizeof *hole);
    const int listener = net_bind_at(address, port);
    if (listener < 0) return false;
    hole->sockets[hole->count++] = listener;
    hole->port = bound_port(listener);
    if (listen(listener, 0) == 0 && is_full(hole, address)) return true;
    rogue_hole_close(hole);
    return false;
}

void rogue_hole_close(rogue_hole *hole)
{
    for (size_t i = 0; i < hole->count; i++)
        close(hole->sockets[i]);
    hole->count = 0;
}
