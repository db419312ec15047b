"""Every question that an agreement can be asked on one day: a finite domain.

Tables, comparisons and proofs walk over it. `agreement.boundaries` cuts time into stretches of days
with the same answers.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import product as every

from clauseway.agreement import Agreement
from clauseway.agreement.language.actions import ACTIONS, SELLERS, SERVE, SHARE
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.terms import AnyTerm
from clauseway.catalog import Catalog
from clauseway.decisions.parts import FREE
from clauseway.decisions.question import Question, check_readings
from clauseway.values import KnownAt


def all_questions(
    agreement: Agreement,
    catalog: Catalog,
    *,
    as_of: date,
    known_at: KnownAt,
    readings: Mapping[str, str] | None = None,
    every_seller: bool = False,
) -> Iterator[Question]:
    """Yield every valid combination of names, in a stable order.

    Parts that an action does not take (a cloud for a licence) are left empty. Nobody licenses or
    owes anything to itself.

    Where no term names sellers, the seller is the party: what it serves for other sellers is
    walked with `every_seller` alone. Regions are those that the catalog defines, and elsewhere.
    """
    chosen = check_readings(agreement, readings or {})
    sellers_differ = every_seller or names_sellers(agreement)
    for action in ACTIONS:
        names = {part.name: part.asked(catalog, action) for part in FREE}
        if action != SERVE or not sellers_differ:
            names["seller"] = ("",)
        for product in products_of(catalog, action):
            for combination in every(*names.values()):
                named = dict(zip(names, combination, strict=True))
                if named["to"] == named["party"]:
                    continue
                named["seller"] = named["seller"] or named["party"]
                yield Question(
                    action=action,
                    product=product,
                    **named,
                    as_of=as_of,
                    known_at=known_at,
                    readings=chosen,
                )


def names_sellers(agreement: Agreement) -> bool:
    """Return whether any term names sellers. A term on the action `sell` alone does not count."""
    return any(
        _names_sellers(term) for amendment in agreement.amendments for term in amendment.terms
    )


def _names_sellers(term: AnyTerm) -> bool:
    # The sellers in a base are those whose sales it counts: no act is told apart by them.
    return any(use.field == SELLERS and use.names for use in uses(term) if use.key != "base")


def products_of(catalog: Catalog, action: str) -> list[str]:
    """Return the products and classes that an action takes.

    A revenue share takes no product (the share as a whole), or any product a base may exclude.
    """
    names = sorted(
        {
            *catalog.products,
            *(name for name, product_class in catalog.classes.items() if product_class.actions),
        }
    )
    if action == SHARE:
        return ["", *names]
    return [name for name in names if catalog.takes(name, action)]
