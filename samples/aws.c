/* A device at AWS IoT Core: connects with its certificate, listens, and publishes what waited while it was offline.
 * Usage: aws ENDPOINT CA CERTIFICATE KEY [HOST PORT]
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <tern/tern.h>

enum { CONNECT_MS = 10000, OPERATION_MS = 5000, READINGS = 3 };

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    (void)client;
    (void)user_data;
    printf("%s: %s\n", tern_message_topic(message), tern_message_text(message));
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    char advice[300];
    (void)client;
    (void)user_data;
    if (tern_event_error(event) != 0) fprintf(stderr, "%s\n", tern_event_text(event));
    if (tern_aws_explain(event, advice, sizeof advice)) fprintf(stderr, "  %s\n", advice);
}

static int make(tern_client **client, char **argv, int argc)
{
    tern_aws_options *options = NULL;
    int rc = tern_aws_options_new(&options, argv[1]);
    if (rc == 0) rc = tern_client_options_set_client_id(tern_aws_options_client(options), "myClientID");
    if (rc == 0) rc = tern_aws_options_set_certificate_files(options, argv[2], argv[3], argv[4], 8883);
    if (rc == 0 && argc > 6) rc = tern_aws_options_set_address(options, argv[5], (uint16_t)atoi(argv[6]));
    if (rc == 0) rc = tern_aws_options_set_backoff(options, 1, 32, 20);
    if (rc == 0) rc = tern_aws_options_set_offline_queue(options, -1, TERN_OUTBOX_REJECT); /* any number */
    if (rc == 0) rc = tern_aws_options_set_draining_frequency(options, 2);
    if (rc == 0) rc = tern_connection_options_set_connect_timeout(tern_aws_options_connection(options), CONNECT_MS);
    if (rc == 0) rc = tern_aws_client_new(client, options);
    tern_aws_options_free(options);
    return rc;
}

int main(int argc, char **argv)
{
    tern_client *client = NULL;
    if (argc < 5) {
        fprintf(stderr, "usage: aws ENDPOINT CA CERTIFICATE KEY [HOST PORT]\n");
        return 2;
    }
    int rc = make(&client, argv, argc);
    if (rc == 0) rc = tern_client_set_event_handler(client, on_event, NULL);
    if (rc == 0) rc = tern_client_set_filter_handler(client, "topic/subtopic", on_message, NULL);
    for (int i = 0; i < READINGS && rc == 0; i++) /* offline: they wait, and leave at two a second */
        rc = tern_client_publish(client, "topic/subtopic", "22.5", 4, TERN_QOS_1, NULL);
    if (rc == 0) rc = tern_client_subscribe(client, "topic/subtopic", TERN_QOS_1, NULL);
    if (rc == 0) rc = tern_client_connect_wait(client, CONNECT_MS);
    if (rc == 0) printf("Connected to AWS IoT Core\n");
    if (rc == 0) rc = tern_client_publish_wait(client, "topic/subtopic", "done", 4, TERN_QOS_1, OPERATION_MS);
    if (rc == 0) rc = tern_client_close_wait(client, OPERATION_MS);
    if (rc != 0) fprintf(stderr, "%s: %s\n", tern_strerror(rc), tern_client_error_text(client));
    tern_client_free(client);
    return rc != 0;
}
