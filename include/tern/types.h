/** @file
 * The opaque handles, flags and enumerations that all of Tern's API speaks in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TERN_TYPES_H
#define TERN_TYPES_H

#include <stddef.h>
#include <stdint.h>
#include <tern/error.h>
#include <tern/export.h>

TERN_BEGIN_DECLS

/** A client: one MQTT session with one broker or cluster. See tern/client.h. */
typedef struct tern_client tern_client;
/** A network thread that serves any number of clients. See tern/loop.h. */
typedef struct tern_loop tern_loop;
/** What is fixed for a client's life. See tern/options.h. */
typedef struct tern_client_options tern_client_options;
/** How to connect; replaceable at any time. See tern/options.h. */
typedef struct tern_connection_options tern_connection_options;
/** How TLS goes: trust, certificates, versions. See tern/tls.h. */
typedef struct tern_tls_options tern_tls_options;
/** A received message, or one prepared for publishing. See tern/message.h. */
typedef struct tern_message tern_message;
/** One or more topic filters with their options. See tern/subscription.h. */
typedef struct tern_subscription tern_subscription;
/** The pending result of an asynchronous call. See tern/token.h. */
typedef struct tern_token tern_token;
/** What happened to a client. See tern/event.h. */
typedef struct tern_event tern_event;
/** An attempt to connect, before it starts. See tern/attempt.h. */
typedef struct tern_attempt tern_attempt;
/** The outcomes of one or more published messages. See tern/event.h. */
typedef struct tern_delivery tern_delivery;
/** What changes messages on their way out and in. See tern/transform.h. */
typedef struct tern_transform tern_transform;
/** A message on its way out, in a transform. See tern/transform.h. */
typedef struct tern_outgoing tern_outgoing;
/** A message on its way in, in a transform. See tern/transform.h. */
typedef struct tern_incoming tern_incoming;

/** Flags of a publish: a quality of service, plus TERN_RETAIN to TERN_UNCOMPRESSED. Flags of a subscription: the
 * maximum quality of service, plus TERN_NO_LOCAL to TERN_RETAINED_NEVER, whose values are those of the Subscription
 * Options byte (MQTT 5 section 3.8.3.1); all but the QoS need MQTT 5 and are left out on 3.1.1. */
enum tern_flag {
    TERN_QOS_0 = 0,          /**< at most once */
    TERN_QOS_1 = 1,          /**< at least once */
    TERN_QOS_2 = 2,          /**< exactly once */
    TERN_RETAIN = 0x100,     /**< the broker keeps it for later subscribers */
    TERN_LOSE_PROPERTIES = 0x200, /**< on a 3.1.1 connection go out without the properties, which 3.1.1
                                       cannot carry, instead of NOT_SENT(unsupported) */
    TERN_COMPRESS = 0x400,     /**< for a transform that compresses: this message too, whatever its rules
                                    say of the topic */
    TERN_UNCOMPRESSED = 0x800, /**< for a transform that compresses: not this one. A client without
                                    transforms takes no notice of either flag */
    TERN_NO_LOCAL = 0x04,            /**< not what this client itself publishes */
    TERN_RETAIN_AS_PUBLISHED = 0x08, /**< keep the RETAIN flag as the publisher set it */
    TERN_RETAINED_IF_NEW = 0x10,     /**< retained messages only if the subscription is new */
    TERN_RETAINED_NEVER = 0x20       /**< no retained messages at subscribing */
};

/** Protocol version of a connection. */
typedef enum tern_version {
    TERN_VERSION_AUTO = 0, /**< 5, and 3.1.1 where the server does not speak 5 */
    TERN_VERSION_311 = 4,  /**< MQTT 3.1.1 */
    TERN_VERSION_5 = 5     /**< MQTT 5 */
} tern_version;

/** What a client does with the broker's session. (MQTT 5 sections 3.1.2.4, 4.1) */
typedef enum tern_session {
    TERN_SESSION_PROCESS = 0,    /**< default: MQTT 5 starts clean once in a client's life, then resumes
                                      after lost connections; 3.1.1 always starts clean */
    TERN_SESSION_CLEAN = 1,      /**< every connection starts clean and ends its session */
    TERN_SESSION_PERSISTENT = 2  /**< resume always, keep it after closing; needs a client id */
} tern_session;

