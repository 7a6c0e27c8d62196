/* Units: messages that stand next to each other on the wire, and of which all go out or none.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/script.h"

#include <string.h>
#include <tern/error.h>

#include "codec/props.h"
#include "engine/machine.h"

/* A part of a unit: QoS, a payload of its own, and in how many seconds it expires (0 never). */
typedef struct part {
    uint8_t qos;
    const char *payload;
    uint32_t expiry;
} part;

/* Publishes them on topic "u"; the last one's outcome goes to the completion, those before it are silent where there is one. */
static int publish_unit(script *s, const part *parts, size_t count, tern__completion *completion)
{
    tern__submission submissions[TERN__UNIT_MAX];
    tern__buf props[TERN__UNIT_MAX];
    uint64_t id = 0;
    for (size_t i = 0; i < count; i++) {
        const part *one = &parts[i];
        tern__buf_init(&props[i]);
        if (one->expiry != 0)
            assert_int_equal(tern__props_add_number(&props[i], TERN__PROP_MESSAGE_EXPIRY, one->expiry), 0);
        submissions[i] = (tern__submission){
            .publish = {.qos = one->qos,
                        .topic = {(const uint8_t *)"u", 1},
                        .payload = {(const uint8_t *)one->payload, strlen(one->payload)}},
            .props = {props[i].data, props[i].len, one->expiry != 0 ? UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY : 0},
            .expires_us = one->expiry != 0 ? s->now + (uint64_t)one->expiry * SCRIPT_SECOND : 0,
            .silent = completion != NULL && i + 1 < count,
        };
    }
    if (completion != NULL) {
        memset(completion, 0, sizeof *completion);
        tern__list_init(&completion->link);
        submissions[count - 1].completion = completion;
    }
    int rc = tern__outbox_append_unit_locked(tern__engine_outbox(s->engine), submissions, count, &id);
    for (size_t i = 0; i < count; i++) tern__buf_deinit(&props[i]);
    if (rc == 0) assert_int_equal(id, tern__outbox_last_id_locked(tern__engine_outbox(s->engine)));
    (void)tern__engine_sync_locked(s->engine);
    return rc;
}

static void expect_range(script *s, uint64_t first, uint64_t last, tern_outcome outcome, tern_cause cause)
{
    tern__range range;
    assert_true(tern__engine_next_range(s->engine, &range));
    assert_int_equal(range.first, first);
    assert_int_equal(range.last, last);
    assert_int_equal(range.outcome, outcome);
    assert_int_equal(range.cause, cause);
}

static void expect_no_range(script *s)
{
    tern__range range;
    assert_false(tern__engine_next_range(s->engine, &range));
}

