"""Two settled months closed, and then what comes late: usage, credits, disputes, payments. Amounts as an accountant
would write them; the requests and their charges are those of `settled_book.USED`.
"""

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal as D
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books import bookkeeping
from clauseway.app.books.basis import basis_of, change_figures, change_prices, change_rates
from clauseway.app.books.closing import close_month, closed_months
from clauseway.app.books.settled import journal_of, statement
from clauseway.app.books.settling import Settler, settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.list_prices import list_book
from clauseway.app.reports.equivocation import VerifiedFile, equivocations, restating_others
from clauseway.app.reports.handed_statements import HandedStatement
from clauseway.app.reports.packing import pack_month
from clauseway.app.reports.verifying import verify_statement
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.journals.journal_tables import lines_table
from clauseway.ledger import Settlement, Statement, balances, statement_of
from clauseway.ledger.statement import canonical_bytes
from clauseway.storage import Control
from clauseway.storage.books.books import Books
from clauseway.storage.books.losses import Loss, Losses
from clauseway.storage.control.actor import acting
from clauseway.storage.lake.lake import Lake
from clauseway.values import InvalidInput, exact_sum
from in_process import answer, run

PRICES = open_prices(settled_book.KNOWN)
TODAY = date(2026, 7, 1)
A5, A1 = "A5.share-openai-microsoft", "A1.share-openai-microsoft"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return settled_book.make(tmp_path / "home")


def settle(home: Home, period: str) -> Settlement:
    return settle_month(home, open_agreement(), PRICES, period, settled_book.ACCEPTED, {})


def close(home: Home, *periods: str) -> None:
    for period in periods:
        close_month(home, period, TODAY)


def seal(home: Home, *rows: tuple[int, str, int, int, int, tuple[int, int, int]]) -> None:
    settled_book.seal(home, rows)


def balance(home: Home, account: str) -> str:
    control = Control.open(home.control)
    try:
        amounts = {str(key): amount for key, amount in balances(control.entries()).items()}
    finally:
        control.close()
    assert exact_sum(amounts.values()) == 0
    return str(amounts[account])


def totals(settlement: Settlement) -> dict[str, str]:
    return {share.term: str(share.amount) for share in settlement.shares}


def bytes_of(home: Home, period: str) -> bytes:
    month = statement(home, period)
    assert month is not None
    return canonical_bytes(month)


# Sold by openai under A5: 0.22 + 3.575 = 3.795 in April, 1.50 + 0.22 + 0.495 + 0.80 = 3.015 in May.
def test_months_are_closed_in_order_and_once(home: Home) -> None:
    before = bytes_of(home, "2026-04")
    with pytest.raises(InvalidInput, match="2026-04 is settled and open"):
        close(home, "2026-05")
    close(home, "2026-04")
    first = closed_months(home)
    close(home, "2026-04")
    assert closed_months(home) == first
    assert first[0][0].statement == before == bytes_of(home, "2026-04")
    with pytest.raises(InvalidInput, match=r"2026-04 is closed: .* Settle 2026-05"):
        settle(home, "2026-04")


# what is missing → why it is not closed
def test_what_cannot_be_closed(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="it lasts through 2026-05-31"):
        close_month(home, "2026-05", date(2026, 5, 31))
    with pytest.raises(InvalidInput, match="it is not settled"):
        close(Home(tmp_path / "other"), "2026-04")
    seal(home, (12, "04-28", 9, 1, 1, (400_000, 0, 0)))
    with pytest.raises(InvalidInput, match="usage came after it was settled"):
        close(home, "2026-04")
    settle(home, "2026-04")
    note(home, "note-1", 5, "0.50")
    with pytest.raises(InvalidInput, match="credits or disputes were recorded after"):
        close(home, "2026-04")


