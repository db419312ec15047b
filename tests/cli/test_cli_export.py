"""The books of two settled months in every format, and that each says what the settlement says."""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from beancount import loader
from bench.price_tables import open_prices

import hledger_judge
import settled_book
import two_agreements
from clauseway.agreement.language.terms import Inoperative
from clauseway.app.agreements.exporting import extract
from clauseway.app.books.handing_over import ExportScope, FocusBill, focus_bill
from clauseway.app.books.usage_charges import usage_charges
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.priced_usage import charge_of, sale_of
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.agreements import AGREEMENT_FORMATS
from clauseway.exchange.journals.accounting import ROOTS
from clauseway.exchange.journals.hledger import account_name
from clauseway.ledger import balances
from clauseway.ledger.charges import UsageCharge, charged_units, summed
from clauseway.metering import Buyer, Used
from clauseway.pricing import PriceTable
from clauseway.pricing.price_table import in_context
from clauseway.storage import Control
from clauseway.storage.lake.hourly_sums import usage_by
from clauseway.storage.usage.attempts import Selection, attempts
from clauseway.values import Interval, day_of
from in_process import run
from work_done import calls_in


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("book") / "home")


@pytest.fixture(scope="module")
def hledger() -> list[str]:
    program = hledger_judge.find()
    if program is None:
        pytest.skip("no hledger on PATH, and Debian's package cannot be fetched here")
    return program


def exported(book: Home, *arguments: str) -> str:
    done = run("export", *arguments, "--home", str(book.root))
    assert done.returncode == 0, done.stderr
    return done.stdout


# Microsoft's books: what OpenAI owes it (old share of April, then A5's), and what it owes for its own April sales.
MICROSOFT = {
    ("assets", "openai"): D("1.86"),  # 0.50 (20 % of 2.50), 0.76 (20 % of 3.795), 0.60 (1.362 − 0.76)
    ("income", "openai"): D("-1.86"),
    ("expenses", "openai"): D("0.34"),  # 20 % of 1.70
    ("liabilities", "openai"): D("-0.34"),
}


def test_beancount_books_what_was_settled(book: Home) -> None:
    text = exported(book, "beancount", "--party", "microsoft")
    entries, errors, _ = loader.load_string(text)
    assert errors == []
    amounts: dict[tuple[str, str], D] = {}
    for entry in entries:
        for posting in getattr(entry, "postings", ()):
            root, _, _, about = posting.account.lower().split(":")
            amounts[root, about] = amounts.get((root, about), D(0)) + posting.units.number
    assert amounts == MICROSOFT


def test_hledger_books_what_was_settled(book: Home, tmp_path: Path, hledger: list[str]) -> None:
    journal = tmp_path / "books.journal"
    assert exported(book, "hledger", "--party", "microsoft", "--out", str(journal)) == ""
    judged = hledger_judge.balances(hledger, journal)
    assert {(name.split(":")[0], name.split(":")[3]): amount for name, amount in judged.items()} == MICROSOFT


