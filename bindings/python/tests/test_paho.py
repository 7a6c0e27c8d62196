"""tern.paho against a real broker, and beside paho-mqtt itself.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from broker import Broker, FakeBroker, free_port
from conftest import PATIENCE, wait_until

import tern.paho.client as mqtt
from tern.paho import MQTTException, publish, subscribe
from tern.paho.packettypes import PacketTypes
from tern.paho.properties import Properties
from tern.paho.reasoncodes import ReasonCode
from tern.paho.subscribeoptions import SubscribeOptions

V1, V2 = mqtt.CallbackAPIVersion.VERSION1, mqtt.CallbackAPIVersion.VERSION2


class Story:
    """A client whose callbacks write down what they are told."""

    def __init__(self, module: Any = mqtt, **arguments: Any) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.client = module.Client(**arguments)
        for name in ("connect", "disconnect", "message", "publish", "subscribe", "unsubscribe"):
            setattr(self.client, f"on_{name}", self._writer(name))
        self.client.on_connect_fail = lambda *_: self.told.append(("connect_fail",))

    def _writer(self, name: str) -> Any:
        def write(_client: Any, _userdata: Any, *arguments: Any) -> None:
            self.told.append((name, *arguments))

        return write

    def has(self, name: str, count: int = 1) -> bool:
        """Whether a callback was called that often."""
        return len(self.of(name)) >= count

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """What a callback was told."""
        return [told[1:] for told in list(self.told) if told[0] == name]


def plain(value: Any) -> Any:
    """A callback's argument as both libraries show it."""
    name = type(value).__name__
    if name == "MQTTMessage" or name == "Received":
        kept = (value.topic, bytes(value.payload), value.qos, bool(value.retain), bool(value.dup))
        return (*kept, None if value.properties is None else plain(value.properties))
    if name in ("ReasonCode", "ReasonCodes"):
        return ("reason", value.value, value.getName(), value.is_failure)
    if name == "Properties":
        return ("properties", plain(value.json()))
    if name in ("ConnectFlags", "DisconnectFlags"):
        return tuple(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(one) for one in value)
    return int(value) if isinstance(value, int) else value


def script(module: Any, properties: Any, options: Any, port: int, **arguments: Any) -> list[Any]:
    """Does all that there is to do once, and returns what callbacks and calls said."""
    story = Story(module, **arguments)
    client, said = story.client, []
    v5 = arguments.get("protocol") == module.MQTTv5
    said.append(tuple(client.subscribe("a"))[0])
    said.append(client.publish("s/1", "x", 0).rc)
    said.append(client.connect("127.0.0.1", port))
    client.loop_start()
    assert wait_until(lambda: story.has("connect"))
    said.append(client.is_connected())
    with_options = [("s/#", options(qos=1, noLocal=False))] if v5 else [("s/#", 1), ("t/+", 2)]
    mids = [client.subscribe(with_options)[1]]
    assert wait_until(lambda: story.has("subscribe"))
    first = client.publish("s/text", "grüße", 1)
    first.wait_for_publish(PATIENCE)
    said.append((int(first.rc), first.is_published(), list(first)[0], first[1] == first.mid))
    for payload in (b"bytes", bytearray(b"array"), 5, 1.5, None):
        client.publish("s/kinds", payload, 1)
    if v5:
        rich = properties(module_packets(module).PUBLISH)
        rich.ContentType = "text/plain"
        rich.MessageExpiryInterval = 100
        rich.CorrelationData = b"\x01\x02"
        rich.UserProperty = ("a", "b")
        rich.UserProperty = [("c", "d"), ("c", "e")]
        client.publish("s/rich", "rich", 1, properties=rich)
    assert wait_until(lambda: story.has("message", 7 if v5 else 6))
    mids.append(client.unsubscribe("s/#")[1])
    assert wait_until(lambda: story.has("unsubscribe"))
    said.append(len(set(mids)) == 2 and [one[0] for one in story.of("unsubscribe")] == mids[1:])
    client.disconnect()  # paho-mqtt says NO_CONN now and then: its thread was quicker
    assert wait_until(lambda: story.has("disconnect"))
    client.loop_stop()
    said.append(client.is_connected())
    calls: list[Any] = []
    for name in ("connect", "disconnect", "message", "subscribe", "unsubscribe", "publish"):
        told = [plain(one) for one in story.of(name)]
        # Message ids are each library's own affair.
        calls.append(
            (
                name,
                [
                    one[1:]
                    if "s" in name
                    and name != "connect"
                    and name != "disconnect"
                    and name != "message"
                    else one
                    for one in told
                ],
            )
        )
    return [plain(said), calls]


