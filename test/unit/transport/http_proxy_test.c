/* CONNECT through an HTTP proxy: the request, every answer, and the tunnel behind it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>

#include "transport/http_proxy.h"
#include "memory.h"
#include "wire.h"

static char host_name[] = "proxy.example";
static char user_name[] = "Aladdin";
static char pass_word[] = "open sesame";

static const tern__proxy plain = {.kind = TERN__PROXY_HTTP, .host = host_name, .port = 3128};
static const tern__proxy guarded = {.kind = TERN__PROXY_HTTP,
                                    .host = host_name,
                                    .port = 3128,
                                    .user = user_name,
                                    .password = pass_word};

/* ---- a proxy ---- */

static void answer_connect(wire *w)
{
    if (w->step != 0 || strstr((const char *)w->heard, "\r\n\r\n") == NULL) return;
    w->step = 1;
    if (w->script != NULL)
        wire_say_text(w, w->script);
    else
        wire_hang_up(w);
}

static void put_filter(wire *w, const fault_plan *plan, const tern__proxy *proxy, const char *host,
                       const char *answer)
{
    tern__stream *filter;
    wire_set_up(w, plan);
    assert_int_equal(tern__http_proxy_new(&filter, w->stream, proxy, host, 8883), 0);
    w->stream = filter;
    wire_set_source(w);
    w->answer = answer_connect;
    w->script = answer;
}

typedef struct request_row {
    const tern__proxy *proxy;
    const char *host;
    const char *request;
} request_row;

static void the_request_names_the_target(void **state)
{
    (void)state;
    static const request_row rows[] = {
        {&plain, "broker.example",
         "CONNECT broker.example:8883 HTTP/1.1\r\nHost: broker.example:8883\r\n\r\n"},
        {&plain, "::1", "CONNECT [::1]:8883 HTTP/1.1\r\nHost: [::1]:8883\r\n\r\n"},
        {&plain, "10.0.0.1", "CONNECT 10.0.0.1:8883 HTTP/1.1\r\nHost: 10.0.0.1:8883\r\n\r\n"},
        {&guarded, "h",
         "CONNECT h:8883 HTTP/1.1\r\nHost: h:8883\r\n"
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__stream_failure failure;
        wire w;
        put_filter(&w, NULL, rows[i].proxy, rows[i].host, "HTTP/1.1 200 OK\r\n\r\n");
        assert_string_equal(w.stream->ops->name, "http-proxy");
        assert_int_equal(wire_open(&w, &failure), 0);
        assert_string_equal((const char *)w.heard, rows[i].request);
        wire_tear_down(&w);
    }
}

/* A host cannot smuggle a header into the request. */
static void hosts_that_break_the_request_are_refused(void **state)
{
    (void)state;
    static const char *const hosts[] = {"h\r\nX: y", "h\n", "a b", "h\x7F", "\xC3\xA4", "h#"};
    static char with_colon[] = "a:b";
    tern__proxy wrong = guarded;
    tern__stream *filter = NULL;
    wire w;
    wire_set_up(&w, NULL);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        assert_int_equal(tern__http_proxy_new(&filter, w.stream, &plain, hosts[i], 1),
                         TERN_E_INVALID);
        assert_null(filter);
    }
    wrong.user = with_colon;
    assert_int_equal(tern__http_proxy_new(&filter, w.stream, &wrong, "h", 1), TERN_E_INVALID);
    wire_tear_down(&w);
}

typedef struct answer_row {
    const char *answer; /* NULL: hangs up */
    int status;         /* what the failure tells; -1: it opens */
    const char *text;
    const char *hint;
    const char *hint_with_user; /* NULL: the same */
} answer_row;