def test_a_month_is_closed_once_it_has_seen_the_usage_of_earlier_months(tmp_path: Path) -> None:
    """A cap of 0.90 at 20 %. As settled first: April 20 % of 3.795 = 0.76, so May 0.14 of its 0.60."""

    capped = Home(tmp_path / "home").make()

    def settled(period: str) -> tuple[str, str]:
        accepted = (*settled_book.ACCEPTED[:2], "cap=0.90")
        settlement = settle_month(capped, open_agreement(), PRICES, period, accepted, {})
        [share] = [share for share in settlement.shares if share.term == A5]
        return str(share.share_before), str(share.amount)

    seal(capped, *settled_book.USED)
    assert [settled("2026-04"), settled("2026-05")] == [("0.00", "0.76"), ("0.76", "0.14")]
    # 0.4 × 2.50 = 1.00 on 28 April: 20 % of 4.795 = 0.96, of which 0.90 is due. April is settled again.
    seal(capped, (12, "04-28", 9, 1, 1, (400_000, 0, 0)))
    assert settled("2026-04") == ("0.00", "0.90")
    close(capped, "2026-04")
    with pytest.raises(InvalidInput, match="2026-05 cannot be closed: usage of an earlier month came after"):
        close(capped, "2026-05")
    assert settled("2026-05") == ("0.90", "0.00")
    close(capped, "2026-05")
    assert str(bookkeeping.invoice(capped, "2026-05", "openai", "microsoft").lines[-1].amount) == "0.90"


def note(home: Home, name: str, request: int, amount: str = "") -> None:
    sold = bookkeeping.Sold(request=settled_book.request(request))
    bookkeeping.credit(
        home, lambda: PRICES, bookkeeping.VoucherDraft(id=name, sold=sold, amount=amount, day=date(2026, 6, 3))
    )


def test_late_usage_is_a_correction_in_the_open_month(home: Home) -> None:
    close(home, "2026-04")
    kept = bytes_of(home, "2026-04")
    # 0.4 × 2.50 = 1.00 on 28 April, known in June; 0.12 × 2.50 = 0.30 on 3 May
    seal(home, (12, "04-28", 9, 1, 1, (400_000, 0, 0)), (13, "05-03", 9, 1, 1, (120_000, 0, 0)))
    may = settle(home, "2026-05")
    # A5, April: 20 % of 3.795 = 0.759 → 0.76; of 4.795 = 0.959 → 0.96
    (change,) = [correction for correction in may.corrections if correction.amount]
    assert (change.period.begin, change.term) == (date(2026, 4, 1), A5)
    assert (str(change.old), str(change.new), str(change.amount)) == ("0.04", "0.24", "0.20")
    assert (str(change.new_base - change.old_base), change.new_requests - change.old_requests) == ("1.000000000000", 1)
    assert change.causes == ("late usage: 1 request more",)
    # May's own: 20 % of 4.795 + 3.315 = 8.11 is 1.622 → 1.62; less 0.96
    assert totals(may) == {A5: "0.66"}
    printed = statement(home, "2026-05")
    assert printed is not None
    assert {(direction.payer, direction.total) for direction in printed.directions} == {
        ("openai", D("0.86")),
        ("microsoft", 0),
    }
    assert bytes_of(home, "2026-04") == kept
    # In the books: A1's 0.50 of April, 0.76, 0.20 and 0.66 of A5.
    assert balance(home, "openai:payable:revenue-share:microsoft") == "-2.12"


def test_settling_again_posts_nothing_and_a_closed_correction_is_not_made_again(home: Home) -> None:
    close(home, "2026-04")
    seal(home, (12, "04-28", 9, 1, 1, (400_000, 0, 0)))
    first = settle(home, "2026-05")
    count = len(entries(home))
    assert settle(home, "2026-05") == first
    assert len(entries(home)) == count
    close(home, "2026-05")
    june = settle(home, "2026-06")
    assert june.corrections == ()
    # A second late request of April: the correction counts from the first one.
    seal(home, (13, "04-29", 9, 1, 1, (200_000, 0, 0)))
    june = settle(home, "2026-06")
    assert {
        str(correction.amount) for correction in june.corrections if correction.period.begin == date(2026, 4, 1)
    } == {"0.10"}


def entries(home: Home) -> list[str]:
    control = Control.open(home.control)
    try:
        return [entry.id for entry in control.entries()]
    finally:
        control.close()


