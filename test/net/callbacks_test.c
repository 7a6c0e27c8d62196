/* Callbacks: what may be done in them, how they end, and what they hold up. [C9] [C11] [C12]
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
#include <time.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

/* A gate that a callback waits at until the test opens it. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int inside;
    int passed;
} gate;

static void gate_init(gate *g)
{
    memset(g, 0, sizeof *g);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static void gate_pass(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->inside++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open) pthread_cond_wait(&g->changed, &g->lock);
    g->inside--;
    g->passed++;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static bool gate_wait(gate *g, int *count, int at_least)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE / 1000;
    pthread_mutex_lock(&g->lock);
    while (*count < at_least && rc == 0) rc = pthread_cond_timedwait(&g->changed, &g->lock, &until);
    bool there = *count >= at_least;
    pthread_mutex_unlock(&g->lock);
    return there;
}

static tern_client *connect_client(mock_broker *broker, tern_loop *loop, uint16_t keep_alive)
{
    tern_client *client = NULL;
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    if (loop != NULL) assert_int_equal(tern_client_options_set_loop(options, loop), 0);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, mock_broker_url(broker)), 0);
    assert_int_equal(tern_connection_options_set_keep_alive(connection, keep_alive), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 10, 50, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    assert_int_equal(tern_client_configure(client, connection), 0);
    tern_client_options_free(options);
    tern_connection_options_free(connection);
    return client;
}

static void wait_at_gate(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    gate_pass(user_data);
}

/* Pings go out, and another client of the loop (with a dispatcher of its own) gets on. */
static void a_slow_callback_holds_up_nobody(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    mock_broker *broker = mock_broker_new();
    tern_loop *loop = NULL;
    assert_int_equal(tern_loop_new(&loop, 2, TERN_POLLER_DEFAULT), 0);
    tern_client *slow = connect_client(broker, loop, 1);
    tern_client *other = connect_client(broker, loop, 60);
    assert_int_equal(tern_client_set_message_handler(slow, wait_at_gate, &g), 0);
    assert_int_equal(tern_client_connect_wait(slow, PATIENCE), 0);
    assert_int_equal(tern_client_connect_wait(other, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(slow, "slow", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(other, "other", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(other, "slow", "x", 1, TERN_QOS_1, PATIENCE), 0);
    assert_true(gate_wait(&g, &g.inside, 1));
    uint64_t pings = mock_broker_count(broker, TERN__PINGREQ);
    assert_true(mock_broker_wait(broker, TERN__PINGREQ, pings + 2, PATIENCE));
    for (int i = 0; i < 20; i++) {
        tern_message *message = NULL;
        assert_int_equal(tern_client_publish_wait(other, "other", "y", 1, TERN_QOS_2, PATIENCE), 0);
        assert_int_equal(tern_client_receive_wait(other, &message, PATIENCE), 0);
        tern_message_unref(message);
    }
    assert_true(mock_broker_wait_exactly(broker, TERN__PUBACK, 20, PATIENCE)); /* of `other`: the slow one owes its own [C9] */
    assert_int_equal(mock_broker_count(broker, MOCK_ENDED), 0);
    gate_open(&g);
    assert_true(mock_broker_wait(broker, TERN__PUBACK, 21, PATIENCE));
    tern_client_free(slow);
    tern_client_free(other);
    tern_loop_free(loop);
    mock_broker_free(broker);
}

/* Every call, from every kind of callback: each answers, none hangs. */
enum { CALLS = 27 };

static int call(tern_client *client, int which, const tern_message *borrowed)
{
    enum { SHORT = 20 };
    tern_token *token = NULL;
    tern_message *message = NULL;
    char text[64];
    int number = 0;
    uint64_t value;
    int rc = 0;
    switch (which) {
    case 0: rc = tern_client_publish(client, "from/callback", "x", 1, TERN_QOS_0, NULL); break;
    case 1: rc = tern_client_publish(client, "from/callback", "x", 1, TERN_QOS_2, NULL); break;
    case 2: rc = tern_client_publish_token(client, "from/callback", "x", 1, TERN_QOS_1, &token); break;
    case 3: rc = tern_client_publish_wait(client, "from/callback", "x", 1, TERN_QOS_1, PATIENCE); break;
    case 4: rc = tern_client_subscribe(client, "more", TERN_QOS_1, &token); break;
    case 5: rc = tern_client_subscribe_wait(client, "more", TERN_QOS_1, PATIENCE); break;
    case 6: rc = tern_client_unsubscribe_wait(client, "more", PATIENCE); break;
    case 7: rc = tern_client_flush_wait(client, PATIENCE); break;
    case 8: rc = tern_client_receive(client, &message) == TERN_E_STATE ? 0 : -1; break;
    case 9: rc = tern_client_receive_wait(client, &message, PATIENCE) == TERN_E_WOULD_DEADLOCK ? 0 : -1; break;
    case 10: rc = tern_client_receive_token(client, &token) == TERN_E_STATE ? 0 : -1; break;
    case 11: rc = tern_client_close_wait(client, PATIENCE) == TERN_E_WOULD_DEADLOCK ? 0 : -1; break;
    case 12: rc = tern_client_connect(client, NULL) == TERN_E_STATE ? 0 : -1; break;
    case 13: rc = tern_client_connect_wait(client, SHORT) != 0 ? 0 : -1; break;
    case 14: rc = tern_client_connected(client) == 1 ? 0 : -1; break;
    case 15: rc = tern_client_id(client, text, sizeof text); break;
    case 16: rc = tern_client_stat(client, "messages_published", &value); break;
    case 17: rc = tern_client_in_callback(client) == 1 ? 0 : -1; break;
    case 18: rc = tern_client_dispatch(client, SHORT) == TERN_E_STATE ? 0 : -1; break;
    case 19: rc = tern_client_dispatch_fd(client, &number) == TERN_E_STATE ? 0 : -1; break;
    case 20: (void)tern_client_copy_error_text(client, text, sizeof text); break;
    case 21: rc = tern_client_configure_url(client, "mqtt://127.0.0.1:1"); break;
    case 22:
        rc = tern_client_set_filter_handler(client, "nothing", wait_at_gate, NULL);
        if (rc == 0) rc = tern_client_set_filter_handler(client, "nothing", NULL, NULL);
        break;
    case 23: rc = borrowed != NULL ? tern_message_keep(borrowed, &message) : 0; break;
    case 24: rc = borrowed != NULL && tern_client_ack(client, borrowed) == 0 ? -1 : 0; break; /* automatic here */
    case 25: rc = tern_client_flush(client, &token); break;
    case 26: rc = tern_token_wait(NULL, SHORT) == TERN_E_INVALID ? 0 : -1; break;
    default: break;
    }
    tern_token_unref(token);
    tern_message_unref(message);
    return rc;
}

enum { KIND_MESSAGE, KIND_DELIVERY, KIND_EVENT, KIND_TOKEN, KINDS };

typedef struct probe {
    atomic_int done[KINDS];
    atomic_int wrong; /* kind * 100 + call + 1 */
} probe;

static void try_all(probe *p, int kind, tern_client *client, const tern_message *message)
{
    if (atomic_load(&p->done[kind]) != 0) return;
    for (int i = 0; i < CALLS; i++)
        if (call(client, i, message) != 0) atomic_store(&p->wrong, kind * 100 + i + 1);
    atomic_store(&p->done[kind], 1);
}

static void in_message(tern_client *client, const tern_message *message, void *user_data)
{
    try_all(user_data, KIND_MESSAGE, client, message);
}

static void in_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)delivery;
    try_all(user_data, KIND_DELIVERY, client, NULL);
}

static void in_event(tern_client *client, const tern_event *event, void *user_data)
{
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECTED) try_all(user_data, KIND_EVENT, client, NULL);
}

