"""One amount due, whoever shows it; months that no close may lose; vouchers dated after what they are about.

The requests and their charges are those of `settled_book.USED`; amounts are written out.
"""

import csv
import io
import re
from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books import bookkeeping
from clauseway.app.books.closing import close_month
from clauseway.app.books.settled import journal_of, statement
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement, built_in_documents, open_agreement
from clauseway.app.reports.forecasting import look_ahead
from clauseway.app.reports.statement_formats import FORMATS
from clauseway.app.reports.statements import statement_context
from clauseway.app.reports.tracing import trace_line
from clauseway.exchange.journals.journal_tables import lines_table
from clauseway.exchange.statement_csv import statement_csv
from clauseway.ledger import Settlement, Statement, balances
from clauseway.storage import Control
from clauseway.values import InvalidInput, exact_sum
from in_process import run

PRICES = open_prices(settled_book.KNOWN)
TODAY = date(2026, 7, 1)
A1, A5 = "A1.share-openai-microsoft", "A5.share-openai-microsoft"
# 1.00 and 0.40 of openai's own sales, told after April was closed: 28 April under A5, 20 April under A1.
LATE = ((12, "04-28", 9, 1, 1, (400_000, 0, 0)), (13, "04-20", 9, 1, 1, (160_000, 0, 0)))


def agreement(folder: Path, terms: str) -> OpenAgreement:
    """The built-in agreement whose A5 share says more."""
    folder.mkdir(exist_ok=True)
    for name, text in built_in_documents("openai-microsoft").items():
        (folder / name).write_text(text.replace("cap: cap\n", f"cap: cap\n{terms}") if name == "A5.md" else text)
    return open_agreement(folder)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return settled_book.make(tmp_path / "home")


def settle(home: Home, opened: OpenAgreement, *periods: str, assume: tuple[str, ...] = ()) -> Settlement:
    accepted = [*assume, *(name for name in settled_book.ACCEPTED if name not in {a.split("=")[0] for a in assume})]
    for period in periods:
        settlement = settle_month(home, opened, PRICES, period, accepted, {})
    return settlement


def books_of(folder: Path) -> Home:
    return settled_book.sealed(folder)


def faces(home: Home, period: str, payer: str = "openai") -> dict[str, D]:
    """Return the amount that `payer` owes for a month by each face: JSON, text, HTML, CSV, and the lines of payment."""
    month = statement(home, period)
    assert month is not None
    rows = [line.split(",") for line in FORMATS["csv"](month).decode().splitlines()]
    amount, who = rows[0].index("amount_usd"), rows[0].index("payer")
    said = f"{payer} owes microsoft"
    html = re.sub(r"<[^>]+>", " ", FORMATS["html"](month).decode())
    printed = run("statement", "--period", period, "--home", str(home.root)).stdout
    return {
        "json": exact_sum(direction.total for direction in month.directions if direction.payer == payer),
        "lines": exact_sum(line.amount for line in month.lines if line.payer == payer),
        "payments": exact_sum(due.amount for due in month.dues if due.payer == payer),
        "csv": exact_sum(D(row[amount]) for row in rows[1:] if row[who] == payer),
        "html": D(re.findall(rf"{said}\s+(-?[\d.,]+)", html)[0]),
        "text": D(re.findall(rf"{said}: (-?[\d.,]+) USD", printed)[-1]),
    }


# what the agreement says of late usage → the parts of what May owes besides its share of 0.60
OWED = [("", "correction", ("0.20", "0.00")), ("late: restatement\n", "restatement", ("0.00", "0.20"))]


