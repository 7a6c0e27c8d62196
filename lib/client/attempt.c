/* Attempts: asking the application, connecting, and what CONNECT says.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/attempt.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/link.h"
#include "client/loop.h"
#include "platform/clock.h"
#include "platform/random.h"

enum { PING_TIMEOUT_MS = 10000 /* or the keep alive, where that is shorter */ };

/* ---- options ---- */

const tern_connection_options *tern__attempt_options(const tern__link *link)
{
    return link->own != NULL ? link->own : link->options;
}

const tern__server *tern__attempt_server(const tern__link *link)
{
    if (link->own != NULL && link->own->server_count != 0) return &link->own->servers[0];
    if (link->options == NULL || link->server >= link->options->server_count) return NULL;
    return &link->options->servers[link->server];
}

int *tern__attempt_known_version(const tern__link *link)
{
    tern__server *listed = &link->options->servers[link->server];
    if (link->own == NULL || link->own->server_count == 0) return &listed->known_version;
    tern__server *own = &link->own->servers[0];
    return strcmp(own->uri.display, listed->uri.display) == 0 ? &listed->known_version : &own->known_version;
}

/* Takes over options that were set since the last attempt. False: there are none at all. */
static bool take_options(tern_client *client)
{
    tern__link *link = &client->link;
    tern__mutex_lock(&client->lock);
    tern_connection_options *pending = client->pending;
    client->pending = NULL;
    tern__mutex_unlock(&client->lock);
    if (pending == NULL) return link->options != NULL;
    tern_connection_options_free(link->options);
    link->options = pending;
    link->server = pending->server_count != 0 ? pending->first_server % pending->server_count : 0;
    link->tried = 0;
    link->falling_back = false;
    uint64_t seed = 0;
    if (tern__random(&seed, sizeof seed) != 0) seed = tern__clock_us() ^ (uint64_t)(uintptr_t)client;
    tern__backoff_init(&link->backoff, pending->retry_base_ms, pending->retry_maximum_ms,
                       pending->jitter, pending->retry_attempts, pending->stable_ms, seed);
    return true;
}

static int attempt_version(const tern__link *link)
{
    const tern_connection_options *options = tern__attempt_options(link);
    if (options->version != TERN_VERSION_AUTO) return (int)options->version;
    if (link->falling_back) return TERN__V311;
    int known = *tern__attempt_known_version(link);
    return known != 0 ? known : TERN__V5;
}

/* ---- CONNECT ---- */

static tern__view view_of(const tern__buf *buf)
{
    return (tern__view){buf->data, buf->len};
}

static tern__view view_text(const char *text)
{
    return (tern__view){(const uint8_t *)text, text != NULL ? strlen(text) : 0};
}

/* What CONNECT says: credentials of the options, else of the URL. */
static void fill_config(const tern__link *link, tern__connect_config *config)
{
    const tern_connection_options *options = tern__attempt_options(link);
    const tern__uri *uri = &tern__attempt_server(link)->uri;
    bool own = options->has_user_name || options->has_password;
    uint32_t ping = options->keep_alive * 1000u;
    *config = (tern__connect_config){
        .version = link->version,
        .session = link->options->session,
        .session_expiry = link->options->session_expiry,
        .keep_alive = options->keep_alive,
        .ping_timeout_ms = ping != 0 && ping < PING_TIMEOUT_MS ? ping : PING_TIMEOUT_MS,
        .has_user_name = own ? options->has_user_name : uri->user != NULL,
        .has_password = own ? options->has_password : uri->password != NULL,
        .user_name = own ? view_of(&options->user_name) : view_text(uri->user),
        .password = own ? view_of(&options->password) : view_text(uri->password),
        .will.present = options->has_will,
        .will.retain = options->will_retain,
        .will.qos = options->will_qos,
        .will.topic = view_of(&options->will_topic),
        .will.payload = view_of(&options->will_payload),
        .will.props = {options->will_props.data, options->will_props.len, 0},
        .user_properties = view_of(&options->user_properties),
        .request_problem_info = options->request_problem_info,
        .request_response_info = options->request_response_info,
    };
}

