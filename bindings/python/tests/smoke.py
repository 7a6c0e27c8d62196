"""The main job through an installed package: smoke.py URL. Needs nothing but Python.

It publishes a hundred messages of each QoS while it is offline and online, receives them, and says
what became of each, with all three kinds of clients.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import sys
import threading
from urllib.parse import urlsplit

import tern
import tern.aio
import tern.paho.client as mqtt

COUNT = 100
PATIENCE = 20.0


def blocking(url: str) -> None:
    """Messages wait for the connection, and come back."""
    client = tern.Client(url)
    early = [client.publish("smoke/early", str(i), qos=1) for i in range(COUNT)]
    client.connect()
    client.subscribe([f"smoke/{qos}" for qos in range(3)], qos=2)
    late = [
        client.publish(f"smoke/{qos}", str(i), qos=qos) for qos in range(3) for i in range(COUNT)
    ]
    client.flush(PATIENCE)
    outcomes = {one.outcome for one in early + late}
    assert outcomes == {tern.Outcome.DELIVERED, tern.Outcome.SENT}, outcomes
    got = [client.receive(PATIENCE) for _ in late]
    for qos in range(3):
        texts = [message.text for message in got if message.topic == f"smoke/{qos}"]
        assert texts == [str(i) for i in range(COUNT)], texts
    client.close()


async def asynchronous(url: str) -> None:
    """The same on an event loop."""
    async with tern.aio.Client(url) as client:
        await client.subscribe("smoke/#", qos=1)
        for i in range(COUNT):
            await client.publish("smoke/aio", str(i), qos=1)
        got = [(await client.receive()).text for _ in range(COUNT)]
        assert got == [str(i) for i in range(COUNT)]


def paho(url: str) -> None:
    """The same by the API of paho-mqtt."""
    client, got, done = mqtt.Client(), [], threading.Event()

    def on_message(client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        got.append(int(message.payload))
        if len(got) == COUNT:
            done.set()

    client.on_message = on_message
    parts = urlsplit(url)
    client.connect(parts.hostname or "", parts.port or 1883)
    client.subscribe("smoke/paho", 1)
    client.loop_start()
    for i in range(COUNT):
        client.publish("smoke/paho", i, 1)
    assert done.wait(PATIENCE) and got == list(range(COUNT))
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    blocking(sys.argv[-1])
    asyncio.run(asynchronous(sys.argv[-1]))
    paho(sys.argv[-1])
    print(f"tern {tern.__version__}: {tern.__file__}: all messages were delivered and came back")
