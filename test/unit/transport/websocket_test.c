/* WebSocket: the upgrade, every rule that a server can break, and bytes both ways through faults.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>

#include "base/alloc.h"
#include "platform/random.h"
#include "transport/websocket.h"
#include "transport/ws_frame.h"
#include "transport/ws_upgrade.h"
#include "memory.h"
#include "support/memory_stream.h"
#include "wire.h"

/* ---- failing on purpose ---- */

/* How many calls still succeed; -1 all. */
static long random_left = -1;

int __real_tern__random(void *buffer, size_t size);
int __wrap_tern__random(void *buffer, size_t size);
int __wrap_tern__random(void *buffer, size_t size)
{
    if (random_left == 0) return TERN_E_SYSTEM;
    if (random_left > 0) random_left--;
    return __real_tern__random(buffer, size);
}

/* ---- a server ---- */

static const tern__websocket_config plain = {.host = "broker.example", .port = 8080};

static const char GOOD[] = "HTTP/1.1 101 Switching Protocols\r\n"
                           "Upgrade: websocket\r\n"
                           "Connection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: %ACCEPT%\r\n"
                           "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

static bool heard_head(const wire *w)
{
    return w->heard_len > 4 && strstr((const char *)w->heard, "\r\n\r\n") != NULL;
}

/* The answer's text with %ACCEPT% filled in for the key of the request. */
static void say_answer(wire *w, const char *text)
{
    static const char mark[] = "Sec-WebSocket-Key: ";
    static const char hole[] = "%ACCEPT%";
    char key[TERN__WS_KEY_SIZE];
    char accept[TERN__WS_ACCEPT_SIZE];
    const char *at = strstr((const char *)w->heard, mark);
    assert_non_null(at);
    memcpy(key, at + sizeof mark - 1, sizeof key - 1);
    key[sizeof key - 1] = '\0';
    tern__ws_accept_of(key, accept);
    const char *gap = strstr(text, hole);
    if (gap == NULL) {
        wire_say_text(w, text);
        return;
    }
    wire_say(w, text, (size_t)(gap - text));
    wire_say_text(w, accept);
    wire_say_text(w, gap + sizeof hole - 1);
}

/* Answers the upgrade with the script, once; the request is forgotten then. */
static void answer_upgrade(wire *w)
{
    if (w->step != 0 || !heard_head(w)) return;
    w->step = 1;
    say_answer(w, w->script);
    w->heard_len = 0;
}

static void put_filter(wire *w, const fault_plan *plan, const tern__websocket_config *config)
{
    tern__stream *filter;
    wire_set_up(w, plan);
    assert_int_equal(tern__websocket_new(&filter, w->stream, config), 0);
    w->stream = filter;
    wire_set_source(w);
    w->answer = answer_upgrade;
    w->script = GOOD;
}

static void open_filter(wire *w, const fault_plan *plan, const tern__websocket_config *config)
{
    tern__stream_failure failure;
    put_filter(w, plan, config);
    assert_int_equal(wire_open(w, &failure), 0);
}

/* A server's frame: never masked, in the form that the test wants. */
static void say_frame(wire *w, unsigned first_byte, const void *payload, size_t len)
{
    uint8_t out[TERN__WS_HEADER_MAX];
    tern__ws_header header = {.fin = (first_byte & 0x80) != 0,
                              .reserved = first_byte >> 4 & 7,
                              .opcode = first_byte & 15,
                              .len = len};
    wire_say(w, out, tern__ws_encode(&header, out));
    wire_say(w, payload, len);
}

/* A client's frame in what the peer heard, unmasked in place. */
typedef struct frame {
    tern__ws_header header;
    const uint8_t *payload;
    size_t len; /* of header and payload */
} frame;

static bool next_frame(wire *w, size_t at, frame *found)
{
    const char *why = NULL;
    size_t used;
    if (tern__ws_decode(w->heard + at, w->heard_len - at, &found->header, &used, &why) != 0) {
        assert_null(why);
        return false;
    }
    if (w->heard_len - at - used < found->header.len) return false;
    uint8_t *payload = w->heard + at + used;
    found->payload = payload;
    found->len = used + (size_t)found->header.len;
    assert_true(found->header.masked && found->header.fin && found->header.reserved == 0);
    tern__ws_mask(payload, payload, (size_t)found->header.len, found->header.mask, 0);
    return true;
}

/* Turns until the peer heard a whole frame at `at`. */
static frame hear_frame(wire *w, size_t at)
{
    frame found;
    while (!next_frame(w, at, &found))
        wire_turn(w);
    return found;
}

