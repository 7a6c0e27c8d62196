/* URLs: what they mean, and for the bad ones where and why.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "transport/uri.h"

typedef struct good_row {
    const char *text;
    int scheme;
    const char *host;
    unsigned port;
    const char *user;
    const char *password;
    const char *display;
    bool tls;
    const char *target;
} good_row;

enum { TCP = TERN__SCHEME_TCP, LOCAL = TERN__SCHEME_UNIX };

static const good_row good[] = {
    {"mqtt://localhost", TCP, "localhost", 1883, NULL, NULL, "mqtt://localhost:1883", false, NULL},
    {"tcp://broker.example:1", TCP, "broker.example", 1, NULL, NULL, "tcp://broker.example:1", false, NULL},
    {"MQTT://h", TCP, "h", 1883, NULL, NULL, "mqtt://h:1883", false, NULL},
    {"mqtt://h:65535/", TCP, "h", 65535, NULL, NULL, "mqtt://h:65535", false, NULL},
    {"mqtt://h:01883", TCP, "h", 1883, NULL, NULL, "mqtt://h:1883", false, NULL},
    {"mqtt://my_broker-1.local.", TCP, "my_broker-1.local.", 1883, NULL, NULL,
     "mqtt://my_broker-1.local.:1883", false, NULL},
    {"mqtt://10.0.0.1", TCP, "10.0.0.1", 1883, NULL, NULL, "mqtt://10.0.0.1:1883", false, NULL},
    {"mqtt://[::1]", TCP, "::1", 1883, NULL, NULL, "mqtt://[::1]:1883", false, NULL},
    {"mqtt://[2001:db8::1]:8883", TCP, "2001:db8::1", 8883, NULL, NULL,
     "mqtt://[2001:db8::1]:8883", false, NULL},
    {"mqtt://[fe80::1%25eth0]", TCP, "fe80::1%eth0", 1883, NULL, NULL,
     "mqtt://[fe80::1%eth0]:1883", false, NULL},
    {"mqtt://[fe80::1%eth0]:7", TCP, "fe80::1%eth0", 7, NULL, NULL, "mqtt://[fe80::1%eth0]:7", false, NULL},
    {"mqtt://u@h", TCP, "h", 1883, "u", NULL, "mqtt://h:1883", false, NULL},
    {"mqtt://u:p@h", TCP, "h", 1883, "u", "p", "mqtt://h:1883", false, NULL},
    {"mqtt://u:@h", TCP, "h", 1883, "u", "", "mqtt://h:1883", false, NULL},
    {"mqtt://:p@h", TCP, "h", 1883, "", "p", "mqtt://h:1883", false, NULL},
    {"mqtt://@h", TCP, "h", 1883, NULL, NULL, "mqtt://h:1883", false, NULL},
    {"mqtt://a%40b:c%3Ad%2F%25@h:2", TCP, "h", 2, "a@b", "c:d/%", "mqtt://h:2", false, NULL},
    {"mqtt://u:p:q@r@h", TCP, "h", 1883, "u", "p:q@r", "mqtt://h:1883", false, NULL},
    {"mqtt://J%C3%BCrgen:x%FF@h", TCP, "h", 1883, "J\xC3\xBCrgen", "x\xFF", "mqtt://h:1883", false, NULL},
    {"unix:///run/broker.sock", LOCAL, "/run/broker.sock", 0, NULL, NULL,
     "unix:///run/broker.sock", false, NULL},
    {"UNIX:///a%20b%3F", LOCAL, "/a b?", 0, NULL, NULL, "UNIX:///a%20b%3F", false, NULL},
    {"mqtts://h", TCP, "h", 8883, NULL, NULL, "mqtts://h:8883", true, NULL},
    {"SSL://u:p@h:1/", TCP, "h", 1, "u", "p", "ssl://h:1", true, NULL},
    {"tls://[::1]", TCP, "::1", 8883, NULL, NULL, "tls://[::1]:8883", true, NULL},
    {"ws://h", TCP, "h", 80, NULL, NULL, "ws://h:80/mqtt", false, "/mqtt"},
    {"ws://h/", TCP, "h", 80, NULL, NULL, "ws://h:80/", false, "/"},
    {"wss://u:p@[::1]:9/a/b", TCP, "::1", 9, "u", "p", "wss://[::1]:9/a/b", true, "/a/b"},
    {"wss://h?X=1", TCP, "h", 443, NULL, NULL, "wss://h:443/mqtt", true, "/mqtt?X=1"},
    {"wss://h/mqtt?X-Sig=a%2Fb&c=d@e", TCP, "h", 443, NULL, NULL, "wss://h:443/mqtt", true,
     "/mqtt?X-Sig=a%2Fb&c=d@e"},
    {"wss://u@h/a@b", TCP, "h", 443, "u", NULL, "wss://h:443/a@b", true, "/a@b"},
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
        tern__uri uri;
        char why[200] = "old";
        int rc = tern__uri_parse(good[i].text, &uri, why, sizeof why);
#ifndef TERN_WITH_TLS
        if (good[i].tls) {
            assert_int_equal(rc, TERN_E_UNSUPPORTED);
            assert_non_null(strstr(why, "needs TLS"));
            continue;
        }
#endif
        if (rc != 0) print_error("%s: %s\n", good[i].text, why);
        assert_int_equal(rc, 0);
        assert_string_equal(why, "");
        assert_int_equal(uri.scheme, good[i].scheme);
        assert_int_equal(uri.port, good[i].port);
        check_text(uri.host, good[i].host);
        check_text(uri.user, good[i].user);
        check_text(uri.password, good[i].password);
        check_text(uri.display, good[i].display);
        assert_int_equal(uri.tls, good[i].tls);
        assert_int_equal(uri.websocket, good[i].target != NULL);
        check_text(uri.target, good[i].target);
        tern__uri_deinit(&uri);
        assert_null(uri.password);
        tern__uri_deinit(&uri);
    }
}

typedef struct bad_row {
    const char *text;
    int error;
    unsigned position;
    const char *reason; /* a part of the sentence */
} bad_row;

