/* A connection through a SOCKS5 proxy as a filter. Not a byte more is read than an answer has, so
 * what follows it is the peer's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/socks5.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "platform/ip.h"
#include "transport/handshake.h"
#include "transport/http1.h"

enum {
    VERSION = 5,
    LOGIN_VERSION = 1,
    METHOD_NONE = 0,
    METHOD_PASSWORD = 2,
    METHOD_REFUSED = 255,
    CONNECT = 1,
    TYPE_IPV4 = 1,
    TYPE_NAME = 3,
    TYPE_IPV6 = 4,
    TEXT_MAX = 255,
    OUT_MAX = 3 + 2 * TEXT_MAX, /* a login */
    IN_MAX = TEXT_MAX + 2,      /* the rest of a reply */
    REPLY_HEAD = 5,             /* up to the first byte of the address */
    PLACE_SIZE = 300
};

/* Which answer is waited for. */
typedef enum phase {
    METHOD,     /* -> LOGIN or REPLY */
    LOGIN,      /* -> REPLY */
    REPLY,      /* -> REPLY_REST */
    REPLY_REST, /* -> open */
} phase;

typedef struct socks5 {
    tern__stream base;
    phase phase;
    uint16_t port;
    char user[TEXT_MAX + 1]; /* "" where there is none; cleansed once it was sent */
    char password[TEXT_MAX + 1];
    char host[TEXT_MAX + 1];
    bool has_user;
    bool answered; /* a byte of the present answer came, or an earlier one */
    uint8_t out[OUT_MAX];
    size_t out_len;
    size_t sent;
    uint8_t in[IN_MAX];
    size_t in_len;
    size_t wanted; /* bytes of the answer under way */
    char peer[PLACE_SIZE];
    char target[PLACE_SIZE];
} socks5;

/* ---- words ---- */

static int fail(const socks5 *self, tern__stream_failure *failure, const char *hint,
                const char *text)
{
    *failure = (tern__stream_failure){.error = TERN_E_PROXY, .step = TERN_STEP_PROXY};
    snprintf(failure->text, sizeof failure->text, "%.90s: %.160s", self->peer, text);
    snprintf(failure->hint, sizeof failure->hint, "%s", hint);
    return failure->error;
}

static int fail_foreign(const socks5 *self, tern__stream_failure *failure)
{
    const char *hint = "check host and port of the proxy, and that it speaks SOCKS5";
    if (self->in[0] == 'H') hint = "it answers in HTTP: write http:// for such a proxy";
    if (self->in[0] == 0) hint = "it may be a proxy of SOCKS4, which is not supported";
    if (self->in[0] == 0x15 || self->in[0] == 0x16)
        hint = "it answers in TLS, which is not supported to a proxy itself";
    return fail(self, failure, hint, "what answers is no SOCKS5 proxy");
}

typedef struct reply_row {
    const char *text;
    const char *hint;
} reply_row;

/* RFC 1928 section 6. */
static int fail_reply(const socks5 *self, tern__stream_failure *failure)
{
    static const reply_row replies[] = {
        {"general failure of the proxy",
         "look at the proxy's log: often it cannot resolve the name"},
        {"the rules of the proxy forbid it", "ask who runs the proxy to allow this host and port"},
        {"network unreachable", "the proxy has no way to the host's network"},
        {"host unreachable", "check the host's name: the proxy resolves it"},
        {"connection refused", "nothing listens at this host and port: check the port"},
        {"TTL expired", "the host did not answer the proxy"},
        {"command not supported", "the proxy does not allow CONNECT"},
        {"address type not supported", "the proxy takes no such address: try a name, or IPv4"},
    };
    unsigned code = self->in[1];
    const size_t count = sizeof replies / sizeof replies[0];
    const reply_row *row = code >= 1 && code <= count ? &replies[code - 1] : NULL;
    char text[200];
    snprintf(text, sizeof text, "the proxy does not connect to %.80s: %s (reply %u)", self->target,
             row != NULL ? row->text : "a reason that SOCKS5 does not know", code);
    return fail(self, failure, row != NULL ? row->hint : "look at the proxy's log", text);
}

