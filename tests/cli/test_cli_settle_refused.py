"""A settlement that is refused, or ended while it waits, leaves the home as it was: every row of its database and every
byte of its files."""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from clauseway.app.opening import locks
from clauseway.app.opening.home import Home
from in_process import run
from metered_months import BOOK, assumed, metered_home

SETTLE = ("settle", "--period", "2026-05")
YEN = BOOK.replace("usd_per_million,source", "per_million,currency,source").replace(",ours", ",JPY,ours")
# The files that SQLite keeps beside its own, locks, and the name that a home gets once: none of them holds anything.
WITHOUT_CONTENT = ("-wal", "-shm", ".lock", "home.id")
# The digest of a sealed day, which whoever counts the day first writes down: it follows from the files of the lake.
FOLLOWS = 'INSERT INTO "usage_contents"'
PATIENCE_S = 60.0


def content(root: Path) -> dict[str, str]:
    """The digest of each file of a home, and of what each of its databases says."""
    digests = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        if path.name.endswith(WITHOUT_CONTENT):
            continue
        if path.suffix == ".db":
            with closing(sqlite3.connect(path)) as connection:
                text = "\n".join(row for row in connection.iterdump() if not row.startswith(FOLLOWS)).encode()
        else:
            text = path.read_bytes()
        digests[str(path.relative_to(root))] = hashlib.sha256(text).hexdigest()
    assert "control.db" in digests
    return digests


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with usage of May, and April settled, so that there are books, sums and a log."""
    home = metered_home(tmp_path_factory.mktemp("refused") / "home").root
    assert run("settle", "--period", "2026-04", *assumed(), home=home).returncode == 0
    return home


@pytest.fixture
def home(metered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(metered, tmp_path / "home"))


# Flags beside the month · the price book that is given · a word of the refusal
REFUSED = [
    (("--prices", "{book}"), "product,cloud\n", "{book}"),
    (("--prices", "{book}"), BOOK.replace("2.00", "two"), "two"),
    (("--prices", "{book}"), BOOK.replace("2.00", "3.00"), "--prices"),  # not what the home holds
    (("--rates", "{book}"), "day,base,quote,rate\n2026-05-01,JPY,USD,none\n", "none"),
    (("--assume", "cap=much"), "", "cap"),
    (("--assume", "nothing-of-the-kind"), "", "nothing-of-the-kind"),
    (("--assume", "cap=USD 1"), "", "cap"),  # another value than the home holds
    (("--reading", "nothing=that"), "", "nothing"),
    (("--agreement", "{book}"), "no folder", "{book}"),
    (("--from-scratch", "--reading", "nothing=that"), "", "nothing"),
    (("--from-scratch", "--assume", "cap=USD 1"), "", "cap"),
    (("--part", "2026-07-01"), "", "2026-07-01"),
]


@pytest.mark.parametrize(("more", "book", "word"), REFUSED, ids=[" ".join(case[0]) + case[2] for case in REFUSED])
def test_a_refused_settlement_changes_nothing(
    home: Path, tmp_path: Path, more: tuple[str, ...], book: str, word: str
) -> None:
    path, before = tmp_path / "given.csv", content(home)
    path.write_text(book)
    done = run(*SETTLE, *(each.format(book=path) for each in more), home=home)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nothing was changed" in done.stderr
    assert word.format(book=path) in done.stderr
    assert content(home) == before


def test_a_figure_that_nobody_accepted_changes_nothing(tmp_path: Path) -> None:
    home = metered_home(tmp_path / "home").root
    before = content(home)
    done = run(*SETTLE, home=home)
    assert done.returncode == 3
    assert "is undisclosed" in done.stderr
    assert content(home) == before


def test_a_price_without_a_rate_changes_nothing(tmp_path: Path) -> None:
    home = metered_home(tmp_path / "home", book=YEN).root
    before = content(home)
    done = run(*SETTLE, *assumed(), home=home)
    assert done.returncode == 3
    assert "JPY" in done.stderr
    assert content(home) == before


def test_usage_without_a_price_changes_nothing(tmp_path: Path) -> None:
    book = BOOK.replace("2026-03-05,,2026-03-05,10.00", "2027-03-05,,2026-03-05,10.00")
    home = metered_home(tmp_path / "home", book=book).root
    before = content(home)
    for more in ((), ("--from-scratch",)):
        done = run(*SETTLE, *assumed(), *more, home=home)
        assert done.returncode == 3, done.stdout
        assert "output_tokens" in done.stderr
        assert content(home) == before


def test_sums_that_were_kept_outlive_a_refused_recount(home: Path, tmp_path: Path) -> None:
    """From scratch, and then a price is missing: the sums of before are there."""
    (tmp_path / "book.csv").write_text(BOOK.replace("output_tokens,2026-03-05,", "output_tokens,2026-03-05,2026-05-06"))
    changed = run("basis", "prices", "book.csv", "--why", "a new list", "--home", str(home), cwd=tmp_path)
    assert changed.returncode == 0, changed.stderr
    before = content(home)
    done = run(*SETTLE, "--from-scratch", home=home)
    assert done.returncode == 3
    assert "no price" in done.stderr
    assert content(home) == before


def test_a_closed_month_changes_nothing(home: Path) -> None:
    assert run("books", "close", "2026-04", home=home).returncode == 0
    before = content(home)
    for more in ((), ("--from-scratch",)):
        done = run("settle", "--period", "2026-04", *more, home=home)
        assert done.returncode == 3
        assert "closed" in done.stderr
        assert content(home) == before


@pytest.mark.parametrize("lock", ["books", "seal"])
def test_a_settlement_that_is_ended_while_another_process_settles_changes_nothing(
    home: Path, lock: locks.LockName
) -> None:
    with locks.locked(Home(home), lock):
        before = content(home)
        program = str(Path(sys.executable).parent / "clauseway")
        # A shell's background jobs, and all that they start, ignore what is sent here.
        command = ["env", "--default-signal=INT", program, *SETTLE, *assumed(), "--home", str(home)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until_it_waits(process, home / f"{lock}.lock")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode != 0
        assert ("this one waits" in said) is (lock == "books"), "sealing takes a moment, a settlement minutes"
        assert content(home) == before
    assert run(*SETTLE, home=home).returncode == 0


def until_it_waits(process: subprocess.Popen[str], lock: Path) -> None:
    """The kernel lists who waits for a file's lock; it tells nobody of it."""
    waiting = f"-> FLOCK  ADVISORY  WRITE {process.pid} "
    give_up_s = time.monotonic() + PATIENCE_S
    while not any(
        waiting in line and line.split()[-3].endswith(f":{os.stat(lock).st_ino}")
        for line in Path("/proc/locks").read_text().splitlines()
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def test_a_month_before_every_amendment_is_not_settled(home: Path) -> None:
    """Once settled it would be the first to be closed, and every month from it on, before the one that was meant."""
    before = content(home)
    refused = run("settle", "--period", "2022-12", *assumed(), home=home)
    assert (refused.returncode, content(home)) == (3, before)
    assert "no amendment is in effect before 2023-01-23" in " ".join(refused.stderr.split())
    assert "Name a month from 2023-01 on." in refused.stderr
    assert run("settle", "--period", "2022-12", "--part", "2022-12-05", *assumed(), home=home).returncode == 3
