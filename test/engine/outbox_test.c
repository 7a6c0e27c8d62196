/* The outbox over its life: what it keeps, what it gives back, and what it tells without a connection.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>

#include "codec/props.h"
#include "engine/machine.h"

/* Bytes that the outbox holds in chunks. */
static size_t held(script *s)
{
    const tern__list *chunks = &s->engine->outbox.chunks;
    size_t total = 0;
    for (const tern__list *link = chunks->next; link != chunks; link = link->next)
        total += TERN__CONTAINER(link, const tern__chunk, link)->cap;
    return total;
}

static void publish_expiring(script *s, uint8_t qos, uint32_t seconds, tern__completion *completion)
{
    tern__buf props = {0};
    uint64_t id;
    assert_int_equal(tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, seconds), 0);
    tern__submission submission = {
        .publish = {.qos = qos, .topic = {(const uint8_t *)"t", 1}, .payload = {(const uint8_t *)"x", 1}},
        .props = {props.data, props.len, UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY},
        .expires_us = s->now + (uint64_t)seconds * SCRIPT_SECOND,
        .completion = completion,
    };
    if (completion != NULL) *completion = (tern__completion){.outcome = TERN_OUTCOME_PENDING};
    assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(s->engine), &submission, &id), 0);
    tern__buf_deinit(&props);
    (void)tern__engine_sync_locked(s->engine);
}

static void ack(script *s, unsigned type, unsigned id)
{
    uint8_t packet[4] = {(uint8_t)type, 2, (uint8_t)(id >> 8), (uint8_t)id};
    assert_int_equal(script_recv_bytes(s, packet, sizeof packet), 0);
}

/* [C10] one message in a hundred stays unacknowledged: what is held is near what they need, and they are redelivered as they
 * were [C6]. */
static void late_acks_pin_little(void **state)
{
    (void)state;
    enum { MESSAGES = 3000, LATE = 100 };
    script s;
    script_init(&s, TERN__V5);
    s.config.inflight_maximum = UINT16_MAX;
    script_start(&s);
    script_online(&s, NULL);
    char payload[200];
    memset(payload, 'p', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    for (int i = 1; i <= MESSAGES; i++) assert_int_equal(script_publish(&s, 1, "topic", payload, NULL), 0);
    script_drain(&s, SIZE_MAX);
    s.out.len = 0;
    size_t full = held(&s);
    for (unsigned id = MESSAGES; id >= 1; id--)
        if (id % LATE != 0) ack(&s, 0x40, id);
    (void)tern__engine_sync_locked(s.engine);
    size_t needed = (MESSAGES / LATE) * (sizeof payload + 20 + sizeof(tern__entry));
    assert_true(held(&s) < 3 * needed + (64 << 10)); /* and one chunk that is still written to */
    assert_true(held(&s) * 4 < full);
    /* The connection breaks and the session is resumed: the late ones, in order, with DUP and their ids. */
    script_offline(&s);
    script_online(&s, "20 03 01 00 00");
    script_drain(&s, SIZE_MAX);
    size_t at = 0;
    for (unsigned id = LATE; id <= MESSAGES; id += LATE) {
        size_t head;
        size_t len = script_packet_len(s.out.data + at, s.out.len - at, &head);
        const uint8_t *packet = s.out.data + at;
        assert_int_equal(packet[0], 0x3A);
        assert_int_equal(packet[head + 7] << 8 | packet[head + 8], (int)id);
        assert_memory_equal(packet + len - (sizeof payload - 1), payload, sizeof payload - 1);
        at += len;
    }
    assert_int_equal(at, s.out.len);
    for (unsigned id = LATE; id <= MESSAGES; id += LATE) ack(&s, 0x40, id);
    assert_int_equal(tern__engine_settled_id(s.engine), MESSAGES);
    (void)tern__engine_sync_locked(s.engine);
    assert_int_equal(tern__outbox_bytes_locked(tern__engine_outbox(s.engine)), 0);
    s.out.len = 0;
    script_free(&s);
}

/* A random mix of QoS, acks in random order, cuts, and resumed sessions: ids end once, and the order of what is left stays. */
static void compaction_keeps_every_message(void **state)
{
    (void)state;
    enum { ROUNDS = 40, EACH = 500 };
    srand(7);
    script s;
    script_init(&s, TERN__V311);
    s.connect.session = TERN_SESSION_PERSISTENT;
    s.config.inflight_maximum = UINT16_MAX;
    script_start(&s);
    script_online(&s, NULL);
    uint8_t *told = calloc(ROUNDS * EACH + 1, 1);
    assert_non_null(told);
    uint64_t published = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            char text[32];
            snprintf(text, sizeof text, "%llu", (unsigned long long)++published);
            assert_int_equal(script_publish(&s, (uint8_t)(rand() % 3), "t", text, NULL), 0);
        }
        script_drain(&s, SIZE_MAX);
        s.out.len = 0;
        for (unsigned id = 1; id <= UINT16_MAX; id++) {
            tern__slot *slot = tern__inflight_find(&s.engine->inflight, (uint16_t)id);
            if (slot == NULL || (rand() % 8 == 0 && round < ROUNDS - 1)) continue;
            tern__entry *entry = tern__chunk_entry(slot->of.chunk, slot->index);
            assert_int_equal(entry->packet_id, id);
            if (entry->qos == 1) {
                ack(&s, 0x40, id);
            } else {
                if (slot->kind == TERN__SLOT_PUBLISH) ack(&s, 0x50, id);
                if (rand() % 4 != 0 || round == ROUNDS - 1) ack(&s, 0x70, id);
            }
        }
        if (round % 5 == 4) {
            script_offline(&s);
            script_online(&s, "20 02 01 00");
        }
        (void)tern__engine_sync_locked(s.engine);
        tern__range range;
        while (tern__engine_next_range(s.engine, &range))
            for (uint64_t id = range.first; id <= range.last; id++) assert_int_equal(told[id]++, 0);
    }
    for (uint64_t id = 1; id <= published; id++) assert_int_equal(told[id], 1);
    assert_int_equal(tern__engine_settled_id(s.engine), published);
    free(told);
    s.out.len = 0;
    script_free(&s);
}

