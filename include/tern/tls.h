/** @file
 * TLS: whom to trust, who we are, and how the two sides agree.
 *
 * Without any options a `mqtts://` or `wss://` server must show a certificate for its host name that leads to
 * one of the system's certificate authorities, over TLS 1.2 or 1.3. Options are opaque, hold copies of
 * what they are given, and check each value as it is set; files are read at the first attempt and again
 * when they changed, so that certificates rotate without a restart. tern_connection_options_set_tls()
 * takes a copy. One thread uses an options object at a time. In a build without TLS
 * tern_tls_options_new() answers TERN_E_UNSUPPORTED.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TLS_H
#define TERN_TLS_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** What is verified of the server's certificate. */
typedef enum tern_tls_verification {
    TERN_TLS_VERIFY_FULL = 0, /**< the chain of certificates and the host name (default) */
    TERN_TLS_VERIFY_CHAIN = 1, /**< the chain alone: any server with a certificate of that authority is taken */
    TERN_TLS_VERIFY_NOTHING = 2 /**< nothing: whoever is in between reads and writes all */
} tern_tls_verification;

/** Protocol versions of TLS. */
typedef enum tern_tls_version {
    TERN_TLS_1_2 = 12, /**< RFC 5246 */
    TERN_TLS_1_3 = 13  /**< RFC 8446 */
} tern_tls_version;

/** Creates TLS options with the defaults; they are the caller's. Errors: TERN_E_INVALID, TERN_E_NOMEM,
 * TERN_E_UNSUPPORTED. Thread: any. Blocks: no. */
TERN_API int tern_tls_options_new(tern_tls_options **options);
/** Frees TLS options, overwriting the secrets that they held; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_tls_options_free(tern_tls_options *options);

/** @name Trust
 * The first authority that is given replaces the system's; further ones add to it.
 * @{ */

/** Adds the certificate authorities in a PEM file. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one
 * at a time. Blocks: no. */
TERN_API int tern_tls_options_add_ca_file(tern_tls_options *options, const char *path);
/** Adds a directory of authorities in files named by their hash (`openssl rehash`), looked up as they are
 * needed. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_add_ca_directory(tern_tls_options *options, const char *path);
/** Adds authorities from PEM text in memory. Errors: TERN_E_INVALID (also text without a certificate),
 * TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_add_ca(tern_tls_options *options, const void *pem, size_t length);
/** Adds revocation lists from a PEM file: the server's certificate must be on none, and a list of its
 * authority must be there and up to date. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a
 * time. Blocks: no. (RFC 5280 section 5) */
TERN_API int tern_tls_options_add_crl_file(tern_tls_options *options, const char *path);
/** Sets whether the server must staple a valid OCSP answer that says "good" (1; default 0). Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. (RFC 6066 section 8) */
TERN_API int tern_tls_options_set_ocsp_stapling(tern_tls_options *options, int required);
/** Sets what is verified (default TERN_TLS_VERIFY_FULL). Anything less is logged as a warning at each
 * attempt: name the authority with tern_tls_options_add_ca_file() instead where you can. Errors:
 * TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_set_verification(tern_tls_options *options,
                                               tern_tls_verification verification);
/** Sets the name or IP address that the certificate must be for; NULL for the URL's host, the default.
 * Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. (RFC 6125) */
TERN_API int tern_tls_options_set_verified_name(tern_tls_options *options, const char *name);
/** @} */

/** @name Who we are
 * @{ */

/** Sets the client's certificate, followed by those between it and its authority, and its private key,
 * from PEM files; key_path NULL: both are in one file. NULL for both: none, the default. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_set_certificate_file(tern_tls_options *options,
                                                   const char *certificate_path,
                                                   const char *key_path);
/** As tern_tls_options_set_certificate_file(), with PEM text in memory. Errors: TERN_E_INVALID (also text
 * without a certificate or key), TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_set_certificate(tern_tls_options *options, const void *certificate,
                                              size_t certificate_length, const void *key,
                                              size_t key_length);
/** Sets the password of an encrypted key, or the PIN of a token; NULL for none. Who has to ask a user for it
 * does so in the attempt handler (tern/attempt.h). Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one
 * at a time. Blocks: no. */
TERN_API int tern_tls_options_set_key_password(tern_tls_options *options, const char *password);
/** Sets where the private key is by a URI that one of OpenSSL's providers understands
 * (`pkcs11:token=t;object=k`), in place of a key file; the provider is loaded by OpenSSL's
 * configuration. NULL for none. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time.
 * Blocks: no. */
TERN_API int tern_tls_options_set_key_uri(tern_tls_options *options, const char *uri);
/** Sets a pre-shared key instead of certificates: an identity and the key's bytes (1..256); identity NULL
 * for none. Where no cipher list is set, only those with a pre-shared key are offered. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. (RFC 4279) */
TERN_API int tern_tls_options_set_psk(tern_tls_options *options, const char *identity,
                                      const void *key, size_t key_length);
/** @} */

/** @name Agreement
 * @{ */

/** Sets the oldest version that is accepted (default TERN_TLS_1_2). Errors: TERN_E_INVALID. Thread: any, one
 * at a time. Blocks: no. */
TERN_API int tern_tls_options_set_minimum_version(tern_tls_options *options,
                                                  tern_tls_version version);
/** Sets the ciphers of TLS 1.2 (OpenSSL's list format) and the cipher suites of TLS 1.3 (names between
 * colons); NULL for OpenSSL's own choice. Errors: TERN_E_INVALID (also a list in which nothing is known),
 * TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_set_ciphers(tern_tls_options *options, const char *ciphers,
                                          const char *suites);
/** Sets the groups for the key exchange (`X25519:P-256`); NULL for OpenSSL's own choice. Errors:
 * TERN_E_INVALID (also an unknown name), TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_set_groups(tern_tls_options *options, const char *groups);
/** Sets the application protocols that are offered, names between commas (`x-amzn-mqtt-ca`); NULL for
 * none, the default. Errors: TERN_E_INVALID (also a name that is empty or over 255 bytes),
 * TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. (RFC 7301) */
TERN_API int tern_tls_options_set_alpn(tern_tls_options *options, const char *protocols);
/** Sets the server name that is asked for; NULL for the URL's host, the default, "" for none. The name
 * that is verified stays the URL's. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time.
 * Blocks: no. (RFC 6066 section 3) */
TERN_API int tern_tls_options_set_server_name(tern_tls_options *options, const char *name);
/** Sets whether sessions are resumed after a reconnect (1, the default), which saves the handshake's
 * costly part. Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. (RFC 8446 section 2.2) */
TERN_API int tern_tls_options_set_resumption(tern_tls_options *options, int resume);
/** Sets a file to which the secrets of each connection are appended, for a debugger such as Wireshark: who
 * reads it reads the connection. A new one is made for its owner alone. NULL for none, the default; logged as a warning at each attempt.
 * Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_tls_options_set_key_log_file(tern_tls_options *options, const char *path);
/** @} */

TERN_END_DECLS

#endif