def test_a_credit_of_a_closed_month(home: Home) -> None:
    close(home, "2026-04")
    note(home, "note-1", 5)  # 3.575 of 28 April, on aws
    may = settle(home, "2026-05")
    changed = {
        correction.line.split("|")[2]: (str(correction.amount), correction.causes) for correction in may.corrections
    }
    assert changed["aws"] == ("-0.72", ("credit or dispute: -3.575 of base",))
    # Told again it changes nothing; told otherwise it is refused; more than was charged is refused.
    note(home, "note-1", 5)
    assert settle(home, "2026-05") == may
    with pytest.raises(InvalidInput, match="'note-1' is taken"):
        note(home, "note-1", 5, "1.00")
    with pytest.raises(InvalidInput, match="nothing is left of that sale"):
        note(home, "note-2", 5, "0.01")
    with pytest.raises(InvalidInput, match="no request"):
        note(home, "note-2", 999)


def test_a_dispute_waits_in_an_account_of_its_own(home: Home) -> None:
    sold = bookkeeping.Sold(day=date(2026, 5, 3), seller="openai", cloud="azure", product="gpt-5.5")
    bookkeeping.dispute(
        home,
        lambda: PRICES,
        bookkeeping.VoucherDraft(id="claim-1", sold=sold, day=date(2026, 6, 1), reason="never asked for"),
    )
    may = settle(home, "2026-05")
    # 20 % of 3.795 + 3.015 − 0.80 = 6.01 is 1.202 → 1.20, less 0.76; undisputed 1.362 → 1.36
    assert totals(may) == {A5: "0.44"}
    assert exact_sum(voucher.amount for voucher in may.disputed) == D("0.16")
    assert balance(home, "openai:payable:disputed:microsoft") == "-0.16"
    assert balance(home, "openai:expense:revenue-share:microsoft") == "1.86"  # 0.50 + 0.76 + 0.60
    bookkeeping.resolve(home, "answer-1", "claim-1", upheld=False, day=date(2026, 6, 2), reason="it was")
    assert totals(settle(home, "2026-05")) == {A5: "0.60"}
    assert balance(home, "openai:payable:disputed:microsoft") == "0.00"
    with pytest.raises(InvalidInput, match="claim-1 is resolved: answer-1 rejected it"):
        bookkeeping.resolve(home, "answer-2", "claim-1", upheld=True, day=date(2026, 6, 2), reason="")


def test_a_dispute_over_a_close_is_resolved_in_the_open_month(home: Home) -> None:
    sold = bookkeeping.Sold(request=settled_book.request(5))
    bookkeeping.dispute(home, lambda: PRICES, bookkeeping.VoucherDraft(id="claim-1", sold=sold, day=date(2026, 5, 1)))
    settle(home, "2026-04")
    assert balance(home, "microsoft:receivable:disputed:openai") == "0.72"
    close(home, "2026-04")
    settle(home, "2026-05")
    bookkeeping.resolve(home, "answer-1", "claim-1", upheld=True, day=date(2026, 6, 2), reason="")
    may = settle(home, "2026-05")
    assert [correction.causes for correction in may.corrections] == [("a dispute was resolved",)]
    assert balance(home, "microsoft:receivable:disputed:openai") == "0.00"
    assert (
        balance(home, "microsoft:income:revenue-share:openai") == "-1.15"
    )  # 0.50 + 0.04, and 20 % of 3.235 is 0.65, less 0.04


