/* Topic names and filters: what is legal, and what matches what.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CODEC_TOPIC_H
#define TERN_CODEC_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/topic_scan.h"

/* The slow lane of tern__topic_check(): tells text from faults. */
int tern__topic_check_marked(const char *topic, size_t len);
/* 0, or why the bytes are no topic name: TERN_E_TOO_LARGE (over 65,535 bytes), TERN_E_UTF8, TERN_E_TOPIC (empty, or a
 * wildcard). One pass; the common ASCII case is fast. [MQTT5-3.3.2-2] [MQTT5-4.7.3-1] */
static inline int tern__topic_check(const char *topic, size_t len)
{
    if (len - 1 < UINT16_MAX && tern__topic_marks((const uint8_t *)topic, len) == 0) return 0;
    return tern__topic_check_marked(topic, len);
}

/* 0, or why the bytes are no topic filter: TERN_E_TOO_LARGE, TERN_E_UTF8, TERN_E_FILTER. $share/group/filter is
 * understood. [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] [MQTT5-4.8.2-1] [MQTT5-4.8.2-2] */
int tern__filter_check(const char *filter, size_t len);
/* True for $share/group/filter; then *rest (may be NULL) is where the filter itself starts. */
bool tern__filter_shared(const char *filter, size_t len, size_t *rest);
/* Whether a legal filter ($share stripped by the caller) matches a legal topic name. [MQTT5-4.7.2-1] */
bool tern__filter_match(const char *filter, size_t filter_len, const char *topic, size_t topic_len);

#endif
