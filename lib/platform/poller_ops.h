/* What a kind of poller provides: within the platform room only.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_POLLER_OPS_H
#define TERN_PLATFORM_POLLER_OPS_H

#include "platform/poller.h"

typedef struct tern__poller_ops {
    void (*free)(tern__poller *poller);
    int (*add)(tern__poller *poller, int fd, unsigned interest, tern__source *source);
    int (*modify)(tern__poller *poller, int fd, unsigned interest, tern__source *source);
    void (*remove)(tern__poller *poller, int fd);
    int (*wait)(tern__poller *poller, int64_t timeout_us, unsigned *woken);
} tern__poller_ops;

/* The first member of each kind. */
struct tern__poller {
    const tern__poller_ops *ops;
};

/* 0, TERN_E_NOMEM, TERN_E_SYSTEM; TERN_E_UNSUPPORTED where the system has no epoll. */
int tern__poller_epoll_new(tern__poller **poller);
/* 0, TERN_E_NOMEM. */
int tern__poller_poll_new(tern__poller **poller);

/* Grows a table indexed by descriptor so that fd has a row, new rows zeroed: 0 or TERN_E_NOMEM. */
int tern__poller_grow(void **rows, size_t *count, size_t row_size, int fd);

#endif
