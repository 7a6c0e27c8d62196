"""Messages: those received, and the properties that MQTT 5 gives them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Optional, Protocol, Union

from .enums import CompressionResult

Payload = Union[str, bytes, bytearray, memoryview]

_ENTRY = struct.Struct("=BI")
_NUMBER = struct.Struct("=I")


class Acknowledger(Protocol):
    """Who a message came through."""

    def ack(self, number: int) -> None:
        """Acknowledges the message of this number; 0 stands for one that needs none."""


@dataclass
class Properties:
    """Properties of a message (MQTT 5 section 3.3.2.3); what is None or empty is absent."""

    payload_format: Optional[int] = None
    """1: the payload is UTF-8 text."""
    expiry: Optional[int] = None
    """Seconds until the message is of no use any more."""
    content_type: Optional[str] = None
    response_topic: Optional[str] = None
    correlation_data: Optional[bytes] = None
    user_properties: list[tuple[str, str]] = field(default_factory=list)
    subscription_ids: list[int] = field(default_factory=list)
    """Of received messages: the subscriptions that brought them."""

    @classmethod
    def unpack(cls, packed: bytes) -> Properties:
        """Reads what a feed has packed (tern/feed.h)."""
        result = cls()
        place, name = 0, None
        while place < len(packed):
            identifier, length = _ENTRY.unpack_from(packed, place)
            place += _ENTRY.size
            value = packed[place : place + length]
            place += length
            if identifier == 0x26 and name is None:
                name = value.decode()
            elif identifier == 0x26 and name is not None:
                result.user_properties.append((name, value.decode()))
                name = None
            else:
                result._take(identifier, value)
        return result

    def _take(self, identifier: int, value: bytes) -> None:
        if identifier == 0x01:
            self.payload_format = _NUMBER.unpack(value)[0]
        elif identifier == 0x02:
            self.expiry = _NUMBER.unpack(value)[0]
        elif identifier == 0x03:
            self.content_type = value.decode()
        elif identifier == 0x08:
            self.response_topic = value.decode()
        elif identifier == 0x09:
            self.correlation_data = value
        elif identifier == 0x0B:
            self.subscription_ids.append(_NUMBER.unpack(value)[0])


@dataclass
class OutgoingMessage:
    """A message to publish, for publish_unit()."""

    topic: str
    payload: Payload = b""
    qos: int = 0
    retain: bool = False
    properties: Optional[Properties] = None
    lose_properties: bool = False
    """It may go without properties, where the server speaks MQTT 3.1.1."""


class Message:
    """A received message. It may be kept as long as you like.

    Topic and properties are read when they are asked for first.
    """

    __slots__ = ("_core", "_packed", "_properties", "_topic", "_what", "mark", "number", "payload")

    def __init__(
        self,
        payload: bytes,
        topic: bytes,
        what: int,
        number: int,
        mark: int,
        packed: bytes,
        core: Acknowledger,
    ) -> None:
        self.payload = payload
        self._topic: Union[bytes, str] = topic
        self._what = what
        self.number = number
        self.mark = mark
        self._packed = packed
        self._core = core
        self._properties: Optional[Properties] = None

    @property
    def topic(self) -> str:
        """The topic name."""
        topic = self._topic
        if topic.__class__ is bytes:
            topic = self._topic = topic.decode()
        return topic  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The payload as UTF-8 text. Raises UnicodeDecodeError where it is none."""
        return self.payload.decode()

    @property
    def qos(self) -> int:
        """Quality of service, 0 to 2."""
        return self._what >> 8 & 3

    @property
    def retain(self) -> bool:
        """The broker had kept it (MQTT 5 section 3.3.1.3)."""
        return self._what & 0x400 != 0

    @property
    def duplicate(self) -> bool:
        """It may have been delivered before (MQTT 5 section 3.3.1.1)."""
        return self._what & 0x800 != 0

    @property
    def properties(self) -> Properties:
        """Its properties; all absent on 3.1.1."""
        if self._properties is None:
            self._properties = Properties.unpack(self._packed)
        return self._properties

    @property
    def compression(self) -> CompressionResult:
        """What became of its payload, for clients with compression; else CompressionResult.RAW."""
        known = self.mark <= CompressionResult.NO_MEMORY
        return CompressionResult(self.mark) if known else CompressionResult.RAW

    def ack(self) -> None:
        """Acknowledges it, for clients with ack="manual"; QoS 0 needs none.

        Raises StateError where the client acknowledges by itself, and where its connection is gone:
        the broker sends it again.
        """
        self._core.ack(self.number)

    def __repr__(self) -> str:
        kept = " retained" if self.retain else ""
        return f"<tern.Message {self.topic!r} qos={self.qos}{kept} {len(self.payload)} bytes>"