static int fail_lost(const socks5 *self, int rc, tern__stream_failure *failure)
{
    static const char *const doings[] = {"the greeting", "the login", "the request", "the request"};
    const tern__handshake_place place = {self->peer, "the proxy", doings[self->phase],
                                         self->answered};
    *failure = (tern__stream_failure){.error = TERN_E_PROXY, .step = TERN_STEP_PROXY};
    snprintf(failure->hint, sizeof failure->hint, "%s",
             self->phase == METHOD ? "is it a SOCKS5 proxy? an HTTP proxy is written http://"
                                   : "look at the proxy's log");
    tern__handshake_lost(&place, self->base.next, rc, failure);
    return failure->error;
}

/* ---- what is said ---- */

static void expect(socks5 *self, phase next, size_t wanted)
{
    self->phase = next;
    self->in_len = 0;
    self->wanted = wanted;
    self->answered = false;
}

static void put(socks5 *self, unsigned byte)
{
    self->out[self->out_len++] = (uint8_t)byte;
}

static void put_bytes(socks5 *self, const void *bytes, size_t len)
{
    memcpy(self->out + self->out_len, bytes, len);
    self->out_len += len;
}

static void say_greeting(socks5 *self)
{
    put(self, VERSION);
    put(self, self->has_user ? 2 : 1);
    put(self, METHOD_NONE);
    if (self->has_user) put(self, METHOD_PASSWORD);
    expect(self, METHOD, 2);
}

static void say_login(socks5 *self)
{
    size_t user_len = strlen(self->user);
    size_t password_len = strlen(self->password);
    put(self, LOGIN_VERSION);
    put(self, (unsigned)user_len);
    put_bytes(self, self->user, user_len);
    put(self, (unsigned)password_len);
    put_bytes(self, self->password, password_len);
    expect(self, LOGIN, 2);
}

static void say_request(socks5 *self)
{
    uint8_t address[TERN__IPV6_LEN];
    size_t address_len = tern__ip_parse(self->host, address);
    put(self, VERSION);
    put(self, CONNECT);
    put(self, 0);
    if (address_len != 0) {
        put(self, address_len == TERN__IPV4_LEN ? TYPE_IPV4 : TYPE_IPV6);
        put_bytes(self, address, address_len);
    } else {
        put(self, TYPE_NAME);
        put(self, (unsigned)strlen(self->host));
        put_bytes(self, self->host, strlen(self->host));
    }
    put(self, self->port >> 8);
    put(self, self->port & 255u);
    expect(self, REPLY, REPLY_HEAD);
}

/* ---- what is answered: 0 the tunnel is open, TERN_E_AGAIN it goes on, else it failed ---- */

static int take_method(socks5 *self, tern__stream_failure *failure)
{
    if (self->in[0] != VERSION) return fail_foreign(self, failure);
    unsigned method = self->in[1];
    if (method == METHOD_PASSWORD && self->has_user) {
        say_login(self);
    } else if (method == METHOD_NONE) {
        say_request(self);
    } else if (method == METHOD_REFUSED) {
        return fail(self, failure,
                    self->has_user ? "it may want GSSAPI, which is not supported"
                                   : "give it a user name: socks5://user:password@host:port",
                    self->has_user ? "the proxy takes no user name and password, nor none"
                                   : "the proxy lets nobody in without a login");
    } else {
        return fail(self, failure, "a fault of the proxy: look at its version",
                    "the proxy chose a login that was not offered");
    }
    return TERN_E_AGAIN;
}

static int take_login(socks5 *self, tern__stream_failure *failure)
{
    if (self->in[0] != LOGIN_VERSION)
        return fail(self, failure, "a fault of the proxy: look at its version",
                    "the proxy's answer to the login is not one of RFC 1929");
    if (self->in[1] != 0)
        return fail(self, failure, "check the user name and password in the proxy's URL",
                    "the proxy refuses the user name or password");
    say_request(self);
    return TERN_E_AGAIN;
}

/* What is left of an address, and a port. */
static void expect_rest(socks5 *self, size_t address_len)
{
    expect(self, REPLY_REST, address_len + 2);
    self->answered = true;
}

static int take_reply(socks5 *self, tern__stream_failure *failure)
{
    if (self->in[0] != VERSION) return fail_foreign(self, failure);
    if (self->in[1] != 0) return fail_reply(self, failure);
    switch (self->in[3]) { /* where the proxy connected from; its first byte was read already */
    case TYPE_IPV4:
        expect_rest(self, TERN__IPV4_LEN - 1);
        return TERN_E_AGAIN;
    case TYPE_IPV6:
        expect_rest(self, TERN__IPV6_LEN - 1);
        return TERN_E_AGAIN;
    case TYPE_NAME:
        expect_rest(self, self->in[4]);
        return TERN_E_AGAIN;
    default:
        return fail(self, failure, "a fault of the proxy: look at its version",
                    "the proxy's reply has an address of no known type");
    }
}