/* [C1] A message that expires while there is no connection is told in time, not at the next one. */
static void expiry_is_told_offline(void **state)
{
    (void)state;
    script s;
    tern__completion early;
    tern__completion late;
    script_init(&s, TERN__V5);
    script_start(&s);
    publish_expiring(&s, 1, 5, &early);
    publish_expiring(&s, 0, 9, &late);
    assert_int_equal(script_publish(&s, 0, "t", "stays", NULL), 0);
    (void)tern__engine_sync_locked(s.engine);
    uint64_t start = s.now;
    assert_int_equal(tern__engine_deadline(s.engine), start + 5 * SCRIPT_SECOND);
    s.now = start + 5 * SCRIPT_SECOND - 1;
    tern__engine_tick(s.engine, s.now);
    assert_null(tern__engine_next_completion(s.engine));
    s.now++;
    tern__engine_tick(s.engine, s.now);
    script_outcome(&s, &early, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED, -1);
    assert_int_equal(tern__engine_deadline(s.engine), start + 9 * SCRIPT_SECOND);
    s.now = start + 9 * SCRIPT_SECOND;
    tern__engine_tick(s.engine, s.now);
    script_outcome(&s, &late, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED, -1);
    assert_int_equal(tern__engine_deadline(s.engine), UINT64_MAX);
    script_online(&s, NULL);
    script_expect(&s, "30 09 00 01 't' 00 'stays'");
    script_free(&s);
}

/* Behind a full window too. */
static void expiry_is_told_behind_a_full_window(void **state)
{
    (void)state;
    script s;
    tern__completion waiting;
    script_init(&s, TERN__V5);
    s.connect.keep_alive = 0;
    script_start(&s);
    script_online(&s, "20 06 00 00 03 21 00 01"); /* receive maximum 1 */
    assert_int_equal(script_publish(&s, 1, "t", "first", NULL), 0);
    publish_expiring(&s, 1, 2, &waiting);
    script_drain(&s, SIZE_MAX);
    s.out.len = 0;
    s.now += 2 * SCRIPT_SECOND;
    assert_true(tern__engine_deadline(s.engine) <= s.now);
    tern__engine_tick(s.engine, s.now);
    script_outcome(&s, &waiting, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED, -1);
    script_free(&s);
}

/* [C2] [MQTT5-4.3.3-7] What went out in a lost session may have arrived: whatever stops it now, NOT_SENT would be untrue. */
static void what_went_out_is_never_not_sent(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        script s;
        tern__completion completion = {.outcome = TERN_OUTCOME_PENDING};
        script_ready(&s, TERN__V5);
        if (way == 0) publish_expiring(&s, 1, 5, &completion);
        else assert_int_equal(script_publish(&s, 1, "t", "a payload of some length", &completion), 0);
        script_drain(&s, SIZE_MAX);
        s.out.len = 0;
        script_offline(&s);
        s.now += 60 * SCRIPT_SECOND;
        if (way == 0) { /* it expired since: that counts before the first byte only */
            script_online(&s, NULL);
            script_expect(&s, "32 0C 00 01 't' 00 02 05 02 00 00 00 01 'x'");
            ack(&s, 0x40, 2);
            script_outcome(&s, &completion, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
        } else if (way == 1) { /* the server takes no packets of its size any more */
            script_online(&s, "20 08 00 00 05 27 00 00 00 14");
            script_expect(&s, "");
            script_outcome(&s, &completion, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_SESSION_LOST, -1);
        } else { /* the client is closed before it goes out again */
            script_online(&s, NULL);
            script_offline(&s);
            assert_int_equal(tern__engine_abandon(s.engine), 0);
            script_outcome(&s, &completion, TERN_OUTCOME_UNKNOWN, TERN_CAUSE_CLOSED, -1);
        }
        script_free(&s);
    }
}

