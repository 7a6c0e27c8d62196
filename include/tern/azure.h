/** @file
 * Azure IoT Hub: a client that speaks as a device, or a module of one.
 *
 * A hub makes the tokens that the service takes for passwords, renews them in time without losing a message,
 * and knows the service's topics. It owns a client, which tern_azure_hub_client() lends for everything else: waits,
 * statistics, outcomes. What the service would close the connection for is refused before it is sent.
 *
 * Callbacks run where the client's callbacks run, and what they are given is borrowed until they return.
 * Payloads are bytes: the service's JSON is the application's business. In a build without TLS
 * tern_azure_options_new() answers TERN_E_UNSUPPORTED. docs/azure.md has the whole story.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_AZURE_H
#define TERN_AZURE_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** How to be a device of a hub. */
typedef struct tern_azure_options tern_azure_options;
/** A device's, or module's, connection to its hub. */
typedef struct tern_azure_hub tern_azure_hub;
/** Properties of a message: names and values, as they travel in the topic. */
typedef struct tern_azure_properties tern_azure_properties;
/** What the service answers to a twin request. */
typedef struct tern_azure_response tern_azure_response;
/** A direct method that the service calls. */
typedef struct tern_azure_method tern_azure_method;

/** @name Options
 * One thread uses an options object at a time; it may be freed once its hubs are made.
 * @{ */

/** Makes options from a connection string: HostName, DeviceId, and one of SharedAccessKey (with an optional
 * SharedAccessKeyName), SharedAccessSignature and `x509=true`; ModuleId for a module, GatewayHostName for the
 * host to connect to. They are the caller's. Errors: TERN_E_INVALID (tern_azure_connection_string_error() says
 * which key, where and why), TERN_E_NOMEM, TERN_E_UNSUPPORTED (a build without TLS). Thread: any. Blocks: no. */
TERN_API int tern_azure_options_new(tern_azure_options **options, const char *connection_string);
/** Frees options, overwriting the key that they held; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_azure_options_free(tern_azure_options *options);
/** Says why a connection string is not valid: the key, its position from 1, and the reason, never a value, into
 * `buffer` (NUL-terminated, cut at `size` bytes, may be NULL). Returns 0 where it is fine, else TERN_E_INVALID or
 * TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_azure_connection_string_error(const char *connection_string, char *buffer,
                                                size_t size);
/** The options of the hub's client, borrowed: outbox, loop, dispatch, log, transforms. The hub sets the client
 * identifier itself. NULL for NULL. Thread: any, one at a time. Blocks: no. */
TERN_API tern_client_options *tern_azure_options_client(tern_azure_options *options);
/** How the hub connects, borrowed: TLS with the device's certificate, proxy, delays, will. The hub sets server,
 * version (3.1.1), credentials and keep alive itself; the session is TERN_SESSION_PERSISTENT unless it is set here. NULL for NULL.
 * Thread: any, one at a time. Blocks: no. */
TERN_API tern_connection_options *tern_azure_options_connection(tern_azure_options *options);
/** Sets how long a token is valid, in seconds (5..31,536,000; default 3600). It is renewed at 80 % of that, or 120
 * s before its end where that is earlier. Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_options_set_token_life(tern_azure_options *options, uint32_t seconds);
/** Sets the keep alive in seconds (1..1177, beyond which the service closes; default 240). Errors: TERN_E_INVALID.
 * Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_options_set_keep_alive(tern_azure_options *options, uint16_t seconds);
/** Sets whether to go over WebSocket and port 443 (1), where 8883 is blocked; default 0. Errors: TERN_E_INVALID.
 * Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_options_set_websocket(tern_azure_options *options, int websocket);
/** Sets the URL to connect to in place of the hub's own, for a gateway on another port; NULL for none, the
 * default. Who and what the tokens are for stays as it is. Without TLS in the URL whoever is in between reads
 * the token. Errors: TERN_E_INVALID, TERN_E_URL (tern_url_error() tells where and why), TERN_E_UNSUPPORTED,
 * TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_options_set_server(tern_azure_options *options, const char *url);
/** Sets the IoT Plug and Play model that the device announces ("dtmi:com:example:Thermostat;1"); NULL for none,
 * the default. Errors: TERN_E_INVALID (longer than 256 bytes), TERN_E_UTF8, TERN_E_NOMEM. Thread: any, one at a time.
 * Blocks: no. */
TERN_API int tern_azure_options_set_model_id(tern_azure_options *options, const char *model_id);
/** @} */

/** @name Properties of messages
 * System properties have names that begin with `$.`: content type `$.ct`, content encoding `$.ce`, message id
 * `$.mid`, correlation id `$.cid`. One thread uses an object at a time.
 * @{ */

