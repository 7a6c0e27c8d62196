/** @file
 * Marks what libtern exports, and C linkage for C++ programs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_EXPORT_H
#define TERN_EXPORT_H

#include <stddef.h>

/** @def TERN_BEGIN_DECLS
 * Declarations with C linkage follow, for C++ programs too. */
/** @def TERN_END_DECLS
 * The end of what TERN_BEGIN_DECLS began. */
#ifdef __cplusplus
#define TERN_BEGIN_DECLS extern "C" {
#define TERN_END_DECLS }
#else
#define TERN_BEGIN_DECLS
#define TERN_END_DECLS
#endif

/** @def TERN_API
 * Stands before each function that libtern exports. */
#if defined(__GNUC__) && defined(TERN_BUILDING)
#define TERN_API __attribute__((visibility("default")))
#else
#define TERN_API
#endif

#endif
