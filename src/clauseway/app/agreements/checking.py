"""The remarks of `check` on an agreement's folder, and the state of its files for `--watch`."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from clauseway.agreement import Agreement, Exclusivity, Licence, Ownership, Permission
from clauseway.agreement.force.fold import events_awaited
from clauseway.agreement.language.actions import LICENSE, LICENSEES, PARTIES, SELLERS, USE
from clauseway.agreement.language.terms import (
    ANYONE,
    EXCLUSIVE_SUFFIX,
    Forbidding,
    Inoperative,
)
from clauseway.agreement.soundness.checking import remarks_on
from clauseway.agreement.soundness.lives import Lives, excepting, exclusivities_of_rights
from clauseway.agreement.soundness.remarks import Remark, Severity, lasting, listed, remark
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement, open_agreement, unread, with_recorded
from clauseway.decisions.findings.effects import READINGS_MAX, Effect, choices_left_out, effects
from clauseway.decisions.findings.emptied import Emptied, emptied
from clauseway.decisions.findings.fallen import FallenRight, fallen_rights
from clauseway.decisions.findings.outlived import Outlived, outlived_rights
from clauseway.decisions.findings.reserved import ReservedToNobody, reserved_to_nobody
from clauseway.decisions.findings.ungiven import NeverGiven, never_given
from clauseway.decisions.givers import giver_of
from clauseway.decisions.question import RESTS_ON, QuestionRecord
from clauseway.files.folders import list_folder
from clauseway.files.presence import is_folder
from clauseway.values import FOREVER, Interval, InvalidInput
from clauseway.wording.names import customers


class TermEffect(msgspec.Struct, frozen=True, kw_only=True):
    """A question that a term decides, or helps to: its outcome with the term and without it.

    `chosen` holds the readings that are not the default. `alone` is true where nothing counts as
    recorded but what the question supposes. With equal outcomes the reasons or conditions differ.
    """

    term: str
    question: QuestionRecord
    chosen: Mapping[str, str]
    alone: bool
    outcome: str
    without: str


class ShownTerm(msgspec.Struct, frozen=True, kw_only=True):
    """A term of a kind that decides nothing: a commitment, an undertaking, a stake, context."""

    term: str
    kind: str


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """Every remark on an agreement, the gravest first, and how many of each severity. `digest` is
    that of its text, as statements name it.

    `effects` holds a question for each term that changes an answer; `shown` are the terms whose
    kind changes none.
    """

    title: str
    digest: str
    sound: bool
    counts: dict[str, int]
    remarks: tuple[Remark, ...]
    effects: tuple[TermEffect, ...] = ()
    shown: tuple[ShownTerm, ...] = ()


def check_folder(folder: Path | None, home: Home, *, outcomes: bool = False) -> CheckView:
    """Check an agreement, by default the built-in one, with what a home has recorded.

    With `outcomes`, look longer for effects that change an outcome. Raise InvalidInput where the
    agreement cannot be read.
    """
    opened = with_recorded(open_agreement(folder), home)
    shown = effects(opened.agreement, opened.catalog, opened.facts, outcomes=outcomes)
    remarked = all_remarks(opened, shown)
    remarks = (*sorted(remarked, key=lambda remark: remark.rank), *_not_read(folder))
    counts = {
        severity.value: sum(remark.severity is severity for remark in remarks)
        for severity in Severity
    }
    return CheckView(
        title=opened.agreement.title,
        digest=opened.agreement.text_digest,
        sound=not counts[Severity.ERROR.value],
        counts=counts,
        remarks=remarks,
        effects=tuple(
            _effect(shown[term.id], opened.agreement.default_readings())
            for amendment in opened.agreement.amendments
            for term in amendment.terms
            if term.id in shown
        ),
        shown=tuple(
            ShownTerm(term=term.id, kind=term.kind)
            for amendment in opened.agreement.amendments
            for term in amendment.terms
            if isinstance(term, Inoperative)
        ),
    )


def all_remarks(opened: OpenAgreement, shown: Mapping[str, Effect]) -> list[Remark]:
    """Return every remark on an agreement with its facts; `shown` are the effects of its terms."""
    lives = Lives(opened.agreement, opened.facts, RESTS_ON)
    checked = remarks_on(lives)
    empty = emptied(opened.agreement, opened.catalog, opened.facts)
    closed = reserved_to_nobody(opened.agreement, opened.catalog, opened.facts)
    fallen = fallen_rights(opened.agreement, opened.catalog, opened.facts)
    outlived = outlived_rights(opened.agreement, opened.catalog, opened.facts)
    ungiven = never_given(opened.agreement, opened.catalog, opened.facts)
    checked = (
        *checked,
        *rights_that_fall(opened.agreement, fallen),
        *carried_in_vain(opened.agreement, ungiven),
        *empty_rights(opened.agreement, checked, empty),
        *nobody_left(lives, checked, closed),
        *reserved_in_vain(lives, outlived),
    )
    # Last, because a term whose idleness another remark explains gets none.
    idle = list(without_effect(opened.agreement, checked, shown))
    return [*checked, *idle, *(readings_left_out(opened.agreement) if idle else ())]


def rights_that_fall(agreement: Agreement, fallen: Iterable[FallenRight]) -> Iterator[Remark]:
    """Remark on each right that falls before its end, with its giver's own right."""
    terms = agreement.terms_by_id
    for right in fallen:
        lines = ", ".join(f"{at.term} in {at.document}:{at.line}" for at in right.by)
        # A recorded grant has no term that could be written otherwise: the way is another grant.
        if right.grant is not None:
            yield remark(
                Severity.WARNING,
                "falls",
                right.grant.citation,
                f"{right.term} falls on {right.day} for {listed(right.products)}",
                f"it is the grant of {right.giver}, who from then on neither owns that nor may "
                f"license it on ({lines})",
                f"Record a grant of that day, if {right.grant.party} is to keep it; else nothing.",
            )
            continue
        term = terms[right.term]
        assert isinstance(term, Permission | Licence)
        holder = term.licensee if isinstance(term, Licence) else term.party
        # An exclusivity that is written at the right has no life of its own.
        with_it = ""
        if term.exclusive or term.sole:
            with_it = f", and {right.term}{EXCLUSIVE_SUFFIX} with it"
        if right.again is not None:
            with_it += f"; from {right.again} it counts again"
        since = "until then" if right.again is not None else "from then on"
        remedy = (
            f"Let whoever can give it then give it to {holder} in a term of its own, or end "
            f"{right.term} in a change if it is meant to end."
        )
        if right.again is not None:
            remedy = (
                "Nothing, if it is to pause with its giver's right; else let whoever can give it "
                f"then give it to {holder} in a term of its own."
            )
        yield remark(
            Severity.WARNING,
            "falls",
            term.citation,
            f"{right.term} falls on {right.day} for {listed(right.products)}{with_it}",
            f"{since} {right.giver} neither owns that nor may license it on ({lines}), and a "
            "right holds no longer than its giver's",
            remedy,
        )


