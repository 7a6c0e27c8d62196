"""The names, attributes and signatures of tern.paho, which are those of paho-mqtt.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
import time
from typing import Any
from unittest import mock

import pytest
from broker import Broker, FakeBroker, free_port
from conftest import PATIENCE, wait_until

import tern.paho
import tern.paho.client as mqtt
from tern.paho import publish
from tern.paho.matcher import MQTTMatcher
from tern.paho.subscribeoptions import SubscribeOptions

V1, V2 = mqtt.CallbackAPIVersion.VERSION1, mqtt.CallbackAPIVersion.VERSION2


# ---- callbacks ----


class Subclassed(mqtt.Client):
    """As paho-mqtt's example of a subclass: its callbacks are methods."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.told: list[Any] = []
        self.wanted = f"subclass/{id(self)}"

    def on_connect(self, _client: Any, _userdata: Any, _flags: Any, rc: Any, *_: Any) -> None:
        self.told.append(("connect", int(rc)))
        self.subscribe(self.wanted)

    def on_subscribe(self, _client: Any, _userdata: Any, *_: Any) -> None:
        self.publish(self.wanted, "hi", 1)

    def on_publish(self, *_: Any) -> None:
        self.told.append("publish")

    def on_message(self, client: Any, userdata: Any, message: mqtt.MQTTMessage) -> None:
        self.told.append((client is self, userdata, message.payload))

    def on_log(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("version", (V1, V2))
def test_methods_of_a_subclass_are_callbacks(
    version: mqtt.CallbackAPIVersion, broker: Broker
) -> None:
    client = Subclassed(version, userdata="mine")
    client.connect("127.0.0.1", broker.port)
    assert wait_until(lambda: client.loop(0.1) == 0 and len(client.told) >= 3)
    assert client.told[0] == ("connect", 0) and "publish" in client.told
    assert (True, "mine", b"hi") in client.told
    client.disconnect()


def test_an_attribute_stands_in_for_a_method_until_reinitialise() -> None:
    client, told = Subclassed(V2), []
    client.on_message = lambda *_: told.append(1)  # type: ignore[method-assign]
    client.on_connect_fail = print
    client.on_message(client, None, mqtt.MQTTMessage())
    assert told == [1]
    client.reinitialise("anew")
    assert client.on_message.__func__ is Subclassed.on_message  # type: ignore[attr-defined]
    assert client.on_connect_fail is None


def test_mocks_of_the_client_know_its_callbacks() -> None:
    assert mock.create_autospec(mqtt.Client).return_value.on_message
    assert mock.MagicMock(spec=mqtt.Client).on_connect
    with mock.patch.object(mqtt.Client, "on_message") as patched:
        assert mqtt.Client(V2).on_message is patched
    assert mqtt.Client(V2).on_message is None


# ---- filters ----

FILTERS = ("#", "+", "+/#", "/#", "a", "a/", "a/#", "a/+", "a/b/#", "+/+", "/+", "$SYS/#", "$SYS/+")
TOPICS = ("a", "a/", "a/b", "a/b/c", "/a", "/", "$SYS/x", "$SYS", "", "a//b", "$share/g/a", "é/x")


def test_the_matcher_finds_what_the_c_library_finds() -> None:
    matcher = MQTTMatcher()
    for sub in FILTERS:
        matcher[sub] = sub
    for topic in TOPICS:
        found = sorted(matcher.iter_match(topic))
        assert found == sorted(sub for sub in FILTERS if mqtt.topic_matches_sub(sub, topic)), topic


def test_the_matcher_forgets() -> None:
    matcher = MQTTMatcher()
    matcher["a/b"], matcher["a"], matcher["a/b/c"] = 1, None, 3
    assert matcher["a/b"] == 1 and matcher["a"] is None
    del matcher["a/b"], matcher["a/b/c"]
    assert list(matcher.iter_match("a/b")) == list(matcher.iter_match("a/b/c")) == []
    assert list(matcher.iter_match("a")) == [None]
    del matcher["a"]
    assert matcher._root == {}
    for key in ("a", "a/b", "x"):
        with pytest.raises(KeyError):
            matcher[key]
        with pytest.raises(KeyError):
            del matcher[key]


def test_topics_match_as_in_paho() -> None:
    paho = pytest.importorskip("paho.mqtt.client")
    for sub in (*FILTERS, "$share/g/a", "$share/+/a"):
        for topic in TOPICS:
            expected = paho.topic_matches_sub(sub, topic)
            assert mqtt.topic_matches_sub(sub, topic) == expected, (sub, topic)


# ---- attributes ----


def test_settings_are_attributes(broker: Broker) -> None:
    client = mqtt.Client(V2)
    assert (client.host, client.port, client.keepalive) == ("", 1883, 60)
    assert (client.transport, client.protocol, client.connect_timeout) == ("tcp", 4, 5.0)
    assert (client.username, client.password, client.logger) == (None, None, None)
    assert (client.will_topic, client.will_payload) == ("", b"")
    assert (client.max_inflight_messages, client.max_queued_messages) == (20, 0)
    client.host, client.port, client.keepalive = "127.0.0.1", broker.port, 30
    client.username, client.password = "user", b"secret"
    client.will_set("will", "gone")
    assert (client.username, client.password) == ("user", "secret")
    assert (client.will_topic, client.will_payload) == ("will", b"gone")
    assert client.reconnect() == mqtt.MQTT_ERR_SUCCESS and client.is_connected()
    for name, value in (("host", "h"), ("keepalive", 5), ("username", "u"), ("password", None)):
        with pytest.raises(RuntimeError, match=name):
            setattr(client, name, value)
    client.disconnect()


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("host", ""),
        ("port", 0),
        ("keepalive", -1),
        ("transport", "pigeon"),
        ("connect_timeout", 0),
        ("max_inflight_messages", -1),
        ("max_queued_messages", -1),
    ),
)
def test_settings_that_cannot_be(name: str, value: object) -> None:
    with pytest.raises(ValueError):
        setattr(mqtt.Client(V2), name, value)


