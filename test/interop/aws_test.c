/* AWS IoT Core, as a stand-in at its door behaves: each way in, signed URLs, and what the service would close for.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "net/watch.h"
#include "support/net.h"
#include "support/peers.h"

enum { PATIENCE = NET_PATIENCE_MS };

static const char *certificates;
static char folder[96];
static char log_path[128];
static pid_t door;
static uint16_t port;

static void expect_logged(const char *text)
{
    if (!net_wait_said(log_path, text, PATIENCE)) fail_msg("\"%s\" is not in:\n%s", text, net_said(log_path));
}

static int set_up(void **state)
{
    (void)state;
    char plain[8];
    char ws[8];
    certificates = peer_certificates();
    peer *mosquitto = certificates != NULL ? peer_mosquitto(certificates) : NULL;
    if (mosquitto == NULL || !net_temp_dir(folder, sizeof folder)) return -1;
    snprintf(plain, sizeof plain, "%u", mosquitto->ports[PEER_PLAIN]);
    snprintf(ws, sizeof ws, "%u", mosquitto->ports[PEER_WS]);
    snprintf(log_path, sizeof log_path, "%s/door.log", folder);
    char script[300];
    snprintf(script, sizeof script, "%s/../support/aws_mock.py", TERN_TEST_DATA);
    char *const program[] = {"python3", script, (char *)(uintptr_t)certificates, plain, ws, "localhost", NULL};
    door = net_spawn(program, log_path);
    if (door <= 0 || !net_wait_said(log_path, "port ", PATIENCE)) return -1;
    char *said = net_said(log_path);
    const bool has_port = sscanf(said, "port %hu", &port) == 1;
    free(said);
    return has_port ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)net_stop(door, SIGTERM, PATIENCE);
    net_remove_dir(folder);
    return 0;
}

static const char *in_certificates(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", certificates, name);
    return path;
}

/* The endpoint is what the stand-in's certificate is for. */
static tern_aws_options *options_for(const char *id)
{
    tern_aws_options *options;
    assert_int_equal(tern_aws_options_new(&options, "localhost"), 0);
    assert_int_equal(tern_aws_options_set_ca_file(options, in_certificates("root.pem")), 0);
    assert_int_equal(tern_aws_options_set_address(options, "127.0.0.1", port), 0);
    assert_int_equal(tern_client_options_set_client_id(tern_aws_options_client(options), id), 0);
    assert_int_equal(tern_connection_options_set_retry_delay(tern_aws_options_connection(options), 20, 200, TERN_JITTER_NONE), 0);
    return options;
}

/* Takes the options. */
static tern_client *client_of(tern_aws_options *options)
{
    tern_client *client;
    assert_int_equal(tern_aws_client_new(&client, options), 0);
    tern_aws_options_free(options);
    return client;
}

static void round_trip(tern_client *client)
{
    tern_message *message = NULL;
    if (tern_client_connect_wait(client, PATIENCE) != 0) fail_msg("%s", tern_client_error_text(client));
    assert_int_equal(tern_client_subscribe_wait(client, "topic/subtopic", TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "topic/subtopic", "hello", 5, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), 0);
    assert_string_equal(tern_message_text(message), "hello");
    tern_message_unref(message);
}

/* ---- ways in ---- */

static void a_certificate_opens_both_ports(void **state)
{
    (void)state;
    static const struct {
        uint16_t port;
        const char *came;
    } rows[] = {{8883, "came None certificate mqtt"}, {443, "came x-amzn-mqtt-ca certificate mqtt"}};
    for (size_t i = 0; i < 2; i++) {
        tern_aws_options *options = options_for("by-certificate");
        assert_int_equal(tern_aws_options_set_certificate_files(options, NULL, in_certificates("client.pem"), in_certificates("client.key"),
                                                                rows[i].port), 0);
        tern_client *client = client_of(options);
        round_trip(client);
        expect_logged(rows[i].came);
        tern_client_free(client);
    }
}

