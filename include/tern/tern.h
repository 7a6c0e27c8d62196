/** @file
 * Tern, an MQTT 3.1.1 and 5 client: the one header that programs include.
 *
 * What all comments take for granted:
 * - A fallible function returns 0 or a negative TERN_E_* code; what it hands out through a pointer
 *   is NULL or 0 on failure. Where no cause is given, TERN_E_INVALID means a NULL where none is
 *   allowed, and TERN_E_NOMEM that memory ran out and nothing was done.
 * - What is passed in is borrowed for the call and copied if it is kept. `user_data` alone is kept
 *   as it is.
 * - Times are milliseconds where the name ends in `_ms`. Text is UTF-8 and NUL-terminated.
 * - `Thread:` says who may call, `Blocks:` how long the call may wait. "no" may still wait for a
 *   short lock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TERN_H
#define TERN_TERN_H

#include <tern/attempt.h>
#include <tern/aws.h>
#include <tern/azure.h>
#include <tern/batch.h>
#include <tern/blocking.h>
#include <tern/client.h>
#include <tern/compress.h>
#include <tern/error.h>
#include <tern/event.h>
#include <tern/feed.h>
#include <tern/loop.h>
#include <tern/message.h>
#include <tern/options.h>
#include <tern/pool.h>
#include <tern/subscription.h>
#include <tern/tls.h>
#include <tern/token.h>
#include <tern/transform.h>
#include <tern/types.h>

#endif
