/* UTF-8: every sequence of up to three bytes and the edges of four, against a decoder of code
 * points. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/utf8.h"

/* Encodes a code point; returns its bytes. */
static size_t put(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
    out[0] = (uint8_t)((0xF00 >> len & 0xFF) | point);
    return len;
}

/* [MQTT5-1.5.4-1] [MQTT5-1.5.4-2]: all code points but U+0000 and the surrogates. */
static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x110000; point++) {
        uint8_t text[4];
        size_t len = put(point, text);
        bool good = point != 0 && point < 0x110000 && (point < 0xD800 || point > 0xDFFF);
        if (tern__utf8_valid(text, len) != good) print_error("U+%04X\n", (unsigned)point);
        assert_int_equal(tern__utf8_valid(text, len), good);
        if (good && len > 1) assert_false(tern__utf8_valid(text, len - 1));
    }
}

/* Of all sequences of three bytes exactly so many are good as there are ways to write them. */
static void every_three_bytes(void **state)
{
    (void)state;
    unsigned long good = 0;
    for (uint32_t word = 0; word < 1u << 24; word++) {
        const uint8_t text[3] = {(uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
        good += tern__utf8_valid(text, 3);
    }
    const unsigned long ones = 127;
    const unsigned long twos = 0x800 - 0x80;
    const unsigned long threes = 0x10000 - 0x800 - 0x800;
    assert_int_equal(good, ones * ones * ones + 2 * ones * twos + threes);
}

/* A bad byte is found in each place of a long text, in a block of exactly its size. */
static void every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++)
        for (size_t place = 0; place < len; place++) {
            uint8_t *text = malloc(len);
            assert_non_null(text);
            memset(text, 'a', len);
            assert_true(tern__utf8_valid(text, len));
            text[place] = 0;
            assert_false(tern__utf8_valid(text, len));
            text[place] = 0xC3;
            assert_false(tern__utf8_valid(text, len));
            if (place + 1 < len) {
                text[place + 1] = 0xA4;
                assert_true(tern__utf8_valid(text, len));
            }
            free(text);
        }
    assert_true(tern__utf8_valid("", 0));
    assert_true(tern__utf8_valid("\xEF\xBB\xBF", 3)); /* [MQTT5-1.5.4-3] */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(every_three_bytes),
        cmocka_unit_test(every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
