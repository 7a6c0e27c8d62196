/* Runs scripts that are text: see steps.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/steps.h"

#include "codec/props.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>
#include <tern/subscription.h>

enum { BYTES_MAX = 1024, COMPLETIONS = 4, NAME_MAX_LEN = 140 };

/* A row in work. */
typedef struct play {
    script s;
    const steps_row *row;
    int version;
    unsigned begun; /* messages and requests */
    tern__completion ends[COMPLETIONS];
} play;

/* ---- bytes ---- */

/* One packet, with the remaining length where there is an '@'. */
static size_t parse_packet(const char *hex, size_t len, uint8_t *out)
{
    char text[256];
    assert_true(len < sizeof text);
    memcpy(text, hex, len);
    text[len] = '\0';
    char *hole = strchr(text, '@');
    if (hole == NULL) return script_parse(text, out, BYTES_MAX);
    *hole = '\0';
    assert_int_equal(script_parse(text, out, 1), 1);
    const size_t body = script_parse(hole + 1, out + 2, BYTES_MAX);
    assert_true(body < 128);
    out[1] = (uint8_t)body;
    return body + 2;
}

/* Packets with '|' between them. */
static size_t parse(const char *hex, uint8_t *out)
{
    size_t len = 0;
    for (;;) {
        const size_t piece = strcspn(hex, "|");
        assert_true(len + piece + 2 < BYTES_MAX);
        len += parse_packet(hex, piece, out + len);
        if (hex[piece] == '\0') return len;
        hex += piece + 1;
    }
}

static int receive(play *p, const char *hex)
{
    uint8_t bytes[BYTES_MAX];
    return script_recv_bytes(&p->s, bytes, parse(hex, bytes));
}

static void comes_out(play *p, const char *hex)
{
    uint8_t bytes[BYTES_MAX];
    const size_t len = parse(hex, bytes);
    script_drain(&p->s, SIZE_MAX);
    if (p->s.out.len != len || (len != 0 && memcmp(p->s.out.data, bytes, len) != 0)) {
        for (size_t i = 0; i < p->s.out.len; i++)
            print_error("%02x ", p->s.out.data[i]);
        fail_msg("came out, not %s", hex);
    }
    tern__buf_clear(&p->s.out);
}

/* "8b e0 00": the number, and where the rest begins. */
static unsigned number(const char **text, int base)
{
    char *end;
    const unsigned long value = strtoul(*text, &end, base);
    assert_true(end != *text && value < 256);
    *text = *end == ' ' ? end + 1 : end;
    return (unsigned)value;
}

/* ---- what the server does ---- */

/* A packet no server may send: refused with the reason, nothing of it is delivered, nothing ends by
 * it, a version 5 server hears the reason and a 3.1.1 one nothing, the event says where and which
 * rule, and it is over. [C17] [MQTT5-4.13.1-1] [MQTT311-4.8.0-1] */
static void breaks_a_rule(play *p, const char *text)
{
    script *s = &p->s;
    const unsigned reason = number(&text, 16);
    (void)tern__engine_sync_locked(s->engine);
    const uint64_t open = tern__engine_open_count(s->engine);
    const uint64_t epoch = tern__engine_epoch(s->engine);
    char goodbye[16];
    (void)snprintf(goodbye, sizeof goodbye, "e0 01 %02x", reason);
    assert_string_equal(script_delivered(s), "");
    const int rc = receive(p, text);
    assert_true(rc == TERN_E_MALFORMED || rc == TERN_E_PROTOCOL);
    assert_int_equal(script_event(s), TERN__EVENT_FAILED);
    assert_int_equal(s->event.error, rc);
    if (p->version == TERN__V5)
        assert_int_equal(s->event.reason, reason);
    else
        assert_int_equal(s->event.reason, -1);
    if (strncmp(s->event.text, "offset ", 7) != 0 || strchr(s->event.text, '[') == NULL)
        fail_msg("\"%s\" names no offset and rule", s->event.text);
    assert_string_equal(script_delivered(s), "");
    comes_out(p, p->version == TERN__V5 ? goodbye : "");
    assert_int_equal(script_recv(s, "d0 00"), TERN_E_STATE);
    comes_out(p, "");
    assert_false(tern__engine_connected(s->engine));
    assert_int_equal(tern__engine_epoch(s->engine), epoch);
    assert_null(tern__engine_next_completion(s->engine));
    script_offline(s);
    assert_int_equal(tern__engine_open_count(s->engine), open);
}