def test_an_invoice_in_euro_and_its_payment_balance_before_both(book: Home, tmp_path: Path, hledger: list[str]) -> None:
    home = Home(Path(shutil.copytree(book.root, tmp_path / "own")))
    rates = tmp_path / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-05-01,EUR,USD,1.0842\n")
    in_euro = ("--currency", "EUR", "--home", str(home.root))
    invoice = ("books", "invoice", "--period", "2026-05", "--payer", "openai", "--payee", "microsoft", *in_euro)
    held = ("basis", "rates", str(rates), "--why", "reference rates of May", "--home", str(home.root))
    for command in (
        ("books", "close", "2026-04", "--home", str(home.root)),
        ("books", "close", "2026-05", "--home", str(home.root)),
        held,
        invoice,
        ("books", "payment", "microsoft-openai-2026-05", "--id", "bank-1", "--amount", "1.00", *in_euro),
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    control = Control.open(home.control)
    entries = control.entries()
    control.close()
    _, errors, _ = loader.load_string(exported(home, "beancount"))
    assert errors == []
    journal = tmp_path / "books.journal"
    exported(home, "hledger", "--out", str(journal))
    for currency in ("USD", "EUR"):
        ours = {account_name(account): balance for account, balance in balances(entries, currency).items()}
        judged = hledger_judge.balances(hledger, journal, currency)
        assert {name: amount for name, amount in judged.items() if amount} == {
            name: amount for name, amount in ours.items() if amount
        }
    # 1.86 USD are 1.72 EUR at 1.0842; 1.00 of it is paid
    assert judged["assets:microsoft:bank:openai"] == D("1.00")


def test_a_month_alone(book: Home) -> None:
    assert "2026-05-31 *" not in exported(book, "beancount", "--period", "2026-04")
    assert exported(book, "hledger", "--period", "2026-05").count("2026-05-31 *") == 3  # its three lines


# 20 % of what Microsoft sold itself in April, up to the fifth amendment; and the first posting of that line's entry.
FIRST_LINE = {
    "period": "2026-04",
    "payer": "microsoft",
    "payee": "openai",
    "term": "A1.share-microsoft-openai",
    "begin": date(2026, 4, 1),
    "end": date(2026, 4, 27),
    "product": "gpt-5.4",
    "cloud": "azure",
    "seller": "microsoft",
    "requests": 2,
    "base": D("1.70"),
    "rate": D("0.2"),
    "amount": D("0.34"),
    "currency": "USD",
    "corrects": "",
    "restates": "",
}
FIRST_POSTING = {
    "day": date(2026, 4, 26),
    "narration": "microsoft to openai: gpt-5.4 on azure, sold by microsoft",
    "leg": 0,
    "party": "microsoft",
    "kind": "expense",
    "name": "revenue-share",
    "about": "openai",
    "amount": D("0.34"),
    "currency": "USD",
}


def test_parquet_holds_the_journal_and_the_lines(book: Home, tmp_path: Path) -> None:
    exported(book, "parquet", "--out", str(tmp_path / "books"))
    journal = pq.read_table(tmp_path / "books/journal.parquet").to_pylist()
    lines = pq.read_table(tmp_path / "books/lines.parquet").to_pylist()
    assert sum(row["amount"] for row in journal) == 0
    income = sum(row["amount"] for row in journal if (row["party"], row["kind"]) == ("microsoft", "income"))
    assert -income == sum(row["amount"] for row in lines if row["payee"] == "microsoft") == D("1.86")
    assert {row["kind"] for row in journal} <= set(ROOTS)
    line, posting = lines[0], journal[0]
    assert (line.items() >= FIRST_LINE.items(), posting.items() >= FIRST_POSTING.items()) == (True, True)
    assert line["clauses"] == ["A1.share-microsoft-openai A1.md:117", "A5.ends-share-microsoft-openai A5.md:126"]
    assert "share-microsoft-openai" in line["assumptions"]
    assert posting["entry"] == f"{posting['reference']}|0|{line['receipt']}"
    assert posting["clauses"].startswith("A1 A1.share-microsoft-openai (A1.md:117;")


# Of the April bills: who bills what. Microsoft sells for 0.80 + 0.90 + 1.20, OpenAI for 2.50 + 0.22 on azure and 3.575.
@pytest.mark.parametrize(
    ("party", "billed", "effective"),
    [
        (("--party", "microsoft"), "2.90", "5.62"),  # 2.90 of its own; 2.72 of OpenAI's on azure
        (("--party", "amazon"), "0", "3.575"),  # it sells nothing and hosts the rest
        (("--party", "openai"), "6.295", "6.295"),
        ((), "9.195", "9.195"),
    ],
)
def test_a_bill_by_hand(book: Home, party: tuple[str, ...], billed: str, effective: str) -> None:
    rows = bill_of(book, "--period", "2026-04", *party)
    assert sum(D(row["BilledCost"]) for row in rows) == D(billed)
    assert sum(D(row["EffectiveCost"]) for row in rows) == D(effective)
    assert {row["PublisherName"] for row in rows} == {"openai"}
    # The same charges in 1.4.
    later = bill_of(book, "--period", "2026-04", "--focus-version", "1.4", *party)
    assert [row["BilledCost"] for row in later] == [row["BilledCost"] for row in rows]
    assert sum(D(row["EffectiveCost"]) for row in later) == D(effective)


def bill_of(book: Home, *arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(book, "focus", *arguments))))


