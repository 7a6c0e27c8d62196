"""python -m tern sub: subscribes to topics and prints what comes.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from .._core import TokenResult
from .._ffi import held
from ..errors import StateError, TernError
from ..message import Message
from ..requests import failure_of, subscription
from .cli import FAILED, OK, CommandLine, Option, Program, parse
from .run import Run

PROGRAM = Program(
    "python -m tern sub",
    "Subscribes to MQTT topics and prints the messages that come, one a line.",
    "[options] -t FILTER [-t FILTER...] [URL]",
    "URL is mqtt://[user[:password]@]host[:port] or unix:///path. While the broker is away\n"
    "it goes on trying, and subscribes again where the broker has lost the session.\n"
    "A message is acknowledged after it was printed.\n\n"
    "Exit status: 0 ended by -C or by SIGINT or SIGTERM, 1 wrong usage, 2 the broker cannot be\n"
    "used or refused a subscription, or the output could not be written, 27 -W passed first.\n",
    (
        Option("t", "topic", "FILTER", "what to subscribe to, + and # allowed; also several times"),
        Option("C", "", "COUNT", "end after so many messages"),
        Option("v", "verbose", "", "print the topic before each message"),
        Option("N", "", "", "print no newline after each message"),
    ),
)


class Subscriber(Run):
    """Prints messages, on the client's thread."""

    def __init__(self, line: CommandLine) -> None:
        super().__init__(line, ack="manual")
        self._wanted = line.number("C", "-C", 1, 4000000000, 0)
        self._printed = 0

    def on_message(self, message: Message) -> None:
        """What is not printed is not acknowledged: a kept session delivers it next time."""
        if self.over:
            return
        topic = message.topic.encode() + b" " if "verbose" in self.line else b""
        try:
            sys.stdout.buffer.write(topic + message.payload + (b"" if "N" in self.line else b"\n"))
            sys.stdout.buffer.flush()
        except OSError as error:
            self.line.tell(f"cannot write: {error.strerror}")
            self.end(FAILED)
            return
        with contextlib.suppress(StateError):  # stale: the broker sends it again
            message.ack()
        self._printed += 1
        if self._printed == self._wanted:
            self.end(OK)

    def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribes to all filters in one request, while callbacks go on."""
        qos = self.line.number("qos", "-q", 0, 2, 0)
        try:
            with subscription(filters, qos, 0, (), {}) as handle:
                self.client._core.start(self._subscribed, held.tern_client_subscribe_all, handle)
        except (TernError, ValueError) as error:
            text = error.detail if isinstance(error, TernError) else str(error)
            self.line.tell(f"cannot subscribe: {text}")
            self.end(1)

    def _subscribed(self, result: TokenResult) -> None:
        if result.error != 0 and not self.over:
            error = failure_of(result)
            text = error.detail if isinstance(error, TernError) else str(error)
            self.line.tell(f"cannot subscribe: {text}")
            self.end(FAILED)


def run(arguments: Sequence[str]) -> int:
    """Runs the program; returns the exit status."""
    line = parse(PROGRAM, arguments)
    filters = line.given.get("topic", []) + ([line.topic] if line.topic else [])
    if not filters:
        line.refuse("say what to subscribe to: -t FILTER")
    with Subscriber(line) as subscriber:
        subscriber.client.on_message = subscriber.on_message
        subscriber.subscribe(filters)
        if not subscriber.over:
            subscriber.client.connect(timeout=0)
        while not subscriber.over:
            subscriber.wait()
    _leave_output()
    return subscriber.status


def _leave_output() -> None:
    """Where the reader of the output is gone, the interpreter's flush at its end is not to tell."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
