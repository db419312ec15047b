"""Knowledge that came after a month was closed: the entries booked for it, and the causes that it is told with."""

from datetime import date
from decimal import Decimal as D
from itertools import pairwise

import msgspec
import pytest
from share_tables import INPUTS, at, cited, month, settled, share, sold

from clauseway.agreement.language.definitions import Figure
from clauseway.agreement.language.shares import RevenueShare, ShareBase, Tier
from clauseway.ledger import (
    Assumption,
    RevenueLine,
    Settlement,
    StatementChange,
    changes,
    corrected,
    late,
    never_closed,
    stated,
    statement_of,
    summary_of,
    uncounted,
)
from clauseway.ledger.assumptions import ESTIMATED, OURS
from clauseway.ledger.closing import Late
from clauseway.ledger.settlement import Disputed
from clauseway.ledger.statement import amounts_restated

APRIL = month("2026-04")
SALES = [sold("04-02", "100.00")]
A1 = share("A1.share")
LINE = "A1.share|chat|rented|maker"


def told(came: Late) -> tuple[list[str], list[str]]:
    """The corrections, and the changes of a restatement: each line with what changes its amount."""
    restated = () if came.restatement is None else came.restatement.changes
    corrections, changed = (
        [f"{correction.term} {correction.amount:+}" for correction in these] for these in (came.corrections, restated)
    )
    return corrections, changed


def reported(*came: Late) -> list[StatementChange]:
    return [
        change
        for result in came
        for change in (*result.corrections, *(result.restatement.changes if result.restatement else ()))
    ]


def restatements(*came: Late) -> list[Settlement]:
    return [result.restatement for result in came if result.restatement is not None]


def test_changes_add_up_to_what_is_stated_in_any_order() -> None:
    """20 % of 100.00, of which nothing was taken back or disputed; then twice something was."""
    of = {"period": APRIL, "term": "A1.share", "payer": "maker", "payee": "host", "line": LINE, "citation": cited("X")}
    figures = [
        {"base": 100, "requests": 1, "adjusted": 0, "disputed": 0, "amount": 20},
        {"base": 90, "requests": 3, "adjusted": -10, "disputed": 2, "amount": 18},
        {"base": 75, "requests": 4, "adjusted": -25, "disputed": 5, "amount": 15},
    ]
    told = [
        StatementChange(
            **of,  # type: ignore[arg-type]
            old=D(old["amount"]),
            new=D(new["amount"]),
            old_base=D(old["base"]),
            new_base=D(new["base"]),
            old_requests=old["requests"],
            new_requests=new["requests"],
            old_adjusted=D(old["adjusted"]),
            new_adjusted=D(new["adjusted"]),
            old_disputed=D(old["disputed"]),
            new_disputed=D(new["disputed"]),
            causes=(),
        )
        for old, new in pairwise(figures)
    ]
    for changed in (told, told[::-1]):
        line = stated(settled(SALES, APRIL, A1), changed)[LINE]
        assert {name: getattr(line, name) for name in figures[-1]} == figures[-1]


@pytest.mark.parametrize("how", ["correction", "restatement"])
def test_a_share_that_came_after_the_close_and_went_again_is_taken_back(how: str) -> None:
    """April is closed with A1. An amendment brings B1 in: 5 % of 100.00. Another takes it out again."""
    b1 = share("B1.share", rate="5 %", late=how)
    closed = settled(SALES, APRIL, A1)
    came = late(closed, [], [], settled(SALES, APRIL, A1, b1))
    went = late(closed, restatements(came), reported(came), settled(SALES, APRIL, A1))
    nothing = list[str]()
    expected = [(["B1.share +5.00"], nothing), (["B1.share -5.00"], nothing)]
    if how == "restatement":
        expected = [(restated, corrections) for corrections, restated in expected]
    assert [told(came), told(went)] == expected
    # A third look finds nothing more, and what was stated is what is due.
    assert told(late(closed, restatements(came, went), reported(came, went), settled(SALES, APRIL, A1))) == ([], [])
    after = stated(closed, reported(came, went))
    assert {line: str(charge.amount) for line, charge in after.items()} == {
        LINE: "20.00",
        "B1.share|chat|rented|maker": "0.00",
    }
    [gone] = reported(went)
    assert gone.causes == ("amended term: not in force any more",)
    # Its restatement keeps the share, with nothing sold and nothing due; a correction restates nothing.
    lines = [
        (line.requests, line.base, line.amount)
        for restatement in restatements(went)
        for of in restatement.shares
        if of.term == "B1.share"
        for line in of.lines
    ]
    assert lines == ([] if how == "correction" else [(0, D(0), D(0))])
    assert len(restatements(came, went)) == (0 if how == "correction" else 2)


