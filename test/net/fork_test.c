/* After fork(): the child's handles answer TERN_E_FORKED, whatever lock was held, and the parent notices nothing. [C15]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/client.h"
#include "client/loop.h"
#include "client/token.h"
#include "support/mock_broker.h"
#include "support/net.h"

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

enum { PATIENCE = NET_PATIENCE_MS, CHILD_SECONDS = 20 };

typedef struct world {
    mock_broker *broker;
    tern_loop *loop;
    tern_client *client;
    tern_token *pending; /* of a message that nobody acknowledges */
    tern_token *ended;
    tern_message *message;
    tern_subscription *subscription;
    tern_connection_options *connection;
    tern_client_options *options;
} world;

static void make_world(world *w)
{
    memset(w, 0, sizeof *w);
    w->broker = mock_broker_new();
    assert_int_equal(tern_loop_new(&w->loop, 1, TERN_POLLER_DEFAULT), 0);
    assert_int_equal(tern_client_options_new(&w->options), 0);
    assert_int_equal(tern_client_options_set_loop(w->options, w->loop), 0);
    assert_int_equal(tern_client_options_set_ack(w->options, TERN_ACK_MANUAL), 0);
    assert_int_equal(tern_client_new(&w->client, w->options), 0);
    assert_int_equal(tern_connection_options_new(&w->connection), 0);
    assert_int_equal(tern_connection_options_add_server(w->connection, mock_broker_url(w->broker)), 0);
    assert_int_equal(tern_client_configure(w->client, w->connection), 0);
    assert_int_equal(tern_client_connect_wait(w->client, PATIENCE), 0);
    assert_int_equal(tern_message_new(&w->message, "a", "x", 1, TERN_QOS_1), 0);
    assert_int_equal(tern_subscription_new(&w->subscription), 0);
    assert_int_equal(tern_subscription_add(w->subscription, "a", TERN_QOS_1), 0);
    assert_int_equal(tern_client_publish_token(w->client, "a", "x", 1, TERN_QOS_1, &w->ended), 0);
    assert_int_equal(tern_token_wait(w->ended, PATIENCE), 0);
    mock_broker_set_rules(w->broker, &(mock_rules){.no_acks = true});
    assert_int_equal(tern_client_publish_token(w->client, "a", "x", 1, TERN_QOS_1, &w->pending), 0);
    assert_true(mock_broker_wait(w->broker, TERN__PUBLISH, 2, PATIENCE));
}

static void free_world(world *w)
{
    tern_token_unref(w->pending);
    tern_token_unref(w->ended);
    tern_message_unref(w->message);
    tern_subscription_free(w->subscription);
    tern_connection_options_free(w->connection);
    tern_client_options_free(w->options);
    tern_client_free(w->client);
    tern_loop_free(w->loop);
    mock_broker_free(w->broker);
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)message;
    (void)user_data;
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    (void)client;
    (void)event;
    (void)user_data;
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    (void)delivery;
    (void)user_data;
}

static void on_token(tern_token *token, void *user_data)
{
    (void)token;
    (void)user_data;
}

enum { CALLS = 37 };

/* One call of a child. */
static int call(const world *w, int which)
{
    tern_client *c = w->client;
    tern_client *other = NULL;
    tern_token *token = NULL;
    tern_message *message = NULL;
    char text[64];
    uint64_t value = 0;
    int fd = 0;
    switch (which) {
    case 0: return tern_client_configure(c, w->connection);
    case 1: return tern_client_configure_url(c, "mqtt://localhost");
    case 2: return tern_client_connect(c, &token);
    case 3: return tern_client_disconnect(c, 0, &token);
    case 4: return tern_client_close(c, 1, PATIENCE, &token);
    case 5: return tern_client_publish(c, "a", "x", 1, 0, &value);
    case 6: return tern_client_publish_token(c, "a", "x", 1, TERN_QOS_1, &token);
    case 7: return tern_client_publish_message(c, w->message, NULL, &token);
    case 8: return tern_client_subscribe(c, "a", 0, &token);
    case 9: return tern_client_subscribe_all(c, w->subscription, &token);
    case 10: return tern_client_unsubscribe(c, "a", &token);
    case 11: return tern_client_unsubscribe_all(c, w->subscription, &token);
    case 12: return tern_client_set_filter_handler(c, "a", on_message, NULL);
    case 13: return tern_client_set_message_handler(c, on_message, NULL);
    case 14: return tern_client_set_delivery_handler(c, on_delivery, NULL);
    case 15: return tern_client_set_event_handler(c, on_event, NULL);
    case 16: return tern_client_ack(c, w->message);
    case 17: return tern_client_receive(c, &message);
    case 18: return tern_client_receive_token(c, &token);
    case 19: return tern_client_flush(c, &token);
    case 20: return tern_client_dispatch(c, PATIENCE);
    case 21: return tern_client_dispatch_fd(c, &fd);
    case 22: return tern_client_id(c, text, sizeof text);
    case 23: return tern_client_copy_error_text(c, text, sizeof text);
    case 24: return tern_client_stat(c, "connected", &value);
    case 25: return tern_client_connect_wait(c, PATIENCE);
    case 26: return tern_client_publish_wait(c, "a", "x", 1, 0, PATIENCE);
    case 27: return tern_client_publish_message_wait(c, w->message, NULL, PATIENCE);
    case 28: return tern_client_subscribe_wait(c, "a", 0, PATIENCE);
    case 29: return tern_client_subscribe_all_wait(c, w->subscription, PATIENCE);
    case 30: return tern_client_unsubscribe_wait(c, "a", PATIENCE);
    case 31: return tern_client_receive_wait(c, &message, PATIENCE);
    case 32: return tern_client_flush_wait(c, PATIENCE);
    case 33: return tern_client_close_wait(c, PATIENCE);
    case 34: return tern_token_wait(w->pending, PATIENCE);
    case 35: return tern_token_set_callback(w->ended, on_token, NULL);
    case 36: return tern_client_new(&other, w->options); /* on the parent's loop */
    default: return 0;
    }
}

