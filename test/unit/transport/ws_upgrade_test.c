/* The upgrade to WebSocket: the request, and every answer that a server may give.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>

#include "websocket_peer.h"

/* ---- the upgrade ---- */

static void the_key_is_answered_as_rfc_6455_says(void **state)
{
    (void)state;
    char accept[TERN__WS_ACCEPT_SIZE];
    tern__ws_accept_of("dGhlIHNhbXBsZSBub25jZQ==", accept); /* section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

typedef struct request_row {
    tern__websocket_config config;
    const char *first_line;
    const char *host;
} request_row;

static const tern__websocket_header two_headers[] = {{"Authorization", "Bearer x.y"},
                                                     {"X-Tenant", ""}};

static const request_row requests[] = {
    {{.host = "h", .port = 80}, "GET /mqtt HTTP/1.1\r\n", "Host: h\r\n"},
    {{.host = "h", .port = 443}, "GET /mqtt HTTP/1.1\r\n", "Host: h:443\r\n"},
    {{.host = "h", .port = 443, .tls = true}, "GET /mqtt HTTP/1.1\r\n", "Host: h\r\n"},
    {{.host = "h", .port = 80, .tls = true}, "GET /mqtt HTTP/1.1\r\n", "Host: h:80\r\n"},
    {{.host = "h", .port = 9001, .path = "/"}, "GET / HTTP/1.1\r\n", "Host: h:9001\r\n"},
    {{.host = "h", .port = 80, .path = "/a/b?c=d&e=%20"},
     "GET /a/b?c=d&e=%20 HTTP/1.1\r\n",
     "Host: h\r\n"},
    {{.host = "::1", .port = 80}, "GET /mqtt HTTP/1.1\r\n", "Host: [::1]\r\n"},
    {{.host = "fe80::1%eth0", .port = 81}, "GET /mqtt HTTP/1.1\r\n", "Host: [fe80::1]:81\r\n"},
    {{.host = "10.0.0.1", .port = 81, .headers = two_headers, .header_count = 2},
     "GET /mqtt HTTP/1.1\r\n",
     "Host: 10.0.0.1:81\r\n"},
};

/* [MQTT5-6.0.0-3] [MQTT311-6.0.0-3] */
static void the_request_is_what_was_configured(void **state)
{
    (void)state;
    char keys[sizeof requests / sizeof requests[0]][TERN__WS_KEY_SIZE] = {""};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        tern__buf request;
        char accept[TERN__WS_ACCEPT_SIZE];
        char expected[600];
        tern__buf_init(&request);
        assert_int_equal(tern__ws_request(&requests[i].config, &request, accept), 0);
        assert_true(request.len <= tern__ws_request_room(&requests[i].config));
        assert_int_equal(tern__buf_append(&request, "", 1), 0);
        const char *text = (const char *)request.data;
        const char *key = strstr(text, "Sec-WebSocket-Key: ");
        assert_non_null(key);
        memcpy(keys[i], key + 19, TERN__WS_KEY_SIZE - 1);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(keys[i], keys[other]);
        snprintf(expected, sizeof expected,
                 "%s%sUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n%s\r\n",
                 requests[i].first_line, requests[i].host, keys[i],
                 requests[i].config.header_count != 0
                     ? "Authorization: Bearer x.y\r\nX-Tenant: \r\n"
                     : "");
        assert_string_equal(text, expected);
        tern__buf_deinit(&request);
    }
}

typedef struct wrong_row {
    const char *name;
    const char *value;
    const char *why;
} wrong_row;

