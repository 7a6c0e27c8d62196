"""Receiving some messages, and disconnecting: paho-mqtt's helpers.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

from ._helpers import HelperClient, helper_client
from ._message import MQTTMessage
from .enums import MQTTProtocolVersion
from .reasoncodes import ReasonCode

Topics = Union[str, tuple[str, int], list[str], list[tuple[str, int]]]


def callback(
    callback: Callable[..., Any],
    topics: Topics,
    qos: int = 0,
    userdata: Any = None,
    hostname: str = "localhost",
    port: int = 1883,
    client_id: str = "",
    keepalive: int = 60,
    will: Optional[dict[str, Any]] = None,
    auth: Optional[dict[str, Any]] = None,
    tls: Any = None,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    transport: str = "tcp",
    clean_session: bool = True,
    proxy_args: Optional[dict[str, Any]] = None,
) -> None:
    """Calls a function with every message, until it calls disconnect() of its client. Topics may
    have a QoS of their own, as tuples.

    will, auth, tls and exceptions: as publish.multiple().
    """
    if qos not in (0, 1, 2):
        raise ValueError("qos must be in the range 0-2")
    client = helper_client(
        client_id, clean_session, protocol, transport, will, auth, tls, proxy_args
    )
    client._reconnect_on_failure = True
    client.user_data_set(userdata)
    client.on_message = callback
    each = topics if isinstance(topics, list) else [topics]
    filters = [(topic, qos) if isinstance(topic, str) else topic for topic in each]

    def on_connect(client: HelperClient, _: Any, flags: Any, reason: ReasonCode, __: Any) -> None:
        client.judge(reason)
        if not reason.is_failure:
            client.subscribe(filters)

    client.on_connect = on_connect
    client.connect(hostname, port, keepalive)
    client.wait_for_connack()
    client.loop_forever()


def simple(
    topics: Topics,
    qos: int = 0,
    msg_count: int = 1,
    retained: bool = True,
    hostname: str = "localhost",
    port: int = 1883,
    client_id: str = "",
    keepalive: int = 60,
    will: Optional[dict[str, Any]] = None,
    auth: Optional[dict[str, Any]] = None,
    tls: Any = None,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    transport: str = "tcp",
    clean_session: bool = True,
    proxy_args: Optional[dict[str, Any]] = None,
) -> Union[MQTTMessage, list[MQTTMessage]]:
    """Waits for messages: returns one, or a list of msg_count. `retained` False leaves out those
    that the broker had kept.

    will, auth, tls and exceptions: as publish.multiple().
    """
    if msg_count < 1:
        raise ValueError("msg_count must be > 0")
    came: list[MQTTMessage] = []

    def on_message(client: HelperClient, _: Any, message: MQTTMessage) -> None:
        if len(came) < msg_count and (retained or not message.retain):
            came.append(message)
            if len(came) == msg_count:
                client.disconnect()

    callback(
        on_message,
        topics,
        qos,
        None,
        hostname,
        port,
        client_id,
        keepalive,
        will,
        auth,
        tls,
        protocol,
        transport,
        clean_session,
        proxy_args,
    )
    return came[0] if msg_count == 1 else came
