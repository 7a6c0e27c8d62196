/* Server URLs. Every refusal says where (from 1) and why; what was written there is never repeated,
 * since it may be a piece of a password. SPDX-License-Identifier: Apache-2.0 */
#include "transport/uri.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "transport/url.h"

typedef struct scheme_row {
    const char *name;
    enum tern__scheme scheme;
    uint16_t port;
    bool tls;
    bool websocket;
} scheme_row;

static const scheme_row schemes[] = {
    {"mqtt", TERN__SCHEME_TCP, 1883, false, false}, {"tcp", TERN__SCHEME_TCP, 1883, false, false},
    {"unix", TERN__SCHEME_UNIX, 0, false, false},   {"mqtts", TERN__SCHEME_TCP, 8883, true, false},
    {"ssl", TERN__SCHEME_TCP, 8883, true, false},   {"tls", TERN__SCHEME_TCP, 8883, true, false},
    {"ws", TERN__SCHEME_TCP, 80, false, true},      {"wss", TERN__SCHEME_TCP, 443, true, true},
};

#ifdef TERN_WITH_TLS
static const bool has_tls = true;
#else
static const bool has_tls = false;
#endif

static int refuse_without_scheme(const tern__url_parser *self)
{
    const char *text = self->text;
    if (*text == '\0')
        return tern__url_refuse(self, TERN_E_URL, text,
                                "an empty URL; write mqtt://host or unix:///path");
    if (*text == '/')
        return tern__url_refuse(self, TERN_E_URL, text,
                                "no scheme; write unix:///path for a Unix socket");
    size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    if (text[plain] == '\0' && plain <= 64)
        return tern__url_refuse(self, TERN_E_URL, text, "no scheme; write mqtt://%s", text);
    return tern__url_refuse(self, TERN_E_URL, text, "no scheme; write mqtt://host:port");
}

static const scheme_row *find_scheme(tern__url_piece p)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strlen(schemes[i].name) == tern__url_len(p) &&
            strncasecmp(schemes[i].name, p.at, tern__url_len(p)) == 0)
            return &schemes[i];
    return NULL;
}

/* The scheme's row; *rest is what follows "://". */
static int parse_scheme(const tern__url_parser *self, const scheme_row **row, const char **rest)
{
    tern__url_piece name;
    int rc = tern__url_scheme(self, "mqtt://host", &name, rest);
    if (rc != 0) return rc;
    if (*rest == NULL) return refuse_without_scheme(self);
    *row = find_scheme(name);
    if (*row == NULL)
        return tern__url_refuse(
            self, TERN_E_URL, name.at,
            "unknown scheme \"%.*s\"; write mqtt://, mqtts://, ws://, wss:// or unix://",
            (int)(tern__url_len(name) < 32 ? tern__url_len(name) : 32), name.at);
    if ((*row)->tls && !has_tls)
        return tern__url_refuse(self, TERN_E_UNSUPPORTED, name.at,
                                "%s:// needs TLS, which is not in this build", (*row)->name);
    return 0;
}

/* What a WebSocket server is asked for. */
static int parse_target(tern__url_parser *self, const char *tail, bool has_user, char **target)
{
    /* It is a password that was not escaped, most likely. */
    if (!has_user && strchr(tail, '@') != NULL && strchr(tail, '?') == NULL)
        return tern__url_refuse(self, TERN_E_URL, tail,
                                "write '/', '?' and '#' in a user name or password as %%2F, %%3F "
                                "and %%23, and '@' in a path as %%40");
    for (const char *at = tail; *at != '\0'; at++) {
        if (*at == '#')
            return tern__url_refuse(self, TERN_E_URL, at, "a fragment; a server's URL has none");
        if ((unsigned char)*at >= 0x80)
            return tern__url_refuse(self, TERN_E_URL, at, "not ASCII; write its bytes as %%XX");
    }
    *target = tern__url_copy(self, "/mqtt", *tail != '/' ? 5 : 0);
    self->out--; /* over the NUL */
    (void)tern__url_copy(self, tail, strlen(tail));
    return 0;
}

