/* A thousand clients in one process: they share one network thread and one callback thread. Usage: thousand [URL]
 *
 * They stand in a ring: each listens on its own topic and publishes to its neighbour's.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/resource.h>
#include <tern/tern.h>

enum { CLIENTS = 1000, PATIENCE_MS = 30000 };

/* A descriptor for each connection, and some for the process: the only limit that has to be raised. */
static int allow_descriptors(void)
{
    struct rlimit limit;
    const rlim_t wanted = CLIENTS + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return TERN_E_SYSTEM;
    if (limit.rlim_cur >= wanted) return 0;
    limit.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : TERN_E_SYSTEM;
}

/* Starts client i; *subscribed ends when it is connected and the broker has granted its subscription. */
static int start(tern_client **client, const tern_client_options *options, const char *url, int i,
                 tern_token **subscribed)
{
    char topic[32];
    snprintf(topic, sizeof topic, "ring/%d", i);
    int rc = tern_client_new(client, options);
    if (rc == 0) rc = tern_client_configure_url(*client, url);
    if (rc == 0) rc = tern_client_subscribe(*client, topic, TERN_QOS_1, subscribed);
    return rc == 0 ? tern_client_connect(*client, NULL) : rc;
}

static int publish_to_neighbour(tern_client *client, int i)
{
    char topic[32];
    snprintf(topic, sizeof topic, "ring/%d", (i + 1) % CLIENTS);
    return tern_client_publish(client, topic, "pass it on", 10, TERN_QOS_1, NULL);
}

static int receive(tern_client *client)
{
    tern_message *message;
    int rc = tern_client_receive_wait(client, &message, PATIENCE_MS);
    tern_message_unref(message);
    return rc;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    static tern_client *clients[CLIENTS];
    static tern_token *subscribed[CLIENTS];
    tern_loop *loop = NULL;
    tern_client_options *options = NULL;
    int received = 0;
    int at = 0; /* the client that an error is about */
    int rc = allow_descriptors();
    if (rc == 0) rc = tern_loop_new(&loop, 1, TERN_POLLER_DEFAULT);
    if (rc == 0) rc = tern_client_options_new(&options);
    if (rc == 0) rc = tern_client_options_set_loop(options, loop);
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        rc = start(&clients[at = i], options, url, i, &subscribed[i]);
    for (int i = 0; i < CLIENTS && rc == 0; i++) rc = tern_token_wait(subscribed[at = i], PATIENCE_MS);
    for (int i = 0; i < CLIENTS && rc == 0; i++) rc = publish_to_neighbour(clients[at = i], i);
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        if ((rc = receive(clients[at = i])) == 0) received++;
    if (rc != 0) fprintf(stderr, "%s: %s\n", tern_strerror(rc), tern_client_error_text(clients[at]));
    for (int i = 0; i < CLIENTS; i++) tern_token_unref(subscribed[i]);
    for (int i = 0; i < CLIENTS; i++) tern_client_free(clients[i]);
    tern_client_options_free(options);
    tern_loop_free(loop);
    printf("%d clients on one loop, %d messages received\n", CLIENTS, received);
    return rc != 0;
}
