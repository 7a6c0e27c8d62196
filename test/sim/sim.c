/* The simulation. Bytes move in random pieces after random delays, links are cut or go deaf, the broker refuses, hangs up,
 * restarts and forgets; then all of that stops, and everything that was begun must end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/error.h>
#include <tern/subscription.h>

#include "base/alloc.h"
#include "codec/props.h"
#include "engine/engine.h"
#include "engine/message.h"
#include "engine/subscription.h"

enum {
    SECOND = 1000000,
    MOST_ACKS = 256,
    PIECES = 16,
    LINK_BYTES = 1 << 16,
    PATIENCE = 600, /* virtual seconds after the last fault in which everything ends */
    TOKENS = 8,
    FILTERS = 12 /* of a subscription */
};

/* An acknowledgement that the application owes. */
typedef struct owed {
    uint64_t epoch;
    uint32_t seq;
} owed;

typedef struct client {
    uint32_t index;
    tern__engine *engine;
    tern__block_pool *pool;
    int version;
    tern_session session;
    bool manual;
    uint8_t qos_most;  /* of what it publishes */
    uint32_t publish;  /* percent of the steps in which it publishes */
    uint32_t expiring; /* percent of its messages */
    uint32_t units;    /* percent of what it publishes */
    bool online;
    bool deaf; /* the link takes bytes and brings none */
    bool over; /* the link is to be closed */
    bool holding; /* for a quiet reconnect */
    bool quiet;   /* that is just now */
    bool is_settled; /* nothing was published since the outbox was within its bounds */
    uint32_t waiting_from; /* without a connection since this message */
    uint64_t retry_at;
    broker_bytes up; /* bytes that were sent and have not arrived */
    broker_bytes down;
    owed owed[MOST_ACKS];
    uint32_t owed_count;
    tern__completion tokens[TOKENS]; /* of publishes; id 0: free */
    tern__completion wish;
} client;

typedef struct sim {
    sim_random random;
    oracle *oracle;
    broker_model *broker;
    client clients[BROKER_CLIENTS];
    uint32_t client_count;
    uint64_t now;
    uint32_t cut;     /* percent of the steps in which a link is cut */
    uint32_t deafen;  /* per mille */
    uint32_t restart; /* per mille */
    uint32_t forget;  /* percent of the restarts */
    uint32_t refuse;  /* percent of the attempts: no listener */
    uint32_t starve;  /* per mille of the allocations that fail [C19] */
    uint32_t most;    /* messages a client publishes */
    bool healed;
    bool tracing;
    sim_result *result;
} sim;

/* ---- memory: the library's allocations come here ---- */

static sim *starving; /* where allocations may fail just now */

void *__real_tern__malloc(size_t size);
void *__real_tern__calloc(size_t count, size_t size);
void *__real_tern__realloc(void *memory, size_t size);
void *__real_tern__memdup(const void *data, size_t size);
void *__wrap_tern__memdup(const void *data, size_t size);
void *__wrap_tern__malloc(size_t size);
void *__wrap_tern__calloc(size_t count, size_t size);
void *__wrap_tern__realloc(void *memory, size_t size);

static bool starves(void)
{
    return starving != NULL && starving->starve != 0 && sim_below(&starving->random, 1000) < starving->starve;
}

void *__wrap_tern__malloc(size_t size)
{
    return starves() ? NULL : __real_tern__malloc(size);
}

void *__wrap_tern__calloc(size_t count, size_t size)
{
    return starves() ? NULL : __real_tern__calloc(count, size);
}

void *__wrap_tern__realloc(void *memory, size_t size)
{
    return starves() ? NULL : __real_tern__realloc(memory, size);
}

void *__wrap_tern__memdup(const void *data, size_t size)
{
    return starves() ? NULL : __real_tern__memdup(data, size);
}

