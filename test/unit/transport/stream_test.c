/* Streams over sockets, the pass-through of filters, and the fault filter.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <tern/error.h>
#include <unistd.h>

#include "base/list.h"
#include "platform/poller.h"
#include "support/fault.h"
#include "support/net.h"
#include "transport/socket_stream.h"

/* A socket stream with its peer, and a source that counts. */
typedef struct fixture {
    tern__poller *poller;
    tern__stream *stream;
    int peer;
    tern__source source;
    unsigned calls;
    unsigned events;
    bool closes; /* the source closes the stream */
} fixture;

static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    fixture *f = TERN__CONTAINER(source, fixture, source);
    (void)now;
    f->calls++;
    f->events = events;
    if (!f->closes) return;
    tern__stream_close(f->stream);
    f->stream = NULL;
}

static void set_up(fixture *f)
{
    int ends[2];
    *f = (fixture){.source.ready = on_ready};
    assert_int_equal(tern__poller_new(&f->poller, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    f->peer = ends[1];
    assert_int_equal(tern__socket_stream_new(&f->stream, TERN__SCHEME_UNIX, ends[0], f->poller), 0);
}

static void put_fault(fixture *f, fault_plan plan)
{
    f->stream = fault_stream_new(f->stream, &plan);
    assert_non_null(f->stream);
    tern__stream_set_source(f->stream, &f->source);
}

static void tear_down(fixture *f)
{
    tern__stream_close(f->stream);
    if (f->peer >= 0) close(f->peer);
    tern__poller_free(f->poller);
}

static unsigned look(const fixture *f)
{
    unsigned woken;
    assert_int_equal(tern__poller_wait(f->poller, 0, &woken), 0);
    return woken;
}

static int write_text(const fixture *f, const char *text, size_t *n)
{
    tern__iov piece = {(void *)(uintptr_t)text, strlen(text)};
    return tern__stream_write(f->stream, &piece, 1, n);
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    fixture f;
    char data[32];
    size_t n;
    set_up(&f);
    assert_string_equal(f.stream->ops->name, "unix");
    tern__stream_set_source(f.stream, &f.source);
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), TERN_E_AGAIN);
    assert_int_equal(tern__stream_os_error(f.stream), 0);
    assert_int_equal(write_text(&f, "hello", &n), 0);
    assert_int_equal(n, 5);
    assert_int_equal(net_read(f.peer, data, 5, NET_PATIENCE_MS), 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(tern__stream_watch(f.stream, true, false), 0);
    assert_int_equal(look(&f), 0);
    assert_true(net_write(f.peer, "abc", 3));
    assert_int_equal(look(&f), 1);
    assert_int_equal(f.events, TERN__READY_READ);
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), 0);
    assert_int_equal(n, 3);
    tear_down(&f);
}

/* More pieces than one call takes: all arrive, in order. */
static void many_pieces_are_written_in_turns(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    fixture f;
    char bytes[COUNT];
    char back[COUNT];
    tern__iov pieces[COUNT];
    set_up(&f);
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = (char)i;
        pieces[i] = (tern__iov){&bytes[i], 1};
    }
    size_t done = 0;
    while (done < COUNT) {
        size_t n = 0;
        assert_int_equal(tern__stream_write(f.stream, pieces + done, COUNT - done, &n), 0);
        assert_true(n > 0 && n <= COUNT - done);
        done += n;
    }
    assert_int_equal(net_read(f.peer, back, COUNT, NET_PATIENCE_MS), COUNT);
    assert_memory_equal(back, bytes, COUNT);
    tear_down(&f);
}

static void a_full_socket_says_again(void **state)
{
    (void)state;
    static char block[65536];
    fixture f;
    size_t n;
    int rc;
    uint64_t written = 0;
    set_up(&f);
    tern__stream_set_source(f.stream, &f.source);
    tern__iov piece = {block, sizeof block};
    while ((rc = tern__stream_write(f.stream, &piece, 1, &n)) == 0)
        written += n;
    assert_int_equal(rc, TERN_E_AGAIN);
    assert_true(written > 0);
    assert_int_equal(tern__stream_watch(f.stream, false, true), 0);
    assert_int_equal(look(&f), 0);
    while (written != 0) {
        size_t got =
            net_read(f.peer, block, written < sizeof block ? (size_t)written : sizeof block,
                     NET_PATIENCE_MS);
        assert_true(got > 0);
        written -= got;
    }
    assert_int_equal(look(&f), 1);
    assert_int_equal(f.events, TERN__READY_WRITE);
    tear_down(&f);
}

