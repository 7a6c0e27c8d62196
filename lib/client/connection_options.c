/* Connection options: how to connect, replaceable at any time.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "client/options.h"
#include "codec/props.h"
#include "engine/message.h"

enum {
    DEFAULT_KEEP_ALIVE = 60,
    DEFAULT_TIMEOUT = 10000,
    DEFAULT_EXPIRY = 3600,
    DEFAULT_RETRY_BASE = 1000,
    DEFAULT_RETRY_MAXIMUM = 60000,
    DEFAULT_STABLE = 10000
};

int tern_connection_options_new(tern_connection_options **options)
{
    if (options == NULL) return TERN_E_INVALID;
    *options = NULL;
    tern_connection_options *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    made->keep_alive = DEFAULT_KEEP_ALIVE;
    made->connect_timeout_ms = DEFAULT_TIMEOUT;
    made->session_expiry = DEFAULT_EXPIRY;
    made->request_problem_info = true;
    made->retry_base_ms = DEFAULT_RETRY_BASE;
    made->retry_maximum_ms = DEFAULT_RETRY_MAXIMUM;
    made->stable_ms = DEFAULT_STABLE;
    *options = made;
    return 0;
}

static void server_deinit(tern__server *server)
{
    tern__uri_deinit(&server->uri);
    if (server->url != NULL) tern__cleanse(server->url, strlen(server->url));
    tern__free(server->url);
}

static void wipe(tern__buf *buf)
{
    tern__cleanse(buf->data, buf->len);
    tern__buf_deinit(buf);
}

void tern_connection_options_free(tern_connection_options *options)
{
    if (options == NULL) return;
    tern_connection_options_clear_servers(options);
    wipe(&options->user_name);
    wipe(&options->password);
    tern__buf_deinit(&options->will_topic);
    tern__buf_deinit(&options->will_payload);
    tern__buf_deinit(&options->will_props);
    tern__buf_deinit(&options->user_properties);
    tern__transport_options_deinit(&options->transport);
    tern__free(options);
}

int tern_connection_options_add_server(tern_connection_options *options, const char *url)
{
    if (options == NULL || url == NULL) return TERN_E_INVALID;
    tern__server server = {0};
    char why[256];
    int rc = tern__uri_parse(url, &server.uri, why, sizeof why);
    if (rc != 0) return rc;
    if (server.uri.tls) rc = tern__transport_options_need_tls(&options->transport);
    server.url = tern__strdup(url);
    tern__server *servers =
        rc != 0 || server.url == NULL
            ? NULL
            : tern__realloc(options->servers, (options->server_count + 1) * sizeof *servers);
    if (servers == NULL) {
        server_deinit(&server);
        return rc != 0 ? rc : TERN_E_NOMEM;
    }
    servers[options->server_count++] = server;
    options->servers = servers;
    return 0;
}

int tern_connection_options_clear_servers(tern_connection_options *options)
{
    if (options == NULL) return TERN_E_INVALID;
    for (size_t i = 0; i < options->server_count; i++) server_deinit(&options->servers[i]);
    tern__free(options->servers);
    options->servers = NULL;
    options->server_count = 0;
    return 0;
}

int tern_url_error(const char *url, char *buffer, size_t size)
{
    tern__uri uri;
    if (size != 0 && buffer != NULL) buffer[0] = '\0';
    char none[1];
    if (buffer == NULL || size == 0) {
        buffer = none;
        size = sizeof none;
    }
    int rc = tern__uri_parse(url != NULL ? url : "", &uri, buffer, size);
    if (rc == 0) tern__uri_deinit(&uri);
    return rc;
}

int tern_connection_options_set_version(tern_connection_options *options, tern_version version)
{
    if (options == NULL || (version != TERN_VERSION_AUTO && version != TERN_VERSION_311 &&
                            version != TERN_VERSION_5))
        return TERN_E_INVALID;
    options->version = version;
    return 0;
}

int tern_connection_options_set_credentials(tern_connection_options *options, const char *user_name,
                                            const void *password, size_t password_length)
{
    if (options == NULL || (password == NULL && password_length != 0)) return TERN_E_INVALID;
    size_t user_length = user_name != NULL ? strlen(user_name) : 0;
    if (user_length > UINT16_MAX || password_length > UINT16_MAX) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(user_name, user_length)) return TERN_E_UTF8; /* [MQTT5-3.1.3-12] */
    tern__buf user = {0};
    tern__buf secret = {0};
    if (tern__buf_append(&user, user_name, user_length) != 0 ||
        tern__buf_append(&secret, password, password_length) != 0) {
        wipe(&user);
        wipe(&secret);
        return TERN_E_NOMEM;
    }
    wipe(&options->user_name);
    wipe(&options->password);
    options->user_name = user;
    options->password = secret;
    options->has_user_name = user_name != NULL;
    options->has_password = password != NULL;
    return 0;
}

