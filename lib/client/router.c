/* The router: a trie of topic filters that finds the handlers of a topic.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/router.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/topic.h"

/* One level of filters. Children are in an open hash of their level's text; the two wildcards have places of their own. */
struct tern__route_node {
    tern__route_node *parent;
    tern__route_node **children; /* table of child_cap places, NULL where free */
    size_t child_cap;            /* 0 or a power of two, at least twice child_count */
    size_t child_count;
    tern__route_node *plus; /* the level "+" */
    tern__handler *hash;    /* handler of the filter that ends in "#" here */
    tern__handler *here;    /* handler of the filter that ends with this level */
    uint32_t text_hash;
    uint32_t text_len;
    char text[];
};

static uint32_t hash_text(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

static tern__route_node *node_new(tern__route_node *parent, const char *text, size_t len)
{
    tern__route_node *node = tern__calloc(1, sizeof *node + len);
    if (node == NULL) return NULL;
    node->parent = parent;
    memcpy(node->text, text, len);
    node->text_len = (uint32_t)len;
    node->text_hash = hash_text(text, len);
    return node;
}

static tern__route_node *child_find(const tern__route_node *node, const char *text, size_t len)
{
    if (node->child_count == 0) return NULL;
    uint32_t hash = hash_text(text, len);
    for (size_t i = hash;; i++) {
        tern__route_node *child = node->children[i & (node->child_cap - 1)];
        if (child == NULL) return NULL;
        if (child->text_hash == hash && child->text_len == len && memcmp(child->text, text, len) == 0)
            return child;
    }
}

static void table_put(tern__route_node **table, size_t cap, tern__route_node *child)
{
    size_t i = child->text_hash;
    while (table[i & (cap - 1)] != NULL) i++;
    table[i & (cap - 1)] = child;
}

static tern__route_node *child_add(tern__route_node *node, const char *text, size_t len)
{
    if ((node->child_count + 1) * 2 > node->child_cap) {
        size_t cap = node->child_cap != 0 ? node->child_cap * 2 : 4;
        tern__route_node **table = tern__calloc(cap, sizeof *table);
        if (table == NULL) return NULL;
        for (size_t i = 0; i < node->child_cap; i++)
            if (node->children[i] != NULL) table_put(table, cap, node->children[i]);
        tern__free(node->children);
        node->children = table;
        node->child_cap = cap;
    }
    tern__route_node *child = node_new(node, text, len);
    if (child == NULL) return NULL;
    table_put(node->children, node->child_cap, child);
    node->child_count++;
    return child;
}

/* Takes a child out of its parent's table and closes the gap, so that what was moved on by a collision is still found. */
static void table_take(tern__route_node *parent, const tern__route_node *child)
{
    size_t mask = parent->child_cap - 1;
    size_t gap = child->text_hash & mask;
    while (parent->children[gap] != child) gap = (gap + 1) & mask;
    for (size_t i = (gap + 1) & mask; parent->children[i] != NULL; i = (i + 1) & mask) {
        size_t home = parent->children[i]->text_hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask)) continue; /* it would come to lie before its home */
        parent->children[gap] = parent->children[i];
        gap = i;
    }
    parent->children[gap] = NULL;
    parent->child_count--;
}

/* Frees a node that serves nothing any more, and those above that served nothing else. */
static void prune(tern__router *router, tern__route_node *node)
{
    while (node != NULL && node->child_count == 0 && node->plus == NULL && node->here == NULL && node->hash == NULL) {
        tern__route_node *parent = node->parent;
        if (parent == NULL) {
            router->root = NULL;
        } else if (parent->plus == node) {
            parent->plus = NULL;
        } else {
            table_take(parent, node);
        }
        tern__free(node->children);
        tern__free(node);
        node = parent;
    }
}

int tern__router_init(tern__router *router)
{
    memset(router, 0, sizeof *router);
    tern__list_init(&router->retired);
    return tern__mutex_init(&router->lock);
}

/* Frees a tree without recursion: what is still to be freed hangs in a list by `parent`. */
static void tree_free(tern__route_node *pending)
{
    while (pending != NULL) {
        tern__route_node *node = pending;
        pending = node->parent;
        for (size_t i = 0; i <= node->child_cap; i++) {
            tern__route_node *child = i < node->child_cap ? node->children[i] : node->plus;
            if (child == NULL) continue;
            child->parent = pending;
            pending = child;
        }
        tern__free(node->here);
        tern__free(node->hash);
        tern__free(node->children);
        tern__free(node);
    }
}

void tern__router_reap(tern__router *router)
{
    tern__list retired;
    tern__list_init(&retired);
    tern__mutex_lock(&router->lock);
    router->reading = false;
    tern__list_splice(&retired, &router->retired);
    tern__mutex_unlock(&router->lock);
    tern__list *link;
    while ((link = tern__list_shift(&retired)) != NULL) tern__free(TERN__CONTAINER(link, tern__handler, retired));
}

void tern__router_deinit(tern__router *router)
{
    tern__router_reap(router);
    tree_free(router->root);
    tern__mutex_deinit(&router->lock);
}

