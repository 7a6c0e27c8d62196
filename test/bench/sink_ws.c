/* The server's side of WebSocket for the sink (RFC 6455): any framing a client may choose comes in, and one binary frame goes out
 * for all bytes that are given at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sink_ws.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { REQUEST_MAX = 8192, HEAD_MAX = 14, CONTROL_MAX = 125, KEY_LENGTH = 24 };
enum { CONTINUATION = 0, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIN = 0x80, RESERVED = 0x70, MASKED = 0x80 };
enum { NORMAL = 1000, PROTOCOL_ERROR = 1002, UNACCEPTABLE = 1003 };

struct sink_ws {
    bool open; /* the upgrade was answered */
    bool ended;
    unsigned close_code; /* of our close frame; 0: none */
    char request[REQUEST_MAX];
    size_t request_length;
    /* The frame that comes in: */
    uint8_t head[HEAD_MAX];
    size_t head_length;
    bool in_payload;
    bool in_message; /* a fragmented message waits for its rest */
    uint64_t left;   /* of its payload */
    unsigned turn;   /* of the mask: the number of payload bytes before, modulo 4 */
    uint8_t control[CONTROL_MAX];
    size_t control_length;
    /* The frame that goes out: */
    uint8_t out_head[HEAD_MAX];
    size_t out_head_length, out_head_sent;
    uint64_t out_left;
    uint8_t pong[2 + CONTROL_MAX]; /* a whole frame, the rest of one where pong_sent is not 0 */
    size_t pong_length, pong_sent;
};

sink_ws *sink_ws_new(void)
{
    return calloc(1, sizeof(sink_ws));
}

void sink_ws_free(sink_ws *ws)
{
    free(ws);
}

bool sink_ws_ended(const sink_ws *ws)
{
    return ws->ended;
}

bool sink_ws_has_pong(const sink_ws *ws)
{
    return ws->pong_length > 0;
}

static ssize_t broken(void)
{
    errno = EPROTO;
    return -1;
}

static void end_with(sink_ws *ws, unsigned code)
{
    ws->ended = true;
    ws->close_code = code;
}

/* ---- the upgrade ---- */

/* The value of a header field of the request, its length in *length; NULL: there is none. */
static const char *field(const char *request, const char *name, size_t *length)
{
    size_t name_length = strlen(name);
    for (const char *line = strstr(request, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_length) != 0 || line[name_length] != ':') continue;
        const char *value = line + name_length + 1;
        value += strspn(value, " \t");
        *length = strcspn(value, " \t\r");
        return value;
    }
    return NULL;
}

static bool answer_upgrade(sink_ws *ws, int fd)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[KEY_LENGTH + sizeof guid], accept[32], answer[256];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    size_t length = 0, protocol_length = 0;
    const char *key = field(ws->request, "Sec-WebSocket-Key", &length);
    bool protocol = field(ws->request, "Sec-WebSocket-Protocol", &protocol_length) != NULL;
    if (key == NULL || length != KEY_LENGTH) return false;
    snprintf(joined, sizeof joined, "%.*s%s", (int)length, key, guid);
    if (EVP_Digest(joined, strlen(joined), digest, &digest_length, EVP_sha1(), NULL) != 1) return false;
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)digest_length);
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                     accept, protocol ? "Sec-WebSocket-Protocol: mqtt\r\n" : "");
    return send(fd, answer, (size_t)n, MSG_NOSIGNAL) == n; /* the first bytes of a connection always fit */
}

/* Reads the request; puts what follows it in data. As recv(). */
static ssize_t take_request(sink_ws *ws, int fd, uint8_t *data, size_t length)
{
    size_t room = sizeof ws->request - 1 - ws->request_length;
    if (room > length) room = length;
    ssize_t n = recv(fd, ws->request + ws->request_length, room, 0);
    if (n <= 0) return n;
    ws->request_length += (size_t)n;
    ws->request[ws->request_length] = '\0';
    char *end = strstr(ws->request, "\r\n\r\n");
    if (end == NULL && ws->request_length == sizeof ws->request - 1) return broken();
    if (end == NULL) {
        errno = EAGAIN;
        return -1;
    }
    size_t rest = ws->request_length - (size_t)(end + 4 - ws->request);
    memcpy(data, end + 4, rest);
    end[4] = '\0';
    if (!answer_upgrade(ws, fd)) return broken();
    ws->open = true;
    if (rest == 0) errno = EAGAIN;
    return rest > 0 ? (ssize_t)rest : -1;
}

