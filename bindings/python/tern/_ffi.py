"""The public functions of libtern through ctypes, made at first use from the declarations.

`lib` and `held` have the same functions. Those of `lib` release the interpreter's lock while C
runs: for whatever can block. Those of `held` keep it, and cost less by far: for calls whose
documentation says "Blocks: no", and for those that are told not to wait. What always waits, with a
name that ends in `_wait`, is in `lib` alone.

What goes in and out, by the type in C:

- Handles are integers (c_void_p): None or 0 is NULL, and a NULL that comes back is None.
- `const char *` is bytes, both ways. Where the result comes with a `size_t *length` it is an
  address instead, to be read by `ctypes.string_at(address, length)`.
- `const void *` and `char *` take bytes, an address, or a ctypes array.
- What is handed out through a pointer takes `ctypes.byref()` of a c_void_p or of the integer's
  type.
- Arrays of pointers to text or bytes are of c_char_p, whose items may be bytes or addresses.
- A callback is what `callbacks.tern_..._callback(function)` gives, a function of `lib` (for
  tern_feed_log), or None. The caller keeps it alive for as long as C may call it.
- `user_data` is an integer of the caller's choice; 0 comes back as None.
- Integers are not checked for their range: ctypes cuts them to the size of the type.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
from typing import Any, Optional

from ._declarations import CALLBACKS, ENUMS, FUNCTIONS
from ._library import load

_SCALARS: dict[str, Any] = {
    "int": ctypes.c_int,
    "unsigned": ctypes.c_uint,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
}
_POINTERS: dict[str, Any] = {
    "const char *": ctypes.c_char_p,
    "const char *const *": ctypes.POINTER(ctypes.c_char_p),
    "const void *const *": ctypes.POINTER(ctypes.c_char_p),
}


def ctype(text: str) -> Any:
    """The ctypes type for a type of the declarations; None for void."""
    if text == "void":
        return None
    if text in _POINTERS:
        return _POINTERS[text]
    base, _, stars = text.removeprefix("const ").partition(" ")
    if not stars:
        return _plain(base)
    if stars == "*":
        return ctypes.POINTER(_SCALARS[base]) if base in _SCALARS else ctypes.c_void_p
    return ctypes.POINTER(ctypes.c_void_p)


def _plain(name: str) -> Any:
    """The ctypes type for a type that is no pointer, or that hides one: a callback."""
    if name in CALLBACKS:
        return ctypes.c_void_p
    return ctypes.c_uint if name in ENUMS else _SCALARS[name]


def signature(result: str, parameters: tuple[str, ...]) -> tuple[Any, list[Any]]:
    """The ctypes types of a result and of parameters, for a signature of the declarations."""
    restype = ctype(result)
    if restype is ctypes.c_char_p and "size_t *" in parameters:
        restype = ctypes.c_void_p
    return restype, [ctype(parameter) for parameter in parameters]


class Functions:
    """The functions of the library, as attributes; each is made when it is first asked for."""

    def __init__(self, library: ctypes.CDLL, blocking: bool) -> None:
        self._library = library
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        if name not in FUNCTIONS:
            raise AttributeError(f"libtern has no public function {name}")
        if name.endswith("_wait") and not self._blocking:
            raise AttributeError(f"{name} waits, and would stop all threads: call lib.{name}")
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise AttributeError(f"this libtern has no {name}: it is older than tern") from None
        function.restype, function.argtypes = signature(*FUNCTIONS[name])
        self.__dict__[name] = function
        return function

    def untyped(self, name: str) -> Any:
        """A function whose result's type alone is declared: calls cost half.

        Bytes, integers and c_void_p go through as they are, and the caller sees to it that no
        integer is wider than a C int. It is for the few calls that are made for each message.
        """
        function = self._library._FuncPtr((name, self._library))
        function.restype = ctype(FUNCTIONS[name][0])
        return function


class Callbacks:
    """The types of the callbacks, as attributes: `callbacks.tern_event_callback(function)`."""

    def __getattr__(self, name: str) -> Any:
        if name not in CALLBACKS:
            raise AttributeError(f"libtern has no callback type {name}")
        restype, argtypes = signature(*CALLBACKS[name])
        made = ctypes.CFUNCTYPE(restype, *argtypes)
        self.__dict__[name] = made
        return made


class Constants:
    """The constants of the library, as attributes: `c.TERN_QOS_1`."""

    def __init__(self) -> None:
        for values in ENUMS.values():
            self.__dict__.update(values)

    def __getattr__(self, name: str) -> int:
        raise AttributeError(f"libtern has no constant {name}")


def text(value: Optional[bytes]) -> Optional[str]:
    """What C handed out as text, as a str; what is not well-formed is kept in escapes."""
    return None if value is None else value.decode("utf-8", "surrogateescape")


_library = load()
lib = Functions(_library, blocking=True)
held = Functions(ctypes.PyDLL(_library._name, handle=_library._handle), blocking=False)
callbacks = Callbacks()
c = Constants()
