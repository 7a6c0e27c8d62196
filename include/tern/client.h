/** @file
 * The asynchronous API: nothing here waits for the network, but a publish that was told to wait for
 * room.
 *
 * All calls are safe from any thread and from callbacks, until tern_client_free(). A token that is
 * asked for belongs to the caller, see tern/token.h; where `token` is NULL none is made. After fork()
 * all answer TERN_E_FORKED in the child, and so do waits for tokens and new clients on an older loop;
 * freeing leaves the parent's descriptors alone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_CLIENT_H
#define TERN_CLIENT_H

#include <tern/event.h>
#include <tern/types.h>

TERN_BEGIN_DECLS

/** Creates a client that is not connected yet, the caller's to free. `options` may be NULL for the
 * defaults. Publishing and subscribing work from here on: both wait for the connection. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM, TERN_E_SYSTEM (no thread or descriptor is left), TERN_E_FORKED.
 * Thread: any. Blocks: no. */
TERN_API int tern_client_new(tern_client **client, const tern_client_options *options);
/** Closes at once where that has not happened, and releases the client; NULL does nothing. Every
 * accepted message has its outcome first, and callbacks that are due run: in manual mode on this
 * thread. From a callback of the client itself it is deferred: callbacks that tell outcomes may
 * still follow, so what they use must live on. No other call may use the client any more. Callbacks on
 * two dispatchers that free each other's client at the same time wait for each other for ever.
 * Thread: any. Blocks: until a callback that runs has returned, and up to a second for DISCONNECT to
 * get out; from a callback: no. */
TERN_API void tern_client_free(tern_client *client);

/** Replaces how to connect; takes effect at the next attempt. Errors: TERN_E_INVALID (also no
 * server, a persistent session without client id, a password without user name for 3.1.1),
 * TERN_E_TOO_LARGE (with these properties CONNECT would be larger than an MQTT packet can be),
 * TERN_E_NOMEM, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_configure(tern_client *client, const tern_connection_options *options);
/** As tern_client_configure(), with one server and the defaults for the rest: what a URL alone
 * says. Errors: TERN_E_URL and TERN_E_UNSUPPORTED (the client's error text tells where and why),
 * and as tern_client_configure(). Thread: any. Blocks: no. */
TERN_API int tern_client_configure_url(tern_client *client, const char *url);
/** Connects, and reconnects from now on. `*token` (token may be NULL) ends with the first CONNACK
 * that says yes, or when connecting stops. Errors: TERN_E_INVALID, TERN_E_NOT_CONNECTED (never
 * configured), TERN_E_STATE (connecting or connected already), TERN_E_CLOSED, TERN_E_NOMEM. Thread:
 * any. Blocks: no. (MQTT 5 section 3.1) */
TERN_API int tern_client_connect(tern_client *client, tern_token **token);
/** Ends the wait for the next attempt, if the client is in one: it starts at once, with the options
 * that are set by now. For those who know better than the delay, for instance that the network is back
 * or that the password was replaced; the delay goes on growing where it fails. Errors: TERN_E_INVALID,
 * TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_retry(tern_client *client);
/** Connects anew without losing anything, with the options and the attempt handler's answer of now: new
 * credentials, for instance. No new message is begun; what is under way, in either direction, may end for up
 * to quiesce_ms (0 = none of it waits), then DISCONNECT goes out, the session stays where it is kept, and the
 * next attempt starts at once. An attempt that runs is given up for a new one, a wait ends, and a question to
 * the attempt handler stands. It counts as no failure: DISCONNECTED (or CONNECT_FAILED with
 * TERN_E_CANCELLED) tells a retry delay of 0. `*token` (token may be NULL) ends with the next CONNACK that says yes, or
 * when connecting stops. Asked again meanwhile, the earlier deadline holds. Errors: TERN_E_INVALID,
 * TERN_E_NOT_CONNECTED (never configured), TERN_E_STATE (not connecting), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any.
 * Blocks: no. (MQTT 5 sections 3.14, 4.1) */
TERN_API int tern_client_reconnect(tern_client *client, uint32_t quiesce_ms, tern_token **token);
/** Disconnects with an MQTT 5 reason code (0x00 normal, 0x04 publish the will, ...) and stops
 * reconnecting; session, subscriptions and outbox are kept, and tern_client_connect() may follow.
 * On 3.1.1 any code but 0x00 closes without DISCONNECT, which publishes the will. `*token` (token
 * may be NULL) ends when the connection is gone. Errors: TERN_E_INVALID (also a code that no client
 * may send), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.14) */