/* CR and LF in a header would let its giver write the rest of the request. */
static void headers_that_break_the_request_are_refused(void **state)
{
    (void)state;
    static const wrong_row rows[] = {
        {"X-A", "a\r\nX-B: c", "line end"},
        {"X-A", "a\n", "line end"},
        {"X-A", "a\rb", "line end"},
        {"X-A", "a\001b", "control character"},
        {"X-A", "\x7F", "control character"},
        {"X A", "v", "does not allow"},
        {"X-A:", "v", "does not allow"},
        {"X-A\r\nX-B", "v", "does not allow"},
        {"", "v", "without a name"},
        {"X-\xC3\xA4", "v", "does not allow"},
        {"Host", "h", "set by the upgrade"},
        {"hOsT", "h", "set by the upgrade"},
        {"Upgrade", "h2c", "set by"},
        {"Connection", "close", "set by"},
        {"Content-Length", "5", "set by"},
        {"Transfer-Encoding", "chunked", "set by"},
        {"Sec-WebSocket-Key", "x", "set by"},
        {"sec-websocket-protocol", "x", "set by"},
        {"Sec-WebSocket-Extensions", "permessage-deflate", "set by"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const tern__websocket_header header = {rows[i].name, rows[i].value};
        tern__websocket_config config = plain;
        tern__stream *filter = NULL;
        wire w;
        const char *why = tern__websocket_header_wrong(rows[i].name, rows[i].value);
        assert_non_null(why);
        check_has(why, rows[i].why);
        config.headers = &header;
        config.header_count = 1;
        wire_set_up(&w, NULL);
        assert_int_equal(tern__websocket_new(&filter, w.stream, &config), TERN_E_INVALID);
        assert_null(filter);
        wire_tear_down(&w);
    }
    assert_null(tern__websocket_header_wrong("X-A", "J\xC3\xBCrgen \t x"));
    assert_null(tern__websocket_header_wrong("Origin", "https://a.example"));
}

static void paths_that_break_the_request_are_refused(void **state)
{
    (void)state;
    static const wrong_row rows[] = {
        {"", NULL, "does not begin"},        {"mqtt", NULL, "does not begin"},
        {"?a", NULL, "does not begin"},      {"/a b", NULL, "%20"},
        {"/a\r\nHost: x", NULL, "line end"}, {"/a\n", NULL, "line end"},
        {"/a\x7F", NULL, "control"},         {"/a\tb", NULL, "control"},
        {"/\xC3\xA4", NULL, "ASCII"},        {"/a#b", NULL, "fragment"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__websocket_config config = plain;
        tern__stream *filter = NULL;
        wire w;
        const char *why = tern__websocket_path_wrong(rows[i].name);
        assert_non_null(why);
        check_has(why, rows[i].why);
        config.path = rows[i].name;
        wire_set_up(&w, NULL);
        assert_int_equal(tern__websocket_new(&filter, w.stream, &config), TERN_E_INVALID);
        wire_tear_down(&w);
    }
    assert_null(tern__websocket_path_wrong("/"));
    assert_null(tern__websocket_path_wrong("/mqtt?X-Amz-Signature=ab%2F"));
}

typedef struct answer_row {
    const char *answer; /* NULL: hangs up */
    int status;         /* what the failure tells; -1: it opens */
    const char *text;
    const char *hint;
} answer_row;

#define ANSWER(upgrade, connection, accept, protocol)                                              \
    "HTTP/1.1 101 Switching Protocols\r\n" upgrade connection accept protocol "\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: %ACCEPT%\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"

static const answer_row answers[] = {
    {ANSWER(UPGRADE, CONNECTION, ACCEPT, PROTOCOL), -1, NULL, NULL},
    {ANSWER("UPGRADE:WebSocket\r\n", "connection: keep-alive, upgrade\r\n", ACCEPT, PROTOCOL), -1,
     NULL, NULL},
    {ANSWER(UPGRADE, "Connection: x\r\nConnection: Upgrade\r\n", ACCEPT, "Server: x\r\n" PROTOCOL),
     -1, NULL, NULL},
    /* Answers before the answer. */
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" ANSWER(
         UPGRADE, CONNECTION, ACCEPT, PROTOCOL),
     -1, NULL, NULL},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", 403, "HTTP 403 No", "credentials"},
    {"HTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\n"
     "HTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\n"
     "HTTP/1.1 100\r\n\r\n",
     0, "one preliminary answer after the other", "HTTP server"},
    /* Rules of section 4.1. */
    {"HTTP/1.0 101 x\r\n" UPGRADE CONNECTION ACCEPT PROTOCOL "\r\n", 101, "HTTP/1.0",
     "cache or proxy"},
    {ANSWER("", CONNECTION, ACCEPT, PROTOCOL), 101, "its header Upgrade", "cache or proxy"},
    {ANSWER("Upgrade: h2c\r\n", CONNECTION, ACCEPT, PROTOCOL), 101, "its header Upgrade", ""},
    {ANSWER(UPGRADE UPGRADE, CONNECTION, ACCEPT, PROTOCOL), 101, "its header Upgrade", ""},
    {ANSWER("Upgrade: websocket, h2c\r\n", CONNECTION, ACCEPT, PROTOCOL), 101, "Upgrade", ""},
    {ANSWER(UPGRADE, "", ACCEPT, PROTOCOL), 101, "its header Connection", ""},
    {ANSWER(UPGRADE, "Connection: close\r\n", ACCEPT, PROTOCOL), 101, "its header Connection", ""},
    {ANSWER(UPGRADE, "Connection: Upgraded\r\n", ACCEPT, PROTOCOL), 101, "its header Connection",
     ""},
    {ANSWER(UPGRADE, CONNECTION, "", PROTOCOL), 101, "no header Sec-WebSocket-Accept", ""},
    {ANSWER(UPGRADE, CONNECTION, "Sec-WebSocket-Accept: x%ACCEPT%\r\n", PROTOCOL), 101,
     "does not answer our key", ""},
    {ANSWER(UPGRADE, CONNECTION, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
            PROTOCOL),
     101, "does not answer our key", ""},
    {ANSWER(UPGRADE, CONNECTION, "Sec-WebSocket-Accept:\r\n", PROTOCOL), 101, "our key", ""},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT "Sec-WebSocket-Accept: x\r\n", PROTOCOL), 101, "our key",
     ""},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT,
            PROTOCOL "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
     101, "an extension that was not offered", ""},
    /* [MQTT5-6.0.0-4] [MQTT311-6.0.0-4] */
    {ANSWER(UPGRADE, CONNECTION, ACCEPT, ""), 101, "does not choose the sub-protocol mqtt", "path"},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: chat\r\n"), 101,
     "another sub-protocol", "path"},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: MQTT\r\n"), 101,
     "another sub-protocol", "path"},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT, PROTOCOL PROTOCOL), 101, "another sub-protocol", "path"},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: mqtt, chat\r\n"), 101,
     "another sub-protocol", "path"},
    /* Other statuses. */
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nno such path", 404,
     "the server answers the WebSocket upgrade with HTTP 404 Not Found: \"no such path\"",
     "check the path"},
    {"HTTP/1.1 401 Unauthorized\r\n\r\n{\"message\":\"Forbidden\"}\nmore", 401,
     "with HTTP 401 Unauthorized: \"{\"message\":\"Forbidden\"}\"", "token"},
    {"HTTP/1.1 403 \r\n\r\n", 403, "with HTTP 403", "credentials"},
    {"HTTP/1.1 403 x\r\n\r\n\r\n \tindented\r\nmore", 403, "HTTP 403 x: \"indented\"",
     "credentials"},
    {"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400,
     "HTTP 400 Bad: \"hello\"", "check the path"},
    {"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\n\r\n", 426, "HTTP 426",
     "version of WebSocket"},
    {"HTTP/1.1 200 OK\r\n\r\n<html><body>hi", 200, "HTTP 200 OK", "a web server answers"},
    {"HTTP/1.1 301 Moved\r\nLocation: https://b.example/ws?token=secret\r\n\r\n", 301, "HTTP 301",
     "redirects are not followed: use the address itself: https://b.example/ws"},
    {"HTTP/1.1 308 x\r\nLocation: https://a\tb\r\n\r\n", 308, "HTTP 308", "https://a?b"},
    {"HTTP/1.1 302 Found\r\n\r\n", 302, "HTTP 302", "redirects are not followed"},
    {"HTTP/1.1 405 No\r\n\r\n", 405, "HTTP 405", "no WebSocket listener"},
    {"HTTP/1.1 407 Log in\r\n\r\n", 407, "HTTP 407", "a proxy in between"},
    {"HTTP/1.1 429 Slow\r\n\r\n", 429, "HTTP 429", "later"},
    {"HTTP/1.1 500 Oh\r\n\r\n", 500, "HTTP 500", "log"},
    {"HTTP/1.1 502 Bad Gateway\r\n\r\n", 502, "HTTP 502", "is the broker running"},
    {"HTTP/1.1 503 Un\r\n\r\n\033[31mred\033[0m\007", 503, "HTTP 503 Un: \"?[31mred?[0m?\"",
     "gateway"},
    {"HTTP/1.1 418 a\tb\r\n\r\n", 418, "HTTP 418 a?b", ""},
    /* What is no HTTP. */
    {"\x20\x02\x00\x04", 0, "something that is not HTTP", "an MQTT listener without WebSocket?"},
    {"\x15\x03\x03\x00\x02\x02\x28", 0, "something that is not HTTP", "TLS"},
    {"SSH-2.0-OpenSSH_9\r\n", 0, "something that is not HTTP", "SSH"},
    {"HTTP/2 200 OK\r\n\r\n", 0, "something that is not HTTP", ""},
    {"HTTP/1.1 2x0 OK\r\n\r\n", 0, "three digits", "HTTP server"},
    {"HTTP/1.1 101 OK\r\nA: b\r\n c\r\n\r\n", 0, "goes on in a second line", "HTTP server"},
    {"HTTP/1.1 101 OK\nA: b\n\n", 0, "a LF without its CR", "HTTP server"},
    {NULL, 0, "ended the connection without answering the WebSocket upgrade",
     "an MQTT listener without WebSocket?"},
};

