/* Noticing that the process was forked.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_FORK_H
#define TERN_PLATFORM_FORK_H

/* Differs between a process and its children forked after the first call; never 0. A handle keeps
 * the value of its birth and belongs to another process where the value differs. Costs one load;
 * any thread. */
unsigned tern__fork_generation(void);

#endif
