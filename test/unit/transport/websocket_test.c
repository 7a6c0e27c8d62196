/* WebSocket: bytes both ways through faults, masks, pings and room.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "memory.h"
#include "platform/random.h"
#include "websocket_bulk.h"
#include "websocket_peer.h"

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

/* ---- bytes both ways ---- */

/* Whatever the sizes and rates, the bytes at the peer are those that were written, and the other
 * way round. [MQTT5-6.0.0-2] [MQTT311-6.0.0-2] */
static void bytes_survive_all_faults(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 100, 4096};
    static const size_t amounts[] = {BULK, 2000, 4000, 10000, 80000, BULK};
    for (uint32_t seed = 1; seed <= 24; seed++) {
        wire w;
        fault_plan plan = FAULT_NONE;
        plan.seed = seed;
        plan.read_max = plan.write_max = sizes[seed % 6];
        plan.read_again_percent = plan.write_again_percent = seed % 4 * 25 % 76;
        open_filter(&w, &plan, &plain);
        exchange_bulk(&w, amounts[seed % 6], seed * 7919);
        wire_tear_down(&w);
    }
}

/* A stream of bytes cut into frames at each point reads the same. */
static void frames_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "\x30\x05\x00\x01"
                               "ahi\x40\x02\x00\x01\xD0\x00";
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
    assert_int_equal(stuff_block(&w), 0); /* the one that had no room is told to be out */
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
    unsigned waits = 0;
    plan.write_max = 300;
    plan.write_again_percent = 40;
    open_filter(&w, &plan, &plain);
    for (unsigned i = 0; i < 300; i++) {
        static uint8_t block[2000];
        tern__iov piece = {block, sizeof block};
        size_t n = 0;
        if (tern__stream_write(w.stream, &piece, 1, &n) == TERN_E_AGAIN) {
            waits++;
            assert_int_equal(tern__stream_watch(w.stream, false, true), 0);
            for (w.ready = 0; w.ready == 0;)
                wire_turn(&w);
            assert_int_equal(tern__stream_write(w.stream, &piece, 1, &n), 0);
        }
        assert_int_equal(n, sizeof block);
    }
    assert_true(waits > 10);
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
        int rc = tern__stream_write(w.stream, &piece, 1, &n);
        assert_true(rc == 0 ? n == 21 : rc == TERN_E_AGAIN && n == 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
