/* The way to the server on the command line.
 * SPDX-License-Identifier: Apache-2.0 */
#include "way.h"

#include <stdint.h>
#include <string.h>

enum { PSK_MAX = 256 };

bool way_wants_tls(const way *self)
{
    return self->ca_file != NULL || self->ca_directory != NULL || self->certificate != NULL || self->ciphers != NULL ||
           self->alpn != NULL || self->psk != NULL || self->tls_version != NULL || self->system_trust || self->insecure;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char lower = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    const char *found = lower != '\0' ? strchr(digits, lower) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* Hexadecimal digits to bytes; 0 where they are none, or too many. */
static size_t decode(const char *text, uint8_t key[PSK_MAX])
{
    size_t len = strlen(text);
    if (len == 0 || len % 2 != 0 || len / 2 > PSK_MAX) return 0;
    for (size_t i = 0; i < len / 2; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return 0;
        key[i] = (uint8_t)(high * 16 + low);
    }
    return len / 2;
}

const char *way_trouble(const way *self)
{
    uint8_t key[PSK_MAX];
    if ((self->psk != NULL) != (self->psk_identity != NULL)) return "--psk and --psk-identity belong together";
    if (self->psk != NULL && decode(self->psk, key) == 0) return "--psk takes an even number of hexadecimal digits, 2 to 512";
    if (self->key != NULL && self->certificate == NULL) return "--key needs --cert, the certificate that it belongs to";
    if (self->tls_version != NULL && strcmp(self->tls_version, "tlsv1.2") != 0 && strcmp(self->tls_version, "tlsv1.3") != 0)
        return "--tls-version takes tlsv1.2 or tlsv1.3, the oldest that is accepted";
    return NULL;
}

static int fill_tls(const way *self, tern_tls_options *tls, const char **part)
{
    uint8_t key[PSK_MAX];
    int rc = 0;
    *part = "--cafile";
    if (self->ca_file != NULL) rc = tern_tls_options_add_ca_file(tls, self->ca_file);
    if (rc == 0) *part = "--capath";
    if (rc == 0 && self->ca_directory != NULL) rc = tern_tls_options_add_ca_directory(tls, self->ca_directory);
    if (rc == 0) *part = "--cert";
    bool by_uri = self->key != NULL && strncmp(self->key, "pkcs11:", strlen("pkcs11:")) == 0;
    if (rc == 0 && by_uri) rc = tern_tls_options_set_key_uri(tls, self->key);
    if (rc == 0 && self->certificate != NULL)
        rc = tern_tls_options_set_certificate_file(tls, self->certificate, by_uri ? NULL : self->key);
    if (rc == 0) *part = "--keypass";
    if (rc == 0 && self->key_password != NULL) rc = tern_tls_options_set_key_password(tls, self->key_password);
    if (rc == 0) *part = "--ciphers";
    if (rc == 0 && self->ciphers != NULL) rc = tern_tls_options_set_ciphers(tls, self->ciphers, NULL);
    if (rc == 0) *part = "--tls-alpn";
    if (rc == 0 && self->alpn != NULL) rc = tern_tls_options_set_alpn(tls, self->alpn);
    if (rc == 0) *part = "--psk-identity";
    if (rc == 0 && self->psk != NULL) rc = tern_tls_options_set_psk(tls, self->psk_identity, key, decode(self->psk, key));
    if (rc == 0) *part = "--tls-version";
    if (rc == 0 && self->tls_version != NULL)
        rc = tern_tls_options_set_minimum_version(tls, strcmp(self->tls_version, "tlsv1.3") == 0 ? TERN_TLS_1_3 : TERN_TLS_1_2);
    if (rc == 0 && self->insecure) rc = tern_tls_options_set_verification(tls, TERN_TLS_VERIFY_CHAIN);
    memset(key, 0, sizeof key);
    return rc;
}

int way_apply(const way *self, tern_connection_options *options, const char **part)
{
    tern_tls_options *tls = NULL;
    int rc = 0;
    *part = "TLS";
    if (way_wants_tls(self)) {
        rc = tern_tls_options_new(&tls);
        if (rc == 0) rc = fill_tls(self, tls, part);
        if (rc == 0) rc = tern_connection_options_set_tls(options, tls);
        tern_tls_options_free(tls);
    }
    if (rc == 0) *part = "--proxy";
    if (rc == 0 && self->proxy != NULL) rc = tern_connection_options_set_proxy(options, self->proxy);
    if (rc == 0) *part = "-A";
    if (rc == 0 && self->local != NULL) rc = tern_connection_options_set_local(options, self->local, NULL);
    return rc;
}
