/** @file
 * Every error Tern returns: one table with code, name, class and text.
 *
 * docs/errors.md says of each what to do about it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_ERROR_H
#define TERN_ERROR_H

#include <stddef.h>
#include <tern/export.h>

TERN_BEGIN_DECLS

/** The table of errors: X(name, code, class, text). Codes are negative, stable and never reused; 0
 * is success. MQTT reason codes are another number space, see tern_reason_text(). */
#define TERN_ERRORS(X)                                                                             \
    X(NOMEM, -1, RESOURCE, "out of memory")                                                        \
    X(INVALID, -2, USAGE, "invalid argument")                                                      \
    X(UTF8, -3, USAGE, "text is not well-formed UTF-8, or holds a NUL character")                  \
    X(TOPIC, -4, USAGE, "not a valid topic name")                                                  \
    X(FILTER, -5, USAGE, "not a valid topic filter")                                               \
    X(TOO_LARGE, -6, USAGE, "too large for the protocol or for a configured limit")                \
    X(URL, -7, USAGE, "not a valid server URL")                                                    \
    X(UNSUPPORTED, -8, USAGE, "not supported by this build, protocol version or server")           \
    X(STATE, -9, STATE, "not possible in the present state")                                       \
    X(CLOSED, -10, STATE, "the client is closing or closed")                                       \
    X(NOT_CONNECTED, -11, STATE, "the client was never told to connect")                           \
    X(WOULD_DEADLOCK, -12, STATE, "waiting here would wait for itself")                            \
    X(STALE, -13, STATE, "the message belongs to an earlier connection")                           \
    X(NOT_FOUND, -14, STATE, "no such item")                                                       \
    X(OUTBOX_FULL, -15, RESOURCE, "the outbox is full")                                            \
    X(SYSTEM, -16, RESOURCE, "the operating system refused a resource")                            \
    X(TIMEOUT, -17, TIMEOUT, "the deadline passed")                                                \
    X(CANCELLED, -18, CANCELLED, "cancelled")                                                      \
    X(RESOLVE, -19, NETWORK, "the host name could not be resolved")                                \
    X(CONNECT, -20, NETWORK, "the server could not be reached")                                    \
    X(CONNECTION_LOST, -21, NETWORK, "the connection was lost")                                    \
    X(KEEPALIVE, -22, NETWORK, "the server stopped answering")                                     \
    X(TLS, -23, TLS, "TLS failed")                                                                 \
    X(MALFORMED, -24, PROTOCOL, "the peer sent a malformed packet")                                \
    X(PROTOCOL, -25, PROTOCOL, "the peer broke the protocol")                                      \
    X(REFUSED, -26, REFUSED, "the server refused")                                                 \
    X(DISCONNECTED, -27, REFUSED, "the server ended the connection")                               \
    X(FORKED, -28, STATE, "the handle belongs to the parent process")                              \
    X(AGAIN, -29, STATE, "nothing to do right now")                                                \
    X(PROXY, -30, NETWORK, "the proxy refused or broke its protocol")                              \
    X(WEBSOCKET, -31, NETWORK, "the WebSocket handshake or framing failed")                        \
    X(EXPIRED, -32, TIMEOUT, "the message expired before it was sent")

/** Error codes: TERN_E_NOMEM is -1, and so on down the table of TERN_ERRORS. Every fallible
 * function returns 0 or one of these. */
enum tern_error {
#define TERN_ERROR_CODE_(name, code, cls, text) TERN_E_##name = (code),
    TERN_ERRORS(TERN_ERROR_CODE_)
#undef TERN_ERROR_CODE_
        TERN_OK = 0 /**< success */
};

/** What kind of trouble an error is, for programs that react by kind. */
typedef enum tern_error_class {
    TERN_CLASS_NONE = 0,      /**< no error */
    TERN_CLASS_USAGE = 1,     /**< the call's arguments are at fault */
    TERN_CLASS_STATE = 2,     /**< right call, wrong moment */
    TERN_CLASS_RESOURCE = 3,  /**< memory, descriptors or queue space ran out */
    TERN_CLASS_NETWORK = 4,   /**< names, addresses, sockets */
    TERN_CLASS_TLS = 5,       /**< certificates and TLS */
    TERN_CLASS_PROTOCOL = 6,  /**< the peer broke MQTT */
    TERN_CLASS_REFUSED = 7,   /**< the server said no, with a reason code */
    TERN_CLASS_TIMEOUT = 8,   /**< a deadline passed */
    TERN_CLASS_CANCELLED = 9  /**< the application cancelled it */
} tern_error_class;

/** Text of an error code, static; never NULL, also for unknown codes. Thread: any. Blocks: no. */
TERN_API const char *tern_strerror(int error);

/** Name of an error code as in this header ("TERN_E_TIMEOUT"), static; never NULL. Thread: any.
 * Blocks: no. */
TERN_API const char *tern_error_name(int error);

/** Class of an error code; TERN_CLASS_NONE for 0 and for unknown codes. Thread: any. Blocks: no. */
TERN_API tern_error_class tern_error_class_of(int error);

/** Number of error codes, for bindings that enumerate them. Thread: any. Blocks: no. */
TERN_API size_t tern_error_count(void);

/** The error code at index (0 <= index < tern_error_count()); 0 beyond. Thread: any. Blocks: no. */
TERN_API int tern_error_at(size_t index);

/** Name of an MQTT reason code, 0..255 ("Not authorized"), static; never NULL. The return codes of
 * a 3.1.1 CONNACK reach the API as the reason codes that mean the same. Thread: any. Blocks: no.
 * (MQTT 5 section 2.4) */
TERN_API const char *tern_reason_text(int reason_code);

TERN_END_DECLS

#endif
