/* Reports: what happens to a link is told as an event, a log record and the client's last error,
 * which say the same. The client is dispatched by hand and never told to connect, so that its
 * loop leaves the link to the test.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tern/client.h>
#include <tern/options.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/link.h"
#include "support/failing.h"

/* The last of each kind of telling. */
typedef struct rig {
    tern_client *client;
    char record[1100];
    tern_log_level level;
    unsigned records;
    char text[1100];
    char server[100];
    char reason_string[300];
    char reference[300];
    tern_event_kind kind;
    int error;
    tern_step step;
    int os_error;
    int reason;
    int64_t retry_ms;
    uint32_t attempt;
    tern_version version;
    int64_t maximum_qos;
    unsigned events;
} rig;

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    rig *r = user_data;
    r->records++;
    r->level = level;
    (void)snprintf(r->record, sizeof r->record, "%s", text);
}

static void copy(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text != NULL ? text : "(none)");
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    (void)client;
    rig *r = user_data;
    r->events++;
    r->kind = tern_event_get_kind(event);
    r->error = tern_event_error(event);
    r->step = tern_event_step(event);
    r->os_error = tern_event_os_error(event);
    r->reason = tern_event_reason_code(event);
    r->retry_ms = tern_event_retry_delay(event);
    r->attempt = tern_event_attempt(event);
    r->version = tern_event_version(event);
    r->maximum_qos = tern_event_limit(event, TERN_LIMIT_MAXIMUM_QOS);
    copy(r->text, sizeof r->text, tern_event_text(event));
    copy(r->server, sizeof r->server, tern_event_server(event));
    copy(r->reason_string, sizeof r->reason_string, tern_event_reason_string(event));
    copy(r->reference, sizeof r->reference, tern_event_server_reference(event));
}

