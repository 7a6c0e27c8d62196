/* Which proxy stands in between.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/proxy.h"

#include <string.h>
#include <strings.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "platform/ip.h"
#include "transport/url.h"

enum { SOCKS_TEXT_MAX = 255, ENTRY_MAX = 300 };

typedef struct kind_row {
    const char *name;
    tern__proxy_kind kind;
    uint16_t port;
} kind_row;

/* ---- URLs ---- */

static int find_kind(const tern__url_parser *self, tern__url_piece name, const kind_row **row)
{
    static const kind_row kinds[] = {
        {"http", TERN__PROXY_HTTP, 80},
        {"socks5", TERN__PROXY_SOCKS5, 1080},
        {"socks5h", TERN__PROXY_SOCKS5, 1080},
    };
    const size_t len = tern__url_len(name);
    *row = &kinds[0];
    if (name.end == NULL) return 0; /* no scheme */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        *row = &kinds[i];
        if (strlen(kinds[i].name) == len && strncasecmp(kinds[i].name, name.at, len) == 0) return 0;
    }
    if (len == 5 && strncasecmp(name.at, "https", len) == 0)
        return tern__url_refuse(self, TERN_E_UNSUPPORTED, name.at,
                                "TLS to the proxy itself is not in this version; write http://");
    return tern__url_refuse(self, TERN_E_URL, name.at,
                            "unknown kind of proxy \"%.*s\"; write http:// or socks5://",
                            (int)(len < 32 ? len : 32), name.at);
}

static int check_tail(const tern__url_parser *self, const char *tail)
{
    if (*tail == '\0' || strcmp(tail, "/") == 0) return 0;
    if (strchr(tail, '@') != NULL)
        return tern__url_refuse(
            self, TERN_E_URL, tail,
            "write '/', '?' and '#' in a user name or password as %%2F, %%3F and %%23");
    return tern__url_refuse(self, TERN_E_URL, tail, "a proxy's URL ends with host and port");
}

static bool has_control(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) return true;
    return false;
}

/* What the protocols can say: RFC 7617 section 2, RFC 1929 section 2. */
static int check_credentials(const tern__url_parser *self, const char *at, tern__proxy_kind kind)
{
    const char *user = self->user;
    const char *password = self->password;
    if (user == NULL) return 0;
    if (kind == TERN__PROXY_HTTP && strchr(user, ':') != NULL)
        return tern__url_refuse(self, TERN_E_URL, at,
                                "a ':' in the user name, which HTTP cannot tell from the password");
    if (has_control(user) || has_control(password))
        return tern__url_refuse(self, TERN_E_URL, at,
                                "a control character in the user name or password");
    if (kind != TERN__PROXY_SOCKS5) return 0;
    if (*user == '\0')
        return tern__url_refuse(self, TERN_E_URL, at, "an empty user name, which SOCKS5 forbids");
    if (strlen(user) > SOCKS_TEXT_MAX || (password != NULL && strlen(password) > SOCKS_TEXT_MAX))
        return tern__url_refuse(self, TERN_E_URL, at,
                                "a user name or password of more than 255 bytes");
    return 0;
}

static int parse_parts(tern__url_parser *self, tern__proxy *proxy, const kind_row *row,
                       const char *rest)
{
    const char *tail = rest + strcspn(rest, "/?#");
    int rc = check_tail(self, tail);
    if (rc == 0) rc = tern__url_authority(self, (tern__url_piece){rest, tail}, row->port);
    if (rc == 0) rc = check_credentials(self, rest, row->kind);
    if (rc != 0) return rc;
    proxy->kind = row->kind;
    proxy->host = self->host;
    proxy->port = self->port;
    proxy->user = self->user;
    proxy->password = self->password;
    proxy->display = tern__url_display(self, row->name);
    return 0;
}

int tern__proxy_parse(const char *text, tern__proxy *proxy, char *why, size_t why_size)
{
    tern__url_parser self = {.text = text, .why = why, .why_size = why_size};
    tern__url_piece name;
    const kind_row *row = NULL;
    const char *rest = NULL;
    memset(proxy, 0, sizeof *proxy);
    if (why != NULL && why_size != 0) why[0] = '\0';
    if (*text == '\0')
        return tern__url_refuse(&self, TERN_E_URL, text, "an empty URL; write http://host:port");
    int rc = tern__url_check_bytes(&self);
    if (rc == 0) rc = tern__url_scheme(&self, "http://host:port", &name, &rest);
    if (rc == 0) rc = find_kind(&self, name, &row);
    if (rc != 0) return rc;
    proxy->memory_size = tern__url_room(text);
    proxy->memory = tern__calloc(1, proxy->memory_size);
    if (proxy->memory == NULL) return TERN_E_NOMEM;
    self.out = proxy->memory;
    rc = parse_parts(&self, proxy, row, rest != NULL ? rest : text);
    if (rc != 0) tern__proxy_deinit(proxy);
    return rc;
}

