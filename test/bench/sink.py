"""Starts the sink broker for the measuring scripts, and finds the programs they measure.

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess

LIBRARIES = {
    "tern": "bench_tern",
    "libmosquitto": "bench_mosq",
    "paho-async": "bench_paho_async",
    "paho-sync": "bench_paho_sync",
    "raw": "bench_raw",
}


def cores():
    """The core of the client and the core of the sink."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pin(core):
    return lambda: os.sched_setaffinity(0, {core})


class Sink:
    """The sink, pinned to its core; `port` is where it listens."""

    def __init__(self, bin_folder, certificates=None, websocket=False):
        """`certificates`: a folder with server.pem and server.key; the sink speaks TLS then. Or it speaks WebSocket."""
        speaks = ["--tls", *(os.path.join(certificates, name) for name in ("server.pem", "server.key"))] if certificates else []
        if websocket:
            speaks = ["--ws"]
        self.process = subprocess.Popen([os.path.join(bin_folder, "bench_sink"), *speaks], stdout=subprocess.PIPE,
                                        text=True, preexec_fn=pin(cores()[1]))
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


def installed(bin_folder):
    """The libraries whose program was built."""
    return [name for name, program in LIBRARIES.items() if os.path.exists(os.path.join(bin_folder, program))]
