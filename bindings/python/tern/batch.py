"""Batches: many small messages in one, and back into messages.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import weakref
from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from ._apply import make_message
from ._base import ClientBase, PublicationBase
from ._borrowed import read_message
from ._check import SIZE, U32, as_bytes, c_number, c_text, flags_of, milliseconds, set_option
from ._ffi import c, callbacks, held, lib
from .client import Client
from .enums import Cause, Outcome
from .errors import ClosedError, make_error
from .message import Message, Payload
from .outcomes import GOOD, Delivery, Key, Settled
from .requests import outcome_error

Self = TypeVar("Self", bound="BatchBase")

# ---- collecting ----

SMALL = 64 << 10  # bytes that are written so fast that other threads may wait
_numbers = itertools.count(1)
_batches: weakref.WeakValueDictionary[int, BatchBase] = weakref.WeakValueDictionary()


@callbacks.tern_batch_delivery_callback  # type: ignore[untyped-decorator]
def _on_delivery(
    _batch: int, first: int, last: int, outcome: int, cause: int, reason: int, number: int
) -> None:
    batch = _batches.get(number)
    if batch is not None:
        batch._settle(first, last, (outcome, cause, reason))


def _free_once(process: int) -> Callable[[Any], None]:
    """How to free a batch: in a child of a fork it is left alone, since its lock may be held."""

    def free(handle: Any) -> None:
        if os.getpid() == process:
            lib.tern_batch_free(handle)

    return free


def _let_go(children: dict[int, Any], handle: int) -> None:
    free, _ = children.pop(handle, (None, None))
    if free is not None:  # else the client was first
        free(handle)


class BatchItemBase(PublicationBase):
    """A collected message: what became of it can be asked."""

    __slots__ = ("_batch",)
    _client: Any

    def __init__(self, batch: BatchBase, item_id: int) -> None:
        super().__init__(batch._client, item_id)
        self._batch = batch

    def _key(self) -> Optional[Key]:
        return self._batch.settled.find(self.id)


class BatchBase:
    """A batch but for its kind of client and items."""

    @staticmethod
    def _kind() -> type[ClientBase]:
        """The kind of client that it is for."""
        raise NotImplementedError

    def __init__(
        self,
        client: ClientBase,
        topic: str = "batch/messages",
        *,
        qos: int = 1,
        retain: bool = False,
        max_messages: int = 10,
        max_bytes: int = 64 << 10,
        interval: Optional[float] = 5.0,
        waiting_limit: int = 1 << 20,
    ) -> None:
        if not isinstance(client, self._kind()):
            kinds = [f"{kind.__module__}.{kind.__name__}" for kind in (self._kind(), type(client))]
            raise TypeError(f"client: a {kinds[0]} is needed, not {kinds[1]}")
        self._client: Any = client
        self.settled = Settled()
        self.on_delivery: Optional[Callable[[Delivery], Any]] = None
        """Called with outcomes, a range of ids at a time; where callbacks of the client run, or in
        the call that found that messages cannot be published."""
        self._number = next(_numbers)
        self._make(client)
        self._set("topic", "set_topic", c_text("topic", topic))
        self._set("qos", "set_flags", flags_of(qos, retain))
        count = c_number("max_messages", max_messages, U32)
        self._set(
            "max_messages, max_bytes", "set_limits", count, c_number("max_bytes", max_bytes, SIZE)
        )
        self._set("interval", "set_interval", milliseconds("interval", interval))
        waiting = c_number("waiting_limit", waiting_limit, SIZE)
        self._set("waiting_limit", "set_waiting_limit", waiting)
        _batches[self._number] = self
        held.tern_batch_set_delivery_handler(self._handle, _on_delivery, self._number)
        # Compressing takes time, in which other threads may run.
        library = held if client._options.get("compression") is None else lib
        self._add, self._flush = library.tern_batch_add, library.tern_batch_flush

    def _make(self, client: ClientBase) -> None:
        self._handle = ctypes.c_void_p()
        if client._core.closed:
            raise ClosedError(c.TERN_E_CLOSED)
        rc = held.tern_batch_new(ctypes.byref(self._handle), client._core.handle)
        if rc != 0:
            raise make_error(rc)
        assert self._handle.value is not None
        children = client._core.children
        children[self._handle.value] = _free_once(os.getpid()), weakref.ref(self)
        weakref.finalize(self, _let_go, children, self._handle.value).atexit = False

    def _set(self, name: str, function: str, *arguments: Any) -> None:
        set_option(name, f"tern_batch_{function}", self._handle, *arguments)

    def _check(self, rc: int, what: str) -> None:
        if rc != 0:
            raise make_error(rc, f"{what}: {held.tern_strerror(rc).decode()}")

    def _collect(self, topic: str, payload: Payload, qos: int) -> int:
        core = self._client._core
        raw = as_bytes(payload)
        name = core.topics.get(topic) or core.topic(topic)
        if core.closed:
            raise ClosedError(c.TERN_E_CLOSED)
        number = ctypes.c_uint64()
        flags = flags_of(qos, False)
        add = self._add if len(raw) <= SMALL else lib.tern_batch_add
        rc = add(self._handle, name, raw, len(raw), flags, ctypes.byref(number))
        self._check(rc, "batch")
        return number.value

    def flush(self) -> None:
        """Publishes what is collected now; it does not wait for the broker."""
        if self._client._core.closed:
            raise ClosedError(c.TERN_E_CLOSED)
        self._check(self._flush(self._handle), "batch")

    def close(self) -> None:
        """Flushes, and takes no more messages; outcomes are still told. Closing twice does nothing.

        Close it before its client, so that nothing is left behind.
        """
        if not self._client._core.closed:
            self.end()

    def end(self) -> None:
        """Flushes for the last time; where the client is closing what is collected ends here."""
        lib.tern_batch_close(self._handle)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Messages that are collected, or in full batches that wait for room in the outbox."""
        return int(held.tern_batch_count(self._handle))

    def __bool__(self) -> bool:
        return True

    def _settle(self, first: int, last: int, key: Key) -> None:
        self.settled.add(first, last, key)
        if self.on_delivery is not None:
            told = Delivery(first, last, Outcome(key[0]), Cause(key[1]), key[2])
            self._client._core.defer(lambda: self._client._call(self.on_delivery, told))


