"""Sets of names as a person would write them: the whole, all but a few, a few."""

from collections.abc import Iterable
from datetime import date
from itertools import chain, combinations
from pathlib import Path

import msgspec
import pytest

from clauseway import KnownAt, open_agreement
from clauseway.agreement import builtin
from clauseway.agreement.language.terms import KINDS
from clauseway.catalog import Product, ProductClass
from clauseway.decisions import AskedAgreement
from clauseway.decisions.parts import NameLists
from clauseway.wording.facts import fact_in_words
from clauseway.wording.names import Wording, listed, sentence
from clauseway.wording.shown_rights import rights_of_interest
from clauseway.wording.terms import TermWording
from terms_at_hand import documents, reading

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
    ("clouds", "expected"),
    [
        ("", ""),
        ("aws", " on AWS"),
        ("aws oci", " on AWS and OCI"),
        ("aws google-cloud oci", " on any cloud but Azure and OpenAI-own"),
        ("aws google-cloud oci openai-own", " on any cloud but Azure"),
        ("aws azure google-cloud oci openai-own", " on any cloud"),
    ],
)
def test_clouds(clouds: str, expected: str) -> None:
    assert WORDS.clouds(clouds.split()) == expected


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ("any consumer enterprise government us-national-security", ""),
        ("any consumer enterprise government", " to all but us-national-security customers"),
        ("us-national-security", " to us-national-security customers"),
        ("any", " to customers of no named segment"),
        ("consumer enterprise", " to consumer customers and enterprise customers"),
        ("any consumer", " to consumer customers and customers of no named segment"),
    ],
)
def test_segments(segments: str, expected: str) -> None:
    assert WORDS.segments(segments.split()) == expected


