/* Proxy URLs, and which proxy the environment asks for.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "memory.h"
#include "transport/proxy.h"

typedef struct good_row {
    const char *text;
    int kind;
    const char *host;
    unsigned port;
    const char *user;
    const char *password;
    const char *display;
} good_row;

enum { HTTP = TERN__PROXY_HTTP, SOCKS = TERN__PROXY_SOCKS5 };

static const good_row good[] = {
    {"http://proxy", HTTP, "proxy", 80, NULL, NULL, "http://proxy:80"},
    {"http://proxy:3128/", HTTP, "proxy", 3128, NULL, NULL, "http://proxy:3128"},
    {"HTTP://u:p@proxy:3128", HTTP, "proxy", 3128, "u", "p", "http://proxy:3128"},
    {"http://u%40corp:a%3Ab@proxy:1", HTTP, "proxy", 1, "u@corp", "a:b", "http://proxy:1"},
    {"http://u:a:b@proxy:1", HTTP, "proxy", 1, "u", "a:b", "http://proxy:1"},
    {"http://:p@proxy", HTTP, "proxy", 80, "", "p", "http://proxy:80"},
    {"http://[::1]:3128", HTTP, "::1", 3128, NULL, NULL, "http://[::1]:3128"},
    {"proxy.corp:3128", HTTP, "proxy.corp", 3128, NULL, NULL, "http://proxy.corp:3128"},
    {"proxy", HTTP, "proxy", 80, NULL, NULL, "http://proxy:80"},
    {"u:p@10.0.0.1:8080", HTTP, "10.0.0.1", 8080, "u", "p", "http://10.0.0.1:8080"},
    {"socks5://proxy", SOCKS, "proxy", 1080, NULL, NULL, "socks5://proxy:1080"},
    {"socks5h://u:p@proxy:9", SOCKS, "proxy", 9, "u", "p", "socks5h://proxy:9"},
    {"socks5://u@proxy", SOCKS, "proxy", 1080, "u", NULL, "socks5://proxy:1080"},
    {"socks5://u%3Av:p@proxy", SOCKS, "proxy", 1080, "u:v", "p", "socks5://proxy:1080"},
};

static void check_text(const char *actual, const char *expected)
{
    if (expected == NULL) {
        assert_null(actual);
    } else {
        assert_non_null(actual);
        assert_string_equal(actual, expected);
    }
}

static void good_urls_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        tern__proxy proxy;
        char why[200] = "old";
        int rc = tern__proxy_parse(good[i].text, &proxy, why, sizeof why);
        if (rc != 0) fail_msg("%s: %s", good[i].text, why);
        assert_string_equal(why, "");
        assert_int_equal(proxy.kind, good[i].kind);
        assert_int_equal(proxy.port, good[i].port);
        check_text(proxy.host, good[i].host);
        check_text(proxy.user, good[i].user);
        check_text(proxy.password, good[i].password);
        check_text(proxy.display, good[i].display);
        tern__proxy_deinit(&proxy);
        assert_null(proxy.password);
        assert_int_equal(proxy.kind, TERN__PROXY_NONE);
        tern__proxy_deinit(&proxy);
    }
}

typedef struct bad_row {
    const char *text;
    int error;
    unsigned position;
    const char *reason;
} bad_row;

enum { URL = TERN_E_URL, NOT_HERE = TERN_E_UNSUPPORTED };

static const bad_row bad[] = {
    {"", URL, 1, "write http://host:port"},
    {"https://proxy", NOT_HERE, 1, "TLS to the proxy"},
    {"HTTPS://u:hunter2@proxy", NOT_HERE, 1, "TLS to the proxy"},
    {"socks4://proxy", URL, 1, "unknown kind of proxy \"socks4\""},
    {"socks://proxy", URL, 1, "unknown kind"},
    {"ftp://u:hunter2@proxy", URL, 1, "unknown kind"},
    {"://proxy", URL, 1, "no scheme before"},
    {"ht_tp://proxy", URL, 3, "not a character of a scheme"},
    {"http://", URL, 8, "no host"},
    {"http://:3128", URL, 8, "no host"},
    {"http://u:hunter2@", URL, 18, "no host"},
    {"http://proxy:", URL, 14, "no port"},
    {"http://proxy:0", URL, 14, "port 0"},
    {"http://proxy:65536", URL, 14, "above 65535"},
    {"http://proxy:3128x", URL, 18, "not a digit"},
    {"http://::1", URL, 8, "no host"},
    {"http://[::1", URL, 8, "no ']'"},
    {"http://[1.2.3.4]", URL, 9, "not an IPv6"},
    {"http://pro xy", URL, 11, "a space"},
    {"http://proxy\r\nX: y", URL, 13, "control character (0x0D)"},
    {"http://pro%78y", URL, 11, "not a character of a host"},
    {"http://proxy/path", URL, 13, "ends with host and port"},
    {"http://proxy?a", URL, 13, "ends with host and port"},
    {"http://proxy#a", URL, 13, "ends with host and port"},
    {"http://u:hunter/2@proxy", URL, 16, "%2F"},
    {"http://u:hunter2%@proxy", URL, 17, "two hexadecimal digits"},
    {"http://u%00:p@proxy", URL, 9, "NUL"},
    {"http://u%3Av:p@proxy", URL, 8, "':' in the user name"},
    {"http://u:p%0D%0AX@proxy", URL, 8, "control character"},
    {"http://u%0A:p@proxy", URL, 8, "control character"},
    {"socks5://u:%07@proxy", URL, 10, "control character"},
    {"socks5://:p@proxy", URL, 10, "empty user name"},
    {"http://%FF@proxy", URL, 8, "not UTF-8"},
};

/* [C20]: no piece of a password in any text. */
static void bad_urls_are_told_where_and_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tern__proxy proxy;
        char why[200];
        char position[40];
        int rc = tern__proxy_parse(bad[i].text, &proxy, why, sizeof why);
        snprintf(position, sizeof position, "position %u: ", bad[i].position);
        if (rc != bad[i].error || strncmp(why, position, strlen(position)) != 0 ||
            strstr(why, bad[i].reason) == NULL)
            fail_msg("\"%s\": %d, %s", bad[i].text, rc, why);
        assert_null(strstr(why, "hunter"));
        assert_null(proxy.memory);
        assert_null(proxy.host);
    }
}

