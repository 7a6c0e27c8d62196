"""What an event loop watches of a client, and how it ends when nobody uses the client any more.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Callable, Optional


class Reader:
    """A client's descriptor in its event loop.

    It keeps alive what closes the descriptor, until the loop does not watch it any more: another
    one could get its number otherwise.
    """

    def __init__(self, descriptor: int, keeps: Any) -> None:
        self._descriptor = descriptor
        self._keeps = keeps
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self.reading = False

    def start(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Has the loop call `call` while there is something to read."""
        if not self.reading:
            loop.add_reader(self._descriptor, call)
            self._loop, self.reading = loop, True

    def stop(self) -> None:
        """In the loop: it watches no more."""
        if self.reading and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)
        self.reading = False

    def forget(self) -> None:
        """In any thread: the client is gone."""
        if not self.reading or self._loop is None:
            return
        if asyncio._get_running_loop() is self._loop:
            self.stop()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self.stop)
