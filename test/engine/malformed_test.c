/* Input that is wrong in every way there is: each packet of a server's cut, padded, with other
 * flags, with other properties and with text that is none, in the state in which the whole one
 * would be taken. [C17] [MQTT5-4.13.1-1] [MQTT311-4.8.0-1] SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What was sent and is not answered; all with packet id 1. */
typedef enum setting {
    GREETING,
    IDLE,
    PUBLISHED_1,
    PUBLISHED_2,
    RELEASED,
    SUBSCRIBED,
    UNSUBSCRIBED
} setting;

static void prepare(script *s, int version, setting open)
{
    script_init(s, version);
    s->config.topic_alias_maximum = 10;
    script_start(s);
    if (open == GREETING) {
        script_open(s);
    } else {
        script_online(s, NULL);
    }
    if (open == PUBLISHED_1) assert_int_equal(script_publish(s, 1, "t", "", NULL), 0);
    if (open == PUBLISHED_2 || open == RELEASED)
        assert_int_equal(script_publish(s, 2, "t", "", NULL), 0);
    if (open == SUBSCRIBED) script_subscribe(s, "t", TERN_QOS_1, NULL);
    if (open == UNSUBSCRIBED) script_unsubscribe(s, "t", NULL);
    script_drain(s, SIZE_MAX);
    if (open == RELEASED) assert_int_equal(script_recv(s, "50 02 00 01"), 0);
    script_drain(s, SIZE_MAX);
    tern__buf_clear(&s->out);
}

/* Bytes as the hex that the harness takes. */
static const char *to_hex(const uint8_t *data, size_t len)
{
    static char text[3 * 300 + 1];
    assert_true(len <= 300);
    text[0] = '\0';
    for (size_t i = 0; i < len; i++)
        (void)snprintf(text + 3 * i, 4, "%02x ", data[i]);
    return text;
}

/* The packet is refused with this reason, and no message of ours ends by it. */
static void refused(int version, setting open, const uint8_t *data, size_t len, uint8_t reason)
{
    script s;
    prepare(&s, version, open);
    const uint64_t before = tern__engine_open_count(s.engine);
    const bool header = reason == 0x81 || reason == 0x95 ||
                        len == 1; /* framing calls all that it refuses malformed */
    script_refuses(&s, to_hex(data, len), header ? TERN_E_MALFORMED : TERN_E_PROTOCOL, reason);
    assert_null(tern__engine_next_completion(s.engine));
    assert_int_equal(tern__engine_open_count(s.engine), before);
    script_free(&s);
}

static bool taken(int version, setting open, const uint8_t *data, size_t len)
{
    script s;
    prepare(&s, version, open);
    const int rc = script_recv_bytes(&s, data, len);
    const bool failed = script_event(&s) == TERN__EVENT_FAILED;
    assert_true(!failed || rc != 0);
    (void)script_delivered(&s);
    tern__buf_clear(&s.out);
    script_free(&s);
    return !failed;
}

/* ---- lengths ---- */

/* A good packet; besides its own the lengths of its body that are good too, -1 ends them, and the
 * least length from where on what follows is payload (0: there is none). */
typedef struct good {
    int version;
    setting open;
    const char *hex;
    int lengths[3];
    int payload_from;
} good;

#define PAIR "26 00 01 'k' 00 01 'v'"

