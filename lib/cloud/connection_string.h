/* Connection strings of Azure IoT Hub: `Key=Value` parts with semicolons between them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLOUD_CONNECTION_STRING_H
#define TERN_CLOUD_CONNECTION_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What it says. Texts are allocated; NULL where a key is absent. */
typedef struct tern__connection_string {
    char *host;
    char *device;
    char *module;
    char *gateway;
    char *policy;    /* SharedAccessKeyName */
    char *signature; /* SharedAccessSignature: a token made elsewhere; a secret */
    uint8_t *key;    /* SharedAccessKey, decoded; a secret */
    size_t key_length;
    bool x509;
} tern__connection_string;

/* 0; TERN_E_INVALID, with the key, its position from 1 and the reason, but never a value, in `why`; or TERN_E_NOMEM. */
int tern__connection_string_parse(const char *text, tern__connection_string *parsed, char *why, size_t size);
/* Cleanses the secrets. */
void tern__connection_string_deinit(tern__connection_string *parsed);

#endif
