/* Tern under the benchmark, through its public headers alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>

#include "bench.h"

enum { TIMEOUT_MS = 60000 };

typedef struct state {
    bench *b;
    tern_client *client;
    /* Idle connections: */
    tern_loop *loop;
    tern_client **many;
    atomic_uint_fast64_t connected;
    sem_t all_connected;
} state;

static void check(const char *what, int rc)
{
    if (rc != 0) bench_die(what, rc);
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    state *s = user_data;
    tern_outcome outcome = tern_delivery_outcome(delivery);
    (void)client;
    if (outcome != TERN_OUTCOME_DELIVERED && outcome != TERN_OUTCOME_SENT) bench_die("an outcome", outcome);
    bench_completed(s->b, tern_delivery_count(delivery));
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    state *s = user_data;
    (void)client;
    bench_received(s->b, tern_message_payload_length(message));
}

static state *state_new(bench *b)
{
    state *s = calloc(1, sizeof *s);
    if (s == NULL) bench_die("calloc", 0);
    s->b = b;
    sem_init(&s->all_connected, 0, 0);
    b->client = s;
    return s;
}

static tern_connection_options *make_options(const bench *b)
{
    tern_connection_options *options = NULL;
    char url[64];
    const char *scheme = b->websocket ? "ws" : b->ca != NULL ? "mqtts" : "mqtt";
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", scheme, (unsigned)b->port, b->websocket ? "/mqtt" : "");
    check("tern_connection_options_new", tern_connection_options_new(&options));
    if (b->ca != NULL) {
        tern_tls_options *tls = NULL;
        check("tern_tls_options_new", tern_tls_options_new(&tls));
        check("trusting the sink", tern_tls_options_add_ca_file(tls, b->ca));
        check("setting resumption", tern_tls_options_set_resumption(tls, b->resume));
        check("setting TLS", tern_connection_options_set_tls(options, tls));
        tern_tls_options_free(tls);
    }
    check("adding the server", tern_connection_options_add_server(options, url));
    return options;
}

static void configure(const bench *b, tern_client *client)
{
    tern_connection_options *options = make_options(b);
    check("tern_client_configure", tern_client_configure(client, options));
    tern_connection_options_free(options);
}

/* A full outbox blocks the publisher; offline it is as large as the work needs. */
static void open_one(bench *b, bool offline)
{
    state *s = state_new(b);
    tern_client_options *options = NULL;
    check("tern_client_options_new", tern_client_options_new(&options));
    check("setting the client id", tern_client_options_set_client_id(options, "bench-tern"));
    check("setting the in-flight maximum", tern_client_options_set_inflight_maximum(options, BENCH_INFLIGHT));
    check("setting the policy", tern_client_options_set_outbox_policy(options, TERN_OUTBOX_BLOCK, TIMEOUT_MS));
    if (offline) {
        size_t bytes = (size_t)b->count * (b->payload_length + 1024);
        check("setting the limit", tern_client_options_set_outbox_limits(options, bytes, 0));
    }
    check("tern_client_new", tern_client_new(&s->client, options));
    tern_client_options_free(options);
    if (strcmp(b->work, "sub") == 0)
        check("setting a handler", tern_client_set_message_handler(s->client, on_message, s));
    else
        check("setting a handler", tern_client_set_delivery_handler(s->client, on_delivery, s));
    configure(b, s->client);
    if (offline) return;
    int rc = tern_client_connect_wait(s->client, TIMEOUT_MS);
    if (rc != 0) fprintf(stderr, "%s\n", tern_client_error_text(s->client));
    check("tern_client_connect_wait", rc);
}

static void publish(bench *b, int qos)
{
    state *s = b->client;
    int rc = tern_client_publish(s->client, b->topic, b->payload, b->payload_length, (uint32_t)qos, NULL);
    if (rc != 0) bench_die("tern_client_publish", rc);
}

