"""What tern.Client and tern.aio.Client have in common: options, handlers, questions, callbacks.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ._check import SIZE, c_function, c_number, c_string, milliseconds, refuse_coroutine
from ._core import LOG, Core, report
from ._ffi import c, held
from .attempt import Attempt, Question, watch_attempts
from .enums import Cause, Limit, Outcome
from .errors import ClosedError, StateError
from .event import Event
from .message import Message, Payload
from .options import Options
from .outcomes import Delivery, Key

if TYPE_CHECKING:
    from typing_extensions import Unpack

Handler = Callable[[Message], Any]
_DROPPED = (
    "topic %r: no handler takes the message, and nobody has called receive() or messages();"
    " such messages are dropped"
)


def in_batches(
    messages: Iterable[tuple[str, Payload]], size: int = 1000
) -> Iterator[list[tuple[str, Payload]]]:
    """The messages, so many at a time; what an iterator gave before it raised comes first."""
    batch = []
    try:
        for message in messages:
            batch.append(message)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class PublicationBase:
    """A published message: what became of it can be asked."""

    __slots__ = ("_client", "id")

    def __init__(self, client: Any, message_id: int) -> None:
        self._client = client
        self.id = message_id

    def _key(self) -> Optional[Key]:
        key: Optional[Key] = self._client._core.settled.find(self.id)
        return key

    @property
    def outcome(self) -> Outcome:
        """What became of it so far; Outcome.PENDING where nothing did yet."""
        key = self._key()
        return Outcome.PENDING if key is None else Outcome(key[0])

    @property
    def cause(self) -> Cause:
        """Why the outcome is NOT_SENT or UNKNOWN."""
        key = self._key()
        return Cause.NONE if key is None else Cause(key[1])

    @property
    def reason_code(self) -> int:
        """The broker's reason code; -1 where it sent none."""
        key = self._key()
        return -1 if key is None else key[2]

    @property
    def done(self) -> bool:
        """Whether it has its outcome."""
        return self._key() is not None

    def __repr__(self) -> str:
        kind = f"{type(self).__module__}.{type(self).__name__}"
        return f"<{kind} {self.id} {self.outcome.name}>"


def _check_options(options: Mapping[str, Any]) -> None:
    """Raises for what is no option, and for values that C is not told."""
    unknown = set(options) - set(Options.__annotations__)
    if unknown:
        raise TypeError(f"unknown option: {', '.join(sorted(unknown))}")
    if "receive_limit" in options:
        c_number("receive_limit", options["receive_limit"], SIZE, 1)
    milliseconds("block_timeout", options.get("block_timeout"))
    c_function("credentials", options.get("credentials"))


