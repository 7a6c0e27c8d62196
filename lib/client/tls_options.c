/* TLS options: checked as they are set.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/tls_options.h"

#include <string.h>

#include "base/alloc.h"

int tern_tls_options_new(tern_tls_options **options)
{
    if (options == NULL) return TERN_E_INVALID;
    *options = NULL;
#ifdef TERN_WITH_TLS
    tern_tls_options *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    tern__tls_config_init(&made->config);
    *options = made;
    return 0;
#else
    return TERN_E_UNSUPPORTED;
#endif
}

void tern_tls_options_free(tern_tls_options *options)
{
    if (options == NULL) return;
    tern__tls_config_deinit(&options->config);
    tern__free(options);
}

/* ---- texts and paths ---- */

static int set_text(tern_tls_options *options, int which, const char *text)
{
    return options != NULL ? tern__tls_config_set_text(&options->config, which, text) : TERN_E_INVALID;
}

static int add_path(tern_tls_options *options, int which, const char *path)
{
    if (options == NULL || path == NULL || path[0] == '\0') return TERN_E_INVALID;
    return tern__tls_config_add_path(&options->config, which, path);
}

int tern_tls_options_add_ca_file(tern_tls_options *options, const char *path)
{
    return add_path(options, TERN__TLS_CA_FILES, path);
}

int tern_tls_options_add_ca_directory(tern_tls_options *options, const char *path)
{
    return add_path(options, TERN__TLS_CA_DIRECTORIES, path);
}

int tern_tls_options_add_crl_file(tern_tls_options *options, const char *path)
{
    return add_path(options, TERN__TLS_CRL_FILES, path);
}

int tern_tls_options_set_verified_name(tern_tls_options *options, const char *name)
{
    return name == NULL || name[0] != '\0' ? set_text(options, TERN__TLS_VERIFIED_NAME, name) : TERN_E_INVALID;
}

int tern_tls_options_set_key_password(tern_tls_options *options, const char *password)
{
    return set_text(options, TERN__TLS_KEY_PASSWORD, password);
}

int tern_tls_options_set_key_uri(tern_tls_options *options, const char *uri)
{
    return uri == NULL || strchr(uri, ':') != NULL ? set_text(options, TERN__TLS_KEY_URI, uri) : TERN_E_INVALID;
}

int tern_tls_options_set_server_name(tern_tls_options *options, const char *name)
{
    return name == NULL || strlen(name) <= 255 ? set_text(options, TERN__TLS_SERVER_NAME, name) : TERN_E_INVALID;
}

int tern_tls_options_set_key_log_file(tern_tls_options *options, const char *path)
{
    return path == NULL || path[0] != '\0' ? set_text(options, TERN__TLS_KEY_LOG, path) : TERN_E_INVALID;
}

/* ---- certificates and keys ---- */

int tern_tls_options_add_ca(tern_tls_options *options, const void *pem, size_t length)
{
    if (options == NULL || pem == NULL || !tern__tls_has_certificate(pem, length)) return TERN_E_INVALID;
    tern__buf *held = &options->config.bytes[TERN__TLS_CA];
    size_t before = held->len;
    int rc = tern__buf_append(held, pem, length);
    if (rc == 0) rc = tern__buf_append(held, "\n", 1); /* between two texts */
    if (rc != 0) held->len = before;
    return rc;
}

/* Both or neither. */
static int set_pair(tern_tls_options *options, const tern__tls_config *fresh)
{
    tern__tls_config *config = &options->config;
    int rc = tern__tls_config_set_text(config, TERN__TLS_CERTIFICATE_FILE, fresh->texts[TERN__TLS_CERTIFICATE_FILE]);
    if (rc == 0) rc = tern__tls_config_set_text(config, TERN__TLS_KEY_FILE, fresh->texts[TERN__TLS_KEY_FILE]);
    const tern__buf *certificate = &fresh->bytes[TERN__TLS_CERTIFICATE];
    const tern__buf *key = &fresh->bytes[TERN__TLS_KEY];
    if (rc == 0) rc = tern__tls_config_set_bytes(config, TERN__TLS_CERTIFICATE, certificate->data, certificate->len);
    if (rc == 0) rc = tern__tls_config_set_bytes(config, TERN__TLS_KEY, key->data, key->len);
    return rc;
}