def test_the_timeout_of_connect_takes_effect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = mqtt.Client(V2)
        client.connect_timeout = 0.2
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            client.connect(*silent.getsockname())
        assert time.monotonic() - began < 3


def test_the_size_of_the_queue_takes_effect() -> None:
    client = mqtt.Client(V2)
    client.max_queued_messages, client.max_inflight_messages = 1, 1
    assert (client.max_queued_messages, client.max_inflight_messages) == (1, 1)
    assert [int(client.publish("a", "b", 1).rc) for _ in range(3)] == [4, 15, 15]


# ---- logging ----


def test_what_is_to_be_logged_may_be_said_after_connect(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    client, lines = mqtt.Client(V2, "logs", reconnect_on_failure=False), []
    client.connect("127.0.0.1", broker.port)
    client.on_log = lambda _client, _userdata, level, text: lines.append((level, text))
    caplog.set_level(logging.DEBUG)
    client.enable_logger(logging.getLogger("mine"))
    assert client.logger is logging.getLogger("mine")
    takeover = mqtt.Client(V2, "logs")
    takeover.connect("127.0.0.1", broker.port)
    assert wait_until(lambda: (client.loop(0.1) or True) and lines)
    assert {record.name for record in caplog.records} == {"mine"}
    assert all(isinstance(level, mqtt.LogLevel) for level, _ in lines)
    client.logger = None
    caplog.clear()
    takeover.disconnect()
    with contextlib.suppress(OSError):
        client.reconnect()
    assert not caplog.records
    client.disconnect()


def test_the_logger_without_a_name_is_tern_s() -> None:
    client = mqtt.Client(V2)
    client.enable_logger()
    assert client.logger is logging.getLogger("tern")
    client.disable_logger()
    assert client.logger is None


# ---- what 1.6 and its programs have ----


def test_loops_take_the_arguments_of_both_versions(broker: Broker) -> None:
    client = mqtt.Client("loops-of-1.6", True, None, mqtt.MQTTv311)
    client.on_connect = lambda *_: client.disconnect()
    client.connect("127.0.0.1", broker.port)
    assert client.loop_forever(1, 1, True) == mqtt.MQTT_ERR_SUCCESS
    client.on_connect = None
    client.connect("127.0.0.1", broker.port)
    assert client.loop(0.1, 1) == client.loop(timeout=0, max_packets=5) == 0
    assert client.loop_write(1) == client.loop_write() == 0
    client.message_retry_set(5)
    client.disconnect()


def test_the_second_argument_of_loop_forever_may_be_that_of_2() -> None:
    client, failures = mqtt.Client(V2), []
    client.connect_async("127.0.0.1", free_port())
    with pytest.raises(OSError):
        client.loop_forever(0.1, 1)
    client.reconnect_delay_set(0.01, 0.01)
    client.connect_async("127.0.0.1", free_port())
    client.on_connect_fail = lambda *_: failures.append(1) or failures[3:] and client.disconnect()
    client.loop_forever(0.1, True)
    assert len(failures) > 3


def test_names_of_1_6() -> None:
    assert mqtt.base62(12345) == "3d7" and mqtt.base62(5, padding=3) == "005"
    assert (mqtt.mqtt_cs_new, mqtt.mqtt_cs_connect_async, mqtt.mqtt_ms_queued) == (0, 3, 9)
    assert issubclass(mqtt.WebsocketConnectionError, (ValueError, ConnectionError))
    assert mqtt.ssl.CERT_NONE == 0 and mqtt.socket.error is OSError and mqtt.time.time() > 0
    assert tern.paho.__version__.startswith("2.")


@pytest.mark.parametrize("name", ("enable_bridge_mode", "drop_out_messages", "connect_srv"))
def test_what_is_not_there_says_so(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        getattr(mqtt.Client(V2), name)()


def test_the_constructor_has_the_signature_of_2() -> None:
    names = list(inspect.signature(mqtt.Client).parameters)
    assert names[:3] == ["callback_api_version", "client_id", "clean_session"]
    assert list(inspect.signature(Subclassed).parameters) == ["arguments", "named"]


def test_what_asyncio_wrappers_do_with_the_socket(broker: Broker) -> None:
    client = mqtt.Client(V2)
    assert client.socket() is client._sock is None
    client.connect("127.0.0.1", broker.port)
    watch = client._sock
    assert watch is not None and watch is client.socket() and watch.pending() == 0
    watch.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    assert watch.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert watch.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == bytes(8)
    client.disconnect()


# ---- arguments ----


def test_wrong_filters_are_errors_where_paho_is_silent() -> None:
    client = mqtt.Client(V2)
    for wrong in ("a/#/b", "", "a+"):
        with pytest.raises(ValueError):
            client.message_callback_add(wrong, print)
    for nothing in ([], "", [""]):
        with pytest.raises(ValueError):
            client.unsubscribe(nothing)


def test_publishing_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        publish.multiple([])


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
@pytest.mark.parametrize("wrong", ["a/#/b", "a+", "a/b#", [("a", 0), ("#/a", 1)], "x" * 65536])
def test_wrong_filters_are_errors_before_there_is_a_connection(protocol: Any, wrong: Any) -> None:
    with pytest.raises(ValueError):
        mqtt.Client(V2, protocol=protocol).subscribe(wrong)


def test_unsubscribing_from_what_is_no_list() -> None:
    for wrong in (5, None, {"a"}):
        with pytest.raises(ValueError):
            mqtt.Client(V2).unsubscribe(wrong)


def test_options_of_subscribe_beside_a_qos(broker: Broker, topic: str) -> None:
    client, granted = mqtt.Client(V2), []
    client.on_subscribe = lambda _client, _userdata, _mid, codes, _: granted.extend(codes)
    client.connect("127.0.0.1", broker.port)
    assert client.subscribe(topic, 1, options=SubscribeOptions(2))[0] == mqtt.MQTT_ERR_SUCCESS
    while not granted:
        assert client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS
    assert granted == [1]  # MQTT 3.1.1 has no options
    client.disconnect()
    for wrong in (SubscribeOptions(2), SubscribeOptions(0)):
        with pytest.raises(ValueError):
            mqtt.Client(V2, protocol=mqtt.MQTTv5).subscribe(topic, 1, options=wrong)


@pytest.mark.parametrize("protocol", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_password_without_a_user_name_stays_here(protocol: Any) -> None:
    with FakeBroker(b"\x20\x03\x00\x00\x00" if protocol == 5 else b"\x20\x02\x00\x00") as fake:
        client = mqtt.Client(V2, "id", protocol=protocol)
        client.username_pw_set(None, "secret")
        client.connect("127.0.0.1", fake.port)
        assert fake.connects[0][9] == 2 and b"secret" not in fake.connects[0]
        assert client.password == "secret"
        client.disconnect()


# ---- the queue ----


@pytest.mark.parametrize("most", [0, 65536, 1_000_000])
def test_more_in_flight_than_mqtt_can_have(broker: Broker, topic: str, most: int) -> None:
    client = mqtt.Client(V2)
    client.max_inflight_messages_set(most)
    client.connect("127.0.0.1", broker.port)
    info = client.publish(topic, "x", 1)
    info.wait_for_publish(PATIENCE)
    assert info.is_published() and client.max_inflight_messages == most
    client.disconnect()


def test_the_queue_counts_messages_without_an_outcome(broker: Broker, topic: str) -> None:
    client, told = mqtt.Client(V2), []
    client.max_queued_messages_set(2)
    client.on_publish = lambda _client, _userdata, mid, *_: told.append(mid)
    client.connect("127.0.0.1", broker.port)
    for _ in range(3):
        infos = [client.publish(topic, "x", qos) for qos in (1, 2, 1)]
        assert [int(info.rc) for info in infos] == [0, 0, 15]
        while infos[1].mid not in told or infos[0].mid not in told:
            assert client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS
    client.disconnect()


def test_the_queue_does_not_count_qos_0(topic: str) -> None:
    with FakeBroker() as silent:
        client = mqtt.Client(V2)
        client.connect("127.0.0.1", silent.port)
        client.max_queued_messages_set(1)
        qos = (0, 1, 1, 0, 0, 1, 0)
        codes = [int(client.publish(topic, "x", one).rc) for one in qos]
        assert codes == [0, 0, 15, 0, 0, 15, 0]
        client.max_queued_messages_set(0)
        assert [client.publish(topic, "x", 1).rc for _ in range(5)] == [0] * 5
        client.disconnect()
