/* Handlers by topic: one subscription, and each message goes to the handlers whose filter it matches.
 * Usage: handlers [URL]
 *
 * A message goes once to each handler that matches; the general handler gets what none matched. Handlers are
 * set before connecting, so that a session that is resumed finds them in place.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <tern/tern.h>
#include <time.h>

enum { PATIENCE_MS = 5000 };

/* What main() and the callback thread share. */
typedef struct board {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls; /* of all handlers */
} board;

/* A handler's user data: any pointer of yours. */
typedef struct room {
    const char *name;
    int calls;
    board *shared;
} room;

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    room *self = user_data;
    (void)client;
    printf("%s: %s %s\n", self->name, tern_message_topic(message), tern_message_text(message));
    pthread_mutex_lock(&self->shared->lock);
    self->calls++;
    self->shared->calls++;
    pthread_cond_signal(&self->shared->changed);
    pthread_mutex_unlock(&self->shared->lock);
}

static void wait_for_calls(board *shared, int calls)
{
    struct timespec deadline;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&shared->lock);
    while (shared->calls < calls && rc == 0)
        rc = pthread_cond_timedwait(&shared->changed, &shared->lock, &deadline);
    pthread_mutex_unlock(&shared->lock);
}

int main(int argc, char **argv)
{
    static const char *const topics[] = {"home/kitchen/temperature", "home/hall/temperature",
                                         "home/kitchen/light", "home/door"};
    board shared = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    room climate = {"climate", 0, &shared};
    room kitchen = {"kitchen", 0, &shared};
    room others = {"others", 0, &shared};
    tern_client *client = NULL;
    int rc = tern_client_new(&client, NULL);
    if (rc == 0) rc = tern_client_set_filter_handler(client, "home/+/temperature", on_message, &climate);
    if (rc == 0) rc = tern_client_set_filter_handler(client, "home/kitchen/#", on_message, &kitchen);
    if (rc == 0) rc = tern_client_set_message_handler(client, on_message, &others);
    if (rc == 0) rc = tern_client_configure_url(client, argc > 1 ? argv[1] : "mqtt://localhost");
    if (rc == 0) rc = tern_client_connect_wait(client, PATIENCE_MS);
    if (rc == 0) rc = tern_client_subscribe_wait(client, "home/#", TERN_QOS_1, PATIENCE_MS);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0] && rc == 0; i++)
        rc = tern_client_publish(client, topics[i], "on", 2, TERN_QOS_1, NULL);
    if (rc == 0) wait_for_calls(&shared, 5); /* two handlers take the kitchen's temperature */
    if (rc != 0) fprintf(stderr, "%s\n", tern_client_error_text(client));
    tern_client_free(client); /* waits for a callback that runs: the rest is ours alone again */
    printf("climate %d, kitchen %d, others %d\n", climate.calls, kitchen.calls, others.calls);
    return rc != 0 || climate.calls != 2 || kitchen.calls != 2 || others.calls != 1;
}
