/* Subscriptions: a list of filters with options, kept in the form of SUBSCRIBE's payload.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/subscription.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/decode.h"
#include "codec/props.h"
#include "codec/topic.h"

enum {
    FLAGS =
        3 | TERN_NO_LOCAL | TERN_RETAIN_AS_PUBLISHED | TERN_RETAINED_IF_NEW | TERN_RETAINED_NEVER,
    RETAIN_HANDLING = TERN_RETAINED_IF_NEW | TERN_RETAINED_NEVER,
    TEXT_MAX = 65535,
    IDENTIFIER_MAX = 268435455
};

int tern_subscription_new(tern_subscription **subscription)
{
    if (subscription == NULL) return TERN_E_INVALID;
    *subscription = tern__calloc(1, sizeof **subscription);
    return *subscription != NULL ? 0 : TERN_E_NOMEM;
}

void tern_subscription_free(tern_subscription *subscription)
{
    if (subscription == NULL) return;
    tern__buf_deinit(&subscription->filters);
    tern__buf_deinit(&subscription->user_properties);
    tern__free(subscription);
}

/* Where the options of a filter that is in the list already are; NULL where it is not. */
static uint8_t *find_options(tern_subscription *subscription, const char *filter, size_t len)
{
    tern__view rest = {subscription->filters.data, subscription->filters.len};
    tern__view each;
    while (tern__filters_next(&rest, true, &each, NULL)) {
        if (each.len != len || memcmp(each.data, filter, len) != 0) continue;
        return subscription->filters.data + (each.data - subscription->filters.data) + len;
    }
    return NULL;
}

/* No Local does not go with a shared subscription. [MQTT5-3.8.3-4] */
static bool flags_legal(uint32_t flags, const char *filter)
{
    if ((flags & ~(uint32_t)FLAGS) != 0 || (flags & 3) == 3) return false;
    if ((flags & RETAIN_HANDLING) == RETAIN_HANDLING) return false;
    return (flags & TERN_NO_LOCAL) == 0 || !tern__filter_shared(filter, strlen(filter), NULL);
}

int tern_subscription_add(tern_subscription *subscription, const char *filter, uint32_t flags)
{
    if (subscription == NULL || filter == NULL || !flags_legal(flags, filter))
        return TERN_E_INVALID;
    size_t len = strlen(filter);
    int rc = tern__filter_check(filter, len); /* [MQTT5-3.8.3-1] */
    if (rc != 0) return rc;
    uint8_t *options = find_options(subscription, filter, len);
    if (options != NULL) {
        *options = (uint8_t)flags;
        return 0;
    }
    rc = tern__buf_reserve(&subscription->filters, len + 3);
    if (rc != 0) return rc;
    const uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};
    const uint8_t tail = (uint8_t)flags;
    (void)tern__buf_append(&subscription->filters, head, sizeof head);
    (void)tern__buf_append(&subscription->filters, filter, len);
    (void)tern__buf_append(&subscription->filters, &tail, 1);
    subscription->count++;
    return 0;
}

int tern_subscription_set_identifier(tern_subscription *subscription, uint32_t identifier)
{
    if (subscription == NULL || identifier > IDENTIFIER_MAX) return TERN_E_INVALID;
    subscription->identifier = identifier;
    return 0;
}

int tern_subscription_add_user_property(tern_subscription *subscription, const char *name,
                                        const char *value)
{
    if (subscription == NULL || name == NULL || value == NULL) return TERN_E_INVALID;
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    if (name_len > TEXT_MAX || value_len > TEXT_MAX) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(name, name_len) || !tern__utf8_valid(value, value_len))
        return TERN_E_UTF8;
    return tern__props_add_pair(&subscription->user_properties, name, name_len, value, value_len);
}

size_t tern_subscription_count(const tern_subscription *subscription)
{
    return subscription != NULL ? subscription->count : 0;
}

int tern_filter_matches(const char *filter, const char *topic)
{
    if (filter == NULL || topic == NULL) return TERN_E_INVALID;
    size_t filter_len = strlen(filter);
    size_t topic_len = strlen(topic);
    size_t start = 0;
    int rc = tern__filter_check(filter, filter_len);
    if (rc == 0) rc = tern__topic_check(topic, topic_len);
    if (rc != 0) return rc;
    (void)tern__filter_shared(filter, filter_len, &start);
    return tern__filter_match(filter + start, filter_len - start, topic, topic_len);
}