/* What the child does; its exit status says how it went. A call that waits for a lock is ended by the alarm. */
static void be_child(const world *w)
{
    alarm(CHILD_SECONDS);
    for (int which = 0; which < CALLS; which++)
        if (call(w, which) != TERN_E_FORKED) _exit(100 + which);
    if (tern_client_connected(w->client) || tern_client_in_callback(w->client)) _exit(90);
    if (strcmp(tern_client_error_text(w->client), tern_strerror(TERN_E_FORKED)) != 0) _exit(91);
    if (tern_token_done(w->pending) || tern_token_error(w->ended) != 0) _exit(92); /* reading needs no thread */
    tern_token_unref(w->pending);
    tern_client_free(w->client);
    tern_token_unref(w->ended); /* after its client */
    tern_loop_free(w->loop);
    _exit(0);
}

static void expect_good_child(pid_t child)
{
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) fail_msg("the child ended by signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The parent goes on: nothing of what the child did reached its sockets or its poller. */
static void expect_unharmed(world *w)
{
    mock_broker_set_rules(w->broker, &(mock_rules){0});
    assert_int_equal(tern_client_publish_wait(w->client, "a", "y", 1, TERN_QOS_2, PATIENCE), 0);
    assert_int_equal(tern_client_subscribe_wait(w->client, "b", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(w->client, "b", "z", 1, 0, PATIENCE), 0);
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(w->client, &message, PATIENCE), 0);
    tern_message_unref(message);
    assert_int_equal(mock_broker_count(w->broker, MOCK_ENDED), 0);
}

static void every_call_of_a_child_says_so(void **state)
{
    (void)state;
    world w;
    make_world(&w);
    pid_t child = fork();
    if (child == 0) be_child(&w);
    expect_good_child(child);
    expect_unharmed(&w);
    free_world(&w);
}

/* Each lock is held at the moment of the fork, as if by a thread that the child does not have. */
static void locks_play_no_part(void **state)
{
    (void)state;
    world w;
    make_world(&w);
    tern__mutex *locks[] = {&w.client->lock, &w.pending->lock, &w.client->mailbox.dispatcher->lock,
                            &w.client->mailbox.router.lock, &w.loop->lock};
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        tern__mutex_lock(locks[i]);
        pid_t child = fork();
        if (child == 0) be_child(&w);
        tern__mutex_unlock(locks[i]);
        expect_good_child(child);
    }
    expect_unharmed(&w);
    free_world(&w);
}

static bool poll_child(void *argument)
{
    int status = 0;
    pid_t *child = argument;
    if (waitpid(*child, &status, WNOHANG) == 0) return false;
    *child = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
    return true;
}

static void fork_here(tern_client *client, const tern_event *event, void *user_data)
{
    (void)event;
    pid_t *child = user_data;
    if (*child != 0) return;
    *child = fork();
    if (*child != 0) return;
    alarm(CHILD_SECONDS);
    if (tern_client_close_wait(client, PATIENCE) != TERN_E_FORKED) _exit(1);
    tern_client_free(client); /* no callback to defer it to */
    _exit(0);
}

static void forking_in_a_callback(void **state)
{
    (void)state;
    pid_t child = 0;
    tern_client *client = NULL;
    mock_broker *broker = mock_broker_new();
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_set_event_handler(client, fork_here, &child), 0);
    assert_int_equal(tern_client_configure_url(client, mock_broker_url(broker)), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    tern_client_free(client);
    assert_true(child > 0);
    assert_true(net_wait_until(poll_child, &child, PATIENCE));
    assert_int_equal(child, 0);
    mock_broker_free(broker);
}

/* A child may have clients of its own; ThreadSanitizer does not let a child start threads. */
static void a_child_has_clients_of_its_own(void **state)
{
    (void)state;
#ifdef THREAD_SANITIZER
    skip();
#else
    world w;
    make_world(&w);
    pid_t child = fork();
    if (child == 0) {
        tern_client *own = NULL;
        alarm(CHILD_SECONDS);
        if (tern_client_open_wait(&own, mock_broker_url(w.broker), PATIENCE) != 0) _exit(1);
        if (tern_client_close_wait(own, PATIENCE) != 0) _exit(2);
        tern_client_free(own);
        _exit(0);
    }
    expect_good_child(child);
    free_world(&w);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_a_child_says_so),
        cmocka_unit_test(locks_play_no_part),
        cmocka_unit_test(forking_in_a_callback),
        cmocka_unit_test(a_child_has_clients_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
