/* The engine: MQTT as a pure state machine. Bytes in, bytes out, time in, events out.
 *
 * It never blocks, sleeps, locks, or reads a clock. One thread drives it (the "loop"), except for the functions whose
 * names end in _locked: those are for any thread that holds the owner's lock, and tern__engine_sync_locked() is the one
 * place where the two meet. `now` is microseconds of a monotonic clock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_ENGINE_H
#define TERN_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tern/types.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/view.h"
#include "engine/completion.h"
#include "engine/inbound.h"
#include "engine/outbox.h"

typedef struct tern__engine tern__engine;

/* What is fixed for an engine's life. */
typedef struct tern__engine_config {
    const char *client_id; /* copied; "" lets the server assign one */
    size_t outbox_bytes;
    size_t outbox_messages; /* 0 = no bound */
    tern_outbox_policy policy; /* those that drop are the engine's business, see tern__engine_shed() */
    uint64_t drain_interval_us; /* between messages of a backlog; 0 = none */
    uint16_t filters_per_subscribe; /* 0 = no limit */
    uint16_t inflight_maximum;
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum;
    uint32_t maximum_packet_size;
    bool manual_ack;
    tern__block_pool *pool; /* kept by reference */
} tern__engine_config;

/* How the next connection introduces itself; borrowed until the next tern__engine_opened() returned. */
typedef struct tern__connect_config {
    int version; /* TERN__V311 or TERN__V5: auto is the owner's business */
    tern_session session;
    uint32_t session_expiry; /* seconds */
    uint16_t keep_alive;     /* seconds */
    uint32_t ping_timeout_ms;
    bool has_user_name;
    bool has_password;
    tern__view user_name;
    tern__view password;
    tern__will will;   /* props hold the delay too */
    tern__view user_properties; /* wire form, for CONNECT */
    bool request_problem_info;
    bool request_response_info;
} tern__connect_config;

/* What was negotiated, for events and statistics. */
typedef struct tern__limits {
    int version;
    bool session_present;
    uint16_t keep_alive;
    uint16_t send_maximum; /* min(server's receive maximum, in-flight maximum) */
    uint32_t maximum_packet_size; /* of the server; UINT32_MAX = none */
    uint32_t session_expiry;
    uint16_t topic_alias_maximum;
    uint8_t maximum_qos;
    bool retain_available;
    bool wildcard_available;
    bool subscription_id_available;
    bool shared_available;
} tern__limits;

typedef enum tern__engine_event_kind {
    TERN__EVENT_CONNECTED = 1, /* CONNACK said yes; limits are valid */
    TERN__EVENT_REFUSED,       /* CONNACK said no: reason, text; close the transport */
    TERN__EVENT_DISCONNECTED,  /* the server sent DISCONNECT: reason, text, reference; close the transport */
    TERN__EVENT_FAILED,        /* we give the link up: error, reason sent, text (offset and rule); flush output, close */
    TERN__EVENT_MESSAGES,      /* block with records; the receiver owns the reference */
    TERN__EVENT_CLOSABLE       /* the DISCONNECT asked for is in the output: flush and close */
} tern__engine_event_kind;

typedef struct tern__engine_event {
    tern__engine_event_kind kind;
    int error;  /* FAILED: TERN_E_MALFORMED, PROTOCOL, KEEPALIVE, NOMEM ... */
    int reason; /* MQTT 5 reason code received or sent; -1 none (3.1.1 refusals are mapped) */
    bool refused_version; /* REFUSED: the server does not speak our version (0x84, or 3.1.1 code 1) */
    tern__block *block;
    char text[256];      /* reason string or the rule broken; cleaned of control characters, NUL-terminated */
    char reference[256]; /* server reference */
} tern__engine_event;

/* Outcomes of messages first..last that were published without a completion. */
typedef struct tern__range {
    uint64_t first;
    uint64_t last;
    tern_outcome outcome;
    tern_cause cause;
    int reason;
} tern__range;

int tern__engine_new(tern__engine **engine, const tern__engine_config *config);
/* Frees at once; nothing is reported. See tern__engine_abandon() for the outcomes. */
void tern__engine_free(tern__engine *engine);

/* ---- under the owner's lock, from any thread ---- */

tern__outbox *tern__engine_outbox(tern__engine *engine);
/* Takes over what was appended, and gives back the room of what is done. Cheap when there is nothing. Returns true where
 * room was freed (a blocked publisher may go on). */
bool tern__engine_sync_locked(tern__engine *engine);
/* Whether the outbox is beyond its bound and the policy is to drop: to be followed by tern__engine_shed(), off the lock, and
 * then by another sync. */
bool tern__engine_overflows(const tern__engine *engine);

/* ---- the loop's half ---- */

/* The transport is open: composes CONNECT. 0, TERN_E_NOMEM, or TERN_E_TOO_LARGE where it is more than a packet can hold: no
 * other attempt would change that. Copies what it needs of config. */
int tern__engine_opened(tern__engine *engine, const tern__connect_config *config, uint64_t now);
/* The transport is gone: what was cut gets its outcome or goes back to the log's cursor, requests wait for the next
 * connection. Idempotent. */
void tern__engine_closed(tern__engine *engine, uint64_t now);

