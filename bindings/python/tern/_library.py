"""Finds libtern, loads it, and checks that it is the one that the declarations speak of.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from ._declarations import VERSION

#: The name by which the system's loader knows a library that these declarations fit.
SONAME = f"libtern.so.{VERSION.partition('.')[0]}"
#: The folder of the package that a wheel puts its library into.
INSIDE = Path(__file__).resolve().parent / "_lib"

_ADVICE = (
    "Install a wheel of tern-mqtt, which has the library inside; or install the C library (cmake "
    "--install, then ldconfig); or set TERN_LIBRARY to the path of libtern.so. Its own libraries "
    "have to be there too: OpenSSL 3 and zlib."
)


def load() -> ctypes.CDLL:
    """Loads libtern: what TERN_LIBRARY names, else what is inside the package, else the system's.

    The first place that has something decides; where that cannot be used, no other is tried, so
    that nobody runs another library than the one that was meant. Raises ImportError, which says
    where it looked and what to do.
    """
    named = os.environ.get("TERN_LIBRARY")
    if named:
        return _checked(named, f"TERN_LIBRARY={named}")
    for path in sorted(INSIDE.glob("libtern.so*")):
        return _checked(str(path), f"the library inside the package, {path}")
    return _from_system()


def _from_system() -> ctypes.CDLL:
    """The library that the system's loader finds, by its soname or as ctypes.util finds it."""
    try:
        library = ctypes.CDLL(SONAME)
    except OSError as problem:
        reason = str(problem)
    else:
        return _fitting(library, f"the system's {SONAME}")
    from ctypes.util import find_library  # slow to import, and rarely needed

    found = find_library("tern")
    if found is not None:
        return _checked(found, f"the system's {found}")
    raise ImportError(
        f"tern: libtern was not found. Looked at: TERN_LIBRARY (not set); {INSIDE} (no "
        f"libtern.so*); the system ({reason}). {_ADVICE}"
    )


def _checked(path: str, place: str) -> ctypes.CDLL:
    """Loads a library whose place is decided; `place` says in words where that is."""
    try:
        library = ctypes.CDLL(path)
    except OSError as problem:
        raise ImportError(f"tern: {place}: cannot be loaded: {problem}. {_ADVICE}") from None
    return _fitting(library, place)


def _fitting(library: ctypes.CDLL, place: str) -> ctypes.CDLL:
    """Sees to it that major and minor version are those of the declarations."""
    try:
        version_string = library.tern_version_string
    except AttributeError:
        raise ImportError(f"tern: {place}: is not libtern (no tern_version_string)") from None
    version_string.restype = ctypes.c_char_p
    version: str = version_string().decode()
    if version.split(".")[:2] != VERSION.split(".")[:2]:
        raise ImportError(
            f"tern: {place}: is version {version}, and this package needs "
            f"{'.'.join(VERSION.split('.')[:2])}.x. {_ADVICE}"
        )
    return library
