/* SOCKS5: what is said, every answer, and the tunnel behind it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>

#include "transport/socks5.h"
#include "memory.h"
#include "wire.h"

static char host_name[] = "proxy.example";
static char user_name[] = "user";
static char pass_word[] = "hunter2";

static const tern__proxy plain = {.kind = TERN__PROXY_SOCKS5, .host = host_name, .port = 1080};
static const tern__proxy guarded = {.kind = TERN__PROXY_SOCKS5,
                                    .host = host_name,
                                    .port = 1080,
                                    .user = user_name,
                                    .password = pass_word};

/* A talk: what the proxy must hear before it says the next thing. */
typedef struct words {
    const char *bytes;
    size_t len;
    bool last; /* hangs up then */
} words;
#define SAYS(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1, false                                                              \
    }
#define HALF(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1, true                                                               \
    }
enum { STEPS = 4 };

typedef struct talk {
    const tern__proxy *proxy;
    const char *host;
    words heard[STEPS]; /* an empty one ends the talk */
    words said[STEPS];
    const char *text; /* of the failure; NULL: it opens */
    const char *hint;
} talk;

/* The heard bytes of all steps so far, in full. */
static void answer_step(wire *w)
{
    const talk *script = w->script;
    size_t expected = 0;
    while (w->step < STEPS && script->heard[w->step].len != 0) {
        expected = 0;
        for (unsigned i = 0; i <= w->step; i++)
            expected += script->heard[i].len;
        if (w->heard_len < expected) return;
        const words *said = &script->said[w->step++];
        wire_say(w, said->bytes, said->len);
        wire_speak(w);
        if (said->last) wire_hang_up(w);
    }
}

static void put_filter(wire *w, const fault_plan *plan, const talk *script)
{
    tern__stream *filter;
    wire_set_up(w, plan);
    assert_int_equal(tern__socks5_new(&filter, w->stream, script->proxy, script->host, 8883), 0);
    w->stream = filter;
    wire_set_source(w);
    w->answer = answer_step;
    w->script = script;
}

#define HELLO SAYS("\x05\x01\x00")
#define HELLO2 SAYS("\x05\x02\x00\x02")
#define LOGIN SAYS("\x01\x04user\x07hunter2")
#define REQUEST                                                                                    \
    SAYS("\x05\x01\x00\x03\x06"                                                                    \
         "broker\x22\xB3")
#define FREE SAYS("\x05\x00")
#define GUARDED SAYS("\x05\x02")
#define IN SAYS("\x01\x00")
#define DONE SAYS("\x05\x00\x00\x01\x0A\x00\x00\x01\x12\x34")
#define NO(code) SAYS("\x05" code "\x00\x01\x00\x00\x00\x00\x00\x00")
#define REPLY(code, text, hint)                                                                    \
    {                                                                                              \
        &plain, "broker", {HELLO, REQUEST}, {FREE, NO(code)}, text, hint                           \
    }
#define GONE                                                                                       \
    {                                                                                              \
        "", 0, true                                                                                \
    }