/* Where the next bytes from the peer go: at least one byte of room. TERN_E_NOMEM: try again later or drop the link. */
int tern__engine_recv_space(tern__engine *engine, uint8_t **data, size_t *room);
/* n bytes were put there. 0, or the error after which nothing more may be received on this connection (a FAILED,
 * REFUSED or DISCONNECTED event says more). */
int tern__engine_received(tern__engine *engine, size_t n, uint64_t now);
/* Both in one, copying: for tests and small input. */
int tern__engine_recv(tern__engine *engine, const void *data, size_t len, uint64_t now);

/* Drops what the policy says until the outbox is within its bound, or nothing is left that may be dropped; whether it dropped
 * anything. Right after a sync, before output. */
bool tern__engine_shed(tern__engine *engine);

/* Pieces to be written next, in order; up to `max`, some 256 KiB in all; *count 0 when there is nothing. Asking again
 * without tern__engine_sent() gives the same bytes, maybe more. The pieces stay put until they were sent or closed. */
int tern__engine_output(tern__engine *engine, uint64_t now, tern__iov *iov, size_t max, size_t *count);
/* The first n bytes of them were taken by the transport. */
void tern__engine_sent(tern__engine *engine, size_t n, uint64_t now);
/* Whether tern__engine_output() would give something; for deciding to wait for writability. */
bool tern__engine_wants_output(tern__engine *engine);

/* Requests. The completion is the caller's, and is told once; the wish is kept over reconnects (C21). The subscription
 * is borrowed and copied. 0 or TERN_E_NOMEM (then the completion is not told). */
int tern__engine_subscribe(tern__engine *engine, const tern_subscription *subscription,
                           tern__completion *completion, uint64_t now);
int tern__engine_unsubscribe(tern__engine *engine, const tern_subscription *subscription,
                             tern__completion *completion, uint64_t now);
/* Acknowledges, automatic mode: everything of this connection up to and including seq. */
void tern__engine_ack_through(tern__engine *engine, uint64_t epoch, uint32_t seq);
/* Manual mode: this one; it goes out when all before it are acknowledged. TERN_E_STALE: of an earlier connection.
 * TERN_E_STATE: acknowledged already. */
int tern__engine_ack_one(tern__engine *engine, uint64_t epoch, uint32_t seq);
/* Composes DISCONNECT behind what has already begun to be sent; a CLOSABLE event follows. expire_session: session
 * expiry 0 goes along (MQTT 5). Without a connection CLOSABLE follows at once. */
void tern__engine_disconnect(tern__engine *engine, int reason, bool expire_session, uint64_t now);
/* Gives every message and request that is left its final outcome (NOT_SENT(closed), UNKNOWN(closed), error CLOSED).
 * The transport must be closed. 0, or TERN_E_NOMEM: call again. */
int tern__engine_abandon(tern__engine *engine);

/* Until the connection ends no message is begun; what was begun, requests and acknowledgements go on. */
void tern__engine_hold(tern__engine *engine);
/* Whether nothing is on its way: all that was begun has its answer, all that was received is acknowledged, no byte is left. */
bool tern__engine_is_quiet(const tern__engine *engine);

/* Timers: keepalive, expiry. deadline is when tick is wanted next; UINT64_MAX = never. */
void tern__engine_tick(tern__engine *engine, uint64_t now);
uint64_t tern__engine_deadline(const tern__engine *engine);
/* While true the owner does not read, so silence of the peer proves nothing: the dead-peer verdict is suspended. */
void tern__engine_set_reading_paused(tern__engine *engine, bool paused, uint64_t now);

/* What the owner must be told; false when there is nothing. */
bool tern__engine_next_event(tern__engine *engine, tern__engine_event *event);
tern__completion *tern__engine_next_completion(tern__engine *engine); /* NULL when there is none */
bool tern__engine_next_range(tern__engine *engine, tern__range *range);

/* State. */
bool tern__engine_connected(const tern__engine *engine);
uint64_t tern__engine_epoch(const tern__engine *engine); /* counts connections; stale acks are known by it */
const tern__limits *tern__engine_limits(const tern__engine *engine);
const char *tern__engine_client_id(const tern__engine *engine); /* the assigned one where there is one */
const char *tern__engine_response_info(const tern__engine *engine); /* of the last CONNACK; NULL where it had none */
/* Every message with an id up to and including this one has its outcome (reported or counted). */
uint64_t tern__engine_settled_id(const tern__engine *engine);
/* Messages and requests accepted and without an end. */
uint64_t tern__engine_open_count(const tern__engine *engine);

/* Counters since the engine was made; read by the owner's loop. */
typedef struct tern__engine_stats {
    uint64_t outcomes[6];      /* by tern_outcome */
    uint64_t messages_sent;    /* PUBLISH packets written, repeats included */
    uint64_t messages_received;
    uint64_t packets_sent;
    uint64_t packets_received;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t redelivered;      /* PUBLISH with DUP */
    uint64_t dropped;          /* by the outbox's policy */
    uint64_t pings_sent;
    uint64_t inflight;         /* gauge */
    uint64_t inflight_peak;
    uint64_t unacked_inbound;  /* gauge */
    uint64_t oldest_unacked_us; /* when the oldest unacknowledged inbound message came; 0 = none */
} tern__engine_stats;
const tern__engine_stats *tern__engine_stats_of(const tern__engine *engine);

#endif