def test_a_bill_in_1_4_names_seller_and_host(book: Home) -> None:
    rows = bill_of(book, "--period", "2026-04", "--focus-version", "1.4", "--party", "microsoft")
    hosted = {(row["ServiceProviderName"], row["HostProviderName"], row["x_HostCloud"]) for row in rows}
    assert hosted == {("microsoft", "microsoft", "azure"), ("openai", "microsoft", "azure")}
    assert not {"ProviderName", "PublisherName"} & set(rows[0])


# May by cloud, from the table of `settled_book`: tokens in and out
MAY_TOKENS = {
    "azure": (350_000, 71_000),  # 240,000 + 100,000 + 10,000 and 60,000 + 10,000 + 1,000
    "aws": (80_000, 30_000),  # 20,000 + 60,000 and 10,000 + 20,000
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_bill_in_1_4_is_the_same_usage_in_another_home(book: Home, tmp_path: Path, ending: str) -> None:
    bill, other = tmp_path / f"may.{ending}", Home(tmp_path / "other")
    exported(book, "focus", "--period", "2026-05", "--focus-version", "1.4", "--out", str(bill))
    # The second time changes nothing.
    for _ in range(2):
        done = run("usage", "import", str(bill), home=other.root)
        assert done.returncode == 0, done.stderr
    with open_lake(other) as lake:
        sums = usage_by(lake.control, ["cloud"])
    tokens = {item.key[0]: (item.units["input_tokens"], item.units["output_tokens"]) for item in sums}
    assert tokens == MAY_TOKENS


def test_an_invoice_of_a_share_is_on_no_charge_for_usage(tmp_path: Path) -> None:
    """A party that also buys usage from the other: what it owes as a share is another claim than what it used."""
    buyer = Buyer("openai", "chat", "key_2", "microsoft", "enterprise")
    home = settled_book.make(tmp_path / "home", {**settled_book.BUYERS, 2: buyer})
    for command in (
        ("books", "close", "2026-04"),
        ("books", "close", "2026-05"),
        ("books", "invoice", "--period", "2026-05", "--payer", "openai", "--payee", "microsoft"),
    ):
        done = run(*command, home=home.root)
        assert done.returncode == 0, done.stderr
    for version in ("1.2", "1.4"):
        rows = bill_of(home, "--period", "2026-05", "--party", "microsoft", "--focus-version", version)
        assert "openai" in {row["BillingAccountId"] for row in rows}
        assert {row["InvoiceId"] for row in rows} == {""}


@pytest.fixture(scope="module")
def invoiced(book: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Both months closed; OpenAI's shares invoiced month by month, May's in euro, and Microsoft's in one."""
    folder = tmp_path_factory.mktemp("invoiced")
    home = Home(Path(shutil.copytree(book.root, folder / "own")))
    rates = folder / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-05-01,EUR,USD,1.0842\n")
    in_euro = ("--currency", "EUR")
    for command in (
        ("books", "close", "2026-04"),
        ("books", "close", "2026-05"),
        ("basis", "rates", str(rates), "--why", "reference rates of May"),
        (
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
        ),
        (
            "books",
            "invoice",
            "--period",
            "2026-05",
            "--payer",
            "openai",
            "--payee",
            "microsoft",
            "--dated",
            "2026-06-03",
            *in_euro,
        ),
        (
            "books",
            "invoice",
            "--period",
            "2026-05",
            "--payer",
            "microsoft",
            "--payee",
            "openai",
            "--dated",
            "2026-06-03",
        ),
    ):
        done = run(*command, home=home.root)
        assert done.returncode == 0, done.stderr
    return home


# invoice | issuer, payer, month through which it asks | line | amount. 0.60 USD are 0.55 EUR at 1.0842.
INVOICED = [
    ("microsoft-openai-2026-04", "microsoft", "openai", "2026-04", "A1.share-openai-microsoft", "0.5", "USD"),
    ("microsoft-openai-2026-04", "microsoft", "openai", "2026-04", "A5.share-openai-microsoft", "0.76", "USD"),
    ("microsoft-openai-2026-05", "microsoft", "openai", "2026-05", "A5.share-openai-microsoft", "0.55", "EUR"),
    # April's share, invoiced with May.
    ("openai-microsoft-2026-05", "openai", "microsoft", "2026-05", "A1.share-microsoft-openai", "0.34", "USD"),
]


def test_invoices_are_records_of_invoice_detail_with_their_charges(invoiced: Home, tmp_path: Path) -> None:
    printed = exported(invoiced, "focus-invoices", "--out", str(tmp_path / "inv")).split()
    assert printed == [str(tmp_path / "inv" / name) for name in ("invoice_detail.csv", "cost_and_usage.csv")]
    details, charges = (list(csv.DictReader(io.StringIO(Path(path).read_text()))) for path in printed)
    rows = [
        (
            row["InvoiceId"],
            row["InvoiceIssuerName"],
            row["BillingAccountId"],
            row["BillingPeriodStart"][:7],
            row["InvoiceDetailId"].split(" ")[0],
            row["BilledCost"],
            row["BillingCurrency"],
        )
        for row in details
    ]
    assert rows == INVOICED
    key = ("InvoiceIssuerName", "InvoiceId", "InvoiceDetailId", "BillingPeriodStart", "BilledCost", "BillingCurrency")
    assert [[row[name] for name in key] for row in charges] == [[row[name] for name in key] for row in details]
    # The charges stand beside a bill of usage: the same columns.
    usage = bill_of(invoiced, "--period", "2026-05", "--focus-version", "1.4")
    assert list(charges[0]) == list(usage[0])
    assert {row["ChargePeriodStart"][:7] for row in charges if row["InvoiceId"] == INVOICED[3][0]} == {"2026-04"}


def test_invoices_of_a_month_and_an_issuer_as_parquet(invoiced: Home, tmp_path: Path) -> None:
    asked = ("--period", "2026-05", "--party", "microsoft", "--format", "parquet", "--out", str(tmp_path))
    exported(invoiced, "focus-invoices", *asked)
    details = pq.read_table(tmp_path / "invoice_detail.parquet")
    charges = pq.read_table(tmp_path / "cost_and_usage.parquet")
    assert details["BilledCost"].to_pylist() == charges["BilledCost"].to_pylist() == [D("0.55")]
    assert details["x_OwedUsd"].to_pylist() == [D("0.60")]
    kinds = {name: str(details.schema.field(name).type) for name in ("BilledCost", "InvoiceDetailCreated", "InvoiceId")}
    assert kinds == {
        "BilledCost": "decimal128(38, 12)",
        "InvoiceDetailCreated": "timestamp[us, tz=UTC]",
        "InvoiceId": "string",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no folder"),
        (("--out", "{out}", "--party", "amazon"), "no invoice was written by amazon"),
        (("--out", "{out}", "--period", "2026-03"), "no invoice was written through 2026-03"),
        (("--out", "{out}", "--format", "xls"), "'xls' is not a format"),
        (("--out", "/dev/null/invoices"), "cannot be written"),
    ],
)
def test_invoices_that_cannot_be_handed_over_leave_no_file(
    invoiced: Home, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    out = tmp_path / "invoices"
    done = run("export", "focus-invoices", *(argument.format(out=out) for argument in arguments), home=invoiced.root)
    assert done.returncode == 3
    assert says in done.stderr
    assert not out.exists()


def test_cached_tokens_are_on_the_bill_once(book: Home) -> None:
    rows = csv.DictReader(io.StringIO(exported(book, "focus", "--period", "2026-04", "--party", "openai")))
    azure = [row for row in rows if row["x_HostCloud"] == "azure" and row["ChargePeriodStart"].startswith("2026-04-27")]
    assert {row["SkuMeter"]: (row["ConsumedQuantity"], row["BilledCost"]) for row in azure} == {
        "Input tokens": ("20000.0", "0.05"),
        "Cached input tokens": ("80000.0", "0.02"),
        "Output tokens": ("10000.0", "0.15"),
    }


def test_a_bill_as_parquet_has_the_types_of_its_columns(book: Home, tmp_path: Path) -> None:
    out = tmp_path / "april.parquet"
    assert run("export", "focus", "--period", "2026-04", "--out", str(out), home=book.root).returncode == 0
    table = pq.read_table(out)
    text = list(csv.DictReader(io.StringIO(exported(book, "focus", "--period", "2026-04"))))
    assert table.column_names == list(text[0])
    kinds = {name: str(table.schema.field(name).type) for name in ("BilledCost", "ChargePeriodStart", "SkuId")}
    assert kinds == {
        "BilledCost": "decimal128(38, 12)",
        "ChargePeriodStart": "timestamp[us, tz=UTC]",
        "SkuId": "string",
    }
    for name in ("BilledCost", "ConsumedQuantity", "ListUnitPrice", "x_Requests"):
        assert [D(row[name]) for row in text] == table[name].to_pylist()
        # A decimal is written as one, whole or not.
        assert all("." in row[name] for row in text)
    assert [row["RegionId"] or None for row in text] == table["RegionId"].to_pylist()
    assert set(table["InvoiceId"].to_pylist()) == {None}


def test_events_are_one_an_attempt_with_its_units(book: Home) -> None:
    events = [json.loads(line) for line in exported(book, "cloudevents", "--party", "openai").splitlines()]
    assert len(events) == 7
    assert {event["type"] for event in events} == {"org.clauseway.usage.v1"}
    assert all(event["specversion"] == "1.0" and event["id"].endswith("/1") for event in events)
    assert events[1]["time"] == "2026-04-27T00:00:00Z"
    assert events[1]["data"]["units"] == {
        "input_tokens": 100_000,
        "cached_input_tokens": 80_000,
        "output_tokens": 10_000,
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("beancount", "--period", "2026-5"), "is not a month"),
        (("hledger", "--party", "nobody"), "unknown name 'nobody'"),
        (("focus",), "no period"),
        (("focus", "--period", "2026-04", "--format", "parquet"), "no file"),
        (("focus", "--period", "2026-04", "--focus-version", "1.3"), "no bill is written in FOCUS '1.3'"),
        (("focus", "--period", "2026-04", "--format", "xls"), "'xls' is not a format"),
        (("focus", "--period", "2026-04", "--out", "/no/folder/bill.parquet"), "cannot be written"),
        (("parquet",), "no folder"),
        (("parquet", "--out", "/dev/null/books"), "cannot be written"),
        (("cloudevents", "--out", "/no/folder/may.jsonl"), "cannot be written"),
        (("hledger", "--out", "/no/folder/books.journal"), "cannot be written"),
    ],
)
def test_bad_input_is_refused_in_words(book: Home, arguments: tuple[str, ...], says: str) -> None:
    done = run("export", *arguments, "--home", str(book.root))
    assert done.returncode == 3, done.stderr
    assert says in done.stderr