/** Makes an empty bag of properties, the caller's. Errors: TERN_E_INVALID, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_azure_properties_new(tern_azure_properties **properties);
/** Frees a bag; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_azure_properties_free(tern_azure_properties *properties);
/** Adds a property behind those that are there; value NULL: a name alone. Both are copied, and encoded when
 * they are sent. Errors: TERN_E_INVALID (also an empty name), TERN_E_UTF8, TERN_E_TOO_LARGE (over 65,535 bytes),
 * TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_properties_add(tern_azure_properties *properties, const char *name,
                                       const char *value);
/** Adds `$.ct` ("application/json"). Errors: as tern_azure_properties_add(). Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_properties_add_content_type(tern_azure_properties *properties,
                                                    const char *content_type);
/** Adds `$.ce` ("utf-8"); with both the service can route by what is in the payload. Errors: as
 * tern_azure_properties_add(). Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_properties_add_content_encoding(tern_azure_properties *properties,
                                                        const char *encoding);
/** Adds `$.mid`. Errors: as tern_azure_properties_add(). Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_properties_add_message_id(tern_azure_properties *properties, const char *id);
/** Adds `$.cid`. Errors: as tern_azure_properties_add(). Thread: any, one at a time. Blocks: no. */
TERN_API int tern_azure_properties_add_correlation_id(tern_azure_properties *properties,
                                                      const char *id);
/** Number of properties; 0 for NULL. Thread: any, one at a time. Blocks: no. */
TERN_API size_t tern_azure_properties_count(const tern_azure_properties *properties);
/** Name of the property at index, borrowed; NULL beyond. Thread: any, one at a time. Blocks: no. */
TERN_API const char *tern_azure_properties_name(const tern_azure_properties *properties,
                                                size_t index);
/** Its value, borrowed; NULL beyond, and for a name alone. Thread: any, one at a time. Blocks: no. */
TERN_API const char *tern_azure_properties_value(const tern_azure_properties *properties,
                                                 size_t index);
/** The value of the first property of that name, borrowed; NULL where there is none, or a name alone. Thread:
 * any, one at a time. Blocks: no. */
TERN_API const char *tern_azure_properties_find(const tern_azure_properties *properties,
                                                const char *name);
/** @} */

/** @name The hub
 * @{ */

/** Makes a hub that is not connected yet, the caller's to free. Its client's attempt and event handlers, and those
 * for the service's topics, are the hub's own; everything else is free. `options` keeps no tie to the hub. Errors:
 * TERN_E_INVALID, TERN_E_TOO_LARGE (eight transforms are set already), TERN_E_NOMEM, TERN_E_SYSTEM, TERN_E_FORKED.
 * Thread: any. Blocks: no. */
TERN_API int tern_azure_hub_new(tern_azure_hub **hub, tern_azure_options *options);
/** Closes at once where that has not happened, and releases the hub and its client; NULL does nothing. Every
 * request has its answer first. From a callback of the hub itself it is deferred. Thread: any. Blocks: as
 * tern_client_free(). */
TERN_API void tern_azure_hub_free(tern_azure_hub *hub);
/** The hub's client, borrowed until the hub is freed: publishing goes through the service's limits there too, but
 * for tern_client_publish_unit(). NULL for NULL. Thread: any. Blocks: no. */
TERN_API tern_client *tern_azure_hub_client(tern_azure_hub *hub);
/** Connects, and reconnects from now on, with a fresh token each time. Errors and token: as
 * tern_client_connect(). Thread: any. Blocks: no. */
TERN_API int tern_azure_hub_start(tern_azure_hub *hub, tern_token **token);

/** Told of a lifecycle event of the hub's client. */
typedef void (*tern_azure_event_callback)(tern_azure_hub *hub, const tern_event *event,
                                          void *user_data);
/** Sets who is told of lifecycle events; NULL removes it. Errors: TERN_E_INVALID. Thread: any. Blocks: no. */
TERN_API int tern_azure_hub_set_event_handler(tern_azure_hub *hub, tern_azure_event_callback callback,
                                              void *user_data);

/** Sends telemetry; properties may be NULL. flags: TERN_QOS_0 or TERN_QOS_1, and the flags for transforms;
 * `*token` (token may be NULL) ends with the outcome. Errors: as tern_client_publish_token(), and
 * TERN_E_UNSUPPORTED (QoS 2, TERN_RETAIN), TERN_E_TOO_LARGE (over 256 KB, properties included); the client's
 * error text says which. Thread: any. Blocks: as tern_client_publish(). */
TERN_API int tern_azure_hub_send_message(tern_azure_hub *hub, const void *payload,
                                         size_t payload_length,
                                         const tern_azure_properties *properties, uint32_t flags,
                                         tern_token **token);

/** Given a message from the cloud with its properties, decoded; where a name or value is not properly encoded
 * it is there as it came. */
typedef void (*tern_azure_message_callback)(tern_azure_hub *hub, const tern_message *message,
                                            const tern_azure_properties *properties,
                                            void *user_data);
