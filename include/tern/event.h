/** @file
 * What a client tells its owner: lifecycle events, and the outcomes of published messages.
 *
 * Events, deliveries and messages are borrowed until the callback returns, and so is all that is
 * read from them. Callbacks run on the client's dispatcher thread, or in tern_client_dispatch();
 * those of one client never overlap. They may block, and may make every call of the API but for the
 * few waits that say otherwise.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_EVENT_H
#define TERN_EVENT_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Kinds of lifecycle events. Every CONNECTING is followed by one CONNECTED or CONNECT_FAILED,
 * every CONNECTED by one DISCONNECTED. Where memory runs out an event may be missing, and the log has it;
 * but the newest of CONNECTED, DISCONNECTED and STOPPED is always told, if need be without its details. */
typedef enum tern_event_kind {
    TERN_EVENT_CONNECTING = 1,     /**< an attempt starts */
    TERN_EVENT_CONNECTED = 2,      /**< CONNACK said yes */
    TERN_EVENT_CONNECT_FAILED = 3, /**< the attempt failed; a retry follows unless STOPPED comes next */
    TERN_EVENT_DISCONNECTED = 4,   /**< the connection ended; a retry follows unless STOPPED comes next */
    TERN_EVENT_STOPPED = 5,        /**< no further attempts: the failure does not heal, the limit was reached,
                                        or the application disconnected; the outbox is kept */
    TERN_EVENT_UNHANDLED = 6,      /**< a message came that no handler takes */
    TERN_EVENT_PAUSED = 7,         /**< reading stopped: received messages reached the inbound limit */
    TERN_EVENT_RESUMED = 8         /**< reading goes on */
} tern_event_kind;

/** Which step of connecting or of a connection failed. */
typedef enum tern_step {
    TERN_STEP_NONE = 0,    /**< no failure */
    TERN_STEP_RESOLVE = 1, /**< looking up the host name */
    TERN_STEP_CONNECT = 2, /**< opening the socket */
    TERN_STEP_PROXY = 3,   /**< asking a proxy for the way to the server */
    TERN_STEP_TLS = 4,     /**< the TLS handshake and the certificates */
    TERN_STEP_WEBSOCKET = 5, /**< the WebSocket upgrade */
    TERN_STEP_MQTT = 6,    /**< CONNECT and CONNACK */
    TERN_STEP_SESSION = 7  /**< the established connection */
} tern_step;

/** What client and server agreed on at CONNACK. Of a 3.1.1 connection most have the value that stands
 * for "no limit". (MQTT 5 section 3.2.2.3) */
typedef enum tern_limit {
    TERN_LIMIT_KEEP_ALIVE = 1,          /**< seconds; the server's where it set one */
    TERN_LIMIT_SESSION_EXPIRY = 2,      /**< seconds; 0xFFFFFFFF = for ever */
    TERN_LIMIT_INFLIGHT_MAXIMUM = 3,    /**< messages of QoS 1 and 2 that may be open: the smaller of
                                             the server's Receive Maximum and the client's option */
    TERN_LIMIT_MAXIMUM_PACKET_SIZE = 4, /**< bytes that the server takes; 0xFFFFFFFF = any */
    TERN_LIMIT_TOPIC_ALIAS_MAXIMUM = 5, /**< aliases that the server would take */
    TERN_LIMIT_MAXIMUM_QOS = 6,         /**< 0, 1 or 2 */
    TERN_LIMIT_RETAIN = 7,              /**< 1 where retained messages are possible, else 0 */
    TERN_LIMIT_WILDCARD_SUBSCRIPTION = 8,   /**< 1 or 0, as those below */
    TERN_LIMIT_SUBSCRIPTION_IDENTIFIER = 9, /**< subscription identifiers */
    TERN_LIMIT_SHARED_SUBSCRIPTION = 10     /**< shared subscriptions */
} tern_limit;

/** What can be read of a certificate. */
typedef enum tern_certificate_field {
    TERN_CERTIFICATE_SUBJECT = 1,    /**< whose it is ("CN=broker.example") */
    TERN_CERTIFICATE_ISSUER = 2,     /**< who signed it */
    TERN_CERTIFICATE_NAMES = 3,      /**< the DNS names and IP addresses that it is for, ", " between them */
    TERN_CERTIFICATE_NOT_BEFORE = 4, /**< from when it is valid */
    TERN_CERTIFICATE_NOT_AFTER = 5   /**< until when */
} tern_certificate_field;

/** Told of a lifecycle event. */
typedef void (*tern_event_callback)(tern_client *client, const tern_event *event, void *user_data);
/** Told of the outcomes of published messages, a range of ids at a time. */
typedef void (*tern_delivery_callback)(tern_client *client, const tern_delivery *delivery,
                                       void *user_data);
/** Given a received message; tern_message_keep() makes a copy of your own. */
typedef void (*tern_message_callback)(tern_client *client, const tern_message *message,
                                      void *user_data);
/** Called once for a timer: `due` is 1 when its time has come, 0 where it was cancelled or the client closed. */
typedef void (*tern_timer_callback)(tern_client *client, int due, void *user_data);

/** @name Reading an event
 * What the kind does not have is NULL, 0 or -1, and so is everything for NULL. Thread: that of the
 * callback. Blocks: no.
 * @{ */
