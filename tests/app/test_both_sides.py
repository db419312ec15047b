"""Two homes with the same usage, book, agreement and closes settle to the same bytes, however it came to them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

import settled_book
from clauseway.app.books.closing import close_month
from clauseway.app.books.settled import statement
from clauseway.app.opening.home import Home
from clauseway.ledger.statement import canonical_bytes
from in_process import answer, run

ASSUMED = [part for name in settled_book.ACCEPTED for part in ("--assume", name)]


def did(home: Home, *words: str) -> str:
    done = run(*words, "--home", str(home.root))
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def settle_and_close(home: Home) -> None:
    did(home, "settle", "--period", "2026-04", *ASSUMED)
    close_month(home, "2026-04", datetime.now(UTC).date())
    did(home, "settle", "--period", "2026-05", *ASSUMED)


def stated(home: Home) -> list[bytes]:
    results = [statement(home, period) for period in ("2026-04", "2026-05")]
    return [canonical_bytes(result) for result in results if result is not None]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return the home that metered."""
    home = Home(tmp_path_factory.mktemp("ours") / "home").make()
    settled_book.seal(home)
    settle_and_close(home)
    return home


def imported(home: Home, files: Sequence[Path], *words: str) -> None:
    for file in files:
        did(home, "usage", "import", str(file), *words)


def exported(home: Home, out: Path, form: str, *days: str) -> Path:
    did(home, "export", "usage", "--format", form, "--out", str(out), *days)
    return out


def without_known_time(line: str) -> str:
    """An event as others write it, who know nothing of when we knew."""
    event = json.loads(line)
    event["data"].pop("recorded_ns", None)
    return json.dumps(event) + "\n"


@pytest.mark.parametrize("form", ["parquet", "cloudevents"])
def test_who_imports_what_the_other_metered_settles_to_the_same_bytes(ours: Home, tmp_path: Path, form: str) -> None:
    theirs = Home(tmp_path / "theirs").make()
    later = exported(ours, tmp_path / f"b.{form}", form, "--from", "2026-05-01", "--until", "2026-05-31")
    earlier = exported(ours, tmp_path / f"a.{form}", form, "--from", "2026-04-01", "--until", "2026-04-30")
    imported(theirs, [later, earlier])
    settle_and_close(theirs)
    assert stated(theirs) == stated(ours)


def test_files_of_others_settle_to_the_same_bytes_whoever_reads_them_and_when(ours: Home, tmp_path: Path) -> None:
    """The same bills, read by two on two days, in another order and batches."""
    files = []
    for number, days in enumerate(
        (("2026-04-20", "2026-04-26"), ("2026-04-27", "2026-05-02"), ("2026-05-03", "2026-05-31"))
    ):
        at = exported(ours, tmp_path / f"{number}.jsonl", "cloudevents", "--from", days[0], "--until", days[1])
        at.write_text("".join(map(without_known_time, at.read_text().splitlines())))
        files.append(at)
    whole = tmp_path / "whole.jsonl"
    whole.write_text("".join(reversed([line for at in files for line in at.read_text().splitlines(keepends=True)])))
    first, second = Home(tmp_path / "one").make(), Home(tmp_path / "other").make()
    imported(first, files)
    imported(second, [whole])
    settle_and_close(first)
    settle_and_close(second)
    assert stated(first) == stated(second)


def test_settling_again_later_gives_the_same_receipt(ours: Home) -> None:
    before = stated(ours)
    did(ours, "settle", "--period", "2026-05", *ASSUMED)
    assert stated(ours) == before
    kinds = [row["kind"] for row in answer("audit", "log", "--period", "2026-05", home=ours.root)]
    assert kinds.count("settlement") == 1


def test_what_the_other_settled_is_verified_against_ones_own_usage(ours: Home, tmp_path: Path) -> None:
    theirs = Home(tmp_path / "theirs").make()
    imported(theirs, [exported(ours, tmp_path / "a.parquet", "parquet")])
    may = tmp_path / "may.json"
    did(ours, "statement", "--period", "2026-04", "--out", str(may))
    assert answer("statement", "verify", str(may), home=theirs.root)["repeated"]["same"]
    settled_book.seal(theirs, [(12, "04-28", 9, 1, 2, (1000, 0, 1000))])
    repetition = answer("statement", "verify", str(may), home=theirs.root, code=2)["repeated"]
    assert "it had 6 attempts in the period, and there are 7 here" in repetition["remarks"][0]
