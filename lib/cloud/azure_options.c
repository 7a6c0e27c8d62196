/* How to be a device of an Azure IoT Hub: options, and what a hub sets of its client.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/message.h>
#include <tern/options.h>
#include <tern/transform.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "cloud/azure.h"
#include "cloud/limits.h"
#include "cloud/percent.h"

enum {
    LIFE = 3600,
    LIFE_MINIMUM = 5,
    LIFE_MAXIMUM = 31536000,
    KEEP_ALIVE = 240,
    KEEP_ALIVE_MAXIMUM = 1177, /* the service closes after one and a half of it, and after 1,767 s */
    MESSAGE_MAXIMUM = 256 * 1024,
    SESSION_EXPIRY = 3600
};

static int make(tern_azure_options *made, const char *connection_string)
{
    made->token_life = LIFE;
    made->keep_alive = KEEP_ALIVE;
    int rc = tern__connection_string_parse(connection_string, &made->parsed, NULL, 0);
    if (rc == 0) rc = tern_client_options_new(&made->client);
    if (rc == 0) rc = tern_connection_options_new(&made->connection);
    return rc != 0 ? rc : tern_connection_options_set_session(made->connection, TERN_SESSION_PERSISTENT, SESSION_EXPIRY);
}

int tern_azure_options_new(tern_azure_options **options, const char *connection_string)
{
    if (options != NULL) *options = NULL;
    if (options == NULL || connection_string == NULL) return TERN_E_INVALID;
#ifdef TERN_WITH_TLS
    tern_azure_options *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    int rc = make(made, connection_string);
    if (rc != 0) {
        tern_azure_options_free(made);
        return rc;
    }
    *options = made;
    return 0;
#else
    (void)make;
    return TERN_E_UNSUPPORTED;
#endif
}

void tern_azure_options_free(tern_azure_options *options)
{
    if (options == NULL) return;
    tern__connection_string_deinit(&options->parsed);
    tern_client_options_free(options->client);
    tern_connection_options_free(options->connection);
    tern__free(options->server);
    tern__free(options->model_id);
    tern__free(options);
}

int tern_azure_connection_string_error(const char *connection_string, char *buffer, size_t size)
{
    tern__connection_string parsed;
    int rc = tern__connection_string_parse(connection_string != NULL ? connection_string : "", &parsed, buffer, size);
    tern__connection_string_deinit(&parsed);
    return rc;
}

tern_client_options *tern_azure_options_client(tern_azure_options *options)
{
    return options != NULL ? options->client : NULL;
}

tern_connection_options *tern_azure_options_connection(tern_azure_options *options)
{
    return options != NULL ? options->connection : NULL;
}

int tern_azure_options_set_token_life(tern_azure_options *options, uint32_t seconds)
{
    if (options == NULL || seconds < LIFE_MINIMUM || seconds > LIFE_MAXIMUM) return TERN_E_INVALID;
    options->token_life = seconds;
    return 0;
}

int tern_azure_options_set_keep_alive(tern_azure_options *options, uint16_t seconds)
{
    if (options == NULL || seconds == 0 || seconds > KEEP_ALIVE_MAXIMUM) return TERN_E_INVALID;
    options->keep_alive = seconds;
    return 0;
}

int tern_azure_options_set_websocket(tern_azure_options *options, int websocket)
{
    if (options == NULL || (websocket != 0 && websocket != 1)) return TERN_E_INVALID;
    options->websocket = websocket != 0;
    return 0;
}

/* Replaces a text of the options. */
static int replace(char **place, const char *text)
{
    char *copy = text != NULL ? tern__strdup(text) : NULL;
    if (text != NULL && copy == NULL) return TERN_E_NOMEM;
    tern__free(*place);
    *place = copy;
    return 0;
}

int tern_azure_options_set_server(tern_azure_options *options, const char *url)
{
    if (options == NULL) return TERN_E_INVALID;
    int rc = url != NULL ? tern_url_error(url, NULL, 0) : 0;
    return rc != 0 ? rc : replace(&options->server, url);
}

int tern_azure_options_set_model_id(tern_azure_options *options, const char *model_id)
{
    enum { LONGEST = 256 };
    if (options == NULL || (model_id != NULL && strlen(model_id) > LONGEST)) return TERN_E_INVALID;
    if (model_id != NULL && !tern__utf8_valid(model_id, strlen(model_id))) return TERN_E_UTF8;
    return replace(&options->model_id, model_id);
}

/* ---- what a hub sets ---- */

char *tern__azure_join(const char *const *texts)
{
    tern__buf all = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && texts[i] != NULL; i++) rc = tern__buf_append(&all, texts[i], strlen(texts[i]));
    if (rc == 0) rc = tern__buf_append(&all, "", 1);
    if (rc == 0) return (char *)all.data;
    tern__buf_deinit(&all);
    return NULL;
}

