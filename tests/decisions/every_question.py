"""Every question there is about the partnership: its vocabulary, its days, and facts worth supposing.

Beside what the agreement names stand a party and two products that it does not.
"""

import functools
import random
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import permutations
from itertools import product as every
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from partnership_by_hand import CLASS_OF, Case, Launch, Supposed

from clauseway import KnownAt, OpenAgreement, Question, open_agreement

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
BOUNDARIES = (
    "2023-01-23",
    "2025-01-21",
    "2025-10-28",
    "2026-02-27",
    "2026-04-27",
    "2026-03-07",
    "2026-04-24",
    "2026-04-28",
    "2026-06-01",
    "2026-06-11",
    "2030-12-31",
    "2031-01-01",
    "2032-12-31",
    "2033-01-01",
)


def day(text: str) -> date:
    return date.fromisoformat(text)


def around(days: Iterable[date]) -> tuple[date, ...]:
    a_day = timedelta(days=1)
    return tuple(sorted({near for boundary in days for near in (boundary - a_day, boundary, boundary + a_day)}))


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
    supposed = Supposed()
    for text in texts:
        subject, _, when = text.partition("=")
        kind, *rest = subject.split(":")
        at = day(when)
        if kind == "milestone":
            # Verified once: of two such records the earlier counts.
            supposed = supposed._replace(milestone=min(at, supposed.milestone or at))
        elif kind == "launch":
            supposed = supposed._replace(launches=(*supposed.launches, Launch(rest[0], rest[1], rest[2], at)))
        elif kind == "answer":
            supposed = supposed._replace(answers=(*supposed.answers, (rest[0], rest[1], at)))
        elif kind == "offer":
            supposed = supposed._replace(offers_passed=(*supposed.offers_passed, at))
        elif kind == "grant":
            supposed = supposed._replace(grants=(*supposed.grants, (rest[0], rest[1], at)))
        else:
            raise AssertionError(text)
    return supposed


def days_of(texts: Iterable[str]) -> tuple[date, ...]:
    """The days that matter under these suppositions: every boundary and the suppositions' own."""
    return tuple(sorted({*DAYS, *around(day(text.partition("=")[2]) for text in texts)}))


def shapes() -> Iterator[Case]:
    """Every valid (action, party, to, product, cloud), without the dimensions that only the sample varies."""
    for party, what, cloud in every(PARTIES, HOSTED, CLOUDS):
        yield Case("serve", party, what, cloud)
    for party, what, cloud in every(PARTIES, SOLD, CLOUDS):
        yield Case("sell", party, what, cloud)
    for party, cloud in every(PARTIES, CLOUDS):
        yield Case("contract-compute", party, "compute.new", cloud)
    for party, what in every(PARTIES, LICENSED):
        yield Case("use-under-licence", party, what)
    # Nobody licenses or owes anything to itself.
    for (party, to), what in every(permutations(PARTIES, 2), LICENSED):
        yield Case("license", party, what, to=to)
    for (party, to), what in every(
        permutations(PARTIES, 2), ("", "gpt-5.5", "app", "ip.models", "gpt-oss-120b", "open-weight")
    ):
        yield Case("share-revenue", party, what, to=to)


def on(day_text: str, *asked: Any, known_at: str = str(date.max), **parts: Any) -> Case:
    """Return a case of action, party, product and cloud on a day, and as known on one."""
    return Case(*asked, **{**parts, "as_of": day(day_text), "known_at": day(known_at)})


