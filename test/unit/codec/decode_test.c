/* Whole packets: what is good decodes and encodes to the same bytes; cut, padded or bent it is
 * refused. SPDX-License-Identifier: Apache-2.0 */
#include "unit/codec/packets.h"

#define C TERN__FROM_CLIENT
#define S TERN__FROM_SERVER

/* Written by hand from the specification; each in its shortest form. */
static const struct {
    int version;
    tern__sender sender;
    const char *wire;
} samples[] = {
    {4, C, "10 0D 00 04 'MQTT' 04 02 00 3C 00 01 'c'"},
    {4, C, "10 17 00 04 'MQTT' 04 EE 00 3C 00 00 00 01 't' 00 01 'm' 00 01 'u' 00 01 'p'"},
    {5, C, "10 0D 00 04 'MQTT' 05 02 00 00 00 00 00"},
    {5, C,
     "10 29 00 04 'MQTT' 05 F6 00 0A 05 11 00 00 00 0A 00 01 'c' 05 18 00 00 00 05 00 01 't' 00 02 "
     "'xy' 00 01 'u' "
     "00 01 00"},
    {5, C, "10 0D 00 04 'MQTT' 05 42 00 00 00 00 00 00 01 'p'"},
    {4, S, "20 02 01 00"},
    {4, S, "20 02 00 05"},
    {5, S, "20 03 01 00 00"},
    {5, S, "20 0D 00 00 0A 21 00 0A 24 01 26 00 00 00 00"},
    {5, S, "20 03 00 87 00"},
    {4, S, "30 05 00 01 't' 'hi'"},
    {4, C, "31 03 00 01 't'"},
    {5, S, "30 06 00 01 't' 00 'hi'"},
    {5, S, "3D 09 00 01 't' 00 07 00 'abc'"},
    {5, S, "32 0A 00 00 00 07 03 23 00 01 'ab'"},
    {5, S, "34 0E 00 01 't' FF FF 00 0B 01 0B 02 01 01 'z'"},
    {4, S, "40 02 00 01"},
    {5, S, "40 02 FF FF"},
    {5, C, "40 03 00 01 10"},
    {5, S, "40 09 00 01 00 05 1F 00 02 'no'"},
    {4, C, "50 02 00 01"},
    {5, C, "50 03 00 01 83"},
    {5, S, "62 02 00 01"},
    {5, C, "62 03 00 01 92"},
    {4, S, "70 02 00 01"},
    {5, S, "70 09 12 34 92 05 26 00 00 00 00"},
    {4, C, "82 06 00 01 00 01 't' 01"},
    {5, C, "82 07 00 01 00 00 01 't' 2E"},
    {5, C, "82 0F 00 02 02 0B 07 00 03 'a/#' 00 00 01 '+' 01"},
    {5, C, "82 00 00 02 00 00 0A '$share/g/a' 01"},
    {4, S, "90 05 00 01 00 02 80"},
    {5, S, "90 05 00 01 00 02 A2"},
    {5, S, "90 00 00 01 04 1F 00 01 'r' 01"},
    {4, C, "A2 05 00 01 00 01 't'"},
    {5, C, "A2 09 00 01 00 00 01 't' 00 01 '#'"},
    {4, S, "B0 02 00 01"},
    {5, S, "B0 05 00 01 00 00 11"},
    {4, C, "C0 00"},
    {5, C, "C0 00"},
    {4, S, "D0 00"},
    {5, S, "D0 00"},
    {4, C, "E0 00"},
    {5, C, "E0 00"},
    {5, C, "E0 01 04"},
    {5, S, "E0 01 8B"},
    {5, C, "E0 07 00 05 11 00 00 00 00"},
    {5, S, "E0 00 9D 04 1C 00 01 'x'"},
    {5, C, "F0 00"},
    {5, S, "F0 00 18 08 15 00 01 'm' 16 00 01 'd'"},
    {5, C, "F0 00 19 04 15 00 01 'm'"},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

/* The remaining length in the table is a reminder for the reader; it is set here. */
static bytes sample(size_t i)
{
    bytes b = hex(samples[i].wire);
    b.data[1] = (uint8_t)(b.len - 2);
    return b;
}

static void good_packets_come_back_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        bytes b = sample(i);
        verdict v = judge(b.data, b.len, samples[i].version, samples[i].sender);
        if (v.rc != 0) print_error("%s: %s\n", samples[i].wire, v.fault.rule);
        assert_int_equal(v.rc, 0);
        uint8_t again[BYTES_MAX];
        if (tern__encode_size(&v.packet, v.version) != b.len) print_error("%s\n", samples[i].wire);
        assert_int_equal(tern__encode_size(&v.packet, v.version), b.len);
        tern__encode(&v.packet, v.version, again);
        if (memcmp(again, b.data, b.len) != 0) print_error("%s\n", samples[i].wire);
        assert_memory_equal(again, b.data, b.len);
        free(v.data);
    }
}

