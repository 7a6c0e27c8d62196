/* Waiting for descriptors: epoll, or poll() where there is nothing better. One thread uses a poller.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_POLLER_H
#define TERN_PLATFORM_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <tern/loop.h>

typedef struct tern__poller tern__poller;

enum { TERN__READY_READ = 1, TERN__READY_WRITE = 2, TERN__READY_ERROR = 4 };

/* Whom to tell when a descriptor is ready: embedded in the object that owns the descriptor. Level-triggered. Removing any
 * source from within a ready call is allowed: it is not called any more, also where it was ready in the same round. */
typedef struct tern__source tern__source;
struct tern__source {
    void (*ready)(tern__source *source, unsigned events, uint64_t now);
};

/* TERN_E_UNSUPPORTED: not in this build. TERN_E_NOMEM, TERN_E_SYSTEM. */
int tern__poller_new(tern__poller **poller, tern_poller kind);
void tern__poller_free(tern__poller *poller);
/* `interest` is of TERN__READY_READ and TERN__READY_WRITE; 0 watches for errors alone (where the system tells). */
int tern__poller_add(tern__poller *poller, int fd, unsigned interest, tern__source *source);
int tern__poller_modify(tern__poller *poller, int fd, unsigned interest, tern__source *source);
void tern__poller_remove(tern__poller *poller, int fd);
/* Waits up to timeout_us (-1 = for ever; 0 = looks only), then calls `ready` of each source that is. Sub-millisecond
 * time-outs are kept as well as the system can (epoll_pwait2, ppoll). 0 or TERN_E_SYSTEM; *woken is the number of sources
 * called. */
int tern__poller_wait(tern__poller *poller, int64_t timeout_us, unsigned *woken);

#endif
