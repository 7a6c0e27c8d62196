/* Runs of messages go out together, and each still gets its one outcome wherever the transport cuts them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/buf.h"
#include "engine/engine.h"

enum { MESSAGES = 40, NOW = 1000 };

typedef struct rig {
    tern__block_pool *pool;
    tern__engine *engine;
    tern__completion completion; /* of message 7 */
} rig;

static void rig_open(rig *r)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(tern__block_pool_new(&r->pool, 4096), 0);
    tern__engine_config config = {.client_id = "runs", .outbox_bytes = 1 << 20, .inflight_maximum = 100,
                                  .receive_maximum = 100, .maximum_packet_size = 1 << 20, .pool = r->pool};
    assert_int_equal(tern__engine_new(&r->engine, &config), 0);
}

static void rig_close(rig *r)
{
    tern__engine_closed(r->engine, NOW);
    tern__engine_free(r->engine);
    tern__block_pool_unref(r->pool);
}

static void connect(rig *r)
{
    static const tern__connect_config config = {.version = TERN__V311, .session = TERN_SESSION_CLEAN};
    tern__iov pieces[8];
    size_t count;
    assert_int_equal(tern__engine_opened(r->engine, &config, NOW), 0);
    assert_int_equal(tern__engine_output(r->engine, NOW, pieces, 8, &count), 0);
    assert_int_equal(count, 1);
    tern__engine_sent(r->engine, pieces[0].len, NOW);
    assert_int_equal(tern__engine_recv(r->engine, "\x20\x02\0\0", 4, NOW), 0);
    tern__engine_event event;
    assert_true(tern__engine_next_event(r->engine, &event));
    assert_int_equal(event.kind, TERN__EVENT_CONNECTED);
    tern__engine_sync_locked(r->engine);
}

/* Message 5 is of QoS 1, number 7 has a completion, number 9 is retained; the others are plain. */
static void publish_all(rig *r)
{
    for (unsigned i = 1; i <= MESSAGES; i++) {
        char payload[16];
        int length = snprintf(payload, sizeof payload, "%u", i);
        tern__submission submission = {
            .publish = {.qos = i == 5, .retain = i == 9, .topic = {(const uint8_t *)"t", 1},
                        .payload = {(const uint8_t *)payload, (size_t)length}},
            .completion = i == 7 ? &r->completion : NULL,
        };
        uint64_t id;
        assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(r->engine), &submission, &id), 0);
        assert_int_equal(id, i);
    }
    tern__engine_sync_locked(r->engine);
}

/* Lets out at most `step` bytes a time, all or up to `limit`, and collects them. */
static void let_out(rig *r, size_t step, size_t limit, tern__buf *wire)
{
    tern__iov pieces[8];
    size_t count;
    while (wire->len < limit) {
        assert_int_equal(tern__engine_output(r->engine, NOW, pieces, 8, &count), 0);
        if (count == 0) return;
        size_t n = pieces[0].len < step ? pieces[0].len : step;
        if (n > limit - wire->len) n = limit - wire->len;
        assert_int_equal(tern__buf_append(wire, pieces[0].data, n), 0);
        tern__engine_sent(r->engine, n, NOW);
    }
}

/* The packets in order, written by hand from the specification: "t" and the number as text. */
static void expected(tern__buf *wire)
{
    for (unsigned i = 1; i <= MESSAGES; i++) {
        uint8_t packet[16] = {(uint8_t)(0x30 | (i == 5 ? 2 : 0) | (i == 9 ? 1 : 0)), 0, 0, 1, 't', 0, 1};
        int head = i == 5 ? 7 : 5;
        int digits = snprintf((char *)packet + head, sizeof packet - 7, "%u", i);
        packet[1] = (uint8_t)(head - 2 + digits);
        assert_int_equal(tern__buf_append(wire, packet, (size_t)(head + digits)), 0);
    }
}

