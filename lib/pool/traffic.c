/* Messages of a pool: each goes through one member, subscriptions through one or all.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/message.h>
#include <tern/token.h>

#include "base/alloc.h"
#include "platform/clock.h"
#include "pool/pool.h"

/* ---- publishing ---- */

/* Gives the choice back with the outcome of the call; returns rc, and the pool's id. */
static int published(tern_pool *pool, const tern__choice *choice, int rc, uint64_t id, uint64_t *pool_id)
{
    tern__pool_chosen(pool, choice, rc == 0 ? id : 0);
    if (rc != 0) return tern__pool_fail_of(pool, choice->member, rc);
    if (pool_id != NULL) *pool_id = tern__pool_id(choice->member, id);
    return 0;
}

int tern_pool_publish(tern_pool *pool, const char *topic, const void *payload, size_t payload_length, uint32_t flags,
                      uint64_t *id)
{
    uint64_t member_id = 0;
    if (id != NULL) *id = 0;
    if (pool == NULL || topic == NULL) return TERN_E_INVALID;
    tern__choice choice = tern__pool_choose(pool, topic);
    int rc = tern_client_publish(pool->members[choice.member].client, topic, payload, payload_length, flags, &member_id);
    return published(pool, &choice, rc, member_id, id);
}

int tern_pool_publish_token(tern_pool *pool, const char *topic, const void *payload, size_t payload_length, uint32_t flags,
                            tern_token **token)
{
    if (token != NULL) *token = NULL;
    if (pool == NULL || topic == NULL || token == NULL) return TERN_E_INVALID;
    tern__choice choice = tern__pool_choose(pool, topic);
    int rc = tern_client_publish_token(pool->members[choice.member].client, topic, payload, payload_length, flags, token);
    return published(pool, &choice, rc, tern_token_message_id(*token), NULL);
}

int tern_pool_publish_message(tern_pool *pool, const tern_message *message, uint64_t *id, tern_token **token)
{
    uint64_t member_id = 0;
    if (id != NULL) *id = 0;
    if (token != NULL) *token = NULL;
    if (pool == NULL || message == NULL) return TERN_E_INVALID;
    tern__choice choice = tern__pool_choose(pool, tern_message_topic(message));
    int rc = tern_client_publish_message(pool->members[choice.member].client, message, &member_id, token);
    return published(pool, &choice, rc, member_id, id);
}

int tern_pool_publish_wait(tern_pool *pool, const char *topic, const void *payload, size_t payload_length, uint32_t flags,
                           uint32_t timeout_ms)
{
    tern_token *token = NULL;
    int rc = tern_pool_publish_token(pool, topic, payload, payload_length, flags, &token);
    if (rc != 0) return rc;
    rc = tern_token_wait(token, timeout_ms);
    if (rc != 0) (void)tern__pool_fail(pool, rc, tern_token_done(token) ? tern_token_error_text(token) : tern_strerror(rc));
    tern_token_unref(token);
    return rc;
}

/* ---- subscribing ---- */

/* The filter that members ask for: with `$share/group/` before it, in memory of its own; NULL for want of memory. */
static char *shared_filter(const char *filter, const char *group)
{
    size_t size = strlen("$share//") + strlen(group) + strlen(filter) + 1;
    char *text = tern__malloc(size);
    if (text != NULL) snprintf(text, size, "$share/%s/%s", group, filter);
    return text;
}

static int check_group(tern_pool *pool, const char *group)
{
    if (group == NULL || (group[0] != '\0' && strpbrk(group, "/+#") == NULL)) return 0;
    return tern__pool_fail(pool, TERN_E_INVALID, "subscribe: a group has at least one character, and no /, + or #");
}

typedef int (*request)(tern_client *client, const char *filter, uint32_t flags, tern_token **token);

static int unsubscribe_one(tern_client *client, const char *filter, uint32_t flags, tern_token **token)
{
    (void)flags;
    return tern_client_unsubscribe(client, filter, token);
}

/* Asks the member of the filter, or all with the group; tokens (of `count` members) may be NULL. */
static int ask(tern_pool *pool, request call, const char *filter, uint32_t flags, const char *group, tern_token **tokens)
{
    if (pool == NULL || filter == NULL) return TERN_E_INVALID;
    int rc = check_group(pool, group);
    if (rc != 0) return rc;
    if (group == NULL) {
        size_t home = tern__pool_home(pool, filter);
        rc = call(pool->members[home].client, filter, flags, tokens != NULL ? &tokens[home] : NULL);
        return rc == 0 ? 0 : tern__pool_fail_of(pool, home, rc);
    }
    char *text = shared_filter(filter, group);
    if (text == NULL) return TERN_E_NOMEM;
    for (size_t i = 0; i < pool->count && rc == 0; i++) {
        rc = call(pool->members[i].client, text, flags, tokens != NULL ? &tokens[i] : NULL);
        if (rc != 0) (void)tern__pool_fail_of(pool, i, rc);
    }
    tern__free(text);
    return rc;
}

int tern_pool_subscribe(tern_pool *pool, const char *filter, uint32_t flags, const char *group)
{
    return ask(pool, tern_client_subscribe, filter, flags, group, NULL);
}

int tern_pool_unsubscribe(tern_pool *pool, const char *filter, const char *group)
{
    return ask(pool, unsubscribe_one, filter, 0, group, NULL);
}

int tern_pool_subscribe_wait(tern_pool *pool, const char *filter, uint32_t flags, const char *group, uint32_t timeout_ms)
{
    if (pool == NULL || filter == NULL) return TERN_E_INVALID;
    uint64_t deadline = tern__clock_us() + (uint64_t)timeout_ms * 1000;
    tern_token **tokens = tern__calloc(pool->count, sizeof *tokens);
    if (tokens == NULL) return TERN_E_NOMEM;
    int failed = ask(pool, tern_client_subscribe, filter, flags, group, tokens);
    for (size_t i = 0; i < pool->count; i++) {
        if (tokens[i] == NULL) continue;
        uint64_t now = tern__clock_us();
        int rc = failed != 0 ? 0 : tern_token_wait(tokens[i], now < deadline ? (uint32_t)((deadline - now) / 1000) : 0);
        if (rc != 0)
            failed = tern__pool_fail(pool, rc, tern_token_done(tokens[i]) ? tern_token_error_text(tokens[i]) : tern_strerror(rc));
        tern_token_unref(tokens[i]);
    }
    tern__free(tokens);
    return failed;
}

/* ---- handlers ---- */

int tern_pool_set_filter_handler(tern_pool *pool, const char *filter, tern_message_callback callback, void *user_data)
{
    int rc = pool != NULL ? 0 : TERN_E_INVALID;
    for (size_t i = 0; rc == 0 && i < pool->count; i++) {
        rc = tern_client_set_filter_handler(pool->members[i].client, filter, callback, user_data);
        if (rc != 0) (void)tern__pool_fail_of(pool, i, rc);
    }
    return rc;
}

int tern_pool_set_message_handler(tern_pool *pool, tern_message_callback callback, void *user_data)
{
    int rc = pool != NULL ? 0 : TERN_E_INVALID;
    for (size_t i = 0; rc == 0 && i < pool->count; i++)
        rc = tern_client_set_message_handler(pool->members[i].client, callback, user_data);
    return rc;
}
