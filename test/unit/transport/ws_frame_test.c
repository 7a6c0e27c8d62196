/* WebSocket frames: headers both ways, masks, and the rules.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <string.h>
#include <tern/error.h>

#include "transport/ws_frame.h"

/* The borders of the three forms of a length. */
static void headers_survive_the_round_trip(void **state)
{
    (void)state;
    static const uint64_t lens[] = {0,          1,          125,        126,
                                    127,        65535,      65536,      0x7FFFFFFF,
                                    0x80000000, 0xFFFFFFFF, 1ull << 32, (1ull << 63) - 1};
    static const size_t sizes[] = {2, 2, 2, 4, 4, 4, 10, 10, 10, 10, 10, 10};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (unsigned bits = 0; bits < 512; bits++) {
            tern__ws_header header = {.fin = (bits & 1) != 0,
                                      .masked = (bits & 2) != 0,
                                      .reserved = bits >> 2 & 7,
                                      .opcode = bits >> 5 & 15,
                                      .mask = {1, 2, 3, 4},
                                      .len = lens[i]};
            uint8_t out[TERN__WS_HEADER_MAX];
            tern__ws_header back;
            const char *why = NULL;
            size_t used;
            size_t n = tern__ws_encode(&header, out);
            assert_int_equal(n, sizes[i] + (header.masked ? 4 : 0));
            for (size_t cut = 0; cut < n; cut++)
                assert_int_equal(tern__ws_decode(out, cut, &back, &used, &why), TERN_E_AGAIN);
            assert_int_equal(tern__ws_decode(out, n, &back, &used, &why), 0);
            assert_int_equal(used, n);
            assert_true(back.fin == header.fin && back.masked == header.masked);
            assert_true(back.reserved == header.reserved && back.opcode == header.opcode);
            assert_true(back.len == header.len);
            if (header.masked) assert_memory_equal(back.mask, header.mask, 4);
        }
    }
}

/* The examples of section 5.7. */
static void examples_of_the_rfc_are_understood(void **state)
{
    (void)state;
    static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                    0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t large[] = {0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0};
    uint8_t text[5];
    tern__ws_header header;
    const char *why = NULL;
    size_t used;
    assert_int_equal(tern__ws_decode(hello, sizeof hello, &header, &used, &why), 0);
    assert_true(header.fin && header.masked && header.opcode == TERN__WS_TEXT);
    assert_int_equal(header.len, 5);
    tern__ws_mask(text, hello + used, 5, header.mask, 0);
    assert_memory_equal(text, "Hello", 5);
    assert_int_equal(tern__ws_decode(large, sizeof large, &header, &used, &why), 0);
    assert_int_equal(header.len, 65536);
    assert_int_equal(used, 10);
}

static void lengths_in_long_form_are_refused(void **state)
{
    (void)state;
    static const uint8_t rows[][10] = {
        {0x82, 126, 0, 0},
        {0x82, 126, 0, 125},
        {0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0},
        {0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF},
        {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
        {0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tern__ws_header header;
        const char *why = NULL;
        size_t used;
        assert_int_equal(tern__ws_decode(rows[i], 10, &header, &used, &why), TERN_E_MALFORMED);
        assert_non_null(why);
    }
}

/* Words or bytes, at any place, in any phase, in pieces or in one: the same. */
static void masks_do_not_depend_on_how_they_are_applied(void **state)
{
    (void)state;
    static const uint8_t mask[TERN__WS_MASK_LEN] = {0x11, 0x80, 0xFE, 0x37};
    uint8_t data[80];
    uint8_t out[80];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; len <= 64; len++) {
            for (size_t phase = 0; phase < 6; phase++) {
                memset(out, 0xEE, sizeof out);
                tern__ws_mask(out + start, data + 7, len, mask, phase);
                for (size_t i = 0; i < len; i++)
                    assert_int_equal(out[start + i], data[7 + i] ^ mask[(phase + i) % 4]);
                assert_int_equal(out[start + len], 0xEE);
                if (start != 0) assert_int_equal(out[start - 1], 0xEE);
                tern__ws_mask(out + start, out + start, len, mask, phase); /* in place */
                assert_memory_equal(out + start, data + 7, len);
            }
        }
    }
}