static void trace(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void trace(sim *s, const char *format, ...)
{
    if (!s->tracing) return;
    va_list arguments;
    printf("%10.3f ms  ", (double)s->now / 1000);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void hash(sim *s, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) s->result->trace = (s->result->trace ^ bytes[i]) * UINT64_C(1099511628211);
}

/* ---- what the engine tells ---- */

static void ack_one(client *c, uint32_t at)
{
    owed due = c->owed[at];
    memmove(&c->owed[at], &c->owed[at + 1], (c->owed_count - at - 1) * sizeof c->owed[0]);
    c->owed_count--;
    if (c->manual) (void)tern__engine_ack_one(c->engine, due.epoch, due.seq);
    else tern__engine_ack_through(c->engine, due.epoch, due.seq);
}

static void take_message(sim *s, client *c, const tern__block *block, const tern__record *record)
{
    broker_key key = {0};
    char text[64];
    unsigned publisher, index, qos;
    snprintf(text, sizeof text, "%.*s", (int)record->payload_len, (const char *)record->payload);
    if (sscanf(text, "%u:%u:%u", &publisher, &index, &qos) != 3)
        oracle_breach(s->oracle, "C9", "client %u got \"%s\"", c->index, text);
    else
        key = (broker_key){publisher, index, (uint8_t)qos};
    trace(s, "client %u gets %u:%u at QoS %u", c->index, key.publisher, key.index, record->qos);
    oracle_delivered(s->oracle, c->index, key, record->qos);
    if (record->qos == 0) return;
    if (c->owed_count == MOST_ACKS) ack_one(c, 0);
    c->owed[c->owed_count++] = (owed){block->epoch, record->ack_seq};
}

static void take_block(sim *s, client *c, tern__block *block)
{
    tern__block_finish(block);
    for (uint32_t i = 0; i < block->count; i++) take_message(s, c, block, &block->records[i]);
    tern__block_unref(block);
}

static void take_event(sim *s, client *c, tern__engine_event *event)
{
    switch (event->kind) {
    case TERN__EVENT_MESSAGES: take_block(s, c, event->block); break;
    case TERN__EVENT_CONNECTED:
        s->result->connections++;
        if (!tern__engine_limits(c->engine)->session_present)
            s->oracle->clients[c->index].told_session = s->oracle->clients[c->index].session;
        oracle_backlog(s->oracle, c->index);
        trace(s, "client %u is connected, session present %d", c->index, tern__engine_limits(c->engine)->session_present);
        break;
    case TERN__EVENT_FAILED:
        trace(s, "client %u gives the link up: %s", c->index, event->text);
        if (event->error != TERN_E_KEEPALIVE && (event->error != TERN_E_NOMEM || s->starve == 0))
            oracle_breach(s->oracle, "C17", "client %u gave a good link up: %s", c->index, event->text);
        c->over = true;
        break;
    case TERN__EVENT_REFUSED:
    case TERN__EVENT_DISCONNECTED:
    case TERN__EVENT_CLOSABLE: c->over = true; break;
    }
}

/* A quiet reconnect loses nothing: it waits until nothing is on its way. */
static void judge_quiet(sim *s, const client *c, uint64_t id, tern_outcome outcome)
{
    if (c->quiet && outcome == TERN_OUTCOME_UNKNOWN)
        oracle_breach(s->oracle, "quiet", "client %u: message %llu was lost in a quiet reconnect", c->index,
                      (unsigned long long)id);
}

static void end_completion(sim *s, client *c, tern__completion *completion)
{
    if (completion == &c->wish) {
        oracle_subscription_ended(s->oracle, c->index, completion->error, completion->code_count);
        free(completion->codes);
        free(completion->reason_string);
        return;
    }
    judge_quiet(s, c, completion->id, completion->outcome);
    oracle_outcome(s->oracle, c->index, completion->id, completion->outcome, completion->cause);
    completion->id = 0;
}

static void pump(sim *s, client *c)
{
    tern__engine_event event;
    tern__completion *completion;
    tern__range range;
    while (tern__engine_next_event(c->engine, &event)) take_event(s, c, &event);
    while ((completion = tern__engine_next_completion(c->engine)) != NULL) end_completion(s, c, completion);
    while (tern__engine_next_range(c->engine, &range)) {
        trace(s, "client %u: messages %llu to %llu: %s (%s)", c->index, (unsigned long long)range.first,
              (unsigned long long)range.last, tern_outcome_name(range.outcome), tern_cause_name(range.cause));
        for (uint64_t id = range.first; id <= range.last; id++) {
            judge_quiet(s, c, id, range.outcome);
            oracle_outcome(s->oracle, c->index, id, range.outcome, range.cause);
        }
    }
    (void)tern__engine_sync_locked(c->engine);
}

/* As the client's loop does it: what was appended is taken over, and what is too much is dropped and told. */
static void settle(sim *s, client *c)
{
    (void)tern__engine_sync_locked(c->engine);
    (void)tern__engine_shed(c->engine);
    pump(s, c);
    c->is_settled = true;
    if (s->starve != 0) return; /* what is dropped later for want of memory, or told later, is not judged */
    oracle_settled(s->oracle, c->index);
    if (!c->online) oracle_waiting(s->oracle, c->index, c->waiting_from);
}

/* ---- links ---- */

static void hang_up(sim *s, client *c)
{
    if (!c->online) return;
    trace(s, "client %u: the link is gone", c->index);
    c->online = c->over = c->deaf = c->holding = false;
    c->waiting_from = s->oracle->clients[c->index].accepted + 1;
    c->up.len = c->down.len = 0;
    tern__engine_closed(c->engine, s->now);
    broker_gone(s->broker, c->index);
    c->retry_at = s->now + sim_below(&s->random, 2 * SECOND);
    pump(s, c);
}

static void connect_client(sim *s, client *c)
{
    if (sim_chance(&s->random, s->refuse)) {
        c->retry_at = s->now + sim_below(&s->random, SECOND);
        return;
    }
    tern__connect_config config = {
        .version = c->version,
        .session = c->session,
        .session_expiry = 3600,
        .keep_alive = 5,
        .ping_timeout_ms = 2000,
        .request_problem_info = true,
    };
    trace(s, "client %u connects with MQTT %d", c->index, c->version);
    c->online = true;
    broker_accept(s->broker, c->index, c->version);
    if (tern__engine_opened(c->engine, &config, s->now) != 0) c->over = true;
}

/* Some of the bytes that the engine has go onto the link: the rest of a write is the next one's. */
static void write_out(sim *s, client *c)
{
    tern__iov iov[PIECES];
    size_t count = 0;
    if (sim_chance(&s->random, 20)) return; /* the socket is full */
    settle(s, c);
    (void)tern__engine_output(c->engine, s->now, iov, PIECES, &count);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += iov[i].len;
    size_t n = sim_chance(&s->random, 50) ? total : sim_below(&s->random, (uint32_t)total + 1);
    if (c->up.len + n > LINK_BYTES) n = 0;
    size_t left = n;
    for (size_t i = 0; i < count && left != 0; i++) {
        size_t part = iov[i].len < left ? iov[i].len : left;
        broker_append(&c->up, iov[i].data, part);
        hash(s, iov[i].data, part);
        left -= part;
    }
    if (n != 0) tern__engine_sent(c->engine, n, s->now);
}

static size_t some(sim *s, size_t len)
{
    return sim_chance(&s->random, 60) ? len : sim_below(&s->random, (uint32_t)len + 1);
}

/* Bytes arrive at both ends. */
static void carry(sim *s, client *c)
{
    if (c->deaf) {
        c->up.len = c->down.len = 0;
        broker_output(s->broker, c->index)->len = 0;
        return;
    }
    size_t n = some(s, c->up.len);
    if (n != 0) {
        (void)broker_receive(s->broker, c->index, c->up.data, n);
        broker_drop_front(&c->up, n);
    }
    broker_bytes *out = broker_output(s->broker, c->index);
    n = some(s, out->len);
    if (n != 0) {
        broker_append(&c->down, out->data, n);
        broker_drop_front(out, n);
    }
    n = some(s, c->down.len);
    if (n != 0) {
        hash(s, c->down.data, n);
        if (tern__engine_recv(c->engine, c->down.data, n, s->now) != 0) c->over = true;
        broker_drop_front(&c->down, n);
    }
    if (broker_closing(s->broker, c->index) && out->len == 0 && c->down.len == 0) c->over = true;
}

/* ---- the application ---- */

static tern__completion *free_token(client *c)
{
    for (int i = 0; i < TOKENS; i++)
        if (c->tokens[i].id == 0) return &c->tokens[i];
    return NULL;
}

/* Only an outbox that has a bound, and refuses, is ever full; and one that drops, where the loop had no time to. */
static void judge_append(sim *s, client *c, int rc)
{
    const oracle_client *known = &s->oracle->clients[c->index];
    bool drops = known->policy == TERN_OUTBOX_DROP_OLDEST || known->policy == TERN_OUTBOX_DROP_NEWEST;
    bool may_refuse = !drops || !c->is_settled || s->starve != 0;
    if (rc == TERN_E_OUTBOX_FULL && drops && s->oracle->lie == SABOTAGE_REFUSE) s->oracle->lies++;
    c->is_settled = false;
    if (rc == 0 || (rc == TERN__OUTBOX_OVER && drops && !known->unlimited)) return;
    if (rc == TERN_E_OUTBOX_FULL && !known->unlimited && may_refuse) return;
    oracle_breach(s->oracle, "C3", "client %u: publish answered %d", c->index, rc);
}

static void publish(sim *s, client *c)
{
    uint32_t index = s->oracle->clients[c->index].accepted + 1;
    if (index > s->most) return;
    uint8_t qos = (uint8_t)sim_below(&s->random, c->qos_most + 1u);
    char payload[256];
    int len = snprintf(payload, sizeof payload, "%u:%u:%u %0*d", c->index, index, qos,
                       (int)sim_below(&s->random, 5) * 30 + 1, 0);
    tern__buf props = {0};
    starving = NULL; /* what the application makes */
    tern__submission submission = {
        .publish = {.qos = qos, .topic = {(const uint8_t *)"from/me", 7}, .payload = {(const uint8_t *)payload, (size_t)len}},
        .lose_properties = true,
    };
    if (sim_chance(&s->random, c->expiring)) {
        uint32_t seconds = 1 + sim_below(&s->random, 20);
        if (tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, seconds) != 0) abort();
        submission.props = (tern__props){props.data, props.len, UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY};
        submission.expires_us = s->now + (uint64_t)seconds * SECOND;
    }
    starving = s;
    tern__completion *token = sim_chance(&s->random, 30) ? free_token(c) : NULL;
    if (token != NULL) *token = (tern__completion){.outcome = TERN_OUTCOME_PENDING};
    submission.completion = token;
    uint64_t id = 0;
    int rc = tern__outbox_append_locked(tern__engine_outbox(c->engine), &submission, &id);
    tern__buf_deinit(&props);
    if (rc == TERN_E_NOMEM && s->starve != 0) return;
    judge_append(s, c, rc);
    if (rc < 0) return;
    if (id != index) oracle_breach(s->oracle, "C1", "client %u: id %llu after %u messages", c->index, (unsigned long long)id,
                                   index - 1);
    trace(s, "client %u publishes %u at QoS %u", c->index, index, qos);
    oracle_accepted(s->oracle, c->index, qos);
}

