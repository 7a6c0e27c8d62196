"""Constructors, settings and wrong arguments of tern.paho.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any

import pytest
from story import V1, V2

import tern.paho.client as mqtt
from tern.paho import MQTTException
from tern.paho.packettypes import PacketTypes
from tern.paho.properties import Properties
from tern.paho.reasoncodes import ReasonCode
from tern.paho.subscribeoptions import SubscribeOptions


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