def carried_in_vain(agreement: Agreement, ungiven: Iterable[NeverGiven]) -> Iterator[Remark]:
    """Remark on each part of what a licence carries that its licensor may never license on."""
    terms = agreement.terms_by_id
    for right in ungiven:
        licence = terms[right.term]
        assert isinstance(licence, Licence)
        giver, products = licence.licensor, listed(right.products)
        both = listed({*licence.products, *right.products})
        remedy = f"write a permission of {giver} with actions: [{LICENSE}] and products: [{both}]"
        if right.links:
            remedy = f"write {products} into the products of {' and '.join(right.links)}"
        yield remark(
            Severity.WARNING,
            "carried-in-vain",
            licence.citation,
            f"part {right.part} of what {right.term} carries lets {licence.licensee} do nothing "
            f"with {products}",
            f"{giver} neither owns {products} nor may license it on, on any day of {right.term}",
            f"If {giver} may pass it on, {remedy}; else take {products} out of the part.",
        )


def empty_rights(
    agreement: Agreement, checked: Iterable[Remark], empty: Iterable[Emptied]
) -> Iterator[Remark]:
    """Remark on the rights that other terms empty, if no other remark says so."""
    contradicted = {
        remark.term: remark.severity for remark in checked if remark.kind == "contradicted-grant"
    }
    terms = agreement.terms_by_id
    of_rights = exclusivities_of_rights(terms.values())
    for right in empty:
        term, at = terms[right.term], terms[right.term].citation
        # A right to license on bears the licences that it gave, though it can give no more of them.
        if right.actions == (LICENSE,) and any(
            isinstance(term, Permission) and giver_of(other) == term.party
            for other in terms.values()
        ):
            continue
        severity = Severity.ERROR if right.whole else Severity.WARNING
        # A remark at least as grave says it already.
        if contradicted.get(term.id) in (Severity.ERROR, severity):
            continue
        lost = "nothing" if right.whole else f"no way to {' or '.join(right.actions)}"
        by = " and ".join(right.by)
        against = (
            f"{_standing_against(agreement, right, term)} if it is meant to hold against that; "
            f"else delete {term.id}"
            if isinstance(term, Permission)
            else f"Delete what {term.id} carries"
        )
        yield remark(
            severity,
            "emptied",
            at,
            f"{term.id} grants {lost} that is not forbidden by {by}",
            "a term that forbids goes before one that grants, whatever their days, and on every "
            "day on which it is in force all of this is forbidden",
            f"{against}, or end {by} in a change, or {excepting(of_rights, *right.by)}.",
        )


