/* TLS against a server in memory: ends that come with the last bytes, names, memory that runs out, secrets, and no terminal.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "transport/tls.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <tern/error.h>
#include <unistd.h>

#include "support/failing.h"
#include "support/net.h"
#include "tls_rig.h"

/* The server's last bytes and its goodbye come in one flight, and the socket stays open: it will never be ready again, so the
 * stream has to say that there is more to read. */
static void an_end_behind_bytes_is_pending(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        rig r;
        char data[CHUNK];
        size_t n;
        rig_init(&r, "broker.example", versions[i]);
        assert_int_equal(tern__stream_read(r.stream, data, sizeof data, &n), TERN_E_AGAIN); /* tickets */
        assert_int_equal(SSL_write(r.server, "bye", 3), 3);
        (void)SSL_shutdown(r.server);
        feed_client(&r);
        assert_int_equal(tern__stream_read(r.stream, data, sizeof data, &n), 0);
        assert_int_equal(n, 3);
        assert_true(tern__stream_pending(r.stream));
        assert_int_equal(tern__stream_read(r.stream, data, sizeof data, &n), TERN_E_CONNECTION_LOST);
        assert_false(tern__stream_pending(r.stream));
        rig_free(&r);
    }
}

/* The same with bytes that are no TLS behind good ones. */
static void a_fault_behind_bytes_is_pending(void **state)
{
    (void)state;
    rig r;
    char data[CHUNK];
    size_t n;
    tern__stream_failure why;
    rig_init(&r, "broker.example", TLS1_3_VERSION);
    assert_int_equal(tern__stream_read(r.stream, data, sizeof data, &n), TERN_E_AGAIN);
    assert_int_equal(SSL_write(r.server, "good", 4), 4);
    assert_int_equal(BIO_write(SSL_get_wbio(r.server), "\x17\x03\x03\x00\x20 this is no record of TLS at all", 37), 37);
    feed_client(&r);
    assert_int_equal(tern__stream_read(r.stream, data, sizeof data, &n), 0);
    assert_int_equal(n, 4);
    assert_true(tern__stream_pending(r.stream));
    assert_int_equal(tern__stream_read(r.stream, data, sizeof data, &n), TERN_E_TLS);
    assert_true(tern__stream_explain(r.stream, &why));
    rig_free(&r);
}

/* A full name's last dot is not part of a server name: RFC 6066 section 3. */
static void the_servers_name_is_without_its_last_dot(void **state)
{
    (void)state;
    static const struct { const char *host; const char *asked; } rows[] = {
        {"broker.example", "broker.example"}, {"broker.example.", "broker.example"}, {"10.0.0.1", NULL}, {"fe80::1%lo", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r;
        rig_init(&r, rows[i].host, TLS1_3_VERSION);
        const char *asked = SSL_get_servername(r.server, TLSEXT_NAMETYPE_host_name);
        if (rows[i].asked == NULL) assert_null(asked);
        if (rows[i].asked != NULL) assert_string_equal(asked, rows[i].asked);
        rig_free(&r);
    }
}

/* What the socket had no room for is kept, and overwritten, whether it went out later or never. */
static void what_was_kept_is_overwritten(void **state)
{
    (void)state;
    static char secret[] = "open-sesame-4711";
    for (int sent = 0; sent < 2; sent++) {
        rig r;
        size_t n;
        tern__iov piece = {secret, sizeof secret};
        rig_init(&r, "broker.example", TLS1_3_VERSION);
        (void)failing_watch(secret);
        r.below.is_full = true;
        assert_int_equal(tern__stream_write(r.stream, &piece, 1, &n), TERN_E_AGAIN);
        r.below.is_full = false;
        if (sent == 1) {
            assert_int_equal(tern__stream_write(r.stream, &piece, 1, &n), 0);
            assert_int_equal(n, sizeof secret);
        }
        rig_free(&r);
        assert_int_equal(failing_watch(NULL), 0);
    }
}

/* Tickets are taken, a record waits for room and goes out, and one comes back. */
static int talk(rig *r)
{
    size_t n;
    char data[CHUNK];
    tern__iov piece = {data, sizeof data};
    memset(data, 'x', sizeof data);
    int rc = tern__stream_read(r->stream, data, sizeof data, &n);
    r->below.is_full = true;
    if (rc == TERN_E_AGAIN) rc = tern__stream_write(r->stream, &piece, 1, &n);
    r->below.is_full = false;
    for (int turn = 0; turn < 3 && rc == TERN_E_AGAIN; turn++) rc = tern__stream_write(r->stream, &piece, 1, &n);
    if (rc != 0) return rc;
    feed_server(r);
    assert_int_equal(SSL_read(r->server, data, sizeof data), CHUNK);
    assert_int_equal(SSL_write(r->server, "answer", 6), 6);
    feed_client(r);
    return tern__stream_read(r->stream, data, sizeof data, &n);
}

/* An error, or nothing is missed; leaks are for AddressSanitizer to find. [C19] */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        rig r;
        failing_arm(n);
        int rc = try_to_open(&r, "broker.example", TLS1_3_VERSION);
        if (rc == 0) rc = talk(&r);
        failed = failing_disarm();
        if (rc != TERN_E_NOMEM) assert_int_equal(rc, 0);
        if (!failed) assert_int_equal(rc, 0);
        rig_free(&r);
        assert_true(n < 1000);
    }
    assert_true(n > 4);
}

/* A certificate that says it is encrypted: with a terminal at hand OpenSSL would ask there, and wait for ever. */
static void the_terminal_is_never_asked(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
                              "AAAAAAAAAAAAAAAAAAAAAA==\n-----END CERTIFICATE-----\n";
    char byte;
    int status = -1;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const char *terminal = ptsname(master);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = setsid() > 0 ? open(terminal, O_RDWR) : -1; /* its controlling terminal */
        _exit(fd >= 0 && !tern__tls_has_certificate(pem, sizeof pem - 1) ? 0 : 1);
    }
    assert_true(net_readable(master, NET_PATIENCE_MS)); /* a question, or the child's end */
    bool asked = read(master, &byte, 1) > 0;
    if (asked) (void)kill(child, SIGKILL); /* it waits for an answer */
    close(master);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(asked);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_terminal_is_never_asked),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(an_end_behind_bytes_is_pending),
        cmocka_unit_test(a_fault_behind_bytes_is_pending),
        cmocka_unit_test(the_servers_name_is_without_its_last_dot),
        cmocka_unit_test(what_was_kept_is_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
