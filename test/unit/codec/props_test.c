/* Properties against the data file: 27 of them, in every packet, from both sides.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/codec/packets.h"

typedef struct row {
    int id;
    char type[16];
    char allowed[160];
    char repeat[64];
    char values[64];
} row;

static row rows[43];
static int row_count;

static int load(void **state)
{
    (void)state;
    FILE *file = fopen(TERN_TEST_DATA "/mqtt5_properties.tsv", "r");
    if (file == NULL) return -1;
    char line[512];
    char *fields[6];
    row_count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (split_line(line, fields, 6) < 6 || atoi(fields[0]) == 0) continue;
        row *r = &rows[row_count++];
        r->id = atoi(fields[0]);
        (void)snprintf(r->type, sizeof r->type, "%s", fields[2]);
        (void)snprintf(r->allowed, sizeof r->allowed, "%s", fields[3]);
        (void)snprintf(r->repeat, sizeof r->repeat, "%s", fields[4]);
        (void)snprintf(r->values, sizeof r->values, "%s", fields[5]);
    }
    (void)fclose(file);
    return row_count == 27 ? 0 : -1;
}

static const row *row_of(int id)
{
    for (int i = 0; i < row_count; i++)
        if (rows[i].id == id) return &rows[i];
    return NULL;
}

/* Wire form of the property with value 1 or "a". Returns its bytes. */
static size_t put(const row *r, uint8_t *out)
{
    static const struct {
        const char *type;
        const char *value;
    } values[] = {{"byte", "01"},
                  {"u16", "00 01"},
                  {"u32", "00 00 00 01"},
                  {"varint", "01"},
                  {"utf8", "00 01 'a'"},
                  {"binary", "00 01 'a'"},
                  {"utf8 pair", "00 01 'a' 00 01 'b'"}};
    out[0] = (uint8_t)r->id;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (strcmp(values[i].type, r->type) != 0) continue;
        bytes b = hex(values[i].value);
        memcpy(out + 1, b.data, b.len);
        return 1 + b.len;
    }
    fail_msg("unknown type %s", r->type);
    return 0;
}

/* Data needs a method beside it, and AUTH always one. */
static size_t put_company(int type, int id, uint8_t *out)
{
    bool method = id == 22 || (type == TERN__AUTH && id != 21);
    if (!method) return 0;
    memcpy(out, "\x15\x00\x01m", 4);
    return 4;
}

static bool has_props(int type)
{
    return type != TERN__PINGREQ && type != TERN__PINGRESP;
}

/* V5-U-05 */
static void the_matrix(void **state)
{
    (void)state;
    int good = 0;
    for (int i = 0; i < row_count; i++)
        for (int type = 0; type < 16; type++)
            for (int sender = 0; sender < 2; sender++) {
                if (!has_props(type) || !type_sent_by(type, (tern__sender)sender)) continue;
                uint8_t block[64];
                bool allowed = list_allows(rows[i].allowed, type, (tern__sender)sender);
                size_t len = put_company(allowed ? type : 0, allowed ? rows[i].id : 0, block);
                len += put(&rows[i], block + len);
                bytes b = around_props(type, block, len);
                verdict v = judge(b.data, b.len, TERN__V5, (tern__sender)sender);
                if ((v.rc == 0) != allowed)
                    print_error("property %d in %s: %d %s\n", rows[i].id, type_name(type), v.rc,
                                v.rc ? v.fault.rule : "");
                assert_int_equal(v.rc == 0, allowed);
                if (!allowed) assert_true(v.fault.reason == 0x81 || v.fault.reason == 0x82);
                if (allowed && type != 0) assert_true(tern__props_has(&v.packet.props, rows[i].id));
                good += allowed;
                free(v.data);
            }
    assert_true(good > 60);
}

/* V5-U-04 */
static void unknown_ids(void **state)
{
    (void)state;
    for (int id = 0; id < 256; id++)
        for (int type = 0; type < 16; type++) {
            if (row_of(id) != NULL || !has_props(type)) continue;
            uint8_t block[4] = {(uint8_t)id, 0, 1, 'a'};
            bytes b = around_props(type, block, sizeof block);
            expect_fault(&b, TERN__V5,
                         type_sent_by(type, TERN__FROM_SERVER) ? TERN__FROM_SERVER
                                                               : TERN__FROM_CLIENT,
                         0x81);
        }
}