/* Two to four messages of one QoS, and of one expiry where they have one. */
static void publish_unit(sim *s, client *c)
{
    enum { MOST = 4, ROOM = 128 };
    tern__submission unit[MOST] = {0};
    char payloads[MOST][ROOM];
    uint32_t accepted = s->oracle->clients[c->index].accepted;
    uint32_t count = 2 + sim_below(&s->random, MOST - 1);
    uint8_t qos = (uint8_t)sim_below(&s->random, c->qos_most + 1u);
    uint32_t seconds = sim_chance(&s->random, c->expiring) ? 1 + sim_below(&s->random, 20) : 0;
    uint64_t id = 0;
    tern__buf props = {0};
    if (accepted + count > s->most) return;
    starving = NULL; /* what the application makes */
    if (seconds != 0 && tern__props_add_number(&props, TERN__PROP_MESSAGE_EXPIRY, seconds) != 0) abort();
    starving = s;
    for (uint32_t i = 0; i < count; i++) {
        int len = snprintf(payloads[i], ROOM, "%u:%u:%u %0*d", c->index, accepted + 1 + i, qos,
                           (int)sim_below(&s->random, 3) * 30 + 1, 0);
        unit[i].publish.qos = qos;
        unit[i].publish.topic = (tern__view){(const uint8_t *)"from/me", 7};
        unit[i].publish.payload = (tern__view){(const uint8_t *)payloads[i], (size_t)len};
        unit[i].lose_properties = true;
        if (seconds == 0) continue;
        unit[i].props = (tern__props){props.data, props.len, UINT64_C(1) << TERN__PROP_MESSAGE_EXPIRY};
        unit[i].expires_us = s->now + (uint64_t)seconds * SECOND;
    }
    int rc = tern__outbox_append_unit_locked(tern__engine_outbox(c->engine), unit, count, &id);
    tern__buf_deinit(&props);
    if (rc == TERN_E_NOMEM && s->starve != 0) return;
    judge_append(s, c, rc);
    if (rc < 0) return;
    if (id != accepted + count) oracle_breach(s->oracle, "C1", "client %u: a unit ends with id %llu", c->index,
                                              (unsigned long long)id);
    trace(s, "client %u publishes the unit %u to %u at QoS %u", c->index, accepted + 1, accepted + count, qos);
    for (uint32_t i = 0; i < count; i++) oracle_accepted(s->oracle, c->index, qos);
    oracle_unit(s->oracle, c->index, count);
}

