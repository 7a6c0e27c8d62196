"""One program through paho-mqtt and through tern.paho, whose stories are compared.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from broker import Broker
from conftest import PATIENCE, wait_until
from story import Story

import tern.paho.client as mqtt


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