RATE = {"rate": Figure(id="rate", value="20 %", standing="reported", citation=cited("rate"))}
BY_FIGURE = share("A1.share", rate="rate")
# 100.00 and what was known of it later.
MORE = sold("04-03", "50.00")
DEARER = sold("04-02", "120.00")
CREDIT = at("04-02", 1, "C1", "-40.00")


OF_INPUTS = ("agreement", "price_book", "facts", "readings", "usage", "attempts")


def april(*shares: RevenueShare, sales: tuple[RevenueLine, ...] = (SALES[0],), **known: object) -> Settlement:
    """April on what is known of it: 100.00 sold, by A1, unless it is said otherwise."""
    inputs = {name: known.pop(name) for name in OF_INPUTS if name in known}
    settlement = settled(sales, APRIL, *(shares or (A1,)), **known)  # type: ignore[arg-type]
    return msgspec.structs.replace(settlement, inputs=msgspec.structs.replace(INPUTS, **inputs))


UNTIL_15, FROM_10 = share(end=date(2026, 4, 16)), share(begin=date(2026, 4, 10))
LOST = Assumption(name="lost-04-03", value="50.00", standing=ESTIMATED, text="", source="ann", accepted=True)
CAPPED, OTHER_CAPPED = share(cap="cap"), share("B1.share", cap="cap")
WHOLESALE = share(base=ShareBase(sellers=frozenset({"maker"}), wholesale=True))


def of_ours(name: str, value: str) -> dict[str, Figure]:
    return {name: Figure(id=name, value=value, standing="ours", citation=cited(name))}


