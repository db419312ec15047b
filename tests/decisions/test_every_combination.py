"""The engine against the partnership by hand: the same questions, every boundary, and not one answer may differ.

Whole where the product of the dimensions is small enough (everything known, the statements' own readings, nothing
supposed), a fixed sample elsewhere. A longer sweep:
`python tests/decisions/test_every_combination.py COUNT SEED`.
"""

import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import product as every
from pathlib import Path

import pytest
from partnership_by_hand import CLASS_OF, REGISTER, Case, Launch, Supposed, outcome

from clauseway import KnownAt, OpenAgreement, open_agreement

PARTIES = ("openai", "microsoft", "amazon", "google", "oracle", "deployment-venture", "acme")
CLOUDS = ("azure", "aws", "google-cloud", "oci", "openai-own")
SEGMENTS = ("any", "us-national-security", "government", "enterprise", "consumer")
SOLD = (*CLASS_OF, "api.stateless", "api.stateful", "app", "joint.api", "joint.app", "open-weight")
HOSTED = (*SOLD, "research")
LICENSED = ("ip.models", "ip.products", "ip.research", "hardware")
READINGS: tuple[Mapping[str, str], ...] = ({}, {"r1": "or"}, {"r3": "a3"}, {"r5": "all"}, {"r6": "all-ip"})
ALL_READINGS = {"r1": "or", "r3": "a3", "r5": "all", "r6": "all-ip"}

# A party and two products that the agreement does not name. They have launched nowhere.
ADDED = """
- {kind: party, party: acme}
- {kind: product, product: relay, class: joint.api}
- {kind: product, product: tutor, class: joint.app}
"""
ADDED_PRODUCTS = {"relay": "joint.api", "tutor": "joint.app"}

BOUNDARIES = (
    "2023-01-23", "2025-01-21", "2025-10-28", "2026-02-27", "2026-04-27",
    "2026-03-07", "2026-04-24", "2026-04-28", "2026-06-01", "2026-06-11",
    "2030-12-31", "2031-01-01", "2032-12-31", "2033-01-01",
)  # fmt: skip


def day(text: str) -> date:
    return date.fromisoformat(text)


def around(days: Iterable[date]) -> tuple[date, ...]:
    one = timedelta(days=1)
    return tuple(sorted({near for boundary in days for near in (boundary - one, boundary, boundary + one)}))


DAYS = around(map(day, BOUNDARIES))
# Before A1; each amendment's eve and day; between two of them; everything.
KNOWN = (
    *(day(text) for text in ("2022-06-01", "2024-06-01", "2025-03-01", "2025-12-01", "2026-03-31", "2026-05-01")),
    *around([day(text) for text in BOUNDARIES[:5]]),
    day("2026-04-28"),
    date.max,
)

SUPPOSED: tuple[tuple[str, ...], ...] = (
    (),
    ("milestone=2024-06-01",),
    ("milestone=2025-10-28",),
    ("milestone=2026-01-15",),
    ("milestone=2026-03-15",),
    ("milestone=2026-04-27",),
    ("milestone=2027-01-01",),
    ("milestone=2031-06-01",),
    ("launch:new-model:azure:available=2026-04-30",),
    ("launch:new-model:azure:preview=2026-05-02",),
    ("launch:new-model:azure:announced=2026-04-30",),
    ("launch:new-model:openai-own:available=2026-04-20",),
    ("launch:new-model:openai-own:available=2026-04-27",),
    ("launch:new-model:aws:preview=2026-04-26",),
    ("launch:new-model:aws:available=2026-05-03", "launch:new-model:azure:available=2026-05-05"),
    ("launch:stateful-runtime:aws:preview=2026-03-01",),
    ("launch:stateful-runtime:azure:available=2026-05-01", "launch:stateful-runtime:aws:available=2026-05-01"),
    ("launch:managed-agents:azure:preview=2026-05-15",),
    ("launch:codex:azure:available=2026-05-15",),
    ("launch:gpt-5.5:google-cloud:preview=2026-05-15",),
    ("launch:gpt-5.5:aws:preview=2026-03-01", "milestone=2026-03-15"),
    ("launch:relay:azure:preview=2026-05-02", "launch:relay:oci:preview=2026-05-03"),
    ("launch:tutor:openai-own:available=2024-01-01",),
    ("answer:new-model:cannot+declines=2026-04-29",),
    ("answer:new-model:can+declines=2026-04-29",),
    ("answer:new-model:cannot+chooses=2026-04-29",),
    ("answer:new-model:can+chooses=2026-04-29",),
    ("answer:new-model:can+chooses=2026-04-29", "answer:new-model:cannot+declines=2026-05-05"),
    ("answer:new-model:cannot+declines=2026-04-29", "answer:new-model:can+chooses=2026-05-05"),
    ("answer:managed-agents:cannot+declines=2026-04-20",),
    ("answer:codex:can+declines=2026-04-29",),
    ("offer:compute:passed=2025-03-01",),
    ("offer:compute:passed=2024-03-01",),
    ("grant:google:gpt-5.5=2026-05-10",),
    ("grant:google:gpt-5.5=2026-03-10",),
    ("grant:acme:api.stateful=2026-03-01",),
    ("grant:deployment-venture:gpt-5.4=2026-04-27", "grant:deployment-venture:new-model=2026-04-27"),
    ("grant:amazon:ip.models=2026-04-30",),
    ("grant:acme:ip.research=2025-06-01",),
    ("grant:microsoft:gpt-5.5=2033-01-01",),
    ("grant:microsoft:ip.models=2033-01-01", "grant:microsoft:hardware=2026-01-01"),
)


