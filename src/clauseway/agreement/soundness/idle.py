"""Texts that do nothing: terms never in force, idle changes, empty scopes, unused definitions."""

from collections.abc import Iterator

import msgspec

from clauseway.agreement.force.fold import idle_events, in_force, rescissions
from clauseway.agreement.language.actions import CLOUDS, PARTIES, SELL, SELLERS, SERVE, takes
from clauseway.agreement.language.agreement import Amendment, Change
from clauseway.agreement.language.facts import (
    Answer,
    EventHappened,
    Fact,
    Grant,
    Launch,
    Milestone,
    Withdrawal,
)
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.terms import (
    ANY_SEGMENT,
    ANYONE,
    EXCLUSIVE_SUFFIX,
    MILESTONE,
    NAMES,
    AnyTerm,
    Exclusivity,
    Forbidding,
    Licence,
    Located,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Traded,
)
from clauseway.agreement.soundness.conflicts import granted
from clauseway.agreement.soundness.lives import (
    COMBINATIONS_MAX,
    WHERE,
    Lives,
    PlaceNames,
    defined,
    parties_forbidden,
    whatever_happens,
)
from clauseway.agreement.soundness.remarks import Remark, Severity, listed, remark, scope_named
from clauseway.values import KnownAt


def never_in_force(lives: Lives) -> Iterator[Remark]:
    """Remark on a term that never comes into force under any reading.

    Where it was once expected to come, that is a note.
    """
    for amendment, term in lives.terms:
        about = lives.amendments_on(term)
        small = whatever_happens(msgspec.structs.replace(lives.agreement, amendments=tuple(about)))
        # Later knowledge may undo an end: a change, or an event such as a cure.
        learned = [changing.known for changing in about if changing.changes]
        learned += [fact.known for fact in lives.facts.facts if isinstance(fact, EventHappened)]
        points = {amendment.known, *(point for point in learned if point > amendment.known)}
        # A term that has ended by the day it begins has ended for good, so that day is enough.
        by_point = [
            [
                state
                for readings in lives.readings_of(about)
                for state in in_force(
                    small, lives.facts.known(point), term.begins, point, readings
                ).states
            ]
            for point in sorted(points)
        ]
        # At the last point everything is known.
        states = by_point[-1]
        # An end that is a day stays before the first day, whatever events happen.
        by_event = any(state.event is not None for state in states)
        if any(state.in_force for state in states) or (by_event and lives.may_begin_yet(term)):
            continue
        if any(state.in_force for of_point in by_point for state in of_point):
            if states and term.id not in lives.of_rights:
                at = states[0].ended_by
                yield remark(
                    Severity.NOTE,
                    "never-begins",
                    term.citation,
                    f"{term.id} never begins: {at.term} ends it before {term.begins}",
                    f"it was expected until {at.term} in {at.document}:{at.line} was known",
                    "Nothing, if it is not to come any more; else fix its days or what ends it.",
                )
        elif states:
            by = "its own end" if states[0].ended_by.term == term.id else states[0].ended_by.term
            yield remark(
                Severity.WARNING,
                "dead",
                term.citation,
                f"{term.id} is never in force",
                f"{by} ends it before it begins on {term.begins}",
                "Delete it, or fix its days or what ends it.",
            )


def changes_nothing(lives: Lives) -> Iterator[Remark]:
    """Remark on a change that, under every reading, neither revives a term nor moves its end.

    The term had ended by then, its end is set by a change concluded later, or it stands only under
    readings under which the change does not. Changes of a rescinded amendment are left out: nobody
    expects an effect of them.
    """
    for amendment in lives.agreement.amendments:
        for change in amendment.changes if amendment.id in lives.standing else ():
            for term, overtaken in _unaffected(lives, change).items():
                why, remedy = _why_idle(lives, amendment, change, term, overtaken)
                yield remark(
                    Severity.NOTE,
                    "idle-change",
                    change.citation,
                    f"{change.id} changes nothing of {term}",
                    why,
                    remedy,
                )


