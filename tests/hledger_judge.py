"""hledger as an outside judge: from PATH, else Debian's package, fetched once and unpacked without being installed."""

import csv
import io
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

from obtained import APT_LISTS, alone, obtain

_PROGRAM = Path("usr/bin/hledger")
_PATIENCE_S = 300.0  # an upper bound for a busy machine and a slow mirror
# More digits than any amount has, so that the report rounds nothing.
_EVERY_DIGIT = "1000.000000000000"


class Unavailable(Exception):
    """There is no hledger here, and Debian's package cannot be had."""


def find() -> Path | None:
    """An hledger that runs here, or None."""
    if installed := shutil.which("hledger"):
        return Path(installed)
    try:
        return obtain("hledger", _fetch) / _PROGRAM
    except Unavailable:
        return None


def _fetch(folder: Path) -> None:
    """Unpack Debian's package into the folder. Raises Unavailable."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and APT_LISTS.is_dir()):
        raise Unavailable
    with alone(APT_LISTS):
        for _ in range(2):
            subprocess.run(["apt-get", "download", "hledger"], cwd=folder, capture_output=True, timeout=_PATIENCE_S)
            if packages := list(folder.glob("hledger_*.deb")):
                break
            # Where apt has no lists yet, they are fetched once; that takes root.
            subprocess.run(["apt-get", "update"], capture_output=True, timeout=_PATIENCE_S)
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], capture_output=True, check=False)
    program = folder / _PROGRAM
    if not program.exists() or subprocess.run([program, "--version"], capture_output=True).returncode != 0:
        raise Unavailable


def balances(hledger: Path, journal: Path, currency: str = "USD") -> dict[str, Decimal]:
    """Each account's balance in a currency, after a strict check. It must have nothing to complain about."""
    checked = _run(hledger, journal, "check", "--strict")
    assert checked.returncode == 0, checked.stderr
    wanted = ("balance", f"cur:{currency}", "--flat", "--no-total", "--empty", "-O", "csv")
    report = _run(hledger, journal, *wanted, "-c", f"{_EVERY_DIGIT} {currency}")
    assert report.returncode == 0, report.stderr
    rows = csv.DictReader(io.StringIO(report.stdout))
    return {row["account"]: Decimal(row["balance"].removesuffix(f" {currency}")) for row in rows}


def _run(hledger: Path, journal: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(hledger), "-f", str(journal), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
