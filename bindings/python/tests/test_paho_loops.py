"""The loops of tern.paho, and what they tell.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest
from broker import Broker
from conftest import PATIENCE, wait_until

import tern.paho.client as mqtt
from tern.paho import subscribe


def test_loop_forever_and_disconnect_in_a_callback(broker: Broker, topic: str) -> None:
    client = mqtt.Client()
    got = []

    @client.connect_callback()
    def connected(client: Any, userdata: Any, flags: Any, rc: int) -> None:
        client.subscribe(topic, 1)

    @client.subscribe_callback()
    def subscribed(client: Any, userdata: Any, mid: int, granted: tuple[int]) -> None:
        for i in range(10):
            client.publish(topic, str(i), 1)

    @client.message_callback()
    def message(client: Any, userdata: Any, message: Any) -> None:
        got.append(message.payload)
        if len(got) == 10:
            client.publish(topic + "/last", "said at the end", 1, retain=True)
            client.disconnect()

    client.connect("127.0.0.1", broker.port)
    assert client.loop_forever() == mqtt.MQTT_ERR_SUCCESS
    assert got == [str(i).encode() for i in range(10)]
    last = subscribe.simple(topic + "/last", port=broker.port, hostname="127.0.0.1")
    assert last.payload == b"said at the end" and last.retain


def test_exceptions_of_callbacks(broker: Broker, topic: str, monkeypatch: Any) -> None:
    client = mqtt.Client()
    client.connect("127.0.0.1", broker.port)
    client.on_message = lambda *_: 1 / 0
    client.subscribe(topic)
    client.publish(topic, "x")
    with pytest.raises(ZeroDivisionError):
        while True:
            client.loop()
    client.suppress_exceptions = True
    client.publish(topic, "x").wait_for_publish()
    client.suppress_exceptions = False
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    client.loop_start()
    client.publish(topic, "x", 1)
    assert wait_until(lambda: unraisable and unraisable[-1].exc_type is ZeroDivisionError)
    client.on_message = None
    client.publish(topic, "alive", 1).wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()


def test_an_event_loop_of_the_programs_own(broker: Broker, topic: str) -> None:
    """As programs on asyncio use paho-mqtt: with socket(), loop_read() and loop_misc()."""

    async def main() -> list[bytes]:
        loop, client, got = asyncio.get_running_loop(), mqtt.Client(), []
        done = loop.create_future()
        client.on_socket_open = lambda c, u, s: loop.add_reader(s, c.loop_read)
        client.on_socket_close = lambda c, u, s: loop.remove_reader(s)
        client.on_connect = lambda c, *_: c.subscribe(topic, 1)
        client.on_subscribe = lambda c, *_: c.publish(topic, "x", 1)

        def on_message(client: Any, userdata: Any, message: Any) -> None:
            got.append(message.payload)
            client.disconnect()

        client.on_message = on_message
        client.on_disconnect = lambda *_: done.set_result(None)
        client.connect("127.0.0.1", broker.port)
        assert client.socket() is not None and not client.want_write()
        assert client.loop_misc() == client.loop_write() == mqtt.MQTT_ERR_SUCCESS
        await asyncio.wait_for(done, PATIENCE)
        assert client.socket() is None
        return got

    assert asyncio.run(main()) == [b"x"]


def test_log_records(broker: Broker, caplog: Any) -> None:
    client, told = mqtt.Client(), []
    client.on_log = lambda c, u, level, text: told.append(text)
    caplog.set_level(logging.DEBUG, "its.own")
    client.enable_logger(logging.getLogger("its.own"))
    client.connect("127.0.0.1", broker.port)
    client.loop(0.1)
    client.disconnect()
    assert any("connected to" in text for text in told)
    assert any("connected to" in record.message for record in caplog.records)
