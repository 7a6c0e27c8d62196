/* Payloads compressed on their way out and inflated on their way in; handlers see neither. Usage: compressed [URL]
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

enum { PATIENCE_MS = 10000, LINES = 10 };

static int open_client(tern_client **client, tern_compression *compression, const char *url)
{
    tern_client_options *options = NULL;
    int rc = tern_client_options_new(&options);
    if (rc == 0) rc = tern_client_options_set_compression(options, compression);
    if (rc == 0) rc = tern_client_new(client, options);
    if (rc == 0) rc = tern_client_configure_url(*client, url);
    if (rc == 0) rc = tern_client_connect_wait(*client, PATIENCE_MS);
    tern_client_options_free(options);
    return rc;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "mqtt://localhost";
    tern_client *client = NULL;
    tern_compression *compression = NULL;
    tern_message *message = NULL;
    char text[100 * LINES] = "";
    uint64_t before = 0;
    uint64_t after = 0;
    for (int i = 0; i < LINES; i++) strcat(text, "This is a large message that will be compressed. ");
    int rc = tern_compression_new(&compression);
    if (rc == 0) rc = tern_compression_set_default(compression, TERN_ENCODING_GZIP);
    if (rc == 0) rc = open_client(&client, compression, url);
    if (rc == 0) rc = tern_client_subscribe_wait(client, "test/compressed", TERN_QOS_1, PATIENCE_MS);
    if (rc == 0) rc = tern_client_publish_wait(client, "test/compressed", text, strlen(text), TERN_QOS_1, PATIENCE_MS);
    if (rc == 0) rc = tern_client_receive_wait(client, &message, PATIENCE_MS);
    if (rc == 0) {
        (void)tern_compression_stat(compression, "bytes_before", &before);
        (void)tern_compression_stat(compression, "bytes_after", &after);
        printf("%llu bytes went as %llu, and came %s: %.40s...\n", (unsigned long long)before, (unsigned long long)after,
               tern_compression_result_name(tern_compression_result_of(message)), tern_message_text(message));
    } else {
        fprintf(stderr, "%s: %s\n", tern_strerror(rc), tern_client_error_text(client));
    }
    tern_message_unref(message);
    tern_client_free(client);
    tern_compression_unref(compression);
    return rc != 0;
}