enum { URL = TERN_E_URL };

static const bad_row bad[] = {
    {"", URL, 1, "mqtt://host"},
    {"localhost", URL, 1, "write mqtt://localhost"},
    {"broker.example:1883", URL, 1, "no scheme; write mqtt://"},
    {"me:secret@host", URL, 1, "no scheme; write mqtt://host:port"},
    {"/run/broker.sock", URL, 1, "write unix:///path"},
    {"mqtt:host", URL, 1, "no scheme"},
    {"mqtt:/host", URL, 1, "no scheme"},
    {"://host", URL, 1, "no scheme before"},
    {"1mqtt://host", URL, 1, "not a character of a scheme"},
    {"mq_tt://host", URL, 3, "not a character of a scheme"},
    {"http://host", URL, 1, "unknown scheme \"http\""},
    {"mqt://host", URL, 1, "unknown scheme \"mqt\""},
    {"ws://host/mqtt#x", URL, 15, "a fragment"},
    {"ws://host/m\xc3\xa4", URL, 12, "write its bytes as %XX"},
    {"ws://me:se/cret@host", URL, 11, "in a user name or password"},
    {"wss://host:0/mqtt", URL, 12, "port 0"},
    {"wxs://host/mqtt", URL, 1, "write mqtt://, mqtts://, ws://, wss:// or unix://"},
    {"mqtt://", URL, 8, "no host"},
    {"mqtt:///", URL, 8, "no host"},
    {"mqtt://:1883", URL, 8, "no host"},
    {"mqtt://u:p@", URL, 12, "no host"},
    {"mqtt://u:p@:1883", URL, 12, "no host"},
    {"mqtt://h:", URL, 10, "no port after ':'"},
    {"mqtt://h:/", URL, 10, "no port after ':'"},
    {"mqtt://h:0", URL, 10, "port 0"},
    {"mqtt://h:00000", URL, 10, "port 0"},
    {"mqtt://h:65536", URL, 10, "above 65535"},
    {"mqtt://h:99999999999999999999999", URL, 10, "above 65535"},
    {"mqtt://h:18x3", URL, 12, "not a digit"},
    {"mqtt://h:-1", URL, 10, "not a digit"},
    {"mqtt://h:+1", URL, 10, "not a digit"},
    {"mqtt://h:1883:", URL, 14, "a second ':'"},
    {"mqtt://::1", URL, 8, "no host"},
    {"mqtt://fe80::1", URL, 13, "in brackets"},
    {"mqtt://[::1", URL, 8, "no ']'"},
    {"mqtt://[]", URL, 9, "not an IPv6 address"},
    {"mqtt://[1.2.3.4]", URL, 9, "not an IPv6 address"},
    {"mqtt://[::g]", URL, 9, "not an IPv6 address"},
    {"mqtt://[::1]1883", URL, 13, "may follow the ']'"},
    {"mqtt://[fe80::1%]", URL, 16, "no zone"},
    {"mqtt://[fe80::1%e/0]", URL, 18, "a path"},
    {"mqtt://[fe80::1%e:0]", URL, 18, "not a character of a zone"},
    {"mqtt://my host", URL, 10, "a space"},
    {" mqtt://host", URL, 1, "a space"},
    {"mqtt://host\n", URL, 12, "control character (0x0A)"},
    {"mqtt://ho\tst", URL, 10, "control character (0x09)"},
    {"mqtt://h\x7F", URL, 9, "control character (0x7F)"},
    {"mqtt://b\xC3\xBC"
     "cher.example",
     URL, 9, "xn--"},
    {"mqtt://h%6Fst", URL, 9, "not a character of a host"},
    {"mqtt://a,b", URL, 9, "not a character of a host"},
    {"mqtt://h/topic", URL, 9, "a path"},
    {"mqtt://h?a=b", URL, 9, "a query"},
    {"mqtt://h#f", URL, 9, "fragment"},
    {"mqtt://u:pa/ss@h", URL, 12, "%2F"},
    {"mqtt://u:pa?ss@h", URL, 12, "%3F"},
    {"mqtt://u%@h", URL, 9, "two hexadecimal digits"},
    {"mqtt://u:%4@h", URL, 10, "two hexadecimal digits"},
    {"mqtt://u:%zz@h", URL, 10, "two hexadecimal digits"},
    {"mqtt://u%00x@h", URL, 9, "NUL"},
    {"mqtt://u:p%00@h", URL, 11, "NUL"},
    {"mqtt://%FF@h", URL, 8, "not UTF-8"},
    {"unix://", URL, 8, "no path"},
    {"unix:///", URL, 8, "no path"},
    {"unix://rel/path", URL, 8, "must be absolute"},
    {"unix:///a?b", URL, 10, "%3F"},
    {"unix:///a%0", URL, 10, "two hexadecimal digits"},
    {"unix:///a%00b", URL, 10, "NUL"},
};

