"""A paho-mqtt client's link: how Tern connects for it, and leaves.

Tern itself never tries again on its own: paho-mqtt reconnects in loops, with the settings of then.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import os
import threading
import time
import weakref
from typing import Any, Callable, Optional

from .._core import Core, Gate
from .._ffi import c, held
from ..enums import EventKind
from ..event import Event
from ._sent import Sent
from ._telling import Teller
from ._watch import Watch
from .enums import MQTTErrorCode

_PATIENCE = 5.0  # seconds that disconnect() gives messages that are on their way
_SILENCE = 0.5  # without a loop: as long as outcomes come in, and so many seconds more
_SHORTEST = 0.05  # seconds between attempts, but for the first
_LIVE: weakref.WeakSet[Link] = weakref.WeakSet()


class Link(Teller):
    """What a client knows of its core's connection, in the order in which it was told."""

    def _start_link(self) -> None:
        self._filters: dict[str, int] = {}
        self._later = False  # by connect_async(): the first attempt is the loop's
        self._anew = False  # the next connection does not go on with the last one
        self._trying = False  # Tern connects, is connected, or rests
        self._resting = False  # the last attempt or connection has ended: Tern waits for a word
        self._was_up = False  # the core has been connected
        self._open = False  # on_socket_open was called
        self._attempts = 0
        self._configured: Any = None
        self._gates = threading.Lock()
        self._first: Optional[Gate] = None  # opened by the attempt's event
        self._ended: Optional[Gate] = None  # opened when Tern has stopped
        self._leave_at: Optional[float] = None
        self._leave_latest = 0.0
        self._reason = 0
        self._rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._to_do = threading.Event()  # for a loop that was started before connect()

    # ---- connecting ----

    def _attempt(self, gate: Optional[Gate] = None) -> None:
        """Has Tern connect anew, with the settings of now; what comes of it opens the gate."""
        self._attempts += 1
        self._later = False
        self._leave_at = None
        self._close_socket()
        self._call(self.on_pre_connect)
        if not self._wanted:  # it was that callback which called disconnect()
            if gate is not None:
                gate.open()
            return
        if self._trying and self._ended is not None:
            self._wait(self._stop(), _PATIENCE)  # the end that disconnect() asked for comes first
        core = self._core_for_attempt()
        with self._gates:
            former, self._first = self._first, gate
        if former is not None:
            former.open()
        self._connect_core(core)

    def _core_for_attempt(self) -> Core:
        if self._anew and (self._stale or self._starts_clean()):
            self._drop_core()
        self._anew = self._first_again = False
        core = self._make_core()
        self._configure(core)
        return core

    def _connect_core(self, core: Core) -> None:
        self._trying, self._resting = True, False
        rc = held.tern_client_reconnect(core.handle, 0, None)
        if rc == c.TERN_E_STATE:
            rc = held.tern_client_connect(core.handle, None)
        core.check(rc)
        self._to_do.set()
        if not self._wanted:  # disconnect() came in between
            self._stop()

    def _starts_clean(self) -> bool:
        """Whether subscriptions end here, as the session does; messages that wait stay with it."""
        waits = self._sent is not None and self._sent.waits
        return self._was_up and self._is_clean() and not waits

    def _configure(self, core: Core) -> None:
        """Tells the core of settings that have changed; else it resumes TLS, for instance."""
        options = {**copy.deepcopy(self._options()), "headers": self._headers_of_now()}
        wanted = (self._url(), options)
        if wanted != self._configured:
            core.configure([wanted[0]], wanted[1])
            self._configured = wanted

    def _make_core(self) -> Core:
        with self._gates:
            if self._core is None:
                self._stale = self._was_up = False
                self._configured = None
                core = Core(self, [], self._options())
                self._watch = self._watch or Watch()
                self._watch.follow(core.descriptor)
                for sub, number in self._filters.items():
                    core.set_filter(sub, number)
                self._sent = Sent(self, core)
                self._core = core
                _LIVE.add(self)
            return self._core

    def _drop_core(self) -> None:
        alone = self._lock.acquire(timeout=_PATIENCE)  # nobody reads it
        try:
            core, self._core = self._core, None
            if core is not None and self._watch is not None:
                self._watch.follow(-1)
                core.abandon()
            self._trying = self._resting = False
        finally:
            if alone:
                self._lock.release()

    def _is_up(self) -> bool:
        core = self._core
        return core is not None and held.tern_client_connected(core.handle) == 1

    def _has_socket(self) -> bool:
        """Whether there is a connection, or an attempt at one."""
        there = self._core is not None and self._trying and not self._resting
        return there and not self._later

    def _is_lost(self) -> bool:
        """Whether it is a loop's turn to connect."""
        return self._wanted and not self._has_socket()

    def _next_delay(self) -> float:
        """Seconds until the next attempt: they double."""
        least, most = self._delays
        last, self._delay = self._delay, least
        if last is not None:
            self._delay = max(_SHORTEST, min(last * 2, most))
        return self._delay

    # ---- leaving ----

    def _begin_leaving(self) -> None:
        """Disconnects when what was published before is out."""
        core = self._core
        if core is None or self._leave_at is not None or self._ended is not None:
            return  # it does already
        now = time.monotonic()
        self._leave_latest = now + _PATIENCE
        self._leave_at = self._leave_latest if self._served() or self._in_loop() else now + _SILENCE
        core.start(lambda _: self._leave(), held.tern_client_flush)

    def _leave(self) -> None:
        """The second half, when nothing is on its way any more, or not in time."""
        if self._leave_at is not None and not self._wanted:
            self._leave_at = None
            self._stop()

    def _leave_in_time(self) -> None:
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self._leave()

    def _stop(self) -> Gate:
        """Has Tern disconnect; the gate is opened when it has."""
        with self._gates:
            ended = self._ended = self._ended or Gate()
        core, reason = self._core, self._reason if self._speaks_5 else 0
        if core is not None and held.tern_client_disconnect(core.handle, reason, None) != 0:
            held.tern_client_disconnect(core.handle, 0, None)  # for one that no client may give
        return ended

    def _stop_trying(self) -> None:
        """Has Tern stop where there is no connection; without a loop it waits for that."""
        if self._trying:
            ended = self._stop()
            if not self._served() and not self._in_loop():
                self._wait(ended, _PATIENCE)

    def _finish_leaving(self) -> None:
        """Goes on with leaving, where there is no loop for it, and tells what comes of it."""
        deadline = time.monotonic() + _PATIENCE + 1
        while self._goes_on() and not self._wanted and time.monotonic() < deadline:
            self._wait(self._ended or Gate(), 0.1)
        if self._lock.acquire(timeout=_SILENCE):  # else there is a loop() that tells it
            try:
                self._tell_pending(messages=False)
            finally:
                self._lock.release()
        self._raise_kept()

    def _goes_on(self) -> bool:
        core = self._core
        return self._trying and core is not None and not core.closed

    def _retire(self) -> None:
        """A loop has ended. If disconnect() has just left its work to it, it is done here."""
        if self._leave_at is not None and not self._served():
            self._finish_leaving()

    def _is_leaving(self) -> bool:
        """Whether disconnect() has something to do yet, or to tell."""
        return not self._wanted and (self._trying or bool(self._pending))

    def _on_delivery(self, first: int, last: int, outcome: int, cause: int, reason: int) -> None:
        super()._on_delivery(first, last, outcome, cause, reason)
        if self._leave_at is not None:
            later = max(self._leave_at, time.monotonic() + _SILENCE)
            self._leave_at = min(self._leave_latest, later)

    # ---- what the core tells ----

    def _on_log(self, level: int, text: str) -> None:
        super()._on_log(level, without_wait(text))

    def _on_event(self, event: Event) -> None:
        kind = event.kind
        if kind == EventKind.CONNECTING:
            self._resting = False
        elif kind == EventKind.STOPPED:
            self._trying = False
            with self._gates:
                ended, self._ended = self._ended, None
            if ended is not None:
                ended.open()
        elif kind == EventKind.CONNECTED:
            self._was_up, self._delay = True, None
            # In a callback that called reconnect(), on_connect waits for its end.
            asked = self._open_first(event)
            tell = self._tell_later if asked else self._tell
            tell(self._told_connected, event)
        elif event.retry_delay != 0:  # 0: another attempt was asked for in its place
            self._resting = True
            self._leave()  # nothing more can get out
            if kind == EventKind.DISCONNECTED:
                self._tell(self._told_end, event)
            elif kind == EventKind.CONNECT_FAILED:
                self._failed(event)

    def _failed(self, event: Event) -> None:
        refused = event.reason_code >= 0x80
        if self._open_first(event) and not refused:
            return  # reconnect() raises it
        if event.error != c.TERN_E_CANCELLED:
            self._tell(self._told_refusal if refused else self._told_failure, event)

    def _open_first(self, event: Event) -> bool:
        with self._gates:
            gate, self._first = self._first, None
        if gate is not None:
            gate.open(event)
        return gate is not None

    def _told_connected(self, event: Event) -> None:
        raise NotImplementedError

    def _told_refusal(self, event: Event) -> None:
        raise NotImplementedError

    def _told_failure(self, event: Event) -> None:
        raise NotImplementedError

    def _told_end(self, event: Event) -> None:
        raise NotImplementedError

    def _open_socket(self) -> None:
        if not self._open:
            self._open = True
            self._call(self.on_socket_open, self._watch)

    def _close_socket(self) -> None:
        if self._open:
            self._open = False
            self._call(self.on_socket_close, self._watch)

    # ---- the ends of processes ----

    def _flush_briefly(self) -> None:
        core = self._core
        if core is not None and not core.closed and self._is_up():
            flushed = Gate()
            core.start(flushed.open, held.tern_client_flush)
            self._wait(flushed, 1.0)

    def _begin_as_child(self) -> None:
        """In the child of a fork: connections, threads and waiting messages are the parent's."""
        core, self._core = self._core, None
        if core is not None:
            core.closed = True
        if self._watch is not None:
            self._watch.close()  # its descriptor here alone; the parent's stays
            self._watch = None
        wanted, filters = self._later, self._filters
        self._start_reading()
        self._start_link()
        self._wanted = self._later = wanted
        self._filters = filters


def without_wait(text: str) -> str:
    """What Tern tells, but for its wait, which has no end: the next attempt is a loop's."""
    return text.partition("; next attempt in ")[0]


def _of_all(act: Callable[[Link], None]) -> None:
    for link in list(_LIVE):
        with contextlib.suppress(Exception):
            act(link)


atexit.register(_of_all, Link._flush_briefly)
os.register_at_fork(after_in_child=lambda: _of_all(Link._begin_as_child))
