/* The oracle.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const sabotage_kind sabotage_kinds[SABOTAGE_KINDS] = {
    [SABOTAGE_NONE] = {"none", NULL},
    [SABOTAGE_LOSE_OUTCOME] = {"lose-outcome", "C1"},
    [SABOTAGE_TWO_OUTCOMES] = {"two-outcomes", "C1"},
    [SABOTAGE_CLAIM_NOT_SENT] = {"claim-not-sent", "C2"},
    [SABOTAGE_CLAIM_DELIVERED] = {"claim-delivered", "C2"},
    [SABOTAGE_COPY] = {"copy", "C5"},
    [SABOTAGE_REORDER] = {"reorder", "C8"},
    [SABOTAGE_DELIVER_TWICE] = {"deliver-twice", "C9"},
    [SABOTAGE_LOSE_DELIVERY] = {"lose-delivery", "C9"},
    [SABOTAGE_INTERLEAVE] = {"interleave", "unit"},
    [SABOTAGE_HALF_UNIT] = {"half-unit", "unit"},
    [SABOTAGE_EARLY] = {"early", "rate"},
    [SABOTAGE_REFUSE] = {"refuse", "C3"},
    [SABOTAGE_SWAP] = {"swap", "C10"},
    [SABOTAGE_UNBOUNDED] = {"unbounded", "C10"},
    [SABOTAGE_HASTE] = {"haste", "quiet"},
    [SABOTAGE_WIDE] = {"wide", "filters"},
    [SABOTAGE_MUTE] = {"mute", NULL},
};

void oracle_breach(oracle *o, const char *clause, const char *format, ...)
{
    va_list arguments;
    if (o->failed) return; /* the first one is the cause */
    o->failed = true;
    snprintf(o->clause, sizeof o->clause, "%s", clause);
    va_start(arguments, format);
    vsnprintf(o->what, sizeof o->what, format, arguments);
    va_end(arguments);
}

bool oracle_sabotages(oracle *o, sabotage kind)
{
    if (o->lie != kind || o->lies != 0) return false;
    o->lies++;
    return true;
}

/* ---- publishing ---- */

void oracle_accepted(oracle *o, uint32_t client, uint8_t qos)
{
    oracle_client *c = &o->clients[client];
    c->messages[++c->accepted].qos = qos;
    c->messages[c->accepted].unit_first = c->messages[c->accepted].unit_last = c->accepted;
}

void oracle_unit(oracle *o, uint32_t client, uint32_t count)
{
    oracle_client *c = &o->clients[client];
    for (uint32_t i = c->accepted + 1 - count; i <= c->accepted; i++) {
        c->messages[i].unit_first = c->accepted + 1 - count;
        c->messages[i].unit_last = c->accepted;
    }
}

void oracle_backlog(oracle *o, uint32_t client)
{
    oracle_client *c = &o->clients[client];
    c->drain_from = o->now;
    c->drain_last = c->accepted;
    c->drain_pieces = c->drain_unit = 0;
}

/* An outbox that was empty takes a whole unit, whatever the bound. */
void oracle_settled(oracle *o, uint32_t client)
{
    enum { UNIT_MOST = 4 };
    oracle_client *c = &o->clients[client];
    uint32_t waiting = c->accepted - c->ended;
    c->judged = c->accepted;
    if (c->most_waiting != 0 && !c->unlimited && waiting > c->most_waiting && waiting > UNIT_MOST)
        oracle_breach(o, "C10", "client %u: %u messages have no outcome, %u is the bound", client, waiting, c->most_waiting);
}

void oracle_waiting(oracle *o, uint32_t client, uint32_t from)
{
    const oracle_client *c = &o->clients[client];
    uint32_t kept = 0;
    for (uint32_t i = from; i <= c->accepted; i++) {
        const oracle_message *m = &c->messages[i];
        if (m->outcomes == 0 && kept == 0) kept = i;
        if (m->outcomes != 0 && m->cause == TERN_CAUSE_DROPPED && kept != 0 && c->policy == TERN_OUTBOX_DROP_OLDEST)
            oracle_breach(o, "C10", "client %u: message %u was dropped, and the older %u was kept", client, i, kept);
    }
}

/* The outbox's policy names what may be dropped. */
static void judge_drop(oracle *o, uint32_t client, uint32_t id, tern_outcome outcome)
{
    const oracle_client *c = &o->clients[client];
    if (outcome != TERN_OUTCOME_NOT_SENT)
        oracle_breach(o, "C10", "client %u: message %u was dropped and is %s", client, id, tern_outcome_name(outcome));
    if (c->unlimited || (c->policy != TERN_OUTBOX_DROP_OLDEST && c->policy != TERN_OUTBOX_DROP_NEWEST))
        oracle_breach(o, "C10", "client %u: message %u was dropped, which its policy never does", client, id);
    if (c->policy == TERN_OUTBOX_DROP_NEWEST && id <= c->judged)
        oracle_breach(o, "C10", "client %u: message %u was kept, and dropped for a newer one", client, id);
}

