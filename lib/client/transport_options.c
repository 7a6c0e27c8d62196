/* How bytes get to the server: proxies, headers, sockets and TLS of the connection options.
 * SPDX-License-Identifier: Apache-2.0 */
#include "client/transport_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "client/options.h"
#include "client/tls_options.h"

/* ---- copies ---- */

static void free_secret(char *text)
{
    if (text != NULL) tern__cleanse(text, strlen(text));
    tern__free(text);
}

static void free_headers(tern__transport_options *options)
{
    for (size_t i = 0; i < options->header_count; i++) {
        free_secret((char *)(uintptr_t)options->headers[i].name);
        free_secret((char *)(uintptr_t)options->headers[i].value);
    }
    tern__free(options->headers);
    options->headers = NULL;
    options->header_count = 0;
}

static void free_environment(tern__transport_options *options)
{
    for (int i = 0; i < TERN__PROXY_VARIABLES; i++) {
        free_secret(options->environment[i]);
        options->environment[i] = NULL;
    }
}

static void free_proxy(tern__transport_options *options)
{
    tern__proxy_deinit(&options->proxy);
    free_secret(options->proxy_url);
    options->proxy_url = NULL;
}

void tern__transport_options_deinit(tern__transport_options *options)
{
    free_headers(options);
    free_environment(options);
    free_proxy(options);
    tern__tls_context_unref(options->tls);
    options->tls = NULL;
}

static int add_header(tern__transport_options *options, const char *name, const char *value)
{
    tern__websocket_header added = {tern__strdup(name), tern__strdup(value)};
    tern__websocket_header *grown =
        added.name == NULL || added.value == NULL
            ? NULL
            : tern__realloc(options->headers, (options->header_count + 1) * sizeof *grown);
    if (grown == NULL) {
        free_secret((char *)(uintptr_t)added.name);
        free_secret((char *)(uintptr_t)added.value);
        return TERN_E_NOMEM;
    }
    grown[options->header_count++] = added;
    options->headers = grown;
    return 0;
}

static int set_proxy(tern__transport_options *options, const char *url)
{
    tern__proxy proxy;
    char why[256];
    int rc = tern__proxy_parse(url, &proxy, why, sizeof why);
    if (rc != 0) return rc;
    char *copy = tern__strdup(url);
    if (copy == NULL) {
        tern__proxy_deinit(&proxy);
        return TERN_E_NOMEM;
    }
    free_proxy(options);
    options->proxy = proxy;
    options->proxy_url = copy;
    return 0;
}

int tern__transport_options_copy(tern__transport_options *to, const tern__transport_options *from)
{
    int rc = 0;
    *to = (tern__transport_options){.socket = from->socket, .proxy_from_environment = from->proxy_from_environment};
    if (from->proxy_url != NULL) rc = set_proxy(to, from->proxy_url);
    for (int i = 0; i < TERN__PROXY_VARIABLES && rc == 0; i++) {
        if (from->environment[i] == NULL) continue;
        to->environment[i] = tern__strdup(from->environment[i]);
        if (to->environment[i] == NULL) rc = TERN_E_NOMEM;
    }
    for (size_t i = 0; i < from->header_count && rc == 0; i++)
        rc = add_header(to, from->headers[i].name, from->headers[i].value);
    to->tls = tern__tls_context_ref(from->tls);
    if (rc != 0) tern__transport_options_deinit(to);
    return rc;
}

/* ---- setters ---- */

static int make_context(const tern_tls_options *tls, tern__tls_context **context)
{
    tern__tls_config defaults;
    if (tls != NULL) return tern__tls_context_new(context, &tls->config);
    tern__tls_config_init(&defaults);
    return tern__tls_context_new(context, &defaults);
}

int tern__transport_options_need_tls(tern__transport_options *options)
{
    return options->tls == NULL ? make_context(NULL, &options->tls) : 0;
}

int tern_connection_options_set_tls(tern_connection_options *options, const tern_tls_options *tls)
{
    if (options == NULL) return TERN_E_INVALID;
    tern__tls_context *fresh;
    int rc = make_context(tls, &fresh);
    if (rc != 0) return rc;
    tern__tls_context_unref(options->transport.tls);
    options->transport.tls = fresh;
    return 0;
}

