/* Twin requests of a hub: numbered, awaited with a deadline, and each told once how it ended.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <tern/message.h>
#include <tern/token.h>

#include "base/alloc.h"
#include "cloud/azure.h"

enum { BEFORE_STATUS = sizeof "$iothub/twin/res/" - 1 }; /* in an answer's topic */

/* Shared by the list of its hub, while it has no answer, and its timer. */
typedef struct request {
    tern__list link; /* in the hub's, until it ends */
    atomic_uint refs;
    tern_azure_hub *hub;
    uint64_t id;
    uint64_t timer;
    tern_token *token; /* of its message */
    tern_azure_response_callback callback;
    void *user_data;
} request;

/* ---- topics ---- */

const char *tern__azure_query(const char *topic, const char *key, size_t *len)
{
    size_t key_len = strlen(key);
    const char *at = strchr(topic, '?');
    *len = 0;
    while (at != NULL) {
        at++;
        size_t part = strcspn(at, "&");
        if (part > key_len && memcmp(at, key, key_len) == 0 && at[key_len] == '=') {
            *len = part - key_len - 1;
            return at + key_len + 1;
        }
        at = at[part] == '&' ? at + part : NULL;
    }
    return NULL;
}

/* Decimal digits up to the end of the value. */
static bool read_number(const char *text, size_t len, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10) return false;
        *number = *number * 10 + digit;
    }
    return len != 0;
}

bool tern__azure_query_number(const char *topic, const char *key, uint64_t *number)
{
    size_t len;
    const char *value = tern__azure_query(topic, key, &len);
    return value != NULL && read_number(value, len, number);
}

/* ---- ends ---- */

static void unref(request *it)
{
    if (atomic_fetch_sub(&it->refs, 1) != 1) return;
    tern_token_unref(it->token);
    tern__free(it);
}

/* The request has left the list: it is told, and the list's reference given back. */
static void finish(request *it, const tern_azure_response *response)
{
    if (it->callback != NULL) it->callback(it->hub, response, it->user_data);
    unref(it);
}

static void finish_without(request *it, int error)
{
    const tern_azure_response response = {.error = error};
    finish(it, &response);
}

/* Takes it from the list; NULL where it is not there any more. */
static request *take(tern_azure_hub *hub, uint64_t id)
{
    request *found = NULL;
    tern__mutex_lock(&hub->lock);
    for (tern__list *link = hub->requests.next; link != &hub->requests; link = link->next) {
        request *it = TERN__CONTAINER(link, request, link);
        if (it->id != id) continue;
        found = it;
        tern__list_remove(link);
        break;
    }
    tern__mutex_unlock(&hub->lock);
    return found;
}

static void on_time(tern_client *client, int due, void *user_data)
{
    request *it = user_data;
    (void)client;
    request *mine = take(it->hub, it->id);
    if (mine != NULL) finish_without(mine, due ? TERN_E_TIMEOUT : TERN_E_CLOSED);
    unref(it);
}

/* The answer's status is between the topic's beginning and the next slash. */
static bool read_answer(const char *topic, tern_azure_response *response, uint64_t *id)
{
    uint64_t status;
    const char *at = topic + BEFORE_STATUS;
    if (!read_number(at, strcspn(at, "/"), &status) || status > INT32_MAX) return false;
    if (!tern__azure_query_number(topic, "$rid", id)) return false;
    if (!tern__azure_query_number(topic, "$version", &response->version)) response->version = 0;
    response->status = (int)status;
    response->error = status >= 200 && status <= 299 ? 0 : TERN_E_REFUSED;
    return true;
}

static void on_answer(tern_client *client, const tern_message *message, void *user_data)
{
    tern_azure_hub *hub = user_data;
    tern_azure_response response = {.message = message};
    uint64_t id;
    if (!read_answer(tern_message_topic(message), &response, &id)) return;
    request *it = take(hub, id);
    if (it == NULL) return; /* it timed out, or is another program's of the same device */
    (void)tern_client_cancel_timer(client, it->timer); /* its callback gives the other reference back */
    finish(it, &response);
}

void tern__azure_requests_lost(tern_azure_hub *hub)
{
    tern__list lost;
    tern__list_init(&lost);
    tern__mutex_lock(&hub->lock);
    tern__list *link = hub->requests.next;
    while (link != &hub->requests) {
        request *it = TERN__CONTAINER(link, request, link);
        link = link->next;
        if (!tern_token_done(it->token)) continue; /* it goes out, or out again, on the next connection */
        tern__list_remove(&it->link);
        tern__list_append(&lost, &it->link);
    }
    tern__mutex_unlock(&hub->lock);
    while ((link = tern__list_shift(&lost)) != NULL) {
        request *it = TERN__CONTAINER(link, request, link);
        (void)tern_client_cancel_timer(hub->client, it->timer);
        finish_without(it, TERN_E_CONNECTION_LOST);
    }
}

