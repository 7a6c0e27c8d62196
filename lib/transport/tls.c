/* TLS as a filter: OpenSSL reads and writes the stream below through a BIO of ours, and never waits.
 *
 * A record that could not be written whole is kept here and offered again, and write() answers TERN_E_AGAIN until it is out: so
 * what write() said to be taken was handed on whole, as without TLS.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/tls.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#ifdef TERN_WITH_TLS
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/list.h"
#include "platform/ip.h"
#include "transport/tls_inside.h"

enum { RECORD_MAX = 16 << 10 };

/* ---- the BIO ---- */

static int bio_write(BIO *bio, const char *data, int len)
{
    tern__tls_stream *self = BIO_get_data(bio);
    tern__iov piece = {(void *)(uintptr_t)data, (size_t)len};
    size_t n = 0;
    BIO_clear_retry_flags(bio);
    int rc = len > 0 ? tern__stream_write(self->base.next, &piece, 1, &n) : 0;
    if (rc == 0) return (int)n;
    if (rc == TERN_E_AGAIN) BIO_set_retry_write(bio);
    if (rc != TERN_E_AGAIN) self->ended = true;
    return -1;
}

static int bio_read(BIO *bio, char *data, int len)
{
    tern__tls_stream *self = BIO_get_data(bio);
    size_t n = 0;
    BIO_clear_retry_flags(bio);
    if (len <= 0) return 0;
    int rc = tern__stream_read(self->base.next, data, (size_t)len, &n);
    if (rc == 0) return (int)n;
    if (rc == TERN_E_AGAIN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    self->ended = true;
    return tern__stream_os_error(self->base.next) == 0 ? 0 : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    const tern__tls_stream *self = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF) return self->ended;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tern__tls_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tern stream");
    if (method == NULL) return NULL;
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

/* ---- what OpenSSL says ---- */

/* The stream is over; it tells why, where that is more than an error code. */
static int break_off(tern__tls_stream *self, int rc, const tern__stream_failure *why)
{
    self->broken = true;
    self->rc = rc;
    if (why != NULL && self->why == NULL) self->why = tern__memdup(why, sizeof *why);
    return rc;
}

/* Where writing failed, the peer's alert may have come all the same; looking for it takes nothing out of the stream. */
static bool peer_said_why(tern__tls_stream *self)
{
    char byte;
    ERR_clear_error();
    int answer = SSL_peek(self->ssl, &byte, 1);
    bool said = answer <= 0 && SSL_get_error(self->ssl, answer) == SSL_ERROR_SSL &&
                ERR_GET_REASON(ERR_peek_error()) > SSL_AD_REASON_OFFSET;
    if (!said) ERR_clear_error();
    return said;
}

/* OpenSSL's failure of an open stream. */
static int broke(tern__tls_stream *self)
{
    tern__stream_failure why = {0};
    int os_error = tern__stream_os_error(self->base.next);
    bool said = self->ended && os_error != 0 && peer_said_why(self);
    if (self->ended && os_error != 0 && !said) { /* the network's trouble, not TLS's */
        ERR_clear_error();
        return break_off(self, TERN_E_CONNECTION_LOST, NULL);
    }
    if (self->ended && !said) {
        ERR_clear_error();
        why.error = TERN_E_CONNECTION_LOST;
        snprintf(why.text, sizeof why.text,
                 "the connection ended without TLS's close_notify: something may be missing at its end");
        return break_off(self, TERN_E_CONNECTION_LOST, &why);
    }
    tern__tls_report_handshake(self, &why);
    return break_off(self, TERN_E_TLS, &why);
}

/* An answer of SSL_read() or SSL_write(): TERN_E_AGAIN, or how it is over. */
static int judge(tern__tls_stream *self, int answer, bool *wants_other, int other)
{
    int error = SSL_get_error(self->ssl, answer);
    *wants_other = error == other;
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return TERN_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return break_off(self, TERN_E_CONNECTION_LOST, NULL); /* close_notify: a clean end */
    default: return broke(self);
    }
}

/* ---- reading and writing ---- */

/* Reads as much as there is room for, so that a short read means that nothing is left. */
static int read_some(tern__stream *stream, void *data, size_t len, size_t *n)
{
    tern__tls_stream *self = (tern__tls_stream *)stream;
    size_t total = 0;
    *n = 0;
    int rc = self->broken ? self->rc : 0;
    while (rc == 0 && total < len) {
        size_t room = len - total;
        ERR_clear_error();
        int got = SSL_read(self->ssl, (uint8_t *)data + total, room > INT32_MAX ? INT32_MAX : (int)room);
        if (got > 0) {
            total += (size_t)got;
            self->read_wants_write = false;
        } else {
            rc = judge(self, got, &self->read_wants_write, SSL_ERROR_WANT_WRITE);
        }
    }
    self->more = self->broken ? total != 0 : rc == 0 && SSL_has_pending(self->ssl); /* also an end that was not told yet */
    *n = total;
    return total != 0 ? 0 : rc;
}

