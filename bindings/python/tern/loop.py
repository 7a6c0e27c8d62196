"""Loops: the network thread, for programs with many clients.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Optional

from ._check import U32, c_enum, c_number, several
from ._ffi import held, lib
from .enums import Poller
from .errors import make_error


class Loop:
    """A network thread that clients share, where each would have one of its own.

    ::

        loop = tern.Loop()
        clients = [tern.aio.Client("mqtt://localhost", loop=loop) for _ in range(1000)]

    It is an option of clients, pools and devices. One thread serves thousands of connections; it
    ends when the last of them is gone, and this.
    """

    def __init__(
        self,
        *,
        dispatchers: int = 1,
        retry_budget: Optional[tuple[int, int]] = None,
        poller: Poller = Poller.DEFAULT,
    ) -> None:
        """dispatchers: 1 to 64 threads for the callbacks of pools and devices; clients have their
        own. retry_budget: how fast all together come back to a server that failed, attempts at a
        time and a second (64 and 100; 0: any number). poller: how it waits for its sockets.
        """
        handle = ctypes.c_void_p()
        count = c_number("dispatchers", dispatchers, U32)
        rc = held.tern_loop_new(ctypes.byref(handle), count, c_enum("poller", Poller, poller))
        if rc != 0:
            raise make_error(rc, f"loop: {held.tern_strerror(rc).decode()}")
        self.pointer = handle
        """The tern_loop of C, which lives as long as this and its clients."""
        weakref.finalize(self, lib.tern_loop_free, handle.value).atexit = False
        if retry_budget is not None:
            pair = several("retry_budget", retry_budget, 2)
            numbers = [c_number("retry_budget", one, U32) for one in pair]
            rc = held.tern_loop_set_retry_budget(handle, *numbers)
            if rc != 0:
                raise make_error(rc, f"retry_budget: {held.tern_strerror(rc).decode()}")


__all__ = ["Loop"]
