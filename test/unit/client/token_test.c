/* Tokens: pending, ended once, read, waited for and called back, from any thread, and longer than
 * their client lives.
 *
 * The client is dispatched by hand and never connects: the test ends tokens as its loop would.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tern/client.h>
#include <tern/options.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/alloc.h"
#include "client/client.h"
#include "support/failing.h"

enum { PATIENCE = 20000, THREADS = 4 };

static tern_client *make_client(void)
{
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    return client;
}

static tern_token *make(tern_client *client)
{
    tern_token *token = NULL;
    assert_int_equal(tern__token_new(client, &token), 0);
    return token;
}

/* Runs what is due. */
static void run(tern_client *client)
{
    while (tern_client_dispatch(client, 0) == 0)
        continue;
}

static void count_call(tern_token *token, void *user_data)
{
    assert_int_equal(tern_token_done(token), 1);
    atomic_fetch_add((atomic_uint *)user_data, 1);
}

/* ---- reading ---- */

static void a_pending_token_tells_nothing(void **state)
{
    (void)state;
    tern_client *client = make_client();
    tern_token *token = make(client);
    assert_int_equal(tern_token_done(token), 0);
    assert_int_equal(tern_token_error(token), TERN_E_AGAIN);
    assert_string_equal(tern_token_error_text(token), "");
    assert_int_equal(tern_token_outcome(token), TERN_OUTCOME_PENDING);
    assert_int_equal(tern_token_cause(token), TERN_CAUSE_NONE);
    assert_int_equal(tern_token_reason_count(token), 0);
    assert_int_equal(tern_token_reason_code(token, 0), -1);
    assert_null(tern_token_reason_string(token));
    assert_true(tern_token_message_id(token) == 0);
    tern__token_finish_error(token, 0, NULL);
    tern_token_unref(token);
    tern_client_free(client);
}

static void null_is_answered_everywhere(void **state)
{
    (void)state;
    assert_null(tern_token_ref(NULL));
    tern_token_unref(NULL);
    assert_int_equal(tern_token_wait(NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_token_done(NULL), 0);
    assert_int_equal(tern_token_set_callback(NULL, count_call, NULL), TERN_E_INVALID);
    assert_int_equal(tern_token_error(NULL), TERN_E_INVALID);
    assert_string_equal(tern_token_error_text(NULL), "");
    assert_true(tern_token_message_id(NULL) == 0);
    assert_int_equal(tern_token_outcome(NULL), TERN_OUTCOME_PENDING);
    assert_int_equal(tern_token_cause(NULL), TERN_CAUSE_NONE);
    assert_int_equal(tern_token_reason_count(NULL), 0);
    assert_int_equal(tern_token_reason_code(NULL, 0), -1);
    assert_null(tern_token_reason_string(NULL));
    tern__token_finish_error(NULL, TERN_E_CLOSED, "no token, no harm");
    tern__token_finish_close(NULL);
}

/* What a publish's outcome is as an error: the table of the header. */
static void outcomes_as_errors(void **state)
{
    (void)state;
    static const struct {
        tern_outcome outcome;
        tern_cause cause;
        int error;
    } rows[] = {
        {TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0},
        {TERN_OUTCOME_SENT, TERN_CAUSE_NONE, 0},
        {TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, TERN_E_REFUSED},
        {TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED, TERN_E_EXPIRED},
        {TERN_OUTCOME_NOT_SENT, TERN_CAUSE_TOO_LARGE, TERN_E_TOO_LARGE},
        {TERN_OUTCOME_NOT_SENT, TERN_CAUSE_UNSUPPORTED, TERN_E_UNSUPPORTED},
        {TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED, TERN_E_CLOSED},
        {TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED, TERN_E_CLOSED},
        {TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CONNECTION_LOST, TERN_E_CONNECTION_LOST},
        {TERN_OUTCOME_UNKNOWN, TERN_CAUSE_SESSION_LOST, TERN_E_CONNECTION_LOST},
    };
    tern_client *client = make_client();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern_token *token = make(client);
        token->completion.id = 42;
        token->completion.outcome = rows[i].outcome;
        token->completion.cause = rows[i].cause;
        tern__token_finish(token, NULL);
        assert_int_equal(tern_token_wait(token, 0), rows[i].error);
        assert_int_equal(tern_token_error(token), rows[i].error);
        assert_int_equal(tern_token_outcome(token), rows[i].outcome);
        assert_int_equal(tern_token_cause(token), rows[i].cause);
        assert_true(tern_token_message_id(token) == 42);
        if (rows[i].error == 0)
            assert_string_equal(tern_token_error_text(token), "");
        else
            assert_string_equal(tern_token_error_text(token), tern_strerror(rows[i].error));
        tern_token_unref(token);
    }
    tern_client_free(client);
}

