/* The link: a client's connection from the first attempt to the close, with its retries.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/link.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/attempt.h"
#include "client/loop.h"
#include "client/token.h"
#include "platform/clock.h"

enum { LEAVE_MS = 1000 /* how long a DISCONNECT may take to get to the peer */ };

void tern__link_init(tern__link *link)
{
    memset(link, 0, sizeof *link);
    link->deadline = UINT64_MAX;
    link->retry_at = UINT64_MAX;
    link->close_deadline = UINT64_MAX;
    link->timer_at = UINT64_MAX;
    tern__list_init(&link->connects);
    tern__list_init(&link->flushes);
}

void tern__link_deinit(tern__link *link)
{
    tern__attempt_end(link);
    tern__free(link->own_server);
    tern_connection_options_free(link->options);
}

/* ---- ends ---- */

/* The tokens of connect calls end: with success where failure is NULL. */
static void finish_connects(tern_client *client, const tern__failure *failure, const char *text)
{
    tern__list *node;
    while ((node = tern__list_shift(&client->link.connects)) != NULL) {
        tern_token *token = TERN__CONTAINER(node, tern_token, link);
        if (failure != NULL) {
            const char *why = failure->reason_string;
            token->completion.reason = failure->error == TERN_E_REFUSED ? failure->reason : -1; /* else it is ours */
            token->completion.reason_string = why != NULL && why[0] != '\0' ? tern__strdup(why) : NULL;
        }
        tern__token_finish_error(token, failure != NULL ? failure->error : 0, text);
    }
}

static void set_connecting(tern_client *client, bool connecting)
{
    tern__mutex_lock(&client->lock);
    client->connecting = connecting;
    tern__mutex_unlock(&client->lock);
}

/* No further attempts; the outbox stays. */
void tern__link_stop(tern_client *client, const tern__failure *failure)
{
    tern__link *link = &client->link;
    tern__attempt_tell_budget(client, TERN__BUDGET_ABANDONED, tern__clock_us());
    tern__attempt_end(link);
    atomic_store(&client->asking, false);
    link->quieting = link->again = false;
    link->state = TERN__LINK_IDLE;
    link->deadline = link->retry_at = UINT64_MAX;
    link->attempt = 0;
    link->tried = 0;
    set_connecting(client, false);
    if (!link->closing) tern__report(client, TERN_EVENT_STOPPED, failure, -1);
    char text[400] = "";
    (void)tern_client_copy_error_text(client, text, sizeof text);
    const tern__failure cancelled = {.error = TERN_E_CANCELLED, .reason = -1};
    finish_connects(client, failure != NULL ? failure : &cancelled, text);
}

/* What a failed attempt says of its server: one that answers is alive, whatever it answers, unless it says that it has no room. */
static tern__budget_end budget_end_of(const tern__failure *failure)
{
    static const uint8_t overloaded[] = {0x88, 0x89, 0x97, 0x9F};
    if (failure->error == TERN_E_CANCELLED) return TERN__BUDGET_ABANDONED;
    if (failure->error != TERN_E_REFUSED) return TERN__BUDGET_FAILED;
    return memchr(overloaded, failure->reason, sizeof overloaded) != NULL ? TERN__BUDGET_FAILED : TERN__BUDGET_ALIVE;
}

/* Whether this attempt's end means that the server does not speak its version; then the other one is tried at once. */
static bool fall_back(tern__link *link, const tern__failure *failure, bool greeting)
{
    const tern_connection_options *options = tern__attempt_options(link);
    if (options->version != TERN_VERSION_AUTO || !greeting) return false;
    int *known = tern__attempt_known_version(link);
    bool refused = failure->reason == 0x84;
    if (link->version == TERN__V311) {
        bool changed = refused && *known == TERN__V311; /* it spoke 3.1.1 once, and does not any more */
        if (changed) *known = 0;
        link->falling_back = false; /* that was not it either: the next attempt tries 5 again */
        return changed;
    }
    if (options->has_password && !options->has_user_name) return false; /* 3.1.1 cannot say that [MQTT311-3.1.2-22] */
    bool closed = failure->error == TERN_E_CONNECTION_LOST && *known == 0;
    link->falling_back = refused || closed;
    return link->falling_back;
}

/* The next server of the list, or a wait when all of them were tried, or when an established connection broke: a server that
 * accepts and closes again must not be hammered [C18]. Returns the delay in ms; -1: no more attempts. */
