/* Tokens: what is behind tern_token.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_TOKEN_H
#define TERN_CLIENT_TOKEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tern/token.h>

#include "base/list.h"
#include "engine/completion.h"
#include "platform/thread.h"

/* Made with one reference for its owner and one for the library, which tern__token_finish() gives back. */
struct tern_token {
    atomic_uint refs;
    tern_client *client; /* kept by reference; only the shell is left of it after it was freed */
    tern__completion completion; /* the engine's until the end, read-only afterwards */
    tern__mutex lock;
    tern__cond ended;
    /* Under the lock. */
    atomic_bool done;
    tern_token_callback callback;
    void *user_data;
    /* Owner's lists: link in a mailbox, waiting in one of the loop's lists; never both. */
    tern__list link;
    uint64_t flush_id; /* flush: ends when everything up to this id has its outcome */
    char *text;        /* the failure in words, allocated, or NULL */
};

int tern__token_new(tern_client *client, tern_token **token);
/* The token of a completion that is a token's. */
tern_token *tern__token_of(tern__completion *completion);
/* Ends it; the completion has been filled in. Takes the library's reference. text (allocated, may be NULL) becomes the
 * token's. */
void tern__token_finish(tern_token *token, char *text);
/* The same for tokens that no engine knows: error 0 or why. NULL does nothing. */
void tern__token_finish_error(tern_token *token, int error, const char *text);
/* Runs its callback; called where callbacks run, once. Takes the reference that the mailbox held. */
void tern__token_run(tern_token *token);
/* Moves from `list` to `abandoned` the tokens that nobody will ever look at: given back, as by a wait that timed out, and
 * without a callback. The library's references of those moved are the caller's to give back. */
void tern__token_find_abandoned(tern__list *list, tern__list *abandoned);
/* Wakes whoever waits for it, to look again whether waiting makes sense. */
void tern__token_nudge(tern_token *token);
/* An error for a publish's outcome. */
int tern__outcome_error(tern_outcome outcome, tern_cause cause);

#endif