static const talk talks[] = {
    /* Each kind of address, ours and the proxy's. */
    {&plain, "broker", {HELLO, REQUEST}, {FREE, DONE}, NULL, NULL},
    {&plain,
     "10.0.0.7",
     {HELLO, SAYS("\x05\x01\x00\x01\x0A\x00\x00\x07\x22\xB3")},
     {FREE, DONE},
     NULL,
     NULL},
    {&plain,
     "2001:db8::7",
     {HELLO, SAYS("\x05\x01\x00\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x07\x22\xB3")},
     {FREE, SAYS("\x05\x00\x00\x04"
                 "0123456789abcdef\x12\x34")},
     NULL,
     NULL},
    {&plain,
     "fe80::1%eth0",
     {HELLO, SAYS("\x05\x01\x00\x04\xFE\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x22\xB3")},
     {FREE, SAYS("\x05\x00\x00\x03\x04host\x12\x34")},
     NULL,
     NULL},
    {&plain, "broker", {HELLO, REQUEST}, {FREE, SAYS("\x05\x00\x00\x03\x00\x12\x34")}, NULL, NULL},
    /* With a login, and where the proxy does not ask for it. */
    {&guarded, "broker", {HELLO2, LOGIN, REQUEST}, {GUARDED, IN, DONE}, NULL, NULL},
    {&guarded, "broker", {HELLO2, REQUEST}, {FREE, DONE}, NULL, NULL},
    /* Logins. */
    {&plain,
     "broker",
     {HELLO},
     {SAYS("\x05\xFF")},
     "lets nobody in without a login",
     "socks5://user:password@"},
    {&guarded, "broker", {HELLO2}, {SAYS("\x05\xFF")}, "takes no user name and password", "GSSAPI"},
    {&plain,
     "broker",
     {HELLO},
     {SAYS("\x05\x02")},
     "a login that was not offered",
     "a fault of the proxy"},
    {&guarded,
     "broker",
     {HELLO2},
     {SAYS("\x05\x01")},
     "a login that was not offered",
     "a fault of the proxy"},
    {&guarded,
     "broker",
     {HELLO2, LOGIN},
     {GUARDED, SAYS("\x01\x01")},
     "refuses the user name or password",
     "proxy's URL"},
    {&guarded,
     "broker",
     {HELLO2, LOGIN},
     {GUARDED, SAYS("\x01\xFF")},
     "refuses the user name or password",
     "proxy's URL"},
    {&guarded,
     "broker",
     {HELLO2, LOGIN},
     {GUARDED, SAYS("\x05\x00")},
     "not one of RFC 1929",
     "a fault of the proxy"},
    /* Every reply code. */
    REPLY("\x01", "does not connect to broker:8883: general failure of the proxy (reply 1)", "log"),
    REPLY("\x02", "the rules of the proxy forbid it (reply 2)", "allow this host and port"),
    REPLY("\x03", "network unreachable (reply 3)", "no way"),
    REPLY("\x04", "host unreachable (reply 4)", "check the host's name"),
    REPLY("\x05", "connection refused (reply 5)", "check the port"),
    REPLY("\x06", "TTL expired (reply 6)", "did not answer"),
    REPLY("\x07", "command not supported (reply 7)", "CONNECT"),
    REPLY("\x08", "address type not supported (reply 8)", "try a name"),
    REPLY("\x09", "a reason that SOCKS5 does not know (reply 9)", "log"),
    REPLY("\xFF", "a reason that SOCKS5 does not know (reply 255)", "log"),
    /* A refusal that is cut short says enough. */
    {&plain, "broker", {HELLO, REQUEST}, {FREE, SAYS("\x05\x05")}, "connection refused", "port"},
    /* What is no SOCKS5. */
    {&plain,
     "broker",
     {HELLO},
     {SAYS("HTTP/1.1 400 Bad Request\r\n\r\n")},
     "no SOCKS5 proxy",
     "write http://"},
    {&plain, "broker", {HELLO}, {SAYS("H")}, "no SOCKS5 proxy", "write http://"},
    {&plain, "broker", {HELLO}, {SAYS("\x00\x5B")}, "no SOCKS5 proxy", "SOCKS4"},
    {&plain, "broker", {HELLO}, {SAYS("\x15\x03\x01")}, "no SOCKS5 proxy", "TLS"},
    {&plain, "broker", {HELLO}, {SAYS("\x04\x00")}, "no SOCKS5 proxy", "check host and port"},
    {&plain,
     "broker",
     {HELLO, REQUEST},
     {FREE, SAYS("\x04\x00\x00\x01\x00")},
     "no SOCKS5 proxy",
     ""},
    {&plain,
     "broker",
     {HELLO, REQUEST},
     {FREE, SAYS("\x05\x00\x00\x02\x00")},
     "an address of no known type",
     "a fault of the proxy"},
    /* The end, at each step. */
    {&plain,
     "broker",
     {HELLO},
     {GONE},
     "ended the connection without answering the greeting",
     "is it a SOCKS5 proxy?"},
    {&plain,
     "broker",
     {HELLO},
     {HALF("\x05")},
     "in the middle of its answer to the greeting",
     "is it a SOCKS5 proxy?"},
    {&guarded,
     "broker",
     {HELLO2, LOGIN},
     {GUARDED, HALF("\x01")},
     "in the middle of its answer to the login",
     "log"},
    {&plain,
     "broker",
     {HELLO, REQUEST},
     {FREE, HALF("\x05\x00\x00\x01")},
     "in the middle of its answer to the request",
     "log"},
    {&plain,
     "broker",
     {HELLO, REQUEST},
     {FREE, HALF("\x05\x00\x00\x01\x0A")},
     "in the middle of its answer to the request",
     "log"},
    {&plain,
     "broker",
     {HELLO, REQUEST},
     {FREE, HALF("\x05\x00\x00\x01\x0A\x00")},
     "in the middle of its answer to the request",
     "log"},
    {&guarded, "broker", {HELLO2, LOGIN}, {GUARDED, GONE}, "without answering the login", "log"},
    {&plain, "broker", {HELLO, REQUEST}, {FREE, GONE}, "without answering the request", "log"},
};