/* Writes one record's worth: 0 when all of it is out. */
static int write_record(tern__tls_stream *self, const void *data, size_t len)
{
    ERR_clear_error();
    int answer = SSL_write(self->ssl, data, (int)len);
    if (answer > 0) {
        self->write_wants_read = false;
        return 0;
    }
    return judge(self, answer, &self->write_wants_read, SSL_ERROR_WANT_READ);
}

/* A record is under way that could not be written: these bytes, and no others, have to be offered again. */
static int hold(tern__tls_stream *self, const void *data, size_t len)
{
    self->held = tern__memdup(data, len);
    if (self->held == NULL) return break_off(self, TERN_E_NOMEM, NULL);
    self->held_len = len;
    return TERN_E_AGAIN;
}

/* It may be CONNECT, with a password. */
static void drop_held(tern__tls_stream *self)
{
    if (self->held != NULL) tern__cleanse(self->held, self->held_len);
    tern__free(self->held);
    self->held = NULL;
}

static int write_held(tern__tls_stream *self)
{
    int rc = write_record(self, self->held, self->held_len);
    if (rc == 0) drop_held(self);
    return rc;
}

/* The next record's bytes, from `skip` on: a piece of their own, or several small ones gathered in `room`. */
static const uint8_t *gather(const tern__iov *iov, size_t count, size_t skip, uint8_t *room, size_t *len)
{
    while (count != 0 && skip >= iov->len) {
        skip -= iov->len;
        iov++;
        count--;
    }
    *len = 0;
    if (count == 0) return NULL;
    const uint8_t *first = (const uint8_t *)iov->data + skip;
    size_t first_len = iov->len - skip;
    if (count == 1 || first_len >= RECORD_MAX) {
        *len = first_len < RECORD_MAX ? first_len : RECORD_MAX;
        return first;
    }
    for (size_t i = 0; i < count && *len < RECORD_MAX; i++) {
        const uint8_t *from = i == 0 ? first : iov[i].data;
        size_t part = i == 0 ? first_len : iov[i].len;
        if (part > RECORD_MAX - *len) part = RECORD_MAX - *len;
        memcpy(room + *len, from, part);
        *len += part;
    }
    return room;
}

static int write_some(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    tern__tls_stream *self = (tern__tls_stream *)stream;
    uint8_t room[RECORD_MAX];
    *n = 0;
    int rc = self->broken ? self->rc : 0;
    if (rc == 0 && self->held != NULL) { /* the caller's next bytes, as they were */
        size_t held = self->held_len;
        rc = write_held(self);
        if (rc == 0) *n = held;
    }
    while (rc == 0) {
        size_t len;
        const uint8_t *data = gather(iov, count, *n, room, &len);
        if (data == NULL) break;
        rc = write_record(self, data, len);
        if (rc == 0) *n += len;
        if (rc == TERN_E_AGAIN) rc = hold(self, data, len);
    }
    return *n != 0 ? 0 : rc;
}

static bool pending(const tern__stream *stream)
{
    return ((const tern__tls_stream *)stream)->more;
}

/* ---- readiness ---- */

static int watch(tern__stream *stream, bool read, bool write)
{
    tern__tls_stream *self = (tern__tls_stream *)stream;
    self->user_reads = read;
    self->user_writes = write;
    return tern__stream_watch(stream->next, read || (write && self->write_wants_read),
                              (write && !self->write_wants_read) || (read && self->read_wants_write) || self->finishing);
}

static void set_source(tern__stream *stream, tern__source *source)
{
    ((tern__tls_stream *)stream)->user = source;
}

/* Sends close_notify, then lets the one below finish. */
static int go_on_finishing(tern__tls_stream *self)
{
    ERR_clear_error();
    int answer = SSL_shutdown(self->ssl);
    self->finishing = answer < 0 && SSL_get_error(self->ssl, answer) == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return self->finishing ? 0 : tern__stream_finish(self->base.next);
}

static int finish(tern__stream *stream)
{
    tern__tls_stream *self = (tern__tls_stream *)stream;
    return SSL_is_init_finished(self->ssl) && !self->broken ? go_on_finishing(self) : tern__stream_finish(stream->next);
}

