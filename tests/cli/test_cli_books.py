"""A month of bookkeeping as people do it, command after command: settle, close, invoice, pay, correct, dispute."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from beancount import loader

import settled_book
from in_process import answer, run

ACCEPTED = [flag for name in settled_book.ACCEPTED for flag in ("--assume", name)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settled_book.make(tmp_path_factory.mktemp("books") / "home").root


def told(home: Path, *words: str, code: int = 0) -> Any:
    return answer(*words, "--home", str(home), code=code)


def printed(home: Path, *words: str) -> str:
    done = run(*words, "--home", str(home))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_month_of_bookkeeping(home: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(home, tmp_path / "home"))
    assert printed(work, "books", "close").strip() == "No month is closed."
    assert printed(work, "books", "invoice") == "No invoice was written.\n"
    assert printed(work, "books", "dispute", "list") == "Nothing was disputed.\n"
    assert printed(work, "books", "journal", "--period", "2027-01") == "Nothing was posted.\n"
    closed = told(work, "books", "close", "2026-04")
    assert closed["closed_now"] is True
    assert told(work, "books", "close", "2026-04") == closed | {"closed_now": False}
    assert re.match(
        r"2026-04 was closed already, at \d{4}-\d\d-\d\d \d\d:\d\d UTC\. Receipt ",
        printed(work, "books", "close", "2026-04"),
    )
    assert [month["receipt"] for month in told(work, "books", "close")] == [closed["receipt"]]
    refused = told(work, "settle", "--period", "2026-04", *ACCEPTED, code=3)
    assert refused["error"]["problems"][0]["what"] == "2026-04 is closed"

    invoice = (
        "books",
        "invoice",
        "--period",
        "2026-04",
        "--payer",
        "openai",
        "--payee",
        "microsoft",
        "--dated",
        "2026-05-04",
    )
    assert printed(work, *invoice).splitlines() == [
        "Invoice microsoft-openai-2026-04: openai owes microsoft 1.26 USD",
        "  A1.share-openai-microsoft: 0.50 USD",
        "  A5.share-openai-microsoft: 0.76 USD",
    ]
    pay = (
        "books",
        "payment",
        "microsoft-openai-2026-04",
        "--id",
        "bank-1",
        "--amount",
        "1.00",
        "--dated",
        "2026-05-20",
    )
    paid = "bank-1: 1.00 USD on microsoft-openai-2026-04; 0.26 USD of it is open\n"
    assert printed(work, *pay) == printed(work, *pay) == paid
    assert told(work, "books", "invoice")[0]["open"] == "0.26"
    assert printed(work, "books", "invoice") == ("microsoft-openai-2026-04  openai to microsoft  1.26 USD, open 0.26\n")

    request = settled_book.request(5)
    note = ("books", "credit", "--id", "note-1", "--request", request, "--amount", "1.00", "--reason", "an outage")
    assert printed(work, *note) == "note-1: 1 USD of gpt-5.4 on aws, sold by openai, taken back\n"
    claim = ("books", "dispute", "open", "--id", "claim-1", "--request", settled_book.request(10))
    assert printed(work, *claim) == "claim-1: 0.8 USD of gpt-5.5 on azure, sold by openai, in dispute\n"
    may = told(work, "settle", "--period", "2026-05", *ACCEPTED)
    (owed,) = [direction for direction in may["directions"] if direction["payer"] == "openai"]
    # 20 % of 3.795 − 1.00 = 2.795 is 0.56: 0.20 less for April. 20 % of 2.795 + 2.215 = 5.01 is 1.00: 0.44 for May.
    assert (owed["total"], owed["disputed"], owed["corrections"][0]["new"]) == ("0.24", "0.16", "0.52")
    shown = " ".join(printed(work, "statement", "--period", "2026-05").split())
    assert "corrections of closed months" in shown
    assert "credit or dispute: -1 of base" in shown
    assert (
        "openai owes microsoft: 0.24 USD share 0.44 + corrections of closed months -0.20, 0.16 in dispute besides"
        in shown
    )

    assert printed(work, "books", "dispute", "list").split() == ["claim-1", "0.8", "USD", "open"]
    resolve = ("books", "dispute", "resolve", "claim-1", "--id", "answer-1", "--rejected")
    assert printed(work, *resolve) == "claim-1 is rejected.\n"
    assert printed(work, "books", "dispute", "list").split() == ["claim-1", "0.8", "USD", "rejected"]
    told(work, "settle", "--period", "2026-05", *ACCEPTED)
    told(work, "books", "close", "2026-05")
    assert printed(work, *invoice[:3], "2026-05", *invoice[4:-1], "2026-06-04").splitlines() == [
        "Invoice microsoft-openai-2026-05: openai owes microsoft 0.40 USD",
        "  A5.share-openai-microsoft: 0.40 USD",
        "    2026-05: share 0.60 + corrections -0.20",
    ]
    assert [line[:7] for line in printed(work, "books", "close").splitlines()] == ["2026-04", "2026-05"]

    journal = ("books", "journal", "--party", "microsoft", "--account", "invoiced")
    legs = told(work, *journal)
    assert [(leg["amount"], leg["balance"]) for leg in legs] == [
        ("0.50", "0.50"),
        ("0.76", "1.26"),
        ("-0.40", "0.86"),
        ("-0.60", "0.26"),
        ("0.40", "0.66"),
    ]
    [june] = told(work, *journal, "--period", "2026-06")
    assert (june["amount"], june["balance"]) == ("0.40", "0.66"), "the legs of May are left out, and counted"
    assert [" ".join(line.split()) for line in printed(work, *journal, "--period", "2026-06").splitlines()] == [
        "2026-06-04 microsoft invoices openai through 2026-05-31: 0.40 USD",
        "microsoft:receivable:invoiced:openai 0.40 USD balance 0.66",
    ]
    assert "microsoft:receivable:invoiced:openai" in printed(work, "books", "journal", "--period", "2026-05")
    _, errors, _ = loader.load_string(printed(work, "export", "beancount"))
    assert errors == []


REFUSED = [
    (("books", "invoice", "--period", "2026-05"), "no payer or payee"),
    (("books", "invoice", "--period", "2026-05", "--payer", "openai", "--payee", "microsoft"), "2026-05 is open"),
    (("books", "payment", "nowhere", "--id", "b"), "no invoice is called 'nowhere'"),
    (("books", "journal", "--party", "microsft"), "unknown name 'microsft'"),
    (("books", "invoice", "--period", "2026-05", "--payee", "microsoft"), "no payer or payee"),
    (("books", "payment", "--id", "b"), "no invoice"),
    (("books", "payment", "nowhere", "--reverse", "b", "--id", "c"), "invoice 'nowhere'"),
    (("books", "credit", "--id", "n"), "no sale is named"),
    (("books", "credit", "--id", "n", "--request", "r"), "no request r was charged"),
    (("books", "dispute", "resolve", "c", "--id", "a", "--upheld"), "no dispute is called 'c'"),
    (("books", "close", "2026-13"), "'2026-13' is not a month"),
]


@pytest.mark.parametrize(("words", "what"), REFUSED)
def test_what_cannot_be_booked_says_why(home: Path, words: tuple[str, ...], what: str) -> None:
    assert told(home, *words, code=3)["error"]["problems"][0]["what"] == what