static void check_close(wire *w, size_t at, unsigned code)
{
    frame found = hear_frame(w, at);
    assert_int_equal(found.header.opcode, TERN__WS_CLOSE);
    if (code == 0) {
        assert_int_equal(found.header.len, 0);
        return;
    }
    assert_int_equal(found.header.len, 2);
    assert_int_equal(found.payload[0] << 8 | found.payload[1], (int)code);
}

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
        {"X-A", "a\r\nX-B: c", "line end"},   {"X-A", "a\n", "line end"},
        {"X-A", "a\rb", "line end"},          {"X-A", "a\001b", "control character"},
        {"X-A", "\x7F", "control character"}, {"X A", "v", "does not allow"},
        {"X-A:", "v", "does not allow"},      {"X-A\r\nX-B", "v", "does not allow"},
        {"", "v", "without a name"},          {"X-\xC3\xA4", "v", "does not allow"},
        {"Host", "h", "set by the upgrade"},  {"hOsT", "h", "set by the upgrade"},
        {"Upgrade", "h2c", "set by"},         {"Connection", "close", "set by"},
        {"Content-Length", "5", "set by"},    {"Transfer-Encoding", "chunked", "set by"},
        {"Sec-WebSocket-Key", "x", "set by"}, {"sec-websocket-protocol", "x", "set by"},
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
        {"", NULL, "does not begin"},       {"mqtt", NULL, "does not begin"},
        {"?a", NULL, "does not begin"},     {"/a b", NULL, "%20"},
        {"/a\r\nHost: x", NULL, "line end"}, {"/a\n", NULL, "line end"},
        {"/a\x7F", NULL, "control"},        {"/a\tb", NULL, "control"},
        {"/\xC3\xA4", NULL, "ASCII"},       {"/a#b", NULL, "fragment"},
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
    {"HTTP/1.0 101 x\r\n" UPGRADE CONNECTION ACCEPT PROTOCOL "\r\n", 101, "HTTP/1.0", "cache or proxy"},
    {ANSWER("", CONNECTION, ACCEPT, PROTOCOL), 101, "its header Upgrade", "cache or proxy"},
    {ANSWER("Upgrade: h2c\r\n", CONNECTION, ACCEPT, PROTOCOL), 101, "its header Upgrade", ""},
    {ANSWER(UPGRADE UPGRADE, CONNECTION, ACCEPT, PROTOCOL), 101, "its header Upgrade", ""},
    {ANSWER("Upgrade: websocket, h2c\r\n", CONNECTION, ACCEPT, PROTOCOL), 101, "Upgrade", ""},
    {ANSWER(UPGRADE, "", ACCEPT, PROTOCOL), 101, "its header Connection", ""},
    {ANSWER(UPGRADE, "Connection: close\r\n", ACCEPT, PROTOCOL), 101, "its header Connection", ""},
    {ANSWER(UPGRADE, "Connection: Upgraded\r\n", ACCEPT, PROTOCOL), 101, "its header Connection", ""},
    {ANSWER(UPGRADE, CONNECTION, "", PROTOCOL), 101, "no header Sec-WebSocket-Accept", ""},
    {ANSWER(UPGRADE, CONNECTION, "Sec-WebSocket-Accept: x%ACCEPT%\r\n", PROTOCOL), 101,
     "does not answer our key", ""},
    {ANSWER(UPGRADE, CONNECTION, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", PROTOCOL),
     101, "does not answer our key", ""},
    {ANSWER(UPGRADE, CONNECTION, "Sec-WebSocket-Accept:\r\n", PROTOCOL), 101, "our key", ""},
    {ANSWER(UPGRADE, CONNECTION, ACCEPT "Sec-WebSocket-Accept: x\r\n", PROTOCOL), 101, "our key", ""},
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
    {"HTTP/1.1 403 x\r\n\r\n\r\n \tindented\r\nmore", 403, "HTTP 403 x: \"indented\"", "credentials"},
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

/* ---- frames: what a server may send, and what it may not ---- */

typedef struct frame_row {
    const char *bytes; /* after the upgrade */
    size_t len;
    const char *payload; /* what is read before the end */
    int rc;              /* the end, 0: none yet */
    unsigned code;       /* of the close frame that we send */
    const char *text;    /* of the explanation */
} frame_row;

#define ROW(bytes, payload, rc, code, text)                                                        \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, payload, rc, code, text                                          \
    }
enum { WS = TERN_E_WEBSOCKET, LOST = TERN_E_CONNECTION_LOST };

#define KB "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const frame_row frames[] = {
    ROW("\x82\x03" "abc", "abc", 0, 0, NULL),
    ROW("\x82\x00\x82\x01" "a", "a", 0, 0, NULL),
    /* Fragments [MQTT5-6.0.0-2] [MQTT311-6.0.0-2], with control frames between them and pongs nobody asked for. */
    ROW("\x02\x01" "a\x00\x01" "b\x80\x01" "c\x82\x01" "d", "abcd", 0, 0, NULL),
    ROW("\x02\x01" "a\x8A\x00\x00\x00\x8A\x02" "xx\x80\x01" "b", "ab", 0, 0, NULL),
    ROW("\x02\x00\x80\x00\x82\x01" "z", "z", 0, 0, NULL),
    ROW("\x82\x7E\x00\x7E" KB KB "\x82\x01!", KB "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd", 0, 0, NULL),
    /* A length that no memory holds is passed on as it comes. */
    ROW("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" "abc", "abc", 0, 0, NULL),
    ROW("\x82\x7F\x00\x00\x00\x00\x80\x00\x00\x00" "abc", "abc", 0, 0, NULL),
    ROW("\x82\x7F\x00\x00\x00\x01\x00\x00\x00\x00" "abc", "abc", 0, 0, NULL),
    ROW("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00" "abc", "abc", 0, 0, NULL),
    /* Lengths. */
    ROW("\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00" "abc", "", WS, 1002, "top bit"),
    ROW("\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" "abc", "", WS, 1002, "top bit"),
    ROW("\x82\x7E\x00\x7D", "", WS, 1002, "shortest form"),
    ROW("\x82\x7E\x00\x00", "", WS, 1002, "shortest form"),
    ROW("\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF", "", WS, 1002, "shortest form"),
    ROW("\x82\x7F\x00\x00\x00\x00\x00\x00\x00\x01", "", WS, 1002, "shortest form"),
    /* Reserved bits and opcodes. */
    ROW("\xC2\x01" "a", "", WS, 1002, "reserved bit"),
    ROW("\xA2\x01" "a", "", WS, 1002, "reserved bit"),
    ROW("\x92\x01" "a", "", WS, 1002, "reserved bit"),
    ROW("\xC9\x00", "", WS, 1002, "reserved bit"),
    ROW("\x83\x01" "a", "", WS, 1002, "a data frame of a reserved opcode"),
    ROW("\x87\x00", "", WS, 1002, "a data frame of a reserved opcode"),
    ROW("\x8B\x00", "", WS, 1002, "a control frame of a reserved opcode"),
    ROW("\x8F\x00", "", WS, 1002, "a control frame of a reserved opcode"),
    /* A server never masks. */
    ROW("\x82\x81\x00\x00\x00\x00" "a", "", WS, 1002, "a masked frame"),
    ROW("\x89\x80\x01\x02\x03\x04", "", WS, 1002, "a masked frame"),
    /* Control frames. */
    ROW("\x09\x00", "", WS, 1002, "a fragmented control frame"),
    ROW("\x08\x00", "", WS, 1002, "a fragmented control frame"),
    ROW("\x89\x7E\x00\x7E", "", WS, 1002, "more than 125 bytes"),
    ROW("\x8A\x7F\x00\x00\x00\x00\x00\x01\x00\x00", "", WS, 1002, "more than 125 bytes"),
    /* Messages. */
    ROW("\x80\x01" "a", "", WS, 1002, "a continuation of no message"),
    ROW("\x82\x01" "a\x80\x01" "b", "a", WS, 1002, "a continuation of no message"),
    ROW("\x02\x01" "a\x82\x01" "b", "a", WS, 1002, "before the end of a fragmented one"),
    ROW("\x02\x01" "a\x81\x01" "b", "a", WS, 1002, "before the end of a fragmented one"),
    /* [MQTT5-6.0.0-1] [MQTT311-6.0.0-1] */
    ROW("\x81\x01" "a", "", WS, 1003, "a text frame"),
    ROW("\x01\x01" "a", "", WS, 1003, "a text frame"),
    ROW("\x82\x02" "ab\x81\x00", "ab", WS, 1003, "a text frame"),
    /* Closing. */
    ROW("\x88\x00", "", LOST, 0, "closed the WebSocket without a code"),
    ROW("\x82\x01" "a\x88\x02\x03\xE8", "a", LOST, 1000, "with code 1000 (normal closure)"),
    ROW("\x88\x09\x03\xE9" "reboot!", "", LOST, 1001, "with code 1001 (going away): \"reboot!\""),
    ROW("\x88\x04\x03\xF0\x1B\x0A", "", LOST, 1008, "code 1008 (policy violation): \"??\""),
    ROW("\x88\x02\x03\xF6", "", LOST, 1014, "code 1014 (bad gateway)"),
    ROW("\x88\x02\x0F\xA0" "\x82\x01" "a", "", LOST, 4000, "with code 4000"),
    ROW("\x88\x02\x13\x87", "", LOST, 4999, "with code 4999"),
    ROW("\x88\x04\x03\xE8\x00x", "", LOST, 1000, "with code 1000"),
    ROW("\x02\x01" "a\x88\x02\x03\xE8", "a", LOST, 1000, "with code 1000"),
    ROW("\x88\x01\x03", "", WS, 1002, "half a code"),
    ROW("\x88\x02\x03\xE7", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x00\x00", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x03\xEC", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x03\xED", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x03\xEE", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x03\xF7", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x0B\xB7", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\x13\x88", "", WS, 1002, "must not be sent"),
    ROW("\x88\x02\xFF\xFF", "", WS, 1002, "must not be sent"),
    ROW("\x88\x04\x03\xE8\xC3\x28", "", WS, 1007, "not UTF-8"),
    ROW("\x88\x05\x03\xE8\xED\xA0\x80", "", WS, 1007, "not UTF-8"),
    ROW("\x88\x03\x03\xE8\xC3", "", WS, 1007, "not UTF-8"),
};

