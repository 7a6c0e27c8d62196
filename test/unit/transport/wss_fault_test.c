/* The whole chain of wss://, socket, TLS and WebSocket, with faults below TLS and between TLS and WebSocket: all bytes come, both ways.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "transport/tls.h"

#include "tls_rig.h"
#include "websocket_bulk.h"

enum { BELOW = 1, BETWEEN = 2, SEEDS = 12 };

/* ---- the peer's TLS ---- */

static ssize_t take(wire *w, void *data, size_t size)
{
    int n = SSL_read(w->peer_tls, data, (int)size);
    return n <= 0 && SSL_get_error(w->peer_tls, n) == SSL_ERROR_ZERO_RETURN ? 0 : n > 0 ? n : -1;
}

static ssize_t give(wire *w, const void *data, size_t len)
{
    return SSL_write(w->peer_tls, data, (int)len);
}

static void put_fault(wire *w, uint32_t seed, size_t window)
{
    fault_plan plan = FAULT_NONE;
    plan.seed = seed;
    plan.read_max = plan.write_max = window;
    plan.read_again_percent = plan.write_again_percent = seed % 4 * 25 % 76;
    w->stream = fault_stream_new(w->stream, &plan);
    assert_non_null(w->stream);
}

static void put_tls(wire *w, SSL_CTX *server, tern__tls_context *client)
{
    tern__stream *filter;
    tern__stream_failure failure;
    SSL *tls = SSL_new(server);
    assert_non_null(tls);
    assert_int_equal(SSL_set_fd(tls, w->peer), 1);
    SSL_set_accept_state(tls);
    SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    w->peer_tls = tls;
    w->take = take;
    w->give = give;
    assert_int_equal(tern__tls_new(&filter, w->stream, client, "broker.example", 443, &failure), 0);
    w->stream = filter;
}

/* ---- the tests ---- */

static void talk_through(uint32_t seed, int version, unsigned places, size_t window, size_t amount)
{
    wire w;
    rig r = {.context = NULL};
    tern__stream_failure failure;
    r.server_context = server_context_new(version);
    assert_int_equal(make_context(&r), 0);
    wire_set_up(&w, NULL);
    if (places & BELOW) put_fault(&w, seed, window);
    put_tls(&w, r.server_context, r.context);
    if (places & BETWEEN) put_fault(&w, seed + 1, window);
    put_websocket(&w, &plain);
    assert_int_equal(wire_open(&w, &failure), 0);
    exchange_bulk(&w, amount, seed * 7919);
    wire_tear_down(&w);
    SSL_free(w.peer_tls);
    SSL_CTX_free(r.server_context);
    tern__tls_context_unref(r.context);
}

static void bytes_survive_faults_above_and_below_tls(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const size_t windows[] = {1, 2, 7, 100, 4096, 0};
    static const size_t amounts[] = {2000, 4000, 10000, 80000, BULK, BULK};
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        for (unsigned places = BELOW; places <= (BELOW | BETWEEN); places++)
            talk_through(seed, versions[seed / 6 % 2], places, windows[seed % 6], amounts[seed % 6]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_survive_faults_above_and_below_tls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