static void on_opened(void *user_data, tern__stream *stream, const char *peer, const tern__stream_failure *failed,
                      tern__tls_info *tls)
{
    tern_client *client = user_data;
    tern__link *link = &client->link;
    uint64_t now = tern__clock_us();
    link->connecting = NULL;
    tern__free(link->tls);
    link->tls = tls;
    snprintf(link->peer, sizeof link->peer, "%s", peer != NULL ? peer : "");
    if (stream == NULL) {
        tern__failure failure = {.error = failed->error,
                                 .step = failed->step,
                                 .os_error = failed->os_error,
                                 .reason = -1,
                                 .text = failed->text,
                                 .hint = failed->hint,
                                 .http_status = failed->http_status,
                                 .verify_result = failed->verify_result,
                                 .fatal = failed->fatal};
        tern__link_lost(client, &failure, now);
    } else {
        tern__connect_config config;
        fill_config(link, &config);
        tern__log_write(&client->log, TERN_LOG_DEBUG, "transport to %s is open (%s): CONNECT with MQTT %s, keep alive %u s",
                        tern__attempt_server(link)->uri.display, link->peer, config.version == TERN__V5 ? "5" : "3.1.1",
                        config.keep_alive);
        link->state = TERN__LINK_GREETING;
        tern__loop_open(client, stream, &config, now);
    }
    tern__client_schedule(client, true);
}

/* ---- the way there ---- */

/* The proxy that was set, else that of the environment; NULL: none. */
static int choose_proxy(tern__link *link, const tern__uri *uri, const tern__proxy **proxy, char *why, size_t size)
{
    const tern__transport_options *transport = &tern__attempt_options(link)->transport;
    *proxy = transport->proxy.kind != TERN__PROXY_NONE ? &transport->proxy : NULL;
    if (*proxy != NULL || !transport->proxy_from_environment || uri->scheme == TERN__SCHEME_UNIX) return 0;
    const tern__proxy_environment environment = {transport->environment[TERN__HTTPS_PROXY],
                                                 transport->environment[TERN__ALL_PROXY],
                                                 transport->environment[TERN__NO_PROXY]};
    const char *url = tern__proxy_choose(&environment, uri->host, uri->port);
    if (url == NULL) return 0;
    char reason[160];
    int rc = tern__proxy_parse(url, &link->proxy, reason, sizeof reason);
    if (rc == 0) *proxy = &link->proxy;
    if (rc != 0) snprintf(why, size, "HTTPS_PROXY or ALL_PROXY: %s", rc != TERN_E_NOMEM ? reason : tern_strerror(rc));
    return rc;
}

static int make_plan(tern__link *link, tern__connect_plan *plan, char *why, size_t size)
{
    const tern__transport_options *transport = &tern__attempt_options(link)->transport;
    const tern__uri *uri = &tern__attempt_server(link)->uri;
    *plan = (tern__connect_plan){
        .uri = uri,
        .socket = &transport->socket,
        .tls = transport->tls,
        .headers = transport->headers,
        .header_count = transport->header_count,
    };
    return choose_proxy(link, uri, &plan->proxy, why, size);
}

/* ---- the attempt ---- */

static void fail(tern_client *client, int error, tern_step step, const char *text, uint64_t now)
{
    tern__failure failure = {.error = error, .step = step, .reason = -1, .text = text};
    tern__link_lost(client, &failure, now);
}

/* Of what makes the connection less safe than it may look. */
static void warn(const tern_client *client, const tern__connect_plan *plan)
{
    const char *warning = plan->uri->tls ? tern__tls_context_warning(plan->tls) : NULL;
    if (warning != NULL) tern__log_write(&client->log, TERN_LOG_WARNING, "%s: %s", plan->uri->display, warning);
}

static void begin(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    link->state = TERN__LINK_OPENING;
    link->version = attempt_version(link);
    link->attempt++;
    link->retry_at = UINT64_MAX;
    link->started_at = now;
    link->peer[0] = '\0';
    link->deadline = now + (uint64_t)tern__attempt_options(link)->connect_timeout_ms * 1000;
    tern__report(client, TERN_EVENT_CONNECTING, NULL, -1);
    tern__connect_plan plan;
    char why[200] = "";
    int rc = make_plan(link, &plan, why, sizeof why);
    if (rc == 0) warn(client, &plan);
    if (rc == 0)
        rc = tern__connect_start(&link->connecting, &plan, client->loop->poller, client->loop->resolver, on_opened,
                                 client, now);
    if (rc == 0) return;
    link->connecting = NULL;
    fail(client, rc, why[0] != '\0' ? TERN_STEP_PROXY : TERN_STEP_CONNECT, why, now);
}