static void answer_row_of(wire *w)
{
    const answer_row *row = w->script;
    if (w->step != 0 || !heard_head(w)) return;
    w->step = 1;
    if (row->answer != NULL)
        say_answer(w, row->answer);
    else
        wire_hang_up(w);
}

static void check_answer(const answer_row *row, const fault_plan *plan)
{
    tern__stream_failure failure;
    wire w;
    put_filter(&w, plan, &plain);
    w.answer = answer_row_of;
    w.script = row;
    int rc = wire_open(&w, &failure);
    if (row->status < 0) {
        assert_int_equal(rc, 0);
        wire_tear_down(&w);
        return;
    }
    if (rc != TERN_E_WEBSOCKET) fail_msg("%s: %d", row->answer, rc);
    assert_int_equal(failure.error, TERN_E_WEBSOCKET);
    assert_int_equal(failure.step, TERN_STEP_WEBSOCKET);
    assert_int_equal(failure.http_status, row->status);
    assert_false(failure.fatal);
    check_has(failure.text, "broker.example:8080: ");
    assert_null(strstr(failure.hint, "secret"));
    assert_null(strchr(failure.text, '<')); /* a page of HTML is not for a log */
    /* How much of the body is there depends on when it came. */
    if (plan == NULL) check_has(failure.text, row->text);
    check_has(failure.hint, row->hint);
    wire_tear_down(&w);
}

