"""The names, attributes and signatures of tern.paho, which are those of paho-mqtt.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from broker import Broker
from conftest import wait_until

import tern.paho.client as mqtt
from tern.paho.matcher import MQTTMatcher

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
