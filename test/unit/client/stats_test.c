/* Statistics: their names, and reading them from any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/client.h>
#include <tern/options.h>
#include <tern/token.h>
/* after the headers that it needs */
#include <cmocka.h>

/* All names between backticks in the table of docs/statistics.md, ended by spaces. */
static void documented(char *names, size_t size)
{
    char line[1000];
    size_t len = 0;
    FILE *file = fopen(TERN_TEST_DATA "/../../docs/statistics.md", "r");
    assert_non_null(file);
    names[0] = '\0';
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "| `", 3) != 0) continue;
        char *end = strchr(line + 1, '|'); /* of the first column */
        assert_non_null(end);
        *end = '\0';
        char *rest = NULL;
        for (char *name = strtok_r(line, "|`, ", &rest); name != NULL;
             name = strtok_r(NULL, "|`, ", &rest)) {
            const int n = snprintf(names + len, size - len, "%s ", name);
            assert_true(n > 0 && (size_t)n < size - len);
            len += (size_t)n;
        }
    }
    (void)fclose(file);
}

/* The page and the library name the same numbers, each once. */
static void names_are_the_documented_ones(void **state)
{
    (void)state;
    char names[4000];
    documented(names, sizeof names);
    size_t count = 0;
    for (const char *at = names; (at = strchr(at, ' ')) != NULL; at++)
        count++;
    assert_true(tern_stat_count() > 20);
    assert_int_equal(count, tern_stat_count());
    for (size_t i = 0; i < tern_stat_count(); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s ", tern_stat_name(i));
        const char *at = strstr(names, name);
        while (at != NULL && at != names && at[-1] != ' ')
            at = strstr(at + 1, name);
        if (at == NULL) fail_msg("%sis not documented", name);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(tern_stat_name(i), tern_stat_name(other));
    }
    assert_null(tern_stat_name(tern_stat_count()));
    assert_null(tern_stat_name(SIZE_MAX));
}

static void bad_arguments(void **state)
{
    (void)state;
    tern_client *client = NULL;
    uint64_t value = 7;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    assert_int_equal(tern_client_stat(NULL, "connects", &value), TERN_E_INVALID);
    assert_true(value == 0); /* results are 0 on failure */
    value = 7;
    assert_int_equal(tern_client_stat(client, NULL, &value), TERN_E_INVALID);
    assert_true(value == 0);
    assert_int_equal(tern_client_stat(client, "connects", NULL), TERN_E_INVALID);
    static const char *const none[] = {"",         "connect",   "connectss",
                                       "CONNECTS", " connects", "inbound_bytes_"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        value = 7;
        assert_int_equal(tern_client_stat(client, none[i], &value), TERN_E_NOT_FOUND);
        assert_true(value == 0);
    }
    tern_client_free(client);
}

static uint64_t stat(tern_client *client, const char *name)
{
    uint64_t value = 0;
    assert_int_equal(tern_client_stat(client, name, &value), 0);
    return value;
}

/* Offline everything is to be seen at once: what was accepted, what was refused, and the outcomes
 * in the end. [C1] [C10] */
static void an_offline_client_counts(void **state)
{
    (void)state;
    tern_client_options *options = NULL;
    tern_client *client = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_outbox_limits(options, 1 << 20, 3), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    tern_client_options_free(options);
    for (size_t i = 0; i < tern_stat_count(); i++)
        if (strcmp(tern_stat_name(i), "loop_wakeups") != 0)
            assert_true(stat(client, tern_stat_name(i)) == 0);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(tern_client_publish(client, "t", "12345", 5, i % 3, NULL),
                         i < 3 ? 0 : TERN_E_OUTBOX_FULL);
    assert_int_equal(tern_client_publish(client, "#", "12345", 5, 0, NULL),
                     TERN_E_TOPIC); /* its arguments were bad */
    assert_true(stat(client, "messages_published") == 3);
    assert_true(stat(client, "payload_bytes_published") == 15);
    assert_true(stat(client, "messages_rejected") == 2);
    assert_true(stat(client, "outbox_messages") == 3);
    assert_true(stat(client, "outbox_messages_peak") == 3);
    assert_true(stat(client, "outbox_bytes") >= 3 * (32 + 5));
    assert_true(stat(client, "outbox_bytes") <= stat(client, "outbox_bytes_peak"));
    assert_true(stat(client, "connected") == 0);
    tern_token *closed = NULL;
    assert_int_equal(tern_client_close(client, 0, 0, &closed), 0);
    assert_int_equal(tern_token_wait(closed, 20000), 0);
    tern_token_unref(closed);
    assert_true(stat(client, "outcomes_not_sent") == 3);
    assert_true(stat(client, "outbox_messages") == 0);
    assert_true(stat(client, "outbox_messages_peak") == 3);
    assert_int_equal(tern_client_publish(client, "t", "x", 1, 0, NULL), TERN_E_CLOSED);
    assert_true(stat(client, "messages_rejected") == 3);
    tern_client_free(client);
}

typedef struct readers {
    tern_client *client;
    atomic_bool stop;
} readers;

/* Counters never fall, and a gauge is never above its peak, when the gauge is read first. */
static void *read_on(void *argument)
{
    readers *r = argument;
    uint64_t published = 0;
    while (!atomic_load(&r->stop)) {
        uint64_t now = 0;
        uint64_t held = 0;
        uint64_t peak = 0;
        if (tern_client_stat(r->client, "messages_published", &now) != 0 || now < published)
            return r;
        published = now;
        if (tern_client_stat(r->client, "outbox_bytes", &held) != 0) return r;
        if (tern_client_stat(r->client, "outbox_bytes_peak", &peak) != 0 || held > peak) return r;
    }
    return NULL;
}

static void any_thread_reads(void **state) /* [C20] */
{
    (void)state;
    enum { THREADS = 3, MESSAGES = 3000 };
    readers r = {.client = NULL};
    pthread_t threads[THREADS];
    assert_int_equal(tern_client_new(&r.client, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(tern_client_publish(r.client, "t", "x", 1, 0, NULL), 0);
    atomic_store(&r.stop, true);
    for (int i = 0; i < THREADS; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
    assert_true(stat(r.client, "messages_published") == MESSAGES);
    tern_client_free(r.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_documented_ones),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(an_offline_client_counts),
        cmocka_unit_test(any_thread_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
