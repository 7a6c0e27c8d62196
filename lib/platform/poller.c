/* The choice between the kinds of poller, and what they share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/poller.h"

#include <poll.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "platform/poller_ops.h"

enum { BROKEN_MS = 10 };

int tern__poller_new(tern__poller **poller, tern_poller kind)
{
    *poller = NULL;
    int rc = TERN_E_UNSUPPORTED;
    if (kind == TERN_POLLER_DEFAULT || kind == TERN_POLLER_EPOLL)
        rc = tern__poller_epoll_new(poller);
    if (kind == TERN_POLLER_POLL || (kind == TERN_POLLER_DEFAULT && rc == TERN_E_UNSUPPORTED))
        rc = tern__poller_poll_new(poller);
    return rc;
}

void tern__poller_free(tern__poller *poller)
{
    if (poller != NULL) poller->ops->free(poller);
}

int tern__poller_add(tern__poller *poller, int fd, unsigned interest, tern__source *source)
{
    return poller->ops->add(poller, fd, interest, source);
}

int tern__poller_modify(tern__poller *poller, int fd, unsigned interest, tern__source *source)
{
    return poller->ops->modify(poller, fd, interest, source);
}

void tern__poller_remove(tern__poller *poller, int fd)
{
    poller->ops->remove(poller, fd);
}

int tern__poller_wait(tern__poller *poller, int64_t timeout_us, unsigned *woken)
{
    int rc = poller->ops->wait(poller, timeout_us, woken);
    /* A program that closed all descriptors took this one too: the owner still has timers, and must not spin between them. */
    if (rc != 0) (void)poll(NULL, 0, BROKEN_MS);
    return rc;
}

int tern__poller_grow(void **rows, size_t *count, size_t row_size, int fd)
{
    size_t wanted = *count != 0 ? *count : 16;
    while (wanted <= (size_t)fd)
        wanted *= 2;
    if (wanted == *count) return 0;
    char *grown = tern__realloc(*rows, wanted * row_size);
    if (grown == NULL) return TERN_E_NOMEM;
    memset(grown + *count * row_size, 0, (wanted - *count) * row_size);
    *rows = grown;
    *count = wanted;
    return 0;
}