static const answer_row answers[] = {
    {"HTTP/1.1 200 Connection established\r\n\r\n", -1, NULL, NULL, NULL},
    {"HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n", -1, NULL, NULL,
     NULL},
    {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", -1, NULL, NULL, NULL},
    {"HTTP/1.1 299 x\r\n\r\n", -1, NULL, NULL, NULL},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", -1, NULL, NULL, NULL},
    {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
     407, "HTTP 407 Proxy Authentication Required", "wants a user name and password: http://",
     "refuses the user name or password"},
    {"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM, Digest "
     "a=b\r\n\r\n",
     407, "HTTP 407 x", "another way to log in than Basic", NULL},
    {"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: basic\r\n\r\n", 407,
     "HTTP 407 x", "wants a user name", "refuses the user name or password"},
    {"HTTP/1.1 403 Filtered\r\nContent-Length: 14\r\n\r\nport forbidden", 403,
     "the proxy answers CONNECT broker.example:8883 with HTTP 403 Filtered: \"port forbidden\"",
     "forbids this host or port", NULL},
    {"HTTP/1.1 400 Bad\r\n\r\n", 400, "HTTP 400 Bad", "allows CONNECT", NULL},
    {"HTTP/1.0 401 Unauthorized\r\n\r\n", 401, "HTTP 401", "a web server answers",
     "refuses the user name or password"},
    {"HTTP/1.1 404 Not Found\r\n\r\n", 404, "HTTP 404", "a web server answers", NULL},
    {"HTTP/1.1 405 x\r\n\r\n", 405, "HTTP 405", "does not allow CONNECT", NULL},
    {"HTTP/1.0 500 Unable to connect\r\n\r\n<!DOCTYPE html>", 500, "HTTP 500 Unable to connect",
     "could not reach the host", NULL},
    {"HTTP/1.1 501 x\r\n\r\n", 501, "HTTP 501", "does not know CONNECT", NULL},
    {"HTTP/1.1 502 Bad Gateway\r\n\r\n", 502, "HTTP 502 Bad Gateway", "check name and port", NULL},
    {"HTTP/1.1 503 x\r\n\r\n", 503, "HTTP 503", "could not reach", NULL},
    {"HTTP/1.1 504 Gateway Timeout\r\n\r\n", 504, "HTTP 504", "did not answer the proxy in time",
     NULL},
    {"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", 302, "HTTP 302 Found", "", NULL},
    {"HTTP/1.1 101 Switching\r\n\r\n", 101, "HTTP 101", "", NULL},
    {"HTTP/1.1 403 \x1b[31m\r\n\r\n", 0, "bad HTTP: a control character", "HTTP server", NULL},
    {"HTTP/1.1 403 x\r\n\r\n\x1b[31m", 403, "\"?[31m\"", "", NULL},
    {"\x05\xFF", 0, "something that is not HTTP", "socks5://", NULL},
    {"\x15\x03\x01\x00\x02\x02\x16", 0, "something that is not HTTP", "TLS", NULL},
    {"hello\r\n", 0, "something that is not HTTP", "is it an HTTP proxy?", NULL},
    {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 0, "bad HTTP: a header's name", "", NULL},
    {NULL, 0, "the proxy ended the connection without answering CONNECT", "is it an HTTP proxy?",
     NULL},
};

static void check_answer(const answer_row *row, const fault_plan *plan, bool with_user)
{
    tern__stream_failure failure;
    wire w;
    put_filter(&w, plan, with_user ? &guarded : &plain, "broker.example", row->answer);
    int rc = wire_open(&w, &failure);
    if (row->status < 0) {
        if (rc != 0) fail_msg("%s: %s", row->answer, failure.text);
        assert_false(tern__stream_pending(w.stream));
        wire_tear_down(&w);
        return;
    }
    assert_int_equal(rc, TERN_E_PROXY);
    assert_int_equal(failure.error, TERN_E_PROXY);
    assert_int_equal(failure.step, TERN_STEP_PROXY);
    assert_int_equal(failure.http_status, row->status);
    check_has(failure.text, "proxy.example:3128: ");
    if (plan == NULL) check_has(failure.text, row->text);
    check_has(failure.hint,
              with_user && row->hint_with_user != NULL ? row->hint_with_user : row->hint);
    assert_null(strstr(failure.text, "sesame"));
    wire_tear_down(&w);
}

static void every_answer_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        check_answer(&answers[i], NULL, false);
        check_answer(&answers[i], NULL, true);
    }
}

static void answers_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fault_plan plan = FAULT_NONE;
        plan.seed = (uint32_t)i + 1;
        plan.read_max = plan.write_max = 1;
        plan.read_again_percent = plan.write_again_percent = 30;
        check_answer(&answers[i], &plan, true);
    }
}

/* A break at every byte of the exchange is told, with the system's reason. */
static void a_break_is_told_wherever_it_comes(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    for (uint64_t at = 0; at < sizeof answer - 1; at++) {
        for (int reading = 0; reading < 2; reading++) {
            fault_plan plan = FAULT_NONE;
            tern__stream_failure failure;
            wire w;
            if (reading != 0)
                plan.reset_after_read = at;
            else
                plan.reset_after_written = at;
            put_filter(&w, &plan, &plain, "h", answer);
            assert_int_equal(wire_open(&w, &failure), TERN_E_PROXY);
            assert_int_equal(failure.os_error, ECONNRESET);
            check_has(failure.text, "the connection broke during CONNECT: ");
            wire_tear_down(&w);
        }
    }
}

