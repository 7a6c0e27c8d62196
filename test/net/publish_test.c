/* Publishing: what is on the wire, in which order, and what does not go out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "codec/props.h"
#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS, MANY = 600 };

static rig r;

/* ---- the wire ---- */

/* Every QoS with and without RETAIN, payloads of none, text and any bytes; DUP is 0 the first time.
 * [MQTT5-3.3.1-2] [MQTT5-4.3.1-1] [MQTT5-4.3.2-2] [MQTT5-4.3.3-2] [MQTT311-3.3.1-2]
 * [MQTT311-4.3.1-1] */
static void flags_on_the_wire(tern_version version)
{
    static const char *const payloads[] = {"", "text", "\x01\xff\x80"};
    size_t n = 0;
    rig_init(&r, version);
    rig_start(&r);
    for (uint32_t qos = 0; qos <= 2; qos++) {
        for (uint32_t retain = 0; retain <= 1; retain++) {
            for (size_t i = 0; i < 3; i++, n++) {
                uint32_t flags = qos | (retain != 0 ? TERN_RETAIN : 0);
                tern_token *token = rig_publish(&r, "a/b", payloads[i], flags);
                assert_int_equal(tern_token_message_id(token), n + 1);
                assert_int_equal(tern_token_wait(token, PATIENCE), 0);
                assert_int_equal(tern_token_reason_count(token), qos == 0 ? 0 : 1);
                assert_int_equal(tern_token_reason_code(token, 0), qos == 0 ? -1 : 0);
                assert_null(tern_token_reason_string(token));
                rig_expect_outcome(token, qos == 0 ? TERN_OUTCOME_SENT : TERN_OUTCOME_DELIVERED,
                                   TERN_CAUSE_NONE, 0);
                assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, n + 1, PATIENCE));
                tern__packet got = rig_packet(&r, TERN__PUBLISH, n);
                assert_int_equal(got.u.publish.qos, qos);
                assert_int_equal(got.u.publish.retain, retain);
                assert_false(got.u.publish.dup);
                assert_int_equal(got.u.publish.packet_id != 0, qos != 0);
                assert_true(view_is(got.u.publish.topic, "a/b"));
                assert_true(view_is(got.u.publish.payload, payloads[i]));
                assert_int_equal(got.props.len, 0);
            }
        }
    }
    rig_free(&r);
}

static void every_flag_is_on_the_wire(void **state)
{
    (void)state;
    flags_on_the_wire(TERN_VERSION_5);
    flags_on_the_wire(TERN_VERSION_311);
}

static tern_message *message_with_all(uint32_t flags)
{
    tern_message *one = rig_message("a", "x", flags);
    assert_int_equal(tern_message_set_payload_format(one, 1), 0);
    assert_int_equal(tern_message_set_expiry(one, 1000), 0);
    assert_int_equal(tern_message_set_content_type(one, "text/plain"), 0);
    assert_int_equal(tern_message_set_response_topic(one, "re/ply"), 0);
    assert_int_equal(tern_message_set_correlation_data(one, "\0\x01\xff", 3), 0);
    assert_int_equal(tern_message_add_user_property(one, "k", "1"), 0);
    assert_int_equal(tern_message_add_user_property(one, "j", ""), 0);
    assert_int_equal(tern_message_add_user_property(one, "k", "2"), 0);
    return one;
}

static void expect_all_properties(const tern__packet *got)
{
    static const char *const pairs[][2] = {{"k", "1"}, {"j", ""}, {"k", "2"}};
    tern__view rest = {got->props.data, got->props.len};
    tern__prop prop;
    size_t pair = 0;
    unsigned others = 0;
    while (tern__props_next(&rest, &prop)) {
        if (prop.id == TERN__PROP_USER_PROPERTY) {
            assert_true(pair < 3);
            assert_true(view_is(prop.name, pairs[pair][0]));
            assert_true(view_is(prop.text, pairs[pair][1])); /* in their order [MQTT5-3.3.2-18] */
            pair++;
            continue;
        }
        others++;
        if (prop.id == TERN__PROP_PAYLOAD_FORMAT) assert_int_equal(prop.number, 1);
        if (prop.id == TERN__PROP_MESSAGE_EXPIRY) assert_in_range(prop.number, 1, 1000);
        if (prop.id == TERN__PROP_CONTENT_TYPE) assert_true(view_is(prop.text, "text/plain"));
        if (prop.id == TERN__PROP_RESPONSE_TOPIC) assert_true(view_is(prop.text, "re/ply"));
        if (prop.id != TERN__PROP_CORRELATION_DATA) continue;
        assert_int_equal(prop.text.len, 3);
        assert_memory_equal(prop.text.data, "\0\x01\xff", 3);
    }
    assert_int_equal(pair, 3);
    assert_int_equal(others, 5);
}

