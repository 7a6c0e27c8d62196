"""How keyword options, and messages with properties, become those of the C library.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Optional

from ._check import (
    SIZE,
    U16,
    U32,
    as_bytes,
    c_enum,
    c_flag,
    c_number,
    c_pairs,
    c_string,
    c_text,
    flags_of,
    instance,
    milliseconds,
    refuse,
    set_option,
    several,
)
from ._ffi import held
from .enums import Jitter, OutboxPolicy, Session, TLSVerification, TLSVersion, Version
from .errors import make_error
from .message import Properties
from .options import TLS, Will


class Handle:
    """An options object of Tern's that is freed with this."""

    def __init__(self, kind: str) -> None:
        self.pointer = ctypes.c_void_p()
        self._free = getattr(held, f"tern_{kind}_options_free")
        rc = getattr(held, f"tern_{kind}_options_new")(ctypes.byref(self.pointer))
        if rc != 0:
            raise make_error(rc)

    def __enter__(self) -> ctypes.c_void_p:
        return self.pointer

    def __exit__(self, *_: object) -> None:
        self._free(self.pointer)
        self.pointer = ctypes.c_void_p()


_CLIENT_NUMBERS = {
    "inflight_maximum": U16,
    "receive_maximum": U16,
    "topic_alias_maximum": U16,
    "maximum_packet_size": U32,
    "inbound_limit": SIZE,
    "filters_per_subscribe": U16,
}
_CONNECTION_NUMBERS = {"first_server": SIZE, "keep_alive": U16}
_SHARED = {"compression": "Compression", "loop": "Loop"}
_CONNECTION_FLAGS = {
    "environment_proxy": "environment_proxy",
    "problem_information": "request_problem_information",
    "response_information": "request_response_information",
    "retry_refused": "retry_refused",
    "tcp_no_delay": "tcp_no_delay",
}


def _set_numbers(kind: str, numbers: Mapping[str, int], pointer: Any, o: Mapping[str, Any]) -> None:
    """Sets those options that are plain numbers, each from 0 to its largest."""
    for name, most in numbers.items():
        if name in o:
            value = c_number(name, o[name], most)
            set_option(name, f"tern_{kind}_options_set_{name}", pointer, value)


def apply_client(pointer: Any, o: Mapping[str, Any]) -> None:
    """Sets what is fixed for a client's life."""
    if o.get("client_id"):
        set_option(
            "client_id",
            "tern_client_options_set_client_id",
            pointer,
            c_text("client_id", o["client_id"]),
        )
    _set_numbers("client", _CLIENT_NUMBERS, pointer, o)
    if "outbox_bytes" in o or "outbox_messages" in o:
        set_option(
            "outbox_bytes",
            "tern_client_options_set_outbox_limits",
            pointer,
            c_number("outbox_bytes", o.get("outbox_bytes", 64 << 20), SIZE),
            c_number("outbox_messages", o.get("outbox_messages", 0), SIZE),
        )
    policy = c_enum("outbox_policy", OutboxPolicy, o.get("outbox_policy", OutboxPolicy.REJECT))
    if policy != OutboxPolicy.BLOCK:  # that one waits in Python, where Ctrl-C reaches it
        set_option("outbox_policy", "tern_client_options_set_outbox_policy", pointer, policy, 0)
    if o.get("drain_rate") is not None:
        set_option(
            "drain_rate", "tern_client_options_set_drain_rate", pointer, *_rate(o["drain_rate"])
        )
    for name, kind in _SHARED.items():
        if o.get(name) is not None:
            shared = instance(name, kind, o[name])
            set_option(name, f"tern_client_options_set_{name}", pointer, shared.pointer)