static void ends_the_link(play *p, const char *text, tern__engine_event_kind kind, int error)
{
    const unsigned reason = number(&text, 16);
    assert_int_equal(receive(p, text), error);
    assert_int_equal(script_event(&p->s), kind);
    assert_int_equal(p->s.event.error, error);
    assert_int_equal(p->s.event.reason, reason);
    assert_int_equal(script_recv(&p->s, "d0 00"), TERN_E_STATE);
    comes_out(p, "");
    assert_false(tern__engine_connected(p->s.engine));
}

static void is_taken(play *p, const char *text)
{
    assert_int_equal(receive(p, text), 0);
    const tern__engine_event_kind kind = script_event(&p->s);
    assert_true(kind == 0 || kind == TERN__EVENT_CONNECTED);
}

/* CONNECT comes first, and nothing with it. [MQTT5-3.1.0-1] [MQTT311-3.1.0-1] */
static void greets(play *p)
{
    size_t head;
    script_open(&p->s);
    script_drain(&p->s, SIZE_MAX);
    assert_int_equal(p->s.out.data[0], 0x10);
    assert_int_equal(script_packet_len(p->s.out.data, p->s.out.len, &head), p->s.out.len);
    tern__buf_clear(&p->s.out);
}

static void connects_again(play *p, const char *connack)
{
    greets(p);
    is_taken(p, connack);
    assert_true(tern__engine_connected(p->s.engine));
}

/* ---- what we do ---- */

static tern__completion *begin(play *p)
{
    assert_true(p->begun < COMPLETIONS);
    return &p->ends[p->begun++];
}

/* QoS, topic, payload. */
static void publish(play *p, const char *text)
{
    char topic[32];
    char payload[64] = "";
    const unsigned qos = number(&text, 10);
    assert_true(sscanf(text, "%31s %63s", topic, payload) >= 1);
    assert_int_equal(script_publish(&p->s, (uint8_t)qos, topic, payload, begin(p)), 0);
}

static void append(play *p, tern__submission *submission)
{
    uint64_t id;
    submission->publish.topic = (tern__view){(const uint8_t *)"t", 1};
    submission->completion = begin(p);
    tern__list_init(&submission->completion->link);
    assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(p->s.engine), submission, &id),
                     0);
    (void)tern__engine_sync_locked(p->s.engine);
}

static void publish_retained(play *p, const char *text)
{
    tern__submission submission = {.publish = {.qos = (uint8_t)number(&text, 10), .retain = true}};
    append(p, &submission);
}

/* QoS and seconds. */
static void publish_expiring(play *p, const char *text)
{
    const unsigned qos = number(&text, 10);
    const unsigned seconds = number(&text, 10);
    tern__buf props = {0};
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, seconds), 0);
    tern__submission submission = {
        .publish = {.qos = (uint8_t)qos},
        .props = {props.data, props.len, UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY},
        .expires_us = p->s.now + (uint64_t)seconds * SCRIPT_SECOND,
    };
    append(p, &submission);
    tern__buf_deinit(&props);
}

static void outcome(play *p, char what, const char *text)
{
    const tern__completion *end = &p->ends[number(&text, 10)];
    const int reason = what == 'd' || what == 'r' ? (int)number(&text, 16) : -1;
    script_ended(&p->s, end);
    switch (what) {
    case 'd':
        assert_int_equal(end->outcome, TERN_OUTCOME_DELIVERED);
        break;
    case 'r':
        assert_int_equal(end->outcome, TERN_OUTCOME_REFUSED);
        break;
    case 'l':
        assert_int_equal(end->outcome, TERN_OUTCOME_UNKNOWN);
        assert_int_equal(end->cause, TERN_CAUSE_SESSION_LOST);
        break;
    default:
        assert_int_equal(end->outcome, TERN_OUTCOME_NOT_SENT);
        break;
    }
    assert_int_equal(end->reason, reason);
}

static void answer(play *p, const char *text, int error)
{
    tern__completion *end = &p->ends[number(&text, 10)];
    script_answered(&p->s, end, error, text);
}

/* ---- rows ---- */

/* What the server does, and what is to be seen of us. False where it is another step. */
static bool step_of_server(play *p, char what, const char *rest)
{
    script *s = &p->s;
    switch (what) {
    case '<':
        is_taken(p, rest);
        return true;
    case '>':
        comes_out(p, rest);
        return true;
    case '/':
        script_drain(s, SIZE_MAX);
        tern__buf_clear(&s->out);
        return true;
    case '=':
        assert_string_equal(script_delivered(s), rest);
        return true;
    case '!':
        breaks_a_rule(p, rest);
        return true;
    case 'R':
        ends_the_link(p, rest, TERN__EVENT_REFUSED, TERN_E_REFUSED);
        return true;
    case 'E':
        ends_the_link(p, rest, TERN__EVENT_DISCONNECTED, TERN_E_DISCONNECTED);
        return true;
    case 'T':
        assert_string_equal(s->event.text, rest);
        return true;
    case '&':
        assert_string_equal(s->event.reference, rest);
        return true;
    default:
        return false;
    }
}

