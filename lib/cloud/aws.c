/* AWS IoT Core: what a client needs to be let in, and the service's limits.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tern/attempt.h>
#include <tern/aws.h>
#include <tern/client.h>
#include <tern/event.h>
#include <tern/options.h>
#include <tern/tls.h>
#include <tern/transform.h>

#include "base/alloc.h"
#include "cloud/limits.h"
#include "cloud/percent.h"
#include "cloud/sigv4.h"
#include "platform/clock.h"

enum {
    PORT_TLS = 8883,
    PORT_HTTPS = 443,
    ID_MAXIMUM = 128,
    PAYLOAD_MAXIMUM = 128 << 10,
    TOPIC_MAXIMUM = 256,
    SLASHES_MAXIMUM = 7,
    FILTERS_MAXIMUM = 8,
    INFLIGHT_MAXIMUM = 100,
    KEEP_ALIVE = 240,
    SIGNED_FOR_S = 86400
};

typedef enum way { NO_WAY, BY_CERTIFICATE, BY_AUTHORIZER, BY_WEBSOCKET } way;

struct tern_aws_options {
    char *endpoint;
    char *region;
    char *host; /* to connect to; NULL: the endpoint */
    uint16_t port; /* to connect to; 0: the way's */
    char *ca;
    way way;
    tern_client_options *client;
    tern_connection_options *connection;
    tern_tls_options *tls;
    tern_aws_credentials_callback callback;
    void *user_data;
};

struct tern_aws_credentials {
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL none */
};

/* ---- options ---- */

/* Overwrites a text before it is freed. */
static void wipe(char *text)
{
    if (text != NULL) tern__cleanse(text, strlen(text));
    tern__free(text);
}

static int set_text(char **to, const char *text)
{
    char *copy = tern__strdup(text);
    if (copy == NULL) return TERN_E_NOMEM;
    tern__free(*to);
    *to = copy;
    return 0;
}

/* Letters, digits, dots and hyphens: what is put into URLs and signatures. */
static bool is_host(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    return text[0] != '\0' && strlen(text) <= 253 && strspn(text, allowed) == strlen(text);
}

/* "eu-west-1" of "abc-ats.iot.eu-west-1.amazonaws.com"; NULL where the endpoint does not tell, or memory ran out. */
static char *region_of(const char *endpoint)
{
    const char *at = strstr(endpoint, ".iot.");
    if (at == NULL) return NULL;
    at += strlen(".iot.");
    size_t len = strcspn(at, ".");
    if (len == 0 || strncmp(at + len, ".amazonaws.", 11) != 0) return NULL;
    char *region = tern__malloc(len + 1);
    if (region == NULL) return NULL;
    memcpy(region, at, len);
    region[len] = '\0';
    return region;
}

static int make(tern_aws_options *made, const char *endpoint)
{
    int rc = set_text(&made->endpoint, endpoint);
    if (rc == 0) rc = tern_client_options_new(&made->client);
    if (rc == 0) rc = tern_connection_options_new(&made->connection);
    if (rc == 0) rc = tern_client_options_set_filters_per_subscribe(made->client, FILTERS_MAXIMUM);
    if (rc == 0) rc = tern_client_options_set_inflight_maximum(made->client, INFLIGHT_MAXIMUM);
    return rc == 0 ? tern_connection_options_set_keep_alive(made->connection, KEEP_ALIVE) : rc;
}

int tern_aws_options_new(tern_aws_options **options, const char *endpoint)
{
    if (options != NULL) *options = NULL;
    if (options == NULL || endpoint == NULL) return TERN_E_INVALID;
    if (!is_host(endpoint)) return TERN_E_URL;
#ifdef TERN_WITH_TLS
    tern_aws_options *made = tern__calloc(1, sizeof *made);
    if (made == NULL) return TERN_E_NOMEM;
    int rc = make(made, endpoint);
    if (rc == 0) rc = tern_tls_options_new(&made->tls);
    if (rc != 0) {
        tern_aws_options_free(made);
        return rc;
    }
    *options = made;
    return 0;
#else
    (void)make;
    return TERN_E_UNSUPPORTED;
#endif
}

