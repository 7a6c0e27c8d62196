"""What all clients stand on: the handle, the feed, publishing, tokens and outcomes.

A core knows nothing of threads or event loops: whoever owns it calls read(), and is called back
from there. It holds its owner weakly, so that a client that nobody uses any more can go.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Optional,
    Protocol,
)

from ._apply import Handle, apply_client, apply_connection, make_message
from ._check import LARGEST, as_bytes, c_enum, c_string, encoded, flags_of, instance, refuse
from ._ffi import c, callbacks, held, lib
from ._gate import Gate as Gate
from ._gate import report as report
from ._service import Service
from .enums import LogLevel
from .errors import ClosedError, TernError, error_text, make_error
from .event import Event, read_event
from .message import Message, OutgoingMessage, Payload, Properties
from .outcomes import Settled

LOG = logging.getLogger("tern")
LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG, 5: 5}
RECORD = struct.Struct("=IIQQQIII4x")
ACK_INTERVAL = 0.05
TOPICS = 4096  # topics whose bytes are remembered
UNIT = 16  # messages of a unit
ENDS = (c.TERN_E_CLOSED, c.TERN_E_FORKED, c.TERN_E_INVALID, c.TERN_E_STATE)
"""What read() returns where nothing will come any more."""
MESSAGE, DELIVERY, EVENT, TOKEN = (
    c.TERN_FEED_MESSAGE,
    c.TERN_FEED_DELIVERY,
    c.TERN_FEED_EVENT,
    c.TERN_FEED_TOKEN,
)
Record = tuple[int, int, int, int, int, int, int, int]


class Owner(Protocol):
    """Who a core works for. All of it is called in read()."""

    def _on_message(self, who: int, message: Message) -> bool:
        """Whether it was handled; else it is in the core's queue now."""

    def _on_event(self, event: Event) -> None: ...

    def _on_delivery(
        self, first: int, last: int, outcome: int, cause: int, reason: int
    ) -> None: ...

    def _on_log(self, level: int, text: str) -> None: ...


@dataclass(frozen=True)
class TokenResult:
    """How an operation ended."""

    error: int
    text: str
    reason_codes: list[int]
    reason_string: Optional[str]


def _release(
    client: Optional[int], feed: Optional[int], children: dict[int, Any], _keep: list[Any]
) -> None:
    while children:
        child, (free, _) = children.popitem()
        free(child)
    lib.tern_client_free(client)
    held.tern_feed_free(feed)


def _nobody() -> None:
    """The owner of a core that was abandoned."""


def _publish_function(options: Mapping[str, Any]) -> Any:
    """tern_feed_publish() without declared argument types, at half the cost.

    Compressing takes time, in which other threads may run.
    """
    library = lib if options.get("compression") is not None else held
    return library.untyped("tern_feed_publish")


def _read_token(token: Any) -> TokenResult:
    count = held.tern_token_reason_count(token)
    text = held.tern_token_reason_string(token)
    return TokenResult(
        held.tern_token_error(token),
        held.tern_token_error_text(token).decode(errors="replace"),
        [held.tern_token_reason_code(token, i) for i in range(count)],
        None if text is None else text.decode(errors="replace"),
    )


class Lifeline:
    """What C has of a client lives as long as this, which knows of nothing else."""


class Acknowledger:
    """Through whom messages came. Those that are kept keep no client."""

    def __init__(self, core: Core) -> None:
        self._core = weakref.ref(core)

    def ack(self, number: int) -> None:
        core = self._core()
        if core is None:
            raise ClosedError(c.TERN_E_CLOSED)
        core.ack(number)


