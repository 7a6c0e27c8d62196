/* The first program: connect, subscribe, publish, and receive what was published. Usage: first [URL]
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <tern/tern.h>

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    tern_client *client = NULL;
    tern_message *message = NULL;
    int rc = tern_client_open_wait(&client, url, 5000);
    if (rc == 0) rc = tern_client_subscribe_wait(client, "sensors/#", TERN_QOS_1, 5000);
    if (rc == 0) rc = tern_client_publish_wait(client, "sensors/temperature", "23.5", 4, TERN_QOS_1, 5000);
    if (rc == 0) rc = tern_client_receive_wait(client, &message, 5000);
    if (rc == 0) printf("%s %s\n", tern_message_topic(message), tern_message_text(message));
    if (rc != 0) fprintf(stderr, "%s\n", tern_client_error_text(client));
    tern_message_unref(message);
    tern_client_free(client);
    return rc != 0;
}