/* The user may close the stream meanwhile: nothing of it is touched afterwards. */
static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    tern__tls_stream *self = TERN__CONTAINER(source, tern__tls_stream, source);
    if (self->finishing && (events & TERN__READY_WRITE) != 0 && go_on_finishing(self) == 0)
        (void)watch(&self->base, self->user_reads, self->user_writes);
    unsigned told = events;
    if (self->write_wants_read && (events & TERN__READY_READ) != 0) told |= TERN__READY_WRITE;
    if (self->read_wants_write && (events & TERN__READY_WRITE) != 0) told |= TERN__READY_READ;
    self->user->ready(self->user, told, now);
}

/* ---- opening and closing ---- */

static int open_step(tern__stream *stream, tern__stream_failure *failure)
{
    tern__tls_stream *self = (tern__tls_stream *)stream;
    ERR_clear_error();
    int answer = SSL_connect(self->ssl);
    if (answer == 1) {
        tern__free(self->finding); /* what verification found did not matter */
        self->finding = NULL;
        return 0;
    }
    int error = SSL_get_error(self->ssl, answer);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        tern__tls_report_handshake(self, failure);
        self->broken = true;
        self->rc = TERN_E_TLS;
        return TERN_E_TLS;
    }
    int rc = tern__stream_watch(stream->next, error == SSL_ERROR_WANT_READ, error == SSL_ERROR_WANT_WRITE);
    return rc != 0 ? rc : TERN_E_AGAIN;
}

static bool explain(const tern__stream *stream, tern__stream_failure *failure)
{
    const tern__tls_stream *self = (const tern__tls_stream *)stream;
    if (self->why == NULL) return false;
    *failure = *self->why;
    return true;
}

static void free_stream(tern__tls_stream *self)
{
    if (self->ssl != NULL && !self->broken) SSL_set_shutdown(self->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* the session stays good */
    SSL_free(self->ssl);
    tern__tls_context_unref(self->context);
    drop_held(self);
    tern__free(self->finding);
    tern__free(self->why);
    tern__free(self->peer);
    tern__free(self);
}

static void close_stream(tern__stream *stream)
{
    tern__stream *below = stream->next;
    free_stream((tern__tls_stream *)stream);
    tern__stream_close(below);
}

/* The name without a zone, which is this machine's alone, and without a full name's last dot, which is neither in certificates nor
 * in a server name (RFC 6066 section 3). */
static void plain_name(const char *host, char *name, size_t size)
{
    size_t len = strcspn(host, "%");
    if (len > 1 && host[len - 1] == '.') len--;
    snprintf(name, size, "%.*s", (int)len, host);
}

/* Whom we ask for, and whose certificate we want to see. */
static bool set_names(SSL *ssl, const tern__tls_config *config, const char *host)
{
    char name[256];
    uint8_t address[TERN__IPV6_LEN];
    plain_name(host, name, sizeof name);
    bool is_address = tern__ip_parse(name, address) != 0;
    const char *asked = config->texts[TERN__TLS_SERVER_NAME];
    if (asked == NULL && !is_address) asked = name;
    if (asked != NULL && asked[0] != '\0' && SSL_set_tlsext_host_name(ssl, asked) != 1) return false;
    if (config->verification != TERN_TLS_VERIFY_FULL) return true;
    const char *wanted = config->texts[TERN__TLS_VERIFIED_NAME] != NULL ? config->texts[TERN__TLS_VERIFIED_NAME] : name;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (tern__ip_parse(wanted, address) != 0) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), wanted) == 1;
    size_t len = strlen(wanted);
    char trimmed[256];
    if (len == 0 || len >= sizeof trimmed || wanted[0] == '.') return false; /* to OpenSSL a dot before stands for any name below */
    memcpy(trimmed, wanted, len + 1);
    if (trimmed[len - 1] == '.') trimmed[len - 1] = '\0'; /* a full name's last dot is not in certificates */
    return SSL_set1_host(ssl, trimmed) == 1;
}

static bool make_ssl(tern__tls_stream *self, SSL_CTX *ctx, const char *host)
{
    self->ssl = SSL_new(ctx);
    BIO *bio = self->ssl != NULL ? BIO_new(self->context->method) : NULL;
    if (bio == NULL) return false;
    BIO_set_data(bio, self);
    BIO_set_init(bio, 1);
    SSL_set_bio(self->ssl, bio, bio);
    SSL_set_app_data(self->ssl, self);
    SSL_set_connect_state(self->ssl);
    SSL_SESSION *session = tern__tls_session_find(self->context, ctx, self->peer);
    if (session != NULL) SSL_set_session(self->ssl, session);
    SSL_SESSION_free(session);
    return set_names(self->ssl, &self->context->config, host);
}