def _why_idle(
    lives: Lives, amendment: Amendment, change: Change, term: str, overtaken: str
) -> tuple[str, str]:
    """Return why a change has no effect on a term, and what to do about it."""
    if apart := _stand_apart(change, lives.written[term]):
        return apart, f"Take {term} out of it, or let both stand under the same readings."
    if rescinded := _rescinded(lives, amendment, change, term):
        return rescinded, f"Take {term} out of it."
    right = term.removesuffix(EXCLUSIVE_SUFFIX)
    if right != term and _ends_with_right(lives, change, term):
        return (
            f"it ends with {right}, whose end this does not move",
            f"Set the end of {right}, which moves both.",
        )
    had = f"{overtaken}, concluded later, had set its end" if overtaken else "it had ended"
    why = f"{had} by {amendment.effective}, when the change takes effect"
    return why, f"Take {term} out of it, or fix a date."


def _stand_apart(change: Change, term: AnyTerm) -> str:
    """Return under which readings a change and a term stand, if no reading lets both stand."""
    apart = {
        reading
        for reading, option in change.under.items()
        if term.under.get(reading, option) != option
    }
    by_text = (
        f"{text.id} stands under " + listed(f"{reading}={text.under[reading]}" for reading in apart)
        for text in (change, term)
    )
    return ", and ".join(by_text) if apart else ""


def _rescinded(lives: Lives, amendment: Amendment, change: Change, term: str) -> str:
    """Return what rescinds a change or its term wherever their own readings let both stand.

    Empty if both stand somewhere.
    """
    agreement, under = lives.agreement, {**change.under, **lives.written[term].under}
    amendments = {amendment.id, lives.amendment_of[term]}
    said: set[str] = set()
    for readings in lives.readings_of(agreement.amendments):
        if under.items() <= readings.items():
            rescinded = rescissions(agreement, KnownAt.everything(), readings)
            if amendments.isdisjoint(rescinded):
                return ""
            said.update(
                f"{rescinded[name][0].id} rescinds {name}" for name in amendments & rescinded.keys()
            )
    return " and ".join(sorted(said))


def _ends_with_right(lives: Lives, change: Change, exclusivity: str) -> bool:
    """Return whether, under some readings, a change only moves an exclusivity past its right."""
    return any(
        exclusivity in effects.ends_with_right(change) for _, effects in lives.change_effects
    )


def sets_end_again(lives: Lives) -> Iterator[Remark]:
    """Remark on a change that, under every reading, sets the end that a term has already."""
    for amendment in lives.agreement.amendments:
        for change in amendment.changes if amendment.id in lives.standing else ():
            again = [
                effects.ends_set_again(change)
                for readings, effects in lives.change_effects
                if change.under.items() <= readings.items()
            ]
            for term in change.sets_end if again else ():
                # A change that names the right sets the end of its exclusivity too.
                with_right = term.removesuffix(EXCLUSIVE_SUFFIX) in {*change.sets_end} - {term}
                if with_right or not all(term in terms for terms in again):
                    continue
                at = again[0][term]
                yield remark(
                    Severity.NOTE,
                    "idle-change",
                    change.citation,
                    f"{change.id} changes nothing of {term}",
                    f"the end that it sets is the end that {term} has by {at.term} in "
                    f"{at.document}:{at.line}",
                    f"Take {term} out of it, or fix a date.",
                )


def _unaffected(lives: Lives, change: Change) -> dict[str, str]:
    """Return the terms that a change names and has no effect on, under any readings.

    Each comes with the id of the change, concluded later, that set the term's end instead; empty if
    the term had ended. Left out is a term that had ended and may begin yet.
    """
    terms = dict.fromkeys((*change.ends, *change.sets_end), "")
    for _, effects in lives.change_effects:
        if not terms:
            break
        affected, overtaken = effects.changed_by(change), effects.overtaken_by(change)
        terms = {
            name: overtaken[name].id if name in overtaken else by
            for name, by in terms.items()
            if name not in affected
            and not (name in overtaken and _is_retroactive(lives, overtaken[name], change))
        }
    return {
        name: by for name, by in terms.items() if by or not lives.may_begin_yet(lives.written[name])
    }


def _is_retroactive(lives: Lives, later: Change, change: Change) -> bool:
    """Return whether a change held, as it was known, until a later one became known."""
    amendments = lives.agreement.amendments
    [by] = [amendment for amendment in amendments if later in amendment.changes]
    [of] = [amendment for amendment in amendments if change in amendment.changes]
    return by.known.day > of.effective