def _standing_against(agreement: Agreement, right: Emptied, permission: Permission) -> str:
    """Return what to write so that a permission holds against the terms that empty it.

    A use by permission of a named party rests on the owner's licensing to that party, which only a
    permission of the owner frees.
    """
    despite = f"Write `despite: [{', '.join(right.by)}]` under {permission.id}"
    bars_licensing = any(
        isinstance(term, Forbidding) and LICENSE in term.actions
        for term in map(agreement.terms_by_id.__getitem__, right.by)
    )
    if USE not in right.actions or permission.party == ANYONE or not bars_licensing:
        return despite
    owners = {term.party for term in agreement.terms_by_id.values() if isinstance(term, Ownership)}
    owner = owners.pop() if len(owners) == 1 else "the owner"
    return (
        f"{despite}, and the same under a permission of {owner} with actions: [{LICENSE}] (which "
        "lets it license to anyone),"
    )


def nobody_left(
    lives: Lives, checked: Iterable[Remark], closed: Iterable[ReservedToNobody]
) -> Iterator[Remark]:
    """Remark once on each exclusivity of something that nobody may do, if no other remark does."""
    terms = lives.written
    conflicting = [remark.what.split(" leave no way ")[0] for remark in checked]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for act in sorted(closed, key=lambda act: act.since is not None):
        term = terms[act.term]
        assert isinstance(term, Exclusivity)
        # Said once, and not beside an error that two exclusivities leave no way.
        pairs = {f"{act.term} and {by}" for by in act.by} | {
            f"{by} and {act.term}" for by in act.by
        }
        if (act.term, act.by) in seen or pairs.intersection(conflicting):
            continue
        seen.add((act.term, act.by))
        by, kept = " and ".join(act.by), listed(term.only.names)
        places = f" on {listed(term.clouds)}" if term.clouds else ""
        places += f" in {listed(term.regions)}" if term.regions else ""
        places += f" for {customers(term.segments)}" if term.segments else ""
        days = _days_closed(lives, act) + lives.left_by_events(act.term, *act.by)
        days += _unless_back(lives, act.rights)
        # A party that is let in by name may still lack a host: every sale needs one to serve it.
        whom = f"it to {kept}" if term.only.part in (PARTIES, SELLERS, LICENSEES) else "it there"
        hosted = act.hosts if term.only.part in (PARTIES, SELLERS) else ()
        whom = f"{listed(hosted)} to serve what {kept} sells" if hosted else whom
        lines = ", ".join(
            f"{name} in {terms[name].citation.document}:{terms[name].citation.line}"
            for name in act.by
        )
        forbids = "forbid" if len(act.by) > 1 else "forbids"
        yield remark(
            Severity.WARNING if act.since else Severity.ERROR,
            "nobody-left",
            term.citation,
            f"nobody may {act.action} {act.product}{places}{days}: {act.term} reserves it to "
            f"{kept}, and {by} {forbids} {whom}",
            f"{act.term} keeps out all others, and a term that forbids goes before a right "
            f"({lines}), as long as both are in force"
            + ("; a sale needs its host to serve" if hosted else ""),
            _hosts_let_in(lives, term, kept)
            if hosted and act.by == (act.term,)
            else f"End {act.term} or {by} in a change, or {excepting(lives.of_rights, act.term, *act.by)}.",
        )


def _hosts_let_in(lives: Lives, term: Exclusivity, sellers: str) -> str:
    """Return how an exclusivity can let those serve who host what its own sellers sell."""
    let_in = f"except: [{{sellers: [{sellers}]}}]"
    if term.id in lives.of_rights:
        return (
            f"End {term.id} in a change, or take exclusive: or sole: out and write an exclusivity "
            f"with {let_in}."
        )
    return f"End {term.id} in a change, or write {let_in} in it."


def reserved_in_vain(lives: Lives, outlived: Iterable[Outlived]) -> Iterator[Remark]:
    """Remark once on each exclusivity that outlives the rights of all to whom it is reserved."""
    terms = lives.written
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for act in sorted(outlived, key=lambda act: act.since):
        term, rights = terms[act.term], " and ".join(act.by)
        assert isinstance(term, Exclusivity)
        # The first act speaks for all that are lost with the same rights.
        if (act.term, act.by) in seen:
            continue
        seen.add((act.term, act.by))
        kept = listed(term.only.names)
        waiting = [f"{right} holds" for right in _waiting(lives, act.rights)]
        instead = "E"
        # An exclusivity written under a right ends with it, so nothing would outlive it.
        if all(isinstance(terms.get(name), Permission | Licence) for name in act.by):
            instead = f"Write exclusive: true under {rights} in its place, which ends with it; or e"
        yield remark(
            Severity.WARNING,
            "outlives-right",
            term.citation,
            f"nobody may {act.action} {act.product} "
            f"{lasting(Interval(act.since, act.until or FOREVER))}"
            f"{lives.left_by_events(act.term)} unless "
            f"{' or '.join(('it is granted anew', *waiting))}: "
            f"{act.term} goes on, and {rights} does not",
            f"{act.term} stands by itself: it keeps out all others, the owner included, and the "
            f"right of {kept} has ended",
            f"{instead}nd {act.term} in a change; nothing, if it is to keep all others out.",
        )


