/* WebSocket as a filter. Payload is unwrapped in the reader's own buffer; what is written is masked
 * into one buffer of the filter, as is a pong or a close.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/websocket.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "platform/random.h"
#include "transport/http_exchange.h"
#include "transport/ws_frame.h"
#include "transport/ws_upgrade.h"

enum {
    OUT_MIN = 1024,
    OUT_MAX = 65536,
    /* Around a frame's payload: its header, and behind it a close or a pong, which always fits. */
    AROUND = TERN__WS_HEADER_MAX + TERN__WS_HEADER_MAX + TERN__WS_CONTROL_MAX,
    FRAME_MAX = OUT_MAX - AROUND, /* payload of a frame that is written */
    MASKS = 16,                   /* that are drawn at once */
    READ_ROUNDS = 64,             /* reads below in one read without payload */
    PEER_SIZE = 300
};

/* How far the stream is. */
typedef enum phase {
    OPENING, /* -> OPEN */
    OPEN,    /* -> ENDED */
    ENDED    /* read answers `end` */
} phase;

/* Why it ended. */
typedef enum ending {
    BROKEN,      /* the stream below: lost, or without memory */
    CLOSED,      /* by the peer's close frame */
    FAULT_FOUND, /* the peer broke a rule */
    NO_RANDOM    /* the system has no random bytes */
} ending;

/* The frame whose bytes come in. */
typedef struct inbound {
    uint8_t head[TERN__WS_HEADER_MAX];
    size_t head_len; /* bytes of its header so far; 0 between frames */
    bool in_payload;
    bool in_message; /* a fragmented message waits for its rest */
    tern__ws_header frame;
    uint64_t left; /* of its payload */
    uint8_t control[TERN__WS_CONTROL_MAX];
    size_t control_len;
} inbound;

/* out.data[sent..out.len) goes out next; then a pong, where one is due. */
typedef struct outbound {
    tern__buf out;
    size_t sent;
    uint8_t masks[MASKS][TERN__WS_MASK_LEN];
    size_t masks_left;
    size_t owed; /* payload in `out` that the caller has not been told to be written yet */
    bool pong_due;
    size_t pong_len;
    uint8_t pong[TERN__WS_CONTROL_MAX]; /* of the last ping: the earlier ones need no answer */
    bool close_made; /* our close frame is in `out`, or went: nothing may follow it */
    bool finish_due; /* the end below follows once all is out */
    int lost;        /* what a write below answered that ends all writing; reading goes on */
} outbound;

typedef struct websocket {
    tern__stream base;
    tern__source source; /* what the filter below tells */
    tern__source *user;
    bool user_reads;
    bool user_writes;
    bool below_writes; /* the filter below watches for room */
    phase phase;
    ending why;
    int end;       /* what read answers once it ended */
    bool end_told; /* and it did */
    tern__ws_fault fault;
    uint16_t close_code; /* the peer's; 0: its frame had none */
    uint64_t frame_max;
    tern__http_exchange *exchange; /* of the upgrade; NULL once its rest was read */
    inbound in;
    outbound out;
    char accept[TERN__WS_ACCEPT_SIZE];
    char peer[PEER_SIZE]; /* host:port, for texts */
} websocket;

static void end_with(websocket *self, int error, ending why)
{
    if (self->phase == ENDED) return;
    self->phase = ENDED;
    self->end = error;
    self->why = why;
}

/* ---- what goes out ---- */

static int fresh_mask(websocket *self, uint8_t mask[TERN__WS_MASK_LEN])
{
    if (self->out.masks_left == 0) {
        int rc = tern__random(self->out.masks, sizeof self->out.masks);
        if (rc != 0) return rc;
        self->out.masks_left = MASKS;
    }
    memcpy(mask, self->out.masks[--self->out.masks_left], TERN__WS_MASK_LEN);
    return 0;
}

/* Appends a frame of `len` bytes out of the pieces; there is room for it. */
static int append_frame(websocket *self, uint8_t opcode, const tern__iov *pieces, size_t len)
{
    tern__buf *out = &self->out.out;
    tern__ws_header header = {.fin = true, .masked = true, .opcode = opcode, .len = len};
    int rc = fresh_mask(self, header.mask);
    if (rc != 0) return rc;
    assert(out->cap - out->len >= len + TERN__WS_HEADER_MAX && "room was made for the frame");
    out->len += tern__ws_encode(&header, out->data + out->len);
    for (size_t done = 0; done < len; pieces++) {
        size_t part = pieces->len < len - done ? pieces->len : len - done;
        tern__ws_mask(out->data + out->len, pieces->data, part, header.mask, done);
        out->len += part;
        done += part;
    }
    return 0;
}