def events_dropped(lives: Lives) -> Iterator[Remark]:
    """Note a change of a term's end that drops the event by which it was to end."""
    changed = set[str]()
    for amendment in lives.agreement.amendments:
        for change in amendment.changes if amendment.id in lives.standing else ():
            for name in change.sets_end:
                event = lives.written[name].until
                # Only the first change of a term's end drops the event that the term names.
                dropped = event in (*lives.agreement.events, MILESTONE) and change.until != event
                first = name not in changed and name not in lives.of_rights
                # If the event has ended the term, nothing goes on; `changes_nothing` says so.
                if dropped and first and name not in _unaffected(lives, change):
                    yield remark(
                        Severity.NOTE,
                        "drops-event",
                        change.citation,
                        f"{change.id} lets {name} go on past {event}",
                        f"{name} was to end by {event}, and the end that a change sets takes the "
                        "place of the one before",
                        f"Write until: {event} in the change too, if it is to end by that still; "
                        "else nothing.",
                    )
                changed.add(name)


def events_changing_nothing(lives: Lives) -> Iterator[Remark]:
    """Remark on a recorded event that changes the days of no event that a term waits for."""
    known_facts = lives.facts.known(KnownAt.everything())
    for event in idle_events(lives.agreement, known_facts):
        yield remark(
            Severity.NOTE,
            "idle-event",
            event.citation,
            f"{event.name} changes nothing",
            f"with {event.event} on {event.effective} or without it, all that terms wait for "
            "goes on on the same days: it came too late, or again, or was prevented",
            "Nothing, unless it should count: then record it with its right day.",
        )


def withdraws_nothing(lives: Lives) -> Iterator[Remark]:
    """Remark on a recorded withdrawal that takes nothing from any grant made until then."""
    known_facts = lives.facts.known(KnownAt.everything())
    for fact in known_facts.facts:
        if not isinstance(fact, Withdrawal):
            continue
        grants = known_facts.grants(fact.party, fact.effective)
        if any(fact.follows(grant) and _in_common(lives, grant, fact) for grant in grants):
            continue
        yield remark(
            Severity.NOTE,
            "idle-withdrawal",
            fact.citation,
            f"{fact.name} withdraws nothing",
            f"no grant of {fact.product} to {fact.party}{_kept_to(fact)} was in effect on "
            f"{fact.effective}",
            "Nothing, unless it should count: then record it with the product, day and scope that "
            "it is about.",
        )


def facts_in_vain(lives: Lives) -> Iterator[Remark]:
    """Note a recorded fact that no term ever lets count."""
    for fact in lives.facts.known(KnownAt.everything()).facts:
        if why := _counts_nowhere(lives, fact):
            yield remark(
                Severity.NOTE,
                "idle-fact",
                fact.citation,
                f"{fact.name} changes nothing",
                why,
                "Nothing, unless it should count: then correct it, or write the term that it is for.",
            )


def _counts_nowhere(lives: Lives, fact: Fact) -> str:
    """Return why no term lets a fact count; empty if one does."""
    if isinstance(fact, Milestone) and MILESTONE not in _events_used(lives):
        return "no term and no event waits for the milestone"
    if isinstance(fact, Launch) and not _has_clouds(lives, fact.product):
        return f"no act with {fact.product} happens on a cloud"
    if isinstance(fact, Answer) and not any(
        isinstance(term, Precedence) and term.unless and lives.is_in(fact.product, term.products)
        for _, term in lives.terms
    ):
        return f"no ship-first of {fact.product} asks for an answer"
    if isinstance(fact, Grant) and any(
        isinstance(term, Ownership)
        and term.party == fact.party
        and fact.effective in life
        and not (term.from_ or term.while_ or term.while_no)
        and lives.is_in(fact.product, term.products)
        for by_id in lives.by_readings
        for term, life in by_id.values()
    ):
        return f"{fact.party} owned {fact.product} on {fact.effective}, and grants itself nothing"
    return ""


def _has_clouds(lives: Lives, product: str) -> bool:
    """Return whether some act with a product happens on a cloud; True for an unknown product."""
    actions = dict(lives.askable).get(product)
    return actions is None or any(takes(action, CLOUDS) for action in actions)


def _kept_to(fact: Withdrawal) -> str:
    """Return where a withdrawal holds: ` on azure in eu for state customers`."""
    names = (("on", fact.cloud, ""), ("in", fact.region, ""), ("for", fact.segment, " customers"))
    return "".join(f" {word} {name}{noun}" for word, name, noun in names if name)


