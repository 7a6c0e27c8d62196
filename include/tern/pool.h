/** @file
 * Connection pools: several connections to one broker or cluster that look like one.
 *
 * One connection is enough for most programs: it sends millions of messages a second. A pool is for brokers
 * that limit each connection, for clusters whose nodes should share the work, and for consumers that share a
 * subscription. Its members are clients on one loop; each has a session of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_POOL_H
#define TERN_POOL_H

#include <tern/event.h>
#include <tern/types.h>

TERN_BEGIN_DECLS

/** A pool of clients. */
typedef struct tern_pool tern_pool;
/** How a pool is made. */
typedef struct tern_pool_options tern_pool_options;

/** Which member publishes a message. */
typedef enum tern_pool_policy {
    TERN_POOL_BY_TOPIC = 0,    /**< the same one for each topic, so that a topic's order holds (default) */
    TERN_POOL_ROUND_ROBIN = 1, /**< one after the other; messages of a topic may overtake each other */
    TERN_POOL_LEAST_OUTSTANDING = 2 /**< the one with the fewest messages without an outcome; as above */
} tern_pool_policy;

/** Called for each lifecycle event of a member, from 0. The event is borrowed until it returns. */
typedef void (*tern_pool_event_callback)(tern_pool *pool, size_t member, const tern_event *event,
                                         void *user_data);
/** Called for the outcomes of messages with ids first_id to last_id, which one member published;
 * reason_code is the broker's, -1 for none. */
typedef void (*tern_pool_delivery_callback)(tern_pool *pool, uint64_t first_id, uint64_t last_id,
                                            tern_outcome outcome, tern_cause cause, int reason_code,
                                            void *user_data);

/** @name Options
 * @{ */
/** Creates pool options with the defaults; they are the caller's. Errors: TERN_E_INVALID, TERN_E_NOMEM.
 * Thread: any. Blocks: no. */
TERN_API int tern_pool_options_new(tern_pool_options **options);
/** Frees pool options; NULL does nothing. Thread: any. Blocks: no. */
TERN_API void tern_pool_options_free(tern_pool_options *options);
/** Sets the number of members (1..256, default 5). Errors: TERN_E_INVALID. Thread: any, one at a time.
 * Blocks: no. */
TERN_API int tern_pool_options_set_members(tern_pool_options *options, size_t members);
/** Sets who publishes what (default TERN_POOL_BY_TOPIC). Errors: TERN_E_INVALID. Thread: any, one at a
 * time. Blocks: no. */
TERN_API int tern_pool_options_set_policy(tern_pool_options *options, tern_pool_policy policy);
/** Sets what the members' client ids start with: "prefix-0", "prefix-1" and so on. Without it (the
 * default) the server assigns them, and persistent sessions are not possible. Errors: TERN_E_INVALID,
 * TERN_E_UTF8, TERN_E_TOO_LARGE (over 65,000 bytes), TERN_E_NOMEM. Thread: any, one at a time. Blocks:
 * no. */
TERN_API int tern_pool_options_set_client_id_prefix(tern_pool_options *options, const char *prefix);
/** Sets the loop that serves the members; NULL, the default, is one of the pool's own. It is borrowed until
 * tern_pool_new(). Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_pool_options_set_loop(tern_pool_options *options, tern_loop *loop);
/** Sets how long (ms, default 1,000) a member may be without a connection before others take over its
 * topics; and whether they do so while messages of the topic are still with it (move_early 1), so that
 * newer ones overtake them, or only when nothing of the topic is without an outcome there (0, the
 * default). Errors: TERN_E_INVALID. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_pool_options_set_failover(tern_pool_options *options, uint32_t unhealthy_ms,
                                            int move_early);
/** @} */

/** @name Life
 * @{ */
/** Creates a pool that is not connected yet; it is the caller's to free. All options are copied and may be
 * NULL for the defaults, but for `connection`, which names the servers. Of the client options the client id,
 * the loop and the dispatch play no part. With several servers the members start at different ones.
 * Errors: TERN_E_INVALID, TERN_E_NOMEM, TERN_E_SYSTEM (no thread or descriptor is left), and as
 * tern_client_configure(). Thread: any. Blocks: no. */
TERN_API int tern_pool_new(tern_pool **pool, const tern_pool_options *options,
                           const tern_client_options *client,
                           const tern_connection_options *connection);
/** Closes at once what is not closed, gives every message its outcome, and releases the pool; NULL does
 * nothing. Thread: any but the pool's callbacks. Blocks: as tern_client_free() of the members. */
TERN_API void tern_pool_free(tern_pool *pool);
/** Tells all members to connect, and to reconnect from now on. Members that do already go on. Errors:
 * TERN_E_INVALID, TERN_E_CLOSED, TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_pool_start(tern_pool *pool);
/** Waits until at least `members` of them (1 for the first, tern_pool_members() for all) are connected.
 * Errors: TERN_E_INVALID (also more than there are), TERN_E_TIMEOUT, TERN_E_WOULD_DEADLOCK (in a
 * callback), and why they stopped connecting where too few are left that try; tern_pool_error_text() says
 * more. Thread: any. Blocks: up to timeout_ms. */
TERN_API int tern_pool_wait_connected(tern_pool *pool, size_t members, uint32_t timeout_ms);
/** Waits until every message accepted before the call has its outcome. Errors: as
 * tern_client_flush_wait(). Thread: any. Blocks: up to timeout_ms. */
