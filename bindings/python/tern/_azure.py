"""What a hub of Azure tells, and how it gets to its device.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ._borrowed import read_message
from ._check import c_text, milliseconds, refuse, several
from ._core import TokenResult, _read_token
from ._ffi import callbacks, held
from ._foreign import find, log_event
from .enums import Cause, Outcome
from .errors import make_error
from .event import read_event
from .outcomes import GOOD
from .requests import outcome_error

if TYPE_CHECKING:
    from ._device import DeviceBase

Text = Union[Mapping[str, Optional[str]], Iterable[tuple[str, Optional[str]]]]

# ---- what is told ----


@dataclass(frozen=True)
class Response:
    """What the service answered to a twin request."""

    error: int
    """0 where it did as it was asked, else a TERN_E_* code."""
    status: int
    """The service's; 0 without an answer."""
    version: int
    """Of the reported properties, after a report; else 0."""
    payload: bytes

    def json(self) -> Any:
        """The payload, read as JSON."""
        return json.loads(self.payload)

    def check(self) -> None:
        """Raises where the service did not do as it was asked."""
        if self.error != 0:
            status = f"the service's status is {self.status}" if self.status else None
            raise make_error(self.error, status)


@dataclass(frozen=True)
class Method:
    """A direct method that the service calls."""

    name: str
    request_id: str
    payload: bytes

    def json(self) -> Any:
        """The payload, read as JSON."""
        return json.loads(self.payload)


# ---- tokens ----

_numbers = itertools.count(1)
_endings: dict[int, Ending] = {}


class Ending:
    """The end of an operation, told by a token of C's."""

    def __init__(self, gate: Any) -> None:
        self.token = ctypes.c_void_p()
        self.gate = gate
        self.key = (int(Outcome.PENDING), int(Cause.NONE), -1)
        self.message_id = 0

    def watch(self) -> None:
        """The token was made: from now on its end is told here."""
        number = next(_numbers)
        _endings[number] = self
        rc = held.tern_token_set_callback(self.token, _on_token, number)
        if rc != 0:  # it has ended, with its client
            del _endings[number]
            self.end(self.token)
        held.tern_token_unref(self.token)

    def end(self, token: Any) -> None:
        """The token has ended."""
        reason = held.tern_token_reason_code(token, 0)
        outcome, cause = held.tern_token_outcome(token), held.tern_token_cause(token)
        self.key = (outcome, cause, reason)
        self.message_id = held.tern_token_message_id(token)
        result: TokenResult = _read_token(token)
        self.gate.open(result)


@callbacks.tern_token_callback  # type: ignore[untyped-decorator]
def _on_token(token: int, number: int) -> None:
    ending = _endings.pop(number, None)
    if ending is not None:
        ending.end(token)


class TelemetryBase:
    """A message that was sent: what became of it can be asked."""

    def __init__(self, device: Any, ending: Ending) -> None:
        self._device = device
        self.ending = ending

    @property
    def outcome(self) -> Outcome:
        """What became of it so far; Outcome.PENDING where nothing did yet."""
        return Outcome(self.ending.key[0])

    @property
    def cause(self) -> Cause:
        """Why the outcome is NOT_SENT or UNKNOWN."""
        return Cause(self.ending.key[1])

    @property
    def done(self) -> bool:
        """Whether it has its outcome."""
        return bool(self.ending.gate.opened)

    def _check(self) -> None:
        """Raises for an outcome that is not a good one."""
        if self.ending.key[0] not in GOOD:
            raise outcome_error(self.ending.message_id, self.ending.key)

    def __repr__(self) -> str:
        kind = f"{type(self).__module__}.{type(self).__name__}"
        return f"<{kind} {self.outcome.name}>"


# ---- requests ----

_expected: dict[int, tuple[weakref.ref[DeviceBase], Callable[[Response], Any]]] = {}


def expect(device: DeviceBase, callback: Callable[[Response], Any]) -> int:
    """A number for a request, whose answer goes to the callback."""
    number = next(_numbers)
    _expected[number] = (weakref.ref(device), callback)
    return number