static const good goods[] = {
    {TERN__V5, GREETING, "20 0f 00 00 0c 21 00 05 27 00 00 01 00 12 00 01 'i'", {-1}, 0},
    {TERN__V311, GREETING, "20 02 00 00", {-1}, 0},
    {TERN__V5, IDLE, "34 0d 00 01 'a' 00 07 07 " PAIR, {-1}, 13},
    {TERN__V311, IDLE, "32 05 00 01 'a' 00 07", {-1}, 5},
    {TERN__V5, IDLE, "30 09 00 03 'abc' 03 23 00 01", {-1}, 9},
    {TERN__V311, IDLE, "30 05 00 03 'abc'", {-1}, 5},
    {TERN__V5, PUBLISHED_1, "40 0b 00 01 10 07 " PAIR, {2, 3, -1}, 0},
    {TERN__V5, PUBLISHED_2, "50 0b 00 01 10 07 " PAIR, {2, 3, -1}, 0},
    {TERN__V5, IDLE, "62 0b 00 01 92 07 " PAIR, {2, 3, -1}, 0},
    {TERN__V5, RELEASED, "70 0b 00 01 92 07 " PAIR, {2, 3, -1}, 0},
    {TERN__V311, PUBLISHED_1, "40 02 00 01", {-1}, 0},
    {TERN__V311, PUBLISHED_2, "50 02 00 01", {-1}, 0},
    {TERN__V311, IDLE, "62 02 00 01", {-1}, 0},
    {TERN__V311, RELEASED, "70 02 00 01", {-1}, 0},
    {TERN__V5, SUBSCRIBED, "90 0b 00 01 07 " PAIR " 01", {-1}, 0},
    {TERN__V311, SUBSCRIBED, "90 03 00 01 01", {-1}, 0},
    {TERN__V5, UNSUBSCRIBED, "b0 0b 00 01 07 " PAIR " 11", {-1}, 0},
    {TERN__V311, UNSUBSCRIBED, "b0 02 00 01", {-1}, 0},
    {TERN__V5, IDLE, "d0 00", {-1}, 0},
    {TERN__V311, IDLE, "d0 00", {-1}, 0},
    {TERN__V5, IDLE, "e0 09 8b 07 " PAIR, {0, 1, -1}, 0},
};

static bool good_length(const good *g, int length)
{
    if (g->payload_from != 0) return length >= g->payload_from;
    for (size_t i = 0; i < COUNT(g->lengths) && g->lengths[i] >= 0; i++)
        if (g->lengths[i] == length) return true;
    return false;
}

/* Cut and padded to every length, the header telling the truth about it. [V5-U-03] [V5-U-17] */
static void test_every_length_of_every_packet(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++) {
        uint8_t packet[64] = {0};
        const int whole = (int)script_parse(goods[i].hex, packet, sizeof packet) - 2;
        assert_int_equal(packet[1], whole);
        assert_true(taken(goods[i].version, goods[i].open, packet, (size_t)whole + 2));
        for (int length = 0; length <= whole + 4; length++) {
            packet[1] = (uint8_t)length;
            if (length == whole) continue;
            if (good_length(&goods[i], length)) {
                assert_true(taken(goods[i].version, goods[i].open, packet, (size_t)length + 2));
                continue;
            }
            const int type = packet[0] >> 4;
            bool codes =
                type == 9 ||
                (type == 11 && goods[i].version == TERN__V5); /* one code too few or too many */
            codes = codes && length >= whole - 1;
            refused(goods[i].version, goods[i].open, packet, (size_t)length + 2,
                    codes ? 0x82 : 0x81);
        }
    }
}

