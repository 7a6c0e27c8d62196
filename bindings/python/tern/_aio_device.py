"""A device of Azure IoT Hub on an event loop, without a thread between.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import weakref
from collections.abc import Coroutine, Generator, Mapping
from typing import Any, Callable, Optional, Union

from ._azure import Ending, Method, Response, TelemetryBase, Text
from ._check import U32, milliseconds, patience
from ._core import Lifeline, TokenResult
from ._device import DesiredHandler, DeviceBase, MessageHandler, MethodHandler
from ._ffi import c, held
from ._reader import Reader
from .errors import ClosedError
from .message import Message, Payload
from .requests import failure_of

_TAKEN = (Exception, asyncio.CancelledError)
"""What a callback may raise without ending its loop."""


class Opening:
    """What tasks wait for, and the loop opens."""

    __slots__ = ("_waiters", "opened", "value")

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []
        self.opened = False
        self.value: Any = None

    def open(self, value: Any) -> None:
        """Opens it, once."""
        self.value, self.opened = value, True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, timeout: Optional[float]) -> bool:
        """Waits; False where the time was over first."""
        if not self.opened:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await asyncio.wait([waiter], timeout=timeout)
            finally:
                self._waiters.remove(waiter)
        return self.opened


class Telemetry(TelemetryBase):
    """A message that was sent; awaiting it waits for its outcome, as awaiting a publication does."""

    _device: Device

    async def wait(self) -> Telemetry:
        """Waits for the outcome. Cancelling the wait leaves the message alone."""
        await self._device._opened(self.ending.gate)
        self._check()
        return self

    def __await__(self) -> Generator[Any, None, Telemetry]:
        return self.wait().__await__()


class Device(DeviceBase):
    """A device's, or module's, connection to Azure IoT Hub, for one event loop.

    ::

        async with tern.aio.Device(connection_string) as device:
            await device.send('{"temperature": 25.5}', content_type="application/json")
            print((await device.get_twin()).json())

    It does as tern.azure.Device. All methods belong to the loop that connect() runs in. Waits may
    be cancelled at any time: what was asked for goes on. Callbacks are called in the loop, and may
    be coroutine functions: those for messages and desired properties run one after the other, those
    for methods side by side. A message is acknowledged when its handler has ended. What callbacks
    raise goes to `on_error`, else to sys.unraisablehook.
    """

    _loop: Optional[asyncio.AbstractEventLoop] = None
    _closing: Optional[Opening] = None
    _interrupt: Optional[BaseException] = None

    def _prepare(self, fixed: Any) -> None:
        held.tern_client_options_set_dispatch(fixed, c.TERN_DISPATCH_MANUAL)
        held.tern_client_options_set_ack(fixed, c.TERN_ACK_MANUAL)

    def _adopt_hub(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}
        descriptor, lifeline = ctypes.c_int(), Lifeline()
        self._adopt(self._hub, "tern_azure_hub_free", lifeline)
        self._check(held.tern_client_dispatch_fd(self._client, ctypes.byref(descriptor)))
        self._reader = Reader(descriptor.value, lifeline)
        weakref.finalize(self, self._reader.forget).atexit = False

    def _at_exit(self) -> None:
        """Nobody would dispatch, so there is no callback."""

    # ---- the event loop ----

    def _attach(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("the device belongs to another event loop")
        if self._loop is None:
            self._loop = loop
            look = weakref.WeakMethod(self._look)

            def readable() -> None:
                call = look()
                if call is not None:
                    call()

            self._reader.start(loop, readable)

    def _look(self) -> None:
        """Runs the callbacks that are due."""
        rc = held.tern_client_dispatch(self._client, 0)
        closed = self._closing is not None and self._closing.opened
        if closed or rc in (c.TERN_E_CLOSED, c.TERN_E_FORKED):
            self._reader.stop()
        error, self._interrupt = self._interrupt, None
        if error is not None:
            raise error

    async def _opened(
        self, gate: Opening, timeout: Optional[float] = None, what: str = "wait"
    ) -> Any:
        if self._parents:
            raise ClosedError(c.TERN_E_FORKED)
        self._attach()
        if not await gate.wait(patience("timeout", timeout)):
            raise self._late(what)
        return gate.value

    def _start(self, function: Any, handle: int, *arguments: Any) -> Opening:
        """Starts what ends with a token."""
        self._attach()
        ending = Ending(Opening())
        self._check(function(handle, *arguments, ctypes.byref(ending.token)))
        ending.watch()
        gate: Opening = ending.gate
        return gate

    # ---- life ----

    async def connect(self, timeout: Optional[float] = 10.0) -> Device:
        """Connects, and reconnects from now on with a fresh token each time. Returns itself.

        With `timeout` 0 it does not wait. Raises as tern.Client.connect().
        """
        self._check_open()
        patience("timeout", timeout)
        gate = self._start(held.tern_azure_hub_start, self._hub)
        self._connects = True
        if timeout != 0:
            result: TokenResult = await self._opened(gate, timeout, "connect")
            if result.error != 0:
                self._connects = False  # it has stopped
                raise failure_of(result)
        return self

    async def flush(self) -> None:
        """Waits until everything sent before has its outcome."""
        self._check_open()
        await self._opened(self._start(held.tern_client_flush, self._client))

    async def close(self, timeout: Optional[float] = 5.0) -> None:
        """Waits up to `timeout` seconds for what is open to end, then disconnects for good.

        None: as long as it takes. Everything that is left has its outcome, and every request its
        answer. Cancelled, it goes on, and another close() waits for it.
        """
        limit = milliseconds("timeout", timeout, U32)
        if self._loop is None or self._loop.is_closed():
            self._closed = True
            held.tern_client_close(self._client, 0, 0, None)
            return
        if not self._closed:
            start = held.tern_client_close, self._client, int(limit > 0), limit
            self._closing = self._start(*start)
            self._closed = True
        if self._closing is not None:
            await self._closing.wait(None if timeout is None else timeout + 5)

    async def __aenter__(self) -> Device:
        self._check_open()
        self._attach()
        try:
            return self if self._connects else await self.connect()
        except BaseException:
            await self.close(0)
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

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
        """Sends telemetry, at once, also while offline; awaiting the result waits for its outcome.

        Raises as tern.azure.Device.send().
        """
        sent = Telemetry(self, Ending(Opening()))
        system = content_type, content_encoding, message_id, correlation_id
        self._send(sent.ending, payload, properties, qos, compress, *system)
        return sent

    # ---- the twin ----

    async def get_twin(self, timeout: float = 10.0) -> Response:
        """The device twin, desired and reported properties as JSON.

        Raises as tern.azure.Device.get_twin().
        """
        gate = Opening()
        self._ask_twin(gate.open, timeout)
        return await self._answered(gate)

    async def report(
        self, properties: Union[Payload, Mapping[str, Any]], timeout: float = 10.0
    ) -> int:
        """Reports properties, JSON or what becomes JSON, which are merged into the twin.

        Returns the version of the reported properties. Raises as get_twin(). One that timed out may
        still arrive.
        """
        gate = Opening()
        self._ask_report(properties, gate.open, timeout)
        return (await self._answered(gate)).version

    async def _answered(self, gate: Opening) -> Response:
        response: Response = await self._opened(gate)  # C sees to the time
        response.check()
        return response

    # ---- callbacks ----

    def _result(self, callback: Callable[..., Any], *values: Any) -> Any:
        """What a callback returned, which may be a coroutine; None where it raised."""
        try:
            return callback(*values)
        except _TAKEN as error:
            self._on_error(error)
        except BaseException as error:  # it cannot pass through C
            self._interrupt = error
        return None

    def _call(self, callback: Optional[Callable[..., Any]], *values: Any) -> None:
        if callback is not None:
            result = self._result(callback, *values)
            if inspect.iscoroutine(result):
                self._spawn(self._guarded(result, None), result)

    def _spawn(
        self, coroutine: Coroutine[Any, Any, None], given: Coroutine[Any, Any, Any]
    ) -> asyncio.Task[None]:
        """Runs a coroutine, in which the one that a callback gave runs."""
        assert self._loop is not None
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: given.close())  # where it was cancelled before its turn
        return task

    async def _guarded(
        self, given: Coroutine[Any, Any, Any], before: Optional[asyncio.Task[None]]
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await given
        except Exception as error:
            self._on_error(error)

    def _in_turn(self, kind: str, result: Any) -> Optional[asyncio.Task[None]]:
        """Runs what is a coroutine after the last one of its kind."""
        if not inspect.iscoroutine(result):
            return None
        task = self._spawn(self._guarded(result, self._last.get(kind)), result)
        self._last[kind] = task
        return task

    def _tell_message(
        self, handler: MessageHandler, message: Message, properties: list[tuple[str, Optional[str]]]
    ) -> None:
        task = self._in_turn("message", self._result(handler, message, properties))
        if task is not None:
            task.add_done_callback(lambda it: self._handled(message, not it.cancelled()))
        else:
            self._handled(message, self._interrupt is None)

    def _handled(self, message: Message, wholly: bool) -> None:
        if wholly and not self._manual:
            held.tern_client_ack_number(self._client, message.number, 0)

    def _tell_desired(self, handler: DesiredHandler, version: int, payload: bytes) -> None:
        self._in_turn("desired", self._result(handler, version, payload))

    def _tell_method(self, handler: MethodHandler, method: Method) -> None:
        try:
            answer = handler(method)
        except _TAKEN as error:
            self._fail(method, error)
        except BaseException as error:
            self._interrupt = error
        else:
            if inspect.iscoroutine(answer):
                self._spawn(self._answer_later(method, answer), answer)
            else:
                self._answer_with(method, answer)

    async def _answer_later(self, method: Method, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            answer = await coroutine
        except asyncio.CancelledError:
            self._answer_failed(method)
            raise
        except Exception as error:
            self._fail(method, error)
        else:
            self._answer_with(method, answer)
