"""A client of paho-mqtt's API whose callbacks are written down.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any

import tern.paho.client as mqtt

V1, V2 = mqtt.CallbackAPIVersion.VERSION1, mqtt.CallbackAPIVersion.VERSION2


class Story:
    """A client whose callbacks write down what they are told."""

    def __init__(self, module: Any = mqtt, **arguments: Any) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.client = module.Client(**arguments)
        for name in ("connect", "disconnect", "message", "publish", "subscribe", "unsubscribe"):
            setattr(self.client, f"on_{name}", self._writer(name))
        self.client.on_connect_fail = lambda *_: self.told.append(("connect_fail",))

    def _writer(self, name: str) -> Any:
        def write(_client: Any, _userdata: Any, *arguments: Any) -> None:
            self.told.append((name, *arguments))

        return write

    def has(self, name: str, count: int = 1) -> bool:
        """Whether a callback was called that often."""
        return len(self.of(name)) >= count

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """What a callback was told."""
        return [told[1:] for told in list(self.told) if told[0] == name]
