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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_are_encoded),
        cmocka_unit_test(every_group_of_bits_has_its_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
