/* TLS as a filter, over OpenSSL: one SSL object a connection, used by the loop's thread alone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TRANSPORT_TLS_H
#define TERN_TRANSPORT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <tern/tls.h>

#include "base/buf.h"
#include "transport/stream.h"

/* Texts of a configuration; NULL where not set. */
enum {
    TERN__TLS_CERTIFICATE_FILE,
    TERN__TLS_KEY_FILE,
    TERN__TLS_KEY_URI,
    TERN__TLS_KEY_PASSWORD,
    TERN__TLS_VERIFIED_NAME,
    TERN__TLS_SERVER_NAME,
    TERN__TLS_CIPHERS,
    TERN__TLS_SUITES,
    TERN__TLS_GROUPS,
    TERN__TLS_PSK_IDENTITY,
    TERN__TLS_KEY_LOG,
    TERN__TLS_TEXTS
};

/* Bytes of a configuration; empty where not set. The last three are lists of paths, each with its NUL. */
enum {
    TERN__TLS_CA,
    TERN__TLS_CERTIFICATE,
    TERN__TLS_KEY,
    TERN__TLS_PSK_KEY,
    TERN__TLS_ALPN, /* in wire form: each name behind its length */
    TERN__TLS_CA_FILES,
    TERN__TLS_CA_DIRECTORIES,
    TERN__TLS_CRL_FILES,
    TERN__TLS_BYTES
};

/* All zero are the defaults, but for minimum_version. */
typedef struct tern__tls_config {
    char *texts[TERN__TLS_TEXTS];
    tern__buf bytes[TERN__TLS_BYTES];
    tern_tls_verification verification;
    tern_tls_version minimum_version;
    bool ocsp;
    bool no_resumption;
} tern__tls_config;

/* What all connections of one configuration share, on any thread: OpenSSL's context, made anew when a file changed, and the
 * sessions to be resumed. */
typedef struct tern__tls_context tern__tls_context;

void tern__tls_config_init(tern__tls_config *config);
void tern__tls_config_deinit(tern__tls_config *config); /* cleanses */
/* A deep copy: 0 or TERN_E_NOMEM, with nothing to deinit. */
int tern__tls_config_copy(tern__tls_config *to, const tern__tls_config *from);
/* Replaces one of them (NULL, or no bytes: none): 0 or TERN_E_NOMEM. */
int tern__tls_config_set_text(tern__tls_config *config, int which, const char *text);
int tern__tls_config_set_bytes(tern__tls_config *config, int which, const void *data, size_t len);
int tern__tls_config_add_path(tern__tls_config *config, int which, const char *path);

/* Whether OpenSSL takes it; in a build without TLS nothing is. */
bool tern__tls_ciphers_known(const char *ciphers, const char *suites);
bool tern__tls_groups_known(const char *groups);
bool tern__tls_has_certificate(const void *pem, size_t len);
bool tern__tls_has_key(const void *pem, size_t len); /* also an encrypted one */

/* A context with one reference: 0, TERN_E_NOMEM, TERN_E_SYSTEM, TERN_E_UNSUPPORTED. */
int tern__tls_context_new(tern__tls_context **context, const tern__tls_config *config);
tern__tls_context *tern__tls_context_ref(tern__tls_context *context); /* NULL for NULL */
void tern__tls_context_unref(tern__tls_context *context);             /* NULL does nothing */
/* What a log should warn of at each attempt, a static sentence; NULL where nothing. */
const char *tern__tls_context_warning(const tern__tls_context *context);

/* Takes over `below` (only when it answers 0); once open, it is a stream to the server with that name or address, whose
 * certificate was verified. Reads the files of the configuration. 0, or why not, with the failure filled in. */
int tern__tls_new(tern__stream **stream, tern__stream *below, tern__tls_context *context, const char *host, uint16_t port,
                  tern__stream_failure *failure);

/* What an open stream agreed on, and the server's certificates, the server's own first. */
typedef struct tern__tls_certificate {
    char subject[160];
    char issuer[160];
    char names[400]; /* DNS names and IP addresses, ", " between */
    char not_before[32];
    char not_after[32];
} tern__tls_certificate;

enum { TERN__TLS_CHAIN_MAX = 8 };

typedef struct tern__tls_info {
    char version[16];
    char cipher[64];
    char alpn[64]; /* "" none */
    bool resumed;
    size_t count;
    tern__tls_certificate chain[TERN__TLS_CHAIN_MAX];
} tern__tls_info;

/* False where no filter of the chain is TLS. As far as it is known, also of one that failed to open. */
bool tern__tls_describe(const tern__stream *stream, tern__tls_info *info);

#endif
