/* Dispatchers: the threads that run callbacks, one unit of one mailbox after the other.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/dispatch.h"

#include <string.h>

#include "client/client.h"
#include "client/mailbox.h"
#include "platform/clock.h"

static void run(void *argument)
{
    tern__dispatcher *dispatcher = argument;
    atomic_store(&dispatcher->runner, tern__thread_self());
    tern__mutex_lock(&dispatcher->lock);
    for (;;) {
        tern__list *link = tern__list_shift(&dispatcher->ready);
        if (link != NULL) {
            tern__mailbox_run_unit_locked(TERN__CONTAINER(link, tern__mailbox, ready_link));
        } else if (dispatcher->stopping) {
            break;
        } else {
            tern__cond_wait(&dispatcher->work, &dispatcher->lock);
        }
    }
    tern__mutex_unlock(&dispatcher->lock);
}

int tern__dispatcher_init(tern__dispatcher *dispatcher, bool threaded)
{
    memset(dispatcher, 0, sizeof *dispatcher);
    dispatcher->wake = (tern__wake){-1, -1};
    tern__list_init(&dispatcher->ready);
    int rc = tern__mutex_init(&dispatcher->lock);
    if (rc != 0) return rc;
    rc = tern__cond_init(&dispatcher->work);
    if (rc != 0) {
        tern__mutex_deinit(&dispatcher->lock);
        return rc;
    }
    rc = threaded ? tern__thread_start(&dispatcher->thread, "tern-dispatch", run, dispatcher)
                  : tern__wake_init(&dispatcher->wake);
    if (rc != 0) {
        tern__cond_deinit(&dispatcher->work);
        tern__mutex_deinit(&dispatcher->lock);
        return rc;
    }
    dispatcher->threaded = threaded;
    return 0;
}

void tern__dispatcher_stop(tern__dispatcher *dispatcher)
{
    if (!dispatcher->threaded) return;
    tern__mutex_lock(&dispatcher->lock);
    dispatcher->stopping = true;
    tern__cond_signal(&dispatcher->work);
    tern__mutex_unlock(&dispatcher->lock);
    tern__thread_join(&dispatcher->thread);
    dispatcher->threaded = false;
}

void tern__dispatcher_deinit(tern__dispatcher *dispatcher)
{
    if (dispatcher->wake.read_fd >= 0) tern__wake_deinit(&dispatcher->wake);
    tern__cond_deinit(&dispatcher->work);
    tern__mutex_deinit(&dispatcher->lock);
}

bool tern__dispatcher_is_self(tern__dispatcher *dispatcher)
{
    return atomic_load_explicit(&dispatcher->runner, memory_order_relaxed) == tern__thread_self();
}

void tern__dispatcher_notify_locked(tern__dispatcher *dispatcher)
{
    tern__cond_signal(&dispatcher->work);
    if (dispatcher->wake.write_fd < 0 || dispatcher->signalled) return;
    dispatcher->signalled = true;
    tern__wake_signal(&dispatcher->wake);
}

/* Runs what is due now, but not without end where new work keeps coming. Returns whether anything ran. */
static bool run_due_locked(tern__dispatcher *dispatcher)
{
    enum { UNITS = 256 };
    int units = 0;
    while (units < UNITS && !tern__list_empty(&dispatcher->ready)) {
        tern__list *link = tern__list_shift(&dispatcher->ready);
        tern__mailbox_run_unit_locked(TERN__CONTAINER(link, tern__mailbox, ready_link));
        units++;
    }
    if (tern__list_empty(&dispatcher->ready) && dispatcher->signalled) {
        dispatcher->signalled = false;
        tern__wake_clear(&dispatcher->wake);
    }
    return units != 0;
}

int tern__dispatcher_run_manual(tern__dispatcher *dispatcher, tern__mailbox *mailbox,
                                uint64_t deadline)
{
    if (tern__dispatcher_is_self(dispatcher)) return TERN_E_WOULD_DEADLOCK;
    uintptr_t nobody = 0;
    if (!atomic_compare_exchange_strong(&dispatcher->runner, &nobody, tern__thread_self()))
        return TERN_E_STATE;
    tern__mutex_lock(&dispatcher->lock);
    bool in_time = true;
    while (tern__list_empty(&dispatcher->ready) && in_time && !mailbox->closed)
        in_time = tern__cond_wait_until(&dispatcher->work, &dispatcher->lock, deadline);
    int rc = run_due_locked(dispatcher) ? 0 : mailbox->closed ? TERN_E_CLOSED : TERN_E_TIMEOUT;
    tern__mutex_unlock(&dispatcher->lock);
    atomic_store(&dispatcher->runner, 0);
    return rc;
}
