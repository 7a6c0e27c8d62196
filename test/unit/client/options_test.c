/* Client options: what is fixed for a client's life, checked as it is set.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/client.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/options.h"
#include "support/failing.h"

static tern_client_options *make(void)
{
    tern_client_options *options = NULL;
    assert_int_equal(tern_client_options_new(&options), 0);
    return options;
}

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    (void)level;
    (void)text;
    (void)user_data;
}

/* The defaults are those that the header tells. */
static void defaults(void **state)
{
    (void)state;
    tern_client_options *options = make();
    assert_string_equal(options->client_id, "");
    assert_int_equal(options->outbox_bytes, 64 << 20);
    assert_int_equal(options->outbox_messages, 0);
    assert_int_equal(options->policy, TERN_OUTBOX_REJECT);
    assert_int_equal(options->inflight_maximum, 1000);
    assert_int_equal(options->inbound_limit, 4 << 20);
    assert_int_equal(options->maximum_packet_size, 16 << 20);
    assert_int_equal(options->receive_maximum, 65535);
    assert_int_equal(options->topic_alias_maximum, 0);
    assert_null(options->loop);
    assert_int_equal(options->dispatch, TERN_DISPATCH_THREAD);
    assert_int_equal(options->ack, TERN_ACK_AUTO);
    assert_null(options->log.callback);
    tern_client_options_free(options);
}