def test_invoices_and_payments(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="2026-04 is open"):
        bookkeeping.invoice(home, "2026-04", "openai", "microsoft", TODAY)
    close(home, "2026-04")
    april = bookkeeping.invoice(home, "2026-04", "openai", "microsoft", TODAY)
    assert {line.term: str(line.amount) for line in april.lines} == {A1: "0.50", A5: "0.76"}
    assert bookkeeping.invoice(home, "2026-04", "openai", "microsoft", TODAY) == april
    assert balance(home, "openai:payable:revenue-share:microsoft") == "-0.60"  # May's, not invoiced
    assert balance(home, "openai:payable:invoiced:microsoft") == "-1.26"

    bookkeeping.pay(home, "bank-1", april.id, "1.00", TODAY)
    bookkeeping.pay(home, "bank-1", april.id, "1.00", TODAY)
    assert balance(home, "openai:payable:invoiced:microsoft") == "-0.26"
    with pytest.raises(InvalidInput, match="more than is open"):
        bookkeeping.pay(home, "bank-2", april.id, "0.27", TODAY)
    rates = tmp_path / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-06-30,EUR,USD,1.0842\n")
    change_rates(home, "reference rates of June", rates)
    # 0.24 EUR are 0.260208 → 0.26 USD
    paid = bookkeeping.pay(home, "bank-2", april.id, "0.24", TODAY, "EUR")
    assert (str(paid.amount), str(paid.rounding)) == ("0.24", "0.00")
    assert balance(home, "openai:payable:invoiced:microsoft") == "0.00"
    # Told again it stands as it was booked, though another rate holds by now.
    rates.write_text("day,base,quote,rate\n2026-06-30,EUR,USD,1.09\n")
    change_rates(home, "a misprint", rates)
    assert bookkeeping.pay(home, "bank-2", april.id, "0.24", TODAY, "EUR") == paid
    with pytest.raises(InvalidInput, match="'bank-2' is taken"):
        bookkeeping.pay(home, "bank-2", april.id, "0.23", TODAY, "EUR")
    legs = list(journal_of(home, "microsoft", account="bank"))
    assert {leg.leg.posting.currency: str(leg.balance) for leg in legs} == {"USD": "1.00", "EUR": "0.24"}
    assert [(invoice.id, str(left)) for invoice, left in bookkeeping.invoices(home)] == [(april.id, "0.00")]


def test_an_invoice_that_is_asked_for_otherwise_is_refused_and_stands(home: Home, tmp_path: Path) -> None:
    close(home, "2026-04")
    rates = tmp_path / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-06-01,EUR,USD,1.0842\n")
    change_rates(home, "reference rates of June", rates)
    april = bookkeeping.invoice(home, "2026-04", "openai", "microsoft", TODAY)
    asked = ("2026-04", "openai", "microsoft")
    earlier = date(2026, 6, 5)
    with pytest.raises(InvalidInput, match=f"it is dated {TODAY}, not 2026-06-05; it is in USD, not EUR"):
        bookkeeping.invoice(home, *asked, earlier, currency="EUR")
    with pytest.raises(InvalidInput, match="pays it too: clauseway books payment --currency"):
        bookkeeping.invoice(home, *asked, currency="EUR")
    with pytest.raises(InvalidInput, match=r"it is payee microsoft, not amazon.*an id of its own with --id"):
        bookkeeping.invoice(home, "2026-04", "openai", "amazon", identity=april.id)
    # The same again, whether or not it says what holds without saying it.
    for again in (
        bookkeeping.invoice(home, *asked),
        bookkeeping.invoice(home, *asked, TODAY),
        bookkeeping.invoice(home, *asked, TODAY, april.id, "USD"),
    ):
        assert again == april
    assert [written for written, _ in bookkeeping.invoices(home)] == [april]


def test_an_invoice_in_euros_is_the_same_again_without_its_currency(home: Home, tmp_path: Path) -> None:
    close(home, "2026-04")
    rates = tmp_path / "rates.csv"
    rates.write_text("day,base,quote,rate\n2026-06-01,EUR,USD,1.0842\n")
    change_rates(home, "reference rates of June", rates)
    asked = ("2026-04", "openai", "microsoft")
    april = bookkeeping.invoice(home, *asked, TODAY, currency="EUR")
    assert bookkeeping.invoice(home, *asked) == april
    with pytest.raises(InvalidInput, match="it is in EUR, not USD"):
        bookkeeping.invoice(home, *asked, currency="USD")


RESTATING = ("A5.md", "cap: cap\n", "cap: cap\nlate: restatement\n")


def signed_by_openai(*statements: Statement) -> list[VerifiedFile]:
    return [
        VerifiedFile(named=str(number), statement=stated, signed_by=("openai",))
        for number, stated in enumerate(statements)
    ]


def closed_settlement(home: Home) -> Settlement:
    with open_lake(home) as lake:
        books = Books(lake.control)
        [receipt] = books.closed_receipts().values()
        return books.settlement(receipt)


