"""The border to C: finds libtern, and makes its functions, constants and callback types as they are asked for.

`lib` releases the interpreter's lock during a call: for whatever may block. `held` keeps it, which is cheaper by far: for
what is documented with "Blocks: no". Tern never calls Python while it holds one of its own locks, so keeping it is safe.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import pathlib
from typing import Any, List

from ._declarations import CALLBACKS, ENUMS, ERRORS, FUNCTIONS, HANDLES, VERSION

_PLAIN = {
    "void": None,
    "int": ctypes.c_int,
    "unsigned": ctypes.c_uint,
    "double": ctypes.c_double,
    "size_t": ctypes.c_size_t,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "const char *": ctypes.c_char_p,
    "char *": ctypes.c_char_p,
}


def ctype_of(declared: str) -> Any:
    """The ctypes type that stands for a C type. Handles, buffers and places for results are c_void_p, which takes
    byref(), bytes, arrays, functions and None."""
    if declared in _PLAIN:
        return _PLAIN[declared]
    if declared in ENUMS:
        return ctypes.c_int
    if declared in CALLBACKS or declared.endswith("*"):
        return ctypes.c_void_p
    raise TypeError(f"no ctypes type for {declared!r}")


def _candidates() -> List[str]:
    named = os.environ.get("TERN_LIBRARY")
    if named:
        return [named]
    inside = sorted(pathlib.Path(__file__).parent.glob("_lib/libtern.so*"))
    found = ctypes.util.find_library("tern")
    return [str(path) for path in inside] + ([found] if found else []) + ["libtern.so.0"]


def _load() -> ctypes.CDLL:
    tried = []
    for name in _candidates():
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            tried.append(f"{name} ({error})")
    raise ImportError(
        "libtern was not found; tried " + ", ".join(tried) + ". Install the wheel, which has it inside, install libtern "
        "for the system, or set TERN_LIBRARY to its path.", name="tern")


def _check_version(library: ctypes.CDLL) -> str:
    try:
        function = library.tern_version_string
    except AttributeError:
        raise ImportError(f"{library._name} is not libtern", name="tern") from None
    function.restype = ctypes.c_char_p
    version: str = function().decode()
    if version.split(".")[:2] != VERSION.split(".")[:2]:
        raise ImportError(f"{library._name} is version {version}, this package is for {VERSION}", name="tern")
    return version


class _Functions:
    """Tern's functions; each is made at its first use."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        if name not in FUNCTIONS:
            raise AttributeError(name)
        result, arguments = FUNCTIONS[name]
        function = self._library[name]
        function.restype = ctype_of(result)
        function.argtypes = [ctype_of(one) for one in arguments]
        setattr(self, name, function)
        return function


    def untyped(self, name: str, result: Any) -> Any:
        """A function of its own that converts its arguments by their Python types: bytes, c_void_p, and integers of 32 bits."""
        FUNCTIONS[name]
        function = self._library._FuncPtr((name, self._library))
        function.restype = result
        return function


class _Callbacks:
    """Tern's callback types; each is made at its first use. Keep what they make for as long as C may call it."""

    def __getattr__(self, name: str) -> Any:
        if name not in CALLBACKS:
            raise AttributeError(name)
        result, arguments = CALLBACKS[name]
        kind = ctypes.CFUNCTYPE(ctype_of(result), *(ctype_of(one) for one in arguments))
        setattr(self, name, kind)
        return kind


class _Constants:
    """Tern's constants as plain integers."""

    def __init__(self) -> None:
        for constants in ENUMS.values():
            self.__dict__.update(constants)
        self.__dict__.update((f"TERN_E_{name}", code) for name, code, _, _ in ERRORS)

    def __getattr__(self, name: str) -> int:
        raise AttributeError(name)


_library = _load()
version = _check_version(_library)
lib: Any = _Functions(_library)
held: Any = _Functions(ctypes.PyDLL(_library._name, handle=_library._handle))
callbacks: Any = _Callbacks()
c: Any = _Constants()

__all__ = ["HANDLES", "c", "callbacks", "ctype_of", "held", "lib", "version"]
