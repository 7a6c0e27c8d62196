/* How a WebSocket ends: by us, by the peer, and by streams below that do odd things.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "memory.h"
#include "support/memory_stream.h"
#include "websocket_peer.h"

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

/* A close that finds no room follows what is before it, and nothing follows it, not even a pong
 * that was due. */
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
        {"\x82\x02"
         "ab",
         4, "without closing the WebSocket"},
        {"\x82", 1, "in the middle"},
        {"\x82\x02", 2, "in the middle"},
        {"\x82\x02"
         "a",
         3, "in the middle"},
        {"\x02\x02"
         "ab",
         4, "in the middle"},
        {"\x89\x02"
         "a",
         3, "in the middle"},
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
    assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), LOST);
    assert_int_equal(n, 0);
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

/* A short read tells that the stream below is drained, and is not followed by another; the answer
 * to a ping leaves with it. */
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
