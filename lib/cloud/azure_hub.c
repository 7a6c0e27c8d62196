/* A hub: the client of an Azure IoT Hub device, its topics and its handlers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/message.h>
#include <tern/token.h>

#include "base/alloc.h"
#include "cloud/azure.h"
#include "cloud/percent.h"

static const char desired_filter[] = "$iothub/twin/PATCH/properties/desired/#";
static const char method_filter[] = "$iothub/methods/POST/#";
enum { BEFORE_NAME = sizeof "$iothub/methods/POST/" - 1 }; /* of a method, in its topic */

/* A copy of the handlers of now: callbacks run under no lock. */
static tern__azure_handlers handlers_of(tern_azure_hub *hub)
{
    tern__mutex_lock(&hub->lock);
    tern__azure_handlers handlers = hub->handlers;
    tern__mutex_unlock(&hub->lock);
    return handlers;
}

/* ---- what comes in ---- */

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    tern_azure_hub *hub = user_data;
    (void)client;
    if (tern_event_get_kind(event) == TERN_EVENT_DISCONNECTED) tern__azure_requests_lost(hub);
    tern__azure_handlers handlers = handlers_of(hub);
    if (handlers.event != NULL) handlers.event(hub, event, handlers.event_data);
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    tern_azure_hub *hub = user_data;
    const char *topic = tern_message_topic(message);
    size_t before = strlen(hub->bound);
    tern_azure_properties properties = {0};
    (void)client;
    /* Without memory the application has what there is of them, and the topic itself. */
    if (strlen(topic) > before) (void)tern__azure_properties_read(topic + before, strlen(topic) - before, &properties);
    tern__azure_handlers handlers = handlers_of(hub);
    if (handlers.message != NULL) handlers.message(hub, message, &properties, handlers.message_data);
    tern__azure_properties_deinit(&properties);
}

static void on_desired(tern_client *client, const tern_message *message, void *user_data)
{
    tern_azure_hub *hub = user_data;
    uint64_t version;
    (void)client;
    if (!tern__azure_query_number(tern_message_topic(message), "$version", &version)) version = 0;
    tern__azure_handlers handlers = handlers_of(hub);
    if (handlers.desired != NULL)
        handlers.desired(hub, version, tern_message_payload(message), tern_message_payload_length(message), handlers.desired_data);
}

/* Name and request id of the topic; NULL without memory, or where it has none. */
static void read_method(const char *topic, tern__buf *name, tern_azure_method *method)
{
    size_t id_len;
    const char *at = topic + BEFORE_NAME;
    const char *id = tern__azure_query(at, "$rid", &id_len);
    int rc = tern__percent_decode(name, at, strcspn(at, "/"));
    if (rc == 0) rc = tern__buf_append(name, "", 1);
    if (rc == 0) method->name = (char *)name->data;
    if (rc == 0 && id != NULL) method->request_id = tern__memdup(id, id_len);
}

static void on_method(tern_client *client, const tern_message *message, void *user_data)
{
    tern_azure_hub *hub = user_data;
    tern_azure_method method = {.message = message};
    tern__buf name = {0};
    (void)client;
    read_method(tern_message_topic(message), &name, &method);
    tern__azure_handlers handlers = handlers_of(hub);
    bool whole = method.name != NULL && method.request_id != NULL; /* else nobody could answer: its caller's time runs out */
    if (handlers.method != NULL && whole) handlers.method(hub, &method, handlers.method_data);
    tern__free(method.request_id);
    tern__buf_deinit(&name);
}

/* ---- its life ---- */

static void release(tern_azure_hub *hub)
{
    tern__connection_string_deinit(&hub->parsed);
    tern__free(hub->resource);
    tern__free(hub->user_name);
    tern__free(hub->events);
    tern__free(hub->bound);
    tern__free(hub->bound_filter);
    tern__mutex_deinit(&hub->lock);
    tern__free(hub);
}

/* The client's last callback: nobody uses the hub any more. */
static void on_last(tern_token *token, void *user_data)
{
    (void)token;
    release(user_data);
}

static int copy_text(const char *from, char **to)
{
    if (from == NULL) return 0;
    *to = tern__strdup(from);
    return *to != NULL ? 0 : TERN_E_NOMEM;
}

