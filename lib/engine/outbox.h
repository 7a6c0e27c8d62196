/* The outbox: one ordered log of first transmissions, written by publishers, read by the engine.
 *
 * A plain data structure without locks that is split in two halves. The producer half (append) and tern__outbox_sync()
 * run under the owner's lock; everything else belongs to the one thread that drives the engine. Entries go over to the
 * engine's half only in sync, many at a time, and freed room comes back the same way: so a publish costs one short
 * critical section, and sending costs two a batch.
 *
 * A block holds the packets' bytes, one behind the other in wire form, and apart from them an array of small records,
 * so that a run of packets goes out in one piece with nothing between them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_OUTBOX_H
#define TERN_ENGINE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tern/types.h>

#include "base/list.h"
#include "codec/packet.h"
#include "engine/completion.h"

typedef struct tern__outbox tern__outbox;

enum { TERN__UNIT_MAX = 16 /* messages */ };

/* What a publisher hands in; all of it is borrowed for the call and has been checked. */
typedef struct tern__submission {
    tern__publish_packet publish; /* packet_id and dup are ignored */
    bool bare;                    /* not retained, and nothing of what follows: takes the short way. Never untrue */
    bool lose_properties;         /* TERN_LOSE_PROPERTIES */
    bool silent;                  /* its outcome is counted and told to nobody; not bare */
    tern__props props;            /* wire form; present tells which, expiry included */
    uint64_t expires_us;          /* 0 = never; else the time of the owner's clock */
    tern__completion *completion; /* told the outcome, or NULL: then the delivery reports */
} tern__submission;

/* What appending answers for a message that was taken beyond the bound: the engine is to look after it soon. */
enum { TERN__OUTBOX_OVER = 1 };

/* Producer half: the owner's lock is held. Copies the message in, encoded in the outbox's present form, and gives it the
 * next id (from 1, never reused). 0 or TERN__OUTBOX_OVER (policies that drop). TERN_E_OUTBOX_FULL at a bound, TERN_E_NOMEM, TERN_E_TOO_LARGE. An empty outbox takes a
 * message of any size that MQTT can carry, so that a small bound never blocks for ever. */
int tern__outbox_append_locked(tern__outbox *outbox, const tern__submission *submission, uint64_t *id);

/* The same of several messages that go out next to each other, and none where one of them does not: all or nothing is
 * accepted, and *id is the last one's. None of them is bare. */
int tern__outbox_append_unit_locked(tern__outbox *outbox, const tern__submission *submissions, size_t count, uint64_t *id);

/* The next append is taken whatever the bound (true), under a policy that drops; or not any more. */
void tern__outbox_let_in_locked(tern__outbox *outbox, bool let);

/* Producer half: what waits and was not taken over yet (for wake-ups), and all that is held (for the bounds). */
size_t tern__outbox_unsynced_bytes_locked(const tern__outbox *outbox);
size_t tern__outbox_bytes_locked(const tern__outbox *outbox);
size_t tern__outbox_count_locked(const tern__outbox *outbox);
size_t tern__outbox_bytes_peak_locked(const tern__outbox *outbox);
size_t tern__outbox_count_peak_locked(const tern__outbox *outbox);
/* The id that the last accepted message got; 0 before the first. */
uint64_t tern__outbox_last_id_locked(const tern__outbox *outbox);

#endif
