/* Reports: what happens to a link, told as events, log records and the client's last error.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/attempt.h"
#include "client/link.h"
#include "platform/clock.h"
#include "platform/os_error.h"

static const char *server_text(const tern_client *client)
{
    const tern__server *server = tern__attempt_server(&client->link);
    if (client->link.own_server != NULL) return client->link.own_server;
    return server != NULL ? server->uri.display : "";
}

/* The cause in words: the failure's own text, the server's reason, the system's error. */
static void cause_text(const tern__failure *failure, char *text, size_t size)
{
    char os[128];
    int n = 0;
    if (failure->text != NULL && failure->text[0] != '\0') {
        n = snprintf(text, size, "%s", failure->text);
    } else if (failure->reason >= 0) {
        n = snprintf(text, size, "%s (0x%02X)", tern_reason_text(failure->reason), (unsigned)failure->reason);
    } else if (failure->os_error != 0) {
        n = snprintf(text, size, "%s", tern__os_error_text(failure->os_error, os, sizeof os));
    } else if (failure->error == TERN_E_CONNECTION_LOST) {
        n = snprintf(text, size, "the server closed the connection");
    } else {
        n = snprintf(text, size, "%s", tern_strerror(failure->error));
    }
    if (n > 0 && (size_t)n < size && failure->reason_string != NULL && failure->reason_string[0] != '\0')
        snprintf(text + n, size - (size_t)n, ", \"%s\"", failure->reason_string);
}

/* Of a step at which nobody answered. */
static const char *hint_of_silence(tern_step step)
{
    switch (step) {
    case TERN_STEP_RESOLVE: return "the name server does not answer: check the network, and which name server is asked";
    case TERN_STEP_CONNECT: return "no answer: check address and port, and whether a firewall is between";
    case TERN_STEP_PROXY: return "the proxy does not answer: check its address and scheme, and whether it reaches the server";
    case TERN_STEP_TLS: return "the port is open, but nobody answers in TLS: check the port and the URL's scheme";
    case TERN_STEP_WEBSOCKET: return "the port is open, but nobody answers the upgrade: check the port and the URL's scheme";
    default: return NULL;
    }
}

/* What to do about it: what the step knew, else what the server's answer stands for. */
static const char *hint_of(const tern__link *link, const tern__failure *failure)
{
    if (failure == NULL) return NULL;
    const tern__server *server = tern__attempt_server(link);
    bool tls = server != NULL && server->uri.tls;
    if (failure->hint != NULL && failure->hint[0] != '\0') return failure->hint;
    if (failure->step == TERN_STEP_MQTT && failure->error == TERN_E_CONNECTION_LOST)
        return tls ? "the server closed before CONNACK: is it an MQTT listener, and does it want a client certificate?"
                   : "the server closed before CONNACK: is it an MQTT listener, and does it want TLS or WebSocket?";
    if (failure->step == TERN_STEP_MQTT && (failure->error == TERN_E_MALFORMED || failure->error == TERN_E_PROTOCOL))
        return "the server does not speak MQTT there: check the port and the URL's scheme";
    if (failure->step == TERN_STEP_MQTT && failure->error == TERN_E_TIMEOUT)
        return "the port is open, but nobody answers CONNECT: is it an MQTT listener, and does it want TLS?";
    if (failure->error == TERN_E_TIMEOUT && hint_of_silence(failure->step) != NULL) return hint_of_silence(failure->step);
    bool of_credentials = failure->reason == 0x86 || failure->reason == 0x87;
    if (of_credentials && failure->step == TERN_STEP_MQTT && link->own_hint != NULL) return link->own_hint;
    switch (failure->reason) {
    case 0x84: return "set the protocol version that the server speaks, or leave it at auto";
    case 0x85: return "the server does not take this client identifier: use another one, or none";
    case 0x86: return "check user name and password";
    case 0x87: return "this user may not connect so: check the server's access rules, and the client identifier";
    case 0x8A: return "the server's administrator has banned this client";
    case 0x8C: return "the server wants another authentication method";
    case 0x8E: return "another client connected with the same client identifier: give each its own";
    case 0x9C:
    case 0x9D: return "the server names another one to use: see the server reference";
    case 0x9F: return "the server limits how often clients connect: try later";
    default: return NULL;
    }
}

