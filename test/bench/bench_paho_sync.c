/* Paho C's MQTTClient under the benchmark.
 * SPDX-License-Identifier: Apache-2.0 */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

typedef struct state {
    bench *b;
    MQTTClient client;
} state;

static int on_message(void *context, char *topic, int topic_length, MQTTClient_message *message)
{
    state *s = context;
    (void)topic_length;
    bench_received(s->b, (size_t)message->payloadlen);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    return 1;
}

static void on_delivered(void *context, MQTTClient_deliveryToken token)
{
    state *s = context;
    (void)token;
    bench_completed(s->b, 1);
}

static void open_one(bench *b, bool offline)
{
    state *s = calloc(1, sizeof *s);
    MQTTClient_connectOptions connect = MQTTClient_connectOptions_initializer;
    char uri[64];
    if (offline) bench_die("queueing offline", 0);
    if (s == NULL) bench_die("calloc", 0);
    s->b = b;
    b->client = s;
    snprintf(uri, sizeof uri, "tcp://127.0.0.1:%u", (unsigned)b->port);
    int rc = MQTTClient_create(&s->client, uri, "bench-paho-sync", MQTTCLIENT_PERSISTENCE_NONE, NULL);
    if (rc == 0) rc = MQTTClient_setCallbacks(s->client, s, NULL, on_message, on_delivered);
    connect.reliable = 0;
    connect.maxInflightMessages = BENCH_INFLIGHT;
    if (rc == 0) rc = MQTTClient_connect(s->client, &connect);
    if (rc != 0) bench_die("MQTTClient_connect", rc);
}

/* QoS 0 is written before the call returns; there is no other completion signal. */
static void publish(bench *b, int qos)
{
    state *s = b->client;
    int rc = MQTTClient_publish(s->client, b->topic, (int)b->payload_length, b->payload, qos, 0, NULL);
    if (rc != 0) bench_die("MQTTClient_publish", rc);
    if (qos == 0) bench_completed(b, 1);
}

static void publish_wait(bench *b)
{
    state *s = b->client;
    MQTTClient_deliveryToken token;
    int rc = MQTTClient_publish(s->client, b->topic, (int)b->payload_length, b->payload, 1, 0, &token);
    if (rc == 0) rc = MQTTClient_waitForCompletion(s->client, token, 10000);
    if (rc != 0) bench_die("MQTTClient_waitForCompletion", rc);
}

static void subscribe(bench *b, const char *filter, int qos)
{
    state *s = b->client;
    int rc = MQTTClient_subscribe(s->client, filter, qos);
    if (rc != 0 && rc != qos) bench_die("MQTTClient_subscribe", rc);
}

static void close_one(bench *b)
{
    state *s = b->client;
    MQTTClient_disconnect(s->client, 1000);
    MQTTClient_destroy(&s->client);
    free(s);
}

int main(int argc, char **argv)
{
    static const bench_library library = {
        .name = "paho-sync", .open = open_one, .publish = publish, .publish_wait = publish_wait,
        .subscribe = subscribe, .close = close_one,
    };
    return bench_main(argc, argv, &library);
}