def _rate(rate: Any) -> tuple[int, int]:
    """Messages a second, as whole messages in so many ms."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        refuse("drain_rate", "a number is needed", rate)
    if not 0 <= rate <= U32:
        raise ValueError(f"drain_rate: 0 to {U32:,} are possible, not {rate}")
    interval, messages = 1000, float(rate)
    while messages != int(messages) and interval < 100000:
        interval, messages = interval * 10, messages * 10
    return int(messages), interval


def _apply_will(pointer: Any, will: Will) -> None:
    instance("will", "Will", will)
    message = make_message(
        will.topic,
        as_bytes(will.payload, "will.payload"),
        flags_of(will.qos, will.retain),
        will.properties,
    )
    try:
        set_option(
            "will",
            "tern_connection_options_set_will",
            pointer,
            message,
            c_number("will.delay", will.delay, U32),
        )
    finally:
        held.tern_message_unref(message)


def apply_connection(pointer: Any, servers: Sequence[str], o: Mapping[str, Any]) -> None:
    """Sets how to connect."""
    for url in servers:
        _add_server(pointer, url)
    if o.get("username") is not None or o.get("password") is not None:
        password = o.get("password")
        secret = None if password is None else as_bytes(password, "password")
        set_option(
            "username",
            "tern_connection_options_set_credentials",
            pointer,
            c_text("username", o.get("username")),
            secret,
            len(secret or b""),
        )
    _set_numbers("connection", _CONNECTION_NUMBERS, pointer, o)
    if "version" in o:
        set_option(
            "version",
            "tern_connection_options_set_version",
            pointer,
            c_enum("version", Version, o["version"]),
        )
    if "connect_timeout" in o:
        set_option(
            "connect_timeout",
            "tern_connection_options_set_connect_timeout",
            pointer,
            milliseconds("connect_timeout", o["connect_timeout"]),
        )
    if "session" in o or "session_expiry" in o:
        session = c_enum("session", Session, o.get("session", Session.PROCESS))
        set_option(
            "session",
            "tern_connection_options_set_session",
            pointer,
            session,
            c_number("session_expiry", o.get("session_expiry", 3600), U32),
        )
    if o.get("will") is not None:
        _apply_will(pointer, o["will"])
    for pair in c_pairs("connect_properties", o.get("connect_properties", ())):
        set_option(
            "connect_properties", "tern_connection_options_add_user_property", pointer, *pair
        )
    for option, setter in _CONNECTION_FLAGS.items():
        if option in o:
            value = c_flag(option, o[option])
            set_option(option, f"tern_connection_options_set_{setter}", pointer, value)
    _apply_retries(pointer, o)
    _apply_ways(pointer, o)


def _apply_retries(pointer: Any, o: Mapping[str, Any]) -> None:
    if "retry_delay" in o or "retry_jitter" in o:
        base, most = several("retry_delay", o.get("retry_delay", (1.0, 60.0)), 2)
        jitter = c_enum("retry_jitter", Jitter, o.get("retry_jitter", Jitter.PROPORTIONAL))
        set_option(
            "retry_delay",
            "tern_connection_options_set_retry_delay",
            pointer,
            milliseconds("retry_delay", base),
            milliseconds("retry_delay", most),
            jitter,
        )
    if "retry_limit" in o or "stable_after" in o:
        set_option(
            "retry_limit",
            "tern_connection_options_set_retry_limit",
            pointer,
            c_number("retry_limit", o.get("retry_limit", 0), U32),
            milliseconds("stable_after", o.get("stable_after", 10.0)),
        )


def _apply_ways(pointer: Any, o: Mapping[str, Any]) -> None:
    if o.get("proxy") is not None:
        text = c_text("proxy", o["proxy"])
        rc = held.tern_connection_options_set_proxy(pointer, text)
        if rc != 0:
            _refuse_url(rc, "proxy: ", held.tern_proxy_url_error, text)
    for pair in c_pairs("headers", o.get("headers", ())):
        set_option("headers", "tern_connection_options_add_header", pointer, *pair)
    if o.get("local_address") is not None or o.get("local_interface") is not None:
        set_option(
            "local_address",
            "tern_connection_options_set_local",
            pointer,
            c_text("local_address", o.get("local_address")),
            c_text("local_interface", o.get("local_interface")),
        )
    if "tcp_keep_alive" in o:
        set_option(
            "tcp_keep_alive",
            "tern_connection_options_set_tcp_keep_alive",
            pointer,
            *(
                c_number("tcp_keep_alive", value, U32)
                for value in several("tcp_keep_alive", o["tcp_keep_alive"], 3)
            ),
        )
    if o.get("tls") is not None:
        with Handle("tls") as tls:
            apply_tls(tls, o["tls"])
            set_option("tls", "tern_connection_options_set_tls", pointer, tls)


def _add_server(pointer: Any, url: str) -> None:
    text = c_text("server", url)
    rc = held.tern_connection_options_add_server(pointer, text)
    if rc != 0:
        _refuse_url(rc, "", held.tern_url_error, text)


def _refuse_url(rc: int, what: str, tell: Any, text: Optional[bytes]) -> NoReturn:
    """Raises with what the library tells of a URL, which has its place and none of its secrets."""
    buffer = ctypes.create_string_buffer(300)
    tell(text, buffer, len(buffer))
    why = buffer.value.decode(errors="replace")
    raise make_error(rc, what + why if why else None)


_TLS_TEXTS: list[tuple[str, str]] = [
    ("ca_file", "add_ca_file"),
    ("ca_directory", "add_ca_directory"),
    ("crl_file", "add_crl_file"),
    ("key_password", "set_key_password"),
    ("key_uri", "set_key_uri"),
    ("verified_name", "set_verified_name"),
    ("groups", "set_groups"),
    ("server_name", "set_server_name"),
    ("key_log_file", "set_key_log_file"),
]


def _protocols(names: Any) -> list[bytes]:
    if isinstance(names, (str, bytes)):
        refuse("tls.alpn", "a list of str is needed", names)
    return [c_string("tls.alpn", name) for name in names]


def apply_tls(pointer: Any, tls: TLS) -> None:
    """Sets how TLS goes."""
    instance("tls", "TLS", tls)
    for name, setter in _TLS_TEXTS:
        value = getattr(tls, name)
        if value is not None:
            set_option(
                f"tls.{name}", f"tern_tls_options_{setter}", pointer, c_text(f"tls.{name}", value)
            )
    if tls.ca is not None:
        set_option(
            "tls.ca",
            "tern_tls_options_add_ca",
            pointer,
            as_bytes(tls.ca, "tls.ca"),
            len(as_bytes(tls.ca, "tls.ca")),
        )
    if tls.certificate_file is not None or tls.key_file is not None:
        set_option(
            "tls.certificate_file",
            "tern_tls_options_set_certificate_file",
            pointer,
            c_text("tls.certificate_file", tls.certificate_file),
            c_text("tls.key_file", tls.key_file),
        )
    if tls.certificate is not None or tls.key is not None:
        certificate, key = (
            as_bytes(tls.certificate or b"", "tls.certificate"),
            as_bytes(tls.key or b"", "tls.key"),
        )
        set_option(
            "tls.certificate",
            "tern_tls_options_set_certificate",
            pointer,
            certificate,
            len(certificate),
            key,
            len(key),
        )
    if tls.psk is not None:
        identity, key = several("tls.psk", tls.psk, 2)
        secret = as_bytes(key, "tls.psk")
        set_option(
            "tls.psk",
            "tern_tls_options_set_psk",
            pointer,
            c_string("tls.psk", identity),
            secret,
            len(secret),
        )
    if c_flag("tls.ocsp_stapling", tls.ocsp_stapling):
        set_option("tls.ocsp_stapling", "tern_tls_options_set_ocsp_stapling", pointer, 1)
    if tls.verification is not None:
        set_option(
            "tls.verification",
            "tern_tls_options_set_verification",
            pointer,
            c_enum("tls.verification", TLSVerification, tls.verification),
        )
    if tls.minimum_version is not None:
        set_option(
            "tls.minimum_version",
            "tern_tls_options_set_minimum_version",
            pointer,
            c_enum("tls.minimum_version", TLSVersion, tls.minimum_version),
        )
    if tls.ciphers is not None or tls.suites is not None:
        set_option(
            "tls.ciphers",
            "tern_tls_options_set_ciphers",
            pointer,
            c_text("tls.ciphers", tls.ciphers),
            c_text("tls.suites", tls.suites),
        )
    if tls.alpn is not None:
        set_option(
            "tls.alpn", "tern_tls_options_set_alpn", pointer, b",".join(_protocols(tls.alpn))
        )
    if not c_flag("tls.resumption", tls.resumption):
        set_option("tls.resumption", "tern_tls_options_set_resumption", pointer, 0)


# ---- messages with properties ----


def _set_properties(message: Any, p: Properties) -> None:
    def call(name: str, function: str, *arguments: Any) -> None:
        set_option(f"properties.{name}", f"tern_message_{function}", message, *arguments)

    if p.payload_format is not None:
        call(
            "payload_format",
            "set_payload_format",
            c_number("properties.payload_format", p.payload_format, 1),
        )
    if p.expiry is not None:
        call("expiry", "set_expiry", c_number("properties.expiry", p.expiry, U32))
    if p.content_type is not None:
        call("content_type", "set_content_type", c_text("properties.content_type", p.content_type))
    if p.response_topic is not None:
        call(
            "response_topic",
            "set_response_topic",
            c_text("properties.response_topic", p.response_topic),
        )
    if p.correlation_data is not None:
        data = as_bytes(p.correlation_data, "properties.correlation_data")
        call("correlation_data", "set_correlation_data", data, len(data))
    for pair in c_pairs("properties.user_properties", p.user_properties):
        call("user_properties", "add_user_property", *pair)


def make_message(
    topic: str, payload: bytes, flags: int, properties: Optional[Properties]
) -> ctypes.c_void_p:
    """A message of Tern's with properties; the caller's to unref."""
    message, name = ctypes.c_void_p(), c_string("topic", topic)
    rc = held.tern_message_new(ctypes.byref(message), name, payload, len(payload), flags)
    if rc != 0:
        raise make_error(rc, f"topic {topic!r}: {held.tern_strerror(rc).decode()}")
    try:
        if properties is not None:
            _set_properties(message, instance("properties", "Properties", properties))
    except BaseException:
        held.tern_message_unref(message)
        raise
    return message
