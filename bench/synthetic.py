"""A synthetic agreement of any size: each amendment of 50 terms replaces most of what an earlier one said."""

import random
from datetime import date, timedelta

from clauseway.agreement import (
    Agreement,
    Amendment,
    Change,
    Exclusivity,
    FactRegister,
    Launch,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Scope,
)
from clauseway.agreement.language.definitions import RULES
from clauseway.agreement.language.facts import Fact
from clauseway.agreement.language.terms import AnyTerm, Choice, Only
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.values import Citation, KnownAt

TERMS = 50
PRODUCTS = 200
CLOUDS = 20
CLASSES = 20
PARTIES = 8
LAUNCHES = 20
SEGMENTS = ("any", "government", "enterprise")
REGIONS = ("east", "north", "west")
_OWNER = "party00"
_BEGIN = date(2000, 1, 1)
# How long a term lasts, in amendments.
_LASTS = 2


def synthetic(amendments: int, seed: int = 1) -> tuple[Agreement, Catalog, FactRegister]:
    """An agreement of `amendments` × 50 terms over 200 products in 20 classes and 20 clouds of 8 parties."""
    draw = random.Random(seed)
    catalog = _catalog()
    written: list[Amendment] = []
    for number in range(amendments):
        written.append(_amendment(draw, catalog, number, written))
    agreement = Agreement(
        id="synthetic",
        title="A synthetic agreement",
        text_digest="synthetic",
        meaning_digest="synthetic",
        catalog=catalog,
        sources={},
        rules={name: _cite(name, "agreement") for name in RULES},
        readings={},
        commentary=(),
        figures={},
        amendments=tuple(written),
    )
    return agreement, catalog, FactRegister(tuple(_launches(draw, catalog)))


def _catalog() -> Catalog:
    parties = [f"party{number:02}" for number in range(PARTIES)]
    operators = {f"cloud{number:02}": parties[number % PARTIES] for number in range(CLOUDS)}
    classes = {
        f"class{number:02}": ProductClass(
            id=f"class{number:02}", actions=frozenset({"serve", "sell", "license"})
        )
        for number in range(CLASSES)
    }
    products = {
        f"product{number:03}": Product(
            id=f"product{number:03}", product_class=f"class{number % CLASSES:02}"
        )
        for number in range(PRODUCTS)
    }
    return Catalog(
        parties=frozenset(parties),
        clouds=frozenset(operators),
        operators=operators,
        segments=frozenset(SEGMENTS),
        classes=classes,
        products=products,
        regions={
            region: {cloud: frozenset({f"{cloud}-{region}"}) for cloud in operators}
            for region in REGIONS
        },
    )


def _amendment(
    draw: random.Random, catalog: Catalog, number: int, earlier: list[Amendment]
) -> Amendment:
    name, effective = f"S{number}", _BEGIN + timedelta(days=30 * number)
    terms = [_term(draw, catalog, f"{name}.{index}", name, effective) for index in range(TERMS)]
    if not earlier:
        terms[0] = Ownership(
            id=f"{name}.0",
            citation=_cite(f"{name}.0", name),
            begins=effective,
            party=_OWNER,
            products=frozenset(catalog.classes),
        )
    ended = earlier[-_LASTS].terms if len(earlier) >= _LASTS else ()
    ends = tuple(term.id for term in ended if not isinstance(term, Ownership))
    changes = (
        (Change(id=f"{name}.ends", citation=_cite(f"{name}.ends", name), ends=ends),)
        if ends
        else ()
    )
    return Amendment(
        id=name,
        title=name,
        document=f"{name}.md",
        announced=effective,
        effective=effective,
        known=KnownAt.recorded_on(effective),
        clauses=(),
        terms=tuple(terms),
        changes=changes,
    )


def _term(
    draw: random.Random, catalog: Catalog, name: str, amendment: str, begins: date
) -> AnyTerm:
    """Nine terms in ten speak of a class, one of a single product; half of them of some clouds only.

    Of exclusivities and permissions one in ten keeps to a seller, and one in ten to a region.
    """
    cite = _cite(name, amendment)
    among = sorted(catalog.classes) if draw.random() < 0.9 else sorted(catalog.products)
    products = frozenset({draw.choice(among)})
    clouds = frozenset(draw.sample(sorted(catalog.clouds), draw.randint(1, 4)))
    party = draw.choice(sorted(catalog.parties))
    action = draw.choice(("serve", "sell"))
    segments = frozenset({draw.choice(SEGMENTS[1:])}) if draw.random() < 0.3 else frozenset[str]()
    sellers = frozenset({party}) if draw.random() < 0.1 else frozenset[str]()
    regions = frozenset({draw.choice(REGIONS)}) if draw.random() < 0.1 else frozenset[str]()
    match draw.randrange(10):
        case 0 | 1 | 2:
            carved = (Scope(segments=frozenset({"government"})),) if draw.random() < 0.3 else ()
            return Exclusivity(
                id=name,
                citation=cite,
                begins=begins,
                actions=frozenset({action}),
                products=products,
                only=Only(clouds=clouds),
                segments=segments,
                sellers=sellers,
                regions=regions,
                except_=carved,
            )
        case 3:
            return Precedence(
                id=name,
                citation=cite,
                begins=begins,
                party=_OWNER,
                first=min(clouds),
                actions=frozenset({"serve"}),
                products=products,
                binds=Choice("", {"": "first-shipped-since"}),
                unless=Choice("", {"": "cannot-and-declines"}),
                since=begins,
            )
        case 4 | 5:
            carries = (Scope(actions=frozenset({"serve", "sell"}), products=products),)
            return Licence(
                id=name,
                citation=cite,
                begins=begins,
                licensor=_OWNER,
                licensee=party,
                products=products,
                carries=carries,
            )
    return Permission(
        id=name,
        citation=cite,
        begins=begins,
        party=party,
        actions=frozenset({action}),
        products=products,
        clouds=clouds if draw.random() < 0.5 else frozenset(),
        segments=segments,
        sellers=sellers,
        regions=regions,
    )


def _launches(draw: random.Random, catalog: Catalog) -> list[Fact]:
    launches: list[Fact] = []
    for number in range(LAUNCHES):
        day = _BEGIN + timedelta(days=15 * number)
        product, cloud = draw.choice(sorted(catalog.products)), draw.choice(sorted(catalog.clouds))
        cite = _cite(f"launch:{product}:{cloud}", "facts")
        known_at = KnownAt.recorded_on(day)
        launches.append(
            Launch(
                effective=day,
                known=known_at,
                citation=cite,
                product=product,
                cloud=cloud,
                stage="available",
            )
        )
    return launches


def _cite(term: str, amendment: str) -> Citation:
    return Citation(
        term=term,
        amendment=amendment,
        document=f"{amendment}.md",
        line=1,
        source="ours",
        text=f"{term} says so.",
    )
