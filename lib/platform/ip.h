/* IP addresses in text.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_IP_H
#define TERN_PLATFORM_IP_H

#include <stddef.h>
#include <stdint.h>

enum { TERN__IPV4_LEN = 4, TERN__IPV6_LEN = 16 };

/* The bytes of an address without brackets and zone, in network order; returns their number, 0
 * where the text is no address. */
size_t tern__ip_parse(const char *text, uint8_t bytes[TERN__IPV6_LEN]);

/* The text of an address of 4 or 16 bytes; "?" of others. */
void tern__ip_text(const uint8_t *bytes, size_t len, char *text, size_t size);

#endif
