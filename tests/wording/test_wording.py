"""Sets of names as a person would write them: the whole, all but a few, a few."""

from collections.abc import Iterable
from itertools import chain, combinations
from pathlib import Path

import msgspec
import pytest

from clauseway import open_agreement
from clauseway.agreement import builtin
from clauseway.agreement.language.terms import KINDS
from clauseway.catalog import Product, ProductClass
from clauseway.wording.names import Wording, listed, sentence
from clauseway.wording.terms import TermWording

BUILT_IN = open_agreement()
WORDS = Wording.of([BUILT_IN])
CLOUDS = ("aws", "azure", "google-cloud", "oci", "openai-own")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("openai", "OpenAI"),
        ("aws", "AWS"),
        ("google-cloud", "Google Cloud"),
        ("oracle", "Oracle"),  # the prose never names it: written like the others
        ("openai-own", "OpenAI-own"),  # its party as the prose writes it
        ("gpt-5.5", "gpt-5.5"),
    ],
)
def test_names_are_spelled_as_the_text_spells_them(name: str, written: str) -> None:
    assert WORDS.name(name) == written


@pytest.mark.parametrize(
    ("clouds", "told"),
    [
        ("", ""),
        ("aws", " on AWS"),
        ("aws oci", " on AWS and OCI"),
        ("aws google-cloud oci", " on any cloud but Azure and OpenAI-own"),
        ("aws google-cloud oci openai-own", " on any cloud but Azure"),
        ("aws azure google-cloud oci openai-own", " on any cloud"),
    ],
)
def test_clouds(clouds: str, told: str) -> None:
    assert WORDS.clouds(clouds.split()) == told


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        ("any consumer enterprise government us-national-security", ""),
        ("any consumer enterprise government", " to all but us-national-security customers"),
        ("us-national-security", " to us-national-security customers"),
        ("any", " to customers of no named segment"),
        ("consumer enterprise", " to consumer customers and enterprise customers"),
        ("any consumer", " to consumer customers and customers of no named segment"),
    ],
)
def test_segments(segments: str, told: str) -> None:
    assert WORDS.segments(segments.split()) == told


@pytest.mark.parametrize(
    ("products", "action", "told"),
    [
        ("gpt-5.5 gpt-5.4", "serve", "gpt-5.5 and gpt-5.4"),
        ("api.stateless gpt-5.5 gpt-5.4 new-model", "serve", "any api.stateless product"),
        ("api.stateless new-model", "serve", "any api.stateless product (except gpt-5.5 and gpt-5.4)"),
        ("app", "serve", "any new app product"),
        ("app joint.api joint.app", "serve", "any joint product and any new app product"),
        ("joint.api research", "serve", "any joint.api product and research"),
        ("ip.models ip.products", "license", "ip.models and ip.products"),
        ("ip.models ip.products ip.research", "license", "ip"),
        ("codex compute.new", "share-revenue", "compute.new and codex"),
    ],
)
def test_products(products: str, action: str, told: str) -> None:
    assert WORDS.products(products.split(), action) == told


NESTED = {
    "goods": ProductClass(id="goods", actions=frozenset({"sell"})),
    "goods.a": ProductClass(id="goods.a", within="goods", actions=frozenset({"sell"})),
    "goods.b": ProductClass(id="goods.b", within="goods", actions=frozenset({"sell"})),
    "parts": ProductClass(id="parts", actions=frozenset({"sell"})),
    "parts.a": ProductClass(id="parts.a", within="parts", actions=frozenset({"sell"})),
    "cap": ProductClass(id="cap", actions=frozenset({"sell"})),
}
PLACED = {"g": "goods", "g1": "goods.a", "p1": "parts.a"}
DIRECT = {name: Product(id=name, product_class=of) for name, of in PLACED.items()}


