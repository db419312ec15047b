"""The engine against the partnership by hand: the same questions, every boundary, and not one answer may differ.

Whole where the product of the dimensions is small enough (everything known, the statements' own readings, nothing
supposed), a fixed sample elsewhere. A longer sweep:
`python tests/decisions/test_every_combination.py COUNT SEED`.
"""

import random
import sys
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from itertools import product as every

import msgspec
import pytest
from every_question import (
    ALL_READINGS,
    BOUNDARIES,
    DAYS,
    KNOWN,
    READINGS,
    SEGMENTS,
    SUPPOSED,
    Asked,
    around,
    ask,
    cases,
    day,
    days_of,
    partnership,
    readable,
    sample,
    shapes,
    supposed,
    under,
)
from hypothesis import given, settings
from partnership_by_hand import A3, A4, A5, CLASS_OF, REGISTER, Case, outcome

from clauseway.decisions import decide
from soak import examples


class Compared:
    """One agreement per set of suppositions, asked the same as the oracle; what differs is collected."""

    def __init__(self) -> None:
        self.opened = {texts: partnership().supposing(texts) for texts in SUPPOSED}
        # Without other readings to try, a decision is quicker; its outcome is the same.
        self.agreement = msgspec.structs.replace(partnership().agreement, readings={})
        self.asked = 0
        self.differing: list[str] = []

    def ask(self, case: Case, texts: tuple[str, ...]) -> None:
        opened = self.opened[texts]
        decision = decide(self.agreement, opened.catalog, opened.facts, ask(opened, case))
        self.asked += 1
        by_hand = outcome(case)
        if decision.outcome != by_hand:
            self.differing.append(f"{readable(case, texts)}: engine {decision.outcome}, by hand {by_hand}")

    def ask_all(self, asked: Iterable[Asked]) -> None:
        """Ask day by day: questions about one day share what they rest on."""
        for case, texts in sorted(asked, key=lambda each: (each.texts, each.case.known_at, each.case.as_of)):
            self.ask(case, texts)


def agrees(compared: Compared) -> None:
    shown = "\n".join(compared.differing[:20])
    assert not compared.differing, f"{len(compared.differing)} of {compared.asked} differ:\n{shown}"


def test_the_register_by_hand_is_the_register() -> None:
    facts = [(fact.citation.term, fact.effective) for fact in partnership().facts.facts]
    by_hand = [(f"launch:{launch.product}:{launch.cloud}:{launch.stage}", launch.day) for launch in REGISTER]
    assert sorted(facts) == sorted(by_hand)


def test_every_shape_of_question_on_every_boundary() -> None:
    """The eve and the day of each boundary; the day after comes in the sample."""
    compared = Compared()
    days = sorted({*map(day, BOUNDARIES), *(day(text) - timedelta(days=1) for text in BOUNDARIES)})
    # Oracle, google, acme and the venture differ in launches and grants, which the sample holds.
    some = [shape for shape in shapes() if shape.party in ("openai", "microsoft", "amazon")]
    compared.ask_all(Asked(shape._replace(as_of=as_of), ()) for shape, as_of in every(some, days))
    agrees(compared)
    assert compared.asked > 15_000


@pytest.mark.parametrize(
    "readings", [*READINGS, ALL_READINGS], ids=lambda chosen: " ".join(chosen.values()) or "default"
)
def test_every_known_at_and_reading_for_the_owner(readings: Mapping[str, str]) -> None:
    compared = Compared()
    owners = [shape for shape in shapes() if shape.party == "openai" and shape.to in ("", "microsoft", "amazon")]
    # Strides that share no factor with the days around a boundary, so that eve, day and morrow all come by.
    pairs = list(every(DAYS, KNOWN))
    compared.ask_all(
        Asked(under(readings, shape._replace(as_of=as_of, known_at=known_at)), ())
        for number, shape in enumerate(owners)
        for as_of, known_at in pairs[number % 97 :: 97]
    )
    agrees(compared)


def test_every_segment_while_the_api_is_exclusive() -> None:
    """The carve-out for national security, and that no other segment has one."""
    compared = Compared()
    whats = ("gpt-5.4", "stateful-runtime", "joint.api", "codex", "new-model")
    some = [shape for shape in shapes() if shape.product in whats and shape.cloud in ("azure", "aws")]
    some = [shape for shape in some if shape.party in ("openai", "microsoft", "amazon")]
    compared.ask_all(
        Asked(shape._replace(segment=segment, as_of=as_of), ())
        for shape, segment, as_of in every(some, SEGMENTS, around((A3, A4, A5)))
    )
    agrees(compared)


@pytest.mark.parametrize("texts", SUPPOSED, ids=lambda texts: " ".join(texts) or "nothing")
def test_each_supposition_at_its_days(texts: tuple[str, ...]) -> None:
    """Around the suppositions' own days, of the parties and products they speak of and of others."""
    compared = Compared()
    draw = random.Random(" ".join(texts))
    all_shapes = list(shapes())
    words = {word for text in texts for word in text.partition("=")[0].split(":")}
    near = [shape for shape in all_shapes if words & {shape.product, CLASS_OF.get(shape.product), shape.party}]
    if "milestone" in words:
        near = [shape for shape in all_shapes if shape.action not in ("serve", "sell") and "microsoft" in shape]
        near += [shape for shape in all_shapes if shape.product in ("gpt-5.4", "joint.api", "api.stateful")]
    own_days = around(day(text.partition("=")[2]) for text in texts) or DAYS
    drawn = []
    for number in range(300):
        shape = draw.choice(near if near and number % 2 else all_shapes)
        case = shape._replace(
            as_of=draw.choice(own_days if number % 3 else days_of(texts)),
            known_at=draw.choice((*KNOWN, *(date.max,) * 10)),
            supposed=supposed(texts),
        )
        drawn.append(Asked(under(draw.choice((*READINGS, ALL_READINGS)), case), texts))
    compared.ask_all(drawn)
    agrees(compared)


@pytest.mark.parametrize("seed", range(2))
def test_a_sample_of_everything(seed: int) -> None:
    compared = Compared()
    compared.ask_all(sample(seed, 4_000))
    agrees(compared)


@settings(max_examples=examples(300))
@given(asked=cases())
def test_any_facts_supposed_together(asked: Asked) -> None:
    opened = partnership().supposing(asked.texts)
    assert opened.answer(ask(opened, asked.case)).outcome == outcome(asked.case), readable(*asked)


if __name__ == "__main__":
    sweep = Compared()
    sweep.ask_all(sample(int(sys.argv[2]), int(sys.argv[1])))
    print(f"{sweep.asked:,} asked, {len(sweep.differing):,} differ")
    print("\n".join(sweep.differing[:200]))
