/* Shared access signatures: known tokens, and when they are renewed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tern/error.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "cloud/sas.h"
#include "support/failing.h"

static const char key[] = "0123456789abcdef0123456789abcdef";

static void expect(const char *resource, const char *policy, uint64_t expiry, const char *want)
{
    tern__buf token = {0};
    int rc = tern__sas_make(&token, resource, (const uint8_t *)key, strlen(key), policy, expiry);
#ifdef TERN_WITH_TLS
    assert_int_equal(rc, 0);
    assert_int_equal(token.len, strlen(want));
    assert_memory_equal(token.data, want, token.len);
#else
    (void)want;
    assert_int_equal(rc, TERN_E_UNSUPPORTED);
#endif
    tern__sas_forget(&token);
    assert_null(token.data);
}

/* Computed with Python's hmac, hashlib and urllib. */
static void tokens_are_those_of_the_service(void **state)
{
    (void)state;
    expect("contoso.azure-devices.net/devices/MyDevice01", NULL, 1700000000,
           "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01"
           "&sig=tQSLxkMuSnuabLJYPJTe5fSi39Xn%2BlCRPf9StqqV0Qs%3D&se=1700000000");
    expect("contoso.azure-devices.net/devices/MyDevice01/modules/m", "a policy", UINT64_C(4294967296),
           "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01%2Fmodules%2Fm"
           "&sig=q3hCEw11THgCIKIDdvffmZvIzdoBvPoq5h0lx79WyvE%3D&se=4294967296&skn=a%20policy");
}

static void a_token_is_renewed_before_it_expires(void **state)
{
    (void)state;
    static const struct row {
        uint32_t life_s;
        uint32_t at_ms;
    } rows[] = {{5, 4000},      {100, 80000},     {240, 192000},      {300, 180000},
                {600, 480000},  {3600, 2880000},  {86400, 69120000},  {31536000, UINT32_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(tern__sas_renewal_ms(rows[i].life_s), rows[i].at_ms);
    assert_int_equal(tern__sas_renewal_ms(UINT32_MAX), UINT32_MAX);
}

/* [C19], and no key or signature stays in memory that was given back [C20]. */
static void memory_may_run_out(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        tern__buf token = {0};
        failing_arm(n);
        int rc = tern__sas_make(&token, "h/devices/d", (const uint8_t *)key, strlen(key), NULL, 1700000000);
        failed = failing_disarm();
#ifdef TERN_WITH_TLS
        assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
#else
        assert_int_equal(rc, failed ? TERN_E_NOMEM : TERN_E_UNSUPPORTED);
#endif
        tern__sas_forget(&token);
    }
}

static void secrets_are_cleansed(void **state)
{
    (void)state;
    tern__buf token = {0};
    (void)failing_watch("&sig=");
    int rc = tern__sas_make(&token, "h/devices/d", (const uint8_t *)key, strlen(key), NULL, 1700000000);
    tern__sas_forget(&token);
    assert_int_equal(failing_watch(NULL), 0);
    (void)rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_the_service),
        cmocka_unit_test(a_token_is_renewed_before_it_expires),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(secrets_are_cleansed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
