"""Libraries of a lock that tests install into a folder of their own.

uv installs them: pip took ten times the processor for it. uv does not read pip's configuration, which says where
packages come from here, so it is told; where uv cannot serve, pip is asked.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

INSTALL_S = 1200.0  # an upper bound for a busy machine and a slow registry
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
# pip's setting · uv's
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


def install_locked(lock: Path, folder: Path, *options: str) -> str:
    """Install what a lock pins into a folder. Return why that is impossible; empty if all is there."""
    named = ["--require-hashes", *options, "--target", str(folder), "--requirement", str(lock)]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-cache", "--no-compile-bytecode"]
    uv += ["--python", sys.executable]
    if not _complaint([*uv, *named], settings_for_uv(pips_settings())):
        return ""
    return _complaint([*PIP, "install", "--no-compile", *named], {})


@cache
def pips_settings() -> str:
    """Return pip's configuration here, a line for each setting, the stronger ones last."""
    return subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False).stdout


def settings_for_uv(listed: str) -> dict[str, str]:
    """The settings of uv that say what pip's say."""
    said = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if (setting := SETTINGS.get(name.rpartition(".")[2])) is not None:
            said[setting] = " ".join(str(ast.literal_eval(value)).split())
    # Several folders are listed with commas.
    return {name: value.replace(" ", ",") if name == "UV_FIND_LINKS" else value for name, value in said.items()}


def _complaint(command: list[str], settings: Mapping[str, str]) -> str:
    environment = {**settings, **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, env=environment, check=False)
    return "" if done.returncode == 0 else done.stderr[-400:] or f"it ended with {done.returncode}"