static int64_t plan_retry(tern__link *link, bool was_up)
{
    size_t count = link->options->server_count;
    if (!was_up) link->server = (link->server + 1) % count;
    if (!was_up && ++link->tried < count) return 0; /* whichever versions were tried there */
    link->tried = 0;
    uint32_t delay_ms = 0;
    return tern__backoff_next(&link->backoff, &delay_ms) ? (int64_t)delay_ms : -1;
}

static void count_end(tern_client *client, bool was_up)
{
    tern__mutex_lock(&client->lock);
    if (was_up) {
        client->counters.disconnects++;
    } else {
        client->counters.connect_failures++;
    }
    tern__mutex_unlock(&client->lock);
}

/* Closing with something left to deliver, and time to do it: until then the link comes back as ever [C12]. */
static bool still_drains(const tern_client *client, uint64_t now)
{
    const tern__link *link = &client->link;
    return link->draining && now < link->close_deadline && tern__engine_open_count(client->engine) != 0;
}

/* The application wants another connection: what there is ends, which is no failure, and the next attempt starts at once. */
static void start_over(tern_client *client, bool was_up, uint64_t now)
{
    tern__link *link = &client->link;
    const tern__failure given_up = {.error = TERN_E_CANCELLED, .reason = -1, .text = "given up for a new attempt, as asked"};
    link->again = false;
    link->deadline = UINT64_MAX;
    link->state = TERN__LINK_WAITING;
    link->retry_at = now;
    tern__report(client, was_up ? TERN_EVENT_DISCONNECTED : TERN_EVENT_CONNECT_FAILED, was_up ? NULL : &given_up, 0);
    tern__attempt_end(link);
    if (was_up) link->attempt = 0;
}

void tern__link_lost(tern_client *client, const tern__failure *failure, uint64_t now)
{
    tern__link *link = &client->link;
    tern__link_state state = link->state;
    if (state == TERN__LINK_IDLE || state == TERN__LINK_WAITING || state == TERN__LINK_ASKING || state == TERN__LINK_CLOSED) return;
    if (state == TERN__LINK_GREETING && link->tls == NULL) link->tls = tern__attempt_describe_tls(link);
    tern__loop_hang_up(client, now);
    link->deadline = UINT64_MAX;
    bool was_up = state == TERN__LINK_UP || state == TERN__LINK_LEAVING;
    tern_event_kind kind = was_up ? TERN_EVENT_DISCONNECTED : TERN_EVENT_CONNECT_FAILED;
    if (!was_up) tern__attempt_tell_budget(client, budget_end_of(failure), now);
    count_end(client, was_up);
    if (was_up) tern__backoff_lost(&link->backoff, now);
    bool asked = link->quieting || link->again;
    link->quieting = false;
    if (state == TERN__LINK_LEAVING && link->again && (!link->closing || still_drains(client, now))) {
        start_over(client, true, now);
        return;
    }
    if (state == TERN__LINK_LEAVING || failure->error == TERN_E_CANCELLED) {
        tern__report(client, kind, was_up ? NULL : failure, -1);
        tern__link_stop(client, NULL);
        return;
    }
    tern__failure told = *failure;
    if (!was_up && told.step == TERN_STEP_SESSION) told.step = TERN_STEP_MQTT;
    bool again = fall_back(link, &told, state == TERN__LINK_GREETING);
    bool done = link->closing && !still_drains(client, now);
    if (told.fatal && tern__attempt_may_heal(client, &told)) told.fatal = false;
    bool final = done || (!again && told.fatal && !link->options->retry_refused);
    size_t server = link->server;
    int64_t delay = final ? -1 : again || asked ? 0 : plan_retry(link, was_up);
    size_t next = link->server;
    link->server = server; /* the report is about the one that failed */
    tern__report(client, kind, &told, delay);
    tern__attempt_end(link);
    if (delay < 0) {
        tern__link_stop(client, &told);
        return;
    }
    link->server = next;
    if (was_up) link->attempt = 0;
    link->state = TERN__LINK_WAITING;
    link->retry_at = now + (uint64_t)delay * 1000;
}

/* ---- what the engine tells ---- */

/* Refusals that no waiting heals [C18]. */
static bool is_fatal(int reason, bool at_connect)
{
    if (!at_connect) return reason == 0x8E; /* taken over: two clients would throw each other out for ever */
    static const uint8_t fatal[] = {0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9D};
    return memchr(fatal, reason, sizeof fatal) != NULL;
}

