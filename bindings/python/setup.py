"""Builds libtern with CMake and puts it into the package: what pyproject.toml cannot say.

The C sources are those of the tree that this folder is in, or of `native/` in an sdist. Further
arguments for CMake come from the environment: TERN_CMAKE_ARGS="-DTERN_WITH_TLS=OFF".

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
# What libtern is built from; tests and samples are not needed for it.
SOURCES = ["CMakeLists.txt", "LICENSE", "cmake", "include", "lib", "pkgconfig"]
# What every Linux has, by PEP 600; a wheel that needs no more may say manylinux.
EVERYWHERE = re.compile(
    r"^(libc|libm|libdl|librt|libpthread|libz|libgcc_s|libnsl|libresolv|ld-linux.*)\.so\.\d+$"
)


def sources() -> Path:
    """The folder with the C sources."""
    inside = HERE / "native"
    root = inside if inside.is_dir() else HERE.parents[1]
    if not (root / "lib" / "tern.map").is_file():
        raise SystemExit(f"tern: the C sources are not there: neither {inside} nor {HERE.parents[1]}")
    return root


def run(*command: str) -> None:
    """Runs a program, and says which one failed and how to go on."""
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        raise SystemExit(
            f"tern: {command[0]} is not installed. Building needs cmake 3.22, ninja or make, a C "
            "compiler, and the headers of OpenSSL 3, zlib and cJSON; on Debian and Ubuntu: apt "
            "install cmake gcc make pkg-config libssl-dev zlib1g-dev libcjson-dev"
        ) from None
    except subprocess.CalledProcessError as problem:
        raise SystemExit(f"tern: {shlex.join(command)} ended with {problem.returncode}") from None


def build_library(target: Path) -> None:
    """Builds libtern and puts it, and what it brings along, into a folder."""
    with tempfile.TemporaryDirectory(prefix="tern-") as build:
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        switches = ["TESTS", "SAMPLES", "TOOLS"]
        run(
            "cmake", "-S", str(sources()), "-B", build, *generator, "-DCMAKE_BUILD_TYPE=Release",
            # The libraries beside it are found, wherever the package is installed.
            "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON", "-DCMAKE_INSTALL_RPATH=$ORIGIN",
            *[f"-DTERN_{name}=OFF" for name in switches],
            *shlex.split(os.environ.get("TERN_CMAKE_ARGS", "")),
        )  # fmt: skip
        run("cmake", "--build", build, "--target", "tern", "--parallel")
        target.mkdir(parents=True, exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        library = max((Path(build) / "lib").glob("libtern.so.*.*.*"))
        # Without links a wheel would have it three times: it is named as others ask for it.
        kept = target / soname(library)
        shutil.copyfile(library, kept)
        run("strip", "--strip-unneeded", str(kept))
        bring_cjson(kept)


def dynamic(library: Path, tag: str) -> list[str]:
    """What a library says of itself: NEEDED or SONAME."""
    told = subprocess.run(
        ["readelf", "--dynamic", "--wide", str(library)], check=True, capture_output=True, text=True
    )
    return re.findall(rf"\({tag}\).*\[(.+?)\]", told.stdout)


def soname(library: Path) -> str:
    """The name by which others ask for a library."""
    return dynamic(library, "SONAME")[0]


def bring_cjson(library: Path) -> None:
    """Puts cJSON beside libtern, since few systems have it; LICENSE.cJSON is in every wheel."""
    for name in dynamic(library, "NEEDED"):
        if not name.startswith("libcjson."):
            continue
        told = subprocess.run(["ldd", str(library)], check=True, capture_output=True, text=True)
        match = re.search(rf"^\s*{re.escape(name)} => (\S+)", told.stdout, re.M)
        if match is None:
            raise SystemExit(f"tern: {name} was linked but is not found:\n{told.stdout}")
        shutil.copyfile(match[1], library.parent / name)


def glibc_of(library: Path) -> tuple[int, int]:
    """The oldest glibc that a library runs with."""
    told = subprocess.run(
        ["readelf", "--version-info", "--wide", str(library)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    needed = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", told.stdout)
    return max((int(major), int(minor)) for major, minor in needed)


def platform_tag(folder: Path) -> str:
    """manylinux_..., where the libraries need nothing but what every Linux has; else linux_...."""
    machine = platform.machine()
    libraries = sorted(folder.glob("*.so*"))
    beside = {library.name for library in libraries}
    needed = {name for library in libraries for name in dynamic(library, "NEEDED")}
    foreign = sorted(name for name in needed - beside if not EVERYWHERE.match(name))
    if foreign:
        print(f"tern: a wheel for this kind of system, since it needs its {', '.join(foreign)}")
        return f"linux_{machine}"
    major, minor = max(glibc_of(library) for library in libraries)
    return f"manylinux_{major}_{minor}_{machine}"


class BuildWithLibrary(build_py):
    """Builds the Python part, then the library into it."""

    editable_mode = False

    def run(self) -> None:
        package = HERE / "tern" if self.editable_mode else Path(self.build_lib) / "tern"
        if not self.editable_mode:
            # A module that is gone from the tree would stay in the wheel.
            shutil.rmtree(package, ignore_errors=True)
        super().run()
        build_library(package / "_lib")


class WheelWithLibrary(bdist_wheel):
    """Names the wheel for every Python 3 and for the system whose library is inside."""

    def get_tag(self) -> tuple[str, str, str]:
        built = Path(self.get_finalized_command("build").build_lib) / "tern" / "_lib"
        machine = f"linux_{platform.machine()}"
        return "py3", "none", platform_tag(built) if built.is_dir() else machine


class SourcesWithLibrary(sdist):
    """Puts the C sources into the sdist, so that it builds by itself."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        root, native = sources(), Path(base_dir) / "native"
        native.mkdir(exist_ok=True)
        for name in SOURCES:
            if (root / name).is_dir():
                shutil.copytree(root / name, native / name, dirs_exist_ok=True)
            else:
                shutil.copyfile(root / name, native / name)


class NativeDistribution(Distribution):
    """A distribution that is not the same on every machine, though no module is compiled."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    license="Apache-2.0",
    packages=find_packages(include=["tern", "tern.*"]),
    package_data={"tern": ["py.typed"]},
    distclass=NativeDistribution,
    cmdclass={
        "bdist_wheel": WheelWithLibrary,
        "build_py": BuildWithLibrary,
        "sdist": SourcesWithLibrary,
    },
)
