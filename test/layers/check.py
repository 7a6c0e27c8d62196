#!/usr/bin/env python3
"""The laws of the house: what a room may include, what its objects may refer to. Usage: check.py SOURCE [OBJECTS].
With --self-test it shows that each check can fail.
SPDX-License-Identifier: Apache-2.0"""
import pathlib
import re
import subprocess
import sys
import tempfile

# What a room's files may include besides <tern/...> and the system's headers.
ALLOWED = {
    "base": {"base"},
    "platform": {"base", "platform"},
    "codec": {"base", "codec"},
    "transport": {"base", "platform", "transport"},
    "engine": {"base", "codec", "engine"},
    "client": {"base", "platform", "codec", "engine", "transport", "client"},
    "blocking": {"blocking"},
    # The public API alone, and what is below MQTT: memory, text, locks.
    "payload": {"base", "platform", "payload"},
    "pool": {"base", "platform", "pool"},
    "feed": {"base", "platform", "feed"},
    "cloud": {"base", "platform", "cloud"},
}
# Law 1: no socket, thread, clock or file in the pure rooms.
SYSTEM_FREE = {"base", "codec", "engine"}
PURE_HEADERS = {"assert.h", "limits.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",
                "stdlib.h", "string.h"}
# Law 3: engine, bytes and time meet in client/loop.c alone.
MEETING = re.compile(r"\btern__(engine_(received|recv_space|output|sent|opened|closed|tick)|stream_(read|write|close))\s*\(")
FORBIDDEN = {"signal", "sigaction", "srand", "rand", "random", "exit", "abort", "setenv", "putenv", "system", "usleep", "sleep"}
ALLOCATORS = {"malloc", "calloc", "realloc", "free", "strdup", "strndup", "aligned_alloc", "posix_memalign"}


def check_sources(lib):
    wrong = []
    for path in sorted(lib.glob("*/*.[ch]")):
        room = path.parent.name
        text = path.read_text()
        name = f"{room}/{path.name}"
        for header in re.findall(r'#include "([^"]+)"', text):
            if header.split("/")[0] not in ALLOWED.get(room, set()):
                wrong.append(f"{name} includes {header}")
        for header in re.findall(r"#include <([^>]+)>", text):
            if room in SYSTEM_FREE and not header.startswith("tern/") and header not in PURE_HEADERS:
                wrong.append(f"{name} includes <{header}>")
        if room == "client" and path.name != "loop.c" and MEETING.search(text):
            wrong.append(f"{name} calls {MEETING.search(text).group(0)}")
        if room != "platform" and re.search(r"^#\s*if.*(__linux__|_WIN32|__APPLE__)", text, re.M):
            wrong.append(f"{name} asks for the operating system")
        lines = text.count("\n")
        if lines > 700:
            wrong.append(f"{name} has {lines} lines")
    return wrong


def check_objects(objects):
    wrong = []
    for path in sorted(objects.rglob("*.o")):
        if "tern_" not in str(path):
            continue
        room = path.parent.name
        name = f"{room}/{path.name}"
        for line in subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True).stdout.splitlines():
            words = line.split()
            kind, symbol = words[-2], words[-1]
            if kind in "bBdDC" and not (room == "platform" and path.name.startswith("fork")) and "__compound" not in symbol:
                if kind in "bBC" or not relocatable_constant(path, symbol):
                    wrong.append(f"{name}: {symbol} can be changed and lives as long as the process")
            if kind == "U" and symbol in FORBIDDEN:
                wrong.append(f"{name} calls {symbol}")
            if kind == "U" and symbol in ALLOCATORS and not (room == "base" and path.name.startswith("alloc")):
                wrong.append(f"{name} calls {symbol}")
    return wrong


def relocatable_constant(path, symbol):
    """Constant tables of pointers live in .data.rel.ro, which nm shows as data."""
    out = subprocess.run(["objdump", "-t", str(path)], capture_output=True, text=True, check=True).stdout
    return any(line.endswith(f" {symbol}") and ".data.rel.ro" in line for line in out.splitlines())


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        lib = pathlib.Path(folder)
        for room in ("codec", "client", "engine"):
            (lib / room).mkdir()
        (lib / "codec/a.c").write_text('#include "engine/engine.h"\n')
        (lib / "engine/b.c").write_text("#include <pthread.h>\n#ifdef __linux__\n#if defined(__linux__)\n")
        (lib / "client/c.c").write_text("int f(void) { return tern__engine_output(0); }\n")
        found = check_sources(lib)
        assert len(found) == 4, found
        objects = lib / "tern_codec.dir" / "codec"
        objects.mkdir(parents=True)
        (objects / "d.c").write_text("#include <stdlib.h>\nint counter; void *f(void) { srand(1); return malloc(1); }\n")
        subprocess.run(["cc", "-c", "-o", str(objects / "d.o"), str(objects / "d.c")], check=True)
        found = check_objects(lib)
        assert len(found) == 3, found


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return 0
    wrong = check_sources(pathlib.Path(sys.argv[1]) / "lib")
    if len(sys.argv) > 2:
        wrong += check_objects(pathlib.Path(sys.argv[2]))
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