void tern_aws_options_free(tern_aws_options *options)
{
    if (options == NULL) return;
    tern_client_options_free(options->client);
    tern_connection_options_free(options->connection);
    tern_tls_options_free(options->tls);
    tern__free(options->endpoint);
    tern__free(options->region);
    tern__free(options->host);
    tern__free(options->ca);
    tern__free(options);
}

tern_client_options *tern_aws_options_client(tern_aws_options *options)
{
    return options != NULL ? options->client : NULL;
}

tern_connection_options *tern_aws_options_connection(tern_aws_options *options)
{
    return options != NULL ? options->connection : NULL;
}

int tern_aws_options_set_certificate_files(tern_aws_options *options, const char *ca, const char *certificate, const char *key,
                                           uint16_t port)
{
    if (options == NULL || certificate == NULL || key == NULL || (port != PORT_TLS && port != PORT_HTTPS)) return TERN_E_INVALID;
    int rc = tern_tls_options_set_certificate_file(options->tls, certificate, key);
    if (rc == 0) rc = tern_tls_options_set_alpn(options->tls, port == PORT_HTTPS ? "x-amzn-mqtt-ca" : NULL);
    if (rc == 0 && ca != NULL) rc = tern_aws_options_set_ca_file(options, ca);
    if (rc != 0) return rc;
    options->way = BY_CERTIFICATE;
    if (options->host == NULL) options->port = port;
    return 0;
}

/* "&name=value" with the value encoded, behind what is there; "?" for the first. */
static int append_parameter(tern__buf *out, const char *name, const char *value)
{
    bool first = memchr(out->data != NULL ? out->data : (const uint8_t *)"", '?', out->len) == NULL;
    int rc = tern__buf_append(out, first ? "?" : "&", 1);
    if (rc == 0) rc = tern__buf_append(out, name, strlen(name));
    if (rc == 0) rc = tern__buf_append(out, "=", 1);
    return rc == 0 ? tern__percent_encode(out, value, strlen(value), "") : rc;
}

static int authorizer_name(tern__buf *out, const char *authorizer, const char *user_name, const char *token_name, const char *token,
                           const char *signature)
{
    size_t room = (user_name != NULL ? strlen(user_name) : 0) + 200;
    if (authorizer != NULL) room += 3 * strlen(authorizer);
    if (token != NULL) room += 3 * (strlen(token) + strlen(signature)) + strlen(token_name);
    int rc = tern__buf_reserve(out, room); /* growing would leave the token behind */
    if (rc == 0 && user_name != NULL) rc = tern__buf_append(out, user_name, strlen(user_name));
    if (rc == 0 && authorizer != NULL) rc = append_parameter(out, "x-amz-customauthorizer-name", authorizer);
    if (rc == 0 && token != NULL) rc = append_parameter(out, "x-amz-customauthorizer-signature", signature);
    if (rc == 0 && token != NULL) rc = append_parameter(out, token_name, token);
    return rc == 0 ? tern__buf_append(out, "", 1) : rc;
}

int tern_aws_options_set_authorizer(tern_aws_options *options, const char *authorizer, const char *user_name, const void *password,
                                    size_t password_length, const char *token_name, const char *token, const char *signature)
{
    tern__buf name = {0};
    bool some = token_name != NULL || token != NULL || signature != NULL;
    bool all = token_name != NULL && token != NULL && signature != NULL;
    if (options == NULL || (some && !all) || (password == NULL && password_length != 0)) return TERN_E_INVALID;
    int rc = authorizer_name(&name, authorizer, user_name, token_name, token, signature);
    if (rc == 0)
        rc = tern_connection_options_set_credentials(options->connection, (const char *)name.data, password, password_length);
    if (name.data != NULL) tern__cleanse(name.data, name.cap);
    tern__buf_deinit(&name);
    if (rc == 0) rc = tern_tls_options_set_alpn(options->tls, "mqtt");
    if (rc != 0) return rc;
    options->way = BY_AUTHORIZER;
    if (options->host == NULL) options->port = PORT_HTTPS;
    return 0;
}

