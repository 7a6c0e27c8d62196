/* Timers: callbacks of the application at a time, where its callbacks run.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/timer.h"

#include "base/alloc.h"
#include "client/client.h"
#include "client/loop.h"
#include "client/token.h"
#include "platform/clock.h"

typedef struct timer {
    tern__list link; /* in the client's pending ones, until it ends */
    uint64_t id;
    uint64_t due;
    tern_client *client;
    tern_timer_callback callback;
    void *user_data;
    tern_token *token; /* the library's reference */
} timer;

void tern__timers_init(tern__timers *timers)
{
    tern__list_init(&timers->pending);
    timers->last_id = 0;
}

static timer *first_locked(const tern__timers *timers)
{
    return tern__list_empty(&timers->pending) ? NULL : TERN__CONTAINER(timers->pending.next, timer, link);
}

uint64_t tern__timers_next_locked(const tern__timers *timers)
{
    const timer *first = first_locked(timers);
    return first != NULL ? first->due : UINT64_MAX;
}

static void on_end(tern_token *token, void *user_data)
{
    timer *it = user_data;
    it->callback(it->client, tern_token_error(token) == 0, it->user_data);
    tern__free(it);
}

static int make(tern_client *client, tern_timer_callback callback, void *user_data, timer **made)
{
    timer *it = tern__malloc(sizeof *it);
    if (it == NULL) return TERN_E_NOMEM;
    *it = (timer){.client = client, .callback = callback, .user_data = user_data};
    tern__list_init(&it->link);
    int rc = tern__token_new(client, &it->token);
    if (rc != 0) {
        tern__free(it);
        return rc;
    }
    it->token->callback = on_end; /* nobody else knows it yet */
    it->token->user_data = it;
    tern_token_unref(it->token); /* the library's is enough */
    *made = it;
    return 0;
}

/* Behind those that are due before it, or at the same time. */
static void add_locked(tern__timers *timers, timer *it)
{
    tern__list *at = timers->pending.prev;
    while (at != &timers->pending && TERN__CONTAINER(at, timer, link)->due > it->due) at = at->prev;
    it->id = ++timers->last_id;
    tern__list_append(at->next, &it->link);
}

int tern_client_set_timer(tern_client *client, uint32_t delay_ms, tern_timer_callback callback, void *user_data,
                          uint64_t *timer_id)
{
    if (timer_id != NULL) *timer_id = 0;
    int rc = tern__client_check(client);
    if (rc == 0 && callback == NULL) rc = TERN_E_INVALID;
    if (rc != 0) return rc;
    timer *it = NULL;
    rc = make(client, callback, user_data, &it);
    if (rc != 0) return rc;
    it->due = tern__clock_us() + (uint64_t)delay_ms * 1000;
    tern__mutex_lock(&client->lock);
    bool closing = client->closing;
    if (!closing) {
        add_locked(&client->timers, it);
        if (timer_id != NULL) *timer_id = it->id; /* before it can be over */
    }
    tern__mutex_unlock(&client->lock);
    if (!closing) {
        tern__client_schedule(client, true);
        return 0;
    }
    tern_token_unref(it->token);
    tern__free(it);
    return TERN_E_CLOSED;
}

int tern_client_cancel_timer(tern_client *client, uint64_t timer_id)
{
    int rc = tern__client_check(client);
    if (rc != 0) return rc;
    rc = TERN_E_NOT_FOUND;
    tern__mutex_lock(&client->lock);
    tern__list *pending = &client->timers.pending;
    for (tern__list *link = pending->next; link != pending; link = link->next) {
        timer *it = TERN__CONTAINER(link, timer, link);
        if (it->id != timer_id) continue;
        tern__list_remove(&it->link);
        tern__token_finish_error(it->token, TERN_E_CANCELLED, NULL); /* under the lock: closing comes after it */
        rc = 0;
        break;
    }
    tern__mutex_unlock(&client->lock);
    return rc;
}

/* Takes the first timer that is due by `until`; NULL where none is. */
static timer *take(tern_client *client, uint64_t until)
{
    tern__mutex_lock(&client->lock);
    timer *first = first_locked(&client->timers);
    if (first != NULL && first->due > until) first = NULL;
    if (first != NULL) tern__list_remove(&first->link);
    client->link.timer_at = tern__timers_next_locked(&client->timers);
    tern__mutex_unlock(&client->lock);
    return first;
}

void tern__timers_run(tern_client *client, uint64_t now)
{
    timer *it;
    while (now >= client->link.timer_at && (it = take(client, now)) != NULL)
        tern__token_finish_error(it->token, 0, NULL);
}

void tern__timers_end(tern_client *client)
{
    timer *it;
    while ((it = take(client, UINT64_MAX)) != NULL) tern__token_finish_error(it->token, TERN_E_CLOSED, NULL);
}
