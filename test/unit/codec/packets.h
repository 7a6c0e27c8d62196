/* What the codec's tests share: whole packets in hex written from the specification, and judging
 * bytes. SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_UNIT_CODEC_PACKETS_H
#define TEST_UNIT_CODEC_PACKETS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tern/error.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/framer.h"
#include "codec/props.h"

enum { BYTES_MAX = 256 };

typedef struct bytes {
    size_t len;
    uint8_t data[BYTES_MAX];
} bytes;

/* "10 0C 00 04" to bytes; text in 'quotes' stands for itself. */
static inline bytes hex(const char *text)
{
    bytes out = {.len = 0};
    while (*text != 0) {
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++)
                out.data[out.len++] = (uint8_t)*text;
            text++;
        } else {
            char pair[3] = {text[0], text[1], 0};
            out.data[out.len++] = (uint8_t)strtoul(pair, NULL, 16);
            text += 2;
        }
    }
    return out;
}

/* A heap block of exactly that size: the address sanitizer sees a read beyond it. */
static inline uint8_t *exact_copy(const void *data, size_t len)
{
    uint8_t *copy = malloc(len != 0 ? len : 1);
    assert_non_null(copy);
    if (len != 0) memcpy(copy, data, len);
    return copy;
}

/* What the codec says of some bytes. The packet's views point into `data`. */
typedef struct verdict {
    int rc;
    tern__fault fault;
    tern__packet packet;
    int version;
    uint8_t *data;
} verdict;

static inline verdict judge(const void *data, size_t len, int version, tern__sender sender)
{
    verdict v = {.data = exact_copy(data, len), .version = version};
    tern__frame frame;
    v.rc = tern__frame_peek(v.data, len, UINT32_MAX, version, sender, &frame, &v.fault);
    if (v.rc == 0 && frame.len != len) v.rc = TERN_E_AGAIN;
    if (v.rc == 0)
        v.rc = tern__decode(v.data, &frame, version, sender, &v.packet, &v.version, &v.fault);
    return v;
}

static inline void expect_good(const bytes *b, int version, tern__sender sender)
{
    verdict v = judge(b->data, b->len, version, sender);
    if (v.rc != 0)
        print_error("refused (%s at %zu), first byte %02x\n", v.fault.rule, v.fault.offset,
                    b->data[0]);
    assert_int_equal(v.rc, 0);
    free(v.data);
}

static inline void expect_fault(const bytes *b, int version, tern__sender sender, int reason)
{
    verdict v = judge(b->data, b->len, version, sender);
    assert_true(v.rc == TERN_E_MALFORMED || v.rc == TERN_E_PROTOCOL);
    if (v.fault.reason != reason) print_error("%s at %zu\n", v.fault.rule, v.fault.offset);
    assert_int_equal(v.fault.reason, reason);
    assert_non_null(v.fault.rule);
    assert_true(v.fault.offset <= b->len);
    free(v.data);
}

/* The same packet with its body cut or grown to `body` bytes (zeros), the remaining length to
 * match. */
static inline bytes with_body(const bytes *b, size_t body)
{
    bytes out = {.len = 2 + body, .data = {b->data[0], (uint8_t)body}};
    size_t had = b->len - 2;
    memcpy(out.data + 2, b->data + 2, body < had ? body : had);
    return out;
}

/* A type's packet around a property block of up to 100 bytes, all else in order; for a will, a
 * CONNECT. */
static inline bytes around_props(int type, const uint8_t *props, size_t len)
{
    static const char *const before[16] = {[0] = "00 04 'MQTT' 05 06 00 00 00 00 00",
                                           [1] = "00 04 'MQTT' 05 02 00 00",
                                           [2] = "00 00",
                                           [3] = "00 01 't'",
                                           [4] = "00 01 00",
                                           [5] = "00 01 00",
                                           [6] = "00 01 00",
                                           [7] = "00 01 00",
                                           [8] = "00 01",
                                           [9] = "00 01",
                                           [10] = "00 01",
                                           [11] = "00 01",
                                           [14] = "00",
                                           [15] = "18"};
    static const char *const after[16] = {[0] = "00 01 't' 00 00",
                                          [1] = "00 00",
                                          [2] = "",
                                          [3] = "'p'",
                                          [4] = "",
                                          [5] = "",
                                          [6] = "",
                                          [7] = "",
                                          [8] = "00 01 't' 00",
                                          [9] = "00",
                                          [10] = "00 01 't'",
                                          [11] = "00",
                                          [14] = "",
                                          [15] = ""};
    static const uint8_t header[16] = {0x10, 0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70,
                                       0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0};
    bytes head = hex(before[type]);
    bytes tail = hex(after[type]);
    bytes out = {.len = 2};
    out.data[0] = header[type];
    memcpy(out.data + out.len, head.data, head.len);
    out.len += head.len;
    out.data[out.len++] = (uint8_t)len;
    if (len != 0) memcpy(out.data + out.len, props, len);
    out.len += len;
    memcpy(out.data + out.len, tail.data, tail.len);
    out.len += tail.len;
    assert_true(out.len - 2 < 128);
    out.data[1] = (uint8_t)(out.len - 2);
    return out;
}

/* Packet types by name, as the data files write them. */
static inline const char *type_name(int type)
{
    static const char *const names[16] = {"WILL",      "CONNECT",  "CONNACK",     "PUBLISH",
                                          "PUBACK",    "PUBREC",   "PUBREL",      "PUBCOMP",
                                          "SUBSCRIBE", "SUBACK",   "UNSUBSCRIBE", "UNSUBACK",
                                          "PINGREQ",   "PINGRESP", "DISCONNECT",  "AUTH"};
    return names[type];
}

/* Whether MQTT 5 lets that side send packets of the type (0: a will). */
static inline bool type_sent_by(int type, tern__sender sender)
{
    static const char *const by_client =
        "CCSBBBBBCSCSCSBB"; /* Both, Client, Server; by type, a will first */
    return by_client[type] == 'B' || by_client[type] == (sender == TERN__FROM_CLIENT ? 'C' : 'S');
}

/* Whether a comma separated list of the data files names the type for that sender. */
static inline bool list_allows(const char *list, int type, tern__sender sender)
{
    const char *name = type_name(type);
    for (const char *item = list; item != NULL; item = strchr(item, ',')) {
        if (*item == ',') item++;
        size_t len = strcspn(item, ",(");
        if (len != strlen(name) || strncmp(item, name, len) != 0) continue;
        const char *note = item + len;
        if (strncmp(note, "(client only)", 13) == 0) return sender == TERN__FROM_CLIENT;
        if (strncmp(note, "(server only)", 13) == 0) return sender == TERN__FROM_SERVER;
        if (strncmp(note, "(to client)", 11) == 0) return sender == TERN__FROM_SERVER;
        return true;
    }
    return strncmp(list, "all packets with properties", 27) == 0 && type != 12 && type != 13;
}

/* Splits a line of a data file at its tabs, in place. Returns the number of fields. */
static inline int split_line(char *line, char **fields, int max)
{
    int count = 0;
    line[strcspn(line, "\r\n")] = 0;
    while (count < max) {
        fields[count++] = line;
        line = strchr(line, '\t');
        if (line == NULL) break;
        *line++ = 0;
    }
    return count;
}

#endif
