"""Finds what is kept for the topic filters that match a topic.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

_Node = dict[Optional[str], Any]  # the nodes below by level; with None as key the filter's value


class MQTTMatcher:
    """`matcher["a/+/#"] = value`, and `iter_match("a/b/c")` finds it. Raises KeyError."""

    def __init__(self) -> None:
        self._root: _Node = {}

    def __setitem__(self, key: str, value: Any) -> None:
        node = self._root
        for level in key.split("/"):
            node = node.setdefault(level, {})
        node[None] = value

    def __getitem__(self, key: str) -> Any:
        return self._path(key)[-1][None]

    def __delitem__(self, key: str) -> None:
        path = self._path(key)
        del path[-1][None]
        for above, level in zip(path[-2::-1], reversed(key.split("/"))):
            if not above[level]:
                del above[level]

    def _path(self, key: str) -> list[_Node]:
        """The nodes from the root to that of a filter, which has a value."""
        path = [self._root]
        for level in key.split("/"):
            path.append(path[-1].get(level, {}))
        if None not in path[-1]:
            raise KeyError(key)
        return path

    def iter_match(self, topic: str) -> Iterator[Any]:
        """The values of all filters that match a topic (MQTT 5 section 4.7)."""
        nodes = [self._root]
        hidden = topic.startswith("$")  # from filters that begin with a wildcard
        for level in topic.split("/"):
            if not hidden:
                yield from _values(nodes, "#")
            wanted = (level,) if hidden or level == "+" else (level, "+")
            nodes = [node[name] for node in nodes for name in wanted if name in node]
            hidden = False
        yield from [node[None] for node in nodes if None in node]
        yield from _values(nodes, "#")


def _values(nodes: list[_Node], level: str) -> list[Any]:
    return [node[level][None] for node in nodes if None in node.get(level, {})]
