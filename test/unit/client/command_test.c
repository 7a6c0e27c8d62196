/* Commands: what application threads ask of the loop, and whose it is when it cannot be asked.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <tern/client.h>
#include <tern/subscription.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/client.h"
#include "support/failing.h"

static tern__command *make(tern__command_kind kind)
{
    tern__command *command = tern__command_new(kind);
    assert_non_null(command);
    return command;
}

static void a_new_command_asks_for_nothing_more(void **state)
{
    (void)state;
    for (int kind = TERN__COMMAND_CONNECT; kind <= TERN__COMMAND_FLUSH; kind++) {
        tern__command *command = make((tern__command_kind)kind);
        assert_int_equal(command->kind, kind);
        assert_true(tern__list_empty(&command->link));
        assert_null(command->token);
        assert_null(command->subscription);
        assert_int_equal(command->reason, 0);
        assert_false(command->drain);
        tern__command_free(command);
    }
}

/* That its subscription goes with it is for the sanitizers to see. */
static void a_command_owns_its_subscription(void **state)
{
    (void)state;
    tern__command *command = make(TERN__COMMAND_SUBSCRIBE);
    assert_int_equal(tern_subscription_new(&command->subscription), 0);
    assert_int_equal(tern_subscription_add(command->subscription, "a/#", TERN_QOS_1), 0);
    tern__command_free(command);
}

static void memory_runs_out(void **state) /* [C19] */
{
    (void)state;
    failing_arm(0);
    assert_null(tern__command_new(TERN__COMMAND_CONNECT));
    assert_true(failing_disarm());
}

/* Asking with too little memory gives no token and asks nothing; asked again it works. [C19] */
static void calls_without_memory(void **state)
{
    (void)state;
    tern_client *client = NULL;
    tern_connection_options *options = NULL;
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, "mqtt://127.0.0.1"), 0);
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_configure(client, options), 0);
    tern_connection_options_free(options);
    for (int call = 0; call < 5; call++) {
        bool failed = true;
        for (long n = 0; failed; n++) {
            tern_token *token = (tern_token *)&failed;
            int rc = 0;
            failing_arm(n);
            switch (call) {
            case 0:
                rc = tern_client_disconnect(client, 0, &token);
                break;
            case 1:
                rc = tern_client_flush(client, &token);
                break;
            case 2:
                rc = tern_client_subscribe(client, "a/+", TERN_QOS_1, &token);
                break;
            case 3:
                rc = tern_client_unsubscribe(client, "a/+", &token);
                break;
            default:
                rc = tern_client_publish_token(client, "a", "x", 1, TERN_QOS_1, &token);
                break;
            }
            failed = failing_disarm();
            assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
            if (failed)
                assert_null(token);
            else
                tern_token_unref(token);
        }
    }
    tern_client_free(client);
}

/* A client that is closing takes none: it is still the caller's. */
static void a_closing_client_takes_none(void **state)
{
    (void)state;
    tern_client *client = NULL;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_close(client, 0, 0, NULL), 0);
    tern__command *command = make(TERN__COMMAND_CONNECT);
    assert_int_equal(tern__client_command(client, command), TERN_E_CLOSED);
    assert_true(tern__list_empty(&command->link));
    tern__command_free(command);
    tern_token *token = NULL;
    assert_int_equal(tern_client_flush(client, &token), TERN_E_CLOSED);
    assert_null(token);
    assert_int_equal(tern_client_disconnect(client, 0, &token), TERN_E_CLOSED);
    assert_null(token);
    assert_int_equal(tern_client_connect(client, &token), TERN_E_CLOSED);
    assert_null(token);
    assert_int_equal(tern_client_subscribe(client, "a", 0, &token), TERN_E_CLOSED);
    assert_null(token);
    tern_client_free(client);
}

/* Codes that only a server sends, or nobody. [MQTT5-3.14.2-1] */
static void reasons_of_a_client(void **state)
{
    (void)state;
    static const int bad[] = {-1, 1, 0x87, 0x8B, 0x8E, 0x9D, 0x100, 0x104};
    static const int good[] = {0x00, 0x04, 0x80, 0x98};
    tern_client *client = NULL;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tern_client_disconnect(client, bad[i], NULL), TERN_E_INVALID);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(tern_client_disconnect(client, good[i], NULL), 0);
    tern_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_command_asks_for_nothing_more),
        cmocka_unit_test(a_command_owns_its_subscription),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(calls_without_memory),
        cmocka_unit_test(a_closing_client_takes_none),
        cmocka_unit_test(reasons_of_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