def _days_closed(lives: Lives, act: ReservedToNobody) -> str:
    """Return the days on which nobody may act, as far as they begin or end after the exclusivity.

    They last until somebody may act again; or as long as the exclusivity.
    """
    if act.since:
        return f" {lasting(Interval(act.since, act.until or FOREVER))}"
    ends = [by_id[act.term][1].end for by_id in lives.by_readings if act.term in by_id]
    end = max(ends, default=FOREVER)
    return f" through {end - timedelta(days=1)}" if end < FOREVER else ""


def _unless_back(lives: Lives, rights: Iterable[str]) -> str:
    """Return the rights that events may bring back sooner; empty if there are none."""
    waiting = " or ".join(_waiting(lives, rights))
    return f" unless {waiting} holds again" if waiting else ""


def _waiting(lives: Lives, rights: Iterable[str]) -> Iterator[str]:
    """Yield the rights that wait for events, each with these."""
    for name in rights:
        if name in lives.written and (events := lives.waits_of(name)):
            yield f"{name} ({', '.join(f'{key}: {event}' for key, event in sorted(events))})"


def without_effect(
    agreement: Agreement, checked: Iterable[Remark], shown: Mapping[str, Effect]
) -> Iterator[Remark]:
    """Remark on the terms that change no answer, if no other remark says why."""
    accounted = {*shown} | {
        remark.term
        for remark in checked
        if remark.kind in ("dead", "unreachable", "emptied", "unowned")
    }
    coming = events_awaited(agreement)
    whatever_comes = ", with what is recorded and with events that may come" if coming else ""
    for amendment in agreement.amendments:
        for term in amendment.terms:
            # Inoperative terms never decide anything; `check` lists them apart.
            if term.id in accounted or isinstance(term, Inoperative):
                continue
            yield remark(
                Severity.WARNING,
                "no-effect",
                term.citation,
                f"{term.id} changes no answer",
                "with it or without it, every question has the same outcome, reasons and "
                f"conditions{whatever_comes}",
                "Delete it, or fix its scope or its days, or end what leaves nothing to it.",
            )


def readings_left_out(agreement: Agreement) -> Iterator[Remark]:
    """Remark that effects were not looked for under all readings, where there are too many."""
    if left_out := choices_left_out(agreement):
        at = next(iter(agreement.readings.values())).citation
        yield remark(
            Severity.NOTE,
            "readings-left-out",
            at,
            f"effects were looked for under {READINGS_MAX} choices of readings",
            f"the readings can be chosen in {READINGS_MAX + left_out:,} ways, so a term that is "
            "said to change no answer may change one under another choice",
            "Settle a reading that no term needs any more, by deleting its other options.",
        )


def _effect(effect: Effect, defaults: Mapping[str, str]) -> TermEffect:
    readings = effect.question.readings
    return TermEffect(
        term=effect.term,
        question=QuestionRecord.of(effect.question, effect.supposed),
        chosen={name: readings[name] for name in readings if readings[name] != defaults[name]},
        alone=effect.alone,
        outcome=effect.outcome,
        without=effect.without,
    )


def _not_read(folder: Path | None) -> Iterator[Remark]:
    for name in unread(folder) if folder is not None and is_folder(folder) else ():
        yield Remark(
            severity=Severity.NOTE,
            kind="not-read",
            document=name,
            line=0,
            what=f"{name} is not read",
            why="the documents of an agreement are the files whose names end in .md",
            remedy="Nothing, unless it should say something: then rename it.",
        )


def watched(folder: Path | None) -> Path:
    """Return the folder to watch.

    Raise InvalidInput where there is none: the built-in agreement does not change.
    """
    if folder is None or not is_folder(folder):
        raise InvalidInput.of(
            what="there is nothing to watch",
            why="no folder is named" if folder is None else f"{folder} is not a folder",
            where="--watch",
            remedy="Name the folder of an agreement: clauseway agreement check FOLDER --watch.",
        )
    return folder


def state_of(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return the name, time of change (ns) and size of each document: it differs once a document
    was changed."""
    state = set()
    for path in list_folder(folder, "*.md"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # an editor replaces a file by taking the old one away first
        state.add((path.name, status.st_mtime_ns, status.st_size))
    return frozenset(state)
