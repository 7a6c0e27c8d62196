/* The engine from inside: what its files share. Each struct is the business of the file named behind it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_MACHINE_H
#define TERN_ENGINE_MACHINE_H

#include "base/buf.h"
#include "codec/encode.h"
#include "codec/packet.h"
#include "engine/chunk.h"
#include "engine/engine.h"

/* ---- inflight.c: packet ids and what they stand for ---- */

typedef enum tern__slot_kind { TERN__SLOT_FREE, TERN__SLOT_PUBLISH, TERN__SLOT_RELEASE, TERN__SLOT_REQUEST } tern__slot_kind;

/* A slot of the table, at packet_id & mask. */
typedef struct tern__slot {
    union {
        tern__chunk *chunk;           /* PUBLISH, RELEASE */
        struct tern__request *request; /* REQUEST */
    } of;
    uint32_t index; /* PUBLISH, RELEASE: the entry in its chunk */
    uint16_t packet_id;
    uint16_t prev; /* packet ids; 0 none */
    uint16_t next;
    uint8_t kind;
    uint8_t reason; /* RELEASE: what PUBREC said, the outcome's code; PUBCOMP has none of its own */
} tern__slot;

/* An order of slots, linked by packet id. */
typedef struct tern__order {
    uint16_t first;
    uint16_t last;
    uint32_t count;
} tern__order;

typedef struct tern__inflight {
    tern__slot *slots; /* mask + 1 of them; NULL before the first */
    uint32_t mask;
    uint32_t used;
    uint16_t last_id;
    tern__order publishes; /* await PUBACK or PUBREC, in the order of first transmission */
    tern__order releases;  /* await PUBCOMP, in the order of their PUBRECs */
} tern__inflight;

/* A free packet id with a slot in `order` (NULL for requests); NULL where all are in use or memory ran out. */
tern__slot *tern__inflight_open(tern__inflight *inflight, tern__slot_kind kind, tern__order *order);
tern__slot *tern__inflight_find(tern__inflight *inflight, uint16_t packet_id); /* NULL where it is not open */
void tern__inflight_close(tern__inflight *inflight, tern__slot *slot);
/* A PUBLISH got its PUBREC: the slot goes to the end of the releases. */
void tern__inflight_to_releases(tern__inflight *inflight, tern__slot *slot);

/* ---- outcomes.c: telling how messages ended ---- */

typedef struct tern__outcomes {
    tern__range *ranges; /* a ring */
    uint32_t cap;
    uint32_t first;
    uint32_t count;
    tern__list completions;
} tern__outcomes;

/* The entry ends: told to its completion, or as a range; where memory runs out, later. The entry may be gone afterwards. */
void tern__outcome_tell(tern__engine *e, tern__chunk *chunk, uint32_t index, tern_outcome outcome, tern_cause cause,
                        int reason);

/* The entry ends without going out (again): NOT_SENT with the cause, or UNKNOWN where it has been out before. [C2] */
void tern__outcome_tell_unsent(tern__engine *e, tern__chunk *chunk, uint32_t index, tern_cause cause);

/* `count` entries of QoS 0 without completions, `bytes` in all, were sent. False: memory ran out, nothing happened. */
bool tern__outcome_tell_sent(tern__engine *e, tern__chunk *chunk, uint32_t index, uint32_t count, size_t bytes);

/* ---- unit.c: messages that go out together or not at all ---- */

/* How many entries the unit that starts at `first` has; 1 for one that belongs to none. */
uint32_t tern__unit_count(tern__chunk *chunk, uint32_t first);
/* The first entry of the unit that the waiting one at `index` belongs to, which was not begun; itself for one of none. */
uint32_t tern__unit_first(tern__chunk *chunk, uint32_t index);
/* The entry's first byte is about to go out: the rest of its unit does not expire any more. */
void tern__unit_begin(tern__chunk *chunk, uint32_t first);
/* It did not go out after all: the rest may expire again, unless the first did go out on an earlier connection. */
void tern__unit_return(tern__chunk *chunk, uint32_t first);
/* As tern__outcome_tell_unsent(), for all of a unit; the chunk may be gone afterwards. */
void tern__unit_tell_unsent(tern__engine *e, tern__chunk *chunk, uint32_t first, uint32_t count, tern_cause cause);

/* ---- compaction.c, expiry.c, overflow.c: keeping the outbox ---- */

/* Replaces sparse chunks by small ones. Nobody but the in-flight table and the cursor may point at an entry. */
void tern__compaction_run(tern__engine *e);
/* Ends the messages that wait and have expired. */
void tern__expiry_run(tern__engine *e, uint64_t now);

/* ---- output.c: what goes out, in order ---- */