/* What came in one piece with the answer is the peer's first word. */
static void the_tunnel_loses_nothing(void **state)
{
    (void)state;
    enum { SIZE = 9000 };
    static char answer[SIZE + 100];
    static char back[SIZE];
    for (uint32_t seed = 0; seed < 8; seed++) {
        fault_plan plan = FAULT_NONE;
        tern__stream_failure failure;
        wire w;
        int rc;
        int head = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nVia: x\r\n\r\n");
        for (size_t i = 0; i < SIZE; i++)
            answer[(size_t)head + i] = (char)('a' + i % 23);
        answer[(size_t)head + SIZE] = '\0';
        plan.seed = seed + 1;
        plan.read_max = plan.write_max = seed * seed * 10;
        plan.read_again_percent = plan.write_again_percent = seed * 10;
        put_filter(&w, &plan, &plain, "h", answer);
        assert_int_equal(wire_open(&w, &failure), 0);
        if (seed == 0) assert_true(tern__stream_pending(w.stream));
        for (size_t at = 0; at < SIZE; at += 50)
            assert_int_equal(wire_read(&w, back + at, 50, &rc), 50);
        assert_memory_equal(back, answer + head, SIZE);
        assert_false(tern__stream_pending(w.stream));
        w.heard_len = 0;
        assert_int_equal(wire_write(&w, back, SIZE, 1000), 0);
        wire_hear(&w, SIZE);
        assert_memory_equal(w.heard, back, SIZE);
        assert_int_equal(tern__stream_finish(w.stream), 0);
        while (!w.heard_end)
            wire_turn(&w);
        wire_tear_down(&w);
    }
}

/* [C19] */
static void short_memory_is_told(void **state)
{
    (void)state;
    int rc = TERN_E_NOMEM;
    for (long left = 0; rc == TERN_E_NOMEM; left++) {
        tern__stream *filter = NULL;
        wire w;
        wire_set_up(&w, NULL);
        allocations_left = left;
        rc = tern__http_proxy_new(&filter, w.stream, &guarded, "h", 1);
        allocations_left = -1;
        assert_true((rc == 0) == (filter != NULL));
        if (rc == 0) w.stream = filter;
        wire_tear_down(&w);
        assert_true(left < 20);
    }
    assert_int_equal(rc, 0);
}

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG_TEXT HUNDRED HUNDRED HUNDRED

/* [C20]: neither the password nor its Base64 is in a block that was given back. */
static void secrets_are_cleansed(void **state)
{
    (void)state;
    static const char *const proxy_answers[] = {"HTTP/1.1 200 OK\r\n\r\n",
                                                "HTTP/1.1 407 x\r\n\r\n"};
    secrets[0] = pass_word;
    secrets[1] = "QWxhZGRpbjpvcGVuIHNlc2FtZQ";
    leaked_secrets = 0;
    for (size_t i = 0; i < 3; i++) {
        tern__stream_failure failure;
        wire w;
        put_filter(&w, NULL, &guarded, "h", proxy_answers[i % 2]);
        if (i < 2) (void)wire_open(&w, &failure); /* else closed before anything went out */
        wire_tear_down(&w);
    }
    /* Nor does a request of any length leave a piece behind by growing. */
    for (size_t len = 0; len < 300; len++) {
        char password[400];
        tern__proxy proxy = guarded;
        wire w;
        snprintf(password, sizeof password, "%s%.*s", pass_word, (int)len, LONG_TEXT);
        proxy.password = password;
        put_filter(&w, NULL, &proxy, "h", proxy_answers[0]);
        wire_tear_down(&w);
    }
    secrets[0] = secrets[1] = NULL;
    assert_int_equal(leaked_secrets, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_names_the_target),
        cmocka_unit_test(hosts_that_break_the_request_are_refused),
        cmocka_unit_test(every_answer_is_judged),
        cmocka_unit_test(answers_may_come_byte_by_byte),
        cmocka_unit_test(a_break_is_told_wherever_it_comes),
        cmocka_unit_test(the_tunnel_loses_nothing),
        cmocka_unit_test(secrets_are_cleansed),
        cmocka_unit_test(short_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