def test_late_usage_restates_where_the_agreement_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "agreement"
    folder.mkdir()
    built_in = Path(settled_book.__file__).parents[1] / "src/clauseway/agreement/builtin/openai-microsoft"
    for file in built_in.glob("*.md"):
        name, old, new = RESTATING
        text = file.read_text("utf-8")
        (folder / file.name).write_text(text.replace(old, new) if file.name == name else text, "utf-8")
    opened = open_agreement(folder)
    home = settled_book.sealed(tmp_path / "home")

    def settled(period: str) -> Settlement:
        return settle_month(home, opened, PRICES, period, settled_book.ACCEPTED, {})

    april = settled("2026-04")
    close(home, "2026-04")
    kept = bytes_of(home, "2026-04")
    seal(home, (12, "04-28", 9, 1, 1, (400_000, 0, 0)), (13, "04-20", 9, 1, 1, (400_000, 0, 0)))
    may = settled("2026-05")
    # A1 says nothing of late usage: 1.00 more of 20 April is a correction. A5 restates April.
    assert {(correction.term, str(correction.amount)) for correction in may.corrections} == {(A1, "0.20")}
    ((closed, (restated,)),) = closed_months(home)
    assert (restated.restates, closed.statement) == (april.receipt, kept)
    assert {share.term: str(share.amount) for share in restated.shares if share.payer == "openai"} == {
        A1: "0.50",
        A5: "0.96",
    }
    assert {(change.term, str(change.old), str(change.new), change.causes) for change in restated.changes} == {
        (A5, "0.04", "0.24", ("late usage: 1 request more",))
    }
    assert bytes_of(home, "2026-04") == kept
    [listed] = answer("books", "close", home=home.root)
    digests = {"receipt": april.receipt, "statement": hashlib.sha256(kept).hexdigest()}
    assert listed == {"period": "2026-04", **digests, "restated_by": [restated.receipt]}
    assert run("books", "close", home=home.root).stdout.splitlines() == [
        f"2026-04  receipt {april.receipt}  statement {digests['statement']}",
        f"         restated by {restated.receipt}, 1 line",
    ]
    assert answer("books", "close", "2026-04", home=home.root) == {"period": "2026-04", **digests, "closed_now": False}
    again = statement(home, "2026-04", restated=True)
    assert again is not None
    assert again.receipt == restated.receipt
    assert verify_statement(home, again).same
    assert verify_statement(home, statement_of(restated, "microsoft")).same
    forged = msgspec.structs.replace(restated, receipt=closed.receipt)
    assert not verify_statement(home, statement_of(forged)).same
    restated_file = HandedStatement(format="json", content=canonical_bytes(again), statement=again)
    with pytest.raises(InvalidInput, match="restates a closed month"):
        pack_month(home, "2026-04", tmp_path / "april.pack", given=restated_file)
    # It stands beside the statement that it restates; another one that restates the same does not.
    first = statement(home, "2026-04")
    assert first is not None
    assert equivocations(signed_by_openai(first, again)) == []
    [told_otherwise] = equivocations(signed_by_openai(first, again, statement_of(forged)))
    assert told_otherwise.named == ("1", "2")
    # Beside a statement with other amounts, it restates another one than that.
    [last] = [share for share in april.shares if share.term == A5]
    dearer = tuple(msgspec.structs.replace(line, amount=line.amount + 1) for line in last.lines)
    shares = (*(each for each in april.shares if each != last), msgspec.structs.replace(last, lines=dearer))
    another = statement_of(msgspec.structs.replace(april, shares=shares), "microsoft")
    for beside, gaps in (
        ((first, again), []),
        ((again, statement_of(restated, "microsoft")), []),
        (
            (another, again),
            ["1 restates other amounts of 2026-04 than 0 states: ask for the statement that it restates."],
        ),
        ((another, first, again), []),
    ):
        assert restating_others(signed_by_openai(*beside)) == gaps
    # A statement for a party of which nothing changed says too that it restates the month.
    unchanged = statement_of(restated, "amazon")
    assert (unchanged.restates, unchanged.is_restatement) == ("2026-04", True)
    assert verify_statement(home, unchanged).same
    for other in (statement_of(closed_settlement(home), "amazon"), again):
        assert equivocations(signed_by_openai(other, unchanged)) == []
    assert settled("2026-05") == may
    exported = lines_table([statement_of(may)]).to_pylist()
    rows = [(row["term"], str(row["amount"].quantize(D("0.01"))), row["corrects"], row["restates"]) for row in exported]
    assert rows[-2:] == [(A1, "0.20", "2026-04", ""), (A5, "0.20", "", "2026-04")]
    assert balance(home, "openai:payable:revenue-share:microsoft") == "-2.26"  # 0.50 + 0.96 + 0.20 + 0.60
    control = Control.open(home.control)
    assert len(Books(control).restatements(closed.period)) == 1
    control.close()