@pytest.mark.parametrize(
    ("products", "told"),
    [
        ("goods g", "any goods product outside goods.a and goods.b"),
        ("goods g goods.b", "any goods product outside goods.a"),
        ("goods.a g1 goods.b", "any goods.a or goods.b product"),
        ("goods g goods.a g1 goods.b", "any goods product"),
        ("goods g goods.a goods.b", "any goods product outside goods.a and any new goods.a product"),
        ("goods", "any new goods product outside goods.a and goods.b"),
        ("cap goods g", "any cap product and any goods product outside goods.a and goods.b"),
        ("parts parts.a p1", "any parts product"),
        ("parts.a p1", "any parts.a product"),
        # No product lies in parts itself: it is told only where nothing else is.
        ("parts", "any parts product outside parts.a"),
        ("parts cap", "any cap product"),
    ],
)
def test_a_class_without_the_classes_in_it_is_not_told_as_the_whole(products: str, told: str) -> None:
    catalog = msgspec.structs.replace(BUILT_IN.catalog, classes=NESTED, products=DIRECT)
    words = msgspec.structs.replace(WORDS, catalog=catalog)
    assert words.products(products.split(), "sell") == told


def test_the_places_outside_all_regions_are_told_as_such() -> None:
    catalog = msgspec.structs.replace(BUILT_IN.catalog, regions={"eu": {}, "us": {}})
    words = msgspec.structs.replace(WORDS, catalog=catalog)
    assert words.regions(["elsewhere"]) == " outside the named regions"
    assert words.regions(["eu", "elsewhere"]) == " in eu and outside the named regions"


def subsets(names: Iterable[str]) -> Iterable[tuple[str, ...]]:
    every = sorted(names)
    return chain.from_iterable(combinations(every, size) for size in range(1, len(every) + 1))


def test_no_two_sets_are_told_alike() -> None:
    catalog = BUILT_IN.catalog
    for names, told in (
        (catalog.parties, WORDS.parties),
        (catalog.clouds, WORDS.clouds),
        (catalog.segments, WORDS.segments),
    ):
        assert len({told(some) for some in subsets(names)}) == 2 ** len(names) - 1
    sold = ("api.stateless", "gpt-5.5", "gpt-5.4", "new-model", "app", "codex", "joint.api", "joint.app", "research")
    assert len({WORDS.products(some, "serve") for some in subsets(sold)}) == 2 ** len(sold) - 1


@pytest.mark.parametrize(
    ("names", "told"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_lists(names: list[str], told: str) -> None:
    assert listed(names, "or") == told


@pytest.mark.parametrize(
    ("text", "told"),
    [("nobody may", "Nobody may"), ("partner's right", "Partner's right"), ("gpt-5.5 ends", "gpt-5.5 ends"), ("", "")],
)
def test_sentences_begin_with_a_capital_and_identifiers_stay(text: str, told: str) -> None:
    assert sentence(text) == told


def test_a_place_is_clause_line_and_sources() -> None:
    ship_first = next(
        term for amendment in BUILT_IN.agreement.amendments for term in amendment.terms if term.id == "A5.ship-first"
    )
    assert WORDS.place(ship_first.citation) == "A5 5.3, A5.md:51; S2, S4"
    assert WORDS.place(BUILT_IN.agreement.rules["owner"]) == "agreement.md:83; ours"


def test_the_record_of_each_kind_has_words_for_a_term_of_it() -> None:
    """The template has a term of each kind. A word in braces that nothing stands for raises KeyError."""
    template = open_agreement(Path(builtin.__path__[0]) / "template")
    readings = {name: next(iter(reading.options)) for name, reading in template.agreement.readings.items()}
    words = TermWording(Wording.of([template]), readings)
    terms = [term for amendment in template.agreement.amendments for term in amendment.terms]
    assert {term.kind for term in terms} == set(KINDS)
    said = [text for term in terms for text in (words.noun(term), words.term(term, term.begins))]
    assert [text for text in said if not text or set(text) & set("[]{}")] == []
