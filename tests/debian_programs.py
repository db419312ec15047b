"""Programs and libraries of other people that tests use: the machine's own, else from Debian's packages, unpacked
without being installed."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from obtained import APT_LISTS, alone, obtain

PATIENCE_S = 300.0  # an upper bound for a busy machine and a slow mirror


class Unavailable(Exception):
    """The program or library is not here, and Debian's package cannot be had."""


def find(program: str, *packages: str) -> list[str] | None:
    """The command that runs a program here, or None. `packages` are Debian's: its own, and libraries beside it."""
    if installed := shutil.which(program):
        return [installed]
    try:
        folder = obtain(f"debian-{program}", lambda folder: _unpack_program(folder, program, packages))
    except Unavailable:
        return None
    return _command(folder, program)


def load_library(name: str, package: str) -> None:
    """Load a shared library into this process, for what is loaded later and links to it. Raises Unavailable."""
    try:
        ctypes.CDLL(name)
    except OSError:
        folder = obtain(f"debian-{package}", lambda folder: _unpack(folder, (package,)))
        program = next(folder.glob(f"usr/lib/**/{name}"), None)
        if program is None:
            raise Unavailable from None
        ctypes.CDLL(str(program))


def _unpack_program(folder: Path, program: str, packages: tuple[str, ...]) -> None:
    """Unpack Debian's packages with a program that runs here into the folder. Raises Unavailable."""
    _unpack(folder, packages)
    if not (folder / "usr/bin" / program).exists():
        raise Unavailable
    if subprocess.run([*_command(folder, program), "--version"], capture_output=True).returncode != 0:
        raise Unavailable


def _unpack(folder: Path, packages: tuple[str, ...]) -> None:
    """Unpack Debian's packages into the folder. Raises Unavailable."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and APT_LISTS.is_dir()):
        raise Unavailable
    with alone(APT_LISTS):
        for _ in range(2):
            # One by one: what is one package of Debian 12 may be two of Debian 13.
            for package in packages:
                subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, timeout=PATIENCE_S)
            if files := list(folder.glob("*.deb")):
                break
            # Where apt has no lists yet, they are fetched once; that takes root.
            subprocess.run(["apt-get", "update"], capture_output=True, timeout=PATIENCE_S)
    for file in files:
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], capture_output=True, check=False)


def _command(folder: Path, program: str) -> list[str]:
    libraries = sorted({str(file.parent) for file in folder.glob("usr/lib/**/*.so*")})
    variables = [f"LD_LIBRARY_PATH={os.pathsep.join(libraries)}"] if libraries else []
    return ["env", *variables, str(folder / "usr/bin" / program)]