/* One code of a publish that was answered, one a filter of a request, none where there was no
 * answer. */
static void reason_codes(void **state)
{
    (void)state;
    static const uint8_t codes[] = {0x01, 0x87, 0x00};
    tern_client *client = make_client();
    tern_token *token = make(client);
    token->completion.outcome = TERN_OUTCOME_REFUSED;
    token->completion.reason = 0x97;
    token->completion.reason_string = tern__strdup("too much");
    tern__token_finish(token, NULL);
    assert_int_equal(tern_token_reason_count(token), 1);
    assert_int_equal(tern_token_reason_code(token, 0), 0x97);
    assert_int_equal(tern_token_reason_code(token, 1), -1);
    assert_string_equal(tern_token_reason_string(token), "too much");
    tern_token_unref(token);

    token = make(client);
    token->completion.codes = tern__memdup(codes, sizeof codes);
    assert_non_null(token->completion.codes);
    token->completion.code_count = sizeof codes;
    token->completion.error = TERN_E_REFUSED;
    tern__token_finish(token, tern__strdup("subscribe: \"b\" was refused"));
    assert_int_equal(tern_token_reason_count(token), 3);
    for (size_t i = 0; i < sizeof codes; i++)
        assert_int_equal(tern_token_reason_code(token, i), codes[i]);
    assert_int_equal(tern_token_reason_code(token, 3), -1);
    assert_int_equal(tern_token_reason_code(token, SIZE_MAX), -1);
    assert_null(tern_token_reason_string(token));
    assert_string_equal(tern_token_error_text(token), "subscribe: \"b\" was refused");
    tern_token_unref(token);

    token = make(client);
    tern__token_finish_error(token, TERN_E_CLOSED, "");
    assert_int_equal(tern_token_reason_count(token), 0);
    assert_int_equal(tern_token_reason_code(token, 0), -1);
    assert_string_equal(tern_token_error_text(token),
                        tern_strerror(TERN_E_CLOSED)); /* never empty for an error */
    tern_token_unref(token);
    tern_client_free(client);
}

/* ---- waiting ---- */

/* A wait whose deadline passes cancels nothing. [C3] */
static void a_wait_that_times_out_cancels_nothing(void **state)
{
    (void)state;
    tern_client *client = make_client();
    tern_token *token = make(client);
    assert_int_equal(tern_token_wait(token, 0), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_copy_error_text(client, NULL, 0),
                     0); /* that was a look, no failure */
    assert_int_equal(tern_token_wait(token, 1), TERN_E_TIMEOUT);
    assert_int_equal(tern_client_copy_error_text(client, NULL, 0), TERN_E_TIMEOUT);
    assert_int_equal(tern_token_done(token), 0);
    assert_int_equal(tern_token_error(token), TERN_E_AGAIN);
    tern__token_finish_error(token, TERN_E_TIMEOUT, "the message expired");
    assert_int_equal(tern_token_wait(token, 0),
                     TERN_E_TIMEOUT); /* told from the other by tern_token_done() */
    assert_int_equal(tern_token_done(token), 1);
    tern_token_unref(token);
    tern_client_free(client);
}

typedef struct waiter {
    tern_token *token;
    atomic_uint *arrived;
    int rc;
} waiter;

static void *wait_on(void *argument)
{
    waiter *w = argument;
    atomic_fetch_add(w->arrived, 1);
    w->rc = tern_token_wait(w->token, PATIENCE);
    tern_token_unref(w->token);
    return NULL;
}

