/* Tokens: the pending result of an asynchronous call.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/token.h"

#include <string.h>

#include "base/alloc.h"
#include "client/client.h"
#include "client/dispatch.h"
#include "client/loop.h"
#include "platform/clock.h"

int tern__token_new(tern_client *client, tern_token **token)
{
    *token = NULL;
    tern_token *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    if (tern__mutex_init(&made->lock) != 0) {
        tern__free(made);
        return TERN_E_SYSTEM;
    }
    if (tern__cond_init(&made->ended) != 0) {
        tern__mutex_deinit(&made->lock);
        tern__free(made);
        return TERN_E_SYSTEM;
    }
    atomic_init(&made->refs, 2);
    made->client = tern__client_ref(client);
    made->completion.reason = -1;
    tern__list_init(&made->link);
    tern__list_init(&made->completion.link);
    *token = made;
    return 0;
}

tern_token *tern__token_of(tern__completion *completion)
{
    return TERN__CONTAINER(completion, tern_token, completion);
}

tern_token *tern_token_ref(tern_token *token)
{
    if (token != NULL) atomic_fetch_add_explicit(&token->refs, 1, memory_order_relaxed);
    return token;
}

void tern_token_unref(tern_token *token)
{
    if (token == NULL || atomic_fetch_sub_explicit(&token->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (!tern__client_forked(token->client)) { /* else a thread of the parent may be waiting on them */
        tern__cond_deinit(&token->ended);
        tern__mutex_deinit(&token->lock);
    }
    tern__free(token->completion.codes);
    tern__free(token->completion.reason_string);
    tern__free(token->text);
    tern__client_unref(token->client);
    tern__free(token);
}

int tern__outcome_error(tern_outcome outcome, tern_cause cause)
{
    if (outcome == TERN_OUTCOME_DELIVERED || outcome == TERN_OUTCOME_SENT) return 0;
    if (outcome == TERN_OUTCOME_PENDING) return TERN_E_AGAIN;
    if (outcome == TERN_OUTCOME_REFUSED) return TERN_E_REFUSED;
    switch (cause) {
    case TERN_CAUSE_EXPIRED: return TERN_E_EXPIRED;
    case TERN_CAUSE_DROPPED: return TERN_E_OUTBOX_FULL;
    case TERN_CAUSE_TOO_LARGE: return TERN_E_TOO_LARGE;
    case TERN_CAUSE_UNSUPPORTED: return TERN_E_UNSUPPORTED;
    case TERN_CAUSE_CANCELLED: return TERN_E_CANCELLED;
    case TERN_CAUSE_CLOSED: return TERN_E_CLOSED;
    default: return TERN_E_CONNECTION_LOST;
    }
}

/* Marks it as ended; true where a callback is to be run. */
static bool end(tern_token *token, char *text)
{
    tern__completion *completion = &token->completion;
    if (completion->outcome != TERN_OUTCOME_PENDING)
        completion->error = tern__outcome_error(completion->outcome, completion->cause);
    tern__mutex_lock(&token->lock);
    token->text = text;
    atomic_store_explicit(&token->done, true, memory_order_release);
    bool call = token->callback != NULL;
    tern__cond_broadcast(&token->ended);
    tern__mutex_unlock(&token->lock);
    return call;
}

void tern__token_finish(tern_token *token, char *text)
{
    if (!end(token, text) || !tern__mailbox_push_token(&token->client->mailbox, token)) tern_token_unref(token);
}

void tern__token_finish_close(tern_token *token)
{
    if (token == NULL) return;
    if (end(token, NULL)) {
        tern__token_run(token);
    } else {
        tern_token_unref(token);
    }
}

void tern__token_pick_abandoned(tern__list *waiting, tern__list *abandoned)
{
    for (tern__list *link = waiting->next; link != waiting;) {
        tern_token *token = TERN__CONTAINER(link, tern_token, link);
        link = link->next;
        /* With one reference, ours, nobody is left who could set a callback. */
        if (atomic_load_explicit(&token->refs, memory_order_acquire) != 1 || token->callback != NULL) continue;
        tern__list_remove(&token->link);
        tern__list_append(abandoned, &token->link);
    }
}

void tern__token_drop(tern__list *abandoned)
{
    tern__list *link;
    while ((link = tern__list_shift(abandoned)) != NULL) tern_token_unref(TERN__CONTAINER(link, tern_token, link));
}

void tern__token_finish_error(tern_token *token, int error, const char *text)
{
    if (token == NULL) return;
    token->completion.error = error;
    tern__token_finish(token, text != NULL && text[0] != '\0' ? tern__strdup(text) : NULL);
}

