/* HTTP/1.1 heads: what is understood, what is refused and why, and what is written.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "transport/http1.h"

/* Feeds pieces of `step` bytes; *used is how many belong to the head. */
static int feed(tern__http1_head *head, const void *data, size_t len, size_t step, size_t *used)
{
    int rc = TERN_E_AGAIN;
    tern__http1_head_init(head);
    *used = 0;
    while (*used < len && rc == TERN_E_AGAIN) {
        size_t part = len - *used < step ? len - *used : step;
        size_t n = 0;
        rc = tern__http1_feed(head, (const uint8_t *)data + *used, part, &n);
        assert_true(n <= part && (rc != TERN_E_AGAIN || n == part));
        *used += n;
    }
    return rc;
}

static void check_view(tern__view view, const char *text)
{
    assert_int_equal(view.len, strlen(text));
    if (view.len != 0) assert_memory_equal(view.data, text, view.len);
}

typedef struct good_row {
    const char *text;
    int minor;
    int status;
    const char *reason;
    size_t count;
} good_row;

static void good_heads_are_understood_however_they_are_cut(void **state)
{
    (void)state;
    static const good_row rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", 1, 200, "OK", 0},
        {"HTTP/1.0 200 Connection established\r\n\r\n", 0, 200, "Connection established", 0},
        {"HTTP/1.1 200 \r\n\r\n", 1, 200, "", 0},
        {"HTTP/1.1 200\r\n\r\n", 1, 200, "", 0},
        {"HTTP/1.1 100 \r\n\r\n", 1, 100, "", 0},
        {"HTTP/1.1 599 \xC3\xA4\tb \r\n\r\n", 1, 599, "\xC3\xA4\tb", 0},
        {"HTTP/1.1 101 x\r\nA:b\r\n\r\n", 1, 101, "x", 1},
        {"HTTP/1.1 101 x\r\nA: \t b c \t\r\nB:\r\nA:  \r\n\r\n", 1, 101, "x", 3},
        {"HTTP/1.1 101 x\r\n!#$%&'*+-.^_`|~09azAZ: \x80\xFF\r\n\r\n", 1, 101, "x", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = strlen(rows[i].text);
        for (size_t step = 1; step <= len + 3; step++) {
            char text[128];
            tern__http1_head head;
            size_t used;
            snprintf(text, sizeof text, "%s+++", rows[i].text); /* what follows is not touched */
            assert_int_equal(feed(&head, text, len + 3, step, &used), 0);
            assert_int_equal(used, len);
            assert_int_equal(head.minor, rows[i].minor);
            assert_int_equal(head.status, rows[i].status);
            assert_int_equal(head.count, rows[i].count);
            check_view(head.reason, rows[i].reason);
            assert_null(head.why);
        }
        for (size_t cut = 0; cut < len; cut++) {
            tern__http1_head head;
            size_t used;
            assert_int_equal(feed(&head, rows[i].text, cut, 7, &used), TERN_E_AGAIN);
        }
    }
}

typedef struct bad_row {
    const char *text;
    size_t len;
    const char *why;
    bool foreign;
} bad_row;

#define BAD(text, why)                                                                             \
    {                                                                                              \
        text, sizeof(text) - 1, why, false                                                         \
    }
#define FOREIGN(text)                                                                              \
    {                                                                                              \
        text, sizeof(text) - 1, "does not begin with HTTP/1.", true                                \
    }

