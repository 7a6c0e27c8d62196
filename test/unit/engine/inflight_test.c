/* Packet ids: 1..65535, never one that is open, in the orders that redelivery needs. [MQTT5-2.2.1-3]
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/alloc.h"
#include "engine/machine.h"

static void ids_go_round_and_are_never_reused_while_open(void **state)
{
    (void)state;
    enum { OPERATIONS = 400000, MOST = 3000 };
    tern__inflight t = {0};
    static bool open[65536];
    static uint16_t ids[MOST];
    unsigned count = 0;
    bool wrapped = false;
    uint16_t last = 0;
    memset(open, 0, sizeof open);
    srand(3);
    for (int i = 0; i < OPERATIONS; i++) {
        if (count == MOST || (count != 0 && rand() % 100 < 45)) {
            unsigned at = (unsigned)rand() % count;
            tern__slot *slot = tern__inflight_find(&t, ids[at]);
            assert_non_null(slot);
            assert_int_equal(slot->packet_id, ids[at]);
            tern__inflight_close(&t, slot);
            assert_null(tern__inflight_find(&t, ids[at]));
            open[ids[at]] = false;
            ids[at] = ids[--count];
            continue;
        }
        tern__slot *slot = tern__inflight_open(&t, TERN__SLOT_PUBLISH, &t.publishes);
        assert_non_null(slot);
        assert_int_not_equal(slot->packet_id, 0);
        assert_false(open[slot->packet_id]);
        if (slot->packet_id < last) wrapped = true;
        last = slot->packet_id;
        open[last] = true;
        ids[count++] = last;
    }
    assert_true(wrapped);
    assert_int_equal(t.used, count);
    assert_int_equal(t.publishes.count, count);
    tern__free(t.slots);
}

static void all_ids_can_be_open_at_once(void **state)
{
    (void)state;
    tern__inflight t = {0};
    static bool open[65536];
    memset(open, 0, sizeof open);
    for (int i = 0; i < 65535; i++) {
        tern__slot *slot = tern__inflight_open(&t, TERN__SLOT_REQUEST, NULL);
        assert_non_null(slot);
        assert_false(open[slot->packet_id]);
        open[slot->packet_id] = true;
    }
    assert_false(open[0]);
    assert_null(tern__inflight_open(&t, TERN__SLOT_REQUEST, NULL));
    tern__inflight_close(&t, tern__inflight_find(&t, 77));
    assert_int_equal(tern__inflight_open(&t, TERN__SLOT_REQUEST, NULL)->packet_id, 77);
    tern__free(t.slots);
}

/* [MQTT5-4.6.0-1] [MQTT5-4.6.0-4] publishes as they were sent, releases as their PUBRECs came */
static void orders_are_kept(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    tern__inflight t = {0};
    uint16_t ids[COUNT];
    for (int i = 0; i < COUNT; i++) ids[i] = tern__inflight_open(&t, TERN__SLOT_PUBLISH, &t.publishes)->packet_id;
    for (int i = COUNT - 1; i >= 0; i -= 2) tern__inflight_to_releases(&t, tern__inflight_find(&t, ids[i]));
    tern__inflight_close(&t, tern__inflight_find(&t, ids[0]));
    tern__inflight_close(&t, tern__inflight_find(&t, ids[51]));
    uint16_t at = t.publishes.first;
    for (int i = 2; i < COUNT; i += 2) {
        assert_int_equal(at, ids[i]);
        at = tern__inflight_find(&t, at)->next;
    }
    assert_int_equal(at, 0);
    at = t.releases.first;
    for (int i = COUNT - 1; i >= 0; i -= 2) {
        if (i == 51) continue;
        assert_int_equal(at, ids[i]);
        at = tern__inflight_find(&t, at)->next;
    }
    assert_int_equal(at, 0);
    assert_int_equal(t.publishes.count, COUNT / 2 - 1);
    assert_int_equal(t.releases.count, COUNT / 2 - 1);
    tern__free(t.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_go_round_and_are_never_reused_while_open),
        cmocka_unit_test(all_ids_can_be_open_at_once),
        cmocka_unit_test(orders_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
