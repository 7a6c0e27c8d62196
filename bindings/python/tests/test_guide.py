"""The programs of docs/python.md run as they stand there, but for the broker's address.

SPDX-License-Identifier: Apache-2.0
"""

import ast
import re
import subprocess
import sys

import pytest
from broker import Broker
from conftest import ROOT


def programs():
    """The programs, each with the heading that it stands under."""
    heading, found = "", []
    text = (ROOT / "docs/python.md").read_text("utf-8")
    for match in re.finditer(r"^## ([^\n]*)$|^```python\n(.*?)^```$", text, re.M | re.S):
        heading = match[1] or heading
        if match[2]:
            number = sum(1 for one in found if one.id.startswith(heading)) + 1
            found.append(pytest.param(match[2], id=f"{heading} {number}"))
    return found


@pytest.mark.parametrize("program", programs())
def test_a_program_of_the_guide(broker: Broker, tmp_path, program: str) -> None:
    ast.parse(program)
    if "aws" in program or "azure" in program:
        pytest.skip("needs the service itself; test_cloud.py has a stand-in for it")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program.replace("mqtt://localhost", broker.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
