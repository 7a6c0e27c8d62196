/* UTF-8 as MQTT wants it: well-formed, no surrogates, no U+0000.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_UTF8_H
#define TERN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are well-formed UTF-8 without U+0000. [MQTT5-1.5.4-1] [MQTT5-1.5.4-2] */
bool tern__utf8_valid(const void *data, size_t len);

#endif