static void subscribe(sim *s, client *c)
{
    tern_subscription *wish;
    oracle_client *known = &s->oracle->clients[c->index];
    if (known->asked) return;
    starving = NULL;
    known->filters = sim_chance(&s->random, 50) ? 1 : 1 + sim_below(&s->random, FILTERS);
    uint32_t routed = sim_below(&s->random, known->filters);
    if (tern_subscription_new(&wish) != 0) abort();
    for (uint32_t i = 0; i < known->filters; i++) {
        char filter[16];
        snprintf(filter, sizeof filter, i == routed ? "to/#" : "else/%u", i);
        if (tern_subscription_add(wish, filter, sim_below(&s->random, 3)) != 0) abort();
    }
    starving = s;
    uint32_t most = known->filters_per_subscribe;
    if (most != 0 && known->filters > most && s->oracle->lie == SABOTAGE_WIDE) s->oracle->lies++;
    int rc = tern__engine_subscribe(c->engine, wish, &c->wish, s->now);
    if (rc != 0 && s->starve == 0) abort();
    known->asked = rc == 0;
    tern_subscription_free(wish);
}

static void act(sim *s, client *c)
{
    if (sim_chance(&s->random, c->publish))
        for (uint32_t n = 1 + sim_below(&s->random, 6); n != 0; n--) {
            if (sim_chance(&s->random, c->units)) publish_unit(s, c);
            else publish(s, c);
        }
    if (c->online && sim_chance(&s->random, 2)) {
        tern__engine_hold(c->engine);
        c->holding = true;
    }
    if (sim_chance(&s->random, 5)) subscribe(s, c);
    while (c->owed_count != 0 && sim_chance(&s->random, 70)) ack_one(c, c->manual ? sim_below(&s->random, c->owed_count) : 0);
}

