/* Random bytes: getrandom() where the system has it, else /dev/urandom.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <tern/error.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#endif

/* The number of bytes got at once, or -1 with errno. */
static ssize_t get_some(void *buffer, size_t size)
{
#ifdef __linux__
    return getrandom(buffer, size, 0);
#else
    (void)buffer;
    (void)size;
    errno = ENOSYS;
    return -1;
#endif
}

static int read_device(uint8_t *at, size_t size)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return TERN_E_SYSTEM;
    while (size != 0) {
        ssize_t n = read(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        at += n;
        size -= (size_t)n;
    }
    close(fd);
    return size == 0 ? 0 : TERN_E_SYSTEM;
}

int tern__random(void *buffer, size_t size)
{
    uint8_t *at = buffer;
    while (size != 0) {
        ssize_t n = get_some(at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return read_device(at, size); /* an old kernel, or a sandbox that forbids the call */
        at += n;
        size -= (size_t)n;
    }
    return 0;
}
