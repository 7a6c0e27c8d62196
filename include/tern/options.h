/* Options: what is fixed for a client's life, and how it connects.
 *
 * Both kinds are opaque, hold copies of what they are given, and check each value as it is set. A client
 * clones them, so they may be freed or reused at once. An options object is used by one thread at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_OPTIONS_H
#define TERN_OPTIONS_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Levels of log records, most severe first. */
typedef enum tern_log_level {
    TERN_LOG_NONE = 0,    /**< nothing */
    TERN_LOG_ERROR = 1,   /**< something failed for good */
    TERN_LOG_WARNING = 2, /**< something failed and is tried again, or looks wrong */
    TERN_LOG_INFO = 3,    /**< connections come and go */
    TERN_LOG_DEBUG = 4,   /**< each step */
    TERN_LOG_TRACE = 5    /**< each packet, without payloads */
} tern_log_level;

/** Receives log records. Called on any of Tern's threads, and on the caller's: it must not block and not
 * call Tern. `text` is one line without secrets and without control characters. */
typedef void (*tern_log_callback)(tern_log_level level, const char *text, void *user_data);

/* ---- client options ---- */

/** Creates client options with the defaults. Errors: TERN_E_INVALID (options is NULL), TERN_E_NOMEM.
 * Thread: any. Blocks: no. */
TERN_API int tern_client_options_new(tern_client_options **options);
/** Frees client options; NULL does nothing. */
TERN_API void tern_client_options_free(tern_client_options *options);
/** Client identifier (UTF-8, at most 65,535 bytes; default empty: the server assigns one).
 * Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM. [MQTT5-3.1.3-4] */
TERN_API int tern_client_options_set_client_id(tern_client_options *options, const char *client_id);
/** Bounds of the outbox: bytes held (default 64 MiB) and messages (default 0 = bytes alone decide).
 * Errors: TERN_E_INVALID (options is NULL, max_bytes is 0). */
TERN_API int tern_client_options_set_outbox_limits(tern_client_options *options, size_t max_bytes,
                                                   size_t max_messages);
/** What publishing does at a bound; block_timeout_ms (0 = for ever) is for TERN_OUTBOX_BLOCK.
 * Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_outbox_policy(tern_client_options *options,
                                                   tern_outbox_policy policy,
                                                   uint32_t block_timeout_ms);
/** Messages of QoS 1 and 2 sent and unacknowledged at a time (1..65535, default 1000); the server's
 * Receive Maximum lowers it. Errors: TERN_E_INVALID. (MQTT 5 section 4.9) */
TERN_API int tern_client_options_set_inflight_maximum(tern_client_options *options, uint16_t maximum);
/** Bytes of received messages held for callbacks (default 4 MiB): beyond it reading pauses.
 * Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_inbound_limit(tern_client_options *options, size_t max_bytes);
/** Largest packet accepted from the server (default 16 MiB), announced on MQTT 5 and enforced at the
 * packet's header. Errors: TERN_E_INVALID (0). (MQTT 5 section 3.1.2.11.4) */
TERN_API int tern_client_options_set_maximum_packet_size(tern_client_options *options, uint32_t bytes);
/** Messages of QoS 1 and 2 that the server may have unacknowledged (1..65535, default 65535).
 * Errors: TERN_E_INVALID. (MQTT 5 section 3.1.2.11.3) */
TERN_API int tern_client_options_set_receive_maximum(tern_client_options *options, uint16_t maximum);
/** Topic aliases that the server may use towards us (default 0 = none). Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_topic_alias_maximum(tern_client_options *options,
                                                         uint16_t maximum);
/** The loop that serves the client; it is shared, and kept alive by the client. Default NULL: one of its
 * own. Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_loop(tern_client_options *options, tern_loop *loop);
/** Who runs the callbacks. Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_dispatch(tern_client_options *options, tern_dispatch dispatch);
/** When received messages are acknowledged. Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_ack(tern_client_options *options, tern_ack ack);
/** Where log records up to `level` go (default: none). Errors: TERN_E_INVALID. */
TERN_API int tern_client_options_set_log(tern_client_options *options, tern_log_level level,
                                         tern_log_callback callback, void *user_data);

/* ---- connection options ---- */

/** Creates connection options with the defaults. Errors: TERN_E_INVALID, TERN_E_NOMEM. */
TERN_API int tern_connection_options_new(tern_connection_options **options);
/** Frees connection options, overwriting the secrets they held; NULL does nothing. */
TERN_API void tern_connection_options_free(tern_connection_options *options);
/** Adds a server by URL: mqtt://host[:1883], tcp://host[:1883] or unix:///path/to/socket, with optional
 * user:password@. Servers are tried in the order added. Errors: TERN_E_URL (tern_url_error() tells where
 * and why), TERN_E_UNSUPPORTED (a scheme this build lacks), TERN_E_INVALID, TERN_E_NOMEM. */
