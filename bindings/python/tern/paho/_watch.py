"""What a loop waits for.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Union


class Watch:
    """One descriptor for two: that of the core of now, and a bell of our own."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._near, select.EPOLLIN)
        self._followed = -1

    def follow(self, descriptor: int) -> None:
        """Has a core's descriptor waited for, and no longer the one before; -1 for none."""
        if self._followed >= 0:
            with contextlib.suppress(OSError):
                self._poll.unregister(self._followed)
        self._followed = descriptor
        if descriptor >= 0:
            self._poll.register(descriptor, select.EPOLLIN)

    def fileno(self) -> int:
        """The descriptor, readable while there is something to do for loop() or loop_read()."""
        return self._poll.fileno()

    def setsockopt(self, *arguments: object) -> None:
        """Nothing: the TCP socket is Tern's."""

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> Union[int, bytes]:
        """0, or as many bytes of 0."""
        return bytes(buflen) if buflen else 0

    def pending(self) -> int:
        """0: nothing waits that fileno() does not tell of, as it may in TLS sockets."""
        return 0

    def ring(self) -> None:
        """Ends a wait, now or the next one."""
        with contextlib.suppress(BlockingIOError):  # it rings already
            self._far.send(b"0")

    def wait(self, timeout: float) -> None:
        """Waits until there is something to do."""
        self._poll.poll(timeout)

    def silence(self) -> None:
        """The bell has been heard."""
        with contextlib.suppress(BlockingIOError):
            self._near.recv(4096)

    def close(self) -> None:
        """Closes all but the core's descriptor."""
        self._poll.close()
        self._near.close()
        self._far.close()

    def __del__(self) -> None:
        self.close()
