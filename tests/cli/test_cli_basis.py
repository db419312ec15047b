"""The basis of a settlement belongs to the home, command after command.

One request of 1,000,000 input tokens of gpt-5.4 on aws, sold by openai on 2 May 2026. The shipped
book charges 2.75 USD, the operator's own book 2.00: a share of 20 % is 0.55 or 0.40.
"""

import gzip
import hashlib
import json
import re
import shutil
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

import settled_book
from clauseway.app.books import basis as basis_module
from clauseway.app.books.basis import basis_of, change_prices, first_prices, record
from clauseway.app.opening.home import Home
from clauseway.storage import Control
from clauseway.storage.control.actor import acting
from clauseway.storage.control.versions import move
from clauseway.values import InvalidInput
from in_process import answer, run
from lock_waits import wait_for_waiting

HEADER = "product,cloud,seller,region,unit,begin,end,known_at,{price},source"
OWN = (
    f"{HEADER.format(price='usd_per_million')}\ngpt-5.4,aws,openai,,input_tokens,2026-04-27,,2026-04-27,{{}},a letter\n"
)
YEN = (
    f"{HEADER.format(price='per_million')},currency\n"
    "gpt-5.4,aws,openai,,input_tokens,2026-04-27,,2026-04-27,{},a letter,JPY\n"
    "gpt-5.4,aws,openai,,cached_input_tokens,2026-04-27,,2026-04-27,30,a letter,JPY\n"
    "gpt-5.4,aws,openai,,output_tokens,2026-04-27,,2026-04-27,900,a letter,JPY\n"
)
RATES = "day,base,quote,rate\n2026-04-01,USD,JPY,{}\n"
TEN_PERCENT = """---
id: A6
title: Ten percent
announced: 2026-05-01
effective: 2026-05-01
sources: [P]
---

# A6 Ten percent

## 6.1 The share

OpenAI pays ten percent.

```yaml change
id: A6.replaces
ends: [A5.share-openai-microsoft]
source: [P]
```

```yaml term
id: A6.share
kind: revenue-share
payer: openai
payee: microsoft
rate: 10 %
base: {sellers: [openai], wholesale: true, wholesale-except: [microsoft], excludes: [open-weight]}
through: 2030-12-31
source: [P]
```
"""
ACCEPTED = [flag for name in settled_book.ACCEPTED for flag in ("--assume", name)]
MAY = ("settle", "--period", "2026-05")
REQUEST = settled_book.request(8)
TEXT_PROBLEM = {
    "what": "",
    "why": "it is not what was accepted under it",
    "where": "basis",
    "line": 0,
    "remedy": "Restore the database from a backup.",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return settled_book.sealed(tmp_path / "home", [(8, "05-02", 2, 1, 2, (1_000_000, 0, 0))]).root


@pytest.fixture
def book(tmp_path: Path) -> str:
    return written(tmp_path / "book.csv", OWN.format("2.00"))


def written(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def told(home: Path, *words: str, code: int = 0) -> Any:
    return answer(*words, "--home", str(home), code=code)


def due(statement: Any) -> str:
    return next(str(direction["total"]) for direction in statement["directions"] if direction["payer"] == "openai")


def refused(home: Path, *words: str) -> tuple[str, str]:
    """Why a command is refused, and what to do."""
    [problem] = told(home, *words, code=3)["error"]["problems"]
    return f"{problem['where']}: {problem['what']}: {problem['why']}", problem["remedy"]


def today() -> str:
    return str(datetime.now(UTC).date())


def test_a_forgotten_price_book_is_not_forgotten_by_the_home(home: Path, book: str) -> None:
    settled = told(home, *MAY, *ACCEPTED, "--prices", book)
    assert due(settled) == "0.40"
    Path(book).unlink()
    assert told(home, *MAY)["lines"] == settled["lines"]
    assert due(told(home, *MAY, *ACCEPTED)) == "0.40"


def test_a_first_use_is_recorded_and_said_once(home: Path, book: str) -> None:
    first = run(*MAY, *ACCEPTED, "--prices", book, "--home", str(home))
    assert f"Accepted by {acting()}, and held from now on: prices book.csv" in first.stderr
    assert f"Accepted by {acting()}, and held from now on: assumption cap = USD 38" in first.stderr
    held = told(home, "basis")
    assert [(item["kind"], item["name"]) for item in held] == [
        ("prices", ""),
        ("agreement", "openai-microsoft"),
        ("assumption", "share-openai-microsoft"),
        ("assumption", "share-microsoft-openai"),
        ("assumption", "cap"),
    ]
    assert {(item["who"], item["at"][:10], item["why"]) for item in held} == {
        (acting(), today(), "first used by the settlement of 2026-05")
    }
    again = run(*MAY, *ACCEPTED, "--prices", book, "--home", str(home))
    assert again.stderr == ""
    assert told(home, "basis", "history") == held
    shown = run("basis", "--home", str(home)).stdout
    assert "USD 38,000,000,000" in shown
    assert re.search(r"T\d\d:\d\d:\d\dZ ", shown), "an instant says that it is of UTC"


def test_the_first_settlement_stands_on_the_agreement_that_the_gateway_serves_by(home: Path, tmp_path: Path) -> None:
    """Its sixth amendment asks for ten percent: 2.75 × 10 % = 0.275, rounded to even. The gateway's text changes."""
    ours, name = tmp_path / "ours", "clauseway.toml"
    shutil.copytree(Path(settled_book.__file__).parents[1] / "src/clauseway/agreement/builtin/openai-microsoft", ours)
    written(ours / "A6.md", TEN_PERCENT)
    written(home / name, f'agreement = ["{ours}"]\n')
    assert due(told(home, *MAY, *ACCEPTED)) == "0.28"
    assert settled_by(home) == (True, "")
    written(ours / "A6.md", TEN_PERCENT.replace("10 %", "5 %"))
    assert settled_by(home) == (False, "Have them stand on it: clauseway basis agreement FOLDER --why …")
    told(home, "basis", "agreement", str(ours), "--why", "amendment 6, corrected")
    versions = [row for row in run("basis", "history", "--home", str(home)).stdout.splitlines() if " · " in row]
    digests = [row["digest"][:8] for row in told(home, "basis", "history") if row["kind"] == "agreement"]
    assert len(set(digests)) == 2
    assert all(any(f"kept as {digest}" in row for row in versions) for digest in digests)
    # A statement names the agreement by its documents: another digest, which nobody is to look for here.
    assert "Statements name an agreement by the digest of its documents" in " ".join(
        run("basis", "--home", str(home)).stdout.split()
    )
    assert "agreement's documents" in run("statement", "--period", "2026-05", "--home", str(home)).stdout
    assert settled_by(home) == (True, "")
    assert due(told(home, *MAY)) == "0.14"


def settled_by(home: Path) -> tuple[bool, str]:
    """Return the doctor's finding about the agreement that settlements stand on; the home has no deployment."""
    [check] = [check for check in told(home, "doctor", code=2)["checks"] if check["what"] == "settled by"]
    return check["ok"], check["remedy"]


# what is given to a home that holds book.csv and the reported figures → why it is refused, what to do
OTHERS = [
    (
        ("--prices", "{other}"),
        "--prices: another price book than this home holds: this home stands on book.csv",
        "Leave it out, or change it: clauseway basis prices FILE --why ….",
    ),
    (
        ("--assume", "cap=1000"),
        "--assume: cap=1000: this home stands on cap = USD 38",
        "Leave it out, or change it: clauseway basis assume cap=VALUE --why ….",
    ),
    (
        ("--assume", "revenue-owner=host"),
        "--assume: revenue-owner=host: this home settled with seller",
        "Leave it out, or change it: clauseway basis assume revenue-owner=VALUE --why ….",
    ),
    (
        ("--reading", "R1=or"),
        "--reading: R1=or: this home settled with and",
        "Leave it out, or change it: clauseway basis read R1=OPTION --why ….",
    ),
    (
        ("--agreement", "{agreement}"),
        "--agreement: another agreement than this home holds",
        "Leave it out, or change it: clauseway basis agreement FOLDER --why ….",
    ),
]


@pytest.mark.parametrize(("given", "why", "remedy"), OTHERS, ids=[case[0][1] for case in OTHERS])
def test_another_is_taken_by_no_flag(
    home: Path, book: str, tmp_path: Path, given: tuple[str, str], why: str, remedy: str
) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    other = written(tmp_path / "other.csv", OWN.format("3.00"))
    agreement = tmp_path / "agreement"
    built_in = Path(settled_book.__file__).parents[1] / "src/clauseway/agreement/builtin/openai-microsoft"
    agreement.mkdir()
    for file in built_in.glob("*.md"):
        written(agreement / file.name, file.read_text("utf-8") + "\n")
    flags = [argument.format(other=other, agreement=agreement) for argument in given]
    told_why, told_todo = refused(home, *MAY, *flags)
    assert (told_why.startswith(why), told_todo) == (True, remedy), told_why
    assert due(told(home, *MAY)) == "0.40"


def test_a_change_says_who_and_why_and_so_does_the_correction_it_causes(home: Path, book: str, tmp_path: Path) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    told(home, "books", "close", "2026-05")
    other = written(tmp_path / "other.csv", OWN.format("3.00"))
    refusal, _ = refused(home, "basis", "prices", other, "--why", " ")
    assert refusal.startswith("--why: ' ' is no value")
    [changed] = told(home, "basis", "prices", other, "--why", "contract 12, signed late")
    assert (changed["who"], changed["why"]) == (acting(), "contract 12, signed late")
    assert told(home, "basis", "prices", other, "--why", "the same again") == []
    june = told(home, "settle", "--period", "2026-06")
    # 20 % of 3.00 − 2.00
    [line] = [line for line in june["lines"] if line["corrects"]]
    label = changed["label"]
    assert (line["amount"], line["causes"]) == (
        "0.20",
        [f"price book changed by {acting()} on {today()} ({label}), because contract 12, signed late: +1 of base"],
    )


def test_whoever_replaces_what_another_accepted_is_told(tmp_path: Path) -> None:
    home = tmp_path / "two"
    first = run("basis", "assume", "cap=5_000", "--why", "term sheet", home=home)
    assert (first.returncode, "replaces" in first.stdout) == (0, False)
    assert "replaces" not in run("basis", "read", "R1=or", "--why", "counsel", home=home).stdout
    second = run("basis", "assume", "cap=6_000", "--why", "a call", home=home)
    assert f"assumption cap replaces 5_000, accepted by {acting()} at " in second.stdout
    assert second.stdout.partition(" replaces ")[2].splitlines()[0].endswith(": term sheet")
    assert run("basis", "assume", "--withdraw", "cap", "--why", "x", home=home).returncode == 0
    assert "replaces" not in run("basis", "assume", "cap=7_000", "--why", "y", home=home).stdout


def test_a_change_beside_another_changes_what_that_one_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One takes this version's books while somebody accepts a book of the operator's: that book was gone."""
    home, mine = Home(tmp_path / "home").make(), tmp_path / "mine.csv"
    mine.write_text(OWN.format(2))
    beside: list[Future[object]] = []

    def record_beside(*recorded: Any) -> Any:
        if not beside:
            beside.append(
                pool.submit(change_prices, home, "our own contract", file=mine, of_this_version=False, alone=False)
            )
            wait_for_waiting(home.root / "basis.lock")
        return record(*recorded)

    monkeypatch.setattr(basis_module, "record", record_beside)
    with ThreadPoolExecutor(1) as pool:
        change_prices(home, "a new version", file=None, of_this_version=True, alone=False)
    assert beside[0].result()
    assert basis_of(home).books[0].name == "mine.csv"


def test_credits_and_disputes_use_the_prices_of_the_home(home: Path, book: str) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    # 2.00 was charged; the shipped book says 2.75
    assert (
        told(home, "books", "credit", "--id", "n1", "--request", REQUEST, "--amount", "0.50")["of"]["amount"] == "0.50"
    )
    refusal, _ = refused(home, "books", "dispute", "open", "--id", "d1", "--request", REQUEST, "--amount", "2.00")
    assert "2.000000000000 USD was charged" in refusal or "2 USD was charged" in refusal
    taken = told(home, "books", "dispute", "open", "--id", "d2", "--request", REQUEST)
    assert float(taken["of"]["amount"]) == 1.5


# 1,000,000 tokens at 250 JPY, a dollar at 125 JPY: 2.00 USD
def test_a_price_in_yen_is_taken_back_in_dollars_at_the_rate_of_the_day(home: Path, tmp_path: Path) -> None:
    yen = written(tmp_path / "yen.csv", YEN.format("250"))
    rates = written(tmp_path / "rates.csv", RATES.format("125"))
    assert due(told(home, *MAY, *ACCEPTED, "--prices", yen, "--rates", rates)) == "0.40"
    made = told(home, "books", "credit", "--id", "n1", "--request", REQUEST)
    assert float(made["of"]["amount"]) == 2.0
    assert due(told(home, *MAY)) == "0.00"


def test_without_a_rate_a_price_in_yen_is_refused(home: Path, tmp_path: Path) -> None:
    yen = written(tmp_path / "yen.csv", YEN.format("250"))
    told(home, "basis", "prices", yen, "--why", "sold in Japan")
    for words in (("books", "credit", "--id", "n1", "--request", REQUEST), (*MAY, *ACCEPTED)):
        why, remedy = refused(home, *words)
        assert "JPY" in why
        assert "clauseway basis rates FILE --why" in remedy


def test_everything_is_verified_from_the_home_alone(home: Path, book: str, tmp_path: Path) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book, "--reading", "R1=or")
    may = written(tmp_path / "may.json", "")
    assert run("statement", "--period", "2026-05", "--out", may, "--home", str(home)).returncode == 0
    other = written(tmp_path / "other.csv", OWN.format("3.00"))
    told(home, "basis", "prices", other, "--why", "a new list")
    told(home, "basis", "read", "R1=and", "--why", "counsel says so")
    assert told(home, "statement", "verify", may)["repeated"]["same"]
    assert told(home, "statement", "verify", "2026-05")["repeated"]["same"]
    [line] = [line for line in told(home, *MAY)["lines"] if line["product"] == "gpt-5.4"]
    assert line["amount"] == "0.60"


def test_settling_as_known_then_uses_what_was_held_then(home: Path, book: str, tmp_path: Path) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    before = told(home, "basis", "history")[-1]["at"]
    told(home, "basis", "prices", written(tmp_path / "other.csv", OWN.format("3.00")), "--why", "a new list")
    told(home, "books", "credit", "--id", "n1", "--request", REQUEST, "--amount", "1.00")
    # 20 % of 3.00 − 1.00; and of 2.00
    assert due(told(home, *MAY)) == "0.40"
    told(home, "books", "credit", "--id", "n2", "--request", REQUEST, "--amount", "1.00")
    assert due(told(home, *MAY)) == "0.20"
    assert due(told(home, *MAY, "--known-at", before)) == "0.40"
    assert due(told(home, "statement", "--period", "2026-05")) == "0.20"


def test_settling_as_known_before_the_home_held_an_agreement_is_refused(home: Path) -> None:
    told(home, *MAY, *ACCEPTED)
    why, remedy = refused(home, *MAY, "--known-at", "2026-04-30")
    assert why.startswith("--known-at: this home held no agreement by 2026-04-30: its first, The OpenAI–Microsoft")
    assert remedy.startswith(f"Name {today()} or a later day.")


def test_an_own_book_may_be_called_as_the_shipped_one_is(home: Path, tmp_path: Path) -> None:
    own = written(tmp_path / "prices.csv", OWN.format("2.00"))
    assert due(told(home, *MAY, *ACCEPTED, "--prices", own)) == "0.40"
    assert told(home, "basis")[0]["label"].startswith("own prices.csv › prices.csv")


def test_the_text_that_was_accepted_can_be_had_again(home: Path, book: str) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    text = Path(book).read_text("utf-8")
    stack = run("basis", "text", told(home, "basis")[0]["digest"], "--home", str(home)).stdout
    own = json.loads(stack)[0]["text"]
    assert run("basis", "text", own, "--home", str(home)).stdout == text
    named = told(home, "basis", "text", Path(book).name)
    assert named == {"digest": hashlib.sha256(text.encode()).hexdigest(), "text": text}


def test_a_text_that_somebody_edited_is_told(home: Path, book: str) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    edited = gzip.compress(Path(book).read_bytes().replace(b"2.00", b"1.00"), mtime=0)
    digest = hashlib.sha256(Path(book).read_bytes()).hexdigest()
    with sqlite3.connect(home / "control.db") as connection:
        connection.execute("UPDATE basis_texts SET body = ? WHERE digest = ?", (edited, digest))
    why, _ = refused(home, *MAY)
    assert why == f"basis: the text {digest} was edited: it is not what was accepted under it"
    assert told(home, "audit", "verify", code=2)["problems"] == [
        TEXT_PROBLEM | {"what": f"the text {digest} was edited"}
    ]


def test_a_text_that_somebody_deleted_is_told(home: Path, book: str) -> None:
    """A price book is a part of what was accepted: its digest stands in another text."""
    told(home, *MAY, *ACCEPTED, "--prices", book)
    digest = hashlib.sha256(Path(book).read_bytes()).hexdigest()
    with sqlite3.connect(home / "control.db") as connection:
        connection.execute("DELETE FROM basis_texts WHERE digest = ?", (digest,))
    gone = {"what": f"the text {digest} was edited", "why": "it is gone"}
    assert told(home, "audit", "verify", code=2)["problems"] == [TEXT_PROBLEM | gone]


def test_a_seller_that_is_no_party_has_no_part_of_a_price(home: Path) -> None:
    """It would hold for no sale, and the whole price would count."""
    unknown = "unknown name 'amazn': no agreement has a party of that name"
    slip = "wholesale=amazn:80%"
    assert refused(home, *MAY, *ACCEPTED, "--assume", slip) == (f"--assume: {unknown}", "Did you mean 'amazon'?")
    told(home, *MAY, *ACCEPTED, "--assume", "wholesale=amazon:80%")
    assert refused(home, "basis", "assume", slip, "--why", "x")[0] == f"NAME=VALUE: {unknown}"
    assert refused(home, *MAY, "--under", slip)[0] == f"--under: {unknown}"
    assert refused(home, "forecast", "--assume", slip)[0] == f"--assume: {unknown}"


def test_a_figure_that_cannot_be_read_is_named_by_the_command_that_took_it(home: Path) -> None:
    told(home, *MAY, *ACCEPTED)
    why = "cap=lots cannot be read: it is not a number"
    assert refused(home, "basis", "assume", "cap=lots", "--why", "x")[0] == f"NAME=VALUE: {why}"
    assert refused(home, *MAY, "--under", "cap=lots")[0] == f"--under: {why}"
    assert refused(home, "forecast", "--assume", "cap=lots")[0] == f"--assume: {why}"


def test_a_seller_that_an_earlier_version_accepted_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(home, *MAY, *ACCEPTED)
    with monkeypatch.context() as earlier:
        earlier.setattr(basis_module, "check_assumed", lambda *_: None)
        told(home, "basis", "assume", "wholesale=amazn:80%", "--why", "contract 7")
    checks = told(home, "doctor", code=2)["checks"]
    [check] = [check for check in checks if check["what"] == "basis"]
    assert check["found"] == ("wholesale= is held for the unknown name 'amazn': no agreement has a party of that name")
    assert "Did you mean 'amazon'?" in check["remedy"]
    told(home, "basis", "assume", "--withdraw", "wholesale", "--why", "misspelt")
    assert "basis" not in {check["what"] for check in told(home, "doctor", code=2)["checks"]}


def test_a_figure_that_no_share_takes_any_more_is_told(home: Path, tmp_path: Path) -> None:
    """The text that the home stands on now states the rate itself, so the accepted one has no effect."""
    told(home, *MAY, *ACCEPTED)
    text = tmp_path / "ours"
    shutil.copytree(Path(settled_book.__file__).parents[1] / "src/clauseway/agreement/builtin/openai-microsoft", text)
    for name in ("A1.md", "A5.md"):
        path = text / name
        path.write_text(path.read_text("utf-8").replace("rate: share-openai-microsoft", "rate: 20 %"), "utf-8")
    told(home, "basis", "agreement", str(text), "--why", "published")
    checks = told(home, "doctor", "--agreement", str(text), code=2)["checks"]
    [check] = [check for check in checks if check["what"] == "basis"]
    why = "share-openai-microsoft=20 % is held and has no effect: no revenue share takes that figure"
    assert check["found"] == why
    withdraw = ("basis", "assume", "--withdraw", "share-openai-microsoft", "--why")
    assert check["remedy"] == f"Withdraw it: clauseway {' '.join(withdraw)} …."
    told(home, *withdraw, "the text states it")
    checks = told(home, "doctor", "--agreement", str(text), code=2)["checks"]
    assert "basis" not in {check["what"] for check in checks}


# what changed after May was settled → why it cannot be closed
CHANGED = [
    (("basis", "prices", "{other}", "--why", "a new list"), "prices or rates changed after it was settled"),
    (("basis", "assume", "cap=1000", "--why", "a term sheet"), "the figure cap changed after it was settled"),
    (("basis", "assume", "--withdraw", "cap", "--why", "not agreed"), "the figure cap changed after it was settled"),
    (("basis", "read", "R1=or", "--why", "counsel says so"), "a reading changed after it was settled"),
    (
        ("fact", "record", "milestone", "--effective", "2026-05-20", "--source", "letter"),
        "the facts changed after it was settled",
    ),
]


@pytest.mark.parametrize(("words", "why"), CHANGED, ids=[" ".join(case[0][1:3]) for case in CHANGED])
def test_a_month_is_closed_on_what_the_home_holds(
    home: Path, book: str, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    other = written(tmp_path / "other.csv", OWN.format("3.00"))
    told(home, *(word.format(other=other) for word in words))
    told_why, remedy = refused(home, "books", "close", "2026-05")
    assert told_why == f"MONTH: 2026-05 cannot be closed: {why}"
    assert remedy == "Settle again: clauseway settle --period 2026-05."


def test_a_month_is_closed_whatever_happened_after_it(home: Path, book: str) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    told(home, "fact", "record", "milestone", "--effective", "2026-06-01", "--source", "letter")
    assert told(home, "books", "close", "2026-05")["period"] == "2026-05"


def test_a_gateway_takes_the_book_of_the_home(home: Path, book: str, tmp_path: Path) -> None:
    at = Home(home)
    [first] = record(at, first_prices(at, Path(book)), "first used by the gateway")
    assert (first.kind, first.label.startswith("book.csv"), first.who) == ("prices", True, acting())
    assert first_prices(at, Path(book)) == []
    with pytest.raises(InvalidInput, match="another price book than this home holds"):
        first_prices(at, Path(written(tmp_path / "other.csv", OWN.format("3.00"))))
    assert due(told(home, *MAY, *ACCEPTED)) == "0.40"
    assert refused(home, *MAY, "--prices", str(tmp_path / "other.csv"))[0].startswith("--prices: another price book")


def test_a_gateway_that_is_refused_leaves_no_book_in_the_home(home: Path, book: str, tmp_path: Path) -> None:
    wrong = written(tmp_path / "clauseway.toml", '[[deployment]]\nname = "one"\n')
    refusal = run("serve", "--config", wrong, "--prices", book, "--home", str(home))
    assert (refusal.returncode, "nothing was changed" in refusal.stderr) == (3, True)
    assert "Accepted by" not in refusal.stderr
    assert told(home, "basis") == []


def test_a_home_from_before_the_register_keeps_what_it_settled_with(home: Path, book: str) -> None:
    """As such a home is: its books in files, named by what was settled with them, and no register."""
    told(home, *MAY, *ACCEPTED, "--prices", book)
    digest = told(home, "statement", "--period", "2026-05")["inputs"]["price_book"]
    books = [msgspec.structs.replace(book, text="") for book in basis_of(Home(home)).books]
    (home / "price-books").mkdir()
    kept = msgspec.json.encode({"books": books, "rates": None, "rates_digest": ""})
    (home / "price-books" / f"{digest}.json.gz").write_bytes(gzip.compress(kept))
    control = Control.open(home / "control.db")
    with control.writing() as connection:
        move(connection, "0001")  # the tables as they were before they had a version
    control.close()
    with sqlite3.connect(home / "control.db") as connection:
        for table in ("alembic_version", "basis", "basis_texts", "audit_log", "audit_head"):
            connection.execute(f"DROP TABLE {table}")
    Path(book).unlink()
    assert told(home, "statement", "verify", "2026-05")["repeated"]["same"]
    assert told(home, "basis", "history") == []
    assert {entry["why"] for entry in told(home, "basis")} == {"settled with it before this home kept a register"}
    assert due(told(home, *MAY)) == "0.40"
    assert [entry["label"].partition(" ")[0] for entry in told(home, "basis") if entry["kind"] == "prices"] == [
        "book.csv"
    ]
    assert told(home, "statement", "verify", "2026-05")["repeated"]["same"]


def test_settling_as_known_then_leaves_out_later_usage_of_a_merged_file(home: Path, book: str, tmp_path: Path) -> None:
    told(home, *MAY, *ACCEPTED, "--prices", book)
    before = told(home, "basis", "history")[-1]["at"]
    usage = {"organisation": "Contoso", "seller": "openai", "cloud": "aws", "product": "gpt-5.4"}
    event = {
        "specversion": "1.0",
        "type": "clauseway.usage.v1",
        "source": "/app",
        "id": "later",
        "time": "2026-05-02T01:00:00Z",
        "data": usage | {"units": {"input_tokens": 500_000}},
    }
    told(home, "usage", "import", written(tmp_path / "later.jsonl", json.dumps(event) + "\n"))
    merged = told(home, "lake", "compact", "--files", "2")
    assert (merged["before"], merged["after"]) == (2, 1)
    assert due(told(home, *MAY, "--known-at", before)) == "0.40"
    assert due(told(home, *MAY)) == "0.60"
