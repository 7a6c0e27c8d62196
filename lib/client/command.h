/* Commands: what application threads ask of the loop, in order.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_COMMAND_H
#define TERN_CLIENT_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <tern/types.h>

#include "base/list.h"

typedef enum tern__command_kind {
    TERN__COMMAND_CONNECT,
    TERN__COMMAND_RETRY,
    TERN__COMMAND_ATTEMPT, /* an answer of the attempt handler */
    TERN__COMMAND_DISCONNECT,
    TERN__COMMAND_RECONNECT,
    TERN__COMMAND_CLOSE,
    TERN__COMMAND_SUBSCRIBE,
    TERN__COMMAND_UNSUBSCRIBE,
    TERN__COMMAND_FLUSH
} tern__command_kind;

typedef struct tern__command {
    tern__list link;
    tern__command_kind kind;
    tern_token *token;               /* the library's reference, or NULL */
    tern_subscription *subscription; /* SUBSCRIBE, UNSUBSCRIBE: owned */
    int reason;                      /* DISCONNECT */
    bool drain;                      /* CLOSE */
    uint64_t deadline;               /* CLOSE, RECONNECT */
} tern__command;

/* NULL where memory ran out. */
tern__command *tern__command_new(tern__command_kind kind);
/* Frees the command and its subscription; the token is somebody's by then. */
void tern__command_free(tern__command *command);

#endif
