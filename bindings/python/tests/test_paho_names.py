"""Compares the public surface of paho-mqtt 2.x with tern.paho's, name by name.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
from typing import Any

import pytest

MODULES = (
    "client",
    "enums",
    "matcher",
    "packettypes",
    "properties",
    "publish",
    "reasoncodes",
    "subscribe",
    "subscribeoptions",
)
# What tern.paho has not, or has in another form; each with its reason.
_CODEC = "a part of packing, inside of paho-mqtt; pack() and unpack() are there"
_SOCKETS = "a part of paho-mqtt's network code"
_SAME = "it is ReasonCode itself, so that isinstance() works for programs of 1.6 and 2.x"
_HELPER = "imported there for paho-mqtt's own helpers"
EXCEPTIONS = {
    "client.Client.connect_srv()": "it is there to say that it is not",
    "client.Client.loop_forever()": "1.6 has max_packets in the middle; 2.x's way works too",
    "client.EAGAIN": _SOCKETS,
    "client.HAVE_DNS": "whether connect_srv() works",
    "client.MQTTMatcher.Node": "how paho-mqtt's matcher is made",
    "client.Properties.readProperty": _CODEC,
    "client.Properties.writeProperty": _CODEC,
    "client.ReasonCodes()": _SAME,
    "client.sockpair_data": _SOCKETS,
    "client.time_func": _SOCKETS,
    "matcher.MQTTMatcher.Node": "how paho-mqtt's matcher is made",
    "properties.Properties.readProperty": _CODEC,
    "properties.Properties.writeProperty": _CODEC,
    "properties.readBytes": _CODEC,
    "properties.readInt16": _CODEC,
    "properties.readInt32": _CODEC,
    "properties.readUTF": _CODEC,
    "properties.writeBytes": _CODEC,
    "properties.writeInt16": _CODEC,
    "properties.writeInt32": _CODEC,
    "properties.writeUTF": _CODEC,
    "publish.CallbackAPIVersion": _HELPER,
    "publish.Properties": _HELPER,
    "publish.ReasonCode": _HELPER,
    "publish.mqtt": _HELPER,
    "publish.paho": _HELPER,
    "reasoncodes.ReasonCodes()": _SAME,
    "subscribe.mqtt": _HELPER,
    "subscribe.paho": _HELPER,
}


def public_names(module: Any) -> list[str]:
    """What a module defines, or takes from paho-mqtt; not what it takes from elsewhere."""
    names = {name for name in dir(module) if not name.startswith("_")}
    foreign: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            foreign |= {(one.asname or one.name).partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            if not node.level and not (node.module or "").startswith("paho"):
                foreign |= {one.asname or one.name for one in node.names}
    return sorted(names - foreign)


def parameters(function: Any) -> list[tuple[str, Any]]:
    """Names and defaults, as far as the defaults are plain values."""
    found = []
    for one in inspect.signature(function).parameters.values():
        default = one.default
        if isinstance(default, enum.Enum):
            default = default.value
        elif not isinstance(default, (int, float, str, bytes, type(None))):
            default = "?" if default is not one.empty else "none"
        found.append((one.name, default))
    return found


def compare(place: str, theirs: Any, ours: Any, found: dict[str, str]) -> None:
    """Writes down how a thing of theirs differs from ours."""
    if isinstance(theirs, property):
        if theirs.fset is not None and isinstance(ours, property) and ours.fset is None:
            found[place] = "cannot be set"
    elif inspect.isclass(theirs):
        compare_parameters(place, theirs, ours, found)
        for name in sorted(vars(theirs)):
            if name.startswith("_"):
                continue
            if not hasattr(ours, name):
                found[f"{place}.{name}"] = "missing"
            else:
                inner = getattr(theirs, name), getattr(ours, name)
                compare(f"{place}.{name}", *inner, found)
    elif inspect.isroutine(theirs):
        compare_parameters(place, theirs, ours, found)
    elif isinstance(theirs, (int, float, str, bytes, tuple, list, dict)) and theirs != ours:
        found[place] = f"is {ours!r}, not {theirs!r}"


def compare_parameters(place: str, theirs: Any, ours: Any, found: dict[str, str]) -> None:
    """Ours may have more behind theirs."""
    if inspect.isclass(theirs) and issubclass(theirs, (enum.Enum, Exception, tuple)):
        return
    try:
        expected, got = parameters(theirs), parameters(ours)
    except (TypeError, ValueError):
        return  # of C
    if got[: len(expected)] != expected:
        found[place + "()"] = f"takes {got}, not {expected}"


def test_the_surface_is_that_of_paho() -> None:
    paho = pytest.importorskip("paho.mqtt")
    if not paho.__version__.startswith("2."):
        pytest.skip("needs paho-mqtt 2.x")
    found: dict[str, str] = {}
    for name in MODULES:
        theirs = importlib.import_module(f"paho.mqtt.{name}")
        ours = importlib.import_module(f"tern.paho.{name}")
        for one in public_names(theirs):
            if not hasattr(ours, one):
                found[f"{name}.{one}"] = "missing"
            else:
                compare(f"{name}.{one}", getattr(theirs, one), getattr(ours, one), found)
    strange = {place: what for place, what in found.items() if place not in EXCEPTIONS}
    assert not strange, "\n".join(f"{place}: {what}" for place, what in sorted(strange.items()))
    assert not [place for place in EXCEPTIONS if place not in found], "exceptions that are none"