static void publish_wait(bench *b)
{
    state *s = b->client;
    check("tern_client_publish_wait", tern_client_publish_wait(s->client, b->topic, b->payload, b->payload_length,
                                                               TERN_QOS_1, TIMEOUT_MS));
}

static void subscribe(bench *b, const char *filter, int qos)
{
    state *s = b->client;
    check("tern_client_subscribe", tern_client_subscribe(s->client, filter, (uint32_t)qos, NULL));
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    state *s = user_data;
    (void)client;
    switch (tern_event_get_kind(event)) {
    case TERN_EVENT_CONNECTED:
        if (atomic_fetch_add(&s->connected, 1) + 1 == s->b->count) sem_post(&s->all_connected);
        break;
    case TERN_EVENT_CONNECT_FAILED:
    case TERN_EVENT_STOPPED:
        fprintf(stderr, "%s\n", tern_event_text(event));
        bench_die("connecting", tern_event_error(event));
    default: break;
    }
}

static void open_many(bench *b)
{
    state *s = state_new(b);
    s->many = calloc(b->count, sizeof s->many[0]);
    if (s->many == NULL) bench_die("calloc", 0);
    tern_connection_options *shared = make_options(b);
    /* All start at once, and with TLS the last one's turn is long after the first one's. */
    check("setting the timeout", tern_connection_options_set_connect_timeout(shared, 2 * TIMEOUT_MS));
    check("tern_loop_new", tern_loop_new(&s->loop, 1, TERN_POLLER_DEFAULT));
    for (uint64_t i = 0; i < b->count; i++) {
        tern_client_options *options = NULL;
        char id[32];
        snprintf(id, sizeof id, "bench-%u", (unsigned)i);
        check("tern_client_options_new", tern_client_options_new(&options));
        check("setting the client id", tern_client_options_set_client_id(options, id));
        check("setting the loop", tern_client_options_set_loop(options, s->loop));
        check("tern_client_new", tern_client_new(&s->many[i], options));
        tern_client_options_free(options);
        check("setting a handler", tern_client_set_event_handler(s->many[i], on_event, s));
        check("tern_client_configure", tern_client_configure(s->many[i], shared));
        check("tern_client_connect", tern_client_connect(s->many[i], NULL));
    }
    tern_connection_options_free(shared);
    while (sem_wait(&s->all_connected) != 0)
        ;
}

static void reconnect(bench *b)
{
    state *s = b->client;
    tern_token *token = NULL;
    check("tern_client_connect_wait", tern_client_connect_wait(s->client, TIMEOUT_MS));
    check("tern_client_disconnect", tern_client_disconnect(s->client, 0, &token));
    check("disconnecting", tern_token_wait(token, TIMEOUT_MS));
    tern_token_unref(token);
}

static void print_stats(bench *b)
{
    const state *s = b->client;
    if (s->client == NULL) return;
    printf(", \"stats\": {");
    for (size_t i = 0; i < tern_stat_count(); i++) {
        uint64_t value = 0;
        if (tern_client_stat(s->client, tern_stat_name(i), &value) != 0) continue;
        printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", tern_stat_name(i), value);
    }
    printf("}");
}

static void close_one(bench *b)
{
    state *s = b->client;
    for (uint64_t i = 0; s->many != NULL && i < b->count; i++) {
        tern_client_set_event_handler(s->many[i], NULL, NULL);
        tern_client_free(s->many[i]);
    }
    if (s->client != NULL) {
        tern_client_set_delivery_handler(s->client, NULL, NULL);
        tern_client_free(s->client);
    }
    tern_loop_free(s->loop);
    free(s->many);
    free(s);
}

int main(int argc, char **argv)
{
    static const bench_library library = {
        .name = "tern", .open = open_one, .publish = publish, .publish_wait = publish_wait,
        .subscribe = subscribe, .open_many = open_many, .reconnect = reconnect, .print_stats = print_stats, .close = close_one,
    };
    return bench_main(argc, argv, &library);
}
