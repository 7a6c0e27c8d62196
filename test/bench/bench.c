/* The works that are measured, the same for every library, and how they are reported.
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

void bench_die(const char *what, long code)
{
    fprintf(stderr, "bench: %s failed (%ld)\n", what, code);
    _exit(1);
}

/* ---- measuring ---- */

uint64_t bench_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static long peak_rss_kib(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_maxrss;
}

static size_t rss_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t bench_heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

void bench_start(bench *b)
{
    b->start_cpu_us = cpu_us();
    b->start_us = bench_now_us();
}

void bench_stop(bench *b)
{
    b->end_us = bench_now_us();
}

/* ---- the application's window ---- */

static void take_slot(bench *b)
{
    if (atomic_fetch_sub(&b->free_slots, 1) > 0) return;
    while (sem_wait(&b->room) != 0)
        ;
}

void bench_completed(bench *b, uint64_t n)
{
    if (b->window != 0 && atomic_fetch_add(&b->free_slots, (int_fast64_t)n) < 0) sem_post(&b->room);
    uint64_t before = atomic_fetch_add(&b->completed, n);
    if (before < b->target && before + n >= b->target) sem_post(&b->finished);
}

void bench_received(bench *b, size_t payload_length)
{
    if (b->received == 0) b->first_us = bench_now_us();
    b->received_bytes += payload_length;
    if (++b->received == b->target) {
        bench_stop(b);
        sem_post(&b->finished);
    }
}

static void wait_finished(bench *b)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 120;
    while (sem_timedwait(&b->finished, &deadline) != 0) {
        if (errno == ETIMEDOUT) bench_die("waiting for the end", (long)atomic_load(&b->completed));
    }
}

int bench_connect(const bench *b)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(b->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) bench_die("connect", errno);
    return fd;
}

/* ---- the report ---- */

static void report_head(const bench *b)
{
    printf("{\"library\": \"%s\", \"work\": \"%s%s%s\", \"qos\": %d, \"payload\": %zu, \"count\": %" PRIu64,
           b->library->name, b->work, strcmp(b->work, "pub") == 0 && b->window == 0 ? "-burst" : "",
           b->ca == NULL ? "" : b->resume ? "-tls-resumed" : "-tls", b->qos, b->payload_length, b->count);
}

static void report_rate(uint64_t messages, uint64_t us, double cpu)
{
    printf(", \"rate\": %.0f, \"cpu_us\": %.3f", (double)messages * 1e6 / (double)(us != 0 ? us : 1),
           cpu / (double)messages);
}

static void report_tail(bench *b)
{
    if (b->stats && b->library->print_stats != NULL) b->library->print_stats(b);
    printf(", \"peak_rss_kib\": %ld}\n", peak_rss_kib());
}

void bench_report_run(bench *b, uint64_t begin_us)
{
    double cpu = cpu_us() - b->start_cpu_us;
    report_head(b);
    report_rate(b->count, b->end_us - begin_us, cpu);
    report_tail(b);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report_percentiles(uint64_t *samples, uint64_t n)
{
    qsort(samples, n, sizeof samples[0], compare_u64);
    printf(", \"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64, samples[n / 2], samples[(n * 99 + 99) / 100 - 1]);
}

/* ---- the works ---- */

/* QoS 0 has no answer: a last message of QoS 1 proves that all before it were consumed. */
static void run_pub(bench *b)
{
    atomic_store(&b->free_slots, (int_fast64_t)b->window);
    b->target = b->count + (b->qos == 0 ? 1 : 0);
    b->library->open(b, false);
    bench_start(b);
    for (uint64_t i = 0; i < b->count; i++) {
        if (b->window != 0) take_slot(b);
        b->library->publish(b, b->qos);
    }
    if (b->qos == 0) b->library->publish(b, 1);
    wait_finished(b);
    bench_stop(b);
    bench_report_run(b, b->start_us);
}

/* The sink sends as fast as it can once it is subscribed to. */
static void run_sub(bench *b)
{
    char filter[128];
    snprintf(filter, sizeof filter, "blast/%d/%zu/%" PRIu64 "/%u", b->qos, b->payload_length, b->count,
             b->window != 0 ? b->window : BENCH_INFLIGHT);
    b->target = b->count;
    b->library->open(b, false);
    bench_start(b);
    b->library->subscribe(b, filter, b->qos);
    wait_finished(b);
    if (b->received_bytes != b->count * b->payload_length) bench_die("counting bytes", (long)b->received_bytes);
    bench_report_run(b, b->first_us);
}

static void run_round_trips(bench *b, unsigned idle_ms)
{
    uint64_t *samples = calloc(b->count, sizeof samples[0]);
    if (samples == NULL) bench_die("calloc", 0);
    uint64_t busy_us = 0;
    b->window = 0;
    b->library->open(b, false);
    b->library->publish_wait(b);
    bench_start(b);
    for (uint64_t i = 0; i < b->count; i++) {
        if (idle_ms != 0) usleep(idle_ms * 1000);
        uint64_t begin = bench_now_us();
        b->library->publish_wait(b);
        samples[i] = bench_now_us() - begin;
        busy_us += samples[i];
    }
    double cpu = cpu_us() - b->start_cpu_us;
    report_head(b);
    report_rate(b->count, busy_us, cpu);
    report_percentiles(samples, b->count);
    report_tail(b);
    free(samples);
}

static void run_roundtrip(bench *b)
{
    run_round_trips(b, 0);
}

static void run_latency(bench *b)
{
    run_round_trips(b, b->idle_ms);
}

/* Time and memory of messages that are queued without a connection. */
static void run_offline(bench *b)
{
    b->window = 0;
    b->target = UINT64_MAX;
    b->library->open(b, true);
    size_t heap = bench_heap_bytes(), rss = rss_bytes();
    bench_start(b);
    for (uint64_t i = 0; i < b->count; i++)
        b->library->publish(b, b->qos);
    bench_stop(b);
    double cpu = cpu_us() - b->start_cpu_us;
    double n = (double)b->count;
    report_head(b);
    report_rate(b->count, b->end_us - b->start_us, cpu);
    printf(", \"us_each\": %.3f, \"heap_bytes_each\": %.1f, \"rss_bytes_each\": %.1f",
           (double)(b->end_us - b->start_us) / n, (double)(bench_heap_bytes() - heap) / n,
           (double)(rss_bytes() - rss) / n);
    report_tail(b);
}

static void run_idle(bench *b)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    size_t heap = bench_heap_bytes(), rss = rss_bytes();
    bench_start(b);
    b->library->open_many(b);
    bench_stop(b);
    double cpu = cpu_us() - b->start_cpu_us, n = (double)b->count;
    double heap_each = (double)(bench_heap_bytes() - heap) / n, rss_each = (double)(rss_bytes() - rss) / n;
    double idle_cpu = cpu_us();
    usleep(b->idle_ms * 1000);
    idle_cpu = cpu_us() - idle_cpu;
    report_head(b);
    report_rate(b->count, b->end_us - b->start_us, cpu);
    printf(", \"heap_bytes_each\": %.0f, \"rss_bytes_each\": %.0f, \"idle_cpu_percent\": %.3f", heap_each, rss_each,
           b->idle_ms != 0 ? idle_cpu / (b->idle_ms * 10.0) : 0.0);
    report_tail(b);
}

/* Connections made and ended one after the other; the first is not counted. */
static void run_handshakes(bench *b)
{
    b->library->open(b, true);
    b->library->reconnect(b);
    bench_start(b);
    for (uint64_t i = 0; i < b->count; i++)
        b->library->reconnect(b);
    bench_stop(b);
    bench_report_run(b, b->start_us);
}

/* ---- the command line ---- */

typedef struct work {
    const char *name;
    void (*run)(bench *b);
    bool offered;
} work;

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s --port P --work pub|sub|roundtrip|latency|offline|idle|handshake [--qos Q] [--payload BYTES]\n"
            "       [--count N] [--window W | --burst] [--idle-ms MS] [--tls CAFILE [--resume] | --ws] [--stats]\n",
            program);
    exit(2);
}

