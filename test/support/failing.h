/* Allocations that fail when a test says so, and a look at what is freed. For programs that are
 * linked with the library's allocator wrapped: test/CMakeLists.txt does that for each unit test
 * that includes this.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_FAILING_H
#define TERN_TEST_SUPPORT_FAILING_H

#include <stdbool.h>

/* The allocation after `after` more of the calling thread fails, once; other threads are left
 * alone. */
void failing_arm(long after);
/* None fails any more. Returns whether one did since failing_arm(). */
bool failing_disarm(void);

/* From now on memory of the calling thread that is given back while it holds this text is counted.
 * NULL ends it; returns the count so far. */
unsigned failing_watch(const char *secret);

#endif