static void check_frames(const frame_row *row, const fault_plan *plan)
{
    char data[512];
    tern__stream_failure failure;
    wire w;
    int rc;
    open_filter(&w, plan, &plain);
    assert_false(tern__stream_explain(w.stream, &failure));
    wire_say(&w, row->bytes, row->len);
    size_t len = strlen(row->payload);
    assert_int_equal(wire_read(&w, data, row->rc != 0 ? sizeof data : len, &rc), len);
    assert_memory_equal(data, row->payload, len);
    if (rc != row->rc) fail_msg("%s: %d", row->text, rc);
    if (row->rc != 0) {
        size_t n;
        check_close(&w, 0, row->code);
        assert_true(tern__stream_explain(w.stream, &failure));
        assert_int_equal(failure.error, row->rc);
        assert_int_equal(failure.step, TERN_STEP_WEBSOCKET);
        check_has(failure.text, "broker.example:8080: the server ");
        check_has(failure.text, row->text);
        assert_true(row->rc == LOST || failure.hint[0] != '\0');
        assert_int_equal(tern__stream_os_error(w.stream), 0);
        assert_int_equal(tern__stream_read(w.stream, data, sizeof data, &n), row->rc);
        tern__iov piece = {data, 1};
        assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), row->rc);
    }
    wire_tear_down(&w);
}

/* Nothing of a frame that breaks a rule is read. [C17] */
static void every_rule_that_a_server_breaks_has_its_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        check_frames(&frames[i], NULL);
}

static void rules_hold_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        fault_plan plan = FAULT_NONE;
        plan.seed = (uint32_t)i + 1;
        plan.read_max = plan.write_max = 1;
        plan.read_again_percent = plan.write_again_percent = 40;
        check_frames(&frames[i], &plan);
    }
}

/* Frames that come in one piece with the answer to the upgrade are read, though the socket has
 * nothing to tell of them. */
