/* A pool of five connections: what is published goes through all of them, a topic through one. Usage: pool [URL]
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

enum { MEMBERS = 5, MESSAGES = 100, PATIENCE_MS = 10000 };

static void on_event(tern_pool *pool, size_t member, const tern_event *event, void *user_data)
{
    (void)pool;
    (void)user_data;
    if (tern_event_error(event) != 0) printf("member %zu: %s\n", member, tern_event_text(event)); /* it comes back by itself */
}

static int make(tern_pool **pool, const char *url)
{
    tern_pool_options *options = NULL;
    tern_connection_options *connection = NULL;
    int rc = tern_pool_options_new(&options);
    if (rc == 0) rc = tern_pool_options_set_members(options, MEMBERS);
    if (rc == 0) rc = tern_connection_options_new(&connection);
    if (rc == 0) rc = tern_connection_options_add_server(connection, url);
    if (rc == 0) rc = tern_pool_new(pool, options, NULL, connection);
    tern_connection_options_free(connection);
    tern_pool_options_free(options);
    return rc;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    tern_pool *pool = NULL;
    size_t used[MEMBERS] = {0};
    char text[400] = "";
    int rc = make(&pool, url);
    if (rc == 0) rc = tern_pool_set_event_handler(pool, on_event, NULL);
    if (rc == 0) rc = tern_pool_start(pool);
    if (rc == 0) rc = tern_pool_wait_connected(pool, MEMBERS, PATIENCE_MS);
    if (rc == 0) rc = tern_pool_publish_wait(pool, "test/topic", "Hello from pool!", 16, TERN_QOS_1, PATIENCE_MS);
    for (int i = 0; i < MESSAGES && rc == 0; i++) {
        char topic[32];
        uint64_t id = 0;
        snprintf(topic, sizeof topic, "sensor/%d", i);
        rc = tern_pool_publish(pool, topic, "23.5", 4, TERN_QOS_1, &id);
        used[tern_pool_member_of(id)]++;
    }
    if (rc == 0) rc = tern_pool_close_wait(pool, PATIENCE_MS); /* everything has its outcome */
    if (rc != 0) {
        (void)tern_pool_copy_error_text(pool, text, sizeof text);
        fprintf(stderr, "%s\n", text[0] != '\0' ? text : tern_strerror(rc));
    } else {
        for (size_t i = 0; i < MEMBERS; i++) printf("member %zu published %zu of %d topics\n", i, used[i], MESSAGES);
    }
    tern_pool_free(pool);
    return rc != 0;
}