@pytest.mark.parametrize(
    ("products", "action", "expected"),
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
def test_products(products: str, action: str, expected: str) -> None:
    assert WORDS.products(products.split(), action) == expected


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
    ("products", "expected"),
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
def test_a_class_without_the_classes_in_it_is_not_told_as_the_whole(products: str, expected: str) -> None:
    catalog = msgspec.structs.replace(BUILT_IN.catalog, classes=NESTED, products=DIRECT)
    words = msgspec.structs.replace(WORDS, catalog=catalog)
    assert words.products(products.split(), "sell") == expected


def test_the_places_outside_all_regions_are_told_as_such() -> None:
    catalog = msgspec.structs.replace(BUILT_IN.catalog, regions={"eu": {}, "us": {}})
    words = msgspec.structs.replace(WORDS, catalog=catalog)
    assert words.regions(["elsewhere"]) == " outside the named regions"
    assert words.regions(["eu", "elsewhere"]) == " in eu and outside the named regions"


# The sellers, of whom none is the party itself · behind the cloud and the customers, before the region.
SOLD_BY = [
    (("",), " on AWS to enterprise customers in eu"),
    (("microsoft",), " on AWS to enterprise customers, sold by Microsoft in eu"),
    (("", "microsoft", "amazon"), " on AWS to enterprise customers, sold by itself or Amazon or Microsoft in eu"),
]


@pytest.mark.parametrize(("sellers", "expected"), SOLD_BY)
def test_where_for_whom_and_by_whom_something_is_sold(sellers: tuple[str, ...], expected: str) -> None:
    catalog = msgspec.structs.replace(BUILT_IN.catalog, regions={"eu": {}, "us": {}})
    words = msgspec.structs.replace(WORDS, catalog=catalog)
    names = NameLists(clouds=("aws",), segments=("enterprise",), sellers=sellers, regions=("eu",))
    assert words.where(names) == expected


def subsets(names: Iterable[str]) -> Iterable[tuple[str, ...]]:
    every = sorted(names)
    return chain.from_iterable(combinations(every, size) for size in range(1, len(every) + 1))


def test_no_two_sets_are_told_alike() -> None:
    catalog = BUILT_IN.catalog
    for names, expected in (
        (catalog.parties, WORDS.parties),
        (catalog.clouds, WORDS.clouds),
        (catalog.segments, WORDS.segments),
    ):
        assert len({expected(some) for some in subsets(names)}) == 2 ** len(names) - 1
    sold = ("api.stateless", "gpt-5.5", "gpt-5.4", "new-model", "app", "codex", "joint.api", "joint.app", "research")
    assert len({WORDS.products(some, "serve") for some in subsets(sold)}) == 2 ** len(sold) - 1


@pytest.mark.parametrize(
    ("names", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_lists(names: list[str], expected: str) -> None:
    assert listed(names, "or") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("nobody may", "Nobody may"), ("partner's right", "Partner's right"), ("gpt-5.5 ends", "gpt-5.5 ends"), ("", "")],
)
def test_sentences_begin_with_a_capital_and_identifiers_stay(text: str, expected: str) -> None:
    assert sentence(text) == expected


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


# A term of 1 January 2026, as its text has it · what it says from that day on.
IN_WORDS = [
    (
        "kind: permission\nparty: anyone\nactions: [serve]\nproducts: [apps, app]\ndespite: [own, A1.at-hand, A1.no]",
        "anyone may serve apps products and app on any cloud, despite A1.at-hand, A1.no and own",
    ),
    (
        "kind: permission\nparty: anyone\nactions: [serve]\nproducts: [tool]\ndespite: [any]\nbegins: 2026-02-01",
        "anyone may serve tool on any cloud, whatever else forbids it, from 2026-02-01",
    ),
    (
        "kind: permission\nparty: shop\ngrantor: maker\nactions: [sell, serve]\nproducts: [apps]\nclouds: [north]\n"
        "sellers: [rival]\nsegments: [state]\nuntil: 2027-01-01",
        "shop may serve and sell apps products on north for state customers, sold by rival, granted by maker, "
        "until 2027-01-01",
    ),
    (
        "kind: permission\nparty: shop\nactions: [serve]\nproducts: [app]\nuntil: milestone\nthrough: 2027-12-31",
        "shop may serve app on any cloud, until the milestone or through 2027-12-31, whichever is first",
    ),
    (
        "kind: prohibition\nparties: [anyone]\nactions: [serve]\nproducts: [apps]\n"
        "except: [{clouds: [own], actions: [serve], products: [app], segments: [state]}, {products: [tool]}]",
        "nobody may serve apps products, except serving app on own for state customers, except tool",
    ),
    (
        "kind: exclusivity\nactions: [serve]\nproducts: [apps]\nonly: {clouds: [own, north]}",
        "serving apps products is reserved to north and own",
    ),
    (
        "kind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {sellers: [maker]}",
        "selling apps products is reserved to maker as seller",
    ),
    (
        "kind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\n"
        "carries: [{actions: [sell], products: [app], clouds: [north]}, {actions: [serve]}]",
        "shop has a licence from maker to rights and by it may sell app on north and serve whatever it covers",
    ),
    (
        "kind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\n"
        "binds: first-shipped-since\nsince: 2026-01-01\nunless: cannot-and-declines\nlead-days: 1",
        "maker must bring apps products that first ship on or after 2026-01-01 to north 1 day before any other cloud, "
        "unless partner cannot and chooses not to support them",
    ),
    (
        "kind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\n"
        "binds: every-product\nsince: 2026-01-01\nunless: cannot-or-declines",
        "maker must bring apps products to north before any other cloud, unless partner cannot or chooses not to "
        "support them",
    ),
    (
        "kind: revenue-share\npayer: maker\npayee: shop\nrate: 5 %\n"
        "base: {sellers: [maker], wholesale: true, wholesale-except: [rival], products: [apps], excludes: [tool], "
        "clouds: [north]}\ntiers: [{above: USD 1000000, rate: 4 %}]\ncap: USD 90000\n"
        "floors: [{amount: USD 100, per: quarter}]",
        "maker owes shop a revenue share on the sales of maker and what it earns from other sellers except rival of "
        "apps products on north (tool apart), by bands of what was sold so far, under a total cap, with a minimum",
    ),
    (
        "kind: undertaking\nparties: [shop, rival]",
        "rival and shop undertake, with no effect on any decision: “They say what their blocks say”",
    ),
]


@pytest.mark.parametrize(("block", "expected"), IN_WORDS)
def test_a_term_in_words(block: str, expected: str) -> None:
    forbids = "id: A1.no\nkind: prohibition\nparties: [rival]\nactions: [serve]\nproducts: [apps]"
    at_hand = "id: A1.at-hand\nkind: prohibition\nparties: [shop]\nactions: [serve]\nproducts: [apps]"
    opened = reading(documents(f"{forbids}\n\n{at_hand}\n\nid: A1.term\n{block}"))
    term = opened.agreement.terms_by_id["A1.term"]
    assert TermWording(Wording.of([opened]), {}).term(term, date(2026, 1, 1)) == expected


# A fact · the same in words.
RECORDED = [
    ("kind: launch, product: app, cloud: north, stage: announced", "app was announced for north"),
    ("kind: launch, product: app, cloud: north, stage: preview", "app went into preview on north"),
    ("kind: launch, product: app, cloud: north, stage: available", "app became available on north"),
    (
        "kind: answer, product: app, can: false, declines: true",
        "that the first cloud cannot support app and declines to",
    ),
    ("kind: answer, product: app, can: true, declines: false", "that the first cloud can support app and chooses to"),
    ("kind: offer, subject: deal, passed: true", "what is called deal was offered and passed on"),
    ("kind: offer, subject: deal, passed: false", "what is called deal was offered"),
    ("kind: milestone", "the milestone's verification took effect"),
]


@pytest.mark.parametrize(("fact", "expected"), RECORDED)
def test_a_fact_in_words(fact: str, expected: str) -> None:
    first = "kind: refusal-right\nholder: rival\nactions: [sell]\nproducts: [apps]\nsubject: deal"
    ships = "kind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\nbinds: every-product"
    terms = f"id: A1.first\n{first}\n\nid: A1.ships\n{ships}\nsince: 2026-01-01\nunless: cannot-and-declines"
    opened = reading(documents(terms, [f"{fact}, effective: 2026-02-01"]))
    [recorded] = opened.facts.facts
    assert fact_in_words(Wording.of([opened]), recorded).endswith(expected)


SHOWN = """
id: A1.only
kind: exclusivity
actions: [serve, sell]
products: [apps]
only: {clouds: [own, north]}
regions: [eu]

id: A1.licence
kind: licence
licensor: maker
licensee: partner
products: [rights]
exclusive: true

id: A1.first
kind: precedence
party: maker
first: north
actions: [serve]
products: [apps]
binds: every-product
since: 2026-01-01

id: A1.share
kind: revenue-share
payer: shop
payee: maker
rate: 5 %
base: {sellers: [shop]}
"""


def test_the_rights_that_pages_show() -> None:
    """The owner's elsewhere than on the first cloud, in each region; the licensee's and an outsider's; licences."""
    texts = documents(SHOWN)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", "regions: {eu: {}}\nrules:", 1)
    opened = reading(texts)
    words = Wording.of([opened])
    asked = AskedAgreement(opened.agreement, opened.catalog, opened.facts)
    assert [words.right(question) for question in rights_of_interest(asked, KnownAt.everything())] == [
        "maker serves app on south in eu",
        "maker serves app on south outside the named regions",
        "maker serves a new apps product on south in eu",
        "maker serves a new apps product on south outside the named regions",
        "partner sells app on north in eu",
        "partner sells app on north outside the named regions",
        "rival sells app on south in eu",
        "rival sells app on south outside the named regions",
        "maker licenses rights to rival",
        "shop owes maker a revenue share",
    ]
