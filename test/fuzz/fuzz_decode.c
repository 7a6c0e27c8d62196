/* Fuzzing the decoder: what decodes encodes again, and the bytes of that decode to the same bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "codec/decode.h"
#include "codec/encode.h"
#include "codec/framer.h"
#include "codec/props.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *encode_again(const tern__packet *packet, int version, size_t *size)
{
    *size = tern__encode_size(packet, version);
    assert(*size != 0);
    uint8_t *wire = malloc(*size);
    if (wire != NULL) tern__encode(packet, version, wire);
    return wire;
}

/* Walks a checked block; every id in it is in `present`, and none else is. */
static void walk_props(const tern__props *props)
{
    tern__view rest = {props->data, props->len};
    tern__prop prop;
    uint64_t seen = 0;
    while (tern__props_next(&rest, &prop))
        seen |= UINT64_C(1) << prop.id;
    assert(seen == props->present);
}

static void walk_packet(const tern__packet *packet)
{
    walk_props(&packet->props);
    if (packet->type == TERN__CONNECT) walk_props(&packet->u.connect.will.props);
    if (packet->type != TERN__SUBSCRIBE && packet->type != TERN__UNSUBSCRIBE) return;
    tern__view rest = packet->u.subscribe.filters;
    tern__view filter;
    uint32_t count = 0;
    while (tern__filters_next(&rest, packet->type == TERN__SUBSCRIBE, &filter, NULL))
        count++;
    assert(count == packet->u.subscribe.count && rest.len == 0);
}

static void round_trip(const tern__packet *packet, int version, tern__sender sender)
{
    size_t size;
    size_t again_size;
    uint8_t *wire = encode_again(packet, version, &size);
    if (wire == NULL) return;
    tern__frame frame;
    tern__fault fault;
    tern__packet back;
    int rc = tern__frame_peek(wire, size, UINT32_MAX, version, sender, &frame, &fault);
    assert(rc == 0 && frame.len == size);
    rc = tern__decode(wire, &frame, version, sender, &back, NULL, &fault);
    /* A refusal in 3.1.1's form to an MQTT 5 CONNECT comes back in MQTT 5's. */
    assert(rc == 0 && back.type == packet->type);
    assert(back.props.present == packet->props.present);
    uint8_t *again = encode_again(&back, version, &again_size);
    assert(again == NULL || (again_size == size && memcmp(again, wire, size) == 0));
    free(again);
    free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    int version = (data[0] & 1) != 0 ? TERN__V5 : TERN__V311;
    tern__sender sender = (data[0] & 2) != 0 ? TERN__FROM_SERVER : TERN__FROM_CLIENT;
    for (size_t at = 1; at < size;) {
        tern__frame frame;
        tern__fault fault = {.reason = 0, .offset = 0, .rule = NULL};
        if (tern__frame_peek(data + at, size - at, UINT32_MAX, version, sender, &frame, &fault) !=
            0)
            return 0;
        if (frame.len > size - at) return 0;
        /* A block of its own, so that the address sanitizer sees a read beyond the packet. */
        uint8_t *copy = malloc(frame.len);
        if (copy == NULL) return 0;
        memcpy(copy, data + at, frame.len);
        tern__packet packet;
        int seen = version;
        int asked = frame.header >> 4 == TERN__CONNECT ? 0 : version;
        int rc = tern__decode(copy, &frame, asked, sender, &packet, &seen, &fault);
        assert(rc == 0 || rc == TERN_E_MALFORMED || rc == TERN_E_PROTOCOL);
        if (rc == 0) {
            walk_packet(&packet);
            round_trip(&packet, seen, sender);
        } else {
            assert(fault.reason >= 0x80 && fault.rule != NULL && fault.offset <= frame.len);
        }
        free(copy);
        at += frame.len;
    }
    return 0;
}
