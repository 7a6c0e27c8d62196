/* Sockets: opened, refused, written to after the peer's end, and their addresses in words.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/socket.h"
#include "support/net.h"

static tern__address ipv4(uint16_t port)
{
    tern__address address = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static tern__address ipv6(uint16_t port)
{
    tern__address address = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&address.storage;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    in->sin6_addr = in6addr_loopback;
    return address;
}

/* 0 or the errno that connecting ended with; *fd is open on 0. */
static int connect_fully(const tern__address *address, int *fd)
{
    int error = tern__socket_connect(address, NULL, fd);
    if (error != EINPROGRESS) return error;
    struct pollfd one = {*fd, POLLOUT, 0};
    assert_int_equal(poll(&one, 1, NET_PATIENCE_MS), 1);
    error = tern__socket_connect_result(*fd);
    if (error != 0) {
        tern__socket_close(*fd);
        *fd = -1;
    }
    return error;
}

static void exchange(int fd, int peer)
{
    char data[16];
    size_t n = 99;
    tern__iov pieces[] = {{(char[]){"one "}, 4}, {(char[]){"two"}, 3}};
    assert_int_equal(tern__socket_read(fd, data, sizeof data, &n), EAGAIN);
    assert_int_equal(n, 0);
    assert_int_equal(tern__socket_write(fd, pieces, 2, &n), 0);
    assert_int_equal(n, 7);
    assert_int_equal(net_read(peer, data, 7, NET_PATIENCE_MS), 7);
    assert_memory_equal(data, "one two", 7);
    assert_true(net_write(peer, "back", 4));
    assert_true(net_readable(fd, NET_PATIENCE_MS));
    assert_int_equal(tern__socket_read(fd, data, sizeof data, &n), 0);
    assert_int_equal(n, 4);
}

static void connects_over_tcp(void **state)
{
    (void)state;
    for (int six = 0; six < 2; six++) {
        uint16_t port;
        int fd;
        int listener = net_listen(six != 0 ? "::1" : "127.0.0.1", &port);
        if (listener < 0 && six != 0) continue; /* a machine without IPv6 */
        assert_true(listener >= 0);
        tern__address address = six != 0 ? ipv6(port) : ipv4(port);
        assert_int_equal(connect_fully(&address, &fd), 0);
        int on = 0;
        socklen_t len = sizeof on;
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_true(on != 0);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
        assert_true(on != 0);
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        int peer = net_accept(listener, NET_PATIENCE_MS);
        assert_true(peer >= 0);
        exchange(fd, peer);
        close(peer);
        close(listener);
        tern__socket_close(fd);
    }
}

