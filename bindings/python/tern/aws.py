"""AWS IoT Core: clients that the service accepts.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import weakref
from collections.abc import Awaitable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from ._check import as_bytes, c_enum, c_number, c_text, set_option, several
from ._ffi import c, callbacks, held
from .attempt import Question
from .enums import OutboxPolicy
from .errors import make_error

if TYPE_CHECKING:
    from .options import PathLike

#: Options of a client that the service sets itself.
_NOT_HERE = ("tls", "username", "password", "credentials", "headers")
_PORT = 0xFFFF
_SECONDS = 0xFFFFFFFF
_MESSAGES = 0x7FFFFFFFFFFFFFFF


class Credentials(NamedTuple):
    """Credentials of IAM."""

    access_key: str
    secret_key: str
    session_token: Optional[str] = None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r}, ...)"


Provider = Callable[[], Union[Credentials, Awaitable[Credentials]]]


class _Asked:
    """Who is asked for a client's credentials; its client keeps it."""

    def __init__(self, owner: Any, ask: Provider) -> None:
        self.question = Question(owner, ask)
        self.number = next(_numbers)
        _asked[self.number] = self


_numbers = itertools.count(1)
_asked: weakref.WeakValueDictionary[int, _Asked] = weakref.WeakValueDictionary()


@callbacks.tern_aws_credentials_callback  # type: ignore[untyped-decorator]
def _on_credentials(_client: int, credentials: int, number: int) -> int:
    asked = _asked.get(number)
    if asked is None:
        return int(c.TERN_E_CLOSED)
    answer = asked.question.ask()
    if answer is None:
        return int(c.TERN_E_AGAIN)
    try:
        texts = [c_text("credentials", part) for part in Credentials(*answer)]
        rc: int = held.tern_aws_credentials_set(credentials, *texts)
        if rc != 0:
            raise make_error(rc, "credentials: not what an access key looks like")
    except Exception as error:
        asked.question.failed(error)
        return int(c.TERN_E_INVALID)
    return 0


