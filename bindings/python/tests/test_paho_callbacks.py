"""When tern.paho calls callbacks, and what becomes of what they raise; as in paho-mqtt.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from broker import Broker, FakeBroker, free_port
from conftest import PATIENCE, wait_until
from story import V1, V2, Story

import tern.paho.client as mqtt
from tern.paho import publish


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What comes to sys.unraisablehook."""
    came: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: came.append(told.exc_type))
    return came


def raising(*_: Any) -> None:
    """A callback with a bug."""
    raise ZeroDivisionError("a bug")


# ---- what callbacks raise ----


def test_suppressed_exceptions_are_logged(
    broker: Broker, topic: str, caplog: pytest.LogCaptureFixture, unraisable: list[Any]
) -> None:
    client, lines = mqtt.Client(V2), []
    client.suppress_exceptions = True
    client.enable_logger(logging.getLogger("suppressed"))
    client.on_log = lambda _client, _userdata, level, text: lines.append((level, text))
    client.on_connect = raising
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert wait_until(lambda: any(level == mqtt.MQTT_LOG_ERR for level, _ in lines))
    client.on_message = raising
    client.subscribe(topic)
    client.publish(topic, "x")
    assert wait_until(lambda: caplog.text.count("ZeroDivisionError('a bug')") == 2)
    client.disconnect()
    client.loop_stop()
    assert not unraisable


def test_exceptions_are_logged_and_raised(broker: Broker) -> None:
    client, errors = mqtt.Client(V2), []
    client.on_log = lambda _client, _userdata, level, text: level == 8 and errors.append(text)
    client.on_connect = raising
    client.connect("127.0.0.1", broker.port)
    with pytest.raises(ZeroDivisionError):
        client.loop_forever()
    assert len(errors) == 1 and "a bug" in errors[0]
    client.disconnect()


def test_suppressing_does_not_keep_a_program_from_ending(broker: Broker) -> None:
    client = mqtt.Client(V2)
    client.suppress_exceptions = True
    client.on_connect = lambda *_: sys.exit(3)
    client.connect("127.0.0.1", broker.port)
    with pytest.raises(SystemExit):
        wait_until(lambda: client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS)
    client.disconnect()


@pytest.mark.parametrize("name", ["on_disconnect", "on_socket_close"])
def test_disconnect_without_a_loop_raises_what_its_callbacks_raise(
    broker: Broker, name: str
) -> None:
    client = mqtt.Client(V2)
    setattr(client, name, raising)
    client.connect("127.0.0.1", broker.port)
    with pytest.raises(ZeroDivisionError):
        client.disconnect()
    assert not client.is_connected()


def test_what_on_log_raises_goes_nowhere(broker: Broker, unraisable: list[Any]) -> None:
    story = Story(callback_api_version=V2)
    story.client.on_log = raising
    story.client.connect("127.0.0.1", broker.port)
    assert wait_until(lambda: story.client.loop(0.1) == 0 and story.has("connect"))
    story.client.loop_start()
    story.client.disconnect()
    story.client.loop_stop()
    assert not unraisable


def test_what_on_connect_fail_raises_ends_no_loop(unraisable: list[Any]) -> None:
    client, failures = mqtt.Client(V2), []

    @client.connect_fail_callback()
    def failed(client: Any, _userdata: Any) -> None:
        failures.append(1)
        if len(failures) == 4:
            client.disconnect()
        raising()

    client.reconnect_delay_set(0.01, 0.01)
    client.connect_async("127.0.0.1", free_port())
    with pytest.raises(ConnectionRefusedError):
        client.loop_forever()
    client.loop_forever(retry_first_connection=True)
    assert len(failures) == 4 and not unraisable


# ---- without a loop ----


def test_on_publish_is_called_by_publish_without_a_loop(broker: Broker, topic: str) -> None:
    for version in (V1, V2):
        client, told = mqtt.Client(version), []
        client.on_publish = lambda _client, _userdata, mid, *_, told=told: told.append(mid)
        client.connect("127.0.0.1", broker.port)
        infos = []
        for number in range(5):
            infos.append(client.publish(topic, str(number)))
            assert told == [info.mid for info in infos]
        late = client.publish(topic, "x", 1)
        late.wait_for_publish(PATIENCE)
        assert late.mid not in told
        while late.mid not in told:
            assert client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS
        client.on_publish = raising
        with pytest.raises(ZeroDivisionError):
            client.publish(topic, "x")
        client.disconnect()


