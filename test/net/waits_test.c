/* Waits that end by their deadline: what they leave behind, and whose failure they name.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/client.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, SHORT = 300, MANY = 1000 };

static void count_call(tern_token *token, void *user_data)
{
    (void)token;
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static size_t length(tern_client *client, const tern__list *list)
{
    size_t count = 0;
    tern__mutex_lock(&client->mailbox.dispatcher->lock);
    for (const tern__list *link = list->next; link != list; link = link->next) count++;
    tern__mutex_unlock(&client->mailbox.dispatcher->lock);
    return count;
}

/* A wait that timed out gave its token back: a program that asks again and again must not grow. [C10] */
static void receives_that_timed_out_hold_nothing(void **state)
{
    (void)state;
    tern_client *client = NULL;
    tern_token *kept = NULL;
    tern_token *called = NULL;
    tern_message *message = NULL;
    atomic_int calls = 0;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_receive_token(client, &kept), 0);
    assert_int_equal(tern_client_receive_token(client, &called), 0);
    assert_int_equal(tern_token_set_callback(called, count_call, &calls), 0);
    tern_token_unref(called); /* cancels nothing */
    for (int i = 0; i < MANY; i++)
        assert_int_equal(tern_client_receive_wait(client, &message, 0), TERN_E_TIMEOUT);
    assert_true(length(client, &client->mailbox.receivers) <= 3);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    assert_int_equal(tern_token_error(kept), TERN_E_CLOSED);
    assert_int_equal(atomic_load(&calls), 1);
    tern_token_unref(kept);
    tern_client_free(client);
}

/* The same of flushes, while the outbox cannot drain. */
static void flushes_that_timed_out_hold_nothing(void **state)
{
    (void)state;
    tern_client *client = NULL;
    tern_token *kept = NULL;
    tern_token *after = NULL;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_1, NULL), 0);
    assert_int_equal(tern_client_flush(client, &kept), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(tern_client_flush_wait(client, 0), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_disconnect(client, 0, &after), 0); /* seen after all of them */
    assert_int_equal(tern_token_wait(after, PATIENCE), 0);
    assert_true(atomic_load(&client->refs) <= 6); /* each token keeps the client */
    tern_token *closed;
    assert_int_equal(tern_client_close(client, 1, SHORT, &closed), 0);
    assert_int_equal(tern_token_wait(closed, PATIENCE), 0);
    tern_token_unref(closed);
    assert_int_equal(tern_token_error(kept), 0);
    tern_token_unref(after);
    tern_token_unref(kept);
    tern_client_free(client);
}

/* The failure of an earlier call is not why the server is silent. */
static void connecting_names_its_own_failure(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    tern_client *client = NULL;
    int listener = net_listen("127.0.0.1", &port); /* accepts, and never says a word */
    assert_true(listener >= 0);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_publish(client, "a/#", "", 0, TERN_QOS_0, NULL), TERN_E_TOPIC);
    assert_int_equal(tern_client_configure_url(client, url), 0);
    assert_int_equal(tern_client_connect_wait(client, SHORT), TERN_E_TIMEOUT);
    tern_client_free(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receives_that_timed_out_hold_nothing),
        cmocka_unit_test(flushes_that_timed_out_hold_nothing),
        cmocka_unit_test(connecting_names_its_own_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
