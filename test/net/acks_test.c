/* Acknowledging: when each message is, in which order, and that none is delivered twice.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/rig.h"
#include "support/net.h"

enum { PATIENCE = NET_PATIENCE_MS };

static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};

static rig r;

static void expect_acks(uint8_t type, const uint16_t *ids, size_t count)
{
    assert_true(mock_broker_wait(r.broker, type, count, PATIENCE));
    for (size_t i = 0; i < count; i++) {
        tern__packet ack = rig_packet(&r, type, i);
        assert_int_equal(ack.u.ack.packet_id, ids[i]);
        assert_int_equal(ack.u.ack.reason, 0);
    }
}

/* ---- when they are taken ---- */

/* In wire order, each acknowledged as it is taken. [C9] [MQTT5-3.3.4-1] [MQTT311-3.3.4-1] */
static void messages_wait_to_be_taken(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        static const uint16_t one[] = {11};
        static const uint16_t two[] = {12};
        tern_message *none = (tern_message *)&r;
        rig_init(&r, versions[v]);
        rig_start(&r);
        assert_int_equal(tern_client_receive(r.client, &none), TERN_E_AGAIN);
        assert_null(none);
        none = (tern_message *)&r;
        assert_int_equal(tern_client_receive_wait(r.client, &none, 1), TERN_E_TIMEOUT);
        assert_null(none);
        rig_send_publish(&r, "a", "zero", 0, 0, false);
        rig_send_publish(&r, "a", "one", 1, 11, false);
        rig_send_publish(&r, "a", "two", 2, 12, false);
        rig_send_publish(&r, "a", "", 0, 0, false);
        rig_expect_received(&r, "a=zero/0");
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__PUBACK), 0); /* nobody has taken it */
        rig_expect_received(&r, "a=one/1");
        expect_acks(TERN__PUBACK, one, 1);
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__PUBREC), 0);
        rig_expect_received(&r, "a=two/2");
        expect_acks(TERN__PUBREC, two, 1);
        rig_expect_received(&r, "a=/0");
        assert_int_equal(tern_client_receive(r.client, &none), TERN_E_AGAIN);
        assert_int_equal(watch_count(&r.watch, TERN_EVENT_UNHANDLED), 0);
        rig_free(&r);
    }
}

/* ---- acknowledging by hand ---- */

static void manual_rig(tern_version version)
{
    rig_init(&r, version);
    assert_int_equal(tern_client_options_set_ack(r.fixed, TERN_ACK_MANUAL), 0);
    rig_start(&r);
}

static tern_message *take(void)
{
    tern_message *message = NULL;
    assert_int_equal(tern_client_receive_wait(r.client, &message, PATIENCE), 0);
    return message;
}

/* Out of order by the application, in order on the wire. [C9] [MQTT5-4.6.0-2] [MQTT5-4.6.0-3]
 * [MQTT311-4.6.0-2] [MQTT311-4.6.0-3] [MQTT5-4.3.2-4] [MQTT5-4.3.3-8] */
static void acks_go_out_in_order(void **state)
{
    (void)state;
    static const uint16_t ones[] = {21, 22, 24};
    static const uint16_t twos[] = {23};
    for (size_t v = 0; v < 2; v++) {
        tern_message *m[5];
        manual_rig(versions[v]);
        for (uint16_t i = 0; i < 4; i++)
            rig_send_publish(&r, "t", "x", i == 2 ? 2 : 1, (uint16_t)(21 + i), false);
        rig_send_publish(&r, "t", "x", 0, 0, false);
        for (size_t i = 0; i < 5; i++) m[i] = take();
        assert_int_equal(tern_client_ack(r.client, m[3]), 0);
        assert_int_equal(tern_client_ack(r.client, m[2]), 0);
        assert_int_equal(tern_client_ack(r.client, m[1]), 0);
        assert_int_equal(tern_client_ack(r.client, m[4]), 0); /* QoS 0 needs none */
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__PUBACK) + rig_packets(&r, TERN__PUBREC), 0);
        assert_int_equal(tern_client_ack(r.client, m[0]), 0);
        expect_acks(TERN__PUBACK, ones, 3);
        expect_acks(TERN__PUBREC, twos, 1);
        assert_int_equal(tern_client_ack(r.client, m[0]), 0); /* again: nothing happens */
        assert_int_equal(tern_client_ack(r.client, m[2]), 0);
        rig_barrier(&r);
        assert_int_equal(rig_packets(&r, TERN__PUBACK), 3);
        assert_int_equal(rig_packets(&r, TERN__PUBREC), 1);
        for (size_t i = 0; i < 5; i++) tern_message_unref(m[i]);
        rig_free(&r);
    }
}

