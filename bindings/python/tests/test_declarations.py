"""The declarations are those of the headers: made again, and proven by the C compiler.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tern import _declarations as declarations
from tern import _ffi

TOOL = Path(__file__).resolve().parents[1] / "tools" / "declarations.py"
# What C calls the types that Python uses here. Pointers to integers may be to constant ones.
INTEGERS = {
    ctypes.c_int: "int",
    ctypes.c_uint: "unsigned",
    ctypes.c_int32: "int32_t",
    ctypes.c_int64: "int64_t",
    ctypes.c_uint16: "uint16_t",
    ctypes.c_uint32: "uint32_t",
    ctypes.c_uint64: "uint64_t",
    ctypes.c_size_t: "size_t",
}
PRELUDE = """
#include <stdint.h>
#include <tern/tern.h>
#define SAME(a, b) __builtin_types_compatible_p(a, b)
#define IS_POINTER(type) (__builtin_classify_type((type)0) == __builtin_classify_type((void *)0))
#define TO_NUMBERS(type, number) (SAME(type, number *) || SAME(type, const number *))
#define TO_POINTERS(type) IS_POINTER(__typeof__(*(type)0))
"""


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the script that makes the declarations."""
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, check=False
    )


def compiled(lines: list[str], root: Path) -> str:
    """Has the C compiler look at assertions; what it says where one does not hold, else ''."""
    ended = subprocess.run(
        [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-fsyntax-only", "-Wall"]
        + ["-Werror", "-I", str(root / "include"), "-x", "c", "-"],
        input="\n".join([PRELUDE, *lines, ""]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0 or "error" in ended.stderr
    return ended.stderr


def proof(condition: str, what: str) -> str:
    """One assertion for the compiler."""
    return f'_Static_assert({condition}, "{what}");'


def pointer_to(result: str, parameters: tuple[str, ...]) -> str:
    """The C type of a pointer to a function, from a signature of the declarations."""
    return f"{result} (*)({', '.join(parameters) or 'void'})"


def matches(c_type: str, python_type: Any) -> str:
    """The C condition under which a ctypes type may stand for a type in C."""
    if c_type in declarations.CALLBACKS:
        assert python_type is ctypes.c_void_p
        return f"IS_POINTER({c_type})"
    if python_type is ctypes.c_double:
        return f"SAME({c_type}, double)"
    if c_type in declarations.ENUMS:
        assert python_type in (ctypes.c_int, ctypes.c_uint)
        return f"SAME({c_type}, unsigned)"
    if python_type in INTEGERS:
        return f"SAME({c_type}, {INTEGERS[python_type]})"
    if python_type is ctypes.c_char_p:
        return f"SAME({c_type}, const char *) || SAME({c_type}, char *)"
    if python_type is ctypes.c_void_p:
        return f"IS_POINTER({c_type})"
    pointed = python_type._type_
    if pointed in INTEGERS:
        return f"TO_NUMBERS({c_type}, {INTEGERS[pointed]})"
    assert pointed in (ctypes.c_void_p, ctypes.c_char_p)
    return f"TO_POINTERS({c_type})"


def types_in_use() -> set[tuple[str, Any]]:
    """Each type of the declarations, with the ctypes type that _ffi uses for it."""
    used = set()
    for name, (result, parameters) in declarations.FUNCTIONS.items():
        function = getattr(_ffi.lib, name)
        assert len(parameters) == len(function.argtypes), name
        used.update(zip(parameters, function.argtypes))
        assert (result == "void") == (function.restype is None), name
        if result != "void":
            used.add((result, function.restype))
    for name, (result, parameters) in declarations.CALLBACKS.items():
        callback = getattr(_ffi.callbacks, name)
        assert len(parameters) == len(callback._argtypes_), name
        used.update(zip(parameters, callback._argtypes_))
        assert (result == "void") == (callback._restype_ is None), name
        if result != "void":
            used.add((result, callback._restype_))
    return used


def test_made_again_they_are_the_same() -> None:
    ended = tool("--check")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "text",
    [
        "TERN_API struct tern_pair tern_pair_of(int a);",
        "TERN_API int tern_say(const char *format, ...);",
        "TERN_API int tern_next(long step);",
        "typedef union tern_any tern_any;",
        "enum tern_colour { TERN_RED, TERN_BLUE = 2 };",
        "#define TERN_RED 1",
        "TERN_API int tern_a(int a)",
        "static inline int tern_b(int a) { return a; }",
    ],
)
def test_what_the_tool_does_not_know_it_refuses(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.h").write_text(text + "\n", "utf-8")
    ended = tool("--headers", str(tmp_path), "--output", str(tmp_path / "made.py"))
    assert ended.returncode == 1
    assert "not understood" in ended.stderr and "odd.h" in ended.stderr
    assert not (tmp_path / "made.py").exists()


def test_the_compiler_agrees_with_each_signature(root: Path) -> None:
    lines = [
        proof(f"SAME(__typeof__(&{name}), {pointer_to(*signature)})", name)
        for name, signature in declarations.FUNCTIONS.items()
    ]
    lines += [
        proof(f"SAME({name}, {pointer_to(*signature)})", name)
        for name, signature in declarations.CALLBACKS.items()
    ]
    assert compiled(lines, root) == ""


def test_the_compiler_agrees_with_each_type_of_ctypes(root: Path) -> None:
    used = types_in_use()
    assert len(used) > 50
    lines = [
        proof(matches(c_type, python_type), f"{c_type} as {python_type.__name__}")
        for c_type, python_type in sorted(used, key=str)
    ]
    assert compiled(lines, root) == ""


def test_the_compiler_agrees_with_each_constant(root: Path) -> None:
    lines = [
        proof(f"{name} == {value}", name)
        for values in declarations.ENUMS.values()
        for name, value in values.items()
    ]
    assert compiled(lines, root) == ""


@pytest.mark.parametrize(
    "condition",
    [
        "SAME(__typeof__(&tern_client_free), void (*)(tern_token *))",
        "SAME(__typeof__(&tern_message_expiry), int (*)(const tern_message *, uint64_t *))",
        "TERN_E_TIMEOUT == -18",
        matches("size_t", ctypes.c_void_p),
        matches("const char **", ctypes.POINTER(ctypes.c_size_t)),
        matches("uint32_t", ctypes.c_uint64),
        matches("const void *", ctypes.c_char_p),
        matches("uint16_t", ctypes.c_int32),
    ],
)
def test_the_compiler_sees_what_is_wrong(condition: str, root: Path) -> None:
    assert "error" in compiled([proof(condition, "wrong")], root)


def test_every_symbol_that_is_exported_is_declared(root: Path) -> None:
    exported = (root / "test" / "abi" / "symbols.txt").read_text("utf-8").split()
    assert sorted(declarations.FUNCTIONS) == sorted(exported)


def test_the_version_is_that_of_the_library() -> None:
    assert _ffi.lib.tern_version_string().decode() == declarations.VERSION


def test_the_errors_are_those_of_the_library() -> None:
    held = _ffi.held
    codes = [held.tern_error_at(index) for index in range(held.tern_error_count())]
    told = [
        (held.tern_error_name(code).decode(), code, held.tern_error_class_of(code))
        for code in codes
    ]
    table = [
        (f"TERN_E_{name}", code, getattr(_ffi.c, f"TERN_CLASS_{cls}"))
        for name, code, cls, _ in declarations.ERRORS
    ]
    assert sorted(told) == sorted(table)
    for _, code, _, text in declarations.ERRORS:
        assert held.tern_strerror(code).decode() == text
