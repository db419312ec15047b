"""The register of facts of a home: record one, list them, add them to what an agreement's own text
records.

Append-only. A fact is kept as it was given; what is wrong is said again later, by a fact that
corrects it.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from clauseway.agreement import (
    Fact,
    FactRegister,
    Grant,
    Recorded,
    UncheckedFact,
    checked,
    facts_for,
    idle_events,
    with_additions,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.locks import locked
from clauseway.decisions import AskedAgreement
from clauseway.storage.control.control import FactPayload, FactRow
from clauseway.values import InvalidInput, KnownAt, Problem
from clauseway.wording.changes import Owners

# Clocks of machines that share a register differ by less.
_AHEAD_NS = 3_600_000_000_000


class ListedFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact as it is listed.

    `known_at` is empty where it is known from its own day; `hidden_by` names the correction that
    hides it. `idle` is true of an event without which all that terms wait for would go on on the
    same days.
    """

    name: str
    fact: str
    effective: date
    known_at: str
    says: str
    source: str
    document: str
    line: int
    corrects: str
    hidden_by: str
    idle: bool = False


def record_fact(
    home: Home, opened: OpenAgreement, given: UncheckedFact, *, clock_was_ahead: bool = False
) -> Recorded:
    """Record a fact for an agreement, now.

    Raise InvalidInput with every problem; then nothing was recorded.

    `opened` is the agreement with its own facts, without what the home has recorded. Where it has
    facts from ahead of this machine's clock, nothing is recorded unless `clock_was_ahead` then:
    with it, the fact is known before those.

    >>> from clauseway import UncheckedFact, home_at, open_agreement, record_fact
    >>> milestone = UncheckedFact(
    ...     kind="milestone", effective="2026-06-01", source="a letter of that day", says="verified"
    ... )
    >>> recorded = record_fact(home_at(None), open_agreement(), milestone)
    """
    # A fact that is wrong by itself is refused before anything is made.
    _checked(home, opened, given)
    # Of two who record at once, the later one checks what the earlier one recorded.
    with locked(home, "facts"):
        record, before = _checked(home, opened, given)
        now_ns = time.time_ns()
        ahead = _ahead_of(now_ns, before)
        if ahead and not clock_was_ahead:
            raise InvalidInput(clock_problem(ahead))
        # A clock that was set back must not put a later record before an earlier one.
        known = (earlier.known.instant_ns for earlier in before if earlier not in ahead)
        recorded_ns = max([now_ns, *known])
        sequence = _append(home, record, recorded_ns)
    return msgspec.structs.replace(record, sequence=sequence, known=KnownAt(recorded_ns, sequence))


def _checked(
    home: Home, opened: OpenAgreement, given: UncheckedFact
) -> tuple[Recorded, tuple[Recorded, ...]]:
    """Return a fact as it would be recorded, and everything that the home has recorded."""
    before = recorded_facts(home)
    agreement = opened.agreement.id
    facts = facts_for(agreement, before)
    catalog = with_additions(opened.catalog, facts)
    earlier = (*opened.facts.facts, *facts)
    record = checked(given, agreement, catalog, opened.agreement.events, earlier)
    fact = record.fact()
    if isinstance(fact, Grant):
        asked = AskedAgreement(opened.agreement, catalog, FactRegister(earlier))
        _refuse_grant_to_owner(fact, asked)
    return record, before


def _refuse_grant_to_owner(grant: Grant, asked: AskedAgreement) -> None:
    """Raise InvalidInput if a party is granted what it owns itself: such a grant has no effect."""
    owners = Owners.on([asked], grant.effective, KnownAt.everything(), {})
    catalog = asked.catalog
    # A grant of a class is one of every product in it, which may have other owners.
    names = [
        name
        for name in (*catalog.classes, *catalog.products)
        if catalog.belongs(name, grant.product)
    ]
    if owners.of(names) == [grant.party]:
        raise InvalidInput.of(
            what=f"the grant of {grant.product} is to its owner",
            why=f"{grant.party} owns it on {grant.effective} and needs no grant of its own",
            where="--party",
            remedy="Name the party that it was granted to. If that is the owner, record nothing: "
            "no grant lifts a term that binds an owner.",
        )


def _append(home: Home, record: Recorded, recorded_ns: int) -> int:
    """Append a checked fact to the register; return its sequence."""
    payload = FactPayload(
        agreement=record.agreement, says=record.says, about=record.about, corrects=record.corrects
    )
    with open_control(home) as control:
        return control.record_fact(
            kind=record.kind,
            effective=record.effective,
            payload=msgspec.json.encode(payload).decode(),
            source=record.source,
            recorded_ns=recorded_ns,
        )


