/* Many threads, every call, and a broker that misbehaves: each accepted message still has one outcome. [C1] [C20]
 * Usage: net_hammer_test [OPERATIONS-A-THREAD [SEED]]
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "sim/random.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, CLIENTS = 3, THREADS = 4, HELD = 16 };

static unsigned operations = 1500;
static uint64_t first_seed = 1;

typedef struct target {
    tern_client *client;
    atomic_ullong accepted; /* without a token */
    atomic_ullong told;     /* by the delivery handler */
    atomic_ullong received;
} target;

typedef struct worker {
    pthread_t thread;
    target *targets;
    sim_random random;
    unsigned wrong; /* tokens that ended without an outcome, or not at all */
} worker;

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    atomic_fetch_add(&((target *)user_data)->told, tern_delivery_count(delivery));
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    target *t = user_data;
    atomic_fetch_add(&t->received, 1);
    if (tern_message_qos(message) == 1 && tern_client_publish(client, "echo", "e", 1, TERN_QOS_0, NULL) == 0)
        atomic_fetch_add(&t->accepted, 1);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    char id[64];
    (void)user_data;
    (void)tern_client_id(client, id, sizeof id);
    (void)tern_event_text(event);
}

static void publish(worker *w, target *t, tern_token **held)
{
    char payload[600];
    size_t len = sim_below(&w->random, sizeof payload);
    uint32_t flags = sim_below(&w->random, 3) | (sim_chance(&w->random, 10) ? TERN_RETAIN : 0);
    memset(payload, 'h', sizeof payload);
    if (sim_chance(&w->random, 70)) {
        if (tern_client_publish(t->client, "hammer/x", payload, len, flags, NULL) == 0) atomic_fetch_add(&t->accepted, 1);
        return;
    }
    tern_token **place = &held[sim_below(&w->random, HELD)];
    if (*place != NULL) {
        if (tern_token_done(*place) && tern_token_outcome(*place) == TERN_OUTCOME_PENDING) w->wrong++;
        tern_token_unref(*place);
        *place = NULL;
    }
    if (tern_client_publish_token(t->client, "hammer/t", payload, len, flags, place) != 0) return;
    if (sim_chance(&w->random, 30)) (void)tern_token_wait(*place, sim_below(&w->random, 5));
}

static void other_calls(worker *w, target *t)
{
    static const char *const filters[] = {"hammer/#", "echo", "hammer/+", "$share/g/hammer/x", "none"};
    const char *filter = filters[sim_below(&w->random, 5)];
    char text[256];
    uint64_t value;
    switch (sim_below(&w->random, 10)) {
    case 0: (void)tern_client_subscribe(t->client, filter, sim_below(&w->random, 3), NULL); break;
    case 1: (void)tern_client_unsubscribe(t->client, filter, NULL); break;
    case 2: (void)tern_client_set_filter_handler(t->client, filter, on_message, t); break;
    case 3: (void)tern_client_set_filter_handler(t->client, filter, NULL, NULL); break;
    case 4: (void)tern_client_stat(t->client, tern_stat_name(sim_below(&w->random, (uint32_t)tern_stat_count())), &value); break;
    case 5: (void)tern_client_copy_error_text(t->client, text, sizeof text); break;
    case 6: (void)tern_client_flush_wait(t->client, 1 + sim_below(&w->random, 3)); break;
    case 7:
        if (sim_chance(&w->random, 5)) (void)tern_client_disconnect(t->client, 0, NULL);
        (void)tern_client_connect(t->client, NULL);
        break;
    case 8: (void)tern_client_set_event_handler(t->client, sim_chance(&w->random, 50) ? on_event : NULL, NULL); break;
    default: (void)tern_client_subscribe_wait(t->client, filter, 1, 1 + sim_below(&w->random, 3)); break;
    }
}

static void *work(void *argument)
{
    worker *w = argument;
    tern_token *held[HELD] = {NULL};
    for (unsigned i = 0; i < operations; i++) {
        target *t = &w->targets[sim_below(&w->random, CLIENTS)];
        if (sim_chance(&w->random, 75)) publish(w, t, held);
        else other_calls(w, t);
    }
    for (int i = 0; i < HELD; i++) tern_token_unref(held[i]);
    return NULL;
}