/** Sets the handler of cloud-to-device messages, and subscribes to them (QoS 1); NULL removes it and
 * unsubscribes. The message is acknowledged as the client's options say. Errors: TERN_E_INVALID, TERN_E_CLOSED,
 * TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_azure_hub_set_message_handler(tern_azure_hub *hub,
                                                tern_azure_message_callback callback,
                                                void *user_data);

/** Told once how a twin request ended. */
typedef void (*tern_azure_response_callback)(tern_azure_hub *hub, const tern_azure_response *response,
                                             void *user_data);
/** Asks for the twin: desired and reported properties as JSON. The callback is called exactly once where this
 * returned 0: with the answer, TERN_E_TIMEOUT after timeout_ms (at least 1), TERN_E_CONNECTION_LOST where the
 * connection was lost after the request got there, or TERN_E_CLOSED. Errors: TERN_E_INVALID, TERN_E_NOMEM,
 * and as tern_client_publish(). Thread: any. Blocks: as tern_client_publish(). */
TERN_API int tern_azure_hub_get_twin(tern_azure_hub *hub, uint32_t timeout_ms,
                                     tern_azure_response_callback callback, void *user_data);
/** Reports properties: JSON that is merged into the twin. A request that timed out may still arrive. Otherwise
 * as tern_azure_hub_get_twin(); callback may be NULL. Thread: any. Blocks: as tern_client_publish(). */
TERN_API int tern_azure_hub_report(tern_azure_hub *hub, const void *payload, size_t payload_length,
                                   uint32_t timeout_ms, tern_azure_response_callback callback,
                                   void *user_data);
/** Given a change of the desired properties, as JSON, and the version of them. What changed while the device was
 * away is in the twin: tern_azure_hub_get_twin() after each CONNECTED tells it. */
typedef void (*tern_azure_desired_callback)(tern_azure_hub *hub, uint64_t version,
                                            const void *payload, size_t payload_length,
                                            void *user_data);
/** Sets the handler of changes of desired properties, and subscribes to them; NULL removes it and unsubscribes.
 * Errors: as tern_azure_hub_set_message_handler(). Thread: any. Blocks: no. */
TERN_API int tern_azure_hub_set_desired_handler(tern_azure_hub *hub,
                                                tern_azure_desired_callback callback,
                                                void *user_data);

/** Given a direct method, to be answered with tern_azure_hub_answer_method(), now or later. */
typedef void (*tern_azure_method_callback)(tern_azure_hub *hub, const tern_azure_method *method,
                                           void *user_data);
/** Sets the handler of direct methods, and subscribes to them; NULL removes it and unsubscribes. Errors: as
 * tern_azure_hub_set_message_handler(). Thread: any. Blocks: no. */
TERN_API int tern_azure_hub_set_method_handler(tern_azure_hub *hub,
                                               tern_azure_method_callback callback, void *user_data);
/** Answers a method by its request id, with a status of the application's choice (200 is usual) and JSON. The
 * service waits as long as the caller of the method said. Errors: TERN_E_INVALID (also an id that came with no
 * method, or a negative status), and as tern_client_publish(). Thread: any. Blocks: as tern_client_publish(). */
TERN_API int tern_azure_hub_answer_method(tern_azure_hub *hub, const char *request_id, int status,
                                          const void *payload, size_t payload_length);
/** @} */

/** @name Reading a response and a method
 * For NULL: 0, NULL or TERN_E_INVALID. Thread: that of the callback. Blocks: no.
 * @{ */
/** 0 where the service did as it was asked (a status of 200 to 299), TERN_E_REFUSED for another status, or why
 * there is no answer. */
TERN_API int tern_azure_response_error(const tern_azure_response *response);
/** The service's status: 200 with a twin, 204 for a report, 429 where there were too many; 0 without answer. */
TERN_API int tern_azure_response_status(const tern_azure_response *response);
/** The version of the reported properties, of a report; else 0. */
TERN_API uint64_t tern_azure_response_version(const tern_azure_response *response);
/** The payload, never NULL but for NULL; a NUL follows its last byte. */
TERN_API const void *tern_azure_response_payload(const tern_azure_response *response);
/** Bytes of the payload. */
TERN_API size_t tern_azure_response_payload_length(const tern_azure_response *response);
/** Name of the method. */
TERN_API const char *tern_azure_method_name(const tern_azure_method *method);
/** The id to answer with. */
TERN_API const char *tern_azure_method_request_id(const tern_azure_method *method);
/** The payload, never NULL but for NULL; a NUL follows its last byte. */
TERN_API const void *tern_azure_method_payload(const tern_azure_method *method);
/** Bytes of the payload. */
TERN_API size_t tern_azure_method_payload_length(const tern_azure_method *method);
/** @} */

TERN_END_DECLS

#endif
