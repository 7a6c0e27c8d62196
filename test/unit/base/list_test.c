/* The linked list.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/list.h"

typedef struct item {
    int value;
    tern__list link;
} item;

static void expect_order(const tern__list *list, const int *values, size_t count)
{
    const tern__list *node = list->next;
    for (size_t i = 0; i < count; i++, node = node->next) {
        assert_ptr_not_equal(node, list);
        assert_int_equal(TERN__CONTAINER(node, item, link)->value, values[i]);
        assert_ptr_equal(node->next->prev, node);
    }
    assert_ptr_equal(node, list);
}

static void order_is_kept(void **state)
{
    (void)state;
    item items[4];
    tern__list list;
    tern__list_init(&list);
    assert_true(tern__list_empty(&list));
    assert_null(tern__list_shift(&list));
    for (int i = 0; i < 4; i++)
        items[i].value = i;
    tern__list_append(&list, &items[1].link);
    tern__list_append(&list, &items[2].link);
    tern__list_prepend(&list, &items[0].link);
    tern__list_append(&list, &items[3].link);
    expect_order(&list, (const int[]){0, 1, 2, 3}, 4);
    tern__list_remove(&items[1].link);
    assert_true(tern__list_empty(&items[1].link));
    expect_order(&list, (const int[]){0, 2, 3}, 3);
    tern__list_remove(&items[1].link); /* again: nothing happens */
    assert_ptr_equal(tern__list_shift(&list), &items[0].link);
    expect_order(&list, (const int[]){2, 3}, 2);
}

static void splicing_moves_everything(void **state)
{
    (void)state;
    item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
    tern__list a;
    tern__list b;
    tern__list_init(&a);
    tern__list_init(&b);
    tern__list_splice(&a, &b);
    assert_true(tern__list_empty(&a));
    tern__list_append(&a, &items[0].link);
    tern__list_append(&b, &items[1].link);
    tern__list_append(&b, &items[2].link);
    tern__list_splice(&a, &b);
    assert_true(tern__list_empty(&b));
    expect_order(&a, (const int[]){0, 1, 2}, 3);
    tern__list_splice(&b, &a);
    expect_order(&b, (const int[]){0, 1, 2}, 3);
    assert_true(tern__list_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(splicing_moves_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