typedef struct token_probe {
    probe *probe;
    tern_client *client;
} token_probe;

static void in_token(tern_token *token, void *user_data)
{
    token_probe *t = user_data;
    (void)token;
    try_all(t->probe, KIND_TOKEN, t->client, NULL);
}

static bool all_done(void *argument)
{
    probe *p = argument;
    for (int i = 0; i < KINDS; i++)
        if (atomic_load(&p->done[i]) == 0) return false;
    return true;
}

static void every_call_answers_in_every_callback(void **state)
{
    (void)state;
    probe p = {0};
    mock_broker *broker = mock_broker_new();
    tern_client *client = connect_client(broker, NULL, 60);
    token_probe t = {&p, client};
    tern_token *token = NULL;
    assert_int_equal(tern_client_set_message_handler(client, in_message, &p), 0);
    assert_int_equal(tern_client_set_delivery_handler(client, in_delivery, &p), 0);
    assert_int_equal(tern_client_set_event_handler(client, in_event, &p), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "self", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_token(client, "self", "x", 1, TERN_QOS_1, &token), 0);
    assert_int_equal(tern_token_set_callback(token, in_token, &t), 0);
    tern_token_unref(token);
    assert_int_equal(tern_client_publish(client, "self", "x", 1, TERN_QOS_1, NULL), 0);
    assert_true(net_wait_until(all_done, &p, PATIENCE));
    assert_int_equal(atomic_load(&p.wrong), 0);
    tern_client_free(client);
    mock_broker_free(broker);
}