void tern__proxy_deinit(tern__proxy *proxy)
{
    if (proxy->memory != NULL) tern__cleanse(proxy->memory, proxy->memory_size);
    tern__free(proxy->memory);
    memset(proxy, 0, sizeof *proxy);
}

/* ---- the environment ---- */

/* An address, or the first bits of one. */
typedef struct network {
    uint8_t bytes[TERN__IPV6_LEN];
    size_t len; /* 0: no address */
} network;

static network parse_address(const char *text)
{
    char plain[ENTRY_MAX];
    network address = {{0}, 0};
    size_t len = strcspn(text, "%"); /* a zone */
    if (len >= sizeof plain) return address;
    memcpy(plain, text, len);
    plain[len] = '\0';
    address.len = tern__ip_parse(plain, address.bytes);
    return address;
}

static bool same_bits(const network *one, const network *other, size_t bits)
{
    if (one->len != other->len || bits > one->len * 8) return false;
    if (memcmp(one->bytes, other->bytes, bits / 8) != 0) return false;
    if (bits % 8 == 0) return true;
    unsigned different = one->bytes[bits / 8] ^ (unsigned)other->bytes[bits / 8];
    return different >> (8 - bits % 8) == 0;
}

/* A number up to 65535 and nothing else; -1 where it is none. */
static long parse_number(const char *text)
{
    long number = 0;
    if (*text == '\0') return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') return -1;
        number = number * 10 + (*text - '0');
        if (number > UINT16_MAX) return -1;
    }
    return number;
}

/* Takes the port off "name:port" or "[address]:port", and the brackets; false where it is another
 * port. */
static bool take_port(char **entry, uint16_t port)
{
    char *colon = strchr(*entry, ':');
    if (**entry == '[') {
        char *bracket = strchr(*entry, ']');
        if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':')) return false;
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
        *bracket = '\0';
        ++*entry;
    } else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        return true; /* an IPv6 address */
    }
    if (colon == NULL) return true;
    *colon = '\0';
    return parse_number(colon + 1) == (long)port;
}

static bool name_matches(const char *entry, const char *host)
{
    if (entry[0] == '*' && entry[1] == '.') entry++;
    if (*entry == '.') entry++;
    size_t len = strlen(entry);
    size_t host_len = strlen(host);
    if (len != 0 && entry[len - 1] == '.') len--;
    if (host_len != 0 && host[host_len - 1] == '.') host_len--;
    if (len == 0 || len > host_len) return false;
    if (strncasecmp(host + host_len - len, entry, len) != 0) return false;
    return len == host_len || host[host_len - len - 1] == '.';
}

/* entry is a copy that may be cut. */
static bool entry_matches(char *entry, const char *host, uint16_t port)
{
    if (strcmp(entry, "*") == 0) return true;
    const network address = parse_address(host);
    char *slash = strchr(entry, '/');
    if (slash != NULL) {
        *slash = '\0';
        const network base = parse_address(entry);
        long bits = parse_number(slash + 1);
        return base.len != 0 && bits >= 0 && same_bits(&address, &base, (size_t)bits);
    }
    if (!take_port(&entry, port)) return false;
    if (address.len == 0) return name_matches(entry, host);
    const network wanted = parse_address(entry);
    return wanted.len != 0 && same_bits(&address, &wanted, wanted.len * 8);
}

bool tern__proxy_exempts(const char *no_proxy, const char *host, uint16_t port)
{
    static const char dividers[] = ", \t\r\n";
    if (no_proxy == NULL) return false;
    for (const char *at = no_proxy; *at != '\0';) {
        char entry[ENTRY_MAX];
        size_t len = strcspn(at, dividers);
        if (len != 0 && len < sizeof entry) {
            memcpy(entry, at, len);
            entry[len] = '\0';
            if (entry_matches(entry, host, port)) return true;
        }
        at += len;
        at += strspn(at, dividers);
    }
    return false;
}

const char *tern__proxy_choose(const tern__proxy_environment *environment, const char *host,
                               uint16_t port)
{
    const char *url = environment->https_proxy;
    if (url == NULL || *url == '\0') url = environment->all_proxy;
    if (url == NULL || *url == '\0') return NULL;
    return tern__proxy_exempts(environment->no_proxy, host, port) ? NULL : url;
}
