/* A fake broker that acknowledges and counts whatever any client publishes, and blasts messages at subscribers; one thread.
 *
 * It reads headers and skips bodies, answers all packets of one read with one write, and keeps no session: its
 * only purpose is to be faster than every client. A subscription to `blast/<qos>/<payload>/<count>/<inflight>`
 * starts `count` messages of that QoS and size, at most `inflight` of them unacknowledged.
 * `bench_sink --tls CERTIFICATE KEY` speaks TLS to all, `bench_sink --ws` WebSocket.
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sink_ws.h"

enum {
    READ_SIZE = 128 * 1024,
    CARRY_MAX = 128 * 1024, /* the longest header or control packet that is put together */
    CHUNK_SIZE = 128 * 1024, /* packets blasted by one write, about */
    EVENTS = 256
};

enum { CONNECT = 1, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7, SUBSCRIBE = 8, UNSUBSCRIBE = 10,
       PINGREQ = 12, DISCONNECT = 14 };

/* Messages on their way to a subscriber: `chunk` holds `chunk_packets` encoded packets of equal length. */
typedef struct blast {
    uint8_t *chunk;
    size_t packet_length;
    size_t id_offset; /* of the packet id in a packet */
    size_t capacity;  /* packets that fit the chunk */
    size_t length;    /* bytes of the chunk that are to be sent now */
    size_t sent;      /* of them */
    uint64_t left;    /* packets not in the chunk yet */
    uint64_t unacked;
    uint64_t inflight;
    uint16_t id;
    int qos;
} blast;

typedef struct connection {
    int fd;
    SSL *ssl;    /* NULL: plain TCP */
    sink_ws *ws; /* NULL: no WebSocket */
    bool v5;
    uint32_t interest;
    uint8_t *carry; /* the beginning of a packet that was cut */
    size_t carry_length;
    uint64_t skip; /* bytes of a publish's body still to come */
    uint8_t ack[4]; /* its acknowledgement, due when they have */
    size_t ack_length;
    uint8_t *pending; /* answers that the socket did not take */
    size_t pending_length;
    blast *blast;
} connection;

typedef struct sink {
    int epoll;
    int listener;
    SSL_CTX *tls; /* NULL: plain TCP */
    bool websocket;
    uint64_t connections;
    uint64_t published[4];
    uint64_t blasted;
    connection *recent; /* read from since the last quiet moment; NULL: none */
    uint8_t *in;
    uint8_t *out;
    size_t out_length;
} sink;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the socket, or TLS or WebSocket on it: as recv() and send() ---- */