typedef struct weather {
    pthread_t thread;
    mock_broker *broker;
    atomic_bool over;
    sim_random random;
} weather;

/* Changes what the broker does whenever some more packets came, so the changes keep step with the work. */
static void *change_weather(void *argument)
{
    weather *w = argument;
    while (!atomic_load(&w->over)) {
        uint64_t count = mock_broker_count(w->broker, TERN__PUBLISH);
        (void)mock_broker_wait(w->broker, TERN__PUBLISH, count + 50, 20);
        mock_rules rules = {0};
        switch (sim_below(&w->random, 8)) {
        case 0: mock_broker_cut(w->broker); break;
        case 1: rules.forget = true; break;
        case 2: rules.refuse = 0x88; break;
        case 3: rules.no_acks = true; break;
        case 4: rules.puback = 0x97; break;
        case 5: rules.suback = 0x80; break;
        case 6: rules.hang_up_after_connack = true; break;
        default: break;
        }
        mock_broker_set_rules(w->broker, &rules);
    }
    mock_broker_set_rules(w->broker, &(mock_rules){0});
    mock_broker_cut(w->broker); /* what it left unanswered comes again */
    return NULL;
}

static void make_target(target *t, mock_broker *broker, tern_loop *loop, bool blocking)
{
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_loop(options, loop), 0);
    assert_int_equal(tern_client_options_set_outbox_limits(options, 200000, 0), 0);
    if (blocking) assert_int_equal(tern_client_options_set_outbox_policy(options, TERN_OUTBOX_BLOCK, 2), 0);
    assert_int_equal(tern_client_new(&t->client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, mock_broker_url(broker)), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 1, 10, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_configure(t->client, connection), 0);
    tern_connection_options_free(connection);
    assert_int_equal(tern_client_set_delivery_handler(t->client, on_delivery, t), 0);
    assert_int_equal(tern_client_set_message_handler(t->client, on_message, t), 0);
    assert_int_equal(tern_client_connect(t->client, NULL), 0);
}

static void hammer(tern_poller poller, unsigned dispatchers, bool drain)
{
    mock_broker *broker = mock_broker_new();
    tern_loop *loop = NULL;
    target targets[CLIENTS] = {0};
    worker workers[THREADS] = {0};
    weather sky = {.broker = broker, .random = {first_seed * 77}};
    assert_int_equal(tern_loop_new(&loop, dispatchers, poller), 0);
    for (int i = 0; i < CLIENTS; i++) make_target(&targets[i], broker, loop, i == 0);
    pthread_create(&sky.thread, NULL, change_weather, &sky);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].targets = targets;
        workers[i].random.state = first_seed * 1000 + i;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    unsigned wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        wrong += workers[i].wrong;
    }
    atomic_store(&sky.over, true);
    pthread_join(sky.thread, NULL);
    assert_int_equal(wrong, 0);
    for (int i = 0; i < CLIENTS; i++) {
        target *t = &targets[i];
        tern_token *token = NULL;
        assert_int_equal(tern_client_disconnect(t->client, 0, &token), 0); /* behind those that were asked for */
        assert_int_equal(tern_token_wait(token, PATIENCE), 0);
        tern_token_unref(token);
        assert_int_equal(tern_client_connect(t->client, NULL), 0);
        if (drain) assert_int_equal(tern_client_flush_wait(t->client, PATIENCE), 0);
        tern_client_free(t->client);
        assert_int_equal(atomic_load(&t->told), atomic_load(&t->accepted));
        assert_true(atomic_load(&t->accepted) > operations / 4);
    }
    tern_loop_free(loop);
    mock_broker_free(broker);
}

static void one_dispatcher_drained(void **state)
{
    (void)state;
    hammer(TERN_POLLER_EPOLL, 1, true);
}

static void three_dispatchers_closed_at_once(void **state)
{
    (void)state;
    hammer(TERN_POLLER_POLL, 3, false);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dispatcher_drained),
        cmocka_unit_test(three_dispatchers_closed_at_once),
    };
    if (argc > 1) operations = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2) first_seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
