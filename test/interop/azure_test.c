/* A hub against a stand-in for the service: tokens, their renewal under load, messages, twin, methods, and what is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "support/net.h"
#include "support/peers.h"

enum { PATIENCE = NET_PATIENCE_MS, LIFE_S = 8 };

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define DEVICE "HostName=contoso.azure-devices.net;DeviceId=MyDevice01;"

static const char *certificates;

/* The stand-in, a hub on its way to it, and what the hub's callbacks said, as lines. */
static struct rig {
    pid_t service;
    char folder[96];
    char log[128];
    char url[64];
    tern_azure_hub *hub;
    pthread_mutex_t lock;
    char said[4096];
} r = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&r.lock);
    size_t len = strlen(r.said);
    vsnprintf(r.said + len, sizeof r.said - len, format, args);
    pthread_mutex_unlock(&r.lock);
    va_end(args);
}

static bool is_said(void *text)
{
    pthread_mutex_lock(&r.lock);
    bool there = strstr(r.said, text) != NULL;
    pthread_mutex_unlock(&r.lock);
    return there;
}

static void expect_said(const char *text)
{
    if (!net_wait_until(is_said, (void *)(uintptr_t)text, PATIENCE)) fail_msg("\"%s\" is not in: %s", text, r.said);
}

static size_t count_logged(const char *wanted)
{
    size_t count = 0;
    char *text = net_said(r.log);
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at += strlen(wanted)) count++;
    free(text);
    return count;
}

static void expect_logged(const char *text)
{
    if (!net_wait_said(r.log, text, PATIENCE)) fail_msg("\"%s\" is not in the service's log: %s", text, net_said(r.log));
}

/* offset: how far ahead the service's clock is, in seconds. */
static void start_service(const char *offset)
{
    char certificate[160];
    char key[160];
    r.said[0] = '\0';
    assert_true(net_temp_dir(r.folder, sizeof r.folder));
    snprintf(r.log, sizeof r.log, "%s/log", r.folder);
    snprintf(certificate, sizeof certificate, "%s/good.pem", certificates);
    snprintf(key, sizeof key, "%s/server.key", certificates);
    char *arguments[] = {(char *)(uintptr_t)"python3", (char *)(uintptr_t)(TERN_TEST_DATA "/../support/azure_service.py"),
                         certificate, key, (char *)(uintptr_t)"contoso.azure-devices.net", (char *)(uintptr_t)"MyDevice01",
                         (char *)(uintptr_t)KEY, (char *)(uintptr_t)offset, NULL};
    r.service = net_spawn(arguments, r.log);
    assert_true(r.service > 0);
    assert_true(net_wait_said(r.log, "port ", PATIENCE));
    unsigned port;
    char *said = net_said(r.log);
    assert_int_equal(sscanf(said, "port %u", &port), 1);
    free(said);
    snprintf(r.url, sizeof r.url, "mqtts://localhost:%u", port);
}

static void stop(void)
{
    tern_azure_hub_free(r.hub);
    r.hub = NULL;
    (void)net_stop(r.service, SIGTERM, PATIENCE);
    net_remove_dir(r.folder);
}

/* No secret is in any record. [C20] */
static void on_log(tern_log_level level, const char *text, void *user_data)
{
    (void)level;
    (void)user_data;
    if (strstr(text, "SharedAccessSignature") != NULL || strstr(text, "sig=") != NULL || strstr(text, "0123456789abcdef") != NULL)
        say("leak[%s]\n", text);
}

static void on_event(tern_azure_hub *hub, const tern_event *event, void *user_data)
{
    (void)hub;
    (void)user_data;
    const char *hint = tern_event_hint(event);
    say("%s %d%s%s\n", tern_event_kind_name(tern_event_get_kind(event)), tern_event_error(event), hint != NULL ? " " : "",
        hint != NULL ? hint : "");
}