def _in_common(lives: Lives, grant: Grant, withdrawal: Withdrawal) -> bool:
    """Return whether some act lies in a grant and in a withdrawal."""
    overlap = lives.catalog.overlap([grant.product], [withdrawal.product])
    return overlap and bool(lives.places((grant.scope, withdrawal.scope), (), ""))


def reach_nothing(lives: Lives) -> Iterator[Remark]:
    """Remark on a term whose scope is empty, or that distinguishes nothing."""
    for _, term in lives.terms:
        for why in _idle(lives, term):
            yield remark(
                Severity.WARNING,
                "unreachable",
                term.citation,
                f"{term.id} reaches nothing",
                why,
                "Fix its scope, or delete it.",
            )


def reserves_nothing(lives: Lives) -> Iterator[Remark]:
    """Warn of an exclusivity that reserves acts to names outside its own scope."""
    for _, term in lives.terms:
        if not isinstance(term, Exclusivity) or term.id in lives.of_rights:
            continue
        own: NAMES = getattr(term, term.only.part, frozenset())
        if own and own.isdisjoint(term.only.names):
            yield remark(
                Severity.WARNING,
                "reserves-nothing",
                term.citation,
                f"{term.id} reserves nothing: it is kept to {listed(own)}, and "
                f"{listed(term.only.names)} lies outside",
                "no act that it covers lies inside what it reserves, so it forbids them as a "
                "prohibition does",
                f"Fix {term.only.part}:, or write it as a prohibition.",
            )


def ends_by_event_in_vain(lives: Lives) -> Iterator[Remark]:
    """Note an event in `until` that comes about after the last day in `through` anyway."""
    for amendment in lives.agreement.amendments:
        for text in amendment.texts:
            event = lives.agreement.events.get(text.until)
            if (
                text.through is None
                or event is None
                or event.on is None
                or text.id in lives.of_rights
            ):
                continue
            # The events that extend this one put its day off, and never bring it forward.
            if event.on > text.through:
                yield remark(
                    Severity.NOTE,
                    "idle-end",
                    text.citation,
                    f"until: {text.until} of {text.id} has no effect",
                    f"{text.until} comes about on {event.on} or later, and through: "
                    f"{text.through} is before",
                    "Delete until:, or fix one of the days.",
                )


def carve_outs_of_nothing(lives: Lives) -> Iterator[Remark]:
    """Remark on a carve-out that covers no act of its term. The rest of the term has its effect."""
    for _, term in lives.terms:
        for number in _idle_carve_outs(lives, term) if isinstance(term, Forbidding) else ():
            yield remark(
                Severity.WARNING,
                "idle-carve-out",
                term.citation,
                f"carve-out {number} of {term.id} covers nothing of it",
                f"{term.id} forbids no act that lies in the carve-out",
                f"Fix carve-out {number}, or delete it, and nothing else of {term.id}.",
            )


def _taken_above(lives: Lives, actions: NAMES, products: NAMES) -> str:
    """Return that wider classes alone take these actions; empty if none does."""
    wider = {lives.catalog.wider_taking(name, action) for name in products for action in actions}
    named = listed(wider - {""})
    return f": each lists its own actions:, and has none from {named}" if named else ""


def _idle(lives: Lives, term: AnyTerm) -> Iterator[str]:
    clouds = lives.catalog.clouds
    if isinstance(term, Traded) and not lives.cells(term.actions, term.products):
        products, actions = listed(term.products) or "it", listed(term.actions) or "an action"
        above = _taken_above(lives, term.actions, term.products)
        yield f"no product or class in {products} takes {actions}{above}"
    if isinstance(term, Ownership | Licence) and not any(
        lives.is_in(name, term.products) for name, _ in lives.askable
    ):
        yield "it names no product and no class of which anything can be asked"
    if isinstance(term, Licence) and (
        idle := [scope for scope in term.carries if not lives.cells_of(scope)]
    ):
        actions, products = listed(idle[0].actions), listed(idle[0].products)
        above = _taken_above(lives, idle[0].actions, idle[0].products)
        yield f"it carries {actions} of {products}, which take no such action{above}"
    if isinstance(term, Exclusivity):
        part = term.only.part
        own: NAMES = getattr(term, part, frozenset())
        if own and term.only.names >= own:
            yield f"it is kept to {listed(own)} and reserved to the same, so nothing lies outside it"
        elif term.only.names >= lives.names[part]:
            yield f"it is reserved to all {part}, so nothing lies outside it"
    if isinstance(term, Forbidding) and term.except_ and _is_excepted(lives, term):
        yield "its carve-outs cover all of it"
    if isinstance(term, Permission | Forbidding) and _is_anothers_sale(term):
        parties = [term.party] if isinstance(term, Permission) else parties_forbidden(term)
        yield (
            f"of a sale the party is the seller, and {listed(parties)} is not among "
            f"{listed(term.sellers)}"
        )
    if isinstance(term, RefusalRight) and term.except_clouds >= clouds:
        yield "every cloud is excepted"
    if isinstance(term, RevenueShareTerm):
        yield from _idle_base(lives, term)
    if isinstance(term, Precedence) and clouds <= {term.first}:
        yield f"there is no cloud but {term.first}"


