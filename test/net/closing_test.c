/* Closing and freeing at awkward moments: by several threads, with tokens that outlive it, in manual mode. [C12]
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/client.h"
#include "net/watch.h"
#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

/* A client on a loop that outlives it, so that nothing is hidden by the end of the loop's threads. */
static tern_client *make_client(tern_loop *loop, tern_dispatch dispatch)
{
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_loop(options, loop), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, dispatch), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    return client;
}

static tern_loop *make_loop(void)
{
    tern_loop *loop = NULL;
    assert_int_equal(tern_loop_new(&loop, 1, TERN_POLLER_DEFAULT), 0);
    return loop;
}

/* ---- several closers ---- */

enum { CLOSERS = 4, ROUNDS = 400 };

typedef struct race {
    tern_client *client;
    atomic_int arrived;
    atomic_int winners; /* told 0 */
    atomic_int unended; /* winners whose token did not end */
    bool tokens;        /* they ask for one */
} race;

static void *close_at_once(void *argument)
{
    race *r = argument;
    tern_token *token = NULL;
    atomic_fetch_add(&r->arrived, 1);
    while (atomic_load(&r->arrived) < CLOSERS)
        ;
    if (tern_client_close(r->client, 0, 0, r->tokens ? &token : NULL) != 0) return NULL;
    atomic_fetch_add(&r->winners, 1);
    if (r->tokens && tern_token_wait(token, PATIENCE) != 0) atomic_fetch_add(&r->unended, 1);
    tern_token_unref(token);
    return NULL;
}

/* Without a token one of them closes; with one the others wait for the same end, or come too late. */
static void of_many_closers_one_closes(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    for (int round = 0; round < ROUNDS; round++) {
        race r = {.client = make_client(loop, TERN_DISPATCH_THREAD), .tokens = round % 2 != 0};
        pthread_t threads[CLOSERS];
        for (int i = 0; i < CLOSERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, close_at_once, &r), 0);
        for (int i = 0; i < CLOSERS; i++) pthread_join(threads[i], NULL);
        assert_in_range(atomic_load(&r.winners), 1, r.tokens ? CLOSERS : 1);
        assert_int_equal(atomic_load(&r.unended), 0);
        tern_client_free(r.client);
    }
    tern_loop_free(loop);
}

/* ---- tokens and the end ---- */

typedef struct calls {
    atomic_int count;
    atomic_int error;
    tern_client *client; /* freed in the callback where not NULL */
} calls;

static void count_call(tern_token *token, void *user_data)
{
    calls *c = user_data;
    atomic_store(&c->error, tern_token_error(token));
    atomic_fetch_add(&c->count, 1);
    tern_client_free(c->client);
}

static bool was_called(void *argument)
{
    return atomic_load(&((calls *)argument)->count) != 0;
}

/* The callback of a close is the client's last one: free waits for it. */
static void a_close_token_calls_back_before_free_returns(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    int told = 0;
    for (int round = 0; round < 200; round++) {
        calls c = {.error = 1};
        tern_token *token = NULL;
        tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
        assert_int_equal(tern_client_close(client, 0, 0, &token), 0);
        int rc = tern_token_set_callback(token, count_call, &c);
        tern_token_unref(token);
        tern_client_free(client);
        if (rc == 0) {
            assert_int_equal(atomic_load(&c.count), 1);
            assert_int_equal(atomic_load(&c.error), 0);
            told++;
        } else {
            assert_int_equal(rc, TERN_E_CLOSED); /* it had ended already */
            assert_int_equal(atomic_load(&c.count), 0);
        }
    }
    print_message("%d of 200 were told\n", told);
    tern_loop_free(loop);
}

static void a_client_is_freed_in_the_callback_of_its_close(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    calls c = {.client = make_client(loop, TERN_DISPATCH_MANUAL)};
    tern_token *token = NULL;
    assert_int_equal(tern_client_close(c.client, 0, 0, &token), 0);
    assert_int_equal(tern_token_set_callback(token, count_call, &c), 0); /* nothing runs before it is dispatched */
    while (!was_called(&c)) (void)tern_client_dispatch(c.client, PATIENCE);
    assert_int_equal(tern_token_error(token), 0);
    tern_token_unref(token);
    tern_loop_free(loop);
}

