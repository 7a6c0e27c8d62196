"""The package is typed throughout.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import tern

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def test_mypy_finds_nothing_in_strict_mode(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    if int(metadata.version("mypy").partition(".")[0]) < 2:
        pytest.skip("mypy before 2 takes more for an error: it narrows no type by __class__")
    # A copy, since mypy would take what is installed beside the package for modules of ours.
    shutil.copytree(Path(tern.__file__).parent, tmp_path / "tern")
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(PROJECT), "--strict", "-p", "tern"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(tern.__file__).parent / "py.typed").is_file()
