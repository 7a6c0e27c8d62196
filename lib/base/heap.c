/* Intrusive pairing heap of deadlines.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <assert.h>

/* Joins two heaps (either may be NULL); the smaller root becomes the parent. */
static tern__heap_node *meld(tern__heap_node *a, tern__heap_node *b)
{
    if (a == NULL) return b;
    if (b == NULL) return a;
    if (b->key < a->key) {
        tern__heap_node *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next != NULL) b->next->prev = b;
    a->child = b;
    return a;
}

/* Joins a list of siblings in two passes, without recursion. */
static tern__heap_node *meld_siblings(tern__heap_node *first)
{
    tern__heap_node *pairs = NULL; /* linked by next, last pair first */
    while (first != NULL) {
        tern__heap_node *a = first;
        tern__heap_node *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL) b->next = b->prev = NULL;
        tern__heap_node *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    tern__heap_node *root = NULL;
    while (pairs != NULL) {
        tern__heap_node *next = pairs->next;
        pairs->next = pairs->prev = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void tern__heap_insert(tern__heap *heap, tern__heap_node *node, uint64_t key)
{
    assert(!node->linked && "a node is in one heap at a time");
    node->key = key;
    node->child = node->next = node->prev = NULL;
    node->linked = true;
    heap->root = meld(heap->root, node);
}

void tern__heap_remove(tern__heap *heap, tern__heap_node *node)
{
    if (!node->linked) return;
    tern__heap_node *rest = meld_siblings(node->child);
    if (node == heap->root) {
        heap->root = rest;
    } else {
        if (node->prev->child == node) {
            node->prev->child = node->next;
        } else {
            node->prev->next = node->next;
        }
        if (node->next != NULL) node->next->prev = node->prev;
        heap->root = meld(heap->root, rest);
    }
    if (heap->root != NULL) heap->root->prev = heap->root->next = NULL;
    node->child = node->next = node->prev = NULL;
    node->linked = false;
}
