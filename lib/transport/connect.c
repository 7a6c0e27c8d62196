/* Connecting: the race for a socket, then one filter after the other opens on top of it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/connect.h"

#include <stdio.h>
#include <string.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/list.h"
#include "transport/race.h"
#include "transport/socks5.h"

/* Stages in their order; one that the plan does not ask for is passed over. */
typedef enum stage {
    STAGE_SOCKET, /* the race */
    STAGE_PROXY,
    STAGE_TLS,
    STAGE_WEBSOCKET,
    STAGE_OPEN
} stage;

struct tern__connect {
    tern__connect_plan plan;
    tern__connect_callback callback;
    void *user_data;
    tern__race *race;     /* STAGE_SOCKET; else NULL */
    tern__stream *stream; /* what is open so far, with the filter that opens on top */
    tern__source source;  /* the stream's */
    stage stage;
    char peer[112]; /* the socket's other end in words */
};

static void free_attempt(tern__connect *attempt)
{
    tern__race_cancel(attempt->race);
    tern__stream_close(attempt->stream);
    tern__free(attempt);
}

/* What TLS knows of the other side; NULL where it had no part, or without memory. */
static tern__tls_info *describe(const tern__connect *attempt)
{
    tern__tls_info *info = tern__malloc(sizeof *info);
    if (info == NULL || tern__tls_describe(attempt->stream, info)) return info;
    tern__free(info);
    return NULL;
}

static void finish(tern__connect *attempt, const tern__stream_failure *failure)
{
    tern__connect_callback callback = attempt->callback;
    void *user_data = attempt->user_data;
    tern__stream *stream = failure == NULL ? attempt->stream : NULL;
    char peer[sizeof attempt->peer];
    memcpy(peer, attempt->peer, sizeof peer);
    tern__tls_info *tls = failure != NULL && attempt->stage >= STAGE_TLS ? describe(attempt) : NULL;
    if (stream != NULL) attempt->stream = NULL;
    free_attempt(attempt);
    callback(user_data, stream, peer[0] != '\0' ? peer : NULL, failure, tls);
}

static bool uses_proxy(const tern__connect_plan *plan)
{
    return plan->proxy != NULL && plan->uri->scheme != TERN__SCHEME_UNIX;
}

static bool is_asked_for(const tern__connect *attempt, stage which)
{
    const tern__connect_plan *plan = &attempt->plan;
    switch (which) {
    case STAGE_PROXY: return uses_proxy(plan);
    case STAGE_TLS: return plan->uri->tls;
    case STAGE_WEBSOCKET: return plan->uri->websocket;
    default: return true;
    }
}

static tern_step step_of(stage which)
{
    switch (which) {
    case STAGE_PROXY: return TERN_STEP_PROXY;
    case STAGE_TLS: return TERN_STEP_TLS;
    case STAGE_WEBSOCKET: return TERN_STEP_WEBSOCKET;
    default: return TERN_STEP_CONNECT;
    }
}

/* ---- the filters ---- */

static int add_proxy(tern__connect *attempt, tern__stream **top)
{
    const tern__proxy *proxy = attempt->plan.proxy;
    const tern__uri *uri = attempt->plan.uri;
    if (proxy->kind == TERN__PROXY_HTTP)
        return tern__http_proxy_new(top, attempt->stream, proxy, uri->host, uri->port);
    return tern__socks5_new(top, attempt->stream, proxy, uri->host, uri->port);
}

static int add_websocket(tern__connect *attempt, tern__stream **top)
{
    const tern__connect_plan *plan = &attempt->plan;
    const tern__websocket_config config = {
        .host = plan->uri->host,
        .port = plan->uri->port,
        .tls = plan->uri->tls,
        .path = plan->uri->target,
        .headers = plan->headers,
        .header_count = plan->header_count,
    };
    return tern__websocket_new(top, attempt->stream, &config);
}

