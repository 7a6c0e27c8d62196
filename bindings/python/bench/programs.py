"""The same work through each library: programs.py LIBRARY ROW PORT MESSAGES.

It prints how many messages a second there were, from the first call until the last message was
acknowledged, written, or received. Times include everything but importing and connecting.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import os
import sys
import threading
import time
from typing import Any, Callable

SIZE = 256
INFLIGHT = 1000
TOPIC = "bench/topic"
PAYLOAD = b"x" * SIZE


def blast(qos: int, count: int) -> str:
    """The filter at which the sink sends messages."""
    return f"blast/{qos}/{SIZE}/{count}/{INFLIGHT}"


# ---- paho-mqtt, and tern.paho: one program, one line that differs ----


class Paho:
    """paho-mqtt's client, or Tern's of the same name."""

    module = "paho.mqtt.client"

    def __init__(self, port: int) -> None:
        self.mqtt: Any = importlib.import_module(self.module)
        versions = getattr(self.mqtt, "CallbackAPIVersion", None)  # since 2.0
        first = [] if versions is None else [versions.VERSION2]
        self.client = self.mqtt.Client(*first, client_id="bench", protocol=self.mqtt.MQTTv5)
        self.client.max_inflight_messages_set(INFLIGHT)
        connected = threading.Event()
        self.client.on_connect = lambda *_: connected.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert connected.wait(10)

    def publish(self, qos: int, count: int) -> None:
        done = threading.Event()
        left = count

        def on_publish(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done.set()

        self.client.on_publish = on_publish
        publish = self.client.publish
        for _ in range(count):
            publish(TOPIC, PAYLOAD, qos)
        assert done.wait(300)

    def receive(self, qos: int, count: int) -> None:
        done = threading.Event()
        left = count

        def on_message(_client: Any, _userdata: Any, message: Any) -> None:
            nonlocal left
            left -= len(message.payload) == SIZE
            if left == 0:
                done.set()

        self.client.on_message = on_message
        self.client.subscribe(blast(qos, count), qos)
        assert done.wait(300)


class TernPaho(Paho):
    """The same program on Tern."""

    module = "tern.paho.client"


# ---- tern.Client ----


class Tern:
    """The blocking client."""

    def __init__(self, port: int) -> None:
        tern: Any = importlib.import_module("tern")
        self.client = tern.Client(
            f"mqtt://127.0.0.1:{port}", client_id="bench", inflight_maximum=INFLIGHT
        ).connect()

    def publish(self, qos: int, count: int) -> None:
        publish = self.client.publish
        for _ in range(count):
            publish(TOPIC, PAYLOAD, qos)
        self.client.flush(300)

    def receive(self, qos: int, count: int) -> None:
        done = threading.Event()
        left = count

        def on_message(message: Any) -> None:
            nonlocal left
            left -= len(message.payload) == SIZE
            if left == 0:
                done.set()

        self.client.on_message = on_message
        self.client.subscribe(blast(qos, count), qos)
        assert done.wait(300)


class TernMany(Tern):
    """Many messages a call."""

    def publish(self, qos: int, count: int) -> None:
        self.client.publish_many(((TOPIC, PAYLOAD) for _ in range(count)), qos)
        self.client.flush(300)


# ---- asyncio ----


class Asyncio:
    """Programs on an event loop; the loop runs while work is done."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seconds = 0.0

    def publish(self, qos: int, count: int) -> None:
        asyncio.run(self._publish(qos, count))

    def receive(self, qos: int, count: int) -> None:
        asyncio.run(self._receive(qos, count))

    async def _publish(self, qos: int, count: int) -> None:
        raise NotImplementedError

    async def _receive(self, qos: int, count: int) -> None:
        raise NotImplementedError


