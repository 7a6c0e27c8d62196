"""Starts mosquitto on a free port of loopback, and ends it.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Optional

import pytest

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


class Broker:
    """A mosquitto with a folder of its own. Its port stays the same when it is started again.

    `lines` of its configuration stand in place of `allow_anonymous true`.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        program = shutil.which("mosquitto", path=PATH)
        if program is None:
            pytest.skip("mosquitto is not installed")
        self._program: str = program
        self._folder = folder
        self._process: Optional[subprocess.Popen[bytes]] = None
        self.port = 0
        self.extra = list(lines) or ["allow_anonymous true"]  # lines of its configuration

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def __enter__(self) -> Broker:
        # A port that was free a moment ago may be taken by now: then another one is tried.
        for _ in range(8):
            self.port = free_port()
            if self.start():
                return self
        raise RuntimeError(f"mosquitto did not start:\n{self.log()}")

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def start(self) -> bool:
        """Starts it and waits until it listens; False where it ended instead."""
        configuration = self._folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", *self.extra]
        lines += ["max_queued_messages 0", "max_inflight_messages 0"]
        if os.getuid() == 0:
            lines.append("user root")
        configuration.write_text("\n".join(lines) + "\n", "utf-8")
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(configuration)], stdout=log, stderr=log
            )
        return self._listens()

    def stop(self) -> None:
        """Ends it, as a service is ended, and waits until it is gone."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """It does nothing until resume(), and its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Ends it and starts it again."""
        self.stop()
        if not self.start():
            raise RuntimeError(f"mosquitto did not start again:\n{self.log()}")

    def log(self) -> str:
        """What it has said."""
        path = self._folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _listens(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self._process.poll() is None
            select.select([], [], [], 0.01)
        self.stop()
        return False


class FakeBroker:
    """Accepts each connection in turn, notes its CONNECT, and may close it then."""

    def __init__(self, connack: bytes = b"\x20\x02\x00\x00", closes: bool = False) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.connects: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._connack, self._closes = connack, closes
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                self.connections.append(connection)
                self.connects.append(connection.recv(4096))
                connection.sendall(self._connack)
                if self._closes:
                    connection.close()

    def __enter__(self) -> FakeBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
