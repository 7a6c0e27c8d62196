/* The inside of the outbox: chunks of encoded messages with their records. See outbox.h for the whole.
 *
 * A chunk is one allocation: packets grow from its start, records from its end. A record's id is the chunk's first id plus its
 * index. A unit of several entries is a flag on all but its last record. Room for what is to come: a dropped message is a record
 * in state DONE (a hole); a store keeps records by their ids; what is composed at sending has its bytes in a scratch chunk.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_CHUNK_H
#define TERN_ENGINE_CHUNK_H

#include <stdbool.h>

#include "base/list.h"
#include "engine/outbox.h"

/* A plain entry is of QoS 0 and goes out just as it is: nothing to look at, and nobody waits for its outcome. A run of them at
 * the end of a chunk is staged and ended without a look at each; they stay WAITING until they are DONE, unless they are cut.
 *
 * States of an entry. QoS 0: WAITING, STAGED, DONE. QoS 1: WAITING, STAGED, SENT, DONE. QoS 2: ..., SENT, RELEASED, DONE.
 * A lost session leads back from SENT to WAITING. UNTOLD: done, but memory ran out for telling; next DONE. */
enum {
    TERN__ENTRY_WAITING,
    TERN__ENTRY_STAGED,
    TERN__ENTRY_SENT,
    TERN__ENTRY_RELEASED, /* PUBREC came: the payload is gone, PUBREL is owed */
    TERN__ENTRY_UNTOLD,
    TERN__ENTRY_DONE
};

typedef struct tern__entry {
    tern__completion *completion;
    uint64_t expires_us; /* 0 never; UNTOLD: outcome, cause, reason (see outbox.c) */
    uint32_t offset;     /* of the packet in the chunk */
    uint32_t len;
    uint16_t packet_id;  /* STAGED, SENT, RELEASED */
    uint8_t state;
    uint8_t qos;
    uint8_t form;        /* protocol version of its bytes */
    uint8_t lose : 1;    /* 3.1.1 may leave the properties out */
    uint8_t retain : 1;
    uint8_t has_props : 1;
    uint8_t begun : 1;   /* some byte of it went out on this connection */
    uint8_t left : 1;    /* it went out in a session that is lost: NOT_SENT would be untrue now [C2] */
    uint8_t freed : 1;   /* the room of its bytes was given back */
    uint8_t unit : 1;    /* the next entry, in the same chunk, belongs to it; until it is DONE */
    uint8_t bound : 1;   /* what stands before it in its unit was begun: it does not expire any more */
    uint8_t silent : 1;  /* nobody is told its outcome */
} tern__entry;

typedef struct tern__chunk {
    tern__list link;   /* the engine's list, or the producer's of fresh ones */
    tern__list sparse; /* in the outbox's list of those that hold much more than they need */
    uint64_t earliest; /* no entry that waits expires before it; UINT64_MAX: none expires */
    uint64_t first_id;
    uint32_t cap;   /* bytes, records included; a multiple of the records' alignment */
    uint32_t len;   /* bytes of packets; the producer's */
    uint32_t count; /* records; the producer's */
    uint32_t special; /* records up to the last one that is not plain; the producer's */
    uint32_t plain_from; /* `special` as of the last sync: what was taken over from here on is plain */
    uint32_t taken; /* records that the engine took over */
    uint32_t taken_len;  /* bytes of their packets */
    uint32_t live;       /* of those, not DONE */
    uint32_t live_bytes; /* of the packets that are still needed */
    uint32_t first_live; /* none before it is live: a hint that only grows */
    uint32_t hole;       /* records up to the last one that was dropped: what is before it is no plain run */
    uint32_t staged;     /* records that the output points at */
    bool sealed;    /* nothing will be appended any more; as of the last sync */
    _Alignas(8) uint8_t bytes[];
} tern__chunk;

static inline tern__entry *tern__chunk_entry(tern__chunk *chunk, uint32_t index)
{
    return (tern__entry *)(void *)(chunk->bytes + chunk->cap) - 1 - index;
}

struct tern__outbox {
    /* The producer's, under the owner's lock. */
    tern__chunk *tail;
    tern__list fresh; /* chunks that the engine does not know yet */
    uint64_t next_id;
    size_t bytes;
    size_t count;
    size_t bytes_peak; /* before the last sync */
    size_t count_peak;
    size_t max_bytes;
    size_t max_count;
    tern_outbox_policy policy; /* constant */
    bool let_in;     /* the next one is taken whatever the bound */
    size_t room;     /* bytes left in `tail`, 0 without one */
    size_t unsynced; /* bytes of packets that the engine does not know yet */
    uint32_t next_cap; /* of the next chunk */
    int form;          /* protocol version in which packets are encoded */
    /* The engine's. */
    tern__list chunks; /* in the order of ids */
    tern__list sparse; /* chunks to be compacted */
    uint64_t earliest; /* no entry that waits expires before it: a bound for the next look; UINT64_MAX none */
    tern__chunk *cursor; /* where the next first transmission is; NULL: at the end of `chunks` */
    uint32_t cursor_index;
    uint64_t taken_id;   /* the last id taken over */
    uint64_t judged_id;  /* the last one that the bound was asked about, where the policy drops */
    size_t held_bytes;   /* as of the last sync */
    size_t held_count;
    size_t freed_bytes;  /* to be given back at the next sync */
    size_t freed_count;
    uint64_t open;       /* entries taken over and not DONE */
    uint64_t untold;     /* entries UNTOLD */
    int wanted_form;
    bool trim;           /* idle: give the empty tail back */
};

/* A chunk with room for `cap` bytes, records included; NULL where memory ran out. */
tern__chunk *tern__chunk_new(size_t cap);

void tern__outbox_init(tern__outbox *outbox, size_t max_bytes, size_t max_count, tern_outbox_policy policy);
void tern__outbox_deinit(tern__outbox *outbox);
/* See tern__engine_sync_locked(). */
bool tern__outbox_sync_locked(tern__outbox *outbox);

/* The entry at the cursor, NULL at the end; tern__outbox_advance() steps over it and more. */
tern__entry *tern__outbox_next(tern__outbox *outbox, tern__chunk **chunk, uint32_t *index);
void tern__outbox_advance(tern__outbox *outbox, uint32_t count);
/* The cursor goes back to this entry, if it stands behind it. */
void tern__outbox_rewind(tern__outbox *outbox, tern__chunk *chunk, uint32_t index);
/* The entry's bytes are not needed any more: their room is given back, the record stays. */
void tern__outbox_release_bytes(tern__outbox *outbox, tern__chunk *chunk, tern__entry *entry);
/* The output points at `count` entries no longer; their chunk is freed where that was all that kept it. */
void tern__outbox_unstage(tern__outbox *outbox, tern__chunk *chunk, uint32_t count);
/* The entry is DONE; its chunk is freed with its last one. */
void tern__outbox_done(tern__outbox *outbox, tern__chunk *chunk, uint32_t index);
/* The same of `count` entries from `index` that the output points at, `bytes` in all; their chunk stays while it does. */
void tern__outbox_done_run(tern__outbox *outbox, tern__chunk *chunk, uint32_t index, uint32_t count, size_t bytes);
/* The chunks of `fresh`, which hold all live entries of `chunk`, take its place; the cursor moves along. */
void tern__outbox_replace(tern__outbox *outbox, tern__chunk *chunk, tern__list *fresh);
/* Every id up to and including this one is DONE. */
uint64_t tern__outbox_settled(tern__outbox *outbox);
#endif
