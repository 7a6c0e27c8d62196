/* Paho C's MQTTAsync under the benchmark.
 * SPDX-License-Identifier: Apache-2.0 */
#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

typedef struct state {
    bench *b;
    MQTTAsync client;
    sem_t connected;
    sem_t acknowledged;
} state;

static void on_connected(void *context, MQTTAsync_successData *data)
{
    state *s = context;
    (void)data;
    sem_post(&s->connected);
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    bench_die("a Paho request", data != NULL ? data->code : 0);
}

static void on_sent(void *context, MQTTAsync_successData *data)
{
    state *s = context;
    (void)data;
    bench_completed(s->b, 1);
}

static void on_acknowledged(void *context, MQTTAsync_successData *data)
{
    state *s = context;
    (void)data;
    sem_post(&s->acknowledged);
}

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    state *s = context;
    (void)topic_length;
    bench_received(s->b, (size_t)message->payloadlen);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void connect_one(state *s)
{
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    connect.maxInflight = BENCH_INFLIGHT;
    connect.onSuccess = on_connected;
    connect.onFailure = on_failure;
    connect.context = s;
    tls.trustStore = s->b->ca;
    tls.verify = 1;
    if (s->b->ca != NULL) connect.ssl = &tls;
    int rc = MQTTAsync_connect(s->client, &connect);
    if (rc != 0) bench_die("MQTTAsync_connect", rc);
    sem_wait(&s->connected);
}

static void reconnect(bench *b)
{
    state *s = b->client;
    MQTTAsync_disconnectOptions disconnect = MQTTAsync_disconnectOptions_initializer;
    disconnect.onSuccess = on_connected;
    disconnect.onFailure = on_failure;
    disconnect.context = s;
    connect_one(s);
    int rc = MQTTAsync_disconnect(s->client, &disconnect);
    if (rc != 0) bench_die("MQTTAsync_disconnect", rc);
    sem_wait(&s->connected);
}

static void open_one(bench *b, bool offline)
{
    state *s = calloc(1, sizeof *s);
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    char uri[64];
    if (s == NULL) bench_die("calloc", 0);
    s->b = b;
    b->client = s;
    sem_init(&s->connected, 0, 0);
    sem_init(&s->acknowledged, 0, 0);
    const char *scheme = b->websocket ? "ws" : b->ca != NULL ? "ssl" : "tcp";
    snprintf(uri, sizeof uri, "%s://127.0.0.1:%u%s", scheme, (unsigned)b->port, b->websocket ? "/mqtt" : "");
    create.sendWhileDisconnected = offline;
    create.allowDisconnectedSendAtAnyTime = offline;
    create.maxBufferedMessages = 100000000;
    int rc = MQTTAsync_createWithOptions(&s->client, uri, "bench-paho-async", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
    if (rc == 0) rc = MQTTAsync_setCallbacks(s->client, s, NULL, on_message, NULL);
    if (rc != 0) bench_die("MQTTAsync_create", rc);
    if (offline) return;
    connect_one(s);
}

static void send_one(bench *b, int qos, MQTTAsync_onSuccess *on_success)
{
    state *s = b->client;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_success;
    options.onFailure = on_failure;
    options.context = s;
    int rc = MQTTAsync_send(s->client, b->topic, (int)b->payload_length, b->payload, qos, 0, &options);
    if (rc != 0) bench_die("MQTTAsync_send", rc);
}

static void publish(bench *b, int qos)
{
    send_one(b, qos, on_sent);
}

static void publish_wait(bench *b)
{
    state *s = b->client;
    send_one(b, 1, on_acknowledged);
    sem_wait(&s->acknowledged);
}

static void subscribe(bench *b, const char *filter, int qos)
{
    state *s = b->client;
    int rc = MQTTAsync_subscribe(s->client, filter, qos, NULL);
    if (rc != 0) bench_die("MQTTAsync_subscribe", rc);
}

static void close_one(bench *b)
{
    state *s = b->client;
    if (MQTTAsync_isConnected(s->client)) MQTTAsync_disconnect(s->client, NULL);
    else _exit(0); /* destroying a long queue takes as long as filling it */
    MQTTAsync_destroy(&s->client);
    free(s);
}

int main(int argc, char **argv)
{
    static const bench_library library = {
        .name = "paho-async", .open = open_one, .publish = publish, .reconnect = reconnect, .publish_wait = publish_wait,
        .subscribe = subscribe, .close = close_one,
    };
    return bench_main(argc, argv, &library);
}