int tern__tls_new(tern__stream **stream, tern__stream *below, tern__tls_context *context, const char *host, uint16_t port,
                  tern__stream_failure *failure)
{
    static const tern__stream_ops ops = {
        .name = "tls", .open = open_step, .read = read_some, .write = write_some, .pending = pending, .watch = watch,
        .set_source = set_source, .finish = finish, .explain = explain, .close = close_stream};
    *stream = NULL;
    SSL_CTX *ctx = tern__tls_context_take(context, failure);
    if (ctx == NULL) return failure->error;
    tern__tls_stream *self = tern__calloc(1, sizeof *self);
    size_t size = strlen(host) + sizeof ":65535";
    if (self != NULL) {
        self->context = tern__tls_context_ref(context);
        self->peer = tern__malloc(size);
    }
    if (self == NULL || self->peer == NULL) {
        SSL_CTX_free(ctx);
        if (self != NULL) free_stream(self);
        return TERN_E_NOMEM;
    }
    snprintf(self->peer, size, "%s:%u", host, (unsigned)port);
    self->base.ops = &ops;
    self->base.next = below;
    self->source.ready = on_ready;
    bool made = make_ssl(self, ctx, host);
    SSL_CTX_free(ctx);
    if (!made) {
        tern__tls_report_config("the connection's TLS", failure);
        free_stream(self);
        return failure->error;
    }
    tern__stream_set_source(below, &self->source);
    *stream = &self->base;
    return 0;
}

/* ---- what was agreed on ---- */

bool tern__tls_describe(const tern__stream *stream, tern__tls_info *info)
{
    memset(info, 0, sizeof *info);
    while (stream != NULL && strcmp(stream->ops->name, "tls") != 0) stream = stream->next;
    if (stream == NULL) return false;
    const SSL *ssl = ((const tern__tls_stream *)stream)->ssl;
    const unsigned char *alpn;
    unsigned alpn_len;
    const char *cipher = SSL_get_cipher_name(ssl);
    snprintf(info->version, sizeof info->version, "%s", SSL_get_version(ssl));
    snprintf(info->cipher, sizeof info->cipher, "%s", cipher != NULL ? cipher : "");
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    if (alpn_len != 0) snprintf(info->alpn, sizeof info->alpn, "%.*s", (int)alpn_len, (const char *)alpn);
    info->resumed = SSL_session_reused(ssl) == 1;
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain) && info->count < TERN__TLS_CHAIN_MAX; i++)
        tern__tls_certificate_read(sk_X509_value(chain, i), &info->chain[info->count++]);
    return SSL_get_current_cipher(ssl) != NULL || info->count != 0;
}

#else /* a build without TLS */

int tern__tls_context_new(tern__tls_context **context, const tern__tls_config *config)
{
    (void)config;
    *context = NULL;
    return TERN_E_UNSUPPORTED;
}

tern__tls_context *tern__tls_context_ref(tern__tls_context *context)
{
    return context;
}

void tern__tls_context_unref(tern__tls_context *context)
{
    (void)context;
}

const char *tern__tls_context_warning(const tern__tls_context *context)
{
    (void)context;
    return NULL;
}

bool tern__tls_ciphers_known(const char *ciphers, const char *suites)
{
    return ciphers == NULL && suites == NULL;
}

bool tern__tls_groups_known(const char *groups)
{
    return groups == NULL;
}

bool tern__tls_has_certificate(const void *pem, size_t len)
{
    (void)pem;
    (void)len;
    return false;
}

bool tern__tls_has_key(const void *pem, size_t len)
{
    return tern__tls_has_certificate(pem, len);
}

int tern__tls_new(tern__stream **stream, tern__stream *below, tern__tls_context *context, const char *host, uint16_t port,
                  tern__stream_failure *failure)
{
    (void)below;
    (void)context;
    (void)port;
    *stream = NULL;
    failure->error = TERN_E_UNSUPPORTED;
    failure->step = TERN_STEP_TLS;
    snprintf(failure->text, sizeof failure->text, "%.100s: this build has no TLS", host);
    return TERN_E_UNSUPPORTED;
}

bool tern__tls_describe(const tern__stream *stream, tern__tls_info *info)
{
    (void)stream;
    memset(info, 0, sizeof *info);
    return false;
}
#endif