static void on_connected(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    link->state = TERN__LINK_UP;
    link->deadline = UINT64_MAX;
    link->tried = 0;
    link->falling_back = false;
    *tern__attempt_known_version(link) = link->version;
    tern__attempt_tell_budget(client, TERN__BUDGET_ALIVE, now);
    tern__backoff_connected(&link->backoff, now);
    tern__mutex_lock(&client->lock);
    client->counters.connects++;
    client->has_limits = true;
    client->limits = *tern__engine_limits(client->engine);
    if (client->options.client_id[0] == '\0') {
        tern__free(client->assigned_id);
        client->assigned_id = tern__strdup(tern__engine_client_id(client->engine));
    }
    tern__mutex_unlock(&client->lock);
    atomic_store(&client->connected, true);
    tern__report(client, TERN_EVENT_CONNECTED, NULL, -1);
    tern__attempt_forget(link);
    finish_connects(client, NULL, NULL);
}

/* The link ends because the application wants it to. */
static void leave_done(tern_client *client, uint64_t now)
{
    tern__failure failure = {.error = TERN_E_CANCELLED, .reason = -1};
    tern__link_lost(client, &failure, now);
}

void tern__link_on_event(tern_client *client, const tern__engine_event *event, uint64_t now)
{
    tern__link *link = &client->link;
    tern__failure failure = {.error = event->error,
                             .step = TERN_STEP_SESSION,
                             .reason = event->reason,
                             .reference = event->reference};
    switch (event->kind) {
    case TERN__EVENT_CONNECTED: on_connected(client, now); return;
    case TERN__EVENT_CLOSABLE: link->closable = true; return;
    case TERN__EVENT_REFUSED:
        failure.error = TERN_E_REFUSED;
        failure.step = TERN_STEP_MQTT;
        failure.reason_string = event->text;
        failure.fatal = is_fatal(event->reason, true);
        break;
    case TERN__EVENT_DISCONNECTED:
        failure.error = TERN_E_DISCONNECTED;
        failure.reason_string = event->text;
        failure.fatal = is_fatal(event->reason, false);
        break;
    case TERN__EVENT_FAILED:
        failure.text = event->text;
        tern__loop_flush(client, now); /* the DISCONNECT that says why */
        break;
    case TERN__EVENT_MESSAGES: return; /* the loop's */
    }
    tern__link_lost(client, &failure, now);
}

/* A request was refused where the server said so for any filter [C21]. */
static bool any_refused(const tern__completion *completion)
{
    for (uint32_t i = 0; i < completion->code_count; i++)
        if (completion->codes[i] >= 0x80) return true;
    return false;
}

void tern__link_completed(tern_client *client, tern__completion *completion)
{
    char text[300] = "";
    if (completion->error == 0 && any_refused(completion)) completion->error = TERN_E_REFUSED;
    int error = completion->outcome != TERN_OUTCOME_PENDING
                    ? tern__outcome_error(completion->outcome, completion->cause)
                    : completion->error;
    if (error == TERN_E_REFUSED) {
        uint32_t bad = 0;
        while (bad < completion->code_count && completion->codes[bad] < 0x80) bad++;
        int reason = bad < completion->code_count ? completion->codes[bad] : completion->reason;
        snprintf(text, sizeof text, "the server refused: %s (0x%02X)%s%.200s", tern_reason_text(reason),
                 (unsigned)reason, completion->reason_string != NULL ? ", " : "",
                 completion->reason_string != NULL ? completion->reason_string : "");
    } else if (error != 0 && completion->outcome != TERN_OUTCOME_PENDING) {
        snprintf(text, sizeof text, "message %llu: %s (%s)", (unsigned long long)completion->id,
                 tern_outcome_name(completion->outcome), tern_cause_name(completion->cause));
    }
    tern__log_clean(text);
    if (error != 0) (void)tern__client_fail(client, error, "%s", text[0] != '\0' ? text : tern_strerror(error));
    tern__token_finish(tern__token_of(completion), text[0] != '\0' ? tern__strdup(text) : NULL);
}

/* ---- what the application asks ---- */

static void leave(tern_client *client, int reason, bool expire_session, uint64_t deadline, uint64_t now)
{
    tern__link *link = &client->link;
    switch (link->state) {
    case TERN__LINK_OPENING:
    case TERN__LINK_GREETING: leave_done(client, now); break;
    case TERN__LINK_UP:
        link->quieting = false;
        link->state = TERN__LINK_LEAVING;
        link->deadline = deadline;
        tern__engine_disconnect(client->engine, reason, expire_session, now);
        break;
    case TERN__LINK_ASKING:
    case TERN__LINK_WAITING: tern__link_stop(client, NULL); break;
    case TERN__LINK_LEAVING: link->again = false; break;
    case TERN__LINK_IDLE:
    case TERN__LINK_CLOSED: break;
    }
}

