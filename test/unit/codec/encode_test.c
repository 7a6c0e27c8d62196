/* Encoding: golden bytes, limits, and random packets that come back as they went.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/publish.h"
#include "unit/codec/packets.h"

static const tern__props no_props = {0};

static void expect_bytes(const uint8_t *data, size_t len, const char *golden)
{
    bytes b = hex(golden);
    assert_int_equal(len, b.len);
    assert_memory_equal(data, b.data, b.len);
}

static tern__view view(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

/* [MQTT5-1.5.5-1] */
static void variable_byte_integers(void **state)
{
    (void)state;
    static const struct {
        uint32_t value;
        const char *wire;
    } table[] = {{0, "00"},
                 {1, "01"},
                 {127, "7F"},
                 {128, "80 01"},
                 {16383, "FF 7F"},
                 {16384, "80 80 01"},
                 {2097151, "FF FF 7F"},
                 {2097152, "80 80 80 01"},
                 {268435455, "FF FF FF 7F"}};
    uint8_t out[8];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        expect_bytes(out, tern__varint_write(table[i].value, out), table[i].wire);
        assert_int_equal(tern__varint_size(table[i].value), hex(table[i].wire).len);
    }
    assert_int_equal(tern__varint_size(268435456), 0);
    assert_int_equal(tern__varint_write(268435456, out), 0);
}

static void acknowledgements(void **state)
{
    (void)state;
    uint8_t out[5];
    expect_bytes(out, tern__ack_write(TERN__PUBACK, 0x1234, 0, TERN__V5, out), "40 02 12 34");
    expect_bytes(out, tern__ack_write(TERN__PUBREC, 1, 0x87, TERN__V5, out), "50 03 00 01 87");
    expect_bytes(out, tern__ack_write(TERN__PUBREL, 1, 0, TERN__V5, out),
                 "62 02 00 01"); /* [MQTT5-3.6.1-1] */
    expect_bytes(out, tern__ack_write(TERN__PUBCOMP, 1, 0x92, TERN__V5, out), "70 03 00 01 92");
    expect_bytes(out, tern__ack_write(TERN__PUBREL, 0xFFFF, 0x92, TERN__V311, out), "62 02 FF FF");
}

static void publish_golden(void **state)
{
    (void)state;
    uint8_t out[64];
    tern__publish_layout layout;
    tern__publish_packet publish = {.topic = view("a/b"), .payload = view("hi")};
    tern__publish_measure(&publish, &no_props, TERN__V311, &layout);
    assert_int_equal(layout.id_offset, 0);
    tern__publish_write(&publish, &no_props, TERN__V311, &layout, out);
    expect_bytes(out, layout.len, "30 07 00 03 'a/b' 'hi'"); /* [MQTT5-2.2.1-2] [MQTT311-2.3.1-5] */
    tern__publish_measure(&publish, &no_props, TERN__V5, &layout);
    tern__publish_write(&publish, &no_props, TERN__V5, &layout, out);
    expect_bytes(out, layout.len, "30 08 00 03 'a/b' 00 'hi'"); /* [MQTT5-2.2.2-1] */
    publish = (tern__publish_packet){.dup = true,
                                     .retain = true,
                                     .qos = 2,
                                     .packet_id = 0x0102,
                                     .topic = view("t"),
                                     .payload = view("")};
    bytes wire = hex("02 00 00 00 05");
    tern__props props = {.data = wire.data, .len = wire.len};
    tern__publish_measure(&publish, &props, TERN__V5, &layout);
    tern__publish_write(&publish, &props, TERN__V5, &layout, out);
    expect_bytes(out, layout.len, "3D 0B 00 01 't' 01 02 05 02 00 00 00 05");
    assert_int_equal(layout.id_offset, 5);
    tern__publish_measure(&publish, &props, TERN__V311, &layout);
    tern__publish_write(&publish, &props, TERN__V311, &layout, out);
    expect_bytes(out, layout.len, "3D 05 00 01 't' 01 02");
}

