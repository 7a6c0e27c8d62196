/* Messages: own and borrowed ones read alike; setters, properties and copies.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/props.h"
#include "engine/message.h"

static tern_message *make(uint32_t flags)
{
    tern_message *message = NULL;
    assert_int_equal(tern_message_new(&message, "a/b", "hello", 5, flags), 0);
    assert_non_null(message);
    return message;
}

static void what_was_given_is_read(void **state)
{
    (void)state;
    tern_message *message = make(TERN_QOS_2 | TERN_RETAIN | TERN_LOSE_PROPERTIES);
    assert_string_equal(tern_message_topic(message), "a/b");
    assert_int_equal(tern_message_topic_length(message), 3);
    assert_string_equal(tern_message_text(message), "hello");
    assert_int_equal(tern_message_payload_length(message), 5);
    assert_int_equal(tern_message_qos(message), 2);
    assert_int_equal(tern_message_retained(message), 1);
    assert_int_equal(tern_message_duplicate(message), 0);
    assert_true(message->own->lose_properties);
    assert_int_equal(tern_message_payload_format(message), -1);
    uint32_t seconds = 9;
    assert_int_equal(tern_message_expiry(message, &seconds), 0);
    assert_int_equal(seconds, 0);
    assert_null(tern_message_content_type(message, NULL));
    assert_int_equal(tern_message_user_property_count(message), 0);
    tern_message_unref(message);
}

/* [C3] [MQTT5-3.3.2-2] [MQTT5-3.3.1-4] [MQTT5-4.7.3-3] */
static void bad_arguments(void **state)
{
    (void)state;
    tern_message *message = (tern_message *)&message;
    assert_int_equal(tern_message_new(NULL, "t", NULL, 0, 0), TERN_E_INVALID);
    assert_int_equal(tern_message_new(&message, NULL, NULL, 0, 0), TERN_E_INVALID);
    assert_null(message);
    assert_int_equal(tern_message_new(&message, "t", NULL, 1, 0), TERN_E_INVALID);
    assert_int_equal(tern_message_new(&message, "t", NULL, 0, 3), TERN_E_INVALID);
    assert_int_equal(tern_message_new(&message, "t", NULL, 0, 0x1000), TERN_E_INVALID);
    assert_int_equal(tern_message_new(&message, "", NULL, 0, 0), TERN_E_TOPIC);
    assert_int_equal(tern_message_new(&message, "a/+", NULL, 0, 0), TERN_E_TOPIC);
    assert_int_equal(tern_message_new(&message, "\xFF", NULL, 0, 0), TERN_E_UTF8);
    assert_int_equal(tern_message_new(&message, "t", "x", 268435456, 0), TERN_E_TOO_LARGE);
    char *longest = malloc(65537);
    assert_non_null(longest);
    memset(longest, 'a', 65536);
    longest[65536] = 0;
    assert_int_equal(tern_message_new(&message, longest, NULL, 0, 0), TERN_E_TOO_LARGE);
    assert_null(message);
    message = make(0);
    assert_int_equal(tern_message_set_content_type(message, longest), TERN_E_TOO_LARGE);
    assert_int_equal(tern_message_set_response_topic(message, longest), TERN_E_TOO_LARGE);
    assert_int_equal(tern_message_set_correlation_data(message, longest, 65536), TERN_E_TOO_LARGE);
    assert_int_equal(tern_message_add_user_property(message, "k", longest), TERN_E_TOO_LARGE);
    longest[65535] = 0;
    assert_int_equal(tern_message_set_topic(message, longest), 0);
    assert_int_equal(tern_message_topic_length(message), 65535);
    assert_int_equal(tern_message_set_content_type(message, longest), 0);
    assert_int_equal(tern_message_add_user_property(message, longest, longest), 0);
    free(longest);
    assert_int_equal(tern_message_set_content_type(message, "\xC3"), TERN_E_UTF8);
    assert_int_equal(tern_message_set_response_topic(message, "a/#"),
                     TERN_E_TOPIC); /* [MQTT5-3.3.2-14] */
    assert_int_equal(tern_message_add_user_property(message, "\xED\xA0\x80", ""), TERN_E_UTF8);
    assert_int_equal(tern_message_add_user_property(message, "", "\xED\xA0\x80"), TERN_E_UTF8);
    assert_int_equal(tern_message_set_payload_format(message, 2), TERN_E_INVALID);
    assert_int_equal(tern_message_set_flags(message, 3), TERN_E_INVALID);
    tern_message_unref(message);
}

