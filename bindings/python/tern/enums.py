"""Tern's enumerations. Each member is also its number in C, and compares equal to it.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from ._ffi import c


class QoS(IntEnum):
    """How surely a message arrives (MQTT 5 section 4.3); a plain 0, 1 or 2 does as well."""

    AT_MOST_ONCE = c.TERN_QOS_0
    AT_LEAST_ONCE = c.TERN_QOS_1
    EXACTLY_ONCE = c.TERN_QOS_2


class PublishFlag(IntFlag):
    """What goes with a publish beside its QoS."""

    RETAIN = c.TERN_RETAIN
    """The broker keeps it for later subscribers."""
    LOSE_PROPERTIES = c.TERN_LOSE_PROPERTIES
    """On a 3.1.1 connection it goes out without properties, instead of Cause.UNSUPPORTED."""
    COMPRESS = c.TERN_COMPRESS
    """It is compressed whatever the rules say of its topic."""
    UNCOMPRESSED = c.TERN_UNCOMPRESSED
    """It is not compressed."""


class SubscribeFlag(IntFlag):
    """What goes with a subscription beside its QoS; MQTT 5 only (section 3.8.3.1)."""

    NO_LOCAL = c.TERN_NO_LOCAL
    """Not what this client itself publishes."""
    RETAIN_AS_PUBLISHED = c.TERN_RETAIN_AS_PUBLISHED
    """The RETAIN flag stays as the publisher set it."""
    RETAINED_IF_NEW = c.TERN_RETAINED_IF_NEW
    """Retained messages only where the subscription is new."""
    RETAINED_NEVER = c.TERN_RETAINED_NEVER
    """No retained messages at subscribing."""


class Version(IntEnum):
    """Protocol version of a connection."""

    AUTO = c.TERN_VERSION_AUTO
    """5, and 3.1.1 where the server does not speak 5."""
    V311 = c.TERN_VERSION_311
    V5 = c.TERN_VERSION_5


class Session(IntEnum):
    """What a client does with the broker's session (MQTT 5 sections 3.1.2.4, 4.1)."""

    PROCESS = c.TERN_SESSION_PROCESS
    """MQTT 5 starts clean once in a client's life, then resumes; 3.1.1 always starts clean."""
    CLEAN = c.TERN_SESSION_CLEAN
    """Every connection starts clean and ends its session."""
    PERSISTENT = c.TERN_SESSION_PERSISTENT
    """Resumes always, and is kept after closing; needs a client id."""


class Jitter(IntEnum):
    """Which random spread is put on a reconnect delay."""

    PROPORTIONAL = c.TERN_JITTER_PROPORTIONAL
    """The delay +- 25 %."""
    NONE = c.TERN_JITTER_NONE
    FULL = c.TERN_JITTER_FULL
    """Anywhere up to the delay."""
    DECORRELATED = c.TERN_JITTER_DECORRELATED
    """Anywhere between the base and three times the last wait."""


class OutboxPolicy(IntEnum):
    """What publishing does when the outbox is full."""

    REJECT = c.TERN_OUTBOX_REJECT
    """Raises OutboxFullError."""
    BLOCK = c.TERN_OUTBOX_BLOCK
    """Waits for room, up to a deadline."""
    DROP_OLDEST = c.TERN_OUTBOX_DROP_OLDEST
    """Drops the oldest that were never sent: their cause is Cause.DROPPED."""
    DROP_NEWEST = c.TERN_OUTBOX_DROP_NEWEST
    """Drops the message itself where there is no room: its cause is Cause.DROPPED."""


class Dispatch(IntEnum):
    """Who runs a client's callbacks."""

    THREAD = c.TERN_DISPATCH_THREAD
    MANUAL = c.TERN_DISPATCH_MANUAL


class Ack(IntEnum):
    """When received messages of QoS 1 and 2 are acknowledged."""

    AUTO = c.TERN_ACK_AUTO
    """When the message's callbacks have returned."""
    MANUAL = c.TERN_ACK_MANUAL
    """When the application says so."""


class Outcome(IntEnum):
    """What became of a published message; exactly one final outcome each."""

    PENDING = c.TERN_OUTCOME_PENDING
    DELIVERED = c.TERN_OUTCOME_DELIVERED
    """QoS 1 or 2, completed by the broker."""
    SENT = c.TERN_OUTCOME_SENT
    """QoS 0, handed to the operating system whole."""
    REFUSED = c.TERN_OUTCOME_REFUSED
    """The broker answered with a reason code of 0x80 or more."""
    NOT_SENT = c.TERN_OUTCOME_NOT_SENT
    """It never left: publishing it again cannot duplicate it."""
    UNKNOWN = c.TERN_OUTCOME_UNKNOWN
    """It may or may not have arrived."""


