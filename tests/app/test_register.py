"""The register of a home: what is recorded when, what it changes, and for whom. Real database, real clock."""

import fcntl
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.agreement import FactRegister, Launch, Recorded, UncheckedFact, checked, facts_for
from clauseway.app.books.register import facts_ahead, list_facts, record_fact, recorded_facts, with_register
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.decisions import Decision
from clauseway.storage import Control
from clauseway.values import Citation, InvalidInput, KnownAt

PARTNERSHIP = open_agreement()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def given_fact(kind: str, effective: str, corrects: str = "", **about: str | bool) -> UncheckedFact:
    return UncheckedFact(
        kind=kind, effective=effective, source="a letter", says="So it was.", about=about, corrects=corrects
    )


def launch(product: str, cloud: str, stage: str, effective: str, corrects: str = "") -> UncheckedFact:
    return given_fact("launch", effective, corrects, product=product, cloud=cloud, stage=stage)


def answer(words: str, effective: str = "2026-04-29", corrects: str = "") -> UncheckedFact:
    return given_fact("answer", effective, corrects, product="new-model", answer=words)


def record(home: Home, fact: UncheckedFact, opened: OpenAgreement = PARTNERSHIP) -> Recorded:
    return record_fact(home, opened, fact)


def new_model_on_aws(home: Home, known_at: KnownAt | None = None) -> Decision:
    opened = with_register(PARTNERSHIP, home)
    parts = {"action": "serve", "party": "openai", "product": "new-model", "cloud": "aws", "as_of": "2026-05-01"}
    return opened.decide(**parts, known_at=known_at)  # type: ignore[arg-type]


def moment(recorded: Recorded) -> KnownAt:
    """The point at which a record became known, and nothing after it in the same instant."""
    return recorded.known


def just_before(recorded: Recorded) -> KnownAt:
    return KnownAt(recorded.known.instant_ns, recorded.known.sequence - 1)


def test_with_nothing_recorded_the_answer_names_the_missing_fact(home: Home) -> None:
    decision = new_model_on_aws(home)
    assert decision.outcome == "conditional"
    [condition] = decision.conditions
    assert "no answer of it is recorded" in condition.text
    assert not home.root.exists()  # asking makes no database


# what is recorded | what holds of the new model on AWS on 1 May 2026
RECORDED = [
    (answer("cannot+declines"), "permitted"),
    (answer("can+declines"), "conditional"),
    (answer("cannot+chooses"), "conditional"),
    (answer("cannot+declines", "2026-05-02"), "conditional"),
    (launch("new-model", "azure", "available", "2026-04-30"), "permitted"),
    (launch("new-model", "azure", "preview", "2026-04-30"), "permitted"),
    (launch("new-model", "azure", "announced", "2026-04-30"), "conditional"),
    (launch("new-model", "azure", "available", "2026-05-02"), "conditional"),
    (launch("new-model", "aws", "available", "2026-04-30"), "conditional"),
    (given_fact("milestone", "2026-01-01"), "conditional"),
]


@pytest.mark.parametrize(("fact", "outcome"), RECORDED, ids=range(len(RECORDED)))
def test_what_is_recorded_counts_from_its_own_day(home: Home, fact: UncheckedFact, outcome: str) -> None:
    record(home, fact)
    assert new_model_on_aws(home).outcome == outcome


def test_an_answer_of_no_is_not_the_same_as_no_answer(home: Home) -> None:
    record(home, answer("can+chooses"))
    [condition] = new_model_on_aws(home).conditions
    assert "its recorded answer does not lift this" in condition.text


def test_a_back_dated_fact_changes_the_past_only_for_those_who_know_of_it(home: Home) -> None:
    before = new_model_on_aws(home, KnownAt(time.time_ns()))
    recorded = record(home, answer("cannot+declines"))  # on a day long gone
    assert new_model_on_aws(home, moment(recorded)).outcome == "permitted"
    assert new_model_on_aws(home, just_before(recorded)).outcome == "conditional"
    known_then = KnownAt.end_of(date(2026, 4, 30))
    assert new_model_on_aws(home, known_then).outcome == "conditional"
    assert new_model_on_aws(home, just_before(recorded)).reasons == before.reasons


