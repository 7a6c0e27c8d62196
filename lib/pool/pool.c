/* The pool: its life, and what its members have in common.
 * SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool.h"

#include <stdio.h>
#include <string.h>
#include <tern/blocking.h>
#include <tern/loop.h>
#include <tern/options.h>
#include <tern/token.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "platform/clock.h"

enum { MEMBERS_MAX = 256, DEFAULT_MEMBERS = 5, DEFAULT_UNHEALTHY_MS = 1000, PREFIX_MAX = 65000 };

/* ---- options ---- */

static void set_defaults(tern_pool_options *options)
{
    *options = (tern_pool_options){.members = DEFAULT_MEMBERS, .unhealthy_ms = DEFAULT_UNHEALTHY_MS};
}

int tern_pool_options_new(tern_pool_options **options)
{
    if (options == NULL) return TERN_E_INVALID;
    *options = tern__malloc(sizeof **options);
    if (*options == NULL) return TERN_E_NOMEM;
    set_defaults(*options);
    return 0;
}

void tern_pool_options_free(tern_pool_options *options)
{
    if (options == NULL) return;
    tern__free(options->prefix);
    tern__free(options);
}

int tern_pool_options_set_members(tern_pool_options *options, size_t members)
{
    if (options == NULL || members == 0 || members > MEMBERS_MAX) return TERN_E_INVALID;
    options->members = members;
    return 0;
}

int tern_pool_options_set_policy(tern_pool_options *options, tern_pool_policy policy)
{
    if (options == NULL || (unsigned)policy > TERN_POOL_LEAST_OUTSTANDING) return TERN_E_INVALID;
    options->policy = policy;
    return 0;
}

int tern_pool_options_set_client_id_prefix(tern_pool_options *options, const char *prefix)
{
    if (options == NULL || prefix == NULL) return TERN_E_INVALID;
    size_t len = strlen(prefix);
    if (len > PREFIX_MAX) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(prefix, len)) return TERN_E_UTF8; /* [MQTT5-3.1.3-4] */
    char *copy = len != 0 ? tern__strdup(prefix) : NULL;
    if (len != 0 && copy == NULL) return TERN_E_NOMEM;
    tern__free(options->prefix);
    options->prefix = copy;
    return 0;
}

int tern_pool_options_set_loop(tern_pool_options *options, tern_loop *loop)
{
    if (options == NULL) return TERN_E_INVALID;
    options->loop = loop;
    return 0;
}

int tern_pool_options_set_failover(tern_pool_options *options, uint32_t unhealthy_ms, int move_early)
{
    if (options == NULL) return TERN_E_INVALID;
    options->unhealthy_ms = unhealthy_ms;
    options->move_early = move_early != 0;
    return 0;
}

/* ---- errors ---- */

int tern__pool_fail(tern_pool *pool, int error, const char *text)
{
    tern__mutex_lock(&pool->lock);
    pool->error = error;
    snprintf(pool->error_text, sizeof pool->error_text, "%s", text);
    tern__mutex_unlock(&pool->lock);
    return error;
}

int tern__pool_fail_of(tern_pool *pool, size_t member, int error)
{
    char text[300] = "";
    char whole[400];
    (void)tern_client_copy_error_text(pool->members[member].client, text, sizeof text);
    snprintf(whole, sizeof whole, "member %zu: %s", member, text[0] != '\0' ? text : tern_strerror(error));
    return tern__pool_fail(pool, error, whole);
}

int tern_pool_copy_error_text(tern_pool *pool, char *buffer, size_t size)
{
    if (buffer != NULL && size != 0) buffer[0] = '\0';
    if (pool == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&pool->lock);
    int error = pool->error;
    if (buffer != NULL && size != 0) snprintf(buffer, size, "%s", pool->error_text);
    tern__mutex_unlock(&pool->lock);
    return error;
}

/* ---- what members tell ---- */

static void note_state(tern__member *member, const tern_event *event)
{
    tern_pool *pool = member->pool;
    tern_event_kind kind = tern_event_get_kind(event);
    bool up = kind == TERN_EVENT_CONNECTED;
    if (!up && kind != TERN_EVENT_DISCONNECTED && kind != TERN_EVENT_STOPPED) return;
    if (!up && member->connected) atomic_store(&member->down_since, tern__clock_us());
    tern__mutex_lock(&pool->lock);
    member->connected = up;
    member->stopped = kind == TERN_EVENT_STOPPED ? tern_event_error(event) : 0;
    if (kind == TERN_EVENT_STOPPED && member->stopped == 0) member->stopped = TERN_E_CANCELLED;
    if (kind == TERN_EVENT_STOPPED)
        snprintf(member->stopped_text, sizeof member->stopped_text, "%s", tern_event_text(event));
    tern__cond_broadcast(&pool->changed);
    tern__mutex_unlock(&pool->lock);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    tern__member *member = user_data;
    tern_pool *pool = member->pool;
    (void)client;
    note_state(member, event);
    tern__mutex_lock(&pool->lock);
    tern_pool_event_callback callback = pool->on_event;
    void *data = pool->event_data;
    tern__mutex_unlock(&pool->lock);
    if (callback != NULL) callback(pool, member->index, event, data);
}

