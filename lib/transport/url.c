/* What every URL is made of.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/url.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/utf8.h"
#include "platform/ip.h"

enum { HOST_MAX = 253 };

/* Parts and display together: each byte at most three times, with the longest scheme, port and
 * NULs. */
size_t tern__url_room(const char *text)
{
    return 3 * strlen(text) + 64;
}

int tern__url_refuse(const tern__url_parser *self, int error, const char *at, const char *format,
                     ...)
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

static const char *find(tern__url_piece p, char wanted)
{
    return p.at < p.end ? memchr(p.at, wanted, tern__url_len(p)) : NULL; /* as GCC 14 sees that no length is negative */
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

char *tern__url_copy(tern__url_parser *self, const char *text, size_t len)
{
    char *start = self->out;
    if (len != 0) memcpy(start, text, len);
    start[len] = '\0';
    self->out += len + 1;
    return start;
}

/* Resolves percent escapes: 0, or TERN_E_URL. */
int tern__url_decode(tern__url_parser *self, tern__url_piece p, char **decoded)
{
    *decoded = self->out;
    while (p.at < p.end) {
        char byte = *p.at;
        if (byte == '%') {
            int high = tern__url_len(p) > 2 ? hex(p.at[1]) : -1;
            int low = tern__url_len(p) > 2 ? hex(p.at[2]) : -1;
            if (high < 0 || low < 0)
                return tern__url_refuse(
                    self, TERN_E_URL, p.at,
                    "two hexadecimal digits must follow '%%'; write '%%' itself as %%25");
            byte = (char)(high * 16 + low);
            if (byte == '\0')
                return tern__url_refuse(self, TERN_E_URL, p.at,
                                        "a NUL byte (%%00) is not possible here");
            p.at += 2;
        }
        *self->out++ = byte;
        p.at++;
    }
    *self->out++ = '\0';
    return 0;
}

/* ---- the parts ---- */

int tern__url_check_bytes(const tern__url_parser *self)
{
    for (const char *at = self->text; *at != '\0'; at++) {
        if (*at == ' ') return tern__url_refuse(self, TERN_E_URL, at, "a space; write it as %%20");
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            return tern__url_refuse(self, TERN_E_URL, at, "a control character (0x%02X)",
                                    (unsigned)(unsigned char)*at);
    }
    return 0;
}

int tern__url_scheme(const tern__url_parser *self, const char *example, tern__url_piece *name,
                     const char **rest)
{
    const char *mark = strstr(self->text, "://");
    *name = (tern__url_piece){self->text, mark};
    *rest = mark != NULL ? mark + 3 : NULL;
    if (mark == NULL) return 0;
    for (const char *at = name->at; at < name->end; at++)
        if (!is_letter(*at) && (at == name->at || (!is_digit(*at) && strchr("+.-", *at) == NULL)))
            return tern__url_refuse(self, TERN_E_URL, at,
                                    "not a character of a scheme; a URL begins like %s", example);
    if (name->at == name->end)
        return tern__url_refuse(self, TERN_E_URL, name->at, "no scheme before ://; write %s",
                                example);
    return 0;
}

static int parse_user_info(tern__url_parser *self, tern__url_piece p)
{
    if (tern__url_len(p) == 0) return 0; /* "mqtt://@host" */
    const char *colon = find(p, ':');
    tern__url_piece user = {p.at, colon != NULL ? colon : p.end};
    int rc = tern__url_decode(self, user, &self->user);
    if (rc != 0) return rc;
    if (!tern__utf8_valid(self->user, strlen(self->user)))
        return tern__url_refuse(self, TERN_E_URL, user.at, "the user name is not UTF-8");
    return colon != NULL
               ? tern__url_decode(self, (tern__url_piece){colon + 1, p.end}, &self->password)
               : 0;
}

static int parse_port(tern__url_parser *self, tern__url_piece p)
{
    unsigned long port = 0;
    if (tern__url_len(p) == 0) return tern__url_refuse(self, TERN_E_URL, p.at, "no port after ':'");
    for (const char *at = p.at; at < p.end; at++) {
        if (*at == ':')
            return tern__url_refuse(
                self, TERN_E_URL, at,
                "a second ':'; an IPv6 address is written in brackets, as [::1]");
        if (!is_digit(*at))
            return tern__url_refuse(self, TERN_E_URL, at,
                                    "not a digit; a port is a number from 1 to 65535");
        port = port * 10 + (unsigned long)(*at - '0');
        if (port > UINT16_MAX)
            return tern__url_refuse(self, TERN_E_URL, p.at, "the port is above 65535");
    }
    if (port == 0) return tern__url_refuse(self, TERN_E_URL, p.at, "port 0 cannot be connected to");
    self->port = (uint16_t)port;
    return 0;
}

/* The zone of an address, "eth0" of [fe80::1%25eth0] or of [fe80::1%eth0]. */
static int parse_zone(tern__url_parser *self, const char *percent, tern__url_piece p)
{
    tern__url_piece zone = {percent + 1, p.end};
    if (tern__url_len(zone) > 2 && zone.at[0] == '2' && zone.at[1] == '5')
        zone.at += 2; /* RFC 6874 */
    if (tern__url_len(zone) == 0)
        return tern__url_refuse(self, TERN_E_URL, percent, "no zone after '%%'");
    for (const char *at = zone.at; at < zone.end; at++)
        if (!is_letter(*at) && !is_digit(*at) && strchr("-._~", *at) == NULL)
            return tern__url_refuse(self, TERN_E_URL, at, "not a character of a zone's name");
    self->out[-1] = '%'; /* over the address's NUL */
    tern__url_copy(self, zone.at, tern__url_len(zone));
    return 0;
}

/* p is what stands within the brackets. */
static int parse_ipv6(tern__url_parser *self, tern__url_piece p)
{
    const char *percent = find(p, '%');
    tern__url_piece address = {p.at, percent != NULL ? percent : p.end};
    self->host = tern__url_copy(self, address.at, tern__url_len(address));
    uint8_t bytes[TERN__IPV6_LEN];
    if (tern__ip_parse(self->host, bytes) != TERN__IPV6_LEN)
        return tern__url_refuse(self, TERN_E_URL, p.at, "not an IPv6 address in the brackets");
    return percent != NULL ? parse_zone(self, percent, p) : 0;
}

static int parse_name(tern__url_parser *self, tern__url_piece p)
{
    if (tern__url_len(p) == 0) return tern__url_refuse(self, TERN_E_URL, p.at, "no host");
    if (tern__url_len(p) > HOST_MAX)
        return tern__url_refuse(self, TERN_E_URL, p.at, "the host is longer than %d bytes",
                                HOST_MAX);
    for (const char *at = p.at; at < p.end; at++) {
        if ((unsigned char)*at >= 0x80)
            return tern__url_refuse(self, TERN_E_URL, at,
                                    "not ASCII; write an international name in its xn-- form");
        if (!is_letter(*at) && !is_digit(*at) && strchr("-._", *at) == NULL)
            return tern__url_refuse(self, TERN_E_URL, at, "not a character of a host name");
    }
    self->host = tern__url_copy(self, p.at, tern__url_len(p));
    return 0;
}

/* host[:port], where the host may be in brackets. */
static int parse_host_port(tern__url_parser *self, tern__url_piece p, uint16_t default_port)
{
    const char *after; /* the ':' before the port, or the end */
    int rc;
    if (p.at < p.end && *p.at == '[') {
        const char *bracket = find(p, ']');
        if (bracket == NULL) return tern__url_refuse(self, TERN_E_URL, p.at, "no ']' for this '['");
        after = bracket + 1;
        if (after < p.end && *after != ':')
            return tern__url_refuse(self, TERN_E_URL, after,
                                    "only a ':' and the port may follow the ']'");
        rc = parse_ipv6(self, (tern__url_piece){p.at + 1, bracket});
    } else {
        const char *colon = find(p, ':');
        after = colon != NULL ? colon : p.end;
        rc = parse_name(self, (tern__url_piece){p.at, after});
    }
    self->port = default_port;
    return rc == 0 && after < p.end ? parse_port(self, (tern__url_piece){after + 1, p.end}) : rc;
}

int tern__url_authority(tern__url_parser *self, tern__url_piece authority, uint16_t default_port)
{
    const char *at_sign = NULL;
    int rc = 0;
    for (const char *at = authority.at; at < authority.end; at++)
        if (*at == '@') at_sign = at;
    if (at_sign != NULL) {
        rc = parse_user_info(self, (tern__url_piece){authority.at, at_sign});
        authority.at = at_sign + 1;
    }
    return rc == 0 ? parse_host_port(self, authority, default_port) : rc;
}

char *tern__url_display(tern__url_parser *self, const char *scheme)
{
    bool ipv6 = strchr(self->host, ':') != NULL;
    char *display = self->out;
    size_t size = strlen(scheme) + strlen(self->host) + sizeof "://[]:65535";
    self->out += snprintf(display, size, "%s://%s%s%s:%u", scheme, ipv6 ? "[" : "", self->host,
                          ipv6 ? "]" : "", (unsigned)self->port) +
                 1;
    return display;
}