/* The bound of received bytes is reached while the callback runs: a wait for the network could wait for itself. */
typedef struct paused_probe {
    mock_broker *broker;
    watch *watch;
    atomic_int answer; /* 1: not yet */
} paused_probe;

static void wait_while_paused(tern_client *client, const tern_message *message, void *user_data)
{
    paused_probe *p = user_data;
    (void)message;
    if (atomic_load(&p->answer) != 1) return;
    tern_token *token = NULL;
    mock_broker_set_rules(p->broker, &(mock_rules){.no_acks = true}); /* so that the wait cannot end well */
    int rc = tern_client_publish_token(client, "up", "x", 1, TERN_QOS_1, &token);
    if (rc == 0) rc = tern_token_wait(token, PATIENCE);
    tern_token_unref(token);
    mock_broker_set_rules(p->broker, &(mock_rules){0});
    atomic_store(&p->answer, rc);
}

static bool answered(void *argument)
{
    return atomic_load(&((paused_probe *)argument)->answer) != 1;
}

static void a_wait_while_reading_is_paused_ends_at_once(void **state)
{
    (void)state;
    enum { PAYLOAD = 3000, MESSAGES = 30 };
    static char payload[PAYLOAD];
    mock_broker *broker = mock_broker_new();
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    paused_probe p = {.broker = broker};
    atomic_init(&p.answer, 1);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_inbound_limit(options, 10000), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    assert_int_equal(tern_client_set_message_handler(client, wait_while_paused, &p), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "down", TERN_QOS_0, PATIENCE), 0);
    memset(payload, 'p', sizeof payload);
    for (int i = 0; i < MESSAGES; i++) mock_broker_publish(broker, "down", payload, sizeof payload, 0);
    /* One more at a time until the callback has its answer: each may be the one that reaches the bound. */
    while (!net_wait_until(answered, &p, 50)) mock_broker_publish(broker, "down", payload, sizeof payload, 0);
    assert_int_equal(atomic_load(&p.answer), TERN_E_WOULD_DEADLOCK);
    tern_client_free(client);
    mock_broker_free(broker);
}

/* ---- ends ---- */

typedef struct freeing {
    atomic_int freed;
    int kind;
} freeing;

static void free_once(freeing *f, int kind, tern_client *client)
{
    if (f->kind != kind || atomic_exchange(&f->freed, 1) != 0) return;
    tern_client_free(client);
}

static void free_in_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)message;
    free_once(user_data, KIND_MESSAGE, client);
}

static void free_in_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)delivery;
    free_once(user_data, KIND_DELIVERY, client);
}

static void free_in_event(tern_client *client, const tern_event *event, void *user_data)
{
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECTED) free_once(user_data, KIND_EVENT, client);
}

static void free_in_token(tern_token *token, void *user_data)
{
    token_probe *t = user_data;
    (void)token;
    free_once((freeing *)(void *)t->probe, KIND_TOKEN, t->client);
}

static void freeing_from_each_callback_is_deferred(void **state)
{
    (void)state;
    static freeing all[KINDS]; /* callbacks that tell outcomes may still follow the one that frees */
    for (int kind = 0; kind < KINDS; kind++) {
        mock_broker *broker = mock_broker_new();
        freeing *f = &all[kind];
        f->kind = kind;
        tern_client *client = connect_client(broker, NULL, 60);
        token_probe t = {(probe *)(void *)f, client};
        tern_token *token = NULL;
        assert_int_equal(tern_client_set_message_handler(client, free_in_message, f), 0);
        assert_int_equal(tern_client_set_delivery_handler(client, free_in_delivery, f), 0);
        assert_int_equal(tern_client_set_event_handler(client, free_in_event, f), 0);
        assert_int_equal(tern_client_subscribe(client, "self", TERN_QOS_0, NULL), 0);
        assert_int_equal(tern_client_publish_token(client, "self", "x", 1, TERN_QOS_1, &token), 0);
        if (kind == KIND_TOKEN) assert_int_equal(tern_token_set_callback(token, free_in_token, &t), 0);
        assert_int_equal(tern_client_publish(client, "self", "y", 1, TERN_QOS_1, NULL), 0);
        assert_int_equal(tern_client_connect(client, NULL), 0);
        assert_true(mock_broker_wait(broker, MOCK_ENDED, 1, PATIENCE)); /* the client is gone */
        int rc = tern_token_wait(token, PATIENCE); /* and its token has an outcome all the same [C1] */
        assert_true(rc == 0 || rc == TERN_E_CLOSED);
        assert_int_not_equal(tern_token_outcome(token), TERN_OUTCOME_PENDING);
        tern_token_unref(token);
        mock_broker_free(broker);
    }
}

