/* IP addresses in text.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/ip.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>

size_t tern__ip_parse(const char *text, uint8_t bytes[TERN__IPV6_LEN])
{
    if (inet_pton(AF_INET, text, bytes) == 1) return TERN__IPV4_LEN;
    return inet_pton(AF_INET6, text, bytes) == 1 ? TERN__IPV6_LEN : 0;
}

void tern__ip_text(const uint8_t *bytes, size_t len, char *text, size_t size)
{
    int family = len == TERN__IPV4_LEN ? AF_INET : AF_INET6;
    bool known = len == TERN__IPV4_LEN || len == TERN__IPV6_LEN;
    if (!known || inet_ntop(family, bytes, text, (socklen_t)size) == NULL) snprintf(text, size, "?");
}