/** Which random spread is put on a reconnect delay, after it was clamped to the maximum. */
typedef enum tern_jitter {
    TERN_JITTER_PROPORTIONAL = 0, /**< the delay +- 25 % */
    TERN_JITTER_NONE = 1,         /**< exactly the delay */
    TERN_JITTER_FULL = 2,         /**< anywhere up to the delay */
    TERN_JITTER_DECORRELATED = 3  /**< anywhere between the base and three times the last wait; at the
                                       maximum, between a third of it and the whole */
} tern_jitter;

/** What publishing does when the outbox is full. */
typedef enum tern_outbox_policy {
    TERN_OUTBOX_REJECT = 0, /**< answers TERN_E_OUTBOX_FULL at once (default) */
    TERN_OUTBOX_BLOCK = 1,  /**< waits for room, up to a deadline */
    TERN_OUTBOX_DROP_OLDEST = 2, /**< takes the message, and drops the oldest that wait and were never
                                      sent: their outcome is NOT_SENT(dropped) */
    TERN_OUTBOX_DROP_NEWEST = 3  /**< takes it, and drops it where there is no room: its outcome is
                                      NOT_SENT(dropped) */
} tern_outbox_policy;

/** Who runs a client's callbacks. */
typedef enum tern_dispatch {
    TERN_DISPATCH_THREAD = 0, /**< a dispatcher thread of the loop (default) */
    TERN_DISPATCH_MANUAL = 1  /**< the application, in tern_client_dispatch() */
} tern_dispatch;

/** When inbound QoS 1 and 2 messages are acknowledged. */
typedef enum tern_ack {
    TERN_ACK_AUTO = 0,  /**< when the message's callbacks have returned (default) */
    TERN_ACK_MANUAL = 1 /**< when the application calls tern_client_ack() */
} tern_ack;

/** What became of an accepted message; exactly one final outcome each. */
typedef enum tern_outcome {
    TERN_OUTCOME_PENDING = 0,   /**< not decided yet */
    TERN_OUTCOME_DELIVERED = 1, /**< QoS 1 or 2 completed by the broker */
    TERN_OUTCOME_SENT = 2,      /**< QoS 0, handed to the operating system whole */
    TERN_OUTCOME_REFUSED = 3,   /**< the broker answered with a reason code of 0x80 or more */
    TERN_OUTCOME_NOT_SENT = 4,  /**< never left: publishing it again cannot duplicate it */
    TERN_OUTCOME_UNKNOWN = 5    /**< it may or may not have arrived */
} tern_outcome;

/** Why an outcome is NOT_SENT or UNKNOWN. */
typedef enum tern_cause {
    TERN_CAUSE_NONE = 0,            /**< DELIVERED, SENT, REFUSED */
    TERN_CAUSE_EXPIRED = 1,         /**< its message expiry interval passed before it was sent */
    TERN_CAUSE_DROPPED = 2,         /**< dropped by the outbox's policy */
    TERN_CAUSE_TOO_LARGE = 3,       /**< beyond the server's Maximum Packet Size */
    TERN_CAUSE_UNSUPPORTED = 4,     /**< the server or the protocol version cannot carry it */
    TERN_CAUSE_STORE = 5,           /**< the durable store failed (there is none yet) */
    TERN_CAUSE_CANCELLED = 6,       /**< cancelled by the application (no call does yet) */
    TERN_CAUSE_CLOSED = 7,          /**< the client was closed */
    TERN_CAUSE_CONNECTION_LOST = 8, /**< the connection broke in the middle of it */
    TERN_CAUSE_SESSION_LOST = 9     /**< the broker forgot the session that it was part of */
} tern_cause;

/** Name of an outcome ("DELIVERED"), static; never NULL. Thread: any. Blocks: no. */
TERN_API const char *tern_outcome_name(tern_outcome outcome);
/** Name of a cause ("connection lost"), static; never NULL. Thread: any. Blocks: no. */
TERN_API const char *tern_cause_name(tern_cause cause);

/** Version of the library that runs, "major.minor.patch", static. Thread: any. Blocks: no. */
TERN_API const char *tern_version_string(void);

TERN_END_DECLS

#endif
