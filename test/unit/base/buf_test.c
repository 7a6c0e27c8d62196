/* The growable buffer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <tern/error.h>

#include "base/buf.h"

static void grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    tern__buf buf;
    tern__buf_init(&buf);
    assert_null(buf.data);
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(tern__buf_append(&buf, &byte, 1), 0);
        assert_true(buf.len <= buf.cap);
    }
    assert_int_equal(buf.len, 10000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(buf.data[i], (uint8_t)i);
    tern__buf_consume(&buf, 9990);
    assert_int_equal(buf.len, 10);
    assert_int_equal(buf.data[0], (uint8_t)9990);
    tern__buf_consume(&buf, 10);
    assert_int_equal(buf.len, 0);
    tern__buf_deinit(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
}

static void room_is_what_was_asked_for(void **state)
{
    (void)state;
    tern__buf buf;
    tern__buf_init(&buf);
    assert_int_equal(tern__buf_append(&buf, NULL, 0), 0);
    assert_int_equal(tern__buf_reserve(&buf, 1000), 0);
    assert_true(buf.cap >= 1000);
    assert_int_equal(buf.len, 0);
    const uint8_t *data = buf.data;
    assert_int_equal(tern__buf_reserve(&buf, 1000), 0);
    assert_ptr_equal(buf.data, data);
    tern__buf_deinit(&buf);
}

/* [C19]: beyond what memory can hold the buffer stays as it was. */
static void too_much_leaves_it_alone(void **state)
{
    (void)state;
    tern__buf buf;
    tern__buf_init(&buf);
    assert_int_equal(tern__buf_append(&buf, "abc", 3), 0);
    const uint8_t *data = buf.data;
    assert_int_equal(tern__buf_reserve(&buf, SIZE_MAX), TERN_E_NOMEM);
    assert_int_equal(tern__buf_reserve(&buf, SIZE_MAX / 2), TERN_E_NOMEM);
    assert_ptr_equal(buf.data, data);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "abc", 3);
    tern__buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    tern__buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_its_bytes),
        cmocka_unit_test(room_is_what_was_asked_for),
        cmocka_unit_test(too_much_leaves_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
