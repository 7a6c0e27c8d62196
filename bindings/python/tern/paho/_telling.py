"""Who calls a paho-mqtt client's callbacks, and who waits: what the core tells is told in loops.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from typing import Any, Callable, Optional

from .._core import Core, Gate, report
from .._ffi import c
from ..event import Event
from ..message import Message
from ..outcomes import GOOD
from ._callbacks import Callbacks
from ._message import MQTTMessageInfo, Received, mid_of
from ._sent import Sent
from ._settings import Settings
from ._watch import Watch
from .enums import CallbackAPIVersion, LogLevel, MQTTProtocolVersion

_SOON = 0.5  # seconds that publish() gives a message of QoS 0 to get out, without a loop
_LEVELS = {
    logging.ERROR: LogLevel.MQTT_LOG_ERR,
    logging.WARNING: LogLevel.MQTT_LOG_WARNING,
    logging.INFO: LogLevel.MQTT_LOG_INFO,
}


class Teller(Settings, Callbacks):
    """Takes what the core tells: callbacks are called in loops, and what comes outside is kept."""

    def _start_telling(
        self,
        version: CallbackAPIVersion,
        userdata: Any,
        transport: str,
        protocol: MQTTProtocolVersion,
        manual_ack: bool,
    ) -> None:
        Settings.__init__(self, transport, protocol, manual_ack)
        Callbacks.__init__(self, version, userdata)
        self._speaks_5 = self._protocol == MQTTProtocolVersion.MQTTv5
        self.suppress_exceptions = False
        self._start_reading()

    def _start_reading(self) -> None:
        self._wanted = False  # connect() was called, and disconnect() was not
        self._thread: Optional[threading.Thread] = None  # that of loop_start()
        self._looping: Optional[int] = None  # the thread that loop_forever() runs on
        self._core: Optional[Core] = None
        self._sent: Optional[Sent] = None
        self._watch: Optional[Watch] = None
        self._lock = threading.RLock()  # held by who reads
        self._telling: Optional[int] = None  # the thread that callbacks run on now
        self._pending: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._unacknowledged: dict[int, Message] = {}
        self._error: Optional[BaseException] = None

    def _on_event(self, event: Event) -> None:
        raise NotImplementedError

    # ---- telling ----

    def _in_loop(self) -> bool:
        return self._telling == threading.get_ident()

    def _tell(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Calls it in a loop; else, and where others wait, it is kept for the next one."""
        if self._in_loop() and not self._pending:
            function(*arguments)
        else:
            self._tell_later(function, *arguments)

    def _tell_later(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._pending.append((function, arguments))
        if self._watch is not None:
            self._watch.ring()

    def _tell_pending(self, messages: bool = True) -> None:
        """Calls what was kept while nobody was in a loop; messages or all but them."""
        kept: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        outer, self._telling = self._telling, threading.get_ident()
        try:
            while self._pending:
                function, arguments = self._pending.popleft()
                if not messages and function == self._kept_message:
                    kept.append((function, arguments))
                else:
                    function(*arguments)
        finally:
            self._telling = outer
            self._pending.extendleft(reversed(kept))

    def _raised(self, error: BaseException, ends: bool = True) -> None:
        """Logs what a callback raised, and gives it to who is to see it; `ends`: to the loop too."""
        self._on_log(logging.ERROR, f"a callback raised {error!r}")
        if self.suppress_exceptions and isinstance(error, Exception):
            return
        if self._thread is threading.current_thread():
            report(error, "a callback of tern.paho.client.Client")
        elif ends and self._in_loop():
            self._error = self._error or error
        elif ends:
            raise error

    def _raise_kept(self) -> None:
        """Raises what a callback has raised meanwhile."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _leave_in_time(self) -> None:
        raise NotImplementedError

    def _tells_at_once(self) -> bool:
        """Whether publish() itself calls on_publish for QoS 0, since no loop is there to do it."""
        alone = not self._served() and self._telling is None
        return alone and self.on_socket_register_write is None  # else the loop is the program's

    def _tell_out(self, info: MQTTMessageInfo) -> None:
        """Calls on_publish when a message of QoS 0 is out; where that takes long a loop may."""
        info.wait_for_publish(_SOON)
        with self._lock:
            kept = self._pending
            for place in range(len(kept) - 1, -1, -1):
                function, arguments = kept[place]
                if function == self._told_publish and arguments[0] == info.mid:
                    del kept[place]
                    break
            else:
                return
        function(*arguments)

    # ---- reading outside loops ----

    def _served(self) -> bool:
        """Whether a loop runs, here or on another thread."""
        return self._thread is not None or self._looping is not None

    def _reads(self) -> bool:
        """Whether this thread is the one that has to read."""
        return (
            not self._served()
            or self._thread is threading.current_thread()
            or self._looping == threading.get_ident()
        )

    def _wait(self, gate: Gate, timeout: Optional[float]) -> bool:
        """Waits for what reading will open; reads itself where no loop does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        core = self._core
        if core is not None and self._in_loop():
            core.read_nested(lambda: gate.opened or _passed(deadline), 50)
            return gate.opened
        while core is not None and self._core is core and not gate.opened and not _passed(deadline):
            if not self._reads() or not self._lock.acquire(blocking=False):
                if gate.wait(0.05):
                    return True
                continue
            try:
                if core.read(50) == c.TERN_E_CLOSED:
                    return gate.opened
            finally:
                self._lock.release()
            self._leave_in_time()
        return gate.opened

    def _glance(self) -> None:
        """Reads what there is, where no loop does."""
        core = self._core
        if core is not None and not self._served() and self._lock.acquire(blocking=False):
            try:
                if self._telling is None:
                    core.read(0, wait=False)
            finally:
                self._lock.release()

    # ---- what the core tells ----

    def _on_message(self, who: int, message: Message) -> bool:
        if not self._wanted and message.qos < 2:
            return False  # after disconnect(): a session that lasts brings it again
        if self._pending or self._telling != threading.get_ident():
            self._tell_later(self._kept_message, self._core, who, message)
            return False
        self._message(who, message)
        return True

    def _kept_message(self, core: Optional[Core], who: int, message: Message) -> None:
        if not self._wanted and message.qos < 2:
            return  # but QoS 2 is told: nobody sends it again
        self._message(who, message)
        if core is not None:
            core.acknowledge(message)

    def _message(self, who: int, message: Message) -> None:
        callback = self._handlers.get(who) if who else self.on_message
        if self._manual_ack and message.number:
            self._unacknowledged[mid_of(message.number)] = message
        if callback is not None:
            try:
                callback(self, self._userdata, Received(message, self._speaks_5))
            except BaseException as error:  # what comes after it in the batch is told first
                self._raised(error)

    def _on_delivery(self, first: int, last: int, outcome: int, cause: int, reason: int) -> None:
        if self._sent is not None:
            self._sent.end(first, last)
        done = outcome in GOOD or outcome == c.TERN_OUTCOME_REFUSED
        if self.on_publish is not None and done:
            for number in range(first, last + 1):
                self._tell(self._told_publish, mid_of(number), reason)

    def _on_log(self, level: int, text: str) -> None:
        if self.on_log is not None:
            number = _LEVELS.get(level, LogLevel.MQTT_LOG_DEBUG)
            self._tell(self._told_log, number, text)
        if self._logger is not None:
            self._logger.log(level, "%s", text)

    def _told_log(self, level: LogLevel, text: str) -> None:
        if self.on_log is not None:
            with contextlib.suppress(Exception):  # where should that be logged?
                self.on_log(self, self._userdata, level, text)


def _passed(deadline: Optional[float]) -> bool:
    return deadline is not None and time.monotonic() >= deadline