/* A property length that says one more or one less than there is, and much more. [V5-U-08] */
static void test_every_wrong_property_length(void **state)
{
    (void)state;
    static const struct {
        setting open;
        const char *hex;
        size_t at; /* of the property length */
    } rows[] = {
        {GREETING, "20 0a 00 00 07 " PAIR, 4},
        {IDLE, "30 0b 00 01 'a' 07 " PAIR, 5},
        {PUBLISHED_1, "40 0b 00 01 00 07 " PAIR, 5},
        {PUBLISHED_2, "50 0b 00 01 00 07 " PAIR, 5},
        {IDLE, "62 0b 00 01 00 07 " PAIR, 5},
        {RELEASED, "70 0b 00 01 00 07 " PAIR, 5},
        {IDLE, "e0 09 8b 07 " PAIR, 3},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t packet[64];
        const size_t len = script_parse(rows[i].hex, packet, sizeof packet);
        assert_int_equal(packet[rows[i].at], 7);
        assert_true(taken(TERN__V5, rows[i].open, packet, len));
        for (uint8_t claimed = 0; claimed < 40; claimed++) {
            if (claimed == 7 || (claimed == 0 && rows[i].hex[0] == '3'))
                continue; /* 0: the rest is payload */
            packet[rows[i].at] = claimed;
            refused(TERN__V5, rows[i].open, packet, len, 0x81);
        }
        packet[rows[i].at] = 7;
        static const char *const forms[] = {"87 00", "87 80 00", "87 80 80 00", "ff ff ff 7f",
                                            "87 80 80 80 01"};
        for (size_t n = 0; n < COUNT(forms);
             n++) { /* not the shortest form, more than there is, five bytes [MQTT5-1.5.5-1] */
            uint8_t longer[64];
            memcpy(longer, packet, rows[i].at);
            size_t size = rows[i].at + script_parse(forms[n], longer + rows[i].at, 5);
            memcpy(longer + size, packet + rows[i].at + 1, len - rows[i].at - 1);
            size += len - rows[i].at - 1;
            longer[1] = (uint8_t)(size - 2);
            refused(TERN__V5, rows[i].open, longer, size, 0x81);
        }
    }
}

/* ---- fixed headers ---- */

/* All 16 types with all 16 flag nibbles, told by the first byte alone. [MQTT5-2.1.3-1]
 * [MQTT311-2.2.2-1] [MQTT311-2.2.2-2] [MQTT5-3.3.1-2] [MQTT5-3.3.1-4] [MQTT5-3.6.1-1]
 * [MQTT5-3.14.1-1] [MQTT5-3.15.1-1] [V5-U-01] */
static void test_every_first_byte(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        for (unsigned first = 0; first < 256; first++) {
            const unsigned type = first >> 4;
            const unsigned flags = first & 15;
            bool flags_good = flags == (type == 6 || type == 8 || type == 10 ? 2 : 0);
            if (type == 3) flags_good = (flags & 6) != 6 && (flags & 14) != 8;
            bool exists = type != 0 && (type != 15 || version == TERN__V5);
            bool from_server = type >= 2 && type != 8 && type != 10 && type != 12 &&
                               (type != 14 || version == TERN__V5);
            const uint8_t byte = (uint8_t)first;
            if (!exists || !flags_good) {
                refused(version, IDLE, &byte, 1, 0x81);
            } else if (!from_server) {
                refused(version, IDLE, &byte, 1, 0x82);
            } else {
                assert_true(taken(version, IDLE, &byte, 1)); /* more may come */
            }
        }
    }
}

static void test_remaining_lengths(void **state) /* [MQTT5-1.5.5-1] [V5-U-02] */
{
    (void)state;
    static const struct {
        const char *hex;
        uint8_t reason;
    } rows[] = {
        {"d0 80 00", 0x81},          {"40 82 00 00 01", 0x81}, {"30 80 80 00", 0x81},
        {"30 85 80 80 00", 0x81},    {"30 80 80 80 80", 0x81}, {"30 ff ff ff ff 7f", 0x81},
        {"30 ff ff ff 80 01", 0x81}, {"30 ff ff ff 7f", 0x95}, {"40 ff ff ff 7f", 0x95},
    };
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        for (size_t i = 0; i < COUNT(rows); i++) {
            uint8_t packet[16];
            refused(version, IDLE, packet, script_parse(rows[i].hex, packet, sizeof packet),
                    rows[i].reason);
        }
    }
}

/* ---- properties ---- */

typedef struct property {
    char type[16];
    char allowed[160];
    char repeats[16];
} property;

static property table[256];

static int load(void **state)
{
    (void)state;
    char line[512];
    FILE *file = fopen(TERN_TEST_DATA "/mqtt5_properties.tsv", "r");
    if (file == NULL) return -1;
    int count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned id;
        property row;
        if (sscanf(line, "%u\t%*[^\t]\t%15[^\t]\t%159[^\t]\t%15[^\t]", &id, row.type, row.allowed,
                   row.repeats) != 4)
            continue;
        table[id & 255] = row;
        count++;
    }
    (void)fclose(file);
    return count == 27 ? 0 : -1;
}