static void check_talk(const talk *row, const fault_plan *plan)
{
    tern__stream_failure failure;
    wire w;
    put_filter(&w, plan, row);
    int rc = wire_open(&w, &failure);
    if (row->text == NULL) {
        size_t len = 0;
        if (rc != 0) fail_msg("%s: %s", row->host, failure.text);
        for (size_t i = 0; i < STEPS; i++) {
            assert_memory_equal(w.heard + len, row->heard[i].bytes, row->heard[i].len);
            len += row->heard[i].len;
        }
        assert_int_equal(w.heard_len, len);
    } else {
        assert_int_equal(rc, TERN_E_PROXY);
        assert_int_equal(failure.error, TERN_E_PROXY);
        assert_int_equal(failure.step, TERN_STEP_PROXY);
        assert_int_equal(failure.os_error, 0);
        check_has(failure.text, "proxy.example:1080: ");
        check_has(failure.text, row->text);
        check_has(failure.hint, row->hint);
        assert_null(strstr(failure.text, "hunter2"));
    }
    wire_tear_down(&w);
}

static void every_talk_ends_as_it_must(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++)
        check_talk(&talks[i], NULL);
}

static void talks_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        for (uint32_t seed = 1; seed < 4; seed++) {
            fault_plan plan = FAULT_NONE;
            plan.seed = seed;
            plan.read_max = plan.write_max = 1;
            plan.read_again_percent = plan.write_again_percent = 20 * seed;
            check_talk(&talks[i], &plan);
        }
    }
}

/* A break at every byte of the talk is told, with the system's reason. */
static void a_break_is_told_wherever_it_comes(void **state)
{
    (void)state;
    static const talk row = {&guarded, "broker", {HELLO2, LOGIN, REQUEST}, {GUARDED, IN, DONE},
                             NULL,     NULL};
    for (uint64_t at = 0; at < 4 + 14 + 13; at++) {
        for (int reading = 0; reading < 2; reading++) {
            fault_plan plan = FAULT_NONE;
            tern__stream_failure failure;
            wire w;
            if (reading != 0 && at >= 2 + 2 + 10) continue;
            if (reading != 0)
                plan.reset_after_read = at;
            else
                plan.reset_after_written = at;
            put_filter(&w, &plan, &row);
            assert_int_equal(wire_open(&w, &failure), TERN_E_PROXY);
            assert_int_equal(failure.os_error, ECONNRESET);
            check_has(failure.text, "the connection broke during the ");
            wire_tear_down(&w);
        }
    }
}

/* Not a byte of the peer's is taken for the proxy's. */
static void the_tunnel_loses_nothing(void **state)
{
    (void)state;
    static const talk row = {&plain,
                             "broker",
                             {HELLO, REQUEST},
                             {FREE, SAYS("\x05\x00\x00\x03\x05local\x12\x34"
                                         "first words of the peer")},
                             NULL,
                             NULL};
    for (uint32_t seed = 0; seed < 10; seed++) {
        fault_plan plan = FAULT_NONE;
        char back[23];
        tern__stream_failure failure;
        wire w;
        int rc;
        plan.seed = seed + 1;
        plan.read_max = plan.write_max = seed;
        plan.read_again_percent = plan.write_again_percent = seed * 5;
        put_filter(&w, &plan, &row);
        assert_int_equal(wire_open(&w, &failure), 0);
        assert_string_equal(w.stream->ops->name, "socks5");
        assert_int_equal(wire_read(&w, back, sizeof back, &rc), sizeof back);
        assert_memory_equal(back, "first words of the peer", sizeof back);
        w.heard_len = 0;
        assert_int_equal(wire_write(&w, back, sizeof back, 5), 0);
        wire_hear(&w, sizeof back);
        assert_memory_equal(w.heard, back, sizeof back);
        wire_tear_down(&w);
    }
}