static const bad_row bad[] = {
    FOREIGN("\x20\x02\x00\x00"),
    FOREIGN("\x15\x03\x03"),
    FOREIGN("\r\nHTTP/1.1 200 OK\r\n"),
    FOREIGN(" HTTP/1.1 200 OK\r\n"),
    FOREIGN("http/1.1 200 OK\r\n"),
    FOREIGN("HTTP/2 200\r\n"),
    FOREIGN("HTTP/2.0 200 OK\r\n"),
    FOREIGN("HTTP/0.9 200 OK\r\n"),
    FOREIGN("ICY 200 OK\r\n"),
    FOREIGN("\n"),
    FOREIGN("H\0"),
    BAD("HTTP/1.2 200 OK\r\n", "not one of HTTP/1.1"),
    BAD("HTTP/1.10 200 OK\r\n", "not one of HTTP/1.1"),
    BAD("HTTP/1.1  200 OK\r\n", "three digits"),
    BAD("HTTP/1.1\t200 OK\r\n", "not one of HTTP/1.1"),
    BAD("HTTP/1.1 20\r\n", "not one of HTTP/1.1"),
    BAD("HTTP/1.1 \r\n", "not one of HTTP/1.1"),
    BAD("HTTP/1.\r\n", "not one of HTTP/1.1"),
    BAD("HTTP/1.1 2000 OK\r\n", "three digits"),
    BAD("HTTP/1.1 20x OK\r\n", "three digits"),
    BAD("HTTP/1.1 -20 OK\r\n", "three digits"),
    BAD("HTTP/1.1 200OK\r\n", "three digits"),
    BAD("HTTP/1.1 200\tOK\r\n", "three digits"),
    BAD("HTTP/1.1 099 OK\r\n", "within 100 and 599"),
    BAD("HTTP/1.1 600 OK\r\n", "within 100 and 599"),
    BAD("HTTP/1.1 000 OK\r\n", "within 100 and 599"),
    BAD("HTTP/1.1 200 O\001K\r\n", "control character in the status line"),
    BAD("HTTP/1.1 200 O\033K\r\n", "control character in the status line"),
    BAD("HTTP/1.1 200 OK\n", "a LF without its CR"),
    BAD("HTTP/1.1 200 OK\rX", "a CR without its LF"),
    BAD("HTTP/1.1 200 OK\r\r\n", "a CR without its LF"),
    BAD("HTTP/1.1 200 O\0K\r\n", "a NUL byte"),
    BAD("HTTP/1.1 200 OK\r\nA: b\n\r\n", "a LF without its CR"),
    BAD("HTTP/1.1 200 OK\r\nA: b\r\n\n", "a LF without its CR"),
    BAD("HTTP/1.1 200 OK\r\nA: b\rc\r\n", "a CR without its LF"),
    BAD("HTTP/1.1 200 OK\r\nA: b\0c\r\n", "a NUL byte"),
    BAD("HTTP/1.1 200 OK\r\n\0\r\n", "a NUL byte"),
    BAD("HTTP/1.1 200 OK\r\nA: b\x7F\r\n", "control character in a header's value"),
    BAD("HTTP/1.1 200 OK\r\nA: \bc\r\n", "control character in a header's value"),
    BAD("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", "goes on in a second line"),
    BAD("HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n", "goes on in a second line"),
    BAD("HTTP/1.1 200 OK\r\n A: b\r\n", "goes on in a second line"),
    BAD("HTTP/1.1 200 OK\r\nA\r\n", "without a colon"),
    BAD("HTTP/1.1 200 OK\r\nA b\r\n", "without a colon"),
    BAD("HTTP/1.1 200 OK\r\n: b\r\n", "no token"),
    BAD("HTTP/1.1 200 OK\r\nA : b\r\n", "no token"),
    BAD("HTTP/1.1 200 OK\r\nA\t: b\r\n", "no token"),
    BAD("HTTP/1.1 200 OK\r\nA(b: c\r\n", "no token"),
    BAD("HTTP/1.1 200 OK\r\nA\x80: c\r\n", "no token"),
    BAD("HTTP/1.1 200 OK\r\n\"A\": c\r\n", "no token"),
};