static void frames_behind_the_answer_are_not_lost(void **state)
{
    (void)state;
    static const char more[] = "\x82\x03" "abc\x88\x02\x03\xE8";
    char answer[400];
    char data[8];
    size_t n;
    wire w;
    tern__stream_failure failure;
    snprintf(answer, sizeof answer, "%s%s", GOOD, more);
    put_filter(&w, NULL, &plain);
    w.script = answer;
    assert_int_equal(wire_open(&w, &failure), 0);
    assert_true(tern__stream_pending(w.stream));
    assert_int_equal(tern__stream_watch(w.stream, true, false), 0);
    for (w.ready = 0; w.ready == 0;)
        wire_turn(&w);
    assert_true((w.events & TERN__READY_READ) != 0);
    assert_true((w.events & TERN__READY_WRITE) == 0);
    assert_int_equal(tern__stream_read(w.stream, data, sizeof data, &n), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(data, "abc", 3);
    /* And so is the end, which was found on the way. */
    assert_true(tern__stream_pending(w.stream));
    for (w.ready = 0; w.ready == 0;)
        wire_turn(&w);
    assert_int_equal(tern__stream_read(w.stream, data, sizeof data, &n), LOST);
    assert_false(tern__stream_pending(w.stream));
    wire_tear_down(&w);
}

static void a_frame_above_the_limit_is_refused(void **state)
{
    (void)state;
    tern__websocket_config config = plain;
    const frame_row rows[] = {
        ROW("\x82\x04" "abcd", "abcd", 0, 0, NULL),
        ROW("\x02\x04" "abcd\x80\x04" "efgh", "abcdefgh", 0, 0, NULL),
        ROW("\x82\x05" "abcde", "", WS, 1009, "larger than the limit"),
        ROW("\x02\x04" "abcd\x80\x05", "abcd", WS, 1009, "larger than the limit"),
        ROW("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "", WS, 1009, "larger than the limit"),
    };
    config.frame_max = 4;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char data[64];
        tern__stream_failure failure;
        wire w;
        int rc;
        open_filter(&w, NULL, &config);
        wire_say(&w, rows[i].bytes, rows[i].len);
        size_t len = strlen(rows[i].payload);
        assert_int_equal(wire_read(&w, data, rows[i].rc != 0 ? sizeof data : len, &rc), len);
        assert_int_equal(rc, rows[i].rc);
        if (rc != 0) check_close(&w, 0, rows[i].code);
        if (rc != 0) assert_true(tern__stream_explain(w.stream, &failure));
        if (rc != 0) check_has(failure.text, rows[i].text);
        wire_tear_down(&w);
    }
}

/* ---- bytes both ways ---- */

static uint32_t draw(uint32_t *random, uint32_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random % below;
}

/* Says the bytes in frames and fragments of any size, with pings in between. */
static unsigned say_in_frames(wire *w, const uint8_t *data, size_t len, uint32_t *random)
{
    unsigned pings = 0;
    bool first = true;
    for (size_t at = 0; at < len;) {
        size_t part = draw(random, 20) == 0 ? draw(random, 70000) : draw(random, 200);
        if (part > len - at) part = len - at;
        bool last = at + part == len || draw(random, 2) == 0;
        say_frame(w, (last ? 0x80u : 0u) | (first ? 2u : 0u), data + at, part);
        first = last;
        at += part;
        if (draw(random, 4) != 0) continue;
        say_frame(w, draw(random, 2) == 0 ? 0x8Au : 0x89u, data, draw(random, 126));
        pings++;
    }
    return pings;
}

/* Takes whole frames out of what the peer heard; returns the length of the payload so far. */
static void take_frames(wire *w, size_t *at, uint8_t *payload, size_t *len)
{
    frame found;
    while (*at < w->heard_len && next_frame(w, *at, &found)) {
        *at += found.len;
        if (found.header.opcode == TERN__WS_PONG) continue;
        assert_int_equal(found.header.opcode, TERN__WS_BINARY);
        memcpy(payload + *len, found.payload, (size_t)found.header.len);
        *len += (size_t)found.header.len;
    }
}

enum { BULK = 300000 };

static void exchange_bulk(const fault_plan *plan, size_t size, uint32_t seed)
{
    uint8_t *ours = malloc(BULK);
    uint8_t *theirs = malloc(BULK);
    uint8_t *back = malloc(BULK);
    uint32_t random = seed;
    wire w;
    assert_true(ours != NULL && theirs != NULL && back != NULL);
    open_filter(&w, plan, &plain);
    for (size_t i = 0; i < size; i++) {
        ours[i] = (uint8_t)draw(&random, 256);
        theirs[i] = (uint8_t)draw(&random, 256);
    }
    (void)say_in_frames(&w, theirs, size, &random);
    size_t written = 0;
    size_t received = 0;
    size_t heard = 0;
    size_t heard_at = 0;
    while (written < size || received < size || heard < size) {
        size_t n = 0;
        size_t part = 1 + draw(&random, 100000);
        if (part > size - written) part = size - written;
        tern__iov pieces[3] = {{ours + written, part / 3}, {ours + written + part / 3, 0}, {NULL, 0}};
        pieces[2] = (tern__iov){ours + written + part / 3, part - part / 3};
        if (part != 0) {
            int rc = tern__stream_write(w.stream, pieces, 3, &n);
            assert_true(rc == 0 ? n > 0 && n <= part : rc == TERN_E_AGAIN && n == 0);
            written += n;
        }
        part = 1 + draw(&random, 5000);
        if (part > size - received) part = size - received;
        if (part != 0) {
            int rc = tern__stream_read(w.stream, back + received, part, &n);
            assert_true(rc == 0 ? n > 0 && n <= part : rc == TERN_E_AGAIN && n == 0);
            received += n;
        }
        assert_int_equal(tern__stream_watch(w.stream, received < size, written < size), 0);
        wire_turn(&w);
        assert_true(w.heard_len <= 2 * (size_t)BULK + 100000);
        /* Frames are unmasked in place once: only whole new ones are looked at. */
        if (written == size || w.heard_len > heard_at + 200000) {
            uint8_t *payload = malloc(w.heard_len + 1);
            size_t len = 0;
            assert_non_null(payload);
            take_frames(&w, &heard_at, payload, &len);
            assert_memory_equal(payload, ours + heard, len);
            heard += len;
            free(payload);
        }
    }
    assert_memory_equal(back, theirs, size);
    free(ours);
    free(theirs);
    free(back);
    wire_tear_down(&w);
}

/* Whatever the sizes and rates, the bytes at the peer are those that were written, and the other way
 * round. [MQTT5-6.0.0-2] [MQTT311-6.0.0-2] */
static void bytes_survive_all_faults(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 100, 4096};
    static const size_t amounts[] = {BULK, 2000, 4000, 10000, 80000, BULK};
    for (uint32_t seed = 1; seed <= 24; seed++) {
        fault_plan plan = FAULT_NONE;
        plan.seed = seed;
        plan.read_max = plan.write_max = sizes[seed % 6];
        plan.read_again_percent = plan.write_again_percent = seed % 4 * 25 % 76;
        exchange_bulk(&plan, amounts[seed % 6], seed * 7919);
    }
}

/* A stream of bytes cut into frames at each point reads the same. */
static void frames_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "\x30\x05\x00\x01" "ahi\x40\x02\x00\x01\xD0\x00";
    const size_t len = sizeof text - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        for (int kind = 0; kind < 3; kind++) {
            char back[32];
            wire w;
            int rc;
            open_filter(&w, NULL, &plain);
            say_frame(&w, kind == 0 ? 0x82 : 0x02, text, cut);
            if (kind == 2) say_frame(&w, 0x89, "x", 1);
            say_frame(&w, kind == 0 ? 0x82 : 0x80, text + cut, len - cut);
            assert_int_equal(wire_read(&w, back, len, &rc), len);
            assert_memory_equal(back, text, len);
            /* What follows the last byte that was asked for is not read yet. */
            if (kind == 2 && cut < len)
                assert_int_equal(hear_frame(&w, 0).header.opcode, TERN__WS_PONG);
            wire_tear_down(&w);
        }
    }
}