/* Whether a shorter packet of the type may be good: acks and DISCONNECT have short forms, payloads
 * and lists end anywhere. What decodes then must encode to something that decodes to the same. */
static bool may_be_shorter(int type)
{
    return type == TERN__PUBLISH || (type >= TERN__PUBACK && type <= TERN__UNSUBACK) ||
           type == TERN__DISCONNECT || type == TERN__AUTH;
}

/* V5-U-03 */
static void cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        bytes whole = sample(i);
        for (size_t body = 0; body < whole.len - 2; body++) {
            bytes b = with_body(&whole, body);
            verdict v = judge(b.data, b.len, samples[i].version, samples[i].sender);
            if (v.rc == 0) {
                if (!may_be_shorter(b.data[0] >> 4))
                    print_error("%s cut to %zu\n", samples[i].wire, body);
                assert_true(may_be_shorter(b.data[0] >> 4));
                size_t size = tern__encode_size(&v.packet, v.version);
                assert_true(size != 0 && size <= b.len);
            } else {
                assert_int_not_equal(v.rc, TERN_E_AGAIN);
                assert_true(v.fault.reason >= 0x80);
                assert_true(v.fault.offset <= b.len);
            }
            free(v.data);
        }
    }
}

static bool ends_anywhere(int type, int version)
{
    bool list = type == TERN__SUBACK || (type == TERN__UNSUBACK && version == TERN__V5);
    bool short_form = version == TERN__V5 && type >= TERN__PUBACK && type <= TERN__PUBCOMP;
    bool empty = version == TERN__V5 && (type == TERN__DISCONNECT || type == TERN__AUTH);
    return type == TERN__PUBLISH || list || short_form || empty;
}

static void padded_with_zeros(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        bytes whole = sample(i);
        int type = whole.data[0] >> 4;
        if (ends_anywhere(type, samples[i].version)) continue;
        for (size_t extra = 1; extra < 8; extra++) {
            bytes b = with_body(&whole, whole.len - 2 + extra);
            verdict v = judge(b.data, b.len, samples[i].version, samples[i].sender);
            if (v.rc == 0) print_error("%s padded by %zu\n", samples[i].wire, extra);
            assert_int_not_equal(v.rc, 0);
            free(v.data);
        }
    }
}