def test_another_agreement_than_the_month_was_closed_with_is_refused(home: Home, tmp_path: Path) -> None:
    close(home, "2026-04")
    other = open_agreement(Path(settled_book.__file__).parents[1] / "src/clauseway/agreement/builtin/template")
    with pytest.raises(InvalidInput):
        settle_month(home, other, PRICES, "2026-05", (), {})


# The prices of `settled_book.USED` as an auditor would copy them: USD per million of input, cached input and output.
PLAIN = """
with attempts as (
    select distinct on (request_id, attempt) * from read_parquet($files) where status < 3 order by status
), prices(product, cloud, fresh, cached, output) as (
    values ('gpt-5.4', 'azure', 2.50, 0.25, 15.00), ('gpt-5.4', 'aws', 2.75, 0.275, 16.50),
           ('gpt-5.5', 'azure', 5.00, 0.50, 30.00)
), sales as (
    select event_day, seller, event_ns, request_id,
           ((input_tokens - coalesce(cached_input_tokens, 0))::decimal(18) * fresh::decimal(18, 6)
             + coalesce(cached_input_tokens, 0)::decimal(18) * cached::decimal(18, 6)
             + output_tokens::decimal(18) * output::decimal(18, 6))::decimal(38, 12) as micro
    from attempts join prices using (product, cloud)
)
select case when event_day < date '2026-04-27' then 'A1' else 'A5' end as terms, seller, month(event_day) as month,
       sum(micro)::decimal(38, 6)::varchar
from sales group by all order by all
"""


def test_plain_sql_over_the_lake_comes_to_the_same_shares(home: Home) -> None:
    seal(home, (12, "04-28", 9, 1, 1, (400_000, 0, 0)), (13, "05-03", 9, 2, 1, (120_000, 0, 7)))
    with open_lake(home) as lake:
        files = [str(file) for file in lake.files()]
    rows = duckdb.connect().execute(PLAIN, {"files": files}).fetchall()
    base = {(terms, seller, number): Fraction(micro) / 10**6 for terms, seller, number, micro in rows}
    april, may = settle(home, "2026-04"), settle(home, "2026-05")

    def share(*bases: Fraction) -> Fraction:
        return Fraction(round(sum(bases, Fraction(0)) * 20), 100)

    openai = [base["A5", "openai", number] for number in (4, 5)]
    assert {share.term: Fraction(share.amount) for share in april.shares} == {
        A1: share(base["A1", "openai", 4]),
        "A1.share-microsoft-openai": share(base["A1", "microsoft", 4]),
        A5: share(openai[0]),
    }
    assert {share.term: Fraction(share.amount) for share in may.shares} == {A5: share(*openai) - share(openai[0])}
    assert [Fraction(share.base) for share in may.shares] == [openai[1]]
    # The same under a cap of 1.00, of which April takes 0.96.
    change_figures(home, "to see a cap reached", ["cap=1.00"])
    capped = settle_month(home, open_agreement(), PRICES, "2026-05", (), {})
    assert [Fraction(share.amount) for share in capped.shares] == [1 - share(openai[0])]
    reached = capped.shares[0].cap
    assert reached is not None
    assert reached.reached is not None
    # 20 % of 4.795 + 0.205 is 1.00: the first request of 2 May, of 1.50, goes beyond it.
    assert reached.reached.request_id == settled_book.request(7)