char *tern__azure_path(const tern__connection_string *parsed)
{
    const char *device[] = {"devices/", parsed->device, NULL};
    const char *module[] = {"devices/", parsed->device, "/modules/", parsed->module, NULL};
    return tern__azure_join(parsed->module != NULL ? module : device);
}

char *tern__azure_user_name(const tern_azure_options *options)
{
    const tern__connection_string *parsed = &options->parsed;
    tern__buf model = {0};
    int rc = 0;
    if (options->model_id != NULL) {
        rc = tern__buf_append(&model, "&model-id=", 10);
        if (rc == 0) rc = tern__percent_encode(&model, options->model_id, strlen(options->model_id), "");
    }
    if (rc == 0) rc = tern__buf_append(&model, "", 1);
    bool module = parsed->module != NULL;
    const char *texts[] = {parsed->host,  "/", parsed->device, module ? "/" : "", module ? parsed->module : "",
                           "/?api-version=2021-04-12", (const char *)model.data, NULL};
    char *name = rc == 0 ? tern__azure_join(texts) : NULL;
    tern__buf_deinit(&model);
    return name;
}

static int set_server(const tern_azure_options *options)
{
    const tern__connection_string *parsed = &options->parsed;
    const char *host = parsed->gateway != NULL ? parsed->gateway : parsed->host;
    const char *path = parsed->x509 ? "/$iothub/websocket" : "/$iothub/websocket?iothub-no-client-cert=true";
    const char *websocket[] = {"wss://", host, path, NULL};
    const char *plain[] = {"mqtts://", host, NULL};
    const char *other[] = {options->server, NULL};
    char *url = tern__azure_join(options->server != NULL ? other : options->websocket ? websocket : plain);
    if (url == NULL) return TERN_E_NOMEM;
    int rc = tern_connection_options_clear_servers(options->connection);
    if (rc == 0) rc = tern_connection_options_add_server(options->connection, url);
    tern__free(url);
    return rc;
}

static int set_client_id(const tern_azure_options *options)
{
    const tern__connection_string *parsed = &options->parsed;
    const char *module[] = {parsed->device, "/", parsed->module, NULL};
    const char *device[] = {parsed->device, NULL};
    char *id = tern__azure_join(parsed->module != NULL ? module : device);
    if (id == NULL) return TERN_E_NOMEM;
    int rc = tern_client_options_set_client_id(options->client, id);
    tern__free(id);
    return rc;
}

/* The token that came with the options; those made here come with each attempt. */
static int set_credentials(const tern_azure_options *options)
{
    const char *password = options->parsed.signature;
    char *name = tern__azure_user_name(options);
    if (name == NULL) return TERN_E_NOMEM;
    int rc = tern_connection_options_set_credentials(options->connection, name, password,
                                                     password != NULL ? strlen(password) : 0);
    tern__free(name);
    return rc;
}

/* Behind the application's transforms: what counts is what they make of a message. */
static int set_limits(tern_azure_options *options)
{
    if (options->limited) return 0;
    char *path = tern__azure_path(&options->parsed);
    const char *parts[] = {path, "/messages/events/", NULL};
    char *events = path != NULL ? tern__azure_join(parts) : NULL;
    const char *topics[] = {events, "$iothub/twin/GET/?$rid=", "$iothub/twin/PATCH/properties/reported/?$rid=",
                            "$iothub/methods/res/"};
    const tern__service_limits limits = {.service = "Azure IoT Hub",
                                         .maximum_bytes = MESSAGE_MAXIMUM,
                                         .maximum_qos = 1,
                                         .topics = topics,
                                         .topic_count = sizeof topics / sizeof topics[0]};
    tern_transform *transform = NULL;
    int rc = events != NULL ? tern__service_limits_transform(&transform, &limits) : TERN_E_NOMEM;
    if (rc == 0) rc = tern_client_options_add_transform(options->client, transform);
    options->limited = rc == 0;
    tern_transform_unref(transform);
    tern__free(events);
    tern__free(path);
    return rc;
}

int tern__azure_options_apply(tern_azure_options *options)
{
    tern_connection_options *connection = options->connection;
    int rc = set_client_id(options);
    if (rc == 0) rc = set_limits(options);
    if (rc == 0) rc = set_server(options);
    if (rc == 0) rc = tern_connection_options_set_version(connection, TERN_VERSION_311);
    if (rc == 0) rc = tern_connection_options_set_keep_alive(connection, options->keep_alive);
    return rc != 0 ? rc : set_credentials(options);
}