/** Kind of the event. */
TERN_API tern_event_kind tern_event_get_kind(const tern_event *event);
/** Name of a kind ("CONNECTED"), static; never NULL. */
TERN_API const char *tern_event_kind_name(tern_event_kind kind);
/** Why it failed, a TERN_E_* code; 0 where nothing failed. */
TERN_API int tern_event_error(const tern_event *event);
/** The whole story in one line: step, peer, cause. Never NULL. */
TERN_API const char *tern_event_text(const tern_event *event);
/** The step that failed; TERN_STEP_NONE where none did. */
TERN_API tern_step tern_event_step(const tern_event *event);
/** Name of a step ("resolve"), static; never NULL. */
TERN_API const char *tern_step_name(tern_step step);
/** errno of the system call that failed; 0 where none did. */
TERN_API int tern_event_os_error(const tern_event *event);
/** The server's reason code (CONNACK or DISCONNECT), or the one that Tern sent; -1 where there is
 * none. A 3.1.1 return code is told as the reason code that means the same. (MQTT 5 section 2.4) */
TERN_API int tern_event_reason_code(const tern_event *event);
/** The server's Reason String, control characters replaced, cut at 255 bytes; NULL where it sent
 * none. */
TERN_API const char *tern_event_reason_string(const tern_event *event);
/** The server's Server Reference, as above; it is not followed. (MQTT 5 section 4.11) */
TERN_API const char *tern_event_server_reference(const tern_event *event);
/** What to do about the failure, in a sentence; NULL where Tern knows nothing better than the text. */
TERN_API const char *tern_event_hint(const tern_event *event);
/** The socket's other end, the proxy's where there is one ("192.0.2.1:8883", "[::1]:1883", a path); NULL
 * before it was open. */
TERN_API const char *tern_event_peer(const tern_event *event);
/** Milliseconds since the attempt began, of CONNECTED and CONNECT_FAILED; else 0. */
TERN_API uint32_t tern_event_elapsed(const tern_event *event);
/** HTTP status of a proxy or WebSocket server that said no; 0 where there was none. (RFC 9110 section
 * 15) */
TERN_API int tern_event_http_status(const tern_event *event);
/** Version of TLS, of CONNECTED and of CONNECT_FAILED from that step on ("TLSv1.3"); NULL without TLS. */
TERN_API const char *tern_event_tls_version(const tern_event *event);
/** Cipher that was agreed on, as above. */
TERN_API const char *tern_event_tls_cipher(const tern_event *event);
/** Application protocol that was agreed on (ALPN); NULL where there is none. (RFC 7301) */
TERN_API const char *tern_event_tls_protocol(const tern_event *event);
/** 1 where an earlier TLS session was resumed. */
TERN_API int tern_event_tls_resumed(const tern_event *event);
/** Number of certificates that the server showed, its own first; 0 without TLS, for a resumed session and
 * with a pre-shared key. */
TERN_API size_t tern_event_certificate_count(const tern_event *event);
/** A field of a certificate, in words; NULL beyond the last one. Also of certificates that were refused. */
TERN_API const char *tern_event_certificate(const tern_event *event, size_t index,
                                            tern_certificate_field field);
/** What is wrong with the server's certificate, one of OpenSSL's X509_V_ERR_* codes; 0 where nothing is.
 * The text has it in words. */
TERN_API int32_t tern_event_verify_result(const tern_event *event);
/** The server that the event is about, as a URL without credentials. */
TERN_API const char *tern_event_server(const tern_event *event);
/** Milliseconds until the next attempt, of CONNECT_FAILED and DISCONNECTED; -1 where none
 * follows. */
TERN_API int64_t tern_event_retry_delay(const tern_event *event);
/** Number of the attempt, from 1, since the last connection or tern_client_connect(). */
TERN_API uint32_t tern_event_attempt(const tern_event *event);
/** Of CONNECTED: 1 where the broker resumed the session. (MQTT 5 section 3.2.2.1.1) */
TERN_API int tern_event_session_present(const tern_event *event);
/** Of CONNECTED: the protocol version agreed on. */
TERN_API tern_version tern_event_version(const tern_event *event);
/** Of CONNECTED: what was agreed on; -1 for other events and unknown limits. */
TERN_API int64_t tern_event_limit(const tern_event *event, tern_limit limit);
/** Name of a limit ("maximum_qos"), static; never NULL. */
TERN_API const char *tern_limit_name(tern_limit limit);
/** Of CONNECTED: the server's Response Information, which
 * tern_connection_options_set_request_response_information() asks for; NULL where it sent none. (MQTT
 * 5 section 3.2.2.3.15) */
TERN_API const char *tern_event_response_information(const tern_event *event);
/** @} */

/** @name Reading a delivery
 * Every message of the range had the same outcome. For NULL: 0, pending, or -1. Thread: that of the
 * callback. Blocks: no.
 * @{ */
/** First id of the range. */
TERN_API uint64_t tern_delivery_first_id(const tern_delivery *delivery);
/** Last id of the range. */
TERN_API uint64_t tern_delivery_last_id(const tern_delivery *delivery);
/** Number of messages in the range. */
TERN_API uint64_t tern_delivery_count(const tern_delivery *delivery);
/** Their outcome, never pending. */
TERN_API tern_outcome tern_delivery_outcome(const tern_delivery *delivery);
/** The outcome's cause; TERN_CAUSE_NONE where it needs none. */
TERN_API tern_cause tern_delivery_cause(const tern_delivery *delivery);
/** The broker's reason code, of DELIVERED and REFUSED; else -1. */
TERN_API int tern_delivery_reason_code(const tern_delivery *delivery);
/** @} */

TERN_END_DECLS

#endif