/* RFC 1929 gives a length one byte; HTTP has no such bound. */
static void long_credentials_are_measured(void **state)
{
    (void)state;
    static const char *const forms[] = {"socks5://%s@h", "socks5://u:%s@h", "http://u:%s@h"};
    for (size_t form = 0; form < 3; form++) {
        for (size_t len = 255; len <= 256; len++) {
            char secret[300];
            char text[400];
            char why[200];
            tern__proxy proxy;
            memset(secret, 's', len);
            secret[len] = '\0';
            size_t before = strcspn(forms[form], "%");
            snprintf(text, sizeof text, "%.*s%s@h", (int)before, forms[form], secret);
            int expected = form == 2 || len == 255 ? 0 : TERN_E_URL;
            assert_int_equal(tern__proxy_parse(text, &proxy, why, sizeof why), expected);
            if (expected != 0) assert_non_null(strstr(why, "255 bytes"));
            tern__proxy_deinit(&proxy);
        }
    }
}

/* ---- NO_PROXY ---- */

typedef struct exempt_row {
    const char *list;
    const char *host;
    unsigned port;
    bool exempt;
} exempt_row;

static const exempt_row exempts[] = {
    {NULL, "h", 1, false},
    {"", "h", 1, false},
    {"*", "h", 1, true},
    {"*", "::1", 1, true},
    {"a, *", "h", 1, true},
    {"* ", "h", 1, true},
    {"h", "h", 1, true},
    {"H.Example", "h.eXample", 1, true},
    {"example.com", "example.com", 1, true},
    {"example.com", "a.b.example.com", 1, true},
    {"example.com", "badexample.com", 1, false},
    {"example.com", "example.com.evil", 1, false},
    {"example.com", "com", 1, false},
    {".example.com", "a.example.com", 1, true},
    {".example.com", "example.com", 1, true},
    {".example.com", "badexample.com", 1, false},
    {"*.example.com", "a.example.com", 1, true},
    {"*.example.com", "badexample.com", 1, false},
    {"*example.com", "a.example.com", 1, false},
    {"a.*", "a.b", 1, false},
    {"example.com.", "a.example.com", 1, true},
    {"example.com", "a.example.com.", 1, true},
    {".", "h", 1, false},
    {"*.", "h", 1, false},
    {"a,b c\td\nexample.com", "example.com", 1, true},
    {",, ,example.com,,", "example.com", 1, true},
    {"a,b c\td", "e", 1, false},
    /* Ports. */
    {"h:1883", "h", 1883, true},
    {"h:1883", "h", 1884, false},
    {"h:1883", "a.h", 1883, true},
    {"h:", "h", 1883, false},
    {"h:x", "h", 1883, false},
    {"h:18830", "h", 1883, false},
    {"h:67419", "h", 1883, false},
    {"10.0.0.1:1883", "10.0.0.1", 1883, true},
    {"10.0.0.1:1883", "10.0.0.1", 80, false},
    {"[::1]:1883", "::1", 1883, true},
    {"[::1]:1883", "::1", 80, false},
    /* Addresses are compared as such. */
    {"10.0.0.1", "10.0.0.1", 1, true},
    {"10.0.0.1", "10.0.0.10", 1, false},
    {"0.0.1", "10.0.0.1", 1, false},
    {".0.0.1", "10.0.0.1", 1, false},
    {"1", "10.0.0.1", 1, false},
    {"::1", "::1", 1, true},
    {"0:0::1", "::1", 1, true},
    {"[::1]", "::1", 1, true},
    {"[::1", "::1", 1, false},
    {"[::1]x", "::1", 1, false},
    {"2001:DB8::1", "2001:db8:0::1", 1, true},
    {"::2", "::1", 1, false},
    {"fe80::1", "fe80::1%eth0", 1, true},
    {"127.0.0.1", "localhost", 1, false},
    {"localhost", "127.0.0.1", 1, false},
    {"10.0.0.1", "a.10.0.0.1.example", 1, false},
    /* Networks. */
    {"10.0.0.0/8", "10.255.0.1", 1, true},
    {"10.0.0.0/8", "11.0.0.1", 1, false},
    {"192.168.1.128/25", "192.168.1.200", 1, true},
    {"192.168.1.128/25", "192.168.1.100", 1, false},
    {"192.168.1.0/32", "192.168.1.0", 1, true},
    {"192.168.1.0/32", "192.168.1.1", 1, false},
    {"0.0.0.0/0", "1.2.3.4", 1, true},
    {"0.0.0.0/0", "::1", 1, false},
    {"::/0", "1.2.3.4", 1, false},
    {"2001:db8::/33", "2001:db8:7fff::1", 1, true},
    {"2001:db8::/33", "2001:db8:8000::1", 1, false},
    {"fe80::/10", "fe80::1%eth0", 1, true},
    {"10.0.0.0/33", "10.0.0.0", 1, false},
    {"10.0.0.0/", "10.0.0.0", 1, false},
    {"10.0.0.0/x", "10.0.0.0", 1, false},
    {"10.0.0.0/-1", "10.0.0.0", 1, false},
    {"10.0.0.0/99999999999999999999", "10.0.0.0", 1, false},
    {"a/8", "10.0.0.0", 1, false},
    {"10.0.0.0/8", "h", 1, false},
    {"/0", "h", 1, false},
};

