/* Files as far as they are looked at, or appended to.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_FILE_H
#define TERN_PLATFORM_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A number that differs, but for bad luck, once the file was replaced or changed; 0 where there is none. */
uint64_t tern__file_stamp(const char *path);
/* Appends to a file, which is made for its owner's eyes alone; never waits for a reader. 0 or errno. */
int tern__file_append(const char *path, const void *data, size_t len);

#endif