int tern_connection_options_set_proxy(tern_connection_options *options, const char *url)
{
    if (options == NULL) return TERN_E_INVALID;
    if (url != NULL) return set_proxy(&options->transport, url);
    free_proxy(&options->transport);
    return 0;
}

int tern_proxy_url_error(const char *url, char *buffer, size_t size)
{
    tern__proxy proxy;
    char none[1];
    bool wanted = buffer != NULL && size != 0;
    if (wanted) buffer[0] = '\0';
    int rc = tern__proxy_parse(url != NULL ? url : "", &proxy, wanted ? buffer : none, wanted ? size : sizeof none);
    if (rc == 0) tern__proxy_deinit(&proxy);
    return rc;
}

/* The variable in lower or upper case, as everybody reads them; NULL where neither is set. */
static int read_variable(const char *lower, const char *upper, char **value)
{
    const char *text = getenv(lower);
    if (text == NULL || text[0] == '\0') text = getenv(upper);
    *value = text != NULL && text[0] != '\0' ? tern__strdup(text) : NULL;
    return *value == NULL && text != NULL && text[0] != '\0' ? TERN_E_NOMEM : 0;
}

int tern_connection_options_set_environment_proxy(tern_connection_options *options, int use)
{
    if (options == NULL || (use != 0 && use != 1)) return TERN_E_INVALID;
    tern__transport_options read = {0};
    int rc = 0;
    if (use == 1) {
        rc = read_variable("https_proxy", "HTTPS_PROXY", &read.environment[TERN__HTTPS_PROXY]);
        if (rc == 0) rc = read_variable("all_proxy", "ALL_PROXY", &read.environment[TERN__ALL_PROXY]);
        if (rc == 0) rc = read_variable("no_proxy", "NO_PROXY", &read.environment[TERN__NO_PROXY]);
    }
    if (rc != 0) {
        free_environment(&read);
        return rc;
    }
    free_environment(&options->transport);
    memcpy(options->transport.environment, read.environment, sizeof read.environment);
    options->transport.proxy_from_environment = use == 1;
    return 0;
}

int tern_connection_options_add_header(tern_connection_options *options, const char *name, const char *value)
{
    if (options == NULL || name == NULL || value == NULL || tern__websocket_header_wrong(name, value) != NULL)
        return TERN_E_INVALID;
    return add_header(&options->transport, name, value);
}

int tern_connection_options_clear_headers(tern_connection_options *options)
{
    if (options == NULL) return TERN_E_INVALID;
    free_headers(&options->transport);
    return 0;
}

int tern_connection_options_set_local(tern_connection_options *options, const char *address, const char *interface_name)
{
    if (options == NULL) return TERN_E_INVALID;
    tern__socket_options socket = options->transport.socket;
    memset(&socket.local, 0, sizeof socket.local);
    if (address != NULL && !tern__address_ip(address, &socket.local)) return TERN_E_INVALID;
    if (interface_name == NULL) interface_name = "";
    if (strlen(interface_name) >= sizeof socket.interface_name) return TERN_E_INVALID;
    memcpy(socket.interface_name, interface_name, strlen(interface_name) + 1);
    options->transport.socket = socket;
    return 0;
}

int tern_connection_options_set_tcp_keep_alive(tern_connection_options *options, uint32_t idle_seconds,
                                               uint32_t interval_seconds, uint32_t probes)
{
    const uint32_t most = 32767; /* what systems take */
    if (options == NULL || idle_seconds > most || interval_seconds > most || probes > 127) return TERN_E_INVALID;
    options->transport.socket.keep_idle = idle_seconds;
    options->transport.socket.keep_interval = interval_seconds;
    options->transport.socket.keep_count = probes;
    return 0;
}

int tern_connection_options_set_tcp_no_delay(tern_connection_options *options, int no_delay)
{
    if (options == NULL || (no_delay != 0 && no_delay != 1)) return TERN_E_INVALID;
    options->transport.socket.delay = no_delay == 0;
    return 0;
}
