/* What is behind tern_subscription: filters with options in the form of SUBSCRIBE's payload, and properties.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_SUBSCRIPTION_H
#define TERN_ENGINE_SUBSCRIPTION_H

#include <tern/subscription.h>

#include "base/buf.h"

struct tern_subscription {
    tern__buf filters; /* SUBSCRIBE's list: length, filter, options; walk it with tern__filters_next() */
    uint32_t count;
    uint32_t identifier;
    tern__buf user_properties; /* wire form */
};

#endif
