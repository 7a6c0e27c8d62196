/* The oracle.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const sabotage_names[SABOTAGE_KINDS] = {
    "none",  "lose-outcome", "two-outcomes",  "claim-not-sent", "claim-delivered",
    "copy",  "reorder",      "deliver-twice", "lose-delivery",  "mute",
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

/* One lie a run is enough. */
static bool lies(oracle *o, sabotage kind)
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
    message->outcome = outcome;
    message->cause = cause;
}

void oracle_outcome(oracle *o, uint32_t client, uint64_t id, tern_outcome outcome, tern_cause cause)
{
    bool arrived = id <= ORACLE_MESSAGES && o->clients[client].messages[id].copies != 0;
    if (lies(o, SABOTAGE_LOSE_OUTCOME)) return;
    if (lies(o, SABOTAGE_TWO_OUTCOMES)) note_outcome(o, client, id, outcome, cause);
    if (arrived && lies(o, SABOTAGE_CLAIM_NOT_SENT)) outcome = TERN_OUTCOME_NOT_SENT;
    if (!arrived && lies(o, SABOTAGE_CLAIM_DELIVERED)) outcome = TERN_OUTCOME_DELIVERED;
    note_outcome(o, client, id, outcome, cause);
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
    if (!message->seen) c->last_first_copy = key.index;
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
    (void)dup;
    if (key.index > 1 && !o->clients[client].messages[key.index].seen && lies(o, SABOTAGE_REORDER)) {
        o->clients[client].last_first_copy = key.index + 1; /* as if its successor had come before it */
    }
    note_arrival(o, client, key, copy, refused);
    if (key.qos == 2 && copy && !refused && lies(o, SABOTAGE_COPY)) note_arrival(o, client, key, copy, refused);
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
    if (qos == 2 && lies(o, SABOTAGE_LOSE_DELIVERY)) return;
    if (route->routed == 0)
        oracle_breach(o, "C9", "client %u got message %u:%u, which was not sent to it", client, key.publisher, key.index);
    bool only = route->routed == 1 && route->delivered == 0; /* else which one it was cannot be told */
    if (only && route->order < c->last_delivered)
        oracle_breach(o, "C9", "client %u got message %u:%u out of the wire's order", client, key.publisher, key.index);
    if (only) c->last_delivered = route->order;
    route->delivered++;
    if (qos == 2 && lies(o, SABOTAGE_DELIVER_TWICE)) route->delivered++;
    if (qos != 1 && route->qos == qos && route->delivered > route->routed)
        oracle_breach(o, "C9", "client %u got message %u:%u of QoS %u %u times, sent %u times", client, key.publisher,
                      key.index, qos, route->delivered, route->routed);
}

static void on_connected(void *data, uint32_t client, bool session_present)
{
    oracle *o = data;
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
    return (broker_watch){o, on_breach, on_arrived, on_answered, on_routed, on_connected, on_subscribed};
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
        for (uint32_t index = 1; index <= c->accepted; index++) judge_message(o, client, index, healed);
        if (healed) judge_routes(o, client);
        if (healed && c->granted && !c->subscribed)
            oracle_breach(o, "C7", "client %u: the broker lost the subscription, and nobody made it again", client);
        if (c->answers != (c->asked ? 1 : 0))
            oracle_breach(o, "C21", "client %u: the subscription ended %u times", client, c->answers);
    }
}
