/* Tern, an MQTT 3.1.1 and 5 client: the one header that programs include.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TERN_H
#define TERN_TERN_H

#include <tern/blocking.h>
#include <tern/client.h>
#include <tern/error.h>
#include <tern/event.h>
#include <tern/loop.h>
#include <tern/message.h>
#include <tern/options.h>
#include <tern/subscription.h>
#include <tern/token.h>
#include <tern/types.h>

#endif