static void note_outcome(oracle *o, uint32_t client, uint64_t id, tern_outcome outcome, tern_cause cause)
{
    oracle_client *c = &o->clients[client];
    if (id == 0 || id > c->accepted) {
        oracle_breach(o, "C1", "client %u: an outcome for message %llu, which was not accepted", client,
                      (unsigned long long)id);
        return;
    }
    oracle_message *message = &c->messages[id];
    if (++message->outcomes > 1)
        oracle_breach(o, "C1", "client %u: message %llu ended twice: %s and %s", client, (unsigned long long)id,
                      tern_outcome_name(message->outcome), tern_outcome_name(outcome));
    else
        c->ended++;
    message->outcome = outcome;
    message->cause = cause;
    if (cause == TERN_CAUSE_DROPPED) judge_drop(o, client, (uint32_t)id, outcome);
}

void oracle_outcome(oracle *o, uint32_t client, uint64_t id, tern_outcome outcome, tern_cause cause)
{
    bool arrived = id <= ORACLE_MESSAGES && o->clients[client].messages[id].copies != 0;
    if (oracle_sabotages(o, SABOTAGE_LOSE_OUTCOME)) return;
    if (oracle_sabotages(o, SABOTAGE_TWO_OUTCOMES)) note_outcome(o, client, id, outcome, cause);
    if (arrived && oracle_sabotages(o, SABOTAGE_CLAIM_NOT_SENT)) outcome = TERN_OUTCOME_NOT_SENT;
    if (!arrived && oracle_sabotages(o, SABOTAGE_CLAIM_DELIVERED)) outcome = TERN_OUTCOME_DELIVERED;
    if (cause == TERN_CAUSE_DROPPED || cause == TERN_CAUSE_EXPIRED) {
        const oracle_message *message = &o->clients[client].messages[id];
        if (message->unit_first != message->unit_last && outcome == TERN_OUTCOME_NOT_SENT &&
            oracle_sabotages(o, SABOTAGE_HALF_UNIT))
            cause = TERN_CAUSE_CLOSED;
    }
    if (cause == TERN_CAUSE_DROPPED && o->lie == SABOTAGE_SWAP) o->lies++;
    note_outcome(o, client, id, outcome, cause);
}

/* In one connection what follows a message of a unit is the next of it. */
static void judge_unit_order(oracle *o, uint32_t client, uint32_t index)
{
    const oracle_client *c = &o->clients[client];
    const oracle_message *before = &c->messages[c->last_first_copy];
    if (c->last_first_copy == 0 || c->last_first_connection != c->connection) return;
    if (before->unit_last != c->last_first_copy && index != c->last_first_copy + 1)
        oracle_breach(o, "unit", "client %u: message %u came after %u, in the middle of a unit", client, index,
                      c->last_first_copy);
}

/* Pieces of a backlog are an interval apart when they leave, so that none arrives earlier than that. */
static void judge_rate(oracle *o, uint32_t client, uint32_t index)
{
    oracle_client *c = &o->clients[client];
    uint32_t first = c->messages[index].unit_first;
    if (c->drain_interval_us == 0 || index > c->drain_last || first == c->drain_unit) return;
    c->drain_unit = first;
    if (o->now < c->drain_from + c->drain_interval_us * c->drain_pieces)
        oracle_breach(o, "rate", "client %u: message %u, piece %u of a backlog, came %llu us after the connection", client,
                      index, c->drain_pieces + 1, (unsigned long long)(o->now - c->drain_from));
    c->drain_pieces++;
}

/* As judge_rate(), at times as if it had come a microsecond before its time. */
static void judge_early(oracle *o, uint32_t client, uint32_t index)
{
    const oracle_client *c = &o->clients[client];
    uint64_t now = o->now;
    uint64_t due = c->drain_from + c->drain_interval_us * c->drain_pieces;
    bool new_piece = index <= c->drain_last && c->messages[index].unit_first != c->drain_unit;
    if (c->drain_interval_us != 0 && c->drain_pieces != 0 && new_piece && oracle_sabotages(o, SABOTAGE_EARLY)) o->now = due - 1;
    judge_rate(o, client, index);
    o->now = now;
}

/* It came right behind its predecessor of the same unit. */
static bool is_inside_unit(const oracle_client *c, uint32_t index)
{
    return index != 0 && index <= c->accepted && c->messages[index].unit_first != index && c->last_first_copy == index - 1 &&
           c->last_first_connection == c->connection;
}

