/* Fuzzing topics: the fast check agrees with a plain one, and matching stays in its bounds.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "base/utf8.h"
#include "codec/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int plain_check(const char *topic, size_t len)
{
    if (len == 0) return TERN_E_TOPIC;
    if (len > 65535) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(topic, len)) return TERN_E_UTF8;
    for (size_t i = 0; i < len; i++)
        if (topic[i] == '+' || topic[i] == '#') return TERN_E_TOPIC;
    return 0;
}

static char *copy_of(const uint8_t *data, size_t len)
{
    char *copy = malloc(len != 0 ? len : 1);
    if (copy != NULL && len != 0) memcpy(copy, data, len);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    size_t filter_len = data[0] < size - 1 ? data[0] : size - 1;
    size_t topic_len = size - 1 - filter_len;
    char *filter = copy_of(data + 1, filter_len);
    char *topic = copy_of(data + 1 + filter_len, topic_len);
    if (filter != NULL && topic != NULL) {
        assert(tern__topic_check(topic, topic_len) == plain_check(topic, topic_len));
        assert(tern__topic_check(filter, filter_len) == plain_check(filter, filter_len));
        int topic_rc = tern__topic_check(topic, topic_len);
        int filter_rc = tern__filter_check(filter, filter_len);
        if (topic_rc == 0 && memcmp(topic, "$share/", topic_len < 7 ? topic_len : 7) != 0) {
            /* A topic is a filter that matches itself, and "#" takes what is not the server's own.
             */
            assert(tern__filter_check(topic, topic_len) == 0);
            assert(tern__filter_match(topic, topic_len, topic, topic_len));
            assert(tern__filter_match("#", 1, topic, topic_len) == (topic[0] != '$'));
        }
        size_t rest = 0;
        if (topic_rc == 0 && filter_rc == 0) {
            bool shared = tern__filter_shared(filter, filter_len, &rest);
            assert(rest <= filter_len && (shared || rest == 0));
            (void)tern__filter_match(filter + rest, filter_len - rest, topic, topic_len);
        }
    }
    free(filter);
    free(topic);
    return 0;
}