def module_packets(module: Any) -> Any:
    """PacketTypes of the same library."""
    return importlib.import_module(module.__name__.replace("client", "packettypes")).PacketTypes


@pytest.mark.parametrize("version", ["VERSION1", "VERSION2"])
@pytest.mark.parametrize("protocol", ["MQTTv311", "MQTTv5"])
@pytest.mark.filterwarnings("ignore:Callback API version 1")
def test_the_same_program_has_the_same_story(broker: Broker, version: str, protocol: str) -> None:
    """Paho-mqtt and tern.paho, side by side."""
    theirs = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
    if not hasattr(theirs, "CallbackAPIVersion"):
        pytest.skip("paho-mqtt 1.x has one version of callbacks; test_debian runs beside it")
    stories = []
    for module in (theirs, mqtt):
        base = module.__name__.rpartition(".")[0]
        stories.append(
            script(
                module,
                importlib.import_module(base + ".properties").Properties,
                importlib.import_module(base + ".subscribeoptions").SubscribeOptions,
                broker.port,
                callback_api_version=getattr(module.CallbackAPIVersion, version),
                client_id="story",
                protocol=getattr(module, protocol),
            )
        )
    assert stories[1] == stories[0]


# ---- constructors and settings ----


def test_constructors_of_both_times() -> None:
    for client in (
        mqtt.Client(),
        mqtt.Client("id"),
        mqtt.Client("id", False),
        mqtt.Client("id", True, "data", mqtt.MQTTv311, "tcp", True, False),
        mqtt.Client(client_id="id", clean_session=True),
        mqtt.Client(V1, "id"),
    ):
        assert client.callback_api_version == V1
    assert mqtt.Client(V2, "id").callback_api_version == V2
    assert mqtt.Client(callback_api_version=V2, protocol=mqtt.MQTTv5).protocol == mqtt.MQTTv5
    assert mqtt.Client("id", userdata=5).user_data_get() == 5


