/* What the files of the TLS filter share.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_TLS_INSIDE_H
#define TERN_TRANSPORT_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "platform/thread.h"
#include "transport/tls.h"

/* A session that a server gave, for the next connection to it. */
typedef struct tern__tls_session {
    char *peer; /* host:port */
    SSL_SESSION *session;
} tern__tls_session;

enum { TERN__TLS_SESSIONS = 16 };

struct tern__tls_context {
    atomic_uint refs;
    tern__tls_config config; /* constant */
    BIO_METHOD *method;      /* constant */
    tern__mutex lock;
    /* Under the lock. */
    SSL_CTX *ctx;   /* NULL before the first connection */
    uint64_t stamp; /* of the files that it was made from */
    bool asked;     /* the key that was read last is encrypted, and was given its password */
    tern__tls_session sessions[TERN__TLS_SESSIONS];
    unsigned next; /* place of the next session */
};

/* What verification found wrong first. */
typedef struct tern__tls_finding {
    int error; /* X509_V_ERR_* */
    int depth;
    tern__tls_certificate certificate;
} tern__tls_finding;

typedef struct tern__tls_stream {
    tern__stream base;
    tern__source source; /* the one below's */
    tern__source *user;
    tern__tls_context *context;
    SSL *ssl;
    char *peer; /* host:port */
    bool user_reads;
    bool user_writes;
    bool read_wants_write; /* what the last read, or write, waited for */
    bool write_wants_read;
    bool more;       /* bytes came already, or the end, that the last read did not give */
    bool ended;      /* the one below ended */
    bool broken;     /* read and write answer `rc` from now on */
    bool finishing;  /* close_notify is on its way */
    int rc;
    uint8_t *held;   /* a record that OpenSSL began and could not write: it must be offered again */
    size_t held_len;
    const char *ocsp;            /* what is wrong with the stapled answer; NULL nothing */
    tern__tls_finding *finding;  /* NULL: nothing, or no memory */
    tern__stream_failure *why;   /* why it broke; NULL where that is nothing special, or memory ran out */
} tern__tls_stream;

/* tls_context.c: a reference to the context of today's files; NULL with the failure filled in. */
SSL_CTX *tern__tls_context_take(tern__tls_context *context, tern__stream_failure *failure);
/* tls.c: how OpenSSL reads and writes the stream below; NULL where memory ran out. */
BIO_METHOD *tern__tls_method_new(void);
/* Sessions belong to the SSL_CTX they were made with: those of an older one are neither kept nor found.
 * A copy, the caller's; NULL where there is none, or no memory. */
SSL_SESSION *tern__tls_session_find(tern__tls_context *context, const SSL_CTX *ctx, const char *peer);
/* Takes the reference. */
void tern__tls_session_keep(tern__tls_context *context, const SSL_CTX *ctx, const char *peer, SSL_SESSION *session);

/* tls_certificate.c */
void tern__tls_certificate_read(X509 *certificate, tern__tls_certificate *out);
int tern__tls_on_verify(int ok, X509_STORE_CTX *store);
int tern__tls_on_ocsp(SSL *ssl, void *argument);

/* tls_report.c. `what` is the peer, or the part of the configuration, that the failure is about. Both empty OpenSSL's error queue. */
void tern__tls_report_config(const char *what, tern__stream_failure *failure);
/* The same where a key cannot be read that was given its password. */
void tern__tls_report_password(const char *what, tern__stream_failure *failure);
/* A provider found no key behind a URI; `asked` says whether it was given a PIN. */
void tern__tls_report_no_key(const char *what, bool asked, tern__stream_failure *failure);
void tern__tls_report_handshake(const tern__tls_stream *stream, tern__stream_failure *failure);

#endif
