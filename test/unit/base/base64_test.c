/* Base64 against the vectors of RFC 4648.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <string.h>

#include "base/base64.h"

typedef struct row {
    const char *data;
    const char *text;
} row;

/* Section 10. */
static void known_texts_are_encoded(void **state)
{
    (void)state;
    static const row rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 section 2 */
        {"\xFB\xFF\xBF\xFE", "+/+//g=="},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        memset(text, 'x', sizeof text);
        tern__base64_encode(rows[i].data, strlen(rows[i].data), text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(strlen(text) + 1, TERN__BASE64_SIZE(strlen(rows[i].data)));
    }
}

static void every_group_of_bits_has_its_letter(void **state)
{
    (void)state;
    uint8_t data[48];
    char text[TERN__BASE64_SIZE(sizeof data)];
    for (unsigned i = 0; i < 64; i += 4) {
        data[i / 4 * 3] = (uint8_t)(i << 2 | (i + 1) >> 4);
        data[i / 4 * 3 + 1] = (uint8_t)((i + 1) << 4 | (i + 2) >> 2);
        data[i / 4 * 3 + 2] = (uint8_t)((i + 2) << 6 | (i + 3));
    }
    tern__base64_encode(data, sizeof data, text);
    assert_string_equal(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

/* RFC 4648 section 10, and every text that is not of its kind. */
static void texts_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *data; /* NULL: none */
        size_t bad;
    } rows[] = {
        {"", "", 0},           {"Zg==", "f", 0},       {"Zm8=", "fo", 0},     {"Zm9v", "foo", 0},     {"Zm9vYg==", "foob", 0},
        {"Zm9vYmFy", "foobar", 0}, {"Zg=", NULL, 3},   {"Zg", NULL, 2},       {"Z", NULL, 1},         {"Zm9vY", NULL, 5},
        {"Zm9vYmF", NULL, 7},  {"Zh==", NULL, 2},      {"Zm9=", NULL, 3},     {"====", NULL, 0},      {"Z===", NULL, 1},
        {"Zm 9", NULL, 2},     {"Zg==Zg==", NULL, 2},  {"Zm9-", NULL, 3},     {"\xC3\xBCxx", NULL, 0}, {"=", NULL, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t data[16];
        size_t count = 99;
        size_t bad = 0;
        memset(data, 0xEE, sizeof data);
        bool fine = tern__base64_decode(rows[i].text, strlen(rows[i].text), data, &count, &bad);
        assert_int_equal(fine, rows[i].data != NULL);
        assert_int_equal(data[TERN__BASE64_BYTES(strlen(rows[i].text))], 0xEE);
        if (!fine) {
            assert_int_equal(bad, rows[i].bad);
            continue;
        }
        assert_int_equal(count, strlen(rows[i].data));
        assert_memory_equal(data, rows[i].data, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_are_encoded),
        cmocka_unit_test(every_group_of_bits_has_its_letter),
        cmocka_unit_test(texts_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