static int copy_identity(tern_azure_hub *hub, const tern_azure_options *options)
{
    const tern__connection_string *from = &options->parsed;
    int rc = copy_text(from->host, &hub->parsed.host);
    if (rc == 0) rc = copy_text(from->policy, &hub->parsed.policy);
    if (rc != 0 || from->key == NULL) return rc;
    hub->parsed.key = tern__memdup(from->key, from->key_length);
    hub->parsed.key_length = hub->parsed.key != NULL ? from->key_length : 0;
    return hub->parsed.key != NULL ? 0 : TERN_E_NOMEM;
}

static int copy_texts(tern_azure_hub *hub, const tern_azure_options *options)
{
    char *path = tern__azure_path(&options->parsed);
    if (path == NULL) return TERN_E_NOMEM;
    hub->token_life = options->token_life;
    hub->user_name = tern__azure_user_name(options);
    hub->resource = tern__azure_join((const char *[]){hub->parsed.host, "/", path, NULL});
    hub->events = tern__azure_join((const char *[]){path, "/messages/events/", NULL});
    hub->bound = tern__azure_join((const char *[]){path, "/messages/devicebound/", NULL});
    hub->bound_filter = tern__azure_join((const char *[]){path, "/messages/devicebound/#", NULL});
    tern__free(path);
    bool whole = hub->user_name != NULL && hub->resource != NULL && hub->events != NULL && hub->bound != NULL &&
                 hub->bound_filter != NULL;
    return whole ? 0 : TERN_E_NOMEM;
}

static int start(tern_azure_hub *hub, tern_azure_options *options)
{
    int rc = tern__azure_options_apply(options);
    if (rc == 0) rc = tern_client_new(&hub->client, options->client);
    if (rc == 0) rc = tern_client_configure(hub->client, options->connection);
    if (rc == 0) rc = tern_client_set_event_handler(hub->client, on_event, hub);
    if (rc == 0) rc = tern__azure_token_start(hub);
    return rc != 0 ? rc : tern__azure_requests_start(hub);
}

int tern_azure_hub_new(tern_azure_hub **hub, tern_azure_options *options)
{
    if (hub != NULL) *hub = NULL;
    if (hub == NULL || options == NULL) return TERN_E_INVALID;
    tern_azure_hub *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    tern__list_init(&made->requests);
    int rc = tern__mutex_init(&made->lock);
    if (rc != 0) {
        tern__free(made);
        return rc;
    }
    rc = copy_identity(made, options);
    if (rc == 0) rc = copy_texts(made, options);
    if (rc == 0) rc = start(made, options);
    if (rc != 0) {
        tern_client_free(made->client);
        release(made);
        return rc;
    }
    *hub = made;
    return 0;
}

void tern_azure_hub_free(tern_azure_hub *hub)
{
    if (hub == NULL) return;
    tern_client *client = hub->client;
    tern_token *closed = NULL;
    if (!tern_client_in_callback(client)) {
        tern_client_free(client);
        release(hub);
        return;
    }
    /* Callbacks that use the hub may still follow: the last one of all lets go of it. */
    if (tern_client_close(client, 0, 0, &closed) == 0) (void)tern_token_set_callback(closed, on_last, hub);
    tern_token_unref(closed);
    tern_client_free(client);
}

tern_client *tern_azure_hub_client(tern_azure_hub *hub)
{
    return hub != NULL ? hub->client : NULL;
}

int tern_azure_hub_start(tern_azure_hub *hub, tern_token **token)
{
    if (token != NULL) *token = NULL;
    return hub != NULL ? tern_client_connect(hub->client, token) : TERN_E_INVALID;
}

/* ---- handlers ---- */

int tern_azure_hub_set_event_handler(tern_azure_hub *hub, tern_azure_event_callback callback, void *user_data)
{
    if (hub == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&hub->lock);
    hub->handlers.event = callback;
    hub->handlers.event_data = user_data;
    tern__mutex_unlock(&hub->lock);
    return 0;
}

