"""Settling the revenue share: events → balances, with the arithmetic written out.

The terms are those of the built-in agreement, spelled out here so that the table stands alone: until 26 April 2026 both
parties share at 20 %, from 27 April only openai pays, at 20 %, under a cap.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal as D
from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from share_tables import summed

from clauseway.agreement.language.definitions import Figure
from clauseway.agreement.language.shares import RevenueShare, ShareBase
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.ledger import (
    Inputs,
    Journal,
    RevenueLine,
    SaleRecord,
    Settlement,
    accruals,
    balances,
    read_assumptions,
    settle,
    statement_of,
)
from clauseway.ledger.revenue import in_no_base
from clauseway.values import Citation, Interval, InvalidInput, day_of, exact_sum, start_of_day_ns


def cite(term: str, line: int) -> Citation:
    amendment = term.split(".")[0]
    return Citation(
        term=term, amendment=amendment, document=f"{amendment}.md", line=line, source="S2", text=f"what {term} says"
    )


OPENAI = ShareBase(
    sellers=frozenset({"openai"}),
    wholesale=True,
    wholesale_except=frozenset({"microsoft"}),
    excludes=frozenset({"open-weight"}),
)
MICROSOFT = ShareBase(sellers=frozenset({"microsoft"}), excludes=frozenset({"open-weight"}))
A1, A5, END = date(2023, 1, 23), date(2026, 4, 27), date(2031, 1, 1)
SHARES = [
    RevenueShare(
        term="A1.share-openai-microsoft",
        payer="openai",
        payee="microsoft",
        rate="share-openai-microsoft",
        cap="",
        begin=A1,
        end=A5,
        base=OPENAI,
        citation=cite("A1.share-openai-microsoft", 10),
        ended_by=cite("A5.replaces-share-openai-microsoft", 110),
    ),
    RevenueShare(
        term="A1.share-microsoft-openai",
        payer="microsoft",
        payee="openai",
        rate="share-microsoft-openai",
        cap="",
        begin=A1,
        end=A5,
        base=MICROSOFT,
        citation=cite("A1.share-microsoft-openai", 20),
        ended_by=cite("A5.ends-share-microsoft-openai", 100),
    ),
    RevenueShare(
        term="A5.share-openai-microsoft",
        payer="openai",
        payee="microsoft",
        rate="share-openai-microsoft",
        cap="cap",
        begin=A5,
        end=END,
        base=OPENAI,
        citation=cite("A5.share-openai-microsoft", 120),
    ),
]
CATALOG = Catalog(
    parties=frozenset({"openai", "microsoft", "amazon"}),
    clouds=frozenset({"azure", "aws"}),
    operators={"azure": "microsoft", "aws": "amazon"},
    segments=frozenset({"any"}),
    classes={name: ProductClass(id=name) for name in ("api.stateless", "open-weight")},
    products={
        "gpt-5.4": Product(id="gpt-5.4", product_class="api.stateless"),
        "gpt-5.5": Product(id="gpt-5.5", product_class="api.stateless"),
        "gpt-oss-120b": Product(id="gpt-oss-120b", product_class="open-weight"),
    },
)
FIGURES = {
    name: Figure(id=name, value=value, standing=standing, citation=cite(f"agreement.{name}", 1))
    for name, value, standing in [
        ("share-openai-microsoft", "20 %", "reported"),
        ("share-microsoft-openai", "20 %", "reported"),
        ("cap", "USD 38000000000", "reported"),
        ("cap-counts", "from-a5", "ours"),
        ("revenue-owner", "seller", "ours"),
        ("wholesale", "100 %", "ours"),
    ]
}
ACCEPTED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
INPUTS = Inputs(agreement="a" * 64, price_book="b" * 64, batches=("one",), known_at="everything", engine="test")
APRIL = Interval(date(2026, 4, 1), date(2026, 5, 1))
MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
JUNE = Interval(date(2026, 6, 1), date(2026, 7, 1))


def sale(day: str, seller: str, cloud: str, amount: str, product: str = "gpt-5.4") -> RevenueLine:
    return RevenueLine(
        event_day=date.fromisoformat(f"2026-{day}"),
        seller=seller,
        cloud=cloud,
        product=product,
        amount=D(amount),
        requests=1,
    )


def settled(
    revenue: Sequence[RevenueLine],
    period: Interval,
    *assume: str,
    ordered: Mapping[date, Sequence[SaleRecord]] | None = None,
    shares: Sequence[RevenueShare] = SHARES,
) -> Settlement:
    return settle(
        period=period,
        shares=shares,
        revenue=revenue,
        catalog=CATALOG,
        assumptions=read_assumptions(assume or ACCEPTED, FIGURES),
        inputs=INPUTS,
        ordered=ordered,
    )


def amounts(settlement: Settlement) -> dict[str, str]:
    return {share.term: str(share.amount) for share in settlement.shares}


def lines(settlement: Settlement) -> dict[str, str]:
    return {line.id: str(line.amount) for share in settlement.shares for line in share.lines}


# The night of the amendment.
NIGHT = [
    sale("04-25", "openai", "azure", "100.00"),
    sale("04-26", "openai", "azure", "50.123456789012"),
    sale("04-26", "microsoft", "azure", "40.00"),
    sale("04-26", "openai", "azure", "7.00", "gpt-oss-120b"),  # open weights are in no base
    sale("04-27", "openai", "azure", "30.00"),
    sale("04-27", "openai", "aws", "20.00", "gpt-5.5"),
    sale("04-27", "microsoft", "azure", "60.00"),
    sale("05-01", "openai", "aws", "10.00", "gpt-5.5"),
    sale("05-02", "amazon", "aws", "15.00", "gpt-5.5"),  # another seller: OpenAI earns the whole price
    sale("05-02", "microsoft", "azure", "80.00"),
]


def test_april_is_cut_in_two_by_the_amendment() -> None:
    april = settled(NIGHT, APRIL)
    assert lines(april) == {
        # 20 % of (100.00 + 50.123456789012) = 30.0246913578024
        "A1.share-openai-microsoft|gpt-5.4|azure|openai": "30.02",
        # 20 % of 40.00
        "A1.share-microsoft-openai|gpt-5.4|azure|microsoft": "8.00",
        # 20 % of 30.00, 20 % of 20.00; Microsoft's 60.00 of 27 April is in no base
        "A5.share-openai-microsoft|gpt-5.4|azure|openai": "6.00",
        "A5.share-openai-microsoft|gpt-5.5|aws|openai": "4.00",
    }


def test_may_knows_one_direction_and_the_cap() -> None:
    may = settled(NIGHT, MAY, "share-openai-microsoft", "cap")
    assert lines(may) == {
        "A5.share-openai-microsoft|gpt-5.5|aws|amazon": "3.00",  # 20 % of 15.00
        "A5.share-openai-microsoft|gpt-5.5|aws|openai": "2.00",  # 20 % of 10.00
    }
    (share,) = may.shares
    assert (share.base_before, share.base, share.base_after) == (D("50.00"), D("25.00"), D("75.00"))
    assert (share.share_before, share.amount, share.share_after) == (D("10.00"), D("5.00"), D("15.00"))
    assert share.cap is not None
    # 38,000,000,000.00 − 15.00
    assert (share.cap.consumed_before, share.cap.consumed) == (D("10.00"), D("5.00"))
    assert share.cap.remaining == D("37999999985.00")
    assert share.cap.reached is None


def test_what_ended_says_so_with_its_clause() -> None:
    for period in (APRIL, MAY):
        (ended,) = settled(NIGHT, period).ended
        assert (ended.payer, ended.payee, ended.day) == ("microsoft", "openai", A5)
        assert ended.citation.term == "A5.ends-share-microsoft-openai"
    # A share whose last day is the period's last day has all its days in the period: none is left to show.
    for end in (date(2026, 4, 26), A5):
        assert settled(NIGHT, Interval(date(2026, 4, 1), end)).ended == ()


def test_the_statement_of_a_party() -> None:
    statement = statement_of(settled(NIGHT, APRIL), "microsoft")
    assert [(d.payer, d.payee, str(d.total), d.ended is not None) for d in statement.directions] == [
        ("microsoft", "openai", "8.00", True),
        ("openai", "microsoft", "40.02", False),
    ]
    assert [(a.name, a.standing, a.accepted) for a in statement.assumptions] == [
        ("cap", "reported", True),
        ("cap-counts", "ours", False),
        ("revenue-owner", "ours", False),
        ("share-microsoft-openai", "reported", True),
        ("share-openai-microsoft", "reported", True),
        ("wholesale", "ours", False),
    ]
    assert statement_of(settled(NIGHT, APRIL), "amazon").directions == ()
    assert msgspec.json.decode(msgspec.json.encode(statement))["directions"][1]["total"] == "40.02"


def test_the_order_of_names_in_a_base_leaves_the_receipt_as_it_is() -> None:
    # Two sets of the same names are walked in different orders, as they are in two processes.
    names = [f"seller-{number}" for number in range(1000)]
    there, back = frozenset(names), frozenset(reversed(names))
    assert there == back
    assert [*there] != [*back]
    bases = (msgspec.structs.replace(OPENAI, sellers=sellers) for sellers in (there, back))
    first, second = ([msgspec.structs.replace(SHARES[2], base=base)] for base in bases)
    assert settled(NIGHT, MAY, shares=first).receipt == settled(NIGHT, MAY, shares=second).receipt


def test_the_receipt_holds_for_the_same_inputs_only() -> None:
    assert settled(NIGHT, APRIL).receipt == settled(list(reversed(NIGHT)), APRIL).receipt
    receipts = {
        settled(NIGHT, APRIL).receipt,
        settled(NIGHT, MAY).receipt,
        settled(NIGHT, MAY, *ACCEPTED[:2], "cap=1").receipt,
        settled(NIGHT, MAY, shares=SHARES[2:]).receipt,
    }
    assert len(receipts) == 4


# assumptions accepted, period → figures that the refusal names
REFUSALS: list[tuple[tuple[str, ...], Interval, list[str]]] = [
    (("wholesale",), APRIL, ["cap", "share-microsoft-openai", "share-openai-microsoft"]),
    (("cap",), APRIL, ["share-microsoft-openai", "share-openai-microsoft"]),
    (("wholesale",), MAY, ["cap", "share-openai-microsoft"]),
    (
        ("wholesale",),
        Interval(date(2026, 3, 1), date(2026, 4, 1)),
        ["share-microsoft-openai", "share-openai-microsoft"],
    ),
]


@pytest.mark.parametrize(("assume", "period", "named"), REFUSALS)
def test_undisclosed_figures_are_refused_by_name(assume: tuple[str, ...], period: Interval, named: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        settled(NIGHT, period, *assume)
    assert [problem.what for problem in refused.value.problems] == [f"{name} is undisclosed" for name in named]
    assert all(f"--assume {name}" in str(refused.value) for name in named)


def test_after_all_shares_ended_nothing_is_needed() -> None:
    after = settled([], Interval(date(2031, 6, 1), date(2031, 7, 1)), "wholesale")
    assert after.shares == ()
    assert [(e.payer, e.day) for e in after.ended] == [("microsoft", A5), ("openai", END)]


def test_an_unknown_product_is_refused() -> None:
    with pytest.raises(InvalidInput, match="product 'gpt-9' was sold"):
        settled([sale("05-01", "openai", "azure", "1.00", "gpt-9")], MAY)


# Accepted assumptions, the base of amazon's 15.00 and the base of openai's 10.00 → due in May
WHOLESALE = [
    ("wholesale=80%", "4.40"),  # 20 % of (80 % of 15.00 + 10.00) = 20 % of 22.00
    ("wholesale=amazon:0.5", "3.50"),  # 20 % of (50 % of 15.00 + 10.00) = 20 % of 17.50
    ("wholesale=google:50%", "5.00"),  # no sale by google: 20 % of 25.00
    ("wholesale=0%", "2.00"),  # 20 % of 10.00
]


@pytest.mark.parametrize(("wholesale", "due"), WHOLESALE)
def test_wholesale(wholesale: str, due: str) -> None:
    assert amounts(settled(NIGHT, MAY, *ACCEPTED, wholesale)) == {"A5.share-openai-microsoft": due}


def record(day: str, hour: int, number: int, cloud: str, amount: str) -> SaleRecord:
    event_ns = start_of_day_ns(date.fromisoformat(f"2026-{day}")) + hour * 3_600_000_000_000
    return SaleRecord(
        event_ns=event_ns,
        request_id=f"req_{number}",
        attempt=1,
        seller="openai",
        cloud=cloud,
        product="gpt-5.4",
        amount=D(amount),
    )


# A cap of USD 10.00 at 20 %: full at a base of 50.00.
CROSSING = [
    sale("04-27", "openai", "azure", "20.00"),  # 4.00
    sale("05-01", "openai", "azure", "15.00"),  # 3.00, 7.00 in all
    sale("05-02", "openai", "azure", "12.00"),  # the cap falls here: 3.00 are left
    sale("05-02", "openai", "aws", "12.00"),
    sale("05-03", "openai", "aws", "100.00"),  # nothing any more
    sale("06-01", "openai", "aws", "100.00"),
]
# in order of event time: aws 10.00 → 2.00; azure 12.00 → 2.40, of which 1.00 fits; aws 2.00 → nothing
IN_ORDER = [
    record("05-02", 9, 1, "aws", "10.00"),
    record("05-02", 10, 2, "azure", "12.00"),
    record("05-02", 11, 3, "aws", "2.00"),
]
AZURE, AWS = "A5.share-openai-microsoft|gpt-5.4|azure|openai", "A5.share-openai-microsoft|gpt-5.4|aws|openai"


def test_a_small_cap_is_crossed_to_the_cent() -> None:
    cap = (*ACCEPTED[:2], "cap=10")
    assert [amounts(settled(CROSSING, month, *cap))["A5.share-openai-microsoft"] for month in (APRIL, MAY, JUNE)] == [
        "4.00",
        "6.00",
        "0.00",
    ]
    may = settled(CROSSING, MAY, *cap)
    assert may.needs_order == (date(2026, 5, 2),)
    # without order: 3.00 for 1 May, and the 3.00 left in proportion to 12.00 and 12.00
    assert lines(may) == {AZURE: "4.50", AWS: "1.50"}


def test_the_cap_is_consumed_in_order_of_event_time() -> None:
    may = settled(CROSSING, MAY, *ACCEPTED[:2], "cap=10", ordered={date(2026, 5, 2): list(reversed(IN_ORDER))})
    assert may.needs_order == ()
    assert lines(may) == {AZURE: "4.00", AWS: "2.00"}  # 3.00 + 1.00, 2.00
    cap = may.shares[0].cap
    assert cap is not None
    assert cap.remaining == 0
    assert cap.reached is not None
    assert (cap.reached.day, cap.reached.event_ns, cap.reached.request_id) == (
        date(2026, 5, 2),
        IN_ORDER[1].event_ns,
        "req_2",
    )


def test_a_credit_reopens_the_cap_and_may_turn_a_period_negative() -> None:
    cap = (*ACCEPTED[:2], "cap=10")
    # 20 + 15 + 24 + 100 = 159 by the end of May; a credit of 140 on 3 May leaves 19: 3.80, less April's 4.00
    credited = [*CROSSING, sale("05-03", "openai", "aws", "-140.00")]
    assert amounts(settled(credited, MAY, *cap))["A5.share-openai-microsoft"] == "-0.20"
    # June: 19 + 100 = 119 → 23.80, clipped at 10.00, less 3.80
    assert amounts(settled(credited, JUNE, *cap))["A5.share-openai-microsoft"] == "6.20"


def test_all_payments_count_toward_the_cap_with_an_opening_balance() -> None:
    cap = (*ACCEPTED[:2], "cap=10", "cap-counts=all-payments:7.50")
    # 10.00 − 7.50 leave 2.50 for April, nothing after
    assert [amounts(settled(CROSSING, month, *cap))["A5.share-openai-microsoft"] for month in (APRIL, MAY)] == [
        "2.50",
        "0.00",
    ]


def test_lines_are_rounded_by_largest_remainder() -> None:
    # 20 % of 0.10 + 0.10 + 0.07 = 0.054 → 0.05; lines 0.02, 0.02, 0.014 → 0.01
    revenue = [
        sale("05-01", "openai", "azure", "0.10"),
        sale("05-01", "openai", "aws", "0.10"),
        sale("05-01", "amazon", "aws", "0.07"),
    ]
    assert lines(settled(revenue, MAY)) == {
        "A5.share-openai-microsoft|gpt-5.4|aws|amazon": "0.01",
        AWS: "0.02",
        AZURE: "0.02",
    }


# cumulative base → share, ties to the even cent: 20 % of 0.125 = 0.025 → 0.02; of 0.175 = 0.035 → 0.04
@pytest.mark.parametrize(("base", "due"), [("0.125", "0.02"), ("0.175", "0.04"), ("0.024", "0.00")])
def test_half_even(base: str, due: str) -> None:
    assert amounts(settled([sale("05-01", "openai", "azure", base)], MAY)) == {"A5.share-openai-microsoft": due}


def test_the_journal_balances_and_posts_a_settlement_once() -> None:
    april = settled(NIGHT, APRIL)
    journal = Journal().append(accruals(april))
    assert journal.append(accruals(april)) == journal
    assert accruals(april, journal.entries) == []
    assert {str(account): str(balance) for account, balance in balances(journal.entries).items()} == {
        "openai:expense:revenue-share:microsoft": "40.02",  # 30.02 + 6.00 + 4.00
        "openai:payable:revenue-share:microsoft": "-40.02",
        "microsoft:receivable:revenue-share:openai": "40.02",
        "microsoft:income:revenue-share:openai": "-40.02",
        "microsoft:expense:revenue-share:openai": "8.00",
        "microsoft:payable:revenue-share:openai": "-8.00",
        "openai:receivable:revenue-share:microsoft": "8.00",
        "openai:income:revenue-share:microsoft": "-8.00",
    }
    assert {p.citations[0].term for e in journal.entries for p in e.postings} == {share.term for share in SHARES}


def test_late_usage_is_posted_as_a_correction() -> None:
    journal = Journal().append(accruals(settled(NIGHT, APRIL)))
    late = settled([*NIGHT, sale("04-26", "openai", "azure", "5.00")], APRIL)
    (correction,) = accruals(late, journal.entries)
    # 20 % of 155.123456789012 = 31.02, of which 30.02 is posted
    assert [str(posting.amount) for posting in correction.postings] == ["1.00", "-1.00", "1.00", "-1.00"]
    assert correction.narration.endswith("corrected")
    back = accruals(settled(NIGHT, APRIL), [*journal.entries, correction])
    assert [str(entry.postings[0].amount) for entry in back] == ["-1.00"]


def test_what_is_no_longer_owed_is_taken_back() -> None:
    journal = Journal().append(accruals(settled(NIGHT, APRIL)))
    reversed_ = accruals(settled([], APRIL), journal.entries)
    assert set(balances([*journal.entries, *reversed_]).values()) == {D("0.00")}


# Laws. Revenue lines at random over the days around the amendment, credits among them.
CENTS = st.integers(-2_000_000, 9_000_000).map(lambda units: D(units).scaleb(-6))
LINES = st.builds(
    RevenueLine,
    event_day=st.dates(date(2026, 4, 20), date(2026, 5, 8)),
    seller=st.sampled_from(["openai", "microsoft", "amazon"]),
    cloud=st.sampled_from(["azure", "aws"]),
    product=st.sampled_from(["gpt-5.4", "gpt-5.5", "gpt-oss-120b"]),
    amount=CENTS,
    requests=st.just(1),
)
HISTORIES = st.lists(LINES, max_size=25)
SMALL = ("share-openai-microsoft=19.5%", "share-microsoft-openai", "cap=5.00", "wholesale=87.5%")
WHOLE = Interval(date(2026, 4, 1), date(2026, 6, 1))


@given(HISTORIES, st.randoms(use_true_random=False))
def test_arrival_order_changes_nothing(history: list[RevenueLine], shuffle: st.DataObject) -> None:
    shuffled = list(history)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    assert settled(history, APRIL, *SMALL) == settled(shuffled, APRIL, *SMALL)


@given(HISTORIES)
def test_batch_size_changes_nothing(history: list[RevenueLine]) -> None:
    halves = [
        msgspec.structs.replace(line, amount=line.amount / 2, requests=requests)
        for line in history
        for requests in (1, 0)
    ]
    assert settled(history, WHOLE, *SMALL) == settled(halves, WHOLE, *SMALL)


@given(HISTORIES, st.lists(st.dates(date(2026, 4, 2), date(2026, 5, 31)), max_size=4))
def test_splitting_the_period_changes_no_sum(history: list[RevenueLine], cuts: list[date]) -> None:
    bounds = sorted({WHOLE.begin, *cuts, WHOLE.end})
    parts = [amounts(settled(history, Interval(*pair), *SMALL)) for pair in pairwise(bounds)]
    for term, amount in amounts(settled(history, WHOLE, *SMALL)).items():
        assert exact_sum(D(part.get(term, "0")) for part in parts) == D(amount)


@given(HISTORIES)
def test_lines_sum_to_the_share_and_the_cap_holds(history: list[RevenueLine]) -> None:
    for share in settled(history, WHOLE, *SMALL).shares:
        assert exact_sum(line.amount for line in share.lines) == share.amount
        assert exact_sum(line.base for line in share.lines) == share.base
        if share.cap:
            assert share.share_after <= D("5.00")
            assert share.cap.remaining + share.share_after == D("5.00")


@given(HISTORIES, HISTORIES)
def test_debits_equal_credits_and_replay_changes_nothing(history: list[RevenueLine], late: list[RevenueLine]) -> None:
    journal = Journal()
    for revenue in (history, [*history, *late], [*history, *late]):
        journal = journal.append(accruals(settled(revenue, WHOLE, *SMALL), journal.entries))
    posted = balances(journal.entries)
    assert exact_sum(posted.values()) == 0
    for share in settled([*history, *late], WHOLE, *SMALL).shares:
        accrued = [entry for entry in journal.entries if entry.postings[0].citations[0].term == share.term]
        assert exact_sum(entry.postings[0].amount for entry in accrued) == share.amount


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["azure", "aws"]), CENTS), min_size=1, max_size=30))
def test_order_within_a_day_changes_lines_but_no_sum(sales: list[tuple[int, str, D]]) -> None:
    day = date(2026, 5, 2)
    records = [record("05-02", hour, number, cloud, str(amount)) for number, (hour, cloud, amount) in enumerate(sales)]
    revenue = [sale("05-02", "openai", item.cloud, str(item.amount)) for item in records]
    plain = settled(revenue, MAY, *SMALL)
    exact = settled(revenue, MAY, *SMALL, ordered={day: records})
    assert amounts(exact) == amounts(plain)
    (share,) = exact.shares
    assert exact_sum(line.amount for line in share.lines) == share.amount
    assert exact.needs_order == ()


HOUR = 3_600_000_000_000
RECORDS = st.builds(
    SaleRecord,
    event_ns=st.integers(start_of_day_ns(date(2026, 4, 25)) // HOUR, start_of_day_ns(date(2026, 5, 4)) // HOUR).map(
        lambda hour: hour * HOUR
    ),
    request_id=st.uuids().map(str),
    attempt=st.just(1),
    seller=st.sampled_from(["openai", "microsoft", "amazon"]),
    cloud=st.sampled_from(["azure", "aws"]),
    product=st.just("gpt-5.4"),
    amount=CENTS,
)


def walked(records: Sequence[SaleRecord], period: Interval) -> tuple[Fraction, dict[str, Fraction]]:
    """The A5 share walked through sale by sale in fractions: due in the period, and what each line moved it, unrounded.

    Rate 19.5 %, cap 5.00, openai's sales in full and amazon's at 87.5 %.
    """
    parts = {"openai": Fraction(1), "amazon": Fraction(875, 1000), "microsoft": Fraction(0)}
    cap, rate, base = Fraction(5), Fraction(195, 1000), Fraction(0)
    moved: dict[str, Fraction] = {}
    ends = [Fraction(0), Fraction(0)]
    for record in sorted(records):
        day = day_of(record.event_ns)
        counts = Fraction(record.amount) * parts[record.seller]
        if day < A5 or day >= period.end or not counts:
            continue
        before, base = min(cap, rate * base), base + counts
        if day < period.begin:
            ends[0] = base
        else:
            line = f"A5.share-openai-microsoft|gpt-5.4|{record.cloud}|{record.seller}"
            moved[line] = moved.get(line, Fraction(0)) + min(cap, rate * base) - before
        ends[1] = base
    first, last = (min(cap, Fraction(round(rate * end * 100), 100)) for end in ends)
    return last - first, moved


@given(st.lists(RECORDS, max_size=30, unique_by=lambda record: record.request_id), st.booleans())
def test_it_agrees_with_a_walk_through_the_sales_in_fractions(records: list[SaleRecord], whole: bool) -> None:
    period = WHOLE if whole else MAY
    revenue = summed(records)
    plain = settled(revenue, period, *SMALL)
    ordered = {day: [r for r in records if day_of(r.event_ns) == day] for day in plain.needs_order}
    (share,) = (s for s in settled(revenue, period, *SMALL, ordered=ordered).shares if s.cap)
    due, moved = walked(records, period)
    assert Fraction(share.amount) == due
    for line in share.lines:
        if sum(moved.values()):
            # a line is its exact part of the share, to within a cent
            assert abs(Fraction(line.amount) - due * moved[line.id] / sum(moved.values())) < Fraction(1, 100)


def test_what_no_share_counts_needs_no_price() -> None:
    assert in_no_base(SHARES, CATALOG) == {"gpt-oss-120b"}
    assert in_no_base([], CATALOG) == CATALOG.products.keys()


def test_usage_of_unknown_length_is_named_beside_what_was_assumed() -> None:
    lines = [
        RevenueLine(event_day=day, seller="openai", cloud="azure", product="gpt-5.5", amount=D(100), unsized=2)
        for day in (date(2026, 4, 30), date(2026, 5, 1), date(2026, 5, 2))  # of which two lie in the month
    ]
    stated, quiet = (
        settled(usage, MAY) for usage in (lines, [msgspec.structs.replace(line, unsized=0) for line in lines])
    )
    [named] = [assumption for assumption in stated.assumptions if assumption.name == "request-lengths"]
    assert named.in_words == "4 records of unknown length (ours)"
    assert "how long each was" in named.text
    assert not [assumption for assumption in quiet.assumptions if assumption.name == "request-lengths"]
    assert (stated.receipt, stated.shares) == (quiet.receipt, quiet.shares)
