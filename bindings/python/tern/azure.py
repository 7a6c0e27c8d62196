"""Azure IoT Hub: a device, or a module of one.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Callable, Optional, Union

from ._azure import Ending, Method, Response, TelemetryBase, Text
from ._check import milliseconds, patience
from ._core import Gate
from ._device import DeviceBase, check_connection_string
from ._ffi import c, held, lib
from ._foreign import waited
from .errors import make_error
from .message import Payload
from .requests import failure_of


class Telemetry(TelemetryBase):
    """A message that was sent: what became of it can be asked, or waited for."""

    _device: Device

    def wait(self, timeout: Optional[float] = None) -> Telemetry:
        """Waits for the outcome. Raises as Publication.wait(). Returns itself."""
        if not self.done:
            self._device._await(self.ending.gate, timeout, "wait")
        self._check()
        return self


class Device(DeviceBase):
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

    # ---- waiting ----

    def _check_no_callback(self, what: str) -> None:
        if held.tern_client_in_callback(self._client) == 1:
            raise make_error(c.TERN_E_WOULD_DEADLOCK, f"{what}: not in a callback of the device")

    def _await(self, gate: Gate, timeout: Optional[float], what: str) -> Any:
        if not gate.opened:
            self._check_waits(what)
        if not gate.wait(patience("timeout", timeout)):
            raise self._late(what)
        return gate.value

    # ---- life ----

    def connect(self, timeout: Optional[float] = 10.0) -> Device:
        """Connects, and reconnects from now on with a fresh token each time. Returns itself.

        With `timeout` 0 it does not wait. Raises as tern.Client.connect().
        """
        self._check_open()
        self._check_no_callback("connect")
        ending = Ending(Gate())
        self._check(held.tern_azure_hub_start(self._hub, ctypes.byref(ending.token)))
        self._connects = True
        ending.watch()
        if timeout != 0:
            result = self._await(ending.gate, timeout, "connect")
            if result.error != 0:
                self._connects = False  # it has stopped
                raise failure_of(result)
        return self

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until everything sent before has its outcome. Raises TimeoutError."""
        self._check_open()
        ending = Ending(Gate())
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

    # ---- telemetry ----

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
        sent = Telemetry(self, Ending(Gate()))
        system = content_type, content_encoding, message_id, correlation_id
        self._send(sent.ending, payload, properties, qos, compress, *system)
        return sent

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
        self._ask_twin(callback, timeout)

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
        self._ask_report(properties, callback or (lambda _: None), timeout)

    def _answer(self, gate: Gate) -> Response:
        gate.wait(None)  # C sees to the time
        response: Response = gate.value
        response.check()
        return response


__all__ = ["Device", "Method", "Response", "Telemetry", "check_connection_string"]
