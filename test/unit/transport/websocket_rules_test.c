/* Every rule of RFC 6455 that a server can break, with the words and the close code for it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <stdio.h>

#include "websocket_peer.h"

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

#define KB "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const frame_row frames[] = {
    ROW("\x82\x03"
        "abc",
        "abc", 0, 0, NULL),
    ROW("\x82\x00\x82\x01"
        "a",
        "a", 0, 0, NULL),
    /* Fragments [MQTT5-6.0.0-2] [MQTT311-6.0.0-2], with control frames between them and pongs
       nobody asked for. */
    ROW("\x02\x01"
        "a\x00\x01"
        "b\x80\x01"
        "c\x82\x01"
        "d",
        "abcd", 0, 0, NULL),
    ROW("\x02\x01"
        "a\x8A\x00\x00\x00\x8A\x02"
        "xx\x80\x01"
        "b",
        "ab", 0, 0, NULL),
    ROW("\x02\x00\x80\x00\x82\x01"
        "z",
        "z", 0, 0, NULL),
    ROW("\x82\x7E\x00\x7E" KB KB "\x82\x01!",
        KB "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd", 0, 0, NULL),
    /* A length that no memory holds is passed on as it comes. */
    ROW("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
        "abc",
        "abc", 0, 0, NULL),
    ROW("\x82\x7F\x00\x00\x00\x00\x80\x00\x00\x00"
        "abc",
        "abc", 0, 0, NULL),
    ROW("\x82\x7F\x00\x00\x00\x01\x00\x00\x00\x00"
        "abc",
        "abc", 0, 0, NULL),
    ROW("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"
        "abc",
        "abc", 0, 0, NULL),
    /* Lengths. */
    ROW("\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00"
        "abc",
        "", WS, 1002, "top bit"),
    ROW("\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
        "abc",
        "", WS, 1002, "top bit"),
    ROW("\x82\x7E\x00\x7D", "", WS, 1002, "shortest form"),
    ROW("\x82\x7E\x00\x00", "", WS, 1002, "shortest form"),
    ROW("\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF", "", WS, 1002, "shortest form"),
    ROW("\x82\x7F\x00\x00\x00\x00\x00\x00\x00\x01", "", WS, 1002, "shortest form"),
    /* Reserved bits and opcodes. */
    ROW("\xC2\x01"
        "a",
        "", WS, 1002, "reserved bit"),
    ROW("\xA2\x01"
        "a",
        "", WS, 1002, "reserved bit"),
    ROW("\x92\x01"
        "a",
        "", WS, 1002, "reserved bit"),
    ROW("\xC9\x00", "", WS, 1002, "reserved bit"),
    ROW("\x83\x01"
        "a",
        "", WS, 1002, "a data frame of a reserved opcode"),
    ROW("\x87\x00", "", WS, 1002, "a data frame of a reserved opcode"),
    ROW("\x8B\x00", "", WS, 1002, "a control frame of a reserved opcode"),
    ROW("\x8F\x00", "", WS, 1002, "a control frame of a reserved opcode"),
    /* A server never masks. */
    ROW("\x82\x81\x00\x00\x00\x00"
        "a",
        "", WS, 1002, "a masked frame"),
    ROW("\x89\x80\x01\x02\x03\x04", "", WS, 1002, "a masked frame"),
    /* Control frames. */
    ROW("\x09\x00", "", WS, 1002, "a fragmented control frame"),
    ROW("\x08\x00", "", WS, 1002, "a fragmented control frame"),
    ROW("\x89\x7E\x00\x7E", "", WS, 1002, "more than 125 bytes"),
    ROW("\x8A\x7F\x00\x00\x00\x00\x00\x01\x00\x00", "", WS, 1002, "more than 125 bytes"),
    /* Messages. */
    ROW("\x80\x01"
        "a",
        "", WS, 1002, "a continuation of no message"),
    ROW("\x82\x01"
        "a\x80\x01"
        "b",
        "a", WS, 1002, "a continuation of no message"),
    ROW("\x02\x01"
        "a\x82\x01"
        "b",
        "a", WS, 1002, "before the end of a fragmented one"),
    ROW("\x02\x01"
        "a\x81\x01"
        "b",
        "a", WS, 1002, "before the end of a fragmented one"),
    /* [MQTT5-6.0.0-1] [MQTT311-6.0.0-1] */
    ROW("\x81\x01"
        "a",
        "", WS, 1003, "a text frame"),
    ROW("\x01\x01"
        "a",
        "", WS, 1003, "a text frame"),
    ROW("\x82\x02"
        "ab\x81\x00",
        "ab", WS, 1003, "a text frame"),
    /* Closing. */
    ROW("\x88\x00", "", LOST, 0, "closed the WebSocket without a code"),
    ROW("\x82\x01"
        "a\x88\x02\x03\xE8",
        "a", LOST, 1000, "with code 1000 (normal closure)"),
    ROW("\x88\x09\x03\xE9"
        "reboot!",
        "", LOST, 1001, "with code 1001 (going away): \"reboot!\""),
    ROW("\x88\x04\x03\xF0\x1B\x0A", "", LOST, 1008, "code 1008 (policy violation): \"??\""),
    ROW("\x88\x02\x03\xF6", "", LOST, 1014, "code 1014 (bad gateway)"),
    ROW("\x88\x02\x0F\xA0"
        "\x82\x01"
        "a",
        "", LOST, 4000, "with code 4000"),
    ROW("\x88\x02\x13\x87", "", LOST, 4999, "with code 4999"),
    ROW("\x88\x04\x03\xE8\x00x", "", LOST, 1000, "with code 1000"),
    ROW("\x02\x01"
        "a\x88\x02\x03\xE8",
        "a", LOST, 1000, "with code 1000"),
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
    static const char more[] = "\x82\x03"
                               "abc\x88\x02\x03\xE8";
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
        ROW("\x82\x04"
            "abcd",
            "abcd", 0, 0, NULL),
        ROW("\x02\x04"
            "abcd\x80\x04"
            "efgh",
            "abcdefgh", 0, 0, NULL),
        ROW("\x82\x05"
            "abcde",
            "", WS, 1009, "larger than the limit"),
        ROW("\x02\x04"
            "abcd\x80\x05",
            "abcd", WS, 1009, "larger than the limit"),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_that_a_server_breaks_has_its_words),
        cmocka_unit_test(rules_hold_byte_by_byte),
        cmocka_unit_test(frames_behind_the_answer_are_not_lost),
        cmocka_unit_test(a_frame_above_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
