"""Engine, compiled table and the reference evaluator, which was written from docs/terms.md, say the same."""

from datetime import date

import msgspec
from generated_agreements import READINGS as GENERATED_READINGS
from generated_agreements import agreements
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_evaluator import World

from clauseway import KnownAt, OpenAgreement, open_agreement
from clauseway.agreement import boundaries
from clauseway.decisions import Tables, all_questions
from soak import every, examples


def differing(
    opened: OpenAgreement, data: st.DataObject, readings: dict[str, str], days: int, questions: int
) -> list[str]:
    everything = KnownAt.everything()
    points = [everything, *sorted({amendment.known for amendment in opened.agreement.amendments}), KnownAt(0)]
    tables = Tables(opened.agreement, opened.catalog, opened.facts)
    sellers = sorted(opened.catalog.parties)
    turns = boundaries(opened.agreement, opened.facts, everything)
    differences = []
    for _ in range(days):
        day, known_at = data.draw(st.sampled_from(turns)), data.draw(st.sampled_from(points))
        asked = list(all_questions(opened.agreement, opened.catalog, as_of=day, known_at=known_at, readings=readings))
        start, step = data.draw(st.integers(0, 6)), max(1, len(asked) // questions)
        for number, question in enumerate(asked[start::step]):
            if question.action == "serve" and number % 2:
                question = msgspec.structs.replace(question, seller=sellers[number % len(sellers)])
            by_letter = World(opened, question).answer()
            engine, table = opened.answer(question).outcome, tables.answer(question).outcome
            if not by_letter == engine == table:
                differences.append(f"by the letter {by_letter}, engine {engine}, table {table}: {question}")
    return differences


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(opened=agreements(), data=st.data())
def test_random_agreements(opened: OpenAgreement, data: st.DataObject) -> None:
    readings = {name: data.draw(st.sampled_from(options)) for name, options in GENERATED_READINGS.items()}
    wrong = differing(opened, data, readings, days=4, questions=150)
    assert not wrong, "\n".join(wrong[:3])


@settings(
    max_examples=examples(4),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(opened=agreements(terms=(15, 20)), data=st.data())
def test_large_agreements(opened: OpenAgreement, data: st.DataObject) -> None:
    """Of up to eighty terms."""
    readings = {name: data.draw(st.sampled_from(options)) for name, options in GENERATED_READINGS.items()}
    wrong = differing(opened, data, readings, days=3, questions=150)
    assert not wrong, "\n".join(wrong[:3])


def test_the_built_in_agreement() -> None:
    """A part of its domain on the days around the last amendment."""
    opened = open_agreement()
    readings = opened.agreement.default_readings()
    for day in (date(2024, 6, 1), date(2025, 11, 15), date(2026, 4, 26), date(2026, 5, 1), date(2033, 1, 1)):
        asked = list(
            all_questions(opened.agreement, opened.catalog, as_of=day, known_at=KnownAt.everything(), readings=readings)
        )
        for question in asked[:: every(17, 41)]:
            assert World(opened, question).answer() == opened.answer(question).outcome, question