/* The loop's time may be a little older than the publisher's: no message lives longer for it, and none for 0 seconds. */
static void the_interval_is_never_more_than_was_given(void **state)
{
    (void)state;
    script s;
    script_ready(&s, TERN__V5);
    s.now += 1000;
    publish_expiring(&s, 0, UINT32_MAX, NULL);
    publish_expiring(&s, 0, 7, NULL);
    s.now -= 1000;
    script_expect(&s, "30 0A 00 01 74 05 02 FF FF FF FF 78 30 0A 00 01 74 05 02 00 00 00 07 78");
    script_free(&s);
}

/* Publishes a mix of QoS, sends it, cuts the link in the middle and answers all: what came out, and how it ended. */
static void play(int version, bool bare, tern__buf *out, tern__buf *ends)
{
    static const uint8_t qos[] = {0, 1, 0, 0, 2, 0, 1, 0, 0, 0};
    char text[300];
    script s;
    script_ready(&s, version);
    for (int i = 0; i < 200; i++) {
        uint64_t id = 0;
        memset(text, 'a' + i % 26, sizeof text);
        const tern__submission submission = {
            .publish = {.qos = qos[i % (int)sizeof qos],
                        .topic = {(const uint8_t *)"a/topic", 7},
                        .payload = {(const uint8_t *)text, (size_t)(i * 7 % 300)}},
            .bare = bare,
        };
        assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(s.engine), &submission, &id), 0);
        assert_true(id == (uint64_t)i + 1);
    }
    script_drain(&s, 5000);
    assert_int_equal(tern__buf_append(out, s.out.data, s.out.len), 0);
    script_offline(&s);
    script_online(&s, version == TERN__V5 ? "20 03 01 00 00" : "20 02 01 00");
    script_drain(&s, SIZE_MAX);
    assert_int_equal(tern__buf_append(out, s.out.data, s.out.len), 0);
    tern__buf_clear(&s.out);
    for (unsigned id = 1; id <= 200; id++) {
        const tern__slot *slot = tern__inflight_find(&s.engine->inflight, (uint16_t)id);
        if (slot == NULL) continue;
        const bool twice = tern__chunk_entry(slot->of.chunk, slot->index)->qos == 2;
        ack(&s, twice ? 0x50 : 0x40, id);
        if (twice) ack(&s, 0x70, id);
    }
    tern__range range;
    while (tern__engine_next_range(s.engine, &range)) {
        const int n = snprintf(text, sizeof text, "%u-%u %d %d;", (unsigned)range.first, (unsigned)range.last,
                               (int)range.outcome, (int)range.cause);
        assert_int_equal(tern__buf_append(ends, text, (size_t)n), 0);
    }
    assert_true(tern__engine_settled_id(s.engine) == 200);
    assert_true(tern__engine_open_count(s.engine) == 0);
    script_free(&s);
}

/* The short way of a message with nothing but topic, payload and QoS comes to the same bytes and outcomes. */
static void a_bare_message_is_like_any_other(void **state)
{
    (void)state;
    for (int version = TERN__V311; version <= TERN__V5; version++) {
        tern__buf out[2] = {{0}, {0}};
        tern__buf ends[2] = {{0}, {0}};
        for (int bare = 0; bare < 2; bare++) play(version, bare != 0, &out[bare], &ends[bare]);
        assert_int_equal(out[0].len, out[1].len);
        assert_memory_equal(out[0].data, out[1].data, out[0].len);
        assert_int_equal(ends[0].len, ends[1].len);
        assert_memory_equal(ends[0].data, ends[1].data, ends[0].len);
        for (int bare = 0; bare < 2; bare++) {
            tern__buf_deinit(&out[bare]);
            tern__buf_deinit(&ends[bare]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_acks_pin_little),
        cmocka_unit_test(compaction_keeps_every_message),
        cmocka_unit_test(expiry_is_told_offline),
        cmocka_unit_test(expiry_is_told_behind_a_full_window),
        cmocka_unit_test(what_went_out_is_never_not_sent),
        cmocka_unit_test(the_interval_is_never_more_than_was_given),
        cmocka_unit_test(a_bare_message_is_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
