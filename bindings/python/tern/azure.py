"""Azure IoT Hub: a device, or a module of one.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import json
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from . import _azure
from ._apply import apply_client, apply_connection
from ._azure import Ending, Method, Response, Telemetry, properties_handle
from ._check import (
    U32,
    as_bytes,
    c_function,
    c_number,
    c_text,
    flags_of,
    milliseconds,
    patience,
    set_option,
)
from ._core import Gate
from ._ffi import c, held, lib
from ._foreign import Foreign, check_options, waited
from .enums import OutboxPolicy
from .errors import ClosedError, TimeoutError, make_error
from .event import Event
from .message import Message, Payload
from .options import Options
from .requests import failure_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

Text = Union[Mapping[str, Optional[str]], Iterable[tuple[str, Optional[str]]]]
MessageHandler = Callable[[Message, list[tuple[str, Optional[str]]]], Any]
DesiredHandler = Callable[[int, bytes], Any]
MethodHandler = Callable[[Method], Any]
"""May return None, to answer later, or what answer() takes: a status, or a status and a payload."""

#: Options of a client that a device does not have, and why.
_NOT_HERE = {
    "client_id": "it is in the connection string",
    "username": "the hub makes it",
    "password": "the hub makes it",
    "credentials": "the hub makes them",
    "service": "the hub is one",
    "version": "the service speaks 3.1.1",
    "log_level": "C's records come from threads that may not wait for Python",
    "receive_limit": "a device has handlers, and no receive()",
}


def check_connection_string(connection_string: str) -> None:
    """Raises UsageError where a connection string is not valid: the key, its position, the reason.

    Values are never repeated, so that the text may be logged.
    """
    raw, buffer = c_text("connection_string", connection_string), ctypes.create_string_buffer(500)
    rc = held.tern_azure_connection_string_error(raw, buffer, len(buffer))
    if rc != 0:
        raise make_error(rc, f"connection_string: {buffer.value.decode(errors='replace')}")


class _Through:
    """Through whom messages from the cloud came."""

    def __init__(self, device: Device) -> None:
        self._device = weakref.ref(device)

    def ack(self, number: int) -> None:
        device = self._device()
        if device is None or device._closed:
            raise ClosedError(c.TERN_E_CLOSED)
        if number != 0 and not device._manual:
            raise make_error(c.TERN_E_STATE, "ack: the device acknowledges by itself")
        device._check(held.tern_client_ack_number(device._client, number, 0))


class Device(Foreign):
    """A device's, or module's, connection to its hub.

    ::

        with tern.azure.Device(connection_string) as device:
            device.send('{"temperature": 25.5}', content_type="application/json").wait(5)
            print(device.get_twin().json())

    It makes the tokens that the service takes for passwords, and renews them in time without losing
    a message. What the service would close the connection for is refused before it is sent: QoS 2,
    retained messages, more than 256 KB. Methods may be called from any thread. Callbacks run on a
    thread of C's, one at a time; they may send, ask and answer, and must not wait. What they raise
    goes to `on_error`, else to sys.unraisablehook.
    """

    def __init__(
        self,
        connection_string: str,
        *,
        token_life: int = 3600,
        websocket: bool = False,
        server: Optional[str] = None,
        model_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> None:
        """connection_string: HostName, DeviceId, and SharedAccessKey (with SharedAccessKeyName),
        SharedAccessSignature or `x509=true`; ModuleId, GatewayHostName. token_life: seconds that a
        token is valid, 5 and up; it is renewed at 80 % of that. websocket: port 443 in place of
        8883. server: a URL to connect to in place of the hub's own, for a gateway. model_id: of IoT
        Plug and Play. options: those of tern.Client that are about the outbox, TLS (with the
        device's certificate), proxies, delays and the will; keep_alive is 240 seconds unless it is
        given, and 1177 at most.
        """
        super().__init__()
        self.on_event: Optional[Callable[[Event], Any]] = None
        """Called with what happens to the connection. Failures are logged, too."""
        self._handlers: dict[str, Any] = {}
        self._connects = False  # it was told to connect
        self._through = _Through(self)
        check_options(options, _NOT_HERE)
        if options.get("outbox_policy") == OutboxPolicy.BLOCK:
            raise ValueError("outbox_policy: a device's outbox does not block")
        self._manual = options.get("ack") == "manual"
        check_connection_string(connection_string)
        self._hub = self._make(connection_string, options, token_life, websocket, server, model_id)
        self._client: int = held.tern_azure_hub_client(self._hub)
        self._adopt(self._hub, "tern_azure_hub_free")
        held.tern_azure_hub_set_event_handler(self._hub, _azure.on_event, self._number)

    def _make(self, connection_string: str, options: Options, *own: Any) -> int:
        handle, hub = ctypes.c_void_p(), ctypes.c_void_p()
        text = c_text("connection_string", connection_string)
        rc = held.tern_azure_options_new(ctypes.byref(handle), text)
        if rc != 0:
            raise make_error(rc)
        try:
            self._apply(handle, options.get("keep_alive", 240), *own)
            fixed = held.tern_azure_options_client(handle)
            apply_client(fixed, options)
            if self._manual:
                held.tern_client_options_set_ack(fixed, c.TERN_ACK_MANUAL)
            rest = {name: value for name, value in options.items() if name != "keep_alive"}
            apply_connection(held.tern_azure_options_connection(handle), (), rest)
            rc = held.tern_azure_hub_new(ctypes.byref(hub), handle)
        finally:
            held.tern_azure_options_free(handle)
        if rc != 0:
            raise make_error(rc)
        assert hub.value is not None
        return hub.value

    @staticmethod
    def _apply(
        handle: Any,
        keep_alive: int,
        token_life: int,
        websocket: bool,
        server: Optional[str],
        model_id: Optional[str],
    ) -> None:
        def call(name: str, value: Any) -> None:
            set_option(name, f"tern_azure_options_set_{name}", handle, value)

        call("token_life", c_number("token_life", token_life, U32))
        call("keep_alive", c_number("keep_alive", keep_alive, 0xFFFF))
        call("websocket", int(bool(websocket)))
        call("server", c_text("server", server))
        call("model_id", c_text("model_id", model_id))

    # ---- errors ----

    def _check(self, rc: int) -> None:
        if rc == 0:
            return
        if self._closed or rc == c.TERN_E_CLOSED:
            raise ClosedError(c.TERN_E_CLOSED)
        buffer = ctypes.create_string_buffer(500)
        known = held.tern_client_copy_error_text(self._client, buffer, len(buffer)) == rc
        raise make_error(rc, buffer.value.decode(errors="replace") or None if known else None)

    def _check_no_callback(self, what: str) -> None:
        if held.tern_client_in_callback(self._client) == 1:
            raise make_error(c.TERN_E_WOULD_DEADLOCK, f"{what}: not in a callback of the device")

    def _await(self, gate: Gate, timeout: Optional[float], what: str) -> Any:
        if not gate.opened:
            self._check_waits(what)
        if not gate.wait(patience("timeout", timeout)):
            buffer = ctypes.create_string_buffer(500)
            held.tern_client_copy_error_text(self._client, buffer, len(buffer))
            trouble = buffer.value.decode(errors="replace")
            raise TimeoutError(c.TERN_E_TIMEOUT, f"{what}: not in time; {trouble}".rstrip("; "))
        return gate.value

    # ---- life ----

    def connect(self, timeout: Optional[float] = 10.0) -> Device:
        """Connects, and reconnects from now on with a fresh token each time. Returns itself.

        With `timeout` 0 it does not wait. Raises as tern.Client.connect().
        """
        self._check_open()
        self._check_no_callback("connect")
        ending = Ending()
        self._check(held.tern_azure_hub_start(self._hub, ctypes.byref(ending.token)))
        self._connects = True
        ending.watch()
        if timeout != 0:
            result = self._await(ending.gate, timeout, "connect")
            if result.error != 0:
                raise failure_of(result)
        return self

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until everything sent before has its outcome. Raises TimeoutError."""
        self._check_open()
        ending = Ending()
        self._check(held.tern_client_flush(self._client, ctypes.byref(ending.token)))
        ending.watch()
        self._await(ending.gate, timeout, "flush")

    def close(self, timeout: float = 5.0) -> None:
        """Waits up to `timeout` seconds for what is open to end, then disconnects for good.

        Everything that is left has its outcome, and every request its answer. Closing twice does
        nothing. Raises WouldDeadlockError in a callback of the device.
        """
        with self._lock:
            if self._closed:
                return
            self._check_no_callback("close")
            milliseconds("timeout", timeout)
            self._closed = True
        rc = waited(lambda ms: lib.tern_client_close_wait(self._client, ms), timeout)
        if rc not in (0, c.TERN_E_CLOSED, c.TERN_E_TIMEOUT, c.TERN_E_FORKED):
            raise make_error(rc)

    def __enter__(self) -> Device:
        self._check_open()
        with self._closed_where_it_fails():
            return self if self._connects else self.connect()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    # ---- telemetry, and messages from the cloud ----

    def send(
        self,
        payload: Payload,
        properties: Text = (),
        *,
        qos: int = 1,
        content_type: Optional[str] = None,
        content_encoding: Optional[str] = None,
        message_id: Optional[str] = None,
        correlation_id: Optional[str] = None,
        compress: Optional[bool] = None,
    ) -> Telemetry:
        """Sends telemetry, also while offline: it waits in the outbox then.

        properties: names and values; None for a name alone. With content type "application/json"
        and encoding "utf-8" the service can route by what is in the payload. Raises
        OutboxFullError, UnsupportedError for QoS 2, UsageError for what is too large.
        """
        self._check_open()
        raw, flags = as_bytes(payload), flags_of(qos, False, compress)
        system = {
            "content_type": content_type,
            "content_encoding": content_encoding,
            "message_id": message_id,
            "correlation_id": correlation_id,
        }
        sent = Telemetry(self)
        with properties_handle(properties, system) as bag:
            token = ctypes.byref(sent.ending.token)
            rc = lib.tern_azure_hub_send_message(self._hub, raw, len(raw), bag, flags, token)
        self._check(rc)
        sent.ending.watch()
        return sent

    @property
    def on_message(self) -> Optional[MessageHandler]:
        """Called with messages from the cloud, and their properties; setting it subscribes."""
        return self._handlers.get("message")

    @on_message.setter
    def on_message(self, handler: Optional[MessageHandler]) -> None:
        self._follow("message", handler, _azure.on_message)

    def _follow(self, what: str, handler: Any, callback: Any) -> None:
        self._check_open()
        c_function(f"on_{what}", handler)
        self._handlers[what] = handler
        function = getattr(held, f"tern_azure_hub_set_{what}_handler")
        self._check(function(self._hub, callback if handler is not None else None, self._number))

    # ---- the twin ----

    def get_twin(self, timeout: float = 10.0) -> Response:
        """The device twin, desired and reported properties as JSON.

        Raises TimeoutError, NetworkError where the connection was lost meanwhile, RefusedError for
        a status that says no (its text has it; 429: there were too many).
        """
        gate = Gate()
        self._check_no_callback("get_twin")
        self.request_twin(gate.open, timeout)
        return self._answer(gate)

    def request_twin(self, callback: Callable[[Response], Any], timeout: float = 10.0) -> None:
        """As get_twin(), without waiting: the callback is told once how it ended."""
        self._check_open()
        number = _azure.expect(self, callback)
        limit = _azure.timeout_ms(timeout)
        rc = lib.tern_azure_hub_get_twin(self._hub, limit, _azure.on_response, number)
        self._started(rc, number)

    def report(self, properties: Union[Payload, Mapping[str, Any]], timeout: float = 10.0) -> int:
        """Reports properties, JSON or what becomes JSON, which are merged into the twin.

        Returns the version of the reported properties. Raises as get_twin(). One that timed out may
        still arrive.
        """
        gate = Gate()
        self._check_no_callback("report")
        self.request_report(properties, gate.open, timeout)
        return self._answer(gate).version

    def request_report(
        self,
        properties: Union[Payload, Mapping[str, Any]],
        callback: Optional[Callable[[Response], Any]] = None,
        timeout: float = 10.0,
    ) -> None:
        """As report(), without waiting: the callback is told once how it ended."""
        self._check_open()
        raw = _json_bytes(properties)
        number = _azure.expect(self, callback or (lambda _: None))
        limit = _azure.timeout_ms(timeout)
        rc = lib.tern_azure_hub_report(self._hub, raw, len(raw), limit, _azure.on_response, number)
        self._started(rc, number)

    def _started(self, rc: int, number: int) -> None:
        if rc != 0:
            _azure.forget(number)
            self._check(rc)

    def _answer(self, gate: Gate) -> Response:
        gate.wait(None)  # C sees to the time
        response: Response = gate.value
        response.check()
        return response

    @property
    def on_desired(self) -> Optional[DesiredHandler]:
        """Called with the version of the desired properties, and their change as JSON.

        Setting it subscribes. What changed while the device was away is in the twin.
        """
        return self._handlers.get("desired")

    @on_desired.setter
    def on_desired(self, handler: Optional[DesiredHandler]) -> None:
        self._follow("desired", handler, _azure.on_desired)

    # ---- direct methods ----

    @property
    def on_method(self) -> Optional[MethodHandler]:
        """Called with direct methods; setting it subscribes.

        What it returns is the answer: a status, or a status and a payload. With None it is given
        later, by answer(). Where it raises, the answer is 500.
        """
        return self._handlers.get("method")

    @on_method.setter
    def on_method(self, handler: Optional[MethodHandler]) -> None:
        self._follow("method", handler, _azure.on_method)

    def answer(
        self,
        method: Union[Method, str],
        status: int = 200,
        payload: Union[Payload, Mapping[str, Any]] = b"{}",
    ) -> None:
        """Answers a method, or the request of that id; the payload is JSON or what becomes JSON."""
        self._check_open()
        name = method.request_id if isinstance(method, Method) else method
        raw, number = _json_bytes(payload), c_number("status", status, 0x7FFFFFFF)
        text = c_text("request_id", name)
        self._check(lib.tern_azure_hub_answer_method(self._hub, text, number, raw, len(raw)))

    # ---- watching ----

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(held.tern_client_connected(self._client) == 1)

    @property
    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name, as of tern.Client."""
        result, value = {}, ctypes.c_uint64()
        for index in range(held.tern_stat_count()):
            name = held.tern_stat_name(index)
            if held.tern_client_stat(self._client, name, ctypes.byref(value)) == 0:
                result[name.decode()] = value.value
        return result


def _json_bytes(value: Union[Payload, Mapping[str, Any]]) -> bytes:
    return json.dumps(value).encode() if isinstance(value, Mapping) else as_bytes(value)


__all__ = ["Device", "Method", "Response", "Telemetry", "check_connection_string"]
