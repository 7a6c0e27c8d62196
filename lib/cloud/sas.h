/* Shared access signatures: the tokens that Azure takes in place of passwords.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLOUD_SAS_H
#define TERN_CLOUD_SAS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends the token for a resource ("host/devices/id", not encoded), signed with the key's bytes: valid until `expiry`, in
 * seconds since 1970. policy: the name of a shared policy, NULL for a device's own key. The token is a secret: whoever frees it
 * cleanses it. 0, TERN_E_NOMEM, or TERN_E_UNSUPPORTED (a build without TLS). */
int tern__sas_make(tern__buf *token, const char *resource, const uint8_t *key, size_t key_length, const char *policy,
                   uint64_t expiry);
/* After how many milliseconds a token of so many seconds is to be replaced: at 80 % of its life, or 120 s before its end where
 * that is earlier and there is as much. */
uint32_t tern__sas_renewal_ms(uint32_t life_s);
/* Frees a buffer that holds a secret. */
void tern__sas_forget(tern__buf *secret);

#endif