static int append_control(websocket *self, uint8_t opcode, void *payload, size_t len)
{
    tern__iov piece = {payload, len};
    int rc = append_frame(self, opcode, &piece, len);
    if (rc != 0) end_with(self, rc, NO_RANDOM);
    return rc;
}

/* The last frame: nothing follows it, not even a pong. */
static void append_close(websocket *self, uint16_t code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (self->out.close_made) return;
    self->out.close_made = true;
    self->out.pong_due = false;
    (void)append_control(self, TERN__WS_CLOSE, payload, code != 0 ? sizeof payload : 0);
}

static bool has_output(const websocket *self)
{
    return self->out.sent < self->out.out.len || self->out.pong_due || self->out.finish_due;
}

static int flush_buffer(websocket *self)
{
    tern__buf *out = &self->out.out;
    while (self->out.sent < out->len) {
        size_t n = 0;
        tern__iov piece = {out->data + self->out.sent, out->len - self->out.sent};
        int rc = tern__stream_write(self->base.next, &piece, 1, &n);
        if (rc != 0) return rc;
        self->out.sent += n;
    }
    tern__buf_clear(out);
    self->out.sent = 0;
    return 0;
}

/* 0: all is out; TERN_E_AGAIN; else nothing can be written any more. What the peer said before that
 * is still read. */
static int flush(websocket *self)
{
    int rc = self->out.lost != 0 ? self->out.lost : flush_buffer(self);
    if (rc == 0 && self->out.pong_due) {
        self->out.pong_due = false;
        rc = append_control(self, TERN__WS_PONG, self->out.pong, self->out.pong_len);
        if (rc == 0) rc = flush_buffer(self);
    }
    if (rc == 0 && self->out.finish_due) {
        self->out.finish_due = false;
        rc = tern__stream_finish(self->base.next);
    }
    if (rc != 0 && rc != TERN_E_AGAIN) {
        self->out.finish_due = self->out.pong_due = false;
        self->out.sent = self->out.out.len = 0;
        self->out.lost = rc;
    }
    return rc;
}

/* ---- readiness ---- */

/* Bytes, or the end, that read() would give without the stream below. */
static bool holds(const websocket *self)
{
    if (self->phase == ENDED) return !self->end_told;
    return self->phase == OPEN && tern__http_exchange_has_rest(self->exchange);
}

/* What is held here is not the socket's to tell: one that has room is ready at once. */
static bool wants_room(const websocket *self)
{
    return self->user_writes || has_output(self) || (self->user_reads && holds(self));
}

static int watch_below(websocket *self)
{
    self->below_writes = wants_room(self);
    return tern__stream_watch(self->base.next, self->user_reads, self->below_writes);
}

/* After what may have changed it. Unheard of, the stream would wait for ever: then it ends. */
static void update_watch(websocket *self)
{
    if (wants_room(self) == self->below_writes) return;
    int rc = watch_below(self);
    if (rc != 0) end_with(self, rc, BROKEN);
}

static int watch(tern__stream *stream, bool read, bool write)
{
    websocket *self = (websocket *)stream;
    self->user_reads = read;
    self->user_writes = write;
    return watch_below(self);
}

static void set_source(tern__stream *stream, tern__source *source)
{
    websocket *self = (websocket *)stream;
    self->user = source;
    tern__stream_set_source(stream->next, &self->source);
}

/* The user may close the stream in its turn: nothing of it is touched afterwards. */
static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    websocket *self = TERN__CONTAINER(source, websocket, source);
    unsigned told = events;
    if (self->phase != OPENING) {
        told &= ~(unsigned)TERN__READY_WRITE;
        if ((events & TERN__READY_WRITE) != 0) {
            int rc = has_output(self) ? flush(self) : 0;
            if (rc != 0 && rc != TERN_E_AGAIN) told |= TERN__READY_ERROR;
            if (rc != TERN_E_AGAIN && self->user_writes) told |= TERN__READY_WRITE;
        }
        update_watch(self);
        if (self->user_reads && holds(self)) told |= TERN__READY_READ;
    }
    assert(self->user != NULL && "a watched stream has a source");
    if (told != 0) self->user->ready(self->user, told, now);
}

