"""A message there and back through an installed package: smoke.py URL. Needs nothing but Python.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import sys

import tern
from tern._ffi import c, held, lib
from tern.errors import check

TIMEOUT_MS = 10_000


def main(url: str) -> int:
    """Connects, subscribes, publishes, receives."""
    client, message = ctypes.c_void_p(), ctypes.c_void_p()
    check(lib.tern_client_open_wait(ctypes.byref(client), url.encode(), TIMEOUT_MS))
    check(lib.tern_client_subscribe_wait(client, b"smoke/#", c.TERN_QOS_1, TIMEOUT_MS), client)
    payload = b"from Python"
    published = lib.tern_client_publish_wait(
        client, b"smoke/test", payload, len(payload), c.TERN_QOS_1, TIMEOUT_MS
    )
    check(published, client)
    check(lib.tern_client_receive_wait(client, ctypes.byref(message), TIMEOUT_MS), client)
    came = held.tern_message_text(message)
    held.tern_message_unref(message)
    lib.tern_client_free(client)
    print(f"tern {tern.__version__}: {lib.__dict__['_library']._name}: {came.decode()}")
    return 0 if came == payload else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