/* "After it returned 0 no callback runs": what is asked for later is refused, and freeing finds nothing under way. [C12] */
static void a_callback_set_after_closing_is_refused(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    for (int round = 0; round < 200; round++) {
        calls c = {.error = 1};
        tern_token *token = NULL;
        tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
        assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &token), 0);
        assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
        assert_int_equal(tern_token_set_callback(token, count_call, &c), TERN_E_CLOSED);
        tern_client_free(client);
        assert_int_equal(atomic_load(&c.count), 0);
        assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT); /* still readable */
        tern_token_unref(token);
    }
    tern_loop_free(loop);
}

/* A token that waits for a message ends by closing; its callback comes before the end. */
static void a_receiver_is_told_of_closing(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    for (int round = 0; round < 200; round++) {
        calls c = {0};
        tern_token *token = NULL;
        tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
        assert_int_equal(tern_client_receive_token(client, &token), 0);
        assert_int_equal(tern_token_set_callback(token, count_call, &c), 0);
        tern_token_unref(token);
        assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
        assert_int_equal(atomic_load(&c.count), 1);
        assert_int_equal(atomic_load(&c.error), TERN_E_CLOSED);
        tern_client_free(client);
    }
    tern_loop_free(loop);
}

/* ---- in callbacks ---- */

static void close_and_wait(tern_client *client, const tern_event *event, void *user_data)
{
    atomic_int *answer = user_data;
    tern_token *token = NULL;
    (void)event;
    if (tern_client_close(client, 0, 0, &token) != 0) return;
    atomic_store(answer, tern_token_wait(token, PATIENCE));
    tern_token_unref(token);
}

static bool is_set(void *argument)
{
    return atomic_load((atomic_int *)argument) != 1;
}

static void waiting_for_its_own_close_would_deadlock(void **state) /* [C11] */
{
    (void)state;
    atomic_int answer = 1;
    uint16_t port;
    char url[64];
    int held = net_refusing_port(&port);
    tern_loop *loop = make_loop();
    tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_client_set_event_handler(client, close_and_wait, &answer), 0);
    assert_int_equal(tern_client_configure_url(client, url), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(net_wait_until(is_set, &answer, PATIENCE));
    assert_int_equal(atomic_load(&answer), TERN_E_WOULD_DEADLOCK);
    tern_client_free(client);
    tern_loop_free(loop);
    close(held);
}

/* ---- by hand ---- */

static void free_it(tern_client *client, const tern_event *event, void *user_data)
{
    (void)event;
    int *freed = user_data;
    if (*freed != 0) return;
    *freed = 1;
    tern_client_free(client);
}

/* Nobody can dispatch a client that was freed: the dispatch that freed it sees it through. */
static void freeing_in_a_manual_dispatch_is_complete_when_it_returns(void **state)
{
    (void)state;
    int freed = 0;
    calls told = {.error = 1};
    tern_token *token = NULL;
    uint16_t port;
    char url[64];
    int held = net_refusing_port(&port);
    tern_loop *loop = make_loop();
    tern_client *client = make_client(loop, TERN_DISPATCH_MANUAL);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &token), 0);
    assert_int_equal(tern_token_set_callback(token, count_call, &told), 0);
    assert_int_equal(tern_client_set_event_handler(client, free_it, &freed), 0);
    assert_int_equal(tern_client_configure_url(client, url), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    while (freed == 0) (void)tern_client_dispatch(client, PATIENCE);
    assert_int_equal(atomic_load(&told.count), 1); /* the outcome came first [C1] */
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT);
    tern_token_unref(token);
    tern_loop_free(loop);
    close(held);
}

typedef struct pump {
    tern_client *client;
    atomic_bool stop;
} pump;

static void *dispatch_on(void *argument)
{
    pump *p = argument;
    while (!atomic_load(&p->stop)) (void)tern_client_dispatch(p->client, 100);
    return NULL;
}

