/* Callbacks on your own thread: a poll() loop that waits for the client and for its own descriptors at once.
 * Usage: manual_dispatch [URL]
 *
 * With TERN_DISPATCH_MANUAL no callback thread exists. A descriptor becomes readable when callbacks are due, and
 * tern_client_dispatch() runs them here: nothing needs a lock. Any event loop can watch the descriptor.
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <tern/tern.h>

enum { MESSAGES = 3, TICK_MS = 100, TICKS = 100 };

typedef struct app {
    int published;
    int received;
    int stopped;
} app;

static void publish_next(tern_client *client, app *self)
{
    char text[16];
    int length = snprintf(text, sizeof text, "tick %d", ++self->published);
    if (tern_client_publish(client, "sample/loop", text, (size_t)length, TERN_QOS_1, NULL) != 0)
        fprintf(stderr, "%s\n", tern_client_error_text(client));
}

static void on_message(tern_client *client, const tern_message *message, void *user_data)
{
    app *self = user_data;
    printf("%s %s\n", tern_message_topic(message), tern_message_text(message));
    if (++self->received < MESSAGES) publish_next(client, self);
}

static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    (void)client;
    puts(tern_event_text(event));
    if (tern_event_get_kind(event) == TERN_EVENT_STOPPED) ((app *)user_data)->stopped = 1;
}

static int make_client(tern_client **client, const char *url, app *self)
{
    tern_client_options *options;
    int rc = tern_client_options_new(&options);
    if (rc != 0) return rc;
    rc = tern_client_options_set_dispatch(options, TERN_DISPATCH_MANUAL);
    if (rc == 0) rc = tern_client_new(client, options);
    tern_client_options_free(options);
    if (rc == 0) rc = tern_client_set_event_handler(*client, on_event, self);
    if (rc == 0) rc = tern_client_set_message_handler(*client, on_message, self);
    if (rc == 0) rc = tern_client_configure_url(*client, url);
    if (rc == 0) rc = tern_client_connect(*client, NULL);
    /* The subscription goes out before the first message: what is asked for first is sent first. */
    if (rc == 0) rc = tern_client_subscribe(*client, "sample/loop", TERN_QOS_1, NULL);
    return rc;
}

int main(int argc, char **argv)
{
    app self = {0, 0, 0};
    tern_client *client = NULL;
    struct pollfd watched = {.fd = -1, .events = POLLIN, .revents = 0};
    int rc = make_client(&client, argc > 1 ? argv[1] : "mqtt://localhost", &self);
    if (rc == 0) rc = tern_client_dispatch_fd(client, &watched.fd);
    if (rc == 0) publish_next(client, &self);
    for (int tick = 0; rc == 0 && tick < TICKS && self.received < MESSAGES && !self.stopped;) {
        int ready = poll(&watched, 1, TICK_MS); /* a real program watches its own descriptors here too */
        if (ready > 0) rc = tern_client_dispatch(client, 0);
        if (ready == 0) tick++; /* a real program does its periodic work here */
        if (rc == TERN_E_TIMEOUT) rc = 0; /* nothing was due after all */
    }
    if (rc != 0) fprintf(stderr, "%s\n", tern_client_error_text(client));
    tern_client_free(client);
    return rc != 0 || self.received < MESSAGES;
}