bool tern__azure_requests_open(tern_azure_hub *hub)
{
    tern__mutex_lock(&hub->lock);
    bool open = !tern__list_empty(&hub->requests);
    tern__mutex_unlock(&hub->lock);
    return open;
}

int tern__azure_requests_start(tern_azure_hub *hub)
{
    int rc = tern_client_set_filter_handler(hub->client, "$iothub/twin/res/#", on_answer, hub);
    return rc != 0 ? rc : tern_client_subscribe(hub->client, "$iothub/twin/res/#", TERN_QOS_0, NULL);
}

/* ---- asking ---- */

/* A request in the list, with three references: the list's, its timer's, and the caller's. NULL without memory. */
static request *add(tern_azure_hub *hub, tern_azure_response_callback callback, void *user_data)
{
    request *it = tern__calloc(1, sizeof *it);
    if (it == NULL) return NULL;
    atomic_init(&it->refs, 3);
    it->hub = hub;
    it->callback = callback;
    it->user_data = user_data;
    tern__list_init(&it->link);
    tern__mutex_lock(&hub->lock);
    it->id = ++hub->last_request;
    tern__list_append(&hub->requests, &it->link);
    tern__mutex_unlock(&hub->lock);
    return it;
}

/* It could not be asked. Where its time was over meanwhile it has been told so, and that is its end. */
static int give_up(request *it, int error)
{
    request *mine = take(it->hub, it->id);
    if (mine == NULL) return 0;
    unref(mine);
    return error;
}

static int publish(request *it, const char *action, const void *payload, size_t payload_length)
{
    char topic[96];
    tern_token *token = NULL;
    snprintf(topic, sizeof topic, "$iothub/twin/%s/?$rid=%" PRIu64, action, it->id);
    int rc = tern_client_publish_token(it->hub->client, topic, payload, payload_length, TERN_QOS_1 | TERN_UNCOMPRESSED, &token);
    if (rc != 0) {
        (void)tern_client_cancel_timer(it->hub->client, it->timer);
        return give_up(it, rc);
    }
    tern__mutex_lock(&it->hub->lock);
    it->token = token;
    tern__mutex_unlock(&it->hub->lock);
    return 0;
}

static int ask(tern_azure_hub *hub, const char *action, const void *payload, size_t payload_length, uint32_t timeout_ms,
               request *it)
{
    if (it == NULL) return TERN_E_NOMEM;
    int rc = tern_client_set_timer(hub->client, timeout_ms, on_time, it, &it->timer);
    if (rc == 0) {
        rc = publish(it, action, payload, payload_length);
    } else {
        rc = give_up(it, rc);
        unref(it); /* the timer's */
    }
    unref(it);
    return rc;
}

int tern_azure_hub_get_twin(tern_azure_hub *hub, uint32_t timeout_ms, tern_azure_response_callback callback, void *user_data)
{
    if (hub == NULL || callback == NULL || timeout_ms == 0) return TERN_E_INVALID;
    return ask(hub, "GET", NULL, 0, timeout_ms, add(hub, callback, user_data));
}

int tern_azure_hub_report(tern_azure_hub *hub, const void *payload, size_t payload_length, uint32_t timeout_ms,
                          tern_azure_response_callback callback, void *user_data)
{
    if (hub == NULL || timeout_ms == 0 || (payload == NULL && payload_length != 0)) return TERN_E_INVALID;
    return ask(hub, "PATCH/properties/reported", payload, payload_length, timeout_ms, add(hub, callback, user_data));
}

/* ---- reading ---- */

int tern_azure_response_error(const tern_azure_response *response)
{
    return response != NULL ? response->error : TERN_E_INVALID;
}

int tern_azure_response_status(const tern_azure_response *response)
{
    return response != NULL ? response->status : 0;
}

uint64_t tern_azure_response_version(const tern_azure_response *response)
{
    return response != NULL ? response->version : 0;
}

const void *tern_azure_response_payload(const tern_azure_response *response)
{
    if (response == NULL) return NULL;
    return response->message != NULL ? tern_message_payload(response->message) : "";
}

size_t tern_azure_response_payload_length(const tern_azure_response *response)
{
    return response != NULL && response->message != NULL ? tern_message_payload_length(response->message) : 0;
}
