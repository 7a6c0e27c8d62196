/* SHA-1, for the one place where a protocol asks for it as a checksum (RFC 6455): not for security.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_SHA1_H
#define TERN_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { TERN__SHA1_LEN = 20 };

void tern__sha1(const void *data, size_t len, uint8_t digest[TERN__SHA1_LEN]);

#endif