TERN_API int tern_client_disconnect(tern_client *client, int reason_code, tern_token **token);
/** Closes for good: with drain waits up to timeout_ms for messages and requests to end, reconnecting
 * as ever but not where the client has stopped connecting; then disconnects and gives every one that
 * is left its outcome. Later calls answer TERN_E_CLOSED.
 * `*token` (token may be NULL) ends when no callback runs any more; in manual mode
 * tern_client_dispatch() has to run them. Asked again for a token while it is closing, drain and
 * timeout_ms play no part, and that token ends with the first. Errors: TERN_E_INVALID, TERN_E_CLOSED
 * (it is closed, or closing and no token is asked for), TERN_E_NOMEM, TERN_E_SYSTEM. Thread: any. Blocks: no. */
TERN_API int tern_client_close(tern_client *client, int drain, uint32_t timeout_ms,
                               tern_token **token);

/** Publishes. The message is copied, gets an id of 1 and up in `*id` (may be NULL), and exactly one
 * outcome, told to the delivery handler. flags: those of a publish (tern_flag); topic: without
 * wildcards. Errors: TERN_E_INVALID (also QoS 3, unknown flags, a length without a payload),
 * TERN_E_UTF8, TERN_E_TOPIC (empty, or with wildcards), TERN_E_TOO_LARGE (topic over 65,535 bytes,
 * packet over 268,435,455), TERN_E_OUTBOX_FULL (policy reject), TERN_E_TIMEOUT (policy block: no
 * room in time), TERN_E_WOULD_DEADLOCK (policy block, in a callback while reading is paused or the
 * attempt handler is to be asked), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: only with
 * TERN_OUTBOX_BLOCK, while the outbox is full. (MQTT 5 section 3.3) */
TERN_API int tern_client_publish(tern_client *client, const char *topic, const void *payload,
                                 size_t payload_length, uint32_t flags, uint64_t *id);
/** As tern_client_publish(), with a token that ends with the message's outcome; the delivery
 * handler is not told. Errors: as tern_client_publish(). Thread: any. Blocks: as
 * tern_client_publish(). */
TERN_API int tern_client_publish_token(tern_client *client, const char *topic, const void *payload,
                                       size_t payload_length, uint32_t flags, tern_token **token);
/** As tern_client_publish(), of a prepared or received message with its properties; id and token
 * may be NULL. The message stays the caller's and may be published again. What only a server sends,
 * a topic alias or subscription identifiers, is left out. Errors: as tern_client_publish(). Thread:
 * any. Blocks: as tern_client_publish(). (MQTT 5 section 3.3) */
TERN_API int tern_client_publish_message(tern_client *client, const tern_message *message,
                                         uint64_t *id, tern_token **token);

/** Publishes several messages in order, all with the same flags: the i-th of `topics`, `payloads` and
 * `payload_lengths`, as tern_client_publish() would. It stops at the first that is not accepted; `*accepted`
 * is how many were, and `ids` (may be NULL) has room for all. For callers to whom a call costs more than a
 * message. Errors: as tern_client_publish() of the message at `*accepted`. Thread: any. Blocks: as
 * tern_client_publish(). (MQTT 5 section 3.3) */
TERN_API int tern_client_publish_many(tern_client *client, const char *const *topics,
                                      const void *const *payloads, const size_t *payload_lengths,
                                      size_t count, uint32_t flags, uint64_t *ids,
                                      size_t *accepted);
/** Publishes several messages (1..16) as one unit: next to each other when they are sent first, and where
 * one of them is not sent, none is. They take ids that follow each other; `*id` (may be NULL) is the last
 * one's. The token (may be NULL) ends with the last one's outcome, and the delivery handler is told no
 * outcome of the unit; without a token it is told all. They go through no transform. Where a QoS 0 message
 * stands before one of QoS 1, a connection that is lost between them makes the latter go out again
 * alone. Errors: as tern_client_publish() of any of them, and none is accepted then. Thread: any. Blocks:
 * as tern_client_publish(). (MQTT 5 section 3.3) */
TERN_API int tern_client_publish_unit(tern_client *client, const tern_message *const *messages,
                                      size_t count, uint64_t *id, tern_token **token);

/** Subscribes to a filter, now and after every lost session; token may be NULL. flags: those of
 * a subscription (tern_flag). What the server answers is the token's error. Errors: TERN_E_INVALID,
 * TERN_E_UTF8, TERN_E_FILTER, TERN_E_TOO_LARGE (causes: as tern_subscription_add()), TERN_E_CLOSED,
 * TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.8) */
