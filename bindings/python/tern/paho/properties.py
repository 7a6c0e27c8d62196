"""Properties of MQTT 5 packets as attributes, as paho-mqtt has them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any, Optional, Union

from . import MalformedPacket, MQTTException
from .packettypes import PacketTypes as PacketTypes  # programs import it from here too

P = PacketTypes
_ACKS = [P.CONNACK, P.PUBACK, P.PUBREC, P.PUBREL, P.PUBCOMP, P.SUBACK, P.UNSUBACK]
_MESSAGE = [P.PUBLISH, P.WILLMESSAGE]
_MOST = {"byte": 255, "two": 0xFFFF, "four": 0xFFFFFFFF, "variable": 268435455}
_SIZES = {"byte": 1, "two": 2, "four": 4}
# Names, identifiers, kinds and packets (MQTT 5 section 2.2.2.2).
_TABLE: dict[str, tuple[int, str, list[int]]] = {
    "Payload Format Indicator": (1, "byte", _MESSAGE),
    "Message Expiry Interval": (2, "four", _MESSAGE),
    "Content Type": (3, "text", _MESSAGE),
    "Response Topic": (8, "text", _MESSAGE),
    "Correlation Data": (9, "bytes", _MESSAGE),
    "Subscription Identifier": (11, "variable", [P.PUBLISH, P.SUBSCRIBE]),
    "Session Expiry Interval": (17, "four", [P.CONNECT, P.CONNACK, P.DISCONNECT]),
    "Assigned Client Identifier": (18, "text", [P.CONNACK]),
    "Server Keep Alive": (19, "two", [P.CONNACK]),
    "Authentication Method": (21, "text", [P.CONNECT, P.CONNACK, P.AUTH]),
    "Authentication Data": (22, "bytes", [P.CONNECT, P.CONNACK, P.AUTH]),
    "Request Problem Information": (23, "byte", [P.CONNECT]),
    "Will Delay Interval": (24, "four", [P.WILLMESSAGE]),
    "Request Response Information": (25, "byte", [P.CONNECT]),
    "Response Information": (26, "text", [P.CONNACK]),
    "Server Reference": (28, "text", [P.CONNACK, P.DISCONNECT]),
    "Reason String": (31, "text", [*_ACKS, P.DISCONNECT, P.AUTH]),
    "Receive Maximum": (33, "two", [P.CONNECT, P.CONNACK]),
    "Topic Alias Maximum": (34, "two", [P.CONNECT, P.CONNACK]),
    "Topic Alias": (35, "two", [P.PUBLISH]),
    "Maximum QoS": (36, "byte", [P.CONNACK]),
    "Retain Available": (37, "byte", [P.CONNACK]),
    "User Property": (
        38,
        "pair",
        [P.CONNECT, *_MESSAGE, *_ACKS, P.SUBSCRIBE, P.UNSUBSCRIBE, P.DISCONNECT, P.AUTH],
    ),
    "Maximum Packet Size": (39, "four", [P.CONNECT, P.CONNACK]),
    "Wildcard Subscription Available": (40, "byte", [P.CONNACK]),
    "Subscription Identifier Available": (41, "byte", [P.CONNACK]),
    "Shared Subscription Available": (42, "byte", [P.CONNACK]),
}
_NAMES = {name.replace(" ", ""): name for name in _TABLE}
_LISTS = ("UserProperty", "SubscriptionIdentifier")
# Where the range is not that of the kind.
_RANGES = {
    "PayloadFormatIndicator": (0, 1),
    "RequestProblemInformation": (0, 1),
    "RequestResponseInformation": (0, 1),
    "SubscriptionIdentifier": (1, 268435455),
    "ReceiveMaximum": (1, 0xFFFF),
    "TopicAlias": (1, 0xFFFF),
    "MaximumPacketSize": (1, 0xFFFFFFFF),
}
Buffer = Union[bytes, bytearray]


class VariableByteIntegers:
    """Integers of one to four bytes (MQTT 5 section 1.5.5)."""

    @staticmethod
    def encode(x: int) -> bytes:
        """Its bytes. Raises ValueError where it is too large."""
        if not 0 <= x <= _MOST["variable"]:
            raise ValueError(f"{x!r} is not in the range 0 to {_MOST['variable']}")
        result = bytearray()
        while x > 127:
            result.append(x & 127 | 128)
            x >>= 7
        return bytes(result + bytes([x]))

    @staticmethod
    def decode(buffer: Buffer) -> tuple[int, int]:
        """The integer that a buffer begins with, and how long it is. Raises MalformedPacket."""
        value = 0
        for place, byte in enumerate(buffer[:4]):
            value |= (byte & 127) << 7 * place
            if byte < 128:
                return value, place + 1
        raise MalformedPacket("a variable byte integer has no end")


class Properties:
    """`Properties(PacketTypes.PUBLISH)`, then `properties.ContentType = "text/plain"` and so on.

    UserProperty takes a pair at a time, or a list of them.
    """

    packetType: int
    names = {name: row[0] for name, row in _TABLE.items()}
    """The identifiers by their names, which here have spaces."""

    def __init__(self, packetType: int) -> None:
        object.__setattr__(self, "packetType", packetType)

    def __setattr__(self, name: str, value: Any) -> None:
        name = name.replace(" ", "")
        if name not in _NAMES:
            raise MQTTException(f"Property name must be one of {', '.join(_NAMES)}; not {name}")
        _, kind, packets = _TABLE[_NAMES[name]]
        if self.packetType not in packets:
            packet = "Will" if self.packetType == P.WILLMESSAGE else P.Names[self.packetType]
            raise MQTTException(f"Property {name} does not apply to packet type {packet}")
        if name in _LISTS:
            values = value if isinstance(value, list) else [value]
            for one in values:
                _check(name, kind, one)
            value = getattr(self, name, []) + values
        else:
            _check(name, kind, value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name.replace(" ", ""))

    def _present(self) -> list[str]:
        return [name for name in _NAMES if name in self.__dict__]

    def allowsMultiple(self, compressedName: str) -> bool:
        """Whether a property, named without spaces, may be there several times."""
        return compressedName in _LISTS

    def getIdentFromName(self, compressedName: str) -> int:
        """The identifier of a property, named without spaces; -1 where there is none."""
        return self.names.get(_NAMES.get(compressedName, ""), -1)

    def getNameFromIdent(self, identifier: int) -> Optional[str]:
        """The name of an identifier, with spaces."""
        return next((name for name, one in self.names.items() if one == identifier), None)

    def isEmpty(self) -> bool:
        """Whether none is set."""
        return not self._present()

    def clear(self) -> None:
        """Forgets all."""
        for name in self._present():
            object.__delattr__(self, name)

    def json(self) -> dict[str, Any]:
        """Those that are set, as a dictionary; binary ones in hexadecimal."""
        return {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in ((name, getattr(self, name)) for name in self._present())
        }

    def pack(self) -> bytes:
        """The bytes of a packet's properties, with their length in front."""
        packed = b"".join(_packed(name, getattr(self, name)) for name in self._present())
        return VariableByteIntegers.encode(len(packed)) + packed

    def unpack(self, buffer: Buffer) -> tuple[Properties, int]:
        """Becomes the properties that a buffer begins with. Returns itself, and their length.

        Raises MalformedPacket, and MQTTException for what does not belong into the packet.
        """
        self.clear()
        length, place = VariableByteIntegers.decode(buffer)
        end = place + length
        if end > len(buffer):
            raise MalformedPacket("the properties are longer than the packet")
        rest = bytes(buffer[:end])
        while place < end:
            identifier, size = VariableByteIntegers.decode(rest[place:])
            name = (self.getNameFromIdent(identifier) or "").replace(" ", "")
            if not name:
                raise MalformedPacket(f"no property has the identifier {identifier}")
            if name in self.__dict__ and name not in _LISTS:
                raise MQTTException(f"Property {name} must not exist more than once")
            value, used = _unpacked(_TABLE[_NAMES[name]][1], rest[place + size :])
            setattr(self, name, value)
            place += size + used
        return self, end

    def __str__(self) -> str:
        return "[" + ", ".join(f"{name} : {getattr(self, name)}" for name in self._present()) + "]"


