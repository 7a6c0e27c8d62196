/* A WebSocket server for tests: it answers the upgrade, says frames of any kind, and understands
 * those of a client. Include it after cmocka.h. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_UNIT_TRANSPORT_WEBSOCKET_PEER_H
#define TERN_TEST_UNIT_TRANSPORT_WEBSOCKET_PEER_H

#include "transport/websocket.h"
#include "transport/ws_frame.h"
#include "transport/ws_upgrade.h"
#include "wire.h"

enum { WS = TERN_E_WEBSOCKET, LOST = TERN_E_CONNECTION_LOST };

static const tern__websocket_config plain = {.host = "broker.example", .port = 8080};

static const char GOOD[] = "HTTP/1.1 101 Switching Protocols\r\n"
                           "Upgrade: websocket\r\n"
                           "Connection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: %ACCEPT%\r\n"
                           "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

static inline bool heard_head(const wire *w)
{
    return w->heard_len > 4 && strstr((const char *)w->heard, "\r\n\r\n") != NULL;
}

/* The answer's text with %ACCEPT% filled in for the key of the request. */
static inline void say_answer(wire *w, const char *text)
{
    static const char mark[] = "Sec-WebSocket-Key: ";
    static const char hole[] = "%ACCEPT%";
    char key[TERN__WS_KEY_SIZE];
    char accept[TERN__WS_ACCEPT_SIZE];
    const char *at = strstr((const char *)w->heard, mark);
    assert_non_null(at);
    memcpy(key, at + sizeof mark - 1, sizeof key - 1);
    key[sizeof key - 1] = '\0';
    tern__ws_accept_of(key, accept);
    const char *gap = strstr(text, hole);
    if (gap == NULL) {
        wire_say_text(w, text);
        return;
    }
    wire_say(w, text, (size_t)(gap - text));
    wire_say_text(w, accept);
    wire_say_text(w, gap + sizeof hole - 1);
}

/* Answers the upgrade with the script, once; the request is forgotten then. */
static inline void answer_upgrade(wire *w)
{
    if (w->step != 0 || !heard_head(w)) return;
    w->step = 1;
    say_answer(w, w->script);
    w->heard_len = 0;
}

/* On what is there already. */
static inline void put_websocket(wire *w, const tern__websocket_config *config)
{
    tern__stream *filter;
    assert_int_equal(tern__websocket_new(&filter, w->stream, config), 0);
    w->stream = filter;
    wire_set_source(w);
    w->answer = answer_upgrade;
    w->script = GOOD;
}

static inline void put_filter(wire *w, const fault_plan *plan, const tern__websocket_config *config)
{
    wire_set_up(w, plan);
    put_websocket(w, config);
}

static inline void open_filter(wire *w, const fault_plan *plan,
                               const tern__websocket_config *config)
{
    tern__stream_failure failure;
    put_filter(w, plan, config);
    assert_int_equal(wire_open(w, &failure), 0);
}

/* A server's frame: never masked, in the form that the test wants. */
static inline void say_frame(wire *w, unsigned first_byte, const void *payload, size_t len)
{
    uint8_t out[TERN__WS_HEADER_MAX];
    tern__ws_header header = {.fin = (first_byte & 0x80) != 0,
                              .reserved = first_byte >> 4 & 7,
                              .opcode = first_byte & 15,
                              .len = len};
    wire_say(w, out, tern__ws_encode(&header, out));
    wire_say(w, payload, len);
}

/* A client's frame in what the peer heard, unmasked in place. */
typedef struct frame {
    tern__ws_header header;
    const uint8_t *payload;
    size_t len; /* of header and payload */
} frame;

static inline bool next_frame(wire *w, size_t at, frame *found)
{
    const char *why = NULL;
    size_t used;
    if (tern__ws_decode(w->heard + at, w->heard_len - at, &found->header, &used, &why) != 0) {
        assert_null(why);
        return false;
    }
    if (w->heard_len - at - used < found->header.len) return false;
    uint8_t *payload = w->heard + at + used;
    found->payload = payload;
    found->len = used + (size_t)found->header.len;
    assert_true(found->header.masked && found->header.fin && found->header.reserved == 0);
    tern__ws_mask(payload, payload, (size_t)found->header.len, found->header.mask, 0);
    return true;
}

/* Turns until the peer heard a whole frame at `at`. */
static inline frame hear_frame(wire *w, size_t at)
{
    frame found;
    while (!next_frame(w, at, &found))
        wire_turn(w);
    return found;
}

static inline void check_close(wire *w, size_t at, unsigned code)
{
    frame found = hear_frame(w, at);
    assert_int_equal(found.header.opcode, TERN__WS_CLOSE);
    if (code == 0) {
        assert_int_equal(found.header.len, 0);
        return;
    }
    assert_int_equal(found.header.len, 2);
    assert_int_equal(found.payload[0] << 8 | found.payload[1], (int)code);
}

/* Writes until there is no room; returns what was taken. */
enum { STUFFING = 50000 };

/* Offers a block of that size, which is taken whole: 0 or TERN_E_AGAIN. */
static inline int stuff_block(wire *w)
{
    static uint8_t block[STUFFING];
    size_t n = 0;
    tern__iov piece = {block, sizeof block};
    int rc = tern__stream_write(w->stream, &piece, 1, &n);
    assert_int_equal(n, rc == 0 ? STUFFING : 0);
    return rc;
}

/* Writes until there is no room. The last block is in a frame that waits, and is told to be written once it is out. */
static inline size_t stuff(wire *w)
{
    size_t taken = STUFFING;
    int rc;
    while ((rc = stuff_block(w)) == 0) taken += STUFFING;
    assert_int_equal(rc, TERN_E_AGAIN);
    return taken;
}

#endif