/* ---- time ---- */

static void step_client(sim *s, client *c, bool acting)
{
    if (!c->online && s->now >= c->retry_at) connect_client(s, c);
    if (acting) act(s, c);
    else while (c->owed_count != 0) ack_one(c, 0);
    if (s->now >= tern__engine_deadline(c->engine)) tern__engine_tick(c->engine, s->now);
    settle(s, c);
    if (c->online) write_out(s, c);
    if (c->online) carry(s, c);
    pump(s, c);
    bool faulty = !s->healed && c->online;
    if (faulty && sim_chance(&s->random, s->cut)) c->over = true;
    if (faulty && sim_below(&s->random, 1000) < s->deafen) c->deaf = true;
    bool is_quiet = tern__engine_is_quiet(c->engine) && c->up.len == 0;
    if (c->holding && !is_quiet && s->oracle->lie == SABOTAGE_HASTE) {
        s->oracle->lies += c->session == TERN_SESSION_CLEAN; /* a session that goes on loses nothing by it */
        is_quiet = true;
    }
    if (c->holding && is_quiet) c->quiet = c->over = true;
    if (c->over) hang_up(s, c);
    c->quiet = false;
}

static void step(sim *s, bool acting)
{
    s->oracle->now = s->now += 1 + sim_below(&s->random, s->healed ? 100000 : sim_chance(&s->random, 2) ? 4 * SECOND : 20000);
    if (!s->healed && sim_below(&s->random, 1000) < s->restart) {
        bool forget = sim_chance(&s->random, s->forget);
        trace(s, "the broker restarts%s", forget ? " and forgets" : "");
        for (uint32_t i = 0; i < s->client_count; i++) hang_up(s, &s->clients[i]);
        broker_restart(s->broker, forget);
    }
    starving = s;
    for (uint32_t i = 0; i < s->client_count; i++) step_client(s, &s->clients[i], acting);
    starving = NULL;
}

static bool has_ended(const sim *s, const client *c)
{
    return c->online && tern__engine_connected(c->engine) && tern__engine_open_count(c->engine) == 0 && c->owed_count == 0 &&
           c->up.len == 0 && c->down.len == 0 && broker_backlog(s->broker, c->index) == 0;
}

