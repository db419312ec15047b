"""Programs of other people that tests run: from PATH, else from Debian's packages, unpacked without being installed."""

import os
import shutil
import subprocess
from pathlib import Path

from obtained import APT_LISTS, alone, obtain

PATIENCE_S = 300.0  # an upper bound for a busy machine and a slow mirror


class Unavailable(Exception):
    """The program is not here, and Debian's package cannot be had."""


def find(program: str, *packages: str) -> list[str] | None:
    """The command that runs a program here, or None. `packages` are Debian's: its own, and libraries beside it."""
    if installed := shutil.which(program):
        return [installed]
    try:
        folder = obtain(f"debian-{program}", lambda folder: _unpack(folder, program, packages))
    except Unavailable:
        return None
    return _command(folder, program)


def _unpack(folder: Path, program: str, packages: tuple[str, ...]) -> None:
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
    if not (folder / "usr/bin" / program).exists():
        raise Unavailable
    if subprocess.run([*_command(folder, program), "--version"], capture_output=True).returncode != 0:
        raise Unavailable


def _command(folder: Path, program: str) -> list[str]:
    libraries = sorted({str(file.parent) for file in folder.glob("usr/lib/**/*.so*")})
    found = [f"LD_LIBRARY_PATH={os.pathsep.join(libraries)}"] if libraries else []
    return ["env", *found, str(folder / "usr/bin" / program)]