/* ---- the upgrade ---- */

static int fail_to_open(websocket *self, int rc, tern__stream_failure *failure)
{
    *failure = (tern__stream_failure){.error = TERN_E_WEBSOCKET, .step = TERN_STEP_WEBSOCKET};
    snprintf(failure->hint, sizeof failure->hint,
             "not HTTP: an MQTT listener without WebSocket? check the port and the scheme");
    tern__http_exchange_failed(self->exchange, self->base.next, rc, self->peer, "the server",
                               "the WebSocket upgrade", failure);
    return failure->error;
}

static int open_filter(tern__stream *stream, tern__stream_failure *failure)
{
    websocket *self = (websocket *)stream;
    int rc = tern__http_exchange_go(self->exchange, stream->next);
    if (rc == TERN_E_AGAIN) return rc;
    if (rc != 0) return fail_to_open(self, rc, failure);
    rc = tern__ws_judge(&self->exchange->head, self->accept, self->peer, failure);
    if (rc != 0) {
        if (failure->text[0] == '\0')
            tern__http_exchange_refused(self->exchange, stream->next, self->peer,
                                        "the server answers the WebSocket upgrade", failure);
        return rc;
    }
    self->phase = OPEN;
    if (!tern__http_exchange_has_rest(self->exchange)) {
        tern__http_exchange_free(self->exchange);
        self->exchange = NULL;
    }
    return 0;
}

/* ---- what comes in ---- */

static void found_fault(websocket *self, tern__ws_fault fault)
{
    if (self->phase == ENDED) return;
    append_close(self, fault.code);
    self->fault = fault;
    end_with(self, TERN_E_WEBSOCKET, FAULT_FOUND);
}

static void take_close(websocket *self)
{
    inbound *in = &self->in;
    tern__ws_fault fault = tern__ws_check_close(in->control, in->control_len);
    if (fault.code != 0) {
        found_fault(self, fault);
        return;
    }
    if (in->control_len >= 2) self->close_code = (uint16_t)(in->control[0] << 8 | in->control[1]);
    append_close(self, self->close_code);
    end_with(self, TERN_E_CONNECTION_LOST, CLOSED);
}

/* All of the frame's payload is there. */
static void end_frame(websocket *self)
{
    inbound *in = &self->in;
    in->in_payload = false;
    in->head_len = 0;
    if (!tern__ws_is_control(in->frame.opcode)) {
        in->in_message = !in->frame.fin;
    } else if (in->frame.opcode == TERN__WS_CLOSE) {
        take_close(self);
    } else if (in->frame.opcode == TERN__WS_PING && !self->out.close_made) {
        self->out.pong_due = true;
        self->out.pong_len = in->control_len;
        memcpy(self->out.pong, in->control, in->control_len);
    }
}

/* Takes bytes of a header, up to its end; returns their number. */
static size_t take_header(websocket *self, const uint8_t *data, size_t len)
{
    inbound *in = &self->in;
    tern__ws_fault fault = {TERN__WS_PROTOCOL_ERROR, NULL};
    size_t at = 0;
    size_t used;
    int rc = TERN_E_AGAIN;
    if (in->head_len == 0) {
        rc = tern__ws_decode(data, len, &in->frame, &used, &fault.why);
        in->head_len = at = used;
    }
    /* One that is cut is put together byte by byte. */
    while (at < len && rc == TERN_E_AGAIN) {
        in->head[in->head_len++] = data[at++];
        rc = tern__ws_decode(in->head, in->head_len, &in->frame, &used, &fault.why);
    }
    if (rc == TERN_E_AGAIN) return at;
    if (rc == 0) fault = tern__ws_check(&in->frame, in->in_message, self->frame_max);
    if (fault.code != 0) {
        found_fault(self, fault);
        return at;
    }
    in->left = in->frame.len;
    in->control_len = 0;
    in->in_payload = true;
    if (in->left == 0) end_frame(self);
    return at;
}

/* Moves the payload that is in data to its beginning, over headers and control frames; returns its
 * length. */
static size_t unwrap(websocket *self, uint8_t *data, size_t len)
{
    inbound *in = &self->in;
    size_t at = 0;
    size_t kept = 0;
    while (at < len && self->phase == OPEN) {
        if (!in->in_payload) {
            at += take_header(self, data + at, len - at);
            continue;
        }
        size_t part = in->left < len - at ? (size_t)in->left : len - at;
        if (tern__ws_is_control(in->frame.opcode)) {
            memcpy(in->control + in->control_len, data + at, part);
            in->control_len += part;
        } else {
            if (kept != at) memmove(data + kept, data + at, part);
            kept += part;
        }
        at += part;
        in->left -= part;
        if (in->left == 0) end_frame(self);
    }
    return kept;
}

