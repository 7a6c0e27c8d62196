"""Outcomes of published messages: what became of each, in little memory.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import threading
from asyncio import InvalidStateError
from bisect import bisect_right
from typing import Callable, NamedTuple, Optional

from .enums import Cause, Outcome


class Delivery(NamedTuple):
    """The outcome of the messages first_id to last_id."""

    first_id: int
    last_id: int
    outcome: Outcome
    cause: Cause
    reason_code: int
    """The broker's reason code; -1 where it sent none."""


Key = tuple[int, int, int]
Waiter = Callable[[Key], None]
GOOD = (int(Outcome.DELIVERED), int(Outcome.SENT))  # what raises nothing
FORGOTTEN: Key = (int(Outcome.UNKNOWN), int(Cause.NONE), -1)


class Settled:
    """Ids with their outcomes, as ranges that grow together.

    Messages end mostly in order and mostly alike, so this is one range most of the time. Beyond
    LARGEST ranges the older half forgets the reason codes of successes, so that they join; where
    there are thousands of scattered failures, the oldest are forgotten: find() tells UNKNOWN.
    """

    LARGEST = 8192

    def __init__(self) -> None:
        self.forked()
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._keys: list[Key] = []
        self.waiters: dict[int, list[Waiter]] = {}
        """Called when their message ends. Where nobody else reads meanwhile, those of a message just
        published may be put in place by hand."""
        self._forgotten = 0  # no id up to it is known any more

    def forked(self) -> None:
        """Makes its lock, anew in the child of a fork. What signal handlers ask may be asked in the
        middle of its thread's asking."""
        self._lock = threading.RLock()

    def add(self, first: int, last: int, key: Key) -> None:
        """A range has its outcome; who waits for one of its messages is called."""
        with self._lock:
            self._insert(first, last, key)
            called = self._take_waiters(first, last) if self.waiters else []
        for waiter in called:
            try:
                waiter(key)
            except InvalidStateError:  # an await that was cancelled just now
                pass

    def find(self, message_id: int) -> Optional[Key]:
        """The outcome of a message; None where it has none yet."""
        with self._lock:
            return self._find(message_id)

    def wait(self, message_id: int, waiter: Waiter) -> Optional[Key]:
        """As find(); where there is none yet, `waiter` is called with it, on the core's thread."""
        with self._lock:
            key = self._find(message_id)
            if key is None:
                self.waiters.setdefault(message_id, []).append(waiter)
            return key

    def forget(self, message_id: int, waiter: Waiter) -> None:
        """`waiter` is not to be called any more."""
        with self._lock:
            waiters = self.waiters.get(message_id, [])
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self.waiters.pop(message_id, None)

    @property
    def waits(self) -> bool:
        """Whether anybody waits."""
        return bool(self.waiters)

    def _find(self, message_id: int) -> Optional[Key]:
        at = bisect_right(self._firsts, message_id) - 1
        if at >= 0 and message_id <= self._lasts[at]:
            return self._keys[at]
        return FORGOTTEN if message_id <= self._forgotten else None

    def _take_waiters(self, first: int, last: int) -> list[Waiter]:
        if last - first < len(self.waiters):
            ids = [i for i in range(first, last + 1) if i in self.waiters]
        else:
            ids = [i for i in self.waiters if first <= i <= last]
        return [waiter for i in ids for waiter in self.waiters.pop(i)]

    def _insert(self, first: int, last: int, key: Key) -> None:
        firsts, lasts, keys = self._firsts, self._lasts, self._keys
        if keys and keys[-1] == key and lasts[-1] + 1 == first:
            lasts[-1] = last
            return
        at = bisect_right(firsts, first)
        joins_left = at > 0 and keys[at - 1] == key and lasts[at - 1] + 1 == first
        joins_right = at < len(keys) and keys[at] == key and firsts[at] == last + 1
        if joins_left and joins_right:
            lasts[at - 1] = lasts[at]
            del firsts[at], lasts[at], keys[at]
        elif joins_left:
            lasts[at - 1] = last
        elif joins_right:
            firsts[at] = first
        else:
            keys.insert(at, key)
            lasts.insert(at, last)
            firsts.insert(at, first)  # last: who asks in the middle finds what was there before
            if len(keys) > self.LARGEST:
                self._shrink()

    def _shrink(self) -> None:
        half = len(self._keys) // 2
        old = list(zip(self._firsts[:half], self._lasts[:half], self._keys[:half]))
        rest = self._firsts[half:], self._lasts[half:], self._keys[half:]
        self._firsts, self._lasts, self._keys = [], [], []
        good = (int(Outcome.DELIVERED), int(Cause.NONE), -1)
        for first, last, key in old:
            plain = good if key[0] in GOOD else key
            if self._keys and self._keys[-1] == plain and self._lasts[-1] + 1 == first:
                self._lasts[-1] = last
            else:
                self._firsts.append(first)
                self._lasts.append(last)
                self._keys.append(plain)
        if len(self._keys) > half // 2:
            keep = len(self._keys) // 2  # of many failures the older ones are forgotten
            self._forgotten = self._lasts[keep - 1]
            self._firsts, self._lasts, self._keys = (
                self._firsts[keep:],
                self._lasts[keep:],
                self._keys[keep:],
            )
        self._firsts += rest[0]
        self._lasts += rest[1]
        self._keys += rest[2]