/* A prepared message goes out with all that it has, as often as it is published. */
static void every_property_is_on_the_wire(void **state)
{
    (void)state;
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    for (uint32_t qos = 0; qos <= 2; qos++) {
        tern_message *one = message_with_all(qos);
        for (size_t again = 0; again < 2; again++) {
            uint64_t id = 0;
            assert_int_equal(tern_client_publish_message_wait(r.client, one, &id, PATIENCE), 0);
            assert_int_equal(id, 2 * qos + again + 1);
            assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, id, PATIENCE));
            tern__packet got = rig_packet(&r, TERN__PUBLISH, 2 * qos + again);
            expect_all_properties(&got);
            assert_int_equal(got.u.publish.qos, qos);
        }
        tern_message_unref(one);
    }
    rig_free(&r);
}

/* What was received can be passed on: without DUP, the server's subscription identifiers and its
 * topic alias. [MQTT5-3.3.1-3] [MQTT5-3.3.4-6] [MQTT311-3.3.1-3] */
static void a_received_message_is_passed_on(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t i = 0; i < 2; i++) {
        rig_init(&r, versions[i]);
        assert_int_equal(tern_client_options_set_topic_alias_maximum(r.fixed, 5), 0);
        rig_start(&r);
        tern__buf props = {0};
        if (i == 1) {
            assert_int_equal(tern__props_add_number(&props, TERN__PROP_SUBSCRIPTION_ID, 77), 0);
            assert_int_equal(tern__props_add_number(&props, TERN__PROP_TOPIC_ALIAS, 5), 0);
            assert_int_equal(tern__props_add_text(&props, TERN__PROP_CONTENT_TYPE, "c", 1), 0);
        }
        tern__packet in = {.type = TERN__PUBLISH, .props = {props.data, props.len, 0}};
        in.u.publish = (tern__publish_packet){
            .dup = true, .qos = 1, .packet_id = 9, .topic = view_of("in"), .payload = view_of("x")};
        rig_send(&r, &in);
        tern__buf_deinit(&props);
        tern_message *got = NULL;
        assert_int_equal(tern_client_receive_wait(r.client, &got, PATIENCE), 0);
        assert_int_equal(tern_message_duplicate(got), 1);
        assert_int_equal(tern_message_subscription_id_count(got), i);
        assert_int_equal(tern_message_set_topic(got, "out"), 0);
        rig_expect_outcome(rig_publish_message(&r, got), TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE,
                           0);
        tern__packet out = rig_packet(&r, TERN__PUBLISH, 0);
        assert_false(out.u.publish.dup);
        assert_true(view_is(out.u.publish.topic, "out"));
        assert_false(tern__props_has(&out.props, TERN__PROP_SUBSCRIPTION_ID));
        assert_false(tern__props_has(&out.props, TERN__PROP_TOPIC_ALIAS));
        assert_int_equal(tern__props_has(&out.props, TERN__PROP_CONTENT_TYPE), i == 1);
        rig_free(&r);
    }
}

/* ---- the order ---- */

