/* Manual dispatch: the application's own loop runs the callbacks, and a descriptor says when.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/mock_broker.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

typedef struct seen {
    pthread_t thread; /* the only one that callbacks may run on */
    unsigned strangers;
    unsigned events;
    unsigned connected;
    unsigned messages;
    unsigned deliveries;
    char payloads[64];
} seen;

static void note(seen *s)
{
    if (!pthread_equal(pthread_self(), s->thread)) s->strangers++;
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    seen *s = user_data;
    (void)client;
    note(s);
    s->events++;
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECTED) s->connected++;
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    seen *s = user_data;
    (void)client;
    note(s);
    s->messages++;
    if (strlen(s->payloads) < sizeof s->payloads - 2) strcat(s->payloads, tern_message_text(message));
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    seen *s = user_data;
    (void)client;
    note(s);
    s->deliveries += (unsigned)tern_delivery_count(delivery);
}

static tern_client *make_client(mock_broker *broker, seen *s)
{
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    memset(s, 0, sizeof *s);
    s->thread = pthread_self();
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_client_set_event_handler(client, on_event, s), 0);
    assert_int_equal(tern_client_set_message_handler(client, on_message, s), 0);
    assert_int_equal(tern_client_set_delivery_handler(client, on_delivery, s), 0);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    return client;
}

/* Runs callbacks of both clients as an application's poll() loop would, until the condition holds. */
static void loop_until(tern_client *clients[], int count, const unsigned *value, unsigned wanted)
{
    struct pollfd polls[2];
    for (int i = 0; i < count; i++) {
        polls[i].events = POLLIN;
        assert_int_equal(tern_client_dispatch_fd(clients[i], &polls[i].fd), 0);
    }
    while (*value < wanted) {
        assert_true(poll(polls, (nfds_t)count, PATIENCE) > 0);
        for (int i = 0; i < count; i++)
            if (polls[i].revents != 0) (void)tern_client_dispatch(clients[i], 0);
    }
}

static bool readable(tern_client *client)
{
    struct pollfd one = {.events = POLLIN};
    assert_int_equal(tern_client_dispatch_fd(client, &one.fd), 0);
    return poll(&one, 1, 0) == 1;
}

static void two_clients_in_a_poll_loop(void **state)
{
    (void)state;
    seen a, b;
    mock_broker *broker = mock_broker_new();
    tern_client *clients[2] = {make_client(broker, &a), make_client(broker, &b)};
    assert_int_equal(tern_client_connect(clients[0], NULL), 0);
    assert_int_equal(tern_client_connect(clients[1], NULL), 0);
    loop_until(clients, 2, &a.connected, 1);
    loop_until(clients, 2, &b.connected, 1);
    assert_int_equal(tern_client_subscribe(clients[1], "t", TERN_QOS_1, NULL), 0);
    assert_true(mock_broker_wait(broker, TERN__SUBSCRIBE, 1, PATIENCE));
    for (int i = 0; i < 9; i++) {
        char digit = (char)('1' + i);
        assert_int_equal(tern_client_publish(clients[0], "t", &digit, 1, TERN_QOS_1, NULL), 0);
    }
    loop_until(clients, 2, &b.messages, 9);
    loop_until(clients, 2, &a.deliveries, 9);
    assert_string_equal(b.payloads, "123456789"); /* wire order [C9] */
    assert_int_equal(a.strangers + b.strangers, 0);
    for (int i = 0; i < 2; i++) {
        while (tern_client_dispatch(clients[i], 0) == 0)
            ;
        assert_false(readable(clients[i])); /* nothing to do: nothing to wake for */
    }
    tern_client_free(clients[0]);
    tern_client_free(clients[1]);
    mock_broker_free(broker);
}