/* ---- what comes in ---- */

static size_t head_length(const uint8_t *head)
{
    unsigned length = head[1] & 0x7Fu;
    return 2 + (length < 126 ? 0u : length == 126 ? 2u : 8u) + ((head[1] & MASKED) != 0 ? 4u : 0u);
}

/* The header is complete: what it says, and whether a client may say it. */
static void begin_frame(sink_ws *ws)
{
    unsigned opcode = ws->head[0] & 15u, length = ws->head[1] & 0x7Fu;
    size_t extra = length < 126 ? 0 : length == 126 ? 2 : 8;
    bool control = (opcode & 8) != 0, fin = (ws->head[0] & FIN) != 0;
    ws->left = extra == 0 ? length : 0;
    for (size_t i = 0; i < extra; i++)
        ws->left = ws->left << 8 | ws->head[2 + i];
    ws->turn = 0;
    ws->control_length = 0;
    ws->in_payload = true;
    if ((ws->head[0] & RESERVED) != 0 || (ws->head[1] & MASKED) == 0) end_with(ws, PROTOCOL_ERROR);
    else if (control && (!fin || ws->left > CONTROL_MAX || opcode > PONG)) end_with(ws, PROTOCOL_ERROR);
    else if (!control && opcode != CONTINUATION && opcode != BINARY) end_with(ws, UNACCEPTABLE);
    else if (!control && (opcode == CONTINUATION) != ws->in_message) end_with(ws, PROTOCOL_ERROR);
}

static void end_frame(sink_ws *ws)
{
    unsigned opcode = ws->head[0] & 15u;
    ws->in_payload = false;
    ws->head_length = 0;
    if ((opcode & 8) == 0) {
        ws->in_message = (ws->head[0] & FIN) == 0;
    } else if (opcode == CLOSE) {
        unsigned code = ws->control_length >= 2 ? (unsigned)(ws->control[0] << 8 | ws->control[1]) : NORMAL;
        end_with(ws, code);
    } else if (opcode == PING && ws->pong_sent == 0) { /* of several pings the last may be answered alone */
        ws->pong[0] = FIN | PONG;
        ws->pong[1] = (uint8_t)ws->control_length;
        memcpy(ws->pong + 2, ws->control, ws->control_length);
        ws->pong_length = 2 + ws->control_length;
    }
}

/* Takes bytes of the header; returns their number. */
static size_t take_head(sink_ws *ws, const uint8_t *data, size_t length)
{
    size_t at = 0;
    while (at < length && (ws->head_length < 2 || ws->head_length < head_length(ws->head)))
        ws->head[ws->head_length++] = data[at++];
    if (ws->head_length < 2 || ws->head_length < head_length(ws->head)) return at;
    begin_frame(ws);
    if (ws->left == 0 && !ws->ended) end_frame(ws);
    return at;
}

/* In place, so that the compiler makes vectors of it. */
static void unmask(uint8_t *data, size_t length, const uint8_t *mask, unsigned turn)
{
    uint8_t turned[8];
    uint64_t key;
    for (unsigned i = 0; i < sizeof turned; i++)
        turned[i] = mask[(turn + i) & 3];
    memcpy(&key, turned, sizeof key);
    size_t words = length / sizeof key;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, data + i * sizeof key, sizeof word);
        word ^= key;
        memcpy(data + i * sizeof key, &word, sizeof word);
    }
    for (size_t i = words * sizeof key; i < length; i++)
        data[i] ^= turned[i & 7];
}

