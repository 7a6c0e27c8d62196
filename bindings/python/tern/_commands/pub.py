"""python -m tern pub: publishes messages and ends when each has its outcome.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Optional

from .._check import c_string
from .._ffi import held
from ..enums import Outcome
from ..errors import TernError, TimeoutError
from ..outcomes import Delivery
from .cli import FAILED, OK, TIMEOUT, CommandLine, Option, Program, parse
from .run import Run

# With -l the outbox holds so much and no more is read: the sender of the lines waits.
LINES = {"outbox_bytes": 4 << 20, "outbox_messages": 10000}
CHUNK = 64 << 10
SOURCES = ("message", "file", "stdin-line", "stdin-file", "null-message")

PROGRAM = Program(
    "python -m tern pub",
    "Publishes MQTT messages, and ends when the outcome of each is known.",
    "[options] -t TOPIC (-m TEXT | -f FILE | -l | -s | -n) [URL]",
    "URL is mqtt://[user[:password]@]host[:port] or unix:///path. While the broker is away\n"
    "messages queue and it goes on trying; a name that does not exist and refused\n"
    "credentials end it at once.\n\n"
    "Exit status: 0 every message was delivered (QoS 0: sent), 1 wrong usage, 2 a message was\n"
    "not delivered or the broker cannot be used, 27 -W passed first.\n",
    (
        Option("t", "topic", "TOPIC", "where to publish"),
        Option("m", "message", "TEXT", "publish this text"),
        Option("f", "file", "FILE", "publish the file's contents as one message"),
        Option("l", "stdin-line", "", "publish each line of standard input as a message"),
        Option("s", "stdin-file", "", "publish all of standard input as one message"),
        Option("n", "null-message", "", "publish an empty message"),
        Option("r", "retain", "", "let the broker keep the message for later subscribers"),
    ),
)


class Publisher(Run):
    """Publishes, and counts outcomes."""

    def __init__(self, line: CommandLine, topic: str, **own: Any) -> None:
        super().__init__(line, **own)
        self._topic = topic
        self._qos = line.number("qos", "-q", 0, 2, 0)
        self._retain = "retain" in line
        self.accepted = 0
        self.settled = 0
        self.good = 0

    def _options(self) -> Any:
        c_string("topic", self._topic)  # before there is a connection to tell of
        return super()._options()

    def on_delivery(self, told: Delivery) -> None:
        """Told on the client's thread."""
        count = told.last_id - told.first_id + 1
        if told.outcome in (Outcome.DELIVERED, Outcome.SENT):
            self.good += count
        else:
            self._tell_outcome(told)
        self.settled += count
        self.wake()

    def _tell_outcome(self, told: Delivery) -> None:
        which = f"message {told.first_id}"
        if told.first_id != told.last_id:
            which = f"messages {told.first_id} to {told.last_id}"
        if told.outcome == Outcome.REFUSED and told.reason_code >= 0:
            why = held.tern_reason_text(told.reason_code).decode()
        else:
            why = held.tern_cause_name(int(told.cause)).decode()
        self.line.tell(f"{which}: {told.outcome.name} ({why})")

    def publish(self, payload: bytes) -> None:
        """Publishes one message; waits for room as long as the run goes on."""
        while not self.late():
            try:
                self.client.publish(self._topic, payload, self._qos, self._retain)
            except TimeoutError:
                continue
            except (TernError, ValueError) as error:
                self.fail(error)
                return
            self.accepted += 1
            return

    def publish_file(self, name: str) -> None:
        """Publishes a file's contents."""
        try:
            with open(name, "rb") as file:
                contents = file.read()
        except OSError as error:
            self.line.tell(f"cannot open '{name}': {error.strerror}")
            self.end(FAILED)
            return
        self.publish(contents)

    def publish_input(self) -> None:
        """Publishes all of standard input as one message."""
        parts = []
        while (part := self._read()) is not None:
            parts.append(part)
            if not part:
                self.publish(b"".join(parts))
                return

    def publish_lines(self) -> None:
        """Publishes lines as they come."""
        rest = b""
        while (part := self._read()) is not None:
            lines = (rest + part).split(b"\n")
            rest = lines.pop() if part else b""
            for line in lines if part or lines[-1] else lines[:-1]:
                self.publish(line)
            if not part:
                return

    def _read(self) -> Optional[bytes]:
        """What comes on standard input; empty at its end, None where the run is over."""
        while not self.over:
            if self.wait(0):
                try:
                    return os.read(0, CHUNK)
                except OSError as error:
                    self.line.tell(f"cannot read: {error.strerror}")
                    self.end(FAILED)
        return None

    def publish_all(self) -> None:
        """Publishes what the command line asks for, and waits for the outcomes."""
        message, file = self.line.get("message"), self.line.get("file")
        if message is not None:
            self.publish(os.fsencode(message))
        elif file is not None:
            self.publish_file(file)
        elif "stdin-line" in self.line:
            self.publish_lines()
        elif "stdin-file" in self.line:
            self.publish_input()
        else:
            self.publish(b"")
        while not self.over and self.settled < self.accepted:
            self.wait()
        self.end(OK if self.good == self.accepted else FAILED)


def run(arguments: Sequence[str]) -> int:
    """Runs the program; returns the exit status."""
    line = parse(PROGRAM, arguments)
    topic = line.get("topic") or line.topic
    if topic is None:
        line.refuse("say where to publish: -t TOPIC")
    if sum(len(line.given.get(name, ())) for name in SOURCES) != 1:
        line.refuse("say what to publish: one of -m, -f, -l, -s and -n")
    with Publisher(line, topic, **(LINES if "stdin-line" in line else {})) as publisher:
        publisher.client.on_delivery = publisher.on_delivery
        publisher.client.connect(timeout=0)
        publisher.publish_all()
    missing = publisher.accepted - publisher.good
    if publisher.status == TIMEOUT:
        line.tell(f"time is up: {missing} of {publisher.accepted} messages were not delivered")
    return FAILED if publisher.status == OK and missing else publisher.status
