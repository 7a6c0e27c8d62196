#!/usr/bin/env python3
"""Makes tern/_declarations.py from the C headers: what libtern exports, for ctypes.

The headers are plain and regular, so a small reader of our own does: what it does not understand
ends it, with the file and the text. Usage: declarations.py [--check]

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SCALARS = {
    "char", "double", "int", "int32_t", "int64_t", "size_t", "uint16_t", "uint32_t", "uint64_t",
    "unsigned", "void",
}  # fmt: skip
# The lines of the preprocessor that say nothing about declarations.
IGNORED = re.compile(
    r"#\s*(include\s*<[\w/]+\.h>|ifndef TERN_\w+_H|define TERN_\w+_H|endif|undef TERN_ERROR_CODE_"
    r"|define TERN_ERROR_CODE_\(name, code, cls, text\) TERN_E_##name = \(code\),)$"
)
SIGNATURES = "%s: dict[str, tuple[str, tuple[str, ...]]] = {"
ROW = re.compile(r'X\((\w+), (-\d+), (\w+), "([^"\\]*)"\)')


# The types of the result and of the parameters.
Signature = tuple[str, list[str]]


class NotUnderstood(Exception):
    """A header holds something that this script has no rule for."""


@dataclass
class Declarations:
    """All that the headers declare, in their order."""

    version: str = ""
    handles: list[str] = field(default_factory=list)
    errors: list[tuple[str, int, str, str]] = field(default_factory=list)
    enums: dict[str, dict[str, int]] = field(default_factory=dict)
    callbacks: dict[str, Signature] = field(default_factory=dict)
    functions: dict[str, Signature] = field(default_factory=dict)


def read(headers: Path, cmake: Path) -> Declarations:
    """Reads all headers of a folder, and the version from the project's CMakeLists.txt."""
    found = Declarations(version=read_version(cmake))
    texts = {path: plain(path) for path in sorted(headers.glob("*.h")) if path.name != "export.h"}
    if not texts:
        raise NotUnderstood(f"{headers}: no headers")
    names = {name for text in texts.values() for name in typedef_names(text)}
    for path, text in texts.items():
        try:
            read_header(text, names, found)
        except NotUnderstood as problem:
            raise NotUnderstood(f"{path}: {problem}") from None
    return found


def read_version(cmake: Path) -> str:
    """The version of the library, as CMake gives it to tern_version_string()."""
    match = re.search(r"^project\(Tern VERSION (\d+\.\d+\.\d+)", cmake.read_text("utf-8"), re.M)
    if match is None:
        raise NotUnderstood(f"{cmake}: no line 'project(Tern VERSION x.y.z'")
    return match[1]