static void rig_init(rig *r)
{
    tern_client_options *options = NULL;
    memset(r, 0, sizeof *r);
    assert_int_equal(tern_client_options_new(&options), 0);
    assert_int_equal(tern_client_options_set_dispatch(options, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_options_set_log(options, TERN_LOG_INFO, on_log, r), 0);
    assert_int_equal(tern_client_new(&r->client, options), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_client_set_event_handler(r->client, on_event, r), 0);
    tern_connection_options *connection = NULL;
    assert_int_equal(tern_connection_options_new(&connection), 0);
    assert_int_equal(tern_connection_options_add_server(connection, "mqtt://us:hidden@broker"), 0);
    r->client->link.options = connection;
    r->client->link.attempt = 3;
}

static void rig_free(rig *r)
{
    tern_client_set_event_handler(r->client, NULL, NULL);
    tern_client_free(r->client);
}

static void report(rig *r, tern_event_kind kind, const tern__failure *failure, int64_t retry_ms)
{
    const unsigned events = r->events;
    const unsigned records = r->records;
    tern__report(r->client, kind, failure, retry_ms);
    assert_int_equal(r->records, records + 1);
    assert_int_equal(r->events, events); /* told where callbacks run, not here */
    while (tern_client_dispatch(r->client, 0) == 0)
        continue;
    assert_int_equal(r->events, events + 1);
    assert_int_equal(r->kind, kind);
    assert_string_equal(r->text, r->record);
    assert_null(strstr(r->text, "hidden")); /* [C20] */
    assert_null(strstr(r->server, "hidden"));
}

/* A failure names the step, the peer and the cause, and what follows. */
static void a_failure_in_full(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    const tern__failure failure = {.error = TERN_E_REFUSED,
                                   .step = TERN_STEP_MQTT,
                                   .reason = 0x97,
                                   .reason_string = "come back later",
                                   .reference = "other:1883"};
    report(&r, TERN_EVENT_CONNECT_FAILED, &failure, 1500);
    assert_non_null(strstr(r.text, "broker:1883"));
    assert_non_null(strstr(r.text, "(mqtt)"));
    assert_non_null(strstr(r.text, "Quota exceeded (0x97)"));
    assert_non_null(strstr(r.text, "\"come back later\""));
    assert_non_null(strstr(r.text, "1500 ms"));
    assert_int_equal(r.level, TERN_LOG_WARNING);
    assert_int_equal(r.error, TERN_E_REFUSED);
    assert_int_equal(r.step, TERN_STEP_MQTT);
    assert_int_equal(r.reason, 0x97);
    assert_true(r.retry_ms == 1500);
    assert_int_equal(r.attempt, 3);
    assert_string_equal(r.server, "mqtt://broker:1883");
    assert_string_equal(r.reason_string, "come back later");
    assert_string_equal(r.reference, "other:1883");
    assert_string_equal(tern_client_error_text(r.client), r.text); /* the last error is that */
    assert_int_equal(tern_client_copy_error_text(r.client, NULL, 0), TERN_E_REFUSED);
    rig_free(&r);
}

/* Where nobody has words for it the system has, or the error itself. */
static void every_failure_has_words(void **state)
{
    (void)state;
    static const struct {
        tern__failure failure;
        const char *words;
    } rows[] = {
        {{.error = TERN_E_CONNECT,
          .step = TERN_STEP_CONNECT,
          .os_error = ECONNREFUSED,
          .reason = -1},
         "Connection refused"},
        {{.error = TERN_E_RESOLVE, .step = TERN_STEP_RESOLVE, .reason = -1, .text = "no such host"},
         "no such host"},
        {{.error = TERN_E_CONNECTION_LOST, .step = TERN_STEP_SESSION, .reason = -1},
         "closed the connection"},
        {{.error = TERN_E_NOMEM, .reason = -1}, "out of memory"},
        {{.error = TERN_E_PROTOCOL,
          .step = TERN_STEP_SESSION,
          .reason = 0x82,
          .text = "offset 2: a rule [1.5.4]"},
         "offset 2"},
        {{.error = TERN_E_DISCONNECTED, .step = TERN_STEP_SESSION, .reason = 0x8E, .text = ""},
         "Session taken over (0x8E)"},
    };
    rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        report(&r, TERN_EVENT_DISCONNECTED, &rows[i].failure, -1);
        if (strstr(r.text, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", r.text, rows[i].words);
        assert_null(strstr(r.text, "next attempt"));
        assert_int_equal(r.error, rows[i].failure.error);
        assert_int_equal(r.os_error, rows[i].failure.os_error);
        assert_int_equal(r.reason, rows[i].failure.reason);
        assert_true(r.retry_ms == -1);
        assert_string_equal(r.reason_string, "(none)");
        assert_string_equal(r.reference, "(none)");
    }
    rig_free(&r);
}

/* What the server says cannot break a line, nor be longer than the record; each is one line that
 * ends. */
static void words_of_the_server_do_no_harm(void **state)
{
    (void)state;
    char longest[256];
    rig r;
    rig_init(&r);
    tern__failure failure = {.error = TERN_E_DISCONNECTED,
                             .step = TERN_STEP_SESSION,
                             .reason = 0x8B,
                             .text = "first\nsecond\x1b[31m",
                             .reason_string = "a\rb\tc\x7f"};
    report(&r, TERN_EVENT_DISCONNECTED, &failure, -1);
    for (const char *at = r.text; *at != '\0'; at++)
        assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    failure.text = longest;
    failure.reason_string = longest;
    failure.reference = longest;
    report(&r, TERN_EVENT_CONNECT_FAILED, &failure, INT64_MAX);
    assert_true(strlen(r.text) < 1000);
    assert_int_equal(strlen(r.reason_string), 255);
    assert_int_equal(strlen(r.reference), 255);
    failure.text = "100%s %n %d";
    report(&r, TERN_EVENT_DISCONNECTED, &failure, -1);
    assert_non_null(strstr(r.text, "100%s %n %d")); /* no format */
    rig_free(&r);
}

/* A failure that is tried again is a warning, one for good is an error, and what is no failure is
 * information that leaves the last error alone. */
static void levels(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    static const tern_event_kind quiet[] = {TERN_EVENT_CONNECTING,   TERN_EVENT_CONNECTED,
                                            TERN_EVENT_DISCONNECTED, TERN_EVENT_STOPPED,
                                            TERN_EVENT_PAUSED,       TERN_EVENT_RESUMED};
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        report(&r, quiet[i], NULL, -1);
        assert_int_equal(r.level, TERN_LOG_INFO);
        assert_int_equal(r.error, 0);
        assert_int_equal(r.step, TERN_STEP_NONE);
        assert_int_equal(r.reason, -1);
        assert_true(r.text[0] != '\0');
        assert_int_equal(tern_client_copy_error_text(r.client, NULL, 0), 0);
    }
    const tern__failure failure = {
        .error = TERN_E_REFUSED, .step = TERN_STEP_MQTT, .reason = 0x87, .fatal = true};
    report(&r, TERN_EVENT_CONNECT_FAILED, &failure, -1);
    assert_int_equal(r.level, TERN_LOG_WARNING);
    report(&r, TERN_EVENT_STOPPED, &failure, -1);
    assert_int_equal(r.level, TERN_LOG_ERROR);
    rig_free(&r);
}

/* What was agreed on is told of CONNECTED, and of nothing else. */
static void what_was_agreed_on(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        r.client->link.version = version;
        report(&r, TERN_EVENT_CONNECTED, NULL, -1);
        assert_int_equal(r.version, version);
        assert_non_null(strstr(r.text, version == TERN__V5 ? "MQTT 5" : "MQTT 3.1.1"));
        assert_true(r.maximum_qos >= 0);
        report(&r, TERN_EVENT_CONNECTING, NULL, -1);
        assert_int_equal(r.version, TERN_VERSION_AUTO);
        assert_true(r.maximum_qos == -1);
    }
    rig_free(&r);
}