class ClientBase:
    """A client but for its way of waiting."""

    #: What a callback may raise without ending whoever calls it.
    _TAKEN: Union[type[BaseException], tuple[type[BaseException], ...]] = BaseException

    def __init__(self, servers: Sequence[str], options: Options) -> None:
        _check_options(options)
        self._servers = list(servers)
        self._options: dict[str, Any] = dict(options)
        self._limit: int = self._options.get("receive_limit", 10000)
        self._numbers = itertools.count(1)
        self._dropped = False
        self._handlers: dict[int, Handler] = {}
        self._filters: dict[str, int] = {}
        self._lock = threading.Lock()
        self._receiving = False
        self._connects = False  # it was told to connect
        self.on_message: Optional[Handler] = None
        """Called with messages that no filter's handler takes."""
        self.on_event: Optional[Callable[[Event], Any]] = None
        """Called with what happens to the connection."""
        self.on_delivery: Optional[Callable[[Delivery], Any]] = None
        """Called with the outcomes of published messages, a range of ids at a time."""
        self.on_error: Optional[Callable[[BaseException], Any]] = None
        """Called with what a callback raised; without it sys.unraisablehook is."""
        self._on_attempt: Optional[Callable[[Attempt], Any]] = None
        self._attempts_as = 0
        self._asking: list[Question] = []  # by it, or by its service
        ask = self._options.get("credentials")
        self._question = None if ask is None else Question(self, ask)
        self._core = Core(self, self._servers, self._options)
        if self._question is not None:
            watch_attempts(self)

    # ---- the connection ----

    def _check_open(self) -> None:
        if self._core.closed:
            raise ClosedError(c.TERN_E_CLOSED)

    def configure(self, *servers: str, **options: Unpack[Options]) -> None:
        """Replaces how to connect; takes effect at the next attempt.

        Options that are not given keep their values; those that are fixed for a client's life (ids,
        limits, the outbox) are not looked at.
        """
        _check_options(options)
        changed = {**self._options, **options}
        self._core.configure(list(servers) or self._servers, changed)
        self._servers, self._options = list(servers) or self._servers, changed
        if "credentials" in options:
            self._ask(options["credentials"])

    def _ask(self, ask: Optional[Callable[[], Any]]) -> None:
        """Asks somebody else for credentials from now on; None: nobody."""
        self._stop_asking()
        self._question = None if ask is None else Question(self, ask)
        watch_attempts(self)
        self.retry()  # an attempt may wait for an answer that nobody wants now

    def _stop_asking(self) -> None:
        while self._asking:
            self._asking.pop().close()

    @property
    def on_attempt(self) -> Optional[Callable[[Attempt], Any]]:
        """Called before each attempt to connect, which it may change, put off or stop.

        It may take its time, and must not wait for the client. Where it raises, the attempt is put
        off for a little while.
        """
        return self._on_attempt

    @on_attempt.setter
    def on_attempt(self, handler: Optional[Callable[[Attempt], Any]]) -> None:
        service = self._options.get("service")
        if service is not None and service.asks:
            raise StateError(c.TERN_E_STATE, "on_attempt: the service's own handler is there")
        self._on_attempt = handler
        watch_attempts(self)

    def retry(self) -> None:
        """Ends the wait for the next attempt."""
        self._core.check(held.tern_client_retry(self._core.handle))

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(held.tern_client_connected(self._core.handle) == 1)

    @property
    def client_id(self) -> str:
        """The client id in use: the one that was set, else the server's."""
        return self._core.client_id()

    def limit(self, limit: Limit) -> int:
        """What was agreed on at the last CONNACK; -1 for unknown limits."""
        value = ctypes.c_int64()
        self._core.check(held.tern_client_limit(self._core.handle, int(limit), ctypes.byref(value)))
        return value.value

    @property
    def statistics(self) -> dict[str, int]:
        """Counters and gauges by name (docs/statistics.md)."""
        result, value = {}, ctypes.c_uint64()
        for index in range(held.tern_stat_count()):
            name = held.tern_stat_name(index)
            if held.tern_client_stat(self._core.handle, name, ctypes.byref(value)) == 0:
                result[name.decode()] = value.value
        return result

    # ---- handlers ----

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
        """Sets who is called with messages whose topic matches a filter; None removes it.

        Where several filters match, each handler is called. (MQTT 5 section 4.7)
        """
        c_function("handler", handler)
        with self._lock:
            if handler is None:
                self._core.set_filter(filter, 0)
                self._handlers.pop(self._filters.pop(filter), None)
                return
            number = self._filters.get(filter)
            if number is None:
                number = next(self._numbers)  # never again: messages may be under way with it
                self._core.set_filter(filter, number)
                self._filters[filter] = number
            self._handlers[number] = handler

    # ---- what the core tells ----

    def _on_message(self, who: int, message: Message) -> bool:
        handler = self._handlers.get(who) if who else None
        if handler is None:
            handler = self.on_message
        if handler is not None:
            try:
                result = handler(message)
                if result is not None:
                    refuse_coroutine(result)
            except self._TAKEN as error:
                self._on_error(error)
        elif self._receiving or not self._handlers:
            self._core.queue.append(message)
            self._queued()
            return False
        elif not self._dropped:
            self._dropped = True
            LOG.warning(_DROPPED, message.topic)
        return True

    def _queued(self) -> None:
        """A message waits in the core's queue."""
        raise NotImplementedError

    def _call(self, callback: Optional[Callable[[Any], Any]], value: Any) -> None:
        if callback is not None:
            try:
                refuse_coroutine(callback(value))
            except self._TAKEN as error:
                self._on_error(error)

    def _on_event(self, event: Event) -> None:
        self._call(self.on_event, event)

    def _on_delivery(self, first: int, last: int, outcome: int, cause: int, reason: int) -> None:
        if self.on_delivery is not None:
            told = Delivery(first, last, Outcome(outcome), Cause(cause), reason)
            self._call(self.on_delivery, told)

    def _on_log(self, level: int, text: str) -> None:
        try:
            LOG.log(level, "%s", text)
        except self._TAKEN as error:  # a filter's or a handler's
            self._on_error(error)

    def _on_error(self, error: BaseException) -> None:
        what = f"{type(self).__module__}.{type(self).__name__}"
        if self.on_error is None:
            # A callback cannot know that its client is being closed at this moment.
            if not (self._core.closed and isinstance(error, ClosedError)):
                report(error, f"a callback of {what}")
            return
        try:
            refuse_coroutine(self.on_error(error))
        except self._TAKEN as second:
            report(second, f"on_error of {what}")