class Core:
    """One client of Tern's in manual mode, with its feed."""

    def __init__(self, owner: Owner, servers: Sequence[str], options: Mapping[str, Any]) -> None:
        self._owner: Callable[[], Optional[Owner]] = weakref.ref(owner)
        self.manual_ack = options.get("ack", "auto") == "manual"
        if options.get("ack", "auto") not in ("auto", "manual"):
            raise ValueError(f'ack: "auto" and "manual" are possible, not {options["ack"]!r}')
        self.settled = Settled()
        self.acknowledger = Acknowledger(self)
        self.topics: dict[str, bytes] = {}
        self.put = _publish_function(options)
        self.closed = False
        self._numbers = itertools.count(1)
        self._tokens: dict[int, tuple[int, Callable[[TokenResult], None]]] = {}
        self._events: deque[Event] = deque()
        self.queue: deque[Message] = deque()
        self.backlog: deque[tuple[int, Message]] = deque()
        self._batch: Iterator[Record] = iter(())
        self._untold = False  # something is left of it, since telling it raised
        self._data = b""
        self.children: dict[int, tuple[Callable[[int], None], Callable[[], Any]]] = {}
        """Batches, by their handles: how to free them, before the client, and a weak reference."""
        self.inside = 0
        """The thread that is in the feed now; 0 for none. What C calls there may not read."""
        self._deferred: deque[Callable[[], None]] = deque()
        self._ack_through = 0
        self._acked_at = 0.0
        self._keep: list[Any] = [options.get("compression")]
        """What C calls, or refers to, until it has freed the client."""
        self.serviced = options.get("service") is not None
        level = options.get("log_level", LogLevel.WARNING)
        self.log_level = LogLevel(c_enum("log_level", LogLevel, level))
        self._make(servers, options)
        self._out = (ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_size_t())
        self._out_refs = tuple(ctypes.byref(one) for one in self._out)

    # ---- making and ending ----

    def _make(self, servers: Sequence[str], options: Mapping[str, Any]) -> None:
        feed, client = ctypes.c_void_p(), ctypes.c_void_p()
        rc = held.tern_feed_new(ctypes.byref(feed))
        if rc != 0:
            raise make_error(rc)
        try:
            rc = self._new_client(client, feed, servers, options)
            if rc != 0:
                raise make_error(rc)
            self.handle, self.feed = client, feed
            arguments = (client.value, feed.value, self.children, self._keep)
            self.lifeline = Lifeline()
            finalizer = weakref.finalize(self.lifeline, _release, *arguments)
            finalizer.atexit = False  # its owner may still read
        except BaseException:
            if client.value is None:
                held.tern_feed_free(feed)
            raise
        self.check(held.tern_feed_attach(feed, client))
        events, service = self._events, options.get("service")
        explain = service.explain if service is not None else None
        on_event = callbacks.tern_event_callback(
            lambda _client, event, _data: events.append(read_event(event, explain))
        )
        self._keep.append(on_event)
        held.tern_feed_set_event_callback(feed, on_event, None)
        if servers:
            self.configure(servers, options)

    def _new_client(
        self,
        client: ctypes.c_void_p,
        feed: ctypes.c_void_p,
        servers: Sequence[str],
        options: Mapping[str, Any],
    ) -> int:
        def prepare(fixed: Any, connection: Any) -> None:
            apply_client(fixed, options)
            held.tern_client_options_set_dispatch(fixed, c.TERN_DISPATCH_MANUAL)
            held.tern_client_options_set_ack(fixed, c.TERN_ACK_MANUAL)
            if self.log_level > LogLevel.NONE:
                level = int(self.log_level)
                held.tern_client_options_set_log(fixed, level, lib.tern_feed_log, feed)
            if connection is not None:
                apply_connection(connection, (), options)

        service: Optional[Service] = options.get("service")
        if service is None:
            with Handle("client") as fixed:
                prepare(fixed, None)
                return int(held.tern_client_new(ctypes.byref(client), fixed))
        if servers:
            raise TypeError("servers: the service knows its own")
        service.check_options(options)
        rc, keep = service.new_client(client, self._owner, prepare)
        self._keep.append(keep)
        return rc

    def end_batches(self) -> None:
        """The client is closing: what its batches have collected, and nothing sends, ends now."""
        for _, reference in list(self.children.values()):
            batch = reference()
            if batch is not None:
                batch.end()

    def forked(self) -> None:
        """In the child of a fork: it is the parent's, whose threads may have held its locks."""
        self.closed = True
        self.settled.forked()

    def abandon(self) -> None:
        """Closes at once, and tells its owner nothing any more."""
        self.closed = True
        self._owner = _nobody
        held.tern_client_close(self.handle, 0, 0, None)
        for _ in self._batch:
            pass  # where this happens in a callback, the rest of what came with it goes unheard
        self.queue.clear()
        self.backlog.clear()

    def configure(self, servers: Sequence[str], options: Mapping[str, Any]) -> None:
        """Replaces how to connect, from the next attempt on."""
        if self.serviced:
            raise make_error(c.TERN_E_STATE, "configure: the service says how to connect")
        with Handle("connection") as connection:
            apply_connection(connection, servers, options)
            self.check(held.tern_client_configure(self.handle, connection))

    @property
    def descriptor(self) -> int:
        """Readable while read() has something to tell."""
        descriptor = ctypes.c_int()
        self.check(held.tern_client_dispatch_fd(self.handle, ctypes.byref(descriptor)))
        return descriptor.value

    def client_id(self) -> str:
        """The client id in use: the one that was set, else the server's."""
        buffer = ctypes.create_string_buffer(65536)
        self.check(held.tern_client_id(self.handle, buffer, len(buffer)))
        return buffer.value.decode()

    # ---- errors ----

    def last_error(self) -> tuple[int, str]:
        """The client's last error, and its text."""
        buffer = ctypes.create_string_buffer(500)
        code: int = held.tern_client_copy_error_text(self.handle, buffer, len(buffer))
        return code, buffer.value.decode(errors="replace")

    def check(self, rc: int) -> None:
        """Raises what a call's result says."""
        if rc == 0:
            return
        raise self.failure(rc)

    def failure(self, rc: int) -> TernError:
        """The exception for a call's result that is not 0."""
        if self.closed or rc in (c.TERN_E_CLOSED, c.TERN_E_FORKED):
            return ClosedError(c.TERN_E_FORKED if rc == c.TERN_E_FORKED else c.TERN_E_CLOSED)
        return make_error(rc, error_text(rc, self.handle))

    def set_filter(self, filter: str, number: int) -> None:
        """Messages whose topic matches will carry this number; 0 removes the filter."""
        self.check(held.tern_feed_set_filter(self.feed, c_string("filter", filter), number))

    # ---- publishing ----

    def topic(self, topic: str) -> bytes:
        """A topic as C takes it; remembered, since most programs use few."""
        if not isinstance(topic, str):
            refuse("topic", "str is needed", topic)
        raw = encoded("topic", topic)
        if b"\0" in raw:
            raise make_error(c.TERN_E_UTF8, f"topic {topic!r} holds a NUL character")
        if len(self.topics) >= TOPICS:
            self.topics.clear()
        self.topics[topic] = raw
        return raw

    def publish(
        self, topic: str, payload: Payload, flags: int, properties: Optional[Properties]
    ) -> int:
        """Publishes; returns the message's id."""
        if payload.__class__ is not bytes:
            payload = as_bytes(payload)
        if properties is None and len(payload) <= LARGEST:
            raw = self.topics.get(topic) or self.topic(topic)
            result: int = self.put(self.feed, raw, payload, len(payload), flags)
            if result < 0:
                self.check(result)
            return result
        message_id = ctypes.c_uint64()
        message = make_message(topic, payload, flags, properties)
        rc = held.tern_client_publish_message(self.handle, message, ctypes.byref(message_id), None)
        held.tern_message_unref(message)
        if rc != 0:
            self.check(rc)
        return message_id.value

    def publish_many(
        self, messages: Sequence[tuple[str, Payload]], qos: int, retain: bool
    ) -> tuple[list[int], Optional[Exception]]:
        """Publishes messages in order, in one call.

        Returns the ids of those that were accepted, and why the next one was not.
        """
        flags = flags_of(qos, retain)
        topics, payloads, wrong = self._converted(messages)
        count = len(payloads)
        pointers, sizes, ids = (
            ctypes.c_char_p * count,
            ctypes.c_size_t * count,
            (ctypes.c_uint64 * count)(),
        )
        accepted = ctypes.c_size_t()
        rc = held.tern_client_publish_many(
            self.handle,
            pointers(*topics),
            pointers(*payloads),
            sizes(*map(len, payloads)),
            count,
            flags,
            ids,
            ctypes.byref(accepted),
        )
        return list(ids[: accepted.value]), wrong if rc == 0 else self.failure(rc)

    def _converted(
        self, messages: Sequence[tuple[str, Payload]]
    ) -> tuple[list[bytes], list[bytes], Optional[Exception]]:
        """Topics and payloads as C takes them, up to the first that is neither, and why."""
        known = self.topics
        topics: list[bytes] = []
        payloads: list[bytes] = []
        try:
            for topic, payload in messages:
                raw = known.get(topic) or self.topic(topic)
                payloads.append(payload if payload.__class__ is bytes else as_bytes(payload))
                topics.append(raw)
        except Exception as error:
            return topics, payloads[: len(topics)], error
        return topics, payloads, None

    def publish_unit(self, messages: Sequence[OutgoingMessage]) -> int:
        """Publishes messages as one unit; returns the last one's id."""
        if not isinstance(messages, Sequence):
            refuse("messages", "a list of tern.OutgoingMessage is needed", messages)
        count = len(messages)
        if not 1 <= count <= UNIT:
            text = f"publish_unit: 1 to {UNIT} messages make a unit, not {count}"
            raise make_error(c.TERN_E_INVALID, text)
        last, made = ctypes.c_uint64(), (ctypes.c_void_p * count)()
        try:
            for index, one in enumerate(messages):
                instance("messages", "OutgoingMessage", one)
                flags = flags_of(one.qos, one.retain, lose_properties=one.lose_properties)
                message = make_message(one.topic, as_bytes(one.payload), flags, one.properties)
                made[index] = message.value
            rc = held.tern_client_publish_unit(self.handle, made, count, ctypes.byref(last), None)
        finally:
            for handle in made:
                held.tern_message_unref(handle)
        if rc != 0:
            self.check(rc)
        return last.value

    # ---- operations with a token ----

    def start(self, done: Callable[[TokenResult], None], function: Any, *arguments: Any) -> None:
        """Starts what ends with a token; `done` is called in read() when it has ended."""
        token = ctypes.c_void_p()
        self.check(function(self.handle, *arguments, ctypes.byref(token)))
        number = next(self._numbers)
        assert token.value is not None
        self._tokens[number] = (token.value, done)
        rc = held.tern_feed_watch(self.feed, token, number)
        if rc != 0:
            self._end_token(number)

    def _end_token(self, number: int) -> None:
        token, done = self._tokens.pop(number, (None, None))
        if token is None or done is None:
            return
        result = _read_token(token)
        held.tern_token_unref(token)
        done(result)

    # ---- receiving ----

    def ack(self, number: int) -> None:
        """Acknowledges one message."""
        if not self.manual_ack and number != 0:
            raise make_error(c.TERN_E_STATE, "ack: the client acknowledges by itself")
        self.check(held.tern_client_ack_number(self.handle, number, 0))

    def acknowledge_handled(self) -> None:
        """Acknowledges what was handled so far, in automatic mode."""
        number, self._ack_through = self._ack_through, 0
        if number != 0:
            held.tern_client_ack_number(self.handle, number, 1)  # stale: the broker sends it again

    def handled(self, message: Message) -> None:
        """A message was handled: it will be acknowledged, in automatic mode."""
        if message.number == 0 or self.manual_ack:
            return
        if (
            self.queue
        ):  # those that wait there are not handled yet: no acknowledging of all before it
            held.tern_client_ack_number(self.handle, message.number, 0)
            return
        self._ack_through = message.number
        now = time.monotonic()
        if now - self._acked_at > ACK_INTERVAL:
            self._acked_at = now
            self.acknowledge_handled()

    def acknowledge(self, message: Message) -> None:
        """Acknowledges one message that was kept for later, in automatic mode."""
        if message.number != 0 and not self.manual_ack:
            held.tern_client_ack_number(self.handle, message.number, 0)

    def hand_over(self) -> Message:
        """Takes the first message of the queue, which acknowledges it in automatic mode.

        Raises IndexError.
        """
        message = self.queue.popleft()
        self.acknowledge(message)
        return message

    def read(self, timeout_ms: int, wait: bool = True) -> int:
        """Takes what there is to tell, and tells it; while it waits, other threads run.

        Returns Tern's code: 0, TERN_E_TIMEOUT, TERN_E_CLOSED, ...
        """
        if self._untold:
            self._tell_all()
        rc, some = self._take(lib.tern_feed_read if wait else held.tern_feed_read, timeout_ms)
        if some:
            self._tell_all()
        self._run_deferred()
        return rc

    def defer(self, call: Callable[[], None]) -> None:
        """For what C calls: `call` runs now, or when the feed was left where this is inside it."""
        if self.inside == threading.get_ident():
            self._deferred.append(call)
        else:
            call()

    def _run_deferred(self) -> None:
        while self._deferred:
            self._deferred.popleft()()

    def _take(self, function: Any, timeout_ms: int) -> tuple[int, bool]:
        """Copies what the feed has; returns Tern's code, and whether there was something."""
        records, count, data, length = self._out
        self.inside = threading.get_ident()
        try:
            rc: int = function(self.feed, timeout_ms, *self._out_refs)
        finally:
            self.inside = 0
        if count.value == 0:
            return rc, False
        self._data = ctypes.string_at(data.value or 0, length.value) if length.value else b""
        size = count.value * RECORD.size
        self._batch = RECORD.iter_unpack(ctypes.string_at(records.value or 0, size))
        return rc, True

    def _tell_all(self) -> None:
        self._untold = False
        try:
            self._tell()
        except BaseException:
            self._untold = True
            raise

    def _tell(self) -> None:
        owner = self._owner()
        if owner is None:
            return
        on_message, backlog, data = owner._on_message, self.backlog, self._data
        auto = not self.manual_ack
        self._acked_at = time.monotonic()
        for what, who, number, other, place, a, b, size in self._batch:
            if what & 255 == MESSAGE:
                end = place + a
                rest = end + 2 + b
                message = Message(
                    data[end + 1 : rest - 1],
                    data[place:end],
                    what,
                    number,
                    other,
                    data[rest : rest + size] if size else b"",
                    self.acknowledger,
                )
                if on_message(who, message) and number and auto:
                    self.handled(message)
                if backlog:
                    self._tell_backlog(owner)
            else:
                self._tell_other(owner, what & 255, who, number, other, place, a, b)
        self._tell_backlog(owner)
        self.acknowledge_handled()

    def _tell_backlog(self, owner: Owner) -> None:
        while self.backlog:
            who, message = self.backlog.popleft()
            if owner._on_message(who, message):
                self.handled(message)

    def _tell_other(
        self, owner: Owner, kind: int, who: int, number: int, other: int, place: int, a: int, b: int
    ) -> None:
        if kind == DELIVERY:
            reason = b - (1 << 32) if b >> 31 else b
            self.settled.add(number, other, (a, who, reason))
            owner._on_delivery(number, other, a, who, reason)
        elif kind == EVENT:
            if self._events:
                owner._on_event(self._events.popleft())
        elif kind == TOKEN:
            self._end_token(number)
        elif kind == c.TERN_FEED_LOG:
            text = self._data[place : place + a].decode(errors="replace")
            owner._on_log(LEVELS.get(who, logging.DEBUG), text)

    def read_nested(self, until: Callable[[], bool], timeout_ms: int) -> None:
        """In a callback: tells all but messages, which wait for their turn, until `until` says so.

        The rest of the batch that the callback is from comes first.
        """
        owner = self._owner()
        if owner is None:
            return
        if self.inside == threading.get_ident():
            raise make_error(c.TERN_E_WOULD_DEADLOCK, "what waits here would wait for itself")
        self.acknowledge_handled()
        self._set_messages_aside(owner)
        while not until():
            rc, some = self._take(lib.tern_feed_read, min(timeout_ms, 50))
            if some:
                self._set_messages_aside(owner)
            self._run_deferred()
            if not some and rc in ENDS:
                return

    def _set_messages_aside(self, owner: Owner) -> None:
        data = self._data
        for what, who, number, other, place, a, b, size in self._batch:
            if what & 255 == MESSAGE:
                end = place + a
                rest = end + 2 + b
                self.backlog.append(
                    (
                        who,
                        Message(
                            data[end + 1 : rest - 1],
                            data[place:end],
                            what,
                            number,
                            other,
                            data[rest : rest + size],
                            self.acknowledger,
                        ),
                    )
                )
            else:
                self._tell_other(owner, what & 255, who, number, other, place, a, b)
