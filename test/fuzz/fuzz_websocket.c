/* Fuzz target: any bytes as what a WebSocket server sends after the upgrade. However they are cut,
 * the payload and the end are the same, and what is said back are whole frames of a client.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "support/memory_stream.h"
#include "transport/websocket.h"
#include "transport/ws_frame.h"
#include "transport/ws_upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD_MAX = 1 << 20 };

/* What one way of reading came to. */
typedef struct result {
    uint8_t *payload;
    size_t len;
    int end;       /* 0: none */
    unsigned code; /* of our close frame; 0: none */
    bool closed;
    char text[256];
} result;

static void require(int holds)
{
    if (!holds) abort();
}

static void ignore(tern__source *source, unsigned events, uint64_t now)
{
    (void)source;
    (void)events;
    (void)now;
}

static tern__stream *open_filter(memory_stream *below)
{
    static const tern__websocket_config config = {.host = "h", .port = 80, .frame_max = 1u << 16};
    char accept[TERN__WS_ACCEPT_SIZE];
    char key[TERN__WS_KEY_SIZE] = "";
    char answer[300];
    tern__stream_failure failure;
    tern__stream *filter;
    require(tern__websocket_new(&filter, &below->base, &config) == 0);
    require(tern__stream_open(filter, &failure) == TERN_E_AGAIN);
    require(tern__buf_append(&below->output, "", 1) == 0);
    const char *at = strstr((const char *)below->output.data, "Key: ");
    require(at != NULL);
    memcpy(key, at + 5, sizeof key - 1);
    tern__ws_accept_of(key, accept);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                       accept);
    memory_stream_put(below, answer, (size_t)len, 0);
    require(tern__stream_open(filter, &failure) == 0);
    tern__buf_clear(&below->output);
    return filter;
}

/* All that was said are whole frames of a client; a close is the last of them. */
static void check_output(const memory_stream *below, result *found)
{
    const tern__buf *out = &below->output;
    for (size_t at = 0; at < out->len;) {
        tern__ws_header header;
        const char *why;
        size_t used;
        require(tern__ws_decode(out->data + at, out->len - at, &header, &used, &why) == 0);
        require(header.masked && header.fin && header.reserved == 0 && !found->closed);
        require(header.len <= out->len - at - used && header.len <= TERN__WS_CONTROL_MAX);
        require(header.opcode == TERN__WS_PONG || header.opcode == TERN__WS_CLOSE);
        at += used;
        if (header.opcode == TERN__WS_CLOSE) {
            uint8_t code[2] = {0, 0};
            require(header.len == 0 || header.len == 2);
            tern__ws_mask(code, out->data + at, (size_t)header.len, header.mask, 0);
            found->code = (unsigned)(code[0] << 8 | code[1]);
            found->closed = true;
        }
        at += (size_t)header.len;
    }
}

static void run(const uint8_t *data, size_t size, size_t step, size_t room, result *found)
{
    memory_stream below;
    tern__source source = {ignore};
    tern__stream_failure failure;
    memory_stream_init(&below, step);
    tern__stream *filter = open_filter(&below);
    tern__stream_set_source(filter, &source);
    memory_stream_put(&below, data, size, TERN_E_CONNECTION_LOST);
    memset(found, 0, sizeof *found);
    found->payload = malloc(size + 1);
    require(found->payload != NULL);
    while (found->end == 0) {
        size_t n = 0;
        size_t left = size + 1 - found->len;
        int rc =
            tern__stream_read(filter, found->payload + found->len, left < room ? left : room, &n);
        require(rc == 0 ? n > 0 && n < left : n == 0);
        found->len += n;
        if (rc != 0 && rc != TERN_E_AGAIN) found->end = rc;
    }
    require(found->end == TERN_E_CONNECTION_LOST || found->end == TERN_E_WEBSOCKET);
    require(tern__stream_explain(filter, &failure) && failure.error == found->end);
    memcpy(found->text, failure.text, sizeof found->text);
    for (const char *at = failure.text; *at != '\0'; at++)
        require((unsigned char)*at >= 0x20 && *at != 0x7F);
    (void)tern__stream_finish(filter);
    check_output(&below, found);
    /* A peer that is gone is not told that we go. */
    require(below.finished);
    require(found->closed == (strstr(found->text, "ended the connection") == NULL));
    tern__stream_close(filter);
    memory_stream_deinit(&below);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    result whole;
    result cut;
    if (size == 0 || size > PAYLOAD_MAX) return 0;
    run(data + 1, size - 1, SIZE_MAX, SIZE_MAX, &whole);
    run(data + 1, size - 1, 1 + (data[0] & 7u), 1 + (data[0] >> 3), &cut);
    require(whole.len == cut.len && whole.end == cut.end && whole.code == cut.code);
    require(whole.len == 0 || memcmp(whole.payload, cut.payload, whole.len) == 0);
    require(strcmp(whole.text, cut.text) == 0);
    free(whole.payload);
    free(cut.payload);
    return 0;
}
