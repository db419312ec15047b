"""A question, checked against the agreement before it is asked."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Unpack

from clauseway.agreement import Agreement
from clauseway.agreement.language.actions import ACTIONS, LICENSE, SELL, SERVE, SHARE
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.terms import AnyTerm
from clauseway.catalog import ELSEWHERE, Catalog
from clauseway.decisions.parts import (
    ACTIONS_WITH_CLOUD,
    ACTIONS_WITH_OTHER_PARTY,
    ACTIONS_WITH_SELLER,
    PARTS,
    Names,
    NamesGiven,
    Part,
)
from clauseway.values import FOREVER, KnownAt, Problem, refuse_any, suggestion

# A right to sell on a cloud rests on the owner's right to serve there.
RESTS_ON: Mapping[str, frozenset[str]] = {SELL: frozenset({SERVE})}
# Parts whose names depend on other parts of the question.
_CHECKED_APART = ("product", "region")


class Question(Names, frozen=True, kw_only=True):
    """May `party` do `action` with `product` on `cloud`?

    `seller` is the party where nobody else sells. `readings` holds an option for every reading of
    the agreement.
    """

    as_of: date
    known_at: KnownAt
    readings: Mapping[str, str]


class QuestionRecord(Names, frozen=True, kw_only=True):
    """A question with its suppositions, as written into a decision so that it can be asked again.

    `known_at_ns` and `known_at_sequence` are integers as text, because some JSON readers cannot
    hold numbers of that size.
    """

    as_of: date
    known_at_ns: str
    known_at_sequence: str
    readings: Mapping[str, str]
    suppositions: tuple[str, ...]

    @classmethod
    def of(cls, question: Question, suppositions: Iterable[str]) -> "QuestionRecord":
        return cls(
            **question.as_combination(),
            as_of=question.as_of,
            known_at_ns=str(question.known_at.instant_ns),
            known_at_sequence=str(question.known_at.sequence),
            readings=question.readings,
            suppositions=tuple(suppositions),
        )

    @property
    def known_at(self) -> KnownAt:
        """Raises ValueError if either number is not an integer, or both name no instant."""
        known_at = KnownAt(int(self.known_at_ns), int(self.known_at_sequence))
        try:
            str(known_at)  # fails for an instant outside the years that datetime can hold
        except (OverflowError, OSError) as error:
            raise ValueError(
                f"{self.known_at_ns} nanoseconds since 1970 is not an instant"
            ) from error
        return known_at


def ask(
    agreement: Agreement,
    catalog: Catalog,
    *,
    as_of: date,
    known_at: KnownAt,
    readings: Mapping[str, str] | None = None,
    unnamed: Collection[str] = (),
    **given: Unpack[NamesGiven],
) -> Question:
    """Return a valid question. Raises InvalidInput with every problem in it.

    `catalog` may hold more names than the agreement's own catalog.
    `unnamed` holds products that may be asked about although the catalog does not name them.
    """
    asked = Names(**given)
    problems: list[Problem] = []
    # Each name has to be defined; the product and the region are checked apart.
    for part in PARTS:
        name = getattr(asked, part.name)
        if part.name not in _CHECKED_APART and (part.needed or name != part.default):
            check_part(problems, part, name, catalog)
    if asked.action in ACTIONS:
        _check_parts(problems, asked)
        if asked.product not in unnamed or catalog.names_product(asked.product):
            _check_product(problems, catalog, asked.action, asked.product)
    # Where terms tell regions apart, a question about a cloud has to name one.
    if asked.region or not catalog.regions:
        problems += region_problems(catalog, asked.action, asked.cloud, asked.region)
    elif asked.action in ACTIONS_WITH_CLOUD:
        problems.append(_missing_region(agreement, catalog, asked.action))
    if as_of == FOREVER:
        problems.append(
            Problem(
                what=f"{as_of} cannot be asked about",
                why="it stands for having no end",
                where="--as-of",
                remedy="Name an earlier day.",
            )
        )
    problems += _reading_problems(agreement, readings or {})
    refuse_any(problems)
    return Question(
        **asked.named() | {"seller": asked.seller or asked.party},
        as_of=as_of,
        known_at=known_at,
        readings={**agreement.default_readings(), **(readings or {})},
    )


def check_readings(agreement: Agreement, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return an option for every reading of the agreement: the chosen option, else the default.

    Raises InvalidInput for an unknown reading or option.
    """
    refuse_any(_reading_problems(agreement, chosen))
    return {**agreement.default_readings(), **chosen}


