/* Wake-ups of a waiting thread by eventfd or pipe.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <tern/error.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

int tern__wake_init(tern__wake *wake)
{
#ifdef __linux__
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd >= 0) {
        wake->read_fd = fd;
        wake->write_fd = fd;
        return 0;
    }
#endif
    return tern__wake_init_pipe(wake);
}

int tern__wake_init_pipe(tern__wake *wake)
{
    int ends[2];
    wake->read_fd = -1;
    wake->write_fd = -1;
#ifdef __linux__
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return TERN_E_SYSTEM;
#else
    if (pipe(ends) != 0) return TERN_E_SYSTEM;
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    }
#endif
    wake->read_fd = ends[0];
    wake->write_fd = ends[1];
    return 0;
}

void tern__wake_deinit(tern__wake *wake)
{
    if (wake->write_fd >= 0 && wake->write_fd != wake->read_fd) close(wake->write_fd);
    if (wake->read_fd >= 0) close(wake->read_fd);
    wake->read_fd = -1;
    wake->write_fd = -1;
}

void tern__wake_signal(const tern__wake *wake)
{
    const uint64_t one = 1;
    const size_t size = wake->read_fd == wake->write_fd ? sizeof one : 1;
    int saved = errno;
    /* A full pipe or counter is readable already: EAGAIN says that the wake-up is on its way. */
    while (write(wake->write_fd, &one, size) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

void tern__wake_clear(const tern__wake *wake)
{
    uint8_t drain[64];
    const int saved = errno;
    for (;;) {
        ssize_t n = read(wake->read_fd, drain, sizeof drain);
        if (n < 0 && errno == EINTR) continue;
        if (n < (ssize_t)sizeof drain) break; /* an eventfd gives 8 bytes and is empty then */
    }
    errno = saved;
}
