"""What threads wait for, and what becomes of errors that nobody takes.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Optional


class Gate:
    """What one thread waits for and another opens; Ctrl-C gets through."""

    __slots__ = ("_lock", "opened", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.opened = False
        self.value: Any = None

    def open(self, value: Any = None) -> None:
        """Opens it, once."""
        self.value = value
        self.opened = True
        self._lock.release()

    def wait(self, timeout: Optional[float]) -> bool:
        """Waits; False where the time was over first."""
        if timeout is None:
            return self._lock.acquire()
        return self._lock.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))


_VOID = ctypes.CFUNCTYPE(None)


def report(error: BaseException, what: str) -> None:
    """Gives an error that a callback raised, and nobody takes, to sys.unraisablehook."""
    traceback = error.__traceback__

    def raising() -> None:
        raise error

    # The hook's arguments can be made by the interpreter alone; ctypes has it make them.
    raising.__qualname__ = what
    _VOID(raising)()
    error.__traceback__ = traceback  # without the frame above, which refers to the error
