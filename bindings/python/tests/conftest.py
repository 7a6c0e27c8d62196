"""What the tests share: where the tree is, and a mosquitto of their own.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from broker import Broker

import tern
from tern._ffi import lib

if TYPE_CHECKING:
    from service import Service

ROOT = Path(__file__).resolve().parents[3]
_COUNT = itertools.count(1)
PATIENCE = 20.0  # seconds that a test waits for what must come


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Waits until a condition holds; whether it did in time."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def pytest_report_header() -> str:
    """Says what is tested, since a tree and an installed package are easily mixed up."""
    return (
        f"tern {tern.__version__} in {tern.__path__[0]}, library {lib.__dict__['_library']._name}"
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the whole project."""
    return ROOT


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A mosquitto on loopback that all tests of a run share."""
    with Broker(tmp_path_factory.mktemp("mosquitto")) as started:
        yield started


@pytest.fixture(scope="session")
def certificates(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates, good and bad."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(["bash", root / "test/support/certs.sh", folder], check=True)
    return folder


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A mosquitto for one test, which may stop and start it."""
    with Broker(tmp_path) as started:
        yield started


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic that no other test uses."""
    return f"test/{next(_COUNT)}/{request.node.originalname}"


@pytest.fixture
def hub(root: Path, certificates: Path, tmp_path: Path) -> Iterator[Service]:
    """A stand-in for Azure IoT Hub."""
    from service import DEVICE, HOST, KEY, Service  # which imports this

    script = root / "test/support/azure_service.py"
    files = certificates / "good.pem", certificates / "server.key"
    service = Service(tmp_path, sys.executable, "-W", "ignore", script, *files, HOST, DEVICE, KEY)
    yield service
    service.stop()


@pytest.fixture
def where(hub: Service, certificates: Path) -> dict[str, Any]:
    """How a device gets there."""
    return {
        "server": f"mqtts://localhost:{hub.port}",
        "tls": tern.TLS(ca_file=certificates / "root.pem"),
        "retry_delay": (0.01, 0.1),
    }
