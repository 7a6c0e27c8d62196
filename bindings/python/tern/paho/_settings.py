"""What a paho-mqtt client is told before it connects, and how that becomes Tern's options.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import sys
from collections.abc import Mapping
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from ..enums import Jitter, LogLevel, Session, TLSVerification, TLSVersion, Version
from ..options import TLS, Will
from ._context import tls_of
from ._message import PayloadType, encoded, to_native
from .enums import MQTTProtocolVersion
from .properties import Properties

MQTT_CLEAN_START_FIRST_ONLY = 3
_NEVER = 4e6  # seconds, which are weeks: it is loops that try again
LARGEST_PACKET = 5 + 268435455  # MQTT has none that is larger
# What URLs can have as a host: a name, an address of IPv4, or one of IPv6, which has two colons.
_NAME, _SIX = r"[^\s/@?#:\[\]\\]+", r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[^\s/@?#\[\]\\]*"
_HOST = re.compile(rf"{_NAME}|{_SIX}|\[{_SIX}\]")
Headers = Union[Mapping[str, str], Callable[[dict[str, str]], dict[str, str]]]


class Settings:
    """The setters; what they set is used from the next attempt to connect on."""

    def __init__(self, transport: str, protocol: MQTTProtocolVersion, manual_ack: bool) -> None:
        if transport.lower() not in ("tcp", "websockets", "unix"):
            raise ValueError(f'transport must be "websockets", "tcp" or "unix", not {transport}')
        if protocol == MQTTProtocolVersion.MQTTv31:
            raise ValueError("Tern speaks MQTT 3.1.1 and 5: protocol must be MQTTv311 or MQTTv5")
        self._transport = transport.lower()
        self._protocol = MQTTProtocolVersion(protocol)
        self._manual_ack = manual_ack
        self._client_id = ""
        self._clean_session = True
        self._clean_start: int = MQTT_CLEAN_START_FIRST_ONLY
        self._first_again = False  # by connect(): clean_start's first connection is the next one
        self._host = ""
        self._port = 1883
        self._keepalive = 60
        self._server_keepalive: Optional[int] = None  # what the server wants instead
        self._bind = ("", 0)
        self._connect_timeout = 5.0
        self._connect_properties: Optional[Properties] = None
        self._username: Optional[str] = None
        self._password: Union[str, bytes, None] = None
        self._will: Optional[Will] = None
        self._tls: Optional[TLS] = None
        self._path = "/mqtt"
        self._headers: Headers = {}
        self._proxy: Optional[str] = None
        self._delays = (1.0, 120.0)
        self._delay: Optional[float] = None  # the last wait for an attempt
        self._inflight = 20
        self._queued = 0
        self._logger: Optional[logging.Logger] = None
        self._stale = False  # something was set that a core has for its whole life

    # ---- who ----

    def username_pw_set(
        self, username: Optional[str], password: Union[str, bytes, None] = None
    ) -> None:
        """Sets user name and password; None for neither."""
        self._username, self._password = username, password

    def will_set(
        self,
        topic: str,
        payload: PayloadType = None,
        qos: int = 0,
        retain: bool = False,
        properties: Optional[Properties] = None,
    ) -> None:
        """Sets what the broker publishes when this client is gone without a word."""
        if not topic:
            raise ValueError("Invalid topic.")
        if qos not in (0, 1, 2):
            raise ValueError("Invalid QoS level.")
        delay = 0 if properties is None else getattr(properties, "WillDelayInterval", 0)
        self._will = Will(topic, encoded(payload), qos, bool(retain), delay, to_native(properties))

    def will_clear(self) -> None:
        """Removes the will."""
        self._will = None

    # ---- the way there ----

    def tls_set(
        self,
        ca_certs: Optional[str] = None,
        certfile: Optional[str] = None,
        keyfile: Optional[str] = None,
        cert_reqs: Optional[ssl.VerifyMode] = None,
        tls_version: Optional[int] = None,
        ciphers: Optional[str] = None,
        keyfile_password: Optional[str] = None,
        alpn_protocols: Optional[list[str]] = None,
    ) -> None:
        """Switches TLS on. Without ca_certs the system's authorities are trusted.

        Raises FileNotFoundError and other OSErrors for files that cannot be read.
        """
        for path in (ca_certs, certfile, keyfile):
            if path is not None:
                open(path, "rb").close()
        if keyfile is not None and certfile is None:
            raise ValueError("tls_set: keyfile needs certfile")
        nothing = cert_reqs == ssl.CERT_NONE
        self._tls = TLS(
            ca_file=ca_certs,
            certificate_file=certfile,
            key_file=keyfile or certfile,
            key_password=keyfile_password,
            ciphers=ciphers,
            alpn=alpn_protocols,
            verification=TLSVerification.NOTHING if nothing else None,
            minimum_version=(
                TLSVersion.V1_3
                if tls_version == getattr(ssl, "PROTOCOL_TLSv1_3", object())
                else None
            ),
        )

    def tls_set_context(self, context: Optional[ssl.SSLContext] = None) -> None:
        """Switches TLS on by what a context trusts, verifies and offers by ALPN.

        Raises ValueError where the context has a client certificate: tls_set() takes one.
        """
        if self._tls is not None:
            raise ValueError("TLS/SSL has already been configured.")
        self._tls = tls_of(ssl.create_default_context() if context is None else context)

    def tls_insecure_set(self, value: bool) -> None:
        """True: the server's name is not verified. After tls_set() or tls_set_context()."""
        if self._tls is None:
            raise ValueError("Must configure SSL context before using tls_insecure_set.")
        if self._tls.verification != TLSVerification.NOTHING:
            self._tls.verification = TLSVerification.CHAIN if value else TLSVerification.FULL

    def ws_set_options(self, path: str = "/mqtt", headers: Optional[Headers] = None) -> None:
        """Sets path and headers of the WebSocket upgrade.

        headers: a dictionary whose entries are added, or a function that is given an empty one
        before each attempt and returns them.
        """
        self._path = path
        self._headers = headers if callable(headers) else dict(headers or {})

    def proxy_set(self, **proxy_args: Any) -> None:
        """Sets a proxy: proxy_type (a number of PySocks, "http" or "socks5"), proxy_addr,
        proxy_port, proxy_username, proxy_password, proxy_rdns (names are resolved there always).
        """
        kind = proxy_args.get("proxy_type")
        scheme = {2: "socks5", 3: "http", "socks5": "socks5", "http": "http"}.get(kind)
        if scheme is None:
            raise ValueError(f"proxy_set: HTTP (3) and SOCKS5 (2) are possible, not {kind!r}")
        if not proxy_args.get("proxy_addr"):
            raise ValueError("proxy_set: proxy_addr is needed")
        user = ""
        if proxy_args.get("proxy_username"):
            names = (proxy_args["proxy_username"], proxy_args.get("proxy_password") or "")
            user = ":".join(quote(str(name), safe="") for name in names) + "@"
        port = proxy_args.get("proxy_port") or (1080 if scheme == "socks5" else 8080)
        self._proxy = f"{scheme}://{user}{_bracketed(proxy_args['proxy_addr'])}:{port}"

    def reconnect_delay_set(self, min_delay: float = 1, max_delay: float = 120) -> None:
        """Seconds until the first attempt to reconnect, which double up to max_delay."""
        self._delays = (max(0.0, float(min_delay)), max(0.0, float(max_delay)))
        self._delay = None  # they begin anew

    # ---- sizes ----

    def max_inflight_messages_set(self, inflight: int) -> None:
        """Messages of QoS 1 and 2 that may be on their way at once (default 20; 0 and numbers
        beyond it: 65,535)."""
        if inflight < 0:
            raise ValueError("Invalid inflight.")
        self._inflight, self._stale = inflight, True

    def max_queued_messages_set(self, queue_size: int) -> Settings:
        """Messages of QoS 1 and 2 that may be without their outcome (default 0: any number)."""
        if not isinstance(queue_size, int):
            raise TypeError("queue_size should be an int")
        if queue_size < 0:
            raise ValueError("Invalid queue size.")
        self._queued = queue_size
        return self

    # ---- Tern's options ----

    def _url(self) -> str:
        if self._transport == "unix":
            return "unix://" + self._host
        secure = self._tls is not None
        if self._transport == "tcp":
            return f"{'mqtts' if secure else 'mqtt'}://{_named(self._host)}:{self._port}"
        path = self._path if self._path.startswith("/") else "/" + self._path
        return f"{'wss' if secure else 'ws'}://{_named(self._host)}:{self._port}{path}"

    def _session_expiry(self) -> int:
        properties = self._connect_properties
        return 0 if properties is None else getattr(properties, "SessionExpiryInterval", 0)

    def _session(self) -> dict[str, Any]:
        expiry = self._session_expiry()
        if self._protocol != MQTTProtocolVersion.MQTTv5:
            if self._clean_session:
                return {"session": Session.PROCESS}
            return {"session": Session.PERSISTENT, "session_expiry": 0xFFFFFFFF}
        if self._clean_start == MQTT_CLEAN_START_FIRST_ONLY or not self._client_id:
            return {"session": Session.PROCESS, "session_expiry": expiry}
        if self._clean_start and not expiry:
            return {"session": Session.CLEAN}
        if self._clean_start:  # a core starts clean once, and a session that ends later has a mode
            return {"session": Session.PROCESS, "session_expiry": expiry}
        return {"session": Session.PERSISTENT, "session_expiry": expiry}

    def _is_clean(self) -> bool:
        """Whether connect() begins a session that knows nothing of former ones."""
        session = self._session()
        passes = self._clean_start == MQTT_CLEAN_START_FIRST_ONLY and session.get("session_expiry")
        passes = passes and not self._first_again
        if session["session"] == Session.PERSISTENT:
            return False
        return self._protocol != MQTTProtocolVersion.MQTTv5 or not passes

    def _connect_options(self) -> dict[str, Any]:
        """What CONNECT's properties ask for."""
        names = {
            "ReceiveMaximum": "receive_maximum",
            "MaximumPacketSize": "maximum_packet_size",
            "TopicAliasMaximum": "topic_alias_maximum",
            "RequestResponseInformation": "response_information",
            "RequestProblemInformation": "problem_information",
            "UserProperty": "connect_properties",
        }
        properties = self._connect_properties
        asked = {} if properties is None else properties.__dict__
        if "AuthenticationMethod" in asked:
            raise ValueError("AuthenticationMethod: Tern has no enhanced authentication yet")
        return {names[name]: value for name, value in asked.items() if name in names}

    def _inflight_maximum(self) -> int:
        return min(self._inflight, 65535) or 65535

    def _options(self) -> dict[str, Any]:
        return {
            "client_id": self._client_id,
            "username": self._username,
            "password": None if self._username is None else self._password,
            "version": Version.V5 if self._protocol == 5 else Version.V311,
            "keep_alive": self._keepalive,
            "connect_timeout": self._connect_timeout,
            "retry_delay": (_NEVER, _NEVER),
            "retry_jitter": Jitter.NONE,
            "retry_refused": True,
            "will": self._will,
            "tls": self._tls,
            "proxy": self._proxy,
            "local_address": self._bind[0] or None,
            "inflight_maximum": self._inflight_maximum(),
            "maximum_packet_size": LARGEST_PACKET,
            "outbox_bytes": sys.maxsize,
            "outbox_messages": 0,
            "ack": "manual" if self._manual_ack else "auto",
            "log_level": LogLevel.DEBUG,  # on_log and enable_logger() may come later
            **self._session(),
            **self._connect_options(),
        }

    def _headers_of_now(self) -> dict[str, str]:
        if self._transport != "websockets":
            return {}
        return dict(self._headers({}) if callable(self._headers) else self._headers)


def _named(host: str) -> str:
    """A host as URLs have it. Raises socket.gaierror, as looking it up would, for what is none."""
    if not _HOST.fullmatch(host):
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host: a name or an address is")
    return _bracketed(host)


def _bracketed(host: str) -> str:
    """An address of IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