@pytest.mark.parametrize(
    "arguments",
    [
        {"clean_session": False},
        {"clean_session": True, "protocol": mqtt.MQTTv5},
        {"transport": "pigeon"},
        {"protocol": mqtt.MQTTv31},
        {"callback_api_version": "id"},
        {"protocol": 9},
    ],
)
def test_wrong_constructors(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        mqtt.Client(**arguments)


WRONG = [
    (lambda c: c.publish("a/+", "x", 1), ValueError),
    (lambda c: c.publish("a/#", "x", 0), ValueError),
    (lambda c: c.publish("", "x", 1), ValueError),
    (lambda c: c.publish("a", "x", 3), ValueError),
    (lambda c: c.publish("a", object(), 1), TypeError),
    (lambda c: c.subscribe("a", 3), ValueError),
    (lambda c: c.subscribe([]), ValueError),
    (lambda c: c.subscribe(""), ValueError),
    (lambda c: c.subscribe(5), ValueError),
    (lambda c: c.subscribe([("a", 5)]), ValueError),
    (lambda c: c.unsubscribe(""), ValueError),
    (lambda c: c.unsubscribe([]), ValueError),
    (lambda c: c.connect(""), ValueError),
    (lambda c: c.connect("a", 0), ValueError),
    (lambda c: c.connect("a", 70000), ValueError),
    (lambda c: c.connect("a", keepalive=-1), ValueError),
    (lambda c: c.connect("a", bind_port=5), ValueError),
    (lambda c: c.connect("a", properties=Properties(PacketTypes.CONNECT)), ValueError),
    (lambda c: c.connect_srv("a"), ValueError),
    (lambda c: c.reconnect(), ValueError),
    (lambda c: c.will_set("", "x"), ValueError),
    (lambda c: c.will_set("a", "x", 3), ValueError),
    (lambda c: c.max_queued_messages_set("5"), TypeError),
    (lambda c: c.max_queued_messages_set(-1), ValueError),
    (lambda c: c.max_inflight_messages_set(-1), ValueError),
    (lambda c: c.tls_insecure_set(True), ValueError),
    (lambda c: c.tls_set("/no/such/file"), FileNotFoundError),
    (lambda c: c.tls_set(keyfile=__file__), ValueError),
    (lambda c: c.tls_set_context("context"), TypeError),
    (lambda c: c.proxy_set(proxy_type=9, proxy_addr="a"), ValueError),
    (lambda c: c.proxy_set(proxy_type=3), ValueError),
    (lambda c: c.message_callback_add("a/#/b", print), ValueError),
    (lambda c: c.message_callback_add("a", None), ValueError),
    (lambda c: c.loop(-1), ValueError),
    (lambda c: setattr(Properties(PacketTypes.PUBLISH), "Colour", 1), MQTTException),
    (lambda c: setattr(Properties(PacketTypes.CONNACK), "ContentType", "a"), MQTTException),
    (lambda c: setattr(Properties(PacketTypes.PUBLISH), "TopicAlias", 70000), MQTTException),
    (lambda c: ReasonCode(PacketTypes.PUBACK, "no such name"), KeyError),
    (lambda c: SubscribeOptions(qos=3), AssertionError),
]


@pytest.mark.parametrize(("call", "error"), WRONG)
def test_wrong_calls(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(mqtt.Client())


def test_names_and_texts() -> None:
    assert (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_QUEUE_SIZE, mqtt.CONNACK_ACCEPTED) == (0, 15, 0)
    assert mqtt.topic_matches_sub("a/+/#", "a/b/c") and not mqtt.topic_matches_sub("a", "b")
    assert "full" in mqtt.error_string(mqtt.MQTT_ERR_QUEUE_SIZE)
    assert "user name" in mqtt.connack_string(4)
    assert mqtt.connack_string(ReasonCode(PacketTypes.CONNACK, identifier=0x87)) == "Not authorized"
    assert ReasonCode(PacketTypes.SUBACK, "Granted QoS 1").value == 1
    theirs = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
    same = [name for name in dir(theirs) if name.isupper() or name.startswith(("MQTT_", "CONN"))]
    ours = {name: getattr(mqtt, name, None) for name in same if name.startswith("MQTT_")}
    missing = [name for name, value in ours.items() if value is None]
    assert missing in ([], ["MQTT_BRIDGE", "MQTT_CLIENT"])
    assert all(
        int(value) == int(getattr(theirs, name))
        for name, value in ours.items()
        if value is not None
    )


# ---- connecting ----


def test_nobody_listens() -> None:
    client = mqtt.Client()
    with pytest.raises(ConnectionRefusedError):
        client.connect("127.0.0.1", free_port())
    with pytest.raises(socket.gaierror):
        client.connect("no-such-host.invalid", 1883)
    assert client.loop(0) == mqtt.MQTT_ERR_NO_CONN
    assert client.disconnect() == mqtt.MQTT_ERR_NO_CONN


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


# ---- loops ----


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


# ---- messages ----


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


def test_becoming_a_new_client(broker: Broker) -> None:
    story = Story()
    story.client.connect("127.0.0.1", broker.port)
    story.client.reinitialise("other", True, "data")
    assert story.client.user_data_get() == "data" and not story.client.is_connected()
    story.client.connect("127.0.0.1", broker.port)
    assert story.client.is_connected() and story.client.on_connect is None
    story.client.disconnect()


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


def test_fork(broker: Broker) -> None:
    program = """
import os, sys
import tern.paho.client as mqtt
client = mqtt.Client()
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
child = os.fork()
if child == 0:
    other = mqtt.Client()
    other.connect("127.0.0.1", int(sys.argv[1]))
    other.publish("fork", "child", 1).wait_for_publish(10)
    other.disconnect()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
client.publish("fork", "parent", 1).wait_for_publish(10)
client.disconnect()
client.loop_stop()
print("done")
"""
    command = [sys.executable, "-c", program, str(broker.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n", done.stderr
