/* tern-doctor: walks the way to a server step by step, and prints what it finds at each.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

enum { TCP_MS = 3000 };

typedef struct doctor {
    cli cli;
    run run;
    bool well;
} doctor;

static bool take(void *owner, int letter, const char *value)
{
    (void)owner;
    (void)letter;
    (void)value;
    return false;
}

static const cli_option options[] = {{0, NULL, NULL, NULL}};

static const cli_program program = {
    .name = "tern-doctor",
    .purpose = "Walks the way to an MQTT server step by step and prints what it finds: addresses, TCP,\n"
               "proxy, TLS with the server's certificates, WebSocket, and CONNACK with the server's limits.",
    .usage = "[options] URL",
    .epilogue = "URL is mqtt://, mqtts://, ws:// or wss:// with [user[:password]@]host[:port][/path], or\n"
                "unix:///path. Passwords are never printed.\n\n"
                "Exit status: 0 all is well, 1 wrong usage, 2 some step failed, 27 -W passed first.\n",
    .options = options,
    .take = take,
};

static void finding(const char *step, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void finding(const char *step, const char *format, ...)
{
    va_list arguments;
    printf("%-12s", step);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* ---- addresses and TCP ---- */

static double ms_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e3 + (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

/* Host and port of a URL that was checked before; false for a Unix socket's. */
static bool split(const char *url, char *host, char *port, size_t size)
{
    const char *at = strstr(url, "://") + 3;
    if (strncmp(url, "unix", 4) == 0) return false;
    size_t authority = strcspn(at, "/?#");
    for (const char *c = at; c < at + authority; c++)
        if (*c == '@') {
            authority -= (size_t)(c + 1 - at);
            at = c + 1;
        }
    bool bracket = *at == '[';
    size_t len = bracket ? strcspn(++at, "]") : strcspn(at, ":/?#");
    const char *colon = at + len + (bracket ? 1 : 0);
    bool tls = strncmp(url, "mqtts", 5) == 0 || strncmp(url, "ssl", 3) == 0 || strncmp(url, "tls", 3) == 0;
    const char *usual = strncmp(url, "wss", 3) == 0 ? "443" : strncmp(url, "ws", 2) == 0 ? "80" : tls ? "8883" : "1883";
    snprintf(host, size, "%.*s", (int)len, at);
    if (*colon == ':') {
        snprintf(port, size, "%.*s", (int)strcspn(colon + 1, "/?#"), colon + 1);
    } else {
        snprintf(port, size, "%s", usual);
    }
    return true;
}

/* Connects to one address: 0 or errno. */
static int try_tcp(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno;
    int error = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        struct pollfd ready = {fd, POLLOUT, 0};
        socklen_t size = sizeof error;
        if (poll(&ready, 1, TCP_MS) <= 0) error = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    }
    close(fd);
    return error;
}

static void look_at_addresses(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int rc = getaddrinfo(host, port, &hints, &all);
    if (rc != 0) {
        finding("addresses", "%s: %s (%.1f ms)", host, gai_strerror(rc), ms_since(&start));
        return;
    }
    finding("addresses", "%s resolved in %.1f ms", host, ms_since(&start));
    for (const struct addrinfo *it = all; it != NULL; it = it->ai_next) {
        char text[64] = "?";
        (void)getnameinfo(it->ai_addr, it->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        clock_gettime(CLOCK_MONOTONIC, &start);
        int error = try_tcp(it);
        finding("tcp", "%s port %s: %s (%.1f ms)", text, port, error == 0 ? "open" : strerror(error), ms_since(&start));
    }
    freeaddrinfo(all);
}

/* ---- the attempt ---- */

static void print_tls(const tern_event *event)
{
    const char *version = tern_event_tls_version(event);
    if (version == NULL) return;
    const char *protocol = tern_event_tls_protocol(event);
    finding("tls", "%s, %s%s%s%s", version, tern_event_tls_cipher(event), protocol != NULL ? ", protocol " : "",
            protocol != NULL ? protocol : "", tern_event_tls_resumed(event) ? ", resumed" : "");
    for (size_t i = 0; i < tern_event_certificate_count(event); i++) {
        finding("certificate", "%zu: %s", i, tern_event_certificate(event, i, TERN_CERTIFICATE_SUBJECT));
        finding("", "   issued by %s", tern_event_certificate(event, i, TERN_CERTIFICATE_ISSUER));
        finding("", "   valid from %s to %s", tern_event_certificate(event, i, TERN_CERTIFICATE_NOT_BEFORE),
                tern_event_certificate(event, i, TERN_CERTIFICATE_NOT_AFTER));
        if (i == 0) finding("", "   for %s", tern_event_certificate(event, i, TERN_CERTIFICATE_NAMES));
    }
}

static void print_connack(const tern_event *event)
{
    finding("mqtt", "%s accepted after %u ms, %s session",
            tern_event_version(event) == TERN_VERSION_5 ? "MQTT 5" : "MQTT 3.1.1", (unsigned)tern_event_elapsed(event),
            tern_event_session_present(event) ? "resumed" : "new");
    for (int limit = TERN_LIMIT_KEEP_ALIVE; limit <= TERN_LIMIT_SHARED_SUBSCRIPTION; limit++) {
        long long value = (long long)tern_event_limit(event, (tern_limit)limit);
        bool endless = value == UINT32_MAX;
        finding("limit", endless ? "%s: none" : "%s: %lld", tern_limit_name((tern_limit)limit), value);
    }
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    doctor *self = user_data;
    (void)client;
    switch (tern_event_get_kind(event)) {
    case TERN_EVENT_CONNECTING: finding("connect", "%s", tern_event_server(event)); break;
    case TERN_EVENT_CONNECTED:
        if (tern_event_peer(event) != NULL) finding("peer", "%s", tern_event_peer(event));
        print_tls(event);
        if (strncmp(tern_event_server(event), "ws", 2) == 0) finding("websocket", "upgraded");
        print_connack(event);
        self->well = true;
        run_end(&self->run, CLI_OK);
        break;
    case TERN_EVENT_CONNECT_FAILED:
        if (tern_event_peer(event) != NULL) finding("peer", "%s", tern_event_peer(event));
        print_tls(event);
        finding(tern_step_name(tern_event_step(event)), "%s", tern_event_text(event));
        if (tern_event_hint(event) != NULL) finding("", "%s", tern_event_hint(event));
        if (tern_event_retry_delay(event) != 0) run_end(&self->run, CLI_FAILED); /* else another version, or server, is tried */
        break;
    default: break;
    }
}

int main(int argc, char **argv)
{
    doctor self = {.well = false};
    int status;
    char *url;
    char *topic;
    char host[300];
    char port[300];
    if (!cli_parse(&self.cli, &program, &self, argc, argv, &status)) return status;
    if (!cli_server(&self.cli, &url, &topic)) return CLI_USAGE;
    const run_options own = {.ack = TERN_ACK_AUTO};
    if (run_open(&self.run, &self.cli, url, &own)) {
        (void)tern_client_set_event_handler(self.run.client, on_event, &self);
        if (self.cli.way.proxy == NULL && split(url, host, port, sizeof host)) look_at_addresses(host, port);
        if (self.cli.way.proxy != NULL) finding("proxy", "a proxy looks up the name: %s", "addresses and tcp are not looked at");
        bool readable;
        if (run_connect(&self.run))
            while (run_wait(&self.run, -1, &readable)) continue;
    }
    free(url);
    free(topic);
    return run_close(&self.run);
}