def test_a_correction_hides_from_its_own_recording_on_and_not_before(home: Home) -> None:
    wrong = record(home, answer("cannot+declines"))
    right = record(home, answer("can+chooses", corrects=wrong.id))
    assert new_model_on_aws(home, moment(wrong)).outcome == "permitted"
    assert new_model_on_aws(home, just_before(right)).outcome == "permitted"
    assert new_model_on_aws(home, moment(right)).outcome == "conditional"
    assert [fact.name for fact in with_register(PARTNERSHIP, home).facts.facts if fact.id] == ["F1", "F2"]


def test_a_retraction_says_that_nothing_happened_and_is_not_retracted_itself(home: Home) -> None:
    wrong = record(home, launch("new-model", "azure", "available", "2026-04-30"))
    retraction = record(home, given_fact("retraction", "2026-05-02", wrong.id))
    assert new_model_on_aws(home).outcome == "conditional"
    with pytest.raises(InvalidInput, match=f"{retraction.id} is a retraction") as refused:
        record(home, given_fact("retraction", "2026-05-03", retraction.id))
    [problem] = refused.value.problems
    assert problem.remedy == "Record the fact again, with the day on which it took effect."
    assert new_model_on_aws(home).outcome == "conditional"
    record(home, launch("new-model", "azure", "available", "2026-04-30"))
    assert new_model_on_aws(home).outcome == "permitted"


