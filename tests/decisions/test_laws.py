"""Laws of every decision, whatever is asked, tried on questions drawn at random."""

import re
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec
from every_question import ADDED, Asked, ask, cases, opened_with_added, partnership, shapes, suppositions
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from partnership_by_hand import A1, A2, A3, A4, A5, Case

from clauseway import Decision, KnownAt, OpenAgreement, Outcome
from clauseway.agreement import builtin
from soak import examples

BUILT_IN = Path(builtin.__path__[0]) / "openai-microsoft"
many = settings(max_examples=examples(100))
# A case in five is conditional.
filtering = settings(many, suppress_health_check=[HealthCheck.filter_too_much])
# Each example reads an agreement and asks it much; what fails is told in the message, so nothing is made smaller.
few = settings(max_examples=examples(10), phases=[Phase.explicit, Phase.reuse, Phase.generate])


def decided(asked: Asked, agreement: OpenAgreement | None = None) -> Decision:
    """The answer of the built-in agreement, or of another."""
    opened = (agreement or partnership()).supposing(asked.texts)
    return opened.answer(ask(opened, asked.case))


def documents() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(BUILT_IN.glob("*.md"))}


def opened_from(texts: Mapping[str, str], added: str = ADDED) -> OpenAgreement:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text, "utf-8")
        return opened_with_added(Path(folder), added)


# --- knowledge -------------------------------------------------------------------------------------------------------

SOME_DAY = st.dates(date(2023, 1, 1), date(2027, 1, 1))


@many
@given(asked=cases(), later=suppositions(), days=st.integers(1, 400))
def test_a_fact_recorded_later_changes_no_earlier_answer(asked: Asked, later: tuple[str, ...], days: int) -> None:
    """Whatever day it speaks of: what counts is when it became known."""
    assume(asked.case.known_at != date.max)
    before = partnership().supposing(asked.texts)
    question = ask(before, asked.case)
    recorded_on = KnownAt(question.known_at.instant_ns + 86_400 * 10**9 * (days - 1) + 1, 0)
    more = [fact for fact in partnership().supposing(later).facts.facts if fact.known == KnownAt.always()]
    recorded = [msgspec.structs.replace(fact, known=recorded_on) for fact in more]
    after = msgspec.structs.replace(before, facts=before.facts.with_facts(recorded))
    assert after.answer(question) == before.answer(question)


A6 = """---
id: A6
title: A later amendment
announced: {announced}
effective: {effective}
sources: [P]
---

# A6 A later amendment

## 6.1 All is on one cloud

```yaml term
id: A6.only
kind: exclusivity
actions: [serve, sell, contract-compute]
products: [api, app, joint, compute.new]
only: {{clouds: [oci]}}
source: [P]
```
"""
A6_ENDS = """
## 6.2 Terms it ends

```yaml change
id: A6.ends
ends: [A5.ship-first, A5.licence, A1.sale, A3.api, A1.workloads]
source: [P]
```
"""


@few
@given(announced=SOME_DAY, effective=SOME_DAY, questions=st.lists(cases(), min_size=20, max_size=40))
def test_an_amendment_announced_later_changes_no_earlier_answer(
    announced: date, effective: date, questions: list[Asked]
) -> None:
    """Not even one that is made to take effect before it was announced."""
    assume(effective not in (A1, A2, A3, A4, A5))
    text = A6.format(announced=announced, effective=effective) + (A6_ENDS if announced > A5 else "")
    amended = opened_from(documents() | {"A6.md": text})
    for asked in questions:
        if asked.case.known_at < announced:
            assert without_receipt(decided(asked, amended)) == without_receipt(decided(asked)), asked


def test_once_announced_it_does_change_answers() -> None:
    """So the law above says something."""
    amended = opened_from(documents() | {"A6.md": A6.format(announced="2026-09-01", effective="2026-08-01") + A6_ENDS})
    asked = Asked(Case("serve", "openai", "gpt-5.5", "aws", as_of=date(2026, 8, 1)), ())
    outcomes = [
        decided(asked._replace(case=asked.case._replace(known_at=known_at)), amended).outcome
        for known_at in (date(2026, 8, 31), date(2026, 9, 1))
    ]
    assert outcomes == [Outcome.PERMITTED, Outcome.FORBIDDEN]