def test_a_bill_makes_its_rows_as_they_are_read(book: Home) -> None:
    prices, part = open_prices(settled_book.KNOWN), ExportScope(period="2026-05")
    bills: list[FocusBill] = []
    assert calls_in(lambda: bills.append(focus_bill(book, open_agreement(), prices, part)))["_row"] == 0
    assert len(bills[0]) == len([*bills[0]]) > 0


def test_a_bill_is_what_pricing_each_attempt_alone_comes_to(book: Home) -> None:
    prices, days = open_prices(settled_book.KNOWN), Interval(date(2026, 4, 1), date(2026, 6, 1))
    with open_lake(book) as lake:
        by_sums = usage_charges(lake, prices, days)
        one_by_one = summed(charges_of_each(attempts(lake, Selection(days=days)), prices))
    assert by_sums == one_by_one
    assert sum(charge.requests for charge in by_sums) == 23  # 11 requests of two units, and one with cached tokens


def charges_of_each(used: Iterable[Used], prices: PriceTable) -> Iterator[UsageCharge]:
    """The charges for single attempts, each priced alone."""
    for attempt in used:
        day, units = day_of(attempt.event_ns), dict(attempt.units)
        row = prices.row(in_context(sale_of(attempt), units), day)
        charge = charge_of(attempt, prices)
        yield from charged_units(day, attempt.organisation, attempt.project, 1, charge, row)


