"""What paho-mqtt 2.x lets programs read and set at a client.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any, Optional, Union

from ._connection import Connection
from .enums import MQTTProtocolVersion


class Attributes(Connection):
    """Settings as attributes. Setting one raises RuntimeError while there is a connection."""

    def _change(self, name: str, right: bool = True) -> None:
        """Raises where a setting cannot be changed, or not to that value."""
        if self.is_connected():
            raise RuntimeError(f"{name}: cannot be changed while there is a connection")
        if not right:
            raise ValueError(f"Invalid {name}.")

    @property
    def host(self) -> str:
        """Where connect() goes; "" before it is called."""
        return self._host

    @host.setter
    def host(self, value: str) -> None:
        self._change("host", bool(value))
        self._host = value

    @property
    def port(self) -> int:
        """Where connect() goes."""
        return self._port

    @port.setter
    def port(self, value: int) -> None:
        self._change("port", 0 < value <= 65535)
        self._port = value

    @property
    def keepalive(self) -> int:
        """Seconds: the server's, where it has said so."""
        return self._keepalive if self._server_keepalive is None else self._server_keepalive

    @keepalive.setter
    def keepalive(self, value: int) -> None:
        self._change("keepalive", value >= 0)
        self._keepalive, self._server_keepalive = value, None

    @property
    def transport(self) -> str:
        """ "tcp", "websockets" or "unix"."""
        return self._transport

    @transport.setter
    def transport(self, value: str) -> None:
        self._change("transport", value in ("tcp", "websockets", "unix"))
        self._transport = value

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The version of MQTT."""
        return self._protocol

    @property
    def connect_timeout(self) -> float:
        """Seconds that an attempt to connect has (default 5)."""
        return self._connect_timeout

    @connect_timeout.setter
    def connect_timeout(self, value: float) -> None:
        self._change("connect_timeout", value > 0)
        self._connect_timeout = value

    @property
    def username(self) -> Optional[str]:
        """That of username_pw_set(), if any."""
        return self._username

    @username.setter
    def username(self, value: Optional[str]) -> None:
        self._change("username")
        self._username = value

    @property
    def password(self) -> Optional[str]:
        """That of username_pw_set(), if any."""
        password = self._password
        return password.decode() if isinstance(password, bytes) else password

    @password.setter
    def password(self, value: Union[str, bytes, None]) -> None:
        self._change("password")
        self._password = value

    @property
    def will_topic(self) -> str:
        """That of will_set(); "" without a will."""
        return "" if self._will is None else self._will.topic

    @property
    def will_payload(self) -> bytes:
        """That of will_set()."""
        payload: Any = b"" if self._will is None else self._will.payload
        return bytes(payload)

    @property
    def max_inflight_messages(self) -> int:
        """Messages of QoS 1 and 2 that may be on their way at once."""
        return self._inflight

    @max_inflight_messages.setter
    def max_inflight_messages(self, value: int) -> None:
        self._change("max_inflight_messages")
        self.max_inflight_messages_set(value)

    @property
    def max_queued_messages(self) -> int:
        """Messages that may wait to be sent; 0: any number."""
        return self._queued

    @max_queued_messages.setter
    def max_queued_messages(self, value: int) -> None:
        self._change("max_queued_messages")
        self.max_queued_messages_set(value)