/* One thread dispatches, another one closes. */
static void closing_works_beside_a_dispatching_thread(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    for (int round = 0; round < 20; round++) {
        pump p = {.client = make_client(loop, TERN_DISPATCH_MANUAL)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, dispatch_on, &p), 0);
        assert_int_equal(tern_client_close_wait(p.client, PATIENCE), 0);
        atomic_store(&p.stop, true);
        pthread_join(thread, NULL);
        tern_client_free(p.client);
    }
    tern_loop_free(loop);
}

/* ---- draining ---- */

/* A client that makes no more attempts has nobody to drain to: its deadline, some 50 days here, is not waited for. */
static void an_idle_client_does_not_wait_to_drain(void **state)
{
    (void)state;
    tern_loop *loop = make_loop();
    tern_token *token = NULL;
    tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &token), 0);
    assert_int_equal(tern_client_close_wait(client, UINT32_MAX), 0);
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT); /* [C1] [C2] */
    assert_int_equal(tern_token_cause(token), TERN_CAUSE_CLOSED);
    tern_token_unref(token);
    tern_client_free(client);
    tern_loop_free(loop);
}

/* A link that breaks while the outbox drains comes back, and what was on its way is delivered. */
static void draining_survives_a_cut(void **state)
{
    (void)state;
    watch w;
    tern_token *message = NULL;
    tern_token *closed = NULL;
    tern_connection_options *connection = NULL;
    mock_broker *broker = mock_broker_new();
    tern_loop *loop = make_loop();
    tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
    watch_init(&w, client);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, mock_broker_url(broker)), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 1, 10, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_configure(client, connection), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    mock_broker_set_rules(broker, &(mock_rules){.no_acks = true});
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &message), 0);
    assert_true(mock_broker_wait(broker, TERN__PUBLISH, 1, PATIENCE));
    assert_int_equal(tern_client_close(client, 1, UINT32_MAX, &closed), 0);
    mock_broker_set_rules(broker, &(mock_rules){0});
    mock_broker_cut(broker);
    assert_int_equal(tern_token_wait(message, PATIENCE), 0);
    assert_int_equal(tern_token_outcome(message), TERN_OUTCOME_DELIVERED);
    assert_int_equal(tern_token_wait(closed, PATIENCE), 0);
    assert_int_equal(mock_broker_count(broker, TERN__DISCONNECT), 1);
    assert_int_equal(watch_count(&w, TERN_EVENT_CONNECTED), 2);
    assert_int_equal(watch_count(&w, TERN_EVENT_DISCONNECTED), 2);
    tern_token_unref(message);
    tern_token_unref(closed);
    tern_client_free(client);
    tern_loop_free(loop);
    tern_connection_options_free(connection);
    mock_broker_free(broker);
    watch_deinit(&w);
}

/* ---- the last bytes ---- */

typedef struct reader {
    int fd;
    size_t bytes;
    uint8_t last[2];
    ssize_t end; /* what the last recv() said: 0 the end, -1 a reset */
} reader;

static void *read_to_the_end(void *argument)
{
    reader *r = argument;
    uint8_t data[4096];
    while ((r->end = recv(r->fd, data, sizeof data, 0)) > 0) {
        r->bytes += (size_t)r->end;
        for (ssize_t i = 0; i < r->end; i++) {
            r->last[0] = r->last[1];
            r->last[1] = data[i];
        }
    }
    shutdown(r->fd, SHUT_WR);
    return NULL;
}

/* Bytes from the peer that nobody has read make TCP reset a connection that is closed, and drop what is still on its way: the
 * peer would see neither the last messages nor DISCONNECT, and publish the will. */
