/* Intrusive pairing heap of deadlines: the node lives inside its owner, so inserting never fails.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BASE_HEAP_H
#define TERN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tern__heap_node {
    uint64_t key;
    struct tern__heap_node *child; /* first child; children are linked by next */
    struct tern__heap_node *next;
    struct tern__heap_node *prev; /* left sibling, or the parent for a first child; NULL at the root */
    bool linked;
} tern__heap_node;

/* root is the node with the smallest key, NULL while the heap is empty. */
typedef struct tern__heap {
    tern__heap_node *root;
} tern__heap;

/* The node must not be linked. */
void tern__heap_insert(tern__heap *heap, tern__heap_node *node, uint64_t key);
/* Does nothing where the node is not linked. */
void tern__heap_remove(tern__heap *heap, tern__heap_node *node);

#endif
