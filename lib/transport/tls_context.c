/* TLS contexts: OpenSSL's context made from a configuration, and the sessions to be resumed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifdef TERN_WITH_TLS
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "platform/file.h"
#include "transport/tls_inside.h"

enum { READ_BUFFER = 32 << 10 };

/* ---- questions that OpenSSL asks ---- */

/* Never the terminal, which OpenSSL would ask by itself. */
static int on_password(char *buffer, int size, int writing, void *user_data)
{
    tern__tls_context *context = user_data;
    const char *password = context->config.texts[TERN__TLS_KEY_PASSWORD];
    (void)writing;
    context->asked = password != NULL;
    if (password == NULL || size < 0 || strlen(password) > (size_t)size) return -1;
    memcpy(buffer, password, strlen(password));
    return (int)strlen(password);
}

static unsigned on_psk(SSL *ssl, const char *hint, char *identity, unsigned identity_size, unsigned char *key,
                       unsigned key_size)
{
    const tern__tls_stream *stream = SSL_get_app_data(ssl);
    const tern__tls_config *config = &stream->context->config;
    const tern__buf *own = &config->bytes[TERN__TLS_PSK_KEY];
    const char *name = config->texts[TERN__TLS_PSK_IDENTITY];
    (void)hint;
    if (strlen(name) >= identity_size || own->len > key_size) return 0;
    memcpy(identity, name, strlen(name) + 1);
    memcpy(key, own->data, own->len);
    return (unsigned)own->len;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const tern__tls_stream *stream = SSL_get_app_data(ssl);
    /* A copy: OpenSSL spoils the connection's own when that breaks, and connecting anew after that is what tickets are for. */
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    if (copy != NULL) tern__tls_session_keep(stream->context, SSL_get_SSL_CTX(ssl), stream->peer, copy);
    return 0;
}

/* For debugging alone: it may write to a file on the loop's thread. */
static void on_key_log(const SSL *ssl, const char *line)
{
    const tern__tls_stream *stream = SSL_get_app_data(ssl);
    const char *path = stream->context->config.texts[TERN__TLS_KEY_LOG];
    char text[512]; /* the longest line has some 200 */
    int len = snprintf(text, sizeof text, "%s\n", line);
    if (len > 0 && (size_t)len < sizeof text) (void)tern__file_append(path, text, (size_t)len);
    tern__cleanse(text, sizeof text);
}

/* ---- a context from a configuration; each part answers whether it worked, with the failure filled in where not ---- */

static bool fail(const char *what, tern__stream_failure *failure)
{
    tern__tls_report_config(what, failure);
    return false;
}

static bool fail_path(const char *what, const char *path, tern__stream_failure *failure)
{
    char text[160];
    snprintf(text, sizeof text, "%s %.120s", what, path);
    return fail(text, failure);
}

static BIO *memory_of(const tern__buf *bytes)
{
    return BIO_new_mem_buf(bytes->data, (int)bytes->len);
}

/* Without a password of its own OpenSSL would ask the terminal for that of a certificate that says it is encrypted. */
static X509 *read_certificate(BIO *memory)
{
    return PEM_read_bio_X509_AUX(memory, NULL, NULL, (void *)(uintptr_t)"");
}

/* Adds the certificates in the text; false where there is none, or one is broken. */
static bool add_authorities(X509_STORE *store, const tern__buf *pem)
{
    BIO *memory = memory_of(pem);
    size_t count = 0;
    X509 *certificate;
    while (memory != NULL && (certificate = read_certificate(memory)) != NULL) {
        if (X509_STORE_add_cert(store, certificate) == 1) count++;
        X509_free(certificate);
    }
    BIO_free(memory);
    ERR_clear_error(); /* the end of the text is an error to it */
    return count != 0;
}

/* What is given is trusted as it is: an intermediate authority, or the server's own certificate, needs no root above it. */
static void anchor(SSL_CTX *ctx)
{
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
}

