/* Tickets of TLS: what they resume, and that none outlives the files under which it was given.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "transport/tls.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <tern/error.h>
#include <unistd.h>

#include "tls_rig.h"

/* What the connections of a test share. */
typedef struct shared {
    char path[32]; /* the authorities: a file that changes */
    tern__tls_context *context;
    SSL_CTX *server;
} shared;

/* Another file under the same name: `copies` times the server's certificate. */
static void write_authority(const shared *s, int copies)
{
    char fresh[40];
    snprintf(fresh, sizeof fresh, "%s.new", s->path);
    FILE *out = fopen(fresh, "w");
    assert_non_null(out);
    for (int i = 0; i < copies; i++) assert_int_equal(PEM_write_X509(out, SSL_CTX_get0_certificate(s->server)), 1);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(rename(fresh, s->path), 0);
}

static void shared_init(shared *s, int version, bool resumption)
{
    tern__tls_config config;
    *s = (shared){.path = "/tmp/tern-tls-XXXXXX"};
    int fd = mkstemp(s->path);
    assert_true(fd >= 0);
    close(fd);
    s->server = server_context_new(version);
    write_authority(s, 1);
    tern__tls_config_init(&config);
    config.verification = TERN_TLS_VERIFY_CHAIN;
    config.no_resumption = !resumption;
    assert_int_equal(tern__tls_config_add_path(&config, TERN__TLS_CA_FILES, s->path), 0);
    assert_int_equal(tern__tls_context_new(&s->context, &config), 0);
    tern__tls_config_deinit(&config);
}

static void shared_deinit(shared *s)
{
    tern__tls_context_unref(s->context);
    SSL_CTX_free(s->server);
    unlink(s->path);
}

static void connect_to(rig *r, const shared *s, const char *host)
{
    memset(r, 0, sizeof *r);
    memory_stream_init(&r->below, sizeof r->flight);
    r->context = tern__tls_context_ref(s->context);
    assert_int_equal(SSL_CTX_up_ref(s->server), 1);
    r->server_context = s->server;
    assert_int_equal(rig_connect(r, host), 0);
    assert_true(SSL_is_init_finished(r->server));
}

/* Reads what came with the handshake: in TLS 1.3 the tickets. */
static void take_tickets(rig *r)
{
    char byte;
    size_t n;
    assert_int_equal(tern__stream_read(r->stream, &byte, 1, &n), TERN_E_AGAIN);
}

/* A connection of its own; whether both ends say that it resumed a session. */
static bool resumes(const shared *s, const char *host)
{
    static rig r;
    tern__tls_info info;
    connect_to(&r, s, host);
    take_tickets(&r);
    assert_true(tern__tls_describe(r.stream, &info));
    bool resumed = SSL_session_reused(r.server) == 1;
    assert_int_equal(info.resumed, resumed);
    rig_free(&r);
    return resumed;
}

static void a_ticket_resumes_with_its_server_alone(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        shared s;
        shared_init(&s, versions[i], true);
        assert_false(resumes(&s, "one.example"));
        assert_true(resumes(&s, "one.example"));
        assert_false(resumes(&s, "two.example"));
        assert_true(resumes(&s, "one.example"));
        shared_deinit(&s);
    }
}

static void nothing_resumes_where_that_is_off(void **state)
{
    (void)state;
    shared s;
    shared_init(&s, TLS1_3_VERSION, false);
    assert_false(resumes(&s, "one.example"));
    assert_false(resumes(&s, "one.example"));
    shared_deinit(&s);
}

static void a_changed_file_ends_all_tickets(void **state)
{
    (void)state;
    shared s;
    shared_init(&s, TLS1_3_VERSION, true);
    assert_false(resumes(&s, "one.example"));
    write_authority(&s, 2);
    assert_false(resumes(&s, "one.example"));
    assert_true(resumes(&s, "one.example"));
    shared_deinit(&s);
}

/* The ticket comes on a connection that was made before the file changed, and is read after it. */
static void a_late_ticket_of_older_files_is_not_kept(void **state)
{
    (void)state;
    static rig old;
    static rig fresh;
    shared s;
    shared_init(&s, TLS1_3_VERSION, true);
    connect_to(&old, &s, "one.example");
    write_authority(&s, 2);
    connect_to(&fresh, &s, "one.example"); /* the file is read anew, and this one's tickets are not taken */
    take_tickets(&old);
    assert_false(resumes(&s, "one.example"));
    rig_free(&old);
    rig_free(&fresh);
    shared_deinit(&s);
}

/* Breaks, so that OpenSSL takes its session for spoilt. */
static void lose(rig *r)
{
    char byte;
    size_t n;
    memory_stream_put(&r->below, NULL, 0, TERN_E_CONNECTION_LOST);
    assert_int_equal(tern__stream_read(r->stream, &byte, 1, &n), TERN_E_CONNECTION_LOST);
    rig_free(r);
}

/* What tickets are for: the connection broke, and there is a new one. */
static void a_lost_connection_keeps_its_ticket(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        static rig r;
        shared s;
        shared_init(&s, versions[i], true);
        connect_to(&r, &s, "one.example");
        take_tickets(&r);
        lose(&r);
        assert_true(resumes(&s, "one.example"));
        shared_deinit(&s);
    }
}

/* One that resumed, and broke before it was given a ticket of its own. */
static void a_connection_that_resumed_spoils_no_ticket(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        static rig r;
        shared s;
        shared_init(&s, versions[i], true);
        assert_false(resumes(&s, "one.example"));
        assert_int_equal(SSL_CTX_set_num_tickets(s.server, 0), 1);
        for (int round = 0; round < 3; round++) {
            connect_to(&r, &s, "one.example");
            assert_int_equal(SSL_session_reused(r.server), 1);
            lose(&r);
        }
        shared_deinit(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_resumed_spoils_no_ticket),
        cmocka_unit_test(a_lost_connection_keeps_its_ticket),
        cmocka_unit_test(a_ticket_resumes_with_its_server_alone),
        cmocka_unit_test(nothing_resumes_where_that_is_off),
        cmocka_unit_test(a_changed_file_ends_all_tickets),
        cmocka_unit_test(a_late_ticket_of_older_files_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
