/* Property bags: both ways between names, values and topics, against texts made with Python's urllib.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "cloud/azure.h"
#include "support/failing.h"

enum { MOST = 3 };

typedef struct row {
    const char *pairs[MOST][2]; /* up to a name NULL */
    const char *text;
} row;

static const row rows[] = {
    {{{"a", "b"}}, "a=b"},
    {{{"$.ct", "application/json"}, {"$.ce", "utf-8"}}, "$.ct=application%2Fjson&$.ce=utf-8"},
    {{{"key with space", "v&w=x/y?z#"}}, "key%20with%20space=v%26w%3Dx%2Fy%3Fz%23"},
    {{{"\xC3\xBC", "\xE2\x82\xAC 100%"}, {"empty", ""}, {"alone", NULL}}, "%C3%BC=%E2%82%AC%20100%25&empty=&alone"},
    {{{"tilde~-._", "A+B"}}, "tilde~-._=A%2BB"},
};

static void expect_same(const char *is, const char *want)
{
    if (want == NULL) {
        assert_null(is);
    } else {
        assert_non_null(is);
        assert_string_equal(is, want);
    }
}

static void expect_pairs(const tern_azure_properties *bag, const row *r)
{
    size_t i = 0;
    for (; i < MOST && r->pairs[i][0] != NULL; i++) {
        expect_same(tern_azure_properties_name(bag, i), r->pairs[i][0]);
        expect_same(tern_azure_properties_value(bag, i), r->pairs[i][1]);
        expect_same(tern_azure_properties_find(bag, r->pairs[i][0]), r->pairs[i][1]);
    }
    assert_int_equal(tern_azure_properties_count(bag), i);
    assert_null(tern_azure_properties_name(bag, i));
    assert_null(tern_azure_properties_value(bag, i));
}

static void both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern_azure_properties *bag = NULL;
        tern__buf out = {0};
        assert_int_equal(tern_azure_properties_new(&bag), 0);
        for (size_t n = 0; n < MOST && rows[i].pairs[n][0] != NULL; n++)
            assert_int_equal(tern_azure_properties_add(bag, rows[i].pairs[n][0], rows[i].pairs[n][1]), 0);
        expect_pairs(bag, &rows[i]);
        assert_int_equal(tern__azure_properties_write(bag, &out), 0);
        assert_int_equal(out.len, strlen(rows[i].text));
        assert_memory_equal(out.data, rows[i].text, out.len);
        tern_azure_properties_free(bag);
        tern_azure_properties read = {0};
        assert_int_equal(tern__azure_properties_read((const char *)out.data, out.len, &read), 0);
        expect_pairs(&read, &rows[i]);
        tern__azure_properties_deinit(&read);
        tern__buf_deinit(&out);
    }
}

/* What is no proper encoding is there as it came. */
static void broken_escapes_stay(void **state)
{
    (void)state;
    static const row broken[] = {
        {{{"%", "%4"}, {"%zz", "%00"}}, "%=%4&%zz=%00"},
        {{{"$.ct", "%FF"}, {"a", "b=c"}}, "&%24.ct=%FF&&a=b=c&"},
        {{{"x%41%4", "y"}}, "x%41%4=y"},
        {{{"", "v"}}, "=v"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        tern_azure_properties read = {0};
        assert_int_equal(tern__azure_properties_read(broken[i].text, strlen(broken[i].text), &read), 0);
        expect_pairs(&read, &broken[i]);
        tern__azure_properties_deinit(&read);
    }
}

static void arguments_are_checked(void **state)
{
    (void)state;
    static char large[70000];
    tern_azure_properties *bag = NULL;
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(tern_azure_properties_new(NULL), TERN_E_INVALID);
    assert_int_equal(tern_azure_properties_new(&bag), 0);
    assert_int_equal(tern_azure_properties_add(NULL, "a", "b"), TERN_E_INVALID);
    assert_int_equal(tern_azure_properties_add(bag, NULL, "b"), TERN_E_INVALID);
    assert_int_equal(tern_azure_properties_add(bag, "", "b"), TERN_E_INVALID);
    assert_int_equal(tern_azure_properties_add(bag, "\xFF", "b"), TERN_E_UTF8);
    assert_int_equal(tern_azure_properties_add(bag, "a", "\xFF"), TERN_E_UTF8);
    assert_int_equal(tern_azure_properties_add(bag, "a", large), TERN_E_TOO_LARGE);
    assert_int_equal(tern_azure_properties_add_content_type(bag, NULL), TERN_E_INVALID);
    assert_int_equal(tern_azure_properties_count(bag), 0);
    assert_int_equal(tern_azure_properties_add_content_type(bag, "t"), 0);
    assert_int_equal(tern_azure_properties_add_content_encoding(bag, "e"), 0);
    assert_int_equal(tern_azure_properties_add_message_id(bag, "m"), 0);
    assert_int_equal(tern_azure_properties_add_correlation_id(bag, "c"), 0);
    assert_string_equal(tern_azure_properties_find(bag, "$.ct"), "t");
    assert_string_equal(tern_azure_properties_find(bag, "$.ce"), "e");
    assert_string_equal(tern_azure_properties_find(bag, "$.mid"), "m");
    assert_string_equal(tern_azure_properties_find(bag, "$.cid"), "c");
    assert_null(tern_azure_properties_find(bag, "none"));
    assert_null(tern_azure_properties_find(bag, NULL));
    assert_null(tern_azure_properties_name(NULL, 0));
    tern_azure_properties_free(bag);
    tern_azure_properties_free(NULL);
}

/* [C19] */
static void memory_may_run_out(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        tern_azure_properties read = {0};
        tern__buf out = {0};
        failing_arm(n);
        int rc = tern__azure_properties_read("a=b&c=%20", 9, &read);
        if (rc == 0) rc = tern__azure_properties_write(&read, &out);
        failed = failing_disarm();
        assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
        tern__azure_properties_deinit(&read);
        tern__buf_deinit(&out);
    }
}

static void topics_have_numbers(void **state)
{
    (void)state;
    uint64_t number = 0;
    assert_true(tern__azure_query_number("$iothub/twin/res/204/?$rid=7&$version=12", "$rid", &number));
    assert_int_equal(number, 7);
    assert_true(tern__azure_query_number("$iothub/twin/res/204/?$rid=7&$version=12", "$version", &number));
    assert_int_equal(number, 12);
    static const char *const none[] = {"", "$rid=1", "?$rid", "?$rid=", "?$rid=x", "?$rid=1x", "?$ridd=1", "?a=b&",
                                       "?$rid=18446744073709551616"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(tern__azure_query_number(none[i], "$rid", &number));
    assert_true(tern__azure_query_number("?$rid=18446744073709551615", "$rid", &number));
    assert_true(number == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),          cmocka_unit_test(broken_escapes_stay), cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(memory_may_run_out), cmocka_unit_test(topics_have_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