def supposed(texts: Iterable[str]) -> Supposed:
    """The suppositions of a question, as the oracle takes them."""
    found = Supposed()
    for text in texts:
        subject, _, when = text.partition("=")
        kind, *rest = subject.split(":")
        at = day(when)
        if kind == "milestone":
            found = found._replace(milestone=at)
        elif kind == "launch":
            found = found._replace(launches=(*found.launches, Launch(rest[0], rest[1], rest[2], at)))
        elif kind == "answer":
            found = found._replace(answers=(*found.answers, (rest[0], rest[1], at)))
        elif kind == "offer":
            found = found._replace(offers_passed=(*found.offers_passed, at))
        elif kind == "grant":
            found = found._replace(grants=(*found.grants, (rest[0], rest[1], at)))
        else:
            raise AssertionError(text)
    return found


def days_of(texts: Iterable[str]) -> tuple[date, ...]:
    """The days that matter under these suppositions: every boundary and the suppositions' own."""
    return tuple(sorted({*DAYS, *around(day(text.partition("=")[2]) for text in texts)}))


def shapes() -> Iterator[Case]:
    """Every valid (action, party, to, product, cloud), without the dimensions that only the sample varies."""
    for party, what, cloud in every(PARTIES, (*HOSTED, *ADDED_PRODUCTS), CLOUDS):
        yield Case("serve", party, what, cloud)
    for party, what, cloud in every(PARTIES, (*SOLD, *ADDED_PRODUCTS), CLOUDS):
        yield Case("sell", party, what, cloud)
    for party, cloud in every(PARTIES, CLOUDS):
        yield Case("contract-compute", party, "compute.new", cloud)
    for party, what in every(PARTIES, LICENSED):
        yield Case("use-under-licence", party, what)
    for party, to, what in every(PARTIES, PARTIES, LICENSED):
        yield Case("license", party, what, to=to)
    for party, to, what in every(PARTIES, PARTIES, ("", "gpt-5.5", "app", "ip.models", "gpt-oss-120b", "open-weight")):
        yield Case("share-revenue", party, what, to=to)


class Compared:
    """One agreement per set of suppositions, asked the same as the oracle; what differs is collected."""

    def __init__(self, agreement: OpenAgreement) -> None:
        CLASS_OF.update(ADDED_PRODUCTS)
        self.opened = {texts: agreement.supposing(texts) for texts in SUPPOSED}
        self.asked = 0
        self.differing: list[str] = []

    def ask(self, case: Case, texts: tuple[str, ...]) -> None:
        opened = self.opened[texts]
        decision = opened.answer(
            opened.question(
                action=case.action,
                party=case.party,
                product=case.product,
                cloud=case.cloud,
                to=case.to,
                seller=case.seller,
                segment=case.segment,
                as_of=case.as_of,
                known_at=KnownAt.everything() if case.known_at == date.max else KnownAt.end_of(case.known_at),
                reading={"R1": case.r1, "R3": case.r3, "R5": case.r5, "R6": case.r6},
            )
        )
        self.asked += 1
        by_hand = outcome(case)
        if decision.outcome != by_hand:
            self.differing.append(f"{readable(case, texts)}: engine {decision.outcome}, by hand {by_hand}")


def readable(case: Case, texts: tuple[str, ...]) -> str:
    unlike = {k: v for k, v in case._asdict().items() if v != Case._field_defaults.get(k) and k != "supposed"}
    return " ".join([*(f"{key}={value}" for key, value in unlike.items()), *texts])


def sample(seed: int, count: int) -> Iterator[tuple[Case, tuple[str, ...]]]:
    """Questions over all dimensions, drawn evenly over actions; the same seed draws the same questions."""
    draw = random.Random(seed)
    by_action: dict[str, list[Case]] = {}
    for shape in shapes():
        by_action.setdefault(shape.action, []).append(shape)
    # Hosting and selling have most dimensions, and so most of the sample.
    actions = (
        ("serve",) * 8 + ("sell",) * 8 + ("license", "use-under-licence") * 2 + ("contract-compute", "share-revenue")
    )
    for _ in range(count):
        shape = draw.choice(by_action[draw.choice(actions)])
        texts = draw.choice(SUPPOSED)
        case = shape._replace(
            as_of=draw.choice(days_of(texts)),
            known_at=draw.choice((*KNOWN, date.max, date.max, date.max)),
            segment=draw.choice(SEGMENTS),
            seller=draw.choice(("", "", *PARTIES)) if shape.action == "serve" else "",
            supposed=supposed(texts),
        )
        yield under(draw.choice((*READINGS, ALL_READINGS)), case), texts


