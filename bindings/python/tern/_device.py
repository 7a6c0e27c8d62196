"""What devices of Azure IoT Hub have in common, whichever way they wait.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from . import _azure
from ._apply import apply_client, apply_connection
from ._azure import Ending, Method, Response, Text, properties_handle
from ._check import (
    U32,
    as_bytes,
    c_function,
    c_number,
    c_text,
    flags_of,
    refuse_coroutine,
    set_option,
)
from ._ffi import c, held, lib
from ._foreign import Foreign, check_options
from .enums import OutboxPolicy
from .errors import ClosedError, TimeoutError, make_error
from .event import Event
from .message import Message, Payload
from .options import Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

MessageHandler = Callable[[Message, list[tuple[str, Optional[str]]]], Any]
DesiredHandler = Callable[[int, bytes], Any]
MethodHandler = Callable[[Method], Any]
"""May return None, to answer later, or what answer() takes: a status, or a status and a payload."""

_SYSTEM = ("content_type", "content_encoding", "message_id", "correlation_id")

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

    def __init__(self, device: DeviceBase) -> None:
        self._device = weakref.ref(device)

    def ack(self, number: int) -> None:
        device = self._device()
        if device is None or device._closed:
            raise ClosedError(c.TERN_E_CLOSED)
        if number != 0 and not device._manual:
            raise make_error(c.TERN_E_STATE, "ack: the device acknowledges by itself")
        device._check(held.tern_client_ack_number(device._client, number, 0))


class DeviceBase(Foreign):
    """A device but for its way of waiting."""

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
        self._adopt_hub()
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
            self._prepare(fixed)
            rest = {name: value for name, value in options.items() if name != "keep_alive"}
            apply_connection(held.tern_azure_options_connection(handle), (), rest)
            rc = held.tern_azure_hub_new(ctypes.byref(hub), handle)
        finally:
            held.tern_azure_options_free(handle)
        if rc != 0:
            raise make_error(rc)
        assert hub.value is not None
        return hub.value

    def _prepare(self, fixed: Any) -> None:
        """Sets options of the client that is made."""
        if self._manual:
            held.tern_client_options_set_ack(fixed, c.TERN_ACK_MANUAL)

    def _adopt_hub(self) -> None:
        """The hub was made."""
        self._adopt(self._hub, "tern_azure_hub_free")

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

    def _late(self, what: str) -> TimeoutError:
        """That something did not end in time, with what troubles the connection."""
        buffer = ctypes.create_string_buffer(500)
        held.tern_client_copy_error_text(self._client, buffer, len(buffer))
        trouble = buffer.value.decode(errors="replace")
        return TimeoutError(c.TERN_E_TIMEOUT, f"{what}: not in time; {trouble}".rstrip("; "))

    # ---- telemetry, and messages from the cloud ----

    def _send(
        self,
        ending: Ending,
        payload: Payload,
        properties: Text,
        qos: int,
        compress: Optional[bool],
        *system: Optional[str],
    ) -> None:
        self._check_open()
        raw, flags = as_bytes(payload), flags_of(qos, False, compress)
        with properties_handle(properties, dict(zip(_SYSTEM, system))) as bag:
            token = ctypes.byref(ending.token)
            rc = lib.tern_azure_hub_send_message(self._hub, raw, len(raw), bag, flags, token)
        self._check(rc)
        ending.watch()

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

    def _tell_message(
        self, handler: MessageHandler, message: Message, properties: list[tuple[str, Optional[str]]]
    ) -> None:
        self._call(handler, message, properties)

    # ---- the twin ----

    def _ask_twin(self, callback: Callable[[Response], Any], timeout: float) -> None:
        self._check_open()
        limit = _azure.timeout_ms(timeout)
        number = _azure.expect(self, callback)
        rc = lib.tern_azure_hub_get_twin(self._hub, limit, _azure.on_response, number)
        self._started(rc, number)

    def _ask_report(
        self,
        properties: Union[Payload, Mapping[str, Any]],
        callback: Callable[[Response], Any],
        timeout: float,
    ) -> None:
        self._check_open()
        raw = _json_bytes(properties)
        limit = _azure.timeout_ms(timeout)
        number = _azure.expect(self, callback)
        rc = lib.tern_azure_hub_report(self._hub, raw, len(raw), limit, _azure.on_response, number)
        self._started(rc, number)

    def _started(self, rc: int, number: int) -> None:
        if rc != 0:
            _azure.forget(number)
            self._check(rc)

    @property
    def on_desired(self) -> Optional[DesiredHandler]:
        """Called with the version of the desired properties, and their change as JSON.

        Setting it subscribes. What changed while the device was away is in the twin.
        """
        return self._handlers.get("desired")

    @on_desired.setter
    def on_desired(self, handler: Optional[DesiredHandler]) -> None:
        self._follow("desired", handler, _azure.on_desired)

    def _tell_desired(self, handler: DesiredHandler, version: int, payload: bytes) -> None:
        self._call(handler, version, payload)

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

    def _answer_with(self, method: Method, answer: Any) -> None:
        """Answers what a handler returned."""
        try:
            if answer is not None:
                self.answer(method, *(answer if isinstance(answer, tuple) else (answer,)))
        except Exception as error:
            self._fail(method, error)

    def _fail(self, method: Method, error: BaseException) -> None:
        """A handler raised, or returned what is no answer."""
        self._on_error(error)
        self._answer_failed(method)

    def _answer_failed(self, method: Method) -> None:
        with contextlib.suppress(Exception):  # else its caller's time runs out
            self.answer(method, 500)

    def _tell_method(self, handler: MethodHandler, method: Method) -> None:
        try:
            answer = handler(method)
            refuse_coroutine(answer)
        except BaseException as error:
            self._fail(method, error)
        else:
            self._answer_with(method, answer)

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
