/* Base64 with padding (RFC 4648 section 4), as HTTP headers want it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_BASE64_H
#define TERN_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the text of len bytes, its NUL included. */
#define TERN__BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1)

/* Writes TERN__BASE64_SIZE(len) bytes to text. */
void tern__base64_encode(const void *data, size_t len, char *text);

/* The most bytes that a text of len characters stands for. */
#define TERN__BASE64_BYTES(len) ((len) / 4 * 3)

/* Writes up to TERN__BASE64_BYTES(len) bytes to data, and how many they are. False, and *bad is where, for any text that
 * tern__base64_encode() would not have written. */
bool tern__base64_decode(const char *text, size_t len, uint8_t *data, size_t *count, size_t *bad);

#endif
