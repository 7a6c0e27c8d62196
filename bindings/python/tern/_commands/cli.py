"""Command lines: options, help, and errors that say what to do.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import getopt
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, Optional

from .. import __version__
from .._ffi import held
from ..enums import TLSVerification, TLSVersion, Version
from ..options import TLS

# Exit statuses; TIMEOUT is the one that users of mosquitto_pub and mosquitto_sub know.
OK, USAGE, FAILED, TIMEOUT = 0, 1, 2, 27


class Option(NamedTuple):
    """An option as it is parsed, and as --help tells it."""

    letter: str
    """Without "-"; "" where there is none."""
    name: str
    """Without "--"; "" where there is none."""
    value: str
    """What --help calls its argument; "" where it takes none."""
    help: str


@dataclass(frozen=True)
class Program:
    """What a program is."""

    name: str
    purpose: str
    usage: str
    epilogue: str
    options: Sequence[Option] = ()


COMMON = (
    Option("h", "host", "HOST", "the broker's name or address (default localhost)"),
    Option("p", "port", "PORT", "the broker's port (default 1883, with TLS 8883)"),
    Option("", "unix", "PATH", "the broker's Unix socket, instead of host and port"),
    Option(
        "L", "url", "URL", "server and topic in one: mqtt://[user[:password]@]host[:port]/topic"
    ),
    Option("A", "bind", "ADDRESS", "connect from this local address"),
    Option("", "cafile", "FILE", "use TLS and trust the authorities in this PEM file alone"),
    Option("", "capath", "DIRECTORY", "use TLS and trust the authorities in this directory alone"),
    Option("", "tls-use-os-certs", "", "use TLS and trust the system's authorities"),
    Option("", "cert", "FILE", "use TLS with this client certificate (PEM)"),
    Option("", "key", "FILE", "its private key, or a pkcs11: URI (default: in the file of --cert)"),
    Option("", "keypass", "PASSWORD", "the private key's password"),
    Option("", "ciphers", "LIST", "the ciphers of TLS 1.2 that are offered"),
    Option("", "tls-alpn", "PROTOCOLS", "the application protocols offered, commas between them"),
    Option("", "tls-version", "VERSION", "the oldest TLS accepted: tlsv1.2 (default) or tlsv1.3"),
    Option("", "insecure", "", "do not verify that the certificate is for this host: for tests"),
    Option("", "psk", "KEY", "use TLS with a pre-shared key (hexadecimal)"),
    Option("", "psk-identity", "NAME", "the identity of the pre-shared key"),
    Option(
        "", "proxy", "URL", "go through this proxy: socks5://[user:password@]host[:port] or http"
    ),
    Option("i", "id", "ID", "the client id (default: the broker assigns one)"),
    Option("c", "disable-clean-session", "", "keep the session at the broker; needs -i"),
    Option("u", "username", "NAME", "the user name"),
    Option("P", "pw", "PASSWORD", "the password"),
    Option("k", "keepalive", "SECONDS", "the keep alive, 0 to 65535 (default 60, 0 = off)"),
    Option("V", "protocol-version", "VERSION", "mqttv5, mqttv311 or auto (default auto)"),
    Option("q", "qos", "QOS", "the quality of service: 0, 1 or 2 (default 0)"),
    Option("W", "timeout", "SECONDS", "give up after so long, with exit status 27"),
    Option("d", "debug", "", "tell on standard error what happens"),
    Option("", "quiet", "", "tell no errors, only the exit status"),
    Option("", "help", "", "show this text and end"),
    Option("", "version", "", "show the version and end"),
)

_VERSIONS = {
    "auto": Version.AUTO,
    **dict.fromkeys(("mqttv5", "5"), Version.V5),
    **dict.fromkeys(("mqttv311", "mqttv3.1.1", "311", "3.1.1"), Version.V311),
}
_TLS_OPTIONS = ["cafile", "capath", "tls-use-os-certs", "cert", "ciphers", "tls-alpn", "psk"]
_TLS_OPTIONS += ["tls-version", "insecure"]


@dataclass
class CommandLine:
    """What a command line said."""

    program: Program
    given: dict[str, list[str]] = field(default_factory=dict)
    """Values by the option's long name, or its letter where it has none; "" without a value."""
    url: str = ""
    topic: Optional[str] = None
    """The one in -L's URL."""

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def get(self, name: str) -> Optional[str]:
        """The last value of an option; None where it was not given."""
        return self.given[name][-1] if name in self.given else None

    def refuse(self, text: str) -> NoReturn:
        """Ends the program: the command line is at fault."""
        told = f"{self.program.name}: {text}\nTry '{self.program.name} --help'."
        print(told, file=sys.stderr)
        raise SystemExit(USAGE)

    def tell(self, text: str) -> None:
        """Tells an error, unless --quiet."""
        if "quiet" not in self.given:
            print(f"{self.program.name}: {text}", file=sys.stderr, flush=True)

    def number(self, name: str, shown: str, low: int, high: int, default: int) -> int:
        """An option's value as a number within bounds."""
        text = self.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and low <= int(text) <= high:
            return int(text)
        self.refuse(f"{shown} takes a number from {low} to {high}, not '{text}'")

    # ---- what the options come to ----

    @property
    def version(self) -> Version:
        """The protocol's version."""
        text = self.get("protocol-version") or "auto"
        if text not in _VERSIONS:
            old = " (MQTT 3.1 is older than what Tern speaks)" if text in ("mqttv31", "31") else ""
            self.refuse(f"-V takes mqttv5, mqttv311 or auto, not '{text}'{old}")
        return _VERSIONS[text]

    @property
    def wants_tls(self) -> bool:
        """Whether some option asks for TLS."""
        return any(name in self.given for name in _TLS_OPTIONS)

    def tls(self) -> Optional[TLS]:
        """The options of TLS; None where none is asked for."""
        if not self.wants_tls:
            return None
        alpn, identity = self.get("tls-alpn"), self.get("psk-identity")
        newest, key = self.get("tls-version") == "tlsv1.3", self.get("key")
        by_uri = key is not None and key.startswith("pkcs11:")
        return TLS(
            ca_file=self.get("cafile"),
            ca_directory=self.get("capath"),
            certificate_file=self.get("cert"),
            key_file=None if by_uri else key,
            key_uri=key if by_uri else None,
            key_password=self.get("keypass"),
            ciphers=self.get("ciphers"),
            alpn=alpn.split(",") if alpn else None,
            psk=(identity, bytes.fromhex(self.get("psk") or "")) if identity else None,
            minimum_version=TLSVersion.V1_3 if newest else None,
            verification=TLSVerification.CHAIN if "insecure" in self.given else None,
        )

    def check(self) -> None:
        """Looks at what contradicts itself, and finds the server."""
        self.number("port", "-p", 1, 65535, 0)
        self.number("keepalive", "-k", 0, 65535, 60)
        self.number("qos", "-q", 0, 2, 0)
        self.number("timeout", "-W", 1, 1000000, 0)
        if "disable-clean-session" in self and "id" not in self:
            self.refuse("-c keeps a session, which needs a name: give the client an id with -i")
        if "pw" in self and "username" not in self and self.version == Version.V311:
            self.refuse("MQTT 3.1.1 has no password without a user name: add -u")
        if ("psk" in self) != ("psk-identity" in self):
            self.refuse("--psk and --psk-identity belong together")
        if "psk" in self and not _is_key(self.get("psk") or ""):
            self.refuse("--psk takes an even number of hexadecimal digits, 2 to 512")
        if "key" in self and "cert" not in self:
            self.refuse("--key needs --cert, the certificate that it belongs to")
        if self.get("tls-version") not in (None, "tlsv1.2", "tlsv1.3"):
            self.refuse("--tls-version takes tlsv1.2 or tlsv1.3, the oldest that is accepted")
        self._find_server()

    def _find_server(self) -> None:
        ways = ("host" in self or "port" in self) + ("unix" in self) + ("url" in self)
        if ways + bool(self.url) > 1:
            self.refuse("name the server once: by -h and -p, by --unix, by -L or by a URL")
        if "url" in self:
            self._split(self.get("url") or "")
        elif "unix" in self:
            self.url = f"unix://{self.get('unix')}"
        elif not self.url:
            host = self.get("host") or "localhost"
            host = f"[{host}]" if ":" in host and host[0] != "[" else host
            scheme, port = ("mqtts", "8883") if self.wants_tls else ("mqtt", "1883")
            self.url = f"{scheme}://{host}:{self.get('port') or port}"
        buffer = ctypes.create_string_buffer(256)
        raw = self.url.encode(errors="surrogateescape")
        if held.tern_url_error(raw, buffer, len(buffer)) != 0:
            why = buffer.value.decode(errors="replace")
            self.refuse(f"cannot use the server{_shown(self.url)}: {why}")

    def _split(self, url: str) -> None:
        """What stands before the first '/' of the rest is the server, what follows is the topic."""
        scheme, _, rest = url.partition("://")
        server, _, topic = rest.partition("/")
        if not server or not topic:
            given = _shown(url) and f", not{_shown(url)}"
            self.refuse(f"-L takes a server and a topic, mqtt://host/topic{given}")
        self.url, self.topic = f"{scheme}://{server}", topic


