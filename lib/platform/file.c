/* Files as far as they are looked at, or appended to.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t mix(uint64_t stamp, uint64_t value)
{
    return (stamp ^ value) * UINT64_C(0x9E3779B97F4A7C15);
}

uint64_t tern__file_stamp(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) return 0;
    uint64_t stamp = mix(1, (uint64_t)found.st_ino);
    stamp = mix(stamp, (uint64_t)found.st_size);
    stamp = mix(stamp, (uint64_t)found.st_mtime);
#ifdef __linux__
    stamp = mix(stamp, (uint64_t)found.st_mtim.tv_nsec);
#endif
    return stamp | 1;
}

int tern__file_append(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, S_IRUSR | S_IWUSR);
    if (fd < 0) return errno;
    ssize_t n = write(fd, data, len);
    int error = n < 0 ? errno : (size_t)n < len ? EIO : 0;
    close(fd);
    return error;
}