static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    tern__member *member = user_data;
    tern_pool *pool = member->pool;
    (void)client;
    tern__mutex_lock(&pool->lock);
    tern_pool_delivery_callback callback = pool->on_delivery;
    void *data = pool->delivery_data;
    tern__mutex_unlock(&pool->lock);
    if (callback == NULL) return;
    callback(pool, tern__pool_id(member->index, tern_delivery_first_id(delivery)),
             tern__pool_id(member->index, tern_delivery_last_id(delivery)), tern_delivery_outcome(delivery),
             tern_delivery_cause(delivery), tern_delivery_reason_code(delivery), data);
}

int tern_pool_set_event_handler(tern_pool *pool, tern_pool_event_callback callback, void *user_data)
{
    if (pool == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&pool->lock);
    int rc = pool->closed ? TERN_E_CLOSED : 0;
    if (rc == 0) {
        pool->on_event = callback;
        pool->event_data = user_data;
    }
    tern__mutex_unlock(&pool->lock);
    return rc;
}

int tern_pool_set_delivery_handler(tern_pool *pool, tern_pool_delivery_callback callback, void *user_data)
{
    if (pool == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&pool->lock);
    int rc = pool->closed ? TERN_E_CLOSED : 0;
    if (rc == 0) {
        pool->on_delivery = callback;
        pool->delivery_data = user_data;
    }
    tern__mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->count && rc == 0; i++)
        rc = tern_client_set_delivery_handler(pool->members[i].client, callback != NULL ? on_delivery : NULL, &pool->members[i]);
    return rc;
}

/* ---- making ---- */

static int make_member(tern_pool *pool, size_t index, const char *prefix, tern_client_options *fixed,
                       tern_connection_options *connection)
{
    tern__member *member = &pool->members[index];
    uint64_t oldest;
    int rc = 0;
    if (prefix != NULL) {
        size_t size = strlen(prefix) + 24;
        char *id = tern__malloc(size);
        if (id == NULL) return TERN_E_NOMEM;
        snprintf(id, size, "%s-%zu", prefix, index);
        rc = tern_client_options_set_client_id(fixed, id);
        tern__free(id);
    }
    if (rc == 0) rc = tern_client_new(&member->client, fixed);
    if (rc == 0) rc = tern_client_set_event_handler(member->client, on_event, member);
    if (rc == 0) rc = tern_connection_options_set_first_server(connection, index);
    if (rc == 0) rc = tern_client_configure(member->client, connection);
    if (rc == 0) rc = tern_client_oldest_open(member->client, &oldest); /* from now on it keeps track */
    return rc;
}

static int make_members(tern_pool *pool, const char *prefix, const tern_client_options *client,
                        const tern_connection_options *connection)
{
    tern_client_options *fixed = NULL;
    tern_connection_options *own = NULL;
    uint64_t now = tern__clock_us();
    for (size_t i = 0; i < pool->count; i++) {
        pool->members[i].pool = pool;
        pool->members[i].index = i;
        atomic_init(&pool->members[i].down_since, now);
    }
    int rc = client != NULL ? tern_client_options_copy(client, &fixed) : tern_client_options_new(&fixed);
    if (rc == 0) rc = tern_connection_options_copy(connection, &own);
    if (rc == 0) rc = tern_client_options_set_client_id(fixed, "");
    if (rc == 0) rc = tern_client_options_set_dispatch(fixed, TERN_DISPATCH_THREAD);
    if (rc == 0) rc = tern_client_options_set_loop(fixed, pool->loop);
    for (size_t i = 0; i < pool->count && rc == 0; i++) rc = make_member(pool, i, prefix, fixed, own);
    tern_client_options_free(fixed);
    tern_connection_options_free(own);
    return rc;
}

static int make_tables(tern_pool *pool)
{
    pool->members = tern__calloc(pool->count, sizeof *pool->members);
    if (pool->members == NULL) return TERN_E_NOMEM;
    if (pool->policy != TERN_POOL_BY_TOPIC) return 0;
    pool->slots = tern__calloc(TERN__POOL_SLOTS, sizeof *pool->slots);
    if (pool->slots == NULL) return TERN_E_NOMEM;
    for (size_t i = 0; i < TERN__POOL_SLOTS; i++) atomic_init(&pool->slots[i].state, i % pool->count);
    return 0;
}

