"""Publishing a message or several, and disconnecting: paho-mqtt's helpers.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from ._helpers import helper_client
from ._message import PayloadType
from .enums import MQTTProtocolVersion


def single(
    topic: str,
    payload: PayloadType = None,
    qos: int = 0,
    retain: bool = False,
    hostname: str = "localhost",
    port: int = 1883,
    client_id: str = "",
    keepalive: int = 60,
    will: Optional[dict[str, Any]] = None,
    auth: Optional[dict[str, Any]] = None,
    tls: Any = None,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    transport: str = "tcp",
    proxy_args: Optional[dict[str, Any]] = None,
) -> None:
    """Publishes one message and waits until the broker has it. Arguments as multiple()."""
    message = {"topic": topic, "payload": payload, "qos": qos, "retain": retain}
    multiple(
        [message],
        hostname,
        port,
        client_id,
        keepalive,
        will,
        auth,
        tls,
        protocol,
        transport,
        proxy_args,
    )


def multiple(
    msgs: Iterable[Any],
    hostname: str = "localhost",
    port: int = 1883,
    client_id: str = "",
    keepalive: int = 60,
    will: Optional[dict[str, Any]] = None,
    auth: Optional[dict[str, Any]] = None,
    tls: Any = None,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    transport: str = "tcp",
    proxy_args: Optional[dict[str, Any]] = None,
) -> None:
    """Publishes messages, dictionaries or tuples of publish()'s arguments, and waits for all.

    will: arguments of will_set(); auth: username and password; tls: arguments of tls_set(), also
    `insecure`, or an SSLContext. Raises MQTTException where the broker refuses, OSErrors as
    connect(), TypeError and ValueError.
    """
    messages = list(msgs)
    if not messages:
        raise ValueError("msgs is empty")
    for message in messages:
        if not isinstance(message, (dict, tuple, list)):
            raise TypeError("message must be a dict, tuple, or list")
    client = helper_client(client_id, None, protocol, transport, will, auth, tls, proxy_args)
    client.connect(hostname, port, keepalive)
    client.wait_for_connack()
    try:
        infos = [
            client.publish(**message) if isinstance(message, dict) else client.publish(*message)
            for message in messages
        ]
        for info in infos:
            info.wait_for_publish()
    finally:
        client.disconnect()
