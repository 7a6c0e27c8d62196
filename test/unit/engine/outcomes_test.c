/* Outcomes that memory ran out for: kept, and told in time without anything else to wake for. [C1] [C19]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "engine/machine.h"
#include "support/failing.h"

enum { NOW = 1000000 };

static tern__engine *connected(tern__block_pool **pool)
{
    static const tern__connect_config connect = {.version = TERN__V311, .session = TERN_SESSION_CLEAN};
    tern__engine *engine = NULL;
    tern__iov pieces[8];
    size_t count;
    assert_int_equal(tern__block_pool_new(pool, 4096), 0);
    const tern__engine_config config = {.client_id = "o", .outbox_bytes = 1 << 20, .inflight_maximum = 10,
                                        .receive_maximum = 10, .maximum_packet_size = 1 << 20, .pool = *pool};
    assert_int_equal(tern__engine_new(&engine, &config), 0);
    assert_int_equal(tern__engine_opened(engine, &connect, NOW), 0);
    assert_int_equal(tern__engine_output(engine, NOW, pieces, 8, &count), 0);
    tern__engine_sent(engine, pieces[0].len, NOW);
    assert_int_equal(tern__engine_recv(engine, "\x20\x02\0\0", 4, NOW), 0);
    tern__engine_event event;
    assert_true(tern__engine_next_event(engine, &event));
    return engine;
}

static void the_engine_asks_to_be_woken(void **state)
{
    (void)state;
    tern__block_pool *pool;
    tern__engine *engine = connected(&pool);
    const tern__submission submission = {.publish = {.retain = true, .topic = {(const uint8_t *)"t", 1}}};
    uint64_t id;
    assert_int_equal(tern__outbox_append_locked(tern__engine_outbox(engine), &submission, &id), 0);
    (void)tern__engine_sync_locked(engine);
    assert_true(tern__engine_deadline(engine) == UINT64_MAX);

    tern__iov pieces[8];
    size_t count;
    assert_int_equal(tern__engine_output(engine, NOW, pieces, 8, &count), 0);
    failing_arm(0);
    tern__engine_sent(engine, pieces[0].len, NOW);
    assert_true(failing_disarm());
    assert_int_equal(engine->outbox.untold, 1);
    assert_true(tern__engine_deadline(engine) <= NOW);

    tern__range range;
    tern__engine_tick(engine, NOW);
    failing_arm(0);
    assert_false(tern__engine_next_range(engine, &range)); /* there still is no memory */
    assert_true(failing_disarm());
    const uint64_t again = tern__engine_deadline(engine);
    assert_true(again > NOW && again < NOW + 1000000);
    tern__engine_tick(engine, again);
    assert_true(tern__engine_next_range(engine, &range));
    assert_int_equal(range.first, id);
    assert_int_equal(range.last, id);
    assert_int_equal(range.outcome, TERN_OUTCOME_SENT);
    assert_true(tern__engine_deadline(engine) == UINT64_MAX);
    assert_int_equal(tern__engine_open_count(engine), 0);
    tern__engine_closed(engine, NOW);
    tern__engine_free(engine);
    tern__block_pool_unref(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_engine_asks_to_be_woken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
