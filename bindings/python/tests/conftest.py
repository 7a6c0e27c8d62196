"""A real mosquitto for the tests, on a free port of the loopback interface.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import shutil
import socket
import subprocess
import time

import pytest

PATIENCE = 20.0  # seconds that a test waits for what must happen


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, patience=PATIENCE):
    """Waits until the condition holds; whether it does."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Broker:
    """A mosquitto that can be stopped and started again on its port."""

    def __init__(self, folder, extra=""):
        self.folder, self.extra = pathlib.Path(folder), extra
        self.process = None
        self.start()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self, port=None):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        for _ in range(10):
            self.port = port or free_port()
            config = self.folder / "mosquitto.conf"
            config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
                              f"persistence false\nlog_dest none\nuser root\n{self.extra}")
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if wait_until(lambda: self.process.poll() is not None or answers(self.port)) and self.process.poll() is None:
                return
        raise RuntimeError("mosquitto does not start")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def restart(self):
        self.stop()
        self.start(self.port)


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """One broker for all tests that leave it alone."""
    one = Broker(tmp_path_factory.mktemp("broker"))
    yield one
    one.stop()


@pytest.fixture
def own_broker(tmp_path):
    """A broker of the test's own."""
    one = Broker(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def topic(request):
    """A topic that no other test uses."""
    return "test/" + request.node.name.replace("[", "/").replace("]", "").replace("#", "").replace("+", "")
