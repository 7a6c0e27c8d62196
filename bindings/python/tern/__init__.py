"""Tern: an MQTT 3.1.1 and 5 client. See docs/python.md.

SPDX-License-Identifier: Apache-2.0
"""

from ._ffi import version as library_version
from ._declarations import VERSION as __version__
from .client import Client, Publication
from .enums import (
    Cause, EventKind, Jitter, Limit, LogLevel, Outcome, OutboxPolicy, Session, Step, TLSVerification, TLSVersion, Version,
)
from .errors import (
    CancelledError, ClosedError, NetworkError, OutboxFullError, ProtocolError, RefusedError, ResourceError, StateError,
    TernError, TimeoutError, TLSError, UsageError, WouldDeadlockError,
)
from .event import Certificate, Event
from .message import Message, Properties
from .options import TLS, Options, Will
from .outcomes import Delivery
from .requests import Subscribe

__all__ = [
    "TLS", "CancelledError", "Cause", "Certificate", "Client", "ClosedError", "Delivery", "Event", "EventKind", "Jitter",
    "Limit", "LogLevel", "Message", "NetworkError", "Options", "OutboxFullError", "OutboxPolicy", "Outcome", "Properties",
    "ProtocolError", "Publication", "RefusedError", "ResourceError", "Session", "StateError", "Step", "Subscribe",
    "TLSError", "TLSVerification", "TLSVersion", "TernError", "TimeoutError", "UsageError", "Version", "Will",
    "WouldDeadlockError", "__version__", "library_version",
]
