"""Facts that a question supposes, as written on the command line. Supposed facts count as known."""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.agreement.language.definitions import Event
from clauseway.agreement.language.facts import (
    ANSWERS,
    Answer,
    EventHappened,
    Fact,
    Grant,
    Launch,
    Milestone,
    Offer,
    Withdrawal,
    names_in,
)
from clauseway.agreement.reading.registers import check_named
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.catalog import Catalog
from clauseway.values import Citation, InvalidInput, KnownAt, parse_day

_FLAG = "--suppose"
SUPPOSED_FORMS = (
    "milestone=DAY, launch:PRODUCT:CLOUD:STAGE=DAY, "
    "answer:PRODUCT:cannot+declines=DAY (or can, chooses), offer:SUBJECT:passed=DAY, "
    "event:NAME=DAY, grant:PARTY:PRODUCT=DAY or withdrawal:PARTY:PRODUCT=DAY"
)
_WRITE = f"Write {SUPPOSED_FORMS}."


def suppose(text: str, catalog: Catalog, events: Mapping[str, Event]) -> Fact:
    """Return the fact in a supposition such as `launch:new-model:azure:available=2026-04-30`.

    Raises InvalidInput.
    """
    subject, equals, day = text.partition("=")
    mistakes = Mistakes(_FLAG)
    fact = _fact(subject.split(":"), _cited(subject, text))
    if not equals or fact is None:
        mistakes.add(0, f"cannot suppose {text!r}", "it has none of the known forms", _WRITE)
        raise mistakes.refusal()
    for key, name, allowed in names_in(fact, catalog):
        check_named(0, key, name, allowed, events, mistakes)
    effective = _day(day, mistakes)
    if mistakes:
        raise mistakes.refusal()
    return msgspec.structs.replace(fact, effective=effective)


def _day(text: str, mistakes: Mistakes) -> date:
    try:
        return parse_day(text, _FLAG)
    except InvalidInput as error:
        mistakes.include(error.problems)
        return date.min


def _cited(subject: str, text: str) -> Citation:
    said = f"Supposed: {text}."
    return Citation(
        term=subject, amendment="facts", document=_FLAG, line=0, source="supposed", text=said
    )


def _fact(parts: list[str], citation: Citation) -> Fact | None:
    """Return the fact that the parts spell, without its day; None if they spell none."""
    # Supposed facts count as known always; the caller fills in their day.
    day, always = date.min, KnownAt.always()
    match parts:
        case ["milestone"]:
            return Milestone(effective=day, known=always, citation=citation)
        case ["event", event]:
            return EventHappened(effective=day, known=always, citation=citation, event=event)
        case ["launch", product, cloud, stage]:
            return Launch(
                effective=day,
                known=always,
                citation=citation,
                product=product,
                cloud=cloud,
                stage=stage,
            )
        case ["answer", product, answer] if answer in ANSWERS:
            can, declines = ANSWERS[answer]
            return Answer(
                effective=day,
                known=always,
                citation=citation,
                product=product,
                can=can,
                declines=declines,
            )
        case ["offer", subject, "passed"]:
            return Offer(
                effective=day, known=always, citation=citation, subject=subject, passed=True
            )
        case ["withdrawal", party, product]:
            return Withdrawal(
                effective=day, known=always, citation=citation, party=party, product=product
            )
        case ["grant", party, product]:
            return Grant(
                effective=day, known=always, citation=citation, party=party, product=product
            )
    return None
