"""A settlement of several shares, of estimates and of disputes at once: its order, its assumptions, its refusals."""

from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from share_tables import CATALOG, INPUTS, amounts, at, cited, in_order, month, settled, share, sold, summed

from clauseway.agreement.language.definitions import Figure
from clauseway.ledger import Assumption, read_assumptions, settle
from clauseway.ledger.assumptions import ESTIMATED
from clauseway.ledger.beside import beside
from clauseway.values import InvalidInput

MAY = month("2026-05")


def test_shares_stand_by_payer_payee_beginning_and_term() -> None:
    """In any order of the agreement: the same inputs write the same bytes."""
    shares = [
        share("D", payer="host", payee="maker"),
        share("C", payee="host", begin=date(2026, 2, 1)),
        share("A", payee="reseller", begin=date(2026, 1, 1)),
        share("B", payee="reseller", begin=date(2026, 1, 1)),
        share("0", payee="reseller", begin=date(2026, 3, 1)),
    ]
    first, second = (settled([sold("05-02", "10.00")], MAY, *given) for given in (shares, shares[::-1]))
    assert [result.term for result in first.shares] == ["D", "C", "A", "B", "0"]
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def test_an_accepted_loss_is_named_among_the_assumptions() -> None:
    lost = Assumption(name="lost-05-03", value="50.00", standing=ESTIMATED, text="", source="ann", accepted=True)
    settlement = settle(
        period=MAY,
        shares=[share()],
        revenue=[sold("05-02", "10.00")],
        catalog=CATALOG,
        assumptions=read_assumptions((), {}),
        inputs=INPUTS,
        losses=[lost],
    )
    assert settlement.assumptions[-1] == lost
    assert settlement.receipt != settled([sold("05-02", "10.00")], MAY, share()).receipt


def test_a_figure_that_nobody_disclosed_is_one_problem() -> None:
    """It is not also one that does not fit its term."""
    figures = {"rate": Figure(id="rate", value="", standing="undisclosed", citation=cited("rate"))}
    with pytest.raises(InvalidInput) as refused:
        settled([sold("05-02", "10.00")], MAY, share(rate="rate"), figures=figures)
    assert len(refused.value.problems) == 1


def test_sales_are_ordered_on_days_on_which_a_cap_is_full_only_without_the_dispute() -> None:
    """A cap of 10.00 at 20 % is full at a base of 50.00: at 40.00 it is not, at 60.00 it is."""
    sales = [at("05-01", 9, "a", "40.00"), at("05-02", 9, "b", "10.00"), at("05-02", 10, "c", "10.00")]
    capped, back = share(cap="USD 10"), [at("05-01", 9, "a", "-20.00")]
    assert settled(summed(sales), MAY, capped, credited=back).needs_order == ()
    assert settled(summed(sales), MAY, capped, disputed=back).needs_order == (date(2026, 5, 2),)


def test_lines_of_a_term_that_begins_again_are_named_by_its_beginning() -> None:
    """The earlier one keeps the name of the term, in whichever order they are given."""
    shares = [share("A", rate="20 %"), share("A", rate="5 %", begin=date(2026, 2, 1))]
    named = {"A|chat|rented|maker": "2.00", "A@2026-02-01|chat|rented|maker": "0.50"}
    for given in (shares, shares[::-1]):
        assert amounts(settled([sold("05-02", "10.00")], MAY, *given)) == named


def test_a_sale_is_taken_back_on_its_own_day() -> None:
    """A cap is full at a base of 50.00: 30.00, then 15.00 − 10.00 elsewhere, then 15.00 of 20.00."""
    sales = [at("05-01", 9, "a", "30.00"), at("05-02", 9, "b", "15.00", cloud="own"), at("05-02", 10, "c", "20.00")]
    back = [at("05-02", 9, "b", "-10.00", cloud="own")]
    settlement = in_order(sales, MAY, share(cap="USD 10"), credited=back)
    assert amounts(settlement) == {"A1.share|chat|own|maker": "1.00", "A1.share|chat|rented|maker": "9.00"}


