/* Random bytes differ, and fill exactly what was asked for.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <string.h>

#include "platform/random.h"

static void fills_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 255, 256, 257, 4096, 100000};
    static uint8_t bytes[100000 + 16];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(bytes, 0xA5, sizeof bytes);
        assert_int_equal(tern__random(bytes, sizes[i]), 0);
        for (size_t k = 0; k < 16; k++)
            assert_int_equal(bytes[sizes[i] + k], 0xA5);
    }
}

static void draws_differ(void **state)
{
    (void)state;
    uint8_t first[32];
    uint8_t second[32];
    assert_int_equal(tern__random(first, sizeof first), 0);
    assert_int_equal(tern__random(second, sizeof second), 0);
    assert_memory_not_equal(first, second, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_any_size),
        cmocka_unit_test(draws_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