def plain(path: Path) -> str:
    """A header without comments, with continued lines joined."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text("utf-8"), flags=re.S)
    return text.replace("\\\n", " ")


def typedef_names(text: str) -> list[str]:
    """Every name that may stand for a type: handles, enumerations, callbacks."""
    return re.findall(r"typedef (?:struct|enum) (\w+)", text) + re.findall(
        r"\(\*(\w+)\)\(", text
    )


def read_header(text: str, names: set[str], found: Declarations) -> None:
    """Reads what one header declares."""
    lines = []
    for line in text.splitlines():
        line = " ".join(line.split())
        if line.startswith("#define TERN_ERRORS(X) "):
            read_errors(line, found)
        elif line.startswith("#"):
            if not IGNORED.match(line):
                raise NotUnderstood(f"a line of the preprocessor: {line}")
        elif line not in ("TERN_BEGIN_DECLS", "TERN_END_DECLS"):
            lines.append(line)
    for declaration in split(" ".join(lines)):
        read_declaration(declaration, names, found)


def read_errors(line: str, found: Declarations) -> None:
    """Reads the table of errors: X(name, code, class, text) again and again."""
    rows = line.partition("TERN_ERRORS(X)")[2].strip()
    if ROW.sub("", rows).strip():
        raise NotUnderstood(f"in the table of errors: {ROW.sub('', rows).strip()}")
    for name, code, cls, text in ROW.findall(rows):
        found.errors.append((name, int(code), cls, text))


def split(text: str) -> list[str]:
    """Cuts at the semicolons that end a declaration."""
    *declarations, rest = text.split(";")
    if rest.strip():
        raise NotUnderstood(f"no semicolon after: {rest.strip()}")
    return [" ".join(declaration.split()) for declaration in declarations]


def read_declaration(text: str, names: set[str], found: Declarations) -> None:
    """Reads one declaration, which is of one of the five forms that the headers use."""
    if match := re.fullmatch(r"typedef struct (\w+) (\w+)", text):
        same(match[1], match[2], text)
        found.handles.append(match[1])
    elif match := re.fullmatch(r"typedef enum (\w+) \{(.*)\} (\w+)", text):
        same(match[1], match[3], text)
        found.enums[match[1]] = read_enumerators(match[2], found)
    elif match := re.fullmatch(r"enum (\w+) \{(.*)\}", text):
        found.enums[match[1]] = read_enumerators(match[2], found)
    elif match := re.fullmatch(r"typedef (.+?)\(\*(\w+)\)\((.*)\)", text):
        found.callbacks[match[2]] = signature(match[1], match[3], names)
    elif match := re.fullmatch(r"TERN_API (.+?)(\btern_\w+)\((.*)\)", text):
        if match[2] in found.functions:
            raise NotUnderstood(f"declared twice: {match[2]}")
        found.functions[match[2]] = signature(match[1], match[3], names)
    else:
        raise NotUnderstood(f"a declaration: {text}")


def same(tag: str, name: str, text: str) -> None:
    if tag != name:
        raise NotUnderstood(f"two names for a type: {text}")


def read_enumerators(body: str, found: Declarations) -> dict[str, int]:
    """Reads `NAME = value, ...`; every enumerator of a public header has its value written down."""
    values: dict[str, int] = {}
    if "TERN_ERRORS(TERN_ERROR_CODE_)" in body:
        body = body.replace("TERN_ERRORS(TERN_ERROR_CODE_)", "")
        values.update({f"TERN_E_{name}": code for name, code, _, _ in found.errors})
    for item in filter(None, (part.strip() for part in body.split(","))):
        match = re.fullmatch(r"(TERN_\w+) = (-?\d+|0x[0-9A-Fa-f]+)", item)
        if match is None:
            raise NotUnderstood(f"an enumerator: {item}")
        values[match[1]] = int(match[2], 0)
    return values


def signature(result: str, parameters: str, names: set[str]) -> Signature:
    """The types of a function: what it returns, what it takes."""
    types = []
    if parameters != "void":
        for parameter in parameters.split(","):
            match = re.fullmatch(r"(.*?)\b(\w+)", parameter.strip())
            if match is None:
                raise NotUnderstood(f"a parameter: {parameter}")
            types.append(spelled(match[1], names))
    return spelled(result, names), types


def spelled(text: str, names: set[str]) -> str:
    """A type in one spelling: `const tern_client *`; one that is not known is an error."""
    match = re.fullmatch(r"\s*(const )?\s*(\w+)\s*((?:\*\s*(?:const\b\s*)?)*)", text)
    if match is None or match[2] not in SCALARS | names:
        raise NotUnderstood(f"a type: {text.strip() or '(none)'}")
    stars = re.sub(r"\s+", "", match[3]).replace("const", "const ").strip()
    return f"{match[1] or ''}{match[2]}{' ' + stars if stars else ''}"


def written(found: Declarations) -> str:
    """The text of tern/_declarations.py."""
    parts = [
        '"""What libtern declares: made by tools/declarations.py from include/tern; do not edit.',
        "",
        "SPDX-License-Identifier: Apache-2.0",
        '"""',
        "",
        "# fmt: off",
        "#: The version of the library whose headers these are.",
        f'VERSION = "{found.version}"',
        "",
        "#: Opaque types, of which there are only pointers.",
        "HANDLES: tuple[str, ...] = (",
        *paragraph([f'"{name}"' for name in found.handles]),
        ")",
        "",
        "#: The table of errors: name without TERN_E_, code, class without TERN_CLASS_, text.",
        "ERRORS: tuple[tuple[str, int, str, str], ...] = (",
        *[f'    ("{name}", {code}, "{cls}", "{text}"),' for name, code, cls, text in found.errors],
        ")",
        "",
        "#: Enumerations and flags, with their constants.",
        "ENUMS: dict[str, dict[str, int]] = {",
    ]
    for name, values in found.enums.items():
        shown = [f'"{key}": {number(value)}' for key, value in values.items()]
        parts += [f'    "{name}": {{', *["    " + line for line in paragraph(shown, 92)], "    },"]
    parts += ["}", "", "#: Callbacks: the result, the parameters.", SIGNATURES % "CALLBACKS"]
    for name, types in found.callbacks.items():
        parts += entry(name, types)
    parts += ["}", "", "#: Functions: the result, the parameters.", SIGNATURES % "FUNCTIONS"]
    for name, types in found.functions.items():
        parts += entry(name, types)
    return "\n".join([*parts, "}", ""])


def number(value: int) -> str:
    """A constant as people read it: flags beyond a byte in hexadecimal."""
    return hex(value) if value > 255 else str(value)


def paragraph(items: list[str], width: int = 96) -> list[str]:
    """Items with commas, as many on a line as fit."""
    glued = [item.replace(" ", "\0") + "," for item in items]
    lines = textwrap.wrap(" ".join(glued), width, break_long_words=False, break_on_hyphens=False)
    return ["    " + line.replace("\0", " ") for line in lines]


def entry(name: str, types: Signature) -> list[str]:
    """One entry of a dictionary of signatures, on as many lines as it takes."""
    result, parameters = types
    quoted = [f'"{parameter}"' for parameter in parameters]
    comma = "," if len(quoted) == 1 else ""
    line = f'    "{name}": ("{result}", ({", ".join(quoted)}{comma})),'
    if len(line) <= 100:
        return [line]
    indented = ["    " + text for text in paragraph(quoted, 92)]
    return [f'    "{name}": ("{result}", (', *indented, "    )),"]


def main() -> int:
    """Writes the file, or with --check says whether it is what would be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where it differs")
    parser.add_argument("--headers", type=Path, default=ROOT / "include" / "tern")
    parser.add_argument("--cmake", type=Path, default=ROOT / "CMakeLists.txt")
    parser.add_argument("--output", type=Path, default=HERE.parent / "tern" / "_declarations.py")
    options = parser.parse_args()
    try:
        text = written(read(options.headers, options.cmake))
    except NotUnderstood as problem:
        print(f"not understood: {problem}", file=sys.stderr)
        return 1
    if not options.check:
        options.output.write_text(text, "utf-8")
    elif options.output.read_text("utf-8") != text:
        print(f"{options.output}: not what the headers say: run {__file__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
