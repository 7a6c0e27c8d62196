/* Many clients on one loop: both pollers, one dispatcher and several, and any order of freeing.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, CLIENTS = 100 };

typedef struct member {
    tern_client *client;
    atomic_int received;
    atomic_int inside;   /* callbacks that run just now: never two [C9] */
    atomic_int overlaps;
} member;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    member *m = user_data;
    (void)client;
    (void)message;
    if (atomic_fetch_add(&m->inside, 1) != 0) atomic_fetch_add(&m->overlaps, 1);
    atomic_fetch_add(&m->received, 1);
    atomic_fetch_sub(&m->inside, 1);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    member *m = user_data;
    (void)client;
    (void)event;
    if (atomic_fetch_add(&m->inside, 1) != 0) atomic_fetch_add(&m->overlaps, 1);
    atomic_fetch_sub(&m->inside, 1);
}

static void join(member *m, mock_broker *broker, tern_loop *loop)
{
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_loop(options, loop), 0);
    assert_int_equal(tern_client_new(&m->client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, mock_broker_url(broker)), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 5, 50, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_client_configure(m->client, connection), 0);
    tern_connection_options_free(connection);
    assert_int_equal(tern_client_set_message_handler(m->client, on_message, m), 0);
    assert_int_equal(tern_client_set_event_handler(m->client, on_event, m), 0);
    assert_int_equal(tern_client_subscribe(m->client, "all", TERN_QOS_1, NULL), 0);
    assert_int_equal(tern_client_connect(m->client, NULL), 0);
}

typedef struct crowd {
    member *members;
    int wanted;
} crowd;

static bool all_received(void *argument)
{
    crowd *c = argument;
    for (int i = 0; i < CLIENTS; i++)
        if (atomic_load(&c->members[i].received) < c->wanted) return false;
    return true;
}

static void crowd_on(tern_poller poller, unsigned dispatchers)
{
    static member members[CLIENTS];
    crowd c = {members, CLIENTS};
    mock_broker *broker = mock_broker_new();
    tern_loop *loop = NULL;
    assert_int_equal(tern_loop_new(&loop, dispatchers, poller), 0);
    for (int i = 0; i < CLIENTS; i++) {
        atomic_store(&members[i].received, 0);
        atomic_store(&members[i].overlaps, 0);
        join(&members[i], broker, loop);
    }
    tern_loop_free(loop); /* its clients keep it */
    assert_true(mock_broker_wait(broker, TERN__SUBSCRIBE, CLIENTS, PATIENCE));
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(tern_client_publish(members[i].client, "all", "x", 1, TERN_QOS_1, NULL), 0);
    assert_true(net_wait_until(all_received, &c, PATIENCE));
    /* All are thrown out and come back, with their sessions. */
    mock_broker_cut(broker);
    assert_true(mock_broker_wait(broker, TERN__CONNECT, 2 * CLIENTS, PATIENCE));
    assert_true(mock_broker_wait_exactly(broker, MOCK_OPEN, CLIENTS, PATIENCE));
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(tern_client_flush_wait(members[i].client, PATIENCE), 0);
    c.wanted++;
    mock_broker_publish(broker, "all", "y", 1, 1);
    assert_true(net_wait_until(all_received, &c, PATIENCE));
    assert_int_equal(mock_broker_count(broker, TERN__SUBSCRIBE), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        member *m = &members[(i * 37) % CLIENTS];
        tern_client_free(m->client);
        assert_int_equal(atomic_load(&m->overlaps), 0);
    }
    assert_true(mock_broker_wait_exactly(broker, MOCK_OPEN, 0, PATIENCE));
    mock_broker_free(broker);
}

static void on_epoll(void **state)
{
    (void)state;
    crowd_on(TERN_POLLER_EPOLL, 1);
}

static void on_epoll_with_four_dispatchers(void **state)
{
    (void)state;
    crowd_on(TERN_POLLER_EPOLL, 4);
}

static void on_poll(void **state)
{
    (void)state;
    crowd_on(TERN_POLLER_POLL, 1);
}

static void on_poll_with_four_dispatchers(void **state)
{
    (void)state;
    crowd_on(TERN_POLLER_POLL, 4);
}

/* The last reference to a loop goes in a callback that the loop runs. */
typedef struct last {
    tern_loop *loop;
    atomic_int done;
} last;

static void free_all(tern_client *client, const tern_event *event, void *user_data)
{
    last *l = user_data;
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECTED || atomic_load(&l->done) != 0) return;
    tern_loop_free(l->loop);
    tern_client_free(client);
    atomic_store(&l->done, 1);
}

static void a_loop_freed_in_its_own_callback(void **state)
{
    (void)state;
    static last l;
    mock_broker *broker = mock_broker_new();
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    assert_int_equal(tern_loop_new(&l.loop, 2, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_loop(options, l.loop), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    assert_int_equal(tern_client_set_event_handler(client, free_all, &l), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(mock_broker_wait(broker, MOCK_ENDED, 1, PATIENCE));
    mock_broker_free(broker);
}

static void bad_arguments(void **state)
{
    (void)state;
    tern_loop *loop = (tern_loop *)(void *)state;
    assert_int_equal(tern_loop_new(NULL, 1, TERN_POLLER_DEFAULT), TERN_E_INVALID);
    assert_int_equal(tern_loop_new(&loop, 0, TERN_POLLER_DEFAULT), TERN_E_INVALID);
    assert_null(loop);
    assert_int_equal(tern_loop_new(&loop, 100000, TERN_POLLER_DEFAULT), TERN_E_INVALID);
    assert_int_equal(tern_loop_new(&loop, 1, (tern_poller)9), TERN_E_INVALID);
    tern_loop_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_epoll),
        cmocka_unit_test(on_epoll_with_four_dispatchers),
        cmocka_unit_test(on_poll),
        cmocka_unit_test(on_poll_with_four_dispatchers),
        cmocka_unit_test(a_loop_freed_in_its_own_callback),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