/* Where memory runs out for the event, or for one of its texts, the log and the last error have it.
 * [C19] */
static void memory_runs_out(void **state)
{
    (void)state;
    rig r;
    rig_init(&r);
    bool failed = true;
    unsigned told = 0;
    for (long n = 0; failed; n++) {
        const tern__failure failure = {.error = TERN_E_REFUSED,
                                       .step = TERN_STEP_MQTT,
                                       .reason = 0x97,
                                       .reason_string = "why",
                                       .reference = "where"};
        const unsigned records = r.records;
        (void)tern__client_fail(r.client, TERN_E_STATE, "another error");
        failing_arm(n);
        tern__report(r.client, TERN_EVENT_CONNECT_FAILED, &failure, 5);
        failed = failing_disarm();
        assert_int_equal(r.records, records + 1);
        assert_string_equal(tern_client_error_text(r.client), r.record);
        assert_int_equal(tern_client_copy_error_text(r.client, NULL, 0), TERN_E_REFUSED);
        const unsigned events = r.events;
        while (tern_client_dispatch(r.client, 0) == 0)
            continue;
        told += r.events - events;
        if (!failed) assert_int_equal(r.events, events + 1);
        if (r.events != events) assert_int_equal(r.reason, 0x97);
    }
    assert_true(told > 1);
    rig_free(&r);
}

/* Whether there is a connection is told without memory, the newest of it, behind what was told before. */
static void the_connection_is_told_in_any_case(void **state)
{
    (void)state;
    static const tern_event_kind kinds[] = {TERN_EVENT_CONNECTED, TERN_EVENT_DISCONNECTED, TERN_EVENT_STOPPED};
    rig r;
    rig_init(&r);
    r.client->link.version = TERN__V311;
    for (int times = 1; times <= 2; times++) {
        for (size_t i = 0; i < 3; i++) {
            const unsigned events = r.events;
            tern__report(r.client, TERN_EVENT_CONNECTING, NULL, -1);
            for (int n = 0; n < times; n++) {
                failing_arm(0);
                tern__report(r.client, n == 0 ? kinds[i] : kinds[(i + 1) % 3], NULL, -1);
                assert_true(failing_disarm());
            }
            tern_event_kind newest = kinds[(i + (size_t)times - 1) % 3];
            while (tern_client_dispatch(r.client, 0) == 0)
                continue;
            assert_int_equal(r.kind, newest);
            assert_int_equal(r.error, 0);
            assert_string_equal(r.text, "");
            assert_int_equal(r.version, newest == TERN_EVENT_CONNECTED ? TERN_VERSION_311 : TERN_VERSION_AUTO);
            assert_int_equal(r.events, events + 2);
        }
    }
    failing_arm(0);
    tern__report(r.client, TERN_EVENT_STOPPED, NULL, -1);
    assert_true(failing_disarm());
    rig_free(&r); /* with one that waits */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_in_full),
        cmocka_unit_test(every_failure_has_words),
        cmocka_unit_test(words_of_the_server_do_no_harm),
        cmocka_unit_test(levels),
        cmocka_unit_test(what_was_agreed_on),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(the_connection_is_told_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
