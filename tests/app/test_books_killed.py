"""Settling and closing, killed at random moments and begun again: the books end as if nobody had killed anything."""

import random
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import settled_book
from clauseway.app.books.closing import close_month, closed_months
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake
from clauseway.ledger import balances
from clauseway.storage import Control

KILLS = 2
ENDED = date(2026, 7, 1)
# A bookkeeper's night, in a process of its own: what is done already is not done again.
NIGHT = f"""
import sys
sys.path[:0] = {[str(Path(settled_book.__file__).parent), str(Path(__file__).parent)]!r}
from test_books_killed import *
print("begun", flush=True)
night(Home(Path(sys.argv[1])))
"""


def night(home: Home) -> None:
    """April is closed, late usage of it sealed, May settled with the correction and closed."""
    close_month(home, "2026-04", ENDED)
    with open_lake(home) as lake:
        sealed_to = lake.control.sealed_to("gateway-1", 1)
    if sealed_to <= 12:
        settled_book.seal(home, [(12, "04-28", 9, 1, 1, (400_000, 0, 0))])
    if len(closed_months(home)) < 2:
        settled_book.settle(home, "2026-05")
    close_month(home, "2026-05", ENDED)


def state(home: Home) -> tuple[object, ...]:
    control = Control.open(home.control)
    try:
        entries = control.entries()
    finally:
        control.close()
    assert sum(balances(entries).values()) == 0
    return entries, [(month.receipt, month.statement) for month, _ in closed_months(home)]


def test_killed_at_any_moment_the_books_end_alike(tmp_path: Path) -> None:
    made = settled_book.make(tmp_path / "made").root
    plain = Home(Path(shutil.copytree(made, tmp_path / "plain")))
    begun = time.monotonic()
    night(plain)
    lasted, chosen = time.monotonic() - begun, random.Random(20260427)
    assert any("correction|" in entry.reference for entry in state(plain)[0])  # type: ignore[attr-defined]
    for number in range(KILLS):
        killed = Home(Path(shutil.copytree(made, tmp_path / f"killed-{number}")))
        command = [sys.executable, "-c", NIGHT, str(killed.root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(lasted * chosen.random())  # the point of the night at which it dies; no event marks it
            process.kill()
        night(killed)
        assert state(killed) == state(plain)