@pytest.mark.parametrize(("says", "kind", "parts"), OWED, ids=[case[1] for case in OWED])
def test_every_face_says_one_amount(tmp_path: Path, says: str, kind: str, parts: tuple[str, str]) -> None:
    opened = agreement(tmp_path / "agreement", f"payment: {{due-days: 30}}\nwithholding: 10 %\n{says}")
    home = books_of(tmp_path / "home")
    settle(home, opened, "2026-04")
    close_month(home, "2026-04", TODAY)
    april = bookkeeping.invoice(home, "2026-04", "openai", "microsoft", date(2026, 5, 2))
    assert str(april.total) == "1.26"
    settled_book.seal(home, LATE)
    settle(home, opened, "2026-05")
    # A5: May's own 0.60 and April's 0.20 more; A1: 0.40 × 20 % = 0.08 more of April.
    assert faces(home, "2026-05") == dict.fromkeys(("json", "lines", "payments", "csv", "html", "text"), D("0.88"))
    result = statement(home, "2026-05")
    assert result is not None
    [due] = [due for due in result.dues if due.term == A5]
    assert (str(due.share), str(due.corrections), str(due.restated)) == ("0.60", *parts)
    # 30 days after 31 May; 10 % of 0.80 is withheld
    assert (due.amount, due.due, due.withheld, due.paid) == (D("0.80"), date(2026, 6, 30), D("0.08"), D("0.72"))
    settle(home, opened, "2026-05")  # again: what was restated is not forgotten
    close_month(home, "2026-05", TODAY)
    may = bookkeeping.invoice(home, "2026-05", "openai", "microsoft", date(2026, 6, 2))
    assert may.total == D("0.88")
    assert {line.term: str(line.amount) for line in may.lines} == {A1: "0.08", A5: "0.80"}
    outcome = look_ahead(home, opened, known_at=settled_book.KNOWN, assume=(), readings={}, growth="0%")
    [ahead] = [outlook for outlook in outcome.forecast.outlooks if outlook.term == A5]
    assert str(ahead.settled) == "1.56"  # 0.76 + 0.60 + 0.20
    bookkeeping.pay(home, "bank-1", may.id, "", date(2026, 6, 30))
    assert [str(left) for invoice, left in bookkeeping.invoices(home) if invoice.id == may.id] == ["0.00"]
    assert owed(home) == D("0.00")
    # June owes nothing of April again.
    settle(home, opened, "2026-06")
    assert faces(home, "2026-06")["json"] == D("0.00")


def owed(home: Home) -> D:
    """Return the amount that the journal has as payable and not invoiced."""
    control = Control.open(home.control)
    try:
        accounts = balances(control.entries())
    finally:
        control.close()
    return -exact_sum(
        amount for account, amount in accounts.items() if str(account).startswith("openai:payable:revenue")
    )


def test_a_late_invoice_does_not_move_a_due_day(tmp_path: Path) -> None:
    opened = agreement(tmp_path / "agreement", "payment: {due-days: 30}\n")
    home = books_of(tmp_path / "home")
    settle(home, opened, "2026-04", "2026-05")
    for period in ("2026-04", "2026-05"):
        close_month(home, period, TODAY)
    # Nobody invoiced April in time: 0.76 of it is due on 30 May all the same, and May's 0.60 on 30 June.
    late = bookkeeping.invoice(home, "2026-05", "openai", "microsoft", date(2026, 6, 29))
    rows = [(line.term, str(line.amount), line.due) for line in late.lines]
    assert rows == [(A1, "0.50", None), (A5, "0.76", date(2026, 5, 30)), (A5, "0.60", date(2026, 6, 30))]
    part = bookkeeping.pay(home, "bank-1", late.id, "1.00", date(2026, 6, 30))
    assert exact_sum(amount for _, amount in part.settles) == D("1.00")


