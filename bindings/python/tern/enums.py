"""Tern's enumerations.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from enum import IntEnum


class Version(IntEnum):
    """Protocol version of a connection."""

    AUTO = 0
    V311 = 4
    V5 = 5


class Session(IntEnum):
    """What a client does with the broker's session (MQTT 5 sections 3.1.2.4, 4.1)."""

    PROCESS = 0
    """MQTT 5 starts clean once in a client's life, then resumes; 3.1.1 always starts clean."""
    CLEAN = 1
    PERSISTENT = 2
    """Resumes always, and is kept after closing; needs a client id."""


class Jitter(IntEnum):
    """Which random spread is put on a reconnect delay."""

    PROPORTIONAL = 0
    NONE = 1
    FULL = 2
    DECORRELATED = 3


class OutboxPolicy(IntEnum):
    """What publishing does when the outbox is full."""

    REJECT = 0
    """OutboxFullError."""
    BLOCK = 1
    DROP_OLDEST = 2
    DROP_NEWEST = 3


class Outcome(IntEnum):
    """What became of a published message."""

    PENDING = 0
    DELIVERED = 1
    SENT = 2
    REFUSED = 3
    NOT_SENT = 4
    """It never left: publishing it again cannot duplicate it."""
    UNKNOWN = 5


class Cause(IntEnum):
    """Why an outcome is NOT_SENT or UNKNOWN."""

    NONE = 0
    EXPIRED = 1
    DROPPED = 2
    TOO_LARGE = 3
    UNSUPPORTED = 4
    STORE = 5
    CANCELLED = 6
    CLOSED = 7
    CONNECTION_LOST = 8
    SESSION_LOST = 9


class EventKind(IntEnum):
    """Kinds of lifecycle events."""

    CONNECTING = 1
    CONNECTED = 2
    CONNECT_FAILED = 3
    DISCONNECTED = 4
    STOPPED = 5
    UNHANDLED = 6
    PAUSED = 7
    RESUMED = 8


class Step(IntEnum):
    """Which step of connecting or of a connection failed."""

    NONE = 0
    RESOLVE = 1
    CONNECT = 2
    PROXY = 3
    TLS = 4
    WEBSOCKET = 5
    MQTT = 6
    SESSION = 7


class Limit(IntEnum):
    """What client and server agreed on (MQTT 5 section 3.2.2.3)."""

    KEEP_ALIVE = 1
    SESSION_EXPIRY = 2
    INFLIGHT_MAXIMUM = 3
    MAXIMUM_PACKET_SIZE = 4
    TOPIC_ALIAS_MAXIMUM = 5
    MAXIMUM_QOS = 6
    RETAIN = 7
    WILDCARD_SUBSCRIPTION = 8
    SUBSCRIPTION_IDENTIFIER = 9
    SHARED_SUBSCRIPTION = 10


class LogLevel(IntEnum):
    """Levels of log records, most severe first."""

    NONE = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    DEBUG = 4
    TRACE = 5


class TLSVersion(IntEnum):
    """Oldest version of TLS that is accepted."""

    V1_2 = 12
    V1_3 = 13


class TLSVerification(IntEnum):
    """What is verified of the server's certificate."""

    FULL = 0
    CHAIN = 1
    """The chain alone: any server with a certificate of that authority is taken."""
    NOTHING = 2
    """Whoever is in between reads and writes all."""


ENUMS = {
    "tern_version": (Version, "TERN_VERSION_"), "tern_session": (Session, "TERN_SESSION_"),
    "tern_jitter": (Jitter, "TERN_JITTER_"), "tern_outbox_policy": (OutboxPolicy, "TERN_OUTBOX_"),
    "tern_outcome": (Outcome, "TERN_OUTCOME_"), "tern_cause": (Cause, "TERN_CAUSE_"),
    "tern_event_kind": (EventKind, "TERN_EVENT_"), "tern_step": (Step, "TERN_STEP_"), "tern_limit": (Limit, "TERN_LIMIT_"),
    "tern_log_level": (LogLevel, "TERN_LOG_"), "tern_tls_version": (TLSVersion, "TERN_TLS_"),
    "tern_tls_verification": (TLSVerification, "TERN_TLS_VERIFY_"),
}
"""Which C enumeration each stands for, and what its names start with there: a test compares them."""
