/* IP addresses in text.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/ip.h"

#include <arpa/inet.h>

size_t tern__ip_parse(const char *text, uint8_t bytes[TERN__IPV6_LEN])
{
    if (inet_pton(AF_INET, text, bytes) == 1) return TERN__IPV4_LEN;
    return inet_pton(AF_INET6, text, bytes) == 1 ? TERN__IPV6_LEN : 0;
}
