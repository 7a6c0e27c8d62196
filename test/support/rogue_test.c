/* Rogue servers do what they are told: scripts, frames, holes, cuts and silent name servers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/names.h"
#include "support/net.h"
#include "support/peers.h"
#include "support/rogue.h"

enum { PATIENCE = NET_PATIENCE_MS, MOMENT = 50 };

static int connect_to(const rogue *r)
{
    const int fd = net_connect("127.0.0.1", rogue_port(r));
    assert_true(fd >= 0);
    return fd;
}

static void check_says(int fd, const char *text)
{
    char data[512] = "";
    assert_int_equal(net_read(fd, data, strlen(text), PATIENCE), strlen(text));
    assert_string_equal(data, text);
}

static void a_script_is_followed(void **state)
{
    (void)state;
    static const rogue_step steps[] = {{ROGUE_SAY, "hello", 0}, {ROGUE_HEAR, NULL, 3},
                                       {ROGUE_SAY, "a\0b", 3},  {ROGUE_HEAR_TEXT, "\r\n\r\n", 0},
                                       {ROGUE_SAY, "bye", 0},   {ROGUE_END, NULL, 0}};
    char data[32] = "";
    rogue *r = rogue_new("127.0.0.1", steps, 6);
    const int fd = connect_to(r);
    check_says(fd, "hello");
    assert_true(net_write(fd, "12", 2));
    assert_false(net_readable(fd, MOMENT));
    assert_true(net_write(fd, "3 head\r\n", 8));
    assert_int_equal(net_read(fd, data, 3, PATIENCE), 3);
    assert_memory_equal(data, "a\0b", 3);
    assert_false(net_readable(fd, MOMENT));
    assert_true(net_write(fd, "\r\n", 2));
    check_says(fd, "bye");
    assert_int_equal(net_read(fd, data, 1, PATIENCE), 0);
    assert_true(rogue_wait(r, 1, 6));
    assert_int_equal(rogue_heard(r, 0, data, sizeof data), 12);
    assert_memory_equal(data, "123 head\r\n\r\n", 12);
    close(fd);
    rogue_free(r);
}

static void silence_and_resets(void **state)
{
    (void)state;
    static const rogue_step steps[] = {{ROGUE_HEAR, NULL, 1}, {ROGUE_RESET, NULL, 0}};
    char byte;
    rogue *silent = rogue_new("127.0.0.1", NULL, 0);
    const int fd = connect_to(silent);
    assert_true(net_write(fd, "anybody?", 8));
    assert_false(net_readable(fd, MOMENT));
    assert_int_equal(rogue_connections(silent), 1);
    close(fd);
    rogue_free(silent);
    rogue *rude = rogue_new("127.0.0.1", steps, 2);
    const int one = connect_to(rude);
    const int two = connect_to(rude);
    assert_true(net_write(two, "x", 1));
    assert_true(net_readable(two, PATIENCE));
    assert_int_equal(read(two, &byte, 1), -1); /* a reset, which a FIN is not */
    assert_false(net_readable(one, MOMENT));
    assert_int_equal(rogue_connections(rude), 2);
    close(one);
    close(two);
    rogue_free(rude);
}

/* More than a socket's buffer: saying goes on when there is room. */
static void long_words_are_said(void **state)
{
    (void)state;
    enum { LONG = 8 << 20 };
    char *words = malloc(LONG);
    char *heard = malloc(LONG);
    assert_true(words != NULL && heard != NULL);
    for (size_t i = 0; i < LONG; i++)
        words[i] = (char)(i * 31 >> 3);
    const rogue_step step = {ROGUE_SAY, words, LONG};
    rogue *r = rogue_new("127.0.0.1", &step, 1);
    const int fd = connect_to(r);
    assert_int_equal(net_read(fd, heard, LONG, PATIENCE), LONG);
    assert_memory_equal(heard, words, LONG);
    close(fd);
    rogue_free(r);
    free(words);
    free(heard);
}

static void websocket_is_answered(void **state)
{
    (void)state;
    static const char request[] =
        "GET / HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const rogue_step steps[] = {
        {ROGUE_HEAR_TEXT, "\r\n\r\n", 0},
        {ROGUE_UPGRADE, "HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: %ACCEPT%\r\n\r\n", 0},
    };
    char accept[29];
    rogue_accept_of("dGhlIHNhbXBsZSBub25jZQ==", accept); /* the sample of RFC 6455 section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    rogue *r = rogue_new("127.0.0.1", steps, 2);
    const int fd = connect_to(r);
    assert_true(net_write(fd, request, sizeof request - 1));
    check_says(fd,
               "HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    close(fd);
    rogue_free(r);
}

static void frames_have_the_shortest_length(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        size_t header;
        uint8_t bytes[10];
    } rows[] = {{0, 2, {0x82, 0}},
                {125, 2, {0x82, 125}},
                {126, 4, {0x82, 126, 0, 126}},
                {65535, 4, {0x82, 126, 0xFF, 0xFF}},
                {65536, 10, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}}};
    static uint8_t payload[65536];
    static uint8_t out[65536 + ROGUE_FRAME_EXTRA];
    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(rogue_frame(out, 0x82, payload, rows[i].len),
                         rows[i].header + rows[i].len);
        assert_memory_equal(out, rows[i].bytes, rows[i].header);
        if (rows[i].len != 0) assert_memory_equal(out + rows[i].header, payload, rows[i].len);
    }
}

/* ---- holes ---- */