/* Fills outcomes[id] from the ranges; each id is told once. */
static void collect(rig *r, tern_outcome outcomes[MESSAGES + 1])
{
    tern__range range;
    tern__completion *completion;
    while (tern__engine_next_range(r->engine, &range)) {
        for (uint64_t id = range.first; id <= range.last; id++) {
            assert_int_equal(outcomes[id], TERN_OUTCOME_PENDING);
            outcomes[id] = range.outcome;
        }
    }
    while ((completion = tern__engine_next_completion(r->engine)) != NULL) {
        assert_ptr_equal(completion, &r->completion);
        assert_int_equal(outcomes[7], TERN_OUTCOME_PENDING);
        outcomes[7] = completion->outcome;
    }
}

/* [C1] whatever the transport takes at a time */
static void every_step_gives_the_same_bytes_and_outcomes(void **state)
{
    (void)state;
    for (size_t step = 1; step < 64; step++) {
        rig r;
        tern__buf wire, want;
        tern_outcome outcomes[MESSAGES + 1] = {0};
        tern__buf_init(&wire);
        tern__buf_init(&want);
        rig_open(&r);
        connect(&r);
        publish_all(&r);
        let_out(&r, step, SIZE_MAX, &wire);
        expected(&want);
        assert_int_equal(wire.len, want.len);
        assert_memory_equal(wire.data, want.data, want.len);
        collect(&r, outcomes);
        for (unsigned i = 1; i <= MESSAGES; i++)
            assert_int_equal(outcomes[i], i == 5 ? TERN_OUTCOME_PENDING : TERN_OUTCOME_SENT);
        assert_int_equal(tern__engine_settled_id(r.engine), 4);
        assert_int_equal(tern__engine_recv(r.engine, "\x40\x02\0\x01", 4, NOW), 0);
        collect(&r, outcomes);
        assert_int_equal(outcomes[5], TERN_OUTCOME_DELIVERED);
        assert_int_equal(tern__engine_settled_id(r.engine), MESSAGES);
        tern__engine_sync_locked(r.engine);
        assert_int_equal(tern__outbox_count_locked(tern__engine_outbox(r.engine)), 0);
        assert_int_equal(tern__outbox_bytes_locked(tern__engine_outbox(r.engine)), 0);
        rig_close(&r);
        tern__buf_deinit(&wire);
        tern__buf_deinit(&want);
    }
}

/* [C1] [C6] a QoS 0 packet that was cut may have arrived, what follows it did not, and goes out on the next connection */
static void a_cut_at_each_byte_splits_a_run(void **state)
{
    (void)state;
    tern__buf want;
    tern__buf_init(&want);
    expected(&want);
    for (size_t cut = 0; cut <= want.len; cut++) {
        rig r;
        tern__buf wire;
        tern_outcome outcomes[MESSAGES + 1] = {0};
        tern__buf_init(&wire);
        rig_open(&r);
        connect(&r);
        publish_all(&r);
        let_out(&r, 11, cut, &wire);
        assert_int_equal(wire.len, cut);
        tern__engine_closed(r.engine, NOW);
        collect(&r, outcomes);
        size_t at = 0;
        for (unsigned i = 1; i <= MESSAGES; i++) {
            size_t len = 2 + (size_t)want.data[at + 1];
            tern_outcome whole = i == 5 ? TERN_OUTCOME_PENDING : TERN_OUTCOME_SENT;
            tern_outcome begun = i == 5 ? TERN_OUTCOME_PENDING : TERN_OUTCOME_UNKNOWN;
            assert_int_equal(outcomes[i], at + len <= cut ? whole : at < cut ? begun : TERN_OUTCOME_PENDING);
            at += len;
        }
        connect(&r);
        wire.len = 0;
        let_out(&r, SIZE_MAX, SIZE_MAX, &wire);
        collect(&r, outcomes);
        for (unsigned i = 1; i <= MESSAGES; i++)
            if (i != 5) assert_int_not_equal(outcomes[i], TERN_OUTCOME_PENDING);
        rig_close(&r);
        tern__buf_deinit(&wire);
    }
    tern__buf_deinit(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_gives_the_same_bytes_and_outcomes),
        cmocka_unit_test(a_cut_at_each_byte_splits_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
