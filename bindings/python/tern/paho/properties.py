"""Properties of MQTT 5 packets as attributes, as paho-mqtt has them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any

from . import MQTTException
from .packettypes import PacketTypes as P

_MOST = {"byte": 255, "two": 0xFFFF, "four": 0xFFFFFFFF, "variable": 268435455}
_TABLE: dict[str, tuple[int, str, list[int]]] = {
    "PayloadFormatIndicator": (1, "byte", [P.PUBLISH, P.WILLMESSAGE]),
    "MessageExpiryInterval": (2, "four", [P.PUBLISH, P.WILLMESSAGE]),
    "ContentType": (3, "text", [P.PUBLISH, P.WILLMESSAGE]),
    "ResponseTopic": (8, "text", [P.PUBLISH, P.WILLMESSAGE]),
    "CorrelationData": (9, "bytes", [P.PUBLISH, P.WILLMESSAGE]),
    "SubscriptionIdentifier": (11, "variable", [P.PUBLISH, P.SUBSCRIBE]),
    "SessionExpiryInterval": (17, "four", [P.CONNECT, P.CONNACK, P.DISCONNECT]),
    "AssignedClientIdentifier": (18, "text", [P.CONNACK]),
    "ServerKeepAlive": (19, "two", [P.CONNACK]),
    "AuthenticationMethod": (21, "text", [P.CONNECT, P.CONNACK, P.AUTH]),
    "AuthenticationData": (22, "bytes", [P.CONNECT, P.CONNACK, P.AUTH]),
    "RequestProblemInformation": (23, "byte", [P.CONNECT]),
    "WillDelayInterval": (24, "four", [P.WILLMESSAGE]),
    "RequestResponseInformation": (25, "byte", [P.CONNECT]),
    "ResponseInformation": (26, "text", [P.CONNACK]),
    "ServerReference": (28, "text", [P.CONNACK, P.DISCONNECT]),
    "ReasonString": (
        31,
        "text",
        [
            P.CONNACK,
            P.PUBACK,
            P.PUBREC,
            P.PUBREL,
            P.PUBCOMP,
            P.SUBACK,
            P.UNSUBACK,
            P.DISCONNECT,
            P.AUTH,
        ],
    ),
    "ReceiveMaximum": (33, "two", [P.CONNECT, P.CONNACK]),
    "TopicAliasMaximum": (34, "two", [P.CONNECT, P.CONNACK]),
    "TopicAlias": (35, "two", [P.PUBLISH]),
    "MaximumQoS": (36, "byte", [P.CONNACK]),
    "RetainAvailable": (37, "byte", [P.CONNACK]),
    "UserProperty": (
        38,
        "pair",
        [
            P.CONNECT,
            P.CONNACK,
            P.PUBLISH,
            P.PUBACK,
            P.PUBREC,
            P.PUBREL,
            P.PUBCOMP,
            P.SUBSCRIBE,
            P.SUBACK,
            P.UNSUBSCRIBE,
            P.UNSUBACK,
            P.DISCONNECT,
            P.AUTH,
            P.WILLMESSAGE,
        ],
    ),
    "MaximumPacketSize": (39, "four", [P.CONNECT, P.CONNACK]),
    "WildcardSubscriptionAvailable": (40, "byte", [P.CONNACK]),
    "SubscriptionIdentifierAvailable": (41, "byte", [P.CONNACK]),
    "SharedSubscriptionAvailable": (42, "byte", [P.CONNACK]),
}
_LISTS = ("UserProperty", "SubscriptionIdentifier")


class Properties:
    """`Properties(PacketTypes.PUBLISH)`, then `properties.ContentType = "text/plain"` and so on.

    UserProperty takes a pair at a time, or a list of them.
    """

    packetType: int

    def __init__(self, packetType: int) -> None:
        object.__setattr__(self, "packetType", packetType)

    def __setattr__(self, name: str, value: Any) -> None:
        name = name.replace(" ", "")
        if name not in _TABLE:
            raise MQTTException(f"Property name must be one of {', '.join(_TABLE)}; not {name}")
        _, kind, packets = _TABLE[name]
        if self.packetType not in packets:
            raise MQTTException(f"Property {name} does not apply to packet type {self.packetType}")
        most = _MOST.get(kind)
        if most is not None and name not in _LISTS and not 0 <= value <= most:
            raise MQTTException(f"{name} property value must be in the range 0 to {most}")
        if name in _LISTS:
            values = value if isinstance(value, list) else [value]
            value = getattr(self, name, []) + values
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name.replace(" ", ""))

    def names(self) -> list[str]:
        """Those that are set."""
        return [name for name in _TABLE if name in self.__dict__]

    def isEmpty(self) -> bool:
        """Whether none is set."""
        return not self.names()

    def clear(self) -> None:
        """Forgets all."""
        for name in self.names():
            object.__delattr__(self, name)

    def json(self) -> dict[str, Any]:
        """Those that are set, as a dictionary; binary ones in hexadecimal."""
        return {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in ((name, getattr(self, name)) for name in self.names())
        }

    def __str__(self) -> str:
        return "[" + ", ".join(f"{name} : {getattr(self, name)}" for name in self.names()) + "]"
