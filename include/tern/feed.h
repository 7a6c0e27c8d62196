/** @file
 * Feeds: what a client's callbacks would be told, packed into bytes, many at a time: for bindings of other
 * languages, where a call across the border costs more than a message.
 *
 * A feed serves one client in manual mode (TERN_DISPATCH_MANUAL): tern_feed_read() takes the place of
 * tern_client_dispatch(), and gives a table of records of TERN_FEED_RECORD_SIZE bytes each, and the data that
 * they point into. The numbers of a record are in the machine's byte order:
 *
 *     offset  bits  message             delivery    token          event     log
 *          0   32   kind in the low byte; of a message: its QoS in bits 8-9, RETAIN in 10, DUP in 11
 *          4   32   handler's number    cause       0              0         level
 *          8   64   ack number          first id    its number     0         records lost before
 *         16   64   mark                last id     0              0         0
 *         24   64   place of the bytes in the data: topic, payload, properties; text
 *         32   32   topic's bytes       outcome     0              its kind  text's bytes
 *         36   32   payload's bytes     reason      error          0         0
 *         40   32   properties' bytes   0           0              0         0
 *
 * Errors and reason codes are signed. A topic, payload or text is followed by a NUL that is not counted.
 * Properties are entries one behind another: a byte that is the property's identifier (MQTT 5 section
 * 2.2.2.2), 32 bits for the bytes that follow, those bytes. Numbers have four, a user property is two entries,
 * name and value. docs/bindings.md says more.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_FEED_H
#define TERN_FEED_H

#include <tern/event.h>
#include <tern/options.h>
#include <tern/types.h>

TERN_BEGIN_DECLS

/** Collects what one client has to tell. */
typedef struct tern_feed tern_feed;

/** What a record is about. */
typedef enum tern_feed_kind {
    TERN_FEED_MESSAGE = 1,  /**< a message was received: one record for each handler that it has */
    TERN_FEED_DELIVERY = 2, /**< a range of published messages has its outcome */
    TERN_FEED_EVENT = 3,    /**< something happened; the event callback was called already */
    TERN_FEED_TOKEN = 4,    /**< a token that is watched has ended */
    TERN_FEED_LOG = 5       /**< a log record */
} tern_feed_kind;

/** Sizes of a feed. */
enum tern_feed_size {
    TERN_FEED_RECORD_SIZE = 48 /**< bytes of a record */
};

/** Creates a feed, the caller's. Errors: TERN_E_INVALID, TERN_E_NOMEM, TERN_E_SYSTEM. Thread: any. Blocks: no. */
TERN_API int tern_feed_new(tern_feed **feed);
/** Frees a feed; NULL does nothing. Its client is to be freed first, or to have never had it. Thread: any.
 * Blocks: no. */
TERN_API void tern_feed_free(tern_feed *feed);
/** Takes over a client's messages, deliveries and events: it becomes its message, delivery and event handler. The
 * feed is borrowed by the client. Where the client acknowledges manually, tern_client_ack_number() acknowledges by
 * what the records say. Errors: TERN_E_INVALID, TERN_E_STATE (the client has dispatcher threads, or the feed has a
 * client), TERN_E_CLOSED. Thread: any. Blocks: no. */
TERN_API int tern_feed_attach(tern_feed *feed, tern_client *client);
/** Gives messages whose topic matches a filter a number other than 0, as tern_client_set_filter_handler() gives them
 * a handler; a second call with the same filter replaces the number, and 0 removes it. Errors: as
 * tern_client_set_filter_handler(), TERN_E_STATE (no client). Thread: any. Blocks: no. (MQTT 5 section 4.7) */
TERN_API int tern_feed_set_filter(tern_feed *feed, const char *filter, uint32_t number);
/** Has the end of a token told as a record with this number; the token's error is in it, and the rest can be read
 * of the token, which stays the caller's. Errors: as tern_token_set_callback(). Thread: any. Blocks: no. */
TERN_API int tern_feed_watch(tern_feed *feed, tern_token *token, uint64_t number);
/** Sets who is told an event while tern_feed_read() comes to it, right before its record is written: for the details.
 * NULL for nobody. Errors: TERN_E_INVALID. Thread: any, but not while another is in tern_feed_read(). Blocks: no. */
TERN_API int tern_feed_set_event_callback(tern_feed *feed, tern_event_callback callback,
                                          void *user_data);
/** A tern_log_callback, for tern_client_options_set_log() with a feed as its user_data: keeps log records, up to
 * 256 KiB of them, until they are read. Nothing is woken by them: who reads with a long time-out sees them late.
 * Thread: any. Blocks: no. */
TERN_API void tern_feed_log(tern_log_level level, const char *text, void *feed);
/** As tern_client_publish() of the feed's client, in the shape that is called at the lowest cost: no result by a
 * pointer, and lengths of 32 bits. Returns the message's id, which is positive, or an error. Errors: as
 * tern_client_publish(), TERN_E_STATE (no client). Thread: any. Blocks: as tern_client_publish(). (MQTT 5 section 3.3) */
TERN_API int64_t tern_feed_publish(tern_feed *feed, const char *topic, const void *payload,
                                   uint32_t payload_length, uint32_t flags);
/** Waits up to timeout_ms until there is something to tell, and gives what there is, in order: `*count` records at
 * `*records`, and `*length` bytes at `*data`. Both belong to the feed and last until the next call. What has no
 * room in memory is not lost: messages of QoS 1 and 2 come again when they are not acknowledged, and
 * TERN_E_NOMEM is answered with what there is. Errors: TERN_E_INVALID, TERN_E_STATE (no client), TERN_E_TIMEOUT,
 * TERN_E_NOMEM, and as tern_client_dispatch(). Thread: any, one at a time. Blocks: up to timeout_ms. */
TERN_API int tern_feed_read(tern_feed *feed, uint32_t timeout_ms, const void **records,
                            size_t *count, const void **data, size_t *length);

TERN_END_DECLS

#endif