void tern__token_run(tern_token *token)
{
    token->callback(token, token->user_data);
    tern_token_unref(token);
}

void tern__token_nudge(tern_token *token)
{
    tern__mutex_lock(&token->lock);
    tern__cond_broadcast(&token->ended);
    tern__mutex_unlock(&token->lock);
}

int tern_token_wait(tern_token *token, uint32_t timeout_ms)
{
    if (token == NULL) return TERN_E_INVALID;
    if (atomic_load_explicit(&token->done, memory_order_acquire)) return token->completion.error;
    if (tern__client_forked(token->client)) return TERN_E_FORKED;
    tern_client *client = token->client;
    if (timeout_ms == 0) return TERN_E_TIMEOUT; /* a look, not a failure: the last error stays */
    uint64_t deadline = tern__clock_us() + (uint64_t)timeout_ms * 1000;
    bool callback = tern__client_about_to_wait(client, token);
    int rc = callback && token->of_close ? TERN_E_WOULD_DEADLOCK : 0;
    tern__mutex_lock(&token->lock);
    while (!token->done && rc == 0) {
        if (callback && tern__client_stalls(client)) {
            rc = TERN_E_WOULD_DEADLOCK;
        } else if (!tern__cond_wait_until(&token->ended, &token->lock, deadline)) {
            rc = token->done ? 0 : TERN_E_TIMEOUT;
        }
    }
    tern__mutex_unlock(&token->lock);
    if (callback) tern__client_done_waiting(client);
    return rc != 0 ? tern__client_wait_failed(client, rc, timeout_ms) : token->completion.error;
}

int tern_token_done(const tern_token *token)
{
    return token != NULL && atomic_load_explicit(&token->done, memory_order_acquire);
}

int tern_token_set_callback(tern_token *token, tern_token_callback callback, void *user_data)
{
    if (token == NULL || callback == NULL) return TERN_E_INVALID;
    tern_client *client = token->client;
    if (tern__client_forked(client)) return TERN_E_FORKED;
    tern__mutex_lock(&client->lock); /* the mailbox stands while it is held and the client is not released */
    tern__mutex_lock(&token->lock);
    bool done = token->done;
    int rc = token->callback != NULL ? TERN_E_STATE : done && client->released ? TERN_E_CLOSED : 0;
    if (rc == 0) {
        token->callback = callback;
        token->user_data = user_data;
    }
    if (rc == 0 && done && !tern__mailbox_push_token(&client->mailbox, tern_token_ref(token))) {
        token->callback = NULL;
        tern_token_unref(token); /* not the last: the caller has one */
        rc = TERN_E_CLOSED;
    }
    tern__mutex_unlock(&token->lock);
    tern__mutex_unlock(&client->lock);
    return rc;
}

/* A pending token's results are the engine's. */
static const tern__completion *ended(const tern_token *token)
{
    return tern_token_done(token) ? &token->completion : NULL;
}

int tern_token_error(const tern_token *token)
{
    if (token == NULL) return TERN_E_INVALID;
    const tern__completion *completion = ended(token);
    return completion != NULL ? completion->error : TERN_E_AGAIN;
}

const char *tern_token_error_text(const tern_token *token)
{
    const tern__completion *completion = ended(token);
    if (completion == NULL || completion->error == 0) return "";
    return token->text != NULL ? token->text : tern_strerror(completion->error);
}

uint64_t tern_token_message_id(const tern_token *token)
{
    return token != NULL ? token->completion.id : 0;
}

tern_outcome tern_token_outcome(const tern_token *token)
{
    const tern__completion *completion = ended(token);
    return completion != NULL ? completion->outcome : TERN_OUTCOME_PENDING;
}

tern_cause tern_token_cause(const tern_token *token)
{
    const tern__completion *completion = ended(token);
    return completion != NULL ? completion->cause : TERN_CAUSE_NONE;
}

size_t tern_token_reason_count(const tern_token *token)
{
    const tern__completion *completion = ended(token);
    if (completion == NULL) return 0;
    return completion->codes != NULL ? completion->code_count : completion->reason >= 0 ? 1 : 0;
}

int tern_token_reason_code(const tern_token *token, size_t index)
{
    const tern__completion *completion = ended(token);
    if (completion == NULL || index >= tern_token_reason_count(token)) return -1;
    return completion->codes != NULL ? completion->codes[index] : completion->reason;
}

const char *tern_token_reason_string(const tern_token *token)
{
    const tern__completion *completion = ended(token);
    return completion != NULL ? completion->reason_string : NULL;
}
