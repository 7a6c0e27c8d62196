/* Signature Version 4 of AWS, as a query string: for a WebSocket URL that carries its own credentials.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLOUD_SIGV4_H
#define TERN_CLOUD_SIGV4_H

#include <stdint.h>

#include "base/buf.h"

typedef struct tern__sigv4 {
    const char *host;          /* without port: the service's own is signed so */
    const char *region;
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL none */
    uint64_t time;             /* seconds since 1970 */
    uint32_t expires;          /* seconds */
} tern__sigv4;

/* Appends "/mqtt?X-Amz-Algorithm=...": path and query of the service "iotdevicegateway". 0, TERN_E_NOMEM, TERN_E_INVALID (a time beyond the year 9999),
 * TERN_E_UNSUPPORTED (no TLS). The buffer never grows with it, so nothing is left behind in freed memory. */
int tern__sigv4_sign(tern__buf *out, const tern__sigv4 *request);

#endif
