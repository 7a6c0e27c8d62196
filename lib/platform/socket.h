/* Sockets, non-blocking and close-on-exec; errors are errno values.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_PLATFORM_SOCKET_H
#define TERN_PLATFORM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/view.h"

typedef struct tern__address {
    struct sockaddr_storage storage;
    socklen_t len;
} tern__address;

/* How a TCP socket is set up; all zero are the defaults. */
typedef struct tern__socket_options {
    bool delay;                 /* without TCP_NODELAY */
    uint32_t keep_idle;         /* seconds until the first TCP keepalive probe; 0: the system's */
    uint32_t keep_interval;     /* seconds between probes; 0: the system's */
    uint32_t keep_count;        /* probes without an answer until the connection is lost; 0: the system's */
    tern__address local;        /* bound to this address, of any port; len 0: to none */
    char interface_name[32];    /* bound to this interface; "" to none */
} tern__socket_options;

/* Opens a socket and starts connecting: 0 connected, EINPROGRESS under way, else errno; *fd is -1 on failure. TCP gets
 * TCP_NODELAY and SO_KEEPALIVE; options may be NULL. EAFNOSUPPORT: the local address is of another family. */
int tern__socket_connect(const tern__address *address, const tern__socket_options *options, int *fd);
/* How a connect under way ended: 0 or errno. */
int tern__socket_connect_result(int fd);
/* One read or sendmsg, never raising SIGPIPE: 0 with *n bytes (read: 0 bytes = the peer's end), or errno (EAGAIN). EINTR is
 * tried again. */
int tern__socket_read(int fd, void *data, size_t len, size_t *n);
int tern__socket_write(int fd, const tern__iov *iov, size_t count, size_t *n);
/* No more will be written: what is under way goes out, then the peer reads the end. 0 or errno. */
int tern__socket_finish(int fd);
void tern__socket_close(int fd);
/* A Unix socket's address: 0 or ENAMETOOLONG. */
int tern__address_unix(const char *path, tern__address *address);
/* An IP address in text, with port 0; false where it is none. */
bool tern__address_ip(const char *text, tern__address *address);
/* "127.0.0.1:1883", "[::1]:1883", "/run/broker.sock". */
void tern__address_text(const tern__address *address, char *text, size_t size);

#endif