# How to say of a question that a place lies in none of the agreement's regions.
_ELSEWHERE = f"ask with --region {ELSEWHERE}"


def region_problems(
    catalog: Catalog, action: str, cloud: str, region: str, way_out: str = _ELSEWHERE
) -> list[Problem]:
    """Return the problems of a question's region, which must be named if there are regions.

    `way_out` says what to do about a place that lies in none of them.
    """
    problem, why, remedy = "", "", "Name the region as its cloud does."
    names = sorted({*catalog.regions, *catalog.places_of(cloud), ELSEWHERE})
    if not region.isprintable():
        problem, why = f"{region!r} is not a region", "it holds what cannot be printed"
    elif catalog.regions and region and region not in names:
        problem, why = (
            f"unknown region {region!r}",
            f"the agreement does not say where it lies{cloud and ' on '}{cloud}",
        )
        # A slip, or a place that the agreement leaves out: only the person who asks knows.
        remedy = suggestion(region, names)
        remedy += f" If it lies in none of the regions, {way_out}."
    # Where terms tell regions apart, an answer for no region would be wrong for some.
    elif catalog.regions and not region and action in ACTIONS_WITH_CLOUD:
        problem, why = "it is missing", "terms of the agreement tell regions apart"
        regions = ", ".join(sorted(catalog.regions))
        remedy = f"Name a place as its cloud does, or one of {regions}, {ELSEWHERE}."
    return [Problem(what=problem, why=why, where="--region", remedy=remedy)] if problem else []


def _missing_region(agreement: Agreement, catalog: Catalog, action: str) -> Problem:
    """Return the problem of a question that names no region, with the terms that ask for one."""
    asked_for = [
        term.id
        for amendment in agreement.amendments
        for term in amendment.terms
        if _keeps_to_regions(term, action)
    ]
    why = (
        f"{', '.join(asked_for)} {'keeps' if len(asked_for) == 1 else 'keep'} to regions"
        if asked_for
        else f"no term keeps {action} to a region, but a grant may be kept to one"
    )
    regions = ", ".join(sorted(catalog.regions))
    remedy = f"Name a place as its cloud does, or one of {regions}, {ELSEWHERE}."
    return Problem(what="it is missing", why=why, where="--region", remedy=remedy)


def _keeps_to_regions(term: AnyTerm, action: str) -> bool:
    """Return whether a term that names regions may bear on a question about an action."""
    if not any(use.noun == "region" and use.names for use in uses(term)):
        return False
    # A sale is hosted, and what is served is sold; a licence carries both.
    asked = frozenset({SERVE, SELL}) if action in (SERVE, SELL) else frozenset({action})
    return not asked.isdisjoint(getattr(term, "actions", (SERVE, SELL)))


def _reading_problems(agreement: Agreement, chosen: Mapping[str, str]) -> list[Problem]:
    problems: list[Problem] = []
    for reading, option in chosen.items():
        check_name(problems, "--reading", reading, agreement.readings)
        if reading in agreement.readings:
            check_name(
                problems, f"--reading {reading}", option, agreement.readings[reading].options
            )
    return problems


def check_part(problems: list[Problem], part: Part, name: str, catalog: Catalog) -> None:
    """Add a problem if a name is not known as one of this part."""
    names = part.names(catalog)
    check_name(problems, part.flag, name, names, _other_name(catalog, name, names))


