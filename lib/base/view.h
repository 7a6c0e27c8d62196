/* Borrowed bytes: a pointer and a length, owned by someone else.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_VIEW_H
#define TERN_BASE_VIEW_H

#include <stddef.h>
#include <stdint.h>

/* Read-only bytes that live elsewhere. data may be NULL only where len is 0. */
typedef struct tern__view {
    const uint8_t *data;
    size_t len;
} tern__view;

/* One piece of output. Same layout as POSIX's struct iovec, so that sockets take an array as it is. */
typedef struct tern__iov {
    void *data;
    size_t len;
} tern__iov;

#endif
