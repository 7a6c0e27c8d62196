/** @file
 * AWS IoT Core: options for a client that the service accepts, and signed URLs made afresh for each attempt.
 *
 * Three ways in: a device certificate (port 8883, or 443), a custom authorizer (443), and WebSocket with
 * credentials of IAM (443). The client that comes of it is an ordinary one. What the service would close the connection for is
 * refused before it is sent. docs/clouds.md has the whole story.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_AWS_H
#define TERN_AWS_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** How to connect to AWS IoT Core. */
typedef struct tern_aws_options tern_aws_options;
/** Credentials of IAM, filled in by a callback. */
typedef struct tern_aws_credentials tern_aws_credentials;

/** Asked before each attempt for the credentials to sign it with: tern_aws_credentials_set(). It may take its
 * time; where it returns an error no attempt is made now, and it is asked again after the retry delay. Called
 * where callbacks run. */
typedef int (*tern_aws_credentials_callback)(tern_client *client, tern_aws_credentials *credentials,
                                             void *user_data);

/** @name Options
 * Thread: any, one at a time. Blocks: no.
 * @{ */
/** Makes options for an endpoint: the host that the console shows ("abc123-ats.iot.eu-west-1.amazonaws.com"). They
 * are the caller's. Errors: TERN_E_INVALID, TERN_E_URL (it is no host name), TERN_E_UNSUPPORTED (a build
 * without TLS), TERN_E_NOMEM. */
TERN_API int tern_aws_options_new(tern_aws_options **options, const char *endpoint);
/** Frees options, overwriting secrets; NULL does nothing. */
TERN_API void tern_aws_options_free(tern_aws_options *options);
/** The options of the client, borrowed: id (at most 128 bytes), loop, dispatch, log, outbox. NULL for NULL. */
TERN_API tern_client_options *tern_aws_options_client(tern_aws_options *options);
/** How it connects, borrowed: will, proxy, delays, keep alive (the service takes 30 to 1,200 s). Server, TLS and
 * credentials are set by tern_aws_client_new(). NULL for NULL. */
TERN_API tern_connection_options *tern_aws_options_connection(tern_aws_options *options);
/** Uses a device certificate: PEM files with Amazon's root (NULL: the system's authorities), the
 * certificate, and its key. Port 8883; with port 443 ALPN says `x-amzn-mqtt-ca`. The files are read at each attempt.
 * Errors: TERN_E_INVALID (also another port), TERN_E_NOMEM. */
TERN_API int tern_aws_options_set_certificate_files(tern_aws_options *options, const char *ca,
                                                    const char *certificate, const char *key,
                                                    uint16_t port);
/** Uses a custom authorizer, on port 443 with ALPN `mqtt`: its name (NULL for the default one), and for
 * one with signing the token's key name, the token, and its signature in base64 (all three or none; the
 * signature is encoded as the user name needs it). user_name and password (any bytes) are the
 * authorizer's business, and may be NULL. Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_aws_options_set_authorizer(tern_aws_options *options, const char *authorizer,
                                             const char *user_name, const void *password,
                                             size_t password_length, const char *token_name,
                                             const char *token, const char *signature);
/** Uses WebSocket on port 443 with a URL signed for each attempt (Signature Version 4) by the credentials that the
 * callback gives. region: "eu-west-1"; NULL takes it from the endpoint. Errors: TERN_E_INVALID (also no region
 * in the endpoint), TERN_E_NOMEM. */
TERN_API int tern_aws_options_set_websocket(tern_aws_options *options, const char *region,
                                            tern_aws_credentials_callback callback,
                                            void *user_data);
/** Trusts the authorities of a PEM file in place of the system's, for authorizers and WebSocket. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM. */
TERN_API int tern_aws_options_set_ca_file(tern_aws_options *options, const char *ca);
/** Connects to another host and port than the endpoint's own, for a private link or a test; names and
 * signatures are still the endpoint's. Errors: TERN_E_INVALID, TERN_E_NOMEM. */
TERN_API int tern_aws_options_set_address(tern_aws_options *options, const char *host,
                                          uint16_t port);
/** Sets the reconnect delay and how long a connection must last before it starts over, in seconds (1 <= base <=
 * maximum; the service's own SDK has 1, 32, 20). Errors: TERN_E_INVALID. */
TERN_API int tern_aws_options_set_backoff(tern_aws_options *options, uint32_t base_s,
                                          uint32_t maximum_s, uint32_t stable_s);
/** Sets how many messages wait while offline: -1 for any number, or at least 1; and what is dropped beyond:
 * TERN_OUTBOX_DROP_OLDEST or TERN_OUTBOX_DROP_NEWEST, or any other policy. What is in flight counts too. Errors: TERN_E_INVALID. */
TERN_API int tern_aws_options_set_offline_queue(tern_aws_options *options, int64_t messages,
                                                tern_outbox_policy policy);
/** Sets how many messages a second leave the offline queue after a connection (1 and up; default no limit).
 * Errors: TERN_E_INVALID. */
TERN_API int tern_aws_options_set_draining_frequency(tern_aws_options *options, uint32_t per_second);
/** @} */

/** Makes a client, the caller's to connect, use and free as any other; options may be freed then. The limits of the
 * service are in it: QoS 2 is refused, so are payloads over 128 KiB and topics over 256 bytes or 7 slashes; a
 * SUBSCRIBE has 8 filters; 100 messages are in flight. With WebSocket the attempt handler is in use. Errors:
 * TERN_E_INVALID (also no way in was set, a client id over 128 bytes), TERN_E_NOMEM, TERN_E_SYSTEM. Thread: any. Blocks: no. */
TERN_API int tern_aws_client_new(tern_client **client, const tern_aws_options *options);

/** Gives the credentials: access key id, secret access key, and session token (NULL for none); copied, and
 * wiped when the URL is signed. Errors: TERN_E_INVALID (also an access key with other characters than letters and
 * digits), TERN_E_NOMEM. Thread: that of the callback. Blocks: no. */
TERN_API int tern_aws_credentials_set(tern_aws_credentials *credentials, const char *access_key,
                                      const char *secret_key, const char *session_token);

/** Says what a failure of such a client may mean at this service, and what to do, into `buffer` (NUL-terminated, cut at
 * `size` bytes). Returns 1 where there is something to say, else 0 and an empty text. Thread: any. Blocks: no. */
TERN_API int tern_aws_explain(const tern_event *event, char *buffer, size_t size);

TERN_END_DECLS

#endif
