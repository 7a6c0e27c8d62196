"""The programs of the users' guide to MQTT run on tern.paho with one changed line.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker import Broker
from certificates import make_certificates, mutual
from conftest import PATIENCE, wait_until

import tern

FOLDER = Path(__file__).with_name("document")
# The process stays until it is told to end, as that of a longer program would.
FRAME = """
import sys
with open(sys.argv.pop(1)) as file:
    text = file.read()
exec(compile(text, "program", "exec"))
print("at the end", flush=True)
sys.stdin.read()
"""


class Program:
    """A program of the guide in a process of its own."""

    def __init__(self, name: str, folder: Path, broker: Broker, before: str = "") -> None:
        text = (FOLDER / f"{name}.py").read_text("utf-8")
        assert text.count("import paho.mqtt.client as mqtt") == 1
        text = text.replace("import paho.mqtt.client as mqtt", "import tern.paho.client as mqtt")
        path = folder / f"{name}.py"
        path.write_text(before + text, "utf-8")
        host = "localhost" if name == "tls" else "127.0.0.1"
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", FRAME, str(path), host, str(broker.port)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def says(self, text: str, count: int = 1) -> bool:
        """Waits until it has printed a text."""
        return wait_until(lambda: sum(text in line for line in list(self.lines)) >= count)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ends it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts programs, and ends them after the test."""
    started: list[Program] = []

    def run(name: str, broker: Broker, before: str = "") -> Program:
        started.append(Program(name, tmp_path, broker, before))
        return started[-1]

    yield run
    for program in started:
        program.end(signal.SIGKILL)


def watcher(broker: Broker, filter: str, **options: Any) -> tern.Client:
    """Another client, that sees what programs publish."""
    client = tern.Client(broker.url, **options).connect()
    client.subscribe(filter, qos=1)
    return client


def test_the_first_program(start: Any, own_broker: Broker) -> None:
    program = start("first", own_broker)
    assert program.says("Received Hello World! on test/topic"), program.lines
    program.end(signal.SIGINT)
    assert program.lines[0] == "Connected" and "KeyboardInterrupt" in program.lines


def test_the_advanced_set_up(start: Any, tmp_path: Path, root: Path) -> None:
    make_certificates(root, tmp_path)
    for ours, theirs in (("ca.pem", "ca.crt"), ("client.pem", "client.crt")):
        shutil.copy(tmp_path / ours, tmp_path / theirs)
    broker = Broker(tmp_path)
    broker.extra = mutual(tmp_path)
    with broker:
        tls = tern.TLS(
            ca_file=tmp_path / "ca.pem",
            certificate_file=tmp_path / "client.pem",
            key_file=tmp_path / "client.key",
        )
        url = broker.url.replace("mqtt://127.0.0.1", "mqtts://localhost")
        with tern.Client(url, tls=tls) as client:
            client.subscribe("clients/#", qos=1)
            program = start("tls", broker)
            assert program.says("at the end"), program.lines
            program.end(signal.SIGKILL)
            message = client.receive(PATIENCE)
            assert (message.topic, message.text) == ("clients/client-id/status", "offline")


def test_the_class_around_the_client(start: Any, own_broker: Broker) -> None:
    with watcher(own_broker, "sensors/#") as client:
        program = start("client", own_broker)
        data = json.loads(client.receive(PATIENCE).text)
        assert data["temperature"] == 23.5 and data["humidity"] == 45.2
        assert program.says("Connected successfully") and program.says("at the end")
        # What it subscribed to in on_connect comes, as JSON and not.
        client.publish("sensors/room2/temperature", '{"a": 1}', qos=1)
        client.publish("sensors/room3/temperature", "twenty", qos=1)
        assert program.says("Message: {'a': 1}") and program.says("Raw message: b'twenty'")


def test_the_pool(start: Any, own_broker: Broker) -> None:
    with watcher(own_broker, "test/topic") as client:
        program = start("pool", own_broker)
        assert client.receive(PATIENCE).text == "Hello from pool!"
        assert program.says("at the end"), program.lines


def test_the_batches(start: Any, own_broker: Broker) -> None:
    with watcher(own_broker, "batch/messages") as client:
        program = start("batches", own_broker)
        seen = [json.loads(client.receive(PATIENCE).text) for _ in range(5)]
        topics = [message["topic"] for batch in seen for message in batch]
        assert topics == [f"sensor/{i}" for i in range(50)]
        assert program.says("Connected with result code 0")
        assert program.says("Published batch of 10 messages", 5)


def test_the_compression(start: Any, own_broker: Broker) -> None:
    # Its subscribe_with_decompression() uses a name that it never binds.
    program = start("compression", own_broker, before="qos = 1\n")
    text = "This is a large message that will be compressed" * 10
    assert program.says(f"Received: {text} on test/compressed"), program.lines
    assert program.says("Compressed: 470 -> ")


def test_the_backoff(start: Any, own_broker: Broker) -> None:
    program = start("backoff", own_broker)
    assert program.says("Connected successfully"), program.lines
    assert program.says("Received message: Hello from resilient client! on test/topic")
    own_broker.restart()
    assert program.says("Unexpected disconnection") and program.says("Reconnecting in ")
    assert program.says("Connected successfully", 2), program.lines
    program.end(signal.SIGINT)
    assert program.process.returncode == 0 and "at the end" in program.lines