TERN_API int tern_client_subscribe(tern_client *client, const char *filter, uint32_t flags,
                                   tern_token **token);
/** As tern_client_subscribe(), of several filters with properties. Errors: TERN_E_INVALID (also no
 * filter), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. (MQTT 5 section 3.8) */
TERN_API int tern_client_subscribe_all(tern_client *client, const tern_subscription *subscription,
                                       tern_token **token);
/** Unsubscribes from a filter, which is not asked for again after a lost session; token may be
 * NULL. Errors: as tern_client_subscribe(). Thread: any. Blocks: no. (MQTT 5 section 3.10) */
TERN_API int tern_client_unsubscribe(tern_client *client, const char *filter, tern_token **token);
/** As tern_client_unsubscribe(), of several filters; user properties go along, flags and identifier
 * play no part. Errors: as tern_client_subscribe_all(). Thread: any. Blocks: no. (MQTT 5 section
 * 3.10) */
TERN_API int tern_client_unsubscribe_all(tern_client *client, const tern_subscription *subscription,
                                         tern_token **token);

/** Sets the handler of messages whose topic matches a filter (`$share/group/` is stripped); a
 * second call with the same filter replaces it, a NULL callback removes it. It needs no
 * subscription and may come before connecting. Called in a callback of the client it takes effect
 * with the next message; elsewhere a call of the old handler that is under way may still end.
 * Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_FILTER, TERN_E_TOO_LARGE (causes: as
 * tern_subscription_add()), TERN_E_NOT_FOUND (nothing to remove), TERN_E_CLOSED, TERN_E_NOMEM.
 * Thread: any. Blocks: no. (MQTT 5 section 4.7) */
TERN_API int tern_client_set_filter_handler(tern_client *client, const char *filter,
                                            tern_message_callback callback, void *user_data);
/** Sets the handler of messages that no filter's handler takes; NULL removes it. Errors:
 * TERN_E_INVALID, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_set_message_handler(tern_client *client, tern_message_callback callback,
                                             void *user_data);
/** Sets the handler of outcomes of messages published without a token; NULL removes it: they are
 * counted alone. The old one may still be told the outcomes of a batch that is under way. Errors:
 * TERN_E_INVALID, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_set_delivery_handler(tern_client *client, tern_delivery_callback callback,
                                              void *user_data);
/** Sets the handler of lifecycle events; NULL removes it, and events without a handler are dropped.
 * Errors: TERN_E_INVALID, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_set_event_handler(tern_client *client, tern_event_callback callback,
                                           void *user_data);

/** Acknowledges a received message in manual mode, from its callback or later with a kept copy.
 * Acknowledgements go out in the order of arrival; QoS 0 needs none, and a second one does nothing:
 * both answer 0. Errors: TERN_E_INVALID, TERN_E_STATE (automatic mode), TERN_E_STALE (its
 * connection is gone: the broker sends it again), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks:
 * no. (MQTT 5 sections 4.4, 4.6) */
TERN_API int tern_client_ack(tern_client *client, const tern_message *message);
/** As tern_client_ack(), by the number of tern_message_ack_number(), for callers that keep no message; 0 does
 * nothing and answers 0. With `through` 1 all that came before it on its connection are acknowledged, too.
 * Errors: as tern_client_ack(). Thread: any. Blocks: no. (MQTT 5 sections 4.4, 4.6) */
TERN_API int tern_client_ack_number(tern_client *client, uint64_t number, int through);

/** Takes the oldest message that waits, for clients without any message handler; it is the
 * caller's, and acknowledged by being handed over (automatic mode). Errors: TERN_E_INVALID,
 * TERN_E_AGAIN (none waits), TERN_E_STATE (the client has a message handler), TERN_E_CLOSED
 * (closed, and none waits), TERN_E_NOMEM (it still waits). Thread: any. Blocks: no. */
TERN_API int tern_client_receive(tern_client *client, tern_message **message);
/** Makes a token that ends when a message waits for tern_client_receive(), or with TERN_E_STATE
 * when the client gets a message handler. Errors: TERN_E_INVALID, TERN_E_STATE (the client has a
 * message handler), TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_receive_token(tern_client *client, tern_token **token);
/** Makes a token that ends when every message accepted before this call has its outcome. Errors:
 * TERN_E_INVALID, TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_client_flush(tern_client *client, tern_token **token);
/** Tells the lowest id of an accepted message that has no outcome yet, or the last id + 1 where all have
 * theirs: what is below it is over. It may lag behind, and is 1 the first time; it is never ahead of the
 * truth. Errors: TERN_E_INVALID. Thread: any. Blocks: no. */
