"""Measures what one message costs each library, by the difference of two run lengths.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import sink

WORKS = [("pub", 0), ("pub", 1), ("pub", 2), ("sub", 0), ("sub", 1)]
# Shorter and longer run: long enough that a library's batching has settled, short enough for a tracer.
LENGTHS = {"strace": (5000, 25000), "callgrind": (2000, 12000), "counts": (20000, 120000)}


def run(prefix, environment, command):
    done = subprocess.run(prefix + command, env={**os.environ, **environment}, capture_output=True, text=True,
                          preexec_fn=sink.pin(sink.cores()[0]), timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(prefix + command)}: {done.stderr.strip()}")
    return done


def system_calls(command, folder):
    """All calls, and the calls by name, of a run."""
    trace = os.path.join(folder, "strace")
    run(["strace", "-f", "-c", "-o", trace], {}, command)
    calls = {}
    with open(trace, encoding="ascii") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
    return calls


def instructions(command, folder):
    done = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind"], {}, command)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def allocations_and_locks(command, preload):
    done = run([], {"LD_PRELOAD": preload}, command)
    found = re.search(r"allocations (\d+) locks (\d+)", done.stderr)
    return int(found.group(1)), int(found.group(2)), json.loads(done.stdout)


def measure(program, work, qos, payload, port, preload, folder):
    def command(count):
        return [program, "--port", port, "--work", work, "--qos", str(qos), "--payload", str(payload), "--count",
                str(count), "--stats"]

    short, long = LENGTHS["strace"]
    before, after = system_calls(command(short), folder), system_calls(command(long), folder)
    calls = {name: (n - before.get(name, 0)) / (long - short) for name, n in after.items()}
    short, long = LENGTHS["callgrind"]
    instructions_each = (instructions(command(long), folder) - instructions(command(short), folder)) / (long - short)
    short, long = LENGTHS["counts"]
    before, after = allocations_and_locks(command(short), preload), allocations_and_locks(command(long), preload)
    stats = {}
    for name, value in after[2].get("stats", {}).items():
        each = (value - before[2]["stats"][name]) / (long - short)
        if each != 0 and not name.endswith("_peak"):
            stats[name] = round(each, 4)
    return calls, instructions_each, (after[0] - before[0]) / (long - short), (after[1] - before[1]) / (long - short), stats


def print_row(library, work, qos, row):
    calls, instructions_each, allocations, locks, stats = row
    often = sorted(((n, name) for name, n in calls.items() if n >= 0.005), reverse=True)[:4]
    detail = ", ".join(f"{name} {n:.2g}" for n, name in often)
    print(f"| {library} | {work} {qos} | {sum(calls.values()):.2f} | {detail} | {instructions_each:,.0f} | "
          f"{allocations:.2f} | {locks:.2f} |", flush=True)
    return f"{work} {qos}: {stats}" if stats else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--payload", type=int, default=16)
    parser.add_argument("--only", default="", help="only rows whose `library work qos` matches")
    options = parser.parse_args()
    preload = os.path.join(options.bin, "libbench_counts.so")
    own = []
    print(f"Per message of {options.payload} bytes, without start and end.\n")
    print("| library | work, QoS | system calls | of which | user instructions | allocations | locks |")
    print("|---|---|---|---|---|---|---|")
    with sink.Sink(options.bin) as broker, tempfile.TemporaryDirectory() as folder:
        for library in sink.installed(options.bin):
            for work, qos in WORKS:
                if library == "paho-sync" and (work, qos) in (("pub", 1), ("pub", 2)):
                    continue  # its client waits 100 ms whenever its window is full
                if not re.search(options.only, f"{library} {work} {qos}"):
                    continue
                program = os.path.join(options.bin, sink.LIBRARIES[library])
                try:
                    row = measure(program, work, qos, options.payload, broker.port, preload, folder)
                except (RuntimeError, subprocess.TimeoutExpired, AttributeError) as failure:
                    print(f"{library} {work} {qos}: {failure}", file=sys.stderr)
                    continue
                line = print_row(library, work, qos, row)
                if line:
                    own.append(line)
    if own:
        print("\nThe libraries' own counters, per message, untraced:\n")
        print("\n".join(own))


if __name__ == "__main__":
    main()