static void parse(bench *b, int argc, char **argv)
{
    static const struct option options[] = {
        {"tls", required_argument, NULL, 't'},     {"resume", no_argument, NULL, 'r'},
        {"port", required_argument, NULL, 'p'},    {"work", required_argument, NULL, 'w'},
        {"qos", required_argument, NULL, 'q'},     {"payload", required_argument, NULL, 'l'},
        {"count", required_argument, NULL, 'n'},   {"window", required_argument, NULL, 'W'},
        {"burst", no_argument, NULL, 'b'},         {"idle-ms", required_argument, NULL, 'i'},
        {"stats", no_argument, NULL, 's'},         {"ws", no_argument, NULL, 'S'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': b->port = (uint16_t)atoi(optarg); break;
        case 'w': b->work = optarg; break;
        case 'q': b->qos = atoi(optarg); break;
        case 'l': b->payload_length = strtoul(optarg, NULL, 10); break;
        case 'n': b->count = strtoull(optarg, NULL, 10); break;
        case 'W': b->window = (unsigned)atoi(optarg); break;
        case 'b': b->window = 0; break;
        case 's': b->stats = true; break;
        case 't': b->ca = optarg; break;
        case 'r': b->resume = true; break;
        case 'S': b->websocket = true; break;
        case 'i': b->idle_ms = (unsigned)atoi(optarg); break;
        default: usage(argv[0]);
        }
    }
    if (b->work == NULL || b->port == 0 || b->count == 0 || b->qos < 0 || b->qos > 2) usage(argv[0]);
}

static void run(bench *b)
{
    const bench_library *l = b->library;
    const work works[] = {
        {"pub", l->run_pub != NULL ? l->run_pub : run_pub, l->run_pub != NULL || l->publish != NULL},
        {"sub", l->run_sub != NULL ? l->run_sub : run_sub, l->run_sub != NULL || l->subscribe != NULL},
        {"roundtrip", run_roundtrip, l->publish_wait != NULL},
        {"latency", run_latency, l->publish_wait != NULL},
        {"offline", run_offline, l->publish != NULL},
        {"idle", run_idle, l->open_many != NULL},
        {"handshake", run_handshakes, l->reconnect != NULL},
    };
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (strcmp(works[i].name, b->work) != 0) continue;
        if (!works[i].offered) bench_die("finding this work in the library", 0);
        works[i].run(b);
        return;
    }
    bench_die("knowing this work", 0);
}

int bench_main(int argc, char **argv, const bench_library *library)
{
    bench b = {.library = library, .count = 100000, .payload_length = 256, .window = BENCH_INFLIGHT,
               .idle_ms = 2000, .topic = "bench/topic"};
    parse(&b, argc, argv);
    sem_init(&b.room, 0, 0);
    sem_init(&b.finished, 0, 0);
    b.payload = malloc(b.payload_length + 1);
    if (b.payload == NULL) bench_die("malloc", 0);
    memset(b.payload, 'x', b.payload_length + 1);
    run(&b);
    fflush(stdout);
    if (library->close != NULL) library->close(&b);
    free(b.payload);
    return 0;
}
