/* Lets one allocation of the library fail, in whatever thread it is made: for programs that are linked with
 * its allocator wrapped. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SWEEP_ALLOCATIONS_H
#define TERN_TEST_SWEEP_ALLOCATIONS_H

#include <stdbool.h>

/* The allocation after `after` more fails, once. */
void allocations_arm(long after);
/* None fails any more. Whether one did since allocations_arm(). */
bool allocations_disarm(void);
/* The calling thread's allocations are not what is tried. */
void allocations_exempt_thread(void);

#endif
