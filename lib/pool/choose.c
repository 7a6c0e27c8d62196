/* Which member publishes: by topic, in turn, or where least is outstanding. No lock is taken.
 * SPDX-License-Identifier: Apache-2.0 */
#include "platform/clock.h"
#include "pool/pool.h"

enum { MEMBER_BITS = 16, MEMBER_MASK = (1 << MEMBER_BITS) - 1, PUBLISHER = 1 << MEMBER_BITS };

/* FNV-1a, with its bits mixed once more: topics differ in their last characters. */
static uint64_t hash(const char *text)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) h = (h ^ *at) * UINT64_C(1099511628211);
    h ^= h >> 32;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

size_t tern__pool_home(const tern_pool *pool, const char *text)
{
    return (size_t)(hash(text) % TERN__POOL_SLOTS) % pool->count;
}

/* Without a connection for so long that others should take over. */
static bool is_unhealthy(const tern_pool *pool, size_t member)
{
    tern__member *m = &pool->members[member];
    if (tern_client_connected(m->client)) return false;
    uint64_t now = tern__clock_us();
    uint64_t since = atomic_load_explicit(&m->down_since, memory_order_relaxed);
    return now >= since && now - since >= pool->unhealthy_us;
}

/* ---- by topic ---- */

/* Whether all that went through the slot has its outcome, as far as the member knows. */
static bool is_settled(const tern_pool *pool, tern__slot_of_topics *slot, size_t member)
{
    uint64_t oldest = 0;
    uint64_t last = atomic_load(&slot->last);
    if (last == 0 || last >> TERN__POOL_ID_BITS != member) return true;
    if (tern_client_oldest_open(pool->members[member].client, &oldest) != 0) return false;
    return (last & TERN__POOL_ID_MASK) < oldest;
}

/* Where the slot should be now: at home, or with the next member that is connected while home is not for long. */
static size_t wanted_member(const tern_pool *pool, size_t home, size_t now_at)
{
    if (tern_client_connected(pool->members[home].client)) return home;
    if (now_at != home && tern_client_connected(pool->members[now_at].client)) return now_at;
    if (!is_unhealthy(pool, now_at)) return now_at;
    for (size_t i = 1; i < pool->count; i++) {
        size_t other = (home + i) % pool->count;
        if (tern_client_connected(pool->members[other].client)) return other;
    }
    return now_at; /* nobody is better off */
}

/* Moves only where nobody is about to publish through it, and nothing of it is open where it is. */
static bool may_move(const tern_pool *pool, tern__slot_of_topics *slot, uint64_t state)
{
    if (pool->move_early) return true;
    return state < PUBLISHER && is_settled(pool, slot, (size_t)state & MEMBER_MASK);
}

static tern__choice choose_by_topic(tern_pool *pool, const char *topic)
{
    size_t index = (size_t)(hash(topic) % TERN__POOL_SLOTS);
    tern__slot_of_topics *slot = &pool->slots[index];
    size_t home = index % pool->count;
    uint64_t state = atomic_load(&slot->state);
    for (;;) {
        size_t member = (size_t)(state & MEMBER_MASK);
        size_t wanted = member;
        if (member != home || !tern_client_connected(pool->members[member].client))
            wanted = wanted_member(pool, home, member);
        if (wanted != member && !may_move(pool, slot, state)) wanted = member;
        uint64_t next = (state & ~(uint64_t)MEMBER_MASK) + PUBLISHER + wanted;
        if (atomic_compare_exchange_weak(&slot->state, &state, next)) return (tern__choice){wanted, slot};
    }
}

/* ---- the others ---- */

/* The next in turn that is connected; the next in turn where none is. */
static size_t choose_in_turn(tern_pool *pool)
{
    size_t turn = atomic_fetch_add_explicit(&pool->turn, 1, memory_order_relaxed) % pool->count;
    for (size_t i = 0; i < pool->count; i++) {
        size_t member = (turn + i) % pool->count;
        if (tern_client_connected(pool->members[member].client)) return member;
    }
    return turn;
}

static uint64_t outstanding(tern__member *member)
{
    uint64_t oldest = 0;
    if (tern_client_oldest_open(member->client, &oldest) != 0) return UINT64_MAX;
    uint64_t last = atomic_load_explicit(&member->last_id, memory_order_relaxed);
    return last >= oldest ? last - oldest + 1 : 0;
}

static size_t choose_least(tern_pool *pool)
{
    size_t best = choose_in_turn(pool);
    uint64_t least = outstanding(&pool->members[best]);
    bool connected = tern_client_connected(pool->members[best].client);
    for (size_t i = 1; i < pool->count && (least != 0 || !connected); i++) {
        size_t member = (best + i) % pool->count;
        bool up = tern_client_connected(pool->members[member].client);
        if (connected && !up) continue;
        uint64_t open = outstanding(&pool->members[member]);
        if (connected == up && open >= least) continue;
        best = member;
        least = open;
        connected = up;
    }
    return best;
}

tern__choice tern__pool_choose(tern_pool *pool, const char *topic)
{
    switch (pool->policy) {
    case TERN_POOL_BY_TOPIC: return choose_by_topic(pool, topic);
    case TERN_POOL_ROUND_ROBIN: return (tern__choice){choose_in_turn(pool), NULL};
    case TERN_POOL_LEAST_OUTSTANDING: break;
    }
    return (tern__choice){choose_least(pool), NULL};
}

static void raise_to(atomic_uint_least64_t *value, uint64_t least)
{
    uint64_t seen = atomic_load_explicit(value, memory_order_relaxed);
    while (seen < least && !atomic_compare_exchange_weak(value, &seen, least)) {}
}

/* The last id of the slot: that of its present member counts, and of those the largest. */
static void note_last(tern__slot_of_topics *slot, size_t member, uint64_t id)
{
    uint64_t mine = tern__pool_id(member, id);
    uint64_t seen = atomic_load(&slot->last);
    while ((seen >> TERN__POOL_ID_BITS != member || seen < mine) && !atomic_compare_exchange_weak(&slot->last, &seen, mine)) {}
}

void tern__pool_chosen(tern_pool *pool, const tern__choice *choice, uint64_t id)
{
    if (id != 0) raise_to(&pool->members[choice->member].last_id, id);
    if (choice->slot == NULL) return;
    if (id != 0) note_last(choice->slot, choice->member, id);
    atomic_fetch_sub(&choice->slot->state, PUBLISHER);
}