static void lengths_of_frames_have_their_shortest_form(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 125, 126, 127, 65000, 65535, 65536, 200000};
    static uint8_t block[200000];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        wire w;
        size_t heard = 0;
        size_t at = 0;
        open_filter(&w, NULL, &plain);
        assert_int_equal(wire_write(&w, block, sizes[i], sizes[i]), 0);
        while (heard < sizes[i]) {
            frame found = hear_frame(&w, at); /* decoding refuses any other form */
            assert_int_equal(found.header.opcode, TERN__WS_BINARY);
            assert_true(found.header.len <= 65536);
            at += found.len;
            heard += (size_t)found.header.len;
        }
        assert_int_equal(heard, sizes[i]);
        assert_int_equal(at, w.heard_len);
        wire_tear_down(&w);
    }
}

/* What a proxy sees must not be for the writer to choose. */
static void every_frame_has_a_mask_of_its_own(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static uint8_t masks[COUNT][TERN__WS_MASK_LEN];
    wire w;
    size_t at = 0;
    open_filter(&w, NULL, &plain);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(wire_write(&w, "same", 4, 4), 0);
        frame found = hear_frame(&w, at);
        assert_int_equal(found.header.len, 4);
        assert_memory_equal(found.payload, "same", 4);
        at += found.len;
        memcpy(masks[i], found.header.mask, TERN__WS_MASK_LEN);
    }
    /* By chance, two of a thousand are the same once in nine thousand runs; three never. */
    size_t same = 0;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++)
            same += memcmp(masks[i], masks[j], TERN__WS_MASK_LEN) == 0;
    assert_true(same <= 1);
    wire_tear_down(&w);
}

static void without_random_bytes_nothing_is_sent(void **state)
{
    (void)state;
    tern__stream *filter = NULL;
    tern__stream_failure failure;
    wire w;
    size_t n;
    wire_set_up(&w, NULL);
    random_left = 0;
    assert_int_equal(tern__websocket_new(&filter, w.stream, &plain), TERN_E_SYSTEM);
    assert_null(filter);
    random_left = -1;
    wire_tear_down(&w);
    open_filter(&w, NULL, &plain);
    random_left = 0;
    tern__iov piece = {(void *)(uintptr_t) "x", 1};
    assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), TERN_E_SYSTEM);
    assert_int_equal(n, 0);
    random_left = -1;
    assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), TERN_E_SYSTEM);
    assert_true(tern__stream_explain(w.stream, &failure));
    check_has(failure.text, "random");
    wire_turn(&w);
    assert_int_equal(w.heard_len, 0);
    wire_tear_down(&w);
}

/* [C19] */
static void short_memory_is_told_or_survived(void **state)
{
    (void)state;
    static uint8_t block[60000];
    static uint8_t back[60000];
    wire w;
    for (long left = 0;; left++) {
        tern__stream *filter = NULL;
        wire_set_up(&w, NULL);
        allocations_left = left;
        int rc = tern__websocket_new(&filter, w.stream, &plain);
        allocations_left = -1;
        if (rc == 0) w.stream = filter;
        wire_tear_down(&w);
        if (rc == 0) break;
        assert_int_equal(rc, TERN_E_NOMEM);
        assert_null(filter);
        assert_true(left < 20);
    }
    /* Without memory for a large frame there are smaller ones. */
    open_filter(&w, NULL, &plain);
    memset(block, 'x', sizeof block);
    allocations_left = 0;
    assert_int_equal(wire_write(&w, block, sizeof block, sizeof block), 0);
    allocations_left = -1;
    size_t heard = 0;
    unsigned count = 0;
    for (size_t at = 0; heard < sizeof block; count++) {
        frame found = hear_frame(&w, at);
        memcpy(back + heard, found.payload, (size_t)found.header.len);
        heard += (size_t)found.header.len;
        at += found.len;
    }
    assert_true(count > 1);
    assert_memory_equal(back, block, sizeof block);
    wire_tear_down(&w);
}

/* ---- control frames ---- */

static void pings_are_answered(void **state)
{
    (void)state;
    char payload[TERN__WS_CONTROL_MAX];
    memset(payload, 'p', sizeof payload);
    for (size_t len = 0; len <= sizeof payload; len += 25) {
        char data[4];
        size_t n;
        wire w;
        open_filter(&w, NULL, &plain);
        assert_int_equal(tern__stream_watch(w.stream, true, false), 0);
        say_frame(&w, 0x89, payload, len);
        for (w.ready = 0; w.ready == 0;)
            wire_turn(&w);
        assert_int_equal(tern__stream_read(w.stream, data, sizeof data, &n), TERN_E_AGAIN);
        frame pong = hear_frame(&w, 0);
        assert_int_equal(pong.header.opcode, TERN__WS_PONG);
        assert_int_equal(pong.header.len, len);
        assert_memory_equal(pong.payload, payload, len);
        wire_tear_down(&w);
    }
}

/* However many pings came, the last one's pong is enough (section 5.5.3): none is kept. */
static void a_flood_of_pings_keeps_no_memory(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    char data[256];
    wire w;
    int rc;
    open_filter(&w, NULL, &plain);
    for (unsigned i = 0; i < COUNT; i++)
        say_frame(&w, 0x89, &i, sizeof i);
    say_frame(&w, 0x82, "x", 1);
    allocations_left = 0;
    assert_int_equal(wire_read(&w, data, 1, &rc), 1);
    allocations_left = -1;
    unsigned last = 0;
    for (size_t at = 0; last != COUNT - 1;) {
        frame pong = hear_frame(&w, at);
        assert_int_equal(pong.header.opcode, TERN__WS_PONG);
        unsigned number;
        memcpy(&number, pong.payload, sizeof number);
        assert_true(at == 0 || number > last);
        last = number;
        at += pong.len;
    }
    wire_tear_down(&w);
}

