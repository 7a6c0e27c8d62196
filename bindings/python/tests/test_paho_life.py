"""The life of a tern.paho client: connecting, losing, leaving; as paho-mqtt has it.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from broker import Broker, FakeBroker, free_port
from conftest import PATIENCE, wait_until
from story import V2, Story

import tern.paho.client as mqtt
from tern.paho.packettypes import PacketTypes
from tern.paho.properties import Properties
from tern.paho.reasoncodes import ReasonCode


@pytest.fixture
def fickle() -> Iterator[FakeBroker]:
    """A broker that closes each connection at once."""
    with FakeBroker(closes=True) as fake:
        yield fake


@contextlib.contextmanager
def looping(client: mqtt.Client) -> Iterator[None]:
    """While its loop runs on a thread; disconnects at the end."""
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()


# ---- leaving ----


def test_disconnect_and_loop_stop_at_once(broker: Broker, topic: str) -> None:
    for _ in range(10):
        story = Story()
        story.client.connect("127.0.0.1", broker.port)
        story.client.loop_start()
        infos = [story.client.publish(topic, "x", 1) for _ in range(20)]
        story.client.disconnect()
        story.client.loop_stop()
        assert story.of("disconnect") == [(0,)] and not story.client.is_connected()
        assert all(info.is_published() for info in infos)


@pytest.mark.parametrize("order", [("loop_stop", "disconnect"), ("disconnect", "loop_stop")])
def test_both_in_a_callback(broker: Broker, order: tuple[str, str]) -> None:
    story, done = Story(), []
    story.client.on_connect = lambda c, *_: [done.append(getattr(c, name)()) for name in order]
    story.client.connect("127.0.0.1", broker.port)
    story.client.loop_start()
    assert wait_until(lambda: story.has("disconnect"))
    assert done == [0, 0] and wait_until(lambda: story.client.loop_stop() == mqtt.MQTT_ERR_INVAL)


def test_not_connected_any_more_in_the_callback_that_disconnects(broker: Broker) -> None:
    client, seen = mqtt.Client(), []

    @client.connect_callback()
    def connected(client: Any, *_: Any) -> None:
        seen.append(client.is_connected())
        client.disconnect()
        seen.append(client.is_connected())

    client.connect("127.0.0.1", broker.port)
    client.loop_forever()
    assert seen == [True, False]


def test_loop_forever_tells_the_end_before_it_returns(broker: Broker) -> None:
    for _ in range(10):
        client, told = mqtt.Client(), []
        client.on_disconnect = lambda *_, told=told: told.append(threading.current_thread())
        client.connect("127.0.0.1", broker.port)
        other = threading.Thread(target=client.disconnect)
        client.on_connect = lambda *_, other=other: other.start()
        client.loop_forever()
        assert told == [threading.current_thread()]
        other.join()


def test_a_broker_that_is_silent_does_not_hold_up_disconnect() -> None:
    with FakeBroker() as silent:
        story = Story()
        story.client.connect("127.0.0.1", silent.port)
        info = story.client.publish("a", "x", 1)
        began = time.monotonic()
        assert story.client.disconnect() == mqtt.MQTT_ERR_SUCCESS
        assert time.monotonic() - began < 3 and story.has("disconnect")
        assert not info.is_published() and silent.connections[0].recv(100).startswith(b"\x32")


def test_what_is_told_at_a_wanted_end_and_at_a_loss(own_broker: Broker) -> None:
    client, told = mqtt.Client(), []
    client.on_socket_close = lambda *_: told.append("close")
    client.on_disconnect = lambda *_: told.append("disconnect")
    client.connect("127.0.0.1", own_broker.port)
    client.disconnect()
    assert told == ["disconnect", "close"]
    client.connect("127.0.0.1", own_broker.port)
    while client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
        if not told[2:]:
            own_broker.stop()
    assert told[2:] == ["close", "disconnect"]


def test_codes_after_a_loss(own_broker: Broker) -> None:
    client = mqtt.Client()
    assert client.loop_write() == client.loop_misc() == mqtt.MQTT_ERR_NO_CONN
    client.connect("127.0.0.1", own_broker.port)
    assert client.loop(0.1) == client.loop_write() == mqtt.MQTT_ERR_SUCCESS
    own_broker.stop()
    codes = [client.loop(0.1)]
    while codes[-1] == mqtt.MQTT_ERR_SUCCESS:
        codes.append(client.loop(0.1))
    assert codes[-1] == mqtt.MQTT_ERR_CONN_LOST and client.socket() is None
    assert client.loop() == client.loop_read() == client.loop_write() == mqtt.MQTT_ERR_NO_CONN
    assert client.loop_misc() == mqtt.MQTT_ERR_NO_CONN and not client.is_connected()


# ---- settings, from the next attempt on ----


def test_credentials_of_each_attempt(fickle: FakeBroker) -> None:
    client, asked = mqtt.Client("id"), []

    @client.pre_connect_callback()
    def ask(client: Any, _userdata: Any) -> None:
        asked.append(f"token{len(asked)}")
        client.username_pw_set("user", asked[-1])

    client.reconnect_delay_set(0, 0.1)
    client.connect("127.0.0.1", fickle.port)
    with looping(client):
        assert wait_until(lambda: len(fickle.connects) >= 4)
    for number, packet in enumerate(fickle.connects[:4]):
        assert packet.endswith(f"token{number}".encode())


def test_what_is_set_after_a_loss(fickle: FakeBroker) -> None:
    with FakeBroker() as other:
        client = mqtt.Client("id")

        @client.disconnect_callback()
        def lost(client: Any, *_: Any) -> None:
            client.username_pw_set("user", "new")
            client.will_set("will", "gone")
            client.reconnect_delay_set(0.05, 0.05)
            client.connect_async("127.0.0.1", other.port)

        client.reconnect_delay_set(3600, 3600)
        client.connect("127.0.0.1", fickle.port)
        with looping(client):
            assert wait_until(lambda: other.connects)
        assert b"\x00\x04will\x00\x04gone\x00\x04user\x00\x03new" in other.connects[0]


def test_headers_of_each_attempt() -> None:
    with FakeBroker(b"HTTP/1.1 403 Forbidden\r\n\r\n", closes=True) as gate:
        client, signed = mqtt.Client(transport="websockets"), itertools.count(1)
        client.ws_set_options(headers=lambda added: {**added, "X": f"s{next(signed)}"})
        client.reconnect_delay_set(0, 0.1)
        client.connect_async("127.0.0.1", gate.port)
        with looping(client):
            assert wait_until(lambda: len(gate.connects) >= 2)
        first, second = (packet.partition(b"X: ")[2][:3] for packet in gate.connects[:2])
        assert first != second


@pytest.mark.parametrize("delays", [(0, 10), (0.05, 0), (10, 0.1), (-1, -1)])
def test_delays_as_they_come(fickle: FakeBroker, delays: tuple[float, float]) -> None:
    client = mqtt.Client()
    client.reconnect_delay_set(*delays)
    client.connect("127.0.0.1", fickle.port)
    client.loop_start()
    if delays[0] < 1:
        assert wait_until(lambda: len(fickle.connects) >= 3)
    client.disconnect()
    client.loop_stop()


def test_attempts_of_a_loop_are_told_without_a_wait_that_nobody_has(caplog: Any) -> None:
    client, failed = mqtt.Client(), []
    client.enable_logger(logging.getLogger("attempts"))
    client.on_connect_fail = lambda *_: failed.append(1)
    client.reconnect_delay_set(0, 0.05)
    with pytest.raises(ConnectionRefusedError) as refused:
        client.connect("127.0.0.1", free_port())
    with looping(client):
        assert wait_until(lambda: len(failed) >= 3)
    assert "next attempt" not in str(refused.value) and "next attempt" not in caplog.text


def test_settings_of_a_core_wait_for_connect(own_broker: Broker, topic: str) -> None:
    """A loop that reconnects drops neither messages nor subscriptions for them."""
    story = Story()
    story.client.reconnect_delay_set(0.05, 0.2)
    story.client.connect("127.0.0.1", own_broker.port)
    story.client.subscribe(topic, 1)
    with looping(story.client):
        assert wait_until(lambda: story.has("subscribe"))
        story.client.max_inflight_messages_set(5)
        own_broker.stop()
        assert wait_until(lambda: story.has("disconnect"))
        story.client.publish(topic, "meanwhile", 1)
        assert own_broker.start() and wait_until(lambda: story.has("message"))


def test_an_error_of_a_setting_does_not_end_the_loop(fickle: FakeBroker, monkeypatch: Any) -> None:
    client, asked, unraisable = mqtt.Client(), [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: unraisable.append(told.exc_type))

    @client.pre_connect_callback()
    def ask(client: Any, _userdata: Any) -> None:
        asked.append(1)
        client.will_set("no/#/topic" if len(asked) == 2 else "will", "gone")

    client.reconnect_delay_set(0, 0.05)
    client.connect("127.0.0.1", fickle.port)
    with looping(client):
        assert wait_until(lambda: len(fickle.connects) >= 3)
    assert len(unraisable) == 1


@pytest.mark.parametrize("code", ["Normal disconnection", "Session taken over"])
def test_a_reason_to_leave(broker: Broker, code: str) -> None:
    story = Story(callback_api_version=V2, protocol=mqtt.MQTTv5)
    story.client.connect("127.0.0.1", broker.port)
    story.client.loop_start()
    story.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, code))
    story.client.loop_stop()
    assert story.has("disconnect") and not story.client.is_connected()


# ---- connecting anew ----


def test_reconnect_while_connected(broker: Broker, topic: str) -> None:
    story = Story()
    story.client.connect("127.0.0.1", broker.port)
    story.client.subscribe(topic, 1)
    with looping(story.client):
        assert wait_until(lambda: story.has("subscribe"))
        for number in range(2, 5):
            assert story.client.reconnect() == mqtt.MQTT_ERR_SUCCESS
            assert wait_until(lambda number=number: story.has("connect", number))
        story.client.connect("127.0.0.1", broker.port)
        assert wait_until(lambda: story.has("connect", 5)) and not story.has("disconnect")
        story.client.publish(topic + "/alive", "x", 1).wait_for_publish(PATIENCE)
    assert story.of("disconnect") == [(0,)]


def test_reconnect_in_on_disconnect(broker: Broker) -> None:
    story, raised = Story(), []

    def on_disconnect(client: Any, _userdata: Any, rc: int) -> None:
        story.told.append(("disconnect", rc))
        try:
            client.reconnect()
        except Exception as error:
            raised.append(error)

    story.client.on_disconnect = on_disconnect
    story.client.connect("127.0.0.1", broker.port)
    story.client.loop_start()
    assert wait_until(lambda: story.has("connect"))
    story.client.reconnect()
    assert wait_until(lambda: story.has("connect", 2)) and not story.has("disconnect")
    story.client.disconnect()
    assert wait_until(lambda: story.has("connect", 3)) and not raised
    assert story.of("disconnect") == [(0,)] and story.client.is_connected()
    story.client.on_disconnect = None
    story.client.disconnect()
    story.client.loop_stop()


def test_on_connect_comes_after_the_callback_that_reconnects(fickle: FakeBroker) -> None:
    client, told = mqtt.Client(), []

    @client.connect_callback()
    def connected(client: Any, *_: Any) -> None:
        told.append("connect")

    @client.disconnect_callback()
    def lost(client: Any, *_: Any) -> None:
        told.append("lost")
        if told.count("lost") < 3:
            client.reconnect()
            told.append("reconnected")

    client.reconnect_delay_set(3600)
    client.connect("127.0.0.1", fickle.port)
    with looping(client):
        assert wait_until(lambda: told.count("lost") == 3)
    assert told == ["connect", "lost", "reconnected"] * 2 + ["connect", "lost"]


def test_reconnecting_by_two_at_once(broker: Broker) -> None:
    story, ended = Story(), []
    story.client.connect("127.0.0.1", broker.port)
    with looping(story.client):
        threads = [
            threading.Thread(target=lambda: ended.append(story.client.reconnect()))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert ended == [mqtt.MQTT_ERR_SUCCESS] * 4 and not story.has("disconnect")
        assert wait_until(story.client.is_connected)


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_clean_session_knows_nothing_of_the_last_one(
    broker: Broker, topic: str, protocol: int
) -> None:
    story = Story(callback_api_version=V2, protocol=protocol)
    for times in (1, 2):
        story.client.connect("127.0.0.1", broker.port)
        with looping(story.client):
            assert wait_until(lambda times=times: story.has("connect", times))
            if times == 1:
                story.client.subscribe(topic, 1)
                assert wait_until(lambda: story.has("subscribe"))
            first = story.client.publish(topic, str(times), 1)
            first.wait_for_publish(PATIENCE)
            assert wait_until(lambda: story.has("message"))
            assert first.is_published()
    assert [m[0].payload for m in story.of("message")] == [b"1"]


def test_each_connect_with_a_clean_start_is_one(topic: str) -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 60
    with FakeBroker(b"\x20\x03\x00\x00\x00") as fake:
        client = mqtt.Client(V2, "id", protocol=mqtt.MQTTv5)
        for _ in range(3):
            client.connect("127.0.0.1", fake.port, clean_start=True, properties=properties)
            client.disconnect()
    assert [packet[9] for packet in fake.connects] == [2, 2, 2]


def test_the_first_connection_of_each_connect_is_clean() -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 60
    with FakeBroker(b"\x20\x03\x00\x00\x00") as fake:
        client = mqtt.Client(V2, "id", protocol=mqtt.MQTTv5)
        for _ in range(2):
            client.connect("127.0.0.1", fake.port, properties=properties)
            client.reconnect()
            client.disconnect()
            client.reconnect()
            client.disconnect()
    assert [packet[9] for packet in fake.connects] == [2, 0, 0] * 2


def test_what_waits_survives_disconnect_and_connect(broker: Broker, topic: str) -> None:
    client = mqtt.Client()
    client.connect("127.0.0.1", broker.port)
    client.disconnect()
    waiting = client.publish(topic, "x", 1)
    assert waiting.rc == mqtt.MQTT_ERR_NO_CONN
    told: list[int] = []
    client.on_publish = lambda _client, _userdata, mid: told.append(mid)
    client.connect("127.0.0.1", broker.port)
    with looping(client):
        assert wait_until(lambda: told == [waiting.mid])


# ---- without a loop ----


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_published_without_a_loop(broker: Broker, topic: str, qos: int) -> None:
    client = mqtt.Client()
    client.connect("127.0.0.1", broker.port)
    info = client.publish(topic, "x", qos)
    assert wait_until(info.is_published)
    info.wait_for_publish(PATIENCE)
    client.disconnect()
    assert info.is_published()


def test_loop_forever_after_loop_stop(broker: Broker) -> None:
    client, times = mqtt.Client(), []
    client.on_connect = lambda c, *_: times.append(1) or (len(times) == 2 and c.disconnect())
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert wait_until(lambda: times)
    client.loop_stop()
    client.connect("127.0.0.1", broker.port)
    client.loop_forever()
    assert len(times) == 2
