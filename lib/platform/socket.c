/* Non-blocking stream sockets.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(sizeof(tern__iov) == sizeof(struct iovec) &&
                   offsetof(tern__iov, data) == offsetof(struct iovec, iov_base) &&
                   offsetof(tern__iov, len) == offsetof(struct iovec, iov_len),
               "pieces are handed to the system as they are");

#ifdef MSG_NOSIGNAL
enum { SEND_FLAGS = MSG_NOSIGNAL };
#else
enum { SEND_FLAGS = 0 }; /* SO_NOSIGPIPE below does it */
#endif

/* A non-blocking, close-on-exec socket, or -1 with errno. */
static int open_socket(int family)
{
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
#endif
}

static void set_number(int fd, int level, int name, uint32_t value)
{
    int number = value > INT_MAX ? INT_MAX : (int)value;
    (void)setsockopt(fd, level, name, &number, sizeof number); /* a socket without it still works */
}

static void set_option(int fd, int level, int name)
{
    set_number(fd, level, name, 1);
}

static void set_tcp(int fd, const tern__socket_options *options)
{
    if (!options->delay) set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE);
#ifdef TCP_KEEPIDLE
    if (options->keep_idle != 0) set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keep_idle);
#endif
#ifdef TCP_KEEPINTVL
    if (options->keep_interval != 0)
        set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, options->keep_interval);
#endif
#ifdef TCP_KEEPCNT
    if (options->keep_count != 0) set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, options->keep_count);
#endif
}

/* Ties the socket to a local address or an interface: 0 or errno. */
static int bind_socket(int fd, int family, const tern__socket_options *options)
{
    if (options->interface_name[0] != '\0') {
#ifdef SO_BINDTODEVICE
        const char *name = options->interface_name;
        if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) != 0)
            return errno;
#else
        return ENOTSUP;
#endif
    }
    const tern__address *local = &options->local;
    if (local->len == 0) return 0;
    if (local->storage.ss_family != family) return EAFNOSUPPORT;
    return bind(fd, (const struct sockaddr *)&local->storage, local->len) == 0 ? 0 : errno;
}

static bool is_ip(int family)
{
    return family == AF_INET || family == AF_INET6;
}

/* A TCP socket can connect to itself, where it is given the very port on this host that it asks
 * for: no server there. */
static bool connected_to_itself(int fd)
{
    tern__address own = {.len = sizeof own.storage};
    tern__address peer = {.len = sizeof peer.storage};
    if (getsockname(fd, (struct sockaddr *)&own.storage, &own.len) != 0 ||
        !is_ip(own.storage.ss_family) ||
        getpeername(fd, (struct sockaddr *)&peer.storage, &peer.len) != 0)
        return false;
    return own.len == peer.len && memcmp(&own.storage, &peer.storage, own.len) == 0;
}

int tern__socket_connect(const tern__address *address, const tern__socket_options *options, int *fd)
{
    static const tern__socket_options defaults;
    const int family = address->storage.ss_family;
    if (options == NULL) options = &defaults;
    *fd = -1;
    int opened = open_socket(family);
    if (opened < 0) return errno;
    int error = 0;
    if (is_ip(family)) {
        set_tcp(opened, options);
        error = bind_socket(opened, family, options);
    }
#ifdef SO_NOSIGPIPE
    set_option(opened, SOL_SOCKET, SO_NOSIGPIPE);
#endif
    if (error == 0 &&
        connect(opened, (const struct sockaddr *)&address->storage, address->len) != 0)
        error = errno;
    if (error == EINTR) error = EINPROGRESS; /* an interrupted connect goes on by itself */
    if (error == 0 && connected_to_itself(opened)) error = ECONNREFUSED;
    if (error != 0 && error != EINPROGRESS) {
        close(opened);
        return error;
    }
    *fd = opened;
    return error;
}

int tern__socket_connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) return errno;
    return error == 0 && connected_to_itself(fd) ? ECONNREFUSED : error;
}

int tern__socket_read(int fd, void *data, size_t len, size_t *n)
{
    ssize_t got;
    *n = 0;
    do
        got = recv(fd, data, len, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno == EWOULDBLOCK ? EAGAIN : errno;
    *n = (size_t)got;
    return 0;
}

int tern__socket_write(int fd, const tern__iov *iov, size_t count, size_t *n)
{
    assert(count <= 1024 && "more pieces than any system takes at once");
    struct msghdr message = {0};
    message.msg_iov = (struct iovec *)(uintptr_t)iov; /* sendmsg does not change it */
    message.msg_iovlen = count;
    ssize_t sent;
    *n = 0;
    do
        sent = sendmsg(fd, &message, SEND_FLAGS);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return errno == EWOULDBLOCK ? EAGAIN : errno;
    *n = (size_t)sent;
    return 0;
}

int tern__socket_finish(int fd)
{
    return shutdown(fd, SHUT_WR) == 0 ? 0 : errno;
}

void tern__socket_close(int fd)
{
    if (fd >= 0) close(fd);
}

int tern__address_unix(const char *path, tern__address *address)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t len = strlen(path);
    memset(address, 0, sizeof *address);
    if (len >= sizeof un->sun_path) return ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    address->len = (socklen_t)sizeof *un;
    return 0;
}

void tern__address_text(const tern__address *address, char *text, size_t size)
{
    const struct sockaddr *any = (const struct sockaddr *)&address->storage;
    char host[INET6_ADDRSTRLEN + 32];
    char port[8];
    if (any->sa_family == AF_UNIX) {
        snprintf(text, size, "%s", ((const struct sockaddr_un *)&address->storage)->sun_path);
    } else if (getnameinfo(any, address->len, host, sizeof host, port, sizeof port,
                           NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(text, size, "address family %d", (int)any->sa_family);
    } else {
        snprintf(text, size, any->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

bool tern__address_ip(const char *text, tern__address *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->storage;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        address->len = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        address->len = sizeof *v6;
    }
    return address->len != 0;
}
