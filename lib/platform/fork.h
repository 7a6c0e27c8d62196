/* Noticing that the process was forked.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_FORK_H
#define TERN_PLATFORM_FORK_H

#include <stdatomic.h>

/* fork.c's, for the function below alone. */
extern atomic_uint tern__fork_mark;
unsigned tern__fork_begin(void);

/* Differs between a process and its children forked after the first call; never 0. A handle keeps
 * the value of its birth and belongs to another process where the value differs. Costs one load;
 * any thread. */
static inline unsigned tern__fork_generation(void)
{
    unsigned now = atomic_load_explicit(&tern__fork_mark, memory_order_acquire);
    return now != 0 ? now : tern__fork_begin();
}

#endif
