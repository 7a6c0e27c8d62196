"""The programs of the documentation run.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from broker import Broker

PAGES = ("README.md", "docs/python.md", "docs/python-paho.md", "bindings/python/README.md")
ROOT = Path(__file__).resolve().parents[3]


def programs() -> list[tuple[str, str]]:
    """Each program that stands in a page, with its place."""
    found = []
    for page in PAGES:
        for match in re.finditer(
            r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S
        ):
            line = (ROOT / page).read_text("utf-8")[: match.start()].count("\n") + 1
            found.append((f"{page}:{line}", match[1]))
    return found


@pytest.mark.parametrize(("place", "text"), programs(), ids=lambda one: str(one)[:40])
def test_programs_of_pages(broker: Broker, tmp_path: Path, place: str, text: str) -> None:
    compile(text, place, "exec")
    if "broker.example" in text:
        pytest.skip("speaks to a broker that is an example")
    if "aws" in text or "azure" in text:
        pytest.skip("needs the service itself; test_aws.py and test_azure.py have stand-ins for it")
    text = text.replace("mqtt://localhost", broker.url)
    text = text.replace('"localhost", 1883', f'"127.0.0.1", {broker.port}')
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == "", f"{place}: {done.stderr}"
