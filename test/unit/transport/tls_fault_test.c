/* TLS over a connection that gives and takes a byte at a time and says "again" at any call: all bytes come, both ways, in order.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "transport/tls.h"

#include "support/fault.h"
#include "tls_rig.h"

enum { SEEDS = 12, TOTAL = 6000, PIECE_MAX = 3000, TURNS_MAX = 2000000, SMALL = 1, MIDDLE = 97 };

/* Where the faults are: under TLS its records are cut, above it what it gives and takes is. */
enum { BELOW = 1, ABOVE = 2 };

typedef struct talk {
    rig r;
    tern__stream *top;
    tern__buf flight; /* from the server, not read by the client yet */
    uint32_t random;
    uint8_t up[TOTAL]; /* what the client says */
    uint8_t down[TOTAL];
    uint8_t heard[TOTAL];
    size_t up_written;
    size_t up_heard;
    size_t down_written;
    size_t down_read;
    unsigned key_updates;
} talk;

static uint32_t next_random(talk *t, uint32_t below)
{
    t->random = t->random * 1664525u + 1013904223u;
    return (t->random >> 8) % below;
}

/* Both ways of the wire; what the client has not taken stays in front. */
static void move_wire(talk *t)
{
    uint8_t bytes[4096];
    int len;
    feed_server(&t->r);
    tern__buf_consume(&t->flight, t->r.below.taken);
    while ((len = BIO_read(SSL_get_wbio(t->r.server), bytes, sizeof bytes)) > 0)
        assert_int_equal(tern__buf_append(&t->flight, bytes, (size_t)len), 0);
    memory_stream_put(&t->r.below, t->flight.data, t->flight.len, 0);
}

/* The rig with faults under its TLS, and the handshake through them. */
static void open_talk(talk *t, uint32_t seed, int version, int places, size_t window)
{
    static tern__source source;
    fault_plan plan = FAULT_NONE;
    tern__stream_failure failure;
    memset(t, 0, sizeof *t);
    t->random = plan.seed = seed;
    plan.read_max = plan.write_max = window;
    plan.read_again_percent = plan.write_again_percent = 50;
    memory_stream_init(&t->r.below, sizeof t->r.flight);
    t->r.server_context = server_context_new(version);
    t->r.server = SSL_new(t->r.server_context);
    SSL_set_bio(t->r.server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(t->r.server);
    assert_int_equal(make_context(&t->r), 0);
    tern__stream *below = &t->r.below.base;
    if (places & BELOW) below = fault_stream_new(below, &plan);
    assert_non_null(below);
    assert_int_equal(tern__tls_new(&t->r.stream, below, t->r.context, "broker.example", 8883, &failure), 0);
    tern__stream_set_source(t->r.stream, &source);
    int rc = TERN_E_AGAIN;
    for (int turn = 0; rc == TERN_E_AGAIN || !SSL_is_init_finished(t->r.server); turn++) {
        if (rc == TERN_E_AGAIN) rc = tern__stream_open(t->r.stream, &failure);
        assert_true(rc == 0 || rc == TERN_E_AGAIN);
        move_wire(t);
        (void)SSL_do_handshake(t->r.server);
        move_wire(t);
        assert_true(turn < TURNS_MAX);
    }
    t->top = (places & ABOVE) ? fault_stream_new(t->r.stream, &plan) : t->r.stream;
    assert_non_null(t->top);
    tern__stream_set_source(t->top, &source);
    for (size_t i = 0; i < TOTAL; i++) {
        t->up[i] = (uint8_t)next_random(t, 256);
        t->down[i] = (uint8_t)next_random(t, 256);
    }
}

/* The client writes two pieces of what is left, as packets and their payloads are written. */
static void client_writes(talk *t)
{
    size_t left = TOTAL - t->up_written;
    if (left == 0) return;
    size_t first = 1 + next_random(t, PIECE_MAX);
    if (first > left) first = left;
    size_t second = left - first < MIDDLE ? left - first : MIDDLE;
    tern__iov pieces[2] = {{t->up + t->up_written, first}, {t->up + t->up_written + first, second}};
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        size_t n = 0;
        int rc = tern__stream_write(t->top, pieces, second != 0 ? 2 : 1, &n);
        if (rc == 0) {
            assert_true(n > 0 && n <= first + second);
            t->up_written += n;
            return;
        }
        assert_int_equal(rc, TERN_E_AGAIN);
        move_wire(t);
    }
    fail_msg("a write never ended");
}

