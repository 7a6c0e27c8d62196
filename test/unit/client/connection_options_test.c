/* Connection options: how to connect, checked as it is set, copied whole, and without secrets
 * when it is gone.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/client.h>
#include <tern/message.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/options.h"
#include "support/failing.h"

static tern_connection_options *make(void)
{
    tern_connection_options *options = NULL;
    assert_int_equal(tern_connection_options_new(&options), 0);
    return options;
}

static tern_message *message(const char *topic, size_t payload, uint32_t flags)
{
    static const char bytes[65537];
    tern_message *made = NULL;
    assert_int_equal(tern_message_new(&made, topic, bytes, payload, flags), 0);
    return made;
}

static void holds(const tern__buf *buf, const char *text)
{
    assert_int_equal(buf->len, strlen(text));
    if (buf->len != 0) assert_memory_equal(buf->data, text, buf->len);
}

/* The defaults are those that the header tells. */
static void defaults(void **state)
{
    (void)state;
    tern_connection_options *options = make();
    assert_int_equal(options->server_count, 0);
    assert_int_equal(options->version, TERN_VERSION_AUTO);
    assert_false(options->has_user_name || options->has_password || options->has_will);
    assert_int_equal(options->keep_alive, 60);
    assert_int_equal(options->connect_timeout_ms, 10000);
    assert_int_equal(options->session, TERN_SESSION_PROCESS);
    assert_int_equal(options->session_expiry, 3600);
    assert_true(options->request_problem_info);
    assert_false(options->request_response_info);
    assert_int_equal(options->retry_base_ms, 1000);
    assert_int_equal(options->retry_maximum_ms, 60000);
    assert_int_equal(options->jitter, TERN_JITTER_PROPORTIONAL);
    assert_int_equal(options->retry_attempts, 0);
    assert_int_equal(options->stable_ms, 10000);
    assert_false(options->retry_refused);
    tern_connection_options_free(options);
}

static void servers_keep_their_order(void **state)
{
    (void)state;
    tern_connection_options *options = make();
    char url[] = "mqtt://first";
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    memset(url, 'x', sizeof url - 1);
    assert_int_equal(tern_connection_options_add_server(options, "tcp://us:pw@[::1]:99"), 0);
    assert_int_equal(tern_connection_options_add_server(options, "mqtt://"), TERN_E_URL);
    assert_int_equal(tern_connection_options_add_server(options, "mqtt+quic://a"), TERN_E_URL);
    assert_int_equal(tern_connection_options_add_server(options, NULL), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_add_server(options, "unix:///run/broker"), 0);
    assert_int_equal(options->server_count, 3);
    assert_string_equal(options->servers[0].uri.display, "mqtt://first:1883");
    assert_string_equal(options->servers[1].uri.display, "tcp://[::1]:99"); /* [C20] */
    assert_string_equal(options->servers[1].uri.password, "pw");
    assert_string_equal(options->servers[2].uri.host, "/run/broker");
    assert_int_equal(tern_connection_options_clear_servers(options), 0);
    assert_int_equal(options->server_count, 0);
    assert_int_equal(tern_connection_options_add_server(options, "mqtt://again"), 0);
    assert_int_equal(options->server_count, 1);
    tern_connection_options_free(options);
}

/* [MQTT5-3.1.3-12] [MQTT311-3.1.3-11] and what is refused leaves both as they were. */
static void credentials(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xff", "a\xc3", "\xed\xbf\xbf", "\xe0\x80\x80",
                                      "\xf8\x88\x80\x80"};
    tern_connection_options *o = make();
    char *longest = malloc(65537);
    assert_non_null(longest);
    memset(longest, 'a', 65536);
    longest[65536] = '\0';
    assert_int_equal(tern_connection_options_set_credentials(o, "us", "p\0w", 3), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tern_connection_options_set_credentials(o, bad[i], "other", 5),
                         TERN_E_UTF8);
    assert_int_equal(tern_connection_options_set_credentials(o, "other", NULL, 5), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_credentials(o, longest, NULL, 0),
                     TERN_E_TOO_LARGE);
    assert_int_equal(tern_connection_options_set_credentials(o, "other", longest, 65536),
                     TERN_E_TOO_LARGE);
    holds(&o->user_name, "us");
    assert_int_equal(o->password.len, 3);
    assert_memory_equal(o->password.data, "p\0w", 3);
    longest[65535] = '\0';
    assert_int_equal(tern_connection_options_set_credentials(o, longest, longest, 65535), 0);
    free(longest);
    /* An empty one is not the same as none. [MQTT5-3.1.2-17] [MQTT5-3.1.2-19] */
    assert_int_equal(tern_connection_options_set_credentials(o, "", "", 0), 0);
    assert_true(o->has_user_name && o->has_password);
    assert_int_equal(tern_connection_options_set_credentials(o, NULL, "pw", 2), 0);
    assert_true(!o->has_user_name && o->has_password);
    assert_int_equal(o->user_name.len, 0);
    assert_int_equal(tern_connection_options_set_credentials(o, NULL, NULL, 0), 0);
    assert_true(!o->has_user_name && !o->has_password);
    tern_connection_options_free(o);
}

