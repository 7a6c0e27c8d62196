/* libmosquitto under the benchmark: threaded, as its documentation intends.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench.h"

typedef struct state {
    bench *b;
    struct mosquitto *mosq;
    sem_t connected;
    sem_t acknowledged;
    bool waiting; /* publish_wait() is at work: completions are not counted */
} state;

static void on_connect(struct mosquitto *mosq, void *user_data, int rc)
{
    state *s = user_data;
    (void)mosq;
    if (rc != 0) bench_die("connecting", rc);
    sem_post(&s->connected);
}

static void on_publish(struct mosquitto *mosq, void *user_data, int id)
{
    state *s = user_data;
    (void)mosq;
    (void)id;
    if (s->waiting) sem_post(&s->acknowledged);
    else bench_completed(s->b, 1);
}

static void on_message(struct mosquitto *mosq, void *user_data, const struct mosquitto_message *message)
{
    state *s = user_data;
    (void)mosq;
    bench_received(s->b, (size_t)message->payloadlen);
}

static void open_one(bench *b, bool offline)
{
    state *s = calloc(1, sizeof *s);
    if (s == NULL) bench_die("calloc", 0);
    s->b = b;
    b->client = s;
    sem_init(&s->connected, 0, 0);
    sem_init(&s->acknowledged, 0, 0);
    mosquitto_lib_init();
    s->mosq = mosquitto_new("bench-mosq", true, s);
    if (s->mosq == NULL) bench_die("mosquitto_new", errno);
    mosquitto_connect_callback_set(s->mosq, on_connect);
    mosquitto_publish_callback_set(s->mosq, on_publish);
    mosquitto_message_callback_set(s->mosq, on_message);
    mosquitto_max_inflight_messages_set(s->mosq, BENCH_INFLIGHT);
    if (b->ca != NULL && mosquitto_tls_set(s->mosq, b->ca, NULL, NULL, NULL, NULL) != 0) bench_die("mosquitto_tls_set", errno);
    if (offline) return;
    int rc = mosquitto_connect(s->mosq, "127.0.0.1", b->port, 60);
    if (rc == 0) rc = mosquitto_loop_start(s->mosq);
    if (rc != 0) bench_die("mosquitto_connect", rc);
    sem_wait(&s->connected);
}

static void publish(bench *b, int qos)
{
    state *s = b->client;
    int rc = mosquitto_publish(s->mosq, NULL, b->topic, (int)b->payload_length, b->payload, qos, false);
    /* Without a connection QoS 1 is queued and NO_CONN returned. */
    if (rc != 0 && (rc != MOSQ_ERR_NO_CONN || qos == 0)) bench_die("mosquitto_publish", rc);
}

static void publish_wait(bench *b)
{
    state *s = b->client;
    s->waiting = true;
    publish(b, 1);
    sem_wait(&s->acknowledged);
}

static void subscribe(bench *b, const char *filter, int qos)
{
    state *s = b->client;
    int rc = mosquitto_subscribe(s->mosq, NULL, filter, qos);
    if (rc != 0) bench_die("mosquitto_subscribe", rc);
}

static void count_connected(struct mosquitto *mosq, void *user_data, int rc)
{
    (void)mosq;
    if (rc != 0) bench_die("connecting", rc);
    ++*(uint64_t *)user_data;
}

/* Its own loop serves one client; many are served by its calls for external loops, here under epoll. */
static void open_many(bench *b)
{
    uint64_t connected = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    mosquitto_lib_init();
    for (uint64_t i = 0; i < b->count; i++) {
        char id[32];
        snprintf(id, sizeof id, "bench-%u", (unsigned)i);
        struct mosquitto *mosq = mosquitto_new(id, true, &connected);
        if (mosq == NULL) bench_die("mosquitto_new", errno);
        mosquitto_connect_callback_set(mosq, count_connected);
        int rc = mosquitto_connect(mosq, "127.0.0.1", b->port, 60);
        if (rc != 0) bench_die("mosquitto_connect", rc);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = mosq};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, mosquitto_socket(mosq), &event) != 0) bench_die("epoll_ctl", errno);
    }
    while (connected < b->count) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n <= 0) bench_die("waiting for CONNACKs", errno);
        for (int i = 0; i < n; i++) {
            if (mosquitto_loop_read(events[i].data.ptr, 1) != 0) bench_die("mosquitto_loop_read", errno);
        }
    }
}

static void close_one(bench *b)
{
    state *s = b->client;
    if (s == NULL) return;
    if (mosquitto_disconnect(s->mosq) == 0) mosquitto_loop_stop(s->mosq, false);
    mosquitto_destroy(s->mosq);
    mosquitto_lib_cleanup();
    free(s);
}

/* Its blocking way: connecting, and its loop until CONNACK came and the socket is closed. */
static void reconnect(bench *b)
{
    state *s = b->client;
    int rc = mosquitto_connect(s->mosq, "127.0.0.1", b->port, 60);
    while (rc == 0 && sem_trywait(&s->connected) != 0) rc = mosquitto_loop(s->mosq, -1, 1);
    if (rc == 0) rc = mosquitto_disconnect(s->mosq);
    if (rc != 0) bench_die("reconnecting", rc);
    while (mosquitto_loop(s->mosq, -1, 1) == 0)
        ;
}

int main(int argc, char **argv)
{
    static const bench_library library = {
        .name = "libmosquitto", .open = open_one, .publish = publish, .reconnect = reconnect, .publish_wait = publish_wait,
        .subscribe = subscribe, .open_many = open_many, .close = close_one,
    };
    return bench_main(argc, argv, &library);
}
