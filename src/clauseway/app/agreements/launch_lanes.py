"""Launches against ship-first, as lanes: each product that was seen on another cloud."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

import msgspec

from clauseway.agreement.language.terms import Precedence
from clauseway.app.agreements.launch_audit import AuditRow, EvidenceRow, launch_audit
from clauseway.app.agreements.passages import document_name, located
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of
from clauseway.decisions import Order
from clauseway.exchange.listings import NAMES
from clauseway.values import Citation, KnownAt
from clauseway.web.auditor import LaunchesContext, LaunchLane, LaunchPoint, YearMark
from clauseway.wording.names import Wording, listed

_VERDICTS = {
    Order.FIRST: "{first} first, then {cloud}",
    Order.LATER: "{cloud} first",
    Order.CANNOT_TELL: "the evidence cannot tell whether {first} was before {cloud}",
    Order.OUTSIDE: "{cloud}; ship-first is not about it",
}
_SHORT = {
    Order.FIRST: "{first} first",
    Order.LATER: "{first} later",
    Order.CANNOT_TELL: "cannot tell",
    Order.OUTSIDE: "not about it",
}
# The strip goes on behind the last evidence, so that its sign lies within.
_ROOM = timedelta(days=14)


def launches_page(opened: Opened, known_at: KnownAt) -> LaunchesContext | None:
    """Return the page of the first agreement that puts a cloud first; None where none does."""
    for asked in each_of(opened):
        if clauses := _ship_first(opened, asked):
            break
    else:
        return None
    audit, words = launch_audit(asked, known_at=str(known_at)), _wording(asked)
    elsewhere = [row for row in audit.rows if row.order is not Order.NOWHERE_ELSE]
    days = [evidence.day for row in elsewhere for evidence in _evidence([row])]
    begin = min(days, default=date.min).replace(day=1)
    end = max(days, default=date.min) + _ROOM
    products = {row.product for row in audit.rows}
    before = document_name(opened, asked, "")
    lanes = tuple(
        _lane(product, list(rows), audit.first, words, (begin, end), before)
        for product, rows in groupby(elsewhere, key=lambda row: row.product)
    )
    years = [date(year, 1, 1) for year in range(begin.year + 1, end.year + 1)] if days else []
    return LaunchesContext(
        title=audit.title,
        first=words.name(audit.first),
        known_at=str(known_at.to_the_second()),
        listings=audit.listings,
        breaches=audit.breaches,
        result=_result(audit.breaches, elsewhere, len(products)),
        lanes=tuple(sorted(lanes, key=_attention)),
        years=tuple(
            YearMark(_x(max(day, begin), begin, end), str(day.year))
            for day in [begin.replace(day=1, month=1), *years]
            if days and day < end
        ),
        others=len(products) - len(lanes),
        command="clauseway agreement listings launches",
        citations=clauses,
    )


def _wording(asked: OpenAgreement) -> Wording:
    """Return the agreement's wording, which spells the providers of listings too."""
    words = Wording.of([asked])
    return msgspec.structs.replace(words, spelled={**NAMES, **words.spelled})


def _ship_first(opened: Opened, asked: OpenAgreement) -> tuple[Citation, ...]:
    return tuple(
        located(opened, asked, term.citation)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
        if isinstance(term, Precedence)
    )


def _attention(lane: LaunchLane) -> int:
    """Breaches come first, then launches that cannot be told."""
    return 0 if lane.breach else 1 if _SHORT[Order.CANNOT_TELL] in lane.said else 2


def _result(breaches: int, elsewhere: Sequence[AuditRow], products: int) -> str:
    """Return what was found in a sentence: `No breach was found; 2 of 41 products cannot be told.`"""
    counted = {0: "No breach was found", 1: "One breach was found"}
    sentence = counted.get(breaches, f"{breaches:,} breaches were found")
    undecided = {row.product for row in elsewhere if row.order is Order.CANNOT_TELL}
    if not undecided:
        return f"{sentence} among {products:,} {'product' if products == 1 else 'products'}."
    return f"{sentence}; {len(undecided):,} of {products:,} products cannot be told."


def _lane(
    product: str,
    rows: Sequence[AuditRow],
    first: str,
    words: Wording,
    days: tuple[date, date],
    before: str,
) -> LaunchLane:
    """Return a product's lane. `before` stands before the names of the agreement's documents."""
    evidence = sorted(_evidence(rows), key=lambda each: (each.day, each.cloud))
    return LaunchLane(
        product=product,
        said=" · ".join(_said(rows, words.name(first))),
        verdict=" · ".join(_verdicts(rows, first, words)),
        breach=any(row.breach for row in rows),
        why=tuple(
            dict.fromkeys(words.spelt(each) for row in rows for each in (row.why, row.why_bound))
        ),
        points=tuple(_point(each, words, first, days, before) for each in dict.fromkeys(evidence)),
    )


def _point(
    each: EvidenceRow, words: Wording, first: str, days: tuple[date, date], before: str
) -> LaunchPoint:
    return LaunchPoint(
        x=_x(each.day, *days),
        day=each.day,
        cloud=words.name(each.cloud),
        is_first=each.cloud == first,
        listed=each.listed,
        by=f"listed by {words.name(each.seller)}"
        if each.listed
        else f"on record, source {each.seller}",
        evidence=each.evidence,
        why=words.spelt(each.why),
        document=f"{before}{each.document}" if each.document else "",
        line=each.line,
    )


def _said(rows: Iterable[AuditRow], first: str) -> Iterator[str]:
    if any(row.breach for row in rows):
        yield "breach"
    yield from dict.fromkeys(_SHORT[row.order].format(first=first) for row in rows)


def _verdicts(rows: Sequence[AuditRow], first: str, words: Wording) -> Iterator[str]:
    """Yield a sentence for each order of shipments, with the clouds of that order."""
    clouds: dict[tuple[Order, bool], list[str]] = {}
    for row in rows:
        clouds.setdefault((row.order, row.breach), []).append(words.name(row.cloud))
    for (order, breach), names in clouds.items():
        conjunction = "or" if order is Order.CANNOT_TELL else "and"
        said = _VERDICTS[order].format(first=words.name(first), cloud=listed(names, conjunction))
        yield f"breach: {said}" if breach else said


def _evidence(rows: Iterable[AuditRow]) -> list[EvidenceRow]:
    return [each for row in rows for each in (*row.on_first, *row.elsewhere)]


def _x(day: date, begin: date, end: date) -> float:
    return round(100 * (day - begin).days / (end - begin).days, 3)
