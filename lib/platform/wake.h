/* Waking a thread that waits for descriptors: an eventfd, or a pipe where there is none.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_WAKE_H
#define TERN_PLATFORM_WAKE_H

/* read_fd is readable from a signal until the next clear. */
typedef struct tern__wake {
    int read_fd;
    int write_fd; /* the same descriptor for an eventfd */
} tern__wake;

int tern__wake_init(tern__wake *wake); /* 0 or TERN_E_SYSTEM */
/* As tern__wake_init(), with a pipe even where eventfds exist. */
int tern__wake_init_pipe(tern__wake *wake);
void tern__wake_deinit(tern__wake *wake);
void tern__wake_signal(const tern__wake *wake); /* any thread, async-signal-safe */
void tern__wake_clear(const tern__wake *wake);

#endif