class BatchItem(BatchItemBase):
    """A collected message: what became of it can be asked, or waited for."""

    __slots__ = ()

    def wait(self, timeout: Optional[float] = None) -> BatchItem:
        """Waits for the outcome of the batch that carries it; returns itself.

        That batch may still be collecting: flush() sends it now. Raises as Publication.wait().
        """
        key = self._client._wait_settled(self.id, timeout, self._batch.settled)
        if key[0] not in GOOD:
            raise outcome_error(self.id, key)
        return self


class Batch(BatchBase):
    """Collects messages, and publishes them together as one JSON array.

    ::

        with tern.Client("mqtt://localhost") as client, tern.Batch(client) as batch:
            for reading in readings:
                batch.add("sensors/1", reading)

    A batch goes out when it has `max_messages`, before its payload would have more than `max_bytes`
    (one larger message goes alone), when its first message has waited for `interval` seconds
    (None: only when it is full or flushed), by flush(), and when the batch is closed or collected.
    It is an ordinary message of `qos` on `topic`: it waits while offline, goes through compression,
    and is never larger than the server takes. Full batches that the outbox has no room for wait, up
    to `waiting_limit` bytes of them. Methods may be called from any thread, and in callbacks.
    """

    @staticmethod
    def _kind() -> type[ClientBase]:
        return Client

    def add(self, topic: str, payload: Payload = b"", qos: int = 0) -> BatchItem:
        """Collects a message; its topic and qos go along for the receiver. It does not wait.

        Raises OutboxFullError beyond `waiting_limit`, ClosedError, and UsageError for what is no
        topic.
        """
        return BatchItem(self, self._collect(topic, payload, qos))


# ---- unpacking ----


class Unpacked(NamedTuple):
    """A message of a batch that was received."""

    message: Message
    timestamp: Optional[float]
    """When it was collected, in seconds since 1970 by the publisher's clock; None where it did not
    say."""


class UnpackedBatch(list[Unpacked]):
    """The messages of a batch, in order."""

    problem: Optional[str] = None
    """What is wrong with the first bad one, and its place; None where all are good."""


def unpack_batch(
    message: Union[Message, Payload], *, skip_bad: bool = False, topic: str = "batch/messages"
) -> UnpackedBatch:
    """The messages of a received batch, or of the payload of one.

    Where one of them is bad ProtocolError names the first, its place and what is wrong with it;
    with `skip_bad` the good ones come, and `problem` says the same. Raises UnsupportedError where
    this build of libtern lacks cJSON.
    """
    if isinstance(message, Message):
        topic, payload = message.topic, message.payload
    else:
        payload = as_bytes(message)
    found, errors = UnpackedBatch(), []

    def take(item: int, timestamp: float, _data: object) -> None:
        try:
            found.append(Unpacked(read_message(item), timestamp or None))
        except BaseException as error:  # C does not know of it
            errors.append(error)

    handle = make_message(topic, payload, 0, None)
    buffer = ctypes.create_string_buffer(500)
    flags = c.TERN_BATCH_SKIP_BAD if skip_bad else 0
    callback = callbacks.tern_batch_item_callback(take)
    rc = held.tern_batch_unpack(handle, flags, callback, None, buffer, len(buffer))
    held.tern_message_unref(handle)
    if errors:
        raise errors[0]
    if rc == c.TERN_E_MALFORMED and skip_bad:
        found.problem = buffer.value.decode(errors="replace")
    elif rc != 0:
        text = buffer.value.decode(errors="replace") or held.tern_strerror(rc).decode()
        raise make_error(rc, f"batch: {text}")
    return found


def _close_all() -> None:
    """At the interpreter's end, before clients are closed: what is collected goes out."""
    for batch in list(_batches.values()):
        with contextlib.suppress(Exception):
            batch.close()


def _forked() -> None:
    """In the child of a fork: another thread may have held their locks."""
    for batch in list(_batches.values()):
        batch.settled.forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked)

__all__ = ["Batch", "BatchItem", "Unpacked", "UnpackedBatch", "unpack_batch"]