TERN_API int tern_connection_options_add_server(tern_connection_options *options, const char *url);
/** Forgets the servers added so far. Errors: TERN_E_INVALID. */
TERN_API int tern_connection_options_clear_servers(tern_connection_options *options);
/** Protocol version (default TERN_VERSION_AUTO). Errors: TERN_E_INVALID. */
TERN_API int tern_connection_options_set_version(tern_connection_options *options,
                                                 tern_version version);
/** User name (UTF-8, NULL for none) and password (any bytes, NULL for none); override those of a URL. A
 * password alone needs MQTT 5. Errors: TERN_E_INVALID, TERN_E_UTF8, TERN_E_TOO_LARGE, TERN_E_NOMEM.
 * (MQTT 5 section 3.1.3.5) */
TERN_API int tern_connection_options_set_credentials(tern_connection_options *options,
                                                     const char *user_name, const void *password,
                                                     size_t password_length);
/** Keep alive in seconds (default 60, 0 = off); MQTT 5 servers may override it. Errors: TERN_E_INVALID.
 * (MQTT 5 section 3.1.2.10) */
TERN_API int tern_connection_options_set_keep_alive(tern_connection_options *options,
                                                    uint16_t seconds);
/** Time for one attempt: name, address, CONNACK together (ms, default 10,000, at least 1).
 * Errors: TERN_E_INVALID. */
TERN_API int tern_connection_options_set_connect_timeout(tern_connection_options *options,
                                                         uint32_t timeout_ms);
/** Session behaviour, and how long (seconds) the broker keeps the session while away on MQTT 5 (default
 * 3600; 0xFFFFFFFF = for ever). Errors: TERN_E_INVALID. (MQTT 5 section 3.1.2.11.2) */
TERN_API int tern_connection_options_set_session(tern_connection_options *options,
                                                 tern_session session, uint32_t expiry_seconds);
/** The will: topic, payload, QoS, retain and properties of `will`, which is copied; NULL removes it.
 * delay_seconds is the Will Delay Interval. Errors: TERN_E_INVALID, TERN_E_TOO_LARGE (payload over
 * 65,535 bytes), TERN_E_NOMEM. (MQTT 5 section 3.1.2.5) */
TERN_API int tern_connection_options_set_will(tern_connection_options *options,
                                              const tern_message *will, uint32_t delay_seconds);
/** Adds a user property to CONNECT (MQTT 5 section 3.1.2.11.8). Errors: TERN_E_INVALID, TERN_E_UTF8,
 * TERN_E_TOO_LARGE, TERN_E_NOMEM. */
TERN_API int tern_connection_options_add_user_property(tern_connection_options *options,
                                                       const char *name, const char *value);
/** Whether the server may send reason strings and user properties on every packet (default 1).
 * Errors: TERN_E_INVALID. (MQTT 5 section 3.1.2.11.7) */
TERN_API int tern_connection_options_set_request_problem_information(tern_connection_options *options,
                                                                     int request);
/** Whether to ask for Response Information (default 0). Errors: TERN_E_INVALID.
 * (MQTT 5 section 3.1.2.11.6) */
TERN_API int tern_connection_options_set_request_response_information(tern_connection_options *options,
                                                                      int request);
/** Reconnect delay: base * 2^n clamped to the maximum, then spread by the jitter (ms, default 1,000 and
 * 60,000; 1 <= base <= maximum). Errors: TERN_E_INVALID. */
TERN_API int tern_connection_options_set_retry_delay(tern_connection_options *options,
                                                     uint32_t base_ms, uint32_t maximum_ms,
                                                     tern_jitter jitter);
/** Attempts in a row before giving up (default 0 = never), and how long (ms, default 10,000) a connection
 * must last before the delay starts over. Errors: TERN_E_INVALID. */
TERN_API int tern_connection_options_set_retry_limit(tern_connection_options *options,
                                                     uint32_t attempts, uint32_t stable_ms);
/** Whether refusals that do not heal by themselves (bad credentials and the like) are tried again
 * (default 0: they stop reconnecting). Errors: TERN_E_INVALID. */
TERN_API int tern_connection_options_set_retry_refused(tern_connection_options *options, int retry);

/** Why a URL is not valid, in words with the position, written into `buffer` (NUL-terminated, cut at
 * `size`). Returns 0 where the URL is fine, else TERN_E_URL or TERN_E_UNSUPPORTED. Thread: any.
 * Blocks: no. */
TERN_API int tern_url_error(const char *url, char *buffer, size_t size);

TERN_END_DECLS

#endif
