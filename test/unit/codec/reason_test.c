/* Reason codes against the data file: 256 codes, every packet, both senders.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/codec/packets.h"

#include "codec/reason.h"

static char allowed[256][160];

static int load(void **state)
{
    (void)state;
    FILE *file = fopen(TERN_TEST_DATA "/mqtt5_reason_codes.tsv", "r");
    if (file == NULL) return -1;
    char line[512];
    char *fields[3];
    int count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (split_line(line, fields, 3) < 3 || strcmp(fields[0], "code_hex") == 0) continue;
        unsigned long code = strtoul(fields[0], NULL, 16);
        (void)snprintf(allowed[code & 255], sizeof allowed[0], "%s", fields[2]);
        count++;
    }
    (void)fclose(file);
    return count > 40 ? 0 : -1;
}

/* A packet of the type with that reason code; empty where the type has none. */
static bytes with_reason(int type, int code)
{
    static const char *const form[16] = {
        [2] = "20 03 00 ?? 00",     [4] = "40 03 00 01 ??", [5] = "50 03 00 01 ??",
        [6] = "62 03 00 01 ??",     [7] = "70 03 00 01 ??", [9] = "90 04 00 01 00 ??",
        [11] = "B0 04 00 01 00 ??", [14] = "E0 01 ??",      [15] = "F0 06 ?? 04 15 00 01 'm'"};
    char text[64] = "";
    if (form[type] == NULL) return hex("");
    (void)snprintf(text, sizeof text, "%s", form[type]);
    char digits[3];
    (void)snprintf(digits, sizeof digits, "%02X", code);
    memcpy(strchr(text, '?'), digits, 2);
    bytes b = hex(text);
    b.data[1] = (uint8_t)(b.len - 2);
    return b;
}

/* [MQTT5-3.2.2-8] [MQTT5-3.4.2-1] [MQTT5-3.5.2-1] [MQTT5-3.6.2-1] [MQTT5-3.7.2-1] [MQTT5-3.8.4-7]
 * [MQTT5-3.9.3-2] [MQTT5-3.11.3-2] [MQTT5-3.14.2-1] [MQTT5-3.15.2-1] */
static void every_code_in_every_packet(void **state)
{
    (void)state;
    for (int type = 1; type < 16; type++)
        for (int code = 0; code < 256; code++)
            for (int s = 0; s < 2; s++) {
                tern__sender sender = (tern__sender)s;
                bytes b = with_reason(type, code);
                if (b.len == 0 || !type_sent_by(type, sender)) continue;
                bool good = allowed[code][0] != 0 && list_allows(allowed[code], type, sender);
                assert_int_equal(tern__reason_legal((uint8_t)code, type, sender), good);
                if (good)
                    expect_good(&b, TERN__V5, sender);
                else
                    expect_fault(&b, TERN__V5, sender, 0x82);
            }
}

/* [MQTT311-3.9.3-2] and the return codes of 3.1.1's CONNACK. */
static void codes_of_311(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        bytes suback = {.len = 5, .data = {0x90, 3, 0, 1, (uint8_t)code}};
        bytes connack = {.len = 4, .data = {0x20, 2, 0, (uint8_t)code}};
        if (code <= 2 || code == 0x80)
            expect_good(&suback, TERN__V311, TERN__FROM_SERVER);
        else
            expect_fault(&suback, TERN__V311, TERN__FROM_SERVER, 0x82);
        if (code <= 5)
            expect_good(&connack, TERN__V311, TERN__FROM_SERVER);
        else
            expect_fault(&connack, TERN__V311, TERN__FROM_SERVER, 0x82);
    }
}

/* [MQTT5-3.1.2-2]: a server that knows 3.1.1 alone refuses an MQTT 5 CONNECT in its own form. */
static void a_refusal_in_the_old_form(void **state)
{
    (void)state;
    static const uint8_t nearest[] = {0x84, 0x85, 0x88, 0x86, 0x87};
    for (int code = 1; code <= 5; code++) {
        bytes b = {.len = 4, .data = {0x20, 2, 0, (uint8_t)code}};
        verdict v = judge(b.data, b.len, TERN__V5, TERN__FROM_SERVER);
        assert_int_equal(v.rc, 0);
        assert_int_equal(v.packet.u.connack.reason, nearest[code - 1]);
        assert_int_equal(tern__reason_from_connack311((uint8_t)code), nearest[code - 1]);
        free(v.data);
    }
    bytes yes = hex("20 02 00 00");
    expect_fault(&yes, TERN__V5, TERN__FROM_SERVER, 0x81);
    assert_int_equal(tern__reason_from_connack311(6), 0x80);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(tern_reason_text(0x87), "Not authorized");
    assert_string_equal(tern_reason_text(0), "Success");
    for (int code = -2; code < 300; code++) {
        bool known = code >= 0 && code < 256 && allowed[code][0] != 0;
        assert_non_null(tern_reason_text(code));
        assert_int_equal(strcmp(tern_reason_text(code), "Unknown reason code") != 0, known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_in_every_packet),
        cmocka_unit_test(codes_of_311),
        cmocka_unit_test(a_refusal_in_the_old_form),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