int tern_aws_options_set_websocket(tern_aws_options *options, const char *region, tern_aws_credentials_callback callback,
                                   void *user_data)
{
    if (options == NULL || callback == NULL || (region != NULL && !is_host(region))) return TERN_E_INVALID;
    char *name = region != NULL ? tern__strdup(region) : region_of(options->endpoint);
    if (name == NULL) return region != NULL || strstr(options->endpoint, ".iot.") != NULL ? TERN_E_NOMEM : TERN_E_INVALID;
    tern__free(options->region);
    options->region = name;
    options->callback = callback;
    options->user_data = user_data;
    options->way = BY_WEBSOCKET;
    if (options->host == NULL) options->port = PORT_HTTPS;
    return tern_tls_options_set_alpn(options->tls, NULL);
}

int tern_aws_options_set_ca_file(tern_aws_options *options, const char *ca)
{
    if (options == NULL || ca == NULL) return TERN_E_INVALID;
    return set_text(&options->ca, ca);
}

int tern_aws_options_set_address(tern_aws_options *options, const char *host, uint16_t port)
{
    if (options == NULL || host == NULL || !is_host(host) || port == 0) return TERN_E_INVALID;
    int rc = set_text(&options->host, host);
    if (rc == 0) options->port = port;
    return rc;
}

int tern_aws_options_set_backoff(tern_aws_options *options, uint32_t base_s, uint32_t maximum_s, uint32_t stable_s)
{
    enum { LONGEST_S = 4000000 };
    if (options == NULL || base_s == 0 || base_s > maximum_s || maximum_s > LONGEST_S || stable_s > LONGEST_S) return TERN_E_INVALID;
    int rc = tern_connection_options_set_retry_delay(options->connection, base_s * 1000, maximum_s * 1000, TERN_JITTER_PROPORTIONAL);
    return rc == 0 ? tern_connection_options_set_retry_limit(options->connection, 0, stable_s * 1000) : rc;
}

int tern_aws_options_set_offline_queue(tern_aws_options *options, int64_t messages, tern_outbox_policy policy)
{
    if (options == NULL || messages < -1 || messages == 0 || (uint64_t)messages > SIZE_MAX) {
        if (options == NULL || messages != -1) return TERN_E_INVALID;
    }
    int rc = tern_client_options_set_outbox_policy(options->client, policy, 0);
    return rc == 0 ? tern_client_options_set_outbox_limits(options->client, SIZE_MAX, messages == -1 ? 0 : (size_t)messages) : rc;
}

int tern_aws_options_set_draining_frequency(tern_aws_options *options, uint32_t per_second)
{
    if (options == NULL || per_second == 0) return TERN_E_INVALID;
    return tern_client_options_set_drain_rate(options->client, per_second, 1000);
}

/* ---- signing each attempt ---- */

/* What attempts need; released with the client's last reference. */
typedef struct signer {
    char *endpoint;
    char *region;
    char *host;
    uint16_t port;
    tern_aws_credentials_callback callback;
    void *user_data;
} signer;

int tern_aws_credentials_set(tern_aws_credentials *credentials, const char *access_key, const char *secret_key,
                             const char *session_token)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (credentials == NULL || access_key == NULL || secret_key == NULL || access_key[0] == '\0' || secret_key[0] == '\0' ||
        strspn(access_key, allowed) != strlen(access_key))
        return TERN_E_INVALID;
    tern_aws_credentials fresh = {tern__strdup(access_key), tern__strdup(secret_key),
                                  session_token != NULL ? tern__strdup(session_token) : NULL};
    if (fresh.access_key == NULL || fresh.secret_key == NULL || (session_token != NULL && fresh.session_token == NULL)) {
        wipe(fresh.access_key);
        wipe(fresh.secret_key);
        wipe(fresh.session_token);
        return TERN_E_NOMEM;
    }
    wipe(credentials->access_key);
    wipe(credentials->secret_key);
    wipe(credentials->session_token);
    *credentials = fresh;
    return 0;
}

