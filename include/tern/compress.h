/** @file
 * Compression of payloads with gzip, for a client's messages on their way out and in.
 *
 * A compression holds settings and working memory; any number of clients and threads may share one. Its
 * settings are fixed once it was given to client options. Payloads are compressed on the thread that
 * publishes, before they enter the outbox, and inflated where callbacks run. docs/compression.md tells
 * which form to choose.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_COMPRESS_H
#define TERN_COMPRESS_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Settings and working memory of compression. */
typedef struct tern_compression tern_compression;

/** How a payload is encoded. */
typedef enum tern_encoding {
    TERN_ENCODING_NONE = 0, /**< as it is */
    TERN_ENCODING_GZIP = 1  /**< one gzip member (RFC 1952) */
} tern_encoding;

/** How receivers are told that a payload is compressed. */
typedef enum tern_compression_form {
    TERN_COMPRESSION_PROPERTY = 0, /**< user properties `content-encoding: gzip` and `content-length`, the
                                        original's bytes (default); a 3.1.1 connection leaves them out, and the
                                        gzip member speaks for itself */
    TERN_COMPRESSION_META_TOPIC = 1 /**< a JSON message on `<topic>/meta` right before it, as one unit */
} tern_compression_form;

/** Which received payloads are inflated. */
typedef enum tern_decompression {
    TERN_DECOMPRESSION_AUTO = 0,   /**< those that a property or meta message names, and those that begin as
                                        gzip members do (default) */
    TERN_DECOMPRESSION_HINTED = 1, /**< those that a property or meta message names */
    TERN_DECOMPRESSION_OFF = 2     /**< none */
} tern_decompression;

/** What became of a received payload. */
typedef enum tern_compression_result {
    TERN_COMPRESSION_RAW = 0,       /**< it is as the publisher sent it: not compressed, as far as is known */
    TERN_COMPRESSION_INFLATED = 1,  /**< it was compressed, and checked against its checksum */
    TERN_COMPRESSION_DAMAGED = 2,   /**< delivered raw: the gzip member is broken, cut, or has something behind it */
    TERN_COMPRESSION_TOO_LARGE = 3, /**< delivered raw: it would pass a limit */
    TERN_COMPRESSION_MISMATCH = 4,  /**< delivered raw: it was said to be gzip, and is not */
    TERN_COMPRESSION_NO_MEMORY = 5  /**< delivered raw: memory ran out */
} tern_compression_result;

/** Makes a compression that compresses nothing yet, and inflates what it receives; it is the caller's.
 * Errors: TERN_E_INVALID, TERN_E_UNSUPPORTED (this build lacks zlib), TERN_E_NOMEM. Thread: any. Blocks:
 * no. */
TERN_API int tern_compression_new(tern_compression **compression);
/** Gives the caller's reference back; clients and options keep theirs. NULL does nothing. Thread: any.
 * Blocks: no. */
TERN_API void tern_compression_unref(tern_compression *compression);

/** @name Settings
 * Before it is used: later they answer TERN_E_STATE. Thread: any, one at a time. Blocks: no.
 * @{ */
/** What becomes of topics without a rule of their own (default TERN_ENCODING_NONE). Errors:
 * TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_compression_set_default(tern_compression *compression, tern_encoding encoding);
/** What becomes of the topics that a filter matches; of several that match the one added last counts.
 * Errors: TERN_E_INVALID, TERN_E_STATE, TERN_E_FILTER, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_compression_add_filter(tern_compression *compression, const char *filter,
                                         tern_encoding encoding);
/** Payloads larger than this are compressed (bytes, default 100). Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_compression_set_threshold(tern_compression *compression, size_t bytes);
/** How hard zlib tries: 1 (fast) to 9 (small), default 6. Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_compression_set_level(tern_compression *compression, int level);
/** What saves less than this stays as it is (percent, 0..99, default 10). Errors: TERN_E_INVALID,
 * TERN_E_STATE. */
TERN_API int tern_compression_set_minimal_gain(tern_compression *compression, int percent);
/** How receivers are told (default TERN_COMPRESSION_PROPERTY). Errors: TERN_E_INVALID, TERN_E_STATE,
 * TERN_E_UNSUPPORTED (this build lacks cJSON, which meta topics need). */
TERN_API int tern_compression_set_form(tern_compression *compression, tern_compression_form form);
/** What is inflated (default TERN_DECOMPRESSION_AUTO). Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_compression_set_decompression(tern_compression *compression, tern_decompression what);
/** Bounds what a received payload may become: max_bytes in all (default 16 MiB, at least 1), and beyond 64 KiB so many times its
 * size (default 200, at least 1). What is published and would pass these bounds when it comes back stays as it
 * is. Errors: TERN_E_INVALID, TERN_E_STATE. */
TERN_API int tern_compression_set_limits(tern_compression *compression, size_t max_bytes,
                                         uint32_t max_ratio);
/** Whether handlers see meta messages, too (1), or not (0, the default). Errors: TERN_E_INVALID,
 * TERN_E_STATE. */
TERN_API int tern_compression_set_deliver_meta(tern_compression *compression, int deliver);
/** @} */

/** Gives the clients that are made with these options compression: a transform, in its place among those
 * that were and will be added. Errors: TERN_E_INVALID, TERN_E_TOO_LARGE (as
 * tern_client_options_add_transform()), TERN_E_NOMEM. Thread: any, one at a time. Blocks: no. */
TERN_API int tern_client_options_set_compression(tern_client_options *options,
                                                 tern_compression *compression);

/** Subscribes as tern_client_subscribe(), and with meta topics to `<filter>/meta` too, unless the filter ends in
 * # and so has it already; one token for both. Errors: as tern_client_subscribe(); with meta topics also
 * TERN_E_FILTER for `$share` filters (their meta and payload could go to different clients) and for what ends in
 * `/meta`, TERN_E_TOO_LARGE. Thread: any. Blocks: no. (MQTT 5 section 3.8) */
TERN_API int tern_compression_subscribe(tern_compression *compression, tern_client *client,
                                        const char *filter, uint32_t flags, tern_token **token);
/** Ends such a subscription. Errors: as tern_compression_subscribe(). Thread: any. Blocks: no. (MQTT 5
 * section 3.10) */
TERN_API int tern_compression_unsubscribe(tern_compression *compression, tern_client *client,
                                          const char *filter, tern_token **token);

/** What became of a message that a client with compression received. Thread: any. Blocks: no. */
TERN_API tern_compression_result tern_compression_result_of(const tern_message *message);
/** Name of a result ("inflated"), static; never NULL. Thread: any. Blocks: no. */
TERN_API const char *tern_compression_result_name(tern_compression_result result);

/** Number of a compression's statistics. Thread: any. Blocks: no. */
TERN_API size_t tern_compression_stat_count(void);
/** Name of the statistic at index, static; NULL beyond. Names are stable. Thread: any. Blocks: no. */
TERN_API const char *tern_compression_stat_name(size_t index);
/** Reads a statistic by name: `messages_compressed`, `messages_raw` (looked at and left), `bytes_before`
 * and `bytes_after` of those compressed, `messages_inflated`, `messages_damaged`, `messages_too_large`,
 * `messages_mismatched`, `metas_received`. Errors: TERN_E_INVALID, TERN_E_NOT_FOUND. Thread: any. Blocks:
 * no. */
TERN_API int tern_compression_stat(tern_compression *compression, const char *name,
                                   uint64_t *value);

TERN_END_DECLS

#endif