static bool set_trust(SSL_CTX *ctx, const tern__tls_config *config, tern__stream_failure *failure)
{
    const tern__buf *files = &config->bytes[TERN__TLS_CA_FILES];
    const tern__buf *directories = &config->bytes[TERN__TLS_CA_DIRECTORIES];
    const tern__buf *memory = &config->bytes[TERN__TLS_CA];
    if (files->len == 0 && directories->len == 0 && memory->len == 0)
        return SSL_CTX_set_default_verify_paths(ctx) == 1 || fail("the system's certificate authorities", failure);
    anchor(ctx);
    for (size_t at = 0; at < files->len; at += strlen((const char *)files->data + at) + 1) {
        const char *path = (const char *)files->data + at;
        if (SSL_CTX_load_verify_file(ctx, path) != 1) return fail_path("CA file", path, failure);
    }
    for (size_t at = 0; at < directories->len; at += strlen((const char *)directories->data + at) + 1) {
        const char *path = (const char *)directories->data + at;
        if (tern__file_stamp(path) == 0) {
            ERR_raise_data(ERR_LIB_SYS, 2 /* ENOENT */, "stat");
            return fail_path("CA directory", path, failure);
        }
        if (SSL_CTX_load_verify_dir(ctx, path) != 1) return fail_path("CA directory", path, failure);
    }
    return memory->len == 0 || add_authorities(SSL_CTX_get_cert_store(ctx), memory) || fail("the CA in memory", failure);
}

static bool set_revocation(SSL_CTX *ctx, const tern__tls_config *config, tern__stream_failure *failure)
{
    const tern__buf *files = &config->bytes[TERN__TLS_CRL_FILES];
    if (files->len == 0) return true;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    for (size_t at = 0; at < files->len; at += strlen((const char *)files->data + at) + 1) {
        const char *path = (const char *)files->data + at;
        if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1)
            return fail_path("CRL file", path, failure);
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static bool set_verification(SSL_CTX *ctx, const tern__tls_config *config)
{
    bool verifies = config->verification != TERN_TLS_VERIFY_NOTHING;
    SSL_CTX_set_verify(ctx, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, tern__tls_on_verify);
    if (!config->ocsp) return true;
    SSL_CTX_set_tlsext_status_cb(ctx, tern__tls_on_ocsp);
    return SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp) == 1;
}

/* The chain behind the certificate in memory. */
static bool add_chain(SSL_CTX *ctx, BIO *memory)
{
    X509 *certificate = read_certificate(memory);
    bool done = certificate != NULL && SSL_CTX_use_certificate(ctx, certificate) == 1;
    X509_free(certificate);
    while (done && (certificate = read_certificate(memory)) != NULL) {
        done = SSL_CTX_add0_chain_cert(ctx, certificate) == 1;
        if (!done) X509_free(certificate);
    }
    if (done) ERR_clear_error();
    return done;
}

static bool set_certificate(SSL_CTX *ctx, const tern__tls_config *config, tern__stream_failure *failure)
{
    const char *path = config->texts[TERN__TLS_CERTIFICATE_FILE];
    if (path != NULL)
        return SSL_CTX_use_certificate_chain_file(ctx, path) == 1 || fail_path("certificate file", path, failure);
    if (config->bytes[TERN__TLS_CERTIFICATE].len == 0) return true;
    BIO *memory = memory_of(&config->bytes[TERN__TLS_CERTIFICATE]);
    bool done = memory != NULL && add_chain(ctx, memory);
    BIO_free(memory);
    return done || fail("the certificate in memory", failure);
}

/* The first private key behind a provider's URI. */
static EVP_PKEY *load_key(tern__tls_context *context, const char *uri)
{
    EVP_PKEY *key = NULL;
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(on_password, 0);
    OSSL_STORE_CTX *store = ui != NULL ? OSSL_STORE_open(uri, ui, context, NULL, NULL) : NULL;
    while (store != NULL && key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info != NULL && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) key = OSSL_STORE_INFO_get1_PKEY(info);
        if (info == NULL && OSSL_STORE_error(store)) break;
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    UI_destroy_method(ui);
    return key;
}

