"""Whatever text is given: an agreement (a register, a fact), or InvalidInput with its problems. Never anything else."""

from collections.abc import Callable
from datetime import date
from importlib import resources

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_agreement import DOCUMENTS

from clauseway.agreement import (
    Agreement,
    FactRegister,
    boundaries,
    in_force,
    read_agreement,
    read_facts,
    revenue_shares,
    suppose,
)
from clauseway.app.opening.library import open_agreement
from clauseway.values import FOREVER, InvalidInput, KnownAt
from housed_data import DOCUMENTS as HOUSED
from soak import examples

PARTNERSHIP = open_agreement()
CATALOG = PARTNERSHIP.catalog
FOLDER = resources.files("clauseway.agreement") / "builtin" / "openai-microsoft"
BUILT_IN = {entry.name: entry.read_text("utf-8") for entry in FOLDER.iterdir() if entry.name.endswith(".md")}
REGISTER = """\
- {kind: party, party: newcomer}
- {kind: product, product: newest, class: app, first-shipped-by: 2026-01-01}
- {kind: launch, product: newest, cloud: aws, stage: preview, effective: 2026-04-28, source: [P], says: A preview.}
- {kind: answer, product: newest, can: false, declines: true, effective: 2026-04-29, source: [P], says: It declined.}
- {kind: offer, subject: compute, passed: true, effective: 2025-03-01, recorded: 2025-03-02, source: [P], says: Passed.}
- {kind: grant, party: newcomer, product: newest, effective: 2026-05-01, source: [P], says: Granted.}
- {kind: milestone, effective: 2027-01-01, recorded: 2027-01-01T12:00:00+02:00, source: [P], says: Verified.}
"""

# Characters that mean something to Markdown or YAML, and characters that are awkward to both.
SIGNS = "-:#&*!|>'\"%@`,[]{}?~\\\0\t\ufeff\u2028\ud800é\n\r"
MARKS = ["---\n", "```", "```yaml term\n", "```\n", "## 9.9 ", "<<: ", "- ", "{}", "[]", "%YAML 1.1\n"]
WORDS = ["id: A1", "until: milestone", "0001-01-01", "9999-12-31", "2026-04-27T00:00:00Z"]
PIECES = st.sampled_from([*SIGNS, *MARKS, *WORDS])
LOUD = settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """The text with one to three places deleted, written twice, exchanged, or with something put in."""
    for _ in range(draw(st.integers(1, 3))):
        first, second = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        length = draw(st.integers(0, 40))
        piece = text[first : first + length]
        text = draw(
            st.sampled_from(
                [
                    text[:first] + text[first + length :],
                    text[:first] + piece + text[first:],
                    text[:first] + text[second:] + text[first:second],
                    text[:first] + draw(st.one_of(PIECES, st.text(max_size=5))) + text[first:],
                ]
            )
        )
    return text


def mutated_bytes(text: str) -> st.SearchStrategy[str]:
    """The same in bytes: what is no UTF-8 any more comes as lone surrogates, as it does from file names."""
    whole = text.encode()
    cuts = st.tuples(st.integers(0, len(whole)), st.binary(max_size=3), st.integers(0, 3))
    return cuts.map(
        lambda cut: (whole[: cut[0]] + cut[1] + whole[cut[0] + cut[2] :]).decode("utf-8", "surrogateescape")
    )


def or_refused(read: Callable[[], object]) -> None:
    """Run it. Refusal with problems that can be shown is fine; any other exception is not."""
    try:
        read()
    except InvalidInput as error:
        for problem in error.problems:
            assert problem.what
            assert problem.remedy
            assert problem.line >= 0


def use(agreement: Agreement, facts: FactRegister = PARTNERSHIP.facts) -> None:
    """An agreement that was read can be folded, for any day."""
    readings = agreement.default_readings()
    for day in (date.min, date(2026, 5, 1), FOREVER):
        in_force(agreement, facts, day, KnownAt.everything(), readings)
    for known_at in (KnownAt.everything(), KnownAt.end_of(date(2025, 6, 1))):
        boundaries(agreement, facts, known_at)
        revenue_shares(agreement, facts.known(known_at), known_at, readings)
    agreement.not_formalised()


@LOUD
@given(whole=st.sampled_from((DOCUMENTS, HOUSED)), data=st.data())
def test_a_mutated_small_agreement(whole: dict[str, str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(whole)))
    text = data.draw(st.one_of(mutated(whole[name]), mutated_bytes(whole[name])))
    or_refused(lambda: use(read_agreement(whole | {name: text})))


@settings(LOUD, max_examples=examples(40))
@given(data=st.data())
def test_a_mutated_built_in_agreement(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(BUILT_IN)))
    text = data.draw(st.one_of(mutated(BUILT_IN[name]), mutated_bytes(BUILT_IN[name])))
    or_refused(lambda: use(read_agreement(BUILT_IN | {name: text})))


@LOUD
@given(
    name=st.sampled_from(["agreement.md", "A1.md", "A3.md", "\udc80.md", "note.txt"]),
    front=st.sampled_from(["", "---\nid: A3\ntitle: T\nannounced: 2026-01-01\neffective: 2026-01-01\n---\n## 1 C\n"]),
    fence=st.sampled_from(["", "```yaml term\n", "```yaml change\n", "```yaml definitions\n"]),
    text=st.one_of(st.text(), st.lists(PIECES).map("".join)),
)
def test_any_text_as_a_document(name: str, front: str, fence: str, text: str) -> None:
    or_refused(lambda: use(read_agreement(DOCUMENTS | {name: front + fence + text})))


@LOUD
@given(
    name=st.sampled_from(["facts.yaml", "facts.md"]),
    text=st.one_of(st.text(), st.lists(PIECES).map("".join), mutated(REGISTER), mutated_bytes(REGISTER)),
)
def test_any_text_as_a_register(name: str, text: str) -> None:
    written = f"```yaml facts\n{text}\n```\n" if name == "facts.md" else text
    or_refused(lambda: use(PARTNERSHIP.agreement, read_facts(name, written, CATALOG, {})[0]))


SUPPOSITIONS = (
    "milestone=2027-01-01",
    "launch:new-model:azure:available=2026-04-30",
    "answer:new-model:cannot+declines=2026-04-29",
    "offer:compute:passed=2025-03-01",
    "grant:google:gpt-5.5=2026-05-10",
)


@LOUD
@given(text=st.one_of(st.text(), st.lists(PIECES).map("".join), st.sampled_from(SUPPOSITIONS).flatmap(mutated)))
def test_any_text_as_a_supposition(text: str) -> None:
    or_refused(lambda: use(PARTNERSHIP.agreement, PARTNERSHIP.facts.with_facts([suppose(text, CATALOG, {})])))