/* All who wait are told, before and after the end. */
static void many_wait_for_one(void **state)
{
    (void)state;
    tern_client *client = make_client();
    for (int round = 0; round < 50; round++) {
        tern_token *token = make(client);
        atomic_uint arrived = 0;
        waiter waiters[THREADS];
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            waiters[i] = (waiter){tern_token_ref(token), &arrived, 1};
            assert_int_equal(pthread_create(&threads[i], NULL, wait_on, &waiters[i]), 0);
        }
        while (round % 2 == 0 && atomic_load(&arrived) == 0)
            continue; /* some wait already */
        token->completion.error = TERN_E_REFUSED;
        tern__token_finish(token, NULL);
        tern_token_unref(token); /* theirs keep it */
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(waiters[i].rc, TERN_E_REFUSED);
        }
    }
    tern_client_free(client);
}

/* ---- callbacks ---- */

/* Once, where callbacks run, whether it was set before the end or after it. */
static void a_callback_comes_once(void **state)
{
    (void)state;
    tern_client *client = make_client();
    for (int late = 0; late < 2; late++) {
        tern_token *token = make(client);
        atomic_uint calls = 0;
        assert_int_equal(tern_token_set_callback(token, NULL, NULL), TERN_E_INVALID);
        if (late == 1) tern__token_finish_error(token, 0, NULL);
        assert_int_equal(tern_token_set_callback(token, count_call, &calls), 0);
        assert_int_equal(tern_token_set_callback(token, count_call, &calls), TERN_E_STATE);
        if (late == 0) {
            run(client);
            assert_int_equal(atomic_load(&calls), 0);
            tern__token_finish_error(token, 0, NULL);
        }
        assert_int_equal(atomic_load(&calls), 0); /* not on this thread, which may be any */
        tern_token_unref(token);                  /* released early: its callback still runs */
        run(client);
        assert_int_equal(atomic_load(&calls), 1);
        run(client);
        assert_int_equal(atomic_load(&calls), 1);
    }
    tern_client_free(client);
}

typedef struct race {
    tern_token *token;
    atomic_uint calls;
    atomic_bool go;
    int rc;
} race;

static void *set_on(void *argument)
{
    race *r = argument;
    while (!atomic_load(&r->go))
        continue;
    r->rc = tern_token_set_callback(r->token, count_call, &r->calls);
    return NULL;
}

/* Set while it ends: still once. [C20] */
static void a_callback_set_at_the_end_comes_once(void **state)
{
    (void)state;
    tern_client *client = make_client();
    for (int round = 0; round < 300; round++) {
        race r = {.token = make(client)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, set_on, &r), 0);
        atomic_store(&r.go, true);
        tern__token_finish_error(r.token, 0, NULL);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(r.rc, 0);
        run(client);
        assert_int_equal(atomic_load(&r.calls), 1);
        tern_token_unref(r.token);
    }
    tern_client_free(client);
}

/* ---- life ---- */

/* A token may outlive its client, and can still be read and waited for; no callback runs any more.
 * [C12] */
static void a_token_outlives_its_client(void **state)
{
    (void)state;
    tern_client *client = make_client();
    tern_token *ended = make(client);
    tern_token *published = NULL;
    atomic_uint calls = 0;
    tern__token_finish_error(ended, TERN_E_REFUSED, "refused, for a reason");
    assert_int_equal(tern_client_publish_token(client, "t", "x", 1, TERN_QOS_1, &published), 0);
    tern_client_free(client);
    assert_int_equal(tern_token_wait(ended, PATIENCE), TERN_E_REFUSED);
    assert_string_equal(tern_token_error_text(ended), "refused, for a reason");
    assert_int_equal(tern_token_set_callback(ended, count_call, &calls), TERN_E_CLOSED);
    assert_int_equal(tern_token_wait(published, PATIENCE), TERN_E_CLOSED); /* [C1] */
    assert_int_equal(tern_token_outcome(published), TERN_OUTCOME_NOT_SENT);
    assert_int_equal(tern_token_cause(published), TERN_CAUSE_CLOSED);
    assert_true(tern_token_message_id(published) == 1);
    assert_int_equal(atomic_load(&calls), 0);
    tern_token_unref(ended);
    tern_token_unref(published);
}

