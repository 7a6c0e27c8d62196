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
    bool of_close;     /* constant: it ends when no callback runs, so no callback can wait for it */
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
/* As tern__token_finish_error(token, 0, NULL) for the token of a close, whose callback is the client's last: runs it here. */
void tern__token_finish_close(tern_token *token);
/* Moves those tokens of a list that nobody holds any more, and that have no callback, to another one; who waits again and
 * again with a deadline would else leave a token each time. The list's lock is held. */
void tern__token_pick_abandoned(tern__list *waiting, tern__list *abandoned);
/* Lets the library's references of such tokens go. */
void tern__token_drop(tern__list *abandoned);
/* Runs its callback; called where callbacks run, once. Takes the reference that the mailbox held. */
void tern__token_run(tern_token *token);
/* Wakes whoever waits for it, to look again whether waiting makes sense. */
void tern__token_nudge(tern_token *token);
/* An error for a publish's outcome. */
int tern__outcome_error(tern_outcome outcome, tern_cause cause);

#endif
