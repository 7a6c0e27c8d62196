/* The way to the server on the command line: TLS, proxies, and where the socket is bound.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TOOLS_WAY_H
#define TERN_TOOLS_WAY_H

#include <stdbool.h>
#include <tern/tern.h>

/* What the options said; NULL where one was not given. Texts are borrowed from the command line. */
typedef struct way {
    const char *ca_file;
    const char *ca_directory;
    const char *certificate;
    const char *key;
    const char *key_password;
    const char *ciphers;
    const char *alpn;
    const char *psk;
    const char *psk_identity;
    const char *proxy;
    const char *local;
    const char *tls_version;
    bool system_trust; /* --tls-use-os-certs: TLS with the defaults */
    bool insecure;     /* the name is not verified */
} way;

/* Whether some option asks for TLS. */
bool way_wants_tls(const way *self);
/* What contradicts itself or cannot be read, in words; NULL where all is in order. */
const char *way_trouble(const way *self);
/* Puts it into the options: 0 or an error; *part then says which option it is about. */
int way_apply(const way *self, tern_connection_options *options, const char **part);

#endif
