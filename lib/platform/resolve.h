/* Name resolution off the loop: a few helper threads per resolver, started when needed; answers come back through the
 * poller. All calls belong to the poller's thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_RESOLVE_H
#define TERN_PLATFORM_RESOLVE_H

#include <stdint.h>

#include "platform/poller.h"
#include "platform/socket.h"

typedef struct tern__resolver tern__resolver;
typedef struct tern__lookup tern__lookup;

/* `addresses` are borrowed until the callback returns, in the system's order of preference. On failure count is 0 and why
 * is a sentence. Called on the poller's thread. */
typedef void (*tern__lookup_callback)(void *user_data, const tern__address *addresses, size_t count,
                                      const char *why);

int tern__resolver_new(tern__resolver **resolver, tern__poller *poller);
/* Lookups still running are abandoned, their handles are gone: their thread ends by itself and touches nothing of the
 * resolver's user. Never waits for a name server. NULL does nothing. */
void tern__resolver_free(tern__resolver *resolver);
/* Numeric addresses are answered without a thread (still through the callback from the poller, never within this call). */
int tern__lookup_start(tern__lookup **lookup, tern__resolver *resolver, const char *host, uint16_t port,
                       tern__lookup_callback callback, void *user_data);
/* Its callback is not called any more; not for a lookup whose callback was called, which ended it. NULL does nothing. */
void tern__lookup_cancel(tern__lookup *lookup);

#endif
