"""Batches of tern.aio.Client.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ._base import ClientBase
from .batch import BatchBase, BatchItemBase
from .message import Payload
from .outcomes import GOOD
from .requests import outcome_error


class BatchItem(BatchItemBase):
    """A collected message; awaiting it waits for its outcome, as awaiting a publication does."""

    __slots__ = ()

    async def wait(self) -> BatchItem:
        """Waits for the outcome of the batch that carries it; flush() sends that one now."""
        key = await self._client._settled(self.id, self._batch.settled)
        if key[0] not in GOOD:
            raise outcome_error(self.id, key)
        return self

    def __await__(self) -> Generator[Any, None, BatchItem]:
        return self.wait().__await__()


class Batch(BatchBase):
    """Collects messages for a tern.aio.Client, as tern.Batch does; no call of it waits."""

    @staticmethod
    def _kind() -> type[ClientBase]:
        from . import aio  # which is what imports this

        return aio.Client

    def add(self, topic: str, payload: Payload = b"", qos: int = 0) -> BatchItem:
        """Collects a message; the result can be awaited. Raises as tern.Batch.add()."""
        return BatchItem(self, self._collect(topic, payload, qos))
