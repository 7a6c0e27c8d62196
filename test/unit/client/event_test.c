/* Events and deliveries: what is read from them, also where they have nothing to tell.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/alloc.h"
#include "client/event.h"
#include "support/failing.h"

/* A new event has its kind and nothing else: NULL, 0 or -1, as the header says. */
static void an_event_with_nothing_but_its_kind(void **state)
{
    (void)state;
    tern_event *event = tern__event_new(TERN_EVENT_CONNECTING);
    assert_non_null(event);
    assert_int_equal(tern_event_get_kind(event), TERN_EVENT_CONNECTING);
    assert_int_equal(tern_event_error(event), 0);
    assert_string_equal(tern_event_text(event), "");
    assert_int_equal(tern_event_step(event), TERN_STEP_NONE);
    assert_int_equal(tern_event_os_error(event), 0);
    assert_int_equal(tern_event_reason_code(event), -1);
    assert_null(tern_event_reason_string(event));
    assert_null(tern_event_server_reference(event));
    assert_null(tern_event_server(event));
    assert_true(tern_event_retry_delay(event) == -1);
    assert_int_equal(tern_event_attempt(event), 0);
    assert_int_equal(tern_event_session_present(event), 0);
    assert_int_equal(tern_event_version(event), TERN_VERSION_AUTO);
    tern__event_free(event);
    tern__event_free(NULL);
}

static void everything_is_read(void **state)
{
    (void)state;
    tern_event *event = tern__event_new(TERN_EVENT_DISCONNECTED);
    assert_non_null(event);
    event->error = TERN_E_DISCONNECTED;
    event->step = TERN_STEP_SESSION;
    event->os_error = 104;
    event->reason = 0x8B;
    event->retry_delay_ms = (int64_t)UINT32_MAX + 1;
    event->attempt = UINT32_MAX;
    event->session_present = 1;
    event->version = TERN_VERSION_311;
    event->reason_string = tern__strdup("bye");
    event->reference = tern__strdup("elsewhere");
    event->server = tern__strdup("mqtt://a:1883");
    event->text = tern__strdup("all of it");
    assert_int_equal(tern_event_error(event), TERN_E_DISCONNECTED);
    assert_int_equal(tern_event_step(event), TERN_STEP_SESSION);
    assert_int_equal(tern_event_os_error(event), 104);
    assert_int_equal(tern_event_reason_code(event), 0x8B);
    assert_true(tern_event_retry_delay(event) == (int64_t)UINT32_MAX + 1);
    assert_true(tern_event_attempt(event) == UINT32_MAX);
    assert_int_equal(tern_event_session_present(event), 1);
    assert_int_equal(tern_event_version(event), TERN_VERSION_311);
    assert_string_equal(tern_event_reason_string(event), "bye");
    assert_string_equal(tern_event_server_reference(event), "elsewhere");
    assert_string_equal(tern_event_server(event), "mqtt://a:1883");
    assert_string_equal(tern_event_text(event), "all of it");
    tern__event_free(event);
}

/* "What the kind does not have is NULL, 0 or -1, and so is everything for NULL"; a text is never
 * NULL. */
static void null_has_nothing(void **state)
{
    (void)state;
    assert_int_equal(tern_event_get_kind(NULL), 0);
    assert_int_equal(tern_event_error(NULL), 0);
    assert_string_equal(tern_event_text(NULL), "");
    assert_int_equal(tern_event_step(NULL), TERN_STEP_NONE);
    assert_int_equal(tern_event_os_error(NULL), 0);
    assert_int_equal(tern_event_reason_code(NULL), -1);
    assert_null(tern_event_reason_string(NULL));
    assert_null(tern_event_server_reference(NULL));
    assert_null(tern_event_server(NULL));
    assert_true(tern_event_retry_delay(NULL) == -1);
    assert_int_equal(tern_event_attempt(NULL), 0);
    assert_int_equal(tern_event_session_present(NULL), 0);
    assert_int_equal(tern_event_version(NULL), TERN_VERSION_AUTO);
    assert_null(tern_event_response_information(NULL));
    assert_true(tern_event_limit(NULL, TERN_LIMIT_MAXIMUM_QOS) == -1);
    assert_true(tern_delivery_first_id(NULL) == 0);
    assert_true(tern_delivery_last_id(NULL) == 0);
    assert_true(tern_delivery_count(NULL) == 0);
    assert_int_equal(tern_delivery_outcome(NULL), TERN_OUTCOME_PENDING);
    assert_int_equal(tern_delivery_cause(NULL), TERN_CAUSE_NONE);
    assert_int_equal(tern_delivery_reason_code(NULL), -1);
}