/* Length of the level at text[at]. */
static size_t level_len(const char *text, size_t len, size_t at)
{
    const char *slash = memchr(text + at, '/', len - at);
    return slash != NULL ? (size_t)(slash - (text + at)) : len - at;
}

/* The handler's place for a filter, made where `make` says so; NULL where it is not there or memory ran out. *last is the
 * node of the place, or the last one before what is missing. */
static tern__handler **place(tern__router *router, const char *filter, size_t len, bool make, tern__route_node **last)
{
    if (router->root == NULL && make) router->root = node_new(NULL, "", 0);
    tern__route_node *node = router->root;
    *last = node;
    for (size_t at = 0; node != NULL;) {
        size_t n = level_len(filter, len, at);
        if (n == 1 && filter[at] == '#') return &node->hash;
        tern__route_node *child;
        if (n == 1 && filter[at] == '+') {
            if (node->plus == NULL && make) node->plus = node_new(node, "+", 1);
            child = node->plus;
        } else {
            child = child_find(node, filter + at, n);
            if (child == NULL && make) child = child_add(node, filter + at, n);
        }
        node = child;
        if (node != NULL) *last = node;
        at += n;
        if (at == len) return node != NULL ? &node->here : NULL;
        at++;
    }
    return NULL;
}

static void retire(tern__router *router, tern__handler *handler)
{
    atomic_store(&handler->removed, true);
    if (router->reading) {
        tern__list_append(&router->retired, &handler->retired);
    } else {
        tern__free(handler);
    }
}

static int set_locked(tern__router *router, const char *filter, size_t len, tern__handler *handler)
{
    tern__route_node *node;
    tern__handler **slot = place(router, filter, len, handler != NULL, &node);
    if (slot == NULL) prune(router, node); /* what memory sufficed for */
    if (slot == NULL) return handler != NULL ? TERN_E_NOMEM : TERN_E_NOT_FOUND;
    if (*slot == NULL && handler == NULL) return TERN_E_NOT_FOUND;
    if (*slot != NULL) {
        retire(router, *slot);
        router->count--;
    }
    *slot = handler;
    if (handler != NULL) router->count++;
    if (handler == NULL) prune(router, node);
    atomic_fetch_add(&router->generation, 1);
    return 0;
}

int tern__router_set(tern__router *router, const char *filter, tern_message_callback callback,
                     void *user_data)
{
    size_t len = strlen(filter);
    size_t skip = 0;
    if (tern__filter_shared(filter, len, &skip)) {
        filter += skip;
        len -= skip;
    }
    tern__handler *handler = NULL;
    if (callback != NULL) {
        handler = tern__calloc(1, sizeof *handler);
        if (handler == NULL) return TERN_E_NOMEM;
        tern__list_init(&handler->retired);
        handler->callback = callback;
        handler->user_data = user_data;
    }
    tern__mutex_lock(&router->lock);
    int rc = set_locked(router, filter, len, handler);
    tern__mutex_unlock(&router->lock);
    if (rc != 0) tern__free(handler);
    return rc;
}

void tern__router_set_general(tern__router *router, tern_message_callback callback, void *user_data)
{
    tern__mutex_lock(&router->lock);
    router->general = callback;
    router->general_data = user_data;
    atomic_fetch_add(&router->generation, 1);
    tern__mutex_unlock(&router->lock);
}

bool tern__router_handles(tern__router *router)
{
    tern__mutex_lock(&router->lock);
    bool handles = router->count != 0 || router->general != NULL;
    tern__mutex_unlock(&router->lock);
    return handles;
}

static void take(tern__match *match, size_t *skip, tern__handler *handler)
{
    if (handler == NULL) return;
    if (*skip != 0) {
        (*skip)--;
        return;
    }
    if (match->count < TERN__MATCH_MAX) match->handlers[match->count] = handler;
    match->count++;
}

/* Where the level that ends right before `end` starts. */
static size_t level_start(const char *topic, size_t end)
{
    while (end != 0 && topic[end - 1] != '/') end--;
    return end;
}

/* Walks every branch that matches, depth first and without recursion: the literal branch of a level first, then "+". `at` is
 * where the next level starts; len + 1 when there is none left. */
void tern__router_match_locked(tern__router *router, const char *topic, size_t len, size_t skip,
                               tern__match *match)
{
    match->count = 0;
    router->reading = true;
    const tern__route_node *root = router->root;
    bool dollar = len != 0 && topic[0] == '$'; /* no leading wildcard matches it [MQTT5-4.7.2-1] */
    size_t at = 0;
    for (const tern__route_node *node = root; node != NULL;) {
        if (node != root || !dollar) take(match, &skip, node->hash); /* "a/#" matches "a" too */
        const tern__route_node *next = NULL;
        if (at == len + 1) {
            take(match, &skip, node->here);
        } else {
            size_t n = level_len(topic, len, at);
            next = child_find(node, topic + at, n);
            if (next == NULL && (node != root || !dollar)) next = node->plus;
            if (next != NULL) at += n + 1;
        }
        while (next == NULL && node != root) {
            const tern__route_node *parent = node->parent;
            if (node != parent->plus && parent->plus != NULL && (parent != root || !dollar)) {
                next = parent->plus;
            } else {
                at = level_start(topic, at - 1);
                node = parent;
            }
        }
        node = next;
    }
}