static void an_authorizer_lets_in(void **state)
{
    (void)state;
    tern_aws_options *options = options_for("by-authorizer");
    assert_int_equal(tern_aws_options_set_authorizer(options, "door", "device", "sesame", 6, "token", "it's me", "a+b/c="), 0);
    tern_client *client = client_of(options);
    round_trip(client);
    expect_logged("came mqtt nobody mqtt");
    tern_client_free(client);
}

typedef struct vault {
    const char *secret;
    int failures; /* to come first */
    atomic_uint asked;
} vault;

static int give_credentials(tern_client *client, tern_aws_credentials *credentials, void *user_data)
{
    vault *v = user_data;
    (void)client;
    if ((int)atomic_fetch_add(&v->asked, 1) < v->failures) return TERN_E_TIMEOUT;
    return tern_aws_credentials_set(credentials, "AKIDMOCK", v->secret, "session/token+=");
}

/* A URL for each attempt; the vault may fail first, and is asked again. */
static void signed_urls_let_in(void **state)
{
    (void)state;
    vault v = {.secret = "secret/of+the=mock", .failures = 1};
    tern_aws_options *options = options_for("by-url");
    assert_int_equal(tern_aws_options_set_websocket(options, "eu-west-1", give_credentials, &v), 0);
    tern_client *client = client_of(options);
    round_trip(client);
    assert_int_equal(atomic_load(&v.asked), 2);
    expect_logged("came None nobody websocket");
    tern_token *token;
    assert_int_equal(tern_client_disconnect(client, 0, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    round_trip(client);
    assert_int_equal(atomic_load(&v.asked), 3);
    tern_client_free(client);
}

static char explained[400];
static char told[4096];

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    (void)client;
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECT_FAILED) (void)tern_aws_explain(event, explained, sizeof explained);
    const char *const texts[] = {tern_event_text(event), tern_event_server(event), tern_event_hint(event)};
    for (size_t i = 0; i < 3; i++)
        if (texts[i] != NULL) strncat(told, texts[i], sizeof told - strlen(told) - 1);
    if (tern_event_get_kind(event) == TERN_EVENT_CONNECT_FAILED) atomic_fetch_add((atomic_uint *)user_data, 1);
}

static bool has_failed(void *argument)
{
    return atomic_load((atomic_uint *)argument) != 0;
}

static void on_log(tern_log_level level, const char *text, void *user_data)
{
    (void)level;
    (void)user_data;
    if (strstr(text, "X-Amz") != NULL || strstr(text, "session%2F") != NULL || strstr(text, "canary") != NULL) abort();
}

/* A wrong key is refused with a word on what to check; nothing of the credentials is told anywhere. [C20] */
static void a_refused_signature_is_explained(void **state)
{
    (void)state;
    atomic_uint failed = 0;
    vault v = {.secret = "canary"};
    tern_aws_options *options = options_for("wrong");
    assert_int_equal(tern_aws_options_set_websocket(options, "eu-west-1", give_credentials, &v), 0);
    assert_int_equal(tern_client_options_set_log(tern_aws_options_client(options), TERN_LOG_TRACE, on_log, NULL), 0);
    tern_client *client = client_of(options);
    told[0] = explained[0] = '\0';
    assert_int_equal(tern_client_set_event_handler(client, on_event, &failed), 0);
    assert_int_equal(tern_client_connect(client, NULL), 0);
    assert_true(net_wait_until(has_failed, &failed, PATIENCE));
    tern_client_free(client);
    assert_non_null(strstr(explained, "this machine's clock"));
    static const char *const secrets[] = {"canary", "AKIDMOCK", "X-Amz", "session"};
    for (size_t i = 0; i < 4; i++) assert_null(strstr(told, secrets[i]));
    expect_logged("refused The request signature we calculated does not match");
}

/* ---- limits ---- */