/* Short forms and what is behind them. V5-U-17 */
static void acknowledgement_forms(void **state)
{
    (void)state;
    for (int type = TERN__PUBACK; type <= TERN__PUBCOMP; type++) {
        bytes b = hex("40 02 00 01");
        b.data[0] = (uint8_t)(type << 4 | (type == TERN__PUBREL ? 2 : 0));
        for (size_t body = 0; body < 12; body++) {
            bytes cut = with_body(&b, body);
            if (body >= 2 && body <= 4)
                expect_good(&cut, TERN__V5, S);
            else
                expect_fault(&cut, TERN__V5, S, 0x81);
            if (body == 2)
                expect_good(&cut, TERN__V311, S);
            else
                expect_fault(&cut, TERN__V311, S, 0x81);
        }
    }
    bytes b = hex("F0 01 00");
    expect_fault(&b, TERN__V5, S, 0x81);
    b = hex("F0 02 00 00");
    expect_fault(&b, TERN__V5, S, 0x82);
    b = hex("E0 01 00");
    expect_good(&b, TERN__V5, S);
    expect_fault(&b, TERN__V311, C, 0x81);
    b = hex("E0 03 00 00 00");
    expect_fault(&b, TERN__V5, S, 0x81);
}

static void expect(const char *wire, int version, tern__sender sender, int reason)
{
    bytes b = hex(wire);
    b.data[1] = (uint8_t)(b.len - 2);
    if (reason == 0)
        expect_good(&b, version, sender);
    else
        expect_fault(&b, version, sender, reason);
}

static void publish_rules(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        expect("36 00 00 01 't' 00 01 00", version, S,
               0x81); /* QoS 3 [MQTT5-3.3.1-4] [MQTT311-3.3.1-4] */
        expect("38 00 00 01 't' 00", version, S, 0x81);       /* DUP, QoS 0 [MQTT5-3.3.1-2] */
        expect("32 00 00 01 't' 00 00 00", version, S, 0x82); /* packet id 0 [MQTT311-2.3.1-1] */
        expect("30 00 00 03 'a/+' 00", version, S, 0x90); /* [MQTT5-3.3.2-2] [MQTT311-3.3.2-2] */
        expect("30 00 00 01 '#' 00", version, S, 0x90);
        expect("30 00 00 02 C3 28 00", version, S, 0x81); /* [MQTT5-3.3.2-1] [MQTT311-1.5.3-1] */
        expect("30 00 00 01 00 00", version, S, 0x81);    /* [MQTT5-1.5.4-2] [MQTT311-1.5.3-2] */
        expect("30 00 00 00 00", version, S, 0x82); /* no topic, no alias [MQTT5-4.7.3-1] V5-U-13 */
        expect("30 00 00 09 't'", version, S, 0x81);
    }
    expect("30 00 00 00 03 23 00 01", TERN__V5, S, 0);
    expect("30 00 00 00 03 23 00 00", TERN__V5, S, 0x94);  /* [MQTT5-3.3.2-8] */
    expect("30 00 00 01 't' 02 0B 01", TERN__V5, C, 0x82); /* [MQTT5-3.3.4-6] */
    expect("30 00 00 01 't' 80 00", TERN__V5, S, 0x81);    /* [MQTT5-1.5.5-1] */
    expect("30 00 00 01 't' 05 'x'", TERN__V5, S, 0x81);
}

/* [MQTT5-2.2.1-2]: what follows the topic of a QoS 0 PUBLISH is payload, even if it looks like a
 * packet id. */
static void a_publish_in_views(void **state)
{
    (void)state;
    bytes b = hex("30 07 00 03 'a/b' 00 01");
    verdict v = judge(b.data, b.len, TERN__V311, S);
    assert_int_equal(v.rc, 0);
    assert_int_equal(v.packet.u.publish.packet_id, 0);
    assert_int_equal(v.packet.u.publish.payload.len, 2);
    assert_ptr_equal(v.packet.u.publish.topic.data, v.data + 4);
    free(v.data);
    b = hex("3D 0E 00 03 'a/b' 12 34 02 01 01 'body'");
    verdict w = judge(b.data, b.len, TERN__V5, S);
    assert_int_equal(w.rc, 0);
    assert_true(w.packet.u.publish.dup && w.packet.u.publish.retain);
    assert_int_equal(w.packet.u.publish.qos, 2);
    assert_int_equal(w.packet.u.publish.packet_id, 0x1234);
    assert_memory_equal(w.packet.u.publish.payload.data, "body", 4);
    assert_int_equal(tern__props_number(&w.packet.props, TERN__PROP_PAYLOAD_FORMAT, 9), 1);
    free(w.data);
}

