/* What every benchmark client shares: options, the clock, the application's window, and the report.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BENCH_H
#define TERN_BENCH_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages that any library may have unacknowledged: the same for all. */
enum { BENCH_INFLIGHT = 1000 };

typedef struct bench bench;

/* A library under test. All but `name`, `open` and `publish` may be NULL: the work is then not offered. Each
 * function ends the program with bench_die() where it fails. */
typedef struct bench_library {
    const char *name;
    /* Makes the client and, unless offline, returns once it is connected. */
    void (*open)(bench *b, bool offline);
    /* Publishes without waiting; bench_completed() is called when the library says that it is done. */
    void (*publish)(bench *b, int qos);
    /* Publishes at QoS 1 and returns when it is acknowledged. */
    void (*publish_wait)(bench *b);
    /* Subscribes to a filter; bench_received() is called for each message. */
    void (*subscribe)(bench *b, const char *filter, int qos);
    /* Opens `count` idle connections on one loop and returns when all of them are connected. */
    void (*open_many)(bench *b);
    /* Adds the library's own counters to the report, as `, "stats": {...}`. */
    void (*print_stats)(bench *b);
    /* Connects and disconnects once, to an opened client that is not connected. */
    void (*reconnect)(bench *b);
    void (*close)(bench *b);
    /* Replaces the works "pub" and "sub", where there is no library between them and the socket. */
    void (*run_pub)(bench *b);
    void (*run_sub)(bench *b);
} bench_library;

struct bench {
    const bench_library *library;
    void *client; /* the library's own */
    /* Options. */
    const char *work;
    uint16_t port;
    const char *ca; /* the sink speaks TLS with a certificate of this authority (a file); NULL: it does not */
    bool websocket; /* the sink speaks WebSocket */
    bool resume;    /* handshakes may resume an earlier session */
    int qos;
    size_t payload_length;
    uint64_t count;
    unsigned window; /* 0: a burst without any window */
    unsigned idle_ms;
    bool stats; /* print the library's own counters, too */
    char *payload;
    const char *topic;
    /* The application's window: what is free, negative while the publisher waits for `room`. */
    atomic_int_fast64_t free_slots;
    sem_t room;
    /* What the library completed or delivered; `finished` is posted when that is `target`. */
    atomic_uint_fast64_t completed;
    uint64_t target;
    sem_t finished;
    uint64_t received; /* the callback thread's, until `finished` */
    uint64_t received_bytes;
    uint64_t first_us;
    /* Measured. */
    uint64_t start_us;
    double start_cpu_us;
    uint64_t end_us;
};

/* Runs the work that the command line asks for, prints one line of JSON, and returns the exit status. */
int bench_main(int argc, char **argv, const bench_library *library);

uint64_t bench_now_us(void);
/* The measured part begins; ends. */
void bench_start(bench *b);
void bench_stop(bench *b);
/* Prints the report of b->count messages between begin_us and the end. */
void bench_report_run(bench *b, uint64_t begin_us);
/* Told by a library: n published messages are done; a message of so many bytes came. */
void bench_completed(bench *b, uint64_t n);
void bench_received(bench *b, size_t payload_length);
/* Heap bytes in use by this process. */
size_t bench_heap_bytes(void);
/* A blocking TCP connection to the sink on loopback. */
int bench_connect(const bench *b);

void bench_die(const char *what, long code) __attribute__((noreturn));

#endif
