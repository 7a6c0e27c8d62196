"""A run: a client, one place to wait, and what its events come to for a program.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Optional, TypeVar

from .._core import LOG
from ..client import Client
from ..enums import ErrorClass, EventKind, LogLevel, OutboxPolicy, Session, Step
from ..errors import TernError
from ..event import Event
from .cli import FAILED, OK, TIMEOUT, USAGE, CommandLine

Self = TypeVar("Self", bound="Run")
PATIENCE = 5.0  # seconds that what is on its way has at the end
_FLAGS = {
    "tls.ca_file": "--cafile",
    "tls.ca_directory": "--capath",
    "tls.certificate_file": "--cert",
    "tls.key_password": "--keypass",
    "tls.ciphers": "--ciphers",
    "tls.alpn": "--tls-alpn",
    "tls.psk": "--psk-identity",
    "local_address": "-A",
    "proxy": "--proxy",
    "client_id": "-i",
    "username": "-u",
    "password": "-P",
    "topic": "-t",
}


class _Printer(logging.Handler):
    """Tells log records as the program's own."""

    def __init__(self, line: CommandLine) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.tell(record.getMessage())


class Run:
    """A program's client, from its making to the exit status."""

    client: Client

    def __init__(self, line: CommandLine, **own: Any) -> None:
        self.line = line
        self.over = False
        self.status = OK
        self._connected_once = False
        self._own = own
        self._signals = 0
        self._armed = True
        self._wake = os.pipe()
        os.set_blocking(self._wake[1], False)  # where it is full, waking is under way
        patience = line.number("timeout", "-W", 1, 1000000, 0)
        self._deadline = time.monotonic() + patience if patience else None

    def __enter__(self: Self) -> Self:
        self._handlers = {
            number: signal.signal(number, self._interrupt)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        # A signal that comes between Python's last look for them and a wait would not end the wait.
        self._wakeup = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        if "debug" in self.line:
            LOG.setLevel(1)
            LOG.addHandler(_Printer(self.line))
        try:
            self.client = Client(self.line.url, **self._options())
        except (TernError, TypeError, ValueError) as error:
            self.fail(error)
            raise SystemExit(self.status) from None
        self.client.on_event = self.on_event
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool:
        """Closes the client; an interrupt is an end like others."""
        self._armed = False
        signal.set_wakeup_fd(self._wakeup)
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            self.client.close(0)
            return False
        if kind is not None:
            self.end(OK)
        self.over = True
        with contextlib.suppress(KeyboardInterrupt):  # a second one ends the patience
            self._armed = True
            self.client.close(PATIENCE if self.status == OK and self._signals < 2 else 0)
            self._armed = False
        for number, handler in self._handlers.items():  # what hangs now can be ended
            signal.signal(number, handler)
        return True

    def _interrupt(self, _signal: int, _frame: Optional[FrameType]) -> None:
        """The first signal ends the run, and the next one the patience of its close."""
        self._signals += 1
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt

    def _options(self) -> Any:
        line = self.line
        options: dict[str, Any] = {
            "client_id": line.get("id"),
            "username": line.get("username"),
            "password": line.get("pw"),
            "version": line.version,
            "keep_alive": line.number("keepalive", "-k", 0, 65535, 60),
            "retry_delay": (0.25, 5.0),
            "tls": line.tls(),
            "proxy": line.get("proxy"),
            "local_address": line.get("bind"),
            "log_level": LogLevel.TRACE if "debug" in line else LogLevel.NONE,
            "outbox_policy": OutboxPolicy.BLOCK,
            "block_timeout": 0.1,
        }
        if "disable-clean-session" in line:
            options.update(session=Session.PERSISTENT, session_expiry=0xFFFFFFFF)
        options.update(self._own)
        return {name: value for name, value in options.items() if value is not None}

    # ---- ending ----

    def end(self, status: int) -> None:
        """The first to end it decides about the status. Thread: any."""
        if not self.over:
            self.status = status
        self.over = True
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"x")

    def fail(self, error: Exception) -> None:
        """Something cannot be done: tells it, and ends."""
        text = error.detail if isinstance(error, TernError) else str(error)
        name, _, rest = text.partition(": ")
        self.line.tell(f"{_FLAGS[name]}: {rest}" if name in _FLAGS else text)
        wrong = not isinstance(error, TernError) or error.error_class == ErrorClass.USAGE
        self.end(USAGE if wrong else FAILED)

    # ---- events ----

    def tell_failure(self, event: Event) -> None:
        """What happened, and below it what to do about it."""
        self.line.tell(event.text)
        if event.hint is not None:
            self.line.tell(f"  {event.hint}")

    def on_event(self, event: Event) -> None:
        """Told on the client's thread."""
        if self.over:
            return
        if event.kind == EventKind.CONNECTED:
            self._connected_once = True
        elif event.kind in (EventKind.CONNECT_FAILED, EventKind.DISCONNECTED):
            if event.retry_delay is None:
                return  # STOPPED says the same
            self.tell_failure(event)
            # A name that does not exist will not appear while we wait; once we were connected it
            # is the network that is gone.
            if event.step == Step.RESOLVE and not self._connected_once:
                self.end(FAILED)
        elif event.kind == EventKind.STOPPED:
            self.tell_failure(event)
            self.end(FAILED)

    # ---- waiting ----

    def wait(self, fd: Optional[int] = None) -> bool:
        """Waits until it is over, or a descriptor is readable: whether that is."""
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        watched = [self._wake[0]] if fd is None else [self._wake[0], fd]
        ready = select.select(watched, [], [], left)[0]
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.end(TIMEOUT)
        if self._wake[0] in ready:
            os.read(self._wake[0], 4096)
        return not self.over and fd in ready

    def wake(self) -> None:
        """Ends a wait, which finds out what there is. Thread: any."""
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"x")

    def late(self) -> bool:
        """Whether the time of -W is over."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.end(TIMEOUT)
        return self.over
