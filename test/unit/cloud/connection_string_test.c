/* Connection strings: what they say, and for each fault its own error, which names the key and the place but no value.
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

#include "cloud/connection_string.h"
#include "support/failing.h"

#define KEY "c2VjcmV0LWNhbmFyeS1rZXk=" /* "secret-canary-key" */

static void all_keys_are_taken(void **state)
{
    (void)state;
    tern__connection_string s;
    char why[200];
    const char *text = "HostName=h.azure-devices.net;DeviceId=d-1;ModuleId=m;SharedAccessKeyName=p;GatewayHostName=10.0.0.1;"
                       "SharedAccessKey=" KEY ";";
    assert_int_equal(tern__connection_string_parse(text, &s, why, sizeof why), 0);
    assert_string_equal(why, "");
    assert_string_equal(s.host, "h.azure-devices.net");
    assert_string_equal(s.device, "d-1");
    assert_string_equal(s.module, "m");
    assert_string_equal(s.policy, "p");
    assert_string_equal(s.gateway, "10.0.0.1");
    assert_int_equal(s.key_length, 17);
    assert_memory_equal(s.key, "secret-canary-key", 17);
    assert_false(s.x509);
    tern__connection_string_deinit(&s);
    assert_int_equal(tern__connection_string_parse("x509=true;DeviceId=d;HostName=h", &s, NULL, 0), 0);
    assert_true(s.x509);
    assert_null(s.key);
    tern__connection_string_deinit(&s);
    const char *given = "HostName=h;DeviceId=d;SharedAccessSignature=SharedAccessSignature sr=h&sig=canary%3D&se=1";
    assert_int_equal(tern__connection_string_parse(given, &s, NULL, 0), 0);
    assert_string_equal(s.signature, "SharedAccessSignature sr=h&sig=canary%3D&se=1");
    tern__connection_string_deinit(&s);
}

static void each_fault_has_its_words(void **state)
{
    (void)state;
    static const struct row {
        const char *text;
        const char *why;
    } rows[] = {
        {"", "position 1: an empty connection string"},
        {"HostName=\xFF", "position 1: not well-formed UTF-8"},
        {"DeviceId=d;SharedAccessKey=" KEY, "position 52: HostName: missing"},
        {"HostName=h;SharedAccessKey=" KEY, "position 52: DeviceId: missing"},
        {"HostName=h;DeviceId=d", "position 22: SharedAccessKey: missing, and so are SharedAccessSignature and x509=true"},
        {"HostName=h;DeviceId=d;Endpoint=canary", "position 23: Endpoint: not a key of connection strings"},
        {"HostName=h;DeviceId=d;canary+/canary=x", "position 23: not a key of connection strings"},
        {"HostName=h;DeviceId=d;canary", "position 23: no = in this part: Key=Value is meant"},
        {"HostName=h;;DeviceId=d", "position 12: an empty part: two semicolons next to each other"},
        {"HostName=h;HostName=canary;DeviceId=d", "position 12: HostName: given twice"},
        {"HostName=;DeviceId=d", "position 1: HostName: no value"},
        {"HostName=canary/x;DeviceId=d;x509=true", "position 1: HostName: not a host name"},
        {"HostName=h;GatewayHostName=a@canary;DeviceId=d;x509=true", "position 12: GatewayHostName: not a host name"},
        {"HostName=h;DeviceId=canary/+;x509=true",
         "position 12: DeviceId: has one of / + # ? &, which no topic or user name can carry here"},
        {"HostName=h;DeviceId=d;ModuleId=a canary;x509=true", "position 23: ModuleId: has a character that is no visible ASCII"},
        {"HostName=h;DeviceId=d;SharedAccessKey=can!ary=", "position 42: SharedAccessKey: not base64"},
        {"HostName=h;DeviceId=d;SharedAccessKey=canaryx", "position 46: SharedAccessKey: not base64"},
        {"HostName=h;DeviceId=d;x509=canary", "position 23: x509: true is the one value that it has"},
        {"HostName=h;DeviceId=d;x509=true;SharedAccessKey=" KEY,
         "position 23: x509: not together with SharedAccessKey or SharedAccessSignature"},
        {"HostName=h;DeviceId=d;SharedAccessKey=" KEY ";SharedAccessSignature=canary",
         "position 64: SharedAccessSignature: not together with SharedAccessKey"},
        {"HostName=h;DeviceId=d;SharedAccessSignature=canary",
         "position 23: SharedAccessSignature: does not begin with \"SharedAccessSignature \""},
        {"HostName=h;DeviceId=d;SharedAccessKeyName=canary;x509=true", "position 23: SharedAccessKeyName: needs SharedAccessKey"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__connection_string s;
        char why[200];
        assert_int_equal(tern__connection_string_parse(rows[i].text, &s, why, sizeof why), TERN_E_INVALID);
        assert_string_equal(why, rows[i].why);
        assert_null(strstr(why, "canary"));
        assert_null(s.host);
        assert_null(s.key);
    }
}

/* [C19] [C20] */
static void memory_may_run_out(void **state)
{
    (void)state;
    bool failed = true;
    (void)failing_watch("secret-canary-key");
    for (long n = 0; failed; n++) {
        tern__connection_string s;
        failing_arm(n);
        int rc = tern__connection_string_parse("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKeyName=p;GatewayHostName=g;"
                                               "SharedAccessKey=" KEY, &s, NULL, 0);
        failed = failing_disarm();
        assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
        tern__connection_string_deinit(&s);
    }
    assert_int_equal(failing_watch(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_keys_are_taken),
        cmocka_unit_test(each_fault_has_its_words),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
