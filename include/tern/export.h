/* Marks what libtern exports, and C linkage for C++ programs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_EXPORT_H
#define TERN_EXPORT_H

#include <stddef.h>

#ifdef __cplusplus
#define TERN_BEGIN_DECLS extern "C" {
#define TERN_END_DECLS }
#else
#define TERN_BEGIN_DECLS
#define TERN_END_DECLS
#endif

#if defined(__GNUC__) && defined(TERN_BUILDING)
#define TERN_API __attribute__((visibility("default")))
#else
#define TERN_API
#endif

#endif
