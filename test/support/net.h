/* Helpers for tests with real sockets, files and processes. All waits have deadlines; none sleeps
 * blindly. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SUPPORT_NET_H
#define TERN_TEST_SUPPORT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { NET_PATIENCE_MS = 20000 }; /* how long a test waits for what must happen */

/* A listening socket on a free port of `address` ("127.0.0.1", "::1"); -1 where the system has no
 * such address. */
int net_listen(const char *address, uint16_t *port);
/* As net_listen(), on a given port: a server that comes back. */
int net_listen_at(const char *address, uint16_t port);
/* A socket on a given port that does not listen: connections are refused there. */
int net_bind_at(const char *address, uint16_t port);
/* A port where connections are refused as long as the returned descriptor is open. */
int net_refusing_port(uint16_t *port);
int net_listen_unix(const char *path);
/* Accepts one connection (blocking socket, close-on-exec), -1 where none came in time. */
int net_accept(int listener, int timeout_ms);
/* A connected blocking socket to a loopback port, -1 where that fails. */
int net_connect(const char *address, uint16_t port);

/* Whether fd became readable (the peer's end counts) in time. */
bool net_readable(int fd, int timeout_ms);
/* Reads up to len bytes until all came, the peer ended or the time was over; returns their number.
 */
size_t net_read(int fd, void *data, size_t len, int timeout_ms);
/* False where the peer is gone. */
bool net_write(int fd, const void *data, size_t len);
/* Closes so that the peer sees a reset. */
void net_reset(int fd);

/* Asks until the condition holds: false when the time was over first. */
bool net_wait_until(bool (*condition)(void *), void *argument, int timeout_ms);

/* A new empty folder (path of at least 64 bytes); net_remove_dir() removes it with the files in it.
 */
bool net_temp_dir(char *path, size_t size);
void net_remove_dir(const char *path);

/* Starts a program (found by PATH), its output going to `log` (NULL: nowhere); 0 where it could not
 * start. */
pid_t net_spawn(char *const arguments[], const char *log);
/* What a program has said in its log so far, in whole lines: a line may be written in pieces, and half a number is one too. Freed by the caller. */
char *net_said(const char *log);
/* Until it has said the text. */
bool net_wait_said(const char *log, const char *text, int timeout_ms);
/* Until somebody accepts connections on the port. */
bool net_wait_listening(const char *address, uint16_t port, int timeout_ms);
/* Sends the signal and waits for the end; kills where it does not come in time. Returns the wait
 * status. */
int net_stop(pid_t pid, int signal_number, int timeout_ms);

#endif