static void the_peers_end_is_a_lost_connection(void **state)
{
    (void)state;
    fixture f;
    char data[8];
    size_t n;
    set_up(&f);
    close(f.peer);
    f.peer = -1;
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), TERN_E_CONNECTION_LOST);
    assert_int_equal(tern__stream_os_error(f.stream), 0);
    assert_int_equal(write_text(&f, "x", &n), TERN_E_CONNECTION_LOST);
    assert_int_equal(tern__stream_os_error(f.stream), EPIPE);
    tear_down(&f);
}

static void a_source_may_close_its_stream(void **state)
{
    (void)state;
    for (int faulty = 0; faulty < 2; faulty++) {
        fixture f;
        set_up(&f);
        if (faulty != 0) put_fault(&f, (fault_plan)FAULT_NONE);
        tern__stream_set_source(f.stream, &f.source);
        f.closes = true;
        assert_int_equal(tern__stream_watch(f.stream, true, true), 0);
        assert_int_equal(look(&f), 1);
        assert_null(f.stream);
        assert_int_equal(look(&f), 0);
        tear_down(&f);
    }
}

/* A filter without functions of its own is transparent, twice over. */
static void missing_functions_pass_to_the_next(void **state)
{
    (void)state;
    static const tern__stream_ops nothing = {.name = "nothing"};
    fixture f;
    char data[8];
    size_t n;
    set_up(&f);
    tern__stream lower = {&nothing, f.stream, 0};
    tern__stream upper = {&nothing, &lower, 0};
    f.stream = &upper;
    tern__stream_set_source(f.stream, &f.source);
    assert_int_equal(tern__stream_watch(f.stream, true, false), 0);
    assert_true(net_write(f.peer, "x", 1));
    assert_int_equal(look(&f), 1);
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), 0);
    /* The peer reads what was written and then the end; the other direction stays open. */
    assert_int_equal(write_text(&f, "y", &n), 0);
    assert_int_equal(tern__stream_finish(f.stream), 0);
    assert_int_equal(net_read(f.peer, data, sizeof data, NET_PATIENCE_MS), 1);
    assert_true(net_write(f.peer, "x", 1));
    assert_int_equal(look(&f), 1);
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), 0);
    close(f.peer);
    f.peer = -1;
    assert_int_equal(write_text(&f, "x", &n), TERN_E_CONNECTION_LOST);
    assert_int_equal(tern__stream_os_error(f.stream), EPIPE);
    lower.os_error = ETIMEDOUT;
    assert_int_equal(tern__stream_os_error(f.stream), ETIMEDOUT); /* the first from the top */
    tear_down(&f);
    tern__stream_close(NULL);
}

/* ---- the fault filter ---- */

/* Whatever the sizes and rates, all bytes arrive in order, both ways. */
static void partial_transfers_lose_nothing(void **state)
{
    (void)state;
    enum { SIZE = 3000 };
    for (uint32_t seed = 1; seed <= 20; seed++) {
        fixture f;
        fault_plan plan = FAULT_NONE;
        char out[SIZE];
        char in[SIZE];
        plan.seed = seed;
        plan.read_max = plan.write_max = seed * 7;
        plan.read_again_percent = plan.write_again_percent = seed * 4;
        set_up(&f);
        put_fault(&f, plan);
        for (int i = 0; i < SIZE; i++)
            out[i] = (char)(i * 31);
        size_t again = 0;
        for (size_t at = 0, n = 0; at < SIZE; at += n) {
            tern__iov pieces[2] = {{out + at, (SIZE - at) / 2}, {NULL, 0}};
            pieces[1] = (tern__iov){out + at + pieces[0].len, SIZE - at - pieces[0].len};
            int rc = tern__stream_write(f.stream, pieces, 2, &n);
            assert_true(rc == TERN_E_AGAIN ? n == 0 : rc == 0 && n > 0 && n <= plan.write_max);
            again += rc == TERN_E_AGAIN;
            /* At once: a socket has room for a few hundred small pieces only. */
            assert_int_equal(net_read(f.peer, in + at, n, NET_PATIENCE_MS), n);
        }
        assert_memory_equal(in, out, SIZE);
        assert_true(net_write(f.peer, out, SIZE));
        memset(in, 0, SIZE);
        for (size_t at = 0, n = 0; at < SIZE; at += n) {
            int rc = tern__stream_read(f.stream, in + at, SIZE - at, &n);
            assert_true(rc == TERN_E_AGAIN ? n == 0 : rc == 0 && n > 0 && n <= plan.read_max);
            again += rc == TERN_E_AGAIN;
        }
        assert_memory_equal(in, out, SIZE);
        assert_true(again > 0);
        assert_int_equal(fault_stream_bytes_read(f.stream), SIZE);
        assert_int_equal(fault_stream_bytes_written(f.stream), SIZE);
        tear_down(&f);
    }
}