TERN_API int tern_client_oldest_open(tern_client *client, uint64_t *id);
/** Answers 1 on the thread that runs this client's callbacks, while it does:
 * tern_client_receive_wait() and tern_client_close_wait() would wait for themselves there. On a
 * shared loop that is so in callbacks of the clients beside it, too. Thread: any. Blocks: no. */
TERN_API int tern_client_in_callback(tern_client *client);

/** Calls `callback` once, where callbacks run, after delay_ms or a little later; `*timer` (may be NULL) names it for
 * tern_client_cancel_timer(). Whatever happens it is called exactly once: with `due` 0 where the timer was
 * cancelled, or the client closed before. Errors: TERN_E_INVALID, TERN_E_CLOSED, TERN_E_NOMEM; it is not
 * called then. Thread: any. Blocks: no. */
TERN_API int tern_client_set_timer(tern_client *client, uint32_t delay_ms,
                                   tern_timer_callback callback, void *user_data, uint64_t *timer);
/** Cancels a timer: its callback comes at once with `due` 0, where callbacks run, if it has not come yet.
 * Errors: TERN_E_INVALID, TERN_E_NOT_FOUND (it is due or over), TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_client_cancel_timer(tern_client *client, uint64_t timer);

/** Runs the callbacks that are due, waiting up to timeout_ms for the first, and a bounded number of
 * them where more keep coming. Returns 0 when some ran, TERN_E_TIMEOUT when none were due. Where a
 * callback frees the client the call ends when the client is gone. Errors:
 * TERN_E_INVALID, TERN_E_STATE (the client has dispatcher threads, or another thread is in this
 * call), TERN_E_WOULD_DEADLOCK (in a callback), TERN_E_CLOSED (closed, and nothing is left to run).
 * Thread: any, one at a time. Blocks: up to timeout_ms, and while callbacks run. */
TERN_API int tern_client_dispatch(tern_client *client, uint32_t timeout_ms);
/** Gives the descriptor that is readable while tern_client_dispatch() has work. It stays the
 * client's, only to be polled, until tern_client_free(). Errors: TERN_E_INVALID, TERN_E_STATE (the
 * client has dispatcher threads). Thread: any. Blocks: no. */
TERN_API int tern_client_dispatch_fd(tern_client *client, int *descriptor);

/** Answers 1 while connected. Thread: any. Blocks: no. */
TERN_API int tern_client_connected(tern_client *client);
/** Tells what was agreed on at the last CONNACK, as tern_event_limit() of its event; -1 for unknown limits.
 * Errors: TERN_E_INVALID, TERN_E_NOT_CONNECTED (there was none yet). Thread: any. Blocks: no. */
TERN_API int tern_client_limit(tern_client *client, tern_limit limit, int64_t *value);
/** Copies the client id in use, NUL-terminated, into `buffer` of `size` bytes: the one that was
 * set, else the one that the server assigned, else an empty text. Errors: TERN_E_INVALID (also size
 * 0), TERN_E_TOO_LARGE (the buffer is too small, and empty). Thread: any. Blocks: no. */
TERN_API int tern_client_id(tern_client *client, char *buffer, size_t size);
/** Tells the client's last error in words: the step, the peer, the cause; of the last connection
 * failure or failed call, whichever came later. Never NULL, also for a NULL client. Valid until the
 * client is freed, but a few errors later the text may be another: see
 * tern_client_copy_error_text(). Thread: any. Blocks: no. */
TERN_API const char *tern_client_error_text(tern_client *client);
/** Copies the last error's text into `buffer`, NUL-terminated, cut at `size` bytes; NULL copies
 * nothing. Returns the last error (0 = none), TERN_E_INVALID for a NULL client. Thread: any.
 * Blocks: no. */
TERN_API int tern_client_copy_error_text(tern_client *client, char *buffer, size_t size);

/** Number of statistics. Thread: any. Blocks: no. */
TERN_API size_t tern_stat_count(void);
/** Name of the statistic at index ("messages_published"), static; NULL beyond. Names are stable.
 * Thread: any. Blocks: no. */
TERN_API const char *tern_stat_name(size_t index);
/** Reads a statistic by name into `*value`: a counter since the client was made, a gauge, or a
 * gauge's peak ("..._peak"). docs/statistics.md lists them. Errors: TERN_E_INVALID,
 * TERN_E_NOT_FOUND. Thread: any. Blocks: no. */
TERN_API int tern_client_stat(tern_client *client, const char *name, uint64_t *value);

TERN_END_DECLS

#endif