def test_no_more_is_taken_back_than_was_charged() -> None:
    """40.00 were credited of a sale that was charged 40.00 then, and by a price that became known later 30.00."""
    settlement = settled([sold("05-02", "30.00")], MAY, share(), credited=[at("05-02", 1, "C1", "-40.00")])
    assert [(str(line.base), str(line.amount)) for line in settlement.shares[0].lines] == [("0.00", "0.00")]


def test_a_direction_has_ended_with_the_share_that_ends_last() -> None:
    """Whichever of its shares began first."""
    shares = [share("A", end=date(2026, 5, 21)), share("B", begin=date(2026, 2, 1), end=date(2026, 3, 1))]
    assert [(ended.term, ended.day) for ended in settled([], MAY, *shares).ended] == [("A", date(2026, 5, 21))]


def test_the_order_of_batches_changes_no_receipt() -> None:
    receipts = {
        settle(
            period=MAY,
            shares=[share()],
            revenue=[],
            catalog=CATALOG,
            assumptions=read_assumptions((), {}),
            inputs=msgspec.structs.replace(INPUTS, batches=batches),
        ).receipt
        for batches in (("a", "b"), ("b", "a"))
    }
    assert len(receipts) == 1


def test_two_settlements_beside_each_other_are_the_same_where_bases_are_too() -> None:
    """The cap of 10.00 is full at a base of 50.00: 60.00 and 70.00 owe the same."""
    capped = share(cap="USD 10")
    first, second = (settled([sold("05-01", amount)], MAY, capped) for amount in ("60.00", "70.00"))
    both = beside(first, second)
    assert [str(line.difference) for line in both.lines] == ["0.00"]
    assert (both.is_same, beside(first, first).is_same) == (False, True)
    [direction] = beside(first, settled([], MAY, capped)).directions
    caps = [direction.real_caps, direction.other_caps]
    assert [[str(cap.remaining) for cap in side] for side in caps] == [["0.00"], ["10.00"]]


def test_a_direction_that_has_ended_stands_beside_one_that_has_not() -> None:
    """The share ended with March; in the other settlement it goes on, without a sale in May."""
    ended, going_on = (settled([], MAY, share(end=end)) for end in (date(2026, 4, 1), date(2031, 1, 1)))
    for other, days in ((going_on, [date(2026, 4, 1), None]), (ended, [date(2026, 4, 1)] * 2)):
        [way] = beside(ended, other).directions
        assert (way.payer, way.payee, way.difference) == ("maker", "host", D(0))
        assert [side and side.day for side in (way.real_ended, way.other_ended)] == days


def test_two_shares_of_a_direction_stand_beside_one_as_one_line() -> None:
    """Until 10 May and from 11 May on the maker owes 20 %; otherwise it owed 20 % throughout, and 5 % more."""
    sales = [sold("05-02", "100.00"), sold("05-20", "50.00")]
    parts = [share("A", end=date(2026, 5, 11)), share("B", begin=date(2026, 5, 11))]
    both = beside(settled(sales, MAY, *parts), settled(sales, MAY, share("A"), share("C", rate="5 %")))
    [line] = both.lines
    assert (line.real.terms, line.real.rates, str(line.real.amount)) == (("A", "B"), (D("0.2"),), "30.00")
    assert (line.other.terms, line.other.rates) == (("A", "C"), (D("0.2"), D("0.05")))
    assert {party.party: str(party.gains) for party in both.parties} == {"host": "7.50", "maker": "-7.50"}


def test_a_line_of_which_every_sale_is_in_dispute_is_named() -> None:
    sales = [at("05-01", 9, "a", "10.00"), at("05-02", 9, "b", "20.00", cloud="own")]
    settlement = settled(summed(sales), MAY, share(), disputed=[at("05-02", 9, "b", "-20.00", cloud="own")])
    assert [(line.line, str(line.amount)) for line in settlement.disputed] == [("A1.share|chat|own|maker", "4.00")]
