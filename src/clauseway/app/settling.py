"""Settling a month: seal what was metered, price it, take the shares, post the journal, keep the settlement."""

import time
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version

import msgspec

from clauseway.agreement import RevenueShare
from clauseway.agreement.agreement import Figure
from clauseway.app.home import Home
from clauseway.app.library import OpenAgreement
from clauseway.app.sealing import open_lake, seal
from clauseway.app.several import Opened, each_of, own_readings, text_hash
from clauseway.decisions.several import in_their_order
from clauseway.ledger import (
    Assumptions,
    Inputs,
    RevenueLine,
    Settlement,
    Statement,
    accruals,
    read_assumptions,
    settle,
    statement_of,
)
from clauseway.pricing import PriceTable, UnknownPrice
from clauseway.storage import Control
from clauseway.storage.lake import Lake
from clauseway.storage.usage import revenue, sales_in_order
from clauseway.values import Citation, Interval, InvalidInput, KnownAt, Problem


def month(period: str) -> Interval:
    """`2026-05` as its days. Raises InvalidInput."""
    try:
        begin = date.fromisoformat(f"{period}-01")
        end = date(begin.year + begin.month // 12, begin.month % 12 + 1, 1)
    except ValueError as error:
        raise InvalidInput(
            Problem(what=f"{period!r} is no month", why=str(error), where="--period", todo="Write YYYY-MM, as 2026-05.")
        ) from None
    return Interval(begin, end)


def settle_month(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    period: str,
    assume: Sequence[str],
    readings: Mapping[str, str],
) -> Settlement:
    """Settle a month on everything metered so far, and post it: the shares of every agreement given.

    Settling again on more usage posts the difference. Raises InvalidInput: a figure undisclosed and not accepted, usage
    without a price, a product that the catalog does not know. Then nothing is posted.
    """
    days = month(period)
    assumptions = read_assumptions(assume, figures_of(opened))
    shares = shares_of(opened, prices.known_at, readings)
    seal(home)
    with open_lake(home) as lake:
        settlement = settle_on(lake, opened, prices, days, shares, assumptions)
        entries = accruals(settlement, lake.control.entries())
        lake.control.settle(settlement, entries, time.time_ns())
    return settlement


def settle_on(
    lake: Lake,
    opened: Opened,
    prices: PriceTable,
    days: Interval,
    shares: Sequence[RevenueShare],
    assumptions: Assumptions,
) -> Settlement:
    """Settle days by given shares on the usage that is sealed. Nothing is posted. Raises InvalidInput."""
    known_at = prices.known_at
    lines = _revenue(lake, prices, _since(shares, days))
    inputs = Inputs(
        agreement=text_hash(opened),
        price_book=prices.digest,
        batches=tuple(batch.name for batch in lake.control.batches()),
        known_at=str(known_at),
        engine=f"clauseway {version('clauseway')}",
        facts="+".join(one.facts_hash(known_at) for one in in_their_order(each_of(opened))),
    )
    settlement = settle(
        period=days, shares=shares, revenue=lines, catalog=opened.catalog, assumptions=assumptions, inputs=inputs
    )
    if not settlement.needs_order:
        return settlement
    ordered = {day: sales_in_order(lake, prices, day) for day in settlement.needs_order}
    return settle(
        period=days,
        shares=shares,
        revenue=lines,
        catalog=opened.catalog,
        assumptions=assumptions,
        inputs=inputs,
        ordered=ordered,
    )


def figures_of(opened: Opened) -> Mapping[str, Figure]:
    """The figures that the agreements declare. Raises InvalidInput where two declare one name otherwise."""
    figures: dict[str, Figure] = {}
    problems = []
    for one in each_of(opened):
        for name, figure in one.agreement.figures.items():
            before = figures.setdefault(name, figure)
            if (before.value, before.standing) != (figure.value, figure.standing):
                why = (
                    f"one agreement has {before.value} ({before.standing}), another {figure.value} ({figure.standing})"
                )
                todo = "Rename it in one of them, and in the terms that use it."
                what = f"the figure {name!r} is declared twice"
                problems.append(Problem(what=what, why=why, where=one.agreement.id, todo=todo))
    if problems:
        raise InvalidInput(*problems)
    return figures


def shares_of(opened: Opened, known_at: KnownAt, readings: Mapping[str, str]) -> list[RevenueShare]:
    """Every revenue share of the agreements. Of several, places name their agreement too; and so does a term's id that
    two of them have."""
    if isinstance(opened, OpenAgreement):
        return opened.revenue_shares(known_at, readings)
    found = [
        (one.agreement.id, share)
        for one in in_their_order(opened.each)
        for share in one.revenue_shares(known_at, own_readings(opened, one, readings))
    ]
    # A share that another amendment ends and begins again has one id in one agreement.
    owners: dict[str, set[str]] = {}
    for agreement, share in found:
        owners.setdefault(share.term, set()).add(agreement)
    return [
        msgspec.structs.replace(
            share,
            term=share.term if len(owners[share.term]) == 1 else f"{agreement}:{share.term}",
            citation=_placed(agreement, share.citation),
            ended_by=share.ended_by and _placed(agreement, share.ended_by),
        )
        for agreement, share in found
    ]


def _placed(agreement: str, citation: Citation) -> Citation:
    return msgspec.structs.replace(citation, document=f"{agreement}/{citation.document}")


def statement(home: Home, period: str, party: str = "") -> Statement | None:
    """The statement of a month's latest settlement, for one party or for all; None where none was posted."""
    control = Control.open(home.make().control)
    try:
        settlements = control.settlements(month(period))
    finally:
        control.close()
    return statement_of(settlements[-1], party) if settlements else None


def latest_settlements(home: Home) -> dict[str, Settlement]:
    """Each settled month (`2026-05`) with its latest settlement, oldest month first."""
    control = Control.open(home.make().control)
    try:
        latest = {found.period.begin.strftime("%Y-%m"): found for found in control.settlements()}
    finally:
        control.close()
    return dict(sorted(latest.items()))


def _since(shares: Sequence[RevenueShare], days: Interval) -> Interval:
    """From the begin of the earliest share in force in these days, because shares are due on cumulative totals."""
    begins = [share.begin for share in shares if not Interval(share.begin, share.end).intersect(days).is_empty]
    return Interval(min([days.begin, *begins]), days.end)


def _revenue(lake: Lake, prices: PriceTable, days: Interval) -> list[RevenueLine]:
    try:
        return revenue(lake, prices, days)
    except UnknownPrice as error:
        raise InvalidInput(
            Problem(
                what="usage has no price",
                why=str(error),
                where="price book",
                todo="Add the price to a book and name it with --prices.",
            )
        ) from None


def now() -> KnownAt:
    """The point of knowledge of a settlement made now."""
    return KnownAt(time.time_ns())
