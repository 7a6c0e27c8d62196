/* A completion: the place, inside its owner's object, where the engine writes how a request ended. Because it is there
 * before the request is accepted, reporting an end never needs memory.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ENGINE_COMPLETION_H
#define TERN_ENGINE_COMPLETION_H

#include <stdint.h>
#include <tern/types.h>

#include "base/list.h"

typedef struct tern__completion {
    tern__list link;      /* in the engine's list of ended requests, until tern__engine_next_completion() */
    uint64_t id;          /* publish: the message's id */
    int error;            /* 0, or why it failed */
    tern_outcome outcome; /* publish */
    tern_cause cause;     /* publish */
    int reason;           /* the server's reason code; -1 none */
    uint8_t *codes;       /* subscribe, unsubscribe: one code a filter, allocated; the owner frees it */
    uint32_t code_count;
    char *reason_string; /* allocated, may be NULL; the owner frees it */
} tern__completion;

#endif