/* The URL that the service takes; `url` is the caller's to wipe. */
static int sign_url(const signer *s, const tern_aws_credentials *credentials, tern__buf *url)
{
    enum { AROUND = 1000 };
    char head[300];
    const tern__sigv4 request = {s->endpoint, s->region, credentials->access_key, credentials->secret_key,
                                 credentials->session_token, tern__clock_wall_us() / 1000000, SIGNED_FOR_S};
    size_t token = credentials->session_token != NULL ? strlen(credentials->session_token) : 0;
    snprintf(head, sizeof head, "wss://%s:%u", s->host, s->port);
    int rc = tern__buf_reserve(url, strlen(head) + 3 * (token + strlen(credentials->access_key)) + AROUND);
    if (rc == 0) rc = tern__buf_append(url, head, strlen(head));
    if (rc == 0) rc = tern__sigv4_sign(url, &request);
    return rc == 0 ? tern__buf_append(url, "", 1) : rc;
}

static int use_signed_url(const signer *s, tern_attempt *attempt, const tern_aws_credentials *credentials)
{
    tern__buf url = {0};
    tern_connection_options *options = tern_attempt_options(attempt);
    int rc = sign_url(s, credentials, &url);
    if (rc == 0) rc = tern_connection_options_clear_servers(options);
    if (rc == 0) rc = tern_connection_options_add_server(options, (const char *)url.data);
    if (url.data != NULL) tern__cleanse(url.data, url.cap);
    tern__buf_deinit(&url);
    return rc;
}

static void on_attempt(tern_client *client, tern_attempt *attempt, void *user_data)
{
    enum { AGAIN_MS = 1000, MOST_MS = 60000 };
    const signer *s = user_data;
    tern_aws_credentials credentials = {NULL, NULL, NULL};
    int rc = s->callback(client, &credentials, s->user_data);
    if (rc == 0 && credentials.access_key == NULL) rc = TERN_E_INVALID;
    if (rc == 0) rc = use_signed_url(s, attempt, &credentials);
    wipe(credentials.access_key);
    wipe(credentials.secret_key);
    wipe(credentials.session_token);
    uint32_t shift = tern_attempt_number(attempt) < 6 ? tern_attempt_number(attempt) : 6;
    uint32_t delay = (uint32_t)AGAIN_MS << shift;
    if (rc != 0) (void)tern_attempt_postpone(attempt, delay < MOST_MS ? delay : MOST_MS);
}

static void signer_free(void *user_data)
{
    signer *s = user_data;
    if (s == NULL) return;
    tern__free(s->endpoint);
    tern__free(s->region);
    tern__free(s->host);
    tern__free(s);
}

/* Makes it, and a transform that does nothing but keep it as long as the client. */
static int make_signer(const tern_aws_options *options, tern_client_options *client, signer **made)
{
    tern_transform *keeper = NULL;
    signer *s = tern__calloc(1, sizeof *s);
    if (s == NULL) return TERN_E_NOMEM;
    s->endpoint = tern__strdup(options->endpoint);
    s->region = tern__strdup(options->region);
    s->host = tern__strdup(options->host != NULL ? options->host : options->endpoint);
    s->port = options->port;
    s->callback = options->callback;
    s->user_data = options->user_data;
    int rc = s->endpoint != NULL && s->region != NULL && s->host != NULL ? 0 : TERN_E_NOMEM;
    if (rc == 0) rc = tern_transform_new(&keeper, NULL, NULL, signer_free, s);
    if (rc != 0) {
        signer_free(s);
        return rc;
    }
    rc = tern_client_options_add_transform(client, keeper);
    tern_transform_unref(keeper);
    if (rc == 0) *made = s;
    return rc;
}

/* ---- the client ---- */

static int add_limits(tern_client_options *client)
{
    static const tern__service_limits limits = {.service = "AWS IoT Core",
                                                .maximum_qos = 1,
                                                .retain = true,
                                                .maximum_payload = PAYLOAD_MAXIMUM,
                                                .maximum_topic = TOPIC_MAXIMUM,
                                                .maximum_slashes = SLASHES_MAXIMUM,
                                                .free_prefix = "$aws/rules/"};
    tern_transform *transform = NULL;
    int rc = tern__service_limits_transform(&transform, &limits);
    if (rc == 0) rc = tern_client_options_add_transform(client, transform);
    tern_transform_unref(transform);
    return rc;
}