/* Bytes as they come: those that came with the upgrade's answer first. */
static int read_raw(websocket *self, void *data, size_t len, size_t *n)
{
    if (self->exchange != NULL) {
        *n = tern__http_exchange_take(self->exchange, data, len);
        if (!tern__http_exchange_has_rest(self->exchange)) {
            tern__http_exchange_free(self->exchange);
            self->exchange = NULL;
        }
        return 0;
    }
    return tern__stream_read(self->base.next, data, len, n);
}

/* Reads until data is full, nothing more is there, or the stream ended; returns the payload's
 * length. A short read below tells that it is drained. */
static size_t fill(websocket *self, uint8_t *data, size_t len)
{
    size_t filled = 0;
    for (unsigned round = 0; self->phase == OPEN && filled < len; round++) {
        size_t n = 0;
        size_t room = len - filled;
        bool from_below = self->exchange == NULL;
        int rc = read_raw(self, data + filled, room, &n);
        if (rc == TERN_E_AGAIN) break;
        if (rc != 0) {
            end_with(self, rc, BROKEN);
            break;
        }
        filled += unwrap(self, data + filled, n);
        if (from_below && filled != 0 && n < room) break;
        /* Pings without end must not keep the thread; what TLS holds the socket does not tell. */
        if (round >= READ_ROUNDS && !tern__stream_pending(self->base.next)) break;
    }
    return filled;
}

static int read_some(tern__stream *stream, void *data, size_t len, size_t *n)
{
    websocket *self = (websocket *)stream;
    *n = fill(self, data, len);
    if (has_output(self)) (void)flush(self);
    if (*n == 0 && self->phase == ENDED) self->end_told = true;
    update_watch(self);
    if (*n != 0) return 0;
    return self->phase == ENDED ? self->end : TERN_E_AGAIN;
}

/* Room for `need` bytes in the buffer, which is empty. What went out of the smaller one was masked, but
 * the mask lies beside it: a password in a CONNECT must not stay in freed memory. */
static int grow_out(tern__buf *out, size_t need)
{
    tern__buf larger;
    assert(out->len == 0 && "nothing is due where a frame is made");
    if (need <= out->cap) return 0;
    tern__buf_init(&larger);
    int rc = tern__buf_reserve(&larger, need);
    if (rc != 0) return rc;
    tern__cleanse(out->data, out->cap);
    tern__buf_deinit(out);
    *out = larger;
    return 0;
}

/* How much of the pieces the next frame takes. */
static size_t frame_len(websocket *self, const tern__iov *iov, size_t count)
{
    tern__buf *out = &self->out.out;
    size_t total = 0;
    for (size_t i = 0; i < count && total < FRAME_MAX; i++)
        total += iov[i].len < FRAME_MAX - total ? iov[i].len : FRAME_MAX - total;
    assert(total != 0 && "a frame of nothing is never asked for");
    /* Without memory for a large frame it becomes a smaller one. */
    return grow_out(out, total + AROUND) == 0 ? total : out->cap - AROUND;
}

static int write_some(tern__stream *stream, const tern__iov *iov, size_t count, size_t *n)
{
    websocket *self = (websocket *)stream;
    *n = 0;
    if (self->phase == ENDED) return self->end;
    if (self->out.close_made) return TERN_E_CONNECTION_LOST;
    int rc = flush(self);
    if (rc == 0 && self->out.owed == 0) {
        size_t total = frame_len(self, iov, count);
        rc = append_frame(self, TERN__WS_BINARY, iov, total);
        if (rc != 0) {
            end_with(self, rc, NO_RANDOM);
            return rc;
        }
        self->out.owed = total;
        rc = flush(self);
    }
    update_watch(self);
    if (rc != 0) return rc;
    *n = self->out.owed; /* the caller's first bytes: now, or when they were first offered */
    self->out.owed = 0;
    return 0;
}

static bool pending(const tern__stream *stream)
{
    return holds((const websocket *)stream);
}

/* ---- ends ---- */