CAP = of_ours("cap", "USD 18") | of_ours("cap-counts", "from-a1")
PART, OWNER = of_ours("wholesale", "100 %"), of_ours("revenue-owner", "seller")
RESOLD = sold("04-02", "100.00", seller="reseller")
OF_OURS = Assumption(name="remark", value="x", standing=OURS, text="", source="ann", accepted=False)
BECAUSE = {
    "agreement": "by ann (signed)",
    "prices": "by bob (list)",
    "rates": "by eve (ECB)",
    "assumption:rate": "by ann (audit)",
    "reading:cap": "by ann (counsel)",
}
# April as it was closed · as it is known now → what changes its amount, and the causes.
CAUSES: list[tuple[Settlement, Settlement, str, list[str]]] = [
    (april(), april(sales=(SALES[0], MORE)), "+10.00", ["late usage: 1 request more"]),
    (april(), april(sales=(SALES[0], MORE, MORE)), "+20.00", ["late usage: 2 requests more"]),
    (april(sales=(SALES[0], MORE)), april(), "-10.00", ["late usage: 1 request less"]),
    (april(usage="u1"), april(sales=(SALES[0], MORE), usage="u2"), "+10.00", ["late usage: 1 request more"]),
    # The same usage: the base takes in other sales of it.
    (
        april(usage="u1"),
        april(sales=(SALES[0], MORE), usage="u1"),
        "+10.00",
        ["the base takes in other products: 1 request more"],
    ),
    (
        april(usage="u1"),
        april(sales=(SALES[0], MORE), usage="u1", agreement="c" * 64),
        "+10.00",
        ["amended agreement: 1 request more"],
    ),
    # A free product has a price now.
    (
        april(usage="u1"),
        april(sales=(SALES[0], MORE), usage="u1", price_book="c"),
        "+10.00",
        ["another price book: 1 request more"],
    ),
    (april(), april(credited=[CREDIT]), "-8.00", ["credit or dispute: -40 of base"]),
    (april(), april(disputed=[CREDIT]), "-8.00", ["credit or dispute: -40 of base", "a dispute was opened"]),
    (april(disputed=[CREDIT]), april(), "+8.00", ["credit or dispute: +40 of base", "a dispute was resolved"]),
    # Upheld: the sale stays out, and no more is at stake.
    (april(disputed=[CREDIT]), april(credited=[CREDIT]), "+0.00", ["a dispute was resolved"]),
    # The same requests for another charge: a price.
    (april(), april(sales=(DEARER,)), "+4.00", ["new price known: +20 of base"]),
    (april(), april(sales=(DEARER,), price_book="c"), "+4.00", ["another price book: +20 of base"]),
    (
        april(),
        april(sales=(DEARER,), credited=[CREDIT]),
        "-4.00",
        ["credit or dispute: -40 of base", "new price known: +20 of base"],
    ),
    # With late usage, what the price did is not told apart; without another book there is nothing to tell.
    (
        april(),
        april(sales=(DEARER, MORE), price_book="c"),
        "+14.00",
        ["late usage: 1 request more", "another price book"],
    ),
    (april(), april(sales=(DEARER, MORE)), "+14.00", ["late usage: 1 request more"]),
    (
        april(BY_FIGURE, figures=RATE, assume=["rate"]),
        april(BY_FIGURE, figures=RATE, assume=["rate=25%"]),
        "+5.00",
        ["assumption rate: 20 % → 25%"],
    ),
    (april(), april(share(rate="25 %")), "+5.00", ["another assumption"]),
    (april(), april(share(rate="25 %"), agreement="c"), "+5.00", ["amended agreement"]),
    (april(), april(share(rate="25 %"), readings={"cap": "b"}, agreement="c"), "+5.00", ["reading cap"]),
    (
        april(readings={"cap": "a", "floor": "a"}),
        april(share(rate="25 %"), readings={"cap": "b", "floor": "a"}),
        "+5.00",
        ["reading cap"],
    ),
    (april(), april(share(tiers=(Tier(above="USD 50", rate="30 %"),))), "+5.00", ["another assumption"]),
    # Another cap, and another amount that counts toward it.
    (
        april(CAPPED, figures=CAP),
        april(CAPPED, figures=CAP, assume=["cap=15"]),
        "-3.00",
        ["assumption cap: USD 18 → 15"],
    ),
    (april(share(cap="USD 18")), april(share(cap="USD 15"), agreement="c"), "-3.00", ["amended agreement"]),
    (
        april(CAPPED, figures=CAP, assume=["cap=19"]),
        april(CAPPED, figures=CAP, assume=["cap=18"], sales=(SALES[0], MORE)),
        "-1.00",
        ["assumption cap: 19 → 18", "late usage: 1 request more"],
    ),
    (
        april(CAPPED, figures=CAP),
        april(CAPPED, figures=CAP, assume=["cap-counts=all-payments:4"]),
        "-4.00",
        ["assumption cap-counts: from-a1 → all-payments:4"],
    ),
    # The figure of another share explains nothing.
    (
        april(BY_FIGURE, OTHER_CAPPED, figures=RATE | CAP, assume=["rate"]),
        april(BY_FIGURE, OTHER_CAPPED, figures=RATE | CAP, assume=["rate=25%", "cap=15"]),
        "+5.00",
        ["assumption rate: 20 % → 25%"],
    ),
    # Of what others sell, another part counts; with another price, both are named.
    (
        april(WHOLESALE, figures=PART | OWNER, sales=(RESOLD,), assume=["wholesale=100%", "revenue-owner=seller"]),
        april(WHOLESALE, figures=PART | OWNER, sales=(RESOLD,), assume=["wholesale=90%"]),
        "-2.00",
        ["assumption wholesale: 100% → 90%: -10 of base"],
    ),
    # And of the same usage.
    (
        april(WHOLESALE, figures=PART, sales=(RESOLD,), usage="u1"),
        april(WHOLESALE, figures=PART, sales=(RESOLD,), usage="u1", assume=["wholesale=90%"]),
        "-2.00",
        ["assumption wholesale: 100 % → 90%: -10 of base"],
    ),
    (
        april(WHOLESALE, figures=PART, sales=(RESOLD,)),
        april(WHOLESALE, figures=PART, sales=(RESOLD,), assume=["wholesale=90%"], price_book="c"),
        "-2.00",
        ["another price book; assumption wholesale: 100 % → 90%: -10 of base"],
    ),
    # The same value in other words is no other value.
    (
        april(WHOLESALE, figures=PART, sales=(RESOLD,)),
        april(WHOLESALE, figures=PART, sales=(RESOLD, RESOLD), assume=["wholesale=100%"]),
        "+20.00",
        ["late usage: 1 request more"],
    ),
    # Sales are the revenue of whoever operates their cloud: the host's, which owes nothing of its own.
    (
        april(figures=OWNER, usage="u1"),
        april(figures=OWNER, usage="u1", assume=["revenue-owner=host"]),
        "-20.00",
        ["assumption revenue-owner: seller → host: 1 request less"],
    ),
    # Other days take their usage with them: it was not late.
    (
        april(sales=(SALES[0], sold("04-20", "50.00"))),
        april(UNTIL_15, sales=(SALES[0], sold("04-20", "50.00"))),
        "-10.00",
        ["amended term: in force on 2026-04-01 to 2026-04-15, no longer to 2026-04-30"],
    ),
    (
        april(UNTIL_15, sales=(SALES[0], sold("04-20", "50.00"))),
        april(sales=(SALES[0], sold("04-20", "50.00"))),
        "+10.00",
        ["amended term: in force on 2026-04-01 to 2026-04-30, and not only to 2026-04-15"],
    ),
    (
        april(),
        april(FROM_10, facts="d"),
        "-20.00",
        ["amended fact: in force on 2026-04-10 to 2026-04-30, not on 2026-04-01 to 2026-04-30"],
    ),
    (
        april(),
        april(FROM_10, facts="d", agreement="c"),
        "-20.00",
        ["amended agreement: in force on 2026-04-10 to 2026-04-30, not on 2026-04-01 to 2026-04-30"],
    ),
    (
        april(),
        april(FROM_10, facts="d", readings={"cap": "b", "floor": "b"}),
        "-20.00",
        ["reading cap; reading floor: in force on 2026-04-10 to 2026-04-30, not on 2026-04-01 to 2026-04-30"],
    ),
    # An amendment that reaches back, and usage that came late for the same month.
    (
        april(usage="b", attempts=1),
        april(FROM_10, agreement="c", usage="d", attempts=2),
        "-20.00",
        [
            "amended agreement: in force on 2026-04-10 to 2026-04-30, not on 2026-04-01 to 2026-04-30",
            "late usage in the month: 1 attempt more",
        ],
    ),
    (
        april(share("B1.share")),
        april(share("B1.share"), A1),
        "+20.00",
        ["amended term: in force on 2026-04-01 to 2026-04-30, and was not"],
    ),
    (april(), april(share(end=date(2026, 4, 1))), "-20.00", ["amended term: not in force any more"]),
    (
        april(sales=(SALES[0], sold("04-25", "50.00"))),
        april(share(end=date(2026, 4, 11)), share(begin=date(2026, 4, 21)), sales=(SALES[0], sold("04-25", "50.00"))),
        "-10.00",
        [
            "amended term: in force on 2026-04-01 to 2026-04-10 and 2026-04-21 to 2026-04-30, "
            "not on 2026-04-01 to 2026-04-30"
        ],
    ),
    # Its own base is the same: March had 50.00 and then 60.00, so less of the cap of 25.00 was left.
    (
        april(share(cap="USD 25"), sales=(sold("03-02", "50.00"), SALES[0])),
        april(share(cap="USD 25"), sales=(sold("03-02", "60.00"), SALES[0])),
        "-2.00",
        ["earlier sales moved the cap, a band, a floor or a cent"],
    ),
    (never_closed(APRIL, INPUTS), april(), "+20.00", ["usage of a month before the first that was closed"]),
    # An estimate of lost usage that was accepted since.
    (
        april(),
        msgspec.structs.replace(april(sales=(SALES[0], MORE)), assumptions=(OF_OURS, LOST)),
        "+10.00",
        ["usage was lost: lost-04-03 = 50.00, accepted by ann"],
    ),
    (
        msgspec.structs.replace(april(), assumptions=(LOST,)),
        msgspec.structs.replace(april(sales=(SALES[0], MORE)), assumptions=(LOST,)),
        "+10.00",
        ["late usage: 1 request more"],
    ),
    # Other days explain all, whatever else is known; an estimate explains usage alone.
    (
        april(),
        msgspec.structs.replace(april(FROM_10, price_book="c"), assumptions=(LOST,)),
        "-20.00",
        ["amended term: in force on 2026-04-10 to 2026-04-30, not on 2026-04-01 to 2026-04-30"],
    ),
    (
        april(),
        msgspec.structs.replace(april(sales=(DEARER,)), assumptions=(LOST,)),
        "+4.00",
        ["new price known: +20 of base"],
    ),
]


