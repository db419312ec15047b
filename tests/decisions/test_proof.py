"""A proof against asking every question one by one: it holds where none is an exception, else names the smallest."""

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
import pytest
from every_question import partnership
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway import Interval, InvalidInput, KnownAt, OpenAgreement, Outcome, Question
from clauseway.agreement import boundaries
from clauseway.decisions import all_questions
from clauseway.decisions.searches.proof import Claim, Proof, Within, every_reading, prove
from clauseway.values import FOREVER

EVERYTHING = KnownAt.everything()
PERMITTED, FORBIDDEN, CONDITIONAL, UNSTATED = Outcome
SERVES_API_ON_AWS = Within(actions=("serve",), parties=("openai",), products=("api.stateless",), clouds=("aws",))


def day(text: str) -> date:
    return date.fromisoformat(text)


def proved(
    claim: Claim, within: Within, days: Interval, known_at: KnownAt = EVERYTHING, opened: OpenAgreement | None = None
) -> Proof:
    asked = opened or partnership()
    readings = [asked.agreement.default_readings()]
    return prove(asked.agreement, asked.catalog, asked.facts, claim, within, days, known_at=known_at, readings=readings)


def never(*outcomes: Outcome) -> Claim:
    return Claim(always=False, outcomes=frozenset(outcomes))


def always(*outcomes: Outcome) -> Claim:
    return Claim(always=True, outcomes=frozenset(outcomes))


def said(question: Question | None) -> str:
    if question is None:
        return "holds"
    names = (question.party, question.action, question.product, question.cloud, question.to, question.segment)
    return f"{question.as_of}: {' '.join(name for name in names if name not in ('', 'any'))}"


# claim · what it is about · first day · last day · what comes of it
CLAIMS = [
    (never(PERMITTED), SERVES_API_ON_AWS, "2023-01-23", "2025-10-27", "holds"),
    # The carve-out of A3 is the exception to the whole:
    (
        never(PERMITTED),
        SERVES_API_ON_AWS,
        "2023-01-23",
        "2026-04-26",
        "2025-10-28: openai serve api.stateless aws us-national-security",
    ),
    (
        never(PERMITTED),
        msgspec.structs.replace(SERVES_API_ON_AWS, segments=("any", "government")),
        "2023-01-23",
        "2026-04-26",
        "holds",
    ),
    (always(CONDITIONAL), SERVES_API_ON_AWS, "2026-04-27", "2040-01-01", "holds"),
    (never(FORBIDDEN), Within(parties=("openai",), actions=("serve",)), "2026-04-27", "2040-01-01", "holds"),
    # Amazon may host what OpenAI sells once OpenAI may grant it; it may not sell itself.
    (
        never(CONDITIONAL),
        Within(actions=("serve",), parties=("amazon",), products=("chatgpt",), clouds=("aws",)),
        "2025-01-21",
        "2026-04-26",
        "holds",
    ),
    (
        always(CONDITIONAL),
        Within(actions=("serve",), parties=("amazon",), products=("chatgpt",), clouds=("aws",), sellers=("openai",)),
        "2025-10-28",
        "2026-04-26",
        "holds",
    ),
    (
        always(PERMITTED),
        Within(products=("gpt-oss-120b",), actions=("serve", "sell")),
        "2023-01-23",
        "2040-01-01",
        "holds",
    ),
    (never(UNSTATED), Within(), "2023-01-23", "2033-12-31", "holds"),
    (
        never(UNSTATED),
        Within(actions=("license",)),
        "2023-01-22",
        "2033-12-31",
        "2023-01-22: acme license hardware amazon",
    ),
    (
        always(FORBIDDEN, CONDITIONAL),
        Within(actions=("sell",), parties=("google",), products=("gpt-5.5",)),
        "2023-01-23",
        "2033-12-31",
        "holds",
    ),
    # A wider class, of which nothing can be asked, stands for all in it; a class for a new product of it.
    (
        never(PERMITTED),
        Within(actions=("serve",), parties=("openai",), products=("api",), clouds=("aws",), segments=("any",)),
        "2023-01-23",
        "2040-01-01",
        "2026-02-27: openai serve api.stateful aws",
    ),
    (
        always(PERMITTED),
        Within(actions=("share-revenue",), parties=("openai",), to=("microsoft",), products=("app",)),
        "2023-01-23",
        "2030-12-31",
        "holds",
    ),
    (
        always(PERMITTED),
        Within(actions=("share-revenue",), parties=("openai",), to=("microsoft",), products=("app",)),
        "2023-01-23",
        "2031-01-01",
        "2031-01-01: openai share-revenue app microsoft",
    ),
]


@pytest.mark.parametrize(("claim", "within", "first", "last", "expected"), CLAIMS)
def test_a_claim_holds_or_has_a_smallest_exception(
    claim: Claim, within: Within, first: str, last: str, expected: str
) -> None:
    proof = proved(claim, within, Interval(day(first), day(last) + timedelta(days=1)))
    assert said(proof.counterexample) == expected
    assert proof.holds == (proof.counterexample is None)
    assert proof.days == (day(last) - day(first)).days + 1


