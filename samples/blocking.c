/* The blocking calls with options: an id, a will, a message with properties, a clean end. Usage: blocking [URL]
 *
 * Each call that ends in _wait answers by its deadline (milliseconds). 0 is success; on failure
 * tern_client_error_text() says which step failed, with whom and why.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

enum { PATIENCE_MS = 5000 };

/* What the broker publishes for us should this program vanish without a goodbye. */
static int set_will(tern_connection_options *connection)
{
    tern_message *will;
    int rc = tern_message_new(&will, "machines/lathe/state", "gone", 4, TERN_QOS_1);
    if (rc != 0) return rc;
    rc = tern_connection_options_set_will(connection, will, 0);
    tern_message_unref(will);
    return rc;
}

/* A configured client; options are copied, so they are freed as soon as they were handed over. */
static int make_client(tern_client **client, const char *url)
{
    tern_client_options *options = NULL;
    tern_connection_options *connection = NULL;
    int rc = tern_client_options_new(&options);
    if (rc == 0) rc = tern_client_options_set_client_id(options, "tern-sample-blocking");
    if (rc == 0) rc = tern_client_new(client, options);
    if (rc == 0) rc = tern_connection_options_new(&connection);
    if (rc == 0) rc = tern_connection_options_add_server(connection, url);
    if (rc == 0) rc = tern_connection_options_set_keep_alive(connection, 30);
    if (rc == 0) rc = set_will(connection);
    if (rc == 0) rc = tern_client_configure(*client, connection);
    tern_connection_options_free(connection);
    tern_client_options_free(options);
    return rc;
}

static int publish(tern_client *client)
{
    const char *report = "{\"rpm\": 1200}";
    tern_message *message;
    int rc = tern_message_new(&message, "machines/lathe/report", report, strlen(report), TERN_QOS_2);
    if (rc != 0) return rc;
    rc = tern_message_set_content_type(message, "application/json");
    if (rc == 0) rc = tern_message_add_user_property(message, "site", "north");
    if (rc == 0) rc = tern_client_publish_message_wait(client, message, NULL, PATIENCE_MS);
    tern_message_unref(message);
    return rc;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    tern_client *client = NULL;
    tern_message *message = NULL;
    int rc = make_client(&client, url);
    if (rc == 0) rc = tern_client_connect_wait(client, PATIENCE_MS);
    if (rc == 0) rc = tern_client_subscribe_wait(client, "machines/+/report", TERN_QOS_2, PATIENCE_MS);
    if (rc == 0) rc = publish(client);
    if (rc == 0) rc = tern_client_receive_wait(client, &message, PATIENCE_MS);
    if (rc == 0)
        printf("%s %s (QoS %d, %zu properties of the sender)\n", tern_message_topic(message),
               tern_message_text(message), tern_message_qos(message),
               tern_message_user_property_count(message));
    if (rc == 0) rc = tern_client_close_wait(client, PATIENCE_MS);
    if (rc != 0) fprintf(stderr, "%s: %s\n", tern_error_name(rc), tern_client_error_text(client));
    tern_message_unref(message); /* received with a _wait call: ours to give back */
    tern_client_free(client);
    return rc != 0;
}