static void check_rule(tern__ws_header header, bool in_message, unsigned code)
{
    tern__ws_fault fault = tern__ws_check(&header, in_message, 1000);
    if (fault.code != code)
        fail_msg("opcode %u: %u, %s", (unsigned)header.opcode, (unsigned)fault.code,
                 fault.why != NULL ? fault.why : "-");
    assert_true((fault.why != NULL) == (code != 0));
}

/* Every opcode, whole or begun, inside a message and outside. */
static void every_opcode_has_its_place(void **state)
{
    (void)state;
    for (uint8_t opcode = 0; opcode < 16; opcode++) {
        bool control = opcode >= 8;
        for (int bits = 0; bits < 4; bits++) {
            bool fin = (bits & 1) != 0;
            bool in_message = (bits & 2) != 0;
            unsigned code = 0;
            if (control)
                code = opcode > 10 || !fin ? 1002 : 0;
            else if (opcode > 2 || (opcode == 0) != in_message)
                code = 1002;
            else if (opcode == 1)
                code = 1003;
            check_rule((tern__ws_header){.fin = fin, .opcode = opcode}, in_message, code);
        }
    }
    check_rule((tern__ws_header){.fin = true, .opcode = 2, .len = 1000}, false, 0);
    check_rule((tern__ws_header){.fin = true, .opcode = 2, .len = 1001}, false, 1009);
    check_rule((tern__ws_header){.fin = true, .opcode = 0, .len = 1001}, true, 1009);
    check_rule((tern__ws_header){.fin = true, .opcode = 9, .len = 125}, true, 0);
    check_rule((tern__ws_header){.fin = true, .opcode = 9, .len = 126}, true, 1002);
    check_rule((tern__ws_header){.fin = true, .opcode = 2, .masked = true}, false, 1002);
    for (uint8_t reserved = 1; reserved < 8; reserved++)
        check_rule((tern__ws_header){.fin = true, .opcode = 2, .reserved = reserved}, false, 1002);
}

/* Section 7.4, and the registry of close codes. */
static void every_close_code_is_judged(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        bool may = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                   (code >= 3000 && code < 5000);
        assert_int_equal(tern__ws_check_close(payload, 2).code, may ? 0 : 1002);
        assert_non_null(tern__ws_close_text(code));
    }
    assert_int_equal(tern__ws_check_close(NULL, 0).code, 0);
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03", 1).code, 1002);
    assert_string_equal(tern__ws_close_text(1000), "normal closure");
    assert_string_equal(tern__ws_close_text(1009), "message too big");
    assert_string_equal(tern__ws_close_text(1014), "bad gateway");
    assert_string_equal(tern__ws_close_text(1015), "");
    assert_string_equal(tern__ws_close_text(999), "");
}

static void a_reason_is_utf8(void **state)
{
    (void)state;
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03\xE8gr\xC3\xBC\xC3\x9F", 8).code,
                     0);
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03\xE8"
                                                           "a\0b",
                                          5)
                         .code,
                     0);
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03\xE8\0\0", 4).code, 0);
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03\xE8\0\xFF", 4).code, 1007);
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03\xE8\xFF\0", 4).code, 1007);
    assert_int_equal(tern__ws_check_close((const uint8_t *)"\x03\xE8\xC3\0", 4).code, 1007);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_survive_the_round_trip),
        cmocka_unit_test(examples_of_the_rfc_are_understood),
        cmocka_unit_test(lengths_in_long_form_are_refused),
        cmocka_unit_test(masks_do_not_depend_on_how_they_are_applied),
        cmocka_unit_test(every_opcode_has_its_place),
        cmocka_unit_test(every_close_code_is_judged),
        cmocka_unit_test(a_reason_is_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
