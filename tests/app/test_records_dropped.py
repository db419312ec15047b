"""Days whose single records were dropped: open months are settled, and closed months stand as they were closed."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from clauseway.app.books import carrying
from in_process import run
from share_agreements import share_agreement

HEAD = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
IN = "assistant,,,,input_tokens,2026-01-01,{end},2026-01-01,{price},ours\n"
OUT = "assistant,,,,output_tokens,2026-01-01,,2026-01-01,10,ours\n"
# Each sale is 1 million tokens in and out: 12.00, of which 10 % is 1.20.
SOLD = ("2026-01-10", "2026-02-10", "2026-03-05", "2026-04-05")
KEPT_FROM = date(2026, 3, 1)
DROP = str((datetime.now(tz=UTC).date() - KEPT_FROM).days)


def did(home: Path, *words: str, code: int = 0) -> str:
    done = run(*words, home=home)
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def sold(folder: Path, *days: str, name: str) -> str:
    """Write a sale of each day as events. The identifier is the day."""
    units = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    data = {"cloud": "partner-cloud", "product": "assistant", "seller": "vendor", "organisation": "acme"}
    events = [
        {"specversion": "1.0", "type": "org.clauseway.usage.v1", "source": "/app", "id": day}
        | {"time": f"{day}T12:00:00Z", "data": data | {"units": units}}
        for day in days
    ]
    (folder / name).write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(folder / name)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with January to March closed and April settled, under a share that ended with February
    and one of March on."""
    folder = tmp_path_factory.mktemp("dropped")
    share_agreement(
        folder / "ours",
        "```yaml term\nid: A1.first\nuntil: 2026-03-01\n",
        "```yaml term\nid: A1.second\nbegins: 2026-03-01\n",
    )
    (folder / "book.csv").write_text(HEAD + IN.format(end="", price=2) + OUT)
    (folder / "dearer.csv").write_text(HEAD + IN.format(end="", price=3) + OUT)
    home, named = folder / "home", ("--agreement", str(folder / "ours"))
    did(home, "usage", "import", sold(folder, *SOLD, name="sold.jsonl"), *named)
    did(home, "settle", "--period", "2026-01", "--prices", str(folder / "book.csv"), *named)
    for period in ("2026-01", "2026-02", "2026-03"):
        did(home, "settle", "--period", period)
        did(home, "books", "close", period)
    did(home, "settle", "--period", "2026-04")
    return folder


@pytest.fixture
def home(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun / "home", tmp_path / "home"))


def test_a_version_that_names_sums_otherwise_settles_the_open_month(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = did(home, "statement", "--period", "2026-04", "--json")
    did(home, "lake", "retain", "--keep-days", DROP)
    monkeypatch.setattr(carrying, "_FORMAT", "sums of another version")
    said = did(home, "settle", "--period", "2026-04")
    assert "Single records of 2026-01 and 2026-02 were dropped: closed months stand as they were closed" in said
    assert did(home, "statement", "--period", "2026-04", "--json") == before
    assert "were dropped" not in did(home, "settle", "--period", "2026-04")


def test_a_price_of_dropped_days_corrects_the_months_that_are_there(begun: Path, home: Path) -> None:
    did(home, "lake", "retain", "--keep-days", DROP)
    did(home, "basis", "prices", str(begun / "dearer.csv"), "--why", "a new list")
    said = did(home, "settle", "--period", "2026-04")
    # March: 13.00 instead of 12.00, of which 10 % is 0.10 more; April 1.30. January and February stand.
    assert "share 1.30 + corrections of closed months 0.10" in said
    assert "Single records of 2026-01 and 2026-02 were dropped" in said
    assert "the same, to the last byte" in did(home, "statement", "verify", "2026-04")


def test_days_that_a_correction_stands_on_are_not_dropped(home: Path, tmp_path: Path) -> None:
    did(home, "usage", "import", sold(tmp_path, "2026-01-20", name="late.jsonl"))
    said = did(home, "lake", "retain", "--keep-days", DROP, code=3)
    assert "usage of 2026-01-20 came after the last settlement" in said
    did(home, "settle", "--period", "2026-04")
    said = did(home, "lake", "retain", "--keep-days", DROP, code=3)
    assert "2026-04, which is open, corrects 2026-01" in said
    did(home, "books", "close", "2026-04")
    # A share that runs needs the days since its begin: it is due on all of them.
    did(home, "settle", "--period", "2026-05")
    did(home, "lake", "retain", "--keep-days", DROP)
    did(home, "settle", "--period", "2026-05")
