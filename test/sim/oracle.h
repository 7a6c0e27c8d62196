/* The oracle: knows what was accepted, what the broker saw and what everybody was told, and judges by the contract's clauses.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_SIM_ORACLE_H
#define TERN_TEST_SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>
#include <tern/types.h>

#include "sim/broker_model.h"

enum { ORACLE_MESSAGES = 512 };

/* Lies that the simulation may tell the oracle, and things that the engine may be made to do wrong, to show that it finds them. */
typedef enum sabotage {
    SABOTAGE_NONE,
    SABOTAGE_LOSE_OUTCOME,
    SABOTAGE_TWO_OUTCOMES,
    SABOTAGE_CLAIM_NOT_SENT,
    SABOTAGE_CLAIM_DELIVERED,
    SABOTAGE_COPY,
    SABOTAGE_REORDER,
    SABOTAGE_DELIVER_TWICE,
    SABOTAGE_LOSE_DELIVERY,
    SABOTAGE_INTERLEAVE,    /* a unit is interrupted */
    SABOTAGE_HALF_UNIT,     /* of a unit one message ends otherwise */
    SABOTAGE_EARLY,         /* a backlog is drained too fast */
    SABOTAGE_REFUSE,        /* the engine's outbox refuses, where it should drop */
    SABOTAGE_SWAP,          /* it drops the newest in place of the oldest, or the other way round */
    SABOTAGE_UNBOUNDED,     /* it knows no bound */
    SABOTAGE_HASTE,         /* a quiet reconnect does not wait until it is quiet */
    SABOTAGE_WIDE,          /* a SUBSCRIBE has more filters than it may */
    SABOTAGE_MUTE,
    SABOTAGE_KINDS
} sabotage;

/* How a sabotage is called, and what must be found: a clause, NULL where any does. */
typedef struct sabotage_kind {
    const char *name;
    const char *clause;
} sabotage_kind;

extern const sabotage_kind sabotage_kinds[SABOTAGE_KINDS];

/* A message that its engine accepted; its index is its id. */
typedef struct oracle_message {
    uint8_t qos;
    bool seen;       /* by the broker, refused ones too */
    uint32_t copies;  /* that the broker took, in all its sessions */
    uint32_t session; /* of the last copy */
    bool answered;   /* PUBACK or PUBCOMP went out */
    bool refused;
    uint32_t outcomes;
    tern_outcome outcome;
    tern_cause cause;
    uint32_t unit_first; /* of the unit that it belongs to; its own index for one of none */
    uint32_t unit_last;
} oracle_message;

/* What went to one client as subscriber, by publisher and index. */
typedef struct oracle_route {
    uint32_t routed;    /* first transmissions on the wire */
    uint32_t delivered; /* to the application */
    uint32_t order;     /* when it was first routed */
    uint32_t session;   /* in which of the client's sessions, the last time */
    uint8_t qos;        /* lowest at which it was routed */
} oracle_route;

typedef struct oracle_client {
    uint32_t accepted;
    uint32_t last_first_copy;
    uint32_t connection;            /* counts those that the broker accepted */
    uint32_t last_first_connection; /* in which last_first_copy came */
    tern_outbox_policy policy;
    bool unlimited;
    uint32_t most_waiting; /* messages, where there is such a bound; else 0 */
    uint32_t ended;        /* messages that have an outcome */
    uint32_t judged; /* under DROP_NEWEST: what was kept up to here is not dropped any more */
    uint64_t drain_interval_us;
    uint64_t drain_from;   /* when the client was told of its connection */
    uint32_t drain_last;   /* the last message of the backlog then */
    uint32_t drain_pieces; /* of the backlog that came since: units, and messages alone */
    uint32_t drain_unit;   /* the first message of the last of these */
    oracle_message messages[ORACLE_MESSAGES + 1];
    uint32_t session; /* counts those that began empty */
    uint32_t told_session; /* the last one of which the client was told that it was empty */
    uint32_t route_clock;
    uint32_t last_delivered;
    oracle_route routes[BROKER_CLIENTS][ORACLE_MESSAGES + 1];
    bool asked;       /* to subscribe */
    uint32_t filters; /* to so many */
    uint32_t filters_per_subscribe; /* 0 any number */
    uint32_t answers; /* to that */
    bool granted; /* by the broker's last answer: a refused filter is not made again */
    bool subscribed; /* at the broker, at the end */
} oracle_client;

typedef struct oracle {
    oracle_client clients[BROKER_CLIENTS];
    uint64_t now;
    sabotage lie;
    uint32_t lies;    /* told so far */
    bool failed;
    char clause[32];
    char what[300];
} oracle;

void oracle_breach(oracle *o, const char *clause, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One sabotage of this kind takes place now, if it is this run's and did not yet. */
bool oracle_sabotages(oracle *o, sabotage kind);
/* The message with the next index was accepted. */
void oracle_accepted(oracle *o, uint32_t client, uint8_t qos);
/* The last `count` of them are one unit. */
void oracle_unit(oracle *o, uint32_t client, uint32_t count);
/* The client was told that it is connected: what waits is a backlog. */
void oracle_backlog(oracle *o, uint32_t client);
/* The outbox has just been brought within its bounds. */
void oracle_settled(oracle *o, uint32_t client);
/* Without a connection since the message `from` was accepted: nothing from there on can be on its way. */
void oracle_waiting(oracle *o, uint32_t client, uint32_t from);
void oracle_outcome(oracle *o, uint32_t client, uint64_t id, tern_outcome outcome, tern_cause cause);
void oracle_delivered(oracle *o, uint32_t client, broker_key key, uint8_t qos);
/* The subscription ended: error, and a code for each filter. */
void oracle_subscription_ended(oracle *o, uint32_t client, int error, uint32_t codes);
/* The broker's half. */
broker_watch oracle_watch(oracle *o);
/* At the end. `healed`: the faults had stopped and everything had time to end. */
void oracle_judge(oracle *o, bool healed);

#endif
