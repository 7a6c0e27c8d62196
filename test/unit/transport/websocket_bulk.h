/* Bytes both ways at once through a WebSocket that is open, in frames of any kind and pieces of any size. Include it after cmocka.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_UNIT_TRANSPORT_WEBSOCKET_BULK_H
#define TERN_TEST_UNIT_TRANSPORT_WEBSOCKET_BULK_H

#include "websocket_peer.h"

static inline uint32_t draw(uint32_t *random, uint32_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random % below;
}

/* Says the bytes in frames and fragments of any size, with pings in between. */
static inline unsigned say_in_frames(wire *w, const uint8_t *data, size_t len, uint32_t *random)
{
    unsigned pings = 0;
    bool first = true;
    for (size_t at = 0; at < len;) {
        size_t part = draw(random, 20) == 0 ? draw(random, 70000) : draw(random, 200);
        if (part > len - at) part = len - at;
        bool last = at + part == len || draw(random, 2) == 0;
        say_frame(w, (last ? 0x80u : 0u) | (first ? 2u : 0u), data + at, part);
        first = last;
        at += part;
        if (draw(random, 4) != 0) continue;
        say_frame(w, draw(random, 2) == 0 ? 0x8Au : 0x89u, data, draw(random, 126));
        pings++;
    }
    return pings;
}

/* Takes whole frames out of what the peer heard; returns the length of the payload so far. */
static inline void take_frames(wire *w, size_t *at, uint8_t *payload, size_t *len)
{
    frame found;
    while (*at < w->heard_len && next_frame(w, *at, &found)) {
        *at += found.len;
        if (found.header.opcode == TERN__WS_PONG) continue;
        assert_int_equal(found.header.opcode, TERN__WS_BINARY);
        memcpy(payload + *len, found.payload, (size_t)found.header.len);
        *len += (size_t)found.header.len;
    }
}

enum { BULK = 300000 };

/* As many bytes each way, up to BULK, at the same time. */
static inline void exchange_bulk(wire *w, size_t size, uint32_t seed)
{
    uint8_t *ours = malloc(BULK);
    uint8_t *theirs = malloc(BULK);
    uint8_t *back = malloc(BULK);
    uint32_t random = seed;
    assert_true(ours != NULL && theirs != NULL && back != NULL);
    for (size_t i = 0; i < size; i++) {
        ours[i] = (uint8_t)draw(&random, 256);
        theirs[i] = (uint8_t)draw(&random, 256);
    }
    (void)say_in_frames(w, theirs, size, &random);
    size_t written = 0;
    size_t received = 0;
    size_t heard = 0;
    size_t heard_at = 0;
    size_t offered = 0; /* and not taken yet: the same bytes come first next time */
    while (written < size || received < size || heard < size) {
        size_t n = 0;
        size_t part = 1 + draw(&random, 100000);
        if (part < offered) part = offered;
        if (part > size - written) part = size - written;
        tern__iov pieces[3] = {
            {ours + written, part / 3}, {ours + written + part / 3, 0}, {NULL, 0}};
        pieces[2] = (tern__iov){ours + written + part / 3, part - part / 3};
        if (part != 0) {
            int rc = tern__stream_write(w->stream, pieces, 3, &n);
            assert_true(rc == 0 ? n > 0 && n <= part : rc == TERN_E_AGAIN && n == 0);
            written += n;
            offered = rc == 0 ? 0 : part;
        }
        part = 1 + draw(&random, 5000);
        if (part > size - received) part = size - received;
        if (part != 0) {
            int rc = tern__stream_read(w->stream, back + received, part, &n);
            assert_true(rc == 0 ? n > 0 && n <= part : rc == TERN_E_AGAIN && n == 0);
            received += n;
        }
        assert_int_equal(tern__stream_watch(w->stream, received < size, written < size), 0);
        wire_turn(w);
        assert_true(w->heard_len <= 2 * (size_t)BULK + 100000);
        /* Frames are unmasked in place once: only whole new ones are looked at. */
        if (written == size || w->heard_len > heard_at + 200000) {
            uint8_t *payload = malloc(w->heard_len + 1);
            size_t len = 0;
            assert_non_null(payload);
            take_frames(w, &heard_at, payload, &len);
            assert_memory_equal(payload, ours + heard, len);
            heard += len;
            free(payload);
        }
    }
    assert_memory_equal(back, theirs, size);
    free(ours);
    free(theirs);
    free(back);
}

#endif