# Knowledge that came only after April was closed → the April lines it changes, by cloud or payer, and why
LATER: list[tuple[str, str, dict[str, str], str]] = [
    # gpt-5.4 on aws at 3.00 for input, 1,000,000 tokens: 0.25 more of base, 0.05 of share
    (
        "price",
        "gpt-5.4,aws,,,input_tokens,2026-04-01,,2026-04-01,3.00,a late notice\n"
        "gpt-5.4,aws,,,cached_input_tokens,2026-04-01,,2026-04-01,0.275,as listed\n"
        "gpt-5.4,aws,,,output_tokens,2026-04-01,,2026-04-01,16.50,as listed",
        {A5: "0.05"},
        "(book.csv › prices.csv › {list}), because the notice came late: +0.25 of base",
    ),
    # 25 % of 3.795 is 0.949, so 0.19 more; of 2.50, 0.12 or 0.13 more
    (
        "assumption",
        "share-openai-microsoft=25%",
        {A1: "0.12", A5: "0.19"},
        "assumption share-openai-microsoft: 20 % → 25% changed by {who} on {today} (25%), "
        "because it was agreed otherwise",
    ),
    # the old shares end on 21 April: of microsoft's 0.80 and 0.90 the second falls out
    ("fact", "milestone=2026-04-21", {"A1.share-microsoft-openai": "-0.18"}, "amended"),
]


def test_usage_that_is_lost_while_a_month_is_closed_keeps_it_open(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is served seals beside the close, which reads the files of the month, however large."""
    read = Lake.files

    def lose_meanwhile(lake: Lake, *asked: Any) -> list[Path]:
        loss = Loss(
            spool="gateway-1",
            segment=2,
            first_frame=0,
            end_frame=-1,
            reason="the segment is gone",
            first_day=date(2026, 4, 29),
            last_day=date(2026, 4, 29),
            lost_ns=1,
        )
        Losses(lake.control).record([loss])
        return read(lake, *asked)

    monkeypatch.setattr(Lake, "files", lose_meanwhile)
    with pytest.raises(InvalidInput, match="usage of 2026-04-29 may be lost"):
        close(home, "2026-04")
    assert closed_months(home) == []


def test_a_book_that_is_accepted_during_the_first_settlement_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = settled_book.sealed(tmp_path / "home")
    book = tmp_path / "book.csv"
    book.write_text(
        "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
        "gpt-5.4,aws,openai,,input_tokens,2026-04-27,,2026-04-27,3,a letter\n"
    )
    count = Settler.settle

    def accept_meanwhile(settler: Settler, *asked: Any) -> Settlement:
        change_prices(home, "the contract says so", file=book, of_this_version=False, alone=False)
        return count(settler, *asked)

    monkeypatch.setattr(Settler, "settle", accept_meanwhile)
    with pytest.raises(InvalidInput, match="another price book than this home holds"):
        settle(home, "2026-04")
    assert statement(home, "2026-04") is None
    assert basis_of(home).of("prices")[0].label.startswith("book.csv")


@pytest.mark.parametrize(("what", "said", "moved", "why"), LATER, ids=[row[0] for row in LATER])
def test_what_else_is_known_later(
    home: Home, tmp_path: Path, what: str, said: str, moved: dict[str, str], why: str
) -> None:
    close(home, "2026-04")
    opened, prices, accepted = open_agreement(), PRICES, list(settled_book.ACCEPTED)
    if what == "price":
        book = tmp_path / "book.csv"
        header = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
        book.write_text(f"{header}{said}\n", "utf-8")
        change_prices(home, "the notice came late", file=book, of_this_version=False, alone=False)
        prices = open_prices(settled_book.KNOWN, book)
    elif what == "assumption":
        change_figures(home, "it was agreed otherwise", [said])
        accepted = accepted[1:]
    else:
        opened = opened.supposing([said])
    may = settle_month(home, opened, prices, "2026-05", accepted, {})
    amounts: dict[str, D] = {}
    for change in may.corrections:
        amounts[change.term] = amounts.get(change.term, D(0)) + change.amount
        expected = why.format(who=acting(), today=datetime.now(UTC).date(), list=list_book().name)
        assert any(expected in cause for cause in change.causes), change.causes
    assert {term: str(amount) for term, amount in amounts.items()} == moved