int tern_tls_options_set_certificate_file(tern_tls_options *options, const char *certificate_path, const char *key_path)
{
    if (options == NULL || (certificate_path == NULL && key_path != NULL)) return TERN_E_INVALID;
    const char *key = key_path != NULL ? key_path : certificate_path;
    if (certificate_path != NULL && (certificate_path[0] == '\0' || key[0] == '\0')) return TERN_E_INVALID;
    const tern__tls_config fresh = {.texts = {[TERN__TLS_CERTIFICATE_FILE] = (char *)(uintptr_t)certificate_path,
                                              [TERN__TLS_KEY_FILE] = (char *)(uintptr_t)key}};
    return set_pair(options, &fresh);
}

static tern__buf borrow(const void *data, size_t len)
{
    return (tern__buf){.data = (uint8_t *)(uintptr_t)data, .len = len};
}

int tern_tls_options_set_certificate(tern_tls_options *options, const void *certificate, size_t certificate_length,
                                     const void *key, size_t key_length)
{
    if (options == NULL || certificate == NULL || !tern__tls_has_certificate(certificate, certificate_length))
        return TERN_E_INVALID;
    bool key_elsewhere = key == NULL && key_length == 0; /* by a URI */
    if (!key_elsewhere && (key == NULL || !tern__tls_has_key(key, key_length))) return TERN_E_INVALID;
    const tern__tls_config fresh = {.bytes = {[TERN__TLS_CERTIFICATE] = borrow(certificate, certificate_length),
                                              [TERN__TLS_KEY] = borrow(key, key_length)}};
    return set_pair(options, &fresh);
}

int tern_tls_options_set_psk(tern_tls_options *options, const char *identity, const void *key, size_t key_length)
{
    const size_t most = 256; /* of both, in OpenSSL */
    if (options == NULL) return TERN_E_INVALID;
    if (identity != NULL && (strlen(identity) > most || key == NULL || key_length == 0 || key_length > most))
        return TERN_E_INVALID;
    int rc = tern__tls_config_set_bytes(&options->config, TERN__TLS_PSK_KEY, key, identity != NULL ? key_length : 0);
    return rc != 0 ? rc : tern__tls_config_set_text(&options->config, TERN__TLS_PSK_IDENTITY, identity);
}

/* ---- agreement ---- */

int tern_tls_options_set_verification(tern_tls_options *options, tern_tls_verification verification)
{
    if (options == NULL || (unsigned)verification > TERN_TLS_VERIFY_NOTHING) return TERN_E_INVALID;
    options->config.verification = verification;
    return 0;
}

int tern_tls_options_set_minimum_version(tern_tls_options *options, tern_tls_version version)
{
    if (options == NULL || (version != TERN_TLS_1_2 && version != TERN_TLS_1_3)) return TERN_E_INVALID;
    options->config.minimum_version = version;
    return 0;
}

int tern_tls_options_set_ciphers(tern_tls_options *options, const char *ciphers, const char *suites)
{
    if (options == NULL || !tern__tls_ciphers_known(ciphers, suites)) return TERN_E_INVALID;
    int rc = tern__tls_config_set_text(&options->config, TERN__TLS_CIPHERS, ciphers);
    return rc != 0 ? rc : tern__tls_config_set_text(&options->config, TERN__TLS_SUITES, suites);
}

int tern_tls_options_set_groups(tern_tls_options *options, const char *groups)
{
    if (options == NULL || !tern__tls_groups_known(groups)) return TERN_E_INVALID;
    return tern__tls_config_set_text(&options->config, TERN__TLS_GROUPS, groups);
}

int tern_tls_options_set_alpn(tern_tls_options *options, const char *protocols)
{
    if (options == NULL) return TERN_E_INVALID;
    tern__buf wire = {0};
    int rc = 0;
    for (const char *at = protocols; at != NULL && rc == 0;) {
        size_t len = strcspn(at, ",");
        uint8_t prefix = (uint8_t)len;
        if (len == 0 || len > 255) rc = TERN_E_INVALID;
        if (rc == 0) rc = tern__buf_append(&wire, &prefix, 1);
        if (rc == 0) rc = tern__buf_append(&wire, at, len);
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    if (rc == 0) rc = tern__tls_config_set_bytes(&options->config, TERN__TLS_ALPN, wire.data, wire.len);
    tern__buf_deinit(&wire);
    return rc;
}

int tern_tls_options_set_ocsp_stapling(tern_tls_options *options, int required)
{
    if (options == NULL || (required != 0 && required != 1)) return TERN_E_INVALID;
    options->config.ocsp = required == 1;
    return 0;
}

int tern_tls_options_set_resumption(tern_tls_options *options, int resume)
{
    if (options == NULL || (resume != 0 && resume != 1)) return TERN_E_INVALID;
    options->config.no_resumption = resume == 0;
    return 0;
}