static bool set_key(tern__tls_context *context, SSL_CTX *ctx, tern__stream_failure *failure)
{
    const tern__tls_config *config = &context->config;
    const char *uri = config->texts[TERN__TLS_KEY_URI];
    const char *path = config->texts[TERN__TLS_KEY_FILE];
    const tern__buf *pem = &config->bytes[TERN__TLS_KEY];
    const char *what = "the private key in memory";
    char text[160];
    int done = 1;
    context->asked = false;
    if (uri != NULL) {
        snprintf(text, sizeof text, "the private key by %.*s URI", (int)strcspn(uri, ":"), uri); /* the rest may hold a PIN */
        what = text;
        EVP_PKEY *key = load_key(context, uri);
        if (key == NULL && ERR_peek_error() == 0) {
            tern__tls_report_no_key(what, context->asked, failure); /* providers may say no more than that */
            return false;
        }
        done = key != NULL ? SSL_CTX_use_PrivateKey(ctx, key) : 0;
        EVP_PKEY_free(key);
    } else if (path != NULL) {
        snprintf(text, sizeof text, "key file %.120s", path);
        what = text;
        done = SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM);
    } else if (pem->len != 0) {
        BIO *memory = memory_of(pem);
        EVP_PKEY *key = memory != NULL ? PEM_read_bio_PrivateKey(memory, NULL, on_password, context) : NULL;
        done = key != NULL ? SSL_CTX_use_PrivateKey(ctx, key) : 0;
        EVP_PKEY_free(key);
        BIO_free(memory);
    } else {
        return true;
    }
    if (done == 1) return SSL_CTX_check_private_key(ctx) == 1 || fail(what, failure);
    (void)fail(what, failure);
    /* A wrong password may happen to make something that looks decrypted, and is no key. */
    if (context->asked && strstr(failure->text, "password") == NULL) tern__tls_report_password(what, failure);
    return false;
}

static bool set_agreement(SSL_CTX *ctx, const tern__tls_config *config, tern__stream_failure *failure)
{
    const char *ciphers = config->texts[TERN__TLS_CIPHERS];
    const char *suites = config->texts[TERN__TLS_SUITES];
    const char *groups = config->texts[TERN__TLS_GROUPS];
    const tern__buf *alpn = &config->bytes[TERN__TLS_ALPN];
    bool psk = config->texts[TERN__TLS_PSK_IDENTITY] != NULL;
    if (ciphers == NULL && psk) ciphers = "PSK";
    int oldest = config->minimum_version == TERN_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(ctx, oldest) != 1) return fail("the minimum version", failure);
    if (ciphers != NULL && SSL_CTX_set_cipher_list(ctx, ciphers) != 1) return fail("the cipher list", failure);
    if (suites != NULL && SSL_CTX_set_ciphersuites(ctx, suites) != 1) return fail("the cipher suites", failure);
    if (groups != NULL && SSL_CTX_set1_groups_list(ctx, groups) != 1) return fail("the groups", failure);
    if (alpn->len != 0 && SSL_CTX_set_alpn_protos(ctx, alpn->data, (unsigned)alpn->len) != 0)
        return fail("the application protocols", failure);
    if (psk) SSL_CTX_set_psk_client_callback(ctx, on_psk);
    return true;
}

static void set_manners(SSL_CTX *ctx, const tern__tls_context *context)
{
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record's head and body in one read */
    SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER);
    SSL_CTX_set_default_passwd_cb(ctx, on_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, (void *)(uintptr_t)context);
    if (context->config.texts[TERN__TLS_KEY_LOG] != NULL) SSL_CTX_set_keylog_callback(ctx, on_key_log);
    if (context->config.no_resumption) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        return;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