/* V5-U-06 */
static void repetition(void **state)
{
    (void)state;
    for (int i = 0; i < row_count; i++)
        for (int type = 0; type < 16; type++)
            for (int sender = 0; sender < 2; sender++) {
                if (!has_props(type) || !type_sent_by(type, (tern__sender)sender)) continue;
                if (!list_allows(rows[i].allowed, type, (tern__sender)sender)) continue;
                uint8_t block[64];
                size_t len = put_company(type, rows[i].id, block);
                len += put(&rows[i], block + len);
                len += put(&rows[i], block + len);
                bytes b = around_props(type, block, len);
                bool may =
                    strncmp(rows[i].repeat, "yes", 3) == 0 ||
                    (strncmp(rows[i].repeat, "PUBLISH yes", 11) == 0 && type == TERN__PUBLISH);
                if (may)
                    expect_good(&b, TERN__V5, (tern__sender)sender);
                else
                    expect_fault(&b, TERN__V5, (tern__sender)sender, 0x82);
            }
}

static void check_block(const char *wire, int type, tern__sender sender, int reason)
{
    bytes block = hex(wire);
    bytes b = around_props(type, block.data, block.len);
    if (reason == 0)
        expect_good(&b, TERN__V5, sender);
    else
        expect_fault(&b, TERN__V5, sender, reason);
}

/* V5-U-07: bytes that are 0 or 1, and numbers that are never 0. */
static void values(void **state)
{
    (void)state;
    for (int i = 0; i < row_count; i++) {
        if (strcmp(rows[i].type, "byte") != 0) continue;
        for (int type = 0; type < 16; type++)
            for (int value = 0; value < 256; value++) {
                if (!list_allows(rows[i].allowed, type, TERN__FROM_SERVER)) continue;
                tern__sender sender =
                    type_sent_by(type, TERN__FROM_SERVER) ? TERN__FROM_SERVER : TERN__FROM_CLIENT;
                uint8_t block[2] = {(uint8_t)rows[i].id, (uint8_t)value};
                bytes b = around_props(type, block, 2);
                if (value <= 1)
                    expect_good(&b, TERN__V5, sender);
                else
                    expect_fault(&b, TERN__V5, sender, 0x82);
            }
    }
    check_block("21 00 00", TERN__CONNACK, TERN__FROM_SERVER, 0x82);
    check_block("27 00 00 00 00", TERN__CONNACK, TERN__FROM_SERVER, 0x82);
    check_block("23 00 00", TERN__PUBLISH, TERN__FROM_SERVER, 0x94); /* [MQTT5-3.3.2-8] */
    check_block("0B 00", TERN__PUBLISH, TERN__FROM_SERVER, 0x82);
    check_block("0B 00", TERN__SUBSCRIBE, TERN__FROM_CLIENT, 0x82);
    check_block("0B FF FF FF 7F", TERN__SUBSCRIBE, TERN__FROM_CLIENT, 0);
    check_block("0B 81 00", TERN__SUBSCRIBE, TERN__FROM_CLIENT, 0x81); /* [MQTT5-1.5.5-1] */
    check_block("0B FF FF FF FF 01", TERN__SUBSCRIBE, TERN__FROM_CLIENT, 0x81);
    check_block("08 00 03 'a/#'", TERN__PUBLISH, TERN__FROM_SERVER, 0x82); /* [MQTT5-3.3.2-14] */
    check_block("08 00 03 'a/b'", TERN__PUBLISH, TERN__FROM_SERVER, 0);
}

/* [MQTT5-1.5.4-1] [MQTT5-1.5.4-2] [MQTT5-1.5.7-1] [MQTT5-3.3.2-13] [MQTT5-3.3.2-19] */
static void text_is_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"00",       "80",          "C0 80", "C1 BF",
                                      "ED A0 80", "F4 90 80 80", "E2 82", "FF"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (int j = 0; j < row_count; j++) {
            const row *r = &rows[j];
            if (strcmp(r->type, "utf8") != 0 && strcmp(r->type, "utf8 pair") != 0) continue;
            for (int half = 0; half < (r->type[4] != 0 ? 2 : 1); half++) {
                int type = list_allows(r->allowed, TERN__CONNACK, TERN__FROM_SERVER)
                               ? TERN__CONNACK
                               : TERN__PUBLISH;
                bytes text = hex(bad[i]);
                uint8_t block[64] = {(uint8_t)r->id};
                size_t len = 1;
                if (half == 1) { /* a good name first */
                    memcpy(block + len, "\0\1k", 3);
                    len += 3;
                }
                block[len++] = 0;
                block[len++] = (uint8_t)text.len;
                memcpy(block + len, text.data, text.len);
                len += text.len;
                if (half == 0 && r->type[4] != 0) {
                    memcpy(block + len, "\0\1v", 3);
                    len += 3;
                }
                bytes b = around_props(type, block, len);
                expect_fault(&b, TERN__V5, TERN__FROM_SERVER, 0x81);
            }
        }
}