/* What SSL_read() or SSL_write() answered: 0 the end, -1 with errno. */
static ssize_t tls_answer(SSL *ssl, int answer)
{
    int error = SSL_get_error(ssl, answer);
    ERR_clear_error();
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t take(connection *c, uint8_t *data, size_t length)
{
    if (c->ws != NULL) return sink_ws_take(c->ws, c->fd, data, length);
    if (c->ssl == NULL) return recv(c->fd, data, length, 0);
    size_t total = 0;
    int n = 1;
    while (total < length && (n = SSL_read(c->ssl, data + total, (int)(length - total))) > 0) total += (size_t)n;
    return total > 0 ? (ssize_t)total : tls_answer(c->ssl, n);
}

static ssize_t give(connection *c, const uint8_t *data, size_t length)
{
    if (c->ws != NULL) return sink_ws_give(c->ws, c->fd, data, length);
    if (c->ssl == NULL) return send(c->fd, data, length, MSG_NOSIGNAL);
    size_t total = 0;
    int n = 1;
    while (total < length && (n = SSL_write(c->ssl, data + total, (int)(length - total))) > 0) total += (size_t)n;
    return total > 0 ? (ssize_t)total : tls_answer(c->ssl, n);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void answer(sink *s, const void *bytes, size_t length)
{
    memcpy(s->out + s->out_length, bytes, length);
    s->out_length += length;
}

static void answer_id(sink *s, uint8_t first, const uint8_t *id)
{
    uint8_t *p = s->out + s->out_length;
    p[0] = first;
    p[1] = 2;
    p[2] = id[0];
    p[3] = id[1];
    s->out_length += 4;
}

/* ---- blasting ---- */

static size_t encode_template(uint8_t *p, bool v5, int qos, size_t payload, size_t *id_offset)
{
    static const char topic[] = "bench/topic";
    size_t topic_length = sizeof topic - 1;
    size_t rest = 2 + topic_length + (qos > 0 ? 2u : 0u) + (v5 ? 1u : 0u) + payload;
    uint8_t *begin = p;
    *p++ = (uint8_t)(PUBLISH << 4 | qos << 1);
    for (size_t n = rest; ; n >>= 7) {
        *p++ = (uint8_t)((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
        if (n <= 0x7F) break;
    }
    put16(p, (unsigned)topic_length);
    memcpy(p + 2, topic, topic_length);
    p += 2 + topic_length;
    *id_offset = (size_t)(p - begin);
    if (qos > 0) p += 2;
    if (v5) *p++ = 0;
    memset(p, 'x', payload);
    return (size_t)(p - begin) + payload;
}

static void blast_new(connection *c, const char *filter)
{
    int qos = 0;
    size_t payload = 0;
    uint64_t count = 0, inflight = 0;
    if (c->blast != NULL) return;
    if (sscanf(filter, "blast/%d/%zu/%" SCNu64 "/%" SCNu64, &qos, &payload, &count, &inflight) != 4) return;
    if (qos < 0 || qos > 2 || payload > 1 << 24) return;
    blast *b = calloc(1, sizeof *b);
    if (b == NULL) die("calloc");
    size_t room = payload + 64 > CHUNK_SIZE ? payload + 64 : CHUNK_SIZE;
    b->chunk = malloc(room);
    if (b->chunk == NULL) die("malloc");
    b->packet_length = encode_template(b->chunk, c->v5, qos, payload, &b->id_offset);
    b->capacity = room / b->packet_length;
    for (size_t i = 1; i < b->capacity; i++)
        memcpy(b->chunk + i * b->packet_length, b->chunk, b->packet_length);
    b->qos = qos;
    b->left = count;
    b->inflight = inflight == 0 || inflight > 65535 ? 65535 : inflight;
    c->blast = b;
}

static void blast_free(blast *b)
{
    if (b == NULL) return;
    free(b->chunk);
    free(b);
}

/* Puts as many packets in the chunk as fit, are left, and may be unacknowledged. */
static void blast_refill(blast *b)
{
    uint64_t n = b->left < b->capacity ? b->left : b->capacity;
    if (b->qos > 0) {
        uint64_t room = b->inflight - b->unacked;
        if (n > room) n = room;
        uint8_t *id = b->chunk + b->id_offset;
        for (uint64_t i = 0; i < n; i++, id += b->packet_length) {
            if (++b->id == 0) b->id = 1;
            put16(id, b->id);
        }
        b->unacked += n;
    }
    b->left -= n;
    b->length = (size_t)n * b->packet_length;
    b->sent = 0;
}

/* False where the connection is broken. */
static bool blast_send(sink *s, connection *c)
{
    blast *b = c->blast;
    for (int writes = 0; writes < 4; writes++) {
        if (b->sent == b->length) blast_refill(b);
        if (b->length == 0) return true;
        ssize_t n = give(c, b->chunk + b->sent, b->length - b->sent);
        if (n < 0) return errno == EAGAIN;
        b->sent += (size_t)n;
        if (b->sent < b->length) return true;
        s->blasted += b->length / b->packet_length;
        b->length = b->sent = 0;
        if (c->pending_length > 0) return true; /* answers go between packets */
    }
    return true;
}

static bool blast_wants_to_send(const blast *b)
{
    if (b == NULL) return false;
    return b->sent < b->length || (b->left > 0 && (b->qos == 0 || b->unacked < b->inflight));
}

/* ---- parsing ---- */

static bool on_connect(sink *s, connection *c, const uint8_t *p, size_t length)
{
    if (length < 10) return false;
    size_t name = get16(p);
    if (name > 6 || length < name + 3) return false;
    c->v5 = p[2 + name] == 5;
    answer(s, c->v5 ? "\x20\x03\0\0\0" : "\x20\x02\0\0", c->v5 ? 5 : 4);
    return true;
}

static size_t varint(const uint8_t *p, const uint8_t *end, size_t *value)
{
    *value = 0;
    for (size_t i = 0; i < 4 && p + i < end; i++) {
        *value |= (size_t)(p[i] & 0x7F) << 7 * i;
        if ((p[i] & 0x80) == 0) return i + 1;
    }
    return 0;
}

/* SUBSCRIBE and UNSUBSCRIBE: every filter is granted what it asks for. */
static bool on_subscribe(sink *s, connection *c, const uint8_t *p, size_t length, bool subscribe)
{
    const uint8_t *end = p + length, *id = p;
    uint8_t codes[1024];
    size_t count = 0, properties = 0;
    if (length < 2) return false;
    p += 2;
    if (c->v5) {
        size_t n = varint(p, end, &properties);
        if (n == 0 || (size_t)(end - p) < n + properties) return false;
        p += n + properties;
    }
    while (end - p >= 2 && count < sizeof codes) {
        char filter[128] = "";
        size_t n = get16(p);
        if ((size_t)(end - p) < 2 + n + (subscribe ? 1 : 0)) return false;
        if (n < sizeof filter) memcpy(filter, p + 2, n);
        p += 2 + n;
        codes[count++] = subscribe ? *p++ & 3 : 0;
        if (subscribe) blast_new(c, filter);
    }
    size_t code_count = subscribe || c->v5 ? count : 0;
    size_t rest = 2 + (c->v5 ? 1u : 0u) + code_count;
    uint8_t head[6] = {subscribe ? 0x90 : 0xB0};
    size_t at = 1;
    if (rest > 0x7F) head[at++] = (uint8_t)((rest & 0x7F) | 0x80);
    head[at++] = (uint8_t)(rest > 0x7F ? rest >> 7 : rest);
    answer(s, head, at);
    answer(s, id, 2);
    if (c->v5) answer(s, "", 1);
    answer(s, codes, code_count);
    return true;
}

static bool on_control(sink *s, connection *c, uint8_t type, const uint8_t *p, size_t length)
{
    switch (type) {
    case CONNECT: return on_connect(s, c, p, length);
    case SUBSCRIBE: return on_subscribe(s, c, p, length, true);
    case UNSUBSCRIBE: return on_subscribe(s, c, p, length, false);
    case PINGREQ: answer(s, "\xD0\0", 2); return true;
    case DISCONNECT: return false;
    default: break;
    }
    if (length < 2) return false;
    switch (type) {
    case PUBREL: answer_id(s, PUBCOMP << 4, p); return true;
    case PUBREC: answer_id(s, PUBREL << 4 | 2, p); return true;
    case PUBACK:
    case PUBCOMP:
        if (c->blast == NULL || c->blast->unacked == 0) return false;
        c->blast->unacked--;
        return true;
    default: return false;
    }
}

/* A PUBLISH of which `have` bytes are here. Returns the bytes consumed, 0 where its packet id is still to come. */
static size_t on_publish(sink *s, connection *c, const uint8_t *p, size_t head, size_t total, size_t have)
{
    int qos = p[0] >> 1 & 3;
    if (qos > 0) {
        if (have < head + 2) return 0;
        size_t id = head + 2 + get16(p + head);
        if (have < id + 2) return 0;
        uint8_t first = (uint8_t)((qos == 1 ? PUBACK : PUBREC) << 4);
        if (total <= have) {
            answer_id(s, first, p + id);
        } else {
            memcpy(c->ack, (const uint8_t[4]){first, 2, p[id], p[id + 1]}, 4);
            c->ack_length = 4;
        }
    }
    s->published[qos]++;
    if (total <= have) return total;
    c->skip = total - have;
    return have;
}

/* Consumes whole packets of p..p+length; what is left of the last one is kept in c->carry. */
static bool parse(sink *s, connection *c, const uint8_t *p, size_t length)
{
    const uint8_t *end = p + length;
    if (c->skip > 0) {
        size_t n = c->skip < length ? (size_t)c->skip : length;
        c->skip -= n;
        p += n;
        if (c->skip > 0) return true;
        answer(s, c->ack, c->ack_length);
        c->ack_length = 0;
    }
    while (end - p >= 2) {
        size_t rest, have = (size_t)(end - p);
        size_t head = 1 + varint(p + 1, end, &rest);
        if (head == 1) {
            if (have >= 5) return false;
            break;
        }
        size_t total = head + rest;
        if (p[0] >> 4 == PUBLISH) {
            size_t used = on_publish(s, c, p, head, total, have);
            if (used == 0) break;
            p += used;
        } else {
            if (total > CARRY_MAX) return false;
            if (total > have) break;
            if (!on_control(s, c, p[0] >> 4, p + head, rest)) return false;
            p += total;
        }
    }
    c->carry_length = (size_t)(end - p);
    if (c->carry_length == 0) return true;
    if (c->carry_length > CARRY_MAX) return false;
    uint8_t *carry = realloc(c->carry, c->carry_length);
    if (carry == NULL) return false;
    memcpy(carry, p, c->carry_length);
    c->carry = carry;
    return true;
}

/* ---- connections ---- */

static void connection_close(sink *s, connection *c)
{
    if (s->recent == c) s->recent = NULL;
    SSL_free(c->ssl);
    if (c->ws != NULL) sink_ws_close(c->ws, c->fd);
    sink_ws_free(c->ws);
    close(c->fd);
    free(c->carry);
    free(c->pending);
    blast_free(c->blast);
    free(c);
}

static bool flush_pending(connection *c)
{
    ssize_t n = give(c, c->pending, c->pending_length);
    if (n < 0) return errno == EAGAIN;
    c->pending_length -= (size_t)n;
    memmove(c->pending, c->pending + n, c->pending_length);
    return true;
}

static bool flush_answers(sink *s, connection *c)
{
    size_t length = s->out_length;
    s->out_length = 0;
    if (length == 0) return true;
    ssize_t n = 0;
    /* An answer must not land in the middle of a blasted packet. */
    bool between_packets = c->blast == NULL || c->blast->sent == c->blast->length;
    if (c->pending_length == 0 && between_packets) {
        n = give(c, s->out, length);
        if (n < 0 && errno != EAGAIN) return false;
        if (n < 0) n = 0;
        if ((size_t)n == length) return true;
    }
    uint8_t *pending = realloc(c->pending, c->pending_length + length - (size_t)n);
    if (pending == NULL) return false;
    memcpy(pending + c->pending_length, s->out + n, length - (size_t)n);
    c->pending = pending;
    c->pending_length += length - (size_t)n;
    return true;
}

static bool read_once(sink *s, connection *c)
{
    size_t have = c->carry_length;
    if (have > 0) memcpy(s->in, c->carry, have);
    ssize_t n = take(c, s->in + have, READ_SIZE);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN;
    s->recent = c;
    if (!parse(s, c, s->in, have + (size_t)n) || !flush_answers(s, c)) return false;
    return c->ws == NULL || (!sink_ws_ended(c->ws) && sink_ws_flush(c->ws, c->fd));
}

/* What TLS has taken from the socket already, epoll does not tell of. */
static bool on_readable(sink *s, connection *c)
{
    bool alive;
    do
        alive = read_once(s, c);
    while (alive && c->ssl != NULL && SSL_pending(c->ssl) > 0);
    return alive;
}

static bool on_writable(sink *s, connection *c)
{
    bool in_packet = c->blast != NULL && c->blast->sent < c->blast->length;
    if (c->pending_length > 0 && !in_packet) {
        if (!flush_pending(c)) return false;
        if (c->pending_length > 0) return true;
    }
    if (c->blast != NULL && !blast_send(s, c)) return false;
    return c->ws == NULL || sink_ws_flush(c->ws, c->fd);
}

static void serve(sink *s, connection *c, uint32_t events)
{
    bool alive = (events & (EPOLLERR | EPOLLHUP)) == 0 || (events & EPOLLIN) != 0;
    if (alive && (events & EPOLLIN) != 0) alive = on_readable(s, c);
    if (alive && (events & EPOLLOUT) != 0) alive = on_writable(s, c);
    if (!alive) {
        connection_close(s, c);
        return;
    }
    uint32_t interest = c->pending_length > CARRY_MAX ? 0 : EPOLLIN;
    bool pong = c->ws != NULL && sink_ws_has_pong(c->ws);
    if (c->pending_length > 0 || pong || blast_wants_to_send(c->blast)) interest |= EPOLLOUT;
    if (interest == c->interest) return;
    struct epoll_event event = {.events = interest, .data.ptr = c};
    c->interest = interest;
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) die("epoll_ctl");
}

static void accept_all(sink *s)
{
    for (;;) {
        int one = 1, fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection *c = calloc(1, sizeof *c);
        if (c == NULL) die("calloc");
        c->fd = fd;
        c->interest = EPOLLIN;
        if (s->tls != NULL) {
            c->ssl = SSL_new(s->tls);
            if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1) die("SSL_new");
            SSL_set_accept_state(c->ssl);
        }
        if (s->websocket && (c->ws = sink_ws_new()) == NULL) die("calloc");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
        s->connections++;
    }
}

/* ---- the program ---- */

static int listen_on(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t length = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(fd, 4096) != 0) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) die("getsockname");
    *port = ntohs(address.sin_port);
    return fd;
}

