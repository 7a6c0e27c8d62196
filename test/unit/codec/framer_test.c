/* Framing: every header, every length, input cut anywhere.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/codec/packets.h"

static int peek(const bytes *b, uint32_t max, int version, tern__sender sender, tern__frame *frame,
                tern__fault *fault)
{
    uint8_t *copy = exact_copy(b->data, b->len);
    int rc = tern__frame_peek(copy, b->len, max, version, sender, frame, fault);
    free(copy);
    return rc;
}

/* Flag nibbles as section 2.1.3 lists them. */
static bool flags_legal(int type, int flags)
{
    if (type == TERN__PUBLISH)
        return (flags >> 1 & 3) != 3 && !((flags & 8) != 0 && (flags >> 1 & 3) == 0);
    return flags ==
           (type == TERN__PUBREL || type == TERN__SUBSCRIBE || type == TERN__UNSUBSCRIBE ? 2 : 0);
}

static bool type_legal(int type, int version, tern__sender sender)
{
    if (type == 0) return false;
    if (version == TERN__V311 && type == TERN__AUTH) return false;
    if (version == TERN__V311 && type == TERN__DISCONNECT) return sender == TERN__FROM_CLIENT;
    return type_sent_by(type, sender);
}

/* [MQTT5-2.1.3-1] [MQTT311-2.2.2-1] [MQTT311-2.2.2-2] [MQTT5-3.3.1-2] [MQTT5-3.3.1-4]
 * [MQTT5-3.6.1-1] [MQTT5-3.14.1-1] [MQTT5-3.15.1-1] */
static void every_header_byte(void **state)
{
    (void)state;
    for (int header = 0; header < 256; header++)
        for (int version = TERN__V311; version <= TERN__V5; version++)
            for (int sender = 0; sender < 2; sender++) {
                bytes b = {.len = 2, .data = {(uint8_t)header, 0}};
                tern__frame frame;
                tern__fault fault = {.reason = 0};
                int rc = peek(&b, UINT32_MAX, version, (tern__sender)sender, &frame, &fault);
                bool reserved = header >> 4 == 0 || (header >> 4 == 15 && version == TERN__V311) ||
                                !flags_legal(header >> 4, header & 15);
                bool good = !reserved && type_legal(header >> 4, version, (tern__sender)sender);
                assert_int_equal(rc, good ? 0 : TERN_E_MALFORMED);
                if (!good) assert_int_equal(fault.reason, reserved ? 0x81 : 0x82);
            }
}

/* [MQTT5-1.5.5-1] */
static void lengths_at_each_boundary(void **state)
{
    (void)state;
    static const struct {
        const char *wire;
        size_t head_len;
        size_t value;
    } table[] = {{"30 00", 2, 0},
                 {"30 7F", 2, 127},
                 {"30 80 01", 3, 128},
                 {"30 FF 7F", 3, 16383},
                 {"30 80 80 01", 4, 16384},
                 {"30 FF FF 7F", 4, 2097151},
                 {"30 80 80 80 01", 5, 2097152},
                 {"30 FF FF FF 7F", 5, 268435455}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bytes b = hex(table[i].wire);
        tern__frame frame;
        tern__fault fault;
        assert_int_equal(peek(&b, UINT32_MAX, TERN__V5, TERN__FROM_SERVER, &frame, &fault), 0);
        assert_int_equal(frame.head_len, table[i].head_len);
        assert_int_equal(frame.len, table[i].head_len + table[i].value);
        for (b.len = 0; b.len < table[i].head_len; b.len++)
            assert_int_equal(peek(&b, UINT32_MAX, TERN__V5, TERN__FROM_SERVER, &frame, &fault),
                             TERN_E_AGAIN);
    }
}

static void lengths_too_long(void **state)
{
    (void)state;
    static const char *const table[] = {"30 80 00",         "30 80 80 00",    "30 80 80 80 00",
                                        "30 FF FF FF FF",   "30 FF FF FF 80", "30 FF FF FF FF 7F",
                                        "30 FF FF FF 80 01"};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bytes b = hex(table[i]);
        tern__frame frame;
        tern__fault fault;
        assert_int_equal(peek(&b, UINT32_MAX, TERN__V5, TERN__FROM_SERVER, &frame, &fault),
                         TERN_E_MALFORMED);
        assert_int_equal(fault.reason, 0x81);
    }
}

/* [C10] [MQTT5-3.1.2-24]: refused from the header alone. */
static void packets_beyond_the_maximum(void **state)
{
    (void)state;
    bytes b = hex("30 FF FF FF 7F");
    tern__frame frame;
    tern__fault fault;
    assert_int_equal(peek(&b, 268435459, TERN__V5, TERN__FROM_SERVER, &frame, &fault),
                     TERN_E_MALFORMED);
    assert_int_equal(fault.reason, 0x95);
    assert_int_equal(peek(&b, 268435460, TERN__V5, TERN__FROM_SERVER, &frame, &fault), 0);
    b = hex("30 0A");
    assert_int_equal(peek(&b, 12, TERN__V311, TERN__FROM_SERVER, &frame, &fault), 0);
    assert_int_equal(peek(&b, 11, TERN__V311, TERN__FROM_SERVER, &frame, &fault), TERN_E_MALFORMED);
}

/* A stream delivered byte by byte gives its packets, and no header is ever asked for more than five
 * times. */
static void byte_by_byte(void **state)
{
    (void)state;
    bytes stream = hex("20 03 00 00 00 D0 00 30 06 00 01 't' 00 'hi' 40 02 00 01 E0 00");
    static const uint8_t expected[] = {0x20, 0xD0, 0x30, 0x40, 0xE0};
    size_t start = 0;
    size_t packets = 0;
    size_t unsure = 0;
    for (size_t have = 1; have <= stream.len; have++) {
        tern__frame frame;
        tern__fault fault;
        int rc = tern__frame_peek(stream.data + start, have - start, UINT32_MAX, TERN__V5,
                                  TERN__FROM_SERVER, &frame, &fault);
        unsure += rc == TERN_E_AGAIN;
        if (rc != 0 || frame.len > have - start) continue;
        assert_int_equal(frame.header, expected[packets++]);
        start += frame.len;
    }
    assert_int_equal(packets, sizeof expected);
    assert_int_equal(start, stream.len);
    assert_int_equal(unsure, packets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_header_byte), cmocka_unit_test(lengths_at_each_boundary),
        cmocka_unit_test(lengths_too_long),  cmocka_unit_test(packets_beyond_the_maximum),
        cmocka_unit_test(byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