static void bad_urls_are_told_where_and_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
#ifndef TERN_WITH_TLS
        if (strncmp(bad[i].text, "wss:", 4) == 0) continue; /* refused for its scheme first */
#endif
        tern__uri uri;
        char why[200];
        char position[40];
        int rc = tern__uri_parse(bad[i].text, &uri, why, sizeof why);
        snprintf(position, sizeof position, "position %u: ", bad[i].position);
        if (rc != bad[i].error || strncmp(why, position, strlen(position)) != 0 ||
            strstr(why, bad[i].reason) == NULL)
            fail_msg("\"%s\": %d, %s", bad[i].text, rc, why);
        assert_null(uri.memory);
        assert_null(uri.host);
    }
}

/* [C20]: no piece of a password in any text. */
static void no_secret_is_repeated(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "mqtt://me:hunter2@host:99999",   "mqtt://me:hunter2@",
        "mqtt://me:hunter2/x@host",       "me:hunter2@host",
        "mqtt://me:hunter2%@host",        "mqtt://me:hunter2",
        "mqtt://me:hunter2@host/hunter2", "http://me:hunter2@host",
        "mqtts://me:hunter2@host:0",       "wss://me:hunter2/x@host",
        "ws://me:hunter2@host/#hunter2",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tern__uri uri;
        char why[200];
        assert_int_not_equal(tern__uri_parse(texts[i], &uri, why, sizeof why), 0);
        assert_null(strstr(why, "hunter2"));
        assert_non_null(strstr(why, "position "));
    }
}

static void the_reason_is_cut_to_its_buffer(void **state)
{
    (void)state;
    tern__uri uri;
    char why[8] = "abcdefg";
    assert_int_equal(tern__uri_parse("mqtt://h:0", &uri, why, 5), TERN_E_URL);
    assert_string_equal(why, "posi");
    assert_int_equal(tern__uri_parse("mqtt://h:0", &uri, why, 0), TERN_E_URL);
    assert_int_equal(tern__uri_parse("mqtt://h:0", &uri, NULL, 0), TERN_E_URL);
}

/* Long parts fit, and a host is bounded as in the DNS. */
static void long_urls_are_measured(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    tern__uri uri;
    char why[200];
    char *text = malloc(LONG + 100);
    assert_non_null(text);
    size_t n = (size_t)snprintf(text, 100, "mqtt://");
    memset(text + n, 'h', 253);
    text[n + 253] = '\0';
    assert_int_equal(tern__uri_parse(text, &uri, why, sizeof why), 0);
    assert_int_equal(strlen(uri.host), 253);
    tern__uri_deinit(&uri);
    text[n + 253] = 'h';
    text[n + 254] = '\0';
    assert_int_equal(tern__uri_parse(text, &uri, why, sizeof why), TERN_E_URL);
    memset(text + n, 'p', LONG);
    memcpy(text + n + LONG, "@h", 3);
    assert_int_equal(tern__uri_parse(text, &uri, why, sizeof why), 0);
    assert_int_equal(strlen(uri.user), LONG);
    tern__uri_deinit(&uri);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_understood),
        cmocka_unit_test(bad_urls_are_told_where_and_why),
        cmocka_unit_test(no_secret_is_repeated),
        cmocka_unit_test(the_reason_is_cut_to_its_buffer),
        cmocka_unit_test(long_urls_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
