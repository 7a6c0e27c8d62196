"""Exceptions: one class for each kind of trouble, made from Tern's table of errors.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import builtins
from typing import Dict, List, Optional, Sequence, Type

from ._declarations import ERRORS


class TernError(Exception):
    """What went wrong: Tern's code and name, and the whole story as text."""

    def __init__(self, code: int, detail: Optional[str] = None, *, reason_codes: Sequence[int] = (),
                 reason_string: Optional[str] = None, hint: Optional[str] = None) -> None:
        name, text = _TABLE.get(code, (f"TERN_E_{-code}", "unknown error"))
        super().__init__(detail or text)
        self.code = code
        self.name = name
        self.detail = detail or text
        """The step, the peer, the cause."""
        self.reason_codes: List[int] = list(reason_codes)
        """What the server answered (MQTT 5 section 2.4)."""
        self.reason_string = reason_string
        self.hint = hint
        """What to do about it, where Tern knows."""

    def __str__(self) -> str:
        text = f"{self.detail} [{self.name}]"
        return f"{text}; {self.hint}" if self.hint else text


class UsageError(TernError, ValueError):
    """The call's arguments are at fault."""


class StateError(TernError):
    """Right call, wrong moment."""


class ClosedError(StateError):
    """The client is closing or closed."""


class WouldDeadlockError(StateError):
    """Waiting here would wait for itself."""


class ResourceError(TernError):
    """Memory, descriptors or queue space ran out."""


class OutboxFullError(ResourceError):
    """The outbox is full."""


class NetworkError(TernError, ConnectionError):
    """Names, addresses, sockets, proxies."""


class TLSError(NetworkError):
    """Certificates and TLS."""


class ProtocolError(TernError):
    """The peer broke MQTT."""


class RefusedError(TernError):
    """The server said no, with a reason code."""


class TimeoutError(TernError, builtins.TimeoutError):
    """A deadline passed."""


class CancelledError(TernError):
    """The application cancelled it."""


_TABLE = {code: (f"TERN_E_{name}", text) for name, code, _, text in ERRORS}
_KINDS: Dict[str, Type[TernError]] = {
    "USAGE": UsageError, "STATE": StateError, "RESOURCE": ResourceError, "NETWORK": NetworkError, "TLS": TLSError,
    "PROTOCOL": ProtocolError, "REFUSED": RefusedError, "TIMEOUT": TimeoutError, "CANCELLED": CancelledError,
}
_OWN: Dict[str, Type[TernError]] = {
    "CLOSED": ClosedError, "WOULD_DEADLOCK": WouldDeadlockError, "OUTBOX_FULL": OutboxFullError,
}
_CLASSES = {code: _OWN.get(name, _KINDS[kind]) for name, code, kind, _ in ERRORS}


def make_error(code: int, detail: Optional[str] = None, **more: object) -> Exception:
    """The exception for one of Tern's codes. Out of memory is Python's own MemoryError."""
    if code == -1:
        return MemoryError(detail or "out of memory")
    return _CLASSES.get(code, TernError)(code, detail, **more)  # type: ignore[arg-type]