static int take_answer(socks5 *self, tern__stream_failure *failure)
{
    switch (self->phase) {
    case METHOD:
        return take_method(self, failure);
    case LOGIN:
        return take_login(self, failure);
    case REPLY:
        return take_reply(self, failure);
    case REPLY_REST:
        break;
    }
    return 0;
}

/* ---- the handshake ---- */

static void forget_secrets(socks5 *self)
{
    tern__cleanse(self->out, sizeof self->out);
    tern__cleanse(self->user, sizeof self->user);
    tern__cleanse(self->password, sizeof self->password);
}

static int send_all(socks5 *self)
{
    while (self->sent < self->out_len) {
        size_t n = 0;
        tern__iov piece = {self->out + self->sent, self->out_len - self->sent};
        int rc = tern__stream_write(self->base.next, &piece, 1, &n);
        if (rc != 0) return rc;
        self->sent += n;
    }
    if (self->phase != METHOD) forget_secrets(self);
    self->out_len = self->sent = 0;
    return 0;
}

static int read_answer(socks5 *self)
{
    while (self->in_len < self->wanted) {
        size_t n = 0;
        int rc = tern__stream_read(self->base.next, self->in + self->in_len,
                                   self->wanted - self->in_len, &n);
        if (rc != 0) return rc;
        self->in_len += n;
        self->answered = true;
    }
    return 0;
}

/* An answer that is no SOCKS at all may be shorter than one that is: its first byte is enough, and
 * a reply that says no may end with its code. */
static bool is_foreign(const socks5 *self)
{
    return self->in_len != 0 && (self->phase == METHOD || self->phase == REPLY) &&
           self->in[0] != VERSION;
}

static int open_filter(tern__stream *stream, tern__stream_failure *failure)
{
    socks5 *self = (socks5 *)stream;
    int rc = TERN_E_AGAIN;
    while (rc == TERN_E_AGAIN) {
        rc = send_all(self);
        if (rc == TERN_E_AGAIN) rc = tern__handshake_wait(stream->next, false);
        if (rc == TERN_E_AGAIN) return rc;
        if (rc == 0) rc = read_answer(self);
        if (rc != 0 && is_foreign(self)) return fail_foreign(self, failure);
        if (rc != 0 && self->phase == REPLY && self->in_len >= 2 && self->in[1] != 0)
            return fail_reply(self, failure);
        if (rc == TERN_E_AGAIN) rc = tern__handshake_wait(stream->next, true);
        if (rc == TERN_E_AGAIN) return rc;
        if (rc != 0) return fail_lost(self, rc, failure);
        rc = take_answer(self, failure);
    }
    return rc;
}

static void close_filter(tern__stream *stream)
{
    tern__stream_close(stream->next);
    forget_secrets((socks5 *)stream);
    tern__free(stream);
}

static int keep_text(char out[TEXT_MAX + 1], const char *text)
{
    size_t len = strlen(text);
    if (len > TEXT_MAX) return TERN_E_INVALID;
    memcpy(out, text, len + 1);
    return 0;
}

int tern__socks5_new(tern__stream **stream, tern__stream *below, const tern__proxy *proxy,
                     const char *host, uint16_t port)
{
    static const tern__stream_ops ops = {
        .name = "socks5", .open = open_filter, .close = close_filter};
    *stream = NULL;
    socks5 *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->base.ops = &ops;
    self->port = port;
    self->has_user = proxy->user != NULL;
    int rc = *host != '\0' ? keep_text(self->host, host) : TERN_E_INVALID;
    if (rc == 0 && self->has_user && *proxy->user == '\0') rc = TERN_E_INVALID;
    if (rc == 0 && self->has_user) rc = keep_text(self->user, proxy->user);
    if (rc == 0 && proxy->password != NULL) rc = keep_text(self->password, proxy->password);
    if (rc != 0) {
        close_filter(&self->base);
        return rc;
    }
    self->host[strcspn(self->host, "%")] = '\0'; /* a zone means nothing to the proxy */
    tern__http1_authority(proxy->host, proxy->port, self->peer, sizeof self->peer);
    tern__http1_authority(host, port, self->target, sizeof self->target);
    say_greeting(self);
    self->base.next = below;
    *stream = &self->base;
    return 0;
}
