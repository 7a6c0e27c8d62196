/* Peers that stall at each step of the way: the one deadline holds, and the failure names the step. [C18]
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, TIMEOUT_MS = 300 };

/* A peer that accepts, says some bytes, and nothing more until it is told to end. */
typedef struct staller {
    int listener;
    uint16_t port;
    const char *says;
    size_t len;
    atomic_bool over;
    pthread_t thread;
} staller;

static void *stall(void *argument)
{
    staller *s = argument;
    int held[64];
    size_t count = 0;
    while (!atomic_load(&s->over)) {
        int fd = net_accept(s->listener, 20);
        if (fd < 0) continue;
        if (s->len != 0) (void)net_write(fd, s->says, s->len);
        if (count < sizeof held / sizeof held[0]) held[count++] = fd;
        else close(fd);
    }
    while (count != 0) close(held[--count]);
    return NULL;
}

static void staller_start(staller *s, const char *says, size_t len)
{
    memset(s, 0, sizeof *s);
    s->listener = net_listen("127.0.0.1", &s->port);
    assert_true(s->listener >= 0);
    s->says = says;
    s->len = len;
    assert_int_equal(pthread_create(&s->thread, NULL, stall, s), 0);
}

static void staller_stop(staller *s)
{
    atomic_store(&s->over, true);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

typedef struct row {
    const char *url;   /* with the port of the peer, or of nobody behind a proxy */
    const char *proxy; /* NULL: none */
    const char *says;  /* before it stalls */
    size_t len;
    tern_step step;
} row;

static const row rows[] = {
    {"mqtt://127.0.0.1:PORT", NULL, "", 0, TERN_STEP_MQTT},
    {"mqtt://127.0.0.1:PORT", NULL, "\x20", 1, TERN_STEP_MQTT},
    {"mqtts://127.0.0.1:PORT", NULL, "", 0, TERN_STEP_TLS},
    {"mqtts://127.0.0.1:PORT", NULL, "\x16\x03\x03\x00\x40\x02", 6, TERN_STEP_TLS},
    {"ws://127.0.0.1:PORT/mqtt", NULL, "", 0, TERN_STEP_WEBSOCKET},
    {"ws://127.0.0.1:PORT/mqtt", NULL, "HTTP/1.1 101 Switch", 19, TERN_STEP_WEBSOCKET},
    {"wss://127.0.0.1:PORT/mqtt", NULL, "\x16", 1, TERN_STEP_TLS},
    {"mqtt://broker.example:1883", "http://127.0.0.1:PORT", "", 0, TERN_STEP_PROXY},
    {"mqtt://broker.example:1883", "http://127.0.0.1:PORT", "HTTP/1.1 200 OK\r\nVia: me\r\n", 26, TERN_STEP_PROXY},
    {"mqtts://broker.example", "http://127.0.0.1:PORT", "HTTP/1.1 200 OK\r\n\r\n", 19, TERN_STEP_TLS},
    {"ws://broker.example", "http://127.0.0.1:PORT", "HTTP/1.1 200 OK\r\n\r\n", 19, TERN_STEP_WEBSOCKET},
    {"mqtt://broker.example", "http://127.0.0.1:PORT", "HTTP/1.1 200 OK\r\n\r\n", 19, TERN_STEP_MQTT},
    {"mqtt://broker.example", "socks5://127.0.0.1:PORT", "", 0, TERN_STEP_PROXY},
    {"mqtt://broker.example", "socks5://me:secret@127.0.0.1:PORT", "\x05\x02", 2, TERN_STEP_PROXY},
    {"mqtt://broker.example", "socks5://127.0.0.1:PORT", "\x05\x00\x05\x00\x00\x01\x7f", 7, TERN_STEP_PROXY},
    {"mqtts://broker.example", "socks5://127.0.0.1:PORT", "\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01", 12, TERN_STEP_TLS},
};

/* The pattern with the port in place of PORT. */
static void put_port(char *text, size_t size, const char *pattern, uint16_t port)
{
    const char *place = strstr(pattern, "PORT");
    if (place == NULL) {
        snprintf(text, size, "%s", pattern);
    } else {
        snprintf(text, size, "%.*s%u%s", (int)(place - pattern), pattern, (unsigned)port, place + 4);
    }
}

static tern_connection_options *options_of(const row *it, uint16_t port)
{
    char text[100];
    tern_connection_options *options;
    assert_int_equal(tern_connection_options_new(&options), 0);
    put_port(text, sizeof text, it->url, port);
    assert_int_equal(tern_connection_options_add_server(options, text), 0);
    if (it->proxy != NULL) {
        put_port(text, sizeof text, it->proxy, port);
        assert_int_equal(tern_connection_options_set_proxy(options, text), 0);
    }
    assert_int_equal(tern_connection_options_set_connect_timeout(options, TIMEOUT_MS), 0);
    assert_int_equal(tern_connection_options_set_retry_limit(options, 1, 0), 0);
    assert_int_equal(tern_connection_options_set_version(options, TERN_VERSION_5), 0);
    return options;
}

/* In time, with two seconds of grace, and named. */
static void check_stall(const row *it, uint16_t port, tern_poller poller)
{
    tern_client_options *fixed;
    tern_loop *loop;
    tern_client *client;
    watch seen;
    tern_connection_options *options = options_of(it, port);
    assert_int_equal(tern_loop_new(&loop, 1, poller), 0);
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_loop(fixed, loop), 0);
    assert_int_equal(tern_client_new(&client, fixed), 0);
    watch_init(&seen, client);
    assert_int_equal(tern_client_configure(client, options), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(watch_wait(&seen, TERN_EVENT_CONNECT_FAILED, 1, TIMEOUT_MS + 2000));
    watch_record failed = watch_last(&seen, TERN_EVENT_CONNECT_FAILED);
    if (failed.error != TERN_E_TIMEOUT || failed.step != it->step)
        fail_msg("%s by %s: %s", it->url, it->proxy != NULL ? it->proxy : "itself", failed.text);
    assert_null(strstr(failed.text, "secret"));
    tern_client_free(client);
    tern_client_options_free(fixed);
    tern_connection_options_free(options);
    tern_loop_free(loop);
    watch_deinit(&seen);
}

static void each_step_has_the_same_deadline(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        staller s;
#ifndef TERN_WITH_TLS
        if (strncmp(rows[i].url, "mqtts", 5) == 0 || strncmp(rows[i].url, "wss", 3) == 0) continue;
#endif
        staller_start(&s, rows[i].says, rows[i].len);
        check_stall(&rows[i], s.port, i % 2 == 0 ? TERN_POLLER_DEFAULT : TERN_POLLER_POLL);
        staller_stop(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_has_the_same_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