def _shown(url: str) -> str:
    """A URL for an error: one with a password, it may be, is not shown."""
    return "" if "@" in url else f" '{url}'"


def _is_key(text: str) -> bool:
    digits = all(one in "0123456789abcdefABCDEF" for one in text)
    return digits and len(text) % 2 == 0 and 2 <= len(text) <= 512


def _print_help(program: Program) -> None:
    print(f"{program.purpose}\n\nUsage: {program.name} {program.usage}\n")
    for option in (*program.options, *COMMON):
        names = [f"-{option.letter}"] if option.letter else []
        names += [f"--{option.name}"] if option.name else []
        left = ", ".join(names) if option.letter else "    " + names[0]
        print(f"  {left}{' ' + option.value if option.value else ''}\n        {option.help}")
    print(f"\n{program.epilogue}", end="")


def parse(program: Program, arguments: Sequence[str]) -> CommandLine:
    """Reads a command line. Ends the program after --help and --version, and where it is wrong."""
    line = CommandLine(program)
    options = (*program.options, *COMMON)
    letters = "".join(o.letter + (":" if o.value else "") for o in options if o.letter)
    names = [o.name + ("=" if o.value else "") for o in options if o.name]
    try:
        pairs, rest = getopt.gnu_getopt(list(arguments), letters, names)
    except getopt.GetoptError as error:
        line.refuse(f"{'-' if len(error.opt) == 1 else '--'}{error.opt}: {error.msg}")
    known = {f"-{o.letter}": o.name or o.letter for o in options if o.letter}
    for name, value in pairs:
        line.given.setdefault(known.get(name, name.lstrip("-")), []).append(value)
    if "help" in line:
        _print_help(program)
        raise SystemExit(OK)
    if "version" in line:
        print(f"{program.name} (Tern) {__version__}")
        raise SystemExit(OK)
    if len(rest) > 1:
        line.refuse(f"'{rest[1]}' is one word too many: a text with spaces needs quotes")
    line.url = rest[0] if rest else ""
    line.check()
    return line