int tern_connection_options_set_keep_alive(tern_connection_options *options, uint16_t seconds)
{
    if (options == NULL) return TERN_E_INVALID;
    options->keep_alive = seconds;
    return 0;
}

int tern_connection_options_set_connect_timeout(tern_connection_options *options,
                                                uint32_t timeout_ms)
{
    if (options == NULL || timeout_ms == 0) return TERN_E_INVALID;
    options->connect_timeout_ms = timeout_ms;
    return 0;
}

int tern_connection_options_set_session(tern_connection_options *options, tern_session session,
                                        uint32_t expiry_seconds)
{
    if (options == NULL || (unsigned)session > TERN_SESSION_PERSISTENT) return TERN_E_INVALID;
    options->session = session;
    options->session_expiry = expiry_seconds;
    return 0;
}

static void remove_will(tern_connection_options *options)
{
    tern__buf_deinit(&options->will_topic);
    tern__buf_deinit(&options->will_payload);
    tern__buf_deinit(&options->will_props);
    options->has_will = false;
}

int tern_connection_options_set_will(tern_connection_options *options, const tern_message *will,
                                     uint32_t delay_seconds)
{
    if (options == NULL) return TERN_E_INVALID;
    if (will == NULL) {
        remove_will(options);
        return 0;
    }
    const tern__record *record = will->record;
    if (record->payload_len > UINT16_MAX) return TERN_E_TOO_LARGE;
    tern__buf topic = {0};
    tern__buf payload = {0};
    tern__buf props = {0};
    int rc = tern__buf_append(&topic, record->topic, record->topic_len);
    if (rc == 0) rc = tern__buf_append(&payload, record->payload, record->payload_len);
    if (rc == 0) rc = tern__buf_append(&props, record->props, record->props_len);
    if (rc == 0) {
        tern__props_remove(&props, TERN__PROP_TOPIC_ALIAS);
        tern__props_remove(&props, TERN__PROP_SUBSCRIPTION_ID);
        if (delay_seconds != 0) rc = tern__props_add_number(&props, TERN__PROP_WILL_DELAY, delay_seconds);
    }
    if (rc != 0) {
        tern__buf_deinit(&topic);
        tern__buf_deinit(&payload);
        tern__buf_deinit(&props);
        return rc;
    }
    remove_will(options);
    options->has_will = true;
    options->will_qos = record->qos;
    options->will_retain = (record->flags & TERN__RECORD_RETAIN) != 0;
    options->will_topic = topic;
    options->will_payload = payload;
    options->will_props = props;
    return 0;
}

int tern_connection_options_add_user_property(tern_connection_options *options, const char *name,
                                              const char *value)
{
    if (options == NULL || name == NULL || value == NULL) return TERN_E_INVALID;
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    if (name_len > UINT16_MAX || value_len > UINT16_MAX) return TERN_E_TOO_LARGE;
    if (!tern__utf8_valid(name, name_len) || !tern__utf8_valid(value, value_len))
        return TERN_E_UTF8;
    return tern__props_add_pair(&options->user_properties, name, name_len, value, value_len);
}