/* [C1] Without a completion each part is told; with one the last is, and nobody hears of the others. */
static void parts_go_out_next_to_each_other(void **state)
{
    (void)state;
    script s;
    tern__completion completion;
    script_ready(&s, TERN__V311);
    assert_int_equal(script_publish(&s, 0, "u", "a", NULL), 0);
    const part parts[] = {{0, "b", 0}, {1, "c", 0}};
    assert_int_equal(publish_unit(&s, parts, 2, NULL), 0);
    assert_int_equal(publish_unit(&s, parts, 2, &completion), 0);
    assert_int_equal(script_publish(&s, 0, "u", "d", NULL), 0);
    script_expect(&s, "30 04 00 01 'u' 'a' 30 04 00 01 'u' 'b' 32 06 00 01 'u' 00 01 'c'"
                      "30 04 00 01 'u' 'b' 32 06 00 01 'u' 00 02 'c' 30 04 00 01 'u' 'd'");
    assert_int_equal(script_recv(&s, "40 02 00 02 40 02 00 01"), 0);
    expect_range(&s, 1, 2, TERN_OUTCOME_SENT, TERN_CAUSE_NONE);
    expect_range(&s, 6, 6, TERN_OUTCOME_SENT, TERN_CAUSE_NONE); /* 4 is silent, 5 has a completion */
    expect_range(&s, 3, 3, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    expect_no_range(&s);
    script_outcome(&s, &completion, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE, 0);
    assert_int_equal(tern__engine_settled_id(s.engine), 6);
    script_free(&s);
}

/* What one part may not, none does: the server's limits, and what 3.1.1 cannot carry. The neighbours go out. */
static void one_obstacle_stops_all(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *connack;
        part parts[3];
        tern_cause cause;
    } rows[] = {
        {TERN__V5, "20 08 00 00 05 27 00 00 00 10", {{0, "a", 0}, {0, "b", 0}, {0, "much too long", 0}}, TERN_CAUSE_TOO_LARGE},
        {TERN__V5, "20 08 00 00 05 27 00 00 00 10", {{1, "much too long", 0}, {0, "b", 0}, {0, "c", 0}}, TERN_CAUSE_TOO_LARGE},
        {TERN__V5, "20 05 00 00 02 24 01", {{0, "a", 0}, {2, "b", 0}, {1, "c", 0}}, TERN_CAUSE_UNSUPPORTED},
        {TERN__V311, "20 02 00 00", {{0, "a", 0}, {0, "b", 0}, {0, "c", 9}}, TERN_CAUSE_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script s;
        tern__completion completion;
        script_init(&s, rows[i].version);
        script_start(&s);
        script_online(&s, rows[i].connack);
        assert_int_equal(script_publish(&s, 0, "x", "1", NULL), 0);
        assert_int_equal(publish_unit(&s, rows[i].parts, 3, NULL), 0);
        assert_int_equal(publish_unit(&s, rows[i].parts, 3, &completion), 0);
        assert_int_equal(script_publish(&s, 0, "x", "2", NULL), 0);
        script_expect(&s, rows[i].version == TERN__V5 ? "30 05 00 01 'x' 00 '1' 30 05 00 01 'x' 00 '2'"
                                                      : "30 04 00 01 'x' '1' 30 04 00 01 'x' '2'");
        expect_range(&s, 2, 4, TERN_OUTCOME_NOT_SENT, rows[i].cause);
        expect_range(&s, 1, 1, TERN_OUTCOME_SENT, TERN_CAUSE_NONE);
        expect_range(&s, 8, 8, TERN_OUTCOME_SENT, TERN_CAUSE_NONE);
        expect_no_range(&s);
        script_outcome(&s, &completion, TERN_OUTCOME_NOT_SENT, rows[i].cause, -1);
        script_free(&s);
    }
}

/* One that expires while all wait takes the others along, wherever it stands; what does not belong to it stays. */
static void one_that_expires_ends_all(void **state)
{
    (void)state;
    for (size_t which = 0; which < 3; which++) {
        script s;
        script_init(&s, TERN__V5);
        script_start(&s);
        part parts[] = {{1, "a", 0}, {0, "b", 0}, {2, "c", 0}};
        parts[which].expiry = 5;
        assert_int_equal(script_publish(&s, 0, "x", "1", NULL), 0);
        assert_int_equal(publish_unit(&s, parts, 3, NULL), 0);
        assert_int_equal(script_publish(&s, 0, "x", "2", NULL), 0);
        script_wait(&s, 6 * SCRIPT_SECOND);
        expect_range(&s, 2, 4, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED);
        expect_no_range(&s);
        script_online(&s, NULL);
        script_expect(&s, "30 05 00 01 'x' 00 '1' 30 05 00 01 'x' 00 '2'");
        expect_range(&s, 1, 1, TERN_OUTCOME_SENT, TERN_CAUSE_NONE);
        expect_range(&s, 5, 5, TERN_OUTCOME_SENT, TERN_CAUSE_NONE);
        script_free(&s);
    }
}

/* Expiry applies until the first byte of the whole: what the server lets us send later goes out with a second left. */
static void what_was_begun_does_not_expire(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 06 00 00 03 21 00 01"); /* Receive Maximum 1 */
    const part parts[] = {{1, "a", 0}, {1, "b", 3}};
    assert_int_equal(publish_unit(&s, parts, 2, NULL), 0);
    script_expect(&s, "32 07 00 01 'u' 00 01 00 'a'");
    script_wait(&s, 20 * SCRIPT_SECOND);
    expect_no_range(&s);
    assert_int_equal(script_recv(&s, "40 02 00 01"), 0);
    script_expect(&s, "32 0c 00 01 'u' 00 02 05 02 00 00 00 01 'b'");
    assert_int_equal(script_recv(&s, "40 02 00 02"), 0);
    expect_range(&s, 1, 2, TERN_OUTCOME_DELIVERED, TERN_CAUSE_NONE);
    script_free(&s);
}

/* Staged and lost before its first byte was out: it waits again as a whole, and may expire as one. */
static void what_was_only_staged_starts_over(void **state)
{
    (void)state;
    script s;
    tern__iov iov[4];
    size_t count;
    script_ready(&s, TERN__V5);
    const part parts[] = {{1, "a", 0}, {0, "b", 3}};
    assert_int_equal(publish_unit(&s, parts, 2, NULL), 0);
    assert_int_equal(tern__engine_output(s.engine, s.now, iov, 4, &count), 0);
    assert_int_not_equal(count, 0);
    script_offline(&s);
    script_wait(&s, 4 * SCRIPT_SECOND);
    expect_range(&s, 1, 2, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_EXPIRED);
    script_free(&s);
}

/* The session is lost when the first part is out: that one goes again, then the rest, before anything newer [C7] [C8]. */
static void a_lost_session_repeats_in_order(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 06 00 00 03 21 00 01");
    const part parts[] = {{1, "a", 2}, {1, "b", 2}};
    assert_int_equal(publish_unit(&s, parts, 2, NULL), 0);
    assert_int_equal(script_publish(&s, 0, "x", "1", NULL), 0);
    script_expect(&s, "32 0c 00 01 'u' 00 01 05 02 00 00 00 02 'a'");
    script_offline(&s);
    script_wait(&s, 9 * SCRIPT_SECOND);
    expect_no_range(&s);
    script_online(&s, NULL);
    script_expect(&s, "32 0c 00 01 'u' 00 02 05 02 00 00 00 01 'a' 32 0c 00 01 'u' 00 03 05 02 00 00 00 01 'b'"
                      "30 05 00 01 'x' 00 '1'");
    script_free(&s);
}

/* And where the connection on which it goes again breaks before a byte is out, the rest still belongs to it. */
static void what_went_out_once_stays_begun(void **state)
{
    (void)state;
    script s;
    tern__iov iov[4];
    size_t count;
    script_init(&s, TERN__V5);
    script_start(&s);
    script_online(&s, "20 06 00 00 03 21 00 01");
    const part parts[] = {{1, "a", 5}, {1, "b", 5}};
    assert_int_equal(publish_unit(&s, parts, 2, NULL), 0);
    script_expect(&s, "32 0c 00 01 'u' 00 01 05 02 00 00 00 05 'a'");
    script_offline(&s);
    script_online(&s, "20 06 00 00 03 21 00 01"); /* the session is lost */
    assert_int_equal(tern__engine_output(s.engine, s.now, iov, 4, &count), 0);
    assert_int_not_equal(count, 0);
    script_offline(&s);
    script_wait(&s, 9 * SCRIPT_SECOND);
    expect_no_range(&s);
    script_online(&s, NULL);
    script_expect(&s, "32 0c 00 01 'u' 00 03 05 02 00 00 00 01 'a' 32 0c 00 01 'u' 00 04 05 02 00 00 00 01 'b'");
    script_free(&s);
}

/* The bound is asked once for the whole; a refused unit leaves nothing behind. */
static void all_or_nothing_is_accepted(void **state)
{
    (void)state;
    script s;
    script_init(&s, TERN__V5);
    s.config.outbox_messages = 4;
    script_start(&s);
    const part parts[] = {{0, "a", 0}, {0, "b", 0}, {0, "c", 0}};
    assert_int_equal(publish_unit(&s, parts, 3, NULL), 0);
    assert_int_equal(publish_unit(&s, parts, 2, NULL), TERN_E_OUTBOX_FULL);
    assert_int_equal(tern__outbox_count_locked(tern__engine_outbox(s.engine)), 3);
    assert_int_equal(tern__outbox_last_id_locked(tern__engine_outbox(s.engine)), 3);
    assert_int_equal(publish_unit(&s, parts, 1, NULL), 0);
    script_online(&s, NULL);
    script_expect(&s, "30 05 00 01 'u' 00 'a' 30 05 00 01 'u' 00 'b' 30 05 00 01 'u' 00 'c' 30 05 00 01 'u' 00 'a'");
    expect_range(&s, 1, 4, TERN_OUTCOME_SENT, TERN_CAUSE_NONE);
    (void)tern__engine_sync_locked(s.engine);
    assert_int_equal(tern__outbox_bytes_locked(tern__engine_outbox(s.engine)), 0);
    script_free(&s);
}

/* Closing ends every part that is told of. */
static void closing_ends_all(void **state)
{
    (void)state;
    script s;
    tern__completion completion;
    script_init(&s, TERN__V5);
    script_start(&s);
    const part parts[] = {{0, "a", 0}, {2, "b", 0}};
    assert_int_equal(publish_unit(&s, parts, 2, NULL), 0);
    assert_int_equal(publish_unit(&s, parts, 2, &completion), 0);
    assert_int_equal(tern__engine_abandon(s.engine), 0);
    expect_range(&s, 1, 2, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED);
    expect_no_range(&s);
    script_outcome(&s, &completion, TERN_OUTCOME_NOT_SENT, TERN_CAUSE_CLOSED, -1);
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_go_out_next_to_each_other), cmocka_unit_test(one_obstacle_stops_all),
        cmocka_unit_test(one_that_expires_ends_all),       cmocka_unit_test(what_was_begun_does_not_expire),
        cmocka_unit_test(what_was_only_staged_starts_over), cmocka_unit_test(a_lost_session_repeats_in_order),
        cmocka_unit_test(what_went_out_once_stays_begun),
        cmocka_unit_test(all_or_nothing_is_accepted),      cmocka_unit_test(closing_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
