/* Server URLs. Every refusal says where (from 1) and why; what was written there is never repeated,
 * since it may be a piece of a password. SPDX-License-Identifier: Apache-2.0 */
#include "transport/uri.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "platform/socket.h"

enum { HOST_MAX = 253 };

/* A parse under way: the pieces of text, and where their decoded forms go. */
typedef struct parser {
    const char *text;
    tern__uri *uri;
    char *out; /* the next free byte of uri->memory */
    char *why;
    size_t why_size;
} parser;

/* A piece of the text, `end` exclusive. */
typedef struct piece {
    const char *at;
    const char *end;
} piece;

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

static int refuse(const parser *self, int error, const char *at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(const parser *self, int error, const char *at, const char *format, ...)
{
    char reason[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (self->why != NULL && self->why_size != 0)
        snprintf(self->why, self->why_size, "position %zu: %s", (size_t)(at - self->text) + 1,
                 reason);
    return error;
}

static size_t piece_len(piece p)
{
    return (size_t)(p.end - p.at);
}

static const char *find(piece p, char wanted)
{
    return piece_len(p) != 0 ? memchr(p.at, wanted, piece_len(p)) : NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ---- writing the parts ---- */

static char *copy(parser *self, const char *text, size_t len)
{
    char *start = self->out;
    if (len != 0) memcpy(start, text, len);
    start[len] = '\0';
    self->out += len + 1;
    return start;
}

/* Resolves percent escapes: 0, or TERN_E_URL. */
static int decode(parser *self, piece p, char **decoded)
{
    *decoded = self->out;
    while (p.at < p.end) {
        char byte = *p.at;
        if (byte == '%') {
            int high = piece_len(p) > 2 ? hex(p.at[1]) : -1;
            int low = piece_len(p) > 2 ? hex(p.at[2]) : -1;
            if (high < 0 || low < 0)
                return refuse(self, TERN_E_URL, p.at,
                              "two hexadecimal digits must follow '%%'; write '%%' itself as %%25");
            byte = (char)(high * 16 + low);
            if (byte == '\0')
                return refuse(self, TERN_E_URL, p.at, "a NUL byte (%%00) is not possible here");
            p.at += 2;
        }
        *self->out++ = byte;
        p.at++;
    }
    *self->out++ = '\0';
    return 0;
}

/* ---- the parts ---- */

static int check_bytes(const parser *self)
{
    for (const char *at = self->text; *at != '\0'; at++) {
        if (*at == ' ') return refuse(self, TERN_E_URL, at, "a space; write it as %%20");
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            return refuse(self, TERN_E_URL, at, "a control character (0x%02X)",
                          (unsigned)(unsigned char)*at);
    }
    return 0;
}

static int refuse_without_scheme(const parser *self)
{
    const char *text = self->text;
    if (*text == '\0')
        return refuse(self, TERN_E_URL, text, "an empty URL; write mqtt://host or unix:///path");
    if (*text == '/')
        return refuse(self, TERN_E_URL, text, "no scheme; write unix:///path for a Unix socket");
    size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    if (text[plain] == '\0' && plain <= 64)
        return refuse(self, TERN_E_URL, text, "no scheme; write mqtt://%s", text);
    return refuse(self, TERN_E_URL, text, "no scheme; write mqtt://host:port");
}

static const scheme_row *find_scheme(piece p)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strlen(schemes[i].name) == piece_len(p) &&
            strncasecmp(schemes[i].name, p.at, piece_len(p)) == 0)
            return &schemes[i];
    return NULL;
}

/* The scheme's row; *rest is what follows "://". */
static int parse_scheme(const parser *self, const scheme_row **row, const char **rest)
{
    const char *mark = strstr(self->text, "://");
    if (mark == NULL) return refuse_without_scheme(self);
    piece name = {self->text, mark};
    for (const char *at = name.at; at < name.end; at++)
        if (!is_letter(*at) && (at == name.at || (!is_digit(*at) && strchr("+.-", *at) == NULL)))
            return refuse(self, TERN_E_URL, at,
                          "not a character of a scheme; a URL begins like mqtt://host");
    if (name.at == name.end)
        return refuse(self, TERN_E_URL, name.at, "no scheme before ://; write mqtt://host");
    *row = find_scheme(name);
    *rest = mark + 3;
    if (*row == NULL)
        return refuse(self, TERN_E_URL, name.at,
                      "unknown scheme \"%.*s\"; write mqtt://, mqtts://, ws://, wss:// or unix://",
                      (int)(piece_len(name) < 32 ? piece_len(name) : 32), name.at);
    if ((*row)->tls && !has_tls)
        return refuse(self, TERN_E_UNSUPPORTED, name.at,
                      "%s:// needs TLS, which is not in this build", (*row)->name);
    return 0;
}

static int parse_user_info(parser *self, piece p)
{
    if (piece_len(p) == 0) return 0; /* "mqtt://@host" */
    const char *colon = find(p, ':');
    piece user = {p.at, colon != NULL ? colon : p.end};
    int rc = decode(self, user, &self->uri->user);
    if (rc != 0) return rc;
    if (!tern__utf8_valid(self->uri->user, strlen(self->uri->user)))
        return refuse(self, TERN_E_URL, user.at, "the user name is not UTF-8");
    return colon != NULL ? decode(self, (piece){colon + 1, p.end}, &self->uri->password) : 0;
}

static int parse_port(const parser *self, piece p)
{
    unsigned long port = 0;
    if (piece_len(p) == 0) return refuse(self, TERN_E_URL, p.at, "no port after ':'");
    for (const char *at = p.at; at < p.end; at++) {
        if (*at == ':')
            return refuse(self, TERN_E_URL, at,
                          "a second ':'; an IPv6 address is written in brackets: [::1]:1883");
        if (!is_digit(*at))
            return refuse(self, TERN_E_URL, at, "not a digit; a port is a number from 1 to 65535");
        port = port * 10 + (unsigned long)(*at - '0');
        if (port > UINT16_MAX) return refuse(self, TERN_E_URL, p.at, "the port is above 65535");
    }
    if (port == 0) return refuse(self, TERN_E_URL, p.at, "port 0 cannot be connected to");
    self->uri->port = (uint16_t)port;
    return 0;
}

/* The zone of an address, "eth0" of [fe80::1%25eth0] or of [fe80::1%eth0]. */
static int parse_zone(parser *self, const char *percent, piece p)
{
    piece zone = {percent + 1, p.end};
    if (piece_len(zone) > 2 && zone.at[0] == '2' && zone.at[1] == '5') zone.at += 2; /* RFC 6874 */
    if (piece_len(zone) == 0) return refuse(self, TERN_E_URL, percent, "no zone after '%%'");
    for (const char *at = zone.at; at < zone.end; at++)
        if (!is_letter(*at) && !is_digit(*at) && strchr("-._~", *at) == NULL)
            return refuse(self, TERN_E_URL, at, "not a character of a zone's name");
    self->out[-1] = '%'; /* over the address's NUL */
    copy(self, zone.at, piece_len(zone));
    return 0;
}

/* p is what stands within the brackets. */
static int parse_ipv6(parser *self, piece p)
{
    const char *percent = find(p, '%');
    piece address = {p.at, percent != NULL ? percent : p.end};
    self->uri->host = copy(self, address.at, piece_len(address));
    if (!tern__address_is_ipv6(self->uri->host))
        return refuse(self, TERN_E_URL, p.at, "not an IPv6 address in the brackets");
    return percent != NULL ? parse_zone(self, percent, p) : 0;
}

static int parse_name(parser *self, piece p)
{
    if (piece_len(p) == 0) return refuse(self, TERN_E_URL, p.at, "no host");
    if (piece_len(p) > HOST_MAX)
        return refuse(self, TERN_E_URL, p.at, "the host is longer than %d bytes", HOST_MAX);
    for (const char *at = p.at; at < p.end; at++) {
        if ((unsigned char)*at >= 0x80)
            return refuse(self, TERN_E_URL, at,
                          "not ASCII; write an international name in its xn-- form");
        if (!is_letter(*at) && !is_digit(*at) && strchr("-._", *at) == NULL)
            return refuse(self, TERN_E_URL, at, "not a character of a host name");
    }
    self->uri->host = copy(self, p.at, piece_len(p));
    return 0;
}

/* host[:port], where the host may be in brackets. */
static int parse_host_port(parser *self, piece p, uint16_t default_port)
{
    const char *after; /* the ':' before the port, or the end */
    int rc;
    if (p.at < p.end && *p.at == '[') {
        const char *bracket = find(p, ']');
        if (bracket == NULL) return refuse(self, TERN_E_URL, p.at, "no ']' for this '['");
        after = bracket + 1;
        if (after < p.end && *after != ':')
            return refuse(self, TERN_E_URL, after, "only a ':' and the port may follow the ']'");
        rc = parse_ipv6(self, (piece){p.at + 1, bracket});
    } else {
        const char *colon = find(p, ':');
        after = colon != NULL ? colon : p.end;
        rc = parse_name(self, (piece){p.at, after});
    }
    self->uri->port = default_port;
    return rc == 0 && after < p.end ? parse_port(self, (piece){after + 1, p.end}) : rc;
}

/* What a WebSocket server is asked for. */
static int parse_target(parser *self, const char *tail, bool has_user)
{
    /* It is a password that was not escaped, most likely. */
    if (!has_user && strchr(tail, '@') != NULL && strchr(tail, '?') == NULL)
        return refuse(self, TERN_E_URL, tail,
                      "write '/', '?' and '#' in a user name or password as %%2F, %%3F and %%23, and '@' in a path as %%40");
    for (const char *at = tail; *at != '\0'; at++) {
        if (*at == '#') return refuse(self, TERN_E_URL, at, "a fragment; a server's URL has none");
        if ((unsigned char)*at >= 0x80) return refuse(self, TERN_E_URL, at, "not ASCII; write its bytes as %%XX");
    }
    self->uri->target = copy(self, "/mqtt", *tail != '/' ? 5 : 0);
    self->out--; /* over the NUL */
    (void)copy(self, tail, strlen(tail));
    return 0;
}

/* A path, query or fragment after the host: MQTT over TCP has none of them. */
static int check_tail(const parser *self, const char *tail)
{
    if (tail[0] == '/' && tail[1] == '\0') return 0;
    if (strchr(tail, '@') != NULL)
        return refuse(self, TERN_E_URL, tail,
                      "write '/', '?' and '#' in a user name or password as %%2F, %%3F and %%23");
    if (*tail == '/')
        return refuse(self, TERN_E_URL, tail, "a path; a server's URL ends with host and port");
    return *tail == '\0'
               ? 0
               : refuse(self, TERN_E_URL, tail, "a query or fragment; a server's URL has none");
}

static int parse_tcp(parser *self, const scheme_row *row, const char *rest)
{
    const char *tail = rest + strcspn(rest, "/?#");
    piece authority = {rest, tail};
    const char *at_sign = NULL;
    for (const char *at = rest; at < tail; at++)
        if (*at == '@') at_sign = at;
    int rc = row->websocket ? parse_target(self, tail, at_sign != NULL) : check_tail(self, tail);
    if (rc == 0 && at_sign != NULL) rc = parse_user_info(self, (piece){rest, at_sign});
    if (at_sign != NULL) authority.at = at_sign + 1;
    if (rc == 0) rc = parse_host_port(self, authority, row->port);
    if (rc != 0) return rc;
    bool ipv6 = strchr(self->uri->host, ':') != NULL;
    size_t used = (size_t)(self->out - (char *)self->uri->memory);
    self->uri->display = self->out;
    const char *target = row->websocket ? self->uri->target : "";
    snprintf(self->out, self->uri->memory_size - used, "%s://%s%s%s:%u%.*s", row->name, ipv6 ? "[" : "",
             self->uri->host, ipv6 ? "]" : "", (unsigned)self->uri->port, (int)strcspn(target, "?"), target);
    return 0;
}

static int parse_unix(parser *self, const char *rest)
{
    piece path = {rest, rest + strlen(rest)};
    if (*rest == '\0' || strcmp(rest, "/") == 0)
        return refuse(self, TERN_E_URL, rest, "no path; write unix:///path");
    if (*rest != '/')
        return refuse(self, TERN_E_URL, rest,
                      "a Unix socket's path must be absolute: unix:///path");
    const char *mark = rest + strcspn(rest, "?#");
    if (*mark != '\0')
        return refuse(self, TERN_E_URL, mark, "write '?' and '#' in a path as %%3F and %%23");
    int rc = decode(self, path, &self->uri->host);
    if (rc != 0) return rc;
    self->uri->display = copy(self, self->text, strlen(self->text));
    return 0;
}

int tern__uri_parse(const char *text, tern__uri *uri, char *why, size_t why_size)
{
    parser self = {text, uri, NULL, why, why_size};
    const scheme_row *row = NULL;
    const char *rest = text;
    memset(uri, 0, sizeof *uri);
    if (why != NULL && why_size != 0) why[0] = '\0';
    int rc = check_bytes(&self);
    if (rc == 0) rc = parse_scheme(&self, &row, &rest);
    if (rc != 0) return rc;
    /* Parts and display together: each byte at most three times, with the longest scheme, port and NULs.
     */
    uri->memory_size = 3 * strlen(text) + 64;
    uri->memory = tern__calloc(1, uri->memory_size);
    if (uri->memory == NULL) return TERN_E_NOMEM;
    self.out = uri->memory;
    uri->scheme = row->scheme;
    uri->tls = row->tls;
    uri->websocket = row->websocket;
    rc = row->scheme == TERN__SCHEME_UNIX ? parse_unix(&self, rest) : parse_tcp(&self, row, rest);
    if (rc != 0) tern__uri_deinit(uri);
    return rc;
}

void tern__uri_deinit(tern__uri *uri)
{
    if (uri->memory != NULL) tern__cleanse(uri->memory, uri->memory_size);
    tern__free(uri->memory);
    memset(uri, 0, sizeof *uri);
}
