/* Attempts: from the options, and what the application says to them, to an open stream with CONNECT on it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_ATTEMPT_H
#define TERN_CLIENT_ATTEMPT_H

#include <tern/attempt.h>

#include "client/budget.h"
#include "client/client.h"
#include "client/command.h"
#include "client/link.h"

/* A question to the attempt handler, and the command that carries the answer back. */
struct tern_attempt {
    tern__command command;
    tern_connection_options *options; /* of this attempt: the client's, with one server */
    uint32_t number;
    char server[256]; /* URL without credentials */
    bool postponed;
    uint32_t delay_ms;
    bool stopped;
    char *reason; /* allocated or NULL */
    char *hint;   /* the same */
};

/* ---- on the loop's thread ---- */

/* Begins an attempt, or asks first. Without options that were ever set nothing happens. */
void tern__attempt_start(tern_client *client, uint64_t now);
/* The handler's answer came; takes the command. */
void tern__attempt_execute(tern_client *client, tern__command *command, uint64_t now);
/* How the attempt ended, for the other clients of the loop; before the next server is chosen, and once an attempt. */
void tern__attempt_tell_budget(tern_client *client, tern__budget_end end, uint64_t now);
/* Gives up what runs, and forgets the attempt's own options. */
void tern__attempt_end(tern__link *link);
/* What TLS agreed on, of a stream that is open, for an event; NULL where it has no part, or without memory. */
tern__tls_info *tern__attempt_describe_tls(const tern__link *link);
/* Whether the handler may answer otherwise next time what was refused now: credentials and certificates. [C18] */
bool tern__attempt_may_heal(tern_client *client, const tern__failure *failure);
/* The server has answered: the attempt's own options are not needed any more. */
void tern__attempt_forget(tern__link *link);
/* The options and the server of the attempt; NULL where there are none yet. */
const tern_connection_options *tern__attempt_options(const tern__link *link);
const tern__server *tern__attempt_server(const tern__link *link);
/* Where the version is kept that worked with the attempt's server, 0 unknown: it is forgotten with a server of the attempt's own. */
int *tern__attempt_known_version(const tern__link *link);

/* ---- elsewhere ---- */

/* Sends the answer to the loop; takes the attempt. */
void tern__attempt_answer(tern_client *client, tern_attempt *attempt);
void tern__attempt_free(tern_attempt *attempt); /* NULL does nothing */
/* Frees answers that came after the loop had let go of the client. */
void tern__attempt_drop_answers(tern__list *commands);

#endif
