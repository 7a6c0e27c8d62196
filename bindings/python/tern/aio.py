"""The asyncio client: on the event loop itself, without a thread between.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import weakref
from asyncio import Future, _get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    NoReturn,
    Optional,
    Union,
)

from ._aio_batch import Batch, BatchItem
from ._aio_device import Device, Telemetry
from ._base import ClientBase, PublicationBase, in_batches
from ._check import LARGEST, QOS, U32, as_bytes, c_number, flags_of, milliseconds
from ._core import TokenResult
from ._ffi import c, held
from ._reader import Reader
from .errors import ClosedError, OutboxFullError, TimeoutError, make_error
from .message import Message, OutgoingMessage, Payload, Properties
from .options import Options
from .outcomes import GOOD, Key, Settled
from .requests import (
    Subscribe,
    failure_of,
    outcome_error,
    subscription,
    subscription_result,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

FAIR = 128  # of as many messages of QoS 0 one waits for a turn of the event loop


class Publication(PublicationBase):
    """A published message.

    Awaiting it waits for the outcome, and raises where that is neither DELIVERED nor SENT.
    """

    __slots__ = ()
    _client: Client

    async def wait(self) -> Publication:
        """Waits for the outcome. Cancelling the wait leaves the message alone."""
        key = await self._client._settled(self.id)
        if key[0] not in GOOD:
            raise outcome_error(self.id, key)
        return self

    def __await__(self) -> Generator[Any, None, Publication]:
        return self.wait().__await__()


class Publishing(Future[Publication], Coroutine[Any, Any, Publication]):
    """A publish under way: what Client.publish() gives in its event loop.

    A future, since a task for each message would cost more than the message, and a coroutine, for
    create_task() and whoever else takes nothing but coroutines. asyncio.wait() wants it in a task.
    """

    __slots__ = ("publication",)
    publication: Publication

    def settle(self, key: Key) -> None:
        """The message has its outcome."""
        if key[0] in GOOD:
            self.set_result(self.publication)
        else:
            self.set_exception(outcome_error(self.publication.id, key))

    def take_turn(self) -> None:
        """The message was accepted, and what else there is in the loop had its turn."""
        if not self.done():
            self.set_result(self.publication)

    def cancel(self, msg: Optional[Any] = None) -> bool:
        """Cancels the wait."""
        with contextlib.suppress(AttributeError):  # where it waits for room
            publication = self.publication
            publication._client._core.settled.forget(publication.id, self.settle)
        return super().cancel(msg)

    def send(self, _value: Any) -> Publishing:
        """A coroutine's step: waits for itself, as its __await__() does, for any number of tasks."""
        if self.done():
            raise StopIteration(self.result())
        self._asyncio_future_blocking = True
        return self

    def throw(self, kind: Any, value: Any = None, _traceback: Any = None) -> NoReturn:
        """A coroutine's end by an exception."""
        raise kind if value is None else value

    def close(self) -> None:
        """A coroutine's end without one: the message goes on its way."""