/* A stretch of output: control bytes (chunk NULL), packets of a chunk, or a packet composed at sending. */
typedef struct tern__segment {
    tern__chunk *chunk; /* NULL: of `flying` */
    uint8_t *scratch;   /* composed packet, owned; else NULL */
    bool plain;         /* a run of plain entries */
    uint32_t index;     /* first entry */
    uint32_t count;     /* entries */
    size_t offset;      /* in the chunk's bytes, or in `flying` */
    size_t len;
} tern__segment;

typedef struct tern__output {
    tern__buf control; /* bytes of small packets that gather */
    tern__buf flying;  /* those that are staged */
    tern__segment *segments; /* a ring of a power of two */
    uint32_t cap;
    uint32_t first;
    uint32_t count;
    size_t sent;   /* bytes of the first segment that are out */
    size_t staged; /* bytes in all segments */
    size_t acks;   /* bytes of acknowledgements among `control` */
} tern__output;

/* Room for a packet among the control bytes; NULL where memory ran out. */
uint8_t *tern__output_control(tern__engine *e, size_t len);
/* Composes a packet there. 0, TERN_E_NOMEM, TERN_E_TOO_LARGE (the server's maximum). */
int tern__output_packet(tern__engine *e, const tern__packet *packet);
int tern__output_ack(tern__engine *e, uint8_t type, uint16_t packet_id, uint8_t reason);
/* The connection is gone: nothing staged goes out; what was not begun goes back to the log. */
void tern__output_reset(tern__engine *e);

/* ---- requests.c: subscribing and unsubscribing, and the wishes that are kept ---- */

/* A request of more filters than a packet may have: its parts, and what they bring together. */
typedef struct tern__split {
    tern__completion *completion; /* NULL: nobody asked */
    uint32_t parts;               /* without an end */
    uint32_t answered;            /* filters that have a code */
    uint32_t count;               /* filters in all */
    int error;                    /* the first part's that failed */
    char *reason_string;          /* the first one that came */
    uint8_t codes[];
} tern__split;

typedef struct tern__request {
    tern__list link;
    tern__completion *completion; /* NULL: nobody asked, or it was told */
    tern__buf filters;            /* as in SUBSCRIBE: with options, also for unsubscribing */
    tern__buf user_properties;
    uint32_t count;
    uint32_t identifier;
    tern__split *split; /* the whole that it is a part of, while that waits for it; NULL none */
    uint32_t place;     /* of its first filter in the whole */
    uint16_t packet_id; /* 0: not sent on this connection */
    bool unsubscribe;
    bool repeat;        /* made by the engine, from wishes */
} tern__request;

typedef struct tern__requests {
    tern__list waiting; /* in order; not answered yet */
    tern__list wishes;  /* answered subscriptions, in order */
    bool renew;         /* the broker lost the session: wishes must be made again */
    bool stalled;       /* some of `waiting` could not be sent for want of an id, or of memory */
} tern__requests;

int tern__requests_add(tern__engine *e, const tern_subscription *subscription, bool unsubscribe, tern__completion *completion);
/* Sends what waits. 0 or TERN_E_NOMEM. */
int tern__requests_send(tern__engine *e);
int tern__requests_renew(tern__engine *e);
void tern__requests_lost(tern__engine *e); /* the connection */
void tern__requests_answered(tern__engine *e, tern__slot *slot, const tern__packet *packet);
void tern__requests_abandon(tern__engine *e, int error);
void tern__requests_deinit(tern__engine *e);

/* ---- acks.c: acknowledging what was received, in order ---- */

/* A received QoS 1 or 2 message that is not acknowledged yet; its place in the ring is its ack_seq. */
typedef struct tern__owed {
    uint64_t at; /* when it came */
    uint16_t packet_id;
    uint8_t qos;
    bool ready;
} tern__owed;

typedef struct tern__acks {
    tern__owed *ring; /* a power of two; NULL before the first */
    uint32_t cap;
    uint32_t head;    /* ack_seq of the oldest; seqs start at 1 in each connection */
    uint32_t tail;    /* the next ack_seq */
    uint8_t *held;    /* QoS 2 ids between PUBLISH and PUBREL: 65,536 bits; NULL before the first */
    uint32_t open;      /* of this connection, against our Receive Maximum */
} tern__acks;

/* Notes a message; its ack_seq, 0 where memory ran out. */
uint32_t tern__acks_owe(tern__engine *e, uint16_t packet_id, uint8_t qos, bool ready, uint64_t now);
/* Sends the acks that are due. 0 or TERN_E_NOMEM. */
int tern__acks_flush(tern__engine *e);
bool tern__acks_is_held(const tern__acks *acks, uint16_t packet_id);
int tern__acks_hold(tern__acks *acks, uint16_t packet_id);
bool tern__acks_let_go(tern__acks *acks, uint16_t packet_id); /* true where it was held */

/* ---- receive.c ---- */