/* A value that is legal for every property of that type. */
static const char *value_of(const char *type)
{
    static const struct {
        const char *type;
        const char *hex;
    } values[] = {{"byte", "01"},
                  {"u16", "00 02"},
                  {"u32", "00 00 10 00"},
                  {"varint", "07"},
                  {"utf8", "00 01 'u'"},
                  {"binary", "00 01 ff"},
                  {"utf8 pair", "00 01 'k' 00 01 'v'"}};
    for (size_t i = 0; i < COUNT(values); i++)
        if (strcmp(values[i].type, type) == 0) return values[i].hex;
    return "00 01 'x'";
}

typedef struct place {
    const char *name;
    setting open;
    const char *before; /* the packet up to its property length */
    const char *after;
} place;

static const place places[] = {
    {"CONNACK", GREETING, "20 00 00 00", ""},
    {"PUBLISH", IDLE, "30 00 00 01 'a'", "'payload'"},
    {"PUBACK", PUBLISHED_1, "40 00 00 01 00", ""},
    {"PUBREC", PUBLISHED_2, "50 00 00 01 00", ""},
    {"PUBREL", IDLE, "62 00 00 01 00", ""},
    {"PUBCOMP", RELEASED, "70 00 00 01 00", ""},
    {"SUBACK", SUBSCRIBED, "90 00 00 01", "00"},
    {"UNSUBACK", UNSUBSCRIBED, "b0 00 00 01", "00"},
    {"DISCONNECT", IDLE, "e0 00 8b", ""},
};

static size_t build(const place *where, const char *props, uint8_t *out, size_t max)
{
    size_t len = script_parse(where->before, out, max);
    const size_t props_len = script_parse(props, out + len + 1, max - len - 1);
    out[len] = (uint8_t)props_len;
    len += 1 + props_len;
    len += script_parse(where->after, out + len, max - len);
    out[1] = (uint8_t)(len - 2);
    return len;
}

/* Whether the data file lets a server put the property there; the name may carry whom it is for. */
static bool allowed(const property *row, const char *packet)
{
    const size_t len = strlen(packet);
    if (strncmp(row->allowed, "all packets", 11) == 0) return true;
    for (const char *at = strstr(row->allowed, packet); at != NULL; at = strstr(at + 1, packet)) {
        if (at != row->allowed && at[-1] != ',') continue;
        if (at[len] == ',' || at[len] == '\0' || strncmp(at + len, "(to client)", 11) == 0)
            return true;
        if (strncmp(at + len, "(server only)", 13) == 0) return true;
    }
    return false;
}

/* All 256 ids in all packets, once and twice. [V5-U-04] [V5-U-05] [V5-U-06] [MQTT5-3.14.2-2]
 * [MQTT5-4.12.0-6] */
static void test_every_property_in_every_packet(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        for (unsigned id = 0; id < 256; id++) {
            uint8_t packet[64];
            char once[64];
            char twice[128];
            const bool known = table[id].type[0] != '\0';
            const bool legal = known && allowed(&table[id], places[i].name);
            (void)snprintf(once, sizeof once, "%02x %s", id, value_of(table[id].type));
            (void)snprintf(twice, sizeof twice, "%s %s", once, once);
            size_t len = build(&places[i], once, packet, sizeof packet);
            const bool unasked = id == 21 || id == 22; /* authentication, which we never begin */
            if (taken(TERN__V5, places[i].open, packet, len) != (legal && !unasked))
                fail_msg("property %u in %s", id, places[i].name);
            len = build(&places[i], twice, packet, sizeof packet);
            const bool repeats = strncmp(table[id].repeats, "yes", 3) == 0 ||
                                 (id == 11 && strcmp(places[i].name, "PUBLISH") == 0);
            if (legal && !repeats && id != 22)
                refused(TERN__V5, places[i].open, packet, len, 0x82);
            else
                assert_int_equal(taken(TERN__V5, places[i].open, packet, len), legal && !unasked);
        }
    }
}

