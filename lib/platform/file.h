/* Files as far as they are only looked at.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_FILE_H
#define TERN_PLATFORM_FILE_H

#include <stdint.h>

/* A number that differs, but for bad luck, once the file was replaced or changed; 0 where there is none. */
uint64_t tern__file_stamp(const char *path);

#endif
