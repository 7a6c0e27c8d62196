"""What the arguments of the application have to be, and as what C takes them.

Each raises TypeError or ValueError with the name of the argument, and what is possible.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NoReturn, Optional

from ._ffi import c, held
from .errors import make_error

U16, U32, SIZE = 0xFFFF, 0xFFFFFFFF, 2 ** (8 * ctypes.sizeof(ctypes.c_size_t)) - 1
QOS = {0: 0, 1: 1, 2: 2}
LARGEST = 268435455  # bytes of a payload; C checks the packet as a whole


def refuse(name: str, needed: str, value: Any) -> NoReturn:
    """Raises for a value of the wrong type."""
    raise TypeError(f"{name}: {needed}, not {type(value).__name__}")


def refuse_coroutine(result: Any) -> None:
    """Raises TypeError where a callback's result is a coroutine, which nobody would run."""
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("callbacks are plain functions: let them create tasks, or use messages()")


def milliseconds(name: str, seconds: Optional[float], none: int = 0) -> int:
    """Seconds as Tern takes them; `none` for None."""
    if seconds is None:
        return none
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        refuse(name, "seconds are needed", seconds)
    if not 0 <= seconds <= 4294967:
        raise ValueError(f"{name}: 0 to 4,294,967 seconds are possible, not {seconds}")
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


def patience(name: str, seconds: Optional[float]) -> Optional[float]:
    """How long to wait: None for ever, and not at all where it is 0 or less."""
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        refuse(name, "seconds or None are needed", seconds)
    if seconds != seconds:
        raise ValueError(f"{name}: seconds or None are needed, not {seconds}")
    return seconds


def c_text(name: str, value: Any) -> Optional[bytes]:
    """Text, or the name of a file; None for None."""
    return None if value is None else c_string(name, value)


def c_string(name: str, value: Any) -> bytes:
    """Text, or the name of a file."""
    if hasattr(value, "__fspath__"):
        value = value.__fspath__()
    if isinstance(value, str):
        value = encoded(name, value)
    if not isinstance(value, bytes):
        refuse(name, "str is needed", value)
    if b"\0" in value:
        raise ValueError(f"{name}: holds a NUL character")
    return value


def encoded(name: str, text: str) -> bytes:
    """Text as UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: holds half of a surrogate pair, at {error.start}") from None


def as_bytes(payload: Any, name: str = "payload") -> bytes:
    """A payload's bytes: text is encoded, any buffer is copied."""
    if payload.__class__ is bytes:
        return payload
    if isinstance(payload, str):
        return encoded(name, payload)
    try:
        return bytes(memoryview(payload))
    except TypeError:
        refuse(name, "str or a bytes-like object is needed", payload)


def c_number(name: str, value: Any, most: int, least: int = 0) -> int:
    """An integer of a range."""
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(name, "an integer is needed", value)
    if not least <= value <= most:
        raise ValueError(f"{name}: {least:,} to {most:,} are possible, not {value}")
    return value


def c_flag(name: str, value: Any) -> int:
    """True or False."""
    if not isinstance(value, bool) and (value.__class__ is not int or value not in (0, 1)):
        refuse(name, "True or False is needed", value)
    return int(value)


def c_enum(name: str, kind: type[IntEnum], value: Any) -> int:
    """A member of an enumeration, or its number."""
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(name, f"a tern.{kind.__name__} is needed", value)
    if value not in kind.__members__.values():
        known = ", ".join(f"{one.name} ({one.value})" for one in kind)
        raise ValueError(f"{name}: of tern.{kind.__name__} there are {known}, not {value}")
    return int(value)


def c_pairs(name: str, pairs: Any) -> Iterable[tuple[bytes, bytes]]:
    """Names with values, of a mapping or one after the other."""
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, (Mapping, Iterable)):
        refuse(name, "pairs of str are needed", pairs)
    for pair in pairs.items() if isinstance(pairs, Mapping) else pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{name}: a pair of str is needed, not {pair!r}")
        yield c_string(name, pair[0]), c_string(name, pair[1])


def several(name: str, values: Any, count: int) -> Sequence[Any]:
    """A tuple or list of so many values."""
    if not isinstance(values, (tuple, list)):
        refuse(name, f"a tuple of {count} is needed", values)
    if len(values) != count:
        raise ValueError(f"{name}: a tuple of {count} is needed, not of {len(values)}")
    return values


def c_function(name: str, value: Any) -> None:
    """Something that can be called, or None."""
    if value is not None and not callable(value):
        refuse(name, "a function is needed", value)


def instance(name: str, kind: str, value: Any) -> Any:
    """An object of one of this package's classes, by the class's name."""
    if kind not in {one.__name__ for one in type(value).__mro__}:
        refuse(name, f"a tern.{kind} is needed", value)
    return value


def flags_of(
    qos: int, retain: bool, compress: Optional[bool] = None, lose_properties: bool = False
) -> int:
    """The flags of a publish. Raises ValueError for a QoS that does not exist."""
    flags = QOS.get(qos)
    if flags is None:
        raise ValueError(f"qos: 0, 1 and 2 are possible, not {qos!r}")
    if retain:
        flags |= c.TERN_RETAIN
    if lose_properties:
        flags |= c.TERN_LOSE_PROPERTIES
    if compress is None:
        return flags
    return flags | (c.TERN_COMPRESS if compress else c.TERN_UNCOMPRESSED)


def set_option(name: str, function: str, pointer: Any, *arguments: Any) -> None:
    """Calls a function of C that sets something; raises its error with the argument's name."""
    rc = getattr(held, function)(pointer, *arguments)
    if rc != 0:
        raise make_error(rc, f"{name}: {held.tern_strerror(rc).decode()}")