/* Puts the stage's filter on top. 0, or why not, with the failure filled in. */
static int add_filter(tern__connect *attempt, tern__stream_failure *failure)
{
    tern__stream *top = NULL;
    int rc = 0;
    switch (attempt->stage) {
    case STAGE_PROXY: rc = add_proxy(attempt, &top); break;
    case STAGE_TLS: rc = tern__tls_new(&top, attempt->stream, attempt->plan.tls, attempt->plan.uri->host,
                           attempt->plan.uri->port, failure); break;
    case STAGE_WEBSOCKET: rc = add_websocket(attempt, &top); break;
    default: return 0;
    }
    if (rc != 0) return rc;
    attempt->stream = top;
    tern__stream_set_source(top, &attempt->source);
    return 0;
}

/* Fills in what a filter left out. */
static void complete(const tern__connect *attempt, tern__stream_failure *failure, int rc)
{
    if (failure->error == 0) failure->error = rc;
    if (failure->step == TERN_STEP_NONE) failure->step = step_of(attempt->stage);
    if (failure->os_error == 0) failure->os_error = tern__stream_os_error(attempt->stream);
    if (failure->text[0] == '\0')
        snprintf(failure->text, sizeof failure->text, "%s: %s", attempt->peer, tern_strerror(failure->error));
}

/* Opens as many filters as can be without waiting. May end and free the attempt. */
static void go_on(tern__connect *attempt)
{
    tern__stream_failure failure = {0};
    while (attempt->stage != STAGE_OPEN) {
        int rc = tern__stream_open(attempt->stream, &failure);
        if (rc == TERN_E_AGAIN) return;
        while (rc == 0 && attempt->stage != STAGE_OPEN) {
            attempt->stage++;
            if (!is_asked_for(attempt, attempt->stage)) continue;
            rc = add_filter(attempt, &failure);
            break;
        }
        if (rc == 0) continue;
        complete(attempt, &failure, rc);
        finish(attempt, &failure);
        return;
    }
    finish(attempt, NULL);
}

static void on_ready(tern__source *source, unsigned events, uint64_t now)
{
    (void)events; /* the filter knows what it waits for */
    (void)now;
    go_on(TERN__CONTAINER(source, tern__connect, source));
}

static void on_raced(void *user_data, tern__stream *stream, const char *peer, const tern__stream_failure *failure)
{
    tern__connect *attempt = user_data;
    attempt->race = NULL;
    if (stream == NULL) {
        finish(attempt, failure);
        return;
    }
    snprintf(attempt->peer, sizeof attempt->peer, "%s", peer);
    attempt->stream = stream;
    go_on(attempt);
}

/* ---- the attempt ---- */

int tern__connect_start(tern__connect **attempt, const tern__connect_plan *plan, tern__poller *poller,
                        tern__resolver *resolver, tern__connect_callback callback, void *user_data,
                        uint64_t now)
{
    *attempt = NULL;
    tern__connect *self = tern__calloc(1, sizeof *self);
    if (self == NULL) return TERN_E_NOMEM;
    self->plan = *plan;
    self->callback = callback;
    self->user_data = user_data;
    self->source.ready = on_ready;
    const tern__uri *uri = plan->uri;
    tern__race_goal goal = {uri->scheme, uri->host, uri->port, plan->socket};
    if (uses_proxy(plan)) goal = (tern__race_goal){TERN__SCHEME_TCP, plan->proxy->host, plan->proxy->port, plan->socket};
    int rc = tern__race_start(&self->race, &goal, poller, resolver, on_raced, self, now);
    if (rc != 0) {
        tern__free(self);
        return rc;
    }
    *attempt = self;
    return 0;
}

uint64_t tern__connect_deadline(const tern__connect *attempt)
{
    return attempt->race != NULL ? tern__race_deadline(attempt->race) : UINT64_MAX;
}

void tern__connect_tick(tern__connect *attempt, uint64_t now)
{
    if (attempt->race != NULL) tern__race_tick(attempt->race, now);
}

tern_step tern__connect_step(const tern__connect *attempt, char *peer, size_t size)
{
    if (attempt->race != NULL) return tern__race_step(attempt->race, peer, size);
    snprintf(peer, size, "%s", attempt->peer);
    return step_of(attempt->stage);
}

void tern__connect_cancel(tern__connect *attempt)
{
    if (attempt != NULL) free_attempt(attempt);
}
