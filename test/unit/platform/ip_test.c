/* IP addresses in text.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <string.h>

#include "platform/ip.h"

static void addresses_have_their_bytes(void **state)
{
    (void)state;
    uint8_t bytes[TERN__IPV6_LEN] = {0};
    static const uint8_t loopback[TERN__IPV6_LEN] = {[15] = 1};
    assert_int_equal(tern__ip_parse("10.0.255.1", bytes), TERN__IPV4_LEN);
    assert_memory_equal(bytes, "\x0A\x00\xFF\x01", TERN__IPV4_LEN);
    assert_int_equal(tern__ip_parse("::1", bytes), TERN__IPV6_LEN);
    assert_memory_equal(bytes, loopback, TERN__IPV6_LEN);
    assert_int_equal(tern__ip_parse("2001:DB8::ff", bytes), TERN__IPV6_LEN);
    assert_memory_equal(bytes, "\x20\x01\x0D\xB8", 4);
}

static void other_texts_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"",        "h",         "1.2.3",   "1.2.3.256", "1.2.3.4.5",
                                        "[::1]",   "::g",       "1.2.3.4:", "fe80::1%1", "010.1.1.1x",
                                        "1.2.3.4 ", ":",         "1::2::3"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t bytes[TERN__IPV6_LEN];
        assert_int_equal(tern__ip_parse(texts[i], bytes), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_their_bytes),
        cmocka_unit_test(other_texts_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
