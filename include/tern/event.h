/* What a client tells its owner: lifecycle events, and the outcomes of published messages.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_EVENT_H
#define TERN_EVENT_H

#include <tern/types.h>

TERN_BEGIN_DECLS

/** Kinds of lifecycle events. Every CONNECTING is followed by one CONNECTED or CONNECT_FAILED, every
 * CONNECTED by one DISCONNECTED. */
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
    TERN_STEP_PROXY = 3,   /**< talking to a proxy */
    TERN_STEP_TLS = 4,     /**< the TLS handshake */
    TERN_STEP_WEBSOCKET = 5, /**< the WebSocket upgrade */
    TERN_STEP_MQTT = 6,    /**< CONNECT and CONNACK */
    TERN_STEP_SESSION = 7  /**< the established connection */
} tern_step;

/** A lifecycle event; `event` is borrowed until the callback returns. Runs where the client's callbacks run. */
typedef void (*tern_event_callback)(tern_client *client, const tern_event *event, void *user_data);
/** Outcomes of published messages; `delivery` is borrowed until the callback returns. Runs where the
 * client's callbacks run. */
typedef void (*tern_delivery_callback)(tern_client *client, const tern_delivery *delivery,
                                       void *user_data);
/** A received message, borrowed until the callback returns. Runs where the client's callbacks run. */
typedef void (*tern_message_callback)(tern_client *client, const tern_message *message,
                                      void *user_data);

/** Kind of the event. */
TERN_API tern_event_kind tern_event_get_kind(const tern_event *event);
/** Name of a kind ("CONNECTED"); never NULL. */
TERN_API const char *tern_event_kind_name(tern_event_kind kind);
/** Why it failed (TERN_E_*); 0 where nothing failed. */
TERN_API int tern_event_error(const tern_event *event);
/** The whole story in one line: step, peer, cause. Never NULL. */
TERN_API const char *tern_event_text(const tern_event *event);
/** The step that failed. */
TERN_API tern_step tern_event_step(const tern_event *event);
/** Name of a step ("resolve"); never NULL. */
TERN_API const char *tern_step_name(tern_step step);
/** errno of the failed system call; 0 where it was none. */
TERN_API int tern_event_os_error(const tern_event *event);
/** The server's reason code (CONNACK or DISCONNECT), or the one that we sent; -1 where there is none. */
TERN_API int tern_event_reason_code(const tern_event *event);
/** The server's Reason String, NULL where it sent none. */
TERN_API const char *tern_event_reason_string(const tern_event *event);
/** The server's Server Reference, NULL where it sent none. (MQTT 5 section 4.11) */
TERN_API const char *tern_event_server_reference(const tern_event *event);
/** The server that the event is about, as a URL without credentials; NULL where none. */
TERN_API const char *tern_event_server(const tern_event *event);
/** Milliseconds until the next attempt; -1 where none follows. */
TERN_API int64_t tern_event_retry_delay(const tern_event *event);
/** Number of the attempt since the last stable connection, from 1. */
TERN_API uint32_t tern_event_attempt(const tern_event *event);
/** CONNECTED: 1 where the broker resumed the session. */
TERN_API int tern_event_session_present(const tern_event *event);
/** CONNECTED: the protocol version agreed on. */
TERN_API tern_version tern_event_version(const tern_event *event);

/** First id of the range; every accepted id in first..last had the same outcome. */
TERN_API uint64_t tern_delivery_first_id(const tern_delivery *delivery);
/** Last id of the range. */
TERN_API uint64_t tern_delivery_last_id(const tern_delivery *delivery);
/** Number of messages in the range. */
TERN_API uint64_t tern_delivery_count(const tern_delivery *delivery);
/** Their outcome. */
TERN_API tern_outcome tern_delivery_outcome(const tern_delivery *delivery);
/** The outcome's cause. */
TERN_API tern_cause tern_delivery_cause(const tern_delivery *delivery);
/** The broker's reason code; -1 where it gave none. */
TERN_API int tern_delivery_reason_code(const tern_delivery *delivery);

TERN_END_DECLS

#endif