static void null_is_answered_everywhere(void **state)
{
    (void)state;
    tern_message *message = make(0);
    tern_message *copy;
    assert_int_equal(tern_message_keep(NULL, &copy), TERN_E_INVALID);
    assert_null(copy);
    assert_int_equal(tern_message_keep(message, NULL), TERN_E_INVALID);
    assert_int_equal(tern_message_set_topic(NULL, "t"), TERN_E_INVALID);
    assert_int_equal(tern_message_set_topic(message, NULL), TERN_E_INVALID);
    assert_int_equal(tern_message_set_payload(NULL, "", 0), TERN_E_INVALID);
    assert_int_equal(tern_message_set_payload(message, NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_message_set_flags(NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_message_set_payload_format(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_message_set_expiry(NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_message_set_content_type(message, NULL), TERN_E_INVALID);
    assert_int_equal(tern_message_set_response_topic(message, NULL), TERN_E_INVALID);
    assert_int_equal(tern_message_set_correlation_data(message, NULL, 1), TERN_E_INVALID);
    assert_int_equal(tern_message_add_user_property(message, NULL, ""), TERN_E_INVALID);
    assert_int_equal(tern_message_add_user_property(message, "", NULL), TERN_E_INVALID);
    assert_int_equal(tern_message_clear_properties(NULL), TERN_E_INVALID);
    assert_null(tern_message_topic(NULL));
    assert_int_equal(tern_message_topic_length(NULL), 0);
    assert_non_null(tern_message_payload(NULL));
    assert_int_equal(tern_message_payload_length(NULL), 0);
    assert_string_equal(tern_message_text(NULL), "");
    assert_int_equal(
        tern_message_qos(NULL) + tern_message_retained(NULL) + tern_message_duplicate(NULL), 0);
    assert_int_equal(tern_message_payload_format(NULL), -1);
    assert_int_equal(tern_message_expiry(NULL, NULL), 0);
    assert_null(tern_message_content_type(NULL, NULL));
    assert_null(tern_message_correlation_data(NULL, NULL));
    assert_int_equal(tern_message_user_property(NULL, 0, NULL, NULL, NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_message_user_property(message, 0, NULL, NULL, NULL, NULL),
                     TERN_E_NOT_FOUND);
    assert_int_equal(tern_message_subscription_id_count(NULL), 0);
    assert_int_equal(tern_message_subscription_id(NULL, 0), 0);
    tern_message_unref(message);
    tern_message_unref(NULL);
}

static void expect_text(const char *text, size_t length, const char *expected)
{
    assert_non_null(text);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
}

static void properties_replace_and_add_up(void **state)
{
    (void)state;
    tern_message *message = make(0);
    assert_int_equal(tern_message_set_payload_format(message, 1), 0);
    assert_int_equal(tern_message_set_expiry(message, 10), 0);
    assert_int_equal(tern_message_set_content_type(message, "text/plain"), 0);
    assert_int_equal(tern_message_set_correlation_data(message, "\0x", 2), 0);
    assert_int_equal(tern_message_set_response_topic(message, "re/ply"), 0);
    assert_int_equal(tern_message_add_user_property(message, "k", "1"), 0);
    assert_int_equal(tern_message_add_user_property(message, "k", "2"), 0);
    assert_int_equal(tern_message_set_expiry(message, 20), 0);
    assert_int_equal(tern_message_set_content_type(message, "a"), 0);
    uint32_t seconds;
    assert_int_equal(tern_message_expiry(message, &seconds), 1);
    assert_int_equal(seconds, 20);
    size_t length;
    const char *text = tern_message_content_type(message, &length);
    expect_text(text, length, "a");
    /* A value read from the message itself is a good argument. */
    assert_int_equal(
        tern_message_set_correlation_data(message, tern_message_content_type(message, &length), 1),
        0);
    text = tern_message_correlation_data(message, &length);
    expect_text(text, length, "a");
    text = tern_message_response_topic(message, &length);
    expect_text(text, length, "re/ply");
    assert_int_equal(tern_message_payload_format(message), 1);
    assert_int_equal(tern_message_user_property_count(message), 2);
    const char *name;
    const char *value;
    size_t name_length;
    assert_int_equal(tern_message_user_property(message, 1, &name, &name_length, &value, &length),
                     0);
    expect_text(name, name_length, "k");
    expect_text(value, length, "2");
    assert_int_equal(tern_message_user_property(message, 2, &name, &name_length, &value, &length),
                     TERN_E_NOT_FOUND);
    assert_null(name);
    tern__props props;
    tern__fault fault;
    const tern__record *record = message->record;
    assert_int_equal(tern__props_check(record->props, record->props_len, TERN__PUBLISH,
                                       TERN__FROM_CLIENT, &props, &fault),
                     0);
    assert_int_equal(props.present, record->props_present);
    assert_int_equal(tern_message_clear_properties(message), 0);
    assert_int_equal(tern_message_user_property_count(message), 0);
    assert_int_equal(message->record->props_present, 0);
    tern_message_unref(message);
}

static void setters_replace(void **state)
{
    (void)state;
    tern_message *message = make(TERN_QOS_1);
    assert_int_equal(tern_message_set_topic(message, "other"), 0);
    assert_int_equal(tern_message_set_payload(message, tern_message_payload(message), 2), 0);
    assert_string_equal(tern_message_text(message), "he");
    assert_int_equal(tern_message_set_payload(message, NULL, 0), 0);
    assert_string_equal(tern_message_text(message), "");
    assert_int_equal(tern_message_set_topic(message, "bad/#"), TERN_E_TOPIC);
    assert_string_equal(tern_message_topic(message), "other");
    assert_int_equal(tern_message_set_flags(message, TERN_RETAIN), 0);
    assert_int_equal(tern_message_qos(message), 0);
    assert_int_equal(tern_message_retained(message), 1);
    tern_message_unref(message);
}

/* A borrowed message is read like an own one, refuses to be changed, and can be kept. */
static void borrowed_messages(void **state)
{
    (void)state;
    static const uint8_t props[] = {11, 5, 11, 0x80, 1, 35, 0, 7, 38, 0, 1, 'k', 0, 1, 'v'};
    tern__record record = {.topic = (const uint8_t *)"t/x",
                           .topic_len = 3,
                           .payload = (const uint8_t *)"payload",
                           .payload_len = 7,
                           .qos = 1,
                           .flags = TERN__RECORD_DUP | TERN__RECORD_ALIASED,
                           .props = props,
                           .props_len = sizeof props,
                           .props_present =
                               UINT64_C(1) << 11 | UINT64_C(1) << 35 | UINT64_C(1) << 38,
                           .ack_seq = 42};
    tern_message borrowed = {.record = &record, .epoch = 3};
    assert_int_equal(tern_message_duplicate(&borrowed), 1);
    assert_int_equal(tern_message_subscription_id_count(&borrowed), 2);
    assert_int_equal(tern_message_subscription_id(&borrowed, 1), 128);
    assert_int_equal(tern_message_subscription_id(&borrowed, 2), 0);
    assert_int_equal(tern_message_set_topic(&borrowed, "x"), TERN_E_STATE);
    assert_int_equal(tern_message_set_payload(&borrowed, "x", 1), TERN_E_STATE);
    assert_int_equal(tern_message_set_flags(&borrowed, 0), TERN_E_STATE);
    assert_int_equal(tern_message_set_payload_format(&borrowed, 1), TERN_E_STATE);
    assert_int_equal(tern_message_set_expiry(&borrowed, 1), TERN_E_STATE);
    assert_int_equal(tern_message_set_content_type(&borrowed, "x"), TERN_E_STATE);
    assert_int_equal(tern_message_set_response_topic(&borrowed, "x"), TERN_E_STATE);
    assert_int_equal(tern_message_set_correlation_data(&borrowed, "x", 1), TERN_E_STATE);
    assert_int_equal(tern_message_add_user_property(&borrowed, "x", "y"), TERN_E_STATE);
    assert_int_equal(tern_message_clear_properties(&borrowed), TERN_E_STATE);
    tern_message *kept;
    assert_int_equal(tern_message_keep(&borrowed, &kept), 0);
    tern_message_unref(&borrowed); /* not ours: nothing happens */
    record.topic = record.payload = record.props = NULL;
    assert_string_equal(tern_message_topic(kept), "t/x");
    assert_string_equal(tern_message_text(kept), "payload");
    assert_int_equal(tern_message_qos(kept), 1);
    assert_int_equal(tern_message_duplicate(kept), 1);
    assert_int_equal(tern_message_subscription_id_count(kept), 2);
    assert_int_equal(tern_message_user_property_count(kept), 1);
    assert_int_equal(kept->epoch, 3); /* so that it can still be acknowledged by hand */
    assert_int_equal(kept->record->ack_seq, 42);
    assert_int_equal(tern_message_set_topic(kept, "mine"), 0);
    tern_message_unref(kept);
}

/* Each property that is added costs the same, however many are there: far more than these would take minutes if all were
 * read again. */
static void many_user_properties(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    tern_message *message;
    assert_int_equal(tern_message_new(&message, "t", "p", 1, TERN_QOS_1), 0);
    assert_int_equal(tern_message_user_property_count(message), 0);
    assert_int_equal(tern_message_set_expiry(message, 7), 0);
    for (unsigned i = 0; i < COUNT; i++) assert_int_equal(tern_message_add_user_property(message, "k", "v"), 0);
    assert_int_equal(tern_message_user_property_count(message), COUNT);
    assert_int_equal(tern_message_set_topic(message, "other"), 0);
    assert_int_equal(tern_message_set_payload(message, "longer", 6), 0);
    assert_int_equal(tern_message_user_property_count(message), COUNT);
    uint32_t seconds = 0;
    assert_int_equal(tern_message_expiry(message, &seconds), 1);
    assert_int_equal(seconds, 7);
    assert_int_equal(tern_message_set_content_type(message, "text"), 0);
    assert_int_equal(tern_message_user_property_count(message), COUNT);
    assert_int_equal(tern_message_clear_properties(message), 0);
    assert_int_equal(tern_message_user_property_count(message), 0);
    tern_message_unref(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_is_read),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(null_is_answered_everywhere),
        cmocka_unit_test(properties_replace_and_add_up),
        cmocka_unit_test(setters_replace),
        cmocka_unit_test(borrowed_messages),
        cmocka_unit_test(many_user_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