/* What is on its way may end first, until the deadline; an attempt that runs is given up for one with the options of now. */
static void execute_reconnect(tern_client *client, const tern__command *command, uint64_t now)
{
    tern__link *link = &client->link;
    bool over = link->state == TERN__LINK_IDLE || link->state == TERN__LINK_CLOSED;
    if (over || (link->state == TERN__LINK_LEAVING && !link->again)) { /* meanwhile it was told to stop */
        tern__token_finish_error(command->token, TERN_E_CANCELLED, NULL);
        return;
    }
    if (command->token != NULL) tern__list_append(&link->connects, &command->token->link);
    if (link->state == TERN__LINK_WAITING) link->retry_at = now;
    if (link->state == TERN__LINK_OPENING || link->state == TERN__LINK_GREETING) {
        tern__loop_hang_up(client, now);
        start_over(client, false, now);
    }
    if (link->state != TERN__LINK_UP) return; /* what the attempt handler is asked about is the new attempt */
    if (!link->quieting || command->deadline < link->quiet_until) link->quiet_until = command->deadline;
    link->quieting = true;
    tern__engine_hold(client->engine);
}

static void execute_connect(tern_client *client, tern_token *token, uint64_t now)
{
    tern__link *link = &client->link;
    if (token != NULL) tern__list_append(&link->connects, &token->link);
    if (link->state != TERN__LINK_IDLE) return;
    tern__backoff_reset(&link->backoff);
    link->attempt = 0;
    tern__attempt_start(client, now);
}

static void execute_close(tern_client *client, const tern__command *command, uint64_t now)
{
    tern__link *link = &client->link;
    link->closing = true;
    link->close_token = command->token;
    link->close_deadline = command->deadline;
    link->draining = command->drain;
    if (!link->draining) link->close_deadline = now;
}

static void execute_request(tern_client *client, tern__command *command, uint64_t now)
{
    tern__completion *completion = command->token != NULL ? &command->token->completion : NULL;
    int rc = command->kind == TERN__COMMAND_SUBSCRIBE
                 ? tern__engine_subscribe(client->engine, command->subscription, completion, now)
                 : tern__engine_unsubscribe(client->engine, command->subscription, completion, now);
    if (rc != 0) tern__token_finish_error(command->token, rc, NULL);
}

static void execute_flush(tern__link *link, tern_token *token)
{
    tern__list abandoned;
    tern__list_init(&abandoned);
    tern__token_pick_abandoned(&link->flushes, &abandoned);
    tern__token_drop(&abandoned);
    tern__list_append(&link->flushes, &token->link);
}

void tern__link_execute(tern_client *client, tern__command *command, uint64_t now)
{
    tern__link *link = &client->link;
    switch (command->kind) {
    case TERN__COMMAND_CONNECT: execute_connect(client, command->token, now); break;
    case TERN__COMMAND_ATTEMPT: tern__attempt_execute(client, command, now); return; /* part of the attempt */
    case TERN__COMMAND_RETRY:
        if (link->state == TERN__LINK_WAITING) link->retry_at = now;
        break;
    case TERN__COMMAND_DISCONNECT:
        tern__token_finish_error(link->disconnect_token, TERN_E_CANCELLED, NULL);
        link->disconnect_token = command->token;
        leave(client, command->reason, false, now + LEAVE_MS * 1000u, now);
        break;
    case TERN__COMMAND_RECONNECT: execute_reconnect(client, command, now); break;
    case TERN__COMMAND_CLOSE: execute_close(client, command, now); return; /* part of the client */
    case TERN__COMMAND_SUBSCRIBE:
    case TERN__COMMAND_UNSUBSCRIBE: execute_request(client, command, now); break;
    case TERN__COMMAND_FLUSH: execute_flush(link, command->token); break;
    }
    tern__command_free(command);
}

void tern__link_pause_changed(tern_client *client)
{
    bool paused = client->link.paused;
    tern__report(client, paused ? TERN_EVENT_PAUSED : TERN_EVENT_RESUMED, NULL, -1);
    if (paused) tern__client_nudge(client);
}

/* ---- progress and time ---- */

