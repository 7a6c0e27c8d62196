/* What the operating system's error numbers mean, in words.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_OS_ERROR_H
#define TERN_PLATFORM_OS_ERROR_H

#include <stddef.h>

/* Writes the text of an errno value into buffer and returns it. */
const char *tern__os_error_text(int os_error, char *buffer, size_t size);

#endif
