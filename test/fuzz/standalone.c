/* A fuzzing loop for compilers without libFuzzer: mutates a built-in corpus from a seed, for so
 * many seconds. SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 512 };

/* A first byte that targets may take as a choice of version and sender, then what it is about. */
#define SEED(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
static const struct seed {
    const uint8_t *data;
    size_t len;
} corpus[] = {
    SEED("\x00"),
    SEED("\x01\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"),
    SEED("\x01\x10\x17\x00\x04MQTT\x04\xee\x00\x3c\x00\x00\x00\x01t\x00\x01m\x00\x01u\x00\x01p"),
    SEED("\x03\x20\x0d\x00\x00\x0a\x21\x00\x0a\x24\x01\x26\x00\x00\x00\x00"),
    SEED("\x03\x20\x03\x00\x00\x00\x90\x04\x00\x01\x00\x01\xd0\x00\x30\x06\x00\x01t\x00hi"),
    SEED("\x03\x3d\x17\x00\x03"
         "a/b\x12\x34\x0b\x01\x01\x0b\x05\x26\x00\x01k\x00\x01vbody"),
    SEED("\x03\x40\x09\x00\x01\x00\x05\x1f\x00\x02no\x62\x03\x00\x01\x92"),
    SEED("\x01\x82\x10\x00\x02\x02\x0b\x07\x00\x03"
         "a/#\x01\x00\x01+\x2a"),
    SEED("\x01\xa2\x09\x00\x01\x00\x00\x01t\x00\x01#"),
    SEED("\x03\xf0\x0a\x18\x08\x15\x00\x01m\x16\x00\x01"
         "d\xe0\x01\x8b"),
    SEED("\x02\x20\x02\x01\x00\x90\x05\x00\x01\x00\x02\x80\x32\x06\x00\x01t\x00\x07x"),
    SEED("\x06sport/+/player/#"),
    SEED("\x06$share/group/a/+/b/#"),
    SEED("\x03\xc3\xa4/\xe2\x82\xac/x"),
    SEED("mqtt://user:pass@[::1]:1883/path?query"),
    SEED("unix:///run/broker.sock"),
    SEED("http://user:pass@[::1]:3128"),
    SEED("socks5h://u%3Av:p@proxy:1080"),
    SEED(".example.com, 10.0.0.0/8 [::1]:1883,*"),
    SEED("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: a, Upgrade\r\n\r\n"),
    SEED("\x10HTTP/1.1 407 Log in\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\nwhy"),
    SEED("\x12HTTP/1.0 200 OK\r\nVia: x\r\n\r\nrest"),
    SEED("\x1DHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    SEED("\x05\x05\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x12\x34rest"),
    SEED("\x0b\x05\x02\x01\x00\x05\x00\x00\x03\x04host\x12\x34rest"),
    SEED("\x07\x05\x02\x01\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"),
    SEED("\x0a\x02\x02hi\x89\x03you\x80\x01!\x82\x00\x8a\x00\x88\x05\x03\xe9"
         "bye"),
    SEED("\x41\x82\x7e\x00\x7e"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\x88\x02\x03\xe8"),
    SEED("\x09\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00\x81\x01t"),
    SEED("[{\"topic\":\"a\",\"payload\":\"x\",\"qos\":1,\"timestamp\":1.5},{\"topic\":\"b/c\",\"payload\":\"AP8=\",\"encoding\":\"base64\"}]"),
    SEED("[{\"topic\":\"a\",\"payload\":\"\\u0000\\ud83d\\ude00\",\"qos\":2},{\"topic\":\"+\",\"payload\":[]},{\"payload\":null}]"),
    SEED("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00"
         "\x80\x88\xf9\xe5\x11\x00\x00\x00"), /* a gzip member */
    SEED("\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\xff\x03\x00\x61\x62\x63\x6e\x61\x6d\x65\x00"
         "\x77\x68\x79\x00\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00\x80\x88\xf9\xe5\x11\x00"
         "\x00\x00"), /* one with a name, a comment and an extra field */
    SEED("{\"compressed\": true}"),
    SEED("{\"compressed\": true, \"encoding\": \"gzip\", \"original_size\": 490, \"compressed_size\": 71, \"crc32\": 305419896, "
         "\"seq\": 1}"),
    SEED("{\"compressed\": false, \"original_size\": 3, \"seq\": 1e3}"),
    SEED("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xac"
         "\xeb\x5f\xc2\x1a\x1e\x40\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\xaf\x06\x87\xfa\xe2\x1b\xa0\x86\x01\x00"), /* 100,000 bytes in few */
};
enum { CORPUS = sizeof corpus / sizeof corpus[0] };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit != 0 ? (size_t)(next_random(state) >> 11) % limit : 0;
}

/* One change: a bit, a byte, an interesting byte, a cut, a doubling, or a piece of another seed. */
static size_t mutate(uint8_t *data, size_t len, uint64_t *state)
{
    static const uint8_t interesting[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, 0x26,
                                          0x1F, 0x0B, '+',  '#',  '/',  '$'};
    size_t at = below(state, len);
    size_t span = 1 + below(state, 8);
    const struct seed *other = &corpus[below(state, CORPUS)];
    switch (below(state, 7)) {
    case 0:
        if (len != 0) data[at] ^= (uint8_t)(1u << below(state, 8));
        return len;
    case 1:
        if (len != 0) data[at] = (uint8_t)next_random(state);
        return len;
    case 2:
        if (len != 0) data[at] = interesting[below(state, sizeof interesting)];
        return len;
    case 3:
        if (span > len - at) span = len - at;
        memmove(data + at, data + at + span, len - at - span);
        return len - span;
    case 4:
        if (span > len - at || len + span > INPUT_MAX) return len;
        memmove(data + at + span, data + at, len - at);
        return len + span;
    case 5:
        if (len + other->len > INPUT_MAX) return len;
        memcpy(data + len, other->data, other->len);
        return len + other->len;
    default:
        if (len > 2) data[2] = (uint8_t)(len - 3); /* a remaining length that fits */
        return len;
    }
}

/* In a heap block of exactly its size, so that the address sanitizer sees a read beyond. */
static void run_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len != 0 ? len : 1);
    if (copy == NULL) return;
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static uint64_t fuzz(time_t seconds, uint64_t seed)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    uint64_t runs = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end;)
        for (int i = 0; i < 1000; i++, runs++) {
            uint8_t data[INPUT_MAX];
            const struct seed *start = &corpus[below(&state, CORPUS)];
            memcpy(data, start->data, start->len);
            size_t len = start->len;
            for (size_t changes = 1 + below(&state, 6); changes > 0; changes--)
                len = mutate(data, len, &state);
            run_one(data, len);
        }
    return runs;
}

/* A file that once broke a target is tried again by its name. */
static int run_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t len = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    run_one(data, len);
    return 0;
}

int main(int argc, char **argv)
{
    long seconds = 1;
    unsigned long seed = 1;
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-seconds=", 9) == 0)
            seconds = strtol(argv[i] + 9, NULL, 10);
        else if (strncmp(argv[i], "-seed=", 6) == 0)
            seed = strtoul(argv[i] + 6, NULL, 10);
        else
            bad |= run_file(argv[i]);
    }
    for (size_t i = 0; i < CORPUS; i++)
        run_one(corpus[i].data, corpus[i].len);
    uint64_t runs = fuzz((time_t)seconds, seed);
    printf("%llu inputs, seed %lu\n", (unsigned long long)runs, seed);
    return bad;
}
