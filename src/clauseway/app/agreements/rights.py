"""Which rights the pages draw over time: chosen from the agreement's own terms, so that another one draws its own."""

from collections.abc import Iterator
from datetime import date
from typing import Unpack

import msgspec

from clauseway.agreement import (
    Amendment,
    Exclusivity,
    Licence,
    Ownership,
    Precedence,
    RevenueShareTerm,
)
from clauseway.agreement.actions import CONTRACT, LICENSE, SELL, SERVE, SHARE
from clauseway.app.opening.library import OpenAgreement, QuestionParts
from clauseway.app.opening.several import OpenAgreements, Opened, each_of
from clauseway.catalog import ELSEWHERE
from clauseway.decisions import Decision, Question, Span
from clauseway.decisions.question import CLOUD_ACTIONS
from clauseway.values import InvalidInput, KnownAt
from clauseway.web import Timeline, TimelineMark, TimelineRow, TimelineSegment

# The picture begins with the year of the first amendment and ends where the last known end lies well inside.
_YEARS_AFTER_LAST_END = 1


class Right(msgspec.Struct, frozen=True):
    """A right, told in a few words, and the question that asks for it."""

    label: str
    question: Question


def timeline_of_rights(opened: Opened, known_at: KnownAt) -> Timeline:
    """Every right of interest from the agreements' first year to after their last known end, decided by all of them."""
    rights = [right for one in each_of(opened) for right in rights_of_interest(one, known_at)]
    rows = [(right, _spans(opened, right.question)) for right in rights]
    amendments = [amendment for one in each_of(opened) for amendment in one.agreement.amendments]
    begin, end = _extent(rows, amendments)
    return Timeline(
        begin=begin,
        end=end,
        rows=tuple(
            TimelineRow(label=right.label, segments=_segments(spans, begin, end))
            for right, spans in rows
        ),
        marks=tuple(
            TimelineMark(day=amendment.effective, label=amendment.id, text=amendment.title)
            for amendment in amendments
            if amendment.known <= known_at
        ),
    )


def _spans(opened: Opened, question: Question) -> tuple[Span, ...]:
    """Of several agreements each reads by its own defaults; the question names those of one."""
    if isinstance(opened, OpenAgreements):
        return opened.timeline(msgspec.structs.replace(question, readings={}))
    return opened.timeline(question)


def _extent(
    rows: list[tuple[Right, tuple[Span, ...]]], amendments: list[Amendment]
) -> tuple[date, date]:
    begins = [amendment.effective for amendment in amendments]
    days = [span.begin for _, spans in rows for span in spans] + begins
    return date(min(days).year, 1, 1), date(max(days).year + _YEARS_AFTER_LAST_END, 1, 1)


def _segments(spans: tuple[Span, ...], begin: date, end: date) -> tuple[TimelineSegment, ...]:
    before = [
        TimelineSegment(
            begin=begin, end=spans[0].begin, outcome="unstated", why="No amendment is in force yet."
        )
    ]
    drawn = before if spans[0].begin > begin else []
    return tuple(drawn) + tuple(
        TimelineSegment(
            begin=max(span.begin, begin),
            end=min(span.end, end),
            outcome=span.decision.outcome.value,
            why=_why(span.decision),
        )
        for span in spans
        if span.begin < end
    )


def _why(decision: Decision) -> str:
    first = decision.reasons[0]
    note = f" ({first.note})" if first.note else ""
    needed = "".join(f" {condition.text}" for condition in decision.conditions)
    return f"{first.amendment} {first.term}{note}: {first.text}{needed}"


def rights_of_interest(opened: OpenAgreement, known_at: KnownAt) -> Iterator[Right]:
    """The owner's rights elsewhere than on the primary cloud, others' rights to sell, licences, shares."""

    def right(label: str, **parts: Unpack[QuestionParts]) -> Iterator[Right]:
        parts["as_of"], parts["known_at"] = date.min, known_at
        for region in regions if parts["action"] in CLOUD_ACTIONS else [""]:
            parts["region"] = region
            try:
                yield Right(f"{label} in {region}" if region else label, opened.question(**parts))
            except InvalidInput:
                return  # this agreement's classes do not take that action

    # Where regions are told apart, a right is one in each of them.
    regions = [*sorted(opened.catalog.regions), ELSEWHERE] if opened.catalog.regions else [""]
    owner = _first(opened, Ownership, "party")
    primary = _first(opened, Precedence, "first")
    licensee = _first(opened, Licence, "licensee")
    elsewhere, seller = _elsewhere(opened, primary, {owner, licensee})
    for name in _classes(opened, SERVE):
        for product, label in _examples(opened, name):
            yield from right(
                f"{owner} serves {label} on {elsewhere}",
                action=SERVE,
                party=owner,
                product=product,
                cloud=elsewhere,
            )
    for product in _classes(opened, CONTRACT):
        yield from right(
            f"{owner} contracts for {product} on {elsewhere}",
            action=CONTRACT,
            party=owner,
            product=product,
            cloud=elsewhere,
        )
    for name in _classes(opened, SELL)[:1]:
        product, label = _examples(opened, name)[0]
        yield from right(
            f"{licensee} sells {label} on {primary}",
            action=SELL,
            party=licensee,
            product=product,
            cloud=primary,
        )
        yield from right(
            f"{seller} sells {label} on {elsewhere}",
            action=SELL,
            party=seller,
            product=product,
            cloud=elsewhere,
        )
    for product in _classes(opened, LICENSE)[:1]:
        yield from right(
            f"{owner} licenses {product} to {seller}",
            action=LICENSE,
            party=owner,
            to=seller,
            product=product,
        )
    for payer, payee in _share_directions(opened):
        yield from right(f"{payer} pays a share to {payee}", action=SHARE, party=payer, to=payee)


def _classes(opened: OpenAgreement, action: str) -> list[str]:
    """The classes that take an action and that some exclusivity has reserved, in the agreement's own order."""
    reserved = {
        scope
        for amendment in opened.agreement.amendments
        for term in amendment.terms
        if isinstance(term, Exclusivity)
        for scope in term.products
    }
    return [
        name
        for name, known in opened.catalog.classes.items()
        if action in known.actions
        and any(opened.catalog.belongs(name, scope) for scope in reserved)
    ]


def _examples(opened: OpenAgreement, name: str) -> list[tuple[str, str]]:
    """What to ask of a class: its first product, where it has one, and a new product of it (the class itself)."""
    products = [
        product.id for product in opened.catalog.products.values() if product.product_class == name
    ]
    return [(product, f"{product} ({name})") for product in products[:1]] + [
        (name, f"a new {name} product")
    ]


def _elsewhere(opened: OpenAgreement, primary: str, insiders: set[str]) -> tuple[str, str]:
    """A cloud that is not the primary one, operated by an outsider where there is one, and its operator."""
    others = [pair for pair in sorted(opened.catalog.operators.items()) if pair[0] != primary]
    outside = [pair for pair in others if pair[1] not in insiders]
    return next(iter(outside + others), (primary, opened.catalog.operators.get(primary, "")))


def _first(opened: OpenAgreement, kind: type, field: str) -> str:
    for amendment in opened.agreement.amendments:
        for term in amendment.terms:
            if isinstance(term, kind):
                return str(getattr(term, field))
    return ""


def _share_directions(opened: OpenAgreement) -> list[tuple[str, str]]:
    found = [
        (term.payer, term.payee)
        for amendment in opened.agreement.amendments
        for term in amendment.terms
        if isinstance(term, RevenueShareTerm)
    ]
    return sorted(set(found))