@pytest.mark.parametrize(("closed", "now", "amount", "causes"), CAUSES)
def test_why_a_closed_line_changed(closed: Settlement, now: Settlement, amount: str, causes: list[str]) -> None:
    result = [change for change in changes(closed, now, stated(closed)) if change.term == "A1.share"]
    assert [
        (f"{correction.amount:+}", list(correction.causes))
        for correction in result
        if correction.line.startswith("A1.share|chat|rented|")
    ] == [(amount, causes)]
    # Told once, nothing differs any more.
    assert changes(closed, now, stated(closed, changes(closed, now, stated(closed)))) == []


# The same, with who changed an input and why.
REASONS: list[tuple[Settlement, Settlement, str]] = [
    (
        april(),
        april(sales=(DEARER,), price_book="c"),
        "price book by bob (list); exchange rates by eve (ECB): +20 of base",
    ),
    (april(), april(share(rate="25 %"), agreement="c"), "agreement by ann (signed)"),
    (april(), april(share(rate="25 %"), readings={"cap": "b"}), "reading cap by ann (counsel)"),
    (
        april(BY_FIGURE, figures=RATE, assume=["rate"]),
        april(BY_FIGURE, figures=RATE, assume=["rate=25%"]),
        "assumption rate: 20 % → 25% by ann (audit)",
    ),
]


