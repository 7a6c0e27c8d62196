/* What the operating system's error numbers mean, in words.
 * SPDX-License-Identifier: Apache-2.0 */
#undef _GNU_SOURCE /* the POSIX form of strerror_r */
#define _POSIX_C_SOURCE 200809L
#include "platform/os_error.h"

#include <stdio.h>
#include <string.h>

const char *tern__os_error_text(int os_error, char *buffer, size_t size)
{
    if (strerror_r(os_error, buffer, size) != 0) snprintf(buffer, size, "error %d", os_error);
    return buffer;
}
