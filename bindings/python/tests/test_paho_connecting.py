"""How tern.paho connects, reconnects and is refused, against a real broker.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from broker import Broker, FakeBroker, free_port
from conftest import PATIENCE, wait_until
from story import V1, V2, Story

import tern.paho.client as mqtt
from tern.paho import publish, subscribe
from tern.paho.packettypes import PacketTypes
from tern.paho.properties import Properties


def test_nobody_listens() -> None:
    client = mqtt.Client()
    with pytest.raises(ConnectionRefusedError):
        client.connect("127.0.0.1", free_port())
    with pytest.raises(socket.gaierror):
        client.connect("no-such-host.invalid", 1883)
    assert client.loop(0) == mqtt.MQTT_ERR_NO_CONN
    assert client.disconnect() == mqtt.MQTT_ERR_NO_CONN


@pytest.mark.parametrize(
    "host",
    ["mqtt://127.0.0.1", "127.0.0.1:1883", " 127.0.0.1", "no host", "user@host", "a/b", "[::1"],
)
def test_what_is_no_host_fails_as_a_look_up(host: str) -> None:
    client, failures = mqtt.Client(), []
    with pytest.raises(socket.gaierror):
        client.connect(host)
    client.on_connect_fail = lambda *_: failures.append(1)
    client.reconnect_delay_set(0.01, 0.01)
    client.connect_async(host)
    client.loop_start()
    assert wait_until(lambda: len(failures) >= 3)
    client.disconnect()
    client.loop_stop()


def test_a_host_that_is_none_after_a_loss(own_broker: Broker) -> None:
    client, failures = mqtt.Client(), []

    @client.pre_connect_callback()
    def aim(client: Any, _userdata: Any) -> None:
        if client.port == 1883:
            client._host = "no host"

    client.on_disconnect = lambda *_: client.connect_async("127.0.0.1")
    client.on_connect_fail = lambda *_: failures.append(1)
    client.reconnect_delay_set(0.01, 0.01)
    client.connect("127.0.0.1", own_broker.port)
    client.loop_start()
    own_broker.stop()
    assert wait_until(lambda: len(failures) >= 3)
    client.disconnect()
    client.loop_stop()


def test_a_broker_that_comes_later(tmp_path: Any) -> None:
    broker = Broker(tmp_path)
    broker.port = free_port()
    story = Story()
    story.client.reconnect_delay_set(0.05, 0.1)
    with pytest.raises(ConnectionRefusedError):
        story.client.connect("127.0.0.1", broker.port)
    assert story.client.publish("later", "x", 1).rc == mqtt.MQTT_ERR_NO_CONN
    story.client.loop_start()
    assert wait_until(lambda: story.has("connect_fail"))
    assert broker.start()
    try:
        assert wait_until(lambda: story.has("connect") and story.has("publish"))
        story.client.disconnect()
        story.client.loop_stop()
    finally:
        broker.stop()


def test_connect_async(broker: Broker) -> None:
    story = Story()
    assert story.client.connect_async("127.0.0.1", broker.port) is None
    story.client.loop_start()
    assert wait_until(lambda: story.has("connect"))
    story.client.disconnect()
    assert wait_until(lambda: story.has("disconnect"))
    story.client.loop_stop()
    late = mqtt.Client()
    late.connect_async("127.0.0.1", free_port())
    with pytest.raises(ConnectionRefusedError):
        late.loop_forever()


def test_connect_async_while_connected(broker: Broker, own_broker: Broker) -> None:
    story, closed = Story(), []
    client = story.client
    client.on_socket_close = lambda *_: closed.append(1)
    client.reconnect_delay_set(0.05, 0.1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert wait_until(lambda: story.has("connect"))
    client.connect_async("127.0.0.1", own_broker.port)
    assert client.socket() is None and closed == [1]
    assert wait_until(lambda: story.has("connect", 2))
    assert client.is_connected() and closed == [1] and not story.has("disconnect")
    assert own_broker.log().count("New client connected") == 1
    client.disconnect()
    client.loop_stop()
    client.connect("127.0.0.1", broker.port)
    client.connect_async("127.0.0.1", broker.port)
    while client.loop(0.1) != mqtt.MQTT_ERR_NO_CONN:
        assert not client.is_connected()
    assert client.loop_misc() == mqtt.MQTT_ERR_NO_CONN and not story.has("connect", 3)
    client.disconnect()


def test_what_a_server_says_with_mqtt_5() -> None:
    agreed = b"\x21\x00\x05\x13\x00\x0a\x11\x00\x00\x00\x14\x24\x01\x25\x00"
    moved = b"\xe0\x0f\x9d\x0d\x1c\x00\x0ahost.local"
    connack = bytes([0x20, 3 + len(agreed), 0, 0, len(agreed)]) + agreed
    with FakeBroker(connack + moved) as fake:
        story = Story(callback_api_version=V2, client_id="id", protocol=mqtt.MQTTv5)
        story.client.connect("127.0.0.1", fake.port)
        while not story.has("disconnect"):
            story.client.loop(0.1)
        told = story.of("connect")[0][2].json()
        assert (told["ReceiveMaximum"], told["SessionExpiryInterval"]) == (5, 20)
        assert (told["ServerKeepAlive"], story.client.keepalive) == (10, 10)
        assert (told["MaximumQoS"], told["RetainAvailable"]) == (1, 0)
        _, reason, properties = story.of("disconnect")[0]
        assert reason == "Server moved" and properties.json() == {"ServerReference": "host.local"}
        story.client.disconnect()


def test_loop_start_before_connect(broker: Broker) -> None:
    story = Story()
    story.client.loop_start()
    assert story.client.loop_start() == mqtt.MQTT_ERR_INVAL
    story.client.connect("127.0.0.1", broker.port)
    assert wait_until(lambda: story.has("connect"))
    story.client.disconnect()
    story.client.loop_stop()
    assert story.client.loop_stop() == mqtt.MQTT_ERR_INVAL


def test_a_restart_is_survived(own_broker: Broker) -> None:
    story = Story()
    story.client.reconnect_delay_set(0.05, 0.2)
    story.client.connect("127.0.0.1", own_broker.port)
    story.client.subscribe("after/#", 1)
    story.client.loop_start()
    assert wait_until(lambda: story.has("subscribe"))
    own_broker.restart()
    assert wait_until(lambda: story.has("connect", 2))
    assert story.of("disconnect")[0] == (mqtt.MQTT_ERR_CONN_LOST,)
    story.client.publish("after/1", "x", 1).wait_for_publish(PATIENCE)
    assert wait_until(lambda: story.has("message"))
    story.client.disconnect()
    story.client.loop_stop()


def test_without_reconnecting(own_broker: Broker) -> None:
    story = Story(reconnect_on_failure=False)
    story.client.connect("127.0.0.1", own_broker.port)
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(story.client.loop_forever()))
    thread.start()
    assert wait_until(lambda: story.has("connect"))
    own_broker.stop()
    thread.join(PATIENCE)
    assert ended == [mqtt.MQTT_ERR_CONN_LOST] and story.has("disconnect")
    assert not story.has("connect", 2)
    assert own_broker.start()
    assert story.client.reconnect() == mqtt.MQTT_ERR_SUCCESS
    while not story.has("connect", 2):
        assert story.client.loop(1) == mqtt.MQTT_ERR_SUCCESS
    story.client.disconnect()
    assert story.has("disconnect", 2)


@pytest.mark.parametrize(("version", "protocol"), [(V1, 4), (V2, 4), (V1, 5), (V2, 5)])
def test_refused(tmp_path: Any, version: Any, protocol: int) -> None:
    broker = Broker(tmp_path)
    broker.extra = ["allow_anonymous false"]
    with broker:
        story = Story(callback_api_version=version, protocol=protocol)
        assert story.client.connect("127.0.0.1", broker.port) == mqtt.MQTT_ERR_SUCCESS
        assert story.client.loop(0) == mqtt.MQTT_ERR_CONN_REFUSED
        told = story.of("connect")[0]
        if version == V1 and protocol == 4:
            assert told[1] == 5
        else:
            assert told[1] == "Not authorized" and told[1].is_failure
        assert story.has("disconnect")
        assert story.client.loop(0) in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN)


def test_a_session_that_lasts(broker: Broker) -> None:
    first = mqtt.Client("lasting", clean_session=False)
    first.connect("127.0.0.1", broker.port)
    first.subscribe("lasting/#", 1)
    first.loop_start()
    first.publish("lasting/0", "x", 1).wait_for_publish(PATIENCE)
    first.disconnect()
    first.loop_stop()
    publish.single("lasting/1", "while away", 1, port=broker.port, hostname="127.0.0.1")
    story = Story(client_id="lasting", clean_session=False)
    story.client.connect("127.0.0.1", broker.port)
    story.client.loop_start()
    assert wait_until(lambda: any(m[0].payload == b"while away" for m in story.of("message")))
    assert story.of("connect")[0][0] == {"session present": 1}
    story.client.disconnect()
    story.client.loop_stop()


def test_properties_of_connect(broker: Broker) -> None:
    story = Story(callback_api_version=V2, protocol=mqtt.MQTTv5)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 60
    properties.ReceiveMaximum = 10
    properties.UserProperty = ("a", "b")
    story.client.connect("127.0.0.1", broker.port, properties=properties)
    story.client.loop(1)
    flags, reason, told = story.of("connect")[0]
    assert not flags.session_present and reason == 0 and reason == "Success"
    assert told.AssignedClientIdentifier and told.TopicAliasMaximum == 10
    story.client.disconnect()
    assert story.of("disconnect")[0][1] == "Normal disconnection"


def test_will(broker: Broker) -> None:
    watcher = Story()
    watcher.client.connect("127.0.0.1", broker.port)
    watcher.client.subscribe("will/#")
    watcher.client.loop_start()
    assert wait_until(lambda: watcher.has("subscribe"))
    program = """