/* Many in flight, two at a time, over a cut: what the broker sees first is in order. [C8] [C6] */
static void first_copies_come_in_order(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t v = 0; v < 2; v++) {
        bool seen[MANY] = {false};
        int highest = -1;
        rig_init(&r, versions[v]);
        assert_int_equal(tern_client_options_set_inflight_maximum(r.fixed, 2), 0);
        rig_client(&r);
        for (int i = 0; i < MANY; i++) {
            char text[16];
            snprintf(text, sizeof text, "%d", i);
            if (i == MANY / 4) rig_connect(&r);
            if (i == MANY / 2) rig_cut(&r);
            assert_int_equal(
                tern_client_publish(r.client, "t", text, strlen(text), (uint32_t)(1 + i % 2), NULL),
                0);
        }
        assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
        for (size_t i = 0; i < rig_packets(&r, TERN__PUBLISH); i++) {
            tern__publish_packet got = rig_packet(&r, TERN__PUBLISH, i).u.publish;
            char text[16] = "";
            memcpy(text, got.payload.data, got.payload.len);
            int number = atoi(text);
            assert_in_range(number, 0, MANY - 1);
            if (!seen[number]) assert_int_equal(number, highest + 1);
            if (number > highest) highest = number;
            seen[number] = true;
        }
        assert_int_equal(highest, MANY - 1);
        rig_free(&r);
    }
}

/* Published before there is a connection: in order, as they were, in whichever form the server then
 * speaks. */
static void offline_messages_wait(void **state)
{
    (void)state;
    static const bool old[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        rig_init(&r, TERN_VERSION_AUTO);
        rig_rules(&r, (mock_rules){.only_v311 = old[i]});
        rig_client(&r);
        tern_token *first = rig_publish(&r, "o/1", "zero", TERN_QOS_0);
        tern_token *second = rig_publish(&r, "o/2", "one", TERN_QOS_1 | TERN_RETAIN);
        tern_token *third = rig_publish(&r, "o/3", "two", TERN_QOS_2);
        assert_int_equal(tern_token_wait(first, 0), TERN_E_TIMEOUT); /* and cancels nothing [C3] */
        assert_int_equal(tern_token_error(first), TERN_E_AGAIN);
        assert_int_equal(tern_token_outcome(first), TERN_OUTCOME_PENDING);
        rig_connect(&r);
        assert_int_equal(mock_broker_last_connect(r.broker).version, old[i] ? 4 : 5);
        rig_expect_outcome(first, TERN_OUTCOME_SENT, TERN_CAUSE_NONE, 0);
        rig_expect_outcome(second, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_expect_outcome(third, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        rig_expect_message(&r, 0, "o/1=zero/0");
        rig_expect_message(&r, 1, "o/2=one/1r");
        rig_expect_message(&r, 2, "o/3=two/2");
        assert_int_equal(mock_broker_messages(r.broker), 3);
        rig_free(&r);
    }
}

/* ---- how many are open ---- */

static void options_with_receive_maximum(mock_rules *rules, uint16_t maximum)
{
    tern__buf props = {0};
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_RECEIVE_MAXIMUM, maximum), 0);
    memcpy(rules->connack_props, props.data, props.len);
    rules->connack_props_len = props.len;
    tern__buf_deinit(&props);
}

static void send_ack(uint8_t type, uint16_t id, uint8_t reason)
{
    tern__packet packet = {.type = type, .u.ack = {id, reason}};
    rig_send(&r, &packet);
}

/* The smaller of the two bounds counts; each end lets one more out; requests pass. [MQTT5-3.3.4-7]
 * [MQTT5-3.3.4-8] [MQTT5-4.9.0-1] [MQTT5-4.9.0-2] [MQTT5-4.9.0-3] */