static int init_sync(tern_pool *pool)
{
    int rc = tern__mutex_init(&pool->lock);
    if (rc != 0) return rc;
    rc = tern__cond_init(&pool->changed);
    if (rc != 0) tern__mutex_deinit(&pool->lock);
    return rc;
}

int tern_pool_new(tern_pool **pool, const tern_pool_options *options, const tern_client_options *client,
                  const tern_connection_options *connection)
{
    tern_pool_options defaults;
    if (pool == NULL) return TERN_E_INVALID;
    *pool = NULL;
    if (connection == NULL) return TERN_E_INVALID;
    if (options == NULL) {
        set_defaults(&defaults);
        options = &defaults;
    }
    tern_pool *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    made->count = options->members;
    made->policy = options->policy;
    made->unhealthy_us = (uint64_t)options->unhealthy_ms * 1000;
    made->move_early = options->move_early;
    int rc = init_sync(made);
    if (rc != 0) {
        tern__free(made);
        return rc;
    }
    tern_loop *own = NULL;
    rc = options->loop == NULL ? tern_loop_new(&own, 1, TERN_POLLER_DEFAULT) : 0;
    made->loop = own != NULL ? own : options->loop;
    if (rc == 0) rc = make_tables(made);
    if (rc == 0) rc = make_members(made, options->prefix, client, connection);
    tern_loop_free(own); /* the members keep it */
    if (rc != 0) {
        tern_pool_free(made);
        return rc;
    }
    *pool = made;
    return 0;
}

void tern_pool_free(tern_pool *pool)
{
    if (pool == NULL) return;
    for (size_t i = 0; pool->members != NULL && i < pool->count; i++) tern_client_free(pool->members[i].client);
    tern__cond_deinit(&pool->changed);
    tern__mutex_deinit(&pool->lock);
    tern__free(pool->slots);
    tern__free(pool->members);
    tern__free(pool);
}

/* ---- connecting and closing ---- */

int tern_pool_start(tern_pool *pool)
{
    int failed = 0;
    if (pool == NULL) return TERN_E_INVALID;
    for (size_t i = 0; i < pool->count; i++) {
        tern__mutex_lock(&pool->lock);
        pool->members[i].stopped = 0;
        tern__mutex_unlock(&pool->lock);
        int rc = tern_client_connect(pool->members[i].client, NULL);
        if (rc != 0 && rc != TERN_E_STATE) failed = tern__pool_fail_of(pool, i, rc);
    }
    return failed;
}

/* Whether this is a callback of a member: what it would wait for comes through callbacks. */
static bool in_callback(tern_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        if (tern_client_in_callback(pool->members[i].client)) return true;
    return false;
}

static size_t connected_locked(const tern_pool *pool)
{
    size_t connected = 0;
    for (size_t i = 0; i < pool->count; i++) connected += pool->members[i].connected;
    return connected;
}

/* Where too few members are left that are connected or try: one that stopped; NULL where there are enough. */
static const tern__member *too_few_locked(const tern_pool *pool, size_t members)
{
    size_t stopped = 0;
    const tern__member *one = NULL;
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->members[i].stopped == 0) continue;
        stopped++;
        one = &pool->members[i];
    }
    return pool->count - stopped < members ? one : NULL;
}

int tern_pool_wait_connected(tern_pool *pool, size_t members, uint32_t timeout_ms)
{
    if (pool == NULL || members > pool->count) return TERN_E_INVALID;
    if (in_callback(pool)) return tern__pool_fail(pool, TERN_E_WOULD_DEADLOCK, "wait: in a callback of the pool");
    uint64_t deadline = tern__clock_us() + (uint64_t)timeout_ms * 1000;
    char text[320];
    int rc = 0;
    tern__mutex_lock(&pool->lock);
    while (rc == 0 && connected_locked(pool) < members) {
        const tern__member *stopped = too_few_locked(pool, members);
        if (stopped != NULL) {
            rc = stopped->stopped;
            snprintf(text, sizeof text, "member %zu: %s", stopped->index, stopped->stopped_text);
        } else if (!tern__cond_wait_until(&pool->changed, &pool->lock, deadline) && connected_locked(pool) < members) {
            rc = TERN_E_TIMEOUT;
            snprintf(text, sizeof text, "%zu of %zu members are connected after %u ms", connected_locked(pool), pool->count,
                     (unsigned)timeout_ms);
        }
    }
    tern__mutex_unlock(&pool->lock);
    return rc == 0 ? 0 : tern__pool_fail(pool, rc, text);
}