class Cause(IntEnum):
    """Why an outcome is NOT_SENT or UNKNOWN."""

    NONE = c.TERN_CAUSE_NONE
    EXPIRED = c.TERN_CAUSE_EXPIRED
    """Its message expiry interval passed before it was sent."""
    DROPPED = c.TERN_CAUSE_DROPPED
    """Dropped by the outbox's policy."""
    TOO_LARGE = c.TERN_CAUSE_TOO_LARGE
    """Beyond the server's Maximum Packet Size."""
    UNSUPPORTED = c.TERN_CAUSE_UNSUPPORTED
    """The server or the protocol version cannot carry it."""
    STORE = c.TERN_CAUSE_STORE
    CANCELLED = c.TERN_CAUSE_CANCELLED
    CLOSED = c.TERN_CAUSE_CLOSED
    """The client was closed."""
    CONNECTION_LOST = c.TERN_CAUSE_CONNECTION_LOST
    """The connection broke in the middle of it."""
    SESSION_LOST = c.TERN_CAUSE_SESSION_LOST
    """The broker forgot the session that it was part of."""


class ErrorClass(IntEnum):
    """What kind of trouble an error is; each has an exception in tern.errors."""

    NONE = c.TERN_CLASS_NONE
    USAGE = c.TERN_CLASS_USAGE
    STATE = c.TERN_CLASS_STATE
    RESOURCE = c.TERN_CLASS_RESOURCE
    NETWORK = c.TERN_CLASS_NETWORK
    TLS = c.TERN_CLASS_TLS
    PROTOCOL = c.TERN_CLASS_PROTOCOL
    REFUSED = c.TERN_CLASS_REFUSED
    TIMEOUT = c.TERN_CLASS_TIMEOUT
    CANCELLED = c.TERN_CLASS_CANCELLED


class EventKind(IntEnum):
    """Kinds of lifecycle events."""

    CONNECTING = c.TERN_EVENT_CONNECTING
    CONNECTED = c.TERN_EVENT_CONNECTED
    CONNECT_FAILED = c.TERN_EVENT_CONNECT_FAILED
    """The attempt failed; a retry follows unless STOPPED comes next."""
    DISCONNECTED = c.TERN_EVENT_DISCONNECTED
    """The connection ended; a retry follows unless STOPPED comes next."""
    STOPPED = c.TERN_EVENT_STOPPED
    """There are no further attempts; the outbox is kept."""
    UNHANDLED = c.TERN_EVENT_UNHANDLED
    """A message came that no handler takes."""
    PAUSED = c.TERN_EVENT_PAUSED
    """Reading stopped: received messages reached the inbound limit."""
    RESUMED = c.TERN_EVENT_RESUMED


class Step(IntEnum):
    """Which step of connecting or of a connection failed."""

    NONE = c.TERN_STEP_NONE
    RESOLVE = c.TERN_STEP_RESOLVE
    CONNECT = c.TERN_STEP_CONNECT
    PROXY = c.TERN_STEP_PROXY
    TLS = c.TERN_STEP_TLS
    WEBSOCKET = c.TERN_STEP_WEBSOCKET
    MQTT = c.TERN_STEP_MQTT
    SESSION = c.TERN_STEP_SESSION


class Limit(IntEnum):
    """What client and server agreed on at CONNACK (MQTT 5 section 3.2.2.3)."""

    KEEP_ALIVE = c.TERN_LIMIT_KEEP_ALIVE
    """Seconds."""
    SESSION_EXPIRY = c.TERN_LIMIT_SESSION_EXPIRY
    """Seconds; 0xFFFFFFFF is for ever."""
    INFLIGHT_MAXIMUM = c.TERN_LIMIT_INFLIGHT_MAXIMUM
    """Messages of QoS 1 and 2 that may be open."""
    MAXIMUM_PACKET_SIZE = c.TERN_LIMIT_MAXIMUM_PACKET_SIZE
    """Bytes that the server takes; 0xFFFFFFFF is any."""
    TOPIC_ALIAS_MAXIMUM = c.TERN_LIMIT_TOPIC_ALIAS_MAXIMUM
    MAXIMUM_QOS = c.TERN_LIMIT_MAXIMUM_QOS
    RETAIN = c.TERN_LIMIT_RETAIN
    """1 where it is possible, else 0; so are those below."""
    WILDCARD_SUBSCRIPTION = c.TERN_LIMIT_WILDCARD_SUBSCRIPTION
    SUBSCRIPTION_IDENTIFIER = c.TERN_LIMIT_SUBSCRIPTION_IDENTIFIER
    SHARED_SUBSCRIPTION = c.TERN_LIMIT_SHARED_SUBSCRIPTION


class CertificateField(IntEnum):
    """What can be read of a server's certificate."""

    SUBJECT = c.TERN_CERTIFICATE_SUBJECT
    ISSUER = c.TERN_CERTIFICATE_ISSUER
    NAMES = c.TERN_CERTIFICATE_NAMES
    NOT_BEFORE = c.TERN_CERTIFICATE_NOT_BEFORE
    NOT_AFTER = c.TERN_CERTIFICATE_NOT_AFTER


