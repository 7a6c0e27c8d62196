"""Keyword options of clients, and how they become Tern's.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Callable,
    Optional,
    TypedDict,
    Union,
)

from .enums import (
    Jitter,
    LogLevel,
    OutboxPolicy,
    Session,
    TLSVerification,
    TLSVersion,
    Version,
)
from .message import Payload, Properties

if TYPE_CHECKING:
    from ._service import Service
    from .attempt import Credentials
    from .compression import Compression
    from .loop import Loop

PathLike = Union[str, "os.PathLike[str]"]


@dataclass
class Will:
    """What the broker publishes when the client is gone without a word (MQTT 5 section 3.1.2.5)."""

    topic: str
    payload: Payload = b""
    qos: int = 0
    retain: bool = False
    delay: int = 0
    """Seconds that the broker waits first; MQTT 5 only."""
    properties: Optional[Properties] = None


@dataclass
class TLS:
    """How TLS goes. The defaults verify everything, against the system's authorities."""

    ca_file: Optional[PathLike] = None
    """PEM file of authorities, in place of the system's."""
    ca_directory: Optional[PathLike] = None
    ca: Union[str, bytes, None] = None
    """Authorities as PEM text."""
    certificate_file: Optional[PathLike] = None
    """The client's certificate and those above it; read anew for each attempt."""
    key_file: Optional[PathLike] = None
    certificate: Union[str, bytes, None] = None
    """The same as PEM text; needs `key`."""
    key: Union[str, bytes, None] = field(default=None, repr=False)
    key_password: Optional[str] = field(default=None, repr=False)
    key_uri: Optional[str] = None
    """Where an OpenSSL provider finds the key ("pkcs11:...")."""
    psk: Optional[tuple[str, bytes]] = field(default=None, repr=False)
    """Identity and key, in place of certificates."""
    crl_file: Optional[PathLike] = None
    ocsp_stapling: bool = False
    """The server must prove that its certificate is not revoked."""
    verification: Optional[TLSVerification] = None
    verified_name: Optional[str] = None
    """The name that the certificate must be for; the URL's host where None."""
    minimum_version: Optional[TLSVersion] = None
    ciphers: Optional[str] = None
    suites: Optional[str] = None
    groups: Optional[str] = None
    alpn: Optional[Sequence[str]] = None
    server_name: Optional[str] = None
    resumption: bool = True
    key_log_file: Optional[PathLike] = None
    """Secrets are written there, for a debugger."""


class Options(TypedDict, total=False):
    """The keyword options of tern.Client and tern.aio.Client. Times are in seconds."""

    client_id: str
    """Needed for persistent sessions; the server assigns one where it is missing."""
    username: Optional[str]
    password: Union[str, bytes, None]
    credentials: Callable[[], Union[Credentials, Awaitable[Credentials]]]
    """Asked for user name and password before each attempt, in place of those two; where callbacks
    run. It may be a coroutine function for tern.aio.Client. Where it raises it is asked again."""
    service: Service
    """A cloud service, tern.aws.IoTCore for one, which knows server, TLS and credentials."""
    first_server: int
    """At which of the servers, from 0, the first attempt goes (default 0)."""
    keep_alive: int
    version: Union[Version, int]
    """Version.AUTO (5, and 3.1.1 where the server does not speak 5), V5 or V311."""
    session: Session
    session_expiry: int
    """How long an MQTT 5 broker keeps the session while the client is away."""
    connect_timeout: float
    """For one attempt: name, address, proxy, TLS and CONNACK together."""
    will: Optional[Will]
    tls: Optional[TLS]
    proxy: Optional[str]
    environment_proxy: bool
    headers: Mapping[str, str]
    """Of the WebSocket upgrade."""
    connect_properties: Sequence[tuple[str, str]]
    """User properties of CONNECT."""
    problem_information: bool
    response_information: bool
    retry_delay: tuple[float, float]
    """The first delay, which doubles, and the largest."""
    retry_jitter: Jitter
    retry_limit: int
    """Rounds through the servers that may fail in a row; 0: any number."""
    stable_after: float
    """How long a connection lasts until the delay starts over."""
    retry_refused: bool
    local_address: Optional[str]
    local_interface: Optional[str]
    tcp_no_delay: bool
    tcp_keep_alive: tuple[int, int, int]
    """Idle seconds, interval in seconds, probes."""
    outbox_bytes: int
    outbox_messages: int
    outbox_policy: OutboxPolicy
    block_timeout: Optional[float]
    """How long a publish waits for room, with OutboxPolicy.BLOCK; None: for ever."""
    inflight_maximum: int
    receive_maximum: int
    maximum_packet_size: int
    topic_alias_maximum: int
    inbound_limit: int
    drain_rate: Optional[float]
    """Messages a second of a backlog; None: as fast as it goes."""
    filters_per_subscribe: int
    ack: str
    """"auto": when the message was handled; "manual": when Message.ack() is called."""
    compression: Optional[Compression]
    loop: Optional[Loop]
    """A network thread that is shared; None: one of its own."""
    log_level: Union[LogLevel, int]
    """What goes to the logger "tern" (default WARNING)."""
    receive_limit: int
    """Messages that wait for receive() and messages() before reading pauses (default 10,000)."""


__all__ = ["TLS", "Options", "Will"]
