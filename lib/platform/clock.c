/* The monotonic clock in microseconds, and the wall clock in seconds.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/clock.h"

#include <time.h>

uint64_t tern__clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t us = (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
    return us != 0 ? us : 1;
}

uint64_t tern__clock_wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
}