static int make_question(tern_client *client, tern_attempt **attempt)
{
    const tern__link *link = &client->link;
    *attempt = NULL;
    tern_attempt *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    made->command.kind = TERN__COMMAND_ATTEMPT;
    tern__list_init(&made->command.link);
    made->number = link->attempt + 1;
    snprintf(made->server, sizeof made->server, "%s", link->options->servers[link->server].uri.display);
    int rc = tern__connection_options_clone_for(link->options, link->server, &made->options);
    if (rc != 0) {
        tern__attempt_free(made);
        return rc;
    }
    *attempt = made;
    return 0;
}

/* The question goes to where callbacks run, as an event does. */
static int ask(tern_client *client)
{
    tern_event *carrier = tern__event_new((tern_event_kind)0);
    if (carrier == NULL) return TERN_E_NOMEM;
    int rc = make_question(client, &carrier->question);
    if (rc != 0) {
        tern__event_free(carrier);
        return rc;
    }
    client->link.state = TERN__LINK_ASKING;
    client->link.asking = carrier->question;
    client->link.retry_at = UINT64_MAX;
    atomic_store(&client->asking, true);
    tern__client_nudge(client);
    tern__mailbox_push_event(&client->mailbox, carrier);
    return 0;
}

/* Whether the loop's budget for the server has an attempt for this client; else it waits on. */
static bool take_budget(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    uint64_t again;
    if (link->server >= link->options->server_count) return true;
    const char *url = link->options->servers[link->server].uri.display;
    if (tern__budget_take(&client->loop->budget, url, now, &link->budget, &again)) {
        link->budgeted = true;
        return true;
    }
    link->state = TERN__LINK_WAITING;
    link->retry_at = again;
    return false;
}

void tern__attempt_tell_budget(tern_client *client, tern__budget_end end, uint64_t now)
{
    tern__link *link = &client->link;
    if (!link->budgeted) return;
    const char *url = link->options->servers[link->server].uri.display;
    tern__budget_give(&client->loop->budget, url, link->budget, end, now);
    link->budgeted = false;
    link->budget = NULL;
}

void tern__attempt_start(tern_client *client, uint64_t now)
{
    tern__link *link = &client->link;
    tern__attempt_tell_budget(client, TERN__BUDGET_ABANDONED, now);
    tern__attempt_forget(link);
    tern__free(link->own_server);
    link->own_server = NULL;
    if (!take_options(client) || !take_budget(client, now)) return;
    if (!tern__mailbox_asks(&client->mailbox)) {
        begin(client, now);
        return;
    }
    int rc = ask(client);
    if (rc == 0) return;
    link->state = TERN__LINK_OPENING; /* an attempt that fails at once */
    link->attempt++;
    tern__report(client, TERN_EVENT_CONNECTING, NULL, -1);
    fail(client, rc, TERN_STEP_CONNECT, NULL, now);
}

/* What speaks against the options that the handler left; NULL where nothing does. */
static const char *unusable(const tern_connection_options *options)
{
    if (options->server_count == 0) return "the attempt handler left no server";
    if (options->version == TERN_VERSION_311 && options->has_password && !options->has_user_name)
        return "the attempt handler set a password without a user name, which MQTT 3.1.1 cannot say";
    return NULL;
}

void tern__attempt_execute(tern_client *client, tern__command *command, uint64_t now)
{
    tern_attempt *attempt = TERN__CONTAINER(command, tern_attempt, command);
    tern__link *link = &client->link;
    if (link->state != TERN__LINK_ASKING || link->asking != attempt) { /* meanwhile the client was told to stop */
        tern__attempt_free(attempt);
        return;
    }
    link->asking = NULL;
    atomic_store(&client->asking, false);
    const char *trouble = attempt->postponed ? NULL : unusable(attempt->options); /* it is asked anew then */
    if (attempt->stopped || trouble != NULL) {
        tern__failure failure = {.error = attempt->stopped ? TERN_E_CANCELLED : TERN_E_INVALID,
                                 .step = TERN_STEP_CONNECT,
                                 .reason = -1,
                                 .text = attempt->stopped ? attempt->reason : trouble};
        tern__link_stop(client, &failure);
    } else if (attempt->postponed) {
        link->state = TERN__LINK_WAITING;
        link->retry_at = now + (uint64_t)attempt->delay_ms * 1000;
    } else {
        link->own = attempt->options;
        attempt->options = NULL;
        link->own_hint = attempt->hint;
        attempt->hint = NULL;
        link->own_server = tern__strdup(link->own->servers[0].uri.display); /* the event tells the wrong one without memory */
        begin(client, now);
    }
    tern__attempt_free(attempt);
}