/* Writes until there is no room; returns what was taken. */
static size_t stuff(wire *w)
{
    static uint8_t block[50000];
    size_t taken = 0;
    int rc = 0;
    while (rc == 0) {
        size_t n = 0;
        tern__iov piece = {block, sizeof block};
        rc = tern__stream_write(w->stream, &piece, 1, &n);
        taken += n;
    }
    assert_int_equal(rc, TERN_E_AGAIN);
    return taken;
}

/* A pong waits for the end of the frame before it, and goes out though the user does not write. */
static void a_pong_waits_for_room(void **state)
{
    (void)state;
    char data[4];
    size_t n;
    wire w;
    open_filter(&w, NULL, &plain);
    w.deaf = true;
    size_t taken = stuff(&w);
    say_frame(&w, 0x89, "late", 4);
    wire_speak(&w);
    assert_int_equal(tern__stream_read(w.stream, data, sizeof data, &n), TERN_E_AGAIN);
    /* The user waits for bytes alone: room is the filter's own business. */
    assert_int_equal(tern__stream_watch(w.stream, true, false), 0);
    w.ready = 0;
    w.deaf = false;
    size_t heard = 0;
    for (size_t at = 0; heard <= taken;) {
        frame found = hear_frame(&w, at);
        at += found.len;
        if (found.header.opcode == TERN__WS_PONG) {
            assert_int_equal(found.header.len, 4);
            assert_memory_equal(found.payload, "late", 4);
            break;
        }
        heard += (size_t)found.header.len;
    }
    assert_int_equal(heard, taken);
    assert_int_equal(w.ready, 0);
    wire_turn(&w);
    assert_int_equal(w.ready, 0);
    wire_tear_down(&w);
}

/* Who waits for room is told only when the filter's own buffer is out. */
static void room_is_told_once_it_is_there(void **state)
{
    (void)state;
    wire w;
    open_filter(&w, NULL, &plain);
    w.deaf = true;
    size_t taken = stuff(&w);
    assert_int_equal(tern__stream_watch(w.stream, false, true), 0);
    w.ready = 0;
    wire_turn(&w);
    assert_int_equal(w.ready, 0);
    w.deaf = false;
    while (w.ready == 0)
        wire_turn(&w);
    assert_int_equal(w.events, TERN__READY_WRITE);
    assert_int_equal(wire_write(&w, "end", 3, 3), 0);
    size_t heard = 0;
    for (size_t at = 0; heard < taken + 3;) {
        frame found = hear_frame(&w, at);
        at += found.len;
        heard += (size_t)found.header.len;
    }
    assert_int_equal(heard, taken + 3);
    wire_tear_down(&w);
}

/* Who hears that there is room can write: the rest of the frame before has gone out. */
static void room_is_room_for_a_frame(void **state)
{
    (void)state;
    fault_plan plan = FAULT_NONE;
    wire w;
    plan.write_max = 300;
    plan.write_again_percent = 40;
    open_filter(&w, &plan, &plain);
    for (unsigned i = 0; i < 300; i++) {
        static uint8_t block[2000];
        tern__iov piece = {block, sizeof block};
        size_t n = 0;
        assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), 0);
        assert_int_equal(n, sizeof block);
        assert_int_equal(tern__stream_watch(w.stream, false, true), 0);
        for (w.ready = 0; w.ready == 0;)
            wire_turn(&w);
    }
    wire_tear_down(&w);
}

/* What a write left behind goes out without another call of the user's. */
static void half_a_frame_goes_out_by_itself(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 20; seed++) {
        fault_plan plan = FAULT_NONE;
        wire w;
        size_t n = 0;
        plan.seed = seed;
        plan.write_max = 5;
        plan.write_again_percent = 60;
        open_filter(&w, &plan, &plain);
        assert_int_equal(tern__stream_watch(w.stream, true, false), 0);
        tern__iov piece = {(void *)(uintptr_t) "a text of some length", 21};
        assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), 0);
        assert_int_equal(n, 21);
        w.ready = 0;
        frame found = hear_frame(&w, 0);
        assert_int_equal(found.header.len, 21);
        assert_memory_equal(found.payload, "a text of some length", 21);
        assert_int_equal(w.ready, 0);
        wire_tear_down(&w);
    }
}

static void a_user_may_close_in_its_turn(void **state)
{
    (void)state;
    wire w;
    open_filter(&w, NULL, &plain);
    assert_int_equal(tern__stream_watch(w.stream, true, true), 0);
    w.closes = true;
    w.ready = 0;
    while (w.ready == 0)
        wire_turn(&w);
    assert_null(w.stream);
    wire_turn(&w);
    assert_int_equal(w.ready, 1);
    wire_tear_down(&w);
}

/* ---- ends ---- */

/* Our close goes out, and then the end; what the peer still sends is read up to its own close. */
static void finishing_is_a_close_frame_and_the_end(void **state)
{
    (void)state;
    char data[8];
    size_t n;
    int rc;
    tern__stream_failure failure;
    wire w;
    open_filter(&w, NULL, &plain);
    assert_int_equal(wire_write(&w, "last", 4, 4), 0);
    assert_int_equal(tern__stream_finish(w.stream), 0);
    tern__iov piece = {data, 1};
    assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), LOST);
    frame found = hear_frame(&w, 0);
    assert_memory_equal(found.payload, "last", 4);
    check_close(&w, found.len, 1000);
    while (!w.heard_end)
        wire_turn(&w);
    assert_int_equal(w.heard_len, found.len + 8);
    say_frame(&w, 0x82, "late", 4);
    say_frame(&w, 0x89, "", 0); /* no pong after a close */
    say_frame(&w, 0x88, "\x03\xE8", 2);
    assert_int_equal(wire_read(&w, data, sizeof data, &rc), 4);
    assert_int_equal(rc, LOST);
    assert_int_equal(tern__stream_os_error(w.stream), 0);
    assert_true(tern__stream_explain(w.stream, &failure));
    check_has(failure.text, "code 1000");
    assert_int_equal(w.heard_len, found.len + 8);
    wire_tear_down(&w);
}

/* A close that finds no room follows what is before it, and nothing follows it, not even a pong that
 * was due. */