static void test_values_out_of_range(
    void **state) /* [V5-U-07] [MQTT5-3.2.2-9] [MQTT5-3.3.2-8] [MQTT5-3.3.2-14] */
{
    (void)state;
    static const struct {
        int place;
        const char *props;
        uint8_t reason;
    } rows[] = {
        {0, "21 00 00", 0x82},       {0, "27 00 00 00 00", 0x82}, {0, "24 02", 0x82},
        {0, "24 ff", 0x82},          {0, "25 02", 0x82},          {0, "28 02", 0x82},
        {0, "29 ff", 0x82},          {0, "2a 02", 0x82},          {1, "23 00 00", 0x94},
        {1, "23 00 0b", 0x94},       {1, "0b 00", 0x82},          {1, "01 02", 0x82},
        {1, "0b 80 00", 0x81},       {1, "0b 81 80 00", 0x81},    {1, "0b 80 80 80 80 01", 0x81},
        {1, "08 00 03 'a/+'", 0x82}, {1, "08 00 01 '#'", 0x82},   {1, "08 00 00", 0x82},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t packet[64];
        const size_t len = build(&places[rows[i].place], rows[i].props, packet, sizeof packet);
        refused(TERN__V5, places[rows[i].place].open, packet, len, rows[i].reason);
    }
}

/* We said that we want no reason strings and user properties: only some packets may have them then.
 * [MQTT5-3.1.2-29] */
static void test_problem_information_that_nobody_wants(void **state)
{
    (void)state;
    static const char *const props[] = {"1f 00 01 'r'", PAIR};
    for (size_t i = 0; i < COUNT(places); i++) {
        for (size_t n = 0; n < COUNT(props); n++) {
            script s;
            uint8_t packet[64];
            if (places[i].open == GREETING || (i == 1 && n == 0)) continue;
            prepare(&s, TERN__V5, places[i].open);
            script_offline(&s);
            s.connect.request_problem_info = false;
            script_online(&s, "20 0a 01 00 07 " PAIR); /* a CONNACK may */
            script_drain(&s, SIZE_MAX);
            tern__buf_clear(&s.out);
            size_t len = build(&places[i], props[n], packet, sizeof packet);
            if (i == 6 || i == 7) packet[3] = 2; /* requests go out again with another id */
            const bool may = i == 1 || i == 8;
            if (may) {
                const int rc = script_recv_bytes(&s, packet, len);
                assert_true(rc == 0 || script_event(&s) == TERN__EVENT_DISCONNECTED);
                (void)script_delivered(&s);
            } else {
                script_refuses(&s, to_hex(packet, len), TERN_E_PROTOCOL, 0x82);
            }
            script_free(&s);
        }
    }
}

/* ---- text ---- */

/* What is no text in each place for text. [MQTT5-1.5.4-1] [MQTT5-1.5.4-2] [MQTT5-1.5.7-1]
 * [MQTT5-3.3.2-13] [MQTT5-3.3.2-19] [MQTT311-1.5.3-1] [MQTT311-1.5.3-2] */
