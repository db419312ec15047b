"""The laws of the books, on random histories: sales that come in any order and twice, credits, disputes and how they
end, an amendment, months settled and closed. The other side of each law is calculated by hand, in fractions.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from share_tables import at, in_order, month, share

from clauseway.agreement.language.shares import RevenueShare, Tier
from clauseway.ledger import (
    Credit,
    Dispute,
    Journal,
    Resolution,
    Reversed,
    SaleRecord,
    Settlement,
    StatementChange,
    Voucher,
    accruals,
    balances,
    corrected,
    credited,
    disputed,
    late,
    statement_of,
)
from clauseway.ledger.statement import canonical_bytes
from clauseway.values import day_of, exact_sum

# Sales are of the first three; the others are there to be closed.
MONTHS = tuple(f"2026-{number:02}" for number in range(1, 10))
CUT = date(2026, 2, 15)
OLD = share("A1.share", cap="USD 4")
# From 15 February on: 12.5 % below 25.00, 30 % above, at most 5.00 in all.
ENDED = msgspec.structs.replace(OLD, end=CUT)
NEW = share("A2.share", begin=CUT, rate="12.5 %", tiers=(Tier(above="USD 25", rate="30 %"),), cap="USD 5")


class Books:
    """A ledger as the product keeps one, in memory: what is told, what is closed, what is posted."""

    def __init__(self, restating: bool) -> None:
        self.sales: dict[str, SaleRecord] = {}
        self.vouchers: list[Voucher] = []
        self.amended = False
        self.restating = restating
        self.closed: list[Settlement] = []
        self.statements: list[bytes] = []
        self.restatements: dict[str, list[Settlement]] = {name: [] for name in MONTHS}
        self.open_: Settlement | None = None
        self.journal = Journal()

    def shares(self) -> Sequence[RevenueShare]:
        late_ = "restatement" if self.restating else "correction"
        if not self.amended:
            return (OLD,)
        return ENDED, msgspec.structs.replace(NEW, late=late_)

    def settled(self, name: str) -> Settlement:
        return in_order(
            list(self.sales.values()),
            month(name),
            *self.shares(),
            credited=credited(self.vouchers),
            disputed=disputed(self.vouchers),
        )

    def settle(self) -> None:
        """The open month, with what came late for the closed ones."""
        if len(self.closed) == len(MONTHS):
            return
        changes: list[StatementChange] = [change for month in self.closed for change in month.corrections]
        changes += [change for again in self.restatements.values() for each in again for change in each.changes]
        results = [
            late(month, self.restatements[name], changes, self.settled(name))
            for name, month in zip(MONTHS, self.closed, strict=False)
        ]
        for name, item in zip(MONTHS, results, strict=False):
            if item.restatement is not None:
                self.restatements[name].append(item.restatement)
                self._post(item.restatement)
        self.open_ = self.settled(MONTHS[len(self.closed)])
        if results:
            corrections = [change for result in results for change in result.corrections]
            self.open_ = corrected(self.open_, corrections, [result.closed.receipt for result in results])
        self._post(self.open_)

    def close(self) -> None:
        self.settle()
        if self.open_ is not None and len(self.closed) < len(MONTHS):
            self.closed.append(self.open_)
            self.statements.append(canonical_bytes(statement_of(self.open_)))
            self.open_ = None

    def _post(self, settlement: Settlement) -> None:
        self.journal = self.journal.append(accruals(settlement, self.journal.entries))
        # Posting it once more changes nothing.
        assert accruals(settlement, self.journal.entries) == []

    def told(self, step: tuple[Any, ...]) -> None:
        """One step of a history."""
        what, *given_ = step
        day = date(2026, 5, 1)
        match what:
            case "sold":
                number, when, hour, amount, cloud = given_
                name, on = when
                record = at(f"{name[5:]}-{on:02}", hour, f"r{number:02}", str(amount), cloud)
                self.sales.setdefault(record.request_id, record)  # the same id again changes nothing
            case "credit" | "dispute" if self.sales:
                number, part = given_
                record = sorted(self.sales.values())[number % len(self.sales)]
                identity = f"{what}-{record.request_id}-{number}"
                amount = (record.amount * part / 4).quantize(D("0.0001"))
                of = Reversed(
                    event_ns=record.event_ns,
                    seller=record.seller,
                    cloud=record.cloud,
                    product=record.product,
                    amount=amount,
                )
                # Recording refuses what would take back more than was charged.
                fits = taken(self.vouchers, record) + amount <= record.amount
                if fits and all(voucher.id != identity for voucher in self.vouchers):
                    kind = Credit if what == "credit" else Dispute
                    self.vouchers.append(kind(id=identity, day=day, of=of))
            case "resolved":
                number, upheld = given_
                ended = {voucher.dispute for voucher in self.vouchers if isinstance(voucher, Resolution)}
                waiting = [
                    voucher for voucher in self.vouchers if isinstance(voucher, Dispute) and voucher.id not in ended
                ]
                if waiting:
                    of_ = waiting[number % len(waiting)].id
                    self.vouchers.append(Resolution(id=f"end-{of_}", day=day, dispute=of_, upheld=upheld))
            case "amended":
                self.amended = True
            case "settled":
                self.settle()
            case "closed":
                self.close()


def taken(vouchers: Iterable[Voucher], record: SaleRecord) -> D:
    """Return how much of a sale all its vouchers would take back, rejected disputes included."""
    ids = {f"{kind}-{record.request_id}" for kind in ("credit", "dispute")}
    reversals = [voucher for voucher in vouchers if isinstance(voucher, Credit | Dispute)]
    return exact_sum(reversal.of.amount for reversal in reversals if reversal.id.rpartition("-")[0] in ids)


WHEN = st.tuples(st.sampled_from(MONTHS[:3]), st.integers(1, 28))
AMOUNTS = st.one_of(st.integers(1, 400), st.integers(50_000, 400_000)).map(lambda units: D(units).scaleb(-4))
NUMBERS = st.integers(0, 30)
SALES = st.tuples(st.just("sold"), NUMBERS, WHEN, st.integers(0, 23), AMOUNTS, st.sampled_from(["own", "rented"]))
STEPS = st.one_of(
    SALES,
    SALES,
    SALES,
    st.tuples(st.sampled_from(["credit", "dispute", "dispute"]), NUMBERS, st.integers(1, 4)),
    st.tuples(st.just("resolved"), NUMBERS, st.booleans()),
    st.tuples(st.just("amended")),
    st.tuples(st.just("settled")),
    st.tuples(st.just("closed")),
)
HISTORIES = st.lists(STEPS, min_size=14, max_size=40)


def due(books: Books, name: str, *, with_disputed: bool) -> Fraction:
    """Return the amount owed in all by the end of a month, as known now, walked through by hand."""
    taken = credited(books.vouchers) + ([] if with_disputed else disputed(books.vouchers))
    records = [*books.sales.values(), *taken]
    end = month(name).end

    def base(begin: date, until: date) -> Fraction:
        return sum(
            (Fraction(record.amount) for record in records if begin <= day_of(record.event_ns) < min(until, end)),
            Fraction(0),
        )

    old = min(Fraction(4), cents(base(OLD.begin, CUT if books.amended else OLD.end) / 5))
    if not books.amended:
        return old
    sold = base(CUT, NEW.end)
    new = min(Fraction(5), cents(min(sold, Fraction(25)) / 8 + max(sold - 25, Fraction(0)) * 3 / 10))
    return old + new


def cents(amount: Fraction) -> Fraction:
    return Fraction(round(amount * 100), 100)


def held(books: Books, party: str, kind: str, name: str) -> D:
    return exact_sum(
        amount
        for account, amount in balances(books.journal.entries).items()
        if (account.party, account.kind, account.name) == (party, kind, name)
    )


@settings(max_examples=150)
@given(HISTORIES, st.booleans())
def test_the_laws_of_the_books(history: list[tuple[Any, ...]], restating: bool) -> None:
    books = Books(restating)
    for step in [*history, ("settled",)]:
        posted = books.journal.entries
        closed = list(zip(books.closed, books.statements, strict=True))
        books.told(step)
        # Posted entries stay, and closed months print the same.
        assert books.journal.entries[: len(posted)] == posted
        assert [canonical_bytes(statement_of(month)) for month, _ in closed] == [statement for _, statement in closed]
        if not restating:
            ends = [month.period.end for month, _ in closed]
            assert all(entry.day >= end for entry in books.journal.entries[len(posted) :] for end in ends)
    if books.open_ is None:
        return
    name = MONTHS[len(books.closed)]
    # Debits equal credits, in each party's books and over all.
    for party in ("maker", "host"):
        assert exact_sum(a for k, a in balances(books.journal.entries).items() if k.party == party) == 0
    # Payables and receivables are the dues by present knowledge; disputed amounts stand apart.
    owed, whole = due(books, name, with_disputed=False), due(books, name, with_disputed=True)
    assert Fraction(-held(books, "maker", "payable", "revenue-share")) == owed
    assert Fraction(held(books, "host", "receivable", "revenue-share")) == owed
    assert Fraction(held(books, "host", "receivable", "disputed")) == whole - owed
    assert Fraction(held(books, "maker", "expense", "revenue-share")) == whole <= 9
    # Lines sum to totals, and no share exceeds its cap by a cent.
    for settlement in [books.open_, *(again for every in books.restatements.values() for again in every)]:
        for result in settlement.shares:
            assert exact_sum(line.amount for line in result.lines) == result.amount
            assert result.cap is not None
            assert result.share_after <= result.cap.cap


@settings(max_examples=40)
@given(HISTORIES, st.booleans())
def test_replaying_all_that_was_told_gives_the_same_journal(history: list[tuple[Any, ...]], restating: bool) -> None:
    once, again = Books(restating), Books(restating)
    for step in history:
        once.told(step)
        again.told(step)
        again.told(step if step[0] in ("sold", "settled", "amended") else ("nothing",))  # told twice
    assert once.journal == again.journal
    assert once.statements == again.statements


@settings(max_examples=40)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_in_whatever_order_it_came_the_books_end_alike(history: list[tuple[Any, ...]], shuffle: Any) -> None:
    """Sales alone, in another order and around other closes: what is owed at the end is the same."""
    sold: dict[int, tuple[Any, ...]] = {}
    for step in history:
        if step[0] == "sold":
            sold.setdefault(step[1], step)
    # The last month stays open: what comes after all are closed waits for a month that is not in the table.
    closes = [step for step in history if step[0] == "closed"][: len(MONTHS) - 1]
    others = [*closes, *(step for step in history if step[0] == "settled")]
    mixed = [*sold.values(), *others]
    shuffle.shuffle(mixed)
    plain, random = Books(restating=False), Books(restating=False)
    for step in [("amended",), *sold.values(), *others, ("settled",)]:
        plain.told(step)
    for step in [("amended",), *mixed, ("settled",)]:
        random.told(step)
    accounts = [balances(each.journal.entries) for each in (plain, random)]
    assert [{k: a for k, a in account.items() if a} for account in accounts[:1]] == [
        {k: a for k, a in account.items() if a} for account in accounts[1:]
    ]
