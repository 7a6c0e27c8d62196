/* Scripts over an engine: bytes in, bytes out, time and submissions, all on virtual time and
 * checked exactly. SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_ENGINE_SCRIPT_H
#define TERN_TEST_ENGINE_SCRIPT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine/engine.h"

enum { SCRIPT_SECOND = 1000000 };

/* An engine with its surroundings. `config` and `connect` may be changed between script_init() and
 * script_start(). */
typedef struct script {
    tern__engine *engine;
    tern__block_pool *pool;
    tern__engine_config config;
    tern__connect_config connect;
    uint64_t now;
    uint64_t epoch;    /* of the last block of messages */
    uint32_t last_seq; /* largest ack_seq handed over */
    tern__buf out;     /* written by the engine and not yet expected */
    tern__buf
        delivered; /* "topic=payload/qos[d][r];" a message, NUL-terminated by script_delivered() */
    tern__engine_event event; /* the last one that was no MESSAGES */
} script;

void script_init(script *s, int version);
void script_start(script *s); /* makes the engine */
void script_free(script *s);
/* script_init, script_start, script_online. */
void script_ready(script *s, int version);

/* Opens the transport: CONNECT is what comes out next. */
void script_open(script *s);
/* Opens the transport, swallows CONNECT, answers with the CONNACK (hex; NULL accepts plainly). */
void script_online(script *s, const char *connack);
void script_offline(script *s);

/* Bytes in hex, with text in single quotes: "30 05 00 01 'a' 'hi'". Returns the engine's answer. */
int script_recv(script *s, const char *hex);
int script_recv_bytes(script *s, const void *data, size_t len);
/* Exactly these bytes come out now, no more and no fewer. */
void script_expect(script *s, const char *hex);
/* Takes what comes out into s->out; at most `limit` bytes are let out by the transport. */
void script_drain(script *s, size_t limit);
/* What is in s->out is these bytes; s->out is emptied. */
void script_came_out(script *s, const char *hex);
/* Input that no server may send: the answer is `error`, nothing of it is delivered, a version 5
 * server is told `reason` in a DISCONNECT and a 3.1.1 one gets nothing more; the FAILED event names
 * a rule or an offset. [C17] */
void script_refuses(script *s, const char *hex, int error, uint8_t reason);
/* Advances time to the engine's deadlines one by one, up to now + us. */
void script_wait(script *s, uint64_t us);

/* 0 or the outbox's refusal. */
int script_publish(script *s, uint8_t qos, const char *topic, const char *payload,
                   tern__completion *completion);
/* One filter, with flags of a subscription; the completion is made ready, NULL: nobody asks. */
void script_subscribe(script *s, const char *filter, uint32_t flags, tern__completion *completion);
void script_unsubscribe(script *s, const char *filter, tern__completion *completion);
/* Takes all events; messages go to s->delivered, the last other one is returned (0: none). */
tern__engine_event_kind script_event(script *s);
/* What was delivered since the last call, as text. */
const char *script_delivered(script *s);
/* The completion ended (in order: it is the next one told). */
void script_ended(script *s, const tern__completion *completion);
/* A request ended like this: with these codes (hex), or with an error and none. */
void script_answered(script *s, tern__completion *completion, int error, const char *codes);
void script_outcome(script *s, const tern__completion *completion, tern_outcome outcome,
                    tern_cause cause, int reason);

size_t script_parse(const char *hex, uint8_t *out, size_t max);
/* Splits s->out into packets: the first one's length, 0 when there is no whole one. */
size_t script_packet_len(const uint8_t *data, size_t len, size_t *head);

#endif