/* [MQTT5-3.1.3-11] [MQTT311-3.1.3-10] [MQTT5-3.1.2-12] [MQTT311-3.1.2-14] a will is a message, and
 * none is made with such a topic or QoS. */
static void wills_that_cannot_be_made(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        uint32_t flags;
        int error;
    } rows[] = {
        {"\xff", 0, TERN_E_UTF8}, {"a\xed\xa0\x80", 0, TERN_E_UTF8},
        {"", 0, TERN_E_TOPIC},    {"a/+", 0, TERN_E_TOPIC},
        {"#", 0, TERN_E_TOPIC},   {"w", 3, TERN_E_INVALID},
        {"w", 4, TERN_E_INVALID}, {"w", UINT32_MAX, TERN_E_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern_message *will = NULL;
        assert_int_equal(tern_message_new(&will, rows[i].topic, "x", 1, rows[i].flags),
                         rows[i].error);
        assert_null(will);
    }
}

static void a_will_is_copied(void **state)
{
    (void)state;
    tern_connection_options *o = make();
    tern_message *will = message("w", 65535, TERN_QOS_2 | TERN_RETAIN);
    assert_int_equal(tern_message_set_content_type(will, "t"), 0);
    assert_int_equal(tern_connection_options_set_will(o, will, 5), 0);
    tern_message_unref(will);
    assert_true(o->has_will && o->will_retain);
    assert_int_equal(o->will_qos, 2);
    holds(&o->will_topic, "w");
    assert_int_equal(o->will_payload.len, 65535);
    static const char props[] = "\x03\0\1t\x18\0\0\0\5";
    assert_int_equal(o->will_props.len, sizeof props - 1);
    assert_memory_equal(o->will_props.data, props, sizeof props - 1);
    /* One that is too large leaves it. */
    will = message("other", 65536, 0);
    assert_int_equal(tern_connection_options_set_will(o, will, 0), TERN_E_TOO_LARGE);
    tern_message_unref(will);
    assert_true(o->has_will);
    holds(&o->will_topic, "w");
    /* A later one replaces all of it. */
    will = message("v", 0, TERN_QOS_0);
    assert_int_equal(tern_connection_options_set_will(o, will, 0), 0);
    tern_message_unref(will);
    assert_true(o->has_will && !o->will_retain);
    assert_int_equal(o->will_qos, 0);
    holds(&o->will_topic, "v");
    assert_int_equal(o->will_payload.len, 0);
    assert_int_equal(o->will_props.len, 0);
    assert_int_equal(tern_connection_options_set_will(o, NULL, 0), 0);
    assert_false(o->has_will);
    assert_int_equal(o->will_topic.len, 0);
    tern_connection_options_free(o);
}

static void user_properties_add_up(void **state)
{
    (void)state;
    tern_connection_options *o = make();
    char *longest = malloc(65537);
    assert_non_null(longest);
    memset(longest, 'a', 65536);
    longest[65536] = '\0';
    assert_int_equal(tern_connection_options_add_user_property(o, "k", "v"), 0);
    assert_int_equal(tern_connection_options_add_user_property(o, "k", "v"), 0);
    assert_int_equal(tern_connection_options_add_user_property(o, "\xff", "v"),
                     TERN_E_UTF8); /* [MQTT5-1.5.7-1] */
    assert_int_equal(tern_connection_options_add_user_property(o, "k", "\xff"), TERN_E_UTF8);
    assert_int_equal(tern_connection_options_add_user_property(o, longest, "v"), TERN_E_TOO_LARGE);
    assert_int_equal(tern_connection_options_add_user_property(o, "k", longest), TERN_E_TOO_LARGE);
    assert_int_equal(tern_connection_options_add_user_property(o, NULL, "v"), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_add_user_property(o, "k", NULL), TERN_E_INVALID);
    free(longest);
    static const char wire[] = "\x26\0\1k\0\1v\x26\0\1k\0\1v";
    assert_int_equal(o->user_properties.len, sizeof wire - 1);
    assert_memory_equal(o->user_properties.data, wire, sizeof wire - 1);
    tern_connection_options_free(o);
}