static bool all_ended(const sim *s)
{
    for (uint32_t i = 0; i < s->client_count; i++)
        if (!has_ended(s, &s->clients[i])) return false;
    return true;
}

static void tell_open(sim *s)
{
    for (uint32_t i = 0; i < s->client_count; i++) {
        const client *c = &s->clients[i];
        if (has_ended(s, c)) continue;
        oracle_breach(s->oracle, "liveness",
                      "client %u has not ended %d s after the last fault: online %d, connected %d, %llu open, %u acks owed, "
                      "%zu messages on their way to it",
                      i, PATIENCE, c->online, tern__engine_connected(c->engine),
                      (unsigned long long)tern__engine_open_count(c->engine), c->owed_count,
                      broker_backlog(s->broker, c->index));
    }
}

/* ---- a run ---- */

/* What the engine is made to do wrong: it is told otherwise than the oracle. */
static void sabotage_config(sabotage lie, tern__engine_config *config)
{
    bool drops = config->policy == TERN_OUTBOX_DROP_OLDEST || config->policy == TERN_OUTBOX_DROP_NEWEST;
    if (lie == SABOTAGE_REFUSE && drops) config->policy = TERN_OUTBOX_REJECT;
    if (lie == SABOTAGE_SWAP && drops)
        config->policy = config->policy == TERN_OUTBOX_DROP_OLDEST ? TERN_OUTBOX_DROP_NEWEST : TERN_OUTBOX_DROP_OLDEST;
    if (lie == SABOTAGE_UNBOUNDED) config->outbox_messages = 0;
    if (lie == SABOTAGE_WIDE) config->filters_per_subscribe = 0;
}

static void make_client(sim *s, uint32_t index)
{
    static const uint16_t windows[] = {1, 2, 5, 100, 65535};
    client *c = &s->clients[index];
    sim_random *r = &s->random;
    char id[16];
    snprintf(id, sizeof id, "c%u", index);
    c->index = index;
    c->version = sim_chance(r, 60) ? TERN__V5 : TERN__V311;
    c->session = sim_chance(r, 50) ? TERN_SESSION_PROCESS : sim_chance(r, 70) ? TERN_SESSION_PERSISTENT : TERN_SESSION_CLEAN;
    c->manual = sim_chance(r, 40);
    c->qos_most = (uint8_t)sim_below(r, 3);
    c->publish = sim_below(r, 40);
    c->expiring = sim_chance(r, 30) ? sim_below(r, 60) : 0;
    c->units = sim_chance(r, 50) ? sim_below(r, 60) : 0;
    c->waiting_from = 1;
    c->wish.error = -1;
    static const tern_outbox_policy policies[] = {TERN_OUTBOX_REJECT, TERN_OUTBOX_DROP_OLDEST, TERN_OUTBOX_DROP_NEWEST};
    oracle_client *known = &s->oracle->clients[index];
    known->policy = policies[sim_below(r, 3)];
    known->unlimited = sim_chance(r, 20);
    known->drain_interval_us = sim_chance(r, 30) ? 1000 + sim_below(r, SECOND / 2) : 0;
    known->filters_per_subscribe = sim_chance(r, 50) ? 1 + sim_below(r, FILTERS) : 0;
    if (tern__block_pool_new(&c->pool, sim_chance(r, 50) ? 256 : 4096) != 0) abort();
    tern__engine_config config = {
        .client_id = id,
        .outbox_bytes = 1u << (11 + sim_below(r, 8)),
        .outbox_messages = sim_chance(r, 30) ? 1 + sim_below(r, 30) : 0,
        .inflight_maximum = windows[sim_below(r, 5)],
        .receive_maximum = windows[sim_below(r, 5)],
        .maximum_packet_size = 1 << 20,
        .manual_ack = c->manual,
        .pool = c->pool,
    };
    config.policy = known->policy;
    config.drain_interval_us = known->drain_interval_us;
    config.filters_per_subscribe = (uint16_t)known->filters_per_subscribe;
    known->most_waiting = (uint32_t)config.outbox_messages;
    sabotage_config(s->oracle->lie, &config);
    if (known->unlimited) {
        config.outbox_bytes = SIZE_MAX;
        config.outbox_messages = 0;
    }
    if (tern__engine_new(&c->engine, &config) != 0) abort();
}