static void describe(const tern_client *client, tern_event_kind kind, const tern__failure *failure,
                     int64_t retry_ms, char *text, size_t size)
{
    const char *server = server_text(client);
    char cause[600] = "";
    if (failure != NULL) cause_text(failure, cause, sizeof cause);
    int n = 0;
    switch (kind) {
    case TERN_EVENT_CONNECTING: n = snprintf(text, size, "connecting to %s", server); break;
    case TERN_EVENT_CONNECTED:
        n = snprintf(text, size, "connected to %s with MQTT %s, %s", server,
                     client->link.version == TERN__V5 ? "5" : "3.1.1",
                     tern__engine_limits(client->engine)->session_present ? "session resumed" : "new session");
        break;
    case TERN_EVENT_CONNECT_FAILED:
        n = snprintf(text, size, "connecting to %s failed (%s): %s", server,
                     failure != NULL && failure->step != TERN_STEP_NONE ? tern_step_name(failure->step) : "stopped", cause);
        break;
    case TERN_EVENT_DISCONNECTED:
        n = snprintf(text, size,
                     failure != NULL ? "connection to %s lost: %s"
                     : retry_ms >= 0 ? "disconnected from %s, to connect again as asked"
                                     : "disconnected from %s",
                     server, cause);
        break;
    case TERN_EVENT_STOPPED:
        n = failure != NULL ? snprintf(text, size, "stopped connecting to %s: %s", server, cause)
                            : snprintf(text, size, "stopped, as asked");
        break;
    case TERN_EVENT_PAUSED: n = snprintf(text, size, "reading paused: the inbound limit is reached"); break;
    case TERN_EVENT_RESUMED: n = snprintf(text, size, "reading resumed"); break;
    case TERN_EVENT_UNHANDLED: break; /* told by the dispatcher */
    }
    if (n > 0 && (size_t)n < size && retry_ms >= 0)
        snprintf(text + n, size - (size_t)n, "; next attempt in %lld ms", (long long)retry_ms);
}

static char *copy_text(const char *text)
{
    return text != NULL && text[0] != '\0' ? tern__strdup(text) : NULL;
}

/* A failure is a warning while it is tried again, and an error when it is for good; what the application ended is neither. */
static tern_log_level level_of(tern_event_kind kind, const tern__failure *failure)
{
    if (failure == NULL || failure->error == TERN_E_CANCELLED) return TERN_LOG_INFO;
    return kind == TERN_EVENT_STOPPED ? TERN_LOG_ERROR : TERN_LOG_WARNING;
}

/* What TLS agreed on, of an attempt that worked or failed. */
static tern__tls_info *take_tls(tern__link *link, tern_event_kind kind)
{
    if (kind == TERN_EVENT_CONNECTED) return tern__attempt_describe_tls(link);
    if (kind != TERN_EVENT_CONNECT_FAILED) return NULL;
    tern__tls_info *info = link->tls;
    link->tls = NULL;
    return info;
}

/* Where memory ran out: whether there is a connection is told nevertheless, the rest has the log. */
static void report_barely(tern_client *client, tern_event_kind kind, const tern__failure *failure)
{
    if (kind != TERN_EVENT_CONNECTED && kind != TERN_EVENT_DISCONNECTED && kind != TERN_EVENT_STOPPED) return;
    tern__bare_event bare = {.kind = kind, .error = failure != NULL ? failure->error : 0, .version = client->link.version};
    bare.limits = *tern__engine_limits(client->engine);
    tern__mailbox_push_bare_event(&client->mailbox, &bare);
}

void tern__report(tern_client *client, tern_event_kind kind, const tern__failure *failure, int64_t retry_ms)
{
    char text[1000] = "";
    describe(client, kind, failure, retry_ms, text, sizeof text);
    tern__log_clean(text);
    tern__log_write(&client->log, level_of(kind, failure), "%s", text);
    if (failure != NULL) tern__client_link_failed(client, failure->error, text);
    tern_event *event = tern__event_new(kind);
    if (event == NULL) {
        report_barely(client, kind, failure);
        return;
    }
    event->retry_delay_ms = retry_ms;
    event->attempt = client->link.attempt;
    event->server = copy_text(server_text(client));
    event->text = copy_text(text);
    event->peer = copy_text(client->link.peer);
    event->tls = take_tls(&client->link, kind);
    if (kind == TERN_EVENT_CONNECTED || kind == TERN_EVENT_CONNECT_FAILED)
        event->elapsed_ms = (uint32_t)((tern__clock_us() - client->link.started_at) / 1000);
    if (failure != NULL) {
        event->hint = copy_text(hint_of(&client->link, failure));
        event->http_status = failure->http_status;
        event->verify_result = failure->verify_result;
        event->error = failure->error;
        event->step = failure->step;
        event->os_error = failure->os_error;
        event->reason = failure->reason;
        event->reason_string = copy_text(failure->reason_string);
        event->reference = copy_text(failure->reference);
    }
    tern__event_set_limits(event, client->link.version, tern__engine_limits(client->engine));
    if (kind == TERN_EVENT_CONNECTED) event->response_info = copy_text(tern__engine_response_info(client->engine));
    tern__mailbox_push_event(&client->mailbox, event);
}