static void ranges(void **state)
{
    (void)state;
    tern_connection_options *o = make();
    assert_int_equal(tern_connection_options_set_version(o, TERN_VERSION_311), 0);
    for (int version = -1; version < 8; version++) {
        const bool known = version == TERN_VERSION_AUTO || version == TERN_VERSION_311 ||
                           version == TERN_VERSION_5;
        assert_int_equal(tern_connection_options_set_version(o, (tern_version)version),
                         known ? 0 : TERN_E_INVALID);
    }
    assert_int_equal(o->version, TERN_VERSION_5);
    assert_int_equal(tern_connection_options_set_keep_alive(o, 65535), 0);
    assert_int_equal(o->keep_alive, 65535);
    assert_int_equal(tern_connection_options_set_connect_timeout(o, 1), 0);
    assert_int_equal(tern_connection_options_set_connect_timeout(o, 0), TERN_E_INVALID);
    assert_int_equal(o->connect_timeout_ms, 1);
    assert_int_equal(tern_connection_options_set_session(o, TERN_SESSION_PERSISTENT, UINT32_MAX),
                     0);
    assert_int_equal(tern_connection_options_set_session(o, (tern_session)3, 0), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_session(o, (tern_session)-1, 0), TERN_E_INVALID);
    assert_int_equal(o->session, TERN_SESSION_PERSISTENT);
    assert_int_equal(o->session_expiry, UINT32_MAX);
    assert_int_equal(tern_connection_options_set_retry_delay(o, 5, 5, TERN_JITTER_FULL), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(o, 0, 9, TERN_JITTER_NONE),
                     TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_retry_delay(o, 9, 8, TERN_JITTER_NONE),
                     TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_retry_delay(o, 8, 9, (tern_jitter)4),
                     TERN_E_INVALID);
    assert_int_equal(o->retry_base_ms, 5);
    assert_int_equal(o->retry_maximum_ms, 5);
    assert_int_equal(o->jitter, TERN_JITTER_FULL);
    assert_int_equal(tern_connection_options_set_retry_limit(o, 7, 0), 0);
    assert_int_equal(o->retry_attempts, 7);
    assert_int_equal(o->stable_ms, 0);
    assert_int_equal(tern_connection_options_set_retry_refused(o, 1), 0);
    assert_int_equal(tern_connection_options_set_retry_refused(o, 2), TERN_E_INVALID);
    assert_true(o->retry_refused);
    assert_int_equal(tern_connection_options_set_request_problem_information(o, 0), 0);
    assert_int_equal(tern_connection_options_set_request_problem_information(o, -1),
                     TERN_E_INVALID);
    assert_false(o->request_problem_info);
    assert_int_equal(tern_connection_options_set_request_response_information(o, 1), 0);
    assert_int_equal(tern_connection_options_set_request_response_information(o, 2),
                     TERN_E_INVALID);
    assert_true(o->request_response_info);
    tern_connection_options_free(o);
}