static void connect_rules(void **state)
{
    (void)state;
    expect("10 00 00 04 'MQTT' 05 03 00 00 00 00 00", 0, C, 0x81); /* [MQTT5-3.1.2-3] */
    expect("10 00 00 04 'MQTT' 05 0A 00 00 00 00 00", 0, C, 0x81); /* [MQTT5-3.1.2-11] */
    expect("10 00 00 04 'MQTT' 05 22 00 00 00 00 00", 0, C, 0x81); /* [MQTT5-3.1.2-13] */
    expect("10 00 00 04 'MQTT' 05 1E 00 00 00 00 00 00 00 01 't' 00 00", 0, C,
           0x81);                                                         /* [MQTT5-3.1.2-12] */
    expect("10 00 00 04 'MQTT' 04 42 00 00 00 00 00 01 'p'", 0, C, 0x81); /* [MQTT311-3.1.2-22] */
    expect("10 00 00 04 'MQTT' 06 02 00 00 00 00 00", 0, C, 0x84);        /* [MQTT5-3.1.2-2] */
    expect("10 00 00 04 'MQTT' 03 02 00 00 00 00", 0, C, 0x84);
    expect("10 00 00 06 'MQIsdp' 03 02 00 00 00 00", 0, C, 0x84); /* [MQTT5-3.1.2-1] */
    expect("10 00 00 04 'MQTT' 04 02 00 00 00 00", TERN__V5, C, 0x84);
    expect("10 00 00 04 'MQTT' 05 06 00 00 00 00 00 00 00 01 '+' 00 00", 0, C, 0x90);
    expect("10 00 00 04 'MQTT' 05 02 00 00 00 00 02 C3 28", 0, C, 0x81); /* [MQTT5-3.1.3-4] */
    expect("C0 00", 0, C, 0x82);                                         /* [MQTT5-3.1.0-1] */
    bytes b = hex("10 0D 00 04 'MQTT' 05 02 00 3C 00 00 00");
    b.data[1] = (uint8_t)(b.len - 2);
    verdict v = judge(b.data, b.len, 0, C);
    assert_int_equal(v.rc, 0);
    assert_int_equal(v.version, TERN__V5);
    assert_int_equal(v.packet.u.connect.keep_alive, 60);
    assert_true(v.packet.u.connect.clean_start);
    free(v.data);
}

/* [MQTT5-3.2.2-1]: values 2..255. [MQTT5-3.2.2-6] [MQTT311-3.2.2-4] */
static void connack_rules(void **state)
{
    (void)state;
    for (int flags = 0; flags < 256; flags++) {
        bytes v5 = {.len = 5, .data = {0x20, 3, (uint8_t)flags, 0, 0}};
        bytes v311 = {.len = 4, .data = {0x20, 2, (uint8_t)flags, 0}};
        if (flags <= 1) {
            expect_good(&v5, TERN__V5, S);
            expect_good(&v311, TERN__V311, S);
        } else {
            expect_fault(&v5, TERN__V5, S, 0x81);
            expect_fault(&v311, TERN__V311, S, 0x81);
        }
    }
    expect("20 00 01 87 00", TERN__V5, S, 0x82);
    expect("20 00 01 05", TERN__V311, S, 0x82);
}

/* [MQTT5-3.8.3-5] [MQTT311-3.8.3-4]: all 256 option bytes. */
static void subscription_options(void **state)
{
    (void)state;
    for (int options = 0; options < 256; options++) {
        bytes v5 = hex("82 07 00 01 00 00 01 't' 00");
        bytes v311 = hex("82 06 00 01 00 01 't' 00");
        v5.data[8] = v311.data[7] = (uint8_t)options;
        bool qos = (options & 3) != 3;
        bool handling = (options & 0x30) != 0x30;
        if ((options & 0xC0) != 0)
            expect_fault(&v5, TERN__V5, C, 0x81);
        else if (qos && handling)
            expect_good(&v5, TERN__V5, C);
        else
            expect_fault(&v5, TERN__V5, C, 0x82);
        if (options <= 2)
            expect_good(&v311, TERN__V311, C);
        else
            expect_fault(&v311, TERN__V311, C, options == 3 ? 0x82 : 0x81);
    }
}

