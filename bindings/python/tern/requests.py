"""Subscribing and unsubscribing, and what the results of operations come to.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from ._check import c_number, c_pairs, c_string, flags_of, refuse, set_option
from ._core import TokenResult
from ._ffi import c, held
from .enums import Cause, Outcome
from .errors import TernError, TimeoutError, make_error
from .outcomes import Key

_FLAGS = {
    "no_local": "TERN_NO_LOCAL",
    "retain_as_published": "TERN_RETAIN_AS_PUBLISHED",
    "retained_if_new": "TERN_RETAINED_IF_NEW",
    "retained_never": "TERN_RETAINED_NEVER",
}


@dataclass(frozen=True)
class Subscribe:
    """A topic filter with its options (MQTT 5 section 3.8.3.1)."""

    filter: str
    qos: int = 0
    no_local: bool = False
    """Not what this client itself publishes."""
    retain_as_published: bool = False
    retained_if_new: bool = False
    retained_never: bool = False


def subscribe_flags(qos: int, wanted: Mapping[str, bool]) -> int:
    """The flags of a subscription. Raises TypeError for a name that is none."""
    flags = flags_of(qos, False)
    for name, value in wanted.items():
        if name not in _FLAGS:
            raise TypeError(f"unknown flag: {name}")
        flags |= getattr(c, _FLAGS[name]) if value else 0
    return flags


@contextlib.contextmanager
def subscription(
    filters: Union[str, Iterable[Union[str, Subscribe]]],
    qos: int,
    identifier: int,
    user_properties: Iterable[tuple[str, str]],
    flags: Mapping[str, bool],
) -> Iterator[ctypes.c_void_p]:
    """A subscription of Tern's, freed afterwards."""
    if isinstance(filters, bytes) or not isinstance(filters, (str, Subscribe, Iterable)):
        refuse("filters", "str, tern.Subscribe, or several of them are needed", filters)
    handle = ctypes.c_void_p()
    rc = held.tern_subscription_new(ctypes.byref(handle))
    if rc != 0:
        raise make_error(rc)
    try:
        for one in [filters] if isinstance(filters, (str, Subscribe)) else filters:
            if isinstance(one, Subscribe):
                text, bits = (
                    one.filter,
                    subscribe_flags(one.qos, {name: getattr(one, name) for name in _FLAGS}),
                )
            else:
                text, bits = one, subscribe_flags(qos, flags)
            rc = held.tern_subscription_add(handle, c_string("filter", text), bits)
            if rc != 0:
                raise make_error(rc, f"filter {text!r}: {held.tern_strerror(rc).decode()}")
        number = c_number("identifier", identifier, 268435455)
        if number:
            set_option("identifier", "tern_subscription_set_identifier", handle, number)
        for pair in c_pairs("user_properties", user_properties):
            set_option("user_properties", "tern_subscription_add_user_property", handle, *pair)
        yield handle
    finally:
        held.tern_subscription_free(handle)


def failure_of(result: TokenResult) -> Exception:
    """The exception for an operation that failed."""
    codes = ", ".join(
        held.tern_reason_text(code).decode() for code in result.reason_codes if code >= 0x80
    )
    text = result.text or held.tern_strerror(result.error).decode()
    return make_error(
        result.error,
        text if not codes or codes in text else f"{text} ({codes})",
        reason_codes=result.reason_codes,
        reason_string=result.reason_string,
    )


def subscription_result(result: Optional[TokenResult], what: str) -> list[int]:
    """The server's reason codes, or an exception."""
    if result is None:
        raise TimeoutError(
            c.TERN_E_TIMEOUT, f"{what}: the server has not answered in time; the wish stays"
        )
    if result.error != 0:
        raise failure_of(result)
    return result.reason_codes


_CAUSES = {
    Cause.EXPIRED: "EXPIRED",
    Cause.TOO_LARGE: "TOO_LARGE",
    Cause.UNSUPPORTED: "UNSUPPORTED",
    Cause.CLOSED: "CLOSED",
    Cause.DROPPED: "OUTBOX_FULL",
    Cause.CANCELLED: "CANCELLED",
    Cause.CONNECTION_LOST: "CONNECTION_LOST",
    Cause.SESSION_LOST: "CONNECTION_LOST",
}


def outcome_error(message_id: int, key: Key) -> TernError:
    """The exception for an outcome that is no success."""
    outcome, cause, reason = key
    if outcome == Outcome.REFUSED:
        text = f"message {message_id} was refused: {held.tern_reason_text(reason).decode()}"
        return make_error(c.TERN_E_REFUSED, text, reason_codes=[reason])
    name = _CAUSES.get(Cause(cause), "CONNECTION_LOST")
    text = f"message {message_id}: {Outcome(outcome).name} ({held.tern_cause_name(cause).decode()})"
    error = make_error(getattr(c, f"TERN_E_{name}"), text)
    error.outcome = Outcome(outcome)
    return error


__all__: list[Any] = ["Subscribe"]