/* Lengths are added up before anything is touched, so the views need not exist. */
static void publish_limits(void **state)
{
    (void)state;
    tern__publish_layout layout;
    tern__publish_packet publish = {.topic = {(const uint8_t *)"x", 1},
                                    .payload = {NULL, 268435455 - 3}};
    tern__publish_measure(&publish, &no_props, TERN__V311, &layout);
    assert_int_equal(layout.len, TERN__MAX_PACKET);
    publish.payload.len++;
    tern__publish_measure(&publish, &no_props, TERN__V311, &layout);
    assert_int_equal(layout.len, 0);
    publish.payload.len = SIZE_MAX - 2;
    tern__publish_measure(&publish, &no_props, TERN__V5, &layout);
    assert_int_equal(layout.len, 0);
    publish.payload.len = 0;
    publish.topic.len = 65536;
    tern__publish_measure(&publish, &no_props, TERN__V5, &layout);
    assert_int_equal(layout.len, 0);
    publish.topic.len = 65535;
    tern__publish_measure(&publish, &no_props, TERN__V5, &layout);
    assert_int_equal(layout.len, 1 + 3 + 2 + 65535 + 1);
}

static void what_cannot_be_encoded(void **state)
{
    (void)state;
    tern__packet packet = {.type = TERN__AUTH};
    assert_int_equal(tern__encode_size(&packet, TERN__V311), 0);
    assert_int_equal(tern__encode_size(&packet, TERN__V5), 2);
    assert_int_equal(tern__encode_size(&packet, 3), 0);
    packet.type = 0;
    assert_int_equal(tern__encode_size(&packet, TERN__V5), 0);
    packet.type = 16;
    assert_int_equal(tern__encode_size(&packet, TERN__V5), 0);
    packet = (tern__packet){.type = TERN__CONNECT};
    packet.u.connect.client_id.len = 65536;
    packet.u.connect.client_id.data = (const uint8_t *)"";
    assert_int_equal(tern__encode_size(&packet, TERN__V5), 0);
    packet = (tern__packet){.type = TERN__PUBACK};
    packet.props.len = 268435450;
    assert_int_equal(tern__encode_size(&packet, TERN__V5), 0);
}

static void encode_to(const tern__packet *packet, int version, const char *golden)
{
    size_t size = tern__encode_size(packet, version);
    uint8_t *out = malloc(size + 1);
    assert_non_null(out);
    out[size] = 0xA5;
    tern__encode(packet, version, out);
    expect_bytes(out, size, golden);
    assert_int_equal(out[size], 0xA5);
    free(out);
}

