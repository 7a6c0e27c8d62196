/* Topic names and filters: what is legal, and what matches what.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/topic.h"

#include <stdint.h>
#include <string.h>
#include <tern/error.h>

#include "base/utf8.h"
#include "codec/wire.h"

enum { TEXT_MAX = 65535 };

TERN__COLD int tern__topic_check_marked(const char *topic, size_t len)
{
    if (len == 0) return TERN_E_TOPIC;            /* [MQTT5-4.7.3-1] */
    if (len > TEXT_MAX) return TERN_E_TOO_LARGE;  /* [MQTT5-4.7.3-3] */
    if (!tern__utf8_valid(topic, len)) return TERN_E_UTF8;
    bool wildcard = memchr(topic, '+', len) != NULL || memchr(topic, '#', len) != NULL;
    return wildcard ? TERN_E_TOPIC : 0;
}

bool tern__filter_shared(const char *filter, size_t len, size_t *rest)
{
    static const char prefix[] = "$share/";
    const size_t prefix_len = sizeof prefix - 1;
    if (len < prefix_len || memcmp(filter, prefix, prefix_len) != 0) return false;
    const char *slash = memchr(filter + prefix_len, '/', len - prefix_len);
    if (slash == NULL) return false;
    if (rest != NULL) *rest = (size_t)(slash - filter) + 1;
    return true;
}

/* Wildcards fill whole levels, and '#' is the last. [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] */
static int check_levels(const char *filter, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (filter[i] != '+' && filter[i] != '#') continue;
        bool starts = i == 0 || filter[i - 1] == '/';
        bool last = i + 1 == len;
        bool ends = last || (filter[i] == '+' && filter[i + 1] == '/');
        if (!starts || !ends) return TERN_E_FILTER;
    }
    return 0;
}

/* A share name of at least one character, without wildcards, and a filter behind it.
 * [MQTT5-4.8.2-1] [MQTT5-4.8.2-2] */
static int check_shared(const char *filter, size_t len)
{
    size_t rest = 0;
    if (!tern__filter_shared(filter, len, &rest)) return TERN_E_FILTER;
    const char *name = filter + strlen("$share/");
    size_t name_len = rest - strlen("$share/") - 1;
    if (name_len == 0 || rest == len) return TERN_E_FILTER;
    if (memchr(name, '+', name_len) != NULL || memchr(name, '#', name_len) != NULL)
        return TERN_E_FILTER;
    return check_levels(filter + rest, len - rest);
}

int tern__filter_check(const char *filter, size_t len)
{
    if (len == 0) return TERN_E_FILTER;
    if (len > TEXT_MAX) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(filter, len)) return TERN_E_UTF8;
    if (len >= 7 && memcmp(filter, "$share/", 7) == 0) return check_shared(filter, len);
    return check_levels(filter, len);
}

bool tern__filter_match(const char *filter, size_t filter_len, const char *topic, size_t topic_len)
{
    size_t f = 0;
    size_t t = 0;
    /* Topics with a leading $ are the server's own: wildcards do not reach them. [MQTT5-4.7.2-1] */
    if (topic_len != 0 && topic[0] == '$' && filter_len != 0 &&
        (filter[0] == '+' || filter[0] == '#'))
        return false;
    while (f < filter_len) {
        if (filter[f] == '#') return true;
        if (filter[f] == '+') {
            while (t < topic_len && topic[t] != '/')
                t++;
            f++;
        } else if (t < topic_len && topic[t] == filter[f]) {
            f++;
            t++;
        } else {
            /* "a/#" matches its parent "a" too. */
            return t == topic_len && filter_len - f == 2 && filter[f] == '/' &&
                   filter[f + 1] == '#';
        }
    }
    return t == topic_len;
}