/* Moves the payload in data to its beginning, unmasked; returns its length. */
static size_t unwrap(sink_ws *ws, uint8_t *data, size_t length)
{
    size_t at = 0, kept = 0;
    while (at < length && !ws->ended) {
        if (!ws->in_payload) {
            at += take_head(ws, data + at, length - at);
            continue;
        }
        size_t part = ws->left < length - at ? (size_t)ws->left : length - at;
        unmask(data + at, part, ws->head + head_length(ws->head) - 4, ws->turn);
        ws->turn = (unsigned)((ws->turn + part) & 3);
        if ((ws->head[0] & 8) != 0) {
            memcpy(ws->control + ws->control_length, data + at, part);
            ws->control_length += part;
        } else {
            memmove(data + kept, data + at, part);
            kept += part;
        }
        at += part;
        ws->left -= part;
        if (ws->left == 0) end_frame(ws);
    }
    return kept;
}

ssize_t sink_ws_take(sink_ws *ws, int fd, uint8_t *data, size_t length)
{
    if (ws->ended) return 0;
    ssize_t n = ws->open ? recv(fd, data, length, 0) : take_request(ws, fd, data, length);
    if (n <= 0) return n;
    size_t kept = unwrap(ws, data, (size_t)n);
    if (kept > 0) return (ssize_t)kept;
    if (ws->ended) return 0;
    if (!sink_ws_flush(ws, fd)) return -1;
    errno = EAGAIN;
    return -1;
}

/* ---- what goes out ---- */

static bool in_frame(const sink_ws *ws)
{
    return ws->out_head_sent < ws->out_head_length || ws->out_left > 0;
}

bool sink_ws_flush(sink_ws *ws, int fd)
{
    if (ws->pong_length == 0 || in_frame(ws)) return true;
    ssize_t n = send(fd, ws->pong + ws->pong_sent, ws->pong_length - ws->pong_sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    ws->pong_sent += (size_t)n;
    if (ws->pong_sent == ws->pong_length) ws->pong_sent = ws->pong_length = 0;
    return true;
}

/* A frame of a server has no mask. */
static void begin_out(sink_ws *ws, size_t length)
{
    size_t extra = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    ws->out_head[0] = FIN | BINARY;
    ws->out_head[1] = (uint8_t)(extra == 0 ? length : extra == 2 ? 126 : 127);
    for (size_t i = 0; i < extra; i++)
        ws->out_head[2 + i] = (uint8_t)((uint64_t)length >> 8 * (extra - 1 - i));
    ws->out_head_length = 2 + extra;
    ws->out_head_sent = 0;
    ws->out_left = length;
}

ssize_t sink_ws_give(sink_ws *ws, int fd, const uint8_t *data, size_t length)
{
    if (!sink_ws_flush(ws, fd)) return -1;
    if (!in_frame(ws)) {
        if (ws->pong_sent > 0) { /* half a pong stands in the way */
            errno = EAGAIN;
            return -1;
        }
        begin_out(ws, length);
    }
    size_t head = ws->out_head_length - ws->out_head_sent;
    size_t part = ws->out_left < length ? (size_t)ws->out_left : length;
    struct iovec iov[2] = {{ws->out_head + ws->out_head_sent, head}, {(void *)(uintptr_t)data, part}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0) return -1;
    size_t of_head = (size_t)n < head ? (size_t)n : head;
    ws->out_head_sent += of_head;
    ws->out_left -= (size_t)n - of_head;
    if ((size_t)n > of_head) return n - (ssize_t)of_head;
    errno = EAGAIN;
    return -1;
}

void sink_ws_close(sink_ws *ws, int fd)
{
    unsigned code = ws->close_code != 0 ? ws->close_code : NORMAL;
    uint8_t frame[4] = {FIN | CLOSE, 2, (uint8_t)(code >> 8), (uint8_t)code};
    if (!ws->open || in_frame(ws) || ws->pong_sent > 0) return;
    (void)send(fd, frame, sizeof frame, MSG_NOSIGNAL | MSG_DONTWAIT);
}
