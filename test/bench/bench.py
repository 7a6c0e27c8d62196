"""Runs every library through the same work against the sink, and prints and draws the medians.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import chart
import sink

FULL_SECONDS, QUICK_SECONDS = 1.5, 0.12  # one run's length
FIRST_COUNT = {"roundtrip": 200, "handshake": 50}  # of the run that finds out how many messages fill that time
ASYNC = ["tern", "libmosquitto", "paho-async", "raw"]
TLS = ["tern", "libmosquitto", "paho-async"]
WEBSOCKET = ["tern", "paho-async"]
NO_WEBSOCKET = "no WebSocket"  # of libmosquitto 2.0 in Debian, which is built without
ALL = ["tern", "libmosquitto", "paho-async", "paho-sync", "raw"]


class Row:
    """One kind of work, for several libraries. `count` None: as many messages as fill a run."""

    def __init__(self, work, qos, payload, arguments=(), libraries=ASYNC, count=None, quick=True, target=None,
                 repeat=None, tls=False, websocket=False):
        self.work, self.qos, self.payload, self.arguments = work, qos, payload, list(arguments)
        self.libraries, self.count, self.quick, self.target, self.repeat = libraries, count, quick, target or {}, repeat
        self.tls, self.websocket, self.reports = tls, websocket, {}

    @property
    def name(self):
        burst = "-burst" if "--burst" in self.arguments else ""
        tls = "-tls" + ("-resumed" if "--resume" in self.arguments else "") if self.tls else ""
        tls += "-ws" if self.websocket else ""
        return f"{self.work}{burst}{tls} qos{self.qos} {self.payload}B"


def targets(mosquitto, paho):
    return {"libmosquitto": mosquitto, "paho-async": paho}


def rows(quick):
    both = [
        Row("pub", 0, 16, ["--burst"]),
        Row("pub", 0, 256, ["--burst"], target=targets(6, 50)),
        Row("pub", 0, 16, quick=False),
        Row("pub", 0, 256, target=targets(10, 50)),
        Row("pub", 0, 4096, quick=False),
        Row("pub", 1, 16, quick=False),
        Row("pub", 1, 256, target=targets(9, 35)),
        Row("pub", 1, 4096, quick=False),
        Row("pub", 2, 16, quick=False),
        Row("pub", 2, 256, target=targets(8, 40)),
        Row("pub", 2, 4096, quick=False),
        Row("sub", 0, 16, libraries=ALL, target=targets(14, 40)),
        Row("sub", 0, 256, libraries=ALL, target=targets(8, 18)),
        Row("sub", 0, 4096, libraries=ALL, quick=False),
        Row("sub", 1, 16, libraries=ALL, quick=False),
        Row("sub", 1, 256, libraries=ALL, target=targets(8, 16)),
        Row("sub", 1, 4096, libraries=ALL, quick=False),
        Row("roundtrip", 1, 16, libraries=ALL, target={"libmosquitto": 0.95, "paho-sync": 900}),
        Row("latency", 1, 16, libraries=ALL, count=2 if quick else 30, repeat=1),
        Row("offline", 1, 64, libraries=["tern", "libmosquitto", "paho-async"], repeat=1 if quick else 3,
            count={"tern": 200000 if quick else 1000000, "libmosquitto": 5000 if quick else 30000, "paho-async": 3000 if quick else 30000}),
        Row("idle", 0, 0, libraries=["tern", "libmosquitto"], repeat=1,
            count={"tern": 1000 if quick else 10000, "libmosquitto": 500 if quick else 5000}),
        Row("pub", 0, 256, ["--burst"], libraries=TLS, quick=False, tls=True),
        Row("pub", 0, 256, libraries=TLS, target=targets(6, 12), tls=True),
        Row("pub", 1, 256, libraries=TLS, quick=False, tls=True),
        Row("sub", 0, 256, libraries=TLS, quick=False, tls=True),
        Row("sub", 1, 256, libraries=TLS, quick=False, tls=True),
        Row("handshake", 0, 0, libraries=TLS, quick=False, tls=True),
        Row("handshake", 0, 0, ["--resume"], libraries=["tern"], quick=False, tls=True),
        Row("idle", 0, 0, libraries=["tern"], repeat=1, count=10000, quick=False, tls=True),
        Row("pub", 0, 256, libraries=WEBSOCKET, quick=False, websocket=True),
        Row("pub", 1, 256, libraries=WEBSOCKET, quick=False, websocket=True),
        Row("sub", 0, 256, libraries=WEBSOCKET, quick=False, websocket=True),
        Row("sub", 1, 256, libraries=WEBSOCKET, quick=False, websocket=True),
    ]
    for row in both:
        if quick and row.work == "sub":
            row.libraries = ASYNC
    return [row for row in both if row.quick or not quick]


def run(options, port, row, library, count):
    command = [os.path.join(options.bin, sink.LIBRARIES[library]), "--port", port, "--work", row.work, "--qos",
               str(row.qos), "--payload", str(row.payload), "--count", str(count), *row.arguments]
    if row.tls:
        command += ["--tls", os.path.join(options.certificates, "ca.pem")]
    if row.websocket:
        command.append("--ws")
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, preexec_fn=sink.pin(sink.cores()[0]))
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"exit status {done.returncode}")
    return json.loads(done.stdout)


def find_count(options, port, row, library):
    """A short run tells how many messages fill the time of one; a second one corrects the first."""
    count = row.count.get(library) if isinstance(row.count, dict) else row.count
    if count is not None:
        return count
    count, seconds = FIRST_COUNT.get(row.work, 5000), QUICK_SECONDS if options.quick else FULL_SECONDS
    if library == "paho-sync" and row.work == "roundtrip":
        return 3 if options.quick else 20
    for share in (0.1, 1.0):
        rate = run(options, port, row, library, count)["rate"]
        count = int(min(max(rate * seconds * share, count), 30000000))
    return count


def measure(options, port, row, libraries):
    counts = {}
    for library in [name for name in row.libraries if name in libraries]:
        try:
            counts[library] = find_count(options, port, row, library)
            row.reports[library] = []
        except (RuntimeError, subprocess.TimeoutExpired) as failure:
            print(f"{row.name}, {library}: {failure}", file=sys.stderr)
    for _ in range(row.repeat or options.repeat):
        for library, count in counts.items():
            try:
                row.reports[library].append(run(options, port, row, library, count))
            except (RuntimeError, subprocess.TimeoutExpired) as failure:
                print(f"{row.name}, {library}: {failure}", file=sys.stderr)
    row.reports = {library: median(reports) for library, reports in row.reports.items() if reports}


def median(reports):
    """The run with the median rate, every figure the median of all runs."""
    result = dict(reports[0])
    for key, value in result.items():
        if isinstance(value, (int, float)):
            result[key] = statistics.median(report[key] for report in reports)
    result["runs"] = len(reports)
    return result


def short(number):
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.{2 if number < 10 * scale else 0 if number >= 100 * scale else 1}f} {unit}"
    return f"{number:.0f}"


def ratio(row, peer):
    if "tern" not in row.reports or peer not in row.reports:
        return ""
    text = f"{row.reports['tern']['rate'] / row.reports[peer]['rate']:.3g}"
    if peer in row.target:
        text += f" ({row.target[peer]:g})"
    return text


def cell(row, library):
    if report := row.reports.get(library):
        return f"{short(report['rate'])} ({report['cpu_us']:.2f})"
    return NO_WEBSOCKET if row.websocket and library == "libmosquitto" else ""


def print_rates(measured):
    print("Messages a second; client CPU microseconds a message in brackets. Ratios: Tern's rate over the peer's, the\n"
          "target in brackets; of Paho the asynchronous client, in the round trips the synchronous one.\n")
    print("| work | " + " | ".join(ALL) + " | x libmosquitto | x Paho |")
    print("|---" * (len(ALL) + 3) + "|")
    for row in measured:
        if row.work not in ("pub", "sub", "roundtrip", "handshake"):
            continue
        cells = [cell(row, name) for name in ALL]
        paho = "paho-sync" if row.work == "roundtrip" else "paho-async"
        print(f"| {row.name} | " + " | ".join(cells) + f" | {ratio(row, 'libmosquitto')} | {ratio(row, paho)} |")


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def print_figures(measured):
    columns = {
        "roundtrip": [("p50_us", "p50 us"), ("p99_us", "p99 us")],
        "latency": [("p50_us", "p50 us"), ("p99_us", "p99 us")],
        "offline": [("count", "messages"), ("us_each", "us each"), ("heap_bytes_each", "heap bytes each"),
                    ("rss_bytes_each", "resident bytes each")],
        "idle": [("count", "connections"), ("heap_bytes_each", "heap bytes each"),
                 ("rss_bytes_each", "resident bytes each"), ("rate", "connects a second"),
                 ("idle_cpu_percent", "% CPU idle")],
    }
    for row in measured:
        if row.work not in columns:
            continue
        shown = columns[row.work]
        print(f"\n| {row.name} | " + " | ".join(title for _, title in shown) + " |")
        print("|---" * (len(shown) + 1) + "|")
        for library, report in row.reports.items():
            print(f"| {library} | " + " | ".join(figure(report[key]) for key, _ in shown) + " |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="where the programs are")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: under a minute")
    parser.add_argument("--only", default="", help="only rows whose name matches this expression")
    parser.add_argument("--library", default="", help="only libraries whose name matches this expression")
    parser.add_argument("--repeat", type=int, default=None, help="runs of which the median is taken")
    parser.add_argument("--json", help="write the rows here")
    parser.add_argument("--svg", help="draw the rates here (default: bench.svg beside the programs)")
    options = parser.parse_args()
    options.repeat = options.repeat or (1 if options.quick else 5)
    libraries = [name for name in sink.installed(options.bin) if re.search(options.library, name)]
    measured = [row for row in rows(options.quick) if re.search(options.only, row.name)]
    options.certificates = tempfile.mkdtemp()
    subprocess.run([os.path.join(os.path.dirname(__file__), "../../samples/make-certificates.sh"), options.certificates], check=True)
    for row in measured:
        with sink.Sink(options.bin, options.certificates if row.tls else None, row.websocket) as broker:
            measure(options, broker.port, row, libraries)
        print(f"{row.name}: " + ", ".join(f"{name} {short(r['rate'])}" for name, r in row.reports.items()),
              file=sys.stderr)
    shutil.rmtree(options.certificates)
    print_rates(measured)
    print_figures(measured)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([report for row in measured for report in row.reports.values()], file, indent=1)
    svg = options.svg or os.path.join(options.bin, "bench.svg")
    chart.draw(svg, [row for row in measured if row.work in ("pub", "sub") and not row.tls and not row.websocket], ASYNC)
    print(f"\nDrawn: {svg}")


if __name__ == "__main__":
    main()