static void bad_heads_are_refused_with_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t step = 1; step <= bad[i].len; step++) {
            tern__http1_head head;
            size_t used;
            int rc = feed(&head, bad[i].text, bad[i].len, step, &used);
            if (rc != TERN_E_MALFORMED || strstr(head.why, bad[i].why) == NULL)
                fail_msg("row %zu: %d, %s", i, rc, head.why != NULL ? head.why : "-");
            assert_int_equal(head.foreign, bad[i].foreign);
        }
    }
}

static void heads_have_bounds(void **state)
{
    (void)state;
    static char text[TERN__HTTP1_HEAD_MAX + 100];
    tern__http1_head head;
    size_t used;
    /* One long header: exactly as long as may be, and one byte longer. */
    for (size_t extra = 0; extra < 2; extra++) {
        const size_t len = TERN__HTTP1_HEAD_MAX + extra;
        int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nA: ");
        memset(text + n, 'x', len - (size_t)n - 4);
        memcpy(text + len - 4, "\r\n\r\n", 4);
        assert_int_equal(feed(&head, text, len, 1000, &used), extra == 0 ? 0 : TERN_E_MALFORMED);
        if (extra != 0) assert_string_equal(head.why, "the head is longer than 8 KiB");
    }
    /* As many headers as may be, and one more. */
    for (size_t count = TERN__HTTP1_HEADERS_MAX; count <= TERN__HTTP1_HEADERS_MAX + 1; count++) {
        size_t at = (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n");
        for (size_t i = 0; i < count; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "H%zu: %zu\r\n", i, i);
        at += (size_t)snprintf(text + at, sizeof text - at, "\r\n");
        bool fits = count == TERN__HTTP1_HEADERS_MAX;
        assert_int_equal(feed(&head, text, at, 1, &used), fits ? 0 : TERN_E_MALFORMED);
        if (!fits) assert_string_equal(head.why, "more than 100 headers");
    }
    /* A line without end is refused at the bound, whatever is in it. */
    memset(text, 'x', sizeof text);
    memcpy(text, "HTTP/1.1 200 ", 13);
    assert_int_equal(feed(&head, text, sizeof text, 1, &used), TERN_E_MALFORMED);
    assert_int_equal(used, TERN__HTTP1_HEAD_MAX + 1);
}

static void headers_are_found(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 407 x\r\n"
                               "Connection: keep-alive ,\tUpgrade,, x\r\n"
                               "CONNECTION: last\r\n"
                               "Proxy-Authenticate: Negotiate, Basic realm=\"a, b\"\r\n"
                               "Empty:\r\n\r\n";
    tern__http1_head head;
    tern__view value;
    size_t used;
    assert_int_equal(feed(&head, text, sizeof text - 1, 3, &used), 0);
    assert_int_equal(tern__http1_get(&head, "connection", &value), 2);
    check_view(value, "keep-alive ,\tUpgrade,, x");
    assert_true(tern__http1_is((tern__view){(const uint8_t *)"ABC", 3}, "abc"));
    assert_false(tern__http1_is((tern__view){(const uint8_t *)"ABC", 2}, "abc"));
    assert_int_equal(tern__http1_get(&head, "Empty", &value), 1);
    check_view(value, "");
    assert_true(tern__http1_is(value, ""));
    assert_int_equal(tern__http1_get(&head, "Connectio", &value), 0);
    assert_null(value.data);
    assert_true(tern__http1_lists(&head, "Connection", "upgrade"));
    assert_true(tern__http1_lists(&head, "Connection", "KEEP-ALIVE"));
    assert_true(tern__http1_lists(&head, "Connection", "last"));
    assert_false(tern__http1_lists(&head, "Connection", "up"));
    assert_false(tern__http1_lists(&head, "Connection", "close"));
    assert_false(tern__http1_lists(&head, "Empty", "x"));
    assert_true(tern__http1_offers(&head, "proxy-authenticate", "basic"));
    assert_true(tern__http1_offers(&head, "proxy-authenticate", "negotiate"));
    assert_false(tern__http1_offers(&head, "proxy-authenticate", "bas"));
    assert_false(tern__http1_lists(&head, "proxy-authenticate", "basic"));
}

/* ---- requests ---- */

static tern__view view_of(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

static void requests_are_written(void **state)
{
    (void)state;
    static const char expected[] = "GET /a?b HTTP/1.1\r\nHost: h\r\nX:  \t\xFF\r\nEmpty: \r\n\r\n";
    tern__buf buf;
    tern__buf_init(&buf);
    assert_int_equal(tern__http1_start(&buf, "GET", "/a?b"), 0);
    assert_int_equal(tern__http1_header_add(&buf, "Host", view_of("h")), 0);
    assert_int_equal(tern__http1_header_add(&buf, "X", view_of(" \t\xFF")), 0);
    assert_int_equal(tern__http1_header_add(&buf, "Empty", (tern__view){NULL, 0}), 0);
    assert_int_equal(tern__http1_end(&buf), 0);
    assert_int_equal(buf.len, sizeof expected - 1);
    assert_memory_equal(buf.data, expected, buf.len);
    tern__buf_deinit(&buf);
}

/* Every byte at every place of a header and of a target is allowed or refused as RFC 9110 says, and
 * what is refused leaves nothing behind. */
static void bytes_that_break_a_request_are_refused(void **state)
{
    (void)state;
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    tern__buf buf;
    tern__buf_init(&buf);
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 3; at++) {
            char name[4] = "abc";
            uint8_t value[3] = {'a', 'b', 'c'};
            char target[5] = "/abc";
            name[at] = (char)byte;
            value[at] = (uint8_t)byte;
            target[at + 1] = (char)byte;
            const size_t before = buf.len;
            bool value_fits = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
            tern__view view = {value, sizeof value};
            int rc = tern__http1_header_add(&buf, "n", view);
            assert_int_equal(rc, value_fits ? 0 : TERN_E_INVALID);
            assert_true((tern__http1_header_wrong(view_of("n"), view) == NULL) == value_fits);
            if (rc != 0) assert_int_equal(buf.len, before);
            bool name_fits = byte != 0 && strchr(token, (int)byte) != NULL;
            tern__view name_view = {(const uint8_t *)name, 3};
            assert_true((tern__http1_header_wrong(name_view, view_of("v")) == NULL) == name_fits);
            bool target_fits = byte > 0x20 && byte < 0x7F && byte != '#';
            if (byte != 0) {
                assert_true((tern__http1_target_wrong(target) == NULL) == target_fits);
                rc = tern__http1_start(&buf, "GET", target);
                assert_int_equal(rc, target_fits ? 0 : TERN_E_INVALID);
            }
            tern__buf_clear(&buf);
        }
    }
    assert_non_null(tern__http1_header_wrong(view_of(""), view_of("v")));
    assert_non_null(tern__http1_target_wrong(""));
    tern__buf_deinit(&buf);
}

static void authorities_are_written(void **state)
{
    (void)state;
    char text[40];
    tern__http1_authority("broker.example", 8883, text, sizeof text);
    assert_string_equal(text, "broker.example:8883");
    tern__http1_authority("broker.example", 0, text, sizeof text);
    assert_string_equal(text, "broker.example");
    tern__http1_authority("::1", 1, text, sizeof text);
    assert_string_equal(text, "[::1]:1");
    tern__http1_authority("fe80::1%eth0", 65535, text, sizeof text);
    assert_string_equal(text, "[fe80::1]:65535");
    tern__http1_authority("10.0.0.1", 0, text, 5);
    assert_string_equal(text, "10.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_are_understood_however_they_are_cut),
        cmocka_unit_test(bad_heads_are_refused_with_the_reason),
        cmocka_unit_test(heads_have_bounds),
        cmocka_unit_test(headers_are_found),
        cmocka_unit_test(requests_are_written),
        cmocka_unit_test(bytes_that_break_a_request_are_refused),
        cmocka_unit_test(authorities_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
