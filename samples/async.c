/* The asynchronous calls: publish without waiting, and be told what became of each message. Usage: async [URL]
 *
 * Publishing copies the message into the client's outbox and returns: also while the broker is away. Every
 * message accepted gets exactly one outcome: by its token where one was asked for, else by the delivery handler.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <tern/tern.h>

enum { MESSAGES = 100, PATIENCE_MS = 10000 };

/* Callbacks run one at a time on the client's callback thread, never on the network thread: they may take their
 * time, and publish. What they share with main() is theirs to protect; here a counter is enough. */
static void on_event(tern_client *client, const tern_event *event, void *user_data)
{
    (void)client;
    (void)user_data;
    printf("%s: %s\n", tern_event_kind_name(tern_event_get_kind(event)), tern_event_text(event));
}

/* Outcomes come in ranges of message ids, so that a busy client is not called once a message. */
static void on_delivery(tern_client *client, const tern_delivery *delivery, void *user_data)
{
    (void)client;
    atomic_int *delivered = user_data;
    printf("messages %" PRIu64 " to %" PRIu64 ": %s\n", tern_delivery_first_id(delivery),
           tern_delivery_last_id(delivery), tern_outcome_name(tern_delivery_outcome(delivery)));
    if (tern_delivery_outcome(delivery) == TERN_OUTCOME_DELIVERED)
        atomic_fetch_add(delivered, (int)tern_delivery_count(delivery));
}

static void on_token(tern_token *token, void *user_data)
{
    atomic_int *delivered = user_data;
    printf("the message with a token, id %" PRIu64 ": %s\n", tern_token_message_id(token),
           tern_outcome_name(tern_token_outcome(token)));
    if (tern_token_outcome(token) == TERN_OUTCOME_DELIVERED) atomic_fetch_add(delivered, 1);
}

static int publish_all(tern_client *client, atomic_int *delivered)
{
    for (int i = 0; i < MESSAGES; i++) {
        char text[16];
        int length = snprintf(text, sizeof text, "%d", i);
        int rc = tern_client_publish(client, "sample/async", text, (size_t)length, TERN_QOS_1, NULL);
        if (rc != 0) return rc;
    }
    tern_token *token;
    int rc = tern_client_publish_token(client, "sample/async", "last", 4, TERN_QOS_2, &token);
    if (rc != 0) return rc;
    rc = tern_token_set_callback(token, on_token, delivered);
    tern_token_unref(token); /* letting go of a token cancels nothing */
    return rc;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    atomic_int delivered = 0;
    tern_client *client = NULL;
    int rc = tern_client_new(&client, NULL);
    if (rc == 0) rc = tern_client_set_event_handler(client, on_event, NULL);
    if (rc == 0) rc = tern_client_set_delivery_handler(client, on_delivery, &delivered);
    if (rc == 0) rc = tern_client_configure_url(client, url);
    if (rc == 0) rc = publish_all(client, &delivered); /* before connecting: it waits in the outbox */
    if (rc == 0) rc = tern_client_connect(client, NULL);
    if (rc == 0) rc = tern_client_close_wait(client, PATIENCE_MS); /* drains; then no callback runs */
    if (rc != 0) fprintf(stderr, "%s\n", tern_client_error_text(client));
    tern_client_free(client);
    printf("%d of %d delivered\n", atomic_load(&delivered), MESSAGES + 1);
    return rc != 0 || atomic_load(&delivered) != MESSAGES + 1;
}
