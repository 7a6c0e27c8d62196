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


def _bytes(function: Any, message: Any) -> Optional[bytes]:
    length = ctypes.c_size_t()
    address = function(message, ctypes.byref(length))
    return None if address is None else ctypes.string_at(address, length.value)


def _text(function: Any, message: Any) -> Optional[str]:
    value = _bytes(function, message)
    return None if value is None else value.decode()


def _user_properties(message: Any) -> list[tuple[str, str]]:
    result = []
    for index in range(held.tern_message_user_property_count(message)):
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


def read_properties(message: Any) -> Properties:
    """The properties of a message, copied."""
    form = held.tern_message_payload_format(message)
    expiry = ctypes.c_uint32()
    has_expiry = held.tern_message_expiry(message, ctypes.byref(expiry)) == 1
    ids = range(held.tern_message_subscription_id_count(message))
    return Properties(
        payload_format=None if form < 0 else form,
        expiry=expiry.value if has_expiry else None,
        content_type=_text(held.tern_message_content_type, message),
        response_topic=_text(held.tern_message_response_topic, message),
        correlation_data=_bytes(held.tern_message_correlation_data, message),
        user_properties=_user_properties(message),
        subscription_ids=[held.tern_message_subscription_id(message, index) for index in ids],
    )


def read_message(message: Any, through: Acknowledger = NOBODY) -> Message:
    """A message that C lends, copied; `through` acknowledges it."""
    flags = (
        held.tern_message_qos(message)
        | (0x4 if held.tern_message_retained(message) == 1 else 0)
        | (0x8 if held.tern_message_duplicate(message) == 1 else 0)
    )
    size = held.tern_message_payload_length(message)
    result = Message(
        ctypes.string_at(held.tern_message_payload(message), size),
        held.tern_message_topic(message),
        c.TERN_FEED_MESSAGE | flags << 8,
        held.tern_message_ack_number(message),
        held.tern_message_mark(message),
        b"",
        through,
    )
    result._properties = read_properties(message)
    return result