/* Lengths are of one byte. */
static void long_texts_are_measured(void **state)
{
    (void)state;
    char text[257];
    tern__stream *filter = NULL;
    wire w;
    wire_set_up(&w, NULL);
    memset(text, 'h', sizeof text);
    text[256] = '\0';
    tern__proxy proxy = guarded;
    assert_int_equal(tern__socks5_new(&filter, w.stream, &plain, text, 1), TERN_E_INVALID);
    proxy.user = text;
    assert_int_equal(tern__socks5_new(&filter, w.stream, &proxy, "h", 1), TERN_E_INVALID);
    proxy = guarded;
    proxy.password = text;
    assert_int_equal(tern__socks5_new(&filter, w.stream, &proxy, "h", 1), TERN_E_INVALID);
    proxy.user = text + 256;
    proxy.password = NULL;
    assert_int_equal(tern__socks5_new(&filter, w.stream, &proxy, "h", 1), TERN_E_INVALID);
    assert_int_equal(tern__socks5_new(&filter, w.stream, &plain, "", 1), TERN_E_INVALID);
    assert_null(filter);
    /* The longest that there are go out whole. */
    proxy.user = proxy.password = text + 1;
    assert_int_equal(tern__socks5_new(&filter, w.stream, &proxy, text + 1, 1), 0);
    w.stream = filter;
    wire_set_source(&w);
    wire_say(&w, "\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 14);
    tern__stream_failure failure;
    assert_int_equal(wire_open(&w, &failure), 0);
    wire_hear(&w, 4 + 3 + 510 + 7 + 255);
    assert_int_equal(w.heard[5], 255);
    assert_int_equal(w.heard[4 + 3 + 510 + 4], 255);
    wire_tear_down(&w);
}

/* [C20]: the password is in no block that was given back. */
static void secrets_are_cleansed(void **state)
{
    (void)state;
    static const talk rows[] = {
        {&guarded, "broker", {HELLO2, LOGIN, REQUEST}, {GUARDED, IN, DONE}, NULL, NULL},
        {&guarded, "broker", {HELLO2, LOGIN}, {GUARDED, HALF("\x01")}, NULL, NULL},
        {&guarded, "broker", {HELLO2}, {SAYS("\x05\xFF")}, NULL, NULL},
    };
    secrets[0] = pass_word;
    leaked_secrets = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__stream_failure failure;
        wire w;
        put_filter(&w, NULL, &rows[i]);
        (void)wire_open(&w, &failure);
        /* Once it was said it is forgotten: the filter lives as long as the connection. */
        if (i == 0)
            assert_null(
                memmem(w.stream, malloc_usable_size(w.stream), pass_word, strlen(pass_word)));
        wire_tear_down(&w);
    }
    secrets[0] = NULL;
    assert_int_equal(leaked_secrets, 0);
}

/* [C19] */
static void short_memory_is_told(void **state)
{
    (void)state;
    tern__stream *filter = NULL;
    wire w;
    wire_set_up(&w, NULL);
    allocations_left = 0;
    assert_int_equal(tern__socks5_new(&filter, w.stream, &plain, "h", 1), TERN_E_NOMEM);
    allocations_left = -1;
    assert_null(filter);
    wire_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_talk_ends_as_it_must),
        cmocka_unit_test(talks_may_come_byte_by_byte),
        cmocka_unit_test(a_break_is_told_wherever_it_comes),
        cmocka_unit_test(the_tunnel_loses_nothing),
        cmocka_unit_test(secrets_are_cleansed),
        cmocka_unit_test(short_memory_is_told),
        cmocka_unit_test(long_texts_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
