/* TLS over memory: a client's stream, and an OpenSSL server that is moved on by hand. Include it after
 * cmocka.h, where TLS is built in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_UNIT_TRANSPORT_TLS_RIG_H
#define TERN_TEST_UNIT_TRANSPORT_TLS_RIG_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <tern/error.h>

#include "support/memory_stream.h"
#include "transport/tls.h"

enum { YEAR_S = 365 * 24 * 3600, CHUNK = 4096 };

typedef struct rig {
    tern__tls_context *context;
    memory_stream below;
    tern__stream *stream;
    SSL_CTX *server_context;
    SSL *server; /* reads what the client wrote, and writes what it is to read */
    uint8_t flight[64 << 10];
} rig;

static inline SSL_CTX *server_context_new(int version)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_non_null(key);
    assert_non_null(certificate);
    assert_non_null(context);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -1);
    X509_gmtime_adj(X509_getm_notAfter(certificate), YEAR_S);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

/* What the client wrote goes to the server. */
static inline void feed_server(rig *r)
{
    if (r->below.output.len != 0)
        assert_int_equal(BIO_write(SSL_get_rbio(r->server), r->below.output.data, (int)r->below.output.len), (int)r->below.output.len);
    tern__buf_clear(&r->below.output);
}

/* What the server wrote is to be read by the client, in one go. */
static inline void feed_client(rig *r)
{
    int len = BIO_read(SSL_get_wbio(r->server), r->flight, sizeof r->flight);
    memory_stream_put(&r->below, r->flight, len > 0 ? (size_t)len : 0, 0);
}

static inline int make_context(rig *r)
{
    tern__tls_config config;
    tern__tls_config_init(&config);
    config.verification = TERN_TLS_VERIFY_NOTHING;
    int rc = tern__tls_config_set_text(&config, TERN__TLS_SERVER_NAME, NULL);
    if (rc == 0) rc = tern__tls_context_new(&r->context, &config);
    tern__tls_config_deinit(&config);
    return rc;
}

/* Both ends, of contexts that are there already, and their handshake. 0, or what failed at the client. */
static inline int rig_connect(rig *r, const char *host)
{
    static tern__source source; /* memory is never ready by itself */
    tern__stream_failure failure;
    r->server = SSL_new(r->server_context);
    assert_non_null(r->server);
    SSL_set_bio(r->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(r->server);
    int rc = tern__tls_new(&r->stream, &r->below.base, r->context, host, 8883, &failure);
    if (rc != 0) return rc;
    tern__stream_set_source(r->stream, &source);
    rc = TERN_E_AGAIN;
    for (int turn = 0; turn < 8 && (rc == TERN_E_AGAIN || !SSL_is_init_finished(r->server)); turn++) {
        if (rc == TERN_E_AGAIN) rc = tern__stream_open(r->stream, &failure);
        feed_server(r);
        (void)SSL_do_handshake(r->server);
        feed_client(r);
    }
    return rc;
}

/* The same with contexts of their own. */
static inline int try_to_open(rig *r, const char *host, int version)
{
    memset(r, 0, sizeof *r);
    memory_stream_init(&r->below, sizeof r->flight);
    r->server_context = server_context_new(version);
    int rc = make_context(r);
    return rc == 0 ? rig_connect(r, host) : rc;
}

static inline void rig_init(rig *r, const char *host, int version)
{
    assert_int_equal(try_to_open(r, host, version), 0);
    assert_true(SSL_is_init_finished(r->server));
}

static inline void rig_free(rig *r)
{
    tern__stream_close(r->stream);
    memory_stream_deinit(&r->below);
    tern__tls_context_unref(r->context);
    SSL_free(r->server);
    SSL_CTX_free(r->server_context);
}

#endif