/* What the service closes for never leaves; what it takes does, many filters in packets of eight. */
static void the_services_limits_hold(void **state)
{
    (void)state;
    static char large[(128 << 10) + 1];
    tern_aws_options *options = options_for("limits");
    assert_int_equal(tern_aws_options_set_certificate_files(options, NULL, in_certificates("client.pem"), in_certificates("client.key"), 443), 0);
    tern_client *client = client_of(options);
    round_trip(client);
    char topic[300];
    memset(topic, 't', 257);
    topic[257] = '\0';
    memset(large, 'x', sizeof large);
    assert_int_equal(tern_client_publish(client, "a", "x", 1, TERN_QOS_2, NULL), TERN_E_UNSUPPORTED);
    assert_non_null(strstr(tern_client_error_text(client), "publish: AWS IoT Core has no QoS 2"));
    assert_int_equal(tern_client_publish(client, "a", large, sizeof large, TERN_QOS_1, NULL), TERN_E_TOO_LARGE);
    assert_int_equal(tern_client_publish(client, topic, "x", 1, TERN_QOS_1, NULL), TERN_E_TOO_LARGE);
    assert_int_equal(tern_client_publish(client, "1/2/3/4/5/6/7/8/9", "x", 1, TERN_QOS_1, NULL), TERN_E_TOPIC);
    assert_int_equal(tern_client_publish_wait(client, "1/2/3/4/5/6/7/8", "x", 1, TERN_QOS_1, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "$aws/rules/name/1/2/3/4/5/6/7/8", "x", 1, TERN_QOS_0, PATIENCE), 0);
    assert_int_equal(tern_client_publish_wait(client, "a", large, sizeof large - 1, TERN_QOS_1, PATIENCE), 0);
    tern_subscription *many;
    assert_int_equal(tern_subscription_new(&many), 0);
    for (int i = 0; i < 20; i++) {
        char filter[16];
        snprintf(filter, sizeof filter, "many/%d", i);
        assert_int_equal(tern_subscription_add(many, filter, TERN_QOS_1), 0);
    }
    assert_int_equal(tern_client_subscribe_all_wait(client, many, PATIENCE), 0);
    tern_subscription_free(many);
    expect_logged("filters 8");
    expect_logged("filters 4");
    char *said = net_said(log_path);
    assert_null(strstr(said, "closed payload"));
    assert_null(strstr(said, "closed too many"));
    assert_null(strstr(said, "closed QoS"));
    free(said);
    tern_client_free(client);
}

/* The older client with an id is thrown out, and says what that may mean here. */
static void a_second_client_takes_over(void **state)
{
    (void)state;
    tern_client *clients[2];
    watch seen;
    for (int i = 0; i < 2; i++) {
        tern_aws_options *options = options_for("twin");
        assert_int_equal(tern_aws_options_set_certificate_files(options, NULL, in_certificates("client.pem"), in_certificates("client.key"), 443), 0);
        assert_int_equal(tern_connection_options_set_retry_delay(tern_aws_options_connection(options), 60000, 60000, TERN_JITTER_NONE), 0);
        clients[i] = client_of(options);
    }
    watch_init(&seen, clients[0]);
    round_trip(clients[0]);
    round_trip(clients[1]);
    assert_true(watch_wait(&seen, TERN_EVENT_DISCONNECTED, 1, PATIENCE));
    expect_logged("closed the older client with the same id");
    tern_client_free(clients[0]);
    tern_client_free(clients[1]);
    watch_deinit(&seen);
}

#ifdef TERN_SAMPLE_AWS
static void the_sample_runs(void **state)
{
    (void)state;
    char output[2000];
    char number[8];
    snprintf(number, sizeof number, "%u", port);
    const char *const program[] = {TERN_SAMPLE_AWS, "localhost", in_certificates("root.pem"), in_certificates("client.pem"),
                                   in_certificates("client.key"), "127.0.0.1", number, NULL};
    if (peer_run(program, NULL, output, sizeof output) != 0) fail_msg("%s", output);
    assert_non_null(strstr(output, "Connected to AWS IoT Core"));
    int readings = 0; /* another line may come between: callbacks have a thread of their own */
    for (const char *at = output; (at = strstr(at, "topic/subtopic: 22.5\n")) != NULL; at++) readings++;
    if (readings != 3) fail_msg("%s", output);
}
#endif

