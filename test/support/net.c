/* Sockets, files and processes for tests.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/net.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int left_of(int64_t deadline)
{
    int64_t left = deadline - now_ms();
    return left > 0 ? (int)left : 0;
}

/* ---- sockets ---- */

static socklen_t loopback(const char *address, uint16_t port, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    if (strchr(address, ':') != NULL) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        inet_pton(AF_INET6, address, &in6->sin6_addr);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    inet_pton(AF_INET, address, &in->sin_addr);
    return sizeof *in;
}

/* A bound socket, or -1. */
int net_bind_at(const char *address, uint16_t port)
{
    struct sockaddr_storage storage;
    socklen_t len = loopback(address, port, &storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&storage, len) == 0) return fd;
    close(fd);
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof storage;
    getsockname(fd, (struct sockaddr *)&storage, &len);
    return ntohs(storage.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&storage)->sin6_port
                                               : ((struct sockaddr_in *)&storage)->sin_port);
}

static int start_listening(int fd)
{
    if (fd < 0 || listen(fd, 1024) == 0) return fd;
    close(fd);
    return -1;
}

int net_listen_at(const char *address, uint16_t port)
{
    return start_listening(net_bind_at(address, port));
}

int net_listen(const char *address, uint16_t *port)
{
    int fd = net_listen_at(address, 0);
    *port = fd >= 0 ? port_of(fd) : 0;
    return fd;
}

int net_refusing_port(uint16_t *port)
{
    int fd = net_bind_at("127.0.0.1", 0);
    *port = fd >= 0 ? port_of(fd) : 0;
    return fd;
}

int net_listen_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof un.sun_path) return -1;
    memcpy(un.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)&un, sizeof un) == 0) return start_listening(fd);
    close(fd);
    return -1;
}

int net_accept(int listener, int timeout_ms)
{
    return net_readable(listener, timeout_ms) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

int net_connect(const char *address, uint16_t port)
{
    struct sockaddr_storage storage;
    socklen_t len = loopback(address, port, &storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&storage, len) == 0) return fd;
    close(fd);
    return -1;
}

bool net_readable(int fd, int timeout_ms)
{
    struct pollfd one = {fd, POLLIN, 0};
    const int64_t deadline = now_ms() + timeout_ms;
    int n;
    do
        n = poll(&one, 1, left_of(deadline));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

size_t net_read(int fd, void *data, size_t len, int timeout_ms)
{
    const int64_t deadline = now_ms() + timeout_ms;
    size_t got = 0;
    while (got < len && net_readable(fd, left_of(deadline))) {
        ssize_t n = read(fd, (char *)data + got, len - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

bool net_write(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len != 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

void net_reset(int fd)
{
    const struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

bool net_wait_until(bool (*condition)(void *), void *argument, int timeout_ms)
{
    const int64_t deadline = now_ms() + timeout_ms;
    while (!condition(argument)) {
        if (left_of(deadline) == 0) return false;
        poll(NULL, 0, 1);
    }
    return true;
}

/* ---- files ---- */

bool net_temp_dir(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(path, size, "%s/tern-test-XXXXXX",
                     base != NULL && strlen(base) < 32 ? base : "/tmp");
    return n > 0 && (size_t)n < size && mkdtemp(path) != NULL;
}

void net_remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL) closedir(dir);
    rmdir(path);
}

/* ---- processes ---- */

static void run_child(char *const arguments[], const char *log)
{
    int out = open(log != NULL ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (out >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
        execvp(arguments[0], arguments);
    _exit(127);
}

pid_t net_spawn(char *const arguments[], const char *log)
{
    pid_t pid = fork();
    if (pid == 0) run_child(arguments, log);
    return pid > 0 ? pid : 0;
}

char *net_said(const char *log)
{
    struct stat about = {0};
    FILE *file = fopen(log, "r");
    const size_t size = file != NULL && fstat(fileno(file), &about) == 0 ? (size_t)about.st_size : 0;
    char *text = malloc(size + 1);
    if (text == NULL) abort();
    size_t len = file != NULL ? fread(text, 1, size, file) : 0;
    if (file != NULL) fclose(file);
    while (len > 0 && text[len - 1] != '\n') len--;
    text[len] = '\0';
    return text;
}

typedef struct saying {
    const char *log;
    const char *text;
} saying;

static bool is_said(void *argument)
{
    const saying *wanted = argument;
    char *text = net_said(wanted->log);
    const bool said = strstr(text, wanted->text) != NULL;
    free(text);
    return said;
}

bool net_wait_said(const char *log, const char *text, int timeout_ms)
{
    saying wanted = {log, text};
    return net_wait_until(is_said, &wanted, timeout_ms);
}

typedef struct endpoint {
    const char *address;
    uint16_t port;
} endpoint;

static bool accepts(void *argument)
{
    const endpoint *where = argument;
    int fd = net_connect(where->address, where->port);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

bool net_wait_listening(const char *address, uint16_t port, int timeout_ms)
{
    endpoint where = {address, port};
    return net_wait_until(accepts, &where, timeout_ms);
}

typedef struct child {
    pid_t pid;
    int status;
} child;

static bool has_ended(void *argument)
{
    child *it = argument;
    return waitpid(it->pid, &it->status, WNOHANG) != 0;
}

int net_stop(pid_t pid, int signal_number, int timeout_ms)
{
    child it = {pid, 0};
    if (pid <= 0) return 0;
    kill(pid, signal_number);
    if (net_wait_until(has_ended, &it, timeout_ms)) return it.status;
    kill(pid, SIGKILL);
    waitpid(pid, &it.status, 0);
    return it.status;
}