static void connects_over_a_unix_socket(void **state)
{
    (void)state;
    char dir[64];
    char path[100];
    int fd;
    tern__address address;
    assert_true(net_temp_dir(dir, sizeof dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    assert_int_equal(tern__address_unix(path, &address), 0);
    assert_int_equal(connect_fully(&address, &fd), ENOENT);
    assert_int_equal(fd, -1);
    int listener = net_listen_unix(path);
    assert_true(listener >= 0);
    assert_int_equal(connect_fully(&address, &fd), 0);
    int peer = net_accept(listener, NET_PATIENCE_MS);
    exchange(fd, peer);
    tern__socket_close(fd);
    close(peer);
    close(listener);
    assert_int_equal(connect_fully(&address, &fd), ECONNREFUSED);
    net_remove_dir(dir);
}

static void a_refused_connection_says_so(void **state)
{
    (void)state;
    uint16_t port;
    int fd;
    int reserved = net_refusing_port(&port);
    tern__address address = ipv4(port);
    assert_int_equal(connect_fully(&address, &fd), ECONNREFUSED);
    close(reserved);
}

/* A socket bound to the port that it connects to meets itself, as happens by chance to who tries
 * again and again. */
static void a_connection_to_itself_is_no_server(void **state)
{
    (void)state;
    uint16_t port;
    int fd = net_refusing_port(&port);
    tern__address address = ipv4(port);
    assert_int_equal(connect(fd, (struct sockaddr *)&address.storage, address.len), 0);
    assert_int_equal(tern__socket_connect_result(fd), ECONNREFUSED);
    close(fd);
}

/* [C20]: no SIGPIPE, which would end this test. */
static void writing_to_a_broken_connection_is_an_error(void **state)
{
    (void)state;
    uint16_t port;
    int fd;
    int listener = net_listen("127.0.0.1", &port);
    tern__address address = ipv4(port);
    assert_int_equal(connect_fully(&address, &fd), 0);
    int peer = net_accept(listener, NET_PATIENCE_MS);
    net_reset(peer);
    assert_true(net_readable(fd, NET_PATIENCE_MS));
    char data[4] = "abc";
    size_t n;
    tern__iov piece = {data, 3};
    assert_int_equal(tern__socket_read(fd, data, sizeof data, &n), ECONNRESET);
    assert_int_equal(tern__socket_write(fd, &piece, 1, &n), EPIPE);
    assert_int_equal(n, 0);
    tern__socket_close(fd);
    close(listener);
}

static void the_peers_end_reads_as_nothing(void **state)
{
    (void)state;
    uint16_t port;
    int fd;
    int listener = net_listen("127.0.0.1", &port);
    tern__address address = ipv4(port);
    assert_int_equal(connect_fully(&address, &fd), 0);
    close(net_accept(listener, NET_PATIENCE_MS));
    assert_true(net_readable(fd, NET_PATIENCE_MS));
    char data[4];
    size_t n = 99;
    assert_int_equal(tern__socket_read(fd, data, sizeof data, &n), 0);
    assert_int_equal(n, 0);
    tern__socket_close(fd);
    tern__socket_close(-1);
    close(listener);
}

static void addresses_have_texts(void **state)
{
    (void)state;
    char text[128];
    char small[8];
    tern__address four = ipv4(1883);
    tern__address six = ipv6(8883);
    tern__address local;
    tern__address_text(&four, text, sizeof text);
    assert_string_equal(text, "127.0.0.1:1883");
    tern__address_text(&four, small, sizeof small);
    assert_string_equal(small, "127.0.0");
    tern__address_text(&six, text, sizeof text);
    assert_string_equal(text, "[::1]:8883");
    assert_int_equal(tern__address_unix("/run/broker.sock", &local), 0);
    tern__address_text(&local, text, sizeof text);
    assert_string_equal(text, "/run/broker.sock");
}

static void a_long_path_does_not_fit(void **state)
{
    (void)state;
    char path[200];
    tern__address address;
    memset(path, 'a', sizeof path);
    path[107] = '\0';
    assert_int_equal(tern__address_unix(path, &address), 0);
    path[107] = 'a';
    path[108] = '\0';
    assert_int_equal(tern__address_unix(path, &address), ENAMETOOLONG);
}

/* Connects with options to a listener; the client's end, and the peer's in *accepted. */
static int connected(uint16_t port, int listener, const tern__socket_options *options, int *accepted)
{
    int fd = -1;
    tern__address address = ipv4(port);
    int rc = tern__socket_connect(&address, options, &fd);
    assert_true(rc == 0 || rc == EINPROGRESS);
    *accepted = net_accept(listener, 5000);
    assert_true(*accepted >= 0);
    return fd;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void a_socket_is_bound_where_it_is_told(void **state)
{
    (void)state;
    uint16_t port;
    int listener = net_listen("127.0.0.1", &port);
    tern__socket_options options = {.interface_name = "lo"};
    assert_true(tern__address_ip("127.0.0.2", &options.local));
    int accepted;
    int fd = connected(port, listener, &options, &accepted);
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    assert_int_equal(getpeername(accepted, (struct sockaddr *)&peer, &len), 0);
    assert_int_equal(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK + 1);
    tern__socket_close(fd);
    close(accepted);

    tern__address address = ipv4(port);
    assert_true(tern__address_ip("::1", &options.local));
    assert_int_equal(tern__socket_connect(&address, &options, &fd), EAFNOSUPPORT);
    assert_int_equal(fd, -1);
    options = (tern__socket_options){.interface_name = "no-such-if0"};
    assert_int_equal(tern__socket_connect(&address, &options, &fd), ENODEV);
    assert_int_equal(fd, -1);
    close(listener);
}

static void a_socket_has_the_options_that_it_is_told(void **state)
{
    (void)state;
    uint16_t port;
    int accepted;
    int listener = net_listen("127.0.0.1", &port);
    int fd = connected(port, listener, NULL, &accepted);
    assert_int_not_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_not_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    tern__socket_close(fd);
    close(accepted);
    tern__socket_options options = {.delay = true, .keep_idle = 17, .keep_interval = 5, .keep_count = 3};
    fd = connected(port, listener, &options, &accepted);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 17);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    tern__socket_close(fd);
    close(accepted);
    close(listener);
}

static void reads_addresses_from_text(void **state)
{
    (void)state;
    tern__address address;
    char text[80];
    assert_true(tern__address_ip("::ffff:1.2.3.4", &address));
    assert_int_equal(address.storage.ss_family, AF_INET6);
    assert_true(tern__address_ip("10.0.0.1", &address));
    tern__address_text(&address, text, sizeof text);
    assert_string_equal(text, "10.0.0.1:0");
    assert_false(tern__address_ip("localhost", &address));
    assert_false(tern__address_ip("[::1]", &address));
    assert_false(tern__address_ip("", &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_over_tcp),
        cmocka_unit_test(connects_over_a_unix_socket),
        cmocka_unit_test(a_refused_connection_says_so),
        cmocka_unit_test(a_connection_to_itself_is_no_server),
        cmocka_unit_test(writing_to_a_broken_connection_is_an_error),
        cmocka_unit_test(the_peers_end_reads_as_nothing),
        cmocka_unit_test(addresses_have_texts),
        cmocka_unit_test(a_long_path_does_not_fit),
        cmocka_unit_test(a_socket_is_bound_where_it_is_told),
        cmocka_unit_test(a_socket_has_the_options_that_it_is_told),
        cmocka_unit_test(reads_addresses_from_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
