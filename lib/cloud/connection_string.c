/* Connection strings of Azure IoT Hub: `Key=Value` parts with semicolons between them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cloud/connection_string.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/utf8.h"

/* The keys, in the order of their names in the table. */
typedef enum key_index { HOST, DEVICE, MODULE, KEY, POLICY, SIGNATURE, GATEWAY, X509, KEYS } key_index;

static const char *const names[KEYS] = {"HostName",            "DeviceId",        "ModuleId", "SharedAccessKey", "SharedAccessKeyName",
                                        "SharedAccessSignature", "GatewayHostName", "x509"};

/* Where a value lies in the text; start is NULL where its key is absent. */
typedef struct part {
    const char *start;
    size_t len;
    size_t position; /* of the key, from 1 */
} part;

typedef struct reader {
    const char *text;
    part parts[KEYS];
    char *why;
    size_t size;
} reader;

static int refuse(reader *r, size_t position, const char *key, const char *reason)
{
    if (r->why != NULL && r->size != 0)
        snprintf(r->why, r->size, "position %zu: %s%s%s", position, key, key[0] != '\0' ? ": " : "", reason);
    return TERN_E_INVALID;
}

static int refuse_missing(reader *r, const char *key, const char *reason)
{
    return refuse(r, strlen(r->text) + 1, key, reason);
}

static int refuse_value(reader *r, key_index index, const char *reason)
{
    return refuse(r, r->parts[index].position, names[index], reason);
}

/* A short name of letters and digits cannot be much of a secret that was torn; anything else is not repeated. */
static int refuse_unknown(reader *r, size_t position, const char *key, size_t len)
{
    enum { LONGEST = 24 };
    char shown[LONGEST + 1] = "";
    bool plain = len != 0 && len <= LONGEST;
    for (size_t i = 0; plain && i < len; i++)
        plain = (key[i] >= 'a' && key[i] <= 'z') || (key[i] >= 'A' && key[i] <= 'Z') || (key[i] >= '0' && key[i] <= '9');
    if (plain) memcpy(shown, key, len);
    return refuse(r, position, shown, "not a key of connection strings");
}

/* Takes one part, of `len` characters. */
static int take_part(reader *r, const char *at, size_t len)
{
    size_t position = (size_t)(at - r->text) + 1;
    const char *equals = memchr(at, '=', len);
    if (len == 0) return refuse(r, position, "", "an empty part: two semicolons next to each other");
    if (equals == NULL) return refuse(r, position, "", "no = in this part: Key=Value is meant");
    size_t key_len = (size_t)(equals - at);
    size_t index = 0;
    while (index < KEYS && (strlen(names[index]) != key_len || memcmp(names[index], at, key_len) != 0)) index++;
    if (index == KEYS) return refuse_unknown(r, position, at, key_len);
    if (r->parts[index].start != NULL) return refuse(r, position, names[index], "given twice");
    r->parts[index] = (part){equals + 1, len - key_len - 1, position};
    return len - key_len > 1 ? 0 : refuse(r, position, names[index], "no value");
}

static int take_parts(reader *r)
{
    const char *at = r->text;
    if (*at == '\0') return refuse(r, 1, "", "an empty connection string");
    if (!tern__utf8_valid(at, strlen(at))) return refuse(r, 1, "", "not well-formed UTF-8");
    while (*at != '\0') {
        size_t len = strcspn(at, ";");
        int rc = take_part(r, at, len);
        if (rc != 0) return rc;
        at += len;
        if (*at == ';') at++; /* one at the very end is usual */
    }
    return 0;
}

static bool has(const reader *r, key_index index)
{
    return r->parts[index].start != NULL;
}

/* Characters of DNS names and IP addresses; what else would end up in a URL. */
static bool is_host(const part *value)
{
    for (size_t i = 0; i < value->len; i++) {
        char c = value->start[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!fine) return false;
    }
    return value->len <= 253;
}

/* What a topic name, a user name and a token can hold between their own characters. */
static const char *wrong_id(const part *value)
{
    if (value->len > 128) return "longer than 128 characters";
    for (size_t i = 0; i < value->len; i++) {
        unsigned char c = (unsigned char)value->start[i];
        if (c <= ' ' || c >= 0x7F) return "has a character that is no visible ASCII";
        if (strchr("/+#?&", c) != NULL) return "has one of / + # ? &, which no topic or user name can carry here";
    }
    return NULL;
}