static void a_reset_comes_after_exactly_n_bytes(void **state)
{
    (void)state;
    static char data[100];
    for (uint64_t limit = 0; limit < 60; limit++) {
        for (int reading = 0; reading < 2; reading++) {
            fixture f;
            fault_plan plan = FAULT_NONE;
            size_t n = 0;
            int rc;
            if (reading != 0) {
                plan.reset_after_read = limit;
            } else {
                plan.reset_after_written = limit;
            }
            set_up(&f);
            put_fault(&f, plan);
            assert_true(net_write(f.peer, data, 50));
            tern__iov piece = {data, 50};
            uint64_t moved = 0;
            do {
                rc = reading != 0 ? tern__stream_read(f.stream, data, sizeof data, &n)
                                  : tern__stream_write(f.stream, &piece, 1, &n);
                moved += n;
            } while (rc == 0);
            bool broken = reading == 0 || limit <= 50;
            assert_int_equal(rc, broken ? TERN_E_CONNECTION_LOST : TERN_E_AGAIN);
            assert_int_equal(moved, broken ? limit : 50);
            assert_int_equal(tern__stream_os_error(f.stream), broken ? ECONNRESET : 0);
            tear_down(&f);
        }
    }
}

/* Who waits for bytes hears of a break that the other direction caused. */
static void a_reset_wakes_who_waits(void **state)
{
    (void)state;
    fixture f;
    fault_plan plan = FAULT_NONE;
    size_t n;
    plan.reset_after_written = 3;
    set_up(&f);
    put_fault(&f, plan);
    assert_int_equal(tern__stream_watch(f.stream, true, false), 0);
    assert_int_equal(look(&f), 0);
    assert_int_equal(write_text(&f, "hello", &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(tern__stream_watch(f.stream, true, false), 0);
    assert_int_equal(look(&f), 1);
    assert_int_equal(f.events, TERN__READY_READ | TERN__READY_WRITE | TERN__READY_ERROR);
    char data[4];
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), TERN_E_CONNECTION_LOST);
    tear_down(&f);
}

static void silence_hides_even_the_end(void **state)
{
    (void)state;
    fixture f;
    fault_plan plan = FAULT_NONE;
    char data[16];
    size_t n;
    plan.silent_after_read = 4;
    set_up(&f);
    put_fault(&f, plan);
    assert_true(net_write(f.peer, "abcdefgh", 8));
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), 0);
    assert_int_equal(n, 4);
    assert_int_equal(tern__stream_watch(f.stream, true, false), 0);
    assert_int_equal(look(&f), 0);
    assert_int_equal(tern__stream_read(f.stream, data, sizeof data, &n), TERN_E_AGAIN);
    assert_int_equal(write_text(&f, "x", &n), 0);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(many_pieces_are_written_in_turns),
        cmocka_unit_test(a_full_socket_says_again),
        cmocka_unit_test(the_peers_end_is_a_lost_connection),
        cmocka_unit_test(a_source_may_close_its_stream),
        cmocka_unit_test(missing_functions_pass_to_the_next),
        cmocka_unit_test(partial_transfers_lose_nothing),
        cmocka_unit_test(a_reset_comes_after_exactly_n_bytes),
        cmocka_unit_test(a_reset_wakes_who_waits),
        cmocka_unit_test(silence_hides_even_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
