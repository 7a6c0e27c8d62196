/* A subscription: one or more topic filters asked for, or given up, in one go.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_SUBSCRIPTION_H
#define TERN_SUBSCRIPTION_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Creates an empty subscription. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_subscription_new(tern_subscription **subscription);
/** Frees a subscription object (it unsubscribes nothing); NULL does nothing. */
TERN_API void tern_subscription_free(tern_subscription *subscription);
/** Adds a filter with tern_subscribe_flag flags; the filter is copied. Errors: TERN_E_INVALID (flags),
 * TERN_E_UTF8, TERN_E_FILTER, TERN_E_TOO_LARGE, TERN_E_NOMEM. (MQTT 5 sections 3.8.3, 4.7) */
TERN_API int tern_subscription_add(tern_subscription *subscription, const char *filter,
                                   uint32_t flags);
/** Subscription Identifier, 1..268,435,455 (0 = none); MQTT 5 only. Errors: TERN_E_INVALID. */
TERN_API int tern_subscription_set_identifier(tern_subscription *subscription, uint32_t identifier);
/** Adds a user property. Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_subscription_add_user_property(tern_subscription *subscription, const char *name,
                                                 const char *value);
/** Number of filters. */
TERN_API size_t tern_subscription_count(const tern_subscription *subscription);

TERN_END_DECLS

#endif
