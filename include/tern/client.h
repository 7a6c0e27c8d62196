/* The asynchronous API: nothing here waits for the network.
 *
 * All calls are safe from any thread and from callbacks. What is passed in is borrowed for the call.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_H
#define TERN_CLIENT_H

#include <tern/event.h>
#include <tern/types.h>

TERN_BEGIN_DECLS

/** Creates a client that is not connected yet; options may be NULL for the defaults and are cloned. Publishing
 * and subscribing work from here on: both wait for the connection. Errors: TERN_E_INVALID, TERN_E_NOMEM,
 * TERN_E_SYSTEM (threads, descriptors). Thread: any. Blocks: no. */
TERN_API int tern_client_new(tern_client **client, const tern_client_options *options);
/** Closes at once where that has not happened, and releases the client; NULL does nothing. Every accepted
 * message has its outcome first. From a callback of the client itself it is deferred: callbacks that tell outcomes may
 * still follow, so what they use must live on.
 * Thread: any. Blocks: until a running callback of the client has returned, unless called from it. */
TERN_API void tern_client_free(tern_client *client);

/** Replaces how to connect; cloned, takes effect at the next attempt. Errors: TERN_E_INVALID (no server, or
 * a persistent session without client id), TERN_E_NOMEM, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_configure(tern_client *client, const tern_connection_options *options);
/** tern_client_configure() with one server and the defaults for the rest: what a URL alone says. Errors: TERN_E_URL and
 * TERN_E_UNSUPPORTED (the client's error text tells where and why), and as tern_client_configure(). Thread: any.
 * Blocks: no. */
TERN_API int tern_client_configure_url(tern_client *client, const char *url);
/** Connects, and reconnects from now on. token (may be NULL) ends with the first CONNACK that says yes, or
 * when connecting stops. Errors: TERN_E_INVALID, TERN_E_NOT_CONNECTED (never configured), TERN_E_STATE
 * (connecting already), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.1) */
TERN_API int tern_client_connect(tern_client *client, tern_token **token);
/** Disconnects with an MQTT 5 reason code (0x00 normal, 0x04 with will, ...) and stops reconnecting; the
 * outbox is kept and tern_client_connect() may follow. token may be NULL. Errors: TERN_E_INVALID (code),
 * TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.14) */
TERN_API int tern_client_disconnect(tern_client *client, int reason_code, tern_token **token);
/** Closes for good: with drain waits up to timeout_ms for the outbox to empty, then disconnects and gives every
 * message its outcome. Later calls answer TERN_E_CLOSED. token may be NULL, and ends when no callback runs any
 * more. Errors: TERN_E_INVALID, TERN_E_CLOSED (again), TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_close(tern_client *client, int drain, uint32_t timeout_ms,
                               tern_token **token);

/** Publishes. The message is copied, gets an id of 1 and up in *id (may be NULL), and exactly one outcome,
 * told to the delivery handler. flags: a QoS with tern_publish_flag. topic is UTF-8 without wildcards.
 * Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOPIC, TERN_E_TOO_LARGE, TERN_E_OUTBOX_FULL (policy reject),
 * TERN_E_TIMEOUT (policy block), TERN_E_WOULD_DEADLOCK (policy block in a callback), TERN_E_CLOSED,
 * TERN_E_NOMEM. Thread: any. Blocks: only with TERN_OUTBOX_BLOCK. (MQTT 5 section 3.3) */
TERN_API int tern_client_publish(tern_client *client, const char *topic, const void *payload,
                                 size_t payload_length, uint32_t flags, uint64_t *id);
/** As tern_client_publish(), with a token that ends with the message's outcome. */
TERN_API int tern_client_publish_token(tern_client *client, const char *topic, const void *payload,
                                       size_t payload_length, uint32_t flags, tern_token **token);
/** As tern_client_publish(), of a prepared message with its properties; id and token may be NULL. The message
 * stays the caller's and may be published again. */
TERN_API int tern_client_publish_message(tern_client *client, const tern_message *message,
                                         uint64_t *id, tern_token **token);

/** Subscribes to a filter, now and after every lost session; token may be NULL. flags: a QoS with
 * tern_subscribe_flag. Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_FILTER, TERN_E_TOO_LARGE, TERN_E_CLOSED,
 * TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.8) */
TERN_API int tern_client_subscribe(tern_client *client, const char *filter, uint32_t flags,
                                   tern_token **token);
/** As tern_client_subscribe(), of several filters with properties. */
TERN_API int tern_client_subscribe_all(tern_client *client, const tern_subscription *subscription,
                                       tern_token **token);
/** Unsubscribes; token may be NULL. Errors: as tern_client_subscribe(). (MQTT 5 section 3.10) */
TERN_API int tern_client_unsubscribe(tern_client *client, const char *filter, tern_token **token);
/** As tern_client_unsubscribe(), of several filters; their flags and identifier play no part. */
TERN_API int tern_client_unsubscribe_all(tern_client *client, const tern_subscription *subscription,
                                         tern_token **token);