/* ---- options ---- */

static void options_are_checked(void **state)
{
    (void)state;
    tern_aws_options *options;
    tern_client *client;
    vault v = {.secret = "x"};
    assert_int_equal(tern_aws_options_new(&options, "https://host"), TERN_E_URL);
    assert_int_equal(tern_aws_options_new(&options, ""), TERN_E_URL);
    assert_int_equal(tern_aws_options_new(&options, NULL), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_new(&options, "abc-ats.iot.eu-west-1.amazonaws.com"), 0);
    assert_int_equal(tern_aws_client_new(&client, options), TERN_E_INVALID); /* no way in */
    assert_null(client);
    assert_int_equal(tern_aws_options_set_certificate_files(options, NULL, "c", "k", 1883), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_certificate_files(options, NULL, NULL, "k", 443), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_authorizer(options, "a", NULL, NULL, 0, "token", NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_websocket(options, "eu west", give_credentials, &v), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_websocket(options, NULL, NULL, NULL), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_websocket(options, NULL, give_credentials, &v), 0);
    assert_int_equal(tern_aws_options_set_backoff(options, 1, 32, 20), 0);
    assert_int_equal(tern_aws_options_set_backoff(options, 0, 32, 20), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_backoff(options, 33, 32, 20), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_offline_queue(options, -1, TERN_OUTBOX_REJECT), 0);
    assert_int_equal(tern_aws_options_set_offline_queue(options, 20, TERN_OUTBOX_DROP_OLDEST), 0);
    assert_int_equal(tern_aws_options_set_offline_queue(options, 0, TERN_OUTBOX_DROP_OLDEST), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_offline_queue(options, -2, TERN_OUTBOX_DROP_OLDEST), TERN_E_INVALID);
    assert_int_equal(tern_aws_options_set_draining_frequency(options, 2), 0);
    assert_int_equal(tern_aws_options_set_draining_frequency(options, 0), TERN_E_INVALID);
    char id[200];
    memset(id, 'i', 129);
    id[129] = '\0';
    assert_int_equal(tern_client_options_set_client_id(tern_aws_options_client(options), id), 0);
    assert_int_equal(tern_aws_client_new(&client, options), TERN_E_INVALID);
    id[128] = '\0';
    assert_int_equal(tern_client_options_set_client_id(tern_aws_options_client(options), id), 0);
    assert_int_equal(tern_aws_client_new(&client, options), 0);
    for (int n = 0; n < 30; n++) assert_int_equal(tern_client_publish(client, "t", "x", 1, TERN_QOS_1, NULL), 0); /* the oldest go */
    tern_client_free(client);
    tern_aws_options_free(options);
    assert_int_equal(tern_aws_options_new(&options, "192.0.2.1"), 0);
    assert_int_equal(tern_aws_options_set_websocket(options, NULL, give_credentials, &v), TERN_E_INVALID); /* no region in it */
    tern_aws_options_free(options);
    tern_aws_options_free(NULL);
    assert_null(tern_aws_options_client(NULL));
    assert_int_equal(tern_aws_explain(NULL, id, sizeof id), 0);
    assert_int_equal(tern_aws_credentials_set(NULL, "a", "b", NULL), TERN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_opens_both_ports), cmocka_unit_test(an_authorizer_lets_in),
        cmocka_unit_test(signed_urls_let_in),             cmocka_unit_test(a_refused_signature_is_explained),
        cmocka_unit_test(the_services_limits_hold),       cmocka_unit_test(a_second_client_takes_over),
        cmocka_unit_test(options_are_checked),
#ifdef TERN_SAMPLE_AWS
        cmocka_unit_test(the_sample_runs),
#endif
    };
    if (!peer_is_installed("mosquitto") || !peer_is_installed("openssl")) return 77;
    return peers_finish(cmocka_run_group_tests(tests, set_up, tear_down));
}