static void finishing_waits_for_room(void **state)
{
    (void)state;
    char data[4];
    size_t n;
    wire w;
    open_filter(&w, NULL, &plain);
    w.deaf = true;
    size_t taken = stuff(&w);
    say_frame(&w, 0x89, "late", 4);
    wire_speak(&w);
    assert_int_equal(tern__stream_read(w.stream, data, sizeof data, &n), TERN_E_AGAIN);
    assert_int_equal(tern__stream_finish(w.stream), 0);
    assert_int_equal(tern__stream_watch(w.stream, true, false), 0);
    wire_turn(&w);
    assert_false(w.heard_end);
    w.deaf = false;
    while (!w.heard_end)
        wire_turn(&w);
    size_t heard = 0;
    size_t at = 0;
    while (heard < taken) {
        frame found = hear_frame(&w, at);
        at += found.len;
        heard += (size_t)found.header.len;
    }
    check_close(&w, at, 1000);
    assert_int_equal(at + 8, w.heard_len);
    wire_tear_down(&w);
}

typedef struct loss_row {
    const char *bytes;
    size_t len;
    const char *text;
} loss_row;

/* The end of the stream is no clean end of a WebSocket. */
static void an_end_without_a_close_is_told(void **state)
{
    (void)state;
    static const loss_row rows[] = {
        {"", 0, "without closing the WebSocket"},
        {"\x82\x02" "ab", 4, "without closing the WebSocket"},
        {"\x82", 1, "in the middle"},
        {"\x82\x02", 2, "in the middle"},
        {"\x82\x02" "a", 3, "in the middle"},
        {"\x02\x02" "ab", 4, "in the middle"},
        {"\x89\x02" "a", 3, "in the middle"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char data[8];
        tern__stream_failure failure;
        wire w;
        int rc;
        open_filter(&w, NULL, &plain);
        wire_say(&w, rows[i].bytes, rows[i].len);
        wire_turn(&w);
        wire_hang_up(&w);
        (void)wire_read(&w, data, sizeof data, &rc);
        assert_int_equal(rc, LOST);
        assert_int_equal(tern__stream_os_error(w.stream), 0);
        assert_true(tern__stream_explain(w.stream, &failure));
        check_has(failure.text, rows[i].text);
        wire_tear_down(&w);
    }
}

/* A break keeps the system's reason, which says more than we could. */
static void a_break_keeps_its_reason(void **state)
{
    (void)state;
    fault_plan plan = FAULT_NONE;
    char data[8];
    tern__stream_failure failure;
    wire w;
    int rc;
    plan.reset_after_read = 200;
    open_filter(&w, &plan, &plain);
    char block[200] = "";
    say_frame(&w, 0x82, block, sizeof block);
    do
        (void)wire_read(&w, data, sizeof data, &rc);
    while (rc == 0);
    assert_int_equal(rc, LOST);
    assert_int_equal(tern__stream_os_error(w.stream), ECONNRESET);
    assert_false(tern__stream_explain(w.stream, &failure));
    wire_tear_down(&w);
}

/* What the peer said before it hung up is read, also when a write found out first. */
static void what_was_said_before_a_break_is_read(void **state)
{
    (void)state;
    char data[8];
    size_t n;
    int rc;
    tern__stream_failure failure;
    wire w;
    open_filter(&w, NULL, &plain);
    say_frame(&w, 0x82, "bye", 3);
    say_frame(&w, 0x88, "\x03\xE9", 2);
    wire_speak(&w);
    wire_hang_up(&w);
    tern__iov piece = {data, 1};
    memset(data, 0, sizeof data);
    assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), 0); /* it counts as written */
    assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), LOST);
    assert_int_equal(n, 0);
    assert_int_equal(wire_read(&w, data, sizeof data, &rc), 3);
    assert_memory_equal(data, "bye", 3);
    assert_int_equal(rc, LOST);
    assert_true(tern__stream_explain(w.stream, &failure));
    check_has(failure.text, "1001");
    wire_tear_down(&w);
}

/* ---- odd streams below ---- */

/* Opens a filter over a stream out of memory. */
static tern__stream *open_over(memory_stream *below, wire *w)
{
    tern__stream *filter;
    tern__stream_failure failure;
    memset(w, 0, sizeof *w);
    w->source.ready = wire_on_ready;
    memory_stream_init(below, SIZE_MAX);
    assert_int_equal(tern__websocket_new(&filter, &below->base, &plain), 0);
    w->stream = filter;
    wire_set_source(w);
    assert_int_equal(tern__stream_open(filter, &failure), TERN_E_AGAIN);
    assert_int_equal(tern__buf_append(&below->output, "", 1), 0);
    w->heard = below->output.data; /* borrowed for the key in it */
    say_answer(w, GOOD);
    w->heard = NULL;
    memory_stream_put(below, w->words, w->words_len, 0);
    assert_int_equal(tern__stream_open(filter, &failure), 0);
    tern__buf_clear(&below->output);
    return filter;
}

static void close_over(memory_stream *below, wire *w)
{
    tern__stream_close(w->stream);
    memory_stream_deinit(below);
    free(w->words);
}

/* Control frames without end do not keep the loop's thread from its other work. */
static void endless_pings_do_not_keep_the_thread(void **state)
{
    (void)state;
    static const char ping[] = "\x89\x00";
    memory_stream below;
    wire w;
    char data[2];
    size_t n;
    tern__stream *filter = open_over(&below, &w);
    memory_stream_put(&below, ping, sizeof ping - 1, 0);
    below.repeats = true;
    assert_int_equal(tern__stream_read(filter, data, sizeof data, &n), TERN_E_AGAIN);
    assert_int_equal(n, 0);
    close_over(&below, &w);
}

/* A short read tells that the stream below is drained, and is not followed by another; the answer to
 * a ping leaves with it. */
