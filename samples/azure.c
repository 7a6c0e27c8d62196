/* A device of an Azure IoT Hub: telemetry, messages from the cloud, the twin, a direct method.
 * Usage: azure CONNECTION_STRING [URL CA_FILE], the latter two for a gateway with an authority of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

enum { PATIENCE_MS = 10000 };


static void on_message(tern_azure_hub *hub, const tern_message *message, const tern_azure_properties *properties, void *user_data)
{
    (void)hub, (void)user_data;
    printf("the cloud says: %s (%zu properties)\n", tern_message_text(message), tern_azure_properties_count(properties));
}

static void on_method(tern_azure_hub *hub, const tern_azure_method *method, void *user_data)
{
    (void)user_data;
    printf("method %s\n", tern_azure_method_name(method));
    (void)tern_azure_hub_answer_method(hub, tern_azure_method_request_id(method), 200, "{}", 2);
}

static void on_twin(tern_azure_hub *hub, const tern_azure_response *response, void *ended)
{
    (void)hub;
    ++*(int *)ended;
    printf("twin: %s\n", tern_azure_response_error(response) == 0 ? (const char *)tern_azure_response_payload(response)
                                                                  : tern_strerror(tern_azure_response_error(response)));
}

static int trust(tern_azure_options *options, const char *ca_file)
{
    tern_tls_options *tls = NULL;
    int rc = tern_tls_options_new(&tls);
    if (rc == 0) rc = tern_tls_options_add_ca_file(tls, ca_file);
    if (rc == 0) rc = tern_connection_options_set_tls(tern_azure_options_connection(options), tls);
    tern_tls_options_free(tls);
    return rc;
}

/* What is sent is queued while there is no connection. Callbacks run in tern_client_dispatch(): each request has one. */
static int talk(tern_azure_hub *hub)
{
    int ended = 0;
    const char *reading = "{\"temperature\": 25.5, \"humidity\": 60}";
    tern_azure_properties *properties = NULL;
    int rc = tern_azure_properties_new(&properties);
    if (rc == 0) rc = tern_azure_properties_add_content_type(properties, "application/json");
    if (rc == 0) rc = tern_azure_properties_add_content_encoding(properties, "utf-8");
    if (rc == 0) rc = tern_azure_hub_set_message_handler(hub, on_message, NULL);
    if (rc == 0) rc = tern_azure_hub_set_method_handler(hub, on_method, NULL);
    if (rc == 0) rc = tern_azure_hub_start(hub, NULL);
    if (rc == 0) rc = tern_azure_hub_send_message(hub, reading, strlen(reading), properties, TERN_QOS_1, NULL);
    if (rc == 0) rc = tern_azure_hub_report(hub, "{\"firmware\": 3}", 15, PATIENCE_MS, on_twin, &ended);
    if (rc == 0) rc = tern_azure_hub_get_twin(hub, PATIENCE_MS, on_twin, &ended);
    while (rc == 0 && ended < 2) rc = tern_client_dispatch(tern_azure_hub_client(hub), 2 * PATIENCE_MS);
    tern_azure_properties_free(properties);
    return rc;
}

int main(int argc, char **argv)
{
    char why[200] = "";
    tern_azure_options *options = NULL;
    tern_azure_hub *hub = NULL;
    int rc = tern_azure_options_new(&options, argv[1]);
    if (rc == TERN_E_INVALID) (void)tern_azure_connection_string_error(argv[1], why, sizeof why);
    if (rc == 0 && argc > 3) rc = tern_azure_options_set_server(options, argv[2]);
    if (rc == 0 && argc > 3) rc = trust(options, argv[3]);
    if (rc == 0) rc = tern_client_options_set_dispatch(tern_azure_options_client(options), TERN_DISPATCH_MANUAL);
    if (rc == 0) rc = tern_azure_hub_new(&hub, options);
    if (rc == 0) rc = talk(hub);
    if (rc != 0 && why[0] == '\0') (void)tern_client_copy_error_text(tern_azure_hub_client(hub), why, sizeof why);
    if (rc != 0) fprintf(stderr, "%s: %s\n", tern_error_name(rc), why);
    tern_azure_hub_free(hub);
    tern_azure_options_free(options);
    return rc != 0;
}
