"""Exceptions: one for each class of Tern's errors, made from the table that the C headers have.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import builtins
import ctypes
from collections.abc import Sequence
from typing import Any, Optional

from ._declarations import ERRORS
from ._ffi import c, held, text
from .enums import ErrorClass, Outcome, Step


class TernError(Exception):
    """Something failed: what, with whom, why, and what to do about it where Tern knows.

    The class of the exception is that of the error, so `except tern.NetworkError` takes whatever is
    wrong with the network. Two number spaces never mix: `code` is Tern's own, negative; those of
    `reason_codes` are the server's, 0 to 255.
    """

    outcome: Optional[Outcome] = None
    """Of a message that failed: what became of it."""
    accepted: Sequence[int] = ()
    """Of publish_many(): the ids of the messages that were accepted before the one that failed."""

    def __init__(
        self,
        code: int,
        detail: Optional[str] = None,
        *,
        reason_codes: Sequence[int] = (),
        reason_string: Optional[str] = None,
        hint: Optional[str] = None,
        step: Step = Step.NONE,
        os_error: int = 0,
        peer: Optional[str] = None,
    ) -> None:
        self.code = code
        """Tern's code, a TERN_E_* constant."""
        self.name: str = _name_of(code)
        """The code's name, "TERN_E_TIMEOUT"."""
        self.error_class = ErrorClass(held.tern_error_class_of(code))
        """The kind of trouble."""
        self.detail = detail or _text_of(code)
        """The story in a line: the step, the peer, the cause."""
        self.reason_codes = list(reason_codes)
        """What the server answered (MQTT 5 section 2.4): of a subscribe one for each filter."""
        self.reason_string = reason_string
        """What the server said in words."""
        self.hint = hint
        """What to do about it, in a sentence."""
        self.step = step
        """The step of connecting that failed."""
        self.os_error = os_error
        """errno of the system call that failed; 0 where none did."""
        self.peer = peer
        """The other end of the socket."""
        super().__init__(self.detail)

    @property
    def reason_code(self) -> Optional[int]:
        """The server's first reason code of 0x80 or more, else its first; None without any."""
        refused = [code for code in self.reason_codes if code >= 0x80]
        return next(iter(refused + self.reason_codes), None)

    def __str__(self) -> str:
        told = f"{self.detail} [{self.name}]"
        return f"{told}; {self.hint}" if self.hint else told

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (type(self), self.__dict__.copy())


class UsageError(TernError, ValueError):
    """The call's arguments are at fault."""


class UnsupportedError(UsageError):
    """This build, this protocol version or this server cannot do it."""


class StateError(TernError, RuntimeError):
    """The right call at the wrong moment."""


class ClosedError(StateError):
    """The client is closing or closed."""


class WouldDeadlockError(StateError):
    """Waiting here would wait for itself."""


class ResourceError(TernError):
    """Memory, descriptors or queue space ran out."""


class OutOfMemoryError(ResourceError, MemoryError):
    """Memory ran out, and nothing was done."""


class OutboxFullError(ResourceError):
    """The outbox is full, and its policy is to reject."""


class NetworkError(TernError, ConnectionError):
    """Names, addresses, sockets, proxies: it may pass."""


class TLSError(NetworkError):
    """Certificates and TLS."""


class ProtocolError(TernError):
    """The peer broke MQTT."""


class RefusedError(TernError):
    """The server said no; `reason_code` has its reason."""


class TimeoutError(TernError, builtins.TimeoutError):
    """A deadline passed."""


class CancelledError(TernError):
    """The application ended what it had asked for."""


_BY_CLASS: dict[str, type[TernError]] = {
    "USAGE": UsageError,
    "STATE": StateError,
    "RESOURCE": ResourceError,
    "NETWORK": NetworkError,
    "TLS": TLSError,
    "PROTOCOL": ProtocolError,
    "REFUSED": RefusedError,
    "TIMEOUT": TimeoutError,
    "CANCELLED": CancelledError,
}
# Errors that programs tell from the others of their class.
_BY_NAME: dict[str, type[TernError]] = {
    "UNSUPPORTED": UnsupportedError,
    "CLOSED": ClosedError,
    "WOULD_DEADLOCK": WouldDeadlockError,
    "NOMEM": OutOfMemoryError,
    "OUTBOX_FULL": OutboxFullError,
}
_TEXTS = {code: (f"TERN_E_{name}", words) for name, code, _, words in ERRORS}
_EXCEPTIONS = {code: _BY_NAME.get(name, _BY_CLASS[cls]) for name, code, cls, _ in ERRORS}


def _name_of(code: int) -> str:
    known = _TEXTS.get(code)
    return known[0] if known is not None else text(held.tern_error_name(code)) or ""


def _text_of(code: int) -> str:
    known = _TEXTS.get(code)
    return known[1] if known is not None else text(held.tern_strerror(code)) or ""


def _revived(cls: type[TernError], state: dict[str, Any]) -> TernError:
    """Makes an exception again that was pickled, in another process for instance."""
    error = cls(state["code"], state["detail"])
    error.__dict__.update(state)
    return error


def make_error(code: int, detail: Optional[str] = None, **more: Any) -> TernError:
    """The exception for one of Tern's codes; `more` is what TernError takes by name."""
    return _EXCEPTIONS.get(code, TernError)(code, detail, **more)


def check(rc: int, client: Any = None) -> int:
    """Gives back what a C function returned, or raises what it stands for where it is negative.

    With a client's handle the exception has the client's own words for it. Thread: any.
    """
    if rc >= 0:
        return rc
    raise make_error(rc, error_text(rc, client))


def error_text(code: int, client: Any) -> Optional[str]:
    """What a client says about an error, if that is the last one that it knows of."""
    if not client:
        return None
    buffer = ctypes.create_string_buffer(1024)
    if held.tern_client_copy_error_text(client, buffer, len(buffer)) != code:
        return None
    return buffer.value.decode("utf-8", "replace") or None


def error_of_token(token: Any) -> Optional[TernError]:
    """Why a token failed, with the server's reasons; None where it has not, or not yet."""
    code = held.tern_token_error(token)
    if code in (0, c.TERN_E_AGAIN):
        return None
    count = held.tern_token_reason_count(token)
    return make_error(
        code,
        text(held.tern_token_error_text(token)),
        reason_codes=[held.tern_token_reason_code(token, index) for index in range(count)],
        reason_string=text(held.tern_token_reason_string(token)),
    )


def error_of_event(event: Any) -> Optional[TernError]:
    """Why an event's attempt or connection failed; None where nothing failed.

    Thread: that of the event's callback, while it runs.
    """
    code = held.tern_event_error(event)
    if code == 0:
        return None
    reason = held.tern_event_reason_code(event)
    return make_error(
        code,
        text(held.tern_event_text(event)),
        reason_codes=[reason] if reason >= 0 else [],
        reason_string=text(held.tern_event_reason_string(event)),
        hint=text(held.tern_event_hint(event)),
        step=Step(held.tern_event_step(event)),
        os_error=held.tern_event_os_error(event),
        peer=text(held.tern_event_peer(event)),
    )
