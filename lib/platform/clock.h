/* Time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_CLOCK_H
#define TERN_PLATFORM_CLOCK_H

#include <stdint.h>

/* Microseconds of the monotonic clock; never 0. */
uint64_t tern__clock_us(void);

/* Seconds since 1970 of the wall clock, which may jump and be wrong; for what others judge by theirs. */
uint64_t tern__clock_wall_s(void);

#endif