def by_hand(claim: Claim, within: Within, days: Interval, known_at: KnownAt) -> tuple[int, list[Question]]:
    """Every exception, by asking the engine each question on each day on which anything may change."""
    opened = partnership()
    is_within = within.holding(opened.catalog)
    cuts = [
        boundary
        for boundary in boundaries(opened.agreement, opened.facts, known_at)
        if days.begin < boundary < days.end
    ]
    asked = [
        question
        for question in all_questions(opened.agreement, opened.catalog, as_of=days.begin, known_at=known_at)
        if is_within(question)
    ]
    every = (msgspec.structs.replace(question, as_of=cut) for cut in (days.begin, *cuts) for question in asked)
    return len(asked), [question for question in every if not claim.holds_of(opened.answer(question).outcome)]


def sometimes(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True).map(tuple)


WITHIN = st.builds(
    Within,
    actions=sometimes(("serve", "sell", "license", "use-under-licence", "contract-compute", "share-revenue")),
    parties=sometimes(("openai", "microsoft", "amazon", "acme")),
    products=sometimes(("gpt-5.5", "new-model", "api", "app", "ip.models", "compute.new", "research")) | st.just(()),
    clouds=st.just(()) | st.just(("aws",)),
    segments=st.just(("any",)) | st.just(("any", "us-national-security")),
)
DAY = st.dates(date(2022, 12, 1), date(2033, 6, 1))


@settings(max_examples=25)
@given(
    claim=st.builds(Claim, always=st.booleans(), outcomes=st.frozensets(st.sampled_from(list(Outcome)), min_size=1)),
    within=WITHIN,
    days=st.tuples(DAY, DAY).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Interval(*sorted(pair))),
    known=st.sampled_from((date(2024, 1, 1), date(2025, 12, 1), date(2026, 4, 27))) | st.none(),
)
def test_a_proof_says_what_asking_one_by_one_says(
    claim: Claim, within: Within, days: Interval, known: date | None
) -> None:
    known_at = EVERYTHING if known is None else KnownAt.end_of(known)
    asked, exceptions = by_hand(claim, within, days, known_at)
    if not asked:
        with pytest.raises(InvalidInput):
            proved(claim, within, days, known_at)
        return
    proof = proved(claim, within, days, known_at)
    assert (proof.holds, proof.combinations) == (not exceptions, asked)
    if exceptions:
        assert proof.counterexample in exceptions
        assert proof.counterexample.as_of == min(question.as_of for question in exceptions)
        first_day = [question for question in exceptions if question.as_of == proof.counterexample.as_of]
        assert names_in(proof.counterexample) == min(map(names_in, first_day))


def names_in(question: Question) -> int:
    names = (question.party, question.product, question.cloud, question.to, question.segment)
    return sum(name not in ("", "any") for name in names)


def test_the_whole_domain_without_an_end() -> None:
    proof = proved(never(UNSTATED), Within(), Interval(day("2023-01-23"), FOREVER))
    every: Iterator[Question] = all_questions(
        partnership().agreement, partnership().catalog, as_of=day("2023-01-23"), known_at=EVERYTHING
    )
    assert (proof.holds, proof.days, proof.combinations) == (True, None, sum(1 for _ in every))


SERVES_RUNTIME = Within(
    actions=("serve",), parties=("openai",), products=("stateful-runtime",), clouds=("aws",), segments=("any",)
)


def test_under_every_reading_the_smallest_exception_says_under_which() -> None:
    """R3's alternative permits it from A3 on; as the readings are by default, from A4 on."""
    opened = partnership()
    days = Interval(day("2023-01-23"), day("2026-04-27"))
    for chosen, first, count in (({}, "2025-10-28", 16), ({"R3": "a4"}, "2026-02-27", 8)):
        readings = every_reading(opened.agreement, chosen)
        parts = opened.agreement, opened.catalog, opened.facts
        proof = prove(*parts, never(PERMITTED), SERVES_RUNTIME, days, known_at=EVERYTHING, readings=readings)
        assert (len(readings), proof.readings, readings[0]) == (count, count, opened.agreement.default_readings())
        assert proof.counterexample is not None
        assert proof.counterexample.as_of == day(first)
        assert proof.counterexample.readings == opened.agreement.default_readings() | ({} if chosen else {"R3": "a3"})
        assert opened.answer(proof.counterexample).outcome == PERMITTED


def test_every_unknown_name_is_told() -> None:
    within = Within(actions=("host",), parties=("opnai",), products=("gpt-6",), clouds=("moon",), segments=("all",))
    with pytest.raises(InvalidInput) as refused:
        proved(never(PERMITTED), within, Interval(day("2023-01-23")))
    rows = {(problem.where, problem.what) for problem in refused.value.problems}
    assert rows == {
        ("--action", "unknown name 'host'"),
        ("--party", "unknown name 'opnai'"),
        ("--product", "unknown name 'gpt-6'"),
        ("--cloud", "unknown name 'moon'"),
        ("--segment", "unknown name 'all'"),
    }


@pytest.mark.parametrize(
    ("within", "days"),
    [
        (Within(actions=("license",), clouds=("aws",)), Interval(day("2023-01-23"))),
        (Within(), Interval(day("2023-01-23"), day("2023-01-23"))),
    ],
)
def test_what_is_empty_proves_nothing(within: Within, days: Interval) -> None:
    with pytest.raises(InvalidInput, match="nothing to prove"):
        proved(never(PERMITTED), within, days)