def test_a_quarter_is_one_payment(tmp_path: Path) -> None:
    opened = agreement(tmp_path / "agreement", "payment: {every: quarter, due-days: 45}\nwithholding: 5 %\n")
    home = books_of(tmp_path / "home")
    settle(home, opened, "2026-04", "2026-05", "2026-06")
    for period in ("2026-04", "2026-05", "2026-06"):
        close_month(home, period, TODAY)
    rates = tmp_path / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-05-01,EUR,USD,1.25\n")
    of = ("--home", str(home.root))
    assert run("basis", "rates", str(rates), "--why", "of May", *of).returncode == 0
    parties = ("--payer", "openai", "--payee", "microsoft")
    printed = run("books", "invoice", "--period", "2026-06", *parties, "--currency", "EUR", *of).stdout
    # April 0.76, May 0.60, June nothing; 1.36 USD are 1.09 EUR, and the parts are named as dollars.
    [(invoice, _)] = bookkeeping.invoices(home)
    [quarter] = [line for line in invoice.lines if line.term == A5]
    assert (str(quarter.owed), str(quarter.amount), quarter.due) == ("1.36", "1.09", date(2026, 8, 14))
    assert "\n    2026-04: share 0.76 USD\n    2026-05: share 0.60 USD\n" in printed
    pay = ("books", "payment", invoice.id, *of, "--id")
    # 1.86 USD are 1.49 EUR; 0.50 USD of it are 0.40 EUR.
    for reference, flags, paid in (
        (
            "a",
            ("--amount", "0.50", "--currency", "USD"),
            "0.50 USD on {}, of which 0.02 withheld; 1.09 EUR of it is open",
        ),
        ("b", ("--amount", "0.20"), "0.20 EUR on {}, of which 0.01 withheld; 0.89 EUR of it is open"),
        ("c", (), "0.89 EUR on {}, of which 0.03 withheld; it is paid"),
    ):
        assert run(*pay, reference, *flags).stdout == f"{reference}: {paid.format(invoice.id)}\n"


# Closing


def test_a_first_close_does_not_lose_the_months_before_it(home: Home) -> None:
    work = home
    with pytest.raises(InvalidInput, match="2026-04 is settled and open"):
        close_month(work, "2026-05", TODAY)


def test_a_first_close_of_a_month_after_one_that_nobody_settled(tmp_path: Path) -> None:
    home = books_of(tmp_path / "home")
    opened = open_agreement()
    settle(home, opened, "2026-05")
    with pytest.raises(InvalidInput, match="2026-05 cannot be closed: usage since 2026-04-20 is in no closed month"):
        close_month(home, "2026-05", TODAY)
    settle(home, opened, "2026-04")
    close_month(home, "2026-04", TODAY)
    close_month(home, "2026-05", TODAY)


def test_a_minimum_that_no_usage_earned_is_not_lost_either(tmp_path: Path) -> None:
    opened = agreement(tmp_path / "agreement", "floors: [{amount: USD 31, per: month}]\n")
    home = Home(tmp_path / "home").make()
    settled_book.seal(home, [sale for sale in settled_book.USED if sale[1] >= "05-01"])
    settle(home, opened, "2026-05")
    # 31.00 × 4 of April's 30 days: 4.13
    with pytest.raises(InvalidInput, match=rf"4\.13 USD is due under {A5} for the days before"):
        close_month(home, "2026-05", TODAY)