/* [C12] by its deadline while a callback runs; complete when it returns; quiet after that. */
static void closing_waits_for_a_callback_up_to_its_deadline(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    mock_broker *broker = mock_broker_new();
    tern_client *client = connect_client(broker, NULL, 60);
    assert_int_equal(tern_client_set_message_handler(client, wait_at_gate, &g), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(client, "self", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "self", "1", 1, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "self", "2", 1, TERN_QOS_1, PATIENCE), 0);
    assert_true(gate_wait(&g, &g.inside, 1));
    assert_int_equal(tern_client_close_wait(client, 100), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_subscribe(client, "a", 0, NULL), TERN_E_CLOSED);
    gate_open(&g);
    tern_client_free(client);
    int passed = g.passed;
    assert_true(passed >= 1);
    assert_int_equal(g.inside, 0);
    mock_broker_free(broker);
    assert_int_equal(g.passed, passed); /* nothing ran after it was gone */
}

/* [C12] a peer that takes nothing and says nothing: the deadline is kept, and every outcome is told first. */
static void closing_ends_with_a_dead_peer(void **state)
{
    (void)state;
    static char payload[100000];
    mock_broker *broker = mock_broker_new();
    tern_client *client = connect_client(broker, NULL, 60);
    tern_token *tokens[20];
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    mock_broker_set_rules(broker, &(mock_rules){.deaf = true});
    for (int i = 0; i < 20; i++)
        assert_int_equal(tern_client_publish_token(client, "a", payload, sizeof payload, (uint32_t)i % 3, &tokens[i]), 0);
    int rc = tern_client_close_wait(client, 300);
    assert_true(rc == 0 || rc == TERN_E_TIMEOUT);
    tern_client_free(client);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tern_token_done(tokens[i]), 1);
        assert_int_not_equal(tern_token_outcome(tokens[i]), TERN_OUTCOME_PENDING);
        assert_int_not_equal(tern_token_outcome(tokens[i]), TERN_OUTCOME_DELIVERED);
        tern_token_unref(tokens[i]);
    }
    mock_broker_free(broker);
}

/* A closed client answers, and does nothing. */
static void calls_on_a_closed_client_answer(void **state)
{
    (void)state;
    mock_broker *broker = mock_broker_new();
    tern_client *client = connect_client(broker, NULL, 60);
    tern_token *token = NULL;
    tern_message *message = NULL;
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, 0, &token), TERN_E_CLOSED);
    assert_null(token);
    assert_int_equal(tern_client_subscribe_wait(client, "a", 0, PATIENCE), TERN_E_CLOSED);
    assert_int_equal(tern_client_unsubscribe(client, "a", NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_connect(client, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_disconnect(client, 0, NULL), TERN_E_CLOSED);
    assert_int_equal(tern_client_flush(client, &token), TERN_E_CLOSED);
    assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), TERN_E_CLOSED);
    assert_int_equal(tern_client_configure_url(client, "mqtt://localhost"), TERN_E_CLOSED);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), TERN_E_CLOSED);
    assert_int_equal(tern_client_connected(client), 0);
    tern_client_free(client);
    mock_broker_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_callback_holds_up_nobody),
        cmocka_unit_test(every_call_answers_in_every_callback),
        cmocka_unit_test(a_wait_while_reading_is_paused_ends_at_once),
        cmocka_unit_test(freeing_from_each_callback_is_deferred),
        cmocka_unit_test(closing_waits_for_a_callback_up_to_its_deadline),
        cmocka_unit_test(closing_ends_with_a_dead_peer),
        cmocka_unit_test(calls_on_a_closed_client_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
