"""What C makes with threads of its own: pools and hubs. How they end, and how their calls get here.

Callbacks of C are functions of modules, which live for ever; what they are given is a number, and
whom it stands for is looked up. So no callback can come to an object that is gone.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import itertools
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

from ._check import U32, milliseconds, refuse_coroutine
from ._core import LOG, Gate, report
from ._ffi import c, lib
from .enums import EventKind
from .errors import ClosedError, WouldDeadlockError
from .event import Event
from .options import Options

SHIFT = 20  # bits of a number that say which handler of an object is meant
_numbers = itertools.count(1)
_objects: weakref.WeakValueDictionary[int, Foreign] = weakref.WeakValueDictionary()
_ending: set[_thread.LockType] = set()


def find(number: Optional[int]) -> Any:
    """The object that a callback is for; None where nobody uses it any more."""
    return _objects.get((number or 0) >> SHIFT)


def _free(function: str, handle: int, ended: _thread.LockType) -> None:
    try:
        getattr(lib, function)(handle)
    finally:
        _ending.discard(ended)
        ended.release()


def _let_go(function: str, handle: int) -> None:
    """Frees it on another thread: this one may be in a callback that freeing would wait for."""
    ended = _thread.allocate_lock()
    ended.acquire()
    _ending.add(ended)
    try:
        _thread.start_new_thread(_free, (function, handle, ended))
    except RuntimeError:  # the interpreter is at its end, and so is the process
        _ending.discard(ended)


def waited(call: Callable[[int], int], timeout: Optional[float]) -> int:
    """The result of a call of C that blocks for up to so many ms.

    In the main thread Ctrl-C ends the wait; what was called goes on by itself then.
    """
    limit = U32 if timeout is None else milliseconds("timeout", timeout)
    if threading.get_ident() == threading.main_thread().ident:
        gate = Gate()

        def wait() -> None:
            try:
                gate.open(call(limit))
            except BaseException as error:
                gate.open(error)

        with contextlib.suppress(RuntimeError):  # the interpreter is at its end: no more threads
            _thread.start_new_thread(wait, ())
            gate.wait(None)
            if isinstance(gate.value, BaseException):
                raise gate.value
            return int(gate.value)
    return call(limit)


def check_options(options: Mapping[str, Any], elsewhere: Mapping[str, str]) -> None:
    """Raises for what is no option of a client, and for those that are somewhere else: why."""
    for name in sorted(set(options) & set(elsewhere)):
        raise TypeError(f"{name}: {elsewhere[name]}")
    unknown = set(options) - set(Options.__annotations__)
    if unknown:
        raise TypeError(f"unknown option: {', '.join(sorted(unknown))}")
    milliseconds("block_timeout", options.get("block_timeout"))
    if options.get("ack", "auto") not in ("auto", "manual"):
        raise ValueError(f'ack: "auto" and "manual" are possible, not {options["ack"]!r}')


def log_event(event: Event, prefix: str = "") -> None:
    """Logs what happened: C's own records come from threads that may not wait for Python."""
    if event.error == c.TERN_E_CANCELLED:
        return  # it is being closed
    if event.error != 0:
        LOG.warning("%s%s", prefix, event.text)
    elif event.kind == EventKind.CONNECTED:
        LOG.info("%s%s", prefix, event.text or f"connected to {event.server}")


class Foreign:
    """An object of C with threads of its own; what its callbacks raise goes to on_error."""

    on_error: Optional[Callable[[BaseException], Any]] = None
    """Called with what a callback raised; without it sys.unraisablehook is."""

    def __init__(self) -> None:
        self._closed = False
        self._parents = False  # in the child of a fork
        self._lock = threading.Lock()
        self._number = next(_numbers) << SHIFT

    def _adopt(self, handle: int, free: str, lifeline: Any = None) -> None:
        """From now on there are callbacks.

        `free` is the function of C that ends it, when the lifeline is gone; without one its own is.
        """
        weakref.finalize(lifeline or self, _let_go, free, handle).atexit = False
        _objects[self._number >> SHIFT] = self

    def close(self, timeout: float = 5.0) -> Any:
        """Ends it."""
        raise NotImplementedError

    def _at_exit(self) -> None:
        """At the interpreter's end: no callback may come any more."""
        self.close(1.0)

    @contextlib.contextmanager
    def _closed_where_it_fails(self) -> Iterator[None]:
        """What is not entered is closed."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(WouldDeadlockError):
                self.close(0)
            raise

    def _forked(self) -> None:
        self._closed = self._parents = True
        self._lock = threading.Lock()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(c.TERN_E_CLOSED)

    def _check_waits(self, what: str) -> None:
        """Raises where waiting would never end: nobody tells here, or this is who would."""
        if self._parents:
            raise ClosedError(c.TERN_E_FORKED)
        self._check_no_callback(what)

    def _check_no_callback(self, what: str) -> None:
        """Raises in a callback."""
        raise NotImplementedError

    def _call(self, callback: Optional[Callable[..., Any]], *values: Any) -> None:
        """Calls what the application gave."""
        if callback is not None:
            try:
                refuse_coroutine(callback(*values))
            except BaseException as error:
                self._on_error(error)

    def _on_error(self, error: BaseException) -> None:
        what = f"{type(self).__module__}.{type(self).__name__}"
        if self.on_error is None:
            # A callback cannot know that it is being closed at this moment.
            if not (self._closed and isinstance(error, ClosedError)):
                report(error, f"a callback of {what}")
            return
        try:
            refuse_coroutine(self.on_error(error))
        except BaseException as second:
            report(second, f"on_error of {what}")


def _close_one(one: Foreign, closed: Gate) -> None:
    try:
        with contextlib.suppress(Exception):
            one._at_exit()
    finally:
        closed.open()


def _close_all() -> None:
    """At the interpreter's end: what is on its way has a second; no callback may come after it."""
    closing = [(one, Gate()) for one in list(_objects.values())]
    for one, gate in closing:  # at once, so that it is the same second for all
        try:
            _thread.start_new_thread(_close_one, (one, gate))
        except RuntimeError:  # some interpreters start no more threads
            _close_one(one, gate)
    for _, gate in closing:
        gate.wait(None)
    for ended in list(_ending):
        ended.acquire(timeout=2.0)


def _forked() -> None:
    """In the child of a fork: they are the parent's."""
    _ending.clear()
    for one in list(_objects.values()):
        one._forked()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked)
