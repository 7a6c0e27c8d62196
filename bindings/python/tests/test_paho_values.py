"""What tern.paho's programs hold: reason codes, properties, options of subscriptions, messages.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any, Callable
from unittest import mock

import pytest
from broker import Broker
from conftest import wait_until

import tern.paho.client as mqtt
from tern.paho import MQTTException
from tern.paho.packettypes import PacketTypes
from tern.paho.properties import Properties, VariableByteIntegers
from tern.paho.reasoncodes import ReasonCode
from tern.paho.subscribeoptions import SubscribeOptions

ORDERS = (operator.lt, operator.le, operator.eq, operator.ne, operator.ge, operator.gt)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("other", (0, 134, 135, 136))
def test_reason_codes_have_the_order_of_their_numbers(
    order: Callable[[Any, Any], bool], other: int
) -> None:
    reason = ReasonCode(PacketTypes.CONNACK, identifier=135)
    assert order(reason, other) == order(135, other)
    assert order(other, reason) == order(other, 135)
    assert order(reason, ReasonCode.told(PacketTypes.SUBACK, other)) == order(135, other)


def test_reason_codes_and_strangers() -> None:
    reason = ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")
    assert reason != "1" and reason != 1.5 and reason is not None and reason in (1,)
    assert {1: "found"}[reason] == "found"  # type: ignore[index]
    with pytest.raises(TypeError):
        assert reason < "2"


def test_reason_codes_by_name_and_number() -> None:
    assert ReasonCode(PacketTypes.CONNACK, "Bad user name or password") == 134
    assert str(ReasonCode(PacketTypes.DISCONNECT)) == "Normal disconnection"
    assert ReasonCode(PacketTypes.UNSUBACK, identifier=17) == "No subscription found"
    assert ReasonCode(PacketTypes.SUBACK, identifier=0).getId("Not authorized") == 135
    for packet, name in (
        (PacketTypes.SUBACK, "Success"),  # also what is made without a name
        (PacketTypes.CONNACK, "not authorized"),
        (PacketTypes.CONNACK, "Granted QoS 1"),
    ):
        with pytest.raises(KeyError, match=name):
            ReasonCode(packet, name)
    with pytest.raises(ValueError, match="16 is not one of"):
        ReasonCode(PacketTypes.CONNACK, identifier=16)
    with pytest.raises(KeyError):
        ReasonCode(PacketTypes.CONNACK, identifier=250)


def test_reason_codes_of_packets() -> None:
    reason = ReasonCode(PacketTypes.SUBACK, identifier=0x80)
    assert reason.pack() == b"\x80"
    assert reason.unpack(b"\x87rest") == 1 and reason == 0x87
    with pytest.raises(ValueError):
        reason.unpack(b"\x04")
    assert reason == "Not authorized"


def test_what_a_broker_must_not_say_is_told_all_the_same() -> None:
    assert str(ReasonCode.told(PacketTypes.DISCONNECT, 0x85)) == "Client Identifier not valid"
    assert ReasonCode.told(PacketTypes.SUBACK, 250).is_failure


def test_reason_codes_are_those_of_paho() -> None:
    paho = pytest.importorskip("paho.mqtt.reasoncodes").ReasonCode
    for packet in range(16):
        for value in range(256):
            try:
                known = paho(packet, identifier=value)
            except (KeyError, ValueError) as error:
                with pytest.raises(type(error)):
                    ReasonCode(packet, identifier=value)
                continue
            ours = ReasonCode(packet, identifier=value)
            assert (str(ours), repr(ours)) == (str(known), repr(known))
            assert (ours.is_failure, ours.pack()) == (known.is_failure, known.pack())
            assert ReasonCode(packet, known.getName()).value == value
    assert {value: set(named) for value, named in ReasonCode.names.items()} == {
        value: set(named) for value, named in paho.names.items()
    }


def test_a_return_code_of_3_1_1_as_a_reason_code() -> None:
    assert mqtt.convert_connack_rc_to_reason_code(connack_code=4) == "Bad user name or password"


# ---- properties and options ----


def full(properties: Any) -> Any:
    """Properties of a PUBLISH with one of each kind."""
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 70000
    properties.ContentType = "text/plain"
    properties.CorrelationData = b"\x01\x02"
    properties.SubscriptionIdentifier = [200, 3]
    properties.TopicAlias = 5
    properties.UserProperty = ("a", "1")
    properties.UserProperty = [("b", "2"), ("b", "3")]
    return properties


def test_properties_are_packed_and_unpacked() -> None:
    properties = full(Properties(PacketTypes.PUBLISH))
    packed = properties.pack()
    assert packed[0] == len(packed) - 1
    again, size = Properties(PacketTypes.PUBLISH).unpack(packed + b"rest")
    assert size == len(packed) and again.json() == properties.json()
    assert Properties(PacketTypes.PUBLISH).pack() == b"\0"


@pytest.mark.parametrize("packed", (b"", b"\xff\xff\xff\xff", b"\5\1\1", b"\1\x7f", b"\2\2\1"))
def test_broken_properties_are_malformed(packed: bytes) -> None:
    with pytest.raises(mqtt.MalformedPacket):
        Properties(PacketTypes.PUBLISH).unpack(packed)


def test_properties_that_do_not_belong_there_are_not_unpacked() -> None:
    for packed in (b"\4\1\1\1\1", b"\3\x21\0\1"):  # twice; one of CONNECT's
        with pytest.raises(MQTTException):
            Properties(PacketTypes.PUBLISH).unpack(packed)


@pytest.mark.parametrize(
    ("packet", "name", "value"),
    (
        (PacketTypes.PUBLISH, "PayloadFormatIndicator", 2),
        (PacketTypes.PUBLISH, "PayloadFormatIndicator", "s"),
        (PacketTypes.PUBLISH, "TopicAlias", 0),
        (PacketTypes.PUBLISH, "SubscriptionIdentifier", 0),
        (PacketTypes.PUBLISH, "UserProperty", ("a",)),
        (PacketTypes.PUBLISH, "UserProperty", ["ab", ("a", 1)]),
        (PacketTypes.PUBLISH, "CorrelationData", "text"),
        (PacketTypes.PUBLISH, "ContentType", 5),
        (PacketTypes.PUBLISH, "topicAlias", 1),
        (PacketTypes.CONNECT, "ReceiveMaximum", 0),
        (PacketTypes.CONNECT, "SessionExpiryInterval", 1 << 32),
        (PacketTypes.CONNECT, "ReasonString", "not of this packet"),
        (PacketTypes.WILLMESSAGE, "ServerKeepAlive", 1),
    ),
)
def test_wrong_properties_raise(packet: int, name: str, value: object) -> None:
    with pytest.raises(MQTTException, match=name):
        setattr(Properties(packet), name, value)


def test_properties_know_names_and_identifiers() -> None:
    properties = Properties(PacketTypes.PUBLISH)
    assert properties.getIdentFromName("ContentType") == properties.names["Content Type"] == 3
    assert properties.getIdentFromName("Nope") == -1
    assert properties.getNameFromIdent(38) == "User Property"
    assert properties.allowsMultiple("UserProperty")
    assert not properties.allowsMultiple("ContentType")


def test_properties_and_options_are_packed_as_those_of_paho() -> None:
    paho = pytest.importorskip("paho.mqtt.properties")
    theirs, ours = full(paho.Properties(3)), full(Properties(3))
    assert theirs.pack() == ours.pack() and str(theirs) == str(ours)
    assert Properties(3).unpack(theirs.pack())[0].json() == theirs.json() == ours.json()
    assert theirs.names == ours.names
    for number in (0, 127, 128, 16383, 16384, 268435455):
        packed = paho.VariableByteIntegers.encode(number)
        assert packed == VariableByteIntegers.encode(number)
        assert VariableByteIntegers.decode(packed + b"!") == (number, len(packed))
    options = pytest.importorskip("paho.mqtt.subscribeoptions").SubscribeOptions
    for arguments in ((), (1, True, False, 2), (2, False, True, 1)):
        one, other = options(*arguments), SubscribeOptions(*arguments)
        assert (one.pack(), str(one), one.json()) == (other.pack(), str(other), other.json())


def test_options_of_a_subscription() -> None:
    options = SubscribeOptions()
    assert options.unpack(b"\x2d!") == 1
    assert options.json() == SubscribeOptions(1, True, True, 2).json()
    with pytest.raises(MQTTException, match="nolocal"):
        options.nolocal = True
    with pytest.raises(AssertionError, match="QoS"):
        SubscribeOptions(3)
    with pytest.raises(AssertionError, match="retainHandling"):
        options.retainHandling = 7


def test_a_topic_alias_is_tern_s_business(broker: Broker, topic: str) -> None:
    client, came = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5), []
    client.on_message = lambda _client, _userdata, message: came.append(message)
    client.connect("127.0.0.1", broker.port)
    client.subscribe(topic, 1)
    alias = Properties(PacketTypes.PUBLISH)
    alias.TopicAlias = 1
    alias.ContentType = b"text/plain"  # paho-mqtt takes bytes for text too
    client.publish(topic, "x", 1, properties=alias)
    assert wait_until(lambda: client.loop(0.1) == 0 and came)
    assert came[0].properties is not None and came[0].properties.ContentType == "text/plain"
    with pytest.raises(ValueError, match="TopicAlias"):
        client.publish("", "x", properties=alias)
    client.disconnect()


@pytest.mark.parametrize("topic", ("", None, b"bytes"))
def test_what_is_no_topic_is_an_error(topic: Any) -> None:
    for qos in (0, 1):
        with pytest.raises(ValueError, match="Invalid topic"):
            mqtt.Client(mqtt.CallbackAPIVersion.VERSION2).publish(topic, "x", qos)


# ---- messages ----


@pytest.fixture
def received(broker: Broker, topic: str) -> mqtt.MQTTMessage:
    """A message that came over MQTT 5."""
    came: list[mqtt.MQTTMessage] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_connect = lambda *_: client.subscribe(topic, 1)
    client.on_subscribe = lambda *_: client.publish(topic, "payload", 1, properties=rich)
    client.on_message = lambda _client, _userdata, message: came.append(message)
    rich = Properties(PacketTypes.PUBLISH)
    rich.UserProperty = ("a", "b")
    client.connect("127.0.0.1", broker.port)
    assert wait_until(lambda: client.loop(0.1) == 0 and came)
    client.disconnect()
    return came[0]


def test_a_received_message_can_be_changed(received: mqtt.MQTTMessage) -> None:
    for value in (b"other/topic", "other/topic"):
        received.topic = value
        assert received.topic == "other/topic"
    received.payload, received.qos, received.retain, received.mid = b"other", 2, True, 9
    assert (received.payload, received.qos, received.retain, received.mid) == (b"other", 2, True, 9)


@pytest.mark.parametrize(
    "again", (copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)))
)
def test_a_received_message_can_be_copied(
    received: mqtt.MQTTMessage, topic: str, again: Callable[[Any], mqtt.MQTTMessage]
) -> None:
    copied = again(received)
    assert type(copied) is mqtt.MQTTMessage and copied == received and copied.mid > 0
    assert (copied.topic, copied.payload, copied.qos) == (topic, b"payload", 1)
    assert copied.properties is not None and copied.properties.UserProperty == [("a", "b")]
    assert copied.timestamp == received.timestamp and not copied.retain
    copied.topic = b"another"
    assert received.topic == topic


def test_what_a_message_has_not_is_an_attribute_error(received: mqtt.MQTTMessage) -> None:
    assert getattr(received, "nope", "default") == "default"
    with pytest.raises(AttributeError):
        type(received).__new__(type(received)).payload  # noqa: B018
    with pytest.raises(AttributeError):
        received.quality = 1  # type: ignore[attr-defined]


def test_a_message_of_the_programs_own() -> None:
    message = mqtt.MQTTMessage(3, b"a/b")
    assert (message.topic, message.mid, message.info.mid) == ("a/b", 3, 3)
    assert message.state == mqtt.mqtt_ms_invalid and message.properties is None
    assert pickle.loads(pickle.dumps(message)).topic == "a/b"
    assert mock.create_autospec(mqtt.MQTTMessage).payload is not None


def test_what_publish_returns_is_a_tuple_of_old() -> None:
    info = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2).publish("a", "x", 1)
    assert str(info) == str((mqtt.MQTT_ERR_NO_CONN, info.mid))
    assert (next(info), info.next()) == tuple(info) == (info[0], info[1])
    with pytest.raises(StopIteration):
        next(info)
