"""Reason codes as paho-mqtt has them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any

from .._ffi import held
from .packettypes import PacketTypes

_ZERO = {PacketTypes.SUBACK: "Granted QoS 0", PacketTypes.DISCONNECT: "Normal disconnection"}
_OTHER = {(PacketTypes.SUBACK, 1): "Granted QoS 1", (PacketTypes.SUBACK, 2): "Granted QoS 2"}


def _name(packet: int, value: int) -> str:
    if value == 0:
        return _ZERO.get(packet, "Success")
    named: str = _OTHER.get((packet, value)) or held.tern_reason_text(value).decode()
    return named


class ReasonCode:
    """What a server answered. It equals its number and its name."""

    def __init__(self, packetType: int, aName: str = "Success", identifier: int = -1) -> None:
        self.packetType = packetType
        if identifier == -1:
            names = {_name(packetType, value).lower(): value for value in range(255, -1, -1)}
            wanted = _ZERO.get(packetType, aName) if aName == "Success" else aName
            if wanted.lower() not in names:
                raise KeyError(f"no reason code of packet type {packetType} is named {aName}")
            identifier = names[wanted.lower()]
        self.value = identifier

    def getName(self) -> str:
        """Its name in the specification."""
        return _name(self.packetType, self.value)

    def getId(self, name: str) -> int:
        """The number of a name."""
        return ReasonCode(self.packetType, name).value

    def set(self, name: str) -> None:
        """Becomes that of a name."""
        self.value = self.getId(name)

    def json(self) -> str:
        """Its name."""
        return self.getName()

    @property
    def is_failure(self) -> bool:
        """Whether it says no."""
        return self.value >= 0x80

    def __eq__(self, other: Any) -> bool:
        if isinstance(other, ReasonCode):
            return self.value == other.value
        if isinstance(other, str):
            return self.getName() == other
        return bool(self.value == other)

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < (other.value if isinstance(other, ReasonCode) else other))

    def __hash__(self) -> int:
        return hash((self.packetType, self.value))

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return self.getName()

    def __repr__(self) -> str:
        return f"ReasonCode({PacketTypes.Names[self.packetType]}, {self.getName()!r})"


ReasonCodes = ReasonCode