static void test_text_that_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "00",       "'a' 00",   "c0 80",       "c1 bf",       "80",    "e2 82", "ed a0 80",
        "ed bf bf", "e0 80 80", "f0 80 80 80", "f4 90 80 80", "f8 88", "ff"};
    static const struct {
        int place;
        const char *props; /* %s: the length and the text */
    } fields[] = {
        {0, "12 %s"},           {0, "1a %s"},           {0, "1c %s"},       {0, "1f %s"},
        {0, "26 %s 00 01 'v'"}, {0, "26 00 01 'k' %s"}, {1, "03 %s"},       {1, "26 %s 00 01 'v'"},
        {1, "26 00 01 'k' %s"}, {2, "1f %s"},           {2, "26 %s 00 00"}, {3, "1f %s"},
        {3, "26 00 00 %s"},     {4, "1f %s"},           {4, "26 %s 00 00"}, {5, "1f %s"},
        {5, "26 00 00 %s"},     {6, "1f %s"},           {6, "26 %s 00 00"}, {7, "1f %s"},
        {7, "26 00 00 %s"},     {8, "1f %s"},           {8, "1c %s"},       {8, "26 %s 00 00"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t bytes[8];
        uint8_t packet[64];
        char text[40];
        const size_t len = script_parse(bad[i], bytes, sizeof bytes);
        (void)snprintf(text, sizeof text, "00 %02x %s", (unsigned)len, bad[i]);
        for (size_t n = 0; n < COUNT(fields); n++) {
            char props[64];
            const char *hole = strstr(fields[n].props, "%s");
            (void)snprintf(props, sizeof props, "%.*s%s%s", (int)(hole - fields[n].props),
                           fields[n].props, text, hole + 2);
            const size_t size = build(&places[fields[n].place], props, packet, sizeof packet);
            refused(TERN__V5, places[fields[n].place].open, packet, size, 0x81);
        }
        for (int version = TERN__V311; version <= TERN__V5; version++) { /* the topic */
            char hex[64];
            (void)snprintf(hex, sizeof hex, "30 %02x %s %s",
                           (unsigned)len + 2 + (version == TERN__V5), text,
                           version == TERN__V5 ? "00" : "");
            refused(version, IDLE, packet, script_parse(hex, packet, sizeof packet), 0x81);
        }
    }
}

static void test_a_byte_order_mark_is_kept(void **state) /* [MQTT5-1.5.4-3] [MQTT311-1.5.3-3] */
{
    (void)state;
    script s;
    script_ready(&s, TERN__V311);
    assert_int_equal(script_recv(&s, "30 07 00 04 ef bb bf 'a' 'x'"), 0);
    assert_string_equal(script_delivered(&s), "\xef\xbb\xbf"
                                              "a=x/0;");
    script_free(&s);
}

/* ---- around a failure ---- */

/* What came before in the same read counts; what is behind does not; nothing but DISCONNECT
 * follows. [MQTT5-3.14.4-1] */
static void test_what_is_around_a_bad_packet(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        const bool v5 = version == TERN__V5;
        script s;
        tern__completion first;
        tern__completion second;
        script_ready(&s, version);
        assert_int_equal(script_publish(&s, 1, "t", "", &first), 0);
        assert_int_equal(script_publish(&s, 1, "t", "", &second), 0);
        script_drain(&s, SIZE_MAX);
        tern__buf_clear(&s.out);
        assert_int_equal(script_publish(&s, 0, "t", "waits", NULL), 0);
        assert_int_equal(
            script_recv(
                &s, v5 ? "30 04 00 01 'a' 00 40 02 00 01 41 02 00 02 40 02 00 02 30 04 00 01 'b' 00"
                       : "30 03 00 01 'a' 40 02 00 01 41 02 00 02 40 02 00 02 30 03 00 01 'b'"),
            TERN_E_MALFORMED);
        assert_string_equal(script_delivered(&s), "a=/0;");
        script_outcome(&s, &first, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        assert_null(tern__engine_next_completion(s.engine));
        script_subscribe(&s, "f", TERN_QOS_0, NULL);
        script_expect(&s, v5 ? "e0 01 81" : "");
        assert_int_equal(script_recv(&s, "40 02 00 02"), TERN_E_STATE);
        assert_true(tern__engine_deadline(s.engine) == UINT64_MAX);
        script_offline(&s);
        assert_int_equal(tern__engine_open_count(s.engine), 3);
        script_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length_of_every_packet),
        cmocka_unit_test(test_every_wrong_property_length),
        cmocka_unit_test(test_every_first_byte),
        cmocka_unit_test(test_remaining_lengths),
        cmocka_unit_test(test_every_property_in_every_packet),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_problem_information_that_nobody_wants),
        cmocka_unit_test(test_text_that_is_none),
        cmocka_unit_test(test_a_byte_order_mark_is_kept),
        cmocka_unit_test(test_what_is_around_a_bad_packet),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
