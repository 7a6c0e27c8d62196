"""Messages of paho-mqtt: MQTTMessage, and what publish() returns.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional, Union

from .. import message as native
from .enums import MessageState, MQTTErrorCode
from .packettypes import PacketTypes
from .properties import Properties

if TYPE_CHECKING:
    from ._sent import Sent

PayloadType = Union[str, bytes, bytearray, memoryview, int, float, None]
LARGEST = 268435455


def encoded(payload: PayloadType) -> bytes:
    """A payload's bytes, as paho-mqtt takes them: numbers as their text, None as nothing."""
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    if payload is None:
        return b""
    if isinstance(payload, (int, float)):
        return str(payload).encode()
    raise TypeError("payload must be a string, bytearray, int, float or None.")


def mid_of(number: int) -> int:
    """A message id of 16 bits for one of Tern's numbers, which have 64."""
    return (number - 1) % 65535 + 1


def to_native(properties: Optional[Properties]) -> Optional[native.Properties]:
    """Properties of a message as tern.Client has them, but TopicAlias: Tern chooses aliases."""
    if properties is None or properties.isEmpty():
        return None
    get = properties.__dict__.get
    correlation = get("CorrelationData")
    return native.Properties(
        payload_format=get("PayloadFormatIndicator"),
        expiry=get("MessageExpiryInterval"),
        content_type=_text(get("ContentType")),
        response_topic=_text(get("ResponseTopic")),
        correlation_data=None if correlation is None else bytes(correlation),
        user_properties=list(get("UserProperty", [])),
    )


def _text(value: Union[str, bytes, None]) -> Optional[str]:
    return value.decode() if isinstance(value, bytes) else value


def from_native(properties: native.Properties, packet: int = PacketTypes.PUBLISH) -> Properties:
    """Properties of a received message as paho-mqtt has them."""
    result = Properties(packet)
    values = {
        "PayloadFormatIndicator": properties.payload_format,
        "MessageExpiryInterval": properties.expiry,
        "ContentType": properties.content_type,
        "ResponseTopic": properties.response_topic,
        "CorrelationData": properties.correlation_data,
        "UserProperty": properties.user_properties or None,
        "SubscriptionIdentifier": properties.subscription_ids or None,
    }
    for name, value in values.items():
        if value is not None:
            setattr(result, name, value)
    return result


class MQTTMessage:
    """A message: `topic`, `payload` (bytes), `qos`, `retain`, `dup`, `mid`, `properties`."""

    __slots__ = (
        "_topic",
        "dup",
        "info",
        "mid",
        "payload",
        "properties",
        "qos",
        "retain",
        "state",
        "timestamp",
    )

    def __init__(self, mid: int = 0, topic: bytes = b"") -> None:
        self.timestamp = 0.0
        self.state = MessageState.MQTT_MS_INVALID
        self.dup = False
        self.mid = mid
        self._topic = topic
        self.payload = b""
        self.qos = 0
        self.retain = False
        self.info = MQTTMessageInfo(mid)
        self.properties: Optional[Properties] = None

    @property
    def topic(self) -> str:
        """The topic name."""
        return self._topic.decode()

    @topic.setter
    def topic(self, value: Union[bytes, str]) -> None:
        self._topic = value.encode() if isinstance(value, str) else value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MQTTMessage) and self.mid == other.mid

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


class Received(MQTTMessage):
    """A message that came. What is not asked for is not read; what is set stays."""

    __slots__ = ("_native", "_speaks_5", "_text")

    def __init__(self, message: native.Message, speaks_5: bool) -> None:
        self._native = message
        self._speaks_5 = speaks_5
        self._text: Optional[str] = None  # the topic that the program has set
        self.payload = message.payload
        self.timestamp = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there yet.
        if name not in MQTTMessage.__slots__:
            raise AttributeError(f"MQTTMessage has no {name}")
        message = self._native
        if name == "_topic":
            value: Any = message.topic.encode()
        elif name == "mid":
            value = mid_of(message.number) if message.number else 0
        elif name == "qos":
            value = message.qos
        elif name == "retain":
            value = message.retain
        elif name == "dup":
            value = message.duplicate
        elif name == "properties":
            value = from_native(message.properties) if self._speaks_5 else None
        else:
            value = MessageState.MQTT_MS_INVALID if name == "state" else MQTTMessageInfo(self.mid)
        setattr(self, name, value)
        return value

    @property
    def topic(self) -> str:
        """The topic name."""
        return self._native.topic if self._text is None else self._text

    @topic.setter
    def topic(self, value: Union[bytes, str]) -> None:
        self._topic = value.encode() if isinstance(value, str) else value
        self._text = self._topic.decode()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are plain messages, which keep nothing of the connection."""
        values = {name: getattr(self, name) for name in MQTTMessage.__slots__}
        return (MQTTMessage, (), (None, values))


class MQTTMessageInfo:
    """What publish() returns: (rc, mid), and whether the message was published."""

    __slots__ = ("_id", "_next", "_sent", "mid", "rc")

    def __init__(self, mid: int, sent: Optional[Sent] = None, message_id: int = 0) -> None:
        self.mid = mid
        self.rc: MQTTErrorCode = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._sent = sent
        self._id = message_id
        self._next = 0

    def __getitem__(self, index: int) -> Union[MQTTErrorCode, int]:
        return (self.rc, self.mid)[index]

    def __iter__(self) -> Iterator[Union[MQTTErrorCode, int]]:
        return iter((self.rc, self.mid))

    def __next__(self) -> Union[MQTTErrorCode, int]:
        self._next += 1
        if self._next > 2:
            raise StopIteration
        return (self.rc, self.mid)[self._next - 1]

    def next(self) -> Union[MQTTErrorCode, int]:
        """rc the first time, mid the second."""
        return self.__next__()

    def __str__(self) -> str:
        return str((self.rc, self.mid))

    def wait_for_publish(self, timeout: Optional[float] = None) -> None:
        """Waits up to `timeout` seconds until the broker has the message (QoS 0: until it is out).

        Raises ValueError where it was not queued because the queue is full, RuntimeError where it
        was not sent for another reason. In a callback it may be called too.
        """
        self._complain()
        if self._sent is not None:
            self._sent.wait_published(self._id, timeout)
            self._complain()

    def is_published(self) -> bool:
        """Whether the broker has the message (QoS 0: whether it is out)."""
        self._complain()
        return self._sent is not None and self._sent.was_published(self._id)

    def _complain(self) -> None:
        if self.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise ValueError("Message is not queued due to ERR_QUEUE_SIZE")
        if self.rc > 0:
            raise RuntimeError(f"Message publish failed: {error_string(self.rc)}")


_TEXTS = (
    "No error.",
    "Memory ran out.",
    "The broker or the network broke the protocol.",
    "An argument is not valid.",
    "The client is not connected.",
    "The broker refused the connection.",
    "No such message.",
    "The connection was lost.",
    "TLS failed.",
    "The payload is too large.",
    "This is not supported.",
    "Authorization failed.",
    "Access was denied.",
    "An unknown error.",
    "The operating system reported an error.",
    "The message queue is full.",
    "The broker did not answer within the keep alive time.",
)


def error_string(mqtt_errno: int) -> str:
    """What an MQTT_ERR_ number means."""
    if mqtt_errno == MQTTErrorCode.MQTT_ERR_AGAIN:
        return "Try again."
    return _TEXTS[mqtt_errno] if 0 <= mqtt_errno < len(_TEXTS) else _TEXTS[13]