/* What we do. False where it is another step. */
static bool step_of_ours(play *p, char what, const char *rest)
{
    script *s = &p->s;
    switch (what) {
    case 'P':
        publish(p, rest);
        return true;
    case 'N':
        publish_retained(p, rest);
        return true;
    case 'X':
        publish_expiring(p, rest);
        return true;
    case 'S':
        script_subscribe(s, rest, TERN_QOS_1, begin(p));
        return true;
    case 'U':
        script_unsubscribe(s, rest, begin(p));
        return true;
    case 'k':
        tern__engine_ack_through(s->engine, s->epoch, s->last_seq);
        return true;
    case 'D':
        tern__engine_disconnect(s->engine, (int)number(&rest, 16), true, s->now);
        return true;
    case 'O':
        script_offline(s);
        return true;
    case 'G':
        greets(p);
        return true;
    case 'C':
        connects_again(p, rest);
        return true;
    case 'w':
        script_wait(s, (uint64_t)number(&rest, 10) * SCRIPT_SECOND);
        return true;
    default:
        return false;
    }
}

/* How what we did ended. */
static void step_of_end(play *p, char what, const char *rest)
{
    if (what == '-') {
        assert_null(tern__engine_next_completion(p->s.engine));
    } else if (what == 'a') {
        answer(p, rest, 0);
    } else if (what == 'z') {
        answer(p, rest, TERN_E_TOO_LARGE);
    } else {
        assert_true(what != '\0' && strchr("drln", what) != NULL); /* else there is no such step */
        outcome(p, what, rest);
    }
}

static void take_step(play *p, const char *step)
{
    const char *rest = step[0] != '\0' && step[1] == ' ' ? step + 2 : "";
    if (step_of_server(p, step[0], rest) || step_of_ours(p, step[0], rest)) return;
    step_of_end(p, step[0], rest);
}

static void start(play *p)
{
    const unsigned flags = p->row->flags;
    script_init(&p->s, p->version);
    p->s.config.topic_alias_maximum = (flags & NO_ALIAS) != 0 ? 0 : 10;
    if ((flags & NAMELESS) != 0) p->s.config.client_id = "";
    if ((flags & SMALL) != 0) p->s.config.maximum_packet_size = 64;
    if ((flags & FEW) != 0) p->s.config.receive_maximum = 2;
    if ((flags & NO_PROBLEM) != 0) p->s.connect.request_problem_info = false;
    if ((flags & CLEAN) != 0) p->s.connect.session = TERN_SESSION_CLEAN;
    if ((flags & PROCESS) != 0) p->s.connect.session = TERN_SESSION_PROCESS;
    script_start(&p->s);
    if ((flags & (GREETING | NAMELESS)) == 0) {
        script_online(&p->s, NULL);
        return;
    }
    script_open(&p->s);
    script_drain(&p->s, SIZE_MAX);
    tern__buf_clear(&p->s.out);
}

static void run(const steps_row *row, int version)
{
    play p = {.row = row, .version = version};
    start(&p);
    for (size_t i = 0; i < STEPS_MAX && row->steps[i] != NULL; i++)
        take_step(&p, row->steps[i]);
    script_free(&p.s);
}

static void run_v5(void **state)
{
    run(*state, TERN__V5);
}

static void run_v311(void **state)
{
    run(*state, TERN__V311);
}

static const char *last_step(const steps_row *row)
{
    size_t i = 0;
    while (i + 1 < STEPS_MAX && row->steps[i + 1] != NULL)
        i++;
    return row->steps[i];
}

int steps_run(const steps_row *rows, size_t count)
{
    enum { MOST = 400 };
    static char names[MOST][NAME_MAX_LEN];
    struct CMUnitTest tests[MOST] = {{NULL, NULL, NULL, NULL, NULL}};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        for (int version = TERN__V311; version <= TERN__V5; version++) {
            if (rows[i].version != 0 && rows[i].version != version) continue;
            if (n == MOST) return -1;
            (void)snprintf(names[n], NAME_MAX_LEN, "%d %s: %s", version, rows[i].tags,
                           last_step(&rows[i]));
            tests[n].name = names[n];
            tests[n].test_func = version == TERN__V5 ? run_v5 : run_v311;
            tests[n].initial_state = (void *)(uintptr_t)&rows[i];
            n++;
        }
    }
    return _cmocka_run_group_tests("clauses", tests, n, NULL, NULL);
}