@pytest.mark.parametrize(("closed", "now", "cause"), REASONS)
def test_who_changed_an_input_and_why(closed: Settlement, now: Settlement, cause: str) -> None:
    [change] = changes(closed, now, stated(closed), because=BECAUSE)
    assert change.causes == (cause,)
    # Counted from the last statement, whose inputs are the present ones, nobody changed an agreement or a book since.
    [again] = changes(closed, now, stated(closed), now.inputs, BECAUSE)
    assert "ann (signed)" not in again.causes[0]
    assert "bob" not in again.causes[0]


@pytest.mark.parametrize("amount", ["3.00", "-3.00"])
def test_a_line_of_disputed_sales_alone_is_stated_with_what_is_at_stake(amount: str) -> None:
    """Below zero where other lines had its part of a cap meanwhile."""
    at_stake = Disputed(
        term="A1.share",
        payer="maker",
        payee="host",
        line="A1.share|minimum|2026-04|",
        amount=D(amount),
        citation=cited("A1.share"),
    )
    closed = april()
    disputed = msgspec.structs.replace(closed, disputed=(at_stake,))
    line = stated(disputed)["A1.share|minimum|2026-04|"]
    assert [str(each) for each in (line.amount, line.disputed, line.base, line.requests)] == ["0", amount, "0", "0"]
    [change] = changes(closed, disputed, stated(closed))
    assert [str(each) for each in (change.amount, change.old_disputed, change.new_disputed)] == ["0", "0", amount]
    assert (change.payer, change.payee) == (at_stake.payer, at_stake.payee)
    assert change.causes == ("a dispute was opened",)
    [ended] = changes(disputed, closed, stated(disputed))
    assert ended.causes == ("a dispute was resolved",)


FIRST = settled([SALES[0], MORE], APRIL, share(late="restatement"))
SECOND = settled([SALES[0], MORE], APRIL, share(late="restatement"), credited=[CREDIT])


def test_what_restatements_changed_is_due_once() -> None:
    """April: closed at 20.00, restated to 30.00 by late usage and to 22.00 by a credit of 40.00."""
    closed = settled(SALES, APRIL, share(late="restatement"))
    changes = late(closed, [], [], FIRST)
    two = late(closed, restatements(changes), reported(changes), SECOND)
    summaries = [summary_of(each) for each in restatements(changes, two)]
    [net] = uncounted([summary_of(closed)], summaries)
    assert (str(net.old), str(net.new), net.old_requests, net.new_requests) == ("20.00", "22.00", 1, 2)
    assert (net.old_base, net.new_base, net.old_adjusted, net.new_adjusted) == (D(100), D(110), D(0), D(-40))
    assert net.causes == ("late usage: 1 request more", "credit or dispute: -40 of base")
    # May counted the first as due: June is owed the second alone.
    may = summary_of(corrected(settled([], month("2026-05"), A1), [], [], uncounted([], summaries[:1])))
    [rest] = uncounted([may], summaries)
    assert (str(rest.old), str(rest.new), rest.old_requests, rest.new_requests) == ("30.00", "22.00", 2, 2)
    assert (rest.old_base, rest.new_base, rest.old_adjusted, rest.new_adjusted) == (D(150), D(110), D(0), D(-40))
    assert rest.causes == ("credit or dispute: -40 of base",)
    june = summary_of(corrected(settled([], month("2026-06"), A1), [], [], [rest]))
    assert uncounted([may, june], summaries) == ()