static void unread_bytes_do_not_cost_the_last_ones(void **state)
{
    (void)state;
    enum { MESSAGES = 20, SIZE = 10000 };
    static const uint8_t connack[] = {0x20, 2, 0, 0};
    static const uint8_t message[] = {0x30, 4, 0, 1, 'a', 'x'};
    static char payload[SIZE];
    watch w;
    uint8_t connect[14];
    uint16_t port;
    char url[64];
    reader r = {.fd = -1};
    pthread_t thread;
    tern_token *closed = NULL;
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    tern_client *client = NULL;
    int listener = net_listen("127.0.0.1", &port);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", port);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_inbound_limit(options, 1), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    watch_init(&w, client);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, url), 0);
    assert_int_equal(tern_connection_options_set_version(connection, TERN_VERSION_311), 0);
    assert_int_equal(tern_client_configure(client, connection), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    r.fd = net_accept(listener, PATIENCE);
    assert_int_equal(net_read(r.fd, connect, sizeof connect, PATIENCE), sizeof connect);
    assert_true(net_write(r.fd, connack, sizeof connack));
    while (watch_count(&w, TERN_EVENT_PAUSED) == 0) assert_true(net_write(r.fd, message, sizeof message));
    assert_true(net_write(r.fd, message, sizeof message)); /* this one stays in the socket */
    assert_int_equal(pthread_create(&thread, NULL, read_to_the_end, &r), 0);
    for (int i = 0; i < MESSAGES; i++) assert_int_equal(tern_client_publish(client, "b", payload, SIZE, 0, NULL), 0);
    assert_int_equal(tern_client_close(client, 1, PATIENCE, &closed), 0);
    assert_int_equal(tern_token_wait(closed, PATIENCE), 0);
    pthread_join(thread, NULL);
    assert_int_equal(r.end, 0);
    assert_int_equal(r.bytes, MESSAGES * (1 + 2 + 2 + 1 + SIZE) + 2);
    assert_int_equal(r.last[0], 0xE0); /* DISCONNECT [MQTT311-3.14.4-1] */
    assert_int_equal(r.last[1], 0);
    tern_token_unref(closed);
    tern_client_free(client);
    tern_client_options_free(options);
    tern_connection_options_free(connection);
    watch_deinit(&w);
    close(r.fd);
    close(listener);
}

/* ---- waits that give up ---- */

static size_t waiting_receivers(tern_client *client)
{
    size_t count = 0;
    tern__mutex_lock(&client->mailbox.dispatcher->lock);
    const tern__list *list = &client->mailbox.receivers;
    for (const tern__list *link = list->next; link != list; link = link->next) count++;
    tern__mutex_unlock(&client->mailbox.dispatcher->lock);
    return count;
}

/* A wait that timed out leaves nothing behind, so that waiting again and again holds no more memory. [C10] */
static void waits_that_time_out_leave_nothing(void **state)
{
    (void)state;
    enum { TIMES = 3000, FEW = 2 };
    tern_loop *loop = make_loop();
    tern_client *client = make_client(loop, TERN_DISPATCH_THREAD);
    tern_message *message = NULL;
    for (int i = 0; i < TIMES; i++) assert_int_equal(tern_client_receive_wait(client, &message, 0), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    for (int i = 0; i < TIMES / 10; i++) assert_int_equal(tern_client_flush_wait(client, 1), TERN_E_TIMEOUT);
    assert_true(waiting_receivers(client) <= FEW);
    tern_client_free(client);
    tern_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_closers_one_closes),
        cmocka_unit_test(a_close_token_calls_back_before_free_returns),
        cmocka_unit_test(a_client_is_freed_in_the_callback_of_its_close),
        cmocka_unit_test(a_callback_set_after_closing_is_refused),
        cmocka_unit_test(a_receiver_is_told_of_closing),
        cmocka_unit_test(waiting_for_its_own_close_would_deadlock),
        cmocka_unit_test(freeing_in_a_manual_dispatch_is_complete_when_it_returns),
        cmocka_unit_test(closing_works_beside_a_dispatching_thread),
        cmocka_unit_test(an_idle_client_does_not_wait_to_drain),
        cmocka_unit_test(draining_survives_a_cut),
        cmocka_unit_test(unread_bytes_do_not_cost_the_last_ones),
        cmocka_unit_test(waits_that_time_out_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