def test_usage_of_a_month_before_the_first_close_is_a_correction(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    settled_book.seal(home, [sale for sale in settled_book.USED if sale[1] >= "05-01"])
    opened = open_agreement()
    settle(home, opened, "2026-05")
    close_month(home, "2026-05", TODAY)
    settled_book.seal(home, [settled_book.USED[4]])  # 3.575 of 28 April: 20 % is 0.715
    june = settle(home, opened, "2026-06")
    assert [(correction.period.begin, correction.old, correction.new) for correction in june.corrections] == [
        (date(2026, 4, 1), D(0), D("0.72"))
    ]
    assert june.corrections[0].causes == ("usage of a month before the first that was closed",)
    # 0.60 of May, 0.72 of April, and 6.59 × 20 % = 1.318 → 1.32 in all
    assert [str(share.share_after) for share in june.shares if share.term == A5] == ["1.32"]


# Vouchers


def credit(home: Home, day: date) -> None:
    sold = bookkeeping.Sold(request=settled_book.request(5))
    bookkeeping.credit(home, lambda: PRICES, bookkeeping.VoucherDraft(id="note-1", sold=sold, day=day))


def dispute(home: Home, day: date) -> None:
    sold = bookkeeping.Sold(request=settled_book.request(5))
    bookkeeping.dispute(home, lambda: PRICES, bookkeeping.VoucherDraft(id="claim-1", sold=sold, day=day))


def test_vouchers_are_not_dated_before_what_they_are_about(home: Home) -> None:
    close_month(home, "2026-04", TODAY)
    before = r"is dated {}, before "
    with pytest.raises(InvalidInput, match="note-1 " + before.format("2026-04-27") + "the sale of 2026-04-28"):
        credit(home, date(2026, 4, 27))
    with pytest.raises(InvalidInput, match="claim-1 " + before.format("2026-04-27") + "the sale of 2026-04-28"):
        dispute(home, date(2026, 4, 27))
    dispute(home, date(2026, 4, 28))
    with pytest.raises(InvalidInput, match="answer-1 " + before.format("2026-04-27") + "claim-1 of 2026-04-28"):
        bookkeeping.resolve(home, "answer-1", "claim-1", upheld=True, day=date(2026, 4, 27), reason="")
    with pytest.raises(InvalidInput, match=before.format("2026-04-29") + "2026-04-30, through which it asks"):
        bookkeeping.invoice(home, "2026-04", "openai", "microsoft", date(2026, 4, 29))
    april = bookkeeping.invoice(home, "2026-04", "openai", "microsoft", date(2026, 5, 2))
    with pytest.raises(InvalidInput, match="bank-1 " + before.format("2026-05-01") + f"{april.id} of 2026-05-02"):
        bookkeeping.pay(home, "bank-1", april.id, "1.00", date(2026, 5, 1))
    bookkeeping.pay(home, "bank-1", april.id, "1.00", date(2026, 5, 3))
    with pytest.raises(InvalidInput, match="back-1 " + before.format("2026-05-02") + "bank-1 of 2026-05-03"):
        bookkeeping.reverse(home, "back-1", "bank-1", date(2026, 5, 2), "")


def test_a_payment_is_reversed_by_a_voucher_of_its_own(home: Home) -> None:
    close_month(home, "2026-04", TODAY)
    april = bookkeeping.invoice(home, "2026-04", "openai", "microsoft", date(2026, 5, 2))
    bookkeeping.pay(home, "bank-1", april.id, "1.00", date(2026, 5, 3))
    at = ("--home", str(home.root))
    done = run(
        "books",
        "payment",
        "--reverse",
        "bank-1",
        "--id",
        "back-1",
        "--dated",
        "2026-05-04",
        "--reason",
        "returned",
        *at,
    )
    assert done.stdout == "back-1: bank-1 reversed, 1.00 USD of microsoft-openai-2026-04 is open again\n"
    assert [str(left) for _, left in bookkeeping.invoices(home)] == ["1.26"]
    legs = list(journal_of(home, "microsoft", account="bank"))
    # 1.00 on 0.50 and 0.76: 0.40 and 0.60, there and back.
    amounts = ("0.40", "0.60", "-0.40", "-0.60")
    assert [str(leg.leg.posting.amount) for leg in legs] == list(amounts)
    assert str(legs[-1].balance) == "0.00"
    # Twice the same is once; a reversed payment is not reversed by another; what is open can be paid again.
    bookkeeping.reverse(home, "back-1", "bank-1", date(2026, 5, 4), "returned")
    with pytest.raises(InvalidInput, match="bank-1 is reversed: back-1 did it"):
        bookkeeping.reverse(home, "back-2", "bank-1", date(2026, 5, 4), "")
    with pytest.raises(InvalidInput, match="no payment is called 'bank-9'"):
        bookkeeping.reverse(home, "back-3", "bank-9", date(2026, 5, 4), "")
    bookkeeping.pay(home, "bank-2", april.id, "", date(2026, 5, 5))
    assert [str(left) for _, left in bookkeeping.invoices(home)] == ["0.00"]


# The working of a line


def rates_in_files(statement: Statement) -> list[tuple[str, tuple[str, str, float | None]]]:
    """Each line's rate, as CSV, the pages and Parquet have it."""
    rows = csv.DictReader(io.StringIO(statement_csv(statement)))
    sections = statement_context(statement).sections
    shown = {line.id: line.rate for section in sections for line in section.lines}
    table = lines_table([statement]).to_pylist()
    return [
        (row["line"], (row["rate"], shown[row["line"]], kept["rate"])) for row, kept in zip(rows, table, strict=True)
    ]


def test_a_minimum_is_explained_by_what_is_lacking(tmp_path: Path) -> None:
    folder = tmp_path / "agreement"
    opened = agreement(folder, "floors: [{amount: USD 5, per: month}]\n")
    home = books_of(tmp_path / "home")
    settle(home, opened, "2026-04", "2026-05")
    may = statement(home, "2026-05")
    assert may is not None
    [line] = [line for line in may.lines if line.product == "minimum"]
    # No rate gives what is lacking.
    assert [rate for of, rate in rates_in_files(may) if of == line.id] == [("", "–", None)]
    shown = run("statement", "explain", line.id, "--home", str(home.root))
    assert "is 0.00" not in shown.stdout
    # May's share of 3.015 is 0.60: 4.40 are lacking to 5.00
    assert "4.40 is lacking to the minimum of May 2026" in " ".join(shown.stdout.split())


def test_a_line_by_bands_is_explained_by_its_bands(tmp_path: Path) -> None:
    folder = tmp_path / "agreement"
    opened = agreement(folder, "tiers: [{above: USD 4, rate: 10 %}]\n")
    home = books_of(tmp_path / "home")
    settle(home, opened, "2026-04", "2026-05")
    may = statement(home, "2026-05")
    assert may is not None
    assert {rate for _, rate in rates_in_files(may)} == {("", "by bands", None)}
    for line in may.lines:
        trace = trace_line(home, line.id)
        assert trace.line == line
        shown = run("statement", "explain", line.id, "--home", str(home.root)).stdout
        if line.product == "gpt-5.5":
            # 0.80, all of it above 4.00 of the cumulative base: 10 % is 0.08
            assert "at 20 %, 10 % above 4.00 of the cumulative base 0.80 is 0.08" in " ".join(shown.split())


def test_a_share_that_a_milestone_ended_is_not_explained_by_usage(home: Home) -> None:
    close_month(home, "2026-04", TODAY)
    may = settle(home, open_agreement().supposing(["milestone=2026-04-21"]), "2026-05")
    assert [correction.causes for correction in may.corrections] == [
        ("amended fact: in force on 2026-04-01 to 2026-04-20, no longer to 2026-04-26",)
    ]


# The forecast


def test_a_forecast_at_another_rate_leaves_the_settled_months_alone(home: Home) -> None:
    def ahead(*assume: str) -> list[tuple[str, D, D, D]]:
        named = {assumption.split("=")[0] for assumption in assume}
        accepted = [*assume, *(name for name in settled_book.ACCEPTED if name not in named)]
        result = look_ahead(
            home, open_agreement(), known_at=settled_book.KNOWN, assume=accepted, readings={}, growth="0%", through=2026
        )
        [outlook] = [item for item in result.forecast.outlooks if item.term == A5]
        assert outlook.saved == 0
        assert exact_sum(year.due.mid for year in outlook.years) == outlook.months[-1].due.mid
        return [(month.month, month.due.mid, month.uncapped.mid, outlook.settled) for month in outlook.months[:3]]

    # May's base of 3.015 again in June: 20 % of 9.825 is 1.965 → 1.96; at 40 % June is 1.206 → 1.36 + 1.21
    assert [str(month[1]) for month in ahead()] == ["0.76", "1.36", "1.96"]
    assert [str(month[1]) for month in ahead("share-openai-microsoft=40%")] == ["0.76", "1.36", "2.57"]
    assert {str(month[3]) for month in ahead("share-openai-microsoft=40%")} == {"1.36"}