def test_a_dispute_that_changes_no_amount_is_told_by_a_restatement_too() -> None:
    """All of the credit was in dispute when April was closed; then it was upheld."""
    of = share(late="restatement")
    closed = settled(SALES, APRIL, of, disputed=[CREDIT])
    came = late(closed, [], [], settled(SALES, APRIL, of, credited=[CREDIT]))
    [net] = uncounted([], [summary_of(each) for each in restatements(came)])
    assert (str(net.amount), str(net.old_disputed), str(net.new_disputed)) == ("0.00", "8.00", "0")


def test_a_restatement_keeps_the_shares_that_are_not_restated() -> None:
    """A1 restates, B1 corrects. Late usage moves both; April's restatement has A1 anew and B1 as it was closed."""
    a1, b1 = share("A1.share", late="restatement"), share("B1.share", rate="5 %")
    closed, now = (settled(sales, APRIL, a1, b1, disputed=[CREDIT]) for sales in (SALES, [SALES[0], MORE]))
    came = late(closed, [], [], now)
    assert told(came) == (["B1.share +2.50"], ["A1.share +10.00"])
    [restatement] = restatements(came)
    assert [(share.term, str(share.amount)) for share in restatement.shares] == [
        ("A1.share", "22.00"),
        ("B1.share", "3.00"),
    ]
    assert [(voucher.term, str(voucher.amount)) for voucher in restatement.disputed] == [
        ("B1.share", "2.00"),
        ("A1.share", "8.00"),
    ]
    assert (restatement.restates, restatement.period) == (closed.receipt, APRIL)
    # A further look at the same changes nothing.
    assert told(late(closed, [restatement], reported(came), now)) == ([], [])
    # A month that was never closed cannot be restated.
    assert told(late(never_closed(APRIL, INPUTS), [], [], now)) == (["A1.share +22.00", "B1.share +5.50"], [])


# The agreement's rule for late changes when April was closed · its rule now → a correction, or a restatement.
SAID_OF_LATE = [("correction", "restatement", False), ("restatement", "correction", True)]


@pytest.mark.parametrize(("then", "now", "corrects"), SAID_OF_LATE)
def test_a_late_change_goes_where_the_agreement_says_now(then: str, now: str, corrects: bool) -> None:
    more = settled([SALES[0], MORE], APRIL, share(late=now))
    nothing = list[str]()
    expected = (["A1.share +10.00"], nothing)
    assert told(late(settled(SALES, APRIL, share(late=then)), [], [], more)) == expected[:: 1 if corrects else -1]


def test_a_restatement_keeps_what_its_month_owed_for_closed_ones_and_says_what_it_restates() -> None:
    """April was closed with 3.00 more for March. Late usage makes 30.00 of April's own 20.00."""
    [march] = changes(april(), april(sales=(DEARER,)), stated(april()))
    owed = msgspec.structs.replace(march, period=month("2026-03"))
    closed = corrected(settled(SALES, APRIL, share(late="restatement")), [owed], ["r1"], [owed])
    [restatement] = restatements(late(closed, [], [], FIRST))
    assert (restatement.corrections, restatement.restated) == ((owed,), (owed,))
    statement = statement_of(restatement)
    assert statement.is_restatement
    # It has nothing for the reseller, and is marked as a restatement all the same.
    assert statement_of(restatement, "reseller").is_restatement
    assert amounts_restated(statement) == {LINE: D("20.00")}


def test_the_receipt_covers_what_is_owed_for_closed_months() -> None:
    may = settled([], month("2026-05"), A1)
    [change] = changes(april(), april(sales=(SALES[0], MORE)), stated(april()))
    first, second = corrected(may, [change], ["r2", "r1"]), corrected(may, [change], ["r1", "r2"])
    assert first == second
    assert first.inputs.closed == ("r1", "r2")
    receipts = {
        may.receipt,
        first.receipt,
        corrected(may, [], ["r1", "r2"]).receipt,
        corrected(may, [change], []).receipt,
    }
    assert len(receipts) == 4


def test_a_summary_names_what_was_accepted_as_it_is_given() -> None:
    ours = {
        name: Figure(id=name, value=value, standing="ours", citation=cited(name))
        for name, value in (("wholesale", "100 %"), ("revenue-owner", "seller"))
    }
    assume = ["rate=25%", "wholesale=host:80%", "wholesale=reseller:70%"]
    accepted = april(BY_FIGURE, figures=RATE | ours, assume=assume)
    summary = summary_of(accepted)
    assert summary.terms == ("A1.share",)
    assert list(summary.accepted) == assume
