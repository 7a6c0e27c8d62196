/* What pools and batches bring: messages a second through a broker, and bytes on the wire, for one setting.
 * Usage: bench_layers pool URL MEMBERS QOS SECONDS | bench_layers batch URL MESSAGES_A_BATCH SECONDS (1: plain publishing)
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/tern.h>
#include <time.h>

enum { PATIENCE_MS = 60000, TOPICS = 64, PAYLOAD = 256, OUTBOX = 4 << 20 };

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(const char *step, int rc, const char *text)
{
    fprintf(stderr, "bench_layers: %s: %s (%s)\n", step, tern_strerror(rc), text);
    return 1;
}

/* Publishers wait for room: what is measured is what gets through. */
static tern_client_options *blocking_outbox(void)
{
    tern_client_options *options = NULL;
    if (tern_client_options_new(&options) != 0 || tern_client_options_set_outbox_limits(options, OUTBOX, 0) != 0 ||
        tern_client_options_set_outbox_policy(options, TERN_OUTBOX_BLOCK, 0) != 0)
        abort();
    return options;
}

/* `urls`: one, or several with commas between. */
static tern_connection_options *connection_to(const char *urls)
{
    tern_connection_options *options = NULL;
    char url[100];
    if (tern_connection_options_new(&options) != 0) abort();
    for (const char *rest = urls; *rest != '\0'; rest += strspn(rest, ",")) {
        size_t len = strcspn(rest, ",");
        snprintf(url, sizeof url, "%.*s", (int)len, rest);
        if (tern_connection_options_add_server(options, url) != 0) abort();
        rest += len;
    }
    return options;
}

static int run_pool(const char *url, size_t members, uint32_t qos, double seconds)
{
    tern_pool *pool = NULL;
    tern_pool_options *options = NULL;
    tern_client_options *client = blocking_outbox();
    tern_connection_options *connection = connection_to(url);
    char topics[TOPICS][16];
    static const char payload[PAYLOAD];
    uint64_t count = 0;
    for (int i = 0; i < TOPICS; i++) snprintf(topics[i], sizeof topics[i], "bench/%d", i);
    int rc = tern_pool_options_new(&options);
    if (rc == 0) rc = tern_pool_options_set_members(options, members);
    if (rc == 0) rc = tern_pool_new(&pool, options, client, connection);
    if (rc == 0) rc = tern_pool_start(pool);
    if (rc == 0) rc = tern_pool_wait_connected(pool, members, PATIENCE_MS);
    double start = seconds_now();
    while (rc == 0 && (count % 256 != 0 || seconds_now() - start < seconds)) {
        rc = tern_pool_publish(pool, topics[count % TOPICS], payload, sizeof payload, qos, NULL);
        count++;
    }
    if (rc == 0) rc = tern_pool_flush_wait(pool, PATIENCE_MS);
    double took = seconds_now() - start;
    tern_pool_free(pool);
    tern_pool_options_free(options);
    tern_client_options_free(client);
    tern_connection_options_free(connection);
    if (rc != 0) return fail("pool", rc, url);
    printf("| %zu | %u | %.0f |\n", members, qos, (double)count / took);
    return 0;
}

static int publish_batched(tern_client *client, uint32_t size, double seconds, uint64_t *count)
{
    tern_batch *batch = NULL;
    char topic[24];
    int rc = 0;
    if (size > 1) rc = tern_batch_new(&batch, client);
    if (size > 1 && rc == 0) rc = tern_batch_set_limits(batch, size, 1 << 20);
    double start = seconds_now();
    while (rc == 0 && (*count % 256 != 0 || seconds_now() - start < seconds)) {
        snprintf(topic, sizeof topic, "sensor/%d", (int)(*count % TOPICS));
        rc = size > 1 ? tern_batch_add(batch, topic, "23.5", 4, TERN_QOS_0, NULL)
                      : tern_client_publish(client, topic, "23.5", 4, TERN_QOS_1, NULL);
        (*count)++;
    }
    tern_batch_free(batch);
    return rc != 0 ? rc : tern_client_flush_wait(client, PATIENCE_MS);
}

static int run_batch(const char *url, uint32_t size, double seconds)
{
    tern_client *client = NULL;
    tern_client_options *options = blocking_outbox();
    tern_connection_options *connection = connection_to(url);
    uint64_t count = 0;
    uint64_t bytes = 0;
    int rc = tern_client_options_set_client_id(options, "bench"); /* the sink gives no names */
    if (rc == 0) rc = tern_client_new(&client, options);
    if (rc == 0) rc = tern_client_configure(client, connection);
    if (rc == 0) rc = tern_client_connect_wait(client, PATIENCE_MS);
    double start = seconds_now();
    if (rc == 0) rc = publish_batched(client, size, seconds, &count);
    double took = seconds_now() - start;
    if (rc == 0) rc = tern_client_stat(client, "bytes_sent", &bytes);
    tern_client_free(client);
    tern_client_options_free(options);
    tern_connection_options_free(connection);
    if (rc != 0) return fail("batch", rc, url);
    printf("| %u | %.0f | %.1f |\n", size, (double)count / took, (double)bytes / (double)count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "pool") == 0)
        return run_pool(argv[2], (size_t)atoi(argv[3]), (uint32_t)atoi(argv[4]), atof(argv[5]));
    if (argc == 5 && strcmp(argv[1], "batch") == 0) return run_batch(argv[2], (uint32_t)atoi(argv[3]), atof(argv[4]));
    fprintf(stderr, "usage: bench_layers pool URL MEMBERS QOS SECONDS | batch URL MESSAGES_A_BATCH SECONDS\n");
    return 2;
}