class LogLevel(IntEnum):
    """Levels of log records, most severe first."""

    NONE = c.TERN_LOG_NONE
    ERROR = c.TERN_LOG_ERROR
    WARNING = c.TERN_LOG_WARNING
    INFO = c.TERN_LOG_INFO
    DEBUG = c.TERN_LOG_DEBUG
    TRACE = c.TERN_LOG_TRACE


class TLSVersion(IntEnum):
    """The oldest version of TLS that is accepted."""

    V1_2 = c.TERN_TLS_1_2
    V1_3 = c.TERN_TLS_1_3


class TLSVerification(IntEnum):
    """What is verified of the server's certificate."""

    FULL = c.TERN_TLS_VERIFY_FULL
    """The chain of certificates and the host name."""
    CHAIN = c.TERN_TLS_VERIFY_CHAIN
    """The chain alone: any server with a certificate of that authority is taken."""
    NOTHING = c.TERN_TLS_VERIFY_NOTHING
    """Whoever is in between reads and writes all."""


class Poller(IntEnum):
    """How a loop waits for its sockets."""

    DEFAULT = c.TERN_POLLER_DEFAULT
    EPOLL = c.TERN_POLLER_EPOLL
    POLL = c.TERN_POLLER_POLL


class PoolPolicy(IntEnum):
    """Which member of a pool publishes a message."""

    BY_TOPIC = c.TERN_POOL_BY_TOPIC
    """The same one for each topic, so that a topic's order holds."""
    ROUND_ROBIN = c.TERN_POOL_ROUND_ROBIN
    LEAST_OUTSTANDING = c.TERN_POOL_LEAST_OUTSTANDING


class Encoding(IntEnum):
    """How a payload is compressed."""

    NONE = c.TERN_ENCODING_NONE
    GZIP = c.TERN_ENCODING_GZIP


class CompressionForm(IntEnum):
    """How receivers are told that a payload is compressed."""

    PROPERTY = c.TERN_COMPRESSION_PROPERTY
    """By user properties."""
    META_TOPIC = c.TERN_COMPRESSION_META_TOPIC
    """By a JSON message on `<topic>/meta` right before it."""


class Decompression(IntEnum):
    """Which received payloads are inflated."""

    AUTO = c.TERN_DECOMPRESSION_AUTO
    """Those that are said to be compressed, and those that begin as gzip members do."""
    HINTED = c.TERN_DECOMPRESSION_HINTED
    """Those that are said to be."""
    OFF = c.TERN_DECOMPRESSION_OFF


class CompressionResult(IntEnum):
    """What inflating a received payload came to."""

    RAW = c.TERN_COMPRESSION_RAW
    """It is as the publisher sent it."""
    INFLATED = c.TERN_COMPRESSION_INFLATED
    DAMAGED = c.TERN_COMPRESSION_DAMAGED
    """Delivered as it came: the gzip member is broken."""
    TOO_LARGE = c.TERN_COMPRESSION_TOO_LARGE
    """Delivered as it came: it would pass a limit."""
    MISMATCH = c.TERN_COMPRESSION_MISMATCH
    """Delivered as it came: it was said to be gzip, and is not."""
    NO_MEMORY = c.TERN_COMPRESSION_NO_MEMORY


#: Which enumeration stands for which in C, and what the names of its constants begin with there.
ENUMS: dict[str, tuple[type[IntEnum], str]] = {
    "tern_version": (Version, "TERN_VERSION_"),
    "tern_session": (Session, "TERN_SESSION_"),
    "tern_jitter": (Jitter, "TERN_JITTER_"),
    "tern_outbox_policy": (OutboxPolicy, "TERN_OUTBOX_"),
    "tern_dispatch": (Dispatch, "TERN_DISPATCH_"),
    "tern_ack": (Ack, "TERN_ACK_"),
    "tern_outcome": (Outcome, "TERN_OUTCOME_"),
    "tern_cause": (Cause, "TERN_CAUSE_"),
    "tern_error_class": (ErrorClass, "TERN_CLASS_"),
    "tern_event_kind": (EventKind, "TERN_EVENT_"),
    "tern_step": (Step, "TERN_STEP_"),
    "tern_limit": (Limit, "TERN_LIMIT_"),
    "tern_certificate_field": (CertificateField, "TERN_CERTIFICATE_"),
    "tern_log_level": (LogLevel, "TERN_LOG_"),
    "tern_tls_version": (TLSVersion, "TERN_TLS_"),
    "tern_tls_verification": (TLSVerification, "TERN_TLS_VERIFY_"),
    "tern_poller": (Poller, "TERN_POLLER_"),
    "tern_pool_policy": (PoolPolicy, "TERN_POOL_"),
    "tern_encoding": (Encoding, "TERN_ENCODING_"),
    "tern_compression_form": (CompressionForm, "TERN_COMPRESSION_"),
    "tern_decompression": (Decompression, "TERN_DECOMPRESSION_"),
    "tern_compression_result": (CompressionResult, "TERN_COMPRESSION_"),
}