/* The connection is gone: the broker sends QoS 1 again, and the old copy's ack is no use. [C9] */
static void a_late_ack_is_stale(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        manual_rig(versions[v]);
        assert_int_equal(tern_client_subscribe_wait(r.client, "t", TERN_QOS_2, PATIENCE), 0);
        mock_broker_publish(r.broker, "t", "one", 3, 1);
        mock_broker_publish(r.broker, "t", "two", 3, 2);
        tern_message *one = take();
        tern_message *two = take();
        assert_int_equal(tern_message_duplicate(one), 0);
        rig_cut(&r);
        assert_int_equal(tern_client_ack(r.client, one), TERN_E_STALE);
        tern_message *again = take();
        assert_int_equal(tern_message_duplicate(again), 1); /* the broker says so */
        assert_string_equal(tern_message_text(again), "one");
        assert_int_equal(tern_message_qos(again), 1);
        assert_int_equal(tern_client_ack(r.client, one), TERN_E_STALE);
        assert_int_equal(tern_client_ack(r.client, two), TERN_E_STALE);
        assert_int_equal(tern_client_ack(r.client, again), 0);
        /* QoS 2 was delivered: its repeat is answered by the library, and delivered to nobody. */
        assert_true(mock_broker_wait(r.broker, TERN__PUBACK, 1, PATIENCE));
        assert_true(mock_broker_wait(r.broker, TERN__PUBCOMP, 1, PATIENCE));
        tern_message *none = NULL;
        assert_int_equal(tern_client_receive(r.client, &none), TERN_E_AGAIN);
        tern_message_unref(one);
        tern_message_unref(two);
        tern_message_unref(again);
        rig_free(&r);
    }
}

static void acks_with_wrong_arguments(void **state)
{
    (void)state;
    tern_message *mine = NULL;
    rig_init(&r, TERN_VERSION_5);
    rig_start(&r);
    rig_send_publish(&r, "t", "x", 1, 1, false);
    tern_message *message = take();
    assert_int_equal(tern_client_ack(r.client, message), TERN_E_STATE); /* automatic */
    assert_int_equal(tern_client_ack(r.client, NULL), TERN_E_INVALID);
    assert_int_equal(tern_client_ack(NULL, message), TERN_E_INVALID);
    tern_message_unref(message);
    rig_free(&r);
    manual_rig(TERN_VERSION_5);
    rig_send_publish(&r, "t", "x", 1, 1, false);
    message = take();
    assert_int_equal(tern_message_new(&mine, "t", "x", 1, TERN_QOS_0), 0);
    assert_int_equal(tern_client_ack(r.client, mine), 0); /* QoS 0 needs none, from wherever */
    tern_message_unref(mine);
    assert_int_equal(tern_client_close_wait(r.client, PATIENCE), 0);
    assert_int_equal(tern_client_ack(r.client, message), TERN_E_CLOSED);
    tern_message_unref(message);
    rig_free(&r);
}

/* ---- once ---- */

/* A repeat before PUBREL is answered and not delivered; after it the id is a new message's.
 * [C9] [MQTT5-4.3.3-10] [MQTT5-4.3.3-11] [MQTT5-4.3.3-12] [MQTT311-4.3.3-2] */
static void qos_2_is_delivered_once(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_rules(&r, (mock_rules){.no_acks = true}); /* no PUBREL of its own accord */
        rig_start(&r);
        rig_send_publish(&r, "t", "first", 2, 40, false);
        rig_expect_received(&r, "t=first/2");
        assert_true(mock_broker_wait(r.broker, TERN__PUBREC, 1, PATIENCE));
        rig_send_publish(&r, "t", "first", 2, 40, true);
        rig_send_publish(&r, "t", "first", 2, 40, false);
        assert_true(mock_broker_wait(r.broker, TERN__PUBREC, 3, PATIENCE));
        rig_cut(&r); /* over connections too */
        assert_true(watch_wait(&r.watch, TERN_EVENT_CONNECTED, 2, PATIENCE));
        rig_send_publish(&r, "t", "first", 2, 40, true);
        assert_true(mock_broker_wait(r.broker, TERN__PUBREC, 4, PATIENCE));
        tern__packet pubrel = {.type = TERN__PUBREL, .u.ack = {40, 0}};
        rig_send(&r, &pubrel);
        assert_true(mock_broker_wait(r.broker, TERN__PUBCOMP, 1, PATIENCE));
        rig_send_publish(&r, "t", "second", 2, 40, false);
        rig_expect_received(&r, "t=second/2");
        tern_message *none = NULL;
        assert_int_equal(tern_client_receive(r.client, &none), TERN_E_AGAIN);
        /* An id that nobody knows is answered, too. */
        pubrel.u.ack.packet_id = 99;
        rig_send(&r, &pubrel);
        assert_true(mock_broker_wait(r.broker, TERN__PUBCOMP, 2, PATIENCE));
        assert_int_equal(rig_packet(&r, TERN__PUBCOMP, 1).u.ack.reason, v == 1 ? 0x92 : 0);
        rig_free(&r);
    }
}

/* After PUBACK the same id is a new message, with DUP or without. [MQTT5-4.3.2-5] */
static void qos_1_ids_are_free_after_the_ack(void **state)
{
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        rig_init(&r, versions[v]);
        rig_start(&r);
        for (uint64_t i = 1; i <= 3; i++) {
            rig_send_publish(&r, "t", "x", 1, 40, i == 2);
            rig_expect_received(&r, i == 2 ? "t=x/1d" : "t=x/1");
            assert_true(mock_broker_wait(r.broker, TERN__PUBACK, i, PATIENCE));
        }
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_wait_to_be_taken),
        cmocka_unit_test(acks_go_out_in_order),
        cmocka_unit_test(a_late_ack_is_stale),
        cmocka_unit_test(acks_with_wrong_arguments),
        cmocka_unit_test(qos_2_is_delivered_once),
        cmocka_unit_test(qos_1_ids_are_free_after_the_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
