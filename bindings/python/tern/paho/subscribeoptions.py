"""Options of a subscription as paho-mqtt has them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any, Union

from . import MQTTException

_NAMES = ("QoS", "noLocal", "retainAsPublished", "retainHandling")


class SubscribeOptions:
    """MQTT 5 section 3.8.3.1.

    Raises AssertionError for numbers that there are not, MQTTException for misspelt attributes.
    """

    RETAIN_SEND_ON_SUBSCRIBE, RETAIN_SEND_IF_NEW_SUB, RETAIN_DO_NOT_SEND = range(3)
    QoS: int
    noLocal: bool
    retainAsPublished: bool
    retainHandling: int

    def __init__(
        self,
        qos: int = 0,
        noLocal: bool = False,
        retainAsPublished: bool = False,
        retainHandling: int = RETAIN_SEND_ON_SUBSCRIBE,
    ) -> None:
        self.QoS, self.noLocal, self.retainAsPublished = qos, noLocal, retainAsPublished
        self.retainHandling = retainHandling

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _NAMES:
            raise MQTTException(f"{name}: attributes are {', '.join(_NAMES)}")
        if name in ("QoS", "retainHandling") and value not in (0, 1, 2):
            raise AssertionError(f"{name}: 0, 1 and 2 are possible, not {value}")
        object.__setattr__(self, name, value)

    def pack(self) -> bytes:
        """Their byte in a packet."""
        flags = bool(self.noLocal) << 2 | bool(self.retainAsPublished) << 3
        return bytes([self.QoS | flags | self.retainHandling << 4])

    def unpack(self, buffer: Union[bytes, bytearray]) -> int:
        """Becomes those of a packet's byte, the first one. Returns 1, how much was read."""
        byte = buffer[0]
        self.retainHandling, self.QoS = byte >> 4 & 3, byte & 3
        self.noLocal, self.retainAsPublished = bool(byte & 4), bool(byte & 8)
        return 1

    def json(self) -> dict[str, Union[int, bool]]:
        """The options as a dictionary."""
        return {name: getattr(self, name) for name in _NAMES}

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name}={value}" for name, value in self.json().items()) + "}"

    __str__ = __repr__
