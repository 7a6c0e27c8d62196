"""Reading what C lends to a callback, before it takes it back.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
from typing import Any, Optional

from ._ffi import c, held
from .message import Acknowledger, Message, Properties


class _Nobody:
    """Whom messages belong to that came through no connection."""

    def ack(self, number: int) -> None:
        """Does nothing: they need none."""


NOBODY = _Nobody()

# Called for each message, so at the lowest cost.
_qos = held.untyped("tern_message_qos")
_retained = held.untyped("tern_message_retained")
_duplicate = held.untyped("tern_message_duplicate")
_payload = held.untyped("tern_message_payload")
_payload_length = held.untyped("tern_message_payload_length")
_topic = held.untyped("tern_message_topic")
_ack_number = held.untyped("tern_message_ack_number")
_mark = held.untyped("tern_message_mark")
_format = held.untyped("tern_message_payload_format")
_expiry = held.untyped("tern_message_expiry")
_property_count = held.untyped("tern_message_user_property_count")
_identifier_count = held.untyped("tern_message_subscription_id_count")


def _addresses(name: str) -> Any:
    """A function whose result is no text with a NUL behind it."""
    function = held.untyped(name)
    function.restype = ctypes.c_void_p
    return function


_content_type = _addresses("tern_message_content_type")
_response_topic = _addresses("tern_message_response_topic")
_correlation_data = _addresses("tern_message_correlation_data")


def _bytes(address: Optional[int], length: ctypes.c_size_t) -> Optional[bytes]:
    return None if address is None else ctypes.string_at(address, length.value)


def _text(address: Optional[int], length: ctypes.c_size_t) -> Optional[str]:
    return None if address is None else ctypes.string_at(address, length.value).decode()


def _user_properties(message: Any) -> list[tuple[str, str]]:
    result = []
    for index in range(_property_count(message)):
        name, value = ctypes.c_void_p(), ctypes.c_void_p()
        sizes = ctypes.c_size_t(), ctypes.c_size_t()
        held.tern_message_user_property(
            message,
            index,
            ctypes.byref(name),
            ctypes.byref(sizes[0]),
            ctypes.byref(value),
            ctypes.byref(sizes[1]),
        )
        pair = [
            ctypes.string_at(one.value or 0, size.value).decode() if size.value else ""
            for one, size in zip((name, value), sizes)
        ]
        result.append((pair[0], pair[1]))
    return result


def read_properties(message: ctypes.c_void_p) -> Properties:
    """The properties of a message, copied."""
    form, expiry, length = _format(message), ctypes.c_uint32(), ctypes.c_size_t()
    has_expiry = _expiry(message, ctypes.byref(expiry)) == 1
    ids, size = range(_identifier_count(message)), ctypes.byref(length)
    return Properties(
        payload_format=None if form < 0 else form,
        expiry=expiry.value if has_expiry else None,
        content_type=_text(_content_type(message, size), length),
        response_topic=_text(_response_topic(message, size), length),
        correlation_data=_bytes(_correlation_data(message, size), length),
        user_properties=_user_properties(message),
        subscription_ids=[held.tern_message_subscription_id(message, index) for index in ids],
    )


def read_message(message: Any, through: Acknowledger = NOBODY) -> Message:
    """A message that C lends, copied; `through` acknowledges it."""
    pointer = message if isinstance(message, ctypes.c_void_p) else ctypes.c_void_p(message)
    flags = _qos(pointer) | _retained(pointer) << 2 | _duplicate(pointer) << 3
    result = Message(
        ctypes.string_at(_payload(pointer), _payload_length(pointer)),
        _topic(pointer),
        c.TERN_FEED_MESSAGE | flags << 8,
        _ack_number(pointer),
        _mark(pointer),
        b"",
        through,
    )
    result._properties = read_properties(pointer)
    return result
