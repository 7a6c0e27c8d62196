/* Signature Version 4: a published vector, the calendar, and memory that runs out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <tern/error.h>

#include "cloud/sigv4.h"
#include "support/failing.h"

/* The example credentials of the service's documentation. */
static tern__sigv4 example(uint64_t time)
{
    return (tern__sigv4){"example.iot.us-east-1.amazonaws.com", "us-east-1", "AKIAIOSFODNN7EXAMPLE",
                         "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "EXAMPLESESSION", time, 86400};
}

static void the_vector_is_met(void **state)
{
    (void)state;
    tern__buf out = {0};
    tern__sigv4 request = example(1369353600); /* 2013-05-24 */
    assert_int_equal(tern__sigv4_sign(&out, &request), 0);
    assert_int_equal(tern__buf_append(&out, "", 1), 0);
    assert_string_equal((char *)out.data,
                        "/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2F"
                        "iotdevicegateway%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                        "&X-Amz-Signature=3ec863617e7e6afa53fc5669c7db4983300818ddc18e72db53c6408d00f60d94"
                        "&X-Amz-Security-Token=EXAMPLESESSION");
    tern__buf_deinit(&out);
}

/* Ends of months, leap years, and times that no four digits can say. */
static void dates_are_right(void **state)
{
    (void)state;
    static const struct {
        uint64_t time;
        const char *stamp;
    } rows[] = {
        {0, "X-Amz-Date=19700101T000000Z"},          {951782399, "X-Amz-Date=20000228T235959Z"},
        {951782400, "X-Amz-Date=20000229T000000Z"},  {951868800, "X-Amz-Date=20000301T000000Z"},
        {1709251199, "X-Amz-Date=20240229T235959Z"}, {1735689599, "X-Amz-Date=20241231T235959Z"},
        {1735689600, "X-Amz-Date=20250101T000000Z"}, {4107542400, "X-Amz-Date=21000301T000000Z"},
        {4294967296, "X-Amz-Date=21060207T062816Z"}, {253402300799, "X-Amz-Date=99991231T235959Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__buf out = {0};
        tern__sigv4 request = example(rows[i].time);
        request.session_token = NULL;
        assert_int_equal(tern__sigv4_sign(&out, &request), 0);
        assert_int_equal(tern__buf_append(&out, "", 1), 0);
        assert_non_null(strstr((char *)out.data, rows[i].stamp));
        assert_null(strstr((char *)out.data, "Token"));
        tern__buf_deinit(&out);
    }
    tern__buf out = {0};
    tern__sigv4 request = example(253402300800);
    assert_int_equal(tern__sigv4_sign(&out, &request), TERN_E_INVALID);
    tern__buf_deinit(&out);
}

/* What has a meaning in URLs is encoded, and nothing of the key is in what is given back. [C19] [C20] */
static void tokens_are_encoded_and_secrets_wiped(void **state)
{
    (void)state;
    tern__sigv4 request = example(1369353600);
    request.session_token = "a/b+c=d&e f";
    int rc = TERN_E_NOMEM;
    for (long n = 0; rc != 0; n++) {
        tern__buf out = {0};
        failing_arm(n);
        (void)failing_watch("wJalrXUtnFEMI");
        rc = tern__sigv4_sign(&out, &request);
        (void)failing_disarm();
        assert_int_equal(failing_watch(NULL), 0);
        if (rc != 0) assert_int_equal(rc, TERN_E_NOMEM);
        if (rc == 0) {
            assert_int_equal(tern__buf_append(&out, "", 1), 0);
            assert_non_null(strstr((char *)out.data, "&X-Amz-Security-Token=a%2Fb%2Bc%3Dd%26e%20f"));
        }
        tern__buf_deinit(&out);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_is_met),
        cmocka_unit_test(dates_are_right),
        cmocka_unit_test(tokens_are_encoded_and_secrets_wiped),
    };
#ifndef TERN_WITH_TLS
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