static int check_names(reader *r)
{
    if (!has(r, HOST)) return refuse_missing(r, names[HOST], "missing");
    if (!has(r, DEVICE)) return refuse_missing(r, names[DEVICE], "missing");
    if (!is_host(&r->parts[HOST])) return refuse_value(r, HOST, "not a host name");
    if (has(r, GATEWAY) && !is_host(&r->parts[GATEWAY])) return refuse_value(r, GATEWAY, "not a host name");
    const char *trouble = wrong_id(&r->parts[DEVICE]);
    if (trouble != NULL) return refuse_value(r, DEVICE, trouble);
    trouble = has(r, MODULE) ? wrong_id(&r->parts[MODULE]) : NULL;
    return trouble != NULL ? refuse_value(r, MODULE, trouble) : 0;
}

/* One way to say who we are, and not two. */
static int check_ways(reader *r)
{
    static const char signature[] = "SharedAccessSignature ";
    const part *x509 = &r->parts[X509];
    const part *given = &r->parts[SIGNATURE];
    if (!has(r, KEY) && !has(r, SIGNATURE) && !has(r, X509))
        return refuse_missing(r, names[KEY], "missing, and so are SharedAccessSignature and x509=true");
    if (has(r, KEY) && has(r, SIGNATURE)) return refuse_value(r, SIGNATURE, "not together with SharedAccessKey");
    if (has(r, X509) && (has(r, KEY) || has(r, SIGNATURE)))
        return refuse_value(r, X509, "not together with SharedAccessKey or SharedAccessSignature");
    if (has(r, POLICY) && !has(r, KEY)) return refuse_value(r, POLICY, "needs SharedAccessKey");
    if (has(r, X509) && (x509->len != 4 || (memcmp(x509->start, "true", 4) != 0 && memcmp(x509->start, "True", 4) != 0)))
        return refuse_value(r, X509, "true is the one value that it has");
    if (has(r, SIGNATURE) && (given->len <= sizeof signature || memcmp(given->start, signature, sizeof signature - 1) != 0))
        return refuse_value(r, SIGNATURE, "does not begin with \"SharedAccessSignature \"");
    return 0;
}

static int copy(const reader *r, key_index index, char **to)
{
    const part *value = &r->parts[index];
    if (value->start == NULL) return 0;
    *to = tern__memdup(value->start, value->len);
    return *to != NULL ? 0 : TERN_E_NOMEM;
}

static int decode_key(reader *r, tern__connection_string *parsed)
{
    const part *value = &r->parts[KEY];
    if (value->start == NULL) return 0;
    size_t bad = 0;
    parsed->key = tern__calloc(1, TERN__BASE64_BYTES(value->len) + 3);
    if (parsed->key == NULL) return TERN_E_NOMEM;
    bool fine = tern__base64_decode(value->start, value->len, parsed->key, &parsed->key_length, &bad);
    if (!fine) parsed->key_length = TERN__BASE64_BYTES(value->len); /* all of it is to be cleansed */
    if (fine && parsed->key_length != 0) return 0;
    return refuse(r, (size_t)(value->start - r->text) + 1 + bad, names[KEY], "not base64");
}

static int take_values(reader *r, tern__connection_string *parsed)
{
    int rc = copy(r, HOST, &parsed->host);
    if (rc == 0) rc = copy(r, DEVICE, &parsed->device);
    if (rc == 0) rc = copy(r, MODULE, &parsed->module);
    if (rc == 0) rc = copy(r, GATEWAY, &parsed->gateway);
    if (rc == 0) rc = copy(r, POLICY, &parsed->policy);
    if (rc == 0) rc = copy(r, SIGNATURE, &parsed->signature);
    parsed->x509 = has(r, X509);
    return rc != 0 ? rc : decode_key(r, parsed);
}

int tern__connection_string_parse(const char *text, tern__connection_string *parsed, char *why, size_t size)
{
    memset(parsed, 0, sizeof *parsed);
    if (why != NULL && size != 0) why[0] = '\0';
    reader r = {.text = text, .why = why, .size = size};
    int rc = take_parts(&r);
    if (rc == 0) rc = check_names(&r);
    if (rc == 0) rc = check_ways(&r);
    if (rc == 0) rc = take_values(&r, parsed);
    if (rc != 0) tern__connection_string_deinit(parsed);
    return rc;
}

void tern__connection_string_deinit(tern__connection_string *parsed)
{
    if (parsed->key != NULL) tern__cleanse(parsed->key, parsed->key_length);
    if (parsed->signature != NULL) tern__cleanse(parsed->signature, strlen(parsed->signature));
    tern__free(parsed->host);
    tern__free(parsed->device);
    tern__free(parsed->module);
    tern__free(parsed->gateway);
    tern__free(parsed->policy);
    tern__free(parsed->signature);
    tern__free(parsed->key);
    memset(parsed, 0, sizeof *parsed);
}
