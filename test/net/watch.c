/* Keeps what a client's lifecycle events said.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support/net.h"

/* What is not there is an empty text. */
static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text != NULL ? text : "");
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    watch *w = user_data;
    (void)client;
    watch_record record = {
        .kind = tern_event_get_kind(event),
        .error = tern_event_error(event),
        .reason = tern_event_reason_code(event),
        .step = tern_event_step(event),
        .retry_delay = tern_event_retry_delay(event),
        .attempt = tern_event_attempt(event),
        .session_present = tern_event_session_present(event),
        .version = tern_event_version(event),
        .http_status = tern_event_http_status(event),
        .verify_result = tern_event_verify_result(event),
        .tls_resumed = tern_event_tls_resumed(event),
        .certificates = tern_event_certificate_count(event),
    };
    copy(record.hint, sizeof record.hint, tern_event_hint(event));
    copy(record.tls_version, sizeof record.tls_version, tern_event_tls_version(event));
    copy(record.tls_protocol, sizeof record.tls_protocol, tern_event_tls_protocol(event));
    copy(record.certificate_names, sizeof record.certificate_names,
         tern_event_certificate(event, 0, TERN_CERTIFICATE_NAMES));
    snprintf(record.server, sizeof record.server, "%s", tern_event_server(event));
    snprintf(record.text, sizeof record.text, "%s", tern_event_text(event));
    pthread_mutex_lock(&w->lock);
    if (w->count < WATCH_RECORDS) w->records[w->count++] = record;
    w->counts[record.kind]++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void watch_init(watch *w, tern_client *client)
{
    pthread_condattr_t monotonic;
    memset(w, 0, sizeof *w);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    (void)tern_client_set_event_handler(client, on_event, w);
}

void watch_deinit(watch *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}

bool watch_wait(watch *w, tern_event_kind kind, uint64_t count, int timeout_ms)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    pthread_mutex_lock(&w->lock);
    while (w->counts[kind] < count && rc == 0) rc = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    bool there = w->counts[kind] >= count;
    pthread_mutex_unlock(&w->lock);
    return there;
}

uint64_t watch_count(watch *w, tern_event_kind kind)
{
    pthread_mutex_lock(&w->lock);
    uint64_t count = w->counts[kind];
    pthread_mutex_unlock(&w->lock);
    return count;
}

watch_record watch_nth(watch *w, tern_event_kind kind, uint64_t n)
{
    watch_record found = {0};
    (void)watch_wait(w, kind, n, NET_PATIENCE_MS);
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->count && n != 0; i++) {
        if (w->records[i].kind != kind) continue;
        found = w->records[i];
        n--;
    }
    pthread_mutex_unlock(&w->lock);
    return n == 0 ? found : (watch_record){0};
}

watch_record watch_last(watch *w, tern_event_kind kind)
{
    (void)watch_wait(w, kind, 1, NET_PATIENCE_MS);
    return watch_nth(w, kind, watch_count(w, kind));
}