def test_in_loops_publish_calls_nothing(broker: Broker, topic: str) -> None:
    client, order = mqtt.Client(V2), []

    @client.connect_callback()
    def connected(client: Any, *_: Any) -> None:
        client.publish(topic, "x")
        order.append("published")

    client.on_publish = lambda *_: order.append("told") or client.disconnect()
    client.connect("127.0.0.1", broker.port)
    client.loop_forever()
    assert order == ["published", "told"]
    client.on_connect = None
    client.on_publish = lambda *_: order.append("told again")
    client.on_socket_register_write = lambda *_: None
    client.connect("127.0.0.1", broker.port)
    client.publish(topic, "x").wait_for_publish(PATIENCE)
    assert order == ["published", "told"]
    client.disconnect()


# ---- after disconnect() ----


@pytest.mark.parametrize("threaded", [False, True])
def test_no_message_comes_after_disconnect(broker: Broker, topic: str, threaded: bool) -> None:
    where: dict[str, Any] = {"hostname": "127.0.0.1", "port": broker.port}
    publish.multiple([(f"{topic}/{i:02}", str(i), 1, True) for i in range(20)], **where)
    story = Story(callback_api_version=V2)

    def third(client: Any, _userdata: Any, message: Any) -> None:
        story.told.append(("message", message.payload))
        if story.has("message", 3):
            client.publish(topic[::-1], "x", 1)
            client.disconnect()

    story.client.on_message = third
    story.client.on_connect = lambda client, *_: client.subscribe(topic + "/#", 1)
    story.client.connect("127.0.0.1", broker.port)
    if threaded:
        story.client.loop_start()
        assert wait_until(lambda: story.has("disconnect"))
        story.client.loop_stop()
    else:
        story.client.loop_forever()
    assert story.of("message") == [(b"0",), (b"1",), (b"2",)] and story.has("publish")


@pytest.mark.parametrize("qos", [1, 2])
def test_a_session_brings_again_what_came_after_disconnect(
    broker: Broker, topic: str, qos: int
) -> None:
    where: dict[str, Any] = {"hostname": "127.0.0.1", "port": broker.port}
    story = Story(client_id=topic.replace("/", "-"), clean_session=False)

    def third(client: Any, _userdata: Any, message: Any) -> None:
        story.told.append(("message", message.payload))
        if story.has("message", 3):
            client.disconnect()

    client = story.client
    client.connect("127.0.0.1", broker.port)
    client.subscribe(topic, qos)
    assert wait_until(lambda: client.loop(0.1) == 0 and story.has("subscribe"))
    client.disconnect()
    publish.multiple([(topic, str(i), qos) for i in range(8)], **where)
    client.on_message = third
    client.connect("127.0.0.1", broker.port)
    client.loop_forever()
    client.on_message = lambda c, u, message: story.told.append(("message", message.payload))
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert wait_until(lambda: story.has("message", 8))
    client.disconnect()
    client.loop_stop()
    assert story.of("message") == [(str(i).encode(),) for i in range(8)]


# ---- a broker that refuses ----


@pytest.mark.parametrize(("version", "protocol"), [(V1, 4), (V2, 4), (V1, 5), (V2, 5)])
def test_disconnect_where_on_connect_tells_of_a_refusal(version: Any, protocol: int) -> None:
    connack = b"\x20\x03\x00\x87\x00" if protocol == 5 else b"\x20\x02\x00\x05"
    with FakeBroker(connack) as fake:
        story, done = Story(callback_api_version=version, protocol=protocol), []
        told = story.client.on_connect
        story.client.on_connect = lambda c, *rest: (told(c, *rest), done.append(c.disconnect()))
        story.client.connect("127.0.0.1", fake.port)
        assert story.client.loop_forever() == mqtt.MQTT_ERR_SUCCESS
        assert done == [mqtt.MQTT_ERR_SUCCESS]
        ((first, *rest),) = story.of("disconnect")
        assert (rest[0] if version == V2 else first) == 0
        if protocol == 5:
            assert story.of("connect")[0][2].isEmpty()


def test_sockets_of_refused_attempts(tmp_path: Any) -> None:
    with Broker(tmp_path, "allow_anonymous false") as broker:
        client, told = mqtt.Client(V2), []
        for name in ("pre_connect", "socket_open", "connect", "socket_close", "disconnect"):
            setattr(client, f"on_{name}", lambda *_, name=name: told.append(name))
        client.reconnect_delay_set(0, 0.05)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        assert wait_until(lambda: told.count("disconnect") >= 3)
        client.disconnect()
        client.loop_stop()
        once = ["pre_connect", "socket_open", "connect", "socket_close", "disconnect"]
        assert told[:15] == once * 3