static bool gets_no_answer(const char *address, uint16_t port)
{
    char where[64];
    char output[512];
    snprintf(where, sizeof where,
             strchr(address, ':') != NULL ? "telnet://[%s]:%u" : "telnet://%s:%u", address, port);
    const char *const arguments[] = {"curl", "-sS", "--noproxy", "*", "--connect-timeout",
                                     "1",    where, NULL};
    assert_int_equal(peer_run(arguments, NULL, output, sizeof output), 28); /* curl's time-out */
    return true;
}

static void a_hole_never_answers(void **state)
{
    (void)state;
    rogue_hole hole;
    if (!peer_is_installed("curl")) skip();
    assert_true(rogue_hole_open(&hole, "127.0.0.1", 0));
    assert_true(gets_no_answer("127.0.0.1", hole.port));
    rogue_hole_close(&hole);
    assert_int_equal(net_connect("127.0.0.1", hole.port), -1);
    if (!rogue_hole_open(&hole, "::1", 0)) skip();
    assert_true(gets_no_answer("::1", hole.port));
    /* IPv4 of the same port is alive */
    const int listener = net_listen_at("127.0.0.1", hole.port);
    const int fd = net_connect("127.0.0.1", hole.port);
    assert_true(listener >= 0 && fd >= 0);
    close(fd);
    close(listener);
    rogue_hole_close(&hole);
}

/* ---- relays ---- */

static void a_relay_passes_and_cuts(void **state)
{
    (void)state;
    static const rogue_step steps[] = {{ROGUE_HEAR, NULL, 4},
                                       {ROGUE_SAY, "0123456789", 0},
                                       {ROGUE_HEAR, NULL, 4},
                                       {ROGUE_SAY, "0123456789", 0}};
    char byte;
    rogue *server = rogue_new("127.0.0.1", steps, 4);
    rogue_relay *r = rogue_relay_new(rogue_port(server), ROGUE_UNLIMITED);
    const int fd = net_connect("127.0.0.1", rogue_relay_port(r));
    assert_true(net_write(fd, "ping", 4));
    check_says(fd, "0123456789");
    rogue_relay_limit(r, 3);
    assert_true(net_write(fd, "ping", 4));
    check_says(fd, "012");
    assert_int_equal(read(fd, &byte, 1), 0); /* a FIN, which a reset is not */
    assert_true(rogue_relay_wait_cut(r, 1));
    assert_true(net_write(fd, "still here", 10));
    close(fd);
    rogue_relay_limit(r, 0);
    const int none = net_connect("127.0.0.1", rogue_relay_port(r));
    assert_int_equal(net_read(none, &byte, 1, PATIENCE), 0);
    assert_true(rogue_relay_wait_cut(r, 2));
    assert_int_equal(rogue_relay_passed(r), 13);
    close(none);
    rogue_relay_free(r);
    rogue_free(server);
}

/* A TLS client sees that the server's end is no clean one. */
static void tls_is_cut_without_a_goodbye(void **state)
{
    (void)state;
    char where[32];
    char output[8192];
    const char *certificates = peer_is_installed("openssl") ? peer_certificates() : NULL;
    if (certificates == NULL) skip();
    peer *p = peer_s_server(certificates, "good", NULL);
    assert_non_null(p);
    rogue_relay *r = rogue_relay_new(p->port, 100); /* in the middle of the server's first flight */
    snprintf(where, sizeof where, "127.0.0.1:%u", rogue_relay_port(r));
    const char *const arguments[] = {"openssl", "s_client", "-connect", where, "-brief", NULL};
    assert_int_not_equal(peer_run(arguments, NULL, output, sizeof output), 0);
    if (strstr(output, "unexpected eof") == NULL) fail_msg("%s", output);
    rogue_relay_limit(r, ROGUE_UNLIMITED);
    assert_int_equal(peer_run(arguments, NULL, output, sizeof output), 0);
    rogue_relay_free(r);
    peer_stop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_is_followed),
        cmocka_unit_test(silence_and_resets),
        cmocka_unit_test(long_words_are_said),
        cmocka_unit_test(websocket_is_answered),
        cmocka_unit_test(frames_have_the_shortest_length),
        cmocka_unit_test(a_hole_never_answers),
        cmocka_unit_test(a_relay_passes_and_cuts),
        cmocka_unit_test(tls_is_cut_without_a_goodbye),
    };
    return peers_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