def without_receipt(decision: Decision) -> Decision:
    return msgspec.structs.replace(decision, receipt=msgspec.UNSET)


# --- order and names -------------------------------------------------------------------------------------------------


@many
@given(asked=cases(), data=st.data())
def test_the_order_of_suppositions_changes_nothing(asked: Asked, data: st.DataObject) -> None:
    other = asked._replace(texts=tuple(data.draw(st.permutations(asked.texts))))
    first, second = decided(asked), decided(other)
    kinds = [":".join(text.partition("=")[0].split(":")[:2]) for text in asked.texts]
    if len(set(kinds)) < len(kinds):
        # Of several facts that say the same any may be cited.
        first, second = (msgspec.structs.replace(each, reasons=()) for each in (first, second))
    assert first == second


@few
@given(data=st.data())
def test_the_order_of_documents_and_of_the_register_changes_no_answer(data: st.DataObject) -> None:
    """Files take new names, and so another order; the entries of the register stand in another order."""
    texts = documents()
    amendments = sorted(name for name in texts if re.fullmatch(r"A\d\.md", name))
    renamed = dict(zip(amendments, data.draw(st.permutations(amendments)), strict=True))
    lines = texts["facts.md"].splitlines()
    at = [number for number, line in enumerate(lines) if line.startswith("- {")]
    for number, line in zip(at, data.draw(st.permutations([lines[number] for number in at])), strict=True):
        lines[number] = line
    shuffled = {renamed.get(name, name): text for name, text in texts.items()} | {"facts.md": "\n".join(lines) + "\n"}
    other = opened_from(shuffled)
    for asked in data.draw(st.lists(cases(), min_size=20, max_size=40)):
        assert essence(decided(asked, other)) == essence(decided(asked)), asked


def essence(decision: Decision) -> tuple[object, ...]:
    terms = [reason.term for reason in decision.reasons]
    return decision.outcome, terms, decision.conditions, decision.turns_on


PARTIES = ("openai", "microsoft", "amazon", "google", "oracle", "deployment-venture", "acme")
CLOUDS = ("azure", "aws", "google-cloud", "oci", "openai-own")
PRODUCTS = (
    "gpt-5.5",
    "gpt-5.4",
    "new-model",
    "stateful-runtime",
    "managed-agents",
    "chatgpt",
    "codex",
    "frontier",
    "gpt-oss-120b",
    "relay",
    "tutor",
)
CLASSES = (
    "api",
    "api.stateless",
    "api.stateful",
    "app",
    "joint",
    "joint.api",
    "joint.app",
    "open-weight",
    "research",
    "compute.new",
    "ip",
    "ip.models",
    "ip.products",
    "ip.research",
    "hardware",
)
SEGMENTS = ("us-national-security", "government", "enterprise", "consumer")
NAMES = (*PARTIES, *CLOUDS, *PRODUCTS, *CLASSES, *SEGMENTS)
# An identifier stands alone: `openai` is not meant in `share-openai-microsoft`, nor `api` in `api.stateless`.
_NAME = re.compile(
    r"(?<![\w.-])(" + "|".join(sorted(map(re.escape, NAMES), key=len, reverse=True)) + r")(?![\w-]|\.\w)"
)
_BLOCK = re.compile(r"```yaml \w+\n.*?```", re.DOTALL)


def rename(text: str, names: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: names[match[1]], text)


def rename_blocks(text: str, names: Mapping[str, str]) -> str:
    return _BLOCK.sub(lambda block: rename(block[0], names), text)


def renamed_case(asked: Asked, names: Mapping[str, str]) -> Asked:
    case = asked.case
    fields = {
        field: names.get(value, value)
        for field in ("party", "product", "cloud", "to", "seller", "segment")
        if (value := getattr(case, field))
    }
    return Asked(Case(**(case._asdict() | fields)), tuple(rename_supposed(text, names) for text in asked.texts))


