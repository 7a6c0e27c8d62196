/* Fuzzing the framer: a stream cut anywhere gives the same packets as in one piece.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <tern/error.h>

#include "codec/framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    int version = (data[0] & 1) != 0 ? TERN__V5 : TERN__V311;
    tern__sender sender = (data[0] & 2) != 0 ? TERN__FROM_SERVER : TERN__FROM_CLIENT;
    uint32_t max = (data[0] & 4) != 0 ? 64 : UINT32_MAX;
    for (size_t at = 1; at < size;) {
        tern__frame whole;
        tern__frame part;
        tern__fault fault = {.reason = 0, .offset = 0, .rule = NULL};
        int rc = tern__frame_peek(data + at, size - at, max, version, sender, &whole, &fault);
        assert(rc == 0 || rc == TERN_E_AGAIN || rc == TERN_E_MALFORMED);
        int last = TERN_E_AGAIN;
        for (size_t have = 1; have <= size - at && have <= 5 && last == TERN_E_AGAIN; have++)
            last = tern__frame_peek(data + at, have, max, version, sender, &part, &fault);
        assert(last == rc);
        if (rc == TERN_E_MALFORMED) assert(fault.reason >= 0x80 && fault.rule != NULL);
        if (rc != 0) return 0;
        assert(whole.len == part.len && whole.head_len == part.head_len &&
               whole.header == data[at]);
        assert(whole.len >= whole.head_len && whole.len <= max && whole.head_len >= 2 &&
               whole.head_len <= 5);
        if (whole.len > size - at) return 0;
        at += whole.len;
    }
    return 0;
}
