/* The pairing heap: deadlines come out in order, whatever is removed in between.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/heap.h"

enum { NODES = 2000 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void pops_in_order(void **state)
{
    (void)state;
    static tern__heap_node nodes[NODES];
    tern__heap heap = {NULL};
    uint32_t seed = 7;
    for (int i = 0; i < NODES; i++) {
        nodes[i].linked = false;
        tern__heap_insert(&heap, &nodes[i], next_random(&seed) % 500);
    }
    uint64_t last = 0;
    int count = 0;
    while (heap.root != NULL) {
        tern__heap_node *node = heap.root;
        assert_true(node->key >= last);
        last = node->key;
        tern__heap_remove(&heap, node);
        assert_false(node->linked);
        count++;
    }
    assert_int_equal(count, NODES);
}

static void removes_anything_at_any_time(void **state)
{
    (void)state;
    static tern__heap_node nodes[NODES];
    tern__heap heap = {NULL};
    uint32_t seed = 11;
    for (int i = 0; i < NODES; i++) nodes[i].linked = false;
    for (int step = 0; step < 100000; step++) {
        tern__heap_node *node = &nodes[next_random(&seed) % NODES];
        if (node->linked) {
            tern__heap_remove(&heap, node);
        } else {
            tern__heap_insert(&heap, node, next_random(&seed) % 1000);
        }
        if (step % 1000 != 0) continue;
        uint64_t smallest = UINT64_MAX;
        for (int i = 0; i < NODES; i++)
            if (nodes[i].linked && nodes[i].key < smallest) smallest = nodes[i].key;
        assert_true(heap.root == NULL ? smallest == UINT64_MAX : heap.root->key == smallest);
    }
}

static void removing_what_is_not_there_does_nothing(void **state)
{
    (void)state;
    tern__heap heap = {NULL};
    tern__heap_node node = {.linked = false};
    tern__heap_remove(&heap, &node);
    assert_null(heap.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pops_in_order),
        cmocka_unit_test(removes_anything_at_any_time),
        cmocka_unit_test(removing_what_is_not_there_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
