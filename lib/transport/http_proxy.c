/* A tunnel through an HTTP proxy as a filter.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/http_proxy.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "transport/http_exchange.h"

enum { PLACE_SIZE = 300, FIXED_ROOM = 128 };

typedef struct http_proxy {
    tern__stream base;
    tern__http_exchange *exchange; /* NULL once open and what came with the answer was read */
    bool has_user;
    char peer[PLACE_SIZE];   /* the proxy's host and port */
    char target[PLACE_SIZE]; /* what is behind it */
} http_proxy;

/* ---- the request ---- */

/* Basic (RFC 7617): the user name, a colon, the password, in Base64. */
static int add_credentials(tern__buf *request, const tern__proxy *proxy)
{
    static const char scheme[] = "Basic ";
    const char *password = proxy->password != NULL ? proxy->password : "";
    const size_t len = strlen(proxy->user) + 1 + strlen(password);
    const size_t size = sizeof scheme - 1 + TERN__BASE64_SIZE(len);
    if (strchr(proxy->user, ':') != NULL) return TERN_E_INVALID;
    char *plain = tern__malloc(len + 1);
    char *value = tern__malloc(size);
    int rc = TERN_E_NOMEM;
    if (plain != NULL && value != NULL) {
        snprintf(plain, len + 1, "%s:%s", proxy->user, password);
        memcpy(value, scheme, sizeof scheme - 1);
        tern__base64_encode(plain, len, value + sizeof scheme - 1);
        tern__cleanse(plain, len + 1);
        rc = tern__http1_header_add(request, "Proxy-Authorization",
                                    (tern__view){(const uint8_t *)value, size - 1});
        tern__cleanse(value, size);
    }
    tern__free(plain);
    tern__free(value);
    return rc;
}

static int compose(http_proxy *self, const tern__proxy *proxy)
{
    tern__buf *request = &self->exchange->request;
    int rc = tern__http1_start(request, "CONNECT", self->target);
    if (rc == 0)
        rc = tern__http1_header_add(
            request, "Host", (tern__view){(const uint8_t *)self->target, strlen(self->target)});
    if (rc == 0 && proxy->user != NULL) rc = add_credentials(request, proxy);
    return rc == 0 ? tern__http1_end(request) : rc;
}

static size_t room_for(const tern__proxy *proxy)
{
    size_t room = FIXED_ROOM + 2 * PLACE_SIZE;
    if (proxy->user != NULL) room += TERN__BASE64_SIZE(strlen(proxy->user) + 1);
    if (proxy->password != NULL) room += TERN__BASE64_SIZE(strlen(proxy->password));
    return room;
}

/* ---- the answer ---- */

typedef struct status_hint {
    int status;
    const char *hint;
} status_hint;

static const char *hint_of(const http_proxy *self, const tern__http1_head *head)
{
    static const status_hint hints[] = {
        {400, "is this a proxy that allows CONNECT?"},
        {401, "a web server answers, not a proxy: check the proxy's port"},
        {403, "the proxy forbids this host or port: many allow port 443 alone; ask who runs it"},
        {404, "a web server answers, not a proxy: check the proxy's port"},
        {405, "the proxy does not allow CONNECT"},
        {429, "the proxy wants to be asked later"},
        {500, "the proxy could not reach the host, or has trouble of its own: look at its log"},
        {501, "the proxy does not know CONNECT"},
        {502, "the proxy could not reach the host: check name and port"},
        {503, "the proxy could not reach the host, or has too much to do"},
        {504, "the host did not answer the proxy in time: check name and port"},
    };
    if (head->status == 407 && !tern__http1_offers(head, "Proxy-Authenticate", "Basic"))
        return "the proxy wants another way to log in than Basic, which is the only one here";
    /* 401 is not for proxies, but tinyproxy says it. */
    if (self->has_user && (head->status == 407 || head->status == 401))
        return "the proxy refuses the user name or password";
    if (head->status == 407)
        return "the proxy wants a user name and password: http://user:password@host:port";
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (hints[i].status == head->status) return hints[i].hint;
    return "";
}

static int refused(http_proxy *self, tern__stream_failure *failure)
{
    const tern__http1_head *head = &self->exchange->head;
    char what[100];
    *failure = (tern__stream_failure){.error = TERN_E_PROXY, .step = TERN_STEP_PROXY};
    snprintf(what, sizeof what, "the proxy answers CONNECT %.70s", self->target);
    tern__http_exchange_refused(self->exchange, self->base.next, self->peer, what, failure);
    snprintf(failure->hint, sizeof failure->hint, "%s", hint_of(self, head));
    return failure->error;
}

static void drop_exchange(http_proxy *self)
{
    tern__http_exchange_free(self->exchange);
    self->exchange = NULL;
}

static int open_filter(tern__stream *stream, tern__stream_failure *failure)
{
    http_proxy *self = (http_proxy *)stream;
    int rc = tern__http_exchange_go(self->exchange, stream->next);
    if (rc == TERN_E_AGAIN) return rc;
    if (rc != 0) {
        *failure = (tern__stream_failure){.error = TERN_E_PROXY, .step = TERN_STEP_PROXY};
        snprintf(failure->hint, sizeof failure->hint,
                 "is it an HTTP proxy? a SOCKS5 proxy is written socks5://");
        tern__http_exchange_failed(self->exchange, stream->next, rc, self->peer, "the proxy",
                                   "CONNECT", failure);
        return failure->error;
    }
    int status = self->exchange->head.status;
    if (status < 200 || status > 299) return refused(self, failure);
    if (!tern__http_exchange_has_rest(self->exchange)) drop_exchange(self);
    return 0;
}

/* ---- the tunnel ---- */

static int read_some(tern__stream *stream, void *data, size_t len, size_t *n)
{
    http_proxy *self = (http_proxy *)stream;
    if (self->exchange == NULL) return tern__stream_read(stream->next, data, len, n);
    *n = tern__http_exchange_take(self->exchange, data, len);
    if (!tern__http_exchange_has_rest(self->exchange)) drop_exchange(self);
    return 0;
}

static bool pending(const tern__stream *stream)
{
    return tern__http_exchange_has_rest(((const http_proxy *)stream)->exchange);
}

static void close_filter(tern__stream *stream)
{
    tern__stream_close(stream->next);
    drop_exchange((http_proxy *)stream);
    tern__free(stream);
}

int tern__http_proxy_new(tern__stream **stream, tern__stream *below, const tern__proxy *proxy,
                         const char *host, uint16_t port)
{
    static const tern__stream_ops ops = {.name = "http-proxy",
                                         .open = open_filter,
                                         .read = read_some,
                                         .pending = pending,
                                         .close = close_filter};
    *stream = NULL;
    http_proxy *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->base.ops = &ops;
    self->has_user = proxy->user != NULL;
    tern__http1_authority(proxy->host, proxy->port, self->peer, sizeof self->peer);
    tern__http1_authority(host, port, self->target, sizeof self->target);
    self->exchange = tern__http_exchange_new(room_for(proxy));
    int rc = self->exchange != NULL ? compose(self, proxy) : TERN_E_NOMEM;
    if (rc != 0) {
        close_filter(&self->base);
        return rc;
    }
    self->base.next = below;
    *stream = &self->base;
    return 0;
}