def under(readings: Mapping[str, str], case: Case) -> Case:
    """The same question under other readings than the statements' own."""
    return case._replace(
        r1=readings.get("r1", "and"),
        r3=readings.get("r3", "a4"),
        r5=readings.get("r5", "new"),
        r6=readings.get("r6", "listed"),
    )


@pytest.fixture(scope="module")
def partnership(tmp_path_factory: pytest.TempPathFactory) -> OpenAgreement:
    return with_added(tmp_path_factory.mktemp("facts"))


def with_added(folder: Path) -> OpenAgreement:
    path = folder / "added.yaml"
    path.write_text(ADDED, "utf-8")
    return open_agreement().with_facts_from(path)


def agrees(compared: Compared) -> None:
    shown = "\n".join(compared.differing[:20])
    assert not compared.differing, f"{len(compared.differing)} of {compared.asked} differ:\n{shown}"


def test_the_register_by_hand_is_the_register(partnership: OpenAgreement) -> None:
    facts = [(fact.citation.term, fact.effective) for fact in partnership.facts.facts]
    by_hand = [(f"launch:{one.product}:{one.cloud}:{one.stage}", one.day) for one in REGISTER]
    assert sorted(facts) == sorted(by_hand)


def test_every_shape_of_question_on_every_boundary(partnership: OpenAgreement) -> None:
    """The eve and the day of each boundary; the day after comes in the sample."""
    compared = Compared(partnership)
    days = sorted({*map(day, BOUNDARIES), *(day(text) - timedelta(days=1) for text in BOUNDARIES)})
    # Oracle, google, acme and the venture differ in launches and grants, which the sample holds.
    some = [shape for shape in shapes() if shape.party in ("openai", "microsoft", "amazon")]
    for shape, as_of in every(some, days):
        compared.ask(shape._replace(as_of=as_of), ())
    agrees(compared)
    assert compared.asked > 15_000


@pytest.mark.parametrize(
    "readings", [*READINGS, ALL_READINGS], ids=lambda chosen: " ".join(chosen.values()) or "default"
)
def test_every_known_at_and_reading_for_the_owner(partnership: OpenAgreement, readings: Mapping[str, str]) -> None:
    compared = Compared(partnership)
    owners = [shape for shape in shapes() if shape.party == "openai" and shape.to in ("", "microsoft", "amazon")]
    # Strides that share no factor with the days around a boundary, so that eve, day and morrow all come by.
    pairs = list(every(DAYS, KNOWN))
    for number, shape in enumerate(owners):
        for as_of, known_at in pairs[number % 97 :: 97]:
            compared.ask(under(readings, shape._replace(as_of=as_of, known_at=known_at)), ())
    agrees(compared)


@pytest.mark.parametrize("texts", SUPPOSED, ids=lambda texts: " ".join(texts) or "nothing")
def test_each_supposition_at_its_days(partnership: OpenAgreement, texts: tuple[str, ...]) -> None:
    """Around the suppositions' own days, of the parties and products they speak of and of others."""
    compared = Compared(partnership)
    draw = random.Random(" ".join(texts))
    all_shapes = list(shapes())
    words = {word for text in texts for word in text.partition("=")[0].split(":")}
    near = [shape for shape in all_shapes if words & {shape.product, CLASS_OF.get(shape.product), shape.party}]
    own_days = around(day(text.partition("=")[2]) for text in texts) or DAYS
    for number in range(300):
        shape = draw.choice(near if near and number % 2 else all_shapes)
        case = shape._replace(
            as_of=draw.choice(own_days if number % 3 else days_of(texts)),
            known_at=draw.choice((*KNOWN, *(date.max,) * 10)),
            supposed=supposed(texts),
        )
        compared.ask(under(draw.choice((*READINGS, ALL_READINGS)), case), texts)
    agrees(compared)


@pytest.mark.parametrize("seed", range(3))
def test_a_sample_of_everything(partnership: OpenAgreement, seed: int) -> None:
    compared = Compared(partnership)
    for case, texts in sample(seed, 7_000):
        compared.ask(case, texts)
    agrees(compared)


if __name__ == "__main__":
    sweep = Compared(with_added(Path(sys.argv[3] if len(sys.argv) > 3 else ".")))
    for one_case, one_texts in sample(int(sys.argv[2]), int(sys.argv[1])):
        sweep.ask(one_case, one_texts)
    print(f"{sweep.asked:,} asked, {len(sweep.differing):,} differ")
    print("\n".join(sweep.differing[:200]))