class IoTCore:
    """How to connect to AWS IoT Core, as the `service` of a tern.Client or tern.aio.Client.

    ::

        service = tern.aws.IoTCore.with_certificate(
            "abc123-ats.iot.eu-west-1.amazonaws.com", "certificate.pem.crt", "private.pem.key"
        )
        with tern.Client(service=service, client_id="thing-1") as client:
            client.publish("sensors/1", "23.5", qos=1).wait(5)

    The client names no server. What the service would close the connection for is refused before it
    is sent: QoS 2, payloads over 128 KiB, topics over 256 bytes or 7 slashes; 8 filters go into a
    SUBSCRIBE, and 100 messages are in flight. Event.hint says what a failure may mean there. One
    object may make any number of clients.

    Keywords of all three ways: `ca_file`, PEM authorities in place of the system's. `address`, host
    and port to connect to in place of the endpoint's own. `backoff`, the first reconnect delay, the
    largest, and how long a connection lasts until it starts over (whole seconds; the service's own
    SDK has 1, 32, 20). `offline_queue`, how many messages wait while offline, -1 for any number,
    with `offline_policy` for those beyond. `draining_frequency`, messages a second that leave the
    queue after a connection.
    """

    asks = False

    def __init__(
        self,
        endpoint: str,
        *,
        ca_file: Optional[PathLike] = None,
        address: Optional[tuple[str, int]] = None,
        backoff: Optional[tuple[int, int, int]] = None,
        offline_queue: Optional[int] = None,
        offline_policy: OutboxPolicy = OutboxPolicy.REJECT,
        draining_frequency: Optional[int] = None,
    ) -> None:
        self.endpoint = endpoint
        """The host that the service's console shows."""
        self._provider: Optional[Provider] = None
        self._calls: list[tuple[str, str, tuple[Any, ...]]] = []
        if ca_file is not None:
            self._call("ca_file", "set_ca_file", c_text("ca_file", ca_file))
        if address is not None:
            host, port = several("address", address, 2)
            number = c_number("address", port, _PORT)
            self._call("address", "set_address", c_text("address", host), number)
        if backoff is not None:
            seconds = [c_number("backoff", one, _SECONDS) for one in several("backoff", backoff, 3)]
            self._call("backoff", "set_backoff", *seconds)
        if offline_queue is not None:
            number = c_number("offline_queue", offline_queue, _MESSAGES, -1)
            policy = c_enum("offline_policy", OutboxPolicy, offline_policy)
            if policy == OutboxPolicy.BLOCK:
                raise ValueError("offline_policy: a client's outbox_policy is what may block")
            self._call("offline_queue", "set_offline_queue", number, policy)
        if draining_frequency is not None:
            rate = c_number("draining_frequency", draining_frequency, _SECONDS)
            self._call("draining_frequency", "set_draining_frequency", rate)
        with self._options():
            pass  # what is wrong is told now

    def _call(self, name: str, function: str, *arguments: Any) -> None:
        self._calls.append((name, f"tern_aws_options_{function}", arguments))

    # ---- the ways in ----

    @classmethod
    def with_certificate(
        cls,
        endpoint: str,
        certificate_file: PathLike,
        key_file: PathLike,
        *,
        port: int = 8883,
        **more: Any,
    ) -> IoTCore:
        """A device certificate, PEM files that are read at each attempt; port 8883 or 443."""
        files = c_text("certificate_file", certificate_file), c_text("key_file", key_file)
        number = c_number("port", port, _PORT)
        # The authorities come with this call, and not with ca_file's own.
        ca = c_text("ca_file", more.pop("ca_file", None))
        service = cls(endpoint, **more)
        service._call("certificate_file", "set_certificate_files", ca, *files, number)
        return service._checked()

    @classmethod
    def with_authorizer(
        cls,
        endpoint: str,
        authorizer: Optional[str] = None,
        *,
        username: Optional[str] = None,
        password: Union[str, bytes, None] = None,
        token: Optional[tuple[str, str, str]] = None,
        **more: Any,
    ) -> IoTCore:
        """A custom authorizer, on port 443; None is the default one.

        username and password are the authorizer's business. token, for one with signing: the
        token's key name, the token, its signature in base64.
        """
        service = cls(endpoint, **more)
        secret = None if password is None else as_bytes(password, "password")
        service._call(
            "authorizer",
            "set_authorizer",
            c_text("authorizer", authorizer),
            c_text("username", username),
            secret,
            len(secret or b""),
            *(c_text("token", part) for part in several("token", token or (None,) * 3, 3)),
        )
        return service._checked()

    @classmethod
    def with_credentials(
        cls, endpoint: str, credentials: Provider, *, region: Optional[str] = None, **more: Any
    ) -> IoTCore:
        """WebSocket on port 443, with a URL signed for each attempt (Signature Version 4).

        credentials: called before each attempt where callbacks run, and returns Credentials, or
        their two or three texts; it may be a coroutine function for tern.aio.Client. Where it
        raises, on_error is told, and it is asked again after the retry delay. region: None takes it
        from the endpoint.
        """
        if not callable(credentials):
            raise TypeError(f"credentials: not callable: {type(credentials).__name__}")
        service = cls(endpoint, **more)
        service._provider, service.asks = credentials, True
        name = c_text("region", region)
        service._call("region", "set_websocket", name, _on_credentials, 0)
        return service._checked()

    # ---- making clients ----

    def _checked(self) -> IoTCore:
        with self._options():
            return self

    @contextlib.contextmanager
    def _options(self, number: int = 0) -> Iterator[ctypes.c_void_p]:
        handle = ctypes.c_void_p()
        rc = held.tern_aws_options_new(ctypes.byref(handle), c_text("endpoint", self.endpoint))
        if rc != 0:
            raise make_error(rc, f"endpoint: {held.tern_strerror(rc).decode()}")
        try:
            for name, function, arguments in self._calls:
                if function == "tern_aws_options_set_websocket":
                    arguments = (*arguments[:-1], number)
                set_option(name, function, handle, *arguments)
            yield handle
        finally:
            held.tern_aws_options_free(handle)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises TypeError for options that are the service's own to set."""
        for name in _NOT_HERE:
            if options.get(name) is not None:
                raise TypeError(f"{name}: the service sets it")

    def new_client(
        self, client: Any, owner: Any, prepare: Callable[[Any, Any], None]
    ) -> tuple[int, Any]:
        """Makes a client of C; see tern._service."""
        asked = None
        if self._provider is not None:
            asked = _Asked(owner(), self._provider)
        with self._options(asked.number if asked is not None else 0) as handle:
            connection = held.tern_aws_options_connection(handle)
            prepare(held.tern_aws_options_client(handle), connection)
            for name, function, arguments in self._calls:  # they count more than the options do
                if name in ("backoff", "offline_queue", "draining_frequency"):
                    set_option(name, function, handle, *arguments)
            return held.tern_aws_client_new(ctypes.byref(client), handle), asked

    def explain(self, event: Any) -> Optional[str]:
        """What an event of C means at this service, and what to do; see tern._service."""
        buffer = ctypes.create_string_buffer(500)
        known = held.tern_aws_explain(event, buffer, len(buffer)) == 1
        return buffer.value.decode(errors="replace") if known else None

    def __repr__(self) -> str:
        return f"<tern.aws.IoTCore {self.endpoint}>"


__all__ = ["Credentials", "IoTCore"]