typedef struct tern__aliases {
    struct tern__alias {
        char *topic;
        size_t len;
        uint8_t *shared;  /* the topic in the block's memory, where `filling` is the receiver's */
        uint64_t filling;
    } *topics; /* indexed by alias; NULL before the first */
} tern__aliases;

typedef struct tern__receiver {
    tern__block *block; /* being read into; NULL between packets */
    size_t at;          /* the first byte of it that is not decoded */
    uint64_t filling;   /* counts the blocks; from 1 */
    tern__aliases aliases;
    uint64_t now;
} tern__receiver;

void tern__receiver_reset(tern__engine *e);
void tern__receiver_deinit(tern__engine *e);

/* ---- keepalive.c ---- */

/* Where the last PINGREQ is: among the control bytes that gather, staged, or out. */
typedef enum tern__ping_place { TERN__PING_OUT, TERN__PING_GATHERED, TERN__PING_STAGED } tern__ping_place;

typedef struct tern__keepalive {
    uint64_t interval_us; /* 0 off */
    uint64_t timeout_us;
    uint64_t last_sent;
    uint64_t last_received;
    uint64_t pinged_at; /* since when the peer owes a sign of life: a PINGREQ was due, and until it is out bytes moved; 0: it owes none */
    tern__ping_place place;
    bool asks;   /* the last PINGREQ is the one that pinged_at tells of */
    bool paused; /* nobody reads */
} tern__keepalive;

void tern__keepalive_start(tern__keepalive *k, uint16_t seconds, uint64_t timeout_us, uint64_t now);
uint64_t tern__keepalive_deadline(const tern__keepalive *k);
/* Whether the peer is dead; *ping where a PINGREQ is due. */
bool tern__keepalive_tick(tern__keepalive *k, uint64_t now, bool *ping);
void tern__keepalive_sent(tern__keepalive *k, uint64_t now); /* some byte */
void tern__keepalive_received(tern__keepalive *k, uint64_t now);

/* ---- session.c: connections and the session that spans them ---- */

typedef enum tern__phase { TERN__PHASE_CLOSED, TERN__PHASE_GREETING, TERN__PHASE_OPEN, TERN__PHASE_ENDING } tern__phase;

typedef struct tern__session_state {
    bool exists;           /* we hold state of a session that the broker may hold too */
    bool asked_clean;      /* in this connection's CONNECT */
    bool ever_connected;
    bool unanswered;       /* a CONNECT went out that no CONNACK answered: it may have begun a new session */
    bool doubtful;         /* so the session that is there may not be the one we remember */
    tern_session mode;
    uint32_t asked_expiry;
    uint64_t left_at;      /* when the last connection ended */
    bool problem_info;
} tern__session_state;

int tern__session_connack(tern__engine *e, const tern__packet *packet, uint64_t now);

/* ---- the whole ---- */

struct tern__engine {
    tern__engine_config config;
    char *client_id;   /* the configured one */
    char *assigned_id; /* the server's, NULL where none */
    char *response_info; /* of the last CONNACK, NULL where none */
    tern__phase phase;
    uint64_t epoch;
    tern__limits limits;
    tern__session_state session;
    struct tern__outbox outbox;
    tern__inflight inflight;
    tern__outcomes outcomes;
    tern__output output;
    tern__requests requests;
    tern__acks acks;
    tern__receiver receiver;
    tern__keepalive keepalive;
    uint16_t redeliver; /* the next PUBLISH of the last connection to go out again; 0 none */
    bool held;          /* no message is begun on this connection any more */
    bool draining;      /* what waits goes out one by one: a backlog, and there is a rate */
    uint64_t drain_at;  /* while draining: when the next may go */
    int32_t quota; /* QoS>0 messages that may be sent now; below 0 where more PUBRELs are owed than the server's maximum */
    uint64_t retry_at; /* when output is tried again that memory ran out for; UINT64_MAX none */
    uint64_t untold_at; /* when outcomes that memory ran out for are looked after again, where there are any */
    bool dead;      /* nothing more is received on this connection */
    /* What the owner must be told, in this order: each can be due once a connection, so no queue is needed. */
    bool connected_due;
    tern__list blocks; /* MESSAGES */
    bool closable_due;
    bool end_due;
    tern__engine_event *end; /* REFUSED, DISCONNECTED or FAILED, with its texts; NULL where memory ran out for them */
    tern__engine_event_kind end_kind;
    int end_error;
    int end_reason;
    tern__engine_stats stats;
};

/* Gives the link up: DISCONNECT with the reason (MQTT 5), a FAILED event. Returns error. */
int tern__engine_fail(tern__engine *e, int error, uint8_t reason, size_t offset, const char *rule);
/* The server ended it: `kind` is REFUSED or DISCONNECTED. */
int tern__engine_end(tern__engine *e, tern__engine_event_kind kind, int error, int reason, const tern__packet *packet);
static inline int tern__engine_version(const tern__engine *e)
{
    return e->limits.version;
}

#endif
