/* gzip members: made the same each time, read whole or refused, within their limits, with memory that may run out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <tern/error.h>

#include "base/buf.h"
#include "payload/gzip.h"
#include "support/failing.h"

enum { BIG = 300000 };

static const tern__gzip_limits wide = {64 << 20, 100000};

/* JSON as a sensor sends it: compressible, and nowhere the same. */
static void telemetry(char *text, size_t len, unsigned seed)
{
    size_t at = 0;
    while (at < len) {
        char line[120];
        int n = snprintf(line, sizeof line, "{\"sensor\":%u,\"temperature\":%.2f,\"unit\":\"C\"},", seed % 97,
                         20 + (seed % 1000) / 100.0);
        seed = seed * 1664525u + 1013904223u;
        for (int i = 0; i < n && at < len; i++) text[at++] = line[i];
    }
}

static size_t pack(tern__gzip *gzip, const void *data, size_t len, uint8_t *to, size_t size)
{
    tern__buf *out;
    assert_int_equal(tern__gzip_deflate(gzip, data, len, size, &out), 0);
    memcpy(to, out->data, out->len);
    return out->len;
}

static void whatever_goes_in_comes_out(void **state)
{
    (void)state;
    static char text[BIG];
    static uint8_t packed[BIG + 1000];
    static const size_t sizes[] = {0, 1, 2, 17, 100, 4096, 65535, 65536, 65537, BIG};
    for (int level = 1; level <= 9; level += 4) {
        tern__gzip *gzip = tern__gzip_new(level);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            tern__buf *out;
            telemetry(text, sizes[i], (unsigned)i);
            size_t len = pack(gzip, text, sizes[i], packed, sizeof packed);
            assert_true(tern__gzip_begins(packed, len));
            assert_int_equal(tern__gzip_inflate(gzip, packed, len, &wide, &out), 0);
            assert_int_equal(out->len, sizes[i]);
            if (sizes[i] != 0) assert_memory_equal(out->data, text, sizes[i]);
        }
        tern__gzip_free(gzip);
    }
}

/* The same bytes from a new state and from one that was used, and no time, name or system in the header. */
static void the_same_data_gives_the_same_bytes(void **state)
{
    (void)state;
    static char text[5000];
    static uint8_t packed[3][5000];
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    tern__gzip *gzip = tern__gzip_new(6);
    tern__gzip *other = tern__gzip_new(6);
    telemetry(text, sizeof text, 5);
    size_t first = pack(gzip, text, sizeof text, packed[0], sizeof packed[0]);
    (void)pack(gzip, "something else", 14, packed[1], sizeof packed[1]);
    assert_int_equal(pack(gzip, text, sizeof text, packed[1], sizeof packed[1]), first);
    assert_int_equal(pack(other, text, sizeof text, packed[2], sizeof packed[2]), first);
    assert_memory_equal(packed[0], packed[1], first);
    assert_memory_equal(packed[0], packed[2], first);
    assert_memory_equal(packed[0], header, sizeof header);
    tern__gzip_free(gzip);
    tern__gzip_free(other);
}

/* What does not fit is not made; the state works on. */
static void what_takes_too_much_is_not_made(void **state)
{
    (void)state;
    uint8_t noise[1000];
    tern__buf *out;
    tern__gzip *gzip = tern__gzip_new(9);
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    assert_int_equal(tern__gzip_deflate(gzip, noise, sizeof noise, 900, &out), TERN_E_TOO_LARGE);
    assert_int_equal(tern__gzip_deflate(gzip, noise, sizeof noise, 0, &out), TERN_E_TOO_LARGE);
    assert_int_equal(tern__gzip_deflate(gzip, noise, sizeof noise, 1100, &out), 0);
    tern__gzip_free(gzip);
}

static void everything_broken_is_noticed(void **state)
{
    (void)state;
    char text[600];
    uint8_t packed[700];
    uint8_t bad[1400];
    tern__buf *out;
    tern__gzip *gzip = tern__gzip_new(6);
    telemetry(text, sizeof text, 9);
    size_t len = pack(gzip, text, sizeof text, packed, sizeof packed);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(tern__gzip_inflate(gzip, packed, cut, &wide, &out), TERN_E_MALFORMED);
    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, packed, len);
            bad[at] ^= (uint8_t)(1 << bit);
            if (tern__gzip_inflate(gzip, bad, len, &wide, &out) != 0) continue;
            /* Flags, time, level and system in the header, and the bits behind the end of the last block: the data is right. */
            assert_true((at >= 3 && at <= 9) || at == len - 9);
            assert_int_equal(out->len, sizeof text);
            assert_memory_equal(out->data, text, sizeof text);
        }
    }
    memcpy(bad, packed, len);
    memcpy(bad + len, packed, len);
    assert_int_equal(tern__gzip_inflate(gzip, bad, 2 * len, &wide, &out), TERN_E_MALFORMED); /* two members */
    assert_int_equal(tern__gzip_inflate(gzip, bad, len + 1, &wide, &out), TERN_E_MALFORMED); /* something behind */
    assert_int_equal(tern__gzip_inflate(gzip, "", 0, &wide, &out), TERN_E_MALFORMED);
    assert_int_equal(tern__gzip_inflate(gzip, text, sizeof text, &wide, &out), TERN_E_MALFORMED);
    assert_int_equal(tern__gzip_inflate(gzip, packed, len, &wide, &out), 0); /* and works on */
    tern__gzip_free(gzip);
}