/* Each limit is its own, and only CONNECTED has them. */
static void limits_are_told_of_connected_alone(void **state)
{
    (void)state;
    tern_event *event = tern__event_new(TERN_EVENT_CONNECTED);
    assert_non_null(event);
    event->limits = (tern__limits){.keep_alive = 65535,
                                   .session_expiry = UINT32_MAX,
                                   .send_maximum = 7,
                                   .maximum_packet_size = UINT32_MAX - 1,
                                   .topic_alias_maximum = 9,
                                   .maximum_qos = 1,
                                   .retain_available = true,
                                   .subscription_id_available = true};
    event->response_info = tern__strdup("answers");
    static const int64_t values[] = {-1, 65535, UINT32_MAX, 7, UINT32_MAX - (int64_t)1, 9, 1, 1,
                                     0,  1,     0,          -1};
    for (int limit = 0; limit < (int)(sizeof values / sizeof values[0]); limit++) {
        assert_true(tern_event_limit(event, (tern_limit)limit) == values[limit]);
        assert_non_null(tern_limit_name((tern_limit)limit));
        for (int other = 1; other < limit && limit <= TERN_LIMIT_SHARED_SUBSCRIPTION; other++)
            assert_string_not_equal(tern_limit_name((tern_limit)limit),
                                    tern_limit_name((tern_limit)other));
    }
    assert_string_equal(tern_limit_name(TERN_LIMIT_MAXIMUM_QOS), "maximum_qos");
    assert_non_null(tern_limit_name((tern_limit)-1));
    assert_true(tern_event_limit(event, (tern_limit)-1) == -1);
    assert_string_equal(tern_event_response_information(event), "answers");
    event->kind = TERN_EVENT_CONNECTING;
    assert_true(tern_event_limit(event, TERN_LIMIT_MAXIMUM_QOS) == -1);
    tern__event_free(event);
}

/* Each has a name of its own, and a number that is none has one all the same. */
static void names(void **state)
{
    (void)state;
    for (int a = TERN_EVENT_CONNECTING; a <= TERN_EVENT_RESUMED; a++) {
        assert_true(strlen(tern_event_kind_name((tern_event_kind)a)) > 1);
        for (int b = TERN_EVENT_CONNECTING; b < a; b++)
            assert_string_not_equal(tern_event_kind_name((tern_event_kind)a),
                                    tern_event_kind_name((tern_event_kind)b));
    }
    for (int a = TERN_STEP_NONE; a <= TERN_STEP_SESSION; a++) {
        assert_true(strlen(tern_step_name((tern_step)a)) > 1);
        for (int b = TERN_STEP_NONE; b < a; b++)
            assert_string_not_equal(tern_step_name((tern_step)a), tern_step_name((tern_step)b));
    }
    assert_string_equal(tern_event_kind_name(TERN_EVENT_CONNECTED), "CONNECTED");
    assert_string_equal(tern_event_kind_name(TERN_EVENT_UNHANDLED), "UNHANDLED");
    assert_string_equal(tern_step_name(TERN_STEP_RESOLVE), "resolve");
    static const int none[] = {0, -1, TERN_EVENT_RESUMED + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_non_null(tern_event_kind_name((tern_event_kind)none[i]));
        assert_non_null(tern_step_name((tern_step)none[i]));
    }
}

static void a_delivery_counts_its_range(void **state)
{
    (void)state;
    const tern_delivery one = {.range = {7, 7, TERN_OUTCOME_REFUSED, TERN_CAUSE_NONE, 0x97}};
    const tern_delivery many = {
        .range = {1, UINT64_MAX, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED, -1}};
    assert_true(tern_delivery_count(&one) == 1);
    assert_true(tern_delivery_first_id(&one) == 7 && tern_delivery_last_id(&one) == 7);
    assert_int_equal(tern_delivery_outcome(&one), TERN_OUTCOME_REFUSED);
    assert_int_equal(tern_delivery_reason_code(&one), 0x97);
    assert_true(tern_delivery_count(&many) == UINT64_MAX);
    assert_int_equal(tern_delivery_cause(&many), TERN_CAUSE_CLOSED);
    assert_int_equal(tern_delivery_reason_code(&many), -1);
}

static void memory_runs_out(void **state) /* [C19] */
{
    (void)state;
    failing_arm(0);
    assert_null(tern__event_new(TERN_EVENT_CONNECTED));
    assert_true(failing_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_with_nothing_but_its_kind),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(null_has_nothing),
        cmocka_unit_test(limits_are_told_of_connected_alone),
        cmocka_unit_test(names),
        cmocka_unit_test(a_delivery_counts_its_range),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