/* What is left until the deadline, in ms. */
static uint32_t left_ms(uint64_t deadline)
{
    uint64_t now = tern__clock_us();
    return now < deadline ? (uint32_t)((deadline - now) / 1000) : 0;
}

/* Waits for a token of each member, NULLs left out, until the deadline, and lets them go; the first error. */
static int wait_all(tern_pool *pool, tern_token **tokens, uint64_t deadline)
{
    int failed = 0;
    for (size_t i = 0; i < pool->count; i++) {
        if (tokens[i] == NULL) continue;
        int rc = tern_token_wait(tokens[i], left_ms(deadline));
        if (rc != 0 && failed == 0) failed = tern__pool_fail_of(pool, i, rc);
        tern_token_unref(tokens[i]);
    }
    return failed;
}

/* Asks each member, and waits for all. `ask` gives a token; its refusal is the answer, but one that says that there is nothing
 * to wait for. */
static int ask_all(tern_pool *pool, int (*ask)(tern_client *client, uint32_t timeout_ms, tern_token **token), uint32_t timeout_ms)
{
    uint64_t deadline = tern__clock_us() + (uint64_t)timeout_ms * 1000;
    tern_token **tokens = tern__calloc(pool->count, sizeof *tokens);
    if (tokens == NULL) return TERN_E_NOMEM;
    int failed = 0;
    for (size_t i = 0; i < pool->count; i++) {
        int rc = ask(pool->members[i].client, timeout_ms, &tokens[i]);
        if (rc != 0 && failed == 0) failed = tern__pool_fail_of(pool, i, rc);
    }
    int rc = wait_all(pool, tokens, deadline);
    tern__free(tokens);
    return failed != 0 ? failed : rc;
}

static int ask_flush(tern_client *client, uint32_t timeout_ms, tern_token **token)
{
    (void)timeout_ms;
    return tern_client_flush(client, token);
}

static int ask_close(tern_client *client, uint32_t timeout_ms, tern_token **token)
{
    return tern_client_close(client, 1, timeout_ms, token);
}

int tern_pool_flush_wait(tern_pool *pool, uint32_t timeout_ms)
{
    return pool != NULL ? ask_all(pool, ask_flush, timeout_ms) : TERN_E_INVALID;
}

int tern_pool_close_wait(tern_pool *pool, uint32_t timeout_ms)
{
    enum { GRACE_MS = 2000 /* for what a member does after its deadline: leaving, its last outcomes */ };
    if (pool == NULL) return TERN_E_INVALID;
    if (in_callback(pool)) return tern__pool_fail(pool, TERN_E_WOULD_DEADLOCK, "close: in a callback of the pool");
    tern__mutex_lock(&pool->lock);
    pool->closed = true;
    tern__mutex_unlock(&pool->lock);
    uint64_t deadline = tern__clock_us() + ((uint64_t)timeout_ms + GRACE_MS) * 1000;
    tern_token **tokens = tern__calloc(pool->count, sizeof *tokens);
    if (tokens == NULL) return TERN_E_NOMEM;
    int failed = 0;
    for (size_t i = 0; i < pool->count; i++) {
        int rc = ask_close(pool->members[i].client, timeout_ms, &tokens[i]);
        if (rc != 0 && failed == 0) failed = tern__pool_fail_of(pool, i, rc);
    }
    int rc = wait_all(pool, tokens, deadline);
    tern__free(tokens);
    return failed != 0 ? failed : rc;
}

/* ---- watching ---- */

size_t tern_pool_members(const tern_pool *pool)
{
    return pool != NULL ? pool->count : 0;
}

size_t tern_pool_connected(tern_pool *pool)
{
    size_t connected = 0;
    for (size_t i = 0; pool != NULL && i < pool->count; i++)
        connected += tern_client_connected(pool->members[i].client) == 1;
    return connected;
}

tern_client *tern_pool_member(tern_pool *pool, size_t member)
{
    return pool != NULL && member < pool->count ? pool->members[member].client : NULL;
}

size_t tern_pool_member_of(uint64_t id)
{
    return (size_t)(id >> TERN__POOL_ID_BITS);
}

int tern_pool_stat(tern_pool *pool, const char *name, uint64_t *value)
{
    if (value != NULL) *value = 0;
    if (pool == NULL || value == NULL) return TERN_E_INVALID;
    for (size_t i = 0; i < pool->count; i++) {
        uint64_t one = 0;
        int rc = tern_client_stat(pool->members[i].client, name, &one);
        if (rc != 0) {
            *value = 0;
            return rc;
        }
        *value += one;
    }
    return 0;
}