def _other_name(catalog: Catalog, name: str, names: Collection[str]) -> str:
    """Return the cloud to name instead of its party, or the other way round; empty for other names."""
    clouds = sorted(cloud for cloud in names if catalog.operators.get(cloud) == name)
    if clouds:
        return f"{name} is a party: name its cloud, {' or '.join(clouds)}."
    party = catalog.operators.get(name)
    return f"{name} is a cloud: name its party, {party}." if party in names else ""


def check_name(
    problems: list[Problem], flag: str, value: str, names: Iterable[str], remedy: str = ""
) -> None:
    """Add a problem if `value` is not among the known names."""
    if value in names:
        return
    what, why = f"unknown name {value!r}", "the agreement does not name it"
    if not value:
        what, why = "no name is given", "the question needs one"
    remedy = remedy or suggestion(value, names)
    problems.append(Problem(what=what, why=why, where=flag, remedy=remedy))


def _check_parts(problems: list[Problem], asked: Names) -> None:
    """Add a problem for each part that an action lacks or does not have."""
    action, to, seller = asked.action, asked.to, asked.seller

    def refuse(flag: str, problem: str, why: str, remedy: str) -> None:
        problems.append(Problem(what=problem, why=why, where=flag, remedy=remedy))

    if action in ACTIONS_WITH_OTHER_PARTY and not to:
        whom = "the licensee" if action == LICENSE else "the payee"
        refuse("--to", "it is missing", f"{action} needs {whom}", "Name the other party with --to.")
    if action in ACTIONS_WITH_OTHER_PARTY and to and to == asked.party:
        why = f"{to} stands on both sides, and nobody licenses or owes anything to itself"
        refuse("--to", f"{to!r} is the party itself", why, "Name another party with --to.")
    if action not in ACTIONS_WITH_OTHER_PARTY and to:
        refuse("--to", "it has no meaning here", f"{action} has no other party", "Leave --to out.")
    if action in ACTIONS_WITH_CLOUD and not asked.cloud:
        refuse("--cloud", "it is missing", f"{action} happens on a cloud", "Name it with --cloud.")
    if seller and action not in ACTIONS_WITH_SELLER:
        refuse(
            "--seller", "it has no meaning here", f"{action} has no seller", "Leave --seller out."
        )
    # A sale is its seller's own act; `serve` alone may name another seller.
    if action == SELL and seller and seller != asked.party:
        refuse(
            "--seller",
            f"{seller!r} is not the party",
            "who sells is the party",
            "Leave --seller out, or ask with --action serve.",
        )


def _check_product(problems: list[Problem], catalog: Catalog, action: str, product: str) -> None:
    # A question may name a product, or a class that takes actions itself.
    names = sorted(
        {
            *catalog.products,
            *(name for name, product_class in catalog.classes.items() if product_class.actions),
        }
    )
    if not product:
        if action != SHARE:
            problems.append(
                Problem(
                    what="it is missing",
                    why=f"{action} is about a product",
                    where="--product",
                    remedy="Name a product or a class.",
                )
            )
        return
    if product in catalog.classes and product not in names:
        within = sorted(
            name
            for name, product_class in catalog.classes.items()
            if product_class.within == product
        )
        problems.append(
            Problem(
                what=f"{product!r} is a wider class",
                why="terms may name it, a question is about one class",
                where="--product",
                remedy=f"Name one of {', '.join(within)}, or a product.",
            )
        )
        return
    if product not in names:
        check_name(problems, "--product", product, names)
        return
    # The product is known: does its class take the action?
    if action != SHARE and not catalog.takes(product, action):
        takes = sorted(
            name
            for name, product_class in catalog.classes.items()
            if action in product_class.actions
        )
        of_class, remedy = catalog.class_of(product), f"{action} takes {', '.join(takes)}."
        if wider := catalog.wider_taking(product, action):
            remedy += (
                f" Write {action} under actions: of {of_class}, too: it takes none from {wider}."
            )
        problems.append(
            Problem(
                what=f"{action} does not take {product!r}",
                why=f"it is of class {of_class}",
                where="--product",
                remedy=remedy,
            )
        )