static tern_azure_options *make_options(const char *connection_string)
{
    char ca[160];
    tern_azure_options *options = NULL;
    tern_tls_options *tls = NULL;
    assert_int_equal(tern_azure_options_new(&options, connection_string), 0);
    assert_int_equal(tern_azure_options_set_server(options, r.url), 0);
    assert_int_equal(tern_azure_options_set_token_life(options, LIFE_S), 0);
    tern_connection_options *connection = tern_azure_options_connection(options);
    snprintf(ca, sizeof ca, "%s/root.pem", certificates);
    assert_int_equal(tern_tls_options_new(&tls), 0);
    assert_int_equal(tern_tls_options_add_ca_file(tls, ca), 0);
    assert_int_equal(tern_connection_options_set_tls(connection, tls), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(connection, 10, 100, TERN_JITTER_NONE), 0);
    assert_int_equal(tern_client_options_set_log(tern_azure_options_client(options), TERN_LOG_TRACE, on_log, NULL), 0);
    tern_tls_options_free(tls);
    return options;
}

static void make_hub(const char *connection_string)
{
    tern_azure_options *options = make_options(connection_string);
    assert_int_equal(tern_azure_hub_new(&r.hub, options), 0);
    tern_azure_options_free(options);
    assert_int_equal(tern_azure_hub_set_event_handler(r.hub, on_event, NULL), 0);
}

static void start_hub(void)
{
    tern_token *token = NULL;
    make_hub(DEVICE "SharedAccessKey=" KEY);
    assert_int_equal(tern_azure_hub_start(r.hub, &token), 0);
    if (tern_token_wait(token, PATIENCE) != 0) fail_msg("%s", tern_token_error_text(token));
    tern_token_unref(token);
}

static void send_text(const char *text)
{
    assert_int_equal(tern_azure_hub_send_message(r.hub, text, strlen(text), NULL, TERN_QOS_1, NULL), 0);
}

/* ---- telemetry and its limits ---- */