static void open_up_to(tern_version version, uint16_t ours, uint16_t theirs, size_t want)
{
    mock_rules rules = {.no_acks = true};
    rig_init(&r, version);
    assert_int_equal(tern_client_options_set_inflight_maximum(r.fixed, ours), 0);
    if (theirs != 0) options_with_receive_maximum(&rules, theirs);
    rig_rules(&r, rules);
    rig_start(&r);
    for (int i = 0; i < 10; i++)
        assert_int_equal(tern_client_publish(r.client, "t", "x", 1, (uint32_t)(1 + i % 2), NULL),
                         0);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, want, PATIENCE));
    rig_barrier(&r);
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), want);
    send_ack(TERN__PUBACK, rig_packet(&r, TERN__PUBLISH, 0).u.publish.packet_id, 0);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, want + 1, PATIENCE));
    rig_barrier(&r);
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), want + 1);
    /* PUBREC alone does not make room, PUBCOMP does. */
    uint16_t id = rig_packet(&r, TERN__PUBLISH, 1).u.publish.packet_id;
    send_ack(TERN__PUBREC, id, 0);
    assert_true(mock_broker_wait(r.broker, TERN__PUBREL, 1, PATIENCE));
    rig_barrier(&r);
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), want + 1);
    send_ack(TERN__PUBCOMP, id, 0);
    assert_true(mock_broker_wait(r.broker, TERN__PUBLISH, want + 2, PATIENCE));
    rig_barrier(&r);
    assert_int_equal(rig_packets(&r, TERN__PUBLISH), want + 2);
    /* What is open is sent again within the same bound. */
    rig_rules(&r, (mock_rules){0});
    rig_cut(&r);
    assert_int_equal(tern_client_flush_wait(r.client, PATIENCE), 0);
    rig_free(&r);
}

static void in_flight_is_bounded(void **state)
{
    (void)state;
    open_up_to(TERN_VERSION_5, 3, 0, 3);
    open_up_to(TERN_VERSION_5, 100, 2, 2);
    open_up_to(TERN_VERSION_5, 4, 6, 4);
    open_up_to(TERN_VERSION_311, 3, 0, 3);
}

/* ---- what cannot be carried ---- */

static void what_3_1_1_cannot_carry(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_AUTO};
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_rules(&r, (mock_rules){.only_v311 = true});
        rig_client(&r);
        tern_token *tokens[4];
        for (size_t i = 0; i < 4; i++) {
            if (i == 2) rig_connect(&r); /* offline and online */
            uint32_t flags = TERN_QOS_1 | (i % 2 == 1 ? TERN_LOSE_PROPERTIES : 0);
            tokens[i] = rig_publish_message(&r, message_with_all(flags));
        }
        for (size_t i = 0; i < 4; i++) {
            if (i % 2 == 1) {
                rig_expect_outcome(tokens[i], TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
            } else {
                rig_expect_outcome(tokens[i], TERN_OUTCOME_NOT_SENT, TERN_CAUSE_UNSUPPORTED,
                                   TERN_E_UNSUPPORTED);
            }
        }
        assert_int_equal(mock_broker_messages(r.broker), 2);
        rig_expect_message(&r, 0, "a=x/1");
        rig_expect_message(&r, 1, "a=x/1");
        rig_free(&r);
    }
}

/* A server that takes QoS 1 and no RETAIN: the rest is refused here, not tried there.
 * [MQTT5-3.2.2-11] [MQTT5-3.2.2-14] */
static void what_the_server_cannot_carry(void **state)
{
    (void)state;
    static const mock_rules rules = {
        .connack_props = {TERN__PROP_MAXIMUM_QOS, 1, TERN__PROP_RETAIN_AVAILABLE, 0},
        .connack_props_len = 4};
    rig_init(&r, TERN_VERSION_5);
    rig_rules(&r, rules);
    rig_client(&r);
    tern_token *two = rig_publish(&r, "a", "2", TERN_QOS_2);
    tern_token *kept = rig_publish(&r, "a", "r", TERN_QOS_0 | TERN_RETAIN);
    tern_token *one = rig_publish(&r, "a", "1", TERN_QOS_1);
    rig_connect(&r);
    rig_expect_outcome(two, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_UNSUPPORTED, TERN_E_UNSUPPORTED);
    rig_expect_outcome(kept, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_UNSUPPORTED, TERN_E_UNSUPPORTED);
    rig_expect_outcome(one, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_int_equal(mock_broker_messages(r.broker), 1);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_is_on_the_wire),
        cmocka_unit_test(every_property_is_on_the_wire),
        cmocka_unit_test(a_received_message_is_passed_on),
        cmocka_unit_test(first_copies_come_in_order),
        cmocka_unit_test(offline_messages_wait),
        cmocka_unit_test(in_flight_is_bounded),
        cmocka_unit_test(what_3_1_1_cannot_carry),
        cmocka_unit_test(what_the_server_cannot_carry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
