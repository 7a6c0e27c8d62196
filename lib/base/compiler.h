/* Hints for the compiler.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_COMPILER_H
#define TERN_BASE_COMPILER_H

/* Keeps what seldom runs out of the way of what always does. */
#define TERN__COLD __attribute__((cold, noinline))

/* Becomes part of each caller, so that what is constant there is worked out beforehand. */
#define TERN__INLINED inline __attribute__((always_inline))

#endif
