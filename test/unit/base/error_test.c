/* The table of errors.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <tern/types.h>

static void the_table_can_be_enumerated(void **state)
{
    (void)state;
    size_t count = tern_error_count();
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        int error = tern_error_at(i);
        assert_true(error < 0);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(tern_error_at(j), error);
        assert_int_equal(strncmp(tern_error_name(error), "TERN_E_", 7), 0);
        assert_true(strlen(tern_strerror(error)) > 5);
        assert_int_not_equal(tern_error_class_of(error), TERN_CLASS_NONE);
    }
    assert_int_equal(tern_error_at(count), 0);
    assert_int_equal(tern_error_at((size_t)-1), 0);
}

static void what_is_no_error_is_answered_too(void **state)
{
    (void)state;
    static const int others[] = {0, 1, -1000, 255, -2147483647 - 1, 2147483647};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_non_null(tern_strerror(others[i]));
        assert_non_null(tern_error_name(others[i]));
        assert_int_equal(tern_error_class_of(others[i]), TERN_CLASS_NONE);
    }
    assert_string_equal(tern_error_name(TERN_E_TIMEOUT), "TERN_E_TIMEOUT");
    assert_int_equal(tern_error_class_of(TERN_E_TIMEOUT), TERN_CLASS_TIMEOUT);
    assert_int_equal(tern_error_class_of(TERN_E_REFUSED), TERN_CLASS_REFUSED);
}

static void outcomes_and_causes_have_names(void **state)
{
    (void)state;
    assert_string_equal(tern_outcome_name(TERN_OUTCOME_DELIVERED), "DELIVERED");
    assert_string_equal(tern_outcome_name(TERN_OUTCOME_UNKNOWN), "UNKNOWN");
    assert_string_equal(tern_outcome_name((tern_outcome)99), "?");
    assert_string_equal(tern_cause_name(TERN_CAUSE_SESSION_LOST), "session lost");
    assert_string_equal(tern_cause_name((tern_cause)-1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_can_be_enumerated),
        cmocka_unit_test(what_is_no_error_is_answered_too),
        cmocka_unit_test(outcomes_and_causes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