static void *ref_on(void *argument)
{
    tern_token *token = argument;
    for (int i = 0; i < 2000; i++) {
        tern_token *again = tern_token_ref(token);
        if (again != token || tern_token_error(again) == TERN_E_INVALID) return token;
        tern_token_unref(again);
    }
    tern_token_unref(token);
    return NULL;
}

/* References come and go in any thread; that the last one frees is for the sanitizers to see. [C20]
 */
static void any_thread_refs(void **state)
{
    (void)state;
    tern_client *client = make_client();
    tern_token *token = make(client);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_on, tern_token_ref(token)), 0);
    tern__token_finish_error(token, 0, NULL);
    tern_token_unref(token);
    tern_client_free(client);
    for (int i = 0; i < THREADS; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
}

/* What is waiting and held by nobody is picked; what has a callback, or a holder, is not. */
static void abandoned_tokens_are_picked(void **state)
{
    (void)state;
    tern_client *client = make_client();
    tern_token *held = make(client);
    tern_token *left = make(client);
    tern_token *called = make(client);
    atomic_uint calls = 0;
    tern__list waiting;
    tern__list abandoned;
    tern__list_init(&waiting);
    tern__list_init(&abandoned);
    assert_int_equal(tern_token_set_callback(called, count_call, &calls), 0);
    tern__list_append(&waiting, &held->link);
    tern__list_append(&waiting, &left->link);
    tern__list_append(&waiting, &called->link);
    tern_token_unref(left);
    tern_token_unref(called);
    tern__token_pick_abandoned(&waiting, &abandoned);
    assert_ptr_equal(abandoned.next, &left->link);
    assert_ptr_equal(abandoned.prev, &left->link);
    assert_ptr_equal(waiting.next, &held->link);
    assert_ptr_equal(waiting.prev, &called->link);
    tern__token_drop(&abandoned);
    assert_true(tern__list_empty(&abandoned));
    tern__list_remove(&held->link);
    tern__list_remove(&called->link);
    tern__token_finish_error(held, 0, NULL);
    tern__token_finish_error(called, 0, NULL);
    run(client);
    assert_int_equal(atomic_load(&calls), 1);
    tern_token_unref(held);
    tern_client_free(client);
}

/* Without memory there is no token and no reference to its client; without memory for its words it
 * ends all the same. [C19] */
static void memory_runs_out(void **state)
{
    (void)state;
    tern_client *client = make_client();
    const unsigned refs = atomic_load(&client->refs);
    tern_token *token = (tern_token *)&client;
    failing_arm(0);
    assert_int_equal(tern__token_new(client, &token), TERN_E_NOMEM);
    assert_true(failing_disarm());
    assert_null(token);
    assert_int_equal(atomic_load(&client->refs), refs);
    token = make(client);
    failing_arm(0);
    tern__token_finish_error(token, TERN_E_STATE, "words");
    assert_true(failing_disarm());
    assert_int_equal(tern_token_wait(token, PATIENCE), TERN_E_STATE);
    assert_string_equal(tern_token_error_text(token), tern_strerror(TERN_E_STATE));
    tern_token_unref(token);
    assert_int_equal(atomic_load(&client->refs), refs);
    tern_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pending_token_tells_nothing),
        cmocka_unit_test(null_is_answered_everywhere),
        cmocka_unit_test(outcomes_as_errors),
        cmocka_unit_test(reason_codes),
        cmocka_unit_test(a_wait_that_times_out_cancels_nothing),
        cmocka_unit_test(many_wait_for_one),
        cmocka_unit_test(a_callback_comes_once),
        cmocka_unit_test(a_callback_set_at_the_end_comes_once),
        cmocka_unit_test(a_token_outlives_its_client),
        cmocka_unit_test(any_thread_refs),
        cmocka_unit_test(abandoned_tokens_are_picked),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
