/* The link: a client's connection from the first attempt to the close, with its retries. Runs on the loop's thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_LINK_H
#define TERN_CLIENT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "client/command.h"
#include "engine/engine.h"

/* Why an attempt or a connection ended. Texts are borrowed; NULL or "" where there is none. */
typedef struct tern__failure {
    int error;
    tern_step step;
    int os_error; /* 0 none */
    int reason;   /* MQTT 5 reason code; -1 none */
    const char *text;
    const char *reason_string;
    const char *reference;
    const char *hint;   /* what to do about it */
    int http_status;    /* 0 none */
    long verify_result; /* of the certificate; 0 none */
    bool fatal; /* does not heal by itself */
} tern__failure;

void tern__link_init(tern__link *link);
void tern__link_deinit(tern__link *link);

/* Does what an application thread asked for; takes the command. */
void tern__link_execute(tern_client *client, tern__command *command, uint64_t now);
/* The engine has something to tell. */
void tern__link_on_event(tern_client *client, const tern__engine_event *event, uint64_t now);
/* A request ended. */
void tern__link_completed(tern_client *client, tern__completion *completion);
/* The connection, or the attempt, is over: what follows is decided here. */
void tern__link_lost(tern_client *client, const tern__failure *failure, uint64_t now);
/* No further attempts; the outbox stays. The failure is why, or NULL: as asked. */
void tern__link_stop(tern_client *client, const tern__failure *failure);
/* Reading was paused or goes on. */
void tern__link_pause_changed(tern_client *client);
/* Whether something follows from what the engine and the socket did; true: serve once more. */
bool tern__link_progress(tern_client *client, uint64_t now);
void tern__link_tick(tern_client *client, uint64_t now);
uint64_t tern__link_deadline(const tern_client *client);

/* Makes an event, and takes note of a failure; for link.c and its reports. */
void tern__report(tern_client *client, tern_event_kind kind, const tern__failure *failure, int64_t retry_ms);

#endif