static void make_weather(sim *s)
{
    sim_random *r = &s->random;
    s->client_count = 2 + sim_below(r, BROKER_CLIENTS - 1);
    s->cut = sim_chance(r, 70) ? sim_below(r, 8) : 0;
    s->deafen = sim_chance(r, 20) ? sim_below(r, 10) : 0;
    s->restart = sim_chance(r, 40) ? sim_below(r, 30) : 0;
    s->forget = sim_below(r, 101);
    s->refuse = sim_chance(r, 30) ? sim_below(r, 60) : 0;
    s->starve = sim_chance(r, 15) ? 1 + sim_below(r, 50) : 0;
    s->most = 10 + sim_below(r, 150);
    broker_mood mood = {
        .refuse_connect = sim_chance(r, 20) ? sim_below(r, 50) : 0,
        .refuse_publish = sim_chance(r, 20) ? sim_below(r, 30) : 0,
        .refuse_subscribe = sim_chance(r, 20) ? sim_below(r, 100) : 0,
        .disconnect = sim_chance(r, 20) ? sim_below(r, 4) : 0,
        .hang_up = sim_chance(r, 20) ? sim_below(r, 4) : 0,
        .receive_maximum = sim_chance(r, 40) ? (uint16_t)(1 + sim_below(r, 20)) : 0,
        .maximum_packet_size = sim_chance(r, 20) ? 60 + sim_below(r, 100) : 0,
    };
    broker_set_mood(s->broker, &mood);
}

/* The faults stop; what the broker announced stays. */
static void heal(sim *s)
{
    trace(s, "the faults stop");
    s->healed = true;
    s->refuse = 0;
    s->starve = 0;
    broker_calm(s->broker, s->oracle->lie == SABOTAGE_MUTE);
    for (uint32_t i = 0; i < s->client_count; i++)
        if (s->clients[i].deaf) hang_up(s, &s->clients[i]);
}

static void close_client(sim *s, client *c)
{
    hang_up(s, c);
    (void)tern__engine_sync_locked(c->engine);
    if (tern__engine_abandon(c->engine) != 0) abort();
    pump(s, c);
    if (tern__outbox_count_locked(tern__engine_outbox(c->engine)) != 0)
        oracle_breach(s->oracle, "C10", "client %u: the outbox holds something at the end", c->index);
    tern__engine_free(c->engine);
    tern__block_pool_unref(c->pool);
    free(c->up.data);
    free(c->down.data);
}

static void live(sim *s)
{
    uint32_t steps = 50 + sim_below(&s->random, 400);
    while (steps-- != 0 && !s->oracle->failed) step(s, true);
    if (sim_chance(&s->random, 15)) return; /* closed in the middle of it */
    heal(s);
    uint64_t patience = s->now + (uint64_t)PATIENCE * SECOND;
    while (!all_ended(s) && s->now < patience && !s->oracle->failed) step(s, false);
    tell_open(s);
}

void sim_run(uint64_t seed, sabotage lie, bool tracing, sim_result *result)
{
    sim *s = calloc(1, sizeof *s);
    oracle *o = calloc(1, sizeof *o);
    if (s == NULL || o == NULL) abort();
    memset(result, 0, sizeof *result);
    result->trace = UINT64_C(14695981039346656037);
    s->random.state = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
    s->oracle = o;
    s->result = result;
    s->tracing = tracing;
    s->now = SECOND;
    o->lie = lie;
    broker_watch watch = oracle_watch(o);
    s->broker = broker_new(&s->random, &watch);
    make_weather(s);
    for (uint32_t i = 0; i < s->client_count; i++) make_client(s, i);
    live(s);
    bool healed = s->healed;
    for (uint32_t i = 0; i < s->client_count; i++) o->clients[i].subscribed = broker_subscribed(s->broker, i);
    for (uint32_t i = 0; i < s->client_count; i++) close_client(s, &s->clients[i]);
    oracle_judge(o, healed);
    for (uint32_t i = 0; i < BROKER_CLIENTS; i++) result->messages += o->clients[i].accepted;
    result->failed = o->failed;
    result->lies = o->lies;
    result->virtual_us = s->now;
    memcpy(result->clause, o->clause, sizeof result->clause);
    memcpy(result->what, o->what, sizeof result->what);
    broker_free(s->broker);
    free(o);
    free(s);
}