static void note_arrival(oracle *o, uint32_t client, broker_key key, bool copy, bool refused)
{
    oracle_client *c = &o->clients[client];
    if (key.publisher != client || key.index == 0 || key.index > c->accepted) {
        oracle_breach(o, "C5", "client %u sent message %u of %u, which it never accepted", client, key.index, key.publisher);
        return;
    }
    oracle_message *message = &c->messages[key.index];
    if (!message->seen && key.index < c->last_first_copy)
        oracle_breach(o, "C8", "client %u: the first copy of message %u came after that of %u", client, key.index,
                      c->last_first_copy);
    if (!message->seen) {
        judge_unit_order(o, client, key.index);
        c->last_first_copy = key.index;
        c->last_first_connection = c->connection;
    }
    message->seen = true;
    if (!copy || refused) return;
    /* A broker that forgot takes what is redelivered to it as new: it is once for each of its sessions. */
    bool twice = message->copies != 0 && (message->qos == 0 || message->session == c->session);
    if (twice && message->qos != 1)
        oracle_breach(o, "C5", "client %u: message %u of QoS %u came twice", client, key.index, message->qos);
    message->copies++;
    message->session = c->session;
}

static void on_arrived(void *data, uint32_t client, broker_key key, bool dup, bool copy, bool refused)
{
    oracle *o = data;
    oracle_client *c = &o->clients[client];
    bool first = key.index <= ORACLE_MESSAGES && !c->messages[key.index].seen;
    if (first && !dup) judge_early(o, client, key.index);
    if (first && is_inside_unit(c, key.index) && oracle_sabotages(o, SABOTAGE_INTERLEAVE))
        judge_unit_order(o, client, key.index + 1); /* as if another one had come in its place */
    if (key.index > 1 && !o->clients[client].messages[key.index].seen && oracle_sabotages(o, SABOTAGE_REORDER)) {
        o->clients[client].last_first_copy = key.index + 1; /* as if its successor had come before it */
    }
    note_arrival(o, client, key, copy, refused);
    if (key.qos == 2 && copy && !refused && oracle_sabotages(o, SABOTAGE_COPY)) note_arrival(o, client, key, copy, refused);
}

static void on_answered(void *data, uint32_t client, broker_key key, bool refused)
{
    oracle_message *message = &((oracle *)data)->clients[client].messages[key.index];
    if (refused) message->refused = true;
    else message->answered = true;
}

/* ---- receiving ---- */

static void on_routed(void *data, uint32_t client, broker_key key, uint8_t qos)
{
    oracle_client *c = &((oracle *)data)->clients[client];
    oracle_route *route = &c->routes[key.publisher][key.index];
    if (route->routed++ == 0) {
        route->order = ++c->route_clock;
        route->qos = qos;
    }
    if (qos < route->qos) route->qos = qos;
    route->session = c->session;
}

void oracle_delivered(oracle *o, uint32_t client, broker_key key, uint8_t qos)
{
    oracle_client *c = &o->clients[client];
    oracle_route *route = &c->routes[key.publisher % BROKER_CLIENTS][key.index <= ORACLE_MESSAGES ? key.index : 0];
    if (qos == 2 && oracle_sabotages(o, SABOTAGE_LOSE_DELIVERY)) return;
    if (route->routed == 0)
        oracle_breach(o, "C9", "client %u got message %u:%u, which was not sent to it", client, key.publisher, key.index);
    bool only = route->routed == 1 && route->delivered == 0; /* else which one it was cannot be told */
    if (only && route->order < c->last_delivered)
        oracle_breach(o, "C9", "client %u got message %u:%u out of the wire's order", client, key.publisher, key.index);
    if (only) c->last_delivered = route->order;
    route->delivered++;
    if (qos == 2 && oracle_sabotages(o, SABOTAGE_DELIVER_TWICE)) route->delivered++;
    if (qos != 1 && route->qos == qos && route->delivered > route->routed)
        oracle_breach(o, "C9", "client %u got message %u:%u of QoS %u %u times, sent %u times", client, key.publisher,
                      key.index, qos, route->delivered, route->routed);
}

void oracle_subscription_ended(oracle *o, uint32_t client, int error, uint32_t codes)
{
    oracle_client *c = &o->clients[client];
    c->answers++;
    if (error == 0 && codes != c->filters)
        oracle_breach(o, "C21", "client %u: %u codes for %u filters", client, codes, c->filters);
}

static void on_filters(void *data, uint32_t client, uint32_t count)
{
    oracle *o = data;
    uint32_t most = o->clients[client].filters_per_subscribe;
    if (most != 0 && count > most)
        oracle_breach(o, "filters", "client %u: a SUBSCRIBE has %u filters, %u is the most", client, count, most);
}