def test_nobody_else_records_between_the_check_of_a_fact_and_its_record(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the earlier one of two could be known later, and both could correct the same fact."""
    steps: list[tuple[str, bool]] = []

    def watched(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*asked: Any, **named: Any) -> Any:
            steps.append((step.__name__, is_locked(home.root / "facts.lock")))
            return step(*asked, **named)

        return call

    monkeypatch.setattr("clauseway.app.books.register.recorded_facts", watched(recorded_facts))
    monkeypatch.setattr("clauseway.app.books.register.checked", watched(checked))
    monkeypatch.setattr(Control, "record_fact", watched(Control.record_fact))
    record(home, answer("cannot+declines"))
    assert steps[-3:] == [("recorded_facts", True), ("checked", True), ("record_fact", True)]


def is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_fact_of_the_agreements_own_text_is_corrected_by_what_it_says(home: Home) -> None:
    opened = with_register(PARTNERSHIP, home)
    asked = {"action": "sell", "party": "oracle", "product": "gpt-5.5", "cloud": "oci", "as_of": "2026-07-01"}
    assert opened.decide(**asked).outcome == "permitted"  # type: ignore[arg-type]
    record(home, given_fact("retraction", "2026-06-12", "launch:gpt-5.5:oci:available=2026-06-11"))
    opened = with_register(PARTNERSHIP, home)
    assert opened.decide(**asked).outcome == "conditional"  # type: ignore[arg-type]


def test_two_records_of_one_instant_keep_their_order(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clauseway.app.books.register.time.time_ns", lambda: 1_800_000_000_000_000_000)
    first = record(home, answer("cannot+declines"))
    second = record(home, answer("can+chooses", corrects=first.id))
    assert first.known.instant_ns == second.known.instant_ns
    assert first.known < second.known
    assert new_model_on_aws(home, first.known).outcome == "permitted"
    assert new_model_on_aws(home, second.known).outcome == "conditional"


def test_a_clock_that_was_set_back_puts_nothing_before_what_stands(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = record(home, answer("cannot+declines"))
    monkeypatch.setattr("clauseway.app.books.register.time.time_ns", lambda: first.known.instant_ns - 10**12)
    assert record(home, answer("can+chooses", "2026-04-30")).known > first.known


def test_a_fact_recorded_while_the_clock_was_a_month_ahead_is_recorded_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns()
    month_ns = 30 * 86_400 * 10**9
    with monkeypatch.context() as ahead:
        ahead.setattr("clauseway.app.books.register.time.time_ns", lambda: now_ns + month_ns)
        wrong = record(home, answer("cannot+declines"))
    assert new_model_on_aws(home, KnownAt(time.time_ns())).outcome == "conditional"
    assert [fact.id for fact in facts_ahead(home)] == ["F1"]
    with pytest.raises(InvalidInput, match="F1") as refused:
        record(home, answer("cannot+declines", corrects=wrong.id))
    assert "--clock-was-ahead" in refused.value.problems[0].remedy
    again = answer("cannot+declines", corrects=wrong.id)
    right = record_fact(home, PARTNERSHIP, again, clock_was_ahead=True)
    assert now_ns <= right.known.instant_ns < now_ns + month_ns
    for known_at, outcome in (
        (just_before(right), "conditional"),  # as it was answered then
        (moment(right), "permitted"),
        (just_before(wrong), "permitted"),
        (KnownAt.everything(), "permitted"),
    ):
        assert new_model_on_aws(home, known_at).outcome == outcome


# what is given | every place that is wrong
REFUSED = [
    (
        UncheckedFact(
            kind="launch",
            effective="2026-13-01",
            source=" ",
            says="",
            corrects="F7",
            about={"product": "new-modle", "cloud": "azur", "stage": "sold"},
        ),
        ["--cloud", "--corrects", "--effective", "--product", "--says", "--source", "--stage"],
    ),
    (given_fact("answer", "2026-04-29", product="new-model", answer="maybe"), ["--answer"]),
    (given_fact("grant", "2026-04-29", party="nobody", product="nothing"), ["--party", "--product"]),
    # The owner of a product needs no grant of it.
    (given_fact("grant", "2026-04-29", party="openai", product="gpt-5.5", cloud="aws"), ["--party"]),
    (given_fact("offer", "9999-12-31", subject=" ", passed=True), ["--effective", "--subject"]),
    (given_fact("retraction", "2026-04-29"), ["--corrects"]),
    (given_fact("milestone", "2026-04-29", "launch:gpt-5.5:aws:preview=2026-04-28"), ["--corrects"]),
]


@pytest.mark.parametrize(("fact", "places"), REFUSED, ids=range(len(REFUSED)))
def test_everything_wrong_is_told_at_once_and_nothing_recorded(
    home: Home, fact: UncheckedFact, places: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        record(home, fact)
    assert [problem.where for problem in refused.value.problems] == places
    assert all(problem.remedy for problem in refused.value.problems)
    assert recorded_facts(home) == ()


def test_the_register_as_it_is_listed(home: Home) -> None:
    wrong = record(home, launch("new-model", "azure", "available", "2026-04-30"))
    right = record(home, launch("new-model", "azure", "announced", "2026-04-30", wrong.id))
    opened = with_register(PARTNERSHIP, home)
    now = {fact.name: fact for fact in list_facts(opened, KnownAt.everything())}
    assert (now["F1"].hidden_by, now["F2"].hidden_by, now["F2"].corrects) == ("F2", "", "F1")
    assert now["F1"].document == "register"
    then = {fact.name: fact for fact in list_facts(opened, just_before(right))}
    assert "F2" not in then
    assert then["F1"].hidden_by == ""
    assert now["launch:gpt-5.5:azure:available=2026-04-24"].known_at == ""


def test_a_launch_counts_for_every_agreement_and_other_facts_for_their_own(home: Home) -> None:
    record(home, launch("new-model", "azure", "available", "2026-04-30"))
    record(home, given_fact("milestone", "2026-06-01"))
    record(home, given_fact("retraction", "2026-06-02", "F1"))
    facts = facts_for("another", recorded_facts(home))
    assert [fact.name for fact in facts] == ["F1", "F3"]
    assert FactRegister().with_facts(facts).known(KnownAt.everything()).launches("new-model") == []


def test_a_decision_cites_the_place_in_the_register(home: Home) -> None:
    record(home, answer("cannot+declines"))
    met = next(reason for reason in new_model_on_aws(home).reasons if reason.bearing == "meets")
    assert (met.document, met.line, met.source) == ("register", 1, "a letter")


def test_what_was_recorded_stays_as_it_was_given(home: Home) -> None:
    recorded = record(home, answer("cannot+declines"))
    control = Control.open(home.control)
    try:
        [row] = control.facts()
    finally:
        control.close()
    assert (row.sequence, row.kind, row.effective, row.source) == (1, "answer", date(2026, 4, 29), "a letter")
    assert datetime.fromtimestamp(row.recorded_ns / 1e9, UTC).date() == datetime.now(UTC).date()
    assert recorded_facts(home) == (recorded,)


ANY = st.text(max_size=8) | st.sampled_from(
    ["", "2026-04-30", "9999-12-31", "new-model", "ip", "azure", "available", "google", "can+declines", "F1", "compute"]
)
FIELDS = {
    "launch": ("product", "cloud", "stage"),
    "answer": ("product", "answer"),
    "offer": ("subject",),
    "milestone": (),
    "grant": ("party", "product"),
    "retraction": (),
}


@given(kind=st.sampled_from(sorted(FIELDS)), texts=st.lists(ANY, min_size=7, max_size=7), passed=st.booleans())
def test_whatever_is_given_is_a_fact_or_is_refused_with_what_to_do(kind: str, texts: list[str], passed: bool) -> None:
    effective, source, says, corrects, *rest = texts
    about: dict[str, str | bool] = dict(zip(FIELDS[kind], rest, strict=False))
    if kind == "offer":
        about["passed"] = passed
    fact = UncheckedFact(kind=kind, effective=effective, source=source, says=says, about=about, corrects=corrects)
    places = told_of(fact)
    assert all(place.startswith("--") for place in places)
    assert places or date.fromisoformat(effective) < date.max


def told_of(fact: UncheckedFact) -> list[str]:
    """The places of what is wrong with a fact; none where it could be recorded."""
    try:
        record = checked(fact, "openai-microsoft", PARTNERSHIP.catalog, {}, PARTNERSHIP.facts.facts)
    except InvalidInput as refused:
        return [problem.where for problem in refused.problems]
    return [] if record.fact().citation.text else ["nothing is said"]


# Laws of corrections, on registers of any shape


def noted(name: int, known: int, corrects: int) -> Launch:
    citation = Citation(term=f"f{name}", amendment="facts", document="x", line=name, source="T", text="")
    return Launch(
        effective=date(2026, 1, 1 + name),
        known=KnownAt(known, name),
        citation=citation,
        id=f"f{name}",
        corrects=f"f{corrects}" if 0 <= corrects < name else "",
        product="chat",
        cloud="own",
        stage="available",
    )


REGISTERS = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 8)), max_size=9).map(
    lambda rows: [noted(name, known, corrects) for name, (known, corrects) in enumerate(rows)]
)


@given(facts=REGISTERS, known_at=st.integers(-1, 6), seed=st.randoms(use_true_random=False))
def test_what_is_known_at_a_point_rests_on_nothing_that_became_known_later(
    facts: list[Launch], known_at: int, seed: object
) -> None:
    point = KnownAt(known_at)
    known = FactRegister().with_facts(facts).known(point)
    so_far = [fact for fact in facts if fact.known <= point]
    # Before is as if nothing had come after, in whatever order the facts were put together.
    shuffled = list(facts)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert FactRegister(tuple(sorted(shuffled, key=lambda fact: fact.known))).known(point).facts == known.facts
    assert FactRegister().with_facts(so_far).known(point).facts == known.facts
    # A fact is hidden exactly where a correction of it was known.
    hidden = {fact.corrects for fact in so_far}
    assert {fact.name for fact in known.facts} == {fact.name for fact in so_far} - hidden
    # Known again is the same.
    assert known.known(point).facts == tuple(fact for fact in known.facts if fact.name not in hidden)


def test_a_fact_without_a_correction_is_written_as_it_always_was() -> None:
    [*facts] = PARTNERSHIP.facts.facts
    assert "corrects" not in msgspec.to_builtins(facts[0])
