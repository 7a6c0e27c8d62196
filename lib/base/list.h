/* Intrusive doubly linked list: the node lives inside the item, so linking never fails.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_LIST_H
#define TERN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A node, or a list's head. A head is circular; an unlinked node points at itself. */
typedef struct tern__list {
    struct tern__list *next;
    struct tern__list *prev;
} tern__list;

#define TERN__CONTAINER(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

static inline void tern__list_init(tern__list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool tern__list_empty(const tern__list *list)
{
    return list->next == list;
}

static inline void tern__list_append(tern__list *list, tern__list *node)
{
    node->next = list;
    node->prev = list->prev;
    list->prev->next = node;
    list->prev = node;
}

static inline void tern__list_prepend(tern__list *list, tern__list *node)
{
    tern__list_append(list->next, node);
}

static inline void tern__list_remove(tern__list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    tern__list_init(node);
}

/* Unlinks and returns the first node, NULL where the list is empty. */
static inline tern__list *tern__list_shift(tern__list *list)
{
    if (tern__list_empty(list)) return NULL;
    tern__list *node = list->next;
    tern__list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void tern__list_splice(tern__list *to, tern__list *from)
{
    if (tern__list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    tern__list_init(from);
}

#endif