static void on_connected(void *data, uint32_t client, bool session_present)
{
    oracle *o = data;
    o->clients[client].connection++;
    if (!session_present) o->clients[client].session++;
}

static void on_subscribed(void *data, uint32_t client, bool granted)
{
    ((oracle *)data)->clients[client].granted = granted;
}

static void on_breach(void *data, const char *clause, const char *what)
{
    oracle_breach(data, clause, "%s", what);
}

broker_watch oracle_watch(oracle *o)
{
    return (broker_watch){o, on_breach, on_arrived, on_answered, on_routed, on_connected, on_filters, on_subscribed};
}

/* ---- the end ---- */

static void judge_message(oracle *o, uint32_t client, uint32_t index, bool healed)
{
    const oracle_message *m = &o->clients[client].messages[index];
    const char *name = tern_outcome_name(m->outcome);
    bool delivered = m->outcome == TERN_OUTCOME_DELIVERED;
    if (m->outcomes != 1)
        oracle_breach(o, "C1", "client %u: message %u of QoS %u has %u outcomes", client, index, m->qos, m->outcomes);
    if (m->outcome == TERN_OUTCOME_NOT_SENT && m->seen)
        oracle_breach(o, "C2", "client %u: message %u is NOT_SENT (%s), but the broker saw it", client, index,
                      tern_cause_name(m->cause));
    /* Of QoS 2 the PUBREC says that the broker took it; PUBCOMP may come as "unknown id" from one that forgot. */
    if (delivered && (m->qos == 0 || m->copies == 0 || (m->qos == 1 && !m->answered)))
        oracle_breach(o, "C2", "client %u: message %u is DELIVERED, but the broker did not say so", client, index);
    if (m->outcome == TERN_OUTCOME_REFUSED && !m->refused)
        oracle_breach(o, "C2", "client %u: message %u is REFUSED, but the broker did not refuse it", client, index);
    if (m->outcome == TERN_OUTCOME_SENT && m->qos != 0)
        oracle_breach(o, "C1", "client %u: message %u of QoS %u is %s", client, index, m->qos, name);
    bool lost = m->outcome == TERN_OUTCOME_UNKNOWN && m->qos == 1;
    if (lost && healed) oracle_breach(o, "C7", "client %u: message %u of QoS 1 was given up (%s)", client, index,
                                      tern_cause_name(m->cause));
}

/* What is decided for a unit before it is begun is decided for all of it. */
static void judge_unit(oracle *o, uint32_t client, uint32_t index)
{
    const oracle_message *m = &o->clients[client].messages[index];
    if (m->outcome != TERN_OUTCOME_NOT_SENT || (m->cause != TERN_CAUSE_DROPPED && m->cause != TERN_CAUSE_EXPIRED)) return;
    for (uint32_t i = m->unit_first; i <= m->unit_last; i++) {
        const oracle_message *other = &o->clients[client].messages[i];
        if (other->outcome != m->outcome || other->cause != m->cause)
            oracle_breach(o, "unit", "client %u: of one unit message %u is NOT_SENT (%s) and %u is %s (%s)", client, index,
                          tern_cause_name(m->cause), i, tern_outcome_name(other->outcome), tern_cause_name(other->cause));
    }
}

static void judge_routes(oracle *o, uint32_t client)
{
    const oracle_client *c = &o->clients[client];
    for (uint32_t publisher = 0; publisher < BROKER_CLIENTS; publisher++) {
        for (uint32_t index = 1; index <= o->clients[publisher].accepted; index++) {
            const oracle_route *route = &c->routes[publisher][index];
            if (route->routed == 0 || route->qos == 0 || route->session != c->session) continue;
            /* A session that began with a CONNACK that was lost: an id that the client holds from the one before may stand for
             * a new message there, and where its first transmission was lost too nobody can tell. */
            if (route->qos == 2 && c->told_session != c->session) continue;
            if (route->delivered == 0)
                oracle_breach(o, "C9", "client %u never got message %u:%u of QoS %u", client, publisher, index, route->qos);
        }
    }
}

void oracle_judge(oracle *o, bool healed)
{
    for (uint32_t client = 0; client < BROKER_CLIENTS; client++) {
        const oracle_client *c = &o->clients[client];
        for (uint32_t index = 1; index <= c->accepted; index++) {
            judge_message(o, client, index, healed);
            judge_unit(o, client, index);
        }
        if (healed) judge_routes(o, client);
        if (healed && c->granted && !c->subscribed)
            oracle_breach(o, "C7", "client %u: the broker lost the subscription, and nobody made it again", client);
        if (c->answers != (c->asked ? 1 : 0))
            oracle_breach(o, "C21", "client %u: the subscription ended %u times", client, c->answers);
    }
}