static SSL_CTX *make(tern__tls_context *context, tern__stream_failure *failure)
{
    const tern__tls_config *config = &context->config;
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool done = ctx != NULL || fail("OpenSSL", failure);
    if (done) set_manners(ctx, context);
    done = done && set_agreement(ctx, config, failure);
    done = done && set_trust(ctx, config, failure) && set_revocation(ctx, config, failure);
    done = done && (set_verification(ctx, config) || fail("OCSP stapling", failure));
    done = done && set_certificate(ctx, config, failure) && set_key(context, ctx, failure);
    if (done) return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- the shared part ---- */

static uint64_t stamp_list(uint64_t stamp, const tern__buf *paths)
{
    for (size_t at = 0; at < paths->len; at += strlen((const char *)paths->data + at) + 1)
        stamp = stamp * 31 + tern__file_stamp((const char *)paths->data + at);
    return stamp;
}

/* Of every file that a context is made from. */
static uint64_t stamp_of(const tern__tls_config *config)
{
    uint64_t stamp = 1;
    const char *certificate = config->texts[TERN__TLS_CERTIFICATE_FILE];
    const char *key = config->texts[TERN__TLS_KEY_FILE];
    if (certificate != NULL) stamp = stamp * 31 + tern__file_stamp(certificate);
    if (key != NULL) stamp = stamp * 31 + tern__file_stamp(key);
    stamp = stamp_list(stamp, &config->bytes[TERN__TLS_CA_FILES]);
    stamp = stamp_list(stamp, &config->bytes[TERN__TLS_CA_DIRECTORIES]);
    return stamp_list(stamp, &config->bytes[TERN__TLS_CRL_FILES]);
}

static void drop_sessions(tern__tls_context *context)
{
    for (int i = 0; i < TERN__TLS_SESSIONS; i++) {
        tern__free(context->sessions[i].peer);
        SSL_SESSION_free(context->sessions[i].session);
        context->sessions[i] = (tern__tls_session){NULL, NULL};
    }
}

SSL_CTX *tern__tls_context_take(tern__tls_context *context, tern__stream_failure *failure)
{
    tern__mutex_lock(&context->lock);
    uint64_t stamp = stamp_of(&context->config);
    if (context->ctx == NULL || stamp != context->stamp) {
        SSL_CTX *made = make(context, failure);
        /* A rotation that is half done heals with its other half: what was there before goes on. */
        if (made == NULL && context->ctx != NULL) failure->fatal = false;
        if (made != NULL) {
            SSL_CTX_free(context->ctx);
            drop_sessions(context); /* they were allowed by certificates that may count no more */
            context->ctx = made;
            context->stamp = stamp;
        } else {
            tern__mutex_unlock(&context->lock);
            return NULL;
        }
    }
    SSL_CTX *ctx = context->ctx;
    SSL_CTX_up_ref(ctx);
    tern__mutex_unlock(&context->lock);
    return ctx;
}

SSL_SESSION *tern__tls_session_find(tern__tls_context *context, const SSL_CTX *ctx, const char *peer)
{
    SSL_SESSION *found = NULL;
    tern__mutex_lock(&context->lock);
    for (int i = 0; i < TERN__TLS_SESSIONS && found == NULL && ctx == context->ctx; i++) {
        const tern__tls_session *it = &context->sessions[i];
        if (it->peer != NULL && strcmp(it->peer, peer) == 0) found = it->session;
    }
    /* A copy again: the connection writes to it, on its own thread, and spoils it where it breaks before it was given another. */
    if (found != NULL) found = SSL_SESSION_dup(found);
    tern__mutex_unlock(&context->lock);
    return found;
}

/* Where the session goes: over the one of the same peer, else over the oldest. NULL where there is no memory. Called locked. */
static tern__tls_session *place_for(tern__tls_context *context, const char *peer)
{
    for (int i = 0; i < TERN__TLS_SESSIONS; i++) {
        tern__tls_session *it = &context->sessions[i];
        if (it->peer != NULL && strcmp(it->peer, peer) == 0) return it;
    }
    tern__tls_session *place = &context->sessions[context->next++ % TERN__TLS_SESSIONS];
    tern__free(place->peer);
    place->peer = tern__strdup(peer);
    if (place->peer != NULL) return place;
    SSL_SESSION_free(place->session);
    place->session = NULL;
    return NULL;
}

void tern__tls_session_keep(tern__tls_context *context, const SSL_CTX *ctx, const char *peer, SSL_SESSION *session)
{
    tern__mutex_lock(&context->lock);
    /* A ticket may come long after the handshake, when files that allowed it were exchanged. */
    tern__tls_session *place = ctx == context->ctx ? place_for(context, peer) : NULL;
    SSL_SESSION *gone = session;
    if (place != NULL) {
        gone = place->session;
        place->session = session;
    }
    tern__mutex_unlock(&context->lock);
    SSL_SESSION_free(gone);
}

int tern__tls_context_new(tern__tls_context **context, const tern__tls_config *config)
{
    *context = NULL;
    tern__tls_context *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    atomic_init(&made->refs, 1);
    int rc = tern__tls_config_copy(&made->config, config);
    if (rc == 0) rc = tern__mutex_init(&made->lock);
    if (rc != 0) {
        tern__tls_config_deinit(&made->config);
        tern__free(made);
        return rc;
    }
    made->method = tern__tls_method_new();
    if (made->method == NULL) {
        tern__tls_context_unref(made);
        return TERN_E_NOMEM;
    }
    *context = made;
    return 0;
}

tern__tls_context *tern__tls_context_ref(tern__tls_context *context)
{
    if (context != NULL) atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tern__tls_context_unref(tern__tls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1) return;
    drop_sessions(context);
    SSL_CTX_free(context->ctx);
    BIO_meth_free(context->method);
    tern__mutex_deinit(&context->lock);
    tern__tls_config_deinit(&context->config);
    tern__free(context);
}

const char *tern__tls_context_warning(const tern__tls_context *context)
{
    const tern__tls_config *config = &context->config;
    if (config->texts[TERN__TLS_KEY_LOG] != NULL) return "the TLS secrets of this connection are written to a file";
    switch (config->verification) {
    case TERN_TLS_VERIFY_NOTHING: return "the server's certificate is not verified: whoever is in between reads and writes all";
    case TERN_TLS_VERIFY_CHAIN: return "the name in the server's certificate is not verified";
    default: return NULL;
    }
}

/* ---- what is known ---- */

bool tern__tls_ciphers_known(const char *ciphers, const char *suites)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool known = ctx != NULL && (ciphers == NULL || SSL_CTX_set_cipher_list(ctx, ciphers) == 1) &&
                 (suites == NULL || SSL_CTX_set_ciphersuites(ctx, suites) == 1);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return known;
}

bool tern__tls_groups_known(const char *groups)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool known = ctx != NULL && (groups == NULL || SSL_CTX_set1_groups_list(ctx, groups) == 1);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return known;
}

bool tern__tls_has_certificate(const void *pem, size_t len)
{
    if (len == 0 || len > INT32_MAX) return false;
    BIO *memory = BIO_new_mem_buf(pem, (int)len);
    X509 *certificate = memory != NULL ? read_certificate(memory) : NULL;
    bool found = certificate != NULL;
    X509_free(certificate);
    BIO_free(memory);
    ERR_clear_error();
    return found;
}

bool tern__tls_has_key(const void *pem, size_t len)
{
    if (len == 0 || len > INT32_MAX) return false;
    BIO *memory = BIO_new_mem_buf(pem, (int)len);
    char *name = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    long data_len = 0;
    bool found = false;
    while (!found && memory != NULL && PEM_read_bio(memory, &name, &header, &data, &data_len) == 1) {
        size_t name_len = strlen(name);
        found = name_len >= 11 && strcmp(name + name_len - 11, "PRIVATE KEY") == 0;
        OPENSSL_cleanse(data, (size_t)data_len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    BIO_free(memory);
    ERR_clear_error();
    return found;
}
#endif
