/* Fifty readings in five messages, and unpacked again on the other side. Usage: batch [URL]
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

enum { READINGS = 50, PATIENCE_MS = 10000 };

static void on_outcome(tern_batch *batch, uint64_t first_id, uint64_t last_id, tern_outcome outcome, tern_cause cause,
                       int reason_code, void *user_data)
{
    (void)batch;
    (void)reason_code;
    (void)user_data;
    printf("readings %llu to %llu: %s %s\n", (unsigned long long)first_id, (unsigned long long)last_id,
           tern_outcome_name(outcome), outcome == TERN_OUTCOME_DELIVERED ? "" : tern_cause_name(cause));
}

static void on_reading(const tern_message *message, double timestamp, void *user_data)
{
    int *received = user_data;
    (void)timestamp;
    if ((*received)++ == 0) printf("first: %s %s\n", tern_message_topic(message), tern_message_text(message));
}

static int collect(tern_batch *batch)
{
    int rc = tern_batch_set_delivery_handler(batch, on_outcome, NULL);
    for (int i = 0; i < READINGS && rc == 0; i++) {
        char topic[32];
        char value[32];
        snprintf(topic, sizeof topic, "sensor/%d", i);
        snprintf(value, sizeof value, "value_%d", i);
        rc = tern_batch_add(batch, topic, value, strlen(value), TERN_QOS_0, NULL);
    }
    return rc == 0 ? tern_batch_close(batch) : rc; /* what is left goes now, not when the interval ends */
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    tern_client *client = NULL;
    tern_batch *batch = NULL;
    int received = 0;
    int rc = tern_client_open_wait(&client, url, PATIENCE_MS);
    if (rc == 0) rc = tern_client_subscribe_wait(client, "batch/messages", TERN_QOS_1, PATIENCE_MS);
    if (rc == 0) rc = tern_batch_new(&batch, client);
    if (rc == 0) rc = collect(batch);
    while (rc == 0 && received < READINGS) {
        tern_message *message = NULL;
        char text[200];
        rc = tern_client_receive_wait(client, &message, PATIENCE_MS);
        if (rc == 0) rc = tern_batch_unpack(message, 0, on_reading, &received, text, sizeof text);
        if (rc == TERN_E_MALFORMED) fprintf(stderr, "%s\n", text);
        tern_message_unref(message);
    }
    if (rc == 0) rc = tern_client_flush_wait(client, PATIENCE_MS);
    if (rc != 0) fprintf(stderr, "%s: %s\n", tern_strerror(rc), tern_client_error_text(client));
    printf("%d of %d readings received\n", received, READINGS);
    tern_batch_free(batch); /* before its client */
    tern_client_free(client);
    return rc != 0;
}