@pytest.mark.parametrize("form", ["beancount", "hledger", "focus", "parquet", "cloudevents"])
def test_a_month_with_nothing_in_it_is_refused_and_no_file_is_made(book: Home, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    done = run("export", form, "--period", "2026-09", "--out", str(out), home=book.root)
    assert done.returncode == 3
    said = "there is no usage in 2026-09" if form == "cloudevents" else "2026-09 is not settled"
    assert said in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("beancount", "3 entries written to {out}."),
        ("hledger", "3 entries written to {out}."),
        ("parquet", "rows written to {out}/journal.parquet."),
        ("cloudevents", "5 events written to {out}."),
    ],
)
def test_what_was_written_is_said_and_how_much(book: Home, tmp_path: Path, form: str, said: str) -> None:
    out = tmp_path / "out"
    done = run("export", form, "--period", "2026-05", "--out", str(out), home=book.root)
    assert done.returncode == 0, done.stderr
    assert said.format(out=out) in done.stderr


# Of the built-in agreement on 1 May 2026, as known then.
AGREEMENT_FILES = [
    # what is exported, each line that is said
    (
        "cedar",
        [
            "{n} terms in force written to {out}.",
            "{e} entities written to {beside}.",
            "5 declarations written to {schema}.",
        ],
    ),
    *((form, ["{n} terms in force written to {out}."]) for form in AGREEMENT_FORMATS),
]