/** The handler of messages whose topic matches a filter ($share/group/ is stripped); a second call with the
 * same filter replaces it, a NULL callback removes it. Needs no subscription and may come before connecting.
 * After it returned on the callback thread the old handler is not called any more; elsewhere a call under way
 * may still end. Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_FILTER, TERN_E_NOT_FOUND (removing), TERN_E_CLOSED,
 * TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_set_filter_handler(tern_client *client, const char *filter,
                                            tern_message_callback callback, void *user_data);
/** The handler of messages that no filter handler takes; NULL removes it. Errors: TERN_E_INVALID,
 * TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_set_message_handler(tern_client *client, tern_message_callback callback,
                                             void *user_data);
/** The handler of outcomes of messages published without a token; NULL removes it: they are counted alone.
 * Errors: TERN_E_INVALID, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_set_delivery_handler(tern_client *client, tern_delivery_callback callback,
                                              void *user_data);
/** The handler of lifecycle events; NULL removes it. Errors: TERN_E_INVALID, TERN_E_CLOSED. Thread: any.
 * Blocks: no. */
TERN_API int tern_client_set_event_handler(tern_client *client, tern_event_callback callback,
                                           void *user_data);

/** Acknowledges a received message in manual mode, from its callback or later with a kept copy; sent in the
 * order of arrival. QoS 0 needs none and answers 0. Errors: TERN_E_INVALID, TERN_E_STATE (automatic mode, or
 * acknowledged already), TERN_E_STALE (its connection is gone: the broker sends it again), TERN_E_CLOSED.
 * Thread: any. Blocks: no. (MQTT 5 section 4.4) */
TERN_API int tern_client_ack(tern_client *client, const tern_message *message);

/** Takes the oldest message that waits, for clients without any message handler; it is the caller's. *message is
 * NULL on failure. Errors: TERN_E_INVALID, TERN_E_AGAIN (none waits), TERN_E_STATE (the client has message
 * handlers), TERN_E_CLOSED (closed, and none waits), TERN_E_NOMEM (it still waits). Thread: any. Blocks: no. */
TERN_API int tern_client_receive(tern_client *client, tern_message **message);
/** A token that ends when a message waits for tern_client_receive(). Errors: TERN_E_INVALID, TERN_E_STATE (the
 * client has message handlers), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_receive_token(tern_client *client, tern_token **token);
/** A token that ends when every message accepted before this call has its outcome. Errors: TERN_E_INVALID,
 * TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_flush(tern_client *client, tern_token **token);
/** 1 where the calling thread runs a callback of this client just now: `receive_wait` and `close_wait` would wait
 * for themselves. Thread: any. Blocks: no. */
TERN_API int tern_client_in_callback(tern_client *client);

/** Runs the callbacks that are due, waiting up to timeout_ms for the first. Returns 0 when some ran,
 * TERN_E_TIMEOUT when none were due. Errors: TERN_E_INVALID, TERN_E_STATE (the client has dispatcher threads),
 * TERN_E_WOULD_DEADLOCK (called from a callback), TERN_E_CLOSED (closed, and nothing is left to run).
 * Thread: any, one at a time. Blocks: up to timeout_ms. */
TERN_API int tern_client_dispatch(tern_client *client, uint32_t timeout_ms);
/** The descriptor that is readable while tern_client_dispatch() has work; it stays the client's, only to be
 * polled. Errors: TERN_E_INVALID, TERN_E_STATE (the client has dispatcher threads). Thread: any. Blocks: no. */
TERN_API int tern_client_dispatch_fd(tern_client *client, int *descriptor);

/** 1 while connected. Thread: any. Blocks: no. */
TERN_API int tern_client_connected(tern_client *client);
/** The client id in use (assigned by the server where none was set), copied into buffer, NUL-terminated.
 * Errors: TERN_E_INVALID, TERN_E_TOO_LARGE (buffer too small). Thread: any. Blocks: no. */
TERN_API int tern_client_id(tern_client *client, char *buffer, size_t size);
/** The client's last error in words: the step, the peer, the cause; of the last connection failure or failed
 * call, whichever came later. Never NULL, also for a NULL client. Valid until the client is freed; the text may
 * be replaced by a later error, see tern_client_copy_error_text(). Thread: any. Blocks: no. */
TERN_API const char *tern_client_error_text(tern_client *client);
/** Copies the last error's text into buffer, NUL-terminated, cut at size; returns the last error (0 = none).
 * Thread: any. Blocks: no. */
TERN_API int tern_client_copy_error_text(tern_client *client, char *buffer, size_t size);

/** Number of statistics. Thread: any. Blocks: no. */
TERN_API size_t tern_stat_count(void);
/** Name of the statistic at index ("messages_published"); NULL beyond. Names are stable. Thread: any. */
TERN_API const char *tern_stat_name(size_t index);
/** Value of a statistic by name: a counter since the client was made, a gauge, or a gauge's peak ("..._peak").
 * Errors: TERN_E_INVALID, TERN_E_NOT_FOUND. Thread: any. Blocks: no. */
TERN_API int tern_client_stat(tern_client *client, const char *name, uint64_t *value);

TERN_END_DECLS

#endif