static int finish(tern__stream *stream)
{
    websocket *self = (websocket *)stream;
    if (self->phase == OPEN) append_close(self, TERN__WS_NORMAL);
    self->out.finish_due = true;
    int rc = flush(self);
    update_watch(self);
    return rc == 0 || rc == TERN_E_AGAIN ? 0 : TERN_E_CONNECTION_LOST;
}

static void describe_close(const websocket *self, tern__stream_failure *failure)
{
    char reason[TERN__WS_CONTROL_MAX + 1] = "";
    const char *meaning = tern__ws_close_text(self->close_code);
    if (self->in.control_len > 2)
        snprintf(reason, sizeof reason, "%.*s", (int)(self->in.control_len - 2),
                 (const char *)self->in.control + 2);
    tern__log_clean(reason);
    if (self->close_code == 0)
        snprintf(failure->text, sizeof failure->text,
                 "%.80s: the server closed the WebSocket without a code", self->peer);
    else
        snprintf(failure->text, sizeof failure->text,
                 "%.80s: the server closed the WebSocket with code %u%s%s%s%s%s%s", self->peer,
                 (unsigned)self->close_code, *meaning != '\0' ? " (" : "", meaning,
                 *meaning != '\0' ? ")" : "", *reason != '\0' ? ": \"" : "", reason,
                 *reason != '\0' ? "\"" : "");
}

/* The end came without a close frame. */
static bool describe_loss(const websocket *self, tern__stream_failure *failure)
{
    if (tern__stream_explain(self->base.next, failure)) return true;
    if (self->end != TERN_E_CONNECTION_LOST || tern__stream_os_error(self->base.next) != 0)
        return false;
    *failure = (tern__stream_failure){.error = self->end, .step = TERN_STEP_WEBSOCKET};
    snprintf(failure->text, sizeof failure->text, "%.100s: the server ended the connection %s",
             self->peer,
             self->in.head_len != 0 || self->in.in_message ? "in the middle of a WebSocket message"
                                                           : "without closing the WebSocket");
    return true;
}

static bool explain(const tern__stream *stream, tern__stream_failure *failure)
{
    const websocket *self = (const websocket *)stream;
    if (self->phase != ENDED) return false;
    if (self->why == BROKEN) return describe_loss(self, failure);
    *failure = (tern__stream_failure){.error = self->end, .step = TERN_STEP_WEBSOCKET};
    if (self->why == CLOSED) {
        describe_close(self, failure);
    } else if (self->why == NO_RANDOM) {
        snprintf(failure->text, sizeof failure->text,
                 "%.100s: the system gives no random bytes to mask a frame with", self->peer);
    } else {
        snprintf(failure->text, sizeof failure->text,
                 "%.100s: the server broke the WebSocket protocol: %s", self->peer,
                 self->fault.why);
        snprintf(failure->hint, sizeof failure->hint,
                 "a fault of the server, or of a proxy in between: look at their versions");
    }
    return true;
}

static void close_filter(tern__stream *stream)
{
    websocket *self = (websocket *)stream;
    tern__stream_close(stream->next);
    tern__http_exchange_free(self->exchange);
    /* Masked, but the mask lies beside it. */
    if (self->out.out.cap != 0) tern__cleanse(self->out.out.data, self->out.out.cap);
    tern__buf_deinit(&self->out.out);
    tern__free(self);
}

int tern__websocket_new(tern__stream **stream, tern__stream *below,
                        const tern__websocket_config *config)
{
    static const tern__stream_ops ops = {.name = "websocket",
                                         .open = open_filter,
                                         .read = read_some,
                                         .write = write_some,
                                         .pending = pending,
                                         .watch = watch,
                                         .set_source = set_source,
                                         .finish = finish,
                                         .explain = explain,
                                         .close = close_filter};
    *stream = NULL;
    websocket *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->base.ops = &ops;
    self->source.ready = on_ready;
    self->frame_max = config->frame_max != 0 ? config->frame_max : UINT64_MAX;
    tern__http1_authority(config->host, config->port, self->peer, sizeof self->peer);
    self->exchange = tern__http_exchange_new(tern__ws_request_room(config));
    int rc = self->exchange == NULL
                 ? TERN_E_NOMEM
                 : tern__ws_request(config, &self->exchange->request, self->accept);
    if (rc == 0) rc = tern__buf_reserve(&self->out.out, OUT_MIN);
    if (rc != 0) {
        close_filter(&self->base);
        return rc;
    }
    self->base.next = below;
    *stream = &self->base;
    return 0;
}