def ask(opened: OpenAgreement, case: Case) -> Question:
    """The question in the engine's words. What the case supposes is `opened`'s affair."""
    return opened.question(
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


def readable(case: Case, texts: tuple[str, ...]) -> str:
    unlike = {k: v for k, v in case._asdict().items() if v != Case._field_defaults.get(k) and k != "supposed"}
    return " ".join([*(f"{key}={value}" for key, value in unlike.items()), *texts])


class Asked(NamedTuple):
    case: Case
    texts: tuple[str, ...]  # what it supposes, as `--suppose` takes it


def sample(seed: int, count: int) -> Iterator[Asked]:
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
        yield Asked(under(draw.choice((*READINGS, ALL_READINGS)), case), texts)


def under(readings: Mapping[str, str], case: Case) -> Case:
    """The same question under other readings than the statements' own."""
    return case._replace(
        r1=readings.get("r1", "and"),
        r3=readings.get("r3", "a4"),
        r5=readings.get("r5", "new"),
        r6=readings.get("r6", "listed"),
    )


def opened_with_added(folder: Path | None = None, added: str = ADDED) -> OpenAgreement:
    """The built-in agreement, or that of a folder, with what is added to it."""
    with tempfile.TemporaryDirectory() as elsewhere:
        facts = Path(elsewhere) / "added.yaml"
        facts.write_text(added, "utf-8")
        return open_agreement(folder).with_facts_from(facts)


@functools.cache
def partnership() -> OpenAgreement:
    """The built-in agreement, read once: it never changes."""
    return opened_with_added()


_ALL_SHAPES = tuple(shapes())
_SHIPPING = ("new-model", "managed-agents", "codex", "gpt-5.4", "relay")
# The months in which most happens, and every boundary.
_WHEN = st.sampled_from(DAYS) | st.dates(date(2026, 2, 1), date(2026, 7, 1))
_KNOWN = st.just(date.max) | st.sampled_from(KNOWN)
_SEGMENTS, _SELLERS = st.sampled_from(SEGMENTS), st.sampled_from(("", *PARTIES))
_READINGS = st.sampled_from((*READINGS, ALL_READINGS))


@functools.cache
def suppositions() -> st.SearchStrategy[tuple[str, ...]]:
    """Up to four facts. No two answers on a product, so that none contradicts another. Hypothesis checks a strategy
    when it first draws from it, so these are made once."""
    product = st.sampled_from(_SHIPPING)
    launch = st.builds(
        "launch:{}:{}:{}={}".format,
        product,
        st.sampled_from(CLOUDS),
        st.sampled_from(("announced", "preview", "available")),
        _WHEN,
    )
    kinds = ("cannot+declines", "cannot+chooses", "can+declines", "can+chooses")
    answer = st.builds("answer:{}:{}={}".format, product, st.sampled_from(kinds), _WHEN)
    granted = st.sampled_from(
        (*_SHIPPING, "api.stateful", "app", "ip.models", "ip.research", "hardware", "compute.new")
    )
    grant = st.builds("grant:{}:{}={}".format, st.sampled_from(PARTIES), granted, _WHEN)
    rest = st.builds("{}={}".format, st.sampled_from(("milestone", "offer:compute:passed")), _WHEN)

    def about(text: str) -> str:
        return ":".join(text.split(":")[:2]) if text.startswith("answer:") else text

    return st.lists(launch | answer | grant | rest, max_size=4, unique_by=about).map(tuple)


@st.composite
def cases(draw: st.DrawFn, actions: Collection[str] = ()) -> Asked:
    """A valid question with everything varied at once, about any action or about some."""
    texts = draw(suppositions())
    shapes: Sequence[Case] = [shape for shape in _ALL_SHAPES if shape.action in actions] if actions else _ALL_SHAPES
    bearing = draw(st.booleans())
    if texts and bearing:
        # A question that what is supposed may bear on.
        words = {word for text in texts for word in text.partition("=")[0].split(":")}
        shapes = [shape for shape in shapes if shape.product in words or shape.party in words] or shapes
    # By their number: Hypothesis would look at each of thousands before it draws one of them.
    shape = shapes[draw(st.integers(0, len(shapes) - 1))]
    days = days_of(texts)
    case = shape._replace(
        as_of=days[draw(st.integers(0, len(days) - 1))],
        known_at=draw(_KNOWN),
        segment=draw(_SEGMENTS),
        seller=draw(_SELLERS) if shape.action == "serve" else "",
        supposed=supposed(texts),
    )
    return Asked(under(draw(_READINGS), case), texts)