/* A path, query or fragment after the host: MQTT over TCP has none of them. */
static int check_tail(const tern__url_parser *self, const char *tail)
{
    if (tail[0] == '/' && tail[1] == '\0') return 0;
    if (strchr(tail, '@') != NULL)
        return tern__url_refuse(
            self, TERN_E_URL, tail,
            "write '/', '?' and '#' in a user name or password as %%2F, %%3F and %%23");
    if (*tail == '/')
        return tern__url_refuse(self, TERN_E_URL, tail,
                                "a path; a server's URL ends with host and port");
    return *tail == '\0' ? 0
                         : tern__url_refuse(self, TERN_E_URL, tail,
                                            "a query or fragment; a server's URL has none");
}

static int parse_tcp(tern__url_parser *self, tern__uri *uri, const scheme_row *row,
                     const char *rest)
{
    const char *tail = rest + strcspn(rest, "/?#");
    bool has_user = memchr(rest, '@', (size_t)(tail - rest)) != NULL;
    int rc =
        row->websocket ? parse_target(self, tail, has_user, &uri->target) : check_tail(self, tail);
    if (rc == 0) rc = tern__url_authority(self, (tern__url_piece){rest, tail}, row->port);
    if (rc != 0) return rc;
    uri->host = self->host;
    uri->port = self->port;
    uri->user = self->user;
    uri->password = self->password;
    uri->display = tern__url_display(self, row->name);
    if (!row->websocket) return 0;
    self->out--; /* over the NUL */
    (void)tern__url_copy(self, uri->target, strcspn(uri->target, "?"));
    return 0;
}

static int parse_unix(tern__url_parser *self, tern__uri *uri, const char *rest)
{
    tern__url_piece path = {rest, rest + strlen(rest)};
    if (*rest == '\0' || strcmp(rest, "/") == 0)
        return tern__url_refuse(self, TERN_E_URL, rest, "no path; write unix:///path");
    if (*rest != '/')
        return tern__url_refuse(self, TERN_E_URL, rest,
                                "a Unix socket's path must be absolute: unix:///path");
    const char *mark = rest + strcspn(rest, "?#");
    if (*mark != '\0')
        return tern__url_refuse(self, TERN_E_URL, mark,
                                "write '?' and '#' in a path as %%3F and %%23");
    int rc = tern__url_decode(self, path, &uri->host);
    if (rc != 0) return rc;
    uri->display = tern__url_copy(self, self->text, strlen(self->text));
    return 0;
}

int tern__uri_parse(const char *text, tern__uri *uri, char *why, size_t why_size)
{
    tern__url_parser self = {.text = text, .why = why, .why_size = why_size};
    const scheme_row *row = NULL;
    const char *rest = text;
    memset(uri, 0, sizeof *uri);
    if (why != NULL && why_size != 0) why[0] = '\0';
    int rc = tern__url_check_bytes(&self);
    if (rc == 0) rc = parse_scheme(&self, &row, &rest);
    if (rc != 0) return rc;
    uri->memory_size = tern__url_room(text);
    uri->memory = tern__calloc(1, uri->memory_size);
    if (uri->memory == NULL) return TERN_E_NOMEM;
    self.out = uri->memory;
    uri->scheme = row->scheme;
    uri->tls = row->tls;
    uri->websocket = row->websocket;
    rc = row->scheme == TERN__SCHEME_UNIX ? parse_unix(&self, uri, rest)
                                          : parse_tcp(&self, uri, row, rest);
    if (rc != 0) tern__uri_deinit(uri);
    return rc;
}

void tern__uri_deinit(tern__uri *uri)
{
    if (uri->memory != NULL) tern__cleanse(uri->memory, uri->memory_size);
    tern__free(uri->memory);
    memset(uri, 0, sizeof *uri);
}