/* V5-U-08: a property cut at every byte, and a block longer than its packet. */
static void lengths(void **state)
{
    (void)state;
    for (int i = 0; i < row_count; i++) {
        uint8_t block[64];
        size_t len = put(&rows[i], block);
        int type = -1;
        tern__sender sender = TERN__FROM_SERVER;
        for (int t = 0; t < 16 && type < 0; t++)
            for (int s = 0; s < 2; s++)
                if (list_allows(rows[i].allowed, t, (tern__sender)s) &&
                    type_sent_by(t, (tern__sender)s)) {
                    type = t;
                    sender = (tern__sender)s;
                }
        assert_true(type >= 0);
        for (size_t cut = 1; cut < len; cut++) {
            bytes b = around_props(type, block, cut);
            expect_fault(&b, TERN__V5, sender, 0x81);
        }
    }
    static const char *const beyond[] = {"40 05 00 01 00 FF 7F", "40 04 00 01 00 01",
                                         "40 08 00 01 00 FF FF FF 7F 1F",
                                         "40 06 00 01 00 82 00 26"};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        bytes b = hex(beyond[i]);
        b.data[1] = (uint8_t)(b.len - 2);
        expect_fault(&b, TERN__V5, TERN__FROM_SERVER, 0x81);
    }
}

static void authentication_data_needs_a_method(void **state)
{
    (void)state;
    check_block("16 00 01 'd'", TERN__CONNECT, TERN__FROM_CLIENT, 0x82);
    check_block("16 00 01 'd'", TERN__CONNACK, TERN__FROM_SERVER, 0x82);
    check_block("16 00 01 'd'", TERN__AUTH, TERN__FROM_SERVER, 0x82);
    check_block("16 00 01 'd' 15 00 01 'm'", TERN__CONNACK, TERN__FROM_SERVER, 0);
    check_block("1F 00 01 'r'", TERN__AUTH, TERN__FROM_SERVER, 0x82);
}

static void building_and_walking(void **state)
{
    (void)state;
    tern__buf buf;
    tern__buf_init(&buf);
    assert_int_equal(tern__props_add_number(&buf, TERN__PROP_PAYLOAD_FORMAT, 1), 0);
    assert_int_equal(tern__props_add_number(&buf, TERN__PROP_MESSAGE_EXPIRY, 0x01020304), 0);
    assert_int_equal(tern__props_add_number(&buf, TERN__PROP_TOPIC_ALIAS, 0x0506), 0);
    assert_int_equal(tern__props_add_number(&buf, TERN__PROP_SUBSCRIPTION_ID, 128), 0);
    assert_int_equal(tern__props_add_text(&buf, TERN__PROP_CONTENT_TYPE, "ct", 2), 0);
    assert_int_equal(tern__props_add_pair(&buf, "n", 1, "", 0), 0);
    bytes golden = hex("01 01 02 01 02 03 04 23 05 06 0B 80 01 03 00 02 'ct' 26 00 01 'n' 00 00");
    assert_int_equal(buf.len, golden.len);
    assert_memory_equal(buf.data, golden.data, golden.len);
    tern__props props;
    tern__fault fault;
    assert_int_equal(
        tern__props_check(buf.data, buf.len, TERN__PUBLISH, TERN__FROM_SERVER, &props, &fault), 0);
    assert_int_equal(tern__props_number(&props, TERN__PROP_MESSAGE_EXPIRY, 7), 0x01020304);
    assert_int_equal(tern__props_number(&props, TERN__PROP_SUBSCRIPTION_ID, 7), 128);
    assert_int_equal(tern__props_number(&props, TERN__PROP_SESSION_EXPIRY, 7), 7);
    tern__prop prop;
    assert_true(tern__props_find(&props, TERN__PROP_USER_PROPERTY, &prop));
    assert_int_equal(prop.name.len, 1);
    assert_int_equal(prop.text.len, 0);
    tern__props_remove(&buf, TERN__PROP_SUBSCRIPTION_ID);
    tern__props_remove(&buf, TERN__PROP_PAYLOAD_FORMAT);
    tern__props_remove(&buf, TERN__PROP_USER_PROPERTY);
    golden = hex("02 01 02 03 04 23 05 06 03 00 02 'ct'");
    assert_int_equal(buf.len, golden.len);
    assert_memory_equal(buf.data, golden.data, golden.len);
    tern__buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matrix),
        cmocka_unit_test(unknown_ids),
        cmocka_unit_test(repetition),
        cmocka_unit_test(values),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(lengths),
        cmocka_unit_test(authentication_data_needs_a_method),
        cmocka_unit_test(building_and_walking),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