async def publish_concurrently(publish: Callable[..., Any], qos: int, count: int) -> None:
    """One after the other for QoS 0; a hundred at a time where each waits for the broker."""
    if qos == 0:
        for _ in range(count):
            await publish(TOPIC, PAYLOAD, qos=0)
        return
    for _ in range(count // 100):
        await asyncio.gather(*[publish(TOPIC, PAYLOAD, qos=qos) for _ in range(100)])


class Aiomqtt(Asyncio):
    """aiomqtt, which stands on paho-mqtt."""

    def _client(self) -> Any:
        aiomqtt: Any = importlib.import_module("aiomqtt")
        client = aiomqtt.Client(
            "127.0.0.1",
            self.port,
            identifier="bench",
            protocol=aiomqtt.ProtocolVersion.V5,
            max_inflight_messages=INFLIGHT,
        )
        client.pending_calls_threshold = INFLIGHT  # else it logs a warning for each beyond ten
        return client

    async def _publish(self, qos: int, count: int) -> None:
        async with self._client() as client:
            start = time.perf_counter()
            await publish_concurrently(client.publish, qos, count)
            self.seconds = time.perf_counter() - start

    async def _receive(self, qos: int, count: int) -> None:
        async with self._client() as client:
            start = time.perf_counter()
            await client.subscribe(blast(qos, count), qos)
            async for message in client.messages:
                count -= len(message.payload) == SIZE
                if count == 0:
                    break
            self.seconds = time.perf_counter() - start


class TernAio(Asyncio):
    """The asyncio client."""

    def _client(self) -> Any:
        aio: Any = importlib.import_module("tern.aio")
        return aio.Client(
            f"mqtt://127.0.0.1:{self.port}", client_id="bench", inflight_maximum=INFLIGHT
        )

    async def _publish(self, qos: int, count: int) -> None:
        async with self._client() as client:
            start = time.perf_counter()
            await publish_concurrently(client.publish, qos, count)
            await client.flush()
            self.seconds = time.perf_counter() - start

    async def _receive(self, qos: int, count: int) -> None:
        async with self._client() as client:
            start = time.perf_counter()
            await client.subscribe(blast(qos, count), qos)
            async for message in client.messages():
                count -= len(message.payload) == SIZE
                if count == 0:
                    break
            self.seconds = time.perf_counter() - start


# ---- libmosquitto through ctypes, without a binding around it ----


class MosquittoMessage(ctypes.Structure):
    """struct mosquitto_message."""

    _fields_ = [
        ("mid", ctypes.c_int),
        ("topic", ctypes.c_char_p),
        ("payload", ctypes.c_void_p),
        ("payloadlen", ctypes.c_int),
        ("qos", ctypes.c_int),
        ("retain", ctypes.c_bool),
    ]


class Mosquitto:
    """What ctypes alone costs: libmosquitto's functions, called as plainly as it goes."""

    def __init__(self, port: int) -> None:
        self.library = library = ctypes.CDLL("libmosquitto.so.1")
        library.mosquitto_new.restype = ctypes.c_void_p
        library.mosquitto_lib_init()
        self.client = ctypes.c_void_p(library.mosquitto_new(b"bench", True, None))
        library.mosquitto_int_option(self.client, 1, 5)  # MOSQ_OPT_PROTOCOL_VERSION
        library.mosquitto_max_inflight_messages_set(self.client, INFLIGHT)
        pointer = ctypes.c_void_p
        self.on_publish = ctypes.CFUNCTYPE(None, pointer, pointer, ctypes.c_int)
        self.on_message = ctypes.CFUNCTYPE(None, pointer, pointer, ctypes.POINTER(MosquittoMessage))
        connected = threading.Event()
        self.keep: list[Any] = [self.on_publish(lambda *_: connected.set())]
        library.mosquitto_connect_callback_set(self.client, self.keep[0])
        assert library.mosquitto_connect(self.client, b"127.0.0.1", port, 60) == 0
        assert library.mosquitto_loop_start(self.client) == 0
        assert connected.wait(10)

    def publish(self, qos: int, count: int) -> None:
        done = threading.Event()
        left = count

        def on_publish(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done.set()

        self.keep.append(self.on_publish(on_publish))
        self.library.mosquitto_publish_callback_set(self.client, self.keep[-1])
        publish, client, topic = self.library.mosquitto_publish, self.client, TOPIC.encode()
        for _ in range(count):
            publish(client, None, topic, SIZE, PAYLOAD, qos, False)
        assert done.wait(300)

    def receive(self, qos: int, count: int) -> None:
        done = threading.Event()
        left = count

        def on_message(_client: Any, _userdata: Any, message: Any) -> None:
            nonlocal left
            came = message.contents
            left -= len(ctypes.string_at(came.payload, came.payloadlen)) == SIZE
            if left == 0:
                done.set()

        self.keep.append(self.on_message(on_message))
        self.library.mosquitto_message_callback_set(self.client, self.keep[-1])
        self.library.mosquitto_subscribe(self.client, None, blast(qos, count).encode(), qos)
        assert done.wait(300)


LIBRARIES: dict[str, tuple[type[Any], str]] = {
    "paho-mqtt": (Paho, "paho.mqtt.client"),
    "tern.paho": (TernPaho, "tern.paho.client"),
    "tern.Client": (Tern, "tern"),
    "tern, many a call": (TernMany, "tern"),
    "aiomqtt": (Aiomqtt, "aiomqtt"),
    "tern.aio": (TernAio, "tern.aio"),
    "libmosquitto": (Mosquitto, "ctypes"),
}


def main(library: str, row: str, port: str, messages: str) -> None:
    """Does the work once."""
    work, qos = row.split()
    program = LIBRARIES[library][0](int(port))
    count = int(messages)
    start = time.perf_counter()
    getattr(program, work)(int(qos), count)
    seconds = getattr(program, "seconds", 0) or time.perf_counter() - start
    print(count / seconds, flush=True)
    os._exit(0)  # ending is not measured, and not all libraries end quickly


if __name__ == "__main__":
    main(*sys.argv[1:])