/* [C10] A bomb stops at its limit, whichever it is, and never holds more than twice that. */
static void bombs_stop_at_the_limit(void **state)
{
    (void)state;
    enum { BOMB = 64 << 20, LIMIT = 1 << 20 };
    tern__buf *out;
    tern__gzip *gzip = tern__gzip_new(9);
    tern__gzip *reader = tern__gzip_new(6);
    uint8_t *zeros = calloc(1, BOMB);
    uint8_t *bomb = malloc(BOMB / 500);
    assert_true(zeros != NULL && bomb != NULL);
    size_t len = pack(gzip, zeros, BOMB, bomb, BOMB / 500);
    const tern__gzip_limits by_bytes = {LIMIT, 100000};
    assert_int_equal(tern__gzip_inflate(reader, bomb, len, &by_bytes, &out), TERN_E_TOO_LARGE);
    assert_true(out->cap <= LIMIT);
    const tern__gzip_limits by_ratio = {SIZE_MAX / 4, 20};
    assert_int_equal(tern__gzip_inflate(reader, bomb, len, &by_ratio, &out), TERN_E_TOO_LARGE);
    assert_true(out->cap <= 20 * len);
    tern__gzip_rest(reader);
    assert_int_equal(out->cap, 0); /* nothing large is held between messages */
    /* The ratio is asked beyond 64 KiB alone; and the limit itself is no excess. */
    size_t small = pack(gzip, zeros, 64 << 10, bomb, BOMB / 500);
    assert_int_equal(tern__gzip_inflate(reader, bomb, small, &(tern__gzip_limits){LIMIT, 1}, &out), 0);
    small = pack(gzip, zeros, (64 << 10) + 1, bomb, BOMB / 500);
    assert_int_equal(tern__gzip_inflate(reader, bomb, small, &(tern__gzip_limits){LIMIT, 1}, &out), TERN_E_TOO_LARGE);
    small = pack(gzip, zeros, LIMIT, bomb, BOMB / 500);
    assert_int_equal(tern__gzip_inflate(reader, bomb, small, &by_bytes, &out), 0);
    small = pack(gzip, zeros, LIMIT + 1, bomb, BOMB / 500);
    assert_int_equal(tern__gzip_inflate(reader, bomb, small, &by_bytes, &out), TERN_E_TOO_LARGE);
    free(zeros);
    free(bomb);
    tern__gzip_free(gzip);
    tern__gzip_free(reader);
}

/* [C19] */
static void memory_may_run_out(void **state)
{
    (void)state;
    static char text[BIG];
    static uint8_t packed[BIG];
    tern__gzip *maker = tern__gzip_new(6);
    telemetry(text, sizeof text, 3);
    size_t len = pack(maker, text, sizeof text, packed, sizeof packed);
    tern__gzip_free(maker);
    int rc = TERN_E_NOMEM;
    long n = 0;
    for (; rc != 0; n++) {
        tern__buf *out;
        failing_arm(n);
        tern__gzip *gzip = tern__gzip_new(6);
        rc = gzip == NULL ? TERN_E_NOMEM : tern__gzip_deflate(gzip, text, sizeof text, sizeof text, &out);
        if (rc == 0) rc = tern__gzip_inflate(gzip, packed, len, &wide, &out);
        bool failed = failing_disarm();
        assert_true(failed == (rc == TERN_E_NOMEM));
        if (gzip != NULL) { /* the next call works */
            assert_int_equal(tern__gzip_deflate(gzip, text, sizeof text, sizeof text, &out), 0);
            assert_int_equal(tern__gzip_inflate(gzip, packed, len, &wide, &out), 0);
        }
        tern__gzip_free(gzip);
        assert_true(n < 100);
    }
    assert_true(n > 5);
}

static void what_is_compressed_is_known(void **state)
{
    (void)state;
    assert_true(tern__gzip_is_pointless("\x1f\x8b\x08", 3));
    assert_true(tern__gzip_is_pointless("\x28\xb5\x2f\xfd..", 6));
    assert_true(tern__gzip_is_pointless("\xff\xd8\xff\xe0", 4));
    assert_true(tern__gzip_is_pointless("\x89PNG\r\n\x1a\n", 8));
    assert_false(tern__gzip_is_pointless("{\"a\":1}", 7));
    assert_false(tern__gzip_is_pointless("", 0));
    assert_false(tern__gzip_begins("\x1f\x8b", 2));
    assert_int_equal(tern__gzip_crc32("123456789", 9), 0xCBF43926);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_goes_in_comes_out), cmocka_unit_test(the_same_data_gives_the_same_bytes),
        cmocka_unit_test(what_takes_too_much_is_not_made), cmocka_unit_test(everything_broken_is_noticed),
        cmocka_unit_test(bombs_stop_at_the_limit), cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(what_is_compressed_is_known),
    };
#ifndef TERN_WITH_ZLIB
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