def recorded_facts(home: Home) -> tuple[Recorded, ...]:
    """Return the facts recorded in a home, in order; none if the home has no register yet."""
    if not home.is_begun:
        return ()
    with open_control(home) as control:
        return tuple(map(_recorded, control.facts()))


def facts_ahead(home: Home) -> list[Recorded]:
    """Return the facts of a home that were recorded while a clock was ahead of this machine's."""
    return _ahead_of(time.time_ns(), recorded_facts(home))


def _ahead_of(now_ns: int, recorded: Iterable[Recorded]) -> list[Recorded]:
    return [record for record in recorded if record.known.instant_ns > now_ns + _AHEAD_NS]


def clock_problem(ahead: Sequence[Recorded]) -> Problem:
    """Return the problem of facts that were recorded ahead of this machine's clock."""
    names = ", ".join(record.id for record in ahead[:5]) + (", …" if ahead[5:] else "")
    first = min(record.known for record in ahead)
    return Problem(
        what=f"recorded while a clock was ahead: {names}",
        why=f"the first of them is known only from {first} on, as would be any fact recorded after them",
        where="register",
        remedy="If this machine's clock is behind, set it. Else record each of them again, with "
        "--clock-was-ahead and --corrects, so that it is known from now on; a product or a party that "
        "was added is known already. Later facts take --clock-was-ahead until then.",
    )


def with_register(opened: OpenAgreement, home: Home) -> OpenAgreement:
    """Return the agreement with what was recorded in a home beside its own facts."""
    recorded = facts_for(opened.agreement.id, recorded_facts(home))
    catalog = with_additions(opened.catalog, recorded)
    facts = opened.facts.with_facts(recorded)
    return msgspec.structs.replace(opened, catalog=catalog, facts=facts) if recorded else opened


def list_facts(opened: OpenAgreement, known_at: KnownAt) -> list[ListedFact]:
    """Return the facts known at a point, in the order in which they became known, those
    corrected by then too.

    >>> from clauseway import KnownAt, list_facts, open_agreement
    >>> facts = list_facts(open_agreement(), KnownAt.everything())
    >>> print(facts[0].effective, facts[0].says)
    2026-02-27 A stateful runtime environment announced for Bedrock. (2026-02-27)
    """
    register = FactRegister(tuple(fact for fact in opened.facts.facts if fact.known <= known_at))
    idle = idle_events(opened.agreement, opened.facts.known(known_at))
    return [
        listed(fact, hidden_by.name if hidden_by else "", idle=fact in idle)
        for fact, hidden_by in register.with_corrections()
    ]


def record_and_list(
    home: Home, opened: OpenAgreement, given: UncheckedFact, *, clock_was_ahead: bool = False
) -> ListedFact:
    """Record a fact as `record_fact` does, and return it as it is listed from then on."""
    recorded = record_fact(home, opened, given, clock_was_ahead=clock_was_ahead).fact()
    known_facts = with_register(opened, home).facts.known(recorded.known)
    idle = idle_events(opened.agreement, known_facts)
    return listed(recorded, idle=any(event.name == recorded.name for event in idle))


def listed(fact: Fact, hidden_by: str = "", *, idle: bool = False) -> ListedFact:
    """Return a fact as it is listed."""
    # Known from its own day on, as facts of a text are: that needs no telling.
    from_its_day = fact.known == KnownAt.recorded_on(fact.effective, fact.known.sequence)
    return ListedFact(
        name=fact.name,
        fact=fact.citation.term,
        effective=fact.effective,
        known_at="" if from_its_day else str(fact.known),
        says=fact.citation.text,
        source=fact.citation.source,
        document=fact.citation.document,
        line=fact.citation.line,
        corrects=fact.corrects,
        hidden_by=hidden_by,
        idle=idle,
    )


def _recorded(row: FactRow) -> Recorded:
    payload = msgspec.json.decode(row.payload, type=FactPayload)
    return Recorded(
        kind=row.kind,
        effective=row.effective,
        agreement=payload.agreement,
        source=row.source,
        says=payload.says,
        about=payload.about,
        corrects=payload.corrects,
        sequence=row.sequence,
        known=KnownAt(row.recorded_ns, row.sequence),
    )