/* Server and TLS. The certificate is the endpoint's whatever host is connected to. */
static int fill_connection(const tern_aws_options *options, tern_connection_options *connection)
{
    char url[320];
    const char *host = options->host != NULL ? options->host : options->endpoint;
    snprintf(url, sizeof url, "%s://%s:%u%s", options->way == BY_WEBSOCKET ? "wss" : "mqtts", host, options->port,
             options->way == BY_WEBSOCKET ? "/mqtt" : "");
    int rc = tern_connection_options_clear_servers(connection);
    if (rc == 0) rc = tern_connection_options_add_server(connection, url);
    if (rc == 0 && options->host != NULL) rc = tern_tls_options_set_server_name(options->tls, options->endpoint);
    if (rc == 0 && options->host != NULL) rc = tern_tls_options_set_verified_name(options->tls, options->endpoint);
    if (rc == 0 && options->ca != NULL) rc = tern_tls_options_add_ca_file(options->tls, options->ca);
    return rc == 0 ? tern_connection_options_set_tls(connection, options->tls) : rc;
}

int tern_aws_client_new(tern_client **client, const tern_aws_options *options)
{
    char id[ID_MAXIMUM + 1];
    tern_client *made = NULL;
    signer *s = NULL;
    tern_client_options *fixed = NULL;
    tern_connection_options *connection = NULL;
    if (client != NULL) *client = NULL;
    if (client == NULL || options == NULL || options->way == NO_WAY) return TERN_E_INVALID;
    int rc = tern_client_options_copy(options->client, &fixed);
    if (rc == 0) rc = tern_connection_options_copy(options->connection, &connection);
    if (rc == 0) rc = add_limits(fixed);
    if (rc == 0) rc = fill_connection(options, connection);
    if (rc == 0 && options->way == BY_WEBSOCKET) rc = make_signer(options, fixed, &s);
    if (rc == 0) rc = tern_client_new(&made, fixed);
    if (rc == 0 && tern_client_id(made, id, sizeof id) == TERN_E_TOO_LARGE) rc = TERN_E_INVALID;
    if (rc == 0) rc = tern_client_configure(made, connection);
    if (rc == 0 && s != NULL) rc = tern_client_set_attempt_handler(made, on_attempt, s);
    tern_client_options_free(fixed);
    tern_connection_options_free(connection);
    if (rc != 0) {
        tern_client_free(made);
        return rc;
    }
    *client = made;
    return 0;
}

/* ---- what failures mean there ---- */

static const char *meaning_of(const tern_event *event)
{
    int status = tern_event_http_status(event);
    if (status == 403)
        return "the service refused the signed URL: check the credentials, the region, that the policy allows iot:Connect, and this machine's clock";
    if (status == 426 || status == 400) return "the service did not take the WebSocket upgrade: check the endpoint and the path /mqtt";
    if (tern_event_error(event) == TERN_E_REFUSED)
        return "the service refused CONNECT: check that the certificate is active, that its policy allows iot:Connect for this client id, and that no other client has it";
    if (tern_event_get_kind(event) == TERN_EVENT_DISCONNECTED && tern_event_error(event) == TERN_E_CONNECTION_LOST)
        return "the service closes without a word where the policy does not allow a topic, and where another client connects with this client id";
    return NULL;
}

int tern_aws_explain(const tern_event *event, char *buffer, size_t size)
{
    if (buffer == NULL || size == 0) return 0;
    buffer[0] = '\0';
    const char *meaning = event != NULL ? meaning_of(event) : NULL;
    if (meaning == NULL) return 0;
    if (tern_event_http_status(event) == 403)
        snprintf(buffer, size, "%s (%llu seconds since 1970)", meaning, (unsigned long long)(tern__clock_wall_us() / 1000000));
    else
        snprintf(buffer, size, "%s", meaning);
    return 1;
}
