/* What is behind tern_event and tern_delivery.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_EVENT_H
#define TERN_CLIENT_EVENT_H

#include <tern/event.h>

#include "base/list.h"
#include "engine/engine.h"
#include "transport/tls.h"

struct tern_event {
    tern__list link; /* in a mailbox */
    uint64_t blocks_before; /* inbound blocks handed over before it: it is told after them */
    tern_event_kind kind;
    int error;
    tern_step step;
    int os_error;
    int reason; /* -1 none */
    int64_t retry_delay_ms;
    uint32_t attempt;
    int session_present;
    tern_version version;
    tern_attempt *question; /* no event, but a question to the attempt handler; NULL for events */
    tern__limits limits;   /* of CONNECTED */
    char *response_info; /* allocated or NULL, as those below */
    char *hint;
    char *peer;
    int http_status;
    long verify_result;
    uint32_t elapsed_ms;
    tern__tls_info *tls; /* allocated, or NULL: no TLS */
    char *reason_string;
    char *reference;
    char *server;
    char *text;
};

struct tern_delivery {
    tern__range range;
};

/* Makes it an event with nothing but its kind. */
void tern__event_init(tern_event *event, tern_event_kind kind);
/* What was agreed on, of CONNECTED; nothing for other kinds. */
void tern__event_set_limits(tern_event *event, int version, const tern__limits *limits);
/* A new one; NULL where memory ran out. */
tern_event *tern__event_new(tern_event_kind kind);
void tern__event_free(tern_event *event);

/* What tern_event_limit() answers. */
int64_t tern__limit_value(const tern__limits *limits, tern_limit limit);

#endif
