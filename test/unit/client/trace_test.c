/* Traces: a record for each packet however its bytes are cut, without what is in it. [C20]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "client/trace.h"

typedef struct lines {
    char text[4000];
    size_t len;
    unsigned count;
} lines;

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    lines *l = user_data;
    assert_int_equal(level, TERN_LOG_TRACE);
    l->count++;
    const int n = snprintf(l->text + l->len, sizeof l->text - l->len, "%s\n", text);
    assert_true(n > 0 && (size_t)n < sizeof l->text - l->len);
    l->len += (size_t)n;
}

static uint8_t stream[] =
    "\x10\x1b\0\4MQTT\4\xc2\0\x3c\0\1c\0\2us\0\x08hidden-1" /* CONNECT with a password */
    "\x20\2\0\0"
    "\x30\x0c\0\1t\0hidden-2"
    "\x3d\5\0\1t\0\7"
    "\x40\2\1\2"
    "\x62\3\xff\xff\x92"
    "\x82\7\0\x0a\0\0\1t\1"
    "\xc0\0"
    "\xd0\0"
    "\xe0\1\x8b"
    "\xf0\2\x18\0";

static const char *const told = "sent CONNECT, 29 bytes\n"
                                "sent CONNACK, 4 bytes\n"
                                "sent PUBLISH at QoS 0, 14 bytes\n"
                                "sent PUBLISH at QoS 2, repeated, retained, 7 bytes\n"
                                "sent PUBACK of packet id 258, 4 bytes\n"
                                "sent PUBREL of packet id 65535, 5 bytes\n"
                                "sent SUBSCRIBE of packet id 10, 9 bytes\n"
                                "sent PINGREQ, 2 bytes\n"
                                "sent PINGRESP, 2 bytes\n"
                                "sent DISCONNECT, 3 bytes\n"
                                "sent AUTH, 4 bytes\n";

static void every_packet_has_its_record(void **state)
{
    (void)state;
    lines l = {.count = 0};
    const tern__log log = {TERN_LOG_TRACE, on_log, &l};
    tern__trace trace = {.have = 0};
    tern__trace_bytes(&trace, &log, "sent", stream, sizeof stream - 1);
    assert_string_equal(l.text, told);
    assert_null(strstr(l.text, "hidden"));
}

/* However the stream is cut, in two at each place and in steps of each length, the records are the
 * same. */
static void cuts_make_no_difference(void **state)
{
    (void)state;
    const size_t len = sizeof stream - 1;
    for (size_t step = 1; step <= len; step++) {
        for (size_t first = 0; first <= (step == len ? len : 1); first++) {
            lines l = {.count = 0};
            const tern__log log = {TERN_LOG_TRACE, on_log, &l};
            tern__trace trace = {.have = 0};
            tern__trace_bytes(&trace, &log, "sent", stream, first);
            for (size_t at = first; at < len; at += step)
                tern__trace_bytes(&trace, &log, "sent", stream + at,
                                  len - at < step ? len - at : step);
            assert_string_equal(l.text, told);
        }
    }
}

/* As pieces, of which only the first n bytes went out. */
static void pieces_count_as_far_as_they_went(void **state)
{
    (void)state;
    const size_t len = sizeof stream - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        lines l = {.count = 0};
        const tern__log log = {TERN_LOG_TRACE, on_log, &l};
        tern__trace trace = {.have = 0};
        const tern__iov all[] = {{stream, 3}, {stream + 3, 0}, {stream + 3, len - 3}};
        tern__trace_pieces(&trace, &log, "sent", all, cut);
        const tern__iov rest[] = {{stream + cut, len - cut}};
        tern__trace_pieces(&trace, &log, "sent", rest, len - cut);
        assert_string_equal(l.text, told);
    }
}

/* What is long is passed over by its length, not looked at: no byte of it counts as a packet. */
static void long_packets_are_passed_over(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t head_len;
        size_t rest;
    } rows[] = {{"\x30\x80\1", 3, 128},
                {"\x30\xff\x7f", 3, 16383},
                {"\x30\x80\x80\1", 4, 16384},
                {"\x32\x80\x80\x80\1", 5, 2097152}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lines l = {.count = 0};
        const tern__log log = {TERN_LOG_TRACE, on_log, &l};
        tern__trace trace = {.have = 0};
        char want[120];
        uint8_t *body = malloc(rows[i].rest);
        assert_non_null(body);
        memset(body, 0xd0, rows[i].rest);
        tern__trace_bytes(&trace, &log, "received", (const uint8_t *)rows[i].head,
                          rows[i].head_len);
        for (size_t at = 0; at < rows[i].rest; at += 1000)
            tern__trace_bytes(&trace, &log, "received", body + at,
                              rows[i].rest - at < 1000 ? rows[i].rest - at : 1000);
        tern__trace_bytes(&trace, &log, "received", (const uint8_t *)"\xd0\0", 2);
        free(body);
        (void)snprintf(want, sizeof want,
                       "received PUBLISH at QoS %u, %zu bytes\nreceived PINGRESP, 2 bytes\n",
                       i == 3, rows[i].head_len + rows[i].rest);
        assert_string_equal(l.text, want);
    }
}

/* Whatever comes: no record reads beyond what came, and it ends. Each case lies in memory of just
 * its size. */
static void nonsense_does_no_harm(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        lines l = {.count = 0};
        const tern__log log = {TERN_LOG_TRACE, on_log, &l};
        tern__trace trace = {.have = 0};
        const size_t len = 1 + (seed >> 8) % 40;
        uint8_t *bytes = malloc(len);
        assert_non_null(bytes);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)((seed >> 24) | (round % 2 != 0 ? 0x80u : 0u));
        }
        tern__trace_bytes(&trace, &log, "received", bytes, len);
        assert_true(l.count <= len / 2);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packet_has_its_record),
        cmocka_unit_test(cuts_make_no_difference),
        cmocka_unit_test(pieces_count_as_far_as_they_went),
        cmocka_unit_test(long_packets_are_passed_over),
        cmocka_unit_test(nonsense_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
