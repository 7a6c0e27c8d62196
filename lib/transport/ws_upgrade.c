/* The upgrade from HTTP to WebSocket.
 * SPDX-License-Identifier: Apache-2.0 */
#include "transport/ws_upgrade.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <tern/error.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/sha1.h"
#include "platform/random.h"

enum { KEY_LEN = 16, AUTHORITY_SIZE = 300, FIXED_ROOM = 512, HTTP_PORT = 80, HTTPS_PORT = 443 };

static const char SUB_PROTOCOL[] = "mqtt";

static tern__view view_of(const char *text)
{
    return (tern__view){(const uint8_t *)text, strlen(text)};
}

/* ---- the request ---- */

const char *tern__websocket_header_wrong(const char *name, const char *value)
{
    static const char *const ours[] = {"Host", "Upgrade", "Connection", "Content-Length",
                                       "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcasecmp(name, ours[i]) == 0) return "this header is set by the upgrade itself";
    if (strncasecmp(name, "Sec-WebSocket-", 14) == 0)
        return "headers of the WebSocket handshake are set by the upgrade itself";
    return tern__http1_header_wrong(view_of(name), view_of(value));
}

const char *tern__websocket_path_wrong(const char *path)
{
    return *path == '/' ? tern__http1_target_wrong(path) : "the path does not begin with '/'";
}

static const char *path_of(const tern__websocket_config *config)
{
    return config->path != NULL ? config->path : "/mqtt";
}

size_t tern__ws_request_room(const tern__websocket_config *config)
{
    size_t room = FIXED_ROOM + strlen(path_of(config)) + strlen(config->host);
    for (size_t i = 0; i < config->header_count; i++)
        room += strlen(config->headers[i].name) + strlen(config->headers[i].value) + 4;
    return room;
}

void tern__ws_accept_of(const char *key, char accept[TERN__WS_ACCEPT_SIZE])
{
    char text[TERN__WS_KEY_SIZE + 40];
    uint8_t digest[TERN__SHA1_LEN];
    int len = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    tern__sha1(text, (size_t)len, digest);
    tern__base64_encode(digest, sizeof digest, accept);
}

static int add(tern__buf *request, const char *name, const char *value)
{
    return tern__http1_header_add(request, name, view_of(value));
}

static int add_own(const tern__websocket_config *config, tern__buf *request,
                   char accept[TERN__WS_ACCEPT_SIZE])
{
    char host[AUTHORITY_SIZE];
    char key[TERN__WS_KEY_SIZE];
    uint8_t bytes[KEY_LEN];
    uint16_t usual = config->tls ? HTTPS_PORT : HTTP_PORT;
    int rc = tern__random(bytes, sizeof bytes);
    if (rc != 0) return rc;
    tern__base64_encode(bytes, sizeof bytes, key);
    tern__ws_accept_of(key, accept);
    tern__http1_authority(config->host, config->port != usual ? config->port : 0, host,
                          sizeof host);
    rc = add(request, "Host", host);
    if (rc == 0) rc = add(request, "Upgrade", "websocket");
    if (rc == 0) rc = add(request, "Connection", "Upgrade");
    if (rc == 0) rc = add(request, "Sec-WebSocket-Key", key);
    if (rc == 0) rc = add(request, "Sec-WebSocket-Version", "13");
    if (rc == 0) rc = add(request, "Sec-WebSocket-Protocol", SUB_PROTOCOL); /* [MQTT5-6.0.0-3] */
    return rc;
}

int tern__ws_request(const tern__websocket_config *config, tern__buf *request,
                     char accept[TERN__WS_ACCEPT_SIZE])
{
    if (tern__websocket_path_wrong(path_of(config)) != NULL) return TERN_E_INVALID;
    for (size_t i = 0; i < config->header_count; i++)
        if (tern__websocket_header_wrong(config->headers[i].name, config->headers[i].value) != NULL)
            return TERN_E_INVALID;
    int rc = tern__http1_start(request, "GET", path_of(config));
    if (rc == 0) rc = add_own(config, request, accept);
    for (size_t i = 0; rc == 0 && i < config->header_count; i++)
        rc = add(request, config->headers[i].name, config->headers[i].value);
    return rc == 0 ? tern__http1_end(request) : rc;
}

/* ---- the answer ---- */

typedef struct status_hint {
    int first;
    int last;
    const char *hint;
} status_hint;

static const char *hint_of(int status)
{
    static const status_hint hints[] = {
        {200, 299, "a web server answers at this path: check the path and the port"},
        {400, 400, "check the path, and that the server offers MQTT over WebSocket there"},
        {401, 401, "check user name, password or token in the headers or the URL's query"},
        {403, 403, "check the credentials, and whether they allow this path"},
        {404, 404, "check the path of the URL: brokers have /mqtt, /ws or /"},
        {405, 405, "no WebSocket listener at this path: check the path and the port"},
        {407, 407, "a proxy in between wants credentials"},
        {426, 426, "the server wants another protocol or version of WebSocket than 13"},
        {429, 429, "too many attempts: the server wants to be asked later"},
        {502, 504, "a gateway before the broker cannot reach it: is the broker running?"},
        {500, 599, "the server has trouble of its own: look at its log"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (status >= hints[i].first && status <= hints[i].last) return hints[i].hint;
    return "";
}

/* A redirect is shown without its query, which may hold a secret. */
static void set_status_hint(const tern__http1_head *head, tern__stream_failure *failure)
{
    tern__view target;
    size_t len = 0;
    (void)tern__http1_get(head, "Location", &target);
    while (len < target.len && target.data[len] != '?' && len < 100)
        len++;
    if (head->status < 300 || head->status > 399)
        snprintf(failure->hint, sizeof failure->hint, "%s", hint_of(head->status));
    else if (len == 0)
        snprintf(failure->hint, sizeof failure->hint, "redirects are not followed");
    else
        snprintf(failure->hint, sizeof failure->hint,
                 "redirects are not followed: use the address itself: %.*s", (int)len,
                 (const char *)target.data);
    tern__log_clean(failure->hint);
}

/* What an answer 101 lacks: NULL where it is as it must be. */
static const char *lacks(const tern__http1_head *head, const char *accept)
{
    tern__view value;
    if (head->minor == 0) return "it is of HTTP/1.0";
    if (tern__http1_get(head, "Upgrade", &value) != 1 || !tern__http1_is(value, "websocket"))
        return "its header Upgrade is not \"websocket\"";
    if (!tern__http1_lists(head, "Connection", "Upgrade"))
        return "its header Connection does not name Upgrade";
    size_t count = tern__http1_get(head, "Sec-WebSocket-Accept", &value);
    if (count == 0) return "it has no header Sec-WebSocket-Accept";
    if (count > 1 || value.len != strlen(accept) || memcmp(value.data, accept, value.len) != 0)
        return "its Sec-WebSocket-Accept does not answer our key";
    if (tern__http1_get(head, "Sec-WebSocket-Extensions", &value) != 0)
        return "it agrees to an extension that was not offered";
    return NULL;
}

/* [MQTT5-6.0.0-4] */
static const char *lacks_protocol(const tern__http1_head *head)
{
    tern__view value;
    size_t count = tern__http1_get(head, "Sec-WebSocket-Protocol", &value);
    if (count == 0) return "it does not choose the sub-protocol mqtt";
    if (count > 1 || value.len != strlen(SUB_PROTOCOL) ||
        memcmp(value.data, SUB_PROTOCOL, value.len) != 0)
        return "it chooses another sub-protocol than mqtt";
    return NULL;
}

int tern__ws_judge(const tern__http1_head *head, const char *accept, const char *peer,
                   tern__stream_failure *failure)
{
    const char *hint = "a cache or proxy in between may not know WebSocket";
    const char *why = NULL;
    if (head->status == 101) {
        why = lacks(head, accept);
        if (why == NULL) {
            why = lacks_protocol(head);
            hint = "no MQTT over WebSocket at this path: check the path of the URL";
        }
        if (why == NULL) return 0;
    }
    *failure = (tern__stream_failure){
        .error = TERN_E_WEBSOCKET, .step = TERN_STEP_WEBSOCKET, .http_status = head->status};
    if (why == NULL) {
        set_status_hint(head, failure);
    } else {
        snprintf(failure->text, sizeof failure->text,
                 "%.100s: the server's answer to the WebSocket upgrade is wrong: %s", peer, why);
        snprintf(failure->hint, sizeof failure->hint, "%s", hint);
    }
    return TERN_E_WEBSOCKET;
}
