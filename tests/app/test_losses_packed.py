"""A pack carries what was lost and accepted: a stranger gets the same bytes, and reads who accepted what."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from journals import flip, frames, gateway, home_at, segment, today

from clauseway.app.books.audit_log import restart_log
from clauseway.app.opening.home import Home
from clauseway.app.usage.losses import write_off
from clauseway.app.usage.sealing import seal
from in_process import answer, run
from metered_months import MILLION, assumed


def damaged_frame(home: Home, estimate: str) -> None:
    directory = gateway(home)
    flip(segment(directory), frames(segment(directory))[5] + 60)
    seal(home)
    done = run("spool", "accept", "1", "--estimate", estimate, "--why", "a bad disk", home=home.root)
    assert done.returncode == 0, done.stderr


def journal_gone(home: Home, estimate: str) -> None:
    directory = gateway(home, range(1, 6), killed=True)
    seal(home)
    directory.rename(home.root / "aside")
    seal(home)
    (name,) = [spool["spool"] for spool in answer("spool", "list", home=home.root, code=2)["spools"]]
    assert write_off(home, name, estimate, "the volume is gone").estimate == estimate


LOST = [(damaged_frame, "reserved"), (damaged_frame, "nothing"), (journal_gone, "reserved"), (journal_gone, "nothing")]


@pytest.mark.parametrize(("lose", "estimate"), LOST, ids=[f"{lose.__name__}-{est}" for lose, est in LOST])
def test_a_stranger_gets_the_same_bytes_and_the_accepted_estimate(
    tmp_path: Path, lose: Callable[[Home, str], None], estimate: str
) -> None:
    home = home_at(tmp_path / "home")
    lose(home, estimate)
    month, packed = f"{today():%Y-%m}", str(tmp_path / "m.pack")
    done = run("settle", "--period", month, *assumed(), "--prices", str(home.root / "book.csv"), home=home.root)
    assert done.returncode == 0, done.stderr
    stated = answer("statement", "--period", month, home=home.root)
    names = [assumption["name"] for assumption in stated["assumptions"]]
    assert "lost-usage-1" in names
    done = run("statement", "pack", month, "--out", packed, home=home.root)
    assert done.returncode == 0, done.stderr
    verified = answer("statement", "verify", packed, home=tmp_path / "nowhere")
    assert verified["repeated"]["same"], verified
    text = " ".join(run("statement", "verify", packed, home=tmp_path / "nowhere").stdout.split())
    assert "lost-usage-1" in text


def test_a_stranger_reads_that_the_books_were_broken(tmp_path: Path) -> None:
    home, month, packed = home_at(tmp_path / "home"), f"{today():%Y-%m}", str(tmp_path / "m.pack")
    gateway(home)
    seal(home)
    with closing(sqlite3.connect(home.embedded_control)) as books, books:
        books.execute("DELETE FROM audit_log WHERE sequence = 2")
    restart_log(home, "a bad disk")
    answer("settle", "--period", month, *assumed(), "--prices", str(home.root / "book.csv"), home=home.root)
    answer("statement", "pack", month, "--out", packed, home=home.root)
    verified = answer("statement", "verify", packed, home=tmp_path / "nowhere")["repeated"]
    assert verified["same"]
    [broken] = verified["estimates"]
    assert broken["text"].startswith("The log of the books was broken (log row 2 is missing; ")


def test_no_estimate_has_more_tokens_than_a_request_can_have(tmp_path: Path) -> None:
    """A body of 52 million bytes holds images: 20 million tokens are more than any model reads.

    20 × 2.00 + 6 × 10.00 = 100.00 for the estimate, 12.00 for each of the nine others.
    """
    home = home_at(tmp_path / "home")
    directory = gateway(home, reserved=(52 * MILLION, 6 * MILLION))
    flip(segment(directory), frames(segment(directory))[5] + 60)
    seal(home)
    month, book = f"{today():%Y-%m}", str(home.root / "book.csv")
    assert run("spool", "accept", "1", "--why", "a bad disk", home=home.root).returncode == 0
    settled = answer("settle", "--period", month, *assumed(), "--prices", book, home=home.root)
    assert [line["base"] for line in settled["lines"]] == ["208.000000000000"]


def test_a_bill_that_sums_many_requests_is_packed_and_performed_again(tmp_path: Path) -> None:
    """30 million tokens in one row of a bill: 30 × 2.00 = 60.00."""
    home, bill = home_at(tmp_path / "home"), tmp_path / "bill.jsonl"
    sold = {"organisation": "Contoso", "seller": "openai", "cloud": "azure", "product": "gpt-5.4"}
    summed = {"aggregated": True, "units": {"input_tokens": 30_000_000}}
    event = {"specversion": "1.0", "type": "org.clauseway.usage.v1", "source": "bill", "id": "1"}
    event["time"] = "2026-05-03T12:00:00Z"
    bill.write_text(json.dumps(event | {"data": sold | summed}) + "\n")
    done = run("usage", "import", str(bill), home=home.root)
    assert done.returncode == 0, done.stderr + done.stdout
    book, packed = str(home.root / "book.csv"), str(tmp_path / "may.pack")
    answer("settle", "--period", "2026-05", *assumed(), "--prices", book, home=home.root)
    answer("statement", "pack", "2026-05", "--out", packed, home=home.root)
    assert answer("statement", "verify", packed, home=tmp_path / "nowhere")["repeated"]["same"]
    for form in ("parquet", "cloudevents"):
        handed, theirs = str(tmp_path / f"usage.{form}"), home_at(tmp_path / form).root
        assert run("export", "usage", "--format", form, "--out", handed, home=home.root).returncode == 0
        done = run("usage", "import", handed, home=theirs)
        assert done.returncode == 0, "a sum is a sum in the other home too: " + done.stdout