static void null_is_answered_everywhere(void **state)
{
    (void)state;
    assert_int_equal(tern_connection_options_new(NULL), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_add_server(NULL, "mqtt://a"), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_clear_servers(NULL), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_version(NULL, TERN_VERSION_5), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_credentials(NULL, "a", NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_keep_alive(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_connect_timeout(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_session(NULL, TERN_SESSION_CLEAN, 0),
                     TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_will(NULL, NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_add_user_property(NULL, "k", "v"), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_request_problem_information(NULL, 1),
                     TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_request_response_information(NULL, 1),
                     TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_retry_delay(NULL, 1, 1, TERN_JITTER_NONE),
                     TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_retry_limit(NULL, 1, 1), TERN_E_INVALID);
    assert_int_equal(tern_connection_options_set_retry_refused(NULL, 1), TERN_E_INVALID);
    tern_connection_options_free(NULL);
    char why[64] = "x";
    assert_int_equal(tern_url_error(NULL, why, sizeof why), TERN_E_URL);
    assert_true(why[0] != '\0');
    assert_int_equal(tern_url_error("mqtt://a:b", NULL, 0), TERN_E_URL);
    assert_int_equal(tern_url_error("mqtt://a", why, sizeof why), 0);
    assert_string_equal(why, "");
    assert_int_equal(tern_url_error("mqtt://a:b", why, 5), TERN_E_URL);
    assert_int_equal(strlen(why), 4); /* cut, and ended */
}

/* Everything that options can hold. */
static tern_connection_options *full(void)
{
    tern_connection_options *o = make();
    tern_message *will = message("w", 3, TERN_QOS_1);
    assert_int_equal(tern_connection_options_add_server(o, "mqtt://us:hidden-url@a"), 0);
    assert_int_equal(tern_connection_options_add_server(o, "mqtt://b"), 0);
    assert_int_equal(tern_connection_options_set_credentials(o, "us", "hidden-pw", 9), 0);
    assert_int_equal(tern_connection_options_set_will(o, will, 5), 0);
    assert_int_equal(tern_connection_options_add_user_property(o, "k", "v"), 0);
    assert_int_equal(tern_connection_options_set_keep_alive(o, 7), 0);
    tern_message_unref(will);
    return o;
}

static void is_full(const tern_connection_options *o)
{
    assert_int_equal(o->server_count, 2);
    assert_string_equal(o->servers[0].uri.password, "hidden-url");
    assert_string_equal(o->servers[1].uri.display, "mqtt://b:1883");
    holds(&o->user_name, "us");
    holds(&o->password, "hidden-pw");
    holds(&o->will_topic, "w");
    assert_int_equal(o->will_payload.len, 3);
    assert_int_equal(o->will_props.len, 5);
    assert_int_equal(o->will_qos, 1);
    assert_int_equal(o->user_properties.len, 7);
    assert_int_equal(o->keep_alive, 7);
}

static void a_clone_stands_alone(void **state)
{
    (void)state;
    tern_connection_options *o = full();
    tern_connection_options *copy = NULL;
    assert_int_equal(tern__connection_options_clone(o, &copy), 0);
    tern_connection_options_free(o);
    is_full(copy);
    tern_connection_options_free(copy);
}

/* Each allocation fails in turn: what was there stays, and is whole. [C19] */
static void memory_runs_out(void **state)
{
    (void)state;
    tern_message *will = message("other", 9, TERN_QOS_2);
    assert_int_equal(tern_message_set_content_type(will, "t"), 0);
    bool failed = true;
    for (long n = 0; failed; n++) {
        tern_connection_options *o = full();
        tern_connection_options *copy = NULL;
        failing_arm(n);
        int rc = tern__connection_options_clone(o, &copy);
        failed = failing_disarm();
        assert_int_equal(rc, failed ? TERN_E_NOMEM : 0);
        if (failed)
            assert_null(copy);
        else
            is_full(copy);
        tern_connection_options_free(copy);
        failing_arm(n);
        rc = tern_connection_options_set_will(o, will, 9);
        if (failing_disarm()) {
            assert_int_equal(rc, TERN_E_NOMEM);
            assert_int_equal(tern_connection_options_add_server(o, "mqtt://c"), 0);
            assert_int_equal(o->server_count, 3);
            o->server_count--; /* as it was, for the comparison */
            is_full(o);
            o->server_count++;
        }
        failing_arm(n);
        rc = tern_connection_options_set_credentials(o, "other", "other", 5);
        if (failing_disarm()) {
            assert_int_equal(rc, TERN_E_NOMEM);
            holds(&o->user_name, "us");
            holds(&o->password, "hidden-pw");
        }
        const size_t servers = o->server_count;
        failing_arm(n);
        rc = tern_connection_options_add_server(o, "mqtt://d");
        if (failing_disarm()) {
            assert_int_equal(rc, TERN_E_NOMEM);
            assert_int_equal(o->server_count, servers);
        }
        tern_connection_options_free(o);
    }
    failing_arm(0);
    tern_connection_options *none = (tern_connection_options *)&failed;
    assert_int_equal(tern_connection_options_new(&none), TERN_E_NOMEM);
    assert_null(none);
    (void)failing_disarm();
    tern_message_unref(will);
}

/* No memory that held a secret is given back with it. [C20] */
static void secrets_are_overwritten(void **state)
{
    (void)state;
    (void)failing_watch("hidden-");
    tern_connection_options *copy = NULL;
    tern_connection_options *o = full();
    assert_int_equal(tern__connection_options_clone(o, &copy), 0);
    assert_int_equal(tern_connection_options_set_credentials(o, "us", "hidden-other", 12), 0);
    assert_int_equal(tern_connection_options_set_credentials(o, "hidden-user", NULL, 0), 0);
    assert_int_equal(tern_connection_options_add_server(o, "mqtt://us:hidden-2@a:0"), TERN_E_URL);
    assert_int_equal(tern_url_error("mqtt://us:hidden-3@a", NULL, 0), 0);
    assert_int_equal(tern_connection_options_clear_servers(o), 0);
    for (long n = 0; n < 12; n++) {
        tern_connection_options *cut = NULL;
        failing_arm(n);
        (void)tern__connection_options_clone(copy, &cut);
        (void)tern_connection_options_set_credentials(o, "hidden-name", "hidden-word", 11);
        (void)tern_connection_options_add_server(o, "mqtt://us:hidden-4@a");
        (void)failing_disarm();
        tern_connection_options_free(cut);
    }
    tern_connection_options_free(o);
    tern_connection_options_free(copy);
    assert_int_equal(failing_watch(NULL), 0);
}

/* What does not go together is refused when a client is given it. [MQTT311-3.1.3-7]
 * [MQTT311-3.1.2-22] */
static void what_a_client_refuses(void **state)
{
    (void)state;
    tern_client *client = NULL;
    assert_int_equal(tern_client_new(&client, NULL), 0);
    tern_connection_options *o = make();
    assert_int_equal(tern_client_configure(client, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_configure(client, o), TERN_E_INVALID); /* no server */
    assert_int_equal(tern_connection_options_add_server(o, "mqtt://a"), 0);
    assert_int_equal(tern_connection_options_set_session(o, TERN_SESSION_PERSISTENT, 1), 0);
    for (int version = TERN_VERSION_AUTO; version <= TERN_VERSION_5; version++) {
        if (tern_connection_options_set_version(o, (tern_version)version) != 0) continue;
        assert_int_equal(tern_client_configure(client, o),
                         TERN_E_INVALID); /* without a client id */
        assert_non_null(strstr(tern_client_error_text(client), "client id"));
    }
    assert_int_equal(tern_connection_options_set_session(o, TERN_SESSION_CLEAN, 0), 0);
    assert_int_equal(tern_connection_options_set_credentials(o, NULL, "pw", 2), 0);
    assert_int_equal(tern_client_configure(client, o), 0); /* MQTT 5 can */
    const tern__buf none = o->user_properties;
    o->user_properties = (tern__buf){(uint8_t *)o, 268435455, 268435455};
    assert_int_equal(tern_client_configure(client, o), TERN_E_TOO_LARGE); /* before any of it is copied */
    assert_non_null(strstr(tern_client_error_text(client), "CONNECT"));
    o->user_properties = none;
    assert_int_equal(tern_connection_options_set_version(o, TERN_VERSION_311), 0);
    assert_int_equal(tern_client_configure(client, o), TERN_E_INVALID);
    assert_int_equal(tern_client_configure_url(client, "mqtt://us:hidden@a:b"), TERN_E_URL);
    assert_null(strstr(tern_client_error_text(client), "hidden")); /* [C20] */
    tern_connection_options_free(o);
    tern_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(servers_keep_their_order),
        cmocka_unit_test(credentials),
        cmocka_unit_test(wills_that_cannot_be_made),
        cmocka_unit_test(a_will_is_copied),
        cmocka_unit_test(user_properties_add_up),
        cmocka_unit_test(ranges),
        cmocka_unit_test(null_is_answered_everywhere),
        cmocka_unit_test(a_clone_stands_alone),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(secrets_are_overwritten),
        cmocka_unit_test(what_a_client_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
