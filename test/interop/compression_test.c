/* Compression against the program that made the meta topic known: what it publishes is inflated here, what is published here it inflates.
 * SPDX-License-Identifier: Apache-2.0 */
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

enum { PATIENCE = NET_PATIENCE_MS, COUNT = 20, LONGEST = 1000 };

static peer *mosquitto;
static char folder[96];
static char url[64];
static char port[8];

static int set_up(void **state)
{
    (void)state;
    mosquitto = peer_mosquitto_showing(NULL, NULL, 0);
    if (mosquitto == NULL || !net_temp_dir(folder, sizeof folder)) return -1;
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", mosquitto->port);
    snprintf(port, sizeof port, "%u", mosquitto->port);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_remove_dir(folder);
    return 0;
}

/* As the program makes them. */
static const char *text_of(unsigned n)
{
    static char text[LONGEST];
    int len = snprintf(text, sizeof text, "%u ", n);
    for (int i = 0; n % 2 != 0 && i < 10; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "This is a large message that will be compressed. ");
    return text;
}

static tern_client *client_with(tern_compression *compression, tern_version version)
{
    tern_client *client;
    tern_client_options *fixed;
    tern_connection_options *options;
    assert_int_equal(tern_compression_set_form(compression, TERN_COMPRESSION_META_TOPIC), 0);
    assert_int_equal(tern_compression_set_default(compression, TERN_ENCODING_GZIP), 0);
    assert_int_equal(tern_client_options_new(&fixed), 0);
    assert_int_equal(tern_client_options_set_compression(fixed, compression), 0);
    assert_int_equal(tern_connection_options_new(&options), 0);
    assert_int_equal(tern_connection_options_add_server(options, url), 0);
    assert_int_equal(tern_connection_options_set_version(options, version), 0);
    assert_int_equal(tern_client_new(&client, fixed), 0);
    assert_int_equal(tern_client_configure(client, options), 0);
    assert_int_equal(tern_client_connect_wait(client, PATIENCE), 0);
    tern_client_options_free(fixed);
    tern_connection_options_free(options);
    return client;
}

static void its_messages_are_inflated_here(tern_version version)
{
    char output[2000];
    char count[8];
    tern_compression *compression;
    tern_token *token;
    assert_int_equal(tern_compression_new(&compression), 0);
    tern_client *client = client_with(compression, version);
    assert_int_equal(tern_compression_subscribe(compression, client, "test/compressed", TERN_QOS_1, &token), 0);
    assert_int_equal(tern_token_wait(token, PATIENCE), 0);
    tern_token_unref(token);
    snprintf(count, sizeof count, "%d", COUNT);
    const char *const program[] = {"/usr/bin/python3", "-W", "ignore", TERN_TEST_DATA "/document_compression.py", "publish", port, "test/compressed", count, NULL};
    if (peer_run(program, NULL, output, sizeof output) != 0) fail_msg("%s", output);
    for (unsigned n = 0; n < COUNT; n++) {
        tern_message *message;
        assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), 0);
        assert_string_equal(tern_message_text(message), text_of(n));
        assert_int_equal(tern_compression_result_of(message), n % 2 != 0 ? TERN_COMPRESSION_INFLATED : TERN_COMPRESSION_RAW);
        tern_message_unref(message);
    }
    tern_client_free(client);
    tern_compression_unref(compression);
}

static void our_messages_are_inflated_there(tern_version version)
{
    char out[128];
    char count[8];
    tern_compression *compression;
    snprintf(count, sizeof count, "%d", COUNT);
    snprintf(out, sizeof out, "%s/received.%d", folder, (int)version);
    char *const program[] = {"/usr/bin/python3", "-W", "ignore", TERN_TEST_DATA "/document_compression.py", "receive", port, "test/ours", count, NULL};
    pid_t pid = net_spawn(program, out);
    assert_true(pid > 0);
    assert_true(net_wait_said(out, "ready\n", PATIENCE));
    assert_int_equal(tern_compression_new(&compression), 0);
    tern_client *client = client_with(compression, version);
    for (unsigned n = 0; n < COUNT; n++)
        assert_int_equal(tern_client_publish_wait(client, "test/ours", text_of(n), strlen(text_of(n)), TERN_QOS_1, PATIENCE), 0);
    char last[LONGEST + 2];
    snprintf(last, sizeof last, "%s\n", text_of(COUNT - 1));
    assert_true(net_wait_said(out, last, PATIENCE));
    char *said = net_said(out);
    const char *at = said + strlen("ready\n");
    for (unsigned n = 0; n < COUNT; n++) { /* all of them, in order */
        const char *text = text_of(n);
        if (strncmp(at, text, strlen(text)) != 0 || at[strlen(text)] != '\n') fail_msg("not \"%s\": %.80s", text, at);
        at += strlen(text) + 1;
    }
    free(said);
    (void)net_stop(pid, SIGTERM, PATIENCE);
    tern_client_free(client);
    tern_compression_unref(compression);
}

static void both_ways_on_both_versions(void **state)
{
    (void)state;
    static const tern_version versions[] = {TERN_VERSION_311, TERN_VERSION_5};
    for (size_t i = 0; i < 2; i++) {
        its_messages_are_inflated_here(versions[i]);
        our_messages_are_inflated_there(versions[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways_on_both_versions)};
    char output[200];
    tern_compression *compression = NULL;
    const char *const look[] = {"/usr/bin/python3", "-c", "import paho.mqtt.client as c; c.Client()", NULL};
    if (tern_compression_new(&compression) != 0 || tern_compression_set_form(compression, TERN_COMPRESSION_META_TOPIC) != 0 ||
        !peer_is_installed("mosquitto") || peer_run(look, NULL, output, sizeof output) != 0) {
        fprintf(stderr, "skipped: needs zlib, cJSON, mosquitto and python3-paho-mqtt\n");
        return 77;
    }
    tern_compression_unref(compression);
    return peers_finish(cmocka_run_group_tests(tests, set_up, tear_down));
}