class Client(ClientBase):
    """An MQTT client for one event loop.

    ::

        async with tern.aio.Client("mqtt://localhost") as client:
            await client.subscribe("sensors/#", qos=1)
            await client.publish("sensors/1", "23.5", qos=1)
            async for message in client.messages():
                print(message.topic, message.text)

    All methods belong to the loop that connect() runs in. Waits may be cancelled at any time: what
    was asked for goes on. Handlers are plain functions, called in the loop; on_error is told what
    they raise.
    """

    _TAKEN = (Exception, asyncio.CancelledError)

    def __init__(self, *servers: str, **options: Unpack[Options]) -> None:
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._waiting = 0
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._delayed: deque[tuple[Publishing, tuple[Any, ...]]] = deque()
        self._closing: Optional[asyncio.Future[TokenResult]] = None
        self._delaying: Optional[asyncio.Task[None]] = None
        super().__init__(servers, options)
        self._reader = Reader(self._core.descriptor, self._core.lifeline)
        weakref.finalize(self, self._reader.forget).atexit = False

    # ---- the connection ----

    async def connect(self, timeout: Optional[float] = 10.0) -> Client:
        """Connects, and reconnects from now on; waits for the first CONNACK.

        With `timeout` 0 it does not wait. Raises as tern.Client.connect().
        """
        self._attach()
        if timeout == 0:
            self._core.check(held.tern_client_connect(self._core.handle, None))
            self._connects = True
            return self
        if timeout is not None:
            milliseconds("timeout", timeout)
        started = self._start(held.tern_client_connect)
        self._connects = True  # also where the wait ends before
        try:
            result = await self._awaited(started, timeout)
        except asyncio.TimeoutError:
            last, text = self._core.last_error()
            raise (
                make_error(last, text)
                if last != 0
                else TimeoutError(c.TERN_E_TIMEOUT, "connect: no answer in time")
            ) from None
        if result.error != 0:
            self._connects = False
            raise failure_of(result)
        return self

    async def disconnect(self, reason_code: int = 0) -> None:
        """Disconnects and stops reconnecting; connect() may follow."""
        self._connects = False
        code = c_number("reason_code", reason_code, 255)
        await self._done(held.tern_client_disconnect, code)

    async def reconnect(self, quiesce: float = 1.0) -> None:
        """Connects anew without losing anything, with the options of now."""
        await self._done(held.tern_client_reconnect, milliseconds("quiesce", quiesce))

    async def flush(self) -> None:
        """Waits until every message published before has its outcome."""
        await self._done(held.tern_client_flush)

    async def close(self, timeout: Optional[float] = 5.0) -> None:
        """Waits up to `timeout` seconds for what is open to end, then disconnects for good.

        None: as long as it takes. Cancelled, it goes on, and another close() waits for it.
        """
        limit = milliseconds("timeout", timeout, U32)
        if self._loop is None or self._loop.is_closed():
            self._core.closed = True
            if held.tern_client_close(self._core.handle, 0, 0, None) == 0:
                self._core.end_batches()
            return
        if not self._core.closed:
            with contextlib.suppress(ClosedError):
                self._closing = self._start(held.tern_client_close, int(limit > 0), limit)
                self._closing.add_done_callback(self._ended)
                self._core.closed = True
                self._core.end_batches()
        self._core.closed = True
        if self._closing is not None and not self._closing.done():
            self._resume()
            await asyncio.wait([self._closing], timeout=None if timeout is None else timeout + 5)
        self._ended()

    def _ended(self, *_: Any) -> None:
        self._reader.stop()
        while self._receivers:
            self._wake_receiver()
        self._stop_asking()

    async def __aenter__(self) -> Client:
        self._check_open()
        self._attach()
        try:
            return self if self._connects else await self.connect()
        except BaseException:
            await self.close(0)
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- publishing ----

    def publish(
        self,
        topic: str,
        payload: Payload = b"",
        qos: int = 0,
        retain: bool = False,
        *,
        properties: Optional[Properties] = None,
        compress: Optional[bool] = None,
        lose_properties: bool = False,
    ) -> Coroutine[Any, Any, Publication]:
        """Publishes, at once; awaiting it waits for the broker's answer (QoS 1 and 2).

        While the outbox is full the message waits for room, and later ones behind it. Cancelled, a
        message that was accepted goes on its way, and one that waits for room does not. Raises,
        when awaited, RefusedError and others for an outcome that is none of DELIVERED and SENT,
        UsageError for what is no topic. (MQTT 5 section 3.3)
        """
        loop = self._loop
        if loop is None or _get_running_loop() is not loop:
            return self._publish_in_loop(
                topic, payload, qos, retain, properties, compress, lose_properties
            )
        core, message_id = self._core, 0
        publishing = Publishing(loop=loop)
        try:
            bits = QOS.get(qos)
            if (
                payload.__class__ is bytes
                and properties is None
                and compress is None
                and not retain
                and bits is not None
                and not lose_properties
                and not self._delayed
                and len(payload) <= LARGEST
            ):  # by far the most
                raw = core.topics.get(topic) or core.topic(topic)
                message_id = core.put(core.feed, raw, payload, len(payload), bits)
            if message_id > 0:
                self._follow(publishing, message_id, bits)
            else:
                flags = flags_of(qos, retain, compress, lose_properties)
                self._publish_when_room(publishing, topic, as_bytes(payload), flags, properties)
        except Exception as error:
            publishing.set_exception(error)
        return publishing

    async def _publish_in_loop(self, topic: str, payload: Payload, *options: Any) -> Publication:
        """Publishes when it runs: for callers in other threads, and before the loop is known."""
        self._attach()
        qos, retain, properties, compress, lose_properties = options
        return await self.publish(
            topic,
            payload,
            qos,
            retain,
            properties=properties,
            compress=compress,
            lose_properties=lose_properties,
        )

    def _follow(self, publishing: Publishing, message_id: int, qos: Optional[int]) -> None:
        """A message was accepted just now."""
        if qos:
            publishing.publication = Publication(self, message_id)
            # Nobody read since, so it has not ended.
            self._core.settled.waiters[message_id] = [publishing.settle]
            if not self._reader.reading:
                self._resume()
        elif message_id % FAIR:
            publishing.set_result(Publication(self, message_id))
        else:
            publishing.publication = Publication(self, message_id)
            publishing.get_loop().call_soon(publishing.take_turn)

    def _publish_when_room(self, publishing: Publishing, *message: Any) -> None:
        """Publishes now; else, where the outbox is full, in turn when there is room."""
        if not self._delayed:
            with contextlib.suppress(OutboxFullError):
                self._follow(publishing, self._core.publish(*message), message[2] & 3)
                return
            assert self._loop is not None
            self._delaying = self._loop.create_task(self._publish_delayed())
        self._delayed.append((publishing, message))

    async def _publish_delayed(self) -> None:
        try:
            while self._delayed:
                publishing, message = self._delayed[0]
                try:
                    if not publishing.done():
                        self._follow(publishing, self._core.publish(*message), message[2] & 3)
                except OutboxFullError:
                    with contextlib.suppress(ClosedError):
                        await self._room()
                    await asyncio.sleep(0)  # whoever else has something to do
                    continue
                except Exception as error:
                    publishing.set_exception(error)
                self._delayed.popleft()
        finally:  # of this task too waits can be cancelled
            while self._delayed:
                self._delayed.popleft()[0].cancel()

    def publish_nowait(
        self,
        topic: str,
        payload: Payload = b"",
        qos: int = 0,
        retain: bool = False,
        *,
        properties: Optional[Properties] = None,
        compress: Optional[bool] = None,
        lose_properties: bool = False,
    ) -> Publication:
        """Publishes without waiting; the result can be awaited.

        Raises OutboxFullError where there is no room.
        """
        core, bits = self._core, QOS.get(qos)
        if payload.__class__ is not bytes:
            payload = as_bytes(payload)
        if (
            properties is None
            and compress is None
            and not retain
            and bits is not None
            and not lose_properties
            and len(payload) <= LARGEST
        ):
            raw = core.topics.get(topic) or core.topic(topic)
            result = core.put(core.feed, raw, payload, len(payload), bits)
            if result > 0:
                return Publication(self, result)
        return Publication(
            self,
            core.publish(
                topic, payload, flags_of(qos, retain, compress, lose_properties), properties
            ),
        )

    async def publish_many(
        self, messages: Iterable[tuple[str, Payload]], qos: int = 0, retain: bool = False
    ) -> list[int]:
        """Publishes pairs of topic and payload in order, a thousand in one call; returns their ids.

        It waits for room where the outbox is full, behind who waits already; flush() waits for the
        outcomes.
        """
        ids: list[int] = []
        try:
            await self._turn()
            for batch in in_batches(messages):
                await self._publish_batch(batch, qos, retain, ids)
        except BaseException as error:
            error.accepted = ids  # type: ignore[attr-defined]
            raise
        return ids

    async def _publish_batch(
        self, batch: list[tuple[str, Payload]], qos: int, retain: bool, ids: list[int]
    ) -> None:
        while batch:
            accepted, error = self._core.publish_many(batch, qos, retain)
            ids += accepted
            batch = batch[len(accepted) :]
            if isinstance(error, OutboxFullError):
                await self._room()
            elif error is not None:
                raise error
            else:
                await asyncio.sleep(0)

    def publish_unit(self, messages: Sequence[OutgoingMessage]) -> list[Publication]:
        """Publishes 1 to 16 messages as a unit: next to each other, and where one is not sent, none.

        It does not wait; the results can be awaited. Raises as publish_nowait(), and none is
        accepted then. They are not compressed, and no service's limits are looked at. (MQTT 5
        section 3.3)
        """
        last = self._core.publish_unit(messages)
        return [Publication(self, number + 1) for number in range(last - len(messages), last)]

    async def _turn(self) -> None:
        """Until those that wait for room now were accepted."""
        last = self._delayed[-1] if self._delayed else None
        while last is not None and last in self._delayed:
            await self._room()

    async def _room(self) -> None:
        """Until the oldest message has its outcome, or a while."""
        oldest = ctypes.c_uint64()
        self._core.check(held.tern_client_oldest_open(self._core.handle, ctypes.byref(oldest)))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settled(oldest.value), 0.05)

    # ---- subscribing and receiving ----

    async def subscribe(
        self,
        filters: Union[str, Iterable[Union[str, Subscribe]]],
        qos: int = 0,
        *,
        identifier: int = 0,
        user_properties: Iterable[tuple[str, str]] = (),
        **flags: bool,
    ) -> list[int]:
        """Subscribes, now and after every lost session; returns the server's reason codes.

        As tern.Client.subscribe().
        """
        with subscription(filters, qos, identifier, user_properties, flags) as handle:
            future = self._start(held.tern_client_subscribe_all, handle)
        return subscription_result(await self._awaited(future), "subscribe")

    async def unsubscribe(self, filters: Union[str, Iterable[str]]) -> list[int]:
        """Unsubscribes; returns the server's reason codes."""
        with subscription(filters, 0, 0, (), {}) as handle:
            future = self._start(held.tern_client_unsubscribe_all, handle)
        return subscription_result(await self._awaited(future), "unsubscribe")

    async def _subscription_call(
        self, function: Any, what: str, timeout: Optional[float]
    ) -> list[int]:
        try:
            result = await self._token(timeout, function)
        except asyncio.TimeoutError:
            return subscription_result(None, what)
        return subscription_result(result, what)

    async def receive(self) -> Message:
        """Takes the next message that no handler takes. Cancelled, no message is lost.

        Raises ClosedError.
        """
        self._receiving = True
        core = self._core
        while not core.queue:
            if core.closed:
                raise ClosedError(c.TERN_E_CLOSED)
            self._attach()
            assert self._loop is not None
            future: asyncio.Future[None] = self._loop.create_future()
            self._receivers.append(future)
            try:
                await future
            finally:
                if future in self._receivers:
                    self._receivers.remove(future)
                elif core.queue:  # what this was woken for may be another's now
                    self._wake_receiver()
        message = core.hand_over()
        if not self._reader.reading and len(core.queue) <= self._limit // 2:
            self._resume()
        return message

    async def messages(self) -> AsyncIterator[Message]:
        """Messages that no handler takes, one after the other, until the client is closed.

        Those that wait are bounded by receive_limit: beyond it reading pauses, and TCP holds the
        broker.
        """
        while True:
            try:
                yield await self.receive()
            except ClosedError:
                return

    # ---- the event loop ----

    def _attach(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("the client belongs to another event loop")
        if self._loop is None:
            self._loop = loop
            self._resume()

    def _resume(self) -> None:
        if self._loop is not None and not self._reader.reading:
            look = weakref.WeakMethod(self._look)

            def readable() -> None:
                call = look()
                if call is not None:
                    call()

            self._reader.start(self._loop, readable)

    def _look(self) -> None:
        try:
            rc = self._core.read(0, wait=False)
        except BaseException:
            if self._loop is not None:  # the program may go on
                self._loop.call_soon(self._look)
            raise
        if rc in (c.TERN_E_CLOSED, c.TERN_E_FORKED):
            self._reader.stop()
        elif len(self._core.queue) >= self._limit and not self._waits():
            self._reader.stop()

    def _waits(self) -> bool:
        """Whether something is awaited that is told where messages are; the end is, too."""
        return self._waiting != 0 or self._core.settled.waits or self._core.closed

    def _start(self, function: Any, *arguments: Any) -> asyncio.Future[TokenResult]:
        self._attach()
        assert self._loop is not None
        future: asyncio.Future[TokenResult] = self._loop.create_future()

        def done(result: TokenResult) -> None:
            if not future.done():
                future.set_result(result)

        self._core.start(done, function, *arguments)
        return future

    async def _token(self, timeout: Optional[float], function: Any, *arguments: Any) -> TokenResult:
        if timeout is not None:
            milliseconds("timeout", timeout)
        result: TokenResult = await self._awaited(self._start(function, *arguments), timeout)
        return result

    async def _awaited(self, future: asyncio.Future[Any], timeout: Optional[float] = None) -> Any:
        """What something ended with that is told where messages are. Raises asyncio.TimeoutError."""
        self._waiting += 1
        self._resume()
        try:
            await asyncio.wait([future], timeout=timeout)
        finally:
            self._waiting -= 1
        if not future.done():
            raise asyncio.TimeoutError
        return future.result()

    async def _done(self, function: Any, *arguments: Any) -> None:
        result = await self._token(None, function, *arguments)
        if result.error != 0:
            raise failure_of(result)

    async def _settled(self, message_id: int, settled: Optional[Settled] = None) -> Key:
        settled = settled or self._core.settled
        self._attach()
        assert self._loop is not None
        future: asyncio.Future[Key] = self._loop.create_future()

        def waiter(key: Key) -> None:
            if not future.done():
                future.set_result(key)

        key = settled.wait(message_id, waiter)
        if key is not None:
            return key
        self._waiting += 1
        if not self._reader.reading:
            self._resume()
        try:
            return await future
        finally:
            self._waiting -= 1
            if future.cancelled():
                settled.forget(message_id, waiter)

    # ---- what the core tells ----

    def _queued(self) -> None:
        self._wake_receiver()

    def _wake_receiver(self) -> None:
        while self._receivers:
            receiver = self._receivers.popleft()
            if not receiver.done():
                receiver.set_result(None)
                break


__all__ = ["Batch", "BatchItem", "Client", "Device", "Publication", "Telemetry"]
