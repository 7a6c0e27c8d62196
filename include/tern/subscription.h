/** @file
 * A subscription: one or more topic filters asked for, or given up, in one go.
 *
 * It is a list of wishes that says nothing to any server until it is handed to
 * tern_client_subscribe_all() or tern_client_unsubscribe_all(), which copy it. One thread uses it
 * at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_SUBSCRIPTION_H
#define TERN_SUBSCRIPTION_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Creates an empty subscription, which is the caller's: tern_subscription_free(). Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_subscription_new(tern_subscription **subscription);
/** Frees a subscription object; NULL does nothing. It unsubscribes nothing. Thread: any. Blocks:
 * no. */
TERN_API void tern_subscription_free(tern_subscription *subscription);
/** Adds a topic filter with flags of a subscription (tern_flag); a filter that is in the list gets the new
 * flags. Errors: TERN_E_INVALID (also QoS 3, unknown flags, both of TERN_RETAINED_IF_NEW and
 * TERN_RETAINED_NEVER, or TERN_NO_LOCAL with a shared filter), TERN_E_UTF8, TERN_E_FILTER
 * (wildcards that do not fill a level, an incomplete `$share/group/filter`), TERN_E_TOO_LARGE (over
 * 65,535 bytes), TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. (MQTT 5 sections 3.8.3, 4.7,
 * 4.8.2) */
TERN_API int tern_subscription_add(tern_subscription *subscription, const char *filter,
                                   uint32_t flags);
/** Sets the Subscription Identifier that comes back with each message, 1..268,435,455 (0 = none).
 * It is left out on 3.1.1. Errors: TERN_E_INVALID (also a value out of range). Thread: any, one at
 * a time. Blocks: no. (MQTT 5 section 3.8.2.1.2) */
TERN_API int tern_subscription_set_identifier(tern_subscription *subscription, uint32_t identifier);
/** Adds a user property to SUBSCRIBE or UNSUBSCRIBE; left out on 3.1.1. Errors: TERN_E_INVALID,
 * TERN_E_UTF8, TERN_E_TOO_LARGE (name or value over 65,535 bytes), TERN_E_NOMEM. Thread: any, one
 * at a time. Blocks: no. (MQTT 5 section 3.8.2.1.3) */
TERN_API int tern_subscription_add_user_property(tern_subscription *subscription, const char *name,
                                                 const char *value);
/** Number of filters; 0 for NULL. Thread: any, one at a time. Blocks: no. */
TERN_API size_t tern_subscription_count(const tern_subscription *subscription);

/** Answers 1 where a topic name matches a filter (`$share/group/` is stripped), else 0. Errors: TERN_E_INVALID,
 * TERN_E_FILTER, TERN_E_TOPIC, TERN_E_UTF8, TERN_E_TOO_LARGE. Thread: any. Blocks: no. (MQTT 5 section
 * 4.7) */
TERN_API int tern_filter_matches(const char *filter, const char *topic);

TERN_END_DECLS

#endif
