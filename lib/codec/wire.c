/* Bounds-checked reading of wire forms, with a sticky error.
 * SPDX-License-Identifier: Apache-2.0 */
#include "codec/wire.h"

#include <tern/error.h>

#include "base/utf8.h"

int tern__fault_set(tern__fault *fault, uint8_t reason, size_t offset, const char *rule)
{
    *fault = (tern__fault){.reason = reason, .offset = offset, .rule = rule};
    return reason == TERN__REASON_MALFORMED ? TERN_E_MALFORMED : TERN_E_PROTOCOL;
}

void tern__cursor_fail(tern__cursor *cursor, uint8_t reason, const uint8_t *where, const char *rule)
{
    if (cursor->error != 0) return;
    if (where == NULL) where = cursor->at;
    cursor->error = tern__fault_set(cursor->fault, reason, (size_t)(where - cursor->start), rule);
    cursor->at = cursor->end;
}

/* Whether that many bytes are left; if not, that is the fault. */
static bool need(tern__cursor *cursor, size_t len)
{
    if (tern__cursor_left(cursor) >= len) return true;
    tern__cursor_fail(cursor, TERN__REASON_MALFORMED, NULL, "a field runs beyond its packet [1.5]");
    return false;
}

uint8_t tern__cursor_u8(tern__cursor *cursor)
{
    return need(cursor, 1) ? *cursor->at++ : 0;
}

uint16_t tern__cursor_u16(tern__cursor *cursor)
{
    if (!need(cursor, 2)) return 0;
    uint16_t value = tern__load_u16(cursor->at);
    cursor->at += 2;
    return value;
}

uint32_t tern__cursor_u32(tern__cursor *cursor)
{
    if (!need(cursor, 4)) return 0;
    uint32_t high = tern__cursor_u16(cursor);
    return high << 16 | tern__cursor_u16(cursor);
}

uint32_t tern__cursor_varint(tern__cursor *cursor)
{
    const uint8_t *first = cursor->at;
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = tern__cursor_u8(cursor);
        if (cursor->error != 0) return 0;
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte >= 0x80) continue;
        if (byte != 0 || shift == 0) return value;
        tern__cursor_fail(
            cursor, TERN__REASON_MALFORMED, first,
            "a variable byte integer is not in its shortest form [1.5.5]"); /* [MQTT5-1.5.5-1] */
        return 0;
    }
    tern__cursor_fail(cursor, TERN__REASON_MALFORMED, first,
                      "a variable byte integer has more than four bytes [1.5.5]");
    return 0;
}

tern__view tern__cursor_bytes(tern__cursor *cursor, size_t len)
{
    if (!need(cursor, len)) return (tern__view){cursor->at, 0};
    tern__view view = {cursor->at, len};
    cursor->at += len;
    return view;
}

tern__view tern__cursor_binary(tern__cursor *cursor)
{
    size_t len = tern__cursor_u16(cursor);
    return tern__cursor_bytes(cursor, len);
}

tern__view tern__cursor_text(tern__cursor *cursor)
{
    tern__view view = tern__cursor_binary(cursor);
    if (cursor->error == 0 && !tern__utf8_valid(view.data, view.len)) {
        tern__cursor_fail(cursor, TERN__REASON_MALFORMED, view.data,
                          "text is not well-formed UTF-8 [1.5.4]");
        view.len = 0;
    }
    return view;
}