def _check(name: str, kind: str, value: Any) -> None:
    """Raises MQTTException for a value of the wrong type or size."""
    if kind in _MOST:
        least, most = _RANGES.get(name, (0, _MOST[kind]))
        if not isinstance(value, int) or not least <= value <= most:
            raise MQTTException(
                f"{name} property value must be in the range {least} to {most}; not {value!r}"
            )
        return
    if kind == "pair":
        right = isinstance(value, (tuple, list)) and len(value) == 2
        right = right and all(isinstance(one, str) for one in value)
    else:
        right = isinstance(value, (bytes, bytearray) if kind == "bytes" else (str, bytes))
    if not right:
        wanted = {"pair": "a pair of strings", "bytes": "bytes", "text": "a string"}[kind]
        raise MQTTException(f"{name} property value must be {wanted}; not {value!r}")


def _sized(value: Union[str, Buffer]) -> bytes:
    data = value.encode() if isinstance(value, str) else bytes(value)
    if len(data) > 0xFFFF:
        raise ValueError("no property has more than 65535 bytes")
    return len(data).to_bytes(2, "big") + data


def _packed(name: str, value: Any) -> bytes:
    """A property's bytes, or those of each where it is a list."""
    identifier, kind, _ = _TABLE[_NAMES[name]]
    result = b""
    for one in value if name in _LISTS else [value]:
        result += VariableByteIntegers.encode(identifier)
        if kind in _SIZES:
            result += int(one).to_bytes(_SIZES[kind], "big")
        elif kind == "variable":
            result += VariableByteIntegers.encode(one)
        else:
            result += b"".join(_sized(part) for part in (one if kind == "pair" else [one]))
    return result


def _unpacked(kind: str, data: bytes) -> tuple[Any, int]:
    """A value, and how many bytes it has."""
    if kind == "variable":
        return VariableByteIntegers.decode(data)
    if kind == "pair":
        name, first = _unpacked("text", data)
        value, second = _unpacked("text", data[first:])
        return (name, value), first + second
    size = _SIZES.get(kind) or 2 + int.from_bytes(data[:2], "big")
    if len(data) < max(size, 2 if kind not in _SIZES else 1):
        raise MalformedPacket("a property is longer than the packet")
    if kind in _SIZES:
        return int.from_bytes(data[:size], "big"), size
    if kind == "bytes":
        return data[2:size], size
    try:
        return data[2:size].decode(), size
    except UnicodeDecodeError as error:
        raise MalformedPacket(f"a property is not UTF-8: {error}") from None
