/* Time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_CLOCK_H
#define TERN_PLATFORM_CLOCK_H

#include <stdint.h>

/* Microseconds of the monotonic clock; never 0. */
uint64_t tern__clock_us(void);

#endif