import os, sys
import tern.paho.client as mqtt
client = mqtt.Client()
client.will_set("will/1", "gone", 1)
client.connect("127.0.0.1", int(sys.argv[1]))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program, str(broker.port)], check=True, timeout=60)
    assert wait_until(lambda: watcher.has("message"))
    assert watcher.of("message")[0][0].payload == b"gone"
    watcher.client.disconnect()
    watcher.client.loop_stop()


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_message_of_more_than_16_mib(broker: Broker, topic: str, protocol: int) -> None:
    story = Story(callback_api_version=V2, protocol=protocol)
    story.client.connect("127.0.0.1", broker.port)
    story.client.subscribe(topic, 1)
    story.client.loop_start()
    assert wait_until(lambda: story.has("subscribe"))
    payload = bytes(17 << 20)
    story.client.publish(topic, payload, 1)
    assert wait_until(lambda: story.has("message")) and not story.has("disconnect")
    assert story.of("message")[0][0].payload == payload
    story.client.disconnect()
    story.client.loop_stop()


def test_a_clean_start_whose_session_lasts() -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 60
    with FakeBroker(b"\x20\x03\x00\x00\x00") as fake:
        client = mqtt.Client(V2, "id", protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", fake.port, clean_start=True, properties=properties)
        assert fake.connects[0][9] & 2 and b"\x11\0\0\0\x3c" in fake.connects[0]
        client.disconnect()


def test_becoming_a_new_client(broker: Broker) -> None:
    story = Story()
    story.client.connect("127.0.0.1", broker.port)
    story.client.reinitialise("other", True, "data")
    assert story.client.user_data_get() == "data" and not story.client.is_connected()
    story.client.connect("127.0.0.1", broker.port)
    assert story.client.is_connected() and story.client.on_connect is None
    story.client.disconnect()


def test_the_end_of_the_interpreter(broker: Broker, topic: str) -> None:
    """What was published last is out, without a loop and without disconnect()."""
    program = """
import sys
import tern.paho.client as mqtt
client = mqtt.Client()
client.connect("127.0.0.1", int(sys.argv[1]))
for i in range(100):
    client.publish(sys.argv[2], str(i), 1, retain=True)
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, str(broker.port), topic]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert subscribe.simple(topic, hostname="127.0.0.1", port=broker.port).payload == b"99"
