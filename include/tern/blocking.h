/** @file
 * The blocking facade: the asynchronous calls plus a wait, for programs that do one thing after
 * another.
 *
 * Each call answers by its deadline. A wait that times out cancels nothing. All are legal in
 * callbacks unless their text says otherwise, but answer TERN_E_WOULD_DEADLOCK in a callback of the
 * client while reading is paused. On failure tern_client_error_text() says why.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BLOCKING_H
#define TERN_BLOCKING_H

#include <tern/client.h>
#include <tern/types.h>

TERN_BEGIN_DECLS

/** Creates a client with the defaults and connects it to `url`. `*client` is set even where
 * connecting failed, so that its error can be read, and is to be freed either way; it is NULL only
 * where it could not be created. A client whose server was merely not there goes on trying in the
 * background. Errors: TERN_E_INVALID, TERN_E_URL, TERN_E_UNSUPPORTED, TERN_E_NOMEM, TERN_E_SYSTEM,
 * and as tern_client_connect_wait(). Thread: any. Blocks: up to timeout_ms. (MQTT 5 section 3.1) */
TERN_API int tern_client_open_wait(tern_client **client, const char *url, uint32_t timeout_ms);
/** Connects a configured client and waits for the CONNACK. Errors: as tern_client_connect();
 * TERN_E_REFUSED and what else stopped it; and where it is still trying at the deadline why the
 * last attempt failed, for example TERN_E_RESOLVE or TERN_E_CONNECT, or TERN_E_TIMEOUT where none
 * has.
 * Thread: any. Blocks: up to timeout_ms. (MQTT 5 section 3.1) */
TERN_API int tern_client_connect_wait(tern_client *client, uint32_t timeout_ms);
/** Publishes and waits for the outcome: 0 where it is DELIVERED, or SENT for QoS 0. Errors: as
 * tern_client_publish() and tern_token_error(), TERN_E_TIMEOUT (no outcome yet, or expired),
 * TERN_E_WOULD_DEADLOCK. Thread: any. Blocks: up to timeout_ms, and before that as
 * tern_client_publish(). (MQTT 5 section 3.3) */
TERN_API int tern_client_publish_wait(tern_client *client, const char *topic, const void *payload,
                                      size_t payload_length, uint32_t flags, uint32_t timeout_ms);
/** As tern_client_publish_wait(), of a prepared message, which stays the caller's; `*id` (id may be
 * NULL) is its id. Errors: as tern_client_publish_wait(). Thread: any. Blocks: as
 * tern_client_publish_wait(). */
TERN_API int tern_client_publish_message_wait(tern_client *client, const tern_message *message,
                                              uint64_t *id, uint32_t timeout_ms);
/** Subscribes and waits for the server's answer. Errors: as tern_client_subscribe(); TERN_E_REFUSED
 * (the server said no), TERN_E_UNSUPPORTED (it cannot do it), TERN_E_TIMEOUT (the wish stays),
 * TERN_E_WOULD_DEADLOCK. Thread: any. Blocks: up to timeout_ms. (MQTT 5 section 3.8) */
TERN_API int tern_client_subscribe_wait(tern_client *client, const char *filter, uint32_t flags,
                                        uint32_t timeout_ms);
/** As tern_client_subscribe_wait(), of several filters: TERN_E_REFUSED where any was refused.
 * Errors: as tern_client_subscribe_wait(). Thread: any. Blocks: up to timeout_ms. (MQTT 5 section
 * 3.8) */
TERN_API int tern_client_subscribe_all_wait(tern_client *client,
                                            const tern_subscription *subscription,
                                            uint32_t timeout_ms);
/** Unsubscribes and waits for the server's answer. Errors: as tern_client_subscribe_wait(). Thread:
 * any. Blocks: up to timeout_ms. (MQTT 5 section 3.10) */
TERN_API int tern_client_unsubscribe_wait(tern_client *client, const char *filter,
                                          uint32_t timeout_ms);
/** Waits for the next message, for clients without any message handler; it is the caller's, and
 * acknowledged by being handed over (automatic mode). Errors: TERN_E_INVALID, TERN_E_TIMEOUT,
 * TERN_E_STATE (the client has a message handler), TERN_E_WOULD_DEADLOCK (in any callback of the
 * client), TERN_E_CLOSED (closed, and none waits), TERN_E_NOMEM. Thread: any. Blocks: up to
 * timeout_ms. */
TERN_API int tern_client_receive_wait(tern_client *client, tern_message **message,
                                      uint32_t timeout_ms);
/** Waits until every message accepted before the call has its outcome. Errors: TERN_E_INVALID,
 * TERN_E_TIMEOUT, TERN_E_WOULD_DEADLOCK, TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: up to
 * timeout_ms. */
TERN_API int tern_client_flush_wait(tern_client *client, uint32_t timeout_ms);
/** Drains the outbox, disconnects, and waits until no callback runs; in manual mode it runs them
 * itself. 0: all is told and quiet. Messages that did not make it in time have their outcomes then.
 * Errors: TERN_E_INVALID, TERN_E_TIMEOUT (a callback still runs: closing completes when it
 * returns; calling again waits for that), TERN_E_WOULD_DEADLOCK (in any callback of the client),
 * TERN_E_CLOSED (closed already), TERN_E_NOMEM. Thread: any. Blocks: up to timeout_ms. (MQTT 5
 * section 3.14) */
TERN_API int tern_client_close_wait(tern_client *client, uint32_t timeout_ms);

TERN_END_DECLS

#endif
