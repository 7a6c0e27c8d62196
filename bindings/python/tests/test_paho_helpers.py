"""The helpers of tern.paho.publish and tern.paho.subscribe.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any

import pytest
from broker import Broker, free_port

from tern.paho import MQTTException, publish, subscribe


def test_helpers(broker: Broker, topic: str) -> None:
    where = {"hostname": "127.0.0.1", "port": broker.port}
    messages = [{"topic": topic, "payload": "1", "retain": True}, (topic + "/2", "2", 1, True)]
    publish.multiple(messages, **where)
    one = subscribe.simple(topic, **where)
    both = subscribe.simple([topic, topic + "/2"], qos=1, msg_count=2, **where)
    assert one.payload == b"1" and sorted(m.payload for m in both) == [b"1", b"2"]
    got = []

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        got.append((userdata, message.payload))
        client.disconnect()

    subscribe.callback(on_message, topic, userdata="data", **where)
    assert got == [("data", b"1")]
    with pytest.raises(TypeError):
        publish.multiple(["text"], **where)
    with pytest.raises(ConnectionRefusedError):
        publish.single("a", port=free_port(), hostname="127.0.0.1")


def test_helpers_and_a_broker_that_refuses(tmp_path: Any) -> None:
    broker = Broker(tmp_path)
    broker.extra = ["allow_anonymous false"]
    with broker, pytest.raises(MQTTException, match="[Aa]uthori"):
        publish.single("a", "x", hostname="127.0.0.1", port=broker.port)


def test_topics_of_helpers_may_have_a_qos(broker: Broker, topic: str) -> None:
    where: dict[str, Any] = {"hostname": "127.0.0.1", "port": broker.port}
    publish.multiple([(topic + "/a", "1", 2, True), (topic + "/b", "2", 2, True)], **where)
    assert subscribe.simple((topic + "/a", 1), **where).qos == 1
    both = subscribe.simple([(topic + "/a", 1), (topic + "/b", 2)], msg_count=2, **where)
    assert sorted((m.payload, m.qos) for m in both) == [(b"1", 1), (b"2", 2)]