def forget(number: int) -> None:
    """There will be no answer."""
    _expected.pop(number, None)


def timeout_ms(timeout: float) -> int:
    """A request's time; at least 1 ms."""
    return max(1, milliseconds("timeout", timeout))


def _payload(function: str, it: int) -> bytes:
    size = getattr(held, f"{function}_length")(it)
    return ctypes.string_at(getattr(held, function)(it), size) if size else b""


@callbacks.tern_azure_response_callback  # type: ignore[untyped-decorator]
def on_response(_hub: int, response: int, number: int) -> None:
    reference, callback = _expected.pop(number, (None, None))
    if reference is None or callback is None:
        return
    told = Response(
        held.tern_azure_response_error(response),
        held.tern_azure_response_status(response),
        held.tern_azure_response_version(response),
        _payload("tern_azure_response_payload", response),
    )
    device = reference()
    if device is not None:
        device._call(callback, told)
    else:
        callback(told)


# ---- what comes from the cloud ----


@callbacks.tern_azure_event_callback  # type: ignore[untyped-decorator]
def on_event(_hub: int, event: int, number: int) -> None:
    device = find(number)
    if device is not None:
        told = read_event(event)
        log_event(told)
        device._call(device.on_event, told)


def _read_properties(bag: int) -> list[tuple[str, Optional[str]]]:
    result = []
    for index in range(held.tern_azure_properties_count(bag)):
        name = held.tern_azure_properties_name(bag, index).decode(errors="replace")
        value = held.tern_azure_properties_value(bag, index)
        result.append((name, None if value is None else value.decode(errors="replace")))
    return result


@callbacks.tern_azure_message_callback  # type: ignore[untyped-decorator]
def on_message(_hub: int, message: int, bag: int, number: int) -> None:
    device = find(number)
    handler = device._handlers.get("message") if device is not None else None
    if handler is not None:
        told = read_message(message, device._through)
        device._tell_message(handler, told, _read_properties(bag))


@callbacks.tern_azure_desired_callback  # type: ignore[untyped-decorator]
def on_desired(_hub: int, version: int, payload: int, length: int, number: int) -> None:
    device = find(number)
    handler = device._handlers.get("desired") if device is not None else None
    if handler is not None:
        device._tell_desired(handler, version, ctypes.string_at(payload, length) if length else b"")


@callbacks.tern_azure_method_callback  # type: ignore[untyped-decorator]
def on_method(_hub: int, method: int, number: int) -> None:
    device = find(number)
    handler = device._handlers.get("method") if device is not None else None
    if handler is not None:
        told = Method(
            held.tern_azure_method_name(method).decode(errors="replace"),
            held.tern_azure_method_request_id(method).decode(errors="replace"),
            _payload("tern_azure_method_payload", method),
        )
        device._tell_method(handler, told)


# ---- properties ----


@contextlib.contextmanager
def properties_handle(
    properties: Text, system: Mapping[str, Optional[str]]
) -> Iterator[ctypes.c_void_p]:
    """Properties of a message as C takes them, freed afterwards."""
    if isinstance(properties, (str, bytes)) or not isinstance(properties, Iterable):
        refuse("properties", "pairs of str are needed", properties)
    bag = ctypes.c_void_p()
    rc = held.tern_azure_properties_new(ctypes.byref(bag))
    if rc != 0:
        raise make_error(rc)
    try:
        pairs = properties.items() if isinstance(properties, Mapping) else properties
        for pair in pairs:
            name, value = several("properties", pair, 2)
            texts = c_text("properties", name), c_text("properties", value)
            if texts[0] is None:
                raise TypeError("properties: a name is needed, not None")
            _added(held.tern_azure_properties_add(bag, *texts), f"properties: {name!r}")
        for name, value in system.items():
            if value is not None:
                add = getattr(held, f"tern_azure_properties_add_{name}")
                _added(add(bag, c_text(name, value)), name)
        yield bag
    finally:
        held.tern_azure_properties_free(bag)


def _added(rc: int, what: str) -> None:
    if rc != 0:
        raise make_error(rc, f"{what}: {held.tern_strerror(rc).decode()}")
