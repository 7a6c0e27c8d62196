#!/usr/bin/env python3
"""Runs each library through the same work beside a sink broker, and prints a table with ratios.

bench.py SINK [--repeat N] [--only REGEX] [--pin] [--json FILE]; run.sh makes all that it needs.
What is not installed is left out, with the reason. A client has all cores, as programs do, and
with --pin the first one alone; the sink has the last one.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from programs import LIBRARIES

ROWS = ("publish 0", "publish 1", "receive 0", "receive 1")
# Messages of a run, so that each takes about a second.
MESSAGES = {
    "paho-mqtt": 50_000,
    "tern.paho": 200_000,
    "tern.Client": 500_000,
    "tern, many a call": 500_000,
    "aiomqtt": 20_000,
    "tern.aio": 200_000,
    "libmosquitto": 200_000,
}
PROGRAM = Path(__file__).with_name("programs.py")


def pin(core: int) -> Any:
    """Binds a child to a core."""
    return lambda: os.sched_setaffinity(0, {core})


def version_of(library: str) -> str:
    """The version of a library; raises where it cannot be used."""
    module = LIBRARIES[library][1]
    loaded = importlib.import_module(module)
    if library == "libmosquitto":
        loaded.CDLL("libmosquitto.so.1")
        return "by ctypes"
    package = importlib.import_module(module.split(".")[0])
    if module.startswith("paho"):
        package = importlib.import_module("paho.mqtt")
    return getattr(package, "__version__", "?")


def once(sink: str, library: str, row: str, pinned: bool) -> float:
    """Messages a second, of one run beside a sink of its own."""
    client, server = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    with subprocess.Popen(
        [sink], stdout=subprocess.PIPE, text=True, preexec_fn=pin(server)
    ) as broker:
        try:
            assert broker.stdout is not None
            port = broker.stdout.readline().strip()
            ended = subprocess.run(
                [sys.executable, PROGRAM, library, row, port, str(MESSAGES[library])],
                capture_output=True,
                text=True,
                timeout=120,
                preexec_fn=pin(client) if pinned else None,
                check=False,
            )
        finally:
            broker.terminate()
    if ended.returncode != 0:
        raise SystemExit(f"{library}, {row}: failed\n{ended.stderr}")
    return float(ended.stdout)


def measure(
    sink: str, libraries: list[str], rows: list[str], repeat: int, pinned: bool
) -> dict[str, Any]:
    """Medians of all runs, which take turns so that a slow minute hits all alike."""
    runs: dict[str, dict[str, list[float]]] = {row: {one: [] for one in libraries} for row in rows}
    for turn in range(repeat):
        for row in rows:
            for library in libraries:
                runs[row][library].append(once(sink, library, row, pinned))
        print(f"{turn + 1} of {repeat} rounds", file=sys.stderr)
    return {
        row: {one: statistics.median(values) for one, values in runs[row].items()} for row in rows
    }


def table(results: dict[str, Any], libraries: list[str]) -> str:
    """Thousands of messages a second, and how many times paho-mqtt that is."""
    lines = ["| 256 bytes | " + " | ".join(libraries) + " |", "|---|" + "---:|" * len(libraries)]
    for row, medians in results.items():
        base = medians.get("paho-mqtt")
        cells = []
        for library in libraries:
            told = f"{medians[library] / 1000:.1f} k/s"
            if base is not None and library != "paho-mqtt":
                told += f" (x {medians[library] / base:.1f})"
            cells.append(told)
        work, qos = row.split()
        lines.append(f"| {work} QoS {qos} | " + " | ".join(cells) + " |")
        if "aiomqtt" in medians and "tern.aio" in medians:
            ratio = medians["tern.aio"] / medians["aiomqtt"]
            lines[-1] += f" tern.aio / aiomqtt: {ratio:.1f}"
    return "\n".join(lines)


def main() -> None:
    """Measures what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sink", help="the program bench_sink")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", default="", help="rows and libraries that match, as 'publish 0'")
    parser.add_argument("--pin", action="store_true", help="the client has one core")
    parser.add_argument("--json")
    options = parser.parse_args()
    libraries = []
    for library in LIBRARIES:
        try:
            print(f"{library}: {version_of(library)}")
            libraries.append(library)
        except (ImportError, OSError) as problem:
            print(f"{library}: left out: {problem}")
    rows = [row for row in ROWS if re.search(options.only, row)]
    results = measure(options.sink, libraries, rows, options.repeat, options.pin)
    print(table(results, libraries))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