static void subscribe_rules(void **state)
{
    (void)state;
    expect("82 00 00 00 00 00 01 't' 00", TERN__V5, C, 0x82);          /* packet id 0 */
    expect("82 00 00 01 00", TERN__V5, C, 0x82);                       /* [MQTT5-3.8.3-2] */
    expect("A2 00 00 01 00", TERN__V5, C, 0x82);                       /* [MQTT5-3.10.3-2] */
    expect("82 00 00 01", TERN__V311, C, 0x82);                        /* [MQTT311-3.8.3-3] */
    expect("82 00 00 01 00 00 05 'a/#/b' 00", TERN__V5, C, 0x8F);      /* [MQTT5-4.7.1-1] */
    expect("A2 00 00 01 00 00 02 'a+'", TERN__V5, C, 0x8F);            /* [MQTT5-4.7.1-2] */
    expect("82 00 00 01 00 00 00 00", TERN__V5, C, 0x8F);              /* [MQTT5-4.7.3-1] */
    expect("82 00 00 01 00 00 02 C3 28 00", TERN__V5, C, 0x81);        /* [MQTT5-3.8.3-1] */
    expect("82 00 00 01 00 00 0A '$share/g/a' 04", TERN__V5, C, 0x82); /* [MQTT5-3.8.3-4] */
    expect("90 00 00 01 00", TERN__V5, S, 0x82);                       /* no code */
    expect("90 00 00 01", TERN__V311, S, 0x82);
    expect("90 00 00 00 00 00", TERN__V5, S, 0x82);
    bytes b = hex("82 0F 00 02 00 00 03 'a/#' 01 00 01 '+' 2A");
    b.data[1] = (uint8_t)(b.len - 2);
    verdict v = judge(b.data, b.len, TERN__V5, C);
    assert_int_equal(v.rc, 0);
    assert_int_equal(v.packet.u.subscribe.count, 2);
    tern__view rest = v.packet.u.subscribe.filters;
    tern__view filter;
    uint8_t options;
    assert_true(tern__filters_next(&rest, true, &filter, &options));
    assert_memory_equal(filter.data, "a/#", 3);
    assert_int_equal(options, 1);
    assert_true(tern__filters_next(&rest, true, &filter, &options));
    assert_int_equal(filter.len, 1);
    assert_int_equal(options, 0x2A);
    assert_false(tern__filters_next(&rest, true, &filter, &options));
    free(v.data);
}

/* Every byte of every sample set to every value: whatever comes out is an answer, never a read
 * beyond. */
static void every_byte_bent(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        bytes b = sample(i);
        for (size_t at = 0; at < b.len; at++)
            for (int value = 0; value < 256; value++) {
                bytes bent = b;
                bent.data[at] = (uint8_t)value;
                verdict v = judge(bent.data, bent.len, samples[i].version, samples[i].sender);
                if (v.rc != 0) refused++;
                if (v.rc == 0) assert_int_not_equal(tern__encode_size(&v.packet, v.version), 0);
                free(v.data);
            }
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets_come_back_as_they_were),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(padded_with_zeros),
        cmocka_unit_test(acknowledgement_forms),
        cmocka_unit_test(publish_rules),
        cmocka_unit_test(a_publish_in_views),
        cmocka_unit_test(connect_rules),
        cmocka_unit_test(connack_rules),
        cmocka_unit_test(subscription_options),
        cmocka_unit_test(subscribe_rules),
        cmocka_unit_test(every_byte_bent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