/* [MQTT5-3.1.2-1] [MQTT5-3.1.3-1] [MQTT311-3.1.3-1] [MQTT5-3.8.1-1] [MQTT5-3.10.1-1] */
static void golden_packets(void **state)
{
    (void)state;
    tern__packet packet = {.type = TERN__CONNECT};
    packet.u.connect = (tern__connect_packet){
        .clean_start = true,
        .has_user_name = true,
        .has_password = true,
        .keep_alive = 300,
        .client_id = view("id"),
        .user_name = view("u"),
        .password = view("pw"),
        .will = {
            .present = true, .retain = true, .qos = 1, .topic = view("w"), .payload = view("bye")}};
    encode_to(
        &packet, TERN__V311,
        "10 1D 00 04 'MQTT' 04 EE 01 2C 00 02 'id' 00 01 'w' 00 03 'bye' 00 01 'u' 00 02 'pw'");
    encode_to(&packet, TERN__V5,
              "10 1F 00 04 'MQTT' 05 EE 01 2C 00 00 02 'id' 00 00 01 'w' 00 03 'bye' 00 01 'u' 00 "
              "02 'pw'");
    bytes list = hex("00 03 'a/#' 2D 00 01 'b' 02");
    packet = (tern__packet){.type = TERN__SUBSCRIBE};
    packet.u.subscribe =
        (tern__subscribe_packet){.packet_id = 9, .count = 2, .filters = {list.data, list.len}};
    encode_to(&packet, TERN__V5, "82 0D 00 09 00 00 03 'a/#' 2D 00 01 'b' 02");
    encode_to(&packet, TERN__V311,
              "82 0C 00 09 00 03 'a/#' 01 00 01 'b' 02"); /* [MQTT311-3.8.3-4] */
    list = hex("00 01 'b'");
    packet.type = TERN__UNSUBSCRIBE;
    packet.u.subscribe.filters = (tern__view){list.data, list.len};
    encode_to(&packet, TERN__V5, "A2 06 00 09 00 00 01 'b'");
    encode_to(&packet, TERN__V311, "A2 05 00 09 00 01 'b'");
    packet = (tern__packet){.type = TERN__PINGREQ};
    encode_to(&packet, TERN__V5, "C0 00");
    packet = (tern__packet){.type = TERN__DISCONNECT};
    encode_to(&packet, TERN__V5, "E0 00");
    packet.u.reason.reason = 4;
    encode_to(&packet, TERN__V5, "E0 01 04");
    encode_to(&packet, TERN__V311, "E0 00");
    bytes expiry = hex("11 00 00 00 00");
    packet.props = (tern__props){.data = expiry.data, .len = expiry.len};
    packet.u.reason.reason = 0;
    encode_to(&packet, TERN__V5, "E0 07 00 05 11 00 00 00 00");
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static tern__view random_text(uint32_t *seed, char *room, size_t max)
{
    size_t len = 1 + next_random(seed) % max;
    for (size_t i = 0; i < len; i++)
        room[i] = (char)('a' + next_random(seed) % 26);
    return (tern__view){(const uint8_t *)room, len};
}

static uint32_t first_seed = 1;

/* A random PUBLISH or CONNECT with properties: decode(encode(x)) is x. */
static void random_round_trips(void **state)
{
    (void)state;
    uint32_t seed = first_seed;
    for (int round = 0; round < 3000; round++) {
        char topic[64];
        char body[200];
        char name[16];
        tern__buf props;
        tern__buf_init(&props);
        for (uint32_t i = next_random(&seed) % 4; i > 0; i--) {
            tern__view key = random_text(&seed, name, sizeof name);
            assert_int_equal(tern__props_add_pair(&props, key.data, key.len, body, 0), 0);
        }
        if (next_random(&seed) % 2)
            (void)tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, next_random(&seed));
        tern__packet packet = {.type = TERN__PUBLISH,
                               .props = {.data = props.data, .len = props.len}};
        tern__publish_packet *publish = &packet.u.publish;
        publish->qos = (uint8_t)(next_random(&seed) % 3);
        publish->dup = publish->qos != 0 && next_random(&seed) % 2;
        publish->retain = next_random(&seed) % 2;
        publish->packet_id = publish->qos != 0 ? (uint16_t)(1 + next_random(&seed) % 65535) : 0;
        publish->topic = random_text(&seed, topic, sizeof topic);
        publish->payload = random_text(&seed, body, sizeof body);
        size_t size = tern__encode_size(&packet, TERN__V5);
        uint8_t wire[1024];
        tern__encode(&packet, TERN__V5, wire);
        verdict v = judge(wire, size, TERN__V5, TERN__FROM_CLIENT);
        assert_int_equal(v.rc, 0);
        const tern__publish_packet *back = &v.packet.u.publish;
        assert_int_equal(back->qos, publish->qos);
        assert_int_equal(back->dup, publish->dup);
        assert_int_equal(back->retain, publish->retain);
        assert_int_equal(back->packet_id, publish->packet_id);
        assert_int_equal(back->topic.len, publish->topic.len);
        assert_memory_equal(back->topic.data, topic, publish->topic.len);
        assert_int_equal(back->payload.len, publish->payload.len);
        assert_memory_equal(back->payload.data, body, publish->payload.len);
        assert_int_equal(v.packet.props.len, props.len);
        if (props.len != 0) assert_memory_equal(v.packet.props.data, props.data, props.len);
        free(v.data);
        tern__buf_deinit(&props);
    }
}

/* An argument is another seed. */
int main(int argc, char **argv)
{
    if (argc > 1) first_seed = (uint32_t)strtoul(argv[1], NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variable_byte_integers), cmocka_unit_test(acknowledgements),
        cmocka_unit_test(publish_golden),         cmocka_unit_test(publish_limits),
        cmocka_unit_test(what_cannot_be_encoded), cmocka_unit_test(golden_packets),
        cmocka_unit_test(random_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
