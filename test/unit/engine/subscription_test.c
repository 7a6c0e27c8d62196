/* Subscriptions: filters and options as they go on the wire.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "engine/subscription.h"

/* [V5-U-09] */
static void filters_and_options(void **state)
{
    (void)state;
    tern_subscription *subscription;
    assert_int_equal(tern_subscription_new(&subscription), 0);
    assert_int_equal(tern_subscription_count(subscription), 0);
    assert_int_equal(tern_subscription_add(subscription, "a/#", TERN_QOS_1), 0);
    assert_int_equal(
        tern_subscription_add(subscription, "b", TERN_QOS_2 | TERN_NO_LOCAL | TERN_RETAINED_NEVER),
        0);
    assert_int_equal(tern_subscription_add(subscription, "$share/g/c", TERN_QOS_0), 0);
    /* The later replaces the earlier's options, at its place. */
    assert_int_equal(
        tern_subscription_add(subscription, "a/#", TERN_QOS_2 | TERN_RETAIN_AS_PUBLISHED), 0);
    assert_int_equal(tern_subscription_count(subscription), 3);
    static const uint8_t wire[] = "\0\3a/#\x0A\0\1b\x26\0\x0A$share/g/c";
    assert_int_equal(subscription->filters.len, sizeof wire);
    assert_memory_equal(subscription->filters.data, wire, sizeof wire);
    assert_int_equal(tern_subscription_set_identifier(subscription, 268435455), 0);
    assert_int_equal(tern_subscription_set_identifier(subscription, 268435456), TERN_E_INVALID);
    assert_int_equal(tern_subscription_set_identifier(subscription, UINT32_MAX), TERN_E_INVALID);
    assert_int_equal(subscription->identifier, 268435455);
    assert_int_equal(tern_subscription_add_user_property(subscription, "k", "v"), 0);
    assert_memory_equal(subscription->user_properties.data, "\x26\0\1k\0\1v", 7);
    tern_subscription_free(subscription);
}

/* [MQTT5-3.8.3-1] [MQTT311-3.8.3-1] [MQTT311-3.10.3-1] [MQTT5-3.8.3-4] [MQTT5-3.8.3-5] [MQTT5-4.7.1-1] */
static void what_is_refused(void **state)
{
    (void)state;
    tern_subscription *subscription;
    assert_int_equal(tern_subscription_new(NULL), TERN_E_INVALID);
    assert_int_equal(tern_subscription_new(&subscription), 0);
    assert_int_equal(tern_subscription_add(NULL, "a", 0), TERN_E_INVALID);
    assert_int_equal(tern_subscription_add(subscription, NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_subscription_add(subscription, "a", 3), TERN_E_INVALID);
    assert_int_equal(tern_subscription_add(subscription, "a", 0x40), TERN_E_INVALID);
    assert_int_equal(
        tern_subscription_add(subscription, "a", TERN_RETAINED_IF_NEW | TERN_RETAINED_NEVER),
        TERN_E_INVALID);
    assert_int_equal(tern_subscription_add(subscription, "$share/g/a", TERN_NO_LOCAL),
                     TERN_E_INVALID);
    assert_int_equal(tern_subscription_add(subscription, "", 0), TERN_E_FILTER);
    assert_int_equal(tern_subscription_add(subscription, "a/#/b", 0), TERN_E_FILTER);
    assert_int_equal(tern_subscription_add(subscription, "\xFF", 0), TERN_E_UTF8);
    assert_int_equal(tern_subscription_add_user_property(subscription, "k", NULL), TERN_E_INVALID);
    assert_int_equal(tern_subscription_add_user_property(subscription, "k", "\xFF"), TERN_E_UTF8);
    assert_int_equal(tern_subscription_set_identifier(NULL, 1), TERN_E_INVALID);
    char *longest = malloc(65537);
    assert_non_null(longest);
    memset(longest, 'a', 65536);
    longest[65536] = 0;
    assert_int_equal(tern_subscription_add(subscription, longest, 0), TERN_E_TOO_LARGE);
    assert_int_equal(tern_subscription_add_user_property(subscription, longest, ""),
                     TERN_E_TOO_LARGE);
    longest[65535] = 0;
    assert_int_equal(tern_subscription_add(subscription, longest, 0), 0);
    free(longest);
    assert_int_equal(tern_subscription_count(subscription), 1);
    assert_int_equal(tern_subscription_count(NULL), 0);
    tern_subscription_free(subscription);
    tern_subscription_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_and_options),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
