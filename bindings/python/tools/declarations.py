#!/usr/bin/env python3
"""Writes tern/_declarations.py from the C headers: functions, callbacks, constants and errors.

Usage: declarations.py HEADERS OUTPUT, for instance declarations.py ../../include/tern tern/_declarations.py. What it
does not understand it refuses.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import re
import sys


def words(text):
    """A declaration with one space between its words."""
    return re.sub(r"\s*\*\s*", " *", re.sub(r"\s+", " ", text)).replace("* *", "**").strip()


def strip(text):
    """A header without comments and preprocessor lines."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"\\\n", " ", text)
    return re.sub(r"^\s*#.*$", "", text, flags=re.M)


def parameter(text, where):
    """The type of a parameter that has a name."""
    match = re.fullmatch(r"(.*[ *])(\w+)", words(text))
    if match is None:
        raise SystemExit(f"{where}: not understood: {text!r}")
    return match.group(1).strip()


def parameters(text, where):
    """The types of a list of parameters."""
    return [] if words(text) == "void" else [parameter(one, where) for one in text.split(",")]


def value_of(text, known, where):
    """The value of a constant."""
    text = text.strip()
    if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)", text):
        return int(text, 0)
    if text in known:
        return known[text]
    raise SystemExit(f"{where}: not understood: {text!r}")


def read_enum(name, body, out, known):
    """The constants of an enumeration; those without a value count on."""
    constants, following = {}, 0
    for item in filter(None, (one.strip() for one in body.split(","))):
        constant, _, value = item.partition("=")
        following = value_of(value, known, name) if value else following
        constants[constant.strip()] = known[constant.strip()] = following
        following += 1
    out[name] = constants


def read_errors(text):
    """The table of errors: name, code, class, text."""
    found = re.findall(r'X\((\w+),\s*(-\d+),\s*(\w+),\s*"([^"]*)"\)', text)
    return [(name, int(code), kind, words_) for name, code, kind, words_ in found]


def read_all(folder):
    """Everything that the headers declare."""
    functions, callbacks, enums, errors, handles, known = {}, {}, {}, [], set(), {}
    for path in sorted(pathlib.Path(folder).glob("*.h")):
        raw = path.read_text()
        if path.name == "error.h":
            errors = read_errors(raw)
            raw = raw.replace("TERN_ERRORS(TERN_ERROR_CODE_)", "")
        text = strip(raw)
        for result, name, arguments in re.findall(r"TERN_API\s+([^;()]*?[ *])(\w+)\(([^;]*)\);", text):
            functions[name] = (words(result), parameters(arguments, name))
        if len(re.findall(r"\bTERN_API\b", text)) != len(re.findall(r"TERN_API\s+[^;()]*?[ *]\w+\([^;]*\);", text)):
            raise SystemExit(f"{path}: a function is not understood")
        for result, name, arguments in re.findall(r"typedef\s+([^;()]*?)\(\*(\w+)\)\(([^;]*)\);", text):
            callbacks[name] = (words(result), parameters(arguments, name))
        for body, name in re.findall(r"typedef\s+enum\s+\w+\s*\{([^}]*)\}\s*(\w+)\s*;", text):
            read_enum(name, body, enums, known)
        for name, body in re.findall(r"(?<!typedef )enum\s+(\w+)\s*\{([^}]*)\}\s*;", text):
            if name != "tern_error":
                read_enum(name, body, enums, known)
        handles.update(re.findall(r"typedef\s+struct\s+(\w+)\s+\w+;", text))
    return functions, callbacks, enums, errors, sorted(handles)


def write_table(out, name, table, describe):
    """A dictionary, an entry a line."""
    out.append(f"{name} = {{")
    out += [f"    {key!r}: {describe(value)}," for key, value in sorted(table.items())]
    out.append("}")


def main():
    functions, callbacks, enums, errors, handles = read_all(sys.argv[1])
    version = re.search(r"VERSION (\d+\.\d+\.\d+)", (pathlib.Path(sys.argv[1]).parents[1] / "CMakeLists.txt").read_text())
    out = ['"""What the C headers declare. Made by tools/declarations.py; do not edit.', "",
           "SPDX-License-Identifier: Apache-2.0", '"""', "", "from typing import Dict, List, Tuple", "",
           f'VERSION = "{version.group(1)}"', ""]
    write_table(out, "FUNCTIONS: Dict[str, Tuple[str, List[str]]]", functions, repr)
    write_table(out, "CALLBACKS: Dict[str, Tuple[str, List[str]]]", callbacks, repr)
    write_table(out, "ENUMS: Dict[str, Dict[str, int]]", enums, repr)
    out.append("ERRORS: List[Tuple[str, int, str, str]] = [")
    out += [f"    {one!r}," for one in errors]
    out.append("]")
    out.append(f"HANDLES: List[str] = {handles!r}")
    pathlib.Path(sys.argv[2]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
