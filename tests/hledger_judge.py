"""hledger as an outside judge: from PATH, else from Debian's package."""

import csv
import io
import subprocess
from decimal import Decimal
from pathlib import Path

import debian_programs

# More digits than any amount has, so that the report rounds nothing.
_EVERY_DIGIT = "1000.000000000000"


def find() -> list[str] | None:
    """The command that runs an hledger here, or None."""
    return debian_programs.find("hledger", "hledger")


def balances(hledger: list[str], journal: Path, currency: str = "USD") -> dict[str, Decimal]:
    """Each account's balance in a currency, after a strict check. It must have nothing to complain about."""
    checked = _run(hledger, journal, "check", "--strict")
    assert checked.returncode == 0, checked.stderr
    wanted = ("balance", f"cur:{currency}", "--flat", "--no-total", "--empty", "-O", "csv")
    report = _run(hledger, journal, *wanted, "-c", f"{_EVERY_DIGIT} {currency}")
    assert report.returncode == 0, report.stderr
    rows = csv.DictReader(io.StringIO(report.stdout))
    return {row["account"]: Decimal(row["balance"].removesuffix(f" {currency}")) for row in rows}


def _run(hledger: list[str], journal: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*hledger, "-f", str(journal), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=debian_programs.PATIENCE_S)
