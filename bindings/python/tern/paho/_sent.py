"""What was published through one core, and what became of it; it outlives the core.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Optional

from .._core import Core, Gate
from .._ffi import c
from ..outcomes import GOOD

if TYPE_CHECKING:
    from ._telling import Teller


class Sent:
    """The messages of one core, by Tern's numbers, which count up from 1."""

    def __init__(self, client: Teller, core: Core) -> None:
        self._client = weakref.ref(client)
        self._settled = core.settled
        self.newest = 0
        """The last message that was published."""
        self.ended = 0
        """How many messages have their outcome."""
        self._counted: set[int] = set()  # those that a limit counts, and that have none yet
        self._lock = threading.RLock()  # signal handlers publish too

    def publish_one_of(self, most: int, publish: Callable[..., int], *arguments: Any) -> int:
        """Publishes, unless there are so many already that have no outcome: then it returns 0."""
        with self._lock:
            if len(self._counted) >= most:
                return 0
            number = publish(*arguments)
            self._counted.add(number)
            return number

    def end(self, first: int, last: int) -> None:
        """Messages have their outcome."""
        self.ended += last - first + 1
        with self._lock:
            if self._counted:
                self._counted.difference_update(range(first, last + 1))

    @property
    def waits(self) -> bool:
        """Whether a message has no outcome yet, or none that was read."""
        return self.ended < self.newest

    def was_published(self, message_id: int) -> bool:
        """Whether the broker has a message (QoS 0: whether it is out)."""
        key = self._settled.find(message_id)
        client = self._client()
        if key is None and client is not None:
            client._glance()
            key = self._settled.find(message_id)
        return key is not None and (key[0] in GOOD or key[0] == c.TERN_OUTCOME_REFUSED)

    def wait_published(self, message_id: int, timeout: Optional[float]) -> None:
        """Waits until a message has its outcome."""
        client = self._client()
        gate = Gate()
        if client is None or self._settled.wait(message_id, gate.open) is not None:
            return
        if not client._wait(gate, timeout):
            self._settled.forget(message_id, gate.open)
