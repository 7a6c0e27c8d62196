/* The connection is cut after every byte of a session, in both directions; then the session is resumed, or lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "sweep/world.h"

static world w;

static void judge(bool lost, size_t at, const char *direction)
{
    for (int i = 0; i < WORLD_MESSAGES; i++) {
        const char *what = NULL;
        bool delivered = w.outcome[i] == TERN_OUTCOME_DELIVERED;
        if (w.outcomes[i] != 1) what = "not one outcome [C1]";
        if (i % 3 == 0 && w.copies[i] > 1) what = "QoS 0 came twice [C5]";
        if (i % 3 == 0 && w.outcome[i] == TERN_OUTCOME_NOT_SENT) what = "QoS 0 was given up";
        if (i % 3 == 1 && (!delivered || w.copies[i] == 0)) what = "QoS 1 was not delivered [C5] [C7]";
        if (i % 3 == 2 && !lost && (!delivered || w.copies[i] != 1)) what = "QoS 2 not exactly once [C5]";
        if (i % 3 == 2 && lost && delivered && w.copies[i] != 1) what = "QoS 2 delivered, but not once [C5]";
        if (i % 3 == 2 && lost && !delivered && w.outcome[i] != TERN_OUTCOME_UNKNOWN) what = "QoS 2 neither done nor unknown [C7]";
        if (what != NULL)
            fail_msg("cut %s after %zu bytes, session %s, message %d: %s (outcomes %u, last %s, copies %u)", direction, at,
                     lost ? "lost" : "resumed", i, what, w.outcomes[i], tern_outcome_name(w.outcome[i]), w.copies[i]);
    }
    if (w.order_errors != 0 && !lost) fail_msg("cut %s after %zu bytes: order [C8]", direction, at);
    if (w.failures != 0) fail_msg("cut %s after %zu bytes: the engine gave the link up", direction, at);
    assert_true(w.subscribed); /* [C7] [C21] */
    assert_true(w.received[2] <= 1); /* exactly once, also on this side [C5] [C9] */
    if (!lost) assert_int_equal(w.received[2], 1);
    if (!lost) assert_true(w.received[1] >= 1);
    assert_int_equal(tern__engine_open_count(w.engine), 0);
    assert_int_equal(tern__engine_settled_id(w.engine), WORLD_MESSAGES);
    assert_int_equal(tern__outbox_bytes_locked(tern__engine_outbox(w.engine)), 0);
}

/* One run with a cut; false where the session was over before the cut. */
static bool run(int version, bool lost, bool outward, size_t at)
{
    unsigned accepted;
    assert_int_equal(world_init(&w, version), 0);
    assert_int_equal(world_submit(&w, &accepted), 0);
    if (outward) w.cut_out = at;
    if (!outward) w.cut_in = at;
    world_connect(&w);
    if (at == 0) w.cut = true;
    world_run(&w);
    bool was_cut = w.cut;
    if (was_cut) {
        world_disconnect(&w);
        w.cut_out = w.cut_in = SIZE_MAX;
        w.broker_forgets = lost;
        world_connect(&w);
        world_run(&w);
    }
    judge(lost, at, outward ? "outward" : "inward");
    world_deinit(&w);
    return was_cut;
}

static void sweep(int version, bool lost, bool outward)
{
    size_t at = 0;
    while (run(version, lost, outward, at)) at++;
    assert_true(at > 50); /* it was a whole session */
}

static void cut_v5_resumed(void **state)
{
    (void)state;
    sweep(TERN__V5, false, true);
    sweep(TERN__V5, false, false);
}

static void cut_v5_lost(void **state)
{
    (void)state;
    sweep(TERN__V5, true, true);
    sweep(TERN__V5, true, false);
}

static void cut_v311_resumed(void **state)
{
    (void)state;
    sweep(TERN__V311, false, true);
    sweep(TERN__V311, false, false);
}

static void cut_v311_lost(void **state)
{
    (void)state;
    sweep(TERN__V311, true, true);
    sweep(TERN__V311, true, false);
}

/* Two cuts in one session: the second while the first is being made good. */
static void cut_twice(void **state)
{
    (void)state;
    for (size_t first = 1; first < 200; first += 3) {
        for (size_t second = 1; second < 200; second += 5) {
            unsigned accepted;
            assert_int_equal(world_init(&w, TERN__V5), 0);
            assert_int_equal(world_submit(&w, &accepted), 0);
            w.cut_out = first;
            world_connect(&w);
            world_run(&w);
            world_disconnect(&w);
            w.cut_out = SIZE_MAX;
            w.cut_in = second;
            world_connect(&w);
            world_run(&w);
            world_disconnect(&w);
            w.cut_in = SIZE_MAX;
            world_connect(&w);
            world_run(&w);
            judge(false, first * 1000 + second, "twice");
            world_deinit(&w);
        }
    }
}

static void closing_gives_every_message_its_outcome(void **state) /* [C1] [C12] */
{
    (void)state;
    for (size_t at = 0; at < 150; at++) {
        unsigned accepted;
        assert_int_equal(world_init(&w, TERN__V5), 0);
        assert_int_equal(world_submit(&w, &accepted), 0);
        w.cut_out = at;
        world_connect(&w);
        if (at == 0) w.cut = true;
        world_run(&w);
        world_close(&w);
        for (int i = 0; i < WORLD_MESSAGES; i++) {
            assert_int_equal(w.outcomes[i], 1);
            if (w.outcome[i] == TERN_OUTCOME_NOT_SENT) assert_int_equal(w.copies[i], 0); /* [C2] */
        }
        world_deinit(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_v5_resumed),   cmocka_unit_test(cut_v5_lost),
        cmocka_unit_test(cut_v311_resumed), cmocka_unit_test(cut_v311_lost),
        cmocka_unit_test(cut_twice),        cmocka_unit_test(closing_gives_every_message_its_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
