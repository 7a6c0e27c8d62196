/* Keeps what a client's lifecycle events said, for tests to wait for and look at.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TEST_NET_WATCH_H
#define TERN_TEST_NET_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <tern/tern.h>

enum { WATCH_RECORDS = 512, WATCH_KINDS = 16 };

typedef struct watch_record {
    tern_event_kind kind;
    int error;
    int reason;
    tern_step step;
    int64_t retry_delay;
    uint32_t attempt;
    int session_present;
    tern_version version;
    char server[64];
    int http_status;
    int32_t verify_result;
    char tls_version[16]; /* "" without TLS */
    char tls_protocol[32];
    int tls_resumed;
    size_t certificates;
    char certificate_names[200]; /* of the first */
    char hint[200];
    char text[400];
} watch_record;

typedef struct watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    watch_record records[WATCH_RECORDS]; /* the first so many */
    size_t count;
    uint64_t counts[WATCH_KINDS];
} watch;

/* Sets the client's event handler. */
void watch_init(watch *w, tern_client *client);
/* After the client was freed. */
void watch_deinit(watch *w);
/* Until so many events of the kind came; false when the time was over first. */
bool watch_wait(watch *w, tern_event_kind kind, uint64_t count, int timeout_ms);
uint64_t watch_count(watch *w, tern_event_kind kind);
/* The n-th (from 1) and the last event of a kind, which is waited for: what a call waited for may be told after it returned. Kind 0
 * where it did not come in time. */
watch_record watch_nth(watch *w, tern_event_kind kind, uint64_t n);
watch_record watch_last(watch *w, tern_event_kind kind);

#endif