static void a_short_read_is_the_only_one(void **state)
{
    (void)state;
    memory_stream below;
    wire w;
    char data[64];
    size_t n;
    tern__stream *filter = open_over(&below, &w);
    memory_stream_put(&below, "\x82\x02hi\x89\x00\x82\x01!", 9, 0);
    below.reads = 0;
    assert_int_equal(tern__stream_read(filter, data, sizeof data, &n), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(data, "hi!", 3);
    assert_int_equal(below.reads, 1);
    assert_int_equal(below.output.len, 6); /* the pong */
    close_over(&below, &w);
}

/* What the stream below knows of its end is not hidden by ours. */
static void the_words_of_the_stream_below_are_kept(void **state)
{
    (void)state;
    tern__stream_failure failure;
    memory_stream below;
    wire w;
    char data[8];
    size_t n;
    tern__stream *filter = open_over(&below, &w);
    memory_stream_put(&below, NULL, 0, TERN_E_TLS);
    below.why = "alert 42";
    assert_int_equal(tern__stream_read(filter, data, sizeof data, &n), TERN_E_TLS);
    assert_true(tern__stream_explain(filter, &failure));
    assert_int_equal(failure.error, TERN_E_TLS);
    assert_string_equal(failure.text, "alert 42");
    below.why = NULL;
    assert_false(tern__stream_explain(filter, &failure));
    close_over(&below, &w);
    /* Nor during the upgrade. */
    for (int explained = 0; explained < 2; explained++) {
        memory_stream_init(&below, SIZE_MAX);
        assert_int_equal(tern__websocket_new(&filter, &below.base, &plain), 0);
        memory_stream_put(&below, NULL, 0, explained != 0 ? TERN_E_TLS : TERN_E_NOMEM);
        below.why = explained != 0 ? "alert 42" : NULL;
        int rc = tern__stream_open(filter, &failure);
        assert_int_equal(rc, explained != 0 ? TERN_E_TLS : TERN_E_NOMEM);
        assert_int_equal(failure.error, rc);
        check_has(failure.text, explained != 0 ? "alert 42" : "out of memory");
        tern__stream_close(filter);
        memory_stream_deinit(&below);
    }
}

/* A poller without memory ends the stream, which would never be heard of again. [C19] */
static void a_poller_without_memory_ends_the_stream(void **state)
{
    (void)state;
    tern__stream_failure failure;
    tern__stream *filter;
    memory_stream below;
    wire w;
    char data[8];
    size_t n;
    filter = open_over(&below, &w);
    assert_int_equal(tern__stream_watch(filter, true, false), 0);
    memory_stream_put(&below, "\x89\x00\x82\x01x", 5, 0);
    below.step = 2;
    below.is_full = true; /* so that the pong waits for room */
    below.watch_rc = TERN_E_NOMEM;
    assert_int_equal(tern__stream_read(filter, data, sizeof data, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(tern__stream_read(filter, data, sizeof data, &n), TERN_E_NOMEM);
    close_over(&below, &w);
    memory_stream_init(&below, SIZE_MAX);
    assert_int_equal(tern__websocket_new(&filter, &below.base, &plain), 0);
    below.watch_rc = TERN_E_NOMEM;
    assert_int_equal(tern__stream_open(filter, &failure), TERN_E_NOMEM);
    check_has(failure.text, "the WebSocket upgrade: out of memory");
    tern__stream_close(filter);
    memory_stream_deinit(&below);
}

/* Who waits for bytes alone hears that nothing can be written any more. */
static void a_break_found_by_the_filter_is_told(void **state)
{
    (void)state;
    wire w;
    open_filter(&w, NULL, &plain);
    w.deaf = true;
    (void)stuff(&w);
    assert_int_equal(tern__stream_watch(w.stream, false, false), 0);
    w.ready = 0;
    wire_hang_up(&w);
    while (w.ready == 0)
        wire_turn(&w);
    assert_true((w.events & TERN__READY_ERROR) != 0);
    assert_int_equal(tern__stream_finish(w.stream), TERN_E_CONNECTION_LOST);
    wire_tear_down(&w);
}

/* [C20]: a token in a header is in no block that was given back. */
static void secrets_are_cleansed(void **state)
{
    (void)state;
    static const tern__websocket_header header = {"Authorization", "Bearer canary-7f3a"};
    tern__websocket_config config = plain;
    wire w;
    config.headers = &header;
    config.header_count = 1;
    config.path = "/mqtt?signature=canary-91bc";
    secrets[0] = "canary-7f3a";
    secrets[1] = "canary-91bc";
    leaked_secrets = 0;
    open_filter(&w, NULL, &config);
    wire_tear_down(&w);
    put_filter(&w, NULL, &config); /* closed before anything went out */
    wire_tear_down(&w);
    secrets[0] = secrets[1] = NULL;
    assert_int_equal(leaked_secrets, 0);
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
        cmocka_unit_test(every_rule_that_a_server_breaks_has_its_words),
        cmocka_unit_test(rules_hold_byte_by_byte),
        cmocka_unit_test(frames_behind_the_answer_are_not_lost),
        cmocka_unit_test(a_frame_above_the_limit_is_refused),
        cmocka_unit_test(bytes_survive_all_faults),
        cmocka_unit_test(frames_may_be_cut_anywhere),
        cmocka_unit_test(lengths_of_frames_have_their_shortest_form),
        cmocka_unit_test(every_frame_has_a_mask_of_its_own),
        cmocka_unit_test(without_random_bytes_nothing_is_sent),
        cmocka_unit_test(short_memory_is_told_or_survived),
        cmocka_unit_test(pings_are_answered),
        cmocka_unit_test(a_flood_of_pings_keeps_no_memory),
        cmocka_unit_test(a_pong_waits_for_room),
        cmocka_unit_test(room_is_told_once_it_is_there),
        cmocka_unit_test(room_is_room_for_a_frame),
        cmocka_unit_test(half_a_frame_goes_out_by_itself),
        cmocka_unit_test(a_user_may_close_in_its_turn),
        cmocka_unit_test(finishing_is_a_close_frame_and_the_end),
        cmocka_unit_test(finishing_waits_for_room),
        cmocka_unit_test(an_end_without_a_close_is_told),
        cmocka_unit_test(a_break_keeps_its_reason),
        cmocka_unit_test(what_was_said_before_a_break_is_read),
        cmocka_unit_test(endless_pings_do_not_keep_the_thread),
        cmocka_unit_test(a_short_read_is_the_only_one),
        cmocka_unit_test(the_words_of_the_stream_below_are_kept),
        cmocka_unit_test(a_poller_without_memory_ends_the_stream),
        cmocka_unit_test(a_break_found_by_the_filter_is_told),
        cmocka_unit_test(secrets_are_cleansed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
