"""`check` on agreements drawn at random: it always has an answer, and what it calls dead is never in force."""

from itertools import product as every

import msgspec
from generated_agreements import agreements
from hypothesis import given, settings

from clauseway import OpenAgreement
from clauseway.agreement import Agreement, boundaries, in_force
from clauseway.agreement.force.fold import is_day
from clauseway.agreement.language.terms import AnyTerm
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.decisions.question import RESTS_ON


def as_events_may_let_it_be(agreement: Agreement) -> Agreement:
    """The agreement with each term that waits for an event, or stands while one goes on, as if that event let it."""
    return msgspec.structs.replace(
        agreement,
        amendments=tuple(
            msgspec.structs.replace(amendment, terms=tuple(map(freed, amendment.terms)))
            for amendment in agreement.amendments
        ),
    )


def freed(term: AnyTerm) -> AnyTerm:
    """Of a term that begins by an event, the one that ends it may be over by then, or put off by the same."""
    until = "" if term.from_ and not is_day(term.until) else term.until
    return msgspec.structs.replace(term, from_="", while_="", while_no="", until=until)


@settings(max_examples=50)
@given(opened=agreements())
def test_dead_is_what_is_never_in_force_on_any_day_as_known_at_any_point_under_any_reading(
    opened: OpenAgreement,
) -> None:
    remarks = check_agreement(opened.agreement, opened.facts, RESTS_ON)
    agreement = as_events_may_let_it_be(opened.agreement)
    dead = {remark.what.split()[0] for remark in remarks if remark.kind == "dead"}
    options = [[(reading.id, option) for option in reading.options] for reading in agreement.readings.values()]
    points = {amendment.known for amendment in agreement.amendments} | {fact.known for fact in opened.facts.facts}
    alive = {
        state.term.id
        for readings in map(dict, every(*options))
        for known_at in points
        for day in boundaries(agreement, opened.facts, known_at)
        for state in in_force(agreement, opened.facts.known(known_at), day, known_at, readings).states
        if state.in_force
    }
    terms = {term.id: term for amendment in agreement.amendments for term in amendment.terms}
    # The event that ends a term may be over before the term begins: somebody may record that still.
    endings = {id: agreement.events.get(term.until) for id, term in terms.items()}
    may_yet = {id for id, event in endings.items() if event is not None and event.over_by}
    assert dead <= terms.keys() - alive
    assert terms.keys() - alive - dead <= may_yet


@settings(max_examples=50)
@given(opened=agreements())
def test_every_remark_has_a_place_a_reason_and_what_to_do(opened: OpenAgreement) -> None:
    remarks = check_agreement(opened.agreement, opened.facts, RESTS_ON)
    assert len(remarks) == len(set(remarks))
    assert all(remark.document and remark.what and remark.why and remark.remedy for remark in remarks)