def _is_anothers_sale(term: Permission | Forbidding) -> bool:
    """Return whether a term is about selling alone, by other sellers than its parties."""
    parties = {term.party} if isinstance(term, Permission) else parties_forbidden(term)
    return (
        term.actions == {SELL}
        and bool(term.sellers)
        and term.sellers.isdisjoint(parties)
        and ANYONE not in parties
    )


def customers_of_no_segment(lives: Lives) -> Iterator[Remark]:
    """Warn of a scope for the customers of no named segment, which may be read as all customers."""
    for _, term in lives.terms:
        named = [use for use in uses(term) if use.noun == "segment"]
        for use in named if term.id not in lives.of_rights else ():
            # An author who names the other segments in a scope beside it knows that it is not all.
            others = {segment for other in named if other.key == use.key for segment in other.names}
            left_out = lives.catalog.segments - others
            if ANY_SEGMENT in use.names and left_out:
                also = "; for theirs it lets nothing pass" if use.key == "except" else ""
                yield remark(
                    Severity.WARNING,
                    "any-segment",
                    term.citation,
                    f"{scope_named(term.id, use.key, use.number)} leaves out {listed(left_out)} "
                    "customers",
                    f"`{ANY_SEGMENT}` among segments names the customers who claim no segment, "
                    f"and no others{also}",
                    "Leave segments: out where all customers are meant; else nothing.",
                )


def sold_by_others(lives: Lives) -> Iterator[Remark]:
    """Remark on a right to sell, beside others, that is kept to other sellers than its party."""
    for _, term in lives.terms:
        for grant in granted(term):
            sellers = grant.scope.sellers
            selling = SELL in grant.scope.actions and sellers and grant.party not in sellers
            # Of a permission to sell alone, `reach_nothing` remarks.
            if selling and not (isinstance(term, Permission) and _is_anothers_sale(term)):
                yield remark(
                    Severity.WARNING,
                    "not-its-seller",
                    term.citation,
                    f"{term.id} lets {grant.party} sell nothing",
                    f"of a sale the party is the seller, and {grant.party} is not among "
                    f"{listed(sellers)}",
                    f"Take sell out, or name {grant.party} in sellers:, or write the right of "
                    "whoever sells in a term of its own.",
                )


def _idle_base(lives: Lives, term: RevenueShareTerm) -> Iterator[str]:
    base = term.base
    if not base.sellers and not base.wholesale:
        yield "its base names no seller, and nothing earned from other sellers"
    sold = [name for name, actions in lives.askable if actions & {SELL, SERVE}]
    if not any(base.takes_in(lives.catalog.lineage(name), "") for name in sold):
        yield "its base takes in no product and no class that is sold"


def _idle_carve_outs(lives: Lives, term: Forbidding) -> Iterator[int]:
    covered = lives.cells(term.actions, term.products)
    for number, scope in enumerate(term.except_, start=1):
        if covered.isdisjoint(lives.cells_of(scope)) or not _forbidden_places(lives, term, scope):
            yield number