static void every_answer_to_the_upgrade_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        check_answer(&answers[i], NULL);
}

static void answers_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fault_plan plan = FAULT_NONE;
        plan.seed = (uint32_t)i + 1;
        plan.read_max = plan.write_max = 1;
        plan.read_again_percent = plan.write_again_percent = 30;
        check_answer(&answers[i], &plan);
    }
}

static void a_break_during_the_upgrade_is_told(void **state)
{
    (void)state;
    for (int reading = 0; reading < 2; reading++) {
        fault_plan plan = FAULT_NONE;
        tern__stream_failure failure;
        wire w;
        if (reading != 0)
            plan.reset_after_read = 30;
        else
            plan.reset_after_written = 30;
        put_filter(&w, &plan, &plain);
        assert_int_equal(wire_open(&w, &failure), TERN_E_WEBSOCKET);
        assert_int_equal(failure.os_error, ECONNRESET);
        check_has(failure.text, "the connection broke during the WebSocket upgrade: ");
        wire_tear_down(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_answered_as_rfc_6455_says),
        cmocka_unit_test(the_request_is_what_was_configured),
        cmocka_unit_test(headers_that_break_the_request_are_refused),
        cmocka_unit_test(paths_that_break_the_request_are_refused),
        cmocka_unit_test(every_answer_to_the_upgrade_is_judged),
        cmocka_unit_test(answers_may_come_byte_by_byte),
        cmocka_unit_test(a_break_during_the_upgrade_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