static void exemptions_match_what_they_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exempts / sizeof exempts[0]; i++) {
        const exempt_row *row = &exempts[i];
        if (tern__proxy_exempts(row->list, row->host, (uint16_t)row->port) != row->exempt)
            fail_msg("\"%s\" and %s:%u", row->list, row->host, row->port);
    }
}

/* What is longer than any host cannot name one, and does not hide what follows. */
static void an_endless_entry_is_passed_over(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    char *list = malloc(LONG + 10);
    assert_non_null(list);
    memset(list, 'h', LONG);
    memcpy(list + LONG, ",host", 6);
    assert_true(tern__proxy_exempts(list, "host", 1));
    assert_false(tern__proxy_exempts(list, "hhh", 1));
    free(list);
}

typedef struct choice_row {
    tern__proxy_environment environment;
    const char *host;
    const char *url;
} choice_row;

static void the_environment_chooses_a_proxy(void **state)
{
    (void)state;
    static const choice_row rows[] = {
        {{NULL, NULL, NULL}, "h", NULL},
        {{"", "", ""}, "h", NULL},
        {{"http://a", NULL, NULL}, "h", "http://a"},
        {{"http://a", "socks5://b", NULL}, "h", "http://a"},
        {{NULL, "socks5://b", NULL}, "h", "socks5://b"},
        {{"", "socks5://b", ""}, "h", "socks5://b"},
        {{"http://a", "socks5://b", "h"}, "h", NULL},
        {{"http://a", "socks5://b", "h"}, "x.h", NULL},
        {{"http://a", NULL, "h"}, "i", "http://a"},
        {{"http://a", NULL, "*"}, "i", NULL},
        {{NULL, NULL, "*"}, "i", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_text(tern__proxy_choose(&rows[i].environment, rows[i].host, 1883), rows[i].url);
}

/* [C20], [C19] */
static void passwords_are_cleansed(void **state)
{
    (void)state;
    tern__proxy proxy;
    char why[200];
    secrets[0] = "hunter2";
    leaked_secrets = 0;
    assert_int_equal(tern__proxy_parse("http://u:hunter2@h", &proxy, why, sizeof why), 0);
    tern__proxy_deinit(&proxy);
    assert_int_equal(tern__proxy_parse("http://u:hunter2@h:0", &proxy, why, sizeof why),
                     TERN_E_URL);
    secrets[0] = NULL;
    assert_int_equal(leaked_secrets, 0);
    allocations_left = 0;
    assert_int_equal(tern__proxy_parse("http://u:hunter2@h", &proxy, NULL, 0), TERN_E_NOMEM);
    allocations_left = -1;
    assert_null(proxy.host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_understood),
        cmocka_unit_test(bad_urls_are_told_where_and_why),
        cmocka_unit_test(long_credentials_are_measured),
        cmocka_unit_test(exemptions_match_what_they_name),
        cmocka_unit_test(an_endless_entry_is_passed_over),
        cmocka_unit_test(the_environment_chooses_a_proxy),
        cmocka_unit_test(passwords_are_cleansed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