def _forbidden_places(lives: Lives, term: Forbidding, scope: Scope) -> list[PlaceNames]:
    """Return the places in a term and one of its carve-outs that are not reserved anyway."""
    part, reserved = "", frozenset[str]()
    if isinstance(term, Exclusivity):
        # Of a sale the party is the seller.
        sale_by_party = term.only.part == PARTIES and term.actions == {SELL}
        part, reserved = SELLERS if sale_by_party else term.only.part, term.only.names
    distinguished_by: list[Located] = [term, scope]
    if part in WHERE:
        distinguished_by.append(Scope(**{part: reserved}))
    places = lives.places((scope, term), distinguished_by, "")
    return [place for place in places if part not in WHERE or place[part] not in reserved]


def _is_excepted(lives: Lives, term: Forbidding) -> bool:
    """Return whether the carve-outs of a term cover all that it would forbid."""
    distinguished_by: list[Located] = [term, *term.except_]
    reserved, part = frozenset[str](), ""
    if isinstance(term, Exclusivity) and term.only.part in WHERE:
        part, reserved = term.only.part, term.only.names
        distinguished_by.append(Scope(**{part: reserved}))
    # Reserved acts are not forbidden, so carve-outs need not cover it.
    places = [
        place
        for place in lives.places((term,), distinguished_by, "")
        if place.get(part) not in reserved
    ]
    return all(
        lives.carves_out(term, cell, place)
        for cell in lives.cells(term.actions, term.products)
        for place in places
    )


def combinations_left_out(lives: Lives) -> Iterator[Remark]:
    """Remark that not all combinations of readings were looked at, where there are too many."""
    if left_out := lives.combinations_left_out:
        yield remark(
            Severity.NOTE,
            "readings-left-out",
            next(iter(lives.agreement.readings.values())).citation,
            f"terms were compared under {COMBINATIONS_MAX} combinations of readings",
            f"the readings that terms stand under can be combined in {COMBINATIONS_MAX + left_out:,}"
            " ways, so two terms may conflict or overlap under another combination",
            "Settle a reading that no term needs any more, by deleting its other options.",
        )


def never_mentioned(lives: Lives) -> Iterator[Remark]:
    """Remark on classes, products, regions, events and readings that no term mentions."""
    for section, name, why in _unused(lives):
        yield remark(
            Severity.NOTE,
            "idle",
            defined(lives.agreement, section, name),
            f"{name} is defined and never mentioned",
            why,
            "Delete it, or write the term that speaks of it.",
        )


def _unused(lives: Lives) -> Iterator[tuple[str, str, str]]:
    """Yield the section and name of each unused definition, and why it is unused."""
    agreement, catalog = lives.agreement, lives.catalog
    facts = lives.facts.facts
    products = _named(lives, "product")
    products |= {fact.product for fact in facts if isinstance(fact, Launch | Answer | Grant)}
    enclosing = frozenset().union(*map(catalog.lineage, products))
    for section, names in (("classes", catalog.classes), ("products", catalog.products)):
        for name in names:
            if name not in enclosing and catalog.lineage(name).isdisjoint(products):
                yield section, name, "no term's scope holds it, nor anything within it"
    kept = any(isinstance(fact, Grant | Withdrawal) and fact.region for fact in facts)
    for region in () if kept or _named(lives, "region") else catalog.regions:
        why = "no term or grant tells regions apart, and each question must name one"
        yield "regions", region, why
    events, readings = _events_used(lives), _readings_used(lives)
    for event in agreement.events:
        if event not in events:
            yield "events", event, "no term and no other event waits for it"
    for reading in agreement.readings:
        if reading not in readings:
            yield "readings", reading, "nothing stands under it"


def _named(lives: Lives, noun: str) -> set[str]:
    """Return the products (or regions, …) that terms name."""
    return {
        name
        for _, term in lives.terms
        for use in uses(term)
        if use.noun == noun
        for name in use.names
    }


def _events_used(lives: Lives) -> set[str]:
    texts = [text for amendment in lives.agreement.amendments for text in amendment.texts]
    used = {text.until for text in texts}
    for _, term in lives.terms:
        used |= {term.from_, term.while_, term.while_no}
    for event in lives.agreement.events.values():
        used |= {event.over_by, *event.waits_for}
    return used


def _readings_used(lives: Lives) -> set[str]:
    texts = [text for amendment in lives.agreement.amendments for text in amendment.texts]
    used = {reading for text in texts for reading in text.under}
    for _, term in lives.terms:
        if isinstance(term, Precedence):
            used |= {choice.reading for choice in (term.binds, term.unless) if choice is not None}
    return used
