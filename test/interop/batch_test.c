/* Batches against the program whose form they have: its batches are unpacked here, ours there.
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

enum { PATIENCE = NET_PATIENCE_MS, COUNT = 25 };

static peer *mosquitto;
static char folder[96];
static char port[8];

static int set_up(void **state)
{
    (void)state;
    mosquitto = peer_mosquitto_showing(NULL, NULL, 0);
    if (mosquitto == NULL || !net_temp_dir(folder, sizeof folder)) return -1;
    snprintf(port, sizeof port, "%u", mosquitto->port);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_remove_dir(folder);
    return 0;
}

static tern_client *open_client(void)
{
    char url[64];
    tern_client *client;
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%s", port);
    assert_int_equal(tern_client_open_wait(&client, url, PATIENCE), 0);
    return client;
}

static void on_item(const tern_message *message, double timestamp, void *user_data)
{
    char topic[32];
    char payload[48];
    unsigned *n = user_data;
    snprintf(topic, sizeof topic, "sensor/%u", *n);
    snprintf(payload, sizeof payload, "value_%u \"grün\"\n", *n);
    assert_string_equal(tern_message_topic(message), topic);
    assert_string_equal(tern_message_text(message), payload);
    assert_true(timestamp > 1.7e9);
    (*n)++;
}

static void its_batches_are_unpacked_here(void **state)
{
    (void)state;
    char output[2000];
    char text[200];
    unsigned n = 0;
    tern_client *client = open_client();
    assert_int_equal(tern_client_subscribe_wait(client, "batch/messages", TERN_QOS_1, PATIENCE), 0);
    const char *const program[] = {"/usr/bin/python3", "-W", "ignore", TERN_TEST_DATA "/document_batch.py", "publish", port, "25", NULL};
    if (peer_run(program, NULL, output, sizeof output) != 0) fail_msg("%s", output);
    for (int i = 0; i < 3; i++) {
        tern_message *message;
        assert_int_equal(tern_client_receive_wait(client, &message, PATIENCE), 0);
        if (tern_batch_unpack(message, 0, on_item, &n, text, sizeof text) != 0) fail_msg("%s", text);
        tern_message_unref(message);
    }
    assert_int_equal(n, COUNT);
    tern_client_free(client);
}

static void our_batches_are_unpacked_there(void **state)
{
    (void)state;
    char out[128];
    char line[64];
    snprintf(out, sizeof out, "%s/received", folder);
    char *const program[] = {"/usr/bin/python3", "-W", "ignore", TERN_TEST_DATA "/document_batch.py", "receive", port, "25", NULL};
    pid_t pid = net_spawn(program, out);
    assert_true(pid > 0);
    assert_true(net_wait_said(out, "ready\n", PATIENCE));
    tern_client *client = open_client();
    tern_batch *batch;
    assert_int_equal(tern_batch_new(&batch, client), 0);
    for (unsigned n = 0; n < COUNT; n++) {
        char topic[32];
        char payload[32];
        snprintf(topic, sizeof topic, "sensor/%u", n);
        snprintf(payload, sizeof payload, "value_%u grün", n);
        assert_int_equal(tern_batch_add(batch, topic, payload, strlen(payload), n % 3, NULL), 0);
    }
    tern_batch_free(batch);
    assert_int_equal(tern_client_close_wait(client, PATIENCE), 0);
    tern_client_free(client);
    snprintf(line, sizeof line, "sensor/%d value_%d grün %d\n", COUNT - 1, COUNT - 1, (COUNT - 1) % 3);
    assert_true(net_wait_said(out, line, PATIENCE));
    char *said = net_said(out);
    const char *at = said + strlen("ready\n");
    for (int n = 0; n < COUNT; n++) { /* all of them, in order */
        snprintf(line, sizeof line, "sensor/%d value_%d grün %d\n", n, n, n % 3);
        if (strncmp(at, line, strlen(line)) != 0) fail_msg("not \"%s\": %.60s", line, at);
        at += strlen(line);
    }
    free(said);
    (void)net_stop(pid, SIGTERM, PATIENCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_batches_are_unpacked_here),
        cmocka_unit_test(our_batches_are_unpacked_there),
    };
    char output[200];
    const char *const look[] = {"/usr/bin/python3", "-c", "import paho.mqtt.client as c; c.Client()", NULL};
    bool able = peer_is_installed("mosquitto") && peer_run(look, NULL, output, sizeof output) == 0;
#ifndef TERN_WITH_CJSON
    able = false;
#endif
    if (!able) {
        fprintf(stderr, "skipped: needs cJSON, mosquitto and python3-paho-mqtt\n");
        return 77;
    }
    return peers_finish(cmocka_run_group_tests(tests, set_up, tear_down));
}