static void client_reads(talk *t)
{
    uint8_t data[PIECE_MAX];
    size_t n = 0;
    int rc = tern__stream_read(t->top, data, 1 + next_random(t, sizeof data), &n);
    if (rc == TERN_E_AGAIN) return;
    assert_int_equal(rc, 0);
    assert_true(n > 0 && t->down_read + n <= TOTAL);
    assert_memory_equal(data, t->down + t->down_read, n);
    t->down_read += n;
}

static void server_speaks(talk *t)
{
    size_t left = TOTAL - t->down_written;
    size_t len = 1 + next_random(t, PIECE_MAX);
    if (len > left) len = left;
    if (len == 0) return;
    assert_int_equal(SSL_write(t->r.server, t->down + t->down_written, (int)len), (int)len);
    t->down_written += len;
    if (SSL_version(t->r.server) == TLS1_3_VERSION && next_random(t, 8) == 0) {
        assert_int_equal(SSL_key_update(t->r.server, SSL_KEY_UPDATE_REQUESTED), 1);
        t->key_updates++;
    }
}

static void server_hears(talk *t)
{
    int len;
    while ((len = SSL_read(t->r.server, t->heard + t->up_heard, (int)(TOTAL - t->up_heard))) > 0) t->up_heard += (size_t)len;
}

static void close_talk(talk *t)
{
    tern__stream_close(t->top);
    t->r.stream = NULL;
    tern__buf_deinit(&t->flight);
    rig_free(&t->r);
}

static unsigned talk_once(uint32_t seed, int version, int places, size_t window)
{
    static talk t;
    open_talk(&t, seed, version, places, window);
    for (int turn = 0; t.up_heard < TOTAL || t.down_read < TOTAL; turn++) {
        client_writes(&t);
        if (next_random(&t, 2) == 0) server_speaks(&t);
        move_wire(&t);
        server_hears(&t);
        for (int reads = 0; reads < 64; reads++) client_reads(&t);
        assert_true(turn < TURNS_MAX);
    }
    assert_memory_equal(t.heard, t.up, TOTAL);
    close_talk(&t);
    return t.key_updates;
}

static void all_bytes_come_whatever_the_windows_are(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const size_t windows[] = {SMALL, MIDDLE, 0};
    unsigned key_updates = 0;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        for (int places = BELOW; places <= (BELOW | ABOVE); places++)
            key_updates += talk_once(seed, versions[seed % 2], places, windows[seed % 3]);
    assert_true(key_updates > 0);
}

/* The connection breaks in the middle of a record, at each byte of some: an error, never a clean end, and what came before is right. */
static void a_break_at_any_byte_is_an_error(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 300; after++) {
        static talk t;
        uint8_t data[PIECE_MAX];
        size_t n = 0;
        int rc = TERN_E_AGAIN;
        open_talk(&t, (uint32_t)after + 1, TLS1_3_VERSION, 0, 0);
        while (t.down_written < 1000) server_speaks(&t);
        move_wire(&t);
        size_t left = t.flight.len < after ? t.flight.len : (size_t)after;
        memory_stream_put(&t.r.below, t.flight.data, left, TERN_E_CONNECTION_LOST);
        while ((rc = tern__stream_read(t.top, data, sizeof data, &n)) == 0) {
            assert_memory_equal(data, t.down + t.down_read, n);
            t.down_read += n;
        }
        assert_true(rc == TERN_E_TLS || rc == TERN_E_CONNECTION_LOST);
        close_talk(&t);
    }
}

/* The same in the other direction: the writer is told, and what the server understood is what was said, up to there. */
static void a_break_at_any_byte_is_told_to_the_writer(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t after = 0; after < 300; after++) {
        static talk t;
        int rc = 0;
        open_talk(&t, (uint32_t)after + 1, versions[after % 2], 0, 0);
        t.r.below.breaks = true;
        t.r.below.room = after;
        while (rc == 0 || rc == TERN_E_AGAIN) {
            size_t n = 0;
            tern__iov piece = {t.up + t.up_written, 1 + next_random(&t, MIDDLE)};
            rc = tern__stream_write(t.top, &piece, 1, &n);
            assert_true(rc == 0 ? n > 0 : n == 0);
            t.up_written += n;
            move_wire(&t);
            assert_true(t.up_written <= after); /* a record is larger than what it holds */
        }
        assert_true(rc == TERN_E_TLS || rc == TERN_E_CONNECTION_LOST);
        server_hears(&t);
        assert_true(t.up_heard <= t.up_written);
        assert_memory_equal(t.heard, t.up, t.up_heard);
        assert_int_equal(SSL_get_shutdown(t.r.server) & SSL_RECEIVED_SHUTDOWN, 0);
        close_talk(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_bytes_come_whatever_the_windows_are),
        cmocka_unit_test(a_break_at_any_byte_is_an_error),
        cmocka_unit_test(a_break_at_any_byte_is_told_to_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
