/* The limit of the machine: loops that write pre-encoded packets in 64 KiB chunks, and that read and frame.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { CHUNK = 64 * 1024, OUTSTANDING = 60000 };

typedef struct raw {
    int fd;
    uint8_t *chunk; /* whole packets */
    size_t packet_length;
    size_t packets; /* in the chunk */
    size_t length;  /* of what is to be written now */
    size_t sent;
    uint64_t written; /* packets put in chunks */
    uint64_t acked;
    uint16_t id;
    uint8_t *in;
    size_t in_length;
    uint8_t *out; /* PUBRELs or PUBACKs to write */
    size_t out_length;
} raw;

static void write_all(int fd, const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    while (length > 0) {
        ssize_t n = send(fd, p, length, MSG_NOSIGNAL);
        if (n <= 0) bench_die("send", errno);
        p += n;
        length -= (size_t)n;
    }
}

static void read_all(int fd, void *bytes, size_t length)
{
    if (recv(fd, bytes, length, MSG_WAITALL) != (ssize_t)length) bench_die("recv", errno);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) bench_die("malloc", (long)size);
    return memory;
}

static size_t encode_publish(const bench *b, uint8_t *p, int qos)
{
    size_t topic = strlen(b->topic), rest = 2 + topic + (qos > 0 ? 2u : 0u) + b->payload_length;
    uint8_t *begin = p;
    *p++ = (uint8_t)(0x30 | qos << 1);
    for (size_t n = rest;; n >>= 7) {
        *p++ = (uint8_t)((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
        if (n <= 0x7F) break;
    }
    *p++ = 0;
    *p++ = (uint8_t)topic;
    memcpy(p, b->topic, topic);
    p += topic;
    if (qos > 0) {
        *p++ = 0;
        *p++ = 1;
    }
    memcpy(p, b->payload, b->payload_length);
    return (size_t)(p - begin) + b->payload_length;
}

static void open_raw(bench *b, bool offline)
{
    static const uint8_t connect[] = {0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 3, 'r', 'a', 'w'};
    uint8_t connack[4];
    int one = 1;
    raw *r = allocate(sizeof *r);
    if (offline) bench_die("queueing offline", 0);
    memset(r, 0, sizeof *r);
    b->client = r;
    r->fd = bench_connect(b);
    setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    write_all(r->fd, connect, sizeof connect);
    read_all(r->fd, connack, sizeof connack);
    r->in = allocate(CHUNK * 2);
    r->out = allocate(CHUNK * 4);
    r->chunk = allocate(CHUNK + b->payload_length + 64);
}

static void publish_wait(bench *b)
{
    raw *r = b->client;
    uint8_t ack[4];
    write_all(r->fd, r->chunk, encode_publish(b, r->chunk, 1));
    read_all(r->fd, ack, sizeof ack);
}

/* ---- publishing ---- */

static void fill_chunk(bench *b, raw *r)
{
    size_t id_offset = r->packet_length - b->payload_length - 2;
    uint64_t n = b->count - r->written < r->packets ? b->count - r->written : r->packets;
    if (b->qos > 0 && n > OUTSTANDING - (r->written - r->acked)) n = OUTSTANDING - (r->written - r->acked);
    for (uint64_t i = 0; b->qos > 0 && i < n; i++) {
        uint8_t *id = r->chunk + i * r->packet_length + id_offset;
        if (++r->id == 0) r->id = 1;
        id[0] = (uint8_t)(r->id >> 8);
        id[1] = (uint8_t)r->id;
    }
    r->written += n;
    r->length = (size_t)n * r->packet_length;
    r->sent = 0;
}

/* Acknowledgements are 4 bytes each; a PUBREC is answered with a PUBREL. */
static void read_acks(raw *r)
{
    ssize_t n = recv(r->fd, r->in + r->in_length, CHUNK, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) bench_die("recv", errno);
    size_t have = r->in_length + (size_t)n, at = 0;
    for (; have - at >= 4; at += 4) {
        if (r->in[at] != 0x50) {
            r->acked++;
            continue;
        }
        memcpy(r->out + r->out_length, r->in + at, 4);
        r->out[r->out_length] = 0x62;
        r->out_length += 4;
    }
    r->in_length = have - at;
    memmove(r->in, r->in + at, r->in_length);
}

static size_t write_some(raw *r, const uint8_t *p, size_t length)
{
    ssize_t n = send(r->fd, p, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) bench_die("send", errno);
    return n > 0 ? (size_t)n : 0;
}

static void pump(bench *b, raw *r)
{
    if (r->sent == r->length) {
        /* Between chunks the stream is at a packet's end: a place for PUBRELs. */
        if (r->out_length > 0) {
            write_all(r->fd, r->out, r->out_length);
            r->out_length = 0;
        }
        fill_chunk(b, r);
    }
    if (r->sent < r->length) r->sent += write_some(r, r->chunk + r->sent, r->length - r->sent);
    bool stuck = r->sent < r->length, idle = r->sent == r->length && r->out_length == 0 &&
                 (r->written == b->count || r->written - r->acked >= OUTSTANDING);
    if (b->qos == 0) {
        struct pollfd wait = {.fd = r->fd, .events = POLLOUT};
        if (stuck) poll(&wait, 1, -1);
        return;
    }
    struct pollfd wait = {.fd = r->fd, .events = (short)(POLLIN | (stuck ? POLLOUT : 0))};
    if (stuck || idle) poll(&wait, 1, -1);
    read_acks(r);
}

static void run_pub(bench *b)
{
    open_raw(b, false);
    raw *r = b->client;
    r->packet_length = encode_publish(b, r->chunk, b->qos);
    r->packets = r->packet_length > CHUNK ? 1 : CHUNK / r->packet_length;
    for (size_t i = 1; i < r->packets; i++)
        memcpy(r->chunk + i * r->packet_length, r->chunk, r->packet_length);
    bench_start(b);
    while (r->written < b->count || r->sent < r->length || (b->qos > 0 && r->acked < b->count))
        pump(b, r);
    if (b->qos == 0) publish_wait(b);
    bench_stop(b);
    bench_report_run(b, b->start_us);
}

/* ---- receiving ---- */

static void subscribe(bench *b, raw *r)
{
    uint8_t packet[160] = {0x82, 0, 0, 1, 0};
    int n = snprintf((char *)packet + 6, sizeof packet - 7, "blast/%d/%zu/%" PRIu64 "/%u", b->qos, b->payload_length,
                     b->count, b->window != 0 ? b->window : BENCH_INFLIGHT);
    packet[1] = (uint8_t)(5 + n);
    packet[5] = (uint8_t)n;
    packet[6 + n] = (uint8_t)b->qos;
    write_all(r->fd, packet, (size_t)n + 7);
    read_all(r->fd, packet, 5);
}

/* Frames what was read; returns the bytes of whole packets. */
static size_t frame(bench *b, raw *r, const uint8_t *p, size_t have)
{
    size_t at = 0;
    while (have - at >= 5) {
        const uint8_t *q = p + at + 1;
        size_t rest = *q & 0x7F;
        for (unsigned shift = 7; (*q++ & 0x80) != 0; shift += 7)
            rest |= (size_t)(*q & 0x7F) << shift;
        size_t total = (size_t)(q - (p + at)) + rest;
        if (total > have - at) break;
        size_t topic = (size_t)q[0] << 8 | q[1];
        if (b->qos > 0) {
            memcpy(r->out + r->out_length, (const uint8_t[4]){0x40, 2, q[2 + topic], q[3 + topic]}, 4);
            r->out_length += 4;
        }
        bench_received(b, rest - 2 - topic - (b->qos > 0 ? 2 : 0));
        at += total;
    }
    return at;
}

static void run_sub(bench *b)
{
    open_raw(b, false);
    raw *r = b->client;
    size_t size = CHUNK > 2 * (b->payload_length + 64) ? CHUNK : 2 * (b->payload_length + 64), have = 0;
    uint8_t *in = allocate(size);
    b->target = b->count;
    bench_start(b);
    subscribe(b, r);
    while (b->received < b->count) {
        ssize_t n = recv(r->fd, in + have, size - have, 0);
        if (n <= 0) bench_die("recv", errno);
        have += (size_t)n;
        size_t used = frame(b, r, in, have);
        have -= used;
        memmove(in, in + used, have);
        if (r->out_length > 0) write_all(r->fd, r->out, r->out_length);
        r->out_length = 0;
    }
    free(in);
    bench_report_run(b, b->first_us);
}

static void close_raw(bench *b)
{
    raw *r = b->client;
    close(r->fd);
    free(r->chunk);
    free(r->in);
    free(r->out);
    free(r);
}

int main(int argc, char **argv)
{
    static const bench_library library = {
        .name = "raw", .open = open_raw, .publish_wait = publish_wait, .run_pub = run_pub, .run_sub = run_sub,
        .close = close_raw,
    };
    return bench_main(argc, argv, &library);
}
