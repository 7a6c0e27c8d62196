"""The blocking client, for programs that do one thing after another; callbacks are on its thread.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Optional,
    Union,
)

from ._base import ClientBase, PublicationBase, in_batches
from ._check import LARGEST, QOS, U32, as_bytes, c_number, flags_of, milliseconds, patience
from ._core import ENDS, Core, Gate, TokenResult, report
from ._ffi import c, held
from .enums import OutboxPolicy
from .errors import (
    ClosedError,
    OutboxFullError,
    TimeoutError,
    WouldDeadlockError,
    make_error,
)
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

_LIVE: weakref.WeakSet[Client] = weakref.WeakSet()


class Publication(PublicationBase):
    """A published message: what became of it can be asked, or waited for."""

    __slots__ = ()
    _client: Client

    def wait(self, timeout: Optional[float] = None) -> Publication:
        """Waits for the outcome: DELIVERED by the broker, or SENT for QoS 0. Returns itself.

        Raises TimeoutError where there is none in `timeout` seconds, RefusedError and others where
        the outcome is none of those two.
        """
        key = self._client._wait_settled(self.id, timeout)
        if key[0] not in GOOD:
            raise outcome_error(self.id, key)
        return self


class Client(ClientBase):
    """An MQTT client.

    ::

        with tern.Client("mqtt://localhost") as client:
            client.subscribe("sensors/#", qos=1)
            client.publish("sensors/1", "23.5", qos=1).wait(5)
            for message in client.messages():
                print(message.topic, message.text)

    Methods may be called from any thread, and in callbacks. Callbacks run on the client's own
    thread, one at a time; what they raise goes to `on_error`, else to sys.unraisablehook.
    """

    def __init__(self, *servers: str, **options: Unpack[Options]) -> None:
        self._receivers: deque[Gate] = deque()
        self._waits: set[Gate] = set()  # no number, which threads could not count together
        self._room = threading.Event()
        self._room.set()
        self._block = options.get("outbox_policy") == OutboxPolicy.BLOCK
        super().__init__(servers, options)
        self._thread = threading.Thread(
            target=_pump, args=(self._core, weakref.ref(self)), name="tern", daemon=True
        )
        self._thread.start()
        _LIVE.add(self)
        weakref.finalize(self, _abandon, self._core).atexit = False

    # ---- the connection ----

    def connect(self, timeout: Optional[float] = 10.0) -> Client:
        """Connects, and reconnects from now on; waits for the first CONNACK. Returns itself.

        With `timeout` 0 it does not wait. Raises TimeoutError or why the last attempt failed where
        it still tries after `timeout` seconds, and RefusedError and others where it has stopped.
        """
        if timeout == 0:
            self._core.check(held.tern_client_connect(self._core.handle, None))
            self._connects = True
            return self
        gate, limit = Gate(), patience("timeout", timeout)
        self._core.start(gate.open, held.tern_client_connect)
        self._connects = True  # also where the wait ends before
        if not self._wait(gate, limit):
            last, text = self._core.last_error()
            raise (
                make_error(last, text)
                if last != 0
                else TimeoutError(c.TERN_E_TIMEOUT, "connect: no answer in time")
            )
        if gate.value.error != 0:
            self._connects = False
            raise failure_of(gate.value)
        return self

    def disconnect(self, reason_code: int = 0, timeout: Optional[float] = 5.0) -> None:
        """Disconnects and stops reconnecting; subscriptions and the outbox are kept.

        connect() may follow. (MQTT 5 section 3.14)
        """
        self._connects = False
        self._expect(
            self._wait_token(
                timeout, held.tern_client_disconnect, c_number("reason_code", reason_code, 255)
            ),
            "disconnect",
        )

    def reconnect(self, quiesce: float = 1.0, timeout: Optional[float] = 10.0) -> None:
        """Connects anew without losing anything, with the options of now."""
        self._expect(
            self._wait_token(timeout, held.tern_client_reconnect, milliseconds("quiesce", quiesce)),
            "reconnect",
        )

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until every message published before has its outcome."""
        self._expect(self._wait_token(timeout, held.tern_client_flush), "flush")

    def close(self, timeout: Optional[float] = 5.0) -> None:
        """Waits up to `timeout` seconds for what is open to end, then disconnects for good.

        None: as long as it takes. Every message that is left has its outcome then, and no callback
        runs any more. Closing twice does nothing.
        """
        limit = milliseconds("timeout", timeout, U32)
        self._core.closed = True
        # Asked again it does nothing, so an earlier close() may have been interrupted anywhere.
        rc = held.tern_client_close(self._core.handle, int(limit > 0), limit, None)
        if rc not in (0, c.TERN_E_CLOSED, c.TERN_E_FORKED):
            self._core.check(rc)
        self._room.set()
        if rc != c.TERN_E_FORKED:
            self._core.end_batches()
        try:
            if threading.current_thread() is not self._thread and rc != c.TERN_E_FORKED:
                self._thread.join(None if timeout is None else timeout + 5)
        finally:
            self._wake_receiver()

    def __enter__(self) -> Client:
        self._check_open()
        try:
            return self if self._connects else self.connect()
        except BaseException:
            self.close(0)
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

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
    ) -> Publication:
        """Publishes: the message is copied into the outbox, also while offline; order holds.

        Raises OutboxFullError where there is no room (with OutboxPolicy.BLOCK: after
        block_timeout), and UsageError for what is no topic. (MQTT 5 section 3.3)
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
        flags = flags_of(qos, retain, compress, lose_properties)
        return Publication(self, self._publish_patiently(topic, payload, flags, properties))

    def _publish_patiently(
        self, topic: str, payload: bytes, flags: int, properties: Optional[Properties]
    ) -> int:
        """Publishes; with OutboxPolicy.BLOCK it waits for room."""
        publish = self._core.publish
        try:
            return publish(topic, payload, flags, properties)
        except OutboxFullError:
            if not self._block:
                raise
        return self._when_room(lambda: publish(topic, payload, flags, properties))

    def _when_room(self, publish: Callable[[], int]) -> int:
        """What a publish that the full outbox refused comes to; with OutboxPolicy.BLOCK it waits."""
        timeout = self._options.get("block_timeout")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(c.TERN_E_TIMEOUT, "publish: no room in the outbox in time")
            self._wait_for_room(0.05 if left is None else min(left, 0.05))
            with contextlib.suppress(OutboxFullError):
                return publish()

    def _wait_for_room(self, timeout: float) -> None:
        oldest = ctypes.c_uint64()
        self._core.check(held.tern_client_oldest_open(self._core.handle, ctypes.byref(oldest)))
        with contextlib.suppress(TimeoutError):
            self._wait_settled(oldest.value, timeout)

    def publish_many(
        self, messages: Iterable[tuple[str, Payload]], qos: int = 0, retain: bool = False
    ) -> list[int]:
        """Publishes pairs of topic and payload in order, a thousand in one call; returns their ids.

        Raises what publish() would of the first that is not accepted; `accepted` of the exception
        are the ids of those before it.
        """
        ids: list[int] = []
        try:
            for batch in in_batches(messages):
                self._publish_batch(batch, qos, retain, ids)
        except BaseException as error:
            error.accepted = ids  # type: ignore[attr-defined]
            raise
        return ids

    def _publish_batch(
        self, batch: list[tuple[str, Payload]], qos: int, retain: bool, ids: list[int]
    ) -> None:
        while batch:
            accepted, error = self._core.publish_many(batch, qos, retain)
            ids += accepted
            batch = batch[len(accepted) :]
            if isinstance(error, OutboxFullError) and self._block:
                first, flags = batch.pop(0), flags_of(qos, retain)
                ids.append(self._when_room(lambda: self._core.publish(*first, flags, None)))
            elif error is not None:
                raise error

    def publish_unit(self, messages: Sequence[OutgoingMessage]) -> list[Publication]:
        """Publishes 1 to 16 messages as a unit: next to each other, and where one is not sent, none.

        Raises as publish(), and none is accepted then. They are not compressed, and no service's
        limits are looked at. (MQTT 5 section 3.3)
        """
        try:
            last = self._core.publish_unit(messages)
        except OutboxFullError:
            if not self._block:
                raise
            last = self._when_room(lambda: self._core.publish_unit(messages))
        return [Publication(self, number + 1) for number in range(last - len(messages), last)]

    # ---- subscribing ----

    def subscribe(
        self,
        filters: Union[str, Iterable[Union[str, Subscribe]]],
        qos: int = 0,
        *,
        timeout: Optional[float] = 10.0,
        identifier: int = 0,
        user_properties: Iterable[tuple[str, str]] = (),
        **flags: bool,
    ) -> list[int]:
        """Subscribes, now and after every lost session; returns the server's reason codes.

        filters: one, or several, each with options of its own where it is a tern.Subscribe.
        flags: no_local, retain_as_published, retained_if_new, retained_never. Raises RefusedError
        where any was refused, TimeoutError (the wish stays). (MQTT 5 section 3.8)
        """
        with subscription(filters, qos, identifier, user_properties, flags) as handle:
            result = self._wait_token(timeout, held.tern_client_subscribe_all, handle)
        return subscription_result(result, "subscribe")

    def unsubscribe(
        self, filters: Union[str, Iterable[str]], *, timeout: Optional[float] = 10.0
    ) -> list[int]:
        """Unsubscribes; waits for the server's answer. (MQTT 5 section 3.10)"""
        with subscription(filters, 0, 0, (), {}) as handle:
            result = self._wait_token(timeout, held.tern_client_unsubscribe_all, handle)
        return subscription_result(result, "unsubscribe")

    def _subscription_call(self, function: Any, what: str, timeout: Optional[float]) -> list[int]:
        return subscription_result(self._wait_token(timeout, function), what)

    # ---- receiving ----

    def receive(self, timeout: Optional[float] = None) -> Message:
        """Takes the next message that no handler takes. Raises TimeoutError, ClosedError."""
        self._receiving = True
        if threading.current_thread() is self._thread:
            raise WouldDeadlockError(
                c.TERN_E_WOULD_DEADLOCK, "receive: not in a callback of the client"
            )
        deadline: Optional[float] = None
        while True:
            with contextlib.suppress(IndexError):
                message = self._core.hand_over()
                if not self._room.is_set() and len(self._core.queue) <= self._limit // 2:
                    self._room.set()
                return message
            if self._core.closed:
                raise ClosedError(c.TERN_E_CLOSED)
            if deadline is None and timeout is not None:
                patience("timeout", timeout)
                deadline = time.monotonic() + timeout
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(c.TERN_E_TIMEOUT, "receive: no message in time")
            self._wait_for_message(left)

    def _wait_for_message(self, timeout: Optional[float]) -> None:
        gate = Gate()
        self._receivers.append(gate)  # before the look: what comes after it opens the gate
        try:
            if not self._core.queue and not self._core.closed:
                gate.wait(timeout)
        finally:
            try:
                self._receivers.remove(gate)
            except ValueError:  # it was opened, for a message that may be another's now
                self._wake_receiver()

    def _wake_receiver(self) -> None:
        with contextlib.suppress(IndexError):
            if self._core.queue or self._core.closed:
                self._receivers.popleft().open()

    def messages(self, timeout: Optional[float] = None) -> Iterator[Message]:
        """Messages that no handler takes, one after the other.

        Ends when the client is closed, or when none came for `timeout` seconds.
        """
        while True:
            try:
                yield self.receive(timeout)
            except (ClosedError, TimeoutError):
                return

    def _queued(self) -> None:
        if len(self._core.queue) >= self._limit:
            self._room.clear()
        self._wake_receiver()

    # ---- waiting ----

    def _wait(self, gate: Gate, timeout: Optional[float]) -> bool:
        """Waits for what the client's thread will open.

        In a callback that is this very thread: it goes on with all but messages.
        """
        if threading.current_thread() is not self._thread:
            # Where it has ended, or is the parent's in the child of a fork, nobody opens it any more.
            if not self._thread.is_alive() and not gate.opened:
                raise ClosedError(c.TERN_E_CLOSED)
            self._waits.add(gate)
            self._room.set()
            try:
                return gate.wait(timeout)
            finally:
                self._waits.discard(gate)
        deadline = None if timeout is None else time.monotonic() + timeout
        self._core.read_nested(
            lambda: gate.opened or (deadline is not None and time.monotonic() >= deadline), 50
        )
        return gate.opened

    def _wait_token(
        self, timeout: Optional[float], function: Any, *arguments: Any
    ) -> Optional[TokenResult]:
        gate, limit = Gate(), patience("timeout", timeout)
        self._core.start(gate.open, function, *arguments)
        return gate.value if self._wait(gate, limit) else None

    def _wait_settled(
        self, message_id: int, timeout: Optional[float], settled: Optional[Settled] = None
    ) -> Key:
        settled = settled or self._core.settled
        gate, limit = Gate(), patience("timeout", timeout)
        key = settled.wait(message_id, gate.open)
        try:
            came = key is not None or self._wait(gate, limit)
        except BaseException:  # Ctrl-C for one
            settled.forget(message_id, gate.open)
            raise
        if not came:
            settled.forget(message_id, gate.open)
            raise TimeoutError(
                c.TERN_E_TIMEOUT,
                f"message {message_id} has no outcome yet: {self._core.last_error()[1]}".rstrip(
                    ": "
                ),
            )
        return gate.value if key is None else key

    @staticmethod
    def _expect(result: Optional[TokenResult], what: str) -> None:
        if result is None:
            raise TimeoutError(c.TERN_E_TIMEOUT, f"{what}: not in time")
        if result.error != 0:
            raise failure_of(result)


def _pump(core: Core, owner: weakref.ref[Client]) -> None:
    """The client's thread. It holds the client only while it has something to tell it."""
    while True:
        client = owner()
        room = client._room if client is not None else None
        waiting = client is not None and bool(client._waits)
        del client
        if room is not None and not room.is_set() and not waiting and not core.closed:
            room.wait(0.05)
            continue
        try:
            if core.read(1000) in ENDS:
                return
        except BaseException as error:  # none of a callback's, which go to on_error
            report(error, "the thread of a tern.Client")


def _abandon(core: Core) -> None:
    """Nobody uses the client any more."""
    core.closed = True
    held.tern_client_close(core.handle, 0, 0, None)


def _close_all() -> None:
    """At the interpreter's end: what is on its way has a second."""
    live = list(_LIVE)
    for client in live:  # the same second for all
        client._core.closed = True
        held.tern_client_close(client._core.handle, 1, 1000, None)
    for client in live:
        with contextlib.suppress(Exception):
            client.close(1.0)


def _forked() -> None:
    """In the child of a fork: its clients are the parent's."""
    for client in list(_LIVE):
        client._core.forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked)

__all__ = ["Client", "Publication"]
