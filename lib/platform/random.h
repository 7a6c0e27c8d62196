/* Random bytes from the system.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_RANDOM_H
#define TERN_PLATFORM_RANDOM_H

#include <stddef.h>

/* Fills the buffer: 0 or TERN_E_SYSTEM. Never blocks once the system has started up. */
int tern__random(void *buffer, size_t size);

#endif
