"""Lifecycle events: what happened to a client's connection.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from ._ffi import c, held, text
from .enums import EventKind, Limit, Step, Version


@dataclass(frozen=True)
class Certificate:
    """A certificate that the server showed."""

    subject: str
    issuer: str
    names: str
    not_before: str
    not_after: str


@dataclass(frozen=True)
class Event:
    """What happened. What the kind does not have is None, empty or 0."""

    kind: EventKind
    error: int
    """Why it failed, a TERN_E_* code; 0 where nothing failed."""
    text: str
    """The whole story in one line: step, peer, cause."""
    step: Step
    hint: Optional[str]
    """What to do about the failure."""
    reason_code: int
    """The server's reason code; -1 where there is none."""
    reason_string: Optional[str]
    server_reference: Optional[str]
    server: Optional[str]
    peer: Optional[str]
    attempt: int
    elapsed: float
    """Seconds since the attempt began."""
    retry_delay: Optional[float]
    """Seconds until the next attempt; None where none follows."""
    os_error: int
    http_status: int
    verify_result: int
    session_present: bool
    version: Optional[Version]
    limits: dict[Limit, int] = field(default_factory=dict)
    """What was agreed on, of CONNECTED."""
    response_information: Optional[str] = None
    tls_version: Optional[str] = None
    tls_cipher: Optional[str] = None
    tls_protocol: Optional[str] = None
    tls_resumed: bool = False
    certificates: list[Certificate] = field(default_factory=list)


_FIELDS = (
    c.TERN_CERTIFICATE_SUBJECT,
    c.TERN_CERTIFICATE_ISSUER,
    c.TERN_CERTIFICATE_NAMES,
    c.TERN_CERTIFICATE_NOT_BEFORE,
    c.TERN_CERTIFICATE_NOT_AFTER,
)


def _certificates(event: Any) -> list[Certificate]:
    count = held.tern_event_certificate_count(event)
    return [
        Certificate(*(text(held.tern_event_certificate(event, i, name)) or "" for name in _FIELDS))
        for i in range(count)
    ]


def read_event(event: Any, explain: Optional[Callable[[Any], Optional[str]]] = None) -> Event:
    """Reads all of an event that is borrowed from Tern; `explain` may know better than its hint."""
    hint = explain(event) if explain is not None else None
    kind = EventKind(held.tern_event_get_kind(event))
    connected = kind == EventKind.CONNECTED
    delay = held.tern_event_retry_delay(event)
    return Event(
        kind=kind,
        error=held.tern_event_error(event),
        text=text(held.tern_event_text(event)) or "",
        step=Step(held.tern_event_step(event)),
        hint=hint or text(held.tern_event_hint(event)),
        reason_code=held.tern_event_reason_code(event),
        reason_string=text(held.tern_event_reason_string(event)),
        server_reference=text(held.tern_event_server_reference(event)),
        server=text(held.tern_event_server(event)),
        peer=text(held.tern_event_peer(event)),
        attempt=held.tern_event_attempt(event),
        elapsed=held.tern_event_elapsed(event) / 1000,
        retry_delay=None if delay < 0 else delay / 1000,
        os_error=held.tern_event_os_error(event),
        http_status=held.tern_event_http_status(event),
        verify_result=held.tern_event_verify_result(event),
        session_present=held.tern_event_session_present(event) == 1,
        version=Version(held.tern_event_version(event)) if connected else None,
        limits={limit: held.tern_event_limit(event, int(limit)) for limit in Limit}
        if connected
        else {},
        response_information=text(held.tern_event_response_information(event)),
        tls_version=text(held.tern_event_tls_version(event)),
        tls_cipher=text(held.tern_event_tls_cipher(event)),
        tls_protocol=text(held.tern_event_tls_protocol(event)),
        tls_resumed=held.tern_event_tls_resumed(event) == 1,
        certificates=_certificates(event),
    )