static void finish_flushes(tern_client *client)
{
    tern__link *link = &client->link;
    while (!tern__list_empty(&link->flushes)) {
        tern_token *token = TERN__CONTAINER(link->flushes.next, tern_token, link);
        if (tern__engine_settled_id(client->engine) < token->flush_id) return;
        tern__list_remove(&token->link);
        tern__token_finish_error(token, 0, NULL);
    }
}

/* The last step: every message and request gets its outcome. */
static bool finish_close(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    if (!tern__loop_abandon(client, now)) {
        link->close_deadline = now + 10000; /* memory ran out: once more in 10 ms */
        return false;
    }
    link->state = TERN__LINK_CLOSED;
    tern__timers_end(client);
    const tern__failure closed = {.error = TERN_E_CLOSED, .reason = -1};
    finish_connects(client, &closed, NULL);
    finish_flushes(client);
    tern__token_finish_error(link->disconnect_token, 0, NULL);
    link->disconnect_token = NULL;
    return false;
}

static bool progress_close(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    if (link->state == TERN__LINK_CLOSED || link->state == TERN__LINK_LEAVING) return false;
    if (link->state != TERN__LINK_IDLE && still_drains(client, now)) return false; /* where idle nothing drains any more */
    if (link->state != TERN__LINK_IDLE) {
        uint64_t patience = now + LEAVE_MS * 1000u;
        if (link->draining && link->close_deadline < patience) patience = link->close_deadline;
        leave(client, 0, link->options->session != TERN_SESSION_PERSISTENT, patience, now);
        return true;
    }
    return finish_close(client, now);
}

/* When all is written the peer is told that this was the end, and has until the deadline to say the same. */
static void progress_leave(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    bool written = link->closable && !tern__engine_wants_output(client->engine);
    if (now >= link->deadline || (written && !link->finished && !tern__loop_finish(client, now))) leave_done(client, now);
}

/* All is quiet, or has had its time: the session stays at the server, and the next connection goes on with it. */
static bool progress_quiet(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    if (!link->quieting || link->state != TERN__LINK_UP) return false;
    if (now < link->quiet_until && !tern__engine_is_quiet(client->engine)) return false;
    leave(client, 0, false, now + LEAVE_MS * 1000u, now);
    link->again = true;
    return true;
}

bool tern__link_progress(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    finish_flushes(client);
    if (progress_quiet(client, now)) return true;
    if (link->state == TERN__LINK_LEAVING) progress_leave(client, now);
    if (link->disconnect_token != NULL && link->state == TERN__LINK_IDLE) {
        tern__token_finish_error(link->disconnect_token, 0, NULL);
        link->disconnect_token = NULL;
    }
    return link->closing && progress_close(client, now);
}

void tern__link_tick(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    if (link->connecting != NULL && now >= tern__connect_deadline(link->connecting))
        tern__connect_tick(link->connecting, now);
    if (link->state == TERN__LINK_WAITING && now >= link->retry_at) tern__attempt_start(client, now);
    tern__timers_run(client, now);
    if (now < link->deadline) return;
    char peer[160] = "";
    char text[256];
    const tern_connection_options *options = tern__attempt_options(link);
    tern__failure failure = {.error = TERN_E_TIMEOUT, .step = TERN_STEP_MQTT, .reason = -1, .text = text};
    if (link->state == TERN__LINK_OPENING && link->connecting != NULL)
        failure.step = tern__connect_step(link->connecting, peer, sizeof peer);
    snprintf(text, sizeof text, "%s%s in %lu ms", peer[0] != '\0' ? peer : "",
             peer[0] != '\0' ? ": no answer" : "no CONNACK",
             options != NULL ? (unsigned long)options->connect_timeout_ms : 0ul);
    if (link->state == TERN__LINK_OPENING || link->state == TERN__LINK_GREETING)
        tern__link_lost(client, &failure, now);
}

uint64_t tern__link_deadline(const tern_client *client)
{
    const tern__link *link = &client->link;
    uint64_t deadline = link->deadline;
    if (link->state == TERN__LINK_WAITING && link->retry_at < deadline) deadline = link->retry_at;
    if (link->quieting && link->quiet_until < deadline) deadline = link->quiet_until;
    if (link->closing && link->state != TERN__LINK_LEAVING && link->close_deadline < deadline)
        deadline = link->close_deadline;
    if (link->connecting != NULL && tern__connect_deadline(link->connecting) < deadline)
        deadline = tern__connect_deadline(link->connecting);
    if (link->range_held && link->range_retry_at < deadline) deadline = link->range_retry_at;
    if (link->timer_at < deadline) deadline = link->timer_at;
    return deadline;
}