/* The application's handler is set already: messages go to it from the first on, or to nobody any more. */
static int follow(tern_azure_hub *hub, const char *filter, uint32_t qos, tern_message_callback callback)
{
    int rc = tern_client_set_filter_handler(hub->client, filter, callback, hub);
    if (rc == TERN_E_NOT_FOUND) return 0; /* none was set, and none is wanted */
    if (rc != 0) return rc;
    return callback != NULL ? tern_client_subscribe(hub->client, filter, qos, NULL)
                            : tern_client_unsubscribe(hub->client, filter, NULL);
}

int tern_azure_hub_set_message_handler(tern_azure_hub *hub, tern_azure_message_callback callback, void *user_data)
{
    if (hub == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&hub->lock);
    hub->handlers.message = callback;
    hub->handlers.message_data = user_data;
    tern__mutex_unlock(&hub->lock);
    return follow(hub, hub->bound_filter, TERN_QOS_1, callback != NULL ? on_message : NULL);
}

int tern_azure_hub_set_desired_handler(tern_azure_hub *hub, tern_azure_desired_callback callback, void *user_data)
{
    if (hub == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&hub->lock);
    hub->handlers.desired = callback;
    hub->handlers.desired_data = user_data;
    tern__mutex_unlock(&hub->lock);
    return follow(hub, desired_filter, TERN_QOS_0, callback != NULL ? on_desired : NULL);
}

int tern_azure_hub_set_method_handler(tern_azure_hub *hub, tern_azure_method_callback callback, void *user_data)
{
    if (hub == NULL) return TERN_E_INVALID;
    tern__mutex_lock(&hub->lock);
    hub->handlers.method = callback;
    hub->handlers.method_data = user_data;
    tern__mutex_unlock(&hub->lock);
    return follow(hub, method_filter, TERN_QOS_0, callback != NULL ? on_method : NULL);
}

/* ---- what goes out ---- */

int tern_azure_hub_send_message(tern_azure_hub *hub, const void *payload, size_t payload_length,
                                const tern_azure_properties *properties, uint32_t flags, tern_token **token)
{
    if (token != NULL) *token = NULL;
    if (hub == NULL) return TERN_E_INVALID;
    tern__buf topic = {0};
    tern_message *message = NULL;
    int rc = tern__buf_append(&topic, hub->events, strlen(hub->events));
    if (rc == 0) rc = tern__azure_properties_write(properties, &topic);
    if (rc == 0) rc = tern__buf_append(&topic, "", 1);
    if (rc == 0) rc = tern_message_new(&message, (const char *)topic.data, payload, payload_length, flags);
    if (rc == 0) rc = tern_client_publish_message(hub->client, message, NULL, token);
    tern_message_unref(message);
    tern__buf_deinit(&topic);
    return rc;
}

/* An id as the service makes them: nothing that would end it, or the topic. */
static bool is_request_id(const char *id)
{
    enum { LONGEST = 128 };
    size_t len = strlen(id);
    return len != 0 && len <= LONGEST && strcspn(id, "/+#?&=") == len;
}

int tern_azure_hub_answer_method(tern_azure_hub *hub, const char *request_id, int status, const void *payload,
                                 size_t payload_length)
{
    char topic[200];
    tern_token *token = NULL; /* so that no delivery handler is told of what it does not know */
    if (hub == NULL || request_id == NULL || status < 0 || !is_request_id(request_id)) return TERN_E_INVALID;
    snprintf(topic, sizeof topic, "$iothub/methods/res/%d/?$rid=%s", status, request_id);
    int rc = tern_client_publish_token(hub->client, topic, payload, payload_length, TERN_QOS_1 | TERN_UNCOMPRESSED, &token);
    tern_token_unref(token);
    return rc;
}

/* ---- reading a method ---- */

const char *tern_azure_method_name(const tern_azure_method *method)
{
    return method != NULL ? method->name : NULL;
}

const char *tern_azure_method_request_id(const tern_azure_method *method)
{
    return method != NULL ? method->request_id : NULL;
}

const void *tern_azure_method_payload(const tern_azure_method *method)
{
    return method != NULL ? tern_message_payload(method->message) : NULL;
}

size_t tern_azure_method_payload_length(const tern_azure_method *method)
{
    return method != NULL ? tern_message_payload_length(method->message) : 0;
}