/* A descriptor that is readable when the sink is told to end. */
static int end_descriptor(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0) die("signalfd");
    return fd;
}

static void watch(sink *s, int fd, void *mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

/* A client without TCP_NODELAY may hold its last bytes back until ours are acknowledged, which TCP delays by 40 ms: the end of
 * a run would be waiting for the kernel, not for the client. */
static void acknowledge_at_once(sink *s)
{
    int one = 1;
    setsockopt(s->recent->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    s->recent = NULL;
}

static void run(sink *s, const void *end_mark)
{
    enum { QUIET_MS = 1 };
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(s->epoll, events, EVENTS, s->recent != NULL ? QUIET_MS : -1);
        if (n == 0) acknowledge_at_once(s);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == end_mark) return;
            if (events[i].data.ptr == s) accept_all(s);
            else serve(s, events[i].data.ptr, events[i].events);
        }
    }
}

static SSL_CTX *make_tls(const char *certificate, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        die(certificate);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_default_read_buffer_len(tls, READ_SIZE);
    signal(SIGPIPE, SIG_IGN);
    return tls;
}

int main(int argc, char **argv)
{
    sink s = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    uint16_t port = 0;
    if (argc == 4 && strcmp(argv[1], "--tls") == 0) s.tls = make_tls(argv[2], argv[3]);
    s.websocket = argc == 2 && strcmp(argv[1], "--ws") == 0;
    struct rlimit limit;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* it ends with the script that started it, however that ends */
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    s.in = malloc(READ_SIZE + CARRY_MAX);
    s.out = malloc(2 * (READ_SIZE + CARRY_MAX));
    if (s.in == NULL || s.out == NULL) die("malloc");
    int end = end_descriptor();
    s.listener = listen_on(&port);
    watch(&s, s.listener, &s);
    watch(&s, end, &end);
    printf("%u\n", (unsigned)port);
    fflush(stdout);
    run(&s, &end);
    printf("{\"connections\": %" PRIu64 ", \"qos0\": %" PRIu64 ", \"qos1\": %" PRIu64 ", \"qos2\": %" PRIu64
           ", \"blasted\": %" PRIu64 "}\n",
           s.connections, s.published[0], s.published[1], s.published[2], s.blasted);
    SSL_CTX_free(s.tls);
    free(s.in);
    free(s.out);
    return 0;
}