/* [MQTT311-3.1.3-4] [MQTT5-3.1.3-4] and what is refused leaves the one that was set. */
static void client_ids(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80",
                                      "\xf4\x90\x80\x80"};
    tern_client_options *options = make();
    char own[] = "mine";
    assert_int_equal(tern_client_options_set_client_id(options, own), 0);
    own[0] = 'X'; /* it was copied */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tern_client_options_set_client_id(options, bad[i]), TERN_E_UTF8);
        assert_string_equal(options->client_id, "mine");
    }
    assert_int_equal(tern_client_options_set_client_id(options, NULL), TERN_E_INVALID);
    char *longest = malloc(65537);
    assert_non_null(longest);
    memset(longest, 'a', 65536);
    longest[65536] = '\0';
    assert_int_equal(tern_client_options_set_client_id(options, longest), TERN_E_TOO_LARGE);
    assert_string_equal(options->client_id, "mine");
    longest[65535] = '\0';
    assert_int_equal(tern_client_options_set_client_id(options, longest), 0);
    assert_int_equal(strlen(options->client_id), 65535);
    free(longest);
    assert_int_equal(
        tern_client_options_set_client_id(options, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6"), 0);
    assert_int_equal(tern_client_options_set_client_id(options, ""), 0);
    assert_string_equal(options->client_id, "");
    tern_client_options_free(options);
}

/* Out of range is refused, and both of a pair stay as they were. */
static void ranges(void **state)
{
    (void)state;
    tern_client_options *o = make();
    assert_int_equal(tern_client_options_set_outbox_limits(o, 1, 7), 0);
    assert_int_equal(tern_client_options_set_outbox_limits(o, 0, 9), TERN_E_INVALID);
    assert_int_equal(o->outbox_bytes, 1);
    assert_int_equal(o->outbox_messages, 7);
    assert_int_equal(tern_client_options_set_outbox_limits(o, SIZE_MAX, SIZE_MAX), 0);
    assert_int_equal(tern_client_options_set_outbox_policy(o, TERN_OUTBOX_BLOCK, 5), 0);
    assert_int_equal(tern_client_options_set_outbox_policy(o, (tern_outbox_policy)4, 6),
                     TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_outbox_policy(o, (tern_outbox_policy)-1, 6),
                     TERN_E_INVALID);
    assert_int_equal(o->policy, TERN_OUTBOX_BLOCK);
    assert_int_equal(o->block_timeout_ms, 5);
    assert_int_equal(tern_client_options_set_inflight_maximum(o, 1), 0);
    assert_int_equal(tern_client_options_set_inflight_maximum(o, 0), TERN_E_INVALID);
    assert_int_equal(o->inflight_maximum, 1);
    assert_int_equal(tern_client_options_set_inbound_limit(o, 1), 0);
    assert_int_equal(tern_client_options_set_inbound_limit(o, 0), TERN_E_INVALID);
    assert_int_equal(o->inbound_limit, 1);
    assert_int_equal(tern_client_options_set_maximum_packet_size(o, UINT32_MAX), 0);
    assert_int_equal(tern_client_options_set_maximum_packet_size(o, 0), TERN_E_INVALID);
    assert_int_equal(o->maximum_packet_size, UINT32_MAX);
    assert_int_equal(tern_client_options_set_receive_maximum(o, 1), 0);
    assert_int_equal(tern_client_options_set_receive_maximum(o, 0), TERN_E_INVALID); /* [V5-U-07] */
    assert_int_equal(o->receive_maximum, 1);
    assert_int_equal(tern_client_options_set_topic_alias_maximum(o, 65535), 0);
    assert_int_equal(o->topic_alias_maximum, 65535);
    assert_int_equal(tern_client_options_set_dispatch(o, TERN_DISPATCH_MANUAL), 0);
    assert_int_equal(tern_client_options_set_dispatch(o, (tern_dispatch)2), TERN_E_INVALID);
    assert_int_equal(o->dispatch, TERN_DISPATCH_MANUAL);
    assert_int_equal(tern_client_options_set_ack(o, TERN_ACK_MANUAL), 0);
    assert_int_equal(tern_client_options_set_ack(o, (tern_ack)2), TERN_E_INVALID);
    assert_int_equal(o->ack, TERN_ACK_MANUAL);
    assert_int_equal(tern_client_options_set_log(o, TERN_LOG_TRACE, on_log, o), 0);
    assert_int_equal(tern_client_options_set_log(o, (tern_log_level)6, NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_log(o, (tern_log_level)-1, NULL, NULL),
                     TERN_E_INVALID);
    assert_ptr_equal(o->log.callback, on_log);
    assert_int_equal(o->log.level, TERN_LOG_TRACE);
    assert_int_equal(tern_client_options_set_log(o, TERN_LOG_NONE, NULL, NULL), 0);
    assert_null(o->log.callback);
    tern_client_options_free(o);
}

static void null_is_answered_everywhere(void **state)
{
    (void)state;
    assert_int_equal(tern_client_options_new(NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_client_id(NULL, "a"), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_outbox_limits(NULL, 1, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_outbox_policy(NULL, TERN_OUTBOX_REJECT, 0),
                     TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_inflight_maximum(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_inbound_limit(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_maximum_packet_size(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_receive_maximum(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_topic_alias_maximum(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_loop(NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_dispatch(NULL, TERN_DISPATCH_THREAD), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_ack(NULL, TERN_ACK_AUTO), TERN_E_INVALID);
    assert_int_equal(tern_client_options_set_log(NULL, TERN_LOG_INFO, NULL, NULL), TERN_E_INVALID);
    tern_client_options_free(NULL);
}

/* Without memory an option stays as it was, and the next call works. [C19] */
static void memory_runs_out(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        tern_client_options *options = (tern_client_options *)&failed;
        failing_arm(n);
        const int rc = tern_client_options_new(&options);
        failed = failing_disarm();
        assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
        if (failed) assert_null(options);
        tern_client_options_free(failed ? NULL : options);
    }
    tern_client_options *options = make();
    assert_int_equal(tern_client_options_set_client_id(options, "mine"), 0);
    failing_arm(0);
    assert_int_equal(tern_client_options_set_client_id(options, "other"), TERN_E_NOMEM);
    assert_true(failing_disarm());
    assert_string_equal(options->client_id, "mine");
    assert_int_equal(tern_client_options_set_client_id(options, "other"), 0);
    assert_string_equal(options->client_id, "other");
    tern_client_options_free(options);
}

/* A client has its own copy: the options may be changed and freed at once. */
static void a_client_clones_them(void **state)
{
    (void)state;
    tern_client_options *options = make();
    tern_client *client = NULL;
    char id[8];
    assert_int_equal(tern_client_options_set_client_id(options, "mine"), 0);
    assert_int_equal(tern_client_new(&client, options), 0);
    assert_int_equal(tern_client_options_set_client_id(options, "other"), 0);
    tern_client_options_free(options);
    assert_int_equal(tern_client_id(client, id, sizeof id), 0);
    assert_string_equal(id, "mine");
    assert_int_equal(tern_client_id(client, id, 4), TERN_E_TOO_LARGE);
    assert_string_equal(id, "");
    assert_int_equal(tern_client_id(client, id, 5), 0);
    tern_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),        cmocka_unit_test(client_ids),
        cmocka_unit_test(ranges),          cmocka_unit_test(null_is_answered_everywhere),
        cmocka_unit_test(memory_runs_out), cmocka_unit_test(a_client_clones_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
