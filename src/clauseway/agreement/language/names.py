"""The names that a term uses, kind by kind, each with the key it is written under."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from clauseway.agreement.language.terms import (
    ANYONE,
    AnyTerm,
    Commitment,
    Context,
    Exclusivity,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    Traded,
    Undertaking,
)

# Names that a term uses: the key they are written under, what they name, and the names.
Use = tuple[str, str, Iterable[str]]


def _ownership(term: Ownership) -> Iterator[Use]:
    yield "party", "party", [term.party]
    yield "products", "product", term.products


def _permission(term: Permission) -> Iterator[Use]:
    yield "party", "party", {term.party} - {ANYONE}
    yield "actions", "action", term.actions
    yield "products", "product", term.products
    yield "clouds", "cloud", term.clouds
    yield from _for_whom(term)


def _exclusivity(term: Exclusivity) -> Iterator[Use]:
    yield "actions", "action", term.actions
    yield "products", "product", term.products
    yield "clouds", "cloud", term.clouds
    yield from _for_whom(term)
    yield "only", "cloud", term.only.clouds
    yield "only", "region", term.only.regions
    yield "only", "party", term.only.sellers | term.only.parties | term.only.licensees
    for scope in term.except_:
        yield from _scope("except", scope)


def _prohibition(term: Prohibition) -> Iterator[Use]:
    yield "parties", "party", term.parties - {ANYONE}
    yield "actions", "action", term.actions
    yield "products", "product", term.products
    yield "clouds", "cloud", term.clouds
    yield from _for_whom(term)
    for scope in term.except_:
        yield from _scope("except", scope)


def _precedence(term: Precedence) -> Iterator[Use]:
    yield "party", "party", [term.party]
    yield "first", "cloud", [term.first]
    yield "actions", "action", term.actions
    yield "products", "product", term.products
    yield from _for_whom(term)


def _refusal_right(term: RefusalRight) -> Iterator[Use]:
    yield "holder", "party", [term.holder]
    yield "grantor", "party", [term.grantor] if term.grantor else []
    yield "actions", "action", term.actions
    yield "products", "product", term.products
    yield "except-clouds", "cloud", term.except_clouds
    yield from _for_whom(term)


def _licence(term: Licence) -> Iterator[Use]:
    yield "licensor", "party", [term.licensor]
    yield "licensee", "party", [term.licensee]
    yield "products", "product", term.products
    for scope in term.carries:
        yield from _scope("carries", scope)


def _revenue_share(term: RevenueShareTerm) -> Iterator[Use]:
    yield "payer", "party", [term.payer]
    yield "payee", "party", [term.payee]
    yield "base", "party", term.base.sellers | term.base.wholesale_except
    yield "base", "product", term.base.excludes | term.base.products
    yield "base", "cloud", term.base.clouds


def _commitment(term: Commitment) -> Iterator[Use]:
    yield "party", "party", [term.party]
    yield "to", "party", [term.to]


def _stake(term: Stake) -> Iterator[Use]:
    yield "holder", "party", [term.holder]
    yield "of", "party", [term.of]


def _undertaking(term: Undertaking | Context) -> Iterator[Use]:
    yield "parties", "party", term.parties


def _for_whom(term: Traded) -> Iterator[Use]:
    """Return the sellers, segments and regions that limit a term."""
    yield "sellers", "party", term.sellers
    yield "segments", "segment", term.segments
    yield "regions", "region", term.regions


def _scope(key: str, scope: Scope) -> Iterator[Use]:
    yield key, "action", scope.actions
    yield key, "product", scope.products
    yield key, "cloud", scope.clouds
    yield key, "party", scope.sellers
    yield key, "segment", scope.segments
    yield key, "region", scope.regions


def uses(term: AnyTerm) -> Iterator[Use]:
    """Return the names in a term, each with the key it is written under."""
    match term:
        case Ownership():
            return _ownership(term)
        case Permission():
            return _permission(term)
        case Exclusivity():
            return _exclusivity(term)
        case Prohibition():
            return _prohibition(term)
        case Precedence():
            return _precedence(term)
        case RefusalRight():
            return _refusal_right(term)
        case Licence():
            return _licence(term)
        case RevenueShareTerm():
            return _revenue_share(term)
        case Commitment():
            return _commitment(term)
        case Stake():
            return _stake(term)
        case Undertaking() | Context():
            return _undertaking(term)
        case _:
            assert_never(term)
