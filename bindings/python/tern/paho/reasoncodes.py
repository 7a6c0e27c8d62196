"""Reason codes as paho-mqtt has them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Union

from .._ffi import held
from .packettypes import PacketTypes as PacketTypes  # programs import it from here too

P = PacketTypes
_ACK = [P.PUBACK, P.PUBREC]
_ANY = [P.CONNACK, *_ACK, P.SUBACK, P.UNSUBACK, P.DISCONNECT]
_BOTH = [P.CONNACK, P.DISCONNECT]
_REFUSED = [P.SUBACK, P.DISCONNECT]
# Names as paho-mqtt spells them, and the packets that may have them (MQTT 5 section 2.4).
_NAMES: dict[int, dict[str, list[int]]] = {
    0x00: {
        "Success": [P.CONNACK, *_ACK, P.PUBREL, P.PUBCOMP, P.UNSUBACK, P.AUTH],
        "Normal disconnection": [P.DISCONNECT],
        "Granted QoS 0": [P.SUBACK],
    },
    0x01: {"Granted QoS 1": [P.SUBACK]},
    0x02: {"Granted QoS 2": [P.SUBACK]},
    0x04: {"Disconnect with will message": [P.DISCONNECT]},
    0x10: {"No matching subscribers": _ACK},
    0x11: {"No subscription found": [P.UNSUBACK]},
    0x18: {"Continue authentication": [P.AUTH]},
    0x19: {"Re-authenticate": [P.AUTH]},
    0x80: {"Unspecified error": _ANY},
    0x81: {"Malformed packet": _BOTH},
    0x82: {"Protocol error": _BOTH},
    0x83: {"Implementation specific error": _ANY},
    0x84: {"Unsupported protocol version": [P.CONNACK]},
    0x85: {"Client identifier not valid": [P.CONNACK]},
    0x86: {"Bad user name or password": [P.CONNACK]},
    0x87: {"Not authorized": _ANY},
    0x88: {"Server unavailable": [P.CONNACK]},
    0x89: {"Server busy": _BOTH},
    0x8A: {"Banned": [P.CONNACK]},
    0x8B: {"Server shutting down": [P.DISCONNECT]},
    0x8C: {"Bad authentication method": _BOTH},
    0x8D: {"Keep alive timeout": [P.DISCONNECT]},
    0x8E: {"Session taken over": [P.DISCONNECT]},
    0x8F: {"Topic filter invalid": [P.SUBACK, P.UNSUBACK, P.DISCONNECT]},
    0x90: {"Topic name invalid": [*_ACK, *_BOTH]},
    0x91: {"Packet identifier in use": [*_ACK, P.SUBACK, P.UNSUBACK]},
    0x92: {"Packet identifier not found": [P.PUBREL, P.PUBCOMP]},
    0x93: {"Receive maximum exceeded": [P.DISCONNECT]},
    0x94: {"Topic alias invalid": [P.DISCONNECT]},
    0x95: {"Packet too large": _BOTH},
    0x96: {"Message rate too high": [P.DISCONNECT]},
    0x97: {"Quota exceeded": [P.SUBACK, *_ACK, *_BOTH]},
    0x98: {"Administrative action": [P.DISCONNECT]},
    0x99: {"Payload format invalid": [*_ACK, P.DISCONNECT]},
    0x9A: {"Retain not supported": _BOTH},
    0x9B: {"QoS not supported": _BOTH},
    0x9C: {"Use another server": _BOTH},
    0x9D: {"Server moved": _BOTH},
    0x9E: {"Shared subscription not supported": _REFUSED},
    0x9F: {"Connection rate exceeded": _BOTH},
    0xA0: {"Maximum connect time": [P.DISCONNECT]},
    0xA1: {"Subscription identifiers not supported": _REFUSED},
    0xA2: {"Wildcard subscription not supported": _REFUSED},
}


@functools.total_ordering
class ReasonCode:
    """What a server answered. It equals its number and its name, and has the number's order.

    Raises KeyError for a name or number that there is not, ValueError for one of other packets.
    """

    names: Mapping[int, dict[str, list[int]]] = MappingProxyType(_NAMES)

    def __init__(self, packetType: int, aName: str = "Success", identifier: int = -1) -> None:
        self.packetType = packetType
        if identifier != -1:
            self._become(identifier)
        elif packetType == P.DISCONNECT and aName == "Success":
            self.value = 0
        else:
            self.set(aName)

    @classmethod
    def told(cls, packetType: int, value: int) -> ReasonCode:
        """What a broker said, even where the specification does not let it."""
        reason = cls.__new__(cls)
        reason.packetType, reason.value = packetType, value
        return reason

    def _become(self, value: int) -> None:
        if not any(self.packetType in packets for packets in self.names[value].values()):
            raise ValueError(f"reason code {value} is not one of packet type {self.packetType}")
        self.value = value

    def getName(self) -> str:
        """Its name, for its type of packet."""
        for name, packets in self.names.get(self.value, {}).items():
            if self.packetType in packets:
                return name
        named: str = held.tern_reason_text(self.value).decode()
        return named

    def getId(self, name: str) -> int:
        """The number of a name. Raises KeyError."""
        for value, named in self.names.items():
            if self.packetType in named.get(name, ()):
                return value
        raise KeyError(f"no reason code of packet type {self.packetType} is named {name}")

    def set(self, name: str) -> None:
        """Becomes that of a name."""
        self.value = self.getId(name)

    def pack(self) -> bytearray:
        """Its byte in a packet."""
        return bytearray([self.value])

    def unpack(self, buffer: Union[bytes, bytearray]) -> int:
        """Becomes that of a packet's byte, the first one. Returns 1, how much was read."""
        self._become(buffer[0])
        return 1

    def json(self) -> str:
        """Its name."""
        return self.getName()

    @property
    def is_failure(self) -> bool:
        """Whether it says no."""
        return self.value >= 0x80

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return self.getName() == other
        return bool(self.value == (other.value if isinstance(other, ReasonCode) else other))

    def __lt__(self, other: Any) -> bool:
        if not isinstance(other, (int, ReasonCode)):
            return NotImplemented
        return self.value < (other.value if isinstance(other, ReasonCode) else other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return self.getName()

    def __repr__(self) -> str:
        return f"ReasonCode({P.Names[self.packetType]}, {self.getName()!r})"


ReasonCodes = ReasonCode
