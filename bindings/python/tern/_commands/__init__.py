"""The programs of python -m tern; they take the options of tern-pub, tern-sub and tern-doctor.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .. import __version__
from .._ffi import held
from .cli import OK, USAGE

INTERRUPTED = 130
HELP = """Publishes to MQTT brokers, subscribes, and looks at the way to them.

Usage: python -m tern COMMAND [options]

  pub     publishes messages, and ends when the outcome of each is known
  sub     subscribes to topics and prints the messages that come
  doctor  walks the way to a server step by step and prints what it finds

'python -m tern COMMAND --help' tells more of each.
"""


def _open_standard_streams() -> None:
    """Where one was closed by who called, files and sockets would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)


def main(arguments: Sequence[str]) -> int:
    """Runs what the command line asks for; returns the exit status."""
    _open_standard_streams()
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if command == "pub":
        from .pub import run
    elif command == "sub":
        from .sub import run
    elif command == "doctor":
        from .doctor import run
    elif command == "--help":
        sys.stdout.write(HELP)
        return OK
    elif command == "--version":
        print(f"python -m tern {__version__} (libtern {held.tern_version_string().decode()})")
        return OK
    else:
        trouble = f"'{command}' is no command" if command else "say what to do: pub, sub or doctor"
        print(f"python -m tern: {trouble}\nTry 'python -m tern --help'.", file=sys.stderr)
        return USAGE
    try:
        return run(rest)
    except KeyboardInterrupt:  # before there was anything to end
        return INTERRUPTED