/* An acknowledgement waits for the callback, and so for the application that dispatches. [C9] */
static void nothing_is_acknowledged_before_it_was_dispatched(void **state)
{
    (void)state;
    seen s;
    mock_broker *broker = mock_broker_new();
    tern_client *client = make_client(broker, &s);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    loop_until(&client, 1, &s.connected, 1);
    assert_int_equal(tern_client_subscribe(client, "t", TERN_QOS_1, NULL), 0);
    assert_true(mock_broker_wait(broker, TERN__SUBSCRIBE, 1, PATIENCE));
    while (tern_client_dispatch(client, 0) == 0)
        ;
    mock_broker_publish(broker, "t", "x", 1, 1);
    int fd = -1;
    assert_int_equal(tern_client_dispatch_fd(client, &fd), 0);
    assert_true(net_readable(fd, PATIENCE));
    assert_int_equal(s.messages, 0);
    assert_int_equal(mock_broker_count(broker, TERN__PUBACK), 0);
    assert_int_equal(tern_client_dispatch(client, 0), 0);
    assert_int_equal(s.messages, 1);
    assert_true(mock_broker_wait(broker, TERN__PUBACK, 1, PATIENCE));
    tern_client_free(client);
    mock_broker_free(broker);
}

static void dispatching_has_a_deadline(void **state)
{
    (void)state;
    seen s;
    mock_broker *broker = mock_broker_new();
    tern_client *client = make_client(broker, &s);
    assert_int_equal(tern_client_dispatch(client, 0), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_dispatch(client, 20), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_dispatch(NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    while (s.connected == 0) assert_int_equal(tern_client_dispatch(client, PATIENCE), 0);
    /* Closing reports to the application's own loop too. */
    tern_token *token = NULL;
    assert_int_equal(tern_client_close(client, 1, PATIENCE, &token), 0);
    while (tern_client_dispatch(client, PATIENCE) == 0 && !tern_token_done(token))
        ;
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    tern_client_free(client);
    mock_broker_free(broker);
}

/* Freed in its own dispatch, and freed without a last dispatch. */
static void free_inside(tern_client *client, const tern_event *event, void *user_data)
{
    unsigned *freed = user_data;
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECTED) return;
    ++*freed;
    tern_client_free(client);
}

static void freeing_works_inside_and_outside(void **state)
{
    (void)state;
    seen s;
    unsigned freed = 0;
    mock_broker *broker = mock_broker_new();
    tern_client *client = make_client(broker, &s);
    tern_token *token = NULL;
    assert_int_equal(tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &token), 0);
    tern_client_free(client); /* never dispatched */
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_NOT_SENT);
    tern_token_unref(token);
    client = make_client(broker, &s);
    assert_int_equal(tern_client_set_event_handler(client, free_inside, &freed), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    while (freed == 0) (void)tern_client_dispatch(client, PATIENCE);
    assert_true(mock_broker_wait_exactly(broker, MOCK_OPEN, 0, 0) || freed == 1);
    mock_broker_free(broker);
}

/* A client that has a thread for its callbacks has no such descriptor. */
static void others_do_not_dispatch(void **state)
{
    (void)state;
    tern_client *client = NULL;
    int fd = 0;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_dispatch(client, 0), TERN_E_STATE);
    assert_int_equal(tern_client_dispatch_fd(client, &fd), TERN_E_STATE);
    assert_int_equal(fd, -1);
    tern_client_free(client);
}

static unsigned threads_here(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

/* One that was joined stays in the list for a moment. */
static bool are_so_many(void *wanted)
{
    return threads_here() == *(unsigned *)wanted;
}

/* The network's: nobody would use one for callbacks. */
static void a_client_has_one_thread(void **state)
{
    (void)state;
    seen s;
    mock_broker *broker = mock_broker_new();
    unsigned before = threads_here();
    tern_client *client = make_client(broker, &s);
    assert_int_equal(threads_here(), before + 1);
    tern_client_free(client);
    assert_true(net_wait_until(are_so_many, &before, PATIENCE));
    mock_broker_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_clients_in_a_poll_loop),
        cmocka_unit_test(nothing_is_acknowledged_before_it_was_dispatched),
        cmocka_unit_test(dispatching_has_a_deadline),
        cmocka_unit_test(freeing_works_inside_and_outside),
        cmocka_unit_test(others_do_not_dispatch),
        cmocka_unit_test(a_client_has_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
