"""Messages of tern.paho: filters, waiting, acknowledging, the queue.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any

import pytest
from broker import Broker
from conftest import PATIENCE, wait_until

import tern.paho.client as mqtt


def test_filters_of_their_own(broker: Broker, topic: str) -> None:
    client, got = mqtt.Client(), []
    client.message_callback_add(topic + "/a", lambda c, u, m: got.append(("a", m.payload)))
    client.on_message = lambda c, u, m: got.append(("rest", m.payload))

    @client.topic_callback(topic + "/+")
    def plus(client: Any, userdata: Any, message: Any) -> None:
        got.append(("plus", message.payload))

    client.connect("127.0.0.1", broker.port)
    client.subscribe(topic + "/#", 1)
    client.loop_start()
    for name in ("a", "b", "c/d"):
        client.publish(f"{topic}/{name}", name, 1)
    assert wait_until(lambda: len(got) == 4)
    assert sorted(got[:2]) == [("a", b"a"), ("plus", b"a")]
    assert got[2:] == [("plus", b"b"), ("rest", b"c/d")]
    client.message_callback_remove(topic + "/+")
    client.message_callback_remove(topic + "/+")
    client.publish(topic + "/b", "again", 1)
    assert wait_until(lambda: len(got) == 5) and got[4] == ("rest", b"again")
    client.disconnect()
    client.loop_stop()


def test_waiting_in_callbacks(broker: Broker, topic: str) -> None:
    client, got = mqtt.Client(), []

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        info = client.publish(topic + "/answer", message.payload, 2)
        info.wait_for_publish(PATIENCE)
        got.append((message.payload, info.is_published()))

    client.on_message = on_message
    client.connect("127.0.0.1", broker.port)
    client.subscribe(topic, 1)
    client.loop_start()
    for i in range(50):
        client.publish(topic, str(i), 1)
    assert wait_until(lambda: len(got) == 50)
    assert got == [(str(i).encode(), True) for i in range(50)]
    client.disconnect()
    client.loop_stop()


def test_waiting_without_a_loop(broker: Broker, topic: str) -> None:
    client, got = mqtt.Client(), []
    client.on_message = lambda c, u, m: got.append(m.payload)
    client.connect("127.0.0.1", broker.port)
    client.subscribe(topic, 1)
    for i in range(20):
        client.publish(topic, str(i), 1)
    info = client.publish(topic, "20", 1)
    info.wait_for_publish(PATIENCE)
    assert info.is_published() and got == []
    while len(got) < 21:
        assert client.loop() == mqtt.MQTT_ERR_SUCCESS
    assert got == [str(i).encode() for i in range(21)]
    client.disconnect()


def test_manual_acknowledgement(broker: Broker, topic: str) -> None:
    name = topic.replace("/", "-")
    client, got = mqtt.Client(name, clean_session=False, manual_ack=True), []
    client.on_message = lambda c, u, m: got.append(m)
    client.connect("127.0.0.1", broker.port)
    client.subscribe(topic, 1)
    client.loop_start()
    client.publish(topic, "1", 1)
    client.publish(topic, "2", 1)
    assert wait_until(lambda: len(got) == 2)
    assert client.ack(got[0].mid, 1) == client.ack(got[0].mid, 1) == mqtt.MQTT_ERR_SUCCESS
    client.disconnect()
    client.loop_stop()
    again: list[Any] = []
    client = mqtt.Client(name, clean_session=False)
    client.on_message = lambda c, u, m: again.append((m.payload, m.dup))
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert wait_until(lambda: again) and again == [(b"2", True)]
    client.disconnect()
    client.loop_stop()


def test_a_full_queue() -> None:
    client = mqtt.Client()
    assert client.max_queued_messages_set(3) is client
    infos = [client.publish("a", "x", 1) for _ in range(4)]
    assert [info.rc for info in infos] == [mqtt.MQTT_ERR_NO_CONN] * 3 + [mqtt.MQTT_ERR_QUEUE_SIZE]
    with pytest.raises(ValueError):
        infos[3].wait_for_publish()
    with pytest.raises(RuntimeError):
        infos[0].is_published()
