"""Connection pools: several connections to one broker or cluster that look like one.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._apply import Handle, apply_client, apply_connection, make_message
from ._base import Handler, PublicationBase
from ._borrowed import read_message
from ._check import (
    SIZE,
    as_bytes,
    c_function,
    c_number,
    c_string,
    c_text,
    flags_of,
    milliseconds,
    patience,
    refuse,
    refuse_coroutine,
)
from ._core import Gate
from ._ffi import c, held, lib
from ._foreign import SHIFT, Foreign, check_options, waited
from ._pool import NOT_HERE, Member, on_delivery, on_event, on_message, on_timer, set_pool_options
from .enums import Cause, OutboxPolicy, Outcome, PoolPolicy
from .errors import ClosedError, OutboxFullError, StateError, TimeoutError, make_error
from .event import Event
from .message import Payload, Properties
from .options import Options
from .outcomes import GOOD, Delivery, Key, Settled
from .requests import outcome_error, subscribe_flags

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Publication(PublicationBase):
    """A message that a pool published: what became of it can be asked, or waited for."""

    __slots__ = ()
    _client: Any

    def _key(self) -> Optional[Key]:
        pool: Pool = self._client
        return pool._settled[self.member].find(self.id)

    @property
    def member(self) -> int:
        """The member that published it, from 0."""
        return int(held.tern_pool_member_of(self.id))

    def wait(self, timeout: Optional[float] = None) -> Publication:
        """Waits for the outcome: DELIVERED by the broker, or SENT for QoS 0. Returns itself.

        Raises TimeoutError, and RefusedError and others where the outcome is none of those two;
        WouldDeadlockError in a callback of the pool.
        """
        pool: Pool = self._client
        settled, gate = pool._settled[self.member], Gate()
        key = settled.wait(self.id, gate.open)
        if key is None:
            try:
                pool._check_waits("wait")
                if not gate.wait(patience("timeout", timeout)):
                    raise TimeoutError(
                        c.TERN_E_TIMEOUT, f"message {self.id} has no outcome yet: {pool._trouble()}"
                    )
            finally:
                settled.forget(self.id, gate.open)
            key = gate.value
        if key[0] not in GOOD:
            raise outcome_error(self.id, key)
        return self


class Pool(Foreign):
    """Several connections that look like one.

    ::

        with tern.Pool("mqtt://a", "mqtt://b", members=4) as pool:
            pool.publish("sensors/1", "23.5", qos=1).wait(5)

    One tern.Client is enough for most programs. A pool is for brokers that limit each connection,
    for clusters whose nodes should share the work, and for consumers that share a subscription.
    Its members are clients with a session each, on a thread of C's. Methods may be called from any
    thread. Callbacks run on one thread of the pool's, one at a time; they may publish, and must not
    wait for the pool. What they raise goes to `on_error`, else to sys.unraisablehook.
    """

    def __init__(
        self,
        *servers: str,
        members: int = 5,
        policy: PoolPolicy = PoolPolicy.BY_TOPIC,
        client_id_prefix: Optional[str] = None,
        unhealthy_after: float = 1.0,
        move_early: bool = False,
        **options: Unpack[Options],
    ) -> None:
        """members: 1 to 256 connections, which start at different servers. policy: who publishes
        what. client_id_prefix: their ids are "prefix-0", "prefix-1"; without it the server assigns
        them. unhealthy_after: seconds without a connection until others take a member's topics
        over. move_early: they do so while messages of the topic are still with it, so that newer
        ones overtake them. options: those of tern.Client, but for client_id, log_level,
        receive_limit and credentials.
        """
        super().__init__()
        self.on_event: Optional[Callable[[int, Event], Any]] = None
        """Called with the number of a member, and what happened to it. Failures are logged, too."""
        self.on_delivery: Optional[Callable[[Delivery], Any]] = None
        """Called with outcomes, a range of ids of one member at a time."""
        self._on_message_python: Optional[Handler] = None
        self._handlers: dict[int, Handler] = {}
        self._handler_numbers = itertools.count()
        self._filters: dict[str, int] = {}
        check_options(options, NOT_HERE)
        self._options: dict[str, Any] = dict(options)
        self._manual = options.get("ack") == "manual"
        self._block = options.get("outbox_policy") == OutboxPolicy.BLOCK
        # Compressing takes time, in which other threads may run.
        self._library = held if options.get("compression") is None else lib
        self._room = threading.Condition()
        self._passed: dict[int, Gate] = {}
        self._passing = itertools.count(1)
        with Handle("pool") as own:
            named = members, policy, client_id_prefix, unhealthy_after, move_early
            set_pool_options(own, *named, options.get("loop"))
            self._handle = self._make(own, servers)
        handles = [held.tern_pool_member(self._handle, index) for index in range(members)]
        self._members = {handle: Member(self, handle) for handle in handles}
        self._settled = [Settled() for _ in handles]
        self._adopt(self._handle, "tern_pool_free")
        held.tern_pool_set_event_handler(self._handle, on_event, self._number)
        held.tern_pool_set_delivery_handler(self._handle, on_delivery, self._number)

    def _make(self, own: Any, servers: tuple[str, ...]) -> int:
        pool = ctypes.c_void_p()
        if not servers:
            raise make_error(c.TERN_E_INVALID, "servers: a pool needs one at least")
        with Handle("client") as client, Handle("connection") as connection:
            apply_client(client, self._options)
            if self._manual:
                held.tern_client_options_set_ack(client, c.TERN_ACK_MANUAL)
            apply_connection(connection, servers, self._options)
            rc = held.tern_pool_new(ctypes.byref(pool), own, client, connection)
        if rc != 0:
            raise make_error(rc)
        assert pool.value is not None
        return pool.value

    # ---- errors ----

    def _trouble(self) -> str:
        buffer = ctypes.create_string_buffer(500)
        held.tern_pool_copy_error_text(self._handle, buffer, len(buffer))
        return buffer.value.decode(errors="replace")

    def _check(self, rc: int) -> None:
        if rc == 0:
            return
        if self._closed or rc == c.TERN_E_CLOSED:
            raise ClosedError(c.TERN_E_CLOSED)
        buffer = ctypes.create_string_buffer(500)
        known = held.tern_pool_copy_error_text(self._handle, buffer, len(buffer)) == rc
        raise make_error(rc, buffer.value.decode(errors="replace") or None if known else None)

    def _check_no_callback(self, what: str) -> None:
        if held.tern_client_in_callback(next(iter(self._members))) == 1:
            raise make_error(c.TERN_E_WOULD_DEADLOCK, f"{what}: not in a callback of the pool")

    def _forked(self) -> None:
        super()._forked()
        for settled in self._settled:
            settled.forked()

    # ---- life ----

    def connect(self, timeout: Optional[float] = 10.0, *, members: int = 1) -> Pool:
        """Connects all members, which reconnect from now on; waits for the first `members` of them.

        With `timeout` 0 it does not wait. Returns itself. Raises TimeoutError, and why members
        stopped connecting where too few are left that try.
        """
        self._check_open()
        self._check(held.tern_pool_start(self._handle))
        if timeout != 0:
            self.wait_connected(members, timeout)
        return self

    def wait_connected(
        self, members: Optional[int] = None, timeout: Optional[float] = 10.0
    ) -> None:
        """Waits until so many members are connected; None for all. Raises as connect()."""
        self._check_open()
        count = self.members if members is None else c_number("members", members, SIZE)
        self._check(
            waited(lambda ms: lib.tern_pool_wait_connected(self._handle, count, ms), timeout)
        )

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until every message published before has its outcome. Raises TimeoutError."""
        self._check_open()
        self._check_no_callback("flush")
        limit = patience("timeout", timeout)
        deadline = None if limit is None else time.monotonic() + limit
        self._check(waited(lambda ms: lib.tern_pool_flush_wait(self._handle, ms), timeout))
        self._pass_callbacks(deadline)

    def _pass_callbacks(self, deadline: Optional[float]) -> None:
        """Waits until callbacks that were due have run: then outcomes are known here, too."""
        for client in self._members:
            slot, gate = next(self._passing) % (1 << SHIFT), Gate()
            self._passed[slot] = gate
            rc = held.tern_client_set_timer(client, 0, on_timer, self._number | slot, None)
            if rc != 0:
                del self._passed[slot]
                self._check(rc)
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not gate.wait(left):
                raise TimeoutError(c.TERN_E_TIMEOUT, "flush: not in time")

    def close(self, timeout: float = 5.0) -> None:
        """Waits up to `timeout` seconds for what is open to end, then disconnects for good.

        Every message that is left has its outcome then, and no callback runs any more. Closing
        twice does nothing. Raises WouldDeadlockError in a callback of the pool.
        """
        with self._lock:
            if self._closed:
                return
            self._check_no_callback("close")
            milliseconds("timeout", timeout)
            self._closed = True
        rc = waited(lambda ms: lib.tern_pool_close_wait(self._handle, ms), timeout)
        if rc not in (0, c.TERN_E_CLOSED, c.TERN_E_TIMEOUT, c.TERN_E_FORKED):
            raise make_error(rc)

    def __enter__(self) -> Pool:
        with self._closed_where_it_fails():
            return self.connect()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
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
        """Publishes through the member that the policy names, as tern.Client.publish().

        The order of a topic's messages holds with PoolPolicy.BY_TOPIC.
        """
        self._check_open()
        raw = as_bytes(payload)
        flags = flags_of(qos, retain, compress, lose_properties)
        if not isinstance(topic, str):
            refuse("topic", "str is needed", topic)
        name = c_string("topic", topic)
        timeout = self._options.get("block_timeout")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return Publication(self, self._publish_once(name, topic, raw, flags, properties))
            except OutboxFullError:
                if not self._block:
                    raise
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(c.TERN_E_TIMEOUT, "publish: no room in the outbox in time")
            self._check_no_callback("publish")
            with self._room:
                self._room.wait(0.05)

    def _publish_once(
        self, name: bytes, topic: str, raw: bytes, flags: int, properties: Optional[Properties]
    ) -> int:
        message_id = ctypes.c_uint64()
        if properties is None:
            reference = ctypes.byref(message_id)
            rc = self._library.tern_pool_publish(
                self._handle, name, raw, len(raw), flags, reference
            )
        else:
            message = make_message(topic, raw, flags, properties)
            reference = ctypes.byref(message_id)
            rc = self._library.tern_pool_publish_message(self._handle, message, reference, None)
            held.tern_message_unref(message)
        if rc != 0:
            self._check(rc)
        return message_id.value

    # ---- subscribing ----

    def subscribe(
        self,
        filter: str,
        qos: int = 0,
        *,
        group: Optional[str] = None,
        timeout: Optional[float] = 10.0,
        **flags: bool,
    ) -> None:
        """Subscribes, now and after every lost session, and waits for the answers.

        With a group all members do, to `$share/group/filter`, so that the broker spreads messages
        over them; without one a single member does, the same for a filter each time. Messages go to
        handlers, so one has to be set first: StateError. The flags are those of
        tern.Client.subscribe(). Raises RefusedError, TimeoutError (the wish stays).
        """
        self._check_open()
        if not self._handlers and self.on_message is None:
            raise StateError(c.TERN_E_STATE, "subscribe: set a handler first; see on()")
        text, bits, shared = (
            c_string("filter", filter),
            subscribe_flags(qos, flags),
            c_text("group", group),
        )
        self._check_no_callback("subscribe")
        self._check(
            waited(
                lambda ms: lib.tern_pool_subscribe_wait(self._handle, text, bits, shared, ms),
                timeout,
            )
        )

    def unsubscribe(self, filter: str, *, group: Optional[str] = None) -> None:
        """Ends such a subscription; it does not wait for the server's answer."""
        self._check_open()
        text, shared = c_text("filter", filter), c_text("group", group)
        self._check(held.tern_pool_unsubscribe(self._handle, text, shared))

    @property
    def on_message(self) -> Optional[Handler]:
        """Called with messages that no filter's handler takes, of all members."""
        return self._on_message_python

    @on_message.setter
    def on_message(self, handler: Optional[Handler]) -> None:
        self._on_message_python = handler
        if not self._closed:
            callback = on_message if handler is not None else None
            held.tern_pool_set_message_handler(self._handle, callback, self._number)

    def on(self, filter: str) -> Callable[[Handler], Handler]:
        """Decorator: the function is called with messages whose topic matches.

        It subscribes nothing.
        """
        c_string("filter", filter)

        def decorate(handler: Handler) -> Handler:
            self.set_handler(filter, handler)
            return handler

        return decorate

    def set_handler(self, filter: str, handler: Optional[Handler]) -> None:
        """Sets who is called with messages whose topic matches a filter; None removes it."""
        self._check_open()
        c_function("handler", handler)
        text = c_text("filter", filter)
        with self._lock:
            known = self._filters.get(filter)
            if handler is None and known is None:
                return
            number = known or self._new_number()
            callback = on_message if handler is not None else None
            self._check(
                held.tern_pool_set_filter_handler(
                    self._handle, text, callback, self._number | number
                )
            )
            if handler is None:
                del self._handlers[number], self._filters[filter]
            else:
                self._handlers[number], self._filters[filter] = handler, number

    def _new_number(self) -> int:
        """One that no handler has, nor had before: messages may be under way with that."""
        while True:
            number = next(self._handler_numbers) % ((1 << SHIFT) - 1) + 1
            if number not in self._handlers:
                return number

    # ---- what C tells ----

    def _on_message(self, client: int, message: int, number: int) -> None:
        handler = self._handlers.get(number) if number else self._on_message_python
        if handler is not None:
            try:
                result = handler(read_message(message, self._members[client]))
                if result is not None:
                    refuse_coroutine(result)
            except BaseException as error:
                self._on_error(error)

    def _on_delivery(self, first: int, last: int, key: Key) -> None:
        self._settled[held.tern_pool_member_of(first)].add(first, last, key)
        if self._block:
            with self._room:
                self._room.notify_all()
        if self.on_delivery is not None:
            told = Delivery(first, last, Outcome(key[0]), Cause(key[1]), key[2])
            self._call(self.on_delivery, told)

    # ---- watching ----

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self._settled)

    @property
    def connected(self) -> int:
        """How many of them are connected now."""
        return int(held.tern_pool_connected(self._handle))

    @property
    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name, summed over the members."""
        result, value = {}, ctypes.c_uint64()
        for index in range(held.tern_stat_count()):
            name = held.tern_stat_name(index)
            if held.tern_pool_stat(self._handle, name, ctypes.byref(value)) == 0:
                result[name.decode()] = value.value
        return result

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.connected} of {self.members} connected"
        return f"<tern.Pool {state}>"


__all__ = ["Pool", "Publication"]