@pytest.mark.parametrize(("form", "lines"), AGREEMENT_FILES)
def test_what_was_written_of_an_agreement_is_said_and_how_much(tmp_path: Path, form: str, lines: list[str]) -> None:
    out, beside = tmp_path / "a.txt", tmp_path / "a.entities.json"
    files = {"out": out, "beside": beside, "schema": tmp_path / "a.cedarschema"}
    flags = ("--as-of", "2026-05-01", "--known-at", "2026-05-01")
    done = run("export", form, *flags, "--out", str(out))
    states = extract(open_agreement(), "2026-05-01", "2026-05-01").force.states
    # Commitments, stakes and the like are in force too, and no format has a rule for them.
    terms = sum(state.in_force and not isinstance(state.term, Inoperative) for state in states)
    entities = len(json.loads(beside.read_text())) if beside.exists() else 0
    said = [line.format(n=terms, e=entities, **files) for line in lines]
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (0, "", said)
    assert terms > 10
    printed = run("export", form, *flags)
    assert printed.stderr == f"{terms} terms in force written to standard output.\n"
    assert printed.stdout == out.read_text()


def test_the_entities_of_an_agreement_are_counted_where_they_are_printed() -> None:
    done = run("export", "cedar", "--as-of", "2026-05-01", "--entities")
    assert done.stderr == f"{len(json.loads(done.stdout))} entities written to standard output.\n"


def test_several_agreements_say_each_file_and_how_to_join_them(tmp_path: Path) -> None:
    both: list[str] = []
    for agreement, says in (("north", "nothing more"), ("south", "east first")):
        folder = tmp_path / agreement
        folder.mkdir()
        for name, text in two_agreements.documents(agreement, says).items():
            (folder / name).write_text(text)
        both += ["--agreement", str(folder)]
    out = tmp_path / "both.rego"
    done = run("export", "rego", *both, "--as-of", "2026-06-01", "--out", str(out))
    assert done.returncode == 0, done.stderr
    files = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert len(files) == 3
    assert all(f"{tmp_path / name}." in done.stderr for name in files)
    assert "How the answers of 2 agreements are joined is written to" in done.stderr


def test_a_party_without_a_line_has_no_statement(book: Home) -> None:
    done = run("statement", "--period", "2026-05", "--party", "oracle", home=book.root)
    assert done.returncode == 3
    assert "oracle has no line in 2026-05" in done.stderr