void tern__attempt_forget(tern__link *link)
{
    tern_connection_options_free(link->own);
    link->own = NULL;
    tern__free(link->own_hint);
    link->own_hint = NULL;
    tern__proxy_deinit(&link->proxy);
}

void tern__attempt_end(tern__link *link)
{
    tern__connect_cancel(link->connecting);
    link->connecting = NULL;
    link->asking = NULL;
    tern__free(link->tls);
    link->tls = NULL;
    tern__attempt_forget(link);
}

tern__tls_info *tern__attempt_describe_tls(const tern__link *link)
{
    const tern__server *server = tern__attempt_server(link);
    if (link->stream == NULL || server == NULL || !server->uri.tls) return NULL;
    tern__tls_info *info = tern__malloc(sizeof *info);
    if (info == NULL || tern__tls_describe(link->stream, info)) return info;
    tern__free(info);
    return NULL;
}

bool tern__attempt_may_heal(tern_client *client, const tern__failure *failure)
{
    bool of_credentials = failure->reason == 0x86 || failure->reason == 0x87 || failure->error == TERN_E_TLS;
    return of_credentials && tern__mailbox_asks(&client->mailbox);
}

/* ---- the application's side ---- */

void tern__attempt_free(tern_attempt *attempt)
{
    if (attempt == NULL) return;
    tern_connection_options_free(attempt->options);
    tern__free(attempt->reason);
    tern__free(attempt->hint);
    tern__free(attempt);
}

void tern__attempt_answer(tern_client *client, tern_attempt *attempt)
{
    tern__mutex_lock(&client->lock);
    tern__list_append(&client->commands, &attempt->command.link); /* also while closing: it may drain */
    tern__mutex_unlock(&client->lock);
    tern__client_schedule(client, true);
}

void tern__attempt_drop_answers(tern__list *commands)
{
    tern__list *link;
    while ((link = tern__list_shift(commands)) != NULL) {
        tern__command *command = TERN__CONTAINER(link, tern__command, link);
        if (command->kind == TERN__COMMAND_ATTEMPT) tern__attempt_free(TERN__CONTAINER(command, tern_attempt, command));
    }
}

tern_connection_options *tern_attempt_options(tern_attempt *attempt)
{
    return attempt != NULL ? attempt->options : NULL;
}

uint32_t tern_attempt_number(const tern_attempt *attempt)
{
    return attempt != NULL ? attempt->number : 0;
}

const char *tern_attempt_server(const tern_attempt *attempt)
{
    return attempt != NULL ? attempt->server : "";
}

int tern_attempt_set_hint(tern_attempt *attempt, const char *text)
{
    if (attempt == NULL) return TERN_E_INVALID;
    char *copy = text != NULL ? tern__strdup(text) : NULL;
    if (text != NULL && copy == NULL) return TERN_E_NOMEM;
    if (copy != NULL) tern__log_clean(copy);
    tern__free(attempt->hint);
    attempt->hint = copy;
    return 0;
}

int tern_attempt_postpone(tern_attempt *attempt, uint32_t delay_ms)
{
    if (attempt == NULL) return TERN_E_INVALID;
    attempt->postponed = true;
    attempt->delay_ms = delay_ms;
    return 0;
}

int tern_attempt_stop(tern_attempt *attempt, const char *reason)
{
    if (attempt == NULL) return TERN_E_INVALID;
    char *copy = tern__strdup(reason != NULL ? reason : "the attempt handler stopped it");
    if (copy == NULL) return TERN_E_NOMEM;
    tern__log_clean(copy);
    tern__free(attempt->reason);
    attempt->reason = copy;
    attempt->stopped = true;
    return 0;
}
