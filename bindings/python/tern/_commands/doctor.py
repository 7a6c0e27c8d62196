"""python -m tern doctor: walks the way to a server and prints what it finds at each step.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from .._ffi import held
from ..enums import EventKind, Version
from ..event import Event
from .cli import FAILED, OK, Program, parse
from .run import Run

TCP_SECONDS = 3.0
PORTS = {"mqtt": 1883, "tcp": 1883, "ws": 80, "wss": 443}

PROGRAM = Program(
    "python -m tern doctor",
    "Walks the way to an MQTT server step by step and prints what it finds: addresses, TCP,\n"
    "proxy, TLS with the server's certificates, WebSocket, and CONNACK with the server's limits.",
    "[options] URL",
    "URL is mqtt://, mqtts://, ws:// or wss:// with [user[:password]@]host[:port][/path], or\n"
    "unix:///path. Passwords are never printed.\n\n"
    "Exit status: 0 all is well, 1 wrong usage, 2 some step failed, 27 -W passed first.\n",
)


def finding(step: str, text: str) -> None:
    """Prints one."""
    print(f"{step:<12}{text}", flush=True)


def _since(start: float) -> str:
    return f"{(time.monotonic() - start) * 1000:.1f} ms"


def _try_tcp(family: int, address: tuple[object, ...]) -> str:
    with socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM) as probe:
        probe.settimeout(TCP_SECONDS)
        try:
            probe.connect(address)
        except OSError as error:
            return os.strerror(error.errno) if error.errno else "timed out"
    return "open"


def look_at_addresses(url: str) -> None:
    """Looks the host's name up, and tries each address."""
    scheme, _, rest = url.partition("://")
    # Without user name and password, in whose brackets urlsplit() would see an address.
    parts = urlsplit(f"{scheme}://{re.split('[/?#]', rest)[0].rpartition('@')[2]}")
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 8883)
    start = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        finding("addresses", f"{host}: {error.strerror} ({_since(start)})")
        return
    except UnicodeError:  # a label that is empty or too long
        finding("addresses", f"{host}: cannot be a host's name")
        return
    finding("addresses", f"{host} resolved in {_since(start)}")
    for family, _, _, _, address in found:
        start = time.monotonic()
        result = _try_tcp(family, address)
        finding("tcp", f"{address[0]} port {port}: {result} ({_since(start)})")


def _print_tls(event: Event) -> None:
    if event.tls_version is None:
        return
    protocol = f", protocol {event.tls_protocol}" if event.tls_protocol else ""
    resumed = ", resumed" if event.tls_resumed else ""
    finding("tls", f"{event.tls_version}, {event.tls_cipher}{protocol}{resumed}")
    for index, one in enumerate(event.certificates):
        finding("certificate", f"{index}: {one.subject}")
        finding("", f"   issued by {one.issuer}")
        finding("", f"   valid from {one.not_before} to {one.not_after}")
        if index == 0:
            finding("", f"   for {one.names}")


def _print_connack(event: Event) -> None:
    version = "MQTT 5" if event.version == Version.V5 else "MQTT 3.1.1"
    session = "resumed" if event.session_present else "new"
    elapsed = round(event.elapsed * 1000)
    finding("mqtt", f"{version} accepted after {elapsed} ms, {session} session")
    for limit, value in event.limits.items():
        name = held.tern_limit_name(int(limit)).decode()
        finding("limit", f"{name}: {'none' if value == 0xFFFFFFFF else value}")


class Doctor(Run):
    """Prints what one attempt meets."""

    def on_event(self, event: Event) -> None:
        """Told on the client's thread."""
        if self.over:
            return
        if event.kind == EventKind.CONNECTING:
            finding("connect", event.server or "")
            return
        if event.kind not in (EventKind.CONNECTED, EventKind.CONNECT_FAILED):
            return
        if event.peer is not None:
            finding("peer", event.peer)
        _print_tls(event)
        if event.kind == EventKind.CONNECTED:
            if (event.server or "").startswith("ws"):
                finding("websocket", "upgraded")
            _print_connack(event)
            self.end(OK)
            return
        finding(held.tern_step_name(int(event.step)).decode(), event.text)
        if event.hint is not None:
            finding("", event.hint)
        if event.retry_delay != 0:  # else another version, or server, is tried
            self.end(FAILED)


def run(arguments: Sequence[str]) -> int:
    """Runs the program; returns the exit status."""
    line = parse(PROGRAM, arguments)
    with Doctor(line) as doctor:
        if "proxy" in line:
            finding("proxy", "a proxy looks up the name: addresses and tcp are not looked at")
        elif not line.url.startswith("unix:"):
            look_at_addresses(line.url)
        doctor.client.connect(timeout=0)
        while not doctor.over:
            doctor.wait()
    return doctor.status