def rename_supposed(text: str, names: Mapping[str, str]) -> str:
    """`offer:compute:passed` names no party, cloud or product and stays."""
    subject, _, when = text.partition("=")
    return ":".join(names.get(word, word) for word in subject.split(":")) + "=" + when


@few
@given(data=st.data())
def test_other_names_for_everything_leave_every_outcome(data: st.DataObject) -> None:
    """Nothing in the engine is special to these parties, clouds and products: it knows them from the text alone."""
    new = data.draw(st.permutations([f"n{number:02}x" for number in range(len(NAMES))]))
    names = dict(zip(NAMES, new, strict=True))
    texts = {name: rename_blocks(text, names) for name, text in documents().items()}
    assert "azure" not in "".join(_BLOCK.findall("".join(texts.values())))
    other = opened_from(texts, rename(ADDED, names))
    for asked in data.draw(st.lists(cases(), min_size=30, max_size=60)):
        first, second = decided(asked), decided(renamed_case(asked, names), other)
        assert second.outcome == first.outcome, asked
        assert second.turns_on == first.turns_on, asked
        needs = [
            [rename_supposed(f"{need}=", names)[:-1] for need in condition.needs] for condition in first.conditions
        ]
        assert [list(condition.needs) for condition in second.conditions] == needs, asked


# --- reasons ---------------------------------------------------------------------------------------------------------


def defining_lines(texts: Mapping[str, str]) -> dict[tuple[str, str], range]:
    """(document, identifier) → the lines that define it, found by reading the text from top to bottom."""
    places: dict[tuple[str, str], range] = {}
    for name, text in texts.items():
        lines = text.splitlines()
        opened = 0
        for number, line in enumerate(lines, start=1):
            if line.startswith("```yaml"):
                opened = number
            elif line == "```" and opened:
                block = lines[opened : number - 1]
                identifiers = [line[4:] for line in block if line.startswith("id: ")]
                if identifiers:
                    places[name, identifiers[0]] = range(opened, number + 1)
                opened = 0
            elif opened and name == "agreement.md" and (key := re.match(r"  ([\w-]+):", line)):
                # A rule, a reading or a commentary: from its key to the last line indented deeper.
                last = number
                while lines[last].startswith("   "):
                    last += 1
                places[name, key[1]] = range(number, last + 1)
            elif opened and name == "facts.md" and line.startswith("- {"):
                entry = dict(part.split(": ", 1) for part in line[3:].split(", ") if ": " in part)
                named = (entry["kind"], entry["product"], entry["cloud"], entry["stage"])
                places[name, ":".join(named)] = range(number, number + 1)
    return places


@many
@given(asked=cases())
def test_every_reason_stands_in_the_text_where_it_says(asked: Asked) -> None:
    lines = defining_lines(documents())
    decision = decided(asked)
    cited = [reason for reason in decision.reasons if reason.source != "supposed"]
    assert cited, "a supposition alone decides nothing"
    for reason in cited:
        assert reason.source
        assert reason.text
        assert reason.line in lines[reason.document, reason.term], reason
    for reason in decision.reasons:
        if reason.source == "supposed":
            assert any(text.startswith(f"{reason.term}=") for text in asked.texts), reason


def test_the_lines_are_those_of_the_block_and_no_others() -> None:
    """One place by hand, so that the law above is known to look at the right lines."""
    question = Case("serve", "openai", "new-model", "aws", as_of=date(2026, 5, 1))
    [condition, *_] = decided(Asked(question, ())).reasons
    written = documents()["A5.md"].splitlines()
    assert condition.term == "A5.ship-first"
    assert written[defining_lines(documents())["A5.md", "A5.ship-first"].start - 1] == "```yaml term"
    assert "id: A5.ship-first" in written[condition.line - 2 : condition.line + 1]


# --- conditions ------------------------------------------------------------------------------------------------------


