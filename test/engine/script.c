/* The harness of engine scripts: see script.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/subscription.h>

enum { HEX_MAX = 4096, IOV_MAX_PIECES = 16, POOL_BLOCK = 4096 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

size_t script_parse(const char *hex, uint8_t *out, size_t max)
{
    size_t n = 0;
    while (*hex != '\0') {
        if (isspace((unsigned char)*hex)) {
            hex++;
            continue;
        }
        assert_true(n < max);
        if (*hex == '\'') {
            for (hex++; *hex != '\''; hex++) {
                assert_true(*hex != '\0' && n < max);
                out[n++] = (uint8_t)*hex;
            }
            hex++;
            continue;
        }
        int high = hex_digit(hex[0]);
        int low = high >= 0 ? hex_digit(hex[1]) : -1;
        assert_true(low >= 0);
        out[n++] = (uint8_t)(high * 16 + low);
        hex += 2;
    }
    return n;
}

void script_init(script *s, int version)
{
    memset(s, 0, sizeof *s);
    s->now = 1000 * SCRIPT_SECOND;
    s->config.client_id = "c";
    s->config.outbox_bytes = 64u << 20;
    s->config.inflight_maximum = 65535;
    s->config.receive_maximum = 65535;
    s->config.maximum_packet_size = 1u << 20;
    s->connect.version = version;
    s->connect.session = TERN_SESSION_PERSISTENT;
    s->connect.session_expiry = 3600;
    s->connect.ping_timeout_ms = 5000;
    s->connect.request_problem_info = true;
    assert_int_equal(tern__block_pool_new(&s->pool, POOL_BLOCK), 0);
    s->config.pool = s->pool;
}

void script_start(script *s)
{
    assert_int_equal(tern__engine_new(&s->engine, &s->config), 0);
}

void script_ready(script *s, int version)
{
    script_init(s, version);
    script_start(s);
    script_online(s, NULL);
}

void script_free(script *s)
{
    tern__engine_free(s->engine);
    tern__block_pool_unref(s->pool);
    tern__buf_deinit(&s->out);
    tern__buf_deinit(&s->delivered);
}

void script_open(script *s)
{
    assert_int_equal(tern__engine_opened(s->engine, &s->connect, s->now), 0);
    tern__buf_clear(&s->out);
}

void script_online(script *s, const char *connack)
{
    const char *plain = s->connect.version == TERN__V5 ? "20 03 00 00 00" : "20 02 00 00";
    script_open(s);
    script_drain(s, SIZE_MAX);
    assert_true(s->out.len > 2 && s->out.data[0] == 0x10);
    tern__buf_clear(&s->out);
    assert_int_equal(script_recv(s, connack != NULL ? connack : plain), 0);
    assert_int_equal(script_event(s), TERN__EVENT_CONNECTED);
}

void script_offline(script *s)
{
    tern__engine_closed(s->engine, s->now);
    tern__buf_clear(&s->out);
}

int script_recv_bytes(script *s, const void *data, size_t len)
{
    return tern__engine_recv(s->engine, data, len, s->now);
}

int script_recv(script *s, const char *hex)
{
    uint8_t bytes[HEX_MAX];
    size_t len = script_parse(hex, bytes, sizeof bytes);
    return script_recv_bytes(s, bytes, len);
}

void script_drain(script *s, size_t limit)
{
    (void)tern__engine_sync_locked(s->engine);
    while (limit > 0) {
        tern__iov iov[IOV_MAX_PIECES];
        size_t count = 0;
        assert_int_equal(tern__engine_output(s->engine, s->now, iov, IOV_MAX_PIECES, &count), 0);
        if (count == 0) break;
        size_t taken = 0;
        for (size_t i = 0; i < count && limit > 0; i++) {
            size_t n = iov[i].len < limit ? iov[i].len : limit;
            assert_int_equal(tern__buf_append(&s->out, iov[i].data, n), 0);
            taken += n;
            limit -= n;
        }
        tern__engine_sent(s->engine, taken, s->now);
    }
    (void)tern__engine_sync_locked(s->engine);
}

void script_expect(script *s, const char *hex)
{
    script_drain(s, SIZE_MAX);
    script_came_out(s, hex);
}

void script_came_out(script *s, const char *hex)
{
    uint8_t bytes[HEX_MAX];
    size_t len = script_parse(hex, bytes, sizeof bytes);
    if (s->out.len != len) {
        for (size_t i = 0; i < s->out.len; i++)
            print_error("%02x ", s->out.data[i]);
        print_error("came out, expected %s\n", hex);
    }
    assert_int_equal(s->out.len, len);
    if (len > 0) assert_memory_equal(s->out.data, bytes, len);
    tern__buf_clear(&s->out);
}

void script_refuses(script *s, const char *hex, int error, uint8_t reason)
{
    bool v5 = s->connect.version == TERN__V5;
    char disconnect[16];
    int n = snprintf(disconnect, sizeof disconnect, "e0 01 %02x", reason);
    script_expect(s, "");
    (void)script_delivered(s);
    int rc = script_recv(s, hex);
    if (rc != error) print_error("%s: answered %d\n", hex, rc);
    assert_int_equal(rc, error);
    assert_int_equal(script_event(s), TERN__EVENT_FAILED);
    assert_int_equal(s->event.error, error);
    assert_int_equal(s->event.reason, v5 ? reason : -1);
    if (strstr(s->event.text, "offset ") == NULL && strchr(s->event.text, '[') == NULL)
        print_error("%s: told as \"%s\"\n", hex, s->event.text);
    assert_true(strstr(s->event.text, "offset ") != NULL || strchr(s->event.text, '[') != NULL);
    assert_string_equal(script_delivered(s), "");
    script_expect(s, v5 && n > 0 ? disconnect : "");
}

void script_wait(script *s, uint64_t us)
{
    uint64_t end = s->now + us;
    for (;;) {
        uint64_t deadline = tern__engine_deadline(s->engine);
        if (deadline > end) break;
        s->now = deadline > s->now ? deadline : s->now;
        tern__engine_tick(s->engine, s->now);
        assert_true(tern__engine_deadline(s->engine) > s->now);
    }
    s->now = end;
}

int script_publish(script *s, uint8_t qos, const char *topic, const char *payload,
                   tern__completion *completion)
{
    tern__submission submission = {
        .publish = {.qos = qos,
                    .topic = {(const uint8_t *)topic, strlen(topic)},
                    .payload = {(const uint8_t *)payload, strlen(payload)}},
        .completion = completion,
    };
    uint64_t id = 0;
    if (completion != NULL) {
        memset(completion, 0, sizeof *completion);
        tern__list_init(&completion->link);
    }
    int rc = tern__outbox_append_locked(tern__engine_outbox(s->engine), &submission, &id);
    assert_true((rc >= 0) == (id != 0));
    return rc;
}

static void request(script *s, const char *filter, uint32_t flags, bool unsubscribe,
                    tern__completion *completion)
{
    tern_subscription *wish = NULL;
    if (completion != NULL) {
        memset(completion, 0, sizeof *completion);
        tern__list_init(&completion->link);
    }
    assert_int_equal(tern_subscription_new(&wish), 0);
    assert_int_equal(tern_subscription_add(wish, filter, flags), 0);
    int rc = unsubscribe ? tern__engine_unsubscribe(s->engine, wish, completion, s->now)
                         : tern__engine_subscribe(s->engine, wish, completion, s->now);
    assert_int_equal(rc, 0);
    tern_subscription_free(wish);
}

void script_subscribe(script *s, const char *filter, uint32_t flags, tern__completion *completion)
{
    request(s, filter, flags, false, completion);
}

void script_unsubscribe(script *s, const char *filter, tern__completion *completion)
{
    request(s, filter, TERN_QOS_0, true, completion);
}

static void note_record(script *s, const tern__record *record)
{
    char tail[8];
    const char *dup = (record->flags & TERN__RECORD_DUP) ? "d" : "";
    const char *retain = (record->flags & TERN__RECORD_RETAIN) ? "r" : "";
    int n = snprintf(tail, sizeof tail, "/%u%s%s;", record->qos, dup, retain);
    assert_int_equal(record->topic[record->topic_len], 0);
    assert_int_equal(record->payload[record->payload_len], 0);
    assert_int_equal(tern__buf_append(&s->delivered, record->topic, record->topic_len), 0);
    assert_int_equal(tern__buf_append(&s->delivered, "=", 1), 0);
    assert_int_equal(tern__buf_append(&s->delivered, record->payload, record->payload_len), 0);
    assert_int_equal(tern__buf_append(&s->delivered, tail, (size_t)n), 0);
    if (record->ack_seq > s->last_seq) s->last_seq = record->ack_seq;
}

tern__engine_event_kind script_event(script *s)
{
    tern__engine_event event;
    tern__engine_event_kind last = 0;
    while (tern__engine_next_event(s->engine, &event)) {
        if (event.kind != TERN__EVENT_MESSAGES) {
            s->event = event;
            last = event.kind;
            if (last == TERN__EVENT_CONNECTED) s->last_seq = 0;
            continue;
        }
        tern__block_finish(event.block);
        s->epoch = event.block->epoch;
        for (uint32_t i = 0; i < event.block->count; i++)
            note_record(s, &event.block->records[i]);
        tern__block_unref(event.block);
    }
    return last;
}

const char *script_delivered(script *s)
{
    (void)script_event(s);
    assert_int_equal(tern__buf_append(&s->delivered, "", 1), 0);
    tern__buf_clear(&s->delivered);
    return (const char *)s->delivered.data;
}

void script_ended(script *s, const tern__completion *completion)
{
    assert_ptr_equal(tern__engine_next_completion(s->engine), completion);
}

void script_answered(script *s, tern__completion *completion, int error, const char *codes)
{
    uint8_t bytes[HEX_MAX];
    size_t len = script_parse(codes, bytes, sizeof bytes);
    script_ended(s, completion);
    assert_int_equal(completion->error, error);
    assert_int_equal(completion->code_count, len);
    if (len != 0) assert_memory_equal(completion->codes, bytes, len);
    tern__free(completion->codes);
    tern__free(completion->reason_string);
}

void script_outcome(script *s, const tern__completion *completion, tern_outcome outcome,
                    tern_cause cause, int reason)
{
    script_ended(s, completion);
    assert_int_equal(completion->outcome, outcome);
    assert_int_equal(completion->cause, cause);
    assert_int_equal(completion->reason, reason);
}

size_t script_packet_len(const uint8_t *data, size_t len, size_t *head)
{
    size_t value = 0;
    for (size_t i = 1; i < len && i <= 4; i++) {
        value |= (size_t)(data[i] & 127) << (7 * (i - 1));
        if ((data[i] & 128) != 0) continue;
        if (head != NULL) *head = i + 1;
        return i + 1 + value <= len ? i + 1 + value : 0;
    }
    return 0;
}