int tern_connection_options_set_request_problem_information(tern_connection_options *options,
                                                            int request)
{
    if (options == NULL || (request != 0 && request != 1)) return TERN_E_INVALID;
    options->request_problem_info = request != 0;
    return 0;
}

int tern_connection_options_set_request_response_information(tern_connection_options *options,
                                                             int request)
{
    if (options == NULL || (request != 0 && request != 1)) return TERN_E_INVALID;
    options->request_response_info = request != 0;
    return 0;
}

int tern_connection_options_set_retry_delay(tern_connection_options *options, uint32_t base_ms,
                                            uint32_t maximum_ms, tern_jitter jitter)
{
    if (options == NULL || base_ms == 0 || maximum_ms < base_ms ||
        (unsigned)jitter > TERN_JITTER_DECORRELATED)
        return TERN_E_INVALID;
    options->retry_base_ms = base_ms;
    options->retry_maximum_ms = maximum_ms;
    options->jitter = jitter;
    return 0;
}

int tern_connection_options_set_retry_limit(tern_connection_options *options, uint32_t attempts,
                                            uint32_t stable_ms)
{
    if (options == NULL) return TERN_E_INVALID;
    options->retry_attempts = attempts;
    options->stable_ms = stable_ms;
    return 0;
}

int tern_connection_options_set_retry_refused(tern_connection_options *options, int retry)
{
    if (options == NULL || (retry != 0 && retry != 1)) return TERN_E_INVALID;
    options->retry_refused = retry != 0;
    return 0;
}

static int copy_buf(tern__buf *to, const tern__buf *from)
{
    tern__buf_init(to);
    return tern__buf_append(to, from->data, from->len);
}

/* All but the servers. */
static int clone_without_servers(const tern_connection_options *options,
                                 tern_connection_options **copy)
{
    *copy = NULL;
    tern_connection_options *made = tern__malloc(sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    *made = *options;
    made->servers = NULL;
    made->server_count = 0;
    int rc = copy_buf(&made->user_name, &options->user_name);
    rc |= copy_buf(&made->password, &options->password);
    rc |= copy_buf(&made->will_topic, &options->will_topic);
    rc |= copy_buf(&made->will_payload, &options->will_payload);
    rc |= copy_buf(&made->will_props, &options->will_props);
    rc |= copy_buf(&made->user_properties, &options->user_properties);
    rc |= tern__transport_options_copy(&made->transport, &options->transport);
    if (rc != 0) {
        tern_connection_options_free(made);
        return TERN_E_NOMEM;
    }
    *copy = made;
    return 0;
}

static int clone_servers(const tern_connection_options *options, size_t first, size_t count,
                         tern_connection_options **copy)
{
    int rc = clone_without_servers(options, copy);
    for (size_t i = first; i < first + count && rc == 0; i++)
        rc = tern_connection_options_add_server(*copy, options->servers[i].url);
    if (rc == 0) return 0;
    tern_connection_options_free(*copy);
    *copy = NULL;
    return TERN_E_NOMEM;
}

int tern__connection_options_clone(const tern_connection_options *options,
                                   tern_connection_options **copy)
{
    return clone_servers(options, 0, options->server_count, copy);
}

int tern__connection_options_clone_for(const tern_connection_options *options, size_t server,
                                       tern_connection_options **copy)
{
    return clone_servers(options, server, 1, copy);
}

int tern_connection_options_copy(const tern_connection_options *options, tern_connection_options **copy)
{
    if (copy == NULL) return TERN_E_INVALID;
    *copy = NULL;
    return options != NULL ? tern__connection_options_clone(options, copy) : TERN_E_INVALID;
}

int tern_connection_options_set_first_server(tern_connection_options *options, size_t index)
{
    if (options == NULL) return TERN_E_INVALID;
    options->first_server = index;
    return 0;
}
