/* What compressing telemetry costs and saves: JSON of 200 B, 2 KB and 64 KB, with zlib's state kept or made anew for each message.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "payload/gzip.h"

enum { MESSAGES = 32, LARGEST = 64 << 10, RECORD_MAX = 256, WIRE_MAX = LARGEST + 1024 };

typedef struct payload {
    char text[LARGEST + RECORD_MAX];
    uint8_t wire[WIRE_MAX];
    size_t len;
    size_t wire_len;
} payload;

typedef struct work {
    payload *payloads;
    tern__gzip *kept; /* NULL: each message has a state of its own */
    int level;
} work;

typedef int (*step)(const work *job, tern__gzip *gzip, size_t which);

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* A reading as a device sends it: names that repeat, numbers that wander. */
static size_t write_reading(char *text, size_t room, uint64_t *state, unsigned second)
{
    static const char *const status[] = {"ok", "ok", "ok", "warning", "calibrating"};
    int len = snprintf(text, room,
                       "{\"site\":\"plant-7\",\"device\":\"sensor-%04" PRIu32 "\",\"unit\":\"C\",\"time\":\"2026-03-14T09:%02u:%02u.%03" PRIu32 "Z\",\"temperature\":%" PRIu32
                       ".%02" PRIu32 ",\"humidity\":%" PRIu32 ".%" PRIu32 ",\"pressure\":10%02" PRIu32 ".%" PRIu32
                       ",\"battery\":3.%03" PRIu32 ",\"rssi\":-%" PRIu32 ",\"status\":\"%s\",\"seq\":%u}",
                       next_random(state) % 500, second / 60 % 60, second % 60, next_random(state) % 1000,
                       18 + next_random(state) % 9, next_random(state) % 100, 35 + next_random(state) % 30,
                       next_random(state) % 10, next_random(state) % 40, next_random(state) % 10,
                       600 + next_random(state) % 300, 40 + next_random(state) % 50, status[next_random(state) % 5],
                       100000 + second);
    return (size_t)len;
}

/* One reading for the small message, an array of them for the others: as many as come nearest to the size. */
static void write_payload(payload *it, size_t size, uint64_t *state)
{
    unsigned second = next_random(state) % 3600;
    it->len = 0;
    bool is_array = size > RECORD_MAX;
    if (is_array) it->text[it->len++] = '[';
    do {
        if (it->len > 1) it->text[it->len++] = ',';
        it->len += write_reading(it->text + it->len, sizeof it->text - it->len, state, second++);
    } while (it->len + RECORD_MAX / 2 < size);
    if (is_array) it->text[it->len++] = ']';
}

static int compress_one(const work *job, tern__gzip *gzip, size_t which)
{
    payload *it = &job->payloads[which];
    tern__buf *out = NULL;
    int rc = tern__gzip_deflate(gzip, it->text, it->len, WIRE_MAX - 1, &out);
    if (rc != 0) return rc;
    it->wire_len = out->len;
    memcpy(it->wire, out->data, out->len);
    return 0;
}

static int inflate_one(const work *job, tern__gzip *gzip, size_t which)
{
    const payload *it = &job->payloads[which];
    const tern__gzip_limits limits = {2 * LARGEST, 2000};
    tern__buf *out = NULL;
    int rc = tern__gzip_inflate(gzip, it->wire, it->wire_len, &limits, &out);
    return rc == 0 && (out->len != it->len || memcmp(out->data, it->text, it->len) != 0) ? -1 : rc;
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_one(const work *job, step call, size_t which)
{
    tern__gzip *gzip = job->kept != NULL ? job->kept : tern__gzip_new(job->level);
    if (gzip == NULL || call(job, gzip, which) != 0) {
        (void)fprintf(stderr, "bench_compress: zlib failed\n");
        exit(1);
    }
    if (job->kept == NULL) tern__gzip_free(gzip);
}

/* Messages a second. */
static double rate(const work *job, step call, double seconds)
{
    uint64_t count = 0;
    double begin = seconds_now();
    double end = begin;
    while (end - begin < seconds) {
        for (size_t i = 0; i < MESSAGES; i++) run_one(job, call, i);
        count += MESSAGES;
        end = seconds_now();
    }
    return (double)count / (end - begin);
}

static void print_rate(double messages, double mean)
{
    printf(" %.1f MB/s, %.0f/s |", messages * mean / 1e6, messages);
}

static void run_level(payload *payloads, size_t size, int level, double seconds)
{
    work fresh = {payloads, NULL, level};
    work kept = {payloads, tern__gzip_new(level), level};
    double before = 0;
    double after = 0;
    if (kept.kept == NULL) exit(1);
    for (size_t i = 0; i < MESSAGES; i++) {
        run_one(&kept, compress_one, i);
        before += (double)payloads[i].len;
        after += (double)payloads[i].wire_len;
    }
    double mean = before / MESSAGES;
    printf("| %zu | %.0f | %d | %.2f |", size, mean, level, before / after);
    print_rate(rate(&kept, compress_one, seconds), mean);
    print_rate(rate(&fresh, compress_one, seconds), mean);
    print_rate(rate(&kept, inflate_one, seconds), mean);
    print_rate(rate(&fresh, inflate_one, seconds), mean);
    printf("\n");
    (void)fflush(stdout);
    tern__gzip_free(kept.kept);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {200, 2 << 10, LARGEST};
    static const int levels[] = {1, 6, 9};
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    payload *payloads = calloc(MESSAGES, sizeof *payloads);
    if (payloads == NULL || !(seconds > 0)) {
        (void)fprintf(stderr, "usage: bench_compress [seconds for each figure]\n");
        return 1;
    }
    printf("| size | mean bytes | level | ratio | compress, kept state | compress, new state | inflate, kept state | inflate, new state |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t state = 1;
        for (size_t k = 0; k < MESSAGES; k++) write_payload(&payloads[k], sizes[i], &state);
        for (size_t k = 0; k < sizeof levels / sizeof levels[0]; k++) run_level(payloads, sizes[i], levels[k], seconds);
    }
    free(payloads);
    return 0;
}