TERN_API int tern_pool_flush_wait(tern_pool *pool, uint32_t timeout_ms);
/** Drains all members at the same time, disconnects, and waits until no callback runs. Errors: as
 * tern_client_close_wait(), and TERN_E_WOULD_DEADLOCK in a callback. Thread: any. Blocks: up to
 * timeout_ms, and a little. */
TERN_API int tern_pool_close_wait(tern_pool *pool, uint32_t timeout_ms);
/** @} */

/** @name Publishing
 * As tern_client_publish() and its sisters, on the member that the policy names. `*id` is unique in the
 * pool, and not 0; ids of one member rise. A transform of the client options may not publish on the pool.
 * Thread: any. Blocks: as there.
 * @{ */
/** Publishes. Errors: TERN_E_INVALID, and as tern_client_publish(). */
TERN_API int tern_pool_publish(tern_pool *pool, const char *topic, const void *payload,
                               size_t payload_length, uint32_t flags, uint64_t *id);
/** Publishes with a token. Errors: TERN_E_INVALID, and as tern_client_publish_token(). */
TERN_API int tern_pool_publish_token(tern_pool *pool, const char *topic, const void *payload,
                                     size_t payload_length, uint32_t flags, tern_token **token);
/** Publishes a prepared message; id and token may be NULL. Errors: TERN_E_INVALID, and as
 * tern_client_publish_message(). */
TERN_API int tern_pool_publish_message(tern_pool *pool, const tern_message *message, uint64_t *id,
                                       tern_token **token);
/** Publishes and waits for the outcome. Errors: TERN_E_INVALID, and as tern_client_publish_wait(). */
TERN_API int tern_pool_publish_wait(tern_pool *pool, const char *topic, const void *payload,
                                    size_t payload_length, uint32_t flags, uint32_t timeout_ms);
/** @} */

/** @name Receiving
 * @{ */
/** Subscribes: with a group all members, to `$share/group/filter`, so that the broker spreads the messages
 * over them; without one (NULL) one member, always the same for a filter. The wish is kept over reconnects.
 * Errors: TERN_E_INVALID (also an empty group, or one with /, + or #), and as tern_client_subscribe().
 * Thread: any. Blocks: no. (MQTT 5 section 4.8.2) */
TERN_API int tern_pool_subscribe(tern_pool *pool, const char *filter, uint32_t flags,
                                 const char *group);
/** As tern_pool_subscribe(), and waits for the answers of all that subscribe. Errors: as there and as
 * tern_client_subscribe_wait(). Thread: any. Blocks: up to timeout_ms. */
TERN_API int tern_pool_subscribe_wait(tern_pool *pool, const char *filter, uint32_t flags,
                                      const char *group, uint32_t timeout_ms);
/** Ends such a subscription. Errors: as tern_pool_subscribe(). Thread: any. Blocks: no. */
TERN_API int tern_pool_unsubscribe(tern_pool *pool, const char *filter, const char *group);
/** Sets the handler of a filter on all members; they share it, and their callbacks do not overlap where
 * the loop has one dispatcher. Errors: as tern_client_set_filter_handler(). Thread: any. Blocks: no. */
TERN_API int tern_pool_set_filter_handler(tern_pool *pool, const char *filter,
                                          tern_message_callback callback, void *user_data);
/** Sets the handler of what no filter's handler takes, on all members. Errors: as
 * tern_client_set_message_handler(). Thread: any. Blocks: no. */
TERN_API int tern_pool_set_message_handler(tern_pool *pool, tern_message_callback callback,
                                           void *user_data);
/** @} */

/** @name Watching
 * @{ */
/** Sets the handler of all members' events; NULL removes it. A call of the old one that is under way may
 * still end. Errors: TERN_E_INVALID, TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_pool_set_event_handler(tern_pool *pool, tern_pool_event_callback callback,
                                         void *user_data);
/** Sets the handler of outcomes of messages without a token; NULL removes it. Errors: TERN_E_INVALID,
 * TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_pool_set_delivery_handler(tern_pool *pool, tern_pool_delivery_callback callback,
                                            void *user_data);
/** Number of members; 0 for NULL. Thread: any. Blocks: no. */
TERN_API size_t tern_pool_members(const tern_pool *pool);
/** How many of them are connected now. Thread: any. Blocks: no. */
TERN_API size_t tern_pool_connected(tern_pool *pool);
/** A member, from 0, for whatever the pool has no call for; NULL beyond. It stays the pool's: it is not to be
 * freed or closed, and its event and delivery handlers are the pool's. Thread: any. Blocks: no. */
TERN_API tern_client *tern_pool_member(tern_pool *pool, size_t member);
/** The member that published the message with a pool's id. Thread: any. Blocks: no. */
TERN_API size_t tern_pool_member_of(uint64_t id);
/** Sums a statistic of tern_client_stat() over the members. Errors: as there. Thread: any. Blocks: no. */
TERN_API int tern_pool_stat(tern_pool *pool, const char *name, uint64_t *value);
/** Copies the text of the last error that a call of the pool met into `buffer`, NUL-terminated, cut at
 * `size` bytes. Returns that error, 0 for none. Thread: any. Blocks: no. */
TERN_API int tern_pool_copy_error_text(tern_pool *pool, char *buffer, size_t size);
/** @} */

TERN_END_DECLS

#endif
