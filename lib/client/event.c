/* Lifecycle events and deliveries: making and reading them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/event.h"

#include "base/alloc.h"
#include "client/attempt.h"

void tern__event_init(tern_event *event, tern_event_kind kind)
{
    *event = (tern_event){.kind = kind, .reason = -1, .retry_delay_ms = -1};
    tern__list_init(&event->link);
}

void tern__event_set_limits(tern_event *event, int version, const tern__limits *limits)
{
    if (event->kind != TERN_EVENT_CONNECTED) return;
    event->limits = *limits;
    event->session_present = limits->session_present;
    event->version = (tern_version)version;
}

tern_event *tern__event_new(tern_event_kind kind)
{
    tern_event *event = tern__malloc(sizeof *event);
    if (event != NULL) tern__event_init(event, kind);
    return event;
}

void tern__event_free(tern_event *event)
{
    if (event == NULL) return;
    tern__attempt_free(event->question);
    tern__free(event->response_info);
    tern__free(event->tls);
    tern__free(event->hint);
    tern__free(event->peer);
    tern__free(event->reason_string);
    tern__free(event->reference);
    tern__free(event->server);
    tern__free(event->text);
    tern__free(event);
}

tern_event_kind tern_event_get_kind(const tern_event *event)
{
    return event != NULL ? event->kind : (tern_event_kind)0;
}

const char *tern_event_kind_name(tern_event_kind kind)
{
    static const char *const names[] = {"?",       "CONNECTING", "CONNECTED", "CONNECT_FAILED", "DISCONNECTED",
                                        "STOPPED", "UNHANDLED",  "PAUSED",    "RESUMED"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

int tern_event_error(const tern_event *event)
{
    return event != NULL ? event->error : 0;
}

const char *tern_event_text(const tern_event *event)
{
    return event != NULL && event->text != NULL ? event->text : "";
}

tern_step tern_event_step(const tern_event *event)
{
    return event != NULL ? event->step : TERN_STEP_NONE;
}

const char *tern_step_name(tern_step step)
{
    static const char *const names[] = {"none", "resolve",   "connect", "proxy",
                                        "tls",  "websocket", "mqtt",    "session"};
    return (unsigned)step < sizeof names / sizeof names[0] ? names[step] : "?";
}

int tern_event_os_error(const tern_event *event)
{
    return event != NULL ? event->os_error : 0;
}

int tern_event_reason_code(const tern_event *event)
{
    return event != NULL ? event->reason : -1;
}

const char *tern_event_reason_string(const tern_event *event)
{
    return event != NULL ? event->reason_string : NULL;
}

const char *tern_event_server_reference(const tern_event *event)
{
    return event != NULL ? event->reference : NULL;
}

const char *tern_event_hint(const tern_event *event)
{
    return event != NULL ? event->hint : NULL;
}

const char *tern_event_peer(const tern_event *event)
{
    return event != NULL ? event->peer : NULL;
}

uint32_t tern_event_elapsed(const tern_event *event)
{
    return event != NULL ? event->elapsed_ms : 0;
}

int tern_event_http_status(const tern_event *event)
{
    return event != NULL ? event->http_status : 0;
}

int32_t tern_event_verify_result(const tern_event *event)
{
    return event != NULL ? (int32_t)event->verify_result : 0;
}

const char *tern_event_tls_version(const tern_event *event)
{
    return event != NULL && event->tls != NULL ? event->tls->version : NULL;
}

const char *tern_event_tls_cipher(const tern_event *event)
{
    return event != NULL && event->tls != NULL ? event->tls->cipher : NULL;
}

const char *tern_event_tls_protocol(const tern_event *event)
{
    return event != NULL && event->tls != NULL && event->tls->alpn[0] != '\0' ? event->tls->alpn : NULL;
}

int tern_event_tls_resumed(const tern_event *event)
{
    return event != NULL && event->tls != NULL && event->tls->resumed;
}

size_t tern_event_certificate_count(const tern_event *event)
{
    return event != NULL && event->tls != NULL ? event->tls->count : 0;
}

const char *tern_event_certificate(const tern_event *event, size_t index, tern_certificate_field field)
{
    if (index >= tern_event_certificate_count(event)) return NULL;
    const tern__tls_certificate *it = &event->tls->chain[index];
    switch (field) {
    case TERN_CERTIFICATE_SUBJECT: return it->subject;
    case TERN_CERTIFICATE_ISSUER: return it->issuer;
    case TERN_CERTIFICATE_NAMES: return it->names;
    case TERN_CERTIFICATE_NOT_BEFORE: return it->not_before;
    case TERN_CERTIFICATE_NOT_AFTER: return it->not_after;
    }
    return NULL;
}

const char *tern_event_server(const tern_event *event)
{
    return event != NULL ? event->server : NULL;
}

int64_t tern_event_retry_delay(const tern_event *event)
{
    return event != NULL ? event->retry_delay_ms : -1;
}

uint32_t tern_event_attempt(const tern_event *event)
{
    return event != NULL ? event->attempt : 0;
}

int tern_event_session_present(const tern_event *event)
{
    return event != NULL && event->session_present;
}

tern_version tern_event_version(const tern_event *event)
{
    return event != NULL ? event->version : TERN_VERSION_AUTO;
}

int64_t tern__limit_value(const tern__limits *limits, tern_limit limit)
{
    switch (limit) {
    case TERN_LIMIT_KEEP_ALIVE: return limits->keep_alive;
    case TERN_LIMIT_SESSION_EXPIRY: return limits->session_expiry;
    case TERN_LIMIT_INFLIGHT_MAXIMUM: return limits->send_maximum;
    case TERN_LIMIT_MAXIMUM_PACKET_SIZE: return limits->maximum_packet_size;
    case TERN_LIMIT_TOPIC_ALIAS_MAXIMUM: return limits->topic_alias_maximum;
    case TERN_LIMIT_MAXIMUM_QOS: return limits->maximum_qos;
    case TERN_LIMIT_RETAIN: return limits->retain_available;
    case TERN_LIMIT_WILDCARD_SUBSCRIPTION: return limits->wildcard_available;
    case TERN_LIMIT_SUBSCRIPTION_IDENTIFIER: return limits->subscription_id_available;
    case TERN_LIMIT_SHARED_SUBSCRIPTION: return limits->shared_available;
    }
    return -1;
}

int64_t tern_event_limit(const tern_event *event, tern_limit limit)
{
    if (event == NULL || event->kind != TERN_EVENT_CONNECTED) return -1;
    return tern__limit_value(&event->limits, limit);
}

const char *tern_limit_name(tern_limit limit)
{
    static const char *const names[] = {"?",
                                        "keep_alive",
                                        "session_expiry",
                                        "inflight_maximum",
                                        "maximum_packet_size",
                                        "topic_alias_maximum",
                                        "maximum_qos",
                                        "retain",
                                        "wildcard_subscription",
                                        "subscription_identifier",
                                        "shared_subscription"};
    return (unsigned)limit < sizeof names / sizeof names[0] ? names[limit] : "?";
}

const char *tern_event_response_information(const tern_event *event)
{
    return event != NULL ? event->response_info : NULL;
}

uint64_t tern_delivery_first_id(const tern_delivery *delivery)
{
    return delivery != NULL ? delivery->range.first : 0;
}

uint64_t tern_delivery_last_id(const tern_delivery *delivery)
{
    return delivery != NULL ? delivery->range.last : 0;
}

uint64_t tern_delivery_count(const tern_delivery *delivery)
{
    return delivery != NULL ? delivery->range.last - delivery->range.first + 1 : 0;
}

tern_outcome tern_delivery_outcome(const tern_delivery *delivery)
{
    return delivery != NULL ? delivery->range.outcome : TERN_OUTCOME_PENDING;
}

tern_cause tern_delivery_cause(const tern_delivery *delivery)
{
    return delivery != NULL ? delivery->range.cause : TERN_CAUSE_NONE;
}

int tern_delivery_reason_code(const tern_delivery *delivery)
{
    return delivery != NULL ? delivery->range.reason : -1;
}