@many
@given(asked=cases())
def test_conditional_if_and_only_if_there_are_conditions(asked: Asked) -> None:
    decision = decided(asked)
    assert (decision.outcome is Outcome.CONDITIONAL) == bool(decision.conditions)
    assert len(set(decision.conditions)) == len(decision.conditions), "each condition once"


@filtering
@given(asked=cases(("serve", "sell", "license", "use-under-licence")))
def test_what_a_condition_needs_makes_it_vanish(asked: Asked) -> None:
    """Any one of the facts it lists will do; one for each condition, and the answer is `permitted`."""
    case, texts = asked
    # An answer recorded on the same day would contradict the one supposed.
    assume(not any(text.startswith("answer:") and text.endswith(f"={case.as_of}") for text in texts))
    decision = decided(asked)
    assume(decision.conditions)
    for condition in decision.conditions:
        assert condition.needs or case.product in CLASSES, condition
        for need in condition.needs:
            met = decided(asked._replace(texts=(*texts, f"{need}={case.as_of}")))
            assert condition.needs not in [left.needs for left in met.conditions], (condition, need)
            assert len(met.conditions) < len(decision.conditions)
    if all(condition.needs for condition in decision.conditions):
        first = [f"{condition.needs[0]}={case.as_of}" for condition in decision.conditions]
        assert decided(asked._replace(texts=(*texts, *first))).outcome is Outcome.PERMITTED


def test_the_offer_that_first_refusal_needs_makes_it_vanish() -> None:
    under_a2 = Case("contract-compute", "openai", "compute.new", "oci", as_of=date(2025, 3, 1))
    [condition] = decided(Asked(under_a2, ())).conditions
    [need] = condition.needs
    assert decided(Asked(under_a2, (f"{need}=2025-03-01",))).outcome is Outcome.PERMITTED
    assert decided(Asked(under_a2, (f"{need}=2025-03-02",))).outcome is Outcome.CONDITIONAL


# --- readings --------------------------------------------------------------------------------------------------------

OPTIONS = {
    "r1": ("R1", "and", "or"),
    "r3": ("R3", "a4", "a3"),
    "r5": ("R5", "new", "all"),
    "r6": ("R6", "listed", "all-ip"),
}


@many
@given(asked=cases())
def test_turns_on_names_every_reading_that_matters_and_no_other(asked: Asked) -> None:
    decision = decided(asked)
    turns = {(turn.reading, turn.option): turn.outcome for turn in decision.turns_on}
    assert len(turns) == len(decision.turns_on)
    for field, (reading, *options) in OPTIONS.items():
        chosen = getattr(asked.case, field)
        [other] = [option for option in options if option != chosen]
        read_otherwise = Case(**(asked.case._asdict() | {field: other}))
        outcome = decided(asked._replace(case=read_otherwise)).outcome
        assert turns.pop((reading, other), decision.outcome) == outcome
    assert not turns, "a reading that there is not"


def test_each_reading_turns_some_answer() -> None:
    """Else the law above would hold of readings that do nothing."""
    questions = (
        Asked(Case("serve", "openai", "new-model", "aws"), ("answer:new-model:can+declines=2026-04-29",)),
        Asked(Case("serve", "openai", "stateful-runtime", "aws"), ()),
        Asked(Case("serve", "openai", "codex", "aws"), ()),
        Asked(Case("use-under-licence", "microsoft", "ip.research"), ()),
    )
    days = (date(2026, 5, 1), date(2025, 11, 15), date(2026, 5, 1), date(2031, 5, 1))
    turned = [
        [turn.reading for turn in decided(asked._replace(case=asked.case._replace(as_of=day))).turns_on]
        for asked, day in zip(questions, days, strict=True)
    ]
    assert turned == [["R1"], ["R3"], ["R5"], ["R6"]]


# --- receipts --------------------------------------------------------------------------------------------------------


@many
@given(asked=cases())
def test_the_same_question_gets_the_same_receipt(asked: Asked) -> None:
    assert decided(asked) == decided(asked)


def test_every_shape_is_a_valid_question() -> None:
    for shape in shapes():
        ask(partnership(), shape._replace(as_of=date(2026, 5, 1)))
