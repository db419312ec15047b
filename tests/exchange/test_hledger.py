"""The journal as hledger reads it: a strict check passes, and its balances are ours."""

import json
import re
import subprocess
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from accruals import CLAUSE, accrual

import hledger_judge
from clauseway.exchange.journals.accounting import entries_of
from clauseway.exchange.journals.hledger import account_name, hledger_text
from clauseway.ledger import Entry, balances
from clauseway.values import Interval


@pytest.fixture(scope="module")
def hledger() -> list[str]:
    program = hledger_judge.find()
    if program is None:
        pytest.skip("no hledger on PATH, and Debian's package cannot be fetched here")
    return program


def in_currency(entry: Entry, currency: str) -> Entry:
    postings = tuple(msgspec.structs.replace(posting, currency=currency) for posting in entry.postings)
    return msgspec.structs.replace(entry, postings=postings)


# Names and words as nobody should choose them, but somebody will.
ENTRIES = [
    accrual(2, date(2026, 5, 31), "openai", "microsoft", "5.00", narration='with "quotes"; a | and\nlines, = 3 @ 4'),
    accrual(1, date(2026, 4, 26), "microsoft", "openai", "8.00"),
    accrual(3, date(2026, 5, 31), "openai", "microsoft", "-0.20"),
    accrual(4, date(2026, 5, 31), "Käufer & Söhne: (Ost)", "3rd  party; *", "12345678901234.123456789012"),
]


def judged(hledger: list[str], entries: Sequence[Entry], folder: Path) -> dict[str, Decimal]:
    journal = folder / "books.journal"
    journal.write_text(hledger_text(entries, "The; journal"))
    return hledger_judge.balances(hledger, journal)


def ours(entries: Sequence[Entry]) -> dict[str, Decimal]:
    return {account_name(account): balance for account, balance in balances(entries).items()}


def test_balances_equal_ours(hledger: list[str], tmp_path: Path) -> None:
    verdict = judged(hledger, ENTRIES, tmp_path)
    assert verdict == ours(ENTRIES)
    assert verdict["expenses:openai:revenue-share:microsoft"] == Decimal("4.80")  # 5.00 − 0.20


def test_each_currency_is_printed_with_its_decimal_places(hledger: list[str], tmp_path: Path) -> None:
    """hledger rounds what it prints to the places that a file declares: thousandths of a dinar would be lost."""
    entries = [
        in_currency(accrual(1, date(2026, 5, 31), "openai", "microsoft", "1234.567"), "KWD"),
        in_currency(accrual(2, date(2026, 5, 31), "openai", "microsoft", "2989"), "JPY"),
        accrual(3, date(2026, 5, 31), "openai", "microsoft", "5.00"),
    ]
    journal = tmp_path / "books.journal"
    journal.write_text(hledger_text(entries, "Three currencies"))
    assert "commodity 1,000. JPY\n" in journal.read_text()
    account = "expenses:openai:revenue-share:microsoft"
    command = [*hledger, "-f", str(journal), "--strict", "balance", account, "-N"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split() for line in printed.stdout.splitlines()] == [
        ["2,989", "JPY"],
        ["1,234.567", "KWD"],
        ["5.00", "USD", account],
    ]


def test_an_entry_says_what_it_is_of_and_each_posting_by_which_clauses(hledger: list[str], tmp_path: Path) -> None:
    """As hledger reads them: a bar would divide a payee from a note, and a comma would end a tag."""
    journal = tmp_path / "books.journal"
    journal.write_text(hledger_text(ENTRIES[:2], "Books\nof May"))
    printed = hledger_judge._run(hledger, journal, "print", "-O", "json")
    entries = json.loads(printed.stdout)
    assert [(entry["tdate"], entry["tdescription"], dict(entry["ttags"])["id"]) for entry in entries] == [
        ("2026-04-26", "gpt-5.5 on aws", "accrual|1"),
        ("2026-05-31", 'with "quotes", a / and lines, = 3 @ 4', "accrual|2"),
    ]
    clauses = {dict(posting["ptags"])["clause"] for entry in entries for posting in entry["tpostings"]}
    assert clauses == {'A5 A5.share (A5.md:7; S2 · "capped"; S3)'}


@pytest.mark.parametrize("party", ["openai", "microsoft"])
def test_one_partys_books_balance_alone(hledger: list[str], tmp_path: Path, party: str) -> None:
    may = entries_of(ENTRIES, Interval(date(2026, 5, 1), date(2026, 6, 1)), party)
    verdict = judged(hledger, may, tmp_path)
    assert verdict == ours(may)
    assert {account.split(":")[1] for account in verdict} == {party}
    assert sum(verdict.values()) == 0


@pytest.mark.parametrize("source", ["S2 (as of [2026-04-02])", "S2 [2026-99-99]", "S2, date:2026-04-02, x"])
def test_a_date_in_a_source_is_no_date_of_the_posting(hledger: list[str], tmp_path: Path, source: str) -> None:
    """Brackets around a date in a comment are a posting's date to hledger, and to Ledger."""
    [entry] = ENTRIES[1:2]
    clause = msgspec.structs.replace(CLAUSE, source=source)
    cited = [msgspec.structs.replace(posting, citations=(clause,)) for posting in entry.postings]
    journal = tmp_path / "books.journal"
    journal.write_text(hledger_text([msgspec.structs.replace(entry, postings=tuple(cited))], "books"))
    printed = hledger_judge._run(hledger, journal, "register")
    assert printed.returncode == 0, printed.stderr
    assert re.findall(r"\d{4}-\d{2}-\d{2}", printed.stdout) == ["2026-04-26"]


def test_the_judge_refuses_what_does_not_balance(hledger: list[str], tmp_path: Path) -> None:
    """The negative control: a cent off in one leg."""
    journal = tmp_path / "books.journal"
    text = hledger_text(ENTRIES[1:2], "journal")
    journal.write_text(
        text.replace("expenses:microsoft:revenue-share:openai  8.00", "expenses:microsoft:revenue-share:openai  8.01")
    )
    assert hledger_judge._run(hledger, journal, "check", "--strict").returncode != 0


def test_an_empty_journal_is_a_file_too(hledger: list[str], tmp_path: Path) -> None:
    assert judged(hledger, [], tmp_path) == {}
