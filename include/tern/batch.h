/** @file
 * Batches: many small messages in one, as a JSON array, and back into messages.
 *
 * A batch collects messages and publishes them together when there are enough, when they are large enough, or
 * after an interval. Each collected message has an id and one outcome: that of the batch that carried it.
 * Free the batch before its client. docs/batches.md tells when this pays.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_BATCH_H
#define TERN_BATCH_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Messages that are collected for one client. */
typedef struct tern_batch tern_batch;

/** Told the outcome of the collected messages first_id to last_id, where the client's callbacks run, or in
 * the call that found that they cannot be published. reason_code is the broker's, -1 for none. */
typedef void (*tern_batch_delivery_callback)(tern_batch *batch, uint64_t first_id, uint64_t last_id,
                                             tern_outcome outcome, tern_cause cause, int reason_code,
                                             void *user_data);
/** Given each message of a batch that was received, and when it was collected: seconds since 1970 by the
 * publisher's clock, 0 where it did not say. The message is borrowed until it returns. */
typedef void (*tern_batch_item_callback)(const tern_message *message, double timestamp,
                                         void *user_data);

/** @name Collecting
 * Thread: any, unless they say otherwise.
 * @{ */
/** Makes a batch that publishes through a client, which is borrowed for its life. It is the caller's. Errors:
 * TERN_E_INVALID, TERN_E_NOMEM, TERN_E_SYSTEM. Blocks: no. */
TERN_API int tern_batch_new(tern_batch **batch, tern_client *client);
/** Flushes and closes it, and gives the caller's reference back: what was published still arrives, but no
 * outcome is told any more. NULL does nothing. Blocks: as tern_client_publish(). */
TERN_API void tern_batch_free(tern_batch *batch);
/** Sets the topic of batches (default "batch/messages"). Errors: TERN_E_INVALID, TERN_E_STATE (a message was
 * collected already), TERN_E_TOPIC, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. Blocks: no. */
TERN_API int tern_batch_set_topic(tern_batch *batch, const char *topic);
/** Sets the flags with which batches are published (default TERN_QOS_1), as in tern_client_publish().
 * Errors: TERN_E_INVALID, TERN_E_STATE. Blocks: no. */
TERN_API int tern_batch_set_flags(tern_batch *batch, uint32_t flags);
/** Sets when a batch is full: after so many messages (default 10, at least 1), or before its payload would be
 * larger than max_bytes (default 65,536, at least 1). One message larger than that goes alone. The server's
 * Maximum Packet Size lowers the latter, once it is known. Errors: TERN_E_INVALID, TERN_E_STATE. Blocks: no. */
TERN_API int tern_batch_set_limits(tern_batch *batch, uint32_t max_messages, size_t max_bytes);
/** Sets how long the first message of a batch waits for others (ms, default 5,000; 0 = until it is full or
 * flushed). Errors: TERN_E_INVALID, TERN_E_STATE. Blocks: no. */
TERN_API int tern_batch_set_interval(tern_batch *batch, uint32_t interval_ms);
/** Sets how many bytes of full batches may wait for room in the client's outbox (default 1 MiB, at least 1);
 * beyond that adding answers TERN_E_OUTBOX_FULL. Errors: TERN_E_INVALID, TERN_E_STATE. Blocks: no. */
TERN_API int tern_batch_set_waiting_limit(tern_batch *batch, size_t max_bytes);
/** Sets who is told outcomes; NULL removes it. Errors: TERN_E_INVALID. Blocks: no. */
TERN_API int tern_batch_set_delivery_handler(tern_batch *batch,
                                             tern_batch_delivery_callback callback, void *user_data);
/** Collects a message: topic and payload are copied, `*id` (may be NULL) is its id, from 1 and rising. Its
 * QoS (flags TERN_QOS_0..2) goes along for the receiver; the batch has its own. Errors: TERN_E_INVALID (also
 * other flags), TERN_E_TOPIC, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_OUTBOX_FULL, TERN_E_CLOSED,
 * TERN_E_NOMEM. Blocks: as tern_client_publish(), where it fills the batch. */
TERN_API int tern_batch_add(tern_batch *batch, const char *topic, const void *payload,
                            size_t payload_length, uint32_t flags, uint64_t *id);
/** Publishes what is collected now. Errors: TERN_E_INVALID. Blocks: as tern_client_publish(). */
TERN_API int tern_batch_flush(tern_batch *batch);
/** Flushes, and takes no more messages; outcomes are still told. Before closing the client, so that nothing
 * is left behind. Errors: TERN_E_INVALID, TERN_E_CLOSED. Blocks: as tern_client_publish(). */
TERN_API int tern_batch_close(tern_batch *batch);
/** Number of messages that are collected, or in full batches that wait for room. Blocks: no. */
TERN_API size_t tern_batch_count(tern_batch *batch);
/** @} */

/** Flags of tern_batch_unpack(). */
enum tern_batch_flag {
    TERN_BATCH_SKIP_BAD = 1 /**< the good messages of a batch with bad ones, too */
};

/** Gives the messages of a received batch to `callback`, in order. Where one of them is bad none is given,
 * unless flags has TERN_BATCH_SKIP_BAD; either way the answer is TERN_E_MALFORMED then, and `text` (size
 * bytes, may be NULL) names the first bad one: its place in the array from 0, the member, and what is wrong
 * with it. `topic` and `payload` must be there and be strings, the topic a topic name, a payload with
 * "encoding": "base64" be base64; "qos" and "timestamp" may be missing. Errors: TERN_E_INVALID, TERN_E_MALFORMED,
 * TERN_E_UNSUPPORTED (this build lacks cJSON), TERN_E_NOMEM. Thread: any. Blocks: no. */
TERN_API int tern_batch_unpack(const tern_message *message, uint32_t flags,
                               tern_batch_item_callback callback, void *user_data, char *text,
                               size_t size);

TERN_END_DECLS

#endif