static void telemetry_has_properties(void **state)
{
    (void)state;
    start_service("0");
    start_hub();
    tern_azure_properties *bag = NULL;
    tern_token *token = NULL;
    assert_int_equal(tern_azure_properties_new(&bag), 0);
    assert_int_equal(tern_azure_properties_add_content_type(bag, "application/json"), 0);
    assert_int_equal(tern_azure_properties_add_content_encoding(bag, "utf-8"), 0);
    assert_int_equal(tern_azure_properties_add(bag, "a b", "c&d"), 0);
    assert_int_equal(tern_azure_hub_send_message(r.hub, "{}", 2, bag, TERN_QOS_1, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    tern_azure_properties_free(bag);
    expect_logged("event $.ct=application%2Fjson&$.ce=utf-8&a%20b=c%26d {}\n");
    stop();
    assert_false(is_said((void *)(uintptr_t)"leak["));
}

/* What the service would hang up for does not reach it; the texts say why. */
static void limits_are_kept_before_sending(void **state)
{
    (void)state;
    static char large[256 * 1024 + 1];
    start_service("0");
    start_hub();
    tern_client *client = tern_azure_hub_client(r.hub);
    assert_int_equal(tern_azure_hub_send_message(r.hub, "x", 1, NULL, TERN_QOS_2, NULL), TERN_E_UNSUPPORTED);
    assert_string_equal(tern_client_error_text(client), "publish: Azure IoT Hub has no QoS 2: it would close the connection");
    assert_int_equal(tern_azure_hub_send_message(r.hub, "x", 1, NULL, TERN_RETAIN, NULL), TERN_E_UNSUPPORTED);
    assert_string_equal(tern_client_error_text(client), "publish: Azure IoT Hub keeps no retained messages");
    assert_int_equal(tern_azure_hub_send_message(r.hub, large, sizeof large, NULL, TERN_QOS_1, NULL), TERN_E_TOO_LARGE);
    assert_non_null(strstr(tern_client_error_text(client), "takes no more than 262144 bytes"));
    assert_int_equal(tern_client_publish(client, "my/topic", "x", 1, TERN_QOS_1, NULL), TERN_E_UNSUPPORTED);
    assert_string_equal(tern_client_error_text(client), "publish: Azure IoT Hub has no such topic: it would close the connection");
    send_text("fine");
    expect_logged("event - fine\n");
    assert_int_equal(count_logged("ended"), 0);
    stop();
}

/* ---- from the cloud ---- */

static void on_message(tern_azure_hub *hub, const tern_message *message, const tern_azure_properties *properties, void *user_data)
{
    const char *id = tern_azure_properties_find(properties, "$.mid");
    const char *color = tern_azure_properties_find(properties, "color");
    (void)hub;
    (void)user_data;
    say("message %s id=%s color=%s count=%zu\n", tern_message_text(message), id != NULL ? id : "-", color != NULL ? color : "-",
        tern_azure_properties_count(properties));
}

static void on_desired(tern_azure_hub *hub, uint64_t version, const void *payload, size_t payload_length, void *user_data)
{
    (void)hub;
    (void)user_data;
    say("desired %u %.*s\n", (unsigned)version, (int)payload_length, (const char *)payload);
}

static void on_method(tern_azure_hub *hub, const tern_azure_method *method, void *user_data)
{
    (void)user_data;
    const char *id = tern_azure_method_request_id(method);
    say("method %s %s %.*s\n", tern_azure_method_name(method), id, (int)tern_azure_method_payload_length(method),
        (const char *)tern_azure_method_payload(method));
    assert_int_equal(tern_azure_hub_answer_method(hub, id, 200, "{\"ok\":1}", 8), 0);
}

static void on_response(tern_azure_hub *hub, const tern_azure_response *response, void *user_data)
{
    (void)hub;
    say("%s %d %d v%u %.*s\n", (const char *)user_data, tern_azure_response_error(response), tern_azure_response_status(response),
        (unsigned)tern_azure_response_version(response), (int)tern_azure_response_payload_length(response),
        (const char *)tern_azure_response_payload(response));
}

static void the_cloud_is_heard(void **state)
{
    (void)state;
    start_service("0");
    start_hub();
    assert_int_equal(tern_azure_hub_set_message_handler(r.hub, on_message, NULL), 0);
    assert_int_equal(tern_azure_hub_set_desired_handler(r.hub, on_desired, NULL), 0);
    assert_int_equal(tern_azure_hub_set_method_handler(r.hub, on_method, NULL), 0);
    expect_logged("devicebound/#']");
    expect_logged("'$iothub/methods/POST/#', '$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#', 'devices");
    send_text("send me a message");
    expect_said("message hello id=m 1 color=dark&blue count=4\n");
    expect_logged("acknowledged 1\n");
    send_text("desire");
    expect_said("desired 2 {\"rate\": 2}\n");
    send_text("call me");
    expect_said("method re boot 1f {\"in\": 5}\n");
    expect_logged("answered $iothub/methods/res/200/?$rid=1f {\"ok\":1}\n");
    assert_int_equal(tern_azure_hub_report(r.hub, "{\"t\": 7}", 8, PATIENCE, on_response, (void *)(uintptr_t)"report"), 0);
    expect_said("report 0 204 v2 \n");
    assert_int_equal(tern_azure_hub_report(r.hub, "{", 1, PATIENCE, on_response, (void *)(uintptr_t)"bad"), 0);
    expect_said("bad -26 400 v0 {}\n");
    assert_int_equal(tern_azure_hub_get_twin(r.hub, PATIENCE, on_response, (void *)(uintptr_t)"twin"), 0);
    expect_said("twin 0 200 v0 {\"desired\": {\"$version\": 2}, \"reported\": {\"n\": 0, \"t\": 7, \"$version\": 2}}\n");
    assert_int_equal(tern_azure_hub_answer_method(r.hub, "1/2", 200, NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_azure_hub_answer_method(r.hub, "", 200, NULL, 0), TERN_E_INVALID);
    assert_int_equal(tern_azure_hub_set_message_handler(r.hub, NULL, NULL), 0);
    stop();
}

/* Each request ends once: in time, with the connection, or with the hub. */
static void requests_without_answer_end(void **state)
{
    (void)state;
    start_service("0");
    start_hub();
    send_text("be mute");
    assert_int_equal(tern_azure_hub_get_twin(r.hub, 1, on_response, (void *)(uintptr_t)"late"), 0);
    expect_said("late -17 0 v0 \n");
    assert_int_equal(tern_azure_hub_get_twin(r.hub, 3600000, on_response, (void *)(uintptr_t)"lost"), 0);
    expect_logged("twin asked for 2\n");
    assert_int_equal(tern_client_flush_wait(tern_azure_hub_client(r.hub), PATIENCE), 0);
    send_text("hang up");
    expect_said("lost -21 0 v0 \n");
    assert_int_equal(tern_azure_hub_get_twin(r.hub, 3600000, on_response, (void *)(uintptr_t)"closed"), 0);
    stop();
    assert_true(is_said((void *)(uintptr_t)"closed -10 0 v0 \n"));
}

/* ---- tokens ---- */

/* Several lives of a token under load: the service never sees one expire, each message arrives once. [C1] [C5] */
static void renewal_loses_nothing(void **state)
{
    (void)state;
    enum { CONNECTIONS = 3 };
    unsigned sent = 0;
    start_service("0");
    start_hub();
    tern_client *client = tern_azure_hub_client(r.hub);
    while (count_logged("connected ") < CONNECTIONS) {
        for (int i = 0; i < 20; i++) {
            char text[32];
            snprintf(text, sizeof text, "<%u>", sent++);
            send_text(text);
        }
        assert_int_equal(tern_client_flush_wait(client, PATIENCE), 0);
    }
    assert_int_equal(count_logged("event "), sent);
    char last[32];
    snprintf(last, sizeof last, "event - <%u>\n", sent - 1);
    expect_logged(last);
    assert_int_equal(count_logged("expired"), 0);
    assert_int_equal(count_logged("refused"), 0);
    assert_false(is_said((void *)(uintptr_t)"CONNECT_FAILED"));
    assert_false(is_said((void *)(uintptr_t)"leak["));
    stop();
}

/* A clock that is off by a year: refused, and the hint says where to look. */
static void a_wrong_clock_has_its_hint(void **state)
{
    (void)state;
    start_service("31536000");
    make_hub(DEVICE "SharedAccessKey=" KEY);
    assert_int_equal(tern_azure_hub_start(r.hub, NULL), 0);
    expect_said("CONNECT_FAILED -26 the service refused the token: check this machine's clock, which says 2");
    assert_false(is_said((void *)(uintptr_t)"leak["));
    stop();
}

/* A token that was made elsewhere is not made anew: a refusal is final. */
static void a_given_token_that_is_refused_stops(void **state)
{
    (void)state;
    start_service("0");
    make_hub(DEVICE "SharedAccessSignature=SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2FMyDevice01&sig=x&se=9999999999");
    assert_int_equal(tern_azure_hub_start(r.hub, NULL), 0);
    expect_said("STOPPED -26");
    stop();
}

static void free_from_callback(tern_azure_hub *hub, const tern_event *event, void *user_data)
{
    (void)user_data;
    if (tern_event_get_kind(event) != TERN_EVENT_CONNECTED) return;
    tern_azure_hub_free(hub);
    say("freed\n");
}

static void a_hub_may_be_freed_in_its_callback(void **state)
{
    (void)state;
    start_service("0");
    make_hub(DEVICE "SharedAccessKey=" KEY);
    assert_int_equal(tern_azure_hub_set_event_handler(r.hub, free_from_callback, NULL), 0);
    assert_int_equal(tern_azure_hub_get_twin(r.hub, 3600000, on_response, (void *)(uintptr_t)"closed"), 0);
    assert_int_equal(tern_azure_hub_start(r.hub, NULL), 0);
    expect_said("freed\n");
    expect_said("closed -"); /* by the hub, or by the connection before it: once */
    r.hub = NULL;
    stop();
}

static int set_up(void **state)
{
    (void)state;
    certificates = peer_certificates();
    return certificates != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(telemetry_has_properties),
        cmocka_unit_test(limits_are_kept_before_sending),
        cmocka_unit_test(the_cloud_is_heard),
        cmocka_unit_test(requests_without_answer_end),
        cmocka_unit_test(renewal_loses_nothing),
        cmocka_unit_test(a_wrong_clock_has_its_hint),
        cmocka_unit_test(a_given_token_that_is_refused_stops),
        cmocka_unit_test(a_hub_may_be_freed_in_its_callback),
    };
    if (!peer_is_installed("python3") || !peer_is_installed("openssl")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, NULL));
}
